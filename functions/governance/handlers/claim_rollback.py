"""ClaimRollback: a request to go back acts once, however often its event comes."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import clock
from governance.adapters.claims import Claims
from governance.adapters.directory import Directory
from governance.domain import approval_events
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Read out of the event which version is to go and why, and claim the request."""
    request = contracts.request("claim_rollback", event)
    promotion = approval_events.rollback_request(
        request["event"], request["workflow"], request["execution_arn"]
    )
    logger.append_keys(claim_id=promotion["claim_id"])
    project = Directory(settings.project_directory_table).project_of(promotion["model"])
    approval_events.check_account(promotion, project, settings.registry_account_id)
    claimed = Claims(settings.claims_table).claim({**promotion, "claimed_at": clock.now()})
    return {
        "outcome": "claimed" if claimed else "duplicate",
        "promotion": promotion,
        "reason": approval_events.rollback_reason(request["event"]),
    }
