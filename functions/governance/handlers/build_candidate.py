"""BuildCandidate: write down exactly which bytes were approved, and take their digest as name."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts, of_role, parse_uri, uri_of
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import candidate, claims, described, evaluation
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Locate every object of the version, store the manifest, read the evaluation report."""
    promotion = contracts.request("build_candidate", event)["promotion"]
    session = Sessions(settings, claim_of(event)).hub(promotion["account"])
    description = Registry(session).describe(promotion["model_package_arn"])
    references = candidate.references(description)
    origin = Artifacts(session)
    objects = [
        {"role": found["role"]}
        | origin.locate(*parse_uri(found["uri"]), found["version_id"] or None, found["sha256"])
        for found in references
    ]
    manifest = candidate.manifest(description, objects)
    candidate_id = candidate.candidate_id(manifest)
    stored = Artifacts().store(
        settings.evidence_bucket,
        f"manifests/{promotion['model']}/{candidate_id}.json",
        candidate.canonical(manifest),
        settings.kms_key_arn,
    )
    report, problems = contracts.evaluation_report(origin.read(of_role(objects, "evaluation")))
    return {
        "candidate": {
            "candidate_id": candidate_id,
            "manifest_uri": uri_of(stored),
            "objects": objects,
            "described": described.described(description, manifest),
        },
        "declared_mismatches": [
            {"name": found["name"], "declared": found["expected"], "actual": found["actual"]}
            for found in claims.changed_since(promotion["decided_at"], description)
        ]
        + candidate.declared_mismatches(references, objects),
        "evaluation": evaluation.facts(report, problems),
    }
