"""Is a Central version still its candidate? What it is now against the promoted manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import boto3

from governance.adapters import manifests, parallel, reports
from governance.adapters.artifacts import Artifacts
from governance.adapters.candidates import Candidates
from governance.adapters.ledger import Ledger
from governance.adapters.registry import Registry
from governance.domain import candidate, described, locations, our_evaluation, parts, registration
from governance.domain.errors import InvalidInputError, NotFoundError, TransientError


class Recorded:
    """What the ledger says of a Central version and its tests, asked before the version is read.

    What the version says of its tests is written between two entries of the ledger. So a difference
    is one only if the ledger says the same before and after the version was read: our own writing
    is nobody's tampering.
    """

    def __init__(self, ledger: Ledger, model: str, model_package_arn: str) -> None:
        self._ledger, self._model, self._arn = ledger, model, model_package_arn
        self._told = self._ask()

    def candidate_id(self) -> str:
        """The candidate that it was promoted as; NotFoundError if no promotion was recorded."""
        return self._ledger.promoted_as(self._model, self._arn)

    def differences(
        self, description: Mapping[str, Any], *, tested_next: bool
    ) -> list[dict[str, str]]:
        """How the version says something else of its tests than the report that the ledger names.

        `tested_next` as domain/our_evaluation.py says. TransientError if tests began or ended
        meanwhile, IntegrityError if the report is not the one that the ledger names.
        """
        told = self._told
        if not told.binds(tested_next=tested_next):
            return []
        report = reports.read(told.report) if told.report else None
        found = our_evaluation.differences(description, report, told.report)
        if found and self._ask() != told:
            raise TransientError(
                f"tests of {self._arn} began or ended while it was read; it is to be read again"
            )
        return found

    def _ask(self) -> our_evaluation.Told:
        return our_evaluation.told(self._ledger.story(self._model, self._arn))


def differences(known: Mapping[str, Any], description: Mapping[str, Any]) -> list[dict[str, str]]:
    """How a Central version and its bytes of now differ from its candidate's manifest.

    `known` is the candidate's item, `description` the version (DescribeModelPackage); a difference
    is {name, expected, actual}. What counts is the present version of each object: an endpoint
    would load that one.
    """
    present = _present(known["objects"])
    manifest = manifests.read(known["manifest_uri"], known["candidate_id"])
    found = registration.other_version(known, description)
    try:
        return [*found, *candidate.differences(manifest, description, present)]
    except InvalidInputError as error:
        # What is no candidate at all any more, such as a card that is not JSON, is not that one.
        expected = known["candidate_id"]
        return [*found, {"name": "candidate", "expected": expected, "actual": str(error)}]


def differences_in_registry(known: Mapping[str, Any], registry: Registry) -> list[dict[str, str]]:
    """The same by what the registry says alone, with the objects as they were registered."""
    try:
        description = registry.describe(known["central_arn"])
    except NotFoundError:
        arn = known["central_arn"]
        return [{"name": "version of the candidate", "expected": arn, "actual": "not there"}]
    manifest = manifests.read(known["manifest_uri"], known["candidate_id"])
    return [
        *registration.other_version(known, description),
        *candidate.differences(manifest, description, known["objects"]),
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


def differences_as_set(
    known: Mapping[str, Any], specification: Mapping[str, Any] | None
) -> list[dict[str, str]]:
    """How the inference specification that an event tells of differs; none if it tells of none."""
    if specification is None:
        return []
    manifest = manifests.read(known["manifest_uri"], known["candidate_id"])
    return candidate.differences_as_set(manifest, specification, known["objects"])


def compare(
    decision: Mapping[str, Any],
    description: Mapping[str, Any],
    candidates: Candidates,
    recorded: Recorded,
) -> dict[str, Any]:
    """{candidate, trainer, differences} of the Central version that a decision is about.

    `description` is DescribeModelPackage's answer for it, read after `recorded` was asked for.
    `candidate` {candidate_id, manifest_uri, objects, origin_arn, described, parts} is the one that
    it was promoted as by the ledger, since its metadata can be edited; `trainer` an identity.
    NotFoundError for a version of which no promotion was recorded.
    """
    candidate_id = recorded.candidate_id()
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
        "differences": candidate.in_short(
            [
                *differences(known, description),
                *recorded.differences(description, tested_next=decision["stage"] == "Test"),
            ]
        ),
    }


def compare_if_possible(
    decision: Mapping[str, Any],
    description: Mapping[str, Any],
    candidates: Candidates,
    recorded: Recorded,
) -> dict[str, Any]:
    """What `compare` returns, or {problem}: why the version cannot be compared with a candidate."""
    try:
        return compare(decision, description, candidates, recorded)
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
