"""InvokeEndpoint: choose a variant by weight, ask its model server, answer as SageMaker does."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

import botocore.session

from local.sagemaker import data_capture
from local.sagemaker.errors import ServiceError
from local.sagemaker.hosting import Answer, HostingError, Replica
from local.sagemaker.invocation_metrics import Invocation, publish
from local.sagemaker.store import STORE, Account, Record

Response = tuple[int, dict[str, str], bytes]

_SERVING = ("InService", "Updating", "RollingBack", "SystemUpdating")
_SHADOW_BACKLOG = 64  # requests that may wait for a shadow
_PREFIX = "x-amzn-sagemaker-"
_GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html"


class Draws:
    """Random numbers in [0, 1) from a seed, for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.seed(os.environ.get("GOVERNED_PATH_TRAFFIC_SEED"))

    def seed(self, seed: str | int | None) -> None:
        """Start anew; the same seed gives the same choices."""
        with self._lock:
            self._random = random.Random(seed)

    def draw(self) -> float:
        """The next number."""
        with self._lock:
            return self._random.random()


DRAWS = Draws()


@dataclass(frozen=True, slots=True)
class Target:
    """Who answers an invocation: a variant of the old fleet or of the new one, or its shadow."""

    variant: str
    replica: Replica
    config: Record
    instances: int


@dataclass(frozen=True, slots=True)
class Call:
    """One InvokeEndpoint as it came in."""

    owner: Account
    endpoint: str
    headers: Mapping[str, str]
    body: bytes
    started: float


def invoke(owner: Account, path: str, headers: Mapping[str, str], body: bytes) -> Response:
    """POST /endpoints/{name}/invocations. Blocks until the model has answered."""
    call = Call(owner, unquote(path.split("/")[2]), headers, body, time.monotonic())
    try:
        if len(body) > _largest_body():
            raise ServiceError(
                "ValidationError",
                f"{len(body)} bytes exceed the largest payload, {_largest_body()} bytes",
            )
        target, shadow = _route(owner, call.endpoint, headers.get(f"{_PREFIX}target-variant"))
    except ServiceError as error:
        return _error(error.status, error.code, {"Message": error.message})
    if shadow is not None:
        _mirror(call, shadow)
    answer = _ask(call, target)
    if answer.status >= 400:
        return _model_error(owner, call.endpoint, target.variant, answer)
    returned = {key.lower(): value for key, value in answer.headers.items()}
    # Lower-case, because the gateway rewrites the "Content-Type" of what it takes for its own JSON.
    response = {
        "content-type": returned.get("content-type", "application/octet-stream"),
        "x-Amzn-Invoked-Production-Variant": target.variant,
    }
    attributes = returned.get(f"{_PREFIX}custom-attributes")
    if attributes:
        response["X-Amzn-SageMaker-Custom-Attributes"] = attributes
    return 200, response, answer.body


def _mirror(call: Call, shadow: Target) -> None:
    """Ask the shadow in a thread: nobody sees its answer, and nobody waits for it."""
    threading.Thread(target=_ask, args=(call, shadow), name="sagemaker-shadow", daemon=True).start()


def _ask(call: Call, target: Target) -> Answer:
    """The container's answer, counted and captured; one that gives none counts as a 500."""
    asked = time.monotonic()
    try:
        answer = target.replica.invoke("/invocations", _forwarded(call.headers), call.body)
    except HostingError as error:
        answer = Answer(500, {}, str(error).encode())
    answered = time.monotonic()
    publish(
        call.owner,
        Invocation(
            endpoint=call.endpoint,
            variant=target.variant,
            config=target.config["EndpointConfigName"],
            instances=target.instances,
            status=answer.status,
            model_latency=(answered - asked) * 1e6,
            overhead_latency=(asked - call.started) * 1e6,
        ),
    )
    if answer.status < 400:
        _capture(call, target, answer)
    return answer


def _capture(call: Call, target: Target, answer: Answer) -> None:
    config = target.config.get("DataCaptureConfig")
    if not config or not data_capture.wanted(config, DRAWS.draw()):
        return
    place = data_capture.Place(
        destination=config["DestinationS3Uri"],
        endpoint=call.endpoint,
        variant=target.variant,
        role_arn=target.replica.plan.role_arn,
        kms_key=config.get("KmsKeyId", ""),
    )
    answered = {key.lower(): value for key, value in answer.headers.items()}
    data_capture.CAPTURES.add(
        place,
        data_capture.line(
            config,
            data_capture.Message(call.headers, call.body),
            data_capture.Message(answered, answer.body),
            call.headers.get(f"{_PREFIX}inference-id", ""),
        ),
    )


