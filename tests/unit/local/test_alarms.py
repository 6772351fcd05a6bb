"""The state of an alarm from its own metric, period by period."""

from __future__ import annotations

from typing import Any

import pytest
from ministack.services import cloudwatch

from local.seams import metrics

NOW = 1_000_000.0
QUEUE = {"QueueName": "dead"}


@pytest.fixture(autouse=True)
def points(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str, str], list[Any]]:
    """(namespace, metric, dimensions) -> what was put."""
    store: dict[tuple[str, str, str], list[Any]] = {}
    monkeypatch.setattr(cloudwatch, "_metrics", store)
    monkeypatch.setattr(metrics.time, "time", lambda: NOW)
    return store


def put(store: dict[Any, Any], value: float, ago: float, queue: str = "dead") -> None:
    key = ("AWS/SQS", "Visible", f"QueueName={queue}")
    store.setdefault(key, []).append({"Timestamp": NOW - ago, "Value": value})


def state(**more: Any) -> str:
    alarm = {
        "Namespace": "AWS/SQS",
        "MetricName": "Visible",
        "Dimensions": [{"Name": "QueueName", "Value": "dead"}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "StateValue": "INSUFFICIENT_DATA",
        **more,
    }
    return metrics._state(alarm)[0]


def test_only_the_alarms_own_dimensions_count(points: Any) -> None:
    put(points, 5, ago=1, queue="another")
    put(points, 0, ago=1)
    assert state() == "OK"
    put(points, 1, ago=1)
    assert state() == "ALARM"
    assert state(Dimensions=[]) == "OK"


def test_what_is_past_does_not_count(points: Any) -> None:
    put(points, 1, ago=61)
    assert state() == "OK"
    assert state(EvaluationPeriods=2) == "OK"  # one of the two breaches
    assert state(EvaluationPeriods=2, DatapointsToAlarm=1) == "ALARM"
    put(points, 1, ago=1)
    assert state(EvaluationPeriods=2) == "ALARM"


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [
        ("notBreaching", "OK"),
        ("breaching", "ALARM"),
        ("missing", "INSUFFICIENT_DATA"),
        (None, "INSUFFICIENT_DATA"),
        ("ignore", "ALARM"),
    ],
)
def test_without_data(treatment: str | None, expected: str) -> None:
    assert state(TreatMissingData=treatment, StateValue="ALARM") == expected


def test_missing_periods_count_as_the_alarm_says(points: Any) -> None:
    put(points, 1, ago=1)
    assert state(EvaluationPeriods=2) == "OK"
    assert state(EvaluationPeriods=2, TreatMissingData="breaching") == "ALARM"


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("GreaterThanOrEqualToThreshold", "ALARM"),
        ("GreaterThanThreshold", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM"),
        ("LessThanThreshold", "OK"),
    ],
)
def test_comparisons(points: Any, comparison: str, expected: str) -> None:
    put(points, 1, ago=1)
    assert state(ComparisonOperator=comparison) == expected


@pytest.mark.parametrize(
    ("statistic", "threshold", "expected"),
    [("Maximum", 4, "ALARM"), ("Maximum", 5, "OK"), ("Sum", 5, "ALARM"), ("Average", 3, "OK")],
)
def test_statistics(points: Any, statistic: str, threshold: float, expected: str) -> None:
    put(points, 4, ago=1)
    put(points, 1, ago=2)
    assert state(Statistic=statistic, Threshold=threshold) == expected
