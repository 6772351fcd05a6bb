"""Tasks of a state machine: real calls with the machine's own role, or the mocked ones of a test.

The emulator runs a task in its own name and asks no policy. Here a task is a signed call to the
gateway, so that IAM decides as for everybody else, and an integration we do not make fails loudly.
Step Functions Local's mock configuration is honoured attempt by attempt, which the emulator's
own reading of it is not.

A Distributed Map reads its items with that role too, evaluates JSONata, and its executions see no
variable of the machine that began them; the emulator does none of these. A state that waits for
seconds does so in a laptop's time (`local.clock`); a Retry waits as long as it says.
"""

from __future__ import annotations

import contextvars
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from ministack.services import stepfunctions

from local import clock
from local.seams import calls, concurrency
from local.seams.assertions import require_attributes, require_parameters, require_source

_execution: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("running execution")
_state: contextvars.ContextVar[str] = contextvars.ContextVar("state that is entered")
_waiting: contextvars.ContextVar[bool] = contextvars.ContextVar("in a Wait state", default=False)
_POLL = 0.05  # seconds between looks at a child execution, in this process


def install() -> None:
    """Make tasks calls of the machine's role; read SFN_MOCK_CONFIG if it is set."""
    require_parameters("workflow_tasks", stepfunctions._invoke_resource, "resource", "input_data")
    require_parameters(
        "workflow_tasks",
        stepfunctions._invoke_with_callback,
        *("resource", "input_data", "token", "state_def"),
    )
    require_parameters(
        "workflow_tasks",
        stepfunctions._invoke_resource_with_timeout,
        *("resource", "input_data", "timeout"),
    )
    require_parameters(
        "workflow_tasks",
        stepfunctions._execute_task,
        *("state_def", "raw_input", "execution", "ctx"),
    )
    require_source("workflow_tasks", stepfunctions._invoke_with_callback, "_task_tokens[token] = {")
    require_attributes(
        "workflow_tasks",
        stepfunctions,
        *("_ExecutionError", "_state_machines", "_executions", "_task_tokens", "_sfn_mock_config"),
        *("_map_runs", "_parse_reader_items", "_next_or_end"),
        *("_apply_jsonata_template", "_apply_jsonata_output", "_apply_state_assign"),
    )
    require_parameters(
        "workflow_tasks",
        stepfunctions._run_distributed_map,
        *("state_def", "raw_input", "effective", "iterator", "execution", "ctx"),
    )
    require_source(
        "workflow_tasks",
        stepfunctions._run_distributed_map,
        '_resolve_path_or_ctx(state_def.get("ItemsPath", "$"), effective, ctx)',
        '"stateMachineArn": child_sm_arn',
        '"mapRunArn": map_run_arn',
    )
    require_parameters("workflow_tasks", stepfunctions._scaled_sleep, "seconds")
    require_parameters(
        "workflow_tasks", stepfunctions._execute_wait, "state_def", "raw_input", "ctx"
    )
    require_source("workflow_tasks", stepfunctions._execute_wait, "_scaled_sleep(")
    mocks = Mocks.load(os.environ.get("SFN_MOCK_CONFIG"))
    stepfunctions._sfn_mock_config = {}
    execute_task = stepfunctions._execute_task

    def execute(state_def: Any, raw_input: Any, execution: dict[str, Any], ctx: Any) -> Any:
        _execution.set(execution)
        _state.set(ctx["State"]["Name"])
        return execute_task(state_def, raw_input, execution, ctx)

    def invoke(resource: str, arguments: Any) -> Any:
        if mocks.covers(_execution.get()):
            return mocks.answer(_execution.get(), _state.get())
        return _perform(resource, arguments)

    def invoke_with_callback(
        resource: str, arguments: Any, token: str, state_def: dict[str, Any]
    ) -> Any:
        if mocks.covers(_execution.get()):
            return mocks.answer(_execution.get(), _state.get())
        return _wait_for(token, state_def, lambda: invoke(resource, arguments))

    run_map = stepfunctions._run_distributed_map

    def run_distributed_map(
        state_def: Any, raw_input: Any, effective: Any, iterator: Any, execution: Any, ctx: Any
    ) -> Any:
        _execution.set(execution)
        if mocks.covers(execution):
            items = mocks.answer(execution, ctx["State"]["Name"])
        else:
            items = _read_items(state_def["ItemReader"], raw_input, ctx)
        return _run_map(run_map, state_def, items, raw_input, iterator, execution, ctx)

    _scale_waits()
    _begin_in_turn(mocks)
    stepfunctions._execute_task = execute
    stepfunctions._run_distributed_map = run_distributed_map
    stepfunctions._invoke_resource = invoke
    stepfunctions._invoke_with_callback = invoke_with_callback


