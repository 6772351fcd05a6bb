"""The ledger: every state change of a model, numbered without gaps, signed and chained.

Three items in one transaction: the entry (model, n), the model's head in a table of its own, and
a marker ("entry#" + entry_id, 0) that makes writing the same entry again a no-op. The head moves
from the number and digest that the entry names as the one before it, or the transaction fails: two
writers never get the same number, no number is skipped and no link is lost. Only heads are ever
updated, so no role needs to update or delete in the ledger table itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import errors, items, sessions
from governance.adapters.artifacts import Artifacts
from governance.adapters.signing import Signed, Signing
from governance.domain import attestations
from governance.domain.errors import IntegrityError, NotFoundError, TransientError
from governance.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

# Every round of a race has a winner, so this many rounds let as many writers of one model pass.
_ROUNDS = 10
_RECENT = 50  # entries that `recent` reads at once


class Ledger:
    """The ledger table, read: PK `model`, SK `sequence`. An entry comes out of its envelope.

    What is asked by kind or by version is read from a local index, as consistent as the table
    itself: what it costs does not grow with the model's history.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb: DynamoDBClient = sessions.own_client("dynamodb")

    def newest_first(self, model: str, kind: str) -> Iterator[dict[str, Any]]:
        """The model's entries of one kind, the newest first, read page by page as they are used."""
        return self._newest_first(model, "by_kind", kind)

    def story(self, model: str, model_package_arn: str) -> Iterator[dict[str, Any]]:
        """The entries about one version, the newest first, read page by page as they are used."""
        return self._newest_first(model, "by_version", model_package_arn)

    def registered_as(self, model: str, model_package_arn: str) -> str:
        """The candidate id that a Dev version's registration was recorded with; "" if it was not.

        The registration of a version is one of the first entries about it.
        """
        found = [
            str(entry["candidate_id"])
            for entry in self.story(model, model_package_arn)
            if entry["kind"] == "CandidateRegistered"
        ]
        return found[-1] if found else ""

    def promoted_as(self, model: str, model_package_arn: str) -> str:
        """The candidate that a Central version was promoted as, whatever its metadata say.

        NotFoundError if no promotion of it was recorded.
        """
        for entry in self.story(model, model_package_arn):
            if entry["kind"] == "CandidatePromoted":
                return str(entry["candidate_id"])
        raise NotFoundError(
            f"the ledger of model {model} has no CandidatePromoted of {model_package_arn}; only "
            "what promote_to_central has registered and recorded can go on: if it is about to, "
            "approve again when it has ended"
        )

    def recent(self, model: str, since: str) -> Iterator[dict[str, Any]]:
        """The model's entries that were recorded at `since` or later, the newest first.

        It reads no further back: what it costs does not grow with the model's history.
        """
        for entry in self._query(
            model, PaginationConfig={"PageSize": _RECENT}, KeyConditionExpression="model = :model"
        ):
            if entry["recorded_at"] < since:
                return
            yield entry

    def _newest_first(self, model: str, index: str, value: str) -> Iterator[dict[str, Any]]:
        return self._query(
            model,
            {":start": {"S": attestations.index_key(value)}},
            IndexName=index.replace("_", "-"),
            KeyConditionExpression="model = :model AND begins_with(#key, :start)",
            ExpressionAttributeNames={"#key": index},
        )

    def _query(
        self, model: str, values: Mapping[str, Any] | None = None, **query: Any
    ) -> Iterator[dict[str, Any]]:
        with errors.translated(f"read the ledger of model {model}"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                ExpressionAttributeValues={":model": {"S": model}, **(values or {})},
                ScanIndexForward=False,
                ConsistentRead=True,
                **query,
            )
            for page in pages:
                for item in page["Items"]:
                    yield attestations.entry_in(items.from_item(item))


