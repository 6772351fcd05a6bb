"""Executions: answers to those that wait, and whether one still runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import clock, errors, sessions
from governance.domain.errors import NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

BY_ROLLBACK = "StoppedByRollback"  # the error of an execution that a rollback has stopped
_RUNNING = {"RUNNING", "PENDING_REDRIVE"}
# The execution has the answer already, has timed out, or was stopped: nobody waits any more.
_GONE = {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"}


def succeed(task_token: str, output: Mapping[str, Any]) -> bool:
    """Give the waiting task its output; False if nobody waits for this token any more."""
    stepfunctions: SFNClient = sessions.own_client("stepfunctions")
    try:
        stepfunctions.send_task_success(taskToken=task_token, output=json.dumps(output))
    except ClientError as error:
        if errors.code_of(error) in _GONE:
            return False
        raise errors.translate(error, "answer a waiting execution") from error
    return True


def stop(execution_arn: str, cause: str, error: str = BY_ROLLBACK) -> bool:
    """Stop the execution; False if it had ended, or was never there."""
    stepfunctions: SFNClient = sessions.own_client("stepfunctions")
    if not is_running(execution_arn):
        return False
    with errors.translated(f"stop execution {execution_arn}"):
        stepfunctions.stop_execution(executionArn=execution_arn, error=error, cause=cause)
    return True


def is_running(execution_arn: str) -> bool:
    """True while the execution has not ended; one that AWS has forgotten ended long ago."""
    found = _describe(execution_arn)
    return found is not None and found["status"] in _RUNNING


def ended_with(execution_arn: str) -> tuple[str, str]:
    """(error, cause) that the execution ended with, also one that was stopped; "" for none."""
    found = _describe(execution_arn)
    if found is None:
        return "", ""
    return found.get("error", ""), found.get("cause", "")


def ran_within(execution_arn: str, seconds: int) -> bool:
    """True if the execution runs, or ended no longer ago than that."""
    found = _describe(execution_arn)
    if found is None:
        return False
    return found["status"] in _RUNNING or clock.text(found["stopDate"]) > clock.now(-seconds)


def input_of(execution_arn: str) -> str:
    """What the execution was started with, also when it was too long for its event.

    NotFoundError for one that AWS has forgotten.
    """
    found = _describe(execution_arn)
    if found is None:
        raise NotFoundError(
            f"execution {execution_arn} is not known to Step Functions any more; look for what it "
            "made by its name, and remove that by hand"
        )
    return str(found["input"])


def _describe(execution_arn: str) -> DescribeExecutionOutputTypeDef | None:
    stepfunctions: SFNClient = sessions.own_client("stepfunctions")
    try:
        return stepfunctions.describe_execution(executionArn=execution_arn)
    except ClientError as error:
        if errors.code_of(error) == "ExecutionDoesNotExist":
            return None
        raise errors.translate(error, f"describe execution {execution_arn}") from error
