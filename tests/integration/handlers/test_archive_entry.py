"""The archive gets every entry and checkpoint once, and nobody can change what it has."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from governance.adapters import items, metrics, sessions
from governance.settings import Settings
from tests.contracts import samples

from .conftest import LEDGER


def _record(number: int, name: str, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    images = {"OldImage": items.to_item(old), "NewImage": items.to_item(new)}
    return {
        "eventName": name,
        "dynamodb": {
            "SequenceNumber": str(1000 + number),
            **{key: image for key, image in images.items() if image},
        },
    }


def _row(model: str, number: int, **more: Any) -> dict[str, Any]:
    return samples.row(
        {
            "model": model,
            "sequence": number,
            "entry_id": samples.digest(f"entry-{number}"),
            "kind": "CandidatePromoted",
            "recorded_at": samples.DECIDED,
            "model_package_arn": samples.version_arn(model=model),
            **more,
        }
    )


def _inserted(model: str, number: int, **more: Any) -> dict[str, Any]:
    return _record(number, "INSERT", {}, _row(model, number, **more))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What was counted."""
    found: list[tuple[str, int]] = []
    monkeypatch.setattr(metrics, "count", lambda name, value: found.append((name, value)))
    return found


def _stored(aws: Callable[..., Any], model: str, folder: str = "entries") -> dict[str, str]:
    """Key -> text, of everything that the archive has of the model."""
    s3, prefix = aws("s3"), f"{folder}/model={model}/"
    listed = s3.list_objects_v2(Bucket=LEDGER, Prefix=prefix).get("Contents", [])
    return {
        one["Key"].removeprefix(prefix): s3.get_object(Bucket=LEDGER, Key=one["Key"])["Body"]
        .read()
        .decode()
        for one in listed
    }


def test_entries_and_checkpoints_are_archived_as_they_were_signed(
    lambdas: Callable[..., Any], aws: Callable[..., Any], counted: list[tuple[str, int]]
) -> None:
    model = f"model-{uuid4().hex}"
    first, second = samples.head(model, 1), samples.head(model, 2)
    batch = [
        _inserted(model, 1),
        _inserted(model, 2),
        _record(3, "INSERT", {}, first),
        _record(4, "MODIFY", first, second),
        _record(5, "INSERT", {}, {"model": "entry#x", "sequence": 0, "entry_sequence": 1}),
    ]
    for _ in range(2):  # streams repeat
        assert lambdas("archive_entry")({"Records": batch}) == {"batchItemFailures": []}
    assert _stored(aws, model) == {
        f"{number:09d}.json": _row(model, number)["envelope"] for number in (1, 2)
    }
    assert _stored(aws, model, "checkpoints") == {
        "000000001.json": first["checkpoint"],
        "000000002.json": second["checkpoint"],
    }
    versions = aws("s3").list_object_versions(Bucket=LEDGER, Prefix=f"entries/model={model}/")
    assert len(versions["Versions"]) == 2
    assert counted == []


def test_an_archived_entry_is_locked_in_compliance_mode(
    lambdas: Callable[..., Any], aws: Callable[..., Any]
) -> None:
    model = f"model-{uuid4().hex}"
    lambdas("archive_entry")({"Records": [_inserted(model, 1)]})
    s3, key = aws("s3"), f"entries/model={model}/000000001.json"
    head = s3.head_object(Bucket=LEDGER, Key=key)
    assert head["ObjectLockMode"] == "COMPLIANCE"
    # Not even root may delete the version, or let it go sooner.
    for call, more in (
        (s3.delete_object, {"BypassGovernanceRetention": True}),
        (
            s3.put_object_retention,
            {
                "Retention": {"Mode": "COMPLIANCE", "RetainUntilDate": "2026-01-01T00:00:00Z"},
                "BypassGovernanceRetention": True,
            },
        ),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call(Bucket=LEDGER, Key=key, VersionId=head["VersionId"], **more)


def test_tampering_is_counted_and_told_and_stops_nothing(
    lambdas: Callable[..., Any],
    aws: Callable[..., Any],
    counted: list[tuple[str, int]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = f"model-{uuid4().hex}"
    changed = _record(1, "MODIFY", _row(model, 1), _row(model, 1, note="another"))
    removed = _record(2, "REMOVE", _row(model, 2), {})
    batch = {"Records": [changed, removed, _inserted(model, 3)]}
    with caplog.at_level(logging.ERROR, "governed-path"):
        assert lambdas("archive_entry")(batch) == {"batchItemFailures": []}
    assert counted == [("LedgerTampering", 2)]
    told = [record for record in caplog.records if record.message == "LEDGER TAMPERING"]
    assert len(told) == 2
    assert list(_stored(aws, model)) == ["000000003.json"]


def test_another_entry_of_a_number_that_is_archived_is_tampering(
    lambdas: Callable[..., Any], aws: Callable[..., Any], counted: list[tuple[str, int]]
) -> None:
    """Deleted and put again: to the stream it looks like a new one."""
    model = f"model-{uuid4().hex}"
    lambdas("archive_entry")({"Records": [_inserted(model, 1)]})
    lambdas("archive_entry")({"Records": [_inserted(model, 1, note="another")]})
    assert counted == [("LedgerTampering", 1)]
    assert _stored(aws, model) == {"000000001.json": _row(model, 1)["envelope"]}


def test_the_batch_is_repeated_from_the_first_object_that_s3_did_not_take(
    lambdas: Callable[..., Any],
    aws: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, client = f"model-{uuid4().hex}", sessions.own_client("s3")
    put = client.put_object

    def slow_down(**request: Any) -> Any:
        if "000000002" in request["Key"]:
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "later"}}, "PutObject")
        return put(**request)

    monkeypatch.setattr(client, "put_object", slow_down)
    batch = {"Records": [_inserted(model, number) for number in (1, 2, 3)]}
    with caplog.at_level(logging.ERROR, "governed-path"):
        assert lambdas("archive_entry")(batch) == {
            "batchItemFailures": [{"itemIdentifier": "1002"}]
        }
    assert "not archived" in caplog.text
    assert list(_stored(aws, model)) == ["000000001.json"]
    monkeypatch.undo()


def test_the_metric_is_one_that_the_alarm_looks_at(
    lambdas: Callable[..., Any], aws: Callable[..., Any]
) -> None:
    assert Settings.load().ledger_bucket == LEDGER
    metrics.count("LedgerTampering", 2)
    (found,) = aws("cloudwatch").list_metrics(Namespace="GovernedPath")["Metrics"]
    assert (found["MetricName"], found.get("Dimensions", [])) == ("LedgerTampering", [])
