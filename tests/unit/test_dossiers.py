"""Dossiers: one file, the same for the same evidence, in which every change is found and named."""

from __future__ import annotations

import copy
import hashlib
import io
import itertools
import json
import random
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli import dossier, dossier_page, verification
from cli.errors import USAGE, GovernError
from governance.domain import attestations, candidate, dossiers
from tests import chains
from tests.contracts import samples
from tests.evidence import ARN, Evidence, Republished

EVIDENCE = Evidence()
FILES = EVIDENCE.files()
BODY = dossier.pack(FILES)
TRUSTED = EVIDENCE.signer.keyid
LISTED = [name for name in FILES if name != dossiers.CONTENTS]
SUFFIXES = {"cedar": "cedar", "schema": "cedarschema", "tier": "json"}
POLICY = next(name for name in FILES if re.fullmatch(r"policies/\w+\.json", name))
REPORT = "reports/validation-000003.json"
DEFINITION = next(name for name in FILES if name.startswith("deployments/"))

Files = dict[str, bytes]


@pytest.fixture(autouse=True, scope="module")
def drawn_once() -> Iterator[None]:
    """Drawing takes half a second, and a thousand dossiers here differ in nothing it shows."""
    pages: dict[tuple[tuple[str, bytes], ...], bytes] = {}
    draw = dossier_page.render

    def cached(files: Mapping[str, bytes]) -> bytes:
        key = tuple(sorted(files.items()))
        if key not in pages:
            pages[key] = draw(files)
        return pages[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dossier_page, "render", cached)
        yield


def found(files: Files, trusted: str | None = TRUSTED) -> list[tuple[str, str]]:
    checked = dossier.check(dossier.pack(files), trusted)
    assert {finding.what for finding in checked.findings} <= dossiers.ALL_KINDS.keys()
    return [(finding.what, finding.where) for finding in checked.findings]


def refused_or_found(body: bytes) -> list[str]:
    """The names of what is wrong with a file; `not_a_dossier` if it is none at all."""
    try:
        return [finding.what for finding in dossier.check(body, TRUSTED).findings]
    except GovernError as error:
        return [error.code]


def relisted(files: Files) -> Files:
    """With contents.json made to fit, as whoever changes a file would do."""
    contents = json.loads(files[dossiers.CONTENTS])
    contents["files"] = {
        name: hashlib.sha256(body).hexdigest()
        for name, body in files.items()
        if name != dossiers.CONTENTS
    }
    return files | {dossiers.CONTENTS: dossiers._pretty(contents)}


def changed(name: str, body: bytes) -> Files:
    """A file replaced and listed as if it were right."""
    return relisted(FILES | {name: body})


# ---------------------------------------------------------------- genuine dossiers


def test_a_genuine_dossier_has_no_findings() -> None:
    checked = dossier.check(BODY, TRUSTED)
    assert (checked.findings, checked.notes) == ((), ())
    assert checked.passed
    assert checked.anchored
    assert checked.fingerprint == TRUSTED


def test_it_has_everything_that_is_known() -> None:
    assert set(FILES) == {
        "approvals.json",
        "checkpoint.json",
        "contents.json",
        DEFINITION,
        "index.html",
        "ledger.jsonl",
        "lineage.json",
        "manifest.json",
        "model-card.json",
        *(POLICY.replace(".json", f".{end}") for end in SUFFIXES.values()),
        "public-key.pem",
        "reports/evaluation.json",
        REPORT,
    }


@pytest.mark.parametrize("end", SUFFIXES.values())
def test_every_part_of_a_policy_counts(end: str) -> None:
    name = POLICY.replace(".json", f".{end}")
    other = relisted(FILES | {name: FILES[name] + b" "})
    assert ("policy-mismatch", POLICY) in found(other)
    without = relisted({key: body for key, body in FILES.items() if key != name})
    assert ("file-missing", name) in found(without)


