"""The test bench: three suites that a live endpoint must pass, on real requests and real rows."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance.adapters import statistics
from governance.adapters.artifacts import Artifacts, of_role
from governance.adapters.runtime import Answer, Runtime
from governance.domain import probes, suites

Checks = list[dict[str, Any]]
Metrics = dict[str, float | None]

LARGEST_HOLDOUT = 32 * 1024**2  # bytes
ROWS_PER_CALL = 100
WORKERS = 4  # calls at once, in the quality suite and in the concurrent half of the latency suite
WARM_UP = 10  # calls that are not measured
MEASURED = 100  # calls one after the other, and as many again WORKERS at a time


@dataclass(frozen=True, slots=True)
class Bench:
    """A candidate's live endpoint, its own objects in Central, and its tier's thresholds."""

    runtime: Runtime
    artifacts: Artifacts
    objects: Sequence[Mapping[str, Any]]
    thresholds: Mapping[str, float]

    def run(self, suite: str) -> dict[str, Any]:
        """The result of a suite: {suite, status, checks, metrics, seconds}.

        A model that answers wrongly gives a failed check. What keeps a suite from running at all
        (a holdout that is not there, an endpoint that cannot be reached) is raised.
        """
        started = time.perf_counter()
        checks, metrics = _SUITES[suite](self)
        return suites.result(suite, checks, metrics, time.perf_counter() - started)

    def sample(self) -> Any:
        """The sample payload that was registered with the version."""
        return self.artifacts.read_json(of_role(self.objects, "sample-payload"))

    def holdout(self) -> list[dict[str, str]]:
        """The rows of the fixed holdout, by column name."""
        body = self.artifacts.read(of_role(self.objects, "holdout"), LARGEST_HOLDOUT)
        return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))

    def registered_metrics(self) -> Metrics:
        """What the training pipeline measured on the same rows."""
        report = self.artifacts.read_json(of_role(self.objects, "evaluation"))
        metrics: Metrics = report["metrics"]
        return metrics


def sample_check(runtime: Runtime, sample: Any) -> tuple[dict[str, Any], int]:
    """(check, HTTP status) of sending the sample payload."""
    probe = probes.contract_probes(sample)[0]
    answer = runtime.invoke(probe.body, probe.content_type)
    return _contract_check(probe, answer, len(probes.instances_of(sample))), answer.status


def _contract(bench: Bench) -> tuple[Checks, Metrics]:
    """Right requests are answered in the agreed form, wrong ones refused and never a crash."""
    sample = bench.sample()
    expected = len(probes.instances_of(sample))
    return [
        _contract_check(probe, bench.runtime.invoke(probe.body, probe.content_type), expected)
        for probe in probes.contract_probes(sample)
    ], {}


def _contract_check(probe: probes.Probe, answer: Answer, expected: int) -> dict[str, Any]:
    if not probe.accepted:
        refused = 400 <= answer.status < 500
        return suites.check(probe.name, refused, f"status {answer.status}", "status 4xx")
    problems = _problems(answer, expected)
    return suites.check(
        probe.name,
        not problems,
        "; ".join([f"status {answer.status}", *problems]),
        f"status 200 and {expected} predictions",
    )


def _quality(bench: Bench) -> tuple[Checks, Metrics]:
    """Every row of the holdout through the endpoint gives the quality that was registered."""
    instances, labels = probes.instances_from_rows(bench.holdout(), bench.sample())
    batches = [
        instances[start : start + ROWS_PER_CALL]
        for start in range(0, len(instances), ROWS_PER_CALL)
    ]
    answers = bench.runtime.invoke_all([probes.encode(batch) for batch in batches], WORKERS)
    problems = [
        problem
        for answer, batch in zip(answers, batches, strict=True)
        for problem in _problems(answer, len(batch))
    ]
    answered = suites.check(
        "every holdout row is scored",
        not problems,
        "; ".join(sorted(set(problems))) or f"{len(instances)} rows",
        f"{len(instances)} rows",
    )
    if problems:
        return [answered], {}
    scored = [score for answer in answers for score in probes.probabilities(answer.body)]
    measured = statistics.metrics(labels, scored)
    return [
        answered,
        *suites.quality_checks(measured, bench.registered_metrics(), bench.thresholds),
    ], measured


def _latency(bench: Bench) -> tuple[Checks, Metrics]:
    """Warm, the endpoint answers in time: call after call, and several at once."""
    body = probes.encode(probes.instances_of(bench.sample()))
    for _ in range(WARM_UP):
        bench.runtime.invoke(body)
    answers = [bench.runtime.invoke(body) for _ in range(MEASURED)]
    answers += bench.runtime.invoke_all([body] * MEASURED, WORKERS)
    metrics = suites.latency_metrics([answer.milliseconds for answer in answers])
    errors = sum(answer.status != 200 for answer in answers)
    return suites.latency_checks(metrics, errors, bench.thresholds), metrics


def _problems(answer: Answer, expected: int) -> list[str]:
    if answer.status != 200:
        return [f"the model answered {answer.status}"]
    return probes.answer_problems(answer.body, expected)


_SUITES: dict[str, Callable[[Bench], tuple[Checks, Metrics]]] = {
    "contract": _contract,
    "quality": _quality,
    "latency": _latency,
}
