"""The dossier: all evidence about one version in one set of files, checked with nothing else.

What can be computed from other files (lineage, approvals, page) is computed again and compared;
what is evidence must have the digest that a signed entry, or the manifest that it names, gives.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from governance.domain import attestations, controls, images, locations, policy_changes
from governance.domain.errors import IntegrityError, InvalidInputError
from governance.domain.ledger import GOOD, SERVES
from governance.domain.policies import combined, digests_of
from governance.domain.verification import KINDS as CHAIN_KINDS
from governance.domain.verification import Finding, Key, verify_chain

SCHEMA = "governed-path/dossier/v1"
CONTENTS, LEDGER, CHECKPOINT, KEY = (
    "contents.json",
    "ledger.jsonl",
    "checkpoint.json",
    "public-key.pem",
)
MANIFEST, CARD, LINEAGE, APPROVALS, PAGE = (
    "manifest.json",
    "model-card.json",
    "lineage.json",
    "approvals.json",
    "index.html",
)
EVALUATION = "reports/evaluation.json"
CONTROLS = "controls.json"  # if it was asked for
_AFTER_CONTROLS = (CONTENTS, PAGE, CONTROLS)
_ALWAYS = (CONTENTS, LEDGER, CHECKPOINT, KEY, MANIFEST, EVALUATION, LINEAGE, APPROVALS, PAGE)

# Every name that a finding about a dossier can have, besides those of the chain.
KINDS: Mapping[str, str] = {
    "file-missing": "a file that belongs into the dossier is not there",
    "file-unexpected": "a file is there that does not belong into the dossier",
    "file-changed": "a file is not the one that contents.json lists",
    "container-altered": "the ZIP holds more, or the same in another form, than was written",
    "contents-invalid": "contents.json is not what it must be",
    "key-not-trusted": "the key of the dossier is not the one that the reader trusts",
    "manifest-mismatch": "the manifest is not that of the candidate which the entries name",
    "candidate-mismatch": "an entry about the version names another candidate",
    "report-mismatch": "a report is not the one whose digest was signed",
    "card-mismatch": "the model card is not the one whose digest the manifest has",
    "policy-mismatch": "a policy is not one that a signed verdict names",
    "definition-mismatch": "a deployment definition is not one that a signed entry names",
    "derived-mismatch": "a file does not say what the evidence says",
    "page-mismatch": "the page is not what the evidence looks like",
}
ALL_KINDS: Mapping[str, str] = {**CHAIN_KINDS, **KINDS}

# The entries that take a version forward: they are all about its one candidate.
_FORWARD = (
    "CandidatePromoted",
    "ValidationStarted",
    "ValidationPassed",
    "ReleaseStarted",
    "CandidateInService",
    "CandidateReleased",
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_POLICY_SUFFIXES = {"cedar": "cedar", "schema": "cedarschema", "tier": "json"}
_POLICY = re.compile(rf"policies/([0-9a-f]{{64}})\.({'|'.join(_POLICY_SUFFIXES.values())})")
_DEFINITION = re.compile(r"deployments/([0-9a-f]{64})\.json")

Files = Mapping[str, bytes]
Entry = Mapping[str, Any]


# ---------------------------------------------------------------- what a dossier is made of


def assemble(
    *,
    model: str,
    model_package_arn: str,
    envelopes: Sequence[bytes],
    checkpoint: bytes,
    public_key_pem: bytes,
    manifest: bytes,
    evaluation: bytes,
    reports: Mapping[int, bytes],
    card: bytes | None,
    policies: Iterable[Mapping[str, bytes]],
    deployments: Iterable[bytes],
    renderer: str,
    render: Callable[[Files], bytes],
    controls_table: Mapping[str, Any] | None = None,
) -> dict[str, bytes]:
    """All files of a dossier, by name. `reports` are by the sequence of the entry that names them.

    Each of `policies` is {cedar, schema, tier}, the bytes of its files; `deployments` are the
    deployment definitions in canonical JSON; `renderer` names what `render` draws with. With a
    `controls_table` (domain/controls.py) it says which of the files satisfy which control.
    """
    entries = [_entry_of(envelope) for envelope in envelopes]
    files = {
        LEDGER: _ledger(envelopes),
        CHECKPOINT: checkpoint,
        KEY: public_key_pem,
        MANIFEST: manifest,
        EVALUATION: evaluation,
        **{report_name(sequence): body for sequence, body in reports.items()},
        **({CARD: card} if card is not None else {}),
        **{
            policy_name(policy_digest(policy), part): body
            for policy in policies
            for part, body in policy.items()
        },
        **{definition_name(_sha256(body)): body for body in deployments},
    }
    about = story(entries, model_package_arn)
    files[LINEAGE] = _pretty(lineage(json.loads(manifest), about, model_package_arn))
    files[APPROVALS] = _pretty(approvals(about))
    if controls_table is not None:
        files[CONTROLS] = _pretty(controls.of_version(controls_table, files, entries, about))
    head = {
        "schema": SCHEMA,
        "model": model,
        "model_package_arn": model_package_arn,
        "candidate_id": _sha256(manifest),
        "renderer": renderer,
    }
    # The page shows all the others, so it comes last; it cannot show its own digest.
    files[PAGE] = render({**files, CONTENTS: _pretty(head)})
    files[CONTENTS] = _pretty(
        head | {"files": {name: _sha256(body) for name, body in sorted(files.items())}}
    )
    return dict(sorted(files.items()))


def story(entries: Sequence[Entry], model_package_arn: str) -> list[Entry]:
    """The entries about one Central version, and about the Dev version that it was made of."""
    arns = {model_package_arn} | {
        entry["origin_arn"]
        for entry in entries
        if entry["model_package_arn"] == model_package_arn and entry.get("origin_arn")
    }
    return [entry for entry in entries if entry["model_package_arn"] in arns]


def candidate_of(about: Sequence[Entry], model_package_arn: str) -> str:
    """The candidate that was registered as this version; "" if the ledger does not say."""
    named = (
        str(entry["candidate_id"])
        for entry in about
        if entry["model_package_arn"] == model_package_arn
        and entry["kind"] == "CandidatePromoted"
        and entry.get("candidate_id")
    )
    return next(named, "")


def report_name(sequence: int) -> str:
    """The file that holds the report which that entry names."""
    return f"reports/validation-{sequence:06d}.json"


def named_reports(about: Sequence[Entry]) -> dict[int, Mapping[str, Any]]:
    """{sequence: report {uri, version_id, sha256}} of the entries that name one."""
    return {entry["sequence"]: entry["report"] for entry in about if entry.get("report")}


def evaluation_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The manifest's evaluation report; InvalidInputError if it has none."""
    for artifact in manifest["artifacts"]:
        if artifact["role"] == "evaluation":
            found: Mapping[str, Any] = artifact
            return found
    raise InvalidInputError("the manifest has no evaluation report")


