"""The next version takes the place of the one that serves: same endpoint, other bytes."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.organisation import PROD, Organisation
from tests.e2e.scenarios import REPLACED, Replaced

ENDPOINT = f"{REPLACED}-endpoint"


def _stage(organisation: Organisation, entry: dict[str, Any]) -> tuple[str, str]:
    life_cycle = organisation.central(entry["model_package_arn"])["ModelLifeCycle"]
    return life_cycle["Stage"], life_cycle["StageStatus"]


def test_replaced_version_is_superseded(organisation: Organisation, replaced: Replaced) -> None:
    assert _stage(organisation, replaced.first.entry) == ("Prod", "Superseded")
    assert _stage(organisation, replaced.second.entry) == ("Prod", "Deployed")
    assert replaced.second.entry["superseded"] == replaced.first.entry["model_package_arn"]


def test_supersession_is_an_entry_of_its_own(
    organisation: Organisation, replaced: Replaced
) -> None:
    (entry,) = (e for e in organisation.entries(REPLACED) if e["kind"] == "CandidateSuperseded")
    assert entry["model_package_arn"] == replaced.first.entry["model_package_arn"]
    assert entry["claim_id"] == replaced.second.entry["claim_id"]


def test_endpoint_serves_the_new_version_and_says_so(
    organisation: Organisation, replaced: Replaced
) -> None:
    sagemaker = organisation.root(PROD, "sagemaker")
    assert organisation.endpoints(PROD, REPLACED) == [ENDPOINT]
    endpoint = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    assert endpoint["EndpointStatus"] == "InService"
    tags = {
        tag["Key"]: tag["Value"]
        for tag in sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]
    }
    released = replaced.second.entry
    assert tags["model-package-arn"] == released["model_package_arn"]
    assert tags["model-package-version"] == "2"
    assert tags["candidate-id"] == released["candidate_id"]
    assert tags["execution"] == released["execution_arn"]
    assert tags["claim-id"] == released["claim_id"]
    assert released["claim_id"][:10] in endpoint["EndpointConfigName"]


def test_version_that_serves_is_not_retired(organisation: Organisation, replaced: Replaced) -> None:
    before = organisation.entries(REPLACED)
    version = replaced.second.entry["model_package_arn"].rpartition("/")[2]
    refused = organisation.govern(
        *("retire", f"{REPLACED}/{version}", "--as", "governance-engineer", "--json"),
        *("--because", "Nothing calls it"),
    )
    error = json.loads(refused.stdout)["error"]
    assert (refused.returncode, error["code"]) == (1, "still_serves")
    (endpoint,) = error["endpoints"]
    assert (endpoint["endpoint_name"], endpoint["account"]) == (ENDPOINT, PROD)
    assert organisation.entries(REPLACED) == before


def test_second_version_was_compared_with_what_the_first_said_in_its_tests(
    organisation: Organisation, replaced: Replaced
) -> None:
    first, second = replaced.first.entry, replaced.second.entry
    (passed,) = (
        entry
        for entry in organisation.entries(REPLACED)
        if entry["kind"] == "ValidationPassed"
        and entry["model_package_arn"] == second["model_package_arn"]
    )
    assert {"suite": "comparison", "status": "passed"} in passed["summary"]["suites"]
    report = json.loads(
        organisation.evidence(passed["report"]["uri"], passed["report"]["version_id"])
    )
    assert report["plan"]["champion"]["model_package_arn"] == first["model_package_arn"]
    (compared,) = (r for r in report["results"] if r["suite"] == "comparison")
    assert compared["details"]["champion"]["candidate_id"] == first["candidate_id"]
    difference = compared["details"]["overall"]["auc_difference"]
    assert difference["low"] <= difference["value"] <= difference["high"]


def test_rejected_release_can_be_decided_again(replaced: Replaced) -> None:
    assert replaced.refused.entry["kind"] == "ReleaseRejected"
    assert replaced.first.entry["kind"] == "CandidateReleased"
    assert replaced.first.entry["model_package_arn"] == replaced.refused.entry["model_package_arn"]


def test_a_release_names_its_way_back_and_what_proves_it(replaced: Replaced) -> None:
    """Rule 11: the first release has none, and says so; the second would go back to the first."""
    assert replaced.first.entry["rollback_target"].keys() == {"said"}
    target = replaced.second.entry["rollback_target"]
    assert target["model_package_arn"] == replaced.first.entry["model_package_arn"]
    assert target["entry"] == replaced.first.entry["sequence"]
    proven = {check["name"]: check["proven"] for check in target["checks"]}
    assert proven == dict.fromkeys(("approval", "bytes", "readable", "image", "definition"), True)
