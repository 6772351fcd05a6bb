"""Why a rule said no: the fact it saw, what it expected, who can do what about it.

Cedar decides (policies/approvals.cedar), this only finds the words; it never changes a verdict.
Every rule there has an explanation here by its @id, and the reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from governance.domain import images, our_evaluation, phases
from governance.domain import policy_request as asked
from governance.domain.claims import LAST_MODIFIED
from governance.domain.confirmations import contradiction
from governance.domain.facts import Facts
from governance.domain.identity import account_of
from governance.domain.policies import Policy
from governance.domain.thresholds import threshold_misses

_FEW = 5  # registries that are named one by one
Answer = tuple[str, str, str]  # fact, expected, remedy
Explanation = Callable[[Facts, Policy], Answer]

# No forbid applied and no permit did: Cedar denies what nobody allowed.
NOTHING_PERMITS = "stage_is_permitted"
TITLES = {
    "data-scientist": "Data Scientist",
    "ai-engineer": "AI Engineer",
    "governance-engineer": "Governance Engineer",
}
_SIGN_AGAIN = "CloudTrail may be late: the Governance Engineer signs again in some minutes"
_PERSONA_OF_STAGE = {
    "Dev": "data-scientist",
    "Test": "ai-engineer",
    "Prod": "governance-engineer",
}


def approver_holds_the_role(facts: Facts, policy: Policy) -> Answer:
    """Only the persona of the stage approves for it, with the role of the version's own account."""
    role_arn = str(facts.approver.get("role_arn") or "")
    account = account_of(facts.model_package_arn)
    return (
        f"{_who(facts.approver)} approved with role {role_arn or 'unknown'}",
        f"the role governed-path-{_PERSONA_OF_STAGE[facts.stage]} of account {account}",
        f"A {_approver(facts)} approves the version for {facts.stage}",
    )


def approver_is_not_trainer(facts: Facts, policy: Policy) -> Answer:
    """Nobody approves what they trained."""
    return (
        f"{_who(facts.approver)} approved and {_who(facts.trainer)} trained",
        "two different, known people",
        f"Another {_approver(facts)} approves the version",
    )


def decision_is_current(facts: Facts, policy: Policy) -> Answer:
    """The version has not been touched since the decision, so who decided is certain."""
    return (
        "the version was changed after this decision",
        "the decision to be the version's last change",
        f"A {_approver(facts)} looks at the version again and approves it again",
    )


def approver_confirmed(facts: Facts, policy: Policy) -> Answer:
    """CloudTrail's own record names who approved, as the registry does."""
    return (
        contradiction(facts.approver, facts.confirmation) or "the two agree",
        "CloudTrail's record of the approval to name the session that the registry names",
        f"An Admin looks both up; then a {_approver(facts)} approves the version again",
    )


def earlier_approvers_confirmed(facts: Facts, policy: Policy) -> Answer:
    """CloudTrail's own records name who approved for the stages before, as the ledger does."""
    found = asked.unconfirmed(facts)
    said = "; ".join(
        f"{_who(one)} for {one.get('stage')}: {one.get('unconfirmed') or 'nothing is known'}"
        for one in found
    )
    again = {
        "Dev": "the Data Scientist approves the Dev version again",
        "Test": "an AI Engineer approves the version for Test again",
    }
    for_each = " and ".join(again[str(one.get("stage"))] for one in found)
    return (
        said or "all are confirmed",
        "CloudTrail's record of each approval to name the session and the person that approved",
        f"{_SIGN_AGAIN}. If it stays so, an Admin sees that a trail of management events is on in "
        f"that account, and {for_each}",
    )


def follows_the_stage_machine(facts: Facts, policy: Policy) -> Answer:
    """The version may come to this stage from where it was."""
    expected = "one of " + ", ".join(sorted(asked.phases_before(facts.stage)))
    if facts.phase is None:
        return (
            "the ledger does not know the version",
            expected,
            "The Data Scientist approves it in Dev again, so that its promotion comes to its end",
        )
    return f"the version is {facts.phase}", expected, _way_back(facts)


