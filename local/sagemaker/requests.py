"""A request as the operations see it: who asks, for which account, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from local.sagemaker.callers import Caller
from local.sagemaker.errors import invalid
from local.sagemaker.store import Account, Record


@dataclass(frozen=True, slots=True)
class Request:
    """One call of an operation whose body the service model accepts."""

    operation: str
    body: Record
    mine: Account
    caller: Caller

    def page(self, summaries: Sequence[Record], member: str, largest: int = 100) -> Record:
        """One page of a listing; NextToken is the number of what came before."""
        token = self.body.get("NextToken") or "0"
        if not token.isdigit():
            raise invalid(f"Invalid NextToken: {token!r} is not one that was returned")
        start, size = int(token), int(self.body.get("MaxResults") or largest)
        answer: Record = {member: list(summaries[start : start + size])}
        if start + size < len(summaries):
            answer["NextToken"] = str(start + size)
        return answer

    def filtered(self, records: Iterable[Record], name: str = "") -> list[Record]:
        """The records that the filters common to most listings let through.

        NameContains looks at the member `name`; times are compared with CreationTime and
        LastModifiedTime.
        """
        wanted = self.body.get("NameContains") or ""
        bounds = [
            ("CreationTime", self._time("CreationTimeAfter", "CreatedAfter"), 1),
            ("CreationTime", self._time("CreationTimeBefore", "CreatedBefore"), -1),
            ("LastModifiedTime", self._time("LastModifiedTimeAfter"), 1),
            ("LastModifiedTime", self._time("LastModifiedTimeBefore"), -1),
        ]
        asked = [(member, bound, sign) for member, bound, sign in bounds if bound is not None]
        return [
            record
            for record in records
            if (not wanted or wanted in str(record.get(name, "")))
            and all((record.get(member, 0.0) - bound) * sign > 0 for member, bound, sign in asked)
        ]

    def sorted(
        self, records: Iterable[Record], members: dict[str, str], descending: bool = False
    ) -> list[Record]:
        """The records as SortBy and SortOrder want them; `members` is SortBy -> member."""
        member = members.get(self.body.get("SortBy") or "", "CreationTime")
        order = self.body.get("SortOrder")
        reverse = order == "Descending" if order else descending
        return sorted(records, key=lambda record: record.get(member) or 0, reverse=reverse)

    def _time(self, *members: str) -> float | None:
        for member in members:
            value = self.body.get(member)
            if value is not None:
                return epoch(value)
        return None


def epoch(value: float | str) -> float:
    """A time as the JSON protocol sends it: epoch seconds, or ISO-8601 text."""
    if not isinstance(value, str):
        return float(value)
    try:
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    except ValueError as error:
        raise invalid(f"{value!r} is not a time") from error


def public(record: Record) -> Record:
    """The record without what only the service needs, which it keeps under lower-case keys."""
    return {key: value for key, value in record.items() if key[:1].isupper()}


def pick(record: Record, members: Iterable[str]) -> Record:
    """The named members that the record has."""
    return {member: record[member] for member in members if member in record}
