"""Test reports: what the ledger names by digest, read as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.adapters.artifacts import Artifacts, parse_uri

_LARGEST = 8 * 1024**2  # bytes


def read(reference: Mapping[str, Any]) -> Mapping[str, Any]:
    """The report that a reference {uri, version_id, sha256} names.

    IntegrityError if its digest is another one.
    """
    bucket, key = parse_uri(reference["uri"])
    location = {"bucket": bucket, "key": key}
    location |= {part: reference[part] for part in ("version_id", "sha256")}
    found: Mapping[str, Any] = Artifacts().read_json(location, _LARGEST)
    return found
