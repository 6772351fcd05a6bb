"""Statistics of a binary classifier, by scikit-learn, which a layer brings for one function.

Imported when a suite runs, not with this module: it takes a second and most functions never do.
"""

from __future__ import annotations

from collections.abc import Sequence

BINS = 10


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
    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    distance = sum(
        abs(float((predicted[bins == number] - truth[bins == number]).sum()))
        for number in range(BINS)
    )
    return {
        "auc": float(roc_auc_score(truth, predicted)) if both else None,
        "brier": float(brier_score_loss(truth, predicted)),
        "calibration_error": distance / len(truth),
    }
