"""What a promotion from Dev to Prod costs and how long it takes, from the histories of real runs.

    python -m benchmarks.promotion_cost [--promotions 5] [--rollbacks 3] [--queue 50,100x16]
        [--write docs/cost.md]
    python -m benchmarks.promotion_cost --paper [--write docs/cost.md]

The organisation is deployed into an embedded AWS of its own, and people approve as in
tests/e2e. State transitions are counted in the execution histories, children and batches of copies
included; Lambda's seconds are those of the REPORT lines that every invocation leaves in its log
group, those beside the path included. Both are priced at AWS's list prices (PRICES). `--rollbacks`
releases a version over another and asks for the way back, so many times. `--queue` approves so many
versions in Dev in a row, or by so many people at once (100x16), and waits until all are in Central.
`--paper` runs nothing: it counts the states of the paths that tests/statemachines see on a real
engine, and takes a full second for every invocation.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from governance.domain.reviews import KINDS as REVIEWS
from local import deployment, launcher
from tests.e2e.organisation import CENTRAL, DEV, Organisation, machine_arn

BEGIN, END = "<!-- promotion_cost: begin -->", "<!-- promotion_cost: end -->"
PAPER_BEGIN, PAPER_END = "<!-- on paper: begin -->", "<!-- on paper: end -->"
WORKFLOWS = ("promote_to_central", "validate_in_test", "release_to_prod", "deploy_endpoint")
STAGES = ("dev", "test", "prod")
_TASKS = ("Task", "LambdaFunction")
_ROLLBACK = {"config": "new config in Prod", "traffic": "traffic", "end": "its end"}
_VERSIONS_OF_A_MODEL = 10  # of those that are queued at once
_REPORT = re.compile(r"Billed Duration: (?P<ms>[\d.]+) ms\tMemory Size: (?P<mb>\d+) MB")


@dataclass(frozen=True, slots=True)
class Price:
    """What AWS asks for a unit in us-east-1, in USD."""

    what: str
    usd: float
    source: str


# List prices of us-east-1 without free tiers, as of November 2026.
PRICES = {
    "transition": Price(
        "a state transition (Standard)", 25e-6, "aws.amazon.com/step-functions/pricing"
    ),
    "gb_second": Price("a GB-second of Lambda, arm64", 13.3334e-6, "aws.amazon.com/lambda/pricing"),
    "invocation": Price("an invocation of Lambda", 0.2e-6, "aws.amazon.com/lambda/pricing"),
    "signature": Price("a signature of KMS, ECC", 15e-6, "aws.amazon.com/kms/pricing"),
    "write_unit": Price("a write request unit of DynamoDB", 0.625e-6, "aws.amazon.com/dynamodb"),
    "event": Price("a custom event of EventBridge", 1e-6, "aws.amazon.com/eventbridge/pricing"),
}
# An append is an entry of some 5 KB, a marker and the head, in one transaction: twice the units;
# both indexes of the ledger are written with the entry.
_WRITE_UNITS_OF_AN_ENTRY = 2 * (5 + 1 + 1) + 2 * 2 * 5
_SIGNATURES_OF_AN_ENTRY = 2


def transitions(events: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """{states, retries} of an execution's history: every state that was entered, and every attempt
    of a task after its first. AWS charges for both.

    The embedded engine notes the attempts of tasks within a Map, but not that they were entered.
    """
    kinds = Counter(str(event["type"]) for event in events)
    entered = sum(count for kind, count in kinds.items() if kind.endswith("StateEntered"))
    attempts = kinds["TaskScheduled"] + kinds["LambdaFunctionScheduled"]
    failed = sum(kinds[f"{task}{end}"] for task in _TASKS for end in ("Failed", "TimedOut"))
    further = max(0, attempts - kinds["TaskStateEntered"])
    retries = min(further, failed)
    return {"states": entered + further - retries, "retries": retries}


def gb_seconds(lines: Iterable[str]) -> tuple[float, int]:
    """(GB-seconds, invocations) of the REPORT lines among these lines of a log."""
    found = [match for line in lines if (match := _REPORT.search(line))]
    used = (float(one["ms"]) / 1000 * int(one["mb"]) / 1024 for one in found)
    return sum(used), len(found)


def cost(usage: Mapping[str, float]) -> dict[str, float]:
    """USD by kind of what was used: {transition, gb_second, ...}: number of units."""
    return {kind: units * PRICES[kind].usd for kind, units in usage.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Run:
    """The organisation, and what its services noted while it worked."""

    def __init__(self, organisation: Organisation) -> None:
        self.organisation = organisation
        self._states = organisation.root(CENTRAL, "stepfunctions")
        self._logs = organisation.root(CENTRAL, "logs")

    def executions(self, model: str) -> list[tuple[str, dict[str, Any]]]:
        """(workflow, execution) of everything that ran about the model, batches of copies too."""
        found = []
        for workflow in WORKFLOWS:
            for one in self.organisation.executions(workflow, model):
                found.append((workflow, one))
                found += [("copy batch", batch) for batch in self._batches(one["executionArn"])]
        return found

    def ended(self, since: float) -> int:
        """How many promotions to Central began since then (seconds of the epoch) and have ended."""
        pages = self._states.get_paginator("list_executions").paginate(
            stateMachineArn=machine_arn("promote_to_central")
        )
        return sum(
            one["status"] != "RUNNING" and _seconds(one["startDate"]) >= since
            for page in pages
            for one in page["executions"]
        )

    def history(self, execution_arn: str) -> list[dict[str, Any]]:
        """The events of an execution."""
        pages = self._states.get_paginator("get_execution_history").paginate(
            executionArn=execution_arn
        )
        return [event for page in pages for event in page["events"]]

    def lambdas(self, since: float) -> dict[str, tuple[float, int]]:
        """{function: (GB-seconds, invocations)} since then (seconds of the epoch)."""
        groups = self._logs.get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix="/aws/lambda/governed-path-"
        )
        names = [group["logGroupName"] for page in groups for group in page["logGroups"]]
        return {
            name.rpartition("governed-path-")[2]: gb_seconds(self._lines(name, since))
            for name in names
        }

    def _lines(self, group: str, since: float) -> Iterator[str]:
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=int(since * 1000), filterPattern="REPORT"
        )
        for page in pages:
            yield from (event["message"] for event in page["events"])

    def _batches(self, execution_arn: str) -> list[dict[str, Any]]:
        runs = self._states.list_map_runs(executionArn=execution_arn)["mapRuns"]
        return [
            dict(one)
            for run in runs
            for one in self._states.list_executions(mapRunArn=run["mapRunArn"])["executions"]
        ]


@contextmanager
def deployed() -> Iterator[Run]:
    """The four accounts with their stacks; nothing is left of it."""
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory) / "state"
        server = launcher.up(state, {"LOG_LEVEL": "WARNING"})
        try:
            deployment.deploy(server, lambda said: None)
            yield Run(Organisation(server))
        finally:
            launcher.down(state)


def promote(run: Run, model: str, origin: str) -> dict[str, Any]:
    """One version from Dev to Prod; {stage: seconds} of what people wait for."""
    organisation, arn = run.organisation, origin
    waited: dict[str, Any] = {}
    for stage in STAGES:
        if stage == "prod":
            for kind in REVIEWS:
                organisation.review(arn, kind)
        approved = time.time()
        outcome = organisation.approve(stage, arn)
        arn = str(outcome.entry["model_package_arn"])
        events = run.history(outcome.execution["executionArn"])
        assert outcome.execution["status"] == "SUCCEEDED", outcome.entry["kind"]
        waited[stage] = {
            "first_state": _entered(events) - approved,
            "end": _seconds(outcome.execution["stopDate"]) - approved,
        }
        if stage == "prod":
            waited[stage]["traffic"] = _left(events, "DeployToProd") - approved
    return waited


def measure(run: Run, promotions: int) -> dict[str, Any]:
    """Transitions, Lambda and waiting of promotions one after the other, after one to warm up."""
    organisation = run.organisation
    models = [f"cost-{number}" for number in range(promotions + 1)]
    organisation.provision(*models)
    trained = organisation.train(models[0])
    promote(run, models[0], trained)
    origins = {m: organisation.register_again(trained, m) for m in models[1:]}
    _settled(run)
    began, waited = time.time(), []
    for model, origin in origins.items():
        waited.append(promote(run, model, origin))
    _settled(run)
    functions = run.lambdas(began)
    counted: Counter[str] = Counter()
    retries = 0
    for model in origins:
        for workflow, execution in run.executions(model):
            found = transitions(run.history(execution["executionArn"]))
            # AWS counts the start of a batch as one more.
            counted[workflow] += found["states"] + found["retries"] + (workflow == "copy batch")
            retries += found["retries"]
    entries = sum(len(organisation.entries(model)) for model in origins)
    share = 1 / promotions
    used = sum(gb for gb, _ in functions.values()) * share
    calls = sum(count for _, count in functions.values()) * share
    usage = {
        "transition": sum(counted.values()) * share,
        "gb_second": used,
        "invocation": calls,
        "signature": entries * share * _SIGNATURES_OF_AN_ENTRY,
        "write_unit": entries * share * _WRITE_UNITS_OF_AN_ENTRY,
        "event": entries * share,
    }
    return {
        "promotions": promotions,
        "transitions": {workflow: count * share for workflow, count in counted.items()},
        "retries": retries * share,
        "usage": usage,
        "usd": cost(usage),
        "functions": {
            name: {"gb_seconds": gb * share, "invocations": count * share}
            for name, (gb, count) in functions.items()
            if count
        },
        "waited": {
            "first_state": [one[stage]["first_state"] for one in waited for stage in STAGES],
            "traffic": [one["prod"]["traffic"] for one in waited],
            **{stage: [one[stage]["end"] for one in waited] for stage in STAGES},
        },
    }


def roll_back(run: Run, times: int, trained: str) -> dict[str, list[float]]:
    """Seconds from a person's request to the new config, to traffic and to the end of it."""
    organisation, model = run.organisation, "cost-rollback"
    organisation.provision(model)
    promote(run, model, organisation.register_again(trained, model))
    newer = organisation.register_again(trained, model, metadata={"dataset-version-id": "newer"})
    waited: dict[str, list[float]] = {"config": [], "traffic": [], "end": []}
    for _ in range(times):
        if not waited["end"]:
            promote(run, model, newer)
            taken_back = max(organisation.central_versions(model), key=_version)
        else:
            organisation.approve("prod", taken_back)
        asked = time.time()
        outcome = organisation.roll_back(f"{model}-endpoint", "the benchmark asks for it")
        assert outcome.entry["kind"] == "CandidateRolledBack", outcome.entry["kind"]
        events = run.history(outcome.execution["executionArn"])
        (deployment_,) = (
            one
            for one in organisation.executions("deploy_endpoint", model)
            if _seconds(one["startDate"]) > asked
        )
        configured = run.history(deployment_["executionArn"])
        waited["config"].append(_left(configured, "CreateEndpointConfig") - asked)
        waited["traffic"].append(_left(events, "DeployToProd") - asked)
        waited["end"].append(_seconds(outcome.execution["stopDate"]) - asked)
    return waited


