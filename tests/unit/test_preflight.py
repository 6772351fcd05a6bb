"""The list of checks: complete for each machine, and each says what puts it right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from governance.domain import preflight
from governance.domain.preflight import FAILED, PASSED, Check, Outcome

CENTRAL, DEV, TEST, PROD = "111122223333", "444455556666", "777788889999", "123456789012"
MODEL = "clinical-risk-classifier"
PLACE = preflight.Place(
    partition="aws",
    region="us-east-1",
    hub=CENTRAL,
    registry=CENTRAL,
    external_id="governed-path",
    artifacts_bucket="artifacts",
    images_repository="governed-path/images",
    key_arn=f"arn:aws:kms:us-east-1:{CENTRAL}:key/k",
    bus="governed-path",
)
PROJECT = {
    "project": "cardiology",
    "risk_tier": "high",
    "accounts": {"dev": DEV, "test": TEST, "prod": PROD},
    "endpoint_name": "risk",
}
EVERY = ("dev", "test", "prod")


def _checks(*stages: str) -> dict[str, Check]:
    return {check.name: check for check in preflight.checks(PROJECT, MODEL, PLACE, stages)}


def test_a_machine_checks_its_own_stage_and_central() -> None:
    central = set(_checks())
    for stages in preflight.STAGES_OF.values():
        (stage,) = stages
        # Only a promotion writes images and lineage into Central.
        own = {"dev", "central"} if stage == "dev" else {stage}
        assert {name.partition("-")[0] for name in set(_checks(stage)) - central} == own
    assert preflight.STAGES_OF.keys() == {
        "promote_to_central",
        "validate_in_test",
        "release_to_prod",
    }


def test_names_are_told_apart_and_needs_are_checks_before() -> None:
    found = preflight.checks(PROJECT, MODEL, PLACE, EVERY)
    names = [check.name for check in found]
    assert len(set(names)) == len(names)
    for index, check in enumerate(found):
        assert check.needs == "" or check.needs in names[:index]


@pytest.mark.parametrize("name", sorted(_checks(*EVERY)))
def test_every_check_says_what_is_missing_and_where(name: str) -> None:
    check = _checks(*EVERY)[name]
    assert check.account in (CENTRAL, DEV, TEST, PROD)
    assert check.means
    assert check.statement["Effect"] == "Allow"
    assert check.statement["Action"]
    assert json.loads(json.dumps(check.statement)) == check.statement
    said = preflight.sentence(Outcome(check, FAILED, "AccessDenied: no"))
    assert (
        f"check {name}: {check.call} in account {check.account} failed (AccessDenied: no)" in said
    )
    assert said.endswith(preflight.remedy(check))
    if check.stack:
        assert f"deploy {check.stack} in account {check.account}" in said
    assert check.parameter in said
    assert check.command in said
    assert check.stack or check.command


def test_what_no_deployment_adds_is_an_admins_command() -> None:
    """The entry, the group and its policy are made by `govern provision`, the last in Central."""
    found = {name: check for name, check in _checks(*EVERY).items() if check.command}
    assert found.keys() == {"project-directory", "registry-group", "prod-versions"}
    assert {check.command for check in found.values()} == {
        f"govern provision {MODEL} --project cardiology --tier high --dev {DEV} --test {TEST} "
        f"--prod {PROD} --endpoint-name risk --as admin"
    }
    directory = preflight.remedy(found["project-directory"])
    assert directory == f"run `{found['project-directory'].command}`"
    sharing = found["prod-versions"]
    assert f"the policy of group {MODEL} in account {CENTRAL}" in sharing.means
    # The group lets Prod in, and Prod's own role has to be allowed to ask.
    assert preflight.remedy(sharing) == (
        f"run `{sharing.command}`; if that changes nothing, deploy stacks/member.yaml in account "
        f"{PROD} with Stage=Prod HubAccountId={CENTRAL}"
    )


def test_what_nobody_knows_of_a_model_is_left_to_the_admin() -> None:
    commands = {check.command for check in preflight.checks(None, MODEL, PLACE, EVERY)}
    assert commands == {
        "",
        f"govern provision {MODEL} --project NAME --tier TIER --dev ID --test ID --prod ID "
        "--endpoint-name NAME --as admin",
    }


def test_the_calls_cover_what_crosses_accounts() -> None:
    calls = {check.call for check in _checks(*EVERY).values()}
    services = {call.partition(":")[0] for call in calls}
    assert services == {
        *("sts", "s3", "kms", "ecr", "events", "sagemaker", "dynamodb"),
        *("cloudwatch", "application-autoscaling"),
    }


def test_a_model_without_a_project_is_checked_in_central_alone() -> None:
    found = {check.name for check in preflight.checks(None, MODEL, PLACE, EVERY)}
    assert found == set(_checks())


def test_a_release_asks_for_its_own_version() -> None:
    arn = f"arn:aws:sagemaker:us-east-1:{CENTRAL}:model-package/{MODEL}/7"
    found = preflight.about_version(list(_checks("prod").values()), arn)
    assert [check.target for check in found if check.name == "prod-versions"] == [arn]
    assert len(found) == len(_checks("prod"))


def test_a_promotion_asks_for_the_images_of_its_own_version() -> None:
    arn = f"arn:aws:sagemaker:us-east-1:{DEV}:model-package/{MODEL}/7"
    found = preflight.about_version(list(_checks("dev").values()), arn)
    assert [check.name for check in found if check.target == arn] == ["dev-images"]


def test_a_promotion_checks_all_that_it_writes_or_reads_late() -> None:
    assert {
        "dev-images",
        "dev-lineage",
        "dev-object-versions",
        "central-image-push",
        "central-lineage",
    } <= _checks("dev").keys()


def test_a_release_checks_what_its_guardrails_need_and_touches_nothing() -> None:
    guarded = {"prod-alarms", "prod-alarm-states", "prod-autoscaling"}
    found = _checks("prod")
    assert guarded <= found.keys()
    assert {found[name].target for name in guarded} == {preflight.NOBODYS}
    assert not guarded & _checks("dev", "test").keys()


def test_what_failed_is_told_from_what_passed() -> None:
    first, second, *_ = _checks().values()
    outcomes = [Outcome(first, PASSED), Outcome(second, FAILED, "no")]
    assert preflight.failed(outcomes) == outcomes[1:]
    told = outcomes[1].to_dict()
    assert (told["name"], told["status"], told["detail"]) == (second.name, FAILED, "no")


def _policy(**statement: Any) -> str:
    allow = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": "*"}
    return json.dumps({"Statement": [allow | statement]})


@pytest.mark.parametrize(
    ("policy", "trusted"),
    [
        (_policy(Principal={"AWS": DEV}), True),
        (_policy(Principal={"AWS": [TEST, f"arn:aws:iam::{DEV}:root"]}), True),
        (_policy(Principal={"AWS": f"arn:aws:iam::{DEV}:role/forwarding"}), True),
        (_policy(Principal={"AWS": DEV}, Action=["events:PutEvents"]), True),
        (_policy(Principal=DEV), True),
        (_policy(Principal="*"), False),
        (_policy(Principal={"AWS": "arn:short"}), False),
        (_policy(Principal={"AWS": TEST}), False),
        (_policy(Principal={"AWS": DEV}, Effect="Deny"), False),
        (_policy(Principal={"AWS": DEV}, Action="events:PutRule"), False),
        (_policy(Principal={"Service": "events.amazonaws.com"}), False),
        (_policy(), False),
        ("", False),
        (None, False),
        ("not JSON", False),
        ("[]", False),
    ],
)
def test_a_bus_trusts_the_accounts_that_its_policy_names(policy: str | None, trusted: bool) -> None:
    assert preflight.trusts(policy, DEV) is trusted
