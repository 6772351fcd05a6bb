"""A release waits for CloudTrail's record of its approval, whichever of the two comes first."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.contracts import events

from .conftest import Waiting

DECIDED = "2026-11-21T09:00:00Z"


class Approval:
    """One approval of a version: what CloudTrail tells of it, and the execution that waits."""

    def __init__(self, lambdas: Callable[..., Any]) -> None:
        self._lambdas = lambdas
        self.arn = f"arn:aws:sagemaker:us-east-1:111122223333:model-package/m-{uuid4().hex}/3"

    def record(self, case: str = "prod-approved", **detail: Any) -> dict[str, Any]:
        event = events.example(f"cloudtrail-update-model-package.{case}")
        event["detail"]["requestParameters"]["modelPackageArn"] = self.arn
        event["detail"]["eventID"] = str(uuid4())
        event["detail"].update(detail)
        answer: dict[str, Any] = self._lambdas("record_confirmation")(event)
        return answer

    def wait(self, token: str, claim: str = "a") -> dict[str, Any]:
        promotion = {
            "claim_id": claim * 64,
            "workflow": "release_to_prod",
            "stage": "Prod",
            "model": "m",
            "model_package_arn": self.arn,
            "account": "111122223333",
            "decided_at": DECIDED,
            "event_id": "e",
            "execution_arn": "arn:aws:states:us-east-1:111122223333:execution:m:x",
        }
        answer: dict[str, Any] = self._lambdas("confirm_approver")(
            {"promotion": promotion, "task_token": token}
        )
        return answer


@pytest.fixture
def approval(lambdas: Callable[..., Any]) -> Approval:
    return Approval(lambdas)


def test_the_record_answers_the_execution_that_waits(approval: Approval, waiting: Waiting) -> None:
    assert approval.wait(waiting.token) == {"settled": False}
    assert approval.record() == {"outcome": "recorded", "answered": 1}
    answer = waiting.answer()
    assert answer is not None
    confirmation = answer["confirmation"]
    assert confirmation["approver"]["person"] == "grace"
    assert confirmation["approver"]["persona"] == "governance-engineer"
    assert (confirmation["called_at"], confirmation["source_ip"]) == (DECIDED, "192.0.2.10")


def test_a_record_that_came_first_answers_at_once(approval: Approval, waiting: Waiting) -> None:
    assert approval.record() == {"outcome": "recorded", "answered": 0}
    assert approval.wait(waiting.token) == {"settled": True}
    assert waiting.answer() is not None


@pytest.mark.parametrize(
    ("case", "detail"),
    [
        ("denied", {}),
        ("prod-approved", {"eventName": "CreateModelPackage"}),
        ("prod-approved", {"errorCode": "AccessDenied"}),
    ],
)
def test_what_approved_nothing_answers_nobody(
    approval: Approval, waiting: Waiting, case: str, detail: dict[str, Any]
) -> None:
    approval.wait(waiting.token)
    assert approval.record(case, **detail) == {"outcome": "ignored"}
    assert waiting.answer(within=0.3) is None


@pytest.mark.parametrize("called_at", ["2026-11-21T08:59:57Z", "2026-11-21T09:00:03Z"])
def test_the_record_of_another_decision_answers_nobody(
    approval: Approval, waiting: Waiting, called_at: str
) -> None:
    approval.wait(waiting.token)
    assert approval.record(eventTime=called_at)["answered"] == 0
    assert waiting.answer(within=0.3) is None


def test_the_record_of_another_version_answers_nobody(
    approval: Approval, waiting: Waiting, lambdas: Callable[..., Any]
) -> None:
    approval.wait(waiting.token)
    assert Approval(lambdas).record()["answered"] == 0
    assert waiting.answer(within=0.3) is None


def test_a_retried_task_waits_with_its_new_token(approval: Approval, waiting: Waiting) -> None:
    approval.wait("of-the-first-try")
    approval.wait(waiting.token)
    assert approval.record()["answered"] == 1
    assert waiting.answer() is not None


def test_records_many_times_at_once_leave_one_answer_and_no_wait(
    approval: Approval, waiting: Waiting
) -> None:
    approval.wait(waiting.token)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: approval.record(), range(8)))
    assert waiting.answer() is not None
    assert approval.record()["answered"] == 0
