"""Answers to waiting executions."""

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
