"""Step 4: upload the model and its reports, register the version in Dev, record its lineage.

The version starts as Dev / Registered and PendingManualApproval: nothing moves until a person
approves it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import joblib

from pipeline import archive, libraries, lineage
from pipeline.errors import PipelineError, exit_code
from pipeline.model_card import LARGEST, model_card
from pipeline.prepare import SOURCE, SOURCE_SHA256
from pipeline.storage import Store, StoredObject

IMAGE_URI = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
INSTANCE_TYPES = ("ml.m5.large", "ml.m5.xlarge", "ml.c5.large")
CREATOR = "Clinical risk data science"
_JSON = "application/json"
_PROJECT = Path(__file__).resolve().parent.parent
_FORBIDDEN = re.compile(r"[^\w .:/=+\-@]")  # what CustomerMetadataProperties do not take


@dataclass(frozen=True)
class Provenance:
    """Where the code came from and what ran it; empty strings where there is nothing to say."""

    code_commit: str
    repository: str = ""
    generated_by: str = ""


@dataclass(frozen=True)
class Serving:
    """The image that serves the model (digest "sha256:..." or empty) and the instances it may."""

    image_uri: str = IMAGE_URI
    image_digest: str = ""
    instance_types: tuple[str, ...] = INSTANCE_TYPES


@dataclass(frozen=True)
class Artifacts:
    """What the earlier steps wrote: model.tar.gz, evaluation.json and prepare's reference/."""

    model_archive: Path
    evaluation: Path
    reference: Path


def code_commit() -> str:
    """The commit of this project's code, "-dirty" appended if the code is not as committed.

    Outside a git repository: "uncommitted-" and a digest of the sources, which names them as well.
    """
    head = _git("rev-parse", "--verify", "HEAD")
    if not head:
        return f"uncommitted-{source_digest()[:40]}"
    return head + ("-dirty" if _git("status", "--porcelain", "--", ".") else "")


def repository() -> str:
    """The URL of the git remote, without credentials; "" if there is none."""
    return re.sub(r"//[^/@]*@", "//", _git("remote", "get-url", "origin"))


def source_digest() -> str:
    """SHA-256 (hex) of the names and bytes of the pipeline's own files."""
    digest = hashlib.sha256()
    for path in source_files():
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def source_files() -> list[Path]:
    """The files of the pipeline package, sorted."""
    return sorted(
        path for path in Path(__file__).parent.iterdir() if path.suffix in (".py", ".json")
    )


def register(
    session: boto3.Session,
    store: Store,
    model_package_group: str,
    artifacts: Artifacts,
    provenance: Provenance,
    serving: Serving,
) -> dict[str, Any]:
    """Run the step.

    Returns {model_package_arn, version, metrics, dataset, holdout, model_data, evaluation,
    lineage}. PipelineError if the group does not exist, if the parts do not belong together, or
    if the version was registered but its lineage could not be recorded (the message names it).
    """
    sagemaker = session.client("sagemaker")
    report = _json(artifacts.evaluation)
    references = _json(artifacts.reference / "dataset.json")
    if report["holdout"]["sha256"] != references["holdout"]["sha256"]:
        raise PipelineError("evaluation.json is of another holdout than dataset.json names")
    _check_supported(sagemaker)
    _check_group(sagemaker, model_package_group)
    stored = _upload(store, model_package_group, artifacts)
    model = _parameters(artifacts.model_archive)
    card = json.dumps(
        model_card(model, report, references, stored["model_data"].uri, serving.image_uri, CREATOR)
    )
    if len(card) > LARGEST:
        raise PipelineError(f"the model card has {len(card)} characters; at most {LARGEST}")
    request = _request(model_package_group, stored, references, report, model, provenance, serving)
    request["ModelCard"] = {"ModelCardContent": card, "ModelCardStatus": "PendingReview"}
    arn = sagemaker.create_model_package(**request)["ModelPackageArn"]
    return {
        "model_package_arn": arn,
        "version": int(arn.rpartition("/")[2]),
        "metrics": report["metrics"],
        "dataset": references["dataset"],
        "holdout": references["holdout"],
        "model_data": stored["model_data"].as_dict(),
        "evaluation": stored["evaluation"].as_dict(),
        "lineage": _lineage(sagemaker, references, stored, arn, provenance),
    }


