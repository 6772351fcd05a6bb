"""Commands about deployment definitions: is one right, and make it known."""

from __future__ import annotations

from pathlib import Path

import click

from cli.commands import output
from cli.errors import REFUSED
from cli.options import TIERS, Options, acting, as_json, name

_FILE = click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


@click.group(short_help="Check and publish how a model is served, tested and released.")
def deployment() -> None:
    """Check and publish deployment definitions: how a model is served, tested and released.

    A project keeps its own as deploy/deployment.yaml. Its digest is part of the approval: what was
    tested with one definition is not released with another.

    \b
    Examples:
      govern deployment check deploy/deployment.yaml --tier high
      govern deployment publish deploy/deployment.yaml --model clinical-risk-classifier \\
        --as ai-engineer
    """


@deployment.command("check", short_help="Is this file a definition that gates accept?")
@_FILE
@click.option("--tier", type=click.Choice(TIERS), help="Also hold it against this tier's bounds.")
@as_json
def check(file: Path, tier: str | None, as_json: bool) -> int:
    """Check a deployment.yaml: exit code 0 if all is well, 1 with every problem by its line.

    It needs no AWS.

    \b
    Examples:
      govern deployment check deploy/deployment.yaml
      govern deployment check deploy/deployment.yaml --tier high --json
    """
    from cli import deployments, present
    from governance.domain import definitions

    bounds = deployments.tier_policy(tier) if tier else None
    definition, found = deployments.check(file, bounds)
    digest = None if found else definitions.digest(definition)
    if as_json:
        problems = [problem.to_dict() for problem in found]
        output({"file": str(file), "valid": not found, "digest": digest, "problems": problems})
    elif found:
        for problem in found:
            present.console(stderr=True).print(str(problem), soft_wrap=True, markup=False)
    else:
        where = f" within the bounds of tier {tier}" if tier else ""
        text = f"{file}: a deployment definition{where}, {digest}"
        present.console().print(text, soft_wrap=True, markup=False)
    return REFUSED if found else 0


@deployment.command("publish", short_help="Store a definition, so that it can be approved.")
@_FILE
@click.option("--model", required=True, callback=name, metavar="MODEL", help="Whose it is.")
@acting()
def publish(options: Options, file: Path, model: str) -> int:
    """Store a deployment.yaml with the evidence, under its digest, where nobody overwrites it.

    It is held against the tier of the model if that is provisioned. `govern approve --deployment`
    publishes by itself; this is for the project's own definition (`govern provision --deployment`).

    \b
    Examples:
      govern deployment publish deploy/deployment.yaml --model clinical-risk-classifier \\
        --as ai-engineer
    """
    from cli import deployments, present
    from cli.target import open_target

    where = open_target(options)
    definition = deployments.read(file, deployments.tier_in_force(where.reader, model))
    reference = deployments.publish(where.session, where.central_account, model, definition)
    if options.as_json:
        output({"model": model, "definition": reference})
    else:
        present.console().print(f"{reference['digest']} is published for {model}")
        present.console().print(reference["uri"], soft_wrap=True, markup=False)
    return 0
