"""The events that SageMaker and CloudTrail emit, in the shapes that AWS documents."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from local.sagemaker.callers import Caller
from local.sagemaker.requests import pick
from local.sagemaker.store import Record

Shape = Any  # botocore's; its kinds share one type and not their members

PACKAGE_CHANGE = "SageMaker Model Package State Change"
ENDPOINT_CHANGE = "SageMaker Endpoint State Change"
DEPLOYMENT_CHANGE = "SageMaker Endpoint Deployment State Change"
API_CALL = "AWS API Call via CloudTrail"

_PACKAGE_MEMBERS = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "ApprovalDescription",
    "MetadataProperties",
    "ModelMetrics",
    "CustomerMetadataProperties",
    "ModelLifeCycle",
)
_DEPLOYED_MEMBERS = (
    "VariantName",
    "CurrentWeight",
    "DesiredWeight",
    "CurrentInstanceCount",
    "DesiredInstanceCount",
)
_HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"


def package_state_change(package: Record, updated: list[str]) -> dict[str, Any]:
    """The detail of "SageMaker Model Package State Change"; a registration lists no fields."""
    detail = pick(package, _PACKAGE_MEMBERS)
    detail["CreationTime"] = iso(package["CreationTime"])
    if updated:
        detail["UpdatedModelPackageFields"] = updated
    detail["LastModifiedTime"] = iso(package["LastModifiedTime"])
    return detail


def endpoint_state_change(endpoint: Record, tags: dict[str, str]) -> dict[str, Any]:
    """The detail of "SageMaker Endpoint State Change"."""
    detail = _endpoint(endpoint, tags)
    detail["ProductionVariants"] = [
        pick(variant, ("DesiredWeight", "DesiredInstanceCount"))
        for variant in endpoint.get("ProductionVariants", [])
    ]
    return detail


def endpoint_deployment_change(endpoint: Record, tags: dict[str, str]) -> dict[str, Any]:
    """The detail of "SageMaker Endpoint Deployment State Change", with the variants' status."""
    detail = _endpoint(endpoint, tags)
    detail["ProductionVariants"] = _deployed(endpoint.get("ProductionVariants", []))
    pending = endpoint.get("PendingDeploymentSummary")
    if pending:
        detail["PendingDeploymentSummary"] = {
            "EndpointConfigName": pending["EndpointConfigName"],
            "StartTime": _ms(pending["StartTime"]),
            "ProductionVariants": _deployed(pending["ProductionVariants"]),
        }
    return detail


def _deployed(variants: list[Record]) -> list[Record]:
    return [
        {
            **pick(variant, _DEPLOYED_MEMBERS),
            "VariantStatus": [
                {**status, "StartTime": _ms(status["StartTime"])}
                for status in variant.get("VariantStatus", [])
            ],
        }
        for variant in variants
    ]


def api_call(
    operation: str,
    shapes: tuple[Shape | None, Shape | None],
    request: dict[str, Any],
    answer: dict[str, Any] | None,
    caller: Caller,
    region: str,
    error: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """The detail of "AWS API Call via CloudTrail": who called what, from where, with what.

    `shapes` are the operation's input and output; `answer` is None when it failed with `error`.
    """
    detail = {
        "eventVersion": "1.11",
        "userIdentity": caller.user_identity(),
        "eventTime": iso(datetime.now(UTC).timestamp()),
        "eventSource": "sagemaker.amazonaws.com",
        "eventName": operation,
        "awsRegion": region,
        "sourceIPAddress": caller.address,
        "userAgent": caller.user_agent,
        "requestParameters": _lower_camel(shapes[0], request) or None,
        "responseElements": _lower_camel(shapes[1], answer) or None,
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": caller.account,
        "eventCategory": "Management",
    }
    if error:
        detail["errorCode"], detail["errorMessage"] = error
    return detail


def iso(epoch: float) -> str:
    """Epoch seconds as events write them, in whole seconds."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def upper_snake(status: str) -> str:
    """InService as events write it: IN_SERVICE."""
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(status)).upper()


def _endpoint(endpoint: Record, tags: dict[str, str]) -> dict[str, Any]:
    return {
        "EndpointName": endpoint["EndpointName"],
        "EndpointArn": endpoint["EndpointArn"],
        "EndpointConfigName": endpoint["EndpointConfigName"],
        "ProductionVariants": [],
        "EndpointStatus": upper_snake(endpoint["EndpointStatus"]),
        "CreationTime": _ms(endpoint["CreationTime"]),
        "LastModifiedTime": _ms(endpoint["LastModifiedTime"]),
        "Tags": tags,
    }


def _ms(epoch: float) -> float:
    return epoch * 1000


def _lower_camel(shape: Shape | None, value: Any) -> Any:
    """Members in CloudTrail's spelling; what the model calls sensitive is not shown."""
    if shape is None or value is None:
        return value
    if shape.metadata.get("sensitive"):
        return _HIDDEN
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {
            name[:1].lower() + name[1:]: _lower_camel(shape.members.get(name), entry)
            for name, entry in value.items()
        }
    if kind == "map" and isinstance(value, dict):
        return {key: _lower_camel(shape.value, entry) for key, entry in value.items()}
    if kind == "list" and isinstance(value, list):
        return [_lower_camel(shape.member, entry) for entry in value]
    return value
