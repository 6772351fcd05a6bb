"""Commands about policy: why a version was decided on as it was, and what a policy would decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.commands import output
from cli.options import REGISTRY, Options, acting, as_json, name

if TYPE_CHECKING:
    from cli.backtest import Documents

_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(short_help="Why a version was allowed or denied, rule by rule.")
@click.argument("reference", metavar="MODEL/VERSION")
@REGISTRY
@acting("governance-engineer")
def explain(options: Options, reference: str, registry: str) -> int:
    """The last verdict about a version: each rule, what it saw and wanted, who can do what.

    \b
    Examples:
      govern explain clinical-risk-classifier/1
      govern explain clinical-risk-classifier/1 --registry dev
      govern explain clinical-risk-classifier/1 --json
    """
    from cli import explain as explaining
    from cli import ledger, present, projects, versions
    from cli.errors import GovernError, usage
    from cli.target import open_target

    model, version = versions.parse(reference)
    if version is None:
        raise usage(f"{reference} names no version", f"for example {model}/1")
    where = open_target(options)
    project = projects.project_of(where.reader, model)
    account = str(project["accounts"]["dev"]) if registry == "dev" else where.central_account
    arn = versions.package_arn(where.session, account, model, version)
    story = ledger.story(ledger.of_versions(ledger.entries(where.reader, model)), arn)
    found = explaining.explain(story)
    if found is None:
        raise GovernError(
            "not_found",
            f"no gate was asked about version {version} of the {registry} registry yet",
            f"govern history {model} shows what happened; Dev's numbers need --registry dev",
        )
    if options.as_json:
        output({"model": model, "version": version, **found})
    else:
        present.console().print(present.explanation(found))
    return 0


@click.group(short_help="Check policies, and replay past decisions under them.")
def policy() -> None:
    """Check policies before they are published, and replay past decisions under them.

    A directory of policies has approvals.cedar, approvals.cedarschema and tiers/<tier>.json, as
    policies/ has here. An Admin publishes one with `govern provision`.

    \b
    Examples:
      govern policy check
      govern policy backtest proposals/2027
    """


@policy.command("check", short_help="Is this a policy that gates can decide by?")
@click.argument("directory", type=_DIRECTORY, required=False)
@as_json
def check(directory: Path | None, as_json: bool) -> int:
    """Check the rules by their schema, the tiers by theirs, and that every rule is explained.

    Exit code 0 if all is well, 1 with every problem by file and line.

    \b
    Examples:
      govern policy check
      govern policy check proposals/2027 --json
    """
    from cli import policies, present

    directory = directory or policies.DIRECTORY
    found = policies.check(directory)
    if as_json:
        problems = [problem.to_dict() for problem in found]
        output({"directory": str(directory), "valid": not found, "problems": problems})
    elif found:
        for problem in found:
            present.console(stderr=True).print(str(problem), soft_wrap=True)
    else:
        present.console().print(f"{directory}: a policy that gates can decide by")
    return 1 if found else 0


@policy.command("backtest", short_help="Which past decisions would change, and why?")
@click.argument("directory", type=_DIRECTORY)
@click.option(
    "--model",
    "models",
    multiple=True,
    callback=lambda context, parameter, value: tuple(name(context, parameter, v) for v in value),
    metavar="MODEL",
    help="Only this model's decisions; may be repeated.",
)
@click.option(
    "--facts",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Instead of the ledger: a dossier, or what `govern history MODEL --json` printed.",
)
@acting("governance-engineer")
def backtest(
    options: Options, directory: Path, models: Sequence[str], files: Sequence[Path]
) -> int:
    """Replay the facts of past decisions under the policies of a directory.

    The deployment definitions that were decided on are held against the bounds of the proposed
    tier. A dossier holds those of its version; an export of history holds none, and what the gate
    said of them then is kept and counted.

    Exit code 0 if every decision and its reasons stay, 1 if some would change, 2 if the directory
    is no policy.

    \b
    Examples:
      govern policy backtest proposals/2027
      govern policy backtest proposals/2027 --model clinical-risk-classifier --json
      govern policy backtest proposals/2027 --facts clinical-risk-classifier-1.dossier.zip
    """
    from cli import backtest as replaying
    from cli import present
    from cli.errors import usage

    if files and models:
        raise usage("--model is for the ledger; a file has its own models", "leave one out")
    entries, documents = replaying.from_files(files) if files else _recorded(options, models)
    found = replaying.backtest(entries, directory, documents)
    if options.as_json:
        output(found)
    else:
        present.console().print(present.backtest(found))
    return 1 if found["changes"] else 0


def _recorded(options: Options, models: Sequence[str]) -> tuple[list[Mapping[str, Any]], Documents]:
    """The ledger entries of these models, or of all, and where definitions are read."""
    from cli import evidence, ledger, projects
    from cli.target import open_target

    reader = open_target(options).reader
    chosen = models or [str(project["model"]) for project in projects.all_projects(reader)]
    entries: list[Mapping[str, Any]] = []
    for model in chosen:
        entries += ledger.entries(reader, model)
    fetch = cache(lambda uri: evidence.document(reader, uri))
    return entries, lambda reference: fetch(reference["uri"])
