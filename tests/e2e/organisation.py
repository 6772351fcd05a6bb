"""The deployed organisation as its people see it: sessions, decisions, what they can look up.

Everything here goes through public AWS APIs at the gateway, with the credentials of a role; where
a test needs what no persona may do (delete an artefact, subscribe a queue), it is the root of the
account and says so.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.exceptions import ClientError

from cli import approvals, ledger, provisioning
from cli.target import Target, at_endpoint, local_target
from local import organisation as places
from local.launcher import Server

REGION = places.REGION
CENTRAL, DEV, TEST, PROD = (places.ACCOUNTS[name] for name in ("central", "dev", "test", "prod"))
PROJECT_BUCKET = f"governed-path-project-{DEV}-{REGION}"
ARTIFACTS_BUCKET = f"governed-path-artifacts-{CENTRAL}-{REGION}"
EVIDENCE_BUCKET = f"governed-path-evidence-{CENTRAL}-{REGION}"
TRAINER = "theo"
REASON = "Test report read: all suites passed for these bytes, subgroup gaps within the limits."
PATIENCE = 120.0  # seconds; far more than anything here needs

_ROOT = Path(__file__).parents[2]
_PIPELINE = _ROOT / "templates" / "classical-regression" / "build"
_APPROVERS = {"dev": "data-scientist", "test": "ai-engineer", "prod": "governance-engineer"}
# What CreateModelPackage takes back from DescribeModelPackage's answer.
_REGISTRATION = (
    "ModelPackageDescription",
    "InferenceSpecification",
    "ModelMetrics",
    "DriftCheckBaselines",
    "MetadataProperties",
    "CustomerMetadataProperties",
    "SamplePayloadUrl",
    "Domain",
    "Task",
    "ModelApprovalStatus",
    "ModelLifeCycle",
    "SkipModelValidation",
)

Found = TypeVar("Found")


def eventually(look: Callable[[], Found | None], what: str, patience: float = PATIENCE) -> Found:
    """What `look` finds, as soon as it finds something true; AssertionError about `what` if not."""
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {patience:.0f} s"
        time.sleep(0.2)


def denied(call: Callable[..., Any], **arguments: Any) -> bool:
    """True if IAM refuses the call, False if it goes through; any other error is raised."""
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "403"):
            return True
        raise
    return False


def version_arn(account: str, model: str, version: int) -> str:
    """The ARN of a version in an account's registry."""
    return f"arn:aws:sagemaker:{REGION}:{account}:model-package/{model}/{version}"


def role_arn(account: str, name: str) -> str:
    """The ARN of one of our roles; `name` without the prefix governed-path-."""
    return f"arn:aws:iam::{account}:role/governed-path-{name}"


def machine_arn(workflow: str) -> str:
    """The ARN of a state machine by the workflow's name (promote_to_central)."""
    name = f"governed-path-{workflow.replace('_', '-')}"
    return f"arn:aws:states:{REGION}:{CENTRAL}:stateMachine:{name}"


@dataclass(frozen=True)
class Outcome:
    """How an approval ended: the last ledger entry of its run, and the run itself."""

    entry: dict[str, Any]
    execution: dict[str, Any]

    @property
    def event(self) -> dict[str, Any]:
        """The event that started the run."""
        event: dict[str, Any] = json.loads(self.execution["input"])
        return event


@dataclass
class Organisation:
    """Four accounts in a running embedded AWS."""

    server: Server
    _queues: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    # ------------------------------------------------------------ who acts

    def root(self, account: str, service: str) -> Any:
        """A client of an account's root."""
        session = places.root_session(account)
        return session.client(service, endpoint_url=self.server.endpoint_url)

    def persona(self, persona: str, person: str | None = None) -> Target:
        """A persona in its own account, played by `person`."""
        return local_target(persona, self.server.endpoint_url, person)

    def assume(self, account: str, name: str, person: str = TRAINER, **more: str) -> boto3.Session:
        """A session of one of our roles that trusts its account's root."""
        answer = self.root(account, "sts").assume_role(
            RoleArn=role_arn(account, name), RoleSessionName=person, SourceIdentity=person, **more
        )["Credentials"]
        session = boto3.Session(
            answer["AccessKeyId"],
            answer["SecretAccessKey"],
            answer["SessionToken"],
            region_name=REGION,
        )
        return at_endpoint(session, self.server.endpoint_url)

    @cached_property
    def reader(self) -> boto3.Session:
        """The reader role, taken by a governance engineer."""
        return self.persona("governance-engineer").reader

    # ------------------------------------------------------------ what people do

    def provision(self, *models: str, tier: str = "high") -> None:
        """The admin provisions models; the root of Dev makes the groups that are missing there."""
        where = self.persona("admin")
        sagemaker = self.root(DEV, "sagemaker")
        groups = sagemaker.list_model_package_groups(MaxResults=100)
        present = {g["ModelPackageGroupName"] for g in groups["ModelPackageGroupSummaryList"]}
        accounts = {"dev": DEV, "test": TEST, "prod": PROD}
        for model in models:
            if model not in present:
                sagemaker.create_model_package_group(ModelPackageGroupName=model)
            project = provisioning.Project(model, "e2e", tier, accounts, f"{model}-endpoint")
            provisioning.provision(where.session, project, account=CENTRAL)

    def train(self, model: str, *options: str, trainer: str = TRAINER) -> str:
        """A data scientist runs the training pipeline; the ARN of the Dev version."""
        session = self.assume(DEV, "training", trainer)
        answer = subprocess.run(
            [
                *(sys.executable, "-m", "pipeline.run", "--json", "--bucket", PROJECT_BUCKET),
                *("--model-package-group", model, *options),
            ],
            cwd=_PIPELINE,
            env=os.environ | places.environment(session, self.server.endpoint_url),
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return str(json.loads(answer.stdout)["model_package_arn"])

    def register_again(
        self,
        arn: str,
        model: str,
        *,
        replace: Mapping[str, bytes] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Register a Dev version's artefacts under another model; the new version's ARN.

        `replace` {model-data | evaluation: bytes} uploads other artefacts for it, with what is
        declared about them; `metadata` then declares something else.
        """
        training = self.assume(DEV, "training")
        sagemaker = training.client("sagemaker")
        found = sagemaker.describe_model_package(ModelPackageName=arn)
        request = {key: found[key] for key in _REGISTRATION if key in found}
        card = {k: found["ModelCard"][k] for k in ("ModelCardContent", "ModelCardStatus")}
        for role, body in (replace or {}).items():
            _replace(request, role, self._upload(training, model, role, body))
        request["CustomerMetadataProperties"] |= metadata or {}
        answer = sagemaker.create_model_package(
            ModelPackageGroupName=model, ModelCard=card, **request
        )
        return str(answer["ModelPackageArn"])
