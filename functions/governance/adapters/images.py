"""Container images in ECR: what a scan found, and copies from registry to registry.

Layers have no server-side copy: each is read from the URL that its registry gives and sent on in
parts. ECR refuses a layer or a manifest that is not what its digest says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import urllib3
from botocore.exceptions import ClientError

from governance.adapters import errors, sessions
from governance.domain import images
from governance.domain.errors import AccessError, NotFoundError, TransientError
from governance.domain.images import Image, Manifest

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

_FINISHED = {"COMPLETE", "ACTIVE"}  # ACTIVE: scanned, and scanned again as findings come up
_NOT_THERE = {"ScanNotFoundException", "ImageNotFoundException", "RepositoryNotFoundException"}
_LAYERS_AT_ONCE = 100  # of BatchCheckLayerAvailability
_ENOUGH = 180  # seconds in which a layer of 10 GB, the largest, should be copied
_THERE = {"LayerAlreadyExistsException", "ImageAlreadyExistsException"}


class Images:
    """ECR as a role sees it, without a session as the function's own; other accounts' repositories
    must let it look. A registry is asked in the region that its images name."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        self._session = session
        self._clients: dict[str, ECRClient] = {}

    def _ecr(self, image: Image) -> ECRClient:
        if image.region not in self._clients:
            self._clients[image.region] = sessions.client_in(image.region, "ecr", self._session)
        return self._clients[image.region]

    def manifest(self, image: Image) -> Manifest:
        """The image's manifest; NotFoundError if it is not there.

        TransientError if what came is not what the digest says: it was read wrongly.
        """
        with errors.translated(
            f"read image {image.uri}",
            "it must exist, and its repository's policy must let this role pull it",
        ):
            answer = self._ecr(image).batch_get_image(
                registryId=image.registry,
                repositoryName=image.repository,
                imageIds=[_identifier(image)],
                acceptedMediaTypes=[*images.IMAGE_TYPES, *images.LIST_TYPES],
            )
        if not answer["images"]:
            why = (answer.get("failures") or [{}])[0].get("failureReason", "it is not there")
            raise NotFoundError(
                f"image {image.uri}: {why}; push it again, or register a version with one that is"
            )
        found = answer["images"][0]
        manifest = Manifest(found["imageManifest"], found["imageManifestMediaType"])
        if image.digest and manifest.digest != image.digest:
            raise TransientError(f"image {image.uri} came as {manifest.digest}; read it again")
        return manifest

    def copy(self, image: Image, to: Image, origin: Images, left: Callable[[], float]) -> None:
        """Copy an image, by digest, with everything that it names; what is there already stays.

        `origin` reads, this role writes. `left` are the seconds until the function ends: where a
        layer might not get done any more, TransientError says that a retry goes on from here.
        """
        manifest = origin.manifest(image)
        if manifest.is_list:
            for digest in manifest.images():
                self.copy(image.pinned(digest), to.pinned(digest), origin, left)
        else:
            for digest in self._missing(to, manifest.layers()):
                if left() < _ENOUGH:
                    raise TransientError(
                        f"image {image.uri} is not copied yet; a retry goes on with layer {digest}"
                    )
                self._copy_layer(image, to, digest, origin)
        self._put(to, manifest)

    def _missing(self, image: Image, layers: list[str]) -> list[str]:
        found: dict[str, str] = {}
        with errors.translated(f"look for layers in {image.repository}"):
            for start in range(0, len(layers), _LAYERS_AT_ONCE):
                answer = self._ecr(image).batch_check_layer_availability(
                    registryId=image.registry,
                    repositoryName=image.repository,
                    layerDigests=layers[start : start + _LAYERS_AT_ONCE],
                )
                found |= {
                    one.get("layerDigest", ""): str(one.get("layerAvailability"))
                    for one in answer.get("layers", [])
                }
        return [layer for layer in layers if found.get(layer) != "AVAILABLE"]

    def _copy_layer(self, image: Image, to: Image, digest: str, origin: Images) -> None:
        what = f"copy layer {digest} of image {image.uri}"
        with errors.translated(what):
            url = origin._ecr(image).get_download_url_for_layer(
                registryId=image.registry, repositoryName=image.repository, layerDigest=digest
            )["downloadUrl"]
            place: Any = {"registryId": to.registry, "repositoryName": to.repository}
            ecr = self._ecr(to)
            upload = ecr.initiate_layer_upload(**place)
            size = 0
            for part in _read(url, int(upload["partSize"]), what):
                ecr.upload_layer_part(
                    **place,
                    uploadId=upload["uploadId"],
                    partFirstByte=size,
                    partLastByte=size + len(part) - 1,
                    layerPartBlob=part,
                )
                size += len(part)
            _unless_there(
                lambda: ecr.complete_layer_upload(
                    **place, uploadId=upload["uploadId"], layerDigests=[digest]
                )
            )

    def _put(self, image: Image, manifest: Manifest) -> None:
        """Write the manifest; a tag of its digest keeps lifecycle rules from taking it away."""
        with errors.translated(f"write image {image.uri}"):
            _unless_there(
                lambda: self._ecr(image).put_image(
                    registryId=image.registry,
                    repositoryName=image.repository,
                    imageManifest=manifest.text,
                    imageManifestMediaType=manifest.media_type,
                    imageTag=manifest.digest.replace(":", "-"),
                    imageDigest=manifest.digest,
                )
            )

    def scan(self, image: Mapping[str, Any], our_accounts: Collection[str]) -> dict[str, Any]:
        """{uri, registry, critical, findings, scan} of an image {uri, digest}.

        `critical` is None unless a scan has finished, and `findings` {severity: count} of all that
        it found; `scan` says in words how it stands. Only registries of `our_accounts` are asked:
        nobody else's would answer us.
        """
        uri = str(image.get("uri") or "")
        found = images.parse(uri, image.get("digest"))
        if found is None:
            return _unknown(uri, None, "it is in no ECR registry, so it has no scan")
        registry = found.registry
        if registry not in our_accounts:
            why = f"registry {registry} is not one of ours, so its scans are not shown to us"
            return _unknown(uri, registry, why)
        try:
            answer = self._ecr(found).describe_image_scan_findings(
                registryId=registry, repositoryName=found.repository, imageId=_identifier(found)
            )
        except ClientError as error:
            if errors.code_of(error) in _NOT_THERE:
                return _unknown(uri, registry, f"no scan was found ({errors.code_of(error)})")
            refused = errors.translate(error, f"look at the scan of image {uri}")
            if isinstance(refused, AccessError):
                why = f"the repository's policy does not show us its scans ({refused})"
                return _unknown(uri, registry, why)
            raise refused from error
        status = str(answer.get("imageScanStatus", {}).get("status"))
        if status not in _FINISHED:
            return _unknown(uri, registry, f"its scan is {status}")
        counts = answer.get("imageScanFindings", {}).get("findingSeverityCounts", {})
        return {
            "uri": uri,
            "registry": registry,
            "critical": int(counts.get("CRITICAL", 0)),
            "findings": {severity: int(count) for severity, count in counts.items()},
            "scan": f"its scan is {status}",
        }


