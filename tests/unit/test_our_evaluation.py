"""What a version says of its tests: put into words once, and found wherever it differs."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import our_evaluation, registration
from governance.domain.our_evaluation import Told

CANDIDATE = "a" * 64
NAME = f"governed-path test of candidate {CANDIDATE[:12]}"
REFERENCE = {"uri": f"s3://evidence/reports/{'b' * 64}.json", "version_id": "v", "sha256": "b" * 64}
THEIRS = {"name": "holdout", "metric_groups": [{"name": "g", "metric_data": []}]}
Version = dict[str, Any]
NUMBER = "tests.model_card." + NAME + ".metric_groups.Test endpoint.metric_data.auc.value"


def report(**more: Any) -> dict[str, Any]:
    return {
        "candidate_id": CANDIDATE,
        "status": "Failed",
        "summary": {
            "metrics": {"auc": 0.6123456789, "latency_p95_ms": 12, "brier": None},
            "suites": [
                {"suite": "quality", "status": "failed"},
                {"suite": "contract", "status": "passed"},
            ],
        },
        "reasons": ["quality: auc: 0.6123456789, expected 0.7"],
        **more,
    }


def after_tests(
    what: dict[str, Any] | None = None,
    others: int = 2,
    card: dict[str, Any] | None = None,
) -> Version:
    """A version as it is after its tests: what WriteResults makes of it."""
    content = json.dumps({"evaluation_details": [THEIRS]} if card is None else card)
    version = {
        "ModelPackageArn": "arn",
        "ModelCard": {"ModelCardContent": content},
        "CustomerMetadataProperties": {f"own-{number}": "x" for number in range(others)},
    }
    version |= registration.results_update(version, what or report(), REFERENCE)
    return version


def differences(version: Version, what: dict[str, Any] | None = None) -> dict[str, tuple[str, str]]:
    found = our_evaluation.differences(version, what or report(), REFERENCE)
    assert all(our_evaluation.is_about(one) for one in found)
    return {one["name"]: (one["expected"], one["actual"]) for one in found}


def test_a_report_is_put_into_the_same_words_for_ever() -> None:
    """Versions that were tested long ago say exactly this; other words need another schema."""
    version = after_tests()
    theirs, ours = json.loads(version["ModelCard"]["ModelCardContent"])["evaluation_details"]
    assert theirs == THEIRS
    assert ours == {
        "name": NAME,
        "evaluation_observation": (
            f"Test Failed. Candidate {CANDIDATE}. failed: quality. passed: contract."
        ),
        "metric_groups": [
            {
                "name": "Test endpoint",
                "metric_data": [
                    {"name": "auc", "type": "number", "value": 0.6123456789},
                    {"name": "latency_p95_ms", "type": "number", "value": 12},
                ],
            }
        ],
        "metadata": {"report": REFERENCE["uri"], "report_sha256": REFERENCE["sha256"]},
    }
    assert version["CustomerMetadataProperties"] == {
        "own-0": "x",
        "own-1": "x",
        "test-status": "Failed",
        "test-candidate-id": CANDIDATE,
        "test-report-uri": REFERENCE["uri"],
        "test-report-sha256": REFERENCE["sha256"],
        "test-auc": "0.612346",
        "test-latency-p95-ms": "12",
    }


numbers = st.one_of(
    st.none(), st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False)
)


@given(
    metrics=st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.]{0,20}", fullmatch=True), numbers),
    others=st.integers(0, 45),
    later=st.integers(-45, 45),
    notes=st.integers(0, 100_500),
)
def test_our_own_writing_is_never_a_difference(
    metrics: dict[str, Any], others: int, later: int, notes: int
) -> None:
    """However many numbers there are, however little room; whatever else is added or removed."""
    what = report(summary={"metrics": metrics})
    card = {"evaluation_details": [THEIRS], "additional_information": {"notes": "n" * notes}}
    version = after_tests(what, others, card)
    stored = json.loads(json.dumps(what))
    assert differences(version, stored) == {}
    metadata = version["CustomerMetadataProperties"]
    assert len(metadata) <= 50
    for number in range(others + later, others):
        metadata.pop(f"own-{number}", None)
    for number in range(others, others + later):
        metadata[f"own-{number}"] = "later"
    assert differences(version, stored) == {}


def _in_card(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Version], None]:
    def changed(version: Version) -> None:
        card = json.loads(version["ModelCard"]["ModelCardContent"])
        change(card["evaluation_details"])
        version["ModelCard"]["ModelCardContent"] = json.dumps(card)

    return changed


def _numbers(details: list[dict[str, Any]]) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = details[1]["metric_groups"][0]["metric_data"]
    return data


def _in_metadata(key: str, value: str | None) -> Callable[[Version], None]:
    def changed(version: Version) -> None:
        version["CustomerMetadataProperties"][key] = value
        if value is None:
            del version["CustomerMetadataProperties"][key]

    return changed


GROUP = "Test endpoint"
CHANGES: dict[str, tuple[Callable[[Version], None], str]] = {
    "a number": (_in_card(lambda d: _numbers(d)[0].update(value=0.91)), NUMBER),
    "a number taken away": (_in_card(lambda d: _numbers(d).pop(0)), NUMBER),
    "a number that nobody measured": (
        _in_card(lambda d: _numbers(d).append({"name": "f1", "type": "number", "value": 1})),
        f"tests.model_card.{NAME}.metric_groups.{GROUP}.metric_data.f1.value",
    ),
    "the same number twice": (_in_card(lambda d: _numbers(d).append(_numbers(d)[0])), NUMBER),
    "what passed": (
        _in_card(lambda d: d[1].update(evaluation_observation="Test Passed.")),
        f"tests.model_card.{NAME}.evaluation_observation",
    ),
    "the report": (
        _in_card(lambda d: d[1]["metadata"].update(report_sha256="c" * 64)),
        f"tests.model_card.{NAME}.metadata.report_sha256",
    ),
    "no evaluation": (_in_card(lambda d: d.pop()), f"tests.model_card.{NAME}.name"),
    "a second one": (
        _in_card(lambda d: d.append({"name": NAME[:-12] + "c" * 12})),
        f"tests.model_card.{NAME[:-12]}{'c' * 12}.name",
    ),
    "a second one of that name": (
        _in_card(lambda d: d.insert(1, {**d[1], "evaluation_observation": "Test Passed."})),
        "tests.model_card.0.evaluation_observation",
    ),
    # A group whose name ends where the path of the number goes on.
    "a number hidden behind another": (
        _in_card(
            lambda d: (
                _numbers(d)[0].update(value=0.91),
                d[1]["metric_groups"].append(
                    {"name": f"{GROUP}.metric_data", "auc": {"value": 0.6123456789}}
                ),
            )
        ),
        f"tests.model_card.{NAME}.metric_groups.{GROUP}.metric_data.name",
    ),
    "nothing that has a value": (_in_card(lambda d: d[1].update(more={})), "tests"),
    "status": (_in_metadata("test-status", "Passed"), "tests.metadata.test-status"),
    "a rounded number": (_in_metadata("test-auc", "0.91"), "tests.metadata.test-auc"),
    "no rounded number": (_in_metadata("test-auc", None), "tests.metadata.test-auc"),
    "another": (_in_metadata("test-f1", "0.91"), "tests.metadata.test-f1"),
    "room": (_in_metadata("test-left-out", "1"), "tests.metadata.test-left-out"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_changed_is_found_by_its_name(change: str) -> None:
    version = after_tests()
    make, name = CHANGES[change]
    make(version)
    assert name in differences(version)


def test_a_failed_number_that_became_a_good_one_is_told_with_both() -> None:
    version = after_tests()
    CHANGES["a number"][0](version)
    assert differences(version) == {NUMBER: ("0.6123456789", "0.91")}


def test_numbers_that_are_said_to_have_had_no_room_are_counted() -> None:
    metrics = {f"m{number}": 0.5 for number in range(20)}
    what = report(summary={"metrics": metrics})
    version = after_tests(what, others=40)
    metadata = version["CustomerMetadataProperties"]
    assert metadata["test-left-out"] == "15 entries for want of room"
    del metadata["test-m1"]
    assert "tests.metadata.test-left-out" in differences(version, what)


def test_a_version_that_was_never_tested_says_nothing() -> None:
    version = after_tests()
    assert our_evaluation.differences(version, None, None)
    before = {"ModelCard": {"ModelCardContent": json.dumps({"evaluation_details": [THEIRS]})}}
    assert our_evaluation.differences(before, None, None) == []
    assert our_evaluation.differences({}, None, None) == []


@pytest.mark.parametrize("content", ["{", "[]", '{"evaluation_details": {"name": "x"}}', ""])
def test_a_card_that_cannot_be_read_says_nothing(content: str) -> None:
    version = after_tests()
    version["ModelCard"]["ModelCardContent"] = content
    found = differences(version)
    assert all(actual == "null" for _, actual in found.values())
    assert bool(found) is bool(content), "without a card there is no place to say it"


def test_nothing_that_was_given_is_changed() -> None:
    version, what = after_tests(), report()
    before = copy.deepcopy((version, what))
    differences(version, what)
    assert (version, what) == before


# ---------------------------------------------------------------- what the ledger says


def entry(kind: str, claim: str = "one", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "claim_id": claim, **more}


FIRST, SECOND = {"uri": "first"}, {"uri": "second"}
STARTED, VOIDED = entry("ValidationStarted"), entry("ApprovalsVoided", "changed")
PASSED = entry("ValidationPassed", report=FIRST)
AGAIN, BROKE = entry("ValidationStarted", "two"), entry("ValidationErrored", "two")
FAILED = entry("ValidationFailed", "two", report=SECOND)
KNOWN = {
    "nothing": ([], Told()),
    "promoted": ([entry("CandidatePromoted")], Told()),
    "being tested": ([STARTED], Told(known=False)),
    "passed": ([STARTED, PASSED], Told(report=FIRST)),
    "reviewed": ([STARTED, PASSED, entry("ReviewGiven", "r")], Told(report=FIRST)),
    "being tested again": ([STARTED, PASSED, AGAIN], Told(known=False)),
    "failed then": ([STARTED, PASSED, AGAIN, FAILED], Told(report=SECOND)),
    "broke then, perhaps after it had written": (
        [STARTED, PASSED, AGAIN, BROKE],
        Told(known=False),
    ),
    "broke before it had started": ([STARTED, PASSED, BROKE], Told(report=FIRST)),
    "two at a time": ([STARTED, AGAIN, PASSED], Told(known=False)),
    "two at a time, both ended": ([AGAIN, STARTED, PASSED, FAILED], Told(report=SECOND)),
    "voided": ([STARTED, PASSED, VOIDED], Told(voided=True, report=FIRST)),
    "voided while it was tested": ([STARTED, VOIDED, PASSED], Told(report=FIRST)),
    "voided and tested again": ([STARTED, PASSED, VOIDED, AGAIN, FAILED], Told(report=SECOND)),
    "voided before any tests": ([VOIDED], Told(voided=True)),
}


@pytest.mark.parametrize("case", KNOWN)
def test_what_counts_is_what_the_last_tests_left(case: str) -> None:
    entries, expected = KNOWN[case]
    assert our_evaluation.told(reversed(entries)) == expected


def test_what_was_voided_keeps_nobody_from_testing_it_again() -> None:
    voided = Told(voided=True, report=FIRST)
    assert [voided.binds(tested_next=one) for one in (True, False)] == [False, True]
    assert [Told().binds(tested_next=one) for one in (True, False)] == [True, True]
    assert not Told(known=False).binds(tested_next=False)
