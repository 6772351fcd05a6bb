"""Recalls: what holds a version, a dataset, an image or a library, and taking all of it back.

What is shown first is the blast radius: every version in every registry and every endpoint in every
account. Its digest goes into the registry with each recall, and from there into the ledger, so
that it can be told later what the person had before them who decided.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rfc8785
from botocore.exceptions import ClientError

from cli import approvals, endpoints, evidence, ledger, projects, versions
from cli.aws import calling, explain
from cli.errors import GovernError, usage
from cli.target import Target, observer_session
from governance.adapters import items
from governance.domain import ledger as entries_of
from governance.domain import parts, phases
from governance.domain.identity import account_of

if TYPE_CHECKING:
    import boto3

TABLE = "governed-path-parts"
SCHEMA = "governed-path/blast-radius/v1"
RECALLED = phases.BY_NAME["Prod/Recalled"]
_MARK = "recalled"  # the holder of the mark itself
_HEX = frozenset("0123456789abcdef")
_LONGEST_VALUE = 256  # characters of a metadata value

Progress = Callable[[float], None]
Row = dict[str, Any]


def check_reason(because: str) -> None:
    """GovernError `usage` if there is no reason, or one that is too long."""
    approvals.check_because(because, "a recall", "say what is wrong")


def subject(
    reference: str | None, dataset: str | None, image: str | None, library: str | None
) -> tuple[str | None, str | None]:
    """(MODEL/VERSION or None, part or None) of what the command was given; exactly one of four.

    A dataset is named by its S3 version id or the SHA-256 of its bytes, a library with or without
    a version.
    """
    given = [one for one in (reference, dataset, image, library) if one is not None]
    if len(given) != 1:
        raise usage(
            f"a recall is of one thing; {len(given) or 'nothing'} was named",
            "MODEL/VERSION, --dataset-version ID, --image sha256:DIGEST or --library NAME==VERSION",
        )
    if reference is not None:
        return reference, None
    if dataset is not None:
        kind = parts.DATASET if _is_digest(dataset) else parts.DATASET_VERSION
        return None, f"{kind}{dataset}"
    if image is not None:
        if not (image.startswith("sha256:") and _is_digest(image.removeprefix("sha256:"))):
            raise usage(
                f"{image!r} is no digest of an image", "expected sha256: and 64 hexadecimal digits"
            )
        return None, f"{parts.IMAGE}{image}"
    name, exact, version = str(library).partition("==")
    if not name.strip() or (exact and not version.strip()):
        raise usage(f"{library!r} names no library", "expected NAME or NAME==VERSION")
    return None, parts.library(name, version or None)


def blast_radius(where: Target, reference: str | None, part: str | None) -> Row:
    """What a recall concerns, as one JSON object whose digest `digest` takes.

    {schema, reference, part, versions, endpoints, not_looked_at}: a version {model, version,
    registry, phase, candidate_id, model_package_arn, part, closed}: `part` what is recalled with it
    (None if the version itself), `closed` whether that is done already; an endpoint
    {endpoint_name, endpoint_arn, account, status, variants}. GovernError `not_found` if nothing
    holds it.
    """
    named = _named_version(where, reference) if reference is not None else None
    found = _holders(where.reader, named, part)
    if named is not None:
        found.setdefault(named["model_package_arn"], named)
    if not found:
        raise GovernError(
            "not_found",
            f"no version holds {part}",
            "parts are known of versions that were registered since they are indexed; "
            "govern lineage MODEL/VERSION and the model package's metadata say what one is made of",
        )
    versions_ = [_version(where, row) for row in found.values()]
    versions_.sort(key=lambda row: (row["registry"], row["model"], row["version"]))
    # A data scientist may serve a version in Dev, to try it.
    everywhere = endpoints.accounts_of(projects.all_projects(where.reader), ("dev", "test", "prod"))
    seen, problems = endpoints.in_accounts(
        lambda account: observer_session(where.reader, account), everywhere
    )
    candidates = {row["candidate_id"] for row in versions_ if row["candidate_id"]}
    arns = {row["model_package_arn"] for row in versions_}
    keys = ("endpoint_name", "endpoint_arn", "account", "status", "variants")
    return {
        "schema": SCHEMA,
        "reference": reference,
        "part": part,
        "versions": versions_,
        "endpoints": [
            {key: row[key] for key in keys}
            for row in seen
            if endpoints.serves(row, candidates, arns)
        ],
        "not_looked_at": problems,
    }


def digest(radius: Mapping[str, Any]) -> str:
    """SHA-256 of the blast radius as RFC 8785 JSON."""
    return hashlib.sha256(document(radius)).hexdigest()


def document(radius: Mapping[str, Any]) -> bytes:
    """The bytes that `digest` digests."""
    return rfc8785.dumps(dict(radius))


def check_in_central(radius: Mapping[str, Any]) -> None:
    """GovernError `only_in_dev` if there is nothing that a recall could be set on."""
    if any(row["registry"] == "Central" for row in radius["versions"]):
        return
    names = ", ".join(f"{row['model']}/{row['version']}" for row in radius["versions"])
    raise GovernError(
        "only_in_dev",
        f"only versions of Dev hold {radius['part']}: {names}; no version of Central can be "
        "recalled for it, so no gate refuses it",
        "a data scientist rejects them: govern reject MODEL/VERSION --stage dev --because TEXT",
    )


def to_recall(radius: Mapping[str, Any]) -> list[Row]:
    """The versions that a recall sets: Central's, but for those for which it was done already.

    Nobody of Central may write into a project's own registry. What is only there is stopped by the
    gate, as soon as a version of Central holds the same and is recalled.
    """
    return [row for row in radius["versions"] if row["registry"] == "Central" and not row["closed"]]


def that_serve(own: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """Those of the versions that one of these endpoints serves, or is about to."""
    return [
        row
        for row in rows
        if any(
            endpoints.serves(one, [row["candidate_id"]], [row["model_package_arn"]]) for one in own
        )
    ]


def in_prod(reader: boto3.Session, radius: Mapping[str, Any]) -> list[Row]:
    """The endpoints of the blast radius that can be asked to go back: the projects' own in Prod.

    What somebody made by hand, and what a test runs on, has nothing to go back to.
    """
    own = {
        (str(one["accounts"]["prod"]), str(one["endpoint_name"]).lower())
        for one in projects.all_projects(reader)
    }
    return [
        row for row in radius["endpoints"] if (row["account"], row["endpoint_name"].lower()) in own
    ]


def recall(session: boto3.Session, row: Mapping[str, Any], because: str, radius: str) -> str:
    """Set Prod / Recalled on one version; when it was changed before (ISO-8601).

    `session` is the persona's own, `radius` the digest of the blast radius. The signature goes
    too: SageMaker itself then makes no model of the version any more. GovernError if AWS refuses.
    """
    arn = row["model_package_arn"]
    sagemaker = session.client("sagemaker")
    with calling(f"describe {arn}"):
        present = sagemaker.describe_model_package(ModelPackageName=arn)
    metadata = dict(present.get("CustomerMetadataProperties") or {})
    wanted = metadata | {parts.BLAST_RADIUS: radius}
    fields: dict[str, Any] = {}
    if row["part"] is not None:
        wanted[parts.RECALL_OF] = str(row["part"])[:_LONGEST_VALUE]
    elif parts.RECALL_OF in metadata:
        del wanted[parts.RECALL_OF]
        fields["CustomerMetadataPropertiesToRemove"] = [parts.RECALL_OF]
    try:
        sagemaker.update_model_package(
            ModelPackageArn=arn,
            ModelLifeCycle={
                "Stage": RECALLED.stage,
                "StageStatus": RECALLED.status,
                "StageDescription": because,
            },
            ModelApprovalStatus="Rejected",
            ApprovalDescription=because,
            CustomerMetadataProperties=wanted,
            **fields,
        )
    except ClientError as error:
        raise explain(
            error, f"recall {arn}", "that is for a governance engineer: --as governance-engineer"
        ) from error
    changed = present.get("LastModifiedTime") or present["CreationTime"]
    return str(changed.isoformat())


def recorded(
    reader: boto3.Session,
    row: Mapping[str, Any],
    after: int,
    *,
    timeout: float = 120.0,
    interval: float = 1.0,
    progress: Progress | None = None,
) -> Row:
    """The ledger entry of a recall that was set when the model's newest entry was `after`.

    Times in seconds. GovernError `timeout` if it is not there by then, `does_not_count` if it was
    recorded with objections.
    """
    started = time.monotonic()
    arn = row["model_package_arn"]
    while True:
        for entry in ledger.entries(reader, row["model"], after):
            after = int(entry["sequence"])
            if entry["kind"] == "VersionRecalled" and entry["model_package_arn"] == arn:
                if objections := entry.get("objections"):
                    raise GovernError(
                        "does_not_count",
                        f"the recall of {arn} is recorded with objections: {'; '.join(objections)}",
                        "the version is recalled all the same; set it again as who may",
                    )
                return entry
        elapsed = time.monotonic() - started
        if elapsed >= timeout:
            raise GovernError(
                "timeout",
                f"{row['model']}/{row['version']} is set to {RECALLED.name}, and that is not "
                f"recorded within {timeout:.0f} s",
                f"govern history {row['model']}/{row['version']}; if nothing comes, an alarm and "
                "governed-path-rules-dlq say why (docs/runbook.md)",
            )
        if progress is not None:
            progress(elapsed)
        time.sleep(interval)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= _HEX


def _named_version(where: Target, reference: str) -> Row:
    model, number = versions.parse(reference)
    version = versions.find(where.session, where.central_account, model, number)
    metadata = version.description.get("CustomerMetadataProperties") or {}
    return {
        "model": model,
        "model_package_arn": version.arn,
        "candidate_id": metadata.get("candidate-id"),
        "part": None,
    }


def _holders(reader: boto3.Session, named: Row | None, part: str | None) -> dict[str, Row]:
    """{version ARN: {model, model_package_arn, candidate_id, part}} of all that holds it.

    With a version itself are recalled all that have its bytes: a digest is no better under another
    name.
    """
    if part is not None:
        return {row["model_package_arn"]: row for row in _held(reader, part, exact=True)}
    candidate_id = (named or {}).get("candidate_id")
    if named is None or not candidate_id:
        return {}
    own = (evidence.candidate(reader, candidate_id, named["model"]) or {}).get("parts") or ()
    bytes_ = parts.marked(None, own) or [f"{parts.CANDIDATE}{candidate_id}"]
    rows = (row for one in bytes_ for row in _held(reader, one, exact=False))
    return {row["model_package_arn"]: row for row in rows}


def _held(reader: boto3.Session, part: str, *, exact: bool) -> list[Row]:
    with calling(f"look up what holds {part}"):
        pages = (
            reader.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=TABLE,
                KeyConditionExpression="part = :part",
                ExpressionAttributeValues={":part": {"S": part}},
                ConsistentRead=True,
            )
        )
        found = [items.from_item(item) for page in pages for item in page["Items"]]
    return [
        {
            "model": row["model"],
            "model_package_arn": row["holder"],
            "candidate_id": row["candidate_id"],
            "part": row["exact"] if exact else None,
        }
        for row in found
        if row["holder"] != _MARK
    ]


def _version(where: Target, row: Mapping[str, Any]) -> Row:
    arn = str(row["model_package_arn"])
    central = account_of(arn) == where.central_account
    story = ledger.about(where.reader, row["model"], arn)
    phase = entries_of.phase(story)
    return {
        "model": row["model"],
        "version": versions.number_of(arn),
        "registry": "Central" if central else "Dev",
        "phase": phase,
        "candidate_id": row["candidate_id"],
        "model_package_arn": arn,
        "part": row["part"],
        "closed": phase == "Retired/Retired" or _is_done(story, row["part"]),
    }


def _is_done(story: Sequence[Mapping[str, Any]], part: str | None) -> bool:
    """True if the version was recalled with this very part, or itself."""
    return any(
        entry["kind"] == "VersionRecalled" and (entry.get("recall") or {}).get("of") == part
        for entry in story
    )
