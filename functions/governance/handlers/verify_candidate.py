"""VerifyCandidate: is the Central version still the candidate that was promoted, byte for byte?"""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.candidates import Candidates
from governance.adapters.comparison import Recorded, compare
from governance.adapters.ledger import Ledger
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import claims, clearance
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Compare the version and its objects as they are now with the manifest that was approved.

    `tampering` is what differs from the candidate; `voided` names what the ledger has of tampering
    since the decision, whether or not all is as it was again. `differences` has both, and tells of
    a later change that left the candidate as it is, such as a newer decision.
    """
    promotion = contracts.request("verify_candidate", event)["promotion"]
    arn = promotion["model_package_arn"]
    ours = Ledger(settings.ledger_table)
    recorded = Recorded(ours, promotion["model"], arn)
    description = Registry(Sessions(settings, claim_of(event)).registry()).describe(arn)
    compared = compare(promotion, description, Candidates(settings.candidates_table), recorded)
    tampering = compared["differences"]
    # Asked after the version was read: what was put back before that may be on record by now.
    voided = clearance.voided(ours.story(promotion["model"], arn), promotion)
    changed = claims.changed_since(promotion["decided_at"], description)
    return {
        "candidate": compared["candidate"],
        "tampering": tampering,
        "voided": voided,
        "differences": [*changed, *voided, *tampering],
    }
