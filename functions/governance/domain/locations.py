"""Locations: which bytes, as S3's own digests name them.

A location is {bucket, key, version_id, size (bytes), sha256 (hex)}. Two more kinds are the same
keys and some more:

- An object that was uploaded in parts has S3's composite checksum, the digest of its parts'
  digests, as `sha256`: "<hex>-<parts>". Where the parts begin is in `part_sizes`
  [[count, bytes], ...]: other boundaries give another composite of the same bytes.
- A prefix stands for all objects under it: `key` ends with "/", `version_id` is "", `size` is the
  sum, `objects` their number, `sha256` the digest of what is where under it, and `listing_uri`
  the document that names each object's location.
- A selection is a prefix by its kind, but its objects are those that a manifest file names: `key`
  is the manifest's with "/" after it, `selected` is True, and the objects' keys are their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import rfc8785

from governance.domain.errors import InvalidInputError

OBJECT_KEYS = ("bucket", "key", "version_id", "size", "sha256")
# What some kinds of locations have besides.
KIND_KEYS = ("part_sizes", "objects", "listing_uri", "selected")


def is_prefix(location: Mapping[str, Any]) -> bool:
    """True if the location stands for all objects under a prefix."""
    return str(location["key"]).endswith("/")


def is_selection(location: Mapping[str, Any]) -> bool:
    """True if the location stands for objects that were named one by one."""
    return bool(location.get("selected"))


def is_in_parts(location: Mapping[str, Any]) -> bool:
    """True if the location's digest is a composite one, of an object uploaded in parts."""
    return "-" in location["sha256"]


def same_bytes(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """True if two locations hold the same bytes, wherever they are."""
    return (one["sha256"], one["size"]) == (other["sha256"], other["size"])


def composite(digests: Sequence[str]) -> str:
    """S3's composite checksum of parts that have these SHA-256 (hex), as "<hex>-<parts>"."""
    whole = hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests))
    return f"{whole.hexdigest()}-{len(digests)}"


def run_lengths(sizes: Iterable[int]) -> list[list[int]]:
    """Sizes as [[count, bytes], ...]: an object of 10,000 equal parts needs two entries."""
    found: list[list[int]] = []
    for size in sizes:
        if found and found[-1][1] == size:
            found[-1][0] += 1
        else:
            found.append([1, size])
    return found


def part_ranges(part_sizes: Iterable[Sequence[int]]) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, last byte) of each part; numbers begin at 1."""
    number, first = 1, 0
    for count, size in part_sizes:
        for _ in range(count):
            yield number, first, first + size - 1
            number, first = number + 1, first + size


class Digest:
    """The digest of bytes that come piece by piece, taken as the location's was."""

    def __init__(self, location: Mapping[str, Any]) -> None:
        in_parts = is_in_parts(location)
        self._sizes = iter(
            [size for count, size in location["part_sizes"] for _ in range(count)]
            if in_parts
            else []
        )
        self._parts: list[str] | None = [] if in_parts else None
        self._room = next(self._sizes, None)  # bytes until the part ends
        self._hash = hashlib.sha256()

    def update(self, body: bytes) -> None:
        """Take the next bytes."""
        view = memoryview(body)
        while self._parts is not None and self._room is not None and len(view) >= self._room:
            self._hash.update(view[: self._room])
            self._parts.append(self._hash.hexdigest())
            view, self._hash = view[self._room :], hashlib.sha256()
            self._room = next(self._sizes, None)
        self._hash.update(view)
        if self._room is not None:
            self._room -= len(view)

    def hexdigest(self) -> str:
        """Of all bytes so far; of one in parts, of those parts that are complete."""
        return self._hash.hexdigest() if self._parts is None else composite(self._parts)


def digest_of(body: bytes, location: Mapping[str, Any]) -> str:
    """The digest of bytes, taken as the location's was."""
    digest = Digest(location)
    digest.update(body)
    return digest.hexdigest()


def prefix_of(
    bucket: str, key: str, objects: Sequence[Mapping[str, Any]], listing_uri: str = ""
) -> dict[str, Any]:
    """The location of a prefix that holds these object locations.

    Its digest is that of the RFC 8785 list of [key under the prefix, size, sha256], so a copy of
    it elsewhere has the same one.
    """
    contents = sorted([under(key, one["key"]), one["size"], one["sha256"]] for one in objects)
    return {
        "bucket": bucket,
        "key": key,
        "version_id": "",
        "size": sum(one["size"] for one in objects),
        "sha256": hashlib.sha256(rfc8785.dumps(contents)).hexdigest(),
        "objects": len(objects),
        **({"listing_uri": listing_uri} if listing_uri else {}),
    }


def selection_of(
    manifest: Mapping[str, Any], objects: Sequence[Mapping[str, Any]], listing_uri: str = ""
) -> dict[str, Any]:
    """The location of what a manifest file, itself a location, names: these object locations."""
    found = prefix_of(manifest["bucket"], f"{manifest['key']}/", objects, listing_uri)
    return {**found, "selected": True}


def selected(document: bytes, uri: str) -> list[str]:
    """The URIs that the manifest file at `uri` names, each once, as it orders them.

    AWS documents the format for data sources whose S3DataType is ManifestFile: a JSON array of
    {"prefix": "s3://bucket/..."} and what is to be put after it, for each object.
    InvalidInputError if the document is anything else, or names nothing.
    """
    try:
        head, *suffixes = json.loads(document)
        prefix = head["prefix"]
        if list(head) != ["prefix"] or not all(isinstance(one, str) for one in suffixes):
            raise ValueError("it has more than a prefix and texts")
        if not prefix.startswith("s3://") or "/" not in prefix.removeprefix("s3://").lstrip("/"):
            raise ValueError(f"its prefix {prefix!r} is no s3://bucket/...")
        found = [prefix + one for one in dict.fromkeys(suffixes)]
        if not found or any(one.endswith("/") for one in found):
            raise ValueError("it names no objects")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidInputError(
            f"the manifest file {uri} is not what AWS documents ({error}); expected is "
            '[{"prefix": "s3://bucket/some/prefix/"}, "relative/path/1", ...]: write it so and '
            "register a new version"
        ) from error
    return found


def under(prefix: str, key: str) -> str:
    """The key of an object as it is under a prefix."""
    return key.removeprefix(prefix)


def listing(objects: Iterable[Mapping[str, Any]]) -> bytes:
    """The document that names each object of a prefix: one canonical location a line, by key."""
    ordered = sorted(objects, key=lambda one: str(one["key"]))
    return b"".join(rfc8785.dumps(dict(one)) + b"\n" for one in ordered)


def listed(document: bytes) -> Iterator[dict[str, Any]]:
    """The locations that a listing names."""
    return (json.loads(line) for line in document.splitlines())
