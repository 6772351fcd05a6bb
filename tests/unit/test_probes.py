"""Requests to an endpoint, and what its answers must be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import probes
from governance.domain.errors import InvalidInputError

SAMPLE = {"instances": [{"bmi": 0.1, "ward": "north"}]}


def test_one_probe_is_right_and_every_other_is_wrong_in_one_way() -> None:
    found = probes.contract_probes(SAMPLE)
    assert [probe.name for probe in found if probe.accepted] == ["valid sample payload"]
    assert len({(probe.body, probe.content_type) for probe in found}) == len(found) == 7


@pytest.mark.parametrize(
    "sample", [None, [], {"instances": []}, {"instances": [1]}, {"instances": [{}]}, {"x": 1}]
)
def test_a_sample_of_another_form_is_refused(sample: Any) -> None:
    with pytest.raises(InvalidInputError, match="sample payload"):
        probes.contract_probes(sample)


def test_rows_become_instances_of_the_samples_features_and_types() -> None:
    rows = [{"bmi": "0.5", "ward": "7", "sex": "f", "high_risk": "1.0"}]
    assert probes.instances_from_rows(rows, SAMPLE) == ([{"bmi": 0.5, "ward": "7"}], [1])


def _answer(*predictions: Any) -> bytes:
    return json.dumps({"predictions": list(predictions)}).encode()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "no list"),
        (b'{"predictions": 1}', "no list"),
        (_answer(), "0 predictions for 1"),
        (_answer(1), "probability"),
        (_answer({"probability": 0.5}), "high_risk"),
        (_answer({"probability": True, "high_risk": True}), "probability"),
        (_answer({"probability": "0.5", "high_risk": True}), "probability"),
        (_answer({"probability": 1.01, "high_risk": True}), "probability"),
        (b'{"predictions": [{"probability": NaN, "high_risk": true}]}', "probability"),
    ],
)
def test_an_answer_of_another_form_is_a_problem(body: bytes, problem: str) -> None:
    assert problem in " ".join(probes.answer_problems(body, 1))


@given(st.lists(st.floats(0, 1), max_size=20))
def test_right_answers_have_no_problems_and_keep_their_order(scores: list[float]) -> None:
    body = _answer(*({"probability": score, "high_risk": score > 0.5} for score in scores))
    assert probes.answer_problems(body, len(scores)) == []
    assert probes.probabilities(body) == scores


def test_each_content_type_that_a_version_declares_and_we_can_write_is_tried() -> None:
    declared = ["application/json; charset=utf-8", "Text/CSV", "image/png", "image/png"]
    assert probes.content_types(declared) == (
        ["application/json", "text/csv"],
        ["image/png"],
    )
    assert probes.content_types([]) == (["application/json"], [])
    sample = {"instances": [{"age": 0.5, "name": 'a "b", c'}, {"name": "d", "age": 1}]}
    found = {probe.content_type: probe for probe in probes.contract_probes(sample, declared)[:2]}
    csv = found["text/csv"]
    assert (csv.body, csv.accepted) == (b'0.5,"a ""b"", c"\n1,d\n', True)
    assert len(probes.contract_probes(sample)) + 1 == len(probes.contract_probes(sample, declared))


def test_what_is_declared_is_not_expected_to_be_refused() -> None:
    def refused(declared: list[str]) -> str:
        found = probes.contract_probes(SAMPLE, declared)
        return next(one.content_type for one in found if one.name == "wrong content type")

    assert refused(["application/json"]) == "application/octet-stream"
    assert refused(["application/octet-stream"]) not in ("application/octet-stream", "text/csv")
