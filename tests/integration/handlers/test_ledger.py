"""The ledger is gapless, in order, chained and signed, and writes nothing twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from governance.adapters import items, signing
from governance.adapters.ledger import Ledger, Writer
from governance.domain import attestations, candidate
from governance.domain.errors import AccessError, IntegrityError, InvalidInputError, TransientError
from governance.settings import Settings
from tests.contracts import samples

from .conftest import EVIDENCE

TABLE, HEADS = "governed-path-ledger", "governed-path-ledger-heads"
KIND = "CandidatePromoted"


@pytest.fixture
def ledger(lambdas: Callable[..., Any]) -> Writer:
    return Writer(Settings.load())


def _entry(model: str, entry_id: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "model": model,
        "entry_id": entry_id or hashlib.sha256(uuid4().bytes).hexdigest(),
        "kind": KIND,
        "model_package_arn": samples.version_arn(model=model),
        "recorded_at": samples.DECIDED,
        **more,
    }


def _append(ledger: Writer, entry: dict[str, Any]) -> int:
    """Append as the state machine does: a TransientError is retried."""
    while True:
        try:
            return ledger.append(entry)
        except TransientError:
            continue


def _model() -> str:
    return f"model-{uuid4().hex}"


def _rows(aws: Callable[..., Any], model: str) -> list[dict[str, Any]]:
    """The model's items, in order."""
    found = aws("dynamodb").query(
        TableName=TABLE,
        KeyConditionExpression="model = :model",
        ExpressionAttributeValues={":model": {"S": model}},
    )
    return [items.from_item(item) for item in found["Items"]]


def _head(aws: Callable[..., Any], model: str) -> dict[str, Any]:
    found = aws("dynamodb").get_item(TableName=HEADS, Key={"model": {"S": model}})
    return items.from_item(found["Item"])


