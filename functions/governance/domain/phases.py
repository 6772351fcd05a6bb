"""The stage machine: which stage and status a version may have, who sets it, what it causes.

This table is the only place that knows. Event patterns, guard policies, state machines and the
command line are tested against it (DESIGN.md, section 3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# botocore's pattern for ModelLifeCycle.Stage and StageStatus.
STAGE_PATTERN = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


class Setter(StrEnum):
    """Who may put a version into a phase."""

    TRAINING_PIPELINE = "training-pipeline"
    DATA_SCIENTIST = "data-scientist"
    AI_ENGINEER = "ai-engineer"
    GOVERNANCE_ENGINEER = "governance-engineer"
    SYSTEM = "system"


class Registry(StrEnum):
    """Where the version is registered."""

    DEV = "Dev"
    CENTRAL = "Central"


@dataclass(frozen=True, slots=True)
class Phase:
    """One row of the stage machine.

    `causes` is the workflow that the phase starts, `after` the statuses ("Stage/Status") that may
    come directly before it; a phase with no predecessor is where a version begins.
    """

    registry: Registry
    stage: str
    status: str
    set_by: frozenset[Setter]
    causes: str | None = None
    after: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Stage/Status."""
        return f"{self.stage}/{self.status}"


def _phase(
    registry: Registry, name: str, *set_by: Setter, causes: str | None = None, after: str = ""
) -> Phase:
    stage, _, status = name.partition("/")
    return Phase(registry, stage, status, frozenset(set_by), causes, frozenset(after.split()))


_DEV, _CENTRAL = Registry.DEV, Registry.CENTRAL
_SYSTEM, _AI, _GOVERNANCE = Setter.SYSTEM, Setter.AI_ENGINEER, Setter.GOVERNANCE_ENGINEER
_REVIEWED = "Prod/Technical-Approved Prod/Business-Approved Prod/Compliance-Approved "
_REVIEWED += "Prod/Deployment-Approved"
_REVOKED = _REVIEWED.replace("-Approved", "-Revoked")
# One status hides the other in the registry; the ledger holds all that was decided.
_TESTED = f"Test/Passed {_REVIEWED} {_REVOKED} Prod/BreakGlass-Requested"
_RELEASED_BEFORE = "Prod/Superseded Prod/RolledBack Prod/Errored Prod/Rejected"
_REVIEWABLE = f"{_TESTED} {_RELEASED_BEFORE}"
# After an emergency the reviews that it did without are given late, whatever became of it. While
# it still goes on, only those that it owes by then (domain/reviews.py).
_REVIEWABLE_LATE = f"{_REVIEWABLE} Prod/Releasing Prod/Deployed Prod/Recalled"

