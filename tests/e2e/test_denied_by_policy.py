"""What IAM allows and the gate does not: Rejected, with reasons, and nothing moves."""

from __future__ import annotations

import json

from tests.e2e.organisation import CENTRAL, PROD, Organisation, Outcome, eventually, rules, said
from tests.e2e.scenarios import OWN_WORK, UNTESTED, Replaced, Untested


def test_trainer_who_approves_is_rejected(own_work: Outcome) -> None:
    assert own_work.entry["kind"] == "PromotionRejected"
    assert own_work.entry["stage_status"] == "Rejected"
    assert rules(own_work.entry) == {"approver_is_not_trainer"}
    assert "theo approved and theo trained" in said(own_work.entry)


def test_rejected_promotion_is_a_success_of_the_workflow(
    organisation: Organisation, own_work: Outcome
) -> None:
    assert own_work.execution["status"] == "SUCCEEDED"
    assert organisation.last_state(own_work.execution["executionArn"]) == "PromotionRejected"


def test_rejected_promotion_copies_nothing(organisation: Organisation, own_work: Outcome) -> None:
    assert organisation.kinds(OWN_WORK) == ["PromotionRejected"]
    assert organisation.artifact_keys(OWN_WORK) == []
    assert organisation.central_versions(OWN_WORK) == []


def test_rejected_promotion_is_announced_with_every_reason(
    organisation: Organisation, own_work: Outcome
) -> None:
    (text,) = eventually(
        lambda: [
            text
            for text in organisation.heard(CENTRAL, "notifications")
            if f"PromotionRejected: {OWN_WORK}" in text
        ],
        "the notification of the rejection",
    )
    assert json.loads(text)["reasons"] == own_work.entry["verdict"]["reasons"]


def test_release_without_test_is_rejected(untested: Untested) -> None:
    entry = untested.released.entry
    assert entry["kind"] == "ReleaseRejected"
    assert "tests_passed_for_candidate" in rules(entry)
    assert "An AI Engineer approves the version for Test" in said(entry)


def test_release_without_reviews_and_a_substantive_reason_is_rejected(replaced: Replaced) -> None:
    entry = replaced.refused.entry
    assert (entry["kind"], entry["stage"], entry["stage_status"]) == (
        "ReleaseRejected",
        "Prod",
        "Rejected",
    )
    assert rules(entry) == {"approval_description_substantive", "required_reviews_given"}
    assert "no technical, business, compliance, deployment review is in force" in said(entry)
    assert "ApprovalDescription has 11 characters" in said(entry)
    assert "at least 40" in said(entry)


def test_rejected_version_says_why(organisation: Organisation, untested: Untested) -> None:
    version = organisation.central(untested.released.entry["model_package_arn"])
    life_cycle = version["ModelLifeCycle"]
    assert life_cycle["StageStatus"] != "Approved"
    assert life_cycle["StageDescription"].startswith("Gate Prod: denied.")
    assert "tests_passed_for_candidate" in life_cycle["StageDescription"]


def test_rejected_release_deploys_nothing(organisation: Organisation, untested: Untested) -> None:
    assert untested.released.execution["status"] == "SUCCEEDED"
    assert organisation.last_state(untested.released.execution["executionArn"]) == "ReleaseRejected"
    assert organisation.endpoints(PROD, UNTESTED) == []
    assert organisation.kinds(UNTESTED) == ["CandidatePromoted", "ReleaseRejected"]
