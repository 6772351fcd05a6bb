"""Model package groups and versions: what can be registered, changed, listed and deleted."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.sagemaker.validation import service_model
from tests.integration.sagemaker.support import (
    CENTRAL,
    DEV,
    IMAGE,
    Client,
    group,
    make_session,
    specification,
)

DIGEST = "sha256:" + "0" * 64
STATISTICS = {"ContentType": "application/json", "S3Uri": "s3://models/evaluation.json"}
# Everything that a registration can say, apart from names, tags and tokens.
FULL: dict[str, Any] = {
    "ModelPackageDescription": "Probability of progression; 5 % (more) than v1!",
    "InferenceSpecification": specification(),
    "ModelApprovalStatus": "Rejected",
    "MetadataProperties": {"CommitId": "abc", "GeneratedBy": "me"},
    "ModelMetrics": {"ModelQuality": {"Statistics": STATISTICS}},
    "DriftCheckBaselines": {"ModelDataQuality": {"Statistics": STATISTICS}},
    "CustomerMetadataProperties": {"code-commit": "abc", "holdout-uri": "s3://b/k"},
    "Domain": "MACHINE_LEARNING",
    "Task": "CLASSIFICATION",
    "SamplePayloadUrl": "s3://models/sample.json",
    "AdditionalInferenceSpecifications": [{"Name": "gpu", "Containers": [{"Image": IMAGE}]}],
    "SkipModelValidation": "All",
    "SourceUri": "s3://models/source",
    "SecurityConfig": {"KmsKeyId": "alias/key"},
    "ModelCard": {"ModelCardContent": "{}", "ModelCardStatus": "Draft"},
    "ModelLifeCycle": {"Stage": "Dev", "StageStatus": "Registered", "StageDescription": "New."},
    "CertifyForMarketplace": False,
}
# Member of UpdateModelPackage -> what it sets (facts/events-and-api.md 5.6).
MUTABLE: dict[str, Any] = {
    "ModelApprovalStatus": "Approved",
    "ApprovalDescription": "Reviewed on Monday.",
    "ModelPackageRegistrationType": "Registered",
    "CustomerMetadataProperties": {"code-commit": "def"},
    "CustomerMetadataPropertiesToRemove": ["holdout-uri"],
    "AdditionalInferenceSpecificationsToAdd": [{"Name": "cpu", "Containers": [{"Image": IMAGE}]}],
    "InferenceSpecification": specification("s3://models/other.tar.gz"),
    "SourceUri": "s3://models/elsewhere",
    "ModelCard": {"ModelCardContent": '{"a": 1}', "ModelCardStatus": "Approved"},
    "ModelLifeCycle": {"Stage": "Dev", "StageStatus": "Approved"},
}
IMMUTABLE = [
    "ModelPackageDescription",
    "MetadataProperties",
    "ModelMetrics",
    "DriftCheckBaselines",
    "Domain",
    "Task",
    "SamplePayloadUrl",
    "SkipModelValidation",
    "SecurityConfig",
    "CertifyForMarketplace",
]


def register(client: Client, account: str = CENTRAL, **more: Any) -> str:
    """The ARN of a new version in the group "risk"."""
    request = {"ModelPackageGroupName": "risk", **FULL, **more}
    return str(client(account).create_model_package(**request)["ModelPackageArn"])


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=rf"\({code}\)")


def test_numbers_versions_and_never_twice(client: Client) -> None:
    group(client)
    first, second = register(client), register(client)
    client().delete_model_package(ModelPackageName=second)
    third = register(client)
    assert [arn.rpartition("/")[2] for arn in (first, second, third)] == ["1", "2", "3"]


def test_describes_what_was_registered(client: Client) -> None:
    group(client)
    described = client().describe_model_package(ModelPackageName=register(client))
    assert {member: described[member] for member in FULL} == FULL
    assert described["ModelPackageVersion"] == 1
    assert described["ModelPackageStatus"] == "Completed"
    assert described["CreationTime"] == described["LastModifiedTime"]


def test_pends_manual_approval_by_default(client: Client) -> None:
    group(client)
    arn = client().create_model_package(ModelPackageGroupName="risk")["ModelPackageArn"]
    described = client().describe_model_package(ModelPackageName=arn)
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert "ModelLifeCycle" not in described


def test_knows_the_person_behind_a_session(client: Client) -> None:
    group(client)
    trainer = make_session(CENTRAL, "training", "pipeline", "theo")
    arn = client(key=trainer).create_model_package(ModelPackageGroupName="risk")["ModelPackageArn"]
    approver = make_session(CENTRAL, "engineer", "alex", "alex")
    client(key=approver).update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    described = client().describe_model_package(ModelPackageName=arn)
    assert described["CreatedBy"]["IamIdentity"] == {
        "Arn": f"arn:aws:sts::{CENTRAL}:assumed-role/training/pipeline",
        "PrincipalId": "AROATRAINING:pipeline",
        "SourceIdentity": "theo",
    }
    assert described["LastModifiedBy"]["IamIdentity"]["SourceIdentity"] == "alex"
    assert described["LastModifiedTime"] > described["CreationTime"]


def test_same_client_token_registers_once(client: Client) -> None:
    group(client)
    token = "a" * 36
    assert register(client, ClientToken=token) == register(client, ClientToken=token)
    with refused("ConflictException"):
        register(client, ClientToken=token, Domain="OTHER")
    assert (
        len(client().list_model_packages(ModelPackageGroupName="risk")["ModelPackageSummaryList"])
        == 1
    )


def test_same_client_token_updates_once(client: Client) -> None:
    group(client)
    arn = register(client)
    change = {"ModelPackageArn": arn, "ModelApprovalStatus": "Approved", "ClientToken": "t1"}
    client().update_model_package(**change)
    before = client().describe_model_package(ModelPackageName=arn)["LastModifiedTime"]
    client().update_model_package(**change)
    assert client().describe_model_package(ModelPackageName=arn)["LastModifiedTime"] == before
    with refused("ConflictException"):
        client().update_model_package(**{**change, "ModelApprovalStatus": "Rejected"})


def test_refuses_tags_on_a_version(client: Client) -> None:
    group(client)
    with refused("ValidationException"):
        register(client, Tags=[{"Key": "a", "Value": "b"}])
    with refused("ValidationException"):
        client().add_tags(ResourceArn=register(client), Tags=[{"Key": "a", "Value": "b"}])


def test_needs_exactly_one_name(client: Client) -> None:
    group(client)
    with refused("ValidationException"):
        client().create_model_package()
    with refused("ValidationException"):
        register(client, ModelPackageName="both")


def test_names_a_group_by_arn(client: Client) -> None:
    arn = group(client)
    version = client().create_model_package(ModelPackageGroupName=arn)["ModelPackageArn"]
    assert version.endswith(":model-package/risk/1")


def test_the_mutable_members_are_the_models(client: Client) -> None:
    """The table above is botocore's, so nothing that AWS lets change is forgotten here."""
    shape: Any = service_model().operation_model("UpdateModelPackage").input_shape
    assert set(shape.members) == {*MUTABLE, "ModelPackageArn", "ClientToken"}


