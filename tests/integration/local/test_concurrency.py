"""Many functions at once: so many run, the others wait, and nobody waits for their own place."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config

from local import organisation
from local.seams.concurrency import AT_ONCE
from tests.integration.local.support import CENTRAL, Aws, allow

SLOW = """
import time

def handler(event, context):
    began = time.time()
    time.sleep(2)
    return began, time.time()
"""
CALLS = """
import boto3, json

def handler(event, context):
    answer = boto3.client("lambda").invoke(FunctionName="concurrency-slow")
    return json.load(answer["Payload"])
"""


@pytest.fixture(scope="module", autouse=True)
def functions(aws: Aws) -> None:
    """One that takes two seconds, and one that waits for it."""
    aws.function(CENTRAL, "concurrency-slow", SLOW)
    aws.function(CENTRAL, "concurrency-calls", CALLS, allow("lambda:InvokeFunction"))


def invoke(aws: Aws, name: str, times: int) -> list[Any]:
    """What so many invocations at the same time answer."""
    # The shared client has ten connections.
    client = organisation.root_session(CENTRAL).client(
        "lambda", endpoint_url=aws.endpoint_url, config=Config(max_pool_connections=times)
    )
    with ThreadPoolExecutor(times) as callers:
        answers = [callers.submit(client.invoke, FunctionName=name) for _ in range(times)]
    return [json.load(answer.result()["Payload"]) for answer in answers]


def test_so_many_run_at_once_and_the_others_wait(aws: Aws) -> None:
    ran = invoke(aws, "concurrency-slow", AT_ONCE + 4)
    at_work = [sum(begin <= moment < end for begin, end in ran) for moment, _ in ran]
    assert max(at_work) == AT_ONCE


def test_a_function_that_invokes_another_needs_no_second_place(aws: Aws) -> None:
    ran = invoke(aws, "concurrency-calls", AT_ONCE + 4)
    assert all(begin < end for begin, end in ran)


def test_a_task_does_not_run_out_of_time_while_it_waits(aws: Aws) -> None:
    """The last third begins when as much has passed as each of them has."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "concurrency-slow"},
        "TimeoutSeconds": 4,
        "End": True,
    }
    machine = aws.machine(CENTRAL, "waits", {"Slow": task}, allow("lambda:InvokeFunction"))
    states = aws.client("stepfunctions")
    started = [
        states.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(3 * AT_ONCE)
    ]
    assert {aws.ended(execution)["status"] for execution in started} == {"SUCCEEDED"}
