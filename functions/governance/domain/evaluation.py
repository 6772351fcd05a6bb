"""The evaluation report: what the training pipeline measured on the fixed holdout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def facts(report: Mapping[str, Any], problems: Sequence[str]) -> dict[str, Any]:
    """What the gate needs of a report: {valid, problems, metrics, subgroup_auc_gap}.

    `problems` are the places where the report breaks its schema; a report that has some is
    quoted no further.
    """
    if problems:
        return {
            "valid": False,
            "problems": list(problems),
            "metrics": {},
            "subgroup_auc_gap": None,
        }
    return {
        "valid": True,
        "problems": [],
        "metrics": dict(report["metrics"]),
        "subgroup_auc_gap": subgroup_auc_gap(report["subgroups"]),
    }


def subgroup_auc_gap(subgroups: Sequence[Mapping[str, Any]]) -> float | None:
    """The largest difference in AUC between two subgroups of one attribute.

    None if no attribute has two subgroups in which an AUC could be computed (both labels occur).
    """
    by_attribute: dict[str, list[float]] = {}
    for subgroup in subgroups:
        if subgroup["auc"] is not None:
            by_attribute.setdefault(subgroup["attribute"], []).append(subgroup["auc"])
    gaps = [max(aucs) - min(aucs) for aucs in by_attribute.values() if len(aucs) > 1]
    return max(gaps, default=None)
