"""Models: containers, spelled out or named by an approved model package."""

from __future__ import annotations

import copy

from local.sagemaker import registry, tags
from local.sagemaker.access import require_pass_role
from local.sagemaker.errors import invalid
from local.sagemaker.requests import Request, pick, public
from local.sagemaker.roles import require_trust
from local.sagemaker.store import Account, Record, now

_SUMMARY = ("ModelName", "ModelArn", "CreationTime")
_SETTINGS = ("InferenceExecutionConfig", "ExecutionRoleArn", "VpcConfig")


def create(request: Request) -> Record:
    """CreateModel.

    ValidationException for a package that is not Approved; AccessDeniedException for a foreign
    one that is not shared, and for a role that the caller may not pass.
    """
    body, mine = request.body, request.mine
    name = body["ModelName"]
    arn = mine.arn("model", name)
    if name.lower() in mine.models:
        raise invalid(f'Cannot create already existing model "{arn}".')
    primary, several = body.get("PrimaryContainer"), body.get("Containers")
    if bool(primary) == bool(several):
        raise invalid("Provide either PrimaryContainer or Containers, and not both")
    role = body.get("ExecutionRoleArn")
    if role:
        require_pass_role(request, role)
        require_trust(role)
    hosted = [_hosted(request, container) for container in several or [primary]]
    tags.put(mine, arn, body.get("Tags"))
    mine.models[name.lower()] = {
        "ModelName": name,
        "ModelArn": arn,
        **copy.deepcopy(pick(body, ("PrimaryContainer", "Containers", *_SETTINGS))),
        "CreationTime": now(),
        "EnableNetworkIsolation": body.get("EnableNetworkIsolation", False),
        # As resolved now: a later change of the package does not change the model.
        "hosted": hosted,
    }
    return {"ModelArn": arn}


def describe(request: Request) -> Record:
    """DescribeModel."""
    return public(find(request.mine, request.body["ModelName"]))


def list_all(request: Request) -> Record:
    """ListModels."""
    found = request.filtered(request.mine.models.values(), "ModelName")
    ordered = request.sorted(found, {"Name": "ModelName"}, descending=True)
    return request.page([pick(model, _SUMMARY) for model in ordered], "Models")


def delete(request: Request) -> Record:
    """DeleteModel; endpoints that serve it go on."""
    model = find(request.mine, request.body["ModelName"])
    del request.mine.models[model["ModelName"].lower()]
    request.mine.tags.pop(model["ModelArn"], None)
    return {}


def find(owner: Account, name: str) -> Record:
    """The model; ValidationException if there is none."""
    model = owner.models.get(name.lower())
    if model is None:
        raise invalid(f'Could not find model "{owner.arn("model", name)}".')
    return model


def _hosted(request: Request, container: Record) -> Record:
    """What runs for one container definition: {Image, ModelDataUrl?, ModelDataSource?, ...}."""
    name = container.get("ModelPackageName")
    if not name:
        if not container.get("Image"):
            raise invalid("A container needs an Image or a ModelPackageName")
        return copy.deepcopy(container)
    if container.get("Image") or container.get("ModelDataUrl"):
        raise invalid("A container with a ModelPackageName has no Image and no ModelDataUrl")
    package = registry.deployable(request, name)
    specification = _specification(package, container.get("InferenceSpecificationName"))
    containers = (specification or {}).get("Containers") or []
    if len(containers) != 1:
        raise invalid(
            f"Model Package {package['ModelPackageArn']} has {len(containers)} containers; "
            "a container definition can refer to one"
        )
    resolved: Record = copy.deepcopy(containers[0])
    environment = {**resolved.get("Environment", {}), **container.get("Environment", {})}
    return {**resolved, "Environment": environment}


def _specification(package: Record, name: str | None) -> Record | None:
    if not name:
        specification: Record | None = package.get("InferenceSpecification")
        return specification
    for additional in package.get("AdditionalInferenceSpecifications", []):
        if additional["Name"] == name:
            found: Record = additional
            return found
    raise invalid(f"Model Package {package['ModelPackageArn']} has no specification {name!r}")
