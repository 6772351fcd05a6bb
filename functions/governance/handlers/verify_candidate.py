"""VerifyCandidate: is the Central version still the candidate that was promoted, byte for byte?"""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts, parse_uri
from governance.adapters.candidates import Candidates
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import candidate, claims, registration
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Compare the version and its objects as they are now with the manifest that was approved."""
    promotion = contracts.request("verify_candidate", event)["promotion"]
    arn = promotion["model_package_arn"]
    registry = Registry(Sessions(settings, claim_of(event)).registry())
    description = registry.describe(arn)
    candidate_id = registration.candidate_id_of(description)
    known = Candidates(settings.candidates_table).get(candidate_id, promotion["model"])
    artifacts = Artifacts()
    bucket, key = parse_uri(known["manifest_uri"])
    manifest = artifacts.read_json({"bucket": bucket, "key": key, "sha256": candidate_id})
    # The present versions, since that is what an endpoint would load from these places.
    present = [
        {"role": kept["role"], **artifacts.locate(kept["bucket"], kept["key"])}
        for kept in known["objects"]
    ]
    return {
        "candidate": {
            "candidate_id": candidate_id,
            "manifest_uri": known["manifest_uri"],
            "objects": known["objects"],
            "origin_arn": known["origin_arn"],
        },
        "differences": [
            *claims.changed_since(promotion["decided_at"], description),
            *registration.other_version(known, arn),
            *candidate.differences(manifest, description, present),
        ],
    }
