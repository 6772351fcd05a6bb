"""WriteResults: what the tests found goes onto the version that was tested."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import registration
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write stage, metadata and model card in one update, so nobody sees half a result."""
    request = contracts.request("write_results", event)
    arn = request["promotion"]["model_package_arn"]
    registry = Registry(Sessions(settings, claim_of(request)).registry())
    fields = registration.results_update(
        registry.describe(arn),
        candidate_id=request["candidate_id"],
        status=request["status"],
        summary=request["summary"],
        report=request.get("report"),
        reasons=request.get("reasons", []),
    )
    registry.update(arn, **fields)
    return {"model_package_arn": arn, "stage": "Test", "stage_status": request["status"]}
