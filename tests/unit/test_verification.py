"""Verification: every change of a chain is found and named, and a genuine chain has none.

What the tests here try adds up to more than 10,000 mutations: every byte of every part, and every
way to drop, repeat, reorder, replace, cut off or re-sign entries.
"""

from __future__ import annotations

import base64
import copy
import json
import random
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain import attestations, verification
from governance.domain.verification import Finding, verify_chain
from tests import chains
from tests.contracts import samples

MODEL = samples.MODEL
SIGNER, STRANGER = chains.Signer(), chains.Signer()
CHAIN = chains.chain(SIGNER, 9)
OTHER_MODEL = chains.chain(SIGNER, 9, "another-model")
SHORT = chains.chained(SIGNER, chains.story(3), artifacts=())
LAST = len(CHAIN.envelopes)
PLACES = st.integers(0, LAST - 1)


def verify(
    envelopes: Any = CHAIN.envelopes,
    checkpoint: bytes | None = CHAIN.checkpoint,
    pem: bytes = SIGNER.pem,
    model: str = MODEL,
) -> list[Finding]:
    return verify_chain(envelopes, checkpoint, pem, model)


def named(findings: list[Finding]) -> list[tuple[str, str]]:
    for finding in findings:
        assert finding.what in verification.KINDS
        assert finding.expected
        assert finding.found
    return [(finding.what, finding.where) for finding in findings]


