"""Objects in S3: locate, read small ones, copy any up to 5 GiB, store evidence.

A location is {bucket, key, version_id, size (bytes), sha256 (hex)}; it names bytes, not a place.
Digests are S3's own: an object uploaded or copied with SHA-256 as its checksum algorithm carries
the digest, and S3 verifies it. The bytes of an artefact never pass through a function.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import boto3
from botocore.exceptions import ClientError

from governance.adapters import errors, sessions
from governance.domain.errors import IntegrityError, InvalidInputError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LARGEST_COPY = 5 * 1024**3  # bytes; CopyObject's limit
LARGEST_REPORT = 1024**2  # bytes; what we read of a report, a policy or a manifest


class Artifacts:
    """S3 as the session's role sees it; without a session, as the function's own role does."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        self._s3: S3Client = (
            sessions.own_client("s3") if session is None else sessions.client(session, "s3")
        )

    def locate(
        self, bucket: str, key: str, version_id: str | None = None, declared_sha256: str = ""
    ) -> dict[str, Any]:
        """The location of an object, of its present version if none is named.

        The digest is the one that S3 verified when the object was written. What was only declared
        could be found wrong no earlier than in the copy, when other objects are in Central already.

        NotFoundError if it does not exist; InvalidInputError if it is empty, not versioned, or
        without a digest; the message names `declared_sha256`, which nothing proves then.
        """
        head = self._head(bucket, key, version_id)
        name = _name(bucket, key, version_id)
        if not head["ContentLength"]:
            raise InvalidInputError(f"{name} is empty; upload it again and register a new version")
        if head.get("VersionId", "null") == "null":
            raise InvalidInputError(
                f"{name} has no version id; turn on versioning of the bucket and upload it again"
            )
        return {
            "bucket": bucket,
            "key": key,
            "version_id": head["VersionId"],
            "size": int(head["ContentLength"]),
            "sha256": _stored_digest(head, name, declared_sha256),
        }

    def find(self, bucket: str, key: str) -> dict[str, Any] | None:
        """The location of the present version, or None if there is none or it has no digest."""
        try:
            head = self._s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if errors.is_absent(error):
                return None
            raise errors.translate(error, f"look at {_name(bucket, key)}") from error
        checksum = head.get("ChecksumSHA256", "")
        if not checksum or "-" in checksum:
            return None
        return _location(bucket, key, dict(head), _hex(checksum))

    def read(self, location: Mapping[str, Any], limit: int = LARGEST_REPORT) -> bytes:
        """The bytes of a small object, verified against the location's `sha256` if it has one.

        InvalidInputError if it is larger than `limit` bytes, IntegrityError if the digest differs.
        """
        bucket, key, version_id = location["bucket"], location["key"], location.get("version_id")
        name = _name(bucket, key, version_id)
        version: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        with errors.translated(f"read {name}"):
            answer = self._s3.get_object(Bucket=bucket, Key=key, **version)
            if answer["ContentLength"] > limit:
                raise InvalidInputError(
                    f"{name} has {answer['ContentLength']} bytes; at most {limit} are read"
                )
            body = answer["Body"].read()
        found, expected = hashlib.sha256(body).hexdigest(), location.get("sha256")
        if expected and found != expected:
            raise IntegrityError(
                f"{name} has sha256 {found}, recorded is {expected}; "
                "the object was replaced after it was recorded"
            )
        return bytes(body)

    def read_json(self, location: Mapping[str, Any], limit: int = LARGEST_REPORT) -> Any:
        """The JSON value in a small object; InvalidInputError if it is not JSON."""
        body = self.read(location, limit)
        try:
            return json.loads(body)
        except ValueError as error:
            name = _name(location["bucket"], location["key"], location.get("version_id"))
            raise InvalidInputError(f"{name} is not JSON: {error}") from error

    def expand(self, location: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Every single object of a location."""
        yield location

    def copy(
        self,
        source: Mapping[str, Any],
        bucket: str,
        key: str,
        kms_key: str,
        tags: Mapping[str, str],
    ) -> dict[str, Any]:
        """Copy the source location's exact version to bucket/key; returns the new location.

        S3 copies, encrypts with `kms_key` and computes the digest of what arrived. What is there
        already with the same digest is not copied again. IntegrityError if size or digest differ
        from the source location's, NotFoundError if the source is gone, InvalidInputError if it
        is empty or too large for one copy.
        """
        there = self.find(bucket, key)
        if there is not None and _same_bytes(there, source):
            return there
        self._check_copyable(source)
        origin = _name(source["bucket"], source["key"], source["version_id"])
        with errors.translated(f"copy {origin} to {_name(bucket, key)}"):
            self._s3.copy_object(
                CopySource={
                    "Bucket": source["bucket"],
                    "Key": source["key"],
                    "VersionId": source["version_id"],
                },
                Bucket=bucket,
                Key=key,
                ChecksumAlgorithm="SHA256",
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=kms_key,
                BucketKeyEnabled=True,
                TaggingDirective="REPLACE",
                Tagging=urlencode(tags),
            )
        arrived = self.locate(bucket, key)
        if not _same_bytes(arrived, source):
            raise IntegrityError(
                f"the copy of {origin} has sha256 {arrived['sha256']} and {arrived['size']} bytes; "
                f"registered are {source['sha256']} and {source['size']}; "
                "the object is not the one that was registered: register a new version"
            )
        return arrived

    def store(
        self,
        bucket: str,
        key: str,
        body: bytes,
        kms_key: str,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """Write a small document unless it is there already with these bytes; its location."""
        digest = hashlib.sha256(body)
        there = self.find(bucket, key)
        if there is not None and there["sha256"] == digest.hexdigest():
            return there
        with errors.translated(f"write {_name(bucket, key)}"):
            answer = self._s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=kms_key,
                BucketKeyEnabled=True,
            )
        head = {"VersionId": answer.get("VersionId"), "ContentLength": len(body)}
        return _location(bucket, key, head, digest.hexdigest())

    def _head(self, bucket: str, key: str, version_id: str | None) -> dict[str, Any]:
        version: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        with errors.translated(
            f"look at {_name(bucket, key, version_id)}",
            "it must exist, and its bucket and key policies must let this role read it",
        ):
            return dict(
                self._s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **version)
            )

    def _check_copyable(self, source: Mapping[str, Any]) -> None:
        bucket, key, version_id = source["bucket"], source["key"], source["version_id"]
        size = int(self._head(bucket, key, version_id)["ContentLength"])
        name = _name(bucket, key, version_id)
        if not size:
            raise InvalidInputError(f"{name} is empty; upload it again and register a new version")
        if size > LARGEST_COPY:
            raise InvalidInputError(
                f"{name} has {size} bytes; one server-side copy takes at most {LARGEST_COPY}: "
                "split the model data or compress it"
            )


def of_role(objects: Sequence[Mapping[str, Any]], role: str) -> Mapping[str, Any]:
    """The location of a candidate's object by its role; InvalidInputError if it has none."""
    for location in objects:
        if location["role"] == role:
            return location
    raise InvalidInputError(
        f"the candidate has no {role}; its roles are "
        f"{', '.join(sorted(str(location['role']) for location in objects))}: register a version "
        "that has one"
    )


def parse_uri(uri: str) -> tuple[str, str]:
    """(bucket, key) of an s3:// URI; InvalidInputError if it is not the URI of an object."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key or key.endswith("/"):
        raise InvalidInputError(f"{uri!r} is not the URI of an object (s3://bucket/key)")
    return bucket, key


def uri_of(location: Mapping[str, Any]) -> str:
    """The s3:// URI of a location, without its version."""
    return f"s3://{location['bucket']}/{location['key']}"


def _name(bucket: str, key: str, version_id: str | None = None) -> str:
    return f"s3://{bucket}/{key}" + (f" version {version_id}" if version_id else "")


def _location(bucket: str, key: str, head: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "key": key,
        "version_id": str(head.get("VersionId") or "null"),
        "size": int(head["ContentLength"]),
        "sha256": sha256,
    }


def _same_bytes(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (one["sha256"], one["size"]) == (other["sha256"], other["size"])


def _stored_digest(head: Mapping[str, Any], name: str, declared: str) -> str:
    """The digest that S3 itself computed; what was only declared proves nothing before a copy."""
    checksum = str(head.get("ChecksumSHA256") or "")
    if "-" in checksum:
        raise InvalidInputError(
            f"{name} was uploaded in parts, so its checksum {checksum} is not the digest of the "
            "whole object; upload it again in one part with checksum algorithm SHA256"
        )
    if not checksum:
        raise InvalidInputError(
            f"{name} carries no SHA-256 of its bytes, so nothing proves the declared one "
            f"({declared or 'none'}); upload it again with checksum algorithm SHA256"
        )
    return _hex(checksum)


def _hex(checksum: str) -> str:
    try:
        return base64.b64decode(checksum, validate=True).hex()
    except binascii.Error as error:
        raise IntegrityError(f"S3 returned {checksum!r} as a SHA-256 checksum") from error
