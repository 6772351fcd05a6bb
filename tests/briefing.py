"""Versions as a brief sees them: manifests, reports and a ledger, made here to be changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from governance.domain import briefs, candidate, suites
from governance.domain.comparisons import Side
from tests.contracts import policies, samples

NOW = "2026-11-22T06:00:00Z"
POLICY = policies.policy()
SECTIONS = tuple(POLICY.tier["required_card_sections"])
DESCRIBED: dict[str, Any] = {
    "card_sections": list(SECTIONS),
    "dataset_version": "s3://data version v1",
    "image": {"uri": samples.images()[0]["central_uri"], "digest": None},
}
IMAGES = samples.candidate()["images"]
# As the gates see it: Dev's by the tag of the registration, the others by digest.
IMAGE_IN_DEV = {"uri": samples.IMAGE, "registry": "683313688378", "critical": None, "scan": "no"}
IMAGE = {**IMAGE_IN_DEV, "uri": DESCRIBED["image"]["uri"], "scan": "not ours"}
MEASURED = {"auc": 0.82, "brier": 0.17, "calibration_error": 0.06, "latency_p95_ms": 9.5}
REVIEWERS = {"technical": "tess", "business": "bruno", "compliance": "chloe", "deployment": "remy"}
CHAMPION, CANDIDATE = 3, 4


def arn(version: int) -> str:
    return samples.version_arn(version=version)


def origin(version: int) -> str:
    return samples.version_arn(samples.DEV, version)


def report(auc: float = 0.82, holdout: str = "holdout.csv", **metrics: float) -> dict[str, Any]:
    """An evaluation report on the holdout with that name's digest."""
    found = samples.evaluation_report()
    found["metrics"] |= {"auc": auc, **metrics}
    found["holdout"]["sha256"] = samples.digest(holdout)
    return found


def side(
    version: int, *, model: str = "model.tar.gz", holdout: str = "holdout.csv", **report_of: Any
) -> Side:
    """What evidence says of a version whose model data and holdout have those names' digests."""
    digests = {"model-data": samples.digest(model), "holdout": samples.digest(holdout)}
    objects = [
        one | ({"sha256": digests[one["role"]]} if one["role"] in digests else {})
        for one in samples.origin_objects()
    ]
    manifest = candidate.manifest(samples.description(), objects, IMAGES)
    tests = {"results": samples.results()}
    number = candidate.candidate_id(manifest)
    return Side(arn(version), number, manifest, report(holdout=holdout, **report_of), (), tests)


class Ledger:
    """A model's entries, written one after the other, a second each."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = [
            {
                "sequence": 1,
                "kind": "PolicyChanged",
                "model_package_arn": f"arn:aws:sagemaker:us-east-1:{samples.CENTRAL}:action/p",
                "recorded_at": "2026-11-21T06:00:00Z",
                "decided_at": "2026-11-21T06:00:00Z",
                "policy": {"after": {"digest": POLICY.digest}},
            }
        ]

    def add(self, kind: str, of: Side, person: str = "", **more: Any) -> dict[str, Any]:
        """Append an entry about the version; `person` decided it as an AI engineer."""
        number = len(self.entries) + 1
        moment = f"2026-11-21T06:00:{number:02d}Z"
        entry = {
            "model": samples.MODEL,
            "sequence": number,
            "entry_id": f"{number:064x}",
            "kind": kind,
            "claim_id": f"{number:064x}",
            "recorded_at": moment,
            "decided_at": moment,
            "model_package_arn": of.model_package_arn,
            "candidate_id": of.candidate_id,
            **({"approver": identity("ai-engineer", person)} if person else {}),
            **more,
        }
        self.entries.append(entry)
        return entry

    def promoted(self, of: Side) -> None:
        """In Central, not tested."""
        self.add(
            "CandidatePromoted",
            of,
            "dana",
            stage="Test",
            stage_status="PendingApproval",
            origin_arn=origin(of.version),
            trainer={"person": "theo", "persona": "training-pipeline"},
            verdict={"allowed": True, "facts": {"image": IMAGE_IN_DEV}, "reasons": []},
        )

    def tested(self, of: Side) -> None:
        """In Central, and its tests have passed."""
        self.promoted(of)
        self.add(
            "ValidationStarted",
            of,
            "alex",
            stage="Test",
            stage_status="Validating",
            verdict={"allowed": True, "facts": {"image": IMAGE}, "reasons": []},
        )
        self.add(
            "ValidationPassed",
            of,
            "alex",
            stage="Test",
            stage_status="Passed",
            summary={
                "metrics": MEASURED,
                "suites": [{"suite": suite, "status": "passed"} for suite in suites.BUILT_IN],
            },
            definition=samples.definition_reference(),
        )

    def reviewed(self, of: Side, kinds: Sequence[str] = tuple(REVIEWERS)) -> None:
        """Reviews by the people of REVIEWERS."""
        for kind in kinds:
            persona = "ai-engineer" if kind == "technical" else "governance-engineer"
            self.add(
                "ReviewGiven",
                of,
                stage="Prod",
                stage_status=f"{kind.capitalize()}-Approved",
                review=kind,
                reason="read",
                approver=identity(persona, REVIEWERS[kind]),
            )

    def released(self, of: Side) -> None:
        """It serves in Prod."""
        self.add(
            "CandidateReleased",
            of,
            "grace",
            stage="Prod",
            stage_status="Deployed",
            endpoint={
                "endpoint_name": samples.project()["endpoint_name"],
                "endpoint_arn": f"arn:aws:sagemaker:us-east-1:{samples.PROD}:endpoint/c",
                "account": samples.PROD,
            },
        )


def identity(persona: str, person: str) -> dict[str, Any]:
    return samples.identity(persona, person, samples.CENTRAL)


def setting(asked_at: str = NOW) -> briefs.Setting:
    return briefs.Setting(
        *(asked_at, samples.project(), POLICY, policies.decide(POLICY)),
        definition={**samples.definition_reference(), "problems": []},
        deployed=samples.definition(),
    )


def brief(ledger: Ledger, of: Side, other: Side | None = None, **more: Any) -> dict[str, Any]:
    """The brief of a version; it is a document that JSON can say."""
    asked_at = more.pop("asked_at", NOW)
    found = briefs.brief(
        of,
        other,
        entries=ledger.entries,
        setting=setting(asked_at),
        **{"described": DESCRIBED, **more},
    )
    read: dict[str, Any] = json.loads(json.dumps(found))
    assert read == found
    return found
