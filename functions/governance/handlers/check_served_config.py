"""CheckServedConfig: SageMaker rolls back without telling; see what the endpoint serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance import contracts
from governance.adapters.alarms import Alarms
from governance.adapters.endpoints import Endpoints
from governance.adapters.ledger import Ledger
from governance.adapters.sessions import Sessions
from governance.domain import clearance, guardrails, outcomes
from governance.domain.errors import TransientError
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Compare the config that is served with the intended one; name the alarm if it is another.

    `versions` are those that clients are answered by, as the endpoint itself has it. `candidate_id`
    is that of a version which serves alone instead, if we deployed it; `moving_to` the config that
    the endpoint is on its way to. With `after_bake` it had come into service before;
    `since` is when the alarms were set back for this deployment. With a `promotion`, `withdrawn`
    says what of its approval was taken back since, by the ledger. With `at_rest`, TransientError
    while the endpoint is on its way to the intended config.
    """
    request = contracts.request("check_served_config", event)
    deployment = request["deployment"]
    session = Sessions(settings, claim_of(event)).hub(deployment["account"])
    endpoints = Endpoints(session)
    endpoint = endpoints.find(deployment["endpoint_name"]) or {"EndpointStatus": "Absent"}
    status = outcomes.pascal_status(endpoint["EndpointStatus"])
    if request.get("at_rest") and outcomes.is_on_its_way_to(endpoint, deployment["config_name"]):
        raise TransientError(
            f"endpoint {deployment['endpoint_name']} is {status}, on its way to "
            f"{deployment['config_name']}; what serves is known when it has come to rest"
        )
    served = endpoint.get("EndpointConfigName")
    intended = served == deployment["config_name"] and outcomes.is_serving(status)
    pending = (endpoint.get("PendingDeploymentSummary") or {}).get("EndpointConfigName")
    raised: list[dict[str, str]] = []
    versions, candidate_id = [deployment["model_package_arn"]], deployment["candidate_id"]
    if not intended:
        named = None if outcomes.answers_nobody(status) else served
        versions, candidate_id = _instead(endpoints, named, deployment["tags"].get("model"))
    if not intended and deployment["release"]:
        names = guardrails.alarm_names(deployment)
        since = request.get("since") or endpoints.made_at(deployment["config_name"])
        raised = Alarms(session).raised(names, since)
    return {
        "served": {
            "config_name": served,
            "intended": intended,
            "versions": versions,
            "candidate_id": candidate_id,
            "moving_to": pending if pending != served else None,
            "endpoint_status": status,
            "alarms": [one["name"] for one in raised],
            "taken_back": None
            if intended
            else guardrails.taken_back(raised, served, bool(request.get("after_bake"))),
            "bake_left": guardrails.bake_left(deployment, endpoint),
            "withdrawn": _withdrawn(request.get("promotion")),
        }
    }


def _withdrawn(promotion: Mapping[str, Any] | None) -> list[str]:
    if promotion is None:
        return []
    ours = Ledger(settings.ledger_table)
    story = ours.story(promotion["model"], promotion["model_package_arn"])
    return clearance.withdrawn_by(story, promotion)


def _instead(
    endpoints: Endpoints, served: str | None, model: str | None
) -> tuple[list[str], str | None]:
    config = endpoints.find_config(served) if served else None
    if config is None:
        return [], None
    versions = endpoints.versions(config)
    tags = endpoints.tags_of(config["EndpointConfigArn"])
    # A config of ours says whose candidate it is; beside another version it is not the whole. What
    # another model's ledger knows is nothing for this one.
    ours = versions == [tags.get("model-package-arn")] and tags.get("model") == model
    return versions, tags.get("candidate-id") if ours else None
