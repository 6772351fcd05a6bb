"""Each rule of each gate says yes to what is right, and no with a reason to what is not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.contracts import documents
from governance.domain import gates, suites, thresholds
from governance.domain.explanations import EXPLANATIONS
from governance.domain.facts import Facts
from governance.domain.gates import Verdict
from governance.domain.policies import Policy
from tests.contracts import policies, samples

POLICY = policies.policy()
TIER = POLICY.tier
NOW = "2026-11-21T06:00:30Z"
PERSONA = {"Dev": "data-scientist", "Test": "ai-engineer", "Prod": "governance-engineer"}
TRAINER = {**samples.identity("training", "theo"), "persona": "training-pipeline"}
EVALUATION = {
    "valid": True,
    "problems": [],
    "metrics": {"auc": 0.82, "brier": 0.17, "calibration_error": 0.06},
    "subgroup_auc_gap": 0.05,
}
TEST_METRICS = {
    "auc": 0.82,
    "brier": 0.17,
    "calibration_error": 0.06,
    "latency_p50_ms": 4,
    "latency_p95_ms": 9.5,
    "latency_p99_ms": 12,
}
SECTIONS = (
    "additional_information",
    "business_details",
    "evaluation_details",
    "intended_uses",
    "model_overview",
    "training_details",
)
IMAGE = {"uri": samples.IMAGE, "registry": "683313688378", "critical": None, "scan": "not ours"}
SCANNED = {"uri": "ours", "registry": samples.CENTRAL, "critical": 0, "scan": "complete"}
DEFINITION = {**samples.definition_reference(), "problems": []}
REVIEWERS = {"technical": "alex", "business": "bea", "compliance": "cleo", "deployment": "dirk"}
MISMATCH = {"name": "model-data sha256", "declared": "a" * 64, "actual": "b" * 64}
DIFFERENCE = {"name": "environment", "expected": '{"A": "1"}', "actual": '{"A": "2"}'}


def review(kind: str, person: str, **more: Any) -> dict[str, Any]:
    """A review in force."""
    persona = "ai-engineer" if kind == "technical" else "governance-engineer"
    return {
        "kind": kind,
        "person": person,
        "persona": persona,
        "role_arn": f"arn:aws:iam::{samples.DEV}:role/governed-path-{persona}",
        "given_at": "2026-11-20T06:00:00Z",
        "expires_at": "2026-12-20T06:00:00Z",
        "entry_id": "e" * 64,
        "description": "Read the model card and the test report.",
        "unconfirmed": None,
        **more,
    }


def reviews(**people: str) -> list[dict[str, Any]]:
    """All four reviews; `people` are those who give other than the usual."""
    return [review(kind, person) for kind, person in {**REVIEWERS, **people}.items()]


def approvals(dev: str = "dora", test: str = "tom") -> list[dict[str, Any]]:
    """The approvals of the stages before Prod."""
    return [
        {
            "stage": "Dev",
            "person": dev,
            "decided_at": "2026-11-19T06:00:00Z",
            "unconfirmed": None,
        },
        {
            "stage": "Test",
            "person": test,
            "decided_at": "2026-11-20T05:00:00Z",
            "unconfirmed": None,
        },
    ]


EMERGENCY = {
    "person": "emil",
    "persona": "governance-engineer",
    "reason": "The released model returns wrong risks; this version repairs it. Incident 4711.",
    "requested_at": "2026-11-21T05:00:00Z",
    "expires_at": "2026-11-22T05:00:00Z",
    "entry_id": "b" * 64,
    "unconfirmed": None,
}


# CloudTrail names the approver, whoever a test makes that.
CONFIRMED: dict[str, Any] = {"approver": "the same"}


def evaluate(facts: Facts, policy: Policy = POLICY) -> Verdict:
    if facts.confirmation is CONFIRMED:
        approver = {"session_arn": "arn:aws:sts::444455556666:assumed-role/r/s", **facts.approver}
        facts = replace(facts, approver=approver, confirmation={"approver": approver})
    return gates.evaluate(facts, policy, policies.decide(policy))


def test_a_tier_may_demand_what_only_the_suites_compare() -> None:
    """No rule asks about it, and Cedar still knows the tier."""
    limits = {**TIER["thresholds"], "subgroups_not_judged_max": 0}
    demanding = replace(POLICY, tier={**TIER, "thresholds": limits})
    assert documents.tier_problems(demanding.tier) == []
    assert evaluate(_good("Prod"), demanding).allowed


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
        asked_at=NOW,
        decided_at=samples.DECIDED,
        policy_recorded=True,
        confirmation=CONFIRMED,
        evaluation=EVALUATION,
        tests_passed=True,
        test_metrics=TEST_METRICS,
        suites_passed=suites.BUILT_IN,
        phase={"Dev": None, "Test": "Test/PendingApproval", "Prod": "Test/Passed"}[stage],
        reviews=reviews(),
        approvals=approvals()[: ["Dev", "Test", "Prod"].index(stage)],
        card_sections=SECTIONS,
        dataset_version="s3://b/dataset.csv version v1",
        image=IMAGE,
        definition=None if stage == "Dev" else DEFINITION,
        tested_definition=DEFINITION["digest"] if stage == "Prod" else None,
    )


def _evaluation(**more: Any) -> dict[str, Any]:
    metrics = {key: more.pop(key) for key in list(more) if key in EVALUATION["metrics"]}
    return {"evaluation": {**EVALUATION, **more, "metrics": {**EVALUATION["metrics"], **metrics}}}


RECALL = {
    "part": "library:numpy==2.4.6",
    "model_package_arn": samples.version_arn(),
    "recalled_at": samples.DECIDED,
    "person": "grace",
    "reason": "wrong sums",
}
COMMON: list[tuple[str, dict[str, Any], str]] = [
    ("approver_holds_the_role", {"approver": samples.identity("admin", "adam")}, "adam"),
    ("approver_holds_the_role", {"approver": {"person": "dana", "persona": None}}, "dana"),
    ("decision_is_current", {"decision_current": False}, "changed after this decision"),
    ("nothing_in_it_is_recalled", {"recalls": [RECALL]}, "library:numpy==2.4.6 was recalled by"),
    ("nothing_in_it_is_recalled", {"recalls": [RECALL]}, f"with {samples.version_arn()}: wrong"),
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
        "required_suites_passed",
        {"suites_passed": [suite for suite in suites.BUILT_IN if suite != "fairness"]},
        "the tests were without fairness",
    ),
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
    *(
        (stage, "model_card_complete", {"card_sections": SECTIONS[1:]}, "additional_information")
        for stage in ("Dev", "Prod")
    ),
    *(
        (stage, "dataset_version_known", {"dataset_version": None}, "which version")
        for stage in ("Dev", "Prod")
    ),
    *(
        (stage, "image_scan_clean", {"image": image}, says)
        for stage in ("Dev", "Prod")
        for image, says in (
            ({**SCANNED, "critical": 2}, "2 critical findings"),
            (
                {**SCANNED, "critical": 2, "findings": {"CRITICAL": 2, "LOW": 9, "HIGH": 4}},
                "2 critical findings (4 high, 9 low)",
            ),
            ({**SCANNED, "critical": None, "scan": "no scan was made"}, "no scan was made"),
            ({**IMAGE, "registry": "999999999999"}, "not ours"),
            ({}, "nothing is known of its scan"),
        )
    ),
    *(
        (stage, "deployment_definition_valid", {"definition": definition}, says)
        for stage in ("Test", "Prod")
        for definition, says in (
            (None, "no deployment definition is named"),
            ({**DEFINITION, "problems": ["release.bake_seconds: is 0"]}, "bake_seconds: is 0"),
        )
    ),
    *(
        ("Prod", "deployment_definition_tested", {"tested_definition": digest}, says)
        for digest, says in ((None, "tested was unknown"), ("f" * 64, f"tested was {'f' * 12}"))
    ),
    *(
        (stage, "policy_is_recorded", {"policy_recorded": False}, POLICY.digest[:12])
        for stage in PERSONA
    ),
    *(
        (
            stage,
            "approvers_are_different_people",
            {"approvals": approvals(dev="Dana ")[: ["Dev", "Test", "Prod"].index(stage)]},
            f"dana approved for {stage} after Dana  for Dev",
        )
        for stage in ("Test", "Prod")
    ),
    (
        "Prod",
        "approvers_are_different_people",
        {"approvals": approvals(test="")},
        "an unknown person for Test",
    ),
    *(
        ("Prod", "test_results_meet_thresholds", {"test_metrics": {**TEST_METRICS, **bad}}, says)
        for bad, says in (
            ({"latency_p95_ms": 500.01}, "latency_p95_ms is 500"),
            ({"auc": 0.7}, "auc is 0.7"),
            ({"brier": None}, "brier is not measured"),
            ({"calibration_error": float("nan")}, "calibration_error is nan"),
        )
    ),
    ("Prod", "test_results_meet_thresholds", {"test_metrics": {}}, "latency_p95_ms is not"),
    (
        "Prod",
        "approvals_not_expired",
        {"asked_at": "2026-12-19T06:00:00Z"},
        "dora approved for Dev 2026-11-19T06:00:00Z",
    ),
    ("Prod", "approvals_not_expired", {"decided_at": None}, "at an unknown time"),
    *(
        ("Prod", "required_reviews_given", facts, says)
        for facts, says in (
            ({"reviews": []}, "no technical, business, compliance, deployment review is in force"),
            ({"reviews": reviews()[1:]}, "no technical review"),
            ({"reviews": reviews(compliance="")}, "no compliance review"),
            ({"reviews": [*reviews()[1:], review("technical", "alex", persona="admin")]}, "techn"),
            ({"reviews": [*reviews()[1:], review("technical", "alex", persona=None)]}, "techn"),
            (
                {
                    "reviews": [
                        *reviews()[1:],
                        review("technical", "alex", role_arn="arn:aws:iam::999999999999:role/x"),
                    ]
                },
                "no technical review",
            ),
            (
                {
                    "reviews": [
                        *reviews()[1:],
                        review("technical", "alex", given_at="2026-10-22T06:00:30Z"),
                    ]
                },
                "no technical review",
            ),
            (
                {"reviews": [], "break_glass": {**EMERGENCY, "person": "Dana"}},
                "it needs two people",
            ),
            (
                {"reviews": [], "break_glass": {**EMERGENCY, "reason": "Urgent" + " " * 99}},
                "its reason has less than 40 characters",
            ),
            (
                {
                    "reviews": [],
                    "break_glass": {**EMERGENCY, "requested_at": "2026-11-20T06:00:30Z"},
                },
                "it is older than 24 hours",
            ),
        )
    ),
    (
        "Prod",
        "reviewers_are_different_people",
        {"reviews": reviews(business="cleo")},
        "cleo gave business, cleo gave compliance",
    ),
    (
        "Prod",
        "reviewers_are_not_trainer",
        {"reviews": reviews(technical="Theo")},
        "theo trained and reviewed",
    ),
    ("Prod", "approver_confirmed", {"confirmation": None}, "has not confirmed who approved"),
    (
        "Prod",
        "approver_confirmed",
        {"confirmation": {"approver": samples.identity("governance-engineer", "emil")}},
        "CloudTrail arn:aws:sts::444455556666:assumed-role/governed-path-governance-engineer/emil",
    ),
    (
        "Prod",
        "earlier_approvers_confirmed",
        {"approvals": [approvals()[0], {**approvals()[1], "unconfirmed": "CloudTrail says otto"}]},
        "tom for Test: CloudTrail says otto",
    ),
    (
        "Prod",
        "earlier_approvers_confirmed",
        # Facts that never asked CloudTrail are no confirmation.
        {"approvals": [{k: v for k, v in a.items() if k != "unconfirmed"} for a in approvals()]},
        "dora for Dev: nothing is known",
    ),
    (
        "Prod",
        "approver_is_not_reviewer",
        {"reviews": reviews(deployment="DANA")},
        "dana signs off and gave a required review",
    ),
]
_ALWAYS = ["approver_holds_the_role", "approver_is_not_trainer", "decision_is_current"]
OF_A_ROLLBACK = [
    "rollback_is_asked_for_by_who_may",
    "rollback_is_of_what_serves",
    "rollback_target_has_served",
    "rollback_target_is_not_withdrawn",
    "rollback_target_holds",
    "nothing_in_it_is_recalled",
    "policy_is_recorded",
]
_RECALLED = "nothing_in_it_is_recalled"
RULES = {
    "Dev": [
        *_ALWAYS,
        _RECALLED,
        "artifacts_match_registration",
        "evaluation_report_valid",
        "evaluation_meets_thresholds",
        "model_card_complete",
        "dataset_version_known",
        "image_scan_clean",
        "policy_is_recorded",
    ],
    "Test": [
        *_ALWAYS,
        "follows_the_stage_machine",
        _RECALLED,
        "candidate_unchanged",
        "deployment_definition_valid",
        "approvers_are_different_people",
        "policy_is_recorded",
    ],
    "Prod": [
        *_ALWAYS,
        "approver_confirmed",
        "earlier_approvers_confirmed",
        "follows_the_stage_machine",
        _RECALLED,
        "candidate_unchanged",
        "tests_passed_for_candidate",
        "test_results_meet_thresholds",
        "required_suites_passed",
        "model_card_complete",
        "dataset_version_known",
        "image_scan_clean",
        "deployment_definition_valid",
        "deployment_definition_tested",
        "model_approval_status_approved",
        "approval_description_substantive",
        "approvals_not_expired",
        "approvers_are_different_people",
        "required_reviews_given",
        "reviewers_are_different_people",
        "reviewers_are_not_trainer",
        "approver_is_not_reviewer",
        "policy_is_recorded",
    ],
}


@pytest.mark.parametrize(("stage", "rules"), RULES.items())
def test_a_gate_asks_all_its_rules_and_allows_what_is_right(stage: str, rules: list[str]) -> None:
    assert evaluate(_good(stage)).to_dict() == {
        "allowed": True,
        "stage": stage,
        "reasons": [],
        "rules": rules,
        "tier": "high",
        "policy_digest": POLICY.digest,
        "policy_digests": POLICY.digests,
        "facts": {
            **_good(stage).to_dict(),
            "confirmation": {"approver": samples.identity(PERSONA[stage], "dana")},
        },
        "break_glass": None,
        "description": f"Gate {stage}: allowed by {len(rules)} rules",
        "leaves": None,
    }


@pytest.mark.parametrize(("stage", "rule", "facts", "says"), BROKEN)
def test_a_broken_rule_is_the_one_reason(
    stage: str, rule: str, facts: dict[str, Any], says: str
) -> None:
    verdict = evaluate(replace(_good(stage), **facts))
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
    """But for what cannot be broken together: what was not measured, who did not review."""
    facts = Facts(
        stage=stage,
        model_package_arn=samples.version_arn(samples.DEV),
        candidate_id=samples.CANDIDATE,
        approver={},
        trainer={},
        decision_current=False,
        approval={},
        asked_at=NOW,
        declared_mismatches=[MISMATCH],
        differences=[DIFFERENCE],
        phase="Retired/Retired",
        recalls=[RECALL],
    )
    never = {
        "earlier_approvers_confirmed",
        "evaluation_meets_thresholds",
        "test_results_meet_thresholds",
        "required_suites_passed",
        "deployment_definition_tested",
        "reviewers_are_different_people",
        "reviewers_are_not_trainer",
        "approver_is_not_reviewer",
    }
    verdict = evaluate(facts)
    assert [reason.rule for reason in verdict.reasons] == [
        rule for rule in RULES[stage] if rule not in never
    ]
    description = verdict.describe()
    assert len(description) <= 1024
    assert all(f"[{reason.rule}]" in description for reason in verdict.reasons)


@pytest.mark.parametrize(("stage", "other"), [("Test", "Dev"), ("Prod", "Test"), ("Dev", "Prod")])
def test_the_persona_of_another_stage_does_not_approve(stage: str, other: str) -> None:
    facts = replace(_good(stage), approver=samples.identity(PERSONA[other], "dana"))
    (reason,) = evaluate(facts).reasons
    assert (reason.rule, reason.expected) == (
        "approver_holds_the_role",
        f"the role governed-path-{PERSONA[stage]} of account {samples.DEV}",
    )


def test_metrics_at_their_thresholds_are_good_enough() -> None:
    limits = TIER["thresholds"]
    facts = _evaluation(
        auc=limits["auc_min"],
        brier=limits["brier_max"],
        calibration_error=limits["calibration_error_max"],
        subgroup_auc_gap=limits["subgroup_auc_gap_max"],
    )
    assert evaluate(replace(_good("Dev"), **facts)).allowed


def test_a_tier_without_a_subgroup_threshold_does_not_ask_for_it() -> None:
    limits = {k: v for k, v in TIER["thresholds"].items() if k != "subgroup_auc_gap_max"}
    facts = replace(_good("Dev"), **_evaluation(subgroup_auc_gap=None))
    assert evaluate(facts, policies.policy(thresholds=limits)).allowed


def test_a_description_of_exactly_the_least_length_is_enough() -> None:
    least = TIER["description_min_chars"]
    for length, allowed in ((least, True), (least - 1, False)):
        approval = {"model_approval_status": "Approved", "approval_description": "x" * length}
        assert evaluate(replace(_good("Prod"), approval=approval)).allowed is allowed


def test_a_stage_without_a_gate_is_a_fault_of_ours() -> None:
    with pytest.raises(KeyError, match="Retired"):
        evaluate(replace(_good("Dev"), stage="Retired"))


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
    description = evaluate(facts).to_dict()["description"]
    assert re.fullmatch(r".{1,1024}", description)
    assert not re.search(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", description)
    assert description.startswith(f"Gate {stage}: denied. [approver_holds_the_role]")
    assert all(f"[{reason.rule}]" in description for reason in evaluate(facts).reasons)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_threshold_divides_the_measured_in_two(value: float, limit: float) -> None:
    low = thresholds.threshold_misses({"auc": value}, {"auc_min": limit})
    high = thresholds.threshold_misses({"brier": value}, {"brier_max": limit})
    assert bool(low) == (value < limit)
    assert bool(high) == (value > limit)
    assert low in ([], [("auc", value, f"at least {limit}")])
    assert high in ([], [("brier", value, f"at most {limit}")])


@pytest.mark.parametrize("value", [None, float("nan")])
@pytest.mark.parametrize("threshold", ["auc_min", "auc_max"])
def test_what_was_not_measured_misses_every_threshold(value: Any, threshold: str) -> None:
    assert len(thresholds.threshold_misses({"auc": value}, {threshold: 0.5})) == 1


def test_thresholds_of_others_are_not_asked() -> None:
    assert (
        thresholds.threshold_misses({"auc": 1.0}, {"latency_p95_ms_max": 1, "auc_min": 0.5}) == []
    )


@pytest.mark.parametrize("stage", PERSONA)
def test_a_role_of_the_same_name_in_another_account_is_not_the_persona(stage: str) -> None:
    foreign = samples.identity(PERSONA[stage], "dana", samples.PROD)
    verdict = evaluate(replace(_good(stage), approver=foreign))
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
    verdict = evaluate(replace(_good("Prod"), **facts)).to_dict()
    assert (verdict["leaves"]["stage"], verdict["leaves"]["stage_status"]) == left


@pytest.mark.parametrize("facts", [{}, {"decision_current": False, "phase": "Prod/Deployed"}])
def test_what_is_allowed_or_stale_leaves_the_version_alone(facts: dict[str, Any]) -> None:
    assert evaluate(replace(_good("Prod"), **facts)).to_dict()["leaves"] is None


@pytest.mark.parametrize("stage", ["Test", "Prod"])
def test_a_version_that_the_ledger_does_not_know_goes_nowhere(stage: str) -> None:
    """It is in the registry before its promotion has come to its end; until then it is nobody's."""
    verdict = evaluate(replace(_good(stage), phase=None))
    assert [reason.rule for reason in verdict.reasons] == ["follows_the_stage_machine"]
    assert verdict.reasons[0].fact == "the ledger does not know the version"
    assert verdict.to_dict()["leaves"] is None


