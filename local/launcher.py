"""Start, find and stop the embedded AWS.

Everything it writes is below one state directory, everything it starts is in one process group;
`down` removes both, whatever happened to the server before.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from local import clock
from local.organisation import ACCOUNTS, REGION

_START = 120.0  # seconds that the server may take to answer; one is usual
_STATE_FILE = "server.json"
_LOG_FILE = "server.log"


class LauncherError(RuntimeError):
    """The embedded AWS could not be started or is not what its state file says."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running embedded AWS. `pgid` is the group of its process and all that it started."""

    pid: int
    pgid: int
    created: float
    port: int
    endpoint_url: str
    started_at: str
    state_dir: str
    accounts: dict[str, str]
    region: str


def default_state_dir() -> Path:
    """GOVERNED_PATH_LOCAL_DIR, or build/local below the project."""
    configured = os.environ.get("GOVERNED_PATH_LOCAL_DIR")
    return Path(configured) if configured else Path(__file__).parents[1] / "build" / "local"


def up(state_dir: Path | None = None, extra_env: dict[str, str] | None = None) -> Server:
    """Start the embedded AWS, or return the one that runs with this state directory.

    LauncherError with the end of its log if it does not answer in time, or if the directory holds
    something else.
    """
    directory = (state_dir or default_state_dir()).resolve()
    running = status(directory)
    if running is not None:
        return running
    down(directory)
    (directory / "tmp").mkdir(parents=True)
    port = _free_port()
    with (directory / _LOG_FILE).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.server"],
            cwd=Path(__file__).parents[1],
            env=_environment(directory, port) | (extra_env or {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(
        pid=process.pid,
        pgid=process.pid,
        created=psutil.Process(process.pid).create_time(),
        port=port,
        endpoint_url=f"http://127.0.0.1:{port}",
        started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        state_dir=str(directory),
        accounts=dict(ACCOUNTS),
        region=REGION,
    )
    (directory / _STATE_FILE).write_text(json.dumps(asdict(server), indent=2))
    _wait_until_it_answers(process, server)
    return server


def status(state_dir: Path | None = None) -> Server | None:
    """The server that runs with this state directory, or None."""
    server = _recorded(state_dir or default_state_dir())
    return server if server is not None and _is_alive(server) else None


def down(state_dir: Path | None = None) -> bool:
    """Stop the server with all that it started and remove its state; False if there was nothing.

    LauncherError if the directory is not a state directory: it is left as it is.
    """
    directory = (state_dir or default_state_dir()).resolve()
    server = _recorded(directory)
    if server is not None:
        _kill_group(server, directory)
    if not directory.exists():
        return False
    _require_ours(directory, server)
    shutil.rmtree(directory)
    return True


def _require_ours(directory: Path, server: Server | None) -> None:
    """A path that was mistyped must not cost anybody their files."""
    if server is not None or not directory.is_dir():
        return
    # What `up` makes before there is a record.
    others = sorted({entry.name for entry in directory.iterdir()} - {"tmp", _LOG_FILE, _STATE_FILE})
    if others:
        raise LauncherError(
            f"{directory} is not a state directory of the embedded AWS: it holds {others[0]!r}"
        )


def _environment(directory: Path, port: int) -> dict[str, str]:
    """Only what the server needs: functions inherit it, and a key of the host must not leak."""
    root = Path(__file__).parents[1]
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(root),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(directory / "tmp"),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNTS["central"],
        "AWS_DEFAULT_REGION": REGION,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "LAMBDA_EXECUTOR": "local",
        "GOVERNED_PATH_STATE": str(directory),
        # Now, because the server would end with a stack trace.
        clock.VARIABLE: str(_scale()),
    }


def _scale() -> float:
    try:
        return clock.scale()
    except ValueError as error:
        raise LauncherError(str(error)) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(process: subprocess.Popen[bytes], server: Server) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LauncherError(f"the embedded AWS ended while starting:\n{_tail(server)}")
        with (
            suppress(OSError),
            urllib.request.urlopen(f"{server.endpoint_url}/_ministack/health", timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.05)
    _kill_group(server, Path(server.state_dir))
    raise LauncherError(
        f"the embedded AWS did not answer at {server.endpoint_url} within {_START:.0f} s:\n"
        f"{_tail(server)}"
    )


def _tail(server: Server, lines: int = 20) -> str:
    log = Path(server.state_dir) / _LOG_FILE
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _recorded(directory: Path) -> Server | None:
    try:
        return Server(**json.loads((directory / _STATE_FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _is_alive(server: Server) -> bool:
    try:
        process = psutil.Process(server.pid)
        # A process id is used again; the same start time is not.
        return (
            abs(process.create_time() - server.created) < 1
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False


def _kill_group(server: Server, directory: Path) -> None:
    """End the group, and wait until it is gone.

    Nothing is asked to end by itself: the state goes anyway. If the server is dead already, its
    children still carry the group and the state directory's mark, so a group that another program
    uses by now is never touched.
    """
    for _ in range(3):  # a process may be started while the others are being ended
        members = [p for p in psutil.process_iter() if _belongs(p, server, directory)]
        for process in members:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(members, timeout=10)
        if not members:
            return


def _belongs(process: psutil.Process, server: Server, directory: Path) -> bool:
    try:
        if os.getpgid(process.pid) != server.pgid:
            return False
        return process.environ().get("GOVERNED_PATH_STATE") == str(directory)
    except (psutil.Error, ProcessLookupError):
        return False
