"""The test bench: suites that a live endpoint must pass, on real requests, one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.adapters import generated
from governance.adapters.artifacts import Artifacts, of_role
from governance.adapters.runtime import Answer, Runtime
from governance.domain import probes, suites
from governance.domain.errors import InvalidInputError

Checks = list[dict[str, Any]]
Metrics = dict[str, float | None]
Parameters = Mapping[str, Any]

LARGEST_REPORT = 8 * 1024**2  # bytes
WORKERS = 4  # calls at once, where it is not what is measured


@dataclass(frozen=True, slots=True)
class Bench:
    """A candidate's live endpoint, its own objects in Central, and its tier's thresholds.

    `endpoint` is what DescribeEndpoint says of it, asked when a suite needs it; `content_types` are
    those that the version declares.
    """

    runtime: Runtime
    artifacts: Artifacts
    objects: Sequence[Mapping[str, Any]]
    thresholds: Mapping[str, float]
    endpoint: Callable[[], Mapping[str, Any] | None] = lambda: None
    content_types: Sequence[str] = (probes.JSON,)

    def run(self, suite: str, parameters: Parameters) -> dict[str, Any]:
        """The result of a suite: {suite, status, checks, metrics, seconds, details?}.

        A model that answers wrongly gives a failed check. What keeps a suite from running at all
        (a sample that is not there, an endpoint that cannot be reached) is raised.
        """
        started = time.perf_counter()
        checks, metrics, details = _SUITES[suite](self, parameters)
        return suites.result(suite, checks, metrics, time.perf_counter() - started, details)

    def sample(self) -> Any:
        """The sample payload that was registered with the version."""
        return self.artifacts.read_json(of_role(self.objects, "sample-payload"))

    def report(self) -> dict[str, Any]:
        """The evaluation report: what the training pipeline measured on the same rows."""
        location = of_role(self.objects, "evaluation")
        found: dict[str, Any] = self.artifacts.read_json(location, LARGEST_REPORT)
        return found


Found = tuple[Checks, Metrics, dict[str, Any]]


def sample_check(runtime: Runtime, sample: Any) -> tuple[dict[str, Any], int]:
    """(check, HTTP status) of sending the sample payload."""
    probe = probes.contract_probes(sample)[0]
    answer = runtime.invoke(probe.body, probe.content_type)
    return _probe_check(probe, answer, len(probes.instances_of(sample))), answer.status


def _cold_start(bench: Bench, parameters: Parameters) -> Found:
    """How long clients would have waited: for the endpoint, and for its first answer."""
    sample = bench.sample()
    answer = bench.runtime.invoke(probes.encode(probes.instances_of(sample)))
    problems = problems_of(answer, len(probes.instances_of(sample)))
    endpoint = bench.endpoint()
    if endpoint is None:
        raise InvalidInputError("the endpoint is gone before its cold start could be looked at")
    ready = _moment(endpoint["LastModifiedTime"]) - _moment(endpoint["CreationTime"])
    metrics: Metrics = {
        "cold_start_seconds": round(ready.total_seconds() + answer.milliseconds / 1000, 3),
        "first_answer_ms": round(answer.milliseconds, 3),
    }
    return suites.cold_start_checks(metrics, problems, bench.thresholds), metrics, {}


def _contract(bench: Bench, parameters: Parameters) -> Found:
    """Right requests are answered in the agreed form, wrong ones refused and never a crash."""
    sample = bench.sample()
    expected = len(probes.instances_of(sample))
    found = probes.contract_probes(sample, bench.content_types)
    tried, not_tried = probes.content_types(bench.content_types)
    answers = [bench.runtime.invoke(probe.body, probe.content_type) for probe in found]
    kind = answers[0].content_type.partition(";")[0].strip().lower()
    return (
        [
            *(
                _probe_check(probe, answer, expected)
                for probe, answer in zip(found, answers, strict=True)
            ),
            suites.check("the answer is JSON", kind == probes.JSON, kind or "none", probes.JSON),
        ],
        {},
        {"content_types": {"tried": tried, "not_tried": not_tried}},
    )


def _golden(bench: Bench, parameters: Parameters) -> Found:
    """Rows whose answer is known get it again, number by number."""
    cases = [*(bench.report().get("golden") or []), *parameters["cases"]]
    if not cases:
        raise InvalidInputError(
            "there are no golden predictions: the training pipeline puts them into the evaluation "
            "report as `golden`, or the deployment definition gives `cases`"
        )
    for case in cases:
        if not isinstance(case, Mapping) or not {"instance", "probability"} <= case.keys():
            raise InvalidInputError(f"golden case {case!r:.200} has no instance and probability")
    answer = bench.runtime.invoke(probes.encode([case["instance"] for case in cases]))
    problems = problems_of(answer, len(cases))
    answered = suites.check(
        "every known row is scored", not problems, "; ".join(problems) or "all", f"{len(cases)}"
    )
    if problems:
        return [answered], {}, {}
    expected = [float(case["probability"]) for case in cases]
    observed = probes.probabilities(answer.body)
    checks = suites.golden_checks(expected, observed, parameters["tolerance"])
    return [answered, *checks], {}, {}


def _robustness(bench: Bench, parameters: Parameters) -> Found:
    """What no client should send is refused or answered, and never breaks the model."""
    sample = bench.sample()
    known = probes.robustness_probes(sample)
    answers = bench.runtime.invoke_all([probe.body for probe in known], WORKERS)
    checks = [
        _probe_check(probe, answer, _instances(probe.body, answer))
        for probe, answer in zip(known, answers, strict=True)
    ]
    made_up = generated.requests(sample, parameters["generated"])
    answers = bench.runtime.invoke_all(made_up, WORKERS)
    bad = [
        f"{body!r:.120}: {'; '.join(problems)}"
        for body, answer in zip(made_up, answers, strict=True)
        if (problems := _surprises(answer, _instances(body, answer)))
    ]
    checks.append(
        suites.check(
            "requests made up by Hypothesis",
            not bad,
            f"{len(bad)} of {len(made_up)}: {bad[0]}" if bad else f"{len(made_up)} requests",
            "each is refused with 4xx or answered as agreed",
        )
    )
    return [*checks, *_order_checks(bench, sample)], {}, {}


def _order_checks(bench: Bench, sample: Any) -> Checks:
    """Neither the order of features nor that of instances, nor company, changes an answer."""
    instances = probes.instances_of(sample)
    straight, features, turned, alone = (
        _scored(bench.runtime.invoke(body), count)
        for body, count in (
            (probes.encode(instances), len(instances)),
            (probes.shuffled(sample), len(instances)),
            (probes.encode(instances[::-1]), len(instances)),
            (probes.encode(instances[:1]), 1),
        )
    )
    return [
        suites.check(name, other is not None and straight == other, other, straight)
        for name, other in (
            ("features in another order", features),
            ("instances in another order", turned and turned[::-1]),
            ("an instance alone", alone and straight and [*alone, *straight[1:]]),
        )
    ]


def _determinism(bench: Bench, parameters: Parameters) -> Found:
    """The same request gets the same answer, one call after the other and all at once."""
    instances = probes.instances_of(bench.sample())
    body = probes.encode(instances)
    answers = [bench.runtime.invoke(body) for _ in range(parameters["repeats"])]
    answers += bench.runtime.invoke_all([body] * parameters["repeats"], WORKERS)
    scored = [_scored(answer, len(instances)) for answer in answers]
    return suites.determinism_checks(scored), {}, {}


def _latency(bench: Bench, parameters: Parameters) -> Found:
    """Warm, the endpoint answers in time: call after call, and several at once."""
    body = probes.encode(probes.instances_of(bench.sample()))
    calls, workers = parameters["calls"], parameters["concurrency"]
    for _ in range(parameters["warm_up"]):
        bench.runtime.invoke(body)
    single = [bench.runtime.invoke(body) for _ in range(calls)]
    started = time.perf_counter()
    together = bench.runtime.invoke_all([body] * calls, workers)
    seconds = time.perf_counter() - started
    # What clients wait for is the endpoint under load; a call alone would only flatter it.
    metrics = suites.latency_metrics([answer.milliseconds for answer in together])
    metrics["throughput_rps"] = round(calls / seconds, 3) if seconds else None
    errors = sum(answer.status != 200 for answer in (*single, *together))
    alone = suites.latency_metrics([answer.milliseconds for answer in single])
    details = {"alone": alone, **parameters}
    return suites.latency_checks(metrics, errors, bench.thresholds), metrics, details


def _probe_check(probe: probes.Probe, answer: Answer, expected: int | None) -> dict[str, Any]:
    if probe.accepted is None:
        surprises = _surprises(answer, expected)
        return suites.check(
            probe.name,
            not surprises,
            "; ".join([f"status {answer.status}", *surprises]),
            "status 4xx, or 200 and a prediction for each instance",
        )
    if not probe.accepted:
        refused = 400 <= answer.status < 500
        return suites.check(probe.name, refused, f"status {answer.status}", "status 4xx")
    problems = problems_of(answer, expected or 0)
    return suites.check(
        probe.name,
        not problems,
        "; ".join([f"status {answer.status}", *problems]),
        f"status 200 and {expected} predictions",
    )


def _instances(body: bytes, answer: Answer) -> int | None:
    """How many instances were answered; a refused request is not parsed, which can take long."""
    return probes.count_of(body) if answer.status == 200 else None


def _surprises(answer: Answer, instances: int | None) -> list[str]:
    """What is wrong with an answer to a request that may be refused."""
    if 400 <= answer.status < 500:
        return []
    if instances is None and answer.status == 200:
        return ["a request without instances was answered"]
    return problems_of(answer, instances or 0)


def problems_of(answer: Answer, expected: int) -> list[str]:
    """What is wrong with an answer to that many instances; empty if nothing is."""
    if answer.status == 0:
        return [f"the model did not answer in time ({answer.body.decode('utf-8', 'replace'):.200})"]
    if answer.status != 200:
        return [f"the model answered {answer.status}"]
    return probes.answer_problems(answer.body, expected)


def _scored(answer: Answer, expected: int) -> list[float] | None:
    return None if problems_of(answer, expected) else probes.probabilities(answer.body)


def _moment(text: Any) -> datetime:
    return datetime.fromisoformat(str(text))


_SUITES: dict[str, Callable[[Bench, Parameters], Found]] = {
    "cold-start": _cold_start,
    "contract": _contract,
    "golden": _golden,
    "robustness": _robustness,
    "determinism": _determinism,
    "latency": _latency,
}
