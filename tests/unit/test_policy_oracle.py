"""Cedar's verdict is the one that the rules have in plain Python, for facts of every kind."""

from __future__ import annotations

from datetime import datetime
from itertools import combinations, permutations
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from governance.domain import gates, phases, suites
from governance.domain.facts import Facts
from governance.domain.identity import account_of, same_person
from governance.domain.policies import Policy
from tests.contracts import policies, samples

PERSONAS = {"Dev": "data-scientist", "Test": "ai-engineer", "Prod": "governance-engineer"}
KINDS = ("technical", "business", "compliance", "deployment")
SECTIONS = ("model_overview", "intended_uses", "training_details")
METRICS = ("auc", "brier", "calibration_error", "latency_p95_ms")
NOW = "2026-11-21T06:00:00Z"

people = st.sampled_from(["dana", "Dana ", "theo", "bea", "cleo", "dirk", "", " "])
accounts = st.sampled_from([samples.CENTRAL, samples.DEV, ""])
near = st.sampled_from([0.1, 0.15, 0.1499, 0.15004, 0.2, 0.75, 0.7499999, 0.75000000001, 500, 0])
numbers = st.one_of(near, st.floats(-1, 2), st.floats(allow_infinity=False), st.none())
moments = st.sampled_from(
    ["2026-11-20T06:00:00Z", "2026-10-22T06:00:00Z", "2026-10-22T06:00:01Z", "2025-01-01T00:00:00Z"]
)


@st.composite
def identities(draw: st.DrawFn, personas: list[str | None]) -> dict[str, Any]:
    account, persona = draw(accounts), draw(st.sampled_from(personas))
    return {
        "person": draw(people),
        "persona": persona,
        "role_arn": f"arn:aws:iam::{account}:role/governed-path-{persona}" if account else "",
        "session_arn": f"arn:aws:sts::{account}:assumed-role/governed-path-{persona}/somebody",
    }


doubts = st.sampled_from([None, None, "CloudTrail names nobody"])


@st.composite
def reviews(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(KINDS))
    right = "ai-engineer" if kind == "technical" else "governance-engineer"
    identity = draw(identities([right, right, right, "admin", None]))
    given_at = draw(st.one_of(moments, st.just("")))
    return {**identity, "kind": kind, "given_at": given_at, "unconfirmed": draw(doubts)}


def rollbacks() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "trigger": st.sampled_from(["person", "alarm", ""]),
            "serves": st.booleans(),
            "released": st.booleans(),
            "withdrawn": st.sampled_from([[], [], ["VersionRecalled"]]),
            "unproven": st.sampled_from([[], [], ["bytes", "image"]]),
        }
    )


def metrics() -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(METRICS), numbers)


@st.composite
def decisions(draw: st.DrawFn) -> tuple[Facts, Policy]:
    stage = draw(st.sampled_from(sorted(PERSONAS)))
    right = PERSONAS[stage]
    tier = policies.policy(
        draw(st.sampled_from(["low", "medium", "high"])),
        required_reviews=draw(st.lists(st.sampled_from(KINDS), unique=True)),
        separate_people=draw(
            st.lists(
                st.sampled_from(["approvers", "reviewers", "approver-and-reviewers"]), unique=True
            )
        ),
        required_card_sections=draw(st.lists(st.sampled_from(SECTIONS), unique=True)),
        break_glass={"allowed": draw(st.booleans()), "valid_hours": 24, "review_within_hours": 72},
        image_scan={
            "required": draw(st.booleans()),
            "critical_max": draw(st.integers(0, 2)),
            "accepted_registries": draw(st.lists(st.sampled_from([samples.DEV]), unique=True)),
        },
    )
    mostly = st.sampled_from([True, True, True, False])
    approver = draw(identities([right, right, right, "admin", None]))
    back = draw(st.one_of(st.none(), st.none(), rollbacks())) if stage == "Prod" else None
    facts = Facts(
        stage=stage,
        model_package_arn=samples.version_arn(samples.CENTRAL),
        candidate_id=samples.CANDIDATE,
        approver=approver,
        rollback=back,
        trainer={"person": draw(people)},
        decision_current=draw(mostly),
        approval={
            "model_approval_status": draw(
                st.sampled_from(["Approved", "Approved", "Rejected", None])
            ),
            "approval_description": draw(st.sampled_from(["x" * 40, "x" * 39 + " ", "", None])),
        },
        asked_at=NOW,
        decided_at=draw(st.one_of(moments, st.none())),
        policy_recorded=draw(mostly),
        confirmation=draw(st.one_of(st.none(), st.just({"approver": approver}))),
        declared_mismatches=draw(st.lists(st.just({"name": "model-data"}), max_size=1)),
        differences=draw(st.lists(st.just({"name": "environment"}), max_size=1)),
        evaluation={
            "valid": draw(mostly),
            "metrics": draw(metrics()),
            "subgroup_auc_gap": draw(numbers),
        },
        tests_passed=draw(mostly),
        test_metrics=draw(metrics()),
        suites_passed=draw(
            st.sampled_from(
                [suites.BUILT_IN, suites.BUILT_IN, suites.BEFORE_SUMMARIES, (), ("my-own",)]
            )
        ),
        phase=draw(st.one_of(st.none(), st.sampled_from(sorted(phases.BY_NAME)))),
        recalls=draw(st.sampled_from([[], [], [], [{"part": "library:numpy==2.4.6"}]])),
        reviews=draw(st.lists(reviews(), max_size=6)),
        break_glass=draw(
            st.one_of(
                st.none(),
                st.fixed_dictionaries(
                    {
                        "person": people,
                        "reason": st.sampled_from(["x" * 40, "soon"]),
                        "requested_at": moments,
                        "unconfirmed": doubts,
                    }
                ),
            )
        ),
        approvals=draw(
            st.lists(
                st.fixed_dictionaries(
                    {
                        "stage": st.just("Dev"),
                        "person": people,
                        "decided_at": moments,
                        "unconfirmed": doubts,
                    }
                ),
                max_size=2,
            )
        ),
        card_sections=draw(st.lists(st.sampled_from(SECTIONS))),
        dataset_version=draw(st.sampled_from(["v1", None])),
        image=draw(
            st.fixed_dictionaries(
                {
                    "registry": st.sampled_from([samples.DEV, samples.PROD, None]),
                    "critical": st.sampled_from([None, 0, 1, 3]),
                }
            )
        ),
        definition=draw(
            st.one_of(
                st.none(),
                st.fixed_dictionaries(
                    {
                        "digest": st.sampled_from(["a" * 64, "b" * 64]),
                        "problems": st.sampled_from([[], [], ["release.alarms: is empty"]]),
                    }
                ),
            )
        ),
        tested_definition=draw(st.sampled_from(["a" * 64, "a" * 64, None])),
    )
    return facts, tier


