"""Reviews: which of them stand, whether the glass is broken, whether a review is still owed.

All of it is read from a version's ledger entries, the newest first (`story`). Times are ISO-8601,
UTC, in whole seconds. In doubt a "no" counts and a "yes" does not:

- An entry with `objections` says itself why it does not count.
- Of one person's decisions about one kind the newest counts, by the time of the decision, since
  events arrive in any order; of two in the same second the revocation counts.
- A revocation by nobody known (a later change hid who it was) takes back every review of its kind:
  only who may review that kind could set it.
- A review rests on the test results and on nobody having said no: a later `ValidationStarted`,
  `VersionRejected` or `VersionRecalled` voids what was given before it, and `ApprovalsVoided` does
  so for its candidate. A gate's refusal voids nothing: it may just ask for one review more.
- A break-glass request rests on the same, and serves one release.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from governance.domain import phases

RELEASING = "Prod/Releasing"
KINDS = ("technical", "business", "compliance", "deployment")
VALID_DAYS = 30  # if the tier policy has no review_valid_days
BREAK_GLASS_VALID_HOURS = 24
MANDATORY_REVIEW_HOURS = 72  # if the verdict that let the release pass has no review_due_at

# What voids a review that was given before it; a break-glass request is used up as well.
_VOIDING = frozenset({"ApprovalsVoided", "ValidationStarted", "VersionRejected", "VersionRecalled"})
_USING_UP = _VOIDING | {"CandidateReleased"}

Entry = Mapping[str, Any]


def standing(
    story: Iterable[Entry], candidate_id: str, now: str, valid_days: int = VALID_DAYS
) -> list[dict[str, Any]]:
    """The reviews of the candidate that are in force at `now`, the newest first.

    Each {kind, person, persona, role_arn, given_at, expires_at, entry_id, description}. A review
    is in force until `valid_days` after it was given; at `expires_at` it is not any more.
    """
    found = [
        _review(entry, valid_days)
        for entry in in_force(story, candidate_id)
        if entry["decided_at"] <= now < _later(entry["decided_at"], timedelta(days=valid_days))
    ]
    return sorted(found, key=lambda review: str(review["given_at"]), reverse=True)


def break_glass(
    story: Iterable[Entry],
    candidate_id: str,
    now: str,
    valid_hours: int = BREAK_GLASS_VALID_HOURS,
) -> dict[str, Any] | None:
    """The newest emergency request for the candidate that is in force at `now`, or None.

    {person, persona, reason, requested_at, expires_at, entry_id}. It is in force for `valid_hours`,
    or until a version was released on it.
    """
    entries = list(story)
    requests = [
        entry
        for index, entry in enumerate(entries)
        if entry["kind"] == "BreakGlassRequested"
        and _counts(entry, candidate_id)
        and not _voided(entry, index, entries, _USING_UP)
    ]
    newest = max(requests, key=lambda entry: str(entry["decided_at"]), default=None)
    if newest is None:
        return None
    expires_at = _later(newest["decided_at"], timedelta(hours=valid_hours))
    if not newest["decided_at"] <= now < expires_at:
        return None
    return {
        "person": newest["approver"]["person"],
        "persona": newest["approver"].get("persona"),
        "session_arn": newest["approver"].get("session_arn"),
        "source_identity": newest["approver"].get("source_identity"),
        "reason": newest["reason"],
        "requested_at": newest["decided_at"],
        "expires_at": expires_at,
        "entry_id": newest["entry_id"],
    }


def open_mandatory_review(story: Iterable[Entry]) -> dict[str, Any] | None:
    """The review that a break-glass release still owes, or None if none is open.

    {model, model_package_arn, candidate_id, waived, missing, due_at, opened_at, overdue_recorded,
    entry_id, entry}: `waived` the kinds of review that the release did without (all, if nobody
    said which), `missing` those of them that nobody has given since. Neither who asked for the
    emergency nor who signed it can give them: that would be reviewing oneself. A review that was
    given stays given whatever becomes of the version, unless it is taken back.
    """
    entries = list(story)
    index = next(
        (i for i, entry in enumerate(entries) if entry["kind"] == "MandatoryReviewOpened"), None
    )
    if index is None:
        return None
    opened = entries[index]
    since, candidate_id = entries[:index], str(opened.get("candidate_id"))
    involved = {_name(opened.get("approver")), _name(_emergency(opened))}
    given = {
        entry["review"]
        for entry in in_force(since, candidate_id, voiding=frozenset())
        if _name(entry["approver"]) not in involved
    }
    waived = [kind for kind in KINDS if kind in (opened.get("waived") or KINDS)]
    missing = [kind for kind in waived if kind not in given]
    if not missing:
        return None
    late = timedelta(hours=MANDATORY_REVIEW_HOURS)
    return {
        "model": opened["model"],
        "model_package_arn": opened["model_package_arn"],
        "candidate_id": candidate_id,
        "waived": waived,
        "missing": missing,
        "due_at": opened.get("due_at") or _later(opened["recorded_at"], late),
        "opened_at": opened["recorded_at"],
        "overdue_recorded": any(
            entry["kind"] == "MandatoryReviewOverdue" and entry["claim_id"] == opened["claim_id"]
            for entry in since
        ),
        "entry_id": opened["entry_id"],
        "entry": dict(opened),
    }


def may_be_given(before: str | None, review: str, story: Iterable[Entry]) -> bool:
    """True if a review may be given of a version that the ledger has in the phase `before`.

    `review` is the phase that gives it, `story` the entries about the version, the newest first.
    While a version is being released nothing is reviewed but what its emergency owes already.
    """
    if before is None or not phases.may_follow(before, review):
        return False
    return before != RELEASING or open_mandatory_review(story) is not None


def overdue(recent: Iterable[Entry], now: str) -> list[dict[str, Any]]:
    """The mandatory reviews among a model's recent entries that are overdue and not yet said to be.

    `recent` is of all its versions, the newest first; each review is as `open_mandatory_review`
    tells it.
    """
    stories: dict[str, list[Entry]] = {}
    for entry in recent:
        stories.setdefault(entry["model_package_arn"], []).append(entry)
    still_open = [found for found in map(open_mandatory_review, stories.values()) if found]
    return [
        review
        for review in still_open
        if review["due_at"] <= now and not review["overdue_recorded"]
    ]


def overdue_request(review: Mapping[str, Any], workflow: str) -> dict[str, Any]:
    """What `ledger.entry` makes MandatoryReviewOverdue of; its claim is the release's own."""
    opened = review["entry"]
    return {
        "promotion": {
            "model": review["model"],
            "claim_id": opened["claim_id"],
            "workflow": workflow,
            "decided_at": opened["decided_at"],
        },
        "model_package_arn": review["model_package_arn"],
        "stage": opened["stage"],
        "stage_status": opened["stage_status"],
        "candidate_id": review["candidate_id"],
        "waived": review["missing"],
        "due_at": review["due_at"],
        "reason": f"not reviewed by {review['due_at']}: {', '.join(review['missing'])}",
    }


