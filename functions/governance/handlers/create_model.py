"""CreateModel: make the candidate known to SageMaker in the account that will serve it."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.endpoints import Endpoints, tag_list
from governance.adapters.sessions import Sessions
from governance.domain import deployments
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Create the model, from the signed-off version (Prod) or its containers spelled out (Test).

    What serves already has one.
    """
    deployment = contracts.request("create_model", event)["deployment"]
    if deployment.get("exists"):
        return {"model_name": deployment["model_name"]}
    if deployment["source"] == "model-package":
        named = [{"ModelPackageName": deployment["model_package_arn"]}]
    else:
        named = deployment["containers"]
    containers = [deployments.with_environment(one, deployment["environment"]) for one in named]
    one = len(containers) == 1
    source = {"PrimaryContainer": containers[0]} if one else {"Containers": containers}
    endpoints = Endpoints(Sessions(settings, claim_of(event)).hub(deployment["account"]))
    endpoints.create_model(
        {
            "ModelName": deployment["model_name"],
            "ExecutionRoleArn": deployment["execution_role_arn"],
            "Tags": tag_list(deployment["tags"]),
            **source,
        }
    )
    return {"model_name": deployment["model_name"]}
