"""verify and dossier: what is compared with what online, and what the commands say and return."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from cli import dossier, dossier_page, evidence, projects, verification
from governance.domain import attestations, candidate, definitions
from tests import chains
from tests.contracts import samples
from tests.evidence import Evidence, Republished
from tests.unit.cli.conftest import MODEL

Govern = Callable[..., Result]
EVIDENCE = Republished()
DEFINITION = samples.definition_reference()["uri"].split("/", 3)[3]
CHAIN = EVIDENCE.chain()
FINGERPRINT = EVIDENCE.signer.keyid
LAST = len(CHAIN.envelopes)


def quiet(what: str, count: int) -> None:
    """No progress."""


def book(**more: Any) -> evidence.Book:
    """The tables as the ledger wrote them."""
    rows = [attestations.row_of(envelope.decode()) for envelope in CHAIN.envelopes]
    head = {
        "model": MODEL,
        "head": LAST,
        "digest": rows[-1]["digest"],
        "checkpoint": CHAIN.checkpoint.decode(),
    }
    return evidence.Book(**{"model": MODEL, "rows": rows, "head": head, **more})


def shelf(**more: Any) -> evidence.Shelf:
    """The archive as it followed."""
    numbers = range(1, LAST + 1)
    keys = evidence.archive_keys(MODEL, numbers)
    found = {
        "entries": dict(zip(keys, CHAIN.envelopes, strict=True)),
        "checkpoints": frozenset(evidence.archive_keys(MODEL, numbers, checkpoint=True)),
        "newest_checkpoint": CHAIN.checkpoint,
    }
    return evidence.Shelf(**{**found, **more})


@pytest.fixture
def central(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Central as the reader sees it; a test changes what it has."""
    manifest = candidate.canonical(EVIDENCE.manifest)
    evaluation = next(o for o in samples.central_objects() if o["role"] == "evaluation")
    reports = {
        statement["predicate"]["entry"]["report"]["uri"]: EVIDENCE.validation
        for statement in CHAIN.statements
        if "report" in statement["predicate"]["entry"]
    }
    has: dict[str, Any] = {
        "book": book(),
        "shelf": shelf(),
        "pem": EVIDENCE.signer.pem,
        "description": EVIDENCE.central,
        "documents": {
            f"manifests/{MODEL}/{EVIDENCE.candidate_id}.json": manifest,
            DEFINITION: definitions.canonical(samples.definition()),
            evaluation["key"]: EVIDENCE.evaluation,
            **{uri.split("/", 3)[3]: body for uri, body in reports.items()},
            **EVIDENCE.places,
        },
        "candidate": EVIDENCE.item,
    }
    monkeypatch.setattr(evidence, "book", lambda *_: has["book"])
    monkeypatch.setattr(evidence, "shelf", lambda *_: has["shelf"])
    monkeypatch.setattr(evidence, "public_key", lambda *_: has["pem"])
    monkeypatch.setattr(evidence, "manifest_uri", _manifest_uri)

    def document(_: Any, uri: str, version_id: str | None = None) -> bytes | None:
        key = uri.split("/", 3)[3]
        return has["documents"].get((key, version_id), has["documents"].get(key))

    monkeypatch.setattr(evidence, "document", document)
    monkeypatch.setattr(evidence, "candidate", lambda *_: has["candidate"])
    monkeypatch.setattr(projects, "project_of", lambda *_: {"model": MODEL})
    monkeypatch.setattr(verification, "versions", _Versions(has))
    return has


class _Versions:
    def __init__(self, has: dict[str, Any]) -> None:
        self._has = has

    def find(self, *_: Any) -> Any:
        from cli.versions import Version

        return Version(MODEL, 3, samples.version_arn(), self._has["description"])


def _manifest_uri(reader: Any, account: str, model: str, candidate_id: str) -> str:
    return f"s3://evidence/manifests/{model}/{candidate_id}.json"


