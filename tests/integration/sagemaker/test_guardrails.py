"""Deployment guardrails: traffic moves in steps, alarms are watched, a bad model goes back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli import endpoints
from local import clock
from local.sagemaker import runtime
from tests.integration.sagemaker.support import (
    CONSTANT,
    DEPLOYMENT_CHANGE,
    ENDPOINT_CHANGE,
    PROD,
    Alarms,
    Bus,
    Client,
    Server,
    make_role,
)

TEN = {"Type": "CAPACITY_PERCENT", "Value": 10}
FAILS = CONSTANT.format(value="bad").replace('if data == "fail"', "if True")


def policy(kind: str = "ALL_AT_ONCE", wait: int = 0, end: int = 0, **size: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **size}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": end,
        }
    }


def watched(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {
        **config,
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in names]},
    }


@pytest.fixture
def risk(prod: Server) -> Callable[..., str]:
    """risk(name, code): a config of that name with one variant v that serves the code."""

    def make(name: str, code: str | None = None, **more: Any) -> str:
        prod.model(name, code)
        variant = {
            "VariantName": "v",
            "ModelName": name,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
            **more,
        }
        prod.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        return name

    return make


@pytest.fixture
def ask(client: Client) -> Callable[[], str]:
    """Which model answers, "error" if it answers with one."""
    caller = client(PROD, "sagemaker-runtime")

    def call() -> str:
        try:
            answer = caller.invoke_endpoint(
                EndpointName="risk", Body=b"1", ContentType="application/json"
            )
        except ClientError:
            return "error"
        return str(answer["Body"].read().decode().split('"')[3])

    return call


@contextmanager
def traffic(ask: Callable[[], str]) -> Iterator[Counter[str]]:
    """Requests all the time, counted by the model that answered."""
    answers: Counter[str] = Counter()
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            answers[ask()] += 1
            time.sleep(0.005)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def update(prod: Server, config: str, deployment: dict[str, Any]) -> None:
    prod.sagemaker.update_endpoint(
        EndpointName="risk", EndpointConfigName=config, DeploymentConfig=deployment
    )


def until(prod: Server, status: str, share: float, seconds: float = 20) -> dict[str, Any]:
    """The endpoint once its pending variant has that status and that weight."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        endpoint: dict[str, Any] = prod.sagemaker.describe_endpoint(EndpointName="risk")
        pending = endpoint.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
        for variant in pending:
            shown = [entry["Status"] for entry in variant.get("VariantStatus", [])]
            if status in shown and abs(variant["CurrentWeight"] - share) < 1e-6:
                return endpoint
        assert endpoint["EndpointStatus"] == "Updating", endpoint
        time.sleep(0.01)
    raise AssertionError(f"never {status} with {share}: {endpoint}")


def statuses(bus: Bus, before: int) -> list[tuple[str, float]]:
    """(status, weight of the new fleet) of every deployment event since."""
    return [
        (variant["VariantStatus"][0]["Status"], round(variant["CurrentWeight"], 3))
        for event in bus.of(DEPLOYMENT_CHANGE)[before:]
        for variant in event.detail["PendingDeploymentSummary"]["ProductionVariants"]
    ]


def test_a_canary_takes_its_part_and_then_all(
    prod: Server, risk: Any, ask: Callable[[], str], alarms: Alarms, bus: Bus
) -> None:
    prod.endpoint("risk", risk("old"))
    runtime.DRAWS.seed(3)
    before = len(bus.of(DEPLOYMENT_CHANGE))
    size = {"Type": "CAPACITY_PERCENT", "Value": 40}
    update(prod, risk("new"), policy("CANARY", wait=300, end=60, CanarySize=size))
    baking = until(prod, "Baking", 0.4)
    assert baking["EndpointConfigName"] == "old"
    assert baking["ProductionVariants"][0]["CurrentWeight"] == pytest.approx(0.6)
    served = Counter(ask() for _ in range(200))
    assert 0.3 <= served["new"] / 200 <= 0.5
    assert served["error"] == 0
    until(prod, "Baking", 1.0)
    assert {ask() for _ in range(20)} == {"new"}
    after = prod.settled("risk")
    assert after["EndpointConfigName"] == "new"
    assert after["ProductionVariants"][0]["CurrentWeight"] == 1.0
    assert "VariantStatus" not in after["ProductionVariants"][0]
    assert statuses(bus, before) == [
        ("Creating", 0.0),
        ("ActivatingTraffic", 0.4),
        ("Baking", 0.4),
        ("ActivatingTraffic", 1.0),
        ("Baking", 1.0),
        ("Deleting", 1.0),
    ]


