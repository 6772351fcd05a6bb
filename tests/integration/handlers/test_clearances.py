"""Granting and revoking clearance: recorded in the ledger, written on the recorded versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from governance.adapters.ledger import Ledger
from governance.domain import clearance
from governance.domain.errors import AccessError, NotFoundError

from .conftest import TEST
from .test_promotion import Organisation, dev_bucket, here

__all__ = ["dev_bucket", "here"]  # fixtures
PROD = "123456789012"
ACCOUNTS = {"Test": TEST, "Prod": PROD}


class Cleared:
    """A promoted version and its clearances."""

    def __init__(self, here: Organisation, aws: Callable[..., Any]) -> None:
        self.here, self._s3 = here, aws("s3")
        _, _, self.arn = here.promoted()
        self.candidate = here.verified(self.arn)["candidate"]
        self.objects = {found["role"]: found for found in self.candidate["objects"]}

    def grant(self, stage: str, decided_at: str = "2026-01-31T12:00:00Z") -> dict[str, Any]:
        promotion = {**self.here.in_central(self.arn, stage), "decided_at": decided_at}
        deployment = {
            **dict.fromkeys(
                ("region", "endpoint_name", "endpoint_arn", "config_name", "model_name"), "x"
            ),
            **dict.fromkeys(("variant_name", "instance_type", "execution_role_arn"), "x"),
            "stage": stage,
            "account": ACCOUNTS[stage],
            "model_package_arn": self.arn,
            "candidate_id": self.candidate["candidate_id"],
            "source": "containers",
            "containers": None,
            "instance_count": 1,
            "environment": {},
            **dict.fromkeys(("release", "autoscaling", "data_capture")),
            "definition": {"digest": "d" * 64, "uri": "s3://evidence/deployments/m/d.json"},
            "claim_id": promotion["claim_id"],
            "tags": {},
        }
        return self.here.call(
            "grant_clearance",
            promotion=promotion,
            candidate=self.candidate,
            deployment=deployment,
        )

    def record(self, kind: str, stage: str, status: str, at: str) -> dict[str, Any]:
        """Append an entry about the version and return the event that is published of it.

        The tests end by the claim that they were granted Test by.
        """
        run = self.here.in_central(self.arn, "Test")["claim_id"]
        promotion = {
            **self.here.in_central(self.arn, "Prod"),
            "decided_at": at,
            "claim_id": run if stage == "Test" else _id(at),
        }
        self.here.call(
            "record",
            kind=kind,
            promotion=promotion,
            stage=stage,
            stage_status=status,
            candidate_id=self.candidate["candidate_id"],
        )
        return {"id": "event", "detail": self.story()[0]}

    def revoke(self, event: dict[str, Any]) -> dict[str, Any]:
        return self.here.call("revoke_clearance", **event)

    def story(self) -> list[dict[str, Any]]:
        return list(Ledger("governed-path-ledger").story(self.here.model, self.arn))

    def tags(self, role: str = "model-data", version_id: str = "") -> dict[str, str]:
        location = self.objects[role]
        found = self._s3.get_object_tagging(
            Bucket=location["bucket"],
            Key=location["key"],
            VersionId=version_id or location["version_id"],
        )
        return {tag["Key"]: tag["Value"] for tag in found["TagSet"]}

    def overwrite(self) -> str:
        """A version on top of the model data; its id."""
        location = self.objects["model-data"]
        put = self._s3.put_object(Bucket=location["bucket"], Key=location["key"], Body=b"other")
        return str(put["VersionId"])


def _id(text: str) -> str:
    return text.encode().hex().ljust(64, "0")[:64]


@pytest.fixture
def cleared(here: Organisation, aws: Callable[..., Any]) -> Cleared:
    return Cleared(here, aws)


def test_a_copy_arrives_cleared_for_nobody(cleared: Cleared) -> None:
    for role in cleared.objects:
        assert cleared.tags(role) == {
            "candidate-id": cleared.candidate["candidate_id"],
            "model": cleared.here.model,
            "cleared-test": "no",
            "cleared-prod": "no",
        }


def test_a_grant_opens_what_an_endpoint_loads_for_one_account(cleared: Cleared) -> None:
    assert cleared.grant("Test") == {"stage": "Test", "account": TEST, "objects": 1}
    tags = cleared.tags()
    assert (tags["cleared-test"], tags["test-account"]) == ("yes", TEST)
    assert (tags["cleared-prod"], "prod-account" in tags) == ("no", False)
    assert {cleared.tags(role)["cleared-test"] for role in cleared.objects} == {"yes", "no"}
    assert cleared.tags("holdout")["cleared-test"] == "no"
    entry = cleared.story()[0]
    assert (entry["kind"], entry["stage"], entry["stage_status"]) == (
        "ClearanceGranted",
        "Test",
        "Validating",
    )
    assert entry["clearance"] == {"stages": ["Test"], "account": TEST, "objects": 1}


def test_a_grant_again_changes_nothing(cleared: Cleared) -> None:
    cleared.grant("Test")
    before = cleared.story()
    cleared.grant("Test")
    assert cleared.story() == before


def test_only_the_recorded_version_is_opened(cleared: Cleared) -> None:
    newer = cleared.overwrite()
    cleared.grant("Prod")
    assert cleared.tags()["cleared-prod"] == "yes"
    assert cleared.tags(version_id=newer) == {}


def test_a_version_that_is_gone_cannot_be_cleared(cleared: Cleared) -> None:
    cleared.objects["model-data"]["version_id"] = "11111111-2222-3333-4444-555555555555"
    with pytest.raises(NotFoundError, match="set the clearance of s3://"):
        cleared.grant("Test")


def test_the_end_of_the_tests_closes_test_and_leaves_prod(cleared: Cleared) -> None:
    cleared.grant("Prod")
    cleared.grant("Test")
    event = cleared.record("ValidationPassed", "Test", "Passed", "2026-01-31T12:10:00Z")
    revoked = cleared.revoke(event)
    assert (revoked["outcome"], revoked["stages"]) == ("revoked", ["Test"])
    tags = cleared.tags()
    assert (tags["cleared-test"], tags["cleared-prod"]) == ("no", "yes")
    assert "test-account" not in tags
    entry = cleared.story()[0]
    assert (entry["kind"], entry["workflow"]) == ("ClearanceRevoked", "revoke_clearance")
    assert entry["reason"] == f"entry {event['detail']['sequence']} (ValidationPassed)"
    # The same event again records nothing.
    assert cleared.revoke(event) == revoked
    assert cleared.story()[0] == entry


@pytest.mark.parametrize(
    ("kind", "stage", "status"),
    [
        ("VersionRecalled", "Prod", "Recalled"),
        ("VersionRetired", "Retired", "Retired"),
        ("ApprovalsVoided", "Prod", "Releasing"),
    ],
)
def test_what_is_withdrawn_is_closed_for_everybody(
    cleared: Cleared, kind: str, stage: str, status: str
) -> None:
    cleared.grant("Test")
    cleared.grant("Prod")
    revoked = cleared.revoke(cleared.record(kind, stage, status, "2026-01-31T13:00:00Z"))
    assert revoked["stages"] == ["Prod", "Test"]
    tags = cleared.tags()
    assert (tags["cleared-test"], tags["cleared-prod"]) == ("no", "no")


def test_tampering_takes_nothing_from_what_serves(cleared: Cleared) -> None:
    cleared.grant("Prod")
    cleared.record("CandidateReleased", "Prod", "Deployed", "2026-01-31T12:30:00Z")
    event = cleared.record("ApprovalsVoided", "Prod", "Deployed", "2026-01-31T13:00:00Z")
    assert cleared.revoke(event) == {"outcome": "nothing to revoke", "objects": 1}
    assert cleared.tags()["cleared-prod"] == "yes"


def test_what_is_rejected_after_it_served_is_closed(cleared: Cleared) -> None:
    """It is nothing to go back to any more; while it serves, its instances may be replaced."""
    cleared.grant("Prod")
    cleared.record("CandidateReleased", "Prod", "Deployed", "2026-01-31T12:30:00Z")
    while_it_serves = cleared.record("VersionRejected", "Prod", "Rejected", "2026-01-31T12:40:00Z")
    assert cleared.revoke(while_it_serves)["outcome"] == "nothing to revoke"
    cleared.record("CandidateSuperseded", "Prod", "Superseded", "2026-01-31T12:50:00Z")
    assert cleared.tags()["cleared-prod"] == "yes"
    later = cleared.record("VersionRejected", "Prod", "Rejected", "2026-01-31T13:00:00Z")
    assert cleared.revoke(later)["stages"] == ["Prod"]
    assert cleared.tags()["cleared-prod"] == "no"


def test_a_late_event_does_not_close_a_newer_grant(cleared: Cleared) -> None:
    cleared.grant("Test")
    late = cleared.record("ValidationErrored", "Test", "Errored", "2026-01-31T12:10:00Z")
    again = {**cleared.here.in_central(cleared.arn), "claim_id": _id("again")}
    cleared.here.in_central = lambda arn, stage="Test": again  # type: ignore[method-assign]
    cleared.grant("Test", "2026-01-31T12:20:00Z")
    assert cleared.revoke(late)["outcome"] == "revoked"
    assert cleared.tags()["cleared-test"] == "yes"
    assert clearance.held(cleared.story()) == {"Test": TEST}


def test_who_ends_first_does_not_close_what_another_run_of_test_needs(cleared: Cleared) -> None:
    cleared.grant("Test")
    tests = cleared.here.in_central
    drill = {**tests(cleared.arn), "claim_id": _id("drill")}
    cleared.here.in_central = lambda arn, stage="Test": drill  # type: ignore[method-assign]
    cleared.grant("Test", "2026-01-31T12:20:00Z")
    drilled = cleared.record("DrillFailed", "Test", "Passed", "2026-01-31T12:30:00Z")
    assert cleared.revoke(drilled) == {"outcome": "nothing to revoke", "objects": 1}
    assert cleared.tags()["cleared-test"] == "yes"
    cleared.here.in_central = tests  # type: ignore[method-assign]
    passed = cleared.record("ValidationPassed", "Test", "Passed", "2026-01-31T12:40:00Z")
    assert cleared.revoke(passed)["stages"] == ["Test"]
    assert cleared.tags()["cleared-test"] == "no"


def test_a_version_that_was_recalled_after_its_approval_is_not_cleared(cleared: Cleared) -> None:
    cleared.record("VersionRecalled", "Prod", "Recalled", "2026-01-31T13:00:00Z")
    with pytest.raises(AccessError, match=r"VersionRecalled\) came after its approval"):
        cleared.grant("Prod")
    assert cleared.tags()["cleared-prod"] == "no"
    assert "ClearanceGranted" not in [entry["kind"] for entry in cleared.story()]


def test_a_recall_while_the_tags_are_written_wins(
    cleared: Cleared, monkeypatch: pytest.MonkeyPatch
) -> None:
    from governance.adapters.clearances import Clearances

    write, events = Clearances.write, []

    def write_while_recalled(self: Clearances, *arguments: Any) -> int:
        if not events:
            events.append(
                cleared.record("VersionRecalled", "Prod", "Recalled", "2026-01-31T13:00:00Z")
            )
            # The revocation is faster than the tags of the grant.
            cleared.revoke(events[0])
        return write(self, *arguments)

    monkeypatch.setattr(Clearances, "write", write_while_recalled)
    with pytest.raises(AccessError, match="was ended before it was used"):
        cleared.grant("Prod")
    assert cleared.tags()["cleared-prod"] == "no"
    assert [entry["kind"] for entry in cleared.story()[:2]] == [
        "ClearanceRevoked",
        "VersionRecalled",
    ]


def test_a_recall_between_the_look_and_the_grant_wins(
    cleared: Cleared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entry comes before the grant's, so by the order of the ledger it ended nothing."""
    check, recalls = clearance.check_not_withdrawn, []

    def recalled_after(*arguments: Any) -> None:
        check(*arguments)
        recalls.append(
            cleared.record("VersionRecalled", "Prod", "Recalled", "2026-01-31T13:00:00Z")
        )

    monkeypatch.setattr(clearance, "check_not_withdrawn", recalled_after)
    with pytest.raises(AccessError, match="was ended before it was used"):
        cleared.grant("Prod")
    assert [entry["kind"] for entry in cleared.story()[:2]] == [
        "ClearanceGranted",
        "VersionRecalled",
    ]
    assert cleared.tags()["cleared-prod"] == "no"
    assert cleared.revoke(recalls[0]) == {"outcome": "nothing to revoke", "objects": 1}
    assert cleared.tags()["cleared-prod"] == "no"


