"""The board: every version of every model, where it stands since when and by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli import endpoints, ledger, releases, reviews, versions
from cli.aws import calling
from governance.domain.identity import account_of, identity_of
from governance.domain.ledger import ABOUT_ACCESS, SERVES, UNMOVING, phase

if TYPE_CHECKING:
    import boto3

Row = dict[str, Any]


def board(
    reader: boto3.Session,
    projects: Sequence[Mapping[str, Any]],
    central_account: str,
    dev: boto3.Session | None = None,
) -> dict[str, list[Row]]:
    """{versions, endpoints, reviews, runs}: lists about the projects (directory entries).

    A version is {model, registry: Central | Dev, version, stage, stage_status, candidate_id,
    since, approver, model_package_arn}; an endpoint of Prod is as `serving` has it, and `runs` are
    the releases and rollbacks (cli/releases.py). Unknown is None. Of each version that is in
    review, or owes one, `reviews` has {model, version} and what `cli.reviews.state` says. The
    reader role does not see Dev's registries: without a session `dev` there (a data scientist's)
    only those Dev versions are listed that somebody has approved, as the ledger knows them.
    """
    rows: list[Row] = []
    served: list[Row] = []
    in_review: list[Row] = []
    runs: list[Row] = []
    for project in projects:
        model = str(project["model"])
        found = ledger.of_versions(ledger.entries(reader, model))
        rows += _central(reader, central_account, model, found)
        registered = _dev_summaries(dev, project) if dev is not None else []
        rows += _dev(model, str(project["accounts"]["dev"]), registered, found)
        served += serving(found)
        in_review += _reviews(reader, project, found)
        runs += releases.runs(found)
    return {"versions": rows, "endpoints": served, "reviews": in_review, "runs": runs}


def board_at(
    reader: boto3.Session, projects: Sequence[Mapping[str, Any]], central_account: str, at: str
) -> dict[str, list[Row]]:
    """The board as it was at a time (ISO-8601, UTC), by the ledger alone.

    Registries know only how a version is now. `reviews` is empty: those of then are in the history.
    """
    rows: list[Row] = []
    served: list[Row] = []
    for project in projects:
        model = str(project["model"])
        found = ledger.until(ledger.of_versions(ledger.entries(reader, model)), at)
        arns = {str(entry["model_package_arn"]) for entry in found}
        ours = sorted(
            (arn for arn in arns if account_of(arn) == central_account), key=versions.number_of
        )
        rows += [_row_at(model, arn, found) for arn in ours]
        rows += _dev(model, str(project["accounts"]["dev"]), [], found)
        served += serving(found)
    return {"versions": rows, "endpoints": served, "reviews": []}


def _row_at(model: str, arn: str, found: Sequence[Mapping[str, Any]]) -> Row:
    about = _about(found, arn)
    stage, _, status = (phase(reversed(about)) or "").partition("/")
    told = _told(about, stage, status) or about
    return {
        "model": model,
        "registry": "Central",
        "version": versions.number_of(arn),
        "stage": stage or None,
        "stage_status": status or None,
        "candidate_id": next((e["candidate_id"] for e in about if e.get("candidate_id")), None),
        "model_package_arn": arn,
        "since": told[-1]["recorded_at"],
        "approver": _approver(told),
    }


def by_stage(
    versions_: Sequence[Mapping[str, Any]], projects: Sequence[Mapping[str, Any]]
) -> list[Row]:
    """Where each model is: {model, project, risk_tier, dev, test, prod}, by model.

    A stage is the newest of the model's `versions_` that is in it; in Prod the one that is deployed
    comes first, if there is one and it is not the newest. [] if none is.
    """
    rows = []
    for project in projects:
        own = [row for row in versions_ if row["model"] == project["model"]]
        stages = {
            stage: [row for row in own if row["stage"] == stage.capitalize()]
            for stage in ("dev", "test", "prod")
        }
        rows.append(
            {key: project[key] for key in ("model", "project", "risk_tier")}
            | {stage: _telling(found) for stage, found in stages.items()}
        )
    return rows


def _telling(found: Sequence[Mapping[str, Any]]) -> list[Row]:
    newest = max(found, key=lambda row: int(row["version"]), default=None)
    deployed = [row for row in found if row["stage_status"] == "Deployed"]
    chosen = [*deployed, *([newest] if newest and newest not in deployed else [])]
    keys = ("version", "stage_status", "since")
    return [{key: row[key] for key in keys} for row in chosen]


def as_seen(
    released: Sequence[Mapping[str, Any]],
    seen: Sequence[Mapping[str, Any]],
    problems: Sequence[Mapping[str, str]],
    projects: Sequence[Mapping[str, Any]],
    runs: Sequence[Row] = (),
    definitions: releases.Definitions = lambda _: None,
) -> list[Row]:
    """The endpoints that the ledger knows, with what is seen of them; then those it does not.

    `seen` and `problems` are of `cli.endpoints`, `runs` of `board`; `definitions` reads deployment
    definitions. To a row of `serving` come {stage, status, variants, execution, deployment, trial,
    alarm, differs}: `status` is None where nobody could look, and Missing where there is none;
    `differs` is true if a client is answered by another version than the ledger says, and no trial
    of ours wants that, or by none; a bake that goes on comes before the last that ended. Of what
    serves none of the projects' models nothing is listed.
    """
    seen = [{**row, **_going_on(row, runs, definitions)} for row in seen]
    blind = {one["account"] for one in problems}
    live = {row["endpoint_arn"]: row for row in seen}
    stages = {
        str(project["accounts"][stage]): stage.capitalize()
        for project in projects
        for stage in ("test", "prod")
    }
    rows = [
        {
            **row,
            "stage": stages.get(row["account"]),
            **_seen(live.pop(row["endpoint_arn"], None), row["account"] in blind, row),
        }
        for row in released
    ]
    models = {str(project["model"]) for project in projects}
    named = {
        (str(project["accounts"]["prod"]), str(project["endpoint_name"])): str(project["model"])
        for project in projects
    }
    for row in live.values():
        ours = [one for one in row["variants"] if one["model"] in models]
        if not row["variants"] and (row["account"], row["endpoint_name"]) in named:
            # One that failed while it was being made may have nothing but its name.
            nothing = dict.fromkeys(("version", "candidate_id", "model_package_arn"))
            ours = [{"model": named[row["account"], row["endpoint_name"]], **nothing}]
        if ours:
            stage = stages.get(row["account"])
            rows.append({**_unrecorded(row, ours[0]), "stage": stage, **_seen(row, False, None)})
    return sorted(rows, key=lambda row: (row["stage"] or "", row["account"], row["endpoint_name"]))


def _going_on(
    row: Mapping[str, Any], runs: Sequence[Row], definitions: releases.Definitions
) -> Row:
    models = {one["model"] for one in row["variants"]}
    own = [run for run in runs if run["model"] in models]
    return releases.under_way(row, own, definitions) | {"tried": releases.tried(row, own)}


def _seen(row: Mapping[str, Any] | None, blind: bool, said: Mapping[str, Any] | None) -> Row:
    if row is None:
        status = None if blind else "Missing"
        nothing = dict.fromkeys(("execution", "deployment", "trial", "alarm"))
        return {"status": status, "variants": [], **nothing, "differs": not blind}
    keys = ("status", "variants", "execution", "deployment", "trial", "alarm")
    differs = said is not None and _differs(row, said)
    bake = {"bake": row["bake"]} if row["bake"] else {}
    return {key: row[key] for key in keys} | {"differs": differs} | bake


def _differs(row: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Also where nobody answers; a trial of ours lets its challenger answer some."""

    def told(one: Mapping[str, Any]) -> bool:
        same_version = one["model_package_arn"] == said["model_package_arn"]
        return bool(same_version or (one["candidate_id"] or "") == said["candidate_id"])

    answering = endpoints.served_now(row)
    others = [one for one in answering if not told(one)]
    tried = (said["model"], row["tried"])
    return len(others) == len(answering) or any(
        (one["model"], one["version"]) != tried for one in others
    )


