"""The handler: which function serves an operation, and what surrounds every one of them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region

from local.sagemaker import (
    Emit,
    Handler,
    callers,
    endpoint_configs,
    endpoints,
    events,
    groups,
    lineage,
    models,
    registry,
    runtime,
    search,
    tags,
)
from local.sagemaker.callers import Caller
from local.sagemaker.data_capture import CAPTURES
from local.sagemaker.errors import ServiceError
from local.sagemaker.hosting import FLEET
from local.sagemaker.outbox import OUTBOX
from local.sagemaker.requests import Request
from local.sagemaker.store import STORE, Record
from local.sagemaker.validation import operation, validate

Response = tuple[int, dict[str, str], bytes]

_INVOCATION = re.compile(r"/endpoints/[^/]+/invocations")
_OPERATIONS: dict[str, Callable[[Request], Record]] = {
    "CreateModelPackageGroup": groups.create,
    "DescribeModelPackageGroup": groups.describe,
    "ListModelPackageGroups": groups.list_all,
    "DeleteModelPackageGroup": groups.delete,
    "PutModelPackageGroupPolicy": groups.put_policy,
    "GetModelPackageGroupPolicy": groups.get_policy,
    "DeleteModelPackageGroupPolicy": groups.delete_policy,
    "CreateModelPackage": registry.create,
    "DescribeModelPackage": registry.describe,
    "UpdateModelPackage": registry.update,
    "DeleteModelPackage": registry.delete,
    "ListModelPackages": registry.list_all,
    "BatchDescribeModelPackage": registry.batch_describe,
    "Search": search.search,
    "CreateModel": models.create,
    "DescribeModel": models.describe,
    "ListModels": models.list_all,
    "DeleteModel": models.delete,
    "CreateEndpointConfig": endpoint_configs.create,
    "DescribeEndpointConfig": endpoint_configs.describe,
    "ListEndpointConfigs": endpoint_configs.list_all,
    "DeleteEndpointConfig": endpoint_configs.delete,
    "CreateEndpoint": endpoints.create,
    "UpdateEndpoint": endpoints.update,
    "UpdateEndpointWeightsAndCapacities": endpoints.update_weights,
    "DescribeEndpoint": endpoints.describe,
    "ListEndpoints": endpoints.list_all,
    "DeleteEndpoint": endpoints.delete,
    "AddTags": tags.add_tags,
    "ListTags": tags.list_tags,
    "DeleteTags": tags.delete_tags,
    **{
        f"{verb}{kind}": function
        for kind in ("Artifact", "Action", "Context")
        for verb, function in (
            ("Create", lineage.create),
            ("Describe", lineage.describe),
            ("Update", lineage.update),
            ("Delete", lineage.delete),
        )
    },
    "ListArtifacts": lineage.list_entities,
    "ListActions": lineage.list_entities,
    "ListContexts": lineage.list_entities,
    "AddAssociation": lineage.add_association,
    "DeleteAssociation": lineage.delete_association,
    "ListAssociations": lineage.list_associations,
    "QueryLineage": lineage.query,
}
_READS = ("Describe", "List", "Get", "BatchDescribe", "Search", "Query")


def install(emit: Emit) -> Handler:
    """Emit events with `emit` from now on; the handler to mount."""
    OUTBOX.deliver_to(emit)
    return handle


def reset() -> None:
    """Forget every resource, end every model server."""
    STORE.clear()
    FLEET.stop_all()
    CAPTURES.clear()


def shutdown() -> None:
    """End every model server and remove what it was unpacked to."""
    CAPTURES.clear()
    FLEET.stop_all()


async def handle(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> Response:
    """One request, in a thread: neither a model nor an event target may hold up the loop."""
    return await asyncio.to_thread(_respond, method, path, headers, body, query)


def _respond(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> Response:
    headers = {name.lower(): value for name, value in headers.items()}
    if method == "POST" and _INVOCATION.fullmatch(path):
        return runtime.invoke(STORE.of(get_account_id(), get_region()), path, headers, body)
    name = headers.get("x-amz-target", "").removeprefix("SageMaker.")
    try:
        answer = _call(name, _document(body), callers.of_request(headers, query))
    except ServiceError as error:
        return _json(error.status, {"__type": error.code, "message": error.message})
    return _json(200, answer)


def _call(name: str, document: Record, caller: Caller) -> Record:
    region = get_region()
    operation(name)
    serve = _OPERATIONS.get(name)
    if serve is None:
        raise ServiceError(
            "UnknownOperationException", f"The embedded AWS does not serve SageMaker's {name}"
        )
    try:
        validate(name, document)
        given = {member: value for member, value in document.items() if value is not None}
        request = Request(name, given, STORE.of(caller.account, region), caller)
        with STORE.lock:
            # A copy, because the store's records go on changing while this one is on its way.
            answer: Record = json.loads(json.dumps(serve(request)))
    except ServiceError as error:
        _audit(name, document, None, caller, region, (error.code, error.message))
        raise
    _audit(name, document, answer, caller, region, None)
    return answer


def _audit(
    name: str,
    document: Record,
    answer: Record | None,
    caller: Caller,
    region: str,
    error: tuple[str, str] | None,
) -> None:
    """What changes something, or should have, is reported as CloudTrail does."""
    if name.startswith(_READS):
        return
    model = operation(name)
    shapes = (model.input_shape, model.output_shape)
    detail = events.api_call(name, shapes, document, answer, caller, region, error)
    OUTBOX.put(caller.account, region, events.API_CALL, detail, [])
    for account in _other_owners(document, caller.account):
        shared = {**detail, "recipientAccountId": account, "sharedEventID": detail["eventID"]}
        OUTBOX.put(account, region, events.API_CALL, shared, [])


def _other_owners(document: Record, account: str) -> set[str]:
    """The accounts whose resources the request names; CloudTrail tells them as well."""
    named = (
        document.get(member)
        for member in ("ModelPackageArn", "ModelPackageName", "ModelPackageGroupName")
    )
    owners = {arn.split(":")[4] for arn in named if isinstance(arn, str) and arn.count(":") >= 5}
    return owners - {account, ""}


def _document(body: bytes) -> Record:
    try:
        document = json.loads(body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", f"The request is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ServiceError("SerializationException", "The request must be a JSON object")
    return document


def _json(status: int, document: Record) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return status, headers, json.dumps(document).encode()
