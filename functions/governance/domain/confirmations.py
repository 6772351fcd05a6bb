"""Confirmations: CloudTrail's own record of who made a decision, beside what the registry says.

LastModifiedBy is read a moment after the decision; CloudTrail wrote down the call itself, from
where it came and with which words. Only both together name the approver of a release.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from governance.domain import claims, phases
from governance.domain.errors import InvalidInputError
from governance.domain.identity import account_of, identity_of

APPROVED = "Approved"
# Reviews and requests of an emergency: a signature rests on them as on the approvals before it.
_SUPPORTING = tuple(
    sorted(
        phase.status
        for phase in phases.PHASES
        if phase.stage == "Prod"
        and (phase.status.endswith("-Approved") or phase.status == "BreakGlass-Requested")
    )
)
STATUSES = (APPROVED, *_SUPPORTING)
DETAIL_TYPE = "AWS API Call via CloudTrail"
# Seconds between the call that CloudTrail saw and the LastModifiedTime that it caused. Both are
# whole seconds of AWS's clocks; one more on each side is room enough, and a person who decides
# twice about one version within them decides the same.
TOLERANCE = 2


def decision_key(model_package_arn: str, stage: str, status: str = APPROVED) -> str:
    """What a record and who looks for it have in common: the version, and what it was set to.

    `status` is that of a review or an emergency where it is no approval.
    """
    return f"{model_package_arn}#{stage}" + ("" if status == APPROVED else f"/{status}")


def approval_record(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """CloudTrail's record of an approval, a review or an emergency; None if it is none.

    {decision, model_package_arn, stage, approver (an identity), called_at, source_ip, user_agent,
    cloudtrail_event_id}. A call that failed decided nothing. InvalidInputError names what an
    UpdateModelPackage record should have and does not, or the account that tells of another's.
    """
    detail = event.get("detail")
    if event.get("detail-type") != DETAIL_TYPE or not isinstance(detail, Mapping):
        raise InvalidInputError(
            f"event {event.get('id')!r} has detail-type {event.get('detail-type')!r}; "
            f"expected {DETAIL_TYPE!r}"
        )
    request = detail.get("requestParameters") or {}
    if detail.get("eventName") != "UpdateModelPackage" or detail.get("errorCode"):
        return None
    life_cycle = request.get("modelLifeCycle") or {}
    if not life_cycle and request.get("modelApprovalStatus") == "Approved":
        # Teams that do not use ModelLifeCycle approve Dev versions by the status alone.
        life_cycle = {"stage": "Dev", "stageStatus": APPROVED}
    status = life_cycle.get("stageStatus")
    if status not in STATUSES:
        return None
    arn, stage = request.get("modelPackageArn"), life_cycle.get("stage")
    required = {
        "requestParameters.modelPackageArn": arn,
        "requestParameters.modelLifeCycle.stage": stage,
        "eventTime": detail.get("eventTime"),
        "eventID": detail.get("eventID"),
    }
    missing = [name for name, value in required.items() if not isinstance(value, str) or not value]
    if missing:
        raise InvalidInputError(
            f"event {event.get('id')!r} has no detail.{' and no detail.'.join(missing)}; "
            "expected CloudTrail's record of UpdateModelPackage"
        )
    if event.get("account") != account_of(str(arn)):
        raise InvalidInputError(
            f"event {event.get('id')!r} of account {event.get('account')} is about {arn}; "
            "only the version's own account tells who approved it"
        )
    return {
        "decision": decision_key(str(arn), str(stage), str(status)),
        "model_package_arn": arn,
        "stage": stage,
        "approver": identity_of(_user_context(detail.get("userIdentity") or {})),
        "called_at": claims.decision_time(detail["eventTime"]),
        "source_ip": str(detail.get("sourceIPAddress") or ""),
        "user_agent": str(detail.get("userAgent") or ""),
        "cloudtrail_event_id": detail["eventID"],
    }


def confirmation_of(
    decided_at: str, records: Iterable[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The record of the call that was made when the version was last modified, or None yet.

    `decided_at` and `called_at` of the records are decision times (whole seconds, UTC).
    """
    near = [
        (abs(_seconds_between(decided_at, record["called_at"])), str(record["called_at"]), record)
        for record in records
    ]
    near = [found for found in near if found[0] <= TOLERANCE]
    return min(near, key=lambda found: found[:2])[2] if near else None


def contradiction(
    approver: Mapping[str, Any] | None, confirmation: Mapping[str, Any] | None
) -> str | None:
    """What CloudTrail says otherwise than the registry about who approved, or None.

    Both have to name the same session, the same source identity if there is one, and a person: a
    role alone is shared by many, and so is a session name that a tool made up.
    """
    if confirmation is None:
        return "CloudTrail has not confirmed who approved"
    said, seen = approver or {}, confirmation.get("approver") or {}
    for name in ("session_arn", "source_identity"):
        if (said.get(name) or None) != (seen.get(name) or None):
            return (
                f"the registry names {name.replace('_', ' ')} {said.get(name) or 'none'}, "
                f"CloudTrail {seen.get(name) or 'none'} "
                f"(event {confirmation.get('cloudtrail_event_id')})"
            )
    if not seen.get("session_arn") or not _name(seen):
        return (
            f"CloudTrail's record names nobody: session {seen.get('session_arn') or 'none'} "
            "without a source identity"
        )
    if _name(said) != _name(seen):
        return f"the registry names {said.get('person') or 'nobody'}, CloudTrail {seen['person']}"
    return None


def _name(identity: Mapping[str, Any]) -> str:
    return str(identity.get("person") or "").strip().casefold()


def _user_context(identity: Mapping[str, Any]) -> dict[str, Any]:
    """CloudTrail's userIdentity in the form of SageMaker's UserContext."""
    session = identity.get("sessionContext") or {}
    return {
        "IamIdentity": {
            "Arn": identity.get("arn"),
            "PrincipalId": identity.get("principalId"),
            "SourceIdentity": session.get("sourceIdentity"),
        }
    }


def _seconds_between(one: str, other: str) -> float:
    return (datetime.fromisoformat(one) - datetime.fromisoformat(other)).total_seconds()