def _begin_in_turn(mocks: Mocks) -> None:
    """A task's time begins when its function may: waiting for a place is not the task's."""
    invoke = stepfunctions._invoke_resource_with_timeout

    def invoke_in_turn(resource: str, arguments: Any, timeout: float) -> Any:
        if not resource.endswith("lambda:invoke") or mocks.covers(_execution.get()):
            return invoke(resource, arguments, timeout)
        with concurrency.place():
            return invoke(resource, arguments, timeout)

    stepfunctions._invoke_resource_with_timeout = invoke_in_turn


def _scale_waits() -> None:
    sleep, execute_wait = stepfunctions._scaled_sleep, stepfunctions._execute_wait

    def scaled_sleep(seconds: float) -> None:
        sleep(clock.scaled(seconds) if _waiting.get() else seconds)

    def wait(state_def: dict[str, Any], raw_input: Any, ctx: Any = None) -> Any:
        # A Wait until a time of day is left as it is.
        token = _waiting.set("Seconds" in state_def or "SecondsPath" in state_def)
        try:
            return execute_wait(state_def, raw_input, ctx)
        finally:
            _waiting.reset(token)

    stepfunctions._scaled_sleep = scaled_sleep
    stepfunctions._execute_wait = wait


def _perform(resource: str, arguments: Any) -> Any:
    """Call what the resource names with the role of the running machine; its result."""
    name = resource.removeprefix("arn:aws:states:::").removesuffix(".waitForTaskToken")
    perform = _INTEGRATIONS.get(name)
    if perform is None:
        raise stepfunctions._ExecutionError(
            "States.Runtime", f"{resource} is not made by the embedded AWS; see local/README.md"
        )
    if _execution.get().get("status", "RUNNING") != "RUNNING":
        # The emulator looks at that between states, and not when a Retry has waited.
        raise stepfunctions._ExecutionError("States.TaskFailed", "the execution was stopped")
    prefix = {"lambda": "Lambda", "sqs": "SQS", "sns": "Sns", "states": "StepFunctions"}.get(
        name.partition(":")[0], "EventBridge"
    )
    try:
        return perform(_caller(), arguments)
    except calls.DeniedError as error:
        raise stepfunctions._ExecutionError("States.Runtime", str(error)) from error
    except ClientError as error:
        code = error.response["Error"]["Code"]
        code = (
            "AWSLambdaException" if (prefix, code) == ("Lambda", "AccessDeniedException") else code
        )
        raise stepfunctions._ExecutionError(f"{prefix}.{code}", str(error)) from error
    except BotoCoreError as error:
        raise stepfunctions._ExecutionError(f"{prefix}.SdkClientException", str(error)) from error


def _caller() -> calls.Caller:
    machine = _machine(_execution.get())
    # One session for all executions: each would need clients of its own, of hundreds at once.
    return calls.as_role(machine["roleArn"], "states.amazonaws.com", machine["name"])


def _machine(execution: dict[str, Any]) -> dict[str, Any]:
    """The machine of an execution; a child of a map names the map behind it."""
    arn = execution["stateMachineArn"].partition("/")[0]
    machine: dict[str, Any] = stepfunctions._state_machines[arn]
    return machine


def _read_items(reader: dict[str, Any], raw_input: Any, ctx: Any) -> Any:
    """The items of an object in S3, read with the role of the running machine."""
    if reader["Resource"] != "arn:aws:states:::s3:getObject":
        raise stepfunctions._ExecutionError(
            "States.Runtime", f"{reader['Resource']} is not made by the embedded AWS"
        )
    arguments = stepfunctions._apply_jsonata_template(reader["Arguments"], raw_input, ctx)
    try:
        body = calls.client(_caller(), "s3").get_object(**arguments)["Body"].read()
    except (calls.DeniedError, ClientError, BotoCoreError) as error:
        raise stepfunctions._ExecutionError("States.ItemReaderFailed", str(error)) from error
    return stepfunctions._parse_reader_items(body.decode(), reader.get("ReaderConfig", {}))


def _run_map(
    run_map: Callable[..., Any],
    state_def: dict[str, Any],
    items: list[Any],
    raw_input: Any,
    iterator: Any,
    execution: Any,
    ctx: Any,
) -> Any:
    """Run the emulator's map over items that are selected already, and evaluate what follows."""
    selected = items
    if "ItemSelector" in state_def:
        selected = [
            stepfunctions._apply_jsonata_template(
                state_def["ItemSelector"],
                raw_input,
                {**ctx, "Map": {"Item": {"Index": index, "Value": item}}},
            )
            for index, item in enumerate(items)
        ]
    plain = {
        key: value
        for key, value in state_def.items()
        if key not in {"ItemReader", "ItemSelector", "Output", "Assign"}
    }
    without_variables = {**ctx, "variables": {}}
    result, _ = run_map(plain, selected, selected, iterator, execution, without_variables)
    output = stepfunctions._apply_jsonata_output(
        state_def, raw_input, ctx, result=result, default=result
    )
    stepfunctions._apply_state_assign(state_def, raw_input, ctx, result=result)
    return output, stepfunctions._next_or_end(state_def)


