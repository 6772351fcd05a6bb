"""Model packages, mutable exactly where AWS's are (UpdateModelPackage names nothing else)."""

from __future__ import annotations

import copy
from typing import Any

from local.sagemaker import events, lineage, lookup, tags, tracking
from local.sagemaker.errors import ServiceError, conflict, invalid
from local.sagemaker.outbox import OUTBOX
from local.sagemaker.requests import Request, pick, public
from local.sagemaker.store import Account, Record, now

_GIVEN_AT_CREATION = (
    "ModelPackageDescription",
    "ModelPackageRegistrationType",
    "InferenceSpecification",
    "ValidationSpecification",
    "SourceAlgorithmSpecification",
    "MetadataProperties",
    "ModelMetrics",
    "DriftCheckBaselines",
    "Domain",
    "Task",
    "SamplePayloadUrl",
    "AdditionalInferenceSpecifications",
    "SkipModelValidation",
    "SourceUri",
    "SecurityConfig",
    "ModelCard",
    "ModelLifeCycle",
    "CustomerMetadataProperties",
    "ManagedStorageType",
)
# Member of UpdateModelPackage -> how UpdatedModelPackageFields spells it.
_REPLACED = {
    "ModelApprovalStatus": "ModelApprovalStatus",
    "ApprovalDescription": "ApprovalDescription",
    "ModelPackageRegistrationType": "ModelPackageRegistrationType",
    "InferenceSpecification": "InferenceSpecification",
    "SourceUri": "sourceUri",
    "ModelLifeCycle": "ModelLifeCycle",
}
_SUMMARY = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "ModelPackageStatus",
    "ModelApprovalStatus",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
)
_BATCH_SUMMARY = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelApprovalStatus",
    "ModelPackageRegistrationType",
)
_METADATA_LIMIT = 50
_ADDITIONAL_LIMIT = 15


def create(request: Request) -> Record:
    """CreateModelPackage: the next version of a group (own or, by ARN, another account's)."""
    body = request.body
    if bool(body.get("ModelPackageName")) == bool(body.get("ModelPackageGroupName")):
        raise invalid(
            "Provide either ModelPackageGroupName, for a versioned model package, or "
            "ModelPackageName, for an unversioned one"
        )
    _check_specification(body)
    if body.get("ModelPackageName"):
        return _create_unversioned(request)
    if body.get("Tags"):
        raise invalid(
            "You cannot supply a Tags argument with ModelPackageGroupName: versions of a model "
            "package group are not tagged; tag the group"
        )
    owner, group = lookup.group(request, body["ModelPackageGroupName"])
    known = _already_created(owner, group, body)
    if known:
        return {"ModelPackageArn": known["ModelPackageArn"]}
    version = group["next"]
    arn = owner.arn("model-package", f"{group['ModelPackageGroupName']}/{version}")
    package = {
        "ModelPackageGroupName": group["ModelPackageGroupName"],
        "ModelPackageVersion": version,
        **_new(request, arn),
        "ModelApprovalStatus": body.get("ModelApprovalStatus", "PendingManualApproval"),
        "creation": body,
    }
    group["next"] = version + 1
    return _registered(owner, package)


def describe(request: Request) -> Record:
    """DescribeModelPackage."""
    package = public(lookup.package(request, request.body["ModelPackageName"])[1])
    if request.body.get("IncludedData") == "MetadataOnly":
        package.pop("ModelCard", None)
    return package


