"""How fast a candidate is copied to Central, in an embedded AWS of its own.

    python -m benchmarks.copy_throughput [--sizes 1,8x1,64] [--objects 1000] [--link 125] [--json]
    python -m benchmarks.copy_throughput --paper

Sizes are in MiB; "8x1" is a candidate of 8 objects of 1 MiB. Beside our copy (plan, batches,
verification), in the same run and on the same data: boto3's managed copy, and download-then-upload
by the managed transfer. Both have S3 compute a SHA-256 too, so that each way leaves the same, and
compare none. What is small runs several times, in turn: the medians count. `--link` puts a link of
so many MB/s between this process and the embedded AWS. `--paper` computes what larger copies take
in state transitions and calls, from the planner itself, and runs nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from boto3.s3.transfer import TransferConfig

from governance.adapters import parallel, sessions
from governance.adapters.artifacts import Artifacts
from governance.adapters.copies import Copies
from governance.adapters.receipts import WORTH, Receipts
from governance.domain import copying, locations
from local import launcher, organisation

_CENTRAL = organisation.ACCOUNTS["central"]
_MIB = 1024**2
_DEV, _THERE, _EVIDENCE = "benchmark-dev", "benchmark-central", "benchmark-evidence"
_SMALL = 4096  # bytes of each of many objects
_REPEATED, _SMALL_ENOUGH, _FEW = 9, 64 * _MIB, 100  # runs of what has so few bytes and objects
_AGAIN, _LARGE, _MANY = 3, 1024 * _MIB, 1000  # runs of what has no more than these
_TRANSFER = TransferConfig(max_concurrency=parallel.REQUESTS)


class Calls:
    """The requests that S3 was sent, by operation."""

    def __init__(self, client: Any) -> None:
        self.made: Counter[str] = Counter()
        client.meta.events.register("before-call.s3", self._count)

    def _count(self, model: Any, **_: Any) -> None:
        self.made[model.name] += 1


@contextmanager
def _prepared(link: float) -> Iterator[tuple[str, int]]:
    """An embedded AWS with versioned buckets, behind a link of so many MB/s.

    The ARN of a key, and the id of its process.
    """
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        state = Path(directory) / "state"
        server = launcher.up(state, {"LOG_LEVEL": "WARNING"})
        stack.callback(launcher.down, state)
        url = stack.enter_context(_linked(server.port, link)) if link else server.endpoint_url
        session = organisation.root_session(_CENTRAL)
        os.environ.update(organisation.environment(session, url))
        s3 = sessions.own_client("s3")
        for bucket in (_DEV, _THERE, _EVIDENCE):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield str(sessions.own_client("kms").create_key()["KeyMetadata"]["Arn"]), server.pid


@contextmanager
def _linked(port: int, speed: float) -> Iterator[str]:
    """The URL of a link to that port."""
    command = [sys.executable, "-m", "benchmarks.link", str(port), str(speed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as link:
        assert link.stdout
        try:
            yield f"http://127.0.0.1:{link.stdout.readline().strip()}"
        finally:
            link.kill()


def _upload(key: str, size: int) -> dict[str, Any]:
    """An object as a training pipeline uploads it: above one part, in parts; its location."""
    s3, part = sessions.own_client("s3"), copying.part_size(size)
    where = {"Bucket": _DEV, "Key": key}
    if size <= part:
        s3.put_object(**where, Body=os.urandom(size), ChecksumAlgorithm="SHA256")
        return Artifacts().locate(_DEV, key)
    upload = s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
    sent = []
    for number, first in enumerate(range(0, size, part), 1):
        answer = s3.upload_part(
            **where,
            UploadId=upload,
            PartNumber=number,
            Body=os.urandom(min(part, size - first)),
            ChecksumAlgorithm="SHA256",
        )
        kept = {name: answer[name] for name in ("ETag", "ChecksumSHA256")}
        sent.append({"PartNumber": number, **kept})
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": sent})
    found = Artifacts().locate(_DEV, key)
    return {**found, "part_sizes": Artifacts().part_sizes(found)}


def _ours(work: list[dict[str, Any]], prefix: str, kms_key: str) -> float:
    """Plan, copy batch after batch, verify; the seconds that functions would run."""
    began = time.perf_counter()
    copies = Copies(_THERE, prefix, kms_key, {"model": "m"})
    receipts = Receipts(_EVIDENCE, "m", prefix.strip("/"), kms_key)
    missing = copies.missing(work, receipts.of(len(work)))
    batches = copying.batches(missing, copies.uploads(missing))
    for batch in batches:
        receipts.keep(copies.copy(batch, again=False)[1])
    copies.complete(work)
    central, known = Artifacts(kms_key=kms_key), receipts.of(len(work))
    if len(work) < WORTH:
        arrived = parallel.each(lambda one: central.locate(_THERE, one["key"]), work)
    else:
        arrived = central.locate_under(_THERE, prefix, known)
    there = {one["key"]: one for one in arrived}
    assert len(there) == len(work)
    for one in work:
        assert locations.same_bytes(one["source"], there[one["key"]]), one["key"]
    return time.perf_counter() - began


def _managed(work: list[dict[str, Any]], kms_key: str) -> float:
    """boto3's managed copy of each object, as many at a time as ours has requests."""
    s3, began = sessions.own_client("s3"), time.perf_counter()
    extra = {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": kms_key,
        "ChecksumAlgorithm": "SHA256",
    }

    def one(transfer: dict[str, Any]) -> None:
        source = transfer["source"]
        pinned = {"Bucket": _DEV, "Key": source["key"], "VersionId": source["version_id"]}
        s3.copy(pinned, _THERE, f"managed/{transfer['key']}", ExtraArgs=extra, Config=_TRANSFER)

    _several(one, work)
    return time.perf_counter() - began