def parser() -> argparse.ArgumentParser:
    """The step's command line."""
    arguments = argparse.ArgumentParser(prog="python -m pipeline.register", description=__doc__)
    arguments.add_argument("--bucket", required=True, help="versioned bucket for the artefacts")
    arguments.add_argument("--model-package-group", required=True, help="an existing group")
    arguments.add_argument("--model-archive", type=Path, required=True, help="model.tar.gz")
    arguments.add_argument("--evaluation", type=Path, required=True, help="evaluate's output")
    arguments.add_argument("--reference", type=Path, required=True, help="prepare's reference/")
    add_registration_options(arguments)
    return arguments


def add_registration_options(arguments: argparse.ArgumentParser) -> None:
    """The options that `register` and `run` have in common."""
    arguments.add_argument("--kms-key", default="", help="KMS key id or ARN; default: the bucket's")
    arguments.add_argument("--image-uri", default=IMAGE_URI, help="serving image")
    arguments.add_argument("--image-digest", default="", help='its digest, "sha256:..."')
    arguments.add_argument(
        "--instance-type",
        action="append",
        help=f"instance type it may be served on, repeatable; default: {', '.join(INSTANCE_TYPES)}",
    )
    arguments.add_argument("--code-commit", default="", help="default: git rev-parse HEAD")
    arguments.add_argument("--repository", default="", help="default: the git remote")
    arguments.add_argument("--generated-by", default="", help="ARN of what runs the pipeline")


def provenance_of(options: argparse.Namespace) -> Provenance:
    """Provenance as the command line says, else as git says."""
    return Provenance(
        code_commit=options.code_commit or code_commit(),
        repository=options.repository or repository(),
        generated_by=options.generated_by,
    )


def serving_of(options: argparse.Namespace) -> Serving:
    """Serving as the command line says."""
    types = tuple(options.instance_type or INSTANCE_TYPES)
    return Serving(options.image_uri, options.image_digest, types)


def main() -> int:
    """Entry point of `python -m pipeline.register`."""
    options = parser().parse_args()

    def step() -> None:
        session = boto3.Session()
        result = register(
            session,
            Store(session.client("s3"), options.bucket, options.kms_key),
            options.model_package_group,
            Artifacts(
                options.model_archive, options.evaluation / "evaluation.json", options.reference
            ),
            provenance_of(options),
            serving_of(options),
        )
        print(json.dumps(result))

    return exit_code(step)


def _upload(store: Store, model: str, artifacts: Artifacts) -> dict[str, StoredObject]:
    files = {
        "model_data": (artifacts.model_archive, "model.tar.gz", "application/gzip"),
        "evaluation": (artifacts.evaluation, "evaluation.json", _JSON),
        "statistics": (artifacts.reference / "statistics.json", "statistics.json", _JSON),
        "constraints": (artifacts.reference / "constraints.json", "constraints.json", _JSON),
        "sample": (artifacts.reference / "sample-payload.json", "sample-payload.json", _JSON),
    }
    stored = {
        # The model alone may be large; digests of reports are compared as those of whole files.
        role: (store.put_in_parts if role == "model_data" else store.put)(
            f"models/{model}", name, path.read_bytes(), content_type
        )
        for role, (path, name, content_type) in files.items()
    }
    listed = store.put(f"models/{model}", "libraries.json", libraries.document(), _JSON)
    return stored | {"libraries": listed}


def _request(
    model_package_group: str,
    stored: Mapping[str, StoredObject],
    references: Mapping[str, Any],
    report: Mapping[str, Any],
    model: Mapping[str, Any],
    provenance: Provenance,
    serving: Serving,
) -> dict[str, Any]:
    quality = {"Statistics": _source(stored["evaluation"])}
    properties = {
        "CommitId": provenance.code_commit,
        "Repository": provenance.repository,
        "GeneratedBy": provenance.generated_by,
    }
    return {
        "ModelPackageGroupName": model_package_group,
        "ModelPackageDescription": (
            f"Probability of strong diabetes progression; holdout AUC {report['metrics']['auc']}"
        ),
        "InferenceSpecification": _inference(stored["model_data"], serving),
        "ModelMetrics": {"ModelQuality": quality},
        "DriftCheckBaselines": {
            "ModelQuality": quality,
            "ModelDataQuality": {
                "Statistics": _source(stored["statistics"]),
                "Constraints": _source(stored["constraints"]),
            },
        },
        "MetadataProperties": {key: value for key, value in properties.items() if value},
        "CustomerMetadataProperties": _metadata(stored, references, model, provenance),
        "SamplePayloadUrl": stored["sample"].uri,
        "Domain": "MACHINE_LEARNING",
        "Task": "CLASSIFICATION",
        "ModelApprovalStatus": "PendingManualApproval",
        "ModelLifeCycle": {
            "Stage": "Dev",
            "StageStatus": "Registered",
            "StageDescription": f"Trained from {provenance.code_commit}",
        },
        # The endpoint is tested in the Test account, on the promoted bytes.
        "SkipModelValidation": "All",
    }


