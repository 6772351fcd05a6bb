"""The way back: which version an endpoint would go back to, and what proves that it could.

The ledger says what an endpoint has served. The last good candidate is the newest of these that was
not taken back since, and that is not what is to be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from governance.domain import claims, ledger
from governance.domain.alarm_events import ENDPOINT_FAILED, FOUND_BY
from governance.domain.approval_events import ROLLBACK
from governance.domain.gates import Reason, one_line
from governance.domain.identity import account_of

RULE = "rollback_target_is_proven"
WORKFLOW = "rollback_model"
# The metadata of a version whose rollback is asked for: which version (a number) to go back to.
WANTED = "rollback-to"
# Somebody had reasons to get rid of it. When a rollback starts, the gate has allowed that, so it
# counts also if the run broke, before or after the endpoint went back.
_UNWANTED = frozenset({"RollbackStarted", *ledger.LEAVES})
# What ends for good that a version may be gone back to. A release that goes on meanwhile may still
# come to its end after it.
_ENDS_IT = frozenset({"VersionRecalled", "VersionRetired"})
# What ends that until the version proves good again.
_ENDS_IT_FOR_NOW = frozenset({"ApprovalsVoided", "VersionRejected", *_UNWANTED})

_ENDS_RELEASE = frozenset(
    {"ReleaseRejected", "ReleaseErrored", "ReleaseRolledBack", "ReleaseStopped"}
)

Entry = Mapping[str, Any]


def served(changes: Iterable[Entry], endpoint_arn: str) -> list[Entry]:
    """The entries by which the endpoint was made to serve something, the newest first.

    What proved good and what did not: `good` has the former.
    """
    found = [
        entry
        for entry in changes
        if entry["kind"] in ledger.SERVES
        and (entry.get("endpoint") or {}).get("endpoint_arn") == endpoint_arn
    ]
    return sorted(found, key=lambda entry: int(entry["sequence"]), reverse=True)


def good(served_: Iterable[Entry]) -> list[Entry]:
    """Those of the entries of `served` whose version proved good, as a target has to."""
    return [entry for entry in served_ if entry["kind"] in ledger.GOOD]


def withdrawn(story: Sequence[Entry]) -> list[Entry]:
    """What speaks against a version that served once, the newest first.

    `story` is the entries about the version, the newest first. All of it counts for what was
    recalled or retired, otherwise what is newer than the last proof that it is good.
    """
    since = list(takewhile(lambda entry: entry["kind"] not in ledger.GOOD, story))
    for_now = [entry for entry in since if entry["kind"] in _ENDS_IT_FOR_NOW]
    for_good = [
        entry for entry in story if entry["kind"] in _ENDS_IT and not ledger.is_refused(entry)
    ]
    return sorted([*for_now, *for_good], key=lambda entry: int(entry["sequence"]), reverse=True)


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


def by_alarm(
    alarm: Mapping[str, Any], model: str, served_: Sequence[Entry], request: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The promotion by which an alarm takes back what serves; None if it is not for that.

    `served_` is what the endpoint served, the newest first, `request` the claim's. The claim is the
    release's: however many alarms an incident sets off, and how often, they go back once. What
    serves after a rollback, or was put back by hand, and sets one off needs somebody who looks. An
    alarm of a deployment that goes on is SageMaker's to act on, and one from before this version
    served says nothing of it. From an endpoint that a release has left failed, what was released
    goes, unless something serves since, or nothing did before.
    """
    serving = next(iter(served_), None)
    failed = alarm.get("failed")
    if failed:
        since = str(serving["recorded_at"]) if serving is not None else ""
        if not failed["way_back"] or since > alarm["at"]:
            return None
        return _taken_back(failed["model_package_arn"], failed["claim_id"], alarm, model, request)
    if serving is None or serving["workflow"] != "release_to_prod" or serving.get("rollback"):
        return None
    release = str(serving["claim_id"])
    since = min(str(one["recorded_at"]) for one in served_ if one["claim_id"] == release)
    config = alarm.get("config_name")
    if alarm["at"] < since or (config and not str(config).endswith(f"-{release[:10]}")):
        return None
    return _taken_back(str(serving["model_package_arn"]), release, alarm, model, request)


