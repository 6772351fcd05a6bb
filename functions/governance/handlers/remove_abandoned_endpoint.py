"""RemoveAbandonedEndpoint: what a validation or a drill that was stopped has left goes too."""

from __future__ import annotations

from typing import Any

from governance.adapters import workflows
from governance.adapters.directory import Directory
from governance.adapters.endpoints import Endpoints
from governance.adapters.sessions import Sessions
from governance.domain import approval_events, deployments, executions
from governance.domain.errors import TransientError
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()
# As long as a function of ours runs at most: what it was about to make is there by then.
_SECONDS = 60


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Delete what the run made in Test, which follows from the decision that it was about.

    The event comes through a queue, and again after every error: an endpoint that is still being
    created cannot be deleted before. The run's deployment is stopped first, and as long as it may
    have something under way the event comes again.
    """
    end = executions.queued(event)
    execution_arn = executions.ended(end)
    asked = end["detail"].get("input") or workflows.input_of(execution_arn)
    promotion = approval_events.tried_in_test(
        executions.input_of(execution_arn, asked), execution_arn
    )
    project = Directory(settings.project_directory_table).find(promotion["model"])
    if project is None:
        return {"removed": []}  # the run ended for that very reason, and made nothing
    made = deployments.made_for(promotion, project)
    child = executions.child(execution_arn, "deploy_endpoint", promotion["claim_id"])
    workflows.stop(child, f"its run ended: {execution_arn}", "StoppedWithItsRun")
    session = Sessions(settings, promotion["claim_id"]).hub(made["account"])
    removed = Endpoints(session).remove_all(made)
    if workflows.ran_within(child, _SECONDS):
        raise TransientError(
            f"the deployment of {made['endpoint_name']} has just ended, and a function of it may "
            f"still be at work; removed so far: {', '.join(removed) or 'nothing'}; the event comes "
            "again"
        )
    return {"removed": removed}
