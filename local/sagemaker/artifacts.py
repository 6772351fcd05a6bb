"""Model artefacts: fetched from S3 as the execution role may, unpacked so that no harm is done."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from local.sagemaker import roles
from local.seams import calls

_CHUNK = 1 << 20
_MEMBERS = 10_000
_BYTES = 4 << 30  # unpacked; far above any model that a laptop serves


class ArtifactError(Exception):
    """The artefact cannot be had or cannot be used; the text says why."""


def model_data_url(container: dict[str, Any]) -> str | None:
    """The s3:// URL of a container's model.tar.gz, None for a container without model data.

    ArtifactError for model data of a form that is not served here.
    """
    source = (container.get("ModelDataSource") or {}).get("S3DataSource")
    if not source:
        url: str | None = container.get("ModelDataUrl")
        return url
    form = (source["S3DataType"], source["CompressionType"])
    if form != ("S3Object", "Gzip"):
        raise ArtifactError(
            f"The embedded AWS serves a model.tar.gz (S3Object, Gzip), not {', '.join(form)}"
        )
    return str(source["S3Uri"])


def fetch(url: str, role_arn: str, target: Path) -> None:
    """Download the object as the role may, into the file `target`; ArtifactError if it may not."""
    parts = urlsplit(url)
    try:
        s3 = calls.client(roles.session(role_arn), "s3")
        body = s3.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"]
        with target.open("wb") as file:
            for chunk in body.iter_chunks(_CHUNK):
                file.write(chunk)
    except (ClientError, BotoCoreError, calls.DeniedError) as error:
        raise ArtifactError(
            f'Failed to download model data from URL: "{url}". Please ensure that there is an '
            "object located at the URL and that the role passed to CreateModel has permissions "
            f"to download the model. ({role_arn}: {error})"
        ) from error


def unpack(archive: Path, directory: Path, url: str) -> None:
    """Unpack a tar.gz; ArtifactError for what is none, is too large or reaches outside."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members, size = [], 0
            for member in tar:
                members.append(member)
                size += member.size
                if len(members) > _MEMBERS or size > _BYTES:
                    raise ArtifactError(
                        f'The model data archive from URL "{url}" has more than {_MEMBERS} '
                        f"members or {_BYTES >> 30} GiB"
                    )
            # The filter refuses absolute paths, "..", links to outside and devices.
            tar.extractall(directory, members=members, filter="data")
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise ArtifactError(
            f'Failed to extract model data archive from URL "{url}". Please ensure that the '
            f"object located at the URL is a valid tar.gz archive. ({error})"
        ) from error