# ------------------------------------------------------------------ reviews and break-glass


@pytest.mark.parametrize(
    ("tier", "given", "allowed"),
    [
        ("low", {"technical"}, True),
        ("low", {"business", "compliance", "deployment"}, False),
        ("medium", {"technical", "business"}, True),
        ("medium", {"technical"}, False),
        ("high", {"technical", "business", "compliance"}, False),
        ("high", set(REVIEWERS), True),
    ],
)
def test_a_tier_says_which_reviews_it_takes(tier: str, given: set[str], allowed: bool) -> None:
    facts = replace(_good("Prod"), reviews=[r for r in reviews() if r["kind"] in given])
    assert evaluate(facts, policies.policy(tier)).allowed is allowed


def test_one_person_may_give_all_reviews_where_the_tier_does_not_separate_them() -> None:
    facts = replace(_good("Prod"), reviews=reviews(**dict.fromkeys(REVIEWERS, "bea")))
    tier = {"separate_people": ["approvers", "approver-and-reviewers"]}
    assert not evaluate(facts).allowed
    assert evaluate(facts, policies.policy(**tier)).allowed


def test_who_gave_two_kinds_counts_for_the_one_that_nobody_else_gave() -> None:
    """Bea's second review is one too many only if nobody else gave either kind."""
    twice = [*reviews(compliance="bea"), review("business", "bob")]
    assert evaluate(replace(_good("Prod"), reviews=twice)).allowed


