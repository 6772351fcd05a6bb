"""rollback_model: Prod / Rollback-Requested goes back to what served before, or alarms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from governance.domain import locks
from tests.statemachines import machines
from tests.statemachines.engines import Run

MACHINE = "rollback_model"
TO_GATE = [
    "ClaimRollback",
    "RollbackClaimed?",
    "ResolveApprover",
    "ProveRollbackTarget",
    "EvaluateGate",
    "RollbackAllowed?",
]
TO_LOCK = [*TO_GATE, "LockEndpoint", "EndpointLocked?"]
FROM_LOCK = [
    "RecordRollbackStarted",
    "PlanDeployment",
    "GrantClearance",
    "DeployToProd",
    "EndpointInService?",
    "WatchEndpoint",
    "SmokeTest",
    "SmokeTestPassed?",
    "TagEndpoint",
    "SetStageRolledBack",
    "RecordRollback",
    "SetStageDeployed",
    "RecordRestoration",
    "RollbackSucceeded",
]
STOPPED = ["StopRelease", "SetStageStopped", "RecordStoppedRelease"]
HAPPY = [*TO_LOCK, *FROM_LOCK]
STOPPING = [*TO_LOCK, *STOPPED, *FROM_LOCK]
BACK = ["SetStageBack", "RecordRejection", "RollbackRejected"]
REJECTED = [*TO_GATE, *BACK]
ERRORED = ["SetStageErrored", "RecordErrored", "SendToDeadLetterQueue", "RollbackErrored"]
VERSION = "arn:aws:sagemaker:us-east-1:111122223333:model-package/clinical-risk-classifier/"


def until(state: str, path: list[str] = HAPPY) -> list[str]:
    return path[: path.index(state) + 1]


@pytest.mark.parametrize(
    ("case", "states", "outcome"),
    [
        ("HappyPath", HAPPY, "rolled_back"),
        # It works while a release goes on: that one is stopped first.
        ("WhileReleasing", STOPPING, "rolled_back"),
        ("NothingToGoBackTo", REJECTED, "rejected"),
        # What came after the request stays in the registry, and an unknown version has no phase.
        ("RejectedAsStale", [*TO_GATE, *BACK[1:]], "rejected"),
        ("RejectedAsUnknown", [*TO_GATE, *BACK[1:]], "rejected"),
        ("EndpointBusy", [*TO_LOCK, *BACK], "rejected"),
        # Nobody's session is read for an alarm.
        ("ByAlarm", [s for s in HAPPY if s != "ResolveApprover"], "rolled_back"),
        (
            "AlarmOfARelease",
            ["ClaimRollback", "RollbackClaimed?", "RollbackAlreadyHandled"],
            "ignored",
        ),
        ("Duplicate", ["ClaimRollback", "RollbackClaimed?", "RollbackAlreadyHandled"], "duplicate"),
    ],
)
def test_a_request_ends_in_success(
    run: Callable[[str], Run], case: str, states: list[str], outcome: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (states, "SUCCEEDED")
    assert ended.output["outcome"] == outcome


def test_a_rollback_says_from_what_to_what_by_whom_it_was_caused_and_how_long_it_took(
    run: Callable[[str], Run],
) -> None:
    swap = run("HappyPath").output["rollback"]
    assert (swap["from"], swap["to"], swap["trigger"]) == (f"{VERSION}3", f"{VERSION}2", "person")
    assert isinstance(swap["seconds"], int)


@pytest.mark.parametrize(
    ("case", "states"),
    [
        *(
            (f"{state}Fails", [*until(state), *ERRORED])
            for state in (
                "ResolveApprover",
                "ProveRollbackTarget",
                "EvaluateGate",
                "LockEndpoint",
                "RecordRollbackStarted",
                "PlanDeployment",
                "GrantClearance",
                "WatchEndpoint",
                "SmokeTest",
                "TagEndpoint",
                "SetStageRolledBack",
                "RecordRollback",
                "SetStageDeployed",
                "RecordRestoration",
            )
        ),
        ("StopReleaseFails", [*until("StopRelease", STOPPING), *ERRORED]),
        ("SetStageStoppedFails", [*until("SetStageStopped", STOPPING), *ERRORED]),
        ("RecordStoppedReleaseFails", [*until("RecordStoppedRelease", STOPPING), *ERRORED]),
        ("SetStageBackFails", [*until("SetStageBack", REJECTED), *ERRORED]),
        ("RecordRejectionFails", [*until("RecordRejection", REJECTED), *ERRORED]),
        # Whatever breaks in the telling, the end is reached and the first error keeps its name.
        ("SetStageErroredFails", [*until("TagEndpoint"), *ERRORED]),
        ("RecordErroredFails", [*until("TagEndpoint"), *ERRORED]),
        ("SendToDeadLetterQueueFails", [*until("TagEndpoint"), *ERRORED]),
        ("EverythingBroken", [*until("SmokeTest"), *ERRORED]),
        # Nothing is known yet that could be recorded.
        ("ClaimRollbackFails", ["ClaimRollback", *ERRORED[2:]]),
    ],
)
def test_an_error_is_recorded_queued_and_alarms(
    run: Callable[[str], Run], case: str, states: list[str]
) -> None:
    ended = run(case)
    assert ended.states == states
    assert (ended.status, ended.error) == ("FAILED", "IntegrityError")


@pytest.mark.parametrize(
    ("case", "last", "error", "cause"),
    [
        (
            "EndpointFailed",
            "EndpointInService?",
            "DeploymentFailed",
            "failed: the container did not answer /ping",
        ),
        (
            "SmokeTestFailed",
            "SmokeTestPassed?",
            "SmokeTestFailed",
            'HTTP 500: {"error":"no such feature"}',
        ),
        ("DeployToProdFails", "DeployToProd", "States.TaskFailed", "does not trust the hub"),
    ],
)
def test_a_rollback_that_does_not_serve_alarms(
    run: Callable[[str], Run], case: str, last: str, error: str, cause: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == ([*until(last), *ERRORED], "FAILED")
    assert ended.error == error
    assert cause in str(ended.cause)


@pytest.mark.parametrize(
    ("case", "state", "tries"),
    [
        ("TransientErrorThenSuccess", "SmokeTest", 3),
        ("ChildStartedOnSecondTry", "DeployToProd", 2),
        # Another rollback is waited for.
        ("EndpointFreeLater", "LockEndpoint", 3),
    ],
)
def test_a_passing_fault_is_retried(
    run: Callable[[str], Run], case: str, state: str, tries: int
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (HAPPY, "SUCCEEDED")
    assert ended.tries[state] == tries


def test_the_function_says_no_at_the_last_of_the_retries() -> None:
    state = machines.source(MACHINE)["States"]["LockEndpoint"]
    assert state["Retry"][-1]["MaxAttempts"] == locks.ATTEMPTS
