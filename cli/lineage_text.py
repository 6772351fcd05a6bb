"""A lineage for people: a tree from the version back to its origins, and what was checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from cli import lineage, present

_GUIDE = "bright_black"


def text(found: Mapping[str, Any], file: str | None) -> RenderableType:
    """What `cli.lineage` found."""
    nodes = {node["arn"]: node for node in found["nodes"]}
    tree = Tree(_label("", nodes[found["root"]]), guide_style=_GUIDE)
    _grow(tree, found, found["root"], {found["root"]})
    parts: list[RenderableType] = [present.facts_table(_head(found)), Text(""), tree, Text("")]
    parts += [Text(f"Not known: {gap}", style="yellow") for gap in found["missing"]]
    parts += [_check(check) for check in found["checks"] if not check["agrees"]]
    agreed = sum(1 for check in found["checks"] if check["agrees"])
    parts.append(
        Text(
            f"{agreed} of {len(found['checks'])} facts of the candidate's manifest are what the "
            "lineage says",
            style=_style(found, agreed),
        )
    )
    if file:
        parts.append(Text(f"Drawn into {file}"))
    return Group(*parts)


def _style(found: Mapping[str, Any], agreed: int) -> str:
    """Red is what differs; what nobody could read or say is no difference."""
    if agreed == len(found["checks"]):
        return "green"
    return "yellow" if found["agrees"] else "red"


def _head(found: Mapping[str, Any]) -> dict[str, Any]:
    head = {"Version": found["model_package_arn"], "Candidate": found["candidate_id"]}
    served = found["endpoint"]
    if not served:
        return head
    since = f"since {present.moment(served['since'])}, signed by {served['approver']}"
    return {"Endpoint": f"{served['endpoint_arn']}, by the ledger {since}", **head}


def _grow(branch: Tree, found: Mapping[str, Any], arn: str, shown: set[str]) -> None:
    for relation, node in lineage.origins(found, arn):
        again = node["arn"] in shown
        shown.add(node["arn"])
        label = _again(relation, node) if again else _label(relation, node)
        grown = branch.add(label)
        if not again:
            _grow(grown, found, node["arn"], shown)


def _again(relation: str, node: Mapping[str, Any]) -> Text:
    told = Text(f"{relation} ", style=_GUIDE)
    return told.append(f"{' '.join(lineage.title(node)).strip()} (see above)", style=_GUIDE)


def _label(relation: str, node: Mapping[str, Any]) -> Text:
    told = Text(f"{relation} " if relation else "", style=_GUIDE)
    told.append(" ".join(lineage.title(node)), style="bold cyan" if _is_step(node) else "bold")
    for name, value in lineage.facts(node).items():
        wrong = name.startswith(("Dev says", "not told"))
        told.append(f"\n{name} {value}", style="yellow" if wrong else "default not bold")
    return told


def _is_step(node: Mapping[str, Any]) -> bool:
    return bool(node["lineage_type"] != "Artifact")


def _check(check: Mapping[str, Any]) -> Text:
    if check["agrees"] is None and check["expected"]:
        said = f"{check['what']}: not read; the manifest says {check['expected']}"
        return Text(said, style="yellow")
    if check["agrees"] is None:
        return Text(f"The manifest names no {check['what']}", style="yellow")
    return Text(
        f"{check['what']}: the manifest says {check['expected']}, the lineage "
        f"{check['found'] or 'nothing'}",
        style="red",
    )