def parsed(envelope: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(envelope)
    return document


# ---------------------------------------------------------------- genuine chains


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_a_genuine_chain_has_no_findings(count: int) -> None:
    chain = chains.chain(SIGNER, count)
    assert verify(chain.envelopes, chain.checkpoint) == []


def test_an_empty_ledger_has_no_findings() -> None:
    assert verify([], None) == []


def test_numbers_and_names_that_only_rfc_8785_spells_so_are_genuine() -> None:
    """Whole floats, exponents, and keys that UTF-16 sorts differently from code points."""
    metrics = {"auc": 1.0, "tiny": 1e-7, "large": 1e15, "\U0001f600": 0.5, "\ufb33": 0.25}
    entries = chains.story(2)
    entries[1] |= {"summary": {"metrics": metrics}}
    chain = chains.chained(SIGNER, entries)
    assert verify(chain.envelopes, chain.checkpoint) == []


def test_progress_is_told_every_thousandth_entry() -> None:
    told: list[int] = []
    verify_chain([b"x"] * 2500, None, SIGNER.pem, MODEL, told.append)
    assert told == [1000, 2000]


@pytest.mark.parametrize("block", [1, 2, 4, 9, 500])
def test_in_whichever_blocks_signatures_are_checked_the_findings_are_the_same(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """Also at the ends of blocks, and of the block that is not full."""
    monkeypatch.setattr(verification, "_BLOCK", block)
    assert verify(CHAIN.envelopes) == []
    stranger = chains.Signer()
    for place in range(LAST):
        payload = base64.b64decode(parsed(CHAIN.envelopes[place])["payload"])
        forged = stranger.envelope(payload, SIGNER.keyid)
        found = verify(replaced(place, forged))
        assert named(found) == [("signature-invalid", f"entry {place + 1}")]
        without = [*CHAIN.envelopes[:place], *CHAIN.envelopes[place + 1 :]]
        assert {what for what, _ in named(verify(without))} <= {"sequence-gap", "tail-missing"}
        assert verify(without)


# ---------------------------------------------------------------- any flipped byte


def test_the_next_three_tests_alone_try_more_than_10_000_mutations() -> None:
    assert sum(map(len, SHORT.envelopes)) + 8 * len(SHORT.checkpoint) > 10_000


@pytest.mark.parametrize("part", range(len(SHORT.envelopes)))
def test_every_flipped_byte_of_an_entry_is_found_there(part: int) -> None:
    chance = random.Random(part)
    genuine = SHORT.envelopes[part]
    for at in range(len(genuine)):
        flipped = bytearray(genuine)
        flipped[at] ^= chance.randint(1, 255)
        envelopes = [*SHORT.envelopes[:part], bytes(flipped), *SHORT.envelopes[part + 1 :]]
        found = named(verify(envelopes, SHORT.checkpoint))
        assert {where for _, where in found} == {f"entry {part + 1}"}, (at, found)


def test_every_flipped_bit_of_a_checkpoint_is_found_there() -> None:
    for at in range(len(SHORT.checkpoint)):
        for bit in range(8):
            flipped = bytearray(SHORT.checkpoint)
            flipped[at] ^= 1 << bit
            found = named(verify(SHORT.envelopes[:1], bytes(flipped)))
            assert {where for _, where in found} == {"checkpoint"}, (at, bit, found)


def test_every_flipped_byte_of_the_public_key_is_found() -> None:
    """Or it is the same key: a PEM's line ends and its dashes say nothing about it."""
    chance = random.Random(0)
    for at in range(len(SIGNER.pem)):
        flipped = bytearray(SIGNER.pem)
        flipped[at] ^= chance.randint(1, 255)
        try:
            same = verification.Key(bytes(flipped)).fingerprint == SIGNER.keyid
        except ValueError:
            same = False
        found = named(verify(pem=bytes(flipped)))
        assert bool(found) is not same, at


@given(PLACES, st.integers(0, 10**6), st.integers(0, 300), st.binary(max_size=8))
@settings(max_examples=500, deadline=None)
def test_bytes_put_in_or_cut_out_are_found_there(place: int, at: int, cut: int, put: bytes) -> None:
    genuine = CHAIN.envelopes[place]
    at %= len(genuine)
    changed = genuine[:at] + put + genuine[at + cut :]
    found = named(verify(replaced(place, changed)))
    expected = set() if changed == genuine else {f"entry {place + 1}"}
    assert {where for _, where in found} == expected


# ---------------------------------------------------------------- entries


def replaced(place: int, envelope: bytes) -> list[bytes]:
    return [*CHAIN.envelopes[:place], envelope, *CHAIN.envelopes[place + 1 :]]


def inserted(place: int, envelope: bytes) -> list[bytes]:
    return [*CHAIN.envelopes[:place], envelope, *CHAIN.envelopes[place:]]


@given(st.sets(PLACES, min_size=1))
@settings(max_examples=400, deadline=None)
def test_dropped_entries_are_found(places: set[int]) -> None:
    kept = [e for place, e in enumerate(CHAIN.envelopes) if place not in places]
    gaps, missing = [], False
    position = 0
    for place in range(LAST):
        if place in places:
            missing = True
            continue
        position += 1
        if missing:
            gaps.append(("sequence-gap", f"entry {position}"))
        missing = False
    if missing:
        gaps.append(("tail-missing", f"entry {len(kept) + 1}"))
    assert named(verify(kept)) == gaps


@pytest.mark.parametrize("left", range(LAST))
def test_a_truncated_tail_is_found(left: int) -> None:
    (finding,) = verify(CHAIN.envelopes[:left])
    assert (finding.what, finding.where) == ("tail-missing", f"entry {left + 1}")
    assert finding.expected == f"{LAST} entries, as the checkpoint says"
    assert finding.found == f"sequence {left} is the last"


@given(PLACES, st.integers(0, LAST))
@settings(max_examples=300, deadline=None)
def test_a_duplicated_entry_is_found_where_it_is_repeated(place: int, at: int) -> None:
    envelopes = inserted(at, CHAIN.envelopes[place])
    position = max(at, place + 1) + 1 if at > place else place + 2
    found = named(verify(envelopes))
    assert ("duplicate", f"entry {position}") in found
    assert {what for what, _ in found} <= {"duplicate", "out-of-order"}


@given(st.permutations(range(LAST)))
@settings(max_examples=500, deadline=None)
def test_another_order_is_found_from_its_first_place(order: list[int]) -> None:
    found = named(verify([CHAIN.envelopes[place] for place in order]))
    wrong = [place for place, original in enumerate(order) if place != original]
    assert {what for what, _ in found} == ({"out-of-order"} if wrong else set())
    if wrong:
        assert found[0] == ("out-of-order", f"entry {wrong[0] + 1}")


@given(PLACES, st.sampled_from(["own name", "stolen name"]))
@settings(max_examples=100, deadline=None)
def test_a_forged_entry_is_found(place: int, name: str) -> None:
    """Somebody without the key writes an entry: in the place of one, and between two."""
    statement = copy.deepcopy(CHAIN.statements[place])
    statement["predicate"]["entry"]["approver"] = {"person": "mallory"}
    payload = attestations.canonical(statement)
    forged = STRANGER.envelope(payload, SIGNER.keyid if name == "stolen name" else None)
    what = "signature-invalid" if name == "stolen name" else "wrong-key"
    assert named(verify(replaced(place, forged))) == [(what, f"entry {place + 1}")]
    assert named(verify(inserted(place, forged))) == [(what, f"entry {place + 1}")]


@given(PLACES, st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_an_edited_and_rechained_rest_is_found(place: int, seed: int) -> None:
    """Without the key the digests can be made to fit; the signatures cannot."""
    statements = copy.deepcopy(CHAIN.statements)
    statements[place]["predicate"]["entry"]["stage_status"] = f"Forged-{seed}"
    envelopes, previous = list(CHAIN.envelopes[:place]), attestations.NO_PREVIOUS
    for at, statement in enumerate(statements):
        statement["predicate"]["entry"]["previous"] = previous
        payload = attestations.canonical(statement)
        previous = attestations.digest_of(payload)
        if at >= place:
            signature = base64.b64decode(parsed(CHAIN.envelopes[at])["signatures"][0]["sig"])
            envelopes.append(chains.enveloped(payload, signature, SIGNER.keyid))
    assert named(verify(envelopes)) == [
        ("signature-invalid", f"entry {at + 1}") for at in range(place, LAST)
    ]


@given(PLACES, PLACES)
@settings(max_examples=200, deadline=None)
def test_an_entry_of_another_model_is_found(place: int, other: int) -> None:
    foreign = OTHER_MODEL.envelopes[other]
    expected = [("other-model", f"entry {place + 1}")]
    assert named(verify(replaced(place, foreign))) == expected
    assert named(verify(inserted(place, foreign))) == expected


def test_another_models_ledger_and_checkpoint_are_found() -> None:
    found = named(verify(OTHER_MODEL.envelopes, OTHER_MODEL.checkpoint))
    assert found == [
        *(("other-model", f"entry {number}") for number in range(1, LAST + 1)),
        ("checkpoint-mismatch", "checkpoint"),
    ]


@given(st.data())
@settings(max_examples=600, deadline=None)
def test_several_changes_at_once_are_found(data: st.DataObject) -> None:
    envelopes = list(CHAIN.envelopes)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(envelopes) - 1, 0)))
        change = data.draw(st.sampled_from(["drop", "repeat", "swap", "forge", "foreign", "cut"]))
        if change == "drop":
            del envelopes[at : at + 1]
        elif change == "repeat":
            envelopes[at:at] = envelopes[at : at + 1]
        elif change == "swap" and envelopes:
            other = data.draw(st.integers(0, len(envelopes) - 1))
            envelopes[at], envelopes[other] = envelopes[other], envelopes[at]
        elif change == "forge":
            envelopes[at : at + 1] = [STRANGER.envelope(b"{}", SIGNER.keyid)]
        elif change == "foreign":
            envelopes[at : at + 1] = [data.draw(st.sampled_from(OTHER_MODEL.envelopes))]
        else:
            del envelopes[at:]
    assert bool(named(verify(envelopes))) is (tuple(envelopes) != CHAIN.envelopes)


