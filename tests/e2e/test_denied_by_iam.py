"""What a persona's own role does not let it do: AWS refuses, nothing changes, nothing starts."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.e2e.organisation import (
    CENTRAL,
    DEV,
    REASON,
    REGION,
    Organisation,
    denied,
    role_arn,
)
from tests.e2e.scenarios import MODEL, UNTESTED, Trained, Untested

SYSTEM_STATUSES = [
    ("Test", "Registering"),
    ("Test", "Validating"),
    ("Test", "Passed"),
    ("Test", "Failed"),
    ("Test", "Errored"),
    ("Prod", "Releasing"),
    ("Prod", "Deployed"),
    ("Prod", "Superseded"),
]
# Reviews, and taking them back, are the persona's that can judge; an emergency is never an admin's.
WRONG_REVIEWERS = [
    ("ai-engineer", "Business-Approved"),
    ("ai-engineer", "Compliance-Approved"),
    ("ai-engineer", "Deployment-Revoked"),
    ("governance-engineer", "Technical-Approved"),
    ("governance-engineer", "Technical-Revoked"),
    ("admin", "Technical-Approved"),
    ("admin", "BreakGlass-Requested"),
    ("data-scientist", "Technical-Approved"),
]
CENTRAL_PERSONAS = ("ai-engineer", "governance-engineer", "admin")


@pytest.fixture(scope="module")
def arn(untested: Untested) -> str:
    """A Central version that nobody here may move."""
    return str(untested.promoted.entry["model_package_arn"])


@pytest.fixture(scope="module")
def before(organisation: Organisation, arn: str) -> dict[str, Any]:
    """The version before anybody tries."""
    return organisation.central(arn)


def _is_refused(
    organisation: Organisation,
    session: boto3.Session,
    arn: str,
    before: dict[str, Any],
    **what: Any,
) -> bool:
    """True if the update is denied and the version is as it was; no update, then no event."""
    refused = denied(session.client("sagemaker").update_model_package, ModelPackageArn=arn, **what)
    return refused and organisation.central(arn) == before


def test_ai_engineer_cannot_approve_for_prod(
    organisation: Organisation, arn: str, before: dict[str, Any]
) -> None:
    session = organisation.persona("ai-engineer").session
    approval = {"Stage": "Prod", "StageStatus": "Approved"}
    assert _is_refused(organisation, session, arn, before, ModelLifeCycle=approval)
    assert _is_refused(organisation, session, arn, before, ModelApprovalStatus="Approved")


def test_ai_engineer_cannot_sign_while_approving_for_test(
    organisation: Organisation, arn: str, before: dict[str, Any]
) -> None:
    session = organisation.persona("ai-engineer").session
    approval = {"Stage": "Test", "StageStatus": "Approved"}
    assert _is_refused(
        organisation,
        session,
        arn,
        before,
        ModelLifeCycle=approval,
        ModelApprovalStatus="Approved",
        ApprovalDescription=REASON,
    )


def test_governance_engineer_cannot_approve_for_test(
    organisation: Organisation, arn: str, before: dict[str, Any]
) -> None:
    session = organisation.persona("governance-engineer").session
    approval = {"Stage": "Test", "StageStatus": "Approved"}
    assert _is_refused(organisation, session, arn, before, ModelLifeCycle=approval)


def test_admin_cannot_approve_anything(
    organisation: Organisation, arn: str, before: dict[str, Any]
) -> None:
    session = organisation.persona("admin").session
    for stage in ("Test", "Prod"):
        approval = {"Stage": stage, "StageStatus": "Approved"}
        assert _is_refused(organisation, session, arn, before, ModelLifeCycle=approval)


@pytest.mark.parametrize("stage", ["Dev", "Test", "Prod"])
def test_data_scientist_cannot_approve_in_central(
    organisation: Organisation, arn: str, before: dict[str, Any], stage: str
) -> None:
    session = organisation.persona("data-scientist").session
    approval = {"Stage": stage, "StageStatus": "Approved"}
    assert _is_refused(organisation, session, arn, before, ModelLifeCycle=approval)


@pytest.mark.parametrize(("stage", "status"), SYSTEM_STATUSES)
@pytest.mark.parametrize("persona", CENTRAL_PERSONAS)
def test_people_cannot_set_the_statuses_of_the_system(
    organisation: Organisation,
    arn: str,
    before: dict[str, Any],
    persona: str,
    stage: str,
    status: str,
) -> None:
    session = organisation.persona(persona).session
    life_cycle = {"Stage": stage, "StageStatus": status}
    assert _is_refused(organisation, session, arn, before, ModelLifeCycle=life_cycle)


@pytest.mark.parametrize(("persona", "status"), WRONG_REVIEWERS)
def test_a_review_by_the_wrong_persona_is_denied(
    organisation: Organisation, arn: str, before: dict[str, Any], persona: str, status: str
) -> None:
    session = organisation.persona(persona).session
    life_cycle = {"Stage": "Prod", "StageStatus": status, "StageDescription": "read it"}
    assert _is_refused(organisation, session, arn, before, ModelLifeCycle=life_cycle)


@pytest.mark.parametrize("persona", CENTRAL_PERSONAS)
def test_people_cannot_write_test_results(
    organisation: Organisation, arn: str, before: dict[str, Any], persona: str
) -> None:
    session = organisation.persona(persona).session
    results = {"test-status": "Passed"}
    assert _is_refused(organisation, session, arn, before, CustomerMetadataProperties=results)


def test_training_role_cannot_approve(organisation: Organisation, trained: Trained) -> None:
    sagemaker = organisation.assume(DEV, "training").client("sagemaker")
    update = {
        "ModelPackageArn": trained.second,
        "ModelLifeCycle": {"Stage": "Dev", "StageStatus": "Approved"},
    }
    assert denied(sagemaker.update_model_package, **update)
    assert denied(
        sagemaker.update_model_package,
        ModelPackageArn=trained.second,
        ModelApprovalStatus="Approved",
    )


@pytest.mark.parametrize(
    "approved",
    [
        {"ModelApprovalStatus": "Approved"},
        {
            "ModelApprovalStatus": "PendingManualApproval",
            "ModelLifeCycle": {"Stage": "Dev", "StageStatus": "Approved"},
        },
    ],
)
def test_training_role_cannot_register_what_is_approved_already(
    organisation: Organisation, approved: dict[str, Any]
) -> None:
    sagemaker = organisation.assume(DEV, "training").client("sagemaker")
    assert denied(sagemaker.create_model_package, ModelPackageGroupName=UNTESTED, **approved)


def _attempts_on_central(session: boto3.Session, arn: str) -> list[tuple[Any, dict[str, Any]]]:
    """Every call by which another account could see, make, change or open a Central version."""
    sagemaker = session.client("sagemaker")
    group = arn.replace(":model-package/", ":model-package-group/").rpartition("/")[0]
    life_cycle = {"Stage": "Test", "StageStatus": "Approved"}
    container = {"Image": f"{CENTRAL}.dkr.ecr.{REGION}.amazonaws.com/any:1"}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    return [
        (sagemaker.describe_model_package, {"ModelPackageName": arn}),
        (sagemaker.update_model_package, {"ModelPackageArn": arn, "ModelLifeCycle": life_cycle}),
        (
            sagemaker.create_model_package,
            {"ModelPackageGroupName": group, "InferenceSpecification": specification},
        ),
        (sagemaker.delete_model_package, {"ModelPackageName": arn}),
        (sagemaker.describe_model_package_group, {"ModelPackageGroupName": group}),
        (sagemaker.delete_model_package_group, {"ModelPackageGroupName": group}),
    ]


@pytest.mark.parametrize(
    "role", ["training", "data-scientist", "hub", "event-forwarding", "with-all-permissions"]
)
def test_no_role_of_dev_reaches_a_central_version(
    organisation: Organisation, arn: str, before: dict[str, Any], role: str
) -> None:
    """Nor does an administrator's of Dev: Central's group lets Prod in and nobody else."""
    name = f"governed-path-{role}"
    if role == "with-all-permissions":
        iam = organisation.root(DEV, "iam")
        name = "somebody-of-dev-with-all-permissions"
        trust, everything = (
            json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
            for statement in (
                {"Principal": {"AWS": f"arn:aws:iam::{DEV}:root"}, "Action": "sts:AssumeRole"},
                {"Action": "*", "Resource": "*"},
            )
        )
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=everything)
    versions = organisation.central_versions(UNTESTED)
    session = organisation.borrow(DEV, name)
    went_through = [
        call.__name__
        for call, arguments in _attempts_on_central(session, arn)
        if not denied(call, **arguments)
    ]
    assert went_through == []
    assert organisation.central(arn) == before
    assert organisation.central_versions(UNTESTED) == versions


def test_nobody_takes_a_role_of_the_hub(organisation: Organisation) -> None:
    for persona in ("data-scientist", *CENTRAL_PERSONAS):
        sts = organisation.persona(persona).session.client("sts")
        for account, role in ((CENTRAL, "registry"), (DEV, "hub")):
            assert denied(
                sts.assume_role,
                RoleArn=role_arn(account, role),
                RoleSessionName=persona,
                ExternalId="governed-path",
            )


def test_nothing_was_started(
    organisation: Organisation, untested: Untested, before: dict[str, Any], arn: str
) -> None:
    assert organisation.central(arn) == before
    assert not organisation.executions("validate_in_test", UNTESTED)


def test_training_starts_nothing(organisation: Organisation, trained: Trained) -> None:
    started = organisation.executions("promote_to_central", MODEL)
    assert not [execution for execution in started if trained.second in execution["input"]]
