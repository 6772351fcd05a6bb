"""Events on their way: to a bus in another account, to functions, to machines, or to a DLQ."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.integration.local.support import (
    CENTRAL,
    DEV,
    EVENTS,
    REGION,
    Aws,
    Queue,
    allow,
    document,
    eventually,
    root_of,
)

HUB = f"arn:aws:events:{REGION}:{CENTRAL}:event-bus/hub"
_numbers = count(1)


@pytest.fixture(scope="module")
def hub(aws: Aws) -> Queue:
    """The hub bus in Central; the queue gets everything that arrives there."""
    events = aws.client("events")
    events.create_event_bus(Name="hub")
    arrived = aws.queue(CENTRAL, "arrived")
    events.put_rule(
        Name="all", EventBusName="hub", EventPattern=json.dumps({"source": [{"prefix": ""}]})
    )
    events.put_targets(
        Rule="all", EventBusName="hub", Targets=[{"Id": "queue", "Arn": arrived.arn}]
    )
    return arrived


@pytest.fixture(scope="module")
def forwarder(aws: Aws) -> str:
    """A role in Dev that may put events on the hub bus."""
    return aws.role(DEV, "forwarder", allow("events:PutEvents", resource=HUB), trusts=EVENTS)


@pytest.fixture
def send(aws: Aws) -> Callable[..., tuple[str, Queue]]:
    """send(target, ...): an event in Dev to a rule with this target; (its source, the DLQ)."""

    def put(target: dict[str, Any], kind: str = "Approved") -> tuple[str, Queue]:
        name = f"test.{next(_numbers)}"
        events = aws.client("events", DEV)
        dead = aws.queue(DEV, name.replace(".", "-"))
        events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
        events.put_targets(
            Rule=name, Targets=[{"Id": "t", "DeadLetterConfig": {"Arn": dead.arn}, **target}]
        )
        events.put_events(
            Entries=[{"Source": name, "DetailType": kind, "Detail": json.dumps({"n": name})}]
        )
        return name, dead

    return put


def share(aws: Aws, **condition: dict[str, str]) -> None:
    """Let Dev put events on the hub bus, if they satisfy the condition."""
    statement = {
        "Sid": "dev",
        "Effect": "Allow",
        "Principal": {"AWS": root_of(DEV)},
        "Action": "events:PutEvents",
        "Resource": HUB,
        **({"Condition": condition} if condition else {}),
    }
    aws.client("events").put_permission(EventBusName="hub", Policy=document(statement))


def refused(aws: Aws, sent: tuple[str, Queue], hub: Queue, code: str = "NO_PERMISSIONS") -> str:
    """Check that the event is in the DLQ and nowhere else; the reason that is given."""
    source, dead = sent
    message = dead.message()
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert attributes.keys() == {"RULE_ARN", "TARGET_ARN", "ERROR_CODE", "ERROR_MESSAGE"}
    assert attributes["RULE_ARN"] == f"arn:aws:events:{REGION}:{DEV}:rule/{source}"
    assert attributes["ERROR_CODE"] == code
    event = json.loads(message["Body"])
    assert (event["source"], event["detail"]) == (source, {"n": source})
    assert hub.is_empty()
    assert failed_invocations(aws, source) == 1
    return attributes["ERROR_MESSAGE"]


def failed_invocations(aws: Aws, rule: str) -> float:
    now = datetime.now(UTC)
    points = aws.client("cloudwatch", DEV).get_metric_statistics(
        Namespace="AWS/Events",
        MetricName="FailedInvocations",
        Dimensions=[{"Name": "RuleName", "Value": rule}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


def test_a_bus_without_a_policy_takes_nothing(
    aws: Aws, hub: Queue, forwarder: str, send: Callable[..., tuple[str, Queue]]
) -> None:
    aws.client("events").remove_permission(EventBusName="hub", RemoveAllPermissions=True)
    reason = refused(aws, send({"Arn": HUB, "RoleArn": forwarder}), hub)
    assert reason == f"the policy of {HUB} does not allow {forwarder}"


@pytest.mark.parametrize(
    "condition",
    [
        {"events:source": "somebody.else"},
        {"events:detail-type": "Something else"},
        {"events:source": "test.*", "events:detail-type": "Something else"},
    ],
    ids=str,
)
def test_a_policys_conditions_keep_events_out(
    aws: Aws,
    hub: Queue,
    forwarder: str,
    send: Callable[..., tuple[str, Queue]],
    condition: dict[str, str],
) -> None:
    share(aws, StringLike=condition)
    refused(aws, send({"Arn": HUB, "RoleArn": forwarder}), hub)


def test_a_policy_and_a_role_let_events_in(
    aws: Aws, hub: Queue, forwarder: str, send: Callable[..., tuple[str, Queue]]
) -> None:
    share(aws, StringLike={"events:source": "test.*", "events:detail-type": "Appr*"})
    source, dead = send({"Arn": HUB, "RoleArn": forwarder})
    event = hub.body()
    # As on AWS it is still the sender's event.
    assert (event["account"], event["source"]) == (DEV, source)
    assert (event["detail-type"], event["detail"]) == ("Approved", {"n": source})
    assert dead.is_empty()
    assert failed_invocations(aws, source) == 0


def test_the_targets_role_is_asked_too(
    aws: Aws, hub: Queue, send: Callable[..., tuple[str, Queue]]
) -> None:
    share(aws)
    weak = aws.role(DEV, "weak", allow("events:DescribeRule"), trusts=EVENTS)
    assert "may not put events" in refused(aws, send({"Arn": HUB, "RoleArn": weak}), hub)
    picky = aws.role(
        DEV,
        "picky",
        allow("events:PutEvents", Condition={"StringEquals": {"events:source": "not.this"}}),
        trusts=EVENTS,
    )
    refused(aws, send({"Arn": HUB, "RoleArn": picky}), hub)
    strange = aws.role(DEV, "strange", allow("events:PutEvents"))  # trusts no service
    assert "not authorized to assume" in refused(aws, send({"Arn": HUB, "RoleArn": strange}), hub)
    absent = f"arn:aws:iam::{DEV}:role/absent"
    refused(aws, send({"Arn": HUB, "RoleArn": absent}), hub)


def test_a_bus_that_does_not_exist(
    aws: Aws, hub: Queue, send: Callable[..., tuple[str, Queue]]
) -> None:
    role = aws.role(DEV, "hopeful", allow("events:PutEvents"), trusts=EVENTS)
    missing = f"arn:aws:events:{REGION}:{DEV}:event-bus/missing"
    sent = send({"Arn": missing, "RoleArn": role})
    assert "does not exist" in refused(aws, sent, hub, "NO_RESOURCE")


def test_put_permission_keeps_a_whole_policy(aws: Aws, hub: Queue) -> None:
    share(aws, StringEquals={"events:source": "aws.sagemaker"})
    policy = json.loads(aws.client("events").describe_event_bus(Name="hub")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Condition"] == {"StringEquals": {"events:source": "aws.sagemaker"}}


def test_a_machine_is_started_with_the_targets_role(
    aws: Aws, hub: Queue, send: Callable[..., tuple[str, Queue]]
) -> None:
    machine = aws.machine(DEV, "target", {"Done": {"Type": "Succeed"}})
    weak = aws.role(DEV, "starts-nothing", trusts=EVENTS)
    reason = refused(aws, send({"Arn": machine, "RoleArn": weak}), hub)
    assert "states:StartExecution" in reason
    assert "assumed-role/starts-nothing/test." in reason
    starter = aws.role(
        DEV, "starter", allow("states:StartExecution", resource=machine), trusts=EVENTS
    )
    source, dead = send({"Arn": machine, "RoleArn": starter})
    stepfunctions = aws.client("stepfunctions", DEV)

    def executions() -> Any:
        return stepfunctions.list_executions(stateMachineArn=machine)["executions"]

    (execution,) = eventually(executions)
    found = aws.ended(execution["executionArn"])
    assert found["status"] == "SUCCEEDED"
    assert json.loads(found["input"])["source"] == source
    assert dead.is_empty()


def test_a_machine_that_does_not_exist(
    aws: Aws, hub: Queue, send: Callable[..., tuple[str, Queue]]
) -> None:
    starter = aws.role(DEV, "starts-all", allow("states:StartExecution"), trusts=EVENTS)
    missing = f"arn:aws:states:{REGION}:{DEV}:stateMachine:missing"
    reason = refused(aws, send({"Arn": missing, "RoleArn": starter}), hub, code="NO_RESOURCE")
    assert "missing" in reason


def test_a_function_gets_the_event(
    aws: Aws, hub: Queue, send: Callable[..., tuple[str, Queue]]
) -> None:
    seen = aws.queue(DEV, "seen")
    code = (
        "import boto3, json\n"
        "def handler(event, context):\n"
        f"    boto3.client('sqs').send_message(QueueUrl={seen.url!r}, "
        "MessageBody=json.dumps(event))\n"
    )
    arn = aws.function(DEV, "target", code, allow("sqs:SendMessage", resource=seen.arn))
    source, dead = send({"Arn": arn})
    assert seen.body()["source"] == source
    assert dead.is_empty()


def test_a_function_that_does_not_exist(
    aws: Aws, hub: Queue, send: Callable[..., tuple[str, Queue]]
) -> None:
    missing = f"arn:aws:lambda:{REGION}:{DEV}:function:missing"
    reason = refused(aws, send({"Arn": missing}), hub, code="NO_RESOURCE")
    assert reason == f"function {missing} does not exist"


def test_a_failure_on_a_bus_of_ones_own_names_the_bus(aws: Aws) -> None:
    events = aws.client("events", DEV)
    events.create_event_bus(Name="own")
    events.put_rule(Name="lost", EventBusName="own", EventPattern='{"source": ["test.own"]}')
    missing = f"arn:aws:lambda:{REGION}:{DEV}:function:missing"
    events.put_targets(Rule="lost", EventBusName="own", Targets=[{"Id": "t", "Arn": missing}])
    entry = {"Source": "test.own", "DetailType": "t", "Detail": "{}", "EventBusName": "own"}
    events.put_events(Entries=[entry])

    def dimensions() -> list[dict[str, str]]:
        found = aws.client("cloudwatch", DEV).list_metrics(
            Namespace="AWS/Events", Dimensions=[{"Name": "EventBusName", "Value": "own"}]
        )["Metrics"]
        return [{d["Name"]: d["Value"] for d in metric["Dimensions"]} for metric in found]

    eventually(dimensions)
    assert dimensions() == [{"EventBusName": "own", "RuleName": "lost"}]


def test_without_a_dead_letter_queue_the_metric_tells(aws: Aws) -> None:
    events = aws.client("events", DEV)
    events.put_rule(Name="lost", EventPattern=json.dumps({"source": ["test.lost"]}))
    missing = f"arn:aws:lambda:{REGION}:{DEV}:function:missing"
    events.put_targets(Rule="lost", Targets=[{"Id": "t", "Arn": missing}])
    events.put_events(Entries=[{"Source": "test.lost", "DetailType": "t", "Detail": "{}"}])
    eventually(lambda: failed_invocations(aws, "lost") == 1)
