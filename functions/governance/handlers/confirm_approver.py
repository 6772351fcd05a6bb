"""ConfirmApprover: wait for CloudTrail's own record of the approval."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.confirmations import Confirmations
from governance.domain.confirmations import decision_key
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Store the task token; the record answers it, now if it is here, else when it comes."""
    request = contracts.request("confirm_approver", event)
    promotion = request["promotion"]
    wait = {
        "decision": decision_key(promotion["model_package_arn"], promotion["stage"]),
        "claim_id": promotion["claim_id"],
        "decided_at": promotion["decided_at"],
        "task_token": request["task_token"],
    }
    return {"settled": Confirmations(settings.confirmations_table).wait(wait)}
