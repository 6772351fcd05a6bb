"""Executions: answers to those that wait, and whether one still runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import errors, sessions

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

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


def stop(execution_arn: str, cause: str) -> bool:
    """Stop the execution; False if it had ended, or was never there."""
    stepfunctions: SFNClient = sessions.own_client("stepfunctions")
    if not is_running(execution_arn):
        return False
    with errors.translated(f"stop execution {execution_arn}"):
        stepfunctions.stop_execution(
            executionArn=execution_arn, error="StoppedByRollback", cause=cause
        )
    return True


def is_running(execution_arn: str) -> bool:
    """True while the execution has not ended; one that AWS has forgotten ended long ago."""
    stepfunctions: SFNClient = sessions.own_client("stepfunctions")
    try:
        answer = stepfunctions.describe_execution(executionArn=execution_arn)
    except ClientError as error:
        if errors.code_of(error) == "ExecutionDoesNotExist":
            return False
        raise errors.translate(error, f"describe execution {execution_arn}") from error
    return answer["status"] in {"RUNNING", "PENDING_REDRIVE"}
