"""Gates: may this candidate go to this stage? Cedar decides, every "no" is a reason.

A gate returns a verdict and never raises to say no. A reason names the rule, the fact it saw,
what it expected and who can do what about it. The rules are in policies/approvals.cedar, their
words in explanations.py; here both become one verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from governance.domain import explanations, policy_request
from governance.domain.facts import CUT, Facts
from governance.domain.policies import Policy

DESCRIPTION_LIMIT = 1024  # characters; ModelLifeCycle.StageDescription


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy engine answered: the rules that it asked, and those that said no."""

    allowed: bool
    denied_by: tuple[str, ...]
    rules: tuple[str, ...]


# A request of policy_request in, the engine's decision out; it raises what it cannot decide.
Decide = Callable[[Mapping[str, Any]], Decision]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a gate said no: the rule, the fact it saw, what it expected, who can do what."""

    rule: str
    fact: str
    expected: str
    remedy: str

    def to_dict(self) -> dict[str, str]:
        """{rule, fact, expected, remedy}"""
        return {
            "rule": self.rule,
            "fact": self.fact,
            "expected": self.expected,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate's answer, with every rule it asked, and the policy and the facts it asked them under.

    `leaves` is the phase ("Stage/Status") in which a refusal leaves the version: rejected, or where
    it was if it could not come here from there. None if it is not for this verdict to say.
    `break_glass` is the emergency request that stood in for reviews, None if none had to.
    """

    stage: str
    allowed: bool
    reasons: tuple[Reason, ...]
    rules: tuple[str, ...]
    policy_digest: str
    policy_digests: Mapping[str, str]
    tier: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    leaves: str | None = None
    break_glass: Mapping[str, Any] | None = None

    def describe(self) -> str:
        """The verdict as text for StageDescription: one line, at most 1,024 characters.

        Every rule that said no is named, also when there is no room for all that it saw.
        """
        if self.allowed:
            said = f"Gate {self.stage}: allowed by {len(self.rules)} rules"
            if self.break_glass is None:
                return said
            return one_line(
                f"{said}, with break-glass: {_listed(self.break_glass['waived'])} review waived on "
                f"the request of {self.break_glass['person']}, due until "
                f"{self.break_glass['review_due_at']}. {self.break_glass['reason']}"
            )
        texts = [
            f"[{reason.rule}] {reason.fact}; expected {reason.expected}. {reason.remedy}."
            for reason in self.reasons
        ]
        start = f"Gate {self.stage}: denied."
        return one_line(" ".join([start, *_fitted(texts, DESCRIPTION_LIMIT - len(start))]))

    def to_dict(self) -> dict[str, Any]:
        """{allowed, stage, reasons, rules, tier, policy_digest, policy_digests, facts,
        description, leaves, break_glass}

        `leaves` is {stage, stage_status} or None.
        """
        stage, _, status = (self.leaves or "").partition("/")
        return {
            "allowed": self.allowed,
            "stage": self.stage,
            "reasons": [reason.to_dict() for reason in self.reasons],
            "rules": list(self.rules),
            "tier": self.tier,
            "policy_digest": self.policy_digest,
            "policy_digests": dict(self.policy_digests),
            "facts": dict(self.facts),
            "description": self.describe(),
            "leaves": {"stage": stage, "stage_status": status} if self.leaves else None,
            "break_glass": dict(self.break_glass) if self.break_glass else None,
        }


def one_line(text: str) -> str:
    """The text as StageDescription takes it: without line breaks, at most 1,024 characters."""
    line = " ".join(text.split())
    return line if len(line) <= DESCRIPTION_LIMIT else line[: DESCRIPTION_LIMIT - 3] + CUT


def evaluate(facts: Facts, policy: Policy, decide: Decide) -> Verdict:
    """Ask the policy about the facts. What the engine cannot decide it raises.

    Rules speak of one image: of a version with several, the policy is asked about each, and each
    "no" counts.
    """
    asked = [replace(facts, image=image) for image in facts.images]
    answers = [decide(policy_request.request(one, policy)) for one in asked]
    reasons = tuple(
        dict.fromkeys(
            Reason(rule, *explanations.explain(rule, one, policy))
            for one, answer in zip(asked, answers, strict=True)
            for rule in _denied_by(answer)
        )
    )
    denied_by = tuple(dict.fromkeys(reason.rule for reason in reasons))
    decision = Decision(all(answer.allowed for answer in answers), denied_by, answers[0].rules)
    return Verdict(
        stage=facts.stage,
        allowed=decision.allowed,
        reasons=reasons,
        rules=decision.rules,
        policy_digest=policy.digest,
        policy_digests=policy.digests,
        tier=str(policy.tier["tier"]),
        facts=facts.to_dict(),
        leaves=None if decision.allowed else _left_by(facts, denied_by),
        break_glass=_emergency(facts, policy, decision),
    )


def _denied_by(decision: Decision) -> tuple[str, ...]:
    if decision.allowed or decision.denied_by:
        return decision.denied_by
    return (explanations.NOTHING_PERMITS,)


def _left_by(facts: Facts, denied_by: Sequence[str]) -> str | None:
    """The phase in which a refusal leaves the version; None if a later decision stands."""
    if not facts.decision_current or facts.rollback is not None:
        return None  # the version that the facts are about is not the one that was decided on
    came_from_elsewhere = explanations.follows_the_stage_machine.__name__ in denied_by
    return facts.phase if came_from_elsewhere else f"{facts.stage}/Rejected"


def _emergency(facts: Facts, policy: Policy, decision: Decision) -> dict[str, Any] | None:
    """The break-glass request that this release rests on, what it waives and until when."""
    rule = explanations.required_reviews_given.__name__
    missing = explanations.missing_reviews(facts, policy)
    asked = rule in decision.rules and decision.allowed
    if not asked or not missing or facts.break_glass is None:
        return None
    due = datetime.fromisoformat(facts.asked_at).astimezone(UTC) + timedelta(
        hours=policy.tier["break_glass"]["review_within_hours"]
    )
    return {
        **facts.break_glass,
        "waived": missing,
        "review_due_at": due.replace(tzinfo=None).isoformat(timespec="seconds") + "Z",
    }


def _fitted(texts: Sequence[str], room: int) -> list[str]:
    """The texts, the long ones cut, so that all together take at most `room` characters.

    Each is preceded by a space. No text is cut more than another needs.
    """
    lengths = sorted(len(text) + 1 for text in texts)
    left, share = room, room
    for index, length in enumerate(lengths):
        share = left // (len(lengths) - index)
        if length > share:
            break
        left -= length
    return [text if len(text) < share else text[: share - 1 - len(CUT)] + CUT for text in texts]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
