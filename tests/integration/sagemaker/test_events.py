"""Events have exactly the shapes of facts/events-and-api.md, in the account that owns the thing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.support import (
    API_CALL,
    CENTRAL,
    DEPLOYMENT_CHANGE,
    DEV,
    ENDPOINT_CHANGE,
    PACKAGE_CHANGE,
    PROD,
    Bus,
    Client,
    Server,
    group,
    make_session,
    specification,
)

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
# The keys of AWS's example.
PACKAGE_KEYS = {
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "CreationTime",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "MetadataProperties",
    "ModelMetrics",
    "ModelLifeCycle",
    "LastModifiedTime",
}
ENDPOINT_KEYS = {
    "EndpointName",
    "EndpointArn",
    "EndpointConfigName",
    "ProductionVariants",
    "EndpointStatus",
    "CreationTime",
    "LastModifiedTime",
    "Tags",
}
VARIANT_KEYS = {
    "VariantName",
    "CurrentWeight",
    "DesiredWeight",
    "CurrentInstanceCount",
    "DesiredInstanceCount",
    "VariantStatus",
}


def register(client: Client, account: str = CENTRAL, key: str | None = None) -> str:
    group(client, account=account)
    statistics = {"ContentType": "application/json", "S3Uri": "s3://models/evaluation.json"}
    answer = client(account, key=key).create_model_package(
        ModelPackageGroupName="risk",
        InferenceSpecification=specification(),
        MetadataProperties={"GeneratedBy": "a pipeline"},
        ModelMetrics={"ModelQuality": {"Statistics": statistics}},
        ModelLifeCycle={"Stage": "Dev", "StageStatus": "Registered"},
    )
    return str(answer["ModelPackageArn"])


def test_registration_is_reported_without_updated_fields(client: Client, bus: Bus) -> None:
    arn = register(client, DEV)
    (event,) = bus.of(PACKAGE_CHANGE)
    assert (event.account, event.region) == (DEV, "us-east-1")
    assert event.source == "aws.sagemaker"
    assert event.resources == [arn]
    assert set(event.detail) == PACKAGE_KEYS
    assert event.detail["ModelPackageVersion"] == 1
    assert event.detail["ModelPackageStatusDetails"] == {
        "ValidationStatuses": [],
        "ImageScanStatuses": [],
    }
    assert ISO.fullmatch(event.detail["CreationTime"])
    assert ISO.fullmatch(event.detail["LastModifiedTime"])


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (
            {"ModelLifeCycle": {"Stage": "Dev", "StageStatus": "Approved"}},
            ["ModelLifeCycle"],
        ),
        (
            {"ModelApprovalStatus": "Approved", "ApprovalDescription": "Good."},
            ["ModelApprovalStatus", "ApprovalDescription"],
        ),
        ({"SourceUri": "s3://a/b"}, ["sourceUri"]),
        ({"CustomerMetadataProperties": {"a": "b"}}, ["CustomerMetadataProperties"]),
        ({"CustomerMetadataPropertiesToRemove": ["a"]}, ["CustomerMetadataProperties"]),
        (
            {"InferenceSpecification": specification("s3://other/model.tar.gz")},
            ["InferenceSpecification"],
        ),
    ],
    ids=str,
)
def test_updates_name_the_fields(
    client: Client, bus: Bus, change: dict[str, Any], fields: list[str]
) -> None:
    arn = register(client)
    client().update_model_package(ModelPackageArn=arn, **change)
    event = bus.of(PACKAGE_CHANGE)[-1]
    assert event.detail["UpdatedModelPackageFields"] == fields
    assert set(event.detail) - PACKAGE_KEYS <= {
        "UpdatedModelPackageFields",
        "ApprovalDescription",
        "CustomerMetadataProperties",
    }
    for member, value in change.items():
        assert event.detail.get(member, value) == value


def test_a_refused_update_is_no_state_change(client: Client, bus: Bus) -> None:
    arn = register(client)
    with pytest.raises(ClientError):
        client().update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Maybe")
    assert len(bus.of(PACKAGE_CHANGE)) == 1


def test_life_cycle_transitions_are_actions_too(client: Client) -> None:
    arn = register(client)
    key = make_session(CENTRAL, "engineer", "alex", "alex")
    client(key=key).update_model_package(
        ModelPackageArn=arn, ModelLifeCycle={"Stage": "Test", "StageStatus": "Approved"}
    )
    actions = client().list_actions(ActionType="ModelLifeCycle", SourceUri=arn)["ActionSummaries"]
    assert len(actions) == 2
    latest = client().describe_action(ActionName=actions[0]["ActionName"])
    assert latest["Properties"] == {"Stage": "Test", "StageStatus": "Approved"}
    assert latest["CreatedBy"]["IamIdentity"]["SourceIdentity"] == "alex"


def test_cloudtrail_knows_who_did_what(client: Client, bus: Bus) -> None:
    arn = register(client)
    key = make_session(CENTRAL, "governance", "grace", "grace")
    client(key=key).update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"Upper-Case": "kept"},
        ModelCard={"ModelCardContent": '{"secret": 1}', "ModelCardStatus": "Approved"},
    )
    event = bus.of(API_CALL)[-1]
    detail = event.detail
    assert event.account == CENTRAL
    assert detail["eventSource"] == "sagemaker.amazonaws.com"
    assert detail["eventName"] == "UpdateModelPackage"
    assert ISO.fullmatch(detail["eventTime"])
    assert detail["requestID"] != detail["eventID"]
    assert detail["sourceIPAddress"] == "127.0.0.1"
    assert "Boto3" in detail["userAgent"]
    assert detail["responseElements"] == {"modelPackageArn": arn}
    assert "errorCode" not in detail
    assert detail["requestParameters"] == {
        "modelPackageArn": arn,
        "modelApprovalStatus": "Approved",
        "customerMetadataProperties": {"Upper-Case": "kept"},
        "modelCard": {
            "modelCardContent": "HIDDEN_DUE_TO_SECURITY_REASONS",
            "modelCardStatus": "Approved",
        },
    }
    identity = detail["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == f"arn:aws:sts::{CENTRAL}:assumed-role/governance/grace"
    assert identity["sessionContext"]["sourceIdentity"] == "grace"
    assert identity["sessionContext"]["sessionIssuer"] == {
        "type": "Role",
        "principalId": "AROAGOVERNANCE",
        "arn": f"arn:aws:iam::{CENTRAL}:role/governance",
        "accountId": CENTRAL,
        "userName": "governance",
    }


def test_cloudtrail_records_failures_and_no_reads(client: Client, bus: Bus) -> None:
    arn = register(client)
    before = len(bus.of(API_CALL))
    client().describe_model_package(ModelPackageName=arn)
    client().list_model_packages()
    with pytest.raises(ClientError):
        client().update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Maybe")
    (event,) = bus.of(API_CALL)[before:]
    assert event.detail["errorCode"] == "ValidationException"
    assert event.detail["responseElements"] is None
    assert event.detail["userIdentity"]["type"] == "Root"


def test_endpoint_events_are_in_order_and_in_shape(prod: Server, bus: Bus) -> None:
    prod.model("a")
    prod.config("first", a=1.0)
    arn = prod.endpoint("Risk", "first", Tags=[{"Key": "k", "Value": "v"}])["EndpointArn"]
    assert arn.endswith(":endpoint/risk")
    prod.config("second", a=2.0)
    prod.sagemaker.update_endpoint(EndpointName="Risk", EndpointConfigName="second")
    prod.settled("Risk")
    prod.sagemaker.delete_endpoint(EndpointName="Risk")
    changes = bus.of(ENDPOINT_CHANGE)
    assert [event.detail["EndpointStatus"] for event in changes] == [
        "CREATING",
        "IN_SERVICE",
        "UPDATING",
        "IN_SERVICE",
        "DELETING",
    ]
    for event in changes:
        assert event.account == PROD
        assert event.resources == [arn]
        assert set(event.detail) == ENDPOINT_KEYS
        assert event.detail["Tags"] == {"k": "v"}
        assert event.detail["LastModifiedTime"] > 1e12  # milliseconds
        assert isinstance(event.detail["LastModifiedTime"], float)
    assert changes[1].detail["ProductionVariants"] == [
        {"DesiredWeight": 1.0, "DesiredInstanceCount": 1}
    ]
    assert [event.detail["EndpointConfigName"] for event in changes] == [
        "first",
        "first",
        "first",
        "second",
        "second",
    ]


def test_deployment_events_show_what_is_pending(prod: Server, bus: Bus) -> None:
    prod.model("a")
    prod.config("first", a=1.0)
    prod.endpoint("risk", "first")
    before = len(bus.of(DEPLOYMENT_CHANGE))
    prod.config("second", a=2.0)
    prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName="second")
    prod.settled("risk")
    changes = bus.of(DEPLOYMENT_CHANGE)[before:]
    statuses = [
        event.detail["ProductionVariants"][0]["VariantStatus"][0]["Status"] for event in changes
    ]
    assert statuses == ["Creating", "ActivatingTraffic", "Deleting"]
    for event in changes:
        assert set(event.detail) == ENDPOINT_KEYS | {"PendingDeploymentSummary"}
        assert event.detail["EndpointStatus"] == "UPDATING"
        assert set(event.detail["ProductionVariants"][0]) == VARIANT_KEYS
        pending = event.detail["PendingDeploymentSummary"]
        assert set(pending) == {"EndpointConfigName", "StartTime", "ProductionVariants"}
        assert pending["EndpointConfigName"] == "second"
        assert set(pending["ProductionVariants"][0]) == VARIANT_KEYS


def test_a_failing_bus_does_not_hold_up_the_service(
    client: Client, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Any] = []

    def broken(*event: Any) -> None:
        events.append(event)
        raise RuntimeError("the bus is gone")

    monkeypatch.setattr("local.sagemaker.outbox.OUTBOX._emit", broken)
    register(client)
    assert bus.of(PACKAGE_CHANGE) == []
    assert len(events) == 3  # two calls and a state change