def test_the_approver_may_have_reviewed_where_the_tier_does_not_separate_them() -> None:
    facts = replace(_good("Prod"), reviews=reviews(deployment="dana"))
    assert evaluate(facts, policies.policy(separate_people=["approvers", "reviewers"])).allowed


@pytest.mark.parametrize("stage", ["Test", "Prod"])
def test_one_person_may_approve_two_stages_where_the_tier_does_not_separate_them(
    stage: str,
) -> None:
    facts = replace(_good(stage), approvals=approvals(dev="dana")[:1])
    assert not evaluate(facts).allowed
    assert evaluate(facts, policies.policy(separate_people=[])).allowed


def test_break_glass_waives_the_missing_reviews_and_says_so() -> None:
    facts = replace(_good("Prod"), reviews=reviews()[:2], break_glass=EMERGENCY)
    verdict = evaluate(facts).to_dict()
    assert verdict["allowed"]
    assert verdict["break_glass"] == {
        **EMERGENCY,
        "waived": ["compliance", "deployment"],
        "review_due_at": "2026-11-24T06:00:30Z",
    }
    assert "break-glass: compliance, deployment review waived" in verdict["description"]
    assert "emil" in verdict["description"]


def test_break_glass_that_was_not_needed_is_not_used() -> None:
    assert evaluate(replace(_good("Prod"), break_glass=EMERGENCY)).break_glass is None


