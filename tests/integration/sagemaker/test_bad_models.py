"""Deliberately bad models on real endpoints: which suite catches which, and the good one passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from governance.adapters.bench import Bench
from governance.adapters.registry import plain
from governance.adapters.runtime import Runtime
from governance.domain import suites
from tests import bad_models, benches
from tests.contracts.policies import files
from tests.integration.sagemaker.support import IMAGE, PROD, Client, Server, make_role

THRESHOLDS = {**json.loads(files("medium")["tier"])["thresholds"], "latency_p95_ms_max": 400}
# Fewer calls than in earnest, and fewest of the one that is slow on purpose.
FEWER: dict[str, dict[str, Any]] = {
    "latency": {"warm_up": 2, "calls": 30},
    "determinism": {"repeats": 3},
}
FEWEST: dict[str, dict[str, Any]] = {**FEWER, "latency": {"warm_up": 1, "calls": 6}}
# What each is caught by; everything else lets it pass.
CAUGHT: dict[str, set[str]] = {
    "good": set(),
    "slow": {"latency"},
    "biased": {"fairness"},
    "silently-worse": {"comparison"},
    "crashing": {"latency"},
    "non-deterministic": {"golden", "robustness", "determinism"},
    "blaming-itself": {"contract", "robustness"},
    "another": {"golden", "quality"},
}


class Called(Runtime):
    """The runtime on the client of these tests."""

    def __init__(self, runtime: Any, endpoint: str) -> None:
        self._runtime, self._name = runtime, endpoint


def deployed(prod: Server, client: Client, name: str) -> tuple[Bench, benches.Stored]:
    """The bench of the model on an endpoint of its own."""
    built = bad_models.build(name)
    prod.bucket[f"s3://models/{name}/model.tar.gz"] = built.archive
    prod.sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://models/{name}/model.tar.gz"},
        ExecutionRoleArn=make_role(PROD, "execution"),
    )
    prod.config(name, **{name: 1.0})
    assert prod.endpoint(name, name)["EndpointStatus"] == "InService"
    stored = benches.Stored(
        **{
            "holdout": built.holdout,
            "evaluation": built.evaluation,
            "sample-payload": built.sample,
        }
    )
    locations = [
        {"role": role, "bucket": "b", "key": role, "version_id": "v1", "sha256": f"{role}-1"}
        for role in stored.objects
    ]
    bench = Bench(
        Called(client(PROD, "sagemaker-runtime"), name),
        stored,  # type: ignore[arg-type]
        locations,
        THRESHOLDS,
        lambda: plain(prod.sagemaker.describe_endpoint(EndpointName=name)),
    )
    return bench, stored


@pytest.mark.parametrize("name", bad_models.SPOILED)
def test_a_bad_model_is_caught_by_the_suite_that_looks_for_it(
    prod: Server, client: Client, name: str
) -> None:
    good, theirs = deployed(prod, client, "good")
    champion = benches.champion(benches.score(good))
    bench, stored = (good, theirs) if name == "good" else deployed(prod, client, name)
    stored.objects.update(theirs.objects | stored.objects)
    found = benches.run_all(bench, champion, **(FEWEST if name == "slow" else FEWER))
    caught = {suite for suite, result in found.items() if result["status"] == "failed"}
    why = {suite: benches.failed(found[suite])[:4] for suite in caught}
    if name == "crashing":
        # What comes within ten seconds after the load can meet the next crash.
        assert CAUGHT[name] <= caught, why
    else:
        assert caught == CAUGHT[name], why


def test_every_bad_model_has_its_suite_and_every_suite_a_bad_model() -> None:
    assert CAUGHT.keys() == bad_models.SPOILED.keys()
    assert set().union(*CAUGHT.values()) == set(suites.BUILT_IN) - {"cold-start"}
