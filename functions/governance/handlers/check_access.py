"""CheckAccess: the calls across accounts that this run will make, tried before anything is done."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.directory import Directory
from governance.adapters.preflight import Preflight
from governance.adapters.sessions import Sessions
from governance.domain import preflight
from governance.domain.errors import AccessError, TransientError
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Try what the run of `promotion` needs; AccessError names what is missing and adds it.

    With `model` alone everything of its project is tried and reported, and nothing is raised:
    that is `govern doctor`.
    """
    request = contracts.request("check_access", event)
    promotion = request.get("promotion")
    model = promotion["model"] if promotion else request["model"]
    project = Directory(settings.project_directory_table).find(model)
    stages = preflight.STAGES_OF[promotion["workflow"]] if promotion else ("dev", "test", "prod")
    checks = preflight.checks(project, model, _place(), stages)
    if promotion:
        checks = preflight.about_version(checks, promotion["model_package_arn"])
    outcomes = Preflight(Sessions(settings, claim_of(event)), project is not None).run(checks)
    if promotion is None:
        return {"checks": [outcome.to_dict() for outcome in outcomes]}
    broken = preflight.failed(outcomes)
    if broken:
        raise AccessError("; then ".join(preflight.sentence(outcome) for outcome in broken))
    unclear = [found for found in outcomes if found.status == preflight.UNCLEAR]
    if unclear:
        raise TransientError("; then ".join(preflight.sentence(outcome) for outcome in unclear))
    return {"passed": len(outcomes)}


def _place() -> preflight.Place:
    _, partition, _, region, hub, _ = settings.kms_key_arn.split(":", 5)
    return preflight.Place(
        partition=partition,
        region=region,
        hub=hub,
        registry=settings.registry_account_id,
        external_id=settings.hub_external_id,
        artifacts_bucket=settings.artifacts_bucket,
        images_repository=settings.images_repository_uri.partition("/")[2],
        key_arn=settings.kms_key_arn,
        bus=settings.event_bus_name,
    )
