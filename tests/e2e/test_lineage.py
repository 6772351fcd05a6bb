"""Walking back from the Prod endpoint: to the dataset's object, version id, digest and commit."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from governance.adapters.lineage import LineageGraph
from governance.domain import lineages
from tests.e2e.organisation import (
    CENTRAL,
    DEV,
    EVIDENCE_BUCKET,
    PROD,
    REGION,
    Organisation,
    denied,
)
from tests.e2e.scenarios import MODEL, DemoPath, Replayed, Trained

ENDPOINT = f"{MODEL}-endpoint"


def _version_behind(organisation: Organisation) -> str:
    """The Central version that the endpoint serves, by SageMaker's own links in Prod."""
    prod = organisation.root(PROD, "sagemaker")
    config = prod.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    (variant,) = prod.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    model = prod.describe_model(ModelName=variant["ModelName"])
    return str(model["PrimaryContainer"]["ModelPackageName"])


@pytest.fixture(scope="module")
def walked(organisation: Organisation, demo_path: DemoPath) -> dict[str, Any]:
    """Everything that led to what the Prod endpoint serves."""
    return LineageGraph(organisation.reader).ascendants(_version_behind(organisation))


@pytest.fixture(scope="module")
def manifest(organisation: Organisation, demo_path: DemoPath) -> dict[str, Any]:
    candidate_id = demo_path.released.entry["candidate_id"]
    uri = f"s3://{EVIDENCE_BUCKET}/manifests/{MODEL}/{candidate_id}.json"
    found: dict[str, Any] = json.loads(organisation.evidence(uri))
    return found


def _of_role(walked: dict[str, Any], role: str) -> dict[str, Any]:
    (properties,) = (
        node["properties"] for node in walked["nodes"] if node["properties"].get("role") == role
    )
    return dict(properties)


def test_the_endpoint_says_itself_which_version_it_serves(
    organisation: Organisation, demo_path: DemoPath
) -> None:
    prod = organisation.root(PROD, "sagemaker")
    arn = prod.describe_endpoint(EndpointName=ENDPOINT)["EndpointArn"]
    tags = {tag["Key"]: tag["Value"] for tag in prod.list_tags(ResourceArn=arn)["Tags"]}
    assert tags["model-package-arn"] == _version_behind(organisation)
    assert tags["model-package-arn"] == demo_path.released.entry["model_package_arn"]


def test_the_walk_ends_at_the_very_bytes_that_the_model_was_trained_on(
    organisation: Organisation, walked: dict[str, Any], manifest: dict[str, Any]
) -> None:
    dataset = _of_role(walked, "dataset")
    (stated,) = manifest["training_data"]
    assert {key: dataset[own] for key, own in _SAME.items()} == stated
    place = urlsplit(dataset["origin_uri"])
    body = (
        organisation.root(DEV, "s3")
        .get_object(
            Bucket=place.netloc, Key=place.path.lstrip("/"), VersionId=dataset["version_id"]
        )["Body"]
        .read()
    )
    assert hashlib.sha256(body).hexdigest() == dataset["sha256"]


_SAME = {"uri": "origin_uri", "version_id": "version_id", "sha256": "sha256"}


def test_the_walk_names_the_commit_and_the_steps(
    walked: dict[str, Any], manifest: dict[str, Any]
) -> None:
    steps = {node["type"]: node["properties"] for node in walked["nodes"]}
    for step in ("DataProcessing", "ModelTraining", "ModelEvaluation"):
        assert steps[step]["dev_code-commit"] == manifest["code_commit"]
        assert steps[step]["origin_arn"].split(":")[4] == DEV


def test_the_walk_agrees_with_the_manifest_in_everything(
    walked: dict[str, Any], manifest: dict[str, Any]
) -> None:
    found = lineages.checks(manifest, walked["nodes"])
    assert [check for check in found if not check["agrees"]] == []
    assert len(found) >= 10
    assert "missing" not in _of_role(
        {"nodes": [n for n in walked["nodes"] if "origin_uri" in n["properties"]]}, "version"
    )


def test_everything_came_from_dev_or_is_sagemakers_own_word_on_central(
    walked: dict[str, Any], trained: Trained
) -> None:
    for node in walked["nodes"]:
        if node["name"].startswith(lineages.PREFIX):
            assert node["properties"]["origin_arn"].split(":")[4] == DEV
            assert node["properties"]["candidate_id"]
    origins = {node["properties"].get("origin_arn") for node in walked["nodes"]}
    assert trained.first in origins
    assert trained.second not in origins


def test_every_entity_of_the_dev_graph_is_there(
    organisation: Organisation, walked: dict[str, Any], trained: Trained
) -> None:
    session = organisation.borrow(DEV, "governed-path-hub")
    dev = LineageGraph(session).ascendants(trained.first)
    assert len(dev["nodes"]) >= 10
    there = {node["properties"].get("origin_arn") for node in walked["nodes"]}
    assert {node["arn"] for node in dev["nodes"]} <= there


def test_a_second_event_makes_no_second_lineage(
    organisation: Organisation, walked: dict[str, Any], replayed: Replayed
) -> None:
    arn = _version_behind(organisation)
    again = LineageGraph(organisation.reader).ascendants(arn)
    assert {node["arn"] for node in again["nodes"]} == {node["arn"] for node in walked["nodes"]}
    assert again["edges"] == walked["edges"]


_ARTIFACT = {"ArtifactType": "DataSet", "Source": {"SourceUri": "s3://forged/data.csv"}}


@pytest.mark.parametrize("role", ["training", "data-scientist"])
def test_dev_cannot_write_lineage_in_central(
    organisation: Organisation, walked: dict[str, Any], role: str
) -> None:
    dev: boto3.Session = (
        organisation.assume(DEV, "training")
        if role == "training"
        else organisation.persona(role).session
    )
    client = dev.client("sagemaker")
    artifact = walked["nodes"][0]["arn"]
    assert denied(client.update_artifact, ArtifactArn=artifact, Properties={"sha256": "0" * 64})
    forged = {
        "SourceArn": artifact,
        "DestinationArn": f"arn:aws:sagemaker:{REGION}:{CENTRAL}:artifact/{'0' * 32}",
    }
    assert denied(client.add_association, **forged)
    assert denied(dev.client("sts").assume_role, **_take(organisation))


def _take(organisation: Organisation) -> dict[str, str]:
    return {
        "RoleArn": f"arn:aws:iam::{CENTRAL}:role/governed-path-lineage",
        "RoleSessionName": "forger",
        "ExternalId": "governed-path",
    }


def test_central_reads_the_lineage_of_dev_and_cannot_write_there(
    organisation: Organisation, trained: Trained
) -> None:
    session = organisation.borrow(DEV, "governed-path-hub")
    client = session.client("sagemaker")
    arn = LineageGraph(session).find_artifact(trained.first)
    assert arn is not None
    assert client.query_lineage(StartArns=[arn], Direction="Ascendants")["Vertices"]
    assert denied(client.create_artifact, **_ARTIFACT)
    assert denied(client.update_artifact, ArtifactArn=arn, Properties={"x": "y"})
    assert denied(client.delete_artifact, ArtifactArn=arn)
    assert denied(client.add_association, SourceArn=arn, DestinationArn=arn)
