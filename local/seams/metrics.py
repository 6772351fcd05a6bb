"""Metrics that AWS's services publish and the emulator's do not, and the alarms on them.

The emulator adds up a metric of all queues or all machines, whatever an alarm's dimensions say,
looks only when a metric is put, and never goes back to OK when there is nothing to add up.
"""

from __future__ import annotations

import logging
import operator
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, sqs, stepfunctions

from local.seams.assertions import (
    require,
    require_attributes,
    require_parameters,
    require_source,
)

logger = logging.getLogger("governed-path")

_EVERY = 1.0  # seconds; AWS publishes queue metrics and evaluates alarms every minute
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


def install(region: str) -> None:
    """Publish AWS/States and AWS/SQS metrics and evaluate alarms by the clock."""
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
    _evaluate_as_aws()
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
        state, reason = _state(alarm)
        old = alarm["StateValue"]
        if state == old:
            return
        alarm["StateValue"], alarm["StateReason"] = state, reason
        alarm["StateUpdatedTimestamp"] = int(time.time())
        cloudwatch._record_history(alarm["AlarmName"], old, state, reason)
        cloudwatch._dispatch_alarm_actions(alarm, old, state, reason)
        cloudwatch._evaluate_parent_alarms(alarm)

    cloudwatch._evaluate_alarm = evaluate


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
    end, period = time.time() + 1, alarm.get("Period") or 60
    values: list[float | None] = []
    for _ in range(alarm.get("EvaluationPeriods") or 1):
        found = [point for point in points if end - period <= point["Timestamp"] < end]
        stats = cloudwatch._calc_stats(found)
        values.append(cloudwatch._stat_value(stats, statistic, found) if stats else None)
        end -= period
    return values


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
