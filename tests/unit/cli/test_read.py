"""status and history: what the ledger and the registry say, as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from cli import board, ledger, present
from governance.adapters import items
from tests.contracts import samples
from tests.unit.cli.conftest import (
    CANDIDATE,
    CENTRAL,
    DEV,
    MODEL,
    PROD,
    TEST,
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
ENDPOINT = {
    "endpoint_name": "clinical-risk",
    "endpoint_arn": f"arn:aws:sagemaker:us-east-1:{PROD}:endpoint/clinical-risk",
    "account": PROD,
}
PROMOTED = entry(
    1,
    "CandidatePromoted",
    stage="Test",
    stage_status="PendingApproval",
    origin_arn=arn(4, DEV),
    candidate_id=CANDIDATE,
    approver=by("dana"),
)
RELEASED = entry(
    5,
    "CandidateReleased",
    stage="Prod",
    stage_status="Deployed",
    candidate_id=CANDIDATE,
    approver=by("grace"),
    endpoint=ENDPOINT,
)
REJECTED_IN_DEV = entry(
    6,
    "PromotionRejected",
    stage="Dev",
    stage_status="Rejected",
    model_package_arn=arn(5, DEV),
    candidate_id="bad" + "0" * 61,
    approver=by("theo"),
    verdict=denied(),
)


def lists(session: Stubbed, *summaries: dict[str, Any]) -> None:
    session.stub("sagemaker").add_response(
        "list_model_packages", {"ModelPackageSummaryList": list(summaries)}
    )


def scans(reader: Stubbed, *projects: dict[str, Any]) -> None:
    reader.stub("dynamodb").add_response(
        "scan", {"Items": [items.to_item(project) for project in projects]}
    )


def test_status_has_every_version_and_what_prod_serves(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    scans(reader, directory())
    knows(reader, PROMOTED, RELEASED, REJECTED_IN_DEV)
    lists(reader, summary(1, "Prod/Deployed"))
    result = govern("status", "--json")
    assert result.exit_code == 0, result.output
    assert where[0].persona == "governance-engineer"
    found = json.loads(result.output)
    central, promoted, rejected = found["versions"]
    assert central == {
        "model": MODEL,
        "registry": "Central",
        "version": 1,
        "stage": "Prod",
        "stage_status": "Deployed",
        "candidate_id": CANDIDATE,
        "since": RELEASED["recorded_at"],
        "approver": "grace",
        "model_package_arn": arn(1),
    }
    assert (promoted["registry"], promoted["version"], promoted["stage_status"]) == (
        "Dev",
        4,
        "Approved",
    )
    assert (rejected["version"], rejected["stage_status"], rejected["approver"]) == (
        5,
        "Rejected",
        "theo",
    )
    assert found["endpoints"] == [
        {
            "endpoint_name": "clinical-risk",
            "endpoint_arn": RELEASED["endpoint"]["endpoint_arn"],
            "account": PROD,
            "model": MODEL,
            "version": 1,
            "candidate_id": CANDIDATE,
            "since": RELEASED["recorded_at"],
            "approver": "grace",
            "model_package_arn": arn(1),
            "stage": "Prod",
            # Nobody could look at the account.
            **dict.fromkeys(("status", "execution", "deployment", "trial", "alarm", "back")),
            "bake": {"outcome": "quiet", "version": 1, "at": RELEASED["recorded_at"], "said": None},
            "variants": [],
            "differs": False,
        }
    ]
    assert {one["account"] for one in found["not_looked_at"]} == {TEST, PROD}
    (model,) = found["models"]
    assert [(one["version"], one["stage_status"]) for one in model["prod"]] == [(1, "Deployed")]
    assert [(one["version"], one["stage_status"]) for one in model["dev"]] == [(5, "Rejected")]
    assert (model["test"], model["risk_tier"]) == ([], "high")


SUPERSEDED = entry(
    7,
    "CandidateSuperseded",
    stage="Prod",
    stage_status="Superseded",
    candidate_id=CANDIDATE,
    approver=by("gina"),
)
SUCCESSOR = entry(
    8,
    "CandidateReleased",
    version=2,
    stage="Prod",
    stage_status="Deployed",
    candidate_id="c" * 64,
    approver=by("gina"),
    endpoint=ENDPOINT,
)


@pytest.mark.parametrize(
    ("at", "stands", "serves"),
    [
        ("2026-01-31T12:00:00", [], []),
        ("2026-01-31T12:00:04", [(1, "PendingApproval", "dana")], []),
        ("2026-01-31T12:00:05Z", [(1, "Deployed", "grace")], [(1, "grace")]),
        ("2026-01-31T13:00:07+01:00", [(1, "Superseded", "grace")], [(1, "grace")]),
        ("2026-01-31", [(1, "Superseded", "grace"), (2, "Deployed", "gina")], [(2, "gina")]),
    ],
)
def test_status_at_a_time_is_what_the_ledger_knew_then(
    govern: Govern,
    where: list[Any],
    reader: Stubbed,
    at: str,
    stands: list[tuple[int, str, str]],
    serves: list[tuple[int, str]],
) -> None:
    provisioned(reader, directory())
    knows(reader, PROMOTED, RELEASED, SUPERSEDED, SUCCESSOR)
    result = govern("status", MODEL, "--at", at, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    central = [row for row in found["versions"] if row["registry"] == "Central"]
    assert [(r["version"], r["stage_status"], r["approver"]) for r in central] == stands
    assert [(row["version"], row["approver"]) for row in found["endpoints"]] == serves


ROLLED_BACK = entry(
    9,
    "CandidateRolledBack",
    version=2,
    stage="Prod",
    stage_status="RolledBack",
    endpoint=ENDPOINT,
    rollback={"from": arn(2), "to": arn(1), "trigger": "alarm", "seconds": 40},
)
# An alarm took it back: nobody approved that.
RESTORED = entry(
    10,
    "CandidateRestored",
    stage="Prod",
    stage_status="Deployed",
    candidate_id=CANDIDATE,
    endpoint=ENDPOINT,
    rollback={"from": arn(2), "to": arn(1), "trigger": "alarm", "seconds": 40},
    reason="alarm server-errors",
)
SUPERSEDED_AGAIN = entry(
    11, "CandidateSuperseded", stage="Prod", stage_status="Superseded", approver=by("greta")
)
THIRD = entry(
    12,
    "CandidateReleased",
    version=3,
    stage="Prod",
    stage_status="Deployed",
    candidate_id="e" * 64,
    approver=by("greta"),
    endpoint=ENDPOINT,
)
SWAPS = (PROMOTED, RELEASED, SUPERSEDED, SUCCESSOR, ROLLED_BACK, RESTORED, SUPERSEDED_AGAIN, THIRD)


@pytest.mark.parametrize(
    ("second", "serves", "approver", "back", "stands"),
    [
        (4, None, None, None, ["PendingApproval"]),
        (5, 1, "grace", None, ["Deployed"]),
        (8, 2, "gina", None, ["Superseded", "Deployed"]),
        (9, 2, "gina", None, ["Superseded", "RolledBack"]),
        (10, 1, "grace", (2, "alarm"), ["Deployed", "RolledBack"]),
        (11, 1, "grace", (2, "alarm"), ["Superseded", "RolledBack"]),
        (12, 3, "greta", None, ["Superseded", "RolledBack", "Deployed"]),
    ],
)
def test_what_served_at_a_time_and_who_approved_it_through_a_rollback(
    govern: Govern,
    where: list[Any],
    reader: Stubbed,
    second: int,
    serves: int | None,
    approver: str | None,
    back: tuple[int, str] | None,
    stands: list[str],
) -> None:
    provisioned(reader, directory())
    knows(reader, *SWAPS)
    result = govern("status", MODEL, "--at", f"2026-01-31T12:00:{second:02d}", "--json")
    found = json.loads(result.output)
    said = [(one["version"], one["approver"]) for one in found["endpoints"]]
    assert said == ([] if serves is None else [(serves, approver)])
    swaps = [
        (one["back"]["from"], one["back"]["trigger"]) for one in found["endpoints"] if one["back"]
    ]
    assert swaps == ([] if back is None else [back])
    central = [row for row in found["versions"] if row["registry"] == "Central"]
    assert [row["stage_status"] for row in central] == stands
    if back:
        assert central[0]["approver"] == "grace", "an alarm is nobody who approves"


def test_the_board_of_then_says_why_it_served_again(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    provisioned(reader, directory())
    knows(reader, *SWAPS)
    text = " ".join(govern("status", MODEL, "--at", "2026-01-31T12:00:10").output.split())
    assert f"clinical-risk: taken back from {MODEL}/2 by alarm: alarm server-errors" in text


def test_the_board_says_of_what_was_put_back_by_hand_that_nobody_is_known(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    provisioned(reader, directory())
    nobody = {**by(""), "persona": None}
    swap = {**RESTORED["rollback"], "trigger": "endpoint"}
    found = {"kind": "CandidateInService", "approver": nobody, "rollback": swap}
    knows(reader, *SWAPS[: SWAPS.index(RESTORED)], {**RESTORED, **found, "reason": "found to"})
    text = " ".join(govern("status", MODEL, "--at", "2026-01-31T12:00:10").output.split())
    assert f"clinical-risk: taken back from {MODEL}/2 by somebody: found to" in text


@pytest.mark.parametrize(
    "cleared",
    [
        entry(3, "ClearanceGranted", stage="Test", stage_status="Validating"),
        entry(3, "ClearanceRevoked", stage="Test", stage_status="Validating", reason="entry 2"),
        entry(3, "ClearanceGranted", stage="Prod", stage_status="Releasing"),
    ],
    ids=["granted", "revoked", "of another phase"],
)
@pytest.mark.parametrize("at", [False, True], ids=["now", "at a time"])
def test_a_clearance_says_neither_since_when_nor_by_whom(
    govern: Govern, where: list[Any], reader: Stubbed, cleared: dict[str, Any], at: bool
) -> None:
    validating = {"stage": "Test", "stage_status": "Validating", "approver": by("alex")}
    started = entry(2, "ValidationStarted", candidate_id=CANDIDATE, **validating)
    provisioned(reader, directory())
    knows(reader, PROMOTED, started, cleared)
    if not at:
        lists(reader, summary(1, "Test/Validating"))
    result = govern("status", MODEL, *(["--at", "2026-01-31"] if at else []), "--json")
    assert result.exit_code == 0, result.output
    row = next(row for row in json.loads(result.output)["versions"] if row["registry"] == "Central")
    assert (row["stage_status"], row["since"], row["approver"]) == (
        "Validating",
        started["recorded_at"],
        "alex",
    )


def test_history_at_a_time_ends_there(govern: Govern, where: list[Any], reader: Stubbed) -> None:
    provisioned(reader, directory())
    knows(reader, PROMOTED, RELEASED, SUPERSEDED, SUCCESSOR)
    result = govern("history", MODEL, "--at", "2026-01-31T12:00:05", "--json")
    assert [entry["sequence"] for entry in json.loads(result.output)["entries"]] == [1, 5]


@pytest.mark.parametrize(
    ("at", "said"), [("yesterday", "is not a time"), ("2999-01-01", "is in the future")]
)
def test_a_time_that_is_none_is_refused(govern: Govern, at: str, said: str) -> None:
    for command in (("status",), ("history", MODEL)):
        result = govern(*command, "--at", at)
        assert result.exit_code == 2
        assert said in result.output


def test_status_table_shows_the_same(govern: Govern, where: list[Any], reader: Stubbed) -> None:
    provisioned(reader, directory())
    knows(reader, PROMOTED, RELEASED)
    lists(reader, summary(1, "Prod/Deployed"))
    lines = [line.split() for line in govern("status", MODEL).output.splitlines() if line.strip()]
    seen = RELEASED["recorded_at"].replace("Z", "").split("T")
    short = CANDIDATE[:12]
    assert [MODEL, "Central", "1", "Prod", "Deployed", short, *seen, "grace"] in lines
    row = ["clinical-risk", f"{MODEL}/1", short, "-", seen[0], seen[1][:5], "grace"]
    assert [*row, "not", "looked", "at"] in lines
    assert ["Endpoints", "in", "Prod", PROD] in lines


@pytest.mark.parametrize(
    ("role", "approver"), [("governed-path-ai-engineer", "alex"), ("governed-path-registry", None)]
)
def test_status_asks_the_version_itself_while_the_ledger_does_not_know(
    govern: Govern, where: list[Any], reader: Stubbed, role: str, approver: str | None
) -> None:
    """A person has approved and the workflow has not recorded anything yet."""
    provisioned(reader, directory())
    knows(reader)
    lists(reader, summary(1, "Test/Approved"))
    arn_of_session = f"arn:aws:sts::{CENTRAL}:assumed-role/{role}/alex"
    reader.stub("sagemaker").add_response(
        "describe_model_package",
        described(
            LastModifiedBy={"IamIdentity": {"Arn": arn_of_session, "PrincipalId": "A:alex"}},
            CustomerMetadataProperties={"candidate-id": CANDIDATE},
        ),
    )
    (row,) = json.loads(govern("status", MODEL, "--json").output)["versions"]
    assert (row["since"], row["approver"], row["candidate_id"]) == (
        "2026-01-31T12:00:00Z",
        approver,
        CANDIDATE,
    )


def test_a_data_scientist_sees_all_of_dev(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    provisioned(reader, directory())
    knows(reader, PROMOTED)
    lists(reader, summary(1, "Test/PendingApproval"))
    lists(session, summary(5, "Dev/Registered", DEV), summary(4, "Dev/Approved", DEV))
    found = json.loads(govern("status", MODEL, "--as", "data-scientist", "--json").output)
    dev = [row for row in found["versions"] if row["registry"] == "Dev"]
    assert [(row["version"], row["stage_status"], row["candidate_id"]) for row in dev] == [
        (4, "Approved", CANDIDATE),
        (5, "Registered", None),
    ]


def test_the_successors_approver_is_not_the_superseded_versions() -> None:
    released = {**RELEASED, "sequence": 2, "approver": by("grace")}
    newer = entry(9, "CandidateReleased", 2, endpoint=ENDPOINT, approver=by("gwen"))
    superseded = entry(
        8,
        "CandidateSuperseded",
        stage="Prod",
        stage_status="Superseded",
        approver=by("gwen"),
        endpoint=ENDPOINT,
    )
    found = [released, superseded, newer]
    row = board._row(Stubbed(), MODEL, summary(1, "Prod/Superseded"), found)
    assert (row["approver"], row["since"]) == ("grace", superseded["recorded_at"])
    assert [(e["version"], e["approver"]) for e in board.serving(found)] == [(2, "gwen")]


def test_who_rejected_it_while_it_was_released_is_on_the_board_and_was_then() -> None:
    release = {"stage": "Prod", "claim_id": "b" * 64, "approver": by("gwen")}
    rejected = entry(
        4,
        "VersionRejected",
        stage="Prod",
        stage_status="Rejected",
        approver=by("grace"),
        claim_id="c" * 64,
        decided_at="2026-01-31T13:00:00Z",
    )
    found = [
        entry(3, "ReleaseStarted", stage_status="Releasing", **release),
        rejected,
        entry(5, "ReleaseErrored", stage_status="Errored", **release),
    ]
    row = board._row(Stubbed(), MODEL, summary(1, "Prod/Rejected"), found)
    then = board._row_at(MODEL, row["model_package_arn"], found)
    for one in (row, then):
        assert (one["stage_status"], one["approver"]) == ("Rejected", "grace")
        assert one["since"] == rejected["recorded_at"]


def test_a_version_serves_from_the_moment_on_and_not_from_the_end_of_its_release() -> None:
    before = {**RELEASED, "sequence": 2, "claim_id": "a" * 64}
    claim = {"claim_id": "b" * 64, "endpoint": ENDPOINT, "approver": by("gwen")}
    serves = entry(8, "CandidateInService", 2, **claim)
    errored = entry(9, "ReleaseErrored", 2, **claim)
    (row,) = board.serving([before, serves, errored])
    assert (row["version"], row["since"]) == (2, serves["recorded_at"])
    released = entry(9, "CandidateReleased", 2, **claim)
    (row,) = board.serving([before, serves, released])
    assert (row["version"], row["since"], row["approver"]) == (2, serves["recorded_at"], "gwen")


def test_status_of_nothing_says_what_to_do(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    scans(reader)
    result = govern("status")
    assert result.exit_code == 0
    assert "govern provision" in result.output


@pytest.mark.parametrize("command", ["status", "history"])
def test_an_unknown_model_names_the_known_ones(
    govern: Govern, where: list[Any], reader: Stubbed, command: str
) -> None:
    provisioned(reader, None)
    scans(reader, directory(model="beta"), directory(model="alpha"))
    result = govern(command, "nope", "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "not_found")
    assert error["message"] == "no model 'nope' is provisioned; there is alpha, beta"


def test_history_is_a_table_with_the_reasons_below(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    provisioned(reader, directory())
    knows(reader, PROMOTED, REJECTED_IN_DEV)
    result = govern("history", MODEL)
    assert result.exit_code == 0, result.output
    lines = [line.strip() for line in result.output.splitlines()]
    table = [line.split() for line in lines]
    assert [
        *("1", "2026-01-31", "12:00:01", "CandidatePromoted"),
        *("Test", "PendingApproval", "Central", "1", "dana"),
    ] in table
    assert [
        *("6", "2026-01-31", "12:00:06", "PromotionRejected"),
        *("Dev", "Rejected", "Dev", "5", "theo"),
    ] in table
    below = lines[lines.index("#6 PromotionRejected") :]
    assert below == [
        "#6 PromotionRejected",
        "[approver_is_not_trainer] theo approved and theo trained",
        "expected: two different, known people",
        "remedy: Another AI Engineer approves the version",
    ]


@pytest.mark.parametrize(
    ("reference", "registry", "sequences"),
    [
        (MODEL, "central", [1, 5, 6]),
        (f"{MODEL}/1", "central", [1, 5]),
        # The same candidate by its number in Dev.
        (f"{MODEL}/4", "dev", [1, 5]),
        (f"{MODEL}/5", "dev", [6]),
    ],
)
def test_history_of_a_version_is_its_story_in_both_registries(
    govern: Govern,
    where: list[Any],
    reader: Stubbed,
    reference: str,
    registry: str,
    sequences: list[int],
) -> None:
    provisioned(reader, directory())
    everything = [PROMOTED, RELEASED, REJECTED_IN_DEV]
    knows(reader, *everything)
    result = govern("history", reference, "--registry", registry, "--json")
    found = json.loads(result.output)["entries"]
    told = [{**e, "previous": "0" * 64} for e in everything if e["sequence"] in sequences]
    assert found == told


def test_history_of_an_unknown_version_is_an_error(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    provisioned(reader, directory())
    knows(reader, PROMOTED)
    result = govern("history", f"{MODEL}/4")
    assert result.exit_code == 1
    assert "nothing about version 4 of the central registry" in result.output
    assert "--registry dev" in result.output


def test_history_of_a_model_without_entries_says_so(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    provisioned(reader, directory())
    knows(reader)
    result = govern("history", MODEL)
    assert (result.exit_code, result.output) == (0, f"The ledger has nothing about {MODEL} yet\n")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, []),
        ({"verdict": {"allowed": True, "reasons": []}}, []),
        ({"verdict": denied("a_rule")}, ["a_rule"]),
        ({"summary": {"metrics": {"auc": 0.8}}}, []),
        ({"summary": {"reasons": ["the endpoint did not serve"]}}, ["tests"]),
        ({"failure": {"Error": "States.Timeout"}}, ["States.Timeout"]),
        ({"failure": {"Cause": "[1]"}}, ["failure"]),
    ],
)
def test_reasons_come_from_verdict_tests_and_failure(
    more: dict[str, Any], expected: list[str]
) -> None:
    found = ledger.reasons(entry(1, "X", **more))
    assert [reason["rule"] for reason in found] == expected
    assert all(reason.keys() == {"rule", "fact", "expected", "remedy"} for reason in found)


def test_the_ledger_is_read_behind_a_sequence_page_by_page(reader: Stubbed) -> None:
    dynamodb = reader.stub("dynamodb")
    expected = {
        "TableName": "governed-path-ledger",
        "KeyConditionExpression": "model = :model AND #sequence > :after",
        "ExpressionAttributeNames": {"#sequence": "sequence"},
        "ExpressionAttributeValues": {":model": {"S": MODEL}, ":after": {"N": "3"}},
        "ConsistentRead": True,
    }
    key = {"model": {"S": MODEL}, "sequence": {"N": "4"}}
    first, second = (items.to_item(samples.row(entry(n, "ValidationStarted"))) for n in (4, 5))
    dynamodb.add_response("query", {"Items": [first], "LastEvaluatedKey": key}, expected)
    dynamodb.add_response("query", {"Items": [second]}, {**expected, "ExclusiveStartKey": key})
    assert [e["sequence"] for e in ledger.entries(reader, MODEL, after=3)] == [4, 5]


def test_a_ledger_that_was_changed_is_not_told_as_history(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    provisioned(reader, directory())
    changed = {**samples.row(PROMOTED), "kind": "CandidateReleased"}
    reader.stub("dynamodb").add_response("query", {"Items": [items.to_item(changed)]})
    result = govern("history", MODEL, "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "integrity")
    assert f"item 1 of model {MODEL} differs" in error["message"]
    assert "archive" in error["hint"]


def test_a_model_without_entries_has_head_0(reader: Stubbed) -> None:
    reader.stub("dynamodb").add_response("get_item", {})
    assert ledger.head(reader, MODEL) == 0


@pytest.mark.parametrize(
    ("status", "style"),
    [
        ("Deployed", "green"),
        ("Technical-Approved", "green"),
        ("Errored", "red"),
        ("Superseded", ""),
    ],
)
def test_a_status_has_its_colour(status: str, style: str) -> None:
    text = present.status_text(status)
    assert (text.plain, text.style) == (status, style)
