"""PlanSuites: which suites try this model, on what, against whom, and what is left out."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import champions, definitions, holdout
from governance.adapters.artifacts import Artifacts, of_role
from governance.adapters.bench import LARGEST_REPORT
from governance.adapters.directory import Directory
from governance.adapters.ledger import Ledger
from governance.adapters.policies import tier_of
from governance.domain import suite_plans
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The plan, and the thresholds that its suites judge by: the tier's, or stricter ones."""
    request = contracts.request("plan_suites", event)
    promotion, objects = request["promotion"], request["candidate"]["objects"]
    artifacts = Artifacts()
    project = Directory(settings.project_directory_table).project_of(promotion["model"])
    tier = tier_of(project, artifacts)
    definition = definitions.read(request["deployment"]["definition"], artifacts)
    champion, nobody = champions.find(
        Ledger(settings.ledger_table),
        model=promotion["model"],
        endpoint_name=project["endpoint_name"],
        model_package_arn=promotion["model_package_arn"],
        holdout_sha256=of_role(objects, "holdout")["sha256"],
    )
    report = artifacts.read_json(of_role(objects, "evaluation"), LARGEST_REPORT)
    plan = suite_plans.plan(
        tier["required_suites"],
        definition.get("suites"),
        rows=holdout.count(artifacts, objects),
        golden=bool(report.get("golden")),
        champion=champion,
        no_comparison=nobody,
    )
    limits = suite_plans.thresholds(tier["thresholds"], definition.get("thresholds", {}))
    return {"plan": plan, "thresholds": limits}
