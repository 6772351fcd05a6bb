"""What a version says of its tests in Test, in its model card and its metadata: our own words.

They are no part of the candidate, since they come after its approval. What they must be is computed
from the test report that the ledger names by digest, when they are written and whenever somebody
relies on them. A report of this schema is put into the same words for ever: other ones would make
every version that was tested before look changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance.domain.candidate import (
    difference,
    is_our_evaluation,
    leaves,
    our_evaluation_name,
)

LONGEST_CARD = 100_000  # characters of ModelCardContent
PREFIX = "test-"  # of the metadata that is ours to write
_LONGEST_OBSERVATION = 2096  # characters of evaluation_observation in a model card
LONGEST_VALUE = 256  # characters of a metadata value
MOST_METADATA = 50  # entries of CustomerMetadataProperties
AT_LEAST = 4  # entries: status, candidate and where the report is go before the numbers
_LEFT_OUT = f"{PREFIX}left-out"
_FORBIDDEN = re.compile(r"[^\w\s.:/=+\-@]")
_TESTS = "tests"  # begins the name of every difference
_STARTED, _VOIDED = "ValidationStarted", "ApprovalsVoided"
_ENDED = ("ValidationPassed", "ValidationFailed")


@dataclass(frozen=True, slots=True)
class Told:
    """What the ledger says of a version's tests: the reference {uri, version_id, sha256} of the
    report that its words must be those of, None if it was never tested.

    Not `known` while tests are going on, or if they broke: they may have written, or not.
    `voided`: what they said counts no more, and only the next tests can say something again.
    """

    known: bool = True
    voided: bool = False
    report: Mapping[str, Any] | None = None

    def binds(self, *, tested_next: bool) -> bool:
        """True if the version must say it; `tested_next`: nothing else may come before new tests.

        What was voided is written anew by those: it must not keep them from being run.
        """
        return self.known and not (self.voided and tested_next)


def told(story: Iterable[Mapping[str, Any]]) -> Told:
    """What the ledger says of a version's tests; `story` is its entries, the newest first."""
    voided, ended = False, list[Mapping[str, Any]]()
    for entry in story:
        if entry["kind"] in _ENDED:
            ended.append(entry)
        elif entry["kind"] == _VOIDED:
            voided = voided or not ended
        elif entry["kind"] == _STARTED:
            if entry["claim_id"] not in [one["claim_id"] for one in ended]:
                return Told(known=False)
            if entry["claim_id"] == ended[0]["claim_id"]:
                break
    return Told(voided=voided, report=ended[0].get("report") if ended else None)


