"""Step 1: read the study, set the fixed holdout aside, upload both parts as versioned objects.

Writes to --output: train/train.csv, holdout/holdout.csv and reference/ with dataset.json (where
the two are in S3), statistics.json, constraints.json and sample-payload.json.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from sklearn.datasets import load_diabetes

from pipeline import baselines
from pipeline.errors import PipelineError, exit_code
from pipeline.features import (
    FEATURES,
    HIGH_RISK_PROGRESSION,
    LABEL,
    NAMES,
    age_band,
    matrix,
    number,
    sex_code,
)
from pipeline.storage import Store

Row = dict[str, str]

SOURCE = "scikit-learn:diabetes"  # the study's name in the lineage
# SHA-256 of all 442 patients as CSV. Another source would silently be another holdout. Of the
# text, not of the floats: versions of scikit-learn read the last bit of some of them differently.
SOURCE_SHA256 = "e990e615237b56c89491a2541aac6a9f6b95d4424e17590b2617f832afa1d303"
HOLDOUT_SHARE = 0.25
HOLDOUT_SEED = "clinical-risk/holdout/v1"
COLUMNS = ["patient", *NAMES, "progression", LABEL]
SAMPLES = 2


def patients() -> list[Row]:
    """Every patient of the study, as text by column.

    `patient` is the row's number in the source, from 1: who is in the holdout never changes.
    PipelineError if scikit-learn ships other data than this pipeline was made for.
    """
    study: Any = load_diabetes(scaled=False)
    places = [list(study.feature_names).index(feature["source"]) for feature in FEATURES]
    rows = [
        {
            "patient": str(position),
            **{name: number(values[place]) for name, place in zip(NAMES, places, strict=True)},
            "progression": number(outcome),
            LABEL: str(int(outcome > HIGH_RISK_PROGRESSION)),
        }
        for position, (values, outcome) in enumerate(
            zip(study.data, study.target, strict=True), start=1
        )
    ]
    found = hashlib.sha256(to_csv(rows)).hexdigest()
    if found != SOURCE_SHA256:
        raise PipelineError(
            f"scikit-learn's diabetes study has sha256 {found}; expected {SOURCE_SHA256}. "
            "The holdout would change: review the new data and set SOURCE_SHA256"
        )
    return rows


def split(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """(train, holdout): a quarter of every stratum of label, sex and age band is held out.

    Who is chosen follows from a digest of seed and patient number alone: no library's random
    numbers and no order of rows can move a patient from one part to the other.
    """
    strata: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        group = (row[LABEL], sex_code(float(row["sex"])), age_band(float(row["age"])))
        strata[group].append(row)
    held_out: set[str] = set()
    for members in strata.values():
        drawn = sorted(members, key=lambda row: _draw(row["patient"]))
        held_out |= {row["patient"] for row in drawn[: round(len(drawn) * HOLDOUT_SHARE)]}
    return (
        [row for row in rows if row["patient"] not in held_out],
        [row for row in rows if row["patient"] in held_out],
    )


def to_csv(rows: Sequence[Row]) -> bytes:
    """The rows as CSV with the header COLUMNS."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def from_csv(path: Path) -> list[Row]:
    """The rows of a CSV file that `to_csv` wrote; PipelineError if its columns are others."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise PipelineError(f"{path} has columns {reader.fieldnames}; expected {COLUMNS}")
        return list(reader)


def instance(row: Row) -> dict[str, float]:
    """One patient as the endpoint takes it."""
    return {name: float(row[name]) for name in NAMES}


def prepare(store: Store, model: str, output: Path) -> dict[str, Any]:
    """Run the step; returns the content of dataset.json: {dataset, holdout}, each with uri,
    version_id, sha256, size (bytes), rows and positives."""
    train, holdout = split(patients())
    references = {}
    for part, name, rows in (("dataset", "train", train), ("holdout", "holdout", holdout)):
        body = to_csv(rows)
        _write(output / name / f"{name}.csv", body)
        stored = store.put(f"datasets/{model}", f"{name}.csv", body, "text/csv")
        positives = sum(int(row[LABEL]) for row in rows)
        references[part] = {**stored.as_dict(), "rows": len(rows), "positives": positives}
    values = matrix(train)
    sample = {"instances": [instance(row) for row in train[:SAMPLES]]}
    for name, content in (
        ("dataset", references),
        ("statistics", baselines.statistics(values)),
        ("constraints", baselines.constraints(values)),
        ("sample-payload", sample),
    ):
        _write(output / "reference" / f"{name}.json", json.dumps(content, indent=1).encode())
    return references


def parser() -> argparse.ArgumentParser:
    """The step's command line."""
    arguments = argparse.ArgumentParser(prog="python -m pipeline.prepare", description=__doc__)
    arguments.add_argument("--bucket", required=True, help="versioned bucket for the data")
    arguments.add_argument("--model-package-group", required=True, help="name of the model")
    arguments.add_argument("--kms-key", default="", help="KMS key id or ARN; default: the bucket's")
    arguments.add_argument("--output", type=Path, required=True, help="directory to write to")
    return arguments


def main() -> int:
    """Entry point of `python -m pipeline.prepare`."""
    options = parser().parse_args()

    def step() -> None:
        store = Store(boto3.client("s3"), options.bucket, options.kms_key)
        print(json.dumps(prepare(store, options.model_package_group, options.output)))

    return exit_code(step)


def _draw(patient: str) -> str:
    return hashlib.sha256(f"{HOLDOUT_SEED}:{patient}".encode()).hexdigest()


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


if __name__ == "__main__":
    raise SystemExit(main())