def policy_digests(about: Sequence[Entry]) -> list[str]:
    """The digests of the policies under which the version was decided on, sorted."""
    verdicts = [entry.get("verdict") or {} for entry in about]
    return sorted({v["policy_digest"] for v in verdicts if v.get("policy_digest")})


def demanded_policies(entries: Sequence[Entry], about: Sequence[Entry]) -> dict[str, int]:
    """{digest: sequence of the first verdict under it} of the policies that must be there.

    What an entry of the ledger (`entries`) recorded, or what allowed anything, was published. A
    verdict that refused because nobody had recorded its policy may name one that is gone.
    """
    published = policy_changes.recorded(entries)
    demanded: dict[str, int] = {}
    for entry in about:
        verdict = entry.get("verdict") or {}
        digest = verdict.get("policy_digest")
        if digest and (verdict.get("allowed") or digest in published):
            demanded.setdefault(digest, entry["sequence"])
    return demanded


def named_definitions(about: Sequence[Entry]) -> dict[str, Entry]:
    """{digest: the first entry that names it} of all deployment definitions of the version."""
    named: dict[str, Entry] = {}
    for entry in about:
        if entry.get("definition"):
            named.setdefault(entry["definition"]["digest"], entry)
    return named


def demanded_definitions(about: Sequence[Entry]) -> dict[str, int]:
    """{digest: sequence} of the deployment definitions that must be there.

    One that was refused may be one that nobody ever published.
    """
    taken = [e for e in about if (e.get("verdict") or {}).get("allowed", True)]
    return {digest: entry["sequence"] for digest, entry in named_definitions(taken).items()}


