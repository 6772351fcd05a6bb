"""StopRelease: going back does not wait for a release that goes on."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import shifts, workflows
from governance.adapters.endpoints import Endpoints
from governance.adapters.sessions import Sessions
from governance.domain import executions, outcomes
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """End the release and its deployments, and have SageMaker take back a shift that it has begun.

    The executions first: a release that is told of its own rollback would act on it.
    """
    request = contracts.request("stop_release", event)
    promotion, release = request["promotion"], request["release"]
    cause = f"stopped by rollback {promotion['execution_arn']}"
    # A release that begins with a trial has three deployments, one after the other.
    children = [
        executions.child(release["execution_arn"], "deploy_endpoint", release["claim_id"] + part)
        for part in ("", "-trial", "-back")
    ]
    stopped = [arn for arn in (release["execution_arn"], *children) if workflows.stop(arn, cause)]
    *_, account, name = request["endpoint_arn"].replace(":endpoint/", ":").split(":")
    session = Sessions(settings, claim_of(request)).hub(account)
    endpoint = Endpoints(session).find(name)
    shifting = endpoint is not None and not outcomes.may_be_final(endpoint["EndpointStatus"])
    taken_back = shifting and shifts.take_back(session, name, cause)
    return {"stopped": stopped, "shift_taken_back": taken_back}
