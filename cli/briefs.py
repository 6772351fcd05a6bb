"""The brief as it is read: ledger, directory, policy, manifests and reports, through the reader."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cli import deployments, evidence, ledger, projects, versions
from cli.errors import GovernError
from governance import contracts
from governance.adapters.policy_engine import engine
from governance.adapters.registry import plain
from governance.domain import briefs, candidate, definitions, dossiers, locations
from governance.domain.comparisons import Side
from governance.domain.described import described
from governance.domain.gates import Decide
from governance.domain.policies import PARTS, Policy, digests_of

if TYPE_CHECKING:
    from cli.target import Target

Entry = Mapping[str, Any]


def read(where: Target, model: str, version: int, registry: str, asked_at: str) -> dict[str, Any]:
    """The brief of a version of the `registry` ("central" or "dev"), as domain/briefs.py says.

    A Dev version that was promoted is told as the Central version that it became. GovernError
    `not_found` for a model or version that is not there, `integrity` for evidence that is not what
    the ledger names.
    """
    project = projects.project_of(where.reader, model)
    entries = ledger.entries(where.reader, model)
    policy, decide = _policy(where, project, model)
    arn = _arn_of(where, project, entries, model, version, registry)
    release = briefs.opponent(entries, project["endpoint_name"], arn)
    other = _side(where, model, entries, str(release["model_package_arn"])) if release else None
    if f":{project['accounts']['dev']}:" in arn:
        side = _dev_side(where, model, entries, arn)
        setting = _setting(where, asked_at, project, policy, decide, {})
        return briefs.brief(side, other, entries=entries, setting=setting, described=None)
    found = versions.find(where.reader, where.central_account, model, versions.number_of(arn))
    side = _side(where, model, entries, arn)
    known = evidence.candidate(where.reader, side.candidate_id, model) or {"objects": []}
    description = plain(found.description)
    setting = _setting(where, asked_at, project, policy, decide, description)
    recalled = evidence.recalled(where.reader, known.get("parts") or ())
    return briefs.brief(
        side,
        other,
        entries=entries,
        setting=replace(setting, recalls=recalled),
        described=described(description),
        differences=[
            *candidate.differences(side.manifest, description, known["objects"]),
            *evidence.said_of_tests(where.reader, entries, arn, description),
        ],
    )


def _setting(
    where: Target,
    asked_at: str,
    project: Mapping[str, Any],
    policy: Policy,
    decide: Decide,
    description: Mapping[str, Any],
) -> briefs.Setting:
    """Under what it would be decided on, with the deployment definition that would count."""
    named = definitions.bound(description)
    bucket = evidence.bucket(where.reader, where.central_account)
    reference = definitions.chosen(named, project, bucket)
    seen, deployed = deployments.seen(where.reader, reference, policy.tier)
    return briefs.Setting(asked_at, project, policy, decide, seen, deployed)


def _policy(where: Target, project: Mapping[str, Any], model: str) -> tuple[Policy, Decide]:
    """The model's policy in force and its engine; what gates decide by, and nothing else."""
    files = evidence.policy(where.reader, model)
    if files is None:
        raise GovernError(
            "not_found",
            f"the policy of model {model} is not where the directory says",
            "an admin publishes it again: govern provision --help",
        )
    digests = digests_of(files)
    for part in PARTS:
        if digests[part] != project["policy"][part]["sha256"]:
            raise _not_as_named(project["policy"][part]["uri"], digests[part])
    policy = Policy(
        files["cedar"].decode(),
        files["schema"].decode(),
        contracts.tier_policy(json.loads(files["tier"])),
        digests,
    )
    return policy, engine(policy.cedar, policy.schema).decide


def _arn_of(
    where: Target,
    project: Mapping[str, Any],
    entries: Sequence[Entry],
    model: str,
    version: int,
    registry: str,
) -> str:
    """The version's ARN; that of the Central version if it is a Dev version that was promoted."""
    if registry == "central":
        return versions.find(where.reader, where.central_account, model, version).arn
    arn = versions.package_arn(where.session, str(project["accounts"]["dev"]), model, version)
    became = [
        str(entry["model_package_arn"])
        for entry in entries
        if entry["kind"] == "CandidatePromoted" and entry.get("origin_arn") == arn
    ]
    return became[-1] if became else arn


def _side(where: Target, model: str, entries: Sequence[Entry], arn: str) -> Side:
    """A Central version as its manifest and reports describe it."""
    about = dossiers.story(entries, arn)
    candidate_id = dossiers.candidate_of(about, arn)
    if not candidate_id:
        raise GovernError(
            "not_found",
            f"the ledger has no promotion of {arn}, so nothing says what it is",
            "only versions that promote_to_central registered can go on",
        )
    manifest = _manifest(where, model, candidate_id)
    body = evidence.evaluation(where.reader, candidate_id, model)
    named = dossiers.evaluation_of(manifest)
    found = locations.digest_of(body, named)
    if found != named["sha256"]:
        raise _not_as_named(f"the evaluation report (expected sha256 {named['sha256']})", found)
    report, problems = contracts.evaluation_report(body)
    return Side(arn, candidate_id, manifest, report, problems, _tests(where, about))


def _dev_side(where: Target, model: str, entries: Sequence[Entry], arn: str) -> Side:
    """A version that is only in Dev, as far as Central knows it."""
    named = [
        str(entry["candidate_id"])
        for entry in entries
        if entry["model_package_arn"] == arn and entry.get("candidate_id")
    ]
    if not named:
        raise GovernError(
            "not_found",
            f"the ledger has nothing about {arn}",
            "`govern status --as data-scientist` lists Dev's versions; one that is not complete "
            "(model data, evaluation, holdout) is no candidate yet",
        )
    why = "it is in Dev's bucket until the version is promoted"
    return Side(arn, named[-1], _manifest(where, model, named[-1]), problems=[why])


def _manifest(where: Target, model: str, candidate_id: str) -> dict[str, Any]:
    uri = evidence.manifest_uri(where.reader, where.central_account, model, candidate_id)
    body = evidence.needed(where.reader, uri)
    _check(uri, body, candidate_id)
    manifest: dict[str, Any] = json.loads(body)
    return manifest


def _tests(where: Target, about: Sequence[Entry]) -> dict[str, Any]:
    """The last validation's report, {} without one."""
    reports = dossiers.named_reports(about)
    if not reports:
        return {}
    named = reports[max(reports)]
    body = evidence.needed(where.reader, named["uri"], named["version_id"])
    _check(named["uri"], body, named["sha256"])
    report: dict[str, Any] = json.loads(body)
    return report


def _check(what: str, body: bytes, digest: str) -> None:
    found = hashlib.sha256(body).hexdigest()
    if found != digest:
        raise _not_as_named(f"{what} (expected sha256 {digest})", found)


def _not_as_named(what: str, found: str) -> GovernError:
    return GovernError(
        "integrity",
        f"{what} is not what was recorded: its sha256 is {found}",
        "govern verify says what else is wrong; treat it as an incident (docs/runbook.md)",
    )
