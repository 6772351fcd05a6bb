"""Model data of many objects under a prefix, and of one object in parts: copied and served."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta

import pytest

from governance.domain import locations
from tests.e2e.organisation import (
    ARTIFACTS_BUCKET,
    CENTRAL,
    DEV,
    EVIDENCE_BUCKET,
    PROJECT_BUCKET,
    Organisation,
    Outcome,
    denied,
    members,
    padded,
)
from tests.e2e.scenarios import Trained

MODEL, LARGE = "unpacked-model", "model-in-parts"
MIB = 1024**2
SHARDS = 60  # more than what a receipt is worth


@dataclass(frozen=True)
class Unpacked:
    """A version whose model data are the files {path: bytes} under a prefix, promoted."""

    files: dict[str, bytes]
    promoted: Outcome


@dataclass(frozen=True)
class InParts:
    """A version whose model data are one object that was uploaded in parts of `sizes`, promoted."""

    body: bytes
    sizes: list[int]
    promoted: Outcome


def _model_data(organisation: Organisation, arn: str) -> bytes:
    """What the Dev version's container loads."""
    (container,) = organisation.root(DEV, "sagemaker").describe_model_package(ModelPackageName=arn)[
        "InferenceSpecification"
    ]["Containers"]
    key = container["ModelDataUrl"].removeprefix(f"s3://{PROJECT_BUCKET}/")
    found = organisation.root(DEV, "s3").get_object(Bucket=PROJECT_BUCKET, Key=key)
    return bytes(found["Body"].read())


@pytest.fixture(scope="module")
def unpacked(organisation: Organisation, trained: Trained) -> Unpacked:
    organisation.provision(MODEL, tier="low")
    packed = _model_data(organisation, trained.first)
    files = members(packed) | {
        f"shards/{number:03}.bin": bytes([number]) * 1000 for number in range(SHARDS)
    }
    origin = organisation.register_again(trained.first, MODEL, unpacked=files)
    promoted = organisation.approve("dev", origin)
    assert promoted.entry["kind"] == "CandidatePromoted", promoted.entry.get("failure")
    return Unpacked(files, promoted)


def test_every_file_is_in_central_byte_for_byte(
    organisation: Organisation, unpacked: Unpacked
) -> None:
    version = organisation.central(unpacked.promoted.entry["model_package_arn"])
    (container,) = version["InferenceSpecification"]["Containers"]
    source = container["ModelDataSource"]["S3DataSource"]
    assert (source["S3DataType"], source["CompressionType"]) == ("S3Prefix", "None")
    prefix = source["S3Uri"].removeprefix(f"s3://{ARTIFACTS_BUCKET}/")
    s3 = organisation.root(CENTRAL, "s3")
    listed = s3.list_objects_v2(Bucket=ARTIFACTS_BUCKET, Prefix=prefix)["Contents"]
    there = {}
    for one in listed:
        found = s3.head_object(Bucket=ARTIFACTS_BUCKET, Key=one["Key"], ChecksumMode="ENABLED")
        there[one["Key"].removeprefix(prefix)] = base64.b64decode(found["ChecksumSHA256"])
    assert there == {path: hashlib.sha256(body).digest() for path, body in unpacked.files.items()}


def test_the_receipts_name_the_versions_that_are_there(
    organisation: Organisation, unpacked: Unpacked
) -> None:
    s3 = organisation.root(CENTRAL, "s3")
    prefix = f"receipts/{MODEL}/{unpacked.promoted.entry['candidate_id']}/"
    found = s3.list_objects_v2(Bucket=EVIDENCE_BUCKET, Prefix=prefix)["Contents"]
    kept = {
        (one["key"], one["version_id"])
        for receipt in found
        for one in locations.listed(
            s3.get_object(Bucket=EVIDENCE_BUCKET, Key=receipt["Key"])["Body"].read()
        )
    }
    versions = s3.list_object_versions(Bucket=ARTIFACTS_BUCKET, Prefix=f"models/{MODEL}/")
    present = {(one["Key"], one["VersionId"]) for one in versions["Versions"]}
    assert len(kept) >= SHARDS
    assert kept <= present


def test_test_is_cleared_for_all_of_them_and_serves_them(
    organisation: Organisation, unpacked: Unpacked
) -> None:
    validated = organisation.approve("test", unpacked.promoted.entry["model_package_arn"])
    assert validated.entry["kind"] == "ValidationPassed", validated.entry.get("reasons")


