"""RecreateLineage: what led to the candidate in Dev is in Central's lineage too."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import manifests
from governance.adapters.lineage import LineageGraph
from governance.adapters.sessions import Sessions
from governance.domain import lineages
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Read Dev's graph, complete it with the manifest's facts, make it in the registry account."""
    request = contracts.request("recreate_lineage", event)
    promotion, candidate = request["promotion"], request["candidate"]
    sessions = Sessions(settings, claim_of(request))
    facts = lineages.Facts(
        candidate_id=candidate["candidate_id"],
        origin_arn=promotion["model_package_arn"],
        manifest=manifests.read(candidate["manifest_uri"], candidate["candidate_id"]),
        manifest_uri=candidate["manifest_uri"],
        origins=candidate["objects"],
        centrals=request["objects"],
    )
    graph = LineageGraph(sessions.hub(promotion["account"])).ascendants(facts.origin_arn)
    planned = lineages.recreation(graph, facts)
    central = LineageGraph(sessions.lineage())
    arns = {entity["key"]: central.create(entity) for entity in planned["entities"]}
    for one in planned["associations"]:
        central.associate(arns[one["source"]], arns[one["destination"]], one["type"])
    return {
        "lineage": {
            "version_arn": arns[planned["version"]],
            "model_data_arn": arns[planned["model_data"]],
            "properties": lineages.central_version(facts),
            "entities": len(planned["entities"]),
            "missing": planned["missing"],
        }
    }
