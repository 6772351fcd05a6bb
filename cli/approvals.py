"""Decisions: a person approves or rejects one version for one stage, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cli import ledger, projects, target, versions
from cli.aws import explain
from cli.errors import GovernError, usage
from governance.domain import claims, definitions, phases

if TYPE_CHECKING:
    import boto3

    from cli.target import Target

APPROVED, REJECTED = "Approved", "Rejected"
LONGEST_REASON = 1024  # characters; StageDescription and ApprovalDescription
_VERBS = {APPROVED: "approve", REJECTED: "reject"}
# How the workflow that an approval for the stage starts can end.
ENDS = {
    "Dev": {"CandidatePromoted", "PromotionRejected", "PromotionErrored"},
    "Test": {"ValidationPassed", "ValidationFailed", "ValidationRejected", "ValidationErrored"},
    "Prod": {
        *("CandidateReleased", "ReleaseRejected", "ReleaseRolledBack", "ReleaseErrored"),
        *("CandidateRolledBack", "RollbackRejected", "RollbackErrored"),
        *("RollbackDrilled", "DrillFailed", "DrillRejected", "DrillErrored"),
    },
}
GOOD_ENDS = frozenset(
    {
        *("CandidatePromoted", "ValidationPassed", "CandidateReleased"),
        *("CandidateRolledBack", "RollbackDrilled"),
    }
)
# Those that leave the version as it was, or may: its status is not how they ended.
_UNFINISHED = "RunUnfinished"  # stopped from outside, or over its time
_UNMOVED = {
    **dict.fromkeys(("RollbackRejected", "DrillRejected"), "Rejected"),
    "DrillFailed": "Failed",
    **dict.fromkeys(("RollbackErrored", "DrillErrored", _UNFINISHED), "Errored"),
}

Progress = Callable[[float, Mapping[str, Any] | None], None]


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that AWS has accepted.

    `workflow` is what it starts, None for a rejection. `before` is the version's phase until then
    ("Stage/Status") and `changed_before` when that was set (ISO-8601, UTC, seconds).
    """

    model: str
    version: int
    model_package_arn: str
    stage: str
    stage_status: str
    because: str
    workflow: str | None
    before: str
    changed_before: str

    def to_dict(self) -> dict[str, Any]:
        """The fields, as JSON values."""
        return asdict(self)


def check_reason(stage: str, decision: str, because: str) -> None:
    """GovernError `usage` if the decision needs a reason and has none, or one that is too long."""
    what = "a rejection" if decision == REJECTED else f"an approval for {stage}"
    needed = stage == "prod" or decision == REJECTED
    check_because(because, what if needed else None)


def check_because(because: str, what: str | None, ask: str = "say on what it rests") -> None:
    """GovernError `usage` for a reason that is too long, or that `what` needs and there is none."""
    if what is not None and not because.strip():
        raise usage(f"{what} needs a reason", f"{ask}: --because TEXT")
    if len(because) > LONGEST_REASON:
        raise usage(
            f"--because has {len(because)} characters; at most {LONGEST_REASON} are kept",
            "shorten it and refer to the document",
        )


def check_persona(phase: phases.Phase, persona: str, what: str) -> None:
    """GovernError `access_denied` if IAM does not let the persona set the phase: to do `what`."""
    if persona not in phase.set_by:
        may = " or ".join(sorted(phase.set_by))
        raise GovernError(
            "access_denied",
            f"{persona} may not {what}: IAM denies it",
            f"that is for: {may}; add --as {may.partition(' ')[0]}",
        )


def account_for(where: Target, stage: str, model: str) -> str:
    """The account in whose registry the model's versions are decided on for the stage.

    Dev's registry for dev, Central's for test and prod.
    """
    if stage != "dev":
        return where.central_account
    if where.persona == "data-scientist":
        return where.own_account
    return str(projects.project_of(where.reader, model)["accounts"]["dev"])


def decide(
    session: boto3.Session,
    model: str,
    version: int | None,
    stage: str,
    decision: str,
    because: str = "",
    *,
    account: str | None = None,
    definition: str | None = None,
) -> Decision:
    """Set one version's ModelLifeCycle to the stage with Approved or Rejected, in one call.

    `session` is the persona's own; `stage` dev, test or prod; `account` the registry's (default:
    the session's). For dev and prod the call sets ModelApprovalStatus too, since a Dev registry
    is often read by that alone and SageMaker deploys nothing else to prod; an AI engineer, who
    decides for test, must not touch it. `definition` is the digest of the published deployment
    definition that is approved with it, None to leave what the version or the project says.
    GovernError `usage`, `not_found`, or `access_denied` with the persona who may.
    """
    check_reason(stage, decision, because)
    place = account or target.account_of(session)
    try:
        found = versions.find(session, place, model, version)
        return _decide(session, found, stage, decision, because, definition)
    except GovernError as error:
        if error.code != "access_denied":
            raise
        raise _denied(f"{model}/{version or 'VERSION'}", stage, decision, error.message) from error


