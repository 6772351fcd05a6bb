"""RecordRegistration: from its registration on, a version has a manifest and a candidate id."""

from __future__ import annotations

from typing import Any

from governance.adapters import clock, manifests
from governance.adapters.directory import Directory
from governance.adapters.ledger import Writer
from governance.adapters.parts import Parts
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import approval_events, ledger
from governance.domain.identity import identity_of
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Store the manifest and append CandidateRegistered, once, however often the event comes.

    A version of a model that nobody provisioned is none of ours. One that is not complete is no
    candidate yet: what it lacks is said when somebody approves it.
    """
    registered = approval_events.registration(event, "record_registration")
    logger.append_keys(claim_id=registered["claim_id"])
    project = Directory(settings.project_directory_table).find(registered["model"])
    if project is None or project["accounts"]["dev"] != registered["account"]:
        return {"outcome": "ignored"}
    session = Sessions(settings, registered["claim_id"]).hub(registered["account"])
    description = Registry(session).describe(registered["model_package_arn"])
    built = manifests.build_if_complete(description, session, settings.evidence_bucket)
    if isinstance(built, str):
        return {"outcome": "incomplete", "reason": built}
    manifests.store(built, settings.evidence_bucket, settings.kms_key_arn)
    parts, _ = manifests.parts_of(built, session)
    Parts(settings.parts_table).hold({**registered, "candidate_id": built.candidate_id}, parts)
    request = {
        "promotion": registered,
        "stage": "Dev",
        "stage_status": "Registered",
        "candidate_id": built.candidate_id,
        "trainer": identity_of(description.get("CreatedBy")),
    }
    entry = ledger.entry("CandidateRegistered", request, recorded_at=clock.now())
    sequence = Writer(settings).append(entry)
    return {"outcome": "recorded", "entry_id": entry["entry_id"], "sequence": sequence}
