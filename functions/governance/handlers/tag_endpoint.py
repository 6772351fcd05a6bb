"""TagEndpoint: the endpoint itself says which version and which candidate it serves."""

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
    """Tag the endpoint with version, candidate id and the execution that released it."""
    request = contracts.request("tag_endpoint", event)
    deployment, promotion = request["deployment"], request["promotion"]
    version_arn = deployment["model_package_arn"]
    tags = {
        "model-package-arn": version_arn,
        "model-package-version": version_arn.rpartition("/")[2],
        "candidate-id": deployment["candidate_id"],
        # An endpoint that is updated still has the claim of the release that made it.
        "claim-id": promotion["claim_id"],
        "execution": promotion["execution_arn"],
    }
    endpoints = Endpoints(Sessions(settings, claim_of(request)).hub(deployment["account"]))
    endpoints.tag(deployment["endpoint_arn"], tags)
    return {"tags": tags}
