"""What a gate decides on. Everything in it was read, nothing was assumed.

A verdict keeps the facts it saw, so that a decision can be explained later and replayed under
another policy. What is kept is bounded: long texts and lists are cut, and say so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

LONGEST_TEXT = 1024  # characters of a text that is kept; SageMaker's own limit for descriptions
LONGEST_LIST = 50  # entries of a list, or members of an object, that are kept
LARGEST = 40_000  # characters of JSON; an event may have 256 KB with all that is around
_SHORT_TEXT, _SHORT_LIST = 64, 8  # if that was still too much
CUT = "..."


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts about one decision.

    `approver` and `trainer` are identities; `approval` {model_approval_status,
    approval_description, stage, stage_status}; `tests_passed` whether the last validation of this
    very version and candidate passed, `test_metrics` what it measured, `suites_passed` which suites
    let it pass, those that had nothing to be compared with among them, and `phase`
    ("Stage/Status") where the version was until this decision, all by the ledger; None if it
    knows nothing of it. `recalls` [{part, model_package_arn, recalled_at, person, reason}] are
    those of its parts (domain/parts.py) that were recalled. `reviews` and `break_glass` are those
    of domain/reviews.py, `approvals` [{stage, person, decided_at, unconfirmed}] those of the stages
    before (domain/history.py). `image` {registry, critical, findings, scan} is the first
    container's: `critical` findings of a finished scan or None, all of them by severity, which old
    verdicts lack, and `scan` says in words how it stands;
    `further_images` are those that other containers name.
    `confirmation` is CloudTrail's record of the approval (domain/confirmations.py) or None.
    `rollback` is what is known of the rollback that is asked for (domain/rollbacks.py), None if
    none is: then the version is the one to go back to.
    `definition` {digest, uri, problems} is the deployment definition that is approved, None without
    one; `tested_definition` the digest of the one that the last passed validation had.
    `policy_recorded` is whether the ledger has the policy as the last one published. `asked_at`
    is when the gate was asked (ISO-8601, UTC).
    """

    stage: str
    model_package_arn: str
    candidate_id: str
    approver: Mapping[str, Any]
    trainer: Mapping[str, Any]
    decision_current: bool
    approval: Mapping[str, Any]
    asked_at: str
    decided_at: str | None = None
    policy_recorded: bool = False
    confirmation: Mapping[str, Any] | None = None
    declared_mismatches: Sequence[Mapping[str, str]] = ()
    differences: Sequence[Mapping[str, str]] = ()
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    tests_passed: bool = False
    test_metrics: Mapping[str, Any] = field(default_factory=dict)
    suites_passed: Sequence[str] = ()
    phase: str | None = None
    recalls: Sequence[Mapping[str, Any]] = ()
    reviews: Sequence[Mapping[str, Any]] = ()
    break_glass: Mapping[str, Any] | None = None
    approvals: Sequence[Mapping[str, Any]] = ()
    card_sections: Sequence[str] = ()
    dataset_version: str | None = None
    image: Mapping[str, Any] = field(default_factory=dict)
    rollback: Mapping[str, Any] | None = None
    further_images: Sequence[Mapping[str, Any]] = ()
    definition: Mapping[str, Any] | None = None
    tested_definition: str | None = None

    @property
    def images(self) -> list[Mapping[str, Any]]:
        """Every image that the version names, the first container's first."""
        return [self.image, *self.further_images]

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON that a verdict can keep; `from_dict` takes it back."""
        return bounded({name: getattr(self, name) for name in _NAMES})


_NAMES = tuple(entry.name for entry in fields(Facts))


def from_dict(kept: Mapping[str, Any]) -> Facts:
    """The facts that a verdict kept. TypeError names what is missing.

    What this version of the code does not know is left out: an old verdict must stay readable.
    """
    return Facts(**{name: kept[name] for name in _NAMES if name in kept})


def bounded(value: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object with everything too long cut; at most about LARGEST characters."""
    kept = _cut(value, LONGEST_TEXT, LONGEST_LIST)
    if _size(kept) > LARGEST:
        kept = _cut(value, _SHORT_TEXT, _SHORT_LIST)
    return dict(kept)


def _cut(value: Any, text: int, entries: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= text else value[: text - len(CUT)] + CUT
    if isinstance(value, float) and not math.isfinite(value):
        return None  # not JSON, and no measurement
    if isinstance(value, Mapping):
        # All that the gate itself makes fits; it is what people wrote that can be long.
        members = list(value.items())[: max(entries, len(_NAMES))]
        return {str(key)[:text]: _cut(entry, text, entries) for key, entry in members}
    if isinstance(value, list | tuple):
        return [_cut(entry, text, entries) for entry in value[:entries]]
    return value


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(len(str(key)) + 4 + _size(entry) for key, entry in value.items())
    if isinstance(value, list):
        return sum(2 + _size(entry) for entry in value)
    return len(str(value)) + 2
