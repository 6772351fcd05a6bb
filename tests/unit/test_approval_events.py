"""From event to promotion: exactly the version, the stage and the time that were decided."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import approval_events, claims, ledger, phases, reviews
from governance.domain.errors import InvalidInputError
from tests.contracts import events, samples

ARN = samples.version_arn(samples.DEV, 1)
ABSENT = object()
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def _life_cycle(stage: str, status: str) -> dict[str, Any]:
    return {
        "ModelLifeCycle": {"Stage": stage, "StageStatus": status},
        "UpdatedModelPackageFields": ["ModelLifeCycle"],
    }


def _event(detail: dict[str, Any] | None = None, **envelope: Any) -> dict[str, Any]:
    """The Dev approval, with these fields of the detail and of the envelope instead."""
    fields = {
        "ModelPackageGroupName": samples.MODEL,
        "ModelPackageVersion": 1,
        "ModelPackageArn": ARN,
        "LastModifiedTime": samples.DECIDED,
        **_life_cycle("Dev", "Approved"),
        **(detail or {}),
    }
    event = {
        "version": "0",
        "id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "detail-type": "SageMaker Model Package State Change",
        "source": "aws.sagemaker",
        "account": samples.DEV,
        "detail": {key: value for key, value in fields.items() if value is not ABSENT},
        **envelope,
    }
    return {key: value for key, value in event.items() if value is not ABSENT}


def _promotion(event: dict[str, Any], stage: str = "Dev") -> dict[str, Any]:
    return approval_events.promotion(event, "promote_to_central", stage, "arn:execution")


def test_the_promotion_is_of_the_version_in_the_event() -> None:
    assert _promotion(_event()) == {
        "claim_id": claims.claim_id(ARN, "Dev", samples.DECIDED),
        "workflow": "promote_to_central",
        "stage": "Dev",
        "model": samples.MODEL,
        "model_package_arn": ARN,
        "account": samples.DEV,
        "decided_at": samples.DECIDED,
        "event_id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "execution_arn": "arn:execution",
    }


def test_a_repeated_event_is_the_same_claim() -> None:
    """It has another id and another time, and may say that more fields changed."""
    again = _event(
        {"UpdatedModelPackageFields": ["ApprovalDescription", "ModelLifeCycle"]},
        id="another",
        time="2026-11-21T07:00:00Z",
    )
    assert _promotion(again)["claim_id"] == _promotion(_event())["claim_id"]


@pytest.mark.parametrize("stage", ["Test", "Prod"])
def test_central_approvals_are_for_their_stage(stage: str) -> None:
    detail = {"ModelPackageArn": samples.version_arn(), **_life_cycle(stage, "Approved")}
    event = _event(detail, account=samples.CENTRAL)
    assert _promotion(event, stage)["stage"] == stage
    with pytest.raises(InvalidInputError, match="expected an approval for stage Dev"):
        _promotion(event, "Dev")


@pytest.mark.parametrize(
    ("detail", "stage"),
    [
        (_life_cycle("Dev", "Approved"), "Dev"),
        (_life_cycle("Test", "Approved"), "Test"),
        (_life_cycle("Dev", "Rejected"), None),
        (_life_cycle("Test", "Passed"), None),
        # Our own write of results: the version is still approved, but that is not what changed.
        (
            {**_life_cycle("Dev", "Approved"), "UpdatedModelPackageFields": ["ModelCard"]},
            None,
        ),
        ({**_life_cycle("Dev", "Approved"), "UpdatedModelPackageFields": []}, None),
        ({**_life_cycle("Dev", "Approved"), "UpdatedModelPackageFields": None}, None),
        ({"ModelLifeCycle": {"Stage": "Dev", "StageStatus": "Approved"}}, None),
        ({}, None),
    ],
    ids=repr,
)
def test_only_a_change_to_approved_is_an_approval(detail: dict[str, Any], stage: str) -> None:
    assert approval_events.approved_stage(detail) == stage


@pytest.mark.parametrize(
    ("life_cycle", "status", "stage"),
    [
        (None, "Approved", "Dev"),
        ({}, "Approved", "Dev"),
        ({"Stage": "Dev", "StageStatus": "Registered"}, "Approved", "Dev"),
        ({"Stage": "Prod", "StageStatus": "Compliance-Approved"}, "Approved", None),
        ({"Stage": "Test", "StageStatus": "Approved"}, "Approved", None),
        (None, "Rejected", None),
        (None, "PendingManualApproval", None),
        (None, None, None),
    ],
)
def test_a_plain_flip_of_the_approval_status_is_an_approval_in_dev(
    life_cycle: Any, status: str | None, stage: str | None
) -> None:
    detail = {
        "ModelLifeCycle": life_cycle,
        "ModelApprovalStatus": status,
        "UpdatedModelPackageFields": ["ModelApprovalStatus"],
    }
    assert approval_events.approved_stage(detail) == stage


def test_the_life_cycle_has_the_last_word() -> None:
    """Rejected in the life cycle and approved by status at once is no approval."""
    detail = {
        **_life_cycle("Dev", "Rejected"),
        "ModelApprovalStatus": "Approved",
        "UpdatedModelPackageFields": ["ModelApprovalStatus", "ModelLifeCycle"],
    }
    assert approval_events.approved_stage(detail) is None


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({}, "detail-type is None"),
        (_event(**{"detail-type": "SageMaker Endpoint State Change"}), "detail-type is 'SageM"),
        ({**_event(), "detail": None}, "detail is None"),
        ({**_event(), "detail": "text"}, "detail is 'text'"),
        (_event({"ModelPackageArn": ABSENT}), "ModelPackageArn is 'None'"),
        (_event({"ModelPackageArn": ARN.rpartition("/")[0]}), "ModelPackageArn is 'arn"),
        (_event({"ModelPackageArn": ARN + "/x"}), "ModelPackageArn is 'arn"),
        (_event({"ModelPackageArn": ARN + "\n"}), "ModelPackageArn is 'arn"),
        (_event(account=ABSENT), "from account None"),
        (_event(account=samples.TEST), f"from account '{samples.TEST}'"),
        (_event({"LastModifiedTime": ABSENT}), "LastModifiedTime is None"),
        (_event({"LastModifiedTime": "today"}), "LastModifiedTime is 'today'"),
        (_event({"ModelLifeCycle": "Approved"}), "ModelLifeCycle is 'Approved'"),
        (_event({"ModelLifeCycle": ["Dev"]}), r"ModelLifeCycle is \['Dev'\]"),
        (_event({"UpdatedModelPackageFields": 7}), "expected an approval for stage Dev"),
        (_event({"UpdatedModelPackageFields": "ModelLifeCycle"}), "expected an approval"),
        (_event(_life_cycle("Dev", "Registered")), "expected an approval for stage Dev"),
    ],
)
def test_an_event_of_another_shape_is_refused_by_what_is_wrong(
    event: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidInputError, match=named):
        _promotion(event)


@given(
    st.dictionaries(
        st.sampled_from([*_event(), *_event()["detail"]]), anything, min_size=1, max_size=4
    )
)
def test_whatever_arrives_is_a_promotion_or_invalid_input(change: dict[str, Any]) -> None:
    event = _event()
    for key, value in change.items():
        holder = event if key in event else event["detail"]
        if isinstance(holder, dict):
            holder[key] = value
    try:
        found = _promotion(event)
    except InvalidInputError:
        return
    assert (found["model_package_arn"], found["stage"]) == (ARN, "Dev")


def _decision(detail: dict[str, Any] | None = None, **envelope: Any) -> dict[str, Any]:
    return approval_events.decision(_event(detail, **envelope), "record_decision")


@pytest.mark.parametrize(("name", "told"), approval_events.DECISIONS.items())
def test_a_decision_is_of_the_phase_in_the_event(name: str, told: tuple[str, str | None]) -> None:
    stage, _, status = name.partition("/")
    found = _decision(_life_cycle(stage, status))
    assert (found["stage"], found["stage_status"]) == (stage, status)
    assert (found["kind"], found["review"]) == told
    assert (found["workflow"], found["model_package_arn"]) == ("record_decision", ARN)
    assert found["claim_id"] == claims.claim_id(ARN, name, found["decided_at"])


def test_decisions_of_one_second_are_claims_of_their_own() -> None:
    decided = [_decision(_life_cycle(*name.split("/"))) for name in approval_events.DECISIONS]
    assert len({found["claim_id"] for found in decided}) == len(decided)


def test_what_persons_set_is_a_decision_or_an_approval() -> None:
    """DESIGN.md, rule 10: every state change is an entry."""
    system = {phases.Setter.SYSTEM, phases.Setter.TRAINING_PIPELINE}
    by_people = {phase.name for phase in phases.PHASES if phase.set_by - system}
    approvals = {phase.name for phase in phases.APPROVALS.values()}
    back = set(approval_events.BACK.values())
    assert by_people == approvals | back | approval_events.DECISIONS.keys()
    assert {kind for kind, _ in approval_events.DECISIONS.values()} <= set(ledger.KINDS)


@pytest.mark.parametrize("review", reviews.KINDS)
def test_each_review_has_a_phase_to_give_it_and_one_to_take_it_back(review: str) -> None:
    given = approval_events.review_phase(review)
    revoked = approval_events.review_phase(review, revoked=True)
    assert approval_events.DECISIONS[given.name] == ("ReviewGiven", review)
    assert approval_events.DECISIONS[revoked.name] == ("ReviewRevoked", review)
    assert given.set_by == revoked.set_by


def test_a_flip_to_rejected_counts_as_dev_rejected() -> None:
    flip = {
        "ModelLifeCycle": ABSENT,
        "ModelApprovalStatus": "Rejected",
        "UpdatedModelPackageFields": ["ModelApprovalStatus"],
    }
    assert (_decision(flip)["stage"], _decision(flip)["kind"]) == ("Dev", "VersionRejected")


@pytest.mark.parametrize(
    "detail",
    [
        {},
        _life_cycle("Retired", "Rejected"),
        _life_cycle("Prod", "Deployed"),
        {"ModelPackageArn": "arn:x"},
        {**_life_cycle("Prod", "Recalled"), "UpdatedModelPackageFields": ["ModelCard"]},
    ],
)
def test_what_is_no_decision_is_refused_by_field(detail: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"detail\.Model"):
        _decision(detail)


@pytest.mark.parametrize(
    ("present", "current"),
    [
        ({}, True),
        ({"LastModifiedTime": "2026-11-21T06:00:01.000000Z"}, False),
        ({"ModelLifeCycle": {"Stage": "Prod", "StageStatus": "Business-Approved"}}, False),
        ({"ModelLifeCycle": None}, False),
    ],
)
def test_a_decision_is_current_while_the_version_shows_it(
    present: dict[str, Any], current: bool
) -> None:
    """Two people may decide within one second: of them the last is who changed it last."""
    decided = _decision(_life_cycle("Prod", "Technical-Approved"))
    described = {
        "LastModifiedTime": "2026-11-21T06:00:00.250000Z",
        "ModelLifeCycle": {"Stage": "Prod", "StageStatus": "Technical-Approved"},
        **present,
    }
    assert approval_events.is_current(decided, described) is current


def test_a_rejection_by_status_alone_is_current_too() -> None:
    decided = _decision(_life_cycle("Dev", "Rejected"))
    assert approval_events.is_current(decided, {"LastModifiedTime": samples.DECIDED})


def test_the_reason_is_the_persons_own_words() -> None:
    described = {"ModelLifeCycle": {"StageDescription": "too small"}, "ApprovalDescription": "no"}
    assert approval_events.reason_of({"detail": described}) == "too small"
    assert approval_events.reason_of({"detail": {"ApprovalDescription": "no"}}) == "no"
    assert approval_events.reason_of({"detail": {}}) == "gave no reason"


def test_an_old_signatures_words_are_no_reason_for_something_else() -> None:
    signed = {"ApprovalDescription": "signed last month"}
    asked = _event(_life_cycle("Prod", "BreakGlass-Requested") | signed)
    assert approval_events.reason_of(asked) == "gave no reason"
    rejected = _event(_life_cycle("Prod", "Rejected") | signed)
    assert approval_events.reason_of(rejected) == "signed last month"


def test_the_hubs_own_rejection_is_told_by_its_role_or_by_its_recorded_words() -> None:
    registry = {"role_arn": f"arn:aws:iam::{samples.CENTRAL}:role/governed-path-registry"}
    person = {"role_arn": f"arn:aws:iam::{samples.CENTRAL}:role/governed-path-ai-engineer"}
    role, verdicts = "governed-path-registry", {"Gate Test: denied. [r] f", None}
    assert approval_events.is_the_hubs(registry, "whatever", role, verdicts)
    # Nobody escapes the ledger by writing like a gate.
    assert not approval_events.is_the_hubs(person, "Gate Test: denied. [r] f", role, verdicts)
    assert approval_events.is_the_hubs(None, "Gate Test: denied. [r] f", role, verdicts)
    assert not approval_events.is_the_hubs(None, "Gate Test: denied. whatever", role, verdicts)


def test_a_change_in_the_second_of_an_approval_is_told_apart_from_it() -> None:
    """Both have entries of their own: the one that voids, and the gate's."""
    event = _event(_life_cycle("Test", "Approved"))
    approved = approval_events.promotion(event, "validate_in_test", "Test", "arn:aws:states:x")
    changed = approval_events.change(event, "detect_tampering")
    assert changed["decided_at"] == approved["decided_at"]
    assert changed["claim_id"] != approved["claim_id"]
    assert approval_events.change(event, "detect_tampering") == changed


