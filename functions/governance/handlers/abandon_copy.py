"""AbandonCopy: a copy that can never become the candidate leaves no unfinished upload behind."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.copies import Copies
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """End every unfinished upload of the candidate; objects that have arrived stay, locked."""
    request = contracts.request("abandon_copy", event)
    copies = Copies.of_candidate(settings, request["promotion"]["model"], request["candidate_id"])
    return {"abandoned": copies.abandon()}