def absent(files: Files) -> dict[str, bool]:
    """{file: whether it must be there} of policies and definitions that entries name in vain."""
    entries = entries_in(files)
    about = story(entries, json.loads(files[CONTENTS])["model_package_arn"])
    policies, deployments = demanded_policies(entries, about), demanded_definitions(about)
    named = {
        policy_name(digest, part): digest in policies
        for digest in policy_digests(about)
        for part in _POLICY_SUFFIXES
    } | {
        definition_name(digest): digest in deployments
        for digest in sorted(named_definitions(about))
    }
    return {name: needed for name, needed in named.items() if name not in files}


def _images(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """{uri, digest} of every image that the manifest's containers name, each once."""
    specifications = [
        manifest["inference_specification"],
        *(manifest.get("additional_inference_specifications") or []),
    ]
    found: list[dict[str, Any]] = []
    for container in (one for spec in specifications for one in spec.get("Containers") or []):
        named = images.origin_of(str(container.get("Image")), manifest.get("images") or ())
        said = {"uri": container.get("Image"), "digest": container.get("ImageDigest")}
        if (named or said) not in found:
            found.append(named or said)
    return found


def lineage(
    manifest: Mapping[str, Any], about: Sequence[Entry], model_package_arn: str
) -> dict[str, Any]:
    """Where the version comes from and where it went, as manifest and ledger say."""
    promoted = next((e for e in about if e["kind"] == "CandidatePromoted"), {})
    image, *further_images = _images(manifest)
    return {
        "model": manifest["model"],
        "model_package_arn": model_package_arn,
        "origin_arn": promoted.get("origin_arn"),
        "trainer": promoted.get("trainer"),
        "code_commit": manifest.get("code_commit"),
        "training_data": manifest.get("training_data"),
        "image": image,
        "further_images": further_images,
        "artifacts": [
            {
                "role": artifact["role"],
                "uri": f"s3://{artifact['bucket']}/{artifact['key']}",
                "version_id": artifact["version_id"],
                "sha256": artifact["sha256"],
            }
            for artifact in manifest["artifacts"]
        ],
        "endpoints": [
            {
                "endpoint_arn": entry["endpoint"]["endpoint_arn"],
                "since": entry["recorded_at"],
                "superseded": entry.get("superseded"),
                "sequence": entry["sequence"],
            }
            for entry in _served(about)
        ],
    }


def _served(about: Sequence[Entry]) -> list[Entry]:
    """The entries by which endpoints were made to serve the version; one of each decision.

    That of the moment is left out where one says that it proved good as well.
    """
    found = [entry for entry in about if entry["kind"] in SERVES and entry.get("endpoint")]
    good = {entry["claim_id"] for entry in found if entry["kind"] in GOOD}
    return [e for e in found if e["kind"] in GOOD or e["claim_id"] not in good]


def approvals(about: Sequence[Entry]) -> list[dict[str, Any]]:
    """What people decided about the version and what became of it, as the entries say."""
    return [
        {
            "sequence": entry["sequence"],
            "kind": entry["kind"],
            "decided_at": entry.get("decided_at"),
            "recorded_at": entry["recorded_at"],
            "stage": entry.get("stage"),
            "stage_status": entry.get("stage_status"),
            "candidate_id": entry.get("candidate_id"),
            "person": (entry.get("approver") or {}).get("person"),
            "persona": (entry.get("approver") or {}).get("persona"),
            "role_arn": (entry.get("approver") or {}).get("role_arn"),
            "review": entry.get("review"),
            "reason": entry.get("reason"),
            "allowed": (entry.get("verdict") or {}).get("allowed"),
        }
        for entry in about
        if entry.get("approver")
    ]


# ---------------------------------------------------------------- checking


def check(
    files: Files,
    *,
    trusted: str | None,
    renderer: str,
    render: Callable[[Files], bytes],
    controls_table: Mapping[str, Any] | None = None,
) -> tuple[list[Finding], list[str]]:
    """(findings, what could not be checked) of a dossier's files.

    `trusted` is the fingerprint (hex) of the key that the reader trusts, None if there is none.
    Which controls are satisfied can only be compared under the same `controls_table`.
    """
    findings = _check_contents(files)
    missing = [name for name in _ALWAYS if name not in files]
    if missing or any(finding.what == "contents-invalid" for finding in findings):
        return findings, []
    contents = json.loads(files[CONTENTS])
    findings += _check_key(files[KEY], trusted)
    envelopes = _lines(files[LEDGER])
    if files[LEDGER] != _ledger(envelopes):
        ends = "one envelope a line, each line with its end"
        findings.append(Finding("envelope-not-canonical", LEDGER, ends, "a line without its end"))
    findings += [
        Finding(found.what, _place(found.where), found.expected, found.found)
        for found in verify_chain(envelopes, files[CHECKPOINT], files[KEY], contents["model"])
    ]
    if findings:
        # What is signed is not what is here: whatever else differs would only repeat it.
        return findings, []
    entries = [_entry_of(envelope) for envelope in envelopes]
    try:
        findings += _check_evidence(files, contents, entries)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidInputError) as error:
        # Signed and listed, and still not of the form that we write.
        findings.append(
            Finding("manifest-mismatch", MANIFEST, "a manifest of ours", f"no {error!r}")
        )
    if findings:
        return findings, []
    findings, notes = _check_controls(files, entries, contents, controls_table)
    about_page = _check_page(files, contents, renderer, render)
    return findings + about_page[0], notes + about_page[1]


