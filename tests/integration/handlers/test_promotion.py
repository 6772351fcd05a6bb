"""The handlers of a promotion one after the other: approval, candidate, copy, version, gate.

The organisation is one account here, and the registry is in this process; the stores are real.
The deployed path with four accounts is in tests/e2e.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from governance.adapters import champions, clock, items, manifests, workflows
from governance.adapters import definitions as stored
from governance.adapters.artifacts import Artifacts, parse_uri
from governance.adapters.candidates import Candidates
from governance.adapters.claims import Claims
from governance.adapters.endpoints import Endpoints
from governance.adapters.ledger import Ledger, Writer
from governance.adapters.locks import Locks
from governance.adapters.parts import Parts
from governance.adapters.registry import Registry
from governance.domain import (
    approval_events,
    claims,
    clearance,
    ledger,
    locks,
    policy_changes,
)
from governance.domain.errors import (
    AccessError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    TransientError,
)
from governance.domain.identity import identity_of
from governance.settings import Settings
from tests import benches
from tests.contracts import events, policies, samples

from .conftest import ARTIFACTS, CENTRAL, EVIDENCE, PROJECT, REGION, TEST

DECIDED = "2026-01-31T12:00:00Z"
EXECUTION = f"arn:aws:states:{REGION}:{CENTRAL}:execution:governed-path-promote-to-central:run"
POLICY = {
    "tier": "high",
    "thresholds": {
        "auc_min": 0.7,
        "brier_max": 0.25,
        "calibration_error_max": 0.2,
        "latency_p95_ms_max": 500,
    },
    "required_suites": ["contract", "golden", "quality"],
    "description_min_chars": 20,
    "required_reviews": [],
    "separate_people": ["approvers"],
    "review_valid_days": 3650,
    "break_glass": {"allowed": False, "valid_hours": 1, "review_within_hours": 1},
    "required_card_sections": ["model_overview"],
    "image_scan": {"required": False, "critical_max": 0, "accepted_registries": []},
    "release": {
        "strategies": ["canary", "linear"],
        "bake_seconds_min": 300,
        "alarms": ["Invocation5XXErrors"],
    },
    "images_by_reference": ["683313688378"],
}
DEV_BUCKET = f"{PROJECT}-here"
READ_OR_WRITE_A_REGISTRY = (
    "build_candidate",
    "detect_tampering",
    "plan_deployment",
    "prove_rollback_target",
    "record_registration",
    "record_decision",
    "register_version",
    "resolve_approver",
    "set_stage",
    "supersede_version",
    "verify_candidate",
    "write_results",
)


class InMemoryRegistry(Registry):
    """Versions as DescribeModelPackage returns them; stands for Dev's registry and Central's."""

    def __init__(self) -> None:
        self.versions: dict[str, dict[str, Any]] = {}
        self._tokens: dict[str, tuple[dict[str, Any], str]] = {}

    def __call__(self, session: object) -> InMemoryRegistry:
        return self

    def describe(self, model_package_arn: str) -> dict[str, Any]:
        if model_package_arn not in self.versions:
            raise NotFoundError(model_package_arn)
        return copy.deepcopy(self.versions[model_package_arn])

    def register(self, request: dict[str, Any]) -> str:
        token = request.get("ClientToken", uuid4().hex)
        if token in self._tokens:
            before, arn = self._tokens[token]
            assert before == request, "a token that stands for another request"
            return arn
        arn = _arn(request["ModelPackageGroupName"], 100 + len(self.versions))
        self._tokens[token] = copy.deepcopy(request), arn
        fields = {key: value for key, value in request.items() if key != "ClientToken"}
        self.versions[arn] = {
            "CreatedBy": _user("hub", "hub"),
            "LastModifiedTime": DECIDED,
            **fields,
            "ModelPackageArn": arn,
        }
        return arn

    def update(self, model_package_arn: str, **fields: Any) -> None:
        self.versions[model_package_arn].update(copy.deepcopy(fields))


def _arn(model: str, version: int) -> str:
    return f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package/{model}/{version}"


def _user(role: str, person: str) -> dict[str, Any]:
    arn = f"arn:aws:sts::{CENTRAL}:assumed-role/governed-path-{role}/{person}"
    return {"IamIdentity": {"Arn": arn, "PrincipalId": "AROA:x", "SourceIdentity": person}}


class Organisation:
    """A model with one registered and approved version, and the functions that promote it."""

    def __init__(self, aws: Callable[..., Any], lambdas: Callable[..., Any]) -> None:
        self.model = f"model-{uuid4().hex[:12]}"
        self.arn = _arn(self.model, 1)
        self.registry = InMemoryRegistry()
        self._aws, self._lambdas = aws, lambdas
        self.actions: dict[str, dict[str, Any]] = {}
        self.objects = {
            name: self._put(name, body)
            for name, body in {
                # Nobody else's: what is recalled is so in every model.
                "model.tar.gz": self.model.encode(),
                "evaluation.json": json.dumps(self._evaluation()).encode(),
                "holdout.csv": b"bmi,sex,age_band,high_risk\n0.1,f,60+,1\n",
                "sample.json": b'{"instances": [{"bmi": 0.1}]}',
                "statistics.json": b"{}",
            }.items()
        }
        self.registry.versions[self.arn] = self._version()
        self._provision()

    def call(self, name: str, **event: Any) -> dict[str, Any]:
        """Run a function."""
        result: dict[str, Any] = self._lambdas(name)(event)
        return result

    def event(self, **detail: Any) -> dict[str, Any]:
        """The event of the Dev approval."""
        return {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": "SageMaker Model Package State Change",
            "source": "aws.sagemaker",
            "account": CENTRAL,
            "time": DECIDED,
            "region": REGION,
            "resources": [self.arn],
            "detail": {
                "ModelPackageGroupName": self.model,
                "ModelPackageArn": self.arn,
                "ModelLifeCycle": {"Stage": "Dev", "StageStatus": "Approved"},
                "UpdatedModelPackageFields": ["ModelLifeCycle"],
                "LastModifiedTime": DECIDED,
                **detail,
            },
        }

    def claim(self, execution: str = EXECUTION, **detail: Any) -> dict[str, Any]:
        """Claim the approval."""
        return self.call(
            "claim_approval",
            workflow="promote_to_central",
            stage="Dev",
            execution_arn=execution,
            event=self.event(**detail),
        )

    def promoted(self, *, recorded: bool = True) -> tuple[dict[str, Any], dict[str, Any], str]:
        """(promotion, candidate, Central ARN) after everything up to the record of it."""
        promotion = self.claim()["promotion"]
        who = self.call("resolve_approver", promotion=promotion)
        candidate = self.call("build_candidate", promotion=promotion)["candidate"]
        copies = self.copied(promotion, candidate)
        images = self.call("copy_images", promotion=promotion, candidate=candidate)["images"]
        registered = self.call(
            "register_version",
            promotion=promotion,
            candidate=candidate,
            objects=copies,
            images=images,
            approver=who["approver"],
            trainer=who["trainer"],
        )
        arn = registered["model_package_arn"]
        self.offered(promotion, arn)
        if recorded:
            self.record_promotion(arn, candidate["candidate_id"])
        return promotion, candidate, arn

    def offered(self, promotion: dict[str, Any], arn: str) -> dict[str, Any]:
        """The Central version waits for its approval from now on, if it did not already."""
        return self.call(
            "set_stage",
            promotion=promotion,
            model_package_arn=arn,
            only_from={"stage": "Test", "stage_status": "Registering"},
            stage="Test",
            stage_status="PendingApproval",
            description="Candidate promoted from Dev",
        )

    def record_promotion(self, arn: str, candidate_id: str) -> None:
        """The ledger says which candidate the Central version is."""
        self.call(
            "record",
            kind="CandidatePromoted",
            promotion=self.in_central(arn, "Dev") | {"workflow": "promote_to_central"},
            stage="Test",
            stage_status="PendingApproval",
            model_package_arn=arn,
            origin_arn=self.arn,
            candidate_id=candidate_id,
        )

    def again(self, arn: str) -> str:
        """The same candidate as one more version of Central."""
        candidate_id = self.registry.versions[arn]["CustomerMetadataProperties"]["candidate-id"]
        second = self.registry.register(self.registry.describe(arn))
        self.record_promotion(second, candidate_id)
        return second

    def copied(self, promotion: dict[str, Any], candidate: dict[str, Any]) -> list[dict[str, Any]]:
        """The candidate's objects in Central, after all that is missing was copied."""
        given = {"promotion": promotion, "candidate": candidate}
        plan = self.call("plan_copy", **given)["plan"]
        if plan["batches"]:
            found = self._aws("s3").get_object(Bucket=plan["bucket"], Key=plan["key"])
            for line in found["Body"].read().splitlines():
                self.call(
                    "copy_batch",
                    promotion=promotion,
                    candidate_id=candidate["candidate_id"],
                    batch=json.loads(line),
                    attempt=0,
                )
        objects: list[dict[str, Any]] = self.call("verify_copy", **given)["objects"]
        return objects

    def verified(self, arn: str) -> dict[str, Any]:
        """What the gates of Test and Prod are told of a Central version's bytes."""
        return self.call("verify_candidate", promotion=self.in_central(arn))

    def in_central(self, arn: str, stage: str = "Test") -> dict[str, Any]:
        """The promotion that approving the Central version starts."""
        return {
            "claim_id": hashlib.sha256(f"{arn} {stage}".encode()).hexdigest(),
            "workflow": "validate_in_test",
            "stage": stage,
            "model": self.model,
            "model_package_arn": arn,
            "account": CENTRAL,
            "decided_at": DECIDED,
            "event_id": "e",
            "execution_arn": EXECUTION,
        }

    def seen(self, approver: dict[str, Any], stage: str, arn: str) -> None:
        """CloudTrail tells of an approval; what its events are like, test_confirmations.py says."""
        record = {
            "decision": f"{arn}#{stage}",
            "item": f"record#{DECIDED}#one",
            "approver": approver,
            "called_at": DECIDED,
            "cloudtrail_event_id": "one",
        }
        self._aws("dynamodb").put_item(
            TableName="governed-path-confirmations", Item=items.to_item(record)
        )

    def tests(
        self, arn: str, number: int = 1, status: str = "Passed", **metrics: float
    ) -> dict[str, str]:
        """The tests of a Central version, as the workflow records and writes them: its report."""
        promotion = self.in_central(arn) | {"claim_id": str(number) * 64}
        candidate_id = Ledger("governed-path-ledger").promoted_as(self.model, arn)
        entry = {"promotion": promotion, "stage": "Test", "candidate_id": candidate_id}
        self.call("record", kind="ValidationStarted", stage_status="Validating", **entry)
        summary = {"metrics": metrics or {"auc": 0.8, "latency_p95_ms": 12.5}}
        report = self.report(candidate_id, status, summary)
        self.call("write_results", promotion=promotion, report=report)
        told = {"report": report, "summary": summary}
        self.call("record", kind=f"Validation{status}", stage_status=status, **entry, **told)
        return report

    def report(self, candidate_id: str, status: str, summary: dict[str, Any]) -> dict[str, str]:
        """A test report in the evidence bucket, as AggregateResults keeps one."""
        said = {"candidate_id": candidate_id, "status": status, "summary": summary, "reasons": []}
        body = json.dumps(said).encode()
        digest = hashlib.sha256(body).hexdigest()
        place = {"Bucket": EVIDENCE, "Key": f"reports/{self.model}/{candidate_id}/{digest}.json"}
        stored = self._aws("s3").put_object(**place, Body=body, ChecksumAlgorithm="SHA256")
        uri = f"s3://{EVIDENCE}/{place['Key']}"
        return {"uri": uri, "version_id": stored["VersionId"], "sha256": digest}

    def _put(self, name: str, body: bytes) -> dict[str, Any]:
        key = f"{self.model}/{name}"
        answer = self._aws("s3").put_object(
            Bucket=DEV_BUCKET, Key=key, Body=body, ChecksumAlgorithm="SHA256"
        )
        return {
            "uri": f"s3://{DEV_BUCKET}/{key}",
            "version_id": answer["VersionId"],
            "sha256": hashlib.sha256(body).hexdigest(),
        }

    def _evaluation(self) -> dict[str, Any]:
        whole = {"auc": 0.8, "brier": 0.18, "calibration_error": 0.05}
        return {
            "schema": "governed-path/evaluation/v1",
            "model": self.model,
            "created_at": DECIDED,
            "holdout": {
                "uri": "s3://b/k",
                "version_id": "v",
                "sha256": "a" * 64,
                "rows": 89,
                "positives": 30,
            },
            "threshold": {"name": "progression", "value": 200, "rationale": "documented"},
            "metrics": whole,
            "subgroups": [
                {"attribute": "sex", "value": sex, "rows": 40, "positives": 15, **whole}
                for sex in ("f", "m")
            ],
        }

    def _version(self) -> dict[str, Any]:
        declared = {
            f"{role}-{what}": self.objects[name][field]
            for role, name in (("model-data", "model.tar.gz"), ("evaluation", "evaluation.json"))
            for what, field in (("version-id", "version_id"), ("sha256", "sha256"))
        }
        holdout = self.objects["holdout.csv"]
        return {
            "ModelPackageGroupName": self.model,
            "ModelPackageArn": self.arn,
            "ModelPackageVersion": 1,
            "ModelPackageDescription": "Risk of progression",
            "InferenceSpecification": {
                "Containers": [
                    {
                        "Image": "account.dkr.ecr.us-east-1.amazonaws.com/sklearn:1.4",
                        "ModelDataUrl": self.objects["model.tar.gz"]["uri"],
                        "ModelDataETag": "etag",
                    }
                ],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
                "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
            },
            "ModelMetrics": {
                "ModelQuality": {
                    "Statistics": {
                        "ContentType": "application/json",
                        "S3Uri": self.objects["evaluation.json"]["uri"],
                    }
                }
            },
            "DriftCheckBaselines": {
                "ModelDataQuality": {
                    "Statistics": {
                        "ContentType": "application/json",
                        "S3Uri": self.objects["statistics.json"]["uri"],
                    }
                }
            },
            "SamplePayloadUrl": self.objects["sample.json"]["uri"],
            "ModelCard": {
                "ModelCardContent": json.dumps({"model_overview": {"model_name": self.model}}),
                "ModelCardStatus": "Draft",
            },
            "CustomerMetadataProperties": {
                **declared,
                "holdout-uri": holdout["uri"],
                "holdout-version-id": holdout["version_id"],
                "holdout-sha256": holdout["sha256"],
                "dataset-uri": "s3://data/set.csv",
                "dataset-version-id": "v",
                "dataset-sha256": "d" * 64,
                "code-commit": "c" * 40,
            },
            "ModelApprovalStatus": "PendingManualApproval",
            "ModelLifeCycle": {"Stage": "Dev", "StageStatus": "Approved"},
            "CreatedBy": _user("training", "theo"),
            "LastModifiedBy": _user("data-scientist", "dana"),
            "LastModifiedTime": "2026-01-31T12:00:00.250000Z",
        }

    def publish(self, definition: dict[str, Any]) -> dict[str, str]:
        """Store a deployment definition as an AI engineer does; its reference."""
        return stored.store(Artifacts(), EVIDENCE, self.model, definition, "alias/governed-path")

    def _provision(self) -> None:
        pins: dict[str, Any] = {}
        for part, body in {**policies.files(), "tier": json.dumps(POLICY).encode()}.items():
            key = f"policies/{part}/{uuid4().hex}"
            answer = self._aws("s3").put_object(Bucket=EVIDENCE, Key=key, Body=body)
            pins[part] = {
                "uri": f"s3://{EVIDENCE}/{key}",
                "sha256": hashlib.sha256(body).hexdigest(),
                "version_id": answer["VersionId"],
            }
        change = f"arn:aws:sagemaker:{REGION}:{CENTRAL}:action/policy-{self.model}-0"
        self.directory_entry = {
            "model": self.model,
            "project": "clinical-risk",
            "risk_tier": "high",
            "accounts": dict.fromkeys(("dev", "test", "prod"), CENTRAL),
            "endpoint_name": self.model,
            "definition": self.publish(samples.definition()),
            "policy": {**pins, "change": change},
        }
        digests = {part: pin["sha256"] for part, pin in pins.items()}
        self.actions[change] = {
            "ActionType": policy_changes.ACTION_TYPE,
            "CreatedBy": _user("admin", "adam"),
            "CreationTime": DECIDED,
            "Properties": policy_changes.action_properties(self.model, digests),
        }
        self.enter(self.directory_entry)

    def enter(self, entry: dict[str, Any]) -> None:
        """Write the model's directory entry."""
        self._aws("dynamodb").put_item(
            TableName="governed-path-project-directory", Item=items.to_item(entry)
        )

    def find_action(self, arn: str) -> dict[str, Any] | None:
        """SageMaker's lineage, in this process."""
        return self.actions.get(arn)

    def policy_recorded(self, before: dict[str, Any] | None = None) -> list[str]:
        """What the function answers to the directory entry as the table's stream tells it."""
        images = {"NewImage": items.to_item(self.directory_entry)}
        if before is not None:
            images["OldImage"] = items.to_item(before)
        record = {"eventName": "MODIFY" if before else "INSERT", "dynamodb": images}
        outcomes: list[str] = self.call("record_policy_change", Records=[record])["outcomes"]
        return outcomes


