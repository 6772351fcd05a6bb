"""drill_rollback: Prod / Drill-Requested goes the way back in Test, or says why nobody could."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.statemachines import machines
from tests.statemachines.engines import Run

MACHINE = "drill_rollback"
TO_GATE = [
    "ClaimRollback",
    "DrillClaimed?",
    "ResolveApprover",
    "ProveRollbackTarget",
    "StillAskedFor?",
]
GATE = ["EvaluateGate", "DrillAllowed?"]
TO_REFUSAL = [*TO_GATE, "SetStageBack", *GATE]
TO_LOCK = [*TO_REFUSAL, "LockEndpoint", "EndpointLocked?"]
TO_DEPLOYED = [*TO_LOCK, "PlanDeployment", "GrantClearance", "DeployToTest", "EndpointInService?"]
REMOVED = ["RemoveEndpoint", "DrillPassed?"]
HAPPY = [*TO_DEPLOYED, "SmokeTest", *REMOVED, "RecordDrill", "DrillSucceeded"]
FAILED = ["RecordFailedDrill", "DrillFailed"]
NONSENSE = [*TO_DEPLOYED, "SmokeTest", *REMOVED, *FAILED]
REJECTED = ["RecordRejection", "DrillRejected"]
ERRORED = ["RecordErrored", "SendToDeadLetterQueue", "DrillErrored"]
CLEANED = ["RemoveEndpointAfterError", *ERRORED]
# Broken before the request was read: the version is shown as what it is all the same.
SHOWN_AGAIN = ["StillAskedForAfterError?", "SetStageBackAfterError"]
VERSION = "arn:aws:sagemaker:us-east-1:111122223333:model-package/clinical-risk-classifier/"


def until(state: str, path: list[str] = HAPPY) -> list[str]:
    return path[: path.index(state) + 1]


@pytest.mark.parametrize(
    ("case", "states", "outcome"),
    [
        ("HappyPath", HAPPY, "proven"),
        # What a drill finds is a result, like that of a test.
        ("DoesNotServe", [*TO_DEPLOYED, *REMOVED, *FAILED], "not_proven"),
        ("AnswersNonsense", NONSENSE, "not_proven"),
        ("NothingToGoBackTo", [*TO_REFUSAL, *REJECTED], "rejected"),
        # What came after the request stays in the registry.
        ("RejectedAsStale", [*TO_GATE, *GATE, *REJECTED], "rejected"),
        ("RejectedAsUnknown", [*TO_REFUSAL, *REJECTED], "rejected"),
        ("EndpointBusy", [*TO_LOCK, *REJECTED], "rejected"),
        ("Duplicate", ["ClaimRollback", "DrillClaimed?", "DrillAlreadyHandled"], "duplicate"),
    ],
)
def test_a_request_ends_in_success(
    run: Callable[[str], Run], case: str, states: list[str], outcome: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (states, "SUCCEEDED")
    assert ended.output["outcome"] == outcome


def test_only_the_request_itself_is_replaced_by_what_the_version_was() -> None:
    """An alarm or a release may have moved the version since, and a broken gate leaves nothing."""
    states = machines.source(MACHINE)["States"]
    asked = {"stage": "Prod", "stage_status": "Drill-Requested"}
    for name in ("SetStageBack", "SetStageBackAfterError"):
        given = states[name]["Arguments"]["Payload"]
        assert (given["only_from"], given["as_recorded"]) == (asked, True)
        assert "stage" not in given
    assert states["SetStageBack"]["Next"] == "EvaluateGate"


def test_a_drill_says_from_what_to_what_what_it_proved_and_how_long_it_took(
    run: Callable[[str], Run],
) -> None:
    drill = run("HappyPath").output["drill"]
    assert (drill["from"], drill["to"]) == (f"{VERSION}3", f"{VERSION}2")
    assert (drill["proven"], drill["said"]) == (True, "the sample got HTTP 200")
    assert isinstance(drill["seconds"], int)
    assert isinstance(drill["in_service_seconds"], int)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("DoesNotServe", "failed: the container did not answer /ping"),
        ("AnswersNonsense", 'the sample got HTTP 500: {"error":"no such feature"}'),
    ],
)
def test_a_way_back_that_does_not_hold_says_what_was_found(
    run: Callable[[str], Run], case: str, said: str
) -> None:
    drill = run(case).output["drill"]
    assert (drill["proven"], drill["said"]) == (False, said)
    # Nobody is told how fast a rollback would have been that would not have worked.
    assert ("seconds" in drill) == (case == "AnswersNonsense")


@pytest.mark.parametrize(
    ("case", "states"),
    [
        *(
            (f"{state}Fails", [*until(state), *SHOWN_AGAIN, *ERRORED])
            for state in ("ResolveApprover", "ProveRollbackTarget")
        ),
        # Who has asked since does so again, and nobody may take that for nothing.
        ("StaleAndBroken", [*until("ProveRollbackTarget"), SHOWN_AGAIN[0], *ERRORED]),
        ("SetStageBackAfterErrorFails", [*until("ProveRollbackTarget"), *SHOWN_AGAIN, *ERRORED]),
        *(
            (f"{state}Fails", [*until(state), *ERRORED])
            for state in (
                "EvaluateGate",
                "SetStageBack",
                "LockEndpoint",
                "PlanDeployment",
                "GrantClearance",
                "RemoveEndpoint",
                "RecordDrill",
            )
        ),
        ("SmokeTestFails", [*until("SmokeTest"), *CLEANED]),
        ("RecordFailedDrillFails", [*until("RecordFailedDrill", NONSENSE), *ERRORED]),
        ("RecordRejectionFails", [*TO_REFUSAL, "RecordRejection", *ERRORED]),
        # Whatever breaks in the telling, the end is reached and the first error keeps its name.
        ("RemoveEndpointAfterErrorFails", [*until("SmokeTest"), *CLEANED]),
        ("RecordErroredFails", [*until("SmokeTest"), *CLEANED]),
        ("SendToDeadLetterQueueFails", [*until("SmokeTest"), *CLEANED]),
        ("EverythingBroken", [*until("SmokeTest"), *CLEANED]),
        # Nothing is known yet that could be recorded.
        ("ClaimRollbackFails", ["ClaimRollback", *ERRORED[1:]]),
    ],
)
def test_an_error_is_recorded_queued_and_alarms(
    run: Callable[[str], Run], case: str, states: list[str]
) -> None:
    ended = run(case)
    assert ended.states == states
    assert (ended.status, ended.error) == ("FAILED", "IntegrityError")


def test_a_deployment_that_could_not_be_tried_is_cleaned_up_and_alarms(
    run: Callable[[str], Run],
) -> None:
    ended = run("DeployToTestFails")
    assert (ended.states, ended.status) == ([*until("DeployToTest"), *CLEANED], "FAILED")
    assert "does not trust the hub" in str(ended.cause)


@pytest.mark.parametrize(
    ("case", "state", "tries"),
    [
        ("TransientErrorThenSuccess", "SmokeTest", 3),
        ("ChildStartedOnSecondTry", "DeployToTest", 2),
        # Another drill of the endpoint is waited for.
        ("EndpointFreeLater", "LockEndpoint", 3),
    ],
)
def test_a_passing_fault_is_retried(
    run: Callable[[str], Run], case: str, state: str, tries: int
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (HAPPY, "SUCCEEDED")
    assert ended.tries[state] == tries


def test_nothing_that_only_a_release_or_a_rollback_may_do_is_called() -> None:
    """Nothing in Prod changes: no endpoint is watched, tagged or stopped, no version superseded."""
    called = machines.substitutions(MACHINE)
    assert called < machines.substitutions("rollback_model") | {"RemoveEndpointFunctionArn"}
    assert called.isdisjoint(
        f"{name}FunctionArn"
        for name in ("StopRelease", "TagEndpoint", "WatchEndpoint", "SupersedeVersion")
    )