def _unrecorded(row: Mapping[str, Any], served: Mapping[str, Any]) -> Row:
    """An endpoint that no release is recorded for: one of a test that runs, or one by hand."""
    return {
        **{key: row[key] for key in ("endpoint_name", "endpoint_arn", "account")},
        **{key: served[key] for key in ("model", "version", "candidate_id")},
        "since": row["changed_at"],
        "model_package_arn": served["model_package_arn"],
        **dict.fromkeys(("approver", "back", "bake")),
    }


def serving(found: Sequence[Mapping[str, Any]]) -> list[Row]:
    """What each Prod endpoint of a model serves, by the model's ledger entries.

    {endpoint_name, endpoint_arn, account, model, version, candidate_id, since, approver, back,
    bake, model_package_arn}: `approver` is who approved the version's release. Going back to it is
    no approval: `back` {from, by, trigger, reason} says why it serves again, None if it was
    released. `bake` is the last one (cli/releases.py).
    """
    released = {e["endpoint"]["endpoint_arn"]: e for e in found if e["kind"] in SERVES}
    return [
        {
            "endpoint_name": entry["endpoint"]["endpoint_name"],
            "endpoint_arn": entry["endpoint"]["endpoint_arn"],
            "account": entry["endpoint"]["account"],
            "model": entry["model"],
            "version": versions.number_of(entry["model_package_arn"]),
            "candidate_id": entry.get("candidate_id"),
            "since": _since(found, entry),
            "approver": _released_by(found, entry),
            "back": _back(entry),
            "bake": releases.last_bake(found, entry["endpoint"]["endpoint_arn"]),
            "model_package_arn": entry["model_package_arn"],
        }
        for entry in released.values()
    ]


