"""How fast the ledger is appended to, and where the time goes, in an embedded AWS of its own.

    python -m benchmarks.ledger_append [--entries 200] [--writers 8] [--json]

Baseline, in the same run: a plain conditional PutItem of the same rows, without signature, chain,
head or marker. One writer; then several at once, each with a model of its own; then several at
once to one model, where all but one of a round lose the race and sign anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from governance.adapters import items, sessions
from governance.adapters.ledger import Writer
from governance.domain import attestations
from governance.domain.errors import TransientError
from governance.settings import Settings
from local import launcher, organisation
from tests.contracts import samples

_CENTRAL = organisation.ACCOUNTS["central"]
_TABLES = {
    "ledger": [("model", "S"), ("sequence", "N")],
    "ledger-heads": [("model", "S")],
    "baseline": [("model", "S"), ("sequence", "N")],
}
_BUCKET = "benchmark-evidence"


class Clock:
    """Seconds spent in each operation of AWS, over all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._started = threading.local()
        self._lock = threading.Lock()

    def watch(self, client: Any) -> None:
        """Count this client's calls."""
        client.meta.events.register("before-call", self._before)
        client.meta.events.register("after-call", self._after)

    def clear(self) -> None:
        """Begin again at nothing."""
        self.seconds.clear()
        self.calls.clear()

    def _before(self, **_: Any) -> None:
        self._started.at = time.perf_counter()

    def _after(self, model: Any, **_: Any) -> None:
        spent = time.perf_counter() - self._started.at
        with self._lock:
            self.seconds[model.name] += spent
            self.calls[model.name] += 1


def _prepare(server: launcher.Server) -> Settings:
    """Tables, key and bucket, and the settings that a function would have."""
    session = organisation.root_session(_CENTRAL)
    os.environ.update(organisation.environment(session, server.endpoint_url))
    dynamodb = sessions.own_client("dynamodb")
    for name, keys in _TABLES.items():
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": t} for k, t in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind}
                for (key, _), kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
        )
    key = sessions.own_client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    sessions.own_client("s3").create_bucket(Bucket=_BUCKET)
    names = {
        "LEDGER_TABLE": "ledger",
        "LEDGER_HEADS_TABLE": "ledger-heads",
        "EVIDENCE_BUCKET": _BUCKET,
        "LEDGER_KEY_ARN": key["KeyMetadata"]["Arn"],
    }
    return Settings.load({name.upper(): "unused" for name in Settings.__annotations__} | names)


def _entry(model: str, number: int) -> dict[str, Any]:
    """An entry as a gate's yes makes it."""
    verdict = {
        "allowed": True,
        "stage": "Test",
        "reasons": [],
        "rules": ["approver_is_not_trainer", "meets_the_thresholds"],
        "policy_digest": samples.digest("policy"),
        "description": "Gate Test: allowed by 2 rules",
        "leaves": None,
    }
    return {
        "model": model,
        "entry_id": hashlib.sha256(f"{model} {number}".encode()).hexdigest(),
        "kind": "ValidationStarted",
        "recorded_at": samples.DECIDED,
        "workflow": "validate_in_test",
        "claim_id": samples.CLAIM,
        "decided_at": samples.DECIDED,
        "model_package_arn": samples.version_arn(model=model),
        "approver": samples.identity("ai-engineer", "alex"),
        "trainer": samples.identity("training", "theo"),
        "verdict": verdict,
        "stage": "Test",
        "stage_status": "Validating",
    }


def _put_plainly(model: str, number: int) -> None:
    entry = _entry(model, number)
    row = samples.row(attestations.linked(entry, number, attestations.NO_PREVIOUS))
    sessions.own_client("dynamodb").put_item(
        TableName="baseline",
        Item=items.to_item(row),
        ConditionExpression="attribute_not_exists(model)",
    )


def _append(writer: Writer, entry: dict[str, Any]) -> None:
    while True:
        try:
            writer.append(entry)
        except TransientError:
            continue  # as the state machine does
        return


def _timed(clock: Clock, write: Callable[[str, int], None], work: Sequence[Sequence[Any]]) -> Any:
    """How fast the writers are, each with its list of (model, number), and what takes the time."""
    count = sum(len(one) for one in work)
    clock.clear()
    started = time.perf_counter()
    with ThreadPoolExecutor(len(work)) as pool:
        list(pool.map(lambda one: [write(*entry) for entry in one], work))
    seconds = time.perf_counter() - started
    each = {name: 1000 * spent / count for name, spent in sorted(clock.seconds.items())}
    # With several writers the threads wait for each other, so only one writer's rest is ours.
    rest = {"own code": 1000 * seconds / count - sum(each.values())} if len(work) == 1 else {}
    return {
        "writers": len(work),
        "entries": count,
        "appends_per_second": round(count / seconds, 1),
        "milliseconds_of_one": {name: round(spent, 2) for name, spent in (each | rest).items()},
        "calls_of_one": {n: round(c / count, 2) for n, c in sorted(clock.calls.items())},
    }


def measure(entries: int, writers: int) -> dict[str, Any]:
    """What `--json` prints."""
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory) / "state"
        try:
            settings = _prepare(launcher.up(state))
            clock, writer = Clock(), Writer(settings)
            for service in ("dynamodb", "kms"):
                clock.watch(sessions.own_client(service))
            _append(writer, _entry("warm", 1))  # libraries, public key
            numbers, share = range(1, entries + 1), range(1, entries // writers + 1)
            alone = [[("one", number) for number in numbers]]
            own = [[(f"own-{index}", number) for number in share] for index in range(writers)]
            same = [[("same", number) for number in numbers[i::writers]] for i in range(writers)]

            def append(model: str, number: int) -> None:
                _append(writer, _entry(model, number))

            return {
                "baseline: plain PutItem": _timed(clock, _put_plainly, alone),
                "append": _timed(clock, append, alone),
                "append, a model each": _timed(clock, append, own),
                "append, all to one model": _timed(clock, append, same),
            }
        finally:
            launcher.down(state)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=200)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.entries, options.writers)
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, one in found.items():
        print(f"{name}: {one['appends_per_second']}/s, {one['writers']} writers")
        for part, spent in one["milliseconds_of_one"].items():
            print(f"    {part:<20}{spent:>8.2f} ms  {one['calls_of_one'].get(part, '')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
