"""Ledger entries: one per state change, the same however often it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import rfc8785

KINDS = (
    "CandidateRegistered",
    "CandidatePromoted",
    "PromotionRejected",
    "PromotionErrored",
    "ValidationStarted",
    "ValidationPassed",
    "ValidationFailed",
    "ValidationRejected",
    "ValidationErrored",
    "ReleaseStarted",
    "ClearanceGranted",
    "ClearanceRevoked",
    "CandidateInService",
    "CandidateReleased",
    "ReleaseRejected",
    "ReleaseErrored",
    "ReleaseStopped",
    "RollbackStarted",
    "CandidateRolledBack",
    "CandidateRestored",
    "RollbackRejected",
    "RollbackErrored",
    "RollbackDrilled",
    "DrillFailed",
    "DrillRejected",
    "DrillErrored",
    "ReleaseRolledBack",
    "CandidateSuperseded",
    "VersionRejected",
    "ApprovalsVoided",
    "ReviewGiven",
    "ReviewRevoked",
    "BreakGlassRequested",
    "MandatoryReviewOpened",
    "MandatoryReviewOverdue",
    "RunUnfinished",
    "VersionRecalled",
    "VersionRetired",
    "PolicyChanged",
)
_RECALLED = "Prod/Recalled"
_ASKED_BACK = "Rollback-Requested"
# Who may read a version's bytes: nobody decides that, so these say neither where the version stands
# nor by whose decision.
ABOUT_ACCESS = frozenset({"ClearanceGranted", "ClearanceRevoked"})
# What is said about a version without moving it: several reviewers overwrite each other's status in
# the registry, and where the version stands is still where its tests or its release have left it.
# Tampering takes the approvals away and not the version.
UNMOVING = frozenset(
    {
        "ApprovalsVoided",
        "ReviewGiven",
        "ReviewRevoked",
        "BreakGlassRequested",
        "MandatoryReviewOpened",
        "MandatoryReviewOverdue",
        # Whatever a run that was stopped had done by then, it did not come to say.
        "RunUnfinished",
        # The version is what it was until it is taken back.
        "RollbackStarted",
        "RollbackRejected",
        # What an endpoint serves, and not what became of the release.
        "CandidateInService",
        # Nothing of Prod was touched, whatever a drill came to.
        "RollbackDrilled",
        "DrillFailed",
        "DrillRejected",
        "DrillErrored",
        *ABOUT_ACCESS,
    }
)
# By which a version that an endpoint serves has also proved good: it may be gone back to.
GOOD = ("CandidateReleased", "CandidateRestored")
# The kinds of entries that say what an endpoint of Prod serves from then on. The first is of the
# moment in which it does: how the release ends, if it does, changes nothing about that.
SERVES = ("CandidateInService", *GOOD)
# By which it stops to serve a version, because that was not good.
LEAVES = ("CandidateRolledBack",)
_REPLACED = ("CandidateSuperseded", *LEAVES)
# Where a release puts its version, and where a person's no that came after its approval stays
# (`not_from` in release_to_prod).
_OF_A_RELEASE = frozenset(
    {"ReleaseStarted", "CandidateReleased", "ReleaseRolledBack", "ReleaseErrored"}
)
# How a drill of the way back to a version ended: it holds, or it does not.
DRILLED = ("RollbackDrilled", "DrillFailed")
_OPTIONAL = (
    "execution_arn",
    "stage",
    "stage_status",
    "origin_arn",
    "candidate_id",
    "approver",
    "trainer",
    "verdict",
    "report",
    "summary",
    "failure",
    "superseded",
    "confirmation",
    "changed_by",
    "review",
    "reason",
    "objections",
    "differences",
    "waived",
    "due_at",
    "policy",
    "clearance",
    "rollback",
    "rollback_target",
    "drill",
    "recall",
    "definition",
    "alarms",
)


def entry_id(claim_id: str, kind: str, model_package_arn: str) -> str:
    """64 hex digits: one claim causes one entry of a kind about a version."""
    return hashlib.sha256(
        rfc8785.dumps({"claim_id": claim_id, "kind": kind, "model_package_arn": model_package_arn})
    ).hexdigest()


def entry(kind: str, request: Mapping[str, Any], recorded_at: str) -> dict[str, Any]:
    """The entry that `record` appends; the ledger adds `sequence`.

    `request` {kind, promotion, model_package_arn, stage, stage_status, ...}: what of the optional
    parts is absent or null is left out. ValueError for a kind that does not exist.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of ledger entry; known are {', '.join(KINDS)}")
    promotion = request["promotion"]
    arn = request.get("model_package_arn") or promotion["model_package_arn"]
    deployment = request.get("deployment") or {}
    known = {
        "execution_arn": promotion.get("execution_arn"),
        "definition": _definition(deployment, request.get("verdict") or {}),
        **request,
    }
    return {
        "model": promotion["model"],
        "entry_id": entry_id(promotion["claim_id"], kind, arn),
        "kind": kind,
        "recorded_at": recorded_at,
        "workflow": promotion["workflow"],
        "claim_id": promotion["claim_id"],
        "decided_at": promotion["decided_at"],
        "model_package_arn": arn,
        **{key: known[key] for key in _OPTIONAL if known.get(key) is not None},
        **(
            {
                "endpoint": {
                    key: deployment[key] for key in ("endpoint_name", "endpoint_arn", "account")
                }
            }
            if deployment
            else {}
        ),
    }