def _inference(model_data: StoredObject, serving: Serving) -> dict[str, Any]:
    container: dict[str, Any] = {
        "Image": serving.image_uri,
        "ModelDataUrl": model_data.uri,
        # Where the scikit-learn container looks for the entry point.
        "Environment": {
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        },
    }
    if serving.image_digest:
        container["ImageDigest"] = serving.image_digest
    return {
        "Containers": [container],
        "SupportedContentTypes": [_JSON],
        "SupportedResponseMIMETypes": [_JSON],
        "SupportedRealtimeInferenceInstanceTypes": list(serving.instance_types),
    }


def _metadata(
    stored: Mapping[str, StoredObject],
    references: Mapping[str, Any],
    model: Mapping[str, Any],
    provenance: Provenance,
) -> dict[str, str]:
    metadata = {
        "model-data-version-id": stored["model_data"].version_id,
        "model-data-sha256": stored["model_data"].sha256,
        "evaluation-version-id": stored["evaluation"].version_id,
        "evaluation-sha256": stored["evaluation"].sha256,
        "libraries-uri": stored["libraries"].uri,
        "libraries-version-id": stored["libraries"].version_id,
        "libraries-sha256": stored["libraries"].sha256,
        "code-commit": provenance.code_commit,
        "algorithm": str(model["algorithm"]),
    }
    for part in ("holdout", "dataset"):
        metadata[f"{part}-uri"] = references[part]["uri"]
        metadata[f"{part}-version-id"] = references[part]["version_id"]
        metadata[f"{part}-sha256"] = references[part]["sha256"]
    refused = [
        f"{key} {value!r}"
        for key, value in metadata.items()
        if _FORBIDDEN.search(value) or not 1 <= len(value) <= 256
    ]
    if refused:
        raise PipelineError(
            f"the registry does not take the metadata {', '.join(refused)}; "
            "expected 1 to 256 letters, digits, spaces and _.:/=+-@"
        )
    return metadata


def _lineage(
    sagemaker: Any,
    references: Mapping[str, Any],
    stored: Mapping[str, StoredObject],
    arn: str,
    provenance: Provenance,
) -> dict[str, str]:
    parts = {
        part: StoredObject(
            **{key: references[part][key] for key in ("uri", "version_id", "sha256", "size")}
        )
        for part in ("dataset", "holdout")
    }
    parts |= {"model": stored["model_data"], "report": stored["evaluation"]}
    properties = {
        "code-commit": provenance.code_commit,
        "repository": provenance.repository,
        "generated-by": provenance.generated_by,
        "model-package-arn": arn,
    }
    try:
        return lineage.record(
            sagemaker,
            (SOURCE, SOURCE_SHA256),
            parts,
            arn,
            {key: value for key, value in properties.items() if value},
        )
    except sagemaker.exceptions.ClientError as error:
        raise PipelineError(f"registered {arn}, but its lineage is incomplete: {error}") from error


def _source(stored: StoredObject) -> dict[str, str]:
    return {
        "ContentType": _JSON,
        "ContentDigest": f"sha256:{stored.sha256}",
        "S3Uri": stored.uri,
    }


def _parameters(model_archive: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        archive.unpack(model_archive, Path(directory))
        path = Path(directory) / "model.joblib"
        if not path.is_file():
            raise PipelineError(f"{model_archive} holds no model.joblib")
        parameters: dict[str, Any] = joblib.load(path)
    return parameters


def _check_supported(sagemaker: Any) -> None:
    shape = sagemaker.meta.service_model.operation_model("CreateModelPackage").input_shape
    if not {"ModelLifeCycle", "ModelCard"} <= set(shape.members):
        raise PipelineError(
            f"boto3 {boto3.__version__} knows no ModelLifeCycle; install the one of "
            "requirements.txt"
        )


def _check_group(sagemaker: Any, name: str) -> None:
    try:
        sagemaker.describe_model_package_group(ModelPackageGroupName=name)
    except sagemaker.exceptions.ClientError as error:
        raise PipelineError(
            f"model package group {name} cannot be described: {error}; it is made when the "
            "project is set up"
        ) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise PipelineError(f"{path} is not JSON: {error}") from error


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=_PROJECT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:  # git is not part of the SageMaker images
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    raise SystemExit(main())
