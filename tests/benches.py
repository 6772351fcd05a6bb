"""The suites on a model, as the state machine runs them: live ones first, then the holdout's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from governance.adapters import holdout
from governance.adapters.bench import Bench
from governance.domain import suite_plans, suites

CANDIDATE = "c" * 64


class Stored:
    """The candidate's objects, by key; what is stored is kept beside them."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = objects

    def read(self, location: Mapping[str, Any], limit: int = 0) -> bytes:
        return self.objects[location["key"]]

    def read_json(self, location: Mapping[str, Any], limit: int = 0) -> Any:
        return json.loads(self.read(location))

    def store(self, bucket: str, key: str, body: bytes, kms_key: str) -> dict[str, Any]:
        self.objects[key] = body
        sha256 = hashlib.sha256(body).hexdigest()
        return {"bucket": bucket, "key": key, "version_id": "v1", "sha256": sha256}


def parameters(suite: str, **changed: Any) -> dict[str, Any]:
    """A suite's own parameters, with fewer resamples than in earnest."""
    fewer = {"resamples": 199} if "resamples" in suite_plans.PARAMETERS[suite] else {}
    return {**suite_plans.PARAMETERS[suite], **fewer, **changed}


def score(bench: Bench, size: int = 100) -> list[dict[str, Any]]:
    """Every shard of the holdout, scored and stored."""
    shards: list[dict[str, Any]] = []
    for rows in suite_plans.shards(len(holdout.rows_of(bench.artifacts, bench.objects)), size):
        document = holdout.score(bench, CANDIDATE, rows["from"], rows["to"])
        if isinstance(document, str):
            shards.append({**rows, "problems": document})
        else:
            shards.append(holdout.store(bench.artifacts, "b", "key", "risk", document))
    return shards


def champion(shards: list[dict[str, Any]]) -> dict[str, Any]:
    """Who said that of the holdout."""
    return {"model_package_arn": "arn:champion", "candidate_id": "d" * 64, "shards": shards}


def run(bench: Bench, suite: str, **changed: Any) -> dict[str, Any]:
    """The result of one suite; who is compared is its own champion."""
    if suite in suites.LIVE:
        return bench.run(suite, parameters(suite, **changed))
    shards = score(bench)
    judge = holdout.Judge(bench, shards, champion(shards))
    return judge.run(suite, parameters(suite, **changed))


def run_all(
    bench: Bench, against: Mapping[str, Any], **changed: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """{suite: result} of all that are built in; `changed` are parameters by suite."""
    found = {
        suite: bench.run(suite, parameters(suite, **changed.get(suite, {})))
        for suite in suites.LIVE
    }
    judge = holdout.Judge(bench, score(bench), against)
    for suite in suites.ON_HOLDOUT:
        found[suite] = judge.run(suite, parameters(suite))
    return found


def failed(result: Mapping[str, Any]) -> list[str]:
    """The checks that did not pass, by name."""
    return [check["name"] for check in result["checks"] if not check["passed"]]
