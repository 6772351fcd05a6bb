"""The holdout is fixed, disjoint from training, and what S3 refers to is exactly these bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pipeline import features, prepare
from pipeline.errors import PipelineError
from pipeline.storage import Store

from tests.unit.templates.aws import Aws

# Whoever changes the holdout makes every earlier evaluation incomparable: only on purpose.
HOLDOUT_SHA256 = "334077906de33c71cb9262a847ef6a5c50fab8114110fbac9dcb11bf635bf550"
TRAIN_SHA256 = "fdae34f4067220927f547abe2207ebbc08ac0f8daced91e6e07c18d7de8dd163"


def test_the_holdout_is_the_one_that_was_agreed() -> None:
    train, holdout = prepare.split(prepare.patients())
    assert hashlib.sha256(prepare.to_csv(holdout)).hexdigest() == HOLDOUT_SHA256
    assert hashlib.sha256(prepare.to_csv(train)).hexdigest() == TRAIN_SHA256


def test_every_patient_is_in_exactly_one_part() -> None:
    train, holdout = prepare.split(prepare.patients())
    ids = [row["patient"] for row in (*train, *holdout)]
    assert sorted(map(int, ids)) == list(range(1, 443))


def test_no_patient_of_the_holdout_is_also_in_training_under_another_number() -> None:
    train, holdout = prepare.split(prepare.patients())
    seen = {tuple(row[name] for name in features.NAMES) for row in train}
    assert not [row for row in holdout if tuple(row[name] for name in features.NAMES) in seen]


def test_the_split_does_not_depend_on_the_order_of_rows() -> None:
    rows = prepare.patients()
    held_out = {row["patient"] for row in prepare.split(rows)[1]}
    assert {row["patient"] for row in prepare.split(rows[::-1])[1]} == held_out


def test_both_parts_have_the_same_share_of_every_label_sex_and_age_band() -> None:
    rows = prepare.patients()
    _, holdout = prepare.split(rows)

    def strata(some: list[dict[str, str]]) -> dict[tuple[str, str, str], int]:
        found: dict[tuple[str, str, str], int] = {}
        for row in some:
            key = (row["high_risk"], row["sex"], features.age_band(float(row["age"])))
            found[key] = found.get(key, 0) + 1
        return found

    everybody, held_out = strata(rows), strata(holdout)
    assert held_out.keys() == everybody.keys()
    for key, count in everybody.items():
        assert abs(held_out[key] - count / 4) <= 0.5


def test_the_label_is_progression_above_the_documented_threshold() -> None:
    for row in prepare.patients():
        assert row["high_risk"] == str(int(float(row["progression"]) > 200))


def test_the_documented_counts_are_the_real_ones() -> None:
    rows = prepare.patients()
    assert sum(int(row["high_risk"]) for row in rows) == 121
    bands = [features.age_band(float(row["age"])) for row in rows]
    assert [bands.count(name) for name, _ in features.AGE_BANDS] == [161, 178, 103]


def test_all_patients_are_within_the_ranges_that_the_endpoint_accepts() -> None:
    for row in prepare.patients():
        for feature in features.FEATURES:
            assert feature["minimum"] <= float(row[feature["name"]]) <= feature["maximum"]


def test_another_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    study: Any = prepare.load_diabetes(scaled=False)
    study.target[7] += 1
    monkeypatch.setattr(prepare, "load_diabetes", lambda **_: study)
    with pytest.raises(PipelineError, match="set SOURCE_SHA256"):
        prepare.patients()


def test_a_csv_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("patient,age\n1,50\n")
    with pytest.raises(PipelineError, match="columns"):
        prepare.from_csv(path)


def test_what_was_uploaded_is_what_was_written(aws: Aws, tmp_path: Path) -> None:
    store = Store(aws.session.client("s3"), aws.bucket)
    references = prepare.prepare(store, aws.group, tmp_path)
    for part, name in (("dataset", "train"), ("holdout", "holdout")):
        body = (tmp_path / name / f"{name}.csv").read_bytes()
        key = references[part]["uri"].removeprefix(f"s3://{aws.bucket}/")
        assert key.startswith(f"datasets/{aws.group}/")
        assert aws.objects[key][0]["Body"] == body
        assert references[part]["sha256"] == hashlib.sha256(body).hexdigest()
        assert references[part]["size"] == len(body)
    assert json.loads((tmp_path / "reference" / "dataset.json").read_text()) == references


def test_a_second_run_refers_to_the_same_object_versions(aws: Aws, tmp_path: Path) -> None:
    store = Store(aws.session.client("s3"), aws.bucket)
    first = prepare.prepare(store, aws.group, tmp_path)
    assert prepare.prepare(store, aws.group, tmp_path) == first
    assert aws.calls.count("PutObject") == 2


def test_a_kms_key_encrypts_the_objects(aws: Aws, tmp_path: Path) -> None:
    prepare.prepare(Store(aws.session.client("s3"), aws.bucket, "alias/x"), aws.group, tmp_path)
    for versions in aws.objects.values():
        assert versions[0]["ServerSideEncryption"] == "aws:kms"
        assert versions[0]["SSEKMSKeyId"] == "alias/x"


def test_a_bucket_without_versions_is_refused(aws: Aws) -> None:
    aws.versioned = False
    with pytest.raises(PipelineError, match="turn on its versioning"):
        Store(aws.session.client("s3"), aws.bucket).put("p", "n", b"body", "text/csv")


def test_an_object_that_somebody_replaced_is_uploaded_again(aws: Aws) -> None:
    store = Store(aws.session.client("s3"), aws.bucket)
    first = store.put("p", "n", b"body", "text/csv")
    (versions,) = aws.objects.values()
    versions.append({**versions[0], "Body": b"other", "checksum": "b3RoZXI=", "VersionId": "v2"})
    again = store.put("p", "n", b"body", "text/csv")
    assert (again.sha256, again.version_id) == (first.sha256, "v3")


def test_an_upload_that_s3_does_not_confirm_is_an_error(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(aws.session.client("s3"), aws.bucket)
    monkeypatch.setattr(store, "_find", lambda *_: None)
    with pytest.raises(PipelineError, match="has no or another SHA-256"):
        store.put("p", "n", b"body", "text/csv")
