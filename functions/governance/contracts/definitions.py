"""The deployment definition: how a project's model is served, tested and released."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.contracts.validation import places
from governance.domain import definitions
from governance.domain.errors import InvalidInputError

_NAME = {"type": "string", "pattern": "^[a-z][a-z0-9-]*$", "maxLength": 40}
_WAIT = {"type": "integer", "minimum": 0, "maximum": 3600}
_STRATEGY_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "all-at-once": {},
    "canary": {
        "percent": {
            "description": "Share of the new capacity that takes traffic first.",
            "type": "integer",
            "minimum": 1,
            "maximum": 50,
            "examples": [10],
        },
        "wait_seconds": {
            "description": "How long the alarms watch the canary before the rest follows.",
            **_WAIT,
            "examples": [300],
        },
    },
    "linear": {
        "step_percent": {
            "description": "Share of the new capacity that takes traffic with each step.",
            "type": "integer",
            "minimum": 10,
            "maximum": 50,
            "examples": [25],
        },
        "wait_seconds": {
            "description": "How long the alarms watch each step before the next.",
            **_WAIT,
            "examples": [300],
        },
    },
    "a-b": {
        "challenger_percent": {
            "description": "Share of the traffic that the new version has during the trial.",
            "type": "integer",
            "minimum": 1,
            "maximum": 50,
            "examples": [10],
        },
        "look_seconds": {
            "description": "How long between two looks at the errors of both versions.",
            "type": "integer",
            "minimum": 60,
            "maximum": 86_400,
            "examples": [1800],
        },
        "looks": {
            "description": "How many looks there are at most.",
            "type": "integer",
            "minimum": 1,
            "maximum": 20,
            "examples": [5],
        },
        "alpha": {
            "description": "How likely a wrong decision may be at most, over all looks together: "
            "to promote a version that fails more often by a percentage point, or to roll back one "
            "that does not fail more often. Less needs more requests.",
            "type": "number",
            "minimum": 0.001,
            "maximum": 0.2,
            "examples": [0.05],
        },
        "undecided": {
            "description": "What happens if the last look does not tell: ask (the champion stays "
            "and a person decides) or roll-back.",
            "enum": ["ask", "roll-back"],
            "examples": ["ask"],
        },
    },
    "shadow": {
        "sample_percent": {
            "description": "Share of the requests that the new version gets a copy of.",
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "examples": [50],
        },
        "seconds": {
            "description": "How long it gets them.",
            "type": "integer",
            "minimum": 60,
            "maximum": 86_400,
            "examples": [3600],
        },
        "max_disagreement": {
            "description": "Share of the answers that may differ from the champion's.",
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "examples": [0.05],
        },
    },
}
_METRICS = (
    "Invocations",
    "InvocationsPerInstance",
    "Invocation4XXErrors",
    "Invocation5XXErrors",
    "InvocationModelErrors",
    "ModelLatency",
    "OverheadLatency",
)
_COMPARISONS = (
    "GreaterThanThreshold",
    "GreaterThanOrEqualToThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
)


def _object(description: str, required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": properties,
    }


def _of_type(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
        "then": {
            "required": ["type", *fields],
            "additionalProperties": False,
            "properties": {"type": True, **fields},
        },
    }


DEPLOYMENT_DEFINITION: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "governed-path/deployment/v1",
    **_object(
        "How a model is served, tested and released. Its digest is part of the approval: what was "
        "tested with one definition is not released with another.",
        ("version", "endpoint", "release"),
        version={
            "description": "Of this format.",
            "const": 1,
            "examples": [1],
        },
        endpoint=_object(
            "What the model is served on, in Test and in Prod.",
            ("instance_type", "instance_count"),
            instance_type={
                "description": "SageMaker's instance type.",
                "type": "string",
                "pattern": "^ml\\.[a-z0-9-]+\\.[a-z0-9-]+$",
                "maxLength": 64,
                "examples": ["ml.m5.large"],
            },
            instance_count={
                "description": "How many to begin with. Where instances scale by load, an "
                "endpoint that exists keeps what it has; otherwise it gets another number when the "
                "definition names another.",
                "type": "integer",
                "minimum": 1,
                "maximum": 1000,
                "examples": [2],
            },
            environment={
                "description": "Environment variables for the container, beside those that the "
                "version itself was registered with.",
                "type": "object",
                "maxProperties": 50,
                "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$", "maxLength": 256},
                "additionalProperties": {"type": "string", "maxLength": 1024},
                "examples": [{"OMP_NUM_THREADS": "2"}],
            },
            autoscaling=_object(
                "Instances by load, in Prod. Without it the count stays.",
                ("min", "max", "invocations_per_instance"),
                min={
                    "description": "Fewest instances.",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 1000,
                    "examples": [2],
                },
                max={
                    "description": "Most instances.",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 1000,
                    "examples": [8],
                },
                invocations_per_instance={
                    "description": "Invocations a minute that one instance shall have.",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 1_000_000,
                    "examples": [200],
                },
            ),
            data_capture=_object(
                "Requests and answers that are kept, in Prod, in the account's own bucket. Without "
                "it nothing is.",
                ("percent",),
                percent={
                    "description": "Share of the requests.",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 100,
                    "examples": [100],
                },
            ),
        ),
        release=_object(
            "How Prod's traffic comes to a new version.",
            ("strategy", "bake_seconds", "alarms"),
            strategy={
                "description": "How traffic moves to the new instances. The tier says which "
                "strategies it allows.",
                "type": "object",
                "required": ["type"],
                "properties": {
                    "type": {
                        "description": "all-at-once, canary, linear, a-b or shadow.",
                        "enum": list(_STRATEGY_FIELDS),
                        "examples": ["canary"],
                    }
                },
                "allOf": [_of_type(kind, fields) for kind, fields in _STRATEGY_FIELDS.items()],
            },
            bake_seconds={
                "description": "How long the release goes on after all traffic has moved; it ends "
                "well only if no alarm goes off meanwhile.",
                "type": "integer",
                "minimum": 0,
                "maximum": 86_400,
                "examples": [600],
            },
            alarms={
                "description": "Alarms on what serves; they stay. One that goes off takes the "
                "version back: SageMaker does while it deploys, after that a rollback, once for a "
                "release. "
                "SageMaker takes ten, and one of them is ours.",
                "type": "array",
                "maxItems": 9,
                "items": _object(
                    "A CloudWatch alarm on a metric of the endpoint.",
                    (
                        "name",
                        "metric",
                        "statistic",
                        "period_seconds",
                        "evaluation_periods",
                        "comparison",
                        "threshold",
                    ),
                    name={
                        "description": "Unique in this file; CloudWatch calls it governed-path-"
                        "ENDPOINT-NAME.",
                        **_NAME,
                        "examples": ["server-errors"],
                    },
                    metric={
                        "description": "A metric of namespace AWS/SageMaker. Latencies are in "
                        "microseconds.",
                        "enum": list(_METRICS),
                        "examples": ["Invocation5XXErrors"],
                    },
                    statistic={
                        "description": "Sum, Average, Minimum, Maximum, SampleCount, or a "
                        "percentile.",
                        "type": "string",
                        "pattern": "^(Sum|Average|Minimum|Maximum|SampleCount|"
                        "p([1-9]?[0-9](\\.[0-9]{1,2})?|100))$",
                        "examples": ["Sum", "p95"],
                    },
                    period_seconds={
                        "description": "SageMaker publishes a value a minute.",
                        "type": "integer",
                        "minimum": 60,
                        "maximum": 3600,
                        "multipleOf": 60,
                        "examples": [60],
                    },
                    evaluation_periods={
                        "description": "How many periods in a row must be bad.",
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 24,
                        "examples": [1],
                    },
                    comparison={
                        "description": "What is bad, of the value to the threshold.",
                        "enum": list(_COMPARISONS),
                        "examples": ["GreaterThanThreshold"],
                    },
                    threshold={
                        "description": "In the unit of the metric.",
                        "type": "number",
                        "examples": [0],
                    },
                ),
            },
        ),
        suites={
            "description": "Tests at the live Test endpoint, besides those that the tier requires.",
            "type": "array",
            "maxItems": 40,
            "items": _object(
                "One suite: one of ours by name, or a team's own by its function.",
                ("name",),
                name={
                    "description": "Unique in this file.",
                    **_NAME,
                    "examples": ["contract"],
                },
                entry_point={
                    "description": "The team's Lambda function governed-path-suite-..., by name or "
                    "ARN; without it, the suite is one of ours.",
                    "type": "string",
                    "pattern": "^(arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:)?"
                    "governed-path-suite-[a-zA-Z0-9_-]{1,40}(:[a-zA-Z0-9_$-]{1,128})?$",
                    "maxLength": 256,
                    "examples": ["governed-path-suite-plausibility"],
                },
                parameters={
                    "description": "What the suite is told; it says itself what it takes.",
                    "type": "object",
                    "maxProperties": 50,
                    "examples": [{"concurrency": 4}],
                },
            ),
        },
        thresholds={
            "description": "Stricter limits than the tier's, named as there: <metric>_min or "
            "<metric>_max. A looser one is refused.",
            "type": "object",
            "maxProperties": 50,
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]*_(min|max)$", "maxLength": 64},
            "additionalProperties": {"type": "number"},
            "examples": [{"latency_p95_ms_max": 200}],
        },
    ),
}


def definition_problems(document: Any, tier: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """[{path, reason}] of everything that a deployment definition gets wrong; [] if it is one.

    By its schema, and, once it keeps that, by what a schema cannot say and what the tier policy
    bounds; without `tier` it is held against none.
    """
    broken = places(DEPLOYMENT_DEFINITION, document)
    found = [{"path": path, "reason": reason} for path, reason in broken]
    return found or definitions.problems(document, tier)


def deployment_definition(document: Any) -> dict[str, Any]:
    """The document, if it is a deployment definition; InvalidInputError says what is not."""
    found = definition_problems(document, None)
    if found:
        said = "; ".join(definitions.describe(problem) for problem in found)
        raise InvalidInputError(f"the deployment definition is not valid: {said}")
    definition: dict[str, Any] = document
    return definition
