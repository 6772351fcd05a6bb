"""AWS's seconds in the time of a laptop: what is told to wait for minutes waits for seconds."""

from __future__ import annotations

import os

VARIABLE = "GOVERNED_PATH_TIME_SCALE"
_DEFAULT = 1 / 60  # an AWS minute is a second


def scale() -> float:
    """Seconds here for one second of AWS; ValueError for what is no number above 0 and up to 1."""
    given = os.environ.get(VARIABLE)
    if not given:
        return _DEFAULT
    try:
        factor = float(given)
    except ValueError:
        factor = 0.0
    if not 0 < factor <= 1:
        raise ValueError(f"{VARIABLE} is {given!r}; expected a number above 0 and not above 1")
    return factor


def scaled(seconds: float) -> float:
    """How long here what takes that many seconds in AWS."""
    return seconds * scale()
