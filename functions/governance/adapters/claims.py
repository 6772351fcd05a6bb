"""Claims: each approval is acted on once, by one execution, for ever (the items never expire)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import errors, items, sessions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Claims:
    """The claims table: one item per approval, keyed by `claim_id`."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb: DynamoDBClient = sessions.own_client("dynamodb")

    def claim(self, item: Mapping[str, Any]) -> bool:
        """Take the approval `item["claim_id"]` for `item["execution_arn"]`.

        True if that execution holds it now, also when it asks again (a retried task); False if
        another execution took it before, which means that the event was a duplicate.
        """
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=items.to_item(item),
                ConditionExpression="attribute_not_exists(claim_id) OR execution_arn = :execution",
                ExpressionAttributeValues={":execution": {"S": str(item["execution_arn"])}},
            )
        except ClientError as error:
            if errors.code_of(error) == "ConditionalCheckFailedException":
                return False
            raise errors.translate(error, f"claim approval {item['claim_id']}") from error
        return True

    def is_held(self, promotion: Mapping[str, Any]) -> bool:
        """True if the promotion's execution holds its claim."""
        claim_id = promotion["claim_id"]
        with errors.translated(f"read claim {claim_id}"):
            item = self._dynamodb.get_item(
                TableName=self._table,
                Key=items.to_item({"claim_id": claim_id}),
                ConsistentRead=True,
            ).get("Item")
        found = items.from_item(item) if item else {}
        return bool(found.get("execution_arn") == promotion["execution_arn"])
