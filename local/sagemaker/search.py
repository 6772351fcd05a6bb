"""Search over model packages and their groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from local.sagemaker.errors import invalid
from local.sagemaker.requests import Request, epoch, public
from local.sagemaker.store import Record
from local.sagemaker.tags import as_list

_RESOURCES = {"ModelPackage": "ModelPackageArn", "ModelPackageGroup": "ModelPackageGroupArn"}


def search(request: Request) -> Record:
    """Search: filters and sub-expressions joined by And or Or, over nested members by dots."""
    kind = request.body["Resource"]
    if kind not in _RESOURCES:
        raise invalid(f"The embedded AWS searches {', '.join(_RESOURCES)}, not {kind}")
    found = [
        record
        for record in _records(request, kind)
        if _matches(record, request.body.get("SearchExpression") or {})
    ]
    by = request.body.get("SortBy") or "LastModifiedTime"
    found.sort(
        key=lambda record: str(_member(record, by) or ""),
        reverse=request.body.get("SortOrder", "Descending") == "Descending",
    )
    answer = request.page([{kind: record} for record in found], "Results")
    return {**answer, "TotalHits": {"Value": len(found), "Relation": "EqualTo"}}


def _records(request: Request, kind: str) -> Iterator[Record]:
    mine = request.mine
    for record in (mine.packages if kind == "ModelPackage" else mine.groups).values():
        yield {**public(record), "Tags": as_list(mine.tags.get(record[_RESOURCES[kind]], {}))}


def _matches(record: Record, expression: Record) -> bool:
    verdicts = [_passes(record, condition) for condition in expression.get("Filters", [])]
    verdicts += [_matches(record, part) for part in expression.get("SubExpressions", [])]
    if expression.get("NestedFilters"):
        raise invalid("The embedded AWS searches without NestedFilters")
    joined: Callable[[list[bool]], bool] = any if expression.get("Operator") == "Or" else all
    return not verdicts or joined(verdicts)


def _passes(record: Record, condition: Record) -> bool:
    name, operator = condition["Name"], condition.get("Operator", "Equals")
    value = _member(record, name)
    if operator in ("Exists", "NotExists"):
        return bool((value is not None) == (operator == "Exists"))
    wanted = condition.get("Value", "")
    if value is None:
        return bool(operator == "NotEquals")
    return _compare(value, operator, wanted)


def _compare(value: Any, operator: str, wanted: str) -> bool:
    text = str(value)
    if operator in ("Equals", "NotEquals"):
        return (text == wanted) == (operator == "Equals")
    if operator == "Contains":
        return wanted in text
    if operator == "In":
        return text in wanted.split(",")
    if not isinstance(value, int | float):
        raise invalid(f"Operator {operator} compares numbers and times, not {text!r}")
    bound = epoch(float(wanted) if wanted.replace(".", "", 1).isdigit() else wanted)
    verdicts: dict[str, bool] = {
        "GreaterThan": value > bound,
        "GreaterThanOrEqualTo": value >= bound,
        "LessThan": value < bound,
        "LessThanOrEqualTo": value <= bound,
    }
    return verdicts[operator]


def _member(record: Record, path: str) -> Any:
    """A nested member by its dotted path; Tags and metadata keys may contain dots themselves."""
    first, _, rest = path.partition(".")
    if first == "Tags" and rest:
        return {tag["Key"]: tag["Value"] for tag in record["Tags"]}.get(rest)
    value = record.get(first)
    if not rest:
        return value
    if first == "CustomerMetadataProperties":
        return (value or {}).get(rest)
    return _member(value, rest) if isinstance(value, dict) else None
