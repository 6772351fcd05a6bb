"""Model data of many objects under a prefix: copied whole, with receipts, and served in Test."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

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
    members,
)
from tests.e2e.scenarios import Trained

MODEL = "unpacked-model"
SHARDS = 60  # more than what a receipt is worth


@dataclass(frozen=True)
class Unpacked:
    """A version whose model data are the files {path: bytes} under a prefix, promoted."""

    files: dict[str, bytes]
    promoted: Outcome


@pytest.fixture(scope="module")
def unpacked(organisation: Organisation, trained: Trained) -> Unpacked:
    organisation.provision(MODEL, tier="low")
    (container,) = organisation.root(DEV, "sagemaker").describe_model_package(
        ModelPackageName=trained.first
    )["InferenceSpecification"]["Containers"]
    key = container["ModelDataUrl"].removeprefix(f"s3://{PROJECT_BUCKET}/")
    packed = organisation.root(DEV, "s3").get_object(Bucket=PROJECT_BUCKET, Key=key)["Body"].read()
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
