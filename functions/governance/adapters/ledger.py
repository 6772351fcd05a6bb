"""The ledger: every state change of a model, numbered without gaps, never changed.

Three items in one transaction: the entry (model, n), the model's head (model, 0) that counts to
n, and a marker ("entry#" + entry_id, 0) that makes writing the same entry again a no-op. The head
moves from n-1 to n or the transaction fails, so two writers never get the same number and no
number is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import errors, items, sessions
from governance.domain.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

# Every round of a race has a winner, so this many rounds let as many writers of one model pass.
_ROUNDS = 10
_RECENT = 50  # entries that `recent` reads at once


class Ledger:
    """The ledger table: PK `model`, SK `sequence`."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb: DynamoDBClient = sessions.own_client("dynamodb")

    def append(self, entry: Mapping[str, Any]) -> int:
        """Write the entry as the next of its model; returns its number (1 is the first).

        An entry with the same `entry_id` that is there already is left as it is and its number
        returned. TransientError if other writers won every round.
        """
        with errors.translated(f"record entry {entry['entry_id']} of model {entry['model']}"):
            for _ in range(_ROUNDS):
                sequence = self._sequence_of(entry["entry_id"])
                if sequence is not None:
                    return sequence
                sequence = self._head(entry["model"]) + 1
                if self._append_as(entry, sequence):
                    return sequence
        raise TransientError(
            f"could not record entry {entry['entry_id']} of model {entry['model']}: other "
            f"executions wrote first {_ROUNDS} times; the state machine retries"
        )

    def newest_first(self, model: str, kind: str) -> Iterator[dict[str, Any]]:
        """The model's entries of one kind, the newest first, read page by page as they are used."""
        return self._newest_first(model, "kind", kind)

    def story(self, model: str, model_package_arn: str) -> Iterator[dict[str, Any]]:
        """The entries about one version, the newest first, read page by page as they are used."""
        return self._newest_first(model, "model_package_arn", model_package_arn)

    def recent(self, model: str, since: str) -> Iterator[dict[str, Any]]:
        """The model's entries that were recorded at `since` or later, the newest first.

        It reads no further back: what it costs does not grow with the model's history.
        """
        with errors.translated(f"read the ledger of model {model}"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="model = :model AND #sequence > :head",
                ExpressionAttributeNames={"#sequence": "sequence"},
                ExpressionAttributeValues={":model": {"S": model}, ":head": {"N": "0"}},
                ScanIndexForward=False,
                ConsistentRead=True,
                PaginationConfig={"PageSize": _RECENT},
            )
            for page in pages:
                for item in page["Items"]:
                    entry = items.from_item(item)
                    if entry["recorded_at"] < since:
                        return
                    yield entry

    def _newest_first(self, model: str, field: str, value: str) -> Iterator[dict[str, Any]]:
        with errors.translated(f"read the ledger of model {model}"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="model = :model AND #sequence > :head",
                FilterExpression="#field = :value",
                ExpressionAttributeNames={"#sequence": "sequence", "#field": field},
                ExpressionAttributeValues={
                    ":model": {"S": model},
                    ":head": {"N": "0"},
                    ":value": {"S": value},
                },
                ScanIndexForward=False,
                ConsistentRead=True,
            )
            for page in pages:
                for item in page["Items"]:
                    yield items.from_item(item)

    def _sequence_of(self, entry_id: str) -> int | None:
        found = self._item(_marker_key(entry_id), 0)
        return None if found is None else int(found["entry_sequence"])

    def _head(self, model: str) -> int:
        found = self._item(model, 0)
        return 0 if found is None else int(found["head"])

    def _item(self, model: str, sequence: int) -> dict[str, Any] | None:
        item = self._dynamodb.get_item(
            TableName=self._table,
            Key={"model": {"S": model}, "sequence": {"N": str(sequence)}},
            ConsistentRead=True,
        ).get("Item")
        return None if item is None else items.from_item(item)

    def _append_as(self, entry: Mapping[str, Any], sequence: int) -> bool:
        """Try to write the entry under that number; False if another writer was faster."""
        try:
            self._dynamodb.transact_write_items(
                TransactItems=[
                    self._move_head(entry["model"], sequence),
                    self._put({**entry, "sequence": sequence}),
                    self._put(
                        {
                            "model": _marker_key(entry["entry_id"]),
                            "sequence": 0,
                            "entry_model": entry["model"],
                            "entry_sequence": sequence,
                        }
                    ),
                ]
            )
        except ClientError as error:
            if errors.code_of(error) in {
                "TransactionCanceledException",
                "TransactionConflictException",
            } and _lost_race(error):
                return False
            raise
        return True

    def _move_head(self, model: str, sequence: int) -> TransactWriteItemTypeDef:
        first = sequence == 1
        values = {":new": {"N": str(sequence)}}
        if not first:
            values[":old"] = {"N": str(sequence - 1)}
        return {
            "Update": {
                "TableName": self._table,
                "Key": {"model": {"S": model}, "sequence": {"N": "0"}},
                "UpdateExpression": "SET head = :new",
                "ConditionExpression": "attribute_not_exists(head)" if first else "head = :old",
                "ExpressionAttributeValues": values,
            }
        }

    def _put(self, item: Mapping[str, Any]) -> TransactWriteItemTypeDef:
        return {
            "Put": {
                "TableName": self._table,
                "Item": items.to_item(item),
                "ConditionExpression": "attribute_not_exists(model)",
            }
        }


def _marker_key(entry_id: str) -> str:
    # '#' cannot occur in the name of a model package group, so no model collides with a marker.
    return f"entry#{entry_id}"


def _lost_race(error: ClientError) -> bool:
    """True if a condition or a concurrent transaction stopped ours, not a fault of the request."""
    reasons = error.response.get("CancellationReasons")
    if not reasons:
        return True
    codes = {str(reason.get("Code", "None")) for reason in reasons}
    return codes <= {"None", "ConditionalCheckFailed", "TransactionConflict"}
