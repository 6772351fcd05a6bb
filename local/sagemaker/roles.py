"""Execution roles: SageMaker acts with the role that the model names, never with our own."""

from __future__ import annotations

from local.sagemaker.errors import invalid
from local.seams import calls

_SERVICE = "sagemaker.amazonaws.com"


def require_trust(role_arn: str) -> None:
    """ValidationException unless the role exists and lets SageMaker assume it."""
    try:
        calls.as_role(role_arn, _SERVICE, "SageMaker")
    except calls.DeniedError as error:
        raise invalid(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows "
            f"principal '{_SERVICE}' to assume the role."
        ) from error


def caller(role_arn: str) -> calls.Caller:
    """The execution role, as who signs; calls.DeniedError if SageMaker may not assume it."""
    return calls.as_role(role_arn, _SERVICE, "SageMaker")