def on_card(content: str, report: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    """A model card's content with what a test report says in place of every older one.

    A card that has no room for it keeps what its authors wrote, and says nothing of tests.
    """
    card = json.loads(content)
    theirs = [entry for entry in _evaluations(card) if not is_our_evaluation(entry)]
    said = json.dumps({**card, "evaluation_details": [*theirs, _evaluation(report, reference)]})
    return said if len(said) <= LONGEST_CARD else without(content)


def without(content: str) -> str:
    """A model card's content without evaluations under our name; as it is if it has none."""
    card = json.loads(content)
    theirs = [entry for entry in _evaluations(card) if not is_our_evaluation(entry)]
    if len(theirs) == len(_evaluations(card)):
        return content
    return json.dumps({**card, "evaluation_details": theirs}, ensure_ascii=False)


def in_metadata(
    report: Mapping[str, Any], reference: Mapping[str, Any], others: int
) -> dict[str, str]:
    """The metadata that a test report gives a version which has `others` entries besides.

    Where the registry has no room for all numbers, it says how many it left out.
    """
    return _fitting(_metadata(report, reference), MOST_METADATA - others)


def differences(
    description: Mapping[str, Any],
    report: Mapping[str, Any] | None,
    reference: Mapping[str, Any] | None,
) -> list[dict[str, str]]:
    """How a version (DescribeModelPackage) says something else of its tests than the report.

    [{name, expected, actual}]; without a report it must say nothing. A card that cannot be read
    says nothing, and is itself a difference from the candidate.
    """
    metadata = description.get("CustomerMetadataProperties") or {}
    ours = {key: value for key, value in metadata.items() if key.startswith(PREFIX)}
    content = (description.get("ModelCard") or {}).get("ModelCardContent")
    card = _readable(content)
    said = {"model_card": _ours(card), "metadata": ours}
    expected: dict[str, Any] = {"model_card": [], "metadata": {}}
    if report is not None and reference is not None:
        whole = _metadata(report, reference)
        expected = {
            "model_card": _ours(json.loads(on_card(json.dumps(card), report, reference)))
            if content
            else [],
            "metadata": _fitting(whole, len(ours) if _LEFT_OUT in ours else len(whole)),
        }
    if said == expected:
        return []
    before, after = (dict(leaves(_by_name(one), _TESTS)) for one in (expected, said))
    found = [
        difference(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
    ]
    # What differs in nothing that has a name still is not what was written.
    return [one for one in found if one] or [difference(_TESTS, expected, said)]


def is_about(difference_: Mapping[str, Any]) -> bool:
    """True if it is a difference in what a version says of its tests."""
    name = str(difference_.get("name"))
    return name == _TESTS or name.startswith(f"{_TESTS}.")


def _readable(content: str | None) -> dict[str, Any]:
    """The model card, {} without one and for what is no card."""
    try:
        card = json.loads(content or "{}")
    except (ValueError, RecursionError):
        return {}
    readable = isinstance(card, dict) and isinstance(card.get("evaluation_details") or [], list)
    return card if readable else {}


def _evaluations(card: Mapping[str, Any]) -> Sequence[Any]:
    found: Sequence[Any] = card.get("evaluation_details") or []
    return found


def _ours(card: Mapping[str, Any]) -> list[Any]:
    return [entry for entry in _evaluations(card) if is_our_evaluation(entry)]


def _evaluation(report: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": our_evaluation_name(report["candidate_id"]),
        "evaluation_observation": _observation(report),
        "metric_groups": [
            {
                "name": "Test endpoint",
                "metric_data": [
                    {"name": str(name), "type": "number", "value": value}
                    for name, value in sorted(_metrics(report).items())
                    if value is not None
                ],
            }
        ],
        "metadata": {
            "report": str(reference["uri"]),
            "report_sha256": str(reference["sha256"]),
        },
    }


def _observation(report: Mapping[str, Any]) -> str:
    """What a reader of the card learns without opening the report."""
    by_status: dict[str, list[str]] = {}
    for entry in report["summary"].get("suites") or []:
        by_status.setdefault(str(entry["status"]), []).append(str(entry["suite"]))
    ended = [f"{outcome}: {', '.join(names)}." for outcome, names in sorted(by_status.items())]
    first = f"Test {report['status']}. Candidate {report['candidate_id']}."
    return " ".join([first, *ended])[:_LONGEST_OBSERVATION]


def _metrics(report: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = report["summary"].get("metrics") or {}
    return found


def _metadata(report: Mapping[str, Any], reference: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What goes before has the first right to room."""
    numbers = [
        (f"{PREFIX}{str(name).replace('_', '-')}", f"{value:.6g}")
        for name, value in sorted(_metrics(report).items())
        if value is not None
    ]
    return [
        (f"{PREFIX}status", str(report["status"])),
        (f"{PREFIX}candidate-id", str(report["candidate_id"])),
        (f"{PREFIX}report-uri", str(reference["uri"])),
        (f"{PREFIX}report-sha256", str(reference["sha256"])),
        *numbers,
    ]


def _fitting(whole: Sequence[tuple[str, str]], room: int) -> dict[str, str]:
    kept = list(whole)
    if len(kept) > room:
        # The report's URI has its digest in it, so that may go first.
        kept = kept[: max(room, AT_LEAST) - 1]
        kept.append((_LEFT_OUT, f"{len(whole) - len(kept)} entries for want of room"))
    # The registry refuses JSON characters and long values.
    return {_FORBIDDEN.sub(" ", key): _FORBIDDEN.sub(" ", v)[:LONGEST_VALUE] for key, v in kept}


def _by_name(value: Any) -> Any:
    """The value with lists of named things as what they name: a reader finds a number by name."""
    if isinstance(value, Mapping):
        return {key: _by_name(entry) for key, entry in value.items()}
    if not isinstance(value, list):
        return value
    names = [entry.get("name") if isinstance(entry, Mapping) else None for entry in value]
    entries = [_by_name(entry) for entry in value]
    if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
        return dict(zip(names, entries, strict=True))
    return entries
