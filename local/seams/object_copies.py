"""Buckets of another account: who asks, and server-side copies from them.

The emulator asks the bucket's policy for the caller's account. Here it is asked for the caller's
role, so that a condition on aws:PrincipalArn decides.

For a copy, it then looks for the source among the caller's own buckets. For the length of the copy
the source is put there; the copy runs on the gateway's one loop, so nobody else can see it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

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
    require_parameters("object_copies", router.extract_access_key_id, "headers", "query_params")
    require_attributes("object_copies", iam_evaluator, "resolve_principal", "AuthError")
    for name in ("_copy_object", "_upload_part_copy"):
        setattr(s3, name, _with_foreign_source(getattr(s3, name)))
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
