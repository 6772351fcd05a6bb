"""What a version says about itself, beside its bytes: model card, training data, image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from governance.domain.candidate import OUR_EVALUATION


def described(description: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """{card_sections, dataset_version, image {uri, digest}} of a version.

    `description` is DescribeModelPackage's answer, `manifest` the candidate's. `dataset_version`
    is None unless URI, version and digest of the training data are all known.
    """
    return {
        "card_sections": card_sections(description),
        "dataset_version": _dataset(manifest),
        "image": _image(manifest),
    }


def card_sections(description: Mapping[str, Any]) -> list[str]:
    """The sections of the model card in which its authors say something, sorted.

    [] without a card. That the card is JSON was established when its digest was taken.
    """
    content = (description.get("ModelCard") or {}).get("ModelCardContent")
    card = json.loads(content) if content else {}
    details = card.get("evaluation_details") or []
    theirs = {
        **card,
        "evaluation_details": [
            entry for entry in details if not str(entry.get("name", "")).startswith(OUR_EVALUATION)
        ],
    }
    return sorted(section for section, said in theirs.items() if _says_something(said))


def _says_something(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_says_something(entry) for entry in value.values())
    if isinstance(value, list):
        return any(_says_something(entry) for entry in value)
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _image(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """That a candidate has one container was established when its manifest was made."""
    containers = (manifest.get("inference_specification") or {}).get("Containers") or [{}]
    return {"uri": containers[0].get("Image"), "digest": containers[0].get("ImageDigest")}


def _dataset(manifest: Mapping[str, Any]) -> str | None:
    sets = manifest.get("training_data") or []
    known = [all(data.get(key) for key in ("uri", "version_id", "sha256")) for data in sets]
    if not sets or not all(known):
        return None
    return ", ".join(f"{data['uri']} version {data['version_id']}" for data in sets)
