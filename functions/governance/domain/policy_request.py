"""Facts and policy as the request that Cedar answers (policies/approvals.cedarschema).

Nothing is decided here. What is unknown or was not measured stays out of the request, and no rule
takes an absence for a yes. Numbers are decimals of four digits, rounded against the candidate:
since a tier policy has no more digits, rounding never turns a miss into a pass or the reverse.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from governance.domain import phases
from governance.domain.confirmations import contradiction
from governance.domain.facts import Facts
from governance.domain.identity import account_of
from governance.domain.policies import Policy

DIGITS = 4  # after the point, of Cedar's decimal
_SMALLEST_STEP = Decimal(1).scaleb(-DIGITS)
_LARGEST = Decimal("922337203685477.5807")
_LONGEST_ID = 200  # characters of an entity's id; it decides nothing
# What is good when it is large; everything else that is measured is good when it is small.
GOOD_WHEN_LARGE = frozenset({"auc"})
_METRICS = ("auc", "brier", "calibration_error", "subgroup_auc_gap", "latency_p95_ms")
_DAY, _HOUR = 86_400, 3_600
_UNKNOWN = "nothing is known of CloudTrail's record"


def request(facts: Facts, policy: Policy) -> dict[str, Any]:
    """{principal, action, resource, context, entities} in Cedar's JSON."""
    approver = facts.approver
    person = {"type": "Person", "id": name(approver)[:_LONGEST_ID] or "unknown"}
    candidate = {"type": "Candidate", "id": facts.candidate_id}
    return {
        "principal": person,
        "action": {"type": "Action", "id": action(facts)},
        "resource": candidate,
        "context": context(facts, policy),
        "entities": [
            {
                "uid": person,
                "attrs": _known(
                    {
                        "person": name(approver) or None,
                        "persona": approver.get("persona"),
                        "account": account_of(str(approver.get("role_arn") or "")),
                    }
                ),
                "parents": [],
            },
            {
                "uid": candidate,
                "attrs": {
                    "model": facts.model_package_arn.rpartition(":")[2],
                    "account": account_of(facts.model_package_arn),
                    "tier": policy.tier["tier"],
                },
                "parents": [],
            },
        ],
    }


def action(facts: Facts) -> str:
    """What is asked for: an approval for the stage, or the way back in it."""
    return f"approve-{facts.stage}" if facts.rollback is None else f"rollback-{facts.stage}"


def context(facts: Facts, policy: Policy) -> dict[str, Any]:
    """Everything that the rules ask about besides who and which version."""
    evaluation = facts.evaluation
    counted = counted_reviews(facts, policy)
    required = set(policy.tier["required_reviews"])
    kinds = {review["kind"] for review in counted} & required
    return _known(
        {
            "tier": _tier(policy.tier),
            "trainer": name(facts.trainer) or None,
            "decision_current": facts.decision_current,
            "approver_confirmed": contradiction(facts.approver, facts.confirmation) is None,
            "earlier_approvers_confirmed": not unconfirmed(facts),
            "policy_recorded": facts.policy_recorded,
            "phase": facts.phase,
            "phases_before": sorted(phases_before(facts.stage)),
            "recalled_parts": sorted({str(mark["part"]) for mark in facts.recalls}),
            "mismatches": _names(facts.declared_mismatches),
            "differences": _names(facts.differences),
            "evaluation_valid": bool(evaluation.get("valid")),
            "metrics": _metrics(holdout_metrics(facts)),
            "tests_passed": facts.tests_passed,
            "test_metrics": _metrics(facts.test_metrics),
            "suites_passed": sorted(set(facts.suites_passed)),
            "model_approval_status": facts.approval.get("model_approval_status"),
            "description_chars": description_length(facts),
            "earlier_approvers": sorted({name(a) for a in facts.approvals} - {""}),
            "earlier_approvers_separate": separate(facts),
            "approvals_age_seconds": approvals_age(facts),
            "reviews_given": sorted({str(review["kind"]) for review in counted}),
            "reviewers": sorted(reviewers(counted, required)),
            "reviews_counted": len(kinds),
            "reviews_by_different_people": different_people(counted, kinds),
            "break_glass": _emergency(facts),
            "card_sections": sorted(set(facts.card_sections)),
            "dataset_version": facts.dataset_version,
            "rollback": _rollback(facts),
            "image_registry": facts.image.get("registry"),
            "image_critical_findings": facts.image.get("critical"),
            "definition": (facts.definition or {}).get("digest"),
            "definition_problems": len((facts.definition or {}).get("problems") or ()),
            "tested_definition": facts.tested_definition,
        }
    )


