"""govern recall: what is shown first, what is set, and that one failure stops no other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import ANY
from click.testing import CliRunner, Result

from cli import approvals, recalls
from cli.errors import GovernError
from cli.main import cli
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
    described,
    directory,
    entry,
)
from tests.unit.cli.test_endpoints import live
from tests.unit.cli.test_read import PROMOTED, RELEASED, scans

Govern = Callable[..., Result]
PART = "dataset-version:v-1"
ASKED = ("recall", "--dataset-version", "v-1", "--as", "governance-engineer")
BECAUSE = ("--because", "labels swapped")
METADATA = {"candidate-id": CANDIDATE, "dataset-version-id": "v-1"}


def holds(reader: Stubbed, part: str, *arns: str, mark: bool = False) -> None:
    """The next look-up of a part finds these versions."""
    rows = [
        {
            **{"part": part, "holder": one, "model": MODEL, "exact": PART},
            # A candidate is one version of Central.
            "candidate_id": CANDIDATE
            if one == arns[0]
            else hashlib.sha256(one.encode()).hexdigest(),
        }
        for one in arns
    ]
    if mark:
        rows.append({"part": part, "holder": "recalled", "model": MODEL, "reason": "r"})
    reader.stub("dynamodb").add_response("query", {"Items": [items.to_item(row) for row in rows]})


def story(reader: Stubbed, *entries: dict[str, Any]) -> None:
    """The next read of one version's entries; the newest first."""
    rows = [items.to_item(samples.row(one)) for one in entries]
    reader.stub("dynamodb").add_response("query", {"Items": rows})


def head(reader: Stubbed, number: int) -> None:
    reader.stub("dynamodb").add_response(
        "get_item", {"Item": items.to_item({"model": MODEL, "head": number})}
    )


def recalled(number: int, version: int, of: str | None = PART, **more: Any) -> dict[str, Any]:
    said = {"recall": {"of": of}} if of else {}
    return entry(
        number, "VersionRecalled", version, stage="Prod", stage_status="Recalled", **said, **more
    )