def report(central: dict[str, Any], govern: Govern, *arguments: str) -> dict[str, Any]:
    result = govern("verify", *arguments, "--json")
    document: dict[str, Any] = json.loads(result.output)
    assert "error" not in document, document
    assert result.exit_code == (0 if document["passed"] else 1)
    for check in document["checks"]:
        for finding in check["findings"]:
            assert finding["what"] in verification.ALL_KINDS
    return document


def failures(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (check["name"], finding["what"], finding["where"])
        for check in document["checks"]
        for finding in check["findings"]
    ]


VERSION = f"{MODEL}/3"

# ---------------------------------------------------------------- online


def test_what_is_in_order_has_every_check(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    document = report(central, govern, VERSION, "--fingerprint", FINGERPRINT)
    assert document["key_trusted"]
    assert [(check["name"], check["status"]) for check in document["checks"]] == [
        ("signing key", "passed"),
        ("ledger", "passed"),
        ("tables", "passed"),
        ("archive", "passed"),
        ("evidence", "passed"),
        ("version", "passed"),
    ]
    assert where[0].persona == "governance-engineer"


def test_without_an_anchor_it_says_that_nothing_was_compared(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    result = govern("verify", MODEL)
    assert result.exit_code == 0
    assert "not compared with anything that you trust" in " ".join(result.output.split())
    assert FINGERPRINT in result.output
    assert not report(central, govern, MODEL)["key_trusted"]


def test_another_key_in_kms_is_found(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    central["pem"] = chains.Signer().pem
    found = failures(report(central, govern, MODEL, "--fingerprint", FINGERPRINT))
    assert found[0] == ("signing key", "key-not-trusted", "KMS")
    assert found[1] == ("ledger", "wrong-key", "entry 1")


@pytest.mark.parametrize("field", ["kind", "recorded_at", "digest", "entry_id"])
def test_an_item_that_says_something_else_is_found(
    govern: Govern, where: list[Any], central: dict[str, Any], field: str
) -> None:
    central["book"].rows[2][field] = "2020-01-01T00:00:00Z"
    assert failures(report(central, govern, MODEL)) == [("tables", "row-mismatch", "entry 3")]


def test_a_head_that_says_something_else_is_found(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    central["book"].head["digest"] = "f" * 64
    assert failures(report(central, govern, MODEL)) == [("tables", "head-mismatch", "head")]


def test_a_tail_cut_off_in_the_table_is_found_in_the_archive_too(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    del central["book"].rows[-1]
    last = attestations.archive_key(MODEL, LAST)
    assert failures(report(central, govern, MODEL)) == [
        ("ledger", "tail-missing", f"entry {LAST}"),
        ("archive", "not-in-table", last),
    ]


def test_a_table_set_back_to_an_older_checkpoint_is_found_by_the_archive(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    """Everything in the tables fits; only the archive knows that there was more."""
    older = chains.chained(
        EVIDENCE.signer,
        [statement["predicate"]["entry"] for statement in CHAIN.statements[:3]],
        EVIDENCE.manifest["artifacts"],
    )
    rows = central["book"].rows[:3]
    head = {
        "model": MODEL,
        "head": 3,
        "digest": rows[-1]["digest"],
        "checkpoint": older.checkpoint.decode(),
    }
    central["book"] = book(rows=rows, head=head)
    found = failures(report(central, govern, MODEL))
    assert found == [
        ("archive", "not-in-table", attestations.archive_key(MODEL, number))
        for number in range(4, LAST + 1)
    ]


def test_an_archive_that_lacks_or_changed_something_is_found(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    keys = evidence.archive_keys(MODEL, range(1, LAST + 1))
    entries = dict(zip(keys, CHAIN.envelopes, strict=True))
    del entries[keys[1]]
    entries[keys[2]] += b" "
    checkpoints = evidence.archive_keys(MODEL, range(1, LAST), checkpoint=True)
    newest = attestations.archive_key(MODEL, LAST, checkpoint=True)
    central["shelf"] = shelf(
        entries=entries,
        checkpoints=frozenset({*checkpoints[1:], newest}),
        newest_checkpoint=b"another",
        altered={keys[4]: "it was deleted, and kept by its lock"},
    )
    assert failures(report(central, govern, MODEL)) == [
        ("archive", "archive-altered", keys[4]),
        ("archive", "not-archived", keys[1]),
        ("archive", "archive-mismatch", keys[2]),
        ("archive", "not-archived", checkpoints[0]),
        ("archive", "archive-mismatch", newest),
    ]


def test_what_is_on_its_way_into_the_archive_is_no_finding(
    govern: Govern,
    where: list[Any],
    central: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verification, "_recent", lambda row: row["sequence"] == LAST)
    numbers = range(1, LAST)
    central["shelf"] = shelf(
        entries=dict(zip(evidence.archive_keys(MODEL, numbers), CHAIN.envelopes, strict=False)),
        checkpoints=frozenset(evidence.archive_keys(MODEL, numbers, checkpoint=True)),
        newest_checkpoint=b"of the entry before",
    )
    assert failures(report(central, govern, MODEL)) == []


def test_evidence_that_is_gone_or_replaced_is_found(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    manifest = f"manifests/{MODEL}/{EVIDENCE.candidate_id}.json"
    del central["documents"][manifest]
    central["documents"][DEFINITION] = b"{}"
    name = next(key for key in central["documents"] if key.startswith("reports/"))
    central["documents"][name] = b"{}"
    found = failures(report(central, govern, MODEL))
    assert {(what, where_.partition("/")[2][-20:]) for _, what, where_ in found} == {
        ("evidence-missing", manifest[-20:]),
        ("evidence-mismatch", name[-20:]),
        ("evidence-mismatch", DEFINITION[-20:]),
    }


def test_a_version_that_is_not_the_candidate_any_more_is_found(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    container = central["description"]["InferenceSpecification"]["Containers"][0]
    container["ImageDigest"] = "sha256:" + "d" * 64
    ((name, what, place),) = failures(report(central, govern, VERSION))
    assert (name, what) == ("version", "version-changed")
    assert place.endswith(" inference_specification.Containers.0.ImageDigest")


def test_a_version_that_says_something_else_of_its_tests_is_found(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    metadata = central["description"]["CustomerMetadataProperties"]
    assert metadata["test-status"] == "Passed"
    metadata["test-status"] = "Failed"
    ((name, what, place),) = failures(report(central, govern, VERSION))
    assert (name, what) == ("version", "version-changed")
    assert place.endswith(" tests.metadata.test-status")
    # Another report than the one that the ledger names says nothing; that it is another is found.
    central["documents"][EVIDENCE.report_reference["uri"].split("/", 3)[3]] = b"{}"
    found = failures(report(central, govern, VERSION))
    assert [what for _, what, _ in found] == ["evidence-mismatch"]


def test_a_version_that_says_it_came_from_elsewhere_is_found(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    central["description"]["CustomerMetadataProperties"]["origin-arn"] = "arn:elsewhere"
    ((_, what, place),) = failures(report(central, govern, VERSION))
    assert (what, place.rpartition(" ")[2]) == ("version-changed", "metadata.origin-arn")


def test_a_version_that_nobody_promoted_is_found(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    central["candidate"] = None
    assert failures(report(central, govern, VERSION)) == [
        ("version", "version-changed", samples.version_arn())
    ]


def test_a_model_without_a_ledger_is_an_error(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    central["book"] = book(rows=[], head={})
    result = govern("verify", "nothing")
    assert result.exit_code == 1
    assert "the ledger has nothing about model 'nothing'" in result.output


def test_findings_are_shown_with_what_they_mean(
    govern: Govern, where: list[Any], central: dict[str, Any]
) -> None:
    central["book"].rows[2]["envelope"] = "x"
    result = govern("verify", MODEL)
    assert result.exit_code == 1
    assert "envelope-unreadable at entry 3: an envelope is not a DSSE envelope" in result.output
    assert "NOT in order: 3 findings" in result.output


# ---------------------------------------------------------------- files


def test_a_dossier_is_written_and_checked(
    govern: Govern,
    where: list[Any],
    central: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = govern("dossier", VERSION)
    assert result.exit_code == 0, result.output
    assert f"govern verify {MODEL}-3.dossier.zip --fingerprint {FINGERPRINT}" in result.output
    again = govern("dossier", VERSION, "--json")
    assert (again.exit_code, json.loads(again.output)["error"]["code"]) == (1, "exists")
    assert govern("dossier", VERSION, "--force", "--json").exit_code == 0
    del where[:]
    checked = govern("verify", f"{MODEL}-3.dossier.zip", "--fingerprint", FINGERPRINT)
    assert checked.exit_code == 0, checked.output
    assert "signed with the key that you trust" in checked.output
    assert where == [], "a file is checked without any session"
    files, _ = dossier.unpack((tmp_path / f"{MODEL}-3.dossier.zip").read_bytes())
    policies = {name[:73] for name in files if name.startswith("policies/")}
    assert len(policies) == 2, "that of the first verdict and that of the others"
    assert DEFINITION.rpartition("/")[2] in {name.rpartition("/")[2] for name in files}


def test_controls_are_told_if_they_are_asked_for(
    govern: Govern, where: list[Any], central: dict[str, Any], tmp_path: Path
) -> None:
    file = str(tmp_path / "x.zip")
    result = govern("dossier", VERSION, "--controls", "--output", file)
    assert result.exit_code == 0, result.output
    assert "NIST AI Risk Management Framework" in result.output
    assert "review:technical" in result.output
    said = json.loads(
        govern("dossier", VERSION, "--controls", "--force", "--output", file, "--json").output
    )
    (hipaa,) = (one for one in said["controls"]["frameworks"] if one["id"] == "hipaa")
    (audit,) = (one for one in hipaa["controls"] if one["id"] == "164.312(b)")
    assert audit["standing"] == "shown"
    assert govern("verify", file, "--fingerprint", FINGERPRINT).exit_code == 0
    plain = json.loads(govern("dossier", VERSION, "--force", "--output", file, "--json").output)
    assert "controls" not in plain


@pytest.mark.parametrize("broken", ["ledger", "evidence", "version"])
def test_no_dossier_is_written_of_evidence_that_is_not_in_order(
    govern: Govern, where: list[Any], central: dict[str, Any], tmp_path: Path, broken: str
) -> None:
    if broken == "ledger":
        del central["book"].rows[2]
    elif broken == "evidence":
        del central["documents"][f"manifests/{MODEL}/{EVIDENCE.candidate_id}.json"]
    else:
        central["description"]["ModelCard"]["ModelCardContent"] = "{}"
    file = tmp_path / "x.zip"
    result = govern("dossier", VERSION, "--output", str(file), "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "integrity")
    assert error["findings"]
    assert not file.exists()


EARLIER_TIER = next(place for place in EVIDENCE.places if place[0] == "policies/tier")


def test_a_policy_that_is_gone_is_said_and_the_dossier_says_it(
    govern: Govern, where: list[Any], central: dict[str, Any], tmp_path: Path
) -> None:
    del central["documents"][EARLIER_TIER]
    file = tmp_path / "x.zip"
    result = govern("dossier", VERSION, "--output", str(file))
    assert result.exit_code == 1, result.output
    assert "Not in it: policies/" in result.output
    assert "is not there any more" in result.output
    again = govern("dossier", VERSION, "--output", str(file), "--force", "--json")
    gone = json.loads(again.output)["absent"]
    assert (again.exit_code, len(gone), set(gone.values())) == (1, 3, {True})
    checked = json.loads(govern("verify", str(file), "--json").output)
    assert {(what, where) for _, what, where in failures(checked)} == {
        ("file-missing", name) for name in gone
    }
    online = report(central, govern, MODEL)
    assert [what for _, what, _ in failures(online)] == ["evidence-missing"]


def test_another_policy_in_its_place_is_not_taken(
    govern: Govern, where: list[Any], central: dict[str, Any], tmp_path: Path
) -> None:
    central["documents"][EARLIER_TIER] += b" "
    result = govern("dossier", VERSION, "--output", str(tmp_path / "x.zip"), "--json")
    assert set(json.loads(result.output)["absent"].values()) == {True}
    online = report(central, govern, MODEL)
    assert [what for _, what, _ in failures(online)] == ["evidence-mismatch"]


def test_the_directory_knows_a_policy_that_no_entry_records(
    govern: Govern,
    where: list[Any],
    central: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refusal under a policy that nobody has recorded yet: the present one."""
    plain = Evidence(EVIDENCE.signer)
    chain = plain.chain()
    rows = [attestations.row_of(one.decode()) for one in chain.envelopes]
    head = {
        "head": len(rows),
        "digest": rows[-1]["digest"],
        "checkpoint": chain.checkpoint.decode(),
    }
    central["book"] = evidence.Book(MODEL, rows, head)
    arguments = ("dossier", VERSION, "--force", "--json", "--output", str(tmp_path / "x.zip"))
    assert len(json.loads(govern(*arguments).output)["absent"]) == 3
    pins = {
        part: {
            "uri": f"s3://{samples.EVIDENCE_BUCKET}/policies/{part}",
            "version_id": hashlib.sha256(body).hexdigest()[:8],
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        for part, body in EVIDENCE.policy.items()
    }
    monkeypatch.setattr(projects, "project_of", lambda *_: {"model": MODEL, "policy": pins})
    assert json.loads(govern(*arguments).output)["absent"] == {}


def test_a_dossier_is_of_one_version(govern: Govern, where: list[Any]) -> None:
    result = govern("dossier", MODEL)
    assert result.exit_code == 2
    assert f"which version of {MODEL}?" in result.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.zip"
    path.write_bytes(dossier.pack(EVIDENCE.files()))
    return path


def test_a_key_file_is_an_anchor(govern: Govern, file: Path, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(EVIDENCE.signer.pem)
    (tmp_path / "other.pem").write_bytes(chains.Signer().pem)
    (tmp_path / "none.pem").write_bytes(b"none")
    for name, code in (("key", 0), ("other", 1), ("none", 2), ("missing", 2)):
        key = str(tmp_path / f"{name}.pem")
        assert govern("verify", str(file), "--key", key).exit_code == code, name


def test_a_fingerprint_may_have_colons_and_must_be_one(govern: Govern, file: Path) -> None:
    colons = ":".join(FINGERPRINT[at : at + 2] for at in range(0, 64, 2)).upper()
    assert govern("verify", str(file), "--fingerprint", colons).exit_code == 0
    result = govern("verify", str(file), "--fingerprint", "abc")
    assert result.exit_code == 2
    assert "64 hex digits" in result.output


def test_the_page_is_drawn_again_only_of_what_is_in_order(
    govern: Govern, file: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert govern("verify", str(file), "--page", str(page)).exit_code == 0
    assert page.read_bytes() == dossier.unpack(file.read_bytes())[0]["index.html"]
    page.unlink()
    result = govern("verify", str(file), "--page", str(page), "--fingerprint", "0" * 64)
    assert result.exit_code == 1
    assert not page.exists()
    online = govern("verify", MODEL, "--page", str(page))
    assert online.exit_code == 2


def test_a_page_of_another_version_is_said_to_be_unchecked(
    govern: Govern, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dossier_page, "renderer", lambda: "page of the future")
    result = govern("verify", str(file), "--fingerprint", FINGERPRINT)
    assert result.exit_code == 0
    assert "page" in result.output
    assert "not checked" in result.output


@pytest.mark.parametrize("name", ["missing.zip", "broken.zip"])
def test_what_is_no_dossier_is_an_error_of_its_own(
    govern: Govern, tmp_path: Path, name: str
) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04")
    result = govern("verify", str(tmp_path / name), "--json")
    assert result.exit_code == 2
    assert json.loads(result.output)["error"]["code"] in ("unreadable", "not_a_dossier")


def test_a_file_too_large_is_not_read(
    govern: Govern, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dossier, "LARGEST", 1000)
    result = govern("verify", str(file))
    assert result.exit_code == 2
    assert "at most 1000" in result.output
