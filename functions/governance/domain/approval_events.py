"""A person's decision, as the event tells it: about which version, for which stage, when."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from governance.domain import claims, phases, reviews
from governance.domain.errors import AccessError, InvalidInputError

DETAIL_TYPE = "SageMaker Model Package State Change"
NO_REASON = "gave no reason"
# What persons decide and no workflow is started by: the kind of its ledger entry, and which review.
DECISIONS: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(("Dev/Rejected", "Test/Rejected", "Prod/Rejected"), ("VersionRejected", None)),
    **{f"Prod/{kind.capitalize()}-Approved": ("ReviewGiven", kind) for kind in reviews.KINDS},
    **{f"Prod/{kind.capitalize()}-Revoked": ("ReviewRevoked", kind) for kind in reviews.KINDS},
    "Prod/BreakGlass-Requested": ("BreakGlassRequested", None),
    "Prod/Recalled": ("VersionRecalled", None),
    "Retired/Retired": ("VersionRetired", None),
}
ROLLBACK = "Prod/Rollback-Requested"
# What a person sets to have a workflow go back, or try it.
BACK = {"rollback_model": ROLLBACK, "drill_rollback": "Prod/Drill-Requested"}
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


def decision(event: Mapping[str, Any], workflow: str) -> dict[str, Any]:
    """The decision, other than an approval, that an event tells of.

    Like a promotion, without execution_arn since nothing is started by it, with `stage_status`,
    `kind` (of its ledger entry) and `review` (which one, None if it is no review).
    InvalidInputError names the field if the event is not a Model Package State Change, or not such
    a decision.
    """
    detail, version = _read(event)
    phase = decided_phase(detail)
    decided = DECISIONS.get(phase or "")
    if phase is None or decided is None:
        raise InvalidInputError(
            f"detail.ModelLifeCycle is {detail.get('ModelLifeCycle')!r} and "
            f"detail.ModelApprovalStatus is {detail.get('ModelApprovalStatus')!r}; expected one of "
            f"{', '.join(DECISIONS)}"
        )
    stage, _, status = phase.partition("/")
    # Of two decisions in one second each is its own.
    found = _decision(event, detail, version, workflow, stage, claimed=phase)
    return found | {"stage_status": status, "kind": decided[0], "review": decided[1]}


def rollback_request(event: Mapping[str, Any], workflow: str, execution_arn: str) -> dict[str, Any]:
    """The rollback, or the drill of one, that a person asks for: like a promotion, of the version
    that is to go.

    InvalidInputError names the field if the event is not a Model Package State Change, or does not
    ask for what the workflow does.
    """
    detail, version = _read(event)
    asked = BACK[workflow]
    if decided_phase(detail) != asked:
        raise InvalidInputError(
            f"detail.ModelLifeCycle is {detail.get('ModelLifeCycle')!r}; expected {asked}"
        )
    found = _decision(event, detail, version, workflow, "Prod", claimed=asked)
    return found | {"execution_arn": execution_arn}


def tried_in_test(event: Mapping[str, Any], execution_arn: str) -> dict[str, Any]:
    """The promotion for Test of what an event has had deployed there: a validation, or a drill.

    InvalidInputError names the field if the event asks for neither.
    """
    detail = event.get("detail")
    drill = "drill_rollback"
    if isinstance(detail, Mapping) and decided_phase(detail) == BACK[drill]:
        return rollback_request(event, drill, execution_arn) | {"stage": "Test"}
    return promotion(event, "validate_in_test", "Test", execution_arn)


def asked_for(event: Mapping[str, Any], workflow: str, execution_arn: str) -> dict[str, Any]:
    """The promotion of a run that a person's event has started; InvalidInputError as above."""
    if workflow in BACK:
        return rollback_request(event, workflow, execution_arn)
    (stage,) = {phase.stage for phase in phases.PHASES if phase.causes == workflow}
    return promotion(event, workflow, stage, execution_arn)


