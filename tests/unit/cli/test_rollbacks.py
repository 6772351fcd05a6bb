"""`govern rollback`: which version the request is set on, and what goes with it."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from cli import ledger, projects, rollbacks, versions
from cli.errors import GovernError
from tests.contracts import samples

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


def _ask(state: dict[str, Any], to: int | None = None) -> dict[str, Any]:
    client = SimpleNamespace(update_model_package=lambda **given: state["calls"].append(given))
    where: Any = SimpleNamespace(
        reader=None,
        session=SimpleNamespace(client=lambda service: client),
        central_account=samples.CENTRAL,
    )
    asked = rollbacks.ask(where, ENDPOINT.upper(), WHY, to)
    assert asked.workflow == "rollback_model"
    (call,) = state["calls"]
    assert call["ModelPackageArn"] == asked.model_package_arn
    return dict(call)


@pytest.mark.parametrize(
    ("entries", "phases", "version"),
    [
        ([_entry(1, 1), _entry(2, 2)], {}, 2),
        # After a rollback the version before serves.
        ([_entry(1, 1), _entry(2, 2), _entry(3, 1, "CandidateRestored")], {}, 1),
        # What is being released is what is to go, and so is what broke on its way.
        ([_entry(1, 1), _entry(2, 2, "ReleaseStarted")], {2: "Prod/Releasing"}, 2),
        ([_entry(1, 1), _entry(2, 2, "ReleaseStarted")], {2: "Prod/Errored"}, 2),
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
