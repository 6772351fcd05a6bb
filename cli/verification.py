"""`govern verify`: what is checked, in which order, and how it ended; online and of a dossier."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli import dossier, evidence, versions
from cli.errors import GovernError
from governance.adapters.registry import plain
from governance.domain import attestations, candidate, dossiers, policy_changes, registration
from governance.domain.errors import IntegrityError, InvalidInputError
from governance.domain.verification import KINDS as CHAIN_KINDS
from governance.domain.verification import Finding, Key, verify_chain

if TYPE_CHECKING:
    from cli.target import Target

PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not checked"

# Every name that a finding can have online, besides those of the chain and of dossiers.
KINDS: Mapping[str, str] = {
    "row-mismatch": "an item of the ledger table says something else than its envelope",
    "head-mismatch": "the head of the ledger says something else than its checkpoint",
    "not-archived": "the archive lacks what the table has",
    "not-in-table": "the table lacks what the archive has",
    "archive-mismatch": "the archive has other bytes than the table",
    "archive-altered": "something in the archive was deleted or overwritten",
    "evidence-missing": "a manifest, report, definition or policy that an entry names is not there",
    "evidence-mismatch": "a document is not the one whose digest was signed",
    "version-changed": "the Central version is not the candidate any more",
}
ALL_KINDS: Mapping[str, str] = {**dossiers.ALL_KINDS, **KINDS}

# The archive follows the table within seconds; an alarm rings after five minutes.
_ARCHIVED_WITHIN = timedelta(minutes=5)
# Which check of a dossier a finding belongs to, in the order of the table.
_DOSSIER_CHECKS: Sequence[tuple[str, frozenset[str]]] = (
    (
        "files",
        frozenset(
            {
                "file-missing",
                "file-unexpected",
                "file-changed",
                "container-altered",
                "contents-invalid",
            }
        ),
    ),
    ("signing key", frozenset({"key-not-trusted", "public-key-invalid", "wrong-key"})),
    ("ledger", frozenset(CHAIN_KINDS) - {"public-key-invalid", "wrong-key"}),
    ("candidate", frozenset({"manifest-mismatch", "candidate-mismatch"})),
    (
        "evidence",
        frozenset({"report-mismatch", "card-mismatch", "policy-mismatch", "definition-mismatch"}),
    ),
    ("page", frozenset({"derived-mismatch", "page-mismatch"})),
)

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked, or was not: `status` says so, `detail` what was looked at."""

    name: str
    status: str
    detail: str
    findings: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields, as JSON values."""
        return {
            "name": self.name,
            "status": self.status,
            "detail": self.detail,
            "findings": [finding.to_dict() for finding in self.findings],
        }


@dataclass(slots=True)
class Report:
    """All checks of one subject ("model M", "M/1", a file). `fingerprint` is the key's."""

    subject: str
    fingerprint: str = ""
    trusted: bool = False
    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True if nothing is wrong."""
        return all(check.status != FAILED for check in self.checks)

    @property
    def findings(self) -> list[Finding]:
        """Everything that is wrong."""
        return [finding for check in self.checks for finding in check.findings]

    def add(self, name: str, detail: str, findings: Sequence[Finding] = ()) -> bool:
        """Add a check that was made; True if it passed."""
        status = FAILED if findings else PASSED
        self.checks.append(Check(name, status, detail, tuple(findings)))
        return not findings

    def skip(self, name: str, why: str) -> None:
        """Add a check that was not made."""
        self.checks.append(Check(name, NOT_CHECKED, why))

    def to_dict(self) -> dict[str, Any]:
        """{subject, passed, fingerprint, key_trusted, checks: [...]}"""
        return {
            "subject": self.subject,
            "passed": self.passed,
            "fingerprint": self.fingerprint,
            "key_trusted": self.trusted,
            "checks": [check.to_dict() for check in self.checks],
        }


# ---------------------------------------------------------------- a dossier


def of_file(name: str, checked: dossier.Checked) -> Report:
    """The report of a dossier that was checked."""
    report = Report(_subject(name, checked.files), checked.fingerprint)
    for check, kinds in _DOSSIER_CHECKS:
        found = [finding for finding in checked.findings if finding.what in kinds]
        detail = _DETAILS[check](checked.files)
        if found:
            report.add(check, detail, found)
        elif check == "signing key" and not checked.anchored:
            report.skip(check, f"{detail}: compared with nothing that you trust")
        elif check == "page" and checked.notes:
            report.skip(check, "; ".join(checked.notes))
        elif report.passed or check in ("signing key", "ledger"):
            report.add(check, detail)
        else:
            report.skip(check, "what it rests on has failed")
    report.trusted = report.passed and checked.anchored
    return report


def _subject(name: str, files: Mapping[str, bytes]) -> str:
    try:
        contents = json.loads(files[dossiers.CONTENTS])
        arn = str(contents["model_package_arn"])
        return f"{name}: {contents['model']}/{arn.rpartition('/')[2]}, as the file says"
    except (ValueError, KeyError, TypeError, RecursionError):
        return name


def _ledger_detail(files: Mapping[str, bytes]) -> str:
    count = files.get(dossiers.LEDGER, b"").count(b"\n")
    return f"{count} signed entries and a checkpoint: numbers, links, signatures"


def _key_detail(files: Mapping[str, bytes]) -> str:
    try:
        return f"key {Key(files.get(dossiers.KEY, b'')).fingerprint}"
    except ValueError:
        return "no key"


_DETAILS: Mapping[str, Callable[[Mapping[str, bytes]], str]] = {
    "files": lambda files: f"{len(files)} files, each listed with its digest",
    "signing key": _key_detail,
    "ledger": _ledger_detail,
    "candidate": lambda files: "the manifest is that of the candidate that was approved",
    "evidence": lambda files: (
        "reports, model card, policies and deployment definitions have the digests that were signed"
    ),
    "page": lambda files: "lineage, approvals, controls and page say what the evidence says",
}


# ---------------------------------------------------------------- online


def online(
    where: Target,
    model: str,
    version: int | None,
    trusted: str | None,
    progress: Progress,
) -> Report:
    """Ledger, archive, key and evidence of a model in Central; of a version, its bytes as well.

    `trusted` is the fingerprint of the key that the reader trusts, or None.
    """
    report = Report(model if version is None else f"{model}/{version}")
    book = evidence.book(where.reader, model, progress)
    if not book.rows and not book.head:
        raise GovernError(
            "not_found",
            f"the ledger has nothing about model {model!r}",
            "`govern status` lists the models",
        )
    pem = evidence.public_key(where.reader)
    report.fingerprint = Key(pem).fingerprint
    _check_key(report, trusted)
    _check_book(report, book, pem, progress)
    shelf = evidence.shelf(where.reader, where.central_account, model, progress)
    report.add("archive", f"{len(shelf.entries)} archived entries", _archive(book, shelf))
    if not report.passed:
        report.skip("evidence", "what it rests on has failed")
        return report
    entries = [attestations.entry_of(row["envelope"]) for row in book.rows]
    named = _documents(where, model, entries) | _policies(entries)
    _check_evidence(report, where, named, progress)
    if version is not None:
        _check_version(report, where, model, version, entries)
    report.trusted = trusted is not None and report.passed
    return report


def _check_key(report: Report, trusted: str | None) -> None:
    detail = f"key {report.fingerprint}, as KMS has it"
    if trusted is None:
        report.skip("signing key", f"{detail}: compared with nothing that you keep yourself")
    elif trusted == report.fingerprint:
        report.add("signing key", detail)
    else:
        other = Finding("key-not-trusted", "KMS", f"key {trusted}", f"key {report.fingerprint}")
        report.add("signing key", detail, [other])


def _check_book(report: Report, book: evidence.Book, pem: bytes, progress: Progress) -> None:
    findings = verify_chain(
        book.envelopes,
        book.checkpoint,
        pem,
        book.model,
        lambda done: progress("entries verified", done),
    )
    detail = f"{len(book.rows)} signed entries and a checkpoint: numbers, links, signatures"
    report.add("ledger", detail, findings)
    report.add("tables", "items and head say what was signed", _tables(book))


def _tables(book: evidence.Book) -> list[Finding]:
    """What the tables say beside the envelopes, and they do not."""
    findings = []
    for position, row in enumerate(book.rows, 1):
        try:
            attestations.entry_in(row)
        except IntegrityError as error:
            where = f"entry {position}"
            findings.append(Finding("row-mismatch", where, "what was signed", str(error)))
    if book.head:
        said = _predicate(book.checkpoint or b"")
        expected = {"head": said.get("entries"), "digest": said.get("digest")}
        present = {name: book.head.get(name) for name in expected}
        if present != expected:
            findings.append(Finding("head-mismatch", "head", str(expected), str(present)))
    return findings


def _archive(book: evidence.Book, shelf: evidence.Shelf) -> list[Finding]:
    """Table and archive hold the same bytes, and neither lacks what the other has."""
    table = {attestations.archive_key(book.model, int(row["sequence"])): row for row in book.rows}
    findings = [
        Finding("archive-altered", key, "one version, never deleted", what)
        for key, what in sorted(shelf.altered.items())
    ]
    for key, row in table.items():
        body = shelf.entries.get(key)
        if body is None and not _recent(row):
            findings.append(Finding("not-archived", key, "the entry of the table", "nothing"))
        elif body is not None and body != str(row.get("envelope", "")).encode():
            findings.append(
                Finding("archive-mismatch", key, _digest(row["envelope"].encode()), _digest(body))
            )
    newer = attestations.archive_key(book.model, int(book.head.get("head", 0)))
    findings += [
        Finding("not-in-table", key, "an item with this entry", "nothing")
        for key in sorted(shelf.entries.keys() - table.keys())
        # What was appended since the tables were read is in the archive already.
        if key <= newer or not _recent_envelope(shelf.entries[key])
    ]
    return findings + _archived_checkpoints(book, shelf)


def _archived_checkpoints(book: evidence.Book, shelf: evidence.Shelf) -> list[Finding]:
    rows = [row for row in book.rows if not _recent(row)]
    expected = evidence.archive_keys(
        book.model, (int(row["sequence"]) for row in rows), checkpoint=True
    )
    findings = [
        Finding("not-archived", key, "the checkpoint of this entry", "nothing")
        for key in expected
        if key not in shelf.checkpoints
    ]
    last = attestations.archive_key(book.model, int(book.head.get("head", 0)), checkpoint=True)
    if shelf.newest_checkpoint is None or last != max(shelf.checkpoints):
        return findings
    if shelf.newest_checkpoint != book.checkpoint:
        found = _digest(shelf.newest_checkpoint)
        findings.append(Finding("archive-mismatch", last, _digest(book.checkpoint or b""), found))
    return findings


def _documents(
    where: Target, model: str, entries: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str | None], str]:
    """{(URI, version id): SHA-256} of each manifest, report and definition that entries name."""
    named: dict[tuple[str, str | None], str] = {}
    for entry in entries:
        digest = entry.get("candidate_id")
        if digest:
            uri = evidence.manifest_uri(where.reader, where.central_account, model, digest)
            named[uri, None] = digest
        if entry.get("report"):
            named[entry["report"]["uri"], entry["report"]["version_id"]] = entry["report"]["sha256"]
        # One that was refused may be one that nobody ever published.
        if entry.get("definition") and (entry.get("verdict") or {}).get("allowed"):
            named[entry["definition"]["uri"], None] = entry["definition"]["digest"]
    return named


def _policies(entries: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str | None], str]:
    """{(URI, version id): SHA-256} of each file of a policy that was ever published."""
    return {
        (part["uri"], part["version_id"]): part["sha256"]
        for policy in policy_changes.recorded(entries).values()
        for part in policy.values()
    }


def _check_evidence(
    report: Report,
    where: Target,
    named: Mapping[tuple[str, str | None], str],
    progress: Progress,
) -> None:
    """Every document that an entry names is there with its digest."""
    findings = []
    for count, ((uri, version_id), digest) in enumerate(sorted(named.items(), key=str), 1):
        body = evidence.document(where.reader, uri, version_id)
        progress("documents read", count)
        if body is None:
            findings.append(Finding("evidence-missing", uri, f"sha256 {digest}", "nothing"))
        elif _digest(body) != f"sha256 {digest}":
            findings.append(Finding("evidence-mismatch", uri, f"sha256 {digest}", _digest(body)))
    what = "manifests, reports, definitions and policies' files"
    report.add("evidence", f"{len(named)} {what} that entries name", findings)


def _check_version(
    report: Report,
    where: Target,
    model: str,
    version: int,
    entries: Sequence[Mapping[str, Any]],
) -> None:
    """The Central version is still the candidate that the ledger says was approved."""
    found = versions.find(where.reader, where.central_account, model, version)
    candidate_id = dossiers.candidate_of(dossiers.story(entries, found.arn), found.arn)
    known = evidence.candidate(where.reader, candidate_id, model) if candidate_id else None
    if known is None:
        missing = Finding("version-changed", found.arn, "a promotion in the ledger", "none")
        report.add("version", "is the candidate that was promoted", [missing])
        return
    uri = evidence.manifest_uri(where.reader, where.central_account, model, candidate_id)
    manifest = json.loads(evidence.document(where.reader, uri) or b"{}")
    description = plain(found.description)
    differences = [
        *registration.other_version(known, description),
        *candidate.differences(manifest, description, known["objects"]),
        *evidence.said_of_tests(where.reader, entries, found.arn, description),
    ]
    report.add(
        "version",
        f"is candidate {candidate_id[:12]}: what it refers to, image, card, settings, tests",
        [
            Finding("version-changed", f"{found.arn} {one['name']}", one["expected"], one["actual"])
            for one in differences
        ],
    )


# ---------------------------------------------------------------- writing a dossier


def files_of(
    where: Target,
    model: str,
    version: int,
    progress: Progress,
    controls_table: Mapping[str, Any] | None = None,
) -> dict[str, bytes]:
    """The files of a version's dossier, out of evidence that was found in order.

    With a `controls_table` it says which of them satisfy which control. A policy that is not
    there any more is left out, and dossiers.absent names it. GovernError `integrity` if any other
    evidence is not in order: a dossier of it would prove nothing.
    """
    from cli import dossier_page

    found = versions.find(where.reader, where.central_account, model, version)
    book = evidence.book(where.reader, model, progress)
    pem = evidence.public_key(where.reader)
    report = Report(f"{model}/{version}")
    _check_book(report, book, pem, progress)
    if report.passed:
        entries = [attestations.entry_of(row["envelope"]) for row in book.rows]
        _check_evidence(report, where, _documents(where, model, entries), progress)
    if report.passed:
        _check_version(report, where, model, version, entries)
    if not report.passed:
        first = report.findings[0]
        raise GovernError(
            "integrity",
            f"no dossier of {model}/{version}: {first.what} at {first.where}, expected "
            f"{first.expected}, found {first.found}",
            f"govern verify {model}/{version} shows everything that is wrong",
            details={"findings": [finding.to_dict() for finding in report.findings]},
        )
    about = dossiers.story(entries, found.arn)
    candidate_id = dossiers.candidate_of(about, found.arn)
    uri = evidence.manifest_uri(where.reader, where.central_account, model, candidate_id)
    # Was found when the version was compared.
    known_objects = (evidence.candidate(where.reader, candidate_id, model) or {})["objects"]
    return dossiers.assemble(
        model=model,
        model_package_arn=found.arn,
        envelopes=book.envelopes,
        checkpoint=book.checkpoint or b"",
        public_key_pem=pem,
        manifest=evidence.needed(where.reader, uri, None),
        evaluation=evidence.evaluation(where.reader, candidate_id, model),
        reports={
            sequence: evidence.needed(where.reader, one["uri"], one["version_id"])
            for sequence, one in dossiers.named_reports(about).items()
        },
        card=candidate.canonical_card(plain(found.description), known_objects),
        policies=evidence.policies(where.reader, model, entries, dossiers.policy_digests(about)),
        deployments=_deployments(where, about),
        renderer=dossier_page.renderer(),
        render=dossier_page.render,
        controls_table=controls_table,
    )


def _deployments(where: Target, about: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """The deployment definitions that entries name, but for a refused one that is not there."""
    named = dossiers.named_definitions(about)
    found = {
        digest: evidence.document(where.reader, entry["definition"]["uri"])
        for digest, entry in named.items()
    }
    return [
        body
        for digest, body in found.items()
        if body is not None and _digest(body) == f"sha256 {digest}"
    ]


# ---------------------------------------------------------------- small things


def _predicate(envelope: bytes) -> Mapping[str, Any]:
    try:
        predicate: Mapping[str, Any] = attestations.statement_in(envelope.decode())["predicate"]
    except (IntegrityError, InvalidInputError, UnicodeDecodeError):
        return {}
    return predicate


def _recent(row: Mapping[str, Any]) -> bool:
    """True if the entry may still be on its way into the archive."""
    try:
        recorded = datetime.fromisoformat(str(row.get("recorded_at")))
    except ValueError:
        return False
    return datetime.now(UTC) - recorded < _ARCHIVED_WITHIN


def _recent_envelope(envelope: bytes) -> bool:
    try:
        return _recent(attestations.entry_of(envelope.decode()))
    except (IntegrityError, UnicodeDecodeError):
        return False


def _digest(body: bytes) -> str:
    return f"sha256 {hashlib.sha256(body).hexdigest()}"
