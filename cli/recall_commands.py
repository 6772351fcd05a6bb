"""`govern recall`: take back a version, or everything that holds a dataset, an image, a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import REFUSED, GovernError, usage
from cli.options import Options, acting, waiting

if TYPE_CHECKING:
    from cli.target import Target

Row = dict[str, Any]


@click.command(short_help="Take a version back, or all that holds something bad.")
@click.argument("reference", metavar="[MODEL/VERSION]", required=False)
@click.option("--dataset-version", metavar="ID", help="S3 version id, or SHA-256, of the dataset.")
@click.option("--image", metavar="sha256:DIGEST", help="Digest of the container image.")
@click.option("--library", metavar="NAME[==VERSION]", help="A library; any version without one.")
@click.option("--because", default="", metavar="TEXT", help="What is wrong; required to recall.")
@click.option("--roll-back", is_flag=True, help="Also take Prod endpoints of projects back.")
@click.option("--dry-run", is_flag=True, help="Only show the blast radius.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write the blast radius; its SHA-256 is in the ledger.",
)
@waiting(300, "How long to wait until each recall is recorded.")
@acting()
def recall(
    options: Options,
    reference: str | None,
    dataset_version: str | None,
    image: str | None,
    library: str | None,
    because: str,
    roll_back: bool,
    dry_run: bool,
    yes: bool,
    report: Path | None,
    timeout: float,
) -> int:
    """Take back a version, or every version that holds a dataset, an image or a library.

    First the blast radius is shown: every version of every model and what stands behind it, and
    every endpoint of every account that serves one. Then each version of Central becomes Prod /
    Recalled: its clearance ends, SageMaker makes no model of it any more, and no gate lets it, or
    what was recalled, pass again, whatever version it comes back as. Versions that are only in a
    project's Dev registry are not set: the gate refuses them once one of Central is recalled for
    the same part; if there is none, nothing is done and the exit code is 1. One that fails stops
    no other.

    With --roll-back, what serves nowhere is recalled first, so that nothing goes back to it; then
    every endpoint of a project in Prod that serves one is taken back, then what it served is
    recalled as well, also where there was no way back. What went back to one of them goes on from
    there.

    \b
    Examples:
      govern recall clinical-risk-classifier/3 --as governance-engineer \\
        --because "Wrong for patients above 90"
      govern recall --dataset-version 3sL4kqtJlcpXroDTDmJ --as governance-engineer --dry-run
      govern recall --library numpy==2.4.6 --as governance-engineer --yes \\
        --because "Sums are wrong, numpy advisory 2026-11"

    \b
    Exit codes:
      0 all recalled, or nothing was left to do   1 one was not, or an endpoint still serves one
      2 called wrongly   3 not running
    """
    from cli import recalls
    from cli.target import open_target

    named, part = recalls.subject(reference, dataset_version, image, library)
    if not dry_run:
        recalls.check_reason(because)
        if options.as_json and not yes:
            raise usage("--json asks nobody", "add --yes to recall, or --dry-run to look")
    where = open_target(options)
    radius = recalls.blast_radius(where, named, part)
    if report is not None:
        report.write_bytes(recalls.document(radius))
    _show(options, radius)
    waiting = recalls.to_recall(radius)
    if dry_run:
        return _finish(options, radius, [], [])
    recalls.check_in_central(radius)
    if waiting and not yes:
        click.confirm(f"Recall {len(waiting)} version{'s'[: len(waiting) != 1]}?", abort=True)
    if not roll_back:
        done = _recall_all(where, radius, waiting, because, timeout)
        return _finish(options, radius, done, radius["endpoints"])
    own = recalls.in_prod(where.reader, radius)
    serving = recalls.that_serve(own, waiting)
    done = _recall_all(where, radius, [v for v in waiting if v not in serving], because, timeout)
    swaps: dict[str, Row] = {}
    while own:
        swaps |= _roll_back_all(where, own, because, timeout)
        # During a trial two serve, and the way back from one leads to the other: once more.
        to = {row["endpoint_arn"]: swaps[row["endpoint_arn"]].get("to") for row in own}
        gone = [v for v in serving if v["model_package_arn"] not in to.values()]
        done += _recall_all(where, radius, gone, because, timeout)
        serving = [v for v in serving if v not in gone]
        arns = {v["model_package_arn"] for v in serving}
        own = [row for row in own if to[row["endpoint_arn"]] in arns]
    back = {arn for arn, swap in swaps.items() if swap["outcome"] == "rolled back"}
    still = [row for row in radius["endpoints"] if row["endpoint_arn"] not in back]
    return _finish(options, radius, done, still, list(swaps.values()))


def _recall_all(
    where: Target,
    radius: Mapping[str, Any],
    rows: Sequence[Row],
    because: str,
    timeout: float,
) -> list[Row]:
    """Every version set, then every record of it awaited: [{...row, outcome, problem}]."""
    from cli import ledger, recalls

    digest = recalls.digest(radius)
    heads = {model: ledger.head(where.reader, model) for model in {row["model"] for row in rows}}
    done: list[Row] = []
    for row in rows:
        try:
            recalls.recall(where.session, row, because, digest)
            done.append({**row, "outcome": "set", "problem": None})
        except GovernError as error:
            done.append({**row, "outcome": "failed", "problem": error.message})
    for one in done:
        if one["outcome"] == "failed":
            continue
        try:
            entry = recalls.recorded(where.reader, one, heads[one["model"]], timeout=timeout)
            one |= {"outcome": "recalled", "entry": entry["sequence"]}
        except GovernError as error:
            one |= {"outcome": "not recorded", "problem": error.message}
    return done


def _roll_back_all(
    where: Target, rows: Sequence[Row], because: str, timeout: float
) -> dict[str, Row]:
    """These endpoints taken back, one after the other: {endpoint ARN: {endpoint_name, outcome, …}}.

    What has no way back, or whose rollback the gate refuses, goes on serving and is told.
    """
    from cli import approvals, ledger, rollbacks

    done: dict[str, Row] = {}
    for row in rows:
        name = row["endpoint_name"]
        one = {"endpoint_name": name, "endpoint_arn": row["endpoint_arn"], "problem": None}
        try:
            model = str(rollbacks.model_of(where.reader, name)["model"])
            after = ledger.head(where.reader, model)
            asked = rollbacks.ask(where, name, because, None)
            entry = approvals.follow(where.reader, asked, after=after, timeout=timeout)
            refused = approvals.refusal(entry, asked)
            if refused is not None:
                raise refused
            one |= {"outcome": "rolled back", "to": entry["rollback"]["to"]}
        except GovernError as error:
            one |= {"outcome": "not rolled back", "problem": error.message}
        done[row["endpoint_arn"]] = one
    return done


def _show(options: Options, radius: Mapping[str, Any]) -> None:
    from cli import present

    if not options.as_json:
        present.console().print(present.blast_radius(radius))


def _finish(
    options: Options,
    radius: Mapping[str, Any],
    done: Sequence[Row],
    serving: Sequence[Row],
    swaps: Sequence[Row] = (),
) -> int:
    """Say how it ended, and which endpoints still serve what is recalled; the exit code."""
    from cli import present, recalls
    from cli.commands import output

    failed = [one for one in done if one["outcome"] != "recalled"]
    if options.as_json:
        output(
            {
                "blast_radius": radius,
                "blast_radius_sha256": recalls.digest(radius),
                "recalled": list(done),
                "rolled_back": list(swaps),
                "still_serving": list(serving),
            }
        )
    elif done or serving or swaps:
        present.console().print(present.recalled(done, serving, swaps))
    return REFUSED if failed or serving else 0
