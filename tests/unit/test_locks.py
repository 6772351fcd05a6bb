"""Who waits for an endpoint, who is turned away, and what they are told."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import executions, gates, locks
from governance.domain.errors import InvalidInputError
from tests.contracts import events, samples

ENDPOINT = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/clinical-risk"
EARLIER, NOW, LATER = "2026-11-21T08:59:59Z", "2026-11-21T09:00:00Z", "2026-11-21T09:00:01Z"


def promotion(decided_at: str = NOW, **more: Any) -> dict[str, Any]:
    return samples.promotion("Prod") | {"decided_at": decided_at} | more


def lock(decided_at: str = NOW) -> dict[str, Any]:
    other = promotion(decided_at, model_package_arn=samples.version_arn(version=4))
    return locks.lock_of(other, ENDPOINT, "2026-11-21T09:01:00Z")


def change(decided_at: str, sequence: int = 7) -> dict[str, Any]:
    return {
        "kind": "CandidateReleased",
        "sequence": sequence,
        "decided_at": decided_at,
        "model_package_arn": samples.version_arn(version=sequence),
    }


def test_a_lock_says_whose_it_is_and_for_which_decision() -> None:
    found = lock()
    assert found["endpoint_arn"] == ENDPOINT
    assert found["execution_arn"] == promotion()["execution_arn"]
    assert (found["since"], found["decided_at"]) == ("2026-11-21T09:01:00Z", NOW)
    assert locks.told(found) == (
        f"release_to_prod of {samples.version_arn(version=4)} has held it since "
        f"2026-11-21T09:01:00Z in execution {found['execution_arn']}"
    )


@pytest.mark.parametrize("holders", [EARLIER, NOW])
def test_who_decided_later_waits(holders: str) -> None:
    for attempt in (0, locks.ATTEMPTS - 1):
        assert locks.refusal_while_held(promotion(), lock(holders), attempt) is None


def test_an_older_decision_does_not_wait_for_a_newer_one() -> None:
    refusal = locks.refusal_while_held(promotion(), lock(LATER), 0)
    assert refusal is not None
    (reason,) = refusal["reasons"]
    assert locks.told(lock(LATER)) in reason["fact"]
    assert refusal["allowed"] is False
    assert refusal["leaves"] == {"stage": "Prod", "stage_status": "Rejected"}
    assert all(reason[key] for key in ("rule", "fact", "expected", "remedy"))


def test_nobody_waits_for_ever() -> None:
    refusal = locks.refusal_while_held(promotion(), lock(EARLIER), locks.ATTEMPTS)
    assert refusal is not None
    assert "did not become free" in refusal["description"]
    assert locks.told(lock(EARLIER)) in refusal["description"]
    assert len(refusal["description"]) <= gates.DESCRIPTION_LIMIT


def test_a_rollback_is_given_what_a_release_holds_and_whatever_nobody_holds_any_more() -> None:
    back = promotion(workflow="rollback_model")
    assert locks.yields(lock(), back, runs=True)
    assert not locks.yields(lock(), promotion(), runs=True)
    assert not locks.yields(lock() | {"workflow": "rollback_model"}, back, runs=True)
    for asking in (back, promotion()):
        assert locks.yields(lock(), asking, runs=False)


def test_a_drill_holds_off_drills_and_nothing_else() -> None:
    drill = promotion(workflow="drill_rollback")
    assert locks.held(drill, ENDPOINT) != ENDPOINT
    for workflow in ("release_to_prod", "rollback_model"):
        assert locks.held(promotion(workflow=workflow), ENDPOINT) == ENDPOINT
    held = locks.lock_of(drill, locks.held(drill, ENDPOINT), NOW)
    assert not locks.yields(held, promotion(workflow="drill_rollback"), runs=True)
    refusal = locks.refusal_while_held(drill, held, locks.ATTEMPTS)
    assert refusal is not None
    assert "endpoint clinical-risk did not become free: drill_rollback of" in refusal["description"]


def test_a_lock_remembers_what_it_was_taken_from_until_that_is_stopped() -> None:
    held = lock() | {"took_over": lock(EARLIER)}
    assert locks.taken_over(lock(), None) == lock()
    assert locks.taken_over(lock(), held) == lock() | {"took_over": lock()}


@pytest.mark.parametrize("served", [[], [change(EARLIER)], [change(NOW)]])
def test_what_serves_by_an_older_decision_is_replaced(served: list[dict[str, Any]]) -> None:
    assert locks.refusal_if_overtaken(promotion(), served) is None


def test_what_serves_by_a_later_decision_stays() -> None:
    served = [change(LATER, 9), change(LATER, 8), change(EARLIER, 10)]
    refusal = locks.refusal_if_overtaken(promotion(), served)
    assert refusal is not None
    assert "entry 9 (CandidateReleased)" in refusal["reasons"][0]["fact"]
    assert "approve again" in refusal["description"]


@pytest.mark.parametrize(
    ("version", "recorded_at", "refused"),
    [
        # Another rollback was faster, so there is nothing to go any more.
        (2, LATER, True),
        # What was being released when it was asked for has come to serve since.
        (3, LATER, False),
        (2, EARLIER, False),
    ],
)
def test_a_rollback_is_not_of_what_serves_no_more(
    version: int, recorded_at: str, refused: bool
) -> None:
    serving = change(EARLIER) | {
        "model_package_arn": samples.version_arn(version=version),
        "recorded_at": recorded_at,
    }
    for workflow in ("rollback_model", "drill_rollback"):
        back = promotion(workflow=workflow)
        refusal = locks.refusal_if_overtaken(back, [serving])
        assert (refusal is not None) is refused
        if refusal:
            assert f"serves since {recorded_at}" in refusal["reasons"][0]["fact"]
    # A release is by its decision alone.
    assert locks.refusal_if_overtaken(promotion(), [serving]) is None


def test_the_end_of_an_execution_is_read_from_its_event() -> None:
    for case in ("release-aborted", "release-succeeded"):
        event = events.example(f"step-functions-execution-status-change.{case}")
        assert executions.ended(event) == event["resources"][0]


def test_one_message_of_a_queue_holds_one_event() -> None:
    assert executions.queued({"Records": [{"body": '{"a": 1}'}]}) == {"a": 1}
    for message in ({}, {"Records": []}, {"Records": [{"body": "{}"}] * 2}):
        with pytest.raises(InvalidInputError, match="BatchSize"):
            executions.queued(message)
    for body in ("no JSON", "[1]", None):
        with pytest.raises(InvalidInputError, match="expected"):
            executions.queued({"Records": [{"body": body}]})


@pytest.mark.parametrize("text", ["", "null", "[]"])
def test_what_an_execution_was_started_with_is_an_event(text: str) -> None:
    assert executions.input_of("arn:e", '{"detail": {}}') == {"detail": {}}
    with pytest.raises(InvalidInputError, match="execution arn:e was started with"):
        executions.input_of("arn:e", text)


@pytest.mark.parametrize(
    ("change_", "said"),
    [
        ({"detail-type": "Greeting"}, "'Greeting'"),
        ({"detail": "text"}, "executionArn None"),
        ({"detail": {"executionArn": ""}}, "executionArn ''"),
        ({"detail": {"executionArn": "arn:e", "status": "RUNNING"}}, "is 'RUNNING'"),
    ],
)
def test_what_is_no_end_is_named(change_: dict[str, Any], said: str) -> None:
    event = events.example("step-functions-execution-status-change.release-aborted") | change_
    with pytest.raises(InvalidInputError, match=said):
        executions.ended(event)