def test_linear_moves_step_by_step(
    prod: Server, risk: Any, ask: Callable[[], str], alarms: Alarms, bus: Bus
) -> None:
    prod.endpoint("risk", risk("old"))
    before = len(bus.of(DEPLOYMENT_CHANGE))
    size = {"Type": "CAPACITY_PERCENT", "Value": 40}
    with traffic(ask) as served:
        update(prod, risk("new"), policy("LINEAR", wait=60, LinearStepSize=size))
        prod.settled("risk")
    assert set(served) == {"old", "new"}  # and nothing was lost
    moved = [share for status, share in statuses(bus, before) if status == "ActivatingTraffic"]
    assert moved == [0.4, 0.8, 1.0]


def test_waits_are_in_scaled_time(
    prod: Server, risk: Any, alarms: Alarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(clock.VARIABLE, "0.005")
    prod.endpoint("risk", risk("old"))
    update(prod, risk("new"), policy("CANARY", wait=400, end=200, CanarySize=TEN))
    until(prod, "Baking", 0.1)
    started = time.monotonic()
    prod.settled("risk")
    assert 2.5 <= time.monotonic() - started <= 4.5


def test_an_alarm_from_real_requests_rolls_back(
    prod: Server, risk: Any, ask: Callable[[], str], alarms: Alarms, bus: Bus
) -> None:
    prod.endpoint("risk", risk("old"))
    before, changes = len(bus.of(DEPLOYMENT_CHANGE)), len(bus.of(ENDPOINT_CHANGE))
    alarms.put("server-errors", "Invocation5XXErrors")
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    canary = watched(policy("CANARY", wait=3000, CanarySize=size), "server-errors")
    with traffic(ask) as served:
        update(prod, risk("bad", FAILS), canary)
        after = prod.settled("risk")
        told = served["error"]
        time.sleep(0.3)
        assert served["error"] <= told + 1  # one may have been under way
    assert served["old"]
    assert served["error"]
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "old")
    assert "PendingDeploymentSummary" not in after
    assert after["ProductionVariants"][0]["CurrentWeight"] == 1.0
    assert [event.detail["EndpointStatus"] for event in bus.of(ENDPOINT_CHANGE)[changes:]] == [
        "UPDATING",
        "ROLLING_BACK",
        "IN_SERVICE",
    ]
    (variant,) = bus.of(DEPLOYMENT_CHANGE)[-1].detail["ProductionVariants"]
    assert "server-errors" in variant["VariantStatus"][0]["StatusMessage"]
    assert statuses(bus, before)[-2:] == [("ActivatingTraffic", 0.0), ("Deleting", 0.0)]
    assert {ask() for _ in range(10)} == {"old"}


def test_an_alarm_may_look_at_the_new_fleet_alone(
    prod: Server, risk: Any, ask: Callable[[], str], alarms: Alarms
) -> None:
    prod.endpoint("risk", risk("broken", FAILS))
    alarms.put("new-errors", "Invocation5XXErrors", config="fixed")
    alarms.put("all-errors", "Invocation5XXErrors")
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    with traffic(ask):
        update(
            prod,
            risk("fixed"),
            watched(policy("CANARY", wait=100, CanarySize=size), "new-errors"),
        )
        assert prod.settled("risk")["EndpointConfigName"] == "fixed"
    assert ask() == "fixed"


