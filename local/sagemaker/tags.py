"""Tags of groups, models, endpoints and the like; versions in a group have none of their own."""

from __future__ import annotations

from local.sagemaker import lookup
from local.sagemaker.errors import invalid
from local.sagemaker.requests import Request
from local.sagemaker.store import Account, Record

_LIMIT = 50


def add_tags(request: Request) -> Record:
    """AddTags: set these, leave the others."""
    tags = _of(request)
    merged = {**tags, **as_map(request.body["Tags"])}
    if len(merged) > _LIMIT:
        raise invalid(f"Too many tags: {len(merged)}; a resource can have at most {_LIMIT}")
    tags.update(merged)
    return {"Tags": as_list(tags)}


def list_tags(request: Request) -> Record:
    """ListTags."""
    return request.page(as_list(_of(request)), "Tags")


def delete_tags(request: Request) -> Record:
    """DeleteTags; keys that are not there are fine."""
    tags = _of(request)
    for key in request.body["TagKeys"]:
        tags.pop(key, None)
    return {}


def put(owner: Account, arn: str, tags: list[Record] | None) -> None:
    """The tags that a resource is created with; ValidationException for a key given twice."""
    given = tags or []
    if len(as_map(given)) != len(given):
        raise invalid("Duplicate tag keys found. Each tag key must be unique.")
    owner.tags[arn] = as_map(given)


def as_map(tags: list[Record]) -> dict[str, str]:
    """[{Key, Value}] as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in tags}


def as_list(tags: dict[str, str]) -> list[Record]:
    """A mapping as [{Key, Value}]."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _of(request: Request) -> dict[str, str]:
    arn = request.body["ResourceArn"]
    owner = lookup.own_account_of(request, arn)
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if kind == "model-package" and "/" in name:
        raise invalid(
            f"{arn} is a version of a model package group and cannot be tagged; tag the group"
        )
    if arn not in owner.tags:
        raise invalid(f"Could not find {kind} {arn!r}: it does not exist")
    return owner.tags[arn]
