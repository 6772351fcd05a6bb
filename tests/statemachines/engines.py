"""Where the state machines run: the embedded AWS, or Step Functions Local in a container."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.statemachines import machines

_ACCOUNT, _REGION = "111122223333", "us-east-1"
_START = 90.0  # seconds that an engine may take to answer
_RUN = 180.0  # seconds that an execution may take; an engine that cannot scale waits needs most
_LOOK = 0.05  # seconds between two looks
_MOCK_FILE = "/home/StepFunctionsLocal/MockConfigFile.json"  # where AWS documents it
_PORT = 8083
_DESCRIBED = "org.opencontainers.image.description"
DEFAULT_IMAGE = "amazon/aws-stepfunctions-local"


class EngineUnavailableError(Exception):
    """The engine is there, but cannot run these machines; the message says why."""


@dataclass
class Run:
    """How an execution of a test case went. `output` is parsed; `states` are those entered.

    `sizes` are the bytes of the largest output of each state that was left.
    """

    machine: str
    status: str
    states: list[str]
    output: Any
    error: str | None
    cause: str | None
    tries: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


class Engine(Protocol):
    """Something that serves the Step Functions API."""

    def start(self, directory: Path) -> None:
        """Serve with the merged mock configuration; EngineUnavailableError if it cannot."""

    def stop(self) -> None:
        """Leave nothing behind."""

    @property
    def description(self) -> str:
        """What it is, for people."""

    @property
    def client(self) -> Any:
        """A client of its API."""

    @property
    def role_arn(self) -> str:
        """A role that machines may be created with."""


class Embedded:
    """The embedded AWS of this repository, a server of its own for the suite."""

    role_arn = f"arn:aws:iam::{_ACCOUNT}:role/state-machine-tests"
    description = "embedded AWS (local.launcher)"

    def start(self, directory: Path) -> None:
        from local import launcher

        self._state = directory / "state"
        mocks = directory / "MockConfigFile.json"
        mocks.write_text(json.dumps(machines.merged_mocks()))
        server = launcher.up(
            self._state,
            {"SFN_MOCK_CONFIG": str(mocks), "SFN_WAIT_SCALE": "0", "LOG_LEVEL": "WARNING"},
        )
        self._endpoint = server.endpoint_url
        # Machines need a role that exists; it is never assumed, since every task is mocked.
        self._connect("iam").create_role(
            RoleName=self.role_arn.rpartition("/")[2],
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
        )

    def stop(self) -> None:
        from local import launcher

        launcher.down(self._state)

    @cached_property
    def client(self) -> Any:
        return self._connect("stepfunctions")

    def _connect(self, service: str) -> Any:
        return _client(service, self._endpoint)


class Docker:
    """Step Functions Local in a container.

    SFN_LOCAL_IMAGE names the image. GP_SFN_DOCKER_NETWORK=host is for a Docker engine that has no
    bridge: the container then serves on the host's loopback, at a free port that it is told as
    PORT. AWS's own image cannot be told and needs a bridge.

    No test is for one engine only. The image of AWS has not been tried: where this was written, it
    could not be pulled. It may differ in how it counts the attempts at a state within a Map, which
    its documentation does not say and the cases with several objects or suites rely on.
    """

    # Step Functions Local takes any role; this is the one that its documentation uses.
    role_arn = f"arn:aws:iam::{_ACCOUNT}:role/DummyRole"

    def __init__(self) -> None:
        self.image = os.environ.get("SFN_LOCAL_IMAGE", DEFAULT_IMAGE)
        self._container: Any = None

    @staticmethod
    def answers() -> bool:
        """True if a Docker engine answers."""
        import docker
        from docker.errors import DockerException

        try:
            with closing(docker.from_env(timeout=5)) as client:
                return bool(client.ping())
        except (DockerException, OSError):
            return False

    @cached_property
    def description(self) -> str:
        """With what the image says about itself: not every one is AWS's."""
        import docker
        from docker.errors import DockerException

        about = None
        try:
            with closing(docker.from_env(timeout=5)) as client:
                about = client.images.get(self.image).labels.get(_DESCRIBED)
        except (DockerException, OSError):
            pass  # not pulled yet
        image = f"{self.image}: {about}" if about else self.image
        return f"Step Functions Local through testcontainers (image {image})"

    def start(self, directory: Path) -> None:
        self._provide_image()
        self._run()
        deadline = time.monotonic() + _START
        while not self._is_serving():
            if time.monotonic() > deadline or not self._is_alive():
                logs = b"".join(self._container.get_logs()).decode(errors="replace")
                raise RuntimeError(
                    f"{self.image} did not answer at {self._endpoint}:\n{logs[-4000:]}"
                )
            time.sleep(_LOOK)
        self._require_jsonata()

    def stop(self) -> None:
        if self._container is not None:
            self._container.stop()

    @cached_property
    def client(self) -> Any:
        return _client("stepfunctions", self._endpoint)

    def _provide_image(self) -> None:
        import docker
        from docker.errors import DockerException, ImageNotFound

        client = docker.from_env(timeout=300)
        try:
            client.images.get(self.image)
        except ImageNotFound:
            try:
                client.images.pull(self.image)
            except (DockerException, OSError) as error:
                raise EngineUnavailableError(
                    f"a Docker engine answers, but the image {self.image} is not here and cannot "
                    f"be pulled: {error}"
                ) from error
        finally:
            client.close()

    def _run(self) -> None:
        from testcontainers.core.config import testcontainers_config
        from testcontainers.core.container import DockerContainer

        # The reaper is one more image to pull; `stop` removes the container itself.
        testcontainers_config.ryuk_disabled = True
        host_network = os.environ.get("GP_SFN_DOCKER_NETWORK") == "host"
        container = (
            DockerContainer(self.image)
            .with_env("SFN_MOCK_CONFIG", _MOCK_FILE)
            .with_env("AWS_DEFAULT_REGION", _REGION)
            .with_env("AWS_ACCOUNT_ID", _ACCOUNT)
            # Two spellings of "do not wait": Step Functions Local's, and the embedded engine's.
            .with_env("WAIT_TIME_SCALE", "0")
            .with_env("SFN_WAIT_SCALE", "0")
            .with_env("BIND_HOST", "127.0.0.1" if host_network else "0.0.0.0")
            .with_copy_into_container(json.dumps(machines.merged_mocks()).encode(), _MOCK_FILE)
        )
        if host_network:
            host, port = "127.0.0.1", _free_port()
            container = container.with_kwargs(network_mode="host").with_env("PORT", str(port))
            self._container = container.start()
        else:
            self._container = container.with_exposed_ports(_PORT).start()
            host = container.get_container_host_ip()
            port = container.get_exposed_port(_PORT)
        self._endpoint = f"http://{host}:{port}"

    def _is_alive(self) -> bool:
        self._container.reload()
        return bool(self._container.status != "exited")

    def _is_serving(self) -> bool:
        try:
            self.client.list_state_machines()
        except (BotoCoreError, ClientError):
            return False
        return True

    def _require_jsonata(self) -> None:
        """AWS no longer maintains its image; one that has no JSONata cannot run these machines."""
        probe = {
            "QueryLanguage": "JSONata",
            "StartAt": "Add",
            "States": {"Add": {"Type": "Pass", "Output": "{% 1 + 1 %}", "End": True}},
        }
        try:
            arn = self.client.create_state_machine(
                name="jsonata-probe", definition=json.dumps(probe), roleArn=self.role_arn
            )["stateMachineArn"]
            execution = self.client.start_execution(stateMachineArn=arn)["executionArn"]
            output = _finished(self.client, execution).get("output")
        except ClientError as error:
            raise EngineUnavailableError(
                f"the image {self.image} does not know JSONata: {error}"
            ) from error
        if output != "2":
            raise EngineUnavailableError(
                f"the image {self.image} does not know JSONata: 1 + 1 is {output!r}"
            )


