"""Which suites try a deployed model, on what, and what is left out and why.

The tier says which suites must run, the deployment definition which else, with parameters and
suites of the team's own. A suite that is left out stands in the report with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from governance.domain.errors import InvalidInputError
from governance.domain.suites import BUILT_IN, LIVE, ON_HOLDOUT, ROWS_PER_LABEL

# Numbers that decide how long a suite takes; a definition may set others.
PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "cold-start": {},
    "contract": {},
    "golden": {"cases": [], "tolerance": 1e-6},
    "robustness": {"generated": 25},
    "determinism": {"repeats": 10},
    "latency": {"warm_up": 10, "calls": 60, "concurrency": 4},
    "quality": {"resamples": 499, "confidence": 0.95, "rows_per_shard": 10_000},
    "fairness": {"resamples": 499, "confidence": 0.95, "attributes": []},
    "comparison": {"resamples": 499, "confidence": 0.99, "rows_per_label": ROWS_PER_LABEL},
}
# What one function judges in its time and memory; the bootstrap is what takes both.
MOST_ROWS = 500_000
LARGEST_SHARD = 50_000  # rows
MOST_SHARDS = 250  # the list of them, and of the champion's, pass through the workflow
# A definition may have smaller subgroups judged; more rows would only leave more of them out.
_MOST: Mapping[str, int] = {"rows_per_label": ROWS_PER_LABEL}
_OWN = re.compile(
    r"(arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:)?"
    r"governed-path-suite-[A-Za-z0-9_-]{1,40}(:[A-Za-z0-9_$-]{1,128})?"
)


def plan(
    required: Sequence[str],
    chosen: Sequence[Mapping[str, Any]] | None,
    *,
    rows: int,
    golden: bool,
    champion: Mapping[str, Any] | None,
    no_comparison: str,
) -> dict[str, Any]:
    """{suites, holdout_suites, shards, champion, omitted} of a validation.

    `required` are the tier's suites; `chosen` the definition's [{name, parameters?,
    entry_point?}], None for all that are built in. `rows` of the holdout, `golden` whether
    predictions were registered, `champion` whose recorded predictions the challenger is compared
    with, `no_comparison` why there is none. InvalidInputError for a definition that cannot be
    planned: it says what to change.
    """
    wanted = _wanted(required, chosen)
    left = _left_out(wanted, required, golden, champion, no_comparison)
    kept = {name: one for name, one in wanted.items() if name not in left}
    judged = [kept[name] for name in ON_HOLDOUT if name in kept]
    own = [one for name, one in kept.items() if name not in BUILT_IN]
    quality = wanted.get("quality", {"parameters": PARAMETERS["quality"]})["parameters"]
    return {
        "suites": [*(kept[name] for name in LIVE if name in kept), *own],
        "holdout_suites": judged,
        "shards": _fitting(rows, quality["rows_per_shard"]) if judged else [],
        "champion": dict(champion) if champion and "comparison" in kept else None,
        "omitted": [{"suite": name, "reason": reason} for name, reason in left.items()],
    }


def thresholds(tier: Mapping[str, float], own: Mapping[str, float]) -> dict[str, float]:
    """The tier's thresholds, or a project's own where they are stricter."""
    found = dict(tier)
    for name, limit in own.items():
        strict = max if name.endswith("_min") else min
        found[name] = strict(found.get(name, limit), limit)
    return found


def shards(rows: int, size: int) -> list[dict[str, int]]:
    """[{from, to}]: ranges of at most `size` rows that cover all, in order; `to` is not in it."""
    return [
        {"from": start, "to": min(start + size, rows)} for start in range(0, max(rows, 1), size)
    ]


def _fitting(rows: int, size: int) -> list[dict[str, int]]:
    if rows > MOST_ROWS:
        raise InvalidInputError(
            f"the holdout has {rows:,} rows; at most {MOST_ROWS:,} are judged: register a version "
            "with a random sample of them as its holdout"
        )
    found = shards(rows, size)
    if size > LARGEST_SHARD or len(found) > MOST_SHARDS:
        raise InvalidInputError(
            f"parameter rows_per_shard of suite quality is {size:,}, which cuts {rows:,} rows into "
            f"{len(found):,} shards; expected at most {LARGEST_SHARD:,}, and at most {MOST_SHARDS} "
            "shards"
        )
    return found


def _wanted(
    required: Sequence[str], chosen: Sequence[Mapping[str, Any]] | None
) -> dict[str, dict[str, Any]]:
    asked: list[Mapping[str, Any]] = (
        [{"name": name} for name in BUILT_IN] if chosen is None else list(chosen)
    )
    names = [str(one["name"]) for one in asked]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"the deployment definition names suite {twice[0]} twice")
    asked += [{"name": name} for name in required if name not in names]
    return {str(one["name"]): item(one) for one in asked}


def item(one: Mapping[str, Any]) -> dict[str, Any]:
    """{suite, parameters, entry_point?} of a definition's suite, with every parameter.

    InvalidInputError for a suite that does not exist or is told what it does not take.
    """
    name, function = str(one["name"]), one.get("entry_point")
    given = dict(one.get("parameters") or {})
    if function is not None:
        return {"suite": name, "parameters": given, "entry_point": _own(name, str(function))}
    if name not in PARAMETERS:
        raise InvalidInputError(
            f"there is no suite {name!r}: built in are {', '.join(BUILT_IN)}; a suite of your own "
            "needs an entry_point (docs/suites.md)"
        )
    known = PARAMETERS[name]
    for parameter, value in given.items():
        if parameter not in known:
            raise InvalidInputError(
                f"suite {name} has no parameter {parameter!r}; it has {', '.join(known) or 'none'}"
            )
        _require_fitting(name, parameter, value, known[parameter])
        most = _MOST.get(parameter)
        if most is not None and value > most:
            raise InvalidInputError(
                f"parameter {parameter} of suite {name} is {value}; expected at most {most}: "
                "more would leave out subgroups that can be judged"
            )
    return {"suite": name, "parameters": {**known, **given}}


def _own(name: str, function: str) -> str:
    if name in BUILT_IN:
        raise InvalidInputError(
            f"suite {name} is built in and cannot be replaced; give your own another name"
        )
    if not _OWN.fullmatch(function):
        raise InvalidInputError(
            f"suite {name} has the entry point {function!r}; expected the name or ARN of a "
            "function that is called governed-path-suite-..."
        )
    return function


def _require_fitting(suite: str, parameter: str, value: Any, default: Any) -> None:
    if isinstance(default, list):
        fits, wanted = isinstance(value, list), "a list"
    elif isinstance(default, int):
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        wanted = "a whole number of at least 1"
    else:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1
        wanted = "a number between 0 and 1"
    if not fits:
        raise InvalidInputError(
            f"parameter {parameter} of suite {suite} is {value!r}; expected {wanted}"
        )


def _left_out(
    wanted: Mapping[str, Mapping[str, Any]],
    required: Sequence[str],
    golden: bool,
    champion: Mapping[str, Any] | None,
    no_comparison: str,
) -> dict[str, str]:
    """{suite: why it is left out}.

    Without a champion there is nothing to compare, whoever asks for it. Golden predictions that
    a tier requires and nobody gave are no reason to leave the suite out: it will not run.
    """
    left = {}
    cases = wanted.get("golden", {"parameters": {"cases": []}})["parameters"]["cases"]
    if "golden" in wanted and not golden and not cases and "golden" not in required:
        left["golden"] = "no golden predictions were registered, and the definition has none"
    if "comparison" in wanted and champion is None:
        left["comparison"] = no_comparison
    return left
