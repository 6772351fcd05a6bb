"""WatchEndpoint: what serves now is watched as a whole, and scaled as its definition says."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.alarms import Alarms
from governance.adapters.scaling import Scaling
from governance.adapters.sessions import Sessions
from governance.domain import guardrails
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Turn the alarms from the new instances to the endpoint, where they stay; scale those."""
    deployment = contracts.request("watch_endpoint", event)["deployment"]
    session = Sessions(settings, claim_of(event)).hub(deployment["account"])
    Alarms(session).put(guardrails.alarms(deployment, of_new_fleet=False))
    scaled = Scaling(session).follow(deployment)
    return {"alarms": guardrails.alarm_names(deployment), "scaled": scaled}