def _through_here(work: list[dict[str, Any]], kms_key: str) -> float:
    """Download to a file and upload it again, as a build job does."""
    s3, began = sessions.own_client("s3"), time.perf_counter()
    extra = {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": kms_key,
        "ChecksumAlgorithm": "SHA256",
    }

    def one(transfer: dict[str, Any]) -> None:
        with tempfile.NamedTemporaryFile() as file:
            s3.download_file(_DEV, transfer["source"]["key"], file.name, Config=_TRANSFER)
            key = f"through/{transfer['key']}"
            s3.upload_file(file.name, _THERE, key, ExtraArgs=extra, Config=_TRANSFER)

    _several(one, work)
    return time.perf_counter() - began


def _several(do: Callable[[dict[str, Any]], None], work: list[dict[str, Any]]) -> None:
    if len(work) == 1:
        do(work[0])
        return
    with ThreadPoolExecutor(parallel.REQUESTS) as pool:
        list(pool.map(do, work))


def _compare(name: str, work: list[dict[str, Any]], kms_key: str, server: int) -> dict[str, Any]:
    """The three ways, after each other, and what each leaves is removed before the next."""
    calls = Calls(sessions.own_client("s3"))
    size = sum(one["source"]["size"] for one in work)
    prefix = f"models/{name}/"
    work = [{**one, "key": prefix + one["key"]} for one in work]
    took: dict[str, list[float]] = {"ours": [], "again": [], "managed": [], "through": []}
    worked: dict[str, list[float]] = {way: [] for way in took}

    def run(way: str, do: Callable[[], float]) -> None:
        before = _cpu(server)
        took[way].append(do())
        worked[way].append(_cpu(server) - before)

    grown, made = 0.0, dict[str, int]()
    for _ in range(_runs(size, len(work))):
        memory, before = _memory(), Counter(calls.made)
        run("ours", lambda: _ours(work, prefix, kms_key))
        grown, made = max(grown, _memory() - memory), dict(calls.made - before)
        run("again", lambda: _ours(work, prefix, kms_key))
        _empty()
        run("managed", lambda: _managed(work, kms_key))
        _empty()
        run("through", lambda: _through_here(work, kms_key))
        _empty()
        _empty(_EVIDENCE)
    seconds = {way: median(times) for way, times in took.items()}
    cpu = {way: median(times) for way, times in worked.items()}
    return {
        "what": name,
        "bytes": size,
        **{f"{way}_s": each for way, each in seconds.items()},
        **{f"{way}_cpu_s": each for way, each in cpu.items()},
        "vs_managed": seconds["managed"] / seconds["ours"],
        "vs_through": seconds["through"] / seconds["ours"],
        "cpu_vs_managed": cpu["managed"] / cpu["ours"] if cpu["ours"] else 0,
        "cpu_vs_through": cpu["through"] / cpu["ours"] if cpu["ours"] else 0,
        "memory_mib": grown,
        "calls": made,
        "runs": len(took["ours"]),
    }


def _cpu(server: int) -> float:
    """CPU seconds that this process and the embedded AWS have had: what others do is not in it."""
    times = [psutil.Process(pid).cpu_times() for pid in (os.getpid(), server)]
    return sum(one.user + one.system for one in times)


def _runs(size: int, objects: int) -> int:
    if size <= _SMALL_ENOUGH and objects < _FEW:
        return _REPEATED
    return _AGAIN if size <= _LARGE and objects <= _MANY else 1


def _memory() -> float:
    """MiB that this process has."""
    return float(psutil.Process().memory_info().rss) / _MIB


def _empty(bucket: str = _THERE) -> None:
    s3 = sessions.own_client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [{k: one[k] for k in ("Key", "VersionId")} for one in page.get("Versions", [])]
        if found:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": found})


