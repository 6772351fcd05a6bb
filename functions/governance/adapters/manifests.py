"""The candidate that a version of the Dev registry is now: its objects located, its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3

from governance import contracts
from governance.adapters import parallel
from governance.adapters.artifacts import (
    LARGEST_LISTING,
    Artifacts,
    parse_any_uri,
    parse_uri,
    uri_of,
)
from governance.adapters.images import Images
from governance.domain import candidate, locations, parts
from governance.domain import images as container_images
from governance.domain.errors import IntegrityError, InvalidInputError, NotFoundError

Mismatch = dict[str, str]


@dataclass(frozen=True, slots=True)
class Built:
    """What a version refers to, where that is, and the manifest and candidate id of it."""

    references: list[dict[str, str]]
    objects: list[dict[str, Any]]
    manifest: dict[str, Any]
    candidate_id: str
    images: list[dict[str, str]] = field(default_factory=list)
    listings: dict[str, bytes] = field(default_factory=dict)


def build(
    description: Mapping[str, Any],
    session: boto3.Session,
    evidence_bucket: str,
    before: Mapping[str, Any] | None = None,
) -> Built:
    """The candidate of a version (DescribeModelPackage) whose bytes the session's role may read.

    InvalidInputError if the version is not complete, NotFoundError or IntegrityError if an object
    or an image is not there or is not what was registered. The evidence bucket is where `store`
    will keep what the objects of a prefix are. `before` is an earlier manifest of the version: a
    version of an object never changes, so what is under a prefix in the same one is not looked at.
    """
    references, origin = candidate.references(description), Artifacts(session)
    listings: dict[str, bytes] = {}

    def located(found: Mapping[str, str]) -> dict[str, Any]:
        bucket, key = parse_any_uri(found["uri"])
        if not key.endswith("/"):
            one = origin.locate(bucket, key, found["version_id"] or None, found["sha256"])
            return _with_parts(one, origin)
        objects = origin.locate_under(bucket, key, _known(found["uri"], before))
        body = locations.listing(_with_parts(one, origin) for one in objects)
        uri = listing_uri(evidence_bucket, description["ModelPackageGroupName"], body)
        listings[uri] = body
        return locations.prefix_of(bucket, key, objects, uri)

    def selected(manifest_: Mapping[str, Any]) -> dict[str, Any]:
        uris = locations.selected(origin.read(manifest_, LARGEST_LISTING), uri_of(manifest_))
        objects = [_with_parts(one, origin) for one in origin.locate_each(map(parse_uri, uris))]
        body = locations.listing(objects)
        uri = listing_uri(evidence_bucket, description["ModelPackageGroupName"], body)
        listings[uri] = body
        return locations.selection_of(manifest_, objects, uri)

    objects = [
        {"role": found["role"], **location}
        for found, location in zip(references, parallel.each(located, references), strict=True)
    ]
    objects += [
        {"role": role, **selected(one)}
        for one in list(objects)
        if (role := candidate.selected_role(one["role"]))
    ]
    images = _looked_up(description, Images(session))
    manifest = candidate.manifest(description, objects, images)
    return Built(references, objects, manifest, candidate.candidate_id(manifest), images, listings)


def build_if_complete(
    description: Mapping[str, Any], session: boto3.Session, evidence_bucket: str
) -> Built | str:
    """The same, or why the version is no candidate; what may pass by itself is raised still."""
    try:
        return build(description, session, evidence_bucket)
    except (InvalidInputError, NotFoundError, IntegrityError) as error:
        return str(error)


def parts_of(built: Built, session: boto3.Session) -> tuple[list[str], list[str]]:
    """(the candidate's parts, what is wrong with its list of libraries).

    A version without such a list cannot be found by a library, and one whose list is no list names
    none.
    """
    origin = Artifacts(session)
    listed = next((one for one in built.objects if one["role"] == parts.LIBRARIES), None)
    libraries, problems = contracts.libraries(origin.read(listed)) if listed else ({}, [])
    return parts.of(built.manifest, built.candidate_id, libraries), problems


def replaced(
    built: Built, session: boto3.Session, before: Mapping[str, Any] | None
) -> list[Mismatch]:
    """What of the version's objects was replaced since the registration, before any is copied.

    `before` is the manifest that the registration was recorded with, None if it was not. A declared
    version of an object is still there when another has taken its place, so the present one is
    asked for; of everything else the present one is the candidate's.
    """
    origin = Artifacts(session)
    pinned = [reference["role"] for reference in built.references if reference["version_id"]]
    objects = [one for one in built.objects if one["role"] in pinned]
    present = parallel.each(lambda one: origin.present_version(one["bucket"], one["key"]), objects)
    return [
        *candidate.superseded(zip(objects, present, strict=True)),
        *candidate.replaced(built.objects, before),
    ]


def store(built: Built, bucket: str, kms_key_arn: str) -> str:
    """Keep the manifest as evidence, under its digest, with the listings it names; its URI."""
    for uri, body in built.listings.items():
        store_listing(uri, body, kms_key_arn)
    _, key = parse_uri(manifest_uri(bucket, built.manifest["model"], built.candidate_id))
    body = candidate.canonical(built.manifest)
    return uri_of(Artifacts().store(bucket, key, body, kms_key_arn))


def manifest_uri(bucket: str, model: str, candidate_id: str) -> str:
    """Where in the evidence bucket the manifest of a candidate is."""
    return f"s3://{bucket}/manifests/{model}/{candidate_id}.json"


def listing_uri(bucket: str, model: str, body: bytes) -> str:
    """Where in the evidence bucket a listing with these bytes is: under its own digest."""
    return f"s3://{bucket}/listings/{model}/{hashlib.sha256(body).hexdigest()}.jsonl"


def store_listing(uri: str, body: bytes, kms_key_arn: str) -> None:
    """Keep as evidence which objects are under a prefix."""
    bucket, key = parse_uri(uri)
    Artifacts().store(bucket, key, body, kms_key_arn, content_type="application/jsonl")


def _looked_up(description: Mapping[str, Any], registries: Images) -> list[dict[str, str]]:
    """{uri, digest} of the version's images: what a tag means now, and that a digest is there."""
    named = container_images.named_by(description)
    found = [(uri, container_images.parse(uri, digest)) for uri, digest in named.items()]
    return [
        {"uri": uri, "digest": registries.manifest(image).digest} for uri, image in found if image
    ]


def _known(
    uri: str, manifest: Mapping[str, Any] | None
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """{(key, version id): location} of what a manifest says is under the prefix with that URI."""
    return {
        (one["key"], one["version_id"]): one
        for artifact in (manifest or {}).get("artifacts", ())
        if locations.is_prefix(artifact) and uri_of(artifact) == uri
        for one in Artifacts().expand(artifact)
    }


def _with_parts(location: dict[str, Any], origin: Artifacts) -> dict[str, Any]:
    if not locations.is_in_parts(location) or "part_sizes" in location:
        return location
    return {**location, "part_sizes": origin.part_sizes(location)}


def read(uri: str, candidate_id: str) -> dict[str, Any]:
    """The manifest of a candidate; IntegrityError if its digest is not the candidate id."""
    bucket, key = parse_uri(uri)
    manifest: dict[str, Any] = Artifacts().read_json(
        {"bucket": bucket, "key": key, "sha256": candidate_id}
    )
    return manifest
