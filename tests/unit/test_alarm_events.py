"""An alarm of an endpoint, and what it may take back."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import alarm_events, rollbacks
from governance.domain.errors import InvalidInputError
from tests.contracts import events, samples

GONE_OFF = events.example("cloudwatch-alarm-state-change.endpoint-alarm")
REQUEST = {"workflow": "rollback_model", "execution_arn": "arn:execution", "event": GONE_OFF}


def _serving(kind: str = "CandidateReleased") -> dict[str, Any]:
    return {"kind": kind, "sequence": 7, "model_package_arn": samples.version_arn()}


def test_an_alarm_is_read_from_its_event() -> None:
    assert alarm_events.alarm(GONE_OFF) == {
        "name": "governed-path-clinical-risk-server-errors",
        "arn": GONE_OFF["resources"][0],
        "account": samples.PROD,
        "endpoint_name": "clinical-risk",
        "at": "2026-11-21T10:00:00Z",
    }


@pytest.mark.parametrize("case", ["endpoint-ok"])
def test_what_did_not_go_off_is_refused(case: str) -> None:
    with pytest.raises(InvalidInputError, match="in state 'OK'"):
        alarm_events.alarm(events.example(f"cloudwatch-alarm-state-change.{case}"))


@pytest.mark.parametrize(
    "detail",
    [
        {"alarmName": "somebody-elses"},
        {"configuration": {"metrics": []}},
        {"configuration": {"metrics": [{"metricStat": {"metric": {"dimensions": {}}}}]}},
    ],
)
def test_what_is_of_no_endpoint_or_not_ours_is_refused(detail: dict[str, Any]) -> None:
    event = {**GONE_OFF, "detail": {**GONE_OFF["detail"], **detail}}
    with pytest.raises(InvalidInputError, match="expected one alarm governed-path-"):
        alarm_events.alarm(event)


def test_an_alarm_is_nobody_and_says_so() -> None:
    found = alarm_events.identity(alarm_events.alarm(GONE_OFF))
    assert found["person"] == "alarm governed-path-clinical-risk-server-errors"
    assert found["persona"] is None


def test_an_alarm_takes_back_what_was_released_and_claims_it_once() -> None:
    alarm = alarm_events.alarm(GONE_OFF)
    found = rollbacks.by_alarm(alarm, samples.MODEL, _serving(), REQUEST)
    assert found is not None
    assert found["model_package_arn"] == samples.version_arn()
    assert (found["account"], found["decided_at"]) == (samples.CENTRAL, alarm["at"])
    assert found == rollbacks.by_alarm(alarm, samples.MODEL, _serving(), REQUEST)
    later = rollbacks.by_alarm(alarm | {"at": "2026-11-21T10:01:00Z"}, "m", _serving(), REQUEST)
    assert later is not None
    assert later["claim_id"] != found["claim_id"]


@pytest.mark.parametrize("serving", [None, _serving("CandidateRestored")])
def test_an_alarm_does_not_go_back_twice(serving: dict[str, Any] | None) -> None:
    assert rollbacks.by_alarm(alarm_events.alarm(GONE_OFF), "m", serving, REQUEST) is None
