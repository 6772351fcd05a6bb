"""The table of controls, and the pages of docs/compliance that are written from it.

`make compliance` writes the pages; a test fails when they are stale.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cli import pages
from governance.domain import controls, dossiers

TABLE = Path(__file__).with_name("controls.json")
SCHEMA: dict[str, Any] = json.loads(
    Path(__file__).with_name("controls.schema.json").read_text(encoding="utf-8")
)
# What the names of evidence begin with, and how a page says it.
WAYS = {
    "entry": "ledger entry `{}`",
    "review": "{} review",
    "rule": "rule `{}` met",
    "file": "`{}`",
    "card": "model card, section `{}`",
    "manifest": "manifest, `{}`",
    "evaluation": "evaluation report, `{}`",
    "setting": "`{}` of template.yaml",
}


@cache
def table() -> Mapping[str, Any]:
    """The table of controls."""
    found: Mapping[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def of_dossier(files: Mapping[str, bytes]) -> dict[str, Any] | None:
    """What a dossier says of controls; None if it says nothing."""
    body = files.get(dossiers.CONTROLS)
    if body is None:
        return None
    found: dict[str, Any] = json.loads(body)
    return found


def in_words(evidence: str) -> str:
    """The name of a piece of evidence for people."""
    way, _, name = evidence.partition(":")
    return WAYS[way].format(name)


def documents() -> dict[str, bytes]:
    """{file name: bytes} of docs/compliance."""
    frameworks = table()["frameworks"]
    for_all = {"words": in_words, "coverage": controls.COVERAGE}
    found = {
        "README.md": pages.render_text(
            "compliance_index.md.j2", {**for_all, "frameworks": [_counted(f) for f in frameworks]}
        )
    }
    for framework in frameworks:
        body = pages.render_text("compliance.md.j2", {**for_all, **_counted(framework)})
        found[f"{framework['id']}.md"] = body
    return found


def _counted(framework: Mapping[str, Any]) -> dict[str, Any]:
    counts = Counter(control["coverage"] for control in framework["controls"])
    return {**framework, "counts": {name: counts[name] for name in controls.COVERAGE}}


def main(folder: Path) -> None:
    """Write the pages into the folder, and remove what is none of them."""
    folder.mkdir(parents=True, exist_ok=True)
    written = documents()
    for old in set(folder.glob("*.md")) - {folder / name for name in written}:
        old.unlink()
    for name, body in written.items():
        (folder / name).write_bytes(body)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
