"""A ledger entry: one per state change, however often it is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import ledger, phases
from tests.contracts import samples

RECORDED = "2026-11-21T06:05:00Z"
OPTIONAL = {
    "origin_arn": samples.version_arn(samples.DEV, 1),
    "candidate_id": samples.CANDIDATE,
    "approver": samples.identity("ai-engineer", "alex"),
    "trainer": samples.identity("training", "theo"),
    "verdict": {"allowed": True},
    "report": {"uri": "s3://e/r.json"},
    "summary": {"metrics": {"auc": 0.82}},
    "failure": {"Error": "TransientError", "Cause": "x"},
    "superseded": samples.version_arn(version=2),
    "review": "technical",
    "reason": "read it",
    "objections": ["alex trained the version"],
    "differences": [{"name": "image", "expected": "a", "actual": "b"}],
    "waived": ["business"],
    "due_at": "2026-11-24T06:00:00Z",
}


def _request(**more: Any) -> dict[str, Any]:
    return {
        "kind": "ValidationPassed",
        "promotion": samples.promotion("Test"),
        "stage": "Test",
        "stage_status": "Passed",
        **more,
    }


def _entry(kind: str = "ValidationPassed", **more: Any) -> dict[str, Any]:
    return ledger.entry(kind, _request(**more), RECORDED)


def test_an_entry_says_what_happened_when_and_by_which_execution() -> None:
    promotion = samples.promotion("Test")
    assert _entry() == {
        "model": samples.MODEL,
        "entry_id": ledger.entry_id(
            samples.CLAIM, "ValidationPassed", promotion["model_package_arn"]
        ),
        "kind": "ValidationPassed",
        "recorded_at": RECORDED,
        "workflow": "validate_in_test",
        "execution_arn": promotion["execution_arn"],
        "claim_id": samples.CLAIM,
        "decided_at": samples.DECIDED,
        "model_package_arn": promotion["model_package_arn"],
        "stage": "Test",
        "stage_status": "Passed",
    }


@pytest.mark.parametrize(("name", "value"), OPTIONAL.items())
def test_what_is_known_besides_is_kept_and_what_is_not_is_left_out(name: str, value: Any) -> None:
    assert _entry(**{name: value}) == {**_entry(), name: value}
    assert _entry(**{name: None}) == _entry()


def test_nothing_else_of_the_request_gets_in() -> None:
    assert _entry(task_token="secret", objects=[1]) == _entry()


def test_of_a_deployment_only_where_it_is_is_kept() -> None:
    deployment = {
        "endpoint_name": "clinical-risk",
        "endpoint_arn": "arn:endpoint",
        "account": samples.PROD,
        "containers": [{"Environment": {"A": "b"}}],
    }
    assert _entry(deployment=deployment) == {
        **_entry(),
        "endpoint": {
            "endpoint_name": "clinical-risk",
            "endpoint_arn": "arn:endpoint",
            "account": samples.PROD,
        },
    }
    assert _entry(deployment=None) == _entry()


def test_an_entry_names_the_definition_that_was_decided_on_or_deployed() -> None:
    named = samples.definition_reference()
    other = {**named, "digest": "0" * 64}
    verdict = {"allowed": True, "facts": {"definition": {**named, "problems": []}}}
    place = dict.fromkeys(("endpoint_name", "endpoint_arn", "account"), "x")
    assert _entry(verdict=verdict)["definition"] == named
    assert _entry(verdict={"allowed": True, "facts": {"definition": None}}).keys() == (
        _entry(verdict={"allowed": True}).keys()
    )
    deployed = _entry(verdict=verdict, deployment={**place, "definition": other})
    assert deployed["definition"] == other


def test_what_no_execution_did_names_none() -> None:
    """A person's rejection is recorded and starts nothing."""
    request = _request()
    del request["promotion"]["execution_arn"]
    entry = ledger.entry("VersionRejected", request, RECORDED)
    assert "execution_arn" not in entry
    assert entry["claim_id"] == samples.CLAIM


def test_an_entry_is_about_the_version_it_names() -> None:
    """The Central version that a promotion made, or the one that a release superseded."""
    central = samples.version_arn(version=9)
    found = _entry(model_package_arn=central)
    assert found["model_package_arn"] == central
    assert found["entry_id"] == ledger.entry_id(samples.CLAIM, "ValidationPassed", central)


def test_recording_again_later_with_more_facts_is_the_same_entry() -> None:
    again = ledger.entry("ValidationPassed", _request(**OPTIONAL), "2026-11-22T00:00:00Z")
    assert again["entry_id"] == _entry()["entry_id"]


keys = st.tuples(*[st.text(max_size=12)] * 3)


