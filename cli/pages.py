"""Pages that people read: one style, one way to fill a template. The same facts, the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_STYLE = "page_style.j2"  # which every page includes
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_GOOD = {"Approved", "Passed", "Deployed"}
_BAD = {"Rejected", "Failed", "Errored", "RolledBack", "Recalled"}


def render(template: str, facts: Mapping[str, Any]) -> bytes:
    """The HTML page that the template makes of the facts."""
    return _rendered(template, facts, autoescape=True)


def render_text(template: str, facts: Mapping[str, Any]) -> bytes:
    """The same of a template that is no HTML."""
    return _rendered(template, facts, autoescape=False)


def _rendered(template: str, facts: Mapping[str, Any], *, autoescape: bool) -> bytes:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"moment": moment, "short": _short, "shortened": shortened}
    return environment.get_template(template).render(**facts).encode()


def sources(template: str) -> tuple[Path, ...]:
    """The files that decide how a page of that template looks."""
    return (_FOLDER / template, _FOLDER / _STYLE)


def shortened(text: str) -> str:
    """The text with every SHA-256 in it cut to what tells two apart by eye."""
    return _DIGEST.sub(lambda found: _short(found[0]), text)


def tone(status: str | None) -> str:
    """good, bad or plain: how a stage status is coloured."""
    return "good" if status in _GOOD else "bad" if status in _BAD else "plain"


def words(name: str) -> str:
    """CandidatePromoted as "Candidate promoted"."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return spaced.strip().capitalize()


def moment(text: str | None) -> str:
    """ISO-8601 UTC to the second, with a space instead of T."""
    return str(text or "")[:19].replace("T", " ").rstrip("Z")


def _short(text: object) -> str:
    return str(text)[:12]