def choose(variants: Sequence[Record], draw: float) -> str:
    """The variant that a number in [0, 1) falls to, each having a share as its weight."""
    total = sum(variant["CurrentWeight"] for variant in variants)
    weighted = [v for v in variants if v["CurrentWeight"] > 0] or list(variants)
    point, reached = draw * total, 0.0
    for variant in weighted:
        reached += variant["CurrentWeight"]
        if point < reached:
            return str(variant["VariantName"])
    return str(weighted[-1]["VariantName"])


def _route(owner: Account, name: str, target: str | None) -> tuple[Target, Target | None]:
    """The variant that answers, and the shadow that is asked too, if it is this time."""
    with STORE.lock:
        endpoint = owner.endpoints.get(name.lower())
        # The case of the name must match here, though it does not matter anywhere else.
        if (
            endpoint is None
            or endpoint["EndpointName"] != name
            or endpoint["EndpointStatus"] not in _SERVING
        ):
            raise ServiceError(
                "ValidationError", f"Endpoint {name} of account {owner.account} not found."
            )
        fleet = _fleet(endpoint)
        names = {variant["VariantName"] for variant in fleet["variants"]}
        if target and target not in names:
            raise ServiceError("ValidationError", f"Variant {target} not found on endpoint {name}.")
        chosen = _target(fleet, target or choose(fleet["variants"], DRAWS.draw()))
        shadow = next((v for v in fleet["shadows"] if _is_mirrored(v, fleet)), None)
        return chosen, _target(fleet, shadow["VariantName"]) if shadow else None


def _is_mirrored(shadow: Record, fleet: Record) -> bool:
    """The shadow's weight is its share of the requests, compared with the production variant's.

    One that is far behind is left out, or the requests that wait for it would fill the memory.
    """
    if fleet["replicas"][shadow["VariantName"]].active >= _SHADOW_BACKLOG:
        return False
    total = sum(float(variant["DesiredWeight"]) for variant in fleet["variants"])
    return DRAWS.draw() * total < float(shadow["DesiredWeight"])


def _fleet(endpoint: Record) -> Record:
    """The old fleet or, as far as traffic has moved, the new one of a deployment."""
    new: Record | None = endpoint.get("new")
    if new and DRAWS.draw() < new["share"]:
        return new
    return {
        "replicas": endpoint["replicas"],
        "variants": endpoint["ProductionVariants"],
        "shadows": endpoint.get("ShadowProductionVariants", []),
        "config": endpoint["config"],
    }


def _target(fleet: Record, name: str) -> Target:
    replica: Replica = fleet["replicas"][name]
    # Counted while the store is locked: traffic that moves on waits for this request.
    replica.enter()
    variant = next(v for v in [*fleet["variants"], *fleet["shadows"]] if v["VariantName"] == name)
    return Target(
        variant=name,
        replica=replica,
        config=fleet["config"],
        instances=variant.get("CurrentInstanceCount") or 1,
    )


def _forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    kept = ("custom-attributes", "inference-id", "session-id")
    return {
        "Content-Type": headers.get("content-type", "application/octet-stream"),
        "Accept": headers.get("accept", "*/*"),
        **{
            f"X-Amzn-SageMaker-{name.title()}": headers[_PREFIX + name]
            for name in kept
            if _PREFIX + name in headers
        },
    }


def _model_error(owner: Account, name: str, variant: str, answer: Answer) -> Response:
    said = answer.body.decode("utf-8", "replace")
    side = "client" if answer.status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{name}"
    console = f"{_GUIDE} (log group {group}, variant {variant}, account {owner.account})"
    arn = f"arn:aws:logs:{owner.region}:{owner.account}:log-group:{group}"
    return _error(
        424,
        "ModelError",
        {
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL"
            if side == "client"
            else "INTERNAL_FAILURE_FROM_MODEL",
            "LogStreamArn": arn,
            "Message": (
                f'Received {side} error ({answer.status}) from primary with message "{said}". '
                f"See {console} for more information."
            ),
            "OriginalMessage": said,
            "OriginalStatusCode": answer.status,
        },
    )


def _error(status: int, code: str, members: Record) -> Response:
    headers = {"content-type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps(members).encode()


@cache
def _largest_body() -> int:
    model: Any = botocore.session.get_session().get_service_model("sagemaker-runtime")
    return int(model.shape_for("BodyBlob").metadata["max"])
