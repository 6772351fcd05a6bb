"""What the ledger says to a gate: who approved before, what the tests measured, which policy."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import history
from tests.contracts import samples

CANDIDATE = samples.CANDIDATE


def _entry(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "candidate_id": CANDIDATE, "decided_at": "2026-11-20T06:00:00Z", **more}


DEV, CENTRAL = samples.version_arn(samples.DEV), samples.version_arn()
DANA, ALEX = samples.identity("data-scientist", "dana"), samples.identity("ai-engineer", "alex")
PROMOTED = _entry(
    "CandidatePromoted", approver=DANA, stage="Test", origin_arn=DEV, model_package_arn=CENTRAL
)
PASSED = _entry(
    "ValidationPassed",
    approver=ALEX,
    model_package_arn=CENTRAL,
    summary={"metrics": {"auc": 0.8}},
    decided_at="2026-11-21T06:00:00Z",
)
STORY = [PASSED, PROMOTED]


@pytest.mark.parametrize(
    ("stage", "people"), [("Dev", []), ("Test", ["dana"]), ("Prod", ["dana", "alex"])]
)
def test_the_approvals_are_those_of_the_stages_before(stage: str, people: list[str]) -> None:
    found = history.approvals(STORY, CANDIDATE, stage, {})
    assert [approval["person"] for approval in found] == people


def test_the_newest_approval_of_a_stage_counts_and_another_candidates_does_not() -> None:
    again = {**PROMOTED, "approver": {"person": "dora"}, "decided_at": "2026-11-22T06:00:00Z"}
    other = {**PROMOTED, "approver": {"person": "otto"}, "candidate_id": "other"}
    (found,) = history.approvals([other, again, PROMOTED], CANDIDATE, "Test", {})
    assert found == {
        "stage": "Dev",
        "person": "dora",
        "decided_at": "2026-11-22T06:00:00Z",
        "unconfirmed": "CloudTrail has not confirmed who approved",
        "cloudtrail_event_id": None,
    }


def test_cloudtrail_confirms_each_earlier_approval_by_its_own_version_and_time() -> None:
    asked = history.earlier_decisions(STORY, CANDIDATE, "Prod", CENTRAL)
    assert asked == [f"{DEV}#Dev", f"{CENTRAL}#Test"]
    # Only Prod asks: the others would have to wait for CloudTrail.
    assert history.earlier_decisions(STORY, CANDIDATE, "Test", CENTRAL) == []
    dev = {"approver": DANA, "called_at": "2026-11-20T06:00:01Z", "cloudtrail_event_id": "d"}
    test = {"approver": ALEX, "called_at": "2026-11-21T06:00:00Z", "cloudtrail_event_id": "t"}

    def unconfirmed(*records: list[dict[str, Any]]) -> list[Any]:
        told = dict(zip(asked, records, strict=True))
        found = history.approvals(STORY, CANDIDATE, "Prod", told)
        return [one["unconfirmed"] for one in found]

    assert unconfirmed([dev], [test]) == [None, None]
    late = {**dev, "called_at": "2026-11-20T06:00:03Z"}
    assert unconfirmed([late], [test])[0] == "CloudTrail has not confirmed who approved"
    said = unconfirmed([dev], [{**test, "approver": DANA}])[1]
    assert "assumed-role/governed-path-ai-engineer/alex, CloudTrail" in said


def test_an_approval_by_nobody_known_stays_one_by_nobody() -> None:
    (found,) = history.approvals([{**PROMOTED, "approver": None}], CANDIDATE, "Test", {})
    assert found["person"] == ""


def test_the_tests_count_with_what_they_measured() -> None:
    assert history.tests(STORY, CANDIDATE) == (True, {"auc": 0.8})
    assert history.tests([], CANDIDATE) == (False, {})
    assert history.tests([_entry("ValidationFailed"), *STORY], CANDIDATE) == (False, {})
    assert history.tests([{**PASSED, "summary": None}], CANDIDATE) == (True, {})


def test_what_was_tested_was_tested_with_one_definition() -> None:
    passed = {**PASSED, "definition": samples.definition_reference()}
    digest = samples.definition_reference()["digest"]
    assert history.tested_definition([passed, PROMOTED], CANDIDATE) == digest
    assert history.tested_definition(STORY, CANDIDATE) is None
    assert history.tested_definition([passed], "other") is None
    assert history.tested_definition([_entry("ValidationFailed"), passed], CANDIDATE) is None
    assert history.tested_definition([_entry("ApprovalsVoided"), passed], CANDIDATE) is None


def test_what_was_tested_before_the_approvals_were_voided_counts_no_more() -> None:
    voided = _entry("ApprovalsVoided", decided_at="2026-11-21T07:00:00Z")
    assert history.tests([voided, *STORY], CANDIDATE) == (False, {})
    assert history.tests([{**voided, "candidate_id": "other"}, *STORY], CANDIDATE)[0]
    again = {**PASSED, "decided_at": "2026-11-21T08:00:00Z"}
    assert history.tests([again, voided, *STORY], CANDIDATE)[0]


def test_tests_that_end_after_the_tampering_do_not_bring_their_approval_back() -> None:
    """Changed and put back while the tests ran: they passed on an approval that was voided."""
    voided = _entry("ApprovalsVoided", decided_at="2026-11-21T06:05:00Z")
    story = [PASSED, voided, PROMOTED]
    assert history.tests(story, CANDIDATE) == (False, {})
    assert [one["stage"] for one in history.approvals(story, CANDIDATE, "Prod", {})] == ["Dev"]
    same_second = {**voided, "decided_at": PASSED["decided_at"]}
    assert not history.tests([PASSED, same_second, PROMOTED], CANDIDATE)[0]


def test_a_policy_is_recorded_if_it_was_published_last() -> None:
    changes = [{"policy": {"after": {"digest": digest}}} for digest in ("new", "old")]
    assert history.is_recorded("new", changes)
    assert not history.is_recorded("old", changes)
    assert not history.is_recorded("new", [])
