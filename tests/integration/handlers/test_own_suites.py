"""A team's own suite counts only if it ran and said so in the agreed form."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from governance.adapters.own_suites import OwnSuites, request_for
from governance.domain.errors import AccessError, InvalidInputError, NotFoundError, TransientError
from tests.contracts import samples

FUNCTION = "governed-path-suite-drift"
ITEM = {"suite": "drift", "parameters": {"days": 3}, "entry_point": FUNCTION}
DEPLOYMENT = {
    "endpoint_name": "risk-test",
    "endpoint_arn": "arn:endpoint",
    "account": samples.TEST,
    "region": samples.REGION,
    "execution_role_arn": "not for them",
}
REQUEST = request_for(
    ITEM, DEPLOYMENT, samples.candidate(), samples.promotion("Test"), {"auc_min": 0.7}
)
CHECK = {"name": "no drift", "passed": True, "observed": 0.1, "expected": "at most 0.2"}
GOOD = {"status": "passed", "checks": [CHECK], "metrics": {"psi": 0.1}}


@pytest.fixture
def own(lambdas: Callable[..., Any]) -> Iterator[tuple[OwnSuites, Stubber]]:
    suites = OwnSuites()
    with Stubber(suites._lambda) as stub:
        yield suites, stub


def _answer(stub: Stubber, body: bytes, **more: Any) -> None:
    stub.add_response(
        "invoke",
        {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body)), **more},
        {
            "FunctionName": FUNCTION,
            "InvocationType": "RequestResponse",
            "Payload": json.dumps(REQUEST).encode(),
        },
    )


def test_its_answer_is_a_result_under_its_own_name(own: tuple[OwnSuites, Stubber]) -> None:
    suites, stub = own
    _answer(stub, json.dumps(GOOD).encode())
    found = suites.run(FUNCTION, REQUEST)
    assert (found["suite"], found["status"], found["checks"]) == ("drift", "passed", [CHECK])
    assert found["metrics"] == {"drift.psi": 0.1}


def test_it_is_asked_for_nothing_that_is_not_its_own() -> None:
    assert REQUEST["endpoint"].keys() == {"endpoint_name", "endpoint_arn", "account", "region"}
    assert REQUEST["parameters"] == {"days": 3}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"null", "no result of a suite"),
        (b"passed", "did not answer JSON"),
        (b'{"status": "passed"}', "'checks' is a required property"),
        (json.dumps({**GOOD, "checks": []}).encode(), "checks"),
        (json.dumps({**GOOD, "status": "ok"}).encode(), "status"),
        (json.dumps({**GOOD, "status": "failed"}).encode(), "says that it failed.*it passed"),
        (json.dumps({**GOOD, "more": 1}).encode(), "more"),
        (json.dumps({**GOOD, "metrics": {"AUC": 1}}).encode(), "AUC"),
        (json.dumps({**GOOD, "metrics": {f"m{n}": 1 for n in range(11)}}).encode(), "at most 10"),
        (json.dumps({**GOOD, "metrics": {"psi": float("nan")}}).encode(), "NaN"),
        (json.dumps({**GOOD, "checks": [{**CHECK, "passed": "yes"}]}).encode(), "passed"),
    ],
)
def test_nonsense_is_no_result(own: tuple[OwnSuites, Stubber], body: bytes, says: str) -> None:
    suites, stub = own
    _answer(stub, body)
    with pytest.raises(InvalidInputError, match=f"suite drift.*{says}"):
        suites.run(FUNCTION, REQUEST)


def test_a_suite_that_throws_has_not_run(own: tuple[OwnSuites, Stubber]) -> None:
    suites, stub = own
    thrown = json.dumps({"errorType": "KeyError", "errorMessage": "holdout"}).encode()
    _answer(stub, thrown, FunctionError="Unhandled")
    with pytest.raises(InvalidInputError, match=r"did not run.*KeyError.*log"):
        suites.run(FUNCTION, REQUEST)


def test_a_suite_that_does_not_answer_is_not_asked_again(
    own: tuple[OwnSuites, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    suites, _ = own

    def late(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="https://lambda")

    monkeypatch.setattr(suites._lambda, "invoke", late)
    with pytest.raises(InvalidInputError, match="did not answer within 840 s"):
        suites.run(FUNCTION, REQUEST)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ResourceNotFoundException", 404, NotFoundError),
        ("AccessDeniedException", 403, AccessError),
        ("TooManyRequestsException", 429, TransientError),
    ],
)
def test_what_keeps_it_from_being_called_is_an_error(
    own: tuple[OwnSuites, Stubber], code: str, status: int, expected: type[Exception]
) -> None:
    suites, stub = own
    stub.add_client_error("invoke", code, "no", status)
    with pytest.raises(expected, match="drift"):
        suites.run(FUNCTION, REQUEST)
