"""The suites: a good model passes, and each way of being bad fails the suite it should."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from governance.adapters import generated, statistics
from governance.adapters import runtime as runtimes
from governance.adapters.bench import Bench, sample_check
from governance.adapters.holdout import Judge
from governance.adapters.runtime import Answer, Runtime
from governance.domain import probes, suites
from governance.domain.errors import (
    InvalidInputError,
    NotFoundError,
    TransientError,
)
from tests.benches import (
    Instance,
    Served,
    Stored,
    as_csv,
    champion,
    failed,
    measured,
    parameters,
    risk,
    rows,
    run,
    score,
)
from tests.contracts import samples

THRESHOLDS = {
    "auc_min": 0.7,
    "brier_max": 0.25,
    "calibration_error_max": 0.2,
    "latency_p95_ms_max": 200,
}


class Crashing(Served):
    def refuse(self, error: Exception) -> tuple[int, bytes]:
        return 500, b"Traceback"


@pytest.fixture
def bench() -> Callable[..., Bench]:
    found = rows()
    objects = {
        "holdout": as_csv(found),
        "evaluation": json.dumps(measured(found)).encode(),
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
    labels = iter([row["high_risk"] for row in rows()])
    result = run(bench(Served(lambda instance: float(next(labels)))), "quality")
    assert "brier is what was registered" in failed(result)


def _wards(rows_per_label: int) -> list[dict[str, Any]]:
    """The rows, of which so many of each label are of ward 7."""
    found, counted = rows(), [0, 0]
    for row in found:
        label = row["high_risk"]
        counted[label] += 1
        row["ward"] = "7" if counted[label] <= rows_per_label else "8"
    return found


@pytest.mark.parametrize("few", [True, False])
def test_a_subgroup_is_judged_with_enough_rows_and_otherwise_said_not_to_be(
    bench: Callable[..., Bench], few: bool
) -> None:
    wards = _wards(suites.ROWS_PER_LABEL - few)
    ours = {round(row["age"], 3) for row in wards if row["ward"] == "7"}

    def worse(instance: Instance) -> float:
        known = risk(instance)
        return 1 - known if round(instance["age"], 3) in ours else known

    attributes = [{"name": "ward", "column": "ward"}]
    report = json.dumps({**measured(wards), "attributes": attributes}).encode()
    stored = {"holdout": as_csv(wards), "evaluation": report}
    good, bad = bench(Served(), **stored), bench(Served(worse), **stored)
    # What the suite says, and what a policy that wants every subgroup judged makes of it.
    limits: dict[str, Any] = {"champion_loss_max": 0.02, "subgroups_not_judged_max": 0}
    shards, theirs = score(bad), champion(score(good))
    bad.artifacts.objects.update(good.artifacts.objects)  # type: ignore[attr-defined]
    judge = Judge(replace(bad, thresholds=limits), shards, theirs)
    result = judge.run("comparison", parameters("comparison"))
    missed = failed(result)
    assert ("ward 7: AUC is not proven to be worse than the champion's" in missed) is not few
    assert ("subgroups have enough rows to be judged" in missed) is few
    assert result["metrics"]["subgroups_not_judged"] == int(few)
    said = result["details"]["subgroups"][0]
    assert (said["value"], said["positives"]) == ("7", suites.ROWS_PER_LABEL - few)
    assert said["auc_difference"]["value"] < -0.3


def test_a_model_that_cannot_score_a_row_fails_quality(bench: Callable[..., Bench]) -> None:
    result = run(bench(Served(lambda instance: float("nan"))), "quality")
    assert failed(result) == ["every holdout row is scored"]


def test_a_slow_model_fails_latency(bench: Callable[..., Bench]) -> None:
    result = run(bench(Served(milliseconds=900)), "latency")
    assert failed(result) == ["latency_p95_ms meets the threshold"]
    assert result["metrics"]["latency_p50_ms"] == 900


@pytest.mark.parametrize(
    ("limit", "missed"), [(9.004, ["cold_start_seconds meets the threshold"]), (9.006, [])]
)
def test_an_endpoint_that_takes_too_long_to_come_up_fails_cold_start(
    bench: Callable[..., Bench], limit: float, missed: list[str]
) -> None:
    """Nine seconds until it serves, five milliseconds until its first answer."""
    limits = replace(bench(Served()), thresholds={"cold_start_seconds_max": limit})
    result = run(limits, "cold-start")
    assert failed(result) == missed
    assert result["metrics"]["cold_start_seconds"] == 9.005


def test_an_endpoint_whose_first_call_is_not_answered_fails_cold_start(
    bench: Callable[..., Bench],
) -> None:
    result = run(bench(Served(lambda instance: float("nan"))), "cold-start")
    assert failed(result) == ["the first call is answered"]


class SlowTogether(Served):
    """Each call waits for the others, as with one worker behind the endpoint."""

    def invoke_all(self, bodies: Sequence[bytes], workers: int) -> list[Answer]:
        answers = (self.invoke(body) for body in bodies)
        return [replace(one, milliseconds=one.milliseconds * workers) for one in answers]


def test_latency_is_that_under_load_and_a_call_alone_stands_beside_it(
    bench: Callable[..., Bench],
) -> None:
    result = run(bench(SlowTogether(milliseconds=90)), "latency")
    assert failed(result) == ["latency_p95_ms meets the threshold"]
    metrics = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")
    assert [result["metrics"][name] for name in metrics] == [360, 360, 360]
    assert [result["details"]["alone"][name] for name in metrics] == [90, 90, 90]


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


def test_calibration_error_is_weighted_byrows() -> None:
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


class TakesCsv(Served):
    """Rows of age and bmi, too."""

    def invoke(self, body: bytes, content_type: str = "application/json") -> Answer:
        if content_type == "text/csv":
            lines = [line.split(",") for line in body.decode().splitlines()]
            body = probes.encode([{"age": float(age), "bmi": float(bmi)} for age, bmi in lines])
            content_type = "application/json"
        return super().invoke(body, content_type)


@pytest.mark.parametrize(
    ("runtime", "missed"),
    [(TakesCsv(), []), (Served(), ["valid sample payload as text/csv"])],
)
def test_a_content_type_that_the_version_declares_must_be_answered(
    bench: Callable[..., Bench], runtime: Runtime, missed: list[str]
) -> None:
    declared = ("application/json", "text/csv", "image/png")
    result = run(replace(bench(runtime), content_types=declared), "contract")
    assert failed(result) == missed
    assert result["details"]["content_types"] == {
        "tried": ["application/json", "text/csv"],
        "not_tried": ["image/png"],
    }


def test_the_bench_knows_what_the_version_declares(
    lambdas: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from governance.adapters import sessions

    monkeypatch.setattr(sessions.Sessions, "hub", lambda self, _: sessions._own_session())
    lambdas("run_suite")
    request = {
        "promotion": samples.promotion("Test"),
        "candidate": samples.candidate(),
        "deployment": {
            "account": samples.TEST,
            "endpoint_name": "risk",
            "content_types": ["text/csv"],
        },
        "thresholds": {},
    }
    made = sys.modules["governance.handlers.run_suite"]._bench(request)
    assert made.content_types == ["text/csv"]


class Clock:
    """Time that only the model's calls take."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(runtimes, "time", found)
    return found


