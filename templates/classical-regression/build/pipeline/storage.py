"""S3: every object is uploaded with its SHA-256, under a key that contains it, and never replaced.

A key that names its content keeps what a registered version refers to unchanged for ever, and
makes a second run reuse the first one's dataset and holdout.

Who copies the model onwards copies it as it was uploaded: one request's object whole, one in parts
part by part, side by side. So what is large goes in parts.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from pipeline.errors import PipelineError

_SMALLEST_PART, _MOST_PARTS = 64 * 1024**2, 10_000


@dataclass(frozen=True)
class StoredObject:
    """One version of one S3 object: uri, version id, sha256 (hex) and size (bytes).

    Of an object in parts S3 has the SHA-256 of the parts' SHA-256, "<hex>-<parts>".
    """

    uri: str
    version_id: str
    sha256: str
    size: int

    def as_dict(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return asdict(self)


def part_size(size: int) -> int:
    """In which parts (bytes) an object of this size is uploaded: 64 MiB, more beyond 10,000."""
    part = _SMALLEST_PART
    while part * _MOST_PARTS < size:
        part *= 2
    return part


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

    def put_in_parts(self, prefix: str, name: str, body: bytes, content_type: str) -> StoredObject:
        """As `put`, in parts if it is more than one.

        What a failed upload leaves is ended by the bucket's lifecycle rule.
        """
        size = part_size(len(body))
        if len(body) <= size:
            return self.put(prefix, name, body, content_type)
        starts = range(0, len(body), size)
        digests = [hashlib.sha256(memoryview(body)[at : at + size]).digest() for at in starts]
        composite = f"{hashlib.sha256(b''.join(digests)).hexdigest()}-{len(digests)}"
        key = f"{prefix}/{hashlib.sha256(body).hexdigest()}/{name}"
        found = self._find(key, composite)
        if found:
            return found
        parts = [
            {"number": number, "from": at, "to": at + size, "digest": digest}
            for number, (at, digest) in enumerate(zip(starts, digests, strict=True), 1)
        ]
        return self._send_parts(key, body, parts, composite, content_type)

    def _send_parts(
        self,
        key: str,
        body: bytes,
        parts: Sequence[Mapping[str, Any]],
        sha256: str,
        content_type: str,
    ) -> StoredObject:
        place = {"Bucket": self._bucket, "Key": key}
        try:
            upload = self._s3.create_multipart_upload(
                **place,
                ContentType=content_type,
                ChecksumAlgorithm="SHA256",
                **self._encryption,
            )["UploadId"]
            sent = []
            for part in parts:
                checksum = base64.b64encode(part["digest"]).decode()
                answer = self._s3.upload_part(
                    **place,
                    UploadId=upload,
                    PartNumber=part["number"],
                    Body=body[part["from"] : part["to"]],
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=checksum,
                )
                told = {"ETag": answer["ETag"], "ChecksumSHA256": checksum}
                sent.append({"PartNumber": part["number"], **told})
            answer = self._s3.complete_multipart_upload(
                **place, UploadId=upload, MultipartUpload={"Parts": sent}
            )
        except ClientError as error:
            raise PipelineError(f"cannot store s3://{self._bucket}/{key}: {error}") from error
        return self._stored(key, sha256, answer.get("VersionId", ""))

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
        return self._stored(key, sha256, answer.get("VersionId", ""))

    def _stored(self, key: str, sha256: str, version_id: str) -> StoredObject:
        """What was sent, as S3 has it now."""
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
        checksum, _, count = head.get("ChecksumSHA256", "").partition("-")
        digest = base64.b64decode(checksum).hex() + (f"-{count}" if count else "")
        found = head.get("VersionId", "null")
        # Where somebody else wrote, a new version with the right bytes is what we refer to.
        if digest != sha256 or found == "null":
            return None
        return StoredObject(uri, found, sha256, head["ContentLength"])
