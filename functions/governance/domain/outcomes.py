"""When a deployment has come to rest, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.domain.errors import InvalidInputError

IN_SERVICE = "in_service"
FAILED = "failed"
ROLLED_BACK = "rolled_back"

_FAILED = {"Failed", "UpdateRollbackFailed", "OutOfService"}
_SILENT = {"Absent", "Creating", "Deleting", "Failed", "OutOfService"}


def endpoint_change(event: Mapping[str, Any]) -> tuple[str, str]:
    """(endpoint ARN, status) of a SageMaker Endpoint State Change event.

    The ARN is in lower case, as SageMaker makes it. InvalidInputError names what is missing.
    """
    detail = event.get("detail")
    for field in ("EndpointArn", "EndpointStatus"):
        if not isinstance(detail, Mapping) or not isinstance(detail.get(field), str):
            raise InvalidInputError(
                f"event {event.get('id')!r} has no detail.{field}; "
                "expected a SageMaker Endpoint State Change"
            )
    changed: Mapping[str, str] = event["detail"]
    return changed["EndpointArn"].lower(), changed["EndpointStatus"]


def pascal_status(status: str) -> str:
    """An endpoint status as the API spells it; events say IN_SERVICE for InService."""
    if "_" not in status and not status.isupper():
        return status
    return "".join(word.capitalize() for word in status.split("_"))


def may_be_final(status: str) -> bool:
    """True if an endpoint with this status (either spelling) changes no more by itself."""
    return pascal_status(status) in {"InService", *_FAILED}


def is_serving(status: str) -> bool:
    """True if an endpoint with this status (either spelling) serves the config that it names.

    That changes when a deployment is done; by then autoscaling may be at work.
    """
    return pascal_status(status) in {"InService", "Updating", "SystemUpdating"}


def answers_nobody(status: str) -> bool:
    """True if an endpoint with this status (either spelling) serves nothing, whatever it names.

    "Absent" stands for one that is not there.
    """
    return pascal_status(status) in _SILENT


def is_heading_for(endpoint: Mapping[str, Any], config_name: str) -> bool:
    """True if the endpoint serves this config or is on its way to it (DescribeEndpoint).

    One that is being deleted does neither, although it still names the config.
    """
    if pascal_status(str(endpoint["EndpointStatus"])) == "Deleting":
        return False
    pending = endpoint.get("PendingDeploymentSummary") or {}
    return config_name in {endpoint.get("EndpointConfigName"), pending.get("EndpointConfigName")}


def is_on_its_way_to(endpoint: Mapping[str, Any], config_name: str) -> bool:
    """True if the endpoint, a new one or not, may still come to serve this config, or fail to."""
    status = str(endpoint["EndpointStatus"])
    if may_be_final(status) or not is_heading_for(endpoint, config_name):
        return False
    return endpoint.get("EndpointConfigName") != config_name or not is_serving(status)


def is_moving_to(endpoint: Mapping[str, Any], config_name: str) -> bool:
    """True if the endpoint serves another config, and this one is to take its place."""
    pending = (endpoint.get("PendingDeploymentSummary") or {}).get("EndpointConfigName")
    return pending == config_name and pending != endpoint.get("EndpointConfigName")


def was_asked_for(endpoint: Mapping[str, Any], deployment: Mapping[str, Any]) -> bool:
    """True if the endpoint is what the deployment has made of it so far, however that ended.

    What served before (`exists`) and failed since did that in another's deployment; while another's
    is under way it serves still, and only until that is done.
    """
    status, config_name = pascal_status(str(endpoint["EndpointStatus"])), deployment["config_name"]
    pending = (endpoint.get("PendingDeploymentSummary") or {}).get("EndpointConfigName")
    if deployment.get("exists") and (status in _FAILED or pending not in {None, config_name}):
        return False
    return is_heading_for(endpoint, config_name)


def outcome_of(
    endpoint: Mapping[str, Any], config_name: str, modified_before: str
) -> dict[str, Any] | None:
    """How the deployment of `config_name` ended, or None while it goes on.

    `endpoint` is DescribeEndpoint's answer with times as sortable text. `modified_before` is its
    LastModifiedTime before the deployment was asked for ("" for a new endpoint): whatever is not
    newer than that is the state we found, not the result of what we did.

    {outcome: in_service | failed | rolled_back, endpoint_status, failure_reason}. In service
    counts only with the intended config: SageMaker rolls back without saying so.
    """
    status = pascal_status(str(endpoint["EndpointStatus"]))
    served = endpoint.get("EndpointConfigName")
    if not may_be_final(status):
        return None
    if served != config_name and str(endpoint["LastModifiedTime"]) <= modified_before:
        return None
    reason = str(endpoint.get("FailureReason") or "")
    if status in _FAILED:
        reason = reason or f"the endpoint is {status}; SageMaker gave no reason"
        return {"outcome": FAILED, "endpoint_status": status, "failure_reason": reason}
    if served == config_name:
        return {"outcome": IN_SERVICE, "endpoint_status": status, "failure_reason": None}
    reason = reason or f"SageMaker went back to {served}; intended was {config_name}"
    return {"outcome": ROLLED_BACK, "endpoint_status": status, "failure_reason": reason}
