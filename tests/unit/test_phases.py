"""The stage machine: what is listed is possible, nothing else is, and nobody skips the tests."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain import phases
from governance.domain.phases import PHASES, Registry, Setter

NAMES = [phase.name for phase in PHASES]
PEOPLE = {Setter.DATA_SCIENTIST, Setter.AI_ENGINEER, Setter.GOVERNANCE_ENGINEER}
IN_REVIEW = [
    *(
        f"Prod/{kind}-{status}"
        for kind in ("Technical", "Business", "Compliance", "Deployment")
        for status in ("Approved", "Revoked")
    ),
    "Prod/BreakGlass-Requested",
]
# DESIGN.md, rule 13.
OF_THE_SYSTEM = {
    *("Validating", "Passed", "Failed", "Releasing", "Deployed"),
    *("Superseded", "RolledBack", "Errored"),
}
words = st.from_regex(r"[A-Za-z-]{1,20}", fullmatch=True)


def _to(name: str, setter: Setter) -> bool:
    stage, _, status = name.partition("/")
    return phases.may_set(setter, stage, status)


def test_no_phase_is_listed_twice() -> None:
    assert len(phases.BY_NAME) == len(PHASES)


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_sagemaker_takes_every_stage_and_status(phase: phases.Phase) -> None:
    assert phases.STAGE_PATTERN.fullmatch(phase.stage)
    assert phases.STAGE_PATTERN.fullmatch(phase.status)


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_predecessors_are_phases_of_the_same_registry(phase: phases.Phase) -> None:
    """A version never moves between registries; Central gets one of its own."""
    assert {phases.BY_NAME[before].registry for before in phase.after} <= {phase.registry}
    assert (phase.stage == "Dev") == (phase.registry is Registry.DEV)


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_every_phase_can_be_reached_and_is_set_by_somebody(phase: phases.Phase) -> None:
    assert phase.set_by
    reached = {start.name for start in PHASES if not start.after}
    while more := {p.name for p in PHASES if p.name not in reached and p.after & reached}:
        reached |= more
    assert phase.name in reached


def test_a_version_begins_only_as_registered_or_being_registered() -> None:
    assert {phase.name for phase in PHASES if not phase.after} == {
        "Dev/Registered",
        "Test/Registering",
    }


def test_nobody_decides_on_a_version_that_is_not_whole() -> None:
    """It goes on to wait for its approval, or is taken out of the way."""
    assert {phase.name for phase in PHASES if "Test/Registering" in phase.after} == {
        "Test/PendingApproval",
        "Prod/Recalled",
        "Retired/Retired",
    }


def test_three_approvals_each_start_their_own_workflow() -> None:
    assert {stage: phase.causes for stage, phase in phases.APPROVALS.items()} == {
        "Dev": "promote_to_central",
        "Test": "validate_in_test",
        "Prod": "release_to_prod",
    }
    assert {phase.name: phase.causes for phase in PHASES if phase.causes} == {
        "Dev/Approved": "promote_to_central",
        "Test/Approved": "validate_in_test",
        "Prod/Approved": "release_to_prod",
        "Prod/Rollback-Requested": "rollback_model",
        "Prod/Drill-Requested": "drill_rollback",
    }


def test_what_starts_a_workflow_is_one_personas_decision_and_never_the_systems() -> None:
    """Our own writes start nothing (DESIGN.md, rule 4)."""
    assert {stage: set(phase.set_by) for stage, phase in phases.APPROVALS.items()} == {
        "Dev": {Setter.DATA_SCIENTIST},
        "Test": {Setter.AI_ENGINEER},
        "Prod": {Setter.GOVERNANCE_ENGINEER},
    }


def test_the_systems_statuses_are_the_systems() -> None:
    assert OF_THE_SYSTEM <= phases.SYSTEM_STATUSES
    assert OF_THE_SYSTEM | {"Registering", "PendingApproval"} == phases.SYSTEM_STATUSES


@given(st.sampled_from(sorted(PEOPLE | {Setter.TRAINING_PIPELINE})), st.sampled_from(PHASES))
def test_no_person_and_no_pipeline_sets_a_system_status(
    setter: Setter, phase: phases.Phase
) -> None:
    if phase.status in phases.SYSTEM_STATUSES:
        assert not phases.may_set(setter, phase.stage, phase.status)
        assert phase.status not in phases.statuses_of(setter, phase.stage)


@given(st.sampled_from(Setter), words, words)
def test_nobody_sets_what_is_not_listed(setter: Setter, stage: str, status: str) -> None:
    listed = phases.find(stage, status) is not None
    assert listed == (f"{stage}/{status}" in NAMES)
    assert listed or not phases.may_set(setter, stage, status)


@given(st.sampled_from(NAMES) | words, st.sampled_from(NAMES) | words)
def test_only_listed_transitions_are_possible(before: str, after: str) -> None:
    listed = after in phases.BY_NAME and before in phases.BY_NAME[after].after
    assert phases.may_follow(before, after) == listed


@pytest.mark.parametrize(
    ("setter", "stage", "statuses"),
    [
        (Setter.TRAINING_PIPELINE, "Dev", {"Registered"}),
        (Setter.DATA_SCIENTIST, "Dev", {"Approved", "Rejected"}),
        (Setter.DATA_SCIENTIST, "Test", set()),
        (Setter.DATA_SCIENTIST, "Prod", set()),
        (Setter.AI_ENGINEER, "Dev", set()),
        (Setter.AI_ENGINEER, "Test", {"Approved", "Rejected"}),
        (
            Setter.AI_ENGINEER,
            "Prod",
            {
                *("Technical-Approved", "Technical-Revoked"),
                *("BreakGlass-Requested", "Rollback-Requested", "Drill-Requested"),
            },
        ),
        (Setter.GOVERNANCE_ENGINEER, "Test", set()),
        (Setter.SYSTEM, "Dev", set()),
    ],
)
def test_each_role_sets_only_its_own_statuses(
    setter: Setter, stage: str, statuses: set[str]
) -> None:
    assert phases.statuses_of(setter, stage) == statuses


@pytest.mark.parametrize("before", ["Test/Passed", *IN_REVIEW])
def test_reviews_come_in_any_order_and_none_stops_the_signature(before: str) -> None:
    """Several reviewers overwrite each other's status."""
    for after in (*IN_REVIEW, "Prod/Approved", "Prod/Rejected", "Test/Approved", "Prod/Recalled"):
        assert phases.may_follow(before, after)


