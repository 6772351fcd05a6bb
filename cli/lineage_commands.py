"""`govern lineage`: walk back from a version, or from what an endpoint serves, to data and code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cli.commands import output
from cli.errors import REFUSED, USAGE, GovernError, usage
from cli.options import Options, acting


@click.command(short_help="Which data and which code led to a version.")
@click.argument("reference", metavar="MODEL/VERSION", required=False)
@click.option("--endpoint", metavar="NAME", help="What this Prod endpoint serves; name or ARN.")
@click.option(
    "--svg",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw it into this file as well.",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
@acting("governance-engineer")
def lineage(
    options: Options, reference: str | None, endpoint: str | None, file: Path | None, force: bool
) -> int:
    """Walk back from a Central version to dataset objects, version ids, digests and the commit.

    The graph is the one that was read in Dev and made anew in Central when the version was
    promoted. What it says is compared with the candidate's manifest; the exit code is 1 if they
    differ. What an endpoint serves is the version that the ledger says it began to serve last, by a
    release, also one that still goes on, or by a rollback.

    \b
    Examples:
      govern lineage clinical-risk-classifier/1
      govern lineage --endpoint clinical-risk
      govern lineage clinical-risk-classifier/1 --svg lineage.svg
      govern lineage clinical-risk-classifier/1 --json
    """
    from cli import lineage as lineages
    from cli.target import open_target

    if reference and reference.startswith("arn:") and not endpoint:
        reference, endpoint = None, reference
    if bool(reference) == bool(endpoint):
        raise usage("name either a version or an endpoint", "govern lineage --help")
    if file is not None and file.exists() and not force:
        raise GovernError("exists", f"{file} is there already", "--force, or another --svg")
    where = open_target(options)
    if endpoint:
        found = lineages.of_endpoint(where, endpoint)
    else:
        found = lineages.of_version(where, str(reference))
    if file is not None:
        _draw(found, file)
    if options.as_json:
        output({**found, "svg": str(file) if file else None})
    else:
        from cli import lineage_text, present

        present.console().print(lineage_text.text(found, str(file) if file else None))
    return 0 if found["agrees"] else REFUSED


def _draw(found: Mapping[str, Any], file: Path) -> None:
    from cli import lineage_picture

    try:
        file.write_text(lineage_picture.svg(found), encoding="utf-8")
    except OSError as error:
        raise GovernError(
            "unwritable", f"cannot write {file}: {error.strerror}", "check the path", USAGE
        ) from error
