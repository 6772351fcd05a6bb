"""The functions that deploy, on the embedded SageMaker: what serves is watched and scaled as its
own definition says, however the deployment of another one ended.
"""

from __future__ import annotations

import contextlib
import copy
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from governance.adapters import clock, sessions
from governance.adapters import definitions as stored
from governance.adapters.endpoints import Endpoints
from governance.adapters.waits import Waits
from governance.domain import definitions, deployments
from governance.domain.errors import InvalidInputError, TransientError
from tests.contracts import samples
from tests.contracts.aws import ENVIRONMENT, Aws
from tests.integration.sagemaker.support import CONSTANT, PROD, Alarms, Client, Server, make_role

NAME = "clinical-risk"
PREFIX = f"governed-path-{NAME}-"
ROLE = "governed-path-endpoint-execution"
WATCHES = {"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": "*"}
ERRORS = {
    "name": "server-errors",
    "metric": "Invocation5XXErrors",
    "statistic": "Sum",
    "comparison": "GreaterThanThreshold",
    "threshold": 5,
    "period_seconds": 60,
    "evaluation_periods": 1,
}
SLOW = {**ERRORS, "name": "slow", "metric": "ModelLatency", "statistic": "p95", "threshold": 9e5}
SCALING = {"min": 1, "max": 4, "invocations_per_instance": 100}
BROKEN = 'def model_fn(model_dir):\n    raise RuntimeError("no such file")\n'


class _NoWaits:
    """Nobody waits by task token here; the test looks itself."""

    def __init__(self, _table: str) -> None:
        pass

    held = Waits.held

    def start(self, wait: dict[str, Any]) -> None: ...

    def end(self, wait: dict[str, Any]) -> bool:
        return True

    def find(self, endpoint_arn: str) -> None:
        return None

    def settle(self, wait: dict[str, Any], endpoint: dict[str, Any]) -> bool:
        return False


class Prod:
    """The functions in front of Prod's SageMaker, CloudWatch and Application Auto Scaling."""

    def __init__(self, server: Server, client: Client) -> None:
        self.server = server
        self.sagemaker = server.sagemaker
        self.cloudwatch = client(PROD, "cloudwatch")
        self.scaling = client(PROD, "application-autoscaling")
        self.definitions: dict[str, dict[str, Any]] = {}

    def plan(self, name: str, code: str | None = None, **parts: Any) -> dict[str, Any]:
        """A version's deployment into Prod, with its model made; `parts` of the definition."""
        definition = samples.definition()
        definition["endpoint"] |= {"instance_count": 1, **parts.pop("endpoint", {})}
        definition["endpoint"].pop("data_capture", None)
        definition["release"] = {
            "strategy": {"type": "all-at-once"},
            "bake_seconds": 60,  # as far as the alarms look back
            "alarms": [],
            **parts,
        }
        reference = definitions.reference("evidence", samples.MODEL, definitions.digest(definition))
        self.definitions[reference["digest"]] = copy.deepcopy(definition)
        promotion = {**samples.promotion("Prod"), "claim_id": samples.digest(name)}
        planned = deployments.plan(
            promotion,
            samples.candidate(),
            {**samples.project(), "endpoint_name": NAME},
            samples.description(),
            ROLE,
            reference,
            definition,
        )
        self.server.model(planned["model_name"], code or CONSTANT.format(value=name))
        return planned

    def call(self, handler: str, deployment: dict[str, Any], **more: Any) -> dict[str, Any]:
        return Aws().handler(handler)({"deployment": deployment, **more})

    def begin(self, deployment: dict[str, Any]) -> None:
        self.call("create_endpoint_config", deployment)
        self.call("deploy_endpoint", deployment, task_token="t" * 64)

    def release(self, deployment: dict[str, Any]) -> dict[str, Any]:
        """Deployed, at rest and watched, as a release does it; what WatchEndpoint said."""
        self.begin(deployment)
        assert self.server.settled(NAME)["EndpointConfigName"] == deployment["config_name"]
        return self.call("watch_endpoint", deployment)

    def alarms(self, prefix: str = PREFIX) -> dict[str, tuple[float, set[str]]]:
        """{name: (threshold, the names of its dimensions)}."""
        found = self.cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
        return {
            alarm["AlarmName"].removeprefix(PREFIX): (
                alarm["Threshold"],
                {dimension["Name"] for dimension in alarm["Dimensions"]},
            )
            for alarm in found
        }

    def looked_at(self, name: str) -> str:
        """The config whose instances the alarm looks at."""
        (alarm,) = self.cloudwatch.describe_alarms(AlarmNames=[PREFIX + name])["MetricAlarms"]
        dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
        return str(dimensions["EndpointConfigName"])

    def bounds(self) -> list[tuple[int, int]]:
        answer = self.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")
        return [(one["MinCapacity"], one["MaxCapacity"]) for one in answer["ScalableTargets"]]


