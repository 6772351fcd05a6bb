"""Trials on real model servers: the plan is deployed, real requests are made, the look decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from governance.adapters import proportions
from governance.domain import trials
from local.sagemaker import data_capture, runtime
from tests.integration.sagemaker.support import CONSTANT, PROD, REGION, Alarms, Client, Server

AB = {
    "type": "a-b",
    "challenger_percent": 50,
    "look_seconds": 60,
    "looks": 1,
    "alpha": 0.05,
    "undecided": "ask",
}
SHADOW = {"type": "shadow", "sample_percent": 100, "seconds": 60, "max_disagreement": 0.2}
# Every third request fails, as a subgroup's would.
SOMETIMES = CONSTANT.format(value=0.5).replace('if data == "fail"', "if data % 3 == 0")


def deployment(strategy: dict[str, Any]) -> dict[str, Any]:
    return {
        "endpoint_name": "risk",
        "endpoint_arn": f"arn:aws:sagemaker:{REGION}:{PROD}:endpoint/risk",
        "variant_name": "AllTraffic",
        "config_name": "new",
        "model_name": "new",
        "instance_type": "ml.m5.large",
        "instance_count": 1,
        "claim_id": "c" * 64,
        "release": {"strategy": strategy, "alarms": [], "bake_seconds": 0},
        "autoscaling": None,
        "data_capture": None,
    }


@pytest.fixture
def hold(prod: Server, alarms: Alarms) -> Callable[..., dict[str, Any]]:
    """hold(strategy, challenger's code): champion and challenger serve; the plan."""

    def start(strategy: dict[str, Any], code: str) -> dict[str, Any]:
        sagemaker = prod.sagemaker
        prod.model("old", CONSTANT.format(value=0.5))
        prod.model("new", code)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": "old",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        sagemaker.create_endpoint_config(EndpointConfigName="old", ProductionVariants=[variant])
        endpoint = prod.endpoint("risk", "old")
        config = sagemaker.describe_endpoint_config(EndpointConfigName="old")
        plan = trials.plan(deployment(strategy), endpoint, config, {})
        trial = plan["deployment"]
        capture = trial["data_capture"] and {
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": trial["data_capture"]["uri"],
            "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        }
        sagemaker.create_endpoint_config(
            EndpointConfigName=trial["config_name"],
            **trials.variants(trial["trial"]),
            **({"DataCaptureConfig": capture} if capture else {}),
        )
        sagemaker.update_endpoint(
            EndpointName="risk",
            EndpointConfigName=trial["config_name"],
            RetainAllVariantProperties=True,
        )
        assert prod.settled("risk")["EndpointConfigName"] == trial["config_name"]
        return plan

    return start


def ask(client: Client, count: int) -> None:
    caller = client(PROD, "sagemaker-runtime")
    for number in range(count):
        try:
            caller.invoke_endpoint(
                EndpointName="risk", Body=str(number).encode(), ContentType="application/json"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ModelError":
                raise


def counted(alarms: Alarms, plan: dict[str, Any], variant: str) -> dict[str, int]:
    dimensions = {
        "EndpointName": "risk",
        "VariantName": variant,
        "EndpointConfigName": plan["deployment"]["config_name"],
    }
    return trials.counts(
        {
            "requests": alarms.sum_of("Invocations", **dimensions),
            "errors": alarms.sum_of("Invocation5XXErrors", **dimensions),
        }
    )


def look(alarms: Alarms, plan: dict[str, Any]) -> dict[str, Any]:
    old, new = (counted(alarms, plan, name) for name in ("AllTraffic", trials.CHALLENGER))
    allowed = proportions.allowed(AB["alpha"], 1, 1)
    found = {
        "worse": proportions.worse(new, old),
        "as_good": proportions.as_good(new, old, trials.MARGIN, allowed),
        "allowed": allowed,
    }
    return trials.judge_errors(AB, 1, old, new, found)


@pytest.mark.parametrize(
    ("code", "count", "decision"),
    [
        (SOMETIMES, 120, "roll-back"),
        (CONSTANT.format(value=0.5), 1000, "promote"),
        (CONSTANT.format(value=0.5), 20, "ask"),
    ],
    ids=["sometimes fails", "as good", "too few requests"],
)
def test_real_requests_decide_and_the_champion_serves_again(
    prod: Server,
    client: Client,
    alarms: Alarms,
    hold: Any,
    code: str,
    count: int,
    decision: str,
) -> None:
    plan = hold(AB, code)
    runtime.DRAWS.seed(4)
    ask(client, count)
    old, new = (counted(alarms, plan, name) for name in ("AllTraffic", trials.CHALLENGER))
    assert old["requests"] + new["requests"] == count
    assert 0.35 <= new["requests"] / count <= 0.65 or count < 100
    judged = look(alarms, plan)
    assert judged["decision"] == decision, judged["said"]
    prod.sagemaker.update_endpoint(
        EndpointName="risk",
        EndpointConfigName=plan["champion"]["config_name"],
        RetainAllVariantProperties=True,
    )
    (served,) = prod.settled("risk")["ProductionVariants"]
    assert (served["VariantName"], served["CurrentWeight"]) == ("AllTraffic", 1.0)


@pytest.mark.parametrize(
    ("value", "decision"),
    [(0.51, "promote"), (0.9, "roll-back")],
    ids=["answers alike", "silently answers otherwise"],
)
def test_a_shadow_is_judged_by_what_nobody_saw(
    client: Client,
    alarms: Alarms,
    hold: Any,
    monkeypatch: pytest.MonkeyPatch,
    value: float,
    decision: str,
) -> None:
    lines: dict[str, list[Any]] = {}

    def put(role_arn: str, bucket: str, key: str, body: bytes, kms_key: str) -> None:
        assert (bucket, key.split("/")[0]) == (f"governed-path-capture-{PROD}-{REGION}", "trials")
        found = [json.loads(entry) for entry in body.decode().splitlines()]
        lines.setdefault(key.split("/")[3], []).extend(found)

    monkeypatch.setattr(data_capture, "put_object", put)
    monkeypatch.setattr(data_capture, "CAPTURES", data_capture.Captures())
    monkeypatch.setattr(data_capture.CAPTURES, "_thread", threading.current_thread())
    hold(SHADOW, CONSTANT.format(value=value))
    ask(client, 40)
    threading.Event().wait(1)  # the shadow is asked behind the client's back
    data_capture.CAPTURES.flush()
    assert {name: len(found) for name, found in lines.items()} == {
        "AllTraffic": 40,
        trials.CHALLENGER: 40,
    }
    different, both = trials.differing(trials.pairs(lines["AllTraffic"], lines["Challenger"]))
    assert both == 40
    most = 0.2
    found = {
        "worse": 1.0,
        "fewer": proportions.below(different, both, most),
        "more": proportions.above(different, both, most),
    }
    none = {"requests": 40, "errors": 0}
    judged = trials.judge_answers(SHADOW, (different, both), none, none, found)
    assert judged["decision"] == decision, judged["said"]
