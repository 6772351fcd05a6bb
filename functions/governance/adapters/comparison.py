"""Is a Central version still its candidate? What it is now against the promoted manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.adapters.artifacts import Artifacts, parse_uri
from governance.adapters.candidates import Candidates
from governance.domain import candidate, described, registration
from governance.domain.errors import InvalidInputError, NotFoundError


def compare(
    decision: Mapping[str, Any],
    description: Mapping[str, Any],
    candidates: Candidates,
    artifacts: Artifacts,
) -> dict[str, Any]:
    """{candidate, trainer, differences} of the Central version that a decision is about.

    `description` is DescribeModelPackage's answer for it.
    `candidate` {candidate_id, manifest_uri, objects, origin_arn, described} is the one that the
    version says it is, `trainer` an identity, `differences` [{name, expected, actual}] between that
    candidate and the version and its objects as they are now. NotFoundError for a version
    that names no candidate, or none that was registered.
    """
    candidate_id = registration.candidate_id_of(description)
    known = candidates.get(candidate_id, decision["model"])
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
            "described": described.described(description, manifest),
        },
        "trainer": known["trainer"],
        "differences": [
            *registration.other_version(known, decision["model_package_arn"]),
            *candidate.differences(manifest, description, present),
        ],
    }


def compare_if_possible(
    decision: Mapping[str, Any],
    description: Mapping[str, Any],
    candidates: Candidates,
    artifacts: Artifacts,
) -> dict[str, Any]:
    """What `compare` returns, or {problem}: why the version cannot be compared with a candidate."""
    try:
        return compare(decision, description, candidates, artifacts)
    except (NotFoundError, InvalidInputError) as error:
        return {"problem": str(error)}
