"""A claim: one decision about one version for one stage, however often its event arrives."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import rfc8785

from governance.domain.errors import InvalidInputError

LAST_MODIFIED = "last modified"
_LAST_SECOND = 253402300799  # 9999-12-31; a number beyond it is in milliseconds


def claim_id(model_package_arn: str, stage: str, decided_at: str) -> str:
    """64 hex digits: SHA-256 of the RFC 8785 form of (package, stage, decision time)."""
    return hashlib.sha256(
        rfc8785.dumps(
            {"model_package_arn": model_package_arn, "stage": stage, "decided_at": decided_at}
        )
    ).hexdigest()


def decision_time(value: object) -> str:
    """A decision time in whole seconds, UTC, as text like 2026-01-31T12:00:00Z.

    Events carry ISO-8601 text, consumers have also seen epoch seconds and epoch milliseconds
    (facts 5.1). InvalidInputError for anything else.
    """
    moment = _moment(value)
    if moment is None:
        raise InvalidInputError(
            f"LastModifiedTime is {value!r}; expected ISO-8601 text or an epoch number"
        )
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def changed_since(decided_at: str, description: Mapping[str, Any]) -> list[dict[str, str]]:
    """[{name, expected, actual}] if the version (DescribeModelPackage) was changed after that.

    Who read it twice in a run must find the same both times: what a gate judges is what was
    decided on, and not what somebody made of it in between.
    """
    modified = decision_time(description.get("LastModifiedTime"))
    if modified == decided_at:
        return []
    return [{"name": LAST_MODIFIED, "expected": decided_at, "actual": modified}]


def _moment(value: object) -> datetime | None:
    """The time in UTC, or None if it is none that a calendar has."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) > _LAST_SECOND else value
            return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
