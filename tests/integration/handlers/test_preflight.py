"""The checks against real stores: each permission that is taken away is the one that is named."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.client import BaseClient

from governance.adapters import preflight as adapter
from governance.adapters.preflight import Preflight
from governance.adapters.sessions import Sessions
from governance.domain import preflight
from governance.domain.errors import AccessError
from governance.domain.preflight import FAILED, NOT_TRIED, PASSED, Check
from governance.settings import Settings

from .conftest import ARTIFACTS, CENTRAL, DEV, EXTERNAL_ID, REGION, TEST

MODEL = "preflight-model"
PROJECT = {"accounts": {"dev": DEV, "test": TEST, "prod": "123456789012"}}
BUCKET = f"governed-path-project-{DEV}-{REGION}"
RULE = "governed-path-forwarding"
BUS = f"arn:aws:events:{REGION}:{CENTRAL}:event-bus/governed-path"
TARGET = {
    "Id": "hub-bus",
    "Arn": BUS,
    "RoleArn": f"arn:aws:iam::{DEV}:role/governed-path-event-forwarding",
}
# This emulator has no SageMaker; tests/e2e has those, and tests/contracts their requests.
OTHERS = "sagemaker:"
_AT_A_TIME = 10  # all that are no role and no look into the directory
_ROLES = 3  # the registry's, the lineage's and Dev's
_IN_TWO_CALLS = {"dev-copies", "dev-forwarding", "dev-images"}
OF_THE_HUBS_ROLE = {"dev-forwarding", "dev-objects", "dev-object-versions", "dev-images"}


class Checked:
    """The hub's and Dev's checks, as a function of the hub would make them."""

    def __init__(self, aws: Callable[..., Any], key_arn: str) -> None:
        self.aws, self._key_arn = aws, key_arn

    def outcomes(self, provisioned: bool = True) -> dict[str, preflight.Outcome]:
        place = preflight.Place(
            partition="aws",
            region=REGION,
            hub=CENTRAL,
            registry=CENTRAL,
            external_id=EXTERNAL_ID,
            artifacts_bucket=ARTIFACTS,
            images_repository="governed-path/images",
            key_arn=self._key_arn,
            bus="governed-path",
        )
        checks = [
            check
            for check in preflight.checks(PROJECT, MODEL, place, ["dev"])
            if not check.call.startswith(OTHERS)
        ]
        found = Preflight(Sessions(Settings.load(), "c" * 64), provisioned).run(checks)
        assert [outcome.check.name for outcome in found] == [check.name for check in checks]
        return {outcome.check.name: outcome for outcome in found}

    def failed(self, **more: Any) -> dict[str, str]:
        return {
            name: outcome.detail
            for name, outcome in self.outcomes(**more).items()
            if outcome.status == FAILED
        }

    def let_out(self) -> None:
        """Dev's bucket lets Central copy."""
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{CENTRAL}:root"},
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": f"arn:aws:s3:::{BUCKET}/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.aws("s3", DEV).put_bucket_policy(Bucket=BUCKET, Policy=policy)

    def trust_bus(self) -> None:
        self.aws("events").put_permission(
            EventBusName="governed-path",
            Action="events:PutEvents",
            Principal=DEV,
            StatementId="Dev",
        )


@pytest.fixture(scope="module")
def project(aws: Callable[..., Any], stores: None) -> None:
    s3, events = aws("s3", DEV), aws("events", DEV)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="models/one", Body=b"bytes")
    pattern = json.dumps({"source": ["aws.sagemaker"]})
    events.put_rule(Name=RULE, EventPattern=pattern, State="ENABLED")
    events.put_targets(Rule=RULE, Targets=[TARGET])


@pytest.fixture
def checked(
    aws: Callable[..., Any], lambdas: Callable[..., Any], project: None, key_arn: str
) -> Checked:
    found = Checked(aws, key_arn)
    found.let_out()
    found.trust_bus()
    return found


@contextmanager
def _trust(aws: Callable[..., Any], effect: str) -> Iterator[None]:
    """Dev's hub role with another word in its trust policy, for a while."""
    iam = aws("iam", DEV)
    trust = iam.get_role(RoleName="governed-path-hub")["Role"]["AssumeRolePolicyDocument"]
    changed = {**trust, "Statement": [{**trust["Statement"][0], "Effect": effect}]}
    for document in (changed, trust):
        iam.update_assume_role_policy(
            RoleName="governed-path-hub", PolicyDocument=json.dumps(document)
        )
        if document is changed:
            yield


def test_all_is_well(checked: Checked) -> None:
    assert {outcome.status for outcome in checked.outcomes().values()} == {PASSED}


