"""Clearances: the object tags that the artifacts bucket's policy asks before a member reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import errors, sessions
from governance.adapters.artifacts import Artifacts
from governance.adapters.ledger import Ledger
from governance.domain import clearance
from governance.domain.errors import AccessError, NotFoundError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client

_AT_ONCE = 16  # S3 takes thousands a second; ten connections are what a client keeps


def write_what_is_held(
    ledger: Ledger, model: str, arn: str, candidate_id: str, objects: Sequence[Mapping[str, Any]]
) -> int:
    """Write the tags that the ledger says until it says the same before and after; how many.

    Many objects take minutes. Who wrote what was true when it began would otherwise undo what
    another has written since: a recall, above all.
    """
    before = clearance.held(list(ledger.story(model, arn)))
    while True:
        written = Clearances().write(objects, clearance.tags(model, candidate_id, before))
        after = clearance.held(list(ledger.story(model, arn)))
        if after == before:
            return written
        before = after


def unreadable(session: boto3.Session, locations: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of those objects that the session's role cannot read, by its reading them.

    One byte of each, so that S3, the bucket's policy and KMS have to say yes, and none is kept.
    """
    s3: S3Client = sessions.client(session, "s3")
    artifacts = Artifacts()
    every = [one for location in locations for one in artifacts.expand(location)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        read = list(pool.map(lambda one: _is_read(s3, one), every))
    return [
        f"s3://{one['bucket']}/{one['key']}"
        for one, found in zip(every, read, strict=True)
        if not found
    ]


def _is_read(s3: S3Client, location: Mapping[str, Any]) -> bool:
    bucket, key, version_id = location["bucket"], location["key"], location["version_id"]
    try:
        with errors.translated(f"read s3://{bucket}/{key} version {version_id}"):
            _read_a_byte(s3, bucket, key, version_id)
    except (AccessError, NotFoundError):
        return False
    return True


def _read_a_byte(s3: S3Client, bucket: str, key: str, version_id: str) -> None:
    try:
        answer = s3.get_object(Bucket=bucket, Key=key, VersionId=version_id, Range="bytes=0-0")
    except ClientError as error:
        # An object without a single byte has been asked for one, and by somebody who may.
        if errors.code_of(error) != "InvalidRange":
            raise
    else:
        answer["Body"].close()


class Clearances:
    """The tags of objects in Central, written with the function's own role."""

    def __init__(self) -> None:
        self._s3: S3Client = sessions.own_client("s3")
        self._artifacts = Artifacts()

    def write(self, locations: Sequence[Mapping[str, Any]], tags: Mapping[str, str]) -> int:
        """Give exactly the named version of every object these tags; returns how many there are.

        All of them are tried before the first error is raised: a revocation that cannot close one
        object still closes the others.
        """
        tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            written = [
                pool.submit(self._tag, location, tag_set) for location in self._every(locations)
            ]
        return sum(one.result() for one in written)

    def _every(self, locations: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for location in locations:
            yield from self._artifacts.expand(location)

    def _tag(self, location: Mapping[str, Any], tag_set: Any) -> int:
        bucket, key, version_id = location["bucket"], location["key"], location["version_id"]
        with errors.translated(f"set the clearance of s3://{bucket}/{key} version {version_id}"):
            self._s3.put_object_tagging(
                Bucket=bucket, Key=key, VersionId=version_id, Tagging={"TagSet": tag_set}
            )
        return 1
