"""What a template says is what the service's own API says afterwards, also after an update."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.local.support import (
    CENTRAL,
    DEV,
    PROD,
    REGION,
    Aws,
    denied,
    eventually,
    root_of,
)

Deploy = Callable[..., str]
BUS = f"arn:aws:events:{REGION}:{CENTRAL}:event-bus"


@pytest.fixture(scope="module")
def deploy(aws: Aws) -> Deploy:
    """deploy(stack, resources): create or update it in Central; how that ended."""

    def apply(stack: str, **resources: tuple[str, dict[str, Any]]) -> str:
        template = json.dumps(
            {
                "Resources": {
                    name: {"Type": f"AWS::{kind}", "Properties": properties}
                    for name, (kind, properties) in resources.items()
                }
            }
        )
        client = aws.client("cloudformation")
        try:
            client.update_stack(StackName=stack, TemplateBody=template)
        except ClientError:
            client.create_stack(StackName=stack, TemplateBody=template)
        return settled(aws, stack)

    return apply


def settled(aws: Aws, stack: str) -> str:
    def look() -> str:
        found = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        status = str(found["StackStatus"])
        return "" if status.endswith("_IN_PROGRESS") else status

    return str(eventually(look))


def delete(aws: Aws, stack: str) -> str:
    """Delete the stack; "gone", or how that failed."""
    client = aws.client("cloudformation")
    client.delete_stack(StackName=stack)
    try:
        status = settled(aws, stack)
    except ClientError:
        return "gone"
    return "gone" if status == "DELETE_COMPLETE" else status


def reasons(aws: Aws, stack: str) -> str:
    """Why resources of the stack could not be made, changed or deleted."""
    found = aws.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return "\n".join(event.get("ResourceStatusReason", "") for event in found)


# ---------------------------------------------------------------- event buses


def bus_policy(sid: str, source: str) -> tuple[str, dict[str, Any]]:
    return "Events::EventBusPolicy", {
        "EventBusName": {"Ref": "Bus"},
        "StatementId": sid,
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": root_of(DEV)},
            "Action": "events:PutEvents",
            "Resource": {"Fn::GetAtt": ["Bus", "Arn"]},
            "Condition": {"StringEquals": {"events:source": source}},
        },
    }


def statements(aws: Aws, bus: str) -> dict[str, Any]:
    """Sid -> condition of what the bus's policy says."""
    policy = aws.client("events").describe_event_bus(Name=bus).get("Policy")
    found = json.loads(policy)["Statement"] if policy else []
    return {statement["Sid"]: statement["Condition"] for statement in found}


def test_bus_policies_with_their_conditions(aws: Aws, deploy: Deploy) -> None:
    bus = ("Events::EventBus", {"Name": "policed"})
    first, second = bus_policy("one", "aws.sagemaker"), bus_policy("two", "other")
    assert deploy("bus", Bus=bus, One=first, Two=second) == "CREATE_COMPLETE"
    assert statements(aws, "policed") == {
        "one": {"StringEquals": {"events:source": "aws.sagemaker"}},
        "two": {"StringEquals": {"events:source": "other"}},
    }
    assert deploy("bus", Bus=bus, One=bus_policy("one", "changed")) == "UPDATE_COMPLETE"
    assert statements(aws, "policed") == {"one": {"StringEquals": {"events:source": "changed"}}}
    assert deploy("bus", Bus=bus) == "UPDATE_COMPLETE"
    assert statements(aws, "policed") == {}
    assert delete(aws, "bus") == "gone"


def test_archives(aws: Aws, deploy: Deploy) -> None:
    events = aws.client("events")
    archive = {
        "ArchiveName": "kept",
        "SourceArn": f"{BUS}/default",
        "Description": "For replay.",
        "EventPattern": {"source": ["aws.sagemaker"]},
        "RetentionDays": 30,
    }
    assert deploy("archive", A=("Events::Archive", archive)) == "CREATE_COMPLETE"
    described = events.describe_archive(ArchiveName="kept")
    assert described["EventSourceArn"] == f"{BUS}/default"
    assert json.loads(described["EventPattern"]) == {"source": ["aws.sagemaker"]}
    assert (described["RetentionDays"], described["Description"]) == (30, "For replay.")
    events.put_events(Entries=[{"Source": "not.this", "DetailType": "t", "Detail": "{}"}])
    assert events.describe_archive(ArchiveName="kept")["EventCount"] == 0

    changed = {**archive, "RetentionDays": 90, "EventPattern": {"source": ["mine"]}}
    assert deploy("archive", A=("Events::Archive", changed)) == "UPDATE_COMPLETE"
    described = events.describe_archive(ArchiveName="kept")
    assert described["RetentionDays"] == 90
    assert json.loads(described["EventPattern"]) == {"source": ["mine"]}
    events.put_events(Entries=[{"Source": "mine", "DetailType": "t", "Detail": "{}"}])
    assert events.describe_archive(ArchiveName="kept")["EventCount"] == 1

    elsewhere = {**changed, "SourceArn": f"{BUS}/other"}
    assert deploy("archive", A=("Events::Archive", elsewhere)) == "UPDATE_ROLLBACK_COMPLETE"
    assert "requires replacing" in reasons(aws, "archive")
    renamed = {**changed, "ArchiveName": "renamed"}
    assert deploy("archive", A=("Events::Archive", renamed)) == "UPDATE_COMPLETE"
    names = [found["ArchiveName"] for found in events.list_archives()["Archives"]]
    assert names == ["renamed"]
    assert delete(aws, "archive") == "gone"
    assert events.list_archives()["Archives"] == []