# ---------------------------------------------------------------- keys and checkpoints


def test_a_chain_signed_again_with_another_key_is_found() -> None:
    """Entry by entry; with the stranger's own key it would be a genuine chain."""
    forged = chains.chain(STRANGER, LAST)
    assert verify(forged.envelopes, forged.checkpoint, STRANGER.pem) == []
    expected = [("wrong-key", f"entry {number}") for number in range(1, LAST + 1)]
    found = verify(forged.envelopes, forged.checkpoint)
    assert named(found) == [*expected, ("wrong-key", "checkpoint")]
    assert SIGNER.keyid in found[0].expected
    assert STRANGER.keyid in found[0].found


def test_a_swapped_public_key_is_found() -> None:
    found = named(verify(pem=STRANGER.pem))
    assert {what for what, _ in found} == {"wrong-key"}
    assert len(found) == LAST + 1


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1()])
def test_a_key_on_another_curve_is_none_of_ours(curve: ec.EllipticCurve) -> None:
    pem = (
        ec.generate_private_key(curve)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    assert named(verify(pem=pem)) == [("public-key-invalid", "public key")]


@pytest.mark.parametrize("pem", [b"", b"\xff", b"-----BEGIN PUBLIC KEY-----\nAAAA\n"])
def test_what_is_no_key_is_named(pem: bytes) -> None:
    assert named(verify(pem=pem)) == [("public-key-invalid", "public key")]


def test_a_missing_checkpoint_is_found() -> None:
    assert named(verify(checkpoint=None)) == [("checkpoint-missing", "checkpoint")]


def test_an_older_checkpoint_does_not_fit_the_longer_chain() -> None:
    digest = attestations.digest_of(attestations.payload_of(CHAIN.envelopes[3].decode()))
    older = chains.checkpoint(SIGNER, MODEL, 4, digest)
    assert named(verify(checkpoint=older)) == [("checkpoint-behind", "checkpoint")]


def test_a_checkpoint_that_names_another_digest_is_found() -> None:
    other = chains.checkpoint(SIGNER, MODEL, LAST, "f" * 64)
    assert named(verify(checkpoint=other)) == [("checkpoint-mismatch", "checkpoint")]


@pytest.mark.parametrize(
    "change",
    [
        {"predicate": {"model": MODEL, "entries": 0, "digest": "f" * 64}},
        {"predicate": {"model": MODEL, "entries": True, "digest": "f" * 64}},
        {"predicate": None},
        {"predicateType": "https://governed-path.example/attestations/other/v1"},
        {"subject": []},
    ],
)
def test_a_signed_checkpoint_that_is_none_is_found(change: dict[str, Any]) -> None:
    statement = attestations.checkpoint_of(MODEL, LAST, "f" * 64, "2026-11-21T08:00:00Z")
    signed = SIGNER.envelope(attestations.canonical(statement | change))
    assert named(verify(checkpoint=signed)) == [("checkpoint-mismatch", "checkpoint")]


def test_an_entry_is_no_checkpoint_and_a_checkpoint_is_no_entry() -> None:
    assert named(verify(checkpoint=CHAIN.envelopes[0])) == [("checkpoint-mismatch", "checkpoint")]
    assert named(verify(replaced(4, CHAIN.checkpoint))) == [("statement-malformed", "entry 5")]


# ---------------------------------------------------------------- other spellings, same content


# An entry whose length leaves spare bits in its Base64.
PADDED = next(at for at, e in enumerate(CHAIN.envelopes) if parsed(e)["payload"].endswith("="))


def _spellings() -> dict[str, tuple[bytes, str]]:
    envelope = CHAIN.envelopes[PADDED]
    document = parsed(envelope)
    payload, (signature,) = document["payload"], document["signatures"]
    quantum = payload.rstrip("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    spare = quantum[:-1] + alphabet[alphabet.index(quantum[-1]) + 1]
    padding = "=" * (len(payload) - len(quantum))
    assert base64.b64decode(spare + padding) == base64.b64decode(payload)

    def spelt(**change: Any) -> bytes:
        return rfc8785.dumps(document | change)

    other = "envelope-not-canonical"
    return {
        "a space": (json.dumps(document).encode(), other),
        "a line feed": (envelope + b"\n", other),
        "other order": (
            json.dumps(dict(reversed(document.items())), separators=(",", ":")).encode(),
            other,
        ),
        "an escaped character": (envelope.replace(b"in-toto", b"in\\u002dtoto"), other),
        "a member more": (spelt(comment="harmless"), other),
        "a member twice": (
            envelope.replace(b'{"payload"', b'{"payload":"e30=","payload"', 1),
            other,
        ),
        "a member in the signature": (spelt(signatures=[signature | {"cert": "x"}]), other),
        "a second signature": (spelt(signatures=[signature, signature]), "signature-count"),
        "no signature": (spelt(signatures=[]), "signature-count"),
        "spare bits": (spelt(payload=spare + padding), "envelope-unreadable"),
        "no padding": (spelt(payload=quantum), "envelope-unreadable"),
        "more padding": (spelt(payload=payload + "===="), "envelope-unreadable"),
        "a byte order mark": (b"\xef\xbb\xbf" + envelope, "envelope-unreadable"),
        "another payload type": (spelt(payloadType="text/plain"), "payload-type-unknown"),
        "no payload": (rfc8785.dumps({"signatures": [signature]}), "envelope-unreadable"),
        "a list": (b"[]", "envelope-unreadable"),
        "a number": (b"3", "envelope-unreadable"),
        "nothing": (b"", "envelope-unreadable"),
        "a payload that is a number": (spelt(payload=3), "envelope-unreadable"),
        "text that is no Base64": (spelt(payload="\u00e9"), "envelope-unreadable"),
    }


@pytest.mark.parametrize("name", _spellings())
def test_another_spelling_of_an_envelope_is_found(name: str) -> None:
    envelope, what = _spellings()[name]
    assert named(verify(replaced(PADDED, envelope))) == [(what, f"entry {PADDED + 1}")]


# ---------------------------------------------------------------- signed, and wrong all the same


def _signed(place: int, change: dict[str, Any]) -> bytes:
    """What only the holder of the key could write."""
    statement = copy.deepcopy(CHAIN.statements[place])
    statement["predicate"]["entry"] |= change
    return SIGNER.envelope(attestations.canonical(statement))


def test_a_fork_is_found() -> None:
    other = _signed(4, {"claim_id": "f" * 64})
    assert named(verify(inserted(5, other))) == [("fork", "entry 6")]


def test_a_broken_link_is_found() -> None:
    other = _signed(4, {"previous": "f" * 64})
    assert named(verify(replaced(4, other))) == [
        ("link-broken", "entry 5"),
        ("link-broken", "entry 6"),
    ]
    first = _signed(0, {"previous": "f" * 64})
    assert named(verify(replaced(0, first)))[0] == ("link-broken", "entry 1")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"sequence": 0}, "statement-malformed"),
        ({"sequence": True}, "statement-malformed"),
        ({"sequence": 2.5}, "statement-malformed"),
        ({"entry_id": "f" * 64}, "subject-mismatch"),
        ({"kind": "CandidateReleased"}, "subject-mismatch"),
        ({"candidate_id": "f" * 64}, "subject-mismatch"),
    ],
)
def test_a_signed_statement_that_contradicts_itself_is_found(
    change: dict[str, Any], what: str
) -> None:
    assert named(verify(replaced(2, _signed(2, change)))) == [(what, "entry 3")]


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (b"no json", "statement-malformed"),
        (b"[]", "statement-malformed"),
        (b"{}", "statement-malformed"),
        (rfc8785.dumps({"_type": attestations.STATEMENT_TYPE}), "statement-malformed"),
        (
            rfc8785.dumps({"_type": attestations.STATEMENT_TYPE, "predicate": [], "subject": []}),
            "statement-malformed",
        ),
        (json.dumps(CHAIN.statements[2]).encode(), "payload-not-canonical"),
        (
            attestations.canonical(CHAIN.statements[2]).replace(
                b'"sequence":', b'"sequence":1e2,"sequence":'
            ),
            "payload-not-canonical",
        ),
    ],
)
def test_a_signed_payload_that_is_no_statement_of_ours_is_found(payload: bytes, what: str) -> None:
    assert named(verify(replaced(2, SIGNER.envelope(payload)))) == [(what, "entry 3")]
