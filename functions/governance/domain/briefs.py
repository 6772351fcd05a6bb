"""The brief: one page for the person who signs a version for Prod.

It decides nothing. What is missing is what the gate itself would answer if somebody who has had no
part in the version signed it now; everything else is read from the ledger, the manifests and the
reports. What is not known is said, never filled in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from governance.domain import (
    candidate,
    clearance,
    dossiers,
    evaluation,
    explanations,
    gates,
    history,
    images,
    ledger,
    policy_request,
    reviews,
)
from governance.domain.comparisons import Side, against, comparison
from governance.domain.facts import Facts
from governance.domain.identity import account_of
from governance.domain.policies import Policy
from governance.domain.risks import risks
from governance.domain.thresholds import limit_of

SCHEMA = "governed-path/brief/v1"
SOMEBODY = "somebody who has had no part in this version"
_NOT_SEEN = "no gate has looked yet"

# What the rehearsal takes as given, because only a real signature can say it.
ASSUMED = (
    f"signed now by a Governance Engineer: {SOMEBODY}",
    "the signature sets ModelApprovalStatus=Approved, gives a reason that is long enough, and "
    "CloudTrail confirms it, as it has confirmed the approvals for Dev and Test and the reviews",
    "the objects in S3 are those that were promoted, and the image's scan is what the last gate "
    "saw: both are looked at again when it is signed",
)
_TESTS_FIRST = "the version is tested first, as it must be before anybody can sign"
_SCAN_FIRST = "the image's copy in Central is scanned first: the gate for Test looks at it"
_IN_CONTAINER = re.compile(r"inference_specification\.Containers\.(\d+)\.(.+)")
_OF_THE_LINEAGE = ("origin_arn", "code_commit", "training_data", "image", "further_images")
_SHOWN = {
    "Image": "image",
    "ImageDigest": "image digest",
    "ModelDataUrl": "model data is",
}

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """Under what the version would be decided on at `asked_at` (ISO-8601, UTC).

    `project` is the directory's entry, `decide` the policy's engine; `definition` what a gate would
    see of the deployment definition ({digest, uri, problems}), `deployed` what is in it, both None
    if none is known; `recalls` the marks of what of the candidate was recalled.
    """

    asked_at: str
    project: Mapping[str, Any]
    policy: Policy
    decide: gates.Decide
    definition: Mapping[str, Any] | None = None
    deployed: Mapping[str, Any] | None = None
    recalls: Sequence[Mapping[str, Any]] = ()

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The tier's limits, named <metric>_min or <metric>_max."""
        found: Mapping[str, float] = self.policy.tier["thresholds"]
        return found


def releases(entries: Sequence[Entry], endpoint_name: str) -> list[Entry]:
    """What was released to that endpoint, the oldest first; the last one serves."""
    return [
        entry
        for entry in entries
        if entry["kind"] in ledger.SERVES
        and (entry.get("endpoint") or {}).get("endpoint_name") == endpoint_name
    ]


def opponent(entries: Sequence[Entry], endpoint_name: str, model_package_arn: str) -> Entry | None:
    """The release that the version is compared with, None if there is none.

    What serves now; for what serves itself, what served before it. A version that served once and
    was replaced is compared with its successor: that is what it would replace again.
    """
    found = releases(entries, endpoint_name)
    while found and found[-1]["model_package_arn"] == model_package_arn:
        found.pop()
    return found[-1] if found else None


