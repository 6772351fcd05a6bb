"""Verification: is this the whole, untouched chain of a model's attestations?

Bytes in, findings out. Nothing that an envelope says is believed before it was found in the one
canonical spelling, with one signature of the one key. An entry that fails so is reported at its
place and taken as a gap that is explained: its neighbours are not blamed for it.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import repeat
from typing import Any

import rfc8785

from governance.domain import attestations
from governance.domain.attestations import NO_PREVIOUS, PAYLOAD_TYPE, STATEMENT_TYPE

CHECKPOINT, PUBLIC_KEY = "checkpoint", "public key"

# Every name that a finding can have, and what it means.
KINDS: Mapping[str, str] = {
    "public-key-invalid": "the public key is not a P-256 key in PEM",
    "envelope-unreadable": "an envelope is not a DSSE envelope in JSON",
    "envelope-not-canonical": "an envelope is not spelt as canonical JSON spells it",
    "payload-type-unknown": "an envelope holds something else than an in-toto statement",
    "signature-count": "an envelope does not carry exactly one signature",
    "wrong-key": "an envelope names another key than the ledger's",
    "signature-invalid": "a signature is not the key's over these bytes",
    "payload-not-canonical": "a signed statement is not canonical JSON",
    "statement-malformed": "a signed statement lacks what every statement of ours has",
    "subject-mismatch": "a statement is signed about something else than its entry",
    "other-model": "an entry belongs to the ledger of another model",
    "duplicate": "an entry is there twice",
    "fork": "two different entries carry the same number",
    "sequence-gap": "entries are missing in between",
    "out-of-order": "entries are there in another order than they were written",
    "link-broken": "an entry does not name the digest of the entry before it",
    "tail-missing": "the newest entries are missing",
    "checkpoint-missing": "nothing says how many entries there must be",
    "checkpoint-behind": "there are entries that the checkpoint does not know",
    "checkpoint-mismatch": "the checkpoint names another entry or another model",
}

_PREFIX = b'{"payload":"'
_AFTER_PAYLOAD = (
    b'","payloadType":"' + PAYLOAD_TYPE.encode() + b'","signatures":[{"keyid":"%b","sig":"'
)
_SUFFIX = b'"}]}'
_BLOCK = 500  # entries whose signatures are checked in one go
_LONGEST_QUOTE = 80  # characters of what was found that a finding repeats


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, where, what was expected and what was found.

    `what` is one of KINDS. `where` is "entry N" (the N-th that was given, 1 is the first),
    "checkpoint" or "public key"; a dossier adds the names of its files.
    """

    what: str
    where: str
    expected: str
    found: str

    def to_dict(self) -> dict[str, str]:
        """The fields, as JSON values."""
        return asdict(self)


