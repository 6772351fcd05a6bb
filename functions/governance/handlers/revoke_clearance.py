"""RevokeClearance: what the ledger says is over, no account reads any more."""

from __future__ import annotations

from typing import Any

from governance.adapters import clock
from governance.adapters.candidates import Candidates
from governance.adapters.clearances import write_what_is_held
from governance.adapters.ledger import Writer
from governance.domain import clearance, ledger
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write the tags that the ledger says, then record the revocation, once for each cause.

    An event that comes late or again ends nothing that was granted after its entry. What ended
    nothing still has the tags written: a grant that was stopped on its way may have left a yes.
    """
    cause = clearance.cause_of(event)
    model, arn = cause["model"], cause["model_package_arn"]
    logger.append_keys(entry_id=cause["entry_id"])
    entries = Writer(settings)
    story = list(entries.story(model, arn))
    if not clearance.was_granted(story):
        return {"outcome": "nothing to revoke"}
    granted = next(entry for entry in story if entry["kind"] == clearance.GRANTED)
    candidate_id = granted["candidate_id"]
    objects = clearance.loaded(
        Candidates(settings.candidates_table).get(candidate_id, model)["objects"]
    )
    written = write_what_is_held(entries, model, arn, candidate_id, objects)
    ended = clearance.ended_by(story, cause["entry_id"])
    if not ended:
        return {"outcome": "nothing to revoke", "objects": written}
    ending = next(entry for entry in story if entry["entry_id"] == cause["entry_id"])
    request = clearance.revoke_request(ending, ended, candidate_id, len(objects))
    entry = ledger.entry(clearance.REVOKED, request, recorded_at=clock.now())
    sequence = entries.append(entry)
    return {"outcome": "revoked", "stages": sorted(ended), "objects": written, "sequence": sequence}
