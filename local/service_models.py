"""AWS's service models and endpoints, read once in a process instead of once for every client.

boto3 makes a loader for each session, and each parses the same files of JSON anew: a tenth of a
second of a processor for every client here, where every caller has credentials of its own.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.session
from botocore.loaders import Loader, create_loader


def share() -> None:
    """Give every session of this process one loader for a search path, which keeps what it read.

    What a loader returns is shared among the clients of a session already, and never written to.
    """
    vars(botocore.session)["create_loader"] = _loader


@cache
def _loader(search_path: str | None = None) -> Loader:
    made: Any = create_loader(search_path)
    assert isinstance(made, Loader)
    return made
