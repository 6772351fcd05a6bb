"""What the ledger's streams tell: entries and checkpoints to archive, and tampering."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import archive
from tests.contracts import events, samples

ENTRY = events.example("governed-path-candidate-released.complete")["detail"]
ROW = samples.row(ENTRY)
KEY = f"entries/model={ROW['model']}/{ROW['sequence']:09d}.json"
MARKER = {"model": f"entry#{ROW['entry_id']}", "sequence": 0, "entry_sequence": 1}


def _head(number: int, **more: Any) -> dict[str, Any]:
    return {**samples.head("m", number), **more}


def test_a_new_entry_is_archived_under_its_number() -> None:
    assert archive.change_of("INSERT", {}, ROW) == archive.Change(KEY, ROW["envelope"])


def test_a_new_marker_is_nothing() -> None:
    assert archive.change_of("INSERT", {}, MARKER) == archive.Change()


@pytest.mark.parametrize(
    ("event_name", "old", "new", "says"),
    [
        ("MODIFY", ROW, {**ROW, "digest": "f" * 64}, "was changed: its digest was"),
        ("MODIFY", ROW, ROW, "was changed"),
        ("REMOVE", ROW, {}, "was removed"),
        ("MODIFY", MARKER, {**MARKER, "entry_sequence": 2}, "was changed"),
        ("REMOVE", MARKER, {}, "was removed"),
        ("INSERT", {}, {**ROW, "kind": "CandidatePromoted"}, "is not what was signed"),
        ("INSERT", {}, {**ROW, "envelope": "{}"}, "is not what was signed"),
        ("INSERT", {}, {"model": "m", "sequence": 7}, "is not what was signed"),
    ],
)
def test_whatever_else_happens_to_an_item_is_tampering(
    event_name: str, old: dict[str, Any], new: dict[str, Any], says: str
) -> None:
    change = archive.change_of(event_name, old, new)
    item = new or old
    assert change.key == change.envelope == ""
    assert f"item {item['sequence']} of {item['model']}" in change.tampering
    assert says in change.tampering


@pytest.mark.parametrize("number", [1, 2, 70])
def test_a_head_that_goes_up_by_one_leaves_a_checkpoint(number: int) -> None:
    old = _head(number - 1) if number > 1 else {}
    new = _head(number)
    change = archive.change_of("MODIFY" if old else "INSERT", old, new)
    assert change == archive.Change(f"checkpoints/model=m/{number:09d}.json", new["checkpoint"])


@pytest.mark.parametrize(
    ("event_name", "old", "new", "says"),
    [
        ("REMOVE", _head(3), {}, "was removed at 3"),
        ("MODIFY", _head(3), _head(3), "went from 3 to 3"),
        ("MODIFY", _head(3), _head(2), "went from 3 to 2"),
        ("MODIFY", _head(3), _head(5), "went from 3 to 5"),
        ("INSERT", {}, _head(4), "went from 0 to 4"),
        ("MODIFY", _head(3), _head(4, digest="f" * 64), "its checkpoint says"),
        ("MODIFY", _head(3), _head(4, checkpoint=_head(3)["checkpoint"]), "its checkpoint says"),
        ("MODIFY", _head(3), _head(4, checkpoint="{}"), "has no checkpoint"),
        ("MODIFY", _head(3), {"model": "m", "head": 4}, "has no checkpoint"),
    ],
)
def test_whatever_else_happens_to_a_head_is_tampering(
    event_name: str, old: dict[str, Any], new: dict[str, Any], says: str
) -> None:
    change = archive.change_of(event_name, old, new)
    assert change.key == ""
    assert change.tampering.startswith("the head of m ")
    assert says in change.tampering
