"""MODEL/VERSION: which version of which model in which account's registry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cli.aws import calling, explain
from cli.errors import GovernError, usage
from governance.adapters import errors

if TYPE_CHECKING:
    import boto3

_REFERENCE = re.compile(
    r"(?P<model>[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62})(?:/(?P<version>[1-9]\d{0,8}))?"
)


@dataclass(frozen=True, slots=True)
class Version:
    """A version that exists. `description` is DescribeModelPackage's answer."""

    model: str
    number: int
    arn: str
    description: dict[str, Any]

    @property
    def phase(self) -> tuple[str, str]:
        """(stage, stage status), both "" for a version without ModelLifeCycle."""
        life_cycle = self.description.get("ModelLifeCycle") or {}
        return life_cycle.get("Stage", ""), life_cycle.get("StageStatus", "")


def parse(reference: str) -> tuple[str, int | None]:
    """(model, version or None) of MODEL or MODEL/VERSION; GovernError `usage` for other text."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise usage(
            f"{reference!r} names no version; expected MODEL/VERSION",
            "for example clinical-risk-classifier/1; `govern status` lists them",
        )
    return match["model"], int(match["version"]) if match["version"] else None


def package_arn(session: boto3.Session, account: str, model: str, version: int) -> str:
    """The ARN of a version in that account, in the session's region."""
    return f"{_arn(session, account, 'model-package', model)}/{version}"


def find(session: boto3.Session, account: str, model: str, version: int | None) -> Version:
    """The version in that account's registry, as the session may see it.

    Without a version, GovernError `usage` that lists the versions: the newest is never guessed.
    GovernError `not_found` for an unknown model or version says what exists.
    """
    if version is None:
        raise usage(
            f"which version of {model}? {_known_versions(session, account, model)}",
            f"name one: {model}/VERSION",
        )
    arn = package_arn(session, account, model, version)
    try:
        description = session.client("sagemaker").describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        if not errors.is_absent(error):
            raise explain(error, f"describe {arn}") from error
        raise GovernError(
            "not_found",
            f"account {account} has no version {version} of model {model}; "
            f"{_known_versions(session, account, model)}",
            "`govern status` lists what the Central registry has",
        ) from error
    return Version(model, version, arn, dict(description))


def in_group(session: boto3.Session, account: str, model: str) -> list[dict[str, Any]] | None:
    """ListModelPackages' summaries of the model, the oldest version first; None without a group."""
    group = _arn(session, account, "model-package-group", model)
    try:
        pages = (
            session.client("sagemaker")
            .get_paginator("list_model_packages")
            .paginate(ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Ascending")
        )
        found = [dict(summary) for page in pages for summary in page["ModelPackageSummaryList"]]
    except ClientError as error:
        if errors.is_absent(error):
            return None
        raise explain(error, f"list the versions of model {model} in {account}") from error
    return sorted(found, key=lambda summary: number_of(summary["ModelPackageArn"]))


def number_of(arn: str) -> int:
    """The version number at the end of a versioned package's ARN."""
    return int(arn.rpartition("/")[2])


def _known_versions(session: boto3.Session, account: str, model: str) -> str:
    summaries = in_group(session, account, model)
    if summaries is None:
        return f"account {account} has no model {model}; {_known_models(session)}"
    numbers = ", ".join(str(number_of(summary["ModelPackageArn"])) for summary in summaries)
    return f"its versions are {numbers}" if numbers else "it has no versions yet"


def _known_models(session: boto3.Session) -> str:
    with calling("list the models"):
        pages = session.client("sagemaker").get_paginator("list_model_package_groups").paginate()
        groups = [group for page in pages for group in page["ModelPackageGroupSummaryList"]]
    names = ", ".join(sorted(group["ModelPackageGroupName"] for group in groups))
    return f"your account's models are {names}" if names else "your account has no models"


def _arn(session: boto3.Session, account: str, kind: str, model: str) -> str:
    region = session.region_name
    partition = session.get_partition_for_region(region)
    return f"arn:{partition}:sagemaker:{region}:{account}:{kind}/{model}"
