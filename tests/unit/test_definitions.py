"""A definition says one thing, keeps its schema, and is never looser than its tier."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from governance import contracts
from governance.contracts.validation import problems
from governance.domain import definitions
from governance.domain.errors import InvalidInputError
from tests.contracts import policies, samples

SCHEMA = samples.ROOT / "templates/classical-regression/deploy/deployment.schema.json"
HIGH = policies.policy("high").tier


def _changed(**parts: Any) -> dict[str, Any]:
    """The template's definition; `release__bake_seconds=0` changes an inner member."""
    found = copy.deepcopy(samples.definition())
    for name, value in parts.items():
        place, *inner = name.split("__")
        target = found
        for step in inner:
            target, place = target[place], step
        if value is None:
            target.pop(place, None)
        else:
            target[place] = value
    return found


def _said(document: Any, tier: Any = None) -> list[str]:
    return [definitions.describe(one) for one in contracts.definition_problems(document, tier)]


def _alarm(**parts: Any) -> dict[str, Any]:
    first: dict[str, Any] = samples.definition()["release"]["alarms"][0]
    return {**first, **parts}


def test_the_schema_of_the_template_is_ours() -> None:
    assert json.loads(SCHEMA.read_text("utf-8")) == contracts.DEPLOYMENT_DEFINITION


def _fields(schema: Any) -> list[dict[str, Any]]:
    """Every field that the schema knows, the branches of the strategy among them."""
    if not isinstance(schema, dict):
        return []
    inner = list(schema.get("properties", {}).values())
    inner += [schema.get("items")] + [one["then"] for one in schema.get("allOf", [])]
    here = [one for one in schema.get("properties", {}).values() if isinstance(one, dict)]
    return here + [field for one in inner for field in _fields(one)]


def test_every_field_is_described_and_every_leaf_has_an_example_that_it_takes() -> None:
    fields = _fields(contracts.DEPLOYMENT_DEFINITION)
    assert len(fields) > 25
    assert [one for one in fields if len(one.get("description", "")) < 10] == []
    for one in fields:
        if "properties" in one or "items" in one:
            continue
        assert one["examples"], one
        broken = [e for e in one["examples"] if problems(one, e)]
        assert broken == []


@pytest.mark.parametrize("tier", ["low", "medium", "high"])
def test_the_templates_definition_is_one_that_every_tier_takes(tier: str) -> None:
    assert _said(samples.definition(), policies.policy(tier).tier) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, "version: is 2; expected const 1"),
        ({"release": None}, "the definition: 'release' is a required property"),
        ({"endpoint__instance_count": 0}, "endpoint.instance_count: is 0; expected minimum 1"),
        ({"endpoint__environment": {"A": 1}}, "endpoint.environment.A: is 1; expected type"),
        ({"endpoint__gpu": True}, "endpoint.gpu: is not known here; expected instance_type"),
        (
            {"release__strategy": {"type": "canary", "percent": 60, "wait_seconds": 0}},
            "release.strategy.percent: is 60; expected maximum 50",
        ),
        (
            {"release__strategy": {"type": "canary", "step_percent": 10, "wait_seconds": 0}},
            "release.strategy.step_percent: is not known here; expected type, percent",
        ),
        (
            {"release__strategy": {"type": "linear", "step_percent": 10}},
            "release.strategy: 'wait_seconds' is a required property",
        ),
        (
            {"release__strategy": {"type": "all-at-once", "percent": 5}},
            "release.strategy.percent: is not known here; expected type",
        ),
        ({"release__alarms": [_alarm()] * 10}, "release.alarms: is [{"),
        (
            {"release__alarms": [_alarm(period_seconds=90)]},
            "release.alarms[0].period_seconds: is 90; expected multipleOf 60",
        ),
        (
            {"release__alarms": [_alarm(statistic="p101")]},
            "release.alarms[0].statistic: is 'p101'",
        ),
        ({"suites": [{"entry_point": "f"}]}, "suites[0]: 'name' is a required property"),
        ({"thresholds": {"auc": 1}}, "thresholds: is 'auc'; expected pattern"),
    ],
)
def test_what_breaks_the_schema_is_named_with_its_place(changes: Any, said: str) -> None:
    assert any(one.startswith(said) for one in _said(_changed(**changes))), _said(
        _changed(**changes)
    )


def test_a_strategy_that_is_not_built_is_refused() -> None:
    (said,) = _said(_changed(release__strategy={"type": "rolling"}))
    assert said == (
        "release.strategy.type: is 'rolling'; expected enum "
        "['all-at-once', 'canary', 'linear', 'a-b', 'shadow']"
    )


A_B = {
    "type": "a-b",
    "challenger_percent": 10,
    "look_seconds": 3600,
    "looks": 5,
    "alpha": 0.05,
    "undecided": "ask",
}
SHADOW = {"type": "shadow", "sample_percent": 50, "seconds": 3600, "max_disagreement": 0.05}


