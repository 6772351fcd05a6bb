"""A lineage as a picture: data on the left, the version on the right; SVG whose text stays text."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli import lineage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from networkx import DiGraph, Graph  # type: ignore[import-untyped]

_WIDTH, _HEIGHT = 2.75, 1.0  # of a box, in inches
_ACROSS, _DOWN = 3.65, 1.3  # from one box to the next
_MARGIN = 0.35
_SWEEPS = 8  # to and fro over the columns
_INK, _FAINT, _LINE = "#1f2933", "#52606d", "#9aa5b1"
# Fill and edge by what a node is; the words in the box say it too.
_COLOURS = {
    "step": ("#fff3d6", "#b7791f"),
    "data": ("#e3f2fb", "#0072b2"),
    "version": ("#e6f4ea", "#2e7d32"),
    "other": ("#f1f3f5", "#7b8794"),
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lineage",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
}


def svg(found: Mapping[str, Any]) -> str:
    """The picture of what `cli.lineage` found, as SVG; the same graph, the same text."""
    import matplotlib
    from matplotlib.figure import Figure

    graph = _graph(found)
    places = _places(graph)
    right = max(x for x, _ in places.values()) + _WIDTH / 2 + _MARGIN
    bottom = min(y for _, y in places.values()) - _HEIGHT / 2 - _MARGIN
    top = max(y for _, y in places.values()) + _HEIGHT / 2 + _MARGIN + 0.75
    left = -_WIDTH / 2 - _MARGIN
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(right - left, top - bottom), facecolor="white")
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        axes.set_axis_off()
        _heading(axes, found, left + _MARGIN, top - _MARGIN)
        for source, destination, kind in graph.edges(data="type"):
            passed = sorted(place[2] for place in places if place[:2] == (source, destination))
            by = [(source, destination, column) for column in passed]
            stops = [places[place] for place in (source, *by, destination)]
            _arrow(axes, stops, str(kind))
        for arn, node in graph.nodes(data="node"):
            _box(axes, places[arn], node)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": "govern lineage"})
    return text.getvalue()


def _graph(found: Mapping[str, Any]) -> DiGraph:
    import networkx

    graph = networkx.DiGraph()
    for node in found["nodes"]:
        graph.add_node(node["arn"], node=node)
    for edge in found["edges"]:
        if edge["source"] in graph and edge["destination"] in graph:
            graph.add_edge(edge["source"], edge["destination"], type=edge["type"])
    return graph


def _places(graph: DiGraph) -> dict[Any, tuple[float, float]]:
    """Where each box is, in inches: a column for each distance from the version.

    An arrow over several columns has a place of its own in each, (source, destination, column), so
    that it goes between boxes and not behind them.
    """
    import networkx

    # What leads to itself has no order: it shares a column.
    order = networkx.condensation(graph)
    columns: dict[int, list[Any]] = {}
    for column, layer in enumerate(networkx.topological_generations(order.reverse())):
        columns[-column] = [arn for group in layer for arn in order.nodes[group]["members"]]
    column_of = {arn: column for column, arns in columns.items() for arn in arns}
    chains = networkx.Graph()
    for source, destination in graph.edges:
        between = range(column_of[source] + 1, column_of[destination])
        passed = [(source, destination, column) for column in between]
        networkx.add_path(chains, [source, *passed, destination])
        for place in passed:
            columns[place[2]].append(place)
    rows = _rows(chains, columns)
    first = min(columns)
    return {
        place: ((column - first) * _ACROSS, -rows[place] * _DOWN)
        for column, places in columns.items()
        for place in places
    }


def _rows(chains: Graph, columns: Mapping[int, list[Any]]) -> dict[Any, float]:
    """A row for every place, near those that it is tied to, so that few arrows cross."""
    rows: dict[Any, float] = {}
    order = sorted(columns)
    for sweep in range(_SWEEPS):
        for column in order if sweep % 2 else reversed(order):
            places = columns[column]

            places.sort(key=lambda place: _wish(place, chains, rows))
            for row, place in enumerate(places):
                rows[place] = row - (len(places) - 1) / 2
    return rows


def _wish(place: Any, chains: Graph, rows: Mapping[Any, float]) -> float:
    near = [rows[other] for other in chains.adj.get(place, ()) if other in rows]
    return sum(near) / len(near) if near else 0.0


def _heading(axes: Axes, found: Mapping[str, Any], x: float, y: float) -> None:
    served = found["endpoint"]
    name = f"{found['model']}/{found['version']}"
    if served:
        name = f"{served['endpoint_name']} serves {name}"
    counts = [check["agrees"] for check in found["checks"]]
    wrong = counts.count(False)
    said = (
        f"{wrong} of {len(counts)} facts differ from the candidate's manifest"
        if wrong
        else f"{counts.count(True)} of {len(counts)} facts agree with the candidate's manifest"
    )
    axes.text(x, y, name, fontsize=15, weight="bold", color=_INK, va="top")
    axes.text(
        x,
        y - 0.36,
        f"candidate {found['candidate_id']}  ·  {said}",
        fontsize=9,
        color="#b00020" if wrong else _FAINT,
        va="top",
    )


def _arrow(axes: Axes, points: Sequence[tuple[float, float]], kind: str) -> None:
    """From box to box, by the places in between."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    half = _WIDTH / 2
    # Straight past every box on the way, bent only from one column to the next.
    stops = [(points[0][0] + half, points[0][1])]
    for x, y in points[1:-1]:
        stops += [(x - half, y), (x + half, y)]
    stops.append((points[-1][0] - half, points[-1][1]))
    path, codes = [stops[0]], [Path.MOVETO]
    for number, ((x, y), (to_x, to_y)) in enumerate(itertools.pairwise(stops)):
        if number % 2:
            path.append((to_x, to_y))
            codes.append(Path.LINETO)
        else:
            middle = (x + to_x) / 2
            path += [(middle, y), (middle, to_y), (to_x, to_y)]
            codes += [Path.CURVE4] * 3
    axes.add_patch(
        FancyArrowPatch(
            path=Path(path, codes),
            arrowstyle="-|>",
            mutation_scale=11,
            color=_LINE,
            linewidth=1.3,
            linestyle="--" if kind == "DerivedFrom" else "-",
            joinstyle="round",
            zorder=1,
        )
    )