REPUBLISHED = Republished()
BOTH = REPUBLISHED.files()
EARLIER = dossiers.policy_digest(REPUBLISHED.earlier_policy)


def test_every_policy_that_the_version_was_decided_under_is_there() -> None:
    digests = {EARLIER, dossiers.policy_digest(REPUBLISHED.policy)}
    assert {name.split("/")[1].split(".")[0] for name in BOTH if "policies/" in name} == digests
    assert found(BOTH, REPUBLISHED.signer.keyid) == []
    assert dossiers.absent(BOTH) == {}


@pytest.mark.parametrize("end", SUFFIXES.values())
def test_a_policy_of_an_earlier_verdict_that_is_missing_is_named_with_its_entry(end: str) -> None:
    """Its files, contents and page taken out together, as whoever hides it would do."""
    without = REPUBLISHED.files(policies=[REPUBLISHED.policy])
    checked = dossier.check(dossier.pack(without), REPUBLISHED.signer.keyid)
    name = f"policies/{EARLIER}.{end}"
    assert dossiers.absent(without)[name] is True
    (finding,) = (one for one in checked.findings if one.where == name)
    assert (finding.what, finding.found) == ("file-missing", "nothing")
    assert "entry 2 was decided under" in finding.expected
    assert f"{EARLIER[:12]}.{end}</code>. It was published" in without["index.html"].decode()


def test_limits_are_those_of_the_newest_verdicts_policy_or_none() -> None:
    without = REPUBLISHED.files(policies=[REPUBLISHED.earlier_policy])
    assert "no limits are drawn" in without["index.html"].decode()
    assert "AUC ≥ 0.75" in BOTH["index.html"].decode()


def test_a_policy_swapped_for_another_genuine_one_is_found() -> None:
    """Under the name of the one, the bytes of the other, and both are policies of the version."""
    present = dossiers.policy_digest(REPUBLISHED.policy)
    swapped = BOTH | {
        f"policies/{EARLIER}.{end}": BOTH[f"policies/{present}.{end}"] for end in SUFFIXES.values()
    }
    assert ("policy-mismatch", f"policies/{EARLIER}.json") in found(
        relisted(swapped), REPUBLISHED.signer.keyid
    )


def test_a_policy_that_no_verdict_of_the_version_names_does_not_belong() -> None:
    stranger = REPUBLISHED.policy | {"tier": b"{}"}
    files = EVIDENCE.files(policies=[EVIDENCE.policy, stranger])
    name = dossiers.policy_name(dossiers.policy_digest(stranger), "tier")
    assert ("policy-mismatch", name) in found(files)


def test_a_policy_that_refused_and_was_never_recorded_need_not_be_there() -> None:
    """An Admin's mistake that was put right: nothing but the refusal knows it."""

    class Unrecorded(Evidence):
        def chain(self) -> chains.Chain:
            entries = [dict(one["predicate"]["entry"]) for one in super().chain().statements]
            refused = {"allowed": False, "policy_digest": "d" * 64}
            entries[4] |= {"kind": "ReleaseRejected", "verdict": entries[4]["verdict"] | refused}
            return chains.chained(self.signer, entries, self.manifest["artifacts"])

    evidence = Unrecorded()
    files = evidence.files()
    assert found(files, evidence.signer.keyid) == []
    absent = dossiers.absent(files)
    assert absent == {f"policies/{'d' * 64}.{end}": False for end in SUFFIXES.values()}
    assert "Nobody published it" in files["index.html"].decode()


# ---------------------------------------------------------------- deployment definitions


def test_a_definition_that_an_entry_names_must_be_there() -> None:
    without = EVIDENCE.files(deployments=[])
    checked = dossier.check(dossier.pack(without), TRUSTED)
    (finding,) = (one for one in checked.findings if one.where == DEFINITION)
    assert finding.what == "file-missing"
    assert "entry 2 names" in finding.expected
    assert dossiers.absent(without) == {DEFINITION: True}


