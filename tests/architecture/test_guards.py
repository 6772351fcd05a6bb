"""The personas' guard policies say what the stage machine says (DESIGN.md, section 4, rule 13).

Decided by the emulator's IAM evaluator on the policies as the templates have them.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ministack.core import iam_evaluator
from samtranslator.yaml_helper import yaml_parse

from governance.domain import phases
from governance.domain.phases import Registry, Setter

ROOT = Path(__file__).parents[2]
ACCOUNT = "111122223333"
# Whose role is in which template, and what its requests look like.
ROLES = {
    Setter.DATA_SCIENTIST: ("stacks/member.yaml", "DataScientistRole", Registry.DEV),
    Setter.TRAINING_PIPELINE: ("stacks/member.yaml", "TrainingRole", Registry.DEV),
    Setter.AI_ENGINEER: ("template.yaml", "AiEngineerRole", Registry.CENTRAL),
    Setter.GOVERNANCE_ENGINEER: ("template.yaml", "GovernanceEngineerRole", Registry.CENTRAL),
    Setter.SYSTEM: ("template.yaml", "RegistryRole", Registry.CENTRAL),
}
STATUSES = sorted({(phase.stage, phase.status) for phase in phases.PHASES})


@cache
def _role(template: str, name: str) -> list[Any]:
    document = yaml_parse((ROOT / template).read_text())
    policies = document["Resources"][name]["Properties"]["Policies"]
    return [
        iam_evaluator.parse_policy_document(json.dumps(_resolved(policy["PolicyDocument"])))
        for policy in policies
    ]


def _resolved(value: Any) -> Any:
    """The document with pseudo parameters filled in; what names another resource becomes "*"."""
    if isinstance(value, dict):
        if "Fn::Sub" in value and "${AWS::" in value["Fn::Sub"] and "Arn}" not in value["Fn::Sub"]:
            text = value["Fn::Sub"].replace("${AWS::Partition}", "aws")
            return text.replace("${AWS::Region}", "us-east-1").replace("${AWS::AccountId}", ACCOUNT)
        if len(value) == 1 and next(iter(value)) in ("Fn::Sub", "Fn::GetAtt", "Ref", "Fn::If"):
            return "arn:aws:none:::none"
        return {key: _resolved(entry) for key, entry in value.items()}
    return [_resolved(entry) for entry in value] if isinstance(value, list) else value


def _allowed(setter: Setter, **keys: str) -> bool:
    template, name, _ = ROLES[setter]
    operation = "Create" if setter is Setter.TRAINING_PIPELINE else "Update"
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/role/person",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=f"sagemaker:{operation}ModelPackage",
        resource_arn=f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model-package/model/1",
        region="us-east-1",
        service_context={
            f"sagemaker:{key.replace('_', ':')}".lower(): v for key, v in keys.items()
        },
    )
    return iam_evaluator.evaluate(context, _role(template, name)).decision == "Allow"


def _phase_keys(stage: str, status: str) -> dict[str, str]:
    return {"ModelLifeCycle_stage": stage, "ModelLifeCycle_stageStatus": status}


@pytest.mark.parametrize(("stage", "status"), STATUSES)
@pytest.mark.parametrize(
    "setter", [setter for setter in ROLES if setter is not Setter.SYSTEM], ids=str
)
def test_iam_lets_a_persona_set_what_the_stage_machine_says_and_nothing_else(
    setter: Setter, stage: str, status: str
) -> None:
    keys = _phase_keys(stage, status)
    if setter is Setter.TRAINING_PIPELINE:
        keys["ModelApprovalStatus"] = "PendingManualApproval"
    assert _allowed(setter, **keys) == phases.may_set(setter, stage, status)


@pytest.mark.parametrize(("stage", "status"), STATUSES)
def test_the_registry_role_may_set_every_status_of_the_system(stage: str, status: str) -> None:
    phase = phases.BY_NAME[f"{stage}/{status}"]
    if Setter.SYSTEM in phase.set_by:
        assert _allowed(Setter.SYSTEM, **_phase_keys(stage, status))


@pytest.mark.parametrize("signature", ["Approved", "Rejected"])
def test_the_signature_is_a_governance_engineers(signature: str) -> None:
    sign = {"ModelApprovalStatus": signature}
    prod = _phase_keys("Prod", signature)
    assert _allowed(Setter.GOVERNANCE_ENGINEER, **prod, **sign)
    # Without a stage there is no guard to pass: the signature alone is refused.
    assert not _allowed(Setter.GOVERNANCE_ENGINEER, **sign)
    assert not _allowed(Setter.AI_ENGINEER, **_phase_keys("Test", signature), **sign)
    assert not _allowed(Setter.AI_ENGINEER, **sign)
    assert not _allowed(Setter.SYSTEM, **_phase_keys("Prod", "Deployed"), **sign)


def test_in_dev_the_approval_status_alone_may_be_flipped_but_not_by_training() -> None:
    assert _allowed(Setter.DATA_SCIENTIST, ModelApprovalStatus="Approved")
    assert not _allowed(Setter.TRAINING_PIPELINE, ModelApprovalStatus="Approved")
    assert not _allowed(
        Setter.TRAINING_PIPELINE,
        ModelApprovalStatus="Approved",
        **_phase_keys("Dev", "Registered"),
    )


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("stacks/member.yaml", "DataScientistRole"),
        ("stacks/member.yaml", "TrainingRole"),
        ("template.yaml", "AiEngineerRole"),
        ("template.yaml", "GovernanceEngineerRole"),
        ("template.yaml", "AdminRole"),
    ],
)
def test_who_is_named_takes_a_role_under_no_name_but_their_own(template: str, name: str) -> None:
    document = yaml_parse((ROOT / template).read_text())
    trust = document["Resources"][name]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    names = {"sts:AssumeRole": "sts:RoleSessionName", "sts:SetSourceIdentity": "sts:SourceIdentity"}
    people = [statement for statement in trust if "AWS" in statement["Principal"]]
    assert [statement["Action"] for statement in people] == list(names)
    for statement in people:
        named, condition, otherwise = statement["Condition"]["Fn::If"]
        # Open only where the trust itself names nobody.
        assert statement["Principal"]["AWS"]["Fn::If"][0] == named
        own = f"*:${{{names[statement['Action']]}}}"
        assert condition == {"StringLike": {"aws:userid": own}}
        assert otherwise == {"Ref": "AWS::NoValue"}
