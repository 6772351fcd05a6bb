"""PlanTrial: what serves now beside what wants to, and the way back to what serves."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import clock
from governance.adapters.alarms import Alarms
from governance.adapters.endpoints import Endpoints
from governance.adapters.serving import what_serves
from governance.adapters.sessions import Sessions
from governance.domain import guardrails, trials
from governance.domain.errors import NotFoundError
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Plan the trial; None where nothing serves yet, since there is nothing to compare with.

    The champion's alarms look at the endpoint from here on, so that they see it in the trial too;
    a challenger that answers clients has its own (`alarms`, set back at `since`).
    """
    deployment = contracts.request("plan_trial", event)["deployment"]
    session = Sessions(settings, claim_of(event)).hub(deployment["account"])
    endpoints = Endpoints(session)
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
    tags = endpoints.tags_of(deployment["endpoint_arn"])
    trial = trials.plan(deployment, endpoint, config, tags)
    champion = what_serves(endpoints, deployment, settings.evidence_bucket)
    alarms = Alarms(session)
    if champion is not None:
        # A trial has a config of its own: alarms on the champion's alone would see nothing.
        alarms.put(guardrails.alarms(champion, of_config_alone=False))
    requests = guardrails.challenger_alarms(deployment, trial["deployment"])
    names = [str(one["AlarmName"]) for one in requests]
    if names:
        alarms.put(requests)
        # What an earlier challenger set off says nothing of this one.
        alarms.calm(names, f"a new trial begins, claim {deployment['claim_id']}")
    return {"trial": {**trial, "alarms": names, "since": clock.exact()}}
