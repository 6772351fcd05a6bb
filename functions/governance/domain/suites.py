"""Suites: what was observed at the live Test endpoint, and whether it is good enough.

A suite's result is {suite, status: passed | failed, checks, metrics, seconds, details?}; a check is
{name, passed, observed, expected}. A suite passes when every check does, and none is not a pass.
`details` is for the report alone: intervals, subgroups, curves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import quantiles
from typing import Any

from governance.domain.errors import InvalidInputError
from governance.domain.thresholds import limit_of, threshold_misses

# One at a time, in this order: the first sees the endpoint as it came up, the last puts it under
# load. The others judge the endpoint's answers to every row of the holdout.
LIVE = ("cold-start", "contract", "golden", "robustness", "determinism", "latency")
ON_HOLDOUT = ("quality", "fairness", "comparison")
BUILT_IN = (*LIVE, *ON_HOLDOUT)
# What ran before an entry's summary said which suites did.
BEFORE_SUMMARIES = ("contract", "quality", "latency")
# The endpoint runs the registered bytes on the registered rows, so its metrics are the registered
# ones but for the rounding of floats that JSON and other library versions bring.
TOLERANCE = 0.005
# Rows of each label from which on a subgroup is judged. With that many, equals are found to be
# worse about as often as with many more; with ten twice, with two ten times (docs/suites.md).
ROWS_PER_LABEL = 15
_MOST_OWN_METRICS = 10

Interval = Mapping[str, Any]


def check(name: str, passed: bool, observed: Any, expected: Any) -> dict[str, Any]:
    """One check: {name, passed, observed, expected}."""
    return {"name": name, "passed": passed, "observed": observed, "expected": expected}


def result(
    suite: str,
    checks: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, float | None],
    seconds: float,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A suite's result; a suite without a single check has not passed."""
    passed = bool(checks) and all(entry["passed"] for entry in checks)
    return {
        "suite": suite,
        "status": "passed" if passed else "failed",
        "checks": [dict(entry) for entry in checks],
        "metrics": dict(metrics),
        "seconds": round(seconds, 3),
        **({"details": dict(details)} if details else {}),
    }


