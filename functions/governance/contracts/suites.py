"""What a team's own suite is asked, and what it must answer (docs/suites.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from governance.contracts.validation import problems
from governance.domain.errors import InvalidInputError

_TEXT = {"type": "string", "minLength": 1}

SUITE_ANSWER: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "governed-path/suite-answer/v1",
    "type": "object",
    "required": ["status", "checks", "metrics"],
    "additionalProperties": False,
    "properties": {
        "status": {"enum": ["passed", "failed"]},
        "checks": {
            "type": "array",
            "minItems": 1,
            "maxItems": 200,
            "items": {
                "type": "object",
                "required": ["name", "passed", "observed", "expected"],
                "additionalProperties": False,
                "properties": {
                    "name": {**_TEXT, "maxLength": 200},
                    "passed": {"type": "boolean"},
                    "observed": {"type": ["string", "number", "boolean", "null"], "maxLength": 500},
                    "expected": {"type": ["string", "number", "boolean", "null"], "maxLength": 500},
                },
            },
        },
        "metrics": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,40}$"},
            "additionalProperties": {"type": ["number", "null"]},
        },
    },
}


def suite_answer(suite: str, body: bytes) -> dict[str, Any]:
    """The answer of a team's suite; InvalidInputError says what in it is not as agreed."""
    try:
        answer = json.loads(body, parse_constant=_refuse)
    except ValueError as error:
        raise InvalidInputError(f"suite {suite} did not answer JSON: {error}") from error
    found = problems(SUITE_ANSWER, answer)
    if found:
        raise InvalidInputError(
            f"suite {suite} answered what is no result of a suite: {'; '.join(found)}; "
            "docs/suites.md says what is expected"
        )
    validated: dict[str, Any] = answer
    return validated


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")
