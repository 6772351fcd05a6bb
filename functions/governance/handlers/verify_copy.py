"""VerifyCopy: every byte of the candidate is in Central now, as S3 itself says at both ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance import contracts
from governance.adapters import manifests, parallel
from governance.adapters.artifacts import Artifacts
from governance.adapters.candidates import Candidates
from governance.adapters.copies import Copies
from governance.adapters.receipts import Known, Receipts
from governance.adapters.sessions import Sessions
from governance.domain import copying, locations
from governance.domain.candidate import central_key
from governance.domain.errors import IntegrityError
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make objects of the uploaded parts, and compare what is in Central with the candidate.

    IntegrityError if anything differs, or if a source was replaced while it was copied: then Dev's
    version is not what was approved any more. What is registered already was copied before, under
    the key of that time.
    """
    request = contracts.request("verify_copy", event)
    promotion, candidate = request["promotion"], request["candidate"]
    model, candidate_id = promotion["model"], candidate["candidate_id"]
    origin = Artifacts(Sessions(settings, claim_of(request)).hub(promotion["account"]))
    evidence = Artifacts()
    transfers: list[dict[str, Any]] = []
    for location in candidate["objects"]:
        objects = list(evidence.expand(location))
        origin.require_present(location, objects)
        transfers += copying.transfers(model, candidate_id, location, objects)
    registered = Candidates(settings.candidates_table).find(candidate_id, model) is not None
    if not registered:
        Copies.of_candidate(settings, model, candidate_id).complete(transfers)
    central = Artifacts(kms_key="" if registered else settings.kms_key_arn)
    known = Receipts.of_candidate(settings, model, candidate_id).of(len(transfers))

    def arrived(source: Mapping[str, Any]) -> dict[str, Any]:
        key = central_key(model, candidate_id, source["role"], source["key"])
        return {"role": source["role"], **_arrived(source, key, model, central, known)}

    return {"objects": parallel.each(arrived, candidate["objects"])}


def _arrived(
    source: Mapping[str, Any], key: str, model: str, central: Artifacts, known: Known
) -> dict[str, Any]:
    """The location of what came of a source location; IntegrityError if it holds other bytes."""
    bucket = settings.artifacts_bucket
    if locations.is_prefix(source):
        objects = central.locate_under(bucket, key, known)
        body = locations.listing(objects)
        uri = manifests.listing_uri(settings.evidence_bucket, model, body)
        manifests.store_listing(uri, body, settings.kms_key_arn)
        found = locations.prefix_of(bucket, key, objects, uri)
    else:
        found = central.locate(bucket, key)
        if "part_sizes" in source:
            found["part_sizes"] = source["part_sizes"]
    if not locations.same_bytes(found, source):
        raise IntegrityError(
            f"s3://{bucket}/{key} has sha256 {found['sha256']} and {found['size']} bytes; "
            f"registered are {source['sha256']} and {source['size']}; what is in Central is not "
            "what was registered: register a new version"
        )
    return found
