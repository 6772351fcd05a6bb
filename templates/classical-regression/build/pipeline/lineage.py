"""Lineage: which data went through which training into which model and registered version.

dataset -> training action -> model -> model package, as SageMaker Pipelines records its own jobs.
"""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from pipeline.storage import StoredObject


def record(
    sagemaker: Any,
    dataset: StoredObject,
    model_data: StoredObject,
    model_package_arn: str,
    properties: dict[str, str],
) -> dict[str, str]:
    """Record the chain; returns the ARNs {dataset, training, model, model_package}.

    What the account already knows by its source is used, not made twice. botocore's ClientError
    says what could not be recorded.
    """
    model, version = model_package_arn.split("/")[-2:]
    arns = {
        "dataset": _artifact(sagemaker, "DataSet", f"{model}-train", dataset.uri, dataset),
        "model": _artifact(sagemaker, "Model", f"{model}-model", model_data.uri, model_data),
        "model_package": _artifact(
            sagemaker, "ModelPackage", f"{model}-v{version}", model_package_arn, None
        ),
    }
    # Version numbers start again when a group is made anew, and action names are never free again.
    arns["training"] = sagemaker.create_action(
        ActionName=f"train-{model}-v{version}-{token_hex(4)}",
        ActionType="ModelTraining",
        Source={"SourceUri": model_package_arn, "SourceType": "ARN"},
        Status="Completed",
        Properties=properties,
    )["ActionArn"]
    for source, destination, kind in (
        ("dataset", "training", "ContributedTo"),
        ("training", "model", "Produced"),
        ("model", "model_package", "ContributedTo"),
    ):
        _associate(sagemaker, arns[source], arns[destination], kind)
    return arns


def _artifact(sagemaker: Any, kind: str, name: str, uri: str, stored: StoredObject | None) -> str:
    pages = sagemaker.get_paginator("list_artifacts").paginate(SourceUri=uri, ArtifactType=kind)
    known = [one["ArtifactArn"] for page in pages for one in page["ArtifactSummaries"]]
    if known:
        return str(known[0])
    source: dict[str, Any] = {"SourceUri": uri}
    properties = {}
    if stored:
        source["SourceTypes"] = [{"SourceIdType": "S3Version", "Value": stored.version_id}]
        properties = {"sha256": stored.sha256, "version_id": stored.version_id}
    created = sagemaker.create_artifact(
        ArtifactName=name, ArtifactType=kind, Source=source, Properties=properties
    )
    return str(created["ArtifactArn"])


def _associate(sagemaker: Any, source: str, destination: str, kind: str) -> None:
    pages = sagemaker.get_paginator("list_associations").paginate(
        SourceArn=source, DestinationArn=destination
    )
    if not any(page["AssociationSummaries"] for page in pages):
        sagemaker.add_association(
            SourceArn=source, DestinationArn=destination, AssociationType=kind
        )
