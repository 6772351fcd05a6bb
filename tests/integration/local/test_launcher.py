"""Starting, finding and stopping: nothing runs twice, and nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from local import launcher, organisation
from tests.integration.local.support import PROD, SAGEMAKER, Aws, allow, eventually, marked
from tests.integration.sagemaker.support import CONSTANT, IMAGE, archive


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    state = tmp_path / "state"
    yield state
    launcher.down(state)
    assert not marked(state)


def test_a_life(directory: Path) -> None:
    assert launcher.status(directory) is None
    server = launcher.up(directory)
    try:
        assert launcher.up(directory) == server
        assert launcher.status(directory) == server
        assert json.loads((directory / "server.json").read_text()) == asdict(server)
        assert server.accounts == organisation.ACCOUNTS
        assert server.state_dir == str(directory)
        assert server.endpoint_url == f"http://127.0.0.1:{server.port}"

        assert [process.pid for process in marked(directory)] == [server.pid]
        assert os.getpgid(server.pid) == server.pgid != os.getpgid(0)
        process = psutil.Process(server.pid)
        listening = [c.laddr for c in process.net_connections("inet") if c.status == "LISTEN"]
        assert [tuple(address) for address in listening] == [("127.0.0.1", server.port)]
        variables = process.environ()
        assert variables["TMPDIR"] == str(directory / "tmp")
        assert variables["HOME"] == str(directory)
        # The person's own account must not be reached by mistake.
        assert not [name for name in variables if name.startswith("AWS_") and "KEY" in name]
    finally:
        assert launcher.down(directory)
    assert not marked(directory)
    assert not directory.exists()
    assert launcher.status(directory) is None
    assert not launcher.down(directory)


def test_two_of_them_have_nothing_in_common(directory: Path, tmp_path: Path) -> None:
    first, other = launcher.up(directory), tmp_path / "other"
    try:
        second = launcher.up(other)
        assert first.port != second.port
        Aws(first.endpoint_url).client("s3").create_bucket(Bucket="mine")
        assert Aws(second.endpoint_url).client("s3").list_buckets()["Buckets"] == []
        launcher.down(other)
        assert launcher.status(directory) == first
    finally:
        launcher.down(other)


def test_nothing_survives_a_kill(directory: Path) -> None:
    server = launcher.up(directory)
    aws = Aws(server.endpoint_url)
    aws.function(PROD, "worker", "def handler(event, context):\n    return event\n")
    answer = aws.client("lambda", PROD).invoke(FunctionName="worker", Payload=b"[1]")
    assert answer["Payload"].read() == b"[1]"
    serve(aws)
    started = marked(directory)
    commands = [" ".join(process.cmdline()) for process in started]
    assert len(commands) == 4, commands
    assert sum("local.sagemaker.model_server" in command for command in commands) == 1
    # The process that forks, and the function that it forked.
    assert sum("fork_server" in command for command in commands) == 2
    assert sum("local.server" in command for command in commands) == 1

    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: launcher.status(directory) is None)
    assert launcher.down(directory)
    assert not marked(directory)
    assert not directory.exists()


def test_up_clears_away_what_was_killed(directory: Path) -> None:
    killed = launcher.up(directory)
    Aws(killed.endpoint_url).client("s3").create_bucket(Bucket="gone")
    os.kill(killed.pid, signal.SIGKILL)
    eventually(lambda: launcher.status(directory) is None)
    server = launcher.up(directory)
    assert server.pid != killed.pid
    assert Aws(server.endpoint_url).client("s3").list_buckets()["Buckets"] == []


def test_a_server_that_does_not_start_says_why(directory: Path) -> None:
    with pytest.raises(launcher.LauncherError, match=r"SeamError.*AUTH=true") as raised:
        launcher.up(directory, {"AUTH": "false"})
    assert "ended while starting" in str(raised.value)
    assert launcher.status(directory) is None
    assert launcher.down(directory)


def test_a_server_that_does_not_answer_is_ended(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "_START", 0.0)
    with pytest.raises(launcher.LauncherError, match="did not answer"):
        launcher.up(directory)
    assert not marked(directory)
    assert launcher.status(directory) is None


def test_another_program_with_the_same_id_is_left_alone(directory: Path) -> None:
    server = launcher.up(directory)
    launcher.down(directory)
    directory.mkdir()
    # This process has the recorded ids now, as after a restart of the machine.
    record = {**asdict(server), "pid": os.getpid(), "pgid": os.getpgid(0)}
    (directory / "server.json").write_text(json.dumps(record))
    assert launcher.status(directory) is None
    assert launcher.down(directory)


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for call in (launcher.up, launcher.down):
        with pytest.raises(launcher.LauncherError, match=r"holds 'thesis\.tex'"):
            call(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_the_directory_is_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVERNED_PATH_LOCAL_DIR", str(tmp_path))
    assert launcher.default_state_dir() == tmp_path
    monkeypatch.delenv("GOVERNED_PATH_LOCAL_DIR")
    assert launcher.default_state_dir().parts[-2:] == ("build", "local")


def test_health_is_on_loopback_only(directory: Path) -> None:
    server = launcher.up(directory)
    with urllib.request.urlopen(f"{server.endpoint_url}/_ministack/health") as answer:
        assert answer.status == 200
    addresses = {
        address.address
        for interface in psutil.net_if_addrs().values()
        for address in interface
        if address.family.name == "AF_INET" and not address.address.startswith("127.")
    }
    for address in addresses:
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"http://{address}:{server.port}/", timeout=2)


def serve(aws: Aws) -> None:
    """An endpoint in Prod that is in service."""
    s3, sagemaker = aws.client("s3", PROD), aws.client("sagemaker", PROD)
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="m", Body=archive(CONSTANT.format(value="m")))
    sagemaker.create_model(
        ModelName="m",
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": "s3://models/m"},
        ExecutionRoleArn=aws.role(PROD, "execution", allow("s3:GetObject"), trusts=SAGEMAKER),
    )
    variant: dict[str, Any] = {
        "VariantName": "AllTraffic",
        "ModelName": "m",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    eventually(
        lambda: sagemaker.describe_endpoint(EndpointName="e")["EndpointStatus"] == "InService"
    )