@pytest.mark.parametrize("before", ["Prod/Approved", "Test/Failed"])
def test_nothing_is_reviewed_while_it_is_signed_or_untested(before: str) -> None:
    assert not any(phases.may_follow(before, after) for after in IN_REVIEW)


@pytest.mark.parametrize("before", ["Prod/Releasing", "Prod/Deployed", "Prod/Recalled"])
def test_after_a_release_reviews_are_given_late_and_none_is_taken_back(before: str) -> None:
    late = {after for after in IN_REVIEW if phases.may_follow(before, after)}
    assert late == {name for name in IN_REVIEW if name.endswith("-Approved")}


def test_a_version_is_recalled_from_wherever_it_is_and_never_leaves_that_but_for_good() -> None:
    central = {phase.name for phase in PHASES if phase.registry is Registry.CENTRAL}
    assert {p for p in central if phases.may_follow(p, "Prod/Recalled")} == central - {
        "Retired/Retired"
    }
    late = {f"Prod/{kind}-Approved" for kind in ("Technical", "Business")}
    late |= {f"Prod/{kind}-Approved" for kind in ("Compliance", "Deployment")}
    # A rollback takes the endpoint from it, and leaves it recalled.
    assert {p for p in central if phases.may_follow("Prod/Recalled", p)} == late | {
        *("Prod/Recalled", "Retired/Retired", "Prod/Rollback-Requested")
    }


