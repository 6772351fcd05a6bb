"""How every function begins: one logger, the claim in each line, nothing of the payload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger

logger = Logger(service="governed-path")

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def entry_point(function: Handler) -> Handler:
    """Make a function a Lambda handler whose log lines carry claim, model and request id.

    The event itself is never logged: it can hold task tokens, and model cards are sensitive.
    """
    module = function.__module__.rpartition(".")[2]

    @wraps(function)
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        logger.append_keys(
            handler=module,
            claim_id=claim_of(event),
            request_id=getattr(context, "aws_request_id", None),
        )
        result = function(event, context)
        logger.info("done")
        return result

    return handler


def claim_of(event: Mapping[str, Any]) -> str:
    """The claim id that the event carries, or "" if it has none yet."""
    for part in ("promotion", "deployment"):
        holder = event.get(part)
        if isinstance(holder, Mapping) and holder.get("claim_id"):
            return str(holder["claim_id"])
    return ""
