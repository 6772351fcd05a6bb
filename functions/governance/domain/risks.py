"""Risks that the evidence about a version shows, for the person who signs: named, never weighed.

A risk is no rule: the gate has said what it denies, this says what else there is to think of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from governance.domain import images, ledger
from governance.domain.comparisons import bound, number, words
from governance.domain.facts import Facts

EXPIRING_DAYS = 7  # that a review still counts: it may not last until the release

Entry = Mapping[str, Any]
Risk = dict[str, str]


def risks(found: Mapping[str, Any], facts: Facts, about: Sequence[Entry]) -> list[Risk]:
    """[{level: high | medium | low, what, detail}], the gravest first.

    `found` is the brief so far, `about` the entries about the version, in Dev and in Central.
    """
    makers: tuple[Callable[[], Iterable[Risk]], ...] = (
        lambda: _tampering(facts, about),
        lambda: _limits(found),
        lambda: _worse(found["comparison"]),
        lambda: _comparability(found),
        lambda: _training_data(found["lineage"]),
        lambda: _weakest(found["comparison"]),
        lambda: _not_judged(found["comparison"]),
        lambda: _documents(found, facts),
        lambda: _expiring(found, facts),
        lambda: _people(found),
        lambda: _before(about),
        lambda: _no_way_back(found["rollback"]),
    )
    found_risks = [risk for make in makers for risk in make()]
    order = ("high", "medium", "low")
    return sorted(found_risks, key=lambda risk: order.index(risk["level"]))


def _risk(level: str, what: str, detail: str) -> Risk:
    return {"level": level, "what": what, "detail": detail}


def _tampering(facts: Facts, about: Sequence[Entry]) -> Iterable[Risk]:
    if facts.differences:
        names = ", ".join(str(one.get("name")) for one in facts.differences)
        yield _risk("high", "Changed since it was promoted", f"not its candidate any more: {names}")
    for entry in about:
        if entry["kind"] == "ApprovalsVoided":
            names = ", ".join(str(one["name"]) for one in entry.get("differences") or [])
            detail = f"{names or 'a change'}, by {ledger.who(entry).get('person') or 'unknown'}"
            yield _risk("high", f"Tampering recorded in entry {entry['sequence']}", detail)


def _limits(found: Mapping[str, Any]) -> Iterable[Risk]:
    tested = found["tests"] or {"metrics": []}
    for where, rows, value in (
        ("on the holdout", found["comparison"]["metrics"], "candidate"),
        ("at the Test endpoint", tested["metrics"], "value"),
    ):
        for row in rows:
            if row["standing"] in ("missed", "near"):
                level = "high" if row["standing"] == "missed" else "medium"
                what = "misses its limit" if row["standing"] == "missed" else "is near its limit"
                yield _risk(
                    level,
                    f"{words(row['name'])} {what}",
                    f"{number(row[value])} {where}; {bound(row['limit'])} is asked",
                )


def _worse(compared: Mapping[str, Any]) -> Iterable[Risk]:
    worse = [row for row in compared["metrics"] if row["better"] is False]
    if worse:
        said = "; ".join(
            f"{words(r['name'])} {number(r['candidate'])}, was {number(r['champion'])}"
            for r in worse
        )
        version = compared["with"]["version"]
        yield _risk("medium", f"Worse than version {version} on the same holdout", said)


def _comparability(found: Mapping[str, Any]) -> Iterable[Risk]:
    compared = found["comparison"]
    for detail in compared["contradictions"]:
        yield _risk("high", "Measured on a holdout that is not the registered one", detail)
    if compared["holdouts"]["candidate"] is None:
        yield _risk("high", "No evaluation report can be read", compared["basis"])
    elif compared["same_holdout"] is False:
        yield _risk("medium", "Measured on another holdout", compared["basis"])
    elif compared["with"] and not (compared["same_holdout"] or compared["contradictions"]):
        yield _risk("medium", "Cannot be compared", compared["basis"])


def _training_data(lineage: Mapping[str, Any]) -> Iterable[Risk]:
    if lineage["same_training_data"] is True:
        yield _risk("low", "Trained on the same data", "as what it would replace")
    elif lineage["same_training_data"] is False:
        yield _risk("low", "Trained on other data", "than what it would replace")


def _weakest(compared: Mapping[str, Any]) -> Iterable[Risk]:
    known = [group for group in compared["subgroups"] if group["candidate"] is not None]
    if known:
        low = min(known, key=lambda group: float(group["candidate"]))
        group = f"{low['attribute']} {low['value']}"
        detail = f"AUC {number(low['candidate'])} on {low['rows']} rows"
        yield _risk("low", f"Weakest for {group}", detail)
    unknown = [group for group in compared["subgroups"] if group["candidate"] is None]
    if unknown:
        names = ", ".join(f"{one['attribute']} {one['value']}" for one in unknown)
        yield _risk("medium", "Not measured for some subgroups", f"one label only: {names}")


def _not_judged(compared: Mapping[str, Any]) -> Iterable[Risk]:
    left = [group["not_judged"] for group in compared["subgroups"] if group["not_judged"]]
    if left:
        what = "Nothing tells whether it is worse for some subgroups"
        yield _risk("medium", what, "; ".join(left))


def _documents(found: Mapping[str, Any], facts: Facts) -> Iterable[Risk]:
    denied = {reason["rule"]: reason for reason in found["missing"]}
    for rule, what in (
        ("model_card_complete", "The model card is incomplete"),
        ("dataset_version_known", "The training data is not known exactly"),
        ("image_scan_clean", "The image is not known to be clean"),
    ):
        if rule in denied:
            yield _risk("high", what, denied[rule]["fact"])
    named = [found["lineage"]["image"], *found["lineage"]["further_images"]]
    if any(not image["digest"] and "@" not in str(image["uri"]) for image in named):
        yield _risk("medium", "The image is named by a tag", "what a tag stands for can change")
    unknown = [image for image in facts.images if image.get("critical") is None]
    if unknown and "image_scan_clean" not in denied:
        yield _risk("medium", "No scan of the image is known", str(unknown[0].get("scan")))
    for uri, findings in {i.get("uri"): i.get("findings") or {} for i in facts.images}.items():
        if said := images.found_by_scan(findings):
            grave = findings.get("CRITICAL") or findings.get("HIGH")
            what = "The scan of an image found something"
            yield _risk("medium" if grave else "low", what, f"{uri}: {said}")


def _expiring(found: Mapping[str, Any], facts: Facts) -> Iterable[Risk]:
    soon = _later(found["asked_at"], timedelta(days=EXPIRING_DAYS))
    for review in found["reviews"]["standing"]:
        if review["expires_at"] <= soon:
            detail = f"given by {review['person']}, counts until {review['expires_at']}"
            yield _risk("medium", f"The {review['kind']} review expires soon", detail)
    emergency = found["reviews"]["emergency"]
    if emergency:
        detail = f"{emergency['reason']} (until {emergency['expires_at']})"
        yield _risk("high", f"An emergency was declared by {emergency['person']}", detail)


def _people(found: Mapping[str, Any]) -> Iterable[Risk]:
    for said in found["reviews"]["revoked"]:
        who = said["person"] or "somebody unknown"
        yield _risk("medium", f"{who} took back the {said['kind']} review", str(said["reason"]))
    for said in found["reviews"]["not_counted"]:
        what = f"A {said['kind']} review of {said['person'] or 'somebody unknown'} does not count"
        yield _risk("low", what, "; ".join(said["because"]))
    owed = found["reviews"]["owed"]
    if owed:
        detail = f"{', '.join(owed['missing'])} review, due {owed['due_at']}"
        yield _risk("high", "Reviews are owed after an emergency release", detail)


def _before(about: Sequence[Entry]) -> Iterable[Risk]:
    told = {
        "ValidationFailed": "Tests failed before",
        "PromotionRejected": "Denied for Dev before",
        "ValidationRejected": "Denied for Test before",
        "ReleaseRejected": "Denied for Prod before",
        "VersionRejected": "Rejected before",
        "VersionRecalled": "Recalled",
        "ReleaseErrored": "A release broke off before",
        "ReleaseRolledBack": "A release was taken back before",
    }
    for entry in about:
        if entry["kind"] in told:
            said = [str(reason) for reason in (entry.get("summary") or {}).get("reasons") or []]
            said += [
                str(reason["rule"]) for reason in (entry.get("verdict") or {}).get("reasons") or []
            ]
            said += [str(alarm) for alarm in entry.get("alarms") or []]
            if not said:
                known = (entry.get("reason"), (entry.get("failure") or {}).get("Error"))
                said = [str(one) for one in known if one]
            what = f"{told[entry['kind']]} (entry {entry['sequence']})"
            graver = entry["kind"].startswith(("Version", "Release"))
            yield _risk("medium" if graver else "low", what, _few(said))


def _no_way_back(rollback: Mapping[str, Any]) -> Iterable[Risk]:
    if rollback["target"] is None:
        yield _risk("medium", "No rollback target", rollback["text"])
    elif not rollback["target"]["fit"]:
        yield _risk("high", "The rollback target is not fit", rollback["text"])
    last = (rollback["target"] or {}).get("last_drill")
    if last and not last["proven"]:
        yield _risk("high", "The last drill of the way back failed", last["said"])


def _few(said: Sequence[str]) -> str:
    if not said:
        return "no reason is recorded"
    return "; ".join(said[:3]) + (f"; and {len(said) - 3} more" if len(said) > 3 else "")


def _later(moment: str, by: timedelta) -> str:
    later = datetime.fromisoformat(moment).astimezone(UTC) + by
    return later.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
