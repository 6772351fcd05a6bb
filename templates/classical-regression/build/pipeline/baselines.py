"""Drift baselines of the training features, in SageMaker Model Monitor's own file formats.

statistics.json and constraints.json as the monitor's prebuilt container writes them (SageMaker
developer guide: "Schema for Statistics", "Schema for Constraints").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.features import FEATURES

_BUCKETS = 10  # what the prebuilt container materialises
_SKETCH_K, _SKETCH_C = 2048, 0.64  # a KLL sketch of fewer than k values is the values themselves
_DIGITS = 6


def statistics(values: Sequence[Sequence[float]]) -> dict[str, Any]:
    """statistics.json of rows of feature values, in the order of FEATURES."""
    columns = np.asarray(values, dtype=float).T
    return {
        "version": 0.0,
        "dataset": {"item_count": len(values)},
        "features": [
            {
                "name": feature["name"],
                "inferred_type": _type(feature),
                "numerical_statistics": _numerical(column),
            }
            for feature, column in zip(FEATURES, columns, strict=True)
        ],
    }


def constraints(values: Sequence[Sequence[float]]) -> dict[str, Any]:
    """constraints.json: what data must look like to be like these rows."""
    columns = np.asarray(values, dtype=float).T
    return {
        "version": 0.0,
        "features": [
            {
                "name": feature["name"],
                "inferred_type": _type(feature),
                "completeness": 1.0,
                "num_constraints": {"is_non_negative": bool(column.min() >= 0)},
            }
            for feature, column in zip(FEATURES, columns, strict=True)
        ],
        "monitoring_config": {
            "evaluate_constraints": "Enabled",
            "emit_metrics": "Enabled",
            "datatype_check_threshold": 1.0,
            "domain_content_threshold": 1.0,
            "distribution_constraints": {
                "perform_comparison": "Enabled",
                "comparison_threshold": 0.1,
                "comparison_method": "Robust",
                "categorical_comparison_threshold": 0.1,
                "categorical_drift_method": "LInfinity",
            },
        },
    }


def _type(feature: dict[str, Any]) -> str:
    return "Integral" if feature["integer"] else "Fractional"


def _numerical(column: Any) -> dict[str, Any]:
    counts, edges = np.histogram(column, bins=_BUCKETS)
    return {
        "common": {"num_present": len(column), "num_missing": 0},
        "mean": _round(column.mean()),
        "sum": _round(column.sum()),
        "std_dev": _round(column.std()),
        "min": _round(column.min()),
        "max": _round(column.max()),
        "distribution": {
            "kll": {
                "buckets": [
                    {"lower_bound": _round(low), "upper_bound": _round(high), "count": int(count)}
                    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
                ],
                "sketch": {
                    "parameters": {"c": _SKETCH_C, "k": float(_SKETCH_K)},
                    "data": [[_round(value) for value in np.sort(column)]],
                },
            }
        },
    }


def _round(value: Any) -> float:
    return round(float(value), _DIGITS)