def test_a_definition_that_no_entry_names_does_not_belong() -> None:
    other = EVIDENCE.definition.replace(b'"percent":100', b'"percent":10')
    assert other != EVIDENCE.definition
    files = EVIDENCE.files(deployments=[EVIDENCE.definition, other])
    name = dossiers.definition_name(hashlib.sha256(other).hexdigest())
    assert ("definition-mismatch", name) in found(files)


@pytest.mark.parametrize("body", [None, b'{"version":"anything at all"}', b"[1]", b"no JSON"])
def test_a_refused_definition_may_be_missing_or_anything(body: bytes | None) -> None:
    class Refused(Evidence):
        def chain(self) -> chains.Chain:
            entries = [dict(one["predicate"]["entry"]) for one in super().chain().statements]
            digest = hashlib.sha256(body or b"never published").hexdigest()
            entries[4] |= {
                "kind": "ReleaseRejected",
                "verdict": entries[4]["verdict"] | {"allowed": False},
                "definition": {"digest": digest, "uri": "s3://evidence/deployments/m/x.json"},
            }
            return chains.chained(self.signer, entries, self.manifest["artifacts"])

    evidence = Refused()
    files = evidence.files(deployments=[evidence.definition, *([] if body is None else [body])])
    assert found(files, evidence.signer.keyid) == []
    assert list(dossiers.absent(files).values()) == ([False] if body is None else [])
    if body is not None:
        assert "not of the form" in files["index.html"].decode()


def test_the_page_shows_strategy_alarms_and_suites_of_the_definition() -> None:
    page = FILES["index.html"].decode()
    for text in (
        "entries 2, 3, 5, 6",
        "2 x ml.m5.large",
        "canary: percent 10, wait seconds 300",
        "a bake of 600 s",
        "server-errors: Invocation5XXErrors Sum GreaterThanThreshold 0, 1 x 60 s",
        "contract, quality, latency",
        "latency p95 ms max 400",
    ):
        assert text in page


def test_the_same_evidence_gives_the_same_bytes() -> None:
    chain = EVIDENCE.chain()
    # Signatures have chance in them, so the chain is made once.
    same = {"envelopes": chain.envelopes, "checkpoint": chain.checkpoint}
    assert dossier.pack(EVIDENCE.files(**same)) == dossier.pack(EVIDENCE.files(**same))


def test_digests_can_be_compared_by_hand() -> None:
    """sha256sum of manifest, card and reports gives what manifest and entries say."""
    manifest = json.loads(FILES["manifest.json"])

    def digest(name: str) -> str:
        return hashlib.sha256(FILES[name]).hexdigest()

    assert digest("manifest.json") == EVIDENCE.candidate_id
    assert digest("model-card.json") == manifest["model_card_sha256"]
    assert digest("reports/evaluation.json") == dossiers.evaluation_of(manifest)["sha256"]
    parts = {part: FILES[POLICY.replace(".json", f".{end}")] for part, end in SUFFIXES.items()}
    assert dossiers.policy_digest(parts) in POLICY


def test_our_own_evaluations_are_not_in_the_card() -> None:
    """They came after the approval, and no digest covers them."""
    assert b"governed-path" not in FILES["model-card.json"]
    assert b"Fixed holdout" in FILES["model-card.json"]


def test_a_version_without_a_card_has_none() -> None:
    evidence = _without_card()
    files = evidence.files()
    assert "model-card.json" not in files
    assert found(files, evidence.signer.keyid) == []
    smuggled = relisted(files | {"model-card.json": b"{}"})
    assert found(smuggled, evidence.signer.keyid) == [("card-mismatch", "model-card.json")]


def _without_card() -> Evidence:
    class Without(Evidence):
        @property
        def description(self) -> dict[str, Any]:
            return samples.description(ModelCard=None)

    return Without()


def test_without_a_trusted_key_nothing_is_said_about_trust() -> None:
    checked = dossier.check(BODY, None)
    assert checked.passed
    assert not checked.anchored
    assert not verification.of_file("x.zip", checked).trusted


