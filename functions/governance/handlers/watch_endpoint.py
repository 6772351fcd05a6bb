"""WatchEndpoint: what serves now is watched as a whole, and scaled, as its own definition says."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import shifts
from governance.adapters.alarms import Alarms
from governance.adapters.endpoints import Endpoints
from governance.adapters.scaling import Scaling
from governance.adapters.serving import what_serves
from governance.adapters.sessions import Sessions
from governance.domain import guardrails, outcomes
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Turn the alarms from the new instances to what serves, where they stay; scale that.

    What serves is what was deployed, or what was there before if the deployment came to nothing;
    then, and where they look back further than it has baked, the alarms look at its config alone:
    what others did there a minute ago must not take it back. So they do while the ledger does not
    know what serves (`unrecorded`): an alarm takes back the version that it names.
    Alarms that its definition does not have go: another definition's would still take it back.
    With `take_back`, traffic that still moves to what was deployed goes back: nobody would know of
    it when it has arrived.
    """
    request = contracts.request("watch_endpoint", event)
    deployment = request["deployment"]
    if deployment["release"] is None:
        # No alarm was turned and no autoscaling ended: a Test endpoint, or a trial.
        return {"alarms": [], "forgotten": [], "scaled": False}
    session = Sessions(settings, claim_of(event)).hub(deployment["account"])
    endpoints = Endpoints(session)
    if request.get("take_back"):
        found = endpoints.find(deployment["endpoint_name"])
        if found is not None and outcomes.is_moving_to(found, deployment["config_name"]):
            because = f"its run broke, claim {deployment['claim_id']}"
            shifts.take_back(session, deployment["endpoint_name"], because)
    serving = what_serves(endpoints, deployment, settings.evidence_bucket)
    alarms = Alarms(session)
    names = []
    if serving is not None:
        came_back = serving["config_name"] != deployment["config_name"]
        alone = (
            came_back
            or bool(request.get("unrecorded"))
            or guardrails.look_back_beyond_bake(serving)
        )
        alarms.put(guardrails.alarms(serving, of_config_alone=alone))
        names = guardrails.alarm_names(serving)
    forgotten = alarms.forget(deployment["endpoint_name"], names)
    scaled = serving is not None and Scaling(session).follow(serving)
    return {"alarms": names, "forgotten": forgotten, "scaled": scaled}
