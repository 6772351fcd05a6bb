"""Controls of standards and laws, and which evidence of a version satisfies them.

The table (cli/controls.json) says once what evidence there can be for a control and what no
evidence here can satisfy. For a version this finds the pieces; it judges nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from governance.domain import attestations, reviews
from governance.domain.described import card_sections

SCHEMA = "governed-path/controls-of-a-version/v1"
FULL, PARTIAL, NONE = "full", "partial", "none"
COVERAGE = (FULL, PARTIAL, NONE)
# Of what a control asks: all that evidence can show is here, some of it is not, it is the
# installation's and no dossier shows it, or none can be.
STANDINGS = SHOWN, INCOMPLETE, ELSEWHERE, GAP = ("shown", "incomplete", "elsewhere", "gap")

_WAIVABLE = "required_reviews_given"  # what a gate does without in an emergency

Entry = Mapping[str, Any]
Files = Mapping[str, bytes]
Piece = dict[str, Any]


def digest_of(table: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a table; two of the same digest say the same."""
    text = json.dumps(table, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def of_version(
    table: Mapping[str, Any], files: Files, entries: Sequence[Entry], about: Sequence[Entry]
) -> dict[str, Any]:
    """{schema, table_sha256, frameworks: [{id, name, version, controls}]} of a version.

    `files` are the dossier's, `entries` its ledger's and `about` those about the version. A control
    is {id, title, coverage, reason, gaps, standing, found, absent, installation}: `found` the
    pieces of evidence {evidence, where, sha256}, `absent` what is asked for and not there,
    `installation` resources of the template, which no dossier can show.
    """
    look = _Look(files, entries, about)
    return {
        "schema": SCHEMA,
        "table_sha256": digest_of(table),
        "frameworks": [
            {
                **{key: framework[key] for key in ("id", "name", "version")},
                "controls": [_control(one, look) for one in framework["controls"]],
            }
            for framework in table["frameworks"]
        ],
    }


def _control(control: Mapping[str, Any], look: _Look) -> dict[str, Any]:
    asked = [name for name in control["evidence"] if not name.startswith("setting:")]
    pieces = {name: look.at(name) for name in (*asked, *control["occasional"])}
    absent = [name for name in asked if not pieces[name]]
    return {
        **{key: control[key] for key in ("id", "title", "coverage", "reason", "gaps")},
        "standing": _standing(control, asked, absent),
        "found": [piece for found in pieces.values() for piece in found],
        "absent": absent,
        "installation": [
            name.removeprefix("setting:")
            for name in control["evidence"]
            if name.startswith("setting:")
        ],
    }


def _standing(control: Mapping[str, Any], asked: Sequence[str], absent: Sequence[str]) -> str:
    if control["coverage"] == NONE:
        return GAP
    if not asked:
        return ELSEWHERE
    return INCOMPLETE if absent else SHOWN


class _Look:
    """Finds pieces of evidence by the names that the table gives them."""

    def __init__(self, files: Files, entries: Sequence[Entry], about: Sequence[Entry]) -> None:
        self._files, self._entries, self._about = files, entries, about
        envelopes = files["ledger.jsonl"].decode().splitlines()
        self._candidate_id = _sha256(files["manifest.json"])
        payloads = [attestations.payload_of(envelope) for envelope in envelopes]
        self._digests = [attestations.digest_of(payload) for payload in payloads]
        self._ways: Mapping[str, Callable[[str], list[Piece]]] = {
            "entry": self._entry,
            "review": self._review,
            "rule": self._rule,
            "file": self._file,
            "card": self._card,
            "manifest": lambda name: self._member("manifest.json", name),
            "evaluation": lambda name: self._member("reports/evaluation.json", name),
        }

    def at(self, name: str) -> list[Piece]:
        """The pieces [{evidence, where, sha256}] of that name, [] if there are none."""
        way, _, what = name.partition(":")
        return [{"evidence": name, **piece} for piece in self._ways[way](what)]

    def _entry(self, kind: str) -> list[Piece]:
        # A policy is the whole model's, so that its changes are about every version.
        among = self._entries if kind == "PolicyChanged" else self._about
        return [self._piece(entry) for entry in among if entry["kind"] == kind]

    def _review(self, kind: str) -> list[Piece]:
        """Reviews of this candidate that nobody took back and nothing voided, of any age."""
        in_force = [
            entry
            for story in self._stories()
            for entry in reviews.in_force(story, self._candidate_id)
            if entry["review"] == kind
        ]
        return [self._piece(entry) for entry in sorted(in_force, key=_sequence)]

    def _stories(self) -> Iterable[list[Entry]]:
        """The entries about each version, in Dev and in Central, the newest first."""
        for arn in dict.fromkeys(entry["model_package_arn"] for entry in self._about):
            yield [e for e in reversed(self._about) if e["model_package_arn"] == arn]

    def _rule(self, rule: str) -> list[Piece]:
        """Verdicts that asked the rule and found it met; of a claim's several, one.

        None if the newest that asked it did not: what it said before counts no more.
        """
        asked = [e for e in self._about if rule in ((e.get("verdict") or {}).get("rules") or ())]
        if not asked or not _is_met(rule, asked[-1]["verdict"]):
            return []
        claims: dict[str, Entry] = {}
        for entry in asked:
            if _is_met(rule, entry["verdict"]):
                claims.setdefault(str(entry["claim_id"]), entry)
        return [self._piece(entry) for entry in claims.values()]

    def _file(self, name: str) -> list[Piece]:
        """The file of that name, or those whose names begin with it."""
        begins = (f"{name}-", f"{name}/")
        named = [one for one in sorted(self._files) if one == name or one.startswith(begins)]
        return [{"where": one, "sha256": _sha256(self._files[one])} for one in named]

    def _card(self, section: str) -> list[Piece]:
        body = self._files.get("model-card.json")
        if body is None:
            return []
        said = card_sections({"ModelCard": {"ModelCardContent": body.decode()}})
        where = f"model-card.json {section}"
        return [{"where": where, "sha256": _sha256(body)}] if section in said else []

    def _member(self, file: str, member: str) -> list[Piece]:
        body = self._files.get(file)
        value = json.loads(body).get(member) if body is not None else None
        if body is None or not _known(value):
            return []
        return [{"where": f"{file} {member}", "sha256": _sha256(body)}]

    def _piece(self, entry: Entry) -> Piece:
        number = entry["sequence"]
        where = f"ledger.jsonl entry {number}, {entry['kind']}"
        return {"where": where, "sha256": self._digests[number - 1]}


def _is_met(rule: str, verdict: Mapping[str, Any]) -> bool:
    """True if the gate neither denied by the rule nor, in an emergency, did without it."""
    denied = {reason["rule"] for reason in verdict.get("reasons") or []}
    waived = rule == _WAIVABLE and verdict.get("break_glass")
    return rule not in denied and not waived


def _sequence(entry: Entry) -> int:
    return int(entry["sequence"])


def _known(value: Any) -> bool:
    """True if something is said, in each of a list's entries."""
    if isinstance(value, list):
        return bool(value) and all(_known(one) for one in value)
    if isinstance(value, Mapping):
        return any(_known(one) for one in value.values())
    return value not in (None, "")


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