def nothing_in_it_is_recalled(facts: Facts, policy: Policy) -> Answer:
    """Neither the candidate nor anything that it is made of was recalled."""
    said = "; ".join(
        f"{mark.get('part')} was recalled by {_who(mark)} {mark.get('recalled_at')}, with "
        f"{mark.get('model_package_arn')}: {mark.get('reason')}"
        for mark in facts.recalls
    )
    return (
        said or "nothing of it was recalled",
        "a candidate of which no part was recalled",
        "The Data Scientist registers a version without what was recalled",
    )


def artifacts_match_registration(facts: Facts, policy: Policy) -> Answer:
    """The bytes are the ones that the training pipeline registered."""
    changed = ", ".join(
        f"{m.get('name')} is {m.get('actual')} but was registered as {m.get('declared')}"
        for m in facts.declared_mismatches
    )
    return (
        changed or "every object is the one that was registered",
        "every object to be the one that was registered",
        "The Data Scientist registers a new version; this one cannot be trusted",
    )


def candidate_unchanged(facts: Facts, policy: Policy) -> Answer:
    """The version is still the candidate that was promoted, byte for byte."""
    changed = ", ".join(
        f"{d.get('name')} is {d.get('actual')} but the candidate has {d.get('expected')}"
        for d in facts.differences
    )
    remedy = (
        "CloudTrail has who changed it. Once it is as it was, an AI Engineer approves it for Test "
        "again. What cannot be put back needs another candidate: a Data Scientist registers a "
        "version whose card, SourceUri or objects are not all the same"
    )
    if facts.differences and all(our_evaluation.is_about(d) for d in facts.differences):
        remedy = (
            "CloudTrail has who changed what it says of its tests. An AI Engineer approves it for "
            "Test again: its tests say it anew"
        )
    if all(d.get("name") == LAST_MODIFIED for d in facts.differences):
        remedy = f"A {_approver(facts)} looks at the version again and approves it again"
    return (
        changed or "the version is the candidate that was promoted",
        f"the version to be candidate {facts.candidate_id}",
        remedy,
    )


def evaluation_report_valid(facts: Facts, policy: Policy) -> Answer:
    """The evaluation report says what a gate must know."""
    problems = "; ".join(facts.evaluation.get("problems") or ["there is none"])
    return (
        f"the evaluation report is not valid: {problems}",
        "a report of schema governed-path/evaluation/v1",
        "The Data Scientist fixes the evaluation step and registers a new version",
    )


def evaluation_meets_thresholds(facts: Facts, policy: Policy) -> Answer:
    """The candidate is good enough on its holdout for the model's risk tier."""
    fact, expected = _misses(asked.holdout_metrics(facts), policy)
    tier = policy.tier["tier"]
    return fact, expected, f"The Data Scientist improves the model; the Admin owns tier {tier}"


def tests_passed_for_candidate(facts: Facts, policy: Policy) -> Answer:
    """The tests passed for these bytes and this version, by the ledger and not by metadata."""
    return (
        f"the ledger has no ValidationPassed for candidate {facts.candidate_id}",
        "a passed validation of this version",
        "An AI Engineer approves the version for Test",
    )


def test_results_meet_thresholds(facts: Facts, policy: Policy) -> Answer:
    """What the last test measured is good enough for the tier as it is now."""
    needed = dict.fromkeys(("auc", "brier", "calibration_error", "latency_p95_ms"))
    fact, expected = _misses({**needed, **facts.test_metrics}, policy)
    return (
        f"at the Test endpoint {fact}",
        expected,
        "The tier is stricter than at the test: the Data Scientist promotes a better version",
    )


