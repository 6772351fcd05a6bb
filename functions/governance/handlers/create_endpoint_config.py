"""CreateEndpointConfig: which model an endpoint shall serve, and on what."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.endpoints import Endpoints, tag_list
from governance.adapters.sessions import Sessions
from governance.domain import guardrails
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Create the endpoint config with its one variant, and what of the traffic is kept."""
    deployment = contracts.request("create_endpoint_config", event)["deployment"]
    endpoints = Endpoints(Sessions(settings, claim_of(event)).hub(deployment["account"]))
    capture = guardrails.data_capture(deployment)
    endpoints.create_config(
        {
            "EndpointConfigName": deployment["config_name"],
            "ProductionVariants": [
                {
                    "VariantName": deployment["variant_name"],
                    "ModelName": deployment["model_name"],
                    "InstanceType": deployment["instance_type"],
                    "InitialInstanceCount": deployment["instance_count"],
                    "InitialVariantWeight": 1.0,
                }
            ],
            **({"DataCaptureConfig": capture} if capture else {}),
            "Tags": tag_list(deployment["tags"]),
        }
    )
    return {"config_name": deployment["config_name"]}