# ---------------------------------------------------------------- registry


def test_model_package_groups(aws: Aws, deploy: Deploy) -> None:
    sagemaker = aws.client("sagemaker")

    def policy(action: str) -> dict[str, Any]:
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": root_of(PROD)},
                    "Action": action,
                    "Resource": "*",
                }
            ],
        }

    def read() -> dict[str, Any]:
        answer = sagemaker.get_model_package_group_policy(ModelPackageGroupName="risk")
        found: dict[str, Any] = json.loads(answer["ResourcePolicy"])
        return found

    kind = "SageMaker::ModelPackageGroup"
    group = {
        "ModelPackageGroupName": "risk",
        "ModelPackageGroupPolicy": policy("sagemaker:CreateModel"),
        "Tags": [{"Key": "team", "Value": "a"}, {"Key": "old", "Value": "b"}],
    }
    assert deploy("group", G=(kind, group)) == "CREATE_COMPLETE"
    described = sagemaker.describe_model_package_group(ModelPackageGroupName="risk")
    assert "ModelPackageGroupDescription" not in described
    assert read() == policy("sagemaker:CreateModel")
    version = sagemaker.create_model_package(ModelPackageGroupName="risk")["ModelPackageArn"]

    changed = {
        **group,
        "ModelPackageGroupPolicy": policy("sagemaker:DescribeModelPackage"),
        "Tags": [{"Key": "team", "Value": "c"}],
    }
    assert deploy("group", G=(kind, changed)) == "UPDATE_COMPLETE"
    assert read() == policy("sagemaker:DescribeModelPackage")
    tags = sagemaker.list_tags(ResourceArn=described["ModelPackageGroupArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags if ":" not in tag["Key"]} == {"team": "c"}
    # The versions are still there: nothing was replaced.
    sagemaker.describe_model_package(ModelPackageName=version)

    del changed["ModelPackageGroupPolicy"]
    assert deploy("group", G=(kind, changed)) == "UPDATE_COMPLETE"
    with denied("Cannot find resource policy"):
        read()
    described_anew = {**changed, "ModelPackageGroupDescription": "needs another group"}
    assert deploy("group", G=(kind, described_anew)) == "UPDATE_ROLLBACK_COMPLETE"

    assert delete(aws, "group") == "DELETE_FAILED"
    assert "still contains 1 Model Package" in reasons(aws, "group")
    sagemaker.delete_model_package(ModelPackageName=version)
    assert delete(aws, "group") == "gone"
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_a_resource_that_cannot_be_made_fails_the_stack(aws: Aws, deploy: Deploy) -> None:
    group = {"ModelPackageGroupName": "under_score"}
    good = {"ModelPackageGroupName": "good"}
    kind = "SageMaker::ModelPackageGroup"
    assert deploy("broken", A=(kind, good), B=(kind, group)) == "ROLLBACK_COMPLETE"
    assert "regular expression pattern" in reasons(aws, "broken")
    left = aws.client("sagemaker").list_model_package_groups(NameContains="good")
    assert left["ModelPackageGroupSummaryList"] == []


# ---------------------------------------------------------------- storage


def test_buckets_with_object_lock_and_encryption(aws: Aws, deploy: Deploy) -> None:
    s3 = aws.client("s3")
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]

    def bucket(days: int, **more: Any) -> tuple[str, dict[str, Any]]:
        retention = {"Mode": "COMPLIANCE", "Days": str(days)}  # parameters are text
        return "S3::Bucket", {
            "BucketName": "evidence",
            "ObjectLockEnabled": True,
            "ObjectLockConfiguration": {
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": retention},
            },
            **more,
        }

    rule = {
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": True,
    }
    secured = {
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": True},
    }

    def locked_for() -> dict[str, Any]:
        found = s3.get_object_lock_configuration(Bucket="evidence")["ObjectLockConfiguration"]
        retention: dict[str, Any] = found["Rule"]["DefaultRetention"]
        return retention

    assert deploy("store", B=bucket(1, **secured)) == "CREATE_COMPLETE", reasons(aws, "store")
    assert locked_for() == {"Mode": "COMPLIANCE", "Days": 1}
    assert s3.get_bucket_versioning(Bucket="evidence")["Status"] == "Enabled"
    (encryption,) = s3.get_bucket_encryption(Bucket="evidence")[
        "ServerSideEncryptionConfiguration"
    ]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": key,
    }
    assert encryption["BucketKeyEnabled"]
    owner = s3.get_bucket_ownership_controls(Bucket="evidence")["OwnershipControls"]["Rules"]
    assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]

    written = s3.put_object(Bucket="evidence", Key="report.json", Body=b"{}")
    with denied():
        s3.delete_object(Bucket="evidence", Key="report.json", VersionId=written["VersionId"])
    head = s3.head_object(Bucket="evidence", Key="report.json", VersionId=written["VersionId"])
    assert head["ObjectLockMode"] == "COMPLIANCE"
    assert head["ServerSideEncryption"] == "aws:kms"

    assert deploy("store", B=bucket(2)) == "UPDATE_COMPLETE"
    assert locked_for() == {"Mode": "COMPLIANCE", "Days": 2}
    rules = encryption_rules(s3)
    assert not any(r["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID") for r in rules)
    assert delete(aws, "store") == "DELETE_FAILED"
    assert "BucketNotEmpty" in reasons(aws, "store")
    assert s3.get_object(Bucket="evidence", Key="report.json")["Body"].read() == b"{}"