def _calls(clock: Clock, seconds: float, body: bytes | None) -> Runtime:
    """A runtime whose model takes so long for everything; without a body SageMaker gives up."""
    from governance.adapters import sessions

    runtime = Runtime(sessions._own_session(), "endpoint-x")

    class Slow:
        exceptions = runtime._runtime.exceptions

        def invoke_endpoint(self, **_: Any) -> dict[str, Any]:
            clock.now += seconds
            if body is not None:
                return {"Body": io.BytesIO(body), "ContentType": "application/json"}
            said = "Your invocation timed out while waiting for a response from container primary."
            answer = {"Error": {"Code": "ModelError", "Message": said}}
            raise ClientError(
                {**answer, "OriginalStatusCode": 0, "OriginalMessage": said},  # type: ignore[typeddict-unknown-key]
                "InvokeEndpoint",
            )

    runtime._runtime = Slow()  # type: ignore[assignment]
    return runtime


def test_sagemaker_gives_a_model_up_before_we_do(lambdas: Callable[..., Any]) -> None:
    from governance.adapters import sessions

    runtime = Runtime(sessions._own_session(), "endpoint-x")
    assert runtime._runtime.meta.config.read_timeout > 60


@pytest.mark.parametrize("suite", [*suites.LIVE, "quality"])
def test_a_model_that_hangs_fails_the_suite_in_time(
    bench: Callable[..., Bench], lambdas: Callable[..., Any], clock: Clock, suite: str
) -> None:
    result = run(bench(_calls(clock, 60.1, None)), suite)
    assert result["status"] == "failed"
    assert clock.now < 250


def test_a_model_that_is_too_slow_for_a_suite_fails_it_in_time(
    bench: Callable[..., Bench], lambdas: Callable[..., Any], clock: Clock
) -> None:
    known = b'{"predictions": [{"probability": 0.5, "high_risk": true}]}'
    result = run(bench(_calls(clock, 30, known)), "latency")
    assert result["status"] == "failed"
    assert clock.now < 840
    assert result["checks"][0]["observed"] != "0 errors"


def test_made_up_requests_are_the_same_every_time_and_of_every_kind() -> None:
    sample = {"instances": [{"age": 0.1, "bmi": 0.02}]}
    found = generated.requests(sample, 40)
    assert generated.requests(sample, 40) == found
    assert len(set(found)) > 30
    counts = [probes.count_of(body) for body in found]
    assert None in counts
    assert any(count for count in counts if count)
    assert any(not body.isascii() or b"\\u" in body for body in found)
