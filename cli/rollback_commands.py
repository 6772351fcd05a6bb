"""The command that takes an endpoint back to what served before."""

from __future__ import annotations

import click

from cli.commands import follow, output
from cli.options import Options, acting, waiting


@click.command(short_help="Take an endpoint back to the version that served before.")
@click.argument("endpoint", metavar="ENDPOINT")
@click.option(
    "--to",
    type=click.IntRange(min=1),
    metavar="VERSION",
    help="The version to go back to; otherwise the last good one, by the ledger.",
)
@click.option(
    "--drill",
    is_flag=True,
    help="Only try it: the version to go back to is put up in Test, and Prod stays as it is.",
)
@click.option(
    "--because", required=True, metavar="TEXT", help="What is wrong, or why a drill; required."
)
@click.option("--wait/--no-wait", default=True, help="Follow it until it ends.", show_default=True)
@waiting(1800, "How long --wait waits.")
@acting()
def rollback(
    options: Options,
    endpoint: str,
    to: int | None,
    drill: bool,
    because: str,
    wait: bool,
    timeout: float,
) -> int:
    """Take a Prod endpoint back to the version that served before, as the persona's own IAM role.

    The request stands on the version that serves, or that is being released: a release that goes on
    is stopped first. The gate asks that the version to go back to has served this endpoint, was
    not recalled, is signed off and has its bytes; all traffic then goes back at once. The exit
    code says how it ended.

    With --drill the same version is found, tried and asked the gate about, then made to serve in
    the Test account by the same path and sent its sample; the endpoint there is removed, and the
    drill is recorded. The exit code says whether the way back holds.

    \b
    Examples:
      govern rollback clinical-risk --as governance-engineer \\
        --because "Risks of patients over 80 are far too low since noon"
      govern rollback clinical-risk --to 3 --as ai-engineer \\
        --because "Version 4 was trained on the wrong extract" --json
      govern rollback clinical-risk --drill --as ai-engineer \\
        --because "Quarterly drill"
    """
    from cli import ledger, present, rollbacks
    from cli.target import open_target

    rollbacks.check(options.persona, because)
    where = open_target(options)
    model = str(rollbacks.model_of(where.reader, endpoint)["model"])
    after = ledger.head(where.reader, model)
    phase = rollbacks.DRILL if drill else rollbacks.PHASE
    asked = rollbacks.ask(where, endpoint, because, to, phase)
    if not options.as_json:
        present.console().print(
            f"{asked.model}/{asked.version} is {asked.stage}/{asked.stage_status}; that starts "
            f"{asked.workflow}"
        )
    entry = follow(where, asked, after, timeout, options.as_json) if wait else None
    if options.as_json:
        output({"decision": asked.to_dict(), **({"entry": entry} if entry else {})})
    elif entry and drill:
        present.console().print(present.drill(endpoint, entry))
    elif entry:
        swap = entry["rollback"]
        present.console().print(
            f"{endpoint} serves {swap['to'].rpartition(':model-package/')[2]} again, after "
            f"{swap['seconds']} s; entry {entry['sequence']}"
        )
    return 0