ENGINES = {"embedded": Embedded, "docker": Docker}


@cache
def chosen() -> tuple[str, ...]:
    """The engines to run on, by GP_SFN_ENGINE: embedded, docker, both, or auto.

    auto, the default, is embedded, and docker where a Docker engine answers. ValueError for any
    other value.
    """
    wanted = wanted_engine()
    if wanted in ENGINES:
        return (wanted,)
    if wanted == "both" or (wanted == "auto" and Docker.answers()):
        return tuple(ENGINES)
    if wanted == "auto":
        return ("embedded",)
    raise ValueError(f"GP_SFN_ENGINE is {wanted!r}; expected embedded, docker, both or auto")


def wanted_engine() -> str:
    """GP_SFN_ENGINE. What it names must be usable; only what "auto" finds may be skipped."""
    return os.environ.get("GP_SFN_ENGINE", "auto")


class Workflows:
    """The state machines on a running engine."""

    def __init__(self, engine: Engine) -> None:
        self._client = engine.client
        self._arns = {
            machine: self._client.create_state_machine(
                name=machines.physical_name(machine),
                definition=machines.definition(machine),
                roleArn=engine.role_arn,
            )["stateMachineArn"]
            for machine in machines.NAMES
        }
        self._executions: dict[tuple[str, str], str] = {}

    def start(self, machine: str, case: str) -> None:
        """Start a test case, once."""
        if (machine, case) not in self._executions:
            self._executions[(machine, case)] = self._client.start_execution(
                stateMachineArn=f"{self._arns[machine]}#{case}",
                input=json.dumps(machines.start_input(machine)),
            )["executionArn"]

    def run(self, machine: str, case: str) -> Run:
        """How the test case ended; AssertionError if it does not end, or is not mocked enough."""
        self.start(machine, case)
        execution = self._executions[(machine, case)]
        end = _finished(self._client, execution)
        pages = self._client.get_paginator("get_execution_history").paginate(executionArn=execution)
        events = [event for page in pages for event in page["events"]]
        _require_mocks(case, events)
        states, tries = _visits(events, set(machines.source(machine)["States"]))
        for name, tried in self._tried_in_maps(execution).items():
            tries[name] = tries.get(name, 0) + tried
        return Run(
            machine=machine,
            status=end["status"],
            states=states,
            output=json.loads(end["output"]) if end["status"] == "SUCCEEDED" else None,
            error=end.get("error"),
            cause=end.get("cause"),
            tries=tries,
            sizes=_sizes(events),
        )

    def _tried_in_maps(self, execution: str) -> dict[str, int]:
        """{label: how often its executions tried something} of each Distributed Map."""
        found: dict[str, int] = {}
        for run in self._client.list_map_runs(executionArn=execution)["mapRuns"]:
            label = run["mapRunArn"].rpartition("/")[2].partition(":")[0]
            children = self._client.list_executions(mapRunArn=run["mapRunArn"])["executions"]
            for child in children:
                events = self._client.get_execution_history(executionArn=child["executionArn"])
                tried = sum(one["type"].endswith("Scheduled") for one in events["events"])
                found[label] = found.get(label, 0) + tried
        return found


