"""RemoveEndpoint: the Test endpoint goes, on every path; nothing of it stays behind."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.endpoints import Endpoints
from governance.adapters.sessions import Sessions
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Delete endpoint, config and model; what is gone already is fine."""
    deployment = contracts.request("remove_endpoint", event)["deployment"]
    endpoints = Endpoints(Sessions(settings, claim_of(event)).hub(deployment["account"]))
    return {"removed": endpoints.remove_all(deployment)}
