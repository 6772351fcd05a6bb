"""Endpoints: real model servers, transitions, failures, rollback, weights."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from local import sagemaker
from local.sagemaker import artifacts, hosting, runtime
from tests.integration.sagemaker.support import (
    CONSTANT,
    DEPLOYMENT_CHANGE,
    ENDPOINT_CHANGE,
    IMAGE,
    PROD,
    Bus,
    Client,
    Server,
    make_role,
)

HANGS = "import time\ndef model_fn(model_dir):\n    time.sleep(600)\n"
CRASHES = "def model_fn(model_dir):\n    raise RuntimeError('weights are missing')\n"
EXITS = "import os\nos._exit(7)\n"


def invoke(client: Client, endpoint: str, body: bytes = b"1", **more: Any) -> Any:
    return client(PROD, "sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, Body=body, ContentType="application/json", **more
    )


def model_servers() -> list[psutil.Process]:
    # Those of this process: an embedded AWS that another suite has running is a child with its own.
    found = psutil.Process().children()
    return [p for p in found if "local.sagemaker.model_server" in " ".join(p.cmdline())]


def test_serves_the_model(prod: Server, client: Client) -> None:
    prod.model("a")
    prod.config("c", a=1.0)
    created = prod.sagemaker.create_endpoint(EndpointName="risk", EndpointConfigName="c")
    assert created["EndpointArn"].endswith(":endpoint/risk")
    first = prod.sagemaker.describe_endpoint(EndpointName="risk")
    assert first["EndpointStatus"] == "Creating"
    assert first["PendingDeploymentSummary"]["EndpointConfigName"] == "c"
    endpoint = prod.settled("risk")
    assert endpoint["EndpointStatus"] == "InService"
    assert "PendingDeploymentSummary" not in endpoint
    (variant,) = endpoint["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1.0, 1.0)
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 1)
    assert variant["DeployedImages"][0]["SpecifiedImage"].endswith(":1.4-2-cpu-py3")
    answer = invoke(client, "risk", b'{"x": 1}')
    assert answer["Body"].read() == b'{"model": "a", "data": {"x": 1}}'
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "a"


def test_model_servers_are_in_our_process_group(prod: Server) -> None:
    prod.model("a")
    prod.config("c", a=1.0)
    prod.endpoint("risk", "c")
    (server,) = model_servers()
    assert os.getpgid(server.pid) == os.getpgid(0)
    addresses = {c.laddr.ip for c in server.net_connections("inet") if c.status == "LISTEN"}
    assert addresses == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (CRASHES, "weights are missing"),
        (EXITS, "exit code 7"),
        ("syntax error", "SyntaxError"),
        ("x = 1", "no model_fn"),
    ],
)
def test_a_crashing_model_fails_the_endpoint(prod: Server, code: str, reason: str) -> None:
    prod.model("a", code)
    prod.config("c", a=1.0)
    endpoint = prod.endpoint("risk", "c")
    assert endpoint["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert reason in endpoint["FailureReason"]
    assert not model_servers()
    with pytest.raises(ClientError, match="Cannot update failed endpoint"):
        prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName="c")
    prod.sagemaker.delete_endpoint(EndpointName="risk")


def test_a_hanging_model_fails_the_endpoint(prod: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNED_PATH_ENDPOINT_START_SECONDS", "1.5")
    prod.model("a", HANGS)
    prod.config("c", a=1.0)
    endpoint = prod.endpoint("risk", "c")
    assert endpoint["EndpointStatus"] == "Failed"
    assert "did not answer /ping within 1.5 s" in endpoint["FailureReason"]
    assert not model_servers()


def test_other_images_fail_with_a_reason(prod: Server) -> None:
    prod.model("a", image="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.3")
    prod.config("c", a=1.0)
    endpoint = prod.endpoint("risk", "c")
    assert endpoint["EndpointStatus"] == "Failed"
    assert "pytorch-inference:2.3" in endpoint["FailureReason"]
    assert "sagemaker-scikit-learn" in endpoint["FailureReason"]


@pytest.mark.parametrize(
    "data", [b"", b"not an archive", b"\x1f\x8b broken"], ids=["empty", "text", "truncated"]
)
def test_broken_archives_fail_with_a_reason(prod: Server, data: bytes) -> None:
    prod.model("a")
    prod.bucket["s3://models/a/model.tar.gz"] = data
    prod.config("c", a=1.0)
    endpoint = prod.endpoint("risk", "c")
    assert endpoint["EndpointStatus"] == "Failed"
    assert "Failed to extract model data archive" in endpoint["FailureReason"]


def test_missing_archives_fail_with_a_reason(prod: Server) -> None:
    prod.model("a")
    del prod.bucket["s3://models/a/model.tar.gz"]
    prod.config("c", a=1.0)
    assert "no object s3://models/a" in prod.endpoint("risk", "c")["FailureReason"]


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside"])
def test_archives_cannot_reach_outside(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    (tmp_path / "model.tar.gz").write_bytes(buffer.getvalue())
    (tmp_path / "model").mkdir()
    with pytest.raises(artifacts.ArtifactError, match="Failed to extract"):
        artifacts.unpack(tmp_path / "model.tar.gz", tmp_path / "model", "s3://b/k")
    assert not (tmp_path / "outside").exists()


def test_a_model_may_be_the_objects_under_a_prefix(
    prod: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "tree/code/inference.py": CONSTANT.format(value="tree").encode(),
        "tree/weights/1.bin": b"",
    }
    prod.bucket.update({f"s3://models/{key}": body for key, body in files.items()})
    monkeypatch.setattr(artifacts, "keys_under", lambda url, role: ["tree/", *files])
    source = {"S3Uri": "s3://models/tree/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    prod.sagemaker.create_model(
        ModelName="a",
        PrimaryContainer={"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}},
        ExecutionRoleArn=make_role(PROD, "execution"),
    )
    prod.config("c", a=1.0)
    assert prod.endpoint("risk", "c")["EndpointStatus"] == "InService"
    assert invoke(client, "risk")["InvokedProductionVariant"] == "a"


@pytest.mark.parametrize(
    ("keys", "problem"),
    [([], "0 objects at URL"), (["tree/../../outside"], "is no file name")],
)
def test_a_prefix_that_is_no_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[str], problem: str
) -> None:
    monkeypatch.setattr(artifacts, "keys_under", lambda url, role: keys)
    with pytest.raises(artifacts.ArtifactError, match=problem):
        artifacts.fetch_all("s3://models/tree/", "arn:aws:iam::1:role/r", tmp_path / "model")


@pytest.mark.parametrize(
    ("uri", "kind", "compression"),
    [
        ("s3://b/model/", "S3Prefix", "Gzip"),
        ("s3://b/model", "S3Prefix", "None"),
        ("s3://b/model/", "S3Object", "Gzip"),
        ("s3://b/model", "S3Object", "None"),
    ],
)
def test_model_data_of_other_forms_is_refused(uri: str, kind: str, compression: str) -> None:
    source = {"S3Uri": uri, "S3DataType": kind, "CompressionType": compression}
    with pytest.raises(artifacts.ArtifactError, match=r"S3Prefix, None.*not s3://b/model"):
        artifacts.model_data_url({"ModelDataSource": {"S3DataSource": source}})


def test_update_moves_to_the_new_config(prod: Server, client: Client) -> None:
    for name in ("a", "b"):
        prod.model(name)
        prod.config(f"{name}-config", **{name: 1.0})
    before = prod.endpoint("risk", "a-config")
    prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName="b-config")
    updating = prod.sagemaker.describe_endpoint(EndpointName="risk")
    assert updating["EndpointStatus"] == "Updating"
    assert updating["EndpointConfigName"] == "a-config"
    assert updating["PendingDeploymentSummary"]["EndpointConfigName"] == "b-config"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName="a-config")
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        prod.sagemaker.delete_endpoint(EndpointName="risk")
    after = prod.settled("risk")
    assert after["EndpointConfigName"] == "b-config"
    assert after["LastModifiedTime"] > before["LastModifiedTime"]
    assert invoke(client, "risk")["InvokedProductionVariant"] == "b"
    assert len(model_servers()) == 1


def test_no_request_is_lost_while_traffic_moves(prod: Server, client: Client) -> None:
    slow = CONSTANT.format(value="a").replace("import json", "import json, time", 1)
    prod.model(
        "a", slow.replace('    if data == "fail"', '    time.sleep(0.2)\n    if data == "fail"')
    )
    prod.model("b")
    prod.config("a-config", a=1.0)
    prod.config("b-config", b=1.0)
    prod.endpoint("risk", "a-config")
    calls, failures, served = client(PROD, "sagemaker-runtime"), [], set()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answer = calls.invoke_endpoint(
                    EndpointName="risk", Body=b"1", ContentType="application/json"
                )
                served.add(answer["InvokedProductionVariant"])
            except ClientError as error:
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName="b-config")
    prod.settled("risk")
    time.sleep(0.2)
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert served == {"a", "b"}


def test_a_failing_update_goes_back_silently(prod: Server, client: Client, bus: Bus) -> None:
    prod.model("a")
    prod.model("b", CRASHES)
    prod.config("good", a=1.0)
    prod.config("bad", b=1.0)
    before = prod.endpoint("risk", "good")
    prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName="bad")
    after = prod.settled("risk")
    assert after["EndpointStatus"] == "InService"
    assert after["EndpointConfigName"] == "good"
    assert after["LastModifiedTime"] > before["LastModifiedTime"]
    assert "FailureReason" not in after
    assert [event.detail["EndpointStatus"] for event in bus.of(ENDPOINT_CHANGE)][-3:] == [
        "UPDATING",
        "ROLLING_BACK",
        "IN_SERVICE",
    ]
    (variant,) = bus.of(DEPLOYMENT_CHANGE)[-1].detail["ProductionVariants"]
    assert "weights are missing" in variant["VariantStatus"][0]["StatusMessage"]
    assert invoke(client, "risk")["InvokedProductionVariant"] == "a"
    assert len(model_servers()) == 1


def test_update_keeps_variant_properties_on_request(prod: Server) -> None:
    prod.model("a")
    prod.config("first", a=1.0)
    prod.config("second", a=4.0)
    prod.endpoint("risk", "first")
    prod.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="risk",
        DesiredWeightsAndCapacities=[
            {"VariantName": "a", "DesiredWeight": 3.0, "DesiredInstanceCount": 5}
        ],
    )
    (variant,) = prod.settled("risk")["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (3.0, 5)
    prod.sagemaker.update_endpoint(
        EndpointName="risk",
        EndpointConfigName="second",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    (variant,) = prod.settled("risk")["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (4.0, 5)


def test_deployment_config_is_checked_and_kept(prod: Server) -> None:
    prod.model("a")
    prod.config("first", a=1.0)
    prod.endpoint("risk", "first")

    def update(routing: dict[str, Any], **more: Any) -> None:
        policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 0}
        prod.sagemaker.update_endpoint(
            EndpointName="risk",
            EndpointConfigName="first",
            DeploymentConfig={"BlueGreenUpdatePolicy": policy, **more},
        )

    canary = {"Type": "CANARY", "WaitIntervalInSeconds": 0}
    size = {"Type": "CAPACITY_PERCENT", "Value": 10}
    with pytest.raises(ClientError, match="CanarySize is required"):
        update(canary)
    with pytest.raises(ClientError, match="LinearStepSize is required"):
        update({**canary, "Type": "LINEAR"})
    with pytest.raises(ClientError, match="only for it"):
        update({**canary, "Type": "ALL_AT_ONCE", "CanarySize": size})
    with pytest.raises(ClientError, match="not both"):
        update(
            {**canary, "CanarySize": size},
            RollingUpdatePolicy={"MaximumBatchSize": size, "WaitIntervalInSeconds": 0},
        )
    update({**canary, "CanarySize": size})
    routing = prod.settled("risk")["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert routing["TrafficRoutingConfiguration"]["CanarySize"] == size


def test_configs_are_described_as_given(prod: Server) -> None:
    prod.model("a")
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 20,
        "DestinationS3Uri": "s3://capture/risk",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    variant = {"ModelName": "a", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    prod.sagemaker.create_endpoint_config(
        EndpointConfigName="c",
        ProductionVariants=[{**variant, "VariantName": "main"}],
        ShadowProductionVariants=[{**variant, "VariantName": "shadow"}],
        DataCaptureConfig=capture,
    )
    described = prod.sagemaker.describe_endpoint_config(EndpointConfigName="c")
    assert described["DataCaptureConfig"] == capture
    assert described["ProductionVariants"][0]["InitialVariantWeight"] == 1.0
    assert described["ShadowProductionVariants"][0]["VariantName"] == "shadow"
    endpoint = prod.endpoint("risk", "c")
    assert endpoint["DataCaptureConfig"]["CaptureStatus"] == "Started"
    assert endpoint["DataCaptureConfig"]["CurrentSamplingPercentage"] == 20


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ({"ModelName": "absent"}, "Could not find model"),
        ({"InstanceType": None}, "InstanceType or a ServerlessConfig"),
        ({"InitialInstanceCount": None}, "InitialInstanceCount"),
        ({"InstanceType": "ml.none"}, "enum value set"),
        ({"InitialVariantWeight": -1.0}, "greater than or equal to 0"),
    ],
)
def test_configs_are_checked(prod: Server, variant: dict[str, Any], reason: str) -> None:
    prod.model("a")
    good = {
        "VariantName": "v",
        "ModelName": "a",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    merged = {key: value for key, value in {**good, **variant}.items() if value is not None}
    with pytest.raises(ClientError, match=reason):
        prod.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[merged])


def test_names_are_taken_once_and_missing_ones_are_named(prod: Server) -> None:
    prod.model("a")
    prod.config("c", a=1.0)
    prod.endpoint("risk", "c")
    sm = prod.sagemaker
    for call in (
        lambda: prod.model("A"),
        lambda: prod.config("C", a=1.0),
        lambda: sm.create_endpoint(EndpointName="RISK", EndpointConfigName="c"),
    ):
        with pytest.raises(ClientError, match="Cannot create already existing"):
            call()
    for call in (
        lambda: sm.describe_model(ModelName="x"),
        lambda: sm.describe_endpoint_config(EndpointConfigName="x"),
        lambda: sm.describe_endpoint(EndpointName="x"),
        lambda: sm.delete_endpoint(EndpointName="x"),
        lambda: sm.create_endpoint(EndpointName="x", EndpointConfigName="x"),
    ):
        with pytest.raises(ClientError, match=r"ValidationException.*Could not find"):
            call()
    assert [one["EndpointName"] for one in sm.list_endpoints()["Endpoints"]] == ["risk"]
    assert sm.list_endpoints(StatusEquals="Failed")["Endpoints"] == []
    assert [one["ModelName"] for one in sm.list_models()["Models"]] == ["a"]
    assert [one["EndpointConfigName"] for one in sm.list_endpoint_configs()["EndpointConfigs"]] == [
        "c"
    ]


def test_delete_ends_the_model_server(prod: Server, client: Client, tmp_path: Path) -> None:
    prod.model("a")
    prod.config("c", a=1.0)
    prod.endpoint("risk", "c")
    sm = prod.sagemaker
    sm.delete_model(ModelName="a")
    sm.delete_endpoint_config(EndpointConfigName="c")
    assert invoke(client, "risk")["InvokedProductionVariant"] == "a"
    sm.delete_endpoint(EndpointName="risk")
    deadline = time.monotonic() + 10
    while sm.list_endpoints()["Endpoints"] and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sm.describe_endpoint(EndpointName="risk")
    assert not model_servers()
    assert not list(tmp_path.glob("sagemaker-endpoint-*"))
    with pytest.raises(ClientError, match="not found"):
        invoke(client, "risk")


def test_reset_ends_what_is_starting(prod: Server, client: Client, bus: Bus) -> None:
    prod.model("a", HANGS)
    prod.config("c", a=1.0)
    prod.sagemaker.create_endpoint(EndpointName="risk", EndpointConfigName="c")
    deadline = time.monotonic() + 10
    while not model_servers() and time.monotonic() < deadline:
        time.sleep(0.05)
    sagemaker.reset()
    assert not model_servers()
    assert client(PROD).list_endpoints()["Endpoints"] == []
    time.sleep(0.2)
    assert [event.detail["EndpointStatus"] for event in bus.of(ENDPOINT_CHANGE)] == ["CREATING"]


def test_a_server_that_is_stopped_before_it_is_known_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`stop` comes between the fork and the note of it."""
    replica = hosting.Replica(hosting.Plan("a", [{}], "role", "us-east-1"), tmp_path)
    made: list[subprocess.Popen[bytes]] = []

    def late() -> None:
        replica._stopped = True
        replica._end()
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        made.append(subprocess.Popen(command, stdin=subprocess.PIPE))
        replica._process = made[0]

    monkeypatch.setattr(replica, "_spawn", late)
    starting = threading.Thread(target=_refused, args=(replica,), daemon=True)
    starting.start()
    starting.join(5)
    ended = made[0].poll() is not None
    made[0].kill()
    assert ended


