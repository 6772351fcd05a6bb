"""One version against another: what was measured, on which holdout, and how it stands to limits.

Numbers are compared only if both reports were made on the same bytes; otherwise they stand side by
side and that is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from governance.domain import evaluation, locations, policy_request, suites
from governance.domain.thresholds import limit_of, threshold_misses

METRICS = ("auc", "brier", "calibration_error", "subgroup_auc_gap")
NEAR = 0.1  # of a limit: what is as close to it as that is said
NO_INTERVAL = (
    "The tests did not compare these two row by row, so nothing says how much of a difference is "
    "chance; with few rows, small differences mean nothing."
)


@dataclass(frozen=True, slots=True)
class Side:
    """What evidence says of one version: the candidate, or what it is compared with.

    `evaluation` is the report of the training pipeline, {} if it cannot be read or is not valid,
    and `problems` then say why; `tests` is the last validation's report, {} without one.
    """

    model_package_arn: str
    candidate_id: str
    manifest: Mapping[str, Any]
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    problems: Sequence[str] = ()
    tests: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """The number of the version."""
        return int(self.model_package_arn.rpartition("/")[2])

    @property
    def metrics(self) -> dict[str, float | None]:
        """What was measured on the fixed holdout, the subgroup gap among it."""
        if not self.evaluation:
            return {}
        gap = evaluation.subgroup_auc_gap(self.evaluation["subgroups"])
        return {**self.evaluation["metrics"], "subgroup_auc_gap": gap}


def comparison(side: Side, other: Side | None, thresholds: Mapping[str, float]) -> dict[str, Any]:
    """{with, same_holdout, basis, contradictions, holdouts, metrics, subgroups, uncertainty}.

    `with` {version, model_package_arn, candidate_id} or None. Differences are given only if both
    versions are registered with the same holdout and no report says that it was made on another;
    `basis` says so in words, `contradictions` which reports do.
    """
    same = _same_holdout(side, other)
    paired = _paired(side, other) if same else {}
    theirs = other.metrics if other is not None else {}
    return {
        "with": other
        and {
            "version": other.version,
            "model_package_arn": other.model_package_arn,
            "candidate_id": other.candidate_id,
        },
        "same_holdout": same,
        "basis": _basis(side, other, same),
        "contradictions": _contradictions(side, other),
        "holdouts": {"candidate": _holdout(side), "champion": _holdout(other)},
        "metrics": [
            {
                **_metric(name, side.metrics[name], theirs.get(name), bool(same), thresholds),
                "interval": _bounds((paired.get("overall") or {}).get(f"{name}_difference")),
            }
            for name in METRICS
            if name in side.metrics
        ],
        "subgroups": _subgroups(side, other if same else None, paired.get("subgroups") or ()),
        "uncertainty": _uncertainty(paired) if same else None,
    }


def _paired(side: Side, other: Side | None) -> Mapping[str, Any]:
    """What the suite `comparison` found at the Test endpoint, if it was against that version."""
    results = side.tests.get("results") or []
    details = next((r.get("details") for r in results if r["suite"] == "comparison"), None) or {}
    against_whom = (details.get("champion") or {}).get("candidate_id")
    found: Mapping[str, Any] = details
    return found if other is not None and against_whom == other.candidate_id else {}


def _bounds(found: Mapping[str, Any] | None) -> dict[str, float] | None:
    """{low, high} of a difference, None where nothing was measured."""
    if found is None or found["low"] is None or found["high"] is None:
        return None
    return {"low": found["low"], "high": found["high"]}


def _uncertainty(paired: Mapping[str, Any]) -> str:
    if not paired:
        return NO_INTERVAL
    decided = paired["overall"]["decisions"]
    return (
        f"In brackets: {paired['confidence']:.0%} intervals of the differences, by a paired "
        "bootstrap of both versions' answers to the same rows at the Test endpoint. Where a "
        "decision is right for one alone, it is the candidate's "
        f"{decided['only_challenger_right']} and the champion's {decided['only_champion_right']} "
        f"times (p {decided['p_value']:.2f})."
    )


def _holdout(side: Side | None) -> dict[str, Any] | None:
    return dict(side.evaluation["holdout"]) if side is not None and side.evaluation else None


def _registered(side: Side) -> Mapping[str, Any] | None:
    """The location of the holdout that the manifest names, whose digest is S3's own."""
    return next((one for one in side.manifest["artifacts"] if one["role"] == "holdout"), None)


def _same_holdout(side: Side, other: Side | None) -> bool | None:
    """Whether both were measured on the same bytes; None if that cannot be told.

    A report only says on what it was made. The manifests' digests decide: S3 took them, and the
    gates read the bytes that they name.
    """
    if _holdout(side) is None or other is None or _holdout(other) is None:
        return None
    ours, theirs = _registered(side), _registered(other)
    if ours is None or theirs is None or _contradictions(side, other):
        return None
    if locations.same_bytes(ours, theirs):
        return True
    # In parts of other sizes, the same bytes have another digest.
    alike = ours.get("part_sizes") == theirs.get("part_sizes") and (
        locations.is_prefix(ours) == locations.is_prefix(theirs)
    )
    return False if alike or ours["size"] != theirs["size"] else None