def in_force(
    story: Iterable[Entry], candidate_id: str, voiding: frozenset[str] = _VOIDING
) -> list[Entry]:
    """The reviews that were given and neither taken back nor voided, whatever their age.

    As ReviewGiven entries; `story` is the version's entries, the newest first.
    """
    entries = list(story)
    newest: dict[tuple[str, str], tuple[int, Entry]] = {}
    for index, entry in enumerate(entries):
        if entry["kind"] == "ReviewGiven" and _counts(entry, candidate_id):
            key = (_name(entry["approver"]), entry["review"])
            if key not in newest or newest[key][1]["decided_at"] < entry["decided_at"]:
                newest[key] = index, entry
    revocations = [entry for entry in entries if entry["kind"] == "ReviewRevoked"]
    return [
        entry
        for index, entry in newest.values()
        if not _voided(entry, index, entries, voiding)
        and not any(_takes_back(revocation, entry) for revocation in revocations)
    ]


def _review(entry: Entry, valid_days: int) -> dict[str, Any]:
    approver = entry["approver"]
    return {
        "kind": entry["review"],
        "person": approver["person"],
        "persona": approver.get("persona"),
        "role_arn": approver.get("role_arn"),
        "session_arn": approver.get("session_arn"),
        "source_identity": approver.get("source_identity"),
        "given_at": entry["decided_at"],
        "expires_at": _later(entry["decided_at"], timedelta(days=valid_days)),
        "entry_id": entry["entry_id"],
        "description": entry["reason"],
    }


def _counts(entry: Entry, candidate_id: str) -> bool:
    """True if a known person decided on this candidate and nothing speaks against it."""
    return (
        entry.get("candidate_id") == candidate_id
        and not entry.get("objections")
        and bool(_name(entry.get("approver")))
    )


def _takes_back(revocation: Entry, review: Entry) -> bool:
    who = _name(revocation.get("approver"))
    return (
        not revocation.get("objections")
        and revocation["review"] == review["review"]
        and who in ("", _name(review["approver"]))
        and str(review["decided_at"]) <= str(revocation["decided_at"])
    )


def _voided(decision: Entry, index: int, entries: Sequence[Entry], by: frozenset[str]) -> bool:
    """True if something that voids it was recorded after it, or was decided after it."""
    return any(
        position < index or str(decision["decided_at"]) <= str(entry["decided_at"])
        for position, entry in enumerate(entries)
        if entry["kind"] in by and _concerns(entry, decision)
    )


def _concerns(entry: Entry, decision: Entry) -> bool:
    other = entry.get("candidate_id") != decision.get("candidate_id")
    return not (entry["kind"] == "ApprovalsVoided" and other)


def _emergency(opened: Entry) -> Mapping[str, Any]:
    return (opened.get("verdict") or {}).get("break_glass") or {}


def _name(identity: Mapping[str, Any] | None) -> str:
    return str((identity or {}).get("person") or "").strip().casefold()


def _later(moment: str, by: timedelta) -> str:
    later = datetime.fromisoformat(moment).astimezone(UTC) + by
    return later.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
