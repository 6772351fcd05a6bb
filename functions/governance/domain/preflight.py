"""Pre-flight: the calls across accounts that a promotion will make, as one list.

A check says which harmless call is tried and as whom, what its failure means, and which statement
of which stack, by which parameter, puts it right. adapters/preflight.py tries them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

PASSED, FAILED, NOT_TRIED, UNCLEAR = "passed", "failed", "not tried", "unclear"
CENTRAL_STACK, MEMBER_STACK = "template.yaml (Central)", "stacks/member.yaml"
# The alarm and the endpoint that are asked about: there are none of that name.
NOBODYS = "governed-path-doctor"
_OF_ALARMS = ("PutMetricAlarm", "DeleteAlarms", "DescribeAlarmHistory", "SetAlarmState")
_OF_SCALING = ("RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy")
# What each machine needs besides Central itself.
STAGES_OF: Mapping[str, tuple[str, ...]] = {
    "promote_to_central": ("dev",),
    "validate_in_test": ("test",),
    "release_to_prod": ("prod",),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the hub is."""

    partition: str
    region: str
    hub: str
    registry: str
    external_id: str
    artifacts_bucket: str
    images_repository: str
    key_arn: str
    bus: str

    def arn(self, service: str, account: str, rest: str) -> str:
        """An ARN of this region, or of none for IAM and S3."""
        region = "" if service in ("iam", "s3") else self.region
        return f"arn:{self.partition}:{service}:{region}:{account}:{rest}"

    def role(self, account: str, name: str) -> str:
        """The ARN of one of our roles."""
        return self.arn("iam", account, f"role/{name}")


@dataclass(frozen=True, slots=True)
class Check:
    """One call. `needs` is the check of the role it is made with; "" for the function's own.

    `command` is what an admin runs where no deployment adds what is missing; "" where one does.
    `stack` is "" where only the command adds it.
    """

    name: str
    account: str
    call: str
    target: str
    means: str
    statement: Mapping[str, Any]
    stack: str
    parameter: str
    needs: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a check ended; `detail` is AWS's own word, or why it was not tried."""

    check: Check
    status: str
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The check's fields with status, detail and remedy, as JSON values."""
        return {
            **asdict(self.check),
            "status": self.status,
            "detail": self.detail,
            "remedy": remedy(self.check),
        }


def checks(
    project: Mapping[str, Any] | None, model: str, place: Place, stages: Iterable[str]
) -> list[Check]:
    """The checks of Central and of these stages ("dev", "test", "prod") of the model's project.

    `project` is the model's entry in the directory, None if it has none: nothing more can be
    checked then than that.
    """
    provision = _provision(model, project)
    found = [_directory(model, place, provision), *_central(model, place, provision)]
    if project is None:
        return found
    for stage in stages:
        account = str(project["accounts"][stage])
        found += _member(stage, account, place)
        found += [*_dev(account, model, place), *_handoff(place)] if stage == "dev" else []
        found += _serving(stage, account, model, project, place) if stage != "dev" else []
    return found


def trusts(policy: str | None, account: str) -> bool:
    """True if a bus's policy lets the account, or a role of it, put events."""
    try:
        statements = json.loads(policy or "{}").get("Statement", [])
    except (ValueError, AttributeError):
        return False
    return any(
        statement.get("Effect") == "Allow"
        and "events:PutEvents" in _listed(statement.get("Action"))
        and any(_account_in(named) == account for named in _principals(statement))
        for statement in _listed(statements)
        if isinstance(statement, Mapping)
    )