def measure(sizes: list[tuple[int, int]], objects: int, link: float) -> Iterator[dict[str, Any]]:
    """So many objects of each size (MiB) as one candidate, then many small ones."""
    with _prepared(link) as place:
        warm = [{"source": _upload("warm", _SMALL), "key": "warm"}]
        _compare("warm", warm, *place)
        for count, size in sizes:
            work = [
                {"source": _upload(f"some/{size}-{number}", size * _MIB), "key": f"{number}"}
                for number in range(count)
            ]
            several = f"{count} x " if count > 1 else ""
            yield _compare(f"{several}{size} MiB", work, *place)
            _empty(_DEV)
        if objects:
            s3 = sessions.own_client("s3")

            def put(number: int) -> None:
                body = number.to_bytes(8, "big") * (_SMALL // 8)
                s3.put_object(
                    Bucket=_DEV, Key=f"many/{number:06}", Body=body, ChecksumAlgorithm="SHA256"
                )

            parallel.each(put, range(objects))
            many = Artifacts().locate_under(_DEV, "many/")
            work = [{"source": one, "key": one["key"]} for one in many]
            yield _compare(f"{objects} objects", work, *place)


def on_paper(name: str, sizes: list[int]) -> dict[str, Any]:
    """What the planner makes of objects of these sizes: transitions and calls, and their growth."""
    work, calls, whole = [], Counter[str](), 0
    # So many are under a prefix: the approval looks at none that the registration has looked at.
    builds = 1 if len(sizes) >= WORTH else 2
    for number, size in enumerate(sizes):
        part = copying.part_size(size)
        in_parts = size > part
        count = -(-size // part)
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        source: dict[str, Any] = {
            "bucket": _DEV,
            "key": f"model/{number:06}",
            "version_id": "v1",
            "size": size,
            "sha256": f"{digest}-{count}" if in_parts else digest,
        }
        calls["look at the source"] += builds
        if in_parts:
            calls["look at the copy"] += 2
            full, rest = divmod(size, part)
            source["part_sizes"] = [[full, part], *([[1, rest]] if rest else [])]
            # Sizes of the source's parts, and the parts that have arrived: 1,000 an answer.
            calls["list parts"] += (builds + 1) * -(-count // 1000)
            calls["begin and complete"] += 2
            calls["UploadPartCopy"] += count
        else:
            calls["CopyObject"] += 1
            whole += 1
        work.append({"source": source, "key": f"models/m/c/model-data/{number:06}"})
    calls["list"] = 5 * -(-len(sizes) // 1000)
    uploads = {one["key"]: {"upload_id": "u" * 64, "parts": {}} for one in work}
    batches = copying.batches(work, uploads)
    kept = [len(one["objects"]) for one in batches if len(one["objects"]) >= WORTH]
    # What has a receipt is not looked at: written once, listed and read once when it is verified.
    calls["look at the copy"] += whole - sum(kept)
    calls["receipts"] = 2 * len(kept) + (2 * -(-len(batches) // 1000) if len(sizes) >= WORTH else 0)
    return {
        "what": name,
        "bytes": sum(sizes),
        "batches": len(batches),
        # PlanCopy, AnythingMissing?, CopyObjects, ObjectsCopied?, VerifyCopy; an execution of a
        # batch is charged for its start and its one state.
        "transitions": 5 + 2 * len(batches),
        "calls": dict(calls),
        "calls_total": sum(calls.values()),
    }


def paper() -> list[dict[str, Any]]:
    """From the demo's size to 50 TB."""
    tb = 10**12
    return [
        on_paper("8 objects of 1 MiB", [_MIB] * 8),
        on_paper("10,000 objects of 4 KiB", [_SMALL] * 10_000),
        on_paper("8 GiB", [8 * 1024**3]),
        on_paper("1 TB, one object", [tb]),
        on_paper("1 TB, 200 shards of 5 GB", [5 * 10**9] * 200),
        on_paper("50 TB, 10 objects", [5 * tb] * 10),
        on_paper("50 TB, 10,000 shards of 5 GB", [5 * 10**9] * 10_000),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print what was measured, or computed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1,8x1,64,256", help="MiB, with commas between")
    parser.add_argument("--objects", type=int, default=1000, help="small ones under a prefix")
    parser.add_argument("--link", type=float, default=0, help="MB/s to the embedded AWS, 0: none")
    parser.add_argument("--paper", action="store_true", help="compute, run nothing")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    counted = [size.rpartition("x") for size in given.sizes.split(",") if size]
    sizes = [(int(count or 1), int(size)) for count, _, size in counted]
    rows = iter(paper()) if given.paper else measure(sizes, given.objects, given.link)
    if given.json:
        print(json.dumps(list(rows), indent=2))
    elif given.paper:
        for row in rows:
            print(
                f"{row['what']:>30}  {row['batches']:>6} batches  {row['transitions']:>7} "
                f"transitions  {row['calls_total']:>8} calls"
            )
    else:
        for row in rows:
            print(
                f"{row['what']:>14}  ours {row['ours_s']:8.3f} s  again {row['again_s']:7.3f} s  "
                f"managed {row['managed_s']:8.3f} s ({row['vs_managed']:.2f}x, CPU "
                f"{row['cpu_vs_managed']:.2f}x)  through here {row['through_s']:8.3f} s "
                f"({row['vs_through']:.2f}x, CPU {row['cpu_vs_through']:.2f}x)  CPU of ours "
                f"{row['ours_cpu_s']:.2f} s  "
                f"+{row['memory_mib']:.0f} MiB  {row['runs']} runs",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