def _refused(replica: hosting.Replica) -> None:
    with pytest.raises(hosting.HostingError):
        replica.start()


def test_shutdown_leaves_nothing(prod: Server, tmp_path: Path) -> None:
    prod.model("a")
    prod.config("c", a=1.0)
    prod.endpoint("risk", "c")
    sagemaker.shutdown()
    assert not model_servers()
    assert not list(tmp_path.glob("sagemaker-endpoint-*"))


def test_traffic_follows_the_weights(prod: Server, client: Client) -> None:
    prod.model("a")
    prod.model("b")
    prod.config("c", a=90.0, b=10.0)
    prod.endpoint("risk", "c")
    runtime.DRAWS.seed(7)
    caller = client(PROD, "sagemaker-runtime")

    def shares(count: int) -> float:
        served = [
            caller.invoke_endpoint(EndpointName="risk", Body=b"1", ContentType="application/json")
            for _ in range(count)
        ]
        return sum(answer["InvokedProductionVariant"] == "a" for answer in served) / count

    assert 0.82 <= shares(200) <= 0.97
    assert invoke(client, "risk", TargetVariant="b")["InvokedProductionVariant"] == "b"
    with pytest.raises(ClientError, match=r"ValidationError.*Variant none not found"):
        invoke(client, "risk", TargetVariant="none")
    prod.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="risk",
        DesiredWeightsAndCapacities=[{"VariantName": "a", "DesiredWeight": 0.0}],
    )
    prod.settled("risk")
    assert shares(20) == 0.0


