"""Lineage: what led to a candidate, as Dev tells it and the manifest says, made anew for Central.

A graph is {nodes, edges, missing}: a node is {arn, lineage_type, type, name, source_uri,
source_types, properties}, an edge {source, destination, type}, `missing` says what could not be
read. SageMaker knows an artifact by its URI alone, and Dev's may be named by many versions. So
Central has nodes of its own for each candidate: what was copied is named by its Central copy, all
else by its origin and the candidate. The manifest is what was approved: where Dev's graph says
nothing, or something else, the manifest's word counts, and the node says so.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from governance.domain.candidate import is_model_data
from governance.domain.errors import InvalidInputError

PREFIX = "governed-path-"  # of every name; roles may create actions and contexts of no other
DEEPEST = 10  # associations from the version; SageMaker's own limit
MOST_NODES = 100  # that are taken from Dev
# That are read of Central's: what was taken, what the manifest adds, and SageMaker's own notes of
# each status that a version has had.
MOST_READ = 1000

# Objects of a candidate that are part of its lineage, by role: how SageMaker types them.
TRACKED = {"model-data": "Model", "evaluation": "Report", "holdout": "DataSet"}
_STEPS = ("Action", "TrialComponent")
_FROM_DEV, _FROM_MANIFEST = "dev lineage", "manifest"
_MOST_PROPERTIES = 30
_LONGEST_VALUE = 2500  # characters; what actions and contexts take
_LONGEST_URI = 2048
_LONGEST_TYPE = 256

Edges = dict[tuple[str, str], str]  # (source, destination): type; SageMaker has one for a pair


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a candidate besides Dev's lineage.

    `manifest` is the candidate's, `manifest_uri` where it is kept; `origins` and `centrals` are the
    locations of its objects in Dev and in Central, with their roles; `origin_arn` is the Dev
    version.
    """

    candidate_id: str
    origin_arn: str
    manifest: Mapping[str, Any]
    manifest_uri: str
    origins: Sequence[Mapping[str, Any]]
    centrals: Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class _Node:
    """An entity of Central in the making; `key` is what tells it from all others."""

    key: str
    origin: str  # ARN in Dev, or the Dev version's and the part of the manifest
    kind: str  # Artifact, Action or Context
    type: str
    source_uri: str
    stated_by: str
    ours: dict[str, str]
    theirs: dict[str, str] = field(default_factory=dict)


def recreation(graph: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """The lineage that Central gets: {entities, associations, version, model_data, missing}.

    entities [{key, kind, request}]: `request` are the arguments of CreateArtifact, CreateAction or
    CreateContext; associations [{source, destination, type}] between keys; `version` and
    `model_data` are the keys of the Dev version and of the model data; `missing` says what nobody
    told.
    """
    draft = _Draft(*_from_dev(graph, facts), facts)
    version, model_data = draft.complete()
    nodes, edges = draft.nodes, draft.edges
    missing = [*graph["missing"], *draft.missing]
    if missing:
        nodes[version].ours["missing"] = "; ".join(missing)
    return {
        "entities": [_entity(node, facts) for node in nodes.values()],
        "associations": [
            {"source": source, "destination": destination, "type": kind}
            for (source, destination), kind in edges.items()
        ],
        "version": version,
        "model_data": model_data,
        "missing": missing,
    }


def central_version(facts: Facts) -> dict[str, str]:
    """The properties of the Central version's artifact."""
    return _properties(
        {
            "candidate_id": facts.candidate_id,
            "origin_arn": facts.origin_arn,
            "manifest_uri": facts.manifest_uri,
            "code_commit": str(facts.manifest.get("code_commit") or ""),
            "role": "version",
        },
        {},
    )


def version_artifact(arn: str, properties: Mapping[str, str]) -> dict[str, Any]:
    """The Central version as an entity: SageMaker tracks it by itself, perhaps a little later."""
    request = {
        "ArtifactName": name_of(properties["candidate_id"], arn),
        "ArtifactType": "ModelPackage",
        "Source": {"SourceUri": arn},
        "Properties": dict(properties),
    }
    return {"key": arn, "kind": "Artifact", "request": request}


def name_of(candidate_id: str, origin: str) -> str:
    """The name of an entity in Central: the same for the same candidate and origin, always."""
    return PREFIX + hashlib.sha256(f"{candidate_id}\n{origin}".encode()).hexdigest()[:40]


def checks(
    manifest: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]], *, whole: bool = True
) -> list[dict[str, Any]]:
    """Whether Central's lineage names what the manifest says: [{what, expected, found, agrees}].

    `agrees` is None where the manifest itself says nothing: that cannot be traced. It is None too
    where nothing was found and the lineage was not read as a `whole`: that says nothing.
    """
    described = [node["properties"] for node in nodes]
    asked: list[tuple[str, str, str, Any]] = [
        (artifact["role"], artifact["role"], key, artifact[key])
        for artifact in manifest["artifacts"]
        if _tracked(artifact)
        for key in ("sha256", "version_id")
        if artifact[key]  # a prefix has no version
    ]
    for number, data in enumerate(manifest["training_data"], 1):
        for key in ("uri", "version_id", "sha256"):
            asked.append((f"dataset {number}", "dataset", key, data[key]))
    asked.append(("code", "", "code_commit", manifest.get("code_commit")))
    answers = []
    for what, role, key, expected in asked:
        own = "origin_uri" if key == "uri" else key
        found = sorted(
            {node[own] for node in described if role in ("", node.get("role")) and own in node}
        )
        named = key.replace("_", " ")
        # Several datasets have the same role; everything else is one thing.
        same = expected in found if role == "dataset" else found == [expected]
        # What was not read may be the one that is missing, and cannot make up for another one.
        unread = not whole and not same and (role == "dataset" or not found)
        answers.append(
            {
                "what": named if what == "code" else f"{what} {named}",
                "expected": expected,
                "found": ", ".join(found) or None,
                "agrees": same if expected and not unread else None,
            }
        )
    return answers


