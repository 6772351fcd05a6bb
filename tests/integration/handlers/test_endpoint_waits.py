"""An execution that waits for an endpoint gets its answer once, whichever comes first."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest

from governance.adapters.waits import Waits
from governance.domain import outcomes
from governance.domain.errors import InvalidInputError, TransientError

from .conftest import CENTRAL, DEV, REGION, Waiting

TABLE = "governed-path-endpoint-waits"
INTENDED, BEFORE = "config-new", "config-old"


class Hosting:
    """SageMaker hosting with one endpoint, whose state the test sets.

    The embedded SageMaker proves the calls; here the order of things is what matters, and only a
    scripted one can be made to finish exactly between two lines of ours.
    """

    def __init__(self) -> None:
        self.endpoint: dict[str, Any] | None = None
        self.calls: list[str] = []
        self.on_deploy: Callable[[], None] = lambda: None
        self._clock = 0

    def __call__(self, session: object) -> Hosting:
        return self

    def is_now(self, status: str, config: str, **more: Any) -> None:
        self._clock += 1
        self.endpoint = {
            "EndpointStatus": status,
            "EndpointConfigName": config,
            "LastModifiedTime": f"2026-01-31T12:00:{self._clock:02}.000000Z",
            **more,
        }

    def find(self, name: str) -> dict[str, Any] | None:
        return self.endpoint

    def deploy(self, found: Any, deployment: dict[str, Any]) -> None:
        self.calls.append("deploy")
        config_name = deployment["config_name"]
        if found is not None and outcomes.is_heading_for(found, config_name):
            return
        if found is None:
            self.is_now("Creating", config_name)
        else:
            pending = {"PendingDeploymentSummary": {"EndpointConfigName": config_name}}
            self.is_now("Updating", found["EndpointConfigName"], **pending)
        self.on_deploy()


@pytest.fixture
def hosting(lambdas: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Hosting:
    from governance.handlers import deploy_endpoint, resolve_endpoint_wait

    hosting = Hosting()
    monkeypatch.setattr(deploy_endpoint, "Endpoints", hosting)
    monkeypatch.setattr(resolve_endpoint_wait, "Endpoints", hosting)
    return hosting


def _deploy(token: str, name: str, claim_id: str = "a" * 64) -> dict[str, Any]:
    return {
        "deployment": {
            "stage": "Test",
            "account": DEV,
            "region": REGION,
            "endpoint_name": name,
            "endpoint_arn": f"arn:aws:sagemaker:{REGION}:{DEV}:endpoint/{name}",
            "config_name": INTENDED,
            "model_name": "model-new",
            "variant_name": "AllTraffic",
            "model_package_arn": f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package/m/1",
            "candidate_id": "b" * 64,
            "source": "containers",
            "containers": [{"Image": "image"}],
            "instance_type": "ml.m5.large",
            "instance_count": 1,
            "environment": {},
            **dict.fromkeys(("release", "autoscaling", "data_capture")),
            "definition": {"digest": "d" * 64, "uri": "s3://evidence/deployments/m/d.json"},
            "execution_role_arn": f"arn:aws:iam::{DEV}:role/governed-path-endpoint-execution",
            "claim_id": claim_id,
            "tags": {},
        },
        "task_token": token,
    }


def _event(name: str, status: str = "IN_SERVICE", account: str = DEV) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "SageMaker Endpoint State Change",
        "source": "aws.sagemaker",
        "account": account,
        "time": "2026-01-31T12:00:00Z",
        "region": REGION,
        "resources": [f"arn:aws:sagemaker:{REGION}:{account}:endpoint/{name}"],
        "detail": {
            "EndpointName": name,
            "EndpointArn": f"arn:aws:sagemaker:{REGION}:{account}:endpoint/{name}",
            "EndpointConfigName": INTENDED,
            "EndpointStatus": status,
            "CreationTime": 1769860800000.0,
            "LastModifiedTime": 1769860800000.0,
            "Tags": {},
        },
    }


@pytest.fixture
def name() -> str:
    return f"endpoint-{uuid4().hex[:12]}"


def _wait_of(name: str) -> dict[str, Any] | None:
    return Waits(TABLE).find(f"arn:aws:sagemaker:{REGION}:{DEV}:endpoint/{name}")


def test_the_event_after_the_deployment_answers(
    lambdas: Callable[..., Any], hosting: Hosting, waiting: Waiting, name: str
) -> None:
    assert lambdas("deploy_endpoint")(_deploy(waiting.token, name))["settled"] is False
    hosting.is_now("InService", INTENDED)
    assert lambdas("resolve_endpoint_wait")(_event(name)) == {"outcome": "resolved"}
    answer = waiting.answer()
    assert answer == {
        "outcome": "in_service",
        "endpoint_status": "InService",
        "failure_reason": None,
        "began": None,
    }
    assert _wait_of(name) is None


def test_the_answer_says_when_the_alarms_were_set_back_at_the_first_try(
    lambdas: Callable[..., Any],
    hosting: Hosting,
    waiting: Waiting,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A function that was killed comes again; what was raised since the first time counts."""
    from governance.handlers import deploy_endpoint

    quiet = Mock(**{"return_value.calm.return_value": None})
    monkeypatch.setattr(deploy_endpoint, "Alarms", quiet)
    asked = _deploy(waiting.token, name)
    strategy = {"strategy": {"type": "all-at-once"}, "bake_seconds": 0, "alarms": []}
    asked["deployment"]["release"] = strategy
    lambdas("deploy_endpoint")(asked)
    began = (_wait_of(name) or {})["began"]
    assert began
    lambdas("deploy_endpoint")(asked)
    assert (_wait_of(name) or {})["began"] == began
    assert quiet.return_value.calm.call_count == 1
    hosting.is_now("InService", INTENDED)
    lambdas("resolve_endpoint_wait")(_event(name))
    assert (waiting.answer() or {})["began"] == began


