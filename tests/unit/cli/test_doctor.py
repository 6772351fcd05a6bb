"""govern doctor: asks the hub's function, adds what the own session shows, says what is missing."""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from botocore.stub import ANY
from click.testing import Result

from cli.main import cli
from governance.domain import preflight
from governance.domain.preflight import FAILED, PASSED, Outcome
from tests.unit.test_preflight import EVERY, PLACE, PROJECT

from .conftest import CENTRAL, MODEL, Stubbed

Govern = Callable[..., Result]
CHECKS = preflight.checks(PROJECT, MODEL, PLACE, EVERY)


def _answer(
    session: Stubbed, said: Any = None, error: str = "", failed: tuple[str, ...] = ()
) -> None:
    """What our own calls and the hub's function answer."""
    arn = f"arn:aws:sts::{CENTRAL}:assumed-role/governed-path-admin/adam"
    identity = {"Account": CENTRAL, "Arn": arn, "UserId": "A:adam"}
    session.stub("sts").add_response("get_caller_identity", identity, {})
    session.stub("sagemaker").add_response(
        "list_model_package_groups", {"ModelPackageGroupSummaryList": []}, {"MaxResults": 1}
    )
    checks = [
        Outcome(check, FAILED if check.name in failed else PASSED, "AccessDenied: no").to_dict()
        for check in CHECKS
    ]
    body = json.dumps({"checks": checks} if said is None else said).encode()
    answer = {"StatusCode": 200, "Payload": io.BytesIO(body)}
    session.stub("lambda").add_response(
        "invoke",
        answer | ({"FunctionError": error} if error else {}),
        {"FunctionName": "governed-path-check-access", "Payload": ANY},
    )


@pytest.mark.usefixtures("where")
def test_everything_works(govern: Govern, session: Stubbed) -> None:
    _answer(session)
    result = govern("doctor", "--model", MODEL)
    assert result.exit_code == 0, result.output
    assert "Everything that promotions call works" in result.output
    assert "As arn:aws:sts" in result.output


@pytest.mark.usefixtures("where")
def test_what_is_missing_is_said_with_statement_stack_and_parameter(
    govern: Govern, session: Stubbed
) -> None:
    _answer(session, failed=("test-role",))
    result = govern("doctor", "--model", MODEL)
    assert result.exit_code == 1
    for text in (
        "test-role: the hub can do nothing in Test",
        '"sts:ExternalId": "governed-path"',
        "next      deploy stacks/member.yaml in account 777788889999 with Stage=Test",
        "HubExternalId=governed-path",
        "1 not in order",
    ):
        assert text in result.output


@pytest.mark.parametrize("project", [PROJECT, None], ids=["provisioned", "not provisioned"])
def test_every_command_that_it_names_is_one(project: dict[str, Any] | None) -> None:
    """The command line itself takes each, once an admin has said what nobody knows."""
    admins = {"NAME": "cardiology", "TIER": "high", "ID": CENTRAL}
    checks = preflight.checks(project, MODEL, PLACE, EVERY)
    said = [f"{check.means} {preflight.remedy(check)} {check.parameter}" for check in checks]
    named = {one for text in said for one in re.findall(r"`(govern [^`]*)`", text)}
    assert named
    for one in named:
        program, command, *arguments = shlex.split(one)
        assert program == "govern"
        words = [admins.get(word, word) for word in arguments]
        context = cli.commands[command].make_context(command, words)
        assert context.params["model"] == MODEL


@pytest.mark.usefixtures("where")
def test_what_a_command_adds_is_said_with_the_command(govern: Govern, session: Stubbed) -> None:
    _answer(session, failed=("prod-versions",))
    result = govern("doctor", "--model", MODEL)
    said = " ".join(result.output.split())
    assert f"next run `govern provision {MODEL} --project cardiology --tier high" in said
    assert "the model package group's own policy in account 123456789012" not in said


@pytest.mark.usefixtures("where")
def test_json_has_every_check(govern: Govern, session: Stubbed) -> None:
    _answer(session, failed=("dev-copies",))
    result = govern("doctor", "--model", MODEL, "--json")
    report = json.loads(result.output)
    assert (result.exit_code, report["passed"]) == (1, False)
    (project,) = report["projects"]
    assert [check["name"] for check in project["checks"]] == [check.name for check in CHECKS]
    assert {check["name"] for check in report["checks"]} == {"own-registry", "own-reader"}


@pytest.mark.usefixtures("where")
def test_a_function_that_could_not_look_is_no_finding(govern: Govern, session: Stubbed) -> None:
    said = {"errorType": "TransientError", "errorMessage": "throttled"}
    _answer(session, said, error="Unhandled")
    result = govern("doctor", "--model", MODEL, "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "doctor_failed")
    assert "TransientError: throttled" in error["message"]


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize(
    ("code", "ends", "named"),
    [
        ("ResourceNotFoundException", 3, "not_deployed"),
        ("AccessDeniedException", 1, "access_denied"),
    ],
)
def test_without_the_function_it_says_so(
    govern: Govern, session: Stubbed, code: str, ends: int, named: str
) -> None:
    arn = f"arn:aws:sts::{CENTRAL}:assumed-role/governed-path-admin/adam"
    identity = {"Account": CENTRAL, "Arn": arn, "UserId": "A:adam"}
    session.stub("sts").add_response("get_caller_identity", identity, {})
    session.stub("sagemaker").add_client_error("list_model_package_groups", "AccessDenied", "no")
    session.stub("lambda").add_client_error("invoke", code, "no")
    result = govern("doctor", "--model", MODEL, "--json")
    assert result.exit_code == ends
    assert json.loads(result.output)["error"]["code"] == named


@pytest.mark.usefixtures("where")
def test_nothing_provisioned_is_no_success(
    govern: Govern, session: Stubbed, reader: Stubbed
) -> None:
    arn = f"arn:aws:sts::{CENTRAL}:assumed-role/governed-path-admin/adam"
    identity = {"Account": CENTRAL, "Arn": arn, "UserId": "A:adam"}
    session.stub("sts").add_response("get_caller_identity", identity, {})
    session.stub("sagemaker").add_response(
        "list_model_package_groups", {"ModelPackageGroupSummaryList": []}
    )
    reader.stub("dynamodb").add_response("scan", {"Items": []})
    result = govern("doctor", "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "not_found")
    assert "govern provision" in error["hint"]
