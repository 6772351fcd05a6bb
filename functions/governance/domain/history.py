"""What a version's ledger entries say to a gate: earlier approvals, test results, the policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from governance.domain import ledger, reviews
from governance.domain.confirmations import confirmation_of, contradiction, decision_key
from governance.domain.facts import Facts

Entry = Mapping[str, Any]
# CloudTrail's records of approvals by `decision_key`.
Records = Mapping[str, Sequence[Mapping[str, Any]]]
# The entry in which an approval ended well, by the stage that it was for.
_APPROVED = (("Dev", "CandidatePromoted"), ("Test", "ValidationPassed"))
_OF_A_RECALL = ("part", "model_package_arn", "recalled_at", "person", "reason")
_STAGES = ("Dev", "Test", "Prod")
# The tier says how long a review and an emergency count; the facts keep all that may.
_LONGEST_DAYS = 3650


def facts(
    request: Mapping[str, Any],
    story: Sequence[Entry],
    policy_recorded: bool,
    images: Sequence[Mapping[str, Any]],
    now: str,
    definition: Mapping[str, Any] | None = None,
    records: Records | None = None,
    recalls: Sequence[Mapping[str, Any]] = (),
) -> Facts:
    """The facts of one decision: EvaluateGate's `request` and what the ledger says.

    `story` is the entries about the version, the newest first; `images` are the scans of its
    images, the first container's first; `definition` {digest, uri, problems} the deployment
    definition that is decided on; `records` CloudTrail's of the `earlier_decisions`; `recalls` the
    marks of those of the candidate's parts that were recalled.
    """
    promotion, candidate = request["promotion"], request["candidate"]
    stage, candidate_id = promotion["stage"], candidate["candidate_id"]
    described = candidate.get("described") or {}
    passed, measured = tests(story, candidate_id)
    arn = promotion["model_package_arn"]
    emergency = reviews.break_glass(story, candidate_id, now, _LONGEST_DAYS * 24)
    return Facts(
        stage=stage,
        model_package_arn=promotion["model_package_arn"],
        candidate_id=candidate_id,
        approver=request["approver"],
        trainer=request["trainer"],
        decision_current=request["decision_current"],
        confirmation=request.get("confirmation"),
        approval=request["approval"],
        asked_at=now,
        decided_at=promotion["decided_at"],
        policy_recorded=policy_recorded,
        declared_mismatches=request.get("declared_mismatches") or (),
        differences=request.get("differences") or (),
        evaluation=request.get("evaluation") or {},
        tests_passed=passed,
        test_metrics=measured,
        suites_passed=suites_passed(story, candidate_id),
        phase=ledger.phase(story),
        recalls=[{key: mark.get(key) for key in _OF_A_RECALL} for mark in recalls],
        reviews=[
            one | _confirmed(one, one["given_at"], records or {}, _review_key(arn, one["kind"]))
            for one in reviews.standing(story, candidate_id, now, _LONGEST_DAYS)
        ],
        break_glass=emergency
        and emergency
        | _confirmed(emergency, emergency["requested_at"], records or {}, _emergency_key(arn)),
        approvals=approvals(story, candidate_id, stage, records or {}),
        card_sections=described.get("card_sections") or (),
        dataset_version=described.get("dataset_version"),
        rollback=request.get("rollback"),
        image=images[0],
        further_images=images[1:],
        definition=definition,
        tested_definition=tested_definition(story, candidate_id),
    )


def approvals(
    story: Sequence[Entry], candidate_id: str, stage: str, records: Records
) -> list[dict[str, Any]]:
    """The approvals for the stages before `stage`, the newest of each.

    [{stage, person, decided_at, unconfirmed, cloudtrail_event_id}]: `unconfirmed` is what keeps
    CloudTrail's `records` from confirming who approved, None if they do. `story` is the entries
    about the version, the newest first.
    """
    found = []
    for earlier, entry in _earlier(story, candidate_id, stage):
        approver = entry.get("approver") or {}
        found.append(
            {
                "stage": earlier,
                "person": approver.get("person") or "",
                "decided_at": entry["decided_at"],
                **_confirmed(approver, entry["decided_at"], records, _decision(earlier, entry)),
            }
        )
    return found


def earlier_decisions(
    story: Sequence[Entry], candidate_id: str, stage: str, model_package_arn: str
) -> list[str]:
    """The `decision_key`s of what an approval for `stage` rests on; only Prod's does.

    The approvals for the stages before, the reviews, and an emergency.
    """
    if stage != "Prod":
        return []
    return [
        *(_decision(earlier, entry) for earlier, entry in _earlier(story, candidate_id, stage)),
        *sorted(
            {
                _review_key(model_package_arn, entry["review"])
                for entry in reviews.in_force(story, candidate_id)
            }
        ),
        *(
            [_emergency_key(model_package_arn)]
            if any(entry["kind"] == "BreakGlassRequested" for entry in story)
            else []
        ),
    ]


def _confirmed(
    person: Mapping[str, Any], decided_at: str, records: Records, key: str
) -> dict[str, Any]:
    """{unconfirmed, cloudtrail_event_id} of a decision: what is against it, what is for it."""
    found = confirmation_of(decided_at, records.get(key, ()))
    return {
        "unconfirmed": contradiction(person, found),
        "cloudtrail_event_id": (found or {}).get("cloudtrail_event_id"),
    }


def _review_key(model_package_arn: str, kind: str) -> str:
    return decision_key(model_package_arn, "Prod", f"{kind.capitalize()}-Approved")


def _emergency_key(model_package_arn: str) -> str:
    return decision_key(model_package_arn, "Prod", "BreakGlass-Requested")


def _earlier(story: Sequence[Entry], candidate_id: str, stage: str) -> list[tuple[str, Entry]]:
    """(stage, entry) of the newest approval for each stage before this one."""
    before = [one for one in _APPROVED if _STAGES.index(one[0]) < _STAGES.index(stage)]
    found = [(earlier, _newest(story, kind, candidate_id)) for earlier, kind in before]
    return [
        (earlier, entry)
        for earlier, entry in found
        if entry is not None
        and (entry["kind"] == "CandidatePromoted" or _still_stands(entry, story, candidate_id))
    ]


def _decision(stage: str, entry: Entry) -> str:
    """What was approved for Dev is the Dev version, also when Central's entry tells of it."""
    arn = entry["origin_arn"] if stage == "Dev" else entry["model_package_arn"]
    return decision_key(str(arn), stage)


