"""Other accounts are reached by one role each, and AWS's refusals become our words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from governance.adapters import errors, sessions
from governance.domain.errors import (
    AccessError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    TransientError,
)
from governance.settings import Settings

from .conftest import CENTRAL, DEV

CLAIM = "0123456789abcdef" * 4


def test_the_session_is_the_hub_role_and_names_the_claim(lambdas: Callable[..., Any]) -> None:
    session = sessions.Sessions(Settings.load(), CLAIM).hub(DEV)
    arn = sessions.client(session, "sts").get_caller_identity()["Arn"]
    assert arn == f"arn:aws:sts::{DEV}:assumed-role/governed-path-hub/gp-{CLAIM[:32]}"


def test_a_role_is_assumed_once_per_invocation(lambdas: Callable[..., Any]) -> None:
    invocation = sessions.Sessions(Settings.load(), CLAIM)
    assert invocation.hub(DEV) is invocation.hub(DEV)
    assert invocation.hub(DEV) is not sessions.Sessions(Settings.load(), CLAIM).hub(DEV)
    assert invocation.registry() is not invocation.hub(DEV)


def test_without_the_external_id_the_role_is_not_to_be_had(lambdas: Callable[..., Any]) -> None:
    wrong = dataclasses.replace(Settings.load(), hub_external_id="somebody-elses")
    with pytest.raises(AccessError, match=r"role/governed-path-hub.*ExternalId"):
        sessions.Sessions(wrong, CLAIM).hub(DEV)


def test_missing_variables_are_all_named() -> None:
    present = {field.name.upper(): "x" for field in dataclasses.fields(Settings)}
    assert Settings.load(present).ledger_table == "x"
    del present["LEDGER_TABLE"]
    present["KMS_KEY_ARN"] = ""
    with pytest.raises(RuntimeError, match="KMS_KEY_ARN, LEDGER_TABLE;"):
        Settings.load(present)


def _refusal(code: str, status: int = 400, message: str = "because") -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "Operation",
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_refusal("ThrottlingException"), TransientError),
        (_refusal("SlowDown", 503), TransientError),
        (_refusal("ConflictException"), TransientError),
        (_refusal("NeverHeardOfIt", 502), TransientError),
        (
            _refusal("ValidationException", message="Cannot update in-progress endpoint"),
            TransientError,
        ),
        (_refusal("AccessDeniedException"), AccessError),
        (_refusal("403", 403), AccessError),
        (_refusal("NoSuchVersion", 404), NotFoundError),
        (_refusal("404", 404), NotFoundError),
        (_refusal("ValidationException", message='Could not find endpoint "x".'), NotFoundError),
        (_refusal("ValidationError", message="Endpoint x of account y not found."), NotFoundError),
        (_refusal("ValidationException", message="1 validation error"), InvalidInputError),
        (_refusal("NeverHeardOfIt"), InvalidInputError),
        (_refusal("BadDigest"), IntegrityError),
        (_refusal("PreconditionFailed", 412), IntegrityError),
        (EndpointConnectionError(endpoint_url="http://x"), TransientError),
        (NoCredentialsError(), AccessError),
    ],
    ids=str,
)
def test_each_refusal_has_its_error(error: Any, expected: type[Exception]) -> None:
    found = errors.translate(error, "describe model package arn:x/1")
    assert type(found) is expected
    assert "could not describe model package arn:x/1: " in str(found)


def test_the_cause_stays_visible() -> None:
    cause = _refusal("AccessDenied", 403)
    with (
        pytest.raises(AccessError, match=r"read s3://b/k.*ask Dev") as raised,
        errors.translated("read s3://b/k", "ask Dev"),
    ):
        raise cause
    assert raised.value.__cause__ is cause


def test_unclaimed_work_has_a_session_name_too(lambdas: Callable[..., Any]) -> None:
    session = sessions.Sessions(Settings.load(), "").hub(CENTRAL)
    assert sessions.client(session, "sts").get_caller_identity()["Arn"].endswith("/gp-unclaimed")
