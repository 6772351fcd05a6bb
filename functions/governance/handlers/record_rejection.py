"""RecordRejection: a person said no; no workflow starts, and still it is a ledger entry."""

from __future__ import annotations

from typing import Any

from governance.adapters import clock
from governance.adapters.directory import Directory
from governance.adapters.ledger import Writer
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import approval_events, claims, ledger
from governance.domain.identity import identity_of
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Append VersionRejected with who it was and why, once, however often the event comes.

    What the hub itself rejected is recorded by the workflow that did it, and ignored here.
    """
    decision = approval_events.rejection(event, "record_rejection")
    logger.append_keys(claim_id=decision["claim_id"])
    project = Directory(settings.project_directory_table).project_of(decision["model"])
    approval_events.check_account(decision, project, settings.registry_account_id)
    sessions = Sessions(settings, decision["claim_id"])
    in_dev = decision["stage"] == "Dev"
    session = sessions.hub(decision["account"]) if in_dev else sessions.registry()
    description = Registry(session).describe(decision["model_package_arn"])
    current = not claims.changed_since(decision["decided_at"], description)
    # A later change has replaced who it was.
    by = identity_of(description.get("LastModifiedBy")) if current else None
    reason = approval_events.reason_of(event)
    ours = Writer(settings)
    said = {
        entry.get("verdict", {}).get("description")
        for entry in ours.story(decision["model"], decision["model_package_arn"])
    }
    if approval_events.is_the_hubs(by, reason, settings.registry_role_name, said):
        return {"outcome": "ignored"}
    request = {
        "promotion": decision,
        "stage": decision["stage"],
        "stage_status": "Rejected",
        "approver": by,
        "summary": {"reasons": [f"{by['person'] if by else 'a person'}: {reason}"]},
    }
    entry = ledger.entry("VersionRejected", request, recorded_at=clock.now())
    sequence = ours.append(entry)
    return {"outcome": "recorded", "entry_id": entry["entry_id"], "sequence": sequence}
