"""The link of the copy benchmark is as fast as it says, whoever shares it."""

from __future__ import annotations

import pytest

from benchmarks.link import Direction


def test_what_is_sent_takes_its_time() -> None:
    link = Direction(100.0)
    assert link.delay(0.0, 50) == pytest.approx(0.5)
    # Another connection waits until the first is through.
    assert link.delay(0.1, 100) == pytest.approx(1.4)
    # An idle link saves nothing up.
    assert link.delay(10.0, 100) == pytest.approx(1.0)
