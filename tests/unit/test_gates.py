"""Each rule of each gate says yes to what is right, and no with a reason to what is not."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import gates
from governance.domain.gates import Facts
from tests.contracts import samples

POLICY = json.loads(
    (Path(__file__).parents[2] / "policies" / "tiers" / "high.json").read_text("utf-8")
)
PERSONA = {"Dev": "data-scientist", "Test": "ai-engineer", "Prod": "governance-engineer"}
TRAINER = {**samples.identity("training", "theo"), "persona": "training-pipeline"}
EVALUATION = {
    "valid": True,
    "problems": [],
    "metrics": {"auc": 0.82, "brier": 0.17, "calibration_error": 0.06},
    "subgroup_auc_gap": 0.05,
}
MISMATCH = {"name": "model-data sha256", "declared": "a" * 64, "actual": "b" * 64}
DIFFERENCE = {"name": "environment", "expected": '{"A": "1"}', "actual": '{"A": "2"}'}


def _good(stage: str) -> Facts:
    """Facts that the gate of the stage has nothing against."""
    return Facts(
        stage=stage,
        # Roles and version are in one account; which one does not matter here.
        model_package_arn=samples.version_arn(samples.DEV),
        candidate_id=samples.CANDIDATE,
        approver=samples.identity(PERSONA[stage], "dana"),
        trainer=TRAINER,
        decision_current=True,
        approval={
            "model_approval_status": "Approved",
            "approval_description": "Reviewed the validation report and the model card with Dana.",
        },
        policy=POLICY,
        evaluation=EVALUATION,
        tests_passed=True,
    )


def _evaluation(**more: Any) -> dict[str, Any]:
    metrics = {key: more.pop(key) for key in list(more) if key in EVALUATION["metrics"]}
    return {"evaluation": {**EVALUATION, **more, "metrics": {**EVALUATION["metrics"], **metrics}}}


COMMON: list[tuple[str, dict[str, Any], str]] = [
    ("approver_holds_the_role", {"approver": samples.identity("admin", "adam")}, "adam"),
    ("approver_holds_the_role", {"approver": {"person": "dana", "persona": None}}, "dana"),
    ("decision_is_current", {"decision_current": False}, "changed after this decision"),
]
CHANGED = [("candidate_unchanged", {"differences": [DIFFERENCE]}, 'environment is {"A": "2"}')]
# stage, rule, the facts that break it and nothing else, what the fact must say
BROKEN: list[tuple[str, str, dict[str, Any], str]] = [
    *((stage, *case) for stage in PERSONA for case in COMMON),
    *((stage, *case) for stage in ("Test", "Prod") for case in CHANGED),
    (
        "Test",
        "follows_the_stage_machine",
        {"phase": "Prod/Deployed"},
        "the version is Prod/Deployed",
    ),
    ("Prod", "follows_the_stage_machine", {"phase": "Test/Failed"}, "the version is Test/Failed"),
    (
        "Prod",
        "follows_the_stage_machine",
        {"phase": "Prod/Recalled"},
        "the version is Prod/Recalled",
    ),
    *(
        (
            stage,
            "approver_is_not_trainer",
            {"approver": samples.identity(PERSONA[stage], "theo")},
            "theo approved and theo trained",
        )
        for stage in PERSONA
    ),
    ("Dev", "approver_is_not_trainer", {"trainer": {"person": ""}}, "an unknown person trained"),
    (
        "Dev",
        "artifacts_match_registration",
        {"declared_mismatches": [MISMATCH]},
        f"model-data sha256 is {'b' * 64} but was registered as {'a' * 64}",
    ),
    ("Dev", "evaluation_report_valid", {"evaluation": {}}, "there is none"),
    (
        "Dev",
        "evaluation_report_valid",
        {"evaluation": {"valid": False, "problems": ["metrics.auc: is 2"]}},
        "metrics.auc: is 2",
    ),
    ("Dev", "evaluation_meets_thresholds", _evaluation(auc=0.7499), "auc is 0.7499"),
    ("Dev", "evaluation_meets_thresholds", _evaluation(auc=None), "auc is not measured"),
    ("Dev", "evaluation_meets_thresholds", _evaluation(auc=float("nan")), "auc is nan"),
    ("Dev", "evaluation_meets_thresholds", _evaluation(brier=0.21), "brier is 0.21"),
    (
        "Dev",
        "evaluation_meets_thresholds",
        _evaluation(calibration_error=0.5),
        "calibration_error is 0.5",
    ),
    (
        "Dev",
        "evaluation_meets_thresholds",
        _evaluation(subgroup_auc_gap=0.3),
        "subgroup_auc_gap is 0.3",
    ),
    (
        "Dev",
        "evaluation_meets_thresholds",
        _evaluation(subgroup_auc_gap=None),
        "subgroup_auc_gap is not measured",
    ),
    ("Prod", "tests_passed_for_candidate", {"tests_passed": False}, samples.CANDIDATE),
    (
        "Prod",
        "model_approval_status_approved",
        {"approval": {**_good("Prod").approval, "model_approval_status": "Rejected"}},
        "ModelApprovalStatus is Rejected",
    ),
    (
        "Prod",
        "approval_description_substantive",
        {
            "approval": {
                "model_approval_status": "Approved",
                "approval_description": "LGTM" + " " * 99,
            }
        },
        "ApprovalDescription has 4 characters",
    ),
    (
        "Prod",
        "approval_description_substantive",
        {"approval": {"model_approval_status": "Approved", "approval_description": None}},
        "ApprovalDescription has 0 characters",
    ),
]
RULES = {
    "Dev": [
        "approver_holds_the_role",
        "approver_is_not_trainer",
        "decision_is_current",
        "artifacts_match_registration",
        "evaluation_report_valid",
        "evaluation_meets_thresholds",
    ],
    "Test": [
        "approver_holds_the_role",
        "approver_is_not_trainer",
        "decision_is_current",
        "follows_the_stage_machine",
        "candidate_unchanged",
    ],
    "Prod": [
        "approver_holds_the_role",
        "approver_is_not_trainer",
        "decision_is_current",
        "follows_the_stage_machine",
        "candidate_unchanged",
        "tests_passed_for_candidate",
        "model_approval_status_approved",
        "approval_description_substantive",
    ],
}


@pytest.mark.parametrize(("stage", "rules"), RULES.items())
def test_a_gate_asks_all_its_rules_and_allows_what_is_right(stage: str, rules: list[str]) -> None:
    assert gates.evaluate(_good(stage)).to_dict() == {
        "allowed": True,
        "stage": stage,
        "reasons": [],
        "rules": rules,
        "policy_digest": gates.policy_digest(POLICY),
        "description": f"Gate {stage}: allowed by {len(rules)} rules",
        "leaves": None,
    }


@pytest.mark.parametrize(("stage", "rule", "facts", "says"), BROKEN)
def test_a_broken_rule_is_the_one_reason(
    stage: str, rule: str, facts: dict[str, Any], says: str
) -> None:
    verdict = gates.evaluate(replace(_good(stage), **facts))
    (reason,) = verdict.reasons
    assert not verdict.allowed
    assert reason.rule == rule
    assert says in reason.fact
    assert all(reason.to_dict().values()), "every part of a reason says something"
    assert list(verdict.rules) == RULES[stage], "a verdict names the rules that were asked"


def test_every_rule_of_every_gate_is_broken_above() -> None:
    broken = {(stage, rule) for stage, rule, _, _ in BROKEN}
    assert broken == {(stage, rule) for stage, rules in RULES.items() for rule in rules}


@pytest.mark.parametrize("stage", PERSONA)
def test_all_broken_rules_are_reasons_at_once(stage: str) -> None:
    """But for the thresholds of a report that is not valid: those were not measured."""
    facts = replace(
        _good(stage),
        approver={},
        decision_current=False,
        declared_mismatches=[MISMATCH],
        differences=[DIFFERENCE],
        evaluation={},
        tests_passed=False,
        phase="Retired/Retired",
        approval={},
    )
    reasons = [reason.rule for reason in gates.evaluate(facts).reasons]
    assert reasons == [rule for rule in RULES[stage] if rule != "evaluation_meets_thresholds"]


@pytest.mark.parametrize(("stage", "other"), [("Test", "Dev"), ("Prod", "Test"), ("Dev", "Prod")])
def test_the_persona_of_another_stage_does_not_approve(stage: str, other: str) -> None:
    facts = replace(_good(stage), approver=samples.identity(PERSONA[other], "dana"))
    (reason,) = gates.evaluate(facts).reasons
    assert (reason.rule, reason.expected) == (
        "approver_holds_the_role",
        f"the role governed-path-{PERSONA[stage]} of account {samples.DEV}",
    )


def test_metrics_at_their_thresholds_are_good_enough() -> None:
    limits = POLICY["thresholds"]
    facts = _evaluation(
        auc=limits["auc_min"],
        brier=limits["brier_max"],
        calibration_error=limits["calibration_error_max"],
        subgroup_auc_gap=limits["subgroup_auc_gap_max"],
    )
    assert gates.evaluate(replace(_good("Dev"), **facts)).allowed


def test_a_tier_without_a_subgroup_threshold_does_not_ask_for_it() -> None:
    thresholds = {k: v for k, v in POLICY["thresholds"].items() if k != "subgroup_auc_gap_max"}
    facts = replace(
        _good("Dev"),
        policy={**POLICY, "thresholds": thresholds},
        **_evaluation(subgroup_auc_gap=None),
    )
    assert gates.evaluate(facts).allowed


def test_a_description_of_exactly_the_least_length_is_enough() -> None:
    least = POLICY["description_min_chars"]
    for length, allowed in ((least, True), (least - 1, False)):
        approval = {"model_approval_status": "Approved", "approval_description": "x" * length}
        assert gates.evaluate(replace(_good("Prod"), approval=approval)).allowed is allowed


def test_a_stage_without_a_gate_is_a_fault_of_ours() -> None:
    with pytest.raises(KeyError, match="Retired"):
        gates.evaluate(replace(_good("Dev"), stage="Retired"))


@given(
    st.sampled_from(sorted(PERSONA)),
    st.lists(st.text(max_size=400), min_size=1, max_size=40),
    st.text(max_size=3000),
)
def test_a_verdict_always_fits_into_the_stage_description(
    stage: str, names: list[str], person: str
) -> None:
    """SageMaker: .{0,1024}, and a dot is anything but a line break."""
    facts = replace(
        _good(stage),
        approver={"person": person, "persona": None, "role_arn": ""},
        declared_mismatches=[{**MISMATCH, "name": name} for name in names],
        differences=[{**DIFFERENCE, "name": name} for name in names],
    )
    description = gates.evaluate(facts).to_dict()["description"]
    assert re.fullmatch(r".{1,1024}", description)
    assert not re.search(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", description)
    assert description.startswith(f"Gate {stage}: denied. [approver_holds_the_role]")


def test_the_policy_digest_is_of_what_the_policy_says() -> None:
    shuffled = dict(reversed(POLICY.items()))
    assert gates.policy_digest(shuffled) == gates.policy_digest(POLICY)
    assert gates.policy_digest({**POLICY, "description_min_chars": 1}) != gates.policy_digest(
        POLICY
    )


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_threshold_divides_the_measured_in_two(value: float, limit: float) -> None:
    low = gates.threshold_misses({"auc": value}, {"auc_min": limit})
    high = gates.threshold_misses({"brier": value}, {"brier_max": limit})
    assert bool(low) == (value < limit)
    assert bool(high) == (value > limit)
    assert low in ([], [("auc", value, f"at least {limit}")])
    assert high in ([], [("brier", value, f"at most {limit}")])


@pytest.mark.parametrize("value", [None, float("nan")])
@pytest.mark.parametrize("threshold", ["auc_min", "auc_max"])
def test_what_was_not_measured_misses_every_threshold(value: Any, threshold: str) -> None:
    assert len(gates.threshold_misses({"auc": value}, {threshold: 0.5})) == 1


def test_thresholds_of_others_are_not_asked() -> None:
    assert gates.threshold_misses({"auc": 1.0}, {"latency_p95_ms_max": 1, "auc_min": 0.5}) == []


@pytest.mark.parametrize("stage", PERSONA)
def test_a_role_of_the_same_name_in_another_account_is_not_the_persona(stage: str) -> None:
    foreign = samples.identity(PERSONA[stage], "dana", samples.PROD)
    verdict = gates.evaluate(replace(_good(stage), approver=foreign))
    (reason,) = verdict.reasons
    assert reason.rule == "approver_holds_the_role"
    assert samples.PROD in reason.fact
    assert samples.DEV in reason.expected


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        ({"approver": samples.identity("admin", "adam")}, ("Prod", "Rejected")),
        ({"phase": "Prod/Deployed"}, ("Prod", "Deployed")),
        ({"phase": "Prod/Deployed", "tests_passed": False}, ("Prod", "Deployed")),
    ],
)
def test_a_refusal_leaves_the_version_rejected_or_where_it_was(
    facts: dict[str, Any], left: tuple[str, str]
) -> None:
    verdict = gates.evaluate(replace(_good("Prod"), **facts)).to_dict()
    assert (verdict["leaves"]["stage"], verdict["leaves"]["stage_status"]) == left


@pytest.mark.parametrize("facts", [{}, {"decision_current": False, "phase": "Prod/Deployed"}])
def test_what_is_allowed_or_stale_leaves_the_version_alone(facts: dict[str, Any]) -> None:
    assert gates.evaluate(replace(_good("Prod"), **facts)).to_dict()["leaves"] is None


@pytest.mark.parametrize("stage", ["Test", "Prod"])
def test_a_version_that_the_ledger_does_not_know_is_not_held_up_by_where_it_was(stage: str) -> None:
    assert gates.evaluate(replace(_good(stage), phase=None)).allowed
