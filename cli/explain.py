"""The last verdict about a version, rule by rule: what it saw, what it wanted, who can do what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cli import ledger
from governance.domain.explanations import purpose_of


def explain(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The newest verdict among the entries of a version, in order; None if no gate was asked.

    {sequence, kind, recorded_at, decided_at, model_package_arn, stage, allowed, approver, tier,
    policy_digest, rules, break_glass, after}: each rule is {rule, asks, met, fact, expected,
    remedy}, those that said no first, with None where a rule that is met has nothing to say.
    `after` is what was recorded since, [{sequence, kind, reasons}].
    """
    found = [entry for entry in entries if entry.get("verdict")]
    if not found:
        return None
    entry = found[-1]
    verdict = entry["verdict"]
    denied = {reason["rule"]: reason for reason in verdict["reasons"]}
    # A stage that no rule permits is denied without a rule that was asked.
    asked = [*denied, *(rule for rule in verdict["rules"] if rule not in denied)]
    return {
        "sequence": entry["sequence"],
        "kind": entry["kind"],
        "recorded_at": entry["recorded_at"],
        "decided_at": entry["decided_at"],
        "model_package_arn": entry["model_package_arn"],
        "stage": verdict["stage"],
        "allowed": verdict["allowed"],
        "approver": ledger.person(entry) or None,
        "tier": verdict.get("tier"),
        "policy_digest": verdict["policy_digest"],
        "rules": [_rule(rule, denied.get(rule)) for rule in asked],
        "break_glass": verdict.get("break_glass"),
        "after": [
            {
                "sequence": later["sequence"],
                "kind": later["kind"],
                "reasons": ledger.reasons(later),
            }
            for later in entries
            if later["sequence"] > entry["sequence"]
        ],
    }


def _rule(rule: str, reason: Mapping[str, str] | None) -> dict[str, Any]:
    return {
        "rule": rule,
        "asks": purpose_of(rule) or None,
        "met": reason is None,
        **{key: reason[key] if reason else None for key in ("fact", "expected", "remedy")},
    }
