"""What the endpoint said of every row of the holdout: evidence, shard by shard, and put together.

A shard is {schema, candidate_id, holdout, from, to, labels, probabilities, decisions}; rows count
from 0, and `to` is the first that is not in it. `holdout` {uri, version_id, sha256} are the bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance.domain.errors import IntegrityError, InvalidInputError

MOST_SUBGROUPS = 20  # of one attribute; all results together pass through the workflow
SCHEMA = "governed-path/predictions/v1"


@dataclass(frozen=True, slots=True)
class Predictions:
    """Labels, probabilities and decisions of all rows, in the holdout's order.

    Arrays, since there may be millions: labels and decisions of 0 or 1, in a byte each.
    """

    labels: array[int]
    probabilities: array[float]
    decisions: array[int]


def shard(
    candidate_id: str,
    holdout: Mapping[str, Any],
    first: int,
    labels: Sequence[int],
    scored: Sequence[tuple[float, bool]],
) -> dict[str, Any]:
    """The document of one shard; `scored` are (probability, decision) of its rows."""
    return {
        "schema": SCHEMA,
        "candidate_id": candidate_id,
        "holdout": dict(holdout),
        "from": first,
        "to": first + len(labels),
        "labels": list(labels),
        "probabilities": [probability for probability, _ in scored],
        "decisions": [decision for _, decision in scored],
    }


def merged(
    documents: Iterable[Mapping[str, Any]], holdout_sha256: str, rows: int | None = None
) -> Predictions:
    """All shards as one. IntegrityError if they are of another holdout, or rows are missing.

    The documents are taken one at a time, in any order, and none is kept.
    """
    ordered = sorted((_part(one, holdout_sha256) for one in documents), key=lambda part: part[0])
    whole = Predictions(array("b"), array("d"), array("b"))
    expected = 0
    for first, after, part in ordered:
        if first != expected or len(part.labels) != after - expected:
            raise IntegrityError(f"predictions of row {expected} and later are missing")
        whole.labels.extend(part.labels)
        whole.probabilities.extend(part.probabilities)
        whole.decisions.extend(part.decisions)
        expected = after
    if rows is not None and expected != rows:
        raise IntegrityError(f"there are predictions of {expected} rows; the holdout has {rows}")
    return whole


def _part(document: Mapping[str, Any], holdout_sha256: str) -> tuple[int, int, Predictions]:
    if document["schema"] != SCHEMA or document["holdout"]["sha256"] != holdout_sha256:
        raise IntegrityError(
            f"predictions of rows {document['from']} to {document['to']} are "
            f"{document['schema']} of holdout {document['holdout']['sha256']}; expected "
            f"{SCHEMA} of {holdout_sha256}"
        )
    found = Predictions(
        labels=array("b", document["labels"]),
        probabilities=array("d", document["probabilities"]),
        decisions=array("b", document["decisions"]),
    )
    return int(document["from"]), int(document["to"]), found


def groups(
    columns: Mapping[str, Sequence[str]],
    attributes: Sequence[Mapping[str, Any]],
) -> list[tuple[str, str, Sequence[int]]]:
    """[(attribute, value, numbers of its rows)] by the attributes [{name, column, bands?}].

    `columns` are the holdout's values by column, of the attributes' columns at least. Bands are
    [{value, from}], each from its first number on. InvalidInputError names the column or the row
    that does not fit, or an attribute with too many values.
    """
    found: list[tuple[str, str, Sequence[int]]] = []
    for attribute in attributes:
        column = attribute["column"]
        if column not in columns:
            raise InvalidInputError(
                f"the holdout has no column {column}, which attribute {attribute['name']} is of"
            )
        values = [_value(text, attribute, row) for row, text in enumerate(columns[column])]
        members = {value: array("L") for value in sorted(set(values))}
        if len(members) > MOST_SUBGROUPS:
            raise InvalidInputError(
                f"attribute {attribute['name']} has {len(members)} values in column {column}; at "
                f"most {MOST_SUBGROUPS} are told apart: give it bands"
            )
        for row, value in enumerate(values):
            members[value].append(row)
        found += [(str(attribute["name"]), value, rows) for value, rows in members.items()]
    return found


def attributes_of(
    chosen: Sequence[Mapping[str, Any]],
    report: Mapping[str, Any],
    columns: Sequence[str],
) -> list[Mapping[str, Any]]:
    """The attributes to group by: the definition's, else as registered, else columns by name.

    `report` is the evaluation report. InvalidInputError if nothing says how to form its subgroups.
    """
    if chosen:
        for one in chosen:
            if not isinstance(one, Mapping) or not {"name", "column"} <= one.keys():
                raise InvalidInputError(
                    f"attribute {one!r} of suite fairness has no name and column"
                )
        return list(chosen)
    if report.get("attributes"):
        return list(report["attributes"])
    named = sorted({str(one["attribute"]) for one in report.get("subgroups", [])})
    found: list[Mapping[str, Any]] = [
        {"name": name, "column": name} for name in named if name in columns
    ]
    if not found:
        raise InvalidInputError(
            "nothing says how to form subgroups of the holdout: name `attributes` in the "
            "evaluation report, or as a parameter of suite fairness"
        )
    return found


def _value(text: str, attribute: Mapping[str, Any], number: int) -> str:
    bands = attribute.get("bands")
    if not bands:
        return text
    try:
        value = float(text)
        return next(
            str(band["value"])
            for band in sorted(bands, key=lambda band: float(band["from"]), reverse=True)
            if value >= band["from"]
        )
    except (ValueError, StopIteration) as error:
        raise InvalidInputError(
            f"row {number + 1} of the holdout has {text!r} in column {attribute['column']}, which "
            f"is in no band of {attribute['name']}"
        ) from error