def test_an_endpoint_that_is_faster_than_its_deployment_call_is_answered_too(
    lambdas: Callable[..., Any], hosting: Hosting, waiting: Waiting, name: str
) -> None:
    """The event comes, and is handled, before CreateEndpoint has returned to us."""
    answers = []

    def finish_at_once() -> None:
        hosting.is_now("InService", INTENDED)
        answers.append(lambdas("resolve_endpoint_wait")(_event(name)))

    hosting.on_deploy = finish_at_once
    settled = lambdas("deploy_endpoint")(_deploy(waiting.token, name))["settled"]
    assert (answers, settled) == ([{"outcome": "resolved"}], False)
    answer = waiting.answer()
    assert answer is not None
    assert answer["outcome"] == "in_service"
    assert _wait_of(name) is None


def test_a_lost_event_is_made_up_for_by_our_own_look(
    lambdas: Callable[..., Any], hosting: Hosting, waiting: Waiting, name: str
) -> None:
    hosting.on_deploy = lambda: hosting.is_now("Failed", INTENDED, FailureReason="no /ping")
    assert lambdas("deploy_endpoint")(_deploy(waiting.token, name))["settled"] is True
    answer = waiting.answer()
    assert answer is not None
    assert (answer["outcome"], answer["failure_reason"]) == ("failed", "no /ping")


def test_the_same_event_many_times_at_once_leaves_one_answer_and_no_wait(
    lambdas: Callable[..., Any], hosting: Hosting, waiting: Waiting, name: str
) -> None:
    lambdas("deploy_endpoint")(_deploy(waiting.token, name))
    hosting.is_now("InService", INTENDED)
    resolve = lambdas("resolve_endpoint_wait")
    with ThreadPoolExecutor(8) as pool:
        results = [
            entry["outcome"] for entry in pool.map(lambda _: resolve(_event(name)), range(8))
        ]
    # Not exactly one: until the task has woken up the emulator takes, and drops, a second answer.
    assert "resolved" in results
    assert waiting.answer() is not None
    assert _wait_of(name) is None