# ---------------------------------------------------------------- what Dev tells


def _from_dev(graph: Mapping[str, Any], facts: Facts) -> tuple[dict[str, _Node], Edges]:
    keys: dict[str, str] = {}
    nodes: dict[str, _Node] = {}
    for told in graph["nodes"]:
        node = _node(told, facts)
        keys[told["arn"]] = node.key
        known = nodes.setdefault(node.key, node)
        if known is not node:
            known.theirs = {**node.theirs, **known.theirs, "also": node.origin}
    edges: Edges = {}
    for edge in graph["edges"]:
        if edge["source"] in keys and edge["destination"] in keys:
            pair = keys[edge["source"]], keys[edge["destination"]]
            # Two entities of Dev that are one in Central would be their own origin.
            if pair[0] != pair[1]:
                edges.setdefault(pair, edge["type"])
    return nodes, edges


def _node(told: Mapping[str, Any], facts: Facts) -> _Node:
    uri, lineage_type = str(told["source_uri"] or told["arn"]), told["lineage_type"]
    kind = "Action" if lineage_type == "TrialComponent" else str(lineage_type)
    theirs = {
        **{str(one["SourceIdType"]): str(one["Value"]) for one in told["source_types"]},
        **told["properties"],
    }
    made = _Node(
        key=name_of(facts.candidate_id, told["arn"]),
        origin=told["arn"],
        kind=kind,
        type=str(told["type"] or lineage_type),
        source_uri=_of_candidate(uri, facts),
        stated_by=_FROM_DEV,
        ours={"origin_uri": uri, "origin_lineage_type": str(lineage_type)},
        theirs=theirs,
    )
    if told.get("name"):
        made.ours["origin_name"] = str(told["name"])
    if kind == "Artifact":
        known = _known(uri, facts)
        made.source_uri = known.pop("source_uri", made.source_uri)
        made.key = made.source_uri
        if known:
            made.ours |= known
            made.stated_by = f"{_FROM_DEV} and {_FROM_MANIFEST}"
            stated = {"sha256": theirs.get("sha256"), "version_id": _version_of(theirs)}
            wrong = [
                key for key, value in stated.items() if value and value != known.get(key, value)
            ]
            if wrong:
                made.ours["dev_disagrees"] = ", ".join(wrong)
    return made


def _version_of(theirs: Mapping[str, str]) -> str | None:
    return theirs.get("version_id") or theirs.get("S3Version")


