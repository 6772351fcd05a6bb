"""ClaimApproval: events come more than once; an approval is acted on once."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import clock
from governance.adapters.claims import Claims
from governance.adapters.directory import Directory
from governance.domain import approval_events
from governance.domain.errors import AccessError
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Read the approval out of the event, check that it speaks for its model, and claim it."""
    request = contracts.request("claim_approval", event)
    stage = request["stage"]
    promotion = approval_events.promotion(
        request["event"], request["workflow"], stage, request["execution_arn"]
    )
    logger.append_keys(claim_id=promotion["claim_id"])
    project = Directory(settings.project_directory_table).project_of(promotion["model"])
    # In Dev a version is in the project's own account; after that it is in the Central registry.
    expected = project["accounts"]["dev"] if stage == "Dev" else settings.registry_account_id
    if promotion["account"] != expected:
        raise AccessError(
            f"{promotion['model_package_arn']} is approved for {stage} in account "
            f"{promotion['account']}; for model {promotion['model']} only account {expected} may"
        )
    claimed = Claims(settings.claims_table).claim({**promotion, "claimed_at": clock.now()})
    return {"outcome": "claimed" if claimed else "duplicate", "promotion": promotion}