def test_a_slow_model_trips_its_latency_alarm(
    prod: Server, risk: Any, ask: Callable[[], str], alarms: Alarms
) -> None:
    slow = CONSTANT.format(value="slow").replace("import json", "import json, time", 1)
    slow = slow.replace('    if data == "fail"', '    time.sleep(0.8)\n    if data == "fail"')
    prod.endpoint("risk", risk("old"))
    alarms.put("latency", "ModelLatency", Statistic="Maximum", Threshold=600_000.0)
    with traffic(ask) as served:
        update(prod, risk("slow", slow), watched(policy(end=3000), "latency"))
        assert prod.settled("risk")["EndpointConfigName"] == "old"
    assert served["slow"]


def test_a_model_that_crashes_under_load_is_counted_restarted_and_rolled_back(
    prod: Server, risk: Any, ask: Callable[[], str], alarms: Alarms
) -> None:
    """One request at a time passes; only those of real traffic show what is wrong."""
    weak = (
        "import os, time\nseen = []\n"
        "def model_fn(model_dir):\n    return None\n"
        "def input_fn(body, content_type):\n    return body\n"
        "def predict_fn(data, model):\n"
        "    now = time.monotonic()\n"
        "    seen.append(now)\n"
        "    if sum(now - then < 0.5 for then in seen) > 10:\n        os._exit(9)\n"
        "    return data\n"
        "def output_fn(prediction, accept):\n"
        "    return '{\"model\": \"weak\"}', 'application/json'\n"
    )
    prod.endpoint("risk", risk("old"))
    update(prod, risk("weak", weak), policy())
    prod.settled("risk")
    assert {ask() for _ in range(5)} == {"weak"}
    variant = {"EndpointName": "risk", "VariantName": "v"}
    assert alarms.sum_of("Invocation5XXErrors", **variant) == 0
    under_load = Counter(ask() for _ in range(15))
    assert under_load["error"] >= 1
    assert alarms.sum_of("Invocation5XXErrors", **variant) == under_load["error"]
    time.sleep(0.6)
    assert ask() == "weak"  # started again
    prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName="old")
    prod.settled("risk")
    time.sleep(1.5)
    alarms.put("server-errors", "Invocation5XXErrors", config="weak")
    with traffic(ask) as served:
        update(prod, "weak", watched(policy(end=3000), "server-errors"))
        assert prod.settled("risk")["EndpointConfigName"] == "old"
    assert served["error"]


def test_raising_an_alarm_stops_a_running_deployment(
    prod: Server, risk: Any, ask: Callable[[], str], alarms: Alarms
) -> None:
    prod.endpoint("risk", risk("old"))
    stop = alarms.put("stop", "NobodyPutsThis", TreatMissingData="missing")
    update(prod, risk("new"), watched(policy("CANARY", wait=3000, CanarySize=TEN), stop))
    until(prod, "Baking", 0.1)
    alarms.set(stop, "ALARM")
    assert alarms.state(stop) == "ALARM"  # the evaluation does not hide it at once
    assert prod.settled("risk")["EndpointConfigName"] == "old"
    assert {ask() for _ in range(10)} == {"old"}


def test_an_alarm_that_was_raised_while_the_fleet_started_is_seen(
    prod: Server, risk: Any, alarms: Alarms, bus: Bus
) -> None:
    prod.endpoint("risk", risk("old"))
    before = len(bus.of(DEPLOYMENT_CHANGE))
    stop = alarms.put("stop", "NobodyPutsThis")
    update(prod, risk("new"), watched(policy(end=60), stop))
    alarms.set(stop, "ALARM")
    alarms.set(stop, "OK")
    assert prod.settled("risk")["EndpointConfigName"] == "old"
    assert ("ActivatingTraffic", 1.0) not in statuses(bus, before)


def test_a_quiet_alarm_lets_it_pass(prod: Server, risk: Any, alarms: Alarms) -> None:
    prod.endpoint("risk", risk("old"))
    alarms.put("server-errors", "Invocation5XXErrors")
    deployment = watched(policy(end=60), "server-errors")
    update(prod, risk("new"), deployment)
    after = prod.settled("risk")
    assert after["EndpointConfigName"] == "new"
    assert after["LastDeploymentConfig"] == deployment
    prod.sagemaker.update_endpoint(
        EndpointName="risk", EndpointConfigName="old", RetainDeploymentConfig=True
    )
    until(prod, "Baking", 1.0)
    alarms.set("server-errors", "ALARM")
    assert prod.settled("risk")["EndpointConfigName"] == "new"