def update(request: Request) -> Record:
    """UpdateModelPackage. All of it or nothing: what is wrong is found before anything changes."""
    owner, package = lookup.package(request, request.body["ModelPackageArn"])
    body = request.body
    token = body.get("ClientToken")
    if token and package.get("updates", {}).get(token):
        if package["updates"][token] != body:
            raise conflict(f"ClientToken {token} was used for another update of this ModelPackage")
        return {"ModelPackageArn": package["ModelPackageArn"]}
    changes = copy.deepcopy(_changes(package, body))
    updated = [_REPLACED.get(member, member) for member in changes]
    if not updated:
        raise invalid("UpdateModelPackage names nothing to update")
    package.update(changes)
    package["LastModifiedTime"] = now()
    package["LastModifiedBy"] = request.caller.user_context()
    if token:
        package.setdefault("updates", {})[token] = body
    if "ModelLifeCycle" in changes:
        lineage.record_life_cycle(owner, package)
    _emit(owner, package, updated)
    return {"ModelPackageArn": package["ModelPackageArn"]}


def delete(request: Request) -> Record:
    """DeleteModelPackage."""
    owner, package = lookup.package(request, request.body["ModelPackageName"])
    del owner.packages[package["ModelPackageArn"]]
    owner.tags.pop(package["ModelPackageArn"], None)
    return {}


def list_all(request: Request) -> Record:
    """ListModelPackages: a group's versions, or what ModelPackageType says (Unversioned)."""
    body = request.body
    owner, named = request.mine, body.get("ModelPackageGroupName")
    if named:
        owner, group = lookup.group(request, named)
        named = group["ModelPackageGroupName"]
    kind = body.get("ModelPackageType") or ("Versioned" if named else "Unversioned")
    found = [
        package
        for package in owner.packages.values()
        if kind in ("Both", _kind(package))
        and named in (None, package.get("ModelPackageGroupName"))
        and body.get("ModelApprovalStatus") in (None, package.get("ModelApprovalStatus"))
    ]
    found = request.filtered(found, "ModelPackageArn")
    ordered = request.sorted(found, {"Name": "ModelPackageArn"})
    return request.page([pick(package, _SUMMARY) for package in ordered], "ModelPackageSummaryList")


def batch_describe(request: Request) -> Record:
    """BatchDescribeModelPackage: summaries, and an error for each that cannot be described."""
    summaries, errors = {}, {}
    for arn in request.body["ModelPackageArnList"]:
        try:
            package = lookup.package(request, arn)[1]
        except ServiceError as error:
            errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
        else:
            summaries[arn] = pick(package, _BATCH_SUMMARY)
    return {"ModelPackageSummaries": summaries, "BatchDescribeModelPackageErrorMap": errors}


def deployable(request: Request, name: str) -> Record:
    """The version that CreateModel names.

    ValidationException unless it is Approved; AccessDeniedException unless its group's policy
    lets another account's caller create models from it.
    """
    package = lookup.package(request, name, "sagemaker:CreateModel")[1]
    arn = package["ModelPackageArn"]
    status = package.get("ModelApprovalStatus", "Approved")  # unversioned ones are not approved
    if status != "Approved":
        raise invalid(
            f"Model Package {arn} cannot be used to create a model: its ModelApprovalStatus is "
            f"{status}; it must be Approved"
        )
    return package


def _check_specification(body: Record) -> None:
    if body.get("InferenceSpecification") and body.get("SourceAlgorithmSpecification"):
        raise invalid(
            "Provide either InferenceSpecification or SourceAlgorithmSpecification, not both"
        )
    _check_metadata(body.get("CustomerMetadataProperties", {}))
    _check_additional(body.get("AdditionalInferenceSpecifications", []))


def _create_unversioned(request: Request) -> Record:
    body, mine = request.body, request.mine
    arn = mine.arn("model-package", body["ModelPackageName"])
    if arn in mine.packages:
        raise invalid(f"ModelPackage already exists: {arn}")
    if body.get("ModelApprovalStatus"):
        raise invalid("ModelApprovalStatus is only for versioned model packages")
    tags.put(mine, arn, body.get("Tags"))
    return _registered(mine, {"ModelPackageName": body["ModelPackageName"], **_new(request, arn)})