def _age(moment: str, days: int) -> bool:
    """True if it is less than that many days ago."""
    if not moment:
        return False
    ago = datetime.fromisoformat(NOW) - datetime.fromisoformat(moment)
    return ago.total_seconds() < days * 86_400


def _good(measured: dict[str, Any], names: tuple[str, ...], limits: dict[str, float]) -> bool:
    for name in names:
        value = measured.get(name)
        low, high = limits.get(f"{name}_min"), limits.get(f"{name}_max")
        if low is not None and not (value is not None and value >= low):
            return False
        if high is not None and not (value is not None and value <= high):
            return False
    return True


def _name(identity: dict[str, Any]) -> str:
    return str(identity["person"]).strip().casefold()


def _each_a_person_of_its_own(gave: dict[str, set[str]]) -> bool:
    everybody = sorted(set().union(*gave.values())) if gave else []
    return any(
        all(person in gave[kind] for kind, person in zip(sorted(gave), chosen, strict=True))
        for chosen in permutations(everybody, len(gave))
    )


def oracle(facts: Facts, policy: Policy) -> set[str]:
    """The rules that say no, each written down once more and in another way than Cedar's."""
    tier, stage = policy.tier, facts.stage
    approver = dict(facts.approver)
    if facts.rollback is not None:
        asked = facts.rollback
        may = approver["persona"] in ("ai-engineer", "governance-engineer")
        ours = account_of(approver["role_arn"]) == samples.CENTRAL
        answers = {
            "rollback_is_asked_for_by_who_may": asked["trigger"] == "alarm" or (may and ours),
            "rollback_is_of_what_serves": asked["serves"],
            "rollback_target_has_served": asked["released"],
            "rollback_target_is_not_withdrawn": not asked["withdrawn"],
            "rollback_target_holds": not asked["unproven"],
            "nothing_in_it_is_recalled": not facts.recalls,
            "policy_is_recorded": facts.policy_recorded,
        }
        return {rule for rule, holds in answers.items() if not holds}
    valid = tier["review_valid_days"]
    limits = tier["thresholds"]
    measured = {
        **facts.evaluation["metrics"],
        "subgroup_auc_gap": facts.evaluation["subgroup_auc_gap"],
    }
    reviews = [
        dict(r)
        for r in facts.reviews
        if _name(dict(r))
        and not r["unconfirmed"]
        and r["persona"] == ("ai-engineer" if r["kind"] == "technical" else "governance-engineer")
        and account_of(r["role_arn"]) == samples.CENTRAL
        and _age(r["given_at"], valid)
    ]
    gave: dict[str, set[str]] = {}
    for review in reviews:
        if review["kind"] in tier["required_reviews"]:
            gave.setdefault(review["kind"], set()).add(_name(review))
    reviewers = set().union(*gave.values()) if gave else set()
    emergency = facts.break_glass
    waived = (
        emergency is not None
        and not emergency["unconfirmed"]
        and tier["break_glass"]["allowed"]
        and not same_person(emergency, approver)
        and len(emergency["reason"]) >= tier["description_min_chars"]
        and _age(emergency["requested_at"], 1)
    )
    critical = facts.image["critical"]
    scan = tier["image_scan"]
    clean = (
        critical <= scan["critical_max"]
        if critical is not None
        else not scan["required"] or facts.image["registry"] in scan["accepted_registries"]
    )
    separate = tier["separate_people"]
    held = {
        "approver_holds_the_role": approver["persona"] == PERSONAS[stage]
        and account_of(approver["role_arn"]) == samples.CENTRAL,
        "approver_is_not_trainer": not same_person(approver, facts.trainer),
        "decision_is_current": facts.decision_current,
        "policy_is_recorded": facts.policy_recorded,
        "nothing_in_it_is_recalled": not facts.recalls,
    }
    if stage != "Test":
        held |= {
            "model_card_complete": set(tier["required_card_sections"]) <= set(facts.card_sections),
            "dataset_version_known": facts.dataset_version is not None,
            "image_scan_clean": clean,
        }
    if stage == "Dev":
        held |= {
            "artifacts_match_registration": not facts.declared_mismatches,
            "evaluation_report_valid": facts.evaluation["valid"],
            "evaluation_meets_thresholds": not facts.evaluation["valid"]
            or _good(measured, ("auc", "brier", "calibration_error", "subgroup_auc_gap"), limits),
        }
    else:
        held |= {
            "follows_the_stage_machine": facts.phase is not None
            and phases.may_follow(facts.phase, f"{stage}/Approved"),
            "candidate_unchanged": not facts.differences,
            "deployment_definition_valid": facts.definition is not None
            and not facts.definition["problems"],
            "approvers_are_different_people": "approvers" not in separate
            or (
                bool(_name(approver))
                and not any(
                    same_person(dict(one), dict(other))
                    for one, other in combinations([approver, *facts.approvals], 2)
                )
                and all(_name(dict(a)) for a in facts.approvals)
                and not any(_name(dict(a)) == _name(dict(facts.trainer)) for a in facts.approvals)
            ),
        }
    if stage == "Prod":
        held |= {
            "approver_confirmed": facts.confirmation is not None
            and bool(approver.get("session_arn"))
            and bool(_name(approver)),
            "earlier_approvers_confirmed": not any(a["unconfirmed"] for a in facts.approvals),
            "tests_passed_for_candidate": facts.tests_passed,
            "test_results_meet_thresholds": not facts.tests_passed
            or _good(dict(facts.test_metrics), METRICS, limits),
            "required_suites_passed": not facts.tests_passed
            or set(tier["required_suites"]) <= set(facts.suites_passed),
            "deployment_definition_tested": not facts.tests_passed
            or facts.definition is None
            or facts.definition["digest"] == facts.tested_definition,
            "model_approval_status_approved": facts.approval["model_approval_status"] == "Approved",
            "approval_description_substantive": len(
                (facts.approval["approval_description"] or "").strip()
            )
            >= tier["description_min_chars"],
            "approvals_not_expired": all(
                _age(moment, valid)
                for moment in [facts.decided_at or "", *(a["decided_at"] for a in facts.approvals)]
            ),
            "required_reviews_given": {r["kind"] for r in reviews} >= set(tier["required_reviews"])
            or waived,
            "reviewers_are_different_people": "reviewers" not in separate
            or _each_a_person_of_its_own(gave),
            "reviewers_are_not_trainer": not _name(dict(facts.trainer))
            or _name(dict(facts.trainer)) not in reviewers,
            "approver_is_not_reviewer": "approver-and-reviewers" not in separate
            or not _name(approver)
            or _name(approver) not in reviewers,
        }
    return {rule for rule, holds in held.items() if not holds}


