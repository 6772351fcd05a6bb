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
from governance.domain import approval_events, clearance, deployments, ledger, rollbacks
from governance.entry import claim_of, entry_point
from governance.settings import Settings

# Of each kind; a version that served longer ago is nothing to go back to in a hurry.
_LOOK_BACK = 20

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Find the last good candidate of the endpoint and try all that going back to it would need.

    For a release {rollback_target, refusal}: what its entry says of its way back, and what of the
    gate's verdict becomes otherwise if there should be one and is not. For a rollback, or the drill
    of one, also {rollback, candidate, promotion, definition}: what its gate asks about, the version
    to go back to, and the digest of what it was deployed by.
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
    taken = Sessions(settings, claim_of(event))
    registry = Registry(taken.registry())
    proof = Proof(taken, registry, Candidates(settings.candidates_table), ours)
    back = promotion["workflow"] in approval_events.BACK
    # What the last request has named stays on the version; an alarm names none.
    wanted = proof.wanted(replaced) if back and request.get("trigger") == "person" else None
    chosen = (
        rollbacks.named(rollbacks.good(served), replaced, wanted)
        if wanted
        else rollbacks.choose(
            rollbacks.good(served), replaced, lambda arn: list(ours.story(model, arn))
        )
    )
    if chosen is None and not back:
        return {"rollback_target": rollbacks.target(None, ()), "refusal": None}
    arn = chosen["model_package_arn"] if chosen else replaced
    # What was released before definitions were has the project's.
    definition = (chosen or {}).get("definition") or project.get("definition")
    checks, candidate = proof.checks(promotion, arn, endpoint_arn.split(":")[4], definition)
    found = rollbacks.target(chosen, checks)
    if not back:
        return {"rollback_target": found, "refusal": rollbacks.refusal(found)}
    started = next(ours.newest_first(model, "ReleaseStarted"), None)
    asked = rollbacks.asked(replaced, wanted, served, started, list(ours.story(model, replaced)))
    story = list(ours.story(model, arn)) if chosen else []
    # Minutes count when it is no drill, and an endpoint that cannot read it says so as well.
    readable = promotion["workflow"] != rollbacks.WORKFLOW and "Prod" in clearance.held(story)
    withdrawn = rollbacks.withdrawn(story)
    return {
        "rollback_target": found,
        "rollback": rollbacks.judged(asked, chosen, checks if chosen else [], withdrawn, readable),
        "candidate": candidate or {"candidate_id": asked["candidate_id"]},
        "promotion": {**promotion, "model_package_arn": arn},
        "definition": (definition or {}).get("digest"),
    }
