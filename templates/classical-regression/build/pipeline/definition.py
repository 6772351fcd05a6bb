"""The same four steps as a SageMaker Pipeline: prints the definition, or creates or updates it.

Training and evaluation, the two steps that touch the model, run without any network. Preparation
and registration call AWS APIs and so cannot; give --subnet and --security-group to keep them, and
everything else, inside a VPC.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from pipeline.errors import exit_code
from pipeline.register import IMAGE_URI, INSTANCE_TYPES, code_commit, repository, source_digest
from pipeline.register import source_files as _source_files
from pipeline.train import DEFAULT_C, DEFAULT_SEED

VERSION = "2020-12-01"
_INPUT = "/opt/ml/processing/input"
_OUTPUT = "/opt/ml/processing/output"
_CHANNEL = "/opt/ml/input/data"
_MINUTES = 60  # seconds
_VOLUME_GB = 5
# Service faults and throttling pass; anything else is ours and would only fail again.
_RETRY = [
    {
        "ExceptionType": ["Step.SERVICE_FAULT", "Step.THROTTLING"],
        "IntervalSeconds": 15,
        "BackoffRate": 2.0,
        "MaxAttempts": 3,
    }
]


@dataclass(frozen=True)
class Settings:
    """What the definition is made of; everything else is a pipeline parameter."""

    name: str
    role_arn: str
    bucket: str
    model_package_group: str
    kms_key: str
    code_commit: str
    repository: str = ""
    image_uri: str = IMAGE_URI
    instance_type: str = "ml.m5.large"
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    pip_index_url: str = ""

    @property
    def code_prefix(self) -> str:
        """Where the steps find the code: a prefix per content, so a definition never changes it."""
        return f"pipelines/{self.name}/code/{source_digest()}"


def definition(settings: Settings) -> dict[str, Any]:
    """The pipeline definition (schema version 2020-12-01) as a JSON object."""
    return {
        "Version": VERSION,
        "Metadata": {"code_commit": settings.code_commit},
        "Parameters": [
            {"Name": name, "Type": "String", "DefaultValue": value}
            for name, value in _parameters(settings).items()
        ],
        "PipelineExperimentConfig": {
            "ExperimentName": {"Get": "Execution.PipelineName"},
            "TrialName": {"Get": "Execution.PipelineExecutionId"},
        },
        "Steps": [
            _prepare(settings),
            _train(settings),
            _evaluate(settings),
            _register(settings),
        ],
    }


def upload_code(s3: Any, settings: Settings) -> None:
    """Upload the pipeline package to where the definition expects it, checksummed."""
    for path in _source_files():
        s3.put_object(
            Bucket=settings.bucket,
            Key=f"{settings.code_prefix}/pipeline/{path.name}",
            Body=path.read_bytes(),
            ChecksumAlgorithm="SHA256",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=settings.kms_key,
        )


def upsert(sagemaker: Any, settings: Settings) -> str:
    """Create the pipeline, or update the one of that name; returns its ARN."""
    request = {
        "PipelineName": settings.name,
        "PipelineDisplayName": settings.name,
        "PipelineDescription": "Prepare, train, evaluate and register a clinical risk model",
        "PipelineDefinition": json.dumps(definition(settings)),
        "RoleArn": settings.role_arn,
    }
    try:
        sagemaker.describe_pipeline(PipelineName=settings.name)
    except sagemaker.exceptions.ResourceNotFound:
        return str(sagemaker.create_pipeline(**request)["PipelineArn"])
    return str(sagemaker.update_pipeline(**request)["PipelineArn"])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(prog="python -m pipeline.definition", description=__doc__)
    arguments.add_argument("--bucket", required=True, help="versioned bucket of the project")
    arguments.add_argument("--model-package-group", required=True, help="an existing group")
    arguments.add_argument("--role-arn", required=True, help="role of the pipeline and its jobs")
    arguments.add_argument("--kms-key", required=True, help="KMS key of volumes and outputs")
    arguments.add_argument("--name", default="", help="default: <model package group>-training")
    arguments.add_argument("--image-uri", default=IMAGE_URI, help="scikit-learn image")
    arguments.add_argument("--instance-type", default="ml.m5.large", help="of the jobs")
    arguments.add_argument("--subnet", action="append", default=[], help="VPC subnet, repeatable")
    arguments.add_argument("--security-group", action="append", default=[], help="repeatable")
    arguments.add_argument("--pip-index-url", default="", help="package index of the VPC")
    arguments.add_argument("--code-commit", default="", help="default: git rev-parse HEAD")
    arguments.add_argument("--repository", default="", help="default: the git remote")
    arguments.add_argument("--upsert", action="store_true", help="create or update the pipeline")
    return arguments


def settings_of(options: argparse.Namespace) -> Settings:
    """Settings as the command line says."""
    return Settings(
        name=options.name or f"{options.model_package_group}-training",
        role_arn=options.role_arn,
        bucket=options.bucket,
        model_package_group=options.model_package_group,
        kms_key=options.kms_key,
        code_commit=options.code_commit or code_commit(),
        repository=options.repository or repository(),
        image_uri=options.image_uri,
        instance_type=options.instance_type,
        subnets=tuple(options.subnet),
        security_groups=tuple(options.security_group),
        pip_index_url=options.pip_index_url,
    )


def main() -> int:
    """Entry point of `python -m pipeline.definition`."""
    command_line = parser()
    options = command_line.parse_args()
    if bool(options.subnet) != bool(options.security_group):
        command_line.error("--subnet and --security-group belong together")

    def step() -> None:
        settings = settings_of(options)
        if not options.upsert:
            print(json.dumps(definition(settings), indent=1))
            return
        upload_code(boto3.client("s3"), settings)
        print(upsert(boto3.client("sagemaker"), settings))

    return exit_code(step)


def _parameters(settings: Settings) -> dict[str, str]:
    return {
        "ModelPackageGroupName": settings.model_package_group,
        "Bucket": settings.bucket,
        "KmsKeyId": settings.kms_key,
        "ImageUri": settings.image_uri,
        "ImageDigest": "",
        "InstanceType": settings.instance_type,
        "ServingInstanceType": INSTANCE_TYPES[0],
        "CodeCommit": settings.code_commit,
        "Repository": settings.repository,
        "C": f"{DEFAULT_C:g}",
        "Seed": str(DEFAULT_SEED),
    }


def _prepare(settings: Settings) -> dict[str, Any]:
    arguments = [
        *("--bucket", _parameter("Bucket")),
        *("--model-package-group", _parameter("ModelPackageGroupName")),
        *("--kms-key", _parameter("KmsKeyId")),
        *("--output", _OUTPUT),
    ]
    return _processing(
        settings,
        "Prepare",
        arguments,
        outputs={part: f"{_OUTPUT}/{part}" for part in ("train", "holdout", "reference")},
    )


def _train(settings: Settings) -> dict[str, Any]:
    return {
        "Name": "Train",
        "Type": "Training",
        "RetryPolicies": _RETRY,
        "Arguments": {
            "AlgorithmSpecification": {
                "TrainingImage": _parameter("ImageUri"),
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python3", "-m", "pipeline.train"],
                "ContainerArguments": [
                    *("--train", f"{_CHANNEL}/train"),
                    *("--model-dir", "/opt/ml/model"),
                    *("--c", _parameter("C")),
                    *("--seed", _parameter("Seed")),
                ],
            },
            "InputDataConfig": [
                _channel("code", f"s3://{settings.bucket}/{settings.code_prefix}"),
                _channel("train", _output_of("Prepare", "train"), "text/csv"),
            ],
            "OutputDataConfig": {
                "S3OutputPath": _run_uri("train"),
                "KmsKeyId": _parameter("KmsKeyId"),
            },
            "ResourceConfig": {
                "InstanceType": _parameter("InstanceType"),
                "InstanceCount": 1,
                "VolumeSizeInGB": _VOLUME_GB,
                "VolumeKmsKeyId": _parameter("KmsKeyId"),
            },
            "RoleArn": settings.role_arn,
            "StoppingCondition": {"MaxRuntimeInSeconds": 30 * _MINUTES},
            "Environment": {"PYTHONPATH": f"{_CHANNEL}/code"},
            "EnableNetworkIsolation": True,
            "EnableInterContainerTrafficEncryption": True,
            **({"VpcConfig": _vpc(settings)} if settings.subnets else {}),
        },
    }


def _evaluate(settings: Settings) -> dict[str, Any]:
    arguments = [
        *("--model-archive", f"{_INPUT}/model/model.tar.gz"),
        *("--holdout", f"{_INPUT}/holdout"),
        *("--reference", f"{_INPUT}/reference"),
        *("--model-package-group", _parameter("ModelPackageGroupName")),
        *("--output", f"{_OUTPUT}/evaluation"),
    ]
    return _processing(
        settings,
        "Evaluate",
        arguments,
        inputs={
            "model": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
            "holdout": _output_of("Prepare", "holdout"),
            "reference": _output_of("Prepare", "reference"),
        },
        outputs={"evaluation": f"{_OUTPUT}/evaluation"},
        isolated=True,
    )


def _register(settings: Settings) -> dict[str, Any]:
    arguments = [
        *("--bucket", _parameter("Bucket")),
        *("--model-package-group", _parameter("ModelPackageGroupName")),
        *("--kms-key", _parameter("KmsKeyId")),
        *("--model-archive", f"{_INPUT}/model/model.tar.gz"),
        *("--evaluation", f"{_INPUT}/evaluation"),
        *("--reference", f"{_INPUT}/reference"),
        *("--image-uri", _parameter("ImageUri")),
        *("--image-digest", _parameter("ImageDigest")),
        *("--instance-type", _parameter("ServingInstanceType")),
        *("--code-commit", _parameter("CodeCommit")),
        *("--repository", _parameter("Repository")),
        *("--generated-by", {"Get": "Execution.PipelineExecutionArn"}),
    ]
    return _processing(
        settings,
        "Register",
        arguments,
        inputs={
            "model": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
            "evaluation": _output_of("Evaluate", "evaluation"),
            "reference": _output_of("Prepare", "reference"),
        },
        # The image's boto3 may be older than ModelLifeCycle; "$@" are the step's arguments.
        entrypoint=[
            "/bin/bash",
            "-c",
            f'python3 -m pip install --quiet {_boto3()} && exec python3 -m pipeline.register "$@"',
            "register",
        ],
    )


def _processing(
    settings: Settings,
    name: str,
    arguments: Sequence[Any],
    *,
    inputs: dict[str, Any] | None = None,
    outputs: dict[str, str] | None = None,
    entrypoint: list[str] | None = None,
    isolated: bool = False,
) -> dict[str, Any]:
    code = f"s3://{settings.bucket}/{settings.code_prefix}"
    network: dict[str, Any] = {
        "EnableNetworkIsolation": isolated,
        "EnableInterContainerTrafficEncryption": True,
    }
    if settings.subnets:
        network["VpcConfig"] = _vpc(settings)
    environment = {"PYTHONPATH": f"{_INPUT}/code"}
    if settings.pip_index_url:
        environment["PIP_INDEX_URL"] = settings.pip_index_url
    step: dict[str, Any] = {
        "AppSpecification": {
            "ImageUri": _parameter("ImageUri"),
            "ContainerEntrypoint": entrypoint or ["python3", "-m", f"pipeline.{name.lower()}"],
            "ContainerArguments": list(arguments),
        },
        "ProcessingInputs": [
            _processing_input(given, uri) for given, uri in {"code": code, **(inputs or {})}.items()
        ],
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": _parameter("InstanceType"),
                "InstanceCount": 1,
                "VolumeSizeInGB": _VOLUME_GB,
                "VolumeKmsKeyId": _parameter("KmsKeyId"),
            }
        },
        "RoleArn": settings.role_arn,
        "StoppingCondition": {"MaxRuntimeInSeconds": 30 * _MINUTES},
        "NetworkConfig": network,
        "Environment": environment,
    }
    if outputs:
        step["ProcessingOutputConfig"] = {
            "Outputs": [
                {
                    "OutputName": output,
                    "S3Output": {
                        "S3Uri": _run_uri(name.lower(), output),
                        "LocalPath": path,
                        "S3UploadMode": "EndOfJob",
                    },
                }
                for output, path in outputs.items()
            ],
            "KmsKeyId": _parameter("KmsKeyId"),
        }
    return {"Name": name, "Type": "Processing", "RetryPolicies": _RETRY, "Arguments": step}


def _processing_input(name: str, uri: Any) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{_INPUT}/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }


def _channel(name: str, uri: Any, content_type: str = "") -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    channel: dict[str, Any] = {"ChannelName": name, "DataSource": {"S3DataSource": source}}
    return {**channel, "ContentType": content_type} if content_type else channel


def _vpc(settings: Settings) -> dict[str, list[str]]:
    return {
        "SecurityGroupIds": list(settings.security_groups),
        "Subnets": list(settings.subnets),
    }


def _parameter(name: str) -> dict[str, str]:
    return {"Get": f"Parameters.{name}"}


def _output_of(step: str, output: str) -> dict[str, str]:
    return {"Get": f"Steps.{step}.ProcessingOutputConfig.Outputs['{output}'].S3Output.S3Uri"}


def _run_uri(*path: str) -> dict[str, Any]:
    parts = [
        "s3:/",
        _parameter("Bucket"),
        "pipelines",
        {"Get": "Execution.PipelineName"},
        {"Get": "Execution.PipelineExecutionId"},
        *path,
    ]
    return {"Std:Join": {"On": "/", "Values": parts}}


def _boto3() -> str:
    pinned = (Path(__file__).resolve().parent.parent / "requirements.txt").read_text("utf-8")
    found = re.search(r"^boto3==\S+$", pinned, re.MULTILINE)
    return found.group() if found else f"boto3=={boto3.__version__}"


if __name__ == "__main__":
    raise SystemExit(main())
