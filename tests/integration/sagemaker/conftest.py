"""The SageMaker service in this process, called by boto3 as by any client.

Requests go from boto3's serialiser to the handler and back without a socket; account and caller
come from the access key as in the gateway. `test_on_server.py` uses the whole embedded AWS.
"""

from __future__ import annotations

import contextvars
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from ministack.services import cloudwatch, iam, sts

from local import clock, sagemaker
from local.sagemaker import artifacts, hosting, scaling
from local.sagemaker.outbox import OUTBOX
from local.seams import metrics
from tests.integration.sagemaker.support import (
    CENTRAL,
    PROD,
    REGION,
    Alarms,
    Bus,
    Client,
    Server,
    call,
)


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def service(bus: Bus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The handler, with nothing in the store before, and no process or directory after."""
    monkeypatch.setenv("MINISTACK_REGION", REGION)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield sagemaker.install(bus)
    sagemaker.reset()
    assert OUTBOX.drain()
    assert not hosting.FLEET._replicas
    assert not list(tmp_path.glob("sagemaker-endpoint-*"))
    sts.reset()
    iam.reset()
    cloudwatch.reset()


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


@pytest.fixture
def client(service: Any) -> Client:
    """client(account, service="sagemaker", key=None): a boto3 client that calls the handler."""

    def make(account: str = CENTRAL, name: str = "sagemaker", key: str | None = None) -> Any:
        access_key = key or account
        made = boto3.client(
            name,
            region_name=REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key="local",
            endpoint_url="http://sagemaker.invalid",
            # What the service refuses is tested, so boto3 must let it through.
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
        )

        def send(request: Any, **_: Any) -> AWSResponse:
            context = contextvars.copy_context()
            others = {scaling.SERVICE: scaling.handle, "cloudwatch": cloudwatch.handle_request}
            handler = others.get(name, service)
            status, headers, body = context.run(call, handler, access_key, request)
            return AWSResponse(request.url, status, headers, _Raw(body))

        made.meta.events.register("before-send", send)
        return made

    return make


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """URL -> bytes, in place of S3 for what the model servers fetch."""
    objects: dict[str, bytes] = {}

    def fetch(url: str, role_arn: str, target: Path) -> None:
        if url not in objects:
            raise artifacts.ArtifactError(f"Failed to download model data: no object {url}")
        target.write_bytes(objects[url])

    monkeypatch.setattr(artifacts, "fetch", fetch)
    return objects


@pytest.fixture
def prod(client: Client, bucket: dict[str, bytes]) -> Server:
    """Models, configs and endpoints in Prod: prod.model(name, code), prod.config(...)."""
    return Server(client(PROD), bucket)


@pytest.fixture
def alarms(service: Any, monkeypatch: pytest.MonkeyPatch) -> Alarms:
    """Alarms in Prod, looked at as the seam looks; an AWS minute is 0.6 s."""
    monkeypatch.setenv(clock.VARIABLE, "0.01")
    # Set first, so that what the seam replaces is put back.
    for name in ("_evaluate_alarm", "_record_history"):
        monkeypatch.setattr(cloudwatch, name, getattr(cloudwatch, name))
    metrics._evaluate_as_aws()
    metrics._note_changes()
    return Alarms()
