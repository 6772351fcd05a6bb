"""What an endpoint would go back to, and what proves that it could."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import gates, rollbacks
from tests.contracts import samples

ENDPOINT = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/clinical-risk"
CANDIDATE = "a" * 64


def entry(sequence: int, version: int, kind: str = "CandidateReleased") -> dict[str, Any]:
    return {
        "sequence": sequence,
        "kind": kind,
        "model_package_arn": samples.version_arn(version=version),
        "candidate_id": CANDIDATE,
        "endpoint": {"endpoint_arn": ENDPOINT},
    }


def chosen(entries: list[dict[str, Any]], replaced: int) -> int | None:
    """The version that is chosen when `replaced` is to go, by all the entries of a model."""

    def story_of(arn: str) -> list[dict[str, Any]]:
        return [e for e in reversed(entries) if e["model_package_arn"] == arn]

    good = rollbacks.good(rollbacks.served(entries, ENDPOINT))
    found = rollbacks.choose(good, samples.version_arn(version=replaced), story_of)
    return None if found is None else int(found["model_package_arn"].rpartition("/")[2])


@pytest.mark.parametrize(
    ("entries", "replaced", "version"),
    [
        ([], 1, None),
        ([entry(1, 1)], 1, None),
        ([entry(1, 1)], 2, 1),
        ([entry(1, 1), entry(2, 2)], 3, 2),
        ([entry(1, 1), entry(2, 2)], 2, 1),
        # What was taken back is not good, until it serves again.
        ([entry(1, 1), entry(2, 2), entry(3, 2, "CandidateRolledBack")], 3, 1),
        ([entry(1, 1), entry(2, 2), entry(3, 2, "VersionRecalled")], 3, 1),
        ([entry(1, 1), entry(2, 1, "VersionRetired")], 2, None),
        ([entry(1, 1), entry(2, 1, "VersionRetired") | {"objections": ["it serves"]}], 2, 1),
        # It was recalled while it baked, and its release went on to its end.
        (
            [
                *(entry(1, 1), entry(2, 2, "CandidateInService"), entry(3, 2, "VersionRecalled")),
                entry(4, 2),
            ],
            3,
            1,
        ),
        ([entry(1, 1), entry(2, 1, "VersionRetired"), entry(3, 1, "CandidateRestored")], 2, None),
        ([entry(1, 1), entry(2, 1, "ApprovalsVoided")], 2, None),
        # Nor is what somebody has rejected since.
        ([entry(1, 1), entry(2, 2), entry(3, 2, "VersionRejected")], 3, 1),
        ([entry(1, 1), entry(2, 1, "VersionRejected"), entry(3, 1)], 2, 1),
        (
            [entry(1, 1), entry(2, 1, "CandidateRolledBack"), entry(3, 1, "CandidateRestored")],
            2,
            1,
        ),
        # After going back from 2 to 1, the next release would go back to 1.
        (
            [
                *(entry(1, 1), entry(2, 2)),
                *(entry(3, 2, "CandidateRolledBack"), entry(4, 1, "CandidateRestored")),
            ],
            3,
            1,
        ),
        # What served and never proved good is nothing to go back to, nor made good by that.
        ([entry(1, 1), entry(2, 2, "CandidateInService")], 2, 1),
        ([entry(1, 1), entry(2, 2, "CandidateInService")], 3, 1),
        (
            [
                *(entry(1, 1), entry(2, 2), entry(3, 2, "CandidateRolledBack")),
                *(entry(4, 1, "CandidateRestored"), entry(5, 2, "CandidateInService")),
            ],
            3,
            1,
        ),
        # What a rollback was to get rid of is not good either, however that ended.
        (
            [
                *(entry(1, 1), entry(2, 2), entry(3, 2, "RollbackStarted")),
                *(entry(4, 1, "CandidateInService"), entry(5, 2, "RollbackErrored")),
            ],
            3,
            1,
        ),
        (
            [
                *(entry(1, 1), entry(2, 1, "RollbackStarted"), entry(3, 1, "RollbackErrored")),
                entry(4, 1, "CandidateReleased"),
            ],
            2,
            1,
        ),
        # One that was refused has said nothing about it.
        ([entry(1, 1), entry(2, 1, "RollbackRejected")], 2, 1),
        # What else is said of a version does not make it worse.
        ([entry(1, 1), entry(2, 2), entry(3, 1, "CandidateSuperseded")], 2, 1),
    ],
)
def test_the_last_good_version_of_the_endpoint(
    entries: list[dict[str, Any]], replaced: int, version: int | None
) -> None:
    assert chosen(entries, replaced) == version


def test_who_names_a_version_may_have_back_what_was_taken_back_but_not_what_was_recalled() -> None:
    kinds = ("CandidateRolledBack", "RollbackStarted", "VersionRecalled")
    story = [entry(9 - n, 1, kind) for n, kind in enumerate(kinds)]
    speaks = rollbacks.withdrawn([*story, entry(1, 1)])
    assert [one["kind"] for one in speaks] == list(kinds)
    found = rollbacks.judged({}, entry(1, 1), [], speaks, must_be_readable=True)
    assert found["withdrawn"] == ["VersionRecalled"]


def test_a_recall_counts_although_the_version_has_proved_good_since() -> None:
    """Also for who names it; what else was said before that proof is settled by it."""
    kinds = ("CandidateReleased", "VersionRecalled", "ApprovalsVoided", "CandidateInService")
    speaks = rollbacks.withdrawn([entry(9 - n, 1, kind) for n, kind in enumerate(kinds)])
    assert [one["kind"] for one in speaks] == ["VersionRecalled"]


def test_what_served_another_endpoint_is_no_way_back() -> None:
    other = entry(1, 1) | {"endpoint": {"endpoint_arn": f"{ENDPOINT}-2"}}
    assert chosen([other, entry(2, 2)], 2) is None


def test_a_release_says_its_way_back_and_what_proves_it() -> None:
    checks = [rollbacks.check("bytes", "", "they are there")]
    found = rollbacks.target(entry(7, 2), checks)
    assert found["model_package_arn"] == samples.version_arn(version=2)
    assert (found["candidate_id"], found["entry"]) == (CANDIDATE, 7)
    assert found["checks"] == [{"name": "bytes", "proven": True, "said": "they are there"}]
    assert rollbacks.refusal(found) is None


def test_no_way_back_is_said_in_words_and_refuses_nothing() -> None:
    found = rollbacks.target(None, ())
    assert "no way back" in found["said"]
    assert rollbacks.refusal(found) is None


def test_a_way_back_that_would_not_hold_is_a_no_with_all_that_is_wrong() -> None:
    checks = [
        rollbacks.check_approved({"ModelApprovalStatus": "Rejected"}),
        rollbacks.check_unchanged([{"name": "model-data", "actual": "b", "expected": "a"}], 3),
        rollbacks.check_readable(["s3://b/k"], "123456789012"),
        rollbacks.check("image", "", "it is there"),
    ]
    refusal = rollbacks.refusal(rollbacks.target(entry(7, 2), checks))
    assert refusal is not None
    (reason,) = refusal["reasons"]
    for said in ("is Rejected", "model-data is b, expected a", "cannot read s3://b/k"):
        assert said in reason["fact"]
    assert "it is there" not in reason["fact"]
    assert refusal["leaves"] == {"stage": "Prod", "stage_status": "Rejected"}
    assert len(refusal["description"]) <= gates.DESCRIPTION_LIMIT


def test_what_is_as_it_should_be_is_proven() -> None:
    checks = [
        rollbacks.check_approved({"ModelApprovalStatus": "Approved"}),
        rollbacks.check_unchanged([], 3),
        rollbacks.check_readable([], "123456789012"),
    ]
    assert all(one["proven"] and one["said"] for one in checks)


@pytest.mark.parametrize(
    ("must_be_readable", "unproven"), [(True, ["image", "readable"]), (False, ["image"])]
)
def test_what_prod_cannot_read_speaks_against_it_only_if_it_should(
    must_be_readable: bool, unproven: list[str]
) -> None:
    """Going back opens what is closed, as a drill of what was taken back once does for Test."""
    checks = [rollbacks.check("image", "it is gone"), rollbacks.check_readable(["s3://b/k"], "1")]
    found = rollbacks.judged({"from": "x"}, entry(7, 2), checks, [], must_be_readable)
    assert sorted(found["unproven"]) == unproven
    assert found["checks"] == checks


@pytest.mark.parametrize(
    ("later", "serving", "serves"),
    [
        # It serves from the moment on, and also if its release breaks after that.
        ([entry(3, 2, "CandidateInService")], 2, True),
        ([entry(3, 2, "CandidateInService"), entry(4, 2, "ReleaseErrored")], 2, True),
        # As long as it goes on it can be stopped; one that broke before has never served.
        ([], 1, True),
        ([entry(3, 2, "ReleaseErrored")], 1, False),
        ([entry(3, 2, "ReleaseRolledBack")], 1, False),
    ],
)
def test_what_is_to_go_is_what_serves_or_is_being_released(
    later: list[dict[str, Any]], serving: int, serves: bool
) -> None:
    started = entry(2, 2, "ReleaseStarted")
    entries = [entry(1, 1), started, *later]
    story = [
        e for e in reversed(entries) if e["model_package_arn"] == samples.version_arn(version=2)
    ]
    for one in story:
        one |= {"stage": "Prod", "stage_status": "Errored"}
    found = rollbacks.asked(
        samples.version_arn(version=2), None, rollbacks.served(entries, ENDPOINT), started, story
    )
    assert (found["serving"], found["serves"]) == (samples.version_arn(version=serving), serves)


@pytest.mark.parametrize(
    ("later", "serves"),
    [
        ([], True),
        # The rollback has stopped what was left of the run, and then broke: it is asked for again.
        ([entry(4, 2, "ReleaseStopped"), entry(5, 2, "RollbackErrored")], True),
        ([entry(4, 1, "CandidateInService")], False),
        ([entry(4, 1, "CandidateRestored")], False),
    ],
)
def test_what_has_left_its_endpoint_failed_is_to_go_until_something_serves(
    later: list[dict[str, Any]], serves: bool
) -> None:
    started = entry(2, 2, "ReleaseStarted") | {"claim_id": "release"}
    failed = entry(3, 2, "ReleaseErrored") | {
        "claim_id": "release",
        "failure": {"Error": "EndpointFailed"},
        "stage": "Prod",
        "stage_status": "Errored",
    }
    entries = [entry(1, 1), started, failed, *({"claim_id": "back", **one} for one in later)]
    story = [
        {"stage": "Prod", "stage_status": "Errored", **e}
        for e in reversed(entries)
        if e["model_package_arn"] == samples.version_arn(version=2)
    ]
    found = rollbacks.asked(
        samples.version_arn(version=2), None, rollbacks.served(entries, ENDPOINT), started, story
    )
    assert found["serves"] is serves
