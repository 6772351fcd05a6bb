"""What invocations publish in AWS/SageMaker, of each endpoint and variant, in the owner's account.

Once for the variant, and once with the endpoint config too: during a deployment the old and the
new fleet have variants of the same name, and an alarm may look at one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from local.sagemaker.store import Account

_NAMESPACE = "AWS/SageMaker"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One request to a model: who served it, the container's status, microseconds."""

    endpoint: str
    variant: str
    config: str
    instances: int
    status: int
    model_latency: float
    overhead_latency: float


def publish(owner: Account, done: Invocation) -> None:
    """Put the metrics of an invocation."""
    values = (
        ("Invocations", 1.0, "None"),
        ("InvocationsPerInstance", 1 / max(1, done.instances), "None"),
        ("Invocation4XXErrors", float(400 <= done.status < 500), "None"),
        ("Invocation5XXErrors", float(done.status >= 500), "None"),
        ("InvocationModelErrors", float(not 200 <= done.status < 300), "None"),
        ("ModelLatency", done.model_latency, "Microseconds"),
        ("OverheadLatency", done.overhead_latency, "Microseconds"),
    )
    dimensions = {"EndpointName": done.endpoint, "VariantName": done.variant}
    with request_scope(owner.account, owner.region):
        for name, value, unit in values:
            for filtered in (dimensions, {**dimensions, "EndpointConfigName": done.config}):
                cloudwatch.record_metric(_NAMESPACE, name, value, unit, filtered)
