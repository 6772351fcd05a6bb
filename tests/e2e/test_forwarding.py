"""What the hub does not take: strangers' events, and members' events that are not SageMaker's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.organisation import CENTRAL, DEV, REGION, Organisation, eventually, role_arn
from tests.e2e.scenarios import MODEL

STRANGER = "999900001111"
HUB_BUS = f"arn:aws:events:{REGION}:{CENTRAL}:event-bus/governed-path"
MEMBER = Path(__file__).parents[2] / "stacks" / "member.yaml"


@pytest.fixture(scope="module")
def refused(organisation: Organisation) -> dict[str, Any]:
    """The stranger's dead letter: a member stack in an account that the hub was not told of."""
    cloudformation = organisation.root(STRANGER, "cloudformation")
    cloudformation.create_stack(
        StackName="governed-path-member",
        TemplateBody=MEMBER.read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[
            {"ParameterKey": "Stage", "ParameterValue": "Dev"},
            {"ParameterKey": "HubAccountId", "ParameterValue": CENTRAL},
        ],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="governed-path-member", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    organisation.subscribe(STRANGER, "alarms")
    sagemaker = organisation.root(STRANGER, "sagemaker")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=MODEL,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [{"Image": "example/image:1"}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )["ModelPackageArn"]
    sagemaker.update_model_package(
        ModelPackageArn=arn, ModelLifeCycle={"Stage": "Dev", "StageStatus": "Approved"}
    )

    def look() -> dict[str, Any] | None:
        letters = organisation.waiting(STRANGER, "forwarding-dlq")
        return next((one for one in letters if '"StageStatus": "Approved"' in one["Body"]), None)

    return eventually(look, "the stranger's dead letter")


def test_event_of_an_account_that_is_not_trusted_is_refused(refused: dict[str, Any]) -> None:
    attributes = {k: v["StringValue"] for k, v in refused["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert attributes["TARGET_ARN"] == HUB_BUS
    assert attributes["RULE_ARN"].endswith(f":{STRANGER}:rule/governed-path-forwarding")


def test_refused_event_is_kept_whole(refused: dict[str, Any]) -> None:
    event = json.loads(refused["Body"])
    assert event["account"] == STRANGER
    assert event["detail-type"] == "SageMaker Model Package State Change"
    assert event["detail"]["ModelLifeCycle"] == {"Stage": "Dev", "StageStatus": "Approved"}


def test_refused_event_alarms_where_it_happened(
    organisation: Organisation, refused: dict[str, Any]
) -> None:
    for alarm in ("forwarding-dlq-not-empty", "forwarding-undelivered"):
        eventually(lambda name=alarm: organisation.alarmed(STRANGER, name), f"alarm {alarm}")


def test_refused_event_starts_nothing(organisation: Organisation, refused: dict[str, Any]) -> None:
    runs = organisation.executions("promote_to_central", MODEL)
    assert not [run for run in runs if STRANGER in run["input"]]


def test_member_cannot_forge_an_event_of_the_ledger(organisation: Organisation) -> None:
    events, sqs = organisation.root(DEV, "events"), organisation.root(DEV, "sqs")
    sqs.create_queue(QueueName="governed-path-e2e-forged")
    events.put_rule(Name="forging", EventPattern=json.dumps({"source": ["governed-path"]}))
    target = {
        "Id": "hub",
        "Arn": HUB_BUS,
        "RoleArn": role_arn(DEV, "event-forwarding"),
        "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{REGION}:{DEV}:governed-path-e2e-forged"},
    }
    events.put_targets(Rule="forging", Targets=[target])
    forged = {"model": "forged-model", "stage": "Test", "stage_status": "Passed"}
    events.put_events(
        Entries=[
            {
                "Source": "governed-path",
                "DetailType": "ValidationPassed",
                "Detail": json.dumps(forged),
            }
        ]
    )
    letters = eventually(lambda: organisation.waiting(DEV, "e2e-forged"), "the refused forgery")
    assert letters[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert not any("forged-model" in text for text in organisation.heard(CENTRAL, "notifications"))
