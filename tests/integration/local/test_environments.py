"""Execution environments: one is ready before the first call, and equal code is on disk once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.local.support import CENTRAL, LAMBDA, Aws, eventually

CODE = """
import os

def handler(event, context):
    return {"initialised_by": os.getpid(), "code": os.path.realpath(os.path.dirname(__file__))}

with open({marks!r} + "/" + os.environ["AWS_LAMBDA_FUNCTION_NAME"], "w") as file:
    file.write(str(os.getpid()))
"""


def function(name: str, role: str, code: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": name,
            "Runtime": "python3.11",
            "Handler": "index.handler",
            "Role": role,
            "Code": {"ZipFile": code},
        },
    }


@pytest.fixture(scope="module")
def marks(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a function of the stack `early` leaves its process id when it is initialised."""
    directory = tmp_path_factory.mktemp("initialised")
    code = CODE.replace("{marks!r}", repr(str(directory)))
    role = aws.role(CENTRAL, "early-function", trusts=LAMBDA)
    resources = {
        "One": function("early-one", role, code),
        "Two": function("early-two", role, code),
        "Other": function("early-other", role, code + "# other bytes\n"),
        "Broken": function("early-broken", role, "raise RuntimeError('not today')"),
    }
    aws.client("cloudformation").create_stack(
        StackName="early", TemplateBody=json.dumps({"Resources": resources})
    )
    return directory


@pytest.mark.parametrize("name", ["early-one", "early-two", "early-other"])
def test_a_function_is_initialised_before_it_is_invoked(aws: Aws, marks: Path, name: str) -> None:
    eventually(lambda: (marks / name).is_file() and (marks / name).read_text())
    process = int((marks / name).read_text())
    # Until it is handed back, another environment would answer.
    eventually(lambda: invoke(aws, name)["initialised_by"] == process)


@pytest.mark.usefixtures("marks")
def test_equal_code_is_unpacked_once(aws: Aws) -> None:
    one, two, other = (invoke(aws, f"early-{name}")["code"] for name in ("one", "two", "other"))
    assert one == two != other


@pytest.mark.usefixtures("marks")
def test_a_function_that_cannot_be_initialised_says_so_when_invoked(aws: Aws) -> None:
    assert "not today" in invoke(aws, "early-broken")["errorMessage"]


def invoke(aws: Aws, name: str) -> dict[str, Any]:
    """What the function answers, once it exists."""

    def call() -> Any:
        try:
            return json.load(aws.client("lambda").invoke(FunctionName=name)["Payload"])
        except aws.client("lambda").exceptions.ResourceNotFoundException:
            return None

    answer: dict[str, Any] = eventually(call)
    return answer
