"""Container images: layers over ECR's own API, registries of other accounts, AWS's own images.

The emulator keeps layers that come by `docker push`, and answers ECR's layer operations without
keeping anything. Here they keep, check and give back what was sent, among the same layers. A
request that names another account's registry is decided by that repository's policy and answered
from it. AWS's registry of SageMaker's images is there with the name and tag that our template
uses; the layer is a stand-in, because nothing in the embedded AWS runs an image.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import (
    error_response_json,
    get_account_id,
    get_region,
    json_response,
    new_uuid,
    request_scope,
)
from ministack.services import ecr

from local.seams.assertions import require, require_attributes, require_parameters, require_source

SAGEMAKER_REGISTRY = "683313688378"  # of scikit-learn's images in us-east-1, by AWS's own list
SAGEMAKER_IMAGE = ("sagemaker-scikit-learn", "1.4-2-cpu-py3")
PART_SIZE = 10 * 1024**2  # bytes; what InitiateLayerUpload of ECR answers
_SMALLEST_PART = 5 * 1024**2  # bytes; but the last
_LISTS = ("manifest.list", "image.index")  # in the media type of a manifest of manifests
_STORES = ("_repositories", "_images", "_repo_policies", "_layer_blobs", "_uploads")


def install() -> None:
    """Make layers real, registries of others reachable, and AWS's images there."""
    require_attributes("images", ecr, *_STORES, "_find_image", "_image_digest", "handle_request")
    for name in _STORES:
        require(hasattr(getattr(ecr, name), "get_scoped"), "images", f"{name} by account")
    for function in _OPERATIONS:
        require_parameters("images", getattr(ecr, function), "data")
    require_source("images", ecr.handle_request, '"UploadLayerPart": _upload_layer_part')
    require_parameters(
        "images",
        iam_actions.extract_resource_arn,
        *("service", "method", "path", "headers", "body", "query_params", "region", "account_id"),
    )
    require("ecr" in iam_evaluator._RESOURCE_POLICY_LOOKUPS, "images", "policies of repositories")
    for function, operation in _OPERATIONS.items():
        setattr(ecr, function, operation)
    ecr._put_image = _complete_images_only(ecr._put_image)
    ecr.handle_request = _in_the_named_registry(ecr.handle_request)
    ecr.repository_policy_for_arn = _policy
    iam_actions.extract_resource_arn = _with_registries(iam_actions.extract_resource_arn)
    with request_scope(SAGEMAKER_REGISTRY, os.environ["MINISTACK_REGION"]):
        _publish(*SAGEMAKER_IMAGE)


# ---------------------------------------------------------------- whose registry


def _in_the_named_registry(original: Any) -> Any:
    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: Any
    ) -> Any:
        with request_scope(_registry(body) or get_account_id(), get_region()):
            if headers.get("x-amz-target", "").endswith(".DescribeImageScanFindings"):
                return _scan_findings(json.loads(body))
            return await original(method, path, headers, body, query_params)

    return handle_request


def _with_registries(original: Any) -> Any:
    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: Any,
        region: str,
        account_id: str,
    ) -> Any:
        owner = (service == "ecr" and _registry(body)) or account_id
        return original(service, method, path, headers, body, query_params, region, owner)

    return extract_resource_arn


def _registry(body: bytes) -> str:
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return ""
    return str(request.get("registryId") or "") if isinstance(request, dict) else ""


def _policy(arn: str) -> tuple[str, str] | None:
    """(policy, owner) of a repository, in whatever account it is."""
    _, _, service, region, account, resource = (arn.split(":", 5) + [""] * 6)[:6]
    name = resource.removeprefix("repository/")
    if service != "ecr" or ecr._repositories.get_scoped(account, region, name) is None:
        return None
    return ecr._repo_policies.get_scoped(account, region, name) or "", account


# ---------------------------------------------------------------- layers


