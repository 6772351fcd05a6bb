"""Clearances: the object tags that the artifacts bucket's policy asks before a member reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from governance.adapters import errors, sessions
from governance.adapters.artifacts import Artifacts
from governance.adapters.ledger import Ledger
from governance.domain import clearance

if TYPE_CHECKING:
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

    def closed_to(
        self, locations: Sequence[Mapping[str, Any]], stage: str, account: str
    ) -> list[str]:
        """The names of those objects that the stage's account may not read, by their tags."""
        wanted = {f"cleared-{stage.lower()}": "yes", f"{stage.lower()}-account": account}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            every = list(self._every(locations))
            tags = list(pool.map(self._tags_of, every))
        return [
            f"s3://{one['bucket']}/{one['key']}"
            for one, found in zip(every, tags, strict=True)
            if not wanted.items() <= found.items()
        ]

    def _tags_of(self, location: Mapping[str, Any]) -> dict[str, str]:
        bucket, key, version_id = location["bucket"], location["key"], location["version_id"]
        with errors.translated(f"read the clearance of s3://{bucket}/{key} version {version_id}"):
            answer = self._s3.get_object_tagging(Bucket=bucket, Key=key, VersionId=version_id)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

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
