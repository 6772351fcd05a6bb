"""S3: every object is uploaded with its SHA-256, under a key that contains it, and never replaced.

A key that names its content keeps what a registered version refers to unchanged for ever, and
makes a second run reuse the first one's dataset and holdout.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from pipeline.errors import PipelineError


@dataclass(frozen=True)
class StoredObject:
    """One version of one S3 object: uri, version id, sha256 (hex) and size (bytes)."""

    uri: str
    version_id: str
    sha256: str
    size: int

    def as_dict(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return asdict(self)


class Store:
    """A versioned bucket. `kms_key` encrypts the objects; without it the bucket's default does."""

    def __init__(self, s3: Any, bucket: str, kms_key: str = "") -> None:
        self._s3 = s3
        self._bucket = bucket
        self._encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        )

    def put(self, prefix: str, name: str, body: bytes, content_type: str) -> StoredObject:
        """Store the bytes at <prefix>/<sha256>/<name>; what is there already is not sent again.

        PipelineError if the bucket is not versioned or S3 does not report what was sent.
        """
        sha256 = hashlib.sha256(body).hexdigest()
        key = f"{prefix}/{sha256}/{name}"
        return self._find(key, sha256) or self._send(key, body, sha256, content_type)

    def _send(self, key: str, body: bytes, sha256: str, content_type: str) -> StoredObject:
        try:
            answer = self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                # S3 refuses the object if what arrived has another digest, and keeps the digest.
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
                **self._encryption,
            )
        except ClientError as error:
            raise PipelineError(f"cannot store s3://{self._bucket}/{key}: {error}") from error
        version_id = answer.get("VersionId", "")
        if version_id in ("", "null"):
            raise PipelineError(
                f"bucket {self._bucket} gave no version id for {key}; turn on its versioning"
            )
        stored = self._find(key, sha256, version_id)
        if stored is None:
            raise PipelineError(
                f"s3://{self._bucket}/{key} version {version_id} has no or another SHA-256 than "
                f"the {sha256} that was sent"
            )
        return stored

    def _find(self, key: str, sha256: str, version_id: str = "") -> StoredObject | None:
        """That version, or the present one, if it has this digest; None if not."""
        version = {"VersionId": version_id} if version_id else {}
        uri = f"s3://{self._bucket}/{key}"
        try:
            head = self._s3.head_object(
                Bucket=self._bucket, Key=key, ChecksumMode="ENABLED", **version
            )
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                return None
            raise PipelineError(
                f"cannot look at {uri}: {error}; the pipeline's role needs s3:GetObject and "
                "s3:GetObjectVersion on the bucket's objects and s3:ListBucket on the bucket"
            ) from error
        digest = base64.b64decode(head.get("ChecksumSHA256", "")).hex()
        found = head.get("VersionId", "null")
        # Where somebody else wrote, a new version with the right bytes is what we refer to.
        if digest != sha256 or found == "null":
            return None
        return StoredObject(uri, found, sha256, head["ContentLength"])
