"""ResolveEndpointWait: an endpoint has changed; answer the execution that waits for it, if any."""

from __future__ import annotations

from typing import Any

from governance.adapters.endpoints import Endpoints
from governance.adapters.sessions import Sessions
from governance.adapters.waits import Waits
from governance.domain import outcomes
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Ask SageMaker how the endpoint is now: the event says that, not what, has changed.

    Events come twice, late and out of order, and for endpoints that are none of ours.
    """
    endpoint_arn, status = outcomes.endpoint_change(event)
    ignored = {"outcome": "ignored"}
    if not outcomes.may_be_final(status):
        return ignored
    waits = Waits(settings.endpoint_waits_table)
    wait = waits.find(endpoint_arn)
    if wait is None:
        return ignored
    logger.append_keys(claim_id=wait["claim_id"])
    sessions = Sessions(settings, wait["claim_id"])
    endpoint = Endpoints(sessions.hub(wait["account"])).find(wait["endpoint_name"])
    if endpoint is None or not waits.settle(wait, endpoint):
        return ignored
    return {"outcome": "resolved"}
