"""EvaluateGate: may this candidate go to this stage? A "no" is an answer, not an error."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts
from governance.adapters.directory import Directory
from governance.adapters.ledger import Ledger
from governance.adapters.policies import policy_of
from governance.domain import gates, ledger
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Gather the facts and ask every rule of the stage."""
    request = contracts.request("evaluate_gate", event)
    promotion, candidate_id = request["promotion"], request["candidate"]["candidate_id"]
    model, arn = promotion["model"], promotion["model_package_arn"]
    project = Directory(settings.project_directory_table).project_of(model)
    story = list(Ledger(settings.ledger_table).story(model, arn))
    facts = gates.Facts(
        stage=promotion["stage"],
        model_package_arn=arn,
        candidate_id=candidate_id,
        approver=request["approver"],
        trainer=request["trainer"],
        decision_current=request["decision_current"],
        approval=request["approval"],
        policy=policy_of(project, Artifacts()),
        declared_mismatches=request.get("declared_mismatches") or (),
        differences=request.get("differences") or (),
        evaluation=request.get("evaluation") or {},
        tests_passed=ledger.tests_passed(story, candidate_id),
        phase=ledger.phase(story),
    )
    return {"verdict": gates.evaluate(facts).to_dict()}
