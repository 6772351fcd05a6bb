"""`govern retire`: the end of a version that nobody needs any more."""

from __future__ import annotations

import click

from cli.options import Options, acting, waiting


@click.command(short_help="Retire a version that nothing serves any more.")
@click.argument("reference", metavar="MODEL/VERSION")
@click.option("--because", required=True, metavar="TEXT", help="Why; always required.")
@waiting(120, "How long to wait until it is recorded.")
@acting()
def retire(options: Options, reference: str, because: str, timeout: float) -> int:
    """Retire one version of Central, as the persona's own IAM role. It is for good.

    Its clearance ends, and no gate and no rollback takes it again. What an endpoint still serves,
    by the ledger or by what SageMaker says in any account, is refused: the message names the
    endpoints.

    \b
    Examples:
      govern retire clinical-risk-classifier/3 --as governance-engineer \\
        --because "Replaced by version 7; nothing calls it"
    """
    from cli import ledger, present, retirements, reviews, versions
    from cli.commands import output
    from cli.target import open_target

    model, number = versions.parse(reference)
    retirements.check(options.persona, because)
    where = open_target(options)
    said = retirements.retire(where, model, number, because)
    entry = reviews.recorded(where.reader, said, timeout=timeout)
    if options.as_json:
        output({"decision": said.to_dict(), "entry": entry})
        return 0
    who = ledger.person(entry) or "nobody known"
    text = f"{model}/{said.version} is retired by {who}: entry {entry['sequence']}"
    present.console().print(text)
    return 0
