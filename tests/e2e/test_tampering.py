"""A version that is changed after its approval: found by its event and again at the gate."""

from __future__ import annotations

import copy
import json
import time

from governance.domain.candidate import our_evaluation_name
from governance.domain.reviews import KINDS as REVIEWS
from tests.e2e.organisation import CENTRAL, PROD, TEST, Organisation, eventually, rules, said
from tests.e2e.scenarios import PRAISED, TAMPERED, Praised, Tampered

PROGRAM = "inference_specification.Containers.0.Environment.SAGEMAKER_PROGRAM"
CHANGED = [{"name": PROGRAM, "expected": "inference.py", "actual": "other.py"}]


def test_the_change_is_on_record_with_before_and_after(tampered: Tampered) -> None:
    assert tampered.voided["differences"] == CHANGED
    assert tampered.voided["candidate_id"] == tampered.promoted.entry["candidate_id"]
    assert tampered.voided["workflow"] == "detect_tampering"


def test_it_alarms(organisation: Organisation, tampered: Tampered) -> None:
    (alarm,) = eventually(
        lambda: [
            text
            for text in organisation.heard(CENTRAL, "alarms")
            if text.strip('"').startswith("Tampering")
        ][:1],
        "the alarm of the tampering",
    )
    assert tampered.voided["model_package_arn"] in alarm


def test_it_is_not_promoted_any_further(organisation: Organisation, tampered: Tampered) -> None:
    refused = tampered.refused
    assert refused.entry["kind"] == "ValidationRejected"
    (reason,) = refused.entry["verdict"]["reasons"]
    assert reason["rule"] == "candidate_unchanged"
    assert f"{PROGRAM} is other.py but the candidate has inference.py" in reason["fact"]
    assert organisation.endpoints(TEST, TAMPERED) == []


def test_the_gate_found_it_too(organisation: Organisation, tampered: Tampered) -> None:
    (at_the_gate,) = (
        entry
        for entry in organisation.story(TAMPERED)
        if entry["kind"] == "ApprovalsVoided" and entry["workflow"] == "validate_in_test"
    )
    assert at_the_gate["differences"] == CHANGED


def test_a_better_number_in_our_evaluation_is_on_record_as_it_was(praised: Praised) -> None:
    name = our_evaluation_name(praised.voided["candidate_id"])
    place = f"tests.model_card.{name}.metric_groups.Test endpoint.metric_data.auc.value"
    assert praised.voided["workflow"] == "detect_tampering"
    assert praised.voided["differences"] == [
        {"name": place, "expected": json.dumps(praised.measured), "actual": "0.99"}
    ]


def test_it_alarms_too(organisation: Organisation, praised: Praised) -> None:
    eventually(
        lambda: [
            text
            for text in organisation.heard(CENTRAL, "alarms")
            if text.strip('"').startswith("Tampering") and praised.arn in text
        ],
        "the alarm of the better number",
    )


def test_nobody_signs_a_better_number_off(organisation: Organisation, praised: Praised) -> None:
    refused = praised.refused.entry
    assert refused["kind"] == "ReleaseRejected"
    assert {"candidate_unchanged", "tests_passed_for_candidate"} <= rules(refused)
    assert f"auc.value is 0.99 but the candidate has {praised.measured}" in said(refused)
    assert organisation.endpoints(PROD, PRAISED) == []
    at_the_gate = [
        entry
        for entry in organisation.story(PRAISED)
        if entry["kind"] == "ApprovalsVoided" and entry["workflow"] == "release_to_prod"
    ]
    assert [entry["differences"] for entry in at_the_gate] == [praised.voided["differences"]]


def test_tests_say_it_anew_and_that_is_nobodys_tampering(
    organisation: Organisation, praised: Praised
) -> None:
    assert praised.again.entry["kind"] == "ValidationPassed"
    card = json.loads(organisation.central(praised.arn)["ModelCard"]["ModelCardContent"])
    name = our_evaluation_name(praised.again.entry["candidate_id"])
    (ours,) = [one for one in card["evaluation_details"] if one["name"] == name]
    assert ours["metadata"]["report_sha256"] == praised.again.entry["report"]["sha256"]
    (number,) = [n for n in ours["metric_groups"][0]["metric_data"] if n["name"] == "auc"]
    assert number["value"] == praised.again.entry["summary"]["metrics"]["auc"]
    kinds = [entry["kind"] for entry in organisation.story(PRAISED)]
    refused = kinds.index("ReleaseRejected")
    assert kinds[refused : refused + 3] == [
        "ReleaseRejected",
        "ValidationStarted",
        "ValidationPassed",
    ]


def test_what_is_changed_while_it_is_released_and_put_back_is_not_released(
    organisation: Organisation, praised: Praised
) -> None:
    """Nobody can say any more of which content the model of Prod was made; one of them fails."""
    arn = praised.arn
    for kind in REVIEWS:
        organisation.review(arn, kind)
    begun = organisation.decide("prod", arn)
    eventually(
        lambda: [
            entry
            for entry in organisation.entries(PRAISED)
            if entry["kind"] == "ClearanceGranted" and entry["stage"] == "Prod"
        ],
        "the clearance of Prod",
    )
    right = organisation.central(arn)["InferenceSpecification"]
    (container,) = right["Containers"]
    container.pop("ModelDataETag", None)
    wrong = copy.deepcopy(right)
    wrong["Containers"][0]["Environment"]["SAGEMAKER_PROGRAM"] = "other.py"
    for specification in (wrong, right):
        organisation.root(CENTRAL, "sagemaker").update_model_package(
            ModelPackageArn=arn, InferenceSpecification=specification
        )
        # Nobody reads what is there for milliseconds only.
        time.sleep(0.15)
    ended = organisation.follow(*begun)
    assert ended.entry["kind"] == "ReleaseErrored"
    error = ended.entry["failure"]["Error"]
    assert error in {"TamperedCandidate", "ApprovalWithdrawn", "EndpointFailed"}
    since = [e for e in organisation.story(PRAISED) if e["sequence"] > begun[1]]
    kinds = [entry["kind"] for entry in since]
    assert ("CandidateInService" in kinds) == (error != "EndpointFailed")
    assert "CandidateReleased" not in kinds
    voided = [entry for entry in since if entry["kind"] == "ApprovalsVoided"]
    assert voided[-1]["differences"] == CHANGED
