"""Metrics that AWS's services publish and the emulator's do not, and the alarms on them.

The emulator adds up a metric of all queues or all machines, whatever an alarm's dimensions say,
looks only when a metric is put, never goes back to OK when there is nothing to add up, and tells
no event bus of it. What endpoints publish is looked at in a laptop's time (`local.clock`).
"""

from __future__ import annotations

import logging
import operator
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Queue
from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import cloudwatch, sqs, stepfunctions

from local import clock
from local.seams import event_targets
from local.seams.assertions import (
    require,
    require_attributes,
    require_parameters,
    require_source,
)

logger = logging.getLogger("governed-path")

_EVERY = 1.0  # seconds; AWS publishes queue metrics and evaluates alarms every minute
_SCALED = ("AWS/SageMaker", "/aws/sagemaker/Endpoints")  # namespaces whose periods are scaled
_STATES = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}
_BREACHES: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
# TreatMissingData -> the state of an alarm without any data; "ignore" leaves it as it is.
_WITHOUT_DATA = {"notBreaching": "OK", "breaching": "ALARM", "missing": "INSUFFICIENT_DATA"}


@dataclass
class _Look:
    """What the last evaluation of an alarm left behind."""

    at: float
    state: str


_LOOKS: dict[str, _Look] = {}  # by the alarm's ARN
_ALARMED: dict[tuple[str, str, str], float] = {}  # (account, region, name) -> last into ALARM
_EVALUATION = threading.Lock()  # the clock looks, and so does every deployment
_CHANGES: Queue[tuple[str, str, dict[str, Any], str]] = Queue()


def install(region: str) -> None:
    """Publish AWS/States and AWS/SQS metrics, evaluate alarms by the clock, tell the bus."""
    require_parameters("metrics", stepfunctions._emit_execution_status_event, "execution")
    require_parameters("metrics", cloudwatch._evaluate_all_alarms)
    require_parameters("metrics", cloudwatch._evaluate_alarm, "alarm")
    require_source("metrics", cloudwatch._evaluate_alarm, "for (k_ns, k_mn, _), pts in _metrics")
    require_parameters("metrics", cloudwatch._dims_key, "dims")
    require_attributes(
        "metrics",
        cloudwatch,
        *("record_metric", "_metrics", "_dims_from_list", "_calc_stats", "_stat_value"),
        *("_record_history", "_dispatch_alarm_actions", "_evaluate_parent_alarms"),
    )
    require(hasattr(sqs._queues, "_data"), "metrics", "queues by (account, region, url)")
    require(hasattr(cloudwatch._alarms, "_data"), "metrics", "alarms by (account, region, name)")
    require_parameters(
        "metrics",
        cloudwatch._record_history,
        *("alarm_name", "old_state", "new_state", "reason", "alarm_type", "reason_data"),
    )
    require_attributes("metrics", cloudwatch, "_composite_alarms")
    _evaluate_as_aws()
    _note_changes()
    original = stepfunctions._emit_execution_status_event

    def emit(execution: dict[str, Any]) -> None:
        metric = _STATES.get(execution["status"])
        if metric:
            cloudwatch.record_metric(
                "AWS/States", metric, 1, "Count", {"StateMachineArn": execution["stateMachineArn"]}
            )
        original(execution)

    stepfunctions._emit_execution_status_event = emit
    threading.Thread(target=_tick, args=(region,), daemon=True).start()
    threading.Thread(target=_tell, name="alarm-events", daemon=True).start()


def evaluate(name: str) -> None:
    """Look at an alarm of the request's account now, not only when its time has come."""
    alarm = cloudwatch._alarms.get(name)
    if alarm is not None:
        cloudwatch._evaluate_alarm(alarm)


def in_alarm(account: str, region: str, name: str, since: float) -> bool:
    """Whether the alarm is in ALARM now, or was at any time since then (epoch seconds)."""
    with request_scope(account, region):
        alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    if alarm is None:
        return False
    return alarm["StateValue"] == "ALARM" or _ALARMED.get((account, region, name), 0.0) >= since


def _tick(region: str) -> None:
    while True:
        time.sleep(_EVERY)
        for account in {key[0] for key in [*sqs._queues._data, *cloudwatch._alarms._data]}:
            try:
                with request_scope(account, region):
                    _publish_queue_depths()
                    cloudwatch._evaluate_all_alarms()
            except Exception:
                # Queues and alarms come and go meanwhile; the next look must still be taken.
                logger.exception("could not evaluate the alarms of %s", account)


def _evaluate_as_aws() -> None:
    original = cloudwatch._evaluate_alarm

    def evaluate(alarm: dict[str, Any]) -> None:
        if alarm.get("ComparisonOperator") not in _BREACHES or not alarm.get("MetricName"):
            original(alarm)  # anomaly bands and expressions
            return
        with _EVALUATION:
            old = alarm["StateValue"]
            look = _LOOKS.get(alarm["AlarmArn"])
            if look and _is_held(alarm, look):
                return
            state, reason = _state(alarm)
            _LOOKS[alarm["AlarmArn"]] = _Look(time.time(), state)
            if state == old:
                return
            alarm["StateValue"], alarm["StateReason"] = state, reason
            alarm["StateUpdatedTimestamp"] = int(time.time())
        cloudwatch._record_history(alarm["AlarmName"], old, state, reason)
        cloudwatch._dispatch_alarm_actions(alarm, old, state, reason)
        cloudwatch._evaluate_parent_alarms(alarm)

    cloudwatch._evaluate_alarm = evaluate


