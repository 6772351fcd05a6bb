"""The dossier's page: what its files say, for a person who signs or audits. It is not evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from cli import dossier_plots as plots
from cli import pages
from governance.domain import attestations, dossiers, evaluation
from governance.domain.ledger import ABOUT_ACCESS, who
from governance.domain.verification import Key

_TEMPLATE = "dossier.html.j2"


@cache
def renderer() -> str:
    """What pages are drawn with: two of the same name draw the same bytes from the same files."""
    import jinja2

    modules = (Path(__file__), Path(plots.__file__), Path(pages.__file__), Path(dossiers.__file__))
    sources = (*pages.sources(_TEMPLATE), *modules)
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    return ", ".join((f"page {digest[:12]}", f"jinja2 {jinja2.__version__}", *plots.versions()))


def render(files: Mapping[str, bytes]) -> bytes:
    """The page of a dossier's other files; the same files give the same bytes."""
    return pages.render(_TEMPLATE, facts(files))


def facts(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What the template shows, read from the dossier's files."""
    contents = json.loads(files[dossiers.CONTENTS])
    entries = dossiers.entries_in(files)
    about = dossiers.story(entries, contents["model_package_arn"])
    report = json.loads(files[dossiers.EVALUATION])
    tests = _tests(files, about)
    thresholds = _thresholds(files, about)
    standing = [entry for entry in about if entry["kind"] not in ABOUT_ACCESS][-1]
    last_ledger_line = files[dossiers.LEDGER].rstrip(b"\n").rpartition(b"\n")[2].decode()
    return {
        "contents": contents,
        "version": contents["model_package_arn"].rpartition("/")[2],
        "standing": standing,
        "tone": pages.tone(standing.get("stage_status")),
        "decisions": [_decision(entry) for entry in about],
        "entries": len(entries),
        "head": attestations.digest_of(attestations.payload_of(last_ledger_line)),
        "recorded_at": entries[-1]["recorded_at"],
        "fingerprint": Key(files[dossiers.KEY]).fingerprint,
        "manifest": json.loads(files[dossiers.MANIFEST]),
        "lineage": json.loads(files[dossiers.LINEAGE]),
        "card": _card(files),
        "deployments": _deployments(files, about),
        "absent": dossiers.absent(files),
        "evaluation": report,
        "tests": tests,
        "thresholds": thresholds,
        "limits": _limits(tests, thresholds),
        "plots": _plots(report, tests, thresholds),
        "controls": json.loads(files[dossiers.CONTROLS]) if dossiers.CONTROLS in files else None,
    }


def _decision(entry: Mapping[str, Any]) -> dict[str, Any]:
    verdict = entry.get("verdict") or {}
    summary = entry.get("summary") or {}
    failure = entry.get("failure") or {}
    said = [str(reason) for reason in summary.get("reasons") or []]
    drill = entry.get("drill") or {}
    if "proven" in drill:
        said.append(("it holds: " if drill["proven"] else "it does not hold: ") + drill["said"])
    if failure:
        said.append(f"{failure.get('Error')}: {failure.get('Cause', '')}")
    if entry.get("reason"):
        said.insert(0, str(entry["reason"]))
    return {
        "sequence": entry["sequence"],
        "kind": pages.words(entry["kind"]),
        "decided_at": entry.get("decided_at"),
        "recorded_at": entry["recorded_at"],
        "approver": {
            "person": None,
            "persona": None,
            **who(entry),
        },
        "phase": " / ".join(str(entry[k]) for k in ("stage", "stage_status") if entry.get(k)),
        "tone": pages.tone(entry.get("stage_status")),
        "verdict": verdict,
        "policy": verdict.get("policy_digest", ""),
        "report": entry.get("report") or {},
        "reasons": verdict.get("reasons") or [],
        "said": said,
    }


def _deployments(
    files: Mapping[str, bytes], about: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The deployment definitions that the dossier holds, and the entries that name each."""
    found = []
    for digest in dossiers.named_definitions(about):
        body = files.get(dossiers.definition_name(digest))
        if body is None:
            continue
        naming = [e for e in about if (e.get("definition") or {}).get("digest") == digest]
        try:
            says = _deployment(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            says = {}  # was refused, and may be anything
        found.append(
            {"digest": digest, "sequences": [one["sequence"] for one in naming], "says": says}
        )
    return found


def _deployment(definition: Mapping[str, Any]) -> dict[str, Any]:
    endpoint, release = definition["endpoint"], definition["release"]
    strategy = dict(release["strategy"])
    return {
        "instances": f"{endpoint['instance_count']} x {endpoint['instance_type']}",
        "autoscaling": _members(endpoint.get("autoscaling") or {}),
        "strategy": f"{strategy.pop('type')}: {_members(strategy)}".rstrip(": "),
        "bake_seconds": release["bake_seconds"],
        "alarms": [
            f"{alarm['name']}: {alarm['metric']} {alarm['statistic']} {alarm['comparison']} "
            f"{alarm['threshold']}, {alarm['evaluation_periods']} x {alarm['period_seconds']} s"
            for alarm in release["alarms"]
        ],
        "suites": [_suite(suite) for suite in definition.get("suites", [])],
        "thresholds": _members(definition.get("thresholds") or {}),
    }


def _suite(suite: Mapping[str, Any]) -> str:
    more = {name: value for name, value in suite.items() if name != "name"}
    return f"{suite['name']} ({_members(more)})" if more else str(suite["name"])


def _members(value: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {one}" for name, one in value.items())


def _tests(files: Mapping[str, bytes], about: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The last validation's report, {} if there was none."""
    reports = dossiers.named_reports(about)
    if not reports:
        return {}
    found: dict[str, Any] = json.loads(files[dossiers.report_name(max(reports))])
    return found


def _thresholds(files: Mapping[str, bytes], about: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The limits of the policy that the newest verdict names, {} if it is not in the dossier."""
    verdicts = [entry["verdict"] for entry in about if entry.get("verdict")]
    digest = verdicts[-1].get("policy_digest") if verdicts else None
    policy = files.get(dossiers.policy_name(str(digest), "tier"), b"{}")
    limits: dict[str, float] = json.loads(policy).get("thresholds", {})
    return limits


def _limits(tests: Mapping[str, Any], thresholds: Mapping[str, float]) -> list[dict[str, Any]]:
    """The tests' measurements that the plot does not show, with their limits."""
    measured = (tests.get("summary") or {}).get("metrics", {})
    return [
        {
            "name": name.removeprefix("latency_").removesuffix("_ms"),
            "value": value,
            "limit": thresholds.get(f"{name}_max"),
        }
        for name, value in sorted(measured.items())
        if name.startswith("latency_") and value is not None
    ]


def _plots(
    report: Mapping[str, Any], tests: Mapping[str, Any], thresholds: Mapping[str, float]
) -> dict[str, str]:
    holdout = dict(report["metrics"])
    holdout["subgroup_auc_gap"] = evaluation.subgroup_auc_gap(report["subgroups"])
    measured = (tests.get("summary") or {}).get("metrics", {})
    drawn = {
        "metrics": plots.metrics(holdout, measured, thresholds),
        "subgroups": plots.subgroups(report["subgroups"], report["metrics"]),
    }
    if report.get("calibration"):
        drawn["calibration"] = plots.calibration(report["calibration"])
    return drawn


def _card(files: Mapping[str, bytes]) -> dict[str, str]:
    """What the model card says of purpose and limits, in its authors' words."""
    if dossiers.CARD not in files:
        return {}
    card = json.loads(files[dossiers.CARD])
    wanted = (
        ("Intended use", "intended_uses", "intended_uses"),
        ("Purpose", "intended_uses", "purpose_of_model"),
        ("Risk rating", "intended_uses", "risk_rating"),
        ("Ethical considerations", "additional_information", "ethical_considerations"),
        ("Caveats", "additional_information", "caveats_and_recommendations"),
    )
    sections = {title: card.get(section) or {} for title, section, _ in wanted}
    return {
        title: str(sections[title][name])
        for title, _, name in wanted
        if isinstance(sections[title], Mapping) and sections[title].get(name)
    }
