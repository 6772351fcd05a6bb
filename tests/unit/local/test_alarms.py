"""The state of an alarm from its own metric, period by period."""

from __future__ import annotations

from typing import Any

import pytest
from ministack.services import cloudwatch

from local import clock
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


# ------------------------------------------------------------ what endpoints publish: scaled time


SCALED = {"Namespace": "AWS/SageMaker", "AlarmArn": "arn:alarm", "Period": 60}


def put_scaled(store: dict[Any, Any], value: float, ago: float) -> None:
    key = ("AWS/SageMaker", "Visible", "QueueName=dead")
    store.setdefault(key, []).append({"Timestamp": NOW - ago, "Value": value})


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """When each alarm was looked at last."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(metrics, "_LOOKS", found)
    monkeypatch.setenv("GOVERNED_PATH_TIME_SCALE", "0.01")
    return found


def test_a_period_of_an_endpoints_alarm_is_scaled(points: Any, looks: dict[str, Any]) -> None:
    put_scaled(points, 1, ago=0.7)
    assert state(**SCALED) == "OK"
    put_scaled(points, 1, ago=0.5)
    assert state(**SCALED) == "ALARM"
    assert state(**SCALED, EvaluationPeriods=2) == "ALARM"
    assert state(**SCALED, EvaluationPeriods=3) == "OK"


def test_nothing_is_missed_between_two_looks(points: Any, looks: dict[str, Any]) -> None:
    put_scaled(points, 1, ago=0.9)
    looks["arn:alarm"] = metrics._Look(NOW - 1, "OK")
    assert state(**SCALED) == "ALARM"
    looks["arn:alarm"] = metrics._Look(NOW - 0.1, "OK")
    assert state(**SCALED) == "OK"


def test_a_state_that_somebody_set_stays_until_the_next_look_of_aws(
    looks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = metrics._Look(NOW - 1, "OK")
    alarm = {"StateValue": "ALARM", "StateUpdatedTimestamp": NOW - 1.5}
    assert metrics._is_held(alarm, look)
    assert not metrics._is_held({**alarm, "StateValue": "OK"}, look)
    assert not metrics._is_held({**alarm, "StateUpdatedTimestamp": NOW - 2.5}, look)
    monkeypatch.setenv("GOVERNED_PATH_TIME_SCALE", "0.1")  # AWS's minute is six seconds
    assert metrics._is_held({**alarm, "StateUpdatedTimestamp": NOW - 2.5}, look)


@pytest.mark.parametrize("given", ["0", "-1", "2", "fast"])
def test_a_scale_that_is_none_is_named(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNED_PATH_TIME_SCALE", given)
    with pytest.raises(ValueError, match=f"GOVERNED_PATH_TIME_SCALE is '{given}'; expected"):
        clock.scaled(60)


def test_an_aws_minute_is_a_second_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOVERNED_PATH_TIME_SCALE", raising=False)
    assert clock.scaled(60) == pytest.approx(1)
