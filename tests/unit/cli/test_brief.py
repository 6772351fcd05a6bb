"""brief: what is read, what the command says, and the page that a person signs by."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from cli import brief_page, deployments, evidence, ledger, projects, versions
from cli.errors import GovernError
from cli.versions import Version
from governance.adapters import items
from governance.domain import candidate, locations
from governance.domain.comparisons import Side
from governance.domain.policies import PARTS, combined, digests_of
from tests import briefing
from tests.briefing import CANDIDATE, CHAMPION, Ledger, side
from tests.contracts import policies, samples
from tests.unit.cli.conftest import MODEL, Stubbed

Govern = Callable[..., Result]
REFERENCE = f"{MODEL}/{CANDIDATE}"


def stored(number: int, name: str, **report_of: Any) -> tuple[Any, bytes]:
    """(side, the bytes of its report): the manifest names the report's digest."""
    body = json.dumps(briefing.report(**report_of)).encode()
    objects = [
        one
        | ({"sha256": samples.digest(name)} if one["role"] == "model-data" else {})
        | ({"sha256": hashlib.sha256(body).hexdigest()} if one["role"] == "evaluation" else {})
        for one in samples.origin_objects()
    ]
    manifest = candidate.manifest(samples.description(), objects)
    found = side(number)
    return (
        Side(found.model_package_arn, candidate.candidate_id(manifest), manifest, json.loads(body)),
        body,
    )


@pytest.fixture
def central(monkeypatch: pytest.MonkeyPatch, where: list[Any]) -> dict[str, Any]:
    """Central as the reader sees it, with one version that serves and one that wants to."""
    old, old_report = stored(CHAMPION, "model.tar.gz")
    new, new_report = stored(CANDIDATE, "model-2.tar.gz", auc=0.86)
    book = Ledger()
    book.tested(old)
    book.reviewed(old)
    book.released(old)
    book.tested(new)
    book.reviewed(new, ["technical", "business"])
    files = policies.files()
    digests = digests_of(files)
    book.entries[0]["policy"]["after"]["digest"] = combined(digests)
    project = samples.project()
    project["policy"] = {
        part: {"uri": f"s3://e/{part}", "version_id": "v", "sha256": digests[part]}
        for part in PARTS
    }
    has: dict[str, Any] = {
        "new": new,
        "book": book,
        "files": files,
        "evaluations": {old.candidate_id: old_report, new.candidate_id: new_report},
        "manifests": {one.candidate_id: candidate.canonical(one.manifest) for one in (old, new)},
        "versions": (CHAMPION, CANDIDATE),
    }

    def find(session: Any, account: str, model: str, version: int) -> Version:
        if version not in has["versions"]:
            raise GovernError("not_found", f"no version {version} of model {model}")
        arn = briefing.arn(version)
        return Version(model, version, arn, samples.description(ModelPackageArn=arn))

    monkeypatch.setattr(projects, "project_of", lambda *_: project)
    monkeypatch.setattr(ledger, "entries", lambda *_: has["book"].entries)
    monkeypatch.setattr(versions, "find", find)
    setting = briefing.setting()
    monkeypatch.setattr(deployments, "seen", lambda *_: (setting.definition, setting.deployed))
    monkeypatch.setattr(evidence, "policy", lambda *_: has["files"])
    monkeypatch.setattr(evidence, "evaluation", lambda _, digest, __: has["evaluations"][digest])
    monkeypatch.setattr(evidence, "candidate", lambda *_: {"objects": new.manifest["artifacts"]})
    monkeypatch.setattr(
        evidence,
        "document",
        lambda _, uri, *__: has["manifests"].get(uri.rpartition("/")[2].removesuffix(".json")),
    )
    return has


def document(govern: Govern, *arguments: str) -> dict[str, Any]:
    result = govern("brief", *arguments, "--json")
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_it_reads_both_sides_and_asks_the_policy(govern: Govern, central: dict[str, Any]) -> None:
    found = document(govern, REFERENCE)
    assert (found["model"], found["version"]) == (MODEL, CANDIDATE)
    assert [one["rule"] for one in found["missing"]] == ["required_reviews_given"]
    assert [one["kind"] for one in found["reviews"]["missing"]] == ["compliance", "deployment"]
    assert found["comparison"]["same_holdout"] is True
    assert found["comparison"]["with"]["version"] == CHAMPION
    assert found["rollback"]["target"]["version"] == CHAMPION


