"""Who can read a candidate's bytes, by the bucket as deployed; and after a recall nobody can.

By its name this runs after the other files: it recalls a version that they look at.
"""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from local import organisation as places
from tests.e2e.organisation import (
    ARTIFACTS_BUCKET,
    CENTRAL,
    DEV,
    PROD,
    PROJECT_BUCKET,
    TEST,
    Organisation,
    denied,
    eventually,
)
from tests.e2e.scenarios import REPLACED, Replaced, Untested

EXECUTION = "governed-path-endpoint-execution"


def _objects(organisation: Organisation, arn: str) -> dict[str, dict[str, Any]]:
    """{role: location} of a Central version's objects, by the candidates table."""
    from governance.adapters import items

    version = organisation.central(arn)
    key = {
        "candidate_id": {"S": version["CustomerMetadataProperties"]["candidate-id"]},
        "model": {"S": version["ModelPackageGroupName"]},
    }
    found = organisation.root(CENTRAL, "dynamodb").get_item(
        TableName="governed-path-candidates", Key=key
    )
    return {one["role"]: one for one in items.from_item(found["Item"])["objects"]}


READS, DENIED = (True, True), (False, False)


def _reads(session: boto3.Session, location: dict[str, Any]) -> tuple[bool, bool]:
    """Whether the session reads the object, as SageMaker does and by its version.

    The two differ only for who asks while a clearance is given or revoked.
    """
    s3 = session.client("s3")
    place = {"Bucket": location["bucket"], "Key": location["key"]}
    return (
        not denied(s3.get_object, **place),
        not denied(s3.get_object, **place, VersionId=location["version_id"]),
    )


@pytest.fixture(scope="module")
def endpoints(organisation: Organisation) -> dict[str, boto3.Session]:
    """The endpoint execution roles of Test and Prod."""
    return {account: organisation.borrow(account, EXECUTION) for account in (TEST, PROD)}


def test_nobody_reads_a_version_that_no_gate_has_let_pass(
    organisation: Organisation, untested: Untested, endpoints: dict[str, boto3.Session]
) -> None:
    arn = untested.released.entry["model_package_arn"]
    for location in _objects(organisation, arn).values():
        assert _reads(endpoints[TEST], location) == DENIED
        assert _reads(endpoints[PROD], location) == DENIED


def test_prod_reads_what_was_released_and_what_it_would_roll_back_to(
    organisation: Organisation, replaced: Replaced, endpoints: dict[str, boto3.Session]
) -> None:
    for released in (replaced.first, replaced.second):
        objects = _objects(organisation, released.entry["model_package_arn"])
        assert _reads(endpoints[PROD], objects["model-data"]) == READS
        # Nothing but what an endpoint loads: the holdout has patients in it.
        assert _reads(endpoints[PROD], objects["holdout"]) == DENIED
        assert _reads(endpoints[PROD], objects["evaluation"]) == DENIED


def test_test_reads_nothing_any_more_once_its_tests_are_over(
    organisation: Organisation, replaced: Replaced, endpoints: dict[str, boto3.Session]
) -> None:
    objects = _objects(organisation, replaced.first.entry["model_package_arn"])
    eventually(
        lambda: _reads(endpoints[TEST], objects["model-data"]) == DENIED, "the end of Test's"
    )
    kinds = [
        (entry["kind"], entry["clearance"]["stages"])
        for entry in organisation.entries(REPLACED)
        if entry["kind"].startswith("Clearance")
        and entry["model_package_arn"] == replaced.first.entry["model_package_arn"]
    ]
    assert kinds == [
        ("ClearanceGranted", ["Test"]),
        ("ClearanceRevoked", ["Test"]),
        ("ClearanceGranted", ["Prod"]),
    ]


def test_dev_reads_nothing_of_central(organisation: Organisation, replaced: Replaced) -> None:
    """Not even what is cleared for Prod, whichever of Dev's roles asks; nor does it write."""
    objects = _objects(organisation, replaced.second.entry["model_package_arn"])
    iam = organisation.root(DEV, "iam")
    names = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    ours = [name for name in names if name.startswith("governed-path-")]
    assert {"governed-path-data-scientist", "governed-path-training", "governed-path-hub"} <= set(
        ours
    )
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    for name in ours:
        # Whatever Dev's own admins give its roles: it is Central's bucket that says no.
        iam.put_role_policy(RoleName=name, PolicyName="e2e-s3", PolicyDocument=document)
        try:
            s3 = organisation.borrow(DEV, name).client("s3")
            for location in objects.values():
                place = {"Bucket": location["bucket"], "Key": location["key"]}
                assert denied(s3.get_object, **place), name
                assert denied(s3.put_object, **place, Body=b""), name
            assert denied(s3.list_objects_v2, Bucket=ARTIFACTS_BUCKET), name
        finally:
            iam.delete_role_policy(RoleName=name, PolicyName="e2e-s3")


