"""How many functions run at once, and how many execution environments are kept for later.

The emulator starts a process for each invocation that finds none idle and keeps it for five
minutes: a hundred promotions that begin together exhaust 16 GB, long before an account's limit in
AWS, a thousand functions at once. Here an invocation waits for its turn instead. A state machine's
task has its turn before it begins (`workflow_tasks`), so that the time it waits for a laptop is not
taken from its TimeoutSeconds.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.seams.assertions import require_attributes, require_parameters, require_source

AT_ONCE = 8 * (os.cpu_count() or 1)  # functions; they mostly wait for the services they call
SPARE = 2 * AT_ONCE  # idle environments beside the first of each function, of some 30 MB each

# Of a call by whom a place is held already: to the emulator, a function that invokes another one.
IN_PLACE = {lambda_runtime.INVOKE_DEPTH_HEADER: "1"}
_has_a_place: contextvars.ContextVar[bool] = contextvars.ContextVar("has a place", default=False)


class Line:
    """So many places; who finds none free waits, and gets one in the order of arrival."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Have a place for as long as the block takes."""
        turn = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                turn.set()
            else:
                self._waiting.append(turn)
        turn.wait()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._free += 1


_LINE = Line(AT_ONCE)


@contextmanager
def place() -> Iterator[None]:
    """Have a place among the functions that run, unless whoever calls has one already."""
    if _has_a_place.get():
        yield
        return
    with _LINE.place():
        token = _has_a_place.set(True)
        try:
            yield
        finally:
            _has_a_place.reset(token)


def headers() -> dict[str, str]:
    """What tells the gateway that whoever calls has a place for the function; {} if nobody has."""
    return dict(IN_PLACE) if _has_a_place.get() else {}


def install() -> None:
    """Let invocations wait for a place; end the environments that were idle longest."""
    require_parameters("concurrency", lambda_svc._execute_function, "func", "event")
    require_source(
        "concurrency",
        lambda_svc._execute_function,
        "_run_with_function_config_scope(config, _execute_function, func, event)",
    )
    require_attributes("concurrency", lambda_svc, "_invoke_depth")
    require_source("concurrency", lambda_svc._invoke, "_invoke_depth.set(depth)")
    require_source(
        "concurrency",
        lambda_runtime.acquire_worker,
        *("worker.in_use = True", "worker.last_used = time.time()"),
    )
    require_parameters("concurrency", lambda_runtime.kill_workers, "workers")
    require_attributes("concurrency", lambda_runtime, "_workers", "_lock")
    execute = lambda_svc._execute_function

    def in_turn(func: dict[str, Any], event: Any) -> Any:
        # A function that invokes another one has a place already and would wait for its own.
        invoked_by_one = lambda_svc._invoke_depth.get() > 1
        with nullcontext() if invoked_by_one else place():
            try:
                return execute(func, event)
            finally:
                end_spares(SPARE)

    lambda_svc._execute_function = in_turn


def end_spares(kept: int, end: Callable[[list[Any]], None] = lambda_runtime.kill_workers) -> None:
    """End all but so many of the environments that are idle beside the first of their function."""
    with lambda_runtime._lock:
        idle = [
            (worker.last_used, key, worker)
            for key, workers in lambda_runtime._workers.items()
            for worker in workers[1:]
            if not worker.in_use
        ]
        surplus = sorted(idle, key=lambda one: one[0])[: max(0, len(idle) - kept)]
        for _, key, worker in surplus:
            lambda_runtime._workers[key].remove(worker)
    end([worker for _, _, worker in surplus])