def takes_back(
    session: Stubbed, version: int, because: str = "labels swapped", **more: Any
) -> None:
    """The persona looks at the version and recalls it."""
    found = described(version, CustomerMetadataProperties=more.pop("metadata", METADATA))
    sagemaker = session.stub("sagemaker")
    sagemaker.add_response("describe_model_package", found)
    sagemaker.add_response(
        "update_model_package",
        {"ModelPackageArn": arn(version)},
        {
            "ModelPackageArn": arn(version),
            "ModelLifeCycle": {
                "Stage": "Prod",
                "StageStatus": "Recalled",
                "StageDescription": BECAUSE[1],
            },
            "ModelApprovalStatus": "Rejected",
            "ApprovalDescription": BECAUSE[1],
            "CustomerMetadataProperties": ANY,
            **more,
        },
    )


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, where: list[Any]) -> list[dict[str, Any]]:
    """The endpoints of every account; nothing serves unless a test puts it in."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr("cli.endpoints.in_accounts", lambda observe, accounts: (found, []))
    return found


@pytest.fixture
def two(reader: Stubbed) -> None:
    """Two versions of Central and one of Dev hold the part."""
    holds(reader, PART, arn(1), arn(2), arn(4, DEV), mark=True)
    story(reader, RELEASED, PROMOTED)
    story(reader, entry(2, "ValidationFailed", 2, stage="Test", stage_status="Failed"))
    story(reader)
    scans(reader, directory())


def test_first_all_of_it_is_shown_and_nothing_is_done(
    govern: Govern, seen: list[dict[str, Any]], two: None
) -> None:
    seen += [live(), live(endpoint_name="other", variants=[])]
    result = govern(*ASKED, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    radius = found["blast_radius"]
    rows = [(row["registry"], row["version"], row["phase"]) for row in radius["versions"]]
    assert rows == [
        ("Central", 1, "Prod/Deployed"),
        ("Central", 2, "Test/Failed"),
        ("Dev", 4, None),
    ]
    assert [row["endpoint_name"] for row in radius["endpoints"]] == ["clinical-risk"]
    assert found["recalled"] == found["still_serving"] == []
    assert found["blast_radius_sha256"] == recalls.digest(radius)


def test_people_see_a_table_and_are_asked(
    seen: list[dict[str, Any]], two: None, where: list[Any]
) -> None:
    seen.append(live())
    result = CliRunner().invoke(cli, [*ASKED, *BECAUSE], input="n\n", prog_name="govern")
    assert result.exit_code == 1
    for told in (f"Blast radius of {PART}", f"{MODEL}/1", "gates refuse it", "clinical-risk"):
        assert told in result.output
    assert "Recall 2 versions?" in result.output


def test_every_version_of_central_is_recalled_and_awaited(
    govern: Govern,
    seen: list[dict[str, Any]],
    two: None,
    reader: Stubbed,
    session: Stubbed,
    tmp_path: Path,
) -> None:
    head(reader, 6)
    takes_back(session, 1)
    takes_back(session, 2)
    story(reader, recalled(7, 1), recalled(8, 2))
    story(reader, recalled(7, 1), recalled(8, 2))
    file = tmp_path / "radius.json"
    result = govern(*ASKED, *BECAUSE, "--yes", "--json", "--report", str(file))
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert [(one["version"], one["outcome"], one["entry"]) for one in found["recalled"]] == [
        (1, "recalled", 7),
        (2, "recalled", 8),
    ]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == found["blast_radius_sha256"]


def test_one_that_fails_stops_no_other_and_is_named(
    govern: Govern, seen: list[dict[str, Any]], two: None, reader: Stubbed, session: Stubbed
) -> None:
    head(reader, 6)
    sagemaker = session.stub("sagemaker")
    sagemaker.add_response("describe_model_package", described(1))
    sagemaker.add_client_error("update_model_package", "ThrottlingException", "slow down")
    takes_back(session, 2)
    story(reader, recalled(8, 2))
    result = govern(*ASKED, *BECAUSE, "--yes", "--json")
    assert result.exit_code == 1
    first, second = json.loads(result.output)["recalled"]
    assert (first["outcome"], second["outcome"]) == ("failed", "recalled")
    assert "slow down" in first["problem"]


def test_what_is_set_and_not_recorded_is_told(
    govern: Govern,
    seen: list[dict[str, Any]],
    reader: Stubbed,
    session: Stubbed,
) -> None:
    holds(reader, PART, arn(1))
    story(reader, RELEASED)
    scans(reader, directory())
    head(reader, 6)
    takes_back(session, 1)
    story(reader)
    result = govern(*ASKED, *BECAUSE, "--yes", "--json", "--timeout", "0.000001")
    assert result.exit_code == 1
    (one,) = json.loads(result.output)["recalled"]
    assert one["outcome"] == "not recorded"
    assert "is not recorded within" in one["problem"]


def test_an_endpoint_that_still_serves_it_is_no_success(
    govern: Govern, seen: list[dict[str, Any]], reader: Stubbed, session: Stubbed
) -> None:
    seen.append(live())
    holds(reader, PART, arn(1))
    story(reader, RELEASED)
    scans(reader, directory())
    head(reader, 6)
    takes_back(session, 1)
    story(reader, recalled(7, 1))
    result = govern(*ASKED, *BECAUSE, "--yes")
    assert result.exit_code == 1
    assert f"clinical-risk in {PROD} still serves what is recalled" in result.output


def test_what_was_recalled_for_this_already_is_left(
    govern: Govern, seen: list[dict[str, Any]], reader: Stubbed
) -> None:
    holds(reader, PART, arn(1))
    story(reader, recalled(7, 1), RELEASED)
    scans(reader, directory())
    result = govern(*ASKED, *BECAUSE, "--yes", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["recalled"] == []


def test_what_was_recalled_for_something_else_is_recalled_again(
    govern: Govern, seen: list[dict[str, Any]], reader: Stubbed, session: Stubbed
) -> None:
    holds(reader, PART, arn(1))
    story(reader, recalled(7, 1, of="library:numpy==1"), RELEASED)
    scans(reader, directory())
    head(reader, 7)
    takes_back(session, 1)
    story(reader, recalled(8, 1))
    assert govern(*ASKED, *BECAUSE, "--yes").exit_code == 0


def test_a_version_is_recalled_with_all_that_have_its_bytes(
    govern: Govern, seen: list[dict[str, Any]], reader: Stubbed, session: Stubbed
) -> None:
    candidate, model_data = f"candidate:{CANDIDATE}", f"model-data:{'a' * 64}"
    before = {"recall-of": "library:numpy==1"}
    found = described(1, CustomerMetadataProperties=METADATA)
    session.stub("sagemaker").add_response("describe_model_package", found)
    item = {"candidate_id": CANDIDATE, "model": MODEL, "parts": [candidate, model_data, PART]}
    reader.stub("dynamodb").add_response("get_item", {"Item": items.to_item(item)})
    holds(reader, candidate, arn(1))
    holds(reader, model_data, arn(1), arn(3))
    story(reader, RELEASED)
    story(reader)
    scans(reader, directory())
    head(reader, 6)
    takes_back(session, 1)
    takes_back(session, 3, metadata=before, CustomerMetadataPropertiesToRemove=["recall-of"])
    story(reader, recalled(7, 1, None), recalled(8, 3, None))
    story(reader, recalled(7, 1, None), recalled(8, 3, None))
    result = govern(
        *("recall", f"{MODEL}/1", "--as", "governance-engineer", "--yes", "--json"), *BECAUSE
    )
    assert result.exit_code == 0, result.output
    answer = json.loads(result.output)
    assert [one["version"] for one in answer["recalled"]] == [1, 3]
    assert {one["part"] for one in answer["blast_radius"]["versions"]} == {None}


def test_what_the_registry_is_told(session: Stubbed) -> None:
    """The whole map of metadata: AWS does not say whether an update replaces it."""
    sagemaker = session.stub("sagemaker")
    sagemaker.add_response(
        "describe_model_package", described(1, CustomerMetadataProperties=METADATA)
    )
    expected = METADATA | {"recall-blast-radius": "b" * 64, "recall-of": PART}
    sagemaker.add_response(
        "update_model_package",
        {"ModelPackageArn": arn(1)},
        {
            "ModelPackageArn": arn(1),
            "ModelLifeCycle": ANY,
            "ModelApprovalStatus": "Rejected",
            "ApprovalDescription": "why",
            "CustomerMetadataProperties": expected,
        },
    )
    row = {"model_package_arn": arn(1), "part": PART}
    recalls.recall(session, row, "why", "b" * 64)


def test_what_only_dev_has_cannot_be_recalled_and_that_is_said(
    govern: Govern, seen: list[dict[str, Any]], reader: Stubbed
) -> None:
    holds(reader, PART, arn(4, DEV))
    story(reader)
    scans(reader, directory())
    result = govern(*ASKED, *BECAUSE, "--yes")
    assert result.exit_code == 1
    assert f"only versions of Dev hold {PART}: {MODEL}/4" in result.output
    assert "govern reject" in result.output


def test_nothing_that_holds_it_is_an_answer_that_says_so(
    govern: Govern, seen: list[dict[str, Any]], reader: Stubbed
) -> None:
    holds(reader, PART)
    result = govern(*ASKED, "--dry-run", "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["error"]["code"] == "not_found"


def test_who_may_not_is_told_who_may(session: Stubbed) -> None:
    sagemaker = session.stub("sagemaker")
    sagemaker.add_response("describe_model_package", described(1))
    sagemaker.add_client_error("update_model_package", "AccessDeniedException", "no")
    with pytest.raises(GovernError) as refused:
        recalls.recall(session, {"model_package_arn": arn(1), "part": None}, "why", "b" * 64)
    assert refused.value.code == "access_denied"
    assert "--as governance-engineer" in refused.value.hint


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing was named"),
        ((f"{MODEL}/1", "--library", "numpy"), "2 was named"),
        (("--image", "sha256:12"), "no digest of an image"),
        (("--library", "==1"), "names no library"),
        (("--library", "numpy=="), "names no library"),
        (("--dataset-version", "v-1"), "needs a reason"),
        (("--dataset-version", "v-1", "--because", "x" * 1025), "1025 characters"),
        (("--dataset-version", "v-1", "--because", "x", "--json"), "--json asks nobody"),
    ],
)
def test_wrong_calls_are_refused_before_anything_is_read(
    govern: Govern, where: list[Any], arguments: tuple[str, ...], said: str
) -> None:
    result = govern("recall", *arguments, "--as", "governance-engineer")
    assert result.exit_code == 2
    assert said in result.output
    assert where == []


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"dataset": "a" * 64}, f"dataset:{'a' * 64}"),
        ({"dataset": "3sL4kqtJ"}, "dataset-version:3sL4kqtJ"),
        ({"image": f"sha256:{'b' * 64}"}, f"image:sha256:{'b' * 64}"),
        ({"library": "Scikit_Learn==1.9.1"}, "library:scikit-learn==1.9.1"),
        ({"library": "numpy"}, "library:numpy"),
    ],
)
def test_a_part_is_named_as_people_know_it(given: dict[str, str], part: str) -> None:
    everything = {"reference": None, "dataset": None, "image": None, "library": None}
    assert recalls.subject(**(everything | given)) == (None, part)


def test_every_account_of_every_project_is_looked_at(
    govern: Govern, reader: Stubbed, where: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def in_accounts(observe: Any, accounts: list[str]) -> tuple[list[Any], list[dict[str, str]]]:
        looked.extend(accounts)
        return [], [{"account": TEST, "problem": "no such role"}]

    monkeypatch.setattr("cli.endpoints.in_accounts", in_accounts)
    holds(reader, PART, arn(1))
    story(reader, RELEASED)
    elsewhere = {"dev": DEV, "test": "222233334444", "prod": "333344445555"}
    scans(reader, directory(), directory(model="other", accounts=elsewhere))
    result = govern(*ASKED, "--dry-run")
    assert result.exit_code == 0, result.output
    dev = {str(directory()["accounts"]["dev"]), str(elsewhere["dev"])}
    assert looked == sorted({*dev, TEST, PROD, "222233334444", "333344445555"})
    assert f"Account {TEST} could not be looked at: no such role" in result.output
    assert CENTRAL not in looked


# ---------------------------------------------------------------- with --roll-back


class Swaps:
    """What `govern rollback` is asked for, and how each ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.ends: dict[str, dict[str, Any] | GovernError | list[dict[str, Any]]] = {}
        monkeypatch.setattr("cli.rollbacks.model_of", lambda reader, name: {"model": MODEL})
        monkeypatch.setattr("cli.rollbacks.ask", self._ask)
        monkeypatch.setattr("cli.approvals.follow", self._follow)

    def _ask(self, where: Any, name: str, because: str, to: int | None) -> approvals.Decision:
        assert (because, to) == (BECAUSE[1], None)
        self.asked.append(name)
        fields = {"stage": "Prod", "stage_status": "Rollback-Requested", "because": because}
        return approvals.Decision(
            model=MODEL,
            version=1,
            model_package_arn=arn(1),
            workflow="rollback_model",
            before="Prod/Deployed",
            changed_before="2026-01-31T12:00:00Z",
            **fields,
        )

    def _follow(self, reader: Any, decision: Any, **more: Any) -> dict[str, Any]:
        end = self.ends[self.asked[-1]]
        if isinstance(end, GovernError):
            raise end
        return end.pop(0) if isinstance(end, list) else end