@given(keys, keys)
def test_the_id_is_one_per_claim_kind_and_version(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (ledger.entry_id(*one) == ledger.entry_id(*other)) == (one == other)
    assert ledger.entry_id(*one) == ledger.entry_id(*one)
    assert len(ledger.entry_id(*one)) == 64


@pytest.mark.parametrize("kind", ledger.KINDS)
def test_each_kind_of_one_claim_is_an_entry_of_its_own(kind: str) -> None:
    ids = {_entry(other)["entry_id"] for other in ledger.KINDS}
    assert len(ids) == len(ledger.KINDS)
    assert _entry(kind)["kind"] == kind


@pytest.mark.parametrize("kind", ["", "validationpassed", "Promoted"])
def test_an_unknown_kind_is_refused_by_name(kind: str) -> None:
    with pytest.raises(
        ValueError, match=f"'{kind}' is no kind of ledger entry; known are Candidate"
    ):
        _entry(kind)


def test_every_workflow_can_say_how_it_ended() -> None:
    """Rejected and Errored are different things (DESIGN.md, rule 7)."""
    prefixes = {"promote_to_central": "Promotion", "validate_in_test": "Validation"}
    prefixes["release_to_prod"] = "Release"
    assert {phase.causes for phase in phases.APPROVALS.values()} == prefixes.keys()
    for prefix in prefixes.values():
        assert {f"{prefix}Rejected", f"{prefix}Errored"} <= set(ledger.KINDS)


def _story(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    """Entries about one version, told in the order in which they happened."""
    return list(reversed(entries))


def _ended(kind: str, candidate: str = "c") -> dict[str, Any]:
    status = kind.removeprefix("Validation")
    return {"kind": kind, "candidate_id": candidate, "stage": "Test", "stage_status": status}


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], False),
        (["ValidationPassed"], True),
        (["ValidationFailed", "ValidationPassed"], True),
        (["ValidationPassed", "ValidationFailed"], False),
        (["ValidationPassed", "ValidationErrored"], False),
        (["ValidationPassed", "ValidationStarted"], True),
    ],
)
def test_the_last_validation_that_ended_counts(kinds: list[str], expected: bool) -> None:
    assert ledger.tests_passed(_story(*map(_ended, kinds)), "c") is expected


def test_a_pass_of_another_candidate_does_not_count() -> None:
    assert not ledger.tests_passed(_story(_ended("ValidationPassed", "another")), "c")


def test_the_phase_is_where_the_last_entry_leaves_the_version() -> None:
    assert ledger.phase([]) is None
    passed = _ended("ValidationPassed")
    assert ledger.phase(_story(passed)) == "Test/Passed"
    promoted = {"kind": "CandidatePromoted", "stage": "Test", "stage_status": "PendingApproval"}
    assert ledger.phase(_story(promoted)) == "Test/PendingApproval"
    # Approved in Dev once more: the version in Central stays where it is.
    assert ledger.phase(_story(promoted, passed, promoted)) == "Test/Passed"
    rejected = {"kind": "ReleaseRejected", "stage": "Prod", "stage_status": "Rejected"}
    left = {"stage": "Prod", "stage_status": "Rejected"}
    refused = {**rejected, "verdict": {"allowed": False, "leaves": left}}
    assert ledger.phase(_story(passed, refused)) == "Prod/Rejected"
    # Refused because it was not its turn, or because a later decision stands: nothing moved.
    for where, phase in (
        ({"stage": "Test", "stage_status": "Passed"}, "Test/Passed"),
        (None, None),
    ):
        kept = {**rejected, "verdict": {"allowed": False, "leaves": where}}
        assert ledger.phase(_story(passed, kept)) == (phase or "Test/Passed")


@pytest.mark.parametrize("kind", sorted(ledger.UNMOVING))
def test_what_is_said_about_a_version_does_not_move_it(kind: str) -> None:
    passed = _ended("ValidationPassed")
    said = {"kind": kind, "stage": "Prod", "stage_status": "Whatever"}
    assert ledger.phase(_story(passed, said)) == "Test/Passed"
    assert ledger.tests_passed(_story(passed, said), "c")
    assert ledger.phase(_story(said)) is None


@pytest.mark.parametrize(
    ("kind", "phase"), [("VersionRecalled", "Prod/Recalled"), ("VersionRetired", "Retired/Retired")]
)
def test_a_recall_and_a_retirement_move_it(kind: str, phase: str) -> None:
    stage, _, status = phase.partition("/")
    gone = {"kind": kind, "stage": stage, "stage_status": status}
    assert ledger.phase(_story(_ended("ValidationPassed"), gone)) == phase
    assert not phases.may_follow(phase, "Prod/Approved")


def _at(kind: str, status: str, claim: str, decided_at: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "stage": "Prod",
        "stage_status": status,
        "claim_id": claim,
        "decided_at": decided_at,
    }


@pytest.mark.parametrize(
    "ends",
    [
        ("ReleaseErrored", "Errored"),
        ("ReleaseRolledBack", "RolledBack"),
        ("CandidateReleased", "Deployed"),
    ],
)
def test_a_persons_no_stays_however_the_release_ends(ends: tuple[str, str]) -> None:
    """As in the registry (`not_from`): who asks where the version stands gets one answer."""
    started = _at("ReleaseStarted", "Releasing", "one", "2026-01-31T12:00:00Z")
    serves = _at("CandidateInService", "Releasing", "one", "2026-01-31T12:00:00Z")
    rejected = _at("VersionRejected", "Rejected", "no", "2026-01-31T13:00:00Z")
    end = _at(*ends, "one", "2026-01-31T12:00:00Z")
    assert ledger.phase(_story(started, rejected, end)) == "Prod/Rejected"
    assert ledger.phase(_story(started, serves, rejected, serves, end)) == "Prod/Rejected"
    # Its event was faster than the release that it came after.
    assert ledger.phase(_story(rejected, started)) == "Prod/Rejected"
    assert ledger.phase(_story(rejected, started, end)) == "Prod/Rejected"


