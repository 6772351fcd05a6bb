"""What is recorded of a run that ended without being able to say so, and what to do then.

No Catch runs in one that was stopped or timed out. The entry moves no version: what the run had
done by then is not known here, and a release without an end can still be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

KIND = "RunUnfinished"
# The runs that change an endpoint of Prod.
OF_PROD = frozenset({"release_to_prod", "rollback_model"})
_ENDS = {
    "promote_to_central": {"CandidatePromoted", "PromotionRejected", "PromotionErrored"},
    "validate_in_test": {
        *("ValidationPassed", "ValidationFailed", "ValidationRejected", "ValidationErrored"),
    },
    "release_to_prod": {
        *("CandidateReleased", "ReleaseRejected", "ReleaseRolledBack", "ReleaseErrored"),
    },
    "rollback_model": {"CandidateRestored", "RollbackRejected", "RollbackErrored"},
    "drill_rollback": {"RollbackDrilled", "DrillFailed", "DrillRejected", "DrillErrored"},
}
_DO = {
    "promote_to_central": "what it has copied stays: approve the version in Dev again",
    "validate_in_test": "its Test endpoint is removed by itself: approve it for Test again",
    "release_to_prod": "SageMaker may go on without it: see with `govern status` what serves, then "
    "`govern rollback` the endpoint, or approve the version for Prod again",
    "rollback_model": "SageMaker may go on without it: see with `govern status` what serves, then "
    "`govern rollback` the endpoint: an alarm does not ask again for the same release",
    "drill_rollback": "its Test endpoint is removed by itself: ask for the drill again",
}

Entry = Mapping[str, Any]


def has_ended(story: Iterable[Entry], promotion: Mapping[str, Any]) -> bool:
    """True if the run had recorded its end before it was stopped. `story` is about its version."""
    ends = _ENDS[promotion["workflow"]]
    return any(
        entry["claim_id"] == promotion["claim_id"] and entry["kind"] in ends for entry in story
    )


def request(
    promotion: Mapping[str, Any],
    model_package_arn: str,
    end: Mapping[str, Any],
    story: Iterable[Entry],
    endpoint: Mapping[str, str] | None,
) -> dict[str, Any]:
    """What `ledger.entry` makes the entry of.

    `end` is the detail of Step Functions' event, `story` the entries about the version, the newest
    first, `endpoint` {endpoint_name, endpoint_arn, account} what the run may have changed.
    """
    drill = promotion["workflow"] == "drill_rollback"
    own = [entry for entry in story if entry["claim_id"] == promotion["claim_id"]]
    last = own[0] if own else {}
    status = str(end["status"])
    said = " ".join(str(end[key]) for key in ("error", "cause") if end.get(key))
    after = f"after entry {last['sequence']} ({last['kind']})" if own else "before its first entry"
    return {
        "promotion": promotion,
        "model_package_arn": model_package_arn,
        "stage": last.get("stage") or promotion["stage"],
        "stage_status": last.get("stage_status") or "Approved",
        "candidate_id": next((e["candidate_id"] for e in own if e.get("candidate_id")), None),
        "approver": next((e["approver"] for e in own if e.get("approver")), None),
        "deployment": endpoint,
        "failure": {
            "Error": f"Run{''.join(word.capitalize() for word in status.split('_'))}",
            "Cause": f"the run was {_word(status)} {after}{': ' + said if said else ''}",
        },
        "reason": _DO[promotion["workflow"]],
        "drill": {"from": promotion["model_package_arn"]} if drill else None,
    }


def _word(status: str) -> str:
    return {"ABORTED": "stopped from outside", "TIMED_OUT": "over its time"}.get(status, "broken")
