"""CloudTrail's record beside what the registry says: which belongs to which, and do they agree."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import confirmations
from governance.domain.errors import InvalidInputError
from governance.domain.identity import identity_of
from tests.contracts import events

GRACE = "arn:aws:sts::111122223333:assumed-role/governed-path-governance-engineer/grace"


def event(**detail: Any) -> dict[str, Any]:
    example = events.example("cloudtrail-update-model-package.prod-approved")
    example["detail"].update(detail)
    return example


def approver(arn: str = GRACE, source: str | None = "grace") -> dict[str, Any]:
    identity: dict[str, Any] = identity_of({"IamIdentity": {"Arn": arn, "SourceIdentity": source}})
    return identity


def record(called_at: str = "2026-11-21T09:00:00Z", number: int = 1) -> dict[str, Any]:
    found = confirmations.approval_record(event(eventTime=called_at, eventID=str(number)))
    assert found is not None
    return found


def test_the_registry_and_cloudtrail_name_the_same_person() -> None:
    assert record()["approver"] == approver()
    assert confirmations.contradiction(approver(), record()) is None


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (approver(GRACE.replace("grace", "adam"), "adam"), "session arn"),
        (approver(source=None), "source identity none, CloudTrail grace"),
        (approver(GRACE.replace("governance-engineer", "admin")), "governed-path-admin/grace"),
        (None, "session arn none"),
    ],
)
def test_another_session_is_another_person(said: dict[str, Any] | None, named: str) -> None:
    found = confirmations.contradiction(said, record())
    assert found is not None
    assert named in found


def test_nothing_confirms_nothing() -> None:
    assert "has not confirmed" in str(confirmations.contradiction(approver(), None))
    shared = approver(GRACE.replace("/grace", "/SageMaker"), None)
    assert shared["person"] == ""
    known = {**shared, "person": "profile-of-grace"}
    assert "without a source identity" in str(
        confirmations.contradiction(known, {"approver": shared})
    )
    nobody = {"approver": identity_of({})}
    assert "names nobody" in str(confirmations.contradiction(identity_of({}), nobody))


@pytest.mark.parametrize(
    ("called_at", "confirms"),
    [
        ("2026-11-21T08:59:57Z", False),
        ("2026-11-21T08:59:58Z", True),
        ("2026-11-21T09:00:02Z", True),
        ("2026-11-21T09:00:03Z", False),
        ("2025-11-21T09:00:00Z", False),
    ],
)
def test_a_record_is_of_the_decision_of_its_time(called_at: str, confirms: bool) -> None:
    found = confirmations.confirmation_of("2026-11-21T09:00:00Z", [record(called_at)])
    assert (found is not None) == confirms


def test_the_nearest_record_counts() -> None:
    records = [record("2026-11-21T09:00:02Z"), record("2026-11-21T09:00:01Z", 2)]
    found = confirmations.confirmation_of("2026-11-21T09:00:00Z", records)
    assert found is records[1]


@pytest.mark.parametrize(
    "detail",
    [
        {"eventName": "CreateModelPackage"},
        {"errorCode": "AccessDenied"},
        {"requestParameters": None},
        {"requestParameters": {"modelLifeCycle": {"stage": "Prod", "stageStatus": "Rejected"}}},
    ],
)
def test_what_approves_nothing_is_no_record(detail: dict[str, Any]) -> None:
    assert confirmations.approval_record(event(**detail)) is None


@pytest.mark.parametrize(
    "status", ["Technical-Approved", "Compliance-Approved", "BreakGlass-Requested"]
)
def test_what_a_signature_rests_on_is_kept_apart_from_the_signature(status: str) -> None:
    example = event()
    example["detail"]["requestParameters"]["modelLifeCycle"]["stageStatus"] = status
    found = confirmations.approval_record(example)
    assert found is not None
    assert found["decision"].endswith(f":model-package/clinical-risk-classifier/3#Prod/{status}")


@pytest.mark.parametrize("case", ["dev-approved", "dev-approved-by-status"])
def test_dev_versions_are_approved_by_life_cycle_or_by_status(case: str) -> None:
    found = confirmations.approval_record(events.example(f"cloudtrail-update-model-package.{case}"))
    assert found is not None
    assert found["decision"].endswith(":444455556666:model-package/clinical-risk-classifier/1#Dev")
    assert found["approver"]["person"] == "dana"


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({"account": "444455556666"}, "only the version's own account tells"),
        ({"detail-type": "Scheduled Event"}, "Scheduled Event"),
        ({"detail": "text"}, "detail-type"),
        ({"detail": {**event()["detail"], "eventID": None}}, "no detail.eventID"),
        ({"detail": {**event()["detail"], "eventTime": 0}}, "no detail.eventTime"),
    ],
)
def test_an_event_of_another_shape_is_refused_by_name(broken: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        confirmations.approval_record({**event(), **broken})
