"""What Step Functions tells of an execution."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from governance.domain.errors import InvalidInputError

DETAIL_TYPE = "Step Functions Execution Status Change"
ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})


def child(execution_arn: str, machine: str, name: str) -> str:
    """The ARN of the execution of another machine of ours that one has started by that name."""
    start, _, _ = execution_arn.partition(":execution:")
    return f"{start}:execution:governed-path-{machine.replace('_', '-')}:{name}"


def machine(execution_arn: str) -> str:
    """Which machine of ours the execution is one of, like release_to_prod."""
    name = execution_arn.partition(":execution:")[2].partition(":")[0]
    return name.removeprefix("governed-path-").replace("-", "_")


def queued(message: Mapping[str, Any]) -> dict[str, Any]:
    """The event in what Lambda passes on from a queue, one message at a time.

    InvalidInputError for anything else.
    """
    records = message.get("Records")
    if not isinstance(records, list) or len(records) != 1:
        raise InvalidInputError(
            f"got {str(message)[:80]}; expected Records with one message of a queue: set the "
            "event source's BatchSize to 1"
        )
    return _object(str(records[0].get("body")), "a message of the queue is")


def input_of(execution_arn: str, text: str) -> dict[str, Any]:
    """What the execution was started with, which for a workflow is AWS's event.

    InvalidInputError if that is no event.
    """
    return _object(text, f"execution {execution_arn} was started with")


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(
            f"{what} {text!r:.80}; expected the JSON of an event: look at the execution, and "
            "remove by hand what it made"
        ) from error
    if not isinstance(found, dict):
        raise InvalidInputError(f"{what} {found!r:.80}; expected an event")
    return found


def ended(event: Mapping[str, Any]) -> str:
    """The ARN of the execution that has ended; InvalidInputError names what is not as expected."""
    detail = event.get("detail")
    found = detail if isinstance(detail, Mapping) else {}
    arn = found.get("executionArn")
    if event.get("detail-type") != DETAIL_TYPE or not isinstance(arn, str) or not arn:
        raise InvalidInputError(
            f"event {event.get('id')!r} has detail-type {event.get('detail-type')!r} and "
            f"detail.executionArn {arn!r}; expected a {DETAIL_TYPE!r}"
        )
    if found.get("status") not in ENDED:
        raise InvalidInputError(
            f"execution {arn} is {found.get('status')!r}; expected one of "
            f"{', '.join(sorted(ENDED))}: correct the rule that sent it"
        )
    return arn
