"""GrantClearance: after the gate's yes, the stage's account may read what it is about to serve."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import clock
from governance.adapters.clearances import write_what_is_held
from governance.adapters.ledger import Writer
from governance.domain import clearance, ledger
from governance.domain.errors import AccessError
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Record the grant, then write the tags; what is not recorded is never opened.

    The ledger is read again at the end: a recall that came meanwhile has been answered by
    `revoke_clearance`, perhaps before these tags were there.
    """
    request = contracts.request("grant_clearance", event)
    promotion, deployment = request["promotion"], request["deployment"]
    model, arn, stage = promotion["model"], promotion["model_package_arn"], deployment["stage"]
    candidate_id = request["candidate"]["candidate_id"]
    objects = clearance.loaded(request["candidate"]["objects"])
    entries = Writer(settings)
    story = list(entries.story(model, arn))
    if clearance.withdrawn(story, promotion) and clearance.was_granted(
        story, promotion["claim_id"]
    ):
        # Tried again: the first time it may have been stopped while it wrote yes.
        write_what_is_held(entries, model, arn, candidate_id, objects)
    clearance.check_not_withdrawn(story, promotion, stage)
    granted = clearance.grant_request(promotion, candidate_id, deployment, len(objects))
    sequence = entries.append(ledger.entry(clearance.GRANTED, granted, recorded_at=clock.now()))
    written = write_what_is_held(entries, model, arn, candidate_id, objects)
    if stage not in clearance.held(list(entries.story(model, arn))):
        raise AccessError(
            f"the clearance of {arn} for {stage}, entry {sequence} of the ledger, was ended before "
            f"it was used; `govern history {model}` says by what: approve the version again once "
            "that is settled"
        )
    return {"stage": stage, "account": deployment["account"], "objects": written}
