"""Documents that people and pipelines write: evaluation report, libraries, tier policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from governance.contracts.validation import problems
from governance.domain.errors import InvalidInputError
from governance.domain.policy_request import DIGITS as _DIGITS
from governance.domain.suites import BUILT_IN

_TEXT = {"type": "string", "minLength": 1}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_MEASURE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000}
_COUNT = {"type": "integer", "minimum": 0}
_OPTIONAL_SHARE = {"type": ["number", "null"], "minimum": 0, "maximum": 1}

EVALUATION_REPORT: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "governed-path/evaluation/v1",
    "type": "object",
    "required": ["schema", "model", "holdout", "threshold", "metrics", "subgroups", "created_at"],
    "additionalProperties": False,
    "properties": {
        "schema": {"const": "governed-path/evaluation/v1"},
        "model": _TEXT,
        "created_at": _TEXT,
        "holdout": {
            "type": "object",
            "required": ["uri", "version_id", "sha256", "rows", "positives"],
            "additionalProperties": False,
            "properties": {
                "uri": {"type": "string", "pattern": "^s3://"},
                "version_id": _TEXT,
                "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                "rows": {"type": "integer", "minimum": 1},
                "positives": _COUNT,
            },
        },
        "threshold": {
            "type": "object",
            "required": ["name", "value", "rationale"],
            "additionalProperties": False,
            "properties": {"name": _TEXT, "value": {"type": "number"}, "rationale": _TEXT},
        },
        "metrics": {
            "type": "object",
            "required": ["auc", "brier", "calibration_error"],
            "additionalProperties": False,
            "properties": {"auc": _SHARE, "brier": _SHARE, "calibration_error": _SHARE},
        },
        # The curve that the error sums up; for people, no rule asks for it.
        "calibration": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["from", "to", "rows", "predicted", "observed"],
                "additionalProperties": False,
                "properties": {
                    "from": _SHARE,
                    "to": _SHARE,
                    "rows": {"type": "integer", "minimum": 1},
                    "predicted": _SHARE,
                    "observed": _SHARE,
                },
            },
        },
        # Rows and what the packed model said to them: the suite `golden` asks the endpoint again.
        "golden": {
            "type": "array",
            "minItems": 1,
            "maxItems": 100,
            "items": {
                "type": "object",
                "required": ["instance", "probability"],
                "additionalProperties": False,
                "properties": {
                    "instance": {"type": "object", "minProperties": 1},
                    "probability": _SHARE,
                },
            },
        },
        # How the subgroups are formed of the holdout's columns, so that the suites form the same.
        "attributes": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "column"],
                "additionalProperties": False,
                "properties": {
                    "name": _TEXT,
                    "column": _TEXT,
                    "bands": {
                        "type": "array",
                        "minItems": 2,
                        "items": {
                            "type": "object",
                            "required": ["value", "from"],
                            "additionalProperties": False,
                            "properties": {"value": _TEXT, "from": {"type": "number"}},
                        },
                    },
                },
            },
        },
        "subgroups": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": [
                    "attribute",
                    "value",
                    "rows",
                    "positives",
                    "auc",
                    "brier",
                    "calibration_error",
                ],
                "additionalProperties": False,
                "properties": {
                    "attribute": _TEXT,
                    "value": _TEXT,
                    "rows": {"type": "integer", "minimum": 1},
                    "positives": _COUNT,
                    "auc": _OPTIONAL_SHARE,
                    "brier": _SHARE,
                    "calibration_error": _SHARE,
                },
            },
        },
    },
}


LIBRARIES: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "governed-path/libraries/v1",
    "description": "The exact versions of the libraries that a model is served with.",
    "type": "object",
    "required": ["schema", "libraries"],
    "additionalProperties": False,
    "properties": {
        "schema": {"const": "governed-path/libraries/v1"},
        "libraries": {
            "type": "object",
            "maxProperties": 500,
            "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"},
            "additionalProperties": {
                "type": "string",
                "pattern": "^[A-Za-z0-9][A-Za-z0-9._+!-]{0,99}$",
            },
        },
    },
}


_REGISTRIES = {
    "type": "array",
    "items": {"type": "string", "pattern": "^[0-9]{12}$"},
    "uniqueItems": True,
}


def _some(*names: str) -> dict[str, Any]:
    return {"type": "array", "items": {"enum": list(names)}, "uniqueItems": True}


TIER_POLICY: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "governed-path/tier/v1",
    "description": "What a risk tier demands of a candidate. The rules that ask for it are in "
    "approvals.cedar, every number and list that they compare with is here.",
    "type": "object",
    "required": [
        "tier",
        "thresholds",
        "required_suites",
        "description_min_chars",
        "required_reviews",
        "separate_people",
        "review_valid_days",
        "break_glass",
        "required_card_sections",
        "image_scan",
        "images_by_reference",
        "release",
    ],
    "additionalProperties": False,
    "properties": {
        "tier": {"enum": ["low", "medium", "high"]},
        "thresholds": {
            "description": "Named <metric>_min or <metric>_max; at most four digits after the "
            "point, which is what Cedar compares.",
            "type": "object",
            "required": ["auc_min", "calibration_error_max", "brier_max", "latency_p95_ms_max"],
            "additionalProperties": False,
            "properties": {
                "auc_min": _SHARE,
                "calibration_error_max": _SHARE,
                "brier_max": _SHARE,
                "subgroup_auc_gap_max": _SHARE,
                "latency_p95_ms_max": _MEASURE,
                "subgroup_bias_max": {
                    "description": "How far the mean probability of a subgroup may be from what "
                    "was observed in it.",
                    **_SHARE,
                },
                "latency_p99_ms_max": _MEASURE,
                "throughput_rps_min": _MEASURE,
                "cold_start_seconds_max": _MEASURE,
                "champion_loss_max": {
                    "description": "How much worse than the champion, in AUC or Brier score, a "
                    "challenger may be proven to be.",
                    **_SHARE,
                },
                "subgroups_not_judged_max": {
                    "description": "How many subgroups may have too few rows of a label to be "
                    "compared with the champion; without it any number, named in the report.",
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 1000,
                },
            },
        },
        "required_suites": {
            "description": "Suites that must try a version in Test, whatever its deployment "
            "definition chooses; comparison only where there is a champion to compare with.",
            **_some(*BUILT_IN),
        },
        "description_min_chars": {
            "description": "Of the signature for Prod and of a break-glass request.",
            "type": "integer",
            "minimum": 1,
            "maximum": 1024,
        },
        "required_reviews": {
            "description": "Kinds of review that must be in force before Prod.",
            **_some("technical", "business", "compliance", "deployment"),
        },
        "separate_people": {
            "description": "Who must be different people, besides the trainer from everybody: the "
            "approvers of Dev, Test and Prod; the reviewers of each required kind; who signs for "
            "Prod and who reviewed.",
            **_some("approvers", "reviewers", "approver-and-reviewers"),
        },
        "review_valid_days": {
            "description": "After that, a review or an approval counts no more.",
            "type": "integer",
            "minimum": 1,
            "maximum": 3650,
        },
        "break_glass": {
            "description": "Whether an emergency request of a second person may stand in for "
            "missing reviews, how long it counts, and until when they must be given afterwards.",
            "type": "object",
            "required": ["allowed", "valid_hours", "review_within_hours"],
            "additionalProperties": False,
            "properties": {
                "allowed": {"type": "boolean"},
                "valid_hours": {"type": "integer", "minimum": 1, "maximum": 720},
                "review_within_hours": {"type": "integer", "minimum": 1, "maximum": 720},
            },
        },
        "required_card_sections": {
            "description": "Sections of the model card that must say something.",
            **_some(
                "model_overview",
                "intended_uses",
                "business_details",
                "training_details",
                "evaluation_details",
                "additional_information",
            ),
        },
        "image_scan": {
            "description": "Critical findings that a container image may have; whether an image "
            "without a finished scan is refused, and registries (accounts) whose images are "
            "accepted without one, because their owner does not show us their scans.",
            "type": "object",
            "required": ["required", "critical_max", "accepted_registries"],
            "additionalProperties": False,
            "properties": {
                "required": {"type": "boolean"},
                "critical_max": _COUNT,
                "accepted_registries": _REGISTRIES,
            },
        },
        "images_by_reference": {
            "description": "Registries (accounts) whose images are used where they are, by "
            "digest; every other image is copied to Central.",
            **_REGISTRIES,
        },
        "release": {
            "description": "What a deployment definition may say: the strategies it may choose, "
            "how long it must bake at least, and the metrics that an alarm must watch.",
            "type": "object",
            "required": ["strategies", "bake_seconds_min", "alarms"],
            "additionalProperties": False,
            "properties": {
                "strategies": {
                    **_some("all-at-once", "canary", "linear", "a-b", "shadow"),
                    "minItems": 1,
                },
                "bake_seconds_min": {"type": "integer", "minimum": 0, "maximum": 86_400},
                "alarms": _some(
                    "Invocation4XXErrors",
                    "Invocation5XXErrors",
                    "InvocationModelErrors",
                    "ModelLatency",
                    "OverheadLatency",
                ),
            },
        },
    },
}


def evaluation_problems(report: Any) -> list[str]:
    """Every place where an evaluation report breaks its schema; empty if it is valid."""
    return problems(EVALUATION_REPORT, report)


def evaluation_report(body: bytes) -> tuple[dict[str, Any], list[str]]:
    """(report, problems) of the bytes of an evaluation report; no report if there are problems.

    NaN and Infinity, which Python would read, are not JSON: no bound of a schema or of a tier
    would catch a metric that is not a number.
    """
    try:
        report = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return {}, [f"the report is not JSON: {error}"]
    found = evaluation_problems(report)
    return ({}, found) if found else (report, [])


def libraries(body: bytes) -> tuple[dict[str, str], list[str]]:
    """({name: version}, problems) of the bytes of a list of libraries; none if it has problems."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        return {}, [f"it is not JSON: {error}"]
    found = problems(LIBRARIES, document)
    return ({}, found) if found else (dict(document["libraries"]), [])


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON number")


def tier_problems(document: Any) -> list[str]:
    """Every place where a tier policy breaks its schema; empty if it is valid."""
    found = problems(TIER_POLICY, document)
    return found or [
        f"thresholds.{name}: is {limit}; expected at most {_DIGITS} digits after the point"
        for name, limit in document["thresholds"].items()
        if round(limit, _DIGITS) != limit
    ]


def tier_policy(document: Any) -> dict[str, Any]:
    """The document, if it is a tier policy; InvalidInputError says what is not."""
    found = tier_problems(document)
    if found:
        raise InvalidInputError(f"the tier policy is not valid: {'; '.join(found)}")
    policy: dict[str, Any] = document
    return policy
