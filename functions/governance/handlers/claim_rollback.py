"""ClaimRollback: a request to go back acts once, however often its event comes."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import clock, workflows
from governance.adapters.claims import Claims
from governance.adapters.directory import Directory
from governance.adapters.ledger import Ledger
from governance.adapters.locks import Locks
from governance.domain import alarm_events, approval_events, deployments, ledger, rollbacks
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Read out of the event which version is to go and why, and claim the request.

    A person's request is of the version that it stands on. An alarm is about an endpoint of ours
    and takes back what serves there, also while the release of it bakes. One that a release has
    found when its bake was over is told by the event of its end, and so is an endpoint that has
    failed in a release.
    """
    request = contracts.request("claim_rollback", event)
    alarm = alarm_events.told(request["event"])
    if alarm is not None:
        return _by_alarm(request, alarm)
    promotion = approval_events.rollback_request(
        request["event"], request["workflow"], request["execution_arn"]
    )
    project = Directory(settings.project_directory_table).project_of(promotion["model"])
    approval_events.check_account(promotion, project, settings.registry_account_id)
    return _claimed(promotion, "person", approval_events.rollback_reason(request["event"]), None)


def _by_alarm(request: dict[str, Any], alarm: dict[str, Any]) -> dict[str, Any]:
    directory = Directory(settings.project_directory_table)
    project = directory.of_endpoint(alarm["account"], alarm["endpoint_name"])
    reason = alarm_events.reason(alarm)
    nobodys = {
        "outcome": "ignored",
        "promotion": None,
        "trigger": "alarm",
        "reason": reason,
        "approver": None,
    }
    if project is None:
        return nobodys
    ours = Ledger(settings.ledger_table)
    newest = (next(ours.newest_first(project["model"], kind), None) for kind in ledger.SERVES)
    served = sorted((e for e in newest if e), key=lambda e: int(e["sequence"]), reverse=True)
    promotion = rollbacks.by_alarm(alarm, str(project["model"]), served, request)
    if promotion is None:
        return nobodys
    endpoint_arn = deployments.endpoint_arn(promotion, project)
    holder = Locks(settings.endpoint_locks_table).holder(endpoint_arn)
    # A release loses the endpoint to a rollback; a rollback that goes on is one already.
    if (
        holder is not None
        and holder["workflow"] == rollbacks.WORKFLOW
        and workflows.is_running(holder["execution_arn"])
    ):
        return nobodys
    return _claimed(promotion, "alarm", reason, alarm_events.identity(alarm))


def _claimed(
    promotion: dict[str, Any], trigger: str, reason: str, approver: dict[str, Any] | None
) -> dict[str, Any]:
    logger.append_keys(claim_id=promotion["claim_id"])
    claimed = Claims(settings.claims_table).claim({**promotion, "claimed_at": clock.now()})
    return {
        "outcome": "claimed" if claimed else "duplicate",
        "promotion": promotion,
        "trigger": trigger,
        "reason": reason,
        "approver": approver,
    }
