"""Attestations: a ledger entry as an in-toto statement in a DSSE envelope, chained to the last.

Everything is canonical JSON (RFC 8785), so one statement has one sequence of bytes. The SHA-256
of these bytes is the entry's digest, and the next entry of the model names it as `previous`.
Signing is an adapter's work; what is signed and how it is read back is here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import rfc8785

from governance.domain import locations, suites
from governance.domain.errors import IntegrityError, InvalidInputError

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
VERIFICATION_SUMMARY = "https://slsa.dev/verification_summary/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
CHECKPOINT = "https://governed-path.example/attestations/checkpoint/v1"
GATE = "https://governed-path.example/gates"
# What the first entry of a model names as the one before it.
NO_PREVIOUS = "0" * 64

# Kinds whose entry is a gate's answer, and kinds whose entry is the result of the suites.
VERDICTS = frozenset(
    {
        "CandidatePromoted",
        "PromotionRejected",
        "ValidationStarted",
        "ValidationRejected",
        "ReleaseStarted",
        "CandidateReleased",
        "ReleaseRolledBack",
        "ReleaseRejected",
    }
)
# What a summary says of its verdict; an entry whose verdict lacks any is one of our own types.
_STATED = {"allowed", "stage", "policy_digest"}
TESTS = frozenset({"ValidationPassed", "ValidationFailed"})
# The sort key of each index of the ledger table, beside the model, and the field it is made of.
INDEXES = {"by_kind": "kind", "by_version": "model_package_arn"}
_ROW = ("model", "sequence", "entry_id", "kind", "model_package_arn", "recorded_at")


def linked(entry: Mapping[str, Any], sequence: int, previous: str) -> dict[str, Any]:
    """The entry in its place: its number, and the digest of the entry before (64 hex digits)."""
    return {**entry, "sequence": sequence, "previous": previous}


def statement_of(
    entry: Mapping[str, Any], artifacts: Iterable[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The in-toto statement that says what the entry says.

    `entry` has its `sequence` and `previous`. `artifacts` [{role, bucket, key, sha256}] are those
    of the candidate's manifest; without candidate or manifest they are none. A digest that is not
    the SHA-256 of one file's bytes has a name of its own (domain/locations.py says what it is).
    """
    subject = [_subject(f"entry:{entry['kind']}", entry["entry_id"])]
    if entry.get("candidate_id"):
        subject.append(_subject(entry["model_package_arn"], entry["candidate_id"]))
    subject += sorted(
        (
            {
                "name": f"{one['role']} s3://{one['bucket']}/{one['key']}",
                "digest": {_algorithm(one): one["sha256"]},
            }
            for one in artifacts
        ),
        key=lambda one: str(one["name"]),
    )
    return {
        "_type": STATEMENT_TYPE,
        "subject": subject,
        "predicateType": predicate_type(entry),
        "predicate": {**_standard_fields(entry), "entry": dict(entry)},
    }


def predicate_type(entry: Mapping[str, Any]) -> str:
    """What kind of attestation the entry is: a gate's answer, a test's result, or one of ours."""
    kind = str(entry["kind"])
    if kind in TESTS:
        return TEST_RESULT
    if kind in VERDICTS and (entry.get("verdict") or {}).keys() >= _STATED:
        return VERIFICATION_SUMMARY
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", kind).lower()
    return f"https://governed-path.example/attestations/{words}/v1"