def required_suites_passed(facts: Facts, policy: Policy) -> Answer:
    """Every suite that the tier requires by now has tried the version."""
    required = list(policy.tier["required_suites"])
    missing = [suite for suite in required if suite not in set(facts.suites_passed)]
    return (
        f"the tests were without {_listed(missing)}",
        f"tests with {_listed(required)}",
        "The tier requires more than at the test: an AI Engineer approves a newer version for Test",
    )


def model_card_complete(facts: Facts, policy: Policy) -> Answer:
    """The model card says something in every section that the tier requires."""
    required = list(policy.tier["required_card_sections"])
    missing = [section for section in required if section not in set(facts.card_sections)]
    return (
        f"the model card says nothing in {_listed(missing)}",
        f"something in each of {_listed(required)}",
        "The Data Scientist completes the model card and registers a new version",
    )


def dataset_version_known(facts: Facts, policy: Policy) -> Answer:
    """The exact training data is known, so the model can be traced back to it."""
    return (
        "the version does not say which version of which dataset it was trained on",
        "metadata dataset-uri, dataset-version-id and dataset-sha256",
        "The Data Scientist registers a version with the dataset's URI, version and digest",
    )


def rollback_is_asked_for_by_who_may(facts: Facts, policy: Policy) -> Answer:
    """A Governance Engineer or an AI Engineer asks for a rollback, or an alarm does."""
    account = account_of(facts.model_package_arn)
    return (
        f"{_who(facts.approver)} asked with role {facts.approver.get('role_arn') or 'unknown'}",
        f"governed-path-governance-engineer or governed-path-ai-engineer of account {account}",
        "A Governance Engineer or an AI Engineer asks: `govern rollback`",
    )


def rollback_is_of_what_serves(facts: Facts, policy: Policy) -> Answer:
    """What is to go serves the endpoint, is being released to it, or has left it failed."""
    asked_ = facts.rollback or {}
    return (
        f"{asked_.get('from')} neither serves the endpoint nor is being released to it",
        f"{asked_.get('serving') or 'nothing'}, which the ledger says serves",
        "Look at `govern status`; ask for the rollback of what serves",
    )


def rollback_target_has_served(facts: Facts, policy: Policy) -> Answer:
    """The version to go back to has served this endpoint."""
    asked_ = facts.rollback or {}
    wanted = asked_.get("wanted")
    return (
        f"version {wanted} has not served this endpoint lately"
        if wanted
        else "no other version that served this endpoint is good",
        "a version that the ledger has as released to this endpoint",
        "Approve a version for Prod, or name another with --to",
    )


def rollback_target_is_not_withdrawn(facts: Facts, policy: Policy) -> Answer:
    """The version to go back to was not recalled, retired or changed since it served."""
    found = ", ".join((facts.rollback or {}).get("withdrawn") or []) or "nothing"
    return (
        f"since {facts.model_package_arn} served there is {found}",
        "no recall, retirement or tampering",
        "Name another version with --to, or approve a version for Prod",
    )


def rollback_target_holds(facts: Facts, policy: Policy) -> Answer:
    """The version to go back to is signed off, and its bytes and its image are there."""
    asked_ = facts.rollback or {}
    said = "; ".join(
        f"{one['name']}: {one['said']}"
        for one in asked_.get("checks") or []
        if not one.get("proven") and one["name"] in (asked_.get("unproven") or [])
    )
    return (
        f"{facts.model_package_arn} would not hold: {said or 'nothing is known of it'}",
        "a version that is signed off, with its bytes and its image as they were",
        "Repair what is named, or name another version with --to",
    )


def _and_others(image: Mapping[str, Any]) -> str:
    """What else the scan found; the tier asks about the critical ones alone."""
    others = {**(image.get("findings") or {}), "CRITICAL": 0}
    said = images.found_by_scan(others)
    return f" ({said})" if said else ""


