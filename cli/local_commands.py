"""The embedded AWS from the command line; users of real accounts never import it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.commands import output
from cli.errors import NOT_RUNNING, GovernError
from cli.options import as_json

if TYPE_CHECKING:
    from local.launcher import Server


@click.group(short_help="The embedded AWS: start, look, stop.")
def local() -> None:
    """The embedded AWS on this machine: start it, look at it, stop it.

    \b
    Examples:
      govern local up
      govern local status --json
      govern local down
    """


@local.command()
@as_json
def up(as_json: bool) -> int:
    """Start the embedded AWS, or find the one that runs. It starts empty; nothing is deployed.

    `make demo` does not fill it, but removes it and starts one of its own.

    \b
    Examples:
      govern local up
    """
    from local import launcher

    try:
        server = launcher.up()
    except launcher.LauncherError as error:
        raise GovernError(
            "failed", str(error), "govern local down, then govern local up"
        ) from error
    _show(server, as_json)
    return 0


@local.command()
@as_json
def status(as_json: bool) -> int:
    """Say whether the embedded AWS runs, and where. Exit code 3 if it does not.

    \b
    Examples:
      govern local status
      export AWS_ENDPOINT_URL=$(govern local status --json | jq -r .endpoint_url)
      export AWS_ACCESS_KEY_ID=111122223333 AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION=us-east-1
      aws s3 ls

    IAM is enforced. The root of an account has its id as access key, and any secret.
    """
    from local import launcher

    server = launcher.status()
    if server is None:
        raise GovernError(
            "not_running",
            "the embedded AWS is not running",
            "`make demo` starts and fills it; `govern local up` only starts it",
            NOT_RUNNING,
        )
    _show(server, as_json)
    return 0


@local.command()
@as_json
def down(as_json: bool) -> int:
    """Stop the embedded AWS and all that it started, and remove its state.

    \b
    Examples:
      govern local down
    """
    from local import launcher

    stopped = launcher.down()
    if as_json:
        output({"stopped": stopped})
    else:
        click.echo("The embedded AWS is stopped" if stopped else "There was nothing to stop")
    return 0


@click.command(short_help="Run the whole path on this machine.")
@as_json
def demo(as_json: bool) -> int:
    """Run the whole path on this machine: four accounts, four personas, a real model.

    It starts afresh: an embedded AWS that runs is removed first, with everything in it.

    \b
    Examples:
      govern demo
      govern demo --json
    """
    from cli import present
    from cli.demo import run

    return run(present.console(), as_json)


def _show(server: Server, as_json: bool) -> None:
    from cli import present

    facts = {
        "endpoint_url": server.endpoint_url,
        "region": server.region,
        "accounts": server.accounts,
        "pid": server.pid,
        "started_at": server.started_at,
        "state_dir": server.state_dir,
    }
    if as_json:
        output(facts)
        return
    facts["accounts"] = ", ".join(f"{name} {id_}" for name, id_ in server.accounts.items())
    present.console().print(present.facts_table(facts))