def checkpoint_of(model: str, entries: int, digest: str, recorded_at: str) -> dict[str, Any]:
    """The statement that the model's ledger has `entries` entries, the last with that digest."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [_subject(f"ledger:{model}", digest)],
        "predicateType": CHECKPOINT,
        "predicate": {
            "model": model,
            "entries": entries,
            "digest": digest,
            "recorded_at": recorded_at,
        },
    }


def canonical(statement: Mapping[str, Any]) -> bytes:
    """The bytes of a statement; read and written again they are the same bytes.

    InvalidInputError for what canonical JSON cannot say: NaN, whole numbers of 2^53 and more.
    """
    try:
        payload = rfc8785.dumps(dict(statement))
        rfc8785.dumps(json.loads(payload))  # a whole float comes back as an integer
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f"a statement to sign is not canonical JSON: {error}") from error
    return payload


def digest_of(payload: bytes) -> str:
    """The digest of an entry, 64 hex digits, from the bytes of its statement."""
    return hashlib.sha256(payload).hexdigest()


def key_id(public_key: bytes) -> str:
    """The key id, 64 hex digits, of a public key (DER SubjectPublicKeyInfo)."""
    return hashlib.sha256(public_key).hexdigest()


def envelope_text(envelope: Mapping[str, Any]) -> str:
    """A DSSE envelope {payload, payloadType, signatures} as it is stored: canonical JSON."""
    return rfc8785.dumps(dict(envelope)).decode()


def payload_of(envelope: str) -> bytes:
    """The signed bytes in an envelope's text. IntegrityError if it is no envelope of ours."""
    try:
        parsed = json.loads(envelope)
        if parsed["payloadType"] != PAYLOAD_TYPE:
            raise IntegrityError(
                f"an envelope of the ledger holds {parsed['payloadType']!r}; "
                f"expected {PAYLOAD_TYPE!r}"
            )
        return base64.b64decode(parsed["payload"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise IntegrityError(
            f"a stored envelope is not DSSE: {error!r}; run `govern verify` for this model"
        ) from error


def statement_in(envelope: str) -> dict[str, Any]:
    """The statement in an envelope's text. IntegrityError if there is none."""
    payload = payload_of(envelope)
    try:
        statement = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"the payload of an envelope is not JSON: {error}") from error
    if not isinstance(statement, dict) or not isinstance(statement.get("predicate"), dict):
        raise IntegrityError("the payload of an envelope is not an in-toto statement")
    return statement


def entry_of(envelope: str) -> dict[str, Any]:
    """The entry in an envelope's text. Signatures are not looked at: `govern verify` does that.

    IntegrityError if the envelope holds no entry.
    """
    entry = statement_in(envelope)["predicate"].get("entry")
    if not isinstance(entry, dict):
        raise IntegrityError("the statement of an envelope has no predicate.entry")
    return entry


def row_of(envelope: str) -> dict[str, Any]:
    """The entry's item in the ledger table; all but the envelope is there to be found by."""
    entry = entry_of(envelope)
    missing = [field for field in _ROW if field not in entry]
    if missing:
        raise IntegrityError(f"a signed entry has no {', '.join(missing)}")
    return {
        **{field: entry[field] for field in _ROW},
        **{
            attribute: index_key(entry[field], entry["sequence"])
            for attribute, field in INDEXES.items()
        },
        "digest": digest_of(payload_of(envelope)),
        "envelope": envelope,
    }


def index_key(value: str, sequence: int | None = None) -> str:
    """How an index of the ledger table sorts an entry; without a sequence, how all of them start.

    Neither kinds nor ARNs of versions have a '#'.
    """
    return f"{value}#" if sequence is None else f"{value}#{sequence:09d}"


def entry_in(row: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of an item of the ledger table.

    IntegrityError if the item says anything else than its envelope does.
    """
    entry = entry_of(row.get("envelope", ""))
    if dict(row) != row_of(row["envelope"]):
        raise IntegrityError(
            f"the ledger's item {row.get('sequence')} of model {row.get('model')} differs from the "
            "entry that was signed; run `govern verify` for this model"
        )
    return entry


def archive_key(model: str, sequence: int, checkpoint: bool = False) -> str:
    """Where the archive has an entry, or the checkpoint that was made with it."""
    folder = "checkpoints" if checkpoint else "entries"
    return f"{folder}/model={model}/{sequence:09d}.json"


def _standard_fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the standard of the predicate type asks for; nothing for our own types."""
    kind = predicate_type(entry)
    if kind == VERIFICATION_SUMMARY:
        verdict = entry["verdict"]
        return {
            "verifier": {"id": f"{GATE}/{verdict['stage']}"},
            "timeVerified": entry["recorded_at"],
            "resourceUri": entry["model_package_arn"],
            "policy": _policy(verdict),
            "verificationResult": "PASSED" if verdict["allowed"] else "FAILED",
            "verifiedLevels": [],
        }
    if kind == TEST_RESULT:
        passed = entry["kind"] == "ValidationPassed"
        succeeded, failed = suites.outcomes(entry.get("summary") or {}, passed)
        verdict = entry.get("verdict") or {}
        return {
            "result": "PASSED" if passed else "FAILED",
            "configuration": [{"name": "policy", **_policy(verdict)}]
            if "policy_digest" in verdict
            else [],
            "passedTests": succeeded,
            "failedTests": failed,
        }
    return {}


def _policy(verdict: Mapping[str, Any]) -> dict[str, Any]:
    return {"digest": {"sha256": verdict["policy_digest"]}}


def _algorithm(artifact: Mapping[str, Any]) -> str:
    if locations.is_prefix(artifact):
        return "s3PrefixSha256"
    return "s3CompositeSha256" if locations.is_in_parts(artifact) else "sha256"


def _subject(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest}}
