"""A version that is in Central's registry, and whose promotion came no further.

SageMaker gives a version its ARN when it makes it, and what names that ARN comes after it: so it is
there, as Test / Registering (ADR 0014). Somebody may approve it, and nothing comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.e2e.organisation import (
    ARTIFACTS_BUCKET,
    CENTRAL,
    PROD,
    TEST,
    Organisation,
    Outcome,
    denied,
    said,
    version_arn,
)
from tests.e2e.scenarios import Trained

MODEL = "half-registered-model"


@dataclass(frozen=True)
class Half:
    """The promotion that ended after the registration, the approval for Test that somebody gave
    all the same, and the next promotion, with nothing in its way.
    """

    arn: str
    broken: Outcome
    left_as: tuple[str, str]
    approved: Outcome
    endpoints: list[str]
    open_to: list[str]
    mended: Outcome


@pytest.fixture(scope="module")
def half(organisation: Organisation, trained: Trained) -> Half:
    organisation.provision(MODEL, tier="low")
    sagemaker, arn = organisation.root(CENTRAL, "sagemaker"), version_arn(CENTRAL, MODEL, 1)
    # What somebody wrote there is not overwritten, so the lineage cannot be tied to the version.
    forged = sagemaker.create_artifact(
        Source={"SourceUri": arn},
        ArtifactType="ModelPackage",
        Properties={"candidate_id": "0" * 64},
    )["ArtifactArn"]
    origin = organisation.register_again(trained.first, MODEL)
    broken = organisation.approve("dev", origin)
    life_cycle = organisation.central(arn)["ModelLifeCycle"]
    left_as = (life_cycle["Stage"], life_cycle["StageStatus"])
    approved = organisation.approve("test", arn)
    endpoints = organisation.endpoints(TEST, MODEL)
    readers = {"Test": TEST, "Prod": PROD}
    key = next(key for key in organisation.artifact_keys(MODEL) if "/model-data/" in key)
    open_to = [
        stage
        for stage, account in readers.items()
        if not denied(
            organisation.borrow(account, "governed-path-endpoint-execution")
            .client("s3")
            .get_object,
            Bucket=ARTIFACTS_BUCKET,
            Key=key,
        )
    ]
    sagemaker.update_artifact(ArtifactArn=forged, PropertiesToRemove=["candidate_id"])
    mended = organisation.approve("dev", origin)
    return Half(arn, broken, left_as, approved, endpoints, open_to, mended)


def test_a_promotion_that_ends_after_the_registration_is_errored(
    organisation: Organisation, half: Half
) -> None:
    assert half.broken.entry["kind"] == "PromotionErrored"
    assert half.broken.execution["error"] == "IntegrityError"
    assert half.left_as == ("Test", "Registering")


def test_nobody_is_told_of_the_version(organisation: Organisation, half: Half) -> None:
    assert half.arn not in str(half.broken.entry)
    before = organisation.story(MODEL)[: organisation.kinds(MODEL).index("CandidatePromoted")]
    assert "CandidatePromoted" not in {entry["kind"] for entry in before}


def test_who_approves_it_all_the_same_gets_nothing_and_is_told_why(half: Half) -> None:
    assert half.approved.entry["kind"] == "ValidationErrored"
    assert half.approved.execution["error"] == "NotFoundError"
    assert f"no CandidatePromoted of {half.arn}" in said(half.approved.entry)
    assert half.endpoints == []


def test_its_bytes_are_open_to_no_stage(half: Half) -> None:
    assert half.open_to == []


def test_the_next_approval_in_dev_completes_the_very_version(
    organisation: Organisation, half: Half
) -> None:
    assert half.mended.entry["kind"] == "CandidatePromoted", half.mended.entry.get("failure")
    assert half.mended.entry["model_package_arn"] == half.arn
    assert organisation.central_versions(MODEL) == [half.arn]
    validated = organisation.approve("test", half.arn)
    assert validated.entry["kind"] == "ValidationPassed", validated.entry.get("reasons")
