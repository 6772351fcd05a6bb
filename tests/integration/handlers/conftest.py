"""Stores for the handlers: S3, DynamoDB, KMS, STS and EventBridge of the emulator, with S3's
copies as the embedded AWS makes them.

The deployed system is tested in tests/e2e; here a handler runs in this process, as a Lambda
would, with the variables that template.yaml gives it.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from governance.adapters import sessions, signing
from governance.domain import attestations

# Taken here, since a test may put something else in their place.
MADE_ONCE = (sessions.own_client, sessions._own_session, signing._signer)

CENTRAL, DEV, TEST = "111122223333", "444455556666", "777788889999"
REGION = "us-east-1"
EXTERNAL_ID = "governed-path"
TABLES = {
    "claims": {"claim_id": "S"},
    "project-directory": {"model": "S"},
    "candidates": {"candidate_id": "S", "model": "S"},
    "parts": {"part": "S", "holder": "S"},
    "ledger": {"model": "S", "sequence": "N"},
    "ledger-heads": {"model": "S"},
    "endpoint-waits": {"endpoint_arn": "S"},
    "endpoint-locks": {"resource_arn": "S"},
    "confirmations": {"decision": "S", "item": "S"},
}
INDEXED = dict.fromkeys(attestations.INDEXES, "S")
LEDGER_INDEXES = {
    "LocalSecondaryIndexes": [
        {
            "IndexName": attribute.replace("_", "-"),
            "KeySchema": [
                {"AttributeName": "model", "KeyType": "HASH"},
                {"AttributeName": attribute, "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
        for attribute in INDEXED
    ]
}
ARTIFACTS, EVIDENCE = "governed-path-artifacts", "governed-path-evidence"
LEDGER = "governed-path-ledger"
PROJECT = "governed-path-project"
ROOT = Path(__file__).parents[3]
# The other seams ask roles and policies that are not made here.
EMULATOR = """
from local.seams import images, object_copies
from ministack.app import main

object_copies.install()
images.install()
main()
"""


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator in a process group of its own; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("aws")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "PYTHONPATH": str(ROOT),
        "LOG_LEVEL": "WARNING",
    }
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", EMULATOR],
            env=environment,
            cwd=home,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _await_health(url, server, home / "log")
        yield url
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _await_health(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/_ministack/health", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the emulator did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def aws(gateway: str) -> Callable[[str, str], Any]:
    """aws(service, account): a client with that account's root credentials."""

    def client(service: str, account: str = CENTRAL) -> Any:
        return boto3.client(
            service,
            endpoint_url=gateway,
            region_name=REGION,
            aws_access_key_id=account,
            aws_secret_access_key="local",
        )

    return client


@pytest.fixture(scope="session")
def key_arn(aws: Callable[..., Any]) -> str:
    return str(aws("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture(scope="session")
def signing_key_arn(aws: Callable[..., Any]) -> str:
    created = aws("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    return str(created["KeyMetadata"]["Arn"])


@pytest.fixture(scope="session")
def stores(aws: Callable[..., Any]) -> None:
    """The tables, buckets and bus of the hub, and a project bucket in Dev."""
    dynamodb = aws("dynamodb")
    for name, keys in TABLES.items():
        dynamodb.create_table(
            TableName=f"governed-path-{name}",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": kind}
                for key, kind in (keys | (INDEXED if name == "ledger" else {})).items()
            ],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind}
                for key, kind in zip(keys, ["HASH", "RANGE"], strict=False)
            ],
            **(LEDGER_INDEXES if name == "ledger" else {}),
        )
    for bucket, account in ((ARTIFACTS, CENTRAL), (EVIDENCE, CENTRAL), (PROJECT, DEV)):
        s3 = aws("s3", account)
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    governance = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    aws("s3").put_object_lock_configuration(
        Bucket=ARTIFACTS,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": governance},
    )
    aws("s3").create_bucket(Bucket=LEDGER, ObjectLockEnabledForBucket=True)
    retention = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    aws("s3").put_object_lock_configuration(
        Bucket=LEDGER,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": retention},
    )
    aws("events").create_event_bus(Name="governed-path")
    for account, role in (
        (CENTRAL, "governed-path-registry"),
        (CENTRAL, "governed-path-lineage"),
        (CENTRAL, "governed-path-hub"),
        (DEV, "governed-path-hub"),
        (CENTRAL, "governed-path-endpoint-execution"),
    ):
        _create_role(aws("iam", account), role)
    # Here Prod is Central too, so that what is not cleared has to be denied.
    closed = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:GetObjectVersion"],
        "Resource": f"arn:aws:s3:::{ARTIFACTS}/models/*",
        "Condition": {
            # The emulator without its seams says the session's ARN.
            "ArnLike": {
                "aws:PrincipalArn": f"arn:aws:*::{CENTRAL}:*role/governed-path-endpoint-execution*"
            },
            "StringNotEquals": {"s3:ExistingObjectTag/cleared-prod": "yes"},
        },
    }
    aws("s3").put_bucket_policy(
        Bucket=ARTIFACTS, Policy=json.dumps({"Version": "2012-10-17", "Statement": [closed]})
    )


