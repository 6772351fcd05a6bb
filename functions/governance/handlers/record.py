"""Record...: every state change is a ledger entry first and an event after that."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import clock
from governance.adapters.ledger import Writer
from governance.domain import ledger
from governance.domain.errors import InvalidInputError
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Append the entry; one claim causes one entry of a kind, however often it is recorded."""
    request = contracts.request("record", event)
    kind = request["kind"]
    if kind not in ledger.KINDS:
        raise InvalidInputError(
            f"{kind!r} is no kind of ledger entry; known are {', '.join(ledger.KINDS)}"
        )
    entry = ledger.entry(kind, request, recorded_at=clock.now())
    sequence = Writer(settings).append(entry)
    return {"entry_id": entry["entry_id"], "sequence": sequence}
