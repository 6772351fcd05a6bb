"""A whole version's evidence, made here: chain, manifest, reports, card, policy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from governance.domain import (
    candidate,
    definitions,
    dossiers,
    ledger,
    policies,
    policy_changes,
    registration,
)
from tests import chains
from tests.contracts import events, samples

ARN = samples.version_arn()
POLICIES = Path(__file__).parents[1] / "policies"


def validation(candidate_id: str) -> dict[str, Any]:
    """A candidate's test report as AggregateResults stores it."""
    results = samples.results()
    metrics = {name: value for one in results for name, value in one["metrics"].items()}
    return {
        "schema": "governed-path/test-report/v1",
        "model": samples.MODEL,
        "model_package_arn": ARN,
        "candidate_id": candidate_id,
        "results": results,
        "status": "Passed",
        "summary": {"metrics": metrics},
        "reasons": [],
    }


def card() -> dict[str, Any]:
    """A model card's content, with an evaluation that we added after the approval."""
    return {
        "intended_uses": {
            "intended_uses": "Rank diabetes patients for a follow-up by a clinician.",
            "risk_rating": "High",
        },
        "evaluation_details": [
            {"name": "Fixed holdout"},
            {"name": "governed-path test of candidate 000000000000"},
        ],
        "additional_information": {"caveats_and_recommendations": "Weakest for 60 and over."},
    }


@dataclass(frozen=True)
class Evidence:
    """What is known about one version. `signer` made the chain."""

    signer: chains.Signer = field(default_factory=chains.Signer)

    @property
    def description(self) -> dict[str, Any]:
        """DescribeModelPackage's answer."""
        content = json.dumps(card())
        return samples.description(ModelCard={"ModelCardContent": content})

    @property
    def central(self) -> dict[str, Any]:
        """DescribeModelPackage's answer for the Central version: every reference was moved."""
        text = json.dumps(self.description | {"ModelPackageArn": ARN})
        pairs = zip(samples.origin_objects(), samples.central_objects(), strict=True)
        for origin, moved in pairs:
            text = text.replace(json.dumps(_uri(origin)), json.dumps(_uri(moved)))
        for image in samples.images():
            text = text.replace(json.dumps(image["uri"]), json.dumps(image["central_uri"]))
        described: dict[str, Any] = json.loads(text)
        tested = registration.results_update(
            described, json.loads(self.validation), self.report_reference
        )
        described |= tested
        described["CustomerMetadataProperties"] |= {
            "candidate-id": self.candidate_id,
            "origin-arn": self.description["ModelPackageArn"],
            "manifest-uri": f"s3://evidence/{self.candidate_id}.json",
        }
        return described

    @property
    def item(self) -> dict[str, Any]:
        """What the candidates table has."""
        said = self.central["CustomerMetadataProperties"]
        return {
            "candidate_id": self.candidate_id,
            "central_arn": ARN,
            "origin_arn": said["origin-arn"],
            "manifest_uri": said["manifest-uri"],
            "objects": self.central_objects,
        }

    @property
    def central_objects(self) -> list[dict[str, Any]]:
        """Where the candidate's bytes are in Central."""
        digests = {one["role"]: one["sha256"] for one in self.manifest["artifacts"]}
        return [one | {"sha256": digests[one["role"]]} for one in samples.central_objects()]

    @property
    def evaluation(self) -> bytes:
        return json.dumps(samples.evaluation_report(), indent=1).encode()

    @property
    def validation(self) -> bytes:
        return json.dumps(validation(self.candidate_id), indent=2, sort_keys=True).encode()

    @property
    def report_reference(self) -> dict[str, str]:
        """Where the ledger says that the test report is."""
        (named,) = [entry["report"] for entry in chains.story(6) if "report" in entry]
        return {**named, "sha256": _sha256(self.validation)}

    @property
    def policy(self) -> dict[str, bytes]:
        files = {
            "cedar": "approvals.cedar",
            "schema": "approvals.cedarschema",
            "tier": "tiers/high.json",
        }
        return {part: (POLICIES / name).read_bytes() for part, name in files.items()}

    @property
    def policies(self) -> list[dict[str, bytes]]:
        """Every policy that the version was decided under."""
        return [self.policy]

    @property
    def definition(self) -> bytes:
        """The deployment definition that the entries name."""
        return definitions.canonical(samples.definition())

    @property
    def manifest(self) -> dict[str, Any]:
        objects = [
            one | ({"sha256": _sha256(self.evaluation)} if one["role"] == "evaluation" else {})
            for one in samples.origin_objects()
        ]
        return candidate.manifest(self.description, objects, samples.candidate()["images"])

    @property
    def candidate_id(self) -> str:
        return candidate.candidate_id(self.manifest)

    def chain(self) -> chains.Chain:
        """The version's way to Prod, with another version's entry in between."""
        digest = dossiers.policy_digest(self.policy)
        entries = []
        for entry in chains.story(6):
            entry = dict(entry)
            if "candidate_id" in entry:
                entry["candidate_id"] = self.candidate_id
            if "verdict" in entry:
                entry["verdict"] = entry["verdict"] | {"policy_digest": digest}
            if "report" in entry:
                entry["report"] = self.report_reference
            if entry["kind"] == "ValidationPassed":
                # It ends what the entry before began.
                entry["claim_id"] = claim = entries[-1]["claim_id"]
                entry["entry_id"] = ledger.entry_id(claim, entry["kind"], ARN)
            entries.append(entry)
        entries[3] |= {"model_package_arn": samples.version_arn(version=9)}
        entries[3].pop("candidate_id", None)
        return chains.chained(self.signer, entries, self.manifest["artifacts"])

    def files(self, **other: Any) -> dict[str, bytes]:
        """The files of the version's dossier; `other` replaces arguments of `assemble`."""
        from cli import dossier_page

        chain = self.chain()
        entries = [statement["predicate"]["entry"] for statement in chain.statements]
        about = dossiers.story(entries, ARN)
        arguments: Mapping[str, Any] = {
            "model": chain.model,
            "model_package_arn": ARN,
            "envelopes": chain.envelopes,
            "checkpoint": chain.checkpoint,
            "public_key_pem": self.signer.pem,
            "manifest": candidate.canonical(self.manifest),
            "evaluation": self.evaluation,
            "reports": dict.fromkeys(dossiers.named_reports(about), self.validation),
            "card": candidate.canonical_card(self.description, self.manifest["artifacts"]),
            "policies": self.policies,
            "deployments": [self.definition],
            "renderer": dossier_page.renderer(),
            "render": dossier_page.render,
        }
        return dossiers.assemble(**{**arguments, **other})


