"""The table of controls: what it names exists, what it lacks it says, and the pages are its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cli import compliance
from governance.contracts.documents import EVALUATION_REPORT, TIER_POLICY
from governance.contracts.validation import problems
from governance.domain import candidate, dossiers, explanations, ledger, reviews
from tests.contracts import samples

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "compliance"
TABLE = compliance.table()
CONTROLS = [
    (framework["id"], control)
    for framework in TABLE["frameworks"]
    for control in framework["controls"]
]
MANIFEST = candidate.manifest(samples.description(), samples.origin_objects())
TEMPLATE = (ROOT / "template.yaml").read_text(encoding="utf-8")
EXISTING: Mapping[str, set[str]] = {
    "entry": set(ledger.KINDS),
    "review": set(reviews.KINDS),
    "rule": set(explanations.EXPLANATIONS),
    "file": {
        dossiers.LEDGER,
        dossiers.CHECKPOINT,
        dossiers.MANIFEST,
        dossiers.CARD,
        dossiers.LINEAGE,
        dossiers.APPROVALS,
        dossiers.EVALUATION,
        "reports/validation",
        "policies",
        "deployments",
    },
    "card": set(TIER_POLICY["properties"]["required_card_sections"]["items"]["enum"]),
    "manifest": set(MANIFEST),
    "evaluation": set(EVALUATION_REPORT["properties"]),
    "setting": set(re.findall(r"^  (\w+):$", TEMPLATE, re.MULTILINE)),
}


def names() -> Iterator[tuple[str, str]]:
    for _, control in CONTROLS:
        for name in (*control["evidence"], *control["occasional"]):
            way, _, what = name.partition(":")
            yield way, what


def test_it_is_valid() -> None:
    assert problems(compliance.SCHEMA, TABLE) == []


@pytest.mark.parametrize(
    ("coverage", "evidence", "gaps"),
    [
        ("full", ["entry:CandidateReleased"], [{"kind": "organisational", "what": "x"}]),
        ("partial", ["entry:CandidateReleased"], []),
        ("partial", [], [{"kind": "organisational", "what": "x"}]),
        ("none", ["entry:CandidateReleased"], [{"kind": "not built yet", "what": "x"}]),
        ("none", [], []),
    ],
)
def test_coverage_evidence_and_gaps_must_fit(
    coverage: str, evidence: list[str], gaps: list[Any]
) -> None:
    framework = {**TABLE["frameworks"][0]}
    control = {**framework["controls"][0], "coverage": coverage, "evidence": evidence, "gaps": gaps}
    framework["controls"] = [control]
    assert problems(compliance.SCHEMA, {**TABLE, "frameworks": [framework]})


@pytest.mark.parametrize(("way", "what"), sorted(set(names())))
def test_the_evidence_that_it_names_exists(way: str, what: str) -> None:
    assert what in EXISTING[way]


def test_no_control_is_there_twice() -> None:
    ids = [(framework, control["id"]) for framework, control in CONTROLS]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("framework", "form"),
    [
        ("nist-ai-rmf", r"(GOVERN|MAP|MEASURE|MANAGE) [1-6]\.\d{1,2}"),
        ("iso-42001", r"A\.(10|[2-9])(\.\d){1,3}"),
        ("eu-ai-act", r"Art\. (9|1[0-5])\(\d{1,2}\)"),
        ("soc-2", r"CC[678]\.\d"),
        ("hipaa", r"164\.3(08|10|12|16)(\(\w+\))+"),
    ],
)
def test_ids_have_the_form_of_their_framework(framework: str, form: str) -> None:
    found = [control["id"] for name, control in CONTROLS if name == framework]
    assert found
    assert [one for one in found if not re.fullmatch(form, one)] == []


def test_every_article_from_9_to_15_is_there() -> None:
    found = {re.findall(r"\d+", c["id"])[0] for name, c in CONTROLS if name == "eu-ai-act"}
    assert found == {str(number) for number in range(9, 16)}


def test_no_framework_is_without_gaps() -> None:
    for framework in TABLE["frameworks"]:
        assert any(control["gaps"] for control in framework["controls"])


def test_the_pages_are_what_the_table_says() -> None:
    written = {path.name: path.read_bytes() for path in PAGES.glob("*.md")}
    assert written == compliance.documents(), "they are stale: make compliance"


def test_writing_the_pages_removes_what_is_no_page(tmp_path: Path) -> None:
    (tmp_path / "gone.md").write_text("a framework of last year")
    compliance.main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == compliance.documents().keys()