# ---------------------------------------------------------------- any change


def test_every_flipped_byte_of_the_file_is_found() -> None:
    """Of its ZIP structure too. What is no ZIP any more is refused as such."""
    chance = random.Random(1)
    places = {*range(0, len(BODY), 97), *range(len(BODY) - 1500, len(BODY))}
    for at in places:
        flipped = bytearray(BODY)
        flipped[at] ^= chance.randint(1, 255)
        assert refused_or_found(bytes(flipped)), at


@pytest.mark.parametrize("name", LISTED)
def test_a_changed_file_is_named(name: str) -> None:
    flipped = bytearray(FILES[name])
    flipped[len(flipped) // 2] ^= 1
    assert ("file-changed", name) in found(FILES | {name: bytes(flipped)})


@pytest.mark.parametrize("name", LISTED)
def test_a_missing_file_is_named(name: str) -> None:
    files = {other: body for other, body in FILES.items() if other != name}
    assert found(files) == [("file-missing", name)]


@pytest.mark.parametrize("name", [name for name in LISTED if name != POLICY])
def test_a_missing_file_that_is_not_listed_either_is_named(name: str) -> None:
    files = {other: body for other, body in FILES.items() if other != name}
    assert ("file-missing", name) in found(relisted(files))


def test_a_file_more_is_named_listed_or_not() -> None:
    more = FILES | {"reports/extra.json": b"{}"}
    assert found(more) == [("file-unexpected", "reports/extra.json")]
    assert found(relisted(more)) == [("file-unexpected", "reports/extra.json")]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("manifest.json", "manifest-mismatch"),
        ("reports/evaluation.json", "report-mismatch"),
        (REPORT, "report-mismatch"),
        ("model-card.json", "card-mismatch"),
        (POLICY, "policy-mismatch"),
        (DEFINITION, "definition-mismatch"),
        ("lineage.json", "derived-mismatch"),
        ("approvals.json", "derived-mismatch"),
        ("index.html", "page-mismatch"),
    ],
)
@given(at=st.integers(0, 10**6), mask=st.integers(1, 255))
@settings(max_examples=25, deadline=None)
def test_a_changed_file_is_found_though_contents_were_made_to_fit(
    name: str, what: str, at: int, mask: int
) -> None:
    flipped = bytearray(FILES[name])
    flipped[at % len(flipped)] ^= mask
    assert found(changed(name, bytes(flipped))) == [(what, name)]


