"""Processes that are forked: as fresh as new ones, and none of them stays."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.fork_server import ForkedProcess, ForkServer
from tests.integration.local.support import eventually

SCRIPT = """
import json, os, sys
loaded = "boto3" in sys.modules
print(json.dumps({
    "argv": sys.argv, "path": sys.path[0], "directory": os.getcwd(),
    "environment": dict(os.environ), "boto3": loaded, "said": sys.stdin.readline(),
}), flush=True)
print("an error", file=sys.stderr)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.stop()


def start(server: ForkServer, directory: Path, code: str = SCRIPT) -> ForkedProcess:
    script = directory / "script.py"
    script.write_text(code)
    return server.start(str(script), str(directory), {"ONLY": "this", "LONG": "x" * 200_000})


def test_it_is_a_fresh_program_with_boto3_loaded(server: ForkServer, tmp_path: Path) -> None:
    process = start(server, tmp_path)
    assert process.poll() is None
    process.stdin.write("hello\n")
    seen = json.loads(process.stdout.readline())
    assert seen == {
        "argv": [str(tmp_path / "script.py")],
        "path": str(tmp_path),
        "directory": str(tmp_path.resolve()),
        "environment": {"ONLY": "this", "LONG": "x" * 200_000},
        "boto3": True,
        "said": "hello\n",
    }
    process.stdin.close()
    assert process.stderr.read() == "an error\n"
    process.wait(10)
    assert process.poll() == 0


def test_an_exception_is_told_and_ends_only_its_own_process(
    server: ForkServer, tmp_path: Path
) -> None:
    broken = start(server, tmp_path, "raise ValueError('not today')")
    assert "ValueError: not today" in broken.stderr.read()
    broken.wait(10)
    assert start(server, tmp_path).poll() is None


@pytest.mark.parametrize("way", ["terminate", "kill"])
def test_it_can_be_ended(server: ForkServer, tmp_path: Path, way: str) -> None:
    process = start(server, tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    getattr(process, way)()
    process.wait(10)
    assert process.poll() is not None
    getattr(process, way)()  # once more does nothing
    assert process.stdout.read() == ""


def test_nothing_stays_when_we_end(tmp_path: Path) -> None:
    """As after a kill -9 of the server: the other ends of the pipes are closed, that is all."""
    server = ForkServer()
    process = start(server, tmp_path, "import sys; sys.stdin.readline()")
    server.stop()
    assert process.poll() is None
    process.stdin.close()
    process.wait(10)


def test_no_end_of_a_pipe_is_left_open(server: ForkServer, tmp_path: Path) -> None:
    def open_here() -> int:
        return len(os.listdir("/dev/fd"))

    start(server, tmp_path).kill()
    before = open_here()
    for _ in range(5):
        process = start(server, tmp_path)
        process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        process.wait(10)
    # Threads of other tests may still be closing theirs.
    eventually(lambda: open_here() <= before)
