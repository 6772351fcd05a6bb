"""Endpoints: create, update, rescale, describe, delete. What takes time is in `deployments`."""

from __future__ import annotations

import copy

from local.sagemaker import (
    alarms,
    deployments,
    endpoint_configs,
    models,
    scaling,
    tags,
    tracking,
    traffic,
)
from local.sagemaker.deployments import Deployment
from local.sagemaker.errors import invalid
from local.sagemaker.hosting import Plan
from local.sagemaker.requests import Request, pick, public
from local.sagemaker.store import Account, Record, now

_SUMMARY = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
_SORTS = {"Name": "EndpointName", "Status": "EndpointStatus"}


def create(request: Request) -> Record:
    """CreateEndpoint: Creating, later InService or Failed."""
    body, mine = request.body, request.mine
    name = body["EndpointName"]
    arn = mine.arn("endpoint", name)
    if name.lower() in mine.endpoints:
        raise invalid(f'Cannot create already existing endpoint "{arn}".')
    config = endpoint_configs.find(mine, body["EndpointConfigName"])
    plans = _plans(mine, config)
    _check_deployment(mine, body.get("DeploymentConfig"), _variants(mine, config), plans)
    tags.put(mine, arn, body.get("Tags"))
    created = now()
    endpoint = {
        "EndpointName": name,
        "EndpointArn": arn,
        "EndpointConfigName": config["EndpointConfigName"],
        "ProductionVariants": _variants(mine, config),
        "CreationTime": created,
        "LastModifiedTime": created,
        "replicas": {},
        "config": config,
    }
    for variant in endpoint["ProductionVariants"]:
        variant.update(CurrentWeight=0.0, CurrentInstanceCount=0)
    mine.endpoints[name.lower()] = endpoint
    tracking.deployed(mine, endpoint, _hosted(mine, config), request.caller.user_context())
    _deployment(mine, endpoint, config, plans, body.get("DeploymentConfig")).begin("Creating")
    return {"EndpointArn": arn}


def update(request: Request) -> Record:
    """UpdateEndpoint: Updating, later InService with the new config or, silently, the old one."""
    body, mine = request.body, request.mine
    endpoint = find(mine, body["EndpointName"])
    _require_in_service(endpoint)
    config = endpoint_configs.find(mine, body["EndpointConfigName"])
    plans = _plans(mine, config)
    deployment_config = body.get("DeploymentConfig")
    if body.get("RetainDeploymentConfig"):
        if deployment_config:
            raise invalid("Provide either DeploymentConfig or RetainDeploymentConfig")
        deployment_config = endpoint.get("LastDeploymentConfig")
    deployment = _deployment(mine, endpoint, config, plans, deployment_config)
    if body.get("RetainAllVariantProperties"):
        excluded = {
            entry["VariantPropertyType"]
            for entry in body.get("ExcludeRetainedVariantProperties", [])
        }
        _retain(endpoint, [*deployment.variants, *deployment.shadows], excluded)
    _require_unscaled(mine, endpoint, config)
    if deployment_config:
        traffic.check_names(endpoint["ProductionVariants"], deployment.variants)
        _check_deployment(mine, deployment_config, deployment.variants, plans)
    tracking.deployed(mine, endpoint, _hosted(mine, config), request.caller.user_context())
    deployment.begin("Updating")
    return {"EndpointArn": endpoint["EndpointArn"]}


def update_weights(request: Request) -> Record:
    """UpdateEndpointWeightsAndCapacities."""
    endpoint = find(request.mine, request.body["EndpointName"])
    _require_in_service(endpoint)
    variants = _served(endpoint)
    desired = request.body["DesiredWeightsAndCapacities"]
    for change in desired:
        if change["VariantName"] not in variants:
            raise invalid(
                f"Variant {change['VariantName']} does not exist on endpoint "
                f"{endpoint['EndpointArn']}"
            )
    for change in desired:
        variant = variants[change["VariantName"]]
        variant.update(pick(change, ("DesiredWeight", "DesiredInstanceCount")))
    deployments.rescale(request.mine, endpoint)
    return {"EndpointArn": endpoint["EndpointArn"]}


