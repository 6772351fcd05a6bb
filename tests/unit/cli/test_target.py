"""Where commands act: the embedded AWS or real accounts, and what is said if neither is there."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import exceptions as aws
from botocore.exceptions import ClientError
from click.testing import Result

from cli import target
from cli.aws import calling, explain
from cli.errors import GovernError
from cli.options import Options
from governance.domain.errors import IntegrityError
from local import launcher, organisation
from tests.unit.cli.conftest import CENTRAL, DEV, PROD, REGION, Stubbed

Govern = Callable[..., Result]


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An AWS configuration of one persona, and nothing else of this machine's."""
    file = tmp_path / "config"
    file.write_text(
        "[profile governed-path-governance-engineer]\nregion = eu-west-1\n"
        "aws_access_key_id = key\naws_secret_access_key = secret\n"
        "[profile nowhere]\naws_access_key_id = key\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("GOVERNED_PATH_CENTRAL_ACCOUNT", raising=False)
    return file


@pytest.fixture
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "local"
    monkeypatch.setenv("GOVERNED_PATH_LOCAL_DIR", str(directory))
    return directory


def server(port: int) -> launcher.Server:
    return launcher.Server(
        pid=1,
        pgid=1,
        created=0.0,
        port=port,
        endpoint_url=f"http://127.0.0.1:{port}",
        started_at="2026-01-31T12:00:00Z",
        state_dir="build/local",
        accounts=dict(organisation.ACCOUNTS),
        region=REGION,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("history", "m"),
        ("approve", "m/1", "--stage", "test", "--as", "ai-engineer"),
        ("local", "status"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_without_the_embedded_aws_the_exit_code_is_3(
    govern: Govern, nothing_runs: Path, arguments: tuple[str, ...]
) -> None:
    result = govern(*arguments, "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (3, "not_running")
    assert "make demo" in error["hint"]
    assert "govern local up" in error["hint"]


def test_down_of_nothing_is_no_error(govern: Govern, nothing_runs: Path) -> None:
    result = govern("local", "down")
    assert (result.exit_code, result.output) == (0, "There was nothing to stop\n")
    assert json.loads(govern("local", "down", "--json").output) == {"stopped": False}


def test_status_of_a_running_one_says_where(
    govern: Govern, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "status", lambda: server(4566))
    facts = json.loads(govern("local", "status", "--json").output)
    assert facts["endpoint_url"] == "http://127.0.0.1:4566"
    assert facts["accounts"] == organisation.ACCOUNTS
    text = govern("local", "status").output
    assert f"central {CENTRAL}, dev {DEV}" in text


def test_up_reports_why_it_did_not_start(govern: Govern, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> launcher.Server:
        raise launcher.LauncherError("the embedded AWS ended while starting:\nSeamError: x")

    monkeypatch.setattr(launcher, "up", fails)
    result = govern("local", "up")
    assert result.exit_code == 1
    assert "SeamError: x" in result.output


def test_a_server_that_does_not_answer_is_unreachable(
    govern: Govern, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(launcher, "status", lambda: server(port))
    # The launcher's own sessions retry for seconds.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = govern("status", "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (3, "unreachable")
    assert f"http://127.0.0.1:{port}" in error["message"]


@pytest.mark.parametrize("code", ["NoSuchEntity", "AccessDenied"])
def test_a_persona_without_a_role_means_that_nothing_is_deployed(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def refuses(*_: Any) -> boto3.Session:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "AssumeRole")

    monkeypatch.setattr(organisation, "persona_session", refuses)
    with pytest.raises(GovernError) as refused:
        target.local_target("admin", "http://127.0.0.1:1")
    assert (refused.value.code, refused.value.exit_code) == ("not_deployed", 3)
    assert "governed-path-admin" in refused.value.message
    assert "make demo" in refused.value.hint


def test_the_person_plays_the_persona_at_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def persona_session(*arguments: Any) -> boto3.Session:
        asked.append(arguments)
        return boto3.Session("key", "secret", "token", region_name=REGION)

    monkeypatch.setattr(organisation, "persona_session", persona_session)
    monkeypatch.setattr(launcher, "status", lambda: server(4566))
    opened = target.open_target(Options("ai-engineer", user="alex"))
    assert asked == [("ai-engineer", "http://127.0.0.1:4566", "alex")]
    assert (opened.central_account, opened.local) == (CENTRAL, True)
    sagemaker = opened.session.client("sagemaker")
    assert sagemaker.meta.endpoint_url == "http://127.0.0.1:4566"
    credentials = opened.session.get_credentials()
    assert credentials is not None
    assert credentials.token == "token"


def test_the_reader_is_taken_from_the_persona_and_stays_at_its_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = target.at_endpoint(
        boto3.Session("key", "secret", region_name=REGION), "http://127.0.0.1:4566"
    )
    scripted = Stubbed()
    scripted.stub("sts").add_response(
        "assume_role",
        {
            "Credentials": {
                "AccessKeyId": "A" * 16,
                "SecretAccessKey": "reader",
                "SessionToken": "token",
                "Expiration": datetime(2026, 1, 31, tzinfo=UTC),
            }
        },
        {
            "RoleArn": f"arn:aws:iam::{CENTRAL}:role/governed-path-reader",
            "RoleSessionName": "govern",
            "DurationSeconds": 3600,
        },
    )
    monkeypatch.setattr(session, "client", scripted.client)
    reader = target.reader_session(session, CENTRAL)
    assert reader.client("dynamodb").meta.endpoint_url == "http://127.0.0.1:4566"
    credentials = reader.get_credentials()
    assert credentials is not None
    assert credentials.secret_key == "reader"


def test_a_persona_that_the_reader_does_not_trust_is_told_so(session: Stubbed) -> None:
    session.stub("sts").add_client_error("assume_role", "AccessDenied", "not authorized")
    with pytest.raises(GovernError) as refused:
        target.reader_session(session, CENTRAL)
    assert refused.value.code == "access_denied"
    assert "role/governed-path-reader: AccessDenied" in refused.value.message


def test_an_account_without_an_observer_says_what_to_deploy(reader: Stubbed) -> None:
    reader.stub("sts").add_client_error("assume_role", "AccessDenied", "not authorized")
    with pytest.raises(GovernError) as refused:
        target.observer_session(reader, PROD)
    assert refused.value.code == "access_denied"
    assert f"{PROD}:role/governed-path-observer: AccessDenied" in refused.value.message
    assert "TrustedAccountIds" in refused.value.hint


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--profile", "x"), "--profile is for --target aws"),
        (("--region", "eu-west-1"), "no region 'eu-west-1'; expected us-east-1"),
        (("--target", "aws", "--user", "grace"), "--user is for --target local"),
        (("--target", "aws", "--profile", "absent"), "(absent) could not be found"),
        (("--target", "aws", "--profile", "nowhere"), "profile nowhere has no region"),
        (("--target", "aws", "--as", "admin"), "(governed-path-admin) could not be found"),
        (
            (
                "--target",
                "aws",
                "--as",
                "data-scientist",
                "--profile",
                "nowhere",
                "--region",
                REGION,
            ),
            "does not know the Central account",
        ),
    ],
)
def test_options_that_do_not_fit_the_target_are_usage_errors(
    govern: Govern, profiles: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = govern("status", *arguments)
    assert result.exit_code == 2, result.output
    assert said in result.output


def test_aws_uses_the_personas_profile_and_its_account_as_central(
    profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "account_of", lambda session: "999988887777")
    opened = target.open_target(Options("governance-engineer", target="aws"))
    assert (opened.central_account, opened.local) == ("999988887777", False)
    assert opened.session.profile_name == "governed-path-governance-engineer"
    client = opened.session.client("sagemaker")
    assert client.meta.endpoint_url == "https://api.sagemaker.eu-west-1.amazonaws.com"


def test_a_data_scientist_names_the_central_account(profiles: Path) -> None:
    options = Options(
        "data-scientist", "aws", profile="nowhere", region=REGION, central_account=CENTRAL
    )
    assert target.open_target(options).central_account == CENTRAL


def client_error(code: str, message: str = "because") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (client_error("AccessDeniedException"), "access_denied", 1),
        (client_error("AccessDenied"), "access_denied", 1),
        (client_error("ExpiredToken"), "no_credentials", 1),
        (client_error("ResourceNotFoundException"), "not_found", 1),
        (client_error("ValidationException", "x does not exist"), "not_found", 1),
        (client_error("ThrottlingException"), "aws", 1),
        (aws.EndpointConnectionError(endpoint_url="http://x"), "unreachable", 3),
        (aws.ConnectTimeoutError(endpoint_url="http://x"), "unreachable", 3),
        (aws.ReadTimeoutError(endpoint_url="http://x"), "unreachable", 3),
        (aws.NoCredentialsError(), "no_credentials", 1),
        (aws.UnauthorizedSSOTokenError(), "no_credentials", 1),
        (aws.ProfileNotFound(profile="p"), "usage", 2),
        (aws.NoRegionError(), "usage", 2),
        (aws.ParamValidationError(report="r"), "aws", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_refusal_of_aws_has_a_code_and_an_exit_code(
    error: ClientError | aws.BotoCoreError, code: str, exit_code: int
) -> None:
    explained = explain(error, "do it")
    assert (explained.code, explained.exit_code) == (code, exit_code)
    assert explained.message.startswith("could not do it: ")


def test_calling_adds_what_and_hint() -> None:
    with pytest.raises(GovernError) as refused, calling("look at x", "look elsewhere"):
        raise client_error("AccessDenied")
    assert refused.value.message == "could not look at x: AccessDenied: because"
    assert refused.value.hint == "look elsewhere"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (client_error("AccessDenied"), "access_denied"),
        (IntegrityError("the object was replaced"), "IntegrityError"),
    ],
)
def test_what_no_command_translates_still_ends_in_one_form(
    govern: Govern, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def raises(options: Options) -> target.Target:
        raise error

    monkeypatch.setattr(target, "open_target", raises)
    result = govern("status", "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["error"]["code"] == code


def test_a_fault_of_ours_is_not_dressed_up(govern: Govern, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(options: Options) -> target.Target:
        raise ZeroDivisionError

    monkeypatch.setattr(target, "open_target", raises)
    assert isinstance(govern("status").exception, ZeroDivisionError)
