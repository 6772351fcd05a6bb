"""RemoveAbandonedEndpoint: what a validation or a drill that was stopped has left goes too."""

from __future__ import annotations

from typing import Any

from governance.adapters.directory import Directory
from governance.adapters.endpoints import Endpoints
from governance.adapters.sessions import Sessions
from governance.domain import approval_events, deployments
from governance.domain.executions import ended, input_of
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Delete what the run made in Test, which follows from the decision that it was about.

    TransientError while the endpoint is still being created: it cannot be deleted before.
    """
    execution_arn = ended(event)
    promotion = approval_events.tried_in_test(input_of(event), execution_arn)
    project = Directory(settings.project_directory_table).project_of(promotion["model"])
    made = deployments.made_for(promotion, project)
    session = Sessions(settings, promotion["claim_id"]).hub(made["account"])
    return {"removed": Endpoints(session).remove_all(made)}
