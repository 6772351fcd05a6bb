"""Clearance: which stage's account may read a candidate, told by the version's ledger alone.

A grant is an entry of its own. What ends it is an entry as well: the tests that it was for are
over, or the version was recalled, retired or changed. Object tags are what S3 asks; they are
written from here, so that whoever writes them last writes the truth, in whatever order events come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from governance.domain import ledger
from governance.domain.errors import AccessError, InvalidInputError

GRANTED, REVOKED = "ClearanceGranted", "ClearanceRevoked"
STAGES = ("Test", "Prod")
# The kinds of entries that end a clearance, and for which stages.
ENDS: Mapping[str, tuple[str, ...]] = {
    "ValidationPassed": ("Test",),
    "ValidationFailed": ("Test",),
    "ValidationErrored": ("Test",),
    "ReleaseRolledBack": ("Prod",),
    "ReleaseStopped": ("Prod",),
    "VersionRecalled": STAGES,
    "VersionRetired": STAGES,
    "ApprovalsVoided": STAGES,
    # Nobody goes back to it any more; its tests end their own grant.
    "VersionRejected": ("Prod",),
    # A drill is over: its endpoint is gone, or is going.
    "RollbackDrilled": ("Test",),
    "DrillFailed": ("Test",),
    "DrillErrored": ("Test",),
    # A run that was stopped or timed out needs nothing any more; one of Prod was granted no Test.
    "RunUnfinished": ("Test",),
    # Nobody goes back to it by himself; who does says so, and its gate clears it again.
    "CandidateRolledBack": ("Prod",),
    # Ends only that of a version which somebody took back while it was released; but a grant that
    # broke while it wrote may have left a yes behind a recall's no.
    "ReleaseErrored": (),
}
# How a run of Test ends: that is the end of its own grant. A drill and a validation may be at the
# same version, and neither has to know of the other.
_RUNS = frozenset(
    {
        *("ValidationPassed", "ValidationFailed", "ValidationErrored"),
        *("RollbackDrilled", "DrillFailed", "DrillErrored", "RunUnfinished"),
    }
)
# No run of Test lasts longer: whoever was granted it before was stopped, and told nobody.
LONGEST_RUN = timedelta(hours=4)
# A release that did not come to its end says nothing of an earlier one by which the version serves.
_UNLESS_IT_SERVES = frozenset({"ReleaseRolledBack", "ReleaseStopped"})
# What is said of a version takes nothing from under an endpoint, unless it is recalled.
_SAID = frozenset({"ApprovalsVoided", "VersionRejected"})
# A release that goes on, or that broke after the traffic moved, serves like one that is done.
_MAY_SERVE = frozenset({"Prod/Deployed", "Prod/Releasing", "Prod/Errored"})
# What a gate would have said no to, had it come before the gate and not after.
_WITHDRAWN = frozenset(
    {"VersionRecalled", "VersionRetired", "VersionRejected", "ApprovalsVoided", "ReviewRevoked"}
)
# How the roles of what an endpoint's containers load begin; a holdout has patients in it, and no
# endpoint needs one.
LOADED = ("model-data", "channel", "additional-data")


def held(story: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """{stage: account (12 digits)} that a version is cleared for.

    `story` is the entries about the version, the newest first. Each grant is that of a claim, and a
    stage is cleared as long as one of them stands. A grant whose entry came after that of a recall
    that it had to heed opens nothing: who granted looked before the recall was recorded.
    """
    granted: dict[str, list[Mapping[str, Any]]] = {}
    withdrawn_at = ""
    for index in reversed(range(len(story))):
        entry = story[index]
        if _withdraws(entry):
            withdrawn_at = max(withdrawn_at, entry["decided_at"])
        if entry["kind"] == GRANTED and entry["decided_at"] >= withdrawn_at:
            granted.setdefault(entry["stage"], []).append(entry)
        for stage in _ends(entry, story[index + 1 :]):
            granted[stage] = [one for one in granted.get(stage, ()) if _outlasts(one, entry)]
    return {stage: str(one[-1]["clearance"]["account"]) for stage, one in granted.items() if one}


def was_granted(story: Sequence[Mapping[str, Any]], claim_id: str = "") -> bool:
    """True if the version was ever cleared, or, where a claim is named, if it was by that claim."""
    return any(entry["kind"] == GRANTED and claim_id in ("", entry["claim_id"]) for entry in story)


def ended_by(story: Sequence[Mapping[str, Any]], entry_id: str) -> dict[str, str]:
    """{stage: account} of the clearances that this entry ended; {} if there were none."""
    for index, entry in enumerate(story):
        if entry["entry_id"] == entry_id:
            before, after = held(story[index + 1 :]), held(story[index:])
            return {stage: account for stage, account in before.items() if stage not in after}
    return {}


def check_not_withdrawn(
    story: Sequence[Mapping[str, Any]], promotion: Mapping[str, Any], stage: str
) -> None:
    """AccessError if something of what `withdrawn` finds came after the version's approval."""
    for entry in withdrawn(story, promotion):
        raise AccessError(
            f"{promotion['model_package_arn']} is not cleared for {stage}: entry "
            f"{entry['sequence']} ({entry['kind']}) came after its approval of "
            f"{promotion['decided_at']}; approve it again once that is settled"
        )


