"""AggregateResults: one answer out of all suites, and the whole story as evidence."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts, uri_of
from governance.domain import registration, report_pages, suites
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Passed only if the endpoint served and every planned suite passed; the report by digest."""
    request = contracts.request("aggregate_results", event)
    outcome = suites.aggregate(request["results"], request["deployment_outcome"], request["plan"])
    report = registration.test_report(request, outcome)
    place = f"reports/{report['model']}/{report['candidate_id']}"
    page = _store(f"{place}/{{}}.html", report_pages.page(report).encode(), "text/html")
    body = json.dumps({**report, "page": page}, indent=2, sort_keys=True).encode()
    return {**outcome, "report": _store(f"{place}/{{}}.json", body, "application/json")}


def _store(key: str, body: bytes, content_type: str) -> dict[str, str]:
    """{uri, version_id, sha256} of the document, under its digest."""
    stored = Artifacts().store(
        settings.evidence_bucket,
        key.format(hashlib.sha256(body).hexdigest()),
        body,
        settings.kms_key_arn,
        content_type,
    )
    return {
        "uri": uri_of(stored),
        "version_id": stored["version_id"],
        "sha256": stored["sha256"],
    }
