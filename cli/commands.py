"""The personas' commands. Each imports what it needs when it runs, so that --help is immediate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import REFUSED, GovernError, usage
from cli.options import (
    AT,
    REGISTRY,
    REVIEWS,
    STAGES,
    TIERS,
    Options,
    account_id,
    acting,
    name,
    waiting,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cli.approvals import Decision
    from cli.target import Target
    from cli.verification import Report
    from governance.domain.phases import Phase


def output(document: Mapping[str, Any]) -> None:
    """Print a JSON document for programs."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


_REFERENCE = click.argument("reference", metavar="MODEL/VERSION")
_STAGE = click.option(
    "--stage", type=click.Choice(STAGES), required=True, help="The stage that is decided on."
)


@click.command(short_help="Approve one version for a stage.")
@_REFERENCE
@_STAGE
@click.option("--because", default="", metavar="TEXT", help="Why; required for prod.")
@click.option(
    "--deployment",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="test: publish this deployment.yaml and approve it with the version.",
)
@click.option("--wait", is_flag=True, help="Follow the workflow until it ends.")
@waiting(1800, "How long --wait waits.")
@acting()
def approve(
    options: Options,
    reference: str,
    stage: str,
    because: str,
    deployment: Path | None,
    wait: bool,
    timeout: float,
) -> int:
    """Approve one version for a stage, as the persona's own IAM role.

    The approval starts a workflow: dev promotes the version to Central, test validates it on a
    real endpoint, prod releases it. With --wait the exit code says how it ended. What is approved
    is the version with a deployment definition: that of --deployment, otherwise the one that an
    earlier approval gave the version, otherwise the project's.

    \b
    Examples:
      govern approve clinical-risk-classifier/1 --stage dev --as data-scientist
      govern approve clinical-risk-classifier/1 --stage test --as ai-engineer --wait
      govern approve clinical-risk-classifier/1 --stage test --as ai-engineer \\
        --deployment deploy/deployment.yaml
      govern approve clinical-risk-classifier/1 --stage prod --as governance-engineer \\
        --because "Validation report reviewed, subgroup gaps within the tier's limits" --wait
    """
    from cli import approvals

    if deployment is not None and stage != "test":
        raise usage(
            f"--deployment is not for {stage}: what Prod gets is what was tested",
            "an AI Engineer names it with the approval for test",
        )
    return _decide(
        *(options, reference, stage, approvals.APPROVED, because),
        timeout if wait else None,
        deployment,
    )


@click.command(short_help="Reject one version for a stage.")
@_REFERENCE
@_STAGE
@click.option("--because", required=True, metavar="TEXT", help="Why; always required.")
@acting()
def reject(options: Options, reference: str, stage: str, because: str) -> int:
    """Reject one version for a stage, as the persona's own IAM role.

    \b
    Examples:
      govern reject clinical-risk-classifier/2 --stage test --as ai-engineer \\
        --because "The sample payload lacks the age column"
    """
    from cli import approvals

    return _decide(options, reference, stage, approvals.REJECTED, because, None)


_RECORDED = waiting(120, "How long to wait until it is recorded.")


@click.command(short_help="Give a review of one version, or take it back.")
@_REFERENCE
@click.option("--kind", type=click.Choice(REVIEWS), required=True, help="The review that is given.")
@click.option("--because", required=True, metavar="TEXT", help="On what it rests; always required.")
@click.option("--revoke", is_flag=True, help="Take back the review that you gave.")
@_RECORDED
@acting()
def review(
    options: Options, reference: str, kind: str, because: str, revoke: bool, timeout: float
) -> int:
    """Give a review of one version for Prod, as the persona's own IAM role.

    It is bound to the candidate and recorded with your name; the exit code says whether it counts.
    Technical reviews are an AI engineer's, the others a governance engineer's. A review expires as
    the tier says, and a new validation, a rejection or a change of the version voids it.

    \b
    Examples:
      govern review clinical-risk-classifier/1 --kind technical --as ai-engineer \\
        --because "Code, data and test report read"
      govern review clinical-risk-classifier/1 --kind compliance --as governance-engineer \\
        --user chloe --because "Model card and bias assessment read"
      govern review clinical-risk-classifier/1 --kind technical --as ai-engineer --revoke \\
        --because "A leak between training data and holdout is possible"
    """
    from dataclasses import replace

    from cli import reviews

    if options.target == "local" and options.user is None:
        from local.organisation import REVIEWERS

        persona, player = REVIEWERS[kind]
        if options.persona == persona:
            options = replace(options, user=player)
    return _say(options, reference, reviews.phase_of(kind, revoke), because, timeout)


