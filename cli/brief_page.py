"""The brief as one page to read, print and sign by: self-contained HTML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli import dossier_plots as plots
from cli import pages
from cli.errors import GovernError
from governance.domain import comparisons

_TEMPLATE = "brief.html.j2"
_TONES = {"ready": "good", "decided": "plain", "emergency": "bad", "blocked": "bad"}


def render(found: Mapping[str, Any]) -> bytes:
    """The page of a brief (domain/briefs.py); the same brief gives the same bytes."""
    compared = found["comparison"]
    return pages.render(
        _TEMPLATE,
        {
            **found,
            "tone": _TONES[found["answer"]["state"]],
            "plot": _plot(compared) if compared["metrics"] else "",
            "metric": comparisons.words,
            "number": comparisons.number,
            "bound": comparisons.bound,
            "interval": comparisons.interval,
        },
    )


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Write the page; GovernError `unwritable` if the file cannot be."""
    try:
        path.write_bytes(render(found))
    except OSError as error:
        raise GovernError(
            "unwritable", f"cannot write {path}: {error.strerror}", "check the path"
        ) from error


def _plot(compared: Mapping[str, Any]) -> str:
    rows = compared["metrics"]
    same = compared["same_holdout"]
    limits = {
        f"{row['name']}_{row['limit']['bound']}": row["limit"]["value"]
        for row in rows
        if row["limit"]
    }
    return plots.comparison(
        {row["name"]: row["candidate"] for row in rows},
        {row["name"]: row["champion"] for row in rows} if same else {},
        limits,
    )
