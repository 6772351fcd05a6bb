"""Parts: under which names a candidate is found, and what a recall of it closes."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import candidate, parts
from tests.contracts import samples

IMAGE = {"uri": samples.IMAGE, "digest": samples.IMAGE_DIGEST}
LIBRARIES = {"numpy": "2.4.6", "Scikit_Learn": "1.9.1"}


@pytest.fixture
def made_of() -> list[str]:
    manifest = candidate.manifest(samples.description(), samples.origin_objects(), [IMAGE])
    return parts.of(manifest, samples.CANDIDATE, LIBRARIES)


def test_everything_that_can_be_recalled_is_a_part(made_of: list[str]) -> None:
    assert made_of == [
        f"candidate:{samples.CANDIDATE}",
        f"dataset-version:{_metadata()['dataset-version-id']}",
        f"dataset:{_metadata()['dataset-sha256']}",
        f"image:{samples.IMAGE_DIGEST}",
        "library:numpy==2.4.6",
        "library:scikit-learn==1.9.1",
        f"model-data:{samples.digest('model.tar.gz')}",
    ]


def _metadata() -> dict[str, Any]:
    found: dict[str, Any] = samples.description()["CustomerMetadataProperties"]
    return found


def test_what_the_registration_does_not_say_is_no_part() -> None:
    description = samples.description()
    for key in ("dataset-version-id", "dataset-sha256"):
        del description["CustomerMetadataProperties"][key]
    del description["InferenceSpecification"]["Containers"][0]["ImageDigest"]
    manifest = candidate.manifest(description, samples.origin_objects())
    found = parts.of(manifest, samples.CANDIDATE, {})
    assert [part.partition(":")[0] for part in found] == ["candidate", "model-data"]


@pytest.mark.parametrize("role", ["model-data", "model-data-2", "specification/gpu/model-data"])
def test_model_data_of_every_container_is_a_part(role: str) -> None:
    manifest = candidate.manifest(samples.description(), samples.origin_objects())
    manifest["artifacts"].append({"role": role, "sha256": "a" * 64, "key": "k"})
    assert f"model-data:{'a' * 64}" in parts.of(manifest, samples.CANDIDATE, {})


@pytest.mark.parametrize("name", ["scikit-learn", "Scikit_Learn", "scikit.learn", " scikit--learn"])
def test_a_library_has_one_name_however_it_is_spelled(name: str) -> None:
    assert parts.library(name, "1.9.1") == "library:scikit-learn==1.9.1"
    assert parts.names(parts.library(name, "1.9.1")) == [
        "library:scikit-learn==1.9.1",
        "library:scikit-learn",
    ]
    assert parts.names(parts.library(name)) == ["library:scikit-learn"]


def test_what_is_no_library_is_found_by_its_own_name_alone() -> None:
    assert parts.names("dataset-version:a==b") == ["dataset-version:a==b"]


def test_the_bytes_of_a_version_that_is_recalled_itself_are_closed(made_of: list[str]) -> None:
    assert parts.marked(None, made_of) == [
        f"candidate:{samples.CANDIDATE}",
        f"model-data:{samples.digest('model.tar.gz')}",
    ]


@pytest.mark.parametrize("part", ["library:numpy==2.4.6", f"image:{samples.IMAGE_DIGEST}"])
def test_a_part_that_is_recalled_is_closed_and_the_bytes_are_not(
    made_of: list[str], part: str
) -> None:
    assert parts.marked(part, made_of) == [f"candidate:{samples.CANDIDATE}", part]


@pytest.mark.parametrize("start", ["dataset:", "dataset-version:"])
def test_data_is_closed_by_version_and_by_bytes(made_of: list[str], start: str) -> None:
    (part,) = (one for one in made_of if one.startswith(start))
    closed = parts.marked(part, made_of)
    assert [one.partition(":")[0] for one in closed] == ["candidate", "dataset-version", "dataset"]


def test_a_part_of_something_else_closes_the_version_alone(made_of: list[str]) -> None:
    assert parts.marked("library:numpy==1.0", made_of) == [f"candidate:{samples.CANDIDATE}"]


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({}, None),
        ({"recall-of": "dataset:1"}, {"of": "dataset:1"}),
        ({"recall-blast-radius": "ab"}, {"blast_radius": "ab"}),
        (
            {"recall-of": "dataset:1", "recall-blast-radius": "ab", "other": "x"},
            {"of": "dataset:1", "blast_radius": "ab"},
        ),
    ],
)
def test_what_the_registry_keeps_of_a_recall(
    metadata: dict[str, str], found: dict[str, str] | None
) -> None:
    assert parts.recall_of(metadata) == found
