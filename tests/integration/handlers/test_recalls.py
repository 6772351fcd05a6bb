"""What a recall closes: the version, its bytes wherever they are registered, or a part of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from governance.adapters import items
from governance.adapters.ledger import Ledger
from governance.adapters.parts import Parts
from governance.domain import ledger, parts

from .test_decisions import BELLA, LATER, _decide, _story
from .test_promotion import Organisation, _arn, _gate_of_dev, _new, dev_bucket, here

__all__ = ["dev_bucket", "here"]  # fixtures
TABLE = "governed-path-parts"


@pytest.fixture
def made_of(here: Organisation) -> Organisation:
    """The version says which data and libraries it has, none of which another test has."""
    unique = uuid4().hex
    _libraries(here, {"NumPy": "2.4.6", f"lib_{unique}": "1.0"})
    metadata = here.registry.versions[here.arn]["CustomerMetadataProperties"]
    metadata["dataset-version-id"] = unique
    metadata["dataset-sha256"] = hashlib.sha256(unique.encode()).hexdigest()
    return here


def _libraries(here: Organisation, found: dict[str, str] | bytes) -> None:
    if not isinstance(found, bytes):
        found = json.dumps({"schema": "governed-path/libraries/v1", "libraries": found}).encode()
    stored = here._put("libraries.json", found)
    here.registry.versions[here.arn]["CustomerMetadataProperties"] |= {
        "libraries-uri": stored["uri"],
        "libraries-version-id": stored["version_id"],
        "libraries-sha256": stored["sha256"],
    }


def _part(here: Organisation, start: str) -> str:
    """The first of the version's parts that starts so."""
    promotion = here.claim()["promotion"]
    found = here.call("build_candidate", promotion=promotion)["candidate"]["parts"]
    return next(part for part in found if part.startswith(start))


def _recall(here: Organisation, arn: str, of: str | None = None, at: str = LATER) -> dict[str, Any]:
    metadata = here.registry.versions[arn]["CustomerMetadataProperties"]
    metadata |= {"recall-blast-radius": "b" * 64, **({"recall-of": of} if of else {})}
    return _decide(here, arn, "Recalled", BELLA, at, because="the data of two hospitals is mixed")


