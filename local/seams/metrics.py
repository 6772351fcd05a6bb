"""Metrics that AWS's services publish and the emulator's do not, so that alarms can fire."""

from __future__ import annotations

import threading
import time
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, sqs, stepfunctions

from local.seams.assertions import require, require_parameters

_EVERY = 1.0  # seconds; AWS publishes queue metrics and evaluates alarms every minute
_STATES = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def install(region: str) -> None:
    """Publish AWS/States and AWS/SQS metrics and evaluate alarms by the clock."""
    require_parameters("metrics", stepfunctions._emit_execution_status_event, "execution")
    require_parameters("metrics", cloudwatch._evaluate_all_alarms)
    require(hasattr(sqs._queues, "_data"), "metrics", "queues by (account, region, url)")
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
        for account in {key[0] for key in list(sqs._queues._data)}:
            with request_scope(account, region):
                _publish_queue_depths()
                cloudwatch._evaluate_all_alarms()


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