def holdout_metrics(facts: Facts) -> dict[str, Any]:
    """What the evaluation report measured, the subgroup gap among it."""
    return {
        **(facts.evaluation.get("metrics") or {}),
        "subgroup_auc_gap": facts.evaluation.get("subgroup_auc_gap"),
    }


def separate(facts: Facts) -> bool:
    """True if the approvers of the stages before are known, different, and none of them trained.

    Who may approve for this stage says nothing of them. An approval that is not there is missed by
    the rules about what it would have led to: the version's phase, and its tests.
    """
    people = [name(approval) for approval in facts.approvals]
    return all(people) and len(set(people) - {name(facts.trainer)}) == len(people)


def unconfirmed(facts: Facts) -> list[Mapping[str, Any]]:
    """The earlier approvals of which CloudTrail has not said who gave them."""
    return [one for one in facts.approvals if one.get("unconfirmed", _UNKNOWN) is not None]


def phases_before(stage: str) -> frozenset[str]:
    """The phases from which the stage machine lets a version come to the stage's approval."""
    return phases.BY_NAME[f"{stage}/Approved"].after


def description_length(facts: Facts) -> int:
    """Characters of the approval description that are not just around it."""
    return len(str(facts.approval.get("approval_description") or "").strip())


def approvals_age(facts: Facts) -> int | None:
    """Seconds since the oldest approval that this one rests on; None if one has no time."""
    moments = [facts.decided_at, *(approval.get("decided_at") for approval in facts.approvals)]
    ages = [seconds_between(moment, facts.asked_at) for moment in moments]
    known = [age for age in ages if age is not None]
    return max(known) if len(known) == len(ages) else None


def counted_reviews(facts: Facts, policy: Policy) -> list[Mapping[str, Any]]:
    """The reviews that count: in force, by a known person, in a role that may give that kind, and
    confirmed by CloudTrail.

    The role must be one of the version's own account, as an approver's.
    """
    valid = policy.tier["review_valid_days"] * _DAY
    return [
        review
        for review in facts.reviews
        if name(review)
        and review.get("unconfirmed", _UNKNOWN) is None
        and _may_review(review)
        and account_of(str(review.get("role_arn") or "")) == account_of(facts.model_package_arn)
        and _is_younger(seconds_between(review.get("given_at"), facts.asked_at), valid)
    ]


def reviewers(counted: Iterable[Mapping[str, Any]], kinds: Iterable[str]) -> set[str]:
    """Who gave the reviews of these kinds."""
    wanted = set(kinds)
    return {name(review) for review in counted if review["kind"] in wanted}


def different_people(counted: Sequence[Mapping[str, Any]], kinds: Iterable[str]) -> int:
    """How many of the kinds of review can each be credited to a person of its own.

    Who gave two kinds is credited with one of them, the one that helps most.
    """
    gave = {
        kind: [name(review) for review in counted if review["kind"] == kind]
        for kind in sorted(kinds)
    }
    credited: dict[str, str] = {}
    return sum(_credit(kind, gave, credited, set()) for kind in gave)


