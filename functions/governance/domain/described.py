"""What a version says about itself, beside its bytes: model card, training data, image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from governance.domain.candidate import canonical_card, training_data
from governance.domain.errors import InvalidInputError
from governance.domain.images import containers_of


def described(
    description: Mapping[str, Any], images: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """{card_sections, dataset_version, image {uri, digest}, further_images} of a version.

    `description` is DescribeModelPackage's answer, `images` [{uri, digest}] what its tags mean.
    `dataset_version` is None unless URI, version and digest of the training data are all known.
    `image` is the first container's, `further_images` what other containers name besides.
    """
    looked_up = {image["uri"]: image["digest"] for image in images}
    named: list[dict[str, Any]] = []
    for container in containers_of(description):
        uri = container.get("Image")
        image = {"uri": uri, "digest": container.get("ImageDigest") or looked_up.get(str(uri))}
        if image not in named:
            named.append(image)
    return {
        "card_sections": card_sections(description),
        "dataset_version": _dataset(training_data(description)),
        "image": named[0],
        "further_images": named[1:],
    }


def card_sections(description: Mapping[str, Any]) -> list[str]:
    """The sections of the model card in which its authors say something, sorted.

    [] without a card, or of one that cannot be read: that is a difference from the candidate.
    """
    try:
        theirs = json.loads(canonical_card(description) or b"{}")
    except InvalidInputError:
        return []
    return sorted(section for section, said in theirs.items() if _says_something(said))


def _says_something(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_says_something(entry) for entry in value.values())
    if isinstance(value, list):
        return any(_says_something(entry) for entry in value)
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _dataset(sets: Sequence[Mapping[str, Any]]) -> str | None:
    if not all(data.get(key) for data in sets for key in ("uri", "version_id", "sha256")):
        return None
    return ", ".join(f"{data['uri']} version {data['version_id']}" for data in sets)
