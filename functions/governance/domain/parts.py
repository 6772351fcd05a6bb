"""Parts: what a candidate is made of, by names under which it can be found and recalled.

A part is one text: "candidate:<id>", "model-data:<sha256>", "dataset-version:<version id>",
"dataset:<sha256>", "image:sha256:<digest>", "library:<name>==<version>". The names of libraries are
normalised as Python's package index does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

CANDIDATE, MODEL_DATA = "candidate:", "model-data:"
DATASET, DATASET_VERSION = "dataset:", "dataset-version:"
IMAGE, LIBRARY = "image:", "library:"
LIBRARIES = "libraries"  # the role of the document that lists them
# What a recall leaves in the registry: what was recalled, and the digest of what it concerned.
RECALL_OF, BLAST_RADIUS = "recall-of", "recall-blast-radius"

_SEPARATORS = re.compile(r"[-_.]+")


def of(manifest: Mapping[str, Any], candidate_id: str, libraries: Mapping[str, str]) -> list[str]:
    """Every part of the candidate with that manifest; `libraries` {name: version}."""
    data = manifest["training_data"]
    found = {
        f"{CANDIDATE}{candidate_id}",
        *(f"{MODEL_DATA}{a['sha256']}" for a in manifest["artifacts"] if _is_model_data(a)),
        *(f"{DATASET}{one['sha256']}" for one in data if one.get("sha256")),
        *(f"{DATASET_VERSION}{one['version_id']}" for one in data if one.get("version_id")),
        *(f"{IMAGE}{digest}" for digest in _digests(manifest)),
        *(library(name, version) for name, version in libraries.items()),
    }
    return sorted(found)


def library(name: str, version: str | None = None) -> str:
    """The part of that library; without a version the name under which all versions are found."""
    known = f"{LIBRARY}{_SEPARATORS.sub('-', name.strip()).lower()}"
    return f"{known}=={version.strip()}" if version else known


def names(part: str) -> list[str]:
    """The names under which a part is found: its own, and of a library also that of any version."""
    known, exact, _ = part.partition("==")
    return [part, known] if exact and part.startswith(LIBRARY) else [part]


def marked(recall_of: str | None, of_candidate: Sequence[str]) -> list[str]:
    """The parts that a recall of a version closes for every other version, present or to come.

    `recall_of` is the part that was named, None if the version itself was: then its bytes are bad
    wherever they are registered. A named part may not be one of the candidate's: whoever set it by
    hand was mistaken, and the version alone is closed. Data that is bad as one object is bad as
    every object with these bytes.
    """
    own = [part for part in of_candidate if part.startswith(CANDIDATE)]
    if recall_of is None:
        return [*own, *(part for part in of_candidate if part.startswith(MODEL_DATA))]
    if recall_of not in of_candidate:
        return own
    data = (DATASET, DATASET_VERSION)
    if recall_of.startswith(data):
        return [*own, *(part for part in of_candidate if part.startswith(data))]
    return [*own, recall_of]


def recall_of(metadata: Mapping[str, Any]) -> dict[str, str] | None:
    """{of, blast_radius} as `govern recall` leaves it in a version's metadata; None if it did not.

    A recall of the version itself has no `of`.
    """
    found = {
        "of": str(metadata.get(RECALL_OF) or ""),
        "blast_radius": str(metadata.get(BLAST_RADIUS) or ""),
    }
    return {key: value for key, value in found.items() if value} or None


def _is_model_data(artifact: Mapping[str, Any]) -> bool:
    return str(artifact["role"]).rpartition("/")[2].startswith("model-data")


def _digests(manifest: Mapping[str, Any]) -> Iterable[str]:
    """The digests of the images: those that were looked up, and those that a container pins."""
    yield from (str(image["digest"]) for image in manifest.get("images") or ())
    for container in (manifest.get("inference_specification") or {}).get("Containers") or ():
        if container.get("ImageDigest"):
            yield str(container["ImageDigest"])
