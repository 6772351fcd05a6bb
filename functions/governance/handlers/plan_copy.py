"""PlanCopy: what of an approved candidate is not in Central yet, in batches of similar size."""

from __future__ import annotations

import hashlib
from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts
from governance.adapters.candidates import Candidates
from governance.adapters.copies import Copies
from governance.adapters.receipts import Receipts
from governance.domain import copying
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()
_NOTHING = {"plan": {"batches": 0, "bucket": "", "key": ""}}


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Store the plan as evidence: a copy that was interrupted goes on with what is missing.

    Of a candidate that is registered nothing is: stages are cleared for its very versions, and one
    on top of them would be open to nobody.
    """
    request = contracts.request("plan_copy", event)
    model, candidate = request["promotion"]["model"], request["candidate"]
    if Candidates(settings.candidates_table).find(candidate["candidate_id"], model):
        return _NOTHING
    evidence = Artifacts()
    transfers = [
        transfer
        for location in candidate["objects"]
        for transfer in copying.transfers(
            model, candidate["candidate_id"], location, evidence.expand(location)
        )
    ]
    copies = Copies.of_candidate(settings, model, candidate["candidate_id"])
    receipts = Receipts.of_candidate(settings, model, candidate["candidate_id"])
    missing = copies.missing(transfers, receipts.of(len(transfers)))
    batches = copying.batches(missing, copies.uploads(missing))
    logger.info("planned", extra={"objects": len(missing), "batches": len(batches)})
    if not batches:
        return _NOTHING
    body = copying.document(batches)
    key = f"copies/{model}/{candidate['candidate_id']}/{hashlib.sha256(body).hexdigest()}.jsonl"
    stored = evidence.store(
        settings.evidence_bucket, key, body, settings.kms_key_arn, "application/jsonl"
    )
    return {"plan": {"batches": len(batches), "bucket": stored["bucket"], "key": stored["key"]}}
