"""CheckServedConfig: SageMaker rolls back without telling; see what the endpoint serves."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.endpoints import Endpoints
from governance.adapters.sessions import Sessions
from governance.domain import outcomes
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Compare the config that is served with the one that was intended."""
    deployment = contracts.request("check_served_config", event)["deployment"]
    endpoints = Endpoints(Sessions(settings, claim_of(event)).hub(deployment["account"]))
    endpoint = endpoints.find(deployment["endpoint_name"]) or {"EndpointStatus": "Absent"}
    status = outcomes.pascal_status(endpoint["EndpointStatus"])
    served = endpoint.get("EndpointConfigName")
    return {
        "served": {
            "config_name": served,
            "intended": served == deployment["config_name"] and status == "InService",
            "endpoint_status": status,
        }
    }
