"""SageMaker's lineage: actions, and who made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import errors, sessions
from governance.adapters.registry import plain

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


class Lineage:
    """The lineage of the function's own account."""

    def __init__(self) -> None:
        self._sagemaker: SageMakerClient = sessions.own_client("sagemaker")

    def find_action(self, arn: str) -> dict[str, Any] | None:
        """The action as DescribeAction returns it, times as text; None if there is none."""
        try:
            answer = self._sagemaker.describe_action(ActionName=arn)
        except ClientError as error:
            if errors.is_absent(error):
                return None
            raise errors.translate(error, f"describe action {arn}") from error
        found: dict[str, Any] = plain(dict(answer))
        return found