def test_a_request_to_go_back_is_read_from_its_event() -> None:
    event = events.example("sagemaker-model-package-state-change.prod-rollback-requested")
    found = approval_events.rollback_request(event, "rollback_model", "arn:execution")
    assert found["model_package_arn"] == event["detail"]["ModelPackageArn"]
    assert (found["stage"], found["workflow"]) == ("Prod", "rollback_model")
    assert found["execution_arn"] == "arn:execution"
    assert approval_events.rollback_reason(event).startswith("Risks of patients over 80")
    # An approval in the same second is another decision.
    approved = events.example("sagemaker-model-package-state-change.prod-approved")
    approved["detail"]["LastModifiedTime"] = event["detail"]["LastModifiedTime"]
    other = approval_events.promotion(approved, "release_to_prod", "Prod", "arn:execution")
    assert other["claim_id"] != found["claim_id"]


def test_a_drill_is_asked_for_like_a_rollback_and_is_another_claim() -> None:
    event = events.example("sagemaker-model-package-state-change.prod-drill-requested")
    found = approval_events.rollback_request(event, "drill_rollback", "arn:execution")
    asked = events.example("sagemaker-model-package-state-change.prod-rollback-requested")
    back = approval_events.rollback_request(asked, "rollback_model", "arn:execution")
    differs = {key for key in found if found[key] != back[key]}
    assert differs == {"claim_id", "workflow", "event_id"}
    for workflow, other in (("drill_rollback", asked), ("rollback_model", event)):
        with pytest.raises(InvalidInputError, match=f"expected {approval_events.BACK[workflow]}"):
            approval_events.rollback_request(other, workflow, "arn:execution")


