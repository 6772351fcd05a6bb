"""One deployed organisation for the whole suite, and the scenarios that are played in it.

Deploying takes half a minute and the path to Prod another one, so both happen once; a test looks at
what they left. Only the scenarios that a selected test asks for are played.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from local import deployment, launcher
from tests.e2e import scenarios
from tests.e2e.organisation import CENTRAL, Organisation
from tests.e2e.scenarios import MODEL, PROVISIONED, SCENARIOS, DemoPath, Replayed, Trained

_SIDE_BY_SIDE = 2  # scenarios; more would only start more workers of each function


@pytest.fixture(scope="session")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    """The four accounts with their stacks and provisioned models; nothing is left of it."""
    directory = tmp_path_factory.mktemp("aws") / "state"
    server = launcher.up(directory)
    try:
        deployment.deploy(server, lambda said: None)
        deployed = Organisation(server)
        for topic in ("notifications", "alarms"):
            deployed.subscribe(CENTRAL, topic)
        deployed.provision(*PROVISIONED)
        yield deployed
    finally:
        launcher.down(directory)


@pytest.fixture(scope="session")
def trained(organisation: Organisation) -> Trained:
    """Theo trains two versions, the second with another regularisation."""
    first = organisation.train(MODEL)
    return Trained(first, organisation.train(MODEL, "--c", "0.05"))


@pytest.fixture(scope="session")
def playing(
    request: pytest.FixtureRequest, organisation: Organisation, trained: Trained
) -> Iterator[dict[str, Future[Any]]]:
    """The scenarios that the selected tests need, all begun."""
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    pool = ThreadPoolExecutor(_SIDE_BY_SIDE)
    yield {
        play.__name__: pool.submit(play, organisation, trained)
        for play in SCENARIOS
        if play.__name__ in wanted
    }
    pool.shutdown(cancel_futures=True)


def _fixture(name: str) -> Any:
    @pytest.fixture(scope="session", name=name)
    def played(playing: dict[str, Future[Any]]) -> Any:
        return playing[name].result()

    return played


# A fixture per scenario, by its name: what the scenario returns, once it has ended.
globals().update({f"_{play.__name__}": _fixture(play.__name__) for play in SCENARIOS})


@pytest.fixture(scope="session")
def replayed(organisation: Organisation, demo_path: DemoPath) -> Replayed:
    """The approvals of the demo path, replayed after it."""
    return scenarios.replayed(organisation, demo_path)
