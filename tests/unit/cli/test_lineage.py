"""`govern lineage` as text and as a picture, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import Result

from cli import lineage_picture, lineage_text, present

ROOT, DEV, MODEL, STEP, DATA = (f"arn:aws:sagemaker:::artifact/{n}" for n in range(5))
SHA = "3f" * 32
SVG = "{http://www.w3.org/2000/svg}"


def node(arn: str, kind: str, uri: str, lineage_type: str = "Artifact", **said: str) -> Any:
    return {
        "arn": arn,
        "lineage_type": lineage_type,
        "type": kind,
        "name": "governed-path-x",
        "source_uri": uri,
        "source_types": [],
        "properties": {key.replace("__", "-"): value for key, value in said.items()},
    }


def check(agrees: bool | None, found: str | None = "1") -> dict[str, Any]:
    what = "dataset 1 sha256"
    return {"what": what, "expected": "1", "found": found, "agrees": agrees}


def found(**changed: Any) -> dict[str, Any]:
    version = "arn:aws:sagemaker:us-east-1:444455556666:model-package/risk/4"
    return {
        "model": "risk",
        "version": 1,
        "model_package_arn": "arn:aws:sagemaker:us-east-1:111122223333:model-package/risk/1",
        "candidate_id": "d" * 64,
        "endpoint": None,
        "root": ROOT,
        "nodes": [
            node(ROOT, "ModelPackage", version.replace("4444", "1111").replace("/4", "/1")),
            node(DEV, "ModelPackage", "x", role="version", origin_uri=version),
            node(MODEL, "Model", "s3://c/m.tar.gz", role="model-data", sha256=SHA),
            node(STEP, "ModelTraining", "x", "Action", dev_code__commit="c0ffee" * 6),
            node(DATA, "DataSet", "s3://d/t.csv#c", origin_uri="s3://d/t.csv", sha256=SHA),
        ],
        "edges": [
            {"source": source, "destination": destination, "type": kind}
            for source, destination, kind in (
                (DEV, ROOT, "DerivedFrom"),
                (MODEL, ROOT, "ContributedTo"),
                (MODEL, DEV, "ContributedTo"),
                (STEP, MODEL, "Produced"),
                (DATA, STEP, "ContributedTo"),
            )
        ],
        "missing": [],
        "checks": [check(True)],
        "agrees": True,
        **changed,
    }


def text(document: dict[str, Any]) -> str:
    console = present.console()
    with console.capture() as captured:
        console.print(lineage_text.text(document, None))
    return captured.get()


def test_the_tree_leads_from_the_version_to_the_dataset() -> None:
    lines = [line.strip("│├└─ ") for line in text(found()).splitlines()]
    wanted = [
        "Central version risk/1",
        "copied from Dev version risk/4",
        "from model-data m.tar.gz",
        "made by ModelTraining",
        f"commit {'c0ffee' * 6}",
        "from DataSet t.csv",
        f"sha256 {SHA}",
    ]
    places = [lines.index(line) for line in wanted if line != f"sha256 {SHA}"]
    assert places == sorted(places)
    assert lines.count(f"sha256 {SHA}") == 2
    # What has been shown is not shown again with all that led to it.
    assert lines.count("from model-data m.tar.gz (see above)") == 1
    assert "1 of 1 facts of the candidate's manifest are what the lineage says" in lines


def test_what_differs_and_what_nobody_said_is_told() -> None:
    said = text(
        found(
            checks=[check(False, None), {**check(None, None), "expected": None}],
            missing=["Dev has none"],
            agrees=False,
        )
    )
    assert "dataset 1 sha256: the manifest says 1, the lineage nothing" in said
    assert "The manifest names no dataset 1 sha256" in said
    assert "Not known: Dev has none" in said
    assert "0 of 2 facts" in said


def test_what_was_not_read_is_no_difference() -> None:
    gap = "more than 1000 entities led to it"
    said = text(found(checks=[check(True), check(None, None)], missing=[gap], agrees=True))
    assert "dataset 1 sha256: not read; the manifest says 1" in said
    assert f"Not known: {gap}" in said
    assert "the lineage nothing" not in said


def test_what_leads_to_itself_comes_to_an_end() -> None:
    document = found()
    document["edges"].append({"source": MODEL, "destination": DATA, "type": "SameAs"})
    assert "same as model-data m.tar.gz (see above)" in text(document)
    ElementTree.fromstring(lineage_picture.svg(document))


def test_an_endpoint_is_named_with_who_signed() -> None:
    served = {
        "endpoint_name": "live",
        "endpoint_arn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/live",
        "account": "123456789012",
        "since": "2026-01-31T12:00:00Z",
        "approver": "grace",
    }
    said = text(found(endpoint=served))
    assert f"{served['endpoint_arn']}, by the ledger since 2026-01-31 12:00:00" in said
    assert "signed by grace" in said
    assert "live serves risk/1" in lineage_picture.svg(found(endpoint=served))


def test_the_picture_is_text_that_can_be_read_and_always_the_same() -> None:
    drawn = lineage_picture.svg(found())
    root = ElementTree.fromstring(drawn)
    words = {"".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")}
    assert {"model-data", "ModelTraining", f"sha256 {SHA[:16]}", "commit c0ffeec0ffee"} <= words
    assert "1 of 1 facts agree with the candidate's manifest" in drawn
    assert lineage_picture.svg(found()) == drawn


def test_boxes_do_not_lie_on_each_other_and_arrows_pass_between_them() -> None:
    document = found()
    for number in range(5, 9):
        arn = f"arn:aws:sagemaker:::artifact/{number}"
        document["nodes"].append(node(arn, "Report", f"s3://c/{number}", sha256=SHA))
        document["edges"].append({"source": arn, "destination": DEV, "type": "ContributedTo"})
    places = lineage_picture._places(lineage_picture._graph(document))
    assert len(set(places.values())) == len(places)
    # The arrow from the model straight to the Central version has a place of its own.
    assert [place for place in places if place[:2] == (MODEL, ROOT)]
    assert places[DATA][0] < places[STEP][0] < places[MODEL][0] < places[DEV][0] < places[ROOT][0]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "name either a version or an endpoint"),
        (["risk/1", "--endpoint", "live"], 2, "name either a version or an endpoint"),
        (["risk"], 2, "which version of risk"),
        (["risk//1"], 2, "expected MODEL/VERSION"),
    ],
)
def test_a_call_that_cannot_be_right_is_a_usage_error(
    govern: Callable[..., Result], where: list[Any], arguments: list[str], code: int, said: str
) -> None:
    answer = govern("lineage", *arguments)
    assert answer.exit_code == code
    assert said in answer.output


def test_a_picture_is_not_overwritten_by_accident(
    govern: Callable[..., Result], where: list[Any], tmp_path: Path
) -> None:
    there = tmp_path / "lineage.svg"
    there.write_text("mine")
    answer = govern("lineage", "risk/1", "--svg", str(there))
    assert (answer.exit_code, there.read_text()) == (1, "mine")
    assert "--force" in answer.output
    assert where == []
