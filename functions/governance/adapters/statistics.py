"""Statistics of a binary classifier, by scikit-learn and scipy, which a layer brings.

Imported when a suite runs, not with this module: it takes a second and most functions never do.
Intervals are bootstrapped with a fixed seed, so that the same rows give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

BINS = 10
_SEED = 20240501
_AT_ONCE = 5_000_000  # numbers of resampled rows in memory
_ENOUGH = 20_000  # rows, from which on fewer resamples tell the same
_FEW = 199

Interval = dict[str, Any]


def metrics(labels: Sequence[int], probabilities: Sequence[float]) -> dict[str, float | None]:
    """{auc, brier, calibration_error} of predicted probabilities against labels 0 and 1.

    auc is None where only one of the two labels occurs. calibration_error is the expected
    calibration error: the mean distance between predicted and observed frequency over ten bins
    of equal width, weighted by their rows.
    """
    import numpy as np
    from sklearn.metrics import brier_score_loss, roc_auc_score

    truth = np.asarray(labels, dtype=int)
    predicted = np.asarray(probabilities, dtype=float)
    both = 0 < truth.sum() < len(truth)
    return {
        "auc": float(roc_auc_score(truth, predicted)) if both else None,
        "brier": float(brier_score_loss(truth, predicted)),
        "calibration_error": float(_calibration_error(truth, predicted)),
    }


def intervals(
    labels: Sequence[int],
    probabilities: Sequence[float],
    resamples: int = 999,
    confidence: float = 0.95,
    least: int = 2,
) -> dict[str, Interval]:
    """{auc, brier, calibration_error}, each {value, low, high}; None where it cannot be told.

    Rows are resampled; for the AUC, those of each label by themselves. With fewer than `least` of
    these there is no interval.
    """
    import numpy as np

    truth = np.asarray(labels, dtype=int)
    predicted = np.asarray(probabilities, dtype=float)
    values = metrics(labels, probabilities)
    positive, negative = predicted[truth == 1], predicted[truth == 0]
    rows = np.arange(len(truth))
    settings = (resamples, confidence, least)
    return {
        "auc": _interval(values["auc"], (positive, negative), _auc, *settings),
        "brier": _interval(
            values["brier"],
            ((predicted - truth) ** 2,),
            lambda errors, axis: errors.mean(axis=axis),
            *settings,
        ),
        "calibration_error": _interval(
            values["calibration_error"],
            (rows,),
            lambda chosen, axis: _calibration_error(truth[chosen], predicted[chosen]),
            *settings,
        ),
    }


def subgroup(
    labels: Sequence[int],
    probabilities: Sequence[float],
    decisions: Sequence[int],
    resamples: int = 999,
    confidence: float = 0.95,
    least: int = 2,
) -> dict[str, Any]:
    """What is measured of one subgroup: intervals, rates, and mean against observed."""
    positives = sum(labels)
    found = sum(decision for decision, label in zip(decisions, labels, strict=True) if label)
    rows = len(labels)
    return {
        "rows": rows,
        "positives": positives,
        **intervals(labels, probabilities, resamples, confidence, least),
        "mean_probability": math.fsum(probabilities) / rows,
        "observed": positives / rows,
        "selection_rate": sum(decisions) / rows,
        "true_positive_rate": found / positives if positives else None,
    }


def calibration_curve(
    labels: Sequence[int], probabilities: Sequence[float]
) -> list[dict[str, float]]:
    """[{predicted, observed}] of the bins of equal width that have rows."""
    from sklearn import calibration

    observed, predicted = calibration.calibration_curve(
        labels, probabilities, n_bins=BINS, strategy="uniform"
    )
    return [
        {"predicted": round(float(one), 6), "observed": round(float(other), 6)}
        for one, other in zip(predicted, observed, strict=True)
    ]


def paired(
    labels: Sequence[int],
    champion: Sequence[float],
    challenger: Sequence[float],
    resamples: int = 999,
    confidence: float = 0.99,
    least: int = 2,
) -> dict[str, Interval | None]:
    """{auc_difference, brier_difference} of challenger minus champion on the same rows.

    Each row is resampled with both answers to it. The AUC's is None where one label is missing, and
    with fewer than `least` rows of one it has no interval: of a few rows the bootstrap makes a
    narrower one than it says.
    """
    import numpy as np

    truth = np.asarray(labels, dtype=int)
    old, new = np.asarray(champion, dtype=float), np.asarray(challenger, dtype=float)
    positive, negative = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)

    def difference(ones: Any, zeros: Any, axis: int = -1) -> Any:
        return _auc(new[ones], new[zeros], axis) - _auc(old[ones], old[zeros], axis)

    errors = (new - truth) ** 2 - (old - truth) ** 2
    both = len(positive) and len(negative)
    settings = (resamples, confidence, least)
    return {
        "auc_difference": _interval(
            float(difference(positive, negative)), (positive, negative), difference, *settings
        )
        if both
        else None,
        "brier_difference": _interval(
            float(errors.mean()), (errors,), lambda one, axis: one.mean(axis=axis), *settings
        ),
    }


def decisions(
    labels: Sequence[int], champion: Sequence[int], challenger: Sequence[int], confidence: float
) -> dict[str, Any]:
    """McNemar's exact test of who decides rightly where the two differ."""
    from scipy import stats

    pairs = [
        (old == bool(label), new == bool(label))
        for label, old, new in zip(labels, champion, challenger, strict=True)
    ]
    lost = sum(old and not new for old, new in pairs)
    won = sum(new and not old for old, new in pairs)
    p_value = float(stats.binomtest(won, won + lost, 0.5).pvalue) if won + lost else 1.0
    return {
        "only_champion_right": lost,
        "only_challenger_right": won,
        "p_value": p_value,
        "alpha": round(1 - confidence, 6),
    }


