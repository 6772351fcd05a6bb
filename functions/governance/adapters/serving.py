"""What serves at an endpoint, by its own deployment definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.adapters import definitions
from governance.adapters.endpoints import Endpoints
from governance.domain import definitions as which
from governance.domain import guardrails, outcomes
from governance.domain.errors import TransientError


def what_serves(
    endpoints: Endpoints, deployment: Mapping[str, Any], evidence_bucket: str
) -> dict[str, Any] | None:
    """The plan of what serves at the deployment's endpoint; None if nothing does.

    A config that is none of ours says nothing of itself, so the plan of `deployment` counts.
    TransientError while the endpoint moves to another config.
    """
    name = deployment["endpoint_name"]
    found = endpoints.find(name)
    if found is None or outcomes.pascal_status(found["EndpointStatus"]) == "Failed":
        return None
    served = found["EndpointConfigName"]
    if served == deployment["config_name"] and outcomes.is_serving(found["EndpointStatus"]):
        return dict(deployment)
    if not outcomes.may_be_final(found["EndpointStatus"]):
        # Its alarms watch the deployment that is under way, and may be what ends it.
        raise TransientError(
            f"endpoint {name} is {found['EndpointStatus']}; what serves is known when it has come "
            "to rest"
        )
    config = endpoints.find_config(served)
    digest = config and endpoints.tags_of(config["EndpointConfigArn"]).get(which.METADATA_KEY)
    if not digest:
        return dict(deployment)
    reference = which.reference(evidence_bucket, deployment["tags"]["model"], digest)
    return guardrails.as_it_serves(deployment, served, reference, definitions.read(reference))
