"""The hub's event bus: what others hear about a promotion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from governance.adapters import errors, sessions

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "governed-path"
_ENTRIES_PER_CALL = 10  # EventBridge's limit


class Bus:
    """The hub's bus, by name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._events: EventBridgeClient = sessions.own_client("events")

    def publish(self, entries: Sequence[Mapping[str, Any]]) -> int:
        """Emit one event per ledger entry, in order; returns how many of the first ones went out.

        Stops at the first that EventBridge did not take, so the order holds when the rest follows.
        """
        published = 0
        for start in range(0, len(entries), _ENTRIES_PER_CALL):
            batch = entries[start : start + _ENTRIES_PER_CALL]
            with errors.translated(f"publish {len(batch)} events on bus {self._name}"):
                answer = self._events.put_events(Entries=[self._event(entry) for entry in batch])
            taken = [not result.get("ErrorCode") for result in answer["Entries"]]
            if not all(taken):
                return published + taken.index(False)
            published += len(batch)
        return published

    def _event(self, entry: Mapping[str, Any]) -> PutEventsRequestEntryTypeDef:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": entry["kind"],
            "Detail": json.dumps(entry, sort_keys=True),
            "Resources": [arn for arn in [entry.get("model_package_arn")] if arn],
        }