def brief(
    side: Side,
    other: Side | None,
    *,
    entries: Sequence[Entry],
    setting: Setting,
    described: Mapping[str, Any] | None,
    differences: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """The brief of a version, as JSON. `entries` are the model's, in order.

    `other` is the version of `opponent`'s release. `described` is what the Central version says of
    itself (domain/described.py), None for a version that is only in Dev; `differences` how it
    differs now from its candidate.
    """
    about = dossiers.story(entries, side.model_package_arn)
    story = list(reversed([e for e in entries if e["model_package_arn"] == side.model_package_arn]))
    phase = ledger.phase(story) or ledger.phase(reversed(about))
    facts = _facts(side, story, about, setting, entries, described or {}, differences)
    asked = described is not None and _may_be_signed(phase)
    verdict = gates.evaluate(facts, setting.policy, setting.decide) if asked else None
    missing = [reason.to_dict() for reason in verdict.reasons] if verdict else []
    if described is None:
        missing = [_not_promoted(phase)]
    found = {
        "schema": SCHEMA,
        "model": side.manifest["model"],
        "version": side.version,
        "model_package_arn": side.model_package_arn,
        "candidate_id": side.candidate_id,
        "phase": phase,
        "tier": setting.policy.tier["tier"],
        "policy_digest": setting.policy.digest,
        "asked_at": setting.asked_at,
        "entries": len(entries),
        "comparison": comparison(side, other, setting.thresholds),
        "tests": _tests(side, story, setting.thresholds),
        "reviews": _reviews(story, facts, setting),
        "missing": missing,
        "assumed": _assumed(side, story, facts) if verdict else [],
        "may_not_sign": _barred(facts, about, setting, verdict) if verdict else [],
        "break_glass": dict(verdict.break_glass) if verdict and verdict.break_glass else None,
        "lineage": _lineage(side, other, about),
        "prod": _prod(side, other, entries, setting),
        "rollback": _rollback(side, entries, setting),
    }
    return {**found, "answer": _answer(found, about), "risks": risks(found, facts, about)}


# ---------------------------------------------------------------- the gate, asked beforehand


def _may_be_signed(phase: str | None) -> bool:
    """True if a signature for Prod could still come, now or after the tests."""
    return phase in policy_request.phases_before("Prod") or not str(phase).startswith(
        ("Prod/", "Retired/")
    )


def _before_tests(phase: str | None) -> bool:
    return _may_be_signed(phase) and phase not in policy_request.phases_before("Prod")


def _assumed(side: Side, story: Sequence[Entry], facts: Facts) -> list[str]:
    central = account_of(side.model_package_arn)
    unseen = [image for image in facts.images if image.get("scan") == _NOT_SEEN]
    copied = any(image.get("registry") == central for image in unseen)
    return [
        *ASSUMED,
        *([_SCAN_FIRST] if copied else []),
        *([_TESTS_FIRST] if _before_tests(ledger.phase(story)) else []),
    ]


def _facts(
    side: Side,
    story: Sequence[Entry],
    about: Sequence[Entry],
    setting: Setting,
    entries: Sequence[Entry],
    described: Mapping[str, Any],
    differences: Sequence[Mapping[str, str]],
) -> Facts:
    """The facts that the gate for Prod would see if somebody uninvolved signed now."""
    signer = _signer(side.model_package_arn, SOMEBODY)
    published = [entry for entry in reversed(entries) if entry["kind"] == "PolicyChanged"]
    facts = history.facts(
        {
            "promotion": {
                "stage": "Prod",
                "model_package_arn": side.model_package_arn,
                "decided_at": setting.asked_at,
            },
            "candidate": {"candidate_id": side.candidate_id, "described": described},
            "approver": signer,
            "trainer": _trainer(about),
            "decision_current": True,
            "confirmation": {"approver": signer},
            "approval": {
                "model_approval_status": "Approved",
                "approval_description": "x" * setting.policy.tier["description_min_chars"],
            },
            "differences": list(differences),
            "evaluation": evaluation.facts(side.evaluation, side.problems),
        },
        story,
        history.is_recorded(setting.policy.digest, published),
        _images(about, described, side.manifest.get("images") or ()),
        setting.asked_at,
        setting.definition,
        recalls=setting.recalls,
    )
    # Only the gate reads CloudTrail's records: beside them are the tokens of waiting executions.
    assumed = {"unconfirmed": None}
    facts = replace(
        facts,
        approvals=[{**one, **assumed} for one in facts.approvals],
        reviews=[{**one, **assumed} for one in facts.reviews],
        break_glass=facts.break_glass and {**facts.break_glass, **assumed},
    )
    return replace(facts, phase="Test/Passed") if _before_tests(facts.phase) else facts


def _signer(model_package_arn: str, person: str) -> dict[str, Any]:
    partition, account = model_package_arn.split(":")[1], account_of(model_package_arn)
    role = "governed-path-governance-engineer"
    return {
        "person": person,
        "persona": "governance-engineer",
        "role_arn": f"arn:{partition}:iam::{account}:role/{role}",
        "session_arn": f"arn:{partition}:sts::{account}:assumed-role/{role}/{person}",
        "source_identity": person,
    }


def _trainer(about: Sequence[Entry]) -> Mapping[str, Any]:
    return next((entry["trainer"] for entry in reversed(about) if entry.get("trainer")), {})


def _images(
    about: Sequence[Entry], described: Mapping[str, Any], origins: Sequence[Mapping[str, str]]
) -> list[Mapping[str, Any]]:
    """What the newest gate saw of these very images: of the same digest, in the same repository.

    Dev's gate saw it by the tag of the registration; `origins`, the manifest's images, say what
    the tag stood for. A copy elsewhere is another image to whoever scans it.
    """
    digests = {origin["uri"]: origin["digest"] for origin in origins}
    facts = [(entry.get("verdict") or {}).get("facts") or {} for entry in reversed(about)]
    seen = [
        image
        for kept in facts
        for image in (kept.get("image"), *(kept.get("further_images") or ()))
        if image
    ]
    named = [described.get("image") or {}, *(described.get("further_images") or ())]
    return [_seen(str(image.get("uri") or ""), seen, digests) for image in named]


def _seen(
    uri: str, seen: Sequence[Mapping[str, Any]], digests: Mapping[str, str]
) -> Mapping[str, Any]:
    ours = _place(uri, digests)
    for image in seen:
        if _place(str(image.get("uri") or ""), digests) == ours:
            return {**image, "uri": uri}
    parsed = images.parse(uri)
    registry = parsed.registry if parsed else None
    return {"uri": uri, "registry": registry, "critical": None, "scan": _NOT_SEEN}


def _place(uri: str, digests: Mapping[str, str]) -> str:
    parsed = images.parse(uri, None if "@" in uri else digests.get(uri))
    return parsed.uri if parsed else uri


def _barred(
    facts: Facts, about: Sequence[Entry], setting: Setting, uninvolved: gates.Verdict
) -> list[dict[str, str]]:
    """[{person, rule, because}]: who has had a part, so that the gate would not take their word."""
    expected = {reason.rule for reason in uninvolved.reasons}
    people = {str(ledger.who(entry).get("person") or "") for entry in about}
    people |= {str((entry.get("trainer") or {}).get("person") or "") for entry in about}
    found = []
    for person in sorted(people - {""}):
        signer = _signer(facts.model_package_arn, person)
        signed = replace(facts, approver=signer, confirmation={"approver": signer})
        verdict = gates.evaluate(signed, setting.policy, setting.decide)
        found += [
            {
                "person": person,
                "rule": reason.rule,
                "because": explanations.purpose_of(reason.rule).rstrip("."),
            }
            for reason in verdict.reasons
            if reason.rule not in expected
        ]
    return found


def _not_promoted(phase: str | None) -> dict[str, str]:
    """What is missing of a version that is only in Dev; no gate for Prod can be asked about it."""
    return {
        "rule": "promotion",
        "fact": f"the version is {phase or 'unknown to the ledger'} and not in Central",
        "expected": "a version that was promoted to Central",
        "remedy": "The Data Scientist approves the version for Dev",
    }


def _answer(found: Mapping[str, Any], about: Sequence[Entry]) -> dict[str, str | None]:
    """{state: ready | emergency | blocked | decided, text, since}: how it stands, in a sentence."""
    count = len(found["missing"])
    if not count and not found["assumed"]:
        told = [entry for entry in about if entry["kind"] not in ledger.UNMOVING][-1]
        by = ledger.who(told).get("person")
        text = f"{found['phase']}, decided by {by or 'nobody known'}"
        return {"state": "decided", "text": text, "since": told["recorded_at"]}
    if count:
        said = "One thing is" if count == 1 else f"{count} things are"
        text = f"{said} missing before Prod can be signed"
        return {"state": "blocked", "text": text, "since": None}
    if found["break_glass"]:
        waived = ", ".join(found["break_glass"]["waived"])
        text = f"Only as an emergency: {waived} review waived, owed afterwards"
        return {"state": "emergency", "text": text, "since": None}
    text = "Nothing is missing but the signature of a Governance Engineer"
    return {"state": "ready", "text": text, "since": None}


# ---------------------------------------------------------------- tests and reviews


def _tests(
    side: Side, story: Sequence[Entry], thresholds: Mapping[str, float]
) -> dict[str, Any] | None:
    """{status, sequence, recorded_at, suites, metrics, reasons} of the last test, None without."""
    ended = ("ValidationPassed", "ValidationFailed")
    entry = next((e for e in story if e["kind"] in ended), None)
    if entry is None:
        return None
    summary = entry.get("summary") or {}
    return {
        "status": "passed" if entry["kind"] == "ValidationPassed" else "failed",
        "counts": history.tests(story, side.candidate_id)[0],
        "sequence": entry["sequence"],
        "recorded_at": entry["recorded_at"],
        "report_sha256": (entry.get("report") or {}).get("sha256"),
        "suites": [
            {
                "suite": result["suite"],
                "status": result["status"],
                "checks": len(result["checks"]),
                "passed": sum(bool(check["passed"]) for check in result["checks"]),
            }
            for result in side.tests.get("results") or []
        ],
        "metrics": [
            {
                "name": name,
                "value": value,
                "limit": (limit := limit_of(name, thresholds))
                and {"bound": limit[0], "value": limit[1]},
                "standing": against(name, value, thresholds),
            }
            for name, value in sorted((summary.get("metrics") or {}).items())
        ],
        "reasons": list(summary.get("reasons") or []),
    }


def _reviews(story: Sequence[Entry], facts: Facts, setting: Setting) -> dict[str, Any]:
    """{required, standing, missing, not_counted, revoked, emergency, owed}."""
    tier = setting.policy.tier
    owed = reviews.open_mandatory_review(story)
    return {
        "required": list(tier["required_reviews"]),
        "standing": reviews.standing(
            story, facts.candidate_id, setting.asked_at, tier["review_valid_days"]
        ),
        "missing": [
            {"kind": kind, "by": explanations.reviewer_of(kind)}
            for kind in explanations.missing_reviews(facts, setting.policy)
        ],
        "not_counted": [
            {**_said(entry), "because": list(entry["objections"])}
            for entry in story
            if entry["kind"] == "ReviewGiven" and entry.get("objections")
        ],
        "revoked": [_said(entry) for entry in story if entry["kind"] == "ReviewRevoked"],
        "emergency": reviews.break_glass(
            story, facts.candidate_id, setting.asked_at, tier["break_glass"]["valid_hours"]
        ),
        "owed": owed and {key: owed[key] for key in ("missing", "due_at", "opened_at")},
    }


def _said(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.get("review"),
        "person": (entry.get("approver") or {}).get("person"),
        "at": entry["decided_at"],
        "reason": entry.get("reason"),
        "sequence": entry["sequence"],
    }


# ---------------------------------------------------------------- where from, where to


def _lineage(side: Side, other: Side | None, about: Sequence[Entry]) -> dict[str, Any]:
    found = dossiers.lineage(side.manifest, about, side.model_package_arn)
    ours = found["training_data"]
    theirs = other.manifest.get("training_data") if other is not None else None
    known = _known_data(ours) and _known_data(theirs)
    return {
        **{key: found[key] for key in _OF_THE_LINEAGE},
        "trainer": (_trainer(about) or {}).get("person"),
        "same_training_data": [d["sha256"] for d in ours or ()]
        == [d["sha256"] for d in theirs or ()]
        if known
        else None,
        "champion_training_data": theirs,
    }


def _known_data(data: Any) -> bool:
    return bool(data) and all(one.get("sha256") for one in data)


def _prod(
    side: Side, other: Side | None, entries: Sequence[Entry], setting: Setting
) -> dict[str, Any]:
    """What Prod's endpoint serves, and what would be another thing with this version there."""
    name = setting.project["endpoint_name"]
    served = releases(entries, name)
    serving = served[-1] if served else None
    before = other.manifest if other is not None else _nothing(side.manifest)
    changed = [
        _changed(one, before, side.manifest)
        for one in candidate.changes(before, side.manifest)
        if not one["name"].startswith("images.")  # where it came from; the digest is what changes
    ]
    on = (setting.deployed or {}).get("endpoint")
    instances = f"{on['instance_count']} x {on['instance_type']}" if on else "not known"
    return {
        "endpoint_name": name,
        "account": setting.project["accounts"].get("prod"),
        "serves": serving
        and {
            "version": int(serving["model_package_arn"].rpartition("/")[2]),
            "model_package_arn": serving["model_package_arn"],
            "candidate_id": serving.get("candidate_id"),
            "since": serving["recorded_at"],
            "signed_by": ledger.who(serving).get("person"),
        },
        "is_this_version": serving is not None
        and serving["model_package_arn"] == side.model_package_arn,
        "first_release": other is None,
        "container": [one for one in changed if one["served"]],
        "beside": [one["what"] for one in changed if not one["served"]] if other else [],
        "instances": instances,
        "instances_before": None,
        "source": "the ledger's last release to this endpoint and both manifests; on which "
        "instances it runs now is not in the ledger",
    }


def _nothing(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": manifest["model"], "artifacts": []}


def _changed(
    difference: Mapping[str, str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """{what, now, then, served}: `served` if an endpoint runs on it."""
    name = difference["name"]
    inside = _IN_CONTAINER.fullmatch(name)
    number, own = (int(inside[1]) + 1, inside[2]) if inside else (1, name)
    what = _SHOWN.get(own, own.replace("Environment.", "environment "))
    return {
        "what": what if number == 1 else f"container {number}: {what}",
        "now": _value(difference["expected"], before),
        "then": _value(difference["actual"], after),
        "served": (name.endswith(" sha256") and name.startswith(clearance.LOADED))
        or (inside is not None and not own.startswith(("ModelDataUrl", "ModelDataSource"))),
    }


def _value(said: str, manifest: Mapping[str, Any]) -> str | None:
    """What a manifest says, for people: an image with the name that it came by."""
    image = images.origin_of(said, manifest.get("images") or ())
    if image is not None and image["uri"] != said:
        place, _, _ = image["uri"].partition("@")
        return f"{place}@{image['digest']}"
    return None if said == "null" else said


def _rollback(side: Side, entries: Sequence[Entry], setting: Setting) -> dict[str, Any]:
    """{target, text}: what Prod goes back to if this version must go; `target` None without one."""
    release = opponent(entries, setting.project["endpoint_name"], side.model_package_arn)
    if release is None:
        text = "None: nothing was released before, so there is nothing to go back to"
        return {"target": None, "text": text}
    arn = release["model_package_arn"]
    story = [entry for entry in reversed(entries) if entry["model_package_arn"] == arn]
    phase = ledger.phase(story)
    voided = any(
        e["kind"] == "ApprovalsVoided" and e["sequence"] > release["sequence"] for e in story
    )
    bad = "it was changed after its release" if voided else _unfit(phase)
    version = int(arn.rpartition("/")[2])
    drilled = next((e for e in story if e["kind"] in ledger.DRILLED), None)
    target = {
        "version": version,
        "model_package_arn": arn,
        "candidate_id": release.get("candidate_id"),
        "released_at": release["recorded_at"],
        "signed_by": ledger.who(release).get("person"),
        "phase": phase,
        "fit": not bad,
        "last_drill": drilled
        and {
            "recorded_at": drilled["recorded_at"],
            "person": ledger.who(drilled).get("person"),
            "proven": drilled["drill"]["proven"],
            "said": drilled["drill"]["said"],
            "seconds": drilled["drill"].get("seconds"),
        },
    }
    return {"target": target, "text": f"Version {version}" + (f", but {bad}" if bad else "")}


def _unfit(phase: str | None) -> str:
    fit = ("Prod/Deployed", "Prod/Superseded")
    return "" if phase in fit else f"it is {phase} now"
