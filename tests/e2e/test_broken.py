"""What is broken ends as Rejected or Errored, says why, and leaves nothing half done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.organisation import (
    CENTRAL,
    DEV,
    TEST,
    Organisation,
    Outcome,
    eventually,
    rules,
    said,
    version_arn,
)
from tests.e2e.scenarios import (
    BROKEN,
    CRASHING,
    OVERWRITTEN,
    STOPPED,
    UNKNOWN,
    UNPROVEN,
    Crashing,
    Stopped,
)


def _letter(organisation: Organisation, execution: dict[str, Any]) -> dict[str, Any]:
    """The message in the promotions' dead-letter queue about an execution."""

    def look() -> dict[str, Any] | None:
        bodies = [json.loads(m["Body"]) for m in organisation.waiting(CENTRAL, "promotions-dlq")]
        return next((b for b in bodies if b["execution_arn"] == execution["executionArn"]), None)

    return eventually(look, f"dead letter of {execution['name']}")


@pytest.fixture(params=["deleted", "empty"])
def errored(request: pytest.FixtureRequest) -> Outcome:
    """Promotions that could not be decided."""
    outcome: Outcome = request.getfixturevalue(request.param)
    return outcome


def test_promotion_without_its_bytes_is_errored(errored: Outcome) -> None:
    assert errored.entry["kind"] == "PromotionErrored"
    assert errored.entry["stage_status"] == "Errored"
    assert errored.execution["status"] == "FAILED"


def test_deleted_artefact_is_named(deleted: Outcome) -> None:
    assert deleted.execution["error"] == "NotFoundError"
    assert "model.tar.gz" in said(deleted.entry)


def test_empty_artefact_is_named(empty: Outcome) -> None:
    assert empty.execution["error"] == "InvalidInputError"
    assert "model.tar.gz" in said(empty.entry)
    assert "is empty" in said(empty.entry)


def test_event_of_an_errored_promotion_waits_in_the_queue(
    organisation: Organisation, errored: Outcome
) -> None:
    letter = _letter(organisation, errored.execution)
    assert letter["workflow"] == "promote_to_central"
    assert letter["event"] == errored.event
    assert letter["failure"]["Error"] == errored.execution["error"]


def test_errored_promotion_alarms(organisation: Organisation, deleted: Outcome) -> None:
    for alarm in ("promotions-dlq-not-empty", "promote-to-central-failed"):
        eventually(lambda name=alarm: organisation.alarmed(CENTRAL, name), f"alarm {alarm}")


def test_bytes_with_another_digest_than_registered_are_rejected(other_bytes: Outcome) -> None:
    assert other_bytes.entry["kind"] == "PromotionRejected"
    assert rules(other_bytes.entry) == {"artifacts_match_registration"}
    assert "model-data sha256" in said(other_bytes.entry)
    assert "0" * 64 in said(other_bytes.entry)


def test_an_object_that_was_replaced_before_the_approval_is_rejected_and_nothing_is_copied(
    organisation: Organisation, overwritten: Outcome
) -> None:
    assert overwritten.entry["kind"] == "PromotionRejected"
    assert rules(overwritten.entry) == {"artifacts_match_registration"}
    assert "model-data present version" in said(overwritten.entry)
    assert organisation.artifact_keys(OVERWRITTEN) == []


def test_report_that_breaks_its_schema_is_rejected_by_field(bad_report: Outcome) -> None:
    assert bad_report.entry["kind"] == "PromotionRejected"
    assert rules(bad_report.entry) == {"evaluation_report_valid"}
    text = said(bad_report.entry)
    assert "metrics.auc" in text or "metrics/auc" in text
    assert "calibration_error" in text
    assert "holdout" in text


def test_bytes_whose_digest_nothing_proves_are_errored(unproven: Outcome) -> None:
    assert unproven.entry["kind"] == "PromotionErrored"
    assert unproven.execution["error"] == "InvalidInputError"
    assert "model.tar.gz" in said(unproven.entry)
    assert "1" * 64 in said(unproven.entry)
    assert "stackTrace" not in said(unproven.entry)


def test_bytes_that_nothing_proves_are_not_copied(
    organisation: Organisation, unproven: Outcome
) -> None:
    assert organisation.central_versions(UNPROVEN) == []
    assert organisation.artifact_keys(UNPROVEN) == []


