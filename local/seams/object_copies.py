"""Server-side copies from a bucket of another account.

The emulator decides correctly whether the caller may read the source, then looks for it among the
caller's own buckets. For the length of the copy the source is put there; the copy runs on the
gateway's one loop, so nobody else can see it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from ministack.core.responses import get_account_id
from ministack.services import s3

from local.seams.assertions import require, require_parameters


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
    require(isinstance(s3._buckets._data, dict), "object_copies", "buckets by (account, name)")
    for name in ("_copy_object", "_upload_part_copy"):
        setattr(s3, name, _with_foreign_source(getattr(s3, name)))


def _with_foreign_source(copy: Any) -> Any:
    def wrapped(bucket_name: str, dest_key: str, *rest: Any) -> Any:
        headers = rest[-1]
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