def test_choice_is_exact_at_the_borders() -> None:
    variants = [
        {"VariantName": "a", "CurrentWeight": 9.0},
        {"VariantName": "none", "CurrentWeight": 0.0},
        {"VariantName": "b", "CurrentWeight": 1.0},
    ]
    assert [runtime.choose(variants, draw) for draw in (0.0, 0.899, 0.9, 0.9999)] == [
        "a",
        "a",
        "b",
        "b",
    ]
    idle = [{"VariantName": "a", "CurrentWeight": 0.0}]
    assert runtime.choose(idle, 0.5) == "a"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "said"),
    [
        (b"{", "application/json", 400, "Expecting"),
        (b"a,b", "text/csv", 400, "expected application/json, not text/csv"),
        (b'"fail"', "application/json", 500, "RuntimeError: cannot predict"),
    ],
)
def test_model_errors_have_aws_shape(
    prod: Server, client: Client, body: bytes, content_type: str, status: int, said: str
) -> None:
    prod.model("a")
    prod.config("c", a=1.0)
    prod.endpoint("risk", "c")
    with pytest.raises(ClientError) as raised:
        client(PROD, "sagemaker-runtime").invoke_endpoint(
            EndpointName="risk", Body=body, ContentType=content_type
        )
    response: Any = raised.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert said in response["OriginalMessage"]
    side = "client" if status == 400 else "server"
    assert response["Error"]["Message"].startswith(f"Received {side} error ({status}) from primary")
    assert response["LogStreamArn"].endswith("/aws/sagemaker/Endpoints/risk")