@pytest.mark.parametrize(
    ("rule", "facts"),
    [
        ("approver_is_not_trainer", {"approver": samples.identity("governance-engineer", "theo")}),
        ("tests_passed_for_candidate", {"tests_passed": False}),
        ("candidate_unchanged", {"differences": [DIFFERENCE]}),
        ("image_scan_clean", {"image": {**SCANNED, "critical": 1}}),
        ("approvals_not_expired", {"decided_at": None}),
    ],
)
def test_break_glass_waives_nothing_else(rule: str, facts: dict[str, Any]) -> None:
    verdict = evaluate(replace(_good("Prod"), reviews=[], break_glass=EMERGENCY, **facts))
    assert [reason.rule for reason in verdict.reasons] == [rule]
    assert verdict.break_glass is None


def test_a_tier_can_forbid_break_glass() -> None:
    terms = {"allowed": False, "valid_hours": 24, "review_within_hours": 72}
    facts = replace(_good("Prod"), reviews=[], break_glass=EMERGENCY)
    (reason,) = evaluate(facts, policies.policy(break_glass=terms)).reasons
    assert reason.rule == "required_reviews_given"
    assert "tier high allows none" in reason.fact


def test_a_missing_review_says_who_gives_it() -> None:
    (reason,) = evaluate(replace(_good("Prod"), reviews=reviews()[2:])).reasons
    assert (
        reason.remedy == "technical: AI Engineer; business: Governance Engineer (`govern review`)"
    )


