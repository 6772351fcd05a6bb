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

    It ends with "/" if the model is what is under it, uncompressed. ArtifactError for model data
    of a form that is not served here.
    """
    source = (container.get("ModelDataSource") or {}).get("S3DataSource")
    if not source:
        url: str | None = container.get("ModelDataUrl")
        return url
    form, url = (source["S3DataType"], source["CompressionType"]), str(source["S3Uri"])
    under_prefix = form == ("S3Prefix", "None")
    if not (under_prefix or form == ("S3Object", "Gzip")) or url.endswith("/") != under_prefix:
        raise ArtifactError(
            "The embedded AWS serves a model.tar.gz (S3Object, Gzip) or what is under a prefix "
            f"that ends with '/' (S3Prefix, None), not {url} ({', '.join(form)})"
        )
    return url


def fetch(url: str, role_arn: str, target: Path) -> None:
    """Download the object as the role may, into the file `target`; ArtifactError if it may not."""
    parts = urlsplit(url)
    try:
        s3 = calls.client(roles.caller(role_arn), "s3")
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


def keys_under(url: str, role_arn: str) -> list[str]:
    """The keys under a prefix that the role may list; ArtifactError if it may not."""
    parts = urlsplit(url)
    try:
        s3 = calls.client(roles.caller(role_arn), "s3")
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=parts.netloc, Prefix=parts.path.lstrip("/")
        )
        return [str(one["Key"]) for page in pages for one in page.get("Contents", [])]
    except (ClientError, BotoCoreError, calls.DeniedError) as error:
        raise ArtifactError(
            f'Failed to list model data at URL: "{url}". ({role_arn}: {error})'
        ) from error


def fetch_all(url: str, role_arn: str, directory: Path) -> None:
    """Download what is under a prefix as the role may; ArtifactError if it may not.

    Also if there is nothing, or a key would be a file outside of the directory.
    """
    parts = urlsplit(url)
    files = [key for key in keys_under(url, role_arn) if not key.endswith("/")]
    if not files or len(files) > _MEMBERS:
        raise ArtifactError(f'{len(files)} objects at URL "{url}"; expected 1 to {_MEMBERS}')
    for key in files:
        target = (directory / key.removeprefix(parts.path.lstrip("/"))).resolve()
        if not target.is_relative_to(directory.resolve()):
            raise ArtifactError(f'The key {key} of the model data at URL "{url}" is no file name')
        target.parent.mkdir(parents=True, exist_ok=True)
        fetch(f"s3://{parts.netloc}/{key}", role_arn, target)


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
