"""What is going on at an endpoint of Prod: which run deploys, by which strategy, how far it is.

SageMaker says how far, by names that end in a claim's first digits; the ledger says whose claim
that is and how the last bake ended; the deployment definition says the strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cli import versions
from cli.approvals import ENDS
from governance.domain import unfinished

Row = dict[str, Any]
Entry = Mapping[str, Any]
Definitions = Callable[[Mapping[str, str]], Mapping[str, Any] | None]

RELEASE, ROLLBACK = "release", "rollback"
_STARTS = {"ReleaseStarted": RELEASE, "RollbackStarted": ROLLBACK}
_ENDS = frozenset({*ENDS["Prod"], unfinished.KIND})
_STOPPED = "ReleaseStopped"
_UNIQUE = 10  # digits of a claim in the names of what it makes (domain/deployments.py)
_AFTER_RELEASE = "AlarmAfterRelease"  # the error of a release that an alarm ended while it baked


def runs(found: Sequence[Entry]) -> list[Row]:
    """The releases and rollbacks of a model that were started, the oldest first.

    {claim_id, what: release | rollback, model, version, definition, ended}: the version is the one
    that is to serve.
    """
    return [
        {
            "claim_id": entry["claim_id"],
            "what": _STARTS[entry["kind"]],
            "model": entry["model"],
            "version": versions.number_of(_target(entry)),
            "definition": entry.get("definition"),
            "ended": _ended(entry, found),
        }
        for entry in found
        if entry["kind"] in _STARTS
    ]


def last_bake(found: Iterable[Entry], endpoint_arn: str) -> Row | None:
    """{outcome: quiet | alarm, version, at, said} of the last bake that ended, None without one.

    A release is only recorded as released after its bake; an alarm took it back, or ended it.
    """
    last = None
    for entry in found:
        if (entry.get("endpoint") or {"endpoint_arn": endpoint_arn})[
            "endpoint_arn"
        ] != endpoint_arn:
            continue
        said = _alarm(entry)
        if said is not None or entry["kind"] == "CandidateReleased":
            last = {
                "outcome": "quiet" if said is None else "alarm",
                "version": versions.number_of(entry["model_package_arn"]),
                "at": entry["recorded_at"],
                "said": said,
            }
    return last


def under_way(row: Mapping[str, Any], known: Sequence[Row], definitions: Definitions) -> Row:
    """{deployment, trial, bake} of an endpoint as `cli.endpoints` sees it, each None if it is not.

    To a deployment come {what, version, strategy}: None of one that no run of ours has started. A
    trial is {version, strategy, share, since}: the share is of the traffic, None for a shadow. A
    bake that goes on is {outcome: running, version, at, said}.
    """
    deployment, config = row["deployment"], str(row["config"] or "")
    run = _run_of(str(deployment["config"]) if deployment else config, known)
    strategy = _strategy(run, definitions) if run and not run["ended"] else None
    nothing = dict.fromkeys(("deployment", "trial", "bake"))
    if deployment:
        named = {key: run[key] if run else None for key in ("what", "version")}
        return {**nothing, "deployment": {**deployment, **named, "strategy": strategy}}
    if run is None or run["ended"] or row["status"] != "InService":
        return nothing
    about = {"version": run["version"]}
    if tried(row, known) is not None:
        share = next((v["share"] for v in row["variants"] if v["version"] == run["version"]), None)
        trial = {**about, "strategy": strategy, "share": share, "since": row["changed_at"]}
        return {**nothing, "trial": trial}
    bake = {**about, "outcome": "running", "at": row["changed_at"], "said": None}
    return {**nothing, "bake": bake if run["what"] == RELEASE else None}


def tried(row: Mapping[str, Any], known: Sequence[Row]) -> int | None:
    """The version that a trial of ours lets answer beside the champion, None if none goes on.

    It answers from the endpoint's config on, also while that is being replaced at the trial's end.
    """
    config = str(row["config"] or "")
    run = _run_of(config, known)
    if run is None or run["ended"] or f"-trial-{run['claim_id'][:_UNIQUE]}" not in config:
        return None
    return int(run["version"])


def _target(entry: Entry) -> str:
    target = entry.get("rollback_target") if entry["kind"] == "RollbackStarted" else None
    return str((target or entry)["model_package_arn"])


def _ended(started: Entry, found: Iterable[Entry]) -> bool:
    """By its own claim: of a version that bakes, a rollback may be asked for and refused.

    A release that was stopped ends by the rollback's claim, so that goes by the version.
    """

    def ends(entry: Entry) -> bool:
        if entry["kind"] == _STOPPED:
            same_version = entry["model_package_arn"] == started["model_package_arn"]
            return started["kind"] == "ReleaseStarted" and bool(same_version)
        return entry["kind"] in _ENDS and entry["claim_id"] == started["claim_id"]

    return any(ends(entry) and entry["sequence"] > started["sequence"] for entry in found)


def _alarm(entry: Entry) -> str | None:
    """What the alarm said that ended the entry's release, None if none did."""
    failure = entry.get("failure") or {}
    if entry["kind"] == "ReleaseErrored" and failure.get("Error") == _AFTER_RELEASE:
        return str(failure.get("Cause") or "")
    if entry["kind"] == "ReleaseRolledBack" and entry.get("alarms"):
        return str(entry.get("reason") or ", ".join(entry["alarms"]))
    by = str((entry.get("approver") or {}).get("person"))
    if entry["kind"] == _STOPPED and by.startswith("alarm "):
        return str(entry["reason"])
    return None


def _run_of(config: str, known: Sequence[Row]) -> Row | None:
    ours = (run for run in reversed(known) if config.endswith(f"-{run['claim_id'][:_UNIQUE]}"))
    return next(ours, None)


def _strategy(run: Row, definitions: Definitions) -> Mapping[str, Any] | None:
    if run["what"] == ROLLBACK:
        return {"type": "all-at-once"}  # the way back is not tried on a few first
    definition = definitions(run["definition"]) if run["definition"] else None
    return definition["release"]["strategy"] if definition else None
