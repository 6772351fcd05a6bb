"""Model registries: the versions of a model, in Dev (read) and in Central (read and written)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3

from governance.adapters import clock, errors, sessions

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


class Registry:
    """The model registry that the session's role can reach."""

    def __init__(self, session: boto3.Session) -> None:
        self._sagemaker: SageMakerClient = sessions.client(session, "sagemaker")

    def describe(self, model_package_arn: str) -> dict[str, Any]:
        """The version as DescribeModelPackage returns it, times as ISO-8601 text in UTC.

        NotFoundError if there is no such version.
        """
        with errors.translated(f"describe model package {model_package_arn}"):
            answer = self._sagemaker.describe_model_package(ModelPackageName=model_package_arn)
        description: dict[str, Any] = plain(answer)
        description.pop("ResponseMetadata", None)
        return description

    def register(self, request: dict[str, Any]) -> str:
        """Create the version that CreateModelPackage's `request` says; returns its ARN."""
        group = request.get("ModelPackageGroupName")
        with errors.translated(f"register a version of model {group} in Central"):
            return self._sagemaker.create_model_package(**request)["ModelPackageArn"]

    def update(self, model_package_arn: str, **fields: Any) -> None:
        """Change the version's fields (the arguments of UpdateModelPackage) in one call."""
        with errors.translated(f"update {', '.join(sorted(fields))} of {model_package_arn}"):
            self._sagemaker.update_model_package(ModelPackageArn=model_package_arn, **fields)

    def set_stage(
        self, model_package_arn: str, stage: str, stage_status: str, description: str = ""
    ) -> None:
        """Set ModelLifeCycle; `description` (at most 1,024 characters) says why."""
        life_cycle = {"Stage": stage, "StageStatus": stage_status}
        if description:
            life_cycle["StageDescription"] = description
        self.update(model_package_arn, ModelLifeCycle=life_cycle)


def plain(value: Any) -> Any:
    """An answer of AWS as JSON values: times become text."""
    if isinstance(value, datetime):
        return clock.text(value)
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value
