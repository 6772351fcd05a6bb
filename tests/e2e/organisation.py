"""The deployed organisation as its people see it: sessions, decisions, what they can look up.

Everything here goes through public AWS APIs at the gateway, with the credentials of a role; where
a test needs what no persona may do (delete an artefact, subscribe a queue), it is the root of the
account and says so.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import boto3
from botocore.exceptions import ClientError

from cli import approvals, deployments, ledger, provisioning, reviews, rollbacks
from cli.target import Target, at_endpoint, local_target
from governance.domain import phases
from local import organisation as places
from local.launcher import Server
from tests.contracts import samples

REGION = places.REGION
CENTRAL, DEV, TEST, PROD = (places.ACCOUNTS[name] for name in ("central", "dev", "test", "prod"))
PROJECT_BUCKET = f"governed-path-project-{DEV}-{REGION}"
ARTIFACTS_BUCKET = f"governed-path-artifacts-{CENTRAL}-{REGION}"
EVIDENCE_BUCKET = f"governed-path-evidence-{CENTRAL}-{REGION}"
LEDGER_BUCKET = f"governed-path-ledger-{CENTRAL}-{REGION}"
TRAINER = "theo"
REASON = "Test report read: all suites passed for these bytes, subgroup gaps within the limits."
PATIENCE = 240.0  # seconds; far more than anything here needs, also on a busy machine

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
    _heard: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    # A boto3 session is for one thread.
    _own: threading.local = field(default_factory=threading.local)

    # ------------------------------------------------------------ who acts

    def root(self, account: str, service: str) -> Any:
        """A client of an account's root."""
        return self._client(account, service, lambda: places.root_session(account))

    def persona(self, persona: str, person: str | None = None) -> Target:
        """A persona in its own account, played by `person`."""
        made = self._own.__dict__.setdefault("personas", {})
        if (persona, person) not in made:
            made[persona, person] = local_target(persona, self.server.endpoint_url, person)
        target: Target = made[persona, person]
        return target

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

    def borrow(self, account: str, role: str) -> boto3.Session:
        """A session of any role, whomever it trusts: the account's root lends it for a moment.

        `role` is the role's whole name. What the session may do is what the role may do.
        """
        iam = self.root(account, "iam")
        trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        lent = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": "sts:AssumeRole",
        }
        trust = json.loads(unquote(trust)) if isinstance(trust, str) else trust
        for statements in ([*trust["Statement"], lent], trust["Statement"]):
            iam.update_assume_role_policy(
                RoleName=role, PolicyDocument=json.dumps({**trust, "Statement": statements})
            )
            if lent in statements:
                answer = self.root(account, "sts").assume_role(
                    RoleArn=f"arn:aws:iam::{account}:role/{role}", RoleSessionName="borrowed"
                )["Credentials"]
        session = boto3.Session(
            answer["AccessKeyId"],
            answer["SecretAccessKey"],
            answer["SessionToken"],
            region_name=REGION,
        )
        return at_endpoint(session, self.server.endpoint_url)

    @property
    def reader(self) -> boto3.Session:
        """The reader role, taken by a governance engineer."""
        return self.persona("governance-engineer").reader

    def _read(self, service: str) -> Any:
        """A client of the reader role."""
        return self._client("reader", service, lambda: self.reader)

    def _client(self, who: str, service: str, session: Callable[[], boto3.Session]) -> Any:
        """Clients are for many threads, and take long to make."""
        with self._lock:
            if (who, service) not in self._clients:
                made = at_endpoint(session(), self.server.endpoint_url)
                self._clients[who, service] = made.client(service)
            return self._clients[who, service]

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
            definition = self.publish(model)
            project = provisioning.Project(
                *(model, "e2e", tier, accounts, f"{model}-endpoint"), definition
            )
            provisioning.provision(where.session, project, account=CENTRAL)
        for model in models:
            eventually(lambda m=model: self.entries(m), f"the policy of {model} in the ledger")

    def publish(self, model: str, **parts: Any) -> dict[str, Any]:
        """An AI engineer publishes the template's deployment definition, with these parts."""
        where = self.persona("ai-engineer")
        # The shortest that tier high lets pass: every scenario waits for it.
        release = {
            **samples.definition()["release"],
            "strategy": {"type": "canary", "percent": 10, "wait_seconds": 60},
            "bake_seconds": 300,
        }
        definition = samples.definition(**{"release": release, **parts})
        deployments.publish(where.session, CENTRAL, model, definition)
        return definition

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
        checksum_algorithm: str = "SHA256",
        metadata: Mapping[str, str] | None = None,
        image: str = "",
        further: Sequence[Mapping[str, Any]] = (),
        unpacked: Mapping[str, bytes] | None = None,
        parts_of: Sequence[int] = (),
    ) -> str:
        """Register a Dev version's artefacts under another model; the new version's ARN.

        `replace` {model-data | evaluation: bytes} uploads other artefacts for it, with S3 keeping
        that checksum, and declares what they are; `metadata` then declares something else, `image`
        names another image, `further` are containers behind the first. `unpacked` {path: bytes} is
        model data under a prefix, of which nothing is declared. `parts_of` (bytes each) are the
        parts that what is replaced is uploaded in; without it one request writes it.
        """
        training = self.assume(DEV, "training")
        # The training role registers and does not read the registry; a data scientist does.
        data_scientist = self.persona("data-scientist", TRAINER).session.client("sagemaker")
        found = data_scientist.describe_model_package(ModelPackageName=arn)
        request = {key: found[key] for key in _REGISTRATION if key in found}
        # As the pipeline registers: whatever became of the other version, this one is new.
        request["ModelApprovalStatus"] = "PendingManualApproval"
        request["ModelLifeCycle"] = {"Stage": "Dev", "StageStatus": "Registered"}
        card = {k: found["ModelCard"][k] for k in ("ModelCardContent", "ModelCardStatus")}
        for role, body in (replace or {}).items():
            uploaded = _Uploaded(model, role, body)
            if parts_of:
                uploaded.upload_in_parts(training, parts_of)
            else:
                uploaded.upload(training, checksum_algorithm)
            _replace(request, role, uploaded)
        if unpacked:
            _unpack(request, training, model, unpacked)
        request["CustomerMetadataProperties"] |= metadata or {}
        if image:
            request["InferenceSpecification"]["Containers"][0]["Image"] = image
        request["InferenceSpecification"]["Containers"] += further
        answer = training.client("sagemaker").create_model_package(
            ModelPackageGroupName=model, ModelCard=card, **request
        )
        return str(answer["ModelPackageArn"])

    def decide(
        self,
        stage: str,
        arn: str,
        *,
        because: str = REASON,
        person: str | None = None,
        persona: str | None = None,
        definition: str | None = None,
    ) -> tuple[approvals.Decision, int]:
        """Approve the version for the stage: (decision, the ledger's head before it)."""
        model, _, version = arn.rpartition(":model-package/")[2].partition("/")
        where = self.persona(persona or _APPROVERS[stage], person)
        after = ledger.head(where.reader, model)
        decision = approvals.decide(
            where.session,
            model,
            int(version),
            stage,
            approvals.APPROVED,
            because,
            account=arn.split(":")[4],
            definition=definition,
        )
        return decision, after

    def reject(self, stage: str, arn: str, because: str) -> None:
        """Reject the version for the stage, as who approves for it."""
        model, _, version = arn.rpartition(":model-package/")[2].partition("/")
        session = self.persona(_APPROVERS[stage]).session
        place = arn.split(":")[4]
        approvals.decide(
            *(session, model, int(version), stage, approvals.REJECTED, because), account=place
        )

    def approve(self, stage: str, arn: str, **options: Any) -> Outcome:
        """Approve the version for the stage and follow the workflow to its end."""
        return self.follow(*self.decide(stage, arn, **options))

    def follow(self, decision: approvals.Decision, after: int) -> Outcome:
        """The end of the workflow that the decision started."""
        entry = approvals.follow(
            self.reader,
            decision,
            after=after,
            timeout=PATIENCE,
            interval=0.3,
        )
        return self._outcome(entry)

    def _outcome(self, entry: dict[str, Any]) -> Outcome:
        """How it ended; who was refused comes back no sooner than in the next second.

        SageMaker tells in whole seconds when something was decided: two decisions of one kind about
        a version within a second are one, and what is decided in the second in which approvals were
        voided is voided with them.
        """
        ended = self.ended(entry["execution_arn"])
        if entry["kind"].endswith("Rejected"):
            time.sleep(1 - time.time() % 1)
        return Outcome(entry, ended)

    def roll_back(
        self,
        endpoint: str,
        because: str,
        to: int | None = None,
        meanwhile: Callable[[], None] = lambda: None,
        phase: phases.Phase = rollbacks.PHASE,
    ) -> Outcome:
        """A governance engineer asks for the rollback of an endpoint, or for a drill of it."""
        where = self.persona("governance-engineer")
        model = str(rollbacks.model_of(where.reader, endpoint)["model"])
        after = ledger.head(where.reader, model)
        asked = rollbacks.ask(where, endpoint, because, to, phase)
        meanwhile()
        entry = approvals.follow(self.reader, asked, after=after, timeout=PATIENCE, interval=0.3)
        return self._outcome(entry)

    def review(
        self, arn: str, kind: str, person: str | None = None, *, revoke: bool = False
    ) -> dict[str, Any]:
        """Give a review, or take it back, as the person whose it is; its ledger entry."""
        persona, player = places.REVIEWERS[kind]
        where = self.persona(persona, person or player)
        because = f"The {kind} side of this version looked at."
        return self._say(where, arn, reviews.phase_of(kind, revoke), because)

    def break_glass(self, arn: str, person: str, because: str) -> dict[str, Any]:
        """Ask, as a governance engineer, for a release without reviews; its ledger entry."""
        where = self.persona("governance-engineer", person)
        return self._say(where, arn, phases.BY_NAME["Prod/BreakGlass-Requested"], because)

    def _say(self, where: Target, arn: str, phase: phases.Phase, because: str) -> dict[str, Any]:
        model, _, version = arn.rpartition(":model-package/")[2].partition("/")
        said = reviews.say(where.session, self.reader, model, int(version), phase, because)
        return reviews.recorded(self.reader, said, timeout=PATIENCE, interval=0.3)

    # ------------------------------------------------------------ what people look up

    def govern(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What `govern` answers, as a process of its own; nothing is checked."""
        environment = os.environ | {"GOVERNED_PATH_LOCAL_DIR": self.server.state_dir}
        return subprocess.run(
            [Path(sys.executable).parent / "govern", *arguments],
            env=environment | {"COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def entries(self, model: str) -> list[dict[str, Any]]:
        """The model's ledger, in order."""
        return ledger.entries(self.reader, model)

    def story(self, model: str) -> list[dict[str, Any]]:
        """The model's ledger without policies, and without what is written beside the path whenever
        its event comes: registrations and clearances.
        """
        return [
            entry
            for entry in ledger.of_versions(self.entries(model))
            if entry["kind"] not in ("CandidateRegistered", "ClearanceGranted", "ClearanceRevoked")
        ]

    def kinds(self, model: str) -> list[str]:
        """The kinds of the entries of the model's story, in order."""
        return [entry["kind"] for entry in self.story(model)]

    def central(self, arn: str) -> dict[str, Any]:
        """A version of the Central registry, as the reader sees it."""
        found = self._read("sagemaker").describe_model_package(ModelPackageName=arn)
        return {key: value for key, value in found.items() if key != "ResponseMetadata"}

    def central_versions(self, model: str) -> list[str]:
        """The ARNs of the model's Central versions."""
        answer = self._read("sagemaker").list_model_packages(ModelPackageGroupName=model)
        return sorted(found["ModelPackageArn"] for found in answer["ModelPackageSummaryList"])

    def ended(self, execution_arn: str) -> dict[str, Any]:
        """The execution, once it has ended."""
        states = self._read("stepfunctions")

        def look() -> dict[str, Any] | None:
            found = states.describe_execution(executionArn=execution_arn)
            return None if found["status"] == "RUNNING" else dict(found)

        return eventually(look, f"end of {execution_arn}")

    def executions(self, workflow: str, model: str | None = None) -> list[dict[str, Any]]:
        """Every execution of the workflow, about a version of the model; the oldest first."""
        states = self._read("stepfunctions")
        listed = [
            execution
            for page in states.get_paginator("list_executions").paginate(
                stateMachineArn=machine_arn(workflow)
            )
            for execution in page["executions"]
        ]
        found = [states.describe_execution(executionArn=e["executionArn"]) for e in listed]
        about = f":model-package/{model}/" if model else ""
        return sorted((e for e in found if about in e["input"]), key=lambda e: e["startDate"])

    def last_state(self, execution_arn: str) -> str:
        """The name of the state in which the execution ended."""
        history = self._read("stepfunctions").get_execution_history(
            executionArn=execution_arn, reverseOrder=True, maxResults=50
        )
        return next(
            str(event["stateEnteredEventDetails"]["name"])
            for event in history["events"]
            if "stateEnteredEventDetails" in event
        )

    def start_again(self, workflow: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """The root of Central starts the workflow with an event; the execution, once it ended."""
        started = self.root(CENTRAL, "stepfunctions").start_execution(
            stateMachineArn=machine_arn(workflow), input=json.dumps(event)
        )
        return self.ended(started["executionArn"])

    def evidence(self, uri: str, version_id: str | None = None) -> bytes:
        """The bytes of a manifest, report or policy, as the reader sees them."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        version = {"VersionId": version_id} if version_id else {}
        answer = self._read("s3").get_object(Bucket=bucket, Key=key, **version)
        return bytes(answer["Body"].read())

    def artifact_keys(self, model: str) -> list[str]:
        """Every object and version in the artefacts bucket under the model (Central's root)."""
        answer = self.root(CENTRAL, "s3").list_object_versions(
            Bucket=ARTIFACTS_BUCKET, Prefix=f"models/{model}/"
        )
        return [version["Key"] for version in answer.get("Versions", [])]

    def endpoints(self, account: str, model: str) -> list[str]:
        """The names of the account's endpoints for the model."""
        answer = self.root(account, "sagemaker").list_endpoints(NameContains=model)
        return [endpoint["EndpointName"] for endpoint in answer["Endpoints"]]

    # ------------------------------------------------------------ queues and topics

    def subscribe(self, account: str, topic: str) -> None:
        """The root of an account subscribes a queue of its own to a topic, as an operator would."""
        sqs, name = self.root(account, "sqs"), f"e2e-{topic}"
        queue = f"arn:aws:sqs:{REGION}:{account}:{name}"
        topic_arn = f"arn:aws:sns:{REGION}:{account}:governed-path-{topic}"
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue,
                    "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
                }
            ],
        }
        sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})
        self.root(account, "sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue)

    def heard(self, account: str, topic: str) -> list[str]:
        """Everything that the subscribed queue has received, in the order of its arrival."""
        sqs = self.root(account, "sqs")
        url = sqs.get_queue_url(QueueName=f"e2e-{topic}")["QueueUrl"]
        with self._lock:
            heard = self._heard.setdefault((account, topic), [])
            while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
                "Messages"
            ):
                for message in found:
                    heard.append(json.loads(message["Body"])["Message"])
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return list(heard)

    def waiting(self, account: str, queue: str) -> list[dict[str, Any]]:
        """The messages in one of our dead-letter queues; they stay in it and stay visible."""
        sqs = self.root(account, "sqs")
        url = sqs.get_queue_url(QueueName=f"governed-path-{queue}")["QueueUrl"]
        # Messages are few, and taking ten at a time without hiding them shows each of them.
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))

    def alarmed(self, account: str, alarm: str) -> bool:
        """True if the alarm went off and told the people on call."""
        heard = [json.loads(message) for message in self.heard(account, "alarms")]
        # Tampering and overdue reviews come as text, straight from their rules.
        told = [message for message in heard if isinstance(message, dict)]
        return any(
            (message["AlarmName"], message["NewStateValue"]) == (f"governed-path-{alarm}", "ALARM")
            for message in told
        )


