"""`govern rollback`: which version the request is set on, and what goes with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from cli import ledger, projects, rollbacks, target, versions
from cli.errors import GovernError
from governance.domain import phases
from tests.contracts import events, samples

Govern = Callable[..., Result]
ENDPOINT = "clinical-risk-endpoint"
PROJECT = {
    "model": samples.MODEL,
    "endpoint_name": ENDPOINT,
    "accounts": {"dev": samples.DEV, "test": samples.TEST, "prod": samples.PROD},
}
WHY = "Risks of patients over 80 are far too low."


def _entry(sequence: int, version: int, kind: str = "CandidateReleased") -> dict[str, Any]:
    return {
        "sequence": sequence,
        "kind": kind,
        "model_package_arn": samples.version_arn(version=version),
        "endpoint": {"endpoint_name": ENDPOINT, "account": samples.PROD},
    }


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the ledger and the registry say, and what was asked of the latter."""
    state: dict[str, Any] = {"entries": [], "phases": {}, "metadata": {}, "calls": []}

    def find(session: Any, account: str, model: str, version: int) -> versions.Version:
        stage, _, status = state["phases"].get(version, "Prod/Deployed").partition("/")
        description = {
            "ModelLifeCycle": {"Stage": stage, "StageStatus": status},
            "LastModifiedTime": datetime(2026, 11, 21, 9, tzinfo=UTC),
            "CustomerMetadataProperties": state["metadata"],
        }
        return versions.Version(model, version, samples.version_arn(version=version), description)

    monkeypatch.setattr(projects, "all_projects", lambda reader: [PROJECT])
    monkeypatch.setattr(ledger, "entries", lambda reader, model: state["entries"])
    monkeypatch.setattr(versions, "find", find)
    return state


def _ask(
    state: dict[str, Any], to: int | None = None, phase: phases.Phase = rollbacks.PHASE
) -> dict[str, Any]:
    client = SimpleNamespace(update_model_package=lambda **given: state["calls"].append(given))
    where: Any = SimpleNamespace(
        reader=None,
        session=SimpleNamespace(client=lambda service: client),
        central_account=samples.CENTRAL,
    )
    asked = rollbacks.ask(where, ENDPOINT.upper(), WHY, to, phase)
    assert asked.workflow == phase.causes
    (call,) = state["calls"]
    assert call["ModelPackageArn"] == asked.model_package_arn
    return dict(call)


@pytest.mark.parametrize(
    ("entries", "phases", "version"),
    [
        ([_entry(1, 1), _entry(2, 2)], {}, 2),
        # After a rollback the version before serves.
        ([_entry(1, 1), _entry(2, 2), _entry(3, 1, "CandidateRestored")], {}, 1),
        # What is being released is what is to go.
        ([_entry(1, 1), _entry(2, 2, "ReleaseStarted")], {2: "Prod/Releasing"}, 2),
        # Of what broke on its way, only what serves all the same.
        ([_entry(1, 1), _entry(2, 2, "ReleaseStarted")], {2: "Prod/Errored"}, 1),
        (
            [_entry(1, 1), _entry(2, 2, "ReleaseStarted"), _entry(3, 2, "CandidateInService")],
            {2: "Prod/Errored"},
            2,
        ),
        # A release that was refused after it had begun is none.
        ([_entry(1, 1), _entry(2, 2, "ReleaseStarted")], {2: "Prod/Rejected"}, 1),
    ],
)
def test_the_request_stands_on_what_serves_or_is_being_released(
    registry: dict[str, Any],
    entries: list[dict[str, Any]],
    phases: dict[int, str],
    version: int,
) -> None:
    registry |= {"entries": entries, "phases": phases}
    call = _ask(registry)
    assert call["ModelPackageArn"] == samples.version_arn(version=version)
    assert call["ModelLifeCycle"] == {
        "Stage": "Prod",
        "StageStatus": "Rollback-Requested",
        "StageDescription": WHY,
    }
    assert "CustomerMetadataProperties" not in call


def test_what_has_left_its_endpoint_failed_is_what_is_to_go(registry: dict[str, Any]) -> None:
    """The version before is good: it is what the endpoint is to serve again."""
    started = {**_entry(2, 2, "ReleaseStarted"), "claim_id": "release"}
    ended = {**_entry(3, 2, "ReleaseErrored"), "claim_id": "release"}
    failed = {**ended, "failure": {"Error": "EndpointFailed"}}
    registry |= {"entries": [_entry(1, 1), started, failed], "phases": {2: "Prod/Errored"}}
    assert _ask(registry)["ModelPackageArn"] == samples.version_arn(version=2)
    restored = _entry(4, 1, "CandidateRestored")
    registry |= {"entries": [_entry(1, 1), started, failed, restored], "calls": []}
    assert _ask(registry)["ModelPackageArn"] == samples.version_arn(version=1)


