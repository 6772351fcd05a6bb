"""`govern doctor`: the hub's pre-flight from outside, and what only our own session can show."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cli import projects
from cli.aws import calling
from cli.errors import NOT_RUNNING, GovernError
from governance.adapters import errors
from governance.domain.preflight import CENTRAL_STACK, FAILED, PASSED

if TYPE_CHECKING:
    from cli.target import Target

FUNCTION = "governed-path-check-access"


def examine(where: Target, model: str | None, project: str | None) -> dict[str, Any]:
    """{passed, seconds, identity, projects: [{model, project, checks: [...]}]}

    GovernError `not_deployed` (exit 3) if the hub's function is not there, `not_found` if nothing
    is provisioned that was asked for.
    """
    began = time.monotonic()
    identity, own = _own_checks(where)
    found: list[dict[str, Any]] = [
        {"model": name, "project": entry.get("project"), "checks": _ask(where, name)}
        for name, entry in _asked_for(where, model, project)
    ]
    every = [*own, *(check for one in found for check in one["checks"])]
    return {
        "passed": all(check["status"] == PASSED for check in every),
        "seconds": round(time.monotonic() - began, 1),
        "identity": identity,
        "checks": own,
        "projects": found,
    }


def _asked_for(
    where: Target, model: str | None, project: str | None
) -> list[tuple[str, Mapping[str, Any]]]:
    if model and not project:
        # The hub says it if the directory has no such model: that is one of the checks.
        return [(model, {})]
    entries = {str(entry["model"]): entry for entry in projects.all_projects(where.reader)}
    found: list[tuple[str, Mapping[str, Any]]] = [
        (name, entry)
        for name, entry in entries.items()
        if model in (None, name) and project in (None, entry.get("project"))
    ]
    if not found:
        raise GovernError(
            "not_found",
            f"the project directory has no model of project {project!r}"
            if project
            else "the project directory has no model yet",
            "`govern provision` adds one; `govern doctor --model NAME` looks at one that is not",
        )
    return found


def _ask(where: Target, model: str) -> list[dict[str, Any]]:
    client = where.session.client("lambda")
    try:
        answer = client.invoke(FunctionName=FUNCTION, Payload=json.dumps({"model": model}).encode())
    except ClientError as error:
        if not errors.is_absent(error):
            with calling(f"invoke {FUNCTION}", "only an admin's role may: --as admin"):
                raise
        raise GovernError(
            "not_deployed",
            f"account {where.own_account} has no function {FUNCTION}",
            "deploy the Central stack first (docs/deploy.md); locally `make demo`",
            NOT_RUNNING,
        ) from error
    said = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise GovernError(
            "doctor_failed",
            f"{FUNCTION} ended with {said.get('errorType')}: {said.get('errorMessage')}",
            "it could not look, which says nothing of the accounts; its log group says more",
        )
    checks: list[dict[str, Any]] = said["checks"]
    return checks


def _own_checks(where: Target) -> tuple[str, list[dict[str, Any]]]:
    """Who we are, and whether our own role sees what a person must see."""
    with calling("ask AWS who we are"):
        identity = where.session.client("sts").get_caller_identity()["Arn"]
    group = f"role governed-path-{where.persona}"
    registry = _tried(
        "own-registry",
        where.own_account,
        "sagemaker:ListModelPackageGroups",
        f"{group} cannot see the registry, so nobody who has it can decide",
        lambda: where.session.client("sagemaker").list_model_package_groups(MaxResults=1),
    )
    reading = _tried(
        "own-reader",
        where.central_account,
        "sts:AssumeRole",
        f"{group} cannot take governed-path-reader, so it sees no status and no history",
        lambda: where.reader,
    )
    return identity, [registry, reading]


def _tried(
    name: str, account: str, call: str, means: str, attempt: Callable[[], Any]
) -> dict[str, Any]:
    check = {
        "name": name,
        "account": account,
        "call": call,
        "means": means,
        "statement": {"Effect": "Allow", "Action": call, "Resource": "*"},
        "stack": CENTRAL_STACK,
        "parameter": "",
        "command": "",
        "status": PASSED,
        "detail": "",
        "remedy": f"deploy {CENTRAL_STACK} in account {account}",
    }
    try:
        attempt()
    except (ClientError, BotoCoreError, GovernError) as error:
        return check | {"status": FAILED, "detail": str(error)}
    return check