def follow(
    session: boto3.Session,
    decision: Decision,
    *,
    after: int = 0,
    timeout: float = 1800.0,
    interval: float = 1.0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The ledger entry with which the workflow of an approval ended.

    `session` is one of the reader role; entries up to sequence `after` are older than the
    decision. `progress` is told the elapsed seconds at every look, with each entry that the
    workflow writes, else None. Times in seconds. GovernError `timeout` if it has not ended by then.
    """
    if decision.workflow is None:
        raise ValueError("a rejection starts no workflow")
    started = time.monotonic()
    while True:
        elapsed = time.monotonic() - started
        for entry in ledger.entries(session, decision.model, after):
            after = int(entry["sequence"])
            if not _belongs(entry, decision):
                continue
            _tell(progress, elapsed, entry)
            ends = {*ENDS[decision.stage], _UNFINISHED}
            if entry["kind"] in ends or _stopped(entry, decision):
                return entry
        if elapsed >= timeout:
            raise _too_late(decision, timeout)
        _tell(progress, elapsed, None)
        time.sleep(interval)


def refusal(entry: Mapping[str, Any], decision: Decision) -> GovernError | None:
    """What to raise for the entry with which the workflow ended; None if it ended well."""
    if entry["kind"] in GOOD_ENDS:
        return None
    status = _UNMOVED.get(entry["kind"], str(entry["stage_status"]))
    # A drill that failed says nothing of the version that serves.
    ended = status if entry.get("drill") else f"{decision.stage}/{status}"
    found = ledger.reasons(entry)
    said = "\n".join(f"  {line}" for line in reason_lines(found))
    return GovernError(
        status.lower(),
        f"{decision.workflow} of {decision.model}/{decision.version} ended as {ended}"
        + (f":\n{said}" if said else ""),
        "see docs/runbook.md" if status == "Errored" else "correct it, then decide again",
        details={"reasons": found, "entry": dict(entry), "decision": decision.to_dict()},
    )


def reason_lines(found: list[dict[str, str]]) -> list[str]:
    """Reasons as lines of text: the rule and the fact, then what was expected and what to do."""
    lines = []
    for reason in found:
        lines.append(f"[{reason['rule']}] {reason['fact']}")
        lines += [f"    {key}: {reason[key]}" for key in ("expected", "remedy") if reason[key]]
    return lines


def _decide(
    session: boto3.Session,
    version: versions.Version,
    stage: str,
    decision: str,
    because: str,
    definition: str | None,
) -> Decision:
    title = stage.capitalize()
    life_cycle = {"Stage": title, "StageStatus": decision}
    if because:
        life_cycle["StageDescription"] = because
    fields: dict[str, Any] = {"ModelLifeCycle": life_cycle}
    if stage != "test":
        fields["ModelApprovalStatus"] = decision
    if stage == "prod":
        fields["ApprovalDescription"] = because
    if definition is not None:
        fields["CustomerMetadataProperties"] = {definitions.METADATA_KEY: definition}
    try:
        session.client("sagemaker").update_model_package(ModelPackageArn=version.arn, **fields)
    except ClientError as error:
        raise explain(error, f"update {version.arn}") from error
    changed = version.description.get("LastModifiedTime") or version.description["CreationTime"]
    return Decision(
        model=version.model,
        version=version.number,
        model_package_arn=version.arn,
        stage=title,
        stage_status=decision,
        because=because,
        workflow=phases.APPROVALS[title].causes if decision == APPROVED else None,
        before="/".join(version.phase),
        changed_before=claims.decision_time(changed.isoformat()),
    )


def _belongs(entry: Mapping[str, Any], decision: Decision) -> bool:
    """True if the entry is of this decision's run, not of an earlier one about the version."""
    if entry["workflow"] != decision.workflow and not _stopped(entry, decision):
        return False
    drilled = (entry.get("drill") or {}).get("from")
    arns = (entry["model_package_arn"], entry.get("origin_arn"), drilled)
    if decision.model_package_arn not in arns:
        return False
    decided = str(entry["decided_at"])
    # Approved twice: the first decision can have the very time that the version had before ours.
    if decision.before == f"{decision.stage}/{APPROVED}":
        return decided > decision.changed_before
    return decided >= decision.changed_before


def _stopped(entry: Mapping[str, Any], decision: Decision) -> bool:
    """True for the end of a release that a rollback records, since the run itself is gone."""
    return (
        entry["kind"] == "ReleaseStopped" and decision.workflow == phases.APPROVALS["Prod"].causes
    )


def _tell(progress: Progress | None, elapsed: float, entry: Mapping[str, Any] | None) -> None:
    if progress is not None:
        progress(elapsed, entry)


def _too_late(decision: Decision, timeout: float) -> GovernError:
    return GovernError(
        "timeout",
        f"{decision.workflow} of {decision.model}/{decision.version} has not ended within "
        f"{timeout:.0f} s",
        f"it goes on without us: govern history {decision.model}; if nothing comes, an alarm and "
        "a dead-letter queue say why (docs/runbook.md)",
        details={"decision": decision.to_dict()},
    )


def _denied(reference: str, stage: str, decision: str, said: str) -> GovernError:
    phase = phases.BY_NAME[f"{stage.capitalize()}/{decision}"]
    may = " or ".join(sorted(phase.set_by - {phases.Setter.SYSTEM}))
    verb = _VERBS[decision]
    return GovernError(
        "access_denied",
        f"AWS does not let you {verb} {reference} for {stage}: {said}",
        f"that is for: {may}; govern {verb} {reference} --stage {stage} --as {may}",
    )
