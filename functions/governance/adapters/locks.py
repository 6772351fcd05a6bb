"""Endpoint locks: which execution may change an endpoint of Prod at this moment.

Two items for a lock: the endpoint's own, and one that says which endpoint an execution asked for,
so that the end of an execution, which is all that its event tells, finds its lock without a search.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import errors, items, sessions
from governance.domain.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_FREE = "attribute_not_exists(resource_arn)"
_HIS = "execution_arn = :execution"


class Locks:
    """The endpoint locks table, keyed by `resource_arn`: of an endpoint, or of an execution."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb: DynamoDBClient = sessions.own_client("dynamodb")

    def take(self, lock: Mapping[str, Any]) -> dict[str, Any]:
        """Take the endpoint for the execution of the lock, and return the lock of who holds it now.

        One that it has already stays as it is. The execution's own item is written first: whatever
        happens after that, the end of the execution finds what there is to release.
        """
        endpoint_arn, execution_arn = str(lock["endpoint_arn"]), str(lock["execution_arn"])
        asked = {"resource_arn": execution_arn, "endpoint_arn": endpoint_arn}
        with errors.translated(f"note that {execution_arn} asks for {endpoint_arn}"):
            self._dynamodb.put_item(TableName=self._table, Item=items.to_item(asked))
        if self._put(lock, _FREE):
            return dict(lock)
        holder = self.holder(endpoint_arn)
        if holder is None:
            raise TransientError(
                f"{endpoint_arn} was released at the very moment it was asked for; "
                "the state machine retries"
            )
        return holder

    def take_over(self, holder: Mapping[str, Any], lock: Mapping[str, Any]) -> bool:
        """Take the endpoint from that holder; False if another execution holds it by now."""
        return self._put(lock, _HIS, str(holder["execution_arn"]))

    def holder(self, endpoint_arn: str) -> dict[str, Any] | None:
        """The lock of the endpoint, or None if nobody has it."""
        found = self._get(endpoint_arn)
        return None if found is None else {k: v for k, v in found.items() if k != "resource_arn"}

    def release(self, execution_arn: str) -> str | None:
        """Let go of what the execution holds; the endpoint's ARN, or None if it held nothing."""
        asked = self._get(execution_arn)
        if asked is None:
            return None
        released = self._delete(asked["endpoint_arn"], execution_arn)
        with errors.translated(f"forget what {execution_arn} asked for"):
            self._dynamodb.delete_item(
                TableName=self._table, Key=items.to_item({"resource_arn": execution_arn})
            )
        return str(asked["endpoint_arn"]) if released else None

    def _get(self, resource_arn: str) -> dict[str, Any] | None:
        with errors.translated(f"read the lock of {resource_arn}"):
            item = self._dynamodb.get_item(
                TableName=self._table,
                Key=items.to_item({"resource_arn": resource_arn}),
                ConsistentRead=True,
            ).get("Item")
        return None if item is None else items.from_item(item)

    def _put(self, lock: Mapping[str, Any], condition: str, holder: str = "") -> bool:
        values: Any = {":execution": {"S": holder}}
        what = f"lock {lock['endpoint_arn']} for {lock['execution_arn']}"
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=items.to_item({**lock, "resource_arn": lock["endpoint_arn"]}),
                ConditionExpression=condition,
                **({"ExpressionAttributeValues": values} if holder else {}),
            )
        except ClientError as error:
            if errors.code_of(error) == "ConditionalCheckFailedException":
                return False
            raise errors.translate(error, what) from error
        return True

    def _delete(self, endpoint_arn: str, execution_arn: str) -> bool:
        try:
            self._dynamodb.delete_item(
                TableName=self._table,
                Key=items.to_item({"resource_arn": endpoint_arn}),
                ConditionExpression=_HIS,
                ExpressionAttributeValues={":execution": {"S": execution_arn}},
            )
        except ClientError as error:
            if errors.code_of(error) == "ConditionalCheckFailedException":
                return False
            raise errors.translate(error, f"release the lock of {endpoint_arn}") from error
        return True
