"""Documents that people and pipelines write: the evaluation report and the tier policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from governance.contracts.validation import problems
from governance.domain.errors import InvalidInputError

_TEXT = {"type": "string", "minLength": 1}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
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

TIER_POLICY: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "governed-path/tier/v1",
    "description": "What a risk tier demands of a candidate. Thresholds are named <metric>_min or "
    "<metric>_max.",
    "type": "object",
    "required": ["tier", "thresholds", "description_min_chars"],
    "additionalProperties": False,
    "properties": {
        "tier": {"enum": ["low", "medium", "high"]},
        "thresholds": {
            "type": "object",
            "required": ["auc_min", "calibration_error_max", "brier_max", "latency_p95_ms_max"],
            "additionalProperties": False,
            "properties": {
                "auc_min": _SHARE,
                "calibration_error_max": _SHARE,
                "brier_max": _SHARE,
                "subgroup_auc_gap_max": _SHARE,
                "latency_p95_ms_max": {"type": "number", "exclusiveMinimum": 0},
            },
        },
        "description_min_chars": {"type": "integer", "minimum": 1},
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


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON number")


def tier_policy(document: Any) -> dict[str, Any]:
    """The document, if it is a tier policy; InvalidInputError says what is not."""
    found = problems(TIER_POLICY, document)
    if found:
        raise InvalidInputError(f"the tier policy is not valid: {'; '.join(found)}")
    policy: dict[str, Any] = document
    return policy