def test_the_checks_are_made_side_by_side_with_few_calls(
    checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes them cheap enough for every promotion: a wait for one call, not for them all."""
    meeting = threading.Barrier(_AT_A_TIME)
    met: list[str] = []
    of_check, call = adapter._attempt_of, BaseClient._make_api_call
    made: list[str] = []

    def met_by(check: Check) -> adapter.Attempt:
        def attempt(client: Any, check: Check) -> str:
            # Made one after the other, the first would wait here for the others in vain.
            meeting.wait(timeout=20)
            met.append(check.name)
            return of_check(check)(client, check)

        return attempt

    def counted(client: BaseClient, operation: str, request: Any) -> Any:
        made.append(operation)
        return call(client, operation, request)

    monkeypatch.setattr(adapter, "_attempt_of", met_by)
    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    assert {outcome.status for outcome in checked.outcomes().values()} == {PASSED}
    assert len(met) == _AT_A_TIME
    # One for each role and check; what is looked at from two sides takes two.
    assert made.count("AssumeRole") == _ROLES
    assert len(made) <= _ROLES + len(met) + len(_IN_TWO_CALLS)


def test_a_role_that_does_not_trust_the_hub(checked: Checked) -> None:
    with _trust(checked.aws, "Deny"):
        outcomes = checked.outcomes()
    assert outcomes["dev-role"].status == FAILED
    assert "AccessDenied" in outcomes["dev-role"].detail
    needing = {name for name, found in outcomes.items() if found.status == NOT_TRIED}
    assert needing == {"dev-copies", *OF_THE_HUBS_ROLE}
    assert checked.failed() == {}


def test_a_role_without_its_policy(checked: Checked) -> None:
    iam = checked.aws("iam", DEV)
    name = {"RoleName": "governed-path-hub", "PolicyName": "all"}
    document = iam.get_role_policy(**name)["PolicyDocument"]
    iam.delete_role_policy(**name)
    try:
        failed = checked.failed()
    finally:
        iam.put_role_policy(**name, PolicyDocument=json.dumps(document))
    assert failed.keys() == OF_THE_HUBS_ROLE
    assert all("AccessDenied" in said for said in failed.values())


def test_a_bucket_that_lets_no_copy_out(checked: Checked) -> None:
    checked.aws("s3", DEV).delete_bucket_policy(Bucket=BUCKET)
    failed = checked.failed()
    assert failed.keys() == {"dev-copies"}
    assert "AccessDenied" in failed["dev-copies"]


@pytest.mark.parametrize(
    "before",
    [
        {"Key": "a-folder/", "Body": b""},
        {"Key": "an-archive", "Body": b"cold", "StorageClass": "DEEP_ARCHIVE"},
    ],
    ids=["a folder of the console", "an archived object"],
)
def test_an_object_that_no_byte_can_be_read_of_says_nothing(
    checked: Checked, before: dict[str, Any]
) -> None:
    s3 = checked.aws("s3", DEV)
    s3.put_object(Bucket=BUCKET, **before)
    try:
        assert _copies(checked) == (PASSED, "")
        s3.delete_object(Bucket=BUCKET, Key="models/one")
        said = "the bucket has no object yet that can be read, so no copy could be tried"
        assert _copies(checked) == (PASSED, said)
    finally:
        s3.delete_object(Bucket=BUCKET, Key=before["Key"])
        s3.put_object(Bucket=BUCKET, Key="models/one", Body=b"bytes")


def test_an_object_under_somebody_elses_key_does_not_stop_what_can_be_copied(
    checked: Checked,
) -> None:
    s3 = checked.aws("s3", DEV)
    s3.put_object(Bucket=BUCKET, Key="a-scratch-file", Body=b"of nobody's version")
    closed = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/a-scratch-file",
    }
    policy = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])
    policy["Statement"].append(closed)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    try:
        assert _copies(checked) == (PASSED, "")
    finally:
        s3.delete_object(Bucket=BUCKET, Key="a-scratch-file")


def _copies(checked: Checked) -> tuple[str, str]:
    found = checked.outcomes()["dev-copies"]
    return found.status, found.detail


def test_a_key_that_is_disabled(checked: Checked, key_arn: str) -> None:
    kms = checked.aws("kms")
    kms.disable_key(KeyId=key_arn)
    try:
        failed = checked.failed()
    finally:
        kms.enable_key(KeyId=key_arn)
    assert failed.keys() == {"central-key"}
    assert "DisabledException" in failed["central-key"]


def test_a_bus_that_does_not_take_the_accounts_events(checked: Checked) -> None:
    events = checked.aws("events")
    events.remove_permission(EventBusName="governed-path", StatementId="Dev")
    assert checked.failed() == {
        "dev-on-the-bus": f"the policy of governed-path does not name account {DEV}"
    }


def test_a_rule_that_forwards_nothing(checked: Checked) -> None:
    events = checked.aws("events", DEV)
    events.disable_rule(Name=RULE)
    try:
        assert checked.failed() == {"dev-forwarding": f"rule {RULE} is DISABLED"}
    finally:
        events.enable_rule(Name=RULE)
    events.remove_targets(Rule=RULE, Ids=["hub-bus"])
    try:
        assert checked.failed() == {"dev-forwarding": f"rule {RULE} has the targets none"}
    finally:
        events.put_targets(Rule=RULE, Targets=[TARGET])


def test_a_model_that_is_not_in_the_directory(checked: Checked) -> None:
    assert checked.failed(provisioned=False) == {"project-directory": "no entry of the model"}


def test_a_promotion_ends_with_the_missing_statement(
    checked: Checked, lambdas: Callable[..., Any]
) -> None:
    promotion = {
        "claim_id": "c" * 64,
        "workflow": "promote_to_central",
        "stage": "Dev",
        "model": MODEL,
        "model_package_arn": f"arn:aws:sagemaker:{REGION}:{DEV}:model-package/{MODEL}/1",
        "account": DEV,
        "decided_at": "2026-01-31T12:00:00Z",
        "event_id": "e",
        "execution_arn": f"arn:aws:states:{REGION}:{CENTRAL}:execution:m:e",
    }
    with pytest.raises(AccessError) as error:
        lambdas("check_access")({"promotion": promotion})
    said = str(error.value)
    assert "check project-directory: dynamodb:GetItem in account" in said
    assert '"Action":"dynamodb:GetItem"' in said
    report = lambdas("check_access")({"model": MODEL})["checks"]
    assert {c["name"]: c["status"] for c in report}["project-directory"] == FAILED
