"""`govern verify` and `govern dossier` on what the demo path left in the deployed organisation."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import dossier, policies
from governance.domain import dossiers
from tests.e2e.organisation import CENTRAL, REGION, Organisation, eventually
from tests.e2e.scenarios import MODEL, DemoPath

Govern = Callable[..., subprocess.CompletedProcess[str]]
LEDGER_BUCKET = f"governed-path-ledger-{CENTRAL}-{REGION}"


def _run(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "govern", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def govern(organisation: Organisation) -> Govern:
    """govern(*arguments) against this organisation."""
    environment = os.environ | {"GOVERNED_PATH_LOCAL_DIR": organisation.server.state_dir}
    return lambda *arguments: _run(environment, *arguments)


@pytest.fixture(scope="module")
def archived(organisation: Organisation, demo_path: DemoPath) -> list[str]:
    """The archive's keys, once it has every entry of the demo path."""
    s3 = organisation.root(CENTRAL, "s3")
    last = f"entries/model={MODEL}/{demo_path.released.entry['sequence']:09d}.json"

    def look() -> list[str]:
        answer = s3.list_objects_v2(Bucket=LEDGER_BUCKET, Prefix=f"entries/model={MODEL}/")
        keys = [found["Key"] for found in answer.get("Contents", [])]
        return keys if last in keys else []

    return eventually(look, "the archive of the demo path")


@pytest.fixture(scope="module")
def written(
    govern: Govern, demo_path: DemoPath, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The dossier of the released version, and what `govern dossier` said of it."""
    file = tmp_path_factory.mktemp("dossier") / "first.zip"
    answer = govern("dossier", f"{MODEL}/1", "--output", file, "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return file, json.loads(answer.stdout)


def test_the_model_and_its_version_are_in_order(govern: Govern, archived: list[str]) -> None:
    answer = govern("verify", f"{MODEL}/1", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    report = json.loads(answer.stdout)
    assert {check["name"]: check["status"] for check in report["checks"]} == {
        "signing key": "not checked",
        "ledger": "passed",
        "tables": "passed",
        "archive": "passed",
        "evidence": "passed",
        "version": "passed",
    }
    again = govern("verify", MODEL, "--fingerprint", report["fingerprint"])
    assert again.returncode == 0, again.stdout + again.stderr
    assert "signed with the key that you trust" in again.stdout
    other = govern("verify", MODEL, "--fingerprint", "0" * 64)
    assert other.returncode == 1
    assert "key-not-trusted" in other.stdout


def test_the_dossier_is_checked_without_a_network(written: tuple[Path, dict[str, Any]]) -> None:
    """No AWS is running for whoever reads it, and no credentials are there."""
    file, said = written
    assert hashlib.sha256(file.read_bytes()).hexdigest() == said["sha256"]
    elsewhere = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_")
    } | {"GOVERNED_PATH_LOCAL_DIR": str(file.parent / "nothing"), "https_proxy": "http://[::1]:9"}
    answer = _run(elsewhere, "verify", file, "--fingerprint", said["fingerprint"], "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    report = json.loads(answer.stdout)
    assert report["key_trusted"]
    assert {check["status"] for check in report["checks"]} == {"passed"}


def test_the_same_evidence_gives_the_same_dossier(
    govern: Govern, written: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    file, _ = written
    answer = govern("dossier", f"{MODEL}/1", "--output", tmp_path / "again.zip")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert (tmp_path / "again.zip").read_bytes() == file.read_bytes()


def test_the_controls_of_a_released_version_are_shown(
    govern: Govern, written: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Whatever the table names as evidence of a release is there, and a check confirms it."""
    file = tmp_path / "controls.zip"
    answer = govern("dossier", f"{MODEL}/1", "--controls", "--output", file, "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    frameworks = json.loads(answer.stdout)["controls"]["frameworks"]
    absent = {
        (framework["id"], one["id"]): one["absent"]
        for framework in frameworks
        for one in framework["controls"]
        if one["absent"]
    }
    assert absent == {}
    checked = govern("verify", file, "--fingerprint", written[1]["fingerprint"], "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert {check["status"] for check in json.loads(checked.stdout)["checks"]} == {"passed"}


def test_a_dossier_that_was_touched_is_found(
    govern: Govern, written: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    body = written[0].read_bytes()
    assert body.count(b'"person": "grace"') > 0
    forged = tmp_path / "forged.zip"
    forged.write_bytes(body.replace(b'"person": "grace"', b'"person": "alice"'))
    answer = govern("verify", forged, "--json")
    assert answer.returncode in (1, 2)
    assert "approvals.json" in answer.stdout or "not_a_dossier" in answer.stdout


def test_the_page_has_the_policy_and_the_curve(written: tuple[Path, dict[str, Any]]) -> None:
    page = written[0].read_bytes()
    assert page.count(b"<svg ") == 3
    assert b"AUC \xe2\x89\xa5 0.75" in page


def test_it_holds_what_it_was_decided_under_and_how_it_was_deployed(
    written: tuple[Path, dict[str, Any]],
) -> None:
    file, said = written
    assert said["absent"] == {}
    files, findings = dossier.unpack(file.read_bytes())
    assert findings == []
    about = dossiers.story(
        dossiers.entries_in(files), json.loads(files["contents.json"])["model_package_arn"]
    )
    decided = {dossiers.policy_name(one, "tier") for one in dossiers.policy_digests(about)}
    deployed = set(map(dossiers.definition_name, dossiers.named_definitions(about)))
    assert len(decided) >= 1
    assert len(deployed) >= 1
    assert decided | deployed <= files.keys()


def test_other_bounds_for_releases_are_tried_on_the_dossier(
    written: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """What the gates saw is enough: the definition is in the file, no ledger is asked."""
    proposal = tmp_path / "proposal"
    shutil.copytree(policies.DIRECTORY, proposal)
    arguments = ("policy", "backtest", proposal, "--facts", written[0], "--json")
    alone = {"PATH": os.environ["PATH"], "GOVERNED_PATH_LOCAL_DIR": str(tmp_path / "nothing")}
    same = json.loads(_run(alone, *arguments).stdout)
    assert (same["changes"], same["without_definition"]) == ([], 0)
    tier = proposal / "tiers" / "high.json"
    stricter = json.loads(tier.read_text())
    stricter["release"]["strategies"] = ["shadow"]
    tier.write_text(json.dumps(stricter))
    changes = json.loads(_run(alone, *arguments).stdout)["changes"]
    denied = {(one["stage"], one["newly_denies"][0]["rule"]) for one in changes}
    rule = "deployment_definition_valid"
    assert {("Test", rule), ("Prod", rule)} <= denied