class Killed(BaseException):
    """The function ended here, and did nothing any more."""


def _recalled_while_it_wrote(cleared: Cleared, monkeypatch: pytest.MonkeyPatch) -> None:
    """A grant that is killed once it has written yes, after a recall's revocation wrote no."""
    from governance.adapters.clearances import Clearances

    write = Clearances.write

    def written_and_killed(self: Clearances, *arguments: Any) -> int:
        patch.undo()
        recall = cleared.record("VersionRecalled", "Prod", "Recalled", "2026-01-31T13:00:00Z")
        assert cleared.revoke(recall)["outcome"] == "revoked"
        assert cleared.tags()["cleared-prod"] == "no"
        write(self, *arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Clearances, "write", written_and_killed)
        with pytest.raises(Killed):
            cleared.grant("Prod")
    assert cleared.tags()["cleared-prod"] == "yes"


def test_a_grant_that_is_tried_again_after_a_recall_closes_what_it_left_open(
    cleared: Cleared, monkeypatch: pytest.MonkeyPatch
) -> None:
    _recalled_while_it_wrote(cleared, monkeypatch)
    with pytest.raises(AccessError, match=r"VersionRecalled\) came after its approval"):
        cleared.grant("Prod")
    assert cleared.tags()["cleared-prod"] == "no"


@pytest.mark.parametrize(
    ("kind", "stage", "status"),
    [("ReleaseErrored", "Prod", "Errored"), ("ValidationErrored", "Test", "Errored")],
)
def test_an_end_that_ended_nothing_closes_what_a_killed_grant_left_open(
    cleared: Cleared, monkeypatch: pytest.MonkeyPatch, kind: str, stage: str, status: str
) -> None:
    _recalled_while_it_wrote(cleared, monkeypatch)
    event = cleared.record(kind, stage, status, "2026-01-31T13:30:00Z")
    before = cleared.story()
    assert cleared.revoke(event) == {"outcome": "nothing to revoke", "objects": 1}
    assert cleared.tags()["cleared-prod"] == "no"
    assert cleared.story() == before


def test_what_was_never_cleared_is_not_written(cleared: Cleared) -> None:
    recall = cleared.record("VersionRecalled", "Prod", "Recalled", "2026-01-31T13:00:00Z")
    assert cleared.revoke(recall) == {"outcome": "nothing to revoke"}
