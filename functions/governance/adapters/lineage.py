"""SageMaker's lineage: actions and who made them, graphs read in Dev and made in Central."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from governance.adapters import errors, sessions
from governance.adapters.registry import plain
from governance.domain.errors import IntegrityError, NotFoundError
from governance.domain.lineages import DEEPEST, MOST_NODES, MOST_READ

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

_PAGE = 50  # vertices; what QueryLineage gives at most
# Not said by a service model: what SageMaker answers about what is there already.
_MAYBE_THERE = {"ValidationException", "ResourceInUse", "ConflictException"}


class Lineage:
    """The lineage of the function's own account."""

    def __init__(self) -> None:
        self._sagemaker: SageMakerClient = sessions.own_client("sagemaker")

    def find_action(self, arn: str) -> dict[str, Any] | None:
        """The action as DescribeAction returns it, times as text; None if there is none."""
        try:
            answer = self._sagemaker.describe_action(ActionName=arn)
        except ClientError as error:
            if errors.is_absent(error):
                return None
            raise errors.translate(error, f"describe action {arn}") from error
        found: dict[str, Any] = plain(dict(answer))
        return found


class LineageGraph:
    """The lineage that the session's role can reach: walked up, and added to."""

    def __init__(self, session: boto3.Session) -> None:
        self._sagemaker: SageMakerClient = sessions.client(session, "sagemaker")

    def find_artifact(self, uri: str) -> str | None:
        """The ARN of the artifact with this source URI, None if there is none."""
        with errors.translated(f"list the lineage artifacts of {uri}"):
            pages = self._sagemaker.get_paginator("list_artifacts").paginate(SourceUri=uri)
            for page in pages:
                for summary in page["ArtifactSummaries"]:
                    return summary["ArtifactArn"]
        return None

    def ascendants(self, uri: str) -> dict[str, Any]:
        """What is taken from Dev of all that led to the artifact with this source URI, it first.

        {nodes [{arn, lineage_type, type, name, source_uri, source_types, properties}],
        edges [{source, destination, type}], missing [text]}; empty if there is no such artifact.
        """
        return self._ascendants(uri, MOST_NODES, deeper=False)

    def trace(self, uri: str) -> dict[str, Any]:
        """The same of what was made in Central, where more led to it: everything, however deep."""
        return self._ascendants(uri, MOST_READ, deeper=True)

    def _ascendants(self, uri: str, most: int, *, deeper: bool) -> dict[str, Any]:
        start = self.find_artifact(uri)
        if start is None:
            return {"nodes": [], "edges": [], "missing": []}
        vertices, edges, complete = self._walk(start, most, deeper)
        missing = [] if complete else [f"more than {most} entities led to {uri}"]
        nodes = []
        for vertex in vertices:
            try:
                nodes.append(self._describe(vertex))
            except NotFoundError:
                missing.append(f"{vertex['Arn']} is gone")
        return {"nodes": nodes, "edges": edges, "missing": missing}

    def create(self, entity: Mapping[str, Any]) -> str:
        """Create the entity {kind, request} unless it is there for the same candidate; its ARN.

        What SageMaker tracked by itself gets our properties. IntegrityError if it is another
        candidate's or says other digests.
        """
        kind, request = entity["kind"], entity["request"]
        name = request[f"{kind}Name"]
        creating: Callable[..., Any] = getattr(self._sagemaker, f"create_{kind.lower()}")
        try:
            return str(creating(**request)[f"{kind}Arn"])
        except ClientError as error:
            if errors.code_of(error) not in _MAYBE_THERE:
                raise errors.translate(error, f"create lineage {kind} {name}") from error
            there = self._there(kind, request)
            if there is None:
                raise errors.translate(error, f"create lineage {kind} {name}") from error
        self._check(there, request["Properties"])
        if kind == "Artifact" and "candidate_id" not in there["properties"]:
            self.add_properties(there["arn"], request["Properties"])
        return str(there["arn"])

    def add_properties(self, arn: str, properties: Mapping[str, str]) -> None:
        """Add the properties to the artifact's."""
        with errors.translated(f"update lineage artifact {arn}"):
            self._sagemaker.update_artifact(ArtifactArn=arn, Properties=properties)

    def associate(self, source: str, destination: str, kind: str) -> None:
        """Associate two entities (ARNs), unless they are already."""
        ends = {"SourceArn": source, "DestinationArn": destination}
        adding: Callable[..., Any] = self._sagemaker.add_association
        try:
            adding(**ends, AssociationType=kind)
        except ClientError as error:
            if errors.code_of(error) not in _MAYBE_THERE or not self._associated(ends):
                what = f"associate {source} with {destination}"
                raise errors.translate(error, what) from error

    def _associated(self, ends: Mapping[str, str]) -> bool:
        listing: Callable[..., Any] = self._sagemaker.list_associations
        with errors.translated(f"list the associations of {ends['SourceArn']}"):
            return bool(listing(**ends)["AssociationSummaries"])

    def _there(self, kind: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
        if kind == "Artifact":
            arn = self.find_artifact(request["Source"]["SourceUri"])
        else:
            arn = str(request[f"{kind}Name"])
        if arn is None:
            return None
        try:
            return self._describe({"Arn": arn, "LineageType": kind})
        except NotFoundError:
            return None

    def _check(self, there: Mapping[str, Any], properties: Mapping[str, str]) -> None:
        for key in ("candidate_id", "sha256", "version_id"):
            found = there["properties"].get(key)
            if found and found != properties.get(key, found):
                raise IntegrityError(
                    f"lineage entity {there['arn']} says {key} {found}, expected "
                    f"{properties[key]}; look in CloudTrail who made it, and delete it"
                )

    def _walk(
        self, start: str, most: int, deeper: bool
    ) -> tuple[list[dict[str, str]], list[dict[str, str]], bool]:
        """(vertices, edges, whether these are all) that lead to the start."""
        vertices: dict[str, dict[str, str]] = {}
        edges: dict[tuple[str, str], dict[str, str]] = {}
        walked, ahead, complete = set[str](), [start], True
        while ahead and complete and len(vertices) <= most:
            begin = ahead.pop(0)
            walked.add(begin)
            found, ties, complete = self._query(begin, most)
            vertices |= {vertex["Arn"]: vertex for vertex in found if vertex["Arn"] not in vertices}
            edges |= {(tie["source"], tie["destination"]): tie for tie in ties}
            if deeper:
                ahead += sorted(_at_the_end(begin, ties) - walked - set(ahead))
        kept = list(vertices.values())[:most]
        return kept, list(edges.values()), complete and len(kept) == len(vertices) and not ahead

    def _query(
        self, start: str, most: int
    ) -> tuple[list[dict[str, str]], list[dict[str, str]], bool]:
        """The same within the associations that SageMaker walks at once; some more than `most`."""
        querying: Callable[..., Any] = self._sagemaker.query_lineage
        vertices = {start: {"Arn": start, "LineageType": "Artifact", "Type": ""}}
        edges: dict[tuple[str, str], dict[str, str]] = {}
        token: dict[str, str] = {}
        while True:
            with errors.translated(f"query the lineage of {start}"):
                page = querying(
                    StartArns=[start],
                    Direction="Ascendants",
                    IncludeEdges=True,
                    MaxDepth=DEEPEST,
                    MaxResults=_PAGE,
                    **token,
                )
            vertices |= {vertex["Arn"]: vertex for vertex in page.get("Vertices", [])}
            for edge in page.get("Edges", []):
                source, destination = edge["SourceArn"], edge["DestinationArn"]
                kind = edge.get("AssociationType") or "AssociatedWith"
                made = {"source": source, "destination": destination, "type": kind}
                edges[source, destination] = made
            if not page.get("NextToken"):
                break
            token = {"NextToken": page["NextToken"]}
            if len(vertices) > most:
                break
        return list(vertices.values()), list(edges.values()), not page.get("NextToken")

    def _describe(self, vertex: Mapping[str, str]) -> dict[str, Any]:
        """A vertex as a node of a graph; NotFoundError if it is gone."""
        arn, kind = vertex["Arn"], vertex["LineageType"]
        key = "ArtifactArn" if kind == "Artifact" else f"{kind}Name"
        snake = "trial_component" if kind == "TrialComponent" else kind.lower()
        describing: Callable[..., Any] = getattr(self._sagemaker, f"describe_{snake}")
        with errors.translated(f"describe lineage {kind} {arn}"):
            found = describing(**{key: arn})
        source = found.get("Source") or {}
        said = {**found.get("Properties", {}), **_parameters(found.get("Parameters", {}))}
        return {
            "arn": found[f"{kind}Arn"],
            "lineage_type": kind,
            "type": found.get(f"{kind}Type") or source.get("SourceType") or vertex.get("Type", ""),
            "name": found.get(f"{kind}Name", ""),
            "source_uri": source.get("SourceUri") or source.get("SourceArn") or arn,
            "source_types": source.get("SourceTypes", []),
            "properties": {**said, **found.get("MetadataProperties", {})},
        }


def _at_the_end(start: str, edges: Iterable[Mapping[str, str]]) -> set[str]:
    """Those that are as many associations away from the start as SageMaker walks at once."""
    origins: dict[str, set[str]] = {}
    for edge in edges:
        origins.setdefault(edge["destination"], set()).add(edge["source"])
    reached = layer = {start}
    for _ in range(DEEPEST):
        layer = {arn for one in layer for arn in origins.get(one, ())} - reached
        reached = reached | layer
    return layer


def _parameters(parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A trial component's parameters as properties."""
    return {name: str(next(iter(value.values()), "")) for name, value in parameters.items()}