def queue(run: Run, size: int, people: int, trained: str) -> dict[str, Any]:
    """So many versions approved in Dev by so many people at once; all of them awaited."""
    organisation = run.organisation
    name = f"queue-{size}x{people}"
    models = [f"{name}-{number}" for number in range(-(-size // _VERSIONS_OF_A_MODEL))]
    organisation.provision(*models)
    origins = [
        organisation.register_again(
            trained,
            models[number // _VERSIONS_OF_A_MODEL],
            # Other data make another candidate of the same bytes.
            metadata={"dataset-version-id": f"{name}-{number}"},
        )
        for number in range(size)
    ]
    _settled(run)
    registry = organisation.root(DEV, "sagemaker")
    began, asked, approved = time.time(), {}, {}

    def approve(origin: str) -> None:
        asked[origin] = time.time()
        organisation.decide("dev", origin)
        version = registry.describe_model_package(ModelPackageName=origin)
        approved[origin] = _seconds(version["LastModifiedTime"])

    with ThreadPoolExecutor(people) as crowd:
        list(crowd.map(approve, origins))
    said = time.time() - began
    _until(lambda: run.ended(began) >= size, 60 + 20 * size, f"{size} promotions")
    from_asking, from_approval, ran, failed, counted = [], [], [], 0, 0
    for execution in organisation.executions("promote_to_central"):
        arn = json.loads(execution["input"])["detail"]["ModelPackageArn"]
        if arn not in approved:
            continue
        events = run.history(execution["executionArn"])
        from_asking.append(_entered(events) - asked[arn])
        from_approval.append(_entered(events) - approved[arn])
        ran.append((_seconds(execution["startDate"]), _seconds(execution["stopDate"])))
        failed += execution["status"] != "SUCCEEDED"
        found = transitions(events)
        counted += found["states"] + found["retries"]
    return {
        "queued": size,
        "people": people,
        "approving_s": said,
        **throughput(began, ran),
        "first_state": _p50_p99(from_asking),
        "first_state_after_approval": _p50_p99(from_approval),
        "transitions": counted / size,
        "failed": failed,
    }


def _p50_p99(seconds: Sequence[float]) -> list[float]:
    return [median(seconds), percentile(seconds, 0.99)]


def throughput(began: float, ran: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """{seconds, per_promotion_s, per_minute, at_once, tenths} of (start, stop) since `began`.

    `at_once` is how many ran at any moment, on average: their time together by the time that passed
    (Little's law). `tenths` are the seconds for each among the first tenth that ended, the second
    and so on: whether a promotion takes longer the more there were.
    """
    ended = sorted(stop for _, stop in ran)
    seconds = ended[-1] - began
    tenths, before = [], (began, 0)
    for tenth in range(1, 11):
        count = max(1, len(ended) * tenth // 10)
        if count > before[1]:
            tenths.append((ended[count - 1] - before[0]) / (count - before[1]))
            before = (ended[count - 1], count)
    return {
        "seconds": seconds,
        "per_promotion_s": seconds / len(ended),
        "per_minute": 60 * len(ended) / seconds,
        "at_once": sum(stop - start for start, stop in ran) / seconds,
        "tenths": tenths,
    }


def _settled(run: Run) -> None:
    """Until what is beside the path, registrations above all, has been answered too."""
    seen = -1.0

    def quiet() -> bool:
        nonlocal seen
        now = sum(count for _, count in run.lambdas(0).values())
        before, seen = seen, now
        return now == before

    _until(quiet, 900, "quiet", every=3.0)


def _until(done: Callable[[], bool], patience: float, what: str, every: float = 2.0) -> None:
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {patience:.0f} s")
        time.sleep(every)


def _entered(events: Sequence[Mapping[str, Any]]) -> float:
    """When the first state began (seconds of the epoch)."""
    return next(_seconds(e["timestamp"]) for e in events if e["type"].endswith("StateEntered"))


def _version(model_package_arn: str) -> int:
    return int(model_package_arn.rpartition("/")[2])


def _left(events: Sequence[Mapping[str, Any]], state: str) -> float:
    return next(
        _seconds(event["timestamp"])
        for event in events
        if (event.get("stateExitedEventDetails") or {}).get("name") == state
    )


def _seconds(moment: datetime) -> float:
    return moment.timestamp()


# ---------------------------------------------------------------- on paper

_SUITES = 10  # of one validation, more than any tier asks for
# Entries of one promotion with four reviews: registered, promoted, tests started and passed, three
# of clearance, four reviews, release started, in service and released, the one before superseded.
_ENTRIES = 15
# Of each entry: its event, and what archives the entry and the head.
_BESIDE_AN_ENTRY = 3
# What events start: registration, comparison after each change that is ours, endpoint states,
# reviews, confirmation, clearances.
_BESIDE_THE_PATH = 30
_SECONDS, _GB = 1.0, 2.0


def on_paper() -> dict[str, Any]:
    """{transitions, usage, usd} of a promotion, by the paths that the machines' tests know."""
    from tests.statemachines import machines
    from tests.statemachines import test_deploy_endpoint as deploy
    from tests.statemachines import test_promote_to_central as promote_
    from tests.statemachines import test_release_to_prod as release
    from tests.statemachines import test_validate_in_test as validate

    paths = {
        "promote_to_central": promote_.HAPPY,
        "validate_in_test": validate.HAPPY,
        "release_to_prod": release.HAPPY,
        "deploy_endpoint": [*deploy.FINISHED, *deploy.FINISHED],
    }
    counted = {workflow: len(path) for workflow, path in paths.items()}
    suites = machines.source("validate_in_test")["States"]["RunSuites"]["ItemProcessor"]["States"]
    counted["validate_in_test"] += _SUITES * len(suites)
    counted["copy batch"] = 2
    tasks = (
        _SUITES
        + 1
        + sum(
            machines.source(workflow)["States"][name]["Type"] == "Task"
            for workflow, path in paths.items()
            for name in path
        )
    )
    invocations = tasks + _ENTRIES * _BESIDE_AN_ENTRY + _BESIDE_THE_PATH
    usage = {
        "transition": float(sum(counted.values())),
        "gb_second": invocations * _SECONDS * _GB,
        "invocation": float(invocations),
        "signature": float(_ENTRIES * _SIGNATURES_OF_AN_ENTRY),
        "write_unit": float(_ENTRIES * _WRITE_UNITS_OF_AN_ENTRY),
        "event": float(_ENTRIES),
    }
    return {"transitions": counted, "usage": usage, "usd": cost(usage)}


def paper_page(found: Mapping[str, Any]) -> str:
    """The computed part of docs/cost.md."""
    return "\n".join(
        [
            PAPER_BEGIN,
            "Computed: the states that a promotion enters on its way to Prod, with ten suites, and "
            "an assumed second of 2048 MB for every invocation, the most that any function has.",
            "",
            *_priced(found["usage"], found["usd"]),
            "",
            "Transitions: "
            + ", ".join(f"{name} {_rounded(n)}" for name, n in found["transitions"].items())
            + ".",
            PAPER_END,
        ]
    )


def _priced(usage: Mapping[str, float], usd: Mapping[str, float]) -> list[str]:
    return [
        "| a promotion, Dev to Prod | units | USD |",
        "|---|---|---|",
        *(f"| {PRICES[kind].what} | {_units(usage[kind])} | {usd[kind]:.5f} |" for kind in PRICES),
        f"| **all of it** | | **{sum(usd.values()):.4f}** |",
    ]


# ---------------------------------------------------------------- docs


def page(found: Mapping[str, Any]) -> str:
    """The measured part of docs/cost.md."""
    one, usage, usd = found["cost"], found["cost"]["usage"], found["cost"]["usd"]
    waited = one["waited"]
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    lines = [
        BEGIN,
        f"Measured {when}: {one['promotions']} promotions one after the other, after one to warm "
        f"up, on {found['machine']}.",
        "",
        *_priced(usage, usd),
        "",
        f"Of the transitions {_rounded(one['retries'])} were retries. "
        + ", ".join(f"{name} {_rounded(n)}" for name, n in one["transitions"].items())
        + ".",
        "",
        "| waiting, seconds | p50 | p99 |",
        "|---|---|---|",
        _row("approval to first state", waited["first_state"]),
        _row("Prod approval to traffic", waited["traffic"]),
        *(_row(f"{stage.capitalize()} approval to its end", waited[stage]) for stage in STAGES),
        *(
            _row(f"rollback, request to {what}", found["rollback"][name])
            for name, what in _ROLLBACK.items()
            if found["rollback"].get(name)
        ),
    ]
    if found["queue"]:
        lines += [
            "",
            "| approved in Dev | by how many | until all are in Central | of that approving | "
            "ran at once | for each | first to last tenth | a minute | "
            "asked to first state, p50 and p99 | approved to first state, p50 and p99 | "
            "transitions each | failed |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|",
            *(
                f"| {row['queued']:,} | {row['people']} | {row['seconds']:.0f} s | "
                f"{row['approving_s']:.0f} s | {row['at_once']:.0f} | "
                f"{row['per_promotion_s']:.2f} s | "
                f"{', '.join(f'{each:.2f}' for each in row['tenths'])} | "
                f"{row['per_minute']:.0f} | "
                f"{_both(row['first_state'])} | {_both(row['first_state_after_approval'])} | "
                f"{_rounded(row['transitions'])} | {row['failed']} |"
                for row in found["queue"]
            ),
        ]
    return "\n".join([*lines, END])


def _row(what: str, values: Sequence[float]) -> str:
    return f"| {what} ({len(values)}) | {median(values):.2f} | {percentile(values, 0.99):.2f} |"


def _both(seconds: Sequence[float]) -> str:
    return ", ".join(f"{one:.1f} s" for one in seconds)


def _units(number: float) -> str:
    return f"{number:,.1f}" if number < 100 else f"{number:,.0f}"


def _rounded(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def write(file: Path, text: str) -> None:
    """Put a part into the page in place of what is between its marks; ValueError without them."""
    marks = text.partition("\n")[0], text.rpartition("\n")[2]
    before, begin, rest = file.read_text().partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"{file} has no marks {' and '.join(marks)}")
    file.write_text(f"{before}{text}{after}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 0."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--promotions", type=int, default=5, help="from Dev to Prod, measured")
    parser.add_argument("--rollbacks", type=int, default=0, help="of a version that was released")
    parser.add_argument(
        "--queue",
        default=[],
        type=queued,
        metavar="N[xPEOPLE],...",
        help="how many in a row, or by so many people at once",
    )
    parser.add_argument("--paper", action="store_true", help="compute, run nothing")
    parser.add_argument("--write", type=Path, help="the page that gets the tables")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--budget", type=float, default=math.inf, help="seconds for all of it")
    options = parser.parse_args(arguments)
    if options.paper:
        computed = on_paper()
        if options.write:
            write(options.write, paper_page(computed))
        print(json.dumps(computed, indent=2) if options.json else paper_page(computed))
        return 0
    began = time.monotonic()
    with deployed() as run:
        found: dict[str, Any] = {
            "machine": f"{len(os.sched_getaffinity(0))} cores of {platform.machine()}, "
            f"Python {platform.python_version()}",
            "cost": measure(run, options.promotions),
            "rollback": {},
            "queue": [],
        }
        origin = f"{_arn_of(run, 'cost-0')}"
        print(json.dumps(found["cost"]), file=sys.stderr, flush=True)
        if options.rollbacks:
            found["rollback"] = roll_back(run, options.rollbacks, origin)
            print(json.dumps(found["rollback"]), file=sys.stderr, flush=True)
        for size, people in options.queue:
            if not _affordable(found["queue"], size, began, options.budget):
                print(f"no time for {size} more", file=sys.stderr, flush=True)
                break
            started = time.monotonic()
            row = queue(run, size, people, origin)
            found["queue"].append(row | {"all_seconds": time.monotonic() - started})
            print(json.dumps(found["queue"][-1]), file=sys.stderr, flush=True)
    if options.write:
        write(options.write, page(found))
    print(json.dumps(found, indent=2) if options.json else page(found))
    return 0


def queued(text: str) -> list[tuple[int, int]]:
    """[(how many, by how many people at once)] of `50,100x16`; ValueError if it is not so."""
    found = [re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", one) for one in text.split(",")]
    if None in found:
        raise ValueError(f"{text!r} is not like 50,100x16")
    return [(int(one[1]), int(one[2] or 1)) for one in found if one]


def _affordable(done: Sequence[Mapping[str, Any]], size: int, began: float, budget: float) -> bool:
    """True if so many more should end within the budget, as long as those before took."""
    last = done[-1] if done else {"all_seconds": 60.0, "queued": 10}
    needed = 1.2 * last["all_seconds"] * size / last["queued"]
    return time.monotonic() - began + needed <= budget


def _arn_of(run: Run, model: str) -> str:
    """The Dev version that the model's first promotion was of."""
    first = next(e for e in run.organisation.entries(model) if e["kind"] == "CandidatePromoted")
    return str(first["origin_arn"])


if __name__ == "__main__":
    sys.exit(main())
