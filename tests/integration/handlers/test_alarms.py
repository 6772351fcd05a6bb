"""Alarms of a release: made again and again, calmed, and remembered after they have calmed down."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from governance.adapters import sessions
from governance.adapters.alarms import Alarms
from governance.domain import deployments, guardrails
from tests.contracts import samples


@pytest.fixture
def deployment(lambdas: Callable[..., Any]) -> dict[str, Any]:
    """A Prod deployment of an endpoint of its own."""
    return deployments.plan(
        samples.promotion("Prod"),
        samples.candidate(),
        {**samples.project(), "endpoint_name": f"e-{uuid4().hex[:8]}"},
        samples.description(),
        "governed-path-endpoint-execution",
        samples.definition_reference(),
        samples.definition(),
    )


@pytest.fixture
def alarms(deployment: dict[str, Any]) -> Alarms:
    made = Alarms(sessions._own_session())
    made.put(guardrails.alarms(deployment, of_config_alone=True))
    return made


def _before() -> str:
    return (datetime.now(UTC) - timedelta(minutes=5)).isoformat()


def _raise(aws: Callable[..., Any], name: str, state: str = "ALARM") -> None:
    aws("cloudwatch").set_alarm_state(
        AlarmName=name, StateValue=state, StateReason=f"somebody said {state}"
    )


def test_alarms_are_what_the_definition_says_and_can_be_made_again(
    aws: Callable[..., Any], alarms: Alarms, deployment: dict[str, Any]
) -> None:
    alarms.put(guardrails.alarms(deployment, of_config_alone=False))
    names = guardrails.alarm_names(deployment)
    found = aws("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert sorted(alarm["AlarmName"] for alarm in found) == sorted(names)
    (slow,) = [alarm for alarm in found if alarm["AlarmName"].endswith("-slow")]
    assert (slow["ExtendedStatistic"], slow["Threshold"]) == ("p95", 500_000)
    assert len(slow["Dimensions"]) == 2  # of the endpoint, no more of the new instances


def test_what_was_raised_is_told_with_its_reason_also_when_it_has_calmed_down(
    aws: Callable[..., Any], alarms: Alarms, deployment: dict[str, Any]
) -> None:
    names = guardrails.alarm_names(deployment)
    errors, _, stop = names
    assert alarms.raised(names, _before()) == []
    _raise(aws, errors)
    _raise(aws, errors, "OK")
    _raise(aws, stop)
    assert alarms.raised(names, _before()) == [
        {"name": errors, "reason": "somebody said ALARM"},
        {"name": stop, "reason": "somebody said ALARM"},
    ]
    later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    assert [one["name"] for one in alarms.raised(names, later)] == [stop]
    assert [one["name"] for one in alarms.raised(names, None)] == [stop]


def test_a_new_release_begins_with_alarms_that_are_calm(
    aws: Callable[..., Any], alarms: Alarms, deployment: dict[str, Any]
) -> None:
    names = guardrails.alarm_names(deployment)
    _raise(aws, names[-1])
    alarms.calm(names, "a new release begins")
    found = aws("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert "ALARM" not in {alarm["StateValue"] for alarm in found}


def test_an_alarm_that_is_not_there_was_not_raised(
    alarms: Alarms, deployment: dict[str, Any]
) -> None:
    assert alarms.raised([f"{deployment['endpoint_name']}-nothing"], _before()) == []
