"""Calls to a live endpoint: what it answered, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from governance.adapters import errors, sessions

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

JSON = "application/json"
_GIVEN = 60  # seconds; SageMaker itself answers for a model that has not by then
# So many calls that hung tell enough, and a suite has no longer than its function.
_MOST_HANGS, _PATIENCE = 3, 780  # seconds from the first call on
# One attempt: a retry would hide a model's error and spoil a measured time. The state machine
# repeats the whole suite when the transport fails.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=5,
    read_timeout=_GIVEN + 10,  # the model's failure must come before our own
    max_pool_connections=32,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model's container answered: HTTP status, body, its content type, and the time.

    Status 0 means that it did not answer in time, or was not asked any more after that.
    """

    status: int
    body: bytes
    content_type: str
    milliseconds: float


class Runtime:
    """One endpoint, called as its clients call it.

    One that hangs is given up: its suite fails then, which is an answer, before the function's time
    is over, which would be none.
    """

    _hung = 0
    _until: float | None = None

    def __init__(self, session: boto3.Session, endpoint_name: str) -> None:
        self._name = endpoint_name
        self._runtime: SageMakerRuntimeClient = sessions.client(
            session, "sagemaker-runtime", _CONFIG
        )

    def invoke(self, body: bytes, content_type: str = JSON) -> Answer:
        """Send the body; an error status of the model is an Answer, not an exception.

        NotFoundError if there is no such endpoint, TransientError if it could not be reached.
        """
        started = time.perf_counter()
        if self._until is None:
            self._until = started + _PATIENCE
        if self._hung >= _MOST_HANGS or started > self._until:
            said = f"not asked any more: {self._hung} calls hung, or the suite took {_PATIENCE} s"
            return Answer(0, said.encode(), "", _GIVEN * 1000.0)
        with errors.translated(f"invoke endpoint {self._name}"):
            try:
                answer = self._runtime.invoke_endpoint(
                    EndpointName=self._name, Body=body, ContentType=content_type, Accept=JSON
                )
                content, kind, status = answer["Body"].read(), answer.get("ContentType", ""), 200
            except ClientError as error:
                if errors.code_of(error) != "ModelError":
                    raise
                # The container's own status; the message is what it said.
                reply: Mapping[str, Any] = error.response
                status = int(reply.get("OriginalStatusCode", 500))
                self._hung += time.perf_counter() - started >= _GIVEN
                content = str(reply.get("OriginalMessage", "")).encode()
                kind = ""
        return Answer(status, content, kind, (time.perf_counter() - started) * 1000)

    def invoke_all(self, bodies: Sequence[bytes], workers: int) -> list[Answer]:
        """Send all bodies, `workers` at a time; the answers in the order of the bodies."""
        with ThreadPoolExecutor(max_workers=workers) as pool:
            return list(pool.map(self.invoke, bodies))
