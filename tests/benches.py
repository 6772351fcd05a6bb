"""The suites on a model, as the state machine runs them: live ones first, then the holdout's."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from governance.adapters import holdout, statistics
from governance.adapters.bench import Bench
from governance.adapters.runtime import Answer, Runtime
from governance.domain import suite_plans, suites

CANDIDATE = "c" * 64
Instance = Mapping[str, float]
FEATURES = ("age", "bmi")


def risk(instance: Instance) -> float:
    """A model of the holdout below."""
    return min(max(0.5 + 4 * instance["bmi"], 0.0), 1.0)


class Served(Runtime):
    """A model behind the container's contract, without the network between."""

    def __init__(self, model: Callable[[Instance], float] = risk, milliseconds: float = 5) -> None:
        self._model = model
        self._milliseconds = milliseconds

    def invoke(self, body: bytes, content_type: str = "application/json") -> Answer:
        status, answer = self._answer(body, content_type)
        return Answer(status, answer, "application/json", self._milliseconds)

    def _answer(self, body: bytes, content_type: str) -> tuple[int, bytes]:
        if content_type != "application/json":
            return 415, b"unsupported content type"
        try:
            instances = json.loads(body)["instances"]
            if not instances or not isinstance(instances, list) or len(instances) > 1000:
                raise ValueError("no instances, or too many")
            checked = [{name: float(one[name]) for name in FEATURES} for one in instances]
            if not all(math.isfinite(value) for one in checked for value in one.values()):
                raise ValueError("not a number")
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            return self.refuse(error)
        scored = [self._model(one) for one in checked]
        predictions = [{"probability": p, "high_risk": p >= 0.5} for p in scored]
        return 200, json.dumps({"predictions": predictions}).encode()

    def refuse(self, error: Exception) -> tuple[int, bytes]:
        return 400, str(error).encode()


def rows() -> list[dict[str, Any]]:
    """250 rows in which a higher bmi is a higher risk, with some noise: the label of every
    seventh row is turned round."""
    found = []
    for number in range(250):
        bmi = (number % 50 - 25) / 250
        likely = risk({"bmi": bmi}) > 0.5
        found.append(
            {
                "age": number / 1000,
                "bmi": bmi,
                "sex": "f" if number % 2 else "m",
                "age_band": "60+",
                "high_risk": int(likely != (number % 7 == 0)),
            }
        )
    return found


def as_csv(found: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(found[0]))
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue().encode()


def measured(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What an evaluation report says of that model on these rows."""
    labels, known = [row["high_risk"] for row in rows], [risk(row) for row in rows]
    return {
        "metrics": statistics.metrics(labels, known),
        "subgroups": [
            {
                "attribute": "sex",
                "value": value,
                "rows": 125,
                **statistics.metrics(
                    *zip(
                        *(
                            (label, one)
                            for row, label, one in zip(rows, labels, known, strict=True)
                            if row["sex"] == value
                        ),
                        strict=True,
                    )
                ),
            }
            for value in ("f", "m")
        ],
        "golden": [
            {"instance": {name: row[name] for name in FEATURES}, "probability": risk(row)}
            for row in rows[:5]
        ],
    }


class Stored:
    """The candidate's objects, by key; what is stored is kept beside them."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = objects

    def read(self, location: Mapping[str, Any], limit: int = 0) -> bytes:
        return self.objects[location["key"]]

    def open(self, location: Mapping[str, Any], limit: int = 0) -> io.BytesIO:
        return io.BytesIO(self.read(location))

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
    for rows in suite_plans.shards(holdout.count(bench.artifacts, bench.objects), size):
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