def _taken_back(
    arn: str, release: str, alarm: Mapping[str, Any], model: str, request: Mapping[str, Any]
) -> dict[str, Any]:
    """The promotion by which the release with that claim is taken back: once, by whatever alarm."""
    return {
        "claim_id": claims.claim_id(arn, f"{ROLLBACK} by alarm", release),
        "workflow": request["workflow"],
        "stage": "Prod",
        "model": model,
        "model_package_arn": arn,
        "account": account_of(arn),
        "decided_at": alarm["at"],
        "event_id": str(request["event"].get("id")),
        "execution_arn": request["execution_arn"],
    }


def begun_by_alarm(
    alarm: Mapping[str, Any], model: str, served_: Sequence[Entry], request: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The promotions by which that alarm may have begun to take back what served by then.

    Like `by_alarm`, of what serves now and of what served before, the newest first: something else
    may serve since. Whose claim the execution holds is the one.
    """
    found = (by_alarm(alarm, model, served_[at:], request) for at in range(len(served_)))
    return list({one["claim_id"]: one for one in found if one}.values())


def named(candidates: Iterable[Entry], replaced: str, version: str) -> Entry | None:
    """The newest entry by which that version (a number) served; None if it has not."""
    return next(
        (
            one
            for one in candidates
            if one["model_package_arn"] != replaced
            and one["model_package_arn"].rpartition("/")[2] == version
        ),
        None,
    )


def asked(
    replaced: str,
    wanted: str | None,
    served_: Sequence[Entry],
    started: Entry | None,
    story: Sequence[Entry],
) -> dict[str, Any]:
    """What is known of a rollback of `replaced`: {from, serving, serves, stage, stage_status,
    wanted}.

    `served_` is what the endpoint served, `started` the newest release that was begun, `story` the
    entries about `replaced`, all the newest first. `stage` and `stage_status` are where the ledger
    has the version, None if it does not know it; `wanted` the version that is asked for, if any.
    """
    serving = served_[0] if served_ else None
    running = started is not None and started["model_package_arn"] == replaced
    if running and started is not None:
        # Its own end is in the story; that another version serves since, is not. One that has left
        # its endpoint failed is not over before something serves there.
        ended = [e for e in story if e["kind"] in _ENDS_RELEASE]
        ended = [] if left_failed(story, started) else ended
        later = [*ended[:1], *([serving] if serving else [])]
        running = all(int(started["sequence"]) > int(entry["sequence"]) for entry in later)
    stage, _, status = (ledger.phase(story) or "").partition("/")
    return {
        "from": replaced,
        "candidate_id": next((e["candidate_id"] for e in story if e.get("candidate_id")), None),
        "serving": serving["model_package_arn"] if serving else None,
        "serves": running or (serving is not None and serving["model_package_arn"] == replaced),
        "stage": stage or None,
        "stage_status": status or None,
        "wanted": wanted,
    }


def left_failed(story: Iterable[Entry], started: Entry) -> bool:
    """True if the release that this entry began has ended with its endpoint failed."""
    return any(
        entry["kind"] == FOUND_BY
        and (entry.get("failure") or {}).get("Error") == ENDPOINT_FAILED
        and entry["claim_id"] == started["claim_id"]
        for entry in story
    )


def judged(
    found: Mapping[str, Any],
    chosen: Entry | None,
    checks: Sequence[Mapping[str, Any]],
    withdrawn_: Iterable[Entry],
    must_be_readable: bool,
) -> dict[str, Any]:
    """What the gate asks about the rollback or drill, besides what `asked` has found.

    That endpoints of Prod cannot read the version speaks only against one that `must_be_readable`:
    going back opens what is closed.
    """
    kinds = sorted({str(entry["kind"]) for entry in withdrawn_})
    return {
        **found,
        "to": chosen["model_package_arn"] if chosen else None,
        "released": chosen is not None,
        # Who names the version knows that it was taken back once; a recall binds them too.
        "withdrawn": [kind for kind in kinds if kind not in _UNWANTED],
        "unproven": [
            one["name"]
            for one in checks
            if not one["proven"] and (must_be_readable or one["name"] != "readable")
        ],
        "checks": [dict(one) for one in checks],
    }


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


def check_readable(unreadable: Sequence[str], account: str) -> dict[str, Any]:
    """Endpoints of Prod's account read all that they load; `unreadable` names what they do not."""
    problem = f"endpoints of {account} cannot read {', '.join(unreadable)}" if unreadable else ""
    return check("readable", problem, f"endpoints of {account} read what they would load")


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
