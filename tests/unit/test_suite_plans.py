"""What runs is what the tier requires and the definition adds; what does not says why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import suite_plans, suites
from governance.domain.errors import InvalidInputError

CHAMPION = {"model_package_arn": "arn:1", "candidate_id": "d" * 64, "shards": []}
NOBODY = "nothing has served clinical-risk yet"


def plan(
    required: tuple[str, ...] = (), chosen: list[dict[str, Any]] | None = None, **changed: Any
) -> dict[str, Any]:
    given_ = {"rows": 111, "golden": True, "champion": CHAMPION, "no_comparison": ""} | changed
    return suite_plans.plan(required, chosen, **given_)


def names(found: dict[str, Any]) -> list[str]:
    return [one["suite"] for one in (*found["suites"], *found["holdout_suites"])]


def test_without_a_choice_every_suite_runs_in_order() -> None:
    assert names(plan()) == list(suites.BUILT_IN)
    assert plan()["champion"] == CHAMPION


def test_what_the_tier_requires_runs_whatever_was_chosen() -> None:
    found = plan(("fairness", "contract"), [{"name": "latency", "parameters": {"calls": 7}}])
    assert names(found) == ["contract", "latency", "fairness"]
    assert found["suites"][1]["parameters"] == {"warm_up": 10, "calls": 7, "concurrency": 4}
    assert found["champion"] is None


def test_a_project_may_have_smaller_subgroups_judged() -> None:
    found = plan(chosen=[{"name": "comparison", "parameters": {"rows_per_label": 5}}])
    assert found["holdout_suites"][0]["parameters"]["rows_per_label"] == 5


def test_suites_of_a_teams_own_come_after_ours() -> None:
    function = "arn:aws:lambda:us-east-1:111122223333:function:governed-path-suite-drift:live"
    found = plan(chosen=[{"name": "drift", "entry_point": function}, {"name": "latency"}])
    assert names(found) == ["latency", "drift"]
    assert found["suites"][1] == {"suite": "drift", "parameters": {}, "entry_point": function}
    assert found["shards"] == []


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ([{"name": "drift"}], "no suite 'drift'.*entry_point"),
        ([{"name": "latency"}, {"name": "latency"}], "latency twice"),
        ([{"name": "latency", "parameters": {"threads": 2}}], "no parameter 'threads'.*calls"),
        ([{"name": "contract", "parameters": {"calls": 2}}], "no parameter 'calls'.*none"),
        ([{"name": "latency", "parameters": {"calls": 0}}], "calls.* is 0.*at least 1"),
        ([{"name": "latency", "parameters": {"calls": True}}], "calls.* is True"),
        ([{"name": "quality", "parameters": {"confidence": 1}}], "confidence.*between 0 and 1"),
        ([{"name": "golden", "parameters": {"cases": {}}}], "cases.*a list"),
        # A project may have more of its subgroups judged, and not fewer.
        ([{"name": "comparison", "parameters": {"rows_per_label": 16}}], "is 16.*at most 15"),
        ([{"name": "comparison", "parameters": {"rows_per_label": 0}}], "is 0.*at least 1"),
        ([{"name": "quality", "entry_point": "governed-path-suite-x"}], "cannot be replaced"),
        ([{"name": "mine", "entry_point": "governed-path-record"}], "governed-path-suite-"),
        ([{"name": "mine", "entry_point": "governed-path-suite-a/../b"}], "governed-path-suite-"),
        ([{"name": "mine", "entry_point": "governed-path-suite-a\n"}], "governed-path-suite-"),
    ],
)
def test_what_cannot_be_planned_says_what_to_change(
    chosen: list[dict[str, Any]], says: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"(?s){says}"):
        plan(chosen=chosen)


def test_without_a_champion_the_comparison_is_left_out_even_if_required() -> None:
    found = plan(("comparison",), champion=None, no_comparison=NOBODY)
    assert found["omitted"] == [{"suite": "comparison", "reason": NOBODY}]
    assert "comparison" not in names(found)


def test_golden_predictions_that_nobody_gave_are_left_out_unless_required() -> None:
    assert "golden" not in names(plan(golden=False))
    assert plan(golden=False)["omitted"][0]["suite"] == "golden"
    # It will not run, and that is an error: nothing was tried.
    assert "golden" in names(plan(("golden",), golden=False))
    case = {"instance": {"age": 1}, "probability": 0.5}
    chosen = [{"name": "golden", "parameters": {"cases": [case]}}]
    assert "golden" in names(plan(chosen=chosen, golden=False))


@given(st.integers(1, 5000), st.integers(1, 600))
def test_shards_cover_every_row_once(rows: int, size: int) -> None:
    found = suite_plans.shards(rows, size)
    covered = [row for one in found for row in range(one["from"], one["to"])]
    assert covered == list(range(rows))
    assert all(one["to"] - one["from"] <= size for one in found)


def test_a_holdout_without_rows_is_still_asked_for() -> None:
    assert suite_plans.shards(0, 100) == [{"from": 0, "to": 0}]


@pytest.mark.parametrize(
    ("rows", "per_shard", "says"),
    [
        (suite_plans.MOST_ROWS + 1, 10_000, "500,001 rows; at most 500,000.*sample"),
        (suite_plans.MOST_ROWS, 1_999, "is 1,999.*251 shards.*at most 250"),
        (100, 50_001, "is 50,001.*at most 50,000"),
    ],
)
def test_a_holdout_that_no_function_could_judge_is_refused(
    rows: int, per_shard: int, says: str
) -> None:
    quality = [{"name": "quality", "parameters": {"rows_per_shard": per_shard}}]
    with pytest.raises(InvalidInputError, match=says):
        plan(chosen=quality, rows=rows)
    assert plan(chosen=[{"name": "contract"}], rows=rows)["shards"] == []


def test_the_largest_holdout_is_planned() -> None:
    quality = [{"name": "quality", "parameters": {"rows_per_shard": 2_000}}]
    found = plan(chosen=quality, rows=suite_plans.MOST_ROWS)["shards"]
    assert (len(found), found[-1]["to"]) == (suite_plans.MOST_SHARDS, suite_plans.MOST_ROWS)


def test_a_project_is_never_held_to_less_than_its_tier() -> None:
    tier = {"auc_min": 0.75, "latency_p95_ms_max": 500.0}
    own = {"auc_min": 0.7, "latency_p95_ms_max": 200.0, "throughput_rps_min": 3.0}
    assert suite_plans.thresholds(tier, own) == {
        "auc_min": 0.75,
        "latency_p95_ms_max": 200.0,
        "throughput_rps_min": 3.0,
    }


def test_every_suite_says_what_it_takes() -> None:
    assert suite_plans.PARAMETERS.keys() == set(suites.BUILT_IN)
