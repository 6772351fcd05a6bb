"""Realistic input: one version of the clinical risk model in Dev, and its way to Prod.

Every call returns a new value, so that a test may change what it gets.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from governance.domain import attestations, definitions
from local.seams.images import SAGEMAKER_IMAGE, stand_in

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
CENTRAL, DEV, TEST, PROD = "111122223333", "444455556666", "777788889999", "123456789012"
MODEL = "clinical-risk-classifier"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
IMAGE_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
IMAGE_MANIFEST = stand_in(*SAGEMAKER_IMAGE)[1]
IMAGE_DIGEST = "sha256:" + hashlib.sha256(IMAGE_MANIFEST.encode()).hexdigest()

DEV_BUCKET = f"governed-path-project-{DEV}-{REGION}"
CENTRAL_BUCKET = f"governed-path-artifacts-{CENTRAL}-{REGION}"
EVIDENCE_BUCKET = f"governed-path-evidence-{CENTRAL}-{REGION}"
IMAGES_REPOSITORY = f"{CENTRAL}.dkr.ecr.{REGION}.amazonaws.com/governed-path/images"
LEDGER_BUCKET = f"governed-path-ledger-{CENTRAL}-{REGION}"
DECIDED = "2026-11-21T06:00:00Z"
CLAIM = "532eaabd9574880dbf76b9b8cc00832c20a6ec113d682299550d7a6e0f345e25"
CANDIDATE = "dda18a0e21ae47c53b4309434cbc02ae8bf764fa83a6defbb719431242722aa7"

_METRICS = {"auc": 0.82, "brier": 0.17, "calibration_error": 0.06}
# role, name in the bucket, size in bytes; the digest and the version id follow from the name.
_OBJECTS = (
    ("baseline/modeldataquality-constraints", "constraints.json", 812),
    ("baseline/modeldataquality-statistics", "statistics.json", 4096),
    ("evaluation", "evaluation.json", 2345),
    ("holdout", "holdout.csv", 9001),
    ("model-data", "model.tar.gz", 123_456),
    ("sample-payload", "sample-payload.json", 321),
)


def version_arn(account: str = CENTRAL, version: int = 3, model: str = MODEL) -> str:
    """The ARN of a version."""
    return f"arn:aws:sagemaker:{REGION}:{account}:model-package/{model}/{version}"


def digest(name: str) -> str:
    """64 hex digits that stand for the bytes of that name."""
    return name.encode().hex().ljust(64, "0")[:64]


def origin_objects() -> list[dict[str, Any]]:
    """The candidate's objects in Dev, with roles."""
    return [
        _location(role, DEV_BUCKET, f"models/{MODEL}/{name}", size, name)
        for role, name, size in _OBJECTS
    ]


def in_parts() -> dict[str, Any]:
    """An object in Dev of three parts, without a role."""
    return {
        "bucket": DEV_BUCKET,
        "key": f"models/{MODEL}/large.tar.gz",
        "version_id": "v-large",
        "size": 2_500,
        "sha256": f"{digest('large')}-3",
        "part_sizes": [[2, 1_000], [1, 500]],
    }


def batch() -> dict[str, Any]:
    """A batch of a plan: a whole object, and two parts of another one."""
    first = {key: value for key, value in origin_objects()[0].items() if key != "role"}
    there = f"models/{MODEL}/{CANDIDATE}"
    return {
        "objects": [{"source": first, "key": f"{there}/one"}],
        "parts": [
            {
                "source": in_parts(),
                "key": f"{there}/large.tar.gz",
                "upload_id": "upload-1",
                "numbers": [[1, 1], [3, 3]],
            }
        ],
    }


def central_objects() -> list[dict[str, Any]]:
    """The same objects in Central."""
    return [
        _location(role, CENTRAL_BUCKET, f"models/{MODEL}/{CANDIDATE}/{role}/{name}", size, name)
        for role, name, size in _OBJECTS
    ]


def _location(role: str, bucket: str, key: str, size: int, name: str) -> dict[str, Any]:
    return {
        "role": role,
        "bucket": bucket,
        "key": key,
        "version_id": f"v-{name}",
        "size": size,
        "sha256": digest(name),
    }


def user(role: str, person: str, account: str = DEV) -> dict[str, Any]:
    """The UserContext of a person who works in a role, with SourceIdentity set."""
    return {
        "IamIdentity": {
            "Arn": f"arn:aws:sts::{account}:assumed-role/governed-path-{role}/{person}",
            "PrincipalId": f"AROAEXAMPLE:{person}",
            "SourceIdentity": person,
        }
    }


def identity(role: str, person: str, account: str = DEV) -> dict[str, Any]:
    """The identity of that person in that role."""
    return {
        "person": person,
        "persona": role,
        "role_arn": f"arn:aws:iam::{account}:role/governed-path-{role}",
        "session_arn": f"arn:aws:sts::{account}:assumed-role/governed-path-{role}/{person}",
        "source_identity": person,
    }


def _uri(objects: list[dict[str, Any]], role: str) -> str:
    (found,) = [entry for entry in objects if entry["role"] == role]
    return f"s3://{found['bucket']}/{found['key']}"


