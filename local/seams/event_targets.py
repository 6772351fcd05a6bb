"""Rule targets: buses in other accounts, roles that must permit, dead-letter queues.

The emulator drops what it cannot deliver and asks no role. Here a target's role is used, a bus in
another account is asked through its policy, and what cannot be delivered goes to the target's
dead-letter queue with the attributes that EventBridge sets.
"""

from __future__ import annotations

import contextvars
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from ministack.core import iam_evaluator
from ministack.core.responses import request_scope
from ministack.services import cloudwatch, eventbridge, lambda_svc

from local.seams import calls
from local.seams.assertions import require_attributes, require_parameters, require_source

logger = logging.getLogger("governed-path")

_current: contextvars.ContextVar[tuple[dict[str, Any], dict[str, Any]]] = contextvars.ContextVar(
    "target and rule of the delivery"
)
# What is not tried again -> EventBridge's ERROR_CODE.
_FINAL = {
    "AccessDenied": "NO_PERMISSIONS",
    "AccessDeniedException": "NO_PERMISSIONS",
    "StateMachineDoesNotExist": "NO_RESOURCE",
}
_ATTEMPTS = 3  # then the dead-letter queue; AWS goes on for up to 24 hours


class UndeliverableError(Exception):
    """A target that can never take the event: `code` is EventBridge's ERROR_CODE."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def install() -> None:
    """Deliver as EventBridge does."""
    require_parameters(
        "event_targets", eventbridge._invoke_target, "target", "event", "rule", "view"
    )
    require_source("event_targets", eventbridge._invoke_target, "_dispatch_to_stepfunctions(arn")
    require_parameters(
        "event_targets",
        eventbridge._dispatch_to_event_bus,
        *("spec", "event", "rule", "event_path", "target_input_payload"),
    )
    require_parameters("event_targets", eventbridge._dispatch_to_stepfunctions, "arn", "payload")
    require_parameters("event_targets", eventbridge._dispatch_to_lambda, "arn", "payload")
    _require_what_deliveries_use()
    invoke, to_bus = eventbridge._invoke_target, eventbridge._dispatch_to_event_bus

    def invoke_target(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        token = _current.set((target, rule))
        try:
            invoke(target, event, rule, view)
        finally:
            _current.reset(token)

    def to_event_bus(
        spec: Any, event: dict[str, Any], rule: dict[str, Any], path: Any, payload: Any = None
    ) -> None:
        def deliver() -> None:
            _ask_bus(spec, event)
            with request_scope(spec.account_id, spec.region):
                to_bus(spec, dict(event), rule, path, payload)

        _deliver(deliver, json.dumps(eventbridge._pattern_event_view(event).event_with_detail()))

    eventbridge._invoke_target = invoke_target
    eventbridge._dispatch_to_event_bus = to_event_bus
    eventbridge._dispatch_to_stepfunctions = _start_execution
    eventbridge._dispatch_to_lambda = _invoke_function
    _keep_whole_policies()


def _require_what_deliveries_use() -> None:
    require_attributes(
        "event_targets",
        eventbridge,
        *("_event_buses", "_event_bus_policies", "_pattern_event_view", "json_response"),
    )
    require_parameters("event_targets", eventbridge._put_events, "data", "allow_aws_source")
    require_parameters("event_targets", lambda_svc._get_func_record_for_ref, "function_ref")
    require_parameters("event_targets", lambda_svc._execution_record_for_config, "func", "config")
    require_parameters("event_targets", lambda_svc.invoke_async_with_retry, "func", "event")
    require_parameters(
        "event_targets", iam_evaluator._gather_role_policies, "role_name", "account_id"
    )
    require_attributes(
        "event_targets", iam_evaluator, "EvalContext", "evaluate", "evaluate_resource_policy"
    )


def _start_execution(arn: str, payload: str) -> None:
    target, rule = _current.get()

    def deliver() -> None:
        caller = calls.as_role(
            target.get("RoleArn", ""), "events.amazonaws.com", rule.get("Name", "rule")
        )
        calls.client(caller, "stepfunctions").start_execution(stateMachineArn=arn, input=payload)

    # A thread, because events are also emitted on the loop that has to answer this call.
    _in_background(lambda: _deliver(deliver, payload))


def _invoke_function(arn: str, payload: str) -> None:
    def deliver() -> None:
        func, config, _ = lambda_svc._get_func_record_for_ref(arn)
        if not func or not config:
            raise UndeliverableError("NO_RESOURCE", f"function {arn} does not exist")
        # Asynchronous, as on AWS: retries and the function's own destination are Lambda's.
        lambda_svc.invoke_async_with_retry(
            lambda_svc._execution_record_for_config(func, config), json.loads(payload)
        )

    _deliver(deliver, payload)


def _ask_bus(spec: Any, event: dict[str, Any]) -> None:
    """UndeliverableError unless the target's role may put events and the bus lets it."""
    target, rule = _current.get()
    role = target.get("RoleArn", "")
    if not role:
        raise UndeliverableError("NO_PERMISSIONS", "the target has no role")
    account, name = role.split(":")[4], role.rpartition("/")[2]
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/{rule.get('Name', 'rule')}",
        principal_type="AssumedRole",
        principal_account=account,
        action="events:PutEvents",
        resource_arn=str(spec),
        region=spec.region,
        service_context={
            "events:source": event.get("Source", ""),
            "events:detail-type": event.get("DetailType", ""),
        },
    )
    calls.as_role(role, "events.amazonaws.com", "trust")
    policies = iam_evaluator._gather_role_policies(name, account)
    if iam_evaluator.evaluate(context, policies).decision != "Allow":
        raise UndeliverableError("NO_PERMISSIONS", f"{role} may not put events on {spec}")
    if spec.account_id != account:
        bus = spec.resource.split("/", 1)[1]
        policy = eventbridge._event_bus_policies.get_scoped(spec.account_id, spec.region, bus)
        if iam_evaluator.evaluate_resource_policy(policy, context).decision != "Allow":
            raise UndeliverableError(
                "NO_PERMISSIONS", f"the policy of {spec} does not allow {role}"
            )
    if not eventbridge._event_buses.get_scoped(
        spec.account_id, spec.region, spec.resource.split("/", 1)[1]
    ):
        raise UndeliverableError("NO_RESOURCE", f"{spec} does not exist")