def _box(axes: Axes, place: tuple[float, float], node: Mapping[str, Any]) -> None:
    from matplotlib.patches import FancyBboxPatch

    fill, edge = _COLOURS[_kind(node)]
    x, y = place[0] - _WIDTH / 2, place[1] - _HEIGHT / 2
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            _WIDTH,
            _HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.09",
            facecolor=fill,
            edgecolor="#b00020" if "dev_disagrees" in node["properties"] else edge,
            linewidth=1.2,
            zorder=2,
        )
    )
    lines = _lines(node)
    for number, line in enumerate(lines):
        axes.text(
            place[0],
            place[1] + (len(lines) - 1) * 0.1 - number * 0.2,
            line,
            fontsize=9.5 if not number else 7.5,
            weight="bold" if not number else "normal",
            family="sans-serif" if not number else "monospace",
            color=_INK if not number else _FAINT,
            ha="center",
            va="center",
            zorder=3,
        )


def _lines(node: Mapping[str, Any]) -> list[str]:
    told = lineage.facts(node)
    kind, name = lineage.title(node)
    lines = [kind, _short(name, 34)] if name else [kind]
    if "sha256" in told:
        lines.append(f"sha256 {told['sha256'][:16]}")
    if "version id" in told:
        lines.append(f"version {_short(told['version id'], 26)}")
    if "commit" in told:
        lines.append(f"commit {told['commit'][:12]}")
    if "digest" in told:
        lines.append(_short(told["digest"], 34))
    return lines


def _kind(node: Mapping[str, Any]) -> str:
    if node["lineage_type"] != "Artifact":
        return "step"
    if node["type"] == "ModelPackage":
        return "version"
    return "data" if "sha256" in node["properties"] else "other"


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