@pytest.mark.parametrize(
    ("image", "required", "allowed"),
    [
        (SCANNED, True, True),
        (SCANNED, False, True),
        ({**SCANNED, "critical": 1}, False, False),
        ({**SCANNED, "critical": None}, False, True),
        ({**SCANNED, "critical": None}, True, False),
        (IMAGE, True, True),
        ({**IMAGE, "critical": 1}, True, False),
    ],
)
def test_a_missing_scan_is_for_the_tier_and_a_bad_one_for_nobody(
    image: dict[str, Any], required: bool, allowed: bool
) -> None:
    scan = {**TIER["image_scan"], "required": required}
    facts = replace(_good("Prod"), image=image)
    assert evaluate(facts, policies.policy(image_scan=scan)).allowed is allowed


@pytest.mark.parametrize("stage", ["Dev", "Prod"])
def test_each_image_of_a_pipeline_must_pass(stage: str) -> None:
    good = replace(_good(stage), further_images=[SCANNED, IMAGE])
    assert evaluate(good).allowed
    bad = [{**SCANNED, "uri": f"ours/{name}", "critical": 2} for name in ("a", "b")]
    verdict = evaluate(replace(good, further_images=[SCANNED, *bad]))
    assert not verdict.allowed
    assert [reason.rule for reason in verdict.reasons] == ["image_scan_clean"] * 2
    assert ["ours/a" in verdict.reasons[0].fact, "ours/b" in verdict.reasons[1].fact] == [True] * 2
    assert verdict.facts["further_images"][1]["critical"] == 2