def _check_contents(files: Files) -> list[Finding]:
    """Every file is listed with its digest, and every listed file is there."""
    if CONTENTS not in files:
        return [Finding("file-missing", CONTENTS, "a list of the dossier's files", "nothing")]
    contents = _json(files[CONTENTS])
    if not _is_contents(contents) or _pretty(contents) != files[CONTENTS]:
        return [
            Finding(
                "contents-invalid",
                CONTENTS,
                f"schema {SCHEMA}, written by govern dossier",
                files[CONTENTS][:80].decode(errors="replace") or "nothing",
            )
        ]
    listed: Mapping[str, str] = contents["files"]
    present = {name: _sha256(body) for name, body in files.items() if name != CONTENTS}
    findings = [
        Finding("file-missing", name, "the file", "nothing")
        for name in sorted({*listed, *_ALWAYS} - {*present, CONTENTS})
    ]
    findings += [
        Finding("file-unexpected", name, "no such file", f"{len(files[name])} bytes")
        for name in sorted(present.keys() - listed.keys())
    ]
    return findings + [
        Finding("file-changed", name, f"sha256 {listed[name]}", f"sha256 {present[name]}")
        for name in sorted(present.keys() & listed.keys())
        if present[name] != listed[name]
    ]


def _is_contents(value: Any) -> bool:
    if not isinstance(value, Mapping) or value.get("schema") != SCHEMA:
        return False
    texts = ("model", "model_package_arn", "candidate_id", "renderer")
    listed = value.get("files")
    return (
        value.keys() == {"schema", "files", *texts}
        and all(isinstance(value[name], str) for name in texts)
        and isinstance(listed, Mapping)
        and all(isinstance(one, str) and _SHA256.fullmatch(one) for one in listed.values())
    )


def _check_key(pem: bytes, trusted: str | None) -> list[Finding]:
    try:
        fingerprint = Key(pem).fingerprint
    except ValueError:
        return []  # the chain says so
    if trusted is None or fingerprint == trusted:
        return []
    return [Finding("key-not-trusted", KEY, f"key {trusted}", f"key {fingerprint}")]


def _place(where: str) -> str:
    """Where in the files a finding of the chain is."""
    if where.startswith("entry "):
        return f"{LEDGER} {where}"
    return {"checkpoint": CHECKPOINT, "public key": KEY}.get(where, where)


