"""Images go from registry to registry by layer, through ECR's own API, and nothing is believed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import boto3
import pytest

from governance.adapters import images as adapter
from governance.adapters.images import Images
from governance.domain.errors import (
    AccessError,
    IntegrityError,
    NotFoundError,
    TransientError,
)
from governance.domain.images import IMAGE_TYPES, LIST_TYPES, Image
from local.seams.images import PART_SIZE, SAGEMAKER_IMAGE, SAGEMAKER_REGISTRY
from tests.images import digest, push
from tests.integration.local.support import CENTRAL, DEV, PROD, REGION, Aws, allow, denied, document

PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
PUSH = [
    *PULL,
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
]
_NUMBER = count(1)
Push = Callable[..., tuple[Image, list[bytes]]]


def _image(account: str, repository: str, tag: str = "1", digest: str = "") -> Image:
    return Image(account, REGION, "amazonaws.com", repository, "" if digest else tag, digest)


@pytest.fixture
def repositories(aws: Aws) -> tuple[str, str]:
    """A repository in Dev and one in Central, new for this test."""
    names = (f"team/serving-{next(_NUMBER)}", f"images-{next(_NUMBER)}")
    for account, name in zip((DEV, CENTRAL), names, strict=True):
        aws.client("ecr", account).create_repository(repositoryName=name)
    return names


def _push(aws: Aws, repository: str, *layers: bytes, tag: str = "1") -> Image:
    """An image of these layers in a repository of Dev; its image by tag."""
    push(aws.client("ecr", DEV), repository, *layers, tag=tag)
    return _image(DEV, repository, tag)


def _images(aws: Aws, account: str, *statements: dict[str, Any]) -> Images:
    role = aws.role(account, f"images-{next(_NUMBER)}", *statements)
    return Images(aws.assume(role))


@pytest.fixture(autouse=True)
def endpoint(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


def _copy(aws: Aws, source: Image, to: str) -> Image:
    """Copy as the hub does: Dev's role reads, Central's own role writes."""
    reader, writer = _images(aws, DEV, allow(*PULL)), _images(aws, CENTRAL, allow(*PUSH))
    digest = reader.manifest(source).digest
    copied = _image(CENTRAL, to).pinned(digest)
    writer.copy(source.pinned(digest), copied, reader, left=lambda: 900.0)
    return copied


def test_every_layer_arrives_also_one_of_many_parts(
    aws: Aws, repositories: tuple[str, str]
) -> None:
    origin, central = repositories
    large = os.urandom(2 * PART_SIZE + 17)
    copied = _copy(aws, _push(aws, origin, large, b"small"), central)
    ecr = aws.client("ecr", CENTRAL)
    (found,) = ecr.batch_get_image(
        repositoryName=central, imageIds=[{"imageDigest": copied.digest}]
    )["images"]
    assert digest(found["imageManifest"].encode()) == copied.digest
    named = json.loads(found["imageManifest"])["layers"]
    assert [one["digest"] for one in named] == [digest(large), digest(b"small")]
    states = ecr.batch_check_layer_availability(
        repositoryName=central, layerDigests=[one["digest"] for one in named]
    )["layers"]
    assert [(one["layerAvailability"], one["layerSize"]) for one in states] == [
        ("AVAILABLE", len(large)),
        ("AVAILABLE", 5),
    ]


def test_an_image_of_another_region_is_copied_from_there(aws: Aws) -> None:
    origin, central = f"team/elsewhere-{next(_NUMBER)}", f"images-{next(_NUMBER)}"
    there = boto3.Session(DEV, "local", region_name="eu-west-1").client(
        "ecr", endpoint_url=aws.endpoint_url
    )
    there.create_repository(repositoryName=origin)
    aws.client("ecr", CENTRAL).create_repository(repositoryName=central)
    push(there, origin, b"of another region", tag="1")
    source = replace(_image(DEV, origin), region="eu-west-1")
    copied = _copy(aws, source, central)
    (found,) = aws.client("ecr", CENTRAL).batch_get_image(
        repositoryName=central, imageIds=[{"imageDigest": copied.digest}]
    )["images"]
    assert digest(found["imageManifest"].encode()) == copied.digest


def test_what_is_there_is_not_copied_again(
    aws: Aws, repositories: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    origin, central = repositories
    source = _push(aws, origin, b"one", b"two")
    first = _copy(aws, source, central)
    monkeypatch.setattr(Images, "_copy_layer", lambda *_: pytest.fail("it is there"))
    assert _copy(aws, source, central) == first


def test_a_copy_that_ran_out_of_time_goes_on_with_the_missing_layers(
    aws: Aws, repositories: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    origin, central = repositories
    source = _push(aws, origin, b"one", b"two", b"three")
    reader, writer = _images(aws, DEV, allow(*PULL)), _images(aws, CENTRAL, allow(*PUSH))
    source = source.pinned(reader.manifest(source).digest)
    to, left = _image(CENTRAL, central).pinned(source.digest), iter([900.0, 900.0, 10.0])
    with pytest.raises(TransientError, match="a retry goes on with layer sha256:"):
        writer.copy(source, to, reader, left=lambda: next(left))
    copied = []
    original = Images._copy_layer
    monkeypatch.setattr(
        Images, "_copy_layer", lambda *given: (copied.append(given[3]), original(*given))
    )
    writer.copy(source, to, reader, left=lambda: 900.0)
    assert copied == [digest(b"two"), digest(b"three")]


def test_a_copy_that_was_killed_in_the_middle_of_a_layer_begins_that_layer_again(
    aws: Aws, repositories: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a layer is nobody's: neither is it there, nor is the image that would need it."""
    origin, central = repositories
    large = os.urandom(2 * PART_SIZE + 17)
    source = _push(aws, origin, b"one", large)
    read, copied = adapter._read, list[str]()

    def killed(url: str, part_size: int, what: str) -> Iterator[bytes]:
        copied.append(what)
        for number, part in enumerate(read(url, part_size, what)):
            if number == 1:
                raise KeyboardInterrupt
            yield part

    ecr = aws.client("ecr", CENTRAL)
    with monkeypatch.context() as patch:
        patch.setattr(adapter, "_read", killed)
        with pytest.raises(KeyboardInterrupt):
            _copy(aws, source, central)
    assert ecr.list_images(repositoryName=central)["imageIds"] == []
    monkeypatch.setattr(adapter, "_read", lambda *given: (copied.append(given[2]), read(*given))[1])
    found = _copy(aws, source, central)
    layers = [what.split()[2] for what in copied]
    # The image's configuration is a layer like the others.
    assert layers[-2:] == [digest(large)] * 2
    assert len(set(layers)) == len(layers) - 1 == 3
    states = ecr.batch_check_layer_availability(
        repositoryName=central, layerDigests=[digest(b"one"), digest(large)]
    )["layers"]
    assert [one["layerSize"] for one in states] == [3, len(large)]
    there = ecr.list_images(repositoryName=central)["imageIds"]
    assert {one["imageDigest"] for one in there} == {found.digest}


