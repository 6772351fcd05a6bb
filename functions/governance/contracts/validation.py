"""JSON Schema, with messages a person can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

_LONGEST_QUOTE = 80  # characters of a bad value that a message repeats


def problems(schema: Mapping[str, Any], document: Any) -> list[str]:
    """Every place where the document breaks the schema, as "path: what is wrong"; may be empty."""
    errors = sorted(_errors(schema, document), key=lambda error: list(map(str, error.path)))
    return [_describe(error) for error in errors]


# Compiled once per schema; the schemas are module constants and live as long as the process.
_COMPILED: dict[int, Draft202012Validator] = {}


def _errors(schema: Mapping[str, Any], document: Any) -> Iterator[ValidationError]:
    if id(schema) not in _COMPILED:
        # Imported when something is validated: it costs a tenth of a cold start.
        from jsonschema import Draft202012Validator

        _COMPILED[id(schema)] = Draft202012Validator(dict(schema))
    yield from _COMPILED[id(schema)].iter_errors(document)


def _describe(error: ValidationError) -> str:
    place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
    if error.validator in ("required", "additionalProperties"):
        return f"{place.lstrip('.') or 'the document'}: {error.message}"
    quoted = repr(error.instance)
    if len(quoted) > _LONGEST_QUOTE:
        quoted = quoted[:_LONGEST_QUOTE] + "..."
    return (
        f"{place.lstrip('.') or 'the document'}: is {quoted}; "
        f"expected {error.validator} {error.validator_value!r}"
    )
