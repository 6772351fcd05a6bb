"""RecordUnfinishedRun: a run was stopped, or took too long, and no state of it could say so."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from governance.adapters import clock, workflows
from governance.adapters.claims import Claims
from governance.adapters.directory import Directory
from governance.adapters.ledger import Writer
from governance.domain import (
    alarm_events,
    approval_events,
    deployments,
    executions,
    ledger,
    rollbacks,
    unfinished,
)
from governance.entry import entry_point, logger
from governance.settings import Settings

# Of the entries that open a clearance: drills and validations of one model that go on at once. Of
# those that say what serves: what an alarm took back, and what has come since.
_LOOK_BACK = 20

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Append RunUnfinished, once, with how the run ended and what to do now.

    Ignored are the end of a duplicate, whose claim is another run's, and that of a release which a
    rollback has stopped, since the rollback records that.
    """
    execution_arn = executions.ended(event)
    # The event of one that was stopped does not say with what.
    error, cause = workflows.ended_with(execution_arn)
    if error == workflows.BY_ROLLBACK:
        return {"outcome": "recorded by the rollback"}
    end = {**event["detail"], "error": error, "cause": cause}
    asked = executions.input_of(
        execution_arn, end.get("input") or workflows.input_of(execution_arn)
    )
    workflow = executions.machine(execution_arn)
    ours = Writer(settings)
    claims = Claims(settings.claims_table)
    may_be = _asked_for(ours, asked, workflow, execution_arn)
    promotion = next((one for one in may_be if claims.is_held(one)), None)
    if promotion is None:
        return {"outcome": "ignored"}
    logger.append_keys(claim_id=promotion["claim_id"])
    arn = promotion["model_package_arn"]
    if workflow == "drill_rollback":
        # What is drilled is another version, and its clearance ends with this entry.
        arn = _granted(ours, promotion) or arn
    story = list(ours.story(promotion["model"], arn))
    if unfinished.has_ended(story, promotion):
        return {"outcome": "recorded by the run"}
    project = Directory(settings.project_directory_table).find(promotion["model"])
    entry = ledger.entry(
        unfinished.KIND,
        unfinished.request(promotion, arn, end, story, _endpoint(promotion, project)),
        recorded_at=clock.now(),
    )
    return {"outcome": "recorded", "sequence": ours.append(entry)}


def _asked_for(
    ours: Writer, asked: Mapping[str, Any], workflow: str, execution_arn: str
) -> list[dict[str, Any]]:
    """What the run may have been about: a person's decision, or what an alarm was to take back."""
    if asked.get("detail-type") == approval_events.DETAIL_TYPE:
        return [approval_events.asked_for(asked, workflow, execution_arn)]
    alarm = alarm_events.told(asked)
    if alarm is None:
        return []
    directory = Directory(settings.project_directory_table)
    project = directory.of_endpoint(alarm["account"], alarm["endpoint_name"])
    if project is None:
        return []
    model = str(project["model"])
    changes = [e for k in ledger.SERVES for e in islice(ours.newest_first(model, k), _LOOK_BACK)]
    served = sorted(changes, key=lambda entry: int(entry["sequence"]), reverse=True)
    request = {"workflow": workflow, "event": asked, "execution_arn": execution_arn}
    return rollbacks.begun_by_alarm(alarm, model, served, request)


def _granted(ours: Writer, promotion: Mapping[str, Any]) -> str | None:
    newest = islice(ours.newest_first(promotion["model"], "ClearanceGranted"), _LOOK_BACK)
    return next(
        (str(e["model_package_arn"]) for e in newest if e["claim_id"] == promotion["claim_id"]),
        None,
    )


def _endpoint(
    promotion: Mapping[str, Any], project: Mapping[str, Any] | None
) -> dict[str, str] | None:
    """The endpoint of Prod that the run was changing, perhaps; None if it changes none."""
    if promotion["workflow"] not in unfinished.OF_PROD or project is None:
        return None
    made = deployments.made_for(promotion, project)
    return {**made, "endpoint_arn": deployments.endpoint_arn(promotion, project)}
