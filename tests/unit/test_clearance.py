"""Clearance follows the ledger: who grants, what ends it, in whatever order it is looked at."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import clearance
from governance.domain.errors import AccessError, InvalidInputError

TEST, PROD = "777788889999", "123456789012"
ACCOUNTS = {"Test": TEST, "Prod": PROD}
PHASES = {
    "ValidationPassed": ("Test", "Passed"),
    "ValidationFailed": ("Test", "Failed"),
    "ValidationErrored": ("Test", "Errored"),
    **dict.fromkeys(
        ("RollbackDrilled", "DrillFailed", "DrillErrored"), ("Prod", "Drill-Requested")
    ),
    "VersionRecalled": ("Prod", "Recalled"),
    "VersionRetired": ("Retired", "Retired"),
    "ApprovalsVoided": ("Prod", "Approved"),
    "CandidateInService": ("Prod", "Releasing"),
    "CandidateReleased": ("Prod", "Deployed"),
    "CandidateRolledBack": ("Prod", "RolledBack"),
    "ReleaseStarted": ("Prod", "Releasing"),
    "ReleaseRolledBack": ("Prod", "RolledBack"),
    "ReleaseStopped": ("Prod", "RolledBack"),
    "CandidateSuperseded": ("Prod", "Superseded"),
    "ReleaseErrored": ("Prod", "Errored"),
    "RunUnfinished": ("Test", "Validating"),
    "ReviewGiven": ("Prod", "Technical-Approved"),
    "ReviewRevoked": ("Prod", "Technical-Revoked"),
    "VersionRejected": ("Prod", "Rejected"),
}


def _story(*kinds: str) -> list[dict[str, Any]]:
    """Entries in the order of the ledger, returned as `story` reads them: the newest first.

    An hour lies between two of them, and all are of one claim but those that name another.
    """
    found: list[dict[str, Any]] = []
    for number, kind in enumerate(kinds, 1):
        kind, _, claim = kind.partition(" of ")
        entry: dict[str, Any] = {"sequence": number, "entry_id": f"e{number}", "kind": kind}
        entry |= {"claim_id": claim or "one", "recorded_at": f"2026-11-21T{number:02}:00:00Z"}
        if kind in ACCOUNTS:
            entry |= {"kind": clearance.GRANTED, "stage": kind}
            entry["clearance"] = {"stages": [kind], "account": ACCOUNTS[kind], "objects": 1}
        else:
            entry["stage"], entry["stage_status"] = PHASES[kind]
        entry["decided_at"] = f"2026-11-21T09:00:{number:02}Z"
        found.insert(0, entry)
    return found


@pytest.mark.parametrize(
    ("kinds", "held"),
    [
        ((), {}),
        (("Test",), {"Test": TEST}),
        (("Test", "ValidationPassed"), {}),
        (("Test", "ValidationFailed"), {}),
        (("Test", "ValidationErrored"), {}),
        (("Test", "ValidationPassed", "Test"), {"Test": TEST}),
        # A drill leaves a version that served as readable as it was, and to Test not at all.
        (("Prod", "CandidateReleased", "Test", "RollbackDrilled"), {"Prod": PROD}),
        (("Prod", "CandidateReleased", "Test", "DrillFailed"), {"Prod": PROD}),
        (("Prod", "CandidateReleased", "Test", "DrillErrored"), {"Prod": PROD}),
        (("Test", "ValidationPassed", "Prod"), {"Prod": PROD}),
        (("Test", "Prod"), {"Test": TEST, "Prod": PROD}),
        # A rollback target stays readable, and so does what a failed release has left there.
        (("Prod", "CandidateReleased", "CandidateSuperseded"), {"Prod": PROD}),
        (("Prod", "ReleaseErrored"), {"Prod": PROD}),
        # But not what somebody has taken back before it came to serve.
        (("Prod", "VersionRejected", "ReleaseErrored"), {}),
        (("Prod", "ReviewRevoked", "ReleaseErrored"), {}),
        (("VersionRejected", "Prod", "ReleaseErrored"), {"Prod": PROD}),
        (("Prod", "CandidateInService", "VersionRejected", "ReleaseErrored"), {"Prod": PROD}),
        (("Prod", "CandidateReleased", "VersionRecalled"), {}),
        (("Prod", "CandidateReleased", "CandidateSuperseded", "VersionRetired"), {}),
        (("Test", "Prod", "VersionRecalled"), {}),
        (("Prod", "ApprovalsVoided"), {}),
        (("Prod", "CandidateReleased", "CandidateSuperseded", "ApprovalsVoided"), {}),
        # What somebody rejects later is nothing to go back to any more.
        (("Prod", "CandidateReleased", "CandidateSuperseded", "VersionRejected"), {}),
        (
            ("Test", "Prod", "CandidateReleased", "CandidateSuperseded", "VersionRejected"),
            {"Test": TEST},
        ),
        (("Prod", "CandidateReleased", "VersionRejected"), {"Prod": PROD}),
        # A release that goes on asks for itself whether it was rejected.
        (("Prod", "ReleaseStarted", "VersionRejected"), {"Prod": PROD}),
        (("Prod", "ReleaseStarted", "VersionRejected", "ReleaseRolledBack"), {}),
        # What serves is not taken from under its instances.
        (("Prod", "CandidateReleased", "ReviewGiven", "ApprovalsVoided"), {"Prod": PROD}),
        # So does one that came into service and was found taken back before it had proved good.
        (("Prod", "CandidateInService", "ReleaseStarted", "ReleaseRolledBack"), {}),
        # A release that ends before its version serves takes the clearance with it.
        (("Prod", "ReleaseStarted", "ReleaseRolledBack"), {}),
        (("Prod", "ReleaseStarted", "ReleaseStopped"), {}),
        # But not what serves by an earlier one, whatever became of that.
        (
            ("Prod", "CandidateInService", "ReleaseErrored", "Prod", "ReleaseRolledBack of two"),
            {"Prod": PROD},
        ),
        (("Prod", "CandidateReleased", "Prod", "ReleaseRolledBack of two"), {"Prod": PROD}),
        (("Prod", "CandidateInService", "ReleaseStopped"), {"Prod": PROD}),
        (("Prod", "CandidateInService", "ReleaseErrored", "ApprovalsVoided"), {"Prod": PROD}),
        # Until something says that it serves no more.
        (("Prod", "CandidateInService", "ReleaseStopped", "CandidateRolledBack"), {}),
        (
            (*("Prod", "CandidateReleased", "CandidateSuperseded"), "Prod", "ReleaseRolledBack"),
            {},
        ),
        # A drill and a validation of the same version: who ends first takes nothing from the other.
        (("Test", "Test of drill", "RollbackDrilled of drill"), {"Test": TEST}),
        (("Test", "Test of drill", "ValidationPassed"), {"Test": TEST}),
        (("Test", "Test of drill", "ValidationPassed", "DrillFailed of drill"), {}),
        # A run that was stopped needs it no more, and takes nothing from the other either.
        (("Test", "RunUnfinished"), {}),
        (("Test", "Test of drill", "RunUnfinished of drill"), {"Test": TEST}),
        (("Prod", "CandidateInService", "RunUnfinished"), {"Prod": PROD}),
        # What takes the version away takes it from both.
        (("Test", "Test of drill", "VersionRecalled"), {}),
        # Who was granted it longer ago than any run lasts was stopped.
        (("Test of stopped", *["ReviewGiven"] * 2, "Test", "ValidationPassed"), {"Test": TEST}),
        (("Test of stopped", *["ReviewGiven"] * 3, "Test", "ValidationPassed"), {}),
        (("Test", "ReviewGiven"), {"Test": TEST}),
        (("ValidationPassed", "VersionRecalled"), {}),
    ],
)
def test_a_clearance_lasts_from_its_grant_to_what_ends_it(
    kinds: tuple[str, ...], held: dict[str, str]
) -> None:
    assert clearance.held(_story(*kinds)) == held


def test_an_entry_ends_what_was_granted_before_it_and_nothing_later() -> None:
    story = _story("Test", "ValidationErrored", "Test", "ValidationPassed")
    assert clearance.ended_by(story, "e2") == {"Test": TEST}
    assert clearance.ended_by(story[1:], "e2") == {"Test": TEST}
    assert clearance.ended_by(story, "e4") == {"Test": TEST}
    assert clearance.held(story[1:]) == {"Test": TEST}


def test_an_entry_that_ended_nothing_revokes_nothing() -> None:
    story = _story("ValidationErrored", "Prod", "CandidateReleased", "ApprovalsVoided")
    assert clearance.ended_by(story, "e1") == {}
    assert clearance.ended_by(story, "e4") == {}
    assert clearance.ended_by(story, "unknown") == {}


def test_the_tags_say_yes_to_one_account_and_no_to_the_rest() -> None:
    assert clearance.tags("m", "c", {}) == {
        "candidate-id": "c",
        "model": "m",
        "cleared-test": "no",
        "cleared-prod": "no",
    }
    assert clearance.tags("m", "c", {"Prod": PROD}) == {
        "candidate-id": "c",
        "model": "m",
        "cleared-test": "no",
        "cleared-prod": "yes",
        "prod-account": PROD,
    }
    # S3 takes ten tags of an object.
    assert len(clearance.tags("m", "c", ACCOUNTS)) <= 10


@pytest.mark.parametrize(
    ("role", "loaded"),
    [
        ("model-data", True),
        ("model-data-2", True),
        ("channel/draft", True),
        ("additional-data", True),
        ("specification/gpu/model-data", True),
        ("specification/gpu/channel/draft", True),
        ("holdout", False),
        ("evaluation", False),
        ("sample-payload", False),
        ("metrics/bias-report", False),
        ("baseline/model-data-quality", False),
        ("card/1", False),
        ("validation/one", False),
        ("algorithm/model-data", False),
        ("specification", False),
    ],
)
def test_an_endpoint_is_cleared_for_what_it_loads(role: str, loaded: bool) -> None:
    assert bool(clearance.loaded([{"role": role}])) is loaded


@pytest.mark.parametrize(
    "kind",
    ["VersionRecalled", "VersionRetired", "VersionRejected", "ApprovalsVoided", "ReviewRevoked"],
)
def test_what_was_withdrawn_after_its_approval_is_not_cleared(kind: str) -> None:
    story = _story("ValidationPassed", kind)
    promotion = {"model_package_arn": "arn:m/1", "decided_at": "2026-11-21T09:00:01Z"}
    with pytest.raises(AccessError, match=rf"arn:m/1 is not cleared for Prod: entry 2 \({kind}\)"):
        clearance.check_not_withdrawn(story, promotion, "Prod")
    later = {**promotion, "decided_at": "2026-11-21T09:00:02Z"}
    clearance.check_not_withdrawn(story, later, "Prod")
    assert [entry["kind"] for entry in clearance.withdrawn(story, promotion)] == [kind]
    # Only tampering says that it is not the candidate that was approved.
    voided = clearance.voided(story, promotion)
    assert [one["name"] for one in voided] == ["approval"] * (kind == "ApprovalsVoided")
    assert clearance.voided(story, later) == []


def test_a_retirement_that_was_refused_ends_and_withdraws_nothing() -> None:
    story = _story("Prod", "CandidateReleased", "VersionRetired")
    story[0]["objections"] = ["it serves"]
    assert clearance.held(story) == {"Prod": PROD}
    assert clearance.ended_by(story, story[0]["entry_id"]) == {}
    assert clearance.withdrawn(story, {"decided_at": "2026-11-21T01:00:00Z"}) == []


def test_each_voiding_since_the_approval_is_named_with_its_entry() -> None:
    story = _story("ApprovalsVoided", "ReviewGiven", "ApprovalsVoided", "ApprovalsVoided")
    assert clearance.voided(story, {"decided_at": "2026-11-21T09:00:02Z"}) == [
        {
            "name": "approval",
            "expected": "the one of 2026-11-21T09:00:02Z, standing",
            "actual": f"voided by entry {number} of 2026-11-21T0{number}:00:00Z",
        }
        for number in (4, 3)
    ]


@pytest.mark.parametrize(
    "kind",
    ["VersionRecalled", "VersionRetired", "VersionRejected", "ApprovalsVoided", "ReviewRevoked"],
)
def test_a_grant_that_was_recorded_after_what_it_had_to_heed_opens_nothing(kind: str) -> None:
    """Whoever granted had looked before the recall was recorded."""
    story = _story("ValidationPassed", kind, "Prod")
    grant, withdrawal, _ = story
    grant["decided_at"] = "2026-11-21T09:00:01Z"
    assert clearance.held(story) == {}
    # What was approved at that very time, or later, was approved with it in mind.
    for decided_at in (withdrawal["decided_at"], "2026-11-21T09:00:09Z"):
        grant["decided_at"] = decided_at
        assert clearance.held(story) == {"Prod": PROD}


def test_a_grant_that_came_too_late_leaves_the_one_before_it() -> None:
    story = _story("Prod of first", "CandidateReleased of first", "ReviewRevoked", "Prod of second")
    story[0] |= {"decided_at": "2026-11-21T09:00:01Z"}
    story[0]["clearance"] |= {"account": TEST}
    assert clearance.held(story) == {"Prod": PROD}


def test_a_grant_is_found_by_its_claim() -> None:
    story = _story("ValidationPassed", "Prod of first", "VersionRecalled")
    assert clearance.was_granted(story)
    assert clearance.was_granted(story, "first")
    assert not clearance.was_granted(story, "one")
    assert not clearance.was_granted(story[2:])


@pytest.mark.parametrize(
    "event",
    [
        {"id": "e"},
        {"id": "e", "detail": "text"},
        {"id": "e", "detail": {"kind": "CandidateReleased", "model": "m"}},
        {"id": "e", "detail": {"kind": "VersionRecalled", "model": "m", "entry_id": "e1"}},
    ],
)
def test_an_event_about_anything_else_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="event e is about"):
        clearance.cause_of(event)


def test_an_event_names_its_entry() -> None:
    named = {"model": "m", "model_package_arn": "arn:m/1", "entry_id": "e1"}
    assert clearance.cause_of({"detail": {**named, "kind": "VersionRecalled"}}) == named


@given(st.lists(st.sampled_from([*PHASES, "Test", "Prod"]), max_size=12))
def test_a_revocation_of_every_end_accounts_for_every_grant(kinds: list[str]) -> None:
    """Whoever looks at each entry once closes exactly what is not held any more."""
    story = _story(*kinds)
    opened: dict[str, str] = {}
    for index in reversed(range(len(story))):
        entry = story[index]
        if entry["kind"] == clearance.GRANTED:
            opened[entry["stage"]] = entry["clearance"]["account"]
        for stage in clearance.ended_by(story, entry["entry_id"]):
            del opened[stage]
    assert opened == clearance.held(story)


@pytest.mark.parametrize("phase", ["Deployed", "Releasing", "Errored"])
def test_tampering_closes_no_bytes_that_may_serve(phase: str) -> None:
    story = _story("Test", "Prod", "ReleaseErrored", "ApprovalsVoided")
    story[1]["stage_status"] = phase
    assert clearance.held(story) == {"Prod": PROD}