def _report(objects: list[dict[str, Any]], role: str) -> dict[str, str]:
    return {"ContentType": "application/json", "S3Uri": _uri(objects, role)}


def description(**more: Any) -> dict[str, Any]:
    """DescribeModelPackage's answer for the Dev version, times as text."""
    objects = origin_objects()
    return {
        "ModelPackageGroupName": MODEL,
        "ModelPackageVersion": 1,
        "ModelPackageArn": version_arn(DEV, 1),
        "ModelPackageDescription": "Probability of strong diabetes progression; holdout AUC 0.82",
        "CreationTime": "2026-11-20T06:00:00.123000Z",
        "InferenceSpecification": {
            "Containers": [
                {
                    "Image": IMAGE,
                    "ImageDigest": IMAGE_DIGEST,
                    "ModelDataUrl": _uri(objects, "model-data"),
                    "ModelDataETag": "0123456789abcdef",
                    "Environment": {
                        "SAGEMAKER_PROGRAM": "inference.py",
                        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                    },
                }
            ],
            "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large", "ml.m5.xlarge"],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CertifyForMarketplace": False,
        "ModelApprovalStatus": "PendingManualApproval",
        "CreatedBy": user("training", "theo"),
        "LastModifiedBy": user("data-scientist", "dana"),
        "LastModifiedTime": "2026-11-21T06:00:00.250000Z",
        "MetadataProperties": {"CommitId": "0" * 40, "Repository": "https://git.example.org/m.git"},
        "ModelMetrics": {"ModelQuality": {"Statistics": _report(objects, "evaluation")}},
        "DriftCheckBaselines": {
            "ModelQuality": {"Statistics": _report(objects, "evaluation")},
            "ModelDataQuality": {
                "Statistics": _report(objects, "baseline/modeldataquality-statistics"),
                "Constraints": _report(objects, "baseline/modeldataquality-constraints"),
            },
        },
        "Domain": "MACHINE_LEARNING",
        "Task": "CLASSIFICATION",
        "SamplePayloadUrl": _uri(objects, "sample-payload"),
        "CustomerMetadataProperties": {
            "model-data-version-id": "v-model.tar.gz",
            "model-data-sha256": digest("model.tar.gz"),
            "evaluation-version-id": "v-evaluation.json",
            "evaluation-sha256": digest("evaluation.json"),
            "holdout-uri": _uri(objects, "holdout"),
            "holdout-version-id": "v-holdout.csv",
            "holdout-sha256": digest("holdout.csv"),
            "dataset-uri": f"s3://{DEV_BUCKET}/datasets/diabetes.csv",
            "dataset-version-id": "v-diabetes.csv",
            "dataset-sha256": digest("diabetes.csv"),
            "code-commit": "0" * 40,
            "algorithm": "logistic regression",
        },
        "ModelCard": {
            "ModelCardContent": json.dumps(
                {
                    "model_overview": {"model_creator": "theo"},
                    "intended_uses": {"purpose_of_model": "Follow-up of patients"},
                    "business_details": {"business_problem": "Late follow-up"},
                    "training_details": {"training_observations": "353 patients"},
                    "evaluation_details": [{"name": "holdout", "evaluation_observation": "good"}],
                    "additional_information": {"ethical_considerations": "Subgroups are small"},
                }
            ),
            "ModelCardStatus": "PendingReview",
        },
        "ModelLifeCycle": {"Stage": "Dev", "StageStatus": "Approved"},
        **more,
    }


def promotion(stage: str = "Dev") -> dict[str, Any]:
    """The promotion that an approval for the stage starts."""
    account, version = (DEV, 1) if stage == "Dev" else (CENTRAL, 3)
    workflow = {
        "Dev": "promote_to_central",
        "Test": "validate_in_test",
        "Prod": "release_to_prod",
    }[stage]
    machine = f"governed-path-{workflow.replace('_', '-')}"
    return {
        "claim_id": CLAIM,
        "workflow": workflow,
        "stage": stage,
        "model": MODEL,
        "model_package_arn": version_arn(account, version),
        "account": account,
        "decided_at": DECIDED,
        "event_id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "execution_arn": f"arn:aws:states:{REGION}:{CENTRAL}:execution:{machine}:one",
    }