def _check_evidence(
    files: Files, contents: Mapping[str, Any], entries: Sequence[Entry]
) -> list[Finding]:
    arn = contents["model_package_arn"]
    about = story(entries, arn)
    findings = _check_candidate(files, contents, about)
    if findings:
        return findings
    manifest = json.loads(files[MANIFEST])
    findings = _check_reports(files, manifest, about)
    findings += _digest_of_file(files, CARD, manifest.get("model_card_sha256"), "card-mismatch")
    findings += _check_policies(files, entries, about)
    findings += _check_definitions(files, about)
    for name, derived in (
        (LINEAGE, lineage(manifest, about, arn)),
        (APPROVALS, approvals(about)),
    ):
        if files[name] != _pretty(derived):
            findings.append(
                Finding("derived-mismatch", name, "what manifest and ledger say", "something else")
            )
    allowed = {*_ALWAYS, CARD, CONTROLS, *map(report_name, named_reports(about))}
    return findings + [
        Finding("file-unexpected", name, "a file of a dossier", f"{len(files[name])} bytes")
        for name in sorted(files.keys() - allowed)
        if not (_POLICY.fullmatch(name) or _DEFINITION.fullmatch(name))
    ]


def _check_candidate(
    files: Files, contents: Mapping[str, Any], about: Sequence[Entry]
) -> list[Finding]:
    arn, digest = contents["model_package_arn"], _sha256(files[MANIFEST])
    named = candidate_of(about, arn)
    if not named:
        return [Finding("manifest-mismatch", LEDGER, f"a promotion of {arn}", "none")]
    findings = [
        Finding("manifest-mismatch", name, f"candidate {named}", f"candidate {found}")
        for name, found in ((MANIFEST, digest), (CONTENTS, contents["candidate_id"]))
        if found != named
    ]
    return findings + [
        Finding(
            "candidate-mismatch",
            f"{LEDGER} entry {entry['sequence']}",
            f"candidate {named}",
            f"{entry['kind']} of candidate {entry['candidate_id']}",
        )
        for entry in about
        if entry["kind"] in _FORWARD and entry.get("candidate_id", named) != named
    ]


def _check_reports(
    files: Files, manifest: Mapping[str, Any], about: Sequence[Entry]
) -> list[Finding]:
    evaluation = evaluation_of(manifest)
    findings: list[Finding] = []
    if EVALUATION not in files or not _is(files[EVALUATION], evaluation):
        findings = _digest_of_file(files, EVALUATION, evaluation["sha256"], "report-mismatch")
    for sequence, report in named_reports(about).items():
        findings += _digest_of_file(
            files, report_name(sequence), report["sha256"], "report-mismatch"
        )
    return findings


def _is(body: bytes, location: Mapping[str, Any]) -> bool:
    """True if these are the bytes that a location of the manifest names."""
    return locations.digest_of(body, location) == str(location["sha256"])


def _digest_of_file(files: Files, name: str, expected: str | None, what: str) -> list[Finding]:
    """The file has the digest that something signed gives; none is there if none is given."""
    found = _sha256(files[name]) if name in files else None
    if found == expected:
        return []
    if found is None:
        return [Finding("file-missing", name, f"sha256 {expected}", "nothing")]
    return [Finding(what, name, f"sha256 {expected or 'of nothing'}", f"sha256 {found}")]


def _check_policies(
    files: Files, entries: Sequence[Entry], about: Sequence[Entry]
) -> list[Finding]:
    known, demanded = policy_digests(about), demanded_policies(entries, about)
    there = {match[1] for name in files if (match := _POLICY.fullmatch(name))}
    findings = []
    for digest in sorted(there | demanded.keys()):
        parts = {part: policy_name(digest, part) for part in _POLICY_SUFFIXES}
        missing = [name for name in parts.values() if name not in files]
        if missing:
            by = f" that entry {demanded[digest]} was decided under" if digest in demanded else ""
            expected = f"a part of the policy{by}"
            findings += [Finding("file-missing", name, expected, "nothing") for name in missing]
            continue
        found = policy_digest({part: files[name] for part, name in parts.items()})
        if digest not in known or found != digest:
            expected = f"a policy of {', '.join(known)}"
            findings.append(Finding("policy-mismatch", parts["tier"], expected, found))
    return findings


