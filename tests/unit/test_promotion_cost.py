"""What the cost benchmark counts, and how it prices it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import promotion_cost as benchmark

REPORT = "REPORT RequestId: r\tDuration: {0} ms\tBilled Duration: {0} ms\tMemory Size: {1} MB\tMax"


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


def test_every_state_and_every_attempt_after_the_first_is_a_transition() -> None:
    history = [
        event("ExecutionStarted"),
        event("TaskStateEntered"),
        *[event("TaskScheduled"), event("TaskFailed")] * 2,
        event("TaskScheduled"),
        event("TaskSucceeded"),
        event("TaskStateExited"),
        event("ChoiceStateEntered"),
        event("ChoiceStateExited"),
        event("SucceedStateEntered"),
        event("ExecutionSucceeded"),
    ]
    assert benchmark.transitions(history) == {"states": 3, "retries": 2}


def test_tasks_within_a_map_are_transitions_and_no_retries() -> None:
    """The embedded engine notes their attempts and not that they were entered."""
    task = [event("TaskScheduled"), event("TaskSucceeded")]
    history = [event("MapStateEntered"), *task, *task, event("MapStateExited")]
    assert benchmark.transitions(history) == {"states": 3, "retries": 0}


def test_lambda_is_seconds_times_memory_of_every_report() -> None:
    lines = ["START", REPORT.format("1500", 512), "said REPORT", REPORT.format("20.5", 1024)]
    used, calls = benchmark.gb_seconds(lines)
    assert (used, calls) == (pytest.approx(1.5 * 0.5 + 0.0205), 2)


def test_prices_are_per_unit() -> None:
    million = dict.fromkeys(benchmark.PRICES, 1e6)
    assert benchmark.cost(million) == pytest.approx(
        {
            "transition": 25.0,
            "gb_second": 13.3334,
            "invocation": 0.2,
            "signature": 15.0,
            "write_unit": 0.625,
            "event": 1.0,
        }
    )


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.99, 4), (0.25, 1), (1.0, 4)])
def test_a_percentile_is_one_of_the_values(share: float, value: int) -> None:
    assert benchmark.percentile([4, 1, 3, 2], share) == value


def test_growth_is_told_by_tenths_of_those_that_ended() -> None:
    """Twenty that ran for two seconds each; the second half ends at half the pace."""
    ends = [100.0 + number for number in range(1, 11)] + [110.0 + 2 * n for n in range(1, 11)]
    told = benchmark.throughput(100.0, [(end - 2, end) for end in reversed(ends)])
    assert told == {
        "seconds": 30.0,
        "per_promotion_s": 1.5,
        "per_minute": 40.0,
        "at_once": 20 * 2 / 30,
        "tenths": [1.0] * 5 + [2.0] * 5,
    }
    assert benchmark.throughput(0.0, [(0.0, 3.0)])["tenths"] == [3.0]


def test_how_many_and_by_how_many_people() -> None:
    assert benchmark.queued("50,1000x16") == [(50, 1), (1000, 16)]
    for bad in ("many", "5x", "x5", "5x6x7", "0", "5x0"):
        with pytest.raises(SystemExit):
            benchmark.main(["--queue", bad, "--paper"])


def found(**more: Any) -> dict[str, Any]:
    usage = dict.fromkeys(benchmark.PRICES, 100.0)
    waited = {"first_state": [0.5, 1.5], "traffic": [9.0]}
    return {
        "machine": "2 cores",
        "cost": {
            "promotions": 1,
            "transitions": {"promote_to_central": 40.0},
            "retries": 0.0,
            "usage": usage,
            "usd": benchmark.cost(usage),
            "functions": {},
            "waited": waited | {stage: [10.0] for stage in benchmark.STAGES},
        },
        "rollback": {},
        "queue": [],
        **more,
    }


def test_the_page_says_what_was_measured_and_nothing_else() -> None:
    text = benchmark.page(found())
    assert text.startswith(benchmark.BEGIN)
    assert text.endswith(benchmark.END)
    assert "| approval to first state (2) | 1.00 | 1.50 |" in text
    assert "rollback" not in text
    assert "approved in Dev" not in text
    assert "rollback" in benchmark.page(found(rollback={"traffic": [2.0]}))
    row = {"queued": 1000, "people": 16, "approving_s": 8.0, "transitions": 19.0, "failed": 0}
    row |= benchmark.throughput(0.0, [(0.0, 10.0)])
    row |= {"first_state": [0.5, 1.5], "first_state_after_approval": [0.3, 1.2]}
    assert (
        "| 1,000 | 16 | 10 s | 8 s | 1 | 10.00 s | 10.00 | 6 "
        "| 0.5 s, 1.5 s | 0.3 s, 1.2 s | 19 | 0 |" in benchmark.page(found(queue=[row]))
    )


def test_the_tables_take_the_place_of_the_last_ones(tmp_path: Path) -> None:
    file = tmp_path / "cost.md"
    file.write_text(f"before\n{benchmark.BEGIN}\nold\n{benchmark.END}\nafter\n")
    benchmark.write(file, f"{benchmark.BEGIN}\nnew\n{benchmark.END}")
    assert file.read_text() == f"before\n{benchmark.BEGIN}\nnew\n{benchmark.END}\nafter\n"
    file.write_text("no marks")
    with pytest.raises(ValueError, match="has no marks"):
        benchmark.write(file, f"{benchmark.BEGIN}\nnew\n{benchmark.END}")


def test_on_paper_a_promotion_keeps_its_target() -> None:
    """With more suites than any tier asks for, and a second for every invocation."""
    computed = benchmark.on_paper()
    assert sum(computed["usd"].values()) < 0.02
    assert computed["transitions"].keys() == {*benchmark.WORKFLOWS, "copy batch"}
    assert benchmark.paper_page(computed).startswith(benchmark.PAPER_BEGIN)
