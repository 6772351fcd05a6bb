"""An alarm of an endpoint, and what it may take back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from governance.domain import alarm_events, rollbacks
from governance.domain.errors import InvalidInputError
from tests.contracts import events, samples

GONE_OFF = events.example("cloudwatch-alarm-state-change.endpoint-alarm")
REQUEST = {"workflow": "rollback_model", "execution_arn": "arn:execution", "event": GONE_OFF}


RELEASE = "5f56359ef1" + "0" * 54
FOUND = events.example("governed-path-release-errored.alarm-after-release")
FAILED = events.example("governed-path-release-errored.endpoint-failed")


def _serving(kind: str = "CandidateReleased", **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "sequence": 7,
        "model_package_arn": samples.version_arn(),
        "workflow": "release_to_prod",
        "claim_id": RELEASE,
        "recorded_at": "2026-11-21T09:02:01Z",
        **more,
    }


def _taken_back(alarm: dict[str, Any], *served: dict[str, Any]) -> dict[str, Any] | None:
    return rollbacks.by_alarm(alarm, samples.MODEL, served, REQUEST)


def test_an_alarm_is_read_from_its_event() -> None:
    assert alarm_events.alarm(GONE_OFF) == {
        "name": "governed-path-clinical-risk-server-errors",
        "arn": GONE_OFF["resources"][0],
        "account": samples.PROD,
        "endpoint_name": "clinical-risk",
        "config_name": None,
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


def test_an_alarm_takes_back_what_was_released() -> None:
    alarm = alarm_events.alarm(GONE_OFF)
    found = _taken_back(alarm, _serving())
    assert found is not None
    assert found["model_package_arn"] == samples.version_arn()
    assert (found["account"], found["decided_at"]) == (samples.CENTRAL, alarm["at"])


def test_all_alarms_of_an_incident_are_one_claim() -> None:
    """Whichever alarm, however late: it is the release that is taken back, and once."""
    alarm = alarm_events.alarm(GONE_OFF)
    first = _taken_back(alarm, _serving("CandidateInService"))
    other = {**alarm, "name": "governed-path-clinical-risk-latency", "at": "2026-11-21T10:01:00Z"}
    second = _taken_back(other, _serving(), _serving("CandidateInService"))
    found = _taken_back(alarm_events.found_by_release(FOUND), _serving("CandidateInService"))
    assert first is not None
    assert second is not None
    assert found is not None
    assert first["claim_id"] == second["claim_id"] == found["claim_id"]
    again = _taken_back(alarm, _serving(claim_id="6" * 64))
    assert again is not None
    assert again["claim_id"] != first["claim_id"]


def test_a_version_that_serves_although_its_release_broke_is_what_an_alarm_takes_back() -> None:
    served = [_serving("CandidateInService", model_package_arn=samples.version_arn(version=4))]
    found = _taken_back(alarm_events.alarm(GONE_OFF), *served, _serving(claim_id="6" * 64))
    assert found is not None
    assert found["model_package_arn"] == samples.version_arn(version=4)


@pytest.mark.parametrize(
    "serving",
    [
        None,
        _serving("CandidateRestored", workflow="rollback_model"),
        # Found to serve instead of what was released: somebody put it there.
        _serving("CandidateInService", rollback={"trigger": "endpoint"}),
        # It went back, and the record of how that ended broke.
        _serving("CandidateInService", workflow="rollback_model"),
    ],
)
def test_an_alarm_does_not_go_back_twice(serving: dict[str, Any] | None) -> None:
    assert _taken_back(alarm_events.alarm(GONE_OFF), *([serving] if serving else [])) is None


def test_what_an_alarm_has_begun_is_known_also_when_something_else_serves_since() -> None:
    alarm = alarm_events.alarm(GONE_OFF)
    first = _taken_back(alarm, _serving())
    back = _serving("CandidateInService", workflow="rollback_model", claim_id="7" * 64)
    older = _serving(claim_id="6" * 64)
    served = [back, _serving(), _serving("CandidateInService"), older]
    found = rollbacks.begun_by_alarm(alarm, samples.MODEL, served, REQUEST)
    # The newest first, each release once.
    assert found == [first, _taken_back(alarm, older)]
    assert rollbacks.begun_by_alarm(alarm, samples.MODEL, [], REQUEST) == []


def test_an_event_of_another_kind_tells_of_no_alarm() -> None:
    assert alarm_events.told(GONE_OFF) == alarm_events.alarm(GONE_OFF)
    assert alarm_events.told(FOUND) == alarm_events.found_by_release(FOUND)
    assert alarm_events.told({"detail-type": "CandidateReleased"}) is None


def test_an_alarm_from_before_a_version_served_says_nothing_of_it() -> None:
    alarm = alarm_events.alarm(GONE_OFF)
    later = _serving("CandidateInService", recorded_at="2026-11-21T10:00:01Z")
    assert _taken_back(alarm, later) is None
    # It served since it was in service, and not only since its release was over.
    released = _serving(recorded_at="2026-11-21T10:00:01Z")
    assert _taken_back(alarm, released, _serving("CandidateInService")) is not None


def test_an_alarm_of_a_deployment_is_sagemakers_until_that_is_what_serves() -> None:
    event = json.loads(json.dumps(GONE_OFF))
    (metric,) = event["detail"]["configuration"]["metrics"]
    dimensions = metric["metricStat"]["metric"]["dimensions"]
    dimensions["EndpointConfigName"] = "clinical-risk-prod-0123456789"
    alarm = alarm_events.alarm(event)
    assert alarm["config_name"] == "clinical-risk-prod-0123456789"
    assert _taken_back(alarm, _serving()) is None
    dimensions["EndpointConfigName"] = f"clinical-risk-prod-{RELEASE[:10]}"
    assert _taken_back(alarm_events.alarm(event), _serving("CandidateInService")) is not None


def test_an_alarm_that_a_release_has_found_is_read_from_the_event_of_its_end() -> None:
    assert alarm_events.found_by_release(FOUND) == {
        "name": "governed-path-clinical-risk-server-errors",
        "arn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:"
        "governed-path-clinical-risk-server-errors",
        "account": samples.PROD,
        "endpoint_name": "clinical-risk",
        "config_name": None,
        "at": FOUND["detail"]["recorded_at"],
    }


def test_an_endpoint_that_a_release_left_failed_is_as_good_as_an_alarm() -> None:
    found = alarm_events.told(FAILED)
    assert found is not None
    released, way_back = samples.version_arn(), samples.version_arn(version=2)
    claim_id = FAILED["detail"]["claim_id"]
    assert found == {
        "name": "clinical-risk",
        "arn": FAILED["detail"]["endpoint"]["endpoint_arn"],
        "account": samples.PROD,
        "endpoint_name": "clinical-risk",
        "config_name": None,
        "at": FAILED["detail"]["recorded_at"],
        "failed": {"claim_id": claim_id, "model_package_arn": released, "way_back": way_back},
    }
    assert alarm_events.identity(found)["person"] == "endpoint clinical-risk"
    assert alarm_events.reason(found) == (
        f"endpoint clinical-risk had failed when the release of {released} ended at {found['at']}"
    )
    # What served before is what the ledger says; what goes is what was released.
    before = _serving(model_package_arn=way_back, recorded_at="2026-11-20T09:00:00Z")
    back = _taken_back(found, before)
    assert back is not None
    assert (back["model_package_arn"], back["decided_at"]) == (released, found["at"])
    # An alarm of the same release, and this, are one claim.
    alarm = {**alarm_events.alarm(GONE_OFF), "at": "2999-01-01T00:00:00Z"}
    by_alarm = _taken_back(alarm, _serving("CandidateInService", claim_id=claim_id))
    assert by_alarm is not None
    assert by_alarm["claim_id"] == back["claim_id"]
    # Something serves there since.
    assert _taken_back(found, _serving(recorded_at="2999-01-01T00:00:00Z"), before) is None
    # There is nothing to go back to.
    assert _taken_back({**found, "failed": {**found["failed"], "way_back": None}}, before) is None


def test_another_end_of_a_release_tells_of_no_alarm() -> None:
    other = events.example("governed-path-release-errored.complete")
    with pytest.raises(InvalidInputError, match="expected ReleaseErrored with AlarmAfterRelease"):
        alarm_events.found_by_release(other)
