"""From Dev to Prod: five people, three workflows, and what they leave for everybody to see."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta

import pytest

from cli.demo import PATIENT
from governance.domain import suites
from governance.domain.candidate import leaves
from tests.e2e.organisation import (
    ARTIFACTS_BUCKET,
    CENTRAL,
    DEV,
    PROD,
    PROJECT_BUCKET,
    REGION,
    TEST,
    Organisation,
    denied,
    eventually,
)
from tests.e2e.scenarios import MODEL, WORKFLOWS, DemoPath, Replayed, Trained

ENDPOINT = f"{MODEL}-endpoint"
KINDS = [
    "CandidatePromoted",
    "ValidationStarted",
    "ValidationPassed",
    *["ReviewGiven"] * 4,
    "ReleaseStarted",
    "CandidateInService",
    "CandidateReleased",
]


@pytest.fixture(scope="module")
def arn(demo_path: DemoPath) -> str:
    """The Central version that came of it."""
    return str(demo_path.released.entry["model_package_arn"])


def test_version_is_deployed_and_signed_off(organisation: Organisation, arn: str) -> None:
    version = organisation.central(arn)
    life_cycle = version["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "Deployed")
    assert version["ModelApprovalStatus"] == "Approved"
    assert len(version["ApprovalDescription"]) >= 40


def test_approved_version_is_promoted_although_there_is_a_newer_one(
    organisation: Organisation, demo_path: DemoPath, trained: Trained, arn: str
) -> None:
    assert organisation.central_versions(MODEL) == [arn]
    central = organisation.central(arn)["CustomerMetadataProperties"]
    dev = organisation.root(DEV, "sagemaker")
    first, second = (
        dev.describe_model_package(ModelPackageName=one)["CustomerMetadataProperties"]
        for one in (trained.first, trained.second)
    )
    assert first["model-data-sha256"] != second["model-data-sha256"]
    assert central["origin-arn"] == demo_path.promoted.entry["origin_arn"] == trained.first
    assert central["model-data-sha256"] == first["model-data-sha256"]


def test_copied_objects_are_the_approved_bytes(
    organisation: Organisation, demo_path: DemoPath
) -> None:
    manifest = _manifest(organisation, demo_path)
    assert {"model-data", "evaluation", "holdout", "sample-payload"} <= {
        artifact["role"] for artifact in manifest["artifacts"]
    }
    copies = {
        key.split("/", 3)[3].rpartition("/")[0]: organisation.root(CENTRAL, "s3")
        .get_object(Bucket=ARTIFACTS_BUCKET, Key=key)["Body"]
        .read()
        for key in organisation.artifact_keys(MODEL)
    }
    for artifact in manifest["artifacts"]:
        assert artifact["bucket"] == PROJECT_BUCKET
        source = organisation.root(DEV, "s3").get_object(
            Bucket=artifact["bucket"], Key=artifact["key"], VersionId=artifact["version_id"]
        )["Body"]
        copied = copies.pop(artifact["role"])
        assert copied == source.read()
        assert hashlib.sha256(copied).hexdigest() == artifact["sha256"]
    assert not copies


def test_candidate_is_the_digest_of_its_manifest(
    organisation: Organisation, demo_path: DemoPath, arn: str
) -> None:
    metadata = organisation.central(arn)["CustomerMetadataProperties"]
    body = organisation.evidence(metadata["manifest-uri"])
    assert hashlib.sha256(body).hexdigest() == metadata["candidate-id"]
    assert {outcome.entry["candidate_id"] for outcome in demo_path.stages.values()} == {
        metadata["candidate-id"]
    }


def test_central_refers_to_nothing_in_dev(organisation: Organisation, arn: str) -> None:
    """All that it says, card and metadata too: the origin is Dev's, and the card's data sets."""
    version = organisation.central(arn)
    version["ModelCard"] = json.loads(version["ModelCard"]["ModelCardContent"])
    said = dict(leaves(json.loads(json.dumps(version, default=str))))
    in_dev = {path for path, text in said.items() if PROJECT_BUCKET in str(text)}
    assert in_dev == {
        "CustomerMetadataProperties.dataset-uri",
        "ModelCard.evaluation_details.0.datasets.0",
        "ModelCard.training_details.training_job_details.training_datasets.0",
    }
    named = {path for path, text in said.items() if f":{DEV}:" in str(text)}
    assert named == {"CustomerMetadataProperties.origin-arn"}


def test_metadata_of_what_was_copied_names_the_very_version_in_central(
    organisation: Organisation, arn: str
) -> None:
    metadata = organisation.central(arn)["CustomerMetadataProperties"]
    s3 = organisation.root(CENTRAL, "s3")
    for role in ("holdout", "libraries"):
        bucket, _, key = metadata[f"{role}-uri"].removeprefix("s3://").partition("/")
        assert bucket == ARTIFACTS_BUCKET
        body = s3.get_object(Bucket=bucket, Key=key, VersionId=metadata[f"{role}-version-id"])
        assert hashlib.sha256(body["Body"].read()).hexdigest() == metadata[f"{role}-sha256"]
    for role in ("model-data", "evaluation"):
        (key,) = (one for one in organisation.artifact_keys(MODEL) if f"/{role}/" in one)
        found = s3.head_object(
            Bucket=ARTIFACTS_BUCKET, Key=key, VersionId=metadata[f"{role}-version-id"]
        )
        assert found["VersionId"] == metadata[f"{role}-version-id"]


def test_results_are_in_the_version_metadata(organisation: Organisation, arn: str) -> None:
    metadata = organisation.central(arn)["CustomerMetadataProperties"]
    assert metadata["test-status"] == "Passed"
    assert metadata["test-candidate-id"] == metadata["candidate-id"]
    assert float(metadata["test-auc"]) > 0.75
    assert 0 < float(metadata["test-latency-p95-ms"]) < 500


def test_results_are_in_the_model_card(organisation: Organisation, arn: str) -> None:
    card = json.loads(organisation.central(arn)["ModelCard"]["ModelCardContent"])
    names = [evaluation["name"] for evaluation in card["evaluation_details"]]
    assert len(names) > 1, "the authors' own evaluation stays"
    ours = next(e for e in card["evaluation_details"] if e["name"].startswith("governed-path"))
    assert "Passed" in ours["evaluation_observation"]


def test_report_in_evidence_has_the_digest_of_the_metadata(
    organisation: Organisation, demo_path: DemoPath, arn: str
) -> None:
    metadata = organisation.central(arn)["CustomerMetadataProperties"]
    recorded = demo_path.validated.entry["report"]
    assert recorded["uri"] == metadata["test-report-uri"]
    body = organisation.evidence(recorded["uri"], recorded["version_id"])
    assert hashlib.sha256(body).hexdigest() == metadata["test-report-sha256"] == recorded["sha256"]
    report = json.loads(body)
    # Nothing served before it, so there was nobody to compare it with.
    ran = [result["suite"] for result in report["results"]]
    assert ran == [suite for suite in suites.BUILT_IN if suite != "comparison"]
    assert [omitted["suite"] for omitted in report["plan"]["omitted"]] == ["comparison"]
    assert {result["status"] for result in report["results"]} == {"passed"}


def test_report_has_a_page_and_the_answer_to_every_row(
    organisation: Organisation, demo_path: DemoPath
) -> None:
    recorded = demo_path.validated.entry["report"]
    report = json.loads(organisation.evidence(recorded["uri"], recorded["version_id"]))
    page = organisation.evidence(report["page"]["uri"], report["page"]["version_id"])
    assert hashlib.sha256(page).hexdigest() == report["page"]["sha256"]
    assert b"Quality on the holdout" in page
    (shard,) = report["predictions"]["shards"]
    bucket, _, key = shard["uri"].removeprefix("s3://").partition("/")
    place = {"Bucket": bucket, "Key": key, "VersionId": shard["version_id"]}
    # What a model says of each single patient is evidence, and nobody's to read without a reason.
    assert denied(organisation.evidence, uri=shard["uri"], version_id=shard["version_id"])
    body = organisation.root(CENTRAL, "s3").get_object(**place)["Body"].read()
    assert hashlib.sha256(body).hexdigest() == shard["sha256"]
    kept = json.loads(body)
    assert kept["candidate_id"] == demo_path.validated.entry["candidate_id"]
    assert len(kept["probabilities"]) == len(kept["labels"]) == report["predictions"]["rows"]


def test_endpoint_in_test_is_removed(organisation: Organisation, demo_path: DemoPath) -> None:
    eventually(lambda: not organisation.endpoints(TEST, MODEL), "removal of the endpoint in Test")
    sagemaker = organisation.root(TEST, "sagemaker")
    assert not sagemaker.list_endpoint_configs(NameContains=MODEL)["EndpointConfigs"]
    assert not sagemaker.list_models(NameContains=MODEL)["Models"]


def test_endpoint_in_prod_says_what_it_serves(
    organisation: Organisation, demo_path: DemoPath, arn: str
) -> None:
    sagemaker = organisation.root(PROD, "sagemaker")
    assert sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"] == "InService"
    endpoint_arn = f"arn:aws:sagemaker:{REGION}:{PROD}:endpoint/{ENDPOINT}"
    tags = {t["Key"]: t["Value"] for t in sagemaker.list_tags(ResourceArn=endpoint_arn)["Tags"]}
    entry = demo_path.released.entry
    assert tags["model-package-arn"] == arn
    assert tags["model-package-version"] == "1"
    assert tags["candidate-id"] == entry["candidate_id"]
    assert tags["execution"] == entry["execution_arn"]


def test_endpoint_in_prod_answers(organisation: Organisation, demo_path: DemoPath) -> None:
    answer = organisation.root(PROD, "sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT,
        ContentType="application/json",
        Body=json.dumps({"instances": [PATIENT]}),
    )
    prediction = json.loads(answer["Body"].read())["predictions"][0]
    assert 0 < prediction["probability"] < 1
    assert prediction["high_risk"] in (True, False)


def test_ledger_tells_the_story_in_order(
    organisation: Organisation, demo_path: DemoPath, arn: str
) -> None:
    assert organisation.kinds(MODEL) == KINDS
    assert {entry["model_package_arn"] for entry in organisation.story(MODEL)} == {arn}
    entries = organisation.entries(MODEL)
    assert entries[0]["kind"] == "PolicyChanged"
    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))


def test_every_version_is_a_candidate_from_its_registration_on(
    organisation: Organisation, demo_path: DemoPath, trained: Trained
) -> None:
    registered = {
        entry["model_package_arn"]: entry
        for entry in organisation.entries(MODEL)
        if entry["kind"] == "CandidateRegistered"
    }
    assert set(registered) == {trained.first, trained.second}
    first, second = registered[trained.first], registered[trained.second]
    assert first["candidate_id"] == demo_path.promoted.entry["candidate_id"]
    assert first["candidate_id"] != second["candidate_id"]
    assert first["trainer"]["person"] == "theo"


def test_ledger_names_the_people(demo_path: DemoPath) -> None:
    entries = [outcome.entry for outcome in demo_path.stages.values()]
    assert [entry["approver"]["person"] for entry in entries] == ["dana", "alex", "grace"]
    assert [entry["approver"]["persona"] for entry in entries] == [
        "data-scientist",
        "ai-engineer",
        "governance-engineer",
    ]
    assert {entry["trainer"]["person"] for entry in entries} == {"theo"}


def test_every_entry_is_announced(organisation: Organisation, demo_path: DemoPath) -> None:
    expected = [
        f"{entry['kind']}: {MODEL} is {entry['stage']} / {entry['stage_status']} "
        f"since {entry['recorded_at']}."
        for entry in organisation.story(MODEL)
    ]
    heard = [
        text.strip('"').split(" Version:")[0]
        for text in organisation.heard(CENTRAL, "notifications")
        if f" {MODEL} " in text
    ]
    of_the_path = [
        text
        for text in heard
        if not any(kind in text for kind in ("CandidateRegistered", "PolicyChanged", "Clearance"))
    ]
    # A replay announces again; the first are the path's own.
    assert of_the_path[: len(KINDS)] == expected
    assert any(f"PolicyChanged: adam gave {MODEL} policy" in text for text in heard)


def test_cloudtrail_confirmed_who_signed_off(organisation: Organisation, arn: str) -> None:
    (started,) = (e for e in organisation.story(MODEL) if e["kind"] == "ReleaseStarted")
    confirmation = started["confirmation"]
    assert confirmation["model_package_arn"] == arn
    assert confirmation["approver"] == started["approver"]
    called, decided = (
        datetime.fromisoformat(at) for at in (confirmation["called_at"], started["decided_at"])
    )
    assert abs(called - decided) <= timedelta(seconds=2)
    assert confirmation["source_ip"]
    earlier = started["verdict"]["facts"]["approvals"]
    assert [(one["stage"], one["unconfirmed"]) for one in earlier] == [
        ("Dev", None),
        ("Test", None),
    ]


def test_our_own_writes_start_nothing(demo_path: DemoPath) -> None:
    assert {workflow: len(runs) for workflow, runs in demo_path.runs.items()} == dict.fromkeys(
        WORKFLOWS, 1
    )


def test_every_workflow_succeeded(organisation: Organisation, demo_path: DemoPath) -> None:
    ends = [
        organisation.last_state(outcome.execution["executionArn"])
        for outcome in demo_path.stages.values()
    ]
    assert ends == ["PromotionSucceeded", "ValidationSucceeded", "ReleaseSucceeded"]


@pytest.mark.parametrize(
    ("workflow", "end"),
    [
        ("promote_to_central", "PromotionAlreadyHandled"),
        ("validate_in_test", "ValidationAlreadyHandled"),
        ("release_to_prod", "ReleaseAlreadyHandled"),
    ],
)
def test_replayed_approval_does_nothing_again(
    organisation: Organisation, replayed: Replayed, workflow: str, end: str
) -> None:
    first, *again = replayed.runs[workflow]
    assert first["status"] == "SUCCEEDED"
    assert again
    for execution in again:
        assert execution["status"] == "SUCCEEDED"
        assert organisation.last_state(execution["executionArn"]) == end


def test_replay_changes_neither_ledger_nor_version(
    replayed: Replayed, demo_path: DemoPath, organisation: Organisation, arn: str
) -> None:
    assert replayed.entries == KINDS
    assert replayed.version == organisation.central(arn)
    registry_session = replayed.version["LastModifiedBy"]["IamIdentity"]["Arn"]
    assert demo_path.released.entry["claim_id"][:32] in registry_session


def test_same_event_started_by_hand_does_nothing_again(
    organisation: Organisation, demo_path: DemoPath, replayed: Replayed
) -> None:
    again = organisation.start_again("promote_to_central", demo_path.promoted.event)
    assert again["status"] == "SUCCEEDED"
    assert json.loads(again["output"])["outcome"] == "duplicate"
    assert organisation.kinds(MODEL) == KINDS


def _manifest(organisation: Organisation, demo_path: DemoPath) -> dict[str, list[dict[str, str]]]:
    arn = demo_path.promoted.entry["model_package_arn"]
    uri = organisation.central(arn)["CustomerMetadataProperties"]["manifest-uri"]
    manifest: dict[str, list[dict[str, str]]] = json.loads(organisation.evidence(uri))
    return manifest
