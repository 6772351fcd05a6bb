"""The schema of a model package's model card, as far as the pipeline fills it.

After the SageMaker developer guide, "View and update the details of a model version", section
"Model package model card schema"; narrower where the guide's keywords are not JSON Schema's.
"""

from __future__ import annotations

from typing import Any


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": longest}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }


def _list(items: dict[str, Any], longest: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": longest}


_NAME = {"type": "string", "pattern": "^.{1,63}$"}
_LONG_NAME = {"type": "string", "pattern": "^.{1,255}$"}
_TRAINING_METRIC = _object(
    {"name": _LONG_NAME, "notes": _text(1024), "value": {"type": "number"}}, "name", "value"
)
_HYPER_PARAMETER = _object({"name": _LONG_NAME, "value": _LONG_NAME}, "name", "value")
_SIMPLE_METRIC = _object(
    {
        "name": _LONG_NAME,
        "notes": _text(1024),
        "type": {"enum": ["number", "string", "boolean"]},
        "value": {"anyOf": [{"type": "number"}, _text(63), {"type": "boolean"}]},
        "x_axis_name": _text(63),
        "y_axis_name": _text(63),
    },
    *("name", "type", "value"),
)

MODEL_PACKAGE_CARD: dict[str, Any] = _object(
    {
        "model_overview": _object(
            {"model_creator": _text(1024), "model_artifact": _list(_text(1024), 15)}
        ),
        "intended_uses": _object(
            {
                **dict.fromkeys(
                    (
                        "purpose_of_model",
                        "intended_uses",
                        "factors_affecting_model_efficiency",
                        "explanations_for_risk_rating",
                    ),
                    _text(2048),
                ),
                "risk_rating": {"enum": ["High", "Medium", "Low", "Unknown"]},
            }
        ),
        "business_details": _object(
            dict.fromkeys(
                ("business_problem", "business_stakeholders", "line_of_business"), _text(2048)
            )
        ),
        "training_details": _object(
            {
                "objective_function": _object(
                    {
                        "function": _object(
                            {
                                "function": {"enum": ["Maximize", "Minimize"]},
                                "facet": _text(63),
                                "condition": _text(63),
                            }
                        ),
                        "notes": _text(1024),
                    }
                ),
                "training_observations": _text(1024),
                "training_job_details": _object(
                    {
                        "training_arn": _text(1024),
                        "training_datasets": _list(_text(1024), 15),
                        "training_environment": _object(
                            {"container_image": _list(_text(1024), 15)}
                        ),
                        "training_metrics": _list(_TRAINING_METRIC, 50),
                        "user_provided_training_metrics": _list(_TRAINING_METRIC, 50),
                        "hyper_parameters": _list(_HYPER_PARAMETER, 100),
                        "user_provided_hyper_parameters": _list(_HYPER_PARAMETER, 100),
                    }
                ),
            }
        ),
        "evaluation_details": {
            "type": "array",
            "items": _object(
                {
                    "name": _NAME,
                    "evaluation_observation": _text(2096),
                    "evaluation_job_arn": _text(256),
                    "datasets": _list(_text(1024), 10),
                    "metadata": {"type": "object", "additionalProperties": _text(1024)},
                    "metric_groups": {
                        "type": "array",
                        "items": _object(
                            {
                                "name": _NAME,
                                "metric_data": {"type": "array", "items": _SIMPLE_METRIC},
                            },
                            *("name", "metric_data"),
                        ),
                    },
                },
                "name",
            ),
        },
        "additional_information": _object(
            {
                "ethical_considerations": _text(2048),
                "caveats_and_recommendations": _text(2048),
                "custom_details": {"type": "object", "additionalProperties": _text(1024)},
            }
        ),
    }
)
