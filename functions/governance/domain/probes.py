"""Requests that a careful client and a careless one send to an endpoint, and what they must see.

The payload is {"instances": [{feature: value}]}, the answer {"predictions": [{"probability": p,
"high_risk": bool}]}, one prediction per instance, in order.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance.domain.errors import InvalidInputError

JSON, CSV = "application/json", "text/csv"
_UNDECLARED = ("application/octet-stream", "application/x-nobody-declares-this")
_ALPHABETS = "\u00e4\u202e\u2028\u4e16\U0001f4a3"
LARGE_BODY = 2_000_000  # bytes; SageMaker itself refuses more than 6 MB


@dataclass(frozen=True, slots=True)
class Probe:
    """One request, and whether a correct model accepts it (200) or refuses it (4xx).

    None where that is the model's own business: it may do either, and never crash (5xx).
    """

    name: str
    body: bytes
    content_type: str
    accepted: bool | None


def content_types(declared: Sequence[str]) -> tuple[list[str], list[str]]:
    """(those that are tried, those that we do not know how to write) of a version's content types.

    JSON is what clients have agreed on, so it is tried in any case.
    """
    plain = list(dict.fromkeys(one.partition(";")[0].strip().lower() for one in declared))
    return [JSON, *(one for one in plain if one == CSV)], [
        one for one in plain if one not in (JSON, CSV)
    ]


def contract_probes(sample: Any, declared: Sequence[str] = (JSON,)) -> list[Probe]:
    """The requests of the contract suite, made from the model's own sample payload.

    `declared` are the content types that the version says it supports.
    """
    instances = instances_of(sample)
    tried, unknown = content_types(declared)
    wrong = next(one for one in _UNDECLARED if one not in unknown)
    first = instances[0]
    feature = next(iter(first))
    others = {key: value for key, value in first.items() if key != feature}
    return [
        Probe("valid sample payload", encode(instances), JSON, accepted=True),
        *(
            [Probe(f"valid sample payload as {CSV}", as_csv(instances), CSV, accepted=True)]
            if CSV in tried
            else []
        ),
        Probe("wrong content type", encode(instances), wrong, accepted=False),
        Probe("malformed JSON", encode(instances)[:-2], JSON, accepted=False),
        Probe(f"missing feature {feature}", encode([others]), JSON, accepted=False),
        Probe(
            f"wrong type of {feature}",
            encode([{**first, feature: {"not": "a value"}}]),
            JSON,
            accepted=False,
        ),
        Probe("instances is not a list", b'{"instances": "none"}', JSON, accepted=False),
        Probe("no instances", encode([]), JSON, accepted=False),
    ]


def robustness_probes(sample: Any) -> list[Probe]:
    """Requests that no client should send and some client will."""
    first = instances_of(sample)[0]
    name, whole = next(iter(first)), encode([first])
    changed = [
        *((f"{other} is missing", _without(first, other)) for other in first),
        *((f"{other} is null", {**first, other: None}) for other in first),
        *(
            (f"every feature is {number!r}", dict.fromkeys(first, number))
            for number in (0, -1, 1e308, -1e308, 5e-324, 2**64)
        ),
        (
            "a value is text of other alphabets",
            {**first, name: _ALPHABETS},
        ),
        ("a value is very long", {**first, name: "9" * 1_000_000}),
        (
            "an unknown feature has a name of other alphabets",
            {**first, _ALPHABETS: 1},
        ),
    ]
    many = max(1, LARGE_BODY // len(whole))
    return [
        *(Probe(name, encode([instance]), JSON, None) for name, instance in changed),
        Probe("NaN and Infinity", _not_numbers(first), JSON, None),
        Probe("UTF-16", whole.decode().encode("utf-16"), JSON, None),
        Probe(f"{many} instances at once", _repeated(first, many), JSON, None),
        Probe("an empty body", b" ", JSON, accepted=False),
        Probe("bytes that are not UTF-8", b'{"instances": "\xff\xfe\xc3"}', JSON, accepted=False),
        Probe("brackets without end", b"[" * 100_000, JSON, accepted=False),
        Probe("half a request", whole[: len(whole) // 2], JSON, accepted=False),
        Probe("a number instead of an object", b"1", JSON, accepted=False),
    ]


def shuffled(sample: Any) -> bytes:
    """The sample's instances, in order, each with its features in another order."""
    return encode([dict(reversed(one.items())) for one in instances_of(sample)])