def _since(found: Sequence[Mapping[str, Any]], serves: Mapping[str, Any]) -> str:
    """From when on: a release that ends well says so again after its bake."""
    same = ("claim_id", "model_package_arn")
    return min(
        str(entry["recorded_at"])
        for entry in found
        if entry["kind"] in SERVES and all(entry[key] == serves[key] for key in same)
    )


def _released_by(found: Sequence[Mapping[str, Any]], serves: Mapping[str, Any]) -> str | None:
    """Who approved the newest release of what serves, up to then."""
    approved = [
        entry
        for entry in found
        if entry["kind"] in SERVES
        and entry["model_package_arn"] == serves["model_package_arn"]
        and entry["sequence"] <= serves["sequence"]
        and not entry.get("rollback")
    ]
    return ledger.person((approved or [serves])[-1]) or None


def _back(serves: Mapping[str, Any]) -> Row | None:
    swap = serves.get("rollback")
    if not swap:
        return None
    return {
        "from": versions.number_of(swap["from"]),
        "by": ledger.person(serves) or None,
        "trigger": swap["trigger"],
        "reason": serves.get("reason"),
    }


def _reviews(
    reader: boto3.Session, project: Mapping[str, Any], found: Sequence[Mapping[str, Any]]
) -> list[Row]:
    now = _text(datetime.now(UTC))
    arns = sorted({str(entry["model_package_arn"]) for entry in found}, key=versions.number_of)
    # The policy is read only for a model that has something to show: most have not.
    if not any(reviews.state(found, arn, {}, now) for arn in arns):
        return []
    policy = reviews.policy_of(reader, project)
    states = ((arn, reviews.state(found, arn, policy, now)) for arn in arns)
    return [
        {"model": str(project["model"]), "version": versions.number_of(arn), **state}
        for arn, state in states
        if state
    ]


def _central(
    reader: boto3.Session, account: str, model: str, found: Sequence[Mapping[str, Any]]
) -> list[Row]:
    summaries = versions.in_group(reader, account, model) or []
    return [_row(reader, model, summary, found) for summary in summaries]


def _row(
    reader: boto3.Session,
    model: str,
    summary: Mapping[str, Any],
    found: Sequence[Mapping[str, Any]],
) -> Row:
    arn = summary["ModelPackageArn"]
    about = _about(found, arn)
    life_cycle = summary.get("ModelLifeCycle") or {}
    stage, status = life_cycle.get("Stage"), life_cycle.get("StageStatus")
    row: Row = {
        "model": model,
        "registry": "Central",
        "version": versions.number_of(arn),
        "stage": stage,
        "stage_status": status,
        "candidate_id": next((e["candidate_id"] for e in about if e.get("candidate_id")), None),
        "model_package_arn": arn,
    }
    told = _told(about, stage, status)
    if told:
        return {**row, "since": told[-1]["recorded_at"], "approver": _approver(told)}
    # A person has decided and the ledger does not know yet: only the version itself says.
    return {**row, **_from_registry(reader, arn, row["candidate_id"])}


