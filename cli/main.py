"""`govern`: the group of commands, and the one place where errors become text and exit codes.

Exit codes: 0 done, 1 refused or failed (the reason is printed), 2 called wrongly, 3 not running
or not reachable.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from cli.brief_commands import brief
from cli.commands import (
    approve,
    break_glass,
    doctor,
    dossier,
    history,
    provision,
    reject,
    review,
    status,
    verify,
)
from cli.deployment_commands import deployment
from cli.errors import USAGE, GovernError
from cli.lineage_commands import lineage
from cli.local_commands import demo, local
from cli.policy_commands import explain, policy
from cli.recall_commands import recall
from cli.retire_commands import retire
from cli.rollback_commands import rollback


class _Govern(click.Group):
    """A group whose commands return their exit code, and whose errors have one form."""

    def main(self, args: Sequence[str] | None = None, *arguments: Any, **options: Any) -> NoReturn:
        """Run a command and exit; with --json an error is JSON on standard output."""
        given = list(sys.argv[1:] if args is None else args)
        options["standalone_mode"] = False
        try:
            code = super().main(given, *arguments, **options)
        except click.Abort:
            code = _fail(GovernError("aborted", "stopped; what was decided stays decided"), given)
        except click.ClickException as error:
            code = _fail(_from_click(error), given)
        except GovernError as error:
            code = _fail(error, given)
        except _expected() as error:
            code = _fail(_from_library(error), given)
        sys.exit(code or 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of their use, not of the alphabet."""
        return list(self.commands)


@click.group(cls=_Govern, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="governed-path", prog_name="govern")
def cli() -> None:
    """Governed promotion of machine-learning models: Dev, Central, Test, Prod.

    Every command acts as one persona, with the credentials of that persona's own IAM role: in the
    embedded AWS of this machine, or with --target aws in real accounts.

    \b
    Examples:
      govern demo
      govern status
      govern approve clinical-risk-classifier/1 --stage test --as ai-engineer --wait
      govern history clinical-risk-classifier

    \b
    Exit codes:
      0 done   1 refused or failed   2 called wrongly   3 not running or not reachable
    """


for command in (
    demo,
    local,
    provision,
    approve,
    reject,
    review,
    break_glass,
    rollback,
    recall,
    retire,
    status,
    history,
    verify,
    dossier,
    explain,
    brief,
    lineage,
    deployment,
    policy,
    doctor,
):
    cli.add_command(command)


def main() -> NoReturn:
    """The console script."""
    cli.main(prog_name="govern")


def _fail(error: GovernError, given: Sequence[str]) -> int:
    """Print the error in the form that the caller reads; returns its exit code."""
    # A command line that cannot be parsed has no options yet, so the flag is looked for as text.
    if "--json" in given:
        click.echo(json.dumps(error.to_dict(), indent=2, ensure_ascii=False))
        return error.exit_code
    click.echo(f"{click.style('Error:', fg='red')} {error.message}", err=True)
    if error.hint:
        click.echo(f"  Next: {error.hint}", err=True)
    return error.exit_code


def _from_click(error: click.ClickException) -> GovernError:
    context = getattr(error, "ctx", None)
    hint = f"{context.command_path} --help" if context is not None else "govern --help"
    return GovernError("usage", error.format_message(), hint, USAGE)


def _expected() -> tuple[type[Exception], ...]:
    """What libraries raise on purpose. Only evaluated on an error: botocore is slow to import."""
    from botocore.exceptions import BotoCoreError, ClientError

    from governance.domain import errors

    return (
        BotoCoreError,
        ClientError,
        errors.TransientError,
        errors.InvalidInputError,
        errors.IntegrityError,
        errors.AccessError,
        errors.NotFoundError,
    )


def _from_library(error: Exception) -> GovernError:
    from botocore.exceptions import BotoCoreError, ClientError

    from cli.aws import explain

    if isinstance(error, ClientError | BotoCoreError):
        return explain(error)
    return GovernError(type(error).__name__, str(error))


if __name__ == "__main__":
    main()
