"""`govern` as people run it: a process of its own against the running organisation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.organisation import Organisation, Outcome, eventually, said
from tests.e2e.scenarios import (
    MODEL,
    OWN_WORK,
    REJECTED,
    REPLACED,
    UNTESTED,
    DemoPath,
    Replaced,
    Trained,
    Untested,
)

Govern = Callable[..., subprocess.CompletedProcess[str]]


def _govern(state: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "govern", *arguments],
        env=os.environ | {"GOVERNED_PATH_LOCAL_DIR": state, "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def govern(organisation: Organisation) -> Govern:
    """govern(*arguments) against this organisation."""
    return lambda *arguments: _govern(organisation.server.state_dir, *arguments)


def test_status_shows_where_versions_stand(govern: Govern, demo_path: DemoPath) -> None:
    answer = govern("status", MODEL)
    assert answer.returncode == 0, answer.stderr
    assert "Deployed" in answer.stdout
    assert "grace" in answer.stdout
    assert f"{MODEL}-endpoint" in answer.stdout


def test_status_as_json_is_a_document(govern: Govern, demo_path: DemoPath) -> None:
    answer = govern("status", "--json")
    assert answer.returncode == 0, answer.stderr
    board = json.loads(answer.stdout)
    (deployed,) = (
        v for v in board["versions"] if v["model"] == MODEL and v["registry"] == "Central"
    )
    assert (deployed["stage"], deployed["stage_status"]) == ("Prod", "Deployed")
    assert deployed["candidate_id"] == demo_path.released.entry["candidate_id"]
    (endpoint,) = (e for e in board["endpoints"] if e["model"] == MODEL)
    assert (endpoint["endpoint_name"], endpoint["version"]) == (f"{MODEL}-endpoint", 1)
    # As SageMaker in Prod has it, beside what the ledger says.
    assert (endpoint["stage"], endpoint["status"], endpoint["differs"]) == (
        "Prod",
        "InService",
        False,
    )
    (variant,) = endpoint["variants"]
    assert (variant["version"], variant["share"]) == (1, 1.0)
    assert variant["candidate_id"] == demo_path.released.entry["candidate_id"]
    assert endpoint["execution"] == demo_path.released.execution["executionArn"]
    assert board["not_looked_at"] == []
    (model,) = (one for one in board["models"] if one["model"] == MODEL)
    assert [(one["version"], one["stage_status"]) for one in model["prod"]] == [(1, "Deployed")]


def test_history_says_who_decided_what(govern: Govern, demo_path: DemoPath) -> None:
    answer = govern("history", f"{MODEL}/1")
    assert answer.returncode == 0, answer.stderr
    positions = [
        answer.stdout.index(kind)
        for kind in ("CandidatePromoted", "ValidationPassed", "CandidateReleased")
    ]
    assert positions == sorted(positions)
    for person in ("dana", "alex", "grace"):
        assert person in answer.stdout


def test_history_says_why_not(govern: Govern, own_work: Outcome, untested: Untested) -> None:
    assert "approver_is_not_trainer" in govern("history", OWN_WORK).stdout
    assert "tests_passed_for_candidate" in govern("history", UNTESTED).stdout


def test_history_as_json_is_the_ledger(
    govern: Govern, organisation: Organisation, demo_path: DemoPath
) -> None:
    answer = govern("history", MODEL, "--json")
    assert json.loads(answer.stdout) == {"model": MODEL, "entries": organisation.entries(MODEL)}


def test_approval_that_iam_denies_is_refused_with_who_may(
    govern: Govern, untested: Untested
) -> None:
    answer = govern(
        *("approve", f"{UNTESTED}/1", "--stage", "prod", "--as", "ai-engineer"),
        *("--because", "Because I can.", "--json"),
    )
    assert answer.returncode == 1
    error = json.loads(answer.stdout)["error"]
    assert error["code"] == "access_denied"
    assert "governance-engineer" in error["hint"]


def test_rejection_is_recorded_and_starts_nothing(
    govern: Govern, organisation: Organisation, trained: Trained
) -> None:
    organisation.register_again(trained.first, REJECTED)
    because = "Trained on too few women over 60."
    answer = govern(
        *("reject", f"{REJECTED}/1", "--stage", "dev", "--as", "data-scientist"),
        *("--user", "dora", "--because", because),
    )
    assert answer.returncode == 0, answer.stderr
    (entry,) = eventually(lambda: organisation.story(REJECTED), "the entry of the rejection")
    assert entry["kind"] == "VersionRejected"
    assert entry["approver"]["person"] == "dora"
    assert because in said(entry)
    assert organisation.executions("promote_to_central", REJECTED) == []


def test_the_brief_of_an_untested_version_says_what_is_missing_and_who_can_do_it(
    govern: Govern, untested: Untested, tmp_path: Path
) -> None:
    page = tmp_path / "brief.html"
    answer = govern("brief", f"{UNTESTED}/1", "--html", str(page), "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    brief = json.loads(answer.stdout)
    assert brief["answer"]["state"] == "blocked"
    rules = [reason["rule"] for reason in brief["missing"]]
    assert rules == ["tests_passed_for_candidate", "required_reviews_given"]
    assert {one["by"] for one in brief["reviews"]["missing"]} == {
        "AI Engineer",
        "Governance Engineer",
    }
    assert "theo" in {one["person"] for one in brief["may_not_sign"]}
    assert brief["comparison"]["with"] is None
    assert brief["rollback"]["target"] is None
    assert b"tests_passed_for_candidate" in page.read_bytes()


def test_the_brief_compares_with_the_champion_on_the_same_holdout(
    govern: Govern, replaced: Replaced
) -> None:
    answer = govern("brief", f"{REPLACED}/2", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    brief = json.loads(answer.stdout)
    assert brief["answer"]["state"] == "decided"
    assert brief["comparison"]["with"]["version"] == 1
    assert brief["comparison"]["same_holdout"] is True
    assert all(row["difference"] is not None for row in brief["comparison"]["metrics"])
    assert brief["prod"]["is_this_version"]
    assert "model-data sha256" in {one["what"] for one in brief["prod"]["container"]}
    assert (brief["rollback"]["target"]["version"], brief["rollback"]["target"]["fit"]) == (1, True)
    assert brief["reviews"]["owed"]["missing"]


def test_the_brief_is_told_in_a_terminal(govern: Govern, demo_path: DemoPath) -> None:
    answer = govern("brief", f"{MODEL}/1")
    assert answer.returncode == 0, answer.stderr
    assert "Prod/Deployed, decided by grace" in answer.stdout
    assert "The first release" in answer.stdout


def test_lineage_walks_back_to_data_and_code(
    govern: Govern, demo_path: DemoPath, trained: Trained
) -> None:
    answer = govern("lineage", f"{MODEL}/1")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for part in ("Dev version", "ModelTraining", "dataset train.csv", "sha256", "version id"):
        assert part in answer.stdout
    assert "facts of the candidate's manifest are what the lineage says" in answer.stdout
    assert "Not known" not in answer.stdout


def test_lineage_of_an_endpoint_is_a_document_and_a_picture(
    govern: Govern, demo_path: DemoPath, tmp_path: Path
) -> None:
    picture = tmp_path / "lineage.svg"
    arguments = ("--endpoint", f"{MODEL}-endpoint", "--json", "--svg", str(picture))
    answer = govern("lineage", *arguments)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    found = json.loads(answer.stdout)
    assert found["agrees"] is True
    assert found["candidate_id"] == demo_path.released.entry["candidate_id"]
    assert found["endpoint"]["endpoint_name"] == f"{MODEL}-endpoint"
    (dataset,) = (n for n in found["nodes"] if n["properties"].get("role") == "dataset")
    drawn = picture.read_text()
    assert drawn.count("<svg ") == 1
    assert dataset["properties"]["sha256"][:16] in drawn
    again = govern("lineage", found["endpoint"]["endpoint_arn"], "--svg", str(picture))
    assert again.returncode == 1
    assert "there already" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([f"{MODEL}/99"], 1, "was never promoted; Central has"),
        (["nobody-knows-it/1"], 1, "nobody-knows-it"),
        (["--endpoint", "nowhere"], 1, f"released to: {MODEL}-endpoint"),
        ([f"{MODEL}/1", "--endpoint", "both"], 2, "either a version or an endpoint"),
        ([], 2, "either a version or an endpoint"),
        ([MODEL], 2, "which version"),
    ],
)
def test_lineage_of_what_is_not_there_is_named(
    govern: Govern, demo_path: DemoPath, arguments: list[str], code: int, said: str
) -> None:
    answer = govern("lineage", *arguments)
    assert (answer.returncode, answer.stdout) == (code, "")
    assert said in answer.stderr


def test_unknown_model_is_named(govern: Govern) -> None:
    unknown = ("no-such-model", "no-such-model", "no-such-model/1")
    for command in zip(("status", "history", "brief"), unknown, strict=True):
        answer = govern(*command)
        assert answer.returncode == 1
        assert "no-such-model" in answer.stderr
        assert MODEL in answer.stderr, "it says which there are"


def test_unknown_version_is_named(govern: Govern, untested: Untested) -> None:
    answer = govern("approve", f"{UNTESTED}/99", "--stage", "test", "--as", "ai-engineer")
    assert answer.returncode == 1
    assert "99" in answer.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("approve", f"{MODEL}/1", "--stage", "test", "--as", "boss"),
        ("approve", f"{MODEL}/1", "--stage", "moon", "--as", "ai-engineer"),
        ("approve", MODEL, "--stage", "test", "--as", "ai-engineer"),
        ("approve", f"{MODEL}/1", "--stage", "prod", "--as", "governance-engineer"),
        ("approve", f"{MODEL}/latest", "--stage", "test", "--as", "ai-engineer"),
        (
            *("provision", "another-model", "--project", "p", "--tier", "high"),
            *("--dev", "12345", "--test", "777788889999", "--prod", "123456789012"),
            *("--endpoint-name", "another"),
        ),
    ],
    ids=["persona", "stage", "no-version", "no-reason", "version", "account"],
)
def test_command_that_cannot_be_right_is_a_usage_error(
    govern: Govern, wrong: tuple[str, ...]
) -> None:
    answer = govern(*wrong)
    assert answer.returncode == 2
    assert answer.stderr.startswith("Error:")


def test_without_an_organisation_it_says_how_to_start_one(tmp_path: Path) -> None:
    answer = _govern(str(tmp_path / "nothing"), "status")
    assert answer.returncode == 3
    assert "not running" in answer.stderr
    assert "make demo" in answer.stderr
