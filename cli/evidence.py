"""The evidence in Central as the reader role sees it: ledger, archive, key, manifests, reports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cli import ledger, projects
from cli.aws import calling, explain
from cli.errors import GovernError
from governance.adapters import definitions, errors, items
from governance.adapters.artifacts import Artifacts, parse_uri
from governance.domain import attestations, our_evaluation, policy_changes
from governance.domain.errors import IntegrityError, InvalidInputError, NotFoundError
from governance.domain.policies import PARTS, combined, digests_of

if TYPE_CHECKING:
    import boto3

KEY_ALIAS = "alias/governed-path-ledger"
CANDIDATES = "governed-path-candidates"
PARTS_TABLE = "governed-path-parts"
LARGEST_DOCUMENT = 8 * 1024**2  # bytes of a manifest, report, policy or envelope that are read
_READERS = 16  # objects of the archive that are read at once

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Book:
    """What the ledger's tables hold of one model. `rows` are items in order, `head` {} if none."""

    model: str
    rows: list[dict[str, Any]]
    head: Mapping[str, Any]

    @property
    def envelopes(self) -> list[bytes]:
        """The envelopes, the oldest first."""
        return [str(row.get("envelope", "")).encode() for row in self.rows]

    @property
    def checkpoint(self) -> bytes | None:
        """The newest checkpoint's envelope."""
        text = self.head.get("checkpoint")
        return None if text is None else str(text).encode()


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the archive holds of one model: {key: bytes}, and keys that are not as they were put.

    `newest_checkpoint` is the archived one with the highest number.
    """

    entries: Mapping[str, bytes]
    checkpoints: frozenset[str]
    newest_checkpoint: bytes | None
    altered: Mapping[str, str] = field(default_factory=dict)


def book(reader: boto3.Session, model: str, progress: Progress) -> Book:
    """The model's chain and head, as they were at one moment.

    The head is read first; what was appended while the entries were read is left out.
    """
    head = _head(reader, model)
    rows = []
    with calling(f"read the ledger of model {model}"):
        pages = (
            reader.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=ledger.TABLE,
                KeyConditionExpression="model = :model",
                ExpressionAttributeValues={":model": {"S": model}},
                ConsistentRead=True,
            )
        )
        for page in pages:
            rows += [items.from_item(item) for item in page["Items"]]
            progress("entries read", len(rows))
    last = int(head.get("head", 0))
    if any(int(row["sequence"]) > last for row in rows):
        appended = int(_head(reader, model).get("head", 0))
        rows = [row for row in rows if not last < int(row["sequence"]) <= appended]
    return Book(model, rows, head)


def shelf(reader: boto3.Session, account: str, model: str, progress: Progress) -> Shelf:
    """What the archive holds of the model, every object read."""
    bucket = f"governed-path-ledger-{account}-{reader.region_name}"
    with calling(f"read the archive s3://{bucket} of model {model}"):
        s3 = reader.client("s3")
        entries, altered = _versions(s3, bucket, f"entries/model={model}/")
        checkpoints, other = _versions(s3, bucket, f"checkpoints/model={model}/")
        bodies: dict[str, bytes] = {}
        with ThreadPoolExecutor(_READERS) as pool:
            fetched = pool.map(lambda one: _body(s3, bucket, *one), entries.items())
            for key, body in zip(entries, fetched, strict=True):
                bodies[key] = body
                if not len(bodies) % 100:
                    progress("archived entries read", len(bodies))
        newest = max(checkpoints, default=None)
        checkpoint = None if newest is None else _body(s3, bucket, newest, checkpoints[newest])
    return Shelf(bodies, frozenset(checkpoints), checkpoint, altered | other)


def public_key(reader: boto3.Session) -> bytes:
    """The ledger's public key in PEM, as KMS has it."""
    from cryptography.hazmat.primitives import serialization

    with calling(f"read the public key {KEY_ALIAS}"):
        der = reader.client("kms").get_public_key(KeyId=KEY_ALIAS)["PublicKey"]
    return serialization.load_der_public_key(der).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def bucket(session: boto3.Session, account: str) -> str:
    """The bucket of Central's evidence, in the session's region."""
    return f"governed-path-evidence-{account}-{session.region_name}"


def manifest_uri(reader: boto3.Session, account: str, model: str, candidate_id: str) -> str:
    """Where a candidate's manifest is."""
    return f"s3://{bucket(reader, account)}/manifests/{model}/{candidate_id}.json"


def document(reader: boto3.Session, uri: str, version_id: str | None = None) -> bytes | None:
    """The bytes of a manifest, report or policy; None if there are none.

    GovernError if AWS refuses or the object is too large to be one.
    """
    bucket, key = parse_uri(uri)
    version: dict[str, Any] = {"VersionId": version_id} if version_id else {}
    try:
        answer = reader.client("s3").get_object(Bucket=bucket, Key=key, **version)
    except ClientError as error:
        # Without the right to list, S3 says 403 about what is not there.
        if errors.is_absent(error):
            return None
        raise explain(error, f"read {uri}") from error
    if answer["ContentLength"] > LARGEST_DOCUMENT:
        raise GovernError(
            "too_large", f"{uri} has {answer['ContentLength']} bytes; expected a document"
        )
    body: bytes = answer["Body"].read()
    return body


def needed(reader: boto3.Session, uri: str, version_id: str | None = None) -> bytes:
    """The bytes of a document that must be there; GovernError `not_found` if it is not."""
    body = document(reader, uri, version_id)
    if body is None:
        raise GovernError("not_found", f"{uri} is not there", "govern verify says what else")
    return body


