"""Autoscaling of an endpoint's instances, in the account that it is in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from governance.adapters import errors, sessions
from governance.domain import guardrails

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient


class Scaling:
    """Application Auto Scaling in the account of the session."""

    def __init__(self, session: boto3.Session) -> None:
        self._scaling: ApplicationAutoScalingClient = sessions.client(
            session, "application-autoscaling"
        )

    def follow(self, deployment: Mapping[str, Any]) -> bool:
        """Scale the variant as its definition says, or no more; True if it is scaled.

        How many instances there are now stays, but for the bounds.
        """
        name = deployment["endpoint_name"]
        if deployment["autoscaling"] is None:
            self.end(deployment)
            return False
        target, policy = guardrails.scaling(deployment)
        with errors.translated(f"scale the instances of endpoint {name}"):
            self._scaling.register_scalable_target(**target)
            self._scaling.put_scaling_policy(**policy)
        return True

    def end(self, deployment: Mapping[str, Any]) -> None:
        """Scale the variant no more; its instances stay as they are."""
        resource = guardrails.scalable(deployment)
        with errors.translated(f"scale {resource['ResourceId']} no more"):
            try:
                self._scaling.deregister_scalable_target(**resource)
            except ClientError as error:
                if errors.code_of(error) != "ObjectNotFoundException":
                    raise
