"""The service inside the whole embedded AWS: IAM, sessions, S3, event buses, processes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from local import launcher, organisation
from tests.integration.sagemaker.support import CONSTANT, IMAGE, archive, specification

CENTRAL, PROD = (organisation.ACCOUNTS[name] for name in ("central", "prod"))
REGION = organisation.REGION
GROUP = f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package-group/risk"

Client = Callable[..., Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[launcher.Server]:
    directory = tmp_path_factory.mktemp("aws") / "state"
    yield launcher.up(directory)
    launcher.down(directory)


@pytest.fixture(scope="module")
def client(server: launcher.Server) -> Client:
    """client(service, account or session): boto3's, at the server."""

    def make(service: str, who: str | boto3.Session = CENTRAL) -> Any:
        session = organisation.root_session(who) if isinstance(who, str) else who
        return session.client(service, endpoint_url=server.endpoint_url)

    return make


def allow(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


@pytest.fixture(scope="module")
def role(client: Client) -> Callable[..., str]:
    """role(account, name, *statements, service=None): a role of the account's root or a service."""

    def make(account: str, name: str, *statements: dict[str, Any], service: str = "") -> str:
        principal = {"Service": service} if service else {"AWS": f"arn:aws:iam::{account}:root"}
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": principal,
                    "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
                }
            ],
        }
        iam = client("iam", account)
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        if statements:
            policy = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        return f"arn:aws:iam::{account}:role/{name}"

    return make


@pytest.fixture(scope="module")
def assumed(server: launcher.Server) -> Callable[..., boto3.Session]:
    """assumed(role ARN, person): a session with the person as source identity."""

    def make(arn: str, person: str) -> boto3.Session:
        root = organisation.root_session(arn.split(":")[4])
        return organisation.assume(root, arn, server.endpoint_url, person, source_identity=True)

    return make


@pytest.fixture(scope="module")
def model_url(client: Client) -> str:
    """model.tar.gz in a bucket of Prod."""
    s3 = client("s3", PROD)
    s3.create_bucket(Bucket="prod-models")
    s3.put_object(Bucket="prod-models", Key="m.tar.gz", Body=archive(CONSTANT.format(value="m")))
    return "s3://prod-models/m.tar.gz"