def _check_definitions(files: Files, about: Sequence[Entry]) -> list[Finding]:
    named, demanded = named_definitions(about), demanded_definitions(about)
    there = {match[1] for name in files if (match := _DEFINITION.fullmatch(name))}
    findings = [
        Finding(
            "file-missing",
            definition_name(digest),
            f"the deployment definition that entry {demanded[digest]} names",
            "nothing",
        )
        for digest in sorted(demanded.keys() - there)
    ]
    for digest in sorted(there):
        name = definition_name(digest)
        found = _sha256(files[name])
        if digest not in named or found != digest:
            expected = f"a deployment definition of {', '.join(sorted(named)) or 'no entry'}"
            findings.append(Finding("definition-mismatch", name, expected, f"sha256 {found}"))
    return findings


def _check_controls(
    files: Files,
    entries: Sequence[Entry],
    contents: Mapping[str, Any],
    table: Mapping[str, Any] | None,
) -> tuple[list[Finding], list[str]]:
    if CONTROLS not in files:
        return [], []
    said = _json(files[CONTROLS])
    named = said.get("table_sha256") if isinstance(said, Mapping) else None
    if table is None or (named != controls.digest_of(table) and _SHA256.fullmatch(str(named))):
        return [], [
            f"{CONTROLS} was made by another table of controls ({named}), so it cannot be compared "
            "with the evidence; do not rely on it"
        ]
    others = {name: body for name, body in files.items() if name not in _AFTER_CONTROLS}
    about = story(entries, contents["model_package_arn"])
    if files[CONTROLS] == _pretty(controls.of_version(table, others, entries, about)):
        return [], []
    expected = "what the evidence satisfies, byte for byte"
    return [Finding("derived-mismatch", CONTROLS, expected, "something else")], []


def _check_page(
    files: Files,
    contents: Mapping[str, Any],
    renderer: str,
    render: Callable[[Files], bytes],
) -> tuple[list[Finding], list[str]]:
    if contents["renderer"] != renderer:
        return [], [
            f"{PAGE} was drawn by another version ({contents['renderer']}; this is {renderer}), "
            "so it cannot be compared with the evidence; do not read it, draw it again from the "
            "evidence: --page FILE"
        ]
    head = {key: value for key, value in contents.items() if key != "files"}
    evidence = {name: body for name, body in files.items() if name != PAGE}
    if files[PAGE] == render({**evidence, CONTENTS: _pretty(head)}):
        return [], []
    expected = "what the evidence looks like, byte for byte"
    return [Finding("page-mismatch", PAGE, expected, "another page")], []


# ---------------------------------------------------------------- bytes


def policy_digest(policy: Mapping[str, bytes]) -> str:
    """What a verdict calls `policy_digest`, of the files {cedar, schema, tier} of a policy."""
    return combined(digests_of(policy))


def policy_name(digest: str, part: str) -> str:
    """The file of a part (cedar, schema, tier) of the policy with that digest."""
    return f"policies/{digest}.{_POLICY_SUFFIXES[part]}"


def definition_name(digest: str) -> str:
    """The file of the deployment definition with that digest."""
    return f"deployments/{digest}.json"


def entries_in(files: Files) -> list[dict[str, Any]]:
    """The entries of a dossier's ledger; only those of a checked dossier mean anything."""
    return [_entry_of(envelope) for envelope in _lines(files[LEDGER])]


def _ledger(envelopes: Sequence[bytes]) -> bytes:
    return b"".join(envelope + b"\n" for envelope in envelopes)


def _lines(text: bytes) -> list[bytes]:
    return text.removesuffix(b"\n").split(b"\n") if text else []


def _entry_of(envelope: bytes) -> dict[str, Any]:
    try:
        return attestations.entry_of(envelope.decode())
    except UnicodeDecodeError as error:
        raise IntegrityError(f"an envelope is not text: {error}") from error


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _pretty(value: Any) -> bytes:
    """JSON for people, always the same for the same value."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return text.encode(errors="replace")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