@pytest.mark.parametrize("member", MUTABLE)
def test_changes_what_is_mutable_and_nothing_else(client: Client, member: str) -> None:
    group(client)
    arn = register(client)
    before = client().describe_model_package(ModelPackageName=arn)
    client().update_model_package(ModelPackageArn=arn, **{member: MUTABLE[member]})
    after = client().describe_model_package(ModelPackageName=arn)
    expected = {**before, **_expected(member)}
    volatile = ("LastModifiedTime", "LastModifiedBy", "ResponseMetadata")
    assert {k: v for k, v in after.items() if k not in volatile} == {
        k: v for k, v in expected.items() if k not in volatile
    }


def _expected(member: str) -> dict[str, Any]:
    if member == "CustomerMetadataProperties":
        return {member: {"code-commit": "def", "holdout-uri": "s3://b/k"}}
    if member == "CustomerMetadataPropertiesToRemove":
        return {"CustomerMetadataProperties": {"code-commit": "abc"}}
    if member == "AdditionalInferenceSpecificationsToAdd":
        known = FULL["AdditionalInferenceSpecifications"]
        return {"AdditionalInferenceSpecifications": known + MUTABLE[member]}
    return {member: MUTABLE[member]}


@pytest.mark.parametrize("member", IMMUTABLE)
def test_refuses_to_change_what_is_immutable(client: Client, member: str) -> None:
    group(client)
    arn = register(client)
    before = client().describe_model_package(ModelPackageName=arn)
    # boto3 does not even serialise an unknown member, so the request is made as other clients may.
    with refused("ValidationException"):
        raw_update(client, {"ModelPackageArn": arn, "SourceUri": "s3://x/y", member: FULL[member]})
    assert client().describe_model_package(ModelPackageName=arn)["SourceUri"] == before["SourceUri"]


def raw_update(client: Client, body: dict[str, Any]) -> None:
    """UpdateModelPackage with a body of one's own."""
    import json

    sagemaker = client()

    def replace(request: Any, **_: Any) -> None:
        request.data = json.dumps(body).encode()

    sagemaker.meta.events.register("request-created", replace)
    sagemaker.update_model_package(ModelPackageArn=body["ModelPackageArn"])


