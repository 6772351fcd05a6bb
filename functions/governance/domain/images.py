"""Container images: which one a version names, what it is made of, where it is in Central.

An image is its digest: the SHA-256 of a manifest, which names configuration and layers by theirs.
A tag is a name that can move, so it is looked up once and never used again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from governance.domain.errors import InvalidInputError

BY_REFERENCE, COPIED = "by reference", "copied"
_SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED")
_NO_PLACE = "image:"  # and the digest: how a candidate names an image, wherever it is

_URI = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.(?P<suffix>amazonaws\.com(?:\.cn)?)/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DOCKER, _OCI = "application/vnd.docker.distribution.manifest", "application/vnd.oci.image"
IMAGE_TYPES = (f"{_DOCKER}.v2+json", f"{_OCI}.manifest.v1+json")
LIST_TYPES = (f"{_DOCKER}.list.v2+json", f"{_OCI}.index.v1+json")


@dataclass(frozen=True, slots=True)
class Image:
    """An image in a registry of ECR: by digest ("sha256:...") if it is known, else by tag."""

    registry: str  # the account, 12 digits
    region: str
    suffix: str
    repository: str
    tag: str
    digest: str

    @property
    def uri(self) -> str:
        """How containers name it."""
        place = f"{self.registry}.dkr.ecr.{self.region}.{self.suffix}/{self.repository}"
        return f"{place}@{self.digest}" if self.digest else f"{place}:{self.tag}"

    def pinned(self, digest: str) -> Image:
        """The same image by its digest."""
        return replace(self, tag="", digest=digest)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a digest stands for: the exact text that it is the SHA-256 of."""

    text: str
    media_type: str

    @property
    def digest(self) -> str:
        """ "sha256:" and 64 hex digits."""
        return "sha256:" + hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def is_list(self) -> bool:
        """True if it names images, one for each platform, and no layers."""
        return self.media_type in LIST_TYPES

    def images(self) -> list[str]:
        """The digests of the images that a list names."""
        return [_digest(entry) for entry in self._parsed().get("manifests") or []]

    def layers(self) -> list[str]:
        """The digests of an image's configuration and layers, each once.

        InvalidInputError for layers that are elsewhere by their own nature ("foreign"), or if the
        manifest is of a type that has none.
        """
        if self.media_type not in IMAGE_TYPES:
            raise InvalidInputError(
                f"the manifest {self.digest} is {self.media_type!r}; expected one of "
                f"{', '.join((*IMAGE_TYPES, *LIST_TYPES))}: push the image again"
            )
        parsed = self._parsed()
        entries = [parsed.get("config") or {}, *(parsed.get("layers") or [])]
        foreign = [entry for entry in entries if entry.get("urls")]
        if foreign:
            raise InvalidInputError(
                f"image {self.digest} has layers that no registry keeps "
                f"({_digest(foreign[0])}); build it on a base whose layers may be copied"
            )
        return list(dict.fromkeys(_digest(entry) for entry in entries))

    def _parsed(self) -> Mapping[str, Any]:
        try:
            parsed = json.loads(self.text)
        except ValueError as error:
            raise InvalidInputError(f"the manifest {self.digest} is not JSON: {error}") from error
        if not isinstance(parsed, dict):
            raise InvalidInputError(f"the manifest {self.digest} is not a JSON object")
        return parsed


def parse(uri: str, digest: str | None = None) -> Image | None:
    """The image that a container names; None if its registry is none of ECR's.

    A `digest` beside the URI counts if the URI has none. InvalidInputError if both differ.
    """
    found = _URI.fullmatch(uri)
    if found is None:
        return None
    if digest and found["digest"] and digest != found["digest"]:
        raise InvalidInputError(f"image {uri} is registered with digest {digest}; only one is it")
    known = found["digest"] or digest or ""
    return Image(
        registry=found["registry"],
        region=found["region"],
        suffix=found["suffix"],
        repository=found["repository"],
        tag="" if known else found["tag"] or "latest",
        digest=known,
    )


def placeless(container: Mapping[str, Any], looked_up: Mapping[str, str]) -> dict[str, Any]:
    """The container with its image as Dev and Central agree on it: "image:" and the digest.

    The digest is the URI's own, or what was looked up for the URI; a digest that was only declared
    beside it names no bytes, so it stays as it is where it differs, and so does an image that
    nobody looked up.
    """
    said, uri = dict(container), str(container.get("Image") or "")
    found = _URI.fullmatch(uri)
    digest = (found and found["digest"]) or looked_up.get(uri)
    if digest:
        said["Image"] = f"{_NO_PLACE}{digest}"
        if said.get("ImageDigest") in (None, digest):
            said.pop("ImageDigest", None)
    return said


def origin_of(named: str, origins: Iterable[Mapping[str, str]]) -> dict[str, str] | None:
    """{uri, digest} of what `placeless` named; None for a name that says a place itself.

    `origins` are the manifest's images. An image that is none of them has no other name.
    """
    digest = named.removeprefix(_NO_PLACE)
    if digest == named or not _DIGEST.fullmatch(digest):
        return None
    uris = (origin["uri"] for origin in origins if origin["digest"] == digest)
    return {"uri": next(uris, named), "digest": digest}


def pinned(uri: str, digest: str) -> Image:
    """The image by digest, of a URI that must be in ECR; InvalidInputError if it is not."""
    image = parse(uri)
    if image is None:
        raise InvalidInputError(f"{uri!r} is not the URI of a repository or an image in ECR")
    return image.pinned(digest)


def containers_of(description: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every container of a version, those of the inference specification first."""
    yield from (description.get("InferenceSpecification") or {}).get("Containers") or []
    for additional in description.get("AdditionalInferenceSpecifications") or []:
        yield from additional.get("Containers") or []


def named_by(description: Mapping[str, Any]) -> dict[str, str | None]:
    """The declared digest, or None, of every container's image of a version, by URI.

    InvalidInputError if one name is registered with two digests.
    """
    named: dict[str, str | None] = {}
    for container in containers_of(description):
        uri, digest = container.get("Image"), container.get("ImageDigest")
        if not uri:
            continue
        known = named.get(uri)
        if known and digest and known != digest:
            raise InvalidInputError(
                f"{description.get('ModelPackageArn')} names image {uri} with digests "
                f"{known} and {digest}; register a version that means one"
            )
        named[uri] = known or digest
    return named


def handoff(image: Image, by_reference: Collection[str], region: str) -> str:
    """Whether Central uses the image where it is, or gets a copy: the tier's policy says.

    Endpoints pull from their own `region` alone, so an image of another one is always copied.
    """
    here = image.registry in by_reference and image.region == region
    return BY_REFERENCE if here else COPIED


def _digest(entry: Mapping[str, Any]) -> str:
    digest = str(entry.get("digest") or "")
    if not _DIGEST.fullmatch(digest):
        raise InvalidInputError(f"a manifest names {digest!r}; expected sha256: and 64 hex digits")
    return digest


def found_by_scan(findings: Mapping[str, int]) -> str:
    """What a scan found, {severity: count}, in words, the gravest first: "2 high, 1 low"; or ""."""
    unknown = sorted(findings.keys() - set(_SEVERITIES))
    counts = ((findings.get(one, 0), one.lower()) for one in (*_SEVERITIES, *unknown))
    return ", ".join(f"{count} {severity}" for count, severity in counts if count)
