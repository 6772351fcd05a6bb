"""What a version says about itself: sections of its card, its data, its image."""

from __future__ import annotations

import json
from typing import Any

import pytest

from governance.domain.described import card_sections, described
from tests.contracts import samples


def _card(**sections: Any) -> dict[str, Any]:
    return {"ModelCard": {"ModelCardContent": json.dumps(sections)}}


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ({"purpose_of_model": "Follow-up"}, True),
        ([{"name": "holdout"}], True),
        ({"score": 0}, True),
        ({}, False),
        ([], False),
        ("  ", False),
        (None, False),
        ({"a": {"b": ["", " "]}, "c": None}, False),
    ],
)
def test_a_section_counts_if_it_says_something(said: Any, counts: bool) -> None:
    assert card_sections(_card(intended_uses=said)) == (["intended_uses"] if counts else [])


def test_our_own_results_are_not_the_authors_words() -> None:
    ours = {
        "name": "governed-path test of candidate 0123456789ab",
        "evaluation_observation": "Passed",
    }
    assert card_sections(_card(evaluation_details=[ours])) == []
    assert card_sections(_card(evaluation_details=[ours, {"name": "holdout"}])) == [
        "evaluation_details"
    ]


def test_a_version_without_a_card_has_no_sections() -> None:
    assert card_sections({}) == []


def test_the_sample_says_everything() -> None:
    uri = f"s3://{samples.DEV_BUCKET}/datasets/diabetes.csv"
    assert described(samples.description()) == {
        "card_sections": [
            "additional_information",
            "business_details",
            "evaluation_details",
            "intended_uses",
            "model_overview",
            "training_details",
        ],
        "dataset_version": f"{uri} version v-diabetes.csv",
        "image": {"uri": samples.IMAGE, "digest": samples.IMAGE_DIGEST},
        "further_images": [],
    }


def test_the_images_of_all_containers_are_named_once() -> None:
    description = samples.description()
    (first,) = description["InferenceSpecification"]["Containers"]
    second = {"Image": "repo/features:1"}
    description["InferenceSpecification"]["Containers"] += [second, first]
    description["AdditionalInferenceSpecifications"] = [
        {"Name": "gpu", "Containers": [second, {"Image": "repo/gpu:1", "ImageDigest": "sha256:1"}]}
    ]
    found = described(description, [{"uri": "repo/features:1", "digest": "sha256:2"}])
    assert found["image"]["uri"] == samples.IMAGE
    assert found["further_images"] == [
        {"uri": "repo/features:1", "digest": "sha256:2"},
        {"uri": "repo/gpu:1", "digest": "sha256:1"},
    ]


@pytest.mark.parametrize("missing", ["uri", "version-id", "sha256"])
def test_a_dataset_is_known_by_place_version_and_digest(missing: str) -> None:
    description = samples.description()
    del description["CustomerMetadataProperties"][f"dataset-{missing}"]
    assert described(description)["dataset_version"] is None
