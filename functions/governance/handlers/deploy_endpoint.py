"""DeployEndpoint: start the deployment; the endpoint's event answers the waiting execution."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.endpoints import Endpoints
from governance.adapters.sessions import Sessions
from governance.adapters.waits import Waits
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Store the task token, then create or update the endpoint, then look once ourselves.

    The token is there before anything can happen, so no event finds nobody waiting; the look
    afterwards catches an endpoint that came to rest before its wait was visible.
    """
    request = contracts.request("deploy_endpoint", event)
    deployment = request["deployment"]
    name, config_name = deployment["endpoint_name"], deployment["config_name"]
    endpoints = Endpoints(Sessions(settings, claim_of(request)).hub(deployment["account"]))
    waits = Waits(settings.endpoint_waits_table)
    found = endpoints.find(name)
    wait = {
        "endpoint_arn": deployment["endpoint_arn"],
        "task_token": request["task_token"],
        "claim_id": deployment["claim_id"],
        "account": deployment["account"],
        "endpoint_name": name,
        "config_name": config_name,
        "modified_before": found["LastModifiedTime"] if found else "",
    }
    with waits.held(wait):
        endpoints.deploy(found, name, config_name, deployment["tags"])
        endpoint = endpoints.find(name)
    settled = endpoint is not None and waits.settle(wait, endpoint)
    return {"endpoint_arn": deployment["endpoint_arn"], "settled": settled}
