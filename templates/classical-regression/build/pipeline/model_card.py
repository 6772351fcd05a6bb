"""The model card of a version, in the schema that SageMaker keeps for model packages.

That schema is narrower than the one of stand-alone model cards: the overview holds creator and
artefact only (SageMaker developer guide: "Model package model card schema").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.features import HIGH_RISK_PROGRESSION, HIGH_RISK_RATIONALE

LARGEST = 100_000  # characters of ModelCardContent
_SOURCE = (
    "Efron, Hastie, Johnstone, Tibshirani: Least Angle Regression, Annals of Statistics 32 (2004); "
    "as shipped with scikit-learn"
)


def model_card(
    model: Mapping[str, Any],
    report: Mapping[str, Any],
    references: Mapping[str, Any],
    model_data_uri: str,
    image_uri: str,
    creator: str,
) -> dict[str, Any]:
    """The card's content.

    `model` are the trained parameters, `report` the evaluation report, `references` the content
    of dataset.json.
    """
    return {
        "model_overview": {"model_creator": creator, "model_artifact": [model_data_uri]},
        "intended_uses": _INTENDED_USES,
        "business_details": _BUSINESS_DETAILS,
        "training_details": _training(model, references, image_uri),
        "evaluation_details": [_evaluation(report)],
        "additional_information": {
            "ethical_considerations": _ETHICS,
            "caveats_and_recommendations": _CAVEATS,
            "custom_details": {
                "label": f"high_risk: progression above {HIGH_RISK_PROGRESSION:g}",
                "label_rationale": HIGH_RISK_RATIONALE,
                "algorithm": model["algorithm"],
                "source": _SOURCE,
            },
        },
    }


def _training(
    model: Mapping[str, Any], references: Mapping[str, Any], image_uri: str
) -> dict[str, Any]:
    training = model["training"]
    return {
        "objective_function": {
            "function": {"function": "Minimize", "facet": "Loss"},
            "notes": "Log loss with an L2 penalty; then Platt scaling on out-of-fold scores.",
        },
        "training_observations": (
            f"{training['rows']} patients, {training['positives']} at high risk; the metrics here "
            f"are out of fold ({training['hyperparameters']['folds']} folds), never on the holdout."
        ),
        "training_job_details": {
            "training_datasets": [references["dataset"]["uri"]],
            "training_environment": {"container_image": [image_uri]},
            "user_provided_training_metrics": [
                {"name": f"out_of_fold_{name}", "value": value}
                for name, value in training["out_of_fold"].items()
            ],
            "user_provided_hyper_parameters": [
                {"name": name, "value": str(value)}
                for name, value in training["hyperparameters"].items()
            ],
        },
    }


def _evaluation(report: Mapping[str, Any]) -> dict[str, Any]:
    holdout = report["holdout"]
    groups = [("Holdout", report["metrics"])] + [
        (f"{group['attribute']} {group['value']}", group) for group in report["subgroups"]
    ]
    return {
        "name": "Fixed holdout",
        "evaluation_observation": (
            f"{holdout['rows']} patients, {holdout['positives']} at high risk, scored through the "
            "packed inference code. Subgroups have few patients: read their figures as a check "
            "for gross differences, not as estimates."
        ),
        "datasets": [holdout["uri"]],
        "metadata": {
            "holdout_version_id": holdout["version_id"],
            "holdout_sha256": holdout["sha256"],
        },
        "metric_groups": [
            {"name": name, "metric_data": _metric_data(values)} for name, values in groups
        ],
    }


def _metric_data(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "type": "number", "value": values[name]}
        for name in ("rows", "positives", "auc", "brier", "calibration_error")
        if values.get(name) is not None
    ]


_INTENDED_USES = {
    "purpose_of_model": (
        "Estimates the probability that a patient's diabetes progresses strongly within one year, "
        "from ten baseline measurements."
    ),
    "intended_uses": (
        "Prioritising adult diabetes patients for follow-up, with a clinician deciding. Not for "
        "diagnosis, not for withholding care, not for patients outside the ranges that the "
        "endpoint accepts."
    ),
    "factors_affecting_model_efficiency": (
        "Laboratory methods and units other than the study's; populations other than the study's; "
        "missing measurements, which the endpoint refuses."
    ),
    "risk_rating": "High",
    "explanations_for_risk_rating": (
        "The output can influence the care of a patient; a wrong estimate can delay treatment."
    ),
}
_BUSINESS_DETAILS = {
    "business_problem": "Follow-up capacity is limited and should reach those who need it most.",
    "business_stakeholders": "Clinicians, patients, the clinical risk board.",
    "line_of_business": "Clinical care",
}
_ETHICS = (
    "Sex and age are inputs because they carry clinical information; metrics are reported for "
    "each of their groups and the gap in AUC is bounded by policy. The source does not document "
    "which sex code is which, and records no ethnicity: fairness there cannot be shown."
)
_CAVEATS = (
    "A single cohort of 442 patients from one study: no external validation. The holdout has about "
    "110 patients, so an AUC has a standard error of about 0.04. Validate on local data and "
    "recalibrate before clinical use. The label is a threshold on a continuous outcome."
)
