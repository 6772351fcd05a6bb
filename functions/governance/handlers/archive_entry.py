"""ArchiveEntry: every signed entry and checkpoint into the locked archive; the rest is an alarm."""

from __future__ import annotations

from typing import Any

from governance.adapters import items, metrics
from governance.adapters.archive import Archive
from governance.domain import archive
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Archive what a batch of either table's stream brings, in order; idempotent.

    The first object that S3 does not take is reported; Lambda then repeats the batch from there.
    Tampering does not stop the batch: it is logged and counted, and the metric alarms.
    """
    objects, numbers, tampering = [], [], []
    for record in event["Records"]:
        images = record["dynamodb"]
        old, new = (items.from_item(images.get(name, {})) for name in ("OldImage", "NewImage"))
        change = archive.change_of(record["eventName"], old, new)
        if change.tampering:
            tampering.append(change.tampering)
        if change.key:
            objects.append((change.key, change.envelope))
            numbers.append(images["SequenceNumber"])
    kept = Archive(settings.ledger_bucket).keep(objects)
    tampering += [f"the archive has other bytes than the ledger at {key}" for key in kept.others]
    for what in tampering:
        logger.error("LEDGER TAMPERING", extra={"tampering": what})
    if tampering:
        metrics.count("LedgerTampering", len(tampering))
    if kept.problem:
        logger.error("not archived", extra={"problem": kept.problem})
    failed = [{"itemIdentifier": number} for number in numbers[kept.done : kept.done + 1]]
    return {"batchItemFailures": failed}
