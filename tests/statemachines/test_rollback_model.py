"""rollback_model: Prod / Rollback-Requested goes back to what served before, or alarms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
    "VerifyCandidateInService",
    "ServedCandidateUnchanged?",
    "CheckServedConfigAfterSmokeTest",
    "StillServed?",
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
LOOKED = ["CheckServedConfigAfterError", "TargetServes?", "RecordInServiceAfterError"]
ERRORED = ["RecordErrored", "SendToDeadLetterQueue", "RollbackErrored"]
VERSION = "arn:aws:sagemaker:us-east-1:111122223333:model-package/clinical-risk-classifier/"


def until(state: str, path: list[str] = HAPPY) -> list[str]:
    return path[: path.index(state) + 1]


def errored(states: list[str], serves: bool = True) -> list[str]:
    """These states and what follows when the last of them breaks; `serves`: the target does."""
    if "StopRelease" not in states and "GrantClearance" not in states[:-1]:
        return [*states, "EndpointTouched?", "SetStageBackAfterError", *ERRORED]
    told = [*states, "EndpointTouched?", "SetStageErrored", "DeploymentBegun?"]
    if "DeployToProd" not in states:
        return [*told, *ERRORED]
    return [*told, *(LOOKED if serves else LOOKED[:-1]), *ERRORED]


# That the version serves is on record before its tampering is, which would close its bytes.
TAMPERED = [
    *until("ServedCandidateUnchanged?"),
    "RecordInServiceTampered",
    "RecordServedTampering",
]
BY_ALARM = [state for state in HAPPY if state != "ResolveApprover"]
NOTHING_CHANGED = "the rollback has changed nothing, so the version is what it was"


@pytest.mark.parametrize(
    ("case", "states", "outcome"),
    [
        ("HappyPath", HAPPY, "rolled_back"),
        # It works while a release goes on: that one is stopped first.
        ("WhileReleasing", STOPPING, "rolled_back"),
        ("NothingToGoBackTo", REJECTED, "rejected"),
        # What came after the request stays in the registry.
        ("RejectedAsStale", [*TO_GATE, *BACK[1:]], "rejected"),
        ("RejectedAsUnknown", REJECTED, "rejected"),
        ("EndpointBusy", [*TO_LOCK, *BACK], "rejected"),
        # Nobody's session is read for an alarm.
        ("ByAlarm", BY_ALARM, "rolled_back"),
        # It has set nothing on the version, so nothing is set back.
        ("AlarmRefused", [*until("RollbackAllowed?", BY_ALARM), *BACK[1:]], "rejected"),
        ("AlarmOvertaken", [*until("EndpointLocked?", BY_ALARM), *BACK[1:]], "rejected"),
        ("RequestOvertaken", [*TO_LOCK, *BACK], "rejected"),
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


@pytest.mark.parametrize("state", ["SetStageBack", "SetStageBackAfterError"])
def test_only_the_request_itself_is_replaced_by_what_the_version_is_by_now(state: str) -> None:
    """Another run may have moved the version since."""
    given = machines.source(MACHINE)["States"][state]["Arguments"]["Payload"]
    assert given["only_from"] == {"stage": "Prod", "stage_status": "Rollback-Requested"}
    assert given["as_recorded"] is True
    assert "stage" not in given


def test_a_rollback_that_has_changed_nothing_moves_no_version_in_the_ledger_either() -> None:
    """An entry with another status would say where the version stands, as it was read earlier."""
    given = machines.source(MACHINE)["States"]["RecordErrored"]["Arguments"]["Payload"]
    asked = "{% $touched ? 'Errored' : 'Rollback-Requested' %}"
    assert (given["stage"], given["stage_status"]) == ("Prod", asked)


@pytest.mark.parametrize("machine", [MACHINE, "drill_rollback"])
def test_what_a_person_names_is_gone_back_to_by_nobody_else(machine: str) -> None:
    """The version keeps it, so whoever looks for what to go back to must know who asks."""
    given = machines.source(machine)["States"]["ProveRollbackTarget"]["Arguments"]["Payload"]
    assert given["trigger"] == "{% $trigger %}"


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
            (f"{state}Fails", errored(until(state)))
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
                "VerifyCandidateInService",
                "CheckServedConfigAfterSmokeTest",
                "TagEndpoint",
                "SetStageRolledBack",
                "RecordRollback",
                "SetStageDeployed",
                "RecordRestoration",
            )
        ),
        ("StopReleaseFails", errored(until("StopRelease", STOPPING))),
        ("SetStageStoppedFails", errored(until("SetStageStopped", STOPPING))),
        ("RecordStoppedReleaseFails", errored(until("RecordStoppedRelease", STOPPING))),
        ("RecordInServiceTamperedFails", errored(TAMPERED[:-1])),
        ("RecordServedTamperingFails", errored(TAMPERED)),
        ("SetStageBackFails", errored(until("SetStageBack", REJECTED))),
        ("RecordRejectionFails", errored(until("RecordRejection", REJECTED))),
        # Whatever breaks in the telling, the end is reached and the first error keeps its name.
        ("SetStageErroredFails", errored(until("TagEndpoint"))),
        ("SetStageBackAfterErrorFails", errored(until("EvaluateGate"))),
        ("RecordErroredFails", errored(until("TagEndpoint"))),
        ("SendToDeadLetterQueueFails", errored(until("TagEndpoint"))),
        (
            "CheckServedConfigAfterErrorFails",
            [s for s in errored(until("TagEndpoint")) if s not in LOOKED[1:]],
        ),
        ("RecordInServiceAfterErrorFails", errored(until("TagEndpoint"))),
        (
            "EverythingBroken",
            [s for s in errored(until("SmokeTest")) if s not in LOOKED[1:]],
        ),
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


@pytest.mark.parametrize(
    ("case", "states", "untouched"),
    [
        # Before the ledger was read, and by an alarm, which shows nothing on the version.
        ("ResolveApproverFails", errored(until("ResolveApprover")), True),
        (
            "BrokenBeforeAnAlarmIsKnown",
            [*until("ProveRollbackTarget", BY_ALARM), "EndpointTouched?", *ERRORED],
            True,
        ),
        (
            "BrokenBeforeAnAlarmActs",
            [*until("EvaluateGate", BY_ALARM), "EndpointTouched?", *ERRORED],
            True,
        ),
        # A person's request is what is shown, so the version is shown as what it was again.
        ("GrantClearanceFails", errored(until("GrantClearance")), True),
        # From here on something was done to the endpoint, or to a release of it.
        ("StopReleaseFails", errored(until("StopRelease", STOPPING)), False),
        ("TagEndpointFails", errored(until("TagEndpoint")), False),
    ],
)
def test_a_version_stays_what_it_was_until_its_endpoint_is_touched(
    run: Callable[[str], Run], case: str, states: list[str], untouched: bool
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (states, "FAILED")
    assert (NOTHING_CHANGED in str(ended.cause)) is untouched


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
        (
            "TakenBackAgain",
            "StillServed?",
            "ServedConfigChanged",
            "is InService with config clinical-risk-classifier-prod-prod-5f56359ef1; expected",
        ),
        (
            "ChangedWhileItIsChecked",
            "StillServed?",
            "ServedConfigChanged",
            "is Updating with config clinical-risk-classifier-prod-prod-0c1d2e3f4a, on its way to "
            "by-hand; expected",
        ),
        ("DeployToProdFails", "DeployToProd", "States.TaskFailed", "does not trust the hub"),
    ],
)
def test_a_rollback_that_does_not_serve_alarms(
    run: Callable[[str], Run], case: str, last: str, error: str, cause: str
) -> None:
    ended = run(case)
    # What the endpoint serves is looked at, and known from then on if it went back.
    assert ended.states == errored(
        until(last), serves=case not in ("EndpointFailed", "TakenBackAgain")
    )
    assert (ended.status, ended.error) == ("FAILED", error)
    assert cause in str(ended.cause)


@pytest.mark.parametrize("case", ["ComesUpLate"])
def test_what_comes_to_serve_again_hours_after_the_run_broke_does_so_with_an_entry(
    run: Callable[[str], Run], case: str
) -> None:
    ended = run(case)
    assert ended.states == errored(until("DeployToProd"))
    assert (ended.error, ended.tries["CheckServedConfigAfterError"]) == ("States.TaskFailed", 101)


@pytest.mark.parametrize(
    ("case", "states", "cause"),
    [
        ("TamperedWhileRolledBack", TAMPERED, "classifier/2 was changed while the endpoint went"),
        # It is on record already: nothing is recorded twice.
        ("PutBackWhileRolledBack", TAMPERED[:-2], "put back: approval is voided by entry 14"),
    ],
)
def test_a_version_that_changes_while_its_endpoint_goes_back_to_it_alarms(
    run: Callable[[str], Run], case: str, states: list[str], cause: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (errored(states), "FAILED")
    assert ended.error == "TamperedCandidate"
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