@pytest.mark.parametrize(
    ("metadata", "accepted"),
    [
        ({"Key_1.a:b/c=d+e-f@g h": "Wert äöü 1_.:/=+-@"}, True),
        ({"k" * 128: "v" * 256}, True),
        ({f"k{n}": "v" for n in range(50)}, True),
        ({f"k{n}": "v" for n in range(51)}, False),
        ({"k" * 129: "v"}, False),
        ({"k": "v" * 257}, False),
        ({"": "v"}, False),
        ({"k": ""}, False),
        ({"k": '{"json": 1}'}, False),
        ({"k": "a,b"}, False),
        ({"k": "line\nbreak"}, False),
        ({"k,": "v"}, False),
    ],
    ids=str,
)
def test_metadata_charset_and_limits(
    client: Client, metadata: dict[str, str], accepted: bool
) -> None:
    group(client)
    if not accepted:
        with refused("ValidationException"):
            register(client, CustomerMetadataProperties=metadata)
        return
    arn = register(client, CustomerMetadataProperties=metadata)
    described = client().describe_model_package(ModelPackageName=arn)
    assert described["CustomerMetadataProperties"] == metadata


def test_metadata_limit_counts_what_is_there(client: Client) -> None:
    group(client)
    arn = register(client, CustomerMetadataProperties={f"k{n}": "v" for n in range(50)})
    with refused("ValidationException"):
        client().update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"new": "v"})
    client().update_model_package(
        ModelPackageArn=arn,
        CustomerMetadataProperties={"new": "v"},
        CustomerMetadataPropertiesToRemove=["k0"],
    )
    metadata = client().describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"]
    assert len(metadata) == 50
    assert "k0" not in metadata


def test_additional_specifications_are_limited_and_unique(client: Client) -> None:
    group(client)
    arn = register(client)

    def add(*names: str) -> None:
        client().update_model_package(
            ModelPackageArn=arn,
            AdditionalInferenceSpecificationsToAdd=[
                {"Name": name, "Containers": [{"Image": IMAGE}]} for name in names
            ],
        )

    with refused("ValidationException"):
        add("gpu")
    add(*(f"s{n}" for n in range(14)))
    with refused("ValidationException"):
        add("one-more")


@pytest.mark.parametrize(
    "change",
    [
        {"ModelApprovalStatus": "Maybe"},
        {"ModelLifeCycle": {"Stage": "Dev", "StageStatus": "In Progress"}},
        {"ModelLifeCycle": {"Stage": "Dev", "StageStatus": "In_Progress"}},
        {"ModelLifeCycle": {"Stage": "Dev"}},
        {"ModelLifeCycle": {"Stage": "S" * 64, "StageStatus": "Approved"}},
        {"ApprovalDescription": "a" * 1025},
        {"ModelCard": {"ModelCardContent": "a" * 100_001}},
        {"ModelCard": {"ModelCardStatus": "Published"}},
        {"SourceUri": "a" * 1025},
        {},
    ],
    ids=str,
)
def test_refuses_malformed_updates(client: Client, change: dict[str, Any]) -> None:
    group(client)
    arn = register(client)
    with refused("ValidationException"):
        client().update_model_package(ModelPackageArn=arn, **change)


def test_a_refused_update_changes_nothing(client: Client) -> None:
    group(client)
    arn = register(client)
    before = client().describe_model_package(ModelPackageName=arn)
    with refused("ValidationException"):
        client().update_model_package(
            ModelPackageArn=arn,
            ModelApprovalStatus="Approved",
            CustomerMetadataProperties={f"n{n}": "v" for n in range(50)},
        )
    after = client().describe_model_package(ModelPackageName=arn)
    assert after["ModelApprovalStatus"] == before["ModelApprovalStatus"]
    assert after["LastModifiedTime"] == before["LastModifiedTime"]


def test_lists_with_filters_order_and_pages(client: Client) -> None:
    group(client)
    arns = [register(client) for _ in range(5)]
    client().update_model_package(
        ModelPackageArn=arns[1],
        ModelApprovalStatus="Approved",
        ModelLifeCycle={"Stage": "Prod", "StageStatus": "Approved"},
    )
    pages = (
        client()
        .get_paginator("list_model_packages")
        .paginate(
            ModelPackageGroupName="risk",
            SortBy="CreationTime",
            SortOrder="Descending",
            PaginationConfig={"PageSize": 2},
        )
    )
    listed = [one["ModelPackageArn"] for page in pages for one in page["ModelPackageSummaryList"]]
    assert listed == arns[::-1]
    approved = client().list_model_packages(
        ModelPackageGroupName="risk", ModelApprovalStatus="Approved"
    )["ModelPackageSummaryList"]
    assert [one["ModelPackageArn"] for one in approved] == [arns[1]]
    assert approved[0]["ModelLifeCycle"] == {"Stage": "Prod", "StageStatus": "Approved"}
    # Without a group, AWS lists unversioned packages.
    assert client().list_model_packages()["ModelPackageSummaryList"] == []
    with refused("ValidationException"):
        client().list_model_packages(ModelPackageGroupName="risk", NextToken="mine")


