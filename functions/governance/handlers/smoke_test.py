"""SmokeTest: one real request to the endpoint that now serves."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts, of_role
from governance.adapters.bench import sample_check
from governance.adapters.runtime import Runtime
from governance.adapters.sessions import Sessions
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Send the sample payload and look at the answer."""
    request = contracts.request("smoke_test", event)
    deployment = request["deployment"]
    sample = Artifacts().read_json(of_role(request["candidate"]["objects"], "sample-payload"))
    session = Sessions(settings, claim_of(request)).hub(deployment["account"])
    check, status = sample_check(Runtime(session, deployment["endpoint_name"]), sample)
    return {
        "smoke_test": {
            "passed": check["passed"],
            "status_code": status,
            "observed": check["observed"],
        }
    }