def image_scan_clean(facts: Facts, policy: Policy) -> Answer:
    """The image is scanned and clean, or from a registry that the tier accepts without a scan."""
    scan = policy.tier["image_scan"]
    critical = facts.image.get("critical")
    seen = (
        str(facts.image.get("scan") or "nothing is known of its scan")
        if critical is None
        else f"its scan has {critical} critical findings{_and_others(facts.image)}"
    )
    registries = scan["accepted_registries"]
    few = len(registries) <= _FEW
    accepted = _listed(registries) if few else f"that is among the {len(registries)} accepted ones"
    return (
        f"image {facts.image.get('uri') or 'unknown'}: {seen}",
        f"a finished scan with at most {scan['critical_max']} critical findings, or an image of "
        f"registry {accepted}",
        "The Data Scientist uses an image that is scanned and patched; the Admin owns tier "
        f"{policy.tier['tier']}",
    )


def deployment_definition_valid(facts: Facts, policy: Policy) -> Answer:
    """How the version is served, tested and released is defined, and within the tier's bounds."""
    if facts.definition is None:
        said = "no deployment definition is named by the approval or by the project"
    else:
        problems = "; ".join(facts.definition.get("problems") or ["nothing is wrong with it"])
        said = f"deployment definition {_short(facts.definition.get('digest'))}: {problems}"
    return (
        said,
        f"a published deployment definition within the bounds of tier {policy.tier['tier']}",
        "An AI Engineer corrects it (`govern deployment check`) and approves the version for Test "
        "with --deployment FILE",
    )


def deployment_definition_tested(facts: Facts, policy: Policy) -> Answer:
    """What Prod gets is deployed as it was tested."""
    return (
        f"deployment definition {_short((facts.definition or {}).get('digest'))}; tested was "
        f"{_short(facts.tested_definition)}",
        "the definition that the tests ran under",
        "An AI Engineer approves the version for Test with this definition, or the Governance "
        "Engineer signs with the tested one",
    )


def model_approval_status_approved(facts: Facts, policy: Policy) -> Answer:
    """SageMaker deploys only what carries ModelApprovalStatus Approved."""
    return (
        f"ModelApprovalStatus is {facts.approval.get('model_approval_status')}",
        "Approved",
        "The Governance Engineer signs off with ModelApprovalStatus=Approved",
    )


def approval_description_substantive(facts: Facts, policy: Policy) -> Answer:
    """A signature says on what it rests."""
    return (
        f"ApprovalDescription has {asked.description_length(facts)} characters",
        f"at least {policy.tier['description_min_chars']}",
        "The Governance Engineer approves again and says what was reviewed",
    )


def approvals_not_expired(facts: Facts, policy: Policy) -> Answer:
    """Dev, Test and Prod were approved for the world as it is, not as it once was."""
    own = {"stage": facts.stage, "decided_at": facts.decided_at, **_person(facts.approver)}
    given = sorted(
        [*facts.approvals, own], key=lambda approval: str(approval.get("decided_at") or "")
    )
    oldest = given[0]
    when = oldest.get("decided_at") or "at an unknown time"
    remedy = {
        "Dev": "The Data Scientist approves the Dev version again, then it is tested again",
        "Test": "An AI Engineer approves the version for Test again",
    }
    return (
        f"{_who(oldest)} approved for {oldest['stage']} {when}; it was decided at {facts.asked_at}",
        f"no approval older than {policy.tier['review_valid_days']} days",
        remedy.get(str(oldest["stage"]), "A Governance Engineer approves the version again"),
    )


def approvers_are_different_people(facts: Facts, policy: Policy) -> Answer:
    """Dev, Test and Prod are approved by different people, where the tier says so."""
    earlier = ", ".join(f"{_who(a)} for {a.get('stage')}" for a in facts.approvals)
    remedy = f"Another {_approver(facts)} approves the version"
    if not asked.separate(facts):
        remedy = (
            "Somebody else, who did not train it, approves the Dev version or the version for Test "
            "again; then the path goes on from there"
        )
    return (
        f"{_who(facts.approver)} approved for {facts.stage} after {earlier or 'nobody'}; "
        f"{_who(facts.trainer)} trained",
        f"different, known people for each stage before, none of whom trained it "
        f"(tier {policy.tier['tier']})",
        remedy,
    )


