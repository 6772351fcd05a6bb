"""What the tests of the embedded AWS share: clients, roles, functions, machines, patience."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from local import organisation

CENTRAL, DEV, TEST, PROD = (
    organisation.ACCOUNTS[name] for name in ("central", "dev", "test", "prod")
)
REGION = organisation.REGION
EVENTS, STATES, LAMBDA, SAGEMAKER = (
    f"{service}.amazonaws.com" for service in ("events", "states", "lambda", "sagemaker")
)
_PATIENCE = 15.0  # seconds; everything here takes far less on an idle machine


def allow(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def root_of(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


def denied(code: str = "AccessDenied") -> Any:
    return pytest.raises(ClientError, match=code)


def eventually(ask: Callable[[], Any], seconds: float = _PATIENCE) -> Any:
    """The first answer that is true; AssertionError with the last one if none is in time."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {answer!r} after {seconds:g} s")
        time.sleep(0.05)
    return answer


@cache
def _client(endpoint_url: str, service: str, who: str | boto3.Session) -> Any:
    # Kept, because boto3 takes longer to make one than the embedded AWS to answer it.
    session = _root(who) if isinstance(who, str) else who
    return session.client(service, endpoint_url=endpoint_url)


@cache
def _root(account: str) -> boto3.Session:
    return organisation.root_session(account)


def marked(directory: Any) -> list[psutil.Process]:
    """Every process that was started with this state directory, by itself or by its parents."""
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get("GOVERNED_PATH_STATE")
            if mark == str(directory) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@dataclass(frozen=True)
class Aws:
    """The embedded AWS as its clients see it."""

    endpoint_url: str

    def client(self, service: str, who: str | boto3.Session = CENTRAL) -> Any:
        """boto3's client, for the root of an account or a session."""
        return _client(self.endpoint_url, service, who)

    def role(
        self,
        account: str,
        name: str,
        *statements: dict[str, Any],
        trusts: str | dict[str, Any] = "",
    ) -> str:
        """A role with these permissions, for a service, or for whom `trusts` says; its ARN."""
        if not isinstance(trusts, dict):
            principal = {"Service": trusts} if trusts else {"AWS": root_of(account)}
            trusts = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        iam = self.client("iam", account)
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trusts))
        if statements:
            iam.put_role_policy(
                RoleName=name, PolicyName="all", PolicyDocument=document(*statements)
            )
        return f"arn:aws:iam::{account}:role/{name}"

    def assume(self, role: str, name: str = "somebody") -> boto3.Session:
        """A session of the role, assumed by the root of its account."""
        root = _root(role.split(":")[4])
        return organisation.assume(root, role, self.endpoint_url, name)

    def queue(self, account: str, name: str) -> Queue:
        sqs = self.client("sqs", account)
        return Queue(sqs, sqs.create_queue(QueueName=name)["QueueUrl"], account, name)

    def function(self, account: str, name: str, code: str, *statements: dict[str, Any]) -> str:
        """A Lambda with that source; its ARN."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", code)
        answer = self.client("lambda", account).create_function(
            FunctionName=name,
            Runtime="python3.11",
            Handler="index.handler",
            Role=self.role(account, f"{name}-function", *statements, trusts=LAMBDA),
            Code={"ZipFile": archive.getvalue()},
            Timeout=30,
        )
        return str(answer["FunctionArn"])

    def machine(
        self, account: str, name: str, states: dict[str, Any], *statements: dict[str, Any]
    ) -> str:
        """A JSONata state machine that starts at its first state; its ARN."""
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
        answer = self.client("stepfunctions", account).create_state_machine(
            name=name,
            definition=json.dumps(definition),
            roleArn=self.role(account, f"{name}-machine", *statements, trusts=STATES),
        )
        return str(answer["stateMachineArn"])

    def run(self, machine: str, data: Any = None) -> dict[str, Any]:
        """The execution when it has ended."""
        client = self.client("stepfunctions", machine.split(":")[4])
        started = client.start_execution(stateMachineArn=machine, input=json.dumps(data or {}))
        return self.ended(started["executionArn"])

    def ended(self, execution: str) -> dict[str, Any]:
        client = self.client("stepfunctions", execution.split(":")[4])

        def look() -> Any:
            found = client.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        found: dict[str, Any] = eventually(look)
        return found


@dataclass(frozen=True)
class Queue:
    sqs: Any
    url: str
    account: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{REGION}:{self.account}:{self.name}"

    def message(self) -> dict[str, Any]:
        """The next message, which is then gone."""
        message: dict[str, Any] = eventually(self._receive)
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return message

    def body(self) -> Any:
        """What the next message says."""
        return json.loads(self.message()["Body"])

    def is_empty(self) -> bool:
        return self._receive() is None

    def _receive(self) -> Any:
        found = self.sqs.receive_message(QueueUrl=self.url, MessageAttributeNames=["All"])
        return next(iter(found.get("Messages", [])), None)
