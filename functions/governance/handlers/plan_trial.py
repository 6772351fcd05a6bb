"""PlanTrial: what serves now beside what wants to, and the way back to what serves."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.endpoints import Endpoints
from governance.adapters.sessions import Sessions
from governance.domain import trials
from governance.domain.errors import NotFoundError
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Plan the trial; None where nothing serves yet, since there is nothing to compare with."""
    deployment = contracts.request("plan_trial", event)["deployment"]
    endpoints = Endpoints(Sessions(settings, claim_of(event)).hub(deployment["account"]))
    endpoint = endpoints.find(deployment["endpoint_name"])
    if endpoint is None:
        return {"trial": None}
    config = endpoints.find_config(endpoint["EndpointConfigName"])
    if config is None:
        raise NotFoundError(
            f"endpoint {deployment['endpoint_name']} serves config "
            f"{endpoint['EndpointConfigName']}, which was deleted: there would be no way back from "
            "a trial; release with another strategy"
        )
    return {"trial": trials.plan(deployment, endpoint, config)}