def failed(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that the promotion would break at."""
    return [outcome for outcome in outcomes if outcome.status == FAILED]


def sentence(outcome: Outcome) -> str:
    """What failed, what that means and what puts it right, for a cause or an error."""
    check = outcome.check
    return (
        f"check {check.name}: {check.call} in account {check.account} failed ({outcome.detail}); "
        f"{check.means}; missing: {json.dumps(check.statement, separators=(',', ':'))}; "
        f"{remedy(check)}"
    )


def remedy(check: Check) -> str:
    """Which command, or which stack and parameter, add what is missing."""
    by = f" with {check.parameter}" if check.parameter else ""
    deploy = f"deploy {check.stack} in account {check.account}{by}"
    if not check.command:
        return deploy
    run = f"run `{check.command}`"
    return f"{run}; if that changes nothing, {deploy}" if check.stack else run


def _provision(model: str, project: Mapping[str, Any] | None) -> str:
    """The command that makes Central ready for the model; capitals stand for what nobody knows."""
    known = project or {}
    accounts = known.get("accounts") or {}
    options = {
        "project": known.get("project") or "NAME",
        "tier": known.get("risk_tier") or "TIER",
        **{stage: accounts.get(stage) or "ID" for stage in ("dev", "test", "prod")},
        "endpoint-name": known.get("endpoint_name") or "NAME",
    }
    said = " ".join(f"--{name} {shlex.quote(str(value))}" for name, value in options.items())
    return f"govern provision {model} {said} --as admin"


def _directory(model: str, place: Place, provision: str) -> Check:
    return Check(
        name="project-directory",
        account=place.hub,
        call="dynamodb:GetItem",
        target=model,
        means=f"nothing says which accounts and policy model {model} has",
        statement=_allow(
            "dynamodb:GetItem", place.arn("dynamodb", place.hub, "table/governed-path-*")
        ),
        stack="",
        parameter="",
        command=provision,
    )


def _central(model: str, place: Place, provision: str) -> list[Check]:
    group = place.arn("sagemaker", place.registry, f"model-package-group/{model}")
    registry = Check(
        name="registry-role",
        account=place.registry,
        call="sts:AssumeRole",
        target=place.registry,
        means="no status of a Central version can be read or set",
        statement=_trust(place, "check-access"),
        stack=CENTRAL_STACK,
        parameter=f"HubExternalId={place.external_id}",
    )
    bucket = f"arn:{place.partition}:s3:::{place.artifacts_bucket}"
    return [
        registry,
        Check(
            name="registry-group",
            account=place.registry,
            call="sagemaker:DescribeModelPackageGroup",
            target=model,
            means=f"versions of {model} cannot be registered",
            statement=_allow("sagemaker:DescribeModelPackageGroup", group),
            stack=CENTRAL_STACK,
            parameter="",
            needs=registry.name,
            command=provision,
        ),
        Check(
            name="central-key",
            account=place.hub,
            call="kms:GenerateDataKey",
            target=place.key_arn,
            means="nothing can be written to Central: its key is disabled or does not allow it",
            statement=_allow("kms:GenerateDataKey", place.key_arn),
            stack=CENTRAL_STACK,
            parameter="",
        ),
        Check(
            name="central-artifacts",
            account=place.hub,
            call="s3:GetObject",
            target=place.artifacts_bucket,
            means="the bytes of candidates cannot be read back and compared",
            statement=_allow(["s3:GetObject", "s3:ListBucket"], [bucket, f"{bucket}/models/*"]),
            stack=CENTRAL_STACK,
            parameter="",
        ),
        Check(
            name="central-images",
            account=place.hub,
            call="ecr:DescribeRepositories",
            target=place.hub,
            means="images of candidates cannot be looked at or kept",
            statement=_allow(
                "ecr:DescribeRepositories", place.arn("ecr", place.hub, "repository/*")
            ),
            stack=CENTRAL_STACK,
            parameter="",
        ),
    ]


def _member(stage: str, account: str, place: Place) -> list[Check]:
    """What every member has: a role for the hub, and events on their way to it."""
    deployed = f"Stage={stage.capitalize()} HubAccountId={place.hub}"
    role = Check(
        name=f"{stage}-role",
        account=account,
        call="sts:AssumeRole",
        target=account,
        means=f"the hub can do nothing in {stage.capitalize()}",
        statement=_trust(place, "check-access"),
        stack=MEMBER_STACK,
        parameter=f"{deployed} HubExternalId={place.external_id}",
    )
    rule = place.arn("events", account, "rule/governed-path-forwarding")
    bus = place.arn("events", place.hub, f"event-bus/{place.bus}")
    return [
        role,
        Check(
            name=f"{stage}-forwarding",
            account=account,
            call="events:ListTargetsByRule",
            target=bus,
            means=(
                "what happens there does not reach the hub: "
                + ("approvals start nothing" if stage == "dev" else "deployments wait in vain")
            ),
            statement={
                **_allow(["events:DescribeRule", "events:ListTargetsByRule"], rule),
                "Rule": {"Name": "governed-path-forwarding", "State": "ENABLED", "Target": bus},
            },
            stack=MEMBER_STACK,
            parameter=deployed,
            needs=role.name,
        ),
        Check(
            name=f"{stage}-on-the-bus",
            account=place.hub,
            call="events:DescribeEventBus",
            target=account,
            means=f"the hub's bus does not take events of account {account}",
            statement={
                **_allow("events:PutEvents", bus),
                "Principal": {"AWS": place.arn("iam", account, "root")},
                "Condition": {"StringEquals": {"events:source": "aws.sagemaker"}},
            },
            stack=CENTRAL_STACK,
            parameter=f"TrustedAccountIds=...,{account}",
        ),
    ]


def _dev(account: str, model: str, place: Place) -> list[Check]:
    deployed = f"Stage=Dev HubAccountId={place.hub}"
    bucket = f"arn:{place.partition}:s3:::{project_bucket(account, place)}"
    common = {"account": account, "stack": MEMBER_STACK, "parameter": deployed}
    return [
        Check(
            name="dev-group",
            call="sagemaker:DescribeModelPackageGroup",
            target=model,
            means=f"versions of {model} in Dev cannot be read",
            statement=_allow(
                ["sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup"],
                place.arn("sagemaker", account, "model-package*/*"),
            ),
            needs="dev-role",
            **(common | {"parameter": f"{deployed} ModelPackageGroupName={model}"}),
        ),
        Check(
            name="dev-objects",
            call="s3:GetObject",
            target=project_bucket(account, place),
            means="what a version consists of cannot be read, so it has no candidate id",
            statement=_allow(
                ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"], [bucket, f"{bucket}/*"]
            ),
            needs="dev-role",
            **common,
        ),
        Check(
            name="dev-copies",
            call="s3:GetObject",
            target=project_bucket(account, place),
            means="the bytes cannot be copied: the bucket's or the key's own policy says no",
            statement={
                **_allow(["s3:GetObject", "s3:GetObjectVersion", "kms:Decrypt"], f"{bucket}/*"),
                "Principal": {"AWS": place.arn("iam", place.hub, "root")},
                "Condition": {
                    "ArnEquals": {
                        "aws:PrincipalArn": place.role(place.hub, "governed-path-check-access")
                    }
                },
            },
            needs="dev-objects",
            **common,
        ),
        Check(
            name="dev-object-versions",
            call="s3:ListObjectVersions",
            target=project_bucket(account, place),
            means="nobody can tell whether what is under a prefix was replaced while it was copied",
            statement=_allow("s3:ListBucketVersions", bucket),
            needs="dev-role",
            **common,
        ),
        Check(
            name="dev-images",
            call="ecr:BatchGetImage",
            target=account,
            means="the version's images cannot be pinned or copied: no pull from their registry",
            statement=_allow(
                ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                f"arn:{place.partition}:ecr:*:*:repository/*",
            ),
            needs="dev-role",
            **common,
        ),
        Check(
            name="dev-lineage",
            call="sagemaker:QueryLineage",
            target=account,
            means="what led to a version in Dev cannot be read, so Central's lineage lacks it",
            statement=_allow(["sagemaker:QueryLineage", "sagemaker:ListArtifacts"], "*"),
            needs="dev-role",
            **common,
        ),
    ]


def _handoff(place: Place) -> list[Check]:
    """What a promotion writes in Central besides objects: images and lineage."""
    role = Check(
        name="central-lineage-role",
        account=place.registry,
        call="sts:AssumeRole",
        target=place.registry,
        means="the candidate's lineage cannot be made in Central",
        statement=_trust(place, "check-access"),
        stack=CENTRAL_STACK,
        parameter=f"HubExternalId={place.external_id}",
    )
    repository = place.arn("ecr", place.hub, f"repository/{place.images_repository}")
    return [
        role,
        Check(
            name="central-lineage",
            account=place.registry,
            call="sagemaker:ListArtifacts",
            target=place.registry,
            means="the candidate's lineage cannot be made in Central",
            statement=_allow(
                [
                    f"sagemaker:{action}"
                    for action in ("ListArtifacts", "CreateArtifact", "AddAssociation")
                ],
                "*",
            ),
            stack=CENTRAL_STACK,
            parameter="",
            needs=role.name,
        ),
        Check(
            name="central-image-push",
            account=place.hub,
            call="ecr:UploadLayerPart",
            target=place.images_repository,
            means="images of candidates cannot be copied to Central",
            statement=_allow(
                [
                    f"ecr:{action}"
                    for action in (
                        "BatchCheckLayerAvailability",
                        "InitiateLayerUpload",
                        "UploadLayerPart",
                        "CompleteLayerUpload",
                        "PutImage",
                    )
                ],
                repository,
            ),
            stack=CENTRAL_STACK,
            parameter="",
        ),
    ]


def _serving(
    stage: str, account: str, model: str, project: Mapping[str, Any], place: Place
) -> list[Check]:
    version = place.arn("sagemaker", place.registry, f"model-package/{model}/1")
    deployed = f"Stage={stage.capitalize()} HubAccountId={place.hub}"
    found = [
        Check(
            name=f"{stage}-endpoints",
            account=account,
            call="sagemaker:DescribeEndpoint",
            target=str(project.get("endpoint_name") or model),
            means="endpoints cannot be made or looked at",
            statement=_allow(
                "sagemaker:DescribeEndpoint", place.arn("sagemaker", account, "endpoint/*")
            ),
            stack=MEMBER_STACK,
            parameter=deployed,
            needs=f"{stage}-role",
        )
    ]
    if stage == "prod":
        found.append(
            Check(
                name="prod-versions",
                account=account,
                call="sagemaker:DescribeModelPackage",
                target=version,
                means=(
                    f"no model can be made of a Central version: the policy of group {model} in "
                    f"account {place.registry} does not let Prod in"
                ),
                statement={
                    **_allow(["sagemaker:DescribeModelPackage", "sagemaker:CreateModel"], version),
                    "Principal": {"AWS": place.arn("iam", account, "root")},
                },
                stack=MEMBER_STACK,
                parameter=deployed,
                needs=f"{stage}-role",
                command=_provision(model, project),
            )
        )
        found += _guarded(account, place)
    return found


def _guarded(account: str, place: Place) -> list[Check]:
    """What only a release asks for: alarms and autoscaling, tried on what nobody has."""
    target = place.arn("application-autoscaling", account, "scalable-target/*")
    asked = {
        "prod-alarms": (
            "cloudwatch:SetAlarmState",
            "alarms that take a release back cannot be put, set or deleted",
            _allow(
                [f"cloudwatch:{action}" for action in _OF_ALARMS],
                place.arn("cloudwatch", account, "alarm:governed-path-*"),
            ),
        ),
        "prod-alarm-states": (
            "cloudwatch:DescribeAlarms",
            "nobody can tell which alarm took a release back",
            _allow("cloudwatch:DescribeAlarms", "*"),
        ),
        "prod-autoscaling": (
            "application-autoscaling:DeregisterScalableTarget",
            "the instances of an endpoint cannot be scaled as its definition says",
            _allow([f"application-autoscaling:{action}" for action in _OF_SCALING], target),
        ),
    }
    return [
        Check(
            name=name,
            account=account,
            call=call,
            target=NOBODYS,
            means=means,
            statement=statement,
            stack=MEMBER_STACK,
            parameter=f"Stage=Prod HubAccountId={place.hub}",
            needs="prod-role",
        )
        for name, (call, means, statement) in asked.items()
    ]


def project_bucket(account: str, place: Place) -> str:
    """Where a project keeps its models in Dev."""
    return f"governed-path-project-{account}-{place.region}"


def about_version(found: Sequence[Check], version_arn: str) -> list[Check]:
    """The same checks, about this version where one is named: Central's in Prod, Dev's images."""
    about = ("prod-versions", "dev-images")
    return [replace(check, target=version_arn) if check.name in about else check for check in found]


def _allow(action: Any, resource: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def _trust(place: Place, function: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": place.arn("iam", place.hub, "root")},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {"sts:ExternalId": place.external_id},
            "ArnEquals": {
                "aws:PrincipalArn": place.role(place.hub, f"governed-path-{function}"),
            },
        },
    }


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _principals(statement: Mapping[str, Any]) -> list[str]:
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, Mapping) else principal
    return [str(one) for one in _listed(named)]


def _account_in(principal: str) -> str:
    """The account that a principal (an ARN or an account id) names."""
    return (principal.split(":") + [""] * 5)[4] if principal.startswith("arn:") else principal
