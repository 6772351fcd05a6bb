"""Is a Central version still its candidate? What it is now against the promoted manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import boto3

from governance.adapters import manifests, parallel
from governance.adapters.artifacts import Artifacts
from governance.adapters.candidates import Candidates
from governance.domain import candidate, described, locations, parts, registration
from governance.domain.errors import InvalidInputError, NotFoundError


def differences(known: Mapping[str, Any], description: Mapping[str, Any]) -> list[dict[str, str]]:
    """How a Central version and its bytes of now differ from its candidate's manifest.

    `known` is the candidate's item, `description` the version (DescribeModelPackage); a difference
    is {name, expected, actual}. What counts is the present version of each object: an endpoint
    would load that one.
    """
    present = _present(known["objects"])
    manifest = manifests.read(known["manifest_uri"], known["candidate_id"])
    return [
        *registration.other_version(known, description["ModelPackageArn"]),
        *candidate.differences(manifest, description, present),
    ]


def differences_in_dev(
    known: Mapping[str, Any],
    description: Mapping[str, Any],
    session: boto3.Session,
    evidence_bucket: str,
) -> list[dict[str, str]]:
    """The same for the Dev version, whose bytes and images the session's role may read."""
    approved = manifests.read(known["manifest_uri"], known["candidate_id"])
    try:
        built = manifests.build(description, session, evidence_bucket)
    except (NotFoundError, InvalidInputError) as error:
        # What is no candidate at all any more is not the one that was approved.
        return [{"name": "candidate", "expected": known["candidate_id"], "actual": str(error)}]
    return candidate.differences(approved, description, built.objects, built.images)


def compare(
    decision: Mapping[str, Any], description: Mapping[str, Any], candidates: Candidates
) -> dict[str, Any]:
    """{candidate, trainer, differences} of the Central version that a decision is about.

    `description` is DescribeModelPackage's answer for it.
    `candidate` {candidate_id, manifest_uri, objects, origin_arn, described, parts} is the one that
    the version says it is, `trainer` an identity. NotFoundError for a version that names no
    candidate, or none that was registered.
    """
    candidate_id = registration.candidate_id_of(description)
    known = candidates.get(candidate_id, decision["model"])
    return {
        "candidate": {
            "candidate_id": candidate_id,
            "manifest_uri": known["manifest_uri"],
            "objects": known["objects"],
            "origin_arn": known["origin_arn"],
            "described": described.described(description),
            "parts": known.get("parts") or [f"{parts.CANDIDATE}{candidate_id}"],
        },
        "trainer": known["trainer"],
        "differences": differences(known, description),
    }


def compare_if_possible(
    decision: Mapping[str, Any], description: Mapping[str, Any], candidates: Candidates
) -> dict[str, Any]:
    """What `compare` returns, or {problem}: why the version cannot be compared with a candidate."""
    try:
        return compare(decision, description, candidates)
    except (NotFoundError, InvalidInputError) as error:
        return {"problem": str(error)}


def _present(kept: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The locations of a candidate's objects in Central as they are now, with role."""
    central = Artifacts()

    def located(one: Mapping[str, Any]) -> dict[str, Any]:
        bucket, key = one["bucket"], one["key"]
        try:
            if not locations.is_prefix(one):
                return central.locate(bucket, key)
            return locations.prefix_of(bucket, key, central.locate_under(bucket, key))
        except (NotFoundError, InvalidInputError) as error:
            # Deleted, or replaced by bytes that S3 has no digest of: both are not what was there.
            return {**one, "sha256": f"unknown: {error}"}

    found = parallel.each(located, kept)
    return [{"role": one["role"], **now} for one, now in zip(kept, found, strict=True)]
