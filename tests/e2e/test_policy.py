"""The policy as deployed: who published it, what it decided on, and an emergency within it."""

from __future__ import annotations

import json
from typing import Any

from cli import ledger, policies, projects, provisioning
from governance.domain.policies import PARTS
from tests.e2e.organisation import CENTRAL, DEV, PROD, TEST, Organisation, denied, eventually
from tests.e2e.scenarios import EMERGENCY, EMIL, MODEL, REPLACED, DemoPath, Replaced


def test_first_entry_of_a_model_says_which_policy_it_was_given_and_by_whom(
    organisation: Organisation, demo_path: DemoPath
) -> None:
    first = organisation.entries(MODEL)[0]
    published = policies.read(policies.DIRECTORY, "high")
    assert (first["kind"], first["approver"]["person"]) == ("PolicyChanged", "adam")
    assert first["policy"]["after"] == {"digest": published.digest, **published.digests}
    for outcome in demo_path.stages.values():
        assert outcome.entry["verdict"]["policy_digest"] == published.digest


def test_verdict_keeps_the_facts_that_it_saw(demo_path: DemoPath) -> None:
    facts = demo_path.released.entry["verdict"]["facts"]
    assert {review["kind"]: review["person"] for review in facts["reviews"]} == {
        "technical": "tess",
        "business": "bruno",
        "compliance": "chloe",
        "deployment": "remy",
    }
    assert [approval["person"] for approval in facts["approvals"]] == ["dana", "alex"]
    assert facts["test_metrics"]["latency_p95_ms"] > 0
    assert facts["dataset_version"]
    assert facts["image"]["registry"] == "683313688378"
    assert facts["image"]["critical"] is None, "AWS does not show us the scans of its own images"


def test_emergency_waives_the_reviews_and_owes_them(
    organisation: Organisation, replaced: Replaced
) -> None:
    entry = replaced.second.entry
    waived = entry["verdict"]["break_glass"]
    assert entry["kind"] == "CandidateReleased"
    assert (waived["person"], waived["reason"]) == (EMIL, EMERGENCY)
    assert waived["entry_id"] == replaced.emergency["entry_id"]
    assert waived["waived"] == ["technical", "business", "compliance", "deployment"]
    (owed,) = [e for e in organisation.entries(REPLACED) if e["kind"] == "MandatoryReviewOpened"]
    assert owed["due_at"] == waived["review_due_at"]
    assert owed["waived"] == waived["waived"]


def test_policy_that_the_admin_pins_without_saying_so_is_refused(
    organisation: Organisation,
) -> None:
    """A directory entry alone is not enough: nobody answers for it."""
    model = "unannounced-model"
    organisation.provision(model)
    project = projects.project_of(organisation.reader, model)
    older = {**project["policy"], "tier": {**project["policy"]["tier"], "version_id": "other"}}
    admin = organisation.persona("admin").session
    provisioning._ensure_entry(admin, {**project, "policy": older}, project)
    # Stream records are handled in order, so the next policy is recorded after this one was not.
    lower = provisioning.Project(
        model, "e2e", "low", {"dev": DEV, "test": TEST, "prod": PROD}, f"{model}-endpoint"
    )
    provisioning.provision(admin, lower, account=CENTRAL)

    def changes() -> list[dict[str, Any]] | None:
        found = [e for e in organisation.entries(model) if e["kind"] == "PolicyChanged"]
        return found if len(found) > 1 else None

    first, second = eventually(changes, "the entry of the second policy")
    assert second["policy"]["tier"] == "low"
    assert second["policy"]["before"] == first["policy"]["after"]
    assert [file["part"] for file in second["policy"]["files"]] == ["tier"]


def test_only_an_admin_says_which_policy_is_published(organisation: Organisation) -> None:
    for persona in ("ai-engineer", "governance-engineer", "data-scientist"):
        sagemaker = organisation.persona(persona).session.client("sagemaker")
        assert denied(
            sagemaker.create_action,
            ActionName="policy-mine",
            Source={"SourceUri": "s3://b/k"},
            ActionType="GovernedPathPolicyChange",
        )
    sagemaker = organisation.persona("admin").session.client("sagemaker")
    (change,) = {e["policy"]["change"] for e in organisation.entries(MODEL) if e.get("policy")}
    assert denied(sagemaker.update_action, ActionName=change.rpartition("/")[2], Properties={})
    assert denied(sagemaker.delete_action, ActionName=change.rpartition("/")[2])


def test_published_files_are_those_of_the_directory(organisation: Organisation) -> None:
    pins = projects.project_of(organisation.reader, MODEL)["policy"]
    published = policies.bodies(policies.DIRECTORY, "high")
    for part in PARTS:
        assert organisation.evidence(pins[part]["uri"], pins[part]["version_id"]) == published[part]
    assert json.loads(published["tier"])["tier"] == "high"
    assert ledger.of_versions(organisation.entries(MODEL)[:1]) == []