def _finished(client: Any, execution: str) -> dict[str, Any]:
    deadline = time.monotonic() + _RUN
    while True:
        described: dict[str, Any] = client.describe_execution(executionArn=execution)
        if described["status"] != "RUNNING":
            break
        assert time.monotonic() < deadline, f"{execution} still runs after {_RUN:.0f} s"
        time.sleep(_LOOK)
    assert described["status"] in {"SUCCEEDED", "FAILED"}, described
    return described


def _visits(events: list[dict[str, Any]], known: set[str]) -> tuple[list[str], dict[str, int]]:
    """The machine's own states in the order they were entered, and how often each one tried.

    Engines differ in what they tell of the states within a Map; those are left out, and what they
    tried counts for the Map.
    """
    states: list[str] = []
    tries: dict[str, int] = {}
    for event in events:
        name = event.get("stateEnteredEventDetails", {}).get("name")
        if name in known:
            states.append(name)
        elif event["type"].endswith("Scheduled"):
            tries[states[-1]] = tries.get(states[-1], 0) + 1
    return states, tries


def _sizes(events: list[dict[str, Any]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for event in events:
        left = event.get("stateExitedEventDetails", {})
        if "name" in left:
            size = len(left.get("output", "").encode())
            sizes[left["name"]] = max(size, sizes.get(left["name"], 0))
    return sizes


def _require_mocks(case: str, events: list[dict[str, Any]]) -> None:
    for event in events:
        for details in event.values():
            cause = details.get("cause") if isinstance(details, dict) else None
            assert not (cause and f"test case {case} mocks no attempt" in cause), cause


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _client(service: str, endpoint: str) -> Any:
    return boto3.Session(_ACCOUNT, "local", region_name=_REGION).client(
        service,
        endpoint_url=endpoint,
        config=Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1}),
    )
