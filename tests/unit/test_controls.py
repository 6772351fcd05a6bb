"""Controls of a version: each piece of evidence is found with its digest, or is named as absent."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from cli import compliance, dossier, dossier_page
from governance.domain import attestations, controls, dossiers
from tests.evidence import ARN, Evidence

EVIDENCE = Evidence()
TABLE = compliance.table()
FILES = EVIDENCE.files(controls_table=TABLE)
TRUSTED = EVIDENCE.signer.keyid
ENTRIES = dossiers.entries_in(FILES)
ABOUT = dossiers.story(ENTRIES, ARN)


def control(evidence: list[str], **more: Any) -> dict[str, Any]:
    """What is found for a control that asks for this evidence."""
    asked = {
        "id": "X.1",
        "title": "A control",
        "coverage": "partial",
        "reason": "because",
        "evidence": evidence,
        "occasional": [],
        "gaps": [],
        **more,
    }
    framework = {"id": "x", "name": "X", "version": "1", "controls": [asked]}
    found = controls.of_version({"frameworks": [framework]}, FILES, ENTRIES, ABOUT)
    only: dict[str, Any] = found["frameworks"][0]["controls"][0]
    return only


@pytest.mark.parametrize(
    ("evidence", "where"),
    [
        ("entry:CandidatePromoted", "ledger.jsonl entry 1, CandidatePromoted"),
        ("rule:approver_is_not_trainer", "ledger.jsonl entry 1, CandidatePromoted"),
        ("file:manifest.json", "manifest.json"),
        ("file:reports/validation", "reports/validation-000003.json"),
        ("card:intended_uses", "model-card.json intended_uses"),
        ("manifest:training_data", "manifest.json training_data"),
        ("evaluation:subgroups", "reports/evaluation.json subgroups"),
    ],
)
def test_a_piece_is_found_with_its_digest(evidence: str, where: str) -> None:
    found = control([evidence])
    assert (found["standing"], found["absent"]) == ("shown", [])
    first = found["found"][0]
    assert (first["evidence"], first["where"]) == (evidence, where)
    file = where.partition(" ")[0]
    line = FILES["ledger.jsonl"].splitlines()[0].decode()
    body = attestations.payload_of(line) if file == "ledger.jsonl" else FILES[file]
    assert first["sha256"] == hashlib.sha256(body).hexdigest()


def test_every_file_of_a_policy_is_found() -> None:
    assert len(control(["file:policies"])["found"]) == 3


@pytest.mark.parametrize(
    "evidence",
    [
        "entry:VersionRetired",
        "review:business",
        "rule:no_such_rule",
        "file:no-such-file",
        "card:business_details",
        "manifest:source_uri",
        "evaluation:no_such_member",
    ],
)
def test_what_is_not_there_is_absent(evidence: str) -> None:
    found = control(["file:manifest.json", evidence])
    assert (found["standing"], found["absent"]) == ("incomplete", [evidence])


def test_what_only_sometimes_happens_is_no_lack() -> None:
    found = control(["file:manifest.json"], occasional=["entry:VersionRetired"])
    assert (found["standing"], found["absent"]) == ("shown", [])
    seen = control(["file:manifest.json"], occasional=["entry:CandidateReleased"])
    assert [piece["evidence"] for piece in seen["found"]][1:] == ["entry:CandidateReleased"]


def test_what_is_of_the_installation_is_not_shown_by_a_dossier() -> None:
    found = control(["setting:LedgerBucket"])
    assert (found["standing"], found["found"]) == ("elsewhere", [])
    assert found["installation"] == ["LedgerBucket"]


def test_what_nothing_can_satisfy_is_a_gap() -> None:
    gaps = [{"kind": "organisational", "what": "training"}]
    found = control([], coverage="none", gaps=gaps)
    assert (found["standing"], found["gaps"]) == ("gap", gaps)


def look(*about: dict[str, Any]) -> controls._Look:
    """Finds pieces in these entries about the version, told a second after each other."""
    told = [
        {
            **ENTRIES[0],
            "sequence": number,
            "claim_id": f"claim {number}",
            "decided_at": f"2026-11-21T06:00:0{number}Z",
            "verdict": {},
            **entry,
        }
        for number, entry in enumerate(about, 1)
    ]
    return controls._Look(FILES, ENTRIES, told)


def gate(met: bool, **more: Any) -> dict[str, Any]:
    """An entry whose gate asked the rule that reviews were given."""
    reasons = [] if met else [{"rule": RULE}]
    kind = "ReleaseStarted" if met else "ReleaseRejected"
    return {"kind": kind, "verdict": {"rules": [RULE], "reasons": reasons, **more}}


RULE = "required_reviews_given"
REVIEW = {"kind": "ReviewGiven", "review": "business", "reason": "read"}


@pytest.mark.parametrize(
    ("gates", "shown"),
    [
        ([gate(True)], [1]),
        ([gate(False)], []),
        ([gate(False), gate(True)], [2]),
        ([gate(True), gate(False)], []),
        ([gate(True), {**gate(True), "claim_id": "claim 1"}], [1]),
        ([gate(True, break_glass={"waived": ["business"]})], []),
        ([gate(True), gate(True, break_glass={"waived": ["business"]})], []),
        ([gate(True), {"kind": "CandidateReleased"}], [1]),
    ],
    ids=[
        "met",
        "denied",
        "met later",
        "denied later",
        "claim",
        "waived",
        "waived later",
        "not asked",
    ],
)
def test_a_rule_is_shown_by_gates_that_found_it_met_to_the_last(
    gates: list[dict[str, Any]], shown: list[int]
) -> None:
    pieces = look(*gates).at(f"rule:{RULE}")
    assert [piece["where"].split()[2] for piece in pieces] == [f"{number}," for number in shown]


@pytest.mark.parametrize(
    ("later", "counts"),
    [
        ([], True),
        ([{"kind": "CandidateReleased"}], True),
        ([{"kind": "ReviewRevoked", "review": "business", "reason": "a leak"}], False),
        ([{"kind": "ReviewRevoked", "review": "technical", "reason": "a leak"}], True),
        ([{"kind": "ApprovalsVoided"}], False),
        ([{"kind": "ReviewRevoked", "review": "business"}, REVIEW], True),
        ([{"kind": "VersionRejected", "model_package_arn": "another version's"}], True),
    ],
    ids=["in force", "released", "revoked", "other kind", "voided", "given again", "in Dev"],
)
def test_a_review_is_shown_while_it_is_in_force(later: list[dict[str, Any]], counts: bool) -> None:
    assert bool(look(REVIEW, *later).at("review:business")) == counts


@pytest.mark.parametrize("more", [{"objections": ["late"]}, {"candidate_id": "another"}])
def test_a_review_that_does_not_count_shows_nothing(more: dict[str, Any]) -> None:
    assert look({**REVIEW, **more}).at("review:business") == []


def test_without_a_card_no_section_says_anything() -> None:
    without = {name: body for name, body in FILES.items() if name != dossiers.CARD}
    assert controls._Look(without, ENTRIES, ABOUT).at("card:intended_uses") == []


# ---------------------------------------------------------------- in the dossier


def relisted(files: dict[str, bytes]) -> dict[str, bytes]:
    """With page and contents.json made to fit, as whoever changes a file would do."""
    contents = json.loads(files[dossiers.CONTENTS])
    head = {key: value for key, value in contents.items() if key != "files"}
    evidence = {name: body for name, body in files.items() if name != dossiers.PAGE}
    page = dossier_page.render({**evidence, dossiers.CONTENTS: dossiers._pretty(head)})
    files = {**files, dossiers.PAGE: page}
    listed = {n: hashlib.sha256(b).hexdigest() for n, b in files.items() if n != dossiers.CONTENTS}
    return {**files, dossiers.CONTENTS: dossiers._pretty({**head, "files": listed})}


def test_a_dossier_with_controls_is_in_order_and_shows_them() -> None:
    checked = dossier.check(dossier.pack(FILES), TRUSTED)
    assert (checked.findings, checked.notes) == ((), ())
    page = FILES[dossiers.PAGE].decode()
    assert "Controls of standards and laws" in page
    assert "164.312(b)" in page
    assert "absent: <code>review:technical</code>" in page


def test_without_being_asked_a_dossier_says_nothing_of_controls() -> None:
    files = EVIDENCE.files()
    assert dossiers.CONTROLS not in files
    assert b"Controls of standards" not in files[dossiers.PAGE]
    assert compliance.of_dossier(files) is None


def test_a_claim_that_the_evidence_does_not_bear_is_found() -> None:
    claimed = FILES[dossiers.CONTROLS].replace(b'"incomplete"', b'"shown"', 1)
    assert claimed != FILES[dossiers.CONTROLS]
    body = dossier.pack(relisted({**FILES, dossiers.CONTROLS: claimed}))
    (finding,) = dossier.check(body, TRUSTED).findings
    assert (finding.what, finding.where) == ("derived-mismatch", "controls.json")


@pytest.mark.parametrize("other", [b"{}", b"[]", b"no JSON", b'{"table_sha256": "mine"}'])
def test_what_is_no_map_of_controls_is_found(other: bytes) -> None:
    files = {**FILES, dossiers.CONTROLS: other}
    contents = json.loads(files[dossiers.CONTENTS])
    contents["files"][dossiers.CONTROLS] = hashlib.sha256(other).hexdigest()
    files[dossiers.CONTENTS] = dossiers._pretty(contents)
    table = compliance.table()
    found, _ = dossiers.check(
        files,
        trusted=TRUSTED,
        renderer="another",
        render=lambda _: b"",
        controls_table=table,
    )
    assert [(one.what, one.where) for one in found] == [("derived-mismatch", "controls.json")]


def test_a_map_by_another_table_is_said_not_to_be_compared() -> None:
    frameworks = [TABLE["frameworks"][0]]
    files = EVIDENCE.files(controls_table={**TABLE, "frameworks": frameworks})
    checked = dossier.check(dossier.pack(files), TRUSTED)
    assert checked.findings == ()
    (note,) = checked.notes
    assert "another table of controls" in note
    found, notes = dossiers.check(
        FILES, trusted=TRUSTED, renderer="another", render=lambda _: b"", controls_table=None
    )
    assert found == []
    assert len(notes) == 2