class Writer(Ledger):
    """The ledger, appended to: signs each entry and, with it, a checkpoint of the whole."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.ledger_table)
        self._heads = settings.ledger_heads_table
        self._evidence = settings.evidence_bucket
        self._signing = Signing(settings.ledger_key_arn)

    def append(self, entry: Mapping[str, Any]) -> int:
        """Write the entry as the next of its model; returns its number (1 is the first).

        An entry with the same `entry_id` that is there already is left as it is and its number
        returned. A lost race signs anew. TransientError if other writers won every round.
        """
        model, entry_id = entry["model"], entry["entry_id"]
        with errors.translated(f"record entry {entry_id} of model {model}"):
            artifacts = self._artifacts_of(entry)
            for _ in range(_ROUNDS):
                head, previous = self._head(model)
                sequence = head + 1
                placed = attestations.linked(entry, sequence, previous)
                signed = self._signing.sign(attestations.statement_of(placed, artifacts))
                checkpoint = self._signing.sign(
                    attestations.checkpoint_of(model, sequence, signed.digest, entry["recorded_at"])
                )
                if self._write(signed, checkpoint, previous):
                    return sequence
                # Another entry was faster, or this one is there already.
                recorded = self._sequence_of(entry_id)
                if recorded is not None:
                    return recorded
        raise TransientError(
            f"could not record entry {entry_id} of model {model}: other "
            f"executions wrote first {_ROUNDS} times; the state machine retries"
        )

    def _artifacts_of(self, entry: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
        """The artefacts in the manifest of the entry's candidate, if there is one that proves it.

        What happened is recorded even when the manifest is gone or was replaced.
        """
        candidate_id = entry.get("candidate_id")
        if not candidate_id:
            return ()
        try:
            return _artifacts(self._evidence, str(entry["model"]), str(candidate_id))
        except (NotFoundError, IntegrityError):
            return ()

    def _sequence_of(self, entry_id: str) -> int | None:
        key = {"model": {"S": _marker_key(entry_id)}, "sequence": {"N": "0"}}
        found = self._item(self._table, key)
        return None if found is None else int(found["entry_sequence"])

    def _head(self, model: str) -> tuple[int, str]:
        """The number and the digest of the newest entry."""
        found = self._item(self._heads, {"model": {"S": model}})
        if found is None:
            return 0, attestations.NO_PREVIOUS
        return int(found["head"]), str(found["digest"])

    def _item(self, table: str, key: Mapping[str, Any]) -> dict[str, Any] | None:
        item = self._dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        return None if item is None else items.from_item(item)

    def _write(self, signed: Signed, checkpoint: Signed, previous: str) -> bool:
        """Try to write the entry under its number; False if another writer was faster."""
        row = attestations.row_of(signed.envelope)
        marker = {
            "model": _marker_key(row["entry_id"]),
            "sequence": 0,
            "entry_model": row["model"],
            "entry_sequence": row["sequence"],
        }
        try:
            self._dynamodb.transact_write_items(
                TransactItems=[
                    self._move_head(row, checkpoint.envelope, previous),
                    self._put(row),
                    self._put(marker),
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

    def _move_head(
        self, row: Mapping[str, Any], checkpoint: str, previous: str
    ) -> TransactWriteItemTypeDef:
        first = row["sequence"] == 1
        values = {
            ":new": {"N": str(row["sequence"])},
            ":digest": {"S": row["digest"]},
            ":checkpoint": {"S": checkpoint},
        }
        if not first:
            values |= {":old": {"N": str(row["sequence"] - 1)}, ":previous": {"S": previous}}
        return {
            "Update": {
                "TableName": self._heads,
                "Key": {"model": {"S": row["model"]}},
                "UpdateExpression": "SET head = :new, digest = :digest, #checkpoint = :checkpoint",
                "ConditionExpression": "attribute_not_exists(model)"
                if first
                else "head = :old AND digest = :previous",
                "ExpressionAttributeNames": {"#checkpoint": "checkpoint"},
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


@lru_cache(maxsize=64)
def _artifacts(bucket: str, model: str, candidate_id: str) -> tuple[Mapping[str, Any], ...]:
    """The artefacts of a candidate's manifest, whose bytes its id digests: they never change."""
    manifest = Artifacts().read_json(
        {"bucket": bucket, "key": f"manifests/{model}/{candidate_id}.json", "sha256": candidate_id}
    )
    return tuple(manifest["artifacts"])


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
