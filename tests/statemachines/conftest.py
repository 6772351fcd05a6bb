"""Runs every test case on every engine that was chosen, and says which those were."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.statemachines.engines import (
    ENGINES,
    EngineUnavailableError,
    Run,
    Workflows,
    chosen,
)

_used: dict[str, str] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", chosen(), indirect=True, scope="session")


@pytest.fixture(scope="session")
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workflows]:
    """The machines on a running engine. All selected cases are started at once."""
    server = ENGINES[request.param]()
    try:
        server.start(tmp_path_factory.mktemp(request.param))
        _used[request.param] = f"ran on {server.description}"
        workflows = Workflows(server)
        for item in request.session.items:
            parameters = getattr(getattr(item, "callspec", None), "params", {})
            if parameters.get("engine") == request.param and "case" in parameters:
                workflows.start(item.module.MACHINE, parameters["case"])
        yield workflows
    except EngineUnavailableError as error:
        _used[request.param] = f"SKIPPED on {server.description}: {error}"
        if os.environ.get("GP_SFN_ENGINE") == request.param:
            raise
        pytest.skip(str(error))
    finally:
        server.stop()


@pytest.fixture
def run(request: pytest.FixtureRequest, engine: Workflows) -> Callable[[str], Run]:
    """Run a test case of the module's machine."""
    return lambda case: engine.run(request.module.MACHINE, case)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _used:
        return
    terminalreporter.section("state machine engines")
    for text in _used.values():
        terminalreporter.line(text, yellow=text.startswith("SKIPPED"), bold=True)
    if "docker" not in _used:
        terminalreporter.line(
            "no Docker engine was used: Step Functions Local is not proven by this run", yellow=True
        )