def test_nothing_else_may_be_done_meanwhile(prod: Server, risk: Any, alarms: Alarms) -> None:
    prod.endpoint("risk", risk("old"))
    update(prod, risk("new"), policy(end=3000))
    until(prod, "Baking", 1.0)
    for call in (
        lambda: update(prod, "old", policy()),
        lambda: prod.sagemaker.delete_endpoint(EndpointName="risk"),
        lambda: prod.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="risk",
            DesiredWeightsAndCapacities=[{"VariantName": "v", "DesiredInstanceCount": 2}],
        ),
    ):
        with pytest.raises(ClientError, match=r"ValidationException.*Cannot update in-progress"):
            call()


def test_the_board_sees_how_far_a_canary_is(prod: Server, risk: Any, alarms: Alarms) -> None:
    prod.endpoint("risk", risk("old"))
    size = {"Type": "CAPACITY_PERCENT", "Value": 40}
    update(prod, risk("new"), policy("CANARY", wait=600, CanarySize=size))
    until(prod, "Baking", 0.4)
    models = endpoints._Models(prod.sagemaker)
    row = endpoints._endpoint(prod.sagemaker, "123456789012", "risk", models)
    assert row is not None
    assert (row["deployment"]["config"], row["deployment"]["doing"]) == ("new", "Baking")
    assert row["deployment"]["shifted"] == pytest.approx(0.4)
    shares = [(one["incoming"], one["share"]) for one in row["variants"]]
    assert shares == [(False, pytest.approx(0.6)), (True, pytest.approx(0.4))]


def test_capacity_and_weights_are_kept(prod: Server, risk: Any, alarms: Alarms) -> None:
    prod.endpoint("risk", risk("old"))
    prod.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="risk",
        DesiredWeightsAndCapacities=[{"VariantName": "v", "DesiredInstanceCount": 4}],
    )
    prod.settled("risk")
    # A quarter of four instances; of the config's one it would be too much.
    size = {"Type": "INSTANCE_COUNT", "Value": 1}
    prod.sagemaker.update_endpoint(
        EndpointName="risk",
        EndpointConfigName=risk("new"),
        RetainAllVariantProperties=True,
        DeploymentConfig=policy("CANARY", wait=100, CanarySize=size),
    )
    baking = until(prod, "Baking", 0.25)
    (pending,) = baking["PendingDeploymentSummary"]["ProductionVariants"]
    assert (pending["CurrentInstanceCount"], pending["DesiredInstanceCount"]) == (4, 4)
    assert prod.settled("risk")["ProductionVariants"][0]["CurrentInstanceCount"] == 4


def test_rolling_goes_in_batches(prod: Server, risk: Any, alarms: Alarms, bus: Bus) -> None:
    prod.endpoint("risk", risk("old", InitialInstanceCount=4))
    before = len(bus.of(DEPLOYMENT_CHANGE))
    batch = {"Type": "INSTANCE_COUNT", "Value": 2}
    rolling = {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 30}
    update(prod, risk("new", InitialInstanceCount=4), {"RollingUpdatePolicy": rolling})
    assert prod.settled("risk")["EndpointConfigName"] == "new"
    assert statuses(bus, before)[1:-1] == [
        ("ActivatingTraffic", 0.5),
        ("Baking", 0.5),
        ("ActivatingTraffic", 1.0),
        ("Baking", 1.0),
    ]


