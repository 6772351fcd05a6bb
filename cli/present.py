"""Tables and texts for people. Rows are what the other modules return; nothing is read here."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cli import ledger
from cli.approvals import reason_lines
from governance.domain import comparisons
from governance.domain.controls import STANDINGS
from governance.domain.identity import account_of

if TYPE_CHECKING:
    from cli.verification import Report

_GOOD = {"Approved", "Passed", "Deployed"}
_BAD = {"Rejected", "Failed", "Errored", "RolledBack", "Recalled"}
_BUSY = {"Registering", "Validating", "Releasing", "PendingApproval"}
_RESULTS = {
    "passed": "green",
    "failed": "red",
    **dict.fromkeys(("not checked", "not tried", "unclear"), "yellow"),
}
_MOST_FINDINGS = 20  # that are shown to people
_PLAIN_WIDTH = 160  # columns when nobody's terminal says how many there are
_UNBOUNDED = 10_000  # columns
_NONE = "-"


# What would let people's words hide or turn round others: terminal sequences, change of direction.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class _Plain(Console):
    """A console on which words are words: no markup, no names of emoji, nothing that is unseen."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            # What is left out has no width, so that nothing moves.
            shown = text if control else _UNSEEN.sub("", text)
            yield Segment(shown, style, control)


def console(*, stderr: bool = False) -> Console:
    """A console on the present standard output or error; wide enough for a table in a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    made = _Plain(file=stream, highlight=False, soft_wrap=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _PLAIN_WIDTH
    return made


def stages_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The board's versions: model, registry, version, stage, status, candidate, since, approver."""
    table = _table("Model", "Registry", ">Version", "Stage", "Status", "Candidate", "Since", "By")
    for row in rows:
        table.add_row(
            str(row["model"]),
            str(row["registry"]),
            str(row["version"]),
            str(row["stage"] or _NONE),
            status_text(row["stage_status"]),
            short(row["candidate_id"]),
            moment(row["since"]),
            str(row["approver"] or _NONE),
        )
    return table


def board(found: Mapping[str, Any], details: bool = False) -> RenderableType:
    """The board: models by stage (with `details`, every version), endpoints by account, reviews."""
    if not found["models"]:
        return Text("No model is provisioned yet; an admin does that: govern provision --help")
    parts: list[RenderableType] = [
        stages_table(found["versions"]) if details else models_table(found["models"])
    ]
    for (stage, account), rows in _by_account(found["endpoints"]).items():
        parts += [
            Text(f"Endpoints in {f'{stage} ' if stage else ''}{account}", style="bold"),
            endpoints_table(rows),
            *_remarks(rows),
        ]
    parts += not_looked_at(found["not_looked_at"])
    if found["reviews"]:
        parts.append(reviews_table(found["reviews"]))
    return Group(*parts)


def models_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The newest version of every model in each stage, and the one that is deployed."""
    table = _table("Model", "Tier", "Dev", "Test", "Prod")
    for row in rows:
        stages = (_standing(row[stage]) for stage in ("dev", "test", "prod"))
        table.add_row(row["model"], row["risk_tier"], *stages)
    return table


def _standing(rows: Sequence[Mapping[str, Any]]) -> Text:
    lines = [Text.assemble(f"{row['version']} ", status_text(row["stage_status"])) for row in rows]
    return Text("\n").join(lines) if lines else Text(_NONE)


def endpoints_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Endpoints: what each of their variants serves, its share, since when and signed by whom.

    Where a line of that does not fit into the console, it is two.
    """
    wide = _table("Endpoint", "Serves", "Candidate", ">Traffic", "Since (UTC)", "By", "State")
    narrow = _table("Endpoint\n  serves", "Candidate\ntraffic", "Since (UTC)\nby", "State")
    for row in rows:
        variants = row.get("variants") or [{**row, "share": None, "shadow": False}]
        for number, one in enumerate(variants):
            first = number == 0
            own = one["model_package_arn"] == row["model_package_arn"]
            name = row["endpoint_name"] if first else ""
            serves = serves_text({"incoming": False, **one})
            candidate, share = short(one["candidate_id"]), share_text(one)
            since = moment(row["since"])[:16] if own else _NONE
            by = str((row["approver"] if own else None) or _NONE)
            state = _state(row) if first else Text()
            wide.add_row(name, serves, candidate, share, since, by, state)
            named = f"{name}\n  {serves}" if first else f"  {serves}"
            narrow.add_row(named, f"{candidate}\n{share}", f"{since}\n{by}", state)
    return _Fitting(wide, narrow)