def count_of(body: bytes) -> int | None:
    """How many instances a request has, None if it is not of the agreed form."""
    try:
        instances = json.loads(body)["instances"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return len(instances) if isinstance(instances, list) else None


def instances_of(sample: Any) -> list[dict[str, Any]]:
    """The instances of a sample payload; InvalidInputError if it is not of the agreed form."""
    instances = sample.get("instances") if isinstance(sample, Mapping) else None
    if (
        not isinstance(instances, list)
        or not instances
        or not all(isinstance(instance, dict) and instance for instance in instances)
    ):
        raise InvalidInputError(
            'the sample payload is not {"instances": [{feature: value, ...}, ...]} with at least '
            "one instance; register a version with a valid one"
        )
    return instances


def instances_from_rows(
    rows: Sequence[Mapping[str, str]], sample: Any
) -> tuple[list[dict[str, Any]], list[int]]:
    """(instances, labels 0 or 1) of the holdout's CSV rows.

    The features and their types are those of the sample payload's first instance; the label is
    the column `high_risk`. InvalidInputError names the column or the row that does not fit.
    """
    like = instances_of(sample)[0]
    if not rows:
        raise InvalidInputError("the holdout has no rows; register a version with a holdout")
    absent = sorted({*like, "high_risk"} - rows[0].keys())
    if absent:
        raise InvalidInputError(f"the holdout lacks the columns {', '.join(absent)}")
    return (
        [
            {name: _value(row[name], like[name], name, number) for name in like}
            for number, row in enumerate(rows, start=1)
        ],
        [_label(row["high_risk"], number) for number, row in enumerate(rows, start=1)],
    )


def encode(instances: Sequence[Mapping[str, Any]]) -> bytes:
    """The request body for these instances."""
    return json.dumps({"instances": list(instances)}).encode()


def as_csv(instances: Sequence[Mapping[str, Any]]) -> bytes:
    """The same as SageMaker's own algorithms take CSV: no header, values in the sample's order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([one.get(name) for name in instances[0]] for one in instances)
    return text.getvalue().encode()


def answer_problems(body: bytes, expected: int) -> list[str]:
    """What is wrong with an answer to that many instances; empty if nothing is."""
    try:
        answer = json.loads(body)
    except ValueError:
        return ["the answer is not JSON"]
    predictions = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(predictions, list):
        return ['the answer has no list "predictions"']
    problems = []
    if len(predictions) != expected:
        problems.append(f"{len(predictions)} predictions for {expected} instances")
    if not all(_is_prediction(prediction) for prediction in predictions):
        problems.append("a prediction is not {probability: 0..1, high_risk: true or false}")
    return problems


def probabilities(body: bytes) -> list[float]:
    """The probabilities of an answer that has no problems."""
    return [float(prediction["probability"]) for prediction in json.loads(body)["predictions"]]


def decisions(body: bytes) -> list[bool]:
    """The decisions of an answer that has no problems."""
    return [bool(prediction["high_risk"]) for prediction in json.loads(body)["predictions"]]


def _repeated(instance: Mapping[str, Any], count: int) -> bytes:
    return b'{"instances": [' + b", ".join([json.dumps(instance).encode()] * count) + b"]}"


def _without(instance: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in instance.items() if key != name}


def _not_numbers(instance: Mapping[str, Any]) -> bytes:
    values = itertools.cycle((float("nan"), float("inf"), float("-inf")))
    return encode([dict(zip(instance, values, strict=False))])


def _is_prediction(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("high_risk"), bool):
        return False
    probability = value.get("probability")
    if isinstance(probability, bool) or not isinstance(probability, int | float):
        return False
    return 0.0 <= probability <= 1.0


def _value(text: str, like: Any, name: str, number: int) -> Any:
    if isinstance(like, str):
        return text
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"row {number} of the holdout has {text!r} in column {name}; expected a number"
        ) from error


def _label(text: str, number: int) -> int:
    # 1.0 and True are what data frames make of 1.
    known = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1}
    if text not in known:
        raise InvalidInputError(
            f"row {number} of the holdout has {text!r} in column high_risk; expected 0 or 1"
        )
    return known[text]
