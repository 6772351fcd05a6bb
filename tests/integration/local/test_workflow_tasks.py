"""Tasks of a state machine: made with the machine's role, failing with what really failed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.integration.local.support import CENTRAL, Aws, Queue, allow

INVOKE = "arn:aws:states:::lambda:invoke"
MOODY = """
import os, tempfile

class GateFailed(Exception):
    pass

class Flaky(Exception):
    pass

def handler(event, context):
    if event.get("fail") == "gate":
        raise GateFailed("the AUC is too low")
    if event.get("fail") == "key":
        raise KeyError("auc")
    if event.get("fail") == "killed" and context.get_remaining_time_in_millis() > 0:
        path = os.path.join(tempfile.gettempdir(), event["killed"])
        if not os.path.exists(path):
            open(path, "w").close()
            os.kill(os.getpid(), 9)
    if "flaky" in event:
        # An exception ends the worker, so what it knows must be in a file.
        path = os.path.join(tempfile.gettempdir(), event["flaky"])
        with open(path, "a") as file:
            file.write("x")
        if os.path.getsize(path) < event["succeeds_at"]:
            raise Flaky("not yet")
        return os.path.getsize(path)
    return {"event": event, "arn": context.invoked_function_arn}
"""


@pytest.fixture(scope="module")
def moody(aws: Aws) -> str:
    """A function that fails as it is told to."""
    return aws.function(CENTRAL, "moody", MOODY)


def task(arguments: dict[str, Any], resource: str = INVOKE, **more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True, **more}


def call(function: str, payload: Any, **more: Any) -> dict[str, Any]:
    return task({"FunctionName": function, "Payload": payload}, **more)


# ---------------------------------------------------------------- what functions raise


def test_a_function_says_what_it_raised(aws: Aws, moody: str) -> None:
    answer = aws.client("lambda").invoke(FunctionName=moody, Payload=b'{"fail": "gate"}')
    error = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("GateFailed", "the AUC is too low")
    assert any("raise GateFailed" in line for line in error["stackTrace"])


def test_catch_names_the_class(aws: Aws, moody: str) -> None:
    machine = aws.machine(
        CENTRAL,
        "catches",
        {
            "Gate": call(
                moody,
                "{% $states.input %}",
                Catch=[
                    {
                        "ErrorEquals": ["GateFailed"],
                        "Output": "{% $states.errorOutput %}",
                        "Next": "Rejected",
                    }
                ],
            ),
            "Rejected": {"Type": "Pass", "End": True},
        },
        allow("lambda:InvokeFunction", resource=moody),
    )
    caught = aws.run(machine, {"fail": "gate"})
    assert caught["status"] == "SUCCEEDED"
    error = json.loads(caught["output"])
    assert error["Error"] == "GateFailed"
    assert json.loads(error["Cause"])["errorMessage"] == "the AUC is too low"
    other = aws.run(machine, {"fail": "key"})
    assert (other["status"], other["error"]) == ("FAILED", "KeyError")


def test_retry_names_the_class(aws: Aws, moody: str) -> None:
    retry = {"ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1}
    machine = aws.machine(
        CENTRAL,
        "retries",
        {"Try": call(moody, "{% $states.input %}", Retry=[retry])},
        allow("lambda:InvokeFunction"),
    )
    done = aws.run(machine, {"flaky": "once", "succeeds_at": 2})
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert json.loads(done["output"])["Payload"] == 2
    failed = aws.run(machine, {"flaky": "always", "succeeds_at": 9})
    assert (failed["status"], failed["error"]) == ("FAILED", "Flaky")


def test_what_was_stopped_while_a_retry_waits_tries_nothing_any_more(aws: Aws, moody: str) -> None:
    retry = {"ErrorEquals": ["Flaky"], "IntervalSeconds": 2, "MaxAttempts": 3, "BackoffRate": 1}
    machine = aws.machine(
        CENTRAL,
        "stopped",
        {"Try": call(moody, "{% $states.input %}", Retry=[retry])},
        allow("lambda:InvokeFunction"),
    )
    states = aws.client("stepfunctions")
    arn = states.start_execution(
        stateMachineArn=machine, input=json.dumps({"flaky": "stopped", "succeeds_at": 9})
    )["executionArn"]
    deadline = time.monotonic() + 30
    while "TaskFailed" not in str(states.get_execution_history(executionArn=arn)["events"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    states.stop_execution(executionArn=arn)
    time.sleep(3)
    answer = aws.client("lambda").invoke(
        FunctionName=moody, Payload=b'{"flaky": "stopped", "succeeds_at": 2}'
    )
    assert json.loads(answer["Payload"].read()) == 2, "called once before, and now"


# ---------------------------------------------------------------- whose permissions count


def test_a_task_has_the_permissions_of_its_machine(aws: Aws, moody: str) -> None:
    states = {"Call": call(moody, {"n": 1})}
    weak = aws.run(aws.machine(CENTRAL, "weak", states, allow("sqs:*")))
    assert (weak["status"], weak["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert "assumed-role/weak-machine/" in weak["cause"]
    assert "not authorized to perform: lambda:InvokeFunction" in weak["cause"]
    able = aws.run(
        aws.machine(CENTRAL, "able", states, allow("lambda:InvokeFunction", resource=moody))
    )
    assert able["status"] == "SUCCEEDED"
    assert json.loads(able["output"])["Payload"]["event"] == {"n": 1}


def test_a_role_must_trust_step_functions(aws: Aws, moody: str) -> None:
    role = aws.role(CENTRAL, "trusts-nobody", allow("lambda:*"), trusts="ec2.amazonaws.com")
    machine = aws.machine(CENTRAL, "untrusted", {"Call": call(moody, {})}, allow("lambda:*"))
    aws.client("stepfunctions").update_state_machine(stateMachineArn=machine, roleArn=role)
    failed = aws.run(machine)
    assert failed["status"] == "FAILED"
    assert "not authorized to assume the role" in failed["cause"]


def test_a_missing_function_is_named(aws: Aws) -> None:
    machine = aws.machine(
        CENTRAL, "misses", {"Call": call("missing", {})}, allow("lambda:InvokeFunction")
    )
    failed = aws.run(machine)
    assert (failed["status"], failed["error"]) == ("FAILED", "Lambda.ResourceNotFoundException")


# ---------------------------------------------------------------- integrations


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:states:::sns:publish",
        "arn:aws:states:::aws-sdk:s3:getObject",
        "arn:aws:states:::sagemaker:createEndpoint",
        "arn:aws:states:::states:startExecution",
    ],
)
def test_an_integration_that_is_not_made_fails_loudly(aws: Aws, resource: str) -> None:
    name = resource.rpartition(":::")[2].replace(":", "-")
    failed = aws.run(aws.machine(CENTRAL, name, {"Do": task({}, resource)}, allow("*")))
    assert (failed["status"], failed["error"]) == ("FAILED", "States.Runtime")
    assert resource in failed["cause"]
    assert "local/README.md" in failed["cause"]


def test_send_message(aws: Aws) -> None:
    queue = aws.queue(CENTRAL, "outcomes")
    states = {
        "Send": task(
            {"QueueUrl": queue.url, "MessageBody": {"outcome": "Errored"}},
            "arn:aws:states:::sqs:sendMessage",
        )
    }
    weak = aws.run(aws.machine(CENTRAL, "cannot-send", states))
    assert (weak["status"], weak["error"]) == ("FAILED", "SQS.AccessDenied")
    done = aws.run(
        aws.machine(CENTRAL, "sends", states, allow("sqs:SendMessage", resource=queue.arn))
    )
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    message = queue.message()
    assert json.loads(message["Body"]) == {"outcome": "Errored"}
    assert json.loads(done["output"])["MessageId"] == message["MessageId"]


@pytest.fixture(scope="module")
def child(aws: Aws) -> str:
    """A machine that fails if it is told to, and else answers with its input."""
    return aws.machine(
        CENTRAL,
        "child",
        {
            "Which": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.fail = true %}", "Next": "No"}],
                "Default": "Yes",
            },
            "No": {"Type": "Fail", "Error": "ChildFailed", "Cause": "as told"},
            "Yes": {"Type": "Pass", "Output": {"got": "{% $states.input %}"}, "End": True},
        },
    )


def parent(aws: Aws, name: str, child: str, *statements: dict[str, Any]) -> str:
    arguments = {"StateMachineArn": child, "Input": "{% $states.input %}"}
    start = task(arguments, "arn:aws:states:::states:startExecution.sync:2")
    return aws.machine(CENTRAL, name, {"Start": start}, *statements)


def test_a_child_execution_is_waited_for(aws: Aws, child: str) -> None:
    machine = parent(aws, "parent", child, allow("states:StartExecution", resource=child))
    done = aws.run(machine, {"fail": False})
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    output = json.loads(done["output"])
    assert output["Status"] == "SUCCEEDED"
    assert output["Output"] == {"got": {"fail": False}}  # JSON, which is what ":2" means
    assert output["ExecutionArn"].startswith(child.replace(":stateMachine:", ":execution:"))


def test_a_failing_child_fails_the_task(aws: Aws, child: str) -> None:
    machine = parent(aws, "strict-parent", child, allow("states:StartExecution"))
    failed = aws.run(machine, {"fail": True})
    assert (failed["status"], failed["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(failed["cause"])
    assert (cause["Status"], cause["Error"]) == ("FAILED", "ChildFailed")


def test_a_parent_must_be_allowed_to_start_its_child(aws: Aws, child: str) -> None:
    failed = aws.run(parent(aws, "weak-parent", child))
    assert (failed["status"], failed["error"]) == ("FAILED", "StepFunctions.AccessDeniedException")


# ---------------------------------------------------------------- task tokens


@pytest.fixture(scope="module")
def tokens(aws: Aws) -> Queue:
    return aws.queue(CENTRAL, "tokens")


@pytest.fixture(scope="module")
def waiter(aws: Aws, tokens: Queue) -> str:
    """Sends its token to the queue and waits for an answer, two seconds at most."""
    arguments = {"QueueUrl": tokens.url, "MessageBody": "{% $states.context.Task.Token %}"}
    wait = task(
        arguments,
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        TimeoutSeconds=2,
        Catch=[
            {
                "ErrorEquals": ["EndpointFailed", "States.Timeout"],
                "Output": "{% $states.errorOutput %}",
                "Next": "Caught",
            }
        ],
    )
    states = {"Wait": wait, "Caught": {"Type": "Pass", "End": True}}
    return aws.machine(CENTRAL, "waits", states, allow("sqs:SendMessage", resource=tokens.arn))


def started(aws: Aws, machine: str) -> str:
    answer = aws.client("stepfunctions").start_execution(stateMachineArn=machine)
    return str(answer["executionArn"])


def test_a_token_that_is_sent_back_ends_the_wait(aws: Aws, waiter: str, tokens: Queue) -> None:
    execution = started(aws, waiter)
    token = tokens.message()["Body"]
    stepfunctions = aws.client("stepfunctions")
    assert stepfunctions.describe_execution(executionArn=execution)["status"] == "RUNNING"
    stepfunctions.send_task_success(taskToken=token, output='{"status": "InService"}')
    done = aws.ended(execution)
    assert json.loads(done["output"]) == {"status": "InService"}
    with pytest.raises(
        stepfunctions.exceptions.ClientError, match=r"TaskDoesNotExist|TaskTimedOut"
    ):
        stepfunctions.send_task_success(taskToken=token, output="{}")


def test_a_failure_that_is_sent_back_is_caught(aws: Aws, waiter: str, tokens: Queue) -> None:
    execution = started(aws, waiter)
    aws.client("stepfunctions").send_task_failure(
        taskToken=tokens.message()["Body"], error="EndpointFailed", cause="no ping"
    )
    error = json.loads(aws.ended(execution)["output"])
    assert error == {"Error": "EndpointFailed", "Cause": "no ping"}


def test_a_token_that_nobody_sends_back_times_out(aws: Aws, waiter: str, tokens: Queue) -> None:
    done = aws.ended(started(aws, waiter))
    assert json.loads(done["output"])["Error"] == "States.Timeout"
    tokens.message()


def test_a_function_can_send_the_token_back(aws: Aws) -> None:
    code = (
        "import boto3, json\n"
        "def handler(event, context):\n"
        "    boto3.client('stepfunctions').send_task_success(\n"
        "        taskToken=event['token'], output=json.dumps({'by': context.function_name}))\n"
        "    return 'not this'\n"
    )
    function = aws.function(CENTRAL, "resolver", code, allow("states:SendTaskSuccess"))
    machine = aws.machine(
        CENTRAL,
        "waits-for-a-function",
        {
            "Wait": call(
                function,
                {"token": "{% $states.context.Task.Token %}"},
                Resource=f"{INVOKE}.waitForTaskToken",
                TimeoutSeconds=20,
            )
        },
        allow("lambda:InvokeFunction"),
    )
    done = aws.run(machine)
    assert (done["status"], json.loads(done["output"])) == ("SUCCEEDED", {"by": "resolver"})


def test_a_task_that_cannot_start_does_not_wait(aws: Aws, tokens: Queue) -> None:
    arguments = {"QueueUrl": tokens.url, "MessageBody": "{% $states.context.Task.Token %}"}
    wait = task(arguments, "arn:aws:states:::sqs:sendMessage.waitForTaskToken", TimeoutSeconds=600)
    failed = aws.run(aws.machine(CENTRAL, "waits-in-vain", {"Wait": wait}))
    assert (failed["status"], failed["error"]) == ("FAILED", "SQS.AccessDenied")


def test_a_function_acts_with_its_own_role(aws: Aws) -> None:
    code = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    return boto3.client('sts').get_caller_identity()['Arn']\n"
    )
    function = aws.function(CENTRAL, "who", code)
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    arn = json.loads(answer["Payload"].read())
    assert arn.startswith(f"arn:aws:sts::{CENTRAL}:assumed-role/who-function/")


# ---------------------------------------------------------------- maps of executions


def _map(function: str, **more: Any) -> dict[str, Any]:
    """A machine that calls the function for each line of an object in S3."""
    return {
        "Each": {
            "Type": "Map",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSONL"},
                "Arguments": {"Bucket": "plans", "Key": "{% $states.input.key %}"},
            },
            "ItemSelector": {
                "line": "{% $states.context.Map.Item.Value %}",
                "key": "{% $states.input.key %}",
            },
            "MaxConcurrency": 2,
            "Label": "Each",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Look",
                "States": {
                    "Look": call(
                        function,
                        "{% $states.input.line %}",
                        Output={
                            "was": "{% $states.result.Payload.event %}",
                            "of": "{% $states.input.key %}",
                        },
                    )
                },
            },
            "Output": {"found": "{% $states.result %}"},
            "End": True,
            **more,
        }
    }


@pytest.fixture(scope="module")
def plans(aws: Aws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="plans")
    s3.put_object(Bucket="plans", Key="plan", Body=b'{"n": 1}\n{"n": 2}\n{"n": 3}\n')


def test_a_distributed_map_reads_lines_and_runs_each_as_an_execution(
    aws: Aws, moody: str, plans: None
) -> None:
    allowed = (allow("lambda:InvokeFunction"), allow("s3:GetObject", "s3:ListBucket"))
    machine = aws.machine(CENTRAL, "maps", _map(moody), *allowed)
    done = aws.run(machine, {"key": "plan"})
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert json.loads(done["output"])["found"] == [
        {"was": {"n": n}, "of": "plan"} for n in (1, 2, 3)
    ]
    (run,) = aws.client("stepfunctions").list_map_runs(executionArn=done["executionArn"])["mapRuns"]
    children = aws.client("stepfunctions").list_executions(mapRunArn=run["mapRunArn"])
    assert len(children["executions"]) == 3


@pytest.mark.parametrize("key", ["plan", "missing"])
def test_a_distributed_map_reads_as_the_machine_may(
    aws: Aws, moody: str, plans: None, key: str
) -> None:
    may = [allow("s3:GetObject")] if key == "missing" else []
    machine = aws.machine(CENTRAL, f"maps-{key}", _map(moody), allow("lambda:InvokeFunction"), *may)
    failed = aws.run(machine, {"key": key})
    assert (failed["status"], failed["error"]) == ("FAILED", "States.ItemReaderFailed")


def test_an_execution_of_a_distributed_map_sees_no_variable_of_its_parent(
    aws: Aws, moody: str, plans: None
) -> None:
    states = _map(moody)
    states["Each"]["ItemProcessor"]["States"]["Look"]["Arguments"]["Payload"] = "{% $mine %}"
    first = {"Type": "Pass", "Assign": {"mine": 1}, "Next": "Each"}
    allowed = (allow("lambda:InvokeFunction"), allow("s3:GetObject"))
    machine = aws.machine(CENTRAL, "maps-blind", {"First": first, **states}, *allowed)
    failed = aws.run(machine, {"key": "plan"})
    assert (failed["status"], failed["error"]) == (
        "FAILED",
        "States.ExceedToleratedFailureThreshold",
    )


def test_a_function_that_was_killed_is_started_again(aws: Aws, moody: str) -> None:
    """With the names that promote_to_central retries: AWS's, and the one that is seen here."""
    names = ["Lambda.Unknown", "Sandbox.Timedout", "Runtime.ExitError", "States.Timeout"]
    retry = {"ErrorEquals": names, "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1}
    machine = aws.machine(
        CENTRAL,
        "kills",
        {"Try": call(moody, "{% $states.input %}", Retry=[retry])},
        allow("lambda:InvokeFunction"),
    )
    done = aws.run(machine, {"fail": "killed", "killed": "once-killed"})
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
