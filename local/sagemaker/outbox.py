"""Events leave in order, on a thread of their own: a slow target must not hold up a request."""

from __future__ import annotations

import copy
import logging
import queue
import threading
import time
from typing import Any

from local.sagemaker import Emit

logger = logging.getLogger("governed-path")


class Outbox:
    """A queue of events and the thread that emits them."""

    def __init__(self) -> None:
        self._emit: Emit | None = None
        self._events: queue.Queue[tuple[Any, ...]] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def deliver_to(self, emit: Emit) -> None:
        """Emit everything that is put from now on with `emit`."""
        with self._lock:
            self._emit = emit
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="sagemaker-events", daemon=True
                )
                self._thread.start()

    def put(
        self,
        account: str,
        region: str,
        detail_type: str,
        detail: dict[str, Any],
        resources: list[str],
    ) -> None:
        """Emit an event of aws.sagemaker later; its detail is taken as it is now."""
        self._events.put((account, region, detail_type, copy.deepcopy(detail), resources))

    def drain(self, seconds: float = 10.0) -> bool:
        """Wait until all events are out; False if that takes longer."""
        deadline = time.monotonic() + seconds
        while self._events.unfinished_tasks:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _run(self) -> None:
        while True:
            account, region, detail_type, detail, resources = self._events.get()
            try:
                if self._emit is not None:
                    self._emit(account, region, "aws.sagemaker", detail_type, detail, resources)
            except Exception:
                # Whatever a bus or one of its targets does, the next event must still go out.
                logger.exception("could not emit %s for %s", detail_type, resources)
            finally:
                self._events.task_done()


OUTBOX = Outbox()