@given(at=st.integers(0, 10**6), mask=st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_changed_ledger_is_found_at_its_entry(at: int, mask: int) -> None:
    flipped = bytearray(FILES["ledger.jsonl"])
    at %= len(flipped)
    flipped[at] ^= mask
    places = {where for _, where in found(changed("ledger.jsonl", bytes(flipped)))}
    assert places
    before = FILES["ledger.jsonl"][:at].count(b"\n") + 1
    # A line feed that is gone joins two entries, and one that is new makes two of one.
    allowed = {f"ledger.jsonl entry {number}" for number in (before, before + 1)}
    assert places & (allowed | {"ledger.jsonl", "checkpoint.json"})


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
@settings(max_examples=100, deadline=None)
def test_entries_dropped_and_reordered_are_found(order: list[int], dropped: set[int]) -> None:
    lines = FILES["ledger.jsonl"].splitlines(keepends=True)
    kept = [lines[number] for number in order if number not in dropped]
    places = found(changed("ledger.jsonl", b"".join(kept)))
    assert bool(places) is (kept != lines)
    assert all(where.startswith("ledger.jsonl entry") for _, where in places)


@pytest.mark.parametrize("body", [b"", b"\n", b"{}\n", b"\xff\n", b"\n\n\n"])
def test_another_ledger_is_found(body: bytes) -> None:
    assert found(changed("ledger.jsonl", body))


def test_a_ledger_without_its_last_line_feed_is_found() -> None:
    assert found(changed("ledger.jsonl", FILES["ledger.jsonl"][:-1])) == [
        ("envelope-not-canonical", "ledger.jsonl")
    ]


def test_a_swapped_key_is_found() -> None:
    stranger = chains.Signer()
    assert ("key-not-trusted", "public-key.pem") in found(changed("public-key.pem", stranger.pem))
    assert {what for what, _ in found(changed("public-key.pem", stranger.pem), None)} == {
        "wrong-key"
    }


@pytest.mark.parametrize("pem", [b"", b"no key"])
def test_what_is_no_key_is_found(pem: bytes) -> None:
    assert found(changed("public-key.pem", pem)) == [("public-key-invalid", "public-key.pem")]


def test_a_dossier_signed_again_is_found_with_the_anchor_and_only_with_it() -> None:
    forged = Evidence().files()
    assert found(forged, None) == []
    assert found(forged) == [("key-not-trusted", "public-key.pem")]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c | {"schema": "other"},
        lambda c: c | {"model": 3},
        lambda c: c | {"more": 1},
        lambda c: c | {"files": []},
        lambda c: c | {"files": {"index.html": "short"}},
        lambda c: {},
        lambda c: [],
    ],
)
def test_other_contents_are_invalid(change: Callable[[Any], Any]) -> None:
    contents = change(json.loads(FILES[dossiers.CONTENTS]))
    body = dossiers._pretty(contents)
    assert found(FILES | {dossiers.CONTENTS: body}) == [("contents-invalid", "contents.json")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[" * 100_000,
        json.dumps(json.loads(FILES[dossiers.CONTENTS])).encode(),
        b'{"schema":"x",' + FILES[dossiers.CONTENTS][1:],
        FILES[dossiers.CONTENTS].replace(b"clinical-risk-classifier", b"\\ud800", 1),
    ],
    ids=["empty", "words", "deep", "no indents", "a key twice", "half a character"],
)
def test_contents_in_another_spelling_are_invalid(body: bytes) -> None:
    assert found(FILES | {dossiers.CONTENTS: body}) == [("contents-invalid", "contents.json")]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("model", "another-model", ("other-model", "ledger.jsonl entry 1")),
        ("candidate_id", "f" * 64, ("manifest-mismatch", "contents.json")),
        (
            "model_package_arn",
            samples.version_arn(version=77),
            ("manifest-mismatch", "ledger.jsonl"),
        ),
        (
            "model_package_arn",
            samples.version_arn(version=9),
            ("manifest-mismatch", "ledger.jsonl"),
        ),
    ],
)
def test_contents_that_name_another_version_are_found(
    field: str, value: str, expected: tuple[str, str]
) -> None:
    contents = json.loads(FILES[dossiers.CONTENTS]) | {field: value}
    assert found(FILES | {dossiers.CONTENTS: dossiers._pretty(contents)})[0] == expected


def test_a_manifest_of_another_candidate_is_found() -> None:
    other = copy.deepcopy(EVIDENCE.manifest)
    other["environment"] = {"SAGEMAKER_PROGRAM": "evil.py"}
    assert found(changed("manifest.json", candidate.canonical(other))) == [
        ("manifest-mismatch", "manifest.json")
    ]


def test_an_entry_that_takes_another_candidate_forward_is_found() -> None:
    """Signed by the ledger: the version was exchanged between two approvals."""

    class Exchanged(Evidence):
        def chain(self) -> chains.Chain:
            entries = [dict(s["predicate"]["entry"]) for s in super().chain().statements]
            entries[5]["candidate_id"] = "e" * 64
            return chains.chained(self.signer, entries, ())

    evidence = Exchanged()
    assert found(evidence.files(), evidence.signer.keyid) == [
        ("candidate-mismatch", "ledger.jsonl entry 6")
    ]