def test_what_is_recalled_in_it_is_said_before_anybody_signs(
    govern: Govern, central: dict[str, Any], monkeypatch: pytest.MonkeyPatch, reader: Stubbed
) -> None:
    part = "library:numpy==2.4.6"
    item = {"objects": central["new"].manifest["artifacts"], "parts": ["dataset:1", part]}
    monkeypatch.setattr(evidence, "candidate", lambda *_: item)
    mark = {"part": part, "holder": "recalled", "person": "grace", "reason": "wrong sums"}
    mark |= {"model_package_arn": briefing.arn(9), "recalled_at": samples.DECIDED}
    reader.stub("dynamodb").add_response("get_item", {})
    reader.stub("dynamodb").add_response("get_item", {"Item": items.to_item(mark)})
    missing = {one["rule"]: one["fact"] for one in document(govern, REFERENCE)["missing"]}
    assert missing.keys() == {"nothing_in_it_is_recalled", "required_reviews_given"}
    assert f"{part} was recalled by grace" in missing["nothing_in_it_is_recalled"]


def test_it_is_told_in_a_terminal(govern: Govern, central: dict[str, Any]) -> None:
    result = govern("brief", REFERENCE)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    for said in (
        f"{REFERENCE}: One thing is missing before Prod can be signed",
        "[required_reviews_given] no compliance, deployment review is in force",
        "can be given by: Governance Engineer",
        "Both were measured on the same holdout, byte for byte",
        "+0.040 better",
        "Version 3, released 2026-11-21",
        "theo: Nobody approves what they trained",
        "model-data sha256",
    ):
        assert said in text


def test_a_version_of_dev_is_told_as_what_it_became(
    govern: Govern, central: dict[str, Any]
) -> None:
    assert document(govern, REFERENCE, "--registry", "dev")["version"] == CANDIDATE


def test_a_version_that_is_only_in_dev_must_be_promoted(
    govern: Govern, central: dict[str, Any], tmp_path: Path
) -> None:
    new = central["new"]
    only = Side(briefing.origin(8), new.candidate_id, new.manifest)
    central["book"].add("CandidateRegistered", only, stage="Dev", stage_status="Registered")
    found = document(govern, f"{MODEL}/8", "--registry", "dev")
    assert [one["rule"] for one in found["missing"]] == ["promotion"]
    assert "Dev's bucket" in found["comparison"]["basis"]
    for form in ([], ["--html", str(tmp_path / "brief.html")]):
        assert govern("brief", f"{MODEL}/8", "--registry", "dev", *form).exit_code == 0


def test_what_is_unknown_is_an_error(govern: Govern, central: dict[str, Any]) -> None:
    result = govern("brief", f"{MODEL}/99")
    assert result.exit_code == 1
    assert "no version 99" in result.output
    result = govern("brief", f"{MODEL}/99", "--registry", "dev")
    assert result.exit_code == 1
    assert "the ledger has nothing about" in result.output
    assert govern("brief", MODEL).exit_code == 2


def test_a_version_that_nobody_promoted_is_an_error(
    govern: Govern, central: dict[str, Any]
) -> None:
    central["versions"] = (CHAMPION, CANDIDATE, 5)
    result = govern("brief", f"{MODEL}/5")
    assert result.exit_code == 1
    assert "no promotion" in result.output


@pytest.mark.parametrize("what", ["manifests", "evaluations", "files"])
def test_evidence_that_is_not_what_was_recorded_is_no_brief(
    govern: Govern, central: dict[str, Any], what: str
) -> None:
    key = "tier" if what == "files" else central["new"].candidate_id
    central[what] = {**central[what], key: central[what][key] + b" "}
    error = document(govern, REFERENCE)["error"]
    assert error["code"] == "integrity"


def test_a_report_that_was_uploaded_in_parts_has_the_digest_of_its_parts(
    govern: Govern, central: dict[str, Any]
) -> None:
    new = central["new"]
    body = central["evaluations"][new.candidate_id]
    half = len(body) // 2
    digests = [hashlib.sha256(part).hexdigest() for part in (body[:half], body[half:])]
    sizes = locations.run_lengths([half, len(body) - half])
    for one in new.manifest["artifacts"]:
        if one["role"] == "evaluation":
            one |= {"sha256": locations.composite(digests), "part_sizes": sizes}
    number = candidate.candidate_id(new.manifest)
    for entry in central["book"].entries:
        if entry.get("candidate_id") == new.candidate_id:
            entry["candidate_id"] = number
    central["manifests"][number] = candidate.canonical(new.manifest)
    central["evaluations"][number] = body
    found = document(govern, REFERENCE)
    assert (found["candidate_id"], found["comparison"]["same_holdout"]) == (number, True)
    central["evaluations"][number] = body[:-1] + b" "
    assert document(govern, REFERENCE)["error"]["code"] == "integrity"


