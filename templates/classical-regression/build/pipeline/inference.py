"""Serves the model: the four functions that the SageMaker scikit-learn container calls.

Request   application/json {"instances": [{feature: number, ...}, ...]}
Response  application/json {"predictions": [{"probability": 0..1, "high_risk": true|false}, ...]}

A request that is not exactly that is refused with a ValueError whose text says what is wrong and
where; the container answers 4xx. Nothing is guessed, filled in or clipped: a risk computed from
wrong values looks as good as one computed from right ones.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import joblib

MAX_INSTANCES = 1000
_JSON = "application/json"
_FEATURES = {
    feature["name"]: feature
    for feature in json.loads(Path(__file__).with_name("features.json").read_text(encoding="utf-8"))
}


def model_fn(model_dir: str) -> dict[str, Any]:
    """The model's parameters; ValueError if they are of other features than this code serves."""
    model: dict[str, Any] = joblib.load(Path(model_dir) / "model.joblib")
    if model.get("features") != list(_FEATURES):
        raise ValueError(
            f"model.joblib is of the features {model.get('features')}; "
            f"this code serves {list(_FEATURES)}"
        )
    return model


def input_fn(request_body: str | bytes, content_type: str) -> list[list[float]]:
    """Rows of feature values; ValueError that says what is wrong with the request."""
    if (content_type or "").partition(";")[0].strip().lower() != _JSON:
        raise ValueError(f"content type is {content_type!r}; expected {_JSON}")
    document = _parse(request_body)
    if not isinstance(document, dict) or set(document) != {"instances"}:
        raise ValueError('the request must be {"instances": [...]} and nothing else')
    instances = document["instances"]
    if not isinstance(instances, list) or not 1 <= len(instances) <= MAX_INSTANCES:
        raise ValueError(f"instances must be a list of 1 to {MAX_INSTANCES} objects")
    return [_row(instance, f"instances[{index}]") for index, instance in enumerate(instances)]


def predict_fn(rows: list[list[float]], model: dict[str, Any]) -> list[dict[str, Any]]:
    """One {"probability", "high_risk"} per row, in order."""
    predictions = []
    for row in rows:
        terms = zip(row, model["mean"], model["scale"], model["coefficients"], strict=True)
        score = model["intercept"] + sum(
            coefficient * (value - mean) / scale for value, mean, scale, coefficient in terms
        )
        probability = 1.0 / (1.0 + math.exp(-score))
        predictions.append(
            {
                "probability": probability,
                "high_risk": probability >= model["decision_probability"],
            }
        )
    return predictions


def output_fn(predictions: list[dict[str, Any]], accept: str) -> tuple[str, str]:
    """(body, content type); ValueError if the client accepts no JSON."""
    wanted = {part.partition(";")[0].strip().lower() for part in (accept or "*/*").split(",")}
    if not wanted & {_JSON, "application/*", "*/*"}:
        raise ValueError(f"accept is {accept!r}; this model answers {_JSON}")
    return json.dumps({"predictions": predictions}), _JSON


def _parse(request_body: str | bytes) -> Any:
    try:
        text = request_body if isinstance(request_body, str) else request_body.decode("utf-8")
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ValueError("the request is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"the request is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("the request is nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"given more than once: {', '.join(twice)}")
    return document


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number that can be scored")


def _row(instance: Any, place: str) -> list[float]:
    if not isinstance(instance, dict):
        raise ValueError(f"{place} must be an object with one number per feature")
    missing = [name for name in _FEATURES if name not in instance]
    if missing:
        raise ValueError(f"{place} lacks {', '.join(missing)}")
    unknown = sorted(set(instance) - set(_FEATURES))
    if unknown:
        raise ValueError(f"{place} has unknown features {', '.join(unknown)[:200]}")
    return [_value(instance[name], name, place) for name in _FEATURES]


def _value(value: Any, name: str, place: str) -> float:
    feature = _FEATURES[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{place}.{name} must be a number, not {type(value).__name__}")
    if not feature["minimum"] <= value <= feature["maximum"]:
        # Infinity and NaN, which arithmetic in JSON such as 1e999 gives, fail this too.
        raise ValueError(
            f"{place}.{name} is {value!r:.20}; expected {feature['minimum']} to "
            f"{feature['maximum']} ({feature['description']})"
        )
    if feature["integer"] and value != int(value):
        raise ValueError(f"{place}.{name} is {value!r:.20}; expected a whole number")
    return float(value)
