"""Suites of the teams' own: Lambda functions called governed-path-suite-..."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

from governance import contracts
from governance.adapters import errors, sessions
from governance.domain import suites
from governance.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# Asked once: the state machine repeats what the service could not do, and nothing a suite did.
_SECONDS = 840
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=5,
    read_timeout=_SECONDS,
)
_LONGEST = 300  # characters of what a suite says in its error


class OwnSuites:
    """The functions that teams test their models with, called with the function's own role."""

    def __init__(self) -> None:
        self._lambda: LambdaClient = sessions.own_client_with("lambda", _CONFIG)

    def run(self, function: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The result of the suite, as `Bench.run` returns it.

        InvalidInputError if the function throws, ends without an answer or answers nonsense: a
        suite that did not run has not passed. NotFoundError or AccessError if it cannot be called.
        """
        suite, started = str(request["suite"]), time.perf_counter()
        what = f"call suite {suite}"
        with errors.translated(
            what, f"function {function} must be there, and be called governed-path-suite-..."
        ):
            try:
                answer = self._lambda.invoke(
                    FunctionName=function,
                    InvocationType="RequestResponse",
                    Payload=json.dumps(dict(request)).encode(),
                )
                body = answer["Payload"].read()
            except ReadTimeoutError as error:
                # Asked again, it would run twice and be as late.
                raise InvalidInputError(
                    f"suite {suite} did not run: function {function} did not answer within "
                    f"{_SECONDS} s; make it faster, or several suites of it"
                ) from error
        if answer.get("FunctionError"):
            raise InvalidInputError(
                f"suite {suite} did not run: function {function} failed with "
                f"{body.decode('utf-8', 'replace')[:_LONGEST]}; look at its log"
            )
        found = contracts.suite_answer(suite, body)
        return suites.own_result(suite, found, time.perf_counter() - started)


def request_for(
    item: Mapping[str, Any],
    deployment: Mapping[str, Any],
    candidate: Mapping[str, Any],
    promotion: Mapping[str, Any],
    thresholds: Mapping[str, float],
) -> dict[str, Any]:
    """What a team's suite is asked: which endpoint to try, with what, held against what."""
    return {
        "schema": "governed-path/suite-request/v1",
        "suite": item["suite"],
        "parameters": item["parameters"],
        "model": promotion["model"],
        "model_package_arn": promotion["model_package_arn"],
        "candidate_id": candidate["candidate_id"],
        "objects": candidate["objects"],
        "endpoint": {
            key: deployment[key] for key in ("endpoint_name", "endpoint_arn", "account", "region")
        },
        "thresholds": dict(thresholds),
    }
