"""The one error that a step reports to a person."""

from __future__ import annotations

import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError


class PipelineError(Exception):
    """A step cannot go on; the message says what, which object, and what was expected."""


def exit_code(step: Callable[[], None]) -> int:
    """Run a step's main part: 0, or 1 with one line on stderr if AWS or the input stopped it."""
    try:
        step()
    except (PipelineError, ClientError, BotoCoreError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
