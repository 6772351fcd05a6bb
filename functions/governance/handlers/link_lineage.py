"""LinkLineage: walking back from the Central version leads to all that RecreateLineage made."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.lineage import LineageGraph
from governance.adapters.sessions import Sessions
from governance.domain import lineages
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Attach the registered version to its lineage, once."""
    request = contracts.request("link_lineage", event)
    lineage, arn = request["lineage"], request["model_package_arn"]
    central = LineageGraph(Sessions(settings, claim_of(request)).lineage())
    version = central.create(lineages.version_artifact(arn, lineage["properties"]))
    central.associate(lineage["version_arn"], version, "DerivedFrom")
    central.associate(lineage["model_data_arn"], version, "ContributedTo")
    return {"lineage_arn": version}
