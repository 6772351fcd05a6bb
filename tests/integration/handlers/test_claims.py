"""An approval is acted on once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from governance.adapters.claims import Claims

TABLE = "governed-path-claims"


def _claim(claim_id: str, execution: str) -> dict[str, str]:
    return {"claim_id": claim_id, "execution_arn": execution, "model": "m"}


def test_a_second_execution_does_not_get_the_approval(lambdas: Callable[..., Any]) -> None:
    claims, claim_id = Claims(TABLE), uuid4().hex
    assert claims.claim(_claim(claim_id, "first"))
    assert not claims.claim(_claim(claim_id, "second"))


def test_the_same_execution_still_holds_it_when_its_task_is_retried(
    lambdas: Callable[..., Any],
) -> None:
    claims, claim_id = Claims(TABLE), uuid4().hex
    assert claims.claim(_claim(claim_id, "first"))
    assert claims.claim(_claim(claim_id, "first"))


def test_of_many_at_once_exactly_one_wins(lambdas: Callable[..., Any]) -> None:
    claims, claim_id = Claims(TABLE), uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: claims.claim(_claim(claim_id, f"run-{n}")), range(16)))
    assert won.count(True) == 1
