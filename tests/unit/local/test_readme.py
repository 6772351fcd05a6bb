"""local/README.md lists what there is: every seam, every operation, files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.sagemaker import scaling, service
from local.seams import assertions, provisioning, workflow_tasks

ROOT = Path(__file__).parents[3]
README = (ROOT / "local" / "README.md").read_text()


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_every_seam_is_listed() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", section("Seams"), re.MULTILINE))
    modules = {path.stem for path in (ROOT / "local" / "seams").glob("[a-z]*.py")}
    assert listed - {"server"} == modules - {"assertions"}


def test_every_operation_is_listed() -> None:
    rows = [line for line in section("SageMaker operations").splitlines() if line.startswith("| ")]
    listed = re.findall(r"\b[A-Z]\w+[a-z]\b", " ".join(row.split("|")[2] for row in rows[1:]))
    assert sorted(listed) == sorted([*service._OPERATIONS, "InvokeEndpoint", *scaling.OPERATIONS])


def test_every_integration_and_type_is_listed() -> None:
    for name in (*workflow_tasks._INTEGRATIONS, *provisioning._ADDED):
        assert f"`{name}`" in section("Seams")


def test_the_version_is_the_pinned_one() -> None:
    assert f"ministack {assertions.EMULATOR_VERSION}," in README
    assert f"ministack=={assertions.EMULATOR_VERSION}" in (ROOT / "requirements.lock").read_text()


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`((?:tests/)?[\w/]+\.py|tests/[\w/]+)`", README)))
)
def test_named_files_exist(name: str) -> None:
    places = (ROOT, ROOT / "local", ROOT / "local/sagemaker", ROOT / "tests/integration/local")
    assert any((place / name).exists() for place in places)