def _again(here: Organisation, body: bytes | None = None) -> None:
    """The version is registered once more, with its bytes under another key or with others."""
    here.arn = _arn(here.model, 2)
    stored = here._put("again.tar.gz", here.model.encode() if body is None else body)
    version = json.loads(json.dumps(here.registry.versions[_arn(here.model, 1)]))
    version["ModelPackageArn"] = here.arn
    version["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] = stored["uri"]
    version["CustomerMetadataProperties"] |= {
        "model-data-version-id": stored["version_id"],
        "model-data-sha256": stored["sha256"],
    }
    here.registry.versions[here.arn] = version


def _holders(aws: Callable[..., Any], part: str) -> set[str]:
    answer = aws("dynamodb").query(
        TableName=TABLE,
        KeyConditionExpression="part = :part",
        ExpressionAttributeValues={":part": {"S": part}},
    )
    return {str(items.from_item(item)["holder"]) for item in answer["Items"]}


def test_a_version_is_found_by_every_part_in_dev_and_in_central(
    made_of: Organisation, aws: Callable[..., Any]
) -> None:
    _new(made_of)
    _, candidate, central = made_of.promoted()
    library = _part(made_of, "library:lib-")
    for part in (*candidate["parts"], library.partition("==")[0]):
        found = {arn for arn in _holders(aws, part) if f"/{made_of.model}/" in arn}
        assert found == {_arn(made_of.model, 1), central}, part
    assert "library:numpy==2.4.6" in candidate["parts"]
    assert made_of.verified(central)["candidate"]["parts"] == candidate["parts"]


def test_the_bytes_of_a_recalled_version_are_refused_as_another_version(
    made_of: Organisation,
) -> None:
    assert _gate_of_dev(made_of)["allowed"]
    _, candidate, central = made_of.promoted()
    _recall(made_of, central)
    entry = _story(made_of, central)[0]
    assert (entry["kind"], entry["recall"]) == ("VersionRecalled", {"blast_radius": "b" * 64})
    _again(made_of)
    verdict = _gate_of_dev(made_of)
    assert [reason["rule"] for reason in verdict["reasons"]] == ["nothing_in_it_is_recalled"]
    said = verdict["reasons"][0]["fact"]
    assert f"model-data:{hashlib.sha256(made_of.model.encode()).hexdigest()}" in said
    assert "recalled by bella" in said
    assert "the data of two hospitals is mixed" in said
    assert candidate["candidate_id"] not in said


def test_other_bytes_of_the_same_model_are_not_recalled_with_it(made_of: Organisation) -> None:
    _, _, central = made_of.promoted()
    _recall(made_of, central)
    _again(made_of, b"repaired")
    assert _gate_of_dev(made_of)["allowed"]


@pytest.mark.parametrize("start", ["dataset-version:", "dataset:", "library:lib-"])
def test_what_was_recalled_is_refused_in_every_version_to_come(
    made_of: Organisation, start: str
) -> None:
    _, _, central = made_of.promoted()
    part = _part(made_of, start)
    _recall(made_of, central, of=part)
    assert _story(made_of, central)[0]["recall"]["of"] == part
    _again(made_of, b"trained once more on the same")
    (reason,) = _gate_of_dev(made_of)["reasons"]
    assert reason["rule"] == "nothing_in_it_is_recalled"
    assert part in reason["fact"]
    # Data that is uploaded once more is the same data.
    if start == "dataset-version:":
        version = made_of.registry.versions[made_of.arn]["CustomerMetadataProperties"]
        version["dataset-version-id"] = f"uploaded again {uuid4()}"
        assert not _gate_of_dev(made_of)["allowed"]


def test_the_bytes_may_come_back_without_what_was_recalled(made_of: Organisation) -> None:
    _, _, central = made_of.promoted()
    _recall(made_of, central, of=_part(made_of, "library:lib-"))
    _again(made_of)
    _libraries(made_of, {"numpy": "2.4.6"})
    assert _gate_of_dev(made_of)["allowed"]


def test_a_part_that_the_version_does_not_have_closes_only_the_version(
    made_of: Organisation,
) -> None:
    """Whoever sets it by hand closes nothing that was not shown to them."""
    _, candidate, central = made_of.promoted()
    _recall(made_of, central, of="library:numpy==0.0.1")
    marks = Parts(TABLE).recalled([*candidate["parts"], "library:numpy==0.0.1"])
    assert [mark["part"] for mark in marks] == [f"candidate:{candidate['candidate_id']}"]


def test_a_recall_is_recorded_and_closes_once(made_of: Organisation) -> None:
    _, candidate, central = made_of.promoted()
    first = _recall(made_of, central)
    assert _recall(made_of, central) == first
    marks = Parts(TABLE).recalled(candidate["parts"])
    assert {(mark["person"], mark["entry_id"]) for mark in marks} == {("bella", first["entry_id"])}
    # Again for another reason: another entry, and the part is closed as well.
    part = _part(made_of, "dataset-version:")
    _recall(made_of, central, of=part, at="2026-01-31T13:05:00Z")
    kinds = [entry["kind"] for entry in _story(made_of, central)]
    assert kinds == ["VersionRecalled", "VersionRecalled"]
    assert part in {mark["part"] for mark in Parts(TABLE).recalled(candidate["parts"])}


def test_a_workflow_that_was_at_it_does_not_bring_it_back(made_of: Organisation) -> None:
    _, candidate, central = made_of.promoted()
    _recall(made_of, central)
    made_of.call(
        "record",
        kind="ValidationPassed",
        promotion=made_of.in_central(central),
        stage="Test",
        stage_status="Passed",
        candidate_id=candidate["candidate_id"],
    )
    story = list(Ledger("governed-path-ledger").story(made_of.model, central))
    assert story[0]["kind"] == "ValidationPassed"
    assert ledger.phase(story) == "Prod/Recalled"


def test_more_parts_than_one_call_takes_are_all_looked_at(here: Organisation) -> None:
    many = [f"library:many-{here.model}=={number}" for number in range(230)]
    mark = {"model": here.model, "model_package_arn": here.arn, "reason": "broken"}
    by = {**mark, "entry_id": "e", "recalled_at": LATER, "person": "bella"}
    assert Parts(TABLE).recall([many[0], many[229]], by) == [many[0], many[229]]
    assert Parts(TABLE).recall([many[0]], {**by, "person": "somebody later"}) == []
    found = Parts(TABLE).recalled(many)
    assert {found_["part"]: found_["person"] for found_ in found} == {
        many[0]: "bella",
        many[229]: "bella",
    }


@pytest.mark.parametrize(
    "body", [b"{", b'{"libraries": {"numpy": "2"}}', b'{"schema": "x", "libraries": []}']
)
def test_a_list_of_libraries_that_is_none_is_a_reason_not_a_crash(
    made_of: Organisation, body: bytes
) -> None:
    _libraries(made_of, body)
    assert _new(made_of)["outcome"] == "recorded"
    (reason,) = _gate_of_dev(made_of)["reasons"]
    assert reason["rule"] == "artifacts_match_registration"
    assert "libraries" in reason["fact"]


def test_a_version_without_a_list_of_libraries_has_no_such_part(here: Organisation) -> None:
    _, candidate, _ = here.promoted()
    assert not [part for part in candidate["parts"] if part.startswith(parts.LIBRARY)]


@pytest.mark.parametrize(("stage", "status"), [("Prod", "Recalled"), ("Retired", "Retired")])
def test_what_is_taken_back_while_a_workflow_is_at_it_stays_so_in_the_registry(
    made_of: Organisation, stage: str, status: str
) -> None:
    _, candidate, central = made_of.promoted()
    version = made_of.registry.versions[central]
    version["ModelLifeCycle"] = {"Stage": stage, "StageStatus": status}
    promotion = made_of.in_central(central)
    made_of.call(
        "set_stage",
        promotion=promotion,
        model_package_arn=central,
        stage="Test",
        stage_status="Validating",
        description="",
    )
    made_of.call(
        "write_results",
        promotion=promotion,
        report=made_of.report(candidate["candidate_id"], "Passed", {"metrics": {"auc": 0.9}}),
    )
    assert version["ModelLifeCycle"] == {"Stage": stage, "StageStatus": status}
    assert version["CustomerMetadataProperties"]["test-status"] == "Passed"
