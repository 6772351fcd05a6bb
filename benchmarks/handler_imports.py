"""What the cold import of each handler costs, as a ratio to boto3 and one client.

    python -m benchmarks.handler_imports [--starts 5] [--json]

A new interpreter for each, with the interpreter's own start taken off; all take turns, so that
every one of them feels the same load of the machine. Exit code 1 if a handler costs more than the
target.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

from governance.settings import Settings

TARGET = 1.5  # times the baseline
_ROOT = Path(__file__).parents[1]
_HANDLERS = sorted(
    path.stem
    for path in (_ROOT / "functions" / "governance" / "handlers").glob("*.py")
    if path.stem != "__init__"
)
_NOTHING = "nothing"
_BASELINE = "boto3 and one client"
_CODES = {
    _NOTHING: "pass",
    _BASELINE: "import boto3\nboto3.client('dynamodb', region_name='us-east-1')",
    **{name: f"import governance.handlers.{name}" for name in _HANDLERS},
}


def measure(starts: int) -> list[dict[str, Any]]:
    """[{what, seconds, ratio}] of the baseline and every handler: medians of `starts` starts."""
    environment = os.environ | {field.name.upper(): "x" for field in fields(Settings)}
    environment |= {"PYTHONPATH": str(_ROOT / "functions"), "AWS_DEFAULT_REGION": "us-east-1"}
    taken: dict[str, list[float]] = {what: [] for what in _CODES}
    for _ in range(starts):
        for what, code in _CODES.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], env=environment, check=True)
            taken[what].append(time.perf_counter() - started)
    empty = median(taken.pop(_NOTHING))
    seconds = {what: median(times) - empty for what, times in taken.items()}
    return [
        {"what": what, "seconds": round(cost, 3), "ratio": round(cost / seconds[_BASELINE], 2)}
        for what, cost in seconds.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a handler misses the target."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--starts", type=int, default=5, help="new processes of each kind")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    found = measure(options.starts)
    if options.json:
        print(json.dumps({"target": TARGET, "imports": found}, indent=2))
    else:
        for row in found:
            print(f"{row['what']:26} {row['seconds']:6.3f} s {row['ratio']:5.2f}")
    return int(any(row["ratio"] > TARGET for row in found))


if __name__ == "__main__":
    sys.exit(main())
