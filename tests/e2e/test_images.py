"""A candidate's image goes to Central by digest, and what is tested there is that image."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.e2e.organisation import (
    ARTIFACTS_BUCKET,
    CENTRAL,
    DEV,
    PROD,
    REGION,
    Organisation,
    Outcome,
    denied,
)
from tests.e2e.scenarios import Trained
from tests.images import push

MODEL, REPOSITORY = "own-image", "team/serving"
PIPELINE, FEATURES = "own-pipeline", "team/features"
URI = f"{DEV}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}:1.4"
COPIES = "governed-path/images"
AWS = "683313688378"  # its registry of SageMaker's images in us-east-1


@dataclass(frozen=True)
class OwnImage:
    """A version with an image of its project, promoted, and that image's digest."""

    digest: str
    promoted: Outcome


@pytest.fixture(scope="module")
def own_image(organisation: Organisation, trained: Trained) -> OwnImage:
    # Tier low: nothing here scans, and the other tiers want a scan.
    organisation.provision(MODEL, tier="low")
    ecr = organisation.root(DEV, "ecr")
    ecr.create_repository(repositoryName=REPOSITORY)
    digest = push(ecr, REPOSITORY, b"a base", b"our code", tag="1.4")
    origin = organisation.register_again(trained.first, MODEL, image=URI)
    promoted = organisation.approve("dev", origin)
    assert promoted.entry["kind"] == "CandidatePromoted", promoted.entry.get("failure")
    # A tag that moves later changes nothing of what was approved. Test is not asked: the embedded
    # AWS runs no containers, and serves models of SageMaker's own images alone.
    push(ecr, REPOSITORY, b"other code", tag="1.4")
    return OwnImage(digest, promoted)


def test_central_names_its_own_copy_by_digest(
    organisation: Organisation, own_image: OwnImage
) -> None:
    version = organisation.central(own_image.promoted.entry["model_package_arn"])
    (container,) = version["InferenceSpecification"]["Containers"]
    registry = f"{CENTRAL}.dkr.ecr.{REGION}.amazonaws.com"
    assert container["Image"] == f"{registry}/{COPIES}@{own_image.digest}"
    assert container["ImageDigest"] == own_image.digest


def test_the_copy_is_there_whole_and_tagged_with_its_digest_alone(
    organisation: Organisation, own_image: OwnImage
) -> None:
    ecr = organisation.root(CENTRAL, "ecr")
    (found,) = ecr.describe_images(
        repositoryName=COPIES, imageIds=[{"imageDigest": own_image.digest}]
    )["imageDetails"]
    assert found["imageTags"] == [own_image.digest.replace(":", "-")]


def test_endpoints_pull_from_central_and_nobody_else_pushes(
    organisation: Organisation, own_image: OwnImage
) -> None:
    endpoints = organisation.borrow(PROD, "governed-path-endpoint-execution").client("ecr")
    place = {"registryId": CENTRAL, "repositoryName": COPIES}
    image = {"imageIds": [{"imageDigest": own_image.digest}]}
    assert len(endpoints.batch_get_image(**place, **image)["images"]) == 1
    assert denied(endpoints.initiate_layer_upload, **place)
    dev = organisation.borrow(DEV, "governed-path-hub").client("ecr")
    assert denied(dev.batch_get_image, **place, **image)
    assert denied(dev.initiate_layer_upload, **place)


@pytest.fixture(scope="module")
def pipeline(organisation: Organisation, trained: Trained) -> OwnImage:
    """A version of two containers, the second with the project's own image, promoted."""
    organisation.provision(PIPELINE, tier="low")
    ecr = organisation.root(DEV, "ecr")
    ecr.create_repository(repositoryName=FEATURES)
    digest = push(ecr, FEATURES, b"features", tag="1")
    uri = f"{DEV}.dkr.ecr.{REGION}.amazonaws.com/{FEATURES}:1"
    origin = organisation.register_again(trained.first, PIPELINE, further=[{"Image": uri}])
    promoted = organisation.approve("dev", origin)
    assert promoted.entry["kind"] == "CandidatePromoted", promoted.entry.get("failure")
    return OwnImage(digest, promoted)


def test_every_container_of_a_pipeline_is_in_central(
    organisation: Organisation, pipeline: OwnImage
) -> None:
    version = organisation.central(pipeline.promoted.entry["model_package_arn"])
    first, second = version["InferenceSpecification"]["Containers"]
    assert first["ModelDataUrl"].startswith(f"s3://governed-path-artifacts-{CENTRAL}")
    assert second["Image"].endswith(f"/{COPIES}@{pipeline.digest}")
    seen = pipeline.promoted.entry["verdict"]["facts"]
    assert [seen["image"]["registry"], seen["further_images"][0]["registry"]] == [AWS, DEV]


def test_a_pipeline_is_given_to_test_whole_and_what_cannot_serve_it_says_so(
    organisation: Organisation, pipeline: OwnImage
) -> None:
    validated = organisation.approve("test", pipeline.promoted.entry["model_package_arn"])
    assert validated.entry["kind"] == "ValidationFailed"
    assert "inference pipeline of 2 containers" in json.dumps(validated.entry)


def test_a_role_of_the_endpoints_name_in_dev_sees_nothing(
    organisation: Organisation, own_image: OwnImage
) -> None:
    iam, role = organisation.root(DEV, "iam"), {"RoleName": "governed-path-endpoint-execution"}
    everything = {"Effect": "Allow", "Action": ["ecr:*", "s3:*"], "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [everything]}
    iam.create_role(**role, AssumeRolePolicyDocument=json.dumps({**document, "Statement": []}))
    try:
        iam.put_role_policy(**role, PolicyName="all", PolicyDocument=json.dumps(document))
        imitation = organisation.borrow(DEV, role["RoleName"])
        assert denied(
            imitation.client("ecr").batch_get_image,
            registryId=CENTRAL,
            repositoryName=COPIES,
            imageIds=[{"imageDigest": own_image.digest}],
        )
        assert denied(
            imitation.client("s3").list_objects_v2, Bucket=ARTIFACTS_BUCKET, Prefix="models/"
        )
    finally:
        iam.delete_role_policy(**role, PolicyName="all")
        iam.delete_role(**role)
    endpoints = organisation.borrow(PROD, role["RoleName"]).client("s3")
    assert endpoints.list_objects_v2(Bucket=ARTIFACTS_BUCKET, Prefix="models/")["KeyCount"]