def evaluation(reader: boto3.Session, candidate_id: str, model: str) -> bytes:
    """A candidate's evaluation report, from where Central keeps it; GovernError `not_found`."""
    known = candidate(reader, candidate_id, model) or {"objects": []}
    for place in known["objects"]:
        if place["role"] == "evaluation":
            uri = f"s3://{place['bucket']}/{place['key']}"
            return needed(reader, uri, place["version_id"])
    raise GovernError("not_found", f"candidate {candidate_id} has no evaluation report in Central")


def said_of_tests(
    reader: boto3.Session,
    entries: Sequence[Mapping[str, Any]],
    model_package_arn: str,
    description: Mapping[str, Any],
) -> list[dict[str, str]]:
    """How a version says something else of its tests than the report that the ledger names.

    `entries` are the model's, the oldest first. What is wrong with the report itself, `govern
    verify` finds by its digest: nothing can be compared with it then.
    """
    told = our_evaluation.told(
        entry for entry in reversed(entries) if entry["model_package_arn"] == model_package_arn
    )
    if not told.binds(tested_next=False):
        return []
    if told.report is None:
        return our_evaluation.differences(description, None, None)
    body = document(reader, told.report["uri"], told.report["version_id"])
    if body is None or hashlib.sha256(body).hexdigest() != told.report["sha256"]:
        return []
    return our_evaluation.differences(description, json.loads(body), told.report)


def candidate(reader: boto3.Session, candidate_id: str, model: str) -> dict[str, Any] | None:
    """The candidate's item: where its bytes are in Central, as which version. None if unknown."""
    with calling(f"read candidate {candidate_id} of model {model}"):
        item = (
            reader.client("dynamodb")
            .get_item(
                TableName=CANDIDATES,
                Key={"candidate_id": {"S": candidate_id}, "model": {"S": model}},
                ConsistentRead=True,
            )
            .get("Item")
        )
    return None if item is None else items.from_item(item)


def recalled(reader: boto3.Session, parts: Iterable[str]) -> list[dict[str, Any]]:
    """The marks of those of a candidate's parts (domain/parts.py) that were recalled."""
    found = []
    for part in parts:
        with calling(f"look whether {part} was recalled"):
            item = (
                reader.client("dynamodb")
                .get_item(
                    TableName=PARTS_TABLE,
                    Key={"part": {"S": part}, "holder": {"S": "recalled"}},
                    ConsistentRead=True,
                )
                .get("Item")
            )
        if item is not None:
            found.append(items.from_item(item))
    return found


def policy(reader: boto3.Session, model: str) -> dict[str, bytes] | None:
    """The files {cedar, schema, tier} of the model's present policy; None if one is gone."""
    pinned = projects.project_of(reader, model)["policy"]
    files = {
        part: document(reader, pinned[part]["uri"], pinned[part]["version_id"]) for part in PARTS
    }
    found = {part: body for part, body in files.items() if body is not None}
    return found if found.keys() == files.keys() else None


def definition(reader: boto3.Session, reference: Mapping[str, str]) -> dict[str, Any] | None:
    """The deployment definition {digest, uri} that was published; None if it is not there."""
    try:
        return definitions.read(reference, Artifacts(reader))
    except (InvalidInputError, IntegrityError, NotFoundError):
        return None


def policies(
    reader: boto3.Session,
    model: str,
    entries: Iterable[Mapping[str, Any]],
    digests: Iterable[str],
) -> list[dict[str, bytes]]:
    """The files {cedar, schema, tier} of the model's policies with these digests.

    Where each is, the ledger's `entries` say, and of the present one the directory. Those that are
    not there any more, or are others, are left out.
    """
    pinned = projects.project_of(reader, model).get("policy") or {}
    present = {part: pinned[part] for part in PARTS if part in pinned}
    places = policy_changes.recorded(entries)
    if present.keys() == set(PARTS):
        digest = combined({part: place["sha256"] for part, place in present.items()})
        places.setdefault(digest, present)
    fetch = cache(lambda uri, version_id: document(reader, uri, version_id))
    found = []
    for digest in digests:
        at = places.get(digest, {})
        files = {part: fetch(place["uri"], place["version_id"]) for part, place in at.items()}
        there = {part: body for part, body in files.items() if body is not None}
        if there.keys() == set(PARTS) and combined(digests_of(there)) == digest:
            found.append(there)
    return found


def archive_keys(model: str, sequences: Iterable[int], checkpoint: bool = False) -> list[str]:
    """Where the archive must have these entries or checkpoints."""
    return [attestations.archive_key(model, number, checkpoint) for number in sequences]


def _head(reader: boto3.Session, model: str) -> dict[str, Any]:
    with calling(f"read the ledger's head of model {model}"):
        item = (
            reader.client("dynamodb")
            .get_item(TableName=ledger.HEADS, Key={"model": {"S": model}}, ConsistentRead=True)
            .get("Item")
        )
    return {} if item is None else items.from_item(item)


def _versions(s3: Any, bucket: str, prefix: str) -> tuple[dict[str, str], dict[str, str]]:
    """({key: its first version}, {key: what was done to it since}) of what is under the prefix."""
    first: dict[str, str] = {}
    altered: dict[str, str] = {}
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for marker in page.get("DeleteMarkers", []):
            altered[marker["Key"]] = "it was deleted, and kept by its lock"
        # Of one key, the newest comes first.
        for version in page.get("Versions", []):
            if version["Key"] in first:
                altered.setdefault(version["Key"], "another version was put over it")
            first[version["Key"]] = version["VersionId"]
    return first, altered


def _body(s3: Any, bucket: str, key: str, version_id: str) -> bytes:
    answer = s3.get_object(Bucket=bucket, Key=key, VersionId=version_id)
    body: bytes = answer["Body"].read(LARGEST_DOCUMENT)
    return body
