"""A deployment is planned once: the same names on every retry, never another account's."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import deployments
from governance.domain.errors import InvalidInputError
from tests.contracts import samples

NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")  # SageMaker's, for all three
DIGEST = "sha256:" + "c" * 64


def _plan(stage: str, **project: Any) -> dict[str, Any]:
    return deployments.plan(
        samples.promotion(stage),
        candidate=samples.candidate(samples.central_objects()),
        project={**samples.project(), **project},
        description=samples.description(ModelPackageArn=samples.version_arn()),
        execution_role_name="governed-path-endpoint-execution",
        reference=samples.definition_reference(),
        definition=samples.definition(),
    )


def test_a_container_keeps_everything_that_create_model_takes() -> None:
    source = {"S3Uri": "s3://b/model/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {
        "Image": samples.IMAGE,
        "ModelDataSource": {"S3DataSource": source},
        "AdditionalModelDataSources": [{"ChannelName": "draft", "S3DataSource": source}],
        "ModelDataETag": "etag",
    }
    described = {"InferenceSpecification": {"Containers": [container]}}
    assert deployments.containers(described) == [
        {key: value for key, value in container.items() if key != "ModelDataETag"}
    ]


def test_a_pipeline_keeps_its_containers_their_order_and_their_names() -> None:
    named = [
        {"Image": f"repo/{name}:1", "ContainerHostname": name} for name in ("features", "model")
    ]
    described = {"InferenceSpecification": {"Containers": named}}
    assert deployments.containers(described) == named


def test_test_spells_the_containers_out_since_the_version_is_not_signed_off() -> None:
    deployment = _plan("Test")
    repository = samples.IMAGE.rpartition(":")[0]
    assert deployment["source"] == "containers"
    assert deployment["containers"] == [
        {
            "Image": f"{repository}@{samples.IMAGE_DIGEST}",
            "ModelDataUrl": f"s3://{samples.DEV_BUCKET}/models/{samples.MODEL}/model.tar.gz",
            "Environment": {
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            },
        }
    ]


def test_what_the_version_declares_to_take_is_known_to_its_tests() -> None:
    assert _plan("Test")["content_types"] == ["application/json"]


def test_the_definitions_variables_stand_beside_the_containers_own() -> None:
    container = {"Image": "i", "Environment": {"A": "1", "B": "2"}}
    assert deployments.with_environment(container, {"B": "3"})["Environment"] == {
        "A": "1",
        "B": "3",
    }
    named = deployments.with_environment({"ModelPackageName": "arn"}, {"B": "3"})
    assert named == {"ModelPackageName": "arn", "Environment": {"B": "3"}}
    assert deployments.with_environment({"ModelPackageName": "arn"}, {}) == {
        "ModelPackageName": "arn"
    }


def test_prod_names_the_version_so_that_sagemaker_checks_the_signature() -> None:
    deployment = _plan("Prod")
    assert (deployment["source"], deployment["containers"]) == ("model-package", None)
    assert deployment["model_package_arn"] == samples.version_arn()


@pytest.mark.parametrize(("stage", "account"), [("Test", samples.TEST), ("Prod", samples.PROD)])
def test_everything_is_in_the_account_of_the_stage(stage: str, account: str) -> None:
    deployment = _plan(stage)
    assert deployment["account"] == account
    assert deployment["region"] == samples.REGION
    assert f":{account}:endpoint/{deployment['endpoint_name']}" in deployment["endpoint_arn"]
    assert deployment["execution_role_arn"] == (
        f"arn:aws:iam::{account}:role/governed-path-endpoint-execution"
    )


def test_the_rest_of_the_plan() -> None:
    unique = samples.CLAIM[:10]
    deployment = _plan("Prod")
    assert {
        key: deployment[key]
        for key in (
            *("stage", "config_name", "model_name", "variant_name", "candidate_id", "claim_id"),
            *("instance_type", "instance_count", "environment", "definition", "tags"),
        )
    } == {
        "stage": "Prod",
        "config_name": f"clinical-risk-prod-{unique}",
        "model_name": f"clinical-risk-prod-{unique}",
        "variant_name": "AllTraffic",
        "candidate_id": samples.CANDIDATE,
        "claim_id": samples.CLAIM,
        "instance_type": "ml.m5.large",
        "instance_count": 2,
        "environment": {"OMP_NUM_THREADS": "1"},
        "definition": samples.definition_reference(),
        "tags": {
            "model": samples.MODEL,
            "model-package-arn": samples.version_arn(),
            "candidate-id": samples.CANDIDATE,
            "claim-id": samples.CLAIM,
        },
    }


def test_clients_find_the_prod_endpoint_by_its_name_and_a_test_endpoint_is_one_validations() -> (
    None
):
    assert _plan("Prod")["endpoint_name"] == "clinical-risk"
    assert _plan("Test")["endpoint_name"] == f"clinical-risk-test-{samples.CLAIM[:10]}"


def test_a_drill_of_prod_is_tried_in_test_by_names_of_its_own() -> None:
    promotion = {**samples.promotion("Prod"), "workflow": "drill_rollback"}
    endpoint_arn = deployments.endpoint_arn(promotion, samples.project())
    assert endpoint_arn.endswith(f":{samples.PROD}:endpoint/clinical-risk")  # what it is about
    made = deployments.made_for({**promotion, "stage": "Test"}, samples.project())
    validation = deployments.made_for(samples.promotion("Test"), samples.project())
    name = f"clinical-risk-drill-{samples.CLAIM[:10]}"
    assert made == {
        "account": samples.TEST,
        **dict.fromkeys(("endpoint_name", "config_name", "model_name"), name),
    }
    assert made["account"] == validation["account"]
    assert name not in validation.values()


def test_the_endpoint_arn_is_in_lower_case_as_sagemaker_makes_it() -> None:
    deployment = _plan("Prod", endpoint_name="Clinical-Risk")
    assert deployment["endpoint_name"] == "Clinical-Risk"
    assert deployment["endpoint_arn"].endswith(":endpoint/clinical-risk")


def test_partition_and_region_are_those_of_the_version() -> None:
    promotion = samples.promotion("Prod")
    promotion["model_package_arn"] = samples.version_arn().replace(
        f"arn:aws:sagemaker:{samples.REGION}", "arn:aws-us-gov:sagemaker:us-gov-west-1"
    )
    deployment = deployments.plan(
        *(promotion, samples.candidate(), samples.project(), samples.description(), "role"),
        *(samples.definition_reference(), samples.definition()),
    )
    assert deployment["endpoint_arn"].startswith("arn:aws-us-gov:sagemaker:us-gov-west-1:")
    assert deployment["execution_role_arn"].startswith("arn:aws-us-gov:iam::")


def test_planning_again_plans_the_same() -> None:
    assert _plan("Test") == _plan("Test")


@pytest.mark.parametrize(
    ("stage", "accounts"),
    [("Test", {"dev": samples.DEV}), ("Prod", {"prod": ""}), ("Dev", {"dev": samples.DEV})],
)
def test_a_stage_that_has_no_account_is_refused(stage: str, accounts: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match=f"has no account for stage {stage}"):
        _plan(stage, accounts=accounts)


@given(
    st.from_regex(NAME, fullmatch=True),
    st.lists(st.from_regex(r"[a-z0-9]{1,10}", fullmatch=True), min_size=1, max_size=2),
)
def test_every_name_is_one_that_sagemaker_takes(base: str, parts: list[str]) -> None:
    name = deployments.name(base, *parts)
    assert NAME.fullmatch(name)
    assert name.endswith("-".join(["", *parts]))


def test_a_long_base_is_shortened_and_the_unique_part_kept() -> None:
    name = deployments.name("x" * 40 + "-" * 3 + "y" * 30, "prod", "0123456789")
    assert name == "x" * 40 + "-" * 3 + "y" * 4 + "-prod-0123456789"
    assert deployments.name("x" * 45 + "---y", "prod", "0123456789") == (
        "x" * 45 + "-prod-0123456789"
    )


@pytest.mark.parametrize(
    ("image", "digest", "pinned"),
    [
        ("r.example/a/b:1.4", DIGEST, f"r.example/a/b@{DIGEST}"),
        ("r.example:5000/a:1.4", DIGEST, f"r.example:5000/a@{DIGEST}"),
        ("r.example/a", DIGEST, f"r.example/a@{DIGEST}"),
        ("a:latest", DIGEST, f"a@{DIGEST}"),
        ("r.example/a:1.4", None, "r.example/a:1.4"),
        ("r.example/a:1.4", "", "r.example/a:1.4"),
        (f"r.example/a@{DIGEST}", "sha256:" + "d" * 64, f"r.example/a@{DIGEST}"),
    ],
)
def test_an_image_with_a_digest_is_pinned_to_it(
    image: str, digest: str | None, pinned: str
) -> None:
    assert deployments.pinned(image, digest) == pinned
