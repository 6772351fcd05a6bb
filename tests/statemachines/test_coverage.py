"""Every way through a machine is gone by some test case: every state, every branch, every Catch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.statemachines import machines
from tests.statemachines.engines import Workflows


def steps(machine: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(state, a state that it may lead to), of the machine itself; a Map is one state."""
    for name, state in machine["States"].items():
        leading = [state, *state.get("Choices", []), *state.get("Catch", [])]
        yield from ((name, way["Next"]) for way in leading if "Next" in way)
        if "Default" in state:
            yield name, state["Default"]


@pytest.mark.parametrize("machine", machines.NAMES)
def test_every_step_is_taken(engine: Workflows, machine: str) -> None:
    definition = machines.source(machine)
    taken: set[tuple[str, str]] = set()
    first, last = set(), set()
    for case in machines.test_cases(machine):
        states = engine.run(machine, case).states
        first.add(states[0])
        last.add(states[-1])
        taken |= set(pairwise(states))
    assert set(steps(definition)) - taken == set()
    # Nor does an engine go where the definition does not lead.
    assert taken - set(steps(definition)) == set()
    assert first == {definition["StartAt"]}
    ends = {
        name for name, state in definition["States"].items() if state["Type"] in {"Succeed", "Fail"}
    }
    assert last == ends


def test_a_step_of_every_kind_is_known() -> None:
    machine = {
        "States": {
            "Try": {"Type": "Task", "Catch": [{"Next": "Broken"}], "Next": "Good?"},
            "Good?": {"Type": "Choice", "Choices": [{"Next": "Done"}], "Default": "Broken"},
            "Broken": {"Type": "Fail"},
            "Done": {"Type": "Succeed"},
        }
    }
    assert set(steps(machine)) == {
        ("Try", "Broken"),
        ("Try", "Good?"),
        ("Good?", "Done"),
        ("Good?", "Broken"),
    }
