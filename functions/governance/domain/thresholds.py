"""Thresholds: what of the measured is not good enough for a tier."""

from __future__ import annotations

from collections.abc import Mapping


def threshold_misses(
    measured: Mapping[str, float | None], thresholds: Mapping[str, float]
) -> list[tuple[str, float | None, str]]:
    """[(metric, value, bound)] of the measured metrics that miss their threshold.

    A threshold is named <metric>_min or <metric>_max. A metric that is in `measured` without a
    value misses its threshold: not measured is not good. One that is not in `measured` at all is
    none of this caller's.
    """
    misses = []
    for threshold, limit in sorted(thresholds.items()):
        metric, _, bound = threshold.rpartition("_")
        if metric not in measured:
            continue
        value = measured[metric]
        low = bound == "min"
        # Asked for what holds, not for what is broken: NaN is neither below nor above a limit.
        if value is None or not (value >= limit if low else value <= limit):
            misses.append((metric, value, f"{'at least' if low else 'at most'} {limit}"))
    return misses


def limit_of(metric: str, thresholds: Mapping[str, float]) -> tuple[str, float] | None:
    """("min" or "max", limit) of a metric, or None if the tier sets none."""
    for bound in ("min", "max"):
        if f"{metric}_{bound}" in thresholds:
            return bound, thresholds[f"{metric}_{bound}"]
    return None
