"""Signatures of the ledger: DSSE envelopes, signed with a key that never leaves KMS.

securesystemslib makes the envelope and asks KMS; only the digest of what is signed goes there.
The libraries are imported on first use: most functions never sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.adapters import errors, sessions
from governance.domain import attestations
from governance.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from securesystemslib.signer import AWSSigner

_SCHEME = "ecdsa-sha2-nistp256"


class Signed(NamedTuple):
    """An envelope as it is stored, and the digest of the statement in it."""

    envelope: str
    digest: str


class Signing:
    """One KMS key of type ECC_NIST_P256 for SIGN_VERIFY."""

    def __init__(self, key_arn: str) -> None:
        self._key_arn = key_arn

    def sign(self, statement: Mapping[str, Any]) -> Signed:
        """The statement in a signed envelope; InvalidInputError if it is no in-toto statement."""
        from securesystemslib.dsse import Envelope

        payload = attestations.canonical(statement)
        _check(statement)
        envelope = Envelope(payload, attestations.PAYLOAD_TYPE, {})
        with errors.translated(f"sign with {self._key_arn}"):
            envelope.sign(_signer(self._key_arn))
        return Signed(
            attestations.envelope_text(envelope.to_dict()), attestations.digest_of(payload)
        )


def _check(statement: Mapping[str, Any]) -> None:
    """As in-toto's own library sees it; what is signed once can never be corrected."""
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    try:
        message = json_format.ParseDict(dict(statement), statement_pb2.Statement())
        Statement.copy_from_pb(message).validate()
    except (json_format.ParseError, ValueError) as error:
        raise InvalidInputError(f"not an in-toto statement, nothing is signed: {error}") from error


@cache
def _signer(key_arn: str) -> AWSSigner:
    """The library's signer, with our client and with our key id; made once per process."""
    from cryptography.hazmat.primitives import serialization
    from securesystemslib.signer import AWSSigner, SSlibKey

    kms: KMSClient = sessions.own_client("kms")
    der = kms.get_public_key(KeyId=key_arn)["PublicKey"]
    pem = serialization.load_der_public_key(der).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key = SSlibKey(attestations.key_id(der), "ecdsa", _SCHEME, {"public": pem.decode()})
    signer = AWSSigner(key_arn, key)
    # Its own client knows neither our retries nor our session.
    signer.client = kms
    return signer
