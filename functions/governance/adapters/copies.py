"""Copies into the artifacts bucket: S3 itself copies, encrypts and computes the digests.

A copy can stop anywhere and be taken up again. What has arrived with the right digest is not
copied twice, and of an object that goes in parts only the parts that are missing are copied:
its unfinished upload is found by its key. docs/adr/0013-copies.md says what ends such an upload.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from governance.adapters import errors, parallel, sessions
from governance.adapters.artifacts import Artifacts, uri_of
from governance.adapters.receipts import Known
from governance.domain import clearance, copying, locations
from governance.domain.candidate import central_prefix
from governance.domain.errors import IntegrityError, TransientError
from governance.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Transfer = Mapping[str, Any]


# S3's answers to a conditional write where something is. While something is being written there it
# answers ConditionalRequestConflict, which is tried again: nobody knows yet what will be there.
_OCCUPIED = {"PreconditionFailed", "412"}


class Copies:
    """The copies of one candidate, with the function's own role.

    `prefix` is where all its objects are in the bucket, `tags` is what each of them carries.
    """

    def __init__(self, bucket: str, prefix: str, kms_key: str, tags: Mapping[str, str]) -> None:
        self._bucket, self._prefix = bucket, prefix
        self._tags, self._kms_key = urlencode(tags), kms_key
        self._encryption: dict[str, Any] = {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": kms_key,
            "BucketKeyEnabled": True,
        }
        self._s3: S3Client = sessions.own_client("s3")
        self._central = Artifacts(kms_key=kms_key)

    @classmethod
    def of_candidate(cls, settings: Settings, model: str, candidate_id: str) -> Copies:
        """The copies of a candidate. No stage may read what they write before it is cleared."""
        return cls(
            settings.artifacts_bucket,
            prefix=central_prefix(model, candidate_id),
            kms_key=settings.kms_key_arn,
            tags=clearance.tags(model, candidate_id, {}),
        )

    # ------------------------------------------------------------------ planning

    def missing(self, transfers: Sequence[Transfer], known: Known) -> list[Transfer]:
        """Those transfers whose object is not in the bucket with the source's digest and our key.

        What is `known` by the receipt of its copy is not looked at.
        """
        there = self._central.versions_under(self._bucket, self._prefix)
        arrived: dict[str, bool] = {}
        unknown: list[Transfer] = []
        for one in transfers:
            receipt = known.get((one["key"], there.get(one["key"], "")))
            if receipt is not None:
                arrived[one["key"]] = locations.same_bytes(receipt, one["source"])
            elif one["key"] in there:
                unknown.append(one)
        looked_at = parallel.each(self.is_there, unknown)
        arrived.update(zip((one["key"] for one in unknown), looked_at, strict=True))
        return [one for one in transfers if not arrived.get(one["key"])]

    def is_there(self, transfer: Transfer) -> bool:
        """True if the object has arrived with the source's digest, under the key of the copies."""
        there = self._central.find(self._bucket, transfer["key"])
        return there is not None and locations.same_bytes(there, transfer["source"])

    def uploads(self, transfers: Iterable[Transfer]) -> dict[str, dict[str, Any]]:
        """{key: {upload_id, parts {number: size}}} of the transfers that go in parts.

        An upload that an earlier copy left unfinished is taken up; otherwise one is begun.
        """
        in_parts = [one for one in transfers if locations.is_in_parts(one["source"])]
        if not in_parts:
            return {}
        unfinished = self.unfinished()

        def upload(transfer: Transfer) -> dict[str, Any]:
            key = transfer["key"]
            if key in unfinished:
                upload_id = unfinished[key][0]
                parts = self._parts(key, upload_id)
                return {
                    "upload_id": upload_id,
                    "parts": {number: part["Size"] for number, part in parts.items()},
                }
            return {"upload_id": self._begin(key), "parts": {}}

        found = parallel.each(upload, in_parts)
        return {one["key"]: each for one, each in zip(in_parts, found, strict=True)}

    def unfinished(self) -> dict[str, list[str]]:
        """{key: upload ids, the oldest first} of uploads not completed."""
        with errors.translated(f"list the uploads to {self._name(self._prefix)}"):
            pages = self._s3.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            uploads = [one for page in pages for one in page.get("Uploads", [])]
        found: dict[str, list[str]] = {}
        for one in sorted(uploads, key=lambda one: (one["Initiated"], one["UploadId"])):
            found.setdefault(one["Key"], []).append(one["UploadId"])
        return found

    # ------------------------------------------------------------------ copying

    def copy(self, batch: Mapping[str, Any], again: bool) -> tuple[int, list[dict[str, Any]]]:
        """Copy what a batch of the plan names: how many requests that took, and what S3 answered.

        The latter are the locations of whole objects in the bucket whose digest, version and key
        the answer has proven. `again` is True if some of the batch may have been copied before: it
        is looked for first. IntegrityError if an object arrived with another digest, NotFoundError
        if a source is gone.
        """
        work: list[Callable[[], dict[str, Any] | None]] = [
            partial(self._copy_object, one, again) for one in batch["objects"]
        ]
        for part in batch["parts"]:
            there = self._parts_of(part) if again else {}
            if there is None:
                continue
            work += [
                partial(self._copy_part, part, number, first, last)
                for number, first, last in copying.ranges(part)
                if there.get(number, {}).get("Size") != last - first + 1
            ]
        made = [one for one in parallel.each(lambda do: do(), work) if one is not None]
        return len(made), [one for one in made if one]

    def _copy_object(self, transfer: Transfer, again: bool) -> dict[str, Any] | None:
        """The location of the copy, {} if the answer does not prove it; None if none was made."""
        if again and self.is_there(transfer):
            return None
        source, key = transfer["source"], transfer["key"]
        with errors.translated(f"copy {_source(source)} to {self._name(key)}"):
            try:
                result = self._ask_to_copy(transfer, IfNoneMatch="*")
            except ClientError as error:
                if errors.code_of(error) not in _OCCUPIED:
                    raise
                # Another run of the same candidate was first, or something else is there.
                if self.is_there(transfer):
                    return None
                result = self._ask_to_copy(transfer)
        told = result["CopyObjectResult"].get("ChecksumSHA256", "")
        arrived = base64.b64decode(told).hex()
        if arrived != source["sha256"]:
            raise IntegrityError(
                f"the copy of {_source(source)} has sha256 {arrived or 'none'}; registered is "
                f"{source['sha256']}; the object is not the one that was registered: register a "
                "new version"
            )
        version = result.get("VersionId")
        if not version or result.get("SSEKMSKeyId") != self._kms_key:
            return {}
        return {
            "bucket": self._bucket,
            "key": key,
            "version_id": version,
            "size": source["size"],
            "sha256": arrived,
        }

    def _ask_to_copy(self, transfer: Transfer, **condition: Any) -> Mapping[str, Any]:
        return self._s3.copy_object(
            CopySource=_copy_source(transfer["source"]),
            Bucket=self._bucket,
            Key=transfer["key"],
            ChecksumAlgorithm="SHA256",
            TaggingDirective="REPLACE",
            Tagging=self._tags,
            **self._encryption,
            **condition,
        )

    def _copy_part(
        self, part: Mapping[str, Any], number: int, first: int, last: int
    ) -> dict[str, Any]:
        source, key = part["source"], part["key"]
        with errors.translated(f"copy part {number} of {_source(source)} to {self._name(key)}"):
            self._s3.upload_part_copy(
                CopySource=_copy_source(source),
                CopySourceRange=f"bytes={first}-{last}",
                Bucket=self._bucket,
                Key=key,
                UploadId=part["upload_id"],
                PartNumber=number,
            )
        return {}

    def _parts_of(self, part: Mapping[str, Any]) -> Mapping[int, Any] | None:
        """The parts that the upload has; None if it was completed, by another run of the copy."""
        try:
            return self._parts(part["key"], part["upload_id"])
        except TransientError:
            if self.is_there(part):
                return None
            raise

    # ------------------------------------------------------------------ arriving

    def complete(self, transfers: Iterable[Transfer]) -> None:
        """Make objects of the uploads of those transfers that go in parts.

        The composite is compared before, so an object with other bytes never appears.
        IntegrityError if it differs, TransientError if parts are missing: the next run copies them.
        """
        in_parts = [one for one in transfers if locations.is_in_parts(one["source"])]
        if not in_parts:
            return
        unfinished = self.unfinished()
        parallel.each(lambda one: self._complete(one, unfinished.get(one["key"], [])), in_parts)

    def _complete(self, transfer: Transfer, upload_ids: Sequence[str]) -> None:
        source, key = transfer["source"], transfer["key"]
        if self.is_there(transfer):
            self._end(key, upload_ids)
            return
        expected = {
            number: last - first + 1
            for number, first, last in locations.part_ranges(source["part_sizes"])
        }
        # Two runs that began at once have an upload each; whichever is whole first counts.
        upload_id, parts, lacking = "", {}, list(expected)
        for candidate in upload_ids:
            found = self._parts(key, candidate)
            missing = [n for n, size in expected.items() if found.get(n, {}).get("Size") != size]
            if len(missing) < len(lacking):
                upload_id, parts, lacking = candidate, found, missing
        if lacking:
            raise TransientError(
                f"{self._name(key)} lacks {len(lacking)} of {len(expected)} parts, the first is "
                f"{lacking[0]}; approve the version again: the copy goes on with what is missing"
            )
        digests = [base64.b64decode(parts[n].get("ChecksumSHA256", "")).hex() for n in expected]
        arrived = locations.composite(digests)
        if arrived != source["sha256"]:
            raise IntegrityError(
                f"the parts of {_source(source)} arrived with sha256 {arrived}; registered is "
                f"{source['sha256']}; the object is not the one that was registered: register a "
                "new version"
            )
        arrived_parts = [{"PartNumber": n, **_proof(parts[n])} for n in expected]
        made = self._make(transfer, upload_id, arrived_parts)
        self._end(key, [each for each in upload_ids if each != made])

    def _make(self, transfer: Transfer, upload_id: str, parts: Sequence[Any]) -> str:
        """Make the object of an upload; its id, "" if another run of the candidate was first."""
        key = transfer["key"]
        with errors.translated(f"complete the upload of {self._name(key)}"):
            try:
                self._ask_to_complete(key, upload_id, parts, IfNoneMatch="*")
            except ClientError as error:
                if errors.code_of(error) not in _OCCUPIED:
                    raise
                # A second version would be open to nobody; but something else may be there.
                if self.is_there(transfer):
                    return ""
                self._ask_to_complete(key, upload_id, parts)
        return upload_id

    def _ask_to_complete(
        self, key: str, upload_id: str, parts: Sequence[Any], **condition: Any
    ) -> None:
        self._s3.complete_multipart_upload(
            Bucket=self._bucket,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            **condition,
        )

    def _end(self, key: str, upload_ids: Iterable[str]) -> None:
        """End uploads of an object that is there: nobody completes them any more."""
        for upload_id in upload_ids:
            self._abort(key, upload_id)

    def abandon(self) -> int:
        """End every unfinished upload of the candidate; how many there were."""
        uploads = [(key, each) for key, ids in self.unfinished().items() for each in ids]
        parallel.each(lambda upload: self._abort(*upload), uploads)
        return len(uploads)

    # ------------------------------------------------------------------ requests

    def _begin(self, key: str) -> str:
        with errors.translated(f"begin the upload of {self._name(key)}"):
            return self._s3.create_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                ChecksumAlgorithm="SHA256",
                ChecksumType="COMPOSITE",
                Tagging=self._tags,
                **self._encryption,
            )["UploadId"]

    def _parts(self, key: str, upload_id: str) -> dict[int, dict[str, Any]]:
        with errors.translated(f"list the parts of {self._name(key)}"):
            pages = self._s3.get_paginator("list_parts").paginate(
                Bucket=self._bucket, Key=key, UploadId=upload_id
            )
            return {
                int(part["PartNumber"]): dict(part)
                for page in pages
                for part in page.get("Parts", [])
            }

    def _abort(self, key: str, upload_id: str) -> None:
        try:
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
        except ClientError as error:
            if errors.code_of(error) != "NoSuchUpload":
                raise errors.translate(error, f"end the upload of {self._name(key)}") from error

    def _name(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"


def _proof(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: part[key] for key in ("ETag", "ChecksumSHA256")}


def _source(source: Mapping[str, Any]) -> str:
    return f"{uri_of(source)} version {source['version_id']}"


def _copy_source(source: Mapping[str, Any]) -> Any:
    return {
        "Bucket": source["bucket"],
        "Key": source["key"],
        "VersionId": source["version_id"],
    }
