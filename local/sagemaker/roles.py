"""Execution roles: SageMaker acts with the role that the model names, never with our own."""

from __future__ import annotations

import boto3

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


def session(role_arn: str) -> boto3.Session:
    """A session of the execution role; calls.DeniedError if SageMaker may not assume it."""
    return calls.as_role(role_arn, _SERVICE, "SageMaker")
