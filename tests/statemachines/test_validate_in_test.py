"""validate_in_test: Test / Approved tries the candidate on a real endpoint and cleans up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.statemachines import machines
from tests.statemachines.engines import Run

MACHINE = "validate_in_test"
TO_GATE = [
    "ClaimApproval",
    "ApprovalClaimed?",
    "CheckAccess",
    "ResolveApprover",
    "VerifyCandidate",
    "CandidateUnchanged?",
    "EvaluateGate",
    "ValidationAllowed?",
]
TO_SERVICE = [
    *TO_GATE,
    "SetStageValidating",
    "RecordValidationStarted",
    "PlanDeployment",
    "GrantClearance",
    "DeployToTest",
    "EndpointInService?",
]
SUITES = ["PlanSuites", "RunSuites", "ScoreHoldout", "RunSuitesOnHoldout"]
RESULTS = ["AggregateResults", "RemoveEndpoint", "WriteResults", "TestsPassed?"]
HAPPY = [*TO_SERVICE, *SUITES, *RESULTS, "RecordValidationPassed", "ValidationSucceeded"]
FAILED = [*TO_SERVICE, *SUITES, *RESULTS, "RecordValidationFailed", "ValidationFailed"]
NOT_SERVING = [*TO_SERVICE, *RESULTS, "RecordValidationFailed", "ValidationFailed"]
# Found at the gate, recorded before the gate says no.
TAMPERED = [*TO_GATE[:-2], "RecordTampering", *TO_GATE[-2:]]
REJECTED = [*TO_GATE, "SetStageRejected", "RecordRejection", "ValidationRejected"]
ERRORED = ["SetStageErrored", "RecordErrored", "SendToDeadLetterQueue", "ValidationErrored"]
CLEANED = ["RemoveEndpointAfterError", *ERRORED]
_REMOVALS = {"RemoveEndpoint", "RemoveEndpointAfterError"}


def until(state: str, path: list[str] = HAPPY) -> list[str]:
    return path[: path.index(state) + 1]


@pytest.mark.parametrize(
    ("case", "states", "outcome"),
    [
        ("HappyPath", HAPPY, "passed"),
        ("TestsFailed", FAILED, "failed"),
        ("EndpointFailed", NOT_SERVING, "failed"),
        ("Rejected", REJECTED, "rejected"),
        # What came after the decision stays in the registry: only the ledger tells of it.
        ("RejectedAsStale", [*TO_GATE, "RecordRejection", "ValidationRejected"], "rejected"),
        ("Tampered", [*TAMPERED, *REJECTED[len(TO_GATE) :]], "rejected"),
        (
            "Duplicate",
            ["ClaimApproval", "ApprovalClaimed?", "ValidationAlreadyHandled"],
            "duplicate",
        ),
    ],
)
def test_a_decision_ends_in_success(
    run: Callable[[str], Run], case: str, states: list[str], outcome: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (states, "SUCCEEDED")
    assert ended.output["outcome"] == outcome


@pytest.mark.parametrize("case", ["HappyPath"])
def test_every_suite_runs_and_every_shard_is_scored(run: Callable[[str], Run], case: str) -> None:
    tries = run(case).tries
    assert (tries["RunSuites"], tries["ScoreHoldout"]) == (2, 2)


@pytest.mark.parametrize("case", ["TestsFailed"])
def test_failed_tests_say_why(run: Callable[[str], Run], case: str) -> None:
    assert run(case).output["reasons"] == ["quality: auc is 0.61; expected at least 0.75"]


@pytest.mark.parametrize(
    ("case", "states"),
    [
        *(
            (f"{state}Fails", [*until(state), *ERRORED])
            for state in (
                "CheckAccess",
                "ResolveApprover",
                "VerifyCandidate",
                "EvaluateGate",
                "SetStageValidating",
                "RecordValidationStarted",
                "PlanDeployment",
                "GrantClearance",
                "RemoveEndpoint",
                "WriteResults",
                "RecordValidationPassed",
            )
        ),
        ("PlanSuitesFails", [*until("PlanSuites"), *CLEANED]),
        ("RunSuiteFails", [*until("RunSuites"), *CLEANED]),
        ("RunSuiteOnShardFails", [*until("ScoreHoldout"), *CLEANED]),
        ("RunSuitesOnHoldoutFails", [*until("RunSuitesOnHoldout"), *CLEANED]),
        ("AggregateResultsFails", [*until("AggregateResults"), *CLEANED]),
        ("RecordValidationFailedFails", [*until("RecordValidationFailed", FAILED), *ERRORED]),
        ("SetStageRejectedFails", [*until("SetStageRejected", REJECTED), *ERRORED]),
        ("RecordRejectionFails", [*until("RecordRejection", REJECTED), *ERRORED]),
        ("RecordTamperingFails", [*until("RecordTampering", TAMPERED), *ERRORED]),
        # Whatever breaks in the telling, the end is reached.
        ("RemoveEndpointAfterErrorFails", [*until("AggregateResults"), *CLEANED]),
        ("SetStageErroredFails", [*until("WriteResults"), *ERRORED]),
        ("RecordErroredFails", [*until("WriteResults"), *ERRORED]),
        ("SendToDeadLetterQueueFails", [*until("WriteResults"), *ERRORED]),
        ("EverythingBroken", [*until("RunSuites"), *CLEANED]),
        ("DeployToTestFails", [*until("DeployToTest"), *CLEANED]),
    ],
)
def test_an_error_is_recorded_queued_and_alarms(
    run: Callable[[str], Run], case: str, states: list[str]
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (states, "FAILED")
    # The first error keeps its name; a child's failure has AWS's name for it.
    first = {"RunSuiteFails": "NotFoundError", "EverythingBroken": "NotFoundError"}
    first["RunSuiteOnShardFails"] = "NotFoundError"
    first |= {"DeployToTestFails": "States.TaskFailed"}
    assert ended.error == first.get(case, "IntegrityError")


@pytest.mark.parametrize("case", ["ClaimApprovalFails"])
def test_what_cannot_be_claimed_goes_straight_to_the_queue(
    run: Callable[[str], Run], case: str
) -> None:
    ended = run(case)
    assert ended.states == ["ClaimApproval", "SendToDeadLetterQueue", "ValidationErrored"]
    assert (ended.status, ended.error) == ("FAILED", "IntegrityError")


@pytest.mark.parametrize("case", ["EverythingBroken"])
def test_the_cause_tells_the_whole_story(run: Callable[[str], Run], case: str) -> None:
    cause = run(case).cause
    assert cause is not None
    later = [
        "RemoveEndpointAfterError",
        "SetStageErrored",
        "RecordErrored",
        "SendToDeadLetterQueue",
    ]
    positions = [cause.find(part) for part in ("suite contract: ", *later)]
    assert -1 not in positions
    assert positions == sorted(positions)


@pytest.mark.parametrize("case", list(machines.test_cases(MACHINE)))
def test_no_endpoint_is_left_behind(run: Callable[[str], Run], case: str) -> None:
    states = run(case).states
    if "DeployToTest" in states:
        assert _REMOVALS & set(states[states.index("DeployToTest") :])


@pytest.mark.parametrize(
    ("case", "state", "tries"),
    [
        ("CheckAccessRetried", "CheckAccess", 3),
        ("GrantClearanceKilled", "GrantClearance", 2),
        ("TransientErrorThenSuccess", "ResolveApprover", 3),
        ("ServiceErrorThenSuccess", "RunSuites", 3),
    ],
)
def test_a_passing_fault_is_retried(
    run: Callable[[str], Run], case: str, state: str, tries: int
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (HAPPY, "SUCCEEDED")
    assert ended.tries[state] >= tries


@pytest.mark.parametrize("case", ["AccessMissing"])
def test_a_missing_permission_is_named_and_not_tried_again(
    run: Callable[[str], Run], case: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == ([*until("CheckAccess"), *ERRORED], "FAILED")
    assert (ended.error, ended.tries["CheckAccess"]) == ("AccessError", 1)
    assert "check dev-role: sts:AssumeRole" in str(ended.cause)