def _create_role(iam: Any, name: str) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{CENTRAL}:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    iam.put_role_policy(
        RoleName=name,
        PolicyName="all",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )


@pytest.fixture
def lambdas(
    gateway: str,
    stores: None,
    key_arn: str,
    signing_key_arn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Any]]:
    """lambdas(name): that function's handler, with the environment of the deployed one."""
    for name, value in {
        "CLAIMS_TABLE": "governed-path-claims",
        "PROJECT_DIRECTORY_TABLE": "governed-path-project-directory",
        "CANDIDATES_TABLE": "governed-path-candidates",
        "PARTS_TABLE": "governed-path-parts",
        "LEDGER_TABLE": "governed-path-ledger",
        "LEDGER_HEADS_TABLE": "governed-path-ledger-heads",
        "ENDPOINT_WAITS_TABLE": "governed-path-endpoint-waits",
        "ENDPOINT_LOCKS_TABLE": "governed-path-endpoint-locks",
        "CONFIRMATIONS_TABLE": "governed-path-confirmations",
        "ARTIFACTS_BUCKET": ARTIFACTS,
        "EVIDENCE_BUCKET": EVIDENCE,
        "LEDGER_BUCKET": LEDGER,
        "IMAGES_REPOSITORY_URI": f"{CENTRAL}.dkr.ecr.{REGION}.amazonaws.com/governed-path/images",
        "KMS_KEY_ARN": key_arn,
        "LEDGER_KEY_ARN": signing_key_arn,
        "EVENT_BUS_NAME": "governed-path",
        "REGISTRY_ACCOUNT_ID": CENTRAL,
        "REGISTRY_ROLE_NAME": "governed-path-registry",
        "LINEAGE_ROLE_NAME": "governed-path-lineage",
        "HUB_ROLE_NAME": "governed-path-hub",
        "HUB_EXTERNAL_ID": EXTERNAL_ID,
        "ENDPOINT_EXECUTION_ROLE_NAME": "governed-path-endpoint-execution",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": gateway,
        "AWS_ACCESS_KEY_ID": CENTRAL,
        "AWS_SECRET_ACCESS_KEY": "local",
    }.items():
        monkeypatch.setenv(name, value)
    _forget_own_clients()

    def handler(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        module = importlib.import_module(f"governance.handlers.{name}")
        return lambda event: module.handler(event, None)

    yield handler
    _forget_own_clients()


def _forget_own_clients() -> None:
    """Another test may run against another endpoint; a Lambda's process never does."""
    for made_once in MADE_ONCE:
        made_once.cache_clear()


class Waiting:
    """An execution that waits with a real task token."""

    def __init__(self, aws: Callable[..., Any], machine: str, queue: str) -> None:
        self._aws = aws
        self._execution = aws("stepfunctions").start_execution(stateMachineArn=machine, input="{}")
        self.token = self._receive(queue)

    def _receive(self, queue: str) -> str:
        (message,) = self._aws("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)[
            "Messages"
        ]
        self._aws("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return str(json.loads(message["Body"])["token"])

    def answer(self, within: float = 5.0) -> dict[str, Any] | None:
        """What the execution ended with, or None if it still waits."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            found = self._aws("stepfunctions").describe_execution(
                executionArn=self._execution["executionArn"]
            )
            if found["status"] == "SUCCEEDED":
                answer: dict[str, Any] = json.loads(found["output"])
                return answer
            assert found["status"] == "RUNNING"
            time.sleep(0.05)
        return None


@pytest.fixture(scope="session")
def machine(aws: Callable[..., Any], stores: None) -> tuple[str, str]:
    """A state machine that sends its task token to a queue and waits; (machine, queue)."""
    queue = aws("sqs").create_queue(QueueName="tokens")["QueueUrl"]
    role = aws("iam").create_role(
        RoleName="waiting-machine",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "states.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        ),
    )["Role"]["Arn"]
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Wait",
        "States": {
            "Wait": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "Arguments": {
                    "QueueUrl": queue,
                    "MessageBody": {"token": "{% $states.context.Task.Token %}"},
                },
                "End": True,
            }
        },
    }
    machine = aws("stepfunctions").create_state_machine(
        name="waiting", definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]
    return machine, queue


@pytest.fixture
def waiting(aws: Callable[..., Any], machine: tuple[str, str]) -> Waiting:
    return Waiting(aws, *machine)