class _Uploaded:
    """An artefact in Dev's bucket, under a key that contains its digest as the pipeline's do."""

    def __init__(self, model: str, role: str, body: bytes) -> None:
        name = {"model-data": "model.tar.gz", "evaluation": "evaluation.json"}[role]
        self._body = body
        self.sha256 = hashlib.sha256(body).hexdigest()
        self.version_id = ""
        self._key = f"models/{model}/{self.sha256}/{name}"

    @property
    def uri(self) -> str:
        return f"s3://{PROJECT_BUCKET}/{self._key}"

    def upload(self, training: boto3.Session, checksum_algorithm: str) -> None:
        self.version_id = training.client("s3").put_object(
            Bucket=PROJECT_BUCKET,
            Key=self._key,
            Body=self._body,
            ChecksumAlgorithm=checksum_algorithm,
        )["VersionId"]

    def upload_in_parts(self, training: boto3.Session, sizes: Sequence[int]) -> None:
        """Parts of these sizes; S3's digest, which is declared then, is the one of their digests.

        ValueError if the sizes are not the body's.
        """
        if sum(sizes) != len(self._body):
            raise ValueError(f"parts of {sum(sizes)} bytes for a body of {len(self._body)}")
        s3, place = training.client("s3"), {"Bucket": PROJECT_BUCKET, "Key": self._key}
        upload = s3.create_multipart_upload(**place, ChecksumAlgorithm="SHA256")["UploadId"]
        parts, first = [], 0
        for number, size in enumerate(sizes, 1):
            answer = s3.upload_part(
                **place,
                UploadId=upload,
                PartNumber=number,
                Body=self._body[first : first + size],
                ChecksumAlgorithm="SHA256",
            )
            told = {key: answer[key] for key in ("ETag", "ChecksumSHA256")}
            parts.append({"PartNumber": number, **told})
            first += size
        done = s3.complete_multipart_upload(
            **place, UploadId=upload, MultipartUpload={"Parts": parts}
        )
        digest, _, count = done["ChecksumSHA256"].partition("-")
        self.sha256 = f"{base64.b64decode(digest).hex()}-{count or len(sizes)}"
        self.version_id = done["VersionId"]


