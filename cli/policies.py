"""The policies in a directory: read, checked, and as a gate would be asked under them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.errors import GovernError
from cli.options import TIERS
from governance.adapters.policy_engine import problems, rules
from governance.contracts import tier_problems
from governance.domain.explanations import EXPLANATIONS
from governance.domain.policies import Policy, digests_of

DIRECTORY = Path(__file__).parents[1] / "policies"
CEDAR, SCHEMA = "approvals.cedar", "approvals.cedarschema"
_UNREADABLE = ("Policy parse error", "Schema parse error")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a policy file; `line` is None where nothing tells it."""

    file: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """{file, line, reason}"""
        return asdict(self)


def files(directory: Path, tier: str) -> dict[str, Path]:
    """{cedar, schema, tier}: where the parts of a tier's policy are."""
    return {
        "cedar": directory / CEDAR,
        "schema": directory / SCHEMA,
        "tier": directory / "tiers" / f"{tier}.json",
    }


def check(directory: Path) -> list[Problem]:
    """Everything wrong with the policies of a directory; [] if an Admin may publish them.

    The rules by their schema, their ids by our explanations, each tier by its JSON Schema.
    """
    found = [*_rules(directory)]
    for tier in TIERS:
        found += _tier(files(directory, tier)["tier"], tier)
    return found


def read(directory: Path, tier: str) -> Policy:
    """The policy of a tier, as it would be published; `bodies` gives the very bytes."""
    given = bodies(directory, tier)
    return Policy(
        cedar=given["cedar"].decode(),
        schema=given["schema"].decode(),
        tier=json.loads(given["tier"]),
        digests=digests_of(given),
    )


def bodies(directory: Path, tier: str) -> dict[str, bytes]:
    """{cedar, schema, tier}: the bytes of the files, checked.

    GovernError `not_found` for a file that is not there, `invalid` for anything that `check` finds
    in one of these three.
    """
    places = files(directory, tier)
    wrong = [*_rules(directory), *_tier(places["tier"], tier)]
    absent = [path for path in places.values() if not path.is_file()]
    if absent:
        raise GovernError(
            "not_found", f"no policy of tier {tier}: {absent[0]} is not there", "restore the file"
        )
    if wrong:
        raise GovernError(
            "invalid",
            "; ".join(str(problem) for problem in wrong),
            f"govern policy check {directory}",
        )
    return {part: path.read_bytes() for part, path in places.items()}


def _rules(directory: Path) -> Iterator[Problem]:
    cedar, absent = _text(directory / CEDAR)
    schema, absent_too = _text(directory / SCHEMA)
    yield from (problem for problem in (absent, absent_too) if problem)
    if cedar is None or schema is None:
        return
    found = problems(cedar, schema)
    for rule, reason in found:
        if reason.startswith("Schema parse error"):
            yield Problem(str(directory / SCHEMA), None, reason)
            continue
        line = _line_of_rule(cedar, rule) if rule else _first_unreadable(cedar)
        yield Problem(str(directory / CEDAR), line, f"{rule}: {reason}" if rule else reason)
    if not any(reason.startswith(_UNREADABLE) for _, reason in found):
        # A rule is made milder in a tier, where everybody sees it; it does not disappear.
        forbids = {rule.name for rule in rules(cedar) if rule.forbids}
        for name in sorted(set(EXPLANATIONS) - forbids):
            yield Problem(str(directory / CEDAR), None, f"{name}: no forbid has this @id")


def _line_of_rule(cedar: str, rule: str) -> int | None:
    at = cedar.find(f'@id("{rule}")')
    return cedar.count("\n", 0, at) + 1 if at >= 0 else None


def _first_unreadable(cedar: str) -> int | None:
    """The line where the first policy begins that cannot be read by itself; Cedar does not say."""
    starts = [match.start() for match in re.finditer(r"^@id\(", cedar, re.MULTILINE)]
    for start, end in itertools.pairwise([*starts, len(cedar)]):
        try:
            rules(cedar[start:end])
        except ValueError:
            return cedar.count("\n", 0, start) + 1
    return None


def _tier(path: Path, tier: str) -> Iterator[Problem]:
    text, problem = _text(path)
    if problem or text is None:
        if problem:
            yield problem
        return
    try:
        document = json.loads(text)
    except ValueError as error:
        yield Problem(str(path), getattr(error, "lineno", None), f"not JSON: {error}")
        return
    for reason in tier_problems(document):
        yield Problem(str(path), _line_of_member(text, reason), reason)
    if isinstance(document, dict) and document.get("tier") not in (None, tier):
        yield Problem(
            str(path), _line_of_member(text, "tier"), f"a policy of tier {document['tier']}"
        )


def _line_of_member(text: str, reason: str) -> int | None:
    """The line on which the member that a problem names first occurs."""
    path = re.split(r"[:\s]", reason, maxsplit=1)[0]
    name = re.sub(r"\[\d+\]", "", path).rpartition(".")[2]
    found = re.search(rf'"{re.escape(name)}"\s*:', text) if name else None
    return text.count("\n", 0, found.start()) + 1 if found else None


def _text(path: Path) -> tuple[str | None, Problem | None]:
    try:
        return path.read_text(encoding="utf-8"), None
    except OSError as error:
        return None, Problem(str(path), None, error.strerror or str(error))
    except UnicodeDecodeError as error:
        return None, Problem(str(path), None, f"not UTF-8: {error}")
