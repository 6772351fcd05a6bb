"""Images as a build would push them, through ECR's own API."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from governance.domain.images import IMAGE_TYPES
from local.seams.images import PART_SIZE


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def push(ecr: Any, repository: str, *layers: bytes, tag: str = "1") -> str:
    """An image of these layers in a repository; its digest."""
    config = json.dumps({"os": "linux", "rootfs": [digest(one) for one in layers]}).encode()
    entries = [
        {"digest": _upload(ecr, repository, one), "size": len(one)} for one in (config, *layers)
    ]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE_TYPES[0],
            "config": entries[0],
            "layers": entries[1:],
        }
    )
    ecr.put_image(
        repositoryName=repository,
        imageManifest=manifest,
        imageManifestMediaType=IMAGE_TYPES[0],
        imageTag=tag,
    )
    return digest(manifest.encode())


def _upload(ecr: Any, repository: str, content: bytes) -> str:
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    for first in range(0, len(content), PART_SIZE):
        part = content[first : first + PART_SIZE]
        ecr.upload_layer_part(
            repositoryName=repository,
            uploadId=upload,
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
    ecr.complete_layer_upload(
        repositoryName=repository, uploadId=upload, layerDigests=[digest(content)]
    )
    return digest(content)
