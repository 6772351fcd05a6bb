"""LockEndpoint: one release at a time changes an endpoint of Prod."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import clock, workflows
from governance.adapters.directory import Directory
from governance.adapters.ledger import Ledger
from governance.adapters.locks import Locks
from governance.domain import deployments, ledger, locks
from governance.domain.errors import TransientError
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take the endpoint's lock for this execution: {endpoint_arn, refusal, took_over}.

    `refusal` is None, or what of the gate's verdict becomes otherwise. A lock whose execution has
    ended is taken over: the event that releases it may be late or lost. So is that of a release by
    a rollback, which has to stop it then: `took_over` is its lock. A rollback that is refused takes
    it from nobody: the release goes on, and nothing else may begin. TransientError while somebody
    else's run goes on; the state machine asks again.
    """
    request = contracts.request("lock_endpoint", event)
    promotion = request["promotion"]
    project = Directory(settings.project_directory_table).project_of(promotion["model"])
    endpoint_arn = locks.held(promotion, deployments.endpoint_arn(promotion, project))
    lock = locks.lock_of(promotion, endpoint_arn, clock.now())
    table = Locks(settings.endpoint_locks_table)
    ours = Ledger(settings.ledger_table)
    holder = table.take(lock)
    if not locks.is_of(holder, promotion):
        runs = workflows.is_running(holder["execution_arn"])
        if locks.yields(holder, promotion, runs):
            overtaken = _overtaken(ours, promotion) if runs else None
            if overtaken is not None:
                return _refused(endpoint_arn, overtaken)
            taken = locks.taken_over(lock, holder if runs else None)
            holder = taken if table.take_over(holder, taken) else table.take(lock)
    if locks.is_of(holder, promotion):
        refusal = _overtaken(ours, promotion)
        took_over = holder.get("took_over")
        if refusal is None:
            return {"endpoint_arn": endpoint_arn, "refusal": None, "took_over": took_over}
        # What it released has come to serve just now: it is not stopped, so it needs its lock.
        if took_over and workflows.is_running(took_over["execution_arn"]):
            table.take_over(holder, took_over)
        return _refused(endpoint_arn, refusal)
    refusal = locks.refusal_while_held(promotion, holder, request["attempt"])
    if refusal is None:
        raise TransientError(
            f"endpoint {endpoint_arn} is not free: {locks.told(holder)}; this one goes on when "
            "that one has ended"
        )
    return _refused(endpoint_arn, refusal)


def _overtaken(ours: Ledger, promotion: dict[str, Any]) -> dict[str, Any] | None:
    newest = (next(ours.newest_first(promotion["model"], kind), None) for kind in ledger.SERVES)
    return locks.refusal_if_overtaken(promotion, [entry for entry in newest if entry])


def _refused(endpoint_arn: str, refusal: dict[str, Any]) -> dict[str, Any]:
    return {"endpoint_arn": endpoint_arn, "refusal": refusal, "took_over": None}
