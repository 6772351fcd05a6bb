"""Deployment definitions as AI Engineers published them: by digest, in the evidence bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts, parse_uri, uri_of
from governance.domain import definitions
from governance.domain.errors import IntegrityError, InvalidInputError, NotFoundError


def read(reference: Mapping[str, str], artifacts: Artifacts | None = None) -> dict[str, Any]:
    """The definition that {digest, uri} stands for.

    IntegrityError if the object has another digest, NotFoundError if nobody published it,
    InvalidInputError if it is no definition.
    """
    return contracts.deployment_definition(_document(reference, artifacts))


def look(
    reference: Mapping[str, str], tier: Mapping[str, Any], artifacts: Artifacts | None = None
) -> dict[str, Any]:
    """{digest, uri, problems}: what a gate sees of it; not there and not valid are problems too."""
    try:
        said = objections(_document(reference, artifacts), tier)
    except (InvalidInputError, IntegrityError, NotFoundError) as error:
        said = [str(error)]
    return {"digest": reference["digest"], "uri": reference["uri"], "problems": said}


def objections(document: Any, tier: Mapping[str, Any]) -> list[str]:
    """What a gate of that tier objects to in a document that was published as a definition."""
    try:
        definition = contracts.deployment_definition(document)
    except InvalidInputError as error:
        return [str(error)]
    return [definitions.describe(problem) for problem in definitions.problems(definition, tier)]


def _document(reference: Mapping[str, str], artifacts: Artifacts | None) -> Any:
    bucket, key = parse_uri(reference["uri"])
    return (artifacts or Artifacts()).read_json(
        {"bucket": bucket, "key": key, "sha256": reference["digest"]}
    )


def store(
    artifacts: Artifacts, bucket: str, model: str, definition: Mapping[str, Any], kms_key: str
) -> dict[str, str]:
    """Publish a definition for a model; its reference. What is there already stays as it is."""
    digest = definitions.digest(definition)
    location = artifacts.store_once(
        bucket, definitions.key(model, digest), definitions.canonical(definition), kms_key
    )
    return {"digest": digest, "uri": uri_of(location)}