def test_what_has_nothing_to_do_with_images_is_said_once() -> None:
    facts = replace(_good("Prod"), further_images=[SCANNED, IMAGE], tests_passed=False)
    assert [r.rule for r in evaluate(facts).reasons] == ["tests_passed_for_candidate"]


# ------------------------------------------------------------------ Cedar and the words


def test_every_rule_of_the_policy_is_explained_and_every_explanation_is_a_rules() -> None:
    forbids = {rule for rules in RULES.values() for rule in rules}
    assert forbids | set(OF_A_ROLLBACK) == set(EXPLANATIONS)


def test_a_stage_that_no_permit_opens_is_denied_and_says_so() -> None:
    closed = POLICY.cedar.replace(
        'permit (principal is Person, action == Action::"approve-Prod"',
        ('permit (principal is Person, action == Action::"approve-Test"'),
    )
    (reason,) = evaluate(_good("Prod"), policies.policy(cedar=closed)).reasons
    assert (reason.rule, reason.fact) == (
        "stage_is_permitted",
        "no rule of the policy permits Prod",
    )


def test_every_denial_fits_and_names_every_rule_with_facts_of_any_length() -> None:
    facts = replace(
        _good("Prod"),
        approver={"person": "x" * 900, "persona": None, "role_arn": "y" * 900},
        differences=[DIFFERENCE] * 90,
        reviews=[],
        approvals=[],
        card_sections=(),
        dataset_version=None,
        image={"uri": "z" * 900},
        policy_recorded=False,
        tests_passed=False,
        decision_current=False,
        approval={},
        decided_at=None,
    )
    verdict = evaluate(facts)
    description = verdict.describe()
    assert len(verdict.reasons) == 12
    assert len(description) <= 1024
    assert all(f"[{reason.rule}]" in description for reason in verdict.reasons)


