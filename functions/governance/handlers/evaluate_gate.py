"""EvaluateGate: may this candidate go to this stage? A "no" is an answer, not an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance import contracts
from governance.adapters import clock, definitions
from governance.adapters.artifacts import Artifacts
from governance.adapters.confirmations import Confirmations
from governance.adapters.directory import Directory
from governance.adapters.images import Images
from governance.adapters.ledger import Ledger
from governance.adapters.parts import Parts
from governance.adapters.policies import policy_of
from governance.adapters.policy_engine import engine
from governance.domain import definitions as which
from governance.domain import gates, history, parts
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Gather the facts and ask the policy in force about them."""
    request = contracts.request("evaluate_gate", event)
    promotion, described = request["promotion"], request["candidate"].get("described") or {}
    model = promotion["model"]
    project = Directory(settings.project_directory_table).project_of(model)
    policy = policy_of(project, Artifacts())
    ours = Ledger(settings.ledger_table)
    candidate_id, stage = request["candidate"]["candidate_id"], promotion["stage"]
    arn = promotion["model_package_arn"]
    story = list(ours.story(model, arn))
    made_of = request["candidate"].get("parts") or [f"{parts.CANDIDATE}{candidate_id}"]
    confirmed = Confirmations(settings.confirmations_table)
    earlier = history.earlier_decisions(story, candidate_id, stage, arn)
    accounts = {settings.registry_account_id, *project["accounts"].values()}
    named = which.chosen(request["approval"].get("definition"), project, settings.evidence_bucket)
    facts = history.facts(
        request,
        story=story,
        policy_recorded=history.is_recorded(
            policy.digest, ours.newest_first(model, "PolicyChanged")
        ),
        images=[Images().scan(image, accounts) for image in _named(described)],
        now=clock.now(),
        recalls=Parts(settings.parts_table).recalled(made_of),
        definition=None
        if named is None or stage == "Dev"
        else definitions.look(named, policy.tier),
        records={decision: confirmed.records(decision) for decision in earlier},
    )
    decide = engine(policy.cedar, policy.schema).decide
    return {"verdict": gates.evaluate(facts, policy, decide).to_dict()}


def _named(described: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [described.get("image") or {}, *(described.get("further_images") or [])]