def test_each_status_has_a_class_of_setters() -> None:
    """Rejected is the one status that a gate and a person both set."""
    shared = {p.name for p in PHASES if Setter.SYSTEM in p.set_by and len(p.set_by) > 1}
    assert shared == {"Test/Rejected", "Prod/Rejected"}


def _moves(before: str) -> list[tuple[str, Setter]]:
    """Every (phase, who sets it) that the table allows next; a recall, which ends most walks, is
    the rarest.
    """
    return [
        (name, setter)
        for name in NAMES
        for setter in Setter
        if phases.may_follow(before, name) and _to(name, setter)
        for _ in range(1 if name == "Prod/Recalled" else 20)
    ]


MOVES = {name: _moves(name) for name in NAMES}


def _walk(start: str, choices: list[int]) -> list[tuple[str, Setter]]:
    """One version, moved by everybody as far as the table lets them."""
    path = [(start, min(phases.BY_NAME[start].set_by))]
    recalled = False
    for choice in choices:
        recalled = recalled or path[-1][0] == "Prod/Recalled"
        # A late review hides a recall in the registry. The gate asks the ledger, where it stays
        # (domain/ledger.phase).
        before = "Prod/Recalled" if recalled and path[-1][0] in IN_REVIEW else path[-1][0]
        if moves := MOVES[before]:
            path.append(moves[choice % len(moves)])
    return path


@settings(max_examples=1000)
@given(
    st.sampled_from(["Test/Registering", "Dev/Registered"]),
    st.lists(st.integers(0, 1199), min_size=5, max_size=30),
)
def test_on_every_path_prod_comes_after_passed_tests_and_a_signature(
    start: str, choices: list[int]
) -> None:
    path = _walk(start, choices)
    names = [name for name, _ in path]
    if "Prod/Recalled" in names:
        # What was recalled goes back to nothing but that; the table alone has no memory.
        path = path[: names.index("Prod/Recalled")]
        names = [name for name, _ in path]
    for index, name in enumerate(names):
        if name == "Prod/Approved":
            tests = [earlier for earlier in names[:index] if earlier.startswith("Test/")]
            assert tests[-1] == "Test/Passed", f"signed without a passed last test: {names}"
        if name == "Prod/Deployed":
            assert "Prod/Approved" in names[:index], f"serves without a signature: {names}"
    for name, setter in path:
        if name.partition("/")[2] in OF_THE_SYSTEM:
            assert setter is Setter.SYSTEM
    assert len({phases.BY_NAME[name].registry for name in names}) == 1
    assert "Retired/Retired" not in names[:-1], "retired is the end"


def test_walks_reach_every_phase_of_central() -> None:
    """So the property above is not true for want of walks that get there."""
    dice = random.Random(0)
    reached = {
        name
        for _ in range(12000)
        for name, _ in _walk("Test/Registering", [dice.randrange(1200) for _ in range(30)])
    }
    assert reached == {phase.name for phase in PHASES if phase.registry is Registry.CENTRAL}


def test_every_way_into_prod_passes_the_tests() -> None:
    """The same as above for all paths and not only for random ones: without Test/Passed, and
    without Prod/Approved, Prod/Deployed cannot be reached. What was recalled stays so. (Not without
    Prod/Releasing: a rollback makes a version serve again.)"""
    for needed in ("Test/Passed", "Prod/Approved", "Test/Validating"):
        reached = {"Test/Registering", "Dev/Registered"}
        while more := {
            p.name
            for p in PHASES
            if p.name not in {*reached, needed, "Prod/Recalled"} and p.after & reached
        }:
            reached |= more
        assert "Prod/Deployed" not in reached, f"Prod/Deployed can be reached without {needed}"
