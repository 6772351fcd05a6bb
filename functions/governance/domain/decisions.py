"""What speaks against counting a review, an emergency request or a retirement that somebody set.

The registry takes what IAM lets through. What it cannot know, who may do it to which bytes and from
where the version came, is asked here; what is objected to is recorded and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from governance.domain import phases, reviews
from governance.domain.approval_events import NO_REASON
from governance.domain.identity import account_of, same_person

REVOKED, RECALLED, RETIRED = "ReviewRevoked", "VersionRecalled", "VersionRetired"
_RECALLED = "Prod/Recalled"
_WEIGHED = frozenset({"ReviewGiven", "BreakGlassRequested"})
# Where the registry shows a person's word over what the version is: on its way, deployed, or taken
# back.
_SHOWN_AGAIN = frozenset({reviews.RELEASING, "Prod/Deployed", "Prod/Recalled"})


def is_weighed(kind: str) -> bool:
    """True for what counts only if nothing speaks against it: a review given, an emergency."""
    return kind in _WEIGHED


def objections(
    decision: Mapping[str, Any],
    by: Mapping[str, Any] | None,
    reason: str,
    before: str | None,
    compared: Mapping[str, Any],
    story: Iterable[Mapping[str, Any]] = (),
    serves: Mapping[str, Any] | None = None,
) -> list[str]:
    """Why the decision counts for nothing, each a sentence; [] if it counts.

    `by` is the identity of who decided, None if a later change hid it; `before` the phase in which
    the ledger has the version; `compared` {trainer, differences, problem}: what the version is now
    against its candidate, `problem` if that could not be told; `story` the entries about the
    version, the newest first; `serves` the entry by which an endpoint serves it, None if none does.
    """
    found = [_who_it_was(by), _may_do_it(decision, by)]
    if is_weighed(decision["kind"]):
        found += [
            _is_not_the_trainer(by, compared.get("trainer")),
            _may_follow(decision, before, story),
            _is_the_candidate(compared),
            _has_a_reason(decision, reason),
        ]
    if decision["kind"] == RETIRED:
        found += [_may_follow(decision, before, story), _serves_nothing(before, serves)]
    if decision["kind"] == REVOKED:
        # Nobody known, but somebody who could: in doubt what was given is taken back.
        found = found[1:]
    return [objection for objection in found if objection]


def entry_request(
    decision: Mapping[str, Any],
    by: Mapping[str, Any] | None,
    reason: str,
    compared: Mapping[str, Any],
    objections_: Sequence[str],
    recall: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What `ledger.entry` makes the decision's entry of.

    `recall` {of, blast_radius} is what `govern recall` said of a recall (domain/parts.py).
    """
    request: dict[str, Any] = {
        "promotion": decision,
        "stage": decision["stage"],
        "stage_status": decision["stage_status"],
        "approver": by,
    }
    if decision["kind"] == "VersionRejected":
        who = by["person"] if by else "a person"
        return request | {"summary": {"reasons": [f"{who}: {reason}"]}}
    return request | {
        "review": decision["review"],
        "reason": reason,
        "candidate_id": (compared.get("candidate") or {}).get("candidate_id"),
        "objections": list(objections_) or None,
        "differences": list(compared.get("differences") or ()) or None,
        "recall": dict(recall) if recall else None,
    }


def shows_again(
    kind: str, before: str | None, objections_: Sequence[str] = ()
) -> tuple[str, str] | None:
    """(stage, status) to set again after a decision that must not hide them, or None.

    A retirement that was refused hides whatever the version is.
    """
    moves_nothing = is_weighed(kind) or kind == REVOKED
    refused = kind == RETIRED and bool(objections_) and before is not None
    if not refused and (not moves_nothing or before not in _SHOWN_AGAIN):
        return None
    stage, _, status = str(before).partition("/")
    return stage, status


def _who_it_was(by: Mapping[str, Any] | None) -> str:
    if by is None:
        return (
            "the version was changed again before this was read, so nothing tells whose decision "
            "it was; decide again"
        )
    return "" if by.get("person") else "nothing in the session tells which person it was"


def _may_do_it(decision: Mapping[str, Any], by: Mapping[str, Any] | None) -> str:
    phase = phases.BY_NAME[f"{decision['stage']}/{decision['stage_status']}"]
    account = account_of(decision["model_package_arn"])
    if by is None:
        return ""
    role_arn = str(by.get("role_arn") or "unknown")
    # A role of the same name in another account is somebody else's to give away.
    if by.get("persona") in phase.set_by and account_of(role_arn) == account:
        return ""
    roles = " or ".join(f"governed-path-{setter}" for setter in sorted(phase.set_by))
    return f"{role_arn} may not set {phase.name}; only {roles} of account {account} may"


def _is_not_the_trainer(by: Mapping[str, Any] | None, trainer: Mapping[str, Any] | None) -> str:
    if by is None or trainer is None or not same_person(by, trainer):
        return ""
    return f"{by.get('person') or 'an unknown person'} trained the version; somebody else decides"


def _may_follow(
    decision: Mapping[str, Any], before: str | None, story: Iterable[Mapping[str, Any]]
) -> str:
    name = f"{decision['stage']}/{decision['stage_status']}"
    if reviews.may_be_given(before, name, story):
        return ""
    return f"the version is {before or 'unknown to the ledger'}; {name} cannot follow that"


def _serves_nothing(before: str | None, serves: Mapping[str, Any] | None) -> str:
    if serves is None or before == _RECALLED:
        return ""
    endpoint = serves["endpoint"]
    name = endpoint["endpoint_name"]
    return (
        f"endpoint {name} of account {endpoint['account']} serves it, as entry "
        f"{serves['sequence']} says: go back with `govern rollback {name}`, or release another "
        "version, then retire it"
    )


def _is_the_candidate(compared: Mapping[str, Any]) -> str:
    if compared.get("problem"):
        return f"it cannot be told which bytes this is: {compared['problem']}"
    differences: Sequence[Mapping[str, str]] = compared.get("differences") or ()
    if not differences:
        return ""
    names = ", ".join(difference["name"] for difference in differences)
    return f"the version is not its candidate any more: {names}"


def _has_a_reason(decision: Mapping[str, Any], reason: str) -> str:
    if decision["kind"] != "BreakGlassRequested" or reason != NO_REASON:
        return ""
    return "an emergency needs a reason: set it again and say why in the stage description"
