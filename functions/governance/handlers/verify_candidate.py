"""VerifyCandidate: is the Central version still the candidate that was promoted, byte for byte?"""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.candidates import Candidates
from governance.adapters.comparison import Recorded, compare
from governance.adapters.ledger import Ledger
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import claims
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Compare the version and its objects as they are now with the manifest that was approved.

    `tampering` is what differs from the candidate; `differences` also tells of a later change that
    left the candidate as it is, such as a newer decision.
    """
    promotion = contracts.request("verify_candidate", event)["promotion"]
    arn = promotion["model_package_arn"]
    recorded = Recorded(Ledger(settings.ledger_table), promotion["model"], arn)
    description = Registry(Sessions(settings, claim_of(event)).registry()).describe(arn)
    compared = compare(promotion, description, Candidates(settings.candidates_table), recorded)
    tampering = compared["differences"]
    return {
        "candidate": compared["candidate"],
        "tampering": tampering,
        "differences": [*claims.changed_since(promotion["decided_at"], description), *tampering],
    }
