"""Model package groups and their resource policies."""

from __future__ import annotations

import json

from ministack.core.iam_evaluator import validate_policy_document

from local.sagemaker import lookup, tags
from local.sagemaker.errors import conflict, invalid
from local.sagemaker.requests import Request, pick, public
from local.sagemaker.store import Record, now

_SUMMARY = (
    "ModelPackageGroupName",
    "ModelPackageGroupArn",
    "ModelPackageGroupDescription",
    "CreationTime",
    "ModelPackageGroupStatus",
    "ManagedConfiguration",
)


def create(request: Request) -> Record:
    """CreateModelPackageGroup."""
    body, mine = request.body, request.mine
    name = body["ModelPackageGroupName"]
    arn = mine.arn("model-package-group", name)
    if name in mine.groups:
        raise invalid(f"Model Package Group already exists: {arn}")
    tags.put(mine, arn, body.get("Tags"))
    mine.groups[name] = {
        "ModelPackageGroupName": name,
        "ModelPackageGroupArn": arn,
        **pick(body, ("ModelPackageGroupDescription", "ManagedConfiguration")),
        "CreationTime": now(),
        "CreatedBy": request.caller.user_context(),
        "ModelPackageGroupStatus": "Completed",
        "next": 1,
    }
    return {"ModelPackageGroupArn": arn}


def describe(request: Request) -> Record:
    """DescribeModelPackageGroup."""
    return public(lookup.group(request, request.body["ModelPackageGroupName"])[1])


def list_all(request: Request) -> Record:
    """ListModelPackageGroups of the caller's account."""
    if request.body.get("CrossAccountFilterOption") == "CrossAccount":
        return request.page([], "ModelPackageGroupSummaryList")
    found = request.filtered(request.mine.groups.values(), "ModelPackageGroupName")
    ordered = request.sorted(found, {"Name": "ModelPackageGroupName"})
    return request.page(
        [pick(group, _SUMMARY) for group in ordered], "ModelPackageGroupSummaryList"
    )


def delete(request: Request) -> Record:
    """DeleteModelPackageGroup; ConflictException while it has versions."""
    owner, group = lookup.group(request, request.body["ModelPackageGroupName"])
    name, arn = group["ModelPackageGroupName"], group["ModelPackageGroupArn"]
    versions = [p for p in owner.packages.values() if p.get("ModelPackageGroupName") == name]
    if versions:
        raise conflict(
            f"Model Package Group {arn} cannot be deleted because it still contains "
            f"{len(versions)} Model Package{'s' if len(versions) > 1 else ''}"
        )
    del owner.groups[name]
    owner.tags.pop(arn, None)
    return {}


def put_policy(request: Request) -> Record:
    """PutModelPackageGroupPolicy; ValidationException for what is no policy."""
    group = lookup.group(request, request.body["ModelPackageGroupName"])[1]
    policy = request.body["ResourcePolicy"]
    problem = _problem(policy)
    if problem:
        raise invalid(f"ResourcePolicy is not a valid policy: {problem}")
    group["policy"] = policy
    return {"ModelPackageGroupArn": group["ModelPackageGroupArn"]}


def get_policy(request: Request) -> Record:
    """GetModelPackageGroupPolicy."""
    return {"ResourcePolicy": _with_policy(request)["policy"]}


def delete_policy(request: Request) -> Record:
    """DeleteModelPackageGroupPolicy."""
    del _with_policy(request)["policy"]
    return {}


def _with_policy(request: Request) -> Record:
    group = lookup.group(request, request.body["ModelPackageGroupName"])[1]
    if "policy" not in group:
        raise invalid(f"Cannot find resource policy for: {group['ModelPackageGroupArn']}")
    return group


def _problem(policy: str) -> str:
    """What is wrong with the document, or ""."""
    try:
        document = json.loads(policy)
    except ValueError as error:
        return f"it is not JSON: {error}"
    statements = document.get("Statement") if isinstance(document, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    if not statements or not isinstance(statements, list):
        return "it has no Statement"
    for statement in statements:
        if not isinstance(statement, dict) or "Principal" not in statement:
            return "every statement of a resource policy needs a Principal"
    return validate_policy_document(document) or ""
