"""One execution at a time holds an endpoint, and a lock never outlives its execution."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from governance.adapters import workflows
from governance.adapters.locks import Locks
from governance.domain import locks
from governance.domain.errors import TransientError
from tests.contracts import events

from .conftest import CENTRAL, DEV, REGION, TEST

TABLE = "governed-path-endpoint-locks"
EARLIER, LATER = "2026-11-21T09:00:00Z", "2026-11-21T09:00:30Z"


class Releases:
    """A model and executions of a state machine that would release it."""

    def __init__(self, lambdas: Callable[..., Any], aws: Callable[..., Any]) -> None:
        self._lambdas, self._states = lambdas, aws("stepfunctions")
        self.model = f"m-{uuid4().hex}"
        self._machine = self._wait_machine(aws)
        item = {
            "model": {"S": self.model},
            "endpoint_name": {"S": f"{self.model}-endpoint"},
            "accounts": {"M": {n: {"S": a} for n, a in (("dev", DEV), ("prod", TEST))}},
        }
        aws("dynamodb").put_item(TableName="governed-path-project-directory", Item=item)

    def _wait_machine(self, aws: Callable[..., Any]) -> str:
        wait = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}
        name = f"waits-{uuid4().hex}"
        aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        created = self._states.create_state_machine(
            name=name,
            definition=json.dumps(wait),
            roleArn=f"arn:aws:iam::{CENTRAL}:role/{name}",
        )
        return str(created["stateMachineArn"])

    @property
    def endpoint_arn(self) -> str:
        return f"arn:aws:sagemaker:{REGION}:{TEST}:endpoint/{self.model}-endpoint"

    def start(self) -> str:
        return str(self._states.start_execution(stateMachineArn=self._machine)["executionArn"])

    def stop(self, execution_arn: str) -> None:
        self._states.stop_execution(executionArn=execution_arn, cause="a test")

    def lock(
        self,
        execution_arn: str,
        decided_at: str = EARLIER,
        attempt: int = 0,
        workflow: str = "release_to_prod",
    ) -> Any:
        promotion = {
            "claim_id": uuid4().hex * 2,
            "workflow": workflow,
            "stage": "Prod",
            "model": self.model,
            "model_package_arn": f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package/m/3",
            "account": CENTRAL,
            "decided_at": decided_at,
            "event_id": "e",
            "execution_arn": execution_arn,
        }
        return self._lambdas("lock_endpoint")({"promotion": promotion, "attempt": attempt})

    def ended(self, execution_arn: str, status: str = "ABORTED") -> Any:
        event = events.example("step-functions-execution-status-change.release-aborted")
        event["detail"] |= {"executionArn": execution_arn, "status": status}
        return self._lambdas("release_endpoint_lock")(event)

    def holder(self) -> str | None:
        found = Locks(TABLE).holder(self.endpoint_arn)
        return None if found is None else str(found["execution_arn"])


@pytest.fixture
def releases(lambdas: Callable[..., Any], aws: Callable[..., Any]) -> Iterator[Releases]:
    made = Releases(lambdas, aws)
    running: list[str] = []
    start = made.start

    def started() -> str:
        running.append(start())
        return running[-1]

    made.start = started  # type: ignore[method-assign]
    yield made
    for execution_arn in running:
        made.stop(execution_arn)


def test_the_first_gets_the_endpoint_and_may_ask_again(releases: Releases) -> None:
    one = releases.start()
    answer = {"endpoint_arn": releases.endpoint_arn, "refusal": None, "took_over": None}
    assert releases.lock(one) == answer
    assert releases.lock(one) == answer
    assert releases.holder() == one


def test_the_second_waits_as_long_as_the_first_runs(releases: Releases) -> None:
    one, other = releases.start(), releases.start()
    releases.lock(one)
    with pytest.raises(TransientError, match=rf"has held it since .* in execution {one}"):
        releases.lock(other, LATER)
    assert releases.ended(one, "SUCCEEDED") == {
        "outcome": "released",
        "endpoint_arn": releases.endpoint_arn,
    }
    assert releases.lock(other, LATER)["refusal"] is None
    assert releases.holder() == other


def test_who_waited_too_long_is_told_who_has_it(releases: Releases) -> None:
    one, other = releases.start(), releases.start()
    releases.lock(one)
    refusal = releases.lock(other, LATER, locks.ATTEMPTS)["refusal"]
    assert one in refusal["description"]
    # The end of who never had it takes nothing from who has.
    assert releases.ended(other)["outcome"] == "nothing to release"
    assert releases.holder() == one


def test_an_older_decision_is_turned_away_at_once(releases: Releases) -> None:
    one, other = releases.start(), releases.start()
    releases.lock(one, LATER)
    assert releases.lock(other, EARLIER)["refusal"]["reasons"][0]["rule"] == locks.RULE


def test_a_lock_does_not_outlive_a_stopped_execution_though_nobody_tells_of_its_end(
    releases: Releases,
) -> None:
    one, other = releases.start(), releases.start()
    releases.lock(one)
    releases.stop(one)
    assert releases.lock(other, LATER)["refusal"] is None
    assert releases.holder() == other
    # Its event comes after all, and late.
    assert releases.ended(one)["outcome"] == "nothing to release"
    assert releases.holder() == other


def test_a_lock_of_an_execution_that_aws_has_forgotten_is_taken(releases: Releases) -> None:
    releases.lock(f"arn:aws:states:{REGION}:{CENTRAL}:execution:gone:{uuid4().hex}")
    one = releases.start()
    assert releases.lock(one, LATER)["refusal"] is None
    assert releases.holder() == one


def test_an_end_that_is_told_twice_releases_once(releases: Releases) -> None:
    one = releases.start()
    releases.lock(one)
    outcomes = [releases.ended(one)["outcome"] for _ in range(2)]
    assert outcomes == ["released", "nothing to release"]
    assert releases.holder() is None


def test_a_rollback_takes_the_endpoint_from_a_release_and_learns_what_to_stop(
    releases: Releases,
) -> None:
    """Whichever was decided first; and it still knows when it is asked a second time."""
    release, back, waiting = releases.start(), releases.start(), releases.start()
    releases.lock(release, LATER)
    for _ in range(2):
        took = releases.lock(back, EARLIER, workflow="rollback_model")["took_over"]
        assert took["execution_arn"] == release
    assert releases.holder() == back
    # The end of what was stopped frees nothing, and who waits still does.
    assert releases.ended(release)["outcome"] == "nothing to release"
    with pytest.raises(TransientError, match=back):
        releases.lock(waiting, LATER)


class Served:
    """The ledger of a model: what came to serve, from the given reading on."""

    def __init__(self, after: int) -> None:
        self.after, self.reads = after, 0

    def newest_first(self, model: str, kind: str) -> Iterator[dict[str, Any]]:
        if kind != "CandidateInService":
            return
        self.reads += 1
        if self.reads > self.after:
            yield {
                "kind": kind,
                "sequence": 9,
                "decided_at": EARLIER,
                "recorded_at": LATER,
                "model_package_arn": f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package/m/4",
            }

    def story(self, model: str, model_package_arn: str) -> Iterator[dict[str, Any]]:
        yield from ()


@pytest.mark.parametrize("before", [True, False])
def test_a_rollback_that_comes_too_late_leaves_the_release_its_lock(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """Whether the other version serves before the lock was asked for, or in that moment."""
    release, back, waiting = releases.start(), releases.start(), releases.start()
    releases.lock(release)
    served = Served(0 if before else 1)
    monkeypatch.setattr(
        importlib.import_module("governance.handlers.lock_endpoint"), "Ledger", lambda _: served
    )
    answer = releases.lock(back, workflow="rollback_model")
    assert (answer["refusal"]["reasons"][0]["rule"], answer["took_over"]) == (locks.RULE, None)
    assert served.reads == (1 if before else 2)
    assert releases.holder() == release
    # The end of what was refused frees nothing; that of the release does.
    assert releases.ended(back)["outcome"] == "nothing to release"
    with pytest.raises(TransientError, match=release):
        releases.lock(waiting, LATER)
    assert releases.ended(release)["outcome"] == "released"


def test_nobody_is_given_a_lock_back_who_has_ended(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, back = releases.start(), releases.start()
    releases.lock(release)
    assert releases.lock(back, workflow="rollback_model")["took_over"]
    releases.stop(release)
    monkeypatch.setattr(
        importlib.import_module("governance.handlers.lock_endpoint"), "Ledger", lambda _: Served(0)
    )
    assert releases.lock(back, workflow="rollback_model")["refusal"]
    assert releases.ended(back)["outcome"] == "released"
    assert releases.holder() is None


def test_a_rollback_waits_for_another(releases: Releases) -> None:
    one, other = releases.start(), releases.start()
    assert releases.lock(one, workflow="rollback_model")["took_over"] is None
    with pytest.raises(TransientError, match=one):
        releases.lock(other, workflow="rollback_model")


def test_a_drill_waits_for_a_drill_and_nobody_for_a_drill(releases: Releases) -> None:
    drill, other, back = (releases.start() for _ in range(3))
    assert releases.lock(drill, workflow="drill_rollback")["refusal"] is None
    with pytest.raises(TransientError, match=drill):
        releases.lock(other, workflow="drill_rollback")
    assert releases.lock(back, workflow="rollback_model")["took_over"] is None
    assert releases.holder() == back
    # Its end gives back what it held, and not what the rollback holds.
    assert releases.ended(drill)["outcome"] == "released"
    assert releases.holder() == back
    assert releases.lock(other, workflow="drill_rollback")["refusal"] is None


def test_what_is_stopped_runs_no_more_and_is_stopped_once(releases: Releases) -> None:
    release = releases.start()
    assert [workflows.stop(release, "a test") for _ in range(2)] == [True, False]
    assert not workflows.is_running(release)


def test_many_at_once_and_one_has_it(releases: Releases) -> None:
    executions = [releases.start() for _ in range(6)]

    def ask(execution_arn: str) -> bool:
        try:
            return bool(releases.lock(execution_arn)["refusal"] is None)
        except TransientError:
            return False

    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(ask, executions))
    assert sum(got) == 1
    assert releases.holder() == executions[got.index(True)]
