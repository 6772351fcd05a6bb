"""The way back: which version an endpoint would go back to, and what proves that it could.

The ledger says what an endpoint has served. The last good candidate is the newest of these that was
not taken back since, and that is not what is to be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from governance.domain import ledger
from governance.domain.gates import Reason, one_line

RULE = "rollback_target_is_proven"
# What ends that a version is good to go back to, until it is made to serve again.
_ENDS_IT = frozenset({"VersionRecalled", "VersionRetired", "ApprovalsVoided", *ledger.LEAVES})

Entry = Mapping[str, Any]


def served(changes: Iterable[Entry], endpoint_arn: str) -> list[Entry]:
    """The entries by which the endpoint was made to serve something, the newest first."""
    found = [
        entry
        for entry in changes
        if entry["kind"] in ledger.SERVES
        and (entry.get("endpoint") or {}).get("endpoint_arn") == endpoint_arn
    ]
    return sorted(found, key=lambda entry: int(entry["sequence"]), reverse=True)


def withdrawn(story: Sequence[Entry]) -> list[Entry]:
    """What speaks against a version that served once: its entries since then, the newest first.

    `story` is the entries about the version, the newest first.
    """
    found = []
    for entry in story:
        if entry["kind"] in ledger.SERVES:
            break
        if entry["kind"] in _ENDS_IT:
            found.append(entry)
    return found


def choose(
    candidates: Iterable[Entry], replaced: str, story_of: Callable[[str], Sequence[Entry]]
) -> Entry | None:
    """The last good one of what served, the newest first; None if there is none.

    `replaced` is the ARN of the version that it would take the place of; `story_of` has the entries
    about a version, the newest first.
    """
    asked: set[str] = {replaced}
    for one in candidates:
        arn = str(one["model_package_arn"])
        if arn not in asked and not withdrawn(story_of(arn)):
            return one
        asked.add(arn)
    return None


def check(name: str, problem: str = "", said: str = "") -> dict[str, Any]:
    """One thing that was looked at: {name, proven, said}."""
    return {"name": name, "proven": not problem, "said": problem or said}


def check_approved(description: Mapping[str, Any]) -> dict[str, Any]:
    """SageMaker deploys a version only while it is signed off."""
    status = str(description.get("ModelApprovalStatus"))
    problem = "" if status == "Approved" else f"ModelApprovalStatus is {status}, expected Approved"
    return check("approval", problem, "ModelApprovalStatus is Approved")


def check_unchanged(differences: Sequence[Mapping[str, str]], objects: int) -> dict[str, Any]:
    """Its bytes are there, and are those of the candidate."""
    problem = "; ".join(
        f"{one['name']} is {one['actual']}, expected {one['expected']}" for one in differences
    )
    return check("bytes", problem, f"{objects} objects are those of the candidate")


def check_cleared(closed: Sequence[str], account: str) -> dict[str, Any]:
    """The account of Prod may read all that an endpoint loads; `closed` names what it may not."""
    problem = f"account {account} may not read {', '.join(closed)}" if closed else ""
    return check("clearance", problem, f"account {account} may read what an endpoint loads")


def target(entry: Entry | None, checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a release says of its way back: {model_package_arn, candidate_id, entry, said, checks}.

    Without a version to go back to, `said` says that and nothing else is there.
    """
    if entry is None:
        return {"said": "no version that served this endpoint before is good: there is no way back"}
    return {
        "model_package_arn": entry["model_package_arn"],
        "candidate_id": entry["candidate_id"],
        "entry": entry["sequence"],
        "said": f"{entry['model_package_arn']}, which entry {entry['sequence']} made to serve",
        "checks": [dict(one) for one in checks],
    }


def refusal(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """What of a gate's verdict becomes otherwise if the way back is not proven; None if it is.

    No way back at all is no refusal: a first release has none, nor has one that replaces what was
    recalled.
    """
    broken = [one for one in found.get("checks") or () if not one["proven"]]
    if not broken:
        return None
    said = "; ".join(f"{one['name']}: {one['said']}" for one in broken)
    reason = Reason(
        RULE,
        f"the way back to {found['model_package_arn']} is not there: {said}",
        "a version that this endpoint served and can serve again",
        "Governance Engineer: have that repaired, or recall that version; then approve again",
    )
    text = f"Way back: denied. [{RULE}] {reason.fact}; expected {reason.expected}. {reason.remedy}."
    return {
        "allowed": False,
        "reasons": [reason.to_dict()],
        "description": one_line(text),
        "leaves": {"stage": "Prod", "stage_status": "Rejected"},
    }