def _public_key(aws: Callable[..., Any], arn: str) -> SSlibKey:
    """As somebody else would make it of what GetPublicKey answers."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    der = aws("kms").get_public_key(KeyId=arn)["PublicKey"]
    return SSlibKey.from_crypto(
        load_der_public_key(der), hashlib.sha256(der).hexdigest(), "ecdsa-sha2-nistp256"
    )


def _verify(envelope: str, key: SSlibKey) -> None:
    Envelope.from_dict(json.loads(envelope)).verify([key], threshold=1)


def test_writers_at_once_leave_a_chain_without_a_gap(
    ledger: Writer, aws: Callable[..., Any], signing_key_arn: str
) -> None:
    """Eight writers, forty entries of one model: every number, every link, every signature."""
    model, key = _model(), _public_key(aws, signing_key_arn)
    entries = [_entry(model) for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda entry: _append(ledger, entry), entries))
    assert sorted(numbers) == list(range(1, 41))
    rows = _rows(aws, model)
    assert [row["sequence"] for row in rows] == list(range(1, 41))
    assert {row["entry_id"] for row in rows} == {entry["entry_id"] for entry in entries}
    previous = "0" * 64
    for number, row in enumerate(rows, start=1):
        _verify(row["envelope"], key)
        assert row == attestations.row_of(row["envelope"])
        entry = attestations.entry_of(row["envelope"])
        assert (entry["sequence"], entry["previous"]) == (number, previous)
        payload = attestations.payload_of(row["envelope"])
        previous = hashlib.sha256(payload).hexdigest()
        assert row["digest"] == previous
    head = _head(aws, model)
    assert (head["head"], head["digest"]) == (40, previous)
    _verify(head["checkpoint"], key)


def test_the_checkpoint_is_signed_with_the_entry(
    ledger: Writer, aws: Callable[..., Any], signing_key_arn: str
) -> None:
    model = _model()
    for _ in range(2):
        ledger.append(_entry(model))
    head = _head(aws, model)
    assert head.keys() == {"model", "head", "digest", "checkpoint"}
    _verify(head["checkpoint"], _public_key(aws, signing_key_arn))
    assert attestations.statement_in(head["checkpoint"])["predicate"] == {
        "model": model,
        "entries": 2,
        "digest": _rows(aws, model)[1]["digest"],
        "recorded_at": samples.DECIDED,
    }


def test_a_changed_byte_no_longer_verifies(
    ledger: Writer, aws: Callable[..., Any], signing_key_arn: str
) -> None:
    model = _model()
    ledger.append(_entry(model, note="first"))
    envelope = json.loads(_rows(aws, model)[0]["envelope"])
    statement = attestations.statement_in(json.dumps(envelope))
    statement["predicate"]["entry"]["note"] = "second"
    forged = json.loads(samples.envelope(statement))
    forged["signatures"] = envelope["signatures"]
    with pytest.raises(VerificationError):
        _verify(json.dumps(forged), _public_key(aws, signing_key_arn))


def test_the_key_id_is_the_digest_of_the_public_key(
    ledger: Writer, aws: Callable[..., Any], signing_key_arn: str
) -> None:
    model = _model()
    ledger.append(_entry(model))
    (signature,) = json.loads(_rows(aws, model)[0]["envelope"])["signatures"]
    der = aws("kms").get_public_key(KeyId=signing_key_arn)["PublicKey"]
    assert signature["keyid"] == hashlib.sha256(der).hexdigest()


def test_the_same_entry_at_once_is_written_once(ledger: Writer) -> None:
    model = _model()
    entry = _entry(model)
    with ThreadPoolExecutor(8) as pool:
        numbers = set(pool.map(lambda _: _append(ledger, entry), range(8)))
    assert numbers == {1}
    assert len(list(ledger.newest_first(model, KIND))) == 1


def test_writing_again_keeps_what_is_there(ledger: Writer) -> None:
    model, entry_id = _model(), samples.digest("once")
    entry_id = hashlib.sha256(f"{model} {entry_id}".encode()).hexdigest()
    assert ledger.append(_entry(model, entry_id, note="first")) == 1
    assert ledger.append(_entry(model)) == 2
    assert ledger.append(_entry(model, entry_id, note="second")) == 1
    notes = [entry.get("note") for entry in ledger.newest_first(model, KIND)]
    assert notes == [None, "first"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_writer_that_was_killed_writes_the_entry_once(
    ledger: Writer, aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Before the transaction nothing is there, after it everything: the retry tells which."""
    model, entry_id = _model(), hashlib.sha256(uuid4().bytes).hexdigest()
    write = Writer._write

    def killed(self: Writer, *arguments: Any) -> bool:
        if when == "after":
            write(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.append(_entry(model, entry_id))
    assert len(_rows(aws, model)) == (when == "after")
    later = _entry(model, entry_id, recorded_at="2026-11-21T07:00:00Z")
    assert ledger.append(later) == ledger.append(later) == 1
    (row,) = _rows(aws, model)
    assert _head(aws, model)["digest"] == row["digest"]
    assert ledger.append(_entry(model)) == 2


def test_a_writer_that_was_overtaken_between_reading_and_writing_signs_anew(
    ledger: Writer, aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, others = _model(), Writer(Settings.load())
    sign, signed = ledger._signing.sign, []

    def overtaken(statement: dict[str, Any]) -> signing.Signed:
        if not signed:
            others.append(_entry(model))
        signed.append(statement)
        return sign(statement)

    monkeypatch.setattr(ledger._signing, "sign", overtaken)
    assert ledger.append(_entry(model)) == 2
    assert [s["predicate"]["entry"]["sequence"] for s in signed[::2]] == [1, 2]
    first, second = _rows(aws, model)
    assert attestations.entry_of(second["envelope"])["previous"] == first["digest"]


def test_a_head_of_the_same_number_and_another_digest_stops_the_writer(
    ledger: Writer, aws: Callable[..., Any]
) -> None:
    """The link would be to an entry that is not the one before."""
    model = _model()
    ledger.append(_entry(model))
    row = attestations.row_of(
        samples.envelope(attestations.statement_of(attestations.linked(_entry(model), 2, "f" * 64)))
    )
    checkpoint = signing.Signed(_head(aws, model)["checkpoint"], row["digest"])
    entry = signing.Signed(row["envelope"], row["digest"])
    assert not ledger._write(entry, checkpoint, "f" * 64)
    assert len(_rows(aws, model)) == 1


def test_what_comes_back_is_what_went_in(ledger: Writer) -> None:
    model = _model()
    facts = {"auc": 0.8123456789012345, "rows": 89, "none": None, "yes": True, "list": [1, 0.5, ""]}
    ledger.append(_entry(model, summary=facts))
    assert next(ledger.newest_first(model, KIND))["summary"] == facts


def test_only_the_kind_that_was_asked_for(ledger: Writer) -> None:
    model = _model()
    ledger.append(_entry(model))
    ledger.append({**_entry(model), "kind": "CandidateReleased"})
    assert [e["sequence"] for e in ledger.newest_first(model, "CandidateReleased")] == [2]


def test_the_story_of_a_version_is_not_the_one_of_its_namesakes(ledger: Writer) -> None:
    """Version 1 is not version 11, and what was written last comes first."""
    model = _model()
    group = samples.version_arn(model=model).rpartition("/")[0]
    first, eleventh = f"{group}/1", f"{group}/11"
    for arn in [first] * 12 + [eleventh]:
        ledger.append({**_entry(model), "model_package_arn": arn})
    assert [e["sequence"] for e in ledger.story(model, first)] == list(range(12, 0, -1))
    assert [e["sequence"] for e in ledger.story(model, eleventh)] == [13]


def test_the_candidates_artifacts_are_subjects(ledger: Writer, aws: Callable[..., Any]) -> None:
    """Its manifest names them; a manifest that its id does not digest proves nothing."""
    model = _model()
    manifest = candidate.manifest(
        samples.description(ModelPackageGroupName=model), samples.origin_objects()
    )
    candidate_id = candidate.candidate_id(manifest)
    ledger.append(_entry(model, candidate_id=candidate_id))
    key = f"manifests/{model}/{candidate_id}.json"
    aws("s3").put_object(Bucket=EVIDENCE, Key=key, Body=b'{"artifacts": []}')
    ledger.append(_entry(model, candidate_id=candidate_id))
    aws("s3").put_object(Bucket=EVIDENCE, Key=key, Body=candidate.canonical(manifest))
    ledger.append(_entry(model, candidate_id=candidate_id))
    without, forged, known = (
        attestations.statement_in(row["envelope"])["subject"] for row in _rows(aws, model)
    )
    assert len(without) == len(forged) == 2
    assert {one["digest"]["sha256"] for one in known[2:]} == {
        one["sha256"] for one in samples.origin_objects()
    }


def test_an_item_that_differs_from_what_was_signed_is_not_read(
    ledger: Writer, aws: Callable[..., Any]
) -> None:
    model = _model()
    ledger.append(_entry(model))
    aws("dynamodb").update_item(
        TableName=TABLE,
        Key={"model": {"S": model}, "sequence": {"N": "1"}},
        UpdateExpression="SET kind = :kind, by_kind = :key",
        ExpressionAttributeValues={
            ":kind": {"S": "CandidateReleased"},
            ":key": {"S": "CandidateReleased#000000001"},
        },
    )
    with pytest.raises(IntegrityError, match=rf"item 1 of model {model} differs"):
        list(Ledger(TABLE).newest_first(model, "CandidateReleased"))


def test_what_cannot_be_said_canonically_is_not_recorded(
    ledger: Writer, aws: Callable[..., Any]
) -> None:
    model = _model()
    with pytest.raises(InvalidInputError, match="not canonical JSON"):
        ledger.append(_entry(model, summary={"auc": float("nan")}))
    assert _rows(aws, model) == []


def test_what_in_toto_does_not_accept_is_not_signed(ledger: Writer) -> None:
    with pytest.raises(InvalidInputError, match="nothing is signed"):
        ledger._signing.sign({"_type": "https://in-toto.io/Statement/v1", "subject": []})


def test_a_key_that_does_not_sign_is_said_by_name(
    ledger: Writer, aws: Callable[..., Any], key_arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A symmetric key by mistake: nothing is written."""
    model = _model()
    monkeypatch.setattr(ledger._signing, "_key_arn", key_arn)
    with pytest.raises((AccessError, InvalidInputError), match="GetPublicKey"):
        ledger.append(_entry(model))
    assert _rows(aws, model) == []