def _invoke_function(caller: calls.Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    answer = calls.client(caller, "lambda").invoke(
        FunctionName=arguments["FunctionName"], Payload=json.dumps(arguments.get("Payload", {}))
    )
    payload = json.loads(answer["Payload"].read() or b"null")
    if answer.get("FunctionError"):
        error = payload if isinstance(payload, dict) else {}
        raise stepfunctions._ExecutionError(
            error.get("errorType", "Lambda.Unknown"), json.dumps(payload)
        )
    return {
        "ExecutedVersion": answer.get("ExecutedVersion", "$LATEST"),
        "Payload": payload,
        "StatusCode": answer["StatusCode"],
    }


def _send_message(caller: calls.Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    body = arguments["MessageBody"]
    answer = calls.client(caller, "sqs").send_message(
        **{**arguments, "MessageBody": body if isinstance(body, str) else json.dumps(body)}
    )
    return {key: answer[key] for key in ("MessageId", "MD5OfMessageBody") if key in answer}


def _start_child(caller: calls.Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    child_input = arguments.get("Input", {})
    named = {"name": arguments["Name"]} if "Name" in arguments else {}
    arn = calls.client(caller, "stepfunctions").start_execution(
        stateMachineArn=arguments["StateMachineArn"],
        input=child_input if isinstance(child_input, str) else json.dumps(child_input),
        **named,
    )["executionArn"]
    # AWS is told by an event; in this process the record can be looked at.
    while (child := stepfunctions._executions[arn])["status"] == "RUNNING":
        if _execution.get()["status"] != "RUNNING":
            raise stepfunctions._ExecutionError("States.TaskFailed", "the parent was stopped")
        time.sleep(_POLL)
    result = {
        "ExecutionArn": arn,
        "Input": json.loads(child["input"]),
        "Name": child["name"],
        "StateMachineArn": child["stateMachineArn"],
        "Status": child["status"],
    }
    if child["status"] != "SUCCEEDED":
        result |= {"Error": child.get("error"), "Cause": child.get("cause")}
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(result))
    return {**result, "Output": json.loads(child["output"] or "null")}


_INTEGRATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "lambda:invoke": _invoke_function,
    "sqs:sendMessage": _send_message,
    "states:startExecution.sync:2": _start_child,
}


def _wait_for(token: str, state_def: dict[str, Any], start: Callable[[], Any]) -> Any:
    """Do the task, then wait until its token is sent back; a task that fails is not waited for."""
    arrived = threading.Event()
    stepfunctions._task_tokens[token] = {
        "event": arrived,
        "result": None,
        "error": None,
        "heartbeat": None,
    }
    try:
        start()
        if not arrived.wait(state_def.get("TimeoutSeconds", 99999)):
            raise stepfunctions._ExecutionError("States.Timeout", "nobody sent the task token back")
        answer = stepfunctions._task_tokens[token]
    finally:
        stepfunctions._task_tokens.pop(token, None)
    if answer.get("error"):
        error = answer["error"]
        raise stepfunctions._ExecutionError(error.get("Error", ""), error.get("Cause", ""))
    result = answer.get("result")
    return json.loads(result) if isinstance(result, str) else result


class Mocks:
    """The mock configuration of Step Functions Local, attempt by attempt.

    {"StateMachines": {name: {"TestCases": {case: {state: response}}}},
    "MockedResponses": {response: {"0": {"Return": ...}, "1-2": {"Throw": {"Error", "Cause"}}}}}
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._attempts: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    @classmethod
    def load(cls, path: str | None) -> Mocks:
        """The configuration in the file, or one that mocks nothing."""
        if not path:
            return cls({})
        with open(path, encoding="utf-8") as file:
            return cls(json.load(file))

    def covers(self, execution: dict[str, Any]) -> bool:
        """True if the execution was started as a test case ("...stateMachine:name#case")."""
        return bool(execution.get("testCase"))

    def answer(self, execution: dict[str, Any], state: str) -> Any:
        """What the test case says for this attempt at the state."""
        name = _machine(execution)["name"]
        run = stepfunctions._map_runs.get(execution.get("mapRunArn"))
        started = run["executionArn"] if run else execution["executionArn"]
        cases = self._config.get("StateMachines", {}).get(name, {}).get("TestCases", {})
        response = cases.get(execution["testCase"], {}).get(state)
        with self._lock:
            # As the items of an inline map do, those of a map run share their attempts.
            attempt = self._attempts.get((started, state), 0)
            self._attempts[(started, state)] = attempt + 1
        mocked = self._config.get("MockedResponses", {}).get(response, {})
        for attempts, outcome in mocked.items():
            first, _, last = attempts.partition("-")
            if int(first) <= attempt <= int(last or first):
                return _outcome(outcome)
        raise stepfunctions._ExecutionError(
            "States.Runtime",
            f"test case {execution['testCase']} mocks no attempt {attempt} of state {state}",
        )


def _outcome(outcome: dict[str, Any]) -> Any:
    if "Throw" in outcome:
        error = outcome["Throw"]
        raise stepfunctions._ExecutionError(error["Error"], error.get("Cause", ""))
    return outcome["Return"]
