"""Attestations: what is signed is the entry, whole, in a form that others can read."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
import rfc8785
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from governance.domain import attestations, ledger, suites
from governance.domain.errors import IntegrityError, InvalidInputError
from tests.contracts import events, samples

EMITTED = [name for name in events.EXAMPLES if name.startswith("governed-path-")]
PREVIOUS = "a" * 64


def _entry(name: str = "governed-path-release-rejected.denied", **more: Any) -> dict[str, Any]:
    detail = events.example(name)["detail"]
    del detail["digest"]  # the event's, not the entry's
    return attestations.linked({**detail, **more}, 4, PREVIOUS)


def _envelope(payload: bytes, **more: Any) -> str:
    return attestations.envelope_text(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": attestations.PAYLOAD_TYPE,
            "signatures": [{"keyid": "k", "sig": "c2ln"}],
            **more,
        }
    )


def _validate(statement: dict[str, Any]) -> None:
    """As in-toto's own library sees it."""
    message = json_format.ParseDict(statement, statement_pb2.Statement())
    Statement.copy_from_pb(message).validate()


# ---------------------------------------------------------------- statements


@pytest.mark.parametrize("name", EMITTED)
def test_every_kind_of_entry_is_a_valid_statement(name: str) -> None:
    entry = _entry(name)
    statement = attestations.statement_of(entry, samples.origin_objects())
    _validate(statement)
    assert statement["predicate"]["entry"] == entry


def test_a_checkpoint_is_a_valid_statement() -> None:
    statement = attestations.checkpoint_of("clinical-risk", 7, PREVIOUS, "2026-11-21T06:05:00Z")
    _validate(statement)
    assert statement["subject"] == [
        {"name": "ledger:clinical-risk", "digest": {"sha256": PREVIOUS}}
    ]
    assert statement["predicateType"].endswith("/checkpoint/v1")
    assert statement["predicate"] == {
        "model": "clinical-risk",
        "entries": 7,
        "digest": PREVIOUS,
        "recorded_at": "2026-11-21T06:05:00Z",
    }


def test_subjects_are_the_entry_the_candidate_and_its_artifacts_by_name() -> None:
    entry = _entry()
    objects = samples.origin_objects()
    entry_subject, version, *artifacts = attestations.statement_of(entry, reversed(objects))[
        "subject"
    ]
    assert entry_subject == {
        "name": "entry:ReleaseRejected",
        "digest": {"sha256": entry["entry_id"]},
    }
    assert version == {
        "name": entry["model_package_arn"],
        "digest": {"sha256": entry["candidate_id"]},
    }
    names = [one["name"] for one in artifacts]
    assert names == sorted(names)
    assert {
        "name": f"holdout s3://{samples.DEV_BUCKET}/models/{samples.MODEL}/holdout.csv",
        "digest": {"sha256": samples.digest("holdout.csv")},
    } in artifacts
    assert len(artifacts) == len(objects)


def test_without_a_candidate_the_entry_is_the_only_subject() -> None:
    entry = _entry()
    del entry["candidate_id"]
    assert len(attestations.statement_of(entry)["subject"]) == 1


# ---------------------------------------------------------------- predicate types


@pytest.mark.parametrize("event", [name for name in events.SCHEMAS if "governed-path" in name])
def test_a_kind_that_always_has_a_verdict_is_a_verification_summary(event: str) -> None:
    """The schemas say which kinds do; the result of the suites has a type of its own."""
    detail = events.load(events.SCHEMAS[event])["properties"]["detail"]
    kind = detail["properties"]["kind"]["const"]
    # What opens a review says which verdict did without it; it is not that gate's answer again.
    # The gate of a rollback answers about the version to go back to, the entry is about the other.
    about_another = {"RollbackStarted", "CandidateRolledBack", "RollbackRejected", "DrillRejected"}
    # What a drill found is more than that it was allowed, and may be a no.
    about_another |= {"RollbackDrilled", "DrillFailed"}
    has_verdict = "verdict" in detail["required"] and kind not in {
        "MandatoryReviewOpened",
        *about_another,
    }
    assert (kind in attestations.VERDICTS | attestations.TESTS) == has_verdict


