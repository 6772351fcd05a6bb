"""A large holdout is read as a stream: what is kept of it is what is asked for."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody

from governance.adapters import holdout, sessions
from governance.adapters.artifacts import Artifacts
from governance.adapters.bench import Bench
from governance.adapters.runtime import Runtime
from governance.domain.errors import IntegrityError, InvalidInputError, TransientError

MIB = 1024**2
ATTRIBUTES = [
    {"name": "sex", "column": "sex"},
    {"name": "age", "column": "age", "bands": [{"value": "young", "from": 0}]},
]
REPORT = json.dumps({"attributes": ATTRIBUTES}).encode()


class S3:
    """Two objects: the holdout, and the evaluation report."""

    def __init__(self, body: bytes) -> None:
        self.objects = {"holdout": body, "evaluation": REPORT}
        self.fails_after: int | None = None

    def get_object(self, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:
        body, fails_after = self.objects[Key], self.fails_after

        class Body(StreamingBody):
            def read(self, amt: int | None = None) -> bytes:
                if fails_after is not None and self.tell() >= fails_after:
                    raise ReadTimeoutError(endpoint_url="https://s3")
                return super().read(amt)

        return {"ContentLength": len(body), "Body": Body(io.BytesIO(body), len(body))}


@pytest.fixture
def large() -> S3:
    """4 MiB of patients."""
    lines = ["patient,age,sex,bmi,blood_pressure,glucose,high_risk\n"]
    size = len(lines[0])
    while size < 4 * MIB:
        number = len(lines)
        lines.append(
            f"{number},{20 + number % 60},{1 + number % 2},2{number % 10}.5,8{number % 7},97,1\n"
        )
        size += len(lines[-1])
    return S3("".join(lines).encode())


@pytest.fixture
def artifacts(monkeypatch: pytest.MonkeyPatch) -> Callable[[S3], Artifacts]:
    def of(s3: S3) -> Artifacts:
        monkeypatch.setattr(sessions, "own_client", lambda service: s3)
        return Artifacts()

    return of


def objects(s3: S3, sha256: str = "") -> list[dict[str, Any]]:
    return [
        {
            "role": role,
            "bucket": "b",
            "key": role,
            "sha256": sha256 or hashlib.sha256(body).hexdigest(),
        }
        for role, body in s3.objects.items()
    ]


@contextmanager
def peak() -> Iterator[list[int]]:
    """[bytes that Python had allocated at most meanwhile]."""
    found: list[int] = []
    tracemalloc.start()
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def test_rows_are_counted_without_keeping_any(
    large: S3, artifacts: Callable[[S3], Artifacts]
) -> None:
    reader, named = artifacts(large), objects(large)
    with peak() as most:
        found = holdout.count(reader, named)
    assert found == large.objects["holdout"].count(b"\n") - 1
    assert most[0] < 3 * MIB


def test_a_shard_keeps_its_own_rows_alone(large: S3, artifacts: Callable[[S3], Artifacts]) -> None:
    reader, named = artifacts(large), objects(large)
    every = list(csv.DictReader(io.StringIO(large.objects["holdout"].decode())))
    with peak() as most:
        found = holdout.rows_of(reader, named, 70_000, 70_100)
    assert found == every[70_000:70_100]
    assert most[0] < 3 * MIB
    assert holdout.rows_of(reader, named, len(every) - 1, len(every) + 50) == every[-1:]


def test_subgroups_keep_a_number_for_each_row(
    large: S3, artifacts: Callable[[S3], Artifacts]
) -> None:
    bench = Bench(Runtime.__new__(Runtime), artifacts(large), objects(large), {})
    with peak() as most:
        rows, groups = holdout.groups_of(bench, [])
    assert [(name, value, len(members)) for name, value, members in groups] == [
        ("sex", "1", rows // 2),
        ("sex", "2", rows - rows // 2),
        ("age", "young", rows),
    ]
    # Eight bytes for each row: of two columns, of one attribute's values, and of each attribute.
    assert most[0] < 3 * MIB + 6 * 8 * rows


def test_lines_that_say_nothing_are_no_rows_and_values_that_are_not_there_are_empty(
    artifacts: Callable[[S3], Artifacts],
) -> None:
    s3 = S3(b'\xef\xbb\xbfage,sex\r\n\r\n61,"f\r\nm"\r\n\r\n20\r\n1,2,3\r\n')
    reader, named = artifacts(s3), objects(s3)
    assert holdout.count(reader, named) == 3
    assert holdout.rows_of(reader, named, 0, 3) == [
        {"age": "61", "sex": "f\r\nm"},
        {"age": "20", "sex": ""},
        {"age": "1", "sex": "2"},
    ]


@pytest.mark.parametrize("body", [b"", b"age,sex\n"])
def test_a_holdout_without_rows_has_none(artifacts: Callable[[S3], Artifacts], body: bytes) -> None:
    s3 = S3(body)
    assert holdout.count(artifacts(s3), objects(s3)) == 0
    assert holdout.rows_of(artifacts(s3), objects(s3), 0, 10) == []


@pytest.mark.parametrize(
    "read",
    [
        holdout.count,
        lambda reader, named: holdout.rows_of(reader, named, 0, 1),
        lambda reader, named: reader.read(named[0], 8 * MIB),
    ],
)
def test_other_bytes_than_registered_are_not_used(
    large: S3, artifacts: Callable[[S3], Artifacts], read: Callable[..., Any]
) -> None:
    with pytest.raises(IntegrityError, match=r"holdout has sha256.*recorded is 00"):
        read(artifacts(large), objects(large, "0" * 64))


def test_a_stream_that_breaks_off_is_read_again(
    large: S3, artifacts: Callable[[S3], Artifacts]
) -> None:
    large.fails_after = 2 * MIB
    with pytest.raises(TransientError, match=r"read s3://b/holdout"):
        holdout.count(artifacts(large), objects(large))


def test_a_holdout_over_the_limit_is_not_read(
    large: S3, artifacts: Callable[[S3], Artifacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdout, "LARGEST_HOLDOUT", 3 * MIB)
    with pytest.raises(InvalidInputError, match=f"at most {3 * MIB} are read"):
        holdout.count(artifacts(large), objects(large))
