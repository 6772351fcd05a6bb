"""Ledger entries become events, each at least once, in order, and only entries do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from governance.adapters import items, sessions
from tests.contracts import samples

from .conftest import CENTRAL, REGION


@pytest.fixture
def heard(aws: Callable[..., Any], stores: None) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """heard(): the events that the bus has delivered since the last call."""
    name = f"heard-{uuid4().hex[:8]}"
    queue = aws("sqs").create_queue(QueueName=name)["QueueUrl"]
    events = aws("events")
    events.put_rule(
        Name=name,
        EventBusName="governed-path",
        EventPattern=json.dumps({"source": ["governed-path"]}),
    )
    arn = f"arn:aws:sqs:{REGION}:{CENTRAL}:{name}"
    events.put_targets(Rule=name, EventBusName="governed-path", Targets=[{"Id": "q", "Arn": arn}])

    def receive() -> list[dict[str, Any]]:
        found = []
        while (
            messages := aws("sqs")
            .receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            .get("Messages")
        ):
            found += [json.loads(message["Body"]) for message in messages]
            for message in messages:
                aws("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    yield receive
    events.remove_targets(Rule=name, EventBusName="governed-path", Ids=["q"])
    events.delete_rule(Name=name, EventBusName="governed-path")
    aws("sqs").delete_queue(QueueUrl=queue)


def _record(number: int, event_name: str = "INSERT", **image: Any) -> dict[str, Any]:
    return {
        "eventName": event_name,
        "dynamodb": {"SequenceNumber": str(1000 + number), "NewImage": items.to_item(image)},
    }


def _row(number: int, **more: Any) -> dict[str, Any]:
    entry = {
        "model": "m",
        "sequence": number,
        "entry_id": samples.digest(f"entry-{number}"),
        "kind": "CandidatePromoted",
        "recorded_at": samples.DECIDED,
        "model_package_arn": samples.version_arn(model="m"),
        **more,
    }
    return samples.row(entry)


def _entry(number: int, **more: Any) -> dict[str, Any]:
    return _record(number, **_row(number, **more))


def test_entries_are_published_and_bookkeeping_is_not(
    lambdas: Callable[..., Any], heard: Callable[[], list[dict[str, Any]]]
) -> None:
    marker = _record(2, model="entry#x", sequence=0, entry_sequence=1)
    changed = _record(3, "MODIFY", **_row(3))
    batch = {"Records": [marker, changed, _entry(4, summary={"auc": 0.75})]}
    assert lambdas("publish_entry")(batch) == {"batchItemFailures": []}
    (event,) = heard()
    assert (event["source"], event["detail-type"]) == ("governed-path", "CandidatePromoted")
    assert (event["detail"]["sequence"], event["detail"]["summary"]) == (4, {"auc": 0.75})
    row = _row(4, summary={"auc": 0.75})
    assert (event["detail"]["digest"], event["detail"]["previous"]) == (row["digest"], "0" * 64)
    assert "envelope" not in event["detail"]


def test_a_repeated_batch_gives_the_same_events(
    lambdas: Callable[..., Any], heard: Callable[[], list[dict[str, Any]]]
) -> None:
    """Consumers tell a repeated event by its entry id."""
    batch = {"Records": [_entry(number) for number in range(1, 13)]}
    lambdas("publish_entry")(batch)
    lambdas("publish_entry")(batch)
    details = [event["detail"] for event in heard()]
    assert len(details) == 24
    assert {detail["entry_id"] for detail in details} == {
        samples.digest(f"entry-{n}") for n in range(1, 13)
    }


def test_the_batch_is_repeated_from_the_first_entry_that_the_bus_did_not_take(
    lambdas: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entry 12 of 15 is throttled: 1 to 11 are out, Lambda comes again with 12 to 15."""

    class Throttling:
        def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:
            ids = [json.loads(entry["Detail"])["sequence"] for entry in Entries]
            taken = [{} if n != 12 else {"ErrorCode": "ThrottlingException"} for n in ids]
            return {"FailedEntryCount": ids.count(12), "Entries": taken}

    monkeypatch.setattr(sessions, "own_client", lambda service: Throttling())
    batch = {"Records": [_entry(number) for number in range(1, 16)]}
    assert lambdas("publish_entry")(batch) == {"batchItemFailures": [{"itemIdentifier": "1012"}]}
