"""`govern doctor` on the deployed organisation: green, and with one permission missing."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
from click.testing import CliRunner

from cli import doctor
from cli.errors import GovernError
from cli.main import cli
from tests.e2e.organisation import CENTRAL, DEV, PROD, TEST, Organisation
from tests.e2e.scenarios import MODEL, Trained

SHARED = "shared-by-command"


def _examine(organisation: Organisation, model: str | None = MODEL) -> dict[str, Any]:
    return doctor.examine(organisation.persona("admin"), model, None)


def _broken(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        check["name"]: check
        for one in report["projects"]
        for check in one["checks"]
        if check["status"] == "failed"
    }


def test_everything_works_as_deployed(organisation: Organisation, trained: Trained) -> None:
    report = _examine(organisation, None)
    assert [check for check in report["checks"] if check["status"] != "passed"] == []
    assert _broken(report) == {}
    assert report["passed"]
    names = {check["name"] for check in report["projects"][0]["checks"]}
    assert {"dev-role", "dev-copies", "test-forwarding", "prod-versions", "central-key"} <= names
    print(f"doctor: {report['seconds']} s for {len(report['projects'])} models")


def test_a_role_without_its_policy_is_named(organisation: Organisation) -> None:
    iam = organisation.root(TEST, "iam")
    name = {"RoleName": "governed-path-hub", "PolicyName": "own-work"}
    document = iam.get_role_policy(**name)["PolicyDocument"]
    iam.delete_role_policy(**name)
    try:
        broken = _broken(_examine(organisation))
    finally:
        iam.put_role_policy(**name, PolicyDocument=json.dumps(document))
    assert broken.keys() == {"test-endpoints", "test-forwarding"}
    found = broken["test-endpoints"]
    assert (found["account"], found["stack"]) == (TEST, "stacks/member.yaml")
    assert found["statement"]["Action"] == "sagemaker:DescribeEndpoint"
    assert found["parameter"] == f"Stage=Test HubAccountId={CENTRAL}"
    assert _broken(_examine(organisation)) == {}


def test_what_only_the_end_of_a_promotion_needs_is_named_before_it_begins(
    organisation: Organisation, trained: Trained
) -> None:
    """Pulling an image, telling what was replaced, and lineage: each without its statement."""
    iam = organisation.root(DEV, "iam")
    name = {"RoleName": "governed-path-hub", "PolicyName": "own-work"}
    document = iam.get_role_policy(**name)["PolicyDocument"]
    forbidden = {
        "Effect": "Deny",
        "Action": ["ecr:GetDownloadUrlForLayer", "sagemaker:QueryLineage", "s3:ListBucketVersions"],
        "Resource": "*",
    }
    less = {**document, "Statement": [*document["Statement"], forbidden]}
    iam.put_role_policy(**name, PolicyDocument=json.dumps(less))
    try:
        broken = _broken(_examine(organisation))
    finally:
        iam.put_role_policy(**name, PolicyDocument=json.dumps(document))
    assert broken.keys() == {"dev-images", "dev-lineage", "dev-object-versions"}
    assert "ecr:GetDownloadUrlForLayer" in broken["dev-images"]["statement"]["Action"]
    assert {one["stack"] for one in broken.values()} == {"stacks/member.yaml"}


def test_a_release_without_its_guardrails_is_named_before_it_begins(
    organisation: Organisation, trained: Trained
) -> None:
    """The statements about alarms and autoscaling, which only the end of a release needs."""
    iam = organisation.root(PROD, "iam")
    name = {"RoleName": "governed-path-hub", "PolicyName": "own-work"}
    document = iam.get_role_policy(**name)["PolicyDocument"]
    guards = ("cloudwatch:SetAlarmState", "cloudwatch:DescribeAlarms", "application-autoscaling:")
    kept = [
        one
        for one in document["Statement"]
        if one["Effect"] != "Allow" or not any(guard in str(one["Action"]) for guard in guards)
    ]
    iam.put_role_policy(**name, PolicyDocument=json.dumps({**document, "Statement": kept}))
    try:
        broken = _broken(_examine(organisation))
    finally:
        iam.put_role_policy(**name, PolicyDocument=json.dumps(document))
    assert broken.keys() == {"prod-alarms", "prod-alarm-states", "prod-autoscaling"}
    assert "cloudwatch:PutMetricAlarm" in broken["prod-alarms"]["statement"]["Action"]
    assert {one["parameter"] for one in broken.values()} == {f"Stage=Prod HubAccountId={CENTRAL}"}
    assert _broken(_examine(organisation)) == {}
    # Nothing was made or changed by asking.
    cloudwatch = organisation.root(PROD, "cloudwatch")
    assert not cloudwatch.describe_alarms(AlarmNames=["governed-path-doctor"])["MetricAlarms"]


def test_a_lineage_role_that_trusts_nobody_is_named(organisation: Organisation) -> None:
    iam = organisation.root(CENTRAL, "iam")
    role = {"RoleName": "governed-path-lineage"}
    trust = iam.get_role(**role)["Role"]["AssumeRolePolicyDocument"]
    nobody = {**trust, "Statement": [{**trust["Statement"][0], "Effect": "Deny"}]}
    iam.update_assume_role_policy(**role, PolicyDocument=json.dumps(nobody))
    try:
        report = _examine(organisation)
    finally:
        iam.update_assume_role_policy(**role, PolicyDocument=json.dumps(trust))
    assert _broken(report).keys() == {"central-lineage-role"}
    checks = {check["name"]: check for check in report["projects"][0]["checks"]}
    assert checks["central-lineage"]["status"] == "not tried"


def test_a_repository_that_takes_no_copies_is_named(organisation: Organisation) -> None:
    ecr = organisation.root(CENTRAL, "ecr")
    place = {"repositoryName": "governed-path/images"}
    policy = ecr.get_repository_policy(**place)["policyText"]
    statement = {
        "Sid": "NobodyPushes",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "ecr:UploadLayerPart",
    }
    document = json.loads(policy)
    closed = {**document, "Statement": [*document["Statement"], statement]}
    ecr.set_repository_policy(**place, policyText=json.dumps(closed))
    try:
        broken = _broken(_examine(organisation))
    finally:
        ecr.set_repository_policy(**place, policyText=policy)
    assert broken.keys() == {"central-image-push"}
    assert "ecr:PutImage" in broken["central-image-push"]["statement"]["Action"]


def test_a_role_that_trusts_nobody_is_named_and_what_needs_it_is_not_tried(
    organisation: Organisation,
) -> None:
    iam = organisation.root(PROD, "iam")
    trust = iam.get_role(RoleName="governed-path-hub")["Role"]["AssumeRolePolicyDocument"]
    nobody = {**trust, "Statement": [{**trust["Statement"][0], "Effect": "Deny"}]}
    role = {"RoleName": "governed-path-hub"}
    iam.update_assume_role_policy(**role, PolicyDocument=json.dumps(nobody))
    try:
        report = _examine(organisation)
    finally:
        iam.update_assume_role_policy(**role, PolicyDocument=json.dumps(trust))
    assert _broken(report).keys() == {"prod-role"}
    checks = {check["name"]: check for check in report["projects"][0]["checks"]}
    assert checks["prod-versions"]["status"] == "not tried"
    assert "HubExternalId=governed-path" in checks["prod-role"]["parameter"]


def test_a_bucket_that_lets_no_copy_out_is_named(
    organisation: Organisation, trained: Trained
) -> None:
    from tests.e2e.organisation import PROJECT_BUCKET

    s3 = organisation.root(DEV, "s3")
    policy = s3.get_bucket_policy(Bucket=PROJECT_BUCKET)["Policy"]
    s3.delete_bucket_policy(Bucket=PROJECT_BUCKET)
    try:
        broken = _broken(_examine(organisation))
    finally:
        s3.put_bucket_policy(Bucket=PROJECT_BUCKET, Policy=policy)
    assert broken.keys() == {"dev-copies"}
    assert "AccessDenied" in broken["dev-copies"]["detail"]


def test_a_rule_that_forwards_nothing_is_named(organisation: Organisation) -> None:
    events = organisation.root(TEST, "events")
    events.disable_rule(Name="governed-path-forwarding")
    try:
        broken = _broken(_examine(organisation))
    finally:
        events.enable_rule(Name="governed-path-forwarding")
    assert broken.keys() == {"test-forwarding"}
    assert broken["test-forwarding"]["detail"] == "rule governed-path-forwarding is DISABLED"


def test_a_model_that_nobody_provisioned_is_named(organisation: Organisation) -> None:
    broken = _broken(_examine(organisation, "nobodys-model"))
    assert {"project-directory", "registry-group"} == broken.keys()
    assert {one["remedy"].partition(" --")[0] for one in broken.values()} == {
        "run `govern provision nobodys-model"
    }


def test_a_group_that_does_not_let_prod_in_is_put_right_by_the_command_it_names(
    organisation: Organisation,
) -> None:
    organisation.provision(SHARED)
    sagemaker = organisation.root(CENTRAL, "sagemaker")
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName=SHARED)
    broken = _broken(_examine(organisation, SHARED))
    assert broken.keys() == {"prod-versions"}
    command = re.findall(r"`govern ([^`]*)`", broken["prod-versions"]["remedy"])[0]
    there = {"GOVERNED_PATH_LOCAL_DIR": organisation.server.state_dir}
    done = CliRunner().invoke(cli, shlex.split(command), env=there, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert _broken(_examine(organisation, SHARED)) == {}


def test_only_an_admin_may_ask(organisation: Organisation) -> None:
    with pytest.raises(GovernError) as error:
        doctor.examine(organisation.persona("ai-engineer"), MODEL, None)
    assert error.value.code == "access_denied"


def test_help_says_how() -> None:
    assert "govern doctor --model" in CliRunner().invoke(cli, ["doctor", "--help"]).output
