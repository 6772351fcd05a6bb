"""CheckAlarms: was an alarm of the release raised while it baked?"""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.alarms import Alarms
from governance.adapters.endpoints import Endpoints
from governance.adapters.sessions import Sessions
from governance.domain import guardrails
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Look at every alarm since the release began; one that has calmed down counts as well.

    It begins when its alarms have been set back (`since`), which may be an hour after its config
    was made: an endpoint that is being scaled is waited for.
    """
    request = contracts.request("check_alarms", event)
    deployment = request["deployment"]
    session = Sessions(settings, claim_of(event)).hub(deployment["account"])
    names = guardrails.alarm_names(deployment)
    since = request.get("since") or Endpoints(session).made_at(deployment["config_name"])
    raised = Alarms(session).raised(names, since)
    said = "; ".join(f"{one['name']} ({one['reason']})" for one in raised)
    return {
        "alarms": [one["name"] for one in raised],
        "said": f"{guardrails.plural(raised)} {said}" if raised else "no alarm was raised",
    }