def _deliver(deliver: Callable[[], None], payload: str) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            deliver()
            return
        except UndeliverableError as error:
            code, message = error.code, str(error)
            break
        except calls.DeniedError as error:
            code, message = "NO_PERMISSIONS", str(error)
            break
        except ClientError as error:
            found, message = error.response["Error"]["Code"], str(error)
            code = _FINAL.get(found, "ERROR_FROM_TARGET")
            if found in _FINAL:
                break
        time.sleep(0.2 * attempt)
    _undelivered(code, message, payload)


def _undelivered(code: str, message: str, payload: str) -> None:
    target, rule = _current.get()
    logger.warning("rule %s: target %s: %s", rule.get("Name"), target.get("Arn"), message)
    bus = rule.get("EventBusName", "default")
    dimensions = {"RuleName": rule.get("Name", "")}
    if bus != "default":
        dimensions["EventBusName"] = bus
    cloudwatch.record_metric("AWS/Events", "FailedInvocations", 1, "Count", dimensions)
    queue = (target.get("DeadLetterConfig") or {}).get("Arn", "")
    if not queue:
        return
    account, name = queue.split(":")[4:6]
    attributes = {
        "RULE_ARN": rule.get("Arn", rule.get("Name", "")),
        "TARGET_ARN": target.get("Arn", ""),
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
    }

    def send() -> None:
        sqs = calls.client(calls.as_root(account), "sqs")
        sqs.send_message(
            QueueUrl=f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}/{account}/{name}",
            MessageBody=payload,
            MessageAttributes={
                key: {"DataType": "String", "StringValue": value or "-"}
                for key, value in attributes.items()
            },
        )

    _in_background(send)


def _keep_whole_policies() -> None:
    """PutPermission with a whole policy document keeps it, conditions and all."""
    require_parameters("event_targets", eventbridge._put_permission, "data")
    original = eventbridge._put_permission

    def put_permission(data: dict[str, Any]) -> Any:
        if not data.get("Policy"):
            return original(data)
        name = data.get("EventBusName", "default")
        eventbridge._event_bus_policies[name] = json.loads(data["Policy"])
        return eventbridge.json_response({})

    eventbridge._put_permission = put_permission


def _in_background(work: Callable[[], None]) -> None:
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), daemon=True).start()


def emit(
    account: str,
    region: str,
    source: str,
    detail_type: str,
    detail: dict[str, Any],
    resources: list[str],
) -> None:
    """Put an AWS service's event on the default bus of the account where it happened."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": resources,
    }
    with request_scope(account, region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
