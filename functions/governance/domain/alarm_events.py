"""An alarm of an endpoint, as CloudWatch's event tells it, or the end of a release that found one.

An endpoint that a release has left failed is one too: nobody is answered there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.domain import claims
from governance.domain.errors import InvalidInputError

DETAIL_TYPE = "CloudWatch Alarm State Change"
OURS = "governed-path-"
# Of a release whose bake is over, by this failure: an alarm was raised and nobody has acted on it.
FOUND_BY, AFTER_RELEASE = "ReleaseErrored", "AlarmAfterRelease"
# Of a release, by this failure: SageMaker can only delete its endpoint, which nobody else will do.
ENDPOINT_FAILED = "EndpointFailed"


def alarm(event: Mapping[str, Any]) -> dict[str, Any]:
    """{name, arn, account, endpoint_name, config_name, at} of an alarm that went off.

    `config_name` is None for an alarm on the endpoint as a whole: otherwise it looks at what was
    deployed with that config alone.

    InvalidInputError if the event is none of an alarm of ours on a metric of an endpoint.
    """
    detail = event.get("detail")
    found = detail if isinstance(detail, Mapping) else {}
    name, state = str(found.get("alarmName") or ""), found.get("state") or {}
    dimensions = _dimensions(found)
    endpoints = {str(one["EndpointName"]) for one in dimensions if one.get("EndpointName")}
    right = event.get("detail-type") == DETAIL_TYPE and name.startswith(OURS)
    if not right or state.get("value") != "ALARM" or len(endpoints) != 1:
        raise InvalidInputError(
            f"event {event.get('id')!r} is a {event.get('detail-type')!r} about alarm {name!r} in "
            f"state {state.get('value')!r} of endpoints {sorted(endpoints)}; expected one alarm "
            f"{OURS}* of one endpoint that went off: correct the rule that sent it"
        )
    return {
        "name": name,
        "arn": str((event.get("resources") or [name])[0]),
        "account": str(event.get("account")),
        "endpoint_name": endpoints.pop(),
        "config_name": next(
            (str(d["EndpointConfigName"]) for d in dimensions if d.get("EndpointConfigName")), None
        ),
        "at": claims.decision_time(state.get("timestamp")),
    }


def found_by_release(event: Mapping[str, Any]) -> dict[str, Any]:
    """The same of what a release found at its end, by our own event.

    The first alarm when its bake was over; or the endpoint itself if that has failed: then also
    `failed` {claim_id, model_package_arn, way_back} of the release, the last None if it had none.
    InvalidInputError if the event is about no such end of a release.
    """
    detail = event.get("detail")
    found = detail if isinstance(detail, Mapping) else {}
    names, endpoint = list(found.get("alarms") or []), found.get("endpoint") or {}
    error = (found.get("failure") or {}).get("Error")
    known = error == ENDPOINT_FAILED or (error == AFTER_RELEASE and names)
    if found.get("kind") != FOUND_BY or not known or not endpoint:
        raise InvalidInputError(
            f"event {event.get('id')!r} is about {found.get('kind')!r} with {error!r} and alarms "
            f"{names!r}; expected {FOUND_BY} with {AFTER_RELEASE}, its alarms and its endpoint, or "
            f"with {ENDPOINT_FAILED} and that: correct the rule that sent it"
        )
    _, partition, _, region, *_ = str(endpoint["endpoint_arn"]).split(":")
    account, endpoint_name = str(endpoint["account"]), str(endpoint["endpoint_name"])
    where = {
        "account": account,
        "endpoint_name": endpoint_name,
        "config_name": None,
        "at": str(found["recorded_at"]),
    }
    if error == AFTER_RELEASE:
        arn = f"arn:{partition}:cloudwatch:{region}:{account}:alarm:{names[0]}"
        return {**where, "name": str(names[0]), "arn": arn}
    failed = {
        "claim_id": str(found["claim_id"]),
        "model_package_arn": str(found["model_package_arn"]),
        "way_back": (found.get("rollback_target") or {}).get("model_package_arn"),
    }
    arn = str(endpoint["endpoint_arn"])
    return {**where, "name": endpoint_name, "arn": arn, "failed": failed}


def reason(found: Mapping[str, Any]) -> str:
    """Why the endpoint goes back, as a clause."""
    failed = found.get("failed")
    if failed:
        return (
            f"endpoint {found['name']} had failed when the release of "
            f"{failed['model_package_arn']} ended at {found['at']}"
        )
    return f"alarm {found['name']} went off at {found['at']}"


def told(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """The alarm that asks for a rollback by this event, CloudWatch's or our own; None if none does.

    InvalidInputError as above.
    """
    read = {DETAIL_TYPE: alarm, FOUND_BY: found_by_release}.get(str(event.get("detail-type")))
    return None if read is None else read(event)


def identity(found: Mapping[str, Any]) -> dict[str, Any]:
    """The alarm in the place of a person: it is nobody, and says so."""
    return {
        "person": f"{'endpoint' if found.get('failed') else 'alarm'} {found['name']}",
        "persona": None,
        "role_arn": "",
        "session_arn": found["arn"],
        "source_identity": None,
    }


def _dimensions(detail: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    metrics = (detail.get("configuration") or {}).get("metrics") or []
    stats = [one.get("metricStat") or {} for one in metrics if isinstance(one, Mapping)]
    return [(one.get("metric") or {}).get("dimensions") or {} for one in stats]
