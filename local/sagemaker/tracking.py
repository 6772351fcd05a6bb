"""What SageMaker tracks by itself: the lineage of registered versions and of deployments.

AWS documents which entities there are ("SageMaker-created tracking entities"), not their names,
nor the direction and type of each association: those are inferred (local/README.md).
"""

from __future__ import annotations

from typing import Any

from local.sagemaker.requests import pick
from local.sagemaker.store import Account, Record, artifact_name, now


def registered(owner: Account, package: Record) -> None:
    """The entities of a new version: its group, images, model data, itself, its creation."""
    made_by, arn = package["CreatedBy"], package["ModelPackageArn"]
    version = _artifact(owner, made_by, "ModelPackage", arn)
    for container in (package.get("InferenceSpecification") or {}).get("Containers", []):
        _consists_of(owner, made_by, container, version)
    group = package.get("ModelPackageGroupName")
    if group is None:
        return
    _associate(owner, made_by, version, _group(owner, made_by, group), "AssociatedWith")
    name = f"{group}-{package['ModelPackageVersion']}-aws-model-package"
    creation = _action(owner, made_by, name, "ModelPackageCreation", arn)
    _associate(owner, made_by, creation, version, "Produced")


def deployed(
    owner: Account, endpoint: Record, hosted: list[tuple[Record, Record]], made_by: Record
) -> None:
    """The entities of a deployment: what was deployed, the deployment, the endpoint.

    `hosted` is (container as the model was created with, container as resolved) of every model.
    """
    arn, name = endpoint["EndpointArn"], endpoint["EndpointName"]
    context = _context(owner, made_by, f"{name}-aws-endpoint", "Endpoint", arn)
    number = endpoint["deployments"] = endpoint.get("deployments", 0) + 1
    moment = int(endpoint["CreationTime"] * 1000)
    deployment = _action(
        owner, made_by, f"{name}-{moment}-{number}-aws-deployment", "ModelDeployment", arn
    )
    for given, resolved in hosted:
        if given.get("ModelPackageName"):
            package = _artifact(owner, made_by, "ModelPackage", given["ModelPackageName"])
            _associate(owner, made_by, package, deployment, "ContributedTo")
        _consists_of(owner, made_by, resolved, deployment)
    _associate(owner, made_by, deployment, context, "AssociatedWith")


def entity(kind: str, arn: str, made_by: Record, members: Record) -> Record:
    """A lineage entity as the store keeps it."""
    created = now()
    return {
        **members,
        f"{kind}Arn": arn,
        "CreationTime": created,
        "CreatedBy": made_by,
        "LastModifiedTime": created,
        "LastModifiedBy": made_by,
        "kind": kind,
    }


def artifact_of(owner: Account, uri: str) -> str | None:
    """The ARN of the one artifact that this URI has, None if it has none."""
    for arn, known in owner.lineage.items():
        if known["kind"] == "Artifact" and known["Source"]["SourceUri"] == uri:
            return arn
    return None


def _consists_of(owner: Account, made_by: Record, container: Record, whole: str) -> None:
    data = container.get("ModelDataUrl") or _data_source(container)
    for kind, uri in (("Image", container.get("Image")), ("Model", data)):
        if uri:
            part = _artifact(owner, made_by, kind, uri)
            _associate(owner, made_by, part, whole, "ContributedTo")


def _data_source(container: Record) -> Any:
    return ((container.get("ModelDataSource") or {}).get("S3DataSource") or {}).get("S3Uri")


def _artifact(owner: Account, made_by: Record, kind: str, uri: str) -> str:
    known = artifact_of(owner, uri)
    if known:
        return known
    source = {"SourceUri": uri}
    arn = owner.arn("artifact", artifact_name(source))
    return _put(owner, "Artifact", arn, made_by, {"ArtifactType": kind, "Source": source})


def _action(owner: Account, made_by: Record, name: str, kind: str, uri: str) -> str:
    members = {
        "ActionName": name,
        "ActionType": kind,
        "Source": {"SourceUri": uri, "SourceType": "ARN"},
        "Status": "Completed",
    }
    return _put(owner, "Action", owner.arn("action", name), made_by, members)


def _group(owner: Account, made_by: Record, group: str) -> str:
    arn = owner.groups[group]["ModelPackageGroupArn"]
    return _context(owner, made_by, f"{group}-aws-model-group", "ModelGroup", arn)


def _context(owner: Account, made_by: Record, name: str, kind: str, uri: str) -> str:
    members = {
        "ContextName": name,
        "ContextType": kind,
        "Source": {"SourceUri": uri, "SourceType": "ARN"},
    }
    return _put(owner, "Context", owner.arn("context", name), made_by, members)


def _put(owner: Account, kind: str, arn: str, made_by: Record, members: Record) -> str:
    """What is there already stays: SageMaker reuses entities."""
    if arn not in owner.lineage:
        owner.lineage[arn] = entity(kind, arn, made_by, members)
        owner.tags[arn] = {}
    return arn


def _associate(owner: Account, made_by: Record, source: str, destination: str, kind: str) -> None:
    owner.associations.setdefault(
        (source, destination),
        {
            "SourceArn": source,
            "DestinationArn": destination,
            "AssociationType": kind,
            "CreationTime": now(),
            "CreatedBy": made_by,
        },
    )


def containers(model: Record) -> list[tuple[Record, Record]]:
    """(container as given, as resolved) of a model."""
    given = model.get("Containers") or [model["PrimaryContainer"]]
    wanted = ("ModelPackageName",)
    return [
        (pick(one, wanted), resolved) for one, resolved in zip(given, model["hosted"], strict=True)
    ]
