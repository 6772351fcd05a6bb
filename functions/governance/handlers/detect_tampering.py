"""DetectTampering: a version was changed in more than its status; is it still what was approved?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.adapters import clock, comparison
from governance.adapters.candidates import Candidates
from governance.adapters.directory import Directory
from governance.adapters.ledger import Writer
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import approval_events, candidate, claims, ledger
from governance.domain.identity import identity_of
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Void the approvals of a version that is not its candidate any more, with before and after.

    Which candidate it was approved as is the ledger's word: the version's own metadata can be
    changed like everything else of it.
    """
    change = approval_events.change(event, "detect_tampering")
    logger.append_keys(claim_id=change["claim_id"])
    project = Directory(settings.project_directory_table).find(change["model"])
    in_dev = change["account"] != settings.registry_account_id
    if project is None or (in_dev and project["accounts"]["dev"] != change["account"]):
        return {"outcome": "ignored"}
    entries = Writer(settings)
    approved = _approved_candidate(entries, change, in_dev)
    known = approved and Candidates(settings.candidates_table).find(approved, change["model"])
    if not known:
        return {"outcome": "not approved"}
    arn = change["model_package_arn"]
    recorded = comparison.Recorded(entries, change["model"], arn)
    sessions = Sessions(settings, change["claim_id"])
    session = sessions.hub(change["account"]) if in_dev else sessions.registry()
    description = Registry(session).describe(arn)
    differences = (
        comparison.differences_in_dev(known, description, session, settings.evidence_bucket)
        if in_dev
        else [
            *comparison.differences(known, description),
            *recorded.differences(description, tested_next=True),
        ]
    )
    if not differences and not in_dev:
        # Put back within seconds, it was something else all the same: Prod may have loaded it.
        set_ = approval_events.specification_set(event)
        differences = comparison.differences_as_set(known, set_)
    if not differences:
        return {"outcome": "unchanged"}
    current = not claims.changed_since(change["decided_at"], description)
    request = {
        "promotion": change,
        "stage": change["stage"],
        "stage_status": (description.get("ModelLifeCycle") or {}).get("StageStatus", "Approved"),
        "candidate_id": known["candidate_id"],
        "differences": candidate.in_short(differences),
        # A later change has replaced who it was; CloudTrail still knows.
        "changed_by": identity_of(description.get("LastModifiedBy")) if current else None,
    }
    entry = ledger.entry("ApprovalsVoided", request, recorded_at=clock.now())
    sequence = entries.append(entry)
    return {"outcome": "recorded", "entry_id": entry["entry_id"], "sequence": sequence}


def _approved_candidate(entries: Writer, change: Mapping[str, Any], in_dev: bool) -> str | None:
    """The candidate that the version was promoted as, by the ledger; None if it never was."""
    where = "origin_arn" if in_dev else "model_package_arn"
    promoted = (
        entry["candidate_id"]
        for entry in entries.newest_first(change["model"], "CandidatePromoted")
        if entry[where] == change["model_package_arn"]
    )
    return next(promoted, None)
