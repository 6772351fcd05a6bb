"""What we emit is what the schemas say: through the ledger, the stream and the bus."""

from __future__ import annotations

import importlib
import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from governance.adapters import items, sessions
from governance.domain import approval_events, ledger, phases
from tests.contracts import events, samples
from tests.contracts.aws import ENVIRONMENT

ROOT = Path(__file__).parents[2]
OURS = [name for name in events.SCHEMAS if name.startswith("governed-path-")]
EMITTED = [name for name in events.EXAMPLES if events.event_of(name) in OURS]
# What starts no state machine: a function of its own records it.
DECIDED = {kind for kind, _ in approval_events.DECISIONS.values()}
WITHOUT_STAGE = {"PolicyChanged"}  # about the model as a whole
# What opens and closes the candidate's bytes records it by itself.
CLEARANCES = {"ClearanceGranted", "ClearanceRevoked"}
WITHOUT_EXECUTION = {
    *DECIDED,
    *WITHOUT_STAGE,
    *CLEARANCES,
    "MandatoryReviewOverdue",
    "RunUnfinished",
    "CandidateRegistered",
}
# Recorded by two state machines and functions, wherever the version is.
ANYWHERE = {"ApprovalsVoided", "RunUnfinished", *CLEARANCES}

# Where the version stands by then is known only by the run.
COMPUTED = {"RollbackErrored": frozenset({"stage", "stage_status"})}


def _kind(event: str) -> str:
    return str(events.load(events.SCHEMAS[event])["properties"]["detail-type"]["const"])


def _records() -> dict[str, list[dict[str, Any]]]:
    """What the Record... states hand to `record`, by the kind of the entry."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((ROOT / "statemachines").glob("*.asl.json")):
        for name, state in json.loads(path.read_text("utf-8"))["States"].items():
            if name.startswith("Record"):
                payload = state["Arguments"]["Payload"]
                found.setdefault(payload["kind"], []).append(
                    {"workflow": path.name.removesuffix(".asl.json"), **payload}
                )
    return found


def _published(entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The event that subscribers get for a ledger entry, by way of the table's stream."""
    sent: list[dict[str, Any]] = []

    class Events:
        def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:
            sent.extend(Entries)
            return {"FailedEntryCount": 0, "Entries": [{} for _ in Entries]}

    monkeypatch.setattr(sessions, "own_client", lambda service: Events())
    image = {"SequenceNumber": "1", "NewImage": items.to_item(samples.row(entry))}
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    handler = importlib.import_module("governance.handlers.publish_entry").handler
    handler({"Records": [{"eventName": "INSERT", "dynamodb": image}]}, None)
    (request,) = sent
    # What EventBridge adds.
    return {
        "version": "0",
        "id": "d5e4f5a6-0000-4a5b-9c6d-000000000013",
        "detail-type": request["DetailType"],
        "source": request["Source"],
        "account": samples.CENTRAL,
        "time": entry["recorded_at"],
        "region": samples.REGION,
        "resources": request["Resources"],
        "detail": json.loads(request["Detail"]),
    }


def test_there_is_a_schema_for_every_kind_that_is_recorded() -> None:
    assert {_kind(event) for event in OURS} == set(ledger.KINDS)
    assert set(ledger.KINDS) == {*_records()} | WITHOUT_EXECUTION
    assert not {*_records()} & WITHOUT_EXECUTION


@pytest.mark.parametrize("event", OURS)
def test_a_schema_is_named_after_its_kind(event: str) -> None:
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", _kind(event)).lower()
    assert event == f"governed-path-{words}"