@pytest.fixture(scope="module")
def in_parts(organisation: Organisation, trained: Trained) -> InParts:
    organisation.provision(LARGE, tier="low")
    body = padded(_model_data(organisation, trained.first), 12 * MIB)
    # S3 takes no smaller parts but the last one, and they need not be equal.
    sizes = [5 * MIB, 6 * MIB, len(body) - 11 * MIB]
    origin = organisation.register_again(
        trained.first, LARGE, replace={"model-data": body}, parts_of=sizes
    )
    promoted = organisation.approve("dev", origin)
    assert promoted.entry["kind"] == "CandidatePromoted", promoted.entry.get("failure")
    return InParts(body, sizes, promoted)


def test_an_object_in_parts_has_the_same_parts_and_the_same_composite_in_central(
    organisation: Organisation, in_parts: InParts
) -> None:
    """Its composite is of those very boundaries: nothing but copies of the parts can have it."""
    version = organisation.central(in_parts.promoted.entry["model_package_arn"])
    (container,) = version["InferenceSpecification"]["Containers"]
    key = container["ModelDataUrl"].removeprefix(f"s3://{ARTIFACTS_BUCKET}/")
    place = {"Bucket": ARTIFACTS_BUCKET, "Key": key}
    s3, first, digests = organisation.root(CENTRAL, "s3"), 0, []
    for size in in_parts.sizes:
        digests.append(hashlib.sha256(in_parts.body[first : first + size]).digest())
        first += size
    parts = s3.get_object_attributes(**place, ObjectAttributes=["ObjectParts"])["ObjectParts"]
    assert [part["Size"] for part in parts["Parts"]] == in_parts.sizes
    composite = f"{hashlib.sha256(b''.join(digests)).hexdigest()}-{len(digests)}"
    manifest = organisation.evidence(version["CustomerMetadataProperties"]["manifest-uri"])
    (said,) = (one for one in json.loads(manifest)["artifacts"] if one["role"] == "model-data")
    assert said["sha256"] == composite
    assert said["part_sizes"] == [[1, size] for size in in_parts.sizes]
    found = s3.head_object(**place, ChecksumMode="ENABLED")
    digest, _, count = found["ChecksumSHA256"].partition("-")
    assert f"{base64.b64decode(digest).hex()}-{count}" == composite
    assert s3.get_object(**place)["Body"].read() == in_parts.body


def test_nothing_of_the_upload_is_left_and_the_object_is_locked_like_any_other(
    organisation: Organisation, in_parts: InParts
) -> None:
    s3 = organisation.root(CENTRAL, "s3")
    assert not s3.list_multipart_uploads(Bucket=ARTIFACTS_BUCKET).get("Uploads")
    versions = s3.list_object_versions(Bucket=ARTIFACTS_BUCKET, Prefix=f"models/{LARGE}/")
    (large,) = (one for one in versions["Versions"] if "/model-data/" in one["Key"])
    version = {key: large[key] for key in ("Key", "VersionId")}
    lock = s3.get_object_retention(Bucket=ARTIFACTS_BUCKET, **version)["Retention"]
    assert lock["Mode"] == "GOVERNANCE"
    assert lock["RetainUntilDate"] - large["LastModified"] > timedelta(days=364)


def test_an_object_in_parts_is_cleared_for_test_and_served(
    organisation: Organisation, in_parts: InParts
) -> None:
    validated = organisation.approve("test", in_parts.promoted.entry["model_package_arn"])
    assert validated.entry["kind"] == "ValidationPassed", validated.entry.get("reasons")


def test_the_artifacts_bucket_is_deployed_versioned_and_locked(organisation: Organisation) -> None:
    s3 = organisation.root(CENTRAL, "s3")
    assert s3.get_bucket_versioning(Bucket=ARTIFACTS_BUCKET)["Status"] == "Enabled"
    lock = s3.get_object_lock_configuration(Bucket=ARTIFACTS_BUCKET)["ObjectLockConfiguration"]
    assert lock == {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 365}},
    }


def test_no_role_of_the_hub_removes_a_copy(organisation: Organisation, in_parts: InParts) -> None:
    """Neither who copies nor who abandons copies: the lock holds what has arrived."""
    s3 = organisation.root(CENTRAL, "s3")
    versions = s3.list_object_versions(Bucket=ARTIFACTS_BUCKET, Prefix=f"models/{LARGE}/")
    one = versions["Versions"][0]
    version = {"Bucket": ARTIFACTS_BUCKET, "Key": one["Key"], "VersionId": one["VersionId"]}
    for name in ("copy-batch", "abandon-copy", "register-version", "admin"):
        client = organisation.borrow(CENTRAL, f"governed-path-{name}").client("s3")
        assert denied(client.delete_object, **version), name
        assert denied(client.delete_object, **version, BypassGovernanceRetention=True), name
    # Who may do everything is held by the lock, unless they say that they bypass it.
    assert denied(s3.delete_object, **version)