@pytest.fixture
def there(prod: Server, client: Client, monkeypatch: pytest.MonkeyPatch) -> Prod:
    for name, value in {**ENVIRONMENT, "EVIDENCE_BUCKET": "evidence"}.items():
        monkeypatch.setenv(name, value)
    there = Prod(prod, client)
    monkeypatch.setattr(sessions.Sessions, "hub", lambda self, account: account)
    monkeypatch.setattr(sessions, "client", lambda account, service: client(account, service))
    monkeypatch.setattr("governance.adapters.waits.Waits", _NoWaits)
    monkeypatch.setattr(stored, "read", lambda reference: there.definitions[reference["digest"]])
    return there


SLEEPS = "def model_fn(model_dir):\n    import time\n    time.sleep(1.5)"
SLOWLY = CONSTANT.format(value="slow").replace("def model_fn(model_dir):", SLEEPS)
ENDPOINT = {"EndpointName", "VariantName"}
ALONE = {*ENDPOINT, "EndpointConfigName"}
OLD = {"alarms": [ERRORS, SLOW], "endpoint": {"autoscaling": SCALING}}
AS_OLD = {
    "server-errors": (5, ENDPOINT),
    "slow": (9e5, ENDPOINT),
    "stop": (0, {"EndpointName"}),
}
# What the new instances did a minute ago must not take back what serves again.
BACK_TO_OLD = {**AS_OLD, "server-errors": (5, ALONE), "slow": (9e5, ALONE)}
# Fewer alarms and other thresholds, other instances, no autoscaling.
NEW = {
    "alarms": [{**SLOW, "threshold": 1e6}, {**ERRORS, "name": "crashes"}],
    "endpoint": {"instance_type": "ml.m5.xlarge", "autoscaling": None},
}


def test_a_deployment_that_is_refused_leaves_what_serves_watched_and_scaled(there: Prod) -> None:
    there.release(there.plan("old", **OLD))
    assert (there.alarms(), there.bounds()) == (AS_OLD, [(1, 4)])
    new = there.plan("new", **NEW)
    make_role(PROD, "execution")  # SageMaker may not see the alarms any more
    with pytest.raises(InvalidInputError, match="cloudwatch:DescribeAlarms"):
        there.begin(new)
    # This is what the failure path is there for.
    assert there.alarms()["slow"] == (1e6, ALONE)
    assert there.bounds() == []
    there.call("watch_endpoint", new)
    assert (there.alarms(), there.bounds()) == (BACK_TO_OLD, [(1, 4)])


def test_a_deployment_that_does_not_come_up_leaves_what_serves_watched_and_scaled(
    there: Prod,
) -> None:
    old = there.plan("old", **OLD)
    there.release(old)
    new = there.plan("new", BROKEN, **NEW)
    there.begin(new)
    assert there.server.settled(NAME)["EndpointConfigName"] == old["config_name"]
    assert not there.call("check_served_config", new)["served"]["intended"]
    watched = there.call("watch_endpoint", new)
    assert (there.alarms(), there.bounds()) == (BACK_TO_OLD, [(1, 4)])
    assert there.looked_at("slow") == old["config_name"]
    assert watched["forgotten"] == [f"{PREFIX}crashes"]


