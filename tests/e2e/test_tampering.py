"""A version that is changed after its approval: found by its event and again at the gate."""

from __future__ import annotations

from tests.e2e.organisation import CENTRAL, TEST, Organisation, eventually
from tests.e2e.scenarios import TAMPERED, Tampered

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