@pytest.mark.parametrize("strategy", [A_B, SHADOW], ids=["a-b", "shadow"])
def test_a_trial_needs_neither_two_instances_nor_an_alarm(strategy: dict[str, Any]) -> None:
    """Its traffic moves by weight, and its errors are what decides."""
    scaling = {"min": 1, "max": 8, "invocations_per_instance": 200}
    changed = _changed(
        release__strategy=strategy,
        release__alarms=[],
        endpoint__instance_count=1,
        endpoint__autoscaling=scaling,
    )
    assert _said(changed) == []


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ({**A_B, "undecided": "promote"}, "release.strategy.undecided"),
        ({**A_B, "challenger_percent": 51}, "release.strategy.challenger_percent"),
        ({**A_B, "alpha": 0.5}, "release.strategy.alpha"),
        ({**SHADOW, "max_disagreement": 2}, "release.strategy.max_disagreement"),
        ({**A_B, "look_seconds": 86_400, "looks": 8}, "release.strategy.looks: adds up to 691200"),
    ],
)
def test_a_trial_has_bounds(strategy: dict[str, Any], said: str) -> None:
    assert any(one.startswith(said) for one in _said(_changed(release__strategy=strategy)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"endpoint__environment": {"SAGEMAKER_PROGRAM": "other.py"}},
            "endpoint.environment.SAGEMAKER_PROGRAM: says which code runs",
        ),
        (
            {"endpoint__autoscaling": {"min": 3, "max": 2, "invocations_per_instance": 1}},
            "endpoint.autoscaling.max: is 2; expected at least min, 3",
        ),
        ({"endpoint__instance_count": 9}, "endpoint.instance_count: is 9; expected 2 to 8"),
        (
            {"endpoint__instance_count": 1, "endpoint__autoscaling": None},
            "endpoint.instance_count: is 1; expected 2 or more",
        ),
        (
            {"release__alarms": [_alarm(), _alarm()]},
            "release.alarms[1].name: is 'server-errors' a second time",
        ),
        ({"release__alarms": [_alarm(name="stop")]}, "release.alarms[0].name: is 'stop'"),
        (
            {"release__alarms": []},
            "release.alarms: is empty; canary moves traffic step by step",
        ),
        (
            {"release__strategy": {"type": "linear", "step_percent": 10, "wait_seconds": 3600}},
            "release.strategy.wait_seconds: adds up to 32400 s",
        ),
        ({"suites": [{"name": "contract"}] * 2}, "suites[1].name: is 'contract' a second time"),
        ({"suites": [{"name": "contract"}, {"name": "drift"}]}, "suites[1]: there is no suite"),
        (
            {"suites": [{"name": "latency", "parameters": {"threads": 2}}]},
            "suites[0]: suite latency has no parameter 'threads'",
        ),
    ],
)
def test_what_contradicts_itself_is_named_with_its_place(changes: Any, said: str) -> None:
    (found,) = _said(_changed(**changes))
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"release__strategy": {"type": "all-at-once"}},
            "release.strategy.type: is all-at-once; tier high allows canary, linear",
        ),
        ({"release__bake_seconds": 299}, "release.bake_seconds: is 299; tier high asks for"),
        (
            {"release__alarms": [_alarm()]},
            "release.alarms: watches no ModelLatency; tier high asks for an alarm on it",
        ),
        ({"thresholds": {"auc_min": 0.5}}, "thresholds.auc_min: is 0.5, looser than tier high"),
        ({"thresholds": {"brier_max": 0.5}}, "thresholds.brier_max: is 0.5, looser than tier"),
    ],
)
def test_nothing_is_looser_than_the_tier(changes: Any, said: str) -> None:
    (found,) = _said(_changed(**changes), HIGH)
    assert found.startswith(said)
    assert _said(_changed(**changes)) == []


def test_stricter_thresholds_and_ones_of_the_projects_own_are_taken() -> None:
    own = {"auc_min": 0.9, "brier_max": 0.1, "f1_min": 0.5}
    assert _said(_changed(thresholds=own), HIGH) == []


def test_the_digest_is_that_of_what_it_says() -> None:
    found = samples.definition()
    other = json.loads(json.dumps(found, sort_keys=True))
    assert definitions.digest(found) == definitions.digest(other)
    assert definitions.digest(_changed(release__bake_seconds=601)) != definitions.digest(found)


def test_the_approvals_definition_counts_before_the_projects() -> None:
    project = samples.project()
    bucket = samples.EVIDENCE_BUCKET
    named = definitions.chosen("a" * 64, project, bucket)
    assert named == {
        "digest": "a" * 64,
        "uri": f"s3://{bucket}/deployments/{samples.MODEL}/{'a' * 64}.json",
    }
    assert definitions.chosen(None, project, bucket) == samples.definition_reference()
    del project["definition"]
    assert definitions.chosen(None, project, bucket) is None


def test_no_definition_is_an_error_that_says_what_it_lacks() -> None:
    with pytest.raises(InvalidInputError, match=r"release\.bake_seconds: is -1"):
        contracts.deployment_definition(_changed(release__bake_seconds=-1))


@pytest.mark.parametrize(
    ("strategy", "seconds"),
    [
        ({"type": "all-at-once"}, 0),
        ({"type": "canary", "percent": 10, "wait_seconds": 300}, 300),
        ({"type": "linear", "step_percent": 25, "wait_seconds": 60}, 180),
        ({"type": "linear", "step_percent": 30, "wait_seconds": 60}, 180),
    ],
)
def test_how_long_traffic_takes_to_move(strategy: dict[str, Any], seconds: int) -> None:
    assert definitions.shift_seconds(strategy) == seconds
