"""A person's decision, as the event tells it: about which version, for which stage, when."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from governance.domain import claims, phases
from governance.domain.errors import AccessError, InvalidInputError

DETAIL_TYPE = "SageMaker Model Package State Change"
_VERSION_ARN = re.compile(
    r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:(?P<account>\d{12}):model-package/"
    r"(?P<group>[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62})/(?P<version>\d+)"
)


def promotion(
    event: Mapping[str, Any], workflow: str, stage: str, execution_arn: str
) -> dict[str, Any]:
    """The promotion that an approval event asks for.

    {claim_id, workflow, stage, model, model_package_arn, account, decided_at, event_id,
    execution_arn}. InvalidInputError names the field if the event is not a Model Package State
    Change, or not an approval for `stage`.
    """
    detail, version = _read(event)
    if approved_stage(detail) != stage:
        raise InvalidInputError(
            f"detail.ModelLifeCycle is {detail.get('ModelLifeCycle')!r} and "
            f"detail.ModelApprovalStatus is {detail.get('ModelApprovalStatus')!r}; expected an "
            f"approval for stage {stage}"
        )
    return _decision(event, detail, version, workflow, stage) | {"execution_arn": execution_arn}


def rejection(event: Mapping[str, Any], workflow: str) -> dict[str, Any]:
    """The rejection that an event tells of; the stage is the event's.

    Like a promotion, without execution_arn: nothing is started by it. InvalidInputError names the
    field if the event is not a Model Package State Change, or not a rejection.
    """
    detail, version = _read(event)
    stage = rejected_stage(detail)
    if stage not in phases.APPROVALS:
        raise InvalidInputError(
            f"detail.ModelLifeCycle is {detail.get('ModelLifeCycle')!r} and "
            f"detail.ModelApprovalStatus is {detail.get('ModelApprovalStatus')!r}; expected a "
            f"rejection for one of the stages {', '.join(phases.APPROVALS)}"
        )
    return _decision(event, detail, version, workflow, stage)


def registration(event: Mapping[str, Any], workflow: str) -> dict[str, Any]:
    """The registration that an event tells of, like a promotion without execution_arn.

    InvalidInputError names the field if the event is not a Model Package State Change, or tells
    of a change and not of a new version.
    """
    detail, version = _read(event)
    if detail.get("UpdatedModelPackageFields"):
        raise InvalidInputError(
            f"detail.UpdatedModelPackageFields is {detail['UpdatedModelPackageFields']!r}; "
            "a new version has none"
        )
    return _decision(event, detail, version, workflow, "Dev")


def change(event: Mapping[str, Any], workflow: str) -> dict[str, Any]:
    """The change of a version that an event tells of, like a promotion without execution_arn.

    `stage` is where the version is by now. InvalidInputError names the field if the event is not
    a Model Package State Change.
    """
    detail, version = _read(event)
    life_cycle = detail.get("ModelLifeCycle")
    stage = life_cycle.get("Stage") if isinstance(life_cycle, Mapping) else None
    return _decision(event, detail, version, workflow, str(stage or "Dev"))


def approved_stage(detail: Mapping[str, Any]) -> str | None:
    """The stage that an event's detail approves, or None.

    A flip of ModelApprovalStatus by a team that does not use ModelLifeCycle counts as
    Dev / Approved (DESIGN.md, section 3).
    """
    return _decided_stage(detail, "Approved")


def rejected_stage(detail: Mapping[str, Any]) -> str | None:
    """The stage that an event's detail rejects, or None; a flip counts as for approvals."""
    return _decided_stage(detail, "Rejected")


def _decided_stage(detail: Mapping[str, Any], status: str) -> str | None:
    life_cycle = detail.get("ModelLifeCycle") or {}
    changed = detail.get("UpdatedModelPackageFields") or []
    if not isinstance(life_cycle, Mapping) or not isinstance(changed, list):
        return None
    stage = life_cycle.get("Stage")
    if "ModelLifeCycle" in changed:
        return stage if life_cycle.get("StageStatus") == status else None
    flipped = "ModelApprovalStatus" in changed and detail.get("ModelApprovalStatus") == status
    return "Dev" if flipped and stage in (None, "Dev") else None


def check_account(
    decision: Mapping[str, Any], project: Mapping[str, Any], registry_account: str
) -> None:
    """AccessError unless the version is in the account that speaks for its model and stage.

    In Dev a version is in the project's own account; after that it is in the Central registry.
    """
    stage = decision["stage"]
    expected = project["accounts"]["dev"] if stage == "Dev" else registry_account
    if decision["account"] != expected:
        raise AccessError(
            f"{decision['model_package_arn']} is decided on for {stage} in account "
            f"{decision['account']}; for model {decision['model']} only account {expected} may"
        )


def reason_of(event: Mapping[str, Any]) -> str:
    """Why, in the words of who decided; what they left empty is said to be."""
    detail = event["detail"]
    life_cycle = detail.get("ModelLifeCycle") or {}
    text = life_cycle.get("StageDescription") or detail.get("ApprovalDescription")
    return str(text or "gave no reason")


def is_the_hubs(
    by: Mapping[str, Any] | None, reason: str, registry_role: str, verdicts: Collection[str | None]
) -> bool:
    """True if a rejection is a gate's own, written with the registry role.

    `by` is the identity behind it, None if a later change has replaced it: then it is a gate's if
    it says word for word what a verdict in the ledger says, and so is recorded already.
    """
    if by is None:
        return reason in verdicts
    return str(by["role_arn"]).endswith(f":role/{registry_role}")


def _read(event: Mapping[str, Any]) -> tuple[Mapping[str, Any], re.Match[str]]:
    """(detail, the parts of its version's ARN)."""
    if event.get("detail-type") != DETAIL_TYPE:
        raise InvalidInputError(
            f"the event's detail-type is {event.get('detail-type')!r}; expected {DETAIL_TYPE!r}"
        )
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise InvalidInputError(f"the event's detail is {detail!r}; expected an object")
    arn = str(detail.get("ModelPackageArn"))
    version = _VERSION_ARN.fullmatch(arn)
    if version is None:
        raise InvalidInputError(
            f"detail.ModelPackageArn is {arn!r}; expected the ARN of a versioned model package"
        )
    if version["account"] != event.get("account"):
        raise InvalidInputError(
            f"the event is from account {event.get('account')!r} but detail.ModelPackageArn is "
            f"{arn!r}; an account speaks only for its own versions"
        )
    return detail, version


def _decision(
    event: Mapping[str, Any],
    detail: Mapping[str, Any],
    version: re.Match[str],
    workflow: str,
    stage: str,
) -> dict[str, Any]:
    decided_at = claims.decision_time(detail.get("LastModifiedTime"))
    return {
        "claim_id": claims.claim_id(version[0], stage, decided_at),
        "workflow": workflow,
        "stage": stage,
        "model": version["group"],
        "model_package_arn": version[0],
        "account": version["account"],
        "decided_at": decided_at,
        "event_id": str(event.get("id")),
    }
