"""The plan of a copy: everything that is missing once, nothing that is there, in even batches."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import copying, locations
from tests.contracts import samples

MIB, GIB, TIB = 1024**2, 1024**3, 1024**4


def _whole(number: int, size: int = 1000) -> dict[str, Any]:
    source = {
        "bucket": "dev",
        "key": f"model/{number:06}",
        "version_id": "v1",
        "size": size,
        "sha256": samples.digest(str(number)),
    }
    return {"source": source, "key": f"models/m/c/model-data/{number:06}"}


def _in_parts(number: int, *runs: list[int]) -> dict[str, Any]:
    found = _whole(number, sum(count * size for count, size in runs))
    parts = sum(count for count, _ in runs)
    found["source"] |= {"sha256": f"{samples.digest('x')}-{parts}", "part_sizes": list(runs)}
    return found


def _uploads(*transfers: dict[str, Any], there: dict[int, int] | None = None) -> dict[str, Any]:
    return {
        one["key"]: {"upload_id": f"of {one['key']}", "parts": there or {}} for one in transfers
    }


def _planned(batches: list[dict[str, Any]]) -> dict[str, list[int]]:
    """{key: numbers of the parts that the batches copy}, of objects that go in parts."""
    found: dict[str, list[int]] = {}
    for batch in batches:
        for part in batch["parts"]:
            numbers = [number for number, _, _ in copying.ranges(part)]
            found.setdefault(part["key"], []).extend(numbers)
    return found


@given(
    st.lists(
        st.one_of(
            st.integers(1, 5 * GIB).map(lambda size: (size,)),
            st.tuples(st.integers(1, 300), st.integers(5 * MIB, 512 * MIB)),
        ),
        max_size=30,
    )
)
def test_every_object_and_part_is_in_one_batch(shapes: list[tuple[int, ...]]) -> None:
    work = [
        _whole(n, shape[0]) if len(shape) == 1 else _in_parts(n, list(shape))
        for n, shape in enumerate(shapes)
    ]
    in_parts = [one for one in work if locations.is_in_parts(one["source"])]
    batches = copying.batches(work, _uploads(*in_parts))
    objects = [one for batch in batches for one in batch["objects"]]
    assert objects == [one for one in work if one not in in_parts]
    assert _planned(batches) == {
        one["key"]: list(range(1, one["source"]["part_sizes"][0][0] + 1)) for one in in_parts
    }
    for batch in batches:
        assert batch["objects"] or batch["parts"]


def test_parts_that_are_there_are_not_copied_again() -> None:
    large = _in_parts(1, [5, 64 * MIB], [1, 10])
    # The third is there with another size: an upload of somebody else.
    there = {1: 64 * MIB, 2: 64 * MIB, 3: 5, 6: 10}
    (batch,) = copying.batches([large], _uploads(large, there=there))
    (part,) = batch["parts"]
    assert part["numbers"] == [[3, 5]]
    assert copying.ranges(part) == [(n, (n - 1) * 64 * MIB, n * 64 * MIB - 1) for n in (3, 4, 5)]


def test_gaps_are_copied_and_nothing_between_them() -> None:
    large = _in_parts(1, [5, 64 * MIB])
    (batch,) = copying.batches([large], _uploads(large, there={2: 64 * MIB, 4: 64 * MIB}))
    assert [part["numbers"] for part in batch["parts"]] == [[[1, 1], [3, 3], [5, 5]]]


def test_an_upload_that_has_every_part_needs_no_batch() -> None:
    large = _in_parts(1, [2, 64 * MIB])
    there = {1: 64 * MIB, 2: 64 * MIB}
    assert copying.batches([large], _uploads(large, there=there)) == []
    assert copying.batches([], {}) == []


def test_what_the_demo_copies_is_one_function_call() -> None:
    assert len(copying.batches([_whole(n) for n in range(12)], {})) == 1


def test_many_small_objects_are_few_transitions() -> None:
    batches = copying.batches([_whole(n) for n in range(10_000)], {})
    assert len(batches) <= 10_000 / copying.BATCH_CALLS * 1.5
    lines = copying.document(batches).splitlines()
    assert [json.loads(line) for line in lines] == batches
    # An item of a Distributed Map, with what its state adds, is at most 256 KiB.
    assert max(len(line) for line in lines) <= copying.BATCH_TEXT + 1000


@pytest.mark.parametrize("size", [1 * TIB, 50 * TIB])
def test_what_may_fail_at_once_fits_one_state(size: int) -> None:
    """The output of the map is at most 256 KiB; a failure is some 600 characters of it."""
    work, left = [], size
    while left > 0:
        one = min(left, 5 * TIB)
        part = copying.part_size(one)
        full, rest = divmod(one, part)
        runs = [[full, part], *([[1, rest]] if rest else [])]
        work.append(_in_parts(len(work), *runs))
        left -= one
    batches = copying.batches(work, _uploads(*work))
    assert len(batches) <= copying.BATCHES + len(work)
    assert len(batches) * 600 < 256 * 1024
    # Four minutes of a function at the slowest that S3 copies inside itself, 16 parts at a time.
    largest = max(
        sum(last - first + 1 for part in batch["parts"] for _, first, last in copying.ranges(part))
        for batch in batches
    )
    assert largest / (16 * 64 * MIB) < 240


@pytest.mark.parametrize(
    ("size", "part"),
    [
        (1, 64 * MIB),
        (10_000 * 64 * MIB, 64 * MIB),
        (10_000 * 64 * MIB + 1, 128 * MIB),
        (2 * TIB, 256 * MIB),
        (5 * TIB, 1024 * MIB),
    ],
)
def test_parts_are_as_large_as_s3_needs_them(size: int, part: int) -> None:
    assert copying.part_size(size) == part
    assert -(-size // part) <= 10_000


def test_a_single_object_goes_where_its_role_is() -> None:
    location = samples.origin_objects()[0]
    (only,) = copying.transfers("m", "c", location, [location])
    assert only["key"] == f"models/m/c/{location['role']}/{location['key'].rpartition('/')[2]}"
    assert "role" not in only["source"]


def test_objects_of_a_prefix_keep_their_keys_under_it() -> None:
    objects = [_whole(1)["source"], {**_whole(2)["source"], "key": "model/a/b/c.bin"}]
    location = {"role": "model-data", **locations.prefix_of("dev", "model/", objects, "s3://e/l")}
    keys = [one["key"] for one in copying.transfers("m", "c", location, objects)]
    assert keys == ["models/m/c/model-data/000001", "models/m/c/model-data/a/b/c.bin"]
