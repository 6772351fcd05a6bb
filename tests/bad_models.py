"""Models that must not pass, each a real model.tar.gz: the template's own with one thing spoiled.

What an evaluation report says of them is true, unless lying is what is wrong with them: it is made
by the template's pipeline from the very archive.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1] / "templates" / "classical-regression" / "build"
MODEL = "clinical-risk-classifier"

_WRAPPED = "\n\n_predict_fn, _input_fn = predict_fn, input_fn\n"
_ON_PROBABILITY = (
    _WRAPPED
    + """
def predict_fn(rows, model):
    found = []
    for row, one in zip(rows, _predict_fn(rows, model)):
        probability = min(max(changed(row, one["probability"]), 0.0), 1.0)
        high_risk = probability >= model["decision_probability"]
        found.append({"probability": probability, "high_risk": high_risk})
    return found
"""
)
SPOILED: dict[str, str] = {
    "good": "",
    "slow": _WRAPPED
    + """
import time

def predict_fn(rows, model):
    time.sleep(0.5)
    return _predict_fn(rows, model)
""",
    # Everybody of one sex is said to be at higher risk than they are; who is above whom stays.
    "biased": _ON_PROBABILITY
    + """
def changed(row, probability):
    return probability + 0.22 if row[1] == 2 else probability
""",
    # In one subgroup little of the signal is left, and over all the numbers still look well.
    "silently-worse": _ON_PROBABILITY
    + """
def changed(row, probability):
    noise = (row[2] * 7.3 + row[9] * 1.7) % 1
    return 0.3 * probability + 0.35 * noise if row[1] == 2 else probability
""",
    # More than 25 predictions in ten seconds, and its memory is full.
    "crashing": _WRAPPED
    + """
import collections
import time

_lately = collections.deque(maxlen=25)

def predict_fn(rows, model):
    now = time.monotonic()
    if len(_lately) == 25 and now - _lately[0] < 10:
        _lately.clear()
        raise MemoryError("out of memory")
    _lately.append(now)
    return _predict_fn(rows, model)
""",
    "non-deterministic": _ON_PROBABILITY
    + """
import random

def changed(row, probability):
    return probability + random.uniform(-0.0001, 0.0001)
""",
    # Whatever is wrong with a request, it is the server's fault.
    "blaming-itself": _WRAPPED
    + """
def input_fn(request_body, content_type):
    try:
        return _input_fn(request_body, content_type)
    except ValueError as error:
        raise RuntimeError("unexpected input") from error
""",
    # Not what was evaluated: its report is the good model's.
    "another": _ON_PROBABILITY
    + """
def changed(row, probability):
    return probability * 0.9
""",
}
_LYING = ("another",)


@dataclass(frozen=True, slots=True)
class Built:
    """A model's archive, and what is registered with it: report, holdout and sample payload."""

    archive: bytes
    evaluation: bytes
    holdout: bytes
    sample: bytes


@cache
def build(name: str) -> Built:
    """The model of that name, trained by the template on its own data."""
    pipeline = _pipeline()
    work, data = Path(tempfile.mkdtemp()), _data()
    pipeline.train.train(data / "train" / "train.csv", work / "model", 0.3, 20240501)
    code = work / "model" / "code" / "inference.py"
    code.write_text(code.read_text() + SPOILED[name])
    packed = work / "model.tar.gz"
    packed.write_bytes(pipeline.archive.pack(work / "model"))
    references = json.loads((data / "reference" / "dataset.json").read_text())
    holdout = data / "holdout" / "holdout.csv"
    if name in _LYING:
        evaluation = build("good").evaluation
    else:
        report = pipeline.evaluate.evaluate(packed, holdout, references, MODEL)
        evaluation = json.dumps(report).encode()
    sample = (data / "reference" / "sample-payload.json").read_bytes()
    return Built(packed.read_bytes(), evaluation, holdout.read_bytes(), sample)


@cache
def _data() -> Path:
    """Training data, holdout and references, as the template's first step writes them."""
    from tests.unit.templates.aws import Aws

    work, aws = Path(tempfile.mkdtemp()), Aws()
    _pipeline()
    from pipeline.prepare import prepare
    from pipeline.storage import Store

    prepare(Store(aws.session.client("s3"), aws.bucket), MODEL, work)
    return work


def _pipeline() -> Any:
    if str(PROJECT) not in sys.path:
        sys.path.insert(0, str(PROJECT))
    import pipeline
    from pipeline import archive, evaluate, train

    assert archive
    assert evaluate
    assert train
    return pipeline