@pytest.fixture(scope="module")
def version(client: Client, model_url: str) -> str:
    """An approved version in Central that Prod may create models from."""
    sagemaker = client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="risk")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="risk",
        InferenceSpecification=specification(model_url),
        ModelApprovalStatus="Approved",
    )["ModelPackageArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{PROD}:root"},
        "Action": ["sagemaker:DescribeModelPackage", "sagemaker:CreateModel"],
        "Resource": f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package/risk/*",
    }
    sagemaker.put_model_package_group_policy(
        ModelPackageGroupName="risk",
        ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    return str(arn)


@pytest.fixture(scope="module")
def reader(role: Callable[..., str]) -> str:
    """An execution role that may read the models."""
    return role(
        PROD, "reader", allow("s3:GetObject", resource="*"), service="sagemaker.amazonaws.com"
    )


def settled(sagemaker: Any, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        endpoint: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
        if endpoint["EndpointStatus"] in ("InService", "Failed"):
            return endpoint
        time.sleep(0.1)
    raise AssertionError(f"{name} did not settle")


def deploy(sagemaker: Any, name: str, container: dict[str, Any], role_arn: str) -> dict[str, Any]:
    """A model, a config and an endpoint of that name; what has become of it."""
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role_arn)
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
            }
        ],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return settled(sagemaker, name)


def test_prod_deploys_an_approved_version_with_its_own_role(
    client: Client,
    role: Callable[..., str],
    assumed: Callable[..., boto3.Session],
    version: str,
    reader: str,
) -> None:
    hub = role(
        PROD,
        "hub",
        allow("sagemaker:*"),
        allow("iam:PassRole", resource=reader),
    )
    session = assumed(hub, "claim")
    endpoint = deploy(
        client("sagemaker", session), "approved", {"ModelPackageName": version}, reader
    )
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
    answer = client("sagemaker-runtime", session).invoke_endpoint(
        EndpointName="approved", Body=b"[1]", ContentType="application/json"
    )
    assert json.loads(answer["Body"].read()) == {"model": "m", "data": [1]}
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_model_errors_reach_the_client(client: Client, version: str, reader: str) -> None:
    deploy(client("sagemaker", PROD), "errors", {"ModelPackageName": version}, reader)
    with pytest.raises(ClientError) as raised:
        client("sagemaker-runtime", PROD).invoke_endpoint(
            EndpointName="errors", Body=b"1", ContentType="text/csv"
        )
    response: Any = raised.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 400
    with pytest.raises(ClientError, match=r"ValidationError.*not found"):
        client("sagemaker-runtime", PROD).invoke_endpoint(EndpointName="none", Body=b"1")


def test_a_role_that_may_not_read_fails_the_endpoint(
    client: Client, role: Callable[..., str], model_url: str
) -> None:
    blind = role(PROD, "blind", service="sagemaker.amazonaws.com")
    container = {"Image": IMAGE, "ModelDataUrl": model_url}
    endpoint = deploy(client("sagemaker", PROD), "blind", container, blind)
    assert endpoint["EndpointStatus"] == "Failed"
    assert "Failed to download model data" in endpoint["FailureReason"]
    assert "not authorized to perform: s3:GetObject" in endpoint["FailureReason"]


def test_roles_limit_who_approves_what(
    client: Client,
    role: Callable[..., str],
    assumed: Callable[..., boto3.Session],
    version: str,
) -> None:
    update = "sagemaker:UpdateModelPackage"
    deny_prod = {
        "Effect": "Deny",
        "Action": update,
        "Resource": "*",
        "Condition": {"StringEquals": {"sagemaker:ModelLifeCycle:stage": "Prod"}},
    }
    engineer = role(CENTRAL, "engineer", allow(update), deny_prod)
    sagemaker = client("sagemaker", assumed(engineer, "alex"))
    with pytest.raises(ClientError, match=r"AccessDenied.*explicit deny"):
        sagemaker.update_model_package(
            ModelPackageArn=version, ModelLifeCycle={"Stage": "Prod", "StageStatus": "Approved"}
        )
    sagemaker.update_model_package(
        ModelPackageArn=version, ModelLifeCycle={"Stage": "Test", "StageStatus": "Approved"}
    )
    described = client("sagemaker").describe_model_package(ModelPackageName=version)
    identity = described["LastModifiedBy"]["IamIdentity"]
    assert identity["Arn"] == f"arn:aws:sts::{CENTRAL}:assumed-role/engineer/alex"
    assert identity["SourceIdentity"] == "alex"


def test_prod_reads_what_the_group_policy_shares(
    client: Client,
    role: Callable[..., str],
    assumed: Callable[..., boto3.Session],
    version: str,
) -> None:
    auditor = role(PROD, "auditor", allow("sagemaker:Describe*", "sagemaker:Update*"))
    sagemaker = client("sagemaker", assumed(auditor, "paula"))
    described = sagemaker.describe_model_package(ModelPackageName=version)
    assert described["ModelPackageArn"] == version
    with pytest.raises(ClientError, match="AccessDenied"):
        sagemaker.update_model_package(ModelPackageArn=version, ApprovalDescription="mine")
    with pytest.raises(ClientError, match="AccessDenied"):
        sagemaker.describe_model_package_group(ModelPackageGroupName=GROUP)


def test_events_arrive_on_the_bus_of_the_account(client: Client, version: str) -> None:
    sqs, events = client("sqs"), client("events")
    queue = sqs.create_queue(QueueName="seen")["QueueUrl"]
    events.put_rule(
        Name="approvals",
        EventPattern=json.dumps(
            {
                "source": ["aws.sagemaker"],
                "account": [CENTRAL],
                "detail-type": ["SageMaker Model Package State Change"],
                "detail": {
                    "UpdatedModelPackageFields": ["ModelLifeCycle"],
                    "ModelLifeCycle": {"Stage": ["Prod"], "StageStatus": ["Approved"]},
                },
            }
        ),
    )
    events.put_targets(
        Rule="approvals",
        Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{CENTRAL}:seen"}],
    )
    sagemaker = client("sagemaker")
    sagemaker.update_model_package(ModelPackageArn=version, SourceUri="s3://not/this")
    sagemaker.update_model_package(
        ModelPackageArn=version, ModelLifeCycle={"Stage": "Prod", "StageStatus": "Approved"}
    )
    messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10).get("Messages", [])
    (event,) = (json.loads(message["Body"]) for message in messages)
    assert event["source"] == "aws.sagemaker"
    assert event["account"] == CENTRAL
    assert event["resources"] == [version]
    assert event["detail"]["UpdatedModelPackageFields"] == ["ModelLifeCycle"]


def eventually(look: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)
    return found


def test_captured_requests_are_written_by_the_execution_role(
    client: Client, role: Callable[..., str], model_url: str
) -> None:
    s3, sagemaker = client("s3", PROD), client("sagemaker", PROD)
    s3.create_bucket(Bucket="captured")
    read = allow("s3:GetObject")
    writer = role(
        PROD,
        "writer",
        read,
        allow("s3:PutObject", resource="arn:aws:s3:::captured/may/*"),
        service="sagemaker.amazonaws.com",
    )
    sagemaker.create_model(
        ModelName="captured",
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": model_url},
        ExecutionRoleArn=writer,
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "captured",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    for folder in ("may", "not"):
        sagemaker.create_endpoint_config(
            EndpointConfigName=folder,
            ProductionVariants=[variant],
            DataCaptureConfig={
                "EnableCapture": True,
                "InitialSamplingPercentage": 100,
                "DestinationS3Uri": f"s3://captured/{folder}",
                "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
                "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
            },
        )
        sagemaker.create_endpoint(EndpointName=folder, EndpointConfigName=folder)
        assert settled(sagemaker, folder)["DataCaptureConfig"]["CaptureStatus"] == "Started"
        client("sagemaker-runtime", PROD).invoke_endpoint(
            EndpointName=folder, Body=b"[1]", ContentType="application/json"
        )
    (found,) = eventually(
        lambda: s3.list_objects_v2(Bucket="captured", Prefix="may/may/AllTraffic/").get("Contents")
    )
    line = json.loads(s3.get_object(Bucket="captured", Key=found["Key"])["Body"].read())
    assert line["captureData"]["endpointInput"]["data"] == "[1]"
    assert json.loads(line["captureData"]["endpointOutput"]["data"]) == {"model": "m", "data": [1]}
    time.sleep(2)
    assert "Contents" not in s3.list_objects_v2(Bucket="captured", Prefix="not/")


def test_an_alarm_on_real_requests_rolls_a_release_back(
    client: Client, role: Callable[..., str], model_url: str
) -> None:
    """The whole way: requests, metrics, CloudWatch's own API, the endpoint, the event of AWS."""
    s3, sagemaker, cloudwatch = (client(name, PROD) for name in ("s3", "sagemaker", "cloudwatch"))
    bad = CONSTANT.format(value="bad").replace('if data == "fail"', "if True")
    s3.put_object(Bucket="prod-models", Key="bad.tar.gz", Body=archive(bad))
    alarm = "governed-path-guarded-server-errors"
    watcher = role(
        PROD,
        "watcher",
        allow("s3:GetObject"),
        allow(
            "cloudwatch:DescribeAlarms",
            resource=f"arn:aws:cloudwatch:{REGION}:{PROD}:alarm:governed-path-*",
        ),
        service="sagemaker.amazonaws.com",
    )
    for name, url in (("good", model_url), ("bad", "s3://prod-models/bad.tar.gz")):
        sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": url},
            ExecutionRoleArn=watcher,
        )
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": name,
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                }
            ],
        )
    sagemaker.create_endpoint(EndpointName="guarded", EndpointConfigName="good")
    assert settled(sagemaker, "guarded")["EndpointStatus"] == "InService"
    dimensions = {"EndpointName": "guarded", "VariantName": "AllTraffic"}
    cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    sagemaker.update_endpoint(
        EndpointName="guarded",
        EndpointConfigName="bad",
        RetainAllVariantProperties=True,
        DeploymentConfig={
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": "CANARY",
                    "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                    "WaitIntervalInSeconds": 3600,
                }
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]},
        },
    )
    runtime = client("sagemaker-runtime", PROD)

    def failed() -> bool:
        try:
            runtime.invoke_endpoint(
                EndpointName="guarded", Body=b"1", ContentType="application/json"
            )
        except ClientError as error:
            return error.response["Error"]["Code"] == "ModelError"
        return False

    eventually(failed)
    after = settled(sagemaker, "guarded")
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "good")
    history = cloudwatch.describe_alarm_history(AlarmName=alarm, HistoryItemType="StateUpdate")
    assert any("to ALARM" in item["HistorySummary"] for item in history["AlarmHistoryItems"])
    assert not any(failed() for _ in range(10))


def test_scaling_is_asked_of_iam(
    client: Client,
    role: Callable[..., str],
    assumed: Callable[..., boto3.Session],
    version: str,
    reader: str,
) -> None:
    deploy(client("sagemaker", PROD), "scaled", {"ModelPackageName": version}, reader)
    scaler = role(
        PROD,
        "scaler",
        allow(
            "application-autoscaling:RegisterScalableTarget",
            resource=f"arn:aws:application-autoscaling:{REGION}:{PROD}:scalable-target/*",
            Condition={
                "StringEquals": {
                    "application-autoscaling:service-namespace": "sagemaker",
                    "application-autoscaling:scalable-dimension": (
                        "sagemaker:variant:DesiredInstanceCount"
                    ),
                }
            },
        ),
    )
    scaling = client("application-autoscaling", assumed(scaler, "claim"))
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/scaled/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    with pytest.raises(ClientError, match="AccessDenied"):
        scaling.deregister_scalable_target(**target)
    other = {**target, "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}
    with pytest.raises(ClientError, match="AccessDenied"):
        scaling.register_scalable_target(**other, MinCapacity=1, MaxCapacity=2)
    found = client("application-autoscaling", PROD).describe_scalable_targets(
        ServiceNamespace="sagemaker"
    )
    assert [one["MaxCapacity"] for one in found["ScalableTargets"]] == [2]


def test_nothing_survives_the_server(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "state"
    server = launcher.up(directory)
    try:
        root = organisation.root_session(PROD)
        clients = {
            name: root.client(name, endpoint_url=server.endpoint_url)
            for name in ("s3", "iam", "sagemaker")
        }
        clients["s3"].create_bucket(Bucket="models")
        body = archive(CONSTANT.format(value="m"))
        clients["s3"].put_object(Bucket="models", Key="m", Body=body)
        trust = {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sagemaker.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ]
        }
        clients["iam"].create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))
        clients["iam"].put_role_policy(
            RoleName="r",
            PolicyName="p",
            PolicyDocument=json.dumps({"Statement": [allow("s3:GetObject")]}),
        )
        container = {"Image": IMAGE, "ModelDataUrl": "s3://models/m"}
        endpoint = deploy(clients["sagemaker"], "m", container, f"arn:aws:iam::{PROD}:role/r")
        assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
        (model_server,) = psutil.Process(server.pid).children()
        assert list((directory / "tmp").glob("sagemaker-endpoint-*"))
        os.kill(server.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs([model_server], timeout=10)
        assert not alive
    finally:
        launcher.down(directory)
    assert not directory.exists()
