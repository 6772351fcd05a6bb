"""Documents of people and pipelines: what breaks their schema is named, place by place."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from governance import contracts
from governance.contracts.documents import EVALUATION_REPORT, TIER_POLICY
from governance.domain.errors import InvalidInputError
from tests.contracts import samples

POLICIES = Path(__file__).parents[2] / "policies"
TIERS = sorted((POLICIES / "tiers").glob("*.json"))
REMOVED = object()


def _changed(document: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    if value is REMOVED:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return document


def _problems(path: tuple[str | int, ...], value: Any) -> list[str]:
    return contracts.evaluation_problems(_changed(samples.evaluation_report(), path, value))


@pytest.mark.parametrize("schema", [EVALUATION_REPORT, TIER_POLICY], ids=lambda s: s["title"])
def test_the_schemas_are_json_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


# ------------------------------------------------------------------ evaluation report


def test_a_valid_report_is_read() -> None:
    report = samples.evaluation_report()
    assert contracts.evaluation_report(json.dumps(report).encode()) == (report, [])


def test_a_report_without_a_calibration_curve_is_valid() -> None:
    assert _problems(("calibration",), REMOVED) == []


def test_an_auc_that_could_not_be_computed_may_be_null_in_a_subgroup() -> None:
    assert _problems(("subgroups", 0, "auc"), None) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"not json",
        b'{"metrics": {"auc": 0.8,}}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_not_json_is_a_problem_and_no_report(body: bytes) -> None:
    report, problems = contracts.evaluation_report(body)
    assert report == {}
    assert len(problems) == 1
    assert problems[0].startswith("the report is not JSON: ")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_metric_that_is_no_number_is_no_report(number: str) -> None:
    """Python writes and reads NaN; it is within every bound and would pass every threshold."""
    body = json.dumps(samples.evaluation_report()).replace('"auc": 0.82', f'"auc": {number}')
    assert contracts.evaluation_report(body.encode()) == (
        {},
        [f"the report is not JSON: {number} is not a JSON number"],
    )


@pytest.mark.parametrize(
    "path",
    [
        # The curve is for people; pipelines that do not draw it are not refused.
        *((name,) for name in samples.evaluation_report() if name != "calibration"),
        *(("calibration", 0, name) for name in samples.evaluation_report()["calibration"][0]),
        *(("holdout", name) for name in samples.evaluation_report()["holdout"]),
        *(("threshold", name) for name in samples.evaluation_report()["threshold"]),
        *(("metrics", name) for name in samples.evaluation_report()["metrics"]),
        *(("subgroups", 0, name) for name in samples.evaluation_report()["subgroups"][0]),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_every_field_is_required_and_named_when_it_is_missing(path: tuple[str | int, ...]) -> None:
    (problem,) = _problems(path, REMOVED)
    place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path[:-1]).lstrip(".")
    assert problem == f"{place or 'the document'}: '{path[-1]}' is a required property"


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("schema",), "governed-path/evaluation/v2", "schema: is 'governed-path/evaluation/v2'"),
        (("model",), "", "model: is ''; expected minLength 1"),
        (("created_at",), None, "created_at: is None; expected type 'string'"),
        (("holdout", "uri"), "https://x", "holdout.uri: is 'https://x'; expected pattern"),
        (("holdout", "sha256"), "A" * 64, "holdout.sha256: is 'AAAA"),
        (("holdout", "rows"), 0, "holdout.rows: is 0; expected minimum 1"),
        (("holdout", "rows"), 1.5, "holdout.rows: is 1.5; expected type 'integer'"),
        (("holdout", "positives"), -1, "holdout.positives: is -1; expected minimum 0"),
        (("threshold", "value"), "200", "threshold.value: is '200'; expected type 'number'"),
        (("metrics", "auc"), 1.0001, "metrics.auc: is 1.0001; expected maximum 1"),
        (("metrics", "auc"), None, "metrics.auc: is None; expected type 'number'"),
        (("metrics", "brier"), -0.1, "metrics.brier: is -0.1; expected minimum 0"),
        (("metrics", "brier"), True, "metrics.brier: is True; expected type 'number'"),
        (("metrics", "accuracy"), 0.9, "metrics: Additional properties are not allowed"),
        (("surprise",), 1, "the document: Additional properties are not allowed ('surprise'"),
        (("subgroups",), [], "subgroups: is []; expected minItems 1"),
        (("subgroups", 1, "auc"), 7, "subgroups[1].auc: is 7; expected maximum 1"),
        (("subgroups", 1, "brier"), None, "subgroups[1].brier: is None; expected type"),
        (("subgroups", 1, "value"), 60, "subgroups[1].value: is 60; expected type 'string'"),
    ],
)
def test_every_breach_is_named(path: tuple[str | int, ...], value: Any, problem: str) -> None:
    (found,) = _problems(path, value)
    assert found.startswith(problem)


@pytest.mark.parametrize("report", [None, [], "text", 1], ids=repr)
def test_a_report_that_is_no_object_is_a_problem(report: Any) -> None:
    (problem,) = contracts.evaluation_problems(report)
    assert problem == f"the document: is {report!r}; expected type 'object'"


def test_all_breaches_are_named_at_once() -> None:
    report = _changed(samples.evaluation_report(), ("metrics", "auc"), 2)
    del report["model"]
    body = json.dumps(report).encode()
    assert contracts.evaluation_report(body) == (
        {},
        [
            "the document: 'model' is a required property",
            "metrics.auc: is 2; expected maximum 1",
        ],
    )


# ------------------------------------------------------------------ tier policies


def _tier(name: str = "high") -> dict[str, Any]:
    policy: dict[str, Any] = json.loads((POLICIES / "tiers" / f"{name}.json").read_text("utf-8"))
    return policy


def test_the_published_schema_is_the_one_that_the_code_asks() -> None:
    assert json.loads((POLICIES / "tier.schema.json").read_text("utf-8")) == TIER_POLICY


def test_there_is_a_policy_for_each_tier() -> None:
    assert {path.stem for path in TIERS} == set(TIER_POLICY["properties"]["tier"]["enum"])


@pytest.mark.parametrize("path", TIERS, ids=lambda path: path.stem)
def test_each_policy_matches_the_schema_and_its_file_name(path: Path) -> None:
    policy = json.loads(path.read_text("utf-8"))
    assert contracts.tier_policy(policy) == policy
    assert policy["tier"] == path.stem


def test_a_higher_tier_never_demands_less() -> None:
    tiers = [_tier(name) for name in ("low", "medium", "high")]
    for lower, higher in itertools.pairwise(tiers):
        assert higher["description_min_chars"] >= lower["description_min_chars"]
        assert higher["thresholds"].keys() >= lower["thresholds"].keys()
        for name, limit in lower["thresholds"].items():
            sign = 1 if name.endswith("_min") else -1
            assert sign * higher["thresholds"][name] >= sign * limit, name


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("tier",), "extreme", "tier: is 'extreme'"),
        (("tier",), REMOVED, "'tier' is a required property"),
        (("thresholds",), REMOVED, "'thresholds' is a required property"),
        (("thresholds", "auc_min"), REMOVED, "thresholds: 'auc_min' is a required property"),
        (("thresholds", "auc_min"), 75, "thresholds.auc_min: is 75; expected maximum 1"),
        (("thresholds", "latency_p95_ms_max"), 0, "thresholds.latency_p95_ms_max: is 0"),
        (("thresholds", "f1_min"), 0.5, "thresholds: Additional properties are not allowed"),
        (("description_min_chars",), 0, "description_min_chars: is 0; expected minimum 1"),
        (("surprise",), 1, "('surprise' was unexpected)"),
    ],
)
def test_a_broken_policy_is_refused_by_what_is_wrong(
    path: tuple[str | int, ...], value: Any, named: str
) -> None:
    broken = _changed(_tier(), path, value)
    with pytest.raises(
        InvalidInputError, match=r"^the tier policy is not valid: .*" + re.escape(named)
    ):
        contracts.tier_policy(broken)
