"""CopyBatch: bring some objects and parts of an approved candidate to Central, byte for byte."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.copies import Copies
from governance.adapters.receipts import Receipts
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Ask S3 for each copy of the batch, of exactly the version that the candidate names."""
    request = contracts.request("copy_batch", event)
    candidate = settings, request["promotion"]["model"], request["candidate_id"]
    copied, proven = Copies.of_candidate(*candidate).copy(
        request["batch"], again=request["attempt"] > 0
    )
    Receipts.of_candidate(*candidate).keep(proven)
    return {"copied": copied}
