"""CloudWatch alarms in a member account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from governance.adapters import errors, sessions

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

_ABSENT = {"ResourceNotFound", "ResourceNotFoundException"}


class Alarms:
    """The alarms that the session's role can reach."""

    def __init__(self, session: boto3.Session) -> None:
        self._cloudwatch: CloudWatchClient = sessions.client(session, "cloudwatch")

    def set_off(self, name: str, because: str) -> bool:
        """Put the alarm into ALARM; False if there is no alarm of that name."""
        try:
            self._cloudwatch.set_alarm_state(
                AlarmName=name, StateValue="ALARM", StateReason=because[:1023]
            )
        except ClientError as error:
            if errors.code_of(error) in _ABSENT:
                return False
            raise errors.translate(error, f"set off alarm {name}") from error
        return True