@click.command("break-glass", short_help="Ask to release in an emergency, without all reviews.")
@_REFERENCE
@click.option("--because", required=True, metavar="TEXT", help="The emergency; always required.")
@_RECORDED
@acting()
def break_glass(options: Options, reference: str, because: str, timeout: float) -> int:
    """Ask to release one version in an emergency, without all of its reviews.

    Somebody else must sign for Prod, within hours. The reviews that the release did without are
    owed as soon as the version serves, by a deadline, from others than these two.

    \b
    Examples:
      govern break-glass clinical-risk-classifier/2 --as ai-engineer \\
        --because "Version 1 returns errors for a tenth of the patients"
    """
    from cli import reviews

    return _say(options, reference, reviews.EMERGENCY, because, timeout)


@click.command(short_help="Make Central ready for a model.")
@click.argument("model", callback=name)
@click.option("--project", required=True, metavar="NAME", help="The project that owns the model.")
@click.option("--tier", type=click.Choice(TIERS), required=True, help="The model's risk tier.")
@click.option("--dev", required=True, callback=account_id, metavar="ID", help="Dev account.")
@click.option("--test", required=True, callback=account_id, metavar="ID", help="Test account.")
@click.option("--prod", required=True, callback=account_id, metavar="ID", help="Prod account.")
@click.option(
    "--endpoint-name",
    required=True,
    callback=name,
    metavar="NAME",
    help="What Prod's clients call.",
)
@click.option(
    "--deployment",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The deployment.yaml of versions whose approval names none; an AI Engineer has published "
    "it. Without it the project keeps what it has.",
)
@acting("admin")
def provision(
    options: Options,
    model: str,
    project: str,
    tier: str,
    dev: str,
    test: str,
    prod: str,
    endpoint_name: str,
    deployment: Path | None,
) -> int:
    """Make Central ready for a model: group, sharing with Prod, tier policy, directory entry.

    What is as it should be is left alone, so it can be repeated, and it says what it changed.

    \b
    Examples:
      govern provision clinical-risk-classifier --project clinical-risk --tier high \\
        --dev 444455556666 --test 777788889999 --prod 123456789012 \\
        --endpoint-name clinical-risk --deployment deploy/deployment.yaml
    """
    from cli import deployments, present, provisioning
    from cli.target import open_target

    wanted = provisioning.Project(
        model,
        project,
        tier,
        {"dev": dev, "test": test, "prod": prod},
        endpoint_name,
        deployments.read(deployment, deployments.tier_policy(tier)) if deployment else None,
    )
    provisioning.check(wanted)
    where = open_target(options)
    done = provisioning.provision(where.session, wanted, account=where.central_account)
    if options.as_json:
        output(done)
    else:
        present.console().print(present.changes_table(done["changes"]))
    return 0


_WATCH = 5.0  # seconds between two looks, if nothing else is said
_SHORTEST_WATCH = 2.0  # SageMaker answers a few calls a second


@click.command(short_help="Where every model stands, what every endpoint serves.")
@click.argument("model", required=False)
@AT
@click.option(
    "--watch",
    is_flag=False,
    flag_value=_WATCH,
    type=click.FloatRange(min=_SHORTEST_WATCH),
    metavar="[SECONDS]",
    help=f"Look again and again, every {_WATCH:g} seconds or as often as said; Ctrl-C ends it.",
)
@acting("governance-engineer")
def status(options: Options, model: str | None, at: str | None, watch: float | None) -> int:
    """The board: where every model stands, what every endpoint serves, and which reviews stand.

    With MODEL, every version of it. Endpoints are as SageMaker has them at this moment: version and
    share of traffic of each variant, a deployment or trial that is under way with its strategy, the
    last alarm; since when, by whose approval and how the last bake ended is the ledger's. Dev
    versions are listed once somebody has approved them; with --as data-scientist, all are. With
    --at everything is as the ledger had it then.

    \b
    Examples:
      govern status
      govern status --watch 10
      govern status clinical-risk-classifier --as data-scientist
      govern status --at 2026-11-21T09:30
      govern status --json
    """
    from cli import present
    from cli.target import open_target

    if watch is not None and (options.as_json or at is not None):
        raise usage(
            "--watch goes neither with --json nor with --at", "call it again instead, or leave it"
        )
    where = open_target(options)
    if watch is None:
        found = _board(where, options, model, at)
        if options.as_json:
            output(found)
        else:
            present.console().print(present.board(found, details=model is not None))
        return 0
    _watch(watch, lambda: present.board(_board(where, options, model, None), model is not None))
    return 0