def describe(request: Request) -> Record:
    """DescribeEndpoint."""
    endpoint = find(request.mine, request.body["EndpointName"])
    config = endpoint["config"]
    answer = public(endpoint)
    answer.update(pick(config, ("AsyncInferenceConfig", "ExplainerConfig", "MetricsConfig")))
    capture = config.get("DataCaptureConfig")
    if capture:
        enabled = capture.get("EnableCapture", True)
        answer["DataCaptureConfig"] = {
            "EnableCapture": enabled,
            "CaptureStatus": "Started" if enabled else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    return answer


def list_all(request: Request) -> Record:
    """ListEndpoints."""
    status = request.body.get("StatusEquals")
    found = [
        endpoint
        for endpoint in request.filtered(request.mine.endpoints.values(), "EndpointName")
        if status in (None, endpoint["EndpointStatus"])
    ]
    ordered = request.sorted(found, _SORTS, descending=True)
    return request.page([pick(endpoint, _SUMMARY) for endpoint in ordered], "Endpoints")


def delete(request: Request) -> Record:
    """DeleteEndpoint: Deleting, later gone."""
    endpoint = find(request.mine, request.body["EndpointName"])
    if endpoint["EndpointStatus"] not in ("InService", "Failed"):
        raise invalid(f'Cannot update in-progress endpoint "{endpoint["EndpointArn"]}".')
    deployments.remove(request.mine, endpoint)
    return {}


def find(owner: Account, name: str) -> Record:
    """The endpoint; ValidationException if there is none."""
    endpoint = owner.endpoints.get(name.lower())
    if endpoint is None:
        raise invalid(f'Could not find endpoint "{owner.arn("endpoint", name)}".')
    return endpoint


def _require_in_service(endpoint: Record) -> None:
    status, arn = endpoint["EndpointStatus"], endpoint["EndpointArn"]
    if status == "Failed":
        raise invalid(f'Cannot update failed endpoint "{arn}"; it can only be deleted.')
    if status != "InService":
        raise invalid(f'Cannot update in-progress endpoint "{arn}".')


def _deployment(
    owner: Account,
    endpoint: Record,
    config: Record,
    plans: list[Plan],
    deployment_config: Record | None,
) -> Deployment:
    return Deployment(
        owner=owner,
        endpoint=endpoint,
        config=config,
        variants=_variants(owner, config),
        shadows=_variants(owner, config, "ShadowProductionVariants"),
        plans=plans,
        deployment_config=copy.deepcopy(deployment_config),
    )


def _plans(owner: Account, config: Record) -> list[Plan]:
    """What each variant serves, as the models are now; ValidationException if one is gone."""
    plans = []
    for variant in endpoint_configs.all_variants(config):
        model = models.find(owner, variant["ModelName"])
        role = model.get("ExecutionRoleArn", "")
        plans.append(Plan(variant["VariantName"], model["hosted"], role, owner.region))
    return plans


def _hosted(owner: Account, config: Record) -> list[tuple[Record, Record]]:
    """(container as given, as resolved) of every model of a config."""
    return [
        container
        for variant in endpoint_configs.all_variants(config)
        for container in tracking.containers(models.find(owner, variant["ModelName"]))
    ]


def _variants(owner: Account, config: Record, member: str = "ProductionVariants") -> list[Record]:
    """The variants of a config as DescribeEndpoint shows them once in service."""
    return [_variant(owner, variant) for variant in config.get(member, [])]


def _variant(owner: Account, variant: Record) -> Record:
    weight = float(variant["InitialVariantWeight"])
    summary: Record = {
        "VariantName": variant["VariantName"],
        "DeployedImages": [
            _deployed_image(container)
            for container in models.find(owner, variant["ModelName"])["hosted"]
        ],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
        **pick(variant, ("ManagedInstanceScaling", "RoutingConfig")),
    }
    if "ServerlessConfig" in variant:
        serverless = variant["ServerlessConfig"]
        return {
            **summary,
            "CurrentServerlessConfig": serverless,
            "DesiredServerlessConfig": serverless,
        }
    count = variant["InitialInstanceCount"]
    return {
        **summary,
        "CurrentInstanceCount": count,
        "DesiredInstanceCount": count,
    }


def _deployed_image(container: Record) -> Record:
    image, digest = container.get("Image", ""), container.get("ImageDigest")
    repository = image.partition("@")[0]
    head, slash, tail = repository.rpartition("/")
    resolved = f"{head}{slash}{tail.partition(':')[0]}@{digest}" if digest else image
    return {"SpecifiedImage": image, "ResolvedImage": resolved, "ResolutionTime": now()}


def _require_unscaled(owner: Account, endpoint: Record, config: Record) -> None:
    """ValidationException if a variant that is scaled would go, or get another instance type."""
    types = {variant["VariantName"]: variant.get("InstanceType") for variant in _of(config)}
    scaled = [
        variant["VariantName"]
        for variant in _of(endpoint["config"])
        if scaling.is_registered(owner, endpoint["EndpointName"], variant["VariantName"])
        and types.get(variant["VariantName"]) != variant.get("InstanceType")
    ]
    if scaled:
        raise invalid(
            f'The variant(s) "[{", ".join(scaled)}]" must be deregistered as scalable targets with '
            "AWS Auto Scaling before they can be removed or have their instance type updated."
        )


def _of(config: Record) -> list[Record]:
    return endpoint_configs.all_variants(config)


def _served(endpoint: Record) -> dict[str, Record]:
    """The variants that serve an endpoint now, with its shadow, by name."""
    both = (*endpoint["ProductionVariants"], *endpoint.get("ShadowProductionVariants", []))
    return {variant["VariantName"]: variant for variant in both}


def _retain(endpoint: Record, variants: list[Record], excluded: set[str]) -> None:
    """Keep what autoscaling or an operator has set since, for variants of the same name."""
    served = _served(endpoint)
    for variant in variants:
        old = served.get(variant["VariantName"], {})
        for desired, current in (
            ("DesiredWeight", "CurrentWeight"),
            ("DesiredInstanceCount", "CurrentInstanceCount"),
        ):
            if desired in old and desired in variant and desired not in excluded:
                variant[desired] = variant[current] = old[desired]


def _check_deployment(
    owner: Account, config: Record | None, variants: list[Record], plans: list[Plan]
) -> None:
    """ValidationException for a DeploymentConfig that SageMaker could not carry out."""
    traffic.check(config, variants)
    roles = {plan.role_arn for plan in plans if plan.role_arn}
    alarms.require(owner, traffic.alarm_names(config), roles)