@dataclass(frozen=True)
class Republished(Evidence):
    """A version that was promoted under one policy, and decided on under another from then on."""

    @property
    def earlier_policy(self) -> dict[str, bytes]:
        """The policy of the first verdict; its tier asked for more."""
        stricter = self.policy["tier"].replace(b'"auc_min": 0.75', b'"auc_min": 0.8')
        assert stricter != self.policy["tier"]
        return self.policy | {"tier": stricter}

    @property
    def policies(self) -> list[dict[str, bytes]]:
        return [self.earlier_policy, self.policy]

    @property
    def places(self) -> dict[tuple[str, str], bytes]:
        """{(key, version id): bytes} of the evidence bucket's policies."""
        return {
            (_policy_key(part), _sha256(body)[:8]): body
            for policy in self.policies
            for part, body in policy.items()
        }

    def chain(self) -> chains.Chain:
        entries = [dict(one["predicate"]["entry"]) for one in super().chain().statements]
        digest = dossiers.policy_digest(self.earlier_policy)
        entries[0]["verdict"] = entries[0]["verdict"] | {"policy_digest": digest}
        changes = [
            _policy_change(None, self.earlier_policy),
            _policy_change(self.earlier_policy, self.policy),
        ]
        story = [changes[0], entries[0], changes[1], *entries[1:]]
        return chains.chained(self.signer, story, self.manifest["artifacts"])


def _policy_change(
    before: Mapping[str, bytes] | None, after: Mapping[str, bytes]
) -> dict[str, Any]:
    """The entry that the publication of a policy makes."""
    pins = {
        part: {
            "uri": f"s3://{samples.EVIDENCE_BUCKET}/{_policy_key(part)}",
            "version_id": _sha256(body)[:8],
            "sha256": _sha256(body),
        }
        for part, body in after.items()
    }
    claim = _sha256(b"".join(after.values()))
    last = None
    if before is not None:
        known = {"digest": dossiers.policy_digest(before), **policies.digests_of(before)}
        last = {"policy": {"after": known}}
    entry = events.example("governed-path-policy-changed.first")["detail"]
    change = entry["policy"]["change"]
    request = policy_changes.entry_request(
        {"model": samples.MODEL, "risk_tier": "high", "policy": {**pins, "change": change}},
        {"CreationTime": entry["decided_at"], "CreatedBy": {}},
        last,
    )
    return {
        **{key: value for key, value in entry.items() if key not in ("sequence", "previous")},
        "claim_id": claim,
        "entry_id": ledger.entry_id(claim, entry["kind"], entry["model_package_arn"]),
        "policy": request["policy"],
    }


def _policy_key(part: str) -> str:
    return f"policies/{part}"


def _uri(location: Mapping[str, Any]) -> str:
    return f"s3://{location['bucket']}/{location['key']}"


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