def required_reviews_given(facts: Facts, policy: Policy) -> Answer:
    """Every review that the tier requires is in force."""
    missing = missing_reviews(facts, policy)
    valid = policy.tier["review_valid_days"]
    unconfirmed = [
        f"{_who(review)} gave {review['kind']}, but {review['unconfirmed']}"
        for review in facts.reviews
        if review["kind"] in missing and review.get("unconfirmed")
    ]
    ask = "; ".join(f"{kind}: {reviewer_of(kind)}" for kind in missing) + " (`govern review`)"
    return (
        "; ".join([f"no {_listed(missing)} review is in force", *unconfirmed])
        + _why_no_emergency(facts, policy),
        f"{_listed(policy.tier['required_reviews'])} review of this candidate, each not older "
        f"than {valid} days and confirmed by CloudTrail",
        (f"{_SIGN_AGAIN}; if it stays so, {ask}" if unconfirmed else ask)
        if missing
        else "The Governance Engineer asks for the reviews",
    )


def reviewers_are_different_people(facts: Facts, policy: Policy) -> Answer:
    """Each required review is by a person of its own, where the tier says so."""
    required = set(policy.tier["required_reviews"])
    given = [
        f"{_who(review)} gave {review['kind']}"
        for review in asked.counted_reviews(facts, policy)
        if review["kind"] in required
    ]
    return (
        ", ".join(sorted(given)) or "reviews of one person for several kinds",
        f"a different person for each required review (tier {policy.tier['tier']})",
        "Somebody who has not reviewed this candidate gives one of these reviews",
    )


def reviewers_are_not_trainer(facts: Facts, policy: Policy) -> Answer:
    """Nobody reviews what they trained."""
    return (
        f"{_who(facts.trainer)} trained and reviewed",
        "reviews by people who did not train the model",
        f"{_who(facts.trainer)} revokes the review and somebody else gives it",
    )


def approver_is_not_reviewer(facts: Facts, policy: Policy) -> Answer:
    """Who signs off reviewed nothing, where the tier says so."""
    return (
        f"{_who(facts.approver)} signs off and gave a required review",
        f"a signature by somebody who gave none (tier {policy.tier['tier']})",
        "Another Governance Engineer approves the version",
    )


def policy_is_recorded(facts: Facts, policy: Policy) -> Answer:
    """The policy in force is the one that the ledger says an Admin published last."""
    return (
        f"the ledger does not have policy {policy.digest[:12]} as the last one published",
        "a PolicyChanged entry of this model for the policy in force",
        "The Admin runs `govern provision` for the model, then the approval is given again",
    )


def stage_is_permitted(facts: Facts, policy: Policy) -> Answer:
    """Cedar denies what no permit allows."""
    return (
        f"no rule of the policy permits {facts.stage}",
        f"a permit for action approve-{facts.stage}",
        "The Admin corrects policies/approvals.cedar and publishes it",
    )


def missing_reviews(facts: Facts, policy: Policy) -> list[str]:
    """The kinds of review that the tier requires and that are not in force, in the tier's order."""
    given = {review["kind"] for review in asked.counted_reviews(facts, policy)}
    return [kind for kind in policy.tier["required_reviews"] if kind not in given]


