"""ProveRollbackTarget: nothing is deployed without a way back that was tried (rule 11)."""

from __future__ import annotations

from itertools import islice
from typing import Any

from governance import contracts
from governance.adapters.candidates import Candidates
from governance.adapters.directory import Directory
from governance.adapters.ledger import Ledger
from governance.adapters.registry import Registry
from governance.adapters.rollbacks import Proof
from governance.adapters.sessions import Sessions
from governance.domain import deployments, ledger, rollbacks
from governance.entry import claim_of, entry_point
from governance.settings import Settings

# Of each kind; a version that served longer ago is nothing to go back to in a hurry.
_LOOK_BACK = 20

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Find the last good candidate of the endpoint and try all that going back to it would need.

    {rollback_target, refusal}: what the release's entry says of its way back, and what of the
    gate's verdict becomes otherwise if there should be one and is not.
    """
    request = contracts.request("prove_rollback_target", event)
    promotion = request["promotion"]
    model, replaced = promotion["model"], promotion["model_package_arn"]
    project = Directory(settings.project_directory_table).project_of(model)
    endpoint_arn = deployments.endpoint_arn(promotion, project)
    ours = Ledger(settings.ledger_table)
    changes = [
        e for kind in ledger.SERVES for e in islice(ours.newest_first(model, kind), _LOOK_BACK)
    ]
    served = rollbacks.served(changes, endpoint_arn)
    chosen = rollbacks.choose(served, replaced, lambda arn: list(ours.story(model, arn)))
    if chosen is None:
        return {"rollback_target": rollbacks.target(None, ()), "refusal": None}
    proof = Proof(
        Registry(Sessions(settings, claim_of(request)).registry()),
        Candidates(settings.candidates_table),
    )
    checks = proof.checks(promotion, chosen["model_package_arn"], endpoint_arn.split(":")[4])
    found = rollbacks.target(chosen, checks)
    return {"rollback_target": found, "refusal": rollbacks.refusal(found)}
