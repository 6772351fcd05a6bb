"""SetStage...: say in the registry where a version stands. Only the system's role may do this."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.ledger import Ledger
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import ledger, phases
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Set ModelLifeCycle of the version; setting it twice changes nothing more.

    A version that was recalled or retired while a workflow was at it stays so, and with `only_from`
    {stage, stage_status} one that shows something else by now; with `not_from` one that shows that.
    With `as_recorded` it gets what the ledger says at this moment, and one that the ledger does not
    know stays as it is.
    """
    request = contracts.request("set_stage", event)
    arn = request["model_package_arn"]
    registry = Registry(Sessions(settings, claim_of(request)).registry())
    found = registry.describe(arn)
    life_cycle = found.get("ModelLifeCycle") or {}
    present = {"stage": life_cycle.get("Stage"), "stage_status": life_cycle.get("StageStatus")}
    wanted = _recorded(request) if request.get("as_recorded") else request
    if (
        wanted is None
        or phases.is_taken_back(found)
        or (request.get("only_from") or present) != present
        or request.get("not_from") == present
    ):
        return {"model_package_arn": arn, **present}
    stage, status = wanted["stage"], wanted["stage_status"]
    registry.set_stage(arn, stage, status, request.get("description") or "")
    return {"model_package_arn": arn, "stage": stage, "stage_status": status}


def _recorded(request: dict[str, Any]) -> dict[str, str] | None:
    """Where the ledger has the version; None if it does not know it."""
    ours = Ledger(settings.ledger_table)
    phase = ledger.phase(ours.story(request["promotion"]["model"], request["model_package_arn"]))
    stage, _, status = (phase or "").partition("/")
    return {"stage": stage, "stage_status": status} if phase else None
