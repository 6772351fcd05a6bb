"""CopyArtifact: bring one object of an approved candidate to Central, byte for byte."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts
from governance.domain import clearance
from governance.domain.candidate import central_key
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Copy the exact version that the candidate names; what is there already stays."""
    request = contracts.request("copy_artifact", event)
    model, candidate_id = request["promotion"]["model"], request["candidate_id"]
    source = request["object"]
    arrived = Artifacts().copy(
        source,
        bucket=settings.artifacts_bucket,
        key=central_key(model, candidate_id, source["role"], source["key"]),
        kms_key=settings.kms_key_arn,
        tags=clearance.tags(model, candidate_id, {}),
    )
    return {"object": {"role": source["role"], **arrived}}
