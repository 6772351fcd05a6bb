"""CloudWatch alarms of an endpoint, in the account that it is in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import boto3

from governance.adapters import errors, sessions
from governance.adapters.registry import plain
from governance.domain import guardrails

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient


class Alarms:
    """CloudWatch in the account of the session."""

    def __init__(self, session: boto3.Session) -> None:
        self._cloudwatch: CloudWatchClient = sessions.client(session, "cloudwatch")

    def put(self, requests: Sequence[Mapping[str, Any]]) -> None:
        """Make the alarms, or change them to what the requests say; their state stays."""
        for request in requests:
            with errors.translated(f"put alarm {request['AlarmName']}"):
                self._cloudwatch.put_metric_alarm(**dict(request))

    def forget(self, endpoint_name: str, kept: Sequence[str]) -> list[str]:
        """Delete the endpoint's alarms but for those; the names of what was there.

        Its own are told by what they look at: another endpoint's name may begin like this one's.
        """
        prefix = guardrails.alarm_name(endpoint_name, "")
        with errors.translated(f"describe the alarms {prefix}*"):
            pages = self._cloudwatch.get_paginator("describe_alarms").paginate(
                AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"]
            )
            found = [alarm for page in pages for alarm in page["MetricAlarms"]]
        looks_at = {"Name": "EndpointName", "Value": endpoint_name}
        gone = [
            alarm["AlarmName"]
            for alarm in found
            if alarm["AlarmName"] not in kept and looks_at in alarm.get("Dimensions", [])
        ]
        # One by one: permission is asked for each.
        for name in gone:
            with errors.translated(f"delete alarm {name}"):
                self._cloudwatch.delete_alarms(AlarmNames=[name])
        return gone

    def calm(self, names: Sequence[str], reason: str) -> None:
        """Set those of the alarms that are in ALARM back to OK."""
        for name, alarm in self._states(names).items():
            if alarm["StateValue"] == "ALARM":
                with errors.translated(f"set alarm {name} to OK"):
                    self._cloudwatch.set_alarm_state(
                        AlarmName=name, StateValue="OK", StateReason=reason
                    )

    def raised(self, names: Sequence[str], since: str | None) -> list[dict[str, str]]:
        """[{name, reason}] of those that are in ALARM, or were since then (ISO-8601).

        An alarm that has calmed down again had its reason all the same.
        """
        found = self._states(names)
        raised = []
        for name in names:
            alarm = found.get(name)
            if alarm is None:
                continue
            if alarm["StateValue"] == "ALARM":
                raised.append({"name": name, "reason": alarm.get("StateReason", "")})
                continue
            reason = self._was_raised(name, since) if since else None
            if reason is not None:
                raised.append({"name": name, "reason": reason})
        return raised

    def _states(self, names: Sequence[str]) -> dict[str, Any]:
        with errors.translated(f"describe the alarms {', '.join(names)}"):
            answer = self._cloudwatch.describe_alarms(
                AlarmNames=list(names), AlarmTypes=["MetricAlarm"]
            )
        return {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}

    def _was_raised(self, name: str, since: str) -> str | None:
        with errors.translated(f"read the history of alarm {name}"):
            pages = self._cloudwatch.get_paginator("describe_alarm_history").paginate(
                AlarmName=name, HistoryItemType="StateUpdate", StartDate=since
            )
            items = [plain(item) for page in pages for item in page["AlarmHistoryItems"]]
        for item in items:
            state = json.loads(item.get("HistoryData") or "{}").get("newState") or {}
            if state.get("stateValue") == "ALARM":
                return str(state.get("stateReason") or item.get("HistorySummary") or "")
        return None
