"""The dossier as a file: one ZIP, the same bytes for the same evidence.

Members are stored, not compressed, sorted by name and of one time, so that the file is a function
of what is in it: reading it and writing it again must give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import compliance, dossier_page
from cli.errors import USAGE, GovernError
from governance.domain import dossiers
from governance.domain.verification import Finding, Key

LARGEST = 512 * 1024**2  # bytes of a dossier; a chain of 100,000 entries fits
_MOST_FILES = 1000
_LONGEST_NAME = 200
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9.-]*)?")
_HINT = "ask for the file again; `govern dossier MODEL/VERSION` writes one"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check of a dossier found.

    `anchored` says whether the key was compared with one that the reader trusts; `notes` what
    could not be checked.
    """

    files: Mapping[str, bytes]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    anchored: bool
    fingerprint: str

    @property
    def passed(self) -> bool:
        """True if nothing is wrong."""
        return not self.findings


def pack(files: Mapping[str, bytes]) -> bytes:
    """The files as a ZIP, always the same one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.create_system = 3  # what the host is does not matter
            member.external_attr = 0o100644 << 16
            archive.writestr(member, files[name])
    return buffer.getvalue()


def unpack(body: bytes) -> tuple[dict[str, bytes], list[Finding]]:
    """(files, findings) of a dossier's bytes. GovernError `not_a_dossier` if they are none.

    Nothing is written to disk and nothing is inflated, so neither names nor sizes can do harm.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            problem = _problem(members)
            if problem:
                raise _no_dossier(problem)
            files = {member.filename: archive.read(member) for member in members}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise _no_dossier(f"it is not a whole ZIP file ({error})") from error
    except RuntimeError as error:  # encrypted
        raise _no_dossier(str(error)) from error
    if dossiers.CONTENTS not in files:
        raise _no_dossier(f"it has no {dossiers.CONTENTS}")
    findings = []
    if pack(files) != body:
        findings.append(
            Finding(
                "container-altered",
                "the ZIP file",
                "the files of a dossier, stored as `govern dossier` stores them",
                "other bytes around or between them, or another form",
            )
        )
    return files, findings


def check(body: bytes, trusted: str | None) -> Checked:
    """Everything that is wrong with a dossier's bytes.

    `trusted` is the fingerprint (64 hex digits) of the key that the reader trusts, or None.
    GovernError `not_a_dossier` if the bytes are no dossier at all.
    """
    files, findings = unpack(body)
    found, notes = dossiers.check(
        files,
        trusted=trusted,
        renderer=dossier_page.renderer(),
        render=dossier_page.render,
        controls_table=compliance.table(),
    )
    try:
        fingerprint = Key(files.get(dossiers.KEY, b"")).fingerprint
    except ValueError:
        fingerprint = ""
    return Checked(files, (*findings, *found), tuple(notes), trusted is not None, fingerprint)


def read(path: Path) -> bytes:
    """The bytes of a dossier's file. GovernError if it cannot be read or is too large."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise _no_dossier(f"{path} has {size} bytes; a dossier has at most {LARGEST}")
        return path.read_bytes()
    except OSError as error:
        raise GovernError(
            "unreadable", f"cannot read {path}: {error.strerror}", "check the path", USAGE
        ) from error


def write(path: Path, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Write the files as a dossier; {file, bytes, files, sha256, fingerprint}."""
    body = pack(files)
    try:
        path.write_bytes(body)
    except OSError as error:
        raise _unwritable(path, error) from error
    return {
        "file": str(path),
        "bytes": len(body),
        "files": len(files),
        "sha256": hashlib.sha256(body).hexdigest(),
        "fingerprint": Key(files[dossiers.KEY]).fingerprint,
    }


def draw(checked: Checked, path: Path) -> None:
    """Write the page of evidence that was found in order, drawn by this version.

    GovernError `integrity` if it was not: a page of it would mislead.
    """
    if not checked.passed:
        raise GovernError(
            "integrity",
            f"{path} was not drawn: {checked.findings[0].what} at {checked.findings[0].where}",
            "check the dossier without --page to see everything that is wrong",
        )
    evidence = {name: body for name, body in checked.files.items() if name != dossiers.PAGE}
    try:
        path.write_bytes(dossier_page.render(evidence))
    except OSError as error:
        raise _unwritable(path, error) from error


def trusted_key(key: Path | None, fingerprint: str | None) -> str | None:
    """The fingerprint that the reader trusts, of a key file or as it was given; None without.

    GovernError `usage` if it is none.
    """
    if fingerprint is not None:
        plain = fingerprint.replace(":", "").lower()
        if not re.fullmatch(r"[0-9a-f]{64}", plain):
            raise GovernError(
                "usage",
                f"{fingerprint!r} is no fingerprint; expected the 64 hex digits of a SHA-256",
                "openssl pkey -pubin -in key.pem -outform der | sha256sum",
                USAGE,
            )
        return plain
    if key is None:
        return None
    try:
        return Key(key.read_bytes()).fingerprint
    except OSError as error:
        raise GovernError(
            "unreadable", f"cannot read {key}: {error.strerror}", "check the path", USAGE
        ) from error
    except ValueError as error:
        raise GovernError(
            "usage", f"{key} is not a P-256 public key in PEM: {error}", exit_code=USAGE
        ) from error


def _problem(members: list[zipfile.ZipInfo]) -> str:
    """Why a ZIP is none of ours, "" if nothing says so. Only the directory was read so far."""
    if len(members) > _MOST_FILES:
        return f"it has {len(members)} files; a dossier has at most {_MOST_FILES}"
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        return f"it has {_shown(twice)} twice"
    for member in members:
        if len(member.filename) > _LONGEST_NAME or not _NAME.fullmatch(member.filename):
            return f"no dossier has a file named {_shown(member.filename)}"
        if member.compress_type != zipfile.ZIP_STORED:
            return f"{member.filename} is compressed, which no file of a dossier is"
        if member.file_size != member.compress_size:
            return f"{member.filename} has two sizes"
    return ""


def _unwritable(path: Path, error: OSError) -> GovernError:
    return GovernError("unwritable", f"cannot write {path}: {error.strerror}", "check the path")


def _shown(name: str) -> str:
    return ascii(name[:80])


def _no_dossier(why: str) -> GovernError:
    return GovernError("not_a_dossier", f"this is no dossier: {why}", _HINT, USAGE)
