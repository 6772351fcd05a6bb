"""Lineage graphs, and tags of what can be tagged."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.support import PROD, Client, Server, group, specification


def artifact(client: Client, uri: str, kind: str = "DataSet", **more: Any) -> str:
    answer = client().create_artifact(Source={"SourceUri": uri}, ArtifactType=kind, **more)
    return str(answer["ArtifactArn"])


def action(client: Client, name: str) -> str:
    answer = client().create_action(
        ActionName=name,
        ActionType="ModelTraining",
        Source={"SourceUri": f"arn:{name}"},
        Status="InProgress",
        Properties={"a": "1", "b": "2"},
    )
    return str(answer["ActionArn"])


@pytest.fixture
def chain(client: Client) -> list[str]:
    """dataset -> training -> model -> registered version."""
    arns = [
        artifact(client, "s3://data/train.csv"),
        action(client, "training"),
        artifact(client, "s3://models/model.tar.gz", "Model"),
        artifact(client, "arn:package/1", "ModelPackage"),
    ]
    for source, destination in itertools.pairwise(arns):
        client().add_association(
            SourceArn=source, DestinationArn=destination, AssociationType="ContributedTo"
        )
    return arns


def vertices(client: Client, **query: Any) -> list[str]:
    return [one["Arn"] for one in client().query_lineage(**query)["Vertices"]]


def test_walks_up_and_down(client: Client, chain: list[str]) -> None:
    dataset, training, model, package = chain
    up = vertices(client, StartArns=[model], Direction="Ascendants")
    assert up == [model, training, dataset]
    down = vertices(client, StartArns=[model], Direction="Descendants")
    assert down == [model, package]
    assert set(vertices(client, StartArns=[model], Direction="Both")) == set(chain)
    near = vertices(client, StartArns=[dataset], Direction="Descendants", MaxDepth=1)
    assert near == [dataset, training]


def test_filters_vertices_and_returns_edges(client: Client, chain: list[str]) -> None:
    answer = client().query_lineage(
        StartArns=[chain[0]],
        Direction="Descendants",
        Filters={"LineageTypes": ["Artifact"], "Types": ["Model", "ModelPackage"]},
    )
    assert [one["Type"] for one in answer["Vertices"]] == ["Model", "ModelPackage"]
    assert len(answer["Edges"]) == 3
    assert answer["Edges"][0] == {
        "SourceArn": chain[0],
        "DestinationArn": chain[1],
        "AssociationType": "ContributedTo",
    }
    without = client().query_lineage(StartArns=[chain[0]], IncludeEdges=False)
    assert without["Edges"] == []
    assert vertices(client, StartArns=[chain[0]], Filters={"Properties": {"a": "1"}}) == [chain[1]]


def test_cycles_end(client: Client, chain: list[str]) -> None:
    client().add_association(SourceArn=chain[-1], DestinationArn=chain[0])
    assert len(vertices(client, StartArns=[chain[0]], Direction="Descendants")) == 4


def test_unknown_start_is_named(client: Client) -> None:
    missing = "arn:aws:sagemaker:us-east-1:111122223333:artifact/" + "0" * 32
    with pytest.raises(ClientError, match=rf"ResourceNotFound.*{missing}"):
        client().query_lineage(StartArns=[missing])


def test_there_is_one_artifact_for_a_source_uri(client: Client) -> None:
    typed = {
        "SourceUri": "s3://data/a",
        "SourceTypes": [{"SourceIdType": "S3Version", "Value": "v1"}],
    }
    arn = client().create_artifact(Source=typed, ArtifactType="DataSet")["ArtifactArn"]
    for source in ({"SourceUri": "s3://data/a"}, typed):
        with pytest.raises(ClientError, match=f"ValidationException.*already exists: {arn}"):
            client().create_artifact(Source=source, ArtifactType="Other")
    other = artifact(client, "s3://data/b")
    listed = client().list_artifacts(SourceUri="s3://data/a")["ArtifactSummaries"]
    assert [one["ArtifactArn"] for one in listed] == [arn] != [other]
    client().delete_artifact(Source=typed)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        client().describe_artifact(ArtifactArn=arn)


def test_pages_hold_every_vertex_and_every_edge_once(client: Client, chain: list[str]) -> None:
    query = {"StartArns": [chain[-1]], "Direction": "Ascendants", "MaxResults": 1}
    pages = [client().query_lineage(**query)]
    while "NextToken" in pages[-1]:
        pages.append(client().query_lineage(**query, NextToken=pages[-1]["NextToken"]))
    assert [one["Arn"] for page in pages for one in page["Vertices"]] == chain[::-1]
    # An edge comes when both of its ends are known.
    assert [len(page["Edges"]) for page in pages] == [0, 1, 1, 1]
    pairs = [(e["SourceArn"], e["DestinationArn"]) for page in pages for e in page["Edges"]]
    assert pairs == list(itertools.pairwise(chain))[::-1]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({}, "Provide StartArns or Filters"),
        ({"MaxDepth": 0}, "must be at least 1"),
        ({"MaxResults": 0}, "must be at least 1"),
        ({"MaxDepth": 11}, "less than or equal to 10"),
        ({"MaxResults": 51}, "less than or equal to 50"),
        ({"Direction": "Up"}, "Ascendants"),
        ({"NextToken": "x"}, "NextToken"),
        ({"StartArns": ["a", "b"]}, "less than or equal to 1"),
    ],
)
def test_a_query_that_aws_refuses_is_refused(
    client: Client, chain: list[str], query: dict[str, Any], said: str
) -> None:
    given = query if query == {} or "StartArns" in query else {"StartArns": [chain[0]], **query}
    with pytest.raises(ClientError, match=rf"ValidationException.*{said}"):
        client().query_lineage(**given)


def test_without_a_start_the_filters_choose(client: Client, chain: list[str]) -> None:
    assert vertices(client, Filters={"Types": ["Model"]}) == [chain[2]]


def test_a_registration_is_tracked_by_itself(client: Client) -> None:
    group_arn = group(client)
    data = artifact(client, "s3://models/risk/model.tar.gz", "Model")
    arn = client().create_model_package(
        ModelPackageGroupName="risk", InferenceSpecification=specification()
    )["ModelPackageArn"]
    (version,) = client().list_artifacts(SourceUri=arn)["ArtifactSummaries"]
    assert version["ArtifactType"] == "ModelPackage"
    answer = client().query_lineage(StartArns=[version["ArtifactArn"]], Direction="Ascendants")
    found = {one["Type"]: one["Arn"] for one in answer["Vertices"]}
    assert found.keys() == {"ModelPackage", "Image", "Model", "ModelPackageCreation"}
    # What somebody recorded before is used, not made twice.
    assert found["Model"] == data
    (of_group,) = client().list_contexts(SourceUri=group_arn)["ContextSummaries"]
    down = client().query_lineage(StartArns=[version["ArtifactArn"]], Direction="Descendants")
    assert [one["Arn"] for one in down["Vertices"][1:]] == [of_group["ContextArn"]]
    second = client().create_model_package(
        ModelPackageGroupName="risk", InferenceSpecification=specification()
    )["ModelPackageArn"]
    assert second != arn
    assert len(client().list_contexts(ContextType="ModelGroup")["ContextSummaries"]) == 1


def test_a_deployment_is_tracked_by_itself(prod: Server, client: Client) -> None:
    prod.model("one")
    prod.config("first", one=1.0)
    arn = prod.endpoint("live", "first")["EndpointArn"]
    sagemaker = client(PROD)
    (context,) = sagemaker.list_contexts(SourceUri=arn)["ContextSummaries"]
    walk = {"StartArns": [context["ContextArn"]], "Direction": "Ascendants"}
    found = [one["Type"] for one in sagemaker.query_lineage(**walk)["Vertices"]]
    assert found == ["Endpoint", "ModelDeployment", "Image", "Model"]
    sagemaker.update_endpoint(EndpointName="live", EndpointConfigName="first")
    prod.settled("live")
    found = [one["Type"] for one in sagemaker.query_lineage(**walk)["Vertices"]]
    assert found.count("ModelDeployment") == 2


def test_entities_are_updated_and_deleted(client: Client) -> None:
    action(client, "t")
    client().update_action(
        ActionName="t",
        Status="Completed",
        Properties={"a": "3"},
        PropertiesToRemove=["b"],
    )
    described = client().describe_action(ActionName="t")
    assert described["Status"] == "Completed"
    assert described["Properties"] == {"a": "3"}
    with pytest.raises(ClientError, match="already exists"):
        action(client, "t")
    client().delete_action(ActionName="t")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        client().describe_action(ActionName="t")


def test_contexts_work_alike(client: Client) -> None:
    source = {"SourceUri": "arn:endpoint"}
    arn = client().create_context(ContextName="e", ContextType="Endpoint", Source=source)
    assert client().describe_context(ContextName="e")["ContextArn"] == arn["ContextArn"]
    listed = client().list_contexts(ContextType="Endpoint")["ContextSummaries"]
    assert [one["ContextName"] for one in listed] == ["e"]


def test_associations_are_unique_listed_and_deleted(client: Client, chain: list[str]) -> None:
    pair = {"SourceArn": chain[0], "DestinationArn": chain[1]}
    with pytest.raises(ClientError, match="already exists"):
        client().add_association(**pair)
    (listed,) = client().list_associations(SourceArn=chain[0])["AssociationSummaries"]
    assert listed["DestinationName"] == "training"
    assert listed["SourceType"] == "DataSet"
    with pytest.raises(ClientError, match="has associations"):
        client().delete_artifact(ArtifactArn=chain[0])
    client().delete_association(**pair)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        client().delete_association(**pair)
    client().delete_artifact(ArtifactArn=chain[0])
    with pytest.raises(ClientError, match="ResourceNotFound"):
        client().add_association(**pair)


def test_tags_are_added_listed_and_deleted(client: Client) -> None:
    arn = group(client)
    client().add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    client().add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}])
    client().delete_tags(ResourceArn=arn, TagKeys=["b", "absent"])
    assert client().list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "2"}]
    too_many = [{"Key": f"k{n}", "Value": "v"} for n in range(50)]
    with pytest.raises(ClientError, match="Too many tags"):
        client().add_tags(ResourceArn=arn, Tags=too_many)
    with pytest.raises(ClientError, match="Duplicate tag keys"):
        client().create_model_package_group(
            ModelPackageGroupName="x", Tags=[{"Key": "a", "Value": "1"}] * 2
        )
    with pytest.raises(ClientError, match="does not exist"):
        client().list_tags(ResourceArn=arn + "x")
