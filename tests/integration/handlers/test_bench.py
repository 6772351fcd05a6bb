"""The suites: a good model passes, and each way of being bad fails the suite it should."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from botocore.stub import Stubber

from governance.adapters import statistics
from governance.adapters.bench import Bench, sample_check
from governance.adapters.runtime import Answer, Runtime
from governance.domain import suites
from governance.domain.errors import (
    InvalidInputError,
    NotFoundError,
    TransientError,
)
from tests.benches import Stored, failed, run

Instance = Mapping[str, float]
THRESHOLDS = {
    "auc_min": 0.7,
    "brier_max": 0.25,
    "calibration_error_max": 0.2,
    "latency_p95_ms_max": 200,
}
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


class Crashing(Served):
    def refuse(self, error: Exception) -> tuple[int, bytes]:
        return 500, b"Traceback"


def _rows() -> list[dict[str, Any]]:
    """250 rows in which a higher bmi is a higher risk, with some noise: the label of every
    seventh row is turned round."""
    rows = []
    for number in range(250):
        bmi = (number % 50 - 25) / 250
        likely = risk({"bmi": bmi}) > 0.5
        rows.append(
            {
                "age": number / 1000,
                "bmi": bmi,
                "sex": "f" if number % 2 else "m",
                "age_band": "60+",
                "high_risk": int(likely != (number % 7 == 0)),
            }
        )
    return rows


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@pytest.fixture
def bench() -> Callable[..., Bench]:
    rows = _rows()
    labels, known = [row["high_risk"] for row in rows], [risk(row) for row in rows]
    report = {
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
    objects = {
        "holdout": _csv(rows),
        "evaluation": json.dumps(report).encode(),
        "sample-payload": b'{"instances": [{"age": 0.1, "bmi": 0.02}, {"age": 0.1, "bmi": 0}]}',
    }

    def with_(runtime: Runtime, **changed: bytes) -> Bench:
        stored = {**objects, **{name.replace("_", "-"): body for name, body in changed.items()}}
        locations = [
            {"role": role, "bucket": "b", "key": role, "version_id": "v1", "sha256": f"{role}-1"}
            for role in stored
        ]
        return Bench(
            runtime,
            Stored(**stored),  # type: ignore[arg-type]
            locations,
            THRESHOLDS,
            lambda: {
                "CreationTime": "2026-11-20T06:00:00+00:00",
                "LastModifiedTime": "2026-11-20T06:00:09+00:00",
            },
        )

    return with_


@pytest.mark.parametrize("suite", suites.BUILT_IN)
def test_a_good_model_passes(bench: Callable[..., Bench], suite: str) -> None:
    result = run(bench(Served()), suite)
    assert (result["suite"], result["status"]) == (suite, "passed"), failed(result)
    assert result["checks"]


def test_every_row_of_the_holdout_is_scored(bench: Callable[..., Bench]) -> None:
    seen = []

    def counting(instance: Instance) -> float:
        seen.append(instance)
        return risk(instance)

    run(bench(Served(counting)), "quality")
    assert len(seen) == 250


def test_a_model_that_crashes_on_bad_input_breaks_the_contract(
    bench: Callable[..., Bench],
) -> None:
    result = run(bench(Crashing()), "contract")
    assert result["status"] == "failed"
    assert "malformed JSON" in failed(result)
    assert "wrong content type" not in failed(result)


def test_a_model_that_answers_in_another_form_breaks_the_contract(
    bench: Callable[..., Bench],
) -> None:
    result = run(bench(Served(lambda instance: 1.5)), "contract")
    assert failed(result) == ["valid sample payload"]
    assert "probability" in result["checks"][0]["observed"]


def test_a_model_that_is_worse_than_registered_fails_quality(
    bench: Callable[..., Bench],
) -> None:
    result = run(bench(Served(lambda instance: 1 - risk(instance))), "quality")
    missed = failed(result)
    assert "auc meets the threshold" in missed
    assert "auc is what was registered" in missed


def test_a_model_that_is_better_than_registered_is_not_the_registered_one(
    bench: Callable[..., Bench],
) -> None:
    labels = iter([row["high_risk"] for row in _rows()])
    result = run(bench(Served(lambda instance: float(next(labels)))), "quality")
    assert "brier is what was registered" in failed(result)


def test_a_model_that_cannot_score_a_row_fails_quality(bench: Callable[..., Bench]) -> None:
    result = run(bench(Served(lambda instance: float("nan"))), "quality")
    assert failed(result) == ["every holdout row is scored"]


def test_a_slow_model_fails_latency(bench: Callable[..., Bench]) -> None:
    result = run(bench(Served(milliseconds=900)), "latency")
    assert failed(result) == ["latency_p95_ms meets the threshold"]
    assert result["metrics"]["latency_p50_ms"] == 900


@pytest.mark.parametrize(
    ("holdout", "named"),
    [
        (b"age,bmi\n0.1,0.2\n", "high_risk"),
        (b"age,high_risk\n0.1,1\n", "bmi"),
        (b"age,bmi,high_risk\n0.1,tall,1\n", "row 1.*tall.*bmi"),
        (b"age,bmi,high_risk\n0.1,0.2,maybe\n", "row 1.*maybe.*high_risk"),
        (b"age,bmi,high_risk\n", "no rows"),
    ],
)
def test_a_holdout_that_cannot_be_used_is_no_verdict(
    bench: Callable[..., Bench], holdout: bytes, named: str
) -> None:
    with pytest.raises(InvalidInputError, match=named):
        run(bench(Served(), holdout=holdout), "quality")


def test_a_candidate_without_a_sample_payload_is_no_verdict() -> None:
    nothing = Bench(Served(), Stored(), [], THRESHOLDS)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="sample-payload"):
        nothing.run("contract", {})


def test_the_smoke_test_sees_what_a_client_sees() -> None:
    sample = {"instances": [{"age": 0.1, "bmi": 0.2}]}
    check, status = sample_check(Served(), sample)
    assert (check["passed"], status) == (True, 200)
    check, status = sample_check(Served(), {"instances": [{"age": 0.1}]})
    assert (check["passed"], status) == (False, 400)


def test_calibration_error_is_weighted_by_rows() -> None:
    """Ten rows at 0.25 of which five are positive, ten at 0.95 of which all are."""
    found = statistics.metrics([1] * 5 + [0] * 5 + [1] * 10, [0.25] * 10 + [0.95] * 10)
    assert found["calibration_error"] == pytest.approx((10 * 0.25 + 10 * 0.05) / 20)
    assert statistics.metrics([1, 1], [0.5, 1.0])["auc"] is None


@pytest.mark.parametrize(
    ("code", "fields", "expected"),
    [
        ("ValidationError", {"message": "Endpoint x of account y not found."}, NotFoundError),
        ("ThrottlingException", {"message": "slow down"}, TransientError),
    ],
)
def test_what_is_not_the_models_answer_is_raised(
    lambdas: Callable[..., Any], code: str, fields: dict[str, str], expected: type[Exception]
) -> None:
    from governance.adapters import sessions

    runtime = Runtime(sessions._own_session(), "endpoint-x")
    with Stubber(runtime._runtime) as stub:
        stub.add_client_error("invoke_endpoint", code, fields["message"], 400)
        with pytest.raises(expected, match="endpoint-x"):
            runtime.invoke(b"{}")


def test_an_error_of_the_model_is_its_answer(lambdas: Callable[..., Any]) -> None:
    from governance.adapters import sessions

    runtime = Runtime(sessions._own_session(), "endpoint-x")
    said = {"OriginalStatusCode": 415, "OriginalMessage": "only JSON"}
    with Stubber(runtime._runtime) as stub:
        stub.add_client_error("invoke_endpoint", "ModelError", "x", 424, modeled_fields=said)
        answer = runtime.invoke(b"a,b", "text/csv")
    assert (answer.status, answer.body) == (415, b"only JSON")
