"""AUC, Brier score and calibration error of predicted probabilities, over all and per subgroup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import brier_score_loss, roc_auc_score

CALIBRATION_BINS = 10
_DIGITS = 6  # of a reported metric: more than 111 rows can mean, and equal on every machine


def metrics(labels: Sequence[int], probabilities: Sequence[float]) -> dict[str, float | None]:
    """{auc, brier, calibration_error}, each 0..1; auc is None where only one label occurs."""
    truth, predicted = np.asarray(labels, dtype=int), np.asarray(probabilities, dtype=float)
    both = 0 < int(truth.sum()) < len(truth)
    return {
        "auc": round(float(roc_auc_score(truth, predicted)), _DIGITS) if both else None,
        "brier": round(float(brier_score_loss(truth, predicted)), _DIGITS),
        "calibration_error": round(calibration_error(truth, predicted), _DIGITS),
    }


def calibration_error(truth: Any, predicted: Any) -> float:
    """Expected calibration error, 0..1.

    The distance between mean predicted and observed frequency, over ten bins of equal width,
    weighted by the bins' rows (Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated
    Probabilities Using Bayesian Binning, AAAI 2015, section "Calibration metrics"). It is what
    sklearn.calibration.calibration_curve draws, as one number; the Test account measures the same.
    """
    distance = sum(
        one["rows"] * abs(one["predicted"] - one["observed"]) for one in _bins(truth, predicted)
    )
    return float(distance) / len(truth)


def calibration_bins(labels: Sequence[int], probabilities: Sequence[float]) -> list[dict[str, Any]]:
    """The calibration curve: [{from, to, rows, predicted, observed}] of the bins that have rows.

    Ten bins of equal width; predicted is the mean probability of a bin's rows, observed the share
    of them with label 1.
    """
    found = _bins(np.asarray(labels, dtype=int), np.asarray(probabilities, dtype=float))
    return [
        {
            **one,
            "predicted": round(one["predicted"], _DIGITS),
            "observed": round(one["observed"], _DIGITS),
        }
        for one in found
    ]


def _bins(truth: Any, predicted: Any) -> list[dict[str, Any]]:
    numbers = np.minimum((predicted * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "from": number / CALIBRATION_BINS,
            "to": (number + 1) / CALIBRATION_BINS,
            "rows": int((numbers == number).sum()),
            "predicted": float(predicted[numbers == number].mean()),
            "observed": float(truth[numbers == number].mean()),
        }
        for number in sorted(set(numbers.tolist()))
    ]


def subgroup_metrics(
    attribute: str, groups: Sequence[str], labels: Sequence[int], probabilities: Sequence[float]
) -> list[dict[str, Any]]:
    """One entry {attribute, value, rows, positives, auc, brier, calibration_error} per group."""
    found = []
    for value in sorted(set(groups)):
        chosen = [index for index, group in enumerate(groups) if group == value]
        truth = [labels[index] for index in chosen]
        found.append(
            {
                "attribute": attribute,
                "value": value,
                "rows": len(chosen),
                "positives": sum(truth),
                **metrics(truth, [probabilities[index] for index in chosen]),
            }
        )
    return found
