"""Locations: one name for the same bytes, whichever way S3 has them."""

from __future__ import annotations

import base64
import hashlib
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import locations
from governance.domain.errors import InvalidInputError

SIZES = st.lists(st.integers(1, 50), min_size=1, max_size=40)


def _one(key: str, body: bytes = b"x") -> dict[str, Any]:
    return {
        "bucket": "b",
        "key": key,
        "version_id": "v1",
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def test_a_composite_is_the_digest_of_the_digests_as_s3_counts_it() -> None:
    """The value that S3's documentation on checksums of parts leads to, for "a" and "b"."""
    raw = [hashlib.sha256(part).digest() for part in (b"a", b"b")]
    expected = hashlib.sha256(b"".join(raw)).hexdigest()
    assert locations.composite([part.hex() for part in raw]) == f"{expected}-2"
    assert base64.b64encode(bytes.fromhex(expected))


@given(SIZES)
def test_run_lengths_lose_nothing(sizes: list[int]) -> None:
    runs = locations.run_lengths(sizes)
    assert [size for count, size in runs for _ in range(count)] == sizes
    assert all(one[1] != other[1] for one, other in pairwise(runs))


@given(SIZES)
def test_parts_cover_an_object_without_gap_or_overlap(sizes: list[int]) -> None:
    parts = list(locations.part_ranges(locations.run_lengths(sizes)))
    assert [number for number, _, _ in parts] == list(range(1, len(sizes) + 1))
    assert [last - first + 1 for _, first, last in parts] == sizes
    assert [first for _, first, _ in parts] == [0, *(last + 1 for _, _, last in parts[:-1])]


@given(SIZES, SIZES)
def test_bytes_that_come_piece_by_piece_have_the_same_digest(
    parts: list[int], pieces: list[int]
) -> None:
    body = bytes(number % 251 for number in range(sum(parts)))
    for location in (
        {"sha256": "0"},
        {"sha256": "0-1", "part_sizes": locations.run_lengths(parts)},
    ):
        digest, rest = locations.Digest(location), body
        for size in pieces:
            digest.update(rest[:size])
            rest = rest[size:]
        if rest:
            assert digest.hexdigest() != locations.digest_of(body, location)
        digest.update(rest)
        assert digest.hexdigest() == locations.digest_of(body, location)


@given(SIZES, st.randoms(use_true_random=False))
def test_bytes_have_the_digest_that_their_location_would_have(sizes: list[int], dice: Any) -> None:
    body = bytes(dice.randrange(256) for _ in range(sum(sizes)))
    whole = {"sha256": hashlib.sha256(body).hexdigest()}
    assert locations.digest_of(body, whole) == whole["sha256"]
    in_parts = {"sha256": "0-1", "part_sizes": locations.run_lengths(sizes)}
    digest = locations.digest_of(body, in_parts)
    assert digest.endswith(f"-{len(sizes)}")
    assert locations.digest_of(body[:-1] + bytes([body[-1] ^ 1]), in_parts) != digest


def test_a_prefix_has_the_same_digest_wherever_it_is() -> None:
    names = ("config.json", "weights/1.bin", "weights/2.bin")
    dev = [_one(f"dev/model/{name}", name.encode()) for name in names]
    central = [_one(f"models/m/c/model-data/{name}", name.encode()) for name in reversed(names)]
    here = locations.prefix_of("dev", "dev/model/", dev, "s3://e/listings/m/1.jsonl")
    there = locations.prefix_of("central", "models/m/c/model-data/", central)
    assert locations.same_bytes(here, there)
    assert (here["objects"], here["version_id"]) == (3, "")
    assert here["size"] == sum(len(name) for name in names)
    assert here["listing_uri"] == "s3://e/listings/m/1.jsonl"
    assert "listing_uri" not in there


@pytest.mark.parametrize(
    "changed",
    [
        [_one("p/a", b"1")],
        [_one("p/a", b"1"), _one("p/b", b"3")],
        [_one("p/a", b"1"), _one("p/c", b"2")],
        [_one("p/a", b"1"), _one("p/b", b"2"), _one("p/c", b"")],
    ],
)
def test_a_prefix_with_anything_else_has_another_digest(changed: list[dict[str, Any]]) -> None:
    was = locations.prefix_of("b", "p/", [_one("p/a", b"1"), _one("p/b", b"2")])
    assert not locations.same_bytes(was, locations.prefix_of("b", "p/", changed))


def test_a_manifest_file_names_objects_as_aws_documents_it() -> None:
    """botocore's service model, TransformS3DataSource.S3Uri."""
    names = ["relative/path/to/custdata-1", "relative/path/custdata-2"]
    document = json.dumps([{"prefix": "s3://customer_bucket/some/prefix/"}, *names, names[0]])
    assert locations.selected(document.encode(), "s3://b/m") == [
        "s3://customer_bucket/some/prefix/relative/path/to/custdata-1",
        "s3://customer_bucket/some/prefix/relative/path/custdata-2",
    ]
    # A prefix is what comes before, no folder, and may be a whole bucket.
    half = json.dumps([{"prefix": "s3://b/part-"}, "1"]).encode()
    assert locations.selected(half, "s3://b/m") == ["s3://b/part-1"]
    whole = json.dumps([{"prefix": "s3://b/"}, "1"]).encode()
    assert locations.selected(whole, "s3://b/m") == ["s3://b/1"]


@pytest.mark.parametrize(
    "document",
    [
        *("", "{}", "[]", "5", '"text"', "null", "[" * 100_000, '["s3://b/p/", "1"]', "a,b\n1,2"),
        *('[{"prefix": 1}, "1"]', '[{"prefix": "s3://b/p/"}]', '[{"prefix": "s3://b/p/"}, 1]'),
        *('[{"prefix": "s3://b"}, "1"]', '[{"prefix": "/p/"}, "1"]', '[{"prefix": "s3:///"}, "1"]'),
        '[{"prefix": "s3://b/p/", "source-ref": "s3://b/1"}, "1"]',
        '[{"prefix": "s3://b/p/"}, "folder/"]',
        '{"source-ref": "s3://b/1"}',
    ],
)
def test_any_other_manifest_file_is_refused_with_advice(document: str) -> None:
    with pytest.raises(InvalidInputError, match=r"s3://b/m is not .*relative/path/1.* register"):
        locations.selected(document.encode(), "s3://b/m")


def test_a_selection_has_the_same_digest_wherever_it_is() -> None:
    names = ("some/prefix/1", "some/prefix/2", "some/other/1")
    dev = [_one(name, name.encode()) for name in names]
    here = locations.selection_of(_one("jobs/payloads.manifest", b"[]"), dev, "s3://e/listing")
    central = "models/m/c/validation/p/"
    there = locations.prefix_of(
        "central", central, [_one(f"{central}{name}", name.encode()) for name in names]
    )
    assert locations.same_bytes(here, there)
    assert (here["key"], here["objects"]) == ("jobs/payloads.manifest/", 3)
    assert locations.is_prefix(here)
    assert (locations.is_selection(here), locations.is_selection(there)) == (True, False)


def test_a_listing_names_each_object_the_same_whatever_the_order() -> None:
    objects = [_one("p/b", b"2"), {**_one("p/a", b"1"), "part_sizes": [[1, 1]]}]
    document = locations.listing(objects)
    assert document == locations.listing(reversed(objects))
    assert list(locations.listed(document)) == sorted(objects, key=lambda one: one["key"])


def test_kinds_are_told_apart() -> None:
    assert locations.is_prefix({"key": "model/"})
    assert not locations.is_prefix(_one("model"))
    assert locations.is_in_parts({"sha256": "a" * 64 + "-2"})
    assert not locations.is_in_parts(_one("model"))
