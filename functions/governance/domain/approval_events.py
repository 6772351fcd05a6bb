"""The event that starts a workflow: which decision about which version it reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from governance.domain import claims
from governance.domain.errors import InvalidInputError

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
    if approved_stage(detail) != stage:
        raise InvalidInputError(
            f"detail.ModelLifeCycle is {detail.get('ModelLifeCycle')!r} and "
            f"detail.ModelApprovalStatus is {detail.get('ModelApprovalStatus')!r}; expected an "
            f"approval for stage {stage}"
        )
    decided_at = claims.decision_time(detail.get("LastModifiedTime"))
    return {
        "claim_id": claims.claim_id(arn, stage, decided_at),
        "workflow": workflow,
        "stage": stage,
        "model": version["group"],
        "model_package_arn": arn,
        "account": version["account"],
        "decided_at": decided_at,
        "event_id": str(event.get("id")),
        "execution_arn": execution_arn,
    }


def approved_stage(detail: Mapping[str, Any]) -> str | None:
    """The stage that an event's detail approves, or None.

    A flip of ModelApprovalStatus by a team that does not use ModelLifeCycle counts as
    Dev / Approved (DESIGN.md, section 3).
    """
    life_cycle = detail.get("ModelLifeCycle") or {}
    changed = detail.get("UpdatedModelPackageFields") or []
    if not isinstance(life_cycle, Mapping) or not isinstance(changed, list):
        return None
    stage = life_cycle.get("Stage")
    if "ModelLifeCycle" in changed:
        return stage if life_cycle.get("StageStatus") == "Approved" else None
    flipped = "ModelApprovalStatus" in changed and detail.get("ModelApprovalStatus") == "Approved"
    return "Dev" if flipped and stage in (None, "Dev") else None