@pytest.fixture
def swaps(monkeypatch: pytest.MonkeyPatch) -> Swaps:
    return Swaps(monkeypatch)


def rolled_back(to: int = 7) -> dict[str, Any]:
    swap = {"from": arn(1), "to": arn(to), "seconds": 9}
    return entry(9, "CandidateRolledBack", stage="Prod", stage_status="RolledBack", rollback=swap)


def _two_of_which_one_serves(reader: Stubbed) -> None:
    holds(reader, PART, arn(1), arn(2))
    story(reader, RELEASED)
    story(reader, entry(2, "ValidationFailed", 2, stage="Test", stage_status="Failed"))
    scans(reader, directory())


def test_what_serves_is_taken_back_before_it_is_recalled_and_after_the_rest(
    govern: Govern, seen: list[dict[str, Any]], reader: Stubbed, session: Stubbed, swaps: Swaps
) -> None:
    """Nothing may go back to a version that is about to be recalled."""
    seen.append(live())
    swaps.ends["clinical-risk"] = rolled_back()
    _two_of_which_one_serves(reader)
    scans(reader, directory())
    head(reader, 6)
    # The one that serves nowhere comes first.
    takes_back(session, 2)
    story(reader, recalled(7, 2))
    head(reader, 7)
    head(reader, 9)
    takes_back(session, 1)
    story(reader, recalled(10, 1))
    result = govern(*ASKED, *BECAUSE, "--yes", "--roll-back", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert [one["version"] for one in found["recalled"]] == [2, 1]
    assert swaps.asked == ["clinical-risk"]
    (swap,) = found["rolled_back"]
    assert (swap["outcome"], swap["to"]) == ("rolled back", arn(7))
    assert found["still_serving"] == []


def test_what_has_no_way_back_is_recalled_all_the_same_and_told(
    govern: Govern, seen: list[dict[str, Any]], reader: Stubbed, session: Stubbed, swaps: Swaps
) -> None:
    seen.append(live())
    swaps.ends["clinical-risk"] = GovernError("rejected", "nothing good to go back to")
    _two_of_which_one_serves(reader)
    scans(reader, directory())
    head(reader, 6)
    takes_back(session, 2)
    story(reader, recalled(7, 2))
    head(reader, 7)
    head(reader, 8)
    takes_back(session, 1)
    story(reader, recalled(9, 1))
    result = govern(*ASKED, *BECAUSE, "--yes", "--roll-back")
    assert result.exit_code == 1
    for told in ("not rolled back", "nothing good to go back to", "still serves what is recalled"):
        assert told in result.output


def test_only_the_projects_own_endpoints_of_prod_are_taken_back(
    govern: Govern, seen: list[dict[str, Any]], reader: Stubbed, session: Stubbed, swaps: Swaps
) -> None:
    by_hand = live(endpoint_name="by-hand", endpoint_arn="arn:by-hand")
    in_test = live(endpoint_arn="arn:test", account=TEST)
    seen += [by_hand, in_test]
    holds(reader, PART, arn(1))
    story(reader, RELEASED)
    scans(reader, directory())
    scans(reader, directory())
    head(reader, 6)
    takes_back(session, 1)
    story(reader, recalled(7, 1))
    result = govern(*ASKED, *BECAUSE, "--yes", "--roll-back", "--json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert (swaps.asked, found["rolled_back"]) == ([], [])
    assert {row["endpoint_arn"] for row in found["still_serving"]} == {"arn:by-hand", "arn:test"}


def test_what_a_test_runs_on_is_recalled_before_prod_could_go_back_to_it(
    govern: Govern, seen: list[dict[str, Any]], reader: Stubbed, session: Stubbed, swaps: Swaps
) -> None:
    before = hashlib.sha256(arn(2).encode()).hexdigest()
    variant = live()["variants"][0] | {"version": 2, "candidate_id": before}
    variant |= {"model_package_arn": arn(2)}
    in_test = live(endpoint_arn="arn:test", account=TEST, variants=[variant])
    seen += [live(), in_test]
    swaps.ends["clinical-risk"] = rolled_back()
    _two_of_which_one_serves(reader)
    scans(reader, directory())
    head(reader, 6)
    takes_back(session, 2)
    story(reader, recalled(7, 2))
    head(reader, 7)
    head(reader, 9)
    takes_back(session, 1)
    story(reader, recalled(10, 1))
    result = govern(*ASKED, *BECAUSE, "--yes", "--roll-back", "--json")
    # The Test endpoint goes with its run.
    assert result.exit_code == 1, result.output
    found = json.loads(result.output)
    assert [one["version"] for one in found["recalled"]] == [2, 1]
    assert [row["endpoint_arn"] for row in found["still_serving"]] == ["arn:test"]


def test_a_trials_endpoint_does_not_stay_on_the_champion_that_is_recalled_too(
    govern: Govern, seen: list[dict[str, Any]], reader: Stubbed, session: Stubbed, swaps: Swaps
) -> None:
    champion = hashlib.sha256(arn(2).encode()).hexdigest()
    challenger = live()["variants"][0]
    other = challenger | {"version": 2, "candidate_id": champion, "model_package_arn": arn(2)}
    seen.append(live(variants=[challenger, other]))
    swaps.ends["clinical-risk"] = [rolled_back(to=2), rolled_back(to=7)]
    _two_of_which_one_serves(reader)
    scans(reader, directory())
    # Both serve, so neither is recalled before the first swap.
    head(reader, 6)
    head(reader, 9)
    takes_back(session, 1)
    story(reader, recalled(10, 1))
    head(reader, 10)
    head(reader, 12)
    takes_back(session, 2)
    story(reader, recalled(13, 2))
    result = govern(*ASKED, *BECAUSE, "--yes", "--roll-back", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert [one["version"] for one in found["recalled"]] == [1, 2]
    assert swaps.asked == ["clinical-risk"] * 2
    (swap,) = found["rolled_back"]
    assert (swap["outcome"], swap["to"]) == ("rolled back", arn(7))
    assert found["still_serving"] == []
