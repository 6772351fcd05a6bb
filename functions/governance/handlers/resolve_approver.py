"""ResolveApprover: who decided, who trained, and is the decision still the last word?"""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.candidates import Candidates
from governance.adapters.ledger import Ledger
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import claims, definitions
from governance.domain.identity import identity_of
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Read LastModifiedBy at once: any later change of the version replaces it."""
    promotion = contracts.request("resolve_approver", event)["promotion"]
    sessions = Sessions(settings, claim_of(event))
    in_dev = promotion["stage"] == "Dev"
    session = sessions.hub(promotion["account"]) if in_dev else sessions.registry()
    description = Registry(session).describe(promotion["model_package_arn"])
    if in_dev:
        trainer = identity_of(description.get("CreatedBy"))
    else:  # the hub created the Central version; who trained it was kept at its registration
        model, arn = promotion["model"], promotion["model_package_arn"]
        candidate_id = Ledger(settings.ledger_table).promoted_as(model, arn)
        trainer = Candidates(settings.candidates_table).get(candidate_id, model)["trainer"]
    life_cycle = description.get("ModelLifeCycle") or {}
    return {
        "approver": identity_of(description.get("LastModifiedBy")),
        "trainer": trainer,
        "decision_current": not claims.changed_since(promotion["decided_at"], description),
        "approval": {
            "model_approval_status": description.get("ModelApprovalStatus"),
            "approval_description": description.get("ApprovalDescription"),
            "stage": life_cycle.get("Stage"),
            "stage_status": life_cycle.get("StageStatus"),
            "definition": definitions.bound(description),
        },
    }
