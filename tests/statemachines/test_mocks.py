"""The mock configurations themselves: complete, and about what is there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.statemachines import machines


def tasks(machine: dict[str, Any]) -> set[str]:
    """Every Task of the machine, within its Maps too, and every Map that reads its items."""
    found = set()
    for name, state in machine["States"].items():
        if state["Type"] == "Task" or "ItemReader" in state:
            found.add(name)
        if state["Type"] == "Map":
            found |= tasks(state["ItemProcessor"])
    return found


@pytest.mark.parametrize("machine", machines.NAMES)
def test_every_test_case_mocks_tasks_that_are_there(machine: str) -> None:
    known = tasks(machines.source(machine))
    for case, states in machines.test_cases(machine).items():
        assert set(states) <= known, case


@pytest.mark.parametrize("machine", machines.NAMES)
def test_every_response_is_there_and_used(machine: str) -> None:
    used = {r for states in machines.test_cases(machine).values() for r in states.values()}
    assert used == set(machines.mocks(machine)["MockedResponses"])


@pytest.mark.parametrize("machine", machines.NAMES)
def test_every_task_has_a_case_in_which_it_fails(machine: str) -> None:
    missing = {f"{task}Fails" for task in tasks(machines.source(machine))}
    assert missing <= set(machines.test_cases(machine))


@pytest.mark.parametrize("machine", machines.NAMES)
def test_every_case_is_tested(machine: str) -> None:
    text = (machines.ROOT / "tests" / "statemachines" / f"test_{machine}.py").read_text()
    untested = [
        case
        for case in machines.test_cases(machine)
        # "{state}Fails" cases are spelled by the state they are made from.
        if f'"{case}"' not in text and f'"{case.removesuffix("Fails")}"' not in text
    ]
    assert untested == []
