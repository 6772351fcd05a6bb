"""The lineage that Central gets: from Dev's graph and the manifest, never less than either says."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import lineages
from governance.domain.errors import InvalidInputError
from local.sagemaker import validation

ORIGIN = "arn:aws:sagemaker:us-east-1:444455556666:model-package/risk/1"
CANDIDATE = "d" * 64
COMMIT = "c0ffee" * 6
IMAGE = "repo/image:1"


def location(role: str, name: str, bucket: str = "dev") -> dict[str, Any]:
    return {
        "role": role,
        "bucket": bucket,
        "key": f"runs/{name}",
        "version_id": f"v-{role}",
        "size": 3,
        "sha256": role.encode().hex().ljust(64, "0")[:64],
    }


ORIGINS = [
    location("model-data", "model.tar.gz"),
    location("evaluation", "evaluation.json"),
    location("holdout", "holdout.csv"),
    location("sample-payload", "sample.json"),
]
CENTRALS = [{**one, "bucket": "central", "version_id": f"c-{one['role']}"} for one in ORIGINS]
DATASET = {"uri": "s3://dev/train.csv", "version_id": "v-train", "sha256": "b" * 64}


def facts(origin_arn: str = ORIGIN, **manifest: Any) -> lineages.Facts:
    return lineages.Facts(
        candidate_id=CANDIDATE,
        origin_arn=origin_arn,
        manifest={
            "artifacts": ORIGINS,
            "training_data": [DATASET],
            "code_commit": COMMIT,
            "images": [{"uri": IMAGE, "digest": "sha256:1"}],
            "inference_specification": {"Containers": [{"Image": "image:sha256:1"}]},
            **manifest,
        },
        manifest_uri="s3://evidence/manifest.json",
        origins=ORIGINS,
        centrals=CENTRALS,
    )


def arn(name: str, kind: str = "artifact") -> str:
    return f"arn:aws:sagemaker:us-east-1:444455556666:{kind}/{name}"


def node(name: str, uri: str, kind: str = "", lineage_type: str = "Artifact", **properties: str):
    return {
        "arn": arn(name, lineage_type.lower()),
        "lineage_type": lineage_type,
        "type": kind,
        "name": name,
        "source_uri": uri,
        "source_types": [],
        "properties": properties,
    }


def edge(source: dict[str, Any], destination: dict[str, Any], kind: str) -> dict[str, str]:
    return {"source": source["arn"], "destination": destination["arn"], "type": kind}


def told(nodes: list[dict[str, Any]], *edges: dict[str, str], missing: Any = ()) -> dict[str, Any]:
    return {"nodes": nodes, "edges": list(edges), "missing": list(missing)}


def whole() -> dict[str, Any]:
    """What the training pipeline leaves in Dev."""
    version = node("v", ORIGIN, "ModelPackage")
    data = node("d", DATASET["uri"], "DataSet", sha256=DATASET["sha256"])
    step = node("t", ORIGIN, "TrainingJob", "TrialComponent")
    model = node("m", "s3://dev/runs/model.tar.gz", "Model")
    report = node("r", "s3://dev/runs/evaluation.json", "Report")
    holdout = node("h", "s3://dev/runs/holdout.csv", "DataSet")
    image = node("i", IMAGE, "Image")
    return told(
        [version, data, step, model, report, holdout, image],
        edge(data, step, "ContributedTo"),
        edge(step, model, "Produced"),
        edge(model, version, "ContributedTo"),
        edge(report, version, "ContributedTo"),
        edge(holdout, report, "ContributedTo"),
        edge(image, version, "ContributedTo"),
    )


def by_role(planned: dict[str, Any]) -> dict[str, dict[str, Any]]:
    requests = [entity["request"] for entity in planned["entities"]]
    return {
        request["Properties"].get("role", request.get("ActionType", "")): request
        for request in requests
    }


def reached(planned: dict[str, Any], start: str) -> set[str]:
    found, queue = {start}, [start]
    while queue:
        here = queue.pop()
        for one in planned["associations"]:
            if one["source"] == here and one["destination"] not in found:
                found.add(one["destination"])
                queue.append(one["destination"])
    return found


def test_what_was_copied_is_named_by_its_copy_and_the_rest_by_origin_and_candidate() -> None:
    planned = lineages.recreation(whole(), facts())
    assert planned["missing"] == []
    found = by_role(planned)
    model = found["model-data"]
    assert model["Source"]["SourceUri"] == "s3://central/runs/model.tar.gz"
    assert model["Properties"] == {
        "candidate_id": CANDIDATE,
        "origin_arn": arn("m"),
        "stated_by": "dev lineage and manifest",
        "code_commit": COMMIT,
        "origin_uri": "s3://dev/runs/model.tar.gz",
        "origin_lineage_type": "Artifact",
        "origin_name": "m",
        "role": "model-data",
        "sha256": ORIGINS[0]["sha256"],
        "version_id": "v-model-data",
        "central_version_id": "c-model-data",
    }
    dataset = found["dataset"]
    assert dataset["Source"]["SourceUri"] == f"{DATASET['uri']}#candidate-{CANDIDATE}"
    assert dataset["Properties"]["version_id"] == DATASET["version_id"]
    assert found["image"]["Properties"]["image_digest"] == "sha256:1"
    assert found["TrainingJob"]["Properties"]["origin_lineage_type"] == "TrialComponent"


def test_of_an_image_that_nobody_could_look_up_the_declared_digest_is_told() -> None:
    declared = {"Containers": [{"Image": IMAGE, "ImageDigest": "sha256:2"}]}
    known = facts(images=[], inference_specification=declared)
    found = by_role(lineages.recreation(whole(), known))
    assert found["image"]["Properties"]["image_digest"] == "sha256:2"


def test_the_model_data_of_every_container_leads_to_the_version() -> None:
    more = [
        location("model-data-2", "features.tar.gz"),
        location("specification/gpu/model-data", "gpu.tar.gz"),
    ]
    known = facts()
    known = replace(known, origins=[*ORIGINS, *more], centrals=[*CENTRALS, *more])
    planned = lineages.recreation(whole(), known)
    found = {entity["request"]["Properties"].get("role"): entity for entity in planned["entities"]}
    for role in ("model-data-2", "specification/gpu/model-data"):
        assert found[role]["request"]["ArtifactType"] == "Model"
        assert planned["version"] in reached(planned, found[role]["key"])
        assert f"Dev's lineage does not name the {role}" in planned["missing"]
    assert planned["model_data"] == found["model-data"]["key"]


def test_the_manifest_completes_a_graph_that_has_only_uris() -> None:
    dataset = by_role(lineages.recreation(whole(), facts()))["dataset"]["Properties"]
    assert dataset["stated_by"] == "dev lineage and manifest"
    assert (dataset["sha256"], dataset["version_id"]) == (DATASET["sha256"], "v-train")


def test_the_manifests_word_counts_where_dev_says_otherwise() -> None:
    graph = whole()
    graph["nodes"][1]["properties"] = {"sha256": "e" * 64, "candidate_id": "forged"}
    graph["nodes"][1]["source_types"] = [{"SourceIdType": "S3Version", "Value": "older"}]
    dataset = by_role(lineages.recreation(graph, facts()))["dataset"]["Properties"]
    assert dataset["sha256"] == DATASET["sha256"]
    assert dataset["dev_sha256"] == "e" * 64
    assert dataset["dev_S3Version"] == "older"
    assert dataset["dev_disagrees"] == "sha256, version_id"
    assert (dataset["candidate_id"], dataset["dev_candidate_id"]) == (CANDIDATE, "forged")


def test_without_a_graph_the_manifest_alone_makes_one_and_says_so() -> None:
    planned = lineages.recreation(told([]), facts())
    found = by_role(planned)
    assert {"version", "model-data", "evaluation", "holdout", "dataset", "ModelTraining"} == set(
        found
    )
    said = f"Dev has no lineage of {ORIGIN}: the manifest tells all"
    assert planned["missing"] == [said]
    assert found["version"]["Properties"]["missing"] == said
    assert {request["Properties"]["stated_by"] for request in found.values()} == {"manifest"}
    start = f"{DATASET['uri']}#candidate-{CANDIDATE}"
    assert {planned["model_data"], planned["version"]} <= reached(planned, start)


def test_what_dev_does_not_name_is_added_and_told() -> None:
    graph = whole()
    graph["nodes"] = [one for one in graph["nodes"] if one["name"] not in ("d", "t")]
    planned = lineages.recreation(graph, facts())
    assert planned["missing"] == [
        "Dev's lineage does not name the training step",
        f"Dev's lineage does not name the dataset {DATASET['uri']}",
    ]
    start = f"{DATASET['uri']}#candidate-{CANDIDATE}"
    assert {planned["model_data"], planned["version"]} <= reached(planned, start)


def test_what_nobody_says_is_told_too() -> None:
    bare: dict[str, Any] = {"uri": None, "version_id": None, "sha256": None}
    planned = lineages.recreation(told([]), facts(training_data=[bare], code_commit=None))
    assert planned["missing"][1:] == [
        "the registration names no dataset",
        "the registration names no code commit",
    ]
    only_uri = {**DATASET, "version_id": None, "sha256": None}
    planned = lineages.recreation(whole(), facts(training_data=[only_uri]))
    assert planned["missing"] == [
        f"the registration names no {what} of dataset {DATASET['uri']}"
        for what in ("version_id", "sha256")
    ]


def test_what_could_not_be_read_is_told() -> None:
    graph = {**whole(), "missing": ["more than 100 entities led to it"]}
    planned = lineages.recreation(graph, facts())
    assert planned["missing"] == ["more than 100 entities led to it"]
    assert by_role(planned)["version"]["Properties"]["missing"] == planned["missing"][0]


def test_a_candidate_without_model_data_is_refused() -> None:
    without = lineages.Facts(CANDIDATE, ORIGIN, facts().manifest, "s3://e/m", [], [])
    with pytest.raises(InvalidInputError, match=rf"{CANDIDATE} has no model data"):
        lineages.recreation(told([]), without)


def test_two_entities_of_dev_for_one_object_are_one_in_central() -> None:
    graph = whole()
    twin = {**node("m2", "s3://dev/runs/model.tar.gz", "Model"), "properties": {"who": "job"}}
    graph["nodes"].append(twin)
    graph["edges"] += [edge(graph["nodes"][3], twin, "SameAs")]
    planned = lineages.recreation(graph, facts())
    model = by_role(planned)["model-data"]["Properties"]
    assert (model["dev_also"], model["dev_who"]) == (arn("m2"), "job")
    assert not [one for one in planned["associations"] if one["source"] == one["destination"]]


def test_a_version_registered_again_with_the_same_bytes_joins_the_same_data() -> None:
    again = facts(origin_arn=ORIGIN.replace("/1", "/2"))
    first, second = (lineages.recreation(told([]), one) for one in (facts(), again))
    assert first["model_data"] == second["model_data"]
    assert first["version"] != second["version"]


def test_dev_cannot_crowd_out_what_we_say() -> None:
    graph = whole()
    graph["nodes"][3]["properties"] = {f"key-{n:02}": "x" * 5000 for n in range(60)}
    model = by_role(lineages.recreation(graph, facts()))["model-data"]["Properties"]
    assert len(model) == 30
    assert model["sha256"] == ORIGINS[0]["sha256"]
    told_by_dev = [key for key in model if key.startswith("dev_key")]
    assert int(model["dev_properties_left_out"]) == 60 - len(told_by_dev)
    assert max(map(len, model.values())) == 2500


def test_the_manifest_is_compared_with_what_lineage_says() -> None:
    planned = lineages.recreation(whole(), facts())
    nodes = [{"properties": e["request"]["Properties"]} for e in planned["entities"]]
    found = lineages.checks(facts().manifest, nodes)
    assert [check["agrees"] for check in found] == [True] * 10
    assert [check["what"] for check in found][-4:] == [
        *("dataset 1 uri", "dataset 1 version id", "dataset 1 sha256"),
        "code commit",
    ]
    (dataset,) = (n for n in nodes if n["properties"].get("role") == "dataset")
    dataset["properties"]["sha256"] = "e" * 64
    (wrong,) = (c for c in lineages.checks(facts().manifest, nodes) if not c["agrees"])
    assert wrong == {
        "what": "dataset 1 sha256",
        "expected": DATASET["sha256"],
        "found": "e" * 64,
        "agrees": False,
    }


def test_what_was_not_read_neither_agrees_nor_differs() -> None:
    planned = lineages.recreation(whole(), facts())
    nodes = [{"properties": e["request"]["Properties"]} for e in planned["entities"]]
    unread = ("dataset", "model-data")
    read = [n for n in nodes if n["properties"].get("role") not in unread]
    (holdout,) = (n for n in read if n["properties"].get("role") == "holdout")
    holdout["properties"]["sha256"] = "e" * 64
    found = {
        check["what"]: check["agrees"]
        for check in lineages.checks(facts().manifest, read, whole=False)
    }
    assert {what for what, agrees in found.items() if agrees is None} == {
        *("dataset 1 uri", "dataset 1 version id", "dataset 1 sha256"),
        *("model-data sha256", "model-data version id"),
    }
    # What was read and says something else differs, whatever was not read.
    assert [what for what, agrees in found.items() if agrees is False] == ["holdout sha256"]
    whole_ = lineages.checks(facts().manifest, read)
    assert [c["agrees"] for c in whole_ if "dataset" in c["what"]] == [False] * 3


def test_what_the_manifest_does_not_say_agrees_with_nothing() -> None:
    unknown = facts(code_commit=None)
    planned = lineages.recreation(whole(), unknown)
    nodes = [{"properties": e["request"]["Properties"]} for e in planned["entities"]]
    check = lineages.checks(unknown.manifest, nodes)[-1]
    assert (check["what"], check["agrees"], check["found"]) == ("code commit", None, None)


# ---------------------------------------------------------------- whatever Dev says

_URIS = st.one_of(
    st.sampled_from(
        [ORIGIN, DATASET["uri"], IMAGE, *(f"s3://dev/{one['key']}" for one in ORIGINS)]
    ),
    st.text(min_size=1, max_size=40).map(lambda text: f"s3://other/{text}"),
    st.just("s3://other/" + "x" * 2030),
)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Any graph that QueryLineage could answer with: cycles, several entities of one source."""
    kinds = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["Artifact", "Action", "Context", "TrialComponent"]),
                _URIS,
                st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=40),
            ),
            max_size=8,
        )
    )
    nodes = [
        node(f"n{number}", uri, "Kind", lineage_type) | {"properties": properties}
        for number, (lineage_type, uri, properties) in enumerate(kinds)
    ]
    pairs = list(itertools.permutations(range(len(nodes)), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=14)) if pairs else []
    return told(nodes, *(edge(nodes[a], nodes[b], "ContributedTo") for a, b in chosen))


