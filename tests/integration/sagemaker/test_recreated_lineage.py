"""RecreateLineage and LinkLineage on the lineage of two accounts of the embedded SageMaker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from governance.adapters import manifests
from governance.adapters.lineage import LineageGraph
from governance.adapters.sessions import Sessions
from governance.domain import lineages
from governance.domain.errors import AccessError, IntegrityError, TransientError
from tests.contracts import samples
from tests.contracts.aws import ENVIRONMENT, Aws
from tests.integration.sagemaker.support import CENTRAL, DEV, IMAGE, Client, group

CANDIDATE = "d" * 64
DATASET = {"uri": "s3://dev/train.csv", "version_id": "v-train", "sha256": "b" * 64}
MODEL_DATA = {
    "role": "model-data",
    "bucket": "dev",
    "key": "risk/model.tar.gz",
    "version_id": "v-model",
    "size": 3,
    "sha256": "a" * 64,
}
COPY = {**MODEL_DATA, "bucket": "central", "key": "models/risk/model.tar.gz"}
MANIFEST = {
    "artifacts": [MODEL_DATA],
    "training_data": [DATASET],
    "code_commit": "c0ffee" * 6,
    "inference_specification": {"Containers": [{"Image": IMAGE}]},
}


class Session:
    """What the functions take for a session of a role."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def client(self, service: str, config: Any = None) -> Any:
        assert service == "sagemaker"
        return self._client


