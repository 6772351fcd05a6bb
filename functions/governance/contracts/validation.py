"""JSON Schema, with messages a person can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

_LONGEST_QUOTE = 80  # characters of a bad value that a message repeats


def problems(schema: Mapping[str, Any], document: Any) -> list[str]:
    """Every place where the document breaks the schema, as "path: what is wrong"; may be empty."""
    errors = sorted(_errors(schema, document), key=lambda error: list(map(str, error.path)))
    return [_describe(error) for error in errors]


def _errors(schema: Mapping[str, Any], document: Any) -> Iterator[ValidationError]:
    yield from _validator(id(schema), _Held(schema)).iter_errors(document)


class _Held:
    """A schema in the key of the cache: equal by identity, so that it is compiled once."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return id(self.schema)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.schema is self.schema


@cache
def _validator(_: int, held: _Held) -> Draft202012Validator:
    # Imported when something is validated: it costs a tenth of a cold start.
    from jsonschema import Draft202012Validator

    return Draft202012Validator(dict(held.schema))


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
