"""One decision is one claim, however its event writes the time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import claims
from governance.domain.errors import InvalidInputError

ARN = "arn:aws:sagemaker:us-east-1:444455556666:model-package/m/1"
TIME = "2026-01-31T12:00:00Z"
MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_the_id_is_a_digest_of_package_stage_and_time() -> None:
    """Pinned: an id that changed would let old decisions run again."""
    assert (
        claims.claim_id(ARN, "Dev", TIME)
        == "e9f8a6d59d16deb32bcec7d06987c621e39e1d29799d20f279e1e3c7d524818b"
    )


@pytest.mark.parametrize(
    "other",
    [
        (ARN.replace("/1", "/2"), "Dev", TIME),
        (ARN, "Test", TIME),
        (ARN, "Dev", "2026-01-31T12:00:01Z"),
    ],
)
def test_another_package_stage_or_time_is_another_claim(other: tuple[str, str, str]) -> None:
    assert claims.claim_id(*other) != claims.claim_id(ARN, "Dev", TIME)


@given(*[st.text(max_size=20)] * 6)
def test_parts_cannot_run_into_each_other(a: str, b: str, c: str, d: str, e: str, f: str) -> None:
    same = (a, b, c) == (d, e, f)
    assert (claims.claim_id(a, b, c) == claims.claim_id(d, e, f)) == same


@pytest.mark.parametrize(
    "value",
    [
        TIME,
        "2026-01-31T12:00:00.999Z",
        "2026-01-31T12:00:00.250000+00:00",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31T12:00:00",
        MOMENT.timestamp(),
        int(MOMENT.timestamp()),
        MOMENT.timestamp() * 1000,
        int(MOMENT.timestamp() * 1000) + 999,
    ],
    ids=repr,
)
def test_every_way_to_write_a_time_gives_the_same_one(value: Any) -> None:
    assert claims.decision_time(value) == TIME


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "yesterday", "2026-02-30T00:00:00Z", True, [], {}, 1e30),
        *(float("nan"), float("inf"), float("-inf")),
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
    ],
    ids=repr,
)
def test_what_is_no_time_is_refused_and_quoted(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="LastModifiedTime is " + re.escape(repr(value))):
        claims.decision_time(value)


@given(
    st.text(max_size=30)
    | st.floats()
    | st.integers()
    | st.booleans()
    | st.none()
    | st.datetimes(timezones=st.just(timezone(timedelta(hours=-7)))).map(datetime.isoformat)
)
def test_a_time_is_normal_or_refused(value: Any) -> None:
    try:
        found = claims.decision_time(value)
    except InvalidInputError:
        return
    assert FORM.fullmatch(found)
    assert claims.decision_time(found) == found


@given(st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2100, 1, 1)))
def test_seconds_milliseconds_and_text_agree(moment: datetime) -> None:
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    text = claims.decision_time(whole.isoformat())
    assert claims.decision_time(whole.timestamp()) == text
    assert claims.decision_time(whole.timestamp() * 1000) == text