def _board(where: Target, options: Options, model: str | None, at: str | None) -> dict[str, Any]:
    """The board as JSON: {models, versions, endpoints, reviews, not_looked_at}."""
    from cli import board, endpoints, evidence, projects
    from cli.target import observer_session

    reader = where.reader
    chosen = [projects.project_of(reader, model)] if model else projects.all_projects(reader)
    dev = where.session if options.persona == "data-scientist" else None
    if at is not None:
        found: dict[str, Any] = {**board.board_at(reader, chosen, where.central_account, at)}
        problems: list[dict[str, str]] = []
    else:
        found = {**board.board(reader, chosen, where.central_account, dev)}
        seen, problems = endpoints.in_accounts(
            lambda account: observer_session(reader, account), endpoints.accounts_of(chosen)
        )
        found["endpoints"] = board.as_seen(
            *(found["endpoints"], seen, problems, chosen, found.pop("runs")),
            lambda reference: evidence.definition(reader, reference),
        )
    models = board.by_stage(found["versions"], chosen)
    return {"models": models, **found, "not_looked_at": problems}


def _watch(seconds: float, look: Callable[[], RenderableType]) -> None:
    """Show what `look` returns, again every so many seconds, until somebody ends it."""
    import time

    from rich.live import Live
    from rich.text import Text

    from cli import present

    with (
        suppress(KeyboardInterrupt),
        Live(console=present.console(), auto_refresh=False, vertical_overflow="visible") as live,
    ):
        while True:
            try:
                shown = look()
            except GovernError as error:
                # Whoever watches through a night wants the next look, not the end of it.
                shown = Text(f"{error.message}; trying again in {seconds:g} s", style="red")
            live.update(shown, refresh=True)
            time.sleep(seconds)


@click.command(short_help="What happened, who decided, why not.")
@click.argument("reference", metavar="MODEL[/VERSION]")
@REGISTRY
@AT
@acting("governance-engineer")
def history(options: Options, reference: str, registry: str, at: str | None) -> int:
    """What happened to a model or one version, who decided it, and why not.

    \b
    Examples:
      govern history clinical-risk-classifier
      govern history clinical-risk-classifier/1 --registry dev
      govern history clinical-risk-classifier --at 2026-11-21 --json
    """
    from cli import ledger, present, projects, versions
    from cli.errors import GovernError
    from cli.target import open_target

    model, version = versions.parse(reference)
    where = open_target(options)
    project = projects.project_of(where.reader, model)
    dev = str(project["accounts"]["dev"])
    entries: Sequence[Mapping[str, Any]] = ledger.until(ledger.entries(where.reader, model), at)
    if version is not None:
        account = dev if registry == "dev" else where.central_account
        arn = versions.package_arn(where.session, account, model, version)
        entries = ledger.story(entries, arn)
        if not entries:
            raise GovernError(
                "not_found",
                f"the ledger has nothing about version {version} of the {registry} registry",
                f"govern history {model} shows all; Dev's numbers need --registry dev",
            )
    if options.as_json:
        output({"model": model, "entries": entries})
    elif entries:
        present.console().print(present.history(entries, dev))
    else:
        when = f"up to {at}" if at else "yet"
        present.console().print(f"The ledger has nothing about {model} {when}")
    return 0


_KEY = click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.pem",
    help="The public key that you trust.",
)
_FINGERPRINT = click.option(
    "--fingerprint", metavar="HEX", help="Instead of --key: the SHA-256 of its DER."
)


@click.command(short_help="Check a model's ledger and evidence, or a dossier.")
@click.argument("subject", metavar="MODEL[/VERSION] | FILE")
@_KEY
@_FINGERPRINT
@click.option(
    "--page",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE.html",
    help="FILE: draw the page again from the evidence that was checked.",
)
@acting("governance-engineer")
def verify(
    options: Options, subject: str, key: Path | None, fingerprint: str | None, page: Path | None
) -> int:
    """Check that nothing was changed, dropped, reordered, added or signed by somebody else.

    A model: every entry, signature and link of its ledger, its archive, and every manifest and
    report that entries name. A version: also that it still is the candidate that was approved. A
    dossier's file: the same without a network, by what is in it and the key that you trust.

    \b
    Examples:
      govern verify clinical-risk-classifier
      govern verify clinical-risk-classifier/1 --key ledger-key.pem
      govern verify clinical-risk-classifier-1.dossier.zip --fingerprint 5f0c...e2

    \b
    Exit codes:
      0 nothing is wrong   1 something is, and it is named   2 not a dossier, or called wrongly
    """
    from cli import dossier, present, verification

    trusted = dossier.trusted_key(key, fingerprint)
    file = Path(subject)
    if file.is_file() or file.suffix == ".zip":
        checked = dossier.check(dossier.read(file), trusted)
        report = verification.of_file(file.name, checked)
        if page is not None:
            dossier.draw(checked, page)
    else:
        report = _verify_online(options, subject, trusted, page)
    if options.as_json:
        output(report.to_dict())
    else:
        present.console().print(present.verification(report, verification.ALL_KINDS))
    return 0 if report.passed else REFUSED


