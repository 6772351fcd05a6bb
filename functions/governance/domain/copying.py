"""The plan of a copy: what goes where, as whole objects or in parts, and in which batches.

A transfer is {source (a location), key (in the artifacts bucket)}. An object with a digest of its
own is copied whole: S3 gives such a digest only to what one request wrote, so it fits one copy,
and a copy in parts would have another digest that nothing could be compared with. An object that
was uploaded in parts is copied in the same parts, so that both composites must be equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import rfc8785

from governance.domain import locations
from governance.domain.candidate import central_key

# One batch is one function's work. These are below what it does in a few of its 15 minutes.
BATCH_BYTES = 16 * 1024**3
BATCH_CALLS = 200
BATCH_TEXT = 100_000  # characters of a line of the plan; a state takes 256 KB
# More work makes larger batches, not more: what failed must fit one state's output.
BATCHES = 256

_MIB = 1024**2
_SMALLEST_PART, _MOST_PARTS = 64 * _MIB, 10_000


def part_size(size: int) -> int:
    """In which parts (bytes) an object of this size is best uploaded: 64 MiB and up.

    Equal parts, few enough for S3's 10,000 and large enough that a copy needs few requests.
    """
    part = _SMALLEST_PART
    while part * _MOST_PARTS < size:
        part *= 2
    return part


def transfers(
    model: str,
    candidate_id: str,
    location: Mapping[str, Any],
    objects: Iterable[Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """The transfers of one of a candidate's locations (with role), given its single objects."""
    base = central_key(model, candidate_id, location["role"], location["key"])
    for one in objects:
        beneath = locations.under(location["key"], one["key"])
        yield {
            "source": {
                key: one[key] for key in (*locations.OBJECT_KEYS, "part_sizes") if key in one
            },
            "key": base + beneath if locations.is_prefix(location) else base,
        }


def batches(
    missing: Sequence[Mapping[str, Any]], uploads: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The work that is left, in batches of a similar size: [{objects: [...], parts: [...]}].

    `uploads` {key: {upload_id, parts {number: size}}} are the unfinished uploads of those that go
    in parts, with the parts that are there; such a part is not copied again. An object is a
    transfer; parts are {source, key, upload_id, numbers [[first, last], ...]}.
    """
    pieces = list(_pieces(missing, uploads))
    most_bytes = max(BATCH_BYTES, _share(sum(piece[1] for piece in pieces)))
    most_calls = max(BATCH_CALLS, _share(len(pieces)))
    found: list[dict[str, Any]] = []
    text = size = calls = 0
    for piece, piece_bytes, piece_text in pieces:
        full = (
            calls + 1 > most_calls
            or size + piece_bytes > most_bytes
            or text + piece_text > BATCH_TEXT
        )
        if not found or full:
            found.append({"objects": [], "parts": []})
            text = size = calls = 0
        text += _add(found[-1], piece, piece_text)
        size, calls = size + piece_bytes, calls + 1
    return found


def document(batches_: Iterable[Mapping[str, Any]]) -> bytes:
    """The plan as it is stored: one batch a line."""
    return b"".join(rfc8785.dumps(dict(batch)) + b"\n" for batch in batches_)


def ranges(part: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """(number, first byte, last byte) of each part that an entry of a batch wants copied."""
    wanted = {number for first, last in part["numbers"] for number in range(first, last + 1)}
    return [
        found for found in locations.part_ranges(part["source"]["part_sizes"]) if found[0] in wanted
    ]


def _share(total: int) -> int:
    return -(-total // BATCHES)


def _pieces(
    missing: Iterable[Mapping[str, Any]], uploads: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[dict[str, Any], int, int]]:
    """(one request's work, its bytes, its text) of everything that is missing, in order."""
    for transfer in missing:
        source = transfer["source"]
        if not locations.is_in_parts(source):
            one = {"source": source, "key": transfer["key"]}
            yield one, source["size"], _text(one)
            continue
        upload = uploads[transfer["key"]]
        whole = {**transfer, "upload_id": upload["upload_id"]}
        text = _text(whole)
        for number, first, last in locations.part_ranges(source["part_sizes"]):
            size = last - first + 1
            if upload["parts"].get(number) != size:
                yield {**whole, "number": number}, size, text


def _add(batch: dict[str, Any], piece: Mapping[str, Any], text: int) -> int:
    """Put one request's work into the batch; by how much text the batch grew."""
    number = piece.get("number")
    if number is None:
        batch["objects"].append(piece)
        return text
    last = batch["parts"][-1] if batch["parts"] else None
    if last is None or last["key"] != piece["key"]:
        entry = {key: piece[key] for key in ("source", "key", "upload_id")}
        batch["parts"].append({**entry, "numbers": [[number, number]]})
        return text
    if last["numbers"][-1][1] == number - 1:
        last["numbers"][-1][1] = number
        return 0
    last["numbers"].append([number, number])
    return len(f",[{number},{number}]")


def _text(entry: Mapping[str, Any]) -> int:
    return len(rfc8785.dumps(dict(entry))) + len(',"numbers":[[10000,10000]]')
