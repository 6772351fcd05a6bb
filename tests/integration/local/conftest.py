"""One embedded AWS for each module that asks for it, in a directory of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local import launcher
from tests.integration.local.support import Aws


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[launcher.Server]:
    directory = tmp_path_factory.mktemp("aws") / "state"
    try:
        yield launcher.up(directory)
    finally:
        launcher.down(directory)


@pytest.fixture(scope="module")
def aws(server: launcher.Server) -> Aws:
    return Aws(server.endpoint_url)