def _auc(positive: Any, negative: Any, axis: int = -1) -> Any:
    """The AUC is Mann and Whitney's U as a share of all pairs."""
    from scipy import stats

    ranked = stats.mannwhitneyu(positive, negative, axis=axis, method="asymptotic")
    return ranked.statistic / (positive.shape[axis] * negative.shape[axis])


def _calibration_error(truth: Any, predicted: Any) -> Any:
    """Along the last axis."""
    import numpy as np

    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    distance = sum(
        np.abs(np.where(bins == number, predicted - truth, 0.0).sum(axis=-1))
        for number in range(BINS)
    )
    return distance / truth.shape[-1]


def _interval(
    value: float | None,
    samples: tuple[Any, ...],
    statistic: Callable[..., Any],
    resamples: int,
    confidence: float,
    least: int,
) -> Interval:
    """{value, low, high}; the bounds are None where there is too little to resample."""
    import numpy as np
    from scipy import stats

    nothing = {"value": value, "low": None, "high": None}
    if value is None or any(len(sample) < max(least, 2) for sample in samples):
        return nothing
    rows = sum(len(sample) for sample in samples)
    found = stats.bootstrap(
        samples,
        statistic,
        n_resamples=resamples if rows <= _ENOUGH else min(resamples, _FEW),
        batch=max(1, _AT_ONCE // rows),
        vectorized=True,
        paired=False,
        axis=-1,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    low, high = float(found.low), float(found.high)
    if not (math.isfinite(low) and math.isfinite(high)):
        return nothing
    return {"value": value, "low": low, "high": high}


def rounded(found: Mapping[str, Any], digits: int = 6) -> dict[str, Any]:
    """The same with every number to that many digits: a report is read by people."""
    return {key: _round(value, digits) for key, value in found.items()}


def _round(value: Any, digits: int) -> Any:
    if isinstance(value, float):
        return round(value, digits)
    return rounded(value, digits) if isinstance(value, Mapping) else value
