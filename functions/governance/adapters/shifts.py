"""How a shift of traffic that SageMaker has begun is taken back: an alarm, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from governance.adapters import errors, sessions
from governance.domain.definitions import STOP

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

_ABSENT = {"ResourceNotFound", "ResourceNotFoundException"}


def take_back(session: boto3.Session, endpoint_name: str, because: str) -> bool:
    """Set off the alarm that the endpoint's deployments are stopped by; False if it has none.

    A deployment that moves all traffic at once may have been given none: it ends by itself.
    """
    cloudwatch: CloudWatchClient = sessions.client(session, "cloudwatch")
    name = f"governed-path-{endpoint_name}-{STOP}"
    try:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason=because[:1023])
    except ClientError as error:
        if errors.code_of(error) in _ABSENT:
            return False
        raise errors.translate(error, f"set off alarm {name}") from error
    return True
