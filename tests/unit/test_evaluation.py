"""What a gate learns from an evaluation report."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import evaluation
from tests.contracts import samples


def _group(attribute: str, auc: float | None) -> dict[str, Any]:
    return {"attribute": attribute, "value": "x", "auc": auc}


def test_a_valid_report_gives_its_metrics_and_the_gap() -> None:
    found = evaluation.facts(samples.evaluation_report(), [])
    assert found["subgroup_auc_gap"] == pytest.approx(0.05)
    assert (found["valid"], found["problems"]) == (True, [])
    assert found["metrics"] == {"auc": 0.82, "brier": 0.17, "calibration_error": 0.06}


def test_a_broken_report_is_quoted_no_further() -> None:
    assert evaluation.facts({"metrics": {"auc": 1.0}}, ["metrics: it is wrong"]) == {
        "valid": False,
        "problems": ["metrics: it is wrong"],
        "metrics": {},
        "subgroup_auc_gap": None,
    }


@pytest.mark.parametrize(
    ("subgroups", "gap"),
    [
        ([], None),
        ([_group("sex", 0.8)], None),
        ([_group("sex", 0.8), _group("sex", None)], None),
        ([_group("sex", 0.8), _group("age_band", 0.5)], None),
        ([_group("sex", 0.8), _group("sex", 0.8)], 0.0),
        ([_group("sex", 0.75), _group("sex", 0.5), _group("sex", None)], 0.25),
        ([_group("sex", 1.0), _group("sex", 0.5), _group("sex", 0.75)], 0.5),
        (
            [_group("sex", 1.0), _group("sex", 0.75), _group("age", 0.5), _group("age", 1.0)],
            0.5,
        ),
    ],
)
def test_the_gap_is_the_largest_between_subgroups_of_one_attribute(
    subgroups: list[dict[str, Any]], gap: float | None
) -> None:
    assert evaluation.subgroup_auc_gap(subgroups) == gap


@given(
    st.lists(
        st.tuples(st.sampled_from(["sex", "age_band"]), st.none() | st.floats(0, 1)), max_size=12
    )
)
def test_the_gap_is_a_share_and_does_not_depend_on_the_order(
    groups: list[tuple[str, float | None]],
) -> None:
    subgroups = [_group(*group) for group in groups]
    gap = evaluation.subgroup_auc_gap(subgroups)
    assert gap is None or 0 <= gap <= 1
    assert evaluation.subgroup_auc_gap(subgroups[::-1]) == gap
