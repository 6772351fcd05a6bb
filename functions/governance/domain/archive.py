"""What a change of the ledger's tables means: something to archive, or something nobody may do.

Entries are put once, heads go up by one. Whatever else the tables' streams tell is tampering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from governance.domain import attestations
from governance.domain.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class Change:
    """`envelope` belongs into the archive under `key`; `tampering` says what is wrong. Or ""."""

    key: str = ""
    envelope: str = ""
    tampering: str = ""


def change_of(event_name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    """What a stream record means. `old` and `new` are the item before and after, {} for none."""
    item = new or old
    if "sequence" in item:
        return _entry(event_name, old, new)
    return _head(event_name, old, new)


def _entry(event_name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    item = new or old
    what = f"item {item['sequence']} of {item['model']} in the ledger"
    if event_name != "INSERT":
        done = "removed" if event_name == "REMOVE" else "changed"
        return Change(
            tampering=f"{what} was {done}: its digest was {old.get('digest')}, "
            f"is {new.get('digest')}; entry {old.get('entry_id') or new.get('entry_id')}"
        )
    if item["sequence"] == 0:
        return Change()
    try:
        attestations.entry_in(new)
    except IntegrityError as error:
        return Change(tampering=f"{what} is not what was signed: {error}")
    key = attestations.archive_key(str(item["model"]), int(item["sequence"]))
    return Change(key, str(new["envelope"]))


def _head(event_name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    what = f"the head of {(new or old).get('model')}"
    if event_name == "REMOVE":
        return Change(tampering=f"{what} was removed at {old.get('head')}")
    before, after = old.get("head", 0), new.get("head")
    if after != before + 1:
        return Change(tampering=f"{what} went from {before} to {after}; it goes up by one")
    try:
        said = attestations.statement_in(str(new.get("checkpoint", "")))["predicate"]
    except IntegrityError as error:
        return Change(tampering=f"{what} has no checkpoint: {error}")
    expected = {"model": new["model"], "entries": after, "digest": new.get("digest")}
    if {key: said.get(key) for key in expected} != expected:
        return Change(tampering=f"{what} is at {after}, its checkpoint says {said}")
    key = attestations.archive_key(str(new["model"]), int(after), checkpoint=True)
    return Change(key, str(new["checkpoint"]))
