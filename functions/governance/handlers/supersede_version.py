"""SupersedeVersion: the version that was served before is no longer the deployed one."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.ledger import Ledger
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import ledger, phases
from governance.entry import claim_of, entry_point
from governance.settings import Settings

SUPERSEDED = "Prod/Superseded"

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Set Prod / Superseded on the last version that the ledger says was released before."""
    request = contracts.request("supersede_version", event)
    promotion = request["promotion"]
    ours = Ledger(settings.ledger_table)
    newest = [next(ours.newest_first(promotion["model"], kind), None) for kind in ledger.GOOD]
    previous = ledger.serving([entry for entry in newest if entry])
    if previous in {None, promotion["model_package_arn"]}:
        return {"superseded": None}
    registry = Registry(Sessions(settings, claim_of(request)).registry())
    life_cycle = registry.describe(previous).get("ModelLifeCycle", {})
    present = f"{life_cycle.get('Stage')}/{life_cycle.get('StageStatus')}"
    # Recalled, retired or sent to another stage since: that says more than Superseded would.
    if phases.may_follow(present, SUPERSEDED):
        stage, _, status = SUPERSEDED.partition("/")
        description = f"Superseded by {promotion['model_package_arn']}"
        registry.set_stage(previous, stage, status, description)
    return {"superseded": previous}