class Organisation:
    """A version in Dev with the lineage that a pipeline left, and Central's registry."""

    def __init__(self, client: Client) -> None:
        self.dev, self.central = client(DEV), client(CENTRAL)
        group(client, account=DEV)
        group(client)
        self.arn = self.register(self.dev, "s3://dev/risk/model.tar.gz")

    def register(self, sagemaker: Any, url: str) -> str:
        answer = sagemaker.create_model_package(
            ModelPackageGroupName="risk",
            InferenceSpecification={
                "Containers": [{"Image": IMAGE, "ModelDataUrl": url}],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
        )
        return str(answer["ModelPackageArn"])

    def trained(self) -> None:
        """Dataset and training, as the pipeline records them."""
        dataset = self.dev.create_artifact(
            Source={"SourceUri": DATASET["uri"]}, ArtifactType="DataSet"
        )["ArtifactArn"]
        step = self.dev.create_action(
            ActionName="train",
            ActionType="ModelTraining",
            Source={"SourceUri": self.arn},
            Properties={"code-commit": "c0ffee" * 6},
        )["ActionArn"]
        (model,) = self.dev.list_artifacts(SourceUri="s3://dev/risk/model.tar.gz")[
            "ArtifactSummaries"
        ]
        for pair in ((dataset, step), (step, model["ArtifactArn"])):
            self.dev.add_association(SourceArn=pair[0], DestinationArn=pair[1])


@pytest.fixture
def organisation(client: Client) -> Organisation:
    return Organisation(client)


@pytest.fixture
def functions(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """functions(name, **request): the handler's answer."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Sessions, "hub", lambda self, account: Session(organisation.dev))
    monkeypatch.setattr(Sessions, "lineage", lambda self: Session(organisation.central))
    monkeypatch.setattr(manifests, "read", lambda uri, candidate_id: MANIFEST)

    def call(name: str, **request: Any) -> dict[str, Any]:
        promotion = {**samples.promotion(), "model_package_arn": organisation.arn}
        return Aws().handler(name)({"promotion": promotion, **request})

    return call


def recreate(functions: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    candidate = {
        "candidate_id": CANDIDATE,
        "manifest_uri": "s3://evidence/m.json",
        "objects": [MODEL_DATA],
    }
    made: dict[str, Any] = functions("recreate_lineage", candidate=candidate, objects=[COPY])
    return dict(made["lineage"])


def promote(organisation: Organisation, functions: Callable[..., dict[str, Any]]) -> str:
    lineage = recreate(functions)
    arn = organisation.register(organisation.central, "s3://central/models/risk/model.tar.gz")
    functions("link_lineage", model_package_arn=arn, lineage=lineage)
    return arn


def walk(organisation: Organisation, arn: str) -> dict[str, Any]:
    return LineageGraph(Session(organisation.central)).trace(arn)  # type: ignore[arg-type]


def everything(sagemaker: Any) -> tuple[set[str], int]:
    """All entities of an account and the number of associations."""
    arns = {
        summary[f"{kind}Arn"]
        for kind in ("Artifact", "Action", "Context")
        for page in sagemaker.get_paginator(f"list_{kind.lower()}s").paginate()
        for summary in page[f"{kind}Summaries"]
    }
    return arns, len(sagemaker.list_associations()["AssociationSummaries"])


def test_walking_back_from_the_central_version_reaches_the_exact_dataset(
    organisation: Organisation, functions: Callable[..., dict[str, Any]]
) -> None:
    organisation.trained()
    found = walk(organisation, promote(organisation, functions))
    assert [check["agrees"] for check in lineages.checks(MANIFEST, found["nodes"])] == [True] * 6
    (dataset,) = (n for n in found["nodes"] if n["properties"].get("role") == "dataset")
    assert dataset["properties"]["version_id"] == DATASET["version_id"]
    (step,) = (n for n in found["nodes"] if n["type"] == "ModelTraining")
    assert step["properties"]["dev_code-commit"] == MANIFEST["code_commit"]
    dev = LineageGraph(Session(organisation.dev)).ascendants(  # type: ignore[arg-type]
        organisation.arn
    )
    origins = {node["properties"].get("origin_arn") for node in found["nodes"]}
    assert {node["arn"] for node in dev["nodes"]} <= origins


def test_sagemakers_own_artifact_of_the_copy_is_the_one_in_the_lineage(
    organisation: Organisation, functions: Callable[..., dict[str, Any]]
) -> None:
    found = walk(organisation, promote(organisation, functions))
    (model,) = (n for n in found["nodes"] if n["source_uri"].startswith("s3://central/"))
    assert model["properties"]["sha256"] == MODEL_DATA["sha256"]


def test_nothing_is_written_in_dev(
    organisation: Organisation, functions: Callable[..., dict[str, Any]]
) -> None:
    organisation.trained()
    before = everything(organisation.dev)
    promote(organisation, functions)
    assert everything(organisation.dev) == before


def test_doing_it_again_makes_nothing_new(
    organisation: Organisation, functions: Callable[..., dict[str, Any]]
) -> None:
    organisation.trained()
    lineage = recreate(functions)
    arn = organisation.register(organisation.central, "s3://central/models/risk/model.tar.gz")
    functions("link_lineage", model_package_arn=arn, lineage=lineage)
    before = everything(organisation.central)
    assert recreate(functions) == lineage
    functions("link_lineage", model_package_arn=arn, lineage=lineage)
    assert everything(organisation.central) == before


def test_a_run_that_was_killed_goes_on_where_it_stopped(
    organisation: Organisation,
    functions: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    organisation.trained()
    adding = organisation.central.add_association
    with monkeypatch.context() as patch:
        calls: list[Any] = []

        def throttled(**ends: Any) -> Any:
            calls.append(ends)
            if len(calls) == 2:
                error = {"Code": "ThrottlingException", "Message": "Rate exceeded"}
                raise ClientError({"Error": error}, "AddAssociation")
            return adding(**ends)

        patch.setattr(organisation.central, "add_association", throttled)
        with pytest.raises(TransientError, match="ThrottlingException"):
            recreate(functions)
    found = walk(organisation, promote(organisation, functions))
    assert all(check["agrees"] for check in lineages.checks(MANIFEST, found["nodes"]))


@pytest.mark.parametrize("calls", [0, 1, 2])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_link_that_was_killed_is_made_once(
    organisation: Organisation,
    functions: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    calls: int,
    when: str,
) -> None:
    """The version's own entity, its tie to Dev's version and the one to the model data."""
    lineage = recreate(functions)
    arn = organisation.register(organisation.central, "s3://central/models/risk/model.tar.gz")
    made: list[str] = []

    def of(name: str) -> Callable[..., Any]:
        do = getattr(organisation.central, name)

        def killed(**request: Any) -> Any:
            made.append(name)
            if len(made) <= calls:
                return do(**request)
            if when == "after":
                with suppress(ClientError):
                    do(**request)
            raise KeyboardInterrupt

        return killed

    with monkeypatch.context() as patch:
        for name in ("create_artifact", "add_association"):
            patch.setattr(organisation.central, name, of(name))
        with pytest.raises(KeyboardInterrupt):
            functions("link_lineage", model_package_arn=arn, lineage=lineage)
    first = functions("link_lineage", model_package_arn=arn, lineage=lineage)
    before = everything(organisation.central)
    assert functions("link_lineage", model_package_arn=arn, lineage=lineage) == first
    assert everything(organisation.central) == before
    ties = organisation.central.list_associations(DestinationArn=first["lineage_arn"])
    kinds = {(one["SourceArn"], one["AssociationType"]) for one in ties["AssociationSummaries"]}
    assert {
        (lineage["version_arn"], "DerivedFrom"),
        (lineage["model_data_arn"], "ContributedTo"),
    } <= kinds


@pytest.mark.parametrize(
    ("operation", "code", "raised"),
    [
        ("query_lineage", "ThrottlingException", TransientError),
        ("query_lineage", "AccessDeniedException", AccessError),
        ("describe_artifact", "ThrottlingException", TransientError),
        ("get_paginator", "AccessDeniedException", AccessError),
    ],
)
def test_what_dev_refuses_ends_before_anything_is_made(
    organisation: Organisation,
    functions: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    code: str,
    raised: type[Exception],
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)

    monkeypatch.setattr(organisation.dev, operation, refuse)
    with pytest.raises(raised, match=code):
        recreate(functions)
    assert everything(organisation.central) == (set(), 0)


def test_without_a_lineage_in_dev_the_manifest_tells_and_says_so(
    organisation: Organisation, functions: Callable[..., dict[str, Any]]
) -> None:
    organisation.arn = f"{organisation.arn[:-1]}99"
    lineage = recreate(functions)
    assert lineage["missing"] == [
        f"Dev has no lineage of {organisation.arn}: the manifest tells all"
    ]
    version = organisation.central.describe_artifact(ArtifactArn=lineage["version_arn"])
    assert version["Properties"]["missing"] == lineage["missing"][0]


def test_an_entity_that_says_other_bytes_is_not_taken_for_ours(
    organisation: Organisation, functions: Callable[..., dict[str, Any]]
) -> None:
    organisation.central.create_artifact(
        Source={"SourceUri": "s3://central/models/risk/model.tar.gz"},
        ArtifactType="Model",
        Properties={"candidate_id": CANDIDATE, "sha256": "f" * 64},
    )
    with pytest.raises(IntegrityError, match=f"says sha256 {'f' * 64}, expected {'a' * 64}"):
        recreate(functions)


def test_a_large_graph_is_read_as_far_as_it_goes_and_the_rest_is_told(
    organisation: Organisation,
    functions: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 55  # more than one page
    monkeypatch.setattr("governance.adapters.lineage.MOST_NODES", most)
    (version,) = organisation.dev.list_artifacts(SourceUri=organisation.arn)["ArtifactSummaries"]
    for number in range(most + 20):
        made = organisation.dev.create_artifact(
            Source={"SourceUri": f"s3://dev/part/{number}"}, ArtifactType="DataSet"
        )
        organisation.dev.add_association(
            SourceArn=made["ArtifactArn"], DestinationArn=version["ArtifactArn"]
        )
    lineage = recreate(functions)
    assert f"more than {most} entities led to {organisation.arn}" in lineage["missing"]
    assert lineage["entities"] <= most + 10


def test_all_that_was_made_of_a_large_graph_is_read_again_in_central(
    organisation: Organisation, functions: Callable[..., dict[str, Any]]
) -> None:
    """As many as are taken from Dev, what the manifest adds, and a note of each status."""
    organisation.trained()
    (version,) = organisation.dev.list_artifacts(SourceUri=organisation.arn)["ArtifactSummaries"]
    for number in range(lineages.MOST_NODES + 20):
        made = organisation.dev.create_artifact(
            Source={"SourceUri": f"s3://dev/part/{number}"}, ArtifactType="DataSet"
        )
        organisation.dev.add_association(
            SourceArn=made["ArtifactArn"], DestinationArn=version["ArtifactArn"]
        )
    found = walk(organisation, promote(organisation, functions))
    assert len(found["nodes"]) > lineages.MOST_NODES
    assert found["missing"] == []
    answers = lineages.checks(MANIFEST, found["nodes"], whole=not found["missing"])
    assert [check["agrees"] for check in answers] == [True] * 6


def test_what_is_as_deep_as_is_taken_from_dev_is_deeper_in_central_and_read(
    organisation: Organisation, functions: Callable[..., dict[str, Any]]
) -> None:
    (version,) = organisation.dev.list_artifacts(SourceUri=organisation.arn)["ArtifactSummaries"]
    last = version["ArtifactArn"]
    for number in range(lineages.DEEPEST):
        made = organisation.dev.create_artifact(
            Source={"SourceUri": f"s3://dev/step/{number}"}, ArtifactType="DataSet"
        )
        organisation.dev.add_association(SourceArn=made["ArtifactArn"], DestinationArn=last)
        last = made["ArtifactArn"]
    found = walk(organisation, promote(organisation, functions))
    origins = {node["properties"].get("origin_uri") for node in found["nodes"]}
    assert {f"s3://dev/step/{number}" for number in range(lineages.DEEPEST)} <= origins
    assert found["missing"] == []


def test_what_is_not_read_of_central_is_told(
    organisation: Organisation,
    functions: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    organisation.trained()
    arn = promote(organisation, functions)
    monkeypatch.setattr("governance.adapters.lineage.MOST_READ", 2)
    found = walk(organisation, arn)
    assert found["missing"] == [f"more than 2 entities led to {arn}"]
    answers = lineages.checks(MANIFEST, found["nodes"], whole=not found["missing"])
    assert {check["agrees"] for check in answers} <= {True, None}