def test_central_does_not_write_to_dev(organisation: Organisation) -> None:
    """Not as the role that reads Dev, nor as any that copies, whatever Central gives it."""
    iam = organisation.root(CENTRAL, "iam")
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    names = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    copying = [n for n in names if n.startswith(("governed-path-copy", "governed-path-check-acc"))]
    assert len(copying) >= 2
    for name in copying:
        iam.put_role_policy(RoleName=name, PolicyName="e2e-s3", PolicyDocument=document)
        try:
            s3 = organisation.borrow(CENTRAL, name).client("s3")
            assert denied(s3.put_object, Bucket=PROJECT_BUCKET, Key="models/x", Body=b"")
            assert denied(s3.delete_object, Bucket=PROJECT_BUCKET, Key="models/x")
        finally:
            iam.delete_role_policy(RoleName=name, PolicyName="e2e-s3")
    hub = organisation.borrow(DEV, "governed-path-hub").client("s3")
    assert denied(hub.put_object, Bucket=PROJECT_BUCKET, Key="models/x", Body=b"")


def test_no_person_and_no_other_function_clears(
    organisation: Organisation, untested: Untested
) -> None:
    location = _objects(organisation, untested.released.entry["model_package_arn"])["model-data"]
    place = {key: location[key] for key in ("bucket", "key", "version_id")}
    tags = {"TagSet": [{"Key": "cleared-prod", "Value": "yes"}]}
    iam = organisation.root(CENTRAL, "iam")
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    for name in ("governed-path-admin", "governed-path-copy-batch", "governed-path-record"):
        iam.put_role_policy(RoleName=name, PolicyName="e2e-s3", PolicyDocument=document)
        try:
            s3 = organisation.borrow(CENTRAL, name).client("s3")
            assert denied(
                s3.put_object_tagging,
                Bucket=place["bucket"],
                Key=place["key"],
                VersionId=place["version_id"],
                Tagging=tags,
            ), name
            assert denied(
                s3.put_object,
                Bucket=place["bucket"],
                Key=place["key"],
                Body=b"",
                Tagging="cleared-prod=yes",
            ), name
        finally:
            iam.delete_role_policy(RoleName=name, PolicyName="e2e-s3")


def test_an_endpoint_of_an_uncleared_version_fails_with_awss_words(
    organisation: Organisation, untested: Untested
) -> None:
    """Somebody in Test makes one by hand: SageMaker cannot fetch the bytes."""
    location = _objects(organisation, untested.released.entry["model_package_arn"])["model-data"]
    container = organisation.central(untested.released.entry["model_package_arn"])
    image = container["InferenceSpecification"]["Containers"][0]["Image"]
    sagemaker = organisation.root(TEST, "sagemaker")
    name = "by-hand"
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=f"arn:aws:iam::{TEST}:role/{EXECUTION}",
        PrimaryContainer={
            "Image": image,
            "ModelDataUrl": f"s3://{location['bucket']}/{location['key']}",
        },
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
        return found if found["EndpointStatus"] == "Failed" else None

    failed = eventually(look, "the endpoint by hand")
    assert "Failed to download model data" in failed["FailureReason"]
    assert "AccessDenied" in failed["FailureReason"]
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)


def test_after_a_recall_prod_reads_it_no_more(
    organisation: Organisation, replaced: Replaced, endpoints: dict[str, boto3.Session]
) -> None:
    arn = replaced.first.entry["model_package_arn"]
    model_data = _objects(organisation, arn)["model-data"]
    assert _reads(endpoints[PROD], model_data) == READS
    grace = places.persona_session("governance-engineer", organisation.server.endpoint_url)
    grace.client("sagemaker", endpoint_url=organisation.server.endpoint_url).update_model_package(
        ModelPackageArn=arn,
        ModelLifeCycle={
            "Stage": "Prod",
            "StageStatus": "Recalled",
            "StageDescription": "Wrong for patients above 90.",
        },
    )
    eventually(lambda: _reads(endpoints[PROD], model_data) == DENIED, "the end of Prod's clearance")
    revoked = eventually(
        lambda: [
            e
            for e in organisation.entries(REPLACED)
            if e["kind"] == "ClearanceRevoked" and e["reason"].endswith("(VersionRecalled)")
        ],
        "the revocation",
    )
    assert [e["clearance"]["stages"] for e in revoked] == [["Prod"]]
    successor = _objects(organisation, replaced.second.entry["model_package_arn"])["model-data"]
    assert _reads(endpoints[PROD], successor) == READS
