"""The champion: what serves Prod now, and what it said of the holdout when it was tested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.adapters import reports
from governance.adapters.ledger import Ledger
from governance.domain import briefs
from governance.domain.ledger import SERVES


def find(
    ledger: Ledger,
    *,
    model: str,
    endpoint_name: str,
    model_package_arn: str,
    holdout_sha256: str,
) -> tuple[dict[str, Any] | None, str]:
    """(champion, why there is none to compare with); one of the two is empty.

    The champion {model_package_arn, candidate_id, shards} has recorded predictions of the same
    holdout. IntegrityError if its report is not the one that the ledger names.
    """
    served = (entry for kind in SERVES for entry in ledger.newest_first(model, kind))
    releases = sorted(served, key=lambda entry: int(entry["sequence"]))
    release = briefs.opponent(releases, endpoint_name, model_package_arn)
    if release is None:
        return None, f"nothing has served {endpoint_name} yet"
    arn, candidate_id = release["model_package_arn"], release["candidate_id"]
    report = _report(ledger, model, arn, candidate_id)
    kept = (report or {}).get("predictions")
    if not kept:
        return None, f"the tests of {arn} kept no predictions of single rows"
    if kept["holdout"]["sha256"] != holdout_sha256:
        return None, f"{arn} was tested on another holdout ({kept['holdout']['sha256'][:12]})"
    champion = {
        "model_package_arn": arn,
        "candidate_id": candidate_id,
        "shards": kept["shards"],
    }
    return champion, ""


def _report(ledger: Ledger, model: str, arn: str, candidate_id: str) -> Mapping[str, Any] | None:
    """The report of the last validation that the version passed."""
    passed = (
        entry
        for entry in ledger.story(model, arn)
        if entry["kind"] == "ValidationPassed" and entry.get("candidate_id") == candidate_id
    )
    named = (next(passed, None) or {}).get("report")
    return reports.read(named) if named else None
