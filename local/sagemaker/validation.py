"""Requests are checked against botocore's own service model, patterns and limits included."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
import regex  # type: ignore[import-untyped]
from botocore.model import OperationModel, ServiceModel

from local.sagemaker.errors import ServiceError, invalid

# botocore's kinds of Shape share one type and not their members.
Shape = Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
    "blob": (str,),
}
_NUMBERS = ("integer", "long", "float", "double")


@cache
def service_model(service: str = "sagemaker") -> ServiceModel:
    """botocore's model of SageMaker, or of another service that is served here."""
    return botocore.session.get_session().get_service_model(service)


def operation(name: str, service: str = "sagemaker") -> OperationModel:
    """The operation's model; UnknownOperationException if the service has none of that name."""
    model = service_model(service)
    if name not in model.operation_names:
        title = "SageMaker" if service == "sagemaker" else str(model.service_id)
        raise ServiceError("UnknownOperationException", f"{title} has no operation {name!r}")
    return model.operation_model(name)


def validate(name: str, request: dict[str, Any], service: str = "sagemaker") -> None:
    """ValidationException that names every member which breaks the operation's input shape."""
    shape = operation(name, service).input_shape
    problems = list(_problems(shape, request, "")) if shape else []
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise invalid(count + "; ".join(problems))


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if not _is_of_type(kind, value):
        yield _problem(value, path, f"Member must be of type {kind}")
    elif kind == "structure":
        yield from _members(shape, value, path)
    elif kind == "list":
        yield from _size(shape, len(value), value, path, "length")
        for index, entry in enumerate(value, 1):
            yield from _problems(shape.member, entry, f"{path}.{index}.member")
    elif kind == "map":
        yield from _map(shape, value, path)
    elif kind == "string":
        yield from _text(shape, value, path)
    elif kind in _NUMBERS:
        yield from _size(shape, value, value, path, "value")


def _is_of_type(kind: str, value: Any) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False
    return isinstance(value, _TYPES[kind])


def _members(shape: Shape, value: dict[str, Any], path: str) -> Iterator[str]:
    prefix = f"{path}." if path else ""
    for name in shape.required_members:
        if value.get(name) is None:
            yield _problem(None, prefix + _camel(name), "Member must not be null")
    for name, entry in value.items():
        if name not in shape.members:
            yield f"Unknown member '{prefix}{name}'"
        elif entry is not None:
            yield from _problems(shape.members[name], entry, prefix + _camel(name))


def _map(shape: Shape, value: dict[str, Any], path: str) -> Iterator[str]:
    yield from _size(shape, len(value), value, path, "length")
    for key, entry in value.items():
        yield from _problems(shape.key, key, f"{path}.key")
        yield from _problems(shape.value, entry, f"{path}.{key}.value")


def _text(shape: Shape, value: str, path: str) -> Iterator[str]:
    yield from _size(shape, len(value), value, path, "length")
    if shape.enum and value not in shape.enum:
        values = ", ".join(shape.enum)
        yield _problem(value, path, f"Member must satisfy enum value set: [{values}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        yield _problem(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _size(shape: Shape, size: float, value: Any, path: str, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield _problem(value, path, f"Member must have {what} greater than or equal to {least}")
    if most is not None and size > most:
        yield _problem(value, path, f"Member must have {what} less than or equal to {most}")


def _problem(value: Any, path: str, constraint: str) -> str:
    # Long enough to recognise the value, short enough for a log.
    shown = "null" if value is None else f"'{str(value)[:200]}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


@cache
def _compiled(pattern: str) -> Any:
    """AWS's pattern, which is Java's notation, in Python's."""
    # A quantified "$" says the length, which `min` and `max` say too.
    pattern = regex.sub(r"\$\{\d+,\d+\}", "", pattern)
    # Java writes characters beyond the basic plane as surrogate pairs.
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    return regex.compile(pattern)