def test_a_model_server_that_dies_is_started_again(prod: Server, client: Client) -> None:
    dies = CONSTANT.format(value="a").replace(
        '    if data == "fail":',
        '    if data == "die":\n        import os; os._exit(3)\n    if data == "fail":',
    )
    prod.model("a", dies)
    prod.config("c", a=1.0)
    prod.endpoint("risk", "c")
    with pytest.raises(ClientError, match=r"ModelError.*Received server error \(500\)"):
        invoke(client, "risk", b'"die"')
    assert invoke(client, "risk")["Body"].read() == b'{"model": "a", "data": 1}'


def test_a_model_that_hangs_times_out(
    prod: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "_ANSWER_SECONDS", 0.5)
    hangs = CONSTANT.format(value="a").replace(
        '    if data == "fail":',
        '    if data == "hang":\n        import time; time.sleep(60)\n    if data == "fail":',
    )
    prod.model("a", hangs)
    prod.config("c", a=1.0)
    prod.endpoint("risk", "c")
    with pytest.raises(ClientError, match="invocation timed out"):
        invoke(client, "risk", b'"hang"')
    assert invoke(client, "risk")["Body"].read() == b'{"model": "a", "data": 1}'


def test_runtime_refuses_what_it_cannot_route(prod: Server, client: Client) -> None:
    prod.model("a")
    prod.config("c", a=1.0)
    prod.endpoint("Risk", "c")
    with pytest.raises(ClientError, match=f"Endpoint none of account {PROD} not found"):
        invoke(client, "none")
    with pytest.raises(ClientError, match="not found"):
        invoke(client, "risk")  # here the case matters
    with pytest.raises(ClientError, match=r"ValidationError.*largest payload"):
        invoke(client, "Risk", b"1" * (6 * 1024 * 1024 + 1))
