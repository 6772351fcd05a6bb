"""Application Auto Scaling of endpoint variants: who may scale between what is kept and shown.

Nothing is scaled here: one process stands for any number of instances. What counts for a release
is that a registered variant keeps its instance type and its place in the endpoint.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region

from local.sagemaker.errors import ServiceError, invalid
from local.sagemaker.requests import pick
from local.sagemaker.store import STORE, Account, Record, now
from local.sagemaker.validation import operation, validate

Response = tuple[int, dict[str, str], bytes]

SERVICE = "application-autoscaling"
TARGET_PREFIX = "AnyScaleFrontendService."
_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_RESOURCE = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
_ROLE = (
    "arn:aws:iam::{account}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
_RUNNING = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}
_IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_CONFIGURATIONS = {
    "StepScaling": "StepScalingPolicyConfiguration",
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
    "PredictiveScaling": "PredictiveScalingPolicyConfiguration",
}


async def handle(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> Response:
    """One request of the JSON protocol."""
    target = {name.lower(): value for name, value in headers.items()}.get("x-amz-target", "")
    owner = STORE.of(get_account_id(), get_region())
    return await asyncio.to_thread(_respond, target.removeprefix(TARGET_PREFIX), body, owner)


def resource_arn(name: str, request: Record, account: str, region: str) -> str:
    """What IAM is asked about; listings are about nothing."""
    if name.startswith("Describe") or not isinstance(request.get("ResourceId"), str):
        return "*"
    return _target_arn(
        account, region, request["ResourceId"], str(request.get("ScalableDimension"))
    )


def condition_keys(request: Record) -> dict[str, str]:
    """The service's condition keys that a request sets."""
    keys = {
        f"{SERVICE}:service-namespace": request.get("ServiceNamespace"),
        f"{SERVICE}:scalable-dimension": request.get("ScalableDimension"),
    }
    return {key: str(value) for key, value in keys.items() if value}


def is_registered(owner: Account, endpoint: str, variant: str) -> bool:
    """Whether the variant's instances are scaled."""
    return (f"endpoint/{endpoint}/variant/{variant}", _DIMENSION) in owner.scalable_targets


def _register(owner: Account, body: Record) -> Record:
    key = _key(body)
    _require_variant(owner, body["ResourceId"])
    found = owner.scalable_targets.get(key)
    target = {
        "SuspendedState": dict(_RUNNING),
        "RoleARN": _ROLE.format(account=owner.account),
        "CreationTime": now(),
        "ScalableTargetARN": _target_arn(owner.account, owner.region, *key),
        **(found or {}),
        **pick(body, (*_IDENTITY, "MinCapacity", "MaxCapacity")),
    }
    target["SuspendedState"] = {**target["SuspendedState"], **body.get("SuspendedState", {})}
    if "MinCapacity" not in target or "MaxCapacity" not in target:
        raise invalid("Both MinCapacity and MaxCapacity are required to register a new target")
    if target["MinCapacity"] > target["MaxCapacity"]:
        raise invalid("Maximum capacity cannot be less than minimum capacity")
    owner.scalable_targets[key] = target
    return {"ScalableTargetARN": target["ScalableTargetARN"]}


def _deregister(owner: Account, body: Record) -> Record:
    key = _key(body)
    _require_target(owner, body)
    del owner.scalable_targets[key]
    # AWS deletes a target's policies with it.
    for policy in [policy for policy in owner.scaling_policies if policy[:2] == key]:
        del owner.scaling_policies[policy]
    return {}


def _describe_targets(owner: Account, body: Record) -> Record:
    wanted = body.get("ResourceIds")
    found = [
        copy.deepcopy(target)
        for target in _matching(owner.scalable_targets.values(), body)
        if not wanted or target["ResourceId"] in wanted
    ]
    return _page(body, found, "ScalableTargets")


def _put_policy(owner: Account, body: Record) -> Record:
    _require_target(owner, body)
    key = (*_key(body), body["PolicyName"])
    found = owner.scaling_policies.get(key, {})
    kind = body.get("PolicyType") or found.get("PolicyType") or "StepScaling"
    member = _CONFIGURATIONS[kind]
    given = [name for name in _CONFIGURATIONS.values() if name in body]
    if given != [member]:
        raise invalid(f"A policy of type {kind} has a {member} and no other configuration")
    digest = hashlib.sha256("/".join(key).encode()).hexdigest()
    identity = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
    policy = {
        **copy.deepcopy(pick(body, (*_IDENTITY, "PolicyName", member))),
        "PolicyType": kind,
        "PolicyARN": f"arn:aws:autoscaling:{owner.region}:{owner.account}:scalingPolicy:"
        f"{identity}:resource/sagemaker/{body['ResourceId']}:policyName/{body['PolicyName']}",
        "CreationTime": found.get("CreationTime") or now(),
        "Alarms": [],
    }
    owner.scaling_policies[key] = policy
    return {"PolicyARN": policy["PolicyARN"], "Alarms": []}


