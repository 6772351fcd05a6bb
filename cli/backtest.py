"""Back-test: what would the policies in a directory have decided on what gates have seen?

Nothing is asked of AWS but the ledger: each verdict keeps the facts it saw, and the same engine
is asked about the same facts under another policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cli import policies
from cli.errors import USAGE, GovernError, usage
from cli.options import TIERS
from governance.adapters.policy_engine import engine
from governance.domain import gates, locks, rollbacks
from governance.domain.facts import from_dict
from governance.domain.policies import Policy

Entry = Mapping[str, Any]
# What a release is refused by beside its policy.
_NO_POLICY = frozenset({locks.RULE, rollbacks.RULE})


def backtest(entries: Iterable[Entry], directory: Path) -> dict[str, Any]:
    """{directory, decisions, without_facts, changes}: past decisions under other policies.

    `decisions` is how many were replayed, `without_facts` how many verdicts could not be: they are
    older than the facts in verdicts. Each change is {model, version, model_package_arn, stage,
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
    replayed = without_facts = 0
    changes = []
    for entry in _decisions(entries):
        verdict = entry["verdict"]
        if not verdict.get("facts") or verdict.get("tier") not in under:
            without_facts += 1
            continue
        replayed += 1
        change = _change(entry, under[verdict["tier"]])
        if change:
            changes.append(change)
    return {
        "directory": str(directory),
        "decisions": replayed,
        "without_facts": without_facts,
        "changes": changes,
    }


def from_files(paths: Iterable[Path]) -> list[Entry]:
    """The entries in files: each what `govern history MODEL --json` prints, or a list of entries.

    GovernError `usage` if one is neither.
    """
    return [entry for path in paths for entry in _from_file(path)]


def _from_file(path: Path) -> list[Entry]:
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


def _change(entry: Entry, policy: Policy) -> dict[str, Any] | None:
    before = entry["verdict"]
    decide = engine(policy.cedar, policy.schema).decide
    after = gates.evaluate(from_dict(before["facts"]), policy, decide)
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