def own_result(suite: str, answer: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """The result of a team's suite, whose answer has the agreed form.

    Its metrics carry its name, so that they never stand for ours. InvalidInputError for an answer
    that contradicts itself: what does not know whether it passed did not run.
    """
    if len(answer["metrics"]) > _MOST_OWN_METRICS:
        raise InvalidInputError(
            f"suite {suite} answered {len(answer['metrics'])} metrics; at most "
            f"{_MOST_OWN_METRICS} are kept: put the others into its checks"
        )
    metrics = {f"{suite}.{name}": value for name, value in answer["metrics"].items()}
    found = result(suite, answer["checks"], metrics, seconds)
    if found["status"] != answer["status"]:
        raise InvalidInputError(
            f"suite {suite} says that it {answer['status']}, and by its checks it "
            f"{found['status']}; its status must be what its checks add up to"
        )
    return found


def threshold_checks(
    measured: Mapping[str, float | None], thresholds: Mapping[str, float]
) -> list[dict[str, Any]]:
    """A check of every measured metric that has a threshold."""
    misses = {name: bound for name, _, bound in threshold_misses(measured, thresholds)}
    return [
        check(
            f"{name} meets the threshold",
            name not in misses,
            measured[name],
            f"{'at least' if limit[0] == 'min' else 'at most'} {limit[1]}",
        )
        for name in sorted(measured)
        if (limit := limit_of(name, thresholds)) is not None
    ]


def quality_checks(
    measured: Mapping[str, float | None],
    registered: Mapping[str, float | None],
    thresholds: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Checks of {auc, brier, calibration_error} measured at the endpoint.

    Against the tier's thresholds and against what the training pipeline registered.
    """
    misses = {name: bound for name, _, bound in threshold_misses(measured, thresholds)}
    checks = [
        check(
            f"{name} meets the threshold",
            name not in misses,
            value,
            misses.get(name, "within the tier's threshold"),
        )
        for name, value in sorted(measured.items())
    ]
    return checks + _as_registered("", measured, registered)


def subgroup_checks(
    subgroups: Sequence[Mapping[str, Any]], registered: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Checks that every registered subgroup fares at the endpoint as it was registered.

    `subgroups` are as a quality suite measured them, `registered` those of the evaluation report.
    """
    found = {(one["attribute"], one["value"]): one for one in subgroups}
    checks = []
    for one in registered:
        name = f"{one['attribute']} {one['value']}: "
        here = found.get((one["attribute"], one["value"]))
        if here is None:
            checks.append(check(f"{name}is in the holdout", False, "no rows", f"{one['rows']}"))
            continue
        measured = {metric: here[metric]["value"] for metric in ("auc", "brier")}
        checks += _as_registered(name, measured, {"auc": one["auc"], "brier": one["brier"]})
    return checks


def _as_registered(
    prefix: str, measured: Mapping[str, float | None], registered: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    return [
        check(
            f"{prefix}{name} is what was registered",
            _close(measured.get(name), value),
            measured.get(name),
            f"{value} within {TOLERANCE}",
        )
        for name, value in sorted(registered.items())
    ]


def golden_checks(
    expected: Sequence[float], observed: Sequence[float], tolerance: float
) -> list[dict[str, Any]]:
    """Checks that the endpoint says of known rows what is known of them, number by number."""
    return [
        check(
            f"golden prediction {number}",
            abs(one - other) <= tolerance,
            other,
            f"{one} within {tolerance}",
        )
        for number, (one, other) in enumerate(zip(expected, observed, strict=True), start=1)
    ]


def fairness_metrics(subgroups: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The largest gap between two subgroups of one attribute, for each way to look at it.

    subgroup_auc_gap, subgroup_brier_gap, selection_rate_gap (demographic parity) and
    true_positive_rate_gap (equal opportunity); subgroup_bias is how far the mean probability of a
    subgroup is from what was observed in it. None where no two subgroups can be compared.
    """
    biases = [abs(one["mean_probability"] - one["observed"]) for one in subgroups]
    return {
        "subgroup_auc_gap": _gap(subgroups, lambda one: one["auc"]["value"]),
        "subgroup_brier_gap": _gap(subgroups, lambda one: one["brier"]["value"]),
        "subgroup_bias": max(biases, default=None),
        "selection_rate_gap": _gap(subgroups, lambda one: one["selection_rate"]),
        "true_positive_rate_gap": _gap(subgroups, lambda one: one["true_positive_rate"]),
    }


def _gap(subgroups: Sequence[Mapping[str, Any]], of: Any) -> float | None:
    by_attribute: dict[str, list[float]] = {}
    for one in subgroups:
        value = of(one)
        if value is not None:
            by_attribute.setdefault(one["attribute"], []).append(value)
    gaps = [max(values) - min(values) for values in by_attribute.values() if len(values) > 1]
    return max(gaps, default=None)


def fairness_checks(
    metrics: Mapping[str, float | None], thresholds: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Checks of the gaps that have a threshold, and that there is something to compare at all."""
    return [
        check(
            "subgroups can be compared",
            metrics["subgroup_auc_gap"] is not None,
            "no attribute with two subgroups of both labels"
            if metrics["subgroup_auc_gap"] is None
            else "two or more",
            "two or more",
        ),
        *threshold_checks(metrics, thresholds),
    ]


def comparison_checks(
    overall: Mapping[str, Any],
    subgroups: Sequence[Mapping[str, Any]],
    thresholds: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Checks that the challenger is not proven to be worse than the champion.

    `overall` {auc_difference, brier_difference, decisions}, `subgroups` [{attribute, value, rows,
    positives, auc_difference}]: challenger minus champion with its interval. How much worse than
    the champion a challenger may be is the tier's champion_loss_max, 0 if it sets none. A subgroup
    with too few rows of a label for an interval is not judged, which fails only where there are
    more of them than subgroups_not_judged_max; with too few in all, nothing was compared.
    """
    allowed = thresholds.get("champion_loss_max", 0.0)
    checks = [
        _not_worse("AUC", overall["auc_difference"], allowed, good_when_large=True),
        _not_worse("Brier score", overall["brier_difference"], allowed, good_when_large=False),
    ]
    checks += [
        _not_worse(
            f"{one['attribute']} {one['value']}: AUC",
            one["auc_difference"],
            allowed,
            good_when_large=True,
        )
        for one in subgroups
        if is_judged(one)
    ]
    most = thresholds.get("subgroups_not_judged_max")
    if most is not None:
        left = [too_few_rows(one) for one in subgroups if not is_judged(one)]
        checks.append(
            check(
                "subgroups have enough rows to be judged",
                len(left) <= most,
                f"not judged: {'; '.join(left) or 'none'}",
                f"at most {most:g} that are not judged",
            )
        )
    decisions = overall["decisions"]
    worse = decisions["only_champion_right"] > decisions["only_challenger_right"]
    return [
        *checks,
        check(
            "decisions are not proven to be worse than the champion's",
            not (worse and decisions["p_value"] < decisions["alpha"]),
            f"{decisions['only_challenger_right']} rows only the challenger gets right, "
            f"{decisions['only_champion_right']} only the champion, p {decisions['p_value']:.4f}",
            f"p at least {decisions['alpha']:.3g}, or more right than the champion",
        ),
    ]


def is_judged(subgroup: Mapping[str, Any]) -> bool:
    """True if the comparison of a subgroup has an interval, so that it could be proven worse."""
    difference = subgroup["auc_difference"]
    return difference is not None and difference["low"] is not None


def too_few_rows(subgroup: Mapping[str, Any]) -> str:
    """Which subgroup it is, and how many rows of each label it has, where the report says that."""
    said = f"{subgroup['attribute']} {subgroup['value']} has too few rows"
    positives = subgroup.get("positives")
    if positives is None:
        return said
    return f"{said} ({positives} positive, {subgroup['rows'] - positives} negative)"


def _not_worse(
    name: str, difference: Interval | None, allowed: float, good_when_large: bool
) -> dict[str, Any]:
    title = f"{name} is not proven to be worse than the champion's"
    limit = -allowed if good_when_large else allowed
    expected = f"an interval that reaches {limit:g}"
    if difference is None or difference["low"] is None or difference["high"] is None:
        return check(title, False, "not measured", expected)
    proven = difference["high"] < limit if good_when_large else difference["low"] > limit
    observed = f"{difference['value']:+.4f} ({difference['low']:+.4f} to {difference['high']:+.4f})"
    return check(title, not proven, observed, expected)


def determinism_checks(answers: Sequence[Sequence[float] | None]) -> list[dict[str, Any]]:
    """A check that all answers to one request say the same; None is an answer that failed."""
    failed = sum(answer is None for answer in answers)
    distinct = {tuple(answer) for answer in answers if answer is not None}
    return [
        check("every call is answered", failed == 0, f"{failed} errors", "0 errors"),
        check(
            "the same request gets the same answer",
            len(distinct) == 1,
            f"{len(distinct)} different answers to {len(answers)} calls",
            "1 answer",
        ),
    ]


def cold_start_checks(
    metrics: Mapping[str, float | None], problems: Sequence[str], thresholds: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Checks of the first answer that an endpoint ever gave, and of the time until then."""
    return [
        check(
            "the first call is answered",
            not problems,
            "; ".join(problems) or "answered",
            "status 200 and one prediction for each instance",
        ),
        *threshold_checks(metrics, thresholds),
    ]


def latency_metrics(milliseconds: Sequence[float]) -> dict[str, float | None]:
    """{latency_p50_ms, latency_p95_ms, latency_p99_ms} of at least two observed times."""
    cuts = quantiles(milliseconds, n=100, method="inclusive")
    return {
        "latency_p50_ms": round(cuts[49], 3),
        "latency_p95_ms": round(cuts[94], 3),
        "latency_p99_ms": round(cuts[98], 3),
    }


def latency_checks(
    metrics: Mapping[str, float | None], errors: int, thresholds: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Checks of measured latencies (ms) and of the number of calls that were not answered 200."""
    return [
        check("every call is answered", errors == 0, f"{errors} errors", "0 errors"),
        *threshold_checks(metrics, thresholds),
    ]


def aggregate(
    results: Sequence[Mapping[str, Any]],
    deployment_outcome: Mapping[str, Any],
    plan: Mapping[str, Any],
) -> dict[str, Any]:
    """{status: Passed | Failed, summary: {metrics, suites}, reasons} of a validation.

    `deployment_outcome` {outcome, failure_reason}: an endpoint that never served has failed.
    InvalidInputError if it served and a suite of the `plan` has no result, or none was planned:
    what was not tested is neither passed nor failed.
    """
    reasons = []
    if deployment_outcome.get("outcome") != "in_service":
        reasons.append(f"the endpoint did not serve: {deployment_outcome.get('failure_reason')}")
    else:
        _require_all(results, plan)
    reasons += [
        f"suite {entry['suite']} checked nothing" for entry in results if not entry["checks"]
    ]
    reasons += [
        f"{entry['suite']}: {failed['name']}: {failed['observed']}, expected {failed['expected']}"
        for entry in results
        for failed in entry["checks"]
        if not failed["passed"]
    ]
    metrics = {name: value for entry in results for name, value in entry["metrics"].items()}
    ran = [{"suite": entry["suite"], "status": entry["status"]} for entry in results]
    left = [{**entry, "status": "omitted"} for entry in plan["omitted"]]
    return {
        "status": "Failed" if reasons else "Passed",
        "summary": {"metrics": metrics, **({"suites": ran + left} if ran or left else {})},
        "reasons": reasons,
    }


def _require_all(results: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]) -> None:
    planned = [entry["suite"] for entry in (*plan["suites"], *plan["holdout_suites"])]
    ran = [entry["suite"] for entry in results]
    if not planned or sorted(planned) != sorted(ran):
        raise InvalidInputError(
            f"planned were the suites {', '.join(planned) or 'none'}, and there are results of "
            f"{', '.join(ran) or 'none'}; what was not tested has not passed"
        )


def outcomes(summary: Mapping[str, Any], passed: bool) -> tuple[list[str], list[str]]:
    """(suites that passed, suites that failed) of a recorded validation.

    Without any that ran, as of an endpoint that never served, all that always run have failed.
    """
    ran = [entry for entry in summary.get("suites") or [] if entry["status"] != "omitted"]
    if ran:
        return (
            [entry["suite"] for entry in ran if entry["status"] == "passed"],
            [entry["suite"] for entry in ran if entry["status"] == "failed"],
        )
    failed = [] if passed else _failed_by(summary.get("reasons") or [])
    return [name for name in BEFORE_SUMMARIES if name not in failed], failed


def _failed_by(reasons: Sequence[str]) -> list[str]:
    named = [
        name
        for name in BEFORE_SUMMARIES
        if any(reason.startswith((f"{name}: ", f"suite {name} ")) for reason in reasons)
    ]
    return named or list(BEFORE_SUMMARIES)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= TOLERANCE
