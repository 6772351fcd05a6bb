"""Large objects are in files that nobody has to remove, and are read as any other."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from local import launcher
from local.seams.large_objects import LARGE
from tests.integration.local.support import CENTRAL, Aws, eventually

BUCKET = "large-objects"
SIZE = LARGE + 1


@pytest.fixture(scope="module")
def s3(aws: Aws) -> Any:
    client = aws.client("s3", CENTRAL)
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.fixture(scope="module")
def body() -> bytes:
    return os.urandom(SIZE)


def mapped(server: launcher.Server) -> int:
    """How many files below its state the server has mapped that nobody can find by name."""
    maps = psutil.Process(server.pid).memory_maps(grouped=True)
    tmp = str(Path(server.state_dir) / "tmp")
    return len([one for one in maps if one.path.startswith(tmp) and not Path(one.path).exists()])


def test_every_way_in_and_out_has_the_same_bytes(
    s3: Any, server: launcher.Server, body: bytes
) -> None:
    before, digest = mapped(server), hashlib.sha256(body).hexdigest()

    def read(key: str, **more: str) -> bytes:
        return bytes(s3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read())

    s3.put_object(Bucket=BUCKET, Key="one", Body=body, ChecksumAlgorithm="SHA256")
    first = s3.head_object(Bucket=BUCKET, Key="one")["VersionId"]
    assert hashlib.sha256(read("one")).hexdigest() == digest
    assert read("one", Range="bytes=5-9") == body[5:10]
    # A copy has the same file, also of a range; what is sent has one, what is joined another.
    source = {"Bucket": BUCKET, "Key": "one", "VersionId": first}
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=source, ChecksumAlgorithm="SHA256")
    assert mapped(server) == before + 1
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts", ChecksumAlgorithm="SHA256")
    part = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload["UploadId"]}
    sent = s3.upload_part(**part, PartNumber=1, Body=body, ChecksumAlgorithm="SHA256")
    every = f"bytes=1-{SIZE - 1}"
    copied = s3.upload_part_copy(**part, PartNumber=2, CopySource=source, CopySourceRange=every)[
        "CopyPartResult"
    ]
    assert copied["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(body[1:]).digest()).decode()
    assert mapped(server) == before + 2
    parts = [
        {"PartNumber": n, **{key: one[key] for key in ("ETag", "ChecksumSHA256")}}
        for n, one in enumerate((sent, copied), 1)
    ]
    made = s3.complete_multipart_upload(**part, MultipartUpload={"Parts": parts})
    digests = hashlib.md5(body).digest() + hashlib.md5(body[1:]).digest()
    assert made["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    assert read("parts") == body + body[1:]
    assert eventually(lambda: mapped(server) == before + 2)
    # Another version takes nothing away from the first.
    s3.put_object(Bucket=BUCKET, Key="one", Body=b"small")
    assert (read("one"), read("one", VersionId=first), read("copy")) == (b"small", body, body)
    # What nobody can read any more is nowhere.
    for key in ("one", "copy", "parts"):
        for version in s3.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"]:
            s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version["VersionId"])
    assert eventually(lambda: mapped(server) == before)


def test_what_is_small_has_no_file(s3: Any, server: launcher.Server) -> None:
    before = mapped(server)
    s3.put_object(Bucket=BUCKET, Key="small", Body=b"s" * (LARGE - 1))
    assert mapped(server) == before


def test_a_server_that_was_ended_leaves_no_file(tmp_path: Path) -> None:
    server = launcher.up(tmp_path / "state")
    try:
        s3 = Aws(server.endpoint_url).client("s3", CENTRAL)
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="one", Body=bytes(SIZE))
        assert [each for each in (tmp_path / "state" / "tmp").rglob("*") if each.is_file()] == []
    finally:
        launcher.down(tmp_path / "state")
    assert not (tmp_path / "state").exists()
