"""What the command line says when it says no: a code, a message, what to do next, an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REFUSED, USAGE, NOT_RUNNING = 1, 2, 3  # exit codes; 0 is success


class GovernError(Exception):
    """A command that ends without doing what was asked.

    `code` is one word for programs, `message` says what on which id and what was expected, `hint`
    what to do next, `details` are further members of the JSON form.
    """

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        exit_code: int = REFUSED,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
        self.details = dict(details or {})

    def to_dict(self) -> dict[str, Any]:
        """{error: {code, message, hint, ...details}}"""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "hint": self.hint,
                **self.details,
            }
        }


def usage(message: str, hint: str = "") -> GovernError:
    """The command was called wrongly; exit code 2."""
    return GovernError("usage", message, hint, USAGE)
