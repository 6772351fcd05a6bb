"""The ledger is gapless, in order, and writes nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from governance.adapters.ledger import Ledger
from governance.domain.errors import TransientError

TABLE = "governed-path-ledger"
KIND = "CandidatePromoted"


def _entry(model: str, entry_id: str | None = None, **more: Any) -> dict[str, Any]:
    return {"model": model, "entry_id": entry_id or uuid4().hex, "kind": KIND, **more}


def _append(ledger: Ledger, entry: dict[str, Any]) -> int:
    """Append as the state machine does: a TransientError is retried."""
    while True:
        try:
            return ledger.append(entry)
        except TransientError:
            continue


def test_writers_at_once_leave_no_gap_and_no_double(lambdas: Callable[..., Any]) -> None:
    ledger, model = Ledger(TABLE), f"model-{uuid4().hex}"
    entries = [_entry(model) for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda entry: _append(ledger, entry), entries))
    assert sorted(numbers) == list(range(1, 41))
    written = list(ledger.newest_first(model, KIND))
    assert [entry["sequence"] for entry in written] == list(range(40, 0, -1))
    assert {entry["entry_id"] for entry in written} == {entry["entry_id"] for entry in entries}


def test_the_same_entry_at_once_is_written_once(lambdas: Callable[..., Any]) -> None:
    ledger, model = Ledger(TABLE), f"model-{uuid4().hex}"
    entry = _entry(model)
    with ThreadPoolExecutor(8) as pool:
        numbers = set(pool.map(lambda _: _append(ledger, entry), range(8)))
    assert numbers == {1}
    assert len(list(ledger.newest_first(model, KIND))) == 1


def test_writing_again_keeps_what_is_there(lambdas: Callable[..., Any]) -> None:
    ledger, model, entry_id = Ledger(TABLE), f"model-{uuid4().hex}", uuid4().hex
    assert ledger.append(_entry(model, entry_id, note="first")) == 1
    assert ledger.append(_entry(model)) == 2
    assert ledger.append(_entry(model, entry_id, note="second")) == 1
    notes = [entry.get("note") for entry in ledger.newest_first(model, KIND)]
    assert notes == [None, "first"]


def test_what_comes_back_is_what_went_in(lambdas: Callable[..., Any]) -> None:
    ledger, model = Ledger(TABLE), f"model-{uuid4().hex}"
    facts = {"auc": 0.8123456789012345, "rows": 89, "none": None, "yes": True, "list": [1, 0.5, ""]}
    ledger.append(_entry(model, summary=facts))
    assert next(ledger.newest_first(model, KIND))["summary"] == facts


def test_only_the_kind_that_was_asked_for(lambdas: Callable[..., Any]) -> None:
    ledger, model = Ledger(TABLE), f"model-{uuid4().hex}"
    ledger.append(_entry(model))
    ledger.append({**_entry(model), "kind": "CandidateReleased"})
    assert [e["sequence"] for e in ledger.newest_first(model, "CandidateReleased")] == [2]