def _known(uri: str, facts: Facts) -> dict[str, str]:
    """What the manifest says of an artifact by its URI in Dev; `source_uri` if it was copied."""
    if uri == facts.origin_arn:
        return {"role": "version", "manifest_uri": facts.manifest_uri}
    for origin in facts.origins:
        if uri == _uri(origin):
            return _of_object(origin, facts)
    for data in facts.manifest["training_data"]:
        if uri == data["uri"]:
            return _of_dataset(data)
    return _of_image(uri, facts.manifest)


def _of_image(uri: str, manifest: Mapping[str, Any]) -> dict[str, str]:
    """What the manifest says of an image, looked up or, where nobody could, declared."""
    known = {image["uri"]: image["digest"] for image in manifest.get("images") or ()}
    specifications = [
        manifest["inference_specification"],
        *(manifest.get("additional_inference_specifications") or []),
    ]
    for container in (one for spec in specifications for one in spec.get("Containers") or []):
        known.setdefault(container.get("Image"), container.get("ImageDigest"))
    return {"role": "image", "image_digest": str(known[uri])} if known.get(uri) else {}


def _of_object(origin: Mapping[str, Any], facts: Facts) -> dict[str, str]:
    known = {
        "role": str(origin["role"]),
        "sha256": str(origin["sha256"]),
        "version_id": str(origin["version_id"]),
    }
    for central in facts.centrals:
        if central["role"] == origin["role"]:
            known["source_uri"] = _uri(central)
            known["central_version_id"] = str(central["version_id"])
    return known


def _of_dataset(data: Mapping[str, Any]) -> dict[str, str]:
    said = {key: str(data[key]) for key in ("sha256", "version_id") if data[key]}
    return {"role": "dataset", **said}


# ---------------------------------------------------------------- what the manifest adds


class _Draft:
    """Central's graph in the making: what Dev told, then what only the manifest knows."""

    def __init__(self, nodes: dict[str, _Node], edges: Edges, facts: Facts) -> None:
        self.nodes, self.edges, self.missing = nodes, edges, list[str]()
        self._facts, self._told = facts, bool(nodes)

    def complete(self) -> tuple[str, str]:
        """Add what the manifest knows; the keys of the Dev version and of the model data."""
        facts = self._facts
        if not self._told:
            self.missing.append(f"Dev has no lineage of {facts.origin_arn}: the manifest tells all")
        version = self._add(_version(facts), "version")
        parts = {
            str(origin["role"]): self._add(_object(origin, facts), str(origin["role"]))
            for origin in facts.origins
            if _tracked(origin)
        }
        models = [key for role, key in parts.items() if is_model_data(role)]
        if not models:
            raise InvalidInputError(
                f"candidate {facts.candidate_id} has no model data; register a version that has"
            )
        self._trained_on(models[0])
        for key in parts.values():
            if version not in _reached(self.edges, key):
                self.edges[key, version] = "ContributedTo"
        if not facts.manifest.get("code_commit"):
            self.missing.append("the registration names no code commit")
        return version, models[0]

    def _trained_on(self, model_data: str) -> None:
        step = _step_before(self.nodes, self.edges, model_data)
        if step is None:
            step = self._add(_training(self._facts), "training step")
            self.edges[step, model_data] = "Produced"
        named = [data for data in self._facts.manifest["training_data"] if data["uri"]]
        if not named:
            self.missing.append("the registration names no dataset")
        for data in named:
            key = self._add(_dataset(data, self._facts), f"dataset {data['uri']}")
            if model_data not in _reached(self.edges, key):
                self.edges[key, step] = "ContributedTo"
            self.missing += [
                f"the registration names no {what} of dataset {data['uri']}"
                for what in ("version_id", "sha256")
                if not data[what]
            ]

    def _add(self, node: _Node, what: str) -> str:
        if node.key not in self.nodes:
            self.nodes[node.key] = node
            if self._told:
                self.missing.append(f"Dev's lineage does not name the {what}")
        return node.key


def _version(facts: Facts) -> _Node:
    uri = _of_candidate(facts.origin_arn, facts)
    known = {**_known(facts.origin_arn, facts), "origin_uri": facts.origin_arn}
    return _stated(facts, "version", "ModelPackage", uri, known)


def _object(origin: Mapping[str, Any], facts: Facts) -> _Node:
    known = _of_object(origin, facts)
    uri = known.pop("source_uri", None) or _of_candidate(_uri(origin), facts)
    known["origin_uri"] = _uri(origin)
    role = str(origin["role"])
    return _stated(facts, role, _tracked(origin), uri, known)