def candidate(objects: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """What build_candidate hands on."""
    return {
        "candidate_id": CANDIDATE,
        "manifest_uri": f"s3://{EVIDENCE_BUCKET}/manifests/{MODEL}/{CANDIDATE}.json",
        "objects": objects or origin_objects(),
        "images": [{"uri": IMAGE, "digest": IMAGE_DIGEST}],
    }


def images() -> list[dict[str, str]]:
    """What copy_images hands on: the image stays where it is."""
    place = IMAGE.rpartition(":")[0]
    central = {"central_uri": f"{place}@{IMAGE_DIGEST}", "handoff": "by reference"}
    return [{"uri": IMAGE, "digest": IMAGE_DIGEST, **central}]


def project() -> dict[str, Any]:
    """The model's entry in the project directory."""
    return {
        "model": MODEL,
        "project": "clinical-risk",
        "risk_tier": "high",
        "accounts": {"dev": DEV, "test": TEST, "prod": PROD},
        "endpoint_name": "clinical-risk",
        "definition": definition_reference(),
        "policy": {
            "cedar": _pin("approvals.cedar"),
            "schema": _pin("approvals.cedarschema"),
            "tier": _pin("tiers/high.json"),
            "change": f"arn:aws:sagemaker:{REGION}:{CENTRAL}:action/policy-{MODEL}-0",
        },
    }


def definition(**parts: Any) -> dict[str, Any]:
    """The template's deployment definition; `parts` replace its members."""
    text = (ROOT / "templates/classical-regression/deploy/deployment.yaml").read_text()
    return {**yaml.safe_load(text), **parts}


def definition_reference(**parts: Any) -> dict[str, str]:
    """{digest, uri} of that definition, as an AI Engineer has published it."""
    found = definitions.digest(definition(**parts))
    return definitions.reference(EVIDENCE_BUCKET, MODEL, found)


def envelope(statement: dict[str, Any]) -> str:
    """The statement in an envelope whose signature nobody made."""
    return attestations.envelope_text(
        {
            "payload": base64.b64encode(attestations.canonical(statement)).decode(),
            "payloadType": attestations.PAYLOAD_TYPE,
            "signatures": [{"keyid": digest("key"), "sig": "c2ln"}],
        }
    )


def row(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry as an item of the ledger table; `digest` is the event's, not the entry's."""
    placed = {"previous": attestations.NO_PREVIOUS, **entry}
    placed.pop("digest", None)
    return attestations.row_of(envelope(attestations.statement_of(placed)))


def head(model: str, number: int) -> dict[str, Any]:
    """The model's item in the table of heads."""
    at = digest(f"entry {number}")
    checkpoint = attestations.checkpoint_of(model, number, at, DECIDED)
    return {"model": model, "head": number, "digest": at, "checkpoint": envelope(checkpoint)}


def _pin(name: str) -> dict[str, str]:
    return {
        "uri": f"s3://{EVIDENCE_BUCKET}/policies/{name}",
        "sha256": digest(name),
        "version_id": f"v-{name}",
    }


def evaluation_report() -> dict[str, Any]:
    """A valid evaluation report."""
    report = {
        "schema": "governed-path/evaluation/v1",
        "model": MODEL,
        "created_at": "2026-11-20T05:59:00Z",
        "holdout": {
            "uri": f"s3://{DEV_BUCKET}/models/{MODEL}/holdout.csv",
            "version_id": "v-holdout.csv",
            "sha256": digest("holdout.csv"),
            "rows": 89,
            "positives": 30,
        },
        "threshold": {"name": "progression", "value": 200, "rationale": "documented"},
        "metrics": _METRICS,
        "calibration": [
            {"from": low, "to": high, "rows": rows, "predicted": predicted, "observed": observed}
            for low, high, rows, predicted, observed in (
                (0.0, 0.1, 21, 0.04, 0.0),
                (0.1, 0.2, 15, 0.16, 0.2),
                (0.3, 0.4, 14, 0.31, 0.27),
                (0.5, 0.6, 15, 0.52, 0.6),
                (0.8, 0.9, 24, 0.87, 0.9),
            )
        ],
        "subgroups": [
            {
                "attribute": "sex",
                "value": value,
                "rows": 40,
                "positives": 15,
                **_METRICS,
                "auc": auc,
            }
            for value, auc in (("female", 0.84), ("male", 0.79))
        ],
    }
    return copy.deepcopy(report)


def results() -> list[dict[str, Any]]:
    """The results of three suites that passed."""
    return [
        {
            "suite": suite,
            "status": "passed",
            "checks": [{"name": "works", "passed": True, "observed": 1, "expected": 1}],
            "metrics": metrics,
            "seconds": 0.5,
        }
        for suite, metrics in (
            ("contract", {}),
            ("quality", dict(_METRICS)),
            ("latency", {"latency_p50_ms": 4.0, "latency_p95_ms": 9.5, "latency_p99_ms": 12.0}),
        )
    ]


def suite_plan() -> dict[str, Any]:
    """What PlanSuites decided, so that `results` are those of all its suites."""
    return {
        "suites": [{"suite": name, "parameters": {}} for name in ("contract", "latency")],
        "holdout_suites": [{"suite": "quality", "parameters": {"resamples": 99}}],
        "shards": [{"from": 0, "to": 89}],
        "champion": None,
        "omitted": [{"suite": "comparison", "reason": "nothing has served clinical-risk yet"}],
    }


def shards() -> list[dict[str, Any]]:
    """Where the endpoint's answers to the holdout are."""
    key = f"predictions/{MODEL}/{CANDIDATE}/{digest('shard')}.json"
    return [
        {
            "uri": f"s3://{EVIDENCE_BUCKET}/{key}",
            "version_id": "v-shard",
            "sha256": digest("shard"),
            "from": 0,
            "to": 89,
        }
    ]