def test_evidence_that_is_gone_is_an_error(govern: Govern, central: dict[str, Any]) -> None:
    central["manifests"] = {}
    assert document(govern, REFERENCE)["error"]["code"] == "not_found"
    central["files"] = None
    assert document(govern, REFERENCE)["error"]["code"] == "not_found"


# ---------------------------------------------------------------- the page


class Page(HTMLParser):
    """What of a page counts for who cannot see it, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.loads: list[str] = []
        self.named: set[str] = set()
        self.ids: list[str] = []
        self.tables = self.header_cells = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag in ("script", "link", "img", "iframe") or given.get("src"):
            self.loads.append(tag)
        self.tables += tag == "table"
        self.header_cells += tag == "th" and given.get("scope") in ("col", "row")
        self.named |= {given["aria-labelledby"]} if given.get("aria-labelledby") else set()
        self.ids += [given["id"]] if given.get("id") else []
        if given.get("role") == "img":
            assert given["aria-label"].strip()


def test_the_page_stands_alone_and_can_be_read_aloud(
    govern: Govern, central: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "brief.html"
    result = govern("brief", REFERENCE, "--html", str(file))
    assert result.exit_code == 0, result.output
    assert "One thing is missing" in result.output
    text = file.read_text(encoding="utf-8")
    page = Page(text)
    assert page.headings[0] == 1
    assert set(page.headings[1:]) == {2}
    assert page.loads == []
    assert page.named <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert page.tables
    assert page.header_cells > 10
    assert 'lang="en"' in text
    assert "default-src 'none'" in text
    for said in ("required_reviews_given", "May not sign", "Rollback target", "same holdout"):
        assert said in text


def test_the_same_brief_gives_the_same_page(govern: Govern, central: dict[str, Any]) -> None:
    found = document(govern, REFERENCE)
    assert brief_page.render(found) == brief_page.render(found)


@pytest.mark.parametrize(
    ("kind", "drill", "said"),
    [
        (None, {}, "never drilled"),
        ("RollbackDrilled", {"proven": True, "seconds": 231}, "231 s"),
        ("DrillFailed", {"proven": False}, "did not hold (what was found)"),
    ],
)
def test_the_last_drill_of_the_way_back_is_told(
    govern: Govern, central: dict[str, Any], kind: str | None, drill: dict[str, Any], said: str
) -> None:
    book = central["book"]
    if kind:
        served = next(e for e in book.entries if e["kind"] == "CandidateReleased")
        book.entries.append(
            {
                **served,
                **{"kind": kind, "sequence": len(book.entries) + 1},
                "drill": {"said": "what was found", **drill},
            }
        )
    told = " ".join(govern("brief", REFERENCE).output.split())
    assert said in told
    page = brief_page.render(document(govern, REFERENCE)).decode()
    expected = {None: "was never drilled", "RollbackDrilled": "it holds, 231 s from the request"}
    assert expected.get(kind, "it does not hold (what was found)") in " ".join(page.split())


def test_nothing_that_people_wrote_becomes_markup(govern: Govern, central: dict[str, Any]) -> None:
    central["book"].entries[-1]["reason"] = "<script>alert(1)</script>"
    page = brief_page.render(document(govern, REFERENCE))
    assert b"<script" not in page
    assert b"&lt;script&gt;" in page


def test_numbers_on_other_holdouts_stand_side_by_side(
    govern: Govern, central: dict[str, Any]
) -> None:
    found = document(govern, REFERENCE)
    compared = found["comparison"]
    compared |= {"same_holdout": False, "basis": "Not comparable: another holdout"}
    for row in compared["metrics"]:
        row |= {"difference": None, "better": None}
    page = brief_page.render(found).decode()
    assert "Not comparable: another holdout" in page
    assert page.count("not comparable") == len(compared["metrics"])
    drawn = page[page.index("<svg") : page.index("</svg>")]
    assert "champion" not in drawn


def test_a_page_that_cannot_be_written_is_an_error(
    govern: Govern, central: dict[str, Any], tmp_path: Path
) -> None:
    result = govern("brief", REFERENCE, "--html", str(tmp_path / "no" / "brief.html"))
    assert result.exit_code == 1
    assert "cannot write" in result.output
