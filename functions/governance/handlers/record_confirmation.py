"""RecordConfirmation: CloudTrail tells of an approval; keep it, and answer who waits for it."""

from __future__ import annotations

from typing import Any

from governance.adapters.confirmations import Confirmations
from governance.domain.confirmations import approval_record
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Store the record once, however often it comes; calls that approve nothing are ignored."""
    record = approval_record(event)
    if record is None:
        return {"outcome": "ignored"}
    answered = Confirmations(settings.confirmations_table).add(record)
    return {"outcome": "recorded", "answered": answered}
