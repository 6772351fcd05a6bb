"""Shadow variants, which nobody sees, and what data capture writes of every variant."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.sagemaker import data_capture, runtime
from tests.integration.sagemaker.support import CONSTANT, PROD, REGION, Alarms, Client, Server

Written = list[dict[str, Any]]
SLOW = CONSTANT.format(value="slow").replace("import json", "import json, time", 1)
SLOW = SLOW.replace('    if data == "fail"', '    time.sleep(1.5)\n    if data == "fail"')


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    """What is put into S3, in place of S3."""
    objects: Written = []

    def put(role_arn: str, bucket: str, key: str, body: bytes, kms_key: str) -> None:
        lines = [json.loads(entry) for entry in body.decode().splitlines()]
        objects.append(
            {"role": role_arn, "bucket": bucket, "key": key, "kms": kms_key, "lines": lines}
        )

    monkeypatch.setattr(data_capture, "put_object", put)
    monkeypatch.setattr(data_capture, "CAPTURES", data_capture.Captures())
    # What flushes by itself would do so at any time.
    monkeypatch.setattr(data_capture.CAPTURES, "_thread", threading.current_thread())
    return objects


def capture(percent: int = 100, *modes: str, **more: Any) -> dict[str, Any]:
    return {
        "InitialSamplingPercentage": percent,
        "DestinationS3Uri": "s3://captured/some/where",
        "CaptureOptions": [{"CaptureMode": mode} for mode in modes or ("Input", "Output")],
        **more,
    }


@pytest.fixture
def serve(prod: Server) -> Callable[..., None]:
    """serve(model, shadow=(model, weight), capture=...): endpoint risk with variant v."""

    def variant(name: str, model: str, weight: float = 1.0) -> dict[str, Any]:
        return {
            "VariantName": name,
            "ModelName": model,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
            "InitialVariantWeight": weight,
        }

    def make(
        model: str, shadow: tuple[str, float] | None = None, capture: dict[str, Any] | None = None
    ) -> None:
        more: dict[str, Any] = {}
        if shadow:
            more["ShadowProductionVariants"] = [variant("shadow", *shadow)]
        if capture:
            more["DataCaptureConfig"] = capture
        prod.sagemaker.create_endpoint_config(
            EndpointConfigName="c", ProductionVariants=[variant("v", model)], **more
        )
        endpoint = prod.endpoint("risk", "c")
        assert endpoint["EndpointStatus"] == "InService", endpoint

    return make


@pytest.fixture
def ask(client: Client) -> Callable[..., Any]:
    caller = client(PROD, "sagemaker-runtime")

    def call(body: bytes = b"1", **more: Any) -> Any:
        given = {"ContentType": "application/json", **more}
        return caller.invoke_endpoint(EndpointName="risk", Body=body, **given)

    return call


def counted(alarms: Alarms, metric: str, variant: str) -> float:
    return alarms.sum_of(metric, EndpointName="risk", VariantName=variant)


def eventually(look: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---------------------------------------------------------------------------------------- shadows


def test_a_shadow_is_asked_and_nobody_waits_for_it(
    prod: Server, serve: Any, ask: Any, alarms: Alarms
) -> None:
    prod.model("a")
    prod.model("slow", SLOW)
    serve("a", shadow=("slow", 1.0))
    described = prod.sagemaker.describe_endpoint(EndpointName="risk")
    assert [one["VariantName"] for one in described["ShadowProductionVariants"]] == ["shadow"]
    started = time.monotonic()
    answer = ask()
    assert time.monotonic() - started < 1
    assert json.loads(answer["Body"].read())["model"] == "a"
    assert answer["InvokedProductionVariant"] == "v"
    eventually(lambda: counted(alarms, "Invocations", "shadow") == 1)
    assert counted(alarms, "ModelLatency", "shadow") > 1_500_000
    assert counted(alarms, "Invocations", "v") == 1
    with pytest.raises(ClientError, match="Variant shadow not found"):
        ask(TargetVariant="shadow")


def test_a_failing_shadow_is_only_counted(
    prod: Server, serve: Any, ask: Any, alarms: Alarms
) -> None:
    prod.model("a")
    prod.model("bad", CONSTANT.format(value="bad").replace('if data == "fail"', "if True"))
    serve("a", shadow=("bad", 1.0))
    for _ in range(3):
        ask()
    eventually(lambda: counted(alarms, "Invocation5XXErrors", "shadow") == 3)
    assert counted(alarms, "Invocation5XXErrors", "v") == 0


def test_the_weight_is_the_sampled_part(prod: Server, serve: Any, ask: Any, alarms: Alarms) -> None:
    prod.model("a")
    prod.model("b")
    serve("a", shadow=("b", 0.2))
    runtime.DRAWS.seed(5)
    for _ in range(150):
        ask()
    time.sleep(0.5)
    assert 15 <= counted(alarms, "Invocations", "shadow") <= 45
    change = {"VariantName": "shadow", "DesiredWeight": 0.0}
    prod.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="risk", DesiredWeightsAndCapacities=[change]
    )
    prod.settled("risk")
    before = counted(alarms, "Invocations", "shadow")
    for _ in range(20):
        ask()
    time.sleep(0.3)
    assert counted(alarms, "Invocations", "shadow") == before


def test_there_is_one_shadow_of_one_variant(prod: Server) -> None:
    prod.model("a")
    variants = [
        {
            "VariantName": name,
            "ModelName": "a",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        for name in ("one", "two", "three")
    ]
    with pytest.raises(ClientError, match="only one variant for ProductionVariants"):
        prod.sagemaker.create_endpoint_config(
            EndpointConfigName="c",
            ProductionVariants=variants[:2],
            ShadowProductionVariants=variants[2:],
        )


# ---------------------------------------------------------------------------------------- capture


def test_what_is_asked_and_answered_is_captured(
    prod: Server, serve: Any, ask: Any, written: Written
) -> None:
    prod.model("a")
    header = {"JsonContentTypes": ["application/json"]}
    serve("a", capture=capture(CaptureContentTypeHeader=header))
    ask(b'{"x": 1}', InferenceId="one")
    ask(b'{"x": 2}')
    data_capture.CAPTURES.flush()
    (written_object,) = written
    assert written_object["bucket"] == "captured"
    assert written_object["role"] == f"arn:aws:iam::{PROD}:role/execution"
    assert re.fullmatch(
        r"some/where/risk/v/\d{4}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl",
        written_object["key"],
    )
    first, second = written_object["lines"]
    assert first["captureData"] == {
        "endpointInput": {
            "observedContentType": "application/json",
            "mode": "INPUT",
            "data": '{"x": 1}',
            "encoding": "JSON",
        },
        "endpointOutput": {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": '{"model": "a", "data": {"x": 1}}',
            "encoding": "JSON",
        },
    }
    assert first["eventVersion"] == "0"
    assert first["eventMetadata"]["inferenceId"] == "one"
    assert re.fullmatch(r"[-\dT:]{19}Z", first["eventMetadata"]["inferenceTime"])
    assert "inferenceId" not in second["eventMetadata"]
    assert first["eventMetadata"]["eventId"] != second["eventMetadata"]["eventId"]


def test_types_that_the_config_does_not_name_are_base64(
    prod: Server, serve: Any, ask: Any, written: Written
) -> None:
    prod.model("a")
    serve("a", capture=capture(100, "Input"))
    ask(b"1")
    data_capture.CAPTURES.flush()
    (line,) = written[0]["lines"]
    assert set(line["captureData"]) == {"endpointInput"}
    captured = line["captureData"]["endpointInput"]
    assert (captured["encoding"], base64.b64decode(captured["data"])) == ("BASE64", b"1")


def test_both_sides_and_the_key_of_the_encryption(
    prod: Server, serve: Any, ask: Any, written: Written
) -> None:
    prod.model("a")
    serve("a", capture=capture(100, "InputAndOutput", KmsKeyId="alias/captured"))
    ask()
    data_capture.CAPTURES.flush()
    assert written[0]["kms"] == "alias/captured"
    assert set(written[0]["lines"][0]["captureData"]) == {"endpointInput", "endpointOutput"}


def test_the_shadows_answers_are_captured_apart(
    prod: Server, serve: Any, ask: Any, alarms: Alarms, written: Written
) -> None:
    prod.model("a")
    prod.model("b")
    header = {"JsonContentTypes": ["application/json"]}
    serve("a", shadow=("b", 1.0), capture=capture(CaptureContentTypeHeader=header))
    ask(b"7", InferenceId="one")
    eventually(lambda: counted(alarms, "Invocations", "shadow") == 1)
    time.sleep(0.2)
    data_capture.CAPTURES.flush()
    found = {entry["key"].split("/")[3]: entry["lines"] for entry in written}
    assert set(found) == {"v", "shadow"}
    answers = {
        variant: json.loads(lines[0]["captureData"]["endpointOutput"]["data"])["model"]
        for variant, lines in found.items()
    }
    assert answers == {"v": "a", "shadow": "b"}
    assert {lines[0]["eventMetadata"]["inferenceId"] for lines in found.values()} == {"one"}


def test_a_part_of_the_requests_is_captured(
    prod: Server, serve: Any, ask: Any, written: Written
) -> None:
    prod.model("a")
    serve("a", capture=capture(30))
    runtime.DRAWS.seed(9)
    for _ in range(100):
        ask()
    data_capture.CAPTURES.flush()
    assert 18 <= sum(len(entry["lines"]) for entry in written) <= 42


def test_errors_and_what_is_switched_off_are_not_captured(
    prod: Server, serve: Any, ask: Any, written: Written
) -> None:
    prod.model("a")
    serve("a", capture=capture(EnableCapture=True))
    with pytest.raises(ClientError, match="ModelError"):
        ask(b'"fail"')
    variant = {
        "VariantName": "v",
        "ModelName": "a",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    prod.sagemaker.create_endpoint_config(
        EndpointConfigName="off",
        ProductionVariants=[variant],
        DataCaptureConfig=capture(EnableCapture=False),
    )
    prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName="off")
    after = prod.settled("risk")
    assert after["DataCaptureConfig"]["CaptureStatus"] == "Stopped"
    ask()
    data_capture.CAPTURES.flush()
    assert written == []


def test_lines_are_written_by_themselves_in_scaled_time(
    prod: Server, serve: Any, ask: Any, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod.model("a")
    monkeypatch.setattr(data_capture.CAPTURES, "_thread", None)
    serve("a", capture=capture())
    ask()
    eventually(lambda: bool(written))


def test_what_the_role_may_not_write_is_lost_and_logged(
    prod: Server,
    serve: Any,
    ask: Any,
    written: Written,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    prod.model("a")
    serve("a", capture=capture())

    def deny(*_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": REGION}}, "PutObject")

    monkeypatch.setattr(data_capture, "put_object", deny)
    ask()
    data_capture.CAPTURES.flush()
    assert "1 captured invocations of risk are lost" in caplog.text
    assert ask()["InvokedProductionVariant"] == "v"
