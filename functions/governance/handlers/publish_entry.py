"""PublishEntry: what the ledger holds becomes an event; never the other way round."""

from __future__ import annotations

from typing import Any

from governance.adapters import items
from governance.adapters.bus import Bus
from governance.domain import attestations
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Publish the new entries of a DynamoDB stream batch, in order.

    Markers (sequence 0) are bookkeeping and not published. The first entry that the bus does not
    take is reported; Lambda then repeats the batch from there, so none is lost.
    """
    entries, numbers = [], []
    for record in event["Records"]:
        if record["eventName"] != "INSERT":
            continue
        row = items.from_item(record["dynamodb"]["NewImage"])
        if row["sequence"] >= 1:
            entries.append({**attestations.entry_in(row), "digest": row["digest"]})
            numbers.append(record["dynamodb"]["SequenceNumber"])
    published = Bus(settings.event_bus_name).publish(entries)
    failed = [{"itemIdentifier": number} for number in numbers[published : published + 1]]
    return {"batchItemFailures": failed}
