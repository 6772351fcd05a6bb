"""The ledger's archive: objects that nobody can change or delete until their retention ends."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from governance.adapters import errors, sessions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Kept(NamedTuple):
    """How many of the first objects are done, and what stopped the next ("" if nothing did).

    `others` are the keys under which the archive has other bytes.
    """

    done: int
    others: list[str]
    problem: str


class Archive:
    """The bucket of envelopes, locked by its default retention in compliance mode."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._s3: S3Client = sessions.own_client("s3")

    def keep(self, objects: Sequence[tuple[str, str]]) -> Kept:
        """Write each (key, envelope) unless the key is taken, in order, until one cannot be."""
        others: list[str] = []
        for done, (key, envelope) in enumerate(objects):
            try:
                if not self._put(key, envelope.encode()):
                    others.append(key)
            except (ClientError, BotoCoreError) as error:
                what = f"archive s3://{self._bucket}/{key}"
                return Kept(done, others, str(errors.translate(error, what)))
        return Kept(len(objects), others, "")

    def _put(self, key: str, body: bytes) -> bool:
        """True if the archive has these bytes under the key, written now or before."""
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType="application/json",
                ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode(),
                IfNoneMatch="*",
            )
        except ClientError as error:
            if errors.code_of(error) != "PreconditionFailed":
                raise
            return bool(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read() == body)
        return True
