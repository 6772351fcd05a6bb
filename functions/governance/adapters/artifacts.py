"""Objects in S3: locate one or all under a prefix, read small ones, store evidence.

What a location is, domain/locations.py says. Digests are S3's own: an object uploaded or copied
with SHA-256 as its checksum algorithm carries the digest, and S3 verifies it. The bytes of an
artefact never pass through a function.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from governance.adapters import errors, parallel, sessions
from governance.domain import locations
from governance.domain.errors import IntegrityError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LARGEST_REPORT = 1024**2  # bytes; what we read of a report, a policy or a manifest
LARGEST_LISTING = 64 * 1024**2  # bytes; of the objects of one prefix, some 200,000
_CHUNK = 1024**2  # bytes


class Artifacts:
    """S3 as the session's role sees it; without a session, as the function's own role does.

    With a `kms_key`, an object is located only if it is encrypted with that key.
    """

    def __init__(self, session: boto3.Session | None = None, kms_key: str = "") -> None:
        self._s3: S3Client = (
            sessions.own_client("s3") if session is None else sessions.client(session, "s3")
        )
        self._kms_key = kms_key

    def locate(
        self, bucket: str, key: str, version_id: str | None = None, declared_sha256: str = ""
    ) -> dict[str, Any]:
        """The location of an object, of its present version if none is named.

        The digest is the one that S3 verified when the object was written. What was only declared
        could be found wrong no earlier than in the copy, when other objects are in Central already.

        NotFoundError if it does not exist; InvalidInputError if it is empty, not versioned, or
        without a digest; the message names `declared_sha256`, which nothing proves then.
        IntegrityError if it is not encrypted as it must be.
        """
        found = self._locate(bucket, key, version_id, declared_sha256)
        if not found["size"]:
            raise InvalidInputError(
                f"{_name(bucket, key, version_id)} is empty; upload it again and register a new "
                "version"
            )
        return found

    def locate_under(
        self,
        bucket: str,
        prefix: str,
        known: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
    ) -> list[dict[str, Any]]:
        """The locations of the present objects under a prefix that ends with "/", by key.

        An object may be empty here, as files of a model are; a folder that a console made is none.
        What is in a version that is `known` {(key, version id): location} is not looked at again.
        Raises what `locate` raises, NotFoundError if nothing is there.
        """
        keys: dict[str, str] = (
            self.versions_under(bucket, prefix)
            if known
            else {
                key: ""
                for key, size in self.sizes_under(bucket, prefix)
                if size or not key.endswith("/")
            }
        )
        if not keys:
            raise NotFoundError(
                f"nothing is under {_name(bucket, prefix)}; upload the objects, or register a "
                "version that names what is there"
            )
        found = {key: (known or {}).get((key, version)) for key, version in keys.items()}
        unknown = [key for key in keys if not found[key]]
        looked_at = dict(
            zip(unknown, parallel.each(lambda key: self._locate(bucket, key), unknown), strict=True)
        )
        return [dict(found[key] or looked_at[key]) for key in sorted(keys)]

    def locate_each(self, places: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
        """The locations of these present objects (bucket, key), which may be empty.

        Raises what `locate` raises.
        """
        return parallel.each(lambda place: self._locate(*place), places)

    def sizes_under(self, bucket: str, prefix: str) -> list[tuple[str, int]]:
        """(key, size in bytes) of the present objects under a prefix, by key."""
        with errors.translated(f"list {_name(bucket, prefix)}"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return [
                (one["Key"], int(one["Size"])) for page in pages for one in page.get("Contents", [])
            ]

    def require_present(
        self, location: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]
    ) -> None:
        """IntegrityError unless each object of a location is the present version, and all there is.

        `objects` is what the location expands to. NotFoundError if one was deleted.
        """
        bucket, key = location["bucket"], location["key"]
        if not locations.is_prefix(location):
            present = {key: str(self._head(bucket, key, None).get("VersionId"))}
        elif locations.is_selection(location):
            # All in one bucket, not always the manifest file's. What else is there is not meant.
            bucket, keys = objects[0]["bucket"], [one["key"] for one in objects]
            found = parallel.each(lambda key: self.present_version(bucket, key), keys)
            present = {key: there for key, there in zip(keys, found, strict=True) if there}
        else:
            present = self.versions_under(bucket, key)
        expected = {one["key"]: one["version_id"] for one in objects}
        for key in sorted(expected.keys() | present.keys()):
            now, then = present.get(key), expected.get(key)
            if now == then:
                continue
            name = _name(bucket, key)
            if now is None:
                raise NotFoundError(
                    f"{name} was deleted while it was copied; register a new version"
                )
            raise IntegrityError(
                f"{name} is version {now} by now; approved was "
                f"{f'version {then}' if then else 'a prefix without it'}: it was written while the "
                "version was copied; register a new version and approve that"
            )

    def present_version(self, bucket: str, key: str) -> str | None:
        """The version id of the present object; None if it was deleted or never was there."""
        try:
            return str(self._s3.head_object(Bucket=bucket, Key=key).get("VersionId"))
        except ClientError as error:
            if errors.is_absent(error):
                return None
            raise errors.translate(error, f"look at {_name(bucket, key)}") from error

    def versions_under(self, bucket: str, prefix: str) -> dict[str, str]:
        """{key: version id} of the present objects under a prefix."""
        with errors.translated(f"list the versions of {_name(bucket, prefix)}"):
            pages = self._s3.get_paginator("list_object_versions").paginate(
                Bucket=bucket, Prefix=prefix
            )
            return {
                one["Key"]: one["VersionId"]
                for page in pages
                for one in page.get("Versions", [])
                if one["IsLatest"] and (one["Size"] or not one["Key"].endswith("/"))
            }

    def part_sizes(self, location: Mapping[str, Any]) -> list[list[int]]:
        """The sizes of the parts that an object was uploaded in, as [[count, bytes], ...].

        InvalidInputError if S3 does not know them any more.
        """
        bucket, key, version_id = location["bucket"], location["key"], location["version_id"]
        sizes: list[int] = []
        marker: dict[str, Any] = {}
        while True:
            with errors.translated(f"look at the parts of {_name(bucket, key, version_id)}"):
                answer = self._s3.get_object_attributes(
                    Bucket=bucket,
                    Key=key,
                    VersionId=version_id,
                    ObjectAttributes=["ObjectParts"],
                    MaxParts=1000,
                    **marker,
                )
            parts = answer.get("ObjectParts", {})
            sizes += [int(part["Size"]) for part in parts.get("Parts", [])]
            if not parts.get("IsTruncated"):
                break
            marker = {"PartNumberMarker": parts["NextPartNumberMarker"]}
        if sum(sizes) != location["size"]:
            raise InvalidInputError(
                f"{_name(bucket, key, version_id)} has {location['size']} bytes, its parts "
                f"{sum(sizes)}; upload it again with checksum algorithm SHA256"
            )
        return locations.run_lengths(sizes)

    def expand(self, location: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The location of every single object of a location: itself, or what its listing names.

        IntegrityError if the listing is not the one that was written with the location.
        """
        if not locations.is_prefix(location):
            return iter([{key: value for key, value in location.items() if key != "role"}])
        bucket, key = parse_uri(location["listing_uri"])
        digest = key.rpartition("/")[2].partition(".")[0]
        listing = {"bucket": bucket, "key": key, "sha256": digest}
        return locations.listed(self.read(listing, LARGEST_LISTING))

    def find(self, bucket: str, key: str) -> dict[str, Any] | None:
        """The location of the present version, or None if it has no digest or there is none.

        None too if it is encrypted with another key than it must be.
        """
        try:
            head = self._s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if errors.is_absent(error):
                return None
            raise errors.translate(error, f"look at {_name(bucket, key)}") from error
        if not head.get("ChecksumSHA256"):
            return None
        if self._kms_key and head.get("SSEKMSKeyId") != self._kms_key:
            return None
        return _location(bucket, key, head, _stored_digest(head, _name(bucket, key)))

    def read(self, location: Mapping[str, Any], limit: int = LARGEST_REPORT) -> bytes:
        """The bytes of a small object, verified against the location's `sha256` if it has one.

        InvalidInputError if it is larger than `limit` bytes, IntegrityError if the digest differs.
        """
        with self.open(location, limit) as body:
            return body.read()

    def open(self, location: Mapping[str, Any], limit: int) -> io.BufferedReader:
        """The same as a file, of which nobody has to keep more than he needs.

        Raises what `read` does; IntegrityError at the end of the file: until then nothing proves
        what was read, so nothing may be done with it.
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
        return io.BufferedReader(_Verified(answer["Body"], location, name), _CHUNK)

    def read_json(self, location: Mapping[str, Any], limit: int = LARGEST_REPORT) -> Any:
        """The JSON value in a small object; InvalidInputError if it is not JSON."""
        body = self.read(location, limit)
        try:
            return json.loads(body)
        except ValueError as error:
            name = _name(location["bucket"], location["key"], location.get("version_id"))
            raise InvalidInputError(f"{name} is not JSON: {error}") from error

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
            answer = self._put(bucket, key, body, kms_key, content_type)
        head = {"VersionId": answer.get("VersionId"), "ContentLength": len(body)}
        return _location(bucket, key, head, digest.hexdigest())

    def store_once(self, bucket: str, key: str, body: bytes, kms_key: str) -> dict[str, Any]:
        """Write a small document where nothing is yet; its location.

        What is there already with these bytes is left alone, with others it is an IntegrityError:
        not even a new version is written over it.
        """
        digest = hashlib.sha256(body).hexdigest()
        try:
            answer = self._put(bucket, key, body, kms_key, "application/json", IfNoneMatch="*")
        except ClientError as error:
            if errors.code_of(error) != "PreconditionFailed":
                raise errors.translate(error, f"write {_name(bucket, key)}") from error
            there = self._locate(bucket, key)
            if there["sha256"] != digest:
                raise IntegrityError(
                    f"{_name(bucket, key)} is there with sha256 {there['sha256']}, not {digest}; "
                    "nobody may write there but under the digest: find out who did"
                ) from error
            return there
        head = {"VersionId": answer.get("VersionId"), "ContentLength": len(body)}
        return _location(bucket, key, head, digest)

    def _put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        kms_key: str,
        content_type: str,
        **conditions: Any,
    ) -> dict[str, Any]:
        return dict(
            self._s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode(),
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=kms_key,
                BucketKeyEnabled=True,
                **conditions,
            )
        )

    def _head(self, bucket: str, key: str, version_id: str | None) -> dict[str, Any]:
        version: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        with errors.translated(
            f"look at {_name(bucket, key, version_id)}",
            "it must exist, and its bucket and key policies must let this role read it",
        ):
            return dict(
                self._s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **version)
            )

    def _locate(
        self, bucket: str, key: str, version_id: str | None = None, declared_sha256: str = ""
    ) -> dict[str, Any]:
        head = self._head(bucket, key, version_id)
        name = _name(bucket, key, version_id)
        if head.get("VersionId", "null") == "null":
            raise InvalidInputError(
                f"{name} has no version id; turn on versioning of the bucket and upload it again"
            )
        if self._kms_key and head.get("SSEKMSKeyId") != self._kms_key:
            raise IntegrityError(
                f"{name} is encrypted with {head.get('SSEKMSKeyId')}, expected {self._kms_key}; "
                "it was not written by the copy"
            )
        return _location(bucket, key, head, _stored_digest(head, name, declared_sha256))


class _Verified(io.RawIOBase):
    """What S3 answers, held against the location's `sha256`, if it has one, when it has ended."""

    def __init__(self, body: Any, location: Mapping[str, Any], name: str) -> None:
        self._body, self._name = body, name
        self._expected = location.get("sha256") or None
        self._digest = locations.Digest(location) if self._expected else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._take(len(buffer))
        buffer[: len(chunk)] = chunk
        if not chunk:
            self._verify()
        return len(chunk)

    def readall(self) -> bytes:
        body = self._take(None)
        self._verify()
        return body

    def _take(self, most: int | None) -> bytes:
        with errors.translated(f"read {self._name}"):
            chunk: bytes = self._body.read(most)
        if self._digest is not None:
            self._digest.update(chunk)
        return chunk

    def _verify(self) -> None:
        found = self._digest.hexdigest() if self._digest is not None else None
        if found != self._expected:
            raise IntegrityError(
                f"{self._name} has sha256 {found}, recorded is {self._expected}; "
                "the object was replaced after it was recorded"
            )

    def close(self) -> None:
        self._body.close()
        super().close()


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
    bucket, key = parse_any_uri(uri)
    if key.endswith("/"):
        raise InvalidInputError(f"{uri!r} is not the URI of an object (s3://bucket/key)")
    return bucket, key


def parse_any_uri(uri: str) -> tuple[str, str]:
    """(bucket, key) of the s3:// URI of an object or, ending with "/", of a prefix."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
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


def _stored_digest(head: Mapping[str, Any], name: str, declared: str = "") -> str:
    """The digest that S3 itself computed; what was only declared proves nothing before a copy."""
    checksum, _, parts = str(head.get("ChecksumSHA256") or "").partition("-")
    if not checksum:
        raise InvalidInputError(
            f"{name} carries no SHA-256 of its bytes, so nothing proves the declared one "
            f"({declared or 'none'}); upload it again with checksum algorithm SHA256"
        )
    return _hex(checksum) + (f"-{parts}" if parts else "")


def _hex(checksum: str) -> str:
    try:
        return base64.b64decode(checksum, validate=True).hex()
    except binascii.Error as error:
        raise IntegrityError(f"S3 returned {checksum!r} as a SHA-256 checksum") from error