def _verify_online(
    options: Options, subject: str, trusted: str | None, page: Path | None
) -> Report:
    from cli import verification, versions
    from cli.target import open_target

    if page is not None:
        raise usage("--page is for a dossier's file", "govern dossier MODEL/VERSION writes one")
    model, version = versions.parse(subject)
    where = open_target(options)
    with _progress(options, f"verify {subject}") as progress:
        return verification.online(where, model, version, trusted, progress)


@contextmanager
def _progress(options: Options, what: str) -> Iterator[Callable[[str, int], None]]:
    """Tells on standard error how far a long command is, unless a program reads."""
    from cli import present

    console = present.console(stderr=True)
    console.quiet = options.as_json
    with console.status(f"{what} ...") as spinner:
        yield lambda what_done, count: spinner.update(f"{what}: {count:,} {what_done}")


@click.command(short_help="Write all evidence about a version into one file.")
@_REFERENCE
@click.option(
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Default: MODEL-VERSION.dossier.zip here.",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
@click.option(
    "--controls",
    is_flag=True,
    help="Add which evidence satisfies which control (docs/compliance), and what none can.",
)
@acting("governance-engineer")
def dossier(
    options: Options, reference: str, file: Path | None, force: bool, controls: bool
) -> int:
    """Write one file that proves who approved which bytes on what evidence.

    It holds the ledger's signed attestations, manifest, reports, model card, policies, approvals,
    deployment definitions, lineage, the public key and a page to read; `govern verify FILE` checks
    it with no network. The same evidence gives the same file. Nothing is written if the evidence is
    not in order; a policy that is gone is named, here, on the page and by whoever verifies.

    \b
    Exit codes:
      0 complete   1 nothing written, or written without a policy that is gone   2 called wrongly

    \b
    Examples:
      govern dossier clinical-risk-classifier/1
      govern dossier clinical-risk-classifier/1 --output /media/audit/crc-1.zip
      govern dossier clinical-risk-classifier/1 --controls
    """
    from cli import compliance, present, verification, versions
    from cli import dossier as dossiers
    from cli.target import open_target
    from governance.domain import dossiers as evidence

    model, version = versions.parse(reference)
    if version is None:
        raise usage(f"which version of {model}?", f"name one: {model}/VERSION")
    to = file or Path(f"{model}-{version}.dossier.zip")
    if to.exists() and not force:
        raise GovernError("exists", f"{to} is there already", "--force, or another --output")
    where = open_target(options)
    with _progress(options, f"dossier {reference}") as progress:
        table = compliance.table() if controls else None
        files = verification.files_of(where, model, version, progress, table)
    written = dossiers.write(to, files)
    satisfied = compliance.of_dossier(files)
    absent = evidence.absent(files)
    if options.as_json:
        more = {"controls": satisfied} if satisfied else {}
        output(written | {"absent": absent} | more)
    else:
        if satisfied:
            present.console().print(present.controls(satisfied))
        present.console().print(present.facts_table(written))
        present.console().print(
            f"Whoever gets it: govern verify {to.name} --fingerprint {written['fingerprint']}",
            soft_wrap=True,
        )
        present.console(stderr=True).print(present.absent(absent), soft_wrap=True, end="")
    return REFUSED if any(absent.values()) else 0


def _decide(
    options: Options,
    reference: str,
    stage: str,
    decision: str,
    because: str,
    timeout: float | None,
    deployment: Path | None = None,
) -> int:
    """Decide, and follow what that starts unless `timeout` (seconds) is None."""
    from cli import approvals, ledger, present, versions
    from cli.target import open_target

    model, version = versions.parse(reference)
    approvals.check_reason(stage, decision, because)
    where = open_target(options)
    account = approvals.account_for(where, stage, model)
    definition = _published(where, model, deployment)["digest"] if deployment else None
    after = ledger.head(where.reader, model) if timeout else 0
    done = approvals.decide(
        *(where.session, model, version, stage, decision, because),
        account=account,
        definition=definition,
    )
    if not options.as_json:
        text = f"{model}/{done.version} is {done.stage}/{done.stage_status}"
        if done.workflow:
            text += f"; that starts {done.workflow}"
        present.console().print(text)
    entry = follow(where, done, after, timeout, options.as_json) if timeout else None
    if options.as_json:
        output({"decision": done.to_dict(), **({"entry": entry} if entry else {})})
    return 0


def _published(where: Target, model: str, file: Path) -> dict[str, str]:
    """Check a definition as a gate would, and publish it; its {digest, uri}."""
    from cli import deployments

    tier = deployments.tier_in_force(where.reader, model)
    definition = deployments.read(file, tier)
    return deployments.publish(where.session, where.central_account, model, definition)


def _say(options: Options, reference: str, phase: Phase, because: str, timeout: float) -> int:
    """Set the phase with the reason, and wait until it is recorded and counts."""
    from cli import ledger, present, projects, reviews, versions
    from cli.target import open_target
    from governance.adapters import clock

    model, version = versions.parse(reference)
    reviews.check(phase, options.persona, because)
    where = open_target(options)
    said = reviews.say(
        *(where.session, where.reader, model, version, phase, because),
        account=where.central_account,
    )
    console = present.console(stderr=True)
    console.quiet = options.as_json
    with console.status(f"{phase.name} is set; until it is recorded ...") as spinner:
        entry = reviews.recorded(
            where.reader,
            said,
            timeout=timeout,
            progress=lambda elapsed: spinner.update(f"{phase.name} is set; {elapsed:.0f} s"),
        )
    policy = reviews.policy_of(where.reader, projects.project_of(where.reader, model))
    entries = ledger.entries(where.reader, model)
    state = reviews.state(entries, said.model_package_arn, policy, clock.now())
    if options.as_json:
        output({"decision": said.to_dict(), "entry": entry, "reviews": state})
        return 0
    text = f"{model}/{said.version}: {phase.name} by {ledger.person(entry) or 'nobody known'}"
    present.console().print(f"{text} is entry {entry['sequence']}")
    if state:
        row = {"model": model, "version": said.version, **state}
        present.console().print(present.reviews_table([row]))
    return 0


def follow(
    where: Target, done: Decision, after: int, timeout: float, quiet: bool
) -> dict[str, Any]:
    """The entry with which the workflow ended well; GovernError if it did not."""
    from cli import approvals, present

    console = present.console(stderr=True)
    console.quiet = quiet
    with console.status(f"{done.workflow} ...") as spinner:

        def tell(elapsed: float, entry: Mapping[str, Any] | None) -> None:
            spinner.update(f"{done.workflow} {elapsed:.0f} s")
            if entry is not None:
                console.print(
                    f"{elapsed:6.1f} s  {entry['kind']}  {entry['stage']}/{entry['stage_status']}",
                )

        entry = approvals.follow(where.reader, done, after=after, timeout=timeout, progress=tell)
    refused = approvals.refusal(entry, done)
    if refused is not None:
        raise refused
    return entry


@click.command(short_help="Try the calls across accounts; say what is missing.")
@click.option("--model", metavar="NAME", help="Only this model's project; otherwise every one.")
@click.option("--project", metavar="NAME", help="Only the models of this project.")
@acting("admin")
def doctor(options: Options, model: str | None, project: str | None) -> int:
    """Try the calls that promotions make across accounts; where one fails, print what is missing.

    The hub's own function makes them, with its roles, as the first step of every promotion does:
    assume the hub's roles, read the project's bucket and decrypt it, use Central's key, look at
    registries, images, rules and the hub's bus. Nothing is changed. For every failure it says the
    statement that is missing, and the stack and parameter, or the command, that add it. Not tried
    are iam:PassRole, what an endpoint's execution role may do, layers of images in a registry of
    others, and whether a trail logs management events.

    \b
    Examples:
      govern doctor
      govern doctor --model clinical-risk-classifier
      govern doctor --project cardiology --target aws --json

    \b
    Exit codes:
      0 everything works   1 something is missing   3 not running or not deployed
    """
    from cli import doctor as looking
    from cli import present
    from cli.target import open_target

    report = looking.examine(open_target(options), model, project)
    if options.as_json:
        output(report)
    else:
        present.console().print(present.examination(report))
    return 0 if report["passed"] else REFUSED
