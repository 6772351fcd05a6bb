"""The ledger as the command line reads it: what happened, why not, how a decision ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli.aws import calling
from cli.errors import GovernError
from governance.adapters import items
from governance.domain import attestations
from governance.domain.errors import IntegrityError
from governance.domain.ledger import who

if TYPE_CHECKING:
    import boto3

TABLE = "governed-path-ledger"
HEADS = "governed-path-ledger-heads"
_INCIDENT = "treat it as an incident (docs/runbook.md); the archive has what was signed"


def entries(session: boto3.Session, model: str, after: int = 0) -> list[dict[str, Any]]:
    """The model's entries whose sequence is greater than `after`, in order; [] if it has none.

    `session` is one of the reader role. GovernError if AWS refuses, or if an item of the table is
    not the entry that was signed.
    """
    with calling(f"read the ledger of model {model}"):
        pages = (
            session.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=TABLE,
                KeyConditionExpression="model = :model AND #sequence > :after",
                ExpressionAttributeNames={"#sequence": "sequence"},
                ExpressionAttributeValues={":model": {"S": model}, ":after": {"N": str(after)}},
                ConsistentRead=True,
            )
        )
        rows = [items.from_item(item) for page in pages for item in page["Items"]]
    return _opened(model, rows)


def about(session: boto3.Session, model: str, arn: str) -> list[dict[str, Any]]:
    """The entries about one version, the newest first, by the index: the rest is not read.

    Errors as `entries`.
    """
    with calling(f"read the ledger of {arn}"):
        pages = (
            session.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=TABLE,
                IndexName="by-version",
                KeyConditionExpression="model = :model AND begins_with(by_version, :start)",
                ExpressionAttributeValues={
                    ":model": {"S": model},
                    ":start": {"S": attestations.index_key(arn)},
                },
                ScanIndexForward=False,
                ConsistentRead=True,
            )
        )
        rows = [items.from_item(item) for page in pages for item in page["Items"]]
    return _opened(model, rows)


def _opened(model: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    try:
        return [attestations.entry_in(row) for row in rows]
    except IntegrityError as error:
        raise GovernError(
            "integrity", f"the ledger of model {model} was changed: {error}", _INCIDENT
        ) from error


def head(session: boto3.Session, model: str) -> int:
    """The sequence of the model's newest entry, 0 if it has none."""
    with calling(f"read the ledger of model {model}"):
        item = (
            session.client("dynamodb")
            .get_item(
                TableName=HEADS,
                Key={"model": {"S": model}},
                ConsistentRead=True,
            )
            .get("Item")
        )
    return 0 if item is None else int(items.from_item(item)["head"])


def of_versions(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The entries that are about a version; a change of policy is about the model as a whole."""
    return [entry for entry in found if ":model-package/" in entry["model_package_arn"]]


def until(found: Sequence[Mapping[str, Any]], at: str | None) -> list[Mapping[str, Any]]:
    """The entries that were recorded at that time or before; all of them without a time."""
    return [entry for entry in found if at is None or entry["recorded_at"] <= at]


def story(found: Sequence[Mapping[str, Any]], arn: str) -> list[Mapping[str, Any]]:
    """The entries about one version, in Dev and in Central: a candidate has an ARN in each."""
    pairs = [(e["model_package_arn"], e["origin_arn"]) for e in found if e.get("origin_arn")]
    arns = {arn, *(one for pair in pairs if arn in pair for one in pair)}
    return [entry for entry in found if entry["model_package_arn"] in arns]


def reasons(entry: Mapping[str, Any]) -> list[dict[str, str]]:
    """Why an entry says no: [{rule, fact, expected, remedy}], [] if it does not.

    A gate's reasons have all four; an objection, a failed test or a fault has "" where nothing is
    known.
    """
    verdict = entry.get("verdict") or {}
    found = [] if verdict.get("allowed", True) else list(verdict.get("reasons") or [])
    for text in (entry.get("summary") or {}).get("reasons") or []:
        suite, _, fact = str(text).partition(": ")
        found.append({"rule": suite, "fact": fact} if fact else {"rule": "tests", "fact": suite})
    for one in entry.get("differences") or []:
        fact = f"{one['name']} is {one['actual']}"
        found.append({"rule": "tampering", "fact": fact, "expected": one["expected"]})
    for objection in entry.get("objections") or []:
        found.append({"rule": "counts for nothing", "fact": str(objection)})
    ended_by = {"ReleaseRolledBack": "guardrails", "ReleaseStopped": "rollback"}
    if entry["kind"] in ended_by:
        rule = ended_by[entry["kind"]]
        found.append({"rule": rule, "fact": str(entry.get("reason") or "")})
    if entry["kind"] == "DrillFailed":
        found.append({"rule": "drill", "fact": str(entry["drill"]["said"])})
    failure = entry.get("failure")
    if failure:
        # What to do about a run that could not say how it ended is the entry's reason.
        remedy = entry.get("reason") if entry["kind"] == "RunUnfinished" else None
        rule = str(failure.get("Error") or "failure")
        found.append({"rule": rule, "fact": _cause(failure), "remedy": remedy})
    return [
        {key: str(reason.get(key) or "") for key in ("rule", "fact", "expected", "remedy")}
        for reason in found
    ]


def person(entry: Mapping[str, Any]) -> str:
    """Who decided or did what the entry records; "" if it does not say."""
    return str(who(entry).get("person") or "")


def _cause(failure: Mapping[str, Any]) -> str:
    """The sentence in a failure's Cause, which Lambda wraps into JSON; what is around it stays."""
    cause = str(failure.get("Cause") or "")
    start = max(cause.find("{"), 0)
    try:
        wrapped, end = json.JSONDecoder().raw_decode(cause, start)
    except ValueError:
        return cause
    said = wrapped.get("errorMessage") if isinstance(wrapped, dict) else None
    return f"{cause[:start]}{said}{cause[end:]}" if said else cause
