"""SetStage...: say in the registry where a version stands. Only the system's role may do this."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import phases
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Set ModelLifeCycle of the version; setting it twice changes nothing more.

    A version that was recalled or retired while a workflow was at it stays so, and with `only_from`
    {stage, stage_status} one that shows something else by now.
    """
    request = contracts.request("set_stage", event)
    arn, stage, status = (
        request["model_package_arn"],
        request["stage"],
        request["stage_status"],
    )
    registry = Registry(Sessions(settings, claim_of(request)).registry())
    found = registry.describe(arn)
    life_cycle = found.get("ModelLifeCycle") or {}
    present = {"stage": life_cycle.get("Stage"), "stage_status": life_cycle.get("StageStatus")}
    if phases.is_taken_back(found) or (request.get("only_from") or present) != present:
        return {"model_package_arn": arn, **present}
    registry.set_stage(arn, stage, status, request.get("description") or "")
    return {"model_package_arn": arn, "stage": stage, "stage_status": status}
