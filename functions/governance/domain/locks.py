"""One active release per endpoint: who holds it, who waits, and who is turned away.

A lock belongs to an execution and ends with it. Who comes second waits for a while; who was
overtaken by a later decision is told so, since releasing an older decision after a newer one would
undo what somebody has decided since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from governance.domain import approval_events
from governance.domain.gates import Reason, one_line
from governance.domain.rollbacks import WORKFLOW

RULE = "one_active_release"
# How often the state machine asks again, which takes it about an hour.
ATTEMPTS = 40

Entry = Mapping[str, Any]


def held(promotion: Mapping[str, Any], endpoint_arn: str) -> str:
    """What the run holds while it works: the endpoint; a drill only what other drills of it hold.

    It changes nothing in Prod, so no release and no rollback ever waits for one.
    """
    return f"{endpoint_arn}#drill" if promotion["workflow"] == "drill_rollback" else endpoint_arn


def lock_of(promotion: Mapping[str, Any], endpoint_arn: str, since: str) -> dict[str, Any]:
    """The lock of an endpoint for the execution that the promotion runs in."""
    kept = ("execution_arn", "claim_id", "workflow", "model", "model_package_arn", "decided_at")
    return {"endpoint_arn": endpoint_arn, "since": since, **{key: promotion[key] for key in kept}}


def is_of(lock: Mapping[str, Any], promotion: Mapping[str, Any]) -> bool:
    """True if the lock is that of the promotion's own execution."""
    return bool(lock["execution_arn"] == promotion["execution_arn"])


def yields(holder: Mapping[str, Any], promotion: Mapping[str, Any], runs: bool) -> bool:
    """True if the holder loses the endpoint to the promotion.

    It does if its execution runs no more; and a release does to a rollback, so that no other that
    waits comes in between while it is being stopped.
    """
    back = promotion["workflow"] == WORKFLOW
    return not runs or (back and holder["workflow"] == "release_to_prod")


def taken_over(lock: Mapping[str, Any], stopped: Mapping[str, Any] | None) -> dict[str, Any]:
    """The lock, with what it took the endpoint from if that is still to be stopped."""
    if stopped is None:
        return dict(lock)
    kept = {key: value for key, value in stopped.items() if key != "took_over"}
    return {**lock, "took_over": kept}


def told(lock: Mapping[str, Any]) -> str:
    """Who holds an endpoint, since when and in which execution, as a clause."""
    return (
        f"{lock['workflow']} of {lock['model_package_arn']} has held it since {lock['since']} "
        f"in execution {lock['execution_arn']}"
    )


def refusal_while_held(
    promotion: Mapping[str, Any], holder: Mapping[str, Any], attempt: int
) -> dict[str, Any] | None:
    """Why the promotion does not wait, or wait longer, for the holder; None if it does."""
    name = _name(holder)
    if holder["decided_at"] > promotion["decided_at"]:
        return _refusal(
            f"the decision of {promotion['decided_at']} is older than the one that endpoint {name} "
            f"is being changed for: {told(holder)}",
            "a decision that is not older than the one in progress",
        )
    if attempt >= ATTEMPTS:
        return _refusal(
            f"endpoint {name} did not become free: {told(holder)}",
            "an endpoint that one release at a time changes",
        )
    return None


def refusal_if_overtaken(
    promotion: Mapping[str, Any], changes: Iterable[Entry]
) -> dict[str, Any] | None:
    """Why the promotion comes too late; None if nothing decided later serves.

    `changes` are the entries that say what the endpoint was made to serve. A rollback, or a
    drill of one, also comes too late if another version has come to serve since it was asked for:
    there is nothing to go.
    """
    found = sorted(changes, key=lambda entry: int(entry["sequence"]))
    later = [entry for entry in found if entry["decided_at"] > promotion["decided_at"]]
    if not later:
        back = promotion["workflow"] in approval_events.BACK
        return _refusal_if_gone(promotion, found[-1]) if back and found else None
    newest = later[-1]
    return _refusal(
        f"entry {newest['sequence']} ({newest['kind']}) of {newest['model_package_arn']} was "
        f"decided at {newest['decided_at']}, after this decision of {promotion['decided_at']}",
        "the latest decision about the endpoint",
    )


def _refusal_if_gone(promotion: Mapping[str, Any], serving: Entry) -> dict[str, Any] | None:
    arn = serving["model_package_arn"]
    if serving["recorded_at"] <= promotion["decided_at"] or arn == promotion["model_package_arn"]:
        return None
    return _refusal(
        f"entry {serving['sequence']} ({serving['kind']}) says that {arn} serves since "
        f"{serving['recorded_at']}; when the way back was asked for, at "
        f"{promotion['decided_at']}, another did",
        "the latest decision about the endpoint",
    )


def _refusal(fact: str, expected: str) -> dict[str, Any]:
    """What of the gate's verdict becomes otherwise: the rules and the facts stay as they were."""
    reason = Reason(RULE, fact, expected, "Governance Engineer: look at what serves, approve again")
    said = f"Endpoint: denied. [{RULE}] {fact}; expected {expected}. {reason.remedy}."
    return {
        "allowed": False,
        "reasons": [reason.to_dict()],
        "description": one_line(said),
        "leaves": {"stage": "Prod", "stage_status": "Rejected"},
    }


def _name(lock: Mapping[str, Any]) -> str:
    return str(lock["endpoint_arn"]).rpartition("/")[2].partition("#")[0]