def tests(story: Sequence[Entry], candidate_id: str) -> tuple[bool, dict[str, Any]]:
    """(whether the tests passed, what they measured) of this candidate and version.

    What was found on an approval from before the approvals were voided counts no more, also when
    it was found afterwards.
    """
    passed = _newest(story, "ValidationPassed", candidate_id)
    if passed is None or not _still_stands(passed, story, candidate_id):
        return False, {}
    if not ledger.tests_passed(story, candidate_id):
        return False, {}
    return True, dict((passed.get("summary") or {}).get("metrics") or {})


def suites_passed(story: Sequence[Entry], candidate_id: str) -> list[str]:
    """The suites that let the candidate pass its tests, or were left out for a recorded reason."""
    if not tests(story, candidate_id)[0]:
        return []
    passed = _newest(story, "ValidationPassed", candidate_id) or {}
    told = (passed.get("summary") or {}).get("suites") or []
    return sorted(one["suite"] for one in told if one["status"] in ("passed", "omitted"))


def tested_definition(story: Sequence[Entry], candidate_id: str) -> str | None:
    """The digest of the deployment definition that the candidate's passed tests ran under."""
    if not tests(story, candidate_id)[0]:
        return None
    passed = _newest(story, "ValidationPassed", candidate_id) or {}
    return (passed.get("definition") or {}).get("digest")


def is_recorded(digest: str, changes: Iterable[Entry]) -> bool:
    """True if the policy of that digest is the last one that the ledger says was published.

    `changes` are the model's PolicyChanged entries, the newest first.
    """
    newest = next(iter(changes), None)
    return newest is not None and newest["policy"]["after"]["digest"] == digest


def _newest(story: Iterable[Entry], kind: str, candidate_id: str) -> Entry | None:
    return next(
        (e for e in story if e["kind"] == kind and e.get("candidate_id") == candidate_id), None
    )


def _still_stands(decided: Entry, story: Iterable[Entry], candidate_id: str) -> bool:
    """True if the approvals of the candidate were voided before that decision or never."""
    voided = (
        entry["decided_at"]
        for entry in story
        if entry["kind"] == "ApprovalsVoided" and entry.get("candidate_id") == candidate_id
    )
    return all(moment < decided["decided_at"] for moment in voided)