@pytest.mark.parametrize("name", EMITTED)
def test_publishing_an_examples_entry_gives_the_example(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = events.example(name)
    published = _published(example["detail"], monkeypatch)
    assert {**published, "id": example["id"]} == example


@pytest.mark.parametrize("name", EMITTED)
def test_an_examples_entry_is_the_one_that_the_domain_makes(name: str) -> None:
    detail = events.example(name)["detail"]
    request = {
        **detail,
        "promotion": {
            "claim_id": detail["claim_id"],
            "model": detail["model"],
            "workflow": detail["workflow"],
            "execution_arn": detail.get("execution_arn"),
            "decided_at": detail["decided_at"],
        },
        "deployment": detail.get("endpoint"),
    }
    entry = ledger.entry(detail["kind"], request, detail["recorded_at"])
    added = {key: detail[key] for key in ("sequence", "previous", "digest")}
    assert {**entry, **added} == detail


@pytest.mark.parametrize(
    "event", [event for event in OURS if _kind(event) not in {*WITHOUT_EXECUTION, *ANYWHERE}]
)
def test_the_state_machine_records_what_the_schema_demands(event: str) -> None:
    """Required are only parts that the Record... state always hands over."""
    schema = events.load(events.SCHEMAS[event])["properties"]["detail"]
    required = {"deployment" if key == "endpoint" else key for key in schema["required"]}
    assert "execution_arn" in required
    told = {
        key: rule.get("enum") or [rule["const"]]
        for key, rule in schema["properties"].items()
        if key not in COMPUTED.get(_kind(event), ()) and {"enum", "const"} & rule.keys()
    }
    assert told.keys() == {"kind", "workflow", "stage", "stage_status"} - COMPUTED.get(
        _kind(event), frozenset()
    )
    payloads = _records()[_kind(event)]
    for payload in payloads:
        always = {key for key, value in payload.items() if "? " not in str(value)}
        if "promotion" in always:
            always.add("execution_arn")
        assert required <= always
    # Every value that the schema allows is some state's, and no state has another.
    assert {key: set(values) for key, values in told.items()} == {
        key: {payload[key] for payload in payloads} for key in told
    }


@pytest.mark.parametrize(
    "event", [e for e in OURS if _kind(e) not in {*WITHOUT_STAGE, *ANYWHERE, *COMPUTED}]
)
def test_an_event_says_a_phase_that_the_stage_machine_has(event: str) -> None:
    """But for a Dev version that errored: the hub writes nothing into Dev."""
    properties = events.load(events.SCHEMAS[event])["properties"]["detail"]["properties"]
    stages, statuses = (
        rule.get("enum") or [rule["const"]]
        for rule in (properties["stage"], properties["stage_status"])
    )
    for stage, status in product(stages, statuses):
        if (stage, status) != ("Dev", "Errored"):
            assert phases.find(stage, status) is not None


@pytest.mark.parametrize("kind", sorted(DECIDED))
def test_a_decisions_schema_has_the_phases_that_are_decided(kind: str) -> None:
    (event,) = [event for event in OURS if _kind(event) == kind]
    properties = events.load(events.SCHEMAS[event])["properties"]["detail"]["properties"]
    told = {
        f"{stage}/{status}"
        for stage in properties["stage"].get("enum") or [properties["stage"]["const"]]
        for status in properties["stage_status"].get("enum")
        or [properties["stage_status"]["const"]]
    }
    assert told == {name for name, (of, _) in approval_events.DECISIONS.items() if of == kind}
    assert properties["workflow"]["const"] == "record_decision"


@pytest.mark.parametrize("name", EMITTED)
def test_nothing_that_is_not_described_is_emitted(name: str) -> None:
    example = events.example(name)
    example["detail"]["task_token"] = "secret"
    (problem,) = events.problems(events.event_of(name), example)
    assert "'task_token' was unexpected" in problem


def test_a_denial_without_a_reason_is_no_denial() -> None:
    example = events.example("governed-path-release-rejected.denied")
    example["detail"]["verdict"]["reasons"] = []
    assert events.problems("governed-path-release-rejected", example) != []
    example = events.example("governed-path-release-rejected.denied")
    example["detail"]["verdict"]["allowed"] = True
    assert events.problems("governed-path-release-rejected", example) != []
