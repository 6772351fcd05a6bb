"""release_to_prod: Prod / Approved releases the signed-off version, or alarms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from governance.domain import alarm_events
from tests.statemachines import machines
from tests.statemachines.engines import Run

MACHINE = "release_to_prod"
TO_GATE = [
    "ClaimApproval",
    "ApprovalClaimed?",
    "CheckAccess",
    "ResolveApprover",
    "ConfirmApprover",
    "VerifyCandidate",
    "CandidateUnchanged?",
    "EvaluateGate",
    "ReleaseAllowed?",
]
TO_LOCK = [*TO_GATE, "LockEndpoint", "EndpointLocked?"]
TO_SERVICE = [
    *TO_LOCK,
    "SetStageReleasing",
    "RecordReleaseStarted",
    "PlanDeployment",
    "ProveRollbackTarget",
    "RollbackTargetProven?",
    "GrantClearance",
    "TrialFirst?",
    "DeployToProd",
    "EndpointInService?",
]
TO_SUPERSEDED = [
    *TO_SERVICE,
    "RecordInService",
    "GlassBroken?",
    "TagEndpoint",
    "VerifyCandidateInService",
    "ServedCandidateUnchanged?",
    "WatchEndpoint",
    "CheckAlarms",
    "AlarmsQuiet?",
    "Bake",
    "CheckAlarms",
    "AlarmsQuiet?",
    "SmokeTest",
    "CheckServedConfigAfterBake",
    "StillServed?",
    "SmokeTestPassed?",
    "SupersedeVersion",
    "VersionSuperseded?",
]
RELEASED = ["SetStageDeployed", "RecordRelease", "ReleaseSucceeded"]
HAPPY = [*TO_SUPERSEDED, "RecordSupersession", *RELEASED]
_GLASS = HAPPY.index("GlassBroken?") + 1
EMERGENCY = [*HAPPY[:_GLASS], "RecordMandatoryReview", *HAPPY[_GLASS:]]
FIRST = [*TO_SUPERSEDED, *RELEASED]
# Found at the gate, recorded before the gate says no.
TAMPERED = [*TO_GATE[:-2], "RecordTampering", *TO_GATE[-2:]]
NO_WAY_BACK = TO_SERVICE[: TO_SERVICE.index("RollbackTargetProven?") + 1]
REJECTED = [*TO_GATE, "SetStageRejected", "RecordRejection", "ReleaseRejected"]
# The guardrails did their work: a no like any other, and Prod serves what it served.
ROLLED_BACK = [*TO_SERVICE, "SetStageRolledBack", "RecordRolledBack", "ReleaseRolledBack"]
LOOK = ["ObserveTrial", "CompareVariants", "Decided?"]
PLAN_TRIAL = [*TO_SERVICE[:-2], "PlanTrial", "ChampionServes?"]
TRY = [*PLAN_TRIAL, "DeployTrial", "TrialInService?"]
AFTER_TRIAL = ["RestoreChampion", "TrialPassed?"]
WON = [*TRY, *LOOK, *LOOK, *AFTER_TRIAL, "GrantClearanceAfterTrial"]
FROM_DEPLOYMENT = HAPPY[HAPPY.index("DeployToProd") :]
TAKEN_BACK = ["SetStageRolledBack", "RecordRolledBack", "ReleaseRolledBack"]
LOOKED = [
    *("CheckServedConfigAfterError", "VersionServes?"),
    *("RecordInServiceAfterError", "GlassBrokenAfterError?"),
]
# It came into service, and does not serve any more: what serves instead is known, watched and told.
INSTEAD = [
    *("ServedInsteadKnown?", "RecordInServiceInstead"),
    *("TagEndpointTakenBack", "WatchEndpointTakenBack"),
]
ERRORED = ["RecordErrored", "SendToDeadLetterQueue", "ReleaseErrored"]
OLD_VERSION = "arn:aws:sagemaker:us-east-1:111122223333:model-package/clinical-risk-classifier/2"


def until(state: str, path: list[str] = HAPPY) -> list[str]:
    return path[: path.index(state) + 1]


def errored(
    states: list[str], serves: bool = False, instead: bool = False, owed: bool = False
) -> list[str]:
    """These states and what follows when the last of them breaks; `serves`: the version does.

    `instead`: it did, and another does. `owed`: so are the reviews that an emergency skipped.
    """
    if "PlanDeployment" not in states[:-1]:
        return [*states, "SetStageErrored", "EndpointPlanned?", *ERRORED]
    looked = LOOKED if serves or "RecordInService" in states else LOOKED[:2]
    looked = [*LOOKED[:2], "RecordInServiceInsteadAfterError"] if instead else looked
    looked = [*looked, "RecordMandatoryReviewAfterError"] if owed else looked
    return [*states, "SetStageErrored", "EndpointPlanned?", *looked, *ERRORED]


@pytest.mark.parametrize(
    ("case", "states", "outcome"),
    [
        ("HappyPath", HAPPY, "released"),
        ("FirstRelease", FIRST, "released"),
        # Released without all reviews: they are owed from now on.
        ("Emergency", EMERGENCY, "released"),
        ("Rejected", REJECTED, "rejected"),
        # What came after the decision stays in the registry: only the ledger tells of it.
        ("RejectedAsStale", [*TO_GATE, "RecordRejection", "ReleaseRejected"], "rejected"),
        ("Tampered", [*TAMPERED, *REJECTED[len(TO_GATE) :]], "rejected"),
        # Put back by now, and on record already: the gate is told, nothing is recorded twice.
        ("PutBackBeforeTheGate", REJECTED, "rejected"),
        # Somebody else changes the endpoint by a later decision: a no, with who and since when.
        ("EndpointBusy", [*TO_LOCK, *REJECTED[len(TO_GATE) :]], "rejected"),
        # Rule 11: what cannot be taken back is not deployed.
        ("WayBackBroken", [*NO_WAY_BACK, *REJECTED[len(TO_GATE) :]], "rejected"),
        ("EndpointRolledBack", ROLLED_BACK, "rolled_back"),
        # In service, and not any more when it has baked: by hand, or by SageMaker.
        (
            "TakenBackWhileItBaked",
            [*until("StillServed?"), *INSTEAD, *ROLLED_BACK[-3:]],
            "rolled_back",
        ),
        (
            "TakenBackByHand",
            [*until("StillServed?"), INSTEAD[0], INSTEAD[-1], *ROLLED_BACK[-3:]],
            "rolled_back",
        ),
        # A trial comes first, and the release goes as every other from there.
        ("TrialWon", [*WON, *FROM_DEPLOYMENT], "released"),
        ("TrialOfAFirstRelease", [*PLAN_TRIAL, *FROM_DEPLOYMENT], "released"),
        ("TrialLost", [*TRY, *LOOK, *AFTER_TRIAL, *TAKEN_BACK], "rolled_back"),
        # An alarm of the challenger does not wait for the next look.
        (
            "ChallengerSetsOffAnAlarm",
            [*TRY, *LOOK * 2, *AFTER_TRIAL, *TAKEN_BACK],
            "rolled_back",
        ),
        ("TrialUndecided", [*TRY, *LOOK * 3, *AFTER_TRIAL, *TAKEN_BACK], "rolled_back"),
        ("ChallengerDoesNotComeUp", [*TRY, *TAKEN_BACK], "rolled_back"),
        # A challenger that never came into service owes none of what the emergency did without.
        ("EmergencyTrialLost", [*TRY, *LOOK, *AFTER_TRIAL, *TAKEN_BACK], "rolled_back"),
        ("Duplicate", ["ClaimApproval", "ApprovalClaimed?", "ReleaseAlreadyHandled"], "duplicate"),
    ],
)
def test_a_decision_ends_in_success(
    run: Callable[[str], Run], case: str, states: list[str], outcome: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (states, "SUCCEEDED")
    assert ended.output["outcome"] == outcome


def test_a_challenger_that_set_off_an_alarm_is_taken_back_by_its_name(
    run: Callable[[str], Run],
) -> None:
    reason = run("ChallengerSetsOffAnAlarm").output["reason"]
    assert "after a trial: the challenger set off an alarm: governed-path-" in reason
    recorded = machines.source(MACHINE)["States"]["RestoreChampion"]["Assign"]
    assert "$comparison.alarms" in recorded["deployment_outcome"]["alarms"]


@pytest.mark.parametrize(
    ("case", "superseded"),
    [("HappyPath", OLD_VERSION), ("Emergency", OLD_VERSION), ("FirstRelease", None)],
)
def test_a_release_names_what_it_replaced(
    run: Callable[[str], Run], case: str, superseded: str | None
) -> None:
    assert run(case).output["superseded"] == superseded


@pytest.mark.parametrize(
    ("case", "states"),
    [
        *(
            (f"{state}Fails", errored(until(state)))
            for state in (
                "CheckAccess",
                "ResolveApprover",
                "ConfirmApprover",
                "VerifyCandidate",
                "EvaluateGate",
                "LockEndpoint",
                "SetStageReleasing",
                "RecordReleaseStarted",
                "PlanDeployment",
                "ProveRollbackTarget",
                "GrantClearance",
                "RecordInService",
                "VerifyCandidateInService",
                "WatchEndpoint",
                "CheckAlarms",
                "SmokeTest",
                "CheckServedConfigAfterBake",
                "TagEndpoint",
                "SupersedeVersion",
                "RecordSupersession",
                "SetStageDeployed",
                "RecordRelease",
            )
        ),
        ("PlanTrialFails", errored(until("PlanTrial", TRY))),
        ("GrantClearanceAfterTrialFails", errored(WON)),
        ("SetStageRolledBackFails", errored(until("SetStageRolledBack", ROLLED_BACK))),
        ("RecordRolledBackFails", errored(until("RecordRolledBack", ROLLED_BACK))),
        # An emergency that reached the traffic owes its reviews, whatever broke, and when.
        (
            "RecordMandatoryReviewFails",
            errored(until("RecordMandatoryReview", EMERGENCY), owed=True),
        ),
        ("EmergencyThatBreaks", errored(until("SmokeTest", EMERGENCY), owed=True)),
        (
            "RecordMandatoryReviewAfterErrorFails",
            errored(until("SmokeTest", EMERGENCY), owed=True),
        ),
        ("SetStageRejectedFails", errored(until("SetStageRejected", REJECTED))),
        ("RecordRejectionFails", errored(until("RecordRejection", REJECTED))),
        ("RecordTamperingFails", errored(until("RecordTampering", TAMPERED))),
        (
            "RecordServedTamperingFails",
            errored([*until("ServedCandidateUnchanged?"), "RecordServedTampering"]),
        ),
        # Whatever breaks in the telling, the end is reached and the first error keeps its name.
        ("SetStageErroredFails", errored(until("TagEndpoint"))),
        ("RecordErroredFails", errored(until("TagEndpoint"))),
        ("SendToDeadLetterQueueFails", errored(until("TagEndpoint"))),
        (
            "CheckServedConfigAfterErrorFails",
            [s for s in errored(until("TagEndpoint")) if s not in LOOKED[1:]],
        ),
        ("RecordInServiceAfterErrorFails", errored(until("TagEndpoint"))),
        (
            "RecordInServiceInsteadFails",
            errored([*until("StillServed?"), *INSTEAD[:-2]], instead=True),
        ),
        (
            "TagEndpointTakenBackFails",
            errored([*until("StillServed?"), *INSTEAD[:-1]], instead=True),
        ),
        (
            "WatchEndpointTakenBackFails",
            errored([*until("StillServed?"), *INSTEAD], instead=True),
        ),
        # Whatever broke, the ledger does not say of a version that was taken back that it serves.
        ("TakenBackAndThenBroken", errored(until("SmokeTest"), instead=True)),
        ("RecordInServiceInsteadAfterErrorFails", errored(until("SmokeTest"), instead=True)),
        (
            "EverythingBroken",
            [s for s in errored(until("SmokeTest")) if s not in LOOKED[1:]],
        ),
    ],
)
def test_an_error_is_recorded_queued_and_alarms(
    run: Callable[[str], Run], case: str, states: list[str]
) -> None:
    ended = run(case)
    assert ended.states == states
    assert (ended.status, ended.error) == ("FAILED", "IntegrityError")


@pytest.mark.parametrize(
    ("case", "states", "error", "cause"),
    [
        (
            "EndpointFailed",
            until("EndpointInService?"),
            "DeploymentFailed",
            "failed: the container did not answer /ping",
        ),
        (
            "AlarmBeforeItBakes",
            until("AlarmsQuiet?"),
            "AlarmAfterRelease",
            "alarm governed-path-clinical-risk-classifier-prod-server-errors",
        ),
        (
            "AlarmWhileItBakes",
            until("SmokeTest")[:-1],
            "AlarmAfterRelease",
            "alarm governed-path-clinical-risk-classifier-prod-server-errors",
        ),
        (
            "SmokeTestFailed",
            until("SmokeTestPassed?"),
            "SmokeTestFailed",
            'HTTP 500: {"error":"no such feature"}',
        ),
        (
            "ChangedWhileItIsChecked",
            until("StillServed?"),
            "ServedConfigChanged",
            "is Updating with config clinical-risk-classifier-prod-prod-5f56359ef1, on its way to "
            "by-hand; expected clinical-risk-classifier-prod-",
        ),
        # It serves, but not as it was signed off: no rollback that would close its bytes.
        (
            "ServedByAnotherConfig",
            until("StillServed?"),
            "ServedConfigChanged",
            "is InService with config by-hand; expected clinical-risk-classifier-prod-",
        ),
        # What was loaded in between serves, whatever the version says again; that is on record.
        (
            "PutBackWhileReleased",
            until("ServedCandidateUnchanged?"),
            "TamperedCandidate",
            "and put back: approval is voided by entry 14",
        ),
        # The event of a change comes seconds later than the change: asked once more at the end.
        (
            "ApprovalWithdrawnWhileItBakes",
            until("StillServed?"),
            "ApprovalWithdrawn",
            "does not stand any more: entry 14 (ApprovalsVoided) came after the approval of ",
        ),
        # Nobody is answered: the event of this end starts the way back.
        (
            "EndpointLeftFailed",
            until("EndpointInService?"),
            "EndpointFailed",
            "it is made anew with arn:aws:sagemaker:us-east-1:111122223333:model-package/"
            "clinical-risk-classifier/2; before that DeploymentFailed: failed: the container",
        ),
        (
            "FirstEndpointLeftFailed",
            until("EndpointInService?"),
            "EndpointFailed",
            "no version that served it before is good, so nobody is answered until one is approved",
        ),
        ("DeployToProdFails", until("DeployToProd"), "States.TaskFailed", "does not trust the hub"),
        (
            "EmergencyWhoseDeploymentBreaks",
            until("DeployToProd"),
            "States.TaskFailed",
            "does not trust the hub",
        ),
    ],
)
def test_a_release_that_does_not_serve_alarms(
    run: Callable[[str], Run], case: str, states: list[str], error: str, cause: str
) -> None:
    ended = run(case)
    # A child that breaks may have moved the traffic before: the endpoint is asked.
    broken = case in ("DeployToProdFails", "EmergencyWhoseDeploymentBreaks")
    owed = case == "EmergencyWhoseDeploymentBreaks"
    assert ended.states == errored(states, serves=broken, owed=owed)
    assert (ended.status, ended.error) == ("FAILED", error)
    assert cause in str(ended.cause)


@pytest.mark.parametrize(
    ("case", "states", "error", "cause"),
    [
        # Nobody is answered by an endpoint that failed: the champion is put back first.
        (
            "TrialBreaksTheEndpoint",
            [*TRY, *AFTER_TRIAL],
            "TrialNotJudged",
            "TrialFailed: failed: the endpoint is Failed",
        ),
        # What broke may have changed the endpoint: the champion serves alone again, and says why.
        (
            "DeployTrialFails",
            [*until("DeployTrial", TRY), *AFTER_TRIAL],
            "TrialNotJudged",
            "does not trust the hub",
        ),
        (
            "DeployTrialAndRestoreChampionFail",
            [*until("DeployTrial", TRY), "RestoreChampion"],
            "States.TaskFailed",
            "it was to end the trial: States.TaskFailed",
        ),
        # We could not look, so nobody knows; the champion serves alone again all the same.
        (
            "CompareVariantsFails",
            [*TRY, *LOOK[:2], *AFTER_TRIAL],
            "TrialNotJudged",
            "IntegrityError: sha256",
        ),
        (
            "ChampionNotRestored",
            [*TRY, *LOOK, *LOOK, *AFTER_TRIAL],
            "ChampionNotRestored",
            "does not serve alone again: failed",
        ),
        # What people took back in days of trial stops it before all traffic moves.
        ("WithdrawnDuringATrial", WON, "AccessError", "entry 14 (VersionRejected) came after"),
        (
            "RestoreChampionFails",
            [*TRY, *LOOK, *LOOK, "RestoreChampion"],
            "States.TaskFailed",
            "does not trust the hub",
        ),
    ],
)
def test_a_trial_that_cannot_be_held_or_ended_alarms(
    run: Callable[[str], Run], case: str, states: list[str], error: str, cause: str
) -> None:
    ended = run(case)
    # Beside the champion it serves too, and has to be known to.
    assert ended.states == errored(
        states, serves="Champion" in case and case != "RestoreChampionFails"
    )
    assert (ended.status, ended.error) == ("FAILED", error)
    assert cause in str(ended.cause)


@pytest.mark.parametrize("case", ["ComesUpLate"])
def test_a_version_that_comes_up_hours_after_its_run_broke_serves_with_an_entry(
    run: Callable[[str], Run], case: str
) -> None:
    """As a first release does: there is nothing that it could be taken back to."""
    ended = run(case)
    assert ended.states == errored(until("DeployToProd"), serves=True)
    assert (ended.error, ended.tries["CheckServedConfigAfterError"]) == ("States.TaskFailed", 101)


@pytest.mark.parametrize(
    ("case", "states", "serves"),
    [
        ("EmergencyTrialNotJudged", [*TRY, *LOOK[:2], *AFTER_TRIAL], False),
        ("EmergencyChallengerStays", [*TRY, *LOOK, *LOOK, *AFTER_TRIAL], True),
    ],
)
def test_an_emergency_owes_its_reviews_only_if_its_challenger_stays_in_service(
    run: Callable[[str], Run], case: str, states: list[str], serves: bool
) -> None:
    assert run(case).states == errored(states, serves=serves, owed=serves)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("TrialLost", "the challenger is worse"),
        ("TrialUndecided", "publish a deployment definition"),
    ],
)
def test_a_trial_that_nobody_won_says_why(run: Callable[[str], Run], case: str, said: str) -> None:
    assert said in run(case).output["reason"]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("TakenBackWhileItBaked", "prod-stop (a person)"),
        ("TakenBackByHand", "back to by-hand after"),
    ],
)
def test_what_was_taken_back_after_it_had_come_into_service_names_why(
    run: Callable[[str], Run], case: str, said: str
) -> None:
    assert said in run(case).output["reason"]


def test_a_decision_that_cloudtrail_does_not_confirm_is_errored_and_never_an_approval(
    run: Callable[[str], Run],
) -> None:
    ended = run("NeverConfirmed")
    assert ended.states == errored(until("ConfirmApprover"))
    assert (ended.status, ended.error) == ("FAILED", "States.Timeout")


def test_a_version_that_changes_while_it_is_released_is_recorded_and_alarms(
    run: Callable[[str], Run],
) -> None:
    ended = run("TamperedWhileReleased")
    assert ended.states == errored([*until("ServedCandidateUnchanged?"), "RecordServedTampering"])
    assert (ended.status, ended.error) == ("FAILED", "TamperedCandidate")
    assert "model-data sha256 is 2e" in str(ended.cause)


@pytest.mark.parametrize("case", ["ClaimApprovalFails"])
def test_what_cannot_be_claimed_goes_straight_to_the_queue(
    run: Callable[[str], Run], case: str
) -> None:
    ended = run(case)
    assert ended.states == ["ClaimApproval", "SendToDeadLetterQueue", "ReleaseErrored"]
    assert (ended.status, ended.error) == ("FAILED", "IntegrityError")


def test_what_a_bake_found_is_in_the_entry_whose_event_starts_the_way_back() -> None:
    """The rule asks for this error, and the claim for the alarms (domain/alarm_events.py)."""
    states = machines.source(MACHINE)["States"]
    assert states["AlarmsQuiet?"]["Assign"]["failure"]["Error"] == alarm_events.AFTER_RELEASE
    assert states["AlarmsQuiet?"]["Assign"]["alarms"] == "{% $bake.alarms %}"
    recorded = states["RecordErrored"]["Arguments"]["Payload"]
    assert recorded["kind"] == alarm_events.FOUND_BY
    assert recorded["alarms"] == "{% $exists($alarms) ? $alarms : null %}"


def test_an_endpoint_that_has_failed_is_told_by_the_error_that_the_way_back_starts_by() -> None:
    states = machines.source(MACHINE)["States"]
    first = states["VersionServes?"]["Choices"][0]
    assert first["Condition"] == "{% $served.endpoint_status = 'Failed' %}"
    assert first["Assign"]["failure"]["Error"] == alarm_events.ENDPOINT_FAILED
    assert "rollback_target" in states["RecordErrored"]["Arguments"]["Payload"]


@pytest.mark.parametrize(
    "state", ["SetStageReleasing", "SetStageDeployed", "SetStageErrored", "SetStageRolledBack"]
)
def test_who_rejects_a_version_while_it_is_released_is_not_overwritten(state: str) -> None:
    given = machines.source(MACHINE)["States"][state]["Arguments"]["Payload"]
    assert given["not_from"] == {"stage": "Prod", "stage_status": "Rejected"}


def test_an_endpoint_in_prod_is_never_removed() -> None:
    handlers = str(machines.source(MACHINE))
    assert "RemoveEndpoint" not in handlers


@pytest.mark.parametrize(
    ("case", "state", "tries"),
    [
        ("ServiceErrorThenSuccess", "VerifyCandidate", 2),
        ("CheckAccessRetried", "CheckAccess", 3),
        ("TransientErrorThenSuccess", "SmokeTest", 3),
        # Who comes second waits until the first has ended.
        ("EndpointFreeLater", "LockEndpoint", 3),
        ("ChildStartedOnSecondTry", "DeployToProd", 2),
    ],
)
def test_a_passing_fault_is_retried(
    run: Callable[[str], Run], case: str, state: str, tries: int
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (HAPPY, "SUCCEEDED")
    assert ended.tries[state] == tries


@pytest.mark.parametrize("case", ["AccessMissing"])
def test_a_missing_permission_is_named_and_not_tried_again(
    run: Callable[[str], Run], case: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (errored(until("CheckAccess")), "FAILED")
    assert (ended.error, ended.tries["CheckAccess"]) == ("AccessError", 1)
    assert "check dev-role: sts:AssumeRole" in str(ended.cause)


def test_who_cannot_have_the_endpoint_is_told_who_has_it_and_the_gates_facts_stay(
    run: Callable[[str], Run],
) -> None:
    verdict = run("EndpointBusy").output["verdict"]
    (reason,) = verdict["reasons"]
    assert (verdict["allowed"], reason["rule"]) == (False, "one_active_release")
    assert "model-package/clinical-risk-classifier/4 has held it since" in reason["fact"]
    assert verdict.keys() > {"policy_digest", "rules"}


@pytest.mark.parametrize("state", ["CheckAlarms", "CheckServedConfigAfterBake"])
def test_alarms_count_from_when_they_were_set_back_for_this_release(state: str) -> None:
    """Not from when its config was made: an alarm of before is that of what it repairs."""
    states = machines.source(MACHINE)["States"]
    assert states[state]["Arguments"]["Payload"]["since"] == "{% $began %}"
    assert "$states.result.Output.began" in states["DeployToProd"]["Assign"]["began"]
