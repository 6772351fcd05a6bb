"""JSON values <-> DynamoDB attribute values; the one encoding of all our tables.

Numbers are DynamoDB numbers. DynamoDB does not keep the difference between 1 and 1.0, and neither
does canonical JSON (RFC 8785), so a whole number comes back as int and any other as float; 17
digits, which is all that a float has, fit into DynamoDB's 38. NaN and infinity are not JSON and
are refused. What comes back is always JSON again: no Decimal leaves this module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from governance.domain.errors import InvalidInputError

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def to_item(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object as a DynamoDB item; InvalidInputError for NaN or infinity."""
    return {key: _serialize(_exact(entry)) for key, entry in value.items()}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """A DynamoDB item, or a stream's image, as a JSON object."""
    return {key: _plain(_deserialize(entry)) for key, entry in item.items()}


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInputError(f"a number to store is {value}; only finite numbers are JSON")
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {str(key): _exact(entry) for key, entry in value.items()}
    return [_exact(entry) for entry in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value