def _contradictions(side: Side, other: Side | None) -> list[str]:
    """Of each report that was made on another holdout than its manifest names, that it was."""
    return [
        f"the report of version {one.version} was made on a holdout with sha256 "
        f"{one.evaluation['holdout']['sha256']}, and the one registered with it has "
        f"{registered['sha256']}"
        for one in (side, other)
        if one is not None
        and one.evaluation
        and (registered := _registered(one)) is not None
        # What reports state is the digest of a file, and that of parts or of a prefix is another.
        and not locations.is_in_parts(registered)
        and not locations.is_prefix(registered)
        and one.evaluation["holdout"]["sha256"] != registered["sha256"]
    ]


def _basis(side: Side, other: Side | None, same: bool | None) -> str:
    if not side.evaluation:
        why = "; ".join(side.problems) or "there is none"
        return f"There is no valid evaluation report of this version: {why}."
    contradictions = _contradictions(side, other)
    if contradictions:
        return f"Not to be relied on: {'; '.join(contradictions)}."
    rows = f"{side.evaluation['holdout']['rows']} rows"
    if other is None:
        return f"The first release: nothing served before it. Measured on the holdout ({rows})."
    if same is None and not other.evaluation:
        return f"Version {other.version} has no evaluation report that can be read: no comparison."
    if same is None:
        return (
            f"No comparison: the holdout of version {other.version} was stored in another way, so "
            "the digests do not say whether it is the same."
        )
    if not same:
        return (
            f"Not comparable: version {other.version} was measured on another holdout, so the "
            "numbers stand side by side and say nothing about which is better."
        )
    return f"Both were measured on the same holdout, byte for byte ({rows})."


def _metric(
    name: str,
    ours: float | None,
    theirs: float | None,
    comparable: bool,
    thresholds: Mapping[str, float],
) -> dict[str, Any]:
    limit = limit_of(name, thresholds)
    difference = ours - theirs if comparable and ours is not None and theirs is not None else None
    large = name in policy_request.GOOD_WHEN_LARGE
    return {
        "name": name,
        "candidate": ours,
        "champion": theirs,
        "difference": difference,
        "better": (difference > 0) == large if difference else None,
        "limit": limit and {"bound": limit[0], "value": limit[1]},
        "standing": against(name, ours, thresholds),
    }


def against(name: str, value: float | None, thresholds: Mapping[str, float]) -> str | None:
    """within, near or missed: how a value stands to its limit; None without one."""
    limit = limit_of(name, thresholds)
    if limit is None:
        return None
    if threshold_misses({name: value}, thresholds):
        return "missed"
    close = value is not None and abs(value - limit[1]) <= NEAR * abs(limit[1])
    return "near" if close else "within"


def _subgroups(
    side: Side, other: Side | None, paired: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """[{attribute, value, rows, candidate, champion, difference, interval, not_judged}] of AUCs.

    The champion's only of equal groups, the interval only where the tests compared them;
    `not_judged` says of one for which they could not that it has too few rows, None otherwise.
    """
    if not side.evaluation:
        return []
    theirs = {
        (group["attribute"], group["value"], group["rows"]): group["auc"]
        for group in (other.evaluation["subgroups"] if other else ())
    }
    bounds = {(one["attribute"], one["value"]): _bounds(one["auc_difference"]) for one in paired}
    left = {
        (one["attribute"], one["value"]): suites.too_few_rows(one)
        for one in paired
        if not suites.is_judged(one)
    }
    found = []
    for group in side.evaluation["subgroups"]:
        before = theirs.get((group["attribute"], group["value"], group["rows"]))
        known = group["auc"] is not None and before is not None
        found.append(
            {
                "attribute": group["attribute"],
                "value": group["value"],
                "rows": group["rows"],
                "candidate": group["auc"],
                "champion": before,
                "difference": group["auc"] - before if known else None,
                "interval": bounds.get((group["attribute"], group["value"])) if known else None,
                "not_judged": left.get((group["attribute"], group["value"])),
            }
        )
    return found


def words(metric: str) -> str:
    """A metric's name for people: "AUC", "calibration error", "p95 latency (ms)"."""
    known = {"auc": "AUC", "subgroup_auc_gap": "AUC gap of subgroups", "brier": "Brier score"}
    if metric.startswith("latency_"):
        return f"{metric.split('_')[1]} latency (ms)"
    return known.get(metric, metric.replace("_", " "))


def number(value: float | None) -> str:
    """A measured value with as many digits as help."""
    if value is None:
        return "not measured"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def interval(found: Mapping[str, float] | None) -> str:
    """An interval of a difference in brackets, "" if there is none."""
    return "" if found is None else f"({found['low']:+.3f} to {found['high']:+.3f})"


def bound(limit: Mapping[str, Any] | None) -> str:
    """A limit in words, "" if there is none."""
    if limit is None:
        return ""
    return f"{'at least' if limit['bound'] == 'min' else 'at most'} {limit['value']:g}"
