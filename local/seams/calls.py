"""Signed calls to the gateway by a role, as AWS's own services make them on one's behalf."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from functools import cache, lru_cache
from threading import Lock
from typing import Any, NamedTuple, cast

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from ministack.services import iam, sts

from local import service_models
from local.seams import concurrency
from local.seams.assertions import (
    require,
    require_attributes,
    require_parameters,
    require_source,
)

# Long, because a function may run for as long; the state machine's own timeout is the shorter.
_CONFIG = Config(
    retries={"total_max_attempts": 1}, read_timeout=900, s3={"addressing_style": "path"}
)
_EVICT_EVERY = 60.0  # seconds
_CLIENTS = 512  # by who calls which service: some executions' worth of roles and services
_MAKING = Lock()


class Caller(NamedTuple):
    """Who signs: the keys of a role's session, or of an account's root."""

    access_key: str
    secret_key: str
    session_token: str | None = None


class DeniedError(Exception):
    """The role does not exist, or does not trust the service."""


Register = Callable[[str, dict[str, Any]], None]
Evict = Callable[[], None]


def install() -> None:
    """Share what clients load; note sessions one after the other, without looking through all.

    SeamError if the emulator knows roles and sessions differently.
    """
    require_attributes("calls", iam, "_roles")
    require_attributes("calls", sts, "_sessions")
    require(hasattr(iam._roles, "get_scoped"), "calls", "roles that can be had by account")
    require_parameters("calls", sts.register_session, "access_key", "session")
    require_attributes("calls", botocore.session, "create_loader")
    require_source("calls", sts.handle_request, "register_session(access_key")
    service_models.share()
    require_source("calls", sts.register_session, "_evict_expired_sessions()")
    sts._evict_expired_sessions = now_and_then(sts._evict_expired_sessions)
    sts.register_session = one_at_a_time(sts.register_session)


def now_and_then(evict: Evict, clock: Callable[[], float] = time.monotonic) -> Evict:
    """Once a minute at most, since it goes through all sessions: their number grows with the work.

    A session outlives its time by that much, and the shortest that AWS gives are 15 minutes.
    """
    next_time = clock() + _EVICT_EVERY

    def seldom() -> None:
        nonlocal next_time
        if clock() >= next_time:
            evict()
            next_time = clock() + _EVICT_EVERY

    return seldom


def one_at_a_time(register: Register) -> Register:
    """For many threads: the emulator goes through all sessions for each one that it adds."""
    lock = Lock()

    def locked(access_key: str, session: dict[str, Any]) -> None:
        with lock:
            register(access_key, session)

    return locked


def as_role(arn: str, service: str, session_name: str) -> Caller:
    """The role as an AWS service assumes it (`states.amazonaws.com`); DeniedError if it may not.

    The keys are the same for the same role and name.
    """
    account, name = arn.split(":")[4], arn.rpartition("/")[2]
    role = iam._roles.get_scoped(account, None, name)
    if role is None or not _trusts(role, service, arn):
        raise DeniedError(f"{service} is not authorized to assume the role {arn}")
    session_name = session_name[:64]
    digest = hashlib.sha256(f"{arn}:{service}:{session_name}".encode()).hexdigest()
    key, secret, token = f"ASIA{digest[:16].upper()}", digest, digest[::-1]
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session_name}",
            "UserId": f"{role.get('RoleId', name)}:{session_name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return Caller(key, secret, token)


def as_root(account: str) -> Caller:
    """The account's root, which the emulator grants everything."""
    return Caller(account, "local")


@cache
def _session() -> boto3.Session:
    """What all clients share; a session takes as long to make as the rest of a client."""
    return boto3.Session()


@lru_cache(maxsize=_CLIENTS)
def client(caller: Caller, service: str) -> Any:
    """A client of the gateway in this process; not to be used on its event loop's thread.

    Clients are kept, and may be used by several threads: making one takes longer than most calls.
    """
    # Making clients from one session is not safe among threads.
    with _MAKING:
        # boto3's overloads want the service as a literal; the callers know which one they ask for.
        made = cast(Any, _session()).client(
            service,
            aws_access_key_id=caller.access_key,
            aws_secret_access_key=caller.secret_key,
            aws_session_token=caller.session_token,
            region_name=os.environ["MINISTACK_REGION"],
            endpoint_url=f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
            config=_CONFIG,
        )
    made.meta.events.register("before-send", _one_call)
    return made


def _one_call(request: AWSPreparedRequest, **_: Any) -> None:
    """No connection outlives its call: a busy gateway closes an idle one as it is used again."""
    request.headers["Connection"] = "close"
    for name, value in concurrency.headers().items():
        request.headers[name] = value


def _trusts(role: dict[str, Any], service: str, arn: str) -> bool:
    """Whether the role's trust policy names the service itself."""
    policy = role.get("AssumeRolePolicyDocument") or "{}"
    policy = json.loads(policy) if isinstance(policy, str) else policy
    statements = policy.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        services = (statement.get("Principal") or {}).get("Service", [])
        services = [services] if isinstance(services, str) else services
        if statement.get("Effect") == "Allow" and service in services:
            return True
    return False
