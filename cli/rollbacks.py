"""Ask for the rollback of an endpoint, or a drill of it: what is to go, and what to come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cli import approvals, ledger, projects, versions
from cli.aws import explain
from cli.errors import GovernError
from governance.domain import approval_events, claims, phases
from governance.domain import rollbacks as domain
from governance.domain.ledger import SERVES

if TYPE_CHECKING:
    import boto3

    from cli.target import Target

PHASE = phases.BY_NAME[approval_events.ROLLBACK]
DRILL = phases.BY_NAME[approval_events.BACK["drill_rollback"]]
# Of a version that is being released; what has come to serve, or has failed on its way and left
# nothing that serves, the ledger knows at once.
_ON_ITS_WAY = ("Releasing", PHASE.status)


def check(persona: str, because: str) -> None:
    """GovernError if the persona may not ask for it, or gives no reason, or one too long."""
    approvals.check_because(because, "a rollback", "say what is wrong")
    approvals.check_persona(PHASE, persona, "ask for a rollback, nor drill one")


def model_of(reader: boto3.Session, endpoint: str) -> dict[str, Any]:
    """The directory entry of the model that the Prod endpoint serves, by the endpoint's name."""
    found = projects.all_projects(reader)
    for project in found:
        if project["endpoint_name"].lower() == endpoint.lower():
            return project
    known = ", ".join(sorted(project["endpoint_name"] for project in found)) or "none yet"
    raise GovernError(
        "not_found",
        f"no model has an endpoint {endpoint!r}; there is {known}",
        "`govern status` lists the endpoints",
    )


def ask(
    where: Target, endpoint: str, because: str, to: int | None, phase: phases.Phase = PHASE
) -> approvals.Decision:
    """Set Prod / Rollback-Requested on what serves the endpoint, is being released to it, or has
    left it failed.

    With `phase` DRILL, Prod / Drill-Requested on what serves. One call, as the persona's own role:
    the reason and the version to go back to (None: the last good one) go with it. GovernError
    `not_found` if the ledger knows of nothing that serves, `not_now` if that cannot be drilled.
    """
    project = model_of(where.reader, endpoint)
    model = str(project["model"])
    version = _to_go(where, model, ledger.entries(where.reader, model), project)
    before = "/".join(version.phase)
    if phase is DRILL and not phases.may_follow(before, DRILL.name):
        raise GovernError(
            "not_now",
            f"{model}/{version.number} is {before}; a drill is of what serves and is at rest",
            f"expected one of {', '.join(sorted(DRILL.after))}: wait until it is, or go back "
            "without --drill",
        )
    fields: dict[str, Any] = {
        "ModelLifeCycle": {
            "Stage": phase.stage,
            "StageStatus": phase.status,
            "StageDescription": because,
        }
    }
    if to is not None:
        fields["CustomerMetadataProperties"] = {domain.WANTED: str(to)}
    elif domain.WANTED in version.description.get("CustomerMetadataProperties", {}):
        fields["CustomerMetadataPropertiesToRemove"] = [domain.WANTED]
    try:
        where.session.client("sagemaker").update_model_package(
            ModelPackageArn=version.arn, **fields
        )
    except ClientError as error:
        raise explain(error, f"set {phase.name} on {version.arn}") from error
    changed = version.description.get("LastModifiedTime") or version.description["CreationTime"]
    return approvals.Decision(
        model=model,
        version=version.number,
        model_package_arn=version.arn,
        stage=phase.stage,
        stage_status=phase.status,
        because=because,
        workflow=phase.causes,
        before=before,
        changed_before=claims.decision_time(changed.isoformat()),
    )


def _to_go(
    where: Target,
    model: str,
    entries: Sequence[Mapping[str, Any]],
    project: Mapping[str, Any],
) -> versions.Version:
    served = [
        e
        for e in entries
        if e["kind"] in SERVES
        and e["endpoint"]["account"] == project["accounts"]["prod"]
        and e["endpoint"]["endpoint_name"] == project["endpoint_name"]
    ]
    since = int(served[-1]["sequence"]) if served else 0
    begun = [e for e in entries if e["kind"] == "ReleaseStarted" and e["sequence"] > since]
    for entry in (*begun[-1:], *served[-1:]):
        number = versions.number_of(entry["model_package_arn"])
        version = versions.find(where.session, where.central_account, model, number)
        on_its_way = version.phase[1] in _ON_ITS_WAY
        if entry["kind"] in SERVES or on_its_way or domain.left_failed(entries, entry):
            return version
    raise GovernError(
        "not_found",
        f"the ledger of {model} knows of nothing that serves {project['endpoint_name']}",
        f"govern history {model} says what was released",
    )
