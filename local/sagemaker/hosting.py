"""Model servers: one local process for each production variant that is in service."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from local.sagemaker import artifacts

_ROOT = Path(__file__).parents[2]
_SERVABLE = re.compile(r"(?:.*/)?sagemaker-scikit-learn(?:[:@].*)?")
_ANSWER_SECONDS = 60.0  # what SageMaker gives a model for one answer
_START_SECONDS = 30.0
_PING_SECONDS = 1.0
_LOG_LINES = 12
_LOG_CHARACTERS = 600  # of the 1,024 of a FailureReason; the end says what went wrong
# The server's own variables that a model server needs; a key of the host must not leak into it.
_INHERITED = ("PATH", "LANG", "TMPDIR", "HOME", "GOVERNED_PATH_STATE")


class HostingError(Exception):
    """A variant cannot be served; the text is the endpoint's FailureReason."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one variant serves: its model's containers, and the role that they run as."""

    variant: str
    containers: Sequence[Mapping[str, Any]]
    role_arn: str
    region: str

    @property
    def container(self) -> Mapping[str, Any]:
        """The one container; HostingError for an inference pipeline of several."""
        if len(self.containers) != 1:
            raise HostingError(
                f"Production variant {self.variant} is an inference pipeline of "
                f"{len(self.containers)} containers; the embedded AWS serves one."
            )
        return self.containers[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the container answered to one invocation."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Replica:
    """A model server and its directory. It is started again when it has ended by itself."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.plan = plan
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._stopped = False
        self._active = 0
        self._lock = threading.Lock()
        self._count = threading.Lock()

    def start(self) -> None:
        """Run the server until it answers /ping; HostingError if it does not in time."""
        with self._lock:
            if self._stopped:
                raise HostingError("The endpoint is being deleted.")
            if self._process is None or self._process.poll() is not None:
                self._spawn()
                self._await_ping(self._process)

    def invoke(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST to the container after `enter`; HostingError if it does not answer."""
        try:
            self.start()
            return self._post(path, headers, body)
        finally:
            with self._count:
                self._active -= 1

    def enter(self) -> None:
        """Announce an invocation, so that `drain` waits for it; `invoke` must follow."""
        with self._count:
            self._active += 1

    @property
    def active(self) -> int:
        """How many invocations are under way."""
        return self._active

    def drain(self, seconds: float) -> None:
        """Wait until no invocation is under way, but no longer than that."""
        deadline = time.monotonic() + seconds
        while self._active and time.monotonic() < deadline:
            time.sleep(0.02)

    def _post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("POST", path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        except TimeoutError as error:
            # It would keep every later request waiting; the next one starts it anew.
            self._end()
            raise HostingError(
                "Your invocation timed out while waiting for a response from container primary."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise HostingError(
                f"The container closed the connection without an answer. {self._log()}"
            ) from error
        finally:
            connection.close()

    def stop(self) -> None:
        """End the server for good and remove its directory. Returns when both are gone."""
        self._stopped = True
        self._end()
        with self._lock:
            self._end()  # one that was starting meanwhile
            shutil.rmtree(self._directory, ignore_errors=True)

    def _spawn(self) -> None:
        """The server gets its socket from here, so no other program can take its port."""
        with (
            socket.create_server(("127.0.0.1", 0), backlog=128) as listener,
            (self._directory / "server.log").open("ab") as log,
        ):
            self._port = listener.getsockname()[1]
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "local.sagemaker.model_server",
                    *("--socket", str(listener.fileno())),
                    *("--model-dir", str(self._directory / "model")),
                ],
                cwd=self._directory,
                env=self._environment(),
                pass_fds=(listener.fileno(),),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        given = self.plan.container.get("Environment") or {}
        return {
            **given,
            **inherited,
            "PYTHONPATH": str(_ROOT),
            "PYTHONUNBUFFERED": "1",
            "AWS_REGION": self.plan.region,
            "AWS_DEFAULT_REGION": self.plan.region,
        }

    def _await_ping(self, process: subprocess.Popen[bytes] | None) -> None:
        limit = float(os.environ.get("GOVERNED_PATH_ENDPOINT_START_SECONDS") or _START_SECONDS)
        deadline = time.monotonic() + limit
        while process is not None and process.poll() is None and not self._stopped:
            if time.monotonic() > deadline:
                self._end()
                raise self._unhealthy(f"it did not answer /ping within {limit:g} s")
            if self._answers_ping():
                return
            time.sleep(0.05)
        if self._stopped:
            self._end()  # `stop` may have come before there was a process to end
        code = process.wait() if process is not None else 0
        raise self._unhealthy(f"it ended with exit code {code}")

    def _answers_ping(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PING_SECONDS)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _unhealthy(self, what: str) -> HostingError:
        return HostingError(
            f"The primary container for production variant {self.plan.variant} did not pass the "
            f"ping health check: {what}. {self._log()}"
        )

    def _log(self) -> str:
        with suppress(OSError):
            lines = (self._directory / "server.log").read_text(errors="replace").splitlines()
            tail = " | ".join(line.strip() for line in lines[-_LOG_LINES:] if line.strip())
            return f"Log: {tail[-_LOG_CHARACTERS:]}"
        return ""

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


class Fleet:
    """Every replica that runs, so that none outlives the service."""

    def __init__(self) -> None:
        self._replicas: set[Replica] = set()
        self._lock = threading.Lock()

    def start(self, plan: Plan) -> Replica:
        """Fetch, unpack and serve; HostingError with the reason if any of it fails."""
        image = str(plan.container.get("Image", ""))
        if not _SERVABLE.fullmatch(image):
            raise HostingError(
                f'The image "{image}" of production variant {plan.variant} cannot be served by '
                "the embedded AWS: it runs no containers, and serves models of the "
                "sagemaker-scikit-learn images with a local process."
            )
        directory = Path(tempfile.mkdtemp(prefix="sagemaker-endpoint-"))
        replica = Replica(plan, directory)
        with self._lock:
            self._replicas.add(replica)
        try:
            _prepare(plan, directory)
            replica.start()
        except (artifacts.ArtifactError, HostingError, OSError) as error:
            self.stop(replica)
            raise HostingError(str(error)[:1024]) from error
        return replica

    def stop(self, replica: Replica) -> None:
        """End one replica."""
        replica.stop()
        with self._lock:
            self._replicas.discard(replica)

    def stop_all(self) -> None:
        """End every replica, also those that are starting."""
        with self._lock:
            replicas = list(self._replicas)
        for replica in replicas:
            self.stop(replica)


FLEET = Fleet()


def _prepare(plan: Plan, directory: Path) -> None:
    model = directory / "model"
    model.mkdir()
    url = artifacts.model_data_url(dict(plan.container))
    if url is None:
        return
    if not plan.role_arn:
        raise HostingError(f"The model of variant {plan.variant} has no ExecutionRoleArn.")
    if url.endswith("/"):
        artifacts.fetch_all(url, plan.role_arn, model)
        return
    archive = directory / "model.tar.gz"
    artifacts.fetch(url, plan.role_arn, archive)
    artifacts.unpack(archive, model, url)
    archive.unlink()
