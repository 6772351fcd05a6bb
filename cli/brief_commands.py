"""The command for the person who signs: what there is to know about one version, on one page."""

from __future__ import annotations

from pathlib import Path

import click

from cli.commands import output
from cli.errors import usage
from cli.options import REGISTRY, Options, acting


@click.command(short_help="One page for the person who signs.")
@click.argument("reference", metavar="MODEL/VERSION")
@REGISTRY
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="Write it as a page to print; an earlier one is replaced.",
)
@acting("governance-engineer")
def brief(options: Options, reference: str, registry: str, page: Path | None) -> int:
    """What is missing before Prod can be signed, what speaks against it, and what it changes.

    The gate is asked beforehand, under the policy in force, as if somebody uninvolved signed now.
    The version is compared with the champion if both were measured on the same holdout. It is read
    from the ledger and the evidence, and decides nothing.

    \b
    Examples:
      govern brief clinical-risk-classifier/2
      govern brief clinical-risk-classifier/2 --html brief.html
      govern brief clinical-risk-classifier/3 --registry dev --json
    """
    from cli import brief_page, briefs, present, versions
    from cli.target import open_target
    from governance.adapters import clock

    model, version = versions.parse(reference)
    if version is None:
        raise usage(f"which version of {model}?", f"name one: {model}/VERSION")
    found = briefs.read(open_target(options), model, version, registry, clock.now())
    if page is not None:
        brief_page.write(page, found)
    if options.as_json:
        output(found)
    elif page is not None:
        present.console().print(f"{page}: {found['answer']['text']}", soft_wrap=True)
    else:
        present.console().print(present.brief(found))
    return 0
