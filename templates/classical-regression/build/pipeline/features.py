"""What the model reads, what it predicts, and how patients are grouped: every choice in one place.

The features themselves (names, units, plausible ranges) are in features.json, which also ships in
model.tar.gz: the endpoint refuses what training never meant to accept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FEATURES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("features.json").read_text(encoding="utf-8")
)
NAMES: list[str] = [feature["name"] for feature in FEATURES]

LABEL = "high_risk"
# A patient is at high risk if the quantitative measure of progression one year after baseline is
# above this. It is a round number inside the cohort's worst third, not a quantile of it: a
# threshold computed from the rows would move with them and would carry the holdout into training.
HIGH_RISK_PROGRESSION = 200.0
HIGH_RISK_NAME = "disease progression one year after baseline"
HIGH_RISK_RATIONALE = (
    "Above 200 lie 121 of the 442 patients of the study (27 %), about the share that a follow-up "
    "programme can take in; the mean is 152, the standard deviation 77. The value is fixed by "
    "the project, not computed from the rows."
)

# The label that the endpoint gives beside the probability: more likely than not.
DECISION_PROBABILITY = 0.5

# (name, first age in it): chosen for comparable sizes (161, 178 and 103 patients), so that every
# band has enough patients of both labels in the holdout for an AUC.
AGE_BANDS: tuple[tuple[str, float], ...] = (("under 45", 0), ("45 to 59", 45), ("60 and over", 60))


# How the subgroups of a report are formed of a holdout's columns: the Test account does the same.
ATTRIBUTES: list[dict[str, Any]] = [
    {"name": "sex", "column": "sex"},
    {
        "name": "age_band",
        "column": "age",
        "bands": [{"value": name, "from": first} for name, first in AGE_BANDS],
    },
]


def age_band(age: float) -> str:
    """The name of the band that an age in years falls into."""
    return next(name for name, first in reversed(AGE_BANDS) if age >= first)


def sex_code(value: float) -> str:
    """The subgroup name of a sex code. The source does not say which code is which."""
    return f"{value:.0f}"


def number(value: float) -> str:
    """A value as the CSV files spell it: shortest form, no trailing .0."""
    return f"{value:.10g}"


def matrix(rows: Iterable[dict[str, str]]) -> list[list[float]]:
    """Feature values of CSV rows, in the order of NAMES; ValueError or KeyError if one is not."""
    return [[float(row[name]) for name in NAMES] for row in rows]
