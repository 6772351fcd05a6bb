"""Parts: which versions hold what, and what was recalled, so that neither needs a scan.

One item for each name of each part of a version, {part, holder: version ARN}, and one for each part
that was recalled, {part, holder: "recalled"}. Versions of Dev and of Central are both there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import errors, items, parallel, sessions
from governance.domain import parts
from governance.domain.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RECALLED = "recalled"
_AT_ONCE = 100  # keys that BatchGetItem takes
_ROUNDS = 5


class Parts:
    """The parts table: PK `part`, SK `holder`. An item is written and never changed."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb: DynamoDBClient = sessions.own_client("dynamodb")

    def hold(self, version: Mapping[str, Any], found: Sequence[str]) -> None:
        """Note that the version {model, model_package_arn, candidate_id} is made of these parts."""
        item = {
            "holder": version["model_package_arn"],
            "model": version["model"],
            "candidate_id": version["candidate_id"],
        }
        rows = [
            {**item, "part": name, "exact": part} for part in found for name in parts.names(part)
        ]
        parallel.each(self._put, rows)

    def recall(self, found: Sequence[str], by: Mapping[str, Any]) -> list[str]:
        """Mark the parts as recalled; the ones that were not before. `by` says what the mark says:
        {model, model_package_arn, entry_id, recalled_at, person, reason}.
        """
        marked = parallel.each(
            lambda part: self._put({**by, "part": part, "holder": RECALLED}), found
        )
        return [part for part, new in zip(found, marked, strict=True) if new]

    def recalled(self, found: Sequence[str]) -> list[dict[str, Any]]:
        """The marks of those of the parts that were recalled, by part."""
        marks: list[dict[str, Any]] = []
        for start in range(0, len(found), _AT_ONCE):
            marks += self._marks(found[start : start + _AT_ONCE])
        return sorted(marks, key=lambda mark: str(mark["part"]))

    def _marks(self, found: Sequence[str]) -> list[dict[str, Any]]:
        keys = [{"part": {"S": part}, "holder": {"S": RECALLED}} for part in dict.fromkeys(found)]
        marks: list[dict[str, Any]] = []
        for _ in range(_ROUNDS):
            with errors.translated(f"look whether one of {len(found)} parts was recalled"):
                answer = self._dynamodb.batch_get_item(
                    RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}}
                )
            marks += [items.from_item(item) for item in answer["Responses"].get(self._table, [])]
            left = answer.get("UnprocessedKeys", {}).get(self._table)
            if not left:
                return marks
            keys = [items.to_item(items.from_item(key)) for key in left["Keys"]]
        # What was not looked at may be recalled: no answer is not a no.
        raise TransientError(
            f"DynamoDB has not answered for {len(keys)} of {len(found)} parts in {_ROUNDS} rounds; "
            "the state machine retries"
        )

    def _put(self, item: Mapping[str, Any]) -> bool:
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=items.to_item(item),
                ConditionExpression="attribute_not_exists(part)",
            )
        except ClientError as error:
            if errors.code_of(error) == "ConditionalCheckFailedException":
                return False
            raise errors.translate(error, f"write part {item['part']}") from error
        return True