def _check_availability(data: dict[str, Any]) -> Any:
    layers = _layers(data)
    if layers is None:
        return _no_repository(data)
    found, failures = [], []
    for digest in data.get("layerDigests", []):
        if not str(digest).startswith("sha256:"):
            failures.append({"layerDigest": digest, "failureCode": "InvalidLayerDigest"})
            continue
        there = layers.get(digest)
        found.append(
            {
                "layerDigest": digest,
                "layerAvailability": "UNAVAILABLE" if there is None else "AVAILABLE",
                "layerSize": len(there or b""),
            }
        )
    return json_response({"layers": found, "failures": failures})


def _download_url(data: dict[str, Any]) -> Any:
    layers, name, digest = _layers(data), data.get("repositoryName", ""), data.get("layerDigest")
    if layers is None:
        return _no_repository(data)
    if digest not in layers:
        return error_response_json("LayersNotFoundException", f"no layer {digest}", 400)
    registry = f"{get_account_id()}.dkr.ecr.{get_region()}.amazonaws.com"
    gateway = f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"
    url = f"{gateway}/v2/{name}/blobs/{digest}?ns={registry}"
    return json_response({"downloadUrl": url, "layerDigest": digest})


def _initiate_upload(data: dict[str, Any]) -> Any:
    if _layers(data) is None:
        return _no_repository(data)
    upload = new_uuid()
    ecr._uploads.setdefault(data["repositoryName"], {})[upload] = bytearray()
    return json_response({"uploadId": upload, "partSize": PART_SIZE})


def _upload_part(data: dict[str, Any]) -> Any:
    received = _upload(data)
    if received is None:
        return _no_upload(data)
    part = base64.b64decode(data.get("layerPartBlob") or "")
    first, last = int(data["partFirstByte"]), int(data["partLastByte"])
    if first != len(received) or last - first + 1 != len(part):
        return error_response_json(
            "InvalidLayerPartException",
            f"bytes {first} to {last}, {len(part)} of them; expected the next from {len(received)}",
            400,
        )
    received += part
    return json_response(
        {
            "registryId": get_account_id(),
            "repositoryName": data["repositoryName"],
            "uploadId": data["uploadId"],
            "lastByteReceived": last,
        }
    )


def _complete_upload(data: dict[str, Any]) -> Any:
    received, layers = _upload(data), _layers(data)
    if received is None or layers is None:
        return _no_upload(data)
    digest = "sha256:" + hashlib.sha256(received).hexdigest()
    if not received:
        return error_response_json("EmptyUploadException", "the upload has no parts", 400)
    if data.get("layerDigests") != [digest]:
        return error_response_json(
            "InvalidLayerException", f"{data.get('layerDigests')} is not {digest}", 400
        )
    if digest in layers:
        return error_response_json("LayerAlreadyExistsException", f"{digest} is there", 400)
    ecr._layer_blobs.setdefault(data["repositoryName"], {})[digest] = bytes(received)
    del ecr._uploads[data["repositoryName"]][data["uploadId"]]
    return json_response(
        {
            "registryId": get_account_id(),
            "repositoryName": data["repositoryName"],
            "uploadId": data["uploadId"],
            "layerDigest": digest,
        }
    )


def _scan_findings(data: dict[str, Any]) -> Any:
    """What ECR says of an image that nobody has scanned: nothing here scans."""
    if _layers(data) is None:
        return _no_repository(data)
    if ecr._find_image(data["repositoryName"], data.get("imageId") or {}) is None:
        return error_response_json("ImageNotFoundException", "no such image", 400)
    return error_response_json("ScanNotFoundException", "the image was never scanned", 400)


# What the emulator calls by name, and what takes its place.
_OPERATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "_batch_check_layer_availability": _check_availability,
    "_get_download_url_for_layer": _download_url,
    "_initiate_layer_upload": _initiate_upload,
    "_upload_layer_part": _upload_part,
    "_complete_layer_upload": _complete_upload,
}