def test_a_drill_stands_on_what_serves_and_names_what_to_go_back_to(
    registry: dict[str, Any],
) -> None:
    registry["entries"] = [_entry(1, 1), _entry(2, 2)]
    call = _ask(registry, 1, rollbacks.DRILL)
    assert call["ModelPackageArn"] == samples.version_arn(version=2)
    assert call["ModelLifeCycle"]["StageStatus"] == "Drill-Requested"
    assert call["CustomerMetadataProperties"] == {"rollback-to": "1"}


def test_nothing_is_drilled_while_it_changes(registry: dict[str, Any]) -> None:
    registry["entries"] = [_entry(1, 1), _entry(2, 2, "ReleaseStarted")]
    registry["phases"] = {2: "Prod/Releasing"}
    with pytest.raises(GovernError, match="is Prod/Releasing; a drill is of what serves") as caught:
        _ask(registry, phase=rollbacks.DRILL)
    assert caught.value.code == "not_now"
    assert registry["calls"] == []


def test_the_version_to_go_back_to_is_named_and_an_older_wish_is_forgotten(
    registry: dict[str, Any],
) -> None:
    registry["entries"] = [_entry(1, 1), _entry(2, 2)]
    assert _ask(registry, 1)["CustomerMetadataProperties"] == {"rollback-to": "1"}
    registry |= {"calls": [], "metadata": {"rollback-to": "1"}}
    assert _ask(registry)["CustomerMetadataPropertiesToRemove"] == ["rollback-to"]


def test_an_endpoint_that_serves_nothing_has_nothing_to_go_back_from(
    registry: dict[str, Any],
) -> None:
    with pytest.raises(GovernError, match=f"knows of nothing that serves {ENDPOINT}"):
        _ask(registry)


def test_an_unknown_endpoint_is_named_with_those_that_there_are(registry: dict[str, Any]) -> None:
    with pytest.raises(GovernError, match=f"no model has an endpoint 'x'; there is {ENDPOINT}"):
        rollbacks.model_of(None, "x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("persona", "because", "said"),
    [
        ("governance-engineer", " ", "needs a reason"),
        ("ai-engineer", "x" * 1025, "1025 characters"),
        ("data-scientist", WHY, "may not ask for a rollback"),
    ],
)
def test_what_would_be_refused_is_refused_at_once(persona: str, because: str, said: str) -> None:
    with pytest.raises(GovernError, match=said):
        rollbacks.check(persona, because)


@pytest.fixture
def drilled(monkeypatch: pytest.MonkeyPatch, registry: dict[str, Any]) -> Callable[[str], None]:
    """Everything but the workflow: the entry that it ends with is the example of that name."""
    registry["entries"] = [_entry(1, 2), _entry(2, 3)]
    client = SimpleNamespace(update_model_package=lambda **given: registry["calls"].append(given))
    where = SimpleNamespace(
        reader=None,
        session=SimpleNamespace(client=lambda service: client),
        central_account=samples.CENTRAL,
    )
    monkeypatch.setattr(target, "open_target", lambda options: where)
    monkeypatch.setattr(ledger, "head", lambda reader, model: 0)

    def ends_with(name: str) -> None:
        entry = events.example(f"governed-path-{name}")["detail"]

        def entries(reader: Any, model: str, after: int | None = None) -> list[dict[str, Any]]:
            return registry["entries"] if after is None else [entry]

        monkeypatch.setattr(ledger, "entries", entries)

    return ends_with


DRILL = ("rollback", ENDPOINT, "--drill", "--because", "Quarterly.", "--as", "ai-engineer")


def test_a_drill_that_holds_says_from_what_to_what_and_in_how_many_seconds(
    govern: Govern, drilled: Callable[[str], None], registry: dict[str, Any]
) -> None:
    drilled("rollback-drilled.complete")
    result = govern(*DRILL)
    assert result.exit_code == 0, result.output
    assert registry["calls"][0]["ModelLifeCycle"]["StageStatus"] == "Drill-Requested"
    assert "that starts drill_rollback" in result.output
    assert f"from version 3 to {samples.MODEL}/2: holds, 231 s" in result.output
    assert "ModelApprovalStatus is Approved" in result.output
    answer = json.loads(govern(*DRILL, "--json").output)
    assert (answer["decision"]["workflow"], answer["entry"]["kind"]) == (
        "drill_rollback",
        "RollbackDrilled",
    )


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("drill-failed.complete", "failed", "failed: the container did not answer /ping"),
        ("drill-rejected.denied", "rejected", "no other version that served this endpoint is good"),
        ("drill-errored.complete", "errored", "the container did not answer /ping"),
    ],
)
def test_a_drill_that_proves_nothing_ends_with_1_and_says_why(
    govern: Govern, drilled: Callable[[str], None], name: str, status: str, said: str
) -> None:
    drilled(name)
    result = govern(*DRILL, "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, status)
    assert said in error["reasons"][0]["fact"]
    assert "Prod/Failed" not in error["message"]
