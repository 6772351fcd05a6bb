"""RunSuite: test the deployed model through its endpoint, the way its clients will use it."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts
from governance.adapters.bench import Bench
from governance.adapters.directory import Directory
from governance.adapters.policies import tier_of
from governance.adapters.runtime import Runtime
from governance.adapters.sessions import Sessions
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run one suite. A model that is not good enough fails it; a suite that cannot run raises."""
    request = contracts.request("run_suite", event)
    deployment, artifacts = request["deployment"], Artifacts()
    project = Directory(settings.project_directory_table).project_of(request["promotion"]["model"])
    session = Sessions(settings, claim_of(request)).hub(deployment["account"])
    bench = Bench(
        runtime=Runtime(session, deployment["endpoint_name"]),
        artifacts=artifacts,
        objects=request["candidate"]["objects"],
        thresholds=tier_of(project, artifacts)["thresholds"],
    )
    return {"result": bench.run(request["suite"])}