def _about(found: Sequence[Mapping[str, Any]], arn: str) -> list[Mapping[str, Any]]:
    """The entries about a version; who may read its bytes is told by nobody who decided."""
    return [
        entry
        for entry in found
        if entry["model_package_arn"] == arn and entry["kind"] not in ABOUT_ACCESS
    ]


def _told(
    about: Sequence[Mapping[str, Any]], stage: str | None, status: str | None
) -> Sequence[Mapping[str, Any]]:
    """The entries up to the one that tells of this phase; [] if the newest tells of another.

    A late review, that one is owed, or how a release ends that somebody has rejected, is said of a
    version that stays what it is.
    """
    stays = phase(reversed(about)) == f"{stage}/{status}"
    for end in range(len(about), 0, -1):
        entry = about[end - 1]
        if (entry.get("stage"), entry.get("stage_status")) == (stage, status):
            return about[:end]
        if not stays and entry["kind"] not in UNMOVING:
            break
    return []


def _from_registry(reader: boto3.Session, arn: str, candidate_id: str | None) -> Row:
    with calling(f"describe {arn}"):
        answer = reader.client("sagemaker").describe_model_package(ModelPackageName=arn)
    by = identity_of(dict(answer.get("LastModifiedBy") or answer.get("CreatedBy") or {}))
    changed = answer.get("LastModifiedTime") or answer["CreationTime"]
    return {
        "since": _text(changed),
        # The hub's own role is nobody who approves.
        "approver": by["person"] if by["persona"] else None,
        "candidate_id": candidate_id
        or answer.get("CustomerMetadataProperties", {}).get("candidate-id"),
    }


def _dev_summaries(dev: boto3.Session, project: Mapping[str, Any]) -> list[dict[str, Any]]:
    account = str(project["accounts"]["dev"])
    return versions.in_group(dev, account, str(project["model"])) or []


def _dev(
    model: str,
    account: str,
    registered: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
) -> list[Row]:
    """Dev's versions: what its registry lists, and what the ledger has seen of it."""
    rows = {summary["ModelPackageArn"]: _dev_row(model, summary) for summary in registered}
    for entry in found:
        origin = entry.get("origin_arn")
        arn = origin or entry["model_package_arn"]
        if account_of(arn) != account:
            continue
        seen = _dev_row(model, {"ModelPackageArn": arn}) | {
            "stage": "Dev",
            "stage_status": "Approved" if origin else entry.get("stage_status"),
        }
        row = rows.setdefault(arn, seen)
        if not registered:
            row["stage_status"] = seen["stage_status"]
        row["since"], row["approver"] = entry["recorded_at"], ledger.person(entry) or None
        row["candidate_id"] = entry.get("candidate_id") or row["candidate_id"]
    return sorted(rows.values(), key=lambda row: int(row["version"]))


def _dev_row(model: str, summary: Mapping[str, Any]) -> Row:
    life_cycle = summary.get("ModelLifeCycle") or {}
    created = summary.get("CreationTime")
    return {
        "model": model,
        "registry": "Dev",
        "version": versions.number_of(summary["ModelPackageArn"]),
        "stage": life_cycle.get("Stage"),
        "stage_status": life_cycle.get("StageStatus"),
        "candidate_id": None,
        "since": _text(created) if created else None,
        "approver": None,
        "model_package_arn": summary["ModelPackageArn"],
    }


def _approver(about: Sequence[Mapping[str, Any]]) -> str | None:
    """Who approved the version last.

    Its supersession names who approved its successor, a swap who took another one back.
    """
    own = [
        entry
        for entry in about
        if entry["kind"] != "CandidateSuperseded"
        and not (entry["kind"] in SERVES and entry.get("rollback"))
    ]
    return (ledger.person(own[-1]) if own else "") or None


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
