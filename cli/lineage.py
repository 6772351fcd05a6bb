"""What led to a Central version or to what an endpoint serves, from the registry's lineage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli import board, evidence, ledger, projects, versions
from cli.errors import GovernError, usage
from governance.adapters.lineage import LineageGraph
from governance.domain import candidate, lineages

if TYPE_CHECKING:
    from cli.target import Target

# How a node is told from the one that it led to.
RELATIONS = {
    "DerivedFrom": "copied from",
    "Produced": "made by",
    "ContributedTo": "from",
    "AssociatedWith": "with",
    "SameAs": "same as",
}
_STEP = "Action"


def of_version(where: Target, reference: str) -> dict[str, Any]:
    """The lineage of MODEL/VERSION of Central: {model, version, model_package_arn, candidate_id,
    endpoint, root, nodes, edges, missing, checks, agrees}.

    Nodes are {arn, lineage_type, type, name, source_uri, source_types, properties}, the version
    itself first; edges {source, destination, type}; `root` is the version's ARN in the lineage.
    """
    model, version = versions.parse(reference)
    if version is None:
        raise usage(f"which version of {model}?", f"name one: {model}/VERSION")
    arn = versions.package_arn(where.session, where.central_account, model, version)
    return _trace(where, model, version, arn, None)


def of_endpoint(where: Target, endpoint: str) -> dict[str, Any]:
    """The same of what a Prod endpoint (name or ARN) serves, as the ledger has it."""
    found = [
        row
        for project in projects.all_projects(where.reader)
        for row in board.serving(
            ledger.of_versions(ledger.entries(where.reader, str(project["model"])))
        )
    ]
    mine = [row for row in found if endpoint in (row["endpoint_name"], row["endpoint_arn"])]
    if not mine:
        known = ", ".join(sorted({str(row["endpoint_name"]) for row in found})) or "none"
        raise GovernError(
            "not_found",
            f"no version was released to an endpoint {endpoint!r}; released to: {known}",
            "`govern status` shows what each Prod endpoint serves",
        )
    if len(mine) > 1:
        arns = ", ".join(str(row["endpoint_arn"]) for row in mine)
        raise usage(f"{len(mine)} endpoints are called {endpoint}", f"name one by its ARN: {arns}")
    row = mine[0]
    served = {
        key: row[key] for key in ("endpoint_name", "endpoint_arn", "account", "since", "approver")
    }
    return _trace(where, row["model"], row["version"], row["model_package_arn"], served)


def origins(found: Mapping[str, Any], arn: str) -> list[tuple[str, Mapping[str, Any]]]:
    """What led straight to a node: [(relation, node)], as often as there is a way."""
    nodes = {node["arn"]: node for node in found["nodes"]}
    return [
        (RELATIONS.get(edge["type"], edge["type"]), nodes[edge["source"]])
        for edge in found["edges"]
        if edge["destination"] == arn and edge["source"] in nodes
    ]


def title(node: Mapping[str, Any]) -> tuple[str, str]:
    """What a node is, and its name, "" if it has none that says more."""
    properties = node["properties"]
    uri = str(properties.get("origin_uri") or node["source_uri"])
    if node["lineage_type"] == _STEP:
        return str(node["type"]), ""
    if ":model-package/" in uri:
        where = "Dev" if "origin_uri" in properties else "Central"
        return f"{where} version", uri.partition(":model-package/")[2]
    return str(properties.get("role") or node["type"]), uri.rstrip("/").rpartition("/")[2]


def facts(node: Mapping[str, Any]) -> dict[str, str]:
    """What identifies a node: place, version id, digest, commit; and what is wrong with it."""
    properties = node["properties"]
    wanted = {
        "origin": properties.get("origin_uri"),
        "sha256": properties.get("sha256"),
        "version id": properties.get("version_id"),
        "Central copy": node["source_uri"] if "central_version_id" in properties else None,
        "digest": properties.get("image_digest"),
        "commit": properties.get("dev_code-commit") or properties.get("dev_CommitId"),
        "made by": properties.get("dev_generated-by"),
        "Dev says otherwise of": properties.get("dev_disagrees"),
        "not told by anybody": properties.get("missing"),
    }
    if properties.get("role") == "version":
        wanted["commit"] = properties.get("code_commit")
    return {name: str(value) for name, value in wanted.items() if value}


def _trace(
    where: Target, model: str, version: int, arn: str, endpoint: Mapping[str, Any] | None
) -> dict[str, Any]:
    promoted = _promoted(where, model, arn)
    found = LineageGraph(where.reader).trace(arn)
    if not found["nodes"]:
        raise GovernError(
            "not_found",
            f"the lineage of {arn} is not there",
            f"`govern verify {model}/{version}` shows whether its evidence is; versions that were "
            "promoted before lineage was recreated have none: approve them in Dev again",
        )
    candidate_id = str(promoted["candidate_id"])
    manifest = _manifest(where, model, candidate_id)
    checks = lineages.checks(manifest, found["nodes"], whole=not found["missing"])
    return {
        "model": model,
        "version": version,
        "model_package_arn": arn,
        "candidate_id": candidate_id,
        "endpoint": endpoint,
        "root": found["nodes"][0]["arn"],
        **found,
        "checks": checks,
        "agrees": all(check["agrees"] is not False for check in checks),
    }


def _promoted(where: Target, model: str, arn: str) -> Mapping[str, Any]:
    """The ledger's word on which candidate a Central version is; the registry's can be edited."""
    projects.project_of(where.reader, model)
    entries: Sequence[Mapping[str, Any]] = ledger.entries(where.reader, model)
    registered = [entry for entry in entries if entry["kind"] == "CandidatePromoted"]
    for entry in registered:
        if entry["model_package_arn"] == arn:
            return entry
    numbers = sorted({versions.number_of(entry["model_package_arn"]) for entry in registered})
    known = ", ".join(f"{model}/{number}" for number in numbers) or "none yet"
    raise GovernError(
        "not_found",
        f"{arn} was never promoted; Central has {known}",
        f"`govern status {model}` shows where versions stand",
    )


def _manifest(where: Target, model: str, candidate_id: str) -> dict[str, Any]:
    uri = evidence.manifest_uri(where.reader, where.central_account, model, candidate_id)
    body = evidence.document(where.reader, uri)
    if body is None:
        raise GovernError("not_found", f"there is no manifest {uri}", "`govern verify` says why")
    manifest: dict[str, Any] = json.loads(body)
    if candidate.candidate_id(manifest) != candidate_id:
        raise GovernError(
            "integrity",
            f"{uri} is not the manifest of candidate {candidate_id}",
            f"govern verify {model}",
        )
    return manifest