@settings(max_examples=500)
@given(decisions())
def test_cedar_decides_as_the_rules_say(decision: tuple[Facts, Policy]) -> None:
    facts, policy = decision
    verdict = gates.evaluate(facts, policy, policies.decide(policy))
    expected = oracle(facts, policy)
    assert {reason.rule for reason in verdict.reasons} == expected
    assert verdict.allowed is (not expected)


@given(st.floats(0, 1), st.integers(0, 10_000))
@example(0.15, 1500)
@example(0.15000000000000002, 1500)
@example(0.14999999999999997, 1500)
@example(0.7499999999999999, 7500)
def test_rounding_never_moves_a_number_over_a_threshold(value: float, ten_thousandths: int) -> None:
    limit = ten_thousandths / 10_000
    thresholds = {**policies.policy().tier["thresholds"], "auc_min": limit, "brier_max": limit}
    policy = policies.policy(thresholds=thresholds)
    for metric, good in (("auc", value >= limit), ("brier", value <= limit)):
        base = {"auc": 1.0, "brier": 0.0, "calibration_error": 0.0, "latency_p95_ms": 1}
        facts = Facts(
            stage="Prod",
            model_package_arn=samples.version_arn(),
            candidate_id=samples.CANDIDATE,
            approver={},
            trainer={},
            decision_current=True,
            approval={},
            asked_at=NOW,
            tests_passed=True,
            test_metrics={**base, metric: value},
            suites_passed=suites.BUILT_IN,
        )
        verdict = gates.evaluate(facts, policy, policies.decide(policy))
        denied = {reason.rule for reason in verdict.reasons}
        assert ("test_results_meet_thresholds" not in denied) is good
