"""CreateEndpointConfig: which model an endpoint shall serve, and on what."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.endpoints import Endpoints, tag_list
from governance.adapters.sessions import Sessions
from governance.domain import definitions, guardrails, trials
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Create the endpoint config and what of the traffic is kept; what serves already is there."""
    deployment = contracts.request("create_endpoint_config", event)["deployment"]
    if deployment.get("exists"):
        return {"config_name": deployment["config_name"]}
    endpoints = Endpoints(Sessions(settings, claim_of(event)).hub(deployment["account"]))
    capture = guardrails.data_capture(deployment)
    endpoints.create_config(
        {
            "EndpointConfigName": deployment["config_name"],
            **_variants(deployment),
            **({"DataCaptureConfig": capture} if capture else {}),
            # Whoever finds it serving knows by it which alarms and which autoscaling belong to it.
            "Tags": tag_list(
                {**deployment["tags"], definitions.METADATA_KEY: deployment["definition"]["digest"]}
            ),
        }
    )
    return {"config_name": deployment["config_name"]}


def _variants(deployment: dict[str, Any]) -> dict[str, Any]:
    if deployment.get("trial"):
        return trials.variants(deployment["trial"])
    return {
        "ProductionVariants": [
            {
                "VariantName": deployment["variant_name"],
                "ModelName": deployment["model_name"],
                "InstanceType": deployment["instance_type"],
                "InitialInstanceCount": deployment["instance_count"],
                "InitialVariantWeight": 1.0,
            }
        ]
    }