def rollback_reason(event: Mapping[str, Any]) -> str:
    """Why, in the words of who asks for a rollback."""
    life_cycle = event["detail"].get("ModelLifeCycle") or {}
    return str(life_cycle.get("StageDescription") or "").strip() or NO_REASON


def review_phase(review: str, revoked: bool = False) -> phases.Phase:
    """The phase that gives, or takes back, a review; KeyError for a review that does not exist."""
    status = "Revoked" if revoked else "Approved"
    return phases.BY_NAME[f"Prod/{review.capitalize()}-{status}"]


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
    found = _decision(event, detail, version, workflow, str(stage or "Dev"))
    # Times are whole seconds: an approval in the same one must not pass for the change.
    own = claims.claim_id(found["model_package_arn"], "changed", found["decided_at"])
    return {**found, "claim_id": own}


def specification_set(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The inference specification that a change has set, None if it has set none.

    It may be another one by the time the event is read.
    """
    detail = event["detail"]
    said = detail.get("InferenceSpecification")
    changed = detail.get("UpdatedModelPackageFields") or []
    return said if isinstance(said, Mapping) and "InferenceSpecification" in changed else None


def approved_stage(detail: Mapping[str, Any]) -> str | None:
    """The stage that an event's detail approves, or None.

    A flip of ModelApprovalStatus by a team that does not use ModelLifeCycle counts as
    Dev / Approved (DESIGN.md, section 3).
    """
    stage, _, status = (decided_phase(detail) or "").partition("/")
    return stage if status == "Approved" else None


def decided_phase(detail: Mapping[str, Any]) -> str | None:
    """The phase ("Stage/Status") that an event's detail sets; a flip counts as for approvals."""
    life_cycle = detail.get("ModelLifeCycle") or {}
    changed = detail.get("UpdatedModelPackageFields") or []
    if not isinstance(life_cycle, Mapping) or not isinstance(changed, list):
        return None
    stage = life_cycle.get("Stage")
    if "ModelLifeCycle" in changed:
        return f"{stage}/{life_cycle.get('StageStatus')}" if stage else None
    flipped = "ModelApprovalStatus" in changed and stage in (None, "Dev")
    return f"Dev/{detail.get('ModelApprovalStatus')}" if flipped else None


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
    """Why, in the words of who decided; what they left empty is said to be.

    A rejection may be explained in ApprovalDescription. On anything else that text is older than
    the decision: it says why somebody signed, or did not.
    """
    detail = event["detail"]
    life_cycle = detail.get("ModelLifeCycle") or {}
    text = life_cycle.get("StageDescription")
    kind, _ = DECISIONS.get(decided_phase(detail) or "", ("VersionRejected", None))
    if not text and kind == "VersionRejected":
        text = detail.get("ApprovalDescription")
    return str(text or "").strip() or NO_REASON


def is_current(decision_: Mapping[str, Any], description: Mapping[str, Any]) -> bool:
    """True if the decision is the version's last change, so that who made that change decided.

    Times are in whole seconds, so of what was set within one only the last that is still there is
    current.
    """
    if claims.changed_since(decision_["decided_at"], description):
        return False
    if decision_["kind"] == "VersionRejected":  # Dev may reject by ModelApprovalStatus alone.
        return True
    life_cycle = description.get("ModelLifeCycle") or {}
    present = life_cycle.get("Stage"), life_cycle.get("StageStatus")
    return present == (decision_["stage"], decision_["stage_status"])


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
    claimed: str | None = None,
) -> dict[str, Any]:
    decided_at = claims.decision_time(detail.get("LastModifiedTime"))
    return {
        "claim_id": claims.claim_id(version[0], claimed or stage, decided_at),
        "workflow": workflow,
        "stage": stage,
        "model": version["group"],
        "model_package_arn": version[0],
        "account": version["account"],
        "decided_at": decided_at,
        "event_id": str(event.get("id")),
    }