def test_a_no_is_over_once_something_was_decided_since() -> None:
    rejected = _at("VersionRejected", "Rejected", "no", "2026-01-31T13:00:00Z")
    again = _at("ReleaseStarted", "Releasing", "two", "2026-01-31T14:00:00Z")
    errored = _at("ReleaseErrored", "Errored", "two", "2026-01-31T14:00:00Z")
    assert ledger.phase(_story(rejected, again)) == "Prod/Releasing"
    assert ledger.phase(_story(rejected, again, errored)) == "Prod/Errored"
    # Approved for Test again, while the release that was rejected has not ended yet.
    tested = {**_ended("ValidationStarted"), "stage_status": "Validating"}
    late = _at("ReleaseErrored", "Errored", "one", "2026-01-31T12:00:00Z")
    assert ledger.phase(_story(rejected, tested, late)) == "Prod/Errored"
    taken_back = _at("CandidateRolledBack", "RolledBack", "back", "2026-01-31T15:00:00Z")
    assert ledger.phase(_story(rejected, late, taken_back)) == "Prod/RolledBack"


def test_a_retirement_that_was_refused_moves_nothing() -> None:
    released = _at("CandidateReleased", "Deployed", "one", "2026-01-31T12:00:00Z")
    retired = {"kind": "VersionRetired", "stage": "Retired", "stage_status": "Retired"}
    refused = {**retired, "objections": ["it serves"]}
    assert ledger.phase(_story(released, refused)) == "Prod/Deployed"
    assert ledger.phase(_story(released, refused, retired)) == "Retired/Retired"
    rejected = _at("VersionRejected", "Rejected", "no", "2026-01-31T13:00:00Z")
    late = _at("ReleaseErrored", "Errored", "one", "2026-01-31T12:00:00Z")
    assert ledger.phase(_story(rejected, refused, late)) == "Prod/Rejected"


def test_what_serves_moves_no_version_and_neither_does_a_rollback_that_broke_at_once() -> None:
    errored = {"kind": "ReleaseErrored", "stage": "Prod", "stage_status": "Errored"}
    serves = {"kind": "CandidateInService", "stage": "Prod", "stage_status": "Releasing"}
    assert ledger.phase(_story(errored, serves)) == "Prod/Errored"
    released = {"kind": "CandidateReleased", "stage": "Prod", "stage_status": "Deployed"}
    broken = {"kind": "RollbackErrored", "stage": "Prod"}
    for status in ("Rollback-Requested", "Deployed"):
        story = _story(released, {**broken, "stage_status": status})
        assert ledger.phase(story) == "Prod/Deployed"
    story = _story(released, {**broken, "stage_status": "Errored"})
    assert ledger.phase(story) == "Prod/Errored"


@pytest.mark.parametrize(
    ("kinds", "serves"),
    [
        ((), False),
        (("ReleaseStarted",), False),
        (("CandidateInService", "ReleaseErrored"), True),
        (("CandidateReleased", "ReleaseStarted"), True),
        (("CandidateReleased", "CandidateSuperseded", "ReleaseStarted"), False),
        (("CandidateInService", "CandidateRolledBack"), False),
        (("CandidateRolledBack", "CandidateRestored"), True),
        # It came into service, and was taken back before it had proved good.
        (("CandidateReleased", "CandidateInService", "ReleaseRolledBack"), False),
        (("CandidateInService", "ReleaseRolledBack", "CandidateInService"), True),
    ],
)
def test_a_version_may_serve_until_something_says_that_it_stopped(
    kinds: tuple[str, ...], serves: bool
) -> None:
    story = [{"kind": kind, "claim_id": "one"} for kind in kinds]
    assert ledger.may_serve(_story(*story)) is serves


def test_a_release_that_never_came_into_service_ends_nothing_that_an_earlier_one_began() -> None:
    served = {"kind": "CandidateReleased", "claim_id": "one"}
    taken_back = {"kind": "ReleaseRolledBack", "claim_id": "two"}
    assert ledger.may_serve(_story(served, taken_back))


@pytest.mark.parametrize(
    ("entry", "person"),
    [
        ({"kind": "CandidatePromoted", "approver": {"person": "dana"}}, "dana"),
        ({"kind": "ApprovalsVoided", "changed_by": {"person": "adam"}}, "adam"),
        ({"kind": "CandidateRegistered", "trainer": {"person": "theo"}}, "theo"),
        ({"kind": "PromotionErrored", "trainer": {"person": "theo"}}, None),
    ],
)
def test_who_did_what_an_entry_records(entry: dict[str, Any], person: str | None) -> None:
    assert ledger.who(entry).get("person") == person
