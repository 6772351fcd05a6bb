"""How long a gate takes to decide, warm and cold, as a ratio to what it takes without Cedar.

    python -m benchmarks.gate_latency [--rounds 300] [--starts 7] [--json]

Warm: one decision in a process that has decided before. Baseline, in the same run: the request
built out of facts and policy, and not evaluated. Cold: a new interpreter until it can decide, with
what each step adds. Baseline: one that imports boto3 and makes a client. Nothing is asked of AWS.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from statistics import median
from typing import Any

from cli import policies
from governance.adapters.policy_engine import PolicyEngine
from governance.domain import gates, policy_request
from governance.domain.facts import Facts
from governance.settings import Settings
from tests.contracts import samples

_ROOT = Path(__file__).parents[1]
_APPROVERS = {"Dev": "data-scientist", "Test": "ai-engineer", "Prod": "governance-engineer"}
_METRICS = {"auc": 0.82, "brier": 0.17, "calibration_error": 0.06, "latency_p95_ms": 9.5}
_REVIEWS = {"technical": "tess", "business": "bruno", "compliance": "chloe", "deployment": "remy"}
_BEFORE = {"Dev": None, "Test": "Test/PendingApproval", "Prod": "Test/Passed"}

_SECTIONS = (
    *("additional_information", "business_details", "evaluation_details"),
    *("intended_uses", "model_overview", "training_details"),
)
_HANDLER = "import governance.handlers.evaluate_gate\n"
_PARSE = """
from pathlib import Path
from governance.adapters.policy_engine import engine
names = ("approvals.cedar", "approvals.cedarschema")
engine(*(Path("policies", name).read_text() for name in names))
"""
_COLD = {
    "boto3 and a client": "import boto3\nboto3.client('s3', region_name='us-east-1')",
    "handler, nothing decided": _HANDLER,
    "handler, Cedar imported": _HANDLER + "import cedarpy",
    "handler, policy parsed": _HANDLER + _PARSE,
}


def facts(stage: str, *, allowed: bool) -> Facts:
    """Facts that the gate of a stage allows under tier high, or that break half of its rules."""
    earlier = [
        {"stage": "Dev", "person": "dana", "decided_at": "2026-11-19T06:00:00Z"},
        {"stage": "Test", "person": "alex", "decided_at": "2026-11-20T06:00:00Z"},
    ]
    approver = samples.identity(_APPROVERS[stage], "grace", samples.CENTRAL)
    found = Facts(
        stage=stage,
        model_package_arn=samples.version_arn(),
        candidate_id=samples.CANDIDATE,
        approver=approver,
        confirmation={"approver": approver},
        trainer=samples.identity("training", "theo"),
        decision_current=True,
        approval={"model_approval_status": "Approved", "approval_description": "x" * 80},
        asked_at="2026-11-21T06:00:30Z",
        decided_at=samples.DECIDED,
        policy_recorded=True,
        evaluation={"valid": True, "metrics": _METRICS, "subgroup_auc_gap": 0.05},
        tests_passed=True,
        test_metrics=_METRICS,
        phase=_BEFORE[stage],
        reviews=[_review(kind, person) for kind, person in _REVIEWS.items()],
        approvals=earlier[: list(_APPROVERS).index(stage)],
        card_sections=_SECTIONS,
        dataset_version="s3://b/dataset.csv version v1",
        image={"uri": samples.IMAGE, "registry": "683313688378", "critical": None},
    )
    if allowed:
        return found
    return replace(
        found,
        approver={},
        decision_current=False,
        evaluation={},
        tests_passed=False,
        reviews=[],
        card_sections=[],
        image={},
    )


def warm(rounds: int) -> list[dict[str, Any]]:
    """[{stage, verdict, request_us, decision_us, ratio}]: medians in microseconds."""
    policy = policies.read(policies.DIRECTORY, "high")
    engine = PolicyEngine(policy.cedar, policy.schema)
    rows = []
    for stage in _APPROVERS:
        for allowed in (True, False):
            given = facts(stage, allowed=allowed)
            verdict = gates.evaluate(given, policy, engine.decide)
            assert verdict.allowed is allowed
            # Alternating, so that both feel the same load of the machine.
            request, decision = _medians(
                rounds,
                lambda given=given: policy_request.request(given, policy),
                lambda given=given: gates.evaluate(given, policy, engine.decide),
            )
            rows.append(
                {
                    "stage": stage,
                    "verdict": "allowed" if allowed else f"denied by {len(verdict.reasons)}",
                    "request_us": round(request * 1e6),
                    "decision_us": round(decision * 1e6),
                    "ratio": round(decision / request, 1),
                }
            )
    return rows


def cold(starts: int) -> list[dict[str, Any]]:
    """[{what, seconds, ratio}]: median time of a new process, without the interpreter's own."""
    environment = os.environ | {field.name.upper(): "x" for field in fields(Settings)}
    environment["PYTHONPATH"] = f"{_ROOT}:{_ROOT / 'functions'}"
    environment["AWS_DEFAULT_REGION"] = "us-east-1"
    codes = ["pass", *_COLD.values()]

    def start(code: str) -> Callable[[], None]:
        def run() -> None:
            subprocess.run([sys.executable, "-c", code], env=environment, cwd=_ROOT, check=True)

        return run

    empty, *times = _medians(starts, *(start(code) for code in codes))
    baseline = times[0] - empty
    return [
        {
            "what": what,
            "seconds": round(seconds - empty, 3),
            "ratio": round((seconds - empty) / baseline, 2),
        }
        for what, seconds in zip(_COLD, times, strict=True)
    ]


def _medians(rounds: int, *works: Callable[[], Any]) -> list[float]:
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, taken, strict=True):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
    return [median(times) for times in taken]


def _review(kind: str, person: str) -> dict[str, Any]:
    persona = "ai-engineer" if kind == "technical" else "governance-engineer"
    identity = samples.identity(persona, person, samples.CENTRAL)
    return {**identity, "kind": kind, "given_at": "2026-11-20T07:00:00Z"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=300, help="decisions of each kind")
    parser.add_argument("--starts", type=int, default=7, help="new processes of each kind")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    found = {"warm": warm(options.rounds), "cold": cold(options.starts)}
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    print("warm: request built only (baseline), decided, ratio")
    for row in found["warm"]:
        print(
            f"  {row['stage']:5} {row['verdict']:13} {row['request_us']:6} us"
            f" {row['decision_us']:6} us {row['ratio']:5}"
        )
    print("cold: seconds of a new process, ratio to the first")
    for row in found["cold"]:
        print(f"  {row['what']:26} {row['seconds']:6} s {row['ratio']:5}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
