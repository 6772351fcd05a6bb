"""Reviews by several people: each recorded with who it was, none in the way of the release."""

from __future__ import annotations

import json

from governance.domain import reviews
from tests.e2e.organisation import CENTRAL, Organisation, eventually
from tests.e2e.scenarios import REVIEWED, Reviewed

REVIEWERS = {
    "technical": "tess",
    "business": "bruno",
    "compliance": "chloe",
    "deployment": "remy",
}


def test_each_review_is_an_entry_with_its_person_and_candidate(reviewed: Reviewed) -> None:
    assert {e["review"]: e["approver"]["person"] for e in reviewed.given} == REVIEWERS
    candidate_id = reviewed.released.entry["candidate_id"]
    for entry in (*reviewed.given, reviewed.again):
        assert entry["kind"] == "ReviewGiven"
        assert entry["candidate_id"] == candidate_id
        assert "objections" not in entry
        assert entry["reason"].endswith("looked at.")


def test_a_review_that_was_taken_back_does_not_stand(
    organisation: Organisation, reviewed: Reviewed
) -> None:
    assert (reviewed.revoked["kind"], reviewed.revoked["review"]) == ("ReviewRevoked", "business")
    assert reviewed.revoked["approver"]["person"] == "bruno"
    story = [e for e in organisation.entries(REVIEWED) if e["model_package_arn"] == reviewed.arn]
    candidate_id = reviewed.released.entry["candidate_id"]
    before = [e for e in reversed(story) if e["sequence"] <= reviewed.again["sequence"]]
    standing = reviews.standing(before, candidate_id, reviewed.again["recorded_at"])
    people = {review["kind"]: review["person"] for review in standing}
    assert people == REVIEWERS | {"business": "bella"}


def test_the_registry_shows_the_last_of_them_and_the_version_is_released(
    organisation: Organisation, reviewed: Reviewed
) -> None:
    shown = reviewed.in_review["ModelLifeCycle"]
    assert (shown["Stage"], shown["StageStatus"]) == ("Prod", "Business-Approved")
    assert reviewed.released.entry["kind"] == "CandidateReleased"


def test_a_late_review_leaves_the_version_deployed(
    organisation: Organisation, reviewed: Reviewed
) -> None:
    assert reviewed.late["approver"]["person"] == "tom"

    def shown() -> bool:
        life_cycle = organisation.central(reviewed.arn)["ModelLifeCycle"]
        return (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "Deployed")

    assert eventually(shown, "Prod / Deployed after the late review")


def test_a_review_is_announced(organisation: Organisation, reviewed: Reviewed) -> None:
    eventually(
        lambda: any(
            f"ReviewGiven: {REVIEWED} is Prod / Compliance-Approved" in text
            for text in organisation.heard(CENTRAL, "notifications")
        ),
        "the notification of the review",
    )


def test_deadlines_are_looked_at_every_hour(organisation: Organisation, reviewed: Reviewed) -> None:
    rule = organisation.root(CENTRAL, "events").describe_rule(Name="governed-path-review-deadlines")
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 hour)", "ENABLED")
    answer = organisation.root(CENTRAL, "lambda").invoke(
        FunctionName="governed-path-check-review-deadlines", Payload=b"{}"
    )
    assert json.loads(answer["Payload"].read()) == {"overdue": []}
