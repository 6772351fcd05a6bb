"""Step 3: score the holdout with the packed model, through its own inference code.

Reads model.tar.gz as the endpoint will and sends every patient through input_fn, predict_fn and
output_fn: what is measured is what will be served. Writes evaluation.json to --output.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline import archive
from pipeline.errors import PipelineError, exit_code
from pipeline.features import (
    ATTRIBUTES,
    HIGH_RISK_NAME,
    HIGH_RISK_PROGRESSION,
    HIGH_RISK_RATIONALE,
    LABEL,
    age_band,
    sex_code,
)
from pipeline.metrics import calibration_bins, metrics, subgroup_metrics
from pipeline.prepare import Row, from_csv, instance

EVALUATION_SCHEMA = "governed-path/evaluation/v1"
_JSON = "application/json"
GOLDEN_PREDICTIONS = 10  # rows whose probability the endpoint must give again, to the last digits
_HOLDOUT_MEMBERS = ("uri", "version_id", "sha256", "rows", "positives")


def evaluate(
    model_archive: Path, holdout_csv: Path, references: dict[str, Any], model: str
) -> dict[str, Any]:
    """The evaluation report (evaluation.schema.json) of a packed model on the holdout.

    `references` is the content of dataset.json. PipelineError if the holdout is not the one it
    names.
    """
    expected, found = references["holdout"]["sha256"], _sha256(holdout_csv)
    if found != expected:
        raise PipelineError(f"{holdout_csv} has sha256 {found}; dataset.json names {expected}")
    rows = from_csv(holdout_csv)
    labels = [int(row[LABEL]) for row in rows]
    probabilities = score(model_archive, rows)
    sexes = [sex_code(float(row["sex"])) for row in rows]
    bands = [age_band(float(row["age"])) for row in rows]
    return {
        "schema": EVALUATION_SCHEMA,
        "model": model,
        "holdout": {member: references["holdout"][member] for member in _HOLDOUT_MEMBERS},
        "threshold": {
            "name": HIGH_RISK_NAME,
            "value": HIGH_RISK_PROGRESSION,
            "rationale": HIGH_RISK_RATIONALE,
        },
        "metrics": metrics(labels, probabilities),
        "calibration": calibration_bins(labels, probabilities),
        "golden": golden(rows, probabilities),
        "attributes": ATTRIBUTES,
        "subgroups": [
            *subgroup_metrics("sex", sexes, labels, probabilities),
            *subgroup_metrics("age_band", bands, labels, probabilities),
        ],
        "created_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def golden(rows: list[Row], probabilities: list[float]) -> list[dict[str, Any]]:
    """[{instance, probability}] of holdout rows: what serves must say the same."""
    step = max(1, len(rows) // GOLDEN_PREDICTIONS)
    chosen = list(zip(rows, probabilities, strict=True))[::step][:GOLDEN_PREDICTIONS]
    return [{"instance": instance(row), "probability": known} for row, known in chosen]


def score(model_archive: Path, rows: list[Row]) -> list[float]:
    """The probabilities that the packed model gives to the rows, as a client would get them."""
    with tempfile.TemporaryDirectory() as directory:
        archive.unpack(model_archive, Path(directory))
        served = _load(Path(directory) / "code" / "inference.py")
        model = served.model_fn(directory)
    request = json.dumps({"instances": [instance(row) for row in rows]})
    predictions = served.predict_fn(served.input_fn(request, _JSON), model)
    body, _ = served.output_fn(predictions, _JSON)
    return [float(prediction["probability"]) for prediction in json.loads(body)["predictions"]]


def parser() -> argparse.ArgumentParser:
    """The step's command line."""
    arguments = argparse.ArgumentParser(prog="python -m pipeline.evaluate", description=__doc__)
    arguments.add_argument("--model-archive", type=Path, required=True, help="model.tar.gz")
    arguments.add_argument("--holdout", type=Path, required=True, help="directory with holdout.csv")
    arguments.add_argument("--reference", type=Path, required=True, help="prepare's reference/")
    arguments.add_argument("--model-package-group", required=True, help="name of the model")
    arguments.add_argument("--output", type=Path, required=True, help="directory to write to")
    return arguments


def main() -> int:
    """Entry point of `python -m pipeline.evaluate`."""
    options = parser().parse_args()

    def step() -> None:
        references = json.loads((options.reference / "dataset.json").read_bytes())
        report = evaluate(
            options.model_archive,
            options.holdout / "holdout.csv",
            references,
            options.model_package_group,
        )
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "evaluation.json").write_text(json.dumps(report, indent=1))
        print(json.dumps(report["metrics"]))

    return exit_code(step)


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("packed_inference", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PipelineError("model.tar.gz has no code/inference.py; pack it with the train step")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    raise SystemExit(main())