def _layers(data: dict[str, Any]) -> dict[str, bytes] | None:
    """The layers of a repository; None if there is no such repository."""
    name = data.get("repositoryName", "")
    if name not in ecr._repositories:
        return None
    layers: dict[str, bytes] = ecr._layer_blobs.get(name, {})
    return layers


def _upload(data: dict[str, Any]) -> bytearray | None:
    uploads: dict[str, bytearray] = ecr._uploads.get(data.get("repositoryName", ""), {})
    return uploads.get(data.get("uploadId", ""))


def _no_repository(data: dict[str, Any]) -> Any:
    return error_response_json(
        "RepositoryNotFoundException",
        f"The repository with name '{data.get('repositoryName')}' does not exist",
        400,
    )


def _no_upload(data: dict[str, Any]) -> Any:
    return error_response_json(
        "UploadNotFoundException", f"no upload {data.get('uploadId')} of this repository", 400
    )


# ---------------------------------------------------------------- images


def _complete_images_only(original: Any) -> Any:
    """PutImage refuses an image whose layers are not there, or whose digest is another."""

    def _put_image(data: dict[str, Any]) -> Any:
        layers, manifest = _layers(data), data.get("imageManifest", "")
        if layers is None:
            return original(data)
        digest = ecr._image_digest(manifest)
        if data.get("imageDigest", digest) != digest:
            return error_response_json(
                "ImageDigestDoesNotMatchException", f"the manifest's digest is {digest}", 400
            )
        missing = [named for named in _named(manifest) if named not in layers]
        if missing and not _of_images(data, missing):
            return error_response_json(
                "LayersNotFoundException", f"not in the repository: {', '.join(missing)}", 400
            )
        tag = {"imageTag": data["imageTag"]} if data.get("imageTag") else {"imageDigest": digest}
        there = ecr._find_image(data["repositoryName"], tag)
        if there is not None and there["imageDigest"] == digest:
            return error_response_json("ImageAlreadyExistsException", f"{digest} is there", 400)
        return original(data)

    return _put_image


def _of_images(data: dict[str, Any], digests: list[str]) -> bool:
    """True if all of them are images of the repository: what a manifest of manifests names."""
    name = data["repositoryName"]
    return all(ecr._find_image(name, {"imageDigest": digest}) for digest in digests)


def _named(manifest: str) -> list[str]:
    parsed = json.loads(manifest)
    if any(kind in str(parsed.get("mediaType")) for kind in _LISTS):
        return [str(one["digest"]) for one in parsed["manifests"]]
    return [str(one["digest"]) for one in [parsed["config"], *parsed["layers"]]]


def _publish(repository: str, tag: str) -> None:
    """An image that everybody may pull, as AWS's are."""
    ecr._create_repository({"repositoryName": repository})
    ecr._repo_policies[repository] = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                }
            ],
        }
    )
    layers, manifest = stand_in(repository, tag)
    ecr._layer_blobs[repository] = layers
    ecr._put_image({"repositoryName": repository, "imageTag": tag, "imageManifest": manifest})


def stand_in(repository: str, tag: str) -> tuple[dict[str, bytes], str]:
    """(content by digest, manifest) of what is published in the place of an image."""
    said = f"stands for {repository}:{tag} in the embedded AWS\n".encode()
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {}}).encode()
    stored = {"sha256:" + hashlib.sha256(one).hexdigest(): one for one in (config, said)}
    kind = "application/vnd.docker"
    types = (f"{kind}.container.image.v1+json", f"{kind}.image.rootfs.diff.tar.gzip")
    described = [
        {"mediaType": media_type, "size": len(content), "digest": digest}
        for media_type, (digest, content) in zip(types, stored.items(), strict=True)
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.distribution.manifest.v2+json",
        "config": described[0],
        "layers": described[1:],
    }
    return stored, json.dumps(manifest)
