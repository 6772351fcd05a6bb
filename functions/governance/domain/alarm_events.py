"""An alarm of an endpoint, as CloudWatch's event tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.domain import claims
from governance.domain.errors import InvalidInputError

DETAIL_TYPE = "CloudWatch Alarm State Change"
OURS = "governed-path-"


def alarm(event: Mapping[str, Any]) -> dict[str, str]:
    """{name, arn, account, endpoint_name, at} of an alarm that went off.

    InvalidInputError if the event is none of an alarm of ours on a metric of an endpoint.
    """
    detail = event.get("detail")
    found = detail if isinstance(detail, Mapping) else {}
    name, state = str(found.get("alarmName") or ""), found.get("state") or {}
    endpoints = {
        str(dimensions["EndpointName"])
        for dimensions in _dimensions(found)
        if dimensions.get("EndpointName")
    }
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
        "at": claims.decision_time(state.get("timestamp")),
    }


def identity(found: Mapping[str, str]) -> dict[str, Any]:
    """The alarm in the place of a person: it is nobody, and says so."""
    return {
        "person": f"alarm {found['name']}",
        "persona": None,
        "role_arn": "",
        "session_arn": found["arn"],
        "source_identity": None,
    }


def _dimensions(detail: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    metrics = (detail.get("configuration") or {}).get("metrics") or []
    stats = [one.get("metricStat") or {} for one in metrics if isinstance(one, Mapping)]
    return [(one.get("metric") or {}).get("dimensions") or {} for one in stats]