def test_a_short_denial_is_not_cut() -> None:
    description = evaluate(replace(_good("Prod"), tests_passed=False)).describe()
    assert description.endswith("An AI Engineer approves the version for Test.")


BACK = {
    "trigger": "person",
    "from": samples.version_arn(version=3),
    "serving": samples.version_arn(version=3),
    "serves": True,
    "released": True,
    "wanted": None,
    "withdrawn": [],
    "unproven": [],
    "checks": [],
}


def _back(**more: Any) -> Facts:
    """A rollback to a version that no approval of today would let pass."""
    old = {"reviews": (), "approvals": (), "tests_passed": False, "decision_current": False}
    return replace(_good("Prod"), confirmation=None, **old, rollback={**BACK, **more})


def test_a_rollback_is_not_stopped_by_what_an_approval_would_be() -> None:
    """Expired reviews, no tests under the present tier, CloudTrail not yet heard."""
    verdict = evaluate(_back())
    assert verdict.allowed, verdict.reasons
    assert set(verdict.rules) == set(OF_A_ROLLBACK)


@pytest.mark.parametrize(
    ("change", "rule", "said"),
    [
        ({"serves": False}, "rollback_is_of_what_serves", "neither serves the endpoint nor"),
        ({"released": False}, "rollback_target_has_served", "no other version that served"),
        (
            {"released": False, "wanted": "7"},
            "rollback_target_has_served",
            "version 7 has not served this endpoint lately",
        ),
        ({"withdrawn": ["VersionRecalled"]}, "rollback_target_is_not_withdrawn", "VersionRecalled"),
        (
            {
                "unproven": ["bytes"],
                "checks": [{"name": "bytes", "proven": False, "said": "the object is gone"}],
            },
            "rollback_target_holds",
            "bytes: the object is gone",
        ),
    ],
)
def test_a_rollback_is_stopped_by_what_makes_its_target_bad(
    change: dict[str, Any], rule: str, said: str
) -> None:
    verdict = evaluate(_back(**change))
    (reason,) = verdict.reasons
    assert reason.rule == rule
    assert said in reason.fact
    # The version is shown as what it was: by the workflow, which knows that.
    assert verdict.leaves is None


def test_only_two_personas_ask_for_a_rollback_or_an_alarm_does() -> None:
    scientist = {**_good("Prod").approver, "persona": "data-scientist"}
    (reason,) = evaluate(replace(_back(), approver=scientist)).reasons
    assert reason.rule == "rollback_is_asked_for_by_who_may"
    assert evaluate(replace(_back(trigger="alarm"), approver={})).allowed