def _already_created(owner: Account, group: Record, body: Record) -> Record | None:
    """The version that the same ClientToken made; ConflictException if it asked for another."""
    token = body.get("ClientToken")
    for package in owner.packages.values():
        creation = package.get("creation", {})
        same_group = package.get("ModelPackageGroupName") == group["ModelPackageGroupName"]
        if token and same_group and creation.get("ClientToken") == token:
            if creation != body:
                raise conflict(
                    f"ClientToken {token} was used to register {package['ModelPackageArn']} "
                    "with other parameters"
                )
            return package
    return None


def _new(request: Request, arn: str) -> Record:
    created, context = now(), request.caller.user_context()
    return {
        "ModelPackageArn": arn,
        "CreationTime": created,
        "CreatedBy": context,
        "LastModifiedTime": created,
        "LastModifiedBy": context,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CertifyForMarketplace": request.body.get("CertifyForMarketplace", False),
        **copy.deepcopy(pick(request.body, _GIVEN_AT_CREATION)),
    }


def _registered(owner: Account, package: Record) -> Record:
    owner.packages[package["ModelPackageArn"]] = package
    tracking.registered(owner, package)
    if "ModelLifeCycle" in package:
        lineage.record_life_cycle(owner, package)
    _emit(owner, package, [])
    return {"ModelPackageArn": package["ModelPackageArn"]}


def _emit(owner: Account, package: Record, updated: list[str]) -> None:
    OUTBOX.put(
        owner.account,
        owner.region,
        events.PACKAGE_CHANGE,
        events.package_state_change(package, updated),
        [package["ModelPackageArn"]],
    )


def _changes(package: Record, body: Record) -> Record:
    """Member -> new value, in the order of UpdatedModelPackageFields."""
    changes = pick(body, _REPLACED)
    if "ModelPackageGroupName" not in package:
        for member in ("ModelApprovalStatus", "ModelLifeCycle"):
            if member in changes:
                raise invalid(f"{member} is only for versioned model packages")
    if {"CustomerMetadataProperties", "CustomerMetadataPropertiesToRemove"} & body.keys():
        changes["CustomerMetadataProperties"] = _merged_metadata(package, body)
    if body.get("AdditionalInferenceSpecificationsToAdd"):
        additional = [
            *package.get("AdditionalInferenceSpecifications", []),
            *body["AdditionalInferenceSpecificationsToAdd"],
        ]
        _check_additional(additional)
        changes["AdditionalInferenceSpecifications"] = additional
    if "ModelCard" in body:
        changes["ModelCard"] = {**package.get("ModelCard", {}), **body["ModelCard"]}
    return changes


def _merged_metadata(package: Record, body: Record) -> dict[str, str]:
    removed = body.get("CustomerMetadataPropertiesToRemove", [])
    added = body.get("CustomerMetadataProperties", {})
    both = sorted(set(removed) & set(added))
    if both:
        raise invalid(f"CustomerMetadataProperties both sets and removes {', '.join(both)}")
    kept = {
        key: value
        for key, value in package.get("CustomerMetadataProperties", {}).items()
        if key not in removed
    }
    metadata = {**kept, **added}
    _check_metadata(metadata)
    return metadata


def _check_metadata(metadata: dict[str, Any]) -> None:
    # The service model says 50 entries a call; this is 50 entries a version.
    if len(metadata) > _METADATA_LIMIT:
        raise invalid(
            f"CustomerMetadataProperties would have {len(metadata)} entries; "
            f"a model package can have at most {_METADATA_LIMIT}"
        )


def _check_additional(specifications: list[Record]) -> None:
    if len(specifications) > _ADDITIONAL_LIMIT:
        raise invalid(
            f"A model package can have at most {_ADDITIONAL_LIMIT} additional inference "
            f"specifications, not {len(specifications)}"
        )
    names = [specification["Name"] for specification in specifications]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise invalid(f"Additional inference specifications exist twice: {', '.join(twice)}")


def _kind(package: Record) -> str:
    return "Versioned" if "ModelPackageGroupName" in package else "Unversioned"