def test_alarms_and_autoscaling_that_a_definition_does_not_have_end_with_its_release(
    there: Prod,
) -> None:
    there.release(there.plan("old", **OLD))
    # Another endpoint, whose name begins like this one's, is nobody's business here.
    there.cloudwatch.put_metric_alarm(
        AlarmName=f"{PREFIX}copy-slow",
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[{"Name": "EndpointName", "Value": f"{NAME}-copy"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    watched = there.release(there.plan("new", **NEW))
    assert watched["forgotten"] == [f"{PREFIX}server-errors"]
    assert set(there.alarms()) == {"slow", "crashes", "stop", "copy-slow"}
    assert (watched["scaled"], there.bounds()) == (False, [])


def test_a_first_release_that_failed_leaves_no_alarm_behind(there: Prod) -> None:
    new = there.plan("new", BROKEN, **NEW)
    there.begin(new)
    assert there.server.settled(NAME)["EndpointStatus"] == "Failed"
    assert set(there.alarms()) == {"slow", "crashes", "stop"}
    assert there.call("watch_endpoint", new) == {
        "alarms": [],
        "forgotten": [f"{PREFIX}{name}" for name in ("crashes", "slow", "stop")],
        "scaled": False,
    }
    assert there.alarms() == {}


def test_a_config_that_is_none_of_ours_is_watched_as_the_last_plan_says(there: Prod) -> None:
    there.release(there.plan("old", **OLD))
    there.server.model("AllTraffic")
    there.server.config("by-hand", AllTraffic=1)
    there.sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName="by-hand")
    assert there.server.settled(NAME)["EndpointConfigName"] == "by-hand"
    new = there.plan("new", alarms=[ERRORS])
    assert there.call("watch_endpoint", new)["alarms"] == [
        f"{PREFIX}server-errors",
        f"{PREFIX}stop",
    ]


def test_after_an_error_alarms_name_the_config_until_the_ledger_knows_what_serves(
    there: Prod,
) -> None:
    """An alarm that names none takes back what the ledger says: still the version before."""
    there.release(there.plan("old", **OLD))
    new = there.plan("new", **OLD)
    there.begin(new)
    assert there.server.settled(NAME)["EndpointConfigName"] == new["config_name"]
    there.call("watch_endpoint", new, unrecorded=True)
    assert there.alarms() == BACK_TO_OLD
    assert there.looked_at("slow") == new["config_name"]
    there.call("watch_endpoint", new)
    assert there.alarms() == AS_OLD


def test_an_alarm_of_before_the_release_began_does_not_send_the_repair_back(there: Prod) -> None:
    """Its config is made first; then an endpoint that is being scaled may be waited for."""
    there.release(there.plan("old", **OLD))
    repair = there.plan("repair", **OLD)
    there.call("create_endpoint_config", repair)
    time.sleep(1.1)  # the embedded CloudWatch tells of whole seconds
    for state in ("ALARM", "OK"):
        there.cloudwatch.set_alarm_state(
            AlarmName=f"{PREFIX}slow", StateValue=state, StateReason="of the champion"
        )
    time.sleep(1.1)
    began = clock.exact()
    there.call("deploy_endpoint", repair, task_token="t" * 64)
    there.server.settled(NAME)
    assert there.call("check_alarms", repair)["alarms"] == [f"{PREFIX}slow"]
    assert there.call("check_alarms", repair, since=began)["alarms"] == []
    there.cloudwatch.set_alarm_state(
        AlarmName=f"{PREFIX}slow", StateValue="ALARM", StateReason="of the repair"
    )
    assert there.call("check_alarms", repair, since=began)["alarms"] == [f"{PREFIX}slow"]


def test_a_config_that_somebody_put_there_after_a_release_is_found(there: Prod) -> None:
    old = there.plan("old", **OLD)
    there.release(old)
    quiet = there.call("check_served_config", old, after_bake=True)["served"]
    assert (quiet["intended"], quiet["moving_to"], quiet["taken_back"]) == (True, None, None)
    there.server.model("AllTraffic", SLOWLY)
    there.server.config("by-hand", AllTraffic=1)
    there.sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName="by-hand")
    moving = there.call("check_served_config", old, after_bake=True)["served"]
    assert (moving["intended"], moving["moving_to"]) == (True, "by-hand")
    there.server.settled(NAME)
    found = there.call("check_served_config", old, after_bake=True)["served"]
    assert (found["intended"], found["config_name"], found["moving_to"]) == (False, "by-hand", None)
    assert "was taken back to by-hand after the release had come" in found["taken_back"]
    # It is of no registered version, so the ledger cannot say whose it is.
    assert (found["versions"], found["candidate_id"]) == ([], None)


def test_an_endpoint_that_moves_is_left_to_the_deployment_under_way(there: Prod) -> None:
    there.release(there.plan("old", **OLD))
    under_way = there.plan("under-way", SLOWLY, alarms=[ERRORS])
    there.begin(under_way)
    before = there.alarms()
    late = there.plan("late", **NEW)
    there.call("create_endpoint_config", late)
    with pytest.raises(TransientError, match="is Updating; it is changed again when"):
        there.call("deploy_endpoint", late, task_token="t" * 64)
    with pytest.raises(TransientError, match="is Updating; what serves is known when"):
        there.call("watch_endpoint", late)
    # Those of the deployment that goes on, which may be what ends it.
    assert there.alarms() == before
    assert before["server-errors"] == (5, ALONE)
    there.server.settled(NAME)
    there.call("deploy_endpoint", late, task_token="t" * 64)
    assert there.server.settled(NAME)["EndpointConfigName"] == late["config_name"]


def test_a_release_that_nobody_goes_on_with_is_taken_back(there: Prod) -> None:
    """A function killed after UpdateEndpoint has begun what nobody would hear of any more."""
    old = there.plan("old", **OLD)
    there.release(old)
    linear = {"type": "linear", "step_percent": 10, "wait_seconds": 300}
    killed = there.plan("killed", alarms=[ERRORS], strategy=linear)
    there.begin(killed)
    broken = {"unrecorded": True, "take_back": True}
    with pytest.raises(TransientError, match="is Updating; what serves is known when"):
        there.call("watch_endpoint", killed, **broken)
    assert there.server.settled(NAME)["EndpointConfigName"] == old["config_name"]
    there.call("watch_endpoint", killed, **broken)
    assert there.looked_at("slow") == old["config_name"], "what serves has its own alarms again"
    # What serves already, or moves elsewhere, is nobody's to take back.
    there.release(next_ := there.plan("next", **NEW))
    there.call("watch_endpoint", next_, **broken)
    (stop,) = there.cloudwatch.describe_alarms(AlarmNames=[f"{PREFIX}stop"])["MetricAlarms"]
    assert stop["StateValue"] != "ALARM"
    assert there.server.settled(NAME)["EndpointConfigName"] == next_["config_name"]


def test_a_first_release_that_nobody_goes_on_with_is_waited_for_until_it_serves(
    there: Prod,
) -> None:
    """There is nothing to take it back to, so it comes to serve, and has to be known to."""
    killed = there.plan("killed", SLOWLY, **NEW)
    there.begin(killed)
    broken = {"unrecorded": True, "take_back": True}
    with pytest.raises(TransientError, match="is Creating; what serves is known when"):
        there.call("watch_endpoint", killed, **broken)
    with pytest.raises(TransientError, match="is Creating, on its way to"):
        there.call("check_served_config", killed, at_rest=True)
    # Nobody is answered yet, although the endpoint names the config.
    early = there.call("check_served_config", killed)["served"]
    assert (early["config_name"], early["versions"]) == (killed["config_name"], [])
    there.server.settled(NAME)
    assert there.call("watch_endpoint", killed, **broken)["alarms"] != []
    served = there.call("check_served_config", killed, at_rest=True)["served"]
    assert (served["intended"], served["versions"]) == (True, [killed["model_package_arn"]])


def test_what_a_rollback_has_begun_is_waited_for_until_it_serves(there: Prod) -> None:
    there.release(there.plan("old", **OLD))
    back = there.plan("back", SLOWLY, **NEW)
    there.begin(back)
    with pytest.raises(TransientError, match="is Updating, on its way to"):
        there.call("check_served_config", back, at_rest=True)
    there.server.settled(NAME)
    assert there.call("check_served_config", back, at_rest=True)["served"]["intended"]
    # What is not on its way to it is nothing to wait for.
    other = {**back, "config_name": "another"}
    there.begin(there.plan("next", SLOWLY, **NEW))
    assert not there.call("check_served_config", other, at_rest=True)["served"]["intended"]


def test_a_champion_that_serves_until_a_trial_comes_is_put_back_after_it(there: Prod) -> None:
    old = there.plan("old", alarms=[ERRORS])
    there.release(old)
    trial = {**there.plan("trial", SLOWLY), "release": None, "autoscaling": None}
    there.begin(trial)
    champion = {**old, "exists": True, "release": None, "autoscaling": None}
    with pytest.raises(TransientError, match="is Updating; it is changed again when"):
        there.call("deploy_endpoint", champion, task_token="t" * 64)
    assert there.server.settled(NAME)["EndpointConfigName"] == trial["config_name"]
    there.call("deploy_endpoint", champion, task_token="t" * 64)
    assert there.server.settled(NAME)["EndpointConfigName"] == old["config_name"]


def test_instances_that_are_scaled_after_a_deployment_are_no_rollback(
    there: Prod, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = there.plan("old", **OLD)
    there.release(old)
    # Here it takes no time; in AWS an endpoint is Updating while its instances come.
    find = Endpoints.find
    scaled = {"EndpointStatus": "Updating"}
    monkeypatch.setattr(
        Endpoints, "find", lambda self, name: {**(find(self, name) or {}), **scaled}
    )
    served = there.call("check_served_config", old)["served"]
    assert (served["intended"], served["endpoint_status"]) == (True, "Updating")
    assert there.call("watch_endpoint", old)["scaled"]
    # One that moves to another config does not serve it yet.
    moving = {**old, "config_name": "another"}
    assert not there.call("check_served_config", moving)["served"]["intended"]


def test_a_trial_and_a_test_endpoint_turn_no_alarms(there: Prod) -> None:
    there.release(there.plan("old", **OLD))
    trial = {**there.plan("new", **NEW), "release": None, "autoscaling": None}
    assert there.call("watch_endpoint", trial) == {"alarms": [], "forgotten": [], "scaled": False}
    assert (there.alarms(), there.bounds()) == (AS_OLD, [(1, 4)])


def test_an_endpoint_that_is_still_being_made_is_removed_as_soon_as_it_can_be(there: Prod) -> None:
    made = there.plan("new", SLOWLY)
    there.begin(made)
    endpoints = Endpoints(PROD)  # type: ignore[arg-type]  # in place of a session
    with pytest.raises(TransientError, match="in-progress"):
        endpoints.remove_all(made)
    there.server.settled(NAME)
    assert endpoints.remove_all(made) == [
        *(made["endpoint_name"], made["config_name"], made["model_name"]),
    ]


def test_alarms_that_look_back_beyond_the_bake_look_at_what_serves_alone(there: Prod) -> None:
    """Otherwise the errors of what was replaced would take its repair back."""
    there.release(there.plan("old", **OLD))
    new = there.plan("new", **OLD, bake_seconds=59)
    there.release(new)
    assert there.alarms() == BACK_TO_OLD
    assert there.looked_at("server-errors") == new["config_name"]


def test_in_a_trial_the_champions_alarms_look_at_the_endpoint(there: Prod) -> None:
    """The config that it serves by alone is not the trial's."""
    there.release(there.plan("old", **OLD, bake_seconds=0))
    assert there.alarms() == BACK_TO_OLD
    strategy = {"type": "shadow", "sample_percent": 100, "seconds": 60, "max_disagreement": 0.2}
    challenger = there.plan("new", **NEW, strategy=strategy)
    assert there.call("plan_trial", challenger)["trial"]["champion"]
    assert there.alarms() == AS_OLD


def test_a_challenger_that_fails_clients_has_lost_long_before_the_next_look(
    there: Prod, client: Client, alarms: Alarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.adapters.ledger.Ledger.story", lambda *_: [])
    there.release(there.plan("old", alarms=[ERRORS]))
    strategy = {
        **{"type": "a-b", "challenger_percent": 50, "alpha": 0.05, "undecided": "ask"},
        **{"look_seconds": 86_400, "looks": 5},
    }
    failing = CONSTANT.format(value="new").replace('if data == "fail"', "if True")
    challenger = there.plan("new", failing, strategy=strategy, alarms=[ERRORS])
    trial = there.call("plan_trial", challenger)["trial"]
    assert trial["poll_seconds"] < 1000
    there.begin(trial["deployment"])
    serves = there.server.settled(NAME)
    assert serves["EndpointConfigName"] == trial["deployment"]["config_name"]

    def poll(number: int, trial: dict[str, Any] = trial) -> dict[str, Any]:
        told = {key: trial[key] for key in ("polls", "alarms", "since")}
        told |= {"promotion": samples.promotion("Prod"), "trial": trial["deployment"]}
        return there.call("compare_variants", challenger, poll=number, **told)

    assert poll(1)["decision"] == "continue"
    runtime = client(PROD, "sagemaker-runtime")
    for number in range(40):
        with contextlib.suppress(ClientError):
            runtime.invoke_endpoint(
                EndpointName=NAME, Body=str(number).encode(), ContentType="application/json"
            )
    name = f"{PREFIX}challenger.server-errors"
    assert alarms.state(name) == "ALARM"
    assert alarms.state(f"{PREFIX}server-errors") == "OK"
    found = poll(2)
    assert (found["decision"], found["alarms"]) == ("roll-back", [name])
    assert f"the challenger set off an alarm: {name} (" in found["said"]
    there.begin(trial["champion"])
    assert there.server.settled(NAME)["EndpointConfigName"] == trial["champion"]["config_name"]
    # A later challenger is not held to what this one did; the next release leaves no such alarm.
    again = there.call("plan_trial", challenger)["trial"]
    assert poll(1, again)["decision"] == "continue"
    there.release(there.plan("newest", alarms=[ERRORS]))
    assert set(there.alarms()) == {"server-errors", "stop"}
