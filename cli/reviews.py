"""Reviews and emergencies: a person's word on one version, set in the registry until recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cli import approvals, ledger, target, versions
from cli.aws import calling, explain
from cli.errors import GovernError
from governance.domain import approval_events, claims, phases, reviews
from governance.domain import ledger as entries_of

if TYPE_CHECKING:
    import boto3


EMERGENCY = phases.BY_NAME["Prod/BreakGlass-Requested"]
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said of a version and AWS has accepted.

    `after` is the sequence of the model's newest ledger entry until then, and `changed_before` when
    the version was changed last before (ISO-8601, UTC, seconds).
    """

    model: str
    version: int
    model_package_arn: str
    stage: str
    stage_status: str
    because: str
    after: int
    changed_before: str

    def to_dict(self) -> dict[str, Any]:
        """What of it programs may want to know."""
        return {
            "model": self.model,
            "version": self.version,
            "model_package_arn": self.model_package_arn,
            "stage": self.stage,
            "stage_status": self.stage_status,
            "because": self.because,
        }


def phase_of(kind: str, revoke: bool = False) -> phases.Phase:
    """The phase that gives, or takes back, a review of that kind."""
    return approval_events.review_phase(kind, revoke)


def check(phase: phases.Phase, persona: str, because: str) -> None:
    """GovernError if the persona may not set the phase, or gives no reason, or one too long."""
    approvals.check_because(because, phase.name)
    approvals.check_persona(phase, persona, f"set {phase.name}")


def say(
    session: boto3.Session,
    reader: boto3.Session,
    model: str,
    version: int | None,
    phase: phases.Phase,
    because: str,
    *,
    account: str | None = None,
) -> Said:
    """Set the phase on one version of the Central registry, with the reason.

    `session` is the persona's own, `reader` one of the reader role; `account` is Central's
    (default: the session's). GovernError `not_now` if the phase cannot follow where the version is
    by the ledger, `usage`, `not_found` or `access_denied`.
    """
    found = versions.find(session, account or target.account_of(session), model, version)
    entries = ledger.entries(reader, model)
    story = list(reversed(_about(entries, found.arn)))
    before = entries_of.phase(story)
    if not reviews.may_be_given(before, phase.name, story):
        expected = ", ".join(sorted(phase.after - {reviews.RELEASING}))
        raise GovernError(
            "not_now",
            f"{model}/{found.number} is {before or 'unknown to the ledger'}; {phase.name} cannot "
            "follow that",
            f"expected one of {expected}, or a release in an emergency that serves and owes "
            f"reviews; govern history {model}/{found.number} says how it came there",
        )
    life_cycle = {
        "Stage": phase.stage,
        "StageStatus": phase.status,
        "StageDescription": because,
    }
    fields: dict[str, Any] = {"ModelLifeCycle": life_cycle}
    try:
        session.client("sagemaker").update_model_package(ModelPackageArn=found.arn, **fields)
    except ClientError as error:
        raise explain(error, f"set {phase.name} on {found.arn}") from error
    changed = found.description.get("LastModifiedTime") or found.description["CreationTime"]
    return Said(
        model=model,
        version=found.number,
        model_package_arn=found.arn,
        stage=phase.stage,
        stage_status=phase.status,
        because=because,
        after=int(entries[-1]["sequence"]) if entries else 0,
        changed_before=claims.decision_time(changed.isoformat()),
    )


