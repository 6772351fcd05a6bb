"""BuildCandidate: write down exactly which bytes were approved, and take their digest as name."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import manifests
from governance.adapters.artifacts import Artifacts, of_role
from governance.adapters.ledger import Ledger
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.contracts.documents import LIBRARIES
from governance.domain import candidate, claims, described, evaluation, registration
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Locate every object of the version, store the manifest, read the evaluation report.

    What was replaced since the registration is a mismatch: the gate says no, and nothing is copied.
    InvalidInputError for what Central could not be told of after the copy.
    """
    promotion = contracts.request("build_candidate", event)["promotion"]
    session = Sessions(settings, claim_of(event)).hub(promotion["account"])
    description = Registry(session).describe(promotion["model_package_arn"])
    origin = Artifacts(session)
    bucket, model = settings.evidence_bucket, promotion["model"]
    registered = Ledger(settings.ledger_table).registered_as(model, promotion["model_package_arn"])
    before = (
        manifests.read(manifests.manifest_uri(bucket, model, registered), registered)
        if registered
        else None
    )
    built = manifests.build(description, session, bucket, before)
    uri = manifests.store(built, bucket, settings.kms_key_arn)
    found = {
        "candidate_id": built.candidate_id,
        "manifest_uri": uri,
        "objects": built.objects,
        "images": built.images,
    }
    registration.check_registrable(description, found, built.images, settings.artifacts_bucket)
    report, problems = contracts.evaluation_report(
        origin.read(of_role(built.objects, "evaluation"))
    )
    parts, wrong = manifests.parts_of(built, session)
    return {
        "candidate": {
            **found,
            "described": described.described(description, built.images),
            "parts": parts,
        },
        "declared_mismatches": [
            {"name": found["name"], "declared": found["expected"], "actual": found["actual"]}
            for found in claims.changed_since(promotion["decided_at"], description)
        ]
        + candidate.declared_mismatches(built.references, built.objects)
        + [{"name": "libraries", "declared": LIBRARIES["title"], "actual": w} for w in wrong]
        + manifests.replaced(built, session, before),
        "evaluation": evaluation.facts(report, problems),
    }