def _is_held(alarm: dict[str, Any], look: _Look) -> bool:
    """Whether somebody has set the state, and AWS's minute until the next look is not over."""
    held = max(clock.scaled(60), 2 * _EVERY)
    return bool(
        alarm["StateValue"] != look.state and time.time() - alarm["StateUpdatedTimestamp"] < held
    )


def _note_changes() -> None:
    """Remember who has been in ALARM, and put every change on the account's default bus."""
    original = cloudwatch._record_history

    def record(
        alarm_name: str,
        old_state: str,
        new_state: str,
        reason: str,
        alarm_type: str = "MetricAlarm",
        reason_data: Any = None,
    ) -> None:
        original(alarm_name, old_state, new_state, reason, alarm_type, reason_data)
        alarm = cloudwatch._alarms.get(alarm_name) or cloudwatch._composite_alarms.get(alarm_name)
        if old_state == new_state or alarm is None:
            return
        account, region = get_account_id(), get_region()
        if new_state == "ALARM":
            _ALARMED[account, region, alarm_name] = time.time()
        _CHANGES.put((account, region, _change(alarm, old_state, reason), alarm["AlarmArn"]))

    cloudwatch._record_history = record


def _change(alarm: dict[str, Any], old_state: str, reason: str) -> dict[str, Any]:
    """The detail of "CloudWatch Alarm State Change"."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
    state = {"value": alarm["StateValue"], "reason": reason, "timestamp": at}
    if alarm.get("StateReasonData"):
        state["reasonData"] = alarm["StateReasonData"]
    return {
        "alarmName": alarm["AlarmName"],
        "state": state,
        "previousState": {"value": old_state},
        "configuration": _configuration(alarm),
    }


def _configuration(alarm: dict[str, Any]) -> dict[str, Any]:
    description = alarm.get("AlarmDescription") or ""
    if not alarm.get("MetricName"):
        return {"alarmRule": alarm.get("AlarmRule", ""), "description": description}
    metric = {
        "namespace": alarm["Namespace"],
        "name": alarm["MetricName"],
        "dimensions": cloudwatch._dims_from_list(alarm.get("Dimensions") or []),
    }
    stat = {
        "metric": metric,
        "period": alarm.get("Period") or 60,
        "stat": alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average",
    }
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, alarm["AlarmArn"]))
    return {
        "description": description,
        "metrics": [{"id": identity, "metricStat": stat, "returnData": True}],
    }


def _tell() -> None:
    """Emit the changes on a thread of their own: they also happen on the gateway's loop."""
    while True:
        account, region, detail, arn = _CHANGES.get()
        try:
            event_targets.emit(
                *(account, region, "aws.cloudwatch", "CloudWatch Alarm State Change"),
                *(detail, [arn]),
            )
        except Exception:
            # Whatever a bus or one of its targets does, the next change must still go out.
            logger.exception("could not emit the change of %s", arn)


def _state(alarm: dict[str, Any]) -> tuple[str, str]:
    """(state, reason): enough of the last periods breach the threshold, or not, or have no data."""
    values = _last_periods(alarm)
    treatment = alarm.get("TreatMissingData") or "missing"
    known = [value for value in values if value is not None]
    if not known:
        return (
            _WITHOUT_DATA.get(treatment, alarm["StateValue"]),
            f"Threshold Crossed: no datapoints were received and missing ones are {treatment}",
        )
    breaches = _BREACHES[alarm["ComparisonOperator"]]
    count = sum(breaches(value, alarm["Threshold"]) for value in known)
    if treatment == "breaching":
        count += len(values) - len(known)
    wanted = alarm.get("DatapointsToAlarm") or len(values)
    reason = (
        f"Threshold Crossed: {count} of {len(values)} datapoints {known} breach "
        f"{alarm['ComparisonOperator']} {alarm['Threshold']}"
    )
    return "ALARM" if count >= wanted else "OK", reason


def _last_periods(alarm: dict[str, Any]) -> list[float | None]:
    """The statistic of the alarm's own metric in each of the periods that count, latest first."""
    dimensions = cloudwatch._dims_from_list(alarm.get("Dimensions") or [])
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    points = list(cloudwatch._metrics.get(key) or [])
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    values: list[float | None] = []
    for start, end in _windows(alarm, time.time()):
        found = [point for point in points if start <= point["Timestamp"] < end]
        stats = cloudwatch._calc_stats(found)
        values.append(cloudwatch._stat_value(stats, statistic, found) if stats else None)
    return values


def _windows(alarm: dict[str, Any], now: float) -> list[tuple[float, float]]:
    """(start, end) of each of the periods that count, latest first."""
    period, count = float(alarm.get("Period") or 60), alarm.get("EvaluationPeriods") or 1
    if alarm["Namespace"] not in _SCALED:
        return [(now + 1 - (n + 1) * period, now + 1 - n * period) for n in range(count)]
    period = clock.scaled(period)
    look = _LOOKS.get(alarm["AlarmArn"])
    # The latest reaches back to the last look: between two short ones nothing must be missed.
    start = min(now - period, look.at) if look else now - period
    older = [(start - (n + 1) * period, start - n * period) for n in range(count - 1)]
    return [(start, now), *older]


def _publish_queue_depths() -> None:
    now = time.time()
    for queue in sqs._queues.values():
        visible = sum(1 for message in queue["messages"] if message["visible_at"] <= now)
        cloudwatch.record_metric(
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            visible,
            "Count",
            {"QueueName": queue["name"]},
        )
