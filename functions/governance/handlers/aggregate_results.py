"""AggregateResults: one answer out of all suites, and the whole story as evidence."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts, uri_of
from governance.domain import registration, suites
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Passed only if the endpoint served and every planned suite passed; the report by digest."""
    request = contracts.request("aggregate_results", event)
    outcome = suites.aggregate(request["results"], request["deployment_outcome"], request["plan"])
    body = json.dumps(registration.test_report(request, outcome), indent=2, sort_keys=True).encode()
    digest = hashlib.sha256(body).hexdigest()
    model, candidate_id = request["promotion"]["model"], request["candidate"]["candidate_id"]
    stored = Artifacts().store(
        settings.evidence_bucket,
        f"reports/{model}/{candidate_id}/{digest}.json",
        body,
        settings.kms_key_arn,
    )
    return {
        **outcome,
        "report": {
            "uri": uri_of(stored),
            "version_id": stored["version_id"],
            "sha256": stored["sha256"],
        },
    }
