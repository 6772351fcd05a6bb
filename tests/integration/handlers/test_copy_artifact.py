"""Bytes arrive in Central as they were registered, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from governance.adapters import sessions
from governance.adapters.artifacts import Artifacts
from governance.domain.errors import (
    AccessError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
)

from .conftest import ARTIFACTS, CENTRAL, PROJECT

BYTES = b"a model" * 1000


@pytest.fixture
def source(aws: Callable[..., Any], lambdas: Callable[..., Any]) -> dict[str, Any]:
    """An object with its digest, as Dev holds one.

    In Central's own account: the emulator alone copies from no other account's bucket; that path
    is proven on the deployed system, in tests/e2e.
    """
    return _put(aws, BYTES)


def _put(aws: Callable[..., Any], body: bytes, bucket: str = ARTIFACTS) -> dict[str, Any]:
    key = f"origin/{uuid4().hex}/model.tar.gz"
    answer = aws("s3").put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256")
    return {
        "role": "model-data",
        "bucket": bucket,
        "key": key,
        "version_id": answer["VersionId"],
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def _event(source: dict[str, Any], candidate_id: str | None = None) -> dict[str, Any]:
    return {
        "promotion": PROMOTION,
        "candidate_id": candidate_id or hashlib.sha256(uuid4().bytes).hexdigest(),
        "object": source,
    }


PROMOTION = {
    "claim_id": "c" * 64,
    "workflow": "promote_to_central",
    "stage": "Dev",
    "model": "clinical-risk-classifier",
    "model_package_arn": "arn:aws:sagemaker:us-east-1:444455556666:model-package/m/1",
    "account": "444455556666",
    "decided_at": "2026-01-31T12:00:00Z",
    "event_id": "e",
    "execution_arn": f"arn:aws:states:us-east-1:{CENTRAL}:execution:promote:run",
}


def test_the_copy_is_the_same_bytes_encrypted_and_tagged(
    aws: Callable[..., Any], lambdas: Callable[..., Any], source: dict[str, Any], key_arn: str
) -> None:
    event = _event(source)
    arrived = lambdas("copy_artifact")(event)["object"]
    assert (arrived["role"], arrived["sha256"], arrived["size"]) == (
        "model-data",
        source["sha256"],
        source["size"],
    )
    where = {"Bucket": arrived["bucket"], "Key": arrived["key"]}
    assert aws("s3").get_object(**where)["Body"].read() == BYTES
    head = aws("s3").head_object(**where)
    assert head["ServerSideEncryption"] == "aws:kms"
    assert head["VersionId"] == arrived["version_id"]
    tags = aws("s3").get_object_tagging(**where)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        "candidate-id": event["candidate_id"],
        "model": "clinical-risk-classifier",
    }


def test_copying_again_copies_nothing(
    aws: Callable[..., Any], lambdas: Callable[..., Any], source: dict[str, Any]
) -> None:
    event = _event(source)
    first = lambdas("copy_artifact")(event)["object"]
    assert lambdas("copy_artifact")(event)["object"] == first
    versions = aws("s3").list_object_versions(Bucket=first["bucket"], Prefix=first["key"])
    assert len(versions["Versions"]) == 1


def test_the_pinned_version_is_copied_although_it_was_replaced(
    aws: Callable[..., Any], lambdas: Callable[..., Any], source: dict[str, Any]
) -> None:
    aws("s3").put_object(Bucket=source["bucket"], Key=source["key"], Body=b"another model")
    arrived = lambdas("copy_artifact")(_event(source))["object"]
    assert arrived["sha256"] == source["sha256"]


def test_a_wrong_checksum_stops_the_copy(
    lambdas: Callable[..., Any], source: dict[str, Any]
) -> None:
    wrong = {**source, "sha256": hashlib.sha256(b"what was registered").hexdigest()}
    with pytest.raises(IntegrityError, match=wrong["sha256"]):
        lambdas("copy_artifact")(_event(wrong))


def test_a_missing_object_is_named(lambdas: Callable[..., Any], source: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError, match="origin/nothing-here"):
        lambdas("copy_artifact")(_event({**source, "key": "origin/nothing-here"}))


def test_a_missing_version_is_named(lambdas: Callable[..., Any], source: dict[str, Any]) -> None:
    with pytest.raises((NotFoundError, InvalidInputError), match="not-a-version"):
        lambdas("copy_artifact")(_event({**source, "version_id": "not-a-version"}))


def test_an_empty_object_is_refused(aws: Callable[..., Any], lambdas: Callable[..., Any]) -> None:
    empty = _put(aws, b"")
    with pytest.raises(InvalidInputError, match=f"{empty['key']}.*empty"):
        lambdas("copy_artifact")(_event(empty))


def test_an_object_whose_digest_nothing_proves_is_refused(
    aws: Callable[..., Any], lambdas: Callable[..., Any]
) -> None:
    key = f"origin/{uuid4().hex}"
    aws("s3").put_object(Bucket=ARTIFACTS, Key=key, Body=BYTES)
    with pytest.raises(InvalidInputError, match="checksum algorithm SHA256"):
        Artifacts().locate(ARTIFACTS, key)
    declared = hashlib.sha256(BYTES).hexdigest()
    with pytest.raises(InvalidInputError, match=declared):
        Artifacts().locate(ARTIFACTS, key, None, declared)


def test_a_digest_over_parts_is_refused(
    aws: Callable[..., Any], lambdas: Callable[..., Any]
) -> None:
    s3, key = aws("s3"), f"origin/{uuid4().hex}"
    where = {"Bucket": ARTIFACTS, "Key": key}
    upload = s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
    part = s3.upload_part(
        **where, UploadId=upload, PartNumber=1, Body=BYTES, ChecksumAlgorithm="SHA256"
    )
    parts = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    with pytest.raises(InvalidInputError, match="in parts"):
        Artifacts().locate(ARTIFACTS, key)


def test_a_bucket_of_somebody_else_is_denied(
    aws: Callable[..., Any], lambdas: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function's role may read Dev's bucket only if Dev's bucket policy says so."""
    s3 = aws("s3", "444455556666")
    s3.put_object(Bucket=PROJECT, Key="secret", Body=BYTES, ChecksumAlgorithm="SHA256")
    keys = _user_without_rights(aws("iam"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    sessions.own_client.cache_clear()
    sessions._own_session.cache_clear()
    with pytest.raises((AccessError, NotFoundError), match="secret"):
        Artifacts().locate(PROJECT, "secret")


def _user_without_rights(iam: Any) -> dict[str, str]:
    name = f"nobody-{uuid4().hex}"
    iam.create_user(UserName=name)
    keys: dict[str, str] = iam.create_access_key(UserName=name)["AccessKey"]
    return keys
