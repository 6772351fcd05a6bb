"""ReleaseEndpointLock: an execution has ended, in whichever way; its endpoint is free."""

from __future__ import annotations

from typing import Any

from governance.adapters.locks import Locks
from governance.domain.executions import ended
from governance.entry import entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Release what the execution of the event holds; a lock that another has taken over stays."""
    released = Locks(settings.endpoint_locks_table).release(ended(event))
    return {"outcome": "released" if released else "nothing to release", "endpoint_arn": released}
