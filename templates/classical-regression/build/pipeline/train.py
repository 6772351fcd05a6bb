"""Step 2: fit and calibrate the classifier; write the model directory, or model.tar.gz.

Standardised logistic regression, calibrated by Platt scaling on out-of-fold scores. What is
stored is its parameters, plain numbers, not a pickled estimator: the version of scikit-learn that
trained need not be the one in the serving image.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline import archive
from pipeline.errors import PipelineError, exit_code
from pipeline.features import DECISION_PROBABILITY, LABEL, NAMES, matrix
from pipeline.metrics import metrics
from pipeline.prepare import from_csv

ALGORITHM = "logistic regression on standardised features with Platt calibration"
MODEL_SCHEMA = "classical-regression/model/v1"
DEFAULT_C = 0.3
DEFAULT_SEED = 20240501
FOLDS = 10
_SOLVER = {"solver": "newton-cholesky", "tol": 1e-10, "max_iter": 1000}
_DIGITS = 10  # of a parameter: what BLAS builds may disagree about must not change the bytes
_HERE = Path(__file__).parent

CODE_REQUIREMENTS = (
    "# The serving image brings everything that inference.py imports; a model server without\n"
    "# network access must be able to start.\n"
)


def fit(values: Any, labels: Any, c: float, seed: int) -> dict[str, Any]:
    """The parameters of a calibrated model of `values` (rows x features) and `labels` (0 or 1).

    `c` is the inverse strength of the L2 penalty, `seed` shuffles the folds of the calibration.
    """
    estimator = make_pipeline(StandardScaler(), LogisticRegression(C=c, **_SOLVER))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(estimator, values, labels, cv=folds, method="decision_function")
    # Practically unpenalised: Platt's two parameters.
    platt = LogisticRegression(C=1e9, **_SOLVER).fit(scores.reshape(-1, 1), labels)
    slope, offset = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    estimator.fit(values, labels)
    scaler, classifier = estimator[0], estimator[-1]
    return {
        "schema": MODEL_SCHEMA,
        "algorithm": ALGORITHM,
        "features": NAMES,
        "mean": _numbers(scaler.mean_),
        "scale": _numbers(scaler.scale_),
        "coefficients": _numbers(slope * classifier.coef_[0]),
        "intercept": _numbers(slope * classifier.intercept_ + offset)[0],
        "decision_probability": DECISION_PROBABILITY,
        "training": {
            "rows": len(labels),
            "positives": int(np.sum(labels)),
            "hyperparameters": {"c": c, "seed": seed, "folds": FOLDS},
            "out_of_fold": metrics(labels, platt.predict_proba(scores.reshape(-1, 1))[:, 1]),
            "scikit_learn": sklearn.__version__,
        },
    }


def write_model(model: dict[str, Any], directory: Path) -> None:
    """Write what the serving image expects: model.joblib and code/ with the entry point."""
    code = directory / "code"
    code.mkdir(parents=True, exist_ok=True)
    # A round trip through JSON leaves nothing but plain values, whose pickle is reproducible.
    joblib.dump(json.loads(json.dumps(model)), directory / "model.joblib", protocol=4)
    for name in ("inference.py", "features.json"):
        shutil.copyfile(_HERE / name, code / name)
    (code / "requirements.txt").write_text(CODE_REQUIREMENTS, encoding="utf-8")


def train(train_csv: Path, model_dir: Path, c: float, seed: int) -> dict[str, Any]:
    """Run the step; returns the model's parameters. PipelineError if the data do not serve."""
    if not c > 0:
        raise PipelineError(f"--c is {c}; expected a number above 0")
    rows = from_csv(train_csv)
    labels = np.array([int(row[LABEL]) for row in rows])
    if min(labels.sum(), len(labels) - labels.sum()) < FOLDS:
        raise PipelineError(
            f"{train_csv} has {len(labels)} rows, {labels.sum()} of them positive; "
            f"expected at least {FOLDS} of each label"
        )
    model = fit(np.array(matrix(rows)), labels, c, seed)
    write_model(model, model_dir)
    return model


def parser() -> argparse.ArgumentParser:
    """The step's command line."""
    arguments = argparse.ArgumentParser(prog="python -m pipeline.train", description=__doc__)
    arguments.add_argument("--train", type=Path, required=True, help="directory with train.csv")
    arguments.add_argument("--model-dir", type=Path, required=True, help="directory to write to")
    arguments.add_argument(
        "--archive", type=Path, help="also pack the directory as this model.tar.gz"
    )
    arguments.add_argument("--c", type=float, default=DEFAULT_C, help="inverse L2 strength")
    arguments.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of the folds")
    return arguments


def main() -> int:
    """Entry point of `python -m pipeline.train`."""
    options = parser().parse_args()

    def step() -> None:
        model = train(options.train / "train.csv", options.model_dir, options.c, options.seed)
        if options.archive:
            options.archive.write_bytes(archive.pack(options.model_dir))
        print(json.dumps(model["training"]))

    return exit_code(step)


def _numbers(values: Any) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]


if __name__ == "__main__":
    raise SystemExit(main())