EXPLANATIONS: dict[str, Explanation] = {
    explain.__name__: explain
    for explain in (
        approver_holds_the_role,
        approver_is_not_trainer,
        decision_is_current,
        approver_confirmed,
        earlier_approvers_confirmed,
        follows_the_stage_machine,
        nothing_in_it_is_recalled,
        artifacts_match_registration,
        candidate_unchanged,
        evaluation_report_valid,
        evaluation_meets_thresholds,
        tests_passed_for_candidate,
        test_results_meet_thresholds,
        required_suites_passed,
        model_card_complete,
        dataset_version_known,
        image_scan_clean,
        rollback_is_asked_for_by_who_may,
        rollback_is_of_what_serves,
        rollback_target_has_served,
        rollback_target_is_not_withdrawn,
        rollback_target_holds,
        deployment_definition_valid,
        deployment_definition_tested,
        model_approval_status_approved,
        approval_description_substantive,
        approvals_not_expired,
        approvers_are_different_people,
        required_reviews_given,
        reviewers_are_different_people,
        reviewers_are_not_trainer,
        approver_is_not_reviewer,
        policy_is_recorded,
    )
}


def purpose_of(rule: str) -> str:
    """What a rule asks for, in a sentence; "" for a rule that has no explanation."""
    explained = EXPLANATIONS.get(rule)
    return ((explained.__doc__ if explained else None) or "").partition("\n")[0]


def explain(rule: str, facts: Facts, policy: Policy) -> Answer:
    """What a rule that said no saw and expected, and who can do what.

    KeyError for a rule that has no explanation; a policy with such a rule is not loaded.
    """
    if rule == NOTHING_PERMITS:
        return stage_is_permitted(facts, policy)
    return EXPLANATIONS[rule](facts, policy)


def _misses(measured: Mapping[str, Any], policy: Policy) -> tuple[str, str]:
    """(fact, expected) of the metrics that miss the tier's thresholds."""
    misses = threshold_misses(measured, policy.tier["thresholds"])
    if not misses:  # a rule that is stricter than the tier's numbers
        return "the metrics are not good enough for the policy", "what approvals.cedar says"
    return (
        "; ".join(f"{metric} is {_number(value)}" for metric, value, _ in misses),
        "; ".join(f"{metric} {bound}" for metric, _, bound in misses),
    )


def _why_no_emergency(facts: Facts, policy: Policy) -> str:
    """Why a break-glass request that is there did not stand in for the reviews; mostly ""."""
    emergency = facts.break_glass
    if emergency is None:
        return ""
    said = f", and the break-glass request of {_who(emergency)} does not count: "
    terms = policy.tier["break_glass"]
    if not terms["allowed"]:
        return f"{said}tier {policy.tier['tier']} allows none"
    if asked.name(emergency) == asked.name(facts.approver):
        return f"{said}it needs two people"
    least = policy.tier["description_min_chars"]
    if len(str(emergency.get("reason") or "").strip()) < least:
        return f"{said}its reason has less than {least} characters"
    return f"{said}it is older than {terms['valid_hours']} hours"


def _person(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {"person": identity.get("person")}


def _who(identity: Mapping[str, Any]) -> str:
    return str(identity.get("person") or "an unknown person")


def _way_back(facts: Facts) -> str:
    """What brings a version from where it is to where it could be approved for the stage."""
    phase = str(facts.phase)
    if phase in ("Test/Validating", "Prod/Releasing"):
        return "A run is at work on it: wait for its end (`govern history`), then approve again"
    if facts.stage == "Prod" and phases.may_follow(phase, "Test/Approved"):
        return "An AI Engineer approves the version for Test; once it has passed, it is signed off"
    return f"A version that is {phase} stays so; the Data Scientist promotes a new one"


def _approver(facts: Facts) -> str:
    return TITLES[_PERSONA_OF_STAGE[facts.stage]]


def reviewer_of(kind: str) -> str:
    """Who may give a review of that kind: "AI Engineer", "Governance Engineer"."""
    phase = phases.find("Prod", f"{kind.capitalize()}-Approved")
    titles = sorted(TITLES[setter] for setter in phase.set_by if setter in TITLES) if phase else []
    return " or ".join(titles) or "reviewer"


def _short(digest: Any) -> str:
    return str(digest)[:12] if digest else "unknown"


def _listed(names: Any) -> str:
    return ", ".join(str(name) for name in names) or "nothing"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"