def _tracked(location: Mapping[str, Any]) -> str:
    """How SageMaker types a candidate's object; "" if it is no part of the lineage."""
    role = str(location["role"])
    parts = role.split("/")
    # specification/NAME/model-data: the containers of an additional inference specification.
    if is_model_data(parts[2] if parts[0] == "specification" and len(parts) > 2 else role):
        return TRACKED["model-data"]
    return TRACKED.get(parts[0], "")


def _dataset(data: Mapping[str, Any], facts: Facts) -> _Node:
    known = {**_known(data["uri"], facts), "origin_uri": data["uri"]}
    uri = known.pop("source_uri", None) or _of_candidate(data["uri"], facts)
    return _stated(facts, f"dataset/{data['uri']}", "DataSet", uri, known)


def _training(facts: Facts) -> _Node:
    uri = _of_candidate(f"{facts.origin_arn}/training", facts)
    node = _stated(facts, "training", "ModelTraining", uri, {"origin_uri": facts.origin_arn})
    node.kind, node.key = "Action", name_of(facts.candidate_id, node.origin)
    return node


def _stated(facts: Facts, part: str, kind: str, uri: str, known: dict[str, str]) -> _Node:
    origin = f"{facts.origin_arn}#{part}"
    return _Node(uri, origin, "Artifact", kind, uri, _FROM_MANIFEST, known)


def _step_before(nodes: Mapping[str, _Node], edges: Edges, model_data: str) -> str | None:
    """The first step that leads straight to the model data."""
    for source, destination in edges:
        if destination == model_data and nodes[source].ours.get("origin_lineage_type") in _STEPS:
            return source
    return None


def _reached(edges: Edges, start: str) -> set[str]:
    """Everything that is reached from a node along the associations, the node itself if by them."""
    following: dict[str, list[str]] = {}
    for source, destination in edges:
        following.setdefault(source, []).append(destination)
    found: set[str] = set()
    queue = deque([start])
    while queue:
        for other in following.get(queue.popleft(), ()):
            if other not in found:
                found.add(other)
                queue.append(other)
    return found


# ---------------------------------------------------------------- what SageMaker is asked for


def _entity(node: _Node, facts: Facts) -> dict[str, Any]:
    # The statement's origin is Dev's version where no entity of Dev makes it.
    ours = {
        "candidate_id": facts.candidate_id,
        "origin_arn": node.origin.partition("#")[0],
        "stated_by": node.stated_by,
        "code_commit": str(facts.manifest.get("code_commit") or ""),
        **node.ours,
    }
    request: dict[str, Any] = {
        f"{node.kind}Name": name_of(facts.candidate_id, node.origin),
        f"{node.kind}Type": node.type[:_LONGEST_TYPE],
        "Source": {"SourceUri": node.source_uri},
        "Properties": _properties(ours, node.theirs),
    }
    if node.kind == "Action":
        request["Status"] = "Completed"
    return {"key": node.key, "kind": node.kind, "request": request}


def _properties(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """Ours as they are, Dev's under names that nobody takes for ours, as many as there may be."""
    found = {key: _line(value) for key, value in ours.items() if value}
    told = {f"dev_{key}": value for key, value in sorted(theirs.items())}
    told = {_line(key): _line(value) for key, value in told.items() if key not in found}
    room = _MOST_PROPERTIES - len(found)
    if len(told) > room:
        found["dev_properties_left_out"] = str(len(told) - room + 1)
        told = dict(list(told.items())[: room - 1])
    return {**found, **told}


def _line(text: str) -> str:
    """Properties are one line each."""
    return " ".join(str(text).split())[:_LONGEST_VALUE]


def _of_candidate(uri: str, facts: Facts) -> str:
    """A URI of this candidate alone: SageMaker has one artifact for a URI, in Central too."""
    mark = f"#candidate-{facts.candidate_id}"
    if len(uri) + len(mark) > _LONGEST_URI:
        uri = f"urn:sha256:{hashlib.sha256(uri.encode()).hexdigest()}"
    return uri + mark


def _uri(location: Mapping[str, Any]) -> str:
    return f"s3://{location['bucket']}/{location['key']}"
