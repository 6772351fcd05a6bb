"""The candidate that a version of the Dev registry is now: its objects located, its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from governance.adapters.artifacts import Artifacts, parse_uri, uri_of
from governance.domain import candidate
from governance.domain.errors import IntegrityError, InvalidInputError, NotFoundError


@dataclass(frozen=True, slots=True)
class Built:
    """What a version refers to, where that is, and the manifest and candidate id of it."""

    references: list[dict[str, str]]
    objects: list[dict[str, Any]]
    manifest: dict[str, Any]
    candidate_id: str


def build(description: Mapping[str, Any], origin: Artifacts) -> Built:
    """The candidate of a version (DescribeModelPackage) whose objects `origin` may read.

    InvalidInputError if the version is not complete, NotFoundError or IntegrityError if an object
    is not there or is not what was registered.
    """
    references = candidate.references(description)
    objects = [
        {"role": found["role"]}
        | origin.locate(*parse_uri(found["uri"]), found["version_id"] or None, found["sha256"])
        for found in references
    ]
    manifest = candidate.manifest(description, objects)
    return Built(references, objects, manifest, candidate.candidate_id(manifest))


def build_if_complete(description: Mapping[str, Any], origin: Artifacts) -> Built | str:
    """The same, or why the version is no candidate; what may pass by itself is raised still."""
    try:
        return build(description, origin)
    except (InvalidInputError, NotFoundError, IntegrityError) as error:
        return str(error)


def store(built: Built, bucket: str, kms_key_arn: str) -> str:
    """Keep the manifest as evidence, under its digest; its URI."""
    key = f"manifests/{built.manifest['model']}/{built.candidate_id}.json"
    body = candidate.canonical(built.manifest)
    return uri_of(Artifacts().store(bucket, key, body, kms_key_arn))


def read(uri: str, candidate_id: str) -> dict[str, Any]:
    """The manifest of a candidate; IntegrityError if its digest is not the candidate id."""
    bucket, key = parse_uri(uri)
    manifest: dict[str, Any] = Artifacts().read_json(
        {"bucket": bucket, "key": key, "sha256": candidate_id}
    )
    return manifest
