"""What the tests of the SageMaker service share: accounts, roles, models, a bus that remembers."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ministack.core.responses import request_scope, set_request_account_id, set_request_region
from ministack.services import cloudwatch, iam, sts

from local.sagemaker import scaling, validation
from local.sagemaker.outbox import OUTBOX
from local.seams import metrics

CENTRAL, DEV, PROD = "111122223333", "444455556666", "123456789012"
REGION = "us-east-1"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
PACKAGE_CHANGE = "SageMaker Model Package State Change"
ENDPOINT_CHANGE = "SageMaker Endpoint State Change"
DEPLOYMENT_CHANGE = "SageMaker Endpoint Deployment State Change"
API_CALL = "AWS API Call via CloudTrail"

Client = Callable[..., Any]


@dataclass
class Event:
    """One event as the service gave it to the host."""

    account: str
    region: str
    source: str
    detail_type: str
    detail: dict[str, Any]
    resources: list[str]


@dataclass
class Bus:
    """What the service has emitted."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, *event: Any) -> None:
        self.events.append(Event(*event))

    def of(self, detail_type: str) -> list[Event]:
        """The events of a type that are out by now, in order."""
        assert OUTBOX.drain()
        return [event for event in self.events if event.detail_type == detail_type]


def call(service: Any, access_key: str, request: Any) -> tuple[int, dict[str, str], bytes]:
    set_request_account_id(access_key)
    set_request_region(REGION)
    headers = {
        key.lower(): value.decode() if isinstance(value, bytes) else value
        for key, value in request.headers.items()
    }
    body = request.body or b""
    answer: tuple[int, dict[str, str], bytes] = asyncio.run(
        service(
            request.method,
            urlsplit(request.url).path,
            headers,
            body.encode() if isinstance(body, str) else bytes(body),
            {},
        )
    )
    _check_output(headers.get("x-amz-target", ""), answer)
    return answer


def _check_output(target: str, answer: tuple[int, dict[str, str], bytes]) -> None:
    """What the service answers must be what the service model says, to the last member."""
    if answer[0] != 200 or not target:
        return
    prefix, _, name = target.partition(".")
    if prefix.startswith("GraniteService"):
        return  # CloudWatch, which is the emulator's
    service = "sagemaker" if prefix == "SageMaker" else scaling.SERVICE
    shape = validation.operation(name, service).output_shape
    document = json.loads(answer[2])
    problems = list(validation._problems(shape, document, "")) if shape else []
    # The model calls this required; versions in a group have none.
    problems = [problem for problem in problems if "'modelPackageName'" not in problem]
    assert not problems, problems
    if shape is None:
        assert document == {}


def make_role(account: str, name: str, *statements: dict[str, Any]) -> str:
    """A role that SageMaker may assume, with these permissions; its ARN."""
    arn = f"arn:aws:iam::{account}:role/{name}"
    trust = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ]
    }
    with request_scope(account, REGION):
        iam._roles[name] = {
            "RoleName": name,
            "Arn": arn,
            "RoleId": f"AROA{name.upper()}",
            "AssumeRolePolicyDocument": json.dumps(trust),
            "InlinePolicies": {"all": json.dumps({"Statement": list(statements)})},
        }
    return arn


def make_session(account: str, role: str, session: str, source_identity: str = "") -> str:
    """A session of a role as AssumeRole makes it; its access key."""
    key = f"ASIA{abs(hash((account, role, session))):016d}"
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
            "UserId": f"AROA{role.upper()}:{session}",
            "SecretAccessKey": "local",
            "SessionToken": "token",
            "AccountId": account,
            "PrincipalType": "AssumedRole",
            **({"SourceIdentity": source_identity} if source_identity else {}),
        },
    )
    return key


CONSTANT = """
import json

def model_fn(model_dir):
    return {value!r}

def input_fn(body, content_type):
    if content_type != "application/json":
        raise ValueError("expected application/json, not " + content_type)
    return json.loads(body)

def predict_fn(data, model):
    if data == "fail":
        raise RuntimeError("cannot predict")
    return {{"model": model, "data": data}}

def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""


def archive(code: str) -> bytes:
    """The bytes of a model.tar.gz with that code/inference.py."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("code/inference.py")
        info.size = len(code.encode())
        tar.addfile(info, io.BytesIO(code.encode()))
    return buffer.getvalue()


@dataclass
class Server:
    """Shorthands for what the tests of endpoints set up."""

    sagemaker: Any
    bucket: dict[str, bytes]

    def model(self, name: str, code: str | None = None, image: str = IMAGE) -> str:
        url = f"s3://models/{name}/model.tar.gz"
        self.bucket[url] = archive(code or CONSTANT.format(value=name))
        watches = {"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": "*"}
        role = make_role(PROD, "execution", watches)
        self.sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={"Image": image, "ModelDataUrl": url},
            ExecutionRoleArn=role,
        )
        return name

    def config(self, name: str, **weights: float) -> str:
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": variant,
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "InitialVariantWeight": weight,
                }
                for variant, weight in weights.items()
            ],
        )
        return name

    def endpoint(self, name: str, config: str, **more: Any) -> dict[str, Any]:
        """Create it and wait until it has come to rest."""
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, **more)
        return self.settled(name)

    def settled(self, name: str, seconds: float = 30) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            endpoint: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            if endpoint["EndpointStatus"] in ("InService", "Failed"):
                return endpoint
            time.sleep(0.05)
        raise AssertionError(f"{name} did not settle: {endpoint}")


class Alarms:
    """The emulator's alarms in Prod."""

    def put(self, name: str, metric: str, config: str = "", **more: Any) -> str:
        """An alarm on a metric of variant v of endpoint risk; of one of its configs if given."""
        dimensions = {"EndpointName": "risk", "VariantName": "v"}
        if config:
            dimensions["EndpointConfigName"] = config
        alarm = {
            "AlarmName": name,
            "Namespace": "AWS/SageMaker",
            "MetricName": metric,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 0.0,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            **more,
        }
        with request_scope(PROD, REGION):
            status, _, body = cloudwatch._put_metric_alarm({}, alarm, False, True)
        assert status == 200, body
        return name

    def set(self, name: str, state: str) -> None:
        """SetAlarmState."""
        request = {"AlarmName": name, "StateValue": state, "StateReason": "a person"}
        with request_scope(PROD, REGION):
            status, _, body = cloudwatch._set_alarm_state({}, request, False, True)
        assert status == 200, body

    def state(self, name: str) -> str:
        """The state after a look."""
        with request_scope(PROD, REGION):
            metrics.evaluate(name)
            return str(cloudwatch._alarms[name]["StateValue"])

    def sum_of(self, metric: str, **dimensions: str) -> float:
        """What has been put of a metric of AWS/SageMaker so far."""
        with request_scope(PROD, REGION):
            key = ("AWS/SageMaker", metric, cloudwatch._dims_key(dimensions))
            return float(sum(point["Value"] for point in cloudwatch._metrics.get(key) or []))


def group(client: Client, name: str = "risk", account: str = CENTRAL) -> str:
    """A group; its ARN."""
    answer = client(account).create_model_package_group(ModelPackageGroupName=name)
    return str(answer["ModelPackageGroupArn"])


def specification(url: str = "s3://models/risk/model.tar.gz") -> dict[str, Any]:
    """An inference specification of one scikit-learn container."""
    return {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": url}],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