def test_a_list_brings_the_image_of_every_platform(aws: Aws, repositories: tuple[str, str]) -> None:
    origin, central = repositories
    reader = _images(aws, DEV, allow(*PULL))
    images = [
        reader.manifest(_push(aws, origin, content, tag=tag)).digest
        for tag, content in (("amd64", b"x86"), ("arm64", b"arm"))
    ]
    listed = {"mediaType": LIST_TYPES[1], "manifests": [{"digest": one} for one in images]}
    aws.client("ecr", DEV).put_image(
        repositoryName=origin,
        imageManifest=json.dumps(listed),
        imageManifestMediaType=LIST_TYPES[1],
        imageTag="all",
    )
    copied = _copy(aws, _image(DEV, origin, "all"), central)
    there = aws.client("ecr", CENTRAL).list_images(repositoryName=central)["imageIds"]
    assert {one["imageDigest"] for one in there} == {copied.digest, *images}


def test_a_layer_that_arrives_otherwise_is_refused(
    aws: Aws, repositories: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    origin, central = repositories
    source = _push(aws, origin, b"genuine")
    monkeypatch.setattr("governance.adapters.images._read", lambda *_: iter([b"forged"]))
    with pytest.raises(IntegrityError, match="InvalidLayerException"):
        _copy(aws, source, central)
    assert aws.client("ecr", CENTRAL).list_images(repositoryName=central)["imageIds"] == []


def test_an_image_that_is_not_there_is_named(aws: Aws, repositories: tuple[str, str]) -> None:
    reader = _images(aws, DEV, allow(*PULL))
    with pytest.raises(NotFoundError, match=rf"{repositories[0]}:9: .*push it again"):
        reader.manifest(_image(DEV, repositories[0], "9"))
    with pytest.raises(NotFoundError, match="RepositoryNotFoundException"):
        reader.manifest(_image(DEV, "nowhere"))


def test_a_moved_tag_does_not_move_what_is_pinned(aws: Aws, repositories: tuple[str, str]) -> None:
    reader = _images(aws, DEV, allow(*PULL))
    source = _push(aws, repositories[0], b"first")
    pinned = source.pinned(reader.manifest(source).digest)
    _push(aws, repositories[0], b"second")
    assert reader.manifest(source).digest != pinned.digest
    assert reader.manifest(pinned).digest == pinned.digest


def test_a_registry_of_others_is_read_only_where_its_policy_lets(
    aws: Aws, repositories: tuple[str, str]
) -> None:
    origin = repositories[0]
    source = _push(aws, origin, b"ours")
    foreign = _images(aws, PROD, allow(*PULL))
    with pytest.raises(AccessError, match="its repository's policy must let this role pull it"):
        foreign.manifest(source)
    policy = allow(*PULL, Principal={"AWS": f"arn:aws:iam::{PROD}:root"})
    del policy["Resource"]
    aws.client("ecr", DEV).set_repository_policy(repositoryName=origin, policyText=document(policy))
    assert foreign.manifest(source).layers()
    with denied("AccessDenied"):
        foreign._ecr(source).initiate_layer_upload(registryId=DEV, repositoryName=origin)


def test_sagemakers_own_image_is_there_for_everybody(aws: Aws) -> None:
    image = _image(SAGEMAKER_REGISTRY, *SAGEMAKER_IMAGE)
    assert len(_images(aws, DEV, allow(*PULL)).manifest(image).layers()) == 2
    with pytest.raises(AccessError):
        _images(aws, DEV, allow("s3:GetObject")).manifest(image)


def test_an_image_without_its_layers_is_refused(aws: Aws, repositories: tuple[str, str]) -> None:
    entry = {"digest": digest(b"nowhere"), "size": 7}
    manifest = {"mediaType": IMAGE_TYPES[0], "config": entry, "layers": []}
    with denied("LayersNotFoundException"):
        aws.client("ecr", DEV).put_image(
            repositoryName=repositories[0], imageManifest=json.dumps(manifest)
        )


def test_parts_come_in_order_and_whole(aws: Aws, repositories: tuple[str, str]) -> None:
    ecr, place = aws.client("ecr", DEV), {"repositoryName": repositories[0]}
    upload = ecr.initiate_layer_upload(**place)["uploadId"]
    part = {"uploadId": upload, "partLastByte": 3, "layerPartBlob": b"four"}
    with denied("InvalidLayerPart"):
        ecr.upload_layer_part(**place, **part, partFirstByte=1)
    with denied("EmptyUpload"):
        ecr.complete_layer_upload(**place, uploadId=upload, layerDigests=[digest(b"")])
    ecr.upload_layer_part(**place, **part, partFirstByte=0)
    with denied("InvalidLayer"):
        ecr.complete_layer_upload(**place, uploadId=upload, layerDigests=[digest(b"other")])
    with denied("UploadNotFound"):
        ecr.complete_layer_upload(**place, uploadId="none", layerDigests=[digest(b"four")])
