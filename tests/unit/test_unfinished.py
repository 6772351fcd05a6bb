"""What is recorded of a run that was stopped, or took too long."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import executions, ledger, phases, unfinished
from tests.contracts import samples

WORKFLOWS = sorted({phase.causes for phase in phases.PHASES if phase.causes})
ENDPOINT = {"endpoint_name": "risk", "endpoint_arn": "arn:endpoint", "account": samples.PROD}
ABORTED = {"status": "ABORTED", "error": "Maintenance", "cause": "a quiet hour"}


def _entry(number: int, kind: str, claim_id: str = "", **more: Any) -> dict[str, Any]:
    own = claim_id or samples.promotion("Prod")["claim_id"]
    return {"sequence": number, "kind": kind, "claim_id": own, **more}


def _request(*story: dict[str, Any], end: Any = ABORTED) -> dict[str, Any]:
    promotion = samples.promotion("Prod")
    return unfinished.request(promotion, samples.version_arn(), end, story[::-1], ENDPOINT)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_who_reads_it_is_told_what_to_do(workflow: str) -> None:
    promotion = {**samples.promotion("Prod"), "workflow": workflow}
    request = unfinished.request(promotion, samples.version_arn(), ABORTED, [], None)
    assert " again" in request["reason"]
    # Who asked for the drill finds it by the version that serves.
    drilled = {"from": promotion["model_package_arn"]}
    assert request["drill"] == (drilled if workflow == "drill_rollback" else None)
    assert (workflow in unfinished.OF_PROD) == ("`govern status`" in request["reason"])


def test_it_says_how_the_run_ended_and_how_far_it_had_come() -> None:
    started = _entry(8, "ReleaseStarted", stage="Prod", stage_status="Releasing")
    granted = _entry(
        9, "ClearanceGranted", candidate_id="c", stage="Prod", stage_status="Releasing"
    )
    other = _entry(10, "ReviewGiven", "another")
    found = _request(started, granted, other)
    assert found["failure"] == {
        "Error": "RunAborted",
        "Cause": "the run was stopped from outside after entry 9 (ClearanceGranted): "
        "Maintenance a quiet hour",
    }
    assert (found["stage_status"], found["candidate_id"]) == ("Releasing", "c")
    late = _request(end={"status": "TIMED_OUT", "error": "", "cause": ""})
    assert late["failure"] == {
        "Error": "RunTimedOut",
        "Cause": "the run was over its time before its first entry",
    }
    assert late["stage_status"] == "Approved"


def test_it_moves_no_version_and_ends_no_release() -> None:
    """A release without an end can be taken back, and what it made to serve is not known."""
    started = {"kind": "ReleaseStarted", "stage": "Prod", "stage_status": "Releasing"}
    entry = {"kind": unfinished.KIND, "stage": "Prod", "stage_status": "Approved"}
    assert ledger.phase([entry, started]) == "Prod/Releasing"


@pytest.mark.parametrize(
    ("kind", "claim_id", "ended"),
    [
        ("CandidateReleased", "", True),
        ("ReleaseStarted", "", False),
        ("ReleaseErrored", "x", False),
    ],
)
def test_a_run_that_has_said_how_it_ended_is_known(kind: str, claim_id: str, ended: bool) -> None:
    promotion = {**samples.promotion("Prod"), "workflow": "release_to_prod"}
    assert unfinished.has_ended([_entry(9, kind, claim_id)], promotion) is ended


def test_every_end_of_a_workflow_is_a_kind_of_entry() -> None:
    assert set(unfinished._ENDS) == set(unfinished._DO) == set(WORKFLOWS)
    assert {kind for ends in unfinished._ENDS.values() for kind in ends} <= set(ledger.KINDS)


def test_an_execution_says_which_machine_it_is_of() -> None:
    arn = "arn:aws:states:us-east-1:111122223333:execution:governed-path-release-to-prod:one"
    assert executions.machine(arn) == "release_to_prod"