def _credit(
    kind: str, gave: Mapping[str, Sequence[str]], credited: dict[str, str], asked: set[str]
) -> bool:
    """Credit the kind to one of its people, moving others to another of theirs if need be."""
    for person in gave[kind]:
        if person in asked:
            continue
        asked.add(person)
        if person not in credited or _credit(credited[person], gave, credited, asked):
            credited[person] = kind
            return True
    return False


def name(identity: Mapping[str, Any] | None) -> str:
    """The person as names are compared; "" if unknown."""
    return str((identity or {}).get("person") or "").strip().casefold()


def seconds_between(earlier: Any, later: str) -> int | None:
    """Whole seconds from one time to the other (ISO-8601); None if there is no earlier one."""
    if not earlier:
        return None
    return math.floor(_moment(later).timestamp() - _moment(str(earlier)).timestamp())


def decimal(value: Any, up: bool) -> dict[str, Any] | None:
    """A number as Cedar's decimal, rounded up or down; None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    # repr is the shortest text that is this float and no other, so it keeps the order of floats.
    exact = max(-_LARGEST, min(_LARGEST, Decimal(repr(value))))
    rounded = exact.quantize(_SMALLEST_STEP, ROUND_CEILING if up else ROUND_FLOOR)
    return {"__extn": {"fn": "decimal", "arg": f"{rounded:f}"}}


def _metrics(measured: Mapping[str, Any]) -> dict[str, Any]:
    return _known(
        {
            metric: decimal(measured.get(metric), up=metric not in GOOD_WHEN_LARGE)
            for metric in _METRICS
        }
    )


def _tier(tier: Mapping[str, Any]) -> dict[str, Any]:
    scan, emergency = tier["image_scan"], tier["break_glass"]
    limits = {
        limit: decimal(value, up=limit.endswith("_min"))
        for limit, value in tier["thresholds"].items()
    }
    return {
        **_known(limits),
        "required_suites": list(tier["required_suites"]),
        "description_min_chars": tier["description_min_chars"],
        "required_reviews": list(tier["required_reviews"]),
        "separate_people": list(tier["separate_people"]),
        "review_valid_seconds": tier["review_valid_days"] * _DAY,
        "break_glass_allowed": emergency["allowed"],
        "break_glass_valid_seconds": emergency["valid_hours"] * _HOUR,
        "required_card_sections": list(tier["required_card_sections"]),
        "image_scan_required": scan["required"],
        "image_scan_critical_max": scan["critical_max"],
        "image_scan_accepted_registries": list(scan["accepted_registries"]),
    }


def _emergency(facts: Facts) -> dict[str, Any] | None:
    asked = facts.break_glass
    age = seconds_between((asked or {}).get("requested_at"), facts.asked_at)
    if asked is None or not name(asked) or age is None:
        return None
    if asked.get("unconfirmed", _UNKNOWN) is not None:
        return None
    return {
        "person": name(asked),
        "reason_chars": len(str(asked.get("reason") or "").strip()),
        "age_seconds": age,
    }


def _rollback(facts: Facts) -> dict[str, Any] | None:
    asked = facts.rollback
    if asked is None:
        return None
    return {
        "trigger": str(asked.get("trigger") or ""),
        "serves": bool(asked.get("serves")),
        "released": bool(asked.get("released")),
        "withdrawn": sorted({str(kind) for kind in asked.get("withdrawn") or ()}),
        "unproven": sorted({str(name_) for name_ in asked.get("unproven") or ()}),
    }


def _may_review(review: Mapping[str, Any]) -> bool:
    phase = phases.find("Prod", f"{str(review.get('kind')).capitalize()}-Approved")
    return phase is not None and review.get("persona") in phase.set_by


def _is_younger(age: int | None, limit: int) -> bool:
    return age is not None and age < limit


def _names(found: Sequence[Mapping[str, str]]) -> list[str]:
    return sorted({str(entry.get("name")) for entry in found})


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; times are in UTC and say so")
    return moment
