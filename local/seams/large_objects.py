"""Large objects: kept in files, not in memory.

The emulator keeps an object, the parts of an upload and every copy in memory, so a model of 8 GiB
would take 24. From `LARGE` on, bytes go to a file of the state directory that has no name any more:
it is gone with the object or with the server. What reads them finds bytes that are mapped.

The emulator also computes the MD5 of every part a second time when the object is made of them. S3
makes the object's ETag of its parts' ETags, and so does it here.
"""

from __future__ import annotations

import hashlib
import mmap
import tempfile
from collections.abc import Mapping
from functools import wraps
from typing import Any, NamedTuple, TypeGuard

from ministack.services import s3

from local.seams.assertions import require, require_attributes, require_parameters, require_source

LARGE = 16 * 1024**2  # bytes


def install() -> None:
    """Keep what S3 is given in files if it is large. Before `object_copies`, which adds to it."""
    seam, where = "large_objects", ("bucket_name", "key")
    require_parameters(seam, s3._put_object, *where, "body", "headers")
    require_parameters(seam, s3._upload_part, *where, "body", "query_params", "headers")
    require_parameters(
        seam, s3._upload_part_copy, "bucket_name", "dest_key", "query_params", "headers"
    )
    require_parameters(
        seam, s3._complete_multipart_upload, *where, "body", "query_params", "headers"
    )
    require_parameters(seam, s3._get_object, *where, "headers", "query_params")
    require_parameters(seam, s3._get_object_data, "bucket_name", "key", "version_id")
    require_attributes(seam, s3, "_multipart_uploads", "_object_versions", "_buckets", "_read_body")
    require_source(seam, s3._read_body, 'body = obj.get("body")', "return body")
    require_source(seam, s3._version_body, 'v.get("data") is not None', 'return v["data"]')
    require(not s3.S3_PERSIST, seam, "objects that are not persisted")
    require(s3.hashlib is hashlib, seam, "hashlib, called by that name")
    require_source(
        seam,
        s3._complete_multipart_upload,
        'hashlib.md5(stored["body"]).digest()',
    )
    s3._complete_multipart_upload = _with_known_digests(s3._complete_multipart_upload)
    for name in ("_put_object", "_complete_multipart_upload"):
        setattr(s3, name, _with_object_kept(getattr(s3, name)))
    for name in ("_upload_part", "_upload_part_copy"):
        setattr(s3, name, _with_parts_kept(getattr(s3, name)))
    s3._get_object = _with_bytes(s3._get_object)
    s3._get_object_data = _as_bytes(s3._get_object_data)


def _with_object_kept(write: Any) -> Any:
    @wraps(write)
    def wrapped(bucket_name: str, key: str, *rest: Any, **named: Any) -> Any:
        answer = write(bucket_name, key, *rest, **named)
        made = (s3._buckets.get(bucket_name) or {"objects": {}})["objects"].get(key) or {}
        body = made.get("body") if answer[0] == 200 else None
        if _is_large(body):
            made["body"] = _in_a_file(body)
            for version in s3._object_versions.get((bucket_name, key), []):
                if version.get("data") is body:
                    version["data"] = made["body"]
        return answer

    return wrapped


def _with_parts_kept(write: Any) -> Any:
    @wraps(write)
    def wrapped(bucket_name: str, key: str, *rest: Any) -> Any:
        answer = write(bucket_name, key, *rest)
        for part in _parts(*rest):
            if _is_large(part["body"]):
                part["body"] = _in_a_file(part["body"])
        return answer

    return wrapped


def _with_known_digests(complete: Any) -> Any:
    @wraps(complete)
    def wrapped(bucket_name: str, key: str, *rest: Any) -> Any:
        # Nobody else is in S3 meanwhile: it runs on the gateway's one loop.
        known = {id(part["body"]): part["etag"] for part in _parts(*rest)}
        s3.hashlib = _Hashes(known)
        try:
            return complete(bucket_name, key, *rest)
        finally:
            s3.hashlib = hashlib

    return wrapped


class _Hashes:
    """`hashlib`, but the MD5 of what has an ETag is read off that."""

    def __init__(self, etags: Mapping[int, str]) -> None:
        self._etags = etags

    def md5(self, data: Any) -> Any:
        etag = self._etags.get(id(data))
        return _Digest(bytes.fromhex(etag.strip('"'))) if etag else hashlib.md5(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(hashlib, name)


class _Digest(NamedTuple):
    value: bytes

    def digest(self) -> bytes:
        return self.value


def _parts(*arguments: Any) -> list[dict[str, Any]]:
    """The parts of the upload that a request's query names; the query is the last but one."""
    upload_id = arguments[-2].get("uploadId", "")
    upload = s3._multipart_uploads.get(upload_id[0] if isinstance(upload_id, list) else upload_id)
    return list((upload or {"parts": {}})["parts"].values())


def _with_bytes(read: Any) -> Any:
    @wraps(read)
    def wrapped(*arguments: Any) -> Any:
        status, headers, body = read(*arguments)
        return status, headers, bytes(body) if isinstance(body, memoryview) else body

    return wrapped


def _as_bytes(read: Any) -> Any:
    @wraps(read)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        body = read(*arguments, **named)
        return bytes(body) if isinstance(body, memoryview) else body

    return wrapped


def _is_large(body: Any) -> TypeGuard[bytes]:
    return isinstance(body, bytes) and len(body) >= LARGE


def _in_a_file(body: bytes) -> memoryview:
    """The same bytes, mapped from a file that goes when nobody holds them.

    A part of a view is a view: a range that is copied needs no bytes of its own.
    """
    with tempfile.TemporaryFile() as file:
        file.write(body)
        file.flush()
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
