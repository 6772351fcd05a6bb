"""When a deployment has come to rest, and how it ended."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import outcomes
from governance.domain.errors import InvalidInputError

BEFORE, AFTER = "2026-01-31T12:00:00.000000Z", "2026-01-31T12:00:00.250000Z"


def _endpoint(status: str, config: str, modified: str = AFTER, **more: Any) -> dict[str, Any]:
    return {
        "EndpointStatus": status,
        "EndpointConfigName": config,
        "LastModifiedTime": modified,
        **more,
    }


@pytest.mark.parametrize(
    ("status", "serves"),
    [
        *((status, True) for status in ("InService", "IN_SERVICE", "Updating", "SYSTEM_UPDATING")),
        *((status, False) for status in ("Creating", "FAILED", "Absent", "RollingBack")),
    ],
)
def test_an_endpoint_that_is_only_scaled_serves_what_it_names(status: str, serves: bool) -> None:
    assert outcomes.is_serving(status) is serves


@pytest.mark.parametrize(
    ("endpoint", "outcome"),
    [
        (_endpoint("InService", "new"), "in_service"),
        (_endpoint("IN_SERVICE", "new", BEFORE), "in_service"),
        (_endpoint("InService", "old"), "rolled_back"),
        (_endpoint("Failed", "new"), "failed"),
        (_endpoint("UPDATE_ROLLBACK_FAILED", "old"), "failed"),
        (_endpoint("OutOfService", "new"), "failed"),
    ],
)
def test_the_end_of_a_deployment(endpoint: dict[str, Any], outcome: str) -> None:
    found = outcomes.outcome_of(endpoint, "new", BEFORE)
    assert found is not None
    assert found["outcome"] == outcome
    assert bool(found["failure_reason"]) == (outcome != "in_service")


@pytest.mark.parametrize(
    "endpoint",
    [
        _endpoint("Creating", "new"),
        _endpoint("Updating", "old"),
        _endpoint("RollingBack", "old"),
        _endpoint("InService", "old", BEFORE),
        _endpoint("Failed", "old", BEFORE),
    ],
)
def test_what_goes_on_or_was_so_before_is_no_end(endpoint: dict[str, Any]) -> None:
    assert outcomes.outcome_of(endpoint, "new", BEFORE) is None


def test_sagemakers_reason_is_kept() -> None:
    endpoint = _endpoint("Failed", "new", FailureReason="the container did not pass the ping")
    found = outcomes.outcome_of(endpoint, "new", "")
    assert found is not None
    assert found["failure_reason"] == "the container did not pass the ping"


@pytest.mark.parametrize(
    ("event", "api"),
    [
        ("IN_SERVICE", "InService"),
        ("UPDATE_ROLLBACK_FAILED", "UpdateRollbackFailed"),
        ("FAILED", "Failed"),
        ("SystemUpdating", "SystemUpdating"),
    ],
)
def test_both_spellings_of_a_status_are_one(event: str, api: str) -> None:
    assert outcomes.pascal_status(event) == api


def test_an_endpoint_heads_for_what_it_serves_or_is_moving_to() -> None:
    moving = _endpoint("Updating", "old", PendingDeploymentSummary={"EndpointConfigName": "new"})
    assert outcomes.is_heading_for(moving, "new")
    assert outcomes.is_heading_for(moving, "old")
    assert not outcomes.is_heading_for(_endpoint("InService", "old"), "new")

    assert not outcomes.is_heading_for(_endpoint("Deleting", "old"), "old")


@pytest.mark.parametrize(
    ("status", "served", "pending", "on_its_way"),
    [
        ("Creating", "new", "new", True),
        ("Creating", "new", None, True),
        ("Updating", "old", "new", True),
        ("RollingBack", "old", "new", True),
        # It has arrived: its instances are scaled, or somebody puts another config there.
        ("Updating", "new", None, False),
        ("Updating", "new", "by-hand", False),
        # It comes no more, or something else does.
        ("InService", "old", None, False),
        ("FAILED", "new", None, False),
        ("Deleting", "new", None, False),
        ("Updating", "old", "by-hand", False),
        ("Absent", None, None, False),
    ],
)
def test_what_may_still_come_to_serve_is_known(
    status: str, served: str | None, pending: str | None, on_its_way: bool
) -> None:
    endpoint = {"EndpointStatus": status}
    endpoint |= {"EndpointConfigName": served} if served else {}
    endpoint |= {"PendingDeploymentSummary": {"EndpointConfigName": pending}} if pending else {}
    assert outcomes.is_on_its_way_to(endpoint, "new") is on_its_way


@pytest.mark.parametrize(
    ("status", "silent"),
    [
        *((status, True) for status in ("Absent", "Creating", "FAILED", "OutOfService")),
        *((status, False) for status in ("InService", "UPDATING", "UpdateRollbackFailed")),
    ],
)
def test_an_endpoint_that_answers_nobody_serves_nothing(status: str, silent: bool) -> None:
    assert outcomes.answers_nobody(status) is silent


@pytest.mark.parametrize("status", ["Failed", "FAILED", "UpdateRollbackFailed"])
def test_what_served_before_is_asked_for_anew_when_the_endpoint_has_failed(status: str) -> None:
    """It names the champion's config still; a deployment of our own is not begun twice."""
    endpoint = _endpoint(status, "old")
    assert not outcomes.was_asked_for(endpoint, {"config_name": "old", "exists": True})
    assert outcomes.was_asked_for(endpoint, {"config_name": "old"})
    serving = _endpoint("InService", "old")
    assert outcomes.was_asked_for(serving, {"config_name": "old", "exists": True})


@pytest.mark.parametrize(
    ("served", "pending", "asked"),
    [("old", "trial", False), ("old", None, True), ("trial", "old", True), ("old", "old", True)],
)
def test_what_still_serves_while_another_config_comes_is_asked_for_anew(
    served: str, pending: str | None, asked: bool
) -> None:
    endpoint = _endpoint("Updating", served)
    if pending:
        endpoint["PendingDeploymentSummary"] = {"EndpointConfigName": pending}
    champion = {"config_name": "old", "exists": True}
    assert outcomes.was_asked_for(endpoint, champion) is asked
    # Who made the config has asked for it; that another came after, is another's deployment.
    assert outcomes.was_asked_for(endpoint, {"config_name": "old"})
    assert outcomes.is_moving_to(endpoint, "trial") is (pending == "trial")
    assert outcomes.is_moving_to(endpoint, "old") is (served == "trial")


@pytest.mark.parametrize("detail", [None, "text", {"EndpointStatus": "FAILED"}, {"EndpointArn": 1}])
def test_an_event_of_another_shape_is_refused_by_field(detail: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"detail\.EndpointArn"):
        outcomes.endpoint_change({"id": "e", "detail": detail})
