"""The time, as text. The domain has no clock; handlers read it here and pass it on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def now(later_by: int = 0) -> str:
    """The time now, or that many seconds later: ISO-8601, UTC, like 2026-01-31T12:00:00Z."""
    return (datetime.now(UTC) + timedelta(seconds=later_by)).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact() -> str:
    """The time now to the microsecond: one second is enough for an alarm to be set back in."""
    return text(datetime.now(UTC))


def text(moment: datetime) -> str:
    """A time as AWS returns it: ISO-8601, UTC, microseconds, so that text sorts as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
