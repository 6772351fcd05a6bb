"""Suites: what was observed at the live Test endpoint, and whether it is good enough.

A suite's result is {suite, status: passed | failed, checks, metrics, seconds}; a check is {name,
passed, observed, expected}. A suite passes when every check does, and none is not a pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import quantiles
from typing import Any

from governance.domain.thresholds import threshold_misses

NAMES = ("contract", "quality", "latency")
# The endpoint runs the registered bytes on the registered rows, so its metrics are the registered
# ones but for the rounding of floats that JSON and other library versions bring.
TOLERANCE = 0.005


def check(name: str, passed: bool, observed: Any, expected: Any) -> dict[str, Any]:
    """One check: {name, passed, observed, expected}."""
    return {"name": name, "passed": passed, "observed": observed, "expected": expected}


def result(
    suite: str,
    checks: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, float | None],
    seconds: float,
) -> dict[str, Any]:
    """A suite's result; a suite without a single check has not passed."""
    passed = bool(checks) and all(entry["passed"] for entry in checks)
    return {
        "suite": suite,
        "status": "passed" if passed else "failed",
        "checks": [dict(entry) for entry in checks],
        "metrics": dict(metrics),
        "seconds": round(seconds, 3),
    }


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
    return checks + [
        check(
            f"{name} is what was registered",
            _close(measured.get(name), value),
            measured.get(name),
            f"{value} within {TOLERANCE}",
        )
        for name, value in sorted(registered.items())
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
    misses = {name: bound for name, _, bound in threshold_misses(metrics, thresholds)}
    limits = {f"{name}_max" for name in metrics} & thresholds.keys()
    return [
        check("every call is answered", errors == 0, f"{errors} errors", "0 errors"),
        *(
            check(
                f"{limit.removesuffix('_max')} meets the threshold",
                limit.removesuffix("_max") not in misses,
                metrics[limit.removesuffix("_max")],
                f"at most {thresholds[limit]}",
            )
            for limit in sorted(limits)
        ),
    ]


def aggregate(
    results: Sequence[Mapping[str, Any]], deployment_outcome: Mapping[str, Any]
) -> dict[str, Any]:
    """{status: Passed | Failed, summary: {metrics}, reasons} of a validation.

    `deployment_outcome` {outcome, failure_reason}: an endpoint that never served has failed, and so
    has a validation in which a suite did not run.
    """
    reasons = []
    if deployment_outcome.get("outcome") != "in_service":
        reasons.append(f"the endpoint did not serve: {deployment_outcome.get('failure_reason')}")
    else:
        ran = {entry["suite"] for entry in results}
        reasons += [f"suite {name} did not run" for name in NAMES if name not in ran]
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
    return {
        "status": "Failed" if reasons else "Passed",
        "summary": {"metrics": metrics},
        "reasons": reasons,
    }


def failed_by(reasons: Sequence[str]) -> list[str]:
    """The suites that did not pass, by what `aggregate` said; all if it names none of them."""
    named = [
        name
        for name in NAMES
        if any(reason.startswith((f"{name}: ", f"suite {name} ")) for reason in reasons)
    ]
    return named or list(NAMES)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= TOLERANCE