def recorded(
    reader: boto3.Session,
    said: Said,
    *,
    timeout: float = 120.0,
    interval: float = 1.0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The ledger entry of what was said. Times in seconds.

    GovernError `timeout` if it is not there by then, `does_not_count` if it was recorded with
    objections.
    """
    started, after = time.monotonic(), said.after
    while True:
        for entry in ledger.entries(reader, said.model, after):
            after = int(entry["sequence"])
            if _is_of(entry, said):
                return _counting(entry, said)
        elapsed = time.monotonic() - started
        if elapsed >= timeout:
            raise GovernError(
                "timeout",
                f"{said.stage}/{said.stage_status} of {said.model}/{said.version} is set, and not "
                f"recorded within {timeout:.0f} s",
                f"govern history {said.model}/{said.version}; if nothing comes, an alarm and "
                "governed-path-rules-dlq say why (docs/runbook.md)",
                details={"decision": said.to_dict()},
            )
        if progress is not None:
            progress(elapsed)
        time.sleep(interval)


def state(
    entries: Sequence[Mapping[str, Any]],
    model_package_arn: str,
    policy: Mapping[str, Any],
    now: str,
) -> dict[str, Any] | None:
    """How the reviews of one version stand; None if it is neither in review nor owes one.

    `entries` are the model's, in order; `policy` is its tier policy. {model_package_arn, phase,
    required, missing, standing, emergency, owed}: `standing` the reviews in force, `emergency` the
    request in force or None, `owed` what an emergency release still needs, or None.
    """
    story = list(reversed(_about(entries, model_package_arn)))
    phase = entries_of.phase(story)
    candidate_id = next((str(e["candidate_id"]) for e in story if e.get("candidate_id")), "")
    owed = reviews.open_mandatory_review(story)
    if not in_review(phase) and owed is None:
        return None
    days = policy.get("review_valid_days") or reviews.VALID_DAYS
    hours = (policy.get("break_glass") or {}).get("valid_hours") or reviews.BREAK_GLASS_VALID_HOURS
    required = list(policy.get("required_reviews") or ())
    standing = reviews.standing(story, candidate_id, now, days)
    given = {review["kind"] for review in standing}
    return {
        "model_package_arn": model_package_arn,
        "phase": phase,
        "required": required,
        "missing": [kind for kind in required if kind not in given],
        "standing": standing,
        "emergency": reviews.break_glass(story, candidate_id, now, hours),
        "owed": owed and {key: owed[key] for key in ("missing", "due_at", "opened_at")},
    }


def in_review(phase: str | None) -> bool:
    """True if a version in that phase, by the ledger, could be signed for Prod if reviewed."""
    return (
        phase is not None
        and phase != "Prod/Superseded"
        and phases.may_follow(phase, phase_of("technical", revoke=True).name)
    )


def policy_of(reader: boto3.Session, project: Mapping[str, Any]) -> dict[str, Any]:
    """The tier policy that the directory entry pins, as it was published."""
    pinned = project["policy"]["tier"]
    bucket, _, key = str(pinned["uri"]).removeprefix("s3://").partition("/")
    with calling(f"read the tier policy of model {project['model']}"):
        answer = reader.client("s3").get_object(
            Bucket=bucket, Key=key, VersionId=str(pinned["version_id"])
        )
        policy: dict[str, Any] = json.loads(answer["Body"].read())
    return policy


def _about(entries: Sequence[Mapping[str, Any]], arn: str) -> list[Mapping[str, Any]]:
    return [entry for entry in entries if entry["model_package_arn"] == arn]


def _is_of(entry: Mapping[str, Any], said: Said) -> bool:
    return (
        entry["model_package_arn"] == said.model_package_arn
        and (entry.get("stage"), entry.get("stage_status")) == (said.stage, said.stage_status)
        and str(entry["decided_at"]) >= said.changed_before
    )


def _counting(entry: dict[str, Any], said: Said) -> dict[str, Any]:
    objections = entry.get("objections") or []
    if not objections:
        return entry
    reasons = "\n".join(f"  {objection}" for objection in objections)
    raise GovernError(
        "does_not_count",
        f"{said.stage}/{said.stage_status} of {said.model}/{said.version} is recorded and counts "
        f"for nothing:\n{reasons}",
        "correct it, then say it again",
        details={"decision": said.to_dict(), "entry": entry},
    )