def test_nothing_broken_is_registered(
    organisation: Organisation,
    deleted: Outcome,
    empty: Outcome,
    other_bytes: Outcome,
    bad_report: Outcome,
) -> None:
    assert organisation.central_versions(BROKEN) == []
    assert organisation.artifact_keys(BROKEN) == []
    kinds = sorted(organisation.kinds(BROKEN))
    assert kinds == ["PromotionErrored"] * 2 + ["PromotionRejected"] * 2


def test_refusals_are_counted_without_a_gap(
    organisation: Organisation,
    deleted: Outcome,
    empty: Outcome,
    other_bytes: Outcome,
    bad_report: Outcome,
) -> None:
    entries = organisation.entries(BROKEN)
    assert len(organisation.story(BROKEN)) == 4
    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))


def test_model_that_nobody_provisioned_is_named(
    organisation: Organisation, unknown_model: dict[str, Any]
) -> None:
    assert unknown_model["status"] == "FAILED"
    assert unknown_model["error"] == "NotFoundError"
    assert UNKNOWN in unknown_model["cause"]
    letter = _letter(organisation, unknown_model)
    assert letter["event"]["detail"]["ModelPackageArn"] == version_arn(DEV, UNKNOWN, 1)
    assert organisation.artifact_keys(UNKNOWN) == []


def test_event_of_an_unknown_shape_is_kept(
    organisation: Organisation, unknown_shape: dict[str, Any]
) -> None:
    assert unknown_shape["status"] == "FAILED"
    assert unknown_shape["error"] == "InvalidInputError"
    letter = _letter(organisation, unknown_shape)
    assert letter["event"] == json.loads(unknown_shape["input"])
    assert "Greeting" in letter["failure"]["Cause"]


def test_model_that_crashes_fails_its_test(organisation: Organisation, crashing: Crashing) -> None:
    entry = crashing.validated.entry
    assert entry["kind"] == "ValidationFailed"
    assert crashing.validated.execution["status"] == "SUCCEEDED"
    life_cycle = organisation.central(entry["model_package_arn"])["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Test", "Failed")
    assert "ping health check" in life_cycle["StageDescription"]
    assert "the weights are of another model" in said(entry)


def test_failed_test_is_evidence_too(organisation: Organisation, crashing: Crashing) -> None:
    entry = crashing.validated.entry
    metadata = organisation.central(entry["model_package_arn"])["CustomerMetadataProperties"]
    assert metadata["test-status"] == "Failed"
    report = json.loads(organisation.evidence(entry["report"]["uri"]))
    assert report["deployment_outcome"]["outcome"] == "failed"
    assert report["results"] == []


def test_endpoint_of_a_crashing_model_is_removed(
    organisation: Organisation, crashing: Crashing
) -> None:
    eventually(lambda: not organisation.endpoints(TEST, CRASHING), "removal of the endpoint")
    sagemaker = organisation.root(TEST, "sagemaker")
    assert not sagemaker.list_endpoint_configs(NameContains=CRASHING)["EndpointConfigs"]
    assert not sagemaker.list_models(NameContains=CRASHING)["Models"]


def test_nobody_alarms_for_a_model_that_fails(
    organisation: Organisation, crashing: Crashing
) -> None:
    assert not organisation.alarmed(CENTRAL, "validate-in-test-failed")
    assert not organisation.alarmed(CENTRAL, "deploy-endpoint-failed")


def test_stack_is_still_up(
    organisation: Organisation, crashing: Crashing, deleted: Outcome
) -> None:
    assert organisation.persona("admin").own_account == CENTRAL
    stacks = organisation.root(CENTRAL, "cloudformation").describe_stacks()["Stacks"]
    assert {stack["StackStatus"] for stack in stacks} <= {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


def test_a_validation_that_is_stopped_leaves_no_endpoint_behind(
    organisation: Organisation, stopped: Stopped
) -> None:
    assert (stopped.execution["status"], stopped.execution["error"]) == ("ABORTED", "Operator")
    eventually(lambda: not organisation.endpoints(TEST, STOPPED), "the end of the Test endpoint")
    sagemaker = organisation.root(TEST, "sagemaker")

    def nothing_left() -> bool:
        configs = sagemaker.list_endpoint_configs(NameContains=STOPPED)["EndpointConfigs"]
        return not configs + sagemaker.list_models(NameContains=STOPPED)["Models"]

    eventually(nothing_left, "the end of its config and its model")


def test_what_was_stopped_is_no_test_result(organisation: Organisation, stopped: Stopped) -> None:
    kinds = organisation.kinds(STOPPED)
    assert "ValidationStarted" in kinds
    assert not {"ValidationPassed", "ValidationFailed"} & set(kinds)
