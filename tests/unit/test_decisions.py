"""What counts and what is only recorded: who decided, on which bytes, from where."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import approval_events, decisions
from governance.domain.errors import InvalidInputError
from tests.contracts import events, samples

PACKAGE = "sagemaker-model-package-state-change."
TESS = samples.identity("ai-engineer", "tess", samples.CENTRAL)
BELLA = samples.identity("governance-engineer", "bella", samples.CENTRAL)
THEO = samples.identity("training", "theo")
SAME: dict[str, Any] = {"trainer": THEO, "differences": []}


def decided(name: str = "Prod/Technical-Approved") -> dict[str, Any]:
    stage, _, status = name.partition("/")
    event = events.example(PACKAGE + "prod-technical-approved")
    event["detail"]["ModelLifeCycle"] = {"Stage": stage, "StageStatus": status}
    return approval_events.decision(event, "record_decision")


def objections(
    name: str = "Prod/Technical-Approved",
    by: dict[str, Any] | None = TESS,
    before: str | None = "Test/Passed",
    compared: dict[str, Any] = SAME,
    reason: str = "read it",
    serves: dict[str, Any] | None = None,
) -> list[str]:
    return decisions.objections(decided(name), by, reason, before, compared, (), serves)


def test_a_review_by_the_right_person_on_the_tested_bytes_counts() -> None:
    assert objections() == []
    assert objections("Prod/Business-Approved", BELLA) == []
    assert objections("Prod/BreakGlass-Requested") == []
    assert objections("Prod/BreakGlass-Requested", BELLA) == []
    assert objections(reason=approval_events.NO_REASON) == [], "a review may be given without words"


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ({"by": None}, "changed again"),
        ({"by": {**TESS, "person": ""}}, "which person"),
        ({"by": BELLA}, "only governed-path-ai-engineer of account 111122223333 may"),
        ({"by": {**TESS, "persona": None}}, "may not set Prod/Technical-Approved"),
        ({"by": samples.identity("ai-engineer", "tess", samples.DEV)}, "of account 111122223333"),
        ({"compared": {**SAME, "trainer": TESS}}, "tess trained the version"),
        ({"compared": {**SAME, "trainer": {"person": " TESS"}}}, "trained the version"),
        ({"before": "Test/Failed"}, "the version is Test/Failed"),
        ({"before": "Prod/Releasing"}, "the version is Prod/Releasing"),
        ({"before": None}, "unknown to the ledger"),
        (
            {
                "compared": {
                    **SAME,
                    "differences": [{"name": "image", "expected": "a", "actual": "b"}],
                }
            },
            "not its candidate any more: image",
        ),
        ({"compared": {"problem": "no metadata candidate-id"}}, "no metadata candidate-id"),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("name", ["Prod/Technical-Approved"])
def test_anything_else_is_recorded_and_does_not_count(
    name: str, why: dict[str, Any], said: str
) -> None:
    found = objections(name, **why)
    assert any(said in objection for objection in found), found


def test_an_emergency_needs_a_reason() -> None:
    (objection,) = objections("Prod/BreakGlass-Requested", reason=approval_events.NO_REASON)
    assert "needs a reason" in objection


def test_taking_back_needs_only_the_persona() -> None:
    """A doubt is a doubt, whatever became of the version, and also if nobody knows whose."""
    gone = {"problem": "no such candidate"}
    assert objections("Prod/Technical-Revoked", before="Test/Failed", compared=gone) == []
    assert objections("Prod/Technical-Revoked", by=None) == []
    (objection,) = objections("Prod/Technical-Revoked", by=BELLA)
    assert "may not set Prod/Technical-Revoked" in objection


def test_what_serves_is_not_retired_and_the_objection_says_where_and_what_to_do() -> None:
    serves = {"sequence": 9, "endpoint": {"endpoint_name": "risk", "account": samples.PROD}}
    retired = "Retired/Retired"
    assert objections(retired, BELLA, "Prod/Superseded") == []
    assert objections(retired, BELLA, "Test/Passed", compared={"problem": "gone"}) == []
    (served,) = objections(retired, BELLA, "Prod/Errored", serves=serves)
    assert f"endpoint risk of account {samples.PROD} serves it, as entry 9 says" in served
    assert "`govern rollback risk`, or release another version" in served
    moment, where = objections(retired, BELLA, "Prod/Deployed", serves=serves)
    assert "Prod/Deployed; Retired/Retired cannot follow that" in moment
    assert where == served
    # Its bytes are closed already.
    assert objections(retired, BELLA, "Prod/Recalled", serves=serves) == []
    assert "may not set Retired/Retired" in objections(retired, TESS, "Prod/Superseded")[0]


def test_a_retirement_that_is_refused_hides_nothing() -> None:
    for phase in ("Prod/Deployed", "Prod/Errored", "Test/Validating"):
        shown = tuple(phase.split("/"))
        assert decisions.shows_again("VersionRetired", phase, ["it serves"]) == shown
        assert decisions.shows_again("VersionRetired", phase) is None
    assert decisions.shows_again("VersionRetired", None, ["it serves"]) is None


@pytest.mark.parametrize(
    ("kind", "before", "shown"),
    [
        ("ReviewGiven", "Prod/Deployed", ("Prod", "Deployed")),
        ("ReviewRevoked", "Prod/Deployed", ("Prod", "Deployed")),
        ("ReviewGiven", "Prod/Releasing", ("Prod", "Releasing")),
        ("BreakGlassRequested", "Prod/Recalled", ("Prod", "Recalled")),
        ("ReviewGiven", "Test/Passed", None),
        ("ReviewGiven", None, None),
        ("VersionRecalled", "Prod/Deployed", None),
        ("VersionRejected", "Prod/Deployed", None),
    ],
)
def test_what_is_deployed_is_shown_as_deployed_again(
    kind: str, before: str | None, shown: tuple[str, str] | None
) -> None:
    assert decisions.shows_again(kind, before) == shown


def test_the_entry_says_who_what_why_and_on_which_bytes() -> None:
    compared = {**SAME, "candidate": {"candidate_id": samples.CANDIDATE}}
    request = decisions.entry_request(decided(), TESS, "read it", compared, [])
    assert request == {
        "promotion": decided(),
        "stage": "Prod",
        "stage_status": "Technical-Approved",
        "approver": TESS,
        "review": "technical",
        "reason": "read it",
        "candidate_id": samples.CANDIDATE,
        "objections": None,
        "differences": None,
        "recall": None,
    }
    refused = decisions.entry_request(decided("Prod/Recalled"), None, "wrong", {}, ["no"])
    assert (refused["objections"], refused["review"]) == (["no"], None)
    recalled = decisions.entry_request(
        decided("Prod/Recalled"), None, "wrong", {}, [], {"of": "dataset:1"}
    )
    assert recalled["recall"] == {"of": "dataset:1"}


def test_a_rejection_is_told_as_before() -> None:
    request = decisions.entry_request(decided("Prod/Rejected"), None, "too weak", {}, ["no"])
    assert request["summary"] == {"reasons": ["a person: too weak"]}
    assert "objections" not in request


def test_an_approval_is_not_a_decision_of_this_kind() -> None:
    with pytest.raises(InvalidInputError, match="expected one of Dev/Rejected"):
        decided("Prod/Approved")
