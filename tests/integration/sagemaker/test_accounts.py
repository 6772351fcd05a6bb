"""Who may reach what: other accounts through the group's policy, roles through PassRole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.sagemaker import iam
from tests.integration.sagemaker.support import (
    API_CALL,
    CENTRAL,
    DEV,
    IMAGE,
    PACKAGE_CHANGE,
    PROD,
    REGION,
    Bus,
    Client,
    group,
    make_role,
    make_session,
    specification,
)


@pytest.fixture
def version(client: Client) -> str:
    """A version in Central that is not signed off."""
    group(client)
    answer = client().create_model_package(
        ModelPackageGroupName="risk", InferenceSpecification=specification()
    )
    return str(answer["ModelPackageArn"])


def share(client: Client, *actions: str, account: str = PROD) -> None:
    """Let an account do this with the versions of the group."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": list(actions),
                "Resource": [
                    f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package-group/risk",
                    f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package/risk/*",
                ],
            }
        ],
    }
    client().put_model_package_group_policy(
        ModelPackageGroupName="risk", ResourcePolicy=json.dumps(policy)
    )


def create_model(client: Client, version: str, name: str = "m", **call: Any) -> None:
    client(PROD, **call).create_model(
        ModelName=name,
        PrimaryContainer={"ModelPackageName": version},
        ExecutionRoleArn=make_role(PROD, "execution"),
    )


def denied() -> Any:
    return pytest.raises(ClientError, match=r"AccessDeniedException.*not authorized to perform")


def test_prod_cannot_use_a_version_that_is_not_shared(client: Client, version: str) -> None:
    client().update_model_package(ModelPackageArn=version, ModelApprovalStatus="Approved")
    with denied():
        create_model(client, version)
    share(client, "sagemaker:DescribeModelPackage")
    with denied():
        create_model(client, version)


@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected"])
def test_prod_cannot_use_a_version_that_is_not_approved(
    client: Client, version: str, status: str
) -> None:
    share(client, "sagemaker:CreateModel", "sagemaker:DescribeModelPackage")
    client().update_model_package(ModelPackageArn=version, ModelApprovalStatus=status)
    with pytest.raises(ClientError, match=rf"ValidationException.*{version}.*{status}"):
        create_model(client, version)
    assert client(PROD).list_models()["Models"] == []


def test_prod_uses_an_approved_version_that_is_shared(client: Client, version: str) -> None:
    share(client, "sagemaker:CreateModel")
    client().update_model_package(ModelPackageArn=version, ModelApprovalStatus="Approved")
    create_model(client, version)
    model = client(PROD).describe_model(ModelName="m")
    # The link to the version stays; what it resolves to is not spelled out.
    assert model["PrimaryContainer"] == {"ModelPackageName": version}
    assert "ExecutionRoleArn" in model


def test_other_accounts_read_and_write_only_what_is_shared(
    client: Client, version: str, bus: Bus
) -> None:
    for call in (
        lambda: client(PROD).describe_model_package(ModelPackageName=version),
        lambda: client(PROD).update_model_package(
            ModelPackageArn=version, ModelApprovalStatus="Approved"
        ),
        lambda: client(PROD).list_model_packages(
            ModelPackageGroupName=f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package-group/risk"
        ),
    ):
        with denied():
            call()
    share(
        client,
        "sagemaker:DescribeModelPackage",
        "sagemaker:UpdateModelPackage",
        "sagemaker:ListModelPackages",
    )
    key = make_session(PROD, "hub", "claim", "grace")
    client(PROD, key=key).update_model_package(
        ModelPackageArn=version, ModelApprovalStatus="Approved"
    )
    described = client(PROD).describe_model_package(ModelPackageName=version)
    assert described["LastModifiedBy"]["IamIdentity"]["Arn"].startswith(f"arn:aws:sts::{PROD}:")
    # The state changed where the group is; both accounts' CloudTrail saw the call.
    assert bus.of(PACKAGE_CHANGE)[-1].account == CENTRAL
    calls = [e for e in bus.of(API_CALL) if e.detail["eventName"] == "UpdateModelPackage"][-2:]
    assert {call.account for call in calls} == {PROD, CENTRAL}
    assert len({call.detail["eventID"] for call in calls}) == 1


def test_registers_into_another_accounts_group_by_arn(
    client: Client, version: str, bus: Bus
) -> None:
    arn = f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package-group/risk"
    with denied():
        client(DEV).create_model_package(ModelPackageGroupName=arn)
    share(client, "sagemaker:CreateModelPackage", account=DEV)
    created = client(DEV).create_model_package(ModelPackageGroupName=arn)["ModelPackageArn"]
    assert created == f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package/risk/2"
    assert bus.of(PACKAGE_CHANGE)[-1].account == CENTRAL


def test_what_cannot_be_shared_is_not_reached(client: Client, version: str) -> None:
    arn = f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package-group/risk"
    for call in (
        lambda: client(PROD).list_tags(ResourceArn=arn),
        lambda: client(PROD).add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}]),
        lambda: client(PROD).describe_artifact(
            ArtifactArn=f"arn:aws:sagemaker:{REGION}:{CENTRAL}:artifact/{'0' * 32}"
        ),
    ):
        with denied():
            call()


def test_passing_a_role_needs_permission(client: Client) -> None:
    execution = make_role(PROD, "execution")
    make_role(PROD, "hub")
    hub = make_session(PROD, "hub", "claim")
    request = {
        "ModelName": "m",
        "PrimaryContainer": {"Image": IMAGE},
        "ExecutionRoleArn": execution,
    }
    with pytest.raises(ClientError, match="not authorized to perform: iam:PassRole"):
        client(PROD, key=hub).create_model(**request)
    condition = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    allow = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": execution}
    make_role(PROD, "hub", {**allow, "Condition": condition})
    client(PROD, key=hub).create_model(**request)


def test_execution_role_must_trust_sagemaker(client: Client) -> None:
    with pytest.raises(ClientError, match=r"ValidationException.*Could not assume role"):
        client(PROD).create_model(
            ModelName="m",
            PrimaryContainer={"Image": IMAGE},
            ExecutionRoleArn=f"arn:aws:iam::{PROD}:role/absent",
        )


@pytest.mark.parametrize(
    ("operation", "request_", "expected"),
    [
        ("DescribeModelPackage", {"ModelPackageName": "risk/1"}, "model-package/risk/1"),
        ("CreateModelPackage", {"ModelPackageGroupName": "risk"}, "model-package-group/risk"),
        ("DescribeModelPackageGroup", {"ModelPackageGroupName": "R"}, "model-package-group/R"),
        ("CreateModel", {"ModelName": "M"}, "model/m"),
        (
            "CreateEndpoint",
            {"EndpointName": "E", "EndpointConfigName": "C"},
            "endpoint/e",
        ),
        ("CreateEndpointConfig", {"EndpointConfigName": "C"}, "endpoint-config/c"),
        ("DescribeAction", {"ActionName": "A"}, "action/A"),
    ],
)
def test_gateway_learns_the_resource(
    operation: str, request_: dict[str, str], expected: str
) -> None:
    arn = iam.resource_arn(operation, request_, CENTRAL, REGION)
    assert arn == f"arn:aws:sagemaker:{REGION}:{CENTRAL}:{expected}"


def test_gateway_learns_no_resource_of_listings() -> None:
    assert iam.resource_arn("ListModels", {}, CENTRAL, REGION) == "*"
    assert iam.resource_arn("Search", {"Resource": "ModelPackage"}, CENTRAL, REGION) == "*"


def test_gateway_learns_the_arn_of_an_artifact_before_it_is_made(client: Client) -> None:
    request = {"Source": {"SourceUri": "s3://data/a"}, "ArtifactType": "DataSet"}
    expected = iam.resource_arn("CreateArtifact", request, CENTRAL, REGION)
    assert client().create_artifact(**request)["ArtifactArn"] == expected


def test_gateway_learns_the_condition_keys() -> None:
    request = {
        "ModelApprovalStatus": "Approved",
        "ModelLifeCycle": {"Stage": "Prod", "StageStatus": "Approved"},
    }
    assert iam.condition_keys("UpdateModelPackage", request) == {
        "sagemaker:ModelLifeCycle:stage": "Prod",
        "sagemaker:ModelLifeCycle:stageStatus": "Approved",
        "sagemaker:ModelApprovalStatus": "Approved",
    }
    assert iam.condition_keys("UpdateModelPackage", {"ModelLifeCycle": "nonsense"}) == {}
    assert iam.condition_keys("CreateModel", request) == {}


def test_gateway_learns_the_group_policy(client: Client, version: str) -> None:
    assert iam.package_group_policy_for_arn(version) == (None, CENTRAL)
    share(client, "sagemaker:CreateModel")
    found = iam.package_group_policy_for_arn(version)
    assert found is not None
    assert "sagemaker:CreateModel" in str(found[0])
    endpoint = f"arn:aws:sagemaker:{REGION}:{PROD}:endpoint/risk"
    assert iam.package_group_policy_for_arn(endpoint) == (None, PROD)
    assert iam.package_group_policy_for_arn("*") is None
