"""The serving contract: right requests are answered, wrong ones refused with a clear text."""

from __future__ import annotations

import ast
import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipeline import inference
from pipeline.features import FEATURES, NAMES

from governance.domain import probes

JSON = "application/json"
Run = dict[str, Any]


@pytest.fixture(scope="module")
def model(trained: Run) -> dict[str, Any]:
    return inference.model_fn(str(trained["work"] / "model"))


@pytest.fixture(scope="module")
def sample(trained: Run) -> dict[str, Any]:
    text = (trained["work"] / "reference" / "sample-payload.json").read_text()
    document: dict[str, Any] = json.loads(text)
    return document


def answer(model: dict[str, Any], body: str | bytes) -> list[dict[str, Any]]:
    """The predictions for a request body."""
    text, kind = inference.output_fn(
        inference.predict_fn(inference.input_fn(body, JSON), model), JSON
    )
    assert kind == JSON
    predictions: list[dict[str, Any]] = json.loads(text)["predictions"]
    return predictions


def test_the_sample_payload_is_answered(model: dict[str, Any], sample: dict[str, Any]) -> None:
    predictions = answer(model, json.dumps(sample))
    assert len(predictions) == len(sample["instances"])
    for prediction in predictions:
        assert set(prediction) == {"probability", "high_risk"}
        assert 0 < prediction["probability"] < 1
        assert prediction["high_risk"] is (prediction["probability"] >= 0.5)


def test_bytes_and_a_charset_are_accepted_too(sample: dict[str, Any]) -> None:
    body = json.dumps(sample).encode()
    assert inference.input_fn(body, "Application/JSON; charset=utf-8")


def test_the_order_of_features_in_the_request_does_not_matter(
    model: dict[str, Any], sample: dict[str, Any]
) -> None:
    turned = {"instances": [dict(reversed(one.items())) for one in sample["instances"]]}
    assert answer(model, json.dumps(turned)) == answer(model, json.dumps(sample))


def test_every_probe_of_the_contract_suite_gets_what_the_suite_expects(
    sample: dict[str, Any],
) -> None:
    for probe in probes.contract_probes(sample):
        if probe.accepted:
            inference.input_fn(probe.body, probe.content_type)
        else:
            with pytest.raises(ValueError, match=r".+"):
                inference.input_fn(probe.body, probe.content_type)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": None}, r"age must be a number, not NoneType"),
        ({"age": "59"}, r"age must be a number, not str"),
        ({"age": True}, r"age must be a number, not bool"),
        ({"age": [59]}, r"age must be a number, not list"),
        ({"age": 17}, r"age is 17; expected 18 to 100 \(age in years\)"),
        ({"age": 59.5}, r"age is 59\.5; expected a whole number"),
        ({"sex": 3}, r"sex is 3; expected 1 to 2"),
        ({"sex": 1.5}, r"sex is 1\.5; expected a whole number"),
        ({"bmi": 1e9}, r"bmi is 1000000000\.0; expected 12 to 70"),
        ({"bmi": -27}, r"bmi is -27"),
        ({"bmi": 10**4000}, r"bmi is 1000"),
        ({"postcode": 1}, r"instances\[0\] has unknown features postcode"),
    ],
)
def test_wrong_values_are_refused(
    sample: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    wrong = copy.deepcopy(sample)
    wrong["instances"][0].update(change)
    with pytest.raises(ValueError, match=message):
        inference.input_fn(json.dumps(wrong), JSON)


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_is_needed(sample: dict[str, Any], name: str) -> None:
    wrong = copy.deepcopy(sample)
    del wrong["instances"][1][name]
    with pytest.raises(ValueError, match=rf"instances\[1\] lacks {name}"):
        inference.input_fn(json.dumps(wrong), JSON)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_what_is_no_finite_number_is_refused(sample: dict[str, Any], number: str) -> None:
    body = json.dumps(sample).replace(str(sample["instances"][0]["bmi"]), number, 1)
    assert number in body
    with pytest.raises(ValueError, match=r"cannot be|can be scored|expected 12 to 70"):
        inference.input_fn(body, JSON)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "not JSON"),
        ('{"instances": [', "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        ("[" * 200_000, "nested too deeply"),
        ("[]", "must be"),
        ("{}", "must be"),
        ('{"instances": [], "extra": 1}', "nothing else"),
        ('{"instances": {}}', "list of 1 to 1000"),
        ('{"instances": []}', "list of 1 to 1000"),
        ('{"instances": [1]}', r"instances\[0\] must be an object"),
        ('{"instances": [{"age": 1, "age": 2}]}', "given more than once: age"),
        (json.dumps({"instances": [{}] * 1001}), "list of 1 to 1000"),
    ],
)
def test_malformed_requests_are_refused(body: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inference.input_fn(body, JSON)


@pytest.mark.parametrize("kind", ["text/csv", "", None, "application/x-npy", "json"])
def test_other_content_types_are_refused(sample: dict[str, Any], kind: Any) -> None:
    with pytest.raises(ValueError, match="content type is"):
        inference.input_fn(json.dumps(sample), kind)


@pytest.mark.parametrize("accept", [JSON, "*/*", "", None, "text/html, application/*;q=0.8"])
def test_a_client_that_takes_json_gets_it(accept: Any) -> None:
    assert inference.output_fn([], accept) == ('{"predictions": []}', JSON)


def test_a_client_that_takes_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="this model answers application/json"):
        inference.output_fn([], "text/csv")


def test_a_model_of_other_features_is_refused(tmp_path: Path) -> None:
    import joblib

    joblib.dump({"features": ["age"]}, tmp_path / "model.joblib")
    with pytest.raises(ValueError, match="this code serves"):
        inference.model_fn(str(tmp_path))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_patient_within_the_ranges_is_scored(model: dict[str, Any], data: Any) -> None:
    instance = {
        feature["name"]: data.draw(
            st.integers(feature["minimum"], feature["maximum"])
            if feature["integer"]
            else st.floats(feature["minimum"], feature["maximum"], allow_nan=False)
        )
        for feature in FEATURES
    }
    (prediction,) = answer(model, json.dumps({"instances": [instance]}))
    assert 0 <= prediction["probability"] <= 1


@settings(max_examples=200)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_json_is_either_scored_or_refused_never_a_crash(document: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        inference.input_fn(json.dumps({"instances": document}), JSON)


def test_the_serving_code_needs_nothing_that_the_image_does_not_bring() -> None:
    tree = ast.parse(Path(inference.__file__).read_text())
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported - set(sys.stdlib_module_names) == {"joblib"}