def test_unversioned_packages_can_be_tagged(client: Client) -> None:
    arn = client().create_model_package(
        ModelPackageName="solo",
        InferenceSpecification=specification(),
        Tags=[{"Key": "a", "Value": "b"}],
    )["ModelPackageArn"]
    assert client().list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    listed = client().list_model_packages()["ModelPackageSummaryList"]
    assert [one["ModelPackageName"] for one in listed] == ["solo"]
    with refused("ValidationException"):
        client().update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")


def test_batch_describe_reports_each_missing_one(client: Client) -> None:
    group(client)
    arn = register(client)
    missing = arn[:-1] + "9"
    answer = client().batch_describe_model_package(ModelPackageArnList=[arn, missing])
    assert list(answer["ModelPackageSummaries"]) == [arn]
    assert "ModelLifeCycle" not in answer["ModelPackageSummaries"][arn]
    errors = answer["BatchDescribeModelPackageErrorMap"]
    assert errors[missing]["ErrorCode"] == "ValidationException"


def test_searches_by_life_cycle(client: Client) -> None:
    group(client)
    first = register(client)
    second = register(client, ModelLifeCycle={"Stage": "Prod", "StageStatus": "Deployed"})

    def search(name: str, value: str) -> list[str]:
        answer = client().search(
            Resource="ModelPackage",
            SearchExpression={"Filters": [{"Name": name, "Operator": "Equals", "Value": value}]},
        )
        return [one["ModelPackage"]["ModelPackageArn"] for one in answer["Results"]]

    assert search("ModelLifeCycle.Stage", "Prod") == [second]
    assert search("CustomerMetadataProperties.code-commit", "abc") == [second, first]
    assert search("ModelLifeCycle.Stage", "Nowhere") == []


def test_groups_are_described_listed_and_deleted_when_empty(client: Client) -> None:
    arn = group(client)
    group(client, "other")
    with refused("ValidationException"):
        group(client)
    described = client().describe_model_package_group(ModelPackageGroupName=arn)
    assert described["ModelPackageGroupName"] == "risk"
    assert described["ModelPackageGroupStatus"] == "Completed"
    listed = client().list_model_package_groups(NameContains="ris")
    assert [one["ModelPackageGroupArn"] for one in listed["ModelPackageGroupSummaryList"]] == [arn]
    version = register(client)
    with refused("ConflictException"):
        client().delete_model_package_group(ModelPackageGroupName="risk")
    client().delete_model_package(ModelPackageName=version)
    client().delete_model_package_group(ModelPackageGroupName="risk")
    with refused("ValidationException"):
        client().describe_model_package_group(ModelPackageGroupName="risk")


def test_accounts_do_not_see_each_others_names(client: Client) -> None:
    group(client)
    assert client(DEV).list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    with refused("ValidationException"):
        client(DEV).describe_model_package_group(ModelPackageGroupName="risk")
    group(client, account=DEV)


def test_missing_things_are_named(client: Client) -> None:
    with pytest.raises(ClientError, match=r"Model Package Group .*group/none does not exist"):
        client().create_model_package(ModelPackageGroupName="none")
    with pytest.raises(ClientError, match=r"ModelPackage .*/none/1 does not exist"):
        client().describe_model_package(
            ModelPackageName=f"arn:aws:sagemaker:us-east-1:{CENTRAL}:model-package/none/1"
        )


def test_group_policy_is_put_read_and_deleted(client: Client) -> None:
    arn = group(client)
    with refused("ValidationException"):
        client().get_model_package_group_policy(ModelPackageGroupName="risk")
    for broken in ("no json", "{}", '{"Statement": [{"Effect": "Allow"}]}'):
        with refused("ValidationException"):
            client().put_model_package_group_policy(
                ModelPackageGroupName="risk", ResourcePolicy=broken
            )
    policy = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sagemaker:*", '
        f'"Principal": {{"AWS": "{DEV}"}}, "Resource": "{arn}"}}]}}'
    )
    client().put_model_package_group_policy(ModelPackageGroupName="risk", ResourcePolicy=policy)
    read = client().get_model_package_group_policy(ModelPackageGroupName="risk")
    assert read["ResourcePolicy"] == policy
    client().delete_model_package_group_policy(ModelPackageGroupName="risk")
    with refused("ValidationException"):
        client().delete_model_package_group_policy(ModelPackageGroupName="risk")
