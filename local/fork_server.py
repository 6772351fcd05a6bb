"""Python processes that begin with boto3 loaded, as Lambda's runtime brings it.

A new interpreter spends most of the start of a function on importing boto3 and on what the first
clients load: about half a second of a processor, for every function. Here one process does that
once, and every further one is forked off it. Run as a program this module is that process; used as
a module it is the way to it.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_STREAMS = 3  # standard input, output and error
# Of the services that most functions call; their models take a third of a second to parse.
_SERVICES = ("dynamodb", "s3", "sagemaker", "sts", "kms", "events", "stepfunctions")
_CHUNK = 64 * 1024  # bytes; a request is one line of JSON, mostly environment variables


class ForkServer:
    """The way to the process that forks; it is started with the first request and ends with us."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def start(self, script: str, directory: str, environment: Mapping[str, str]) -> ForkedProcess:
        """Run the Python script in a process of its own, with pipes as its streams."""
        pipes = [os.pipe() for _ in range(_STREAMS)]
        # The script reads from the first pipe and writes to the other two.
        ours = [pipes[0][1], pipes[1][0], pipes[2][0]]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        request = {"script": script, "directory": directory, "environment": dict(environment)}
        try:
            with self._lock:
                pid = self._ask(request, theirs)
        except BaseException:
            for end in ours:
                os.close(end)
            raise
        finally:
            for end in theirs:
                os.close(end)
        return ForkedProcess(pid, ours)

    def stop(self) -> None:
        """End the process that forks; the forked ones go on until their streams are closed."""
        with self._lock:
            if self._process is not None and self._socket is not None:
                self._socket.close()
                self._process.wait()
            self._process = self._socket = None

    def _ask(self, request: Mapping[str, Any], streams: Sequence[int]) -> int:
        if self._process is None or self._process.poll() is not None:
            self._begin()
        assert self._socket is not None
        line = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self._socket, [line], list(streams))
        self._socket.sendall(line[sent:])
        answer = self._socket.recv(_CHUNK)
        if not answer:
            raise RuntimeError("the process that starts functions has ended")
        return int(answer)

    def _begin(self) -> None:
        mine, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__)), str(its.fileno())],
                pass_fds=(its.fileno(),),
                stdin=subprocess.DEVNULL,
            )
        self._socket = mine


class ForkedProcess:
    """A process that another one forked, as far as the emulator uses `subprocess.Popen`."""

    def __init__(self, pid: int, streams: Sequence[int]) -> None:
        import psutil

        self.pid = pid
        self.stdin: IO[str] = os.fdopen(streams[0], "w", buffering=1, encoding="utf-8")
        self.stdout: IO[str] = os.fdopen(streams[1], encoding="utf-8", errors="replace")
        self.stderr: IO[str] = os.fdopen(streams[2], encoding="utf-8", errors="replace")
        self._absent = psutil.NoSuchProcess
        self._late = psutil.TimeoutExpired
        try:
            self._process: psutil.Process | None = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._process = None

    def poll(self) -> int | None:
        """None while it runs; how it ended nobody knows, so 0 afterwards."""
        return None if self._process is not None and self._process.is_running() else 0

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; subprocess.TimeoutExpired if it has not ended by then."""
        try:
            if self._process is not None:
                self._process.wait(timeout)
        except self._late as error:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from error
        return 0

    def terminate(self) -> None:
        """Ask it to end, if it has not."""
        with suppress(self._absent):
            if self._process is not None:
                self._process.terminate()

    def kill(self) -> None:
        """End it, if it has not ended."""
        with suppress(self._absent):
            if self._process is not None:
                self._process.kill()


def _serve(requests: socket.socket) -> None:
    """Fork for every request until the other end is closed."""
    # Nobody waits for the forked ones, and the kernel forgets them by itself.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        line, streams, _, _ = socket.recv_fds(requests, _CHUNK, _STREAMS)
        while line and not line.endswith(b"\n"):
            more = requests.recv(_CHUNK)
            line = line + more if more else b""
        if not line:
            return
        pid = os.fork()
        if pid == 0:
            requests.close()
            _become(json.loads(line), streams)
        for stream in streams:
            os.close(stream)
        requests.sendall(str(pid).encode())


def _become(request: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Be a fresh interpreter that runs the script; never returns."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["directory"])
        script = request["script"]
        sys.argv = [script]
        sys.path.insert(0, str(Path(script).parent))
        runpy.run_path(script, run_name="__main__")
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _load() -> None:
    """Import what Lambda's runtime brings, and read what boto3's clients of our services read."""
    import boto3

    from local import service_models

    service_models.share()
    for service in _SERVICES:
        # Not boto3.client(): that would keep a session, and every function makes its own.
        session: Any = boto3.session.Session()
        session.client(service, region_name="us-east-1")
    # What is here now is shared by all: a collection would write to each page of it, in each one.
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _load()
    _serve(socket.socket(fileno=int(sys.argv[1])))
