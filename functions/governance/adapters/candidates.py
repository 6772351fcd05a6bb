"""Candidates: where the bytes of an approved candidate are in Central, and who answers for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import errors, items, sessions
from governance.domain.errors import NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Candidates:
    """The candidates table, keyed by candidate id and model; an item is written once."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb: DynamoDBClient = sessions.own_client("dynamodb")

    def find(self, candidate_id: str, model: str) -> dict[str, Any] | None:
        """The candidate's item, or None if it was never registered in Central."""
        with errors.translated(f"read candidate {candidate_id} of model {model}"):
            item = self._dynamodb.get_item(
                TableName=self._table,
                Key={"candidate_id": {"S": candidate_id}, "model": {"S": model}},
                ConsistentRead=True,
            ).get("Item")
        return None if item is None else items.from_item(item)

    def get(self, candidate_id: str, model: str) -> dict[str, Any]:
        """The candidate's item; NotFoundError if it was never registered in Central."""
        item = self.find(candidate_id, model)
        if item is None:
            raise NotFoundError(
                f"candidate {candidate_id} of model {model} is not in {self._table}; "
                "only versions that promote_to_central registered can go on"
            )
        return item

    def add(self, item: Mapping[str, Any]) -> bool:
        """Write the item unless the candidate is there already; True if it was written."""
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=items.to_item(item),
                ConditionExpression="attribute_not_exists(candidate_id)",
            )
        except ClientError as error:
            if errors.code_of(error) == "ConditionalCheckFailedException":
                return False
            what = f"write candidate {item['candidate_id']} of model {item['model']}"
            raise errors.translate(error, what) from error
        return True
