"""WatchEndpoint: what serves now is watched as a whole, and scaled, as its own definition says."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import definitions
from governance.adapters.alarms import Alarms
from governance.adapters.endpoints import Endpoints
from governance.adapters.scaling import Scaling
from governance.adapters.sessions import Sessions
from governance.domain import definitions as which
from governance.domain import guardrails, outcomes
from governance.domain.errors import TransientError
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Turn the alarms from the new instances to what serves, where they stay; scale that.

    What serves is what was deployed, or what was there before if the deployment came to nothing;
    then the alarms look at that alone, and not at what the new instances have just done.
    Alarms that its definition does not have go: another definition's would still take it back.
    """
    deployment = contracts.request("watch_endpoint", event)["deployment"]
    if deployment["release"] is None:
        # No alarm was turned and no autoscaling ended: a Test endpoint, or a trial.
        return {"alarms": [], "forgotten": [], "scaled": False}
    session = Sessions(settings, claim_of(event)).hub(deployment["account"])
    serving = _serving(Endpoints(session), deployment)
    alarms = Alarms(session)
    names = []
    if serving is not None:
        came_back = serving["config_name"] != deployment["config_name"]
        alarms.put(guardrails.alarms(serving, of_config_alone=came_back))
        names = guardrails.alarm_names(serving)
    forgotten = alarms.forget(deployment["endpoint_name"], names)
    scaled = serving is not None and Scaling(session).follow(serving)
    return {"alarms": names, "forgotten": forgotten, "scaled": scaled}


def _serving(endpoints: Endpoints, deployment: dict[str, Any]) -> dict[str, Any] | None:
    """The plan of what serves; None if nothing does.

    A config that is none of ours says nothing of itself, so the last plan counts.
    """
    name = deployment["endpoint_name"]
    found = endpoints.find(name)
    if found is None or outcomes.pascal_status(found["EndpointStatus"]) == "Failed":
        return None
    served = found["EndpointConfigName"]
    if served == deployment["config_name"] and outcomes.is_serving(found["EndpointStatus"]):
        return deployment
    if not outcomes.may_be_final(found["EndpointStatus"]):
        # Its alarms watch the deployment that is under way, and may be what ends it.
        raise TransientError(
            f"endpoint {name} is {found['EndpointStatus']}; what serves is known when it has come "
            "to rest"
        )
    config = endpoints.find_config(served)
    digest = config and endpoints.tags_of(config["EndpointConfigArn"]).get(which.METADATA_KEY)
    if not digest:
        return deployment
    reference = which.reference(settings.evidence_bucket, deployment["tags"]["model"], digest)
    return guardrails.as_it_serves(deployment, served, reference, definitions.read(reference))
