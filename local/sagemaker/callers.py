"""Who calls: the real principal behind a request's access key, as the emulator's IAM knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_request_client_ip
from ministack.core.router import extract_access_key_id


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal of one request; `session` is the STS session or empty."""

    arn: str
    principal_id: str
    account: str
    access_key: str
    source_identity: str
    issued_at: float
    address: str
    user_agent: str

    def user_context(self) -> dict[str, Any]:
        """The caller as CreatedBy and LastModifiedBy show it."""
        identity = {"Arn": self.arn, "PrincipalId": self.principal_id}
        if self.source_identity:
            identity["SourceIdentity"] = self.source_identity
        return {"IamIdentity": identity}

    def user_identity(self) -> dict[str, Any]:
        """The caller as CloudTrail's userIdentity shows it."""
        kind = self.arn.rpartition(":")[2].partition("/")[0]
        identity: dict[str, Any] = {
            "type": {"assumed-role": "AssumedRole", "user": "IAMUser"}.get(kind, "Root"),
            "principalId": self.principal_id,
            "arn": self.arn,
            "accountId": self.account,
            "accessKeyId": self.access_key,
        }
        if kind == "user":
            identity["userName"] = self.arn.rpartition("/")[2]
        if kind == "assumed-role":
            identity["sessionContext"] = self._session_context()
        return identity

    def _session_context(self) -> dict[str, Any]:
        partition, role = self.arn.split(":")[1], self.arn.split("/")[1]
        context: dict[str, Any] = {
            "sessionIssuer": {
                "type": "Role",
                "principalId": self.principal_id.partition(":")[0],
                "arn": f"arn:{partition}:iam::{self.account}:role/{role}",
                "accountId": self.account,
                "userName": role,
            },
            "attributes": {
                "creationDate": datetime.fromtimestamp(self.issued_at, UTC).strftime(
                    "%Y-%m-%dT%H:%M:%SZ"
                ),
                "mfaAuthenticated": "false",
            },
        }
        if self.source_identity:
            context["sourceIdentity"] = self.source_identity
        return context


def of_request(headers: dict[str, str], query: dict[str, Any]) -> Caller:
    """The caller of the request that is in the emulator's request scope."""
    key = extract_access_key_id(headers, query) or get_account_id()
    known = iam_evaluator.resolve_caller_identity(key) or {}
    session = known.get("session") or {}
    account = get_account_id()
    return Caller(
        arn=known.get("userArn") or f"arn:aws:iam::{account}:root",
        principal_id=known.get("userId") or account,
        account=account,
        access_key=key,
        source_identity=str(session.get("SourceIdentity") or ""),
        issued_at=float(session.get("IssuedAt") or 0.0),
        address=get_request_client_ip(),
        user_agent=headers.get("user-agent", ""),
    )
