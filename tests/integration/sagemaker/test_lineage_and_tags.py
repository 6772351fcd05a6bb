"""Lineage graphs, and tags of what can be tagged."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.support import Client, group


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


def test_an_artifact_is_known_by_its_source(client: Client) -> None:
    arn = artifact(client, "s3://data/a")
    with pytest.raises(ClientError, match="already exists"):
        artifact(client, "s3://data/a", "Other")
    typed = {
        "SourceUri": "s3://data/a",
        "SourceTypes": [{"SourceIdType": "S3Version", "Value": "v1"}],
    }
    other = client().create_artifact(Source=typed, ArtifactType="DataSet")["ArtifactArn"]
    assert other != arn
    listed = client().list_artifacts(SourceUri="s3://data/a")["ArtifactSummaries"]
    assert {one["ArtifactArn"] for one in listed} == {arn, other}
    client().delete_artifact(Source=typed)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        client().describe_artifact(ArtifactArn=other)


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