class _Fitting:
    """The wide table, or the narrow one where the wide does not fit."""

    def __init__(self, wide: Table, narrow: Table) -> None:
        self._wide, self._narrow = wide, narrow

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterable[RenderableType]:
        needed = console.measure(self._wide, options=options.update(width=_UNBOUNDED)).maximum
        yield self._wide if needed <= options.max_width else self._narrow


def _state(row: Mapping[str, Any]) -> Text:
    status = row.get("status")
    if status is None:
        return Text("not looked at" if "status" in row else _NONE, style="yellow")
    good = status == "InService" and not row["differs"]
    bad = status in ("Failed", "Missing", "OutOfService") or row["differs"]
    said = "differs" if row["differs"] and status not in ("Failed", "Missing") else status
    return Text(said, style="green" if good else "red" if bad else "yellow")


def _remarks(rows: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """What does not fit into a row: a deployment under way, an alarm, what should not be."""
    found: list[RenderableType] = []
    for row in rows:
        name = row["endpoint_name"]
        found += [Text(f"{name}: {text}", style) for text, style in _going_on(row)]
        if row.get("alarm"):
            alarm = row["alarm"]
            found.append(
                Text(f"{name}: alarm {alarm['name']} since {moment(alarm['since'])}", style="red")
            )
        if row.get("status") == "Failed":
            said = "answers nobody; see EndpointFailed in docs/runbook.md"
            found.append(Text(f"{name}: {said}", style="red"))
        if row.get("differs"):
            said = f"{row['model']}/{row['version']}"
            found.append(Text(f"{name}: the ledger says that it serves {said}", style="red"))
    return found


def _going_on(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(text, style) of what is being done to the endpoint, and of what was done to it last."""
    model, found = row["model"], []
    if one := row.get("deployment"):
        what = f"{one['what']} of {model}/{one['version']}" if one.get("what") else one["config"]
        by = f", {_strategy(one['strategy'])}" if one.get("strategy") else ""
        at = f", {one['doing']}" if one.get("doing") else ""
        moved = f"{one['shifted']:.0%} of the traffic shifted{at}"
        found.append(
            (f"{row['status']} since {moment(one['since'])}: {what}{by}: {moved}", "yellow")
        )
    if one := row.get("trial"):
        part = "copies" if one["share"] is None else f"{one['share']:.0%}"
        by = f", {_strategy(one['strategy'])}" if one["strategy"] else ""
        told = f"{model}/{one['version']} has {part} of the traffic"
        found.append((f"trial since {moment(one['since'])}{by}: {told}", "yellow"))
    if one := row.get("back"):
        # Of an endpoint that was found to serve another version nobody knows who did that.
        who = one["by"] or {"endpoint": "somebody"}.get(one["trigger"], one["trigger"])
        found.append((f"taken back from {model}/{one['from']} by {who}: {one['reason']}", "yellow"))
    if one := row.get("bake"):
        said, style = {
            "running": ("goes on since", "yellow"),
            "quiet": ("ended quiet at", "dim"),
            "alarm": ("ended by an alarm at", "red"),
        }[one["outcome"]]
        why = f": {one['said']}" if one["said"] else ""
        found.append((f"bake of {model}/{one['version']} {said} {moment(one['at'])}{why}", style))
    return found


def _strategy(strategy: Mapping[str, Any]) -> str:
    """A release's strategy in a few words."""
    words = {
        "canary": "{percent}% first, the others {wait_seconds} s later",
        "linear": "{step_percent}% every {wait_seconds} s",
        "a-b": "{challenger_percent}% for up to {looks} looks of {look_seconds} s",
        "shadow": "for {seconds} s",
    }
    kind = str(strategy["type"])
    more = words.get(kind)
    return f"{kind} ({more.format(**strategy)})" if more else kind


def _by_account(
    rows: Sequence[Mapping[str, Any]],
) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((str(row.get("stage") or ""), str(row["account"])), []).append(row)
    return found


def history(entries: Sequence[Mapping[str, Any]], dev_account: str) -> RenderableType:
    """Ledger entries as a table; below it people's words, and why those that say no do so."""
    table = _table(">#", "Recorded (UTC)", "Entry", "Stage", "Status", "Registry", ">Version", "By")
    refused: list[Text] = []
    for entry in entries:
        arn = str(entry["model_package_arn"])
        table.add_row(
            str(entry["sequence"]),
            moment(entry["recorded_at"]),
            str(entry["kind"]),
            str(entry.get("stage") or _NONE),
            status_text(entry.get("stage_status")),
            "Dev" if account_of(arn) == dev_account else "Central",
            arn.rpartition("/")[2] if ":model-package/" in arn else _NONE,
            ledger.person(entry) or _NONE,
        )
        found = ledger.reasons(entry)
        if found or entry.get("reason"):
            refused.append(Text(f"\n#{entry['sequence']} {entry['kind']}", style="bold"))
            refused += [Text(f"  {line}") for line in (*_said(entry), *reason_lines(found))]
    return Group(table, *refused)


def reviews_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The reviews of versions in review: which stand, by whom and until when, which are missing."""
    table = _table("Review of", "Kind", "State", "By", "Until (UTC)", "Because")
    for row in rows:
        name = f"{row['model']}/{row['version']}"
        for review in row["standing"]:
            table.add_row(
                *(name, review["kind"], status_text("Approved"), review["person"]),
                *(moment(review["expires_at"]), review["description"]),
            )
        for kind in row["missing"]:
            table.add_row(name, kind, Text("missing", style="yellow"), _NONE, _NONE, _NONE)
        emergency, owed = row["emergency"], row["owed"]
        if emergency:
            table.add_row(
                *(name, "break-glass", Text("requested", style="red"), emergency["person"]),
                *(moment(emergency["expires_at"]), emergency["reason"]),
            )
        for kind in owed["missing"] if owed else ():
            until = moment(owed["due_at"])
            table.add_row(name, kind, Text("owed", style="red"), _NONE, until, _NONE)
    return table


def changes_table(changes: Sequence[Mapping[str, str]]) -> Table:
    """What provisioning created, updated and left alone."""
    table = _table("What", "Name", "Change")
    for change in changes:
        style = "" if change["change"] == "unchanged" else "green"
        table.add_row(change["what"], change["name"], Text(change["change"], style=style))
    return table


def verification(report: Report, meaning: Mapping[str, str]) -> RenderableType:
    """What was checked and how it ended, then everything that is wrong, by name and meaning."""
    table = _table("Check", "Result", "What")
    for check in report.checks:
        style = _RESULTS[check.status]
        table.add_row(check.name, Text(check.status, style=style), Text(check.detail))
    parts: list[RenderableType] = [Text(report.subject, style="bold"), table]
    findings = report.findings
    for finding in findings[:_MOST_FINDINGS]:
        parts += [
            Text.assemble((finding.what, "red"), f" at {finding.where}: {meaning[finding.what]}"),
            Text(f"  expected  {finding.expected}\n  found     {finding.found}\n"),
        ]
    if len(findings) > _MOST_FINDINGS:
        parts.append(Text(f"... and {len(findings) - _MOST_FINDINGS} more; --json lists them all"))
    return Group(*parts, _conclusion(report))


def examination(report: Mapping[str, Any]) -> RenderableType:
    """What `govern doctor` tried, by project, then for each failure what is missing and where."""
    parts: list[RenderableType] = [Text(f"As {report['identity']}", style="bold")]
    subjects = [("this session", report["checks"])]
    subjects += [(str(one["model"]), one["checks"]) for one in report["projects"]]
    for subject, checks in subjects:
        table = _table("Check", "Account", "Call", "Result")
        for check in checks:
            style = _RESULTS[check["status"]]
            table.add_row(
                check["name"],
                check["account"],
                check["call"],
                Text(check["status"], style=style),
            )
        parts += [Text(f"\n{subject}", style="bold"), table]
        parts += [_missing(check) for check in checks if check["status"] != "passed"]
    count = sum(c["status"] != "passed" for _, checks in subjects for c in checks)
    text = f"{count} not in order" if count else "Everything that promotions call works"
    said = Text(f"{text} ({report['seconds']} s)", style="red" if count else "green")
    return Group(*parts, Text(), said)


def _missing(check: Mapping[str, Any]) -> Text:
    if check["status"] == "not tried":
        return Text(f"{check['name']}: {check['detail']}", style="yellow")
    statement = json.dumps(check["statement"], indent=2).replace("\n", "\n            ")
    return Text.assemble(
        (f"{check['name']}", "red"),
        f": {check['means']}\n  AWS says  {check['detail']}\n  missing   {statement}\n"
        f"  next      {check['remedy']}\n",
    )


def _conclusion(report: Report) -> Text:
    if not report.passed:
        count = len(report.findings)
        return Text(f"NOT in order: {count} finding{'s'[: count != 1]}", style="red")
    if report.trusted:
        return Text("In order, and signed with the key that you trust", style="green")
    return Text(
        "In order, if this is the ledger's key, which was not compared with anything that you "
        f"trust:\n  {report.fingerprint}\nGet its fingerprint from somebody you trust, and say "
        "--fingerprint HEX or --key FILE.pem",
        style="yellow",
    )


def absent(names: Mapping[str, bool]) -> RenderableType:
    """What a dossier had to be written without, and what that means for who checks it."""
    lines = [
        f"Not in it: {name}. "
        + (
            "It was published and is not there any more; govern verify will say so."
            if needed
            else "Nobody published it: what names it was refused."
        )
        for name, needed in names.items()
    ]
    return Text("".join(f"{line}\n" for line in lines), style="yellow")


def explanation(found: Mapping[str, Any]) -> RenderableType:
    """A verdict: what it decided, and each rule with what it saw and who can do what."""
    decided = "allowed" if found["allowed"] else "denied"
    head = facts_table(
        {
            "Gate": f"{found['stage']}: {decided}",
            "Decided on": f"{found['approver'] or _NONE}, {moment(found['decided_at'])}",
            "Version": found["model_package_arn"],
            "Policy": f"{found['policy_digest']} (tier {found['tier'] or 'unknown'})",
            "Entry": f"#{found['sequence']} {found['kind']}",
        }
    )
    denied = [
        Text(line)
        for rule in found["rules"]
        if not rule["met"]
        for line in (
            f"\n[{rule['rule']}] {rule['asks'] or ''}",
            f"  saw     {rule['fact']}",
            f"  wanted  {rule['expected']}",
            f"  next    {rule['remedy']}",
        )
    ]
    met = [f"  {r['rule']}: {r['asks'] or ''}" for r in found["rules"] if r["met"]]
    parts: list[RenderableType] = [head, *denied]
    if found["break_glass"]:
        waived = found["break_glass"]
        parts.append(
            Text(
                f"\nBreak-glass: {', '.join(waived.get('waived') or [])} review waived on the "
                f"request of {waived['person']}, due until {moment(waived.get('review_due_at'))}: "
                f"{waived['reason']}"
            )
        )
    parts.append(Text("\n".join(["\nMet:", *met])))
    for later in found["after"]:
        why = "; ".join(f"[{reason['rule']}] {reason['fact']}" for reason in later["reasons"])
        parts.append(Text(f"Since then: #{later['sequence']} {later['kind']}. {why}".rstrip()))
    return Group(*parts)


def controls(found: Mapping[str, Any]) -> Table:
    """How many controls of each framework the evidence of a version shows, and what is absent."""
    table = _table("Controls of", *(f">{s.capitalize()}" for s in STANDINGS), "Absent here")
    for framework in found["frameworks"]:
        asked = framework["controls"]
        counts = [str(sum(one["standing"] == standing for one in asked)) for standing in STANDINGS]
        absent = [f"{one['id']}: {', '.join(one['absent'])}" for one in asked if one["absent"]]
        table.add_row(framework["name"], *counts, "\n".join(absent) or _NONE)
    return table


def brief(found: Mapping[str, Any]) -> RenderableType:
    """What the person who signs must know of a version, the answer first."""
    answer, compared = found["answer"], found["comparison"]
    since = f" since {moment(answer['since'])}" if answer["since"] else ""
    head = Text(f"{found['model']}/{found['version']}: {answer['text']}{since}", style="bold")
    facts = facts_table(
        {
            "Candidate": found["candidate_id"],
            "Stands at": f"{found['phase']}, tier {found['tier']}",
            "As of": f"{moment(found['asked_at'])} UTC, ledger entry {found['entries']}",
            **({"Asked as if": "; ".join(found["assumed"])} if found["assumed"] else {}),
            "Holdout": compared["basis"],
            "Tests": _tests_line(found["tests"]),
            "Rollback": _rollback_line(found["rollback"]),
            **_lineage_lines(found["lineage"]),
        }
    )
    parts = [head, facts, *_missing_lines(found), _risks_table(found["risks"])]
    if compared["metrics"]:
        parts += [_comparison_table(compared)]
    parts += [_brief_reviews(found["reviews"]), _prod_table(found["prod"])]
    if compared["uncertainty"]:
        parts.append(Text(compared["uncertainty"], style="dim"))
    return Group(*parts)


def _tests_line(tests: Mapping[str, Any] | None) -> str:
    if tests is None:
        return "none: this version has not been tested"
    suites = ", ".join(f"{s['suite']} {s['passed']} of {s['checks']}" for s in tests["suites"])
    late = "" if tests["counts"] or tests["status"] == "failed" else ", does not count any more"
    return f"{tests['status']} {moment(tests['recorded_at'])}{late} ({suites or 'no suite ran'})"


def _rollback_line(rollback: Mapping[str, Any]) -> str:
    target = rollback["target"]
    if target is None:
        return str(rollback["text"])
    return f"{rollback['text']}, released {moment(target['released_at'])} UTC; {_drilled(target)}"


def _drilled(target: Mapping[str, Any]) -> str:
    last = target["last_drill"]
    if last is None:
        return "never drilled"
    held = f"held, {last['seconds']} s" if last["proven"] else f"did not hold ({last['said']})"
    return f"last drill {moment(last['recorded_at'])} UTC {held}"


def _lineage_lines(lineage: Mapping[str, Any]) -> dict[str, str]:
    same = {True: ", the same as the champion's", False: ", other than the champion's", None: ""}
    data = ", ".join(short(one["sha256"]) for one in lineage["training_data"] or [])
    return {
        "From": f"{lineage['origin_arn'] or 'Dev'}, trained by {lineage['trainer'] or 'unknown'}",
        "Code": str(lineage["code_commit"] or "unknown"),
        "Data": f"sha256 {data or 'unknown'}{same[lineage['same_training_data']]}",
        "Image": ", ".join(
            str(image["digest"] or image["uri"])
            for image in (lineage["image"], *lineage["further_images"])
        ),
    }


def _missing_lines(found: Mapping[str, Any]) -> list[RenderableType]:
    lines = [
        Text(line)
        for one in found["missing"]
        for line in (
            f"\n[{one['rule']}] {one['fact']}",
            f"  wanted  {one['expected']}",
            f"  next    {one['remedy']}",
        )
    ]
    if found["may_not_sign"]:
        said = "; ".join(f"{one['person']}: {one['because']}" for one in found["may_not_sign"])
        lines.append(Text(f"\nMay not sign: {said}"))
    if found["break_glass"]:
        waived = found["break_glass"]
        lines.append(
            Text(
                f"\nBreak-glass on the request of {waived['person']}: {waived['reason']}; due "
                f"{moment(waived['review_due_at'])}",
                style="red",
            )
        )
    return [*lines]


def _risks_table(risks: Sequence[Mapping[str, str]]) -> Table:
    table = _table("Risk", "What", "Detail")
    style = {"high": "red", "medium": "yellow", "low": ""}
    for risk in risks:
        table.add_row(Text(risk["level"], style=style[risk["level"]]), risk["what"], risk["detail"])
    return table


def _comparison_table(compared: Mapping[str, Any]) -> Table:
    other = compared["with"]
    table = _table("On the holdout", ">This", *([">Champion", "Change"] if other else []), "Limit")
    for row in compared["metrics"]:
        verdict = {True: " better", False: " worse", None: ""}[row["better"]]
        style = {True: "green", False: "red", None: ""}[row["better"]]
        known = row["difference"] is not None
        bounds = comparisons.interval(row["interval"])
        change = f"{row['difference']:+.3f}{verdict} {bounds}" if known else "not comparable"
        near = "" if row["standing"] in (None, "within") else f" ({row['standing']})"
        table.add_row(
            comparisons.words(row["name"]),
            comparisons.number(row["candidate"]),
            *(
                (comparisons.number(row["champion"]), Text(change.rstrip(), style=style))
                if other
                else ()
            ),
            f"{comparisons.bound(row['limit']) or _NONE}{near}",
        )
    for row in compared["subgroups"]:
        known = row["difference"] is not None
        theirs = comparisons.number(row["champion"]) if known else _NONE
        table.add_row(
            f"AUC, {row['attribute']} {row['value']} ({row['rows']} rows)",
            comparisons.number(row["candidate"]),
            *([theirs, _change(row) if known else _NONE] if other else []),
            _NONE,
        )
    return table


def _change(row: Mapping[str, Any]) -> str:
    return f"{row['difference']:+.3f} {comparisons.interval(row['interval'])}".rstrip()


def _brief_reviews(found: Mapping[str, Any]) -> Table:
    table = _table("Review", "By", "Until (UTC)", "Because")
    for review in found["standing"]:
        until = moment(review["expires_at"])
        table.add_row(review["kind"], review["person"], until, review["description"])
    for one in found["missing"]:
        missing = Text("missing", style="yellow")
        table.add_row(one["kind"], missing, _NONE, f"can be given by: {one['by']}")
    return table


def _prod_table(prod: Mapping[str, Any]) -> Table:
    serves = prod["serves"]
    now = f"version {serves['version']}" if serves else "nothing yet"
    if prod["is_this_version"]:
        now = "this version"
    table = _table(f"In Prod ({prod['endpoint_name']} serves {now})", "Before", "With this version")
    for one in prod["container"]:
        table.add_row(one["what"], str(one["now"] or _NONE), str(one["then"] or _NONE))
    before = _NONE if prod["first_release"] else str(prod["instances_before"] or "not recorded")
    table.add_row("instances", before, prod["instances"])
    return table


def blast_radius(found: Mapping[str, Any]) -> RenderableType:
    """What a recall concerns: versions in every registry, endpoints in every account."""
    table = _table("Holds it", "Registry", "Stands at", "Candidate", "Recalled part", "A recall")
    for row in found["versions"]:
        will = "is recorded already" if row["closed"] else "takes it back"
        table.add_row(
            f"{row['model']}/{row['version']}",
            row["registry"],
            phase_text(row["phase"]),
            short(row["candidate_id"]),
            str(row["part"] or "its bytes"),
            will if row["registry"] == "Central" else "leaves it there; gates refuse it",
        )
    parts: list[RenderableType] = [
        Text(f"Blast radius of {found['reference'] or found['part']}", style="bold"),
        table,
    ]
    if found["endpoints"]:
        parts.append(served_table(found["endpoints"]))
    else:
        parts.append(Text("No endpoint serves any of it."))
    parts += not_looked_at(found["not_looked_at"])
    return Group(*parts)


def served_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Endpoints and what each of their variants serves."""
    table = _table("Endpoint", "Account", "Status", "Variant", ">Traffic", "Serves")
    for row in rows:
        for one in row["variants"]:
            table.add_row(
                *(row["endpoint_name"], row["account"], row["status"], one["variant"]),
                *(share_text(one), serves_text(one)),
            )
    return table


def recalled(
    done: Sequence[Mapping[str, Any]],
    serving: Sequence[Mapping[str, Any]],
    swaps: Sequence[Mapping[str, Any]] = (),
) -> Group:
    """How each recall ended, which endpoints went back, what still serves a recalled version."""
    table = _table("Version", "Recall", ">Entry", "Why not")
    for one in done:
        good = one["outcome"] == "recalled"
        table.add_row(
            f"{one['model']}/{one['version']}",
            Text(one["outcome"], style="green" if good else "red"),
            str(one.get("entry") or _NONE),
            str(one["problem"] or _NONE),
        )
    parts: list[RenderableType] = [table] if done else [Text("Nothing is left to recall.")]
    for swap in swaps:
        to = str(swap.get("to") or "").rpartition(":model-package/")[2]
        good = swap["outcome"] == "rolled back"
        said = f"{swap['endpoint_name']}: {swap['outcome']}" + (f" to {to}" if good else "")
        parts.append(Text(said, style="green" if good else "red"))
        if swap["problem"]:
            parts.append(Text(f"  {swap['problem']}"))
    parts += [
        Text(f"{row['endpoint_name']} in {row['account']} still serves what is recalled", "red")
        for row in serving
    ]
    return Group(*parts)


def not_looked_at(problems: Sequence[Mapping[str, str]]) -> list[RenderableType]:
    """Accounts of which nobody knows what they serve."""
    return [
        Text(f"Account {one['account']} could not be looked at: {one['problem']}", style="red")
        for one in problems
    ]


def share_text(variant: Mapping[str, Any]) -> str:
    """The variant's share of the traffic, or why it has none."""
    if variant["shadow"]:
        return "shadow"
    return _NONE if variant["share"] is None else f"{variant['share']:.0%}"


def serves_text(variant: Mapping[str, Any]) -> str:
    """The version that a variant serves, else its candidate; "not ours" if it is neither, and
    "nothing" of an endpoint of ours without any.
    """
    if variant["version"] is not None:
        named = f"{variant['model']}/{variant['version']}"
    elif variant["candidate_id"]:
        named = f"{variant['model']}, candidate {short(variant['candidate_id'])}"
    else:
        named = "nothing" if variant.get("model") else "not ours"
    return f"{named}, arriving" if variant["incoming"] else named


def backtest(found: Mapping[str, Any]) -> RenderableType:
    """Which past decisions change under other policies, and why."""
    replayed = f"{found['decisions']} decisions replayed under {found['directory']}"
    if found["without_facts"]:
        replayed += f", {found['without_facts']} have no facts to replay"
    if found["without_definition"]:
        replayed += (
            f", {found['without_definition']} keep what their gate said of a deployment definition "
            "that is not at hand (give a dossier)"
        )
    if not found["changes"]:
        return Text(f"{replayed}: none changes")
    table = _table("Version", "Stage", ">#", "Decided (UTC)", "Then", "Now", "Because")
    for change in found["changes"]:
        why = [f"now denies [{r['rule']}] {r['fact']}" for r in change["newly_denies"]]
        why += [f"no longer denies [{rule}]" for rule in change["no_longer_denies"]]
        table.add_row(
            f"{change['model']}/{change['version']}",
            str(change["stage"]),
            str(change["sequence"]),
            moment(change["decided_at"]),
            str(change["before"]),
            Text(str(change["after"]), style="green" if change["after"] == "allowed" else "red"),
            Text("\n".join(why)),
        )
    return Group(table, Text(f"{replayed}: {len(found['changes'])} change"))


def facts_table(facts: Mapping[str, Any]) -> Table:
    """Names and values, one a line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, str(value))
    return table


def status_text(status: str | None) -> Text:
    """A stage status in its colour."""
    if not status:
        return Text(_NONE)
    good = status in _GOOD or status.endswith("-Approved")
    style = "green" if good else "red" if status in _BAD else "yellow" if status in _BUSY else ""
    return Text(status, style=style)


def phase_text(phase: str | None) -> Text:
    """ "Stage/Status" with the status in its colour."""
    stage, _, status = (phase or "").partition("/")
    return Text.assemble(f"{stage}/", status_text(status)) if status else Text(_NONE)


def short(candidate_id: str | None) -> str:
    """The first 12 digits of a candidate id, enough to tell two apart by eye."""
    return candidate_id[:12] if candidate_id else _NONE


def moment(text: str | None) -> str:
    """ISO-8601 UTC to the second, with a space instead of T."""
    return text[:19].replace("T", " ") if text else _NONE


def drill(endpoint: str, entry: Mapping[str, Any]) -> Table:
    """What a drill has proved of the way back, and all that was looked at."""
    found = entry["drill"]
    tried = entry["endpoint"]
    return facts_table(
        {
            "Endpoint": endpoint,
            "Went back": drill_line(found),
            "In service after": f"{found['in_service_seconds']} s, as {tried['endpoint_name']} "
            f"in account {tried['account']}, which is gone again",
            **{
                f"Looked at {one['name']}": one["said"]
                for one in (entry.get("rollback_target") or {}).get("checks") or ()
            },
            "Ledger": f"entry {entry['sequence']}",
        }
    )


def drill_line(found: Mapping[str, Any]) -> str:
    """From what to what a drill went, what it proved and in how many seconds."""
    to = found["to"].rpartition(":model-package/")[2]
    holds = f"holds, {found['seconds']} s" if found["proven"] else "does not hold"
    return f"from version {found['from'].rpartition('/')[2]} to {to}: {holds}; {found['said']}"


def _said(entry: Mapping[str, Any]) -> list[str]:
    """What the entry's person said, on which review, and until when something is due."""
    if not entry.get("reason"):
        return []
    about = [str(entry["review"])] if entry.get("review") else list(entry.get("waived") or ())
    due = f" (due {moment(entry['due_at'])})" if entry.get("due_at") else ""
    # One that failed is told with the reasons.
    tried = [drill_line(entry["drill"])] if (entry.get("drill") or {}).get("proven") else []
    return [f"{', '.join(about)}{': ' if about else ''}{entry['reason']}{due}", *tried]


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        # Nothing is cut off: half an id is no id.
        right = column.startswith(">")
        table.add_column(
            column.removeprefix(">"), justify="right" if right else "left", overflow="fold"
        )
    return table
