"""CloudTrail's records of approvals, and the executions that wait for one.

One table, one partition per decision: an execution stores its wait and then looks for records, a
record is stored and then looks for waits, so whichever comes second finds the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from governance.adapters import errors, items, sessions, workflows
from governance.domain import confirmations

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_RECORD, _WAIT = "record#", "wait#"


class Confirmations:
    """The confirmations table: PK `decision` (version and stage), SK `item`."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb: DynamoDBClient = sessions.own_client("dynamodb")

    def add(self, record: Mapping[str, Any]) -> int:
        """Store CloudTrail's record; how many waiting executions that answered."""
        self._put(record, f"{_RECORD}{record['called_at']}#{record['cloudtrail_event_id']}")
        return sum(
            self._settle(wait, [record]) for wait in self._found(str(record["decision"]), _WAIT)
        )

    def wait(self, wait: Mapping[str, Any]) -> bool:
        """Store the wait {decision, claim_id, task_token, decided_at}; True if answered at once.

        A retried task has a new token and takes the place of its own earlier wait.
        """
        self._put(wait, _wait_key(wait))
        return self._settle(wait, self._found(str(wait["decision"]), _RECORD))

    def records(self, decision: str) -> list[dict[str, Any]]:
        """CloudTrail's records of approvals of a version for a stage (`decision_key`)."""
        return self._found(decision, _RECORD)

    def _settle(self, wait: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> bool:
        """Answer the wait if one of the records is of its decision; True if this call answered.

        Answered first, removed second: a crash in between costs a second answer, which Step
        Functions refuses, and never an answer that nobody gives.
        """
        found = confirmations.confirmation_of(wait["decided_at"], records)
        if found is None:
            return False
        confirmation = {key: found[key] for key in found if key not in ("item", "decision")}
        answered = workflows.succeed(wait["task_token"], {"confirmation": confirmation})
        with errors.translated(f"remove the wait for {wait['decision']}"):
            self._dynamodb.delete_item(
                TableName=self._table,
                Key=items.to_item({"decision": wait["decision"], "item": _wait_key(wait)}),
            )
        return answered

    def _put(self, value: Mapping[str, Any], item: str) -> None:
        with errors.translated(f"store {item.partition('#')[0]} of {value['decision']}"):
            self._dynamodb.put_item(
                TableName=self._table, Item=items.to_item({**value, "item": item})
            )

    def _found(self, decision: str, prefix: str) -> list[dict[str, Any]]:
        with errors.translated(f"read the confirmations of {decision}"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="decision = :decision AND begins_with(#item, :prefix)",
                ExpressionAttributeNames={"#item": "item"},
                ExpressionAttributeValues={":decision": {"S": decision}, ":prefix": {"S": prefix}},
                ConsistentRead=True,
            )
            return [items.from_item(item) for page in pages for item in page["Items"]]


def _wait_key(wait: Mapping[str, Any]) -> str:
    return f"{_WAIT}{wait['claim_id']}"
