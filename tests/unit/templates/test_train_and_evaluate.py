"""The model is reproducible, honest about its quality, and measured as it will be served."""

from __future__ import annotations

import hashlib
import io
import json
import math
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pipeline import archive, evaluate, metrics, train
from pipeline.errors import PipelineError
from pipeline.features import LABEL, NAMES, matrix
from pipeline.prepare import from_csv
from sklearn.calibration import calibration_curve

from governance import contracts
from governance.adapters import statistics

Run = dict[str, Any]


def test_two_trainings_give_the_same_bytes(trained: Run, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pipeline.train", "--train", trained["work"] / "train"),
            *("--model-dir", tmp_path / "model", "--archive", tmp_path / "model.tar.gz"),
        ],
        cwd=Path(train.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["rows"] == 332
    again = (tmp_path / "model.tar.gz").read_bytes()
    assert again == (trained["work"] / "model.tar.gz").read_bytes()


def test_two_evaluations_give_the_same_metrics(trained: Run) -> None:
    work = trained["work"]
    references = json.loads((work / "reference" / "dataset.json").read_text())
    first = json.loads((work / "evaluation.json").read_text())
    again = evaluate.evaluate(
        work / "model.tar.gz", work / "holdout" / "holdout.csv", references, first["model"]
    )
    assert {**again, "created_at": ""} == {**first, "created_at": ""}


@pytest.mark.parametrize("changed", [{"c": 1.0}, {"seed": 7}])
def test_other_hyperparameters_give_another_model(
    trained: Run, tmp_path: Path, changed: dict[str, Any]
) -> None:
    hyperparameters = {"c": train.DEFAULT_C, "seed": train.DEFAULT_SEED, **changed}
    train.train(trained["work"] / "train" / "train.csv", tmp_path, **hyperparameters)
    assert archive.pack(tmp_path) != (trained["work"] / "model.tar.gz").read_bytes()


def test_the_archive_says_nothing_of_when_and_by_whom_it_was_made(trained: Run) -> None:
    packed = (trained["work"] / "model.tar.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(packed)) as opened:
        members = opened.getmembers()
    assert [member.name for member in members] == [
        "code/features.json",
        "code/inference.py",
        "code/requirements.txt",
        "model.joblib",
    ]
    assert {(member.mtime, member.uid, member.gid, member.mode) for member in members} == {
        (0, 0, 0, 0o644)
    }


def test_the_parameters_are_plain_values(trained: Run) -> None:
    model = joblib.load(trained["work"] / "model" / "model.joblib")
    assert json.loads(json.dumps(model)) == model


def test_the_served_probability_is_the_one_that_scikit_learn_computes(trained: Run) -> None:
    from sklearn.linear_model import LogisticRegression

    model = joblib.load(trained["work"] / "model" / "model.joblib")
    rows = from_csv(trained["work"] / "holdout" / "holdout.csv")
    estimator = LogisticRegression()
    estimator.classes_ = np.array([0, 1])
    estimator.coef_ = np.array([model["coefficients"]])
    estimator.intercept_ = np.array([model["intercept"]])
    scaled = (np.array(matrix(rows)) - model["mean"]) / np.array(model["scale"])
    served = evaluate.score(trained["work"] / "model.tar.gz", rows)
    assert np.allclose(served, estimator.predict_proba(scaled)[:, 1], atol=1e-12)


def test_the_quality_is_what_the_readme_says(trained: Run) -> None:
    found = trained["result"]["metrics"]
    assert found["auc"] == pytest.approx(0.895, abs=0.005)
    assert found["brier"] == pytest.approx(0.115, abs=0.005)
    assert found["calibration_error"] == pytest.approx(0.07, abs=0.02)


def test_the_holdout_is_no_luckier_than_cross_validation_allows(trained: Run) -> None:
    out_of_fold = joblib.load(trained["work"] / "model" / "model.joblib")["training"]["out_of_fold"]
    assert abs(out_of_fold["auc"] - trained["result"]["metrics"]["auc"]) < 0.08  # two errors


def test_training_without_both_labels_is_refused(trained: Run, tmp_path: Path) -> None:
    lines = (trained["work"] / "train" / "train.csv").read_text().splitlines()
    negatives = [lines[0], *(line for line in lines[1:] if line.endswith(",0"))]
    (tmp_path / "train.csv").write_text("\n".join(negatives) + "\n")
    with pytest.raises(PipelineError, match="at least 10 of each label"):
        train.train(tmp_path / "train.csv", tmp_path / "model", 1.0, 1)


@pytest.mark.parametrize("c", [0.0, -1.0, math.nan])
def test_a_penalty_that_is_none_is_refused(trained: Run, tmp_path: Path, c: float) -> None:
    with pytest.raises(PipelineError, match="above 0"):
        train.train(trained["work"] / "train" / "train.csv", tmp_path, c, 1)


def test_the_report_fits_the_schema_of_the_template_and_of_governance(
    trained: Run, project: Path
) -> None:
    body = (trained["work"] / "evaluation.json").read_bytes()
    schema = json.loads((project / "pipeline" / "evaluation.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    report = json.loads(body)
    assert not list(Draft202012Validator(schema).iter_errors(report))
    assert contracts.evaluation_report(body) == (report, [])


def test_the_subgroups_partition_the_holdout(trained: Run) -> None:
    report = json.loads((trained["work"] / "evaluation.json").read_text())
    for attribute, values in (
        ("sex", {"1", "2"}),
        ("age_band", {"under 45", "45 to 59", "60 and over"}),
    ):
        groups = [group for group in report["subgroups"] if group["attribute"] == attribute]
        assert {group["value"] for group in groups} == values
        assert sum(group["rows"] for group in groups) == report["holdout"]["rows"] == 110
        assert sum(group["positives"] for group in groups) == report["holdout"]["positives"]


def test_another_holdout_than_the_registered_one_is_refused(trained: Run, tmp_path: Path) -> None:
    work = trained["work"]
    references = json.loads((work / "reference" / "dataset.json").read_text())
    other = tmp_path / "holdout.csv"
    other.write_bytes((work / "holdout" / "holdout.csv").read_bytes() + b"\n")
    with pytest.raises(PipelineError, match=r"dataset\.json names"):
        evaluate.evaluate(work / "model.tar.gz", other, references, "m")


def test_something_else_than_an_archive_is_refused(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"no archive")
    rows = from_csv(trained["work"] / "holdout" / "holdout.csv")
    with pytest.raises(PipelineError, match=r"is not a model\.tar\.gz"):
        evaluate.score(tmp_path / "model.tar.gz", rows)


def test_an_archive_without_inference_code_is_refused(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.joblib").write_bytes(b"x")
    (tmp_path / "model.tar.gz").write_bytes(archive.pack(tmp_path / "model"))
    with pytest.raises(PipelineError, match=r"no code/inference\.py"):
        evaluate.score(tmp_path / "model.tar.gz", [])


def test_metrics_are_those_that_the_test_account_measures(trained: Run) -> None:
    rows = from_csv(trained["work"] / "holdout" / "holdout.csv")
    labels = [int(row[LABEL]) for row in rows]
    scored = evaluate.score(trained["work"] / "model.tar.gz", rows)
    theirs = statistics.metrics(labels, scored)
    assert metrics.metrics(labels, scored) == {
        name: round(value, 6) for name, value in theirs.items() if value is not None
    }


def test_calibration_error_is_the_weighted_distance_of_the_calibration_curve() -> None:
    generator = np.random.default_rng(1)
    predicted = generator.random(500)
    truth = (generator.random(500) < predicted).astype(int)
    observed, mean = calibration_curve(truth, predicted, n_bins=10, strategy="uniform")
    weights = np.histogram(predicted, bins=10, range=(0, 1))[0]
    expected = float(np.average(np.abs(observed - mean), weights=weights))
    assert metrics.calibration_error(truth, predicted) == pytest.approx(expected)


def test_the_calibration_bins_are_the_curve_and_add_up_to_the_error(trained: Run) -> None:
    rows = from_csv(trained["work"] / "holdout" / "holdout.csv")
    labels = [int(row[LABEL]) for row in rows]
    scored = evaluate.score(trained["work"] / "model.tar.gz", rows)
    report = json.loads((trained["work"] / "evaluation.json").read_text())
    bins = report["calibration"]
    observed, mean = calibration_curve(labels, scored, n_bins=10, strategy="uniform")
    assert [one["observed"] for one in bins] == pytest.approx(observed.tolist(), abs=1e-6)
    assert [one["predicted"] for one in bins] == pytest.approx(mean.tolist(), abs=1e-6)
    assert all(one["from"] <= one["predicted"] <= one["to"] for one in bins)
    assert sum(one["rows"] for one in bins) == report["holdout"]["rows"]
    error = sum(one["rows"] * abs(one["predicted"] - one["observed"]) for one in bins)
    assert error / len(labels) == pytest.approx(report["metrics"]["calibration_error"], abs=1e-5)


def test_a_perfect_and_a_wrong_forecast_have_the_errors_one_expects() -> None:
    truth = np.array([0, 1, 0, 1])
    assert metrics.calibration_error(truth, np.array([0.0, 1.0, 0.0, 1.0])) == 0
    assert metrics.calibration_error(truth, np.array([1.0, 0.0, 1.0, 0.0])) == 1


def test_auc_is_none_where_only_one_label_occurs() -> None:
    found = metrics.subgroup_metrics("sex", ["1", "1", "2"], [0, 1, 1], [0.2, 0.8, 0.9])
    assert [group["auc"] for group in found] == [1.0, None]
    assert found[1] == {
        "attribute": "sex",
        "value": "2",
        "rows": 1,
        "positives": 1,
        "auc": None,
        "brier": 0.01,
        "calibration_error": 0.1,
    }


def test_baselines_describe_the_training_rows(trained: Run) -> None:
    reference = trained["work"] / "reference"
    rows = matrix(from_csv(trained["work"] / "train" / "train.csv"))
    columns = np.array(rows).T
    written = json.loads((reference / "statistics.json").read_text())
    assert written["dataset"]["item_count"] == len(rows)
    assert [feature["name"] for feature in written["features"]] == NAMES
    for feature, column in zip(written["features"], columns, strict=True):
        numbers = feature["numerical_statistics"]
        assert numbers["common"] == {"num_present": len(rows), "num_missing": 0}
        assert numbers["mean"] == pytest.approx(column.mean(), abs=1e-5)
        buckets = numbers["distribution"]["kll"]["buckets"]
        assert sum(bucket["count"] for bucket in buckets) == len(rows)
        assert numbers["distribution"]["kll"]["sketch"]["data"] == [sorted(column.tolist())]
    constraints = json.loads((reference / "constraints.json").read_text())
    assert [feature["name"] for feature in constraints["features"]] == NAMES
    assert all(
        feature["completeness"] == 1.0 and feature["num_constraints"]["is_non_negative"]
        for feature in constraints["features"]
    )


def test_the_uploaded_archive_is_the_one_that_was_evaluated(trained: Run) -> None:
    body = (trained["work"] / "model.tar.gz").read_bytes()
    assert trained["result"]["model_data"]["sha256"] == hashlib.sha256(body).hexdigest()