def test_the_tables_name_kinds_that_exist() -> None:
    assert set(ledger.KINDS) >= attestations.VERDICTS | attestations.TESTS
    assert attestations.VERDICTS.isdisjoint(attestations.TESTS)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("governed-path-release-rejected.denied", "FAILED"),
        ("governed-path-candidate-promoted.complete", "PASSED"),
    ],
)
def test_a_verdict_is_a_slsa_verification_summary(name: str, result: str) -> None:
    entry = _entry(name)
    statement = attestations.statement_of(entry)
    assert statement["predicateType"] == "https://slsa.dev/verification_summary/v1"
    predicate = {key: value for key, value in statement["predicate"].items() if key != "entry"}
    assert predicate == {
        "verifier": {"id": f"{attestations.GATE}/{entry['verdict']['stage']}"},
        "timeVerified": entry["recorded_at"],
        "resourceUri": entry["model_package_arn"],
        "policy": {"digest": {"sha256": entry["verdict"]["policy_digest"]}},
        "verificationResult": result,
        "verifiedLevels": [],
    }
    # The library's message has one level as text where SLSA has a list.
    del predicate["verifiedLevels"]
    json_format.ParseDict(predicate, vsa_pb2.VerificationSummary())


def test_suites_are_an_in_toto_test_result() -> None:
    passed = _entry("governed-path-validation-passed.complete")
    statement = attestations.statement_of(passed)
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    predicate = {key: value for key, value in statement["predicate"].items() if key != "entry"}
    assert predicate == {
        "result": "PASSED",
        "configuration": [
            {"name": "policy", "digest": {"sha256": passed["verdict"]["policy_digest"]}}
        ],
        "passedTests": ["contract", "latency", "quality", "fairness"],
        "failedTests": [],
    }
    json_format.ParseDict(predicate, test_result_pb2.TestResult())


@pytest.mark.parametrize(
    ("reasons", "failed"),
    [
        (["latency: p95: 9, expected at most 5"], ["latency"]),
        (["suite quality did not run", "contract: works: 0, expected 1"], ["contract", "quality"]),
        (["suite contract checked nothing"], ["contract"]),
        (["the endpoint did not serve: None"], list(suites.BEFORE_SUMMARIES)),
        ([], list(suites.BEFORE_SUMMARIES)),
    ],
)
def test_failed_suites_are_told_by_the_reasons(reasons: list[str], failed: list[str]) -> None:
    summary = {"metrics": {}, "reasons": reasons}
    entry = _entry("governed-path-validation-failed.complete", summary=summary, verdict=None)
    predicate = attestations.statement_of(entry)["predicate"]
    assert predicate["result"] == "FAILED"
    assert predicate["failedTests"] == failed
    assert set(predicate["passedTests"]) == set(suites.BEFORE_SUMMARIES) - set(failed)
    assert predicate["configuration"] == []


def test_suites_are_told_by_the_summary_if_it_tells() -> None:
    ran = [("contract", "passed"), ("fairness", "failed"), ("comparison", "omitted")]
    summary = {
        "metrics": {},
        "reasons": ["fairness: subgroup_bias meets the threshold: 0.3, expected at most 0.1"],
        "suites": [{"suite": suite, "status": status} for suite, status in ran],
    }
    entry = _entry("governed-path-validation-failed.complete", summary=summary)
    predicate = attestations.statement_of(entry)["predicate"]
    assert (predicate["passedTests"], predicate["failedTests"]) == (["contract"], ["fairness"])


def test_any_other_kind_is_a_type_of_ours() -> None:
    entry = _entry("governed-path-version-rejected.by-ai-engineer")
    statement = attestations.statement_of(entry)
    assert statement["predicateType"] == (
        "https://governed-path.example/attestations/version-rejected/v1"
    )
    assert statement["predicate"] == {"entry": entry}
    half = _entry("governed-path-release-started.complete", verdict={"allowed": True})
    assert attestations.statement_of(half)["predicateType"].endswith("/release-started/v1")
    errored = {**_entry(), "kind": "ReleaseErrored"}
    assert attestations.predicate_type(errored).endswith("/release-errored/v1")


# ---------------------------------------------------------------- bytes, digests, envelopes

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json_values, st.integers(1, 10**9))
def test_what_is_read_back_is_what_was_signed(facts: Any, sequence: int) -> None:
    entry = attestations.linked({**_entry(), "summary": facts}, sequence, PREVIOUS)
    payload = attestations.canonical(attestations.statement_of(entry))
    envelope = _envelope(payload)
    assert attestations.payload_of(envelope) == payload
    assert attestations.entry_of(envelope) == entry
    # Read and written again, it is the same bytes: the digest depends on nothing else.
    again = attestations.canonical(attestations.statement_in(envelope))
    assert attestations.digest_of(again) == attestations.digest_of(payload)