@pytest.mark.parametrize(
    ("deployment", "reason"),
    [
        (policy("CANARY"), "CanarySize is required"),
        (policy("LINEAR"), "LinearStepSize is required"),
        (policy(CanarySize=TEN), "only for it"),
        (
            policy("CANARY", CanarySize={"Type": "CAPACITY_PERCENT", "Value": 60}),
            "CanarySize must be less than or equal to 50%",
        ),
        (
            policy("CANARY", CanarySize={"Type": "INSTANCE_COUNT", "Value": 1}),
            "1 \\(INSTANCE_COUNT\\) of the 1 of variant v is 100%",
        ),
        (
            policy("LINEAR", LinearStepSize={"Type": "CAPACITY_PERCENT", "Value": 5}),
            "LinearStepSize must be 10-50%",
        ),
        (policy("CANARY", wait=3601, CanarySize=TEN), "less than or equal to 3600"),
        (policy("SOMEHOW"), "enum value set"),
        (
            {
                **policy(),
                "RollingUpdatePolicy": {"MaximumBatchSize": TEN, "WaitIntervalInSeconds": 0},
            },
            "not both",
        ),
        (watched(policy(), "absent"), f"Could not find the CloudWatch alarms .* {PROD}: absent"),
        (watched(policy()), "length greater than or equal to 1"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(
    prod: Server, risk: Any, alarms: Alarms, deployment: dict[str, Any], reason: str
) -> None:
    prod.endpoint("risk", risk("old"))
    with pytest.raises(ClientError, match=f"ValidationException.*{reason}"):
        update(prod, risk("new"), deployment)
    assert prod.settled("risk")["EndpointConfigName"] == "old"


def test_a_timeout_must_leave_time_to_wait(prod: Server, risk: Any, alarms: Alarms) -> None:
    prod.endpoint("risk", risk("old"))
    deployment = policy("CANARY", wait=500, end=200, CanarySize=TEN)
    deployment["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 700
    with pytest.raises(ClientError, match=r"must be larger than the total waiting time .*\(700 s"):
        update(prod, risk("new"), deployment)


def test_a_policy_needs_the_same_variant_names(
    prod: Server, risk: Any, client: Client, alarms: Alarms
) -> None:
    prod.endpoint("risk", risk("old"))
    prod.model("other")
    prod.config("others", other=1.0)
    with pytest.raises(ClientError, match=r"same variant names.*old: v; new: other"):
        update(prod, "others", policy())
    prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName="others")
    assert prod.settled("risk")["EndpointConfigName"] == "others"


def test_the_execution_role_must_see_the_alarms(prod: Server, risk: Any, alarms: Alarms) -> None:
    prod.endpoint("risk", risk("old"))
    risk("new")
    make_role(PROD, "execution")
    alarms.put("server-errors", "Invocation5XXErrors")
    with pytest.raises(ClientError, match=r"not authorized to perform: cloudwatch:DescribeAlarms"):
        update(prod, "new", watched(policy(), "server-errors"))


def test_invocations_are_counted_where_they_went(
    prod: Server, risk: Any, client: Client, alarms: Alarms
) -> None:
    prod.endpoint("risk", risk("old", InitialInstanceCount=2))
    invoke = client(PROD, "sagemaker-runtime").invoke_endpoint
    invoke(EndpointName="risk", Body=b"1", ContentType="application/json")
    for body, kind in ((b'"fail"', "application/json"), (b"1", "text/csv")):
        with pytest.raises(ClientError, match="ModelError"):
            invoke(EndpointName="risk", Body=body, ContentType=kind)
    variant = {"EndpointName": "risk", "VariantName": "v"}
    for dimensions in (variant, {**variant, "EndpointConfigName": "old"}):
        found = {
            metric: alarms.sum_of(metric, **dimensions)
            for metric in (
                "Invocations",
                "InvocationsPerInstance",
                "Invocation4XXErrors",
                "Invocation5XXErrors",
                "InvocationModelErrors",
            )
        }
        assert found == {
            "Invocations": 3,
            "InvocationsPerInstance": 1.5,
            "Invocation4XXErrors": 1,
            "Invocation5XXErrors": 1,
            "InvocationModelErrors": 2,
        }
        assert alarms.sum_of("ModelLatency", **dimensions) > 0
        assert alarms.sum_of("OverheadLatency", **dimensions) > 0
    assert alarms.sum_of("Invocations", EndpointName="risk", VariantName="other") == 0