def test_a_late_event_of_the_deployment_before_answers_nothing(
    lambdas: Callable[..., Any], hosting: Hosting, waiting: Waiting, name: str
) -> None:
    """It finds the new wait while the endpoint still serves the old config."""
    hosting.is_now("InService", BEFORE)
    early = []
    deploy = hosting.deploy

    def event_first(*arguments: Any, **named: Any) -> None:
        early.append(lambdas("resolve_endpoint_wait")(_event(name)))
        deploy(*arguments, **named)

    hosting.deploy = event_first  # type: ignore[method-assign]
    lambdas("deploy_endpoint")(_deploy(waiting.token, name))
    assert early == [{"outcome": "ignored"}]
    assert _wait_of(name) is not None
    hosting.is_now("InService", INTENDED)
    assert lambdas("resolve_endpoint_wait")(_event(name)) == {"outcome": "resolved"}


def test_a_silent_rollback_is_told(
    lambdas: Callable[..., Any], hosting: Hosting, waiting: Waiting, name: str
) -> None:
    hosting.is_now("InService", BEFORE)
    lambdas("deploy_endpoint")(_deploy(waiting.token, name))
    hosting.is_now("InService", BEFORE)
    lambdas("resolve_endpoint_wait")(_event(name))
    answer = waiting.answer()
    assert answer is not None
    assert answer["outcome"] == "rolled_back"
    assert BEFORE in answer["failure_reason"]


@pytest.mark.parametrize("status", ["CREATING", "UPDATING", "ROLLING_BACK", "Updating"])
def test_an_endpoint_on_its_way_answers_nothing(
    lambdas: Callable[..., Any], hosting: Hosting, waiting: Waiting, name: str, status: str
) -> None:
    lambdas("deploy_endpoint")(_deploy(waiting.token, name))
    assert lambdas("resolve_endpoint_wait")(_event(name, status)) == {"outcome": "ignored"}
    assert _wait_of(name) is not None


def test_an_endpoint_that_is_none_of_ours_is_ignored(
    lambdas: Callable[..., Any], hosting: Hosting
) -> None:
    unknown = _event("somebody-elses")
    assert lambdas("resolve_endpoint_wait")(unknown) == {"outcome": "ignored"}


def test_an_event_of_an_unknown_shape_is_refused_by_name(lambdas: Callable[..., Any]) -> None:
    event = _event("any")
    del event["detail"]["EndpointArn"]
    with pytest.raises(InvalidInputError, match="EndpointArn"):
        lambdas("resolve_endpoint_wait")(event)


def test_a_retried_task_waits_with_its_new_token_and_deploys_only_once(
    lambdas: Callable[..., Any],
    hosting: Hosting,
    aws: Callable[..., Any],
    machine: tuple[str, str],
    name: str,
) -> None:
    first, second = Waiting(aws, *machine), Waiting(aws, *machine)
    lambdas("deploy_endpoint")(_deploy(first.token, name))
    state = hosting.endpoint
    lambdas("deploy_endpoint")(_deploy(second.token, name))
    assert hosting.endpoint is state
    hosting.is_now("InService", INTENDED)
    lambdas("resolve_endpoint_wait")(_event(name))
    assert second.answer() is not None
    assert first.answer(within=0.2) is None


def test_two_promotions_do_not_deploy_to_one_endpoint_at_once(
    lambdas: Callable[..., Any], hosting: Hosting, waiting: Waiting, name: str
) -> None:
    lambdas("deploy_endpoint")(_deploy(waiting.token, name))
    with pytest.raises(TransientError, match="another promotion"):
        lambdas("deploy_endpoint")(_deploy("other-token", name, claim_id="d" * 64))
    assert hosting.calls == ["deploy"]


def test_a_deployment_that_cannot_start_leaves_no_wait(
    lambdas: Callable[..., Any], hosting: Hosting, waiting: Waiting, name: str
) -> None:
    def refuse() -> None:
        raise InvalidInputError("no such instance type")

    hosting.on_deploy = refuse
    with pytest.raises(InvalidInputError, match="instance type"):
        lambdas("deploy_endpoint")(_deploy(waiting.token, name))
    assert _wait_of(name) is None
