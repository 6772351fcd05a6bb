"""What people decide that starts no workflow: recorded once, with who it was and what it counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from governance.adapters.ledger import Ledger
from governance.domain import ledger, reviews
from governance.domain.errors import InvalidInputError

from .test_promotion import Organisation, _user, dev_bucket, here

__all__ = ["dev_bucket", "here"]  # fixtures
LATER = "2026-01-31T13:00:00Z"


def _tested(here: Organisation) -> tuple[str, str]:
    """(Central ARN, candidate id) of a version whose tests have passed."""
    _, candidate, arn = here.promoted()
    candidate_id = str(candidate["candidate_id"])
    _record(here, arn, "ValidationPassed", "Test", "Passed", candidate_id=candidate_id)
    return arn, candidate_id


def _record(
    here: Organisation, arn: str, kind: str, stage: str, status: str, **more: Any
) -> dict[str, Any]:
    promotion = here.in_central(arn, stage)
    request = {"kind": kind, "promotion": promotion, "stage": stage, "stage_status": status}
    return here.call("record", **request, **more)


def _decide(
    here: Organisation,
    arn: str,
    status: str,
    who: tuple[str, str],
    at: str = LATER,
    *,
    stage: str = "Prod",
    because: str = "read it",
    hidden: bool = False,
) -> dict[str, Any]:
    """Set the status as that person; `hidden` if somebody changes the version before we look."""
    life_cycle = {"Stage": stage, "StageStatus": status, "StageDescription": because}
    version = here.registry.versions[arn]
    version |= {"ModelLifeCycle": life_cycle, "LastModifiedBy": _user(*who)}
    version["LastModifiedTime"] = "2026-01-31T23:00:00Z" if hidden else at
    event = here.event(ModelPackageArn=arn, ModelLifeCycle=life_cycle, LastModifiedTime=at)
    return here.call("record_decision", **event)


def _story(here: Organisation, arn: str) -> list[dict[str, Any]]:
    """What was recorded of the version after its promotion, the newest first."""
    story = Ledger("governed-path-ledger").story(here.model, arn)
    return [entry for entry in story if entry["kind"] != "CandidatePromoted"]


TESS, BELLA = ("ai-engineer", "tess"), ("governance-engineer", "bella")


def test_a_review_is_recorded_once_with_person_reason_and_candidate(here: Organisation) -> None:
    arn, candidate_id = _tested(here)
    first = _decide(here, arn, "Technical-Approved", TESS)
    assert first["outcome"] == "recorded"
    assert _decide(here, arn, "Technical-Approved", TESS) == first
    entry, _ = _story(here, arn)
    assert (entry["kind"], entry["review"], entry["reason"]) == (
        "ReviewGiven",
        "technical",
        "read it",
    )
    assert (entry["approver"]["person"], entry["candidate_id"]) == ("tess", candidate_id)
    assert "objections" not in entry
    assert ledger.phase(_story(here, arn)) == "Test/Passed"
    (review,) = reviews.standing(_story(here, arn), candidate_id, LATER)
    assert review["person"] == "tess"


def test_several_people_review_and_one_takes_it_back(here: Organisation) -> None:
    arn, candidate_id = _tested(here)
    _decide(here, arn, "Technical-Approved", TESS, "2026-01-31T13:00:00Z")
    _decide(here, arn, "Business-Approved", BELLA, "2026-01-31T13:01:00Z")
    chloe = ("governance-engineer", "chloe")
    _decide(here, arn, "Compliance-Approved", chloe, "2026-01-31T13:02:00Z")
    _decide(here, arn, "Business-Revoked", BELLA, "2026-01-31T13:03:00Z", because="not any more")
    found = reviews.standing(_story(here, arn), candidate_id, "2026-01-31T14:00:00Z")
    assert [(r["kind"], r["person"]) for r in found] == [
        ("compliance", "chloe"),
        ("technical", "tess"),
    ]


def test_a_review_that_nobody_can_be_named_for_counts_for_nothing(here: Organisation) -> None:
    arn, candidate_id = _tested(here)
    _decide(here, arn, "Technical-Approved", TESS, hidden=True)
    entry, _ = _story(here, arn)
    assert "approver" not in entry
    assert "changed again" in entry["objections"][0]
    assert reviews.standing(_story(here, arn), candidate_id, LATER) == []


def test_a_review_of_tests_that_say_something_else_by_now_counts_for_nothing(
    here: Organisation,
) -> None:
    arn, candidate_id = _tested(here)
    here.tests(arn, auc=0.61)
    here.registry.versions[arn]["CustomerMetadataProperties"]["test-auc"] = "0.91"
    _decide(here, arn, "Technical-Approved", TESS)
    entry = _story(here, arn)[0]
    assert "tests.metadata.test-auc" in entry["objections"][0]
    assert reviews.standing(_story(here, arn), candidate_id, LATER) == []


def test_a_hidden_revocation_still_takes_back(here: Organisation) -> None:
    arn, candidate_id = _tested(here)
    _decide(here, arn, "Technical-Approved", TESS, "2026-01-31T13:00:00Z")
    _decide(here, arn, "Technical-Revoked", TESS, "2026-01-31T13:01:00Z", hidden=True)
    assert reviews.standing(_story(here, arn), candidate_id, "2026-01-31T14:00:00Z") == []


@pytest.mark.parametrize(
    ("who", "said"),
    [
        (BELLA, "only governed-path-ai-engineer"),
        (("ai-engineer", "theo"), "theo trained the version"),
        (("registry", "gp-123"), "may not set Prod/Technical-Approved"),
    ],
)
def test_a_review_by_the_wrong_person_counts_for_nothing(
    here: Organisation, who: tuple[str, str], said: str
) -> None:
    arn, candidate_id = _tested(here)
    _decide(here, arn, "Technical-Approved", who)
    entry, _ = _story(here, arn)
    assert any(said in objection for objection in entry["objections"]), entry["objections"]
    assert reviews.standing(_story(here, arn), candidate_id, LATER) == []


def test_a_review_of_other_bytes_says_how_they_differ(here: Organisation) -> None:
    arn, candidate_id = _tested(here)
    container = here.registry.versions[arn]["InferenceSpecification"]["Containers"][0]
    container["Image"] = "account.dkr.ecr.us-east-1.amazonaws.com/other:1"
    _decide(here, arn, "Technical-Approved", TESS)
    entry, _ = _story(here, arn)
    assert [difference["name"] for difference in entry["differences"]] == [
        "inference_specification.Containers.0.Image"
    ]
    assert (
        "not its candidate any more: inference_specification.Containers.0.Image"
        in entry["objections"][0]
    )
    assert reviews.standing(_story(here, arn), candidate_id, LATER) == []


def test_a_version_that_hides_its_candidate_is_reviewed_for_nothing(here: Organisation) -> None:
    arn, _ = _tested(here)
    del here.registry.versions[arn]["CustomerMetadataProperties"]["candidate-id"]
    _decide(here, arn, "Technical-Approved", TESS)
    entry, _ = _story(here, arn)
    assert "not its candidate any more: metadata.candidate-id" in entry["objections"][0]


def test_a_review_before_the_tests_counts_for_nothing(here: Organisation) -> None:
    _, _, arn = here.promoted()
    _decide(here, arn, "Technical-Approved", TESS)
    (entry,) = _story(here, arn)
    assert "cannot follow that" in entry["objections"][0]


def test_an_emergency_is_asked_for_with_a_reason(here: Organisation) -> None:
    arn, candidate_id = _tested(here)
    _decide(here, arn, "BreakGlass-Requested", TESS, "2026-01-31T13:00:00Z", because="")
    assert reviews.break_glass(_story(here, arn), candidate_id, LATER) is None
    _decide(here, arn, "BreakGlass-Requested", TESS, "2026-01-31T13:01:00Z", because="outage")
    found = reviews.break_glass(_story(here, arn), candidate_id, "2026-01-31T14:00:00Z")
    assert found
    assert (found["person"], found["reason"]) == ("tess", "outage")


@pytest.mark.parametrize(
    ("stage", "status", "kind"),
    [
        ("Prod", "Recalled", "VersionRecalled"),
        ("Retired", "Retired", "VersionRetired"),
        ("Prod", "Rejected", "VersionRejected"),
    ],
)
def test_what_ends_a_version_is_recorded_and_moves_it(
    here: Organisation, stage: str, status: str, kind: str
) -> None:
    arn, candidate_id = _tested(here)
    _decide(here, arn, "Technical-Approved", TESS, "2026-01-31T13:00:00Z")
    _decide(here, arn, status, BELLA, "2026-01-31T13:01:00Z", stage=stage)
    story = _story(here, arn)
    assert story[0]["kind"] == kind
    assert story[0]["approver"]["person"] == "bella"
    assert ledger.phase(story) == f"{stage}/{status}"
    stands = reviews.standing(story, candidate_id, "2026-01-31T14:00:00Z")
    assert bool(stands) is (kind == "VersionRetired")


def test_an_approval_or_our_own_write_is_none_of_its_business(here: Organisation) -> None:
    arn, _ = _tested(here)
    for status in ("Approved", "Deployed", "Releasing"):
        with pytest.raises(InvalidInputError, match="expected one of"):
            _decide(here, arn, status, BELLA)
    assert len(_story(here, arn)) == 1


def test_registry_and_ledger_agree_on_what_was_rejected_while_it_was_released(
    here: Organisation,
) -> None:
    arn, _ = _tested(here)
    _record(here, arn, "ReleaseStarted", "Prod", "Releasing")
    _decide(here, arn, "Rejected", BELLA, because="complaints from ward 7")
    for status in ("Errored", "RolledBack"):
        here.call(
            "set_stage",
            promotion=here.in_central(arn, "Prod"),
            model_package_arn=arn,
            stage="Prod",
            stage_status=status,
            description="",
            not_from={"stage": "Prod", "stage_status": "Rejected"},
        )
        kind = {"Errored": "ReleaseErrored", "RolledBack": "ReleaseRolledBack"}[status]
        _record(here, arn, kind, "Prod", status)
        life_cycle = here.registry.versions[arn]["ModelLifeCycle"]
        shown = f"{life_cycle['Stage']}/{life_cycle['StageStatus']}"
        assert shown == ledger.phase(_story(here, arn)) == "Prod/Rejected"


ENDPOINT = {"endpoint_name": "risk", "endpoint_arn": "arn:endpoint/risk", "account": "123456789012"}


def _serves(here: Organisation, arn: str, kind: str, status: str) -> None:
    _record(here, arn, kind, "Prod", status, deployment=ENDPOINT)


@pytest.mark.parametrize(
    ("entries", "shown"),
    [
        ([("CandidateInService", "Releasing"), ("CandidateReleased", "Deployed")], "Deployed"),
        # Its release broke, and it serves all the same.
        ([("CandidateInService", "Releasing"), ("ReleaseErrored", "Errored")], "Errored"),
    ],
)
def test_what_still_serves_is_not_retired(
    here: Organisation, entries: list[tuple[str, str]], shown: str
) -> None:
    arn, _ = _tested(here)
    for kind, status in entries:
        _serves(here, arn, kind, status)
    _decide(here, arn, "Retired", BELLA, stage="Retired", because="nothing calls it")
    story = _story(here, arn)
    assert story[0]["kind"] == "VersionRetired"
    assert "endpoint risk of account 123456789012 serves it" in story[0]["objections"][-1]
    assert ledger.phase(story) == f"Prod/{shown}"
    life_cycle = here.registry.versions[arn]["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", shown)


def test_what_another_version_has_taken_the_place_of_is_retired(here: Organisation) -> None:
    """Also if its release broke, so that no entry says that it stopped to serve."""
    arn, _ = _tested(here)
    _serves(here, arn, "CandidateInService", "Releasing")
    _serves(here, arn, "ReleaseErrored", "Errored")
    other = here.again(arn)
    _serves(here, other, "CandidateInService", "Releasing")
    _decide(here, arn, "Retired", BELLA, stage="Retired", because="nothing calls it")
    story = _story(here, arn)
    assert "objections" not in story[0]
    assert ledger.phase(story) == "Retired/Retired"
    assert here.registry.versions[arn]["ModelLifeCycle"]["Stage"] == "Retired"


# ------------------------------------------------------------------ after an emergency


EMERGENCY = {
    "allowed": True,
    "stage": "Prod",
    "policy_digest": "0" * 64,
    "break_glass": {"person": "alex", "reason": "outage"},
}


def _released_in_an_emergency(here: Organisation, due_at: str) -> tuple[str, str]:
    arn, candidate_id = _tested(here)
    known = {"candidate_id": candidate_id, "verdict": EMERGENCY}
    _record(here, arn, "CandidateReleased", "Prod", "Deployed", **known)
    _owes(here, arn, candidate_id, due_at)
    return arn, candidate_id


def _owes(here: Organisation, arn: str, candidate_id: str, due_at: str) -> None:
    owed = {"waived": ["technical"], "due_at": due_at, "reason": "outage"}
    known = {"candidate_id": candidate_id, "verdict": EMERGENCY, "approver": {"person": "grace"}}
    _record(here, arn, "MandatoryReviewOpened", "Prod", "Releasing", **known, **owed)


def _hours_from_now(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_late_review_closes_what_is_owed_and_the_version_stays_deployed(
    here: Organisation,
) -> None:
    arn, _ = _released_in_an_emergency(here, _hours_from_now(24))
    owed = reviews.open_mandatory_review(_story(here, arn))
    assert owed
    assert owed["missing"] == ["technical"]
    _decide(here, arn, "Technical-Approved", TESS, _hours_from_now(0))
    assert reviews.open_mandatory_review(_story(here, arn)) is None
    life_cycle = here.registry.versions[arn]["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "Deployed")


def test_what_is_owed_is_reviewed_while_the_release_still_bakes(here: Organisation) -> None:
    arn, candidate_id = _tested(here)
    _record(here, arn, "ReleaseStarted", "Prod", "Releasing", candidate_id=candidate_id)
    _decide(here, arn, "Technical-Approved", TESS, "2026-01-31T13:00:00Z")
    assert "is Prod/Releasing" in _story(here, arn)[0]["objections"][0], "nothing is owed yet"
    assert here.registry.versions[arn]["ModelLifeCycle"]["StageStatus"] == "Releasing"
    _owes(here, arn, candidate_id, _hours_from_now(24))
    _decide(here, arn, "Technical-Approved", TESS, _hours_from_now(0))
    assert "objections" not in _story(here, arn)[0]
    assert reviews.open_mandatory_review(_story(here, arn)) is None
    assert here.registry.versions[arn]["ModelLifeCycle"]["StageStatus"] == "Releasing"
    assert ledger.phase(_story(here, arn)) == "Prod/Releasing"


def test_what_a_release_has_set_meanwhile_is_not_hidden_again(
    here: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn, candidate_id = _tested(here)
    _record(here, arn, "ReleaseStarted", "Prod", "Releasing", candidate_id=candidate_id)
    _owes(here, arn, candidate_id, _hours_from_now(24))

    def ends(*_: Any) -> dict[str, Any]:
        """While the version is compared the release comes to its end."""
        deployed = {"Stage": "Prod", "StageStatus": "Deployed"}
        here.registry.versions[arn] |= {
            "ModelLifeCycle": deployed,
            "LastModifiedTime": _hours_from_now(1),
        }
        return {"candidate": {"candidate_id": candidate_id}, "differences": []}

    monkeypatch.setattr("governance.handlers.record_decision.compare_if_possible", ends)
    _decide(here, arn, "Technical-Approved", TESS, _hours_from_now(0))
    assert reviews.open_mandatory_review(_story(here, arn)) is None
    assert here.registry.versions[arn]["ModelLifeCycle"]["StageStatus"] == "Deployed"


def test_what_is_overdue_is_recorded_once(here: Organisation) -> None:
    arn, _ = _released_in_an_emergency(here, _hours_from_now(-1))
    assert arn in here.call("check_review_deadlines")["overdue"]
    assert arn not in here.call("check_review_deadlines")["overdue"]
    late = [entry for entry in _story(here, arn) if entry["kind"] == "MandatoryReviewOverdue"]
    assert len(late) == 1
    assert late[0]["waived"] == ["technical"]
    assert late[0]["workflow"] == "check_review_deadlines"


def test_what_is_not_due_or_done_is_not_overdue(here: Organisation) -> None:
    arn, _ = _released_in_an_emergency(here, _hours_from_now(1))
    assert arn not in here.call("check_review_deadlines")["overdue"]


def test_what_is_read_for_it_does_not_grow_with_the_history(here: Organisation) -> None:
    _released_in_an_emergency(here, _hours_from_now(-1))
    ours = Ledger("governed-path-ledger")
    newest = ours.recent(here.model, _hours_from_now(-1))
    assert [entry["sequence"] for entry in newest] == [5, 4, 3, 2, 1]
    assert list(ours.recent(here.model, _hours_from_now(1))) == []
