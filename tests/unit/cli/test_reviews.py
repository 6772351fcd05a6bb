"""review and break-glass: one call, as the person, until the ledger says that it counts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.response import StreamingBody
from click.testing import Result

from cli import board, reviews
from cli.options import REVIEWS
from governance.domain import reviews as domain
from governance.domain.attestations import NO_PREVIOUS
from local import organisation
from tests.unit.cli.conftest import (
    CANDIDATE,
    CENTRAL,
    MODEL,
    Stubbed,
    arn,
    by,
    described,
    directory,
    entry,
    knows,
    provisioned,
    summary,
)

Govern = Callable[..., Result]
NOW = "2026-02-01T00:00:00Z"
PASSED = entry(3, "ValidationPassed", stage="Test", stage_status="Passed", candidate_id=CANDIDATE)
POLICY = {
    "tier": "high",
    "required_reviews": ["technical", "business"],
    "review_valid_days": 36500,
}


def given(sequence: int, kind: str, person: str, **more: Any) -> dict[str, Any]:
    return entry(
        sequence,
        "ReviewGiven",
        stage="Prod",
        stage_status=f"{kind.capitalize()}-Approved",
        review=kind,
        reason="read it",
        candidate_id=CANDIDATE,
        approver=by(person),
        **more,
    )


def policy_is(reader: Stubbed) -> None:
    body = json.dumps(POLICY).encode()
    reader.stub("s3").add_response(
        "get_object",
        {"Body": StreamingBody(io.BytesIO(body), len(body))},
        {"Bucket": "b", "Key": "k", "VersionId": "v1"},
    )


def sets(session: Stubbed, status: str, because: str = "read it") -> None:
    """The registry describes the version and takes exactly this update of it."""
    life_cycle = {"Stage": "Prod", "StageStatus": status, "StageDescription": because}
    sagemaker = session.stub("sagemaker")
    sagemaker.add_response("describe_model_package", described(1))
    sagemaker.add_response(
        "update_model_package",
        {"ModelPackageArn": arn(1)},
        {"ModelPackageArn": arn(1), "ModelLifeCycle": life_cycle},
    )


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def technical(*more: str) -> tuple[str, ...]:
    return (
        *("review", f"{MODEL}/1", "--kind", "technical", "--as", "ai-engineer"),
        *("--because", "read it", *more),
    )


def test_a_review_is_one_update_and_waits_for_its_entry(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    review = given(5, "technical", "tess")
    knows(reader, PASSED)
    sets(session, "Technical-Approved")
    knows(reader)
    knows(reader, entry(4, "ValidationStarted", 2), review)
    provisioned(reader, directory())
    policy_is(reader)
    knows(reader, PASSED, review)
    result = govern(*technical("--json"))
    assert result.exit_code == 0, result.output
    said = json.loads(result.output)
    assert said["decision"]["stage_status"] == "Technical-Approved"
    assert said["entry"] == review | {"previous": NO_PREVIOUS}
    assert [found["person"] for found in said["reviews"]["standing"]] == ["tess"]
    assert said["reviews"]["missing"] == ["business"]
    assert where[0].user == "tess", "the embedded organisation has a technical reviewer"


def test_the_table_says_what_stands_and_what_is_missing(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    review = given(5, "technical", "tom")
    knows(reader, PASSED)
    sets(session, "Technical-Approved")
    knows(reader, review)
    provisioned(reader, directory())
    policy_is(reader)
    knows(reader, PASSED, review)
    result = govern(*technical("--user", "tom"))
    assert result.exit_code == 0, result.output
    assert "Prod/Technical-Approved by tom is entry 5" in result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert any(line[:4] == [f"{MODEL}/1", "technical", "Approved", "tom"] for line in lines)
    assert any(line[:3] == [f"{MODEL}/1", "business", "missing"] for line in lines)
    assert where[0].user == "tom"


def test_taking_back_sets_the_other_phase(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    review = given(4, "technical", "tess")
    revoked = {
        **given(5, "technical", "tess"),
        "kind": "ReviewRevoked",
        "stage_status": "Technical-Revoked",
    }
    knows(reader, PASSED, review)
    sets(session, "Technical-Revoked")
    knows(reader, revoked)
    provisioned(reader, directory())
    policy_is(reader)
    knows(reader, PASSED, review, revoked)
    result = govern(*technical("--revoke", "--json"))
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["reviews"]["standing"] == []


def test_what_counts_for_nothing_says_why_and_fails(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    knows(reader, PASSED)
    sets(session, "Technical-Approved")
    knows(reader, given(5, "technical", "theo", objections=["theo trained the version"]))
    result = govern(*technical())
    assert result.exit_code == 1
    assert "counts for nothing" in result.output
    assert "theo trained the version" in result.output


def test_what_is_not_recorded_in_time_says_where_to_look(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    knows(reader, PASSED)
    sets(session, "Technical-Approved")
    knows(reader, given(4, "business", "bruno"))
    result = govern(*technical("--timeout", "0.0000001", "--json"))
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "timeout")
    assert "governed-path-rules-dlq" in error["hint"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (
            ("review", f"{MODEL}/1", "--kind", "business", "--as", "ai-engineer"),
            1,
            "that is for: governance-engineer; add --as governance-engineer",
        ),
        (("break-glass", f"{MODEL}/1", "--as", "admin"), 1, "ai-engineer or governance-engineer"),
        (
            ("review", f"{MODEL}/1", "--kind", "technical", "--as", "data-scientist", "--revoke"),
            1,
            "data-scientist may not set Prod/Technical-Revoked",
        ),
    ],
)
def test_who_may_not_is_told_at_once_who_may(
    govern: Govern, where: list[Any], arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    result = govern(*arguments, "--because", "x")
    assert result.exit_code == exit_code
    assert said in result.output
    assert where == [], "nothing was asked of AWS"


@pytest.mark.parametrize("because", ["", "  ", "x" * 1025])
def test_a_reason_is_needed_and_not_a_book(govern: Govern, because: str) -> None:
    result = govern(*technical()[:-1], because)
    assert result.exit_code == 2
    assert "--because" in result.output


@pytest.mark.parametrize(
    ("newest", "phase"),
    [
        (entry(4, "ValidationFailed", stage="Test", stage_status="Failed"), "Test/Failed"),
        (entry(4, "ReleaseStarted", stage="Prod", stage_status="Releasing"), "Prod/Releasing"),
        (None, "unknown to the ledger"),
    ],
)
def test_a_version_that_cannot_be_reviewed_now_is_left_alone(
    govern: Govern,
    where: list[Any],
    session: Stubbed,
    reader: Stubbed,
    newest: dict[str, Any] | None,
    phase: str,
) -> None:
    session.stub("sagemaker").add_response("describe_model_package", described(1))
    knows(reader, *([PASSED, newest] if newest else []))
    result = govern(*technical("--json"))
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "not_now")
    assert f"is {phase}; Prod/Technical-Approved cannot follow" in error["message"]


def test_what_an_emergency_owes_is_given_while_its_release_bakes(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    review = given(6, "technical", "tom")
    baking = [
        PASSED,
        entry(4, "ReleaseStarted", stage="Prod", stage_status="Releasing"),
        entry(
            *(5, "MandatoryReviewOpened"),
            stage="Prod",
            stage_status="Releasing",
            candidate_id=CANDIDATE,
            approver=by("grace"),
            waived=["technical"],
            due_at="2026-02-04T00:00:00Z",
        ),
    ]
    knows(reader, *baking)
    sets(session, "Technical-Approved")
    knows(reader, review)
    provisioned(reader, directory())
    policy_is(reader)
    knows(reader, *baking, review)
    result = govern(*technical("--user", "tom"))
    assert result.exit_code == 0, result.output
    assert "Prod/Technical-Approved by tom is entry 6" in result.output


def test_what_iam_denies_is_told(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    session.stub("sagemaker").add_response("describe_model_package", described(1))
    knows(reader, PASSED)
    denial = "not authorized to perform: sagemaker:UpdateModelPackage with an explicit deny"
    session.stub("sagemaker").add_client_error(
        "update_model_package", "AccessDeniedException", denial
    )
    result = govern(*technical())
    assert result.exit_code == 1
    assert denial in result.output


def test_an_emergency_is_asked_for_and_shown(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    asked = entry(
        5,
        "BreakGlassRequested",
        stage="Prod",
        stage_status="BreakGlass-Requested",
        reason="outage",
        candidate_id=CANDIDATE,
        approver=by("alex"),
    )
    knows(reader, PASSED)
    sets(session, "BreakGlass-Requested", "outage")
    knows(reader, asked)
    provisioned(reader, directory())
    policy_is(reader)
    knows(reader, PASSED, asked)
    result = govern(
        *("break-glass", f"{MODEL}/1", "--as", "ai-engineer", "--because", "outage", "--json")
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["entry"] == asked | {"previous": NO_PREVIOUS}


def test_status_shows_the_reviews_of_what_is_in_review(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    review = given(4, "technical", "tess")
    provisioned(reader, directory())
    knows(reader, PASSED, review)
    reader.stub("sagemaker").add_response(
        "list_model_packages", {"ModelPackageSummaryList": [summary(1, "Prod/Technical-Approved")]}
    )
    policy_is(reader)
    found = json.loads(govern("status", MODEL, "--json").output)
    (row,) = found["versions"]
    assert (row["stage_status"], row["approver"]) == ("Technical-Approved", "tess")
    (state,) = found["reviews"]
    assert (state["model"], state["version"], state["phase"]) == (MODEL, 1, "Test/Passed")
    assert (state["required"], state["missing"]) == (["technical", "business"], ["business"])
    assert [r["person"] for r in state["standing"]] == ["tess"]


def test_a_deployed_version_that_owes_a_review_says_so_and_is_deployed() -> None:
    released = entry(
        4, "CandidateReleased", stage="Prod", stage_status="Deployed", approver=by("grace")
    )
    owed = entry(
        5,
        "MandatoryReviewOpened",
        stage="Prod",
        stage_status="Deployed",
        candidate_id=CANDIDATE,
        approver=by("grace"),
        waived=["business", "compliance"],
        due_at="2026-02-03T00:00:00Z",
    )
    late = given(6, "business", "bruno")
    found = [PASSED, released, owed, late]
    state = reviews.state(found, arn(1), POLICY, NOW)
    assert state
    assert state["owed"]["missing"] == ["compliance"]
    row = board._row(Stubbed(), MODEL, summary(1, "Prod/Deployed"), found)
    assert (row["since"], row["approver"]) == (owed["recorded_at"], "grace")
    assert reviews.state(found[:2], arn(1), POLICY, NOW) is None, "nothing is owed, nothing to say"


def test_history_has_the_words_of_reviewers_and_what_speaks_against_them(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    provisioned(reader, directory())
    knows(reader, PASSED, given(4, "technical", "theo", objections=["theo trained the version"]))
    output = govern("history", MODEL).output
    assert "technical: read it" in output
    assert "[counts for nothing] theo trained the version" in output


def test_the_reviews_and_their_people_are_those_of_the_domain() -> None:
    assert REVIEWS == domain.KINDS
    assert organisation.REVIEWERS.keys() == set(domain.KINDS)
    people = [player for _, player in organisation.REVIEWERS.values()]
    approvers = {player for _, _, player in organisation.PERSONAS.values()}
    assert len({*people}) == len(people)
    assert not {*people} & approvers
    for kind, (persona, _) in organisation.REVIEWERS.items():
        assert persona in reviews.phase_of(kind).set_by
    assert organisation.ACCOUNTS["central"] == CENTRAL
