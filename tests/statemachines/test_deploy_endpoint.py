"""deploy_endpoint: make a planned deployment serve, and say how it ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.statemachines import machines
from tests.statemachines.engines import Run

MACHINE = "deploy_endpoint"
TASKS = ["CreateModel", "CreateEndpointConfig", "DeployEndpoint", "CheckServedConfig"]
FINISHED = [*TASKS, "ServedAsIntended?", "DeploymentFinished"]
# Whatever did not come into service has turned the alarms, and maybe ended the autoscaling.
NOT_SERVING = [*TASKS, "ServedAsIntended?", "WatchEndpoint", "SaidSo?", "DeploymentFinished"]
ROLLED_BACK = [*NOT_SERVING[:-1], "ReportSilentRollback", "DeploymentFinished"]
BEGAN = "2026-11-21T09:00:00.000000Z"
BEFORE_ALARMS = ("CreateModel", "CreateEndpointConfig")
DEPLOYMENT = machines.start_input(MACHINE)["deployment"]


def served(case: str) -> dict[str, object]:
    """What CheckServedConfig found out, handed on as it is; nothing bakes that is not there."""
    mocks = machines.mocks(MACHINE)
    name = mocks["StateMachines"]["governed-path-deploy-endpoint"]["TestCases"][case]
    answer = mocks["MockedResponses"][name["CheckServedConfig"]]["0"]["Return"]["Payload"]["served"]
    left = 0 if case == "SilentRollback" else answer["bake_left"]
    told = {"taken_back": answer["taken_back"], "alarms": answer["alarms"], "bake_left": left}
    # When alarms count from: what brought the answer back may not know.
    began = BEGAN if case == "HappyPath" else None
    return told if case == "SilentRollback" else {**told, "began": began}


@pytest.mark.parametrize(
    ("case", "states", "outcome", "reason"),
    [
        ("HappyPath", FINISHED, "in_service", None),
        ("NoReasonGiven", FINISHED, "in_service", None),
        ("EndpointFailed", NOT_SERVING, "failed", "the container did not answer /ping"),
        ("EndpointRolledBack", NOT_SERVING, "rolled_back", "an alarm went off"),
        (
            "SilentRollback",
            ROLLED_BACK,
            "rolled_back",
            f"it serves the-old-config, not {DEPLOYMENT['config_name']}",
        ),
    ],
)
def test_how_a_deployment_ended_is_its_output(
    run: Callable[[str], Run], case: str, states: list[str], outcome: str, reason: str | None
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (states, "SUCCEEDED")
    assert ended.output == {
        "outcome": outcome,
        "failure_reason": reason,
        "deployment": DEPLOYMENT,
        **served(case),
    }


@pytest.mark.parametrize(
    ("case", "failing", "error"),
    [
        *((f"{task}Fails", task, "IntegrityError") for task in TASKS),
        ("NobodyAnswers", "DeployEndpoint", "States.Timeout"),
        ("TransientErrorForEver", "CreateModel", "TransientError"),
    ],
)
def test_what_we_could_not_do_is_an_error_with_its_name(
    run: Callable[[str], Run], case: str, failing: str, error: str
) -> None:
    ended = run(case)
    watched = [] if failing in BEFORE_ALARMS else ["WatchEndpointAfterError"]
    assert ended.states == [*TASKS[: TASKS.index(failing) + 1], *watched, "DeploymentErrored"]
    assert (ended.status, ended.error) == ("FAILED", error)
    assert ended.cause


@pytest.mark.parametrize(
    ("case", "states", "error", "cause"),
    [
        ("WatchEndpointFails", NOT_SERVING[:-2], "IntegrityError", "sha256"),
        # The first error keeps its name.
        (
            "WatchEndpointAfterErrorFails",
            [*TASKS[:-1], "WatchEndpointAfterError"],
            "States.Timeout",
            "; then WatchEndpointAfterError: sha256",
        ),
    ],
)
def test_what_serves_and_nobody_watches_is_an_error(
    run: Callable[[str], Run], case: str, states: list[str], error: str, cause: str
) -> None:
    ended = run(case)
    assert ended.states == [*states, "DeploymentErrored"]
    assert (ended.status, ended.error) == ("FAILED", error)
    assert cause in str(ended.cause)


@pytest.mark.parametrize("case", ["StillMoving"])
def test_alarms_of_an_endpoint_that_moves_are_left_to_that_deployment(
    run: Callable[[str], Run], case: str
) -> None:
    """For hours: what comes to serve then is watched and scaled all the same."""
    ended = run(case)
    assert (ended.error, ended.tries["WatchEndpointAfterError"]) == ("States.Timeout", 101)


@pytest.mark.parametrize(
    ("case", "state", "tries"),
    [
        ("TransientErrorThenSuccess", "CreateModel", 3),
        ("ServiceErrorThenSuccess", "CreateEndpointConfig", 2),
        # It had stored its wait, which nobody but the same claim may replace.
        ("KilledOnceThenSuccess", "DeployEndpoint", 2),
    ],
)
def test_a_passing_fault_is_retried(
    run: Callable[[str], Run], case: str, state: str, tries: int
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (FINISHED, "SUCCEEDED")
    assert ended.tries[state] == tries


@pytest.mark.parametrize("case", ["TransientErrorForEver", "CreateModelFails"])
def test_retries_are_bounded_and_only_for_passing_faults(
    run: Callable[[str], Run], case: str
) -> None:
    expected = {"TransientErrorForEver": 5, "CreateModelFails": 1}
    assert run(case).tries["CreateModel"] == expected[case]


def test_after_an_error_no_alarm_takes_back_what_the_ledger_still_says() -> None:
    states = machines.source(MACHINE)["States"]
    given = states["WatchEndpointAfterError"]["Arguments"]["Payload"]
    assert given["unrecorded"] is True


def test_only_what_a_release_has_begun_is_taken_back_when_its_run_breaks() -> None:
    """What a rollback, a trial or a champion's return has begun goes on: going back is worse."""
    states = machines.source(MACHINE)["States"]
    given = states["WatchEndpointAfterError"]["Arguments"]["Payload"]
    assert given["take_back"] == "{% $take_back %}"
    asking = {
        (machine, name)
        for machine in machines.NAMES
        for name, state in machines.source(machine)["States"].items()
        if ((state.get("Arguments") or {}).get("Input") or {}).get("take_back")
    }
    assert asking == {("release_to_prod", "DeployToProd")}
