"""Server-side copies: from buckets of another account, with checksums, tags and locks as S3's.

The emulator asks the bucket's policy for the caller's account. Here it is asked for the caller's
role, so that a condition on aws:PrincipalArn decides.

For a copy, it then looks for the source among the caller's own buckets. For the length of the copy
the source is put there; the copy runs on the gateway's one loop, so nobody else can see it.

A copy answers with the digest that S3 has computed, also of a part; an object that was uploaded in
parts has the tags and the retention that it would have from one request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from ministack.core import iam_evaluator, router
from ministack.core.responses import get_account_id
from ministack.services import s3

from local.seams.assertions import (
    require,
    require_attributes,
    require_parameters,
    require_source,
)
from local.seams.permissions import foreign_caller


def install() -> None:
    """Let CopyObject and UploadPartCopy read what the source's owner lets the caller read."""
    require_parameters("object_copies", s3._copy_object, "bucket_name", "dest_key", "headers")
    require_parameters(
        "object_copies",
        s3._upload_part_copy,
        *("bucket_name", "dest_key", "query_params", "headers"),
    )
    require_parameters(
        "object_copies", s3._copy_source_denied, "headers", "caller", "anonymous", "internal"
    )
    require_parameters(
        "object_copies",
        s3._foreign_bucket_allows,
        *("owner_account", "bucket_name", "key", "method", "query_params", "caller", "headers"),
    )
    require(isinstance(s3._buckets._data, dict), "object_copies", "buckets by (account, name)")
    require(hasattr(s3._object_versions, "get_scoped"), "object_copies", "versions by account")
    require_parameters("object_copies", s3._bucket_owner_account, "name")
    require_source(
        "object_copies", s3._copy_object, 'if headers.get("x-amz-sdk-checksum-algorithm")'
    )
    require_parameters(
        "object_copies", s3._create_multipart_upload, "bucket_name", "key", "headers"
    )
    require_parameters(
        "object_copies",
        s3._complete_multipart_upload,
        *("bucket_name", "key", "body", "query_params", "headers"),
    )
    require_parameters(
        "object_copies",
        s3._apply_object_lock_from_headers,
        *("bucket_name", "key", "headers", "version_id"),
    )
    require_parameters("object_copies", s3._compute_s3_checksum, "algorithm", "body")
    require_source(
        "object_copies",
        s3._upload_part_copy,
        '_multipart_uploads[upload_id]["parts"][part_number] = {',
        'root = Element("CopyPartResult", xmlns=S3_NS)',
    )
    require_source(
        "object_copies", s3._copy_object, 'root = Element("CopyObjectResult", xmlns=S3_NS)'
    )
    require_attributes("object_copies", s3, "_multipart_uploads", "_object_tags", "_buckets")
    require_parameters("object_copies", router.extract_access_key_id, "headers", "query_params")
    require_attributes("object_copies", iam_evaluator, "resolve_principal", "AuthError")
    s3._copy_object = _with_foreign_source(_with_digest(s3._copy_object))
    s3._upload_part_copy = _with_foreign_source(_with_part_digest(s3._upload_part_copy))
    s3._create_multipart_upload = _with_kept_tags(s3._create_multipart_upload)
    s3._complete_multipart_upload = _with_tags_and_lock(s3._complete_multipart_upload)
    s3._foreign_bucket_allows = _as_the_caller(
        s3._foreign_bucket_allows, lambda arguments: arguments[6] if len(arguments) > 6 else None
    )
    s3._copy_source_denied = _as_the_caller(s3._copy_source_denied, lambda arguments: arguments[0])


def _as_the_caller(ask: Any, headers_of: Callable[[tuple[Any, ...]], Any]) -> Any:
    """Tell who signed the request to the policies that `ask` evaluates."""

    def wrapped(*arguments: Any) -> Any:
        headers = headers_of(arguments)
        if headers is None:
            return ask(*arguments)
        key = router.extract_access_key_id(headers)
        principal = iam_evaluator.resolve_principal(key, get_account_id())
        arn = "" if isinstance(principal, iam_evaluator.AuthError) else principal.arn
        token = foreign_caller.set(arn)
        try:
            return ask(*arguments)
        finally:
            foreign_caller.reset(token)

    return wrapped


