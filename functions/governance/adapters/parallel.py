"""Many small requests at a time, in threads: a function waits for S3, not for its processor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

# As many as a client keeps connections for; more would only wait for each other.
REQUESTS = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(do: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What `do` returns for each item, in order. After an error nothing new begins."""
    items = list(items)
    if len(items) == 1:
        return [do(items[0])]
    with ThreadPoolExecutor(REQUESTS) as pool:
        begun = [pool.submit(do, item) for item in items]
        try:
            return [one.result() for one in begun]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
