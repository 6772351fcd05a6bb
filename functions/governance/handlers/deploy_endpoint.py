"""DeployEndpoint: start the deployment; the endpoint's event answers the waiting execution."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import clock
from governance.adapters.alarms import Alarms
from governance.adapters.endpoints import Endpoints
from governance.adapters.scaling import Scaling
from governance.adapters.sessions import Sessions
from governance.adapters.waits import Waits
from governance.domain import guardrails, outcomes
from governance.domain.errors import TransientError
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Put the alarms, store the task token, create or update the endpoint, then look once.

    The token is there before anything can happen, so no event finds nobody waiting; the look
    afterwards catches an endpoint that came to rest before its wait was visible.
    """
    request = contracts.request("deploy_endpoint", event)
    deployment = request["deployment"]
    name, config_name = deployment["endpoint_name"], deployment["config_name"]
    session = Sessions(settings, claim_of(request)).hub(deployment["account"])
    endpoints = Endpoints(session)
    waits = Waits(settings.endpoint_waits_table)
    found = endpoints.find(name)
    heading = found is not None and outcomes.was_asked_for(found, deployment)
    if found and not heading and not outcomes.may_be_final(found["EndpointStatus"]):
        # Its alarms watch the deployment that is under way, and may be what ends it.
        raise TransientError(
            f"endpoint {name} is {found['EndpointStatus']}; it is changed again when it has come "
            "to rest"
        )
    began = _began(waits, deployment) if heading else None
    if deployment["release"] and not heading:
        alarms = Alarms(session)
        alarms.put(guardrails.alarms(deployment, of_config_alone=True))
        # What was raised before says nothing about instances that do not exist yet.
        names = guardrails.alarm_names(deployment)
        alarms.calm(names, f"a new release begins, claim {deployment['claim_id']}")
        began = clock.exact()
        before = endpoints.find_config(found["EndpointConfigName"]) if found else None
        if guardrails.changes_instances(deployment, before):
            Scaling(session).end(deployment)
    wait = {
        "endpoint_arn": deployment["endpoint_arn"],
        "task_token": request["task_token"],
        "claim_id": deployment["claim_id"],
        "account": deployment["account"],
        "endpoint_name": name,
        "config_name": config_name,
        "modified_before": found["LastModifiedTime"] if found else "",
        "began": began,
    }
    with waits.held(wait):
        endpoints.deploy(found, deployment)
        endpoint = endpoints.find(name)
    settled = endpoint is not None and waits.settle(wait, endpoint)
    return {"endpoint_arn": deployment["endpoint_arn"], "settled": settled}


def _began(waits: Waits, deployment: dict[str, Any]) -> str | None:
    """When an earlier try of this task set the alarms back; None if nobody has noted that."""
    earlier = waits.find(deployment["endpoint_arn"])
    ours = earlier is not None and earlier["claim_id"] == deployment["claim_id"]
    return earlier.get("began") if earlier is not None and ours else None
