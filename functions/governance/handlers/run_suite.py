"""RunSuite: test the deployed model through its endpoint, the way its clients will use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance import contracts
from governance.adapters import holdout
from governance.adapters.artifacts import Artifacts
from governance.adapters.bench import Bench
from governance.adapters.endpoints import Endpoints
from governance.adapters.own_suites import OwnSuites, request_for
from governance.adapters.runtime import Runtime
from governance.adapters.sessions import Sessions
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run one suite, score a shard of the holdout, or judge all its shards.

    A model that is not good enough fails a suite; a suite that cannot run raises.
    """
    request = contracts.request("run_suite", event)
    bench = _bench(request)
    if "shard" in request:
        return {"shard": _score(bench, request)}
    if "shards" in request:
        judge = holdout.Judge(bench, request["shards"], request.get("champion"))
        return {
            "results": [judge.run(one["suite"], one["parameters"]) for one in request["suites"]]
        }
    item = request["suite"]
    if "entry_point" in item:
        parts = [request[key] for key in ("deployment", "candidate", "promotion", "thresholds")]
        return {"result": OwnSuites().run(item["entry_point"], request_for(item, *parts))}
    return {"result": bench.run(item["suite"], item["parameters"])}


def _bench(request: Mapping[str, Any]) -> Bench:
    deployment = request["deployment"]
    session = Sessions(settings, claim_of(request)).hub(deployment["account"])
    name = deployment["endpoint_name"]
    return Bench(
        runtime=Runtime(session, name),
        artifacts=Artifacts(),
        objects=request["candidate"]["objects"],
        thresholds=request["thresholds"],
        endpoint=lambda: Endpoints(session).find(name),
        content_types=deployment.get("content_types", []),
    )


def _score(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    rows, candidate_id = request["shard"], request["candidate"]["candidate_id"]
    document = holdout.score(bench, candidate_id, rows["from"], rows["to"])
    if isinstance(document, str):
        return {**rows, "problems": document}
    return holdout.store(
        bench.artifacts,
        settings.evidence_bucket,
        settings.kms_key_arn,
        request["promotion"]["model"],
        document,
    )
