"""PlanDeployment: decide every name and number of a deployment once, before anything is made."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.directory import Directory
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import deployments
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The deployment of the approved version into the account of its stage."""
    request = contracts.request("plan_deployment", event)
    promotion = request["promotion"]
    registry = Registry(Sessions(settings, claim_of(request)).registry())
    deployment = deployments.plan(
        promotion,
        candidate=request["candidate"],
        project=Directory(settings.project_directory_table).project_of(promotion["model"]),
        description=registry.describe(promotion["model_package_arn"]),
        execution_role_name=settings.endpoint_execution_role_name,
    )
    return {"deployment": deployment}
