"""promote_to_central: Dev / Approved brings the approved bytes to Central, or says why not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.statemachines import machines
from tests.statemachines.engines import Run

MACHINE = "promote_to_central"
TO_GATE = [
    "ClaimApproval",
    "ApprovalClaimed?",
    "CheckAccess",
    "ResolveApprover",
    "BuildCandidate",
    "EvaluateGate",
    "PromotionAllowed?",
]
TO_COPY = [*TO_GATE, "PlanCopy", "AnythingMissing?"]
REGISTERED = [
    "VerifyCopy",
    "CopyImages",
    "RecreateLineage",
    "RegisterVersion",
    "LinkLineage",
    "SetStagePendingApproval",
    "RecordPromotion",
    "PromotionSucceeded",
]
HAPPY = [*TO_COPY, "CopyObjects", "ObjectsCopied?", *REGISTERED]
REJECTED = [*TO_GATE, "RecordRejection", "PromotionRejected"]
ERRORED = ["RecordErrored", "SendToDeadLetterQueue", "PromotionErrored"]
ABANDONED = ["AbandonCopy", *ERRORED]


def until(state: str, path: list[str] = HAPPY) -> list[str]:
    return path[: path.index(state) + 1]


@pytest.mark.parametrize(
    ("case", "states", "outcome"),
    [
        ("HappyPath", HAPPY, "promoted"),
        ("NothingMissing", [*TO_COPY, *REGISTERED], "promoted"),
        ("Rejected", REJECTED, "rejected"),
        (
            "Duplicate",
            ["ClaimApproval", "ApprovalClaimed?", "PromotionAlreadyHandled"],
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


@pytest.mark.parametrize("case", ["Rejected"])
def test_a_rejection_says_why(run: Callable[[str], Run], case: str) -> None:
    reasons = run(case).output["verdict"]["reasons"]
    assert [reason["rule"] for reason in reasons] == ["approver_is_not_trainer"]


@pytest.mark.parametrize("case", ["HappyPath"])
def test_every_batch_is_copied_and_the_central_version_named(
    run: Callable[[str], Run], case: str
) -> None:
    ended = run(case)
    assert ended.tries["CopyObjects"] == 3
    assert ended.output["model_package_arn"].endswith(":model-package/clinical-risk-classifier/3")


@pytest.mark.parametrize(
    ("case", "states"),
    [
        *(
            (f"{state}Fails", [*until(state), *ERRORED])
            for state in (
                "CheckAccess",
                "ResolveApprover",
                "BuildCandidate",
                "EvaluateGate",
                "CopyImages",
                "RecreateLineage",
                "RegisterVersion",
                "LinkLineage",
                "SetStagePendingApproval",
                "RecordPromotion",
            )
        ),
        *(
            (f"{state}Fails", [*until(after), *ABANDONED])
            for state, after in (
                ("PlanCopy", "PlanCopy"),
                ("CopyBatch", "ObjectsCopied?"),
                ("VerifyCopy", "VerifyCopy"),
                ("AbandonCopy", "VerifyCopy"),
            )
        ),
        ("RecordRejectionFails", [*until("RecordRejection", REJECTED), *ERRORED]),
        ("IntegrityErrorIsNotRetried", [*until("BuildCandidate"), *ERRORED]),
        # Whatever breaks in the telling, the end is reached and the first error keeps its name.
        ("RecordErroredFails", [*until("RegisterVersion"), *ERRORED]),
        ("SendToDeadLetterQueueFails", [*until("RegisterVersion"), *ERRORED]),
        ("LedgerAndQueueBroken", [*until("RegisterVersion"), *ERRORED]),
    ],
)
def test_an_error_is_recorded_queued_and_alarms(
    run: Callable[[str], Run], case: str, states: list[str]
) -> None:
    ended = run(case)
    assert ended.states == states
    assert (ended.status, ended.error) == ("FAILED", "IntegrityError")


@pytest.mark.parametrize(
    ("case", "after", "error"),
    [
        ("PlanCopyDenied", "PlanCopy", "AccessError"),
        ("CopyObjectsFails", "CopyObjects", "States.ItemReaderFailed"),
        ("CopyBatchDenied", "ObjectsCopied?", "AccessError"),
        ("CopyBatchThrottledForEver", "ObjectsCopied?", "TransientError"),
        ("VerifyCopyDenied", "VerifyCopy", "AccessError"),
    ],
)
def test_a_copy_that_may_still_succeed_keeps_its_parts(
    run: Callable[[str], Run], case: str, after: str, error: str
) -> None:
    ended = run(case)
    assert ended.states == [*until(after), *ERRORED]
    assert (ended.status, ended.error) == ("FAILED", error)


@pytest.mark.parametrize("case", ["EveryBatchFails"])
def test_the_causes_of_many_batches_fit_what_one_state_may_put_out(
    run: Callable[[str], Run], case: str
) -> None:
    ended = run(case)
    assert ended.states == [*until("ObjectsCopied?"), *ERRORED]
    assert ended.tries["CopyObjects"] == machines.MANY
    assert ended.sizes["CopyObjects"] < 262_144 * 0.75
    assert ended.error == "AccessError"
    assert ended.cause is not None
    assert "no key for s3://b/runs/1/model.tar.gz" in ended.cause


@pytest.mark.parametrize("case", ["CopyBatchDenied"])
def test_one_batch_that_fails_does_not_keep_the_others_from_arriving(
    run: Callable[[str], Run], case: str
) -> None:
    assert run(case).tries["CopyObjects"] == 3


@pytest.mark.parametrize(
    ("case", "error"), [("ClaimApprovalFails", "IntegrityError"), ("UnknownModel", "NotFoundError")]
)
def test_what_cannot_be_claimed_goes_straight_to_the_queue(
    run: Callable[[str], Run], case: str, error: str
) -> None:
    ended = run(case)
    assert ended.states == ["ClaimApproval", "SendToDeadLetterQueue", "PromotionErrored"]
    assert (ended.status, ended.error) == ("FAILED", error)


@pytest.mark.parametrize(
    ("case", "parts"),
    [
        ("CopyBatchFails", ["runs/1/model.tar.gz has another sha256"]),
        ("CopyBatchDenied", ["the key is disabled"]),
        ("AbandonCopyFails", ["then AbandonCopy: the role may not"]),
        ("RecordErroredFails", ["then RecordErrored: sha256"]),
        ("LedgerAndQueueBroken", ["then RecordErrored: ", "then SendToDeadLetterQueue: "]),
    ],
)
def test_the_cause_tells_the_whole_story(
    run: Callable[[str], Run], case: str, parts: list[str]
) -> None:
    cause = run(case).cause
    assert cause is not None
    assert [part for part in parts if part not in cause] == []


@pytest.mark.parametrize(
    ("case", "state", "tries"),
    [
        ("ServiceErrorThenSuccess", "ResolveApprover", 2),
        ("CheckAccessRetried", "CheckAccess", 3),
        ("TransientErrorThenSuccess", "CopyObjects", 3),
        ("ImageCopiedInTwoTries", "CopyImages", 2),
        ("KilledThenSuccess", "CopyObjects", 3),
    ],
)
def test_a_passing_fault_is_retried(
    run: Callable[[str], Run], case: str, state: str, tries: int
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (HAPPY, "SUCCEEDED")
    assert ended.tries[state] == tries


@pytest.mark.parametrize(
    "case",
    [
        *("ClaimApprovalKilled", "CheckAccessKilled", "ResolveApproverKilled"),
        *("BuildCandidateKilled", "EvaluateGateKilled", "PlanCopyKilled", "VerifyCopyKilled"),
        *("CopyImagesKilled", "RecreateLineageKilled", "RegisterVersionKilled"),
        *("LinkLineageKilled", "SetStagePendingApprovalKilled", "RecordPromotionKilled"),
    ],
)
def test_a_function_that_is_killed_at_any_step_is_called_again(
    run: Callable[[str], Run], case: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (HAPPY, "SUCCEEDED")
    assert ended.tries[case.removesuffix("Killed")] == 3


@pytest.mark.parametrize(
    ("case", "states", "status"),
    [
        ("AbandonCopyKilled", [*until("VerifyCopy"), *ABANDONED], "FAILED"),
        ("RecordErroredKilled", [*until("RegisterVersion"), *ERRORED], "FAILED"),
        ("RecordRejectionKilled", REJECTED, "SUCCEEDED"),
    ],
)
def test_so_is_one_that_ends_what_cannot_go_on(
    run: Callable[[str], Run], case: str, states: list[str], status: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (states, status)
    assert ended.tries[case.removesuffix("Killed")] == 3
    # The first error keeps its name.
    assert ended.error in (None, "IntegrityError")


@pytest.mark.parametrize("case", ["TransientErrorForEver"])
def test_retries_come_to_an_end(run: Callable[[str], Run], case: str) -> None:
    ended = run(case)
    assert ended.states == [*until("RegisterVersion"), *ERRORED]
    assert (ended.error, ended.tries["RegisterVersion"]) == ("TransientError", 5)


@pytest.mark.parametrize("case", ["LineageThrottledThenMade"])
def test_a_lineage_is_made_and_linked_once_the_service_has_time(
    run: Callable[[str], Run], case: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == (HAPPY, "SUCCEEDED")
    assert (ended.tries["RecreateLineage"], ended.tries["LinkLineage"]) == (3, 2)


@pytest.mark.parametrize(
    ("case", "state"),
    [
        ("LineageThrottledForEver", "RecreateLineage"),
        ("LineageLinkThrottledForEver", "LinkLineage"),
    ],
)
def test_nobody_is_told_of_a_version_without_lineage(
    run: Callable[[str], Run], case: str, state: str
) -> None:
    ended = run(case)
    assert ended.states == [*until(state), *ERRORED]
    assert (ended.error, ended.tries[state]) == ("TransientError", 5)


@pytest.mark.parametrize("case", ["IntegrityErrorIsNotRetried"])
def test_wrong_bytes_are_not_tried_again(run: Callable[[str], Run], case: str) -> None:
    assert run(case).tries["BuildCandidate"] == 1


@pytest.mark.parametrize("case", ["LedgerAndQueueBroken"])
def test_the_queue_is_tried_again_before_it_is_given_up(
    run: Callable[[str], Run], case: str
) -> None:
    assert run(case).tries["SendToDeadLetterQueue"] == 7


@pytest.mark.parametrize("case", ["AccessMissing"])
def test_a_missing_permission_is_named_and_not_tried_again(
    run: Callable[[str], Run], case: str
) -> None:
    ended = run(case)
    assert (ended.states, ended.status) == ([*until("CheckAccess"), *ERRORED], "FAILED")
    assert (ended.error, ended.tries["CheckAccess"]) == ("AccessError", 1)
    assert "check dev-role: sts:AssumeRole" in str(ended.cause)