def test_a_signed_manifest_that_is_none_is_found() -> None:
    class Strange(Evidence):
        @property
        def candidate_id(self) -> str:
            return hashlib.sha256(b"[]").hexdigest()

    evidence = Strange()
    files = evidence.files()
    files = relisted(files | {"manifest.json": b"[]"})
    contents = json.loads(files[dossiers.CONTENTS]) | {"candidate_id": evidence.candidate_id}
    files[dossiers.CONTENTS] = dossiers._pretty(contents)
    assert found(files, evidence.signer.keyid) == [("manifest-mismatch", "manifest.json")]


def test_a_page_of_another_version_is_not_compared_and_said_so() -> None:
    contents = json.loads(FILES[dossiers.CONTENTS]) | {"renderer": "page of old"}
    contents["files"]["index.html"] = hashlib.sha256(b"forged").hexdigest()
    files = FILES | {"index.html": b"forged", dossiers.CONTENTS: dossiers._pretty(contents)}
    checked = dossier.check(dossier.pack(files), TRUSTED)
    assert checked.passed
    (note,) = checked.notes
    assert "page of old" in note
    assert "do not read it" in note


# ---------------------------------------------------------------- the container


def _zip(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, body in members:
            archive.writestr(name, body)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not a whole ZIP"),
        (b"%PDF-1.7", "not a whole ZIP"),
        (BODY[: len(BODY) // 2], "not a whole ZIP"),
        (_zip(), "no contents.json"),
        (_zip(("readme.txt", b"hello")), "no contents.json"),
        (_zip(("../../etc/passwd", b"x")), "named '../../etc/passwd'"),
        (_zip(("/etc/passwd", b"x")), "named '/etc/passwd'"),
        (_zip(("a/b/c.json", b"x")), "named 'a/b/c.json'"),
        (_zip(("..\\x", b"x")), "named"),
        (_zip(("con\u0000tents.json", b"x")), "named|no contents"),
        (_zip(("x" * 300, b"x")), "named"),
        (_zip(("\u202ejson.stnetnoc", b"x")), "named"),
        (_zip(("a.json", b"1"), ("a.json", b"2")), "has 'a.json' twice"),
        (_zip(("a.json", b"0" * 10**6), compression=zipfile.ZIP_DEFLATED), "compressed"),
        (_zip(*((f"{n}.json", b"") for n in range(1001))), "1001 files"),
    ],
    ids=itertools.count(),
)
def test_what_is_no_dossier_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(GovernError, match=why) as refused:
        dossier.check(body, None)
    assert (refused.value.code, refused.value.exit_code) == ("not_a_dossier", USAGE)


@pytest.mark.parametrize(
    "body",
    [
        b"prefix" + BODY,
        BODY + b"suffix",
        _zip(*FILES.items()),
        _zip(*reversed(FILES.items())),
    ],
    ids=["before", "after", "compressed otherwise", "in another order"],
)
def test_a_container_that_was_altered_is_named(body: bytes) -> None:
    assert refused_or_found(body) in (["not_a_dossier"], ["container-altered"])


# ---------------------------------------------------------------- lineage


def test_an_image_keeps_repository_and_digest_though_the_candidate_names_no_place() -> None:
    placed = {"uri": samples.IMAGE, "digest": samples.IMAGE_DIGEST}
    description, objects = samples.description(), samples.origin_objects()
    for images, image in (
        ([placed], placed),
        ([], placed),  # nobody looked it up: what the registration declares
    ):
        manifest = candidate.manifest(description, objects, images)
        assert dossiers.lineage(manifest, [], ARN)["image"] == image
    manifest = {**candidate.manifest(description, objects, [placed]), "images": []}
    assert dossiers.lineage(manifest, [], ARN)["further_images"] == []
    unknown = {"uri": f"image:{samples.IMAGE_DIGEST}", "digest": samples.IMAGE_DIGEST}
    assert dossiers.lineage(manifest, [], ARN)["image"] == unknown


# ---------------------------------------------------------------- the page


def test_the_page_needs_nothing_but_itself() -> None:
    page = FILES["index.html"].decode()
    assert "<script" not in page
    assert "default-src 'none'" in page
    for text in (' src="', "@import", "<link", "<iframe", "javascript:"):
        assert text not in page


def test_the_page_says_who_decided_and_draws_what_was_measured() -> None:
    page = FILES["index.html"].decode()
    for text in ("dana", "alex", "grace", EVIDENCE.candidate_id, TRUSTED, "AUC ≥ 0.75"):
        assert text in page
    assert page.count("<svg") == 3
    assert "Date" not in page


def test_what_others_wrote_is_text_on_the_page() -> None:
    report = json.loads(EVIDENCE.evaluation)
    report["subgroups"][0]["value"] = "<script>alert(1)</script>$\\frac$"
    page = dossier_page.render(
        FILES | {"reports/evaluation.json": json.dumps(report).encode()}
    ).decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_version_that_was_never_tested_has_a_page() -> None:
    class Untested(Evidence):
        def chain(self) -> chains.Chain:
            entries = [dict(s["predicate"]["entry"]) for s in super().chain().statements[:1]]
            return chains.chained(self.signer, entries, ())

        @property
        def evaluation(self) -> bytes:
            report = samples.evaluation_report()
            del report["calibration"]  # as reports of older pipelines
            return json.dumps(report).encode()

    evidence = Untested()
    files = evidence.files(reports={}, deployments=[])
    assert found(files, evidence.signer.keyid) == []
    page = files["index.html"].decode()
    assert "has not been validated" in page
    assert "has no bins" in page


def test_a_refusal_is_shown_with_its_reasons() -> None:
    class Refused(Evidence):
        def chain(self) -> chains.Chain:
            entries = [dict(s["predicate"]["entry"]) for s in super().chain().statements[:1]]
            verdict = {
                "allowed": False,
                "stage": "Test",
                "rules": ["a_rule"],
                "reasons": [
                    {"rule": "a_rule", "fact": "a fact", "expected": "b", "remedy": "Do c."}
                ],
                "policy_digest": "d" * 64,
                "description": "denied",
            }
            entries.append(
                {**entries[0], "kind": "ValidationRejected", "verdict": verdict}
                | {"entry_id": "b" * 64, "stage_status": "Rejected"}
            )
            return chains.chained(self.signer, entries, ())

    evidence = Refused()
    files = evidence.files(reports={}, deployments=[])
    assert found(files, evidence.signer.keyid) == []
    page = files["index.html"].decode()
    assert "Denied" in page
    assert "a fact" in page
    assert "Do c." in page


@pytest.mark.parametrize("kind", ["ClearanceGranted", "ClearanceRevoked"])
def test_the_page_says_who_decided_though_a_clearance_came_later(kind: str) -> None:
    class Cleared(Evidence):
        def chain(self) -> chains.Chain:
            entries = [dict(s["predicate"]["entry"]) for s in super().chain().statements[:1]]
            cleared = {**entries[0], "kind": kind, "entry_id": "b" * 64, "reason": "entry 1"}
            cleared |= {"stage": "Prod", "stage_status": "Releasing"}
            for name in ("approver", "verdict", "origin_arn"):
                cleared.pop(name, None)
            return chains.chained(self.signer, [*entries, cleared], ())

    evidence = Cleared()
    files = evidence.files(reports={}, deployments=[])
    assert found(files, evidence.signer.keyid) == []
    facts = dossier_page.facts(files)
    assert facts["standing"]["kind"] == "CandidatePromoted"
    assert len(facts["decisions"]) == 2
    assert "decided by dana" in files["index.html"].decode()


def test_entries_are_read_from_the_envelopes() -> None:
    entries = dossiers.entries_in(FILES)
    assert [entry["sequence"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry["sequence"] for entry in dossiers.story(entries, ARN)] == [1, 2, 3, 5, 6]
    assert entries[0]["previous"] == attestations.NO_PREVIOUS
