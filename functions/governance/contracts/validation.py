"""JSON Schema, with messages a person can act on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

_LONGEST_QUOTE = 80  # characters of a bad value that a message repeats


def problems(schema: Mapping[str, Any], document: Any) -> list[str]:
    """Every place where the document breaks the schema, as "path: what is wrong"; may be empty."""
    return [
        f"{_name(error.absolute_path) or 'the document'}: {_reason(error)}"
        for error in _sorted(schema, document)
    ]


def places(schema: Mapping[str, Any], document: Any) -> list[tuple[list[str | int], str]]:
    """(path, what is wrong) of every place where the document breaks the schema; may be empty.

    A member that is too much is a place of its own.
    """
    return [place for error in _sorted(schema, document) for place in _places(error)]


def _places(error: ValidationError) -> Iterator[tuple[list[str | int], str]]:
    path = list(error.absolute_path)
    if error.validator == "additionalProperties" and error.validator_value is False:
        schema: Any = error.schema
        instance: Any = error.instance
        known = list(schema.get("properties", {}))
        for member in sorted(set(instance) - set(known)):
            yield [*path, member], f"is not known here; expected {', '.join(known)}"
    else:
        yield path, _reason(error)


def _sorted(schema: Mapping[str, Any], document: Any) -> list[ValidationError]:
    return sorted(_errors(schema, document), key=lambda error: list(map(str, error.path)))


# Compiled once per schema; the schemas are module constants and live as long as the process.
_COMPILED: dict[int, Draft202012Validator] = {}


def _errors(schema: Mapping[str, Any], document: Any) -> Iterator[ValidationError]:
    if id(schema) not in _COMPILED:
        # Imported when something is validated: it costs a tenth of a cold start.
        from jsonschema import Draft202012Validator

        _COMPILED[id(schema)] = Draft202012Validator(dict(schema))
    yield from _COMPILED[id(schema)].iter_errors(document)


def _name(path: Iterable[str | int]) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def _reason(error: ValidationError) -> str:
    if error.validator in ("required", "additionalProperties"):
        return str(error.message)
    quoted = repr(error.instance)
    if len(quoted) > _LONGEST_QUOTE:
        quoted = quoted[:_LONGEST_QUOTE] + "..."
    return f"is {quoted}; expected {error.validator} {error.validator_value!r}"
