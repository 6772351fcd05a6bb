"""AWS for the command line: real clients whose answers are scripted and whose requests checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from click.testing import CliRunner, Result

from cli import target
from cli.main import cli
from governance.adapters import items
from governance.domain.policies import PARTS
from tests.contracts import samples

REGION = "us-east-1"
CENTRAL, DEV, TEST, PROD = "111122223333", "444455556666", "777788889999", "123456789012"
MODEL = "clinical-risk-classifier"
CANDIDATE = "c0ffee" + "0" * 58
REGISTERED = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


class Stubbed(boto3.Session):
    """A session that makes one stubbed client per service."""

    def __init__(self) -> None:
        super().__init__(
            "111122223333", "local", region_name=REGION, botocore_session=target.core()
        )
        self.made: dict[str, tuple[Any, Stubber]] = {}

    def client(self, *arguments: Any, **options: Any) -> Any:
        return self._made(str(arguments[0]))[0]

    def stub(self, service: str) -> Stubber:
        """Where the service's answers are scripted, in the order of the calls."""
        return self._made(service)[1]

    def _made(self, service: str) -> tuple[Any, Stubber]:
        if service not in self.made:
            client = super().client(service)  # type: ignore[call-overload]
            stubber = Stubber(client)
            stubber.activate()
            self.made[service] = (client, stubber)
        return self.made[service]


@pytest.fixture
def session() -> Iterator[Stubbed]:
    """The persona's session; every scripted call must have been made."""
    stubbed = Stubbed()
    yield stubbed
    for _, stubber in stubbed.made.values():
        stubber.assert_no_pending_responses()


@pytest.fixture
def reader() -> Iterator[Stubbed]:
    """The reader role's session; every scripted call must have been made."""
    stubbed = Stubbed()
    yield stubbed
    for _, stubber in stubbed.made.values():
        stubber.assert_no_pending_responses()


@pytest.fixture
def where(session: Stubbed, reader: Stubbed, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What commands asked a target for; they get the two stubbed sessions."""
    asked: list[Any] = []

    def open_target(options: Any) -> target.Target:
        asked.append(options)
        opened = target.Target(session, options.persona, CENTRAL, local=True)
        opened.__dict__.update(reader=reader, own_account=DEV)
        return opened

    monkeypatch.setattr("cli.target.open_target", open_target)
    # Nobody could look at any account, unless a test says what is there.
    monkeypatch.setattr(
        "cli.endpoints.in_accounts",
        lambda observe, accounts: ([], [{"account": a, "problem": "denied"} for a in accounts]),
    )
    return asked


@pytest.fixture
def govern() -> Callable[..., Result]:
    """Run `govern` with these arguments."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments, prog_name="govern")

    return run


def arn(version: int, account: str = CENTRAL, model: str = MODEL) -> str:
    return f"arn:aws:sagemaker:{REGION}:{account}:model-package/{model}/{version}"


def described(version: int = 1, account: str = CENTRAL, **more: Any) -> dict[str, Any]:
    """DescribeModelPackage's answer."""
    return {
        "ModelPackageName": MODEL,
        "ModelPackageArn": arn(version, account),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "CreationTime": REGISTERED,
        "LastModifiedTime": REGISTERED,
        **more,
    }


def summary(version: int, phase: str, account: str = CENTRAL) -> dict[str, Any]:
    """One of ListModelPackages' summaries."""
    stage, _, status = phase.partition("/")
    return {
        "ModelPackageName": MODEL,
        "ModelPackageArn": arn(version, account),
        "ModelPackageStatus": "Completed",
        "CreationTime": REGISTERED,
        "ModelLifeCycle": {"Stage": stage, "StageStatus": status},
    }


def entry(sequence: int, kind: str, version: int = 1, **more: Any) -> dict[str, Any]:
    """A ledger entry about a Central version, unless `model_package_arn` says otherwise."""
    return {
        "model": MODEL,
        "sequence": sequence,
        "entry_id": f"{sequence:064d}",
        "kind": kind,
        "recorded_at": f"2026-01-31T12:00:{sequence:02d}Z",
        "workflow": "validate_in_test",
        "execution_arn": "arn:aws:states:us-east-1:111122223333:execution:m:e",
        "claim_id": "a" * 64,
        "decided_at": "2026-01-31T12:00:00Z",
        "model_package_arn": arn(version),
        **more,
    }


def by(person: str) -> dict[str, Any]:
    return {"person": person, "persona": "ai-engineer", "role_arn": "arn", "session_arn": "arn"}


def denied(rule: str = "approver_is_not_trainer") -> dict[str, Any]:
    """A gate's verdict that says no for one reason."""
    return {
        "allowed": False,
        "stage": "Test",
        "reasons": [
            {
                "rule": rule,
                "fact": "theo approved and theo trained",
                "expected": "two different, known people",
                "remedy": "Another AI Engineer approves the version",
            }
        ],
        "rules": [rule],
        "policy_digest": "d" * 64,
        "description": "denied",
    }


def directory(**more: Any) -> dict[str, Any]:
    """A directory entry."""
    return {
        "model": MODEL,
        "project": "clinical-risk",
        "risk_tier": "high",
        "accounts": {"dev": DEV, "test": TEST, "prod": PROD},
        "endpoint_name": "clinical-risk",
        "definition": {"digest": "d" * 64, "uri": f"s3://b/deployments/{MODEL}/{'d' * 64}.json"},
        "policy": {
            **{part: {"uri": "s3://b/k", "sha256": "0" * 64, "version_id": "v1"} for part in PARTS},
            "change": f"arn:aws:sagemaker:us-east-1:{CENTRAL}:action/policy-{MODEL}-0",
        },
        **more,
    }


def knows(reader: Stubbed, *entries: dict[str, Any]) -> None:
    """The next read of the ledger returns these entries."""
    reader.stub("dynamodb").add_response(
        "query", {"Items": [items.to_item(samples.row(entry)) for entry in entries]}
    )


def provisioned(reader: Stubbed, project: dict[str, Any] | None) -> None:
    """The next read of one directory entry returns this one, or none."""
    answer = {} if project is None else {"Item": items.to_item(project)}
    reader.stub("dynamodb").add_response("get_item", answer)
