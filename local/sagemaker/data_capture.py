"""Data capture: what endpoints are asked and answer, as JSON lines in S3, written by their role.

Lines wait for AWS's minute, in scaled time, and go into one object for each variant and hour. What
the role may not write is lost, as in AWS, and the log says so.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from local import clock
from local.sagemaker import roles
from local.sagemaker.store import Record
from local.seams import calls

logger = logging.getLogger("governed-path")

_FLUSH = 60  # AWS's seconds that a line may wait
_SIDES = {"Input": ("Input",), "Output": ("Output",), "InputAndOutput": ("Input", "Output")}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the lines of one variant go, and who writes them."""

    destination: str
    endpoint: str
    variant: str
    role_arn: str
    kms_key: str


@dataclass(frozen=True, slots=True)
class Message:
    """A request's or an answer's body and headers; the names of headers are in lower case."""

    headers: Mapping[str, str]
    body: bytes


def wanted(config: Record | None, draw: float) -> bool:
    """Whether an invocation is captured; `draw` is a number in [0, 1)."""
    if not config or not config.get("EnableCapture", True):
        return False
    return bool(draw * 100 < config["InitialSamplingPercentage"])


def line(config: Record, asked: Message, answered: Message, inference_id: str) -> Record:
    """One captured invocation, in AWS's layout."""
    sides = {side for option in config["CaptureOptions"] for side in _SIDES[option["CaptureMode"]]}
    data = {
        f"endpoint{side}": _side(config, message, side.upper())
        for side, message in (("Input", asked), ("Output", answered))
        if side in sides
    }
    metadata = {
        "eventId": str(uuid.uuid4()),
        "inferenceTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if inference_id:
        metadata["inferenceId"] = inference_id
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}


def _side(config: Record, message: Message, mode: str) -> Record:
    content_type = message.headers.get("content-type", "application/octet-stream")
    encoding = _encoding(config.get("CaptureContentTypeHeader") or {}, content_type)
    body = message.body
    data = (
        base64.b64encode(body).decode() if encoding == "BASE64" else body.decode(errors="replace")
    )
    return {
        "observedContentType": content_type,
        "mode": mode,
        "data": data,
        "encoding": encoding,
    }


def _encoding(header: Record, content_type: str) -> str:
    """As AWS documents it: base64 for every type that the config does not name."""
    kind = content_type.partition(";")[0].strip().lower()
    for member, encoding in (("CsvContentTypes", "CSV"), ("JsonContentTypes", "JSON")):
        if kind in {entry.lower() for entry in header.get(member, [])}:
            return encoding
    return "BASE64"


def put_object(role_arn: str, bucket: str, key: str, body: bytes, kms_key: str) -> None:
    """Write as the role may; the callers' errors are boto's, and calls.DeniedError."""
    encryption: dict[str, Any] = {}
    if kms_key:
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
    s3 = calls.client(roles.caller(role_arn), "s3")
    s3.put_object(Bucket=bucket, Key=key, Body=body, **encryption)


class Captures:
    """Lines that wait to be written, and the thread that writes them."""

    def __init__(self) -> None:
        self._lines: dict[tuple[Place, str], list[str]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, place: Place, record: Record) -> None:
        """Write the line soon."""
        hour = datetime.now(UTC).strftime("%Y/%m/%d/%H")
        with self._lock:
            self._lines.setdefault((place, hour), []).append(json.dumps(record))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="sagemaker-capture", daemon=True
                )
                self._thread.start()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            waiting, self._lines = self._lines, {}
        for (place, hour), lines in waiting.items():
            _write(place, hour, lines)

    def clear(self) -> None:
        """Forget what waits."""
        with self._lock:
            self._lines = {}

    def _run(self) -> None:
        while True:
            time.sleep(clock.scaled(_FLUSH))
            self.flush()


CAPTURES = Captures()


def _write(place: Place, hour: str, lines: list[str]) -> None:
    parts = urlsplit(place.destination)
    now = datetime.now(UTC)
    name = f"{now:%M-%S}-{now.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
    prefix = parts.path.strip("/")
    folders = [*([prefix] if prefix else []), place.endpoint, place.variant, hour]
    key = "/".join([*folders, name])
    body = "".join(f"{entry}\n" for entry in lines).encode()
    try:
        put_object(place.role_arn, parts.netloc, key, body, place.kms_key)
    except (ClientError, BotoCoreError, calls.DeniedError) as error:
        logger.warning(
            "%s captured invocations of %s are lost: %s may not write s3://%s/%s: %s",
            *(len(lines), place.endpoint, place.role_arn, parts.netloc, key, error),
        )
