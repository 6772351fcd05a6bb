"""Back to what served before: by a person, and while a release is going on."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from governance.adapters import items
from governance.domain import locks
from tests.e2e.organisation import CENTRAL, PROD, Organisation, eventually
from tests.e2e.scenarios import ROLLED_BACK, WRONG_RISKS, RolledBack

ENDPOINT = f"{ROLLED_BACK}-endpoint"
FASTEST = 3.0  # seconds from the request to the new config, on the embedded AWS and an idle machine


def _entries(organisation: Organisation, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in organisation.story(ROLLED_BACK) if entry["kind"] == kind]


def test_the_endpoint_serves_the_version_before(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    first = rolled_back.first.entry
    sagemaker = organisation.root(PROD, "sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    tags = {
        tag["Key"]: tag["Value"]
        for tag in sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]
    }
    assert endpoint["EndpointStatus"] == "InService"
    assert tags["model-package-arn"] == first["model_package_arn"]
    assert tags["candidate-id"] == first["candidate_id"]


def test_the_swap_is_recorded_from_what_to_what_by_whom_why_and_how_long(
    rolled_back: RolledBack, organisation: Organisation
) -> None:
    entry = rolled_back.went_back.entry
    bad = rolled_back.second.entry["model_package_arn"]
    good = rolled_back.first.entry["model_package_arn"]
    assert entry["kind"] == "CandidateRolledBack"
    assert (entry["model_package_arn"], entry["reason"]) == (bad, WRONG_RISKS)
    assert entry["approver"]["person"] == "grace"
    swap = entry["rollback"]
    assert (swap["from"], swap["to"], swap["trigger"]) == (bad, good, "person")
    assert 0 <= swap["seconds"] < 240
    restored = _entries(organisation, "CandidateRestored")[0]
    assert (restored["model_package_arn"], restored["rollback"]) == (good, swap)
    assert restored["claim_id"] == entry["claim_id"]


def test_both_versions_are_shown_as_what_they_are(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    phases = {
        arn.rpartition("/")[2]: organisation.central(arn)["ModelLifeCycle"]["StageStatus"]
        for arn in organisation.central_versions(ROLLED_BACK)
    }
    assert phases == {"1": "Deployed", "2": "RolledBack"}


def test_prod_cannot_read_any_more_what_was_taken_back(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    def revoked() -> list[dict[str, Any]]:
        return [
            entry
            for entry in organisation.entries(ROLLED_BACK)
            if entry["kind"] == "ClearanceRevoked"
            and entry["reason"].endswith("(CandidateRolledBack)")
        ]

    found = eventually(revoked, "the end of the clearance")
    assert found[0]["model_package_arn"] == rolled_back.second.entry["model_package_arn"]
    assert found[0]["clearance"]["stages"] == ["Prod"]


def test_without_a_good_version_the_rollback_is_refused_and_nothing_changes(
    rolled_back: RolledBack,
) -> None:
    refused = rolled_back.nothing_left.entry
    assert refused["kind"] == "RollbackRejected"
    (reason,) = refused["verdict"]["reasons"]
    assert reason["rule"] == "rollback_target_has_served"
    assert rolled_back.nothing_left.execution["status"] == "SUCCEEDED"


def test_a_release_that_goes_on_is_stopped_first(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    assert rolled_back.stopped["status"] == "ABORTED"
    stopped = _entries(organisation, "ReleaseStopped")
    assert [e["model_package_arn"] for e in stopped] == [
        rolled_back.second.entry["model_package_arn"]
    ]
    back = rolled_back.stopped_by.entry
    assert (back["kind"], back["rollback"]["to"]) == (
        "CandidateRolledBack",
        rolled_back.first.entry["model_package_arn"],
    )
    child = rolled_back.stopped["executionArn"].partition(":execution:")[0]
    assert child in rolled_back.stopped["executionArn"]


def test_no_lock_outlives_its_execution_not_even_a_stopped_ones(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    dynamodb = organisation.root(CENTRAL, "dynamodb")

    def left() -> bool:
        found = dynamodb.scan(TableName="governed-path-endpoint-locks", ConsistentRead=True)
        return any(ENDPOINT in json.dumps(item) for item in found["Items"])

    eventually(lambda: not left(), "the release of the lock")


def test_a_lock_that_was_left_behind_is_taken_by_the_next(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    """The event of its end was lost: its execution ran no more, so the next one has taken it."""
    execution = rolled_back.stopped["executionArn"]
    endpoint_arn = f"arn:aws:sagemaker:us-east-1:{PROD}:endpoint/{ENDPOINT}"
    left = locks.lock_of(
        rolled_back.second.entry | {"execution_arn": execution, "workflow": "release_to_prod"},
        endpoint_arn,
        "2026-01-01T00:00:00Z",
    )
    organisation.root(CENTRAL, "dynamodb").put_item(
        TableName="governed-path-endpoint-locks",
        Item=items.to_item({**left, "resource_arn": endpoint_arn}),
    )
    again = organisation.approve("prod", rolled_back.second.entry["model_package_arn"])
    assert again.entry["kind"] == "CandidateReleased"
    assert (
        again.entry["rollback_target"]["model_package_arn"]
        == (rolled_back.first.entry["model_package_arn"])
    )


def test_the_new_config_is_there_soon_after_the_request(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    entry = rolled_back.went_back.entry
    config = organisation.root(PROD, "sagemaker").list_endpoint_configs(
        NameContains=entry["claim_id"][:10]
    )["EndpointConfigs"][0]
    decided = datetime.fromisoformat(entry["decided_at"])
    print(f"rollback: request to config {(config['CreationTime'] - decided).total_seconds():.1f} s")
    assert (config["CreationTime"] - decided).total_seconds() < 10 * FASTEST