def _definition(deployment: Mapping[str, Any], verdict: Mapping[str, Any]) -> dict[str, str] | None:
    """{digest, uri} of the definition that was deployed or decided on, None without one."""
    facts = verdict.get("facts") or {}
    found = deployment.get("definition") or facts.get("definition")
    return {key: found[key] for key in ("digest", "uri")} if found else None


def who(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The identity of who decided, changed or registered; {} if the entry does not say."""
    registered = entry["kind"] == "CandidateRegistered"
    found = entry.get("approver") or entry.get("changed_by")
    return found or (entry.get("trainer") if registered else None) or {}


def serving(changes: Iterable[Mapping[str, Any]]) -> str | None:
    """The ARN of the version that the newest of these entries made to serve; None without any."""
    found = max(changes, key=lambda entry: int(entry["sequence"]), default=None)
    return None if found is None else str(found["model_package_arn"])


def may_serve(story: Iterable[Mapping[str, Any]]) -> bool:
    """True if an endpoint was made to serve the version, and nothing says that it stopped since.

    `story` is the entries about the version, the newest first. Only by other versions' entries
    could one be sure that it still does: this is for what must not be taken from one that serves.
    A release that was taken back after it had come into service has stopped to serve; one that was
    taken back before says nothing of an earlier one.
    """
    taken_back: set[str] = set()
    for entry in story:
        if entry["kind"] in SERVES:
            return entry["claim_id"] not in taken_back
        if entry["kind"] in _REPLACED:
            return False
        if entry["kind"] == "ReleaseRolledBack":
            taken_back.add(str(entry["claim_id"]))
    return False


def is_refused(entry: Mapping[str, Any]) -> bool:
    """True for a retirement that something speaks against: it counts for nothing."""
    return entry["kind"] == "VersionRetired" and bool(entry.get("objections"))


def tests_passed(story: Iterable[Mapping[str, Any]], candidate_id: str) -> bool:
    """True if the last validation of the candidate that ended, in any way, ended as passed.

    `story` is the entries about its version, the newest first. Tampering ends it too: what comes
    back afterwards is tested and approved again.
    """
    ends = ("ValidationPassed", "ValidationFailed", "ValidationErrored", "ApprovalsVoided")
    ended = (e for e in story if e["kind"] in ends and e.get("candidate_id") == candidate_id)
    newest = next(ended, None)
    return newest is not None and newest["kind"] == "ValidationPassed"


def phase(story: Iterable[Mapping[str, Any]]) -> str | None:
    """The phase ("Stage/Status") in which a version's entries leave it; None if there are none.

    `story` is the entries about the version, the newest first. A refusal that left the version
    where it was says so in its verdict; reviews, tampering, and promoting a candidate that is
    registered, move nothing. What was recalled stays recalled, whatever a workflow that was at it
    meanwhile came to; it can only be retired. What a person rejected while it was being released
    stays rejected, however that release ends.
    """
    registered, left_at = None, None
    entries = list(story)
    for index, entry in enumerate(entries):
        if entry["kind"] == "VersionRecalled":
            return _RECALLED
        if left_at is not None or entry["kind"] in UNMOVING or is_refused(entry):
            continue
        if entry.get("stage_status") == _ASKED_BACK:
            # A rollback that broke before anything was known of the version, or done to it.
            continue
        if entry["kind"] == "CandidatePromoted":
            registered = f"{entry['stage']}/{entry['stage_status']}"
            continue
        verdict = entry.get("verdict") or {}
        left = entry if verdict.get("allowed", True) else verdict.get("leaves")
        if left and not _is_rejected(entry, entries[index + 1 :]):
            left_at = f"{left['stage']}/{left['stage_status']}"
            if entry["kind"] == "VersionRetired":
                break
    return left_at or registered


def _is_rejected(entry: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> bool:
    """True if a person said no after the release of the entry was approved, and nothing since."""
    if entry["kind"] not in _OF_A_RELEASE:
        return False
    moved = (
        one
        for one in before
        if one["kind"] not in UNMOVING
        and not is_refused(one)
        and one.get("claim_id") != entry.get("claim_id")
    )
    newest = next(moved, None)
    return (
        newest is not None
        and newest["kind"] == "VersionRejected"
        and newest["decided_at"] > entry["decided_at"]
    )