def _unknown(uri: str, registry: str | None, why: str) -> dict[str, Any]:
    return {"uri": uri, "registry": registry, "critical": None, "findings": {}, "scan": why}


def _identifier(image: Image) -> ImageIdentifierTypeDef:
    return {"imageDigest": image.digest} if image.digest else {"imageTag": image.tag}


def _unless_there(write: Callable[[], object]) -> None:
    """Somebody else who wrote the same first has done the work."""
    try:
        write()
    except ClientError as error:
        if errors.code_of(error) not in _THERE:
            raise


def _read(url: str, part_size: int, what: str) -> Iterator[bytes]:
    """The bytes behind a URL in parts; never more than one is held."""
    try:
        with closing(_http().request("GET", url, preload_content=False)) as answer:
            if answer.status != 200:
                raise TransientError(f"could not {what}: its URL answered {answer.status}")
            while part := _whole(answer, part_size):
                yield part
    except urllib3.exceptions.HTTPError as error:
        raise TransientError(f"could not {what}: {error}; the state machine retries") from error


def _whole(answer: urllib3.BaseHTTPResponse, size: int) -> bytes:
    """The next `size` bytes; less only at the end, since ECR takes no small part but the last."""
    part = bytearray()
    while len(part) < size and (more := answer.read(size - len(part))):
        part += more
    return bytes(part)


@cache
def _http() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=60), retries=False)
