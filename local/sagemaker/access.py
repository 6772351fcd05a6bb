"""Permissions that depend on what a request refers to, not only on the resource it names.

The gateway has checked the caller's policies for the operation already. Here: resources of
another account, which only a model package group's policy can share (the gateway lets an
account's root through), and the role that a request passes to SageMaker.
"""

from __future__ import annotations

from ministack.core import iam_evaluator

from local.sagemaker.errors import denied
from local.sagemaker.requests import Request
from local.sagemaker.store import Account, Record


def require_shared(
    request: Request, owner: Account, policy: str | None, action: str, *arns: str
) -> None:
    """AccessDeniedException unless the resource is the caller's, or its group's policy shares it.

    One of `arns` must be allowed: AWS documents some actions for the group and some for its
    versions.
    """
    if owner.account == request.caller.account:
        return
    for arn in arns:
        context = _context(request, action, arn)
        if iam_evaluator.evaluate_resource_policy(policy, context).decision == "Allow":
            return
    raise denied(
        request.caller.arn,
        action,
        arns[0],
        f"because no resource-based policy allows the {action} action",
    )


def require_pass_role(request: Request, role_arn: str) -> None:
    """AccessDeniedException unless the caller may pass the role to SageMaker."""
    caller = request.caller
    principal = iam_evaluator.resolve_principal(caller.access_key, caller.account)
    if isinstance(principal, iam_evaluator.AuthError) or principal.policies is None:
        return  # the root of the account; who is nobody does not come this far
    context = _context(request, "iam:PassRole", role_arn)
    context.service_context["iam:passedtoservice"] = "sagemaker.amazonaws.com"
    context.principal_keys = principal.keys
    result = iam_evaluator.evaluate(context, principal.policies, *principal.limits)
    if result.decision != "Allow":
        raise denied(
            caller.arn,
            "iam:PassRole",
            role_arn,
            "because no identity-based policy allows the iam:PassRole action",
        )


def group_policy(owner: Account, package: Record) -> str | None:
    """The resource policy of the group that a version belongs to."""
    group = owner.groups.get(package.get("ModelPackageGroupName", ""), {})
    policy: str | None = group.get("policy")
    return policy


def _context(request: Request, action: str, arn: str) -> iam_evaluator.EvalContext:
    caller = request.caller
    return iam_evaluator.EvalContext(
        principal_arn=caller.arn,
        principal_type=caller.user_identity()["type"],
        principal_account=caller.account,
        action=action,
        resource_arn=arn,
        region=request.mine.region,
    )