def _with_foreign_source(copy: Any) -> Any:
    def wrapped(bucket_name: str, dest_key: str, *rest: Any) -> Any:
        headers = rest[-1]
        if headers.get("x-amz-checksum-algorithm"):
            # CopyObject's own name for it; the emulator computes by the name of uploads alone.
            headers["x-amz-sdk-checksum-algorithm"] = headers["x-amz-checksum-algorithm"]
        path = unquote(headers.get("x-amz-copy-source", "").lstrip("/").partition("?")[0])
        bucket, _, key = path.partition("/")
        owner, caller = s3._bucket_owner_account(bucket), get_account_id()
        if owner in (None, caller):
            return copy(bucket_name, dest_key, *rest)
        # Asked again here, so that nothing rests on who called us.
        denied = s3._copy_source_denied(headers, caller, False, False)
        if denied is not None:
            return denied
        s3._buckets[bucket] = s3._buckets.get_scoped(owner, None, bucket)
        versions = s3._object_versions.get_scoped(owner, None, (bucket, key))
        if versions is not None:
            s3._object_versions[(bucket, key)] = versions
        try:
            return copy(bucket_name, dest_key, *rest)
        finally:
            s3._buckets.pop(bucket, None)
            s3._object_versions.pop((bucket, key), None)

    return wrapped


def _with_digest(copy: Any) -> Any:
    def wrapped(bucket_name: str, dest_key: str, headers: Any) -> Any:
        status, answer, body = copy(bucket_name, dest_key, headers)
        if status != 200:
            return status, answer, body
        copied = s3._buckets[bucket_name]["objects"][dest_key]
        _lock(bucket_name, dest_key, headers, copied)
        digest = (copied.get("checksums") or {}).get("SHA256", "")
        return status, answer, _told(body, digest, "CopyObjectResult")

    return wrapped


def _with_part_digest(copy: Any) -> Any:
    """A part that is copied has the checksum of its upload's algorithm, as one that is sent."""

    def wrapped(bucket_name: str, dest_key: str, query_params: Any, headers: Any) -> Any:
        status, answer, body = copy(bucket_name, dest_key, query_params, headers)
        upload = s3._multipart_uploads.get(_first(query_params, "uploadId"))
        algorithm = (upload or {}).get("checksum_algorithm")
        if status != 200 or not algorithm:
            return status, answer, body
        part = upload["parts"][int(_first(query_params, "partNumber"))]
        digest = s3._compute_s3_checksum(algorithm, part["body"])
        part["checksums"] = {algorithm: digest}
        return status, answer, _told(body, digest, "CopyPartResult", algorithm)

    return wrapped


def _with_kept_tags(create: Any) -> Any:
    def wrapped(bucket_name: str, key: str, headers: Any) -> Any:
        before = set(s3._multipart_uploads)
        answer = create(bucket_name, key, headers)
        for upload_id in set(s3._multipart_uploads) - before:
            tags = parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)
            s3._multipart_uploads[upload_id]["tags"] = dict(tags)
        return answer

    return wrapped


def _with_tags_and_lock(complete: Any) -> Any:
    def wrapped(
        bucket_name: str, key: str, body: Any, query_params: Any, headers: Any = None
    ) -> Any:
        upload = s3._multipart_uploads.get(_first(query_params, "uploadId"))
        answer = complete(bucket_name, key, body, query_params, headers)
        if upload is not None and answer[0] == 200:
            made = s3._buckets[bucket_name]["objects"][key]
            _lock(bucket_name, key, headers or {}, made)
            if upload.get("tags"):
                s3._object_tags[(bucket_name, key, made.get("version_id"))] = upload["tags"]
        return answer

    return wrapped


def _lock(bucket_name: str, key: str, headers: Any, made: Any) -> None:
    """The bucket's default retention is also for what no PutObject has written."""
    s3._apply_object_lock_from_headers(bucket_name, key, headers, made.get("version_id"))


def _told(body: bytes, digest: str, element: str, algorithm: str = "SHA256") -> bytes:
    """The answer with the digest of what was copied."""
    name, end = f"Checksum{algorithm}", f"</{element}>".encode()
    return body.replace(end, f"<{name}>{digest}</{name}>".encode() + end) if digest else body


def _first(query_params: Any, name: str) -> str:
    value = query_params.get(name, "")
    return str(value[0] if isinstance(value, list) else value)
