"""The policy that a gate asks under: Cedar's text and schema, and the tier's numbers and lists."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

PARTS = ("cedar", "schema", "tier")


@dataclass(frozen=True, slots=True)
class Policy:
    """`tier` is a tier policy; `digests` {cedar, schema, tier} are the SHA-256 of the files."""

    cedar: str
    schema: str
    tier: Mapping[str, Any]
    digests: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) that stands for all parts together."""
        return combined(self.digests)


def combined(digests: Mapping[str, str]) -> str:
    """SHA-256 (hex) of the RFC 8785 form of {cedar, schema, tier}: the digest of a policy."""
    return hashlib.sha256(rfc8785.dumps({part: digests[part] for part in PARTS})).hexdigest()


def digests_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """{cedar, schema, tier}: the SHA-256 (hex) of each file's bytes."""
    return {part: hashlib.sha256(files[part]).hexdigest() for part in PARTS}