def _describe_policies(owner: Account, body: Record) -> Record:
    wanted, resource = body.get("PolicyNames"), body.get("ResourceId")
    found = [
        copy.deepcopy(policy)
        for policy in _matching(owner.scaling_policies.values(), body)
        if (not wanted or policy["PolicyName"] in wanted)
        and (not resource or policy["ResourceId"] == resource)
    ]
    return _page(body, found, "ScalingPolicies")


def _delete_policy(owner: Account, body: Record) -> Record:
    key = (*_key(body), body["PolicyName"])
    if key not in owner.scaling_policies:
        raise _absent(f"No scaling policy found named {body['PolicyName']} for", body)
    del owner.scaling_policies[key]
    return {}


OPERATIONS: dict[str, Callable[[Account, Record], Record]] = {
    "RegisterScalableTarget": _register,
    "DeregisterScalableTarget": _deregister,
    "DescribeScalableTargets": _describe_targets,
    "PutScalingPolicy": _put_policy,
    "DescribeScalingPolicies": _describe_policies,
    "DeleteScalingPolicy": _delete_policy,
}


def _respond(name: str, body: bytes, owner: Account) -> Response:
    try:
        try:
            document = json.loads(body or b"{}")
        except ValueError as error:
            raise ServiceError("SerializationException", "The request is not JSON") from error
        operation(name, SERVICE)
        serve = OPERATIONS.get(name)
        if serve is None:
            raise ServiceError(
                "UnknownOperationException",
                f"The embedded AWS does not serve Application Auto Scaling's {name}",
            )
        validate(name, document, SERVICE)
        with STORE.lock:
            answer = json.dumps(serve(owner, document))
    except ServiceError as error:
        return _json(error.status, json.dumps({"__type": error.code, "message": error.message}))
    return _json(200, answer)


def _key(body: Record) -> tuple[str, str]:
    if body["ServiceNamespace"] != "sagemaker" or body["ScalableDimension"] != _DIMENSION:
        raise invalid(
            f"The embedded AWS keeps scalable targets of sagemaker, {_DIMENSION}, not of "
            f"{body['ServiceNamespace']}, {body['ScalableDimension']}"
        )
    return body["ResourceId"], body["ScalableDimension"]


def _require_variant(owner: Account, resource: str) -> None:
    match = _RESOURCE.fullmatch(resource)
    if match is None:
        raise invalid("Unsupported service namespace, resource type or scalable dimension")
    endpoint = owner.endpoints.get(match[1].lower())
    if endpoint is None:
        raise invalid(f'Could not find endpoint "{owner.arn("endpoint", match[1])}".')
    if match[2] not in {variant["VariantName"] for variant in endpoint["ProductionVariants"]}:
        raise invalid(f'Could not find variant "{match[2]}" of endpoint {match[1]}.')


def _require_target(owner: Account, body: Record) -> None:
    if _key(body) not in owner.scalable_targets:
        raise _absent("No scalable target registered for", body)


def _absent(what: str, body: Record) -> ServiceError:
    return ServiceError(
        "ObjectNotFoundException",
        f"{what} service namespace: {body['ServiceNamespace']}, resource ID: "
        f"{body['ResourceId']}, scalable dimension: {body['ScalableDimension']}",
    )


def _matching(records: Any, body: Record) -> list[Record]:
    dimension = body.get("ScalableDimension")
    return [
        record
        for record in records
        if record["ServiceNamespace"] == body["ServiceNamespace"]
        and dimension in (None, record["ScalableDimension"])
    ]


def _page(body: Record, found: list[Record], member: str) -> Record:
    token = body.get("NextToken") or "0"
    if not token.isdigit():
        raise ServiceError("InvalidNextTokenException", "The next token is not one of ours")
    start, size = int(token), int(body.get("MaxResults") or 50)
    answer: Record = {member: found[start : start + size]}
    if start + size < len(found):
        answer["NextToken"] = str(start + size)
    return answer


def _target_arn(account: str, region: str, resource: str, dimension: str) -> str:
    identity = hashlib.sha256(f"{resource}|{dimension}".encode()).hexdigest()[:34]
    return f"arn:aws:{SERVICE}:{region}:{account}:scalable-target/{identity}"


def _json(status: int, body: str) -> Response:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, body.encode()
