"""Suites pass when every check does; not measured, not run and not there are no pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from governance.adapters import statistics
from governance.domain import suites
from governance.domain.errors import InvalidInputError
from tests.contracts import samples

LIMITS = {
    "auc_min": 0.75,
    "brier_max": 0.2,
    "calibration_error_max": 0.15,
    "subgroup_auc_gap_max": 0.25,
    "latency_p95_ms_max": 500,
}
MEASURED = {"auc": 0.8, "brier": 0.18, "calibration_error": 0.05}
NO_PLAN: dict[str, Any] = {"suites": [], "holdout_suites": [], "shards": [], "omitted": []}
IN_SERVICE = {"outcome": "in_service", "failure_reason": None}


def _failed(checks: list[dict[str, Any]]) -> list[str]:
    return [check["name"] for check in checks if not check["passed"]]


# ------------------------------------------------------------------ a suite's result


@given(st.lists(st.booleans(), max_size=5))
def test_a_suite_passes_when_it_has_checks_and_all_pass(outcomes: list[bool]) -> None:
    checks = [suites.check(f"c{number}", passed, 1, 1) for number, passed in enumerate(outcomes)]
    expected = "passed" if outcomes and all(outcomes) else "failed"
    assert suites.result("contract", checks, {}, 1.0)["status"] == expected


def test_a_result_has_the_agreed_form() -> None:
    check = suites.check("works", True, "observed", "expected")
    assert suites.result("quality", [check], {"auc": None}, 1.23456) == {
        "suite": "quality",
        "status": "passed",
        "checks": [
            {"name": "works", "passed": True, "observed": "observed", "expected": "expected"}
        ],
        "metrics": {"auc": None},
        "seconds": 1.235,
    }


# ------------------------------------------------------------------ quality


def test_what_was_registered_and_is_good_enough_passes() -> None:
    checks = suites.quality_checks(MEASURED, MEASURED, LIMITS)
    assert len(checks) == 6
    assert _failed(checks) == []


@pytest.mark.parametrize(
    ("metric", "limit", "worse"),
    [
        ("auc", 0.75, -1e-9),
        ("brier", 0.2, 1e-9),
        ("calibration_error", 0.15, 1e-9),
    ],
)
def test_a_metric_at_its_threshold_passes_and_one_beyond_fails(
    metric: str, limit: float, worse: float
) -> None:
    for value, failed in ((limit, []), (limit + worse, [f"{metric} meets the threshold"])):
        measured = {**MEASURED, metric: value}
        assert _failed(suites.quality_checks(measured, measured, LIMITS)) == failed


@pytest.mark.parametrize("metric", MEASURED)
@pytest.mark.parametrize("sign", [1, -1])
def test_another_quality_than_the_registered_one_fails(metric: str, sign: int) -> None:
    """Better than registered is another model, too."""
    name = f"{metric} is what was registered"
    for step, failed in ((0.0049, []), (0.0051, [name])):
        registered = {**MEASURED, metric: MEASURED[metric] + sign * step}
        assert _failed(suites.quality_checks(MEASURED, registered, LIMITS)) == failed


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_metric_without_a_value_fails(value: Any) -> None:
    checks = suites.quality_checks({**MEASURED, "auc": value}, MEASURED, LIMITS)
    assert _failed(checks) == ["auc meets the threshold", "auc is what was registered"]


def test_a_registered_metric_that_was_not_measured_fails() -> None:
    checks = suites.quality_checks({"auc": 0.8}, MEASURED, LIMITS)
    assert _failed(checks) == [
        "brier is what was registered",
        "calibration_error is what was registered",
    ]


def test_a_failed_check_says_what_was_expected() -> None:
    (check,) = [
        check
        for check in suites.quality_checks({**MEASURED, "auc": 0.5}, MEASURED, LIMITS)
        if check["name"] == "auc meets the threshold"
    ]
    assert (check["observed"], check["expected"]) == (0.5, "at least 0.75")


# ------------------------------------------------------------------ latency


def test_percentiles_of_known_times() -> None:
    metrics = suites.latency_metrics([float(ms) for ms in range(1, 102)])
    assert metrics == {"latency_p50_ms": 51.0, "latency_p95_ms": 96.0, "latency_p99_ms": 100.0}


@given(st.lists(st.floats(0.01, 60_000), min_size=2, max_size=300))
def test_percentiles_are_in_order_and_among_the_times(times: list[float]) -> None:
    p50, p95, p99 = suites.latency_metrics(times).values()
    assert p50 is not None
    assert p95 is not None
    assert p99 is not None
    assert min(times) - 0.001 <= p50 <= p95 <= p99 <= max(times) + 0.001


@pytest.mark.parametrize(
    ("p95", "errors", "failed"),
    [
        (500.0, 0, []),
        (500.001, 0, ["latency_p95_ms meets the threshold"]),
        (1.0, 1, ["every call is answered"]),
        (501.0, 2, ["every call is answered", "latency_p95_ms meets the threshold"]),
        (None, 0, ["latency_p95_ms meets the threshold"]),
    ],
)
def test_latency_is_judged_by_its_threshold_and_by_unanswered_calls(
    p95: float | None, errors: int, failed: list[str]
) -> None:
    metrics = {"latency_p50_ms": 1.0, "latency_p95_ms": p95, "latency_p99_ms": 9999.0}
    checks = suites.latency_checks(metrics, errors, LIMITS)
    assert [check["name"] for check in checks] == [
        "every call is answered",
        "latency_p95_ms meets the threshold",
    ]
    assert _failed(checks) == failed


# ------------------------------------------------------------------ a validation


def test_all_suites_passed_is_passed() -> None:
    assert suites.aggregate(samples.results(), IN_SERVICE, samples.suite_plan()) == {
        "status": "Passed",
        "summary": {
            "metrics": {
                "auc": 0.82,
                "brier": 0.17,
                "calibration_error": 0.06,
                "latency_p50_ms": 4.0,
                "latency_p95_ms": 9.5,
                "latency_p99_ms": 12.0,
            },
            "suites": [
                {"suite": "contract", "status": "passed"},
                {"suite": "quality", "status": "passed"},
                {"suite": "latency", "status": "passed"},
                {**samples.suite_plan()["omitted"][0], "status": "omitted"},
            ],
        },
        "reasons": [],
    }


@pytest.mark.parametrize("name", ["contract", "quality", "latency"])
def test_without_a_planned_suite_there_is_no_verdict(name: str) -> None:
    ran = [result for result in samples.results() if result["suite"] != name]
    with pytest.raises(InvalidInputError, match=f"planned were .*{name}"):
        suites.aggregate(ran, IN_SERVICE, samples.suite_plan())


def test_what_ran_without_being_planned_is_no_verdict() -> None:
    with pytest.raises(InvalidInputError, match="planned were"):
        suites.aggregate([*samples.results()] * 2, IN_SERVICE, samples.suite_plan())


@pytest.mark.parametrize("plan", [NO_PLAN, samples.suite_plan()])
def test_no_results_at_all_are_no_verdict(plan: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="results of none"):
        suites.aggregate([], IN_SERVICE, plan)


def test_a_failed_check_fails_the_validation_and_is_the_reason() -> None:
    results = samples.results()
    results[1]["checks"].append(suites.check("auc meets the threshold", False, 0.5, "at least 0.7"))
    outcome = suites.aggregate(results, IN_SERVICE, samples.suite_plan())
    assert outcome["status"] == "Failed"
    assert outcome["reasons"] == ["quality: auc meets the threshold: 0.5, expected at least 0.7"]


def test_a_suite_that_checked_nothing_fails_the_validation() -> None:
    names = ("contract", "latency", "quality")
    results = [suites.result(name, [], {}, 0.1) for name in names]
    outcome = suites.aggregate(results, IN_SERVICE, samples.suite_plan())
    assert outcome["status"] == "Failed"
    assert outcome["reasons"] == [f"suite {name} checked nothing" for name in names]


@pytest.mark.parametrize("outcome", ["failed", "rolled_back", None])
def test_an_endpoint_that_never_served_fails_the_validation(outcome: str | None) -> None:
    deployment = {"outcome": outcome, "failure_reason": "the container did not pass the ping"}
    found = suites.aggregate([], deployment, NO_PLAN)
    assert found == {
        "status": "Failed",
        "summary": {"metrics": {}},
        "reasons": ["the endpoint did not serve: the container did not pass the ping"],
    }
    assert suites.aggregate(samples.results(), deployment, NO_PLAN)["status"] == "Failed"


# ------------------------------------------------------------------ fairness and comparison


def _group(attribute: str, value: str, **numbers: Any) -> dict[str, Any]:
    auc = {"value": numbers.pop("auc", 0.8), "low": None, "high": None}
    return {
        "attribute": attribute,
        "value": value,
        "auc": auc,
        "brier": {"value": 0.1, "low": None, "high": None},
        "mean_probability": 0.3,
        "observed": 0.3,
        "selection_rate": 0.2,
        "true_positive_rate": 0.6,
        **numbers,
    }


def test_gaps_are_within_an_attribute_and_a_bias_is_of_one_group() -> None:
    found = suites.fairness_metrics(
        [
            _group("sex", "f", auc=0.9, mean_probability=0.5),
            _group("sex", "m", auc=0.8, true_positive_rate=None),
            _group("age", "old", auc=0.1),
            _group("age", "young", auc=None),
        ]
    )
    assert found["subgroup_auc_gap"] == pytest.approx(0.1)
    assert found["subgroup_bias"] == pytest.approx(0.2)
    assert found["selection_rate_gap"] == 0
    assert found["true_positive_rate_gap"] == 0
    nobody = suites.fairness_metrics([])
    assert nobody["subgroup_auc_gap"] is None
    assert _failed(suites.fairness_checks(nobody, {"subgroup_bias_max": 0.1})) == [
        "subgroups can be compared",
        "subgroup_bias meets the threshold",
    ]


_DECISIONS = {"only_champion_right": 3, "only_challenger_right": 3, "p_value": 1.0, "alpha": 0.01}


def _difference(low: float, high: float) -> dict[str, float]:
    return {"value": (low + high) / 2, "low": low, "high": high}


@pytest.mark.parametrize(
    ("auc", "brier", "failed"),
    [
        ((-0.1, 0.1), (-0.1, 0.1), []),
        ((0.0, 0.0), (0.0, 0.0), []),
        ((-0.2, -0.02), (0.0, 0.1), []),
        ((-0.2, -0.021), (0.0, 0.1), ["AUC"]),
        ((0.0, 0.1), (0.021, 0.1), ["Brier score"]),
        # Better is never worse, however sure.
        ((0.2, 0.3), (-0.3, -0.2), []),
    ],
)
def test_only_what_is_proven_to_be_worse_by_more_than_allowed_fails(
    auc: tuple[float, float], brier: tuple[float, float], failed: list[str]
) -> None:
    overall = {
        "auc_difference": _difference(*auc),
        "brier_difference": _difference(*brier),
        "decisions": _DECISIONS,
    }
    checks = suites.comparison_checks(overall, [], {"champion_loss_max": 0.02})
    names = [f"{name} is not proven to be worse than the champion's" for name in failed]
    assert _failed(checks) == names


@pytest.mark.parametrize(
    ("champion", "challenger", "p_value", "failed"),
    [(20, 3, 0.0005, True), (3, 20, 0.0005, False), (20, 3, 0.05, False)],
)
def test_decisions_are_worse_where_mcnemar_says_so_and_in_that_direction(
    champion: int, challenger: int, p_value: float, failed: bool
) -> None:
    decisions = {
        "only_champion_right": champion,
        "only_challenger_right": challenger,
        "p_value": p_value,
        "alpha": 0.01,
    }
    same = _difference(0, 0)
    overall = {"auc_difference": same, "brier_difference": same, "decisions": decisions}
    assert bool(_failed(suites.comparison_checks(overall, [], {}))) is failed


def test_a_subgroup_that_lost_is_named_and_what_was_not_measured_is_not_passed() -> None:
    same = _difference(0, 0)
    group = {"attribute": "sex", "value": "f", "auc_difference": _difference(-0.3, -0.1)}
    unknown = {"attribute": "sex", "value": "m", "auc_difference": None}
    overall = {"auc_difference": None, "brier_difference": same, "decisions": _DECISIONS}
    found = _failed(suites.comparison_checks(overall, [group, unknown], {}))
    assert [name.partition(" is not")[0] for name in found] == ["AUC", "sex f: AUC"]


@pytest.mark.parametrize("positives", [0, 1])
def test_a_subgroup_that_is_too_small_for_an_interval_proves_nothing(positives: int) -> None:
    """Nor do all rows, and without a comparison of them the challenger has not passed."""
    labels = [1] * positives + [0] * 20
    champion = [0.9] * positives + [0.1] * 20
    challenger = [0.2] * positives + [0.3] * 20
    measured = statistics.paired(labels, champion, challenger, 99)["auc_difference"]
    small = {"attribute": "ward", "value": "7", "auc_difference": measured}
    same = _difference(0, 0)
    overall = {"auc_difference": same, "brier_difference": same, "decisions": _DECISIONS}
    assert _failed(suites.comparison_checks(overall, [small], {})) == []
    found = _failed(suites.comparison_checks({**overall, "auc_difference": measured}, [], {}))
    assert [name.partition(" is not")[0] for name in found] == ["AUC"]


def test_too_few_rows_are_named_and_fail_only_where_they_must_be_judged() -> None:
    same = _difference(0, 0)
    overall = {"auc_difference": same, "brier_difference": same, "decisions": _DECISIONS}
    numbers = {"attribute": "ward", "rows": 40}
    few = {**numbers, "value": "7", "positives": 3, "auc_difference": {**same, "low": None}}
    none = {**numbers, "value": "8", "positives": 0, "auc_difference": None}
    enough = {**numbers, "value": "9", "positives": 20, "auc_difference": same}
    groups = [few, none, enough]
    assert [suites.is_judged(one) for one in groups] == [False, False, True]
    assert _failed(suites.comparison_checks(overall, groups, {})) == []
    assert _failed(suites.comparison_checks(overall, groups, {"subgroups_not_judged_max": 2})) == []
    (missed,) = (
        check
        for check in suites.comparison_checks(overall, groups, {"subgroups_not_judged_max": 1})
        if not check["passed"]
    )
    assert missed["name"] == "subgroups have enough rows to be judged"
    assert "ward 7 has too few rows (3 positive, 37 negative); ward 8 has" in missed["observed"]
    assert suites.too_few_rows({"attribute": "sex", "value": "f"}) == "sex f has too few rows"


def _found_worse(positives: int, comparisons: int = 80) -> float:
    """How often equals are proven to be worse with that many positive rows and 150 negative ones.

    Two models of the same AUC, which err in different rows.
    """
    import numpy as np

    random = np.random.default_rng(20240501)
    labels = [1] * positives + [0] * 150
    worse = 0
    for _ in range(comparisons):
        risk = np.array(labels) * 2.6 + random.normal(size=len(labels))
        champion, challenger = (risk + random.normal(0, 2, len(labels)) for _ in range(2))
        found = statistics.paired(labels, champion, challenger, 499, 0.99)["auc_difference"]
        assert found
        worse += found["high"] < 0
    return worse / comparisons


def test_from_the_least_number_of_rows_on_equals_are_hardly_ever_found_to_be_worse() -> None:
    """Meant is one time in two hundred."""
    assert _found_worse(suites.ROWS_PER_LABEL) <= 0.02
    assert _found_worse(3) > 0.05


@pytest.mark.parametrize("label", [0, 1])
def test_with_fewer_rows_of_a_label_there_is_no_interval(label: int) -> None:
    least = suites.ROWS_PER_LABEL
    for rows, judged in ((least - 1, False), (least, True)):
        labels = [label] * rows + [1 - label] * 40
        scores = [number / 60 for number in range(len(labels))]
        found = statistics.paired(labels, scores, scores[::-1], 99, least=least)["auc_difference"]
        assert found
        assert found["value"]
        assert (found["low"] is not None) is judged
        shown = statistics.subgroup(labels, scores, [True] * len(labels), 99, least=least)["auc"]
        assert (shown["low"] is not None) is judged


def test_one_other_answer_is_not_the_same_answer() -> None:
    same = [0.1, 0.2]
    assert _failed(suites.determinism_checks([same, list(same)])) == []
    assert _failed(suites.determinism_checks([same, [0.1, 0.2000001]])) == [
        "the same request gets the same answer"
    ]
    assert "every call is answered" in _failed(suites.determinism_checks([same, None]))


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 999).map(lambda one: (one + 0.5) / 1000)),
        min_size=1,
        max_size=60,
    )
)
def test_the_calibration_error_is_the_distance_of_the_libraries_curve_weighted_by_rows(
    rows: list[tuple[int, float]],
) -> None:
    labels, predicted = [label for label, _ in rows], [one for _, one in rows]
    observed, mean = calibration_curve(labels, predicted, n_bins=10, strategy="uniform")
    counts = [found for found in np.histogram(predicted, bins=10, range=(0, 1))[0] if found]
    expected = sum(
        abs(one - other) * count / len(rows)
        for one, other, count in zip(observed, mean, counts, strict=True)
    )
    measured = statistics.metrics(labels, predicted)["calibration_error"]
    assert measured == pytest.approx(expected, abs=1e-12)
