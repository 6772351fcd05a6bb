"""PlanDeployment: decide every name and number of a deployment once, before anything is made."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import definitions, manifests
from governance.adapters.directory import Directory
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import candidate, deployments
from governance.domain import definitions as which
from governance.domain.errors import IntegrityError
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The deployment of the approved version into the account of its stage.

    IntegrityError if the version is not what the gate has seen any more: what is deployed, spelled
    out in Test and by its package in Prod, must resolve to the candidate's bytes.
    """
    request = contracts.request("plan_deployment", event)
    promotion, approved = request["promotion"], request["candidate"]
    registry = Registry(Sessions(settings, claim_of(request)).registry())
    description = registry.describe(promotion["model_package_arn"])
    manifest = manifests.read(approved["manifest_uri"], approved["candidate_id"])
    changed = candidate.differences(manifest, description, approved["objects"])
    if changed:
        raise IntegrityError(
            f"{promotion['model_package_arn']} was changed between the gate and the deployment: "
            + "; ".join(f"{d['name']} is {d['actual']}, expected {d['expected']}" for d in changed)
        )
    reference = which.reference(settings.evidence_bucket, promotion["model"], request["definition"])
    deployment = deployments.plan(
        promotion,
        candidate=approved,
        project=Directory(settings.project_directory_table).project_of(promotion["model"]),
        description=description,
        execution_role_name=settings.endpoint_execution_role_name,
        reference=reference,
        definition=definitions.read(reference),
    )
    return {"deployment": deployment}
