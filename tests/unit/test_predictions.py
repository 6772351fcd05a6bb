"""Shards put together are the whole holdout, or nothing; subgroups are formed as registered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import predictions
from governance.domain.errors import IntegrityError, InvalidInputError

HOLDOUT = {"uri": "s3://b/k", "version_id": "v", "sha256": "a" * 64}
BANDS = {
    "name": "age_band",
    "column": "age",
    "bands": [{"value": "young", "from": 0}, {"value": "old", "from": 60}],
}


def shard(first: int, labels: list[int]) -> dict[str, Any]:
    scored = [(0.5 + label / 10, bool(label)) for label in labels]
    return predictions.shard("c" * 64, HOLDOUT, first, labels, scored)


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=5), min_size=1, max_size=5))
def test_shards_in_any_order_are_the_whole(parts: list[list[int]]) -> None:
    starts = [sum(len(part) for part in parts[:number]) for number in range(len(parts))]
    documents = [shard(start, part) for start, part in zip(starts, parts, strict=True)]
    labels = [label for part in parts for label in part]
    found = predictions.merged(list(reversed(documents)), "a" * 64, len(labels))
    assert list(found.labels) == labels
    assert list(found.decisions) == [bool(label) for label in labels]
    assert list(found.probabilities) == [0.5 + label / 10 for label in labels]


@pytest.mark.parametrize(
    ("documents", "sha256", "says"),
    [
        ([shard(0, [0, 1]), shard(3, [1])], "a" * 64, "row 2"),
        ([shard(0, [0, 1]), shard(1, [1])], "a" * 64, "row 2"),
        ([shard(0, [0])], "a" * 64, "1 rows; the holdout has 4"),
        ([shard(0, [0, 1, 0, 1])], "b" * 64, "of holdout a.*expected"),
        ([{**shard(0, [0, 1, 0, 1]), "schema": "other/v1"}], "a" * 64, "other/v1"),
        ([{**shard(0, [0, 1, 0]), "to": 4}], "a" * 64, "missing"),
    ],
)
def test_what_is_not_the_whole_is_refused(
    documents: list[dict[str, Any]], sha256: str, says: str
) -> None:
    with pytest.raises(IntegrityError, match=says):
        predictions.merged(documents, sha256, 4)


def test_groups_are_values_or_bands() -> None:
    columns = {"sex": ["f", "m", "f"], "age": ["61", "20", "60"]}
    found = predictions.groups(columns, [{"name": "sex", "column": "sex"}, BANDS])
    assert [(name, value, list(rows)) for name, value, rows in found] == [
        ("sex", "f", [0, 2]),
        ("sex", "m", [1]),
        ("age_band", "old", [0, 2]),
        ("age_band", "young", [1]),
    ]


@pytest.mark.parametrize("age", ["-1", "unknown", ""])
def test_a_row_in_no_band_is_named(age: str) -> None:
    with pytest.raises(InvalidInputError, match=r"row 2.*column age"):
        predictions.groups({"age": ["1", age]}, [BANDS])


def test_an_attribute_with_too_many_values_is_named() -> None:
    patients = [str(number) for number in range(21)]
    attribute = {"name": "patient", "column": "patient"}
    assert len(predictions.groups({"patient": patients[:20]}, [attribute])) == 20
    with pytest.raises(InvalidInputError, match=r"21 values.*bands"):
        predictions.groups({"patient": patients}, [attribute])


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidInputError, match="no column age"):
        predictions.groups({"sex": ["f"]}, [BANDS])


def test_attributes_are_the_definitions_or_as_registered_or_columns() -> None:
    chosen = [{"name": "site", "column": "site"}]
    report = {"attributes": [BANDS], "subgroups": [{"attribute": "sex"}]}
    assert predictions.attributes_of(chosen, report, []) == chosen
    assert predictions.attributes_of([], report, []) == [BANDS]
    older = {"subgroups": [{"attribute": "sex"}, {"attribute": "age_band"}]}
    found = predictions.attributes_of([], older, ["sex", "age"])
    assert found == [{"name": "sex", "column": "sex"}]
    with pytest.raises(InvalidInputError, match="attributes"):
        predictions.attributes_of([], older, ["age"])
    with pytest.raises(InvalidInputError, match="has no name and column"):
        predictions.attributes_of([{"name": "site"}], report, [])
