"""Runs every test case on every engine that was chosen, and says which those were."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.statemachines.engines import (
    ENGINES,
    EngineUnavailableError,
    Run,
    Workflows,
    chosen,
    wanted_engine,
)

_used: dict[str, str] = {}


def pytest_report_header() -> list[str]:
    """What the machines will run on. The summary says it again, with how that went.

    pytest asks for headers before it finds this file, unless this directory is what it is to run.
    """
    return [f"state machine engine: {ENGINES[name]().description}" for name in chosen()]


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
        if wanted_engine() != "auto":
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