def withdrawn(
    story: Iterable[Mapping[str, Any]], promotion: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The entries by which the version was recalled, retired, rejected or changed since approval.

    And those by which a review of it was taken back. `story` is the entries about the version.
    """
    return [
        entry
        for entry in story
        if _withdraws(entry) and entry["decided_at"] > promotion["decided_at"]
    ]


def withdrawn_by(story: Iterable[Mapping[str, Any]], promotion: Mapping[str, Any]) -> list[str]:
    """What `withdrawn` finds, by number and kind: ["entry 14 (VersionRejected)"]."""
    return [f"entry {entry['sequence']} ({entry['kind']})" for entry in withdrawn(story, promotion)]


def voided(
    story: Iterable[Mapping[str, Any]], promotion: Mapping[str, Any]
) -> list[dict[str, str]]:
    """[{name, expected, actual}]: the entries since the approval that say that it counts no more.

    What was changed and is as it was again shows no difference any more, and may have been loaded
    meanwhile.
    """
    return [
        {
            "name": "approval",
            "expected": f"the one of {promotion['decided_at']}, standing",
            "actual": f"voided by entry {entry['sequence']} of {entry['recorded_at']}",
        }
        for entry in withdrawn(story, promotion)
        if entry["kind"] == "ApprovalsVoided"
    ]


def loaded(objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of a candidate's objects, each with its role, that an endpoint loads."""
    return [found for found in objects if _is_loaded(str(found["role"]))]


def tags(model: str, candidate_id: str, cleared: Mapping[str, str]) -> dict[str, str]:
    """Every tag of an object of the candidate.

    An account is named with the stage, so that what one project is cleared for stays closed to the
    accounts of another.
    """
    found = {"candidate-id": candidate_id, "model": model}
    for stage in STAGES:
        found[f"cleared-{stage.lower()}"] = "yes" if stage in cleared else "no"
    return found | {f"{stage.lower()}-account": account for stage, account in cleared.items()}


def grant_request(
    promotion: Mapping[str, Any], candidate_id: str, deployment: Mapping[str, Any], count: int
) -> dict[str, Any]:
    """What `ledger.entry` makes a ClearanceGranted of; `count` objects or prefixes are opened."""
    return {
        "promotion": promotion,
        "stage": deployment["stage"],
        "stage_status": "Validating" if deployment["stage"] == "Test" else "Releasing",
        "candidate_id": candidate_id,
        "clearance": {
            "stages": [deployment["stage"]],
            "account": deployment["account"],
            "objects": count,
        },
    }


def revoke_request(
    cause: Mapping[str, Any], ended: Mapping[str, str], candidate_id: str, count: int
) -> dict[str, Any]:
    """What `ledger.entry` makes a ClearanceRevoked of; `cause` is the entry that ended it."""
    return {
        # One claim may end two clearances, by two entries: each revocation is its cause's.
        "promotion": {**cause, "workflow": "revoke_clearance", "claim_id": cause["entry_id"]},
        "model_package_arn": cause["model_package_arn"],
        "stage": cause["stage"],
        "stage_status": cause["stage_status"],
        "candidate_id": candidate_id,
        "reason": f"entry {cause['sequence']} ({cause['kind']})",
        "clearance": {"stages": sorted(ended), "objects": count},
    }


def cause_of(event: Mapping[str, Any]) -> dict[str, str]:
    """{model, model_package_arn, entry_id} of the entry that one of our events is about.

    InvalidInputError if it is no event about an entry that ends a clearance.
    """
    detail = event.get("detail")
    found = detail if isinstance(detail, Mapping) else {}
    cause = {key: str(found.get(key, "")) for key in ("model", "model_package_arn", "entry_id")}
    if found.get("kind") not in ENDS or not all(cause.values()):
        raise InvalidInputError(
            f"event {event.get('id')} is about {found.get('kind')!r} of "
            f"{found.get('model_package_arn')!r}; expected an entry of {', '.join(ENDS)}: "
            "correct the rule that sent it"
        )
    return cause


def _ends(entry: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The stages whose clearance the entry ends.

    What serves in Prod stays readable when somebody has rejected it, or changed what the registry
    says of it: the cleared bytes are the approved ones, and an instance that is replaced loads them
    again.
    """
    if ledger.is_refused(entry):
        return ()
    if entry["kind"] in _UNLESS_IT_SERVES and ledger.may_serve([entry, *before]):
        return ()
    if entry["kind"] == "ReleaseErrored" and _withdrawn_since_its_grant(entry, before):
        return () if ledger.may_serve(before) else ("Prod",)
    ended = ENDS.get(entry["kind"], ())
    if entry["kind"] in _SAID and (ledger.phase(before) in _MAY_SERVE or ledger.may_serve(before)):
        return tuple(stage for stage in ended if stage != "Prod")
    return ended


def _withdrawn_since_its_grant(
    ended: Mapping[str, Any], before: Sequence[Mapping[str, Any]]
) -> bool:
    """True if somebody took the version back after the run that `ended` was granted it."""
    withdrawn_ = False
    for entry in before:
        if entry["kind"] == GRANTED and entry["claim_id"] == ended["claim_id"]:
            return withdrawn_
        withdrawn_ = withdrawn_ or _withdraws(entry)
    return False


def _withdraws(entry: Mapping[str, Any]) -> bool:
    return entry["kind"] in _WITHDRAWN and not ledger.is_refused(entry)


def _outlasts(grant: Mapping[str, Any], end: Mapping[str, Any]) -> bool:
    """True if the grant was to a run of Test that may go on when this other one ends."""
    if end["kind"] not in _RUNS or grant["claim_id"] == end["claim_id"]:
        return False
    begun, ended = (datetime.fromisoformat(one["recorded_at"]) for one in (grant, end))
    return ended - begun <= LONGEST_RUN


def _is_loaded(role: str) -> bool:
    parts = role.split("/")
    # specification/NAME/model-data: the containers of an additional inference specification.
    name = parts[2] if parts[0] == "specification" and len(parts) > 2 else parts[0]
    return name.startswith(LOADED)