@given(graphs())
def test_nothing_of_dev_is_lost_and_nothing_has_no_origin(graph: dict[str, Any]) -> None:
    planned = lineages.recreation(graph, facts())
    keys: dict[str, str] = {}
    for entity in planned["entities"]:
        properties = entity["request"]["Properties"]
        assert properties["candidate_id"] == CANDIDATE
        assert properties["origin_arn"].startswith("arn:aws:sagemaker:us-east-1:444455556666:")
        keys[properties["origin_arn"]] = entity["key"]
        uri = properties["origin_uri"]
        for one in graph["nodes"]:
            if one["lineage_type"] == entity["kind"] == "Artifact" and one["source_uri"] == uri:
                keys[one["arn"]] = entity["key"]
    for one in graph["edges"]:
        if one["source"] in keys and one["destination"] in keys:
            assert keys[one["destination"]] in reached(planned, keys[one["source"]])
    assert {one["arn"] for one in graph["nodes"]} <= keys.keys()
    # Whatever Dev says, the exact bytes lead to the version.
    for part in (f"{DATASET['uri']}#candidate-{CANDIDATE}", planned["model_data"]):
        assert planned["version"] in reached(planned, part)


@given(graphs())
def test_the_same_graph_gives_the_same_lineage_under_names_that_sagemaker_takes(
    graph: dict[str, Any],
) -> None:
    planned = lineages.recreation(graph, facts())
    assert planned == lineages.recreation(graph, facts())
    turned = {**graph, "nodes": graph["nodes"][::-1], "edges": graph["edges"][::-1]}
    assert {e["key"] for e in lineages.recreation(turned, facts())["entities"]} == {
        e["key"] for e in planned["entities"]
    }
    names = [e["request"][f"{e['kind']}Name"] for e in planned["entities"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"governed-path-[0-9a-f]{40}", name) for name in names)
    sources = [
        e["request"]["Source"]["SourceUri"] for e in planned["entities"] if e["kind"] == "Artifact"
    ]
    assert len(set(sources)) == len(sources)
    pairs = [(one["source"], one["destination"]) for one in planned["associations"]]
    assert len(set(pairs)) == len(pairs)
    for entity in planned["entities"]:
        validation.validate(f"Create{entity['kind']}", entity["request"])
