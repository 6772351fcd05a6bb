"""Reviews that stand: the newest word of each person, on these bytes, not too old, not voided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import ledger, reviews
from tests.contracts import samples

NOW = "2026-11-21T12:00:00Z"
ARN = samples.version_arn()
Entry = dict[str, Any]


def at(hours: float) -> str:
    """That many hours before now."""
    moment = datetime(2026, 11, 21, 12, tzinfo=UTC) - timedelta(hours=hours)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def entry(kind: str, hours: float, person: str | None = None, **more: Any) -> Entry:
    """An entry about the version, decided that many hours before now."""
    return {
        "kind": kind,
        "model": samples.MODEL,
        "model_package_arn": ARN,
        "claim_id": f"claim-{kind}-{hours}",
        "entry_id": f"{kind}-{person}-{hours}",
        "decided_at": at(hours),
        "recorded_at": at(hours - 0.01),
        "candidate_id": samples.CANDIDATE,
        **({"approver": samples.identity("ai-engineer", person)} if person is not None else {}),
        **more,
    }


def gave(person: str, hours: float, review: str = "technical", **more: Any) -> Entry:
    return entry("ReviewGiven", hours, person, review=review, reason="read it", **more)


def revoked(person: str | None, hours: float, review: str = "technical", **more: Any) -> Entry:
    return entry("ReviewRevoked", hours, person, review=review, reason="a doubt", **more)


def asked(person: str, hours: float, **more: Any) -> Entry:
    return entry("BreakGlassRequested", hours, person, reason="patients wait", **more)


def told(*entries: Entry) -> list[Entry]:
    """A story, the newest first, of entries in the order in which they were recorded."""
    return list(reversed(entries))


def standing(*entries: Entry, now: str = NOW, **more: Any) -> list[tuple[str, str]]:
    found = reviews.standing(told(*entries), samples.CANDIDATE, now, **more)
    return [(review["kind"], review["person"]) for review in found]


def test_a_review_in_force_says_who_what_when_until_when_and_on_what_it_rests() -> None:
    assert reviews.standing(told(gave("alex", 2)), samples.CANDIDATE, NOW) == [
        {
            "kind": "technical",
            "person": "alex",
            "persona": "ai-engineer",
            "role_arn": samples.identity("ai-engineer", "alex")["role_arn"],
            "session_arn": samples.identity("ai-engineer", "alex")["session_arn"],
            "source_identity": "alex",
            "given_at": "2026-11-21T10:00:00Z",
            "expires_at": "2026-12-21T10:00:00Z",
            "entry_id": "ReviewGiven-alex-2",
            "description": "read it",
        }
    ]


def test_nothing_stands_in_an_empty_story() -> None:
    assert standing() == []
    assert reviews.break_glass([], samples.CANDIDATE, NOW) is None
    assert reviews.open_mandatory_review([]) is None


def test_the_newest_comes_first_and_every_kind_and_person_once() -> None:
    assert standing(
        gave("alex", 5), gave("bella", 4, "business"), gave("ben", 3), gave("alex", 2)
    ) == [("technical", "alex"), ("technical", "ben"), ("business", "bella")]


@pytest.mark.parametrize(
    ("given_at", "now", "stands"),
    [
        (24 * 7 - 0.01, NOW, True),
        (24 * 7, NOW, False),
        (24 * 8, NOW, False),
        (0, NOW, True),
        (-1, NOW, False),  # what was not yet given at that time
    ],
)
def test_a_review_expires(given_at: float, now: str, stands: bool) -> None:
    assert bool(standing(gave("alex", given_at), now=now, valid_days=7)) is stands


def test_a_person_takes_back_their_own_review_and_may_give_it_again() -> None:
    assert standing(gave("alex", 3), revoked("alex", 2)) == []
    assert standing(gave("alex", 3), revoked("alex", 2), gave("Alex ", 1)) == [
        ("technical", "Alex ")
    ]
    # Names are compared as separation of duties compares them.
    assert standing(gave("alex", 3), revoked(" ALEX", 2)) == []


def test_a_revocation_leaves_other_people_and_other_kinds() -> None:
    left = [("business", "alex"), ("technical", "ben")]
    assert (
        standing(gave("alex", 5), gave("ben", 4), gave("alex", 3, "business"), revoked("alex", 2))
        == left
    )


def test_of_events_that_came_in_the_wrong_order_the_later_decision_counts() -> None:
    assert standing(revoked("alex", 2), gave("alex", 3)) == []
    assert standing(gave("alex", 1), revoked("alex", 2)) == [("technical", "alex")]
    assert standing(gave("alex", 2), revoked("alex", 2)) == [], "in doubt it is taken back"
    assert standing(revoked("alex", 2), gave("alex", 2)) == []


def test_a_revocation_by_nobody_known_takes_back_all_of_its_kind() -> None:
    entries = [gave("alex", 5), gave("ben", 4), gave("bella", 3, "business")]
    assert standing(*entries, revoked(None, 2)) == [("business", "bella")]
    assert standing(*entries, revoked(None, 2), gave("alex", 1)) == [
        ("technical", "alex"),
        ("business", "bella"),
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"objections": ["alex trained the version"]},
        {"candidate_id": "0" * 64},
        {"candidate_id": None},
        {"approver": None},
        {"approver": samples.identity("ai-engineer", " ")},
    ],
    ids=repr,
)
def test_what_is_no_known_persons_yes_to_these_bytes_does_not_count(more: dict[str, Any]) -> None:
    assert standing(gave("alex", 2) | more) == []
    assert reviews.break_glass(told(asked("alex", 2) | more), samples.CANDIDATE, NOW) is None


def test_what_does_not_count_takes_nothing_away() -> None:
    objected = {"objections": ["the role governed-path-admin may not do this"]}
    assert standing(gave("alex", 3), gave("alex", 2, **objected)) == [("technical", "alex")]
    assert standing(gave("alex", 3), revoked("alex", 2, **objected)) == [("technical", "alex")]


@pytest.mark.parametrize(
    "kind", ["ApprovalsVoided", "ValidationStarted", "VersionRejected", "VersionRecalled"]
)
def test_what_a_review_rests_on_takes_it_along_when_it_goes(kind: str) -> None:
    assert standing(gave("alex", 3), entry(kind, 2)) == []
    assert standing(entry(kind, 3), gave("alex", 2)) == [("technical", "alex")]
    # A late event: decided before, recorded after. And one that was recorded too early.
    assert standing(entry(kind, 2), gave("alex", 3)) == []
    assert standing(gave("alex", 2), entry(kind, 3)) == []
    assert reviews.break_glass(told(asked("alex", 3), entry(kind, 2)), samples.CANDIDATE, NOW) is (
        None
    )


@pytest.mark.parametrize("kind", ["ReleaseRejected", "ValidationPassed", "ReleaseErrored"])
def test_a_gates_no_and_our_own_faults_leave_reviews_in_force(kind: str) -> None:
    assert standing(gave("alex", 3), entry(kind, 2)) == [("technical", "alex")]


def test_approvals_of_another_candidate_are_voided_without_ours() -> None:
    assert standing(gave("alex", 3), entry("ApprovalsVoided", 2) | {"candidate_id": "0" * 64})


def test_a_break_glass_request_says_who_why_and_until_when() -> None:
    assert reviews.break_glass(told(asked("alex", 2)), samples.CANDIDATE, NOW) == {
        "person": "alex",
        "persona": "ai-engineer",
        "session_arn": samples.identity("ai-engineer", "alex")["session_arn"],
        "source_identity": "alex",
        "reason": "patients wait",
        "requested_at": "2026-11-21T10:00:00Z",
        "expires_at": "2026-11-22T10:00:00Z",
        "entry_id": "BreakGlassRequested-alex-2",
    }


@pytest.mark.parametrize(("hours", "force"), [(3.99, True), (4, False), (5, False), (-1, False)])
def test_a_break_glass_request_expires(hours: float, force: bool) -> None:
    story = told(asked("alex", hours))
    assert bool(reviews.break_glass(story, samples.CANDIDATE, NOW, valid_hours=4)) is force


def test_the_newest_request_counts_and_each_serves_one_release() -> None:
    newest = reviews.break_glass(told(asked("ben", 1), asked("alex", 2)), samples.CANDIDATE, NOW)
    assert newest
    assert newest["person"] == "ben"
    released = entry("CandidateReleased", 1)
    assert reviews.break_glass(told(asked("alex", 2), released), samples.CANDIDATE, NOW) is None
    assert reviews.break_glass(told(released, asked("alex", 0.5)), samples.CANDIDATE, NOW)
    assert standing(gave("alex", 2), released), "a review serves every release of its candidate"


def opened(hours: float = 10, **more: Any) -> Entry:
    """A release without two of its reviews: alex asked, grace signed."""
    return entry(
        "MandatoryReviewOpened",
        hours,
        "grace",
        **{
            "waived": ["technical", "business"],
            "due_at": "2026-11-23T00:00:00Z",
            "stage": "Prod",
            "stage_status": "Deployed",
            "verdict": {"allowed": True, "break_glass": {"person": "alex"}},
            **more,
        },
    )


def still_owed(*entries: Entry) -> Any:
    found = reviews.open_mandatory_review(told(*entries))
    return None if found is None else found["missing"]


def test_an_open_mandatory_review_says_what_is_owed_until_when() -> None:
    first = opened()
    assert reviews.open_mandatory_review(told(first)) == {
        "model": samples.MODEL,
        "model_package_arn": ARN,
        "candidate_id": samples.CANDIDATE,
        "waived": ["technical", "business"],
        "missing": ["technical", "business"],
        "due_at": "2026-11-23T00:00:00Z",
        "opened_at": first["recorded_at"],
        "overdue_recorded": False,
        "entry_id": first["entry_id"],
        "entry": first,
    }


def test_reviews_after_the_release_close_it() -> None:
    assert still_owed(opened(), gave("ben", 2)) == ["business"]
    assert still_owed(opened(), gave("ben", 2), gave("bella", 1, "business")) is None
    assert still_owed(gave("ben", 12), gave("bella", 11, "business"), opened()) == [
        "technical",
        "business",
    ]


def test_who_broke_the_glass_does_not_review_it() -> None:
    assert still_owed(opened(), gave("alex", 2), gave("grace", 1, "business")) == [
        "technical",
        "business",
    ]


def test_while_a_version_is_released_only_what_its_emergency_owes_is_reviewed() -> None:
    """The deadline runs from the moment in which the version serves, and a bake may take a day."""
    technical, revocation = "Prod/Technical-Approved", "Prod/Technical-Revoked"
    owing, paid = told(opened()), told(opened(), gave("ben", 2), gave("bella", 1, "business"))
    assert reviews.may_be_given("Prod/Releasing", technical, owing)
    assert not reviews.may_be_given("Prod/Releasing", technical, paid)
    assert not reviews.may_be_given("Prod/Releasing", technical, [])
    assert not reviews.may_be_given("Prod/Releasing", revocation, owing)
    assert not reviews.may_be_given("Prod/Releasing", "Prod/BreakGlass-Requested", owing)
    assert reviews.may_be_given("Prod/Deployed", technical, [])
    assert not reviews.may_be_given("Test/Failed", technical, owing)
    assert not reviews.may_be_given(None, technical, owing)


def test_only_a_revocation_opens_it_again() -> None:
    closed = [opened(), gave("ben", 3), gave("bella", 2, "business")]
    assert still_owed(*closed, entry("VersionRecalled", 1)) is None
    assert still_owed(*closed, entry("ValidationStarted", 1)) is None
    assert still_owed(*closed, revoked("ben", 1)) == ["technical"]


def test_without_a_word_on_what_was_waived_or_when_it_is_due_the_defaults_hold() -> None:
    found = reviews.open_mandatory_review(told(opened(waived=None, due_at=None)))
    assert found
    assert found["missing"] == list(reviews.KINDS)
    assert found["due_at"] == "2026-11-24T02:00:36Z", "72 hours after it was opened"


def test_that_it_is_overdue_is_known_once_it_was_recorded() -> None:
    first = opened()
    late = entry("MandatoryReviewOverdue", 1) | {"claim_id": first["claim_id"]}
    found = reviews.open_mandatory_review(told(first, late))
    assert found
    assert found["overdue_recorded"] is True
    again = reviews.open_mandatory_review(told(first, late, opened(0.5)))
    assert again
    assert again["overdue_recorded"] is False, "that was another release"


@pytest.mark.parametrize(
    ("now", "late"),
    [("2026-11-22T23:59:59Z", False), ("2026-11-23T00:00:00Z", True)],
)
def test_what_is_owed_is_overdue_at_its_deadline_and_said_once(now: str, late: bool) -> None:
    first, other = opened(), opened(5) | {"model_package_arn": samples.version_arn(version=9)}
    found = reviews.overdue(told(first, gave("ben", 2), other), now)
    expected = {ARN: ["business"], samples.version_arn(version=9): ["technical", "business"]}
    told_late = {review["model_package_arn"]: review["missing"] for review in found}
    assert told_late == (expected if late else {})
    for review in found:
        request = reviews.overdue_request(review, "check_review_deadlines")
        recorded = ledger.entry("MandatoryReviewOverdue", request, now)
        assert recorded["waived"] == review["missing"]
        assert recorded["reason"].startswith("not reviewed by 2026-11-23T00:00:00Z: ")
        story = told(first, gave("ben", 2), other, recorded)
        again = {r["model_package_arn"] for r in reviews.overdue(story, now)}
        assert review["model_package_arn"] not in again


# ------------------------------------------------------------------ whatever happens

_hours = st.integers(0, 200)
_people = st.sampled_from(["alex", "ben", "grace"])
_kinds = st.sampled_from(reviews.KINDS)
_candidates = st.sampled_from([samples.CANDIDATE, "0" * 64])
_entries = st.one_of(
    st.builds(
        lambda who, when, kind, candidate: gave(who, when, kind, candidate_id=candidate),
        *(_people, _hours, _kinds, _candidates),
    ),
    st.builds(revoked, st.none() | _people, _hours, _kinds),
    st.builds(lambda who, when: gave(who, when, objections=["no"]), _people, _hours),
    st.builds(asked, _people, _hours),
    st.builds(
        lambda kind, when, candidate: entry(kind, when) | {"candidate_id": candidate},
        st.sampled_from(["ValidationStarted", "VersionRejected", "ApprovalsVoided"]),
        _hours,
        _candidates,
    ),
    st.builds(entry, st.sampled_from(["CandidateReleased", "ReleaseRejected"]), _hours),
)
_stories = st.lists(_entries, max_size=12)


@given(_stories, st.integers(1, 10))
def test_what_stands_was_given_by_that_person_on_this_candidate_in_time(
    story: list[Entry], days: int
) -> None:
    by_id = {found["entry_id"]: found for found in story}
    found = reviews.standing(story, samples.CANDIDATE, NOW, valid_days=days)
    assert len({(review["kind"], review["person"]) for review in found}) == len(found)
    assert [review["given_at"] for review in found] == sorted(
        (review["given_at"] for review in found), reverse=True
    )
    for review in found:
        source = by_id[review["entry_id"]]
        assert source["kind"] == "ReviewGiven"
        assert review["given_at"] <= NOW < review["expires_at"]


@given(_stories, _people, _kinds)
def test_a_last_revocation_always_takes_effect(story: list[Entry], who: str, kind: str) -> None:
    """Before the release a reviewer can always take back what they said."""
    now = [revoked(who, 0, kind), *story]
    left = reviews.standing(now, samples.CANDIDATE, NOW)
    assert (kind, who) not in {(review["kind"], review["person"]) for review in left}


@given(_stories, st.sampled_from(["ValidationStarted", "VersionRejected", "VersionRecalled"]))
def test_nothing_outlives_a_new_validation_or_a_no(story: list[Entry], kind: str) -> None:
    now = [entry(kind, 0), *story]
    assert reviews.standing(now, samples.CANDIDATE, NOW) == []
    assert reviews.break_glass(now, samples.CANDIDATE, NOW) is None


@given(_stories, _entries)
def test_only_a_review_makes_more_stand(story: list[Entry], one: Entry) -> None:
    before = reviews.standing(story, samples.CANDIDATE, NOW)
    after = reviews.standing([one, *story], samples.CANDIDATE, NOW)
    if one["kind"] != "ReviewGiven":
        assert {r["entry_id"] for r in after} <= {r["entry_id"] for r in before}
    assert reviews.standing(list(story), samples.CANDIDATE, NOW) == before


@given(_stories)
def test_what_stands_only_shrinks_as_time_goes_by(story: list[Entry]) -> None:
    early = {r["entry_id"] for r in reviews.standing(story, samples.CANDIDATE, NOW)}
    late = {r["entry_id"] for r in reviews.standing(story, samples.CANDIDATE, at(-24 * 25))}
    assert late <= early
