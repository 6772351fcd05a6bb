"""The CloudWatch alarms that a deployment watches, in the endpoint's account."""

from __future__ import annotations

from ministack.core import iam_evaluator
from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from local.sagemaker import roles
from local.sagemaker.errors import invalid
from local.sagemaker.store import Account
from local.seams import calls, metrics


def require(owner: Account, names: list[str], role_arns: set[str]) -> None:
    """ValidationException unless every alarm is there and every role may describe it."""
    with request_scope(owner.account, owner.region):
        absent = [name for name in names if not _exists(name)]
    if absent:
        raise invalid(
            f"Could not find the CloudWatch alarms of the AutoRollbackConfiguration in account "
            f"{owner.account}: {', '.join(absent)}"
        )
    for role_arn in sorted(role_arns):
        for name in names:
            _require_permission(owner, role_arn, name)


def tripped(owner: Account, names: list[str], since: float) -> str | None:
    """The first of the alarms that is in ALARM, or has been since then; None if there is none."""
    with request_scope(owner.account, owner.region):
        for name in names:
            # Looked at now: in a laptop's time a baking period may be shorter than the next look.
            metrics.evaluate(name)
            if metrics.in_alarm(owner.account, owner.region, name, since):
                return name
    return None


def _exists(name: str) -> bool:
    return name in cloudwatch._alarms or name in cloudwatch._composite_alarms


def _require_permission(owner: Account, role_arn: str, name: str) -> None:
    action, resource = "cloudwatch:DescribeAlarms", _arn(owner, name)
    try:
        caller = roles.caller(role_arn)
    except calls.DeniedError as error:
        raise invalid(str(error)) from error
    principal = iam_evaluator.resolve_principal(caller.access_key, owner.account)
    if isinstance(principal, iam_evaluator.AuthError) or principal.policies is None:
        raise invalid(f"Could not assume role {role_arn}")
    context = iam_evaluator.EvalContext(
        principal_arn=role_arn,
        principal_type="AssumedRole",
        principal_account=owner.account,
        action=action,
        resource_arn=resource,
        region=owner.region,
    )
    context.principal_keys = principal.keys
    result = iam_evaluator.evaluate(context, principal.policies, *principal.limits)
    if result.decision != "Allow":
        raise invalid(
            f"The execution role {role_arn} is not authorized to perform: {action} on resource: "
            f"{resource}. SageMaker watches the alarms of the AutoRollbackConfiguration with it."
        )


def _arn(owner: Account, name: str) -> str:
    return f"arn:aws:cloudwatch:{owner.region}:{owner.account}:alarm:{name}"