@pytest.fixture(scope="session")
def dev_bucket(aws: Callable[..., Any], stores: None) -> None:
    aws("s3").create_bucket(Bucket=DEV_BUCKET)
    aws("s3").put_bucket_versioning(
        Bucket=DEV_BUCKET, VersioningConfiguration={"Status": "Enabled"}
    )


@pytest.fixture
def here(
    aws: Callable[..., Any],
    lambdas: Callable[..., Any],
    dev_bucket: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Organisation:
    organisation = Organisation(aws, lambdas)
    for name in READ_OR_WRITE_A_REGISTRY:
        module = importlib.import_module(f"governance.handlers.{name}")
        monkeypatch.setattr(module, "Registry", organisation.registry)
    recording = importlib.import_module("governance.handlers.record_policy_change")
    monkeypatch.setattr(recording, "Lineage", lambda: organisation)
    assert organisation.policy_recorded() == ["recorded"]
    return organisation


def test_a_duplicate_event_is_told_apart_from_a_retried_task(here: Organisation) -> None:
    assert here.claim()["outcome"] == "claimed"
    assert here.claim()["outcome"] == "claimed"
    assert here.claim(execution=f"{EXECUTION}-2")["outcome"] == "duplicate"
    later = here.claim(execution=f"{EXECUTION}-2", LastModifiedTime="2026-01-31T12:00:07Z")
    assert later["outcome"] == "claimed"


def test_a_model_that_nobody_provisioned_is_named(here: Organisation) -> None:
    arn = here.arn.replace(here.model, "unheard-of")
    with pytest.raises(NotFoundError, match=r"unheard-of.*govern provision"):
        here.claim(ModelPackageArn=arn)


def test_an_account_that_is_not_the_projects_is_denied(here: Organisation) -> None:
    event = here.event(ModelPackageArn=here.arn.replace(CENTRAL, "999999999999"))
    with pytest.raises(AccessError, match="999999999999"):
        here.call(
            "claim_approval",
            workflow="promote_to_central",
            stage="Dev",
            execution_arn=EXECUTION,
            event={**event, "account": "999999999999"},
        )


def test_an_event_of_an_unknown_shape_claims_nothing(here: Organisation) -> None:
    with pytest.raises(InvalidInputError, match="LastModifiedTime"):
        here.claim(LastModifiedTime={"no": "time"})


def test_the_approver_and_the_trainer_are_people(here: Organisation) -> None:
    promotion = here.claim()["promotion"]
    who = here.call("resolve_approver", promotion=promotion)
    assert (who["approver"]["person"], who["approver"]["persona"]) == ("dana", "data-scientist")
    assert who["trainer"]["person"] == "theo"
    assert who["decision_current"] is True


def test_a_version_that_changed_after_the_decision_says_so(here: Organisation) -> None:
    promotion = here.claim()["promotion"]
    here.registry.versions[here.arn]["LastModifiedTime"] = "2026-01-31T12:00:03.000000Z"
    assert here.call("resolve_approver", promotion=promotion)["decision_current"] is False


def test_a_candidate_goes_to_central_whole(here: Organisation, aws: Callable[..., Any]) -> None:
    _, candidate, arn = here.promoted()
    version = here.registry.describe(arn)
    text = json.dumps(version)
    assert DEV_BUCKET not in text
    container = version["InferenceSpecification"]["Containers"][0]
    assert container["ModelDataUrl"].startswith(f"s3://{ARTIFACTS}/")
    assert version["ModelLifeCycle"]["StageStatus"] == "PendingApproval"
    assert version["ModelApprovalStatus"] == "PendingManualApproval"
    metadata = version["CustomerMetadataProperties"]
    assert metadata["candidate-id"] == candidate["candidate_id"]
    assert metadata["origin-arn"] == here.arn
    bucket, _, key = metadata["manifest-uri"].removeprefix("s3://").partition("/")
    manifest = aws("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert hashlib.sha256(manifest).hexdigest() == candidate["candidate_id"]


def _pipeline(here: Organisation) -> dict[str, Any]:
    """The version with a second container that has model data of its own; that object."""
    features = here._put("features.tar.gz", b"features")
    version = here.registry.versions[here.arn]
    version["InferenceSpecification"]["Containers"].append(
        {
            "ContainerHostname": "features",
            "Image": "account.dkr.ecr.us-east-1.amazonaws.com/features:1",
            "ModelDataUrl": features["uri"],
        }
    )
    version["AdditionalInferenceSpecifications"] = [
        {"Name": "gpu", "Containers": [{"Image": "a/gpu:1", "ModelDataUrl": features["uri"]}]}
    ]
    return features


def test_a_pipeline_of_containers_goes_to_central_whole(here: Organisation) -> None:
    features = _pipeline(here)
    _, candidate, arn = here.promoted()
    assert candidate["described"]["further_images"][0]["uri"].endswith("/features:1")
    digests = {one["role"]: one["sha256"] for one in candidate["objects"]}
    assert digests["model-data-2"] == features["sha256"]
    version = here.registry.describe(arn)
    containers = version["InferenceSpecification"]["Containers"]
    place = f"s3://{ARTIFACTS}/models/{here.model}/{candidate['candidate_id']}"
    urls = [f"{place}/model-data/model.tar.gz", f"{place}/model-data-2/features.tar.gz"]
    assert [container["ModelDataUrl"] for container in containers] == urls
    (additional,) = version["AdditionalInferenceSpecifications"]
    assert additional["Containers"][0]["ModelDataUrl"] == urls[1]
    assert here.verified(arn)["differences"] == []
    planned = here.call(
        "plan_deployment",
        promotion=here.in_central(arn),
        candidate=here.verified(arn)["candidate"],
        definition=here.directory_entry["definition"]["digest"],
    )["deployment"]["containers"]
    assert [container["ModelDataUrl"] for container in planned] == urls
    assert planned[1]["ContainerHostname"] == "features"


@pytest.mark.parametrize("what", ["image", "bytes"])
def test_a_change_of_the_second_container_is_found(
    here: Organisation, aws: Callable[..., Any], what: str
) -> None:
    _pipeline(here)
    arn = here.promoted()[2]
    container = here.registry.versions[arn]["InferenceSpecification"]["Containers"][1]
    if what == "image":
        container["Image"] = "account.dkr.ecr.us-east-1.amazonaws.com/other:1"
    else:
        bucket, _, key = container["ModelDataUrl"].removeprefix("s3://").partition("/")
        aws("s3").put_object(Bucket=bucket, Key=key, Body=b"other", ChecksumAlgorithm="SHA256")
    named = "inference_specification.Containers.1.Image"
    expected = {"image": named, "bytes": "model-data-2 sha256"}[what]
    assert [one["name"] for one in here.verified(arn)["differences"]] == [expected]


def _payloads_named_one_by_one(here: Organisation) -> dict[str, bytes]:
    """The version with a validation whose payloads a manifest file names; those, by their key."""
    payloads = {f"{here.model}/payloads/{name}": name.encode() for name in ("a/1.json", "b/1.json")}
    for key, body in payloads.items():
        here._put(key.removeprefix(f"{here.model}/"), body)
    here._put("payloads/draft.json", b"nobody names this")
    head = {"prefix": f"s3://{DEV_BUCKET}/{here.model}/payloads/"}
    document = json.dumps([head, "b/1.json", "a/1.json"])
    uri = here._put("smoke.manifest", document.encode())["uri"]
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": uri}}
    job = {"TransformInput": {"DataSource": source}}
    profile = {"ProfileName": "smoke", "TransformJobDefinition": job}
    here.registry.versions[here.arn]["ValidationSpecification"] = {
        "ValidationRole": "arn:aws:iam::444455556666:role/validation",
        "ValidationProfiles": [profile],
    }
    return payloads


def test_what_a_manifest_file_names_goes_to_central_and_nothing_beside_it(
    here: Organisation, aws: Callable[..., Any]
) -> None:
    payloads = _payloads_named_one_by_one(here)
    _, candidate, arn = here.promoted()
    objects = {one["role"]: one for one in candidate["objects"]}
    assert objects["validation/smoke"]["objects"] == 2
    place = f"models/{here.model}/{candidate['candidate_id']}"
    listed = aws("s3").list_objects_v2(Bucket=ARTIFACTS, Prefix=f"{place}/validation")["Contents"]
    assert [one["Key"] for one in listed] == [
        f"{place}/validation-manifest/smoke/smoke.manifest",
        *sorted(f"{place}/validation/smoke/{key}" for key in payloads),
    ]
    for key, body in payloads.items():
        found = aws("s3").get_object(Bucket=ARTIFACTS, Key=f"{place}/validation/smoke/{key}")
        assert found["Body"].read() == body
    assert here.verified(arn)["differences"] == []
    aws("s3").put_object(
        Bucket=ARTIFACTS,
        Key=f"{place}/validation/smoke/{next(iter(payloads))}",
        Body=b"other",
        ChecksumAlgorithm="SHA256",
    )
    found = [one["name"] for one in here.verified(arn)["differences"]]
    assert found == ["validation/smoke sha256"]


@pytest.mark.parametrize("change", ["replaced", "deleted", "beside it"])
def test_what_a_manifest_file_names_must_stay_what_it_was_until_it_has_arrived(
    here: Organisation, aws: Callable[..., Any], change: str
) -> None:
    named = next(iter(_payloads_named_one_by_one(here)))
    promotion = here.claim()["promotion"]
    candidate = here.call("build_candidate", promotion=promotion)["candidate"]
    if change == "deleted":
        aws("s3").delete_object(Bucket=DEV_BUCKET, Key=named)
        # The version that was approved is there still; nobody is shown it any more.
        with pytest.raises(NotFoundError, match=f"{named} was deleted"):
            here.copied(promotion, candidate)
    elif change == "replaced":
        here._put(named.removeprefix(f"{here.model}/"), b"another")
        with pytest.raises(IntegrityError, match=f"{named} is version"):
            here.copied(promotion, candidate)
    else:
        here._put("payloads/more.json", b"more")
        here.copied(promotion, candidate)


def test_a_manifest_file_that_is_none_is_refused_before_anything_is_copied(
    here: Organisation,
) -> None:
    _payloads_named_one_by_one(here)
    here._put("smoke.manifest", b'{"source-ref": "s3://b/k"}\n')
    with pytest.raises(InvalidInputError, match=r"smoke\.manifest is not what AWS documents"):
        here.call("build_candidate", promotion=here.claim()["promotion"])


def test_attachments_of_the_card_are_named_where_they_are_in_central(
    here: Organisation, aws: Callable[..., Any]
) -> None:
    plot = here._put("roc.png", b"plot")
    version = here.registry.versions[here.arn]
    version["ModelCard"]["ModelCardContent"] = json.dumps(
        {"model_overview": {"model_name": "m"}, "additional_information": {"roc": plot["uri"]}}
    )
    _, candidate, arn = here.promoted()
    card = json.loads(here.registry.describe(arn)["ModelCard"]["ModelCardContent"])
    place = f"s3://{ARTIFACTS}/models/{here.model}/{candidate['candidate_id']}/card/1/roc.png"
    assert card["additional_information"] == {"roc": place}
    assert here.verified(arn)["differences"] == []
    text = json.dumps(card)
    here.registry.versions[arn]["ModelCard"]["ModelCardContent"] = text.replace(place, plot["uri"])
    (difference,) = here.verified(arn)["differences"]
    assert difference["name"] == "model_card_sha256"


@pytest.mark.parametrize("stands", ["Test/Errored", "Test/Approved", "Prod/Deployed"])
def test_promoting_a_candidate_again_leaves_its_version_where_it_stands(
    here: Organisation, stands: str
) -> None:
    _, _, arn = here.promoted()
    stage, _, status = stands.partition("/")
    here.registry.versions[arn]["ModelLifeCycle"] = {"Stage": stage, "StageStatus": status}
    here.promoted()
    life_cycle = here.registry.versions[arn]["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == (stage, status)


def test_promoting_the_same_candidate_again_registers_nothing(here: Organisation) -> None:
    _, first, arn = here.promoted()
    versions = len(here.registry.versions)
    _, second, again = here.promoted()
    assert (second["candidate_id"], again) == (first["candidate_id"], arn)
    assert len(here.registry.versions) == versions


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_candidate_whose_naming_was_killed_is_named_once(
    here: Organisation, aws: Callable[..., Any], when: str
) -> None:
    promotion, store = here.claim()["promotion"], manifests.store

    def killed(*arguments: Any) -> str:
        if when == "after":
            store(*arguments)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifests, "store", killed)
        with pytest.raises(KeyboardInterrupt):
            here.call("build_candidate", promotion=promotion)
    built = here.call("build_candidate", promotion=promotion)
    assert built == here.call("build_candidate", promotion=promotion)
    kept = aws("s3").list_object_versions(Bucket=EVIDENCE, Prefix=f"manifests/{here.model}/")
    (version,) = kept["Versions"]
    assert version["Key"].endswith(f"/{built['candidate']['candidate_id']}.json")


@pytest.mark.parametrize(
    ("owner", "name"), [(InMemoryRegistry, "register"), (Parts, "hold"), (Candidates, "add")]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_registration_that_was_killed_leaves_one_version_and_no_gate_takes_half_of_it(
    here: Organisation, owner: type, name: str, when: str
) -> None:
    do, tried = getattr(owner, name), []

    def killed(*arguments: Any) -> Any:
        done = None if when == "before" and not tried else do(*arguments)
        if not tried:
            tried.append(arguments)
            raise KeyboardInterrupt
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(KeyboardInterrupt):
            here.promoted()
        # What is in the registry by then is nobody's candidate until it is known as a whole.
        left = [arn for arn in here.registry.versions if arn != here.arn]
        for one in left:
            life_cycle = here.registry.versions[one]["ModelLifeCycle"]
            assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Test", "Registering")
        if left and (name, when) != ("add", "after"):
            with pytest.raises(NotFoundError, match="no CandidatePromoted"):
                here.verified(*left)
        _, candidate, arn = here.promoted()
    assert [one for one in here.registry.versions if one != here.arn] == [arn]
    assert here.registry.versions[arn]["ModelLifeCycle"]["StageStatus"] == "PendingApproval"
    assert here.verified(arn)["differences"] == []
    assert here.verified(arn)["candidate"]["candidate_id"] == candidate["candidate_id"]


def test_the_gate_of_dev_allows_a_good_candidate(here: Organisation) -> None:
    promotion = here.claim()["promotion"]
    who = here.call("resolve_approver", promotion=promotion)
    built = here.call("build_candidate", promotion=promotion)
    verdict = here.call("evaluate_gate", promotion=promotion, **who, **built)["verdict"]
    assert verdict["allowed"], verdict["reasons"]
    assert built["declared_mismatches"] == []


def test_an_evaluation_that_breaks_its_schema_is_a_reason_not_a_crash(
    here: Organisation,
) -> None:
    broken = here._put("evaluation.json", b'{"schema": "something else"')
    metadata = here.registry.versions[here.arn]["CustomerMetadataProperties"]
    metadata["evaluation-version-id"] = broken["version_id"]
    metadata["evaluation-sha256"] = broken["sha256"]
    promotion = here.claim()["promotion"]
    built = here.call("build_candidate", promotion=promotion)
    assert built["evaluation"]["valid"] is False
    who = here.call("resolve_approver", promotion=promotion)
    verdict = here.call("evaluate_gate", promotion=promotion, **who, **built)["verdict"]
    assert [reason["rule"] for reason in verdict["reasons"]] == ["evaluation_report_valid"]


def test_a_digest_that_was_declared_wrongly_is_a_reason(here: Organisation) -> None:
    metadata = here.registry.versions[here.arn]["CustomerMetadataProperties"]
    metadata["model-data-sha256"] = "0" * 64
    built = here.call("build_candidate", promotion=here.claim()["promotion"])
    (mismatch,) = built["declared_mismatches"]
    assert mismatch["declared"] == "0" * 64
    assert mismatch["actual"] == here.objects["model.tar.gz"]["sha256"]


def test_code_outside_the_candidate_is_found_before_a_byte_is_copied(here: Organisation) -> None:
    """Central's version would read it from Dev, and what is copied is locked."""
    container = here.registry.versions[here.arn]["InferenceSpecification"]["Containers"][0]
    code = f"s3://{DEV_BUCKET}/code/inference.tar.gz"
    container["Environment"] = {"SAGEMAKER_SUBMIT_DIRECTORY": code}
    with pytest.raises(InvalidInputError, match=f"{code}, which is not part of the candidate"):
        here.call("build_candidate", promotion=here.claim()["promotion"])


def test_a_missing_artefact_is_named(here: Organisation) -> None:
    container = here.registry.versions[here.arn]["InferenceSpecification"]["Containers"][0]
    container["ModelDataUrl"] = f"s3://{DEV_BUCKET}/nowhere/model.tar.gz"
    del here.registry.versions[here.arn]["CustomerMetadataProperties"]["model-data-version-id"]
    with pytest.raises(NotFoundError, match=r"nowhere/model\.tar\.gz"):
        here.call("build_candidate", promotion=here.claim()["promotion"])


def test_a_promoted_version_is_unchanged(here: Organisation) -> None:
    _, candidate, arn = here.promoted()
    verified = here.call("verify_candidate", promotion=here.in_central(arn))
    assert verified["differences"] == []
    assert verified["candidate"]["candidate_id"] == candidate["candidate_id"]
    assert verified["candidate"]["origin_arn"] == here.arn
    here.registry.versions[arn]["LastModifiedTime"] = f"{DECIDED[:-1]}.000000Z"
    who = here.call("resolve_approver", promotion=here.in_central(arn))
    assert who["trainer"]["person"] == "theo"


def test_our_own_results_do_not_change_the_candidate(here: Organisation) -> None:
    arn = here.promoted()[2]
    for number, auc in enumerate((0.8, 0.81)):
        here.tests(arn, number, auc=auc, latency_p95_ms=12.5)
        assert here.verified(arn)["tampering"] == []
    version = here.registry.describe(arn)
    assert version["CustomerMetadataProperties"]["test-auc"] == "0.81"
    assert version["CustomerMetadataProperties"]["test-latency-p95-ms"] == "12.5"
    card = json.loads(version["ModelCard"]["ModelCardContent"])
    assert len(card["evaluation_details"]) == 1


_CARDS = {
    "card": '{"model_overview": {"model_name": "other"}}',
    "no card at all": "{",
    "no list of evaluations": '{"evaluation_details": {"name": "x"}}',
}


@pytest.mark.parametrize(
    "what",
    [
        *("image", "bytes", "bytes without a digest", "no bytes", "model data"),
        *("card", "no card at all", "no list of evaluations"),
    ],
)
def test_a_change_after_the_promotion_is_found(
    here: Organisation, aws: Callable[..., Any], what: str
) -> None:
    _, _, arn = here.promoted()
    version = here.registry.versions[arn]
    container = version["InferenceSpecification"]["Containers"][0]
    if what == "image":
        container["Image"] = "account.dkr.ecr.us-east-1.amazonaws.com/other:1"
    elif what in _CARDS:
        version["ModelCard"]["ModelCardContent"] = _CARDS[what]
    elif what == "model data":
        container["ModelDataUrl"] = f"s3://{ARTIFACTS}/other/model.tar.gz"
    else:
        bucket, _, key = container["ModelDataUrl"].removeprefix("s3://").partition("/")
        place = {"Bucket": bucket, "Key": key}
        if what == "bytes":
            aws("s3").put_object(**place, Body=b"other", ChecksumAlgorithm="SHA256")
        elif what == "no bytes":
            aws("s3").delete_object(**place)
        else:
            aws("s3").put_object(**place, Body=b"other", ChecksumAlgorithm="CRC32")
    verified = here.call("verify_candidate", promotion=here.in_central(arn))
    assert len(verified["differences"]) == 1


def _rewrite(version: dict[str, Any], *ours: dict[str, Any]) -> None:
    """Somebody writes these evaluations into the card in place of those under our name."""
    card = json.loads(version["ModelCard"]["ModelCardContent"])
    card["evaluation_details"] = list(ours)
    version["ModelCard"]["ModelCardContent"] = json.dumps(card)


@pytest.mark.parametrize("key", ["candidate-id", "origin-arn", "manifest-uri"])
def test_a_version_that_says_it_came_from_elsewhere_is_found(here: Organisation, key: str) -> None:
    arn = here.promoted()[2]
    said = here.registry.versions[arn]["CustomerMetadataProperties"]
    before, said[key] = said[key], "elsewhere"
    assert _changed(here, arn)["outcome"] == "recorded"
    (entry,) = Ledger("governed-path-ledger").newest_first(here.model, "ApprovalsVoided")
    assert entry["differences"] == [
        {"name": f"metadata.{key}", "expected": before, "actual": "elsewhere"}
    ]


def test_a_version_that_tells_of_tests_before_it_had_any_is_found(here: Organisation) -> None:
    arn = here.promoted()[2]
    version = here.registry.versions[arn]
    version["CustomerMetadataProperties"]["test-auc"] = "0.99"
    _rewrite(version, {"name": "governed-path test of candidate 0123456789ab"})
    found = {one["name"]: one["expected"] for one in here.verified(arn)["tampering"]}
    name = "tests.model_card.governed-path test of candidate 0123456789ab.name"
    assert found == {name: "null", "tests.metadata.test-auc": "null"}


@pytest.mark.parametrize("said", [None, "sibling"])
def test_which_candidate_a_version_is_is_the_ledgers_word(
    here: Organisation, said: str | None
) -> None:
    """Or the approvals of another one would be voided, and its own would stand."""
    _, candidate, arn = here.promoted()
    metadata = here.registry.versions[arn]["CustomerMetadataProperties"]
    del metadata["candidate-id"]
    if said:
        metadata["candidate-id"] = said
    verified = here.verified(arn)
    assert verified["candidate"]["candidate_id"] == candidate["candidate_id"]
    assert verified["tampering"] == [
        {
            "name": "metadata.candidate-id",
            "expected": candidate["candidate_id"],
            "actual": said or "null",
        }
    ]
    who = here.call("resolve_approver", promotion=here.in_central(arn))
    assert (
        who["trainer"]["person"]
        == here.call("resolve_approver", promotion=here.claim()["promotion"])["trainer"]["person"]
    )


def test_a_version_that_came_another_way_is_refused(here: Organisation) -> None:
    impostor = here.registry.register(here.registry.describe(here.promoted()[2]))
    for arn in (here.arn, impostor):
        for function in ("verify_candidate", "resolve_approver"):
            with pytest.raises(NotFoundError, match=f"no CandidatePromoted of {arn}"):
                here.call(function, promotion=here.in_central(arn))


_BOTH = ["deployment_definition_valid", "deployment_definition_tested"]


def test_prod_needs_a_passed_test_of_this_very_candidate(here: Organisation) -> None:
    _, candidate, arn = here.promoted(recorded=False)
    promotion = here.in_central(arn, "Prod")
    facts = {
        "promotion": promotion,
        "approver": identity_of(_user("governance-engineer", "grace")),
        "trainer": {"person": "theo"},
        "decision_current": True,
        "confirmation": {"approver": identity_of(_user("governance-engineer", "grace"))},
        "approval": {
            "model_approval_status": "Approved",
            "approval_description": "Reviewed the report and the subgroups.",
        },
        "candidate": candidate,
        "differences": [],
    }
    rules = [r["rule"] for r in here.call("evaluate_gate", **facts)["verdict"]["reasons"]]
    # A promotion that came to no entry in the ledger is none.
    assert rules == ["follows_the_stage_machine", "tests_passed_for_candidate"]
    passed = {
        "kind": "ValidationPassed",
        "promotion": here.in_central(arn),
        "stage": "Test",
        "stage_status": "Passed",
        "candidate_id": candidate["candidate_id"],
        "approver": identity_of(_user("ai-engineer", "alex")),
        "verdict": {"allowed": True, "facts": {"definition": here.directory_entry["definition"]}},
        "summary": {
            "metrics": {
                "auc": 0.8,
                "brier": 0.18,
                "calibration_error": 0.05,
                "latency_p95_ms": 12.5,
            },
            "suites": [
                {"suite": name, "status": "passed"} for name in ("contract", "golden", "quality")
            ],
        },
    }
    assert here.call("record", **passed) == here.call("record", **passed)
    # The approval for Test was never seen by CloudTrail.
    unseen = here.call("evaluate_gate", **facts)["verdict"]
    (reason,) = unseen["reasons"]
    assert reason["rule"] == "earlier_approvers_confirmed"
    assert "alex for Test: CloudTrail has not confirmed who approved" in reason["fact"]
    here.seen(passed["approver"], "Test", arn)
    verdict = here.call("evaluate_gate", **facts)["verdict"]
    assert verdict["allowed"]
    default = here.directory_entry["definition"]
    assert verdict["facts"]["definition"] == {**default, "problems": []}
    assert verdict["facts"]["tested_definition"] == default["digest"]
    # The Governance Engineer's approval names another one than was tested, then one that is no
    # definition of the tier's, then one that nobody published.
    release = samples.definition()["release"]
    other = here.publish(samples.definition(release={**release, "bake_seconds": 900}))
    milder = here.publish(samples.definition(release={**release, "bake_seconds": 0}))
    for digest, denied, fact in (
        (other["digest"], ["deployment_definition_tested"], "tested was"),
        (milder["digest"], _BOTH, "release.bake_seconds: is 0; tier high asks for at least 300"),
        ("0" * 64, _BOTH, "check the name, or restore what was deleted"),
    ):
        facts["approval"]["definition"] = digest
        reasons = here.call("evaluate_gate", **facts)["verdict"]["reasons"]
        assert [reason["rule"] for reason in reasons] == denied
        assert fact in reasons[0]["fact"]
        assert digest[:12] in reasons[0]["fact"]


def test_a_version_without_a_definition_is_not_tested(here: Organisation) -> None:
    _, _, arn = here.promoted()
    here.enter({key: v for key, v in here.directory_entry.items() if key != "definition"})
    promotion = here.in_central(arn)
    who = here.call("resolve_approver", promotion=promotion)
    verified = here.call("verify_candidate", promotion=promotion)
    del verified["tampering"], verified["voided"]
    verdict = here.call("evaluate_gate", promotion=promotion, **who, **verified)["verdict"]
    (reason,) = [r for r in verdict["reasons"] if r["rule"] == "deployment_definition_valid"]
    assert reason["fact"].startswith("no deployment definition is named")


def test_a_definition_is_stored_once_and_read_as_it_was(
    here: Organisation, aws: Callable[..., Any]
) -> None:
    definition = samples.definition()
    reference = here.publish(definition)
    assert here.publish(definition) == reference
    assert stored.read(reference) == definition
    bucket, key = parse_uri(reference["uri"])
    assert len(aws("s3").list_object_versions(Bucket=bucket, Prefix=key)["Versions"]) == 1
    aws("s3").put_object(Bucket=bucket, Key=key, Body=b"{}", ChecksumAlgorithm="SHA256")
    with pytest.raises(IntegrityError, match="recorded is"):
        stored.read(reference)
    with pytest.raises(IntegrityError, match="is there with sha256"):
        here.publish(definition)


def test_a_policy_that_was_replaced_decides_nothing(
    here: Organisation, aws: Callable[..., Any]
) -> None:
    aws("dynamodb").update_item(
        TableName="governed-path-project-directory",
        Key={"model": {"S": here.model}},
        UpdateExpression="SET policy.tier.sha256 = :other",
        ExpressionAttributeValues={":other": {"S": "0" * 64}},
    )
    promotion = here.claim()["promotion"]
    who = here.call("resolve_approver", promotion=promotion)
    built = here.call("build_candidate", promotion=promotion)
    with pytest.raises(IntegrityError, match="policies/tier"):
        here.call("evaluate_gate", promotion=promotion, **who, **built)


def _policies_recorded(here: Organisation) -> list[dict[str, Any]]:
    return list(Ledger("governed-path-ledger").newest_first(here.model, "PolicyChanged"))


def test_a_published_policy_is_recorded_once_with_who_it_was(here: Organisation) -> None:
    assert here.policy_recorded() == ["recorded"]
    (entry,) = _policies_recorded(here)
    assert entry["approver"]["person"] == "adam"
    assert entry["policy"]["before"] is None
    assert [file["part"] for file in entry["policy"]["files"]] == ["cedar", "schema", "tier"]
    verdict = _gate_of_dev(here)
    assert entry["policy"]["after"]["digest"] == verdict["policy_digest"]


def test_a_policy_that_nobody_recorded_lets_nothing_pass(
    here: Organisation, aws: Callable[..., Any]
) -> None:
    """Somebody writes other pins into the directory and says nothing."""
    before = copy.deepcopy(here.directory_entry)
    body = json.dumps({**POLICY, "description_min_chars": 1}).encode()
    key = f"policies/tier/{uuid4().hex}"
    version = aws("s3").put_object(Bucket=EVIDENCE, Key=key, Body=body)["VersionId"]
    here.directory_entry["policy"]["tier"] = {
        "uri": f"s3://{EVIDENCE}/{key}",
        "sha256": hashlib.sha256(body).hexdigest(),
        "version_id": version,
    }
    aws("dynamodb").put_item(
        TableName="governed-path-project-directory", Item=items.to_item(here.directory_entry)
    )
    assert here.policy_recorded(before) == ["refused"]
    assert len(_policies_recorded(here)) == 1
    reasons = _gate_of_dev(here)["reasons"]
    assert [reason["rule"] for reason in reasons] == ["policy_is_recorded"]


def test_what_is_no_change_of_policy_is_not_looked_at(here: Organisation) -> None:
    assert here.policy_recorded(copy.deepcopy(here.directory_entry)) == []


def _gate_of_dev(here: Organisation) -> dict[str, Any]:
    promotion = here.claim()["promotion"]
    who = here.call("resolve_approver", promotion=promotion)
    built = here.call("build_candidate", promotion=promotion)
    verdict: dict[str, Any] = here.call("evaluate_gate", promotion=promotion, **who, **built)[
        "verdict"
    ]
    return verdict


def test_a_kind_of_entry_that_does_not_exist_is_refused(here: Organisation) -> None:
    with pytest.raises(InvalidInputError, match=r"Celebrated.*CandidatePromoted"):
        here.call(
            "record",
            kind="Celebrated",
            promotion=here.claim()["promotion"],
            stage="Dev",
            stage_status="Approved",
        )


def test_the_deployed_version_before_is_superseded_once(here: Organisation) -> None:
    _, candidate, first = here.promoted()
    release = {
        "kind": "CandidateReleased",
        "stage": "Prod",
        "stage_status": "Deployed",
        "candidate_id": candidate["candidate_id"],
    }
    deployment = here.call(
        "plan_deployment",
        promotion=here.in_central(first, "Prod"),
        candidate=here.verified(first)["candidate"],
        definition=here.directory_entry["definition"]["digest"],
    )["deployment"]
    second = here.again(first)
    asked = {"promotion": here.in_central(second, "Prod"), "deployment": deployment}
    assert here.call("supersede_version", **asked) == {"superseded": None}
    here.call("record", promotion=here.in_central(first, "Prod"), **release)
    here.call(
        "set_stage",
        promotion=here.in_central(first, "Prod"),
        model_package_arn=first,
        stage="Prod",
        stage_status="Deployed",
        description="",
    )
    # The new one serves by now, and is not what it replaces.
    serves = {**release, "kind": "CandidateInService", "stage_status": "Releasing"}
    here.call("record", promotion=here.in_central(second, "Prod"), **serves)
    for _ in range(2):
        assert here.call("supersede_version", **asked) == {"superseded": first}
        stage = here.registry.describe(first)["ModelLifeCycle"]
        assert stage["StageStatus"] == "Superseded"
    # A drill that was stopped has left it there.
    here.registry.versions[first]["ModelLifeCycle"]["StageStatus"] = "Drill-Requested"
    here.call("supersede_version", **asked)
    assert here.registry.describe(first)["ModelLifeCycle"]["StageStatus"] == "Superseded"
    here.registry.versions[first]["ModelLifeCycle"]["StageStatus"] = "Recalled"
    here.call("supersede_version", **asked)
    assert here.registry.describe(first)["ModelLifeCycle"]["StageStatus"] == "Recalled"


@pytest.mark.parametrize(
    ("present", "shown"),
    [("Drill-Requested", "Deployed"), ("Superseded", "Superseded"), ("RolledBack", "RolledBack")],
)
def test_what_a_version_came_to_be_meanwhile_is_not_put_back(
    here: Organisation, present: str, shown: str
) -> None:
    _, _, arn = here.promoted()
    here.registry.versions[arn]["ModelLifeCycle"] = {"Stage": "Prod", "StageStatus": present}
    found = here.call(
        "set_stage",
        promotion=here.in_central(arn, "Prod"),
        model_package_arn=arn,
        stage="Prod",
        stage_status="Deployed",
        description="",
        only_from={"stage": "Prod", "stage_status": "Drill-Requested"},
    )
    assert found == {"model_package_arn": arn, "stage": "Prod", "stage_status": shown}
    assert here.registry.describe(arn)["ModelLifeCycle"]["StageStatus"] == shown


@pytest.mark.parametrize(
    ("present", "role", "shown"),
    [
        ("Rejected", "governance-engineer", "Rejected"),
        ("Releasing", "governance-engineer", "Errored"),
        # A gate's, of another run about the same version.
        ("Rejected", "registry", "Errored"),
    ],
)
def test_what_a_person_has_rejected_stays_so_however_its_release_ends(
    here: Organisation, present: str, role: str, shown: str
) -> None:
    _, _, arn = here.promoted()
    here.registry.versions[arn] |= {
        "ModelLifeCycle": {"Stage": "Prod", "StageStatus": present},
        "LastModifiedBy": _user(role, "somebody"),
    }
    found = here.call(
        "set_stage",
        promotion=here.in_central(arn, "Prod"),
        model_package_arn=arn,
        stage="Prod",
        stage_status="Errored",
        description="",
        not_from={"stage": "Prod", "stage_status": "Rejected"},
    )
    assert found == {"model_package_arn": arn, "stage": "Prod", "stage_status": shown}
    assert here.registry.describe(arn)["ModelLifeCycle"]["StageStatus"] == shown


def test_a_version_is_put_back_to_what_the_ledger_says_at_that_moment(here: Organisation) -> None:
    _, _, arn = here.promoted()
    asked = {"Stage": "Prod", "StageStatus": "Rollback-Requested"}
    set_back = {
        "promotion": here.in_central(arn, "Prod"),
        "model_package_arn": arn,
        "as_recorded": True,
        "only_from": {"stage": "Prod", "stage_status": "Rollback-Requested"},
        "description": "the rollback has changed nothing",
    }
    here.registry.versions[arn]["ModelLifeCycle"] = dict(asked)
    # The ledger of another version says nothing of this one.
    nobody = here.registry.register(here.registry.describe(arn))
    here.registry.versions[nobody]["ModelLifeCycle"] = dict(asked)
    found = here.call("set_stage", **{**set_back, "model_package_arn": nobody})
    assert found["stage_status"] == "Rollback-Requested"
    assert here.registry.describe(nobody)["ModelLifeCycle"] == asked
    # What a release has made of it while the rollback waited.
    here.call(
        "record",
        promotion=here.in_central(arn, "Prod"),
        kind="CandidateReleased",
        stage="Prod",
        stage_status="Deployed",
    )
    found = here.call("set_stage", **set_back)
    assert (found["stage"], found["stage_status"]) == ("Prod", "Deployed")
    assert here.registry.describe(arn)["ModelLifeCycle"]["StageStatus"] == "Deployed"


def _released(here: Organisation, arn: str) -> dict[str, Any]:
    """The deployment of a Central version that was cleared and released to Prod."""
    promotion = here.in_central(arn, "Prod")
    candidate = here.verified(arn)["candidate"]
    deployment: dict[str, Any] = here.call(
        "plan_deployment",
        promotion=promotion,
        candidate=candidate,
        definition=here.directory_entry["definition"]["digest"],
    )["deployment"]
    here.call("grant_clearance", promotion=promotion, candidate=candidate, deployment=deployment)
    here.call(
        "record",
        kind="CandidateReleased",
        promotion=promotion,
        stage="Prod",
        stage_status="Deployed",
        candidate_id=candidate["candidate_id"],
        deployment=deployment,
    )
    here.registry.versions[arn]["ModelApprovalStatus"] = "Approved"
    return deployment


def test_a_first_release_has_no_way_back_and_says_so(here: Organisation) -> None:
    _, _, arn = here.promoted()
    found = here.call("prove_rollback_target", promotion=here.in_central(arn, "Prod"))
    assert found["refusal"] is None
    assert found["rollback_target"].keys() == {"said"}


def test_the_way_back_is_what_served_and_all_of_it_is_tried(
    here: Organisation, aws: Callable[..., Any]
) -> None:
    closed = {"Key": "cleared-prod", "Value": "no"}
    _, _, first = here.promoted()
    _released(here, first)
    second = here.again(first)
    asked = {"promotion": here.in_central(second, "Prod")}
    found = here.call("prove_rollback_target", **asked)
    assert found["refusal"] is None, found
    assert found["rollback_target"]["model_package_arn"] == first
    said = here.registry.versions[first]["CustomerMetadataProperties"]
    said["test-status"] = "Passed"
    refused = here.call("prove_rollback_target", **asked)
    assert "tests.metadata.test-status" in str(refused["refusal"])
    del said["test-status"]
    here.registry.versions[first]["ModelApprovalStatus"] = "Rejected"
    model_data = next(
        one for one in here.verified(first)["candidate"]["objects"] if one["role"] == "model-data"
    )
    place = {"Bucket": model_data["bucket"], "Key": model_data["key"]}
    aws("s3").put_object_tagging(
        **place, VersionId=model_data["version_id"], Tagging={"TagSet": [closed]}
    )
    aws("s3").put_object(**place, Body=b"other", ChecksumAlgorithm="SHA256")
    refused = here.call("prove_rollback_target", **asked)
    assert refused["refusal"]["allowed"] is False
    proven = {c["name"]: c["proven"] for c in refused["rollback_target"]["checks"]}
    wrong = {name for name, good in proven.items() if not good}
    assert wrong == {"approval", "bytes", "readable"}
    assert "definition" in proven


def test_a_rollback_finds_what_served_before_and_asks_policy_about_it(here: Organisation) -> None:
    _, _, first = here.promoted()
    _released(here, first)
    second = here.again(first)
    here.call(
        "record",
        kind="CandidateReleased",
        promotion=here.in_central(second, "Prod"),
        stage="Prod",
        stage_status="Deployed",
        candidate_id=here.verified(first)["candidate"]["candidate_id"],
        deployment=_released(here, first) | {"model_package_arn": second},
    )
    here.registry.update(
        second,
        ModelLifeCycle={
            "Stage": "Prod",
            "StageStatus": "Rollback-Requested",
            "StageDescription": "Wrong for patients over 80.",
        },
    )
    here.registry.versions[second]["LastModifiedBy"] = _user("governance-engineer", "grace")
    event = here.event(
        ModelPackageArn=second,
        ModelLifeCycle={
            "Stage": "Prod",
            "StageStatus": "Rollback-Requested",
            "StageDescription": "Wrong for patients over 80.",
        },
    )
    given = {"workflow": "rollback_model", "execution_arn": EXECUTION, "event": event}
    claimed = here.call("claim_rollback", **given)
    assert (claimed["outcome"], claimed["reason"]) == ("claimed", "Wrong for patients over 80.")
    other = here.call("claim_rollback", **given | {"execution_arn": f"{EXECUTION}-2"})
    assert other["outcome"] == "duplicate"
    promotion = claimed["promotion"]
    who = here.call("resolve_approver", promotion=promotion)
    found = here.call("prove_rollback_target", promotion=promotion)
    assert found["rollback"]["serves"]
    assert (found["rollback"]["to"], found["promotion"]["model_package_arn"]) == (first, first)
    verdict = here.call(
        "evaluate_gate",
        promotion=found["promotion"],
        **who,
        candidate=found["candidate"],
        rollback={**found["rollback"], "trigger": "person"},
    )["verdict"]
    assert verdict["allowed"], verdict["reasons"]
    assert "rollback_target_has_served" in verdict["rules"]
    plan = here.call(
        "plan_deployment",
        promotion=found["promotion"],
        candidate=found["candidate"],
        definition=found["definition"],
    )["deployment"]
    assert plan["model_package_arn"] == first
    assert promotion["claim_id"][:10] in plan["config_name"]
    # A drill asks the same, and tries the answer in Test.
    drill = {**promotion, "workflow": "drill_rollback"}
    same = here.call("prove_rollback_target", promotion=drill)
    assert (same["rollback"], same["candidate"]) == (found["rollback"], found["candidate"])
    tried = here.call(
        "plan_deployment",
        promotion={**same["promotion"], "stage": "Test"},
        candidate=same["candidate"],
        definition=same["definition"],
    )["deployment"]
    assert (tried["stage"], tried["source"], tried["release"]) == ("Test", "containers", None)
    assert f"-drill-{promotion['claim_id'][:10]}" in tried["endpoint_name"]


def _serves(here: Organisation, arn: str, kind: str, **more: Any) -> dict[str, Any]:
    """Record an entry of a release of that version; its promotion."""
    promotion = {**here.in_central(arn, "Prod"), "workflow": "release_to_prod"}
    here.call(
        "record",
        kind=kind,
        promotion=promotion,
        stage="Prod",
        stage_status="Releasing",
        candidate_id=here.verified(arn)["candidate"]["candidate_id"],
        **more,
    )
    return promotion


def _went_off(here: Organisation, name: str, at: str = "2999-01-01T00:00:00Z") -> dict[str, Any]:
    """The event of an alarm of the model's endpoint."""
    event = events.example("cloudwatch-alarm-state-change.endpoint-alarm")
    (metric,) = event["detail"]["configuration"]["metrics"]
    metric["metricStat"]["metric"]["dimensions"]["EndpointName"] = here.model
    event["detail"] |= {"alarmName": f"governed-path-{here.model}-{name}"}
    event["detail"]["state"] |= {"timestamp": at}
    return {
        "workflow": "rollback_model",
        "execution_arn": f"{EXECUTION}-{name}",
        "event": {**event, "account": CENTRAL},
    }


def _found_alarm(
    here: Organisation, arn: str, release: dict[str, Any], deployment: dict[str, Any]
) -> dict[str, Any]:
    """The event of a release of that version that has found an alarm when its bake was over."""
    event = events.example("governed-path-release-errored.alarm-after-release")
    event["detail"] |= {
        "model": here.model,
        "model_package_arn": arn,
        "claim_id": release["claim_id"],
        "recorded_at": "2999-01-01T00:00:00Z",
        "endpoint": {key: deployment[key] for key in ("endpoint_name", "endpoint_arn", "account")},
    }
    return event


def test_an_alarm_takes_back_what_serves_although_its_release_broke_and_once(
    here: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, first = here.promoted()
    deployment = _released(here, first)
    second = here.again(first)
    planned = {"deployment": deployment | {"model_package_arn": second}}
    # Nothing of the second serves yet, and the first was not released by that workflow.
    assert here.call("claim_rollback", **_went_off(here, "early"))["outcome"] == "ignored"
    release = _serves(here, second, "CandidateInService", **planned)
    # While it bakes its run has the endpoint: it loses it to the rollback.
    runs: list[str] = []
    monkeypatch.setattr(workflows, "is_running", lambda arn: arn in runs)
    lock = locks.lock_of(release, deployment["endpoint_arn"], DECIDED)
    table = Locks("governed-path-endpoint-locks")
    table.take(lock)
    runs.append(lock["execution_arn"])
    claimed = here.call("claim_rollback", **_went_off(here, "errors"))
    assert (claimed["outcome"], claimed["trigger"]) == ("claimed", "alarm")
    assert claimed["promotion"]["model_package_arn"] == second
    failure = {"Error": "SmokeTestFailed", "Cause": "HTTP 500"}
    _serves(here, second, "ReleaseErrored", failure=failure, **planned)
    # The next alarm of the incident finds the same release, which is taken back already.
    assert here.call("claim_rollback", **_went_off(here, "slow"))["outcome"] == "duplicate"
    found = here.call("prove_rollback_target", promotion=claimed["promotion"])
    assert found["rollback"]["serves"]
    assert (found["rollback"]["serving"], found["rollback"]["to"]) == (second, first)
    # A rollback that goes on is what the alarm asks for.
    back = {**lock, "workflow": "rollback_model", "execution_arn": f"{EXECUTION}-back"}
    table.take_over(lock, back)
    runs.append(back["execution_arn"])
    assert here.call("claim_rollback", **_went_off(here, "third"))["outcome"] == "ignored"


def test_an_alarm_that_a_release_found_is_the_claim_of_the_alarm_itself(
    here: Organisation,
) -> None:
    _, _, arn = here.promoted()
    deployment = _released(here, arn)
    promotion = _serves(here, arn, "CandidateInService", deployment=deployment)
    event = _found_alarm(here, arn, promotion, deployment)
    asked = {"workflow": "rollback_model", "execution_arn": EXECUTION, "event": event}
    found = here.call("claim_rollback", **asked)
    assert (found["outcome"], found["trigger"]) == ("claimed", "alarm")
    assert event["detail"]["alarms"][0] in found["reason"]
    assert here.call("claim_rollback", **_went_off(here, "late"))["outcome"] == "duplicate"


def _left_failed(here: Organisation, first: str, second: str) -> dict[str, Any]:
    """The event of a release of the second version that has left the endpoint failed."""
    deployment = _released(here, first)
    planned = {"deployment": deployment | {"model_package_arn": second}}
    release = _serves(here, second, "ReleaseStarted", **planned)
    event = events.example("governed-path-release-errored.endpoint-failed")
    told = {key: event["detail"][key] for key in ("failure", "rollback_target")}
    told["rollback_target"] |= {"model_package_arn": first}
    _serves(here, second, "ReleaseErrored", **told, **planned)
    found = _found_alarm(here, second, release, deployment)["detail"]
    event["detail"] |= {**found, **told}
    return event


def test_an_endpoint_that_a_release_left_failed_goes_back_to_what_it_served(
    here: Organisation,
) -> None:
    _, _, first = here.promoted()
    second = here.again(first)
    event = _left_failed(here, first, second)
    asked = {"workflow": "rollback_model", "execution_arn": EXECUTION, "event": event}
    claimed = here.call("claim_rollback", **asked)
    assert (claimed["outcome"], claimed["trigger"]) == ("claimed", "alarm")
    assert claimed["promotion"]["model_package_arn"] == second
    assert f"had failed when the release of {second} ended" in claimed["reason"]
    assert claimed["approver"]["person"] == f"endpoint {here.model}"
    again = here.call("claim_rollback", **asked | {"execution_arn": f"{EXECUTION}-2"})
    assert again["outcome"] == "duplicate"
    found = here.call("prove_rollback_target", promotion=claimed["promotion"], trigger="alarm")
    # The ledger says that the first serves; what is to go is what has failed.
    assert (found["rollback"]["serving"], found["rollback"]["to"]) == (first, first)
    verdict = here.call(
        "evaluate_gate",
        promotion=found["promotion"],
        approver=claimed["approver"],
        trainer={"person": ""},
        decision_current=True,
        approval={"definition": found["definition"]},
        candidate=found["candidate"],
        rollback={**found["rollback"], "trigger": "alarm"},
    )["verdict"]
    assert verdict["allowed"], verdict["reasons"]
    locked = here.call("lock_endpoint", promotion=claimed["promotion"], attempt=0)
    assert locked["refusal"] is None


def test_a_rollback_of_a_failed_endpoint_that_was_stopped_is_recorded(here: Organisation) -> None:
    _, _, first = here.promoted()
    second = here.again(first)
    asked = _left_failed(here, first, second)
    end = _stopped(asked)
    execution_arn = end["detail"]["executionArn"]
    given = {"workflow": "rollback_model", "execution_arn": execution_arn, "event": asked}
    assert here.call("claim_rollback", **given)["outcome"] == "claimed"
    assert here.call("record_unfinished_run", **end)["outcome"] == "recorded"
    assert _story_of(here, second)[0]["kind"] == "RunUnfinished"


def test_tests_compare_with_what_serves_after_a_rollback(here: Organisation) -> None:
    _, candidate, first = here.promoted()
    deployment = _released(here, first)
    second = here.again(first)
    third = here.again(first)
    ours = Ledger("governed-path-ledger")

    def champion() -> str:
        """Of which version the tests of the third look for a report; none of them has one."""
        found, why = champions.find(
            ours,
            model=here.model,
            endpoint_name=deployment["endpoint_name"],
            model_package_arn=third,
            holdout_sha256="0" * 64,
        )
        assert found is None
        return why.removeprefix("the tests of ").removesuffix(" kept no predictions of single rows")

    assert champion() == first
    _serves(here, second, "CandidateInService", deployment=deployment)
    assert champion() == second
    back = {**here.in_central(second, "Prod"), "workflow": "rollback_model"}
    here.call(
        "record",
        kind="CandidateRestored",
        promotion=back,
        model_package_arn=first,
        stage="Prod",
        stage_status="Deployed",
        candidate_id=candidate["candidate_id"],
        deployment=deployment,
    )
    assert champion() == first


def test_the_report_of_a_validation_is_written_once(
    here: Organisation, aws: Callable[..., Any]
) -> None:
    _, _, arn = here.promoted()
    promotion = here.in_central(arn)
    candidate = here.verified(arn)["candidate"]
    plan = here.call(
        "plan_deployment",
        promotion=promotion,
        candidate=candidate,
        definition=here.directory_entry["definition"]["digest"],
    )["deployment"]
    asked = {
        "promotion": promotion,
        "candidate": candidate,
        "deployment": plan,
        "plan": {
            "suites": [],
            "holdout_suites": [],
            "shards": [],
            "champion": None,
            "omitted": [],
        },
        "thresholds": {},
        "results": [],
        "shards": [],
        "deployment_outcome": {"outcome": "failed", "failure_reason": "no /ping"},
    }
    first, second = (here.call("aggregate_results", **asked) for _ in range(2))
    assert first == second
    assert first["status"] == "Failed"
    assert "no /ping" in first["reasons"][0]
    bucket, _, key = first["report"]["uri"].removeprefix("s3://").partition("/")
    body = aws("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert hashlib.sha256(body).hexdigest() == first["report"]["sha256"]


def _with_a_real_holdout(here: Organisation) -> None:
    """A version whose model, holdout and report belong together."""
    found = benches.rows()
    report = here._evaluation() | benches.measured(found)
    for one in report["subgroups"]:
        one["positives"] = 60
    here.objects |= {
        "holdout.csv": here._put("holdout.csv", benches.as_csv(found)),
        "evaluation.json": here._put("evaluation.json", json.dumps(report).encode()),
        "sample.json": here._put("sample.json", b'{"instances": [{"age": 0.1, "bmi": 0.02}]}'),
    }
    here.registry.versions[here.arn] = here._version()


def _validated(
    here: Organisation, asked: dict[str, Any], plan: dict[str, Any], served: Any = None
) -> dict[str, Any]:
    """What AggregateResults makes of all planned suites, run as the state machine does."""
    on = {**asked, "thresholds": plan["thresholds"]}
    planned = plan["plan"]
    results = [here.call("run_suite", **on, suite=one)["result"] for one in planned["suites"]]
    shards = [here.call("run_suite", **on, shard=one)["shard"] for one in planned["shards"]]
    results += here.call(
        "run_suite",
        **on,
        suites=planned["holdout_suites"],
        shards=shards,
        champion=planned["champion"],
    )["results"]
    return here.call(
        "aggregate_results",
        **on,
        plan=planned,
        results=results,
        shards=shards,
        deployment_outcome={"outcome": "in_service"},
    )


def _planned(here: Organisation, arn: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what each suite is asked, the plan) of a validation of that version."""
    promotion = here.in_central(arn)
    asked = {"promotion": promotion, "candidate": here.verified(arn)["candidate"]}
    definition = here.publish(
        samples.definition(
            suites=[
                {"name": "quality", "parameters": {"resamples": 49, "rows_per_shard": 100}},
                {"name": "comparison", "parameters": {"resamples": 49}},
                {"name": "fairness", "parameters": {"resamples": 49}},
                {"name": "latency", "parameters": {"calls": 5}},
            ]
        )
    )
    asked["deployment"] = here.call("plan_deployment", **asked, definition=definition["digest"])[
        "deployment"
    ]
    return asked, here.call("plan_suites", **asked)


def test_a_challenger_is_compared_with_what_the_champion_said_in_its_tests(
    here: Organisation, monkeypatch: pytest.MonkeyPatch, aws: Callable[..., Any]
) -> None:
    served = {"model": benches.risk}
    runs = importlib.import_module("governance.handlers.run_suite")
    monkeypatch.setattr(runs, "Runtime", lambda *_: benches.Served(served["model"]))
    _with_a_real_holdout(here)
    _, _, first = here.promoted()
    asked, plan = _planned(here, first)
    assert [one["suite"] for one in plan["plan"]["suites"]] == ["contract", "golden", "latency"]
    assert plan["plan"]["shards"][-1] == {"from": 200, "to": 250}
    (omitted,) = plan["plan"]["omitted"]
    assert omitted["suite"] == "comparison"
    assert "has served" in omitted["reason"]
    assert plan["thresholds"]["latency_p95_ms_max"] == 400

    tests = _validated(here, asked, plan)
    assert (tests["status"], tests["reasons"]) == ("Passed", [])
    report = json.loads(_read(aws, tests["report"]))
    assert report["predictions"]["rows"] == 250
    assert [shard["to"] for shard in report["predictions"]["shards"]] == [100, 200, 250]
    page = _read(aws, report["page"]).decode()
    assert "test passed" in page
    assert "Calibration" in page
    common = {"candidate_id": asked["candidate"]["candidate_id"], "deployment": asked["deployment"]}
    for stage, kind, status, more in (
        ("Test", "ValidationPassed", "Passed", {"report": tests["report"]}),
        ("Prod", "CandidateReleased", "Deployed", {}),
    ):
        # The endpoint that clients call is the directory's.
        common["deployment"]["endpoint_name"] = here.directory_entry["endpoint_name"]
        here.call(
            "record",
            kind=kind,
            promotion=here.in_central(first, stage),
            stage=stage,
            stage_status=status,
            summary=tests["summary"],
            **common,
            **more,
        )

    second = here.again(first)
    asked["promotion"] = here.in_central(second)
    plan = here.call("plan_suites", **asked)
    assert plan["plan"]["omitted"] == []
    assert plan["plan"]["champion"]["model_package_arn"] == first
    same = _validated(here, asked, plan)
    assert (same["status"], same["summary"]["metrics"]["champion_auc_difference"]) == ("Passed", 0)
    served["model"] = lambda instance: 0.5 + 0.1 * (0.5 - benches.risk(instance))
    worse = _validated(here, asked, plan)
    assert worse["status"] == "Failed"
    assert any(reason.startswith("comparison: AUC") for reason in worse["reasons"])


def test_rows_that_are_not_answered_are_no_evidence(
    here: Organisation, monkeypatch: pytest.MonkeyPatch, aws: Callable[..., Any]
) -> None:
    served = {"model": benches.risk}
    runs = importlib.import_module("governance.handlers.run_suite")
    monkeypatch.setattr(runs, "Runtime", lambda *_: benches.Served(served["model"]))
    _with_a_real_holdout(here)
    _, _, arn = here.promoted()
    asked, plan = _planned(here, arn)
    served["model"] = lambda instance: float("nan")
    tests = _validated(here, asked, plan)
    assert tests["status"] == "Failed"
    reasons = [reason for reason in tests["reasons"] if "every holdout row" in reason]
    assert [reason.partition(":")[0] for reason in reasons] == ["quality", "fairness"]
    assert json.loads(_read(aws, tests["report"]))["predictions"] is None


def _ended(here: Organisation, arn: str, status: str, **detail: Any) -> dict[str, Any]:
    """The end of a validation, as the queue passes it on."""
    event = events.example("step-functions-execution-status-change.validation-aborted")
    decided = here.event(
        ModelPackageArn=arn, ModelLifeCycle={"Stage": "Test", "StageStatus": "Approved"}
    )
    event["detail"] |= {"status": status, "input": json.dumps(decided), **detail}
    return {"Records": [{"body": json.dumps(event)}]}


@pytest.fixture
def removals(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was removed, in order."""
    removed: list[str] = []
    for kind in ("endpoint", "config", "model"):
        monkeypatch.setattr(
            Endpoints, f"remove_{kind}", lambda self, name: not removed.append(name)
        )
    return removed


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
def test_what_a_validation_left_behind_is_removed(
    here: Organisation, removals: list[str], status: str
) -> None:
    _, _, arn = here.promoted()
    removed = here.call("remove_abandoned_endpoint", **_ended(here, arn, status))["removed"]
    unique = claims.claim_id(arn, "Test", DECIDED)[:10]
    assert removed == removals
    assert len(removed) == 3
    assert all(name.endswith(unique) for name in removed)


def test_an_endpoint_that_cannot_be_deleted_yet_is_removed_when_the_event_comes_again(
    here: Organisation, removals: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, arn = here.promoted()
    remove = Endpoints.remove_endpoint
    creating = "Cannot update in-progress endpoint"

    def refuse(self: Endpoints, name: str) -> bool:
        raise TransientError(creating)

    monkeypatch.setattr(Endpoints, "remove_endpoint", refuse)
    event = _ended(here, arn, "ABORTED")
    for _ in range(2):
        with pytest.raises(TransientError, match=creating):
            here.call("remove_abandoned_endpoint", **event)
    assert removals == [], "a config that an endpoint is made by stays until then"
    monkeypatch.setattr(Endpoints, "remove_endpoint", remove)
    assert len(here.call("remove_abandoned_endpoint", **event)["removed"]) == 3


def test_a_deployment_that_goes_on_without_its_validation_is_stopped_first(
    here: Organisation, removals: list[str], aws: Callable[..., Any]
) -> None:
    """Otherwise it would make the endpoint after everything was removed."""
    _, _, arn = here.promoted()
    stepfunctions = aws("stepfunctions")
    role = aws("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    waits = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}
    machine = stepfunctions.create_state_machine(
        name="governed-path-deploy-endpoint",
        definition=json.dumps(waits),
        roleArn=role,
    )["stateMachineArn"]
    child = stepfunctions.start_execution(
        stateMachineArn=machine, name=claims.claim_id(arn, "Test", DECIDED), input="{}"
    )["executionArn"]
    event = _ended(here, arn, "ABORTED")
    for _ in range(2):  # the second time it has ended, but a moment ago
        with pytest.raises(TransientError, match="a function of it may still be at work"):
            here.call("remove_abandoned_endpoint", **event)
    found = stepfunctions.describe_execution(executionArn=child)
    assert (found["status"], found["error"]) == ("ABORTED", "StoppedWithItsRun")
    assert len(removals) == 6, "what is there is removed all the same"


def test_what_a_validation_was_about_is_read_off_the_execution_if_the_event_has_no_room_for_it(
    here: Organisation, removals: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, arn = here.promoted()
    event = _ended(here, arn, "ABORTED")
    body = json.loads(event["Records"][0]["body"])
    long = {
        "Records": [{"body": json.dumps({**body, "detail": {**body["detail"], "input": None}})}]
    }
    with pytest.raises(NotFoundError, match="not known to Step Functions any more"):
        here.call("remove_abandoned_endpoint", **long)
    asked = {"status": "ABORTED", "input": body["detail"]["input"]}
    of_validation = body["detail"]["executionArn"]
    monkeypatch.setattr(
        workflows, "_describe", lambda found: asked if found == of_validation else None
    )
    assert len(here.call("remove_abandoned_endpoint", **long)["removed"]) == 3


def test_a_validation_of_a_model_that_nobody_provisioned_has_made_nothing(
    here: Organisation, removals: list[str]
) -> None:
    arn = _arn("nobodys-model", 1)
    event = _ended(here, arn, "FAILED")
    assert here.call("remove_abandoned_endpoint", **event) == {"removed": []}
    assert removals == []


def test_what_a_drill_left_behind_is_removed(here: Organisation, removals: list[str]) -> None:
    _, _, arn = here.promoted()
    drill = {"Stage": "Prod", "StageStatus": "Drill-Requested"}
    asked = json.dumps(here.event(ModelPackageArn=arn, ModelLifeCycle=drill))
    event = _ended(here, arn, "ABORTED", input=asked)
    removed = here.call("remove_abandoned_endpoint", **event)["removed"]
    unique = claims.claim_id(arn, "Prod/Drill-Requested", DECIDED)[:10]
    assert removed == removals
    assert {name.partition("-drill-")[2] for name in removed} == {unique}


def _read(aws: Callable[..., Any], named: dict[str, str]) -> bytes:
    bucket, _, key = named["uri"].removeprefix("s3://").partition("/")
    body: bytes = aws("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert hashlib.sha256(body).hexdigest() == named["sha256"]
    return body


def _reject(here: Organisation, role: str, person: str, **detail: Any) -> dict[str, Any]:
    life_cycle = {
        "Stage": "Dev",
        "StageStatus": "Rejected",
        "StageDescription": "subgroup too small",
    }
    version = here.registry.versions[here.arn]
    version |= {"ModelLifeCycle": life_cycle, "LastModifiedBy": _user(role, person)}
    return here.call("record_decision", **here.event(ModelLifeCycle=life_cycle, **detail))


def test_a_persons_no_is_recorded_once_with_who_and_why(here: Organisation) -> None:
    first = _reject(here, "data-scientist", "dana")
    assert _reject(here, "data-scientist", "dana") == first
    (entry,) = Ledger("governed-path-ledger").newest_first(here.model, "VersionRejected")
    assert first == {"outcome": "recorded", "entry_id": entry["entry_id"], "sequence": 2}
    assert (entry["stage"], entry["stage_status"]) == ("Dev", "Rejected")
    assert (entry["approver"]["person"], entry["approver"]["persona"]) == ("dana", "data-scientist")
    assert entry["summary"] == {"reasons": ["dana: subgroup too small"]}
    assert "execution_arn" not in entry


def test_what_a_gate_rejected_is_not_recorded_a_second_time(here: Organisation) -> None:
    assert _reject(here, "registry", "gp-1234") == {"outcome": "ignored"}
    assert not list(Ledger("governed-path-ledger").newest_first(here.model, "VersionRejected"))


def test_a_rejection_that_was_replaced_is_nobodys(here: Organisation) -> None:
    result = _reject(
        here, "data-scientist", "somebody-later", LastModifiedTime="2026-01-31T11:59:00Z"
    )
    assert result["outcome"] == "recorded"
    (entry,) = Ledger("governed-path-ledger").newest_first(here.model, "VersionRejected")
    assert "approver" not in entry
    assert entry["summary"] == {"reasons": ["a person: subgroup too small"]}


def test_an_account_may_reject_only_its_own_models(here: Organisation) -> None:
    arn = here.arn.replace(CENTRAL, "777788889999")
    with pytest.raises(AccessError, match="777788889999"):
        here.call(
            "record_decision",
            **{
                **here.event(
                    ModelPackageArn=arn,
                    ModelLifeCycle={"Stage": "Dev", "StageStatus": "Rejected"},
                ),
                "account": "777788889999",
            },
        )


def test_a_version_that_changed_while_we_looked_is_not_what_was_approved(
    here: Organisation,
) -> None:
    promotion = here.claim()["promotion"]
    here.registry.versions[here.arn]["LastModifiedTime"] = "2026-01-31T12:00:03Z"
    (mismatch,) = here.call("build_candidate", promotion=promotion)["declared_mismatches"]
    assert mismatch == {
        "name": "last modified",
        "declared": DECIDED,
        "actual": "2026-01-31T12:00:03Z",
    }


def test_a_version_that_changes_while_it_is_copied_is_not_registered(here: Organisation) -> None:
    """Nor is its candidate lost: once the version is what was approved again, it goes on."""
    promotion = here.claim()["promotion"]
    who = here.call("resolve_approver", promotion=promotion)
    candidate = here.call("build_candidate", promotion=promotion)["candidate"]
    copied = {
        "promotion": promotion,
        "candidate": candidate,
        "objects": here.copied(promotion, candidate),
        "images": here.call("copy_images", promotion=promotion, candidate=candidate)["images"],
        "approver": who["approver"],
        "trainer": who["trainer"],
    }
    container = here.registry.versions[here.arn]["InferenceSpecification"]["Containers"][0]
    before = dict(container.setdefault("Environment", {}))
    container["Environment"]["SAGEMAKER_PROGRAM"] = "other.py"
    with pytest.raises(IntegrityError, match=r"SAGEMAKER_PROGRAM is other\.py"):
        here.call("register_version", **copied)
    container["Environment"] = before
    assert here.call("register_version", **copied)["already_registered"] is False


@pytest.mark.parametrize("gone", [False, True])
def test_a_candidate_whose_version_cannot_pass_any_more_is_not_promoted_to_it_again(
    here: Organisation, gone: bool
) -> None:
    promotion, candidate, arn = here.promoted()
    version = here.registry.versions[arn]
    request = {
        "promotion": promotion,
        "candidate": candidate,
        "objects": here.copied(promotion, candidate),
        "images": here.call("copy_images", promotion=promotion, candidate=candidate)["images"],
        "approver": {"person": "theo"},
        "trainer": {"person": "theo"},
    }
    assert here.call("register_version", **request) == {
        "model_package_arn": arn,
        "already_registered": True,
    }
    if gone:
        del here.registry.versions[arn]
        said = "version of the candidate is not there"
    else:
        version["AdditionalInferenceSpecifications"] = [
            {"Name": "fast", "Containers": [{"Image": "elsewhere/other:1"}]}
        ]
        said = r"additional_inference_specifications.*elsewhere/other:1"
    with pytest.raises(IntegrityError, match=rf"{arn} in Central.*{said}.*not all the same"):
        here.call("register_version", **request)


def test_a_version_that_changes_after_the_gate_is_not_deployed(here: Organisation) -> None:
    _, _, arn = here.promoted()
    asked = {
        "promotion": here.in_central(arn),
        "candidate": here.verified(arn)["candidate"],
        "definition": here.directory_entry["definition"]["digest"],
    }
    assert here.call("plan_deployment", **asked)["deployment"]["source"] == "containers"
    container = here.registry.versions[arn]["InferenceSpecification"]["Containers"][0]
    container["Image"] = "account.dkr.ecr.us-east-1.amazonaws.com/other:1"
    with pytest.raises(IntegrityError, match=r"Image is .*other:1"):
        here.call("plan_deployment", **asked)


def test_tests_that_failed_when_they_were_repeated_do_not_count_any_more(
    here: Organisation,
) -> None:
    _, candidate, arn = here.promoted(recorded=False)
    for number, kind in enumerate(("ValidationPassed", "ValidationFailed")):
        promotion = {**here.in_central(arn), "claim_id": f"{number}" * 64}
        here.call(
            "record",
            kind=kind,
            promotion=promotion,
            stage="Test",
            stage_status=kind.removeprefix("Validation"),
            candidate_id=candidate["candidate_id"],
            approver=identity_of(_user("ai-engineer", "alex")),
        )
    verdict = here.call(
        "evaluate_gate",
        promotion=here.in_central(arn, "Prod"),
        approver=identity_of(_user("governance-engineer", "grace")),
        trainer={"person": "theo"},
        decision_current=True,
        confirmation={"approver": identity_of(_user("governance-engineer", "grace"))},
        approval={
            "model_approval_status": "Approved",
            "approval_description": "Reviewed the report and the subgroups.",
        },
        candidate=candidate,
        differences=[],
    )["verdict"]
    rules = {reason["rule"] for reason in verdict["reasons"]}
    assert rules == {
        "follows_the_stage_machine",
        "earlier_approvers_confirmed",
        "tests_passed_for_candidate",
    }
    assert verdict["leaves"] == {"stage": "Test", "stage_status": "Failed"}


# ---------------------------------------------------------------- registration and tampering


def _new(here: Organisation) -> dict[str, Any]:
    event = here.event(ModelLifeCycle={"Stage": "Dev", "StageStatus": "Registered"})
    del event["detail"]["UpdatedModelPackageFields"]
    return here.call("record_registration", **event)


def test_a_version_is_a_candidate_from_its_registration_on(
    here: Organisation, aws: Callable[..., Any]
) -> None:
    first = _new(here)
    assert _new(here) == first
    (entry,) = Ledger("governed-path-ledger").newest_first(here.model, "CandidateRegistered")
    assert (entry["entry_id"], entry["trainer"]["person"]) == (first["entry_id"], "theo")
    assert (entry["stage"], entry["stage_status"]) == ("Dev", "Registered")
    key = f"manifests/{here.model}/{entry['candidate_id']}.json"
    body = aws("s3").get_object(Bucket=EVIDENCE, Key=key)["Body"].read()
    assert hashlib.sha256(body).hexdigest() == entry["candidate_id"]
    # What is approved later without a change is that very candidate.
    assert here.promoted()[1]["candidate_id"] == entry["candidate_id"]


def test_what_a_registration_has_looked_at_under_a_prefix_is_looked_at_once(
    here: Organisation,
) -> None:
    """A version of an object never changes; what has another version by now is looked at."""
    for name in ("one", "two", "three"):
        here._put(f"model/{name}.bin", name.encode())
    container = here.registry.versions[here.arn]["InferenceSpecification"]["Containers"][0]
    prefix = f"s3://{DEV_BUCKET}/{here.model}/model/"
    source = {"S3Uri": prefix, "S3DataType": "S3Prefix", "CompressionType": "None"}
    del container["ModelDataUrl"]
    container["ModelDataSource"] = {"S3DataSource": source}
    metadata = here.registry.versions[here.arn]["CustomerMetadataProperties"]
    for declared in ("model-data-version-id", "model-data-sha256"):
        del metadata[declared]
    _new(here)
    (entry,) = Ledger("governed-path-ledger").newest_first(here.model, "CandidateRegistered")
    here._put("model/two.bin", b"other bytes")
    here._put("model/four.bin", b"four")

    looks = []
    head = Artifacts._head

    def note(self: Artifacts, bucket: str, key: str, version_id: str | None) -> dict[str, Any]:
        looks.append(key.rpartition("/model/")[2])
        return head(self, bucket, key, version_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Artifacts, "_head", note)
        built = here.call("build_candidate", promotion=here.claim()["promotion"])
    assert sorted(look for look in looks if look.endswith(".bin")) == ["four.bin", "two.bin"]
    # And all four are what the approval is about.
    (found,) = (one for one in built["candidate"]["objects"] if one["role"] == "model-data")
    assert found["objects"] == 4
    assert built["candidate"]["candidate_id"] != entry["candidate_id"]
    names = [one["name"] for one in built["declared_mismatches"]]
    assert names == [f"model-data sha256 of {prefix}"]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("model.tar.gz", "model-data present version"),
        ("statistics.json", "baseline/modeldataquality-statistics sha256"),
    ],
)
def test_an_object_that_was_replaced_before_the_approval_is_a_reason(
    here: Organisation, aws: Callable[..., Any], name: str, role: str
) -> None:
    _new(here)
    there = here._put(name, b"other bytes")
    promotion = here.claim()["promotion"]
    built = here.call("build_candidate", promotion=promotion)
    (mismatch,) = built["declared_mismatches"]
    assert mismatch["name"].startswith(role)
    before = here.objects[name]
    then, now = ("version_id",) * 2 if "version" in role else ("sha256",) * 2
    assert (mismatch["declared"], mismatch["actual"]) == (before[then], there[now])
    who = here.call("resolve_approver", promotion=promotion)
    verdict = here.call("evaluate_gate", promotion=promotion, **who, **built)["verdict"]
    (reason,) = verdict["reasons"]
    assert reason["rule"] == "artifacts_match_registration"
    assert name in reason["fact"]


def test_an_object_that_was_deleted_before_the_approval_is_a_reason(
    here: Organisation, aws: Callable[..., Any]
) -> None:
    aws("s3").delete_object(Bucket=DEV_BUCKET, Key=f"{here.model}/holdout.csv")
    built = here.call("build_candidate", promotion=here.claim()["promotion"])
    (mismatch,) = built["declared_mismatches"]
    assert (mismatch["name"].partition(" ")[0], mismatch["actual"]) == ("holdout", "deleted")


def test_a_version_may_be_completed_until_it_is_approved(here: Organisation) -> None:
    _new(here)
    other = here._put("better-statistics.json", b'{"more": 1}')
    version = here.registry.versions[here.arn]
    version["DriftCheckBaselines"]["ModelDataQuality"]["Statistics"]["S3Uri"] = other["uri"]
    version["ModelCard"]["ModelCardContent"] = '{"model_overview": {"model_name": "said more"}}'
    built = here.call("build_candidate", promotion=here.claim()["promotion"])
    assert built["declared_mismatches"] == []


def test_an_incomplete_version_is_no_candidate_and_no_error(here: Organisation) -> None:
    here.registry.versions[here.arn]["ModelMetrics"] = {}
    assert "evaluation" in _new(here)["reason"]
    assert not list(Ledger("governed-path-ledger").newest_first(here.model, "CandidateRegistered"))


def test_a_model_that_nobody_provisioned_is_none_of_ours(here: Organisation) -> None:
    arn = _arn("somebody-elses", 1)
    event = here.event(ModelPackageArn=arn, ModelPackageGroupName="somebody-elses")
    change = here.call("detect_tampering", **event)
    del event["detail"]["UpdatedModelPackageFields"]
    assert here.call("record_registration", **event) == change == {"outcome": "ignored"}


def _changed(here: Organisation, arn: str, second: int = 5) -> dict[str, Any]:
    at = f"2026-01-31T12:00:{second:02}Z"
    here.registry.versions[arn] |= {
        "LastModifiedTime": at,
        "LastModifiedBy": _user("admin", "adam"),
    }
    life_cycle = {"Stage": "Test", "StageStatus": "Passed"}
    return here.call(
        "detect_tampering",
        **here.event(
            ModelPackageArn=arn,
            ModelLifeCycle=life_cycle,
            UpdatedModelPackageFields=["InferenceSpecification"],
            LastModifiedTime=at,
        ),
    )


def test_a_change_of_an_approved_version_voids_its_approvals_with_before_and_after(
    here: Organisation,
) -> None:
    _, candidate, arn = here.promoted()
    candidate_id = candidate["candidate_id"]
    here.call(
        "record",
        kind="ValidationPassed",
        promotion=here.in_central(arn),
        stage="Test",
        stage_status="Passed",
        candidate_id=candidate_id,
    )
    container = here.registry.versions[arn]["InferenceSpecification"]["Containers"][0]
    before, container["Image"] = container["Image"], "elsewhere/other:1"

    first = _changed(here, arn)
    assert _changed(here, arn) == first
    entries = Ledger("governed-path-ledger")
    (entry,) = entries.newest_first(here.model, "ApprovalsVoided")
    assert entry["entry_id"] == first["entry_id"]
    assert (entry["candidate_id"], entry["changed_by"]["person"]) == (candidate_id, "adam")
    assert entry["differences"] == [
        {
            "name": "inference_specification.Containers.0.Image",
            "expected": before,
            "actual": "elsewhere/other:1",
        }
    ]
    # Put back as it was, the version is its candidate again: but nobody's approval of it stands.
    container["Image"] = before
    assert _changed(here, arn, second=6) == {"outcome": "unchanged"}
    verified = here.verified(arn)
    assert verified["tampering"] == []
    (voided,) = verified["voided"]
    assert voided["actual"].startswith(f"voided by entry {entry['sequence']} of ")
    assert voided in verified["differences"], "the gate is told as well"
    again = here.in_central(arn) | {"decided_at": "2026-01-31T12:00:07Z"}
    assert here.call("verify_candidate", promotion=again)["voided"] == []
    story = list(entries.story(here.model, arn))
    assert not ledger.tests_passed(story, candidate_id)
    assert ledger.phase(story) == "Test/Passed"


AUC = ".metric_groups.Test endpoint.metric_data.auc.value"


def _failed_and_praised(here: Organisation) -> tuple[str, str]:
    """(Central ARN, candidate id) of a version whose card has a better number than was measured."""
    _, candidate, arn = here.promoted()
    candidate_id = candidate["candidate_id"]
    here.tests(arn, status="Failed", auc=0.61)
    version = here.registry.versions[arn]
    (ours,) = json.loads(version["ModelCard"]["ModelCardContent"])["evaluation_details"]
    ours["metric_groups"][0]["metric_data"][0]["value"] = 0.91
    _rewrite(version, ours)
    return arn, candidate_id


def test_a_better_number_in_our_own_evaluation_is_tampering(here: Organisation) -> None:
    arn, candidate_id = _failed_and_praised(here)
    assert _changed(here, arn)["outcome"] == "recorded"
    (entry,) = Ledger("governed-path-ledger").newest_first(here.model, "ApprovalsVoided")
    assert (entry["candidate_id"], entry["changed_by"]["person"]) == (candidate_id, "adam")
    name = f"tests.model_card.governed-path test of candidate {candidate_id[:12]}{AUC}"
    assert entry["differences"] == [{"name": name, "expected": "0.61", "actual": "0.91"}]


def test_what_is_too_large_for_an_entry_is_recorded_all_the_same(here: Organisation) -> None:
    _, candidate, arn = here.promoted()
    candidate_id = candidate["candidate_id"]
    here.tests(arn)
    name = f"governed-path test of candidate {candidate_id[:12]}"
    numbers = [{"name": f"n{number}", "value": "\ud800"} for number in range(2000)]
    _rewrite(here.registry.versions[arn], {"name": name, "metric_groups": numbers, "x" * 9999: 1})
    assert _changed(here, arn)["outcome"] == "recorded"
    (entry,) = Ledger("governed-path-ledger").newest_first(here.model, "ApprovalsVoided")
    assert entry["differences"][-1]["name"].endswith(" more")
    verified = here.call("verify_candidate", promotion=here.in_central(arn, "Prod"))
    assert verified["tampering"] == entry["differences"]
    assert len(json.dumps(verified)) < 100_000


def test_no_gate_lets_a_rewritten_evaluation_pass_until_it_is_tested_again(
    here: Organisation,
) -> None:
    arn, _ = _failed_and_praised(here)
    for stage in ("Test", "Prod"):
        promotion = here.in_central(arn, stage)
        verified = here.call("verify_candidate", promotion=promotion)
        (found,) = verified.pop("tampering")
        assert verified.pop("voided") == []
        assert (found["expected"], found["actual"]) == ("0.61", "0.91")
        who = here.call("resolve_approver", promotion=promotion)
        reasons = here.call("evaluate_gate", promotion=promotion, **who, **verified)["verdict"][
            "reasons"
        ]
        (reason,) = [one for one in reasons if one["rule"] == "candidate_unchanged"]
        assert f"{AUC} is 0.91 but the candidate has 0.61" in reason["fact"]
        assert "tests say it anew" in reason["remedy"]
    # It is on record by now, and who approves for Test again has it written anew.
    assert _changed(here, arn)["outcome"] == "recorded"
    assert here.verified(arn)["tampering"] == []
    assert here.call("verify_candidate", promotion=here.in_central(arn, "Prod"))["tampering"]
    assert _changed(here, arn, second=7) == {"outcome": "unchanged"}, "nothing is left to void"
    here.tests(arn, 2, auc=0.8)
    assert here.call("verify_candidate", promotion=here.in_central(arn, "Prod"))["tampering"] == []


def test_our_own_writing_is_no_tampering_before_the_ledger_says_what_it_is(
    here: Organisation,
) -> None:
    _, candidate, arn = here.promoted()
    candidate_id = candidate["candidate_id"]
    here.tests(arn)
    promotion = here.in_central(arn) | {"claim_id": "2" * 64}
    entry = {"promotion": promotion, "stage": "Test", "candidate_id": candidate_id}
    here.call("record", kind="ValidationStarted", stage_status="Validating", **entry)
    report = here.report(candidate_id, "Failed", {"metrics": {"auc": 0.5}})
    here.call("write_results", promotion=promotion, report=report)
    assert _changed(here, arn) == {"outcome": "unchanged"}
    # Nor after the run has broken: whether it had written, nobody knows.
    here.call("record", kind="ValidationErrored", stage_status="Errored", **entry)
    assert _changed(here, arn) == {"outcome": "unchanged"}
    here.tests(arn, 3, auc=0.7)
    assert _changed(here, arn) == {"outcome": "unchanged"}


def test_tests_that_end_while_a_version_is_read_have_it_read_again(
    here: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = here.promoted()[2]
    describe = here.registry.describe

    def tested_meanwhile(model_package_arn: str) -> dict[str, Any]:
        monkeypatch.setattr(here.registry, "describe", describe)
        here.tests(arn)
        return describe(model_package_arn)

    monkeypatch.setattr(here.registry, "describe", tested_meanwhile)
    with pytest.raises(TransientError, match="began or ended"):
        here.verified(arn)
    assert here.verified(arn)["tampering"] == []


def _set_and_put_back(here: Organisation, arn: str, **specification: Any) -> dict[str, Any]:
    """The event of a change of the specification that is not there any more when it is read."""
    here.registry.versions[arn]["LastModifiedTime"] = "2026-01-31T12:00:06Z"
    return here.call(
        "detect_tampering",
        **here.event(
            ModelPackageArn=arn,
            ModelLifeCycle={"Stage": "Test", "StageStatus": "Passed"},
            UpdatedModelPackageFields=["InferenceSpecification"],
            LastModifiedTime="2026-01-31T12:00:05Z",
            InferenceSpecification=specification,
        ),
    )


def test_what_was_put_back_within_seconds_was_changed_all_the_same(here: Organisation) -> None:
    arn = here.promoted()[2]
    image = here.registry.versions[arn]["InferenceSpecification"]["Containers"][0]["Image"]
    # Not all of it, but nothing else.
    assert _set_and_put_back(here, arn, Containers=[{"Image": image}])["outcome"] == "unchanged"
    found = _set_and_put_back(here, arn, Containers=[{"Image": "elsewhere/other:1"}])
    assert found["outcome"] == "recorded"
    (entry,) = Ledger("governed-path-ledger").newest_first(here.model, "ApprovalsVoided")
    assert [one["actual"] for one in entry["differences"]] == ["elsewhere/other:1"]
    assert "changed_by" not in entry


def test_what_changes_nothing_of_the_candidate_is_no_tampering(here: Organisation) -> None:
    arn = here.promoted()[2]
    here.registry.versions[arn]["CustomerMetadataProperties"]["note"] = "looked at"
    assert _changed(here, arn) == {"outcome": "unchanged"}


def test_what_nobody_approved_cannot_be_tampered_with(here: Organisation) -> None:
    assert _changed(here, here.arn) == {"outcome": "not approved"}


def test_a_version_cannot_hide_by_forgetting_which_candidate_it_is(here: Organisation) -> None:
    _, candidate, arn = here.promoted()
    candidate_id = candidate["candidate_id"]
    version = here.registry.versions[arn]
    del version["CustomerMetadataProperties"]["candidate-id"]
    version["InferenceSpecification"]["Containers"][0]["Image"] = "elsewhere/other:1"
    assert _changed(here, arn)["outcome"] == "recorded"
    (entry,) = Ledger("governed-path-ledger").newest_first(here.model, "ApprovalsVoided")
    assert entry["candidate_id"] == candidate_id


def _unfinished(
    here: Organisation, arn: str, workflow: str, phase: str, *, claimed: bool = True
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the promotion, the event of the end) of a run that somebody has stopped."""
    event = events.example("step-functions-execution-status-change.validation-aborted")
    start = event["detail"]["executionArn"].partition(":execution:")[0]
    execution_arn = f"{start}:execution:governed-path-{workflow.replace('_', '-')}:one"
    stage, _, status = phase.partition("/")
    decided = here.event(
        ModelPackageArn=arn, ModelLifeCycle={"Stage": stage, "StageStatus": status}
    )
    promotion = approval_events.asked_for(decided, workflow, execution_arn)
    holder = execution_arn if claimed else execution_arn + "-first"
    Claims("governed-path-claims").claim({**promotion, "execution_arn": holder})
    event["detail"] |= {"executionArn": execution_arn, "input": json.dumps(decided)}
    return promotion, event


def test_a_run_that_was_stopped_is_recorded_once_with_what_to_do(here: Organisation) -> None:
    _, candidate, arn = here.promoted()
    promotion, event = _unfinished(here, arn, "release_to_prod", "Prod/Approved")
    here.call(
        "record",
        kind="ReleaseStarted",
        promotion=promotion,
        stage="Prod",
        stage_status="Releasing",
        candidate_id=candidate["candidate_id"],
    )
    for _ in range(2):
        assert here.call("record_unfinished_run", **event)["outcome"] == "recorded"
    told = [e for e in _story_of(here, arn) if e["kind"] == "RunUnfinished"]
    assert len(told) == 1
    assert told[0]["failure"]["Error"] == "RunAborted"
    assert "stopped from outside after entry" in told[0]["failure"]["Cause"]
    assert "`govern rollback` the endpoint" in told[0]["reason"]
    assert told[0]["endpoint"]["account"] == here.directory_entry["accounts"]["prod"]
    # Whoever asks for a rollback now still finds a release that has not ended.
    assert ledger.phase(_story_of(here, arn)) == "Prod/Releasing"


@pytest.mark.parametrize(
    ("claimed", "error", "end", "outcome"),
    [
        # The event came twice, and the second run was stopped before it had seen that.
        (False, "", None, "ignored"),
        (True, workflows.BY_ROLLBACK, None, "recorded by the rollback"),
        (True, "", "ReleaseErrored", "recorded by the run"),
    ],
)
def test_a_run_whose_end_somebody_else_tells_is_left(
    here: Organisation,
    monkeypatch: pytest.MonkeyPatch,
    claimed: bool,
    error: str,
    end: str | None,
    outcome: str,
) -> None:
    _, _, arn = here.promoted()
    promotion, event = _unfinished(here, arn, "release_to_prod", "Prod/Approved", claimed=claimed)
    monkeypatch.setattr(workflows, "_describe", lambda found: {"status": "ABORTED", "error": error})
    if end:
        here.call("record", kind=end, promotion=promotion, stage="Prod", stage_status="Errored")
    assert here.call("record_unfinished_run", **event) == {"outcome": outcome}
    assert "RunUnfinished" not in [entry["kind"] for entry in _story_of(here, arn)]


def test_a_drill_that_was_stopped_ends_the_clearance_of_what_was_drilled(
    here: Organisation,
) -> None:
    _, candidate, arn = here.promoted()
    target = here.again(arn)
    promotion, event = _unfinished(here, arn, "drill_rollback", "Prod/Drill-Requested")
    granted = {
        "promotion": promotion,
        "model_package_arn": target,
        "stage": "Test",
        "stage_status": "Validating",
        "candidate_id": candidate["candidate_id"],
        "clearance": {"stages": ["Test"], "account": TEST, "objects": 1},
    }
    Writer(Settings.load()).append(ledger.entry(clearance.GRANTED, granted, clock.now()))
    assert list(clearance.held(_story_of(here, target))) == ["Test"]
    assert here.call("record_unfinished_run", **event)["outcome"] == "recorded"
    assert clearance.held(_story_of(here, target)) == {}


@pytest.mark.parametrize("came_back", [False, True])
@pytest.mark.parametrize("found_by_release", [False, True])
def test_a_rollback_by_alarm_that_was_stopped_is_recorded_once_with_what_to_do(
    here: Organisation, came_back: bool, found_by_release: bool
) -> None:
    _, _, first = here.promoted()
    deployment = _released(here, first)
    second = here.again(first)
    planned = {"deployment": deployment | {"model_package_arn": second}}
    release = _serves(here, second, "CandidateInService", **planned)
    asked = (
        _found_alarm(here, second, release, deployment)
        if found_by_release
        else _went_off(here, "errors")["event"]
    )
    event = _stopped(asked)
    execution_arn = event["detail"]["executionArn"]
    # Another run has claimed the alarm, or none has yet.
    assert here.call("record_unfinished_run", **event) == {"outcome": "ignored"}
    claimed = here.call(
        "claim_rollback", workflow="rollback_model", execution_arn=execution_arn, event=asked
    )
    assert claimed["outcome"] == "claimed"
    if came_back:
        # It was stopped after the endpoint had gone back: the alarm's version serves no more.
        here.call(
            "record",
            kind="CandidateInService",
            promotion=claimed["promotion"],
            model_package_arn=first,
            stage="Prod",
            stage_status="Releasing",
            deployment=deployment,
        )
    for _ in range(2):
        assert here.call("record_unfinished_run", **event)["outcome"] == "recorded"
    (told,) = [e for e in _story_of(here, second) if e["kind"] == "RunUnfinished"]
    assert (told["workflow"], told["execution_arn"]) == ("rollback_model", execution_arn)
    assert told["claim_id"] == claimed["promotion"]["claim_id"]
    assert told["failure"]["Error"] == "RunAborted"
    assert "`govern rollback` the endpoint: an alarm does not ask again" in told["reason"]
    assert told["endpoint"]["account"] == here.directory_entry["accounts"]["prod"]


def test_what_was_started_by_an_alarm_of_nobodys_endpoint_is_left(here: Organisation) -> None:
    asked = _went_off(here, "errors")["event"]
    (metric,) = asked["detail"]["configuration"]["metrics"]
    metric["metricStat"]["metric"]["dimensions"]["EndpointName"] = "nobodys"
    assert here.call("record_unfinished_run", **_stopped(asked)) == {"outcome": "ignored"}
    # As somebody may start one by hand.
    assert here.call("record_unfinished_run", **_stopped({})) == {"outcome": "ignored"}


def _stopped(asked: dict[str, Any]) -> dict[str, Any]:
    """The end of a rollback that this event has started, and that somebody has stopped."""
    event = events.example("step-functions-execution-status-change.validation-aborted")
    start = event["detail"]["executionArn"].partition(":execution:")[0]
    execution_arn = f"{start}:execution:governed-path-rollback-model:{uuid4()}"
    event["detail"] |= {"executionArn": execution_arn, "input": json.dumps(asked)}
    return event


def _story_of(here: Organisation, arn: str) -> list[dict[str, Any]]:
    return list(Ledger("governed-path-ledger").story(here.model, arn))
