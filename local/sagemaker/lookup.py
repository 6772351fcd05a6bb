"""Find what a request names, by name in the caller's account or by ARN in its owner's."""

from __future__ import annotations

from local.sagemaker.access import require_shared
from local.sagemaker.errors import denied, invalid
from local.sagemaker.requests import Request
from local.sagemaker.store import STORE, Account, Record


def group(request: Request, name_or_arn: str, action: str = "") -> tuple[Account, Record]:
    """(owner, group); ValidationException if there is none.

    A group of another account must share `action` (default: the operation).
    """
    owner, name = request.mine, name_or_arn
    if name_or_arn.startswith("arn:"):
        owner = STORE.owner_of(name_or_arn)
        kind, _, name = name_or_arn.split(":", 5)[5].partition("/")
        if kind != "model-package-group":
            raise invalid(f"{name_or_arn} is not the ARN of a model package group")
    found = owner.groups.get(name)
    arn = owner.arn("model-package-group", name)
    require_shared(
        request,
        owner,
        found.get("policy") if found else None,
        action or f"sagemaker:{request.operation}",
        arn,
        owner.arn("model-package", f"{name}/*"),
    )
    if found is None:
        raise invalid(f"Model Package Group {arn} does not exist.")
    return owner, found


def package(request: Request, name: str, action: str = "") -> tuple[Account, Record]:
    """(owner, package); ValidationException if there is none.

    A version of another account must be shared for `action` (default: the operation).
    """
    arn = name if name.startswith("arn:") else request.mine.arn("model-package", name)
    owner = STORE.owner_of(arn)
    found = owner.packages.get(arn)
    family = owner.groups.get(arn.split("/")[1], {}) if "/" in arn else {}
    require_shared(
        request, owner, family.get("policy"), action or f"sagemaker:{request.operation}", arn
    )
    if found is None:
        raise invalid(f"ModelPackage {arn} does not exist.")
    return owner, found


def own_account_of(request: Request, arn: str) -> Account:
    """The account of an ARN of a kind that cannot be shared; AccessDeniedException if foreign."""
    owner = STORE.owner_of(arn)
    if owner.account != request.caller.account:
        raise denied(
            request.caller.arn,
            f"sagemaker:{request.operation}",
            arn,
            "because it belongs to another account",
        )
    return owner
