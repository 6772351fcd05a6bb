"""What IAM must know of a request: the resource it is about and SageMaker's condition keys.

The gateway asks before the service is called; group policies are looked up here too.
"""

from __future__ import annotations

from typing import Any

from local.sagemaker.store import STORE, arn_of, artifact_name

_BY_ARN = ("ModelPackageArn", "ResourceArn", "SourceArn", "ArtifactArn")
# The operation's name says which of the members that it takes is the resource.
_KINDS = (
    ("EndpointConfig", "EndpointConfigName", "endpoint-config"),
    ("Endpoint", "EndpointName", "endpoint"),
    ("ModelPackageGroup", "ModelPackageGroupName", "model-package-group"),
    ("ModelPackage", "ModelPackageName", "model-package"),
    ("ModelPackage", "ModelPackageGroupName", "model-package-group"),
    ("Model", "ModelName", "model"),
    ("Action", "ActionName", "action"),
    ("Context", "ContextName", "context"),
)


def resource_arn(operation: str, request: dict[str, Any], account: str, region: str) -> str:
    """The ARN that a request is about, "*" if it is about none (most listings)."""
    for member in _BY_ARN:
        if request.get(member):
            return str(request[member])
    for word, member, kind in _KINDS:
        name = request.get(member)
        if word not in operation or not isinstance(name, str) or not name:
            continue
        arn = name if name.startswith("arn:") else arn_of(account, region, kind, name)
        return _shared_versions(arn, account) if operation == "ListModelPackages" else arn
    if operation == "CreateArtifact" and isinstance(request.get("Source"), dict):
        return arn_of(account, region, "artifact", artifact_name(request["Source"]))
    return "*"


def condition_keys(operation: str, request: dict[str, Any]) -> dict[str, str]:
    """SageMaker's condition keys that the request sets; a key that it omits is absent."""
    if operation not in ("CreateModelPackage", "UpdateModelPackage"):
        return {}
    life_cycle = request.get("ModelLifeCycle")
    life_cycle = life_cycle if isinstance(life_cycle, dict) else {}
    keys = {
        "sagemaker:ModelLifeCycle:stage": life_cycle.get("Stage"),
        "sagemaker:ModelLifeCycle:stageStatus": life_cycle.get("StageStatus"),
        "sagemaker:ModelApprovalStatus": request.get("ModelApprovalStatus"),
    }
    return {key: str(value) for key, value in keys.items() if value}


def package_group_policy_for_arn(arn: str) -> tuple[str | None, str] | None:
    """(policy, owner account) for an ARN of SageMaker, None for anything else.

    The policy is that of the group which the ARN's group or version belongs to. Every other kind
    has none, so nobody reaches it from another account.
    """
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "sagemaker" or not parts[4]:
        return None
    kind, _, name = parts[5].partition("/")
    if kind not in ("model-package", "model-package-group"):
        return None, parts[4]
    with STORE.lock:
        group = STORE.of(parts[4], parts[3]).groups.get(name.split("/")[0])
        return (group.get("policy") if group else None), parts[4]


def _shared_versions(arn: str, account: str) -> str:
    """AWS documents that listing another account's group is allowed on its versions."""
    if arn.split(":")[4] == account:
        return arn
    return arn.replace(":model-package-group/", ":model-package/") + "/*"
