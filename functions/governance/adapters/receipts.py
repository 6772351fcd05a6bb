"""Receipts: what S3 answered when it copied the objects of a candidate, kept as evidence.

The answer to a copy names the version it made, the key that encrypts it and the SHA-256 that S3
computed of it. A version never changes, so as long as it is the present one, nobody has to look at
the object again: one list of versions takes the place of a look at each of a thousand objects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from governance.adapters import parallel
from governance.adapters.artifacts import LARGEST_LISTING, Artifacts
from governance.domain import locations
from governance.settings import Settings

Known = Mapping[tuple[str, str], Mapping[str, Any]]

# Of fewer objects, looking at each takes less than writing, listing and reading a receipt.
WORTH = 50


class Receipts:
    """The receipts of one candidate: listings under `receipts/` of the evidence bucket.

    Those of copies under another key are none: what was copied under it is not what must be there.
    """

    def __init__(self, bucket: str, model: str, candidate_id: str, kms_key: str) -> None:
        self._bucket, self._kms_key = bucket, kms_key
        of_key = hashlib.sha256(kms_key.encode()).hexdigest()[:16]
        self._prefix = f"receipts/{model}/{candidate_id}/{of_key}/"
        self._evidence = Artifacts()

    @classmethod
    def of_candidate(cls, settings: Settings, model: str, candidate_id: str) -> Receipts:
        """The receipts of a candidate, where the settings say."""
        return cls(settings.evidence_bucket, model, candidate_id, settings.kms_key_arn)

    def keep(self, copied: Iterable[Mapping[str, Any]]) -> None:
        """Keep what a batch has copied, if a receipt is worth it."""
        copied = list(copied)
        if len(copied) < WORTH:
            return
        body = locations.listing(copied)
        key = f"{self._prefix}{hashlib.sha256(body).hexdigest()}.jsonl"
        self._evidence.store_once(self._bucket, key, body, self._kms_key)

    def of(self, transfers: int) -> Known:
        """{(key, version id): location} of what has arrived by copies; of few transfers nothing.

        IntegrityError if a receipt is not the one that was written.
        """
        if transfers < WORTH:
            return {}
        keys = [key for key, _ in self._evidence.sizes_under(self._bucket, self._prefix)]
        documents = parallel.each(self._read, keys)
        return {
            (one["key"], one["version_id"]): one
            for document in documents
            for one in locations.listed(document)
        }

    def _read(self, key: str) -> bytes:
        digest = key.rpartition("/")[2].partition(".")[0]
        named = {"bucket": self._bucket, "key": key, "sha256": digest}
        return self._evidence.read(named, LARGEST_LISTING)