@given(json_values, json_values)
def test_two_entries_have_one_digest_only_if_they_say_the_same(one: Any, other: Any) -> None:
    digests = {
        attestations.digest_of(
            attestations.canonical(attestations.statement_of(_entry(summary=facts)))
        )
        for facts in (one, other)
    }
    assert (len(digests) == 1) == (rfc8785.dumps(one) == rfc8785.dumps(other))


def test_a_digest_is_the_sha256_of_the_canonical_bytes() -> None:
    statement = attestations.statement_of(_entry())
    payload = attestations.canonical(dict(reversed(statement.items())))
    assert payload == json.dumps(
        statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode("utf-8")
    assert attestations.digest_of(payload) == hashlib.sha256(payload).hexdigest()


def test_an_envelope_is_canonical_text() -> None:
    text = _envelope(b"{}")
    assert text == (
        '{"payload":"e30=","payloadType":"application/vnd.in-toto+json",'
        '"signatures":[{"keyid":"k","sig":"c2ln"}]}'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, 2.0**53])
def test_a_number_that_is_no_json_is_not_signed(value: float) -> None:
    with pytest.raises(InvalidInputError, match="not canonical JSON"):
        attestations.canonical({"value": value})


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "{}",
        "[]",
        "3",
        '{"payloadType": "application/vnd.in-toto+json"}',
        '{"payloadType": "application/vnd.in-toto+json", "payload": "%"}',
        '{"payloadType": "application/vnd.in-toto+json", "payload": 3}',
        _envelope(b"{}", payloadType="text/plain"),
        _envelope(b"no json"),
        _envelope(b"\xff"),
        _envelope(b"[]"),
        _envelope(b"{}"),
        _envelope(b'{"predicate": {}}'),
        _envelope(b'{"predicate": {"entry": 3}}'),
    ],
)
def test_what_is_no_entry_of_ours_is_an_integrity_error(broken: str) -> None:
    with pytest.raises(IntegrityError):
        attestations.entry_of(broken)


def test_the_row_holds_what_it_is_found_by_and_the_envelope() -> None:
    entry = _entry()
    payload = attestations.canonical(attestations.statement_of(entry))
    envelope = _envelope(payload)
    assert attestations.row_of(envelope) == {
        "model": entry["model"],
        "sequence": 4,
        "entry_id": entry["entry_id"],
        "kind": "ReleaseRejected",
        "model_package_arn": entry["model_package_arn"],
        "recorded_at": entry["recorded_at"],
        "by_kind": "ReleaseRejected#000000004",
        "by_version": f"{entry['model_package_arn']}#000000004",
        "digest": attestations.digest_of(payload),
        "envelope": envelope,
    }


def test_the_archive_sorts_as_the_ledger_counts() -> None:
    assert attestations.archive_key("m", 12) == "entries/model=m/000000012.json"
    assert attestations.archive_key("m", 12, checkpoint=True) == (
        "checkpoints/model=m/000000012.json"
    )


def test_a_key_is_named_by_its_digest() -> None:
    assert attestations.key_id(b"der") == hashlib.sha256(b"der").hexdigest()


@pytest.mark.parametrize("change", [{"kind": "CandidateReleased"}, {"digest": "f" * 64}, {"x": 1}])
def test_an_item_that_says_something_else_than_was_signed_is_not_read(
    change: dict[str, Any],
) -> None:
    row = samples.row(_entry())
    assert attestations.entry_in(row) == _entry()
    with pytest.raises(IntegrityError, match="differs from the entry that was signed"):
        attestations.entry_in({**row, **change})


def test_an_item_without_envelope_or_with_half_an_entry_is_not_read() -> None:
    row = samples.row(_entry())
    del row["envelope"]
    with pytest.raises(IntegrityError, match="not DSSE"):
        attestations.entry_in(row)
    half = attestations.statement_of({"kind": "X", "entry_id": "e"})
    with pytest.raises(IntegrityError, match="has no model, sequence"):
        attestations.row_of(samples.envelope(half))


def test_a_digest_that_is_not_of_one_files_bytes_has_a_name_of_its_own() -> None:
    prefix = {"role": "model-data", "bucket": "b", "key": "model/", "sha256": "a" * 64}
    parts = {"role": "channel", "bucket": "b", "key": "large", "sha256": "b" * 64 + "-3"}
    entry = _entry()
    statement = attestations.statement_of(entry, [prefix, parts])
    assert statement["subject"][2:] == [
        {"name": "channel s3://b/large", "digest": {"s3CompositeSha256": "b" * 64 + "-3"}},
        {"name": "model-data s3://b/model/", "digest": {"s3PrefixSha256": "a" * 64}},
    ]
