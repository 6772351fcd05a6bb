"""Plan a deployment: every name and number of it, decided once and the same on every retry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.domain.errors import InvalidInputError

VARIANT = "AllTraffic"
# What CreateModel takes of a package's container, besides the image.
_OF_A_CONTAINER = (
    "ContainerHostname",
    "ModelDataUrl",
    "ModelDataSource",
    "AdditionalModelDataSources",
    "Environment",
)
_NAME_LIMIT = 63  # characters; SageMaker's limit for models, configs and endpoints


def plan(
    promotion: Mapping[str, Any],
    candidate: Mapping[str, Any],
    project: Mapping[str, Any],
    description: Mapping[str, Any],
    execution_role_name: str,
    reference: Mapping[str, str],
    definition: Mapping[str, Any],
) -> dict[str, Any]:
    """The deployment of an approved version into the account of its stage.

    `project` is the directory's entry, `description` the Central version, `definition` the
    deployment definition that `reference` {digest, uri} stands for. Test spells the
    containers out, because the version is not signed off yet; Prod names the package, so that
    SageMaker itself refuses what was not (DESIGN.md, rule 12). InvalidInputError for a stage that
    has no account.
    """
    stage = promotion["stage"]
    arn = endpoint_arn(promotion, project)
    _, partition, _, region, account, _ = arn.split(":")
    endpoint_of = definition["endpoint"]
    return {
        "stage": stage,
        **made_for(promotion, project),
        "region": region,
        "endpoint_arn": arn,
        "variant_name": VARIANT,
        "model_package_arn": promotion["model_package_arn"],
        "candidate_id": candidate["candidate_id"],
        "source": "model-package" if stage == "Prod" else "containers",
        "containers": None if stage == "Prod" else containers(description),
        "instance_type": endpoint_of["instance_type"],
        "instance_count": endpoint_of["instance_count"],
        "environment": dict(endpoint_of.get("environment", {})),
        "definition": dict(reference),
        "content_types": list(
            description["InferenceSpecification"].get("SupportedContentTypes") or ()
        ),
        **_of_stage(stage, definition, arn),
        "execution_role_arn": f"arn:{partition}:iam::{account}:role/{execution_role_name}",
        "claim_id": promotion["claim_id"],
        "tags": {
            "model": promotion["model"],
            "model-package-arn": promotion["model_package_arn"],
            "candidate-id": candidate["candidate_id"],
            "claim-id": promotion["claim_id"],
        },
    }


def _of_stage(stage: str, definition: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """{release, autoscaling, data_capture}: a Test endpoint is new, small and nobody's."""
    if stage != "Prod":
        return dict.fromkeys(("release", "autoscaling", "data_capture"))
    _, _, _, region, account, endpoint = arn.split(":")
    capture = definition["endpoint"].get("data_capture")
    bucket = f"governed-path-capture-{account}-{region}"
    return {
        "release": definition["release"],
        "autoscaling": definition["endpoint"].get("autoscaling"),
        "data_capture": capture
        and {
            "percent": capture["percent"],
            "uri": f"s3://{bucket}/{endpoint.partition('/')[2]}",
            "kms_key": "alias/governed-path",
        },
    }


def endpoint_arn(promotion: Mapping[str, Any], project: Mapping[str, Any]) -> str:
    """The endpoint that the promotion is about, in lower case as SageMaker makes it.

    InvalidInputError for a stage that has no account.
    """
    stage = promotion["stage"]
    account = project["accounts"].get(stage.lower())
    if stage not in ("Test", "Prod") or not account:
        raise InvalidInputError(
            f"model {promotion['model']} has no account for stage {stage}; "
            "an Admin adds it with `govern provision`"
        )
    _, partition, _, region, *_ = promotion["model_package_arn"].split(":")
    name_ = _endpoint_name(promotion, project["endpoint_name"])
    return f"arn:{partition}:sagemaker:{region}:{account}:endpoint/{name_.lower()}"


def made_for(promotion: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, str]:
    """{account, endpoint_name, config_name, model_name} of what a run makes, or would have made.

    They follow from the decision alone, so that what a run left behind is found without it.
    """
    made = _name_of_run(promotion, project["endpoint_name"])
    return {
        "account": endpoint_arn(promotion, project).split(":")[4],
        "endpoint_name": _endpoint_name(promotion, project["endpoint_name"]),
        "config_name": made,
        "model_name": made,
    }


def containers(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """CreateModel's container definitions, spelled out of a version's inference specification.

    An image with a digest is pinned to it, whatever its tag says by now.
    """
    return [
        {
            "Image": pinned(container["Image"], container.get("ImageDigest")),
            **{key: container[key] for key in _OF_A_CONTAINER if container.get(key)},
        }
        for container in description["InferenceSpecification"]["Containers"]
    ]


def with_environment(
    container: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """CreateModel's container with the definition's variables beside its own."""
    if not environment:
        return dict(container)
    return {**container, "Environment": {**container.get("Environment", {}), **environment}}


def pinned(image: str, digest: str | None) -> str:
    """The image by digest if there is one, otherwise as it is named."""
    if not digest or "@" in image:
        return image
    registry, slash, rest = image.rpartition("/")
    return f"{registry}{slash}{rest.partition(':')[0]}@{digest}"


def name(base: str, *parts: str) -> str:
    """`base` and `parts` joined by hyphens, shortened at the base to SageMaker's limit."""
    suffix = "-".join(parts)
    return f"{base[: _NAME_LIMIT - len(suffix) - 1].rstrip('-')}-{suffix}"


def _endpoint_name(promotion: Mapping[str, Any], endpoint_name: str) -> str:
    # Clients call the Prod endpoint by its name; a Test endpoint lives for one run.
    return endpoint_name if promotion["stage"] == "Prod" else _name_of_run(promotion, endpoint_name)


def _name_of_run(promotion: Mapping[str, Any], endpoint_name: str) -> str:
    """No run's name is another's, and it says what the run was for: test, prod or drill."""
    drill = promotion.get("workflow") == "drill_rollback"
    what = "drill" if drill else promotion["stage"].lower()
    return name(endpoint_name, what, promotion["claim_id"][:10])