def test_what_was_deployed_in_test_is_found_from_the_event_of_its_run() -> None:
    for case, workflow in (
        ("test-approved", "validate_in_test"),
        ("prod-drill-requested", "drill_rollback"),
    ):
        event = events.example(f"sagemaker-model-package-state-change.{case}")
        found = approval_events.tried_in_test(event, "arn:execution")
        assert (found["workflow"], found["stage"]) == (workflow, "Test")
    with pytest.raises(InvalidInputError, match="an approval for stage Test"):
        approval_events.tried_in_test(
            {**event, "detail": {**event["detail"], "ModelLifeCycle": {}}}, ""
        )


def test_a_request_without_a_reason_says_so() -> None:
    event = events.example("sagemaker-model-package-state-change.prod-rollback-requested")
    del event["detail"]["ModelLifeCycle"]["StageDescription"]
    event["detail"]["ApprovalDescription"] = "why it was signed off, long ago"
    assert approval_events.rollback_reason(event) == approval_events.NO_REASON


@pytest.mark.parametrize("case", ["prod-approved", "prod-recalled", "prod-deployed"])
def test_what_asks_for_no_rollback_is_refused(case: str) -> None:
    event = events.example(f"sagemaker-model-package-state-change.{case}")
    with pytest.raises(InvalidInputError, match="expected Prod/Rollback-Requested"):
        approval_events.rollback_request(event, "rollback_model", "arn:execution")