def _replace(request: dict[str, Any], role: str, uploaded: _Uploaded) -> None:
    """Make a registration refer to another artefact and declare what it is."""
    if role == "model-data":
        request["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] = uploaded.uri
    else:
        source = {
            "ContentType": "application/json",
            "ContentDigest": f"sha256:{uploaded.sha256}",
            "S3Uri": uploaded.uri,
        }
        request["ModelMetrics"]["ModelQuality"]["Statistics"] = source
        request["DriftCheckBaselines"]["ModelQuality"]["Statistics"] = source
    request["CustomerMetadataProperties"] |= {
        f"{role}-version-id": uploaded.version_id,
        f"{role}-sha256": uploaded.sha256,
    }


def _unpack(
    request: dict[str, Any], training: boto3.Session, model: str, files: Mapping[str, bytes]
) -> None:
    """Upload the files under a prefix of their own, and make a registration refer to that."""
    prefix = f"models/{model}/{uuid.uuid4()}/"
    s3 = training.client("s3")
    for path, body in files.items():
        s3.put_object(
            Bucket=PROJECT_BUCKET, Key=prefix + path, Body=body, ChecksumAlgorithm="SHA256"
        )
    container = request["InferenceSpecification"]["Containers"][0]
    del container["ModelDataUrl"]
    container["ModelDataSource"] = {
        "S3DataSource": {
            "S3Uri": f"s3://{PROJECT_BUCKET}/{prefix}",
            "S3DataType": "S3Prefix",
            "CompressionType": "None",
        }
    }
    for declared in ("model-data-version-id", "model-data-sha256"):
        del request["CustomerMetadataProperties"][declared]


def members(packed: bytes) -> dict[str, bytes]:
    """The files of a model.tar.gz: {path: bytes}."""
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        files = ((member.name, tar.extractfile(member)) for member in tar)
        return {name: found.read() for name, found in files if found is not None}


def padded(packed: bytes, size: int) -> bytes:
    """A model.tar.gz with as many bytes more that nothing compresses, and all else as it was."""
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as old,
        tarfile.open(fileobj=buffer, mode="w:gz") as new,
    ):
        for member in old:
            new.addfile(member, old.extractfile(member))
        padding = tarfile.TarInfo("padding.bin")
        padding.size = size
        new.addfile(padding, io.BytesIO(random.Random(0).randbytes(size)))
    return buffer.getvalue()


def spoiled(packed: bytes, code: str) -> bytes:
    """A model.tar.gz whose inference.py has this code at its end, and all else as it was."""
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as old,
        tarfile.open(fileobj=buffer, mode="w:gz") as new,
    ):
        for member in old:
            found = old.extractfile(member)
            body = b"" if found is None else found.read()
            if member.name.endswith("inference.py"):
                body += code.encode()
                member.size = len(body)
            new.addfile(member, io.BytesIO(body) if member.isfile() else None)
    return buffer.getvalue()


def archive(files: Mapping[str, str]) -> bytes:
    """The bytes of a model.tar.gz with these files (name: text)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def rules(entry: Mapping[str, Any]) -> set[str]:
    """The rules that a ledger entry says were broken."""
    return {reason["rule"] for reason in ledger.reasons(entry)}


def said(entry: Mapping[str, Any]) -> str:
    """All that a ledger entry says about why not, as one text."""
    return " ".join(line for line in approvals.reason_lines(ledger.reasons(entry)))
