"""How fast a ledger is verified, signatures checked: entries per second on one core.

    python -m benchmarks.verify_ledger [--entries 1000 10000 100000] [--json]

Every entry is a real one with its own signature. Beside it, in the same run, the bare cost of one
P-256 verification by the same library: what no verifier can be faster than.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.dsse import Envelope

from governance.domain import attestations
from governance.domain.verification import verify_chain
from tests import chains

TARGET = 10_000  # entries per second
_ROUNDS = 3


def best(*runs: Callable[[], object]) -> list[float]:
    """Seconds of CPU time of each, in turns, the fastest of some rounds: others work here too."""
    fastest = [math.inf] * len(runs)
    for _ in range(_ROUNDS):
        for number, run in enumerate(runs):
            started = time.process_time()
            run()
            fastest[number] = min(fastest[number], time.process_time() - started)
    return fastest


def bare(signer: chains.Signer, envelopes: Sequence[bytes]) -> Callable[[], None]:
    """The library alone, over the very bytes that the ledger signs."""
    public, algorithm = signer.private.public_key(), ec.ECDSA(hashes.SHA256())
    signed = []
    for envelope in envelopes:
        dsse = Envelope.from_dict(json.loads(envelope))
        (signature,) = dsse.signatures.values()
        signed.append((bytes.fromhex(signature.signature), dsse.pae()))

    def run() -> None:
        for signature, encoded in signed:
            public.verify(signature, encoded, algorithm)

    return run


def genuine(signer: chains.Signer, count: int) -> tuple[str, list[bytes]]:
    """(model, envelopes): what a verifier is given, and nothing else that memory must hold."""
    chain = chains.chain(signer, count)
    return chain.model, list(chain.envelopes)


def _verify(envelopes: list[bytes], checkpoint: bytes, public_key_pem: bytes, model: str) -> None:
    found = verify_chain(envelopes, checkpoint, public_key_pem, model)
    assert not found, found[0]


def measure(sizes: Sequence[int]) -> dict[str, Any]:
    """What `--json` prints."""
    signer = chains.Signer()
    model, everything = genuine(signer, max(sizes))
    gc.collect()
    rows = []
    for size in sorted(sizes):
        envelopes = everything[:size]
        last = attestations.digest_of(attestations.payload_of(envelopes[-1].decode()))
        checkpoint = chains.checkpoint(signer, model, size, last)
        verification = partial(_verify, envelopes, checkpoint, signer.pem, model)
        seconds, seconds_bare = best(verification, bare(signer, envelopes))
        rate, signatures = size / seconds, size / seconds_bare
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
        "mean_envelope_bytes": round(statistics.mean(map(len, everything))),
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
