"""explain, policy check and policy backtest: why, whether, and what if."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from cli import dossier, policies
from governance.domain import definitions, dossiers, gates, locks
from governance.domain.facts import Facts
from governance.domain.policies import Policy
from tests import chains
from tests.contracts import policies as ours
from tests.contracts import samples
from tests.evidence import Evidence
from tests.unit.cli.conftest import (
    CANDIDATE,
    DEV,
    MODEL,
    Stubbed,
    arn,
    by,
    directory,
    entry,
    knows,
    provisioned,
)

Govern = Callable[..., Result]
FACTS = Facts(
    stage="Test",
    model_package_arn=arn(1),
    candidate_id=CANDIDATE,
    approver=samples.identity("ai-engineer", "alex", samples.CENTRAL),
    trainer=samples.identity("training", "theo"),
    decision_current=True,
    approval={},
    asked_at="2026-01-31T12:00:30Z",
    decided_at="2026-01-31T12:00:00Z",
    policy_recorded=True,
    phase="Test/PendingApproval",
    approvals=({"stage": "Dev", "person": "dana", "decided_at": "2026-01-30T12:00:00Z"},),
    definition={**samples.definition_reference(), "problems": []},
)
OTHER = {"name": "environment", "expected": "{}", "actual": '{"A": "1"}'}


def decided(facts: Facts, policy: Policy | None = None) -> dict[str, Any]:
    policy = policy or ours.policy()
    return gates.evaluate(facts, policy, ours.decide(policy)).to_dict()


def started(sequence: int, facts: Facts = FACTS, **more: Any) -> dict[str, Any]:
    """The entry of a decision; its claim is its own."""
    kind = "ValidationStarted" if decided(facts)["allowed"] else "ValidationRejected"
    return entry(
        sequence,
        kind,
        stage="Test",
        stage_status="Validating",
        approver=by("alex"),
        verdict=decided(facts),
        claim_id=f"{sequence:064d}",
        **more,
    )


# ------------------------------------------------------------------ explain


def explained(govern: Govern, reader: Stubbed, *entries: dict[str, Any], **_: Any) -> Any:
    provisioned(reader, directory())
    knows(reader, *entries)
    result = govern("explain", f"{MODEL}/1", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_explain_says_of_each_rule_what_it_saw_and_who_can_do_what(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    refused = started(2, replace(FACTS, differences=[OTHER]))
    found = explained(govern, reader, started(1), refused)
    assert (found["allowed"], found["stage"], found["approver"]) == (False, "Test", "alex")
    assert found["sequence"] == 2, "the last word counts"
    first, *others = found["rules"]
    assert first == {
        "rule": "candidate_unchanged",
        "asks": "The version is still the candidate that was promoted, byte for byte.",
        "met": False,
        **{k: refused["verdict"]["reasons"][0][k] for k in ("fact", "expected", "remedy")},
    }
    assert {rule["rule"] for rule in others} == set(refused["verdict"]["rules"]) - {first["rule"]}
    assert all(rule["met"] and rule["asks"] for rule in others)
    assert found["policy_digest"] == ours.policy().digest


def test_explain_reads_well(govern: Govern, where: list[Any], reader: Stubbed) -> None:
    provisioned(reader, directory())
    knows(
        reader,
        started(1, replace(FACTS, differences=[OTHER])),
        entry(2, "ValidationErrored", failure={"Error": "AccessError", "Cause": "no trust"}),
    )
    text = govern("explain", f"{MODEL}/1").output
    assert "Test: denied" in text
    assert "[candidate_unchanged] The version is still the candidate" in text
    assert 'saw     environment is {"A": "1"} but the candidate has {}' in text
    assert "What cannot be put back needs another candidate" in " ".join(text.split())
    assert "Met:" in text
    assert "Since then: #2 ValidationErrored. [AccessError] no trust" in text


def test_explain_tells_of_an_emergency(govern: Govern, where: list[Any], reader: Stubbed) -> None:
    waived = {
        "person": "emil",
        "reason": "Incident 4711",
        "waived": ["business"],
        "review_due_at": "2026-02-03T12:00:00Z",
    }
    told = started(1)
    told["verdict"]["break_glass"] = waived
    assert explained(govern, reader, told)["break_glass"] == waived
    provisioned(reader, directory())
    knows(reader, told)
    text = " ".join(govern("explain", f"{MODEL}/1").output.split())
    assert "Break-glass: business review waived on the request of emil" in text


def test_explain_of_a_dev_version_follows_it_to_central(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    provisioned(reader, directory())
    knows(reader, started(1, origin_arn=arn(4, DEV)))
    result = govern("explain", f"{MODEL}/4", "--registry", "dev", "--json")
    assert json.loads(result.output)["model_package_arn"] == arn(1)


def test_explain_needs_a_version_and_a_verdict(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    assert govern("explain", MODEL).exit_code == 2
    provisioned(reader, directory())
    knows(reader, entry(1, "VersionRejected"))
    result = govern("explain", f"{MODEL}/1")
    assert result.exit_code == 1
    assert "no gate was asked about version 1" in result.output


# ------------------------------------------------------------------ policy check


@pytest.fixture
def proposal(tmp_path: Path) -> Path:
    """A copy of our policies, to be changed."""
    return Path(shutil.copytree(policies.DIRECTORY, tmp_path / "proposal"))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_our_own_policies_are_good(govern: Govern) -> None:
    result = govern("policy", "check")
    assert (result.exit_code, "a policy that gates can decide by" in result.output) == (0, True)
    assert json.loads(govern("policy", "check", "--json").output)["valid"] is True


def _line(path: Path, text: str) -> int:
    return path.read_text().split(text)[0].count("\n") + 1


@pytest.mark.parametrize(
    ("name", "old", "new", "at", "said"),
    [
        (
            "approvals.cedar",
            "unless { context.decision_current };",
            "unless { context.decision_curent };",
            '@id("decision_is_current")',
            "decision_is_current: attribute `decision_curent`",
        ),
        (
            "approvals.cedar",
            "unless { context.decision_current };",
            "unless { context.decision_current ;",
            '@id("decision_is_current")',
            "Policy parse error: unexpected token `;`",
        ),
        (
            "approvals.cedar",
            '@id("decision_is_current")',
            '@id("decision_is_fresh")',
            '@id("decision_is_fresh")',
            "decision_is_fresh: nothing explains this rule",
        ),
        (
            "approvals.cedar",
            '@id("decision_is_current")',
            '@id("policy_is_recorded")',
            '@id("policy_is_recorded")',
            "policy_is_recorded: more than one policy has this @id",
        ),
        ("approvals.cedarschema", "entity Person = {", "entity Person = {{", None, "Schema parse"),
        ("tiers/high.json", '"auc_min": 0.75', '"auc_min": 75', '"auc_min"', "thresholds.auc_min"),
        (
            "tiers/high.json",
            '"auc_min": 0.75',
            '"auc_min": 0.75001',
            '"auc_min"',
            "at most 4 digits after the point",
        ),
        ("tiers/low.json", '"allowed": true', '"allowed": 1', '"allowed"', "break_glass.allowed"),
        ("tiers/low.json", "{", "{,", "{,", "not JSON"),
        ("tiers/low.json", '"low"', '"medium"', '"tier"', "a policy of tier medium"),
    ],
)
def test_a_problem_is_named_with_its_file_and_line(
    govern: Govern, proposal: Path, name: str, old: str, new: str, at: str | None, said: str
) -> None:
    change(proposal / name, old, new)
    line = _line(proposal / name, at) if at else None
    result = govern("policy", "check", str(proposal), "--json")
    assert result.exit_code == 1
    problems = json.loads(result.output)["problems"]
    (found,) = {(p["file"], p["line"]) for p in problems if said in p["reason"]}
    assert found == (str(proposal / name), line)
    text = govern("policy", "check", str(proposal))
    assert text.exit_code == 1
    place = f"{proposal / name}:{line}: " if line else f"{proposal / name}: "
    assert place in text.output.replace("\n", "")


def test_a_rule_that_is_gone_is_a_problem(govern: Govern, proposal: Path) -> None:
    cedar = (proposal / "approvals.cedar").read_text()
    start, end = (
        cedar.index('@id("approver_is_not_trainer")'),
        cedar.index('@id("decision_is_current")'),
    )
    (proposal / "approvals.cedar").write_text(cedar[:start] + cedar[end:])
    (proposal / "tiers" / "low.json").unlink()
    problems = json.loads(govern("policy", "check", str(proposal), "--json").output)["problems"]
    assert [(Path(p["file"]).name, p["reason"]) for p in problems] == [
        ("approvals.cedar", "approver_is_not_trainer: no forbid has this @id"),
        ("low.json", "No such file or directory"),
    ]


# ------------------------------------------------------------------ policy backtest


def proposes(proposal: Path, tier: str, **release: Any) -> None:
    """Other bounds for deployment definitions in a tier of the proposal."""
    path = proposal / f"tiers/{tier}.json"
    document = json.loads(path.read_text())
    document["release"] |= release
    path.write_text(json.dumps(document))


def replayed(govern: Govern, proposal: Path, *files: Path) -> dict[str, Any]:
    facts = [part for file in files for part in ("--facts", str(file))]
    result = govern("policy", "backtest", str(proposal), "--json", *facts)
    found: dict[str, Any] = json.loads(result.output)
    assert "error" not in found, found
    assert result.exit_code == (1 if found["changes"] else 0)
    return found


class Deployed(Evidence):
    """A version whose verdicts keep facts with a definition."""

    #: What the gate said of the definition, and the definition.
    problems: Sequence[str] = ()
    deployed: Mapping[str, Any] = samples.definition()

    @property
    def definition(self) -> bytes:
        return definitions.canonical(self.deployed)

    def chain(self) -> chains.Chain:
        digest = definitions.digest(self.deployed)
        reference = definitions.reference(samples.EVIDENCE_BUCKET, MODEL, digest)
        facts = replace(FACTS, definition={**reference, "problems": list(self.problems)})
        verdict = {**decided(facts), "policy_digest": dossiers.policy_digest(self.policy)}
        entries = [dict(one["predicate"]["entry"]) for one in super().chain().statements]
        entries = [{**e, "definition": reference} if e.get("definition") else e for e in entries]
        entries[1]["verdict"] = verdict
        if self.problems:
            entries = [*entries[:1], {**entries[1], "kind": "ValidationRejected"}]
        return chains.chained(self.signer, entries, self.manifest["artifacts"])

    def dossier(self, tmp_path: Path) -> Path:
        path = tmp_path / "version.dossier.zip"
        reports = self.files if not self.problems else partial(self.files, reports={})
        path.write_bytes(dossier.pack(reports()))
        return path


def test_a_stricter_bound_on_definitions_says_which_release_it_would_have_stopped(
    govern: Govern, proposal: Path, tmp_path: Path
) -> None:
    proposes(proposal, "high", bake_seconds_min=7200, strategies=["linear"])
    found = replayed(govern, proposal, Deployed().dossier(tmp_path))
    assert (found["decisions"], found["without_definition"]) == (1, 0)
    (changed,) = found["changes"]
    assert (changed["before"], changed["after"]) == ("allowed", "denied")
    (reason,) = changed["newly_denies"]
    assert reason["rule"] == "deployment_definition_valid"
    assert "release.strategy.type: is canary; tier high allows linear" in reason["fact"]
    assert "release.bake_seconds: is 600; tier high asks for at least 7200" in reason["fact"]


def test_a_milder_bound_says_what_it_would_have_let_pass(
    govern: Govern, proposal: Path, tmp_path: Path
) -> None:
    class Refused(Deployed):
        problems = ("release.bake_seconds: is 600; tier high asks for at least 7200",)

    found = replayed(govern, proposal, Refused().dossier(tmp_path))
    (changed,) = found["changes"]
    assert (changed["before"], changed["after"]) == ("denied", "allowed")
    assert changed["no_longer_denies"] == ["deployment_definition_valid"]


def test_what_is_wrong_under_every_tier_stays_denied(
    govern: Govern, proposal: Path, tmp_path: Path
) -> None:
    twice = [{"name": "contract"}, {"name": "contract"}]

    class Broken(Deployed):
        deployed = samples.definition(suites=twice)
        problems = ("suites[1].name: is 'contract' a second time",)

    assert replayed(govern, proposal, Broken().dossier(tmp_path))["changes"] == []


def test_that_nobody_had_published_a_definition_stays_so(
    govern: Govern, proposal: Path, tmp_path: Path
) -> None:
    """It was published afterwards, so that the dossier has it."""
    uri = samples.definition_reference()["uri"]

    class Later(Deployed):
        problems = (f"read {uri}: NoSuchKey: there is no such object",)

    found = replayed(govern, proposal, Later().dossier(tmp_path))
    assert (found["changes"], found["without_definition"]) == ([], 0)


def test_without_the_document_what_the_gate_said_is_kept_and_counted(
    govern: Govern, proposal: Path, tmp_path: Path
) -> None:
    proposes(proposal, "high", bake_seconds_min=7200)
    facts = Path(history(tmp_path, started(7)))
    found = replayed(govern, proposal, facts)
    assert (found["changes"], found["without_definition"]) == ([], 1)
    text = govern("policy", "backtest", str(proposal), "--facts", str(facts)).output
    assert "1 keep what their gate said of a deployment definition" in " ".join(text.split())
    both = replayed(govern, proposal, facts, Deployed().dossier(tmp_path))
    assert (len(both["changes"]), both["without_definition"]) == (2, 0)


def test_a_dossier_that_was_touched_is_not_replayed(govern: Govern, tmp_path: Path) -> None:
    files = Deployed().files()
    path = tmp_path / "touched.zip"
    path.write_bytes(dossier.pack(files | {"manifest.json": b"{}"}))
    result = govern("policy", "backtest", "policies", "--facts", str(path), "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "integrity")
    assert "file-changed at manifest.json" in error["message"]


def history(tmp_path: Path, *entries: dict[str, Any]) -> str:
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"model": MODEL, "entries": entries}))
    return str(path)


def test_the_same_policies_change_nothing(govern: Govern, tmp_path: Path) -> None:
    entries = [started(1), started(2, replace(FACTS, differences=[OTHER], definition=None))]
    result = govern("policy", "backtest", "policies", "--facts", history(tmp_path, *entries))
    assert result.exit_code == 0, result.output
    assert "2 decisions replayed under policies" in result.output
    assert result.output.strip().endswith(": none changes")


def test_a_stricter_policy_says_whom_it_would_have_stopped_and_why(
    govern: Govern, proposal: Path, tmp_path: Path
) -> None:
    """Alex approved for Dev as well, which tier low allowed."""
    low = ours.policy("low")
    same = replace(
        FACTS, approvals=({"stage": "Dev", "person": "alex", "decided_at": "2026-01-30T12:00:00Z"},)
    )
    entries = [
        {**started(3), "verdict": decided(FACTS, low)},
        {**started(4), "verdict": decided(same, low)},
    ]
    change(proposal / "tiers/low.json", '"separate_people": []', '"separate_people": ["approvers"]')
    result = govern(
        *("policy", "backtest", str(proposal), "--json"),
        *("--facts", history(tmp_path, *entries)),
    )
    assert result.exit_code == 1, result.output
    found = json.loads(result.output)
    assert (found["decisions"], found["without_facts"]) == (2, 0)
    (changed,) = found["changes"]
    assert (changed["model"], changed["version"], changed["sequence"]) == (MODEL, 1, 4)
    assert (changed["before"], changed["after"]) == ("allowed", "denied")
    (reason,) = changed["newly_denies"]
    assert reason["rule"] == "approvers_are_different_people"
    assert "alex for Dev" in reason["fact"]
    assert changed["no_longer_denies"] == []


def test_a_milder_policy_says_what_it_would_have_let_pass(
    govern: Govern, proposal: Path, tmp_path: Path
) -> None:
    same = replace(
        FACTS, approvals=({"stage": "Dev", "person": "alex", "decided_at": "2026-01-30T12:00:00Z"},)
    )
    change(proposal / "tiers/high.json", '"approvers", ', "")
    result = govern(
        "policy", "backtest", str(proposal), "--facts", history(tmp_path, started(1, same))
    )
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "denied allowed no longer denies [approvers_are_different_people]" in text
    assert "1 decisions replayed" in text


def test_a_run_is_one_decision_and_an_old_verdict_has_no_facts(
    govern: Govern, tmp_path: Path
) -> None:
    run = started(1)
    passed = {**run, "sequence": 2, "kind": "ValidationPassed"}
    old = started(3)
    del old["verdict"]["facts"]
    entries = (run, passed, old, entry(4, "VersionRejected", claim_id="b" * 64))
    result = govern(
        "policy", "backtest", "policies", "--json", "--facts", history(tmp_path, *entries)
    )
    found = json.loads(result.output)
    assert (result.exit_code, found["decisions"], found["without_facts"]) == (0, 1, 1)


def test_a_busy_endpoint_is_no_change_of_the_policy(govern: Govern, tmp_path: Path) -> None:
    refused = started(1)
    refused["verdict"] = refused["verdict"] | {
        "allowed": False,
        "reasons": [{"rule": locks.RULE, "fact": "f", "expected": "e", "remedy": "r"}],
    }
    facts = history(tmp_path, {**refused, "kind": "ReleaseRejected"})
    result = govern("policy", "backtest", "policies", "--json", "--facts", facts)
    assert (result.exit_code, json.loads(result.output)["changes"]) == (0, [])


def test_the_ledger_is_replayed_of_all_models_or_one(
    govern: Govern, where: list[Any], reader: Stubbed
) -> None:
    knows(reader, started(1), started(2))
    definition = definitions.canonical(samples.definition())
    uri = samples.definition_reference()["uri"]
    reader.stub("s3").add_response(
        "get_object",
        {"Body": io.BytesIO(definition), "ContentLength": len(definition)},
        {"Bucket": samples.EVIDENCE_BUCKET, "Key": uri.split("/", 3)[3]},
    )
    result = govern("policy", "backtest", "policies", "--model", MODEL)
    assert result.exit_code == 0, result.output
    assert "2 decisions replayed under policies: none changes" in result.output


def test_what_is_no_history_is_called_wrongly(govern: Govern, tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    for text in ("{", "[1]", '{"entries": 1}'):
        path.write_text(text)
        result = govern("policy", "backtest", "policies", "--facts", str(path))
        assert result.exit_code == 2, result.output
    both = govern("policy", "backtest", "policies", "--facts", str(path), "--model", MODEL)
    assert both.exit_code == 2


def test_what_is_no_policy_is_not_replayed(govern: Govern, proposal: Path, tmp_path: Path) -> None:
    (proposal / "approvals.cedar").write_text("permit")
    result = govern("policy", "backtest", str(proposal), "--facts", history(tmp_path, started(1)))
    assert result.exit_code == 2
    assert "Policy parse error" in result.output
