"""AWS's limits, patterns and enumerations, which botocore knows and does not check itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

# Unicode classes that re does not know, as far as English text needs them.
_UNICODE = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": r"\s",
    r"\p{P}": r"!-/:-@\[-`{-~",
    r"\p{S}": "",
    r"\p{M}": "",
}


@cache
def _service() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def problems(operation: str, request: dict[str, Any]) -> list[str]:
    """What SageMaker would refuse in an operation's request, by place; empty if nothing."""
    shape = _service().operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(request, shape)
    return [report.generate_report()] if report.has_errors() else list(_walk(shape, request, ""))


def _walk(shape: Shape, value: Any, place: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name, entry in value.items():
            yield from _walk(shape.members[name], entry, f"{place}.{name}")
        return
    if shape.type_name == "list":
        for index, entry in enumerate(value):
            yield from _walk(shape.member, entry, f"{place}[{index}]")
    if shape.type_name == "map":
        for key, entry in value.items():
            yield from _walk(shape.key, key, f"{place} key {key}")
            yield from _walk(shape.value, entry, f"{place}.{key}")
    yield from _limits(shape, value, place)


def _limits(shape: Shape, value: Any, place: str) -> Iterator[str]:
    size = value if isinstance(value, int | float) else len(value)
    lowest, highest = shape.metadata.get("min"), shape.metadata.get("max")
    if (lowest is not None and size < lowest) or (highest is not None and size > highest):
        yield f"{place}: {size} is not within {lowest} to {highest}"
    if not isinstance(value, str):
        return
    pattern = shape.metadata.get("pattern")
    if pattern:
        for theirs, ours in _UNICODE.items():
            pattern = pattern.replace(theirs, ours)
        # The model writes the length of a metadata value after its pattern.
        pattern = re.sub(r"\$\{\d+,\d+\}$", "", pattern)
        if not re.fullmatch(pattern, value):
            yield f"{place}: {value!r} is not of the form {pattern}"
    if getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{place}: {value!r} is not one of {shape.enum}"
