"""Retire a version of Central that nothing serves any more: one call, until it is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from cli import approvals, board, endpoints, ledger, projects, versions
from cli.aws import explain
from cli.errors import GovernError
from cli.reviews import Said
from cli.target import Target, observer_session
from governance.domain import claims, phases
from governance.domain import ledger as entries_of

PHASE = phases.BY_NAME["Retired/Retired"]
_RECALLED = "Prod/Recalled"
_NEXT = "go back with `govern rollback ENDPOINT`, or release another version; then retire it"


def check(persona: str, because: str) -> None:
    """GovernError if the persona may not retire, or gives no reason, or one that is too long."""
    approvals.check_because(because, "a retirement", "say why nobody needs it any more")
    approvals.check_persona(PHASE, persona, "retire a version")


def retire(where: Target, model: str, number: int | None, because: str) -> Said:
    """Set Retired / Retired on one version of Central, as the persona's own role.

    GovernError `still_serves` if an endpoint serves it, by the ledger or by what SageMaker says in
    the accounts of all projects, `not_looked_at` if its own project's cannot be asked, `not_now` if
    it cannot be retired from where it is by the ledger.
    """
    version = versions.find(where.session, where.central_account, model, number)
    entries = ledger.entries(where.reader, model)
    story = [e for e in reversed(entries) if e["model_package_arn"] == version.arn]
    before = entries_of.phase(story)
    name = f"{model}/{version.number}"
    _check_serves_nothing(where, version, entries, before)
    if before is None or not phases.may_follow(before, PHASE.name):
        raise GovernError(
            "not_now",
            f"{name} is {before or 'unknown to the ledger'}; {PHASE.name} cannot follow that",
            f"expected one of {', '.join(sorted(PHASE.after))}; govern history {name} says how it "
            "came there",
        )
    try:
        where.session.client("sagemaker").update_model_package(
            ModelPackageArn=version.arn,
            ModelLifeCycle={
                "Stage": PHASE.stage,
                "StageStatus": PHASE.status,
                "StageDescription": because,
            },
            # SageMaker itself makes no model of it any more.
            ModelApprovalStatus="Rejected",
            ApprovalDescription=because,
        )
    except ClientError as error:
        raise explain(error, f"retire {version.arn}") from error
    changed = version.description.get("LastModifiedTime") or version.description["CreationTime"]
    return Said(
        model=model,
        version=version.number,
        model_package_arn=version.arn,
        stage=PHASE.stage,
        stage_status=PHASE.status,
        because=because,
        after=int(entries[-1]["sequence"]) if entries else 0,
        changed_before=claims.decision_time(changed.isoformat()),
    )


def _check_serves_nothing(
    where: Target,
    version: versions.Version,
    entries: Sequence[Mapping[str, Any]],
    before: str | None,
) -> None:
    """GovernError if an endpoint serves the version, or if nobody can tell.

    An endpoint that is gone the ledger does not know of; of a recalled version it is not asked.
    """
    served = [
        row
        for row in board.serving(ledger.of_versions(entries))
        if row["model_package_arn"] == version.arn and before != _RECALLED
    ]
    every = projects.all_projects(where.reader)
    seen, problems = endpoints.in_accounts(
        lambda account: observer_session(where.reader, account),
        endpoints.accounts_of(every, ("dev", "test", "prod")),
    )
    candidate = (version.description.get("CustomerMetadataProperties") or {}).get("candidate-id")
    candidates = [candidate] if candidate else []
    live = [row for row in seen if endpoints.serves(row, candidates, [version.arn])]
    name = f"{version.model}/{version.number}"
    found = {row["endpoint_arn"]: _place(row) for row in (*live, *served)}
    if found:
        said = "; ".join(
            f"{one['endpoint_name']} of account {one['account']}"
            + (f" since {one['since']}" if one["since"] else "")
            for one in found.values()
        )
        raise GovernError(
            "still_serves",
            f"{name} still serves {said}; an instance that is replaced could not load it",
            _NEXT,
            details={"endpoints": list(found.values())},
        )
    own = endpoints.accounts_of(one for one in every if one["model"] == version.model)
    blind = [one for one in problems if one["account"] in own]
    if blind:
        raise GovernError(
            "not_looked_at",
            f"nobody can tell what serves {name}: "
            + "; ".join(f"account {one['account']}: {one['problem']}" for one in blind),
            "deploy the member stack there (role governed-path-observer), then retire it",
        )


def _place(row: Mapping[str, Any]) -> dict[str, Any]:
    """Which endpoint it is, and since when by the ledger; `since` is None where that is silent."""
    keys = ("endpoint_name", "endpoint_arn", "account")
    return {key: row[key] for key in keys} | {"since": row.get("since")}
