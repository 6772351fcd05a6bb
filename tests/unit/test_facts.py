"""Facts are kept with a verdict, bounded, and read back for what they were."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.adapters import items
from governance.domain import facts, gates
from governance.domain.facts import Facts
from tests.contracts import policies, samples

LONG = "x" * 5000


def _facts(**more: Any) -> Facts:
    given: dict[str, Any] = {
        "stage": "Prod",
        "model_package_arn": samples.version_arn(),
        "candidate_id": samples.CANDIDATE,
        "approver": samples.identity("governance-engineer", "grace"),
        "trainer": samples.identity("training", "theo"),
        "decision_current": True,
        "approval": {"approval_description": "y" * 1024},
        "asked_at": "2026-11-21T06:00:00Z",
        "test_metrics": {"auc": 0.8, "latency_p95_ms": 12},
        "card_sections": ("a", "b"),
        **more,
    }
    return Facts(**given)


def test_what_is_kept_gives_the_same_verdict_again_also_after_dynamodb() -> None:
    policy = policies.policy()
    first = gates.evaluate(_facts(), policy, policies.decide(policy)).to_dict()
    kept = items.from_item(items.to_item(json.loads(json.dumps(first))))["facts"]
    again = gates.evaluate(facts.from_dict(kept), policy, policies.decide(policy)).to_dict()
    assert again == first


def test_an_old_verdict_may_lack_facts_and_have_others() -> None:
    kept = {**_facts().to_dict(), "moon_phase": "full"}
    del kept["image"]
    assert facts.from_dict(kept).image == {}
    del kept["candidate_id"]
    with pytest.raises(TypeError, match="candidate_id"):
        facts.from_dict(kept)


def test_a_metric_that_is_no_number_is_kept_as_none() -> None:
    kept = _facts(test_metrics={"auc": float("nan"), "brier": float("inf")}).to_dict()
    assert kept["test_metrics"] == {"auc": None, "brier": None}
    json.dumps(kept, allow_nan=False)


@given(
    st.integers(0, 400),
    st.integers(0, 400),
    st.dictionaries(st.text(max_size=300), st.text(max_size=2000), max_size=100),
)
def test_facts_are_never_too_large_for_an_event(
    problems: int, differences: int, metrics: dict[str, str]
) -> None:
    found = _facts(
        evaluation={"valid": False, "problems": [LONG] * problems},
        differences=[{"name": LONG, "expected": LONG, "actual": LONG}] * differences,
        declared_mismatches=[{"name": LONG, "declared": LONG, "actual": LONG}] * differences,
        reviews=[{"person": LONG, "description": LONG}] * problems,
        test_metrics=metrics,
    )
    assert len(json.dumps(found.to_dict(), ensure_ascii=False)) < 2 * facts.LARGEST
    assert len(found.to_dict()["approval"]["approval_description"]) >= 61


def test_what_fits_is_kept_whole() -> None:
    found = _facts(differences=[{"name": "n", "expected": "e", "actual": "a"}])
    kept = found.to_dict()
    assert kept["differences"] == [{"name": "n", "expected": "e", "actual": "a"}]
    assert kept["approval"]["approval_description"] == "y" * 1024
