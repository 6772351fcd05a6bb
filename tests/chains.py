"""Genuine chains for tests and benchmarks: real entries, signed with a key that is made here."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.dsse import Envelope

from governance.domain import attestations, ledger
from tests.contracts import events, samples

# One version's way to Prod, as the examples of our events tell it.
STORY = tuple(
    f"governed-path-{name}"
    for name in (
        "candidate-promoted.complete",
        "validation-started.complete",
        "validation-passed.complete",
        "version-rejected.by-ai-engineer",
        "release-started.complete",
        "candidate-released.complete",
    )
)


@dataclass(frozen=True)
class Signer:
    """A P-256 key that signs as the ledger's KMS key does."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @cached_property
    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @cached_property
    def keyid(self) -> str:
        return attestations.key_id(
            self.private.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def envelope(self, payload: bytes, keyid: str | None = None) -> bytes:
        """The payload, signed; `keyid` is the name of the key that the envelope claims."""
        encoded = Envelope(payload, attestations.PAYLOAD_TYPE, {}).pae()
        signature = self.private.sign(encoded, ec.ECDSA(hashes.SHA256()))
        return enveloped(payload, signature, keyid or self.keyid)


@dataclass(frozen=True)
class Chain:
    """What a model's ledger holds. `statements` are what was signed."""

    model: str
    statements: tuple[dict[str, Any], ...]
    envelopes: tuple[bytes, ...]
    checkpoint: bytes


def enveloped(payload: bytes, signature: bytes, keyid: str) -> bytes:
    """An envelope's canonical text."""
    return attestations.envelope_text(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": attestations.PAYLOAD_TYPE,
            "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
        }
    ).encode()


def story(count: int, model: str = samples.MODEL) -> list[dict[str, Any]]:
    """`count` entries of a model, none like another, without their place in the chain."""
    details = [events.example(name)["detail"] for name in STORY]
    return [
        _own(details[number % len(details)], model, claim_id=f"{number:064x}")
        for number in range(count)
    ]


def _own(detail: Mapping[str, Any], model: str, claim_id: str) -> dict[str, Any]:
    """The entry as if another claim had caused it."""
    entry_id = ledger.entry_id(claim_id, detail["kind"], detail["model_package_arn"])
    return {**detail, "model": model, "claim_id": claim_id, "entry_id": entry_id}


def chained(
    signer: Signer,
    entries: Sequence[Mapping[str, Any]],
    artifacts: Sequence[Mapping[str, Any]] | None = None,
) -> Chain:
    """The entries of one model as the ledger would have written them."""
    artifacts = samples.origin_objects() if artifacts is None else artifacts
    previous, statements, envelopes = attestations.NO_PREVIOUS, [], []
    for sequence, entry in enumerate(entries, 1):
        linked = attestations.linked(entry, sequence, previous)
        known = artifacts if entry.get("candidate_id") else ()
        statements.append(attestations.statement_of(linked, known))
        payload = attestations.canonical(statements[-1])
        envelopes.append(signer.envelope(payload))
        previous = attestations.digest_of(payload)
    model = str(entries[0]["model"])
    return Chain(
        model,
        tuple(statements),
        tuple(envelopes),
        checkpoint(signer, model, len(entries), previous),
    )


def chain(signer: Signer, count: int, model: str = samples.MODEL) -> Chain:
    """A genuine chain of `count` entries."""
    return chained(signer, story(count, model))


def checkpoint(signer: Signer, model: str, entries: int, digest: str) -> bytes:
    """A signed checkpoint."""
    statement = attestations.checkpoint_of(model, entries, digest, "2026-11-21T08:00:00Z")
    return signer.envelope(attestations.canonical(statement))
