"""Back-test: what would the policies in a directory have decided on what gates have seen?

Nothing is asked of AWS but the ledger and the deployment definitions that it names: each verdict
keeps the facts it saw, and the same engine is asked about the same facts under another policy. What
a tier bounds in a definition is not a fact: the recorded definition is held against the other tier.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli import dossier, policies
from cli.errors import USAGE, GovernError, usage
from cli.options import TIERS
from governance.adapters.definitions import objections
from governance.adapters.policy_engine import engine
from governance.domain import dossiers, gates, locks, rollbacks
from governance.domain.facts import Facts, from_dict
from governance.domain.policies import Policy

Entry = Mapping[str, Any]
Reference = Mapping[str, str]  # {digest, uri} of a deployment definition
Documents = Callable[[Reference], bytes | None]
# What a release is refused by beside its policy.
_NO_POLICY = frozenset({locks.RULE, rollbacks.RULE})


def backtest(entries: Iterable[Entry], directory: Path, documents: Documents) -> dict[str, Any]:
    """{directory, decisions, without_facts, without_definition, changes}: under other policies.

    `documents` gives the bytes of a definition, None if they are not to be had. `decisions` is how
    many were replayed; `without_facts` how many verdicts could not be, as they are older than the
    facts in verdicts; `without_definition` how many were replayed with what their gate had said of
    a definition that is not to be had. Each change is {model, version, model_package_arn, stage,
    tier, sequence, decided_at, before, after, newly_denies, no_longer_denies}: `before` and `after`
    are allowed or denied, `newly_denies` the reasons of rules that did not deny then, and
    `no_longer_denies` the names of those that did.

    GovernError `invalid` for a directory that is no policy, exit code 2.
    """
    wrong = policies.check(directory)
    if wrong:
        said = "; ".join(str(problem) for problem in wrong)
        raise GovernError("invalid", said, f"govern policy check {directory}", USAGE)
    under = {tier: policies.read(directory, tier) for tier in TIERS}
    replayed = without_facts = without_definition = 0
    changes = []
    for entry in _decisions(entries):
        verdict = entry["verdict"]
        if not verdict.get("facts") or verdict.get("tier") not in under:
            without_facts += 1
            continue
        replayed += 1
        policy, facts = under[verdict["tier"]], from_dict(verdict["facts"])
        if facts.definition is not None:
            held = _held_against(policy.tier, facts.definition, documents)
            without_definition += held is None
            facts = replace(facts, definition=held or facts.definition)
        change = _change(entry, facts, policy)
        if change:
            changes.append(change)
    return {
        "directory": str(directory),
        "decisions": replayed,
        "without_facts": without_facts,
        "without_definition": without_definition,
        "changes": changes,
    }


def from_files(paths: Iterable[Path]) -> tuple[list[Entry], Documents]:
    """The entries in files, and the definitions: dossiers, or what `history MODEL --json` prints.

    Only a dossier holds definitions. GovernError `usage` if a file is neither, `integrity` for a
    dossier that is not in order.
    """
    entries: list[Entry] = []
    definitions: dict[str, bytes] = {}
    for path in paths:
        if not zipfile.is_zipfile(path):
            entries += _from_history(path)
            continue
        files = _in_order(path)
        entries += dossiers.entries_in(files)
        definitions |= {hashlib.sha256(body).hexdigest(): body for body in files.values()}
    return entries, lambda reference: definitions.get(reference["digest"])


def _in_order(path: Path) -> Mapping[str, bytes]:
    checked = dossier.check(dossier.read(path), None)
    if not checked.passed:
        first = checked.findings[0]
        raise GovernError(
            "integrity",
            f"{path} is not replayed: {first.what} at {first.where}",
            f"govern verify {path} shows everything that is wrong",
        )
    return checked.files


def _from_history(path: Path) -> list[Entry]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise usage(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise usage(f"{path} is not JSON: {error}", "govern history MODEL --json") from error
    entries = document.get("entries") if isinstance(document, dict) else document
    known = {"kind", "claim_id", "model_package_arn", "sequence"}
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and known <= entry.keys() for entry in entries
    ):
        raise usage(
            f"{path} holds no ledger entries",
            f"write it with: govern history MODEL --json > {path}",
        )
    return entries


def _decisions(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The first entry of each decision: a run records its one verdict in several."""
    seen = set()
    for entry in entries:
        if entry.get("verdict") and entry["claim_id"] not in seen:
            seen.add(entry["claim_id"])
            yield entry


def _held_against(
    tier: Mapping[str, Any], seen: Mapping[str, Any], documents: Documents
) -> dict[str, Any] | None:
    """What a gate of the tier sees of the definition {digest, uri, problems}, None if unknown.

    A problem that names the object is about what was there then, and no tier says that.
    """
    if any(seen["uri"] in problem for problem in seen["problems"]):
        return dict(seen)
    body = documents({"digest": seen["digest"], "uri": seen["uri"]})
    if body is None or hashlib.sha256(body).hexdigest() != seen["digest"]:
        return None
    return {**seen, "problems": objections(json.loads(body), tier)}


def _change(entry: Entry, facts: Facts, policy: Policy) -> dict[str, Any] | None:
    before = entry["verdict"]
    decide = engine(policy.cedar, policy.schema).decide
    after = gates.evaluate(facts, policy, decide)
    # That an endpoint was busy, or had no way back, is no rule of a policy: it was allowed.
    denied = [reason["rule"] for reason in before["reasons"] if reason["rule"] not in _NO_POLICY]
    allowed = before["allowed"] or not denied
    denies = {reason.rule for reason in after.reasons}
    if allowed == after.allowed and denies == set(denied):
        return None
    arn = str(entry["model_package_arn"])
    return {
        "model": arn.rpartition(":")[2].split("/")[1],
        "version": int(arn.rpartition("/")[2]),
        "model_package_arn": arn,
        "stage": before["stage"],
        "tier": before["tier"],
        "sequence": entry["sequence"],
        "decided_at": entry.get("decided_at"),
        "before": _word(allowed),
        "after": _word(after.allowed),
        "newly_denies": [r.to_dict() for r in after.reasons if r.rule not in denied],
        "no_longer_denies": [rule for rule in denied if rule not in denies],
    }


def _word(allowed: bool) -> str:
    return "allowed" if allowed else "denied"
