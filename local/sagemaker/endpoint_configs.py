"""Endpoint configs: which models take what share of the traffic. They never change."""

from __future__ import annotations

import copy

from local.sagemaker import models, tags
from local.sagemaker.access import require_pass_role
from local.sagemaker.errors import invalid
from local.sagemaker.requests import Request, pick, public
from local.sagemaker.store import Account, Record, now

_SUMMARY = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
_GIVEN = (
    "ProductionVariants",
    "ShadowProductionVariants",
    "DataCaptureConfig",
    "KmsKeyId",
    "AsyncInferenceConfig",
    "ExplainerConfig",
    "ExecutionRoleArn",
    "VpcConfig",
    "EnableNetworkIsolation",
    "MetricsConfig",
)


def create(request: Request) -> Record:
    """CreateEndpointConfig."""
    body, mine = request.body, request.mine
    name = body["EndpointConfigName"]
    arn = mine.arn("endpoint-config", name)
    if name.lower() in mine.configs:
        raise invalid(f'Cannot create already existing endpoint configuration "{arn}".')
    shadows = body.get("ShadowProductionVariants", [])
    if shadows and len(body["ProductionVariants"]) + len(shadows) != 2:
        raise invalid(
            "With ShadowProductionVariants there can be only one variant for ProductionVariants "
            "and one for ShadowProductionVariants"
        )
    _check(mine, [*body["ProductionVariants"], *shadows])
    if body.get("ExecutionRoleArn"):
        require_pass_role(request, body["ExecutionRoleArn"])
    tags.put(mine, arn, body.get("Tags"))
    config = {
        "EndpointConfigName": name,
        "EndpointConfigArn": arn,
        "CreationTime": now(),
        **copy.deepcopy(pick(body, _GIVEN)),
    }
    for variant in all_variants(config):
        variant.setdefault("InitialVariantWeight", 1.0)
    mine.configs[name.lower()] = config
    return {"EndpointConfigArn": arn}


def describe(request: Request) -> Record:
    """DescribeEndpointConfig."""
    return public(find(request.mine, request.body["EndpointConfigName"]))


def list_all(request: Request) -> Record:
    """ListEndpointConfigs."""
    found = request.filtered(request.mine.configs.values(), "EndpointConfigName")
    ordered = request.sorted(found, {"Name": "EndpointConfigName"}, descending=True)
    return request.page([pick(config, _SUMMARY) for config in ordered], "EndpointConfigs")


def delete(request: Request) -> Record:
    """DeleteEndpointConfig; SageMaker does not ask whether an endpoint uses it."""
    config = find(request.mine, request.body["EndpointConfigName"])
    del request.mine.configs[config["EndpointConfigName"].lower()]
    request.mine.tags.pop(config["EndpointConfigArn"], None)
    return {}


def find(owner: Account, name: str) -> Record:
    """The config; ValidationException if there is none."""
    config = owner.configs.get(name.lower())
    if config is None:
        arn = owner.arn("endpoint-config", name)
        raise invalid(f'Could not find endpoint configuration "{arn}".')
    return config


def all_variants(config: Record) -> list[Record]:
    """The variants that serve a config, the shadow at the end."""
    return [*config["ProductionVariants"], *config.get("ShadowProductionVariants", [])]


def _check(owner: Account, variants: list[Record]) -> None:
    names = [variant["VariantName"] for variant in variants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise invalid(f"Variant names must be unique; given twice: {', '.join(twice)}")
    for variant in variants:
        name = variant["VariantName"]
        if not variant.get("ModelName"):
            raise invalid(f"Variant {name} names no model; inference components are not served")
        models.find(owner, variant["ModelName"])
        serverless = "ServerlessConfig" in variant
        if serverless == bool(variant.get("InstanceType")):
            raise invalid(f"Variant {name} needs either an InstanceType or a ServerlessConfig")
        if not serverless and "InitialInstanceCount" not in variant:
            raise invalid(f"Variant {name} needs an InitialInstanceCount")
