"""Gates: may this candidate go to this stage? Every rule is asked, every "no" is a reason.

A gate returns a verdict and never raises to say no. A reason names the rule, the fact it saw,
what it expected and who can do what about it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import rfc8785

from governance.domain import phases
from governance.domain.identity import account_of, same_person

DESCRIPTION_LIMIT = 1024  # characters; ModelLifeCycle.StageDescription
_PERSONA_FOR = {
    "Dev": ("data-scientist", "Data Scientist"),
    "Test": ("ai-engineer", "AI Engineer"),
    "Prod": ("governance-engineer", "Governance Engineer"),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a gate decides on. Everything here was read, nothing was assumed.

    `approver` and `trainer` are identities; `approval` {model_approval_status,
    approval_description, stage, stage_status}; `policy` a tier policy; `tests_passed` whether the
    last validation of this very version and candidate passed, and `phase` ("Stage/Status") where
    the version was until this decision, both by the ledger; None if it knows nothing of it.
    """

    stage: str
    model_package_arn: str
    candidate_id: str
    approver: Mapping[str, Any]
    trainer: Mapping[str, Any]
    decision_current: bool
    approval: Mapping[str, Any]
    policy: Mapping[str, Any]
    declared_mismatches: Sequence[Mapping[str, str]] = ()
    differences: Sequence[Mapping[str, str]] = ()
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    tests_passed: bool = False
    phase: str | None = None


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
    """A gate's answer, with every rule it asked and the digest of the policy it asked under.

    `leaves` is the phase ("Stage/Status") in which a refusal leaves the version: rejected, or where
    it was if it could not come here from there. None if it is not for this verdict to say.
    """

    stage: str
    reasons: tuple[Reason, ...]
    rules: tuple[str, ...]
    policy_digest: str
    leaves: str | None = None

    @property
    def allowed(self) -> bool:
        """True if no rule said no."""
        return not self.reasons

    def describe(self) -> str:
        """The verdict as text for StageDescription: one line, at most 1,024 characters."""
        if self.allowed:
            return f"Gate {self.stage}: allowed by {len(self.rules)} rules"
        return one_line(
            f"Gate {self.stage}: denied. "
            + " ".join(
                f"[{reason.rule}] {reason.fact}; expected {reason.expected}. {reason.remedy}."
                for reason in self.reasons
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """{allowed, stage, reasons, rules, policy_digest, description, leaves}

        `leaves` is {stage, stage_status} or None.
        """
        stage, _, status = (self.leaves or "").partition("/")
        return {
            "allowed": self.allowed,
            "stage": self.stage,
            "reasons": [reason.to_dict() for reason in self.reasons],
            "rules": list(self.rules),
            "policy_digest": self.policy_digest,
            "description": self.describe(),
            "leaves": {"stage": stage, "stage_status": status} if self.leaves else None,
        }


def one_line(text: str) -> str:
    """The text as StageDescription takes it: without line breaks, at most 1,024 characters."""
    line = " ".join(text.split())
    return line if len(line) <= DESCRIPTION_LIMIT else line[: DESCRIPTION_LIMIT - 3] + "..."


Answer = tuple[str, str, str]  # fact, expected, remedy
Rule = Callable[[Facts], Answer | None]


def evaluate(facts: Facts) -> Verdict:
    """Ask every rule of the stage. KeyError for a stage that no gate guards."""
    rules = RULES[facts.stage]
    answers = [(rule.__name__, rule(facts)) for rule in rules]
    reasons = tuple(Reason(name, *answer) for name, answer in answers if answer)
    return Verdict(
        stage=facts.stage,
        reasons=reasons,
        rules=tuple(name for name, _ in answers),
        policy_digest=policy_digest(facts.policy),
        leaves=_left_by(facts) if reasons else None,
    )


def _left_by(facts: Facts) -> str | None:
    """The phase in which a refusal leaves the version; None if a later decision stands."""
    if not facts.decision_current:
        return None
    came_from_elsewhere = follows_the_stage_machine(facts) and facts.stage != "Dev"
    return facts.phase if came_from_elsewhere else f"{facts.stage}/Rejected"


def policy_digest(policy: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the policy's RFC 8785 form."""
    return hashlib.sha256(rfc8785.dumps(dict(policy))).hexdigest()


def approver_holds_the_role(facts: Facts) -> Answer | None:
    """Only the persona of the stage approves for it, with the role of the version's own account."""
    persona, title = _PERSONA_FOR[facts.stage]
    role_arn = str(facts.approver.get("role_arn") or "")
    account = account_of(facts.model_package_arn)
    # A role of the same name in another account is somebody else's to give away.
    if facts.approver.get("persona") == persona and account_of(role_arn) == account:
        return None
    return (
        f"{_who(facts.approver)} approved with role {role_arn or 'unknown'}",
        f"the role governed-path-{persona} of account {account}",
        f"A {title} approves the version for {facts.stage}",
    )


def approver_is_not_trainer(facts: Facts) -> Answer | None:
    """Nobody approves what they trained."""
    if not same_person(facts.approver, facts.trainer):
        return None
    return (
        f"{_who(facts.approver)} approved and {_who(facts.trainer)} trained",
        "two different, known people",
        f"Another {_PERSONA_FOR[facts.stage][1]} approves the version",
    )


def decision_is_current(facts: Facts) -> Answer | None:
    """The version has not been touched since the decision, so who decided is certain."""
    if facts.decision_current:
        return None
    return (
        "the version was changed after this decision",
        "the decision to be the version's last change",
        f"A {_PERSONA_FOR[facts.stage][1]} looks at the version again and approves it again",
    )


def artifacts_match_registration(facts: Facts) -> Answer | None:
    """The bytes are the ones that the training pipeline registered."""
    if not facts.declared_mismatches:
        return None
    changed = ", ".join(
        f"{m['name']} is {m['actual']} but was registered as {m['declared']}"
        for m in facts.declared_mismatches
    )
    return (
        changed,
        "every object to be the one that was registered",
        "The Data Scientist registers a new version; this one cannot be trusted",
    )


def evaluation_report_valid(facts: Facts) -> Answer | None:
    """The evaluation report says what a gate must know."""
    if facts.evaluation.get("valid"):
        return None
    problems = "; ".join(facts.evaluation.get("problems") or ["there is none"])
    return (
        f"the evaluation report is not valid: {problems}",
        "a report of schema governed-path/evaluation/v1",
        "The Data Scientist fixes the evaluation step and registers a new version",
    )


def evaluation_meets_thresholds(facts: Facts) -> Answer | None:
    """The candidate is good enough on its holdout for the model's risk tier."""
    if not facts.evaluation.get("valid"):
        return None  # evaluation_report_valid has said so
    measured = {
        **facts.evaluation["metrics"],
        "subgroup_auc_gap": facts.evaluation.get("subgroup_auc_gap"),
    }
    misses = threshold_misses(measured, facts.policy["thresholds"])
    if not misses:
        return None
    return (
        "; ".join(f"{name} is {_number(value)}" for name, value, _ in misses),
        "; ".join(f"{name} {bound}" for name, _, bound in misses),
        f"The Data Scientist improves the model; the Admin owns tier {facts.policy['tier']}",
    )


def candidate_unchanged(facts: Facts) -> Answer | None:
    """The version is still the candidate that was promoted, byte for byte."""
    if not facts.differences:
        return None
    changed = ", ".join(
        f"{d['name']} is {d['actual']} but the candidate has {d['expected']}"
        for d in facts.differences
    )
    return (
        changed,
        f"the version to be candidate {facts.candidate_id}",
        "The Data Scientist promotes a new version; who changed this one is in CloudTrail",
    )


def tests_passed_for_candidate(facts: Facts) -> Answer | None:
    """The tests passed for these bytes and this version, by the ledger and not by metadata."""
    if facts.tests_passed:
        return None
    return (
        f"the ledger has no ValidationPassed for candidate {facts.candidate_id}",
        "a passed validation of this version",
        "An AI Engineer approves the version for Test",
    )


def model_approval_status_approved(facts: Facts) -> Answer | None:
    """SageMaker deploys only what carries ModelApprovalStatus Approved."""
    status = facts.approval.get("model_approval_status")
    if status == "Approved":
        return None
    return (
        f"ModelApprovalStatus is {status}",
        "Approved",
        "The Governance Engineer signs off with ModelApprovalStatus=Approved",
    )


def approval_description_substantive(facts: Facts) -> Answer | None:
    """A signature says on what it rests."""
    length = len(str(facts.approval.get("approval_description") or "").strip())
    least = facts.policy["description_min_chars"]
    if length >= least:
        return None
    return (
        f"ApprovalDescription has {length} characters",
        f"at least {least}",
        "The Governance Engineer approves again and says what was reviewed",
    )


def follows_the_stage_machine(facts: Facts) -> Answer | None:
    """The version may come to this stage from where it was."""
    if facts.phase is None or phases.may_follow(facts.phase, f"{facts.stage}/Approved"):
        return None
    return (
        f"the version is {facts.phase}",
        "one of " + ", ".join(sorted(phases.BY_NAME[f"{facts.stage}/Approved"].after)),
        f"A version that is {facts.phase} stays so; the Data Scientist promotes a new one",
    )


RULES: dict[str, tuple[Rule, ...]] = {
    "Dev": (
        approver_holds_the_role,
        approver_is_not_trainer,
        decision_is_current,
        artifacts_match_registration,
        evaluation_report_valid,
        evaluation_meets_thresholds,
    ),
    "Test": (
        approver_holds_the_role,
        approver_is_not_trainer,
        decision_is_current,
        follows_the_stage_machine,
        candidate_unchanged,
    ),
    "Prod": (
        approver_holds_the_role,
        approver_is_not_trainer,
        decision_is_current,
        follows_the_stage_machine,
        candidate_unchanged,
        tests_passed_for_candidate,
        model_approval_status_approved,
        approval_description_substantive,
    ),
}


def threshold_misses(
    measured: Mapping[str, float | None], thresholds: Mapping[str, float]
) -> list[tuple[str, float | None, str]]:
    """[(metric, value, bound)] of the measured metrics that miss their threshold.

    A threshold is named <metric>_min or <metric>_max. A metric that is in `measured` without a
    value misses its threshold: not measured is not good. One that is not in `measured` at all is
    none of this caller's.
    """
    misses = []
    for threshold, limit in sorted(thresholds.items()):
        metric, _, bound = threshold.rpartition("_")
        if metric not in measured:
            continue
        value = measured[metric]
        low = bound == "min"
        # Asked for what holds, not for what is broken: NaN is neither below nor above a limit.
        if value is None or not (value >= limit if low else value <= limit):
            misses.append((metric, value, f"{'at least' if low else 'at most'} {limit}"))
    return misses


def _who(identity: Mapping[str, Any]) -> str:
    return str(identity.get("person") or "an unknown person")


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"
