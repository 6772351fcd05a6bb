"""The training pipeline, as a program of its own, against the embedded AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pipeline import storage

from governance.adapters.artifacts import Artifacts, parse_uri
from governance.domain import candidate, copying
from local import organisation
from tests.integration.templates.conftest import DEV, Dev

PROJECT = Path(__file__).parents[3] / "templates" / "classical-regression" / "build"
MIB = 1024**2
Run = dict[str, Any]


def pipeline(dev: Dev, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the pipeline as a data scientist does."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline.run", "--json", *arguments],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, **dev.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def registered(dev: Dev, *arguments: str) -> Run:
    done = pipeline(
        dev,
        *("--bucket", dev.bucket, "--model-package-group", dev.group, "--kms-key", dev.kms_key),
        *arguments,
    )
    assert done.returncode == 0, done.stderr
    result: Run = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def first(dev: Dev) -> Run:
    return registered(dev)


@pytest.fixture(scope="module")
def version(dev: Dev, first: Run) -> Run:
    """DescribeModelPackage of the first version."""
    answer: Run = dev.client("sagemaker").describe_model_package(
        ModelPackageName=first["model_package_arn"]
    )
    return answer


def test_the_version_reads_back_as_it_was_registered(first: Run, version: Run) -> None:
    assert first["version"] == version["ModelPackageVersion"] == 1
    assert version["ModelApprovalStatus"] == "PendingManualApproval"
    life_cycle = version["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Dev", "Registered")
    metadata = version["CustomerMetadataProperties"]
    assert metadata["model-data-sha256"] == first["model_data"]["sha256"]
    assert metadata["dataset-version-id"] == first["dataset"]["version_id"]
    assert metadata["code-commit"] == version["MetadataProperties"]["CommitId"]
    card = json.loads(version["ModelCard"]["ModelCardContent"])
    assert card["intended_uses"]["risk_rating"] == "High"


def test_governance_locates_every_object_with_the_declared_digest(
    dev: Dev, version: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", dev.endpoint_url)
    artifacts = Artifacts(organisation.root_session(DEV))
    references = candidate.references(version)
    located = [
        {"role": reference["role"]}
        | artifacts.locate(*parse_uri(reference["uri"]), reference["version_id"] or None)
        for reference in references
    ]
    assert not candidate.declared_mismatches(references, located)
    assert len(candidate.candidate_id(candidate.manifest(version, located))) == 64
    for location in located:
        # The key names the content.
        assert location["sha256"] in location["key"]


def test_lineage_leads_back_from_the_version_to_the_dataset(dev: Dev, first: Run) -> None:
    answer = dev.client("sagemaker").query_lineage(
        StartArns=[first["lineage"]["model_package"]], Direction="Ascendants"
    )
    found = {vertex["Arn"] for vertex in answer["Vertices"]}
    assert found >= set(first["lineage"].values())


def test_other_hyperparameters_give_a_second_version_on_the_same_data(dev: Dev, first: Run) -> None:
    second = registered(dev, "--c", "1", "--seed", "7")
    assert second["version"] == 2
    assert second["model_data"]["sha256"] != first["model_data"]["sha256"]
    for part in ("dataset", "holdout"):
        assert second[part] == first[part]
    assert second["lineage"]["dataset"] == first["lineage"]["dataset"]


def test_the_same_training_again_is_another_version_of_the_same_bytes(dev: Dev, first: Run) -> None:
    again = registered(dev)
    assert again["version"] > first["version"]
    for part in ("model_data", "dataset", "holdout", "metrics"):
        assert again[part] == first[part]


@pytest.mark.parametrize(
    ("bucket", "group", "message"),
    [("", "nobody", "model package group nobody"), ("no-such-bucket-here", "", "no-such-bucket")],
)
def test_what_does_not_exist_is_named(dev: Dev, bucket: str, group: str, message: str) -> None:
    done = pipeline(
        dev, "--bucket", bucket or dev.bucket, "--model-package-group", group or dev.group
    )
    assert done.returncode == 1
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last


def test_a_model_of_several_parts_is_uploaded_in_them_and_copied_at_their_boundaries(
    dev: Dev, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the pipeline declares of it is what governance finds, parts and all."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", dev.endpoint_url)
    monkeypatch.setattr(storage, "_SMALLEST_PART", 5 * MIB)
    store = storage.Store(dev.client("s3"), dev.bucket, dev.kms_key)
    body = bytes(range(256)) * (11 * MIB // 256) + b"end"
    stored = store.put_in_parts("models/large", "model.tar.gz", body, "application/gzip")
    assert (stored.size, stored.sha256[64:]) == (len(body), "-3")
    bucket, key = parse_uri(stored.uri)
    artifacts = Artifacts(organisation.root_session(DEV))
    found = artifacts.locate(bucket, key, stored.version_id)
    assert (found["sha256"], found["size"]) == (stored.sha256, stored.size)
    assert artifacts.part_sizes(found) == [[2, 5 * MIB], [1, MIB + 3]]
    # What is there is not sent again, and what is small goes in one request.
    assert store.put_in_parts("models/large", "model.tar.gz", body, "application/gzip") == stored
    small = store.put_in_parts("models/large", "small.tar.gz", body[:1000], "application/gzip")
    assert small == store.put("models/large", "small.tar.gz", body[:1000], "application/gzip")
    uploads = dev.client("s3").list_multipart_uploads(Bucket=dev.bucket)
    assert not uploads.get("Uploads")
    head = dev.client("s3").head_object(Bucket=bucket, Key=key)
    assert (head["ContentType"], head["SSEKMSKeyId"]) == ("application/gzip", dev.kms_key)


@pytest.mark.parametrize("size", [1, 64 * MIB, 625 * 1024 * MIB, 1024**4, 5 * 1024**4])
def test_its_parts_are_those_that_the_copy_is_planned_for(size: int) -> None:
    assert storage.part_size(size) == copying.part_size(size)
