"""Lineage: which data went through which steps into which model and registered version.

study -> preparation -> dataset -> training -> model -> model package, and holdout and model ->
evaluation -> report -> model package. SageMaker tracks by itself the version, its image and its
model data, and the jobs of a SageMaker Pipeline with the prefixes that they read and write. Added
here is what it does not know: the exact objects with version id and digest, the steps that tie
them to the registered model data, and the commit of the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from pipeline.storage import StoredObject

_STEPS = (
    ("preparation", "DataProcessing", ("study",), ("dataset", "holdout")),
    ("training", "ModelTraining", ("dataset",), ("model",)),
    ("evaluation", "ModelEvaluation", ("model", "holdout"), ("report",)),
)
_TYPES = {"dataset": "DataSet", "holdout": "DataSet", "model": "Model", "report": "Report"}


def record(
    sagemaker: Any,
    study: tuple[str, str],
    stored: Mapping[str, StoredObject],
    model_package_arn: str,
    properties: dict[str, str],
) -> dict[str, str]:
    """Record the graph; returns the ARNs of {study, dataset, holdout, model, report,
    model_package, preparation, training, evaluation}.

    `study` is (name, SHA-256) of the source; `stored` the dataset, holdout, model and report. What
    the account already knows by its source is used, not made twice. botocore's ClientError says
    what could not be recorded.
    """
    model, version = model_package_arn.split("/")[-2:]
    name, sha256 = study
    arns = {
        "study": _artifact(
            sagemaker,
            {"ArtifactName": f"{model}-study", "ArtifactType": "DataSet"},
            {"SourceUri": f"urn:{name}:sha256:{sha256}"},
            {"sha256": sha256},
        ),
        "model_package": _artifact(
            sagemaker,
            {"ArtifactName": f"{model}-v{version}", "ArtifactType": "ModelPackage"},
            {"SourceUri": model_package_arn},
            {},
        ),
        **{
            part: _artifact(
                sagemaker,
                {"ArtifactName": f"{model}-{part}", "ArtifactType": _TYPES[part]},
                _source(stored[part]),
                {"sha256": stored[part].sha256, "version_id": stored[part].version_id},
            )
            for part in _TYPES
        },
    }
    for step, kind, inputs, outputs in _STEPS:
        # Version numbers start again when a group is made anew, and names are never free again.
        arns[step] = sagemaker.create_action(
            ActionName=f"{step}-{model}-v{version}-{token_hex(4)}",
            ActionType=kind,
            Source={"SourceUri": model_package_arn, "SourceType": "ARN"},
            Status="Completed",
            Properties=properties,
        )["ActionArn"]
        for part in inputs:
            _associate(sagemaker, arns[part], arns[step], "ContributedTo")
        for part in outputs:
            _associate(sagemaker, arns[step], arns[part], "Produced")
    for part in ("model", "report"):
        if not _associated(sagemaker, arns[part], arns["model_package"]):
            _associate(sagemaker, arns[part], arns["model_package"], "ContributedTo")
    return arns


def _source(stored: StoredObject) -> dict[str, Any]:
    types = [{"SourceIdType": "S3Version", "Value": stored.version_id}]
    return {"SourceUri": stored.uri, "SourceTypes": types}


def _artifact(
    sagemaker: Any, named: dict[str, str], source: dict[str, Any], properties: dict[str, str]
) -> str:
    """The one artifact of the source's URI, made if there is none; it has the properties then."""
    uri = source["SourceUri"]
    pages = sagemaker.get_paginator("list_artifacts").paginate(SourceUri=uri)
    known = [one["ArtifactArn"] for page in pages for one in page["ArtifactSummaries"]]
    if not known:
        created = sagemaker.create_artifact(**named, Source=source, Properties=properties)
        return str(created["ArtifactArn"])
    if properties:
        sagemaker.update_artifact(ArtifactArn=known[0], Properties=properties)
    return str(known[0])


def _associated(sagemaker: Any, source: str, destination: str) -> bool:
    pages = sagemaker.get_paginator("list_associations").paginate(
        SourceArn=source, DestinationArn=destination
    )
    return any(page["AssociationSummaries"] for page in pages)


def _associate(sagemaker: Any, source: str, destination: str, kind: str) -> None:
    sagemaker.add_association(SourceArn=source, DestinationArn=destination, AssociationType=kind)