class Key:
    """A P-256 public key, parsed once; ValueError if the PEM holds none.

    `fingerprint` is the SHA-256 (hex) of its DER SubjectPublicKeyInfo: the `keyid` of envelopes.
    """

    def __init__(self, public_key_pem: bytes) -> None:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from securesystemslib.dsse import Envelope

        try:
            public = serialization.load_pem_public_key(public_key_pem)
        except UnsupportedAlgorithm as error:
            raise ValueError(f"not a key that can be read: {error}") from error
        if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
            raise ValueError("not a public key on the curve P-256")
        self.fingerprint = attestations.key_id(
            public.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        self.separator = _AFTER_PAYLOAD % self.fingerprint.encode()
        self._public = public
        self._algorithm = ec.ECDSA(hashes.SHA256())
        # Looked up once, and not for every signature.
        self._envelope, self._invalid = Envelope, InvalidSignature

    def signed(self, payload: bytes, signature: bytes) -> bool:
        """True if the signature is this key's over the DSSE encoding of an in-toto payload."""
        encoded = self._envelope(payload, PAYLOAD_TYPE, {}).pae()
        try:
            self._public.verify(signature, encoded, self._algorithm)
        except self._invalid:
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Opened:
    """An envelope that could be read: its parts, and what is wrong with it."""

    payload: bytes | None = None
    signature: bytes = b""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Link:
    """An entry at its place in the chain; without a sequence it is not one of this ledger's."""

    position: int
    sequence: int | None = None
    previous: str = ""
    digest: str = ""


@dataclass(slots=True)
class _Chain:
    """What was read so far."""

    links: list[_Link] = field(default_factory=list)
    findings: list[tuple[int, Finding]] = field(default_factory=list)

    def add(self, position: int, *findings: Finding) -> None:
        self.findings += [(position, finding) for finding in findings]


def verify_chain(
    envelopes: Sequence[bytes],
    checkpoint: bytes | None,
    public_key_pem: bytes,
    model: str,
    progress: Callable[[int], None] | None = None,
) -> list[Finding]:
    """Everything that is wrong with a model's chain; empty if nothing is.

    `envelopes` are all entries of the model, the oldest first, `checkpoint` the newest checkpoint.
    `progress` is told how many entries were examined, every thousandth time.
    """
    try:
        key = Key(public_key_pem)
    except ValueError as error:
        return [
            Finding("public-key-invalid", PUBLIC_KEY, "a P-256 public key in PEM", _quote(error))
        ]
    chain = _Chain()
    for start in range(0, len(envelopes), _BLOCK):
        for opened in _opened(envelopes[start : start + _BLOCK], start, key):
            position = len(chain.links) + 1
            chain.links.append(_examine(chain, position, opened, model))
            if progress is not None and not position % 1000:
                progress(position)
    _check_order(chain)
    _check_links(chain)
    found = [finding for _, finding in sorted(chain.findings, key=lambda one: one[0])]
    return found + _check_checkpoint(checkpoint, chain.links, key, model)


# ---------------------------------------------------------------- one envelope


def _opened(envelopes: Sequence[bytes], start: int, key: Key) -> list[_Opened]:
    """Each envelope opened and its signature checked; `start` is how many came before them.

    Signature after signature, because reading a statement in between drives the curve's tables out
    of the processor's cache: a check costs a third more then.
    """
    places = [f"entry {position}" for position in range(start + 1, start + 1 + len(envelopes))]
    opened = list(map(_open, envelopes, repeat(key), places))
    return list(map(_proven, opened, repeat(key), places))


def _examine(chain: _Chain, position: int, opened: _Opened, model: str) -> _Link:
    """The entry's link; a link without sequence, and findings, if it cannot be believed."""
    if opened.findings:
        chain.add(position, *opened.findings)
    if opened.payload is None:
        return _Link(position)
    statement, findings = _read(opened.payload, f"entry {position}")
    if not findings:
        link, findings = _link(statement, position, opened.payload, model)
        if not findings:
            return link
    chain.add(position, *findings)
    return _Link(position)


def _open(envelope: bytes, key: Key, where: str) -> _Opened:
    """Payload, signature and findings of an envelope; no payload if it cannot be read."""
    return _open_canonical(envelope, key) or _diagnose(envelope, key, where)


def _proven(opened: _Opened, key: Key, where: str) -> _Opened:
    """The opened envelope; no payload, and a finding, if its signature does not prove it."""
    if opened.payload is None or key.signed(opened.payload, opened.signature):
        return opened
    return _Opened(
        findings=(
            *opened.findings,
            Finding(
                "signature-invalid",
                where,
                f"a signature of key {key.fingerprint} over these bytes",
                "a signature that does not verify",
            ),
        )
    )


def _open_canonical(envelope: bytes, key: Key) -> _Opened | None:
    """The parts of an envelope in its only right spelling; None if that is not how it is spelt.

    The spelling has two free places, and Base64 has one spelling for each value: what is taken
    apart here, and put together again, is the same bytes. No JSON parser is as strict.
    """
    if not (envelope.startswith(_PREFIX) and envelope.endswith(_SUFFIX)):
        return None
    encoded, separator, encoded_signature = envelope[len(_PREFIX) : -len(_SUFFIX)].rpartition(
        key.separator
    )
    if not separator:
        return None
    payload, signature = _decoded(encoded), _decoded(encoded_signature)
    return None if payload is None or signature is None else _Opened(payload, signature)


def _diagnose(envelope: bytes, key: Key, where: str) -> _Opened:
    """Why an envelope is not in its only right spelling, and what of it can be read."""
    document = _parsed(envelope)
    try:
        payload_type, signatures = document["payloadType"], document["signatures"]
        payload = _decoded(document["payload"].encode())
        keyids = [signature["keyid"] for signature in signatures]
        decoded = [_decoded(signature["sig"].encode()) for signature in signatures]
    except (KeyError, TypeError, AttributeError, ValueError):
        return _refused("envelope-unreadable", where, "a DSSE envelope in JSON", envelope)
    if payload_type != PAYLOAD_TYPE:
        return _refused("payload-type-unknown", where, PAYLOAD_TYPE, payload_type)
    if len(decoded) != 1:
        return _refused("signature-count", where, "1 signature", f"{len(decoded)} signatures")
    if keyids != [key.fingerprint]:
        return _refused("wrong-key", where, f"key {key.fingerprint}", f"key {_quote(keyids[0])}")
    if payload is None or decoded[0] is None:
        return _refused("envelope-unreadable", where, "Base64 with padding", "other characters")
    spelling = Finding(
        "envelope-not-canonical",
        where,
        "canonical JSON (RFC 8785) with these members alone",
        "the same envelope in another spelling, or more in it",
    )
    return _Opened(payload, decoded[0], (spelling,))


def _refused(what: str, where: str, expected: str, found: Any) -> _Opened:
    return _Opened(findings=(Finding(what, where, expected, _quote(found)),))


def _decoded(text: bytes) -> bytes | None:
    """The bytes of standard Base64 with padding; None if it is not the only spelling of them."""
    import pybase64

    try:
        decoded: bytes = pybase64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return decoded if pybase64.b64encode(decoded) == text else None


# ---------------------------------------------------------------- one statement


def _read(payload: bytes, where: str) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """The statement in a signed payload, or findings."""
    import orjson

    statement = _parsed(payload)
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        return {}, (
            Finding("statement-malformed", where, "an in-toto statement, v1", _quote(payload)),
        )
    # The fast encoder differs from RFC 8785 in rare numbers and keys; then the slow one decides.
    if (
        orjson.dumps(statement, option=orjson.OPT_SORT_KEYS) != payload
        and _canonical(statement) != payload
    ):
        return {}, (
            Finding(
                "payload-not-canonical",
                where,
                "canonical JSON (RFC 8785)",
                "a statement in another spelling",
            ),
        )
    return statement, ()


def _link(
    statement: Mapping[str, Any], position: int, payload: bytes, model: str
) -> tuple[_Link, tuple[Finding, ...]]:
    """The link that a signed statement is, or findings."""
    try:
        entry, subject = statement["predicate"]["entry"], statement["subject"]
        sequence, previous, of_model = entry["sequence"], entry["previous"], entry["model"]
        expected = [{"name": f"entry:{entry['kind']}", "digest": {"sha256": entry["entry_id"]}}]
        if "candidate_id" in entry:
            candidate = {"sha256": entry["candidate_id"]}
            expected.append({"name": entry["model_package_arn"], "digest": candidate})
        named = subject[: len(expected)]
    except (KeyError, TypeError) as error:
        return _wrong(position, "statement-malformed", "the attestation of an entry", repr(error))
    if type(sequence) is not int or sequence < 1:
        return _wrong(position, "statement-malformed", "a sequence from 1", sequence)
    if of_model != model:
        return _wrong(position, "other-model", f"model {model}", f"model {of_model}")
    if named != expected:
        return _wrong(position, "subject-mismatch", _quote(expected), named)
    return _Link(position, sequence, previous, attestations.digest_of(payload)), ()


def _wrong(
    position: int, what: str, expected: str, found: Any
) -> tuple[_Link, tuple[Finding, ...]]:
    return _Link(position), (Finding(what, f"entry {position}", expected, _quote(found)),)


# ---------------------------------------------------------------- the chain


def _check_order(chain: _Chain) -> None:
    """Every number once, each after the one before it.

    Entries that were refused already stand for the numbers that are missing around them.
    """
    present = {link.sequence for link in chain.links}
    seen: dict[int, _Link] = {}
    last, refused = 0, 0
    for link in chain.links:
        if link.sequence is None:
            refused += 1
            continue
        if link.sequence in seen:
            chain.add(link.position, _repeated(link, seen[link.sequence]))
            continue
        seen[link.sequence] = link
        if not last < link.sequence <= last + 1 + refused:
            chain.add(link.position, _misplaced(link, last, refused, present))
        last, refused = link.sequence, 0


def _repeated(link: _Link, first: _Link) -> Finding:
    same = link.digest == first.digest
    return Finding(
        "duplicate" if same else "fork",
        f"entry {link.position}",
        f"sequence {link.sequence} once",
        f"sequence {link.sequence} {'again' if same else 'with other content'}, "
        f"as in entry {first.position}",
    )


def _misplaced(link: _Link, last: int, refused: int, present: set[int | None]) -> Finding:
    sequence = link.sequence or 0
    missing = [number for number in range(last + 1, sequence) if number not in present]
    return Finding(
        "sequence-gap" if len(missing) > refused else "out-of-order",
        f"entry {link.position}",
        f"sequence {last + 1}",
        f"sequence {sequence}",
    )


def _check_links(chain: _Chain) -> None:
    """Every entry names the digest of the entry with the number before its own."""
    digests = {link.sequence: link.digest for link in reversed(chain.links) if link.sequence}
    for link in chain.links:
        if link.sequence is None:
            continue
        first = link.sequence == 1
        before = NO_PREVIOUS if first else digests.get(link.sequence - 1)
        if before is not None and link.previous != before:
            chain.add(
                link.position,
                Finding(
                    "link-broken",
                    f"entry {link.position}",
                    f"previous {before}",
                    f"previous {_quote(link.previous)}",
                ),
            )


def _check_checkpoint(
    checkpoint: bytes | None, links: Sequence[_Link], key: Key, model: str
) -> list[Finding]:
    if checkpoint is None:
        if not links:
            return []
        return [Finding("checkpoint-missing", CHECKPOINT, "a signed checkpoint", "none")]
    opened = _proven(_open(checkpoint, key, CHECKPOINT), key, CHECKPOINT)
    if opened.payload is None:
        return list(opened.findings)
    statement, findings = _read(opened.payload, CHECKPOINT)
    return [*opened.findings, *(findings or _compare_checkpoint(statement, links, model))]


def _compare_checkpoint(
    statement: Mapping[str, Any], links: Sequence[_Link], model: str
) -> list[Finding]:
    predicate = statement.get("predicate")
    predicate = predicate if isinstance(predicate, Mapping) else {}
    count, digest = predicate.get("entries"), predicate.get("digest")
    expected = {
        "predicateType": attestations.CHECKPOINT,
        "subject": [{"name": f"ledger:{model}", "digest": {"sha256": digest}}],
    }
    differs = [name for name, value in expected.items() if statement.get(name) != value]
    if predicate.get("model") != model or type(count) is not int or count < 1:
        differs.append("predicate")
    if differs:
        return [
            Finding(
                "checkpoint-mismatch",
                CHECKPOINT,
                f"a checkpoint of model {model}",
                f"another {', '.join(differs)}: {_quote(statement.get(differs[0]))}",
            )
        ]
    assert isinstance(count, int)
    return _compare_end(count, str(digest), links)


def _compare_end(count: int, digest: str, links: Sequence[_Link]) -> list[Finding]:
    """The chain ends with the entry that the checkpoint names, neither earlier nor later."""
    found = []
    last = max((link.sequence or 0 for link in links), default=0)
    behind = [position for position, link in enumerate(links) if link.sequence == last]
    # Refused entries after the last good one stand for the numbers that follow it.
    refused = len(links) - 1 - behind[-1] if behind else len(links)
    named = next((link for link in links if link.sequence == count), None)
    if last + refused < count:
        found.append(
            Finding(
                "tail-missing",
                f"entry {len(links) + 1}",
                f"{count} entries, as the checkpoint says",
                f"sequence {last} is the last",
            )
        )
    if last > count:
        found.append(
            Finding(
                "checkpoint-behind",
                CHECKPOINT,
                f"a checkpoint of sequence {last}",
                f"a checkpoint of sequence {count}",
            )
        )
    if named is not None and named.digest != digest:
        found.append(
            Finding(
                "checkpoint-mismatch",
                CHECKPOINT,
                f"sequence {count} with digest {named.digest}",
                f"digest {_quote(digest)}",
            )
        )
    return found


# ---------------------------------------------------------------- texts


def _parsed(text: bytes) -> Any:
    """The JSON value, None if it is none."""
    import orjson

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _canonical(value: Any) -> bytes | None:
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        return None


def _quote(value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    text = text or "nothing"
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
