"""Which image a container names, what it is made of, and what is refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from governance.domain import images
from governance.domain.errors import InvalidInputError
from governance.domain.images import IMAGE_TYPES, LIST_TYPES, Image, Manifest

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
PLACE = "444455556666.dkr.ecr.eu-west-1.amazonaws.com/team/serving"


@pytest.mark.parametrize(
    ("uri", "digest", "pinned"),
    [
        (f"{PLACE}:1.4", None, f"{PLACE}:1.4"),
        (f"{PLACE}:1.4", "", f"{PLACE}:1.4"),
        (f"{PLACE}:1.4", DIGEST, f"{PLACE}@{DIGEST}"),
        (f"{PLACE}:1.4@{DIGEST}", None, f"{PLACE}@{DIGEST}"),
        (f"{PLACE}@{DIGEST}", DIGEST, f"{PLACE}@{DIGEST}"),
        (PLACE, None, f"{PLACE}:latest"),
        (PLACE.replace("com/", "com.cn/"), DIGEST, f"{PLACE}@{DIGEST}".replace("com/", "com.cn/")),
    ],
)
def test_a_digest_counts_before_a_tag(uri: str, digest: str | None, pinned: str) -> None:
    image = images.parse(uri, digest)
    assert image is not None
    assert (image.registry, image.region, image.repository, image.uri) == (
        "444455556666",
        "eu-west-1",
        "team/serving",
        pinned,
    )


@pytest.mark.parametrize(
    "uri", ["", "docker.io/library/python:3.13", "12.dkr.ecr.x.amazonaws.com/a"]
)
def test_what_is_in_no_registry_of_ecr_is_none(uri: str) -> None:
    assert images.parse(uri) is None


def test_two_digests_for_one_image_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=f"registered with digest {OTHER}"):
        images.parse(f"{PLACE}@{DIGEST}", OTHER)


def test_every_container_is_asked_for_its_image_once() -> None:
    description = {
        "InferenceSpecification": {
            "Containers": [{"Image": "a:1"}, {"Image": "b:1", "ImageDigest": DIGEST}]
        },
        "AdditionalInferenceSpecifications": [
            {"Name": "large", "Containers": [{"Image": "a:1"}, {"Image": "c:1"}]},
            {"Name": "none"},
        ],
    }
    assert images.named_by(description) == {"a:1": None, "b:1": DIGEST, "c:1": None}


def test_one_name_with_two_digests_is_refused() -> None:
    containers = [{"Image": "a:1", "ImageDigest": one} for one in (DIGEST, OTHER)]
    with pytest.raises(InvalidInputError, match="register a version that means one"):
        images.named_by({"InferenceSpecification": {"Containers": containers}})


def test_a_digest_that_one_container_declares_counts_for_the_name() -> None:
    containers = [{"Image": "a:1", "ImageDigest": one} for one in (None, DIGEST, None)]
    named = images.named_by({"InferenceSpecification": {"Containers": containers}})
    assert named == {"a:1": DIGEST}


@pytest.mark.parametrize(
    ("container", "said"),
    [
        ({"Image": f"{PLACE}@{DIGEST}"}, {"Image": f"image:{DIGEST}"}),
        ({"Image": f"{PLACE}@{DIGEST}", "ImageDigest": DIGEST}, {"Image": f"image:{DIGEST}"}),
        (
            {"Image": f"{PLACE}@{DIGEST}", "ImageDigest": OTHER},
            {"Image": f"image:{DIGEST}", "ImageDigest": OTHER},
        ),
        ({"Image": f"{PLACE}:1"}, {"Image": f"image:{OTHER}"}),
        ({"Image": f"{PLACE}:1", "ImageDigest": OTHER}, {"Image": f"image:{OTHER}"}),
        # A declared digest beside another name is no proof of what would be pulled.
        (
            {"Image": f"{PLACE}:2", "ImageDigest": DIGEST},
            {"Image": f"{PLACE}:2", "ImageDigest": DIGEST},
        ),
        ({"Image": "docker.io/x:1"}, {"Image": "docker.io/x:1"}),
    ],
)
def test_an_image_is_its_digest_wherever_it_is(
    container: dict[str, str], said: dict[str, str]
) -> None:
    assert images.placeless(container, {f"{PLACE}:1": OTHER}) == said


@pytest.mark.parametrize(
    ("registries", "region", "expected"),
    [
        ([], "us-east-1", images.COPIED),
        (["444455556666"], "eu-west-1", images.BY_REFERENCE),
        (["444455556666"], "us-east-1", images.COPIED),
        (["1"], "us-east-1", images.COPIED),
    ],
)
def test_the_policy_says_which_registries_are_used_where_they_are_within_the_region(
    registries: list[str], region: str, expected: str
) -> None:
    image = images.parse(f"{PLACE}@{DIGEST}")
    assert isinstance(image, Image)
    assert images.handoff(image, registries, region) == expected


def _manifest(media_type: str = IMAGE_TYPES[0], **content: Any) -> Manifest:
    return Manifest(json.dumps(content), media_type)


def test_the_digest_is_of_the_exact_text() -> None:
    spaced, plain = Manifest('{"a": 1}', IMAGE_TYPES[0]), Manifest('{"a":1}', IMAGE_TYPES[0])
    assert spaced.digest == "sha256:" + hashlib.sha256(b'{"a": 1}').hexdigest()
    assert spaced.digest != plain.digest


@pytest.mark.parametrize("media_type", IMAGE_TYPES)
def test_an_image_is_its_configuration_and_layers_each_once(media_type: str) -> None:
    manifest = _manifest(
        media_type, config={"digest": OTHER}, layers=[{"digest": DIGEST}, {"digest": DIGEST}]
    )
    assert not manifest.is_list
    assert manifest.layers() == [OTHER, DIGEST]


@pytest.mark.parametrize("media_type", LIST_TYPES)
def test_a_list_names_images(media_type: str) -> None:
    manifest = _manifest(media_type, manifests=[{"digest": DIGEST}, {"digest": OTHER}])
    assert manifest.is_list
    assert manifest.images() == [DIGEST, OTHER]
    with pytest.raises(InvalidInputError, match="push the image again"):
        manifest.layers()


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (_manifest(config={"digest": "md5:1"}), "expected sha256: and 64 hex digits"),
        (_manifest(layers=[{}], config={"digest": DIGEST}), "names ''"),
        (_manifest(config={"digest": DIGEST, "urls": ["https://x"]}), "no registry keeps"),
        (_manifest("application/vnd.docker.distribution.manifest.v1+json"), "expected one of"),
        (Manifest("{", IMAGE_TYPES[0]), "is not JSON"),
        (Manifest("[]", IMAGE_TYPES[0]), "is not a JSON object"),
    ],
)
def test_a_manifest_that_cannot_be_copied_says_why(manifest: Manifest, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        manifest.layers()