PHASES: tuple[Phase, ...] = (
    _phase(_DEV, "Dev/Registered", Setter.TRAINING_PIPELINE),
    _phase(
        _DEV,
        "Dev/Approved",
        Setter.DATA_SCIENTIST,
        causes="promote_to_central",
        after="Dev/Registered Dev/Rejected Dev/Approved",
    ),
    _phase(_DEV, "Dev/Rejected", Setter.DATA_SCIENTIST, after="Dev/Registered Dev/Approved"),
    _phase(_CENTRAL, "Test/Registering", _SYSTEM),
    _phase(_CENTRAL, "Test/PendingApproval", _SYSTEM, after="Test/Registering"),
    _phase(
        _CENTRAL,
        "Test/Approved",
        _AI,
        causes="validate_in_test",
        # Validating too: a run that was stopped from outside leaves its version there.
        after="Test/PendingApproval Test/Validating Test/Rejected Test/Failed Test/Errored "
        f"{_TESTED} {_RELEASED_BEFORE}",
    ),
    _phase(_CENTRAL, "Test/Validating", _SYSTEM, after="Test/Approved"),
    _phase(_CENTRAL, "Test/Passed", _SYSTEM, after="Test/Validating"),
    _phase(_CENTRAL, "Test/Failed", _SYSTEM, after="Test/Validating"),
    _phase(_CENTRAL, "Test/Errored", _SYSTEM, after="Test/Approved Test/Validating"),
    _phase(
        _CENTRAL,
        "Test/Rejected",
        _SYSTEM,
        _AI,
        after="Test/PendingApproval Test/Approved Test/Passed Test/Failed Test/Errored",
    ),
    _phase(_CENTRAL, "Prod/Technical-Approved", _AI, after=_REVIEWABLE_LATE),
    _phase(_CENTRAL, "Prod/Business-Approved", _GOVERNANCE, after=_REVIEWABLE_LATE),
    _phase(_CENTRAL, "Prod/Compliance-Approved", _GOVERNANCE, after=_REVIEWABLE_LATE),
    _phase(_CENTRAL, "Prod/Deployment-Approved", _GOVERNANCE, after=_REVIEWABLE_LATE),
    # Who may give a review may take it back, until the version is released.
    _phase(_CENTRAL, "Prod/Technical-Revoked", _AI, after=_REVIEWABLE),
    _phase(_CENTRAL, "Prod/Business-Revoked", _GOVERNANCE, after=_REVIEWABLE),
    _phase(_CENTRAL, "Prod/Compliance-Revoked", _GOVERNANCE, after=_REVIEWABLE),
    _phase(_CENTRAL, "Prod/Deployment-Revoked", _GOVERNANCE, after=_REVIEWABLE),
    _phase(_CENTRAL, "Prod/BreakGlass-Requested", _AI, _GOVERNANCE, after=_REVIEWABLE),
    _phase(
        _CENTRAL,
        "Prod/Approved",
        _GOVERNANCE,
        causes="release_to_prod",
        # Releasing too, for the same reason as Validating.
        after=f"{_REVIEWABLE} Prod/Releasing",
    ),
    _phase(_CENTRAL, "Prod/Releasing", _SYSTEM, after="Prod/Approved Prod/Rollback-Requested"),
    _phase(
        _CENTRAL,
        "Prod/Deployed",
        _SYSTEM,
        # What served before serves again after a rollback, and still after one that was refused.
        after="Prod/Releasing Prod/Superseded Prod/RolledBack Prod/Rollback-Requested "
        "Prod/Drill-Requested",
    ),
    _phase(
        _CENTRAL,
        "Prod/Rollback-Requested",
        _AI,
        _GOVERNANCE,
        causes="rollback_model",
        # Itself too: a run that was stopped from outside leaves its version there. A drill that is
        # asked for keeps nobody from the real thing.
        after="Prod/Deployed Prod/Releasing Prod/Errored Prod/Recalled Prod/Rollback-Requested "
        "Prod/Drill-Requested",
    ),
    _phase(
        _CENTRAL,
        "Prod/Drill-Requested",
        _AI,
        _GOVERNANCE,
        causes="drill_rollback",
        after="Prod/Deployed Prod/Drill-Requested",
    ),
    _phase(
        _CENTRAL,
        "Prod/RolledBack",
        _SYSTEM,
        # Drill-Requested: an alarm does not wait until a drill has put the status back.
        after="Prod/Releasing Prod/Deployed Prod/Rollback-Requested Prod/Drill-Requested",
    ),
    _phase(
        _CENTRAL,
        "Prod/Errored",
        _SYSTEM,
        after="Prod/Approved Prod/Releasing Prod/Rollback-Requested",
    ),
    _phase(
        _CENTRAL,
        "Prod/Rejected",
        _SYSTEM,
        _GOVERNANCE,
        # Releasing: the way back is tried when the deployment is planned.
        after=f"{_TESTED} Prod/Approved Prod/Releasing {_RELEASED_BEFORE}",
    ),
    _phase(_CENTRAL, "Prod/Superseded", _SYSTEM, after="Prod/Deployed Prod/Drill-Requested"),
    _phase(
        _CENTRAL,
        "Prod/Recalled",
        _GOVERNANCE,
        # From wherever it is, also while a workflow is at it, and again for another reason.
        after="Test/Registering Test/PendingApproval Test/Approved Test/Validating Test/Failed "
        f"Test/Errored Test/Rejected {_TESTED} Prod/Approved Prod/Releasing Prod/Deployed "
        f"{_RELEASED_BEFORE} Prod/Recalled Prod/Rollback-Requested Prod/Drill-Requested",
    ),
    _phase(
        _CENTRAL,
        "Retired/Retired",
        _GOVERNANCE,
        after="Test/Registering Test/PendingApproval Test/Failed Test/Errored Test/Rejected "
        f"{_TESTED} "
        "Prod/Superseded Prod/RolledBack Prod/Errored Prod/Rejected Prod/Recalled",
    ),
)

BY_NAME = {phase.name: phase for phase in PHASES}
# Only the hub's own role may set these; guard policies deny them to people (DESIGN.md, rule 13).
SYSTEM_STATUSES = frozenset(
    phase.status for phase in PHASES if phase.set_by == frozenset({Setter.SYSTEM})
)
APPROVALS = {phase.stage: phase for phase in PHASES if phase.status == "Approved"}


def find(stage: str, status: str) -> Phase | None:
    """The phase of that stage and status, or None if the machine has no such phase."""
    return BY_NAME.get(f"{stage}/{status}")


def may_set(setter: Setter, stage: str, status: str) -> bool:
    """True if that persona, pipeline or the system may put a version into the phase."""
    phase = find(stage, status)
    return phase is not None and setter in phase.set_by


def may_follow(before: str, after: str) -> bool:
    """True if a version may go directly from phase `before` to phase `after` ("Stage/Status")."""
    phase = BY_NAME.get(after)
    return phase is not None and before in phase.after


def is_taken_back(description: Mapping[str, Any]) -> bool:
    """True if a version (DescribeModelPackage) is recalled or retired; no workflow undoes that."""
    life_cycle = description.get("ModelLifeCycle") or {}
    present = f"{life_cycle.get('Stage')}/{life_cycle.get('StageStatus')}"
    return present in ("Prod/Recalled", "Retired/Retired")


def statuses_of(setter: Setter, stage: str) -> frozenset[str]:
    """The statuses of a stage that the setter may set."""
    return frozenset(p.status for p in PHASES if p.stage == stage and setter in p.set_by)