def encryption_rules(s3: Any) -> list[dict[str, Any]]:
    try:
        answer = s3.get_bucket_encryption(Bucket="evidence")
    except s3.exceptions.ClientError:
        return []
    rules: list[dict[str, Any]] = answer["ServerSideEncryptionConfiguration"]["Rules"]
    return rules


def test_an_empty_bucket_goes_with_its_stack(aws: Aws, deploy: Deploy) -> None:
    bucket = ("S3::Bucket", {"BucketName": "short-lived"})
    assert deploy("empty", B=bucket) == "CREATE_COMPLETE"
    assert delete(aws, "empty") == "gone"
    with pytest.raises(ClientError, match="404"):
        aws.client("s3").head_bucket(Bucket="short-lived")


def table(**more: Any) -> tuple[str, dict[str, Any]]:
    return "DynamoDB::Table", {
        "TableName": "ledger",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        **more,
    }


def test_tables_with_encryption_recovery_and_protection(aws: Aws, deploy: Deploy) -> None:
    dynamodb = aws.client("dynamodb")
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]

    def recovery() -> str:
        found = dynamodb.describe_continuous_backups(TableName="ledger")
        backups = found["ContinuousBackupsDescription"]
        return str(backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"])

    arn = f"arn:aws:dynamodb:{REGION}:{CENTRAL}:table/ledger"
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "dynamodb:DeleteItem",
        "Resource": arn,
    }
    secured = {
        "ResourcePolicy": {"PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}},
        "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": "true"},
        "DeletionProtectionEnabled": "true",  # as a parameter gives it
    }
    assert deploy("tables", T=table(**secured)) == "CREATE_COMPLETE"
    described = dynamodb.describe_table(TableName="ledger")["Table"]
    assert described["SSEDescription"]["Status"] == "ENABLED"
    assert described["SSEDescription"]["SSEType"] == "KMS"
    assert described["SSEDescription"]["KMSMasterKeyArn"] == key
    assert described["DeletionProtectionEnabled"] is True
    assert recovery() == "ENABLED"
    policy = dynamodb.get_resource_policy(ResourceArn=arn)["Policy"]
    assert json.loads(policy)["Statement"] == [statement]
    with denied("protected"):
        dynamodb.delete_table(TableName="ledger")
    dynamodb.put_item(TableName="ledger", Item={"id": {"S": "kept"}})

    assert deploy("tables", T=table(DeletionProtectionEnabled="false")) == "UPDATE_COMPLETE"
    described = dynamodb.describe_table(TableName="ledger")["Table"]
    assert described["DeletionProtectionEnabled"] is False
    assert described.get("SSEDescription", {}).get("Status") in (None, "DISABLED")
    assert recovery() == "DISABLED"
    with denied("PolicyNotFoundException"):
        dynamodb.get_resource_policy(ResourceArn=arn)
    assert dynamodb.get_item(TableName="ledger", Key={"id": {"S": "kept"}})["Item"]

    assert deploy("tables", T=table(DeletionProtectionEnabled="true")) == "UPDATE_COMPLETE"
    assert delete(aws, "tables") == "DELETE_FAILED"
    assert "protected against deletion" in reasons(aws, "tables")
    assert dynamodb.get_item(TableName="ledger", Key={"id": {"S": "kept"}})["Item"]
    dynamodb.update_table(TableName="ledger", DeletionProtectionEnabled=False)
    assert delete(aws, "tables") == "gone"
    with denied("ResourceNotFoundException"):
        dynamodb.describe_table(TableName="ledger")
