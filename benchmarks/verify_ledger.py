"""How fast a ledger is verified, signatures checked: entries per second on one core.

    python -m benchmarks.verify_ledger [--entries 1000 10000 100000] [--json]

Every entry is a real one with its own signature. Beside it, in the same run, the bare cost of one
P-256 verification by the same library: what no verifier can be faster than.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from governance.domain import attestations
from governance.domain.verification import verify_chain
from tests import chains

TARGET = 10_000  # entries per second
_BARE = 2000  # signatures
_ROUNDS = 3  # the best counts: others use the machine too


def best(run: Callable[[], object]) -> float:
    """Seconds of CPU time, of the fastest of some runs: other processes do not count."""
    times = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return min(times)


def bare(signer: chains.Signer, payload: bytes) -> float:
    """Signatures per second of the library alone, hashing included."""
    public, algorithm = signer.private.public_key(), ec.ECDSA(hashes.SHA256())
    signature = signer.private.sign(payload, algorithm)

    def run() -> None:
        for _ in range(_BARE):
            public.verify(signature, payload, algorithm)

    return _BARE / best(run)


def measure(sizes: Sequence[int]) -> dict[str, Any]:
    """What `--json` prints."""
    signer = chains.Signer()
    chain = chains.chain(signer, max(sizes))
    lengths = [len(envelope) for envelope in chain.envelopes]
    payload = attestations.payload_of(chain.envelopes[0].decode())
    rows = []
    for size in sorted(sizes):
        envelopes = chain.envelopes[:size]
        last = attestations.digest_of(attestations.payload_of(envelopes[-1].decode()))
        checkpoint = chains.checkpoint(signer, chain.model, size, last)

        def run() -> None:
            found = verify_chain(envelopes, checkpoint, signer.pem, chain.model)  # noqa: B023
            assert not found, found[0]

        signatures = bare(signer, payload)
        rate = size / best(run)
        rows.append(
            {
                "entries": size,
                "entries_per_second": round(rate),
                "bare_signatures_per_second": round(signatures),
                "cost_in_bare_signatures": round(signatures / rate, 2),
            }
        )
    rates = [row["entries_per_second"] for row in rows]
    return {
        "rows": rows,
        "mean_envelope_bytes": round(statistics.mean(lengths)),
        # 1 is linear growth: the largest chain as fast, an entry, as the smallest.
        "rate_of_largest_to_smallest": round(rates[-1] / rates[0], 2),
        "target_entries_per_second": TARGET,
        "target_met": min(rates) >= TARGET,
    }


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.entries)
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for row in found["rows"]:
        print(
            f"{row['entries']:>8} entries  {row['entries_per_second']:>7}/s  "
            f"bare P-256 {row['bare_signatures_per_second']:>7}/s  "
            f"an entry costs {row['cost_in_bare_signatures']} signatures"
        )
    print(
        f"{found['mean_envelope_bytes']} bytes an envelope; rate of the largest to the smallest "
        f"{found['rate_of_largest_to_smallest']}; target {TARGET}/s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
