"""govern retire: one call for what nothing serves, and the endpoints of what something does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from tests.unit.cli.conftest import (
    CANDIDATE,
    PROD,
    Stubbed,
    arn,
    by,
    described,
    directory,
    entry,
    knows,
)
from tests.unit.cli.test_endpoints import live
from tests.unit.cli.test_read import ENDPOINT, MODEL, PROMOTED, RELEASED, scans

Govern = Callable[..., Result]
BECAUSE = "Nothing calls it"
ASKED = ("retire", f"{MODEL}/1", "--as", "governance-engineer", "--because", BECAUSE)
SUPERSEDED = entry(7, "CandidateSuperseded", stage="Prod", stage_status="Superseded")
NEXT = entry(8, "CandidateReleased", 2, stage="Prod", stage_status="Deployed", endpoint=ENDPOINT)
RETIRED = entry(
    9,
    "VersionRetired",
    stage="Retired",
    stage_status="Retired",
    reason=BECAUSE,
    approver=by("grace"),
    decided_at="2026-12-26T08:00:00Z",
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, where: list[Any]) -> list[dict[str, Any]]:
    """The endpoints of every account; nothing serves unless a test puts it in."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr("cli.endpoints.in_accounts", lambda observe, accounts: (found, []))
    return found


def _looked_up(session: Stubbed) -> None:
    metadata = {"candidate-id": CANDIDATE}
    session.stub("sagemaker").add_response(
        "describe_model_package", described(1, CustomerMetadataProperties=metadata)
    )


def test_a_version_that_nothing_serves_is_retired_with_one_call(
    govern: Govern, seen: list[dict[str, Any]], session: Stubbed, reader: Stubbed
) -> None:
    _looked_up(session)
    knows(reader, PROMOTED, RELEASED, SUPERSEDED, NEXT)
    scans(reader, directory())
    session.stub("sagemaker").add_response(
        "update_model_package",
        {"ModelPackageArn": arn(1)},
        {
            "ModelPackageArn": arn(1),
            "ModelLifeCycle": {
                "Stage": "Retired",
                "StageStatus": "Retired",
                "StageDescription": BECAUSE,
            },
            "ModelApprovalStatus": "Rejected",
            "ApprovalDescription": BECAUSE,
        },
    )
    knows(reader, RETIRED)
    result = govern(*ASKED)
    assert result.exit_code == 0, result.output
    assert f"{MODEL}/1 is retired by grace: entry 9" in result.output


@pytest.mark.parametrize("by_the_ledger", [True, False])
def test_what_serves_is_left_alone_and_the_endpoint_is_named(
    govern: Govern,
    seen: list[dict[str, Any]],
    session: Stubbed,
    reader: Stubbed,
    by_the_ledger: bool,
) -> None:
    """By hand, or after a release that broke, the two may differ: either is reason enough."""
    _looked_up(session)
    if by_the_ledger:
        knows(reader, PROMOTED, RELEASED)
    else:
        knows(reader, PROMOTED, RELEASED, SUPERSEDED, NEXT)
        seen.append(live())
    scans(reader, directory())
    result = govern(*ASKED, "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "still_serves")
    assert f"clinical-risk of account {PROD}" in error["message"]
    assert ("since" in error["message"]) is by_the_ledger
    assert "govern rollback" in error["hint"]
    assert [one["endpoint_name"] for one in error["endpoints"]] == ["clinical-risk"]


def test_where_nobody_can_look_nothing_is_retired(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    _looked_up(session)
    knows(reader, PROMOTED, RELEASED, SUPERSEDED, NEXT)
    scans(reader, directory())
    error = json.loads(govern(*ASKED, "--json").output)["error"]
    assert error["code"] == "not_looked_at"
    assert f"account {PROD}: denied" in error["message"]


def test_a_version_that_is_being_tested_is_left_alone(
    govern: Govern, seen: list[dict[str, Any]], session: Stubbed, reader: Stubbed
) -> None:
    _looked_up(session)
    knows(reader, PROMOTED, entry(2, "ValidationStarted", stage="Test", stage_status="Validating"))
    scans(reader, directory())
    error = json.loads(govern(*ASKED, "--json").output)["error"]
    assert error["code"] == "not_now"
    assert "is Test/Validating; Retired/Retired cannot follow that" in error["message"]


def test_a_retirement_that_was_refused_after_all_says_why(
    govern: Govern, seen: list[dict[str, Any]], session: Stubbed, reader: Stubbed
) -> None:
    """Somebody went back to it in the same second."""
    _looked_up(session)
    knows(reader, PROMOTED, RELEASED, SUPERSEDED, NEXT)
    scans(reader, directory())
    session.stub("sagemaker").add_response("update_model_package", {"ModelPackageArn": arn(1)})
    knows(reader, {**RETIRED, "objections": ["endpoint clinical-risk serves it"]})
    result = govern(*ASKED)
    assert result.exit_code == 1
    assert "endpoint clinical-risk serves it" in result.output


def test_only_a_governance_engineer_retires(govern: Govern, where: list[Any]) -> None:
    result = govern(*ASKED[:3], "ai-engineer", *ASKED[4:])
    assert result.exit_code == 1
    assert "governance-engineer" in result.output
    assert where == []
