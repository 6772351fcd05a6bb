"""Provision a model: its Central group, the policy of its tier and its directory entry."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cli import deployments, policies, projects, target
from cli.aws import calling, explain
from cli.errors import GovernError, usage
from cli.options import TIERS
from governance.adapters import errors, items
from governance.adapters.artifacts import Artifacts
from governance.domain import definitions, policy_changes
from governance.domain.errors import NotFoundError

if TYPE_CHECKING:
    import boto3

KEY = "alias/governed-path"
SHARING = "ProdMayDeploy"
_LONGEST_IN_NAME = 63  # characters of a model in an action's name, which has at most 120
_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True, slots=True)
class Project:
    """What an admin says about a model; `accounts` {dev, test, prod}, 12 digits each.

    `definition` is the deployment definition of versions whose approval names none; None leaves
    what the project has.
    """

    model: str
    project: str
    tier: str
    accounts: Mapping[str, str]
    endpoint_name: str
    definition: Mapping[str, Any] | None = None


def check(project: Project) -> None:
    """GovernError `usage` names what of the project cannot be right."""
    if project.tier not in TIERS:
        raise usage(f"there is no tier {project.tier!r}", f"one of {', '.join(TIERS)}")
    for stage in ("dev", "test", "prod"):
        account = project.accounts.get(stage, "")
        if not _ACCOUNT.fullmatch(account):
            raise usage(f"{account!r} is not the id of the {stage} account; expected 12 digits")
    if len(set(project.accounts.values())) < 3:
        raise usage(
            f"dev, test and prod share an account: {', '.join(project.accounts.values())}",
            "each stage has an account of its own; that is what keeps them apart",
        )


def provision(
    session: boto3.Session,
    project: Project,
    *,
    account: str | None = None,
    directory: Path = policies.DIRECTORY,
) -> dict[str, Any]:
    """Make Central ready for the model; what is as it should be is left alone.

    `session` is the admin's, `account` Central's (default: the session's), `directory` where the
    policies are. Returns {project: directory entry, changes: [{what, name,
    change: created | updated | unchanged}]}. GovernError `usage` for a project that cannot be
    right, before anything is written; `invalid` for a policy that breaks its schema; otherwise
    what AWS refuses.
    """
    check(project)
    bodies = policies.bodies(directory, project.tier)
    try:
        return _provision(session, project, account or target.account_of(session), bodies)
    except GovernError as error:
        if error.code == "access_denied":
            error.hint = "that is for: admin; govern provision ... --as admin"
        raise


def _provision(
    session: boto3.Session, project: Project, central: str, bodies: Mapping[str, bytes]
) -> dict[str, Any]:
    model = project.model
    definition = _definition(session, project, central)
    group = _ensure_group(session, model)
    sharing = _ensure_sharing(session, central, project)
    pins, published = _publish_all(session, central, project.tier, bodies)
    present = projects.find_project(session, model)
    definition = definition or (present or {}).get("definition")
    change, announced = _announce(session, central, model, pins, present)
    entry = {
        "model": model,
        "project": project.project,
        "risk_tier": project.tier,
        "accounts": dict(project.accounts),
        "endpoint_name": project.endpoint_name,
        **({"definition": definition} if definition else {}),
        "policy": {**pins, "change": change},
    }
    written = _ensure_entry(session, entry, present)
    return {
        "project": entry,
        "changes": [
            {"what": "model package group", "name": model, "change": group},
            {"what": "resource policy", "name": f"{model} {SHARING}", "change": sharing},
            *published,
            {"what": "policy change", "name": change.rpartition("/")[2], "change": announced},
            {"what": "directory entry", "name": model, "change": written},
        ],
    }


def _definition(session: boto3.Session, project: Project, central: str) -> dict[str, str] | None:
    """{digest, uri} of the deployment definition that the project gets, None without one.

    An Admin names what an AI Engineer has published; nobody else may write there.
    """
    if project.definition is None:
        return None
    digest = definitions.digest(project.definition)
    return deployments.published(session, central, project.model, digest)


def _publish_all(
    session: boto3.Session, central: str, tier: str, bodies: Mapping[str, bytes]
) -> tuple[dict[str, dict[str, str]], list[dict[str, str]]]:
    """({cedar, schema, tier: {uri, sha256, version_id}}, what changed) of the policy's files."""
    bucket = f"governed-path-evidence-{central}-{session.region_name}"
    pins, changes = {}, []
    for part, path in policies.files(Path("policies"), tier).items():
        uri = f"s3://{bucket}/{path.as_posix()}"
        change, pins[part] = _publish(session, uri, bodies[part])
        changes.append({"what": f"policy, {part}", "name": uri, "change": change})
    return pins, changes


def _announce(
    session: boto3.Session,
    central: str,
    model: str,
    pins: Mapping[str, Mapping[str, str]],
    present: Mapping[str, Any] | None,
) -> tuple[str, str]:
    """(ARN, change) of the lineage action that says who published this policy for the model.

    SageMaker notes who made it, and the hub's ledger takes that over (domain/policy_changes.py).
    """
    before = dict((present or {}).get("policy") or {})
    if before.get("change") and {**before, **pins} == before:
        return str(before["change"]), "unchanged"
    digests = {part: pin["sha256"] for part, pin in pins.items()}
    name = f"policy-{model[:_LONGEST_IN_NAME]}-{uuid.uuid4().hex}"
    with calling(f"say which policy is published for model {model}"):
        answer = session.client("sagemaker").create_action(
            ActionName=name,
            Source={"SourceUri": pins["tier"]["uri"]},
            ActionType=policy_changes.ACTION_TYPE,
            Status="Completed",
            Properties=policy_changes.action_properties(model, digests),
        )
    return str(answer["ActionArn"]), "created"


def sharing_statement(arn_of_versions: str, partition: str, prod: str) -> dict[str, Any]:
    """What lets the Prod account deploy versions that are signed off, and nothing else."""
    return {
        "Sid": SHARING,
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{partition}:iam::{prod}:root"},
        "Action": ["sagemaker:DescribeModelPackage", "sagemaker:CreateModel"],
        "Resource": arn_of_versions,
    }


def _ensure_group(session: boto3.Session, model: str) -> str:
    sagemaker = session.client("sagemaker")
    try:
        sagemaker.describe_model_package_group(ModelPackageGroupName=model)
    except ClientError as error:
        if not errors.is_absent(error):
            raise explain(error, f"describe model package group {model}") from error
    else:
        return "unchanged"
    with calling(f"create model package group {model}"):
        sagemaker.create_model_package_group(
            ModelPackageGroupName=model,
            ModelPackageGroupDescription="Candidates promoted from Dev, by Governed Path",
        )
    return "created"


def _ensure_sharing(session: boto3.Session, central: str, project: Project) -> str:
    sagemaker, model = session.client("sagemaker"), project.model
    partition = session.get_partition_for_region(session.region_name)
    ours = sharing_statement(
        f"arn:{partition}:sagemaker:{session.region_name}:{central}:model-package/{model}/*",
        partition,
        project.accounts["prod"],
    )
    present = _group_policy(sagemaker, model)
    statements = present.get("Statement", [])
    # What an admin has allowed beside it stays.
    wanted = [*(s for s in statements if s.get("Sid") != SHARING), ours]
    if ours in statements and len(wanted) == len(statements):
        return "unchanged"
    with calling(f"share model package group {model} with account {project.accounts['prod']}"):
        sagemaker.put_model_package_group_policy(
            ModelPackageGroupName=model,
            ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": wanted}),
        )
    return "updated" if present else "created"


def _group_policy(sagemaker: Any, model: str) -> dict[str, Any]:
    try:
        answer = sagemaker.get_model_package_group_policy(ModelPackageGroupName=model)
    except ClientError as error:
        # AWS: "Cannot find resource policy for: ..."
        if errors.is_absent(error) or "cannot find" in str(error).lower():
            return {}
        raise explain(error, f"read the policy of model package group {model}") from error
    policy: dict[str, Any] = json.loads(answer["ResourcePolicy"])
    return policy


def _publish(session: boto3.Session, uri: str, body: bytes) -> tuple[str, dict[str, str]]:
    """(change, {uri, sha256, version_id}) of a file of the policy in the evidence bucket."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    bucket_of_session = Artifacts(session)
    there = bucket_of_session.find(bucket, key)
    kind = "application/json" if key.endswith(".json") else "text/plain; charset=utf-8"
    try:
        location = bucket_of_session.store(bucket, key, body, KEY, kind)
    except NotFoundError as error:
        raise GovernError(
            "not_found", str(error), "the bucket comes with the Central stack: deploy it first"
        ) from error
    policy = {
        "uri": uri,
        "sha256": hashlib.sha256(body).hexdigest(),
        "version_id": str(location["version_id"]),
    }
    if there is None:
        return "created", policy
    return ("unchanged" if there["sha256"] == policy["sha256"] else "updated"), policy


def _ensure_entry(
    session: boto3.Session, entry: dict[str, Any], present: Mapping[str, Any] | None
) -> str:
    model = entry["model"]
    if present == entry:
        return "unchanged"
    with calling(f"write the directory entry of model {model}"):
        session.client("dynamodb").put_item(TableName=projects.TABLE, Item=items.to_item(entry))
    return "created" if present is None else "updated"
