"""approve and reject: one call, as the persona, on exactly the version that was named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from cli import approvals
from cli.errors import GovernError
from governance.domain import phases
from tests.contracts import samples
from tests.unit.cli.conftest import (
    CANDIDATE,
    CENTRAL,
    DEV,
    MODEL,
    REGION,
    Stubbed,
    arn,
    by,
    denied,
    described,
    directory,
    entry,
    knows,
    provisioned,
    summary,
)

Govern = Callable[..., Result]
WHY = "Report reviewed; the subgroup gaps are within the limits of tier high"


def accepts(session: Stubbed, account: str, version: int, **fields: Any) -> None:
    """The registry describes the version and takes exactly this update of it."""
    sagemaker, version_arn = session.stub("sagemaker"), arn(version, account)
    sagemaker.add_response(
        "describe_model_package", described(version, account), {"ModelPackageName": version_arn}
    )
    sagemaker.add_response(
        "update_model_package",
        {"ModelPackageArn": version_arn},
        {"ModelPackageArn": version_arn, **fields},
    )


def refuses(session: Stubbed, operation: str, code: str, message: str) -> None:
    session.stub("sagemaker").add_client_error(operation, code, message)


def life_cycle(stage: str, status: str, because: str = "") -> dict[str, str]:
    described_by = {"StageDescription": because} if because else {}
    return {"Stage": stage, "StageStatus": status, **described_by}


@pytest.mark.parametrize(
    ("arguments", "account", "fields"),
    [
        (
            ("approve", "--stage", "dev", "--as", "data-scientist"),
            DEV,
            {"ModelLifeCycle": life_cycle("Dev", "Approved"), "ModelApprovalStatus": "Approved"},
        ),
        (
            ("reject", "--stage", "dev", "--as", "data-scientist", "--because", "Too old"),
            DEV,
            {
                "ModelLifeCycle": life_cycle("Dev", "Rejected", "Too old"),
                "ModelApprovalStatus": "Rejected",
            },
        ),
        # The AI engineer's role must not touch the signature.
        (
            ("approve", "--stage", "test", "--as", "ai-engineer"),
            CENTRAL,
            {"ModelLifeCycle": life_cycle("Test", "Approved")},
        ),
        (
            ("reject", "--stage", "test", "--as", "ai-engineer", "--because", "No sample"),
            CENTRAL,
            {"ModelLifeCycle": life_cycle("Test", "Rejected", "No sample")},
        ),
        (
            ("approve", "--stage", "prod", "--as", "governance-engineer", "--because", WHY),
            CENTRAL,
            {
                "ModelLifeCycle": life_cycle("Prod", "Approved", WHY),
                "ModelApprovalStatus": "Approved",
                "ApprovalDescription": WHY,
            },
        ),
        (
            ("reject", "--stage", "prod", "--as", "governance-engineer", "--because", WHY),
            CENTRAL,
            {
                "ModelLifeCycle": life_cycle("Prod", "Rejected", WHY),
                "ModelApprovalStatus": "Rejected",
                "ApprovalDescription": WHY,
            },
        ),
    ],
    ids=lambda value: "-".join(value[:3:2]) if isinstance(value, tuple) else None,
)
def test_a_decision_is_one_update_of_the_named_version(
    govern: Govern,
    where: list[Any],
    session: Stubbed,
    arguments: tuple[str, ...],
    account: str,
    fields: dict[str, Any],
) -> None:
    accepts(session, account, 2, **fields)
    result = govern(arguments[0], f"{MODEL}/2", *arguments[1:], "--user", "alex", "--json")
    assert result.exit_code == 0, result.output
    stage, status = fields["ModelLifeCycle"]["Stage"], fields["ModelLifeCycle"]["StageStatus"]
    done = json.loads(result.output)["decision"]
    assert done["model_package_arn"] == arn(2, account)
    assert (done["stage"], done["stage_status"]) == (stage, status)
    starts = phases.BY_NAME[f"{stage}/{status}"].causes
    assert done["workflow"] == starts
    assert where[0].user == "alex"


def test_text_says_what_the_approval_starts(
    govern: Govern, where: list[Any], session: Stubbed
) -> None:
    accepts(session, CENTRAL, 1, ModelLifeCycle=life_cycle("Test", "Approved"))
    result = govern("approve", f"{MODEL}/1", "--stage", "test", "--as", "ai-engineer")
    assert result.output == f"{MODEL}/1 is Test/Approved; that starts validate_in_test\n"


def test_dev_for_a_persona_of_central_is_the_account_in_the_directory(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    """It is AWS that refuses, and the message says who may."""
    provisioned(reader, directory())
    refuses(session, "describe_model_package", "AccessDeniedException", "User: x is not authorized")
    result = govern("approve", f"{MODEL}/1", "--stage", "dev", "--as", "ai-engineer", "--json")
    error = json.loads(result.output)["error"]
    assert result.exit_code == 1
    assert error["code"] == "access_denied"
    assert arn(1, DEV) in error["message"]
    assert "User: x is not authorized" in error["message"]
    assert "--as data-scientist" in error["hint"]


@pytest.mark.parametrize(
    ("verb", "stage", "may"),
    [
        ("approve", "test", "ai-engineer"),
        ("reject", "test", "ai-engineer"),
        ("approve", "prod", "governance-engineer"),
        ("reject", "prod", "governance-engineer"),
    ],
)
def test_what_iam_denies_says_which_persona_may(
    govern: Govern, where: list[Any], session: Stubbed, verb: str, stage: str, may: str
) -> None:
    session.stub("sagemaker").add_response("describe_model_package", described())
    message = "not authorized to perform: sagemaker:UpdateModelPackage with an explicit deny"
    refuses(session, "update_model_package", "AccessDeniedException", message)
    result = govern(verb, f"{MODEL}/1", "--stage", stage, "--as", "admin", "--because", WHY)
    assert result.exit_code == 1
    assert f"AWS does not let you {verb} {MODEL}/1 for {stage}" in result.output
    assert message in result.output
    assert f"govern {verb} {MODEL}/1 --stage {stage} --as {may}" in result.output


def test_a_model_without_a_version_lists_its_versions_and_decides_nothing(
    govern: Govern, where: list[Any], session: Stubbed
) -> None:
    group = f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package-group/{MODEL}"
    session.stub("sagemaker").add_response(
        "list_model_packages",
        {"ModelPackageSummaryList": [summary(10, "Test/Failed"), summary(2, "Test/Passed")]},
        {"ModelPackageGroupName": group, "SortBy": "CreationTime", "SortOrder": "Ascending"},
    )
    result = govern("approve", MODEL, "--stage", "test", "--as", "ai-engineer")
    assert result.exit_code == 2
    assert f"which version of {MODEL}? its versions are 2, 10" in result.output


def test_an_unknown_version_lists_what_exists(
    govern: Govern, where: list[Any], session: Stubbed
) -> None:
    missing = f"ModelPackage {arn(9)} does not exist."
    refuses(session, "describe_model_package", "ValidationException", missing)
    session.stub("sagemaker").add_response(
        "list_model_packages", {"ModelPackageSummaryList": [summary(1, "Test/Passed")]}
    )
    result = govern("approve", f"{MODEL}/9", "--stage", "test", "--as", "ai-engineer", "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "not_found")
    assert error["message"] == (
        f"account {CENTRAL} has no version 9 of model {MODEL}; its versions are 1"
    )


def test_an_unknown_model_lists_the_models(
    govern: Govern, where: list[Any], session: Stubbed
) -> None:
    missing = "Model Package Group nope does not exist."
    refuses(session, "describe_model_package", "ValidationException", missing)
    refuses(session, "list_model_packages", "ValidationException", missing)
    session.stub("sagemaker").add_response(
        "list_model_package_groups",
        {
            "ModelPackageGroupSummaryList": [
                {
                    "ModelPackageGroupName": name,
                    "ModelPackageGroupArn": f"arn:{name}",
                    "CreationTime": described()["CreationTime"],
                    "ModelPackageGroupStatus": "Completed",
                }
                for name in ("zeta", "alpha")
            ]
        },
    )
    result = govern("approve", "nope/1", "--stage", "test", "--as", "ai-engineer")
    assert result.exit_code == 1
    assert "has no model nope; your account's models are alpha, zeta" in result.output


WAIT = ("approve", f"{MODEL}/1", "--stage", "test", "--as", "ai-engineer", "--wait")


@pytest.fixture
def approved(session: Stubbed, reader: Stubbed, where: list[Any]) -> Stubbed:
    """The approval for test goes through; the ledger had two entries before it."""
    reader.stub("dynamodb").add_response("get_item", {"Item": {"head": {"N": "2"}}})
    accepts(session, CENTRAL, 1, ModelLifeCycle=life_cycle("Test", "Approved"))
    return reader


def test_wait_follows_the_workflow_to_its_good_end(
    govern: Govern, approved: Stubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []
    monkeypatch.setattr("cli.approvals.time.sleep", naps.append)
    test = {"stage": "Test"}
    knows(approved)
    knows(approved, entry(3, "ValidationStarted", stage_status="Validating", **test))
    knows(approved, entry(4, "ValidationPassed", stage_status="Passed", **test))
    result = govern(*WAIT)
    assert result.exit_code == 0, result.output
    assert "ValidationStarted  Test/Validating" in result.output
    assert "ValidationPassed  Test/Passed" in result.output
    assert naps == [1.0, 1.0]


@pytest.mark.parametrize(
    ("kind", "status", "more", "reason"),
    [
        (
            "ValidationRejected",
            "Rejected",
            {"verdict": denied()},
            {
                "rule": "approver_is_not_trainer",
                "fact": "theo approved and theo trained",
                "expected": "two different, known people",
                "remedy": "Another AI Engineer approves the version",
            },
        ),
        (
            "ValidationFailed",
            "Failed",
            {
                "verdict": {"allowed": True, "reasons": [], "policy_digest": "d" * 64},
                "summary": {"reasons": ["latency: p95: 900, expected at most 500"]},
            },
            {
                "rule": "latency",
                "fact": "p95: 900, expected at most 500",
                "expected": "",
                "remedy": "",
            },
        ),
        (
            "ValidationErrored",
            "Errored",
            {"failure": {"Error": "AccessError", "Cause": '{"errorMessage": "could not look"}'}},
            {"rule": "AccessError", "fact": "could not look", "expected": "", "remedy": ""},
        ),
    ],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_wait_ends_with_1_and_every_reason_if_it_ended_badly(
    govern: Govern,
    approved: Stubbed,
    kind: str,
    status: str,
    more: dict[str, Any],
    reason: dict[str, str],
    as_json: bool,
) -> None:
    knows(approved, entry(3, kind, stage="Test", stage_status=status, **more))
    result = govern(*WAIT, *(["--json"] if as_json else []))
    assert result.exit_code == 1
    if as_json:
        error = json.loads(result.output)["error"]
        assert error["code"] == status.lower()
        assert error["reasons"] == [reason]
        assert error["entry"]["sequence"] == 3
        return
    assert f"validate_in_test of {MODEL}/1 ended as Test/{status}" in result.output
    assert f"[{reason['rule']}] {reason['fact']}" in result.output
    assert all(part in result.output for part in reason.values())


def test_wait_gives_up_and_says_that_the_workflow_goes_on(
    govern: Govern, approved: Stubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.approvals.time.sleep", lambda seconds: None)
    now = iter([0.0, 0.0, 31.0])
    monkeypatch.setattr("cli.approvals.time.monotonic", lambda: next(now))
    knows(approved)
    knows(approved)
    result = govern(*WAIT, "--timeout", "30", "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "timeout")
    assert "within 30 s" in error["message"]
    assert f"govern history {MODEL}" in error["hint"]


def decision(**more: Any) -> approvals.Decision:
    fields: dict[str, Any] = {
        "model": MODEL,
        "version": 1,
        "model_package_arn": arn(1),
        "stage": "Test",
        "stage_status": "Approved",
        "because": "",
        "workflow": "validate_in_test",
        "before": "Test/Failed",
        "changed_before": "2026-01-31T12:00:00Z",
    }
    return approvals.Decision(**{**fields, **more})


@pytest.mark.parametrize(
    "other",
    [
        {"model_package_arn": arn(2)},
        {"workflow": "release_to_prod"},
        {"decided_at": "2026-01-31T11:59:59Z"},
    ],
    ids=["another version", "another workflow", "an earlier decision"],
)
def test_entries_of_other_runs_do_not_end_the_wait(reader: Stubbed, other: dict[str, Any]) -> None:
    knows(
        reader,
        entry(3, "ValidationFailed", **other),
        entry(4, "ValidationPassed"),
    )
    ended = approvals.follow(reader, decision(), interval=0)
    assert ended["sequence"] == 4


def test_the_run_of_an_approval_that_was_repeated_is_not_mistaken_for_ours(
    reader: Stubbed,
) -> None:
    """The version was Approved already, at the very time that the first run is named after."""
    knows(
        reader,
        entry(3, "ValidationRejected", decided_at="2026-01-31T12:00:00Z"),
        entry(4, "ValidationPassed", decided_at="2026-01-31T12:00:07Z"),
    )
    ended = approvals.follow(reader, decision(before="Test/Approved"), interval=0)
    assert ended["sequence"] == 4


def test_a_promotion_is_recognised_by_its_origin(reader: Stubbed) -> None:
    """The entry is about the Central version; the decision was about the one in Dev."""
    promoted = entry(
        1,
        "CandidatePromoted",
        origin_arn=arn(3, DEV),
        workflow="promote_to_central",
        candidate_id=CANDIDATE,
        approver=by("dana"),
    )
    knows(reader, promoted)
    ours = decision(
        stage="Dev", workflow="promote_to_central", model_package_arn=arn(3, DEV), before="/"
    )
    assert approvals.follow(reader, ours)["sequence"] == 1


def test_a_release_that_a_rollback_stops_ends_by_the_rollbacks_entry(reader: Stubbed) -> None:
    stopped = entry(
        7,
        "ReleaseStopped",
        workflow="rollback_model",
        stage="Prod",
        stage_status="RolledBack",
        reason="alarm governed-path-clinical-risk-server-errors went off",
    )
    knows(reader, stopped)
    release = decision(stage="Prod", workflow="release_to_prod", before="Test/Passed")
    ended = approvals.follow(reader, release, interval=0)
    assert ended["sequence"] == 7
    told = approvals.refusal(ended, release)
    assert told is not None
    assert "server-errors went off" in str(told)
    # For who asked for the rollback it is a step of it.
    knows(reader, stopped, entry(8, "CandidateRolledBack", workflow="rollback_model"))
    back = decision(stage="Prod", workflow="rollback_model", before="Prod/Releasing")
    assert approvals.follow(reader, back, interval=0)["sequence"] == 8


def test_nobody_waits_for_a_run_that_was_stopped(reader: Stubbed) -> None:
    unfinished = entry(
        7,
        "RunUnfinished",
        workflow="release_to_prod",
        stage="Prod",
        stage_status="Releasing",
        failure={"Error": "RunAborted", "Cause": "the run was stopped from outside"},
        reason="see with `govern status` what serves",
    )
    knows(reader, unfinished)
    release = decision(stage="Prod", workflow="release_to_prod", before="Test/Passed")
    ended = approvals.follow(reader, release, interval=0)
    assert ended["sequence"] == 7
    told = approvals.refusal(ended, release)
    assert told is not None
    assert told.code == "errored"
    assert "ended as Prod/Errored" in str(told)
    assert "see with `govern status` what serves" in str(told)


def test_ends_are_kinds_of_the_ledger_and_cover_every_approval() -> None:
    from governance.domain.ledger import KINDS

    ends = set().union(*approvals.ENDS.values())
    assert ends <= set(KINDS)
    assert ends >= approvals.GOOD_ENDS
    assert approvals.ENDS.keys() == phases.APPROVALS.keys()


def test_decide_without_an_account_asks_for_the_sessions_own(session: Stubbed) -> None:
    session.stub("sts").add_response("get_caller_identity", {"Account": DEV})
    update = {"ModelLifeCycle": life_cycle("Dev", "Approved"), "ModelApprovalStatus": "Approved"}
    accepts(session, DEV, 1, **update)
    done = approvals.decide(session, MODEL, 1, "dev", "Approved")
    assert (done.workflow, done.before) == ("promote_to_central", "/")
    assert done.changed_before == "2026-01-31T12:00:00Z"


def test_decide_checks_the_reason_before_it_calls_aws(session: Stubbed) -> None:
    with pytest.raises(GovernError, match="needs a reason"):
        approvals.decide(session, MODEL, 1, "prod", "Approved")
    assert session.made == {}


def test_a_definition_is_published_and_approved_with_the_version_in_one_update(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    reader.stub("dynamodb").add_response("get_item", {})  # no tier is known of the model yet
    session.stub("s3").add_response("put_object", {"VersionId": "v1"})
    digest = samples.definition_reference()["digest"]
    accepts(
        *(session, CENTRAL, 1),
        ModelLifeCycle=life_cycle("Test", "Approved"),
        CustomerMetadataProperties={"deployment-definition": digest},
    )
    file = samples.ROOT / "templates/classical-regression/deploy/deployment.yaml"
    chosen = ("--stage", "test", "--as", "ai-engineer", "--deployment", str(file))
    result = govern("approve", f"{MODEL}/1", *chosen)
    assert result.exit_code == 0, result.output


def test_a_version_is_not_approved_with_a_definition_that_is_wrong(
    govern: Govern, where: list[Any], reader: Stubbed, tmp_path: Path
) -> None:
    reader.stub("dynamodb").add_response("get_item", {})
    file = tmp_path / "deployment.yaml"
    file.write_text("version: 2\n")
    chosen = ("--stage", "test", "--as", "ai-engineer", "--deployment", str(file))
    result = govern("approve", f"{MODEL}/1", *chosen)
    assert result.exit_code == 1
    assert f"{file}:1:10: version: is 2; expected const 1" in result.output
