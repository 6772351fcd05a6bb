"""The dossier's plots as SVG: the same facts, the same bytes. Text stays text."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from governance.domain.thresholds import limit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which people tell apart whatever they see of red and green; shapes
# differ as well.
_HOLDOUT, _ENDPOINT, _LIMIT, _ALLOWED, _INK = "#0072b2", "#d55e00", "#111111", "#dcebf3", "#333333"
_NAMES = {
    "auc": "AUC",
    "brier": "Brier score",
    "calibration_error": "Calibration error",
    "subgroup_auc_gap": "AUC gap of subgroups",
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_IDS = re.compile(r'(\bid="|url\(#|href="#)')


def metrics(
    holdout: Mapping[str, float | None],
    endpoint: Mapping[str, float | None],
    thresholds: Mapping[str, float],
) -> str:
    """Metrics from 0 to 1, as registered and as measured at the endpoint, against their limits.

    `thresholds` are named <metric>_min and <metric>_max; what is allowed is shaded.
    """
    drawn = (("fixed holdout", "o", _HOLDOUT, holdout), ("Test endpoint", "D", _ENDPOINT, endpoint))
    return _against_limits("metrics", drawn, thresholds)


def comparison(
    candidate: Mapping[str, float | None],
    champion: Mapping[str, float | None],
    thresholds: Mapping[str, float],
) -> str:
    """Metrics of a candidate and of what it would replace, on one holdout, as `metrics` does."""
    drawn = (("this version", "o", _HOLDOUT, candidate), ("champion", "D", _ENDPOINT, champion))
    return _against_limits("comparison", drawn if champion else drawn[:1], thresholds)


def _against_limits(
    title: str,
    drawn: Sequence[tuple[str, str, str, Mapping[str, float | None]]],
    thresholds: Mapping[str, float],
) -> str:
    """Series (label, marker, colour, values) of one metric a row; the first names the metrics."""
    names = [name for name in _NAMES if drawn[0][3].get(name) is not None]

    def draw(axes: Axes) -> None:
        for row, name in enumerate(names):
            limit = limit_of(name, thresholds)
            if limit is not None:
                low, high = (limit[1], 1.0) if limit[0] == "min" else (0.0, limit[1])
                axes.barh(row, high - low, left=low, height=0.62, color=_ALLOWED, zorder=1)
                axes.plot([limit[1]] * 2, [row - 0.38, row + 0.38], color=_LIMIT, lw=2, zorder=2)
            for order, (_, marker, colour, values) in enumerate(drawn):
                value, size = values.get(name), 9 - 4 * order
                if value is not None:
                    axes.plot(value, row, marker, color=colour, ms=size, zorder=4 + order)
        axes.set_yticks(range(len(names)), [_label(name, thresholds) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.tick_params(axis="y", length=0)
        marks = [(marker, colour, label) for label, marker, colour, _ in drawn]
        _legend(axes, (*marks, ("|", _LIMIT, "limit")))

    return _svg(title, (5.2, 0.9 + 0.5 * max(len(names), 1)), draw)


def calibration(bins: Sequence[Mapping[str, Any]]) -> str:
    """Predicted against observed frequency; the area of a dot is the number of its rows."""
    largest = max(one["rows"] for one in bins)

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], "--", color="#888888", lw=1, zorder=1)
        x, y = [one["predicted"] for one in bins], [one["observed"] for one in bins]
        axes.plot(x, y, "-", color=_HOLDOUT, lw=1.2, zorder=2)
        sizes = [30 + 170 * one["rows"] / largest for one in bins]
        axes.scatter(x, y, s=sizes, color=_HOLDOUT, edgecolor="white", zorder=3)
        for one in bins:
            axes.annotate(
                str(one["rows"]),
                (one["predicted"], one["observed"]),
                xytext=(7, -11),
                textcoords="offset points",
                fontsize=8,
            )
        axes.set_xlim(-0.04, 1.04)
        axes.set_ylim(-0.04, 1.08)
        axes.set_xlabel("predicted probability, mean of the bin")
        axes.set_ylabel("observed frequency")

    return _svg("calibration", (5.2, 3.6), draw)


def subgroups(groups: Sequence[Mapping[str, Any]], overall: Mapping[str, float | None]) -> str:
    """The AUC of every subgroup, and of everybody as a line."""
    known = [group for group in groups if group.get("auc") is not None]
    # No skill is 0.5; a group that is worse is not hidden.
    left = min([0.5, *(group["auc"] - 0.05 for group in known)])

    def draw(axes: Axes) -> None:
        if overall.get("auc") is not None:
            axes.axvline(float(overall["auc"] or 0), color="#888888", ls="--", lw=1, zorder=1)
        for row, group in enumerate(known):
            axes.plot([left, group["auc"]], [row, row], color=_ALLOWED, lw=8, zorder=1)
            axes.plot(group["auc"], row, "o", color=_HOLDOUT, ms=9, zorder=3)
            axes.annotate(
                f"{group['auc']:.3f}",
                (group["auc"], row),
                xytext=(9, -3.5),
                textcoords="offset points",
                fontsize=9,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                zorder=2,
            )
        labels = [f"{g['attribute']} {g['value']} ({g['rows']} rows)" for g in known]
        axes.set_yticks(range(len(known)), labels)
        axes.set_ylim(len(known) - 0.4, -0.6)
        axes.set_xlim(left, 1.06)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("AUC; the line is everybody")

    return _svg("subgroups", (5.2, 1.1 + 0.42 * max(len(known), 1)), draw)


def versions() -> tuple[str, ...]:
    """What besides this file decides how a plot looks."""
    import matplotlib

    return (f"matplotlib {matplotlib.__version__}",)


def _svg(name: str, size: tuple[float, float], draw: Any) -> str:
    """The drawing as an <svg> element whose ids begin with the name: several fit on one page."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": name}):
        figure: Figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": ""})
    element = text.getvalue()
    element = element[element.index("<svg ") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    return _IDS.sub(rf"\g<1>{name}-", element)


def _label(name: str, thresholds: Mapping[str, float]) -> str:
    limit = limit_of(name, thresholds)
    if limit is None:
        return _NAMES[name]
    return f"{_NAMES[name]} {'≥' if limit[0] == 'min' else '≤'} {limit[1]:g}"


def _legend(axes: Axes, marks: Sequence[tuple[str, str, str]]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], ls="", marker=marker, color=colour, ms=7, mew=2 if marker == "|" else 1)
        for marker, colour, _ in marks
    ]
    axes.legend(
        handles,
        [text for _, _, text in marks],
        loc="lower center",
        bbox_to_anchor=(0.35, 1.0),
        ncols=len(marks),
        frameon=False,
        fontsize=9,
    )
