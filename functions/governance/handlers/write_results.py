"""WriteResults: what the tests found goes onto the version that was tested."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import reports
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import registration
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write stage, metadata and model card in one update, so nobody sees half a result.

    They say what the report says, since that is what they are compared with from now on.
    """
    request = contracts.request("write_results", event)
    arn, reference = request["promotion"]["model_package_arn"], request["report"]
    report = reports.read(reference)
    registry = Registry(Sessions(settings, claim_of(request)).registry())
    fields = registration.results_update(registry.describe(arn), report, reference)
    registry.update(arn, **fields)
    return {"model_package_arn": arn, "stage": "Test", "stage_status": report["status"]}
