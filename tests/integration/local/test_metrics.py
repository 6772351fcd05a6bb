"""Alarms fire on what workflows and queues do, as they do in AWS."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.local.support import CENTRAL, DEV, TEST, Aws, document, eventually


def alarm(aws: Aws, account: str, name: str, metric: str, **dimension: str) -> Any:
    """An alarm on one or more of a metric within a minute; what asks for its state."""
    client = aws.client("cloudwatch", account)
    namespace, _, metric_name = metric.rpartition("/")
    ((key, value),) = dimension.items()
    client.put_metric_alarm(
        AlarmName=name,
        Namespace=namespace,
        MetricName=metric_name,
        Dimensions=[{"Name": key, "Value": value}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    return lambda: client.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]


def test_a_failed_execution_raises_its_alarm(aws: Aws) -> None:
    # In an account that has no queue, so that nothing else makes the clock tick.
    fails = aws.machine(TEST, "fails", {"No": {"Type": "Fail", "Error": "Broken"}})
    works = aws.machine(TEST, "works", {"Yes": {"Type": "Succeed"}})
    metric = "AWS/States/ExecutionsFailed"
    failed = alarm(aws, TEST, "failed", metric, StateMachineArn=fails)
    quiet = alarm(aws, TEST, "quiet", metric, StateMachineArn=works)
    assert aws.run(works)["status"] == "SUCCEEDED"
    assert aws.run(fails)["status"] == "FAILED"
    eventually(lambda: failed() == "ALARM")
    assert quiet() == "OK"


def test_every_end_of_an_execution_is_counted(aws: Aws) -> None:
    machine = aws.machine(CENTRAL, "ends", {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}})
    stepfunctions = aws.client("stepfunctions")
    execution = stepfunctions.start_execution(stateMachineArn=machine)["executionArn"]
    stepfunctions.stop_execution(executionArn=execution)

    def counted(metric: str) -> float:
        now = datetime.now(UTC)
        points = aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/States",
            MetricName=metric,
            Dimensions=[{"Name": "StateMachineArn", "Value": machine}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    eventually(lambda: counted("ExecutionsAborted") == 1)
    assert counted("ExecutionsFailed") == counted("ExecutionsSucceeded") == 0


def test_a_message_in_a_dead_letter_queue_raises_its_alarm(aws: Aws) -> None:
    dead, empty = aws.queue(DEV, "dead"), aws.queue(DEV, "empty")
    metric = "AWS/SQS/ApproximateNumberOfMessagesVisible"
    raised = alarm(aws, DEV, "dead-letters", metric, QueueName=dead.name)
    quiet = alarm(aws, DEV, "no-letters", metric, QueueName=empty.name)
    dead.sqs.send_message(QueueUrl=dead.url, MessageBody="lost")
    eventually(lambda: raised() == "ALARM")
    assert quiet() == "OK"


def test_an_alarm_tells_its_topic(aws: Aws) -> None:
    """Somebody is told, which is what the alarms are for."""
    sns, queue = aws.client("sns"), aws.queue(CENTRAL, "mail")
    topic = sns.create_topic(Name="operators")["TopicArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue.arn,
    }
    policy = {"Policy": document(statement)}
    queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes=policy)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
    letters = aws.queue(CENTRAL, "letters")
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName="tells",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": letters.name}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )
    letters.sqs.send_message(QueueUrl=letters.url, MessageBody="lost")
    notice = json.loads(queue.body()["Message"])
    assert (notice["AlarmName"], notice["NewStateValue"]) == ("tells", "ALARM")


def test_a_change_of_state_is_an_event(aws: Aws) -> None:
    """What a hub elsewhere reacts to: every change, by evaluation or by a person."""
    cloudwatch, events = aws.client("cloudwatch", TEST), aws.client("events", TEST)
    changes = aws.queue(TEST, "changes")
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": ["stop"]}}
    events.put_rule(Name="alarms", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="alarms", Targets=[{"Id": "queue", "Arn": changes.arn}])
    cloudwatch.put_metric_alarm(
        AlarmName="stop",
        AlarmDescription="Nobody puts its metric.",
        Namespace="GovernedPath",
        MetricName="Stop",
        Dimensions=[{"Name": "EndpointName", "Value": "risk"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    cloudwatch.set_alarm_state(AlarmName="stop", StateValue="ALARM", StateReason="rollback")
    event = changes.body()
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["account"] == TEST
    assert event["resources"] == [f"arn:aws:cloudwatch:us-east-1:{TEST}:alarm:stop"]
    detail = event["detail"]
    assert (detail["state"]["value"], detail["state"]["reason"]) == ("ALARM", "rollback")
    assert detail["previousState"]["value"] == "INSUFFICIENT_DATA"
    (metric,) = detail["configuration"]["metrics"]
    assert metric["metricStat"]["metric"] == {
        "namespace": "GovernedPath",
        "name": "Stop",
        "dimensions": {"EndpointName": "risk"},
    }
    time.sleep(3)
    (found,) = cloudwatch.describe_alarms(AlarmNames=["stop"])["MetricAlarms"]
    assert found["StateValue"] == "ALARM"  # nobody has changed it


def test_a_wait_for_seconds_is_scaled(aws: Aws) -> None:
    machine = aws.machine(TEST, "waits", {"Wait": {"Type": "Wait", "Seconds": 120, "End": True}})
    started = time.monotonic()
    assert aws.run(machine)["status"] == "SUCCEEDED"
    assert 2 <= time.monotonic() - started < 20
