"""What was built reaches SAM as zip files, layers made once for each lock."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from local import deployment

BUILT = """\
Resources:
  NumbersLayer:
    Properties:
      ContentUri: NumbersLayer
  OneFunction:
    Properties:
      CodeUri: OneFunction-Shared
  OtherFunction:
    Properties:
      CodeUri: OneFunction-Shared
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A built template with one layer of one module."""
    build = tmp_path / "build"
    (build / "NumbersLayer" / "python").mkdir(parents=True)
    (build / "NumbersLayer" / "python" / "numbers_.py").write_text("ONE = 1\n")
    (build / "OneFunction-Shared").mkdir()
    (build / "OneFunction-Shared" / "code.py").write_text("TWO = 2\n")
    (build / "template.yaml").write_text(BUILT)
    return build / "template.yaml"


def _zips(template: Path) -> list[Path]:
    return sorted((template.parents[1] / "packages").glob("*Layer*"))


def test_the_layer_is_a_zip_file_of_the_whole_build(template: Path) -> None:
    deployment.prepare(template)
    [made] = _zips(template)
    code = {"CodeUri": "../packages/OneFunction-Shared.zip"}
    assert json.loads(template.read_text())["Resources"] == {
        "NumbersLayer": {"Properties": {"ContentUri": f"../packages/{made.name}"}},
        "OneFunction": {"Properties": code},
        "OtherFunction": {"Properties": code},
    }
    with zipfile.ZipFile(made) as archive:
        assert archive.testzip() is None
        assert archive.read("python/numbers_.py") == b"ONE = 1\n"


def test_the_template_is_the_same_in_json(template: Path) -> None:
    template.write_text(
        "AWSTemplateFormatVersion: 2010-09-09\nResources:\n  One:\n    Properties:\n"
        "      Name:\n        Fn::Sub: ${AWS::StackName}-one\n      Policy: {Version: 2012-10-17}\n"
    )
    deployment.prepare(template)
    assert json.loads(template.read_text()) == {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {
            "One": {
                "Properties": {
                    "Name": {"Fn::Sub": "${AWS::StackName}-one"},
                    "Policy": {"Version": "2012-10-17"},
                }
            }
        },
    }


def test_it_is_made_once_while_the_locks_stay(template: Path) -> None:
    deployment.prepare(template)
    [made] = _zips(template)
    before = made.stat().st_mtime_ns
    template.write_text(BUILT)
    deployment.prepare(template)
    assert [path.stat().st_mtime_ns for path in _zips(template)] == [before]


def test_another_lock_makes_another_and_removes_the_first(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.prepare(template)
    [first] = _zips(template)
    monkeypatch.setattr(deployment, "_layers_digest", lambda: "another")
    template.write_text(BUILT)
    deployment.prepare(template)
    assert [path.name for path in _zips(template)] == ["NumbersLayer-another.zip"]
    assert first.name != "NumbersLayer-another.zip"


def test_code_is_zipped_again_since_nothing_says_that_it_is_the_same(template: Path) -> None:
    deployment.prepare(template)
    (template.parent / "OneFunction-Shared" / "code.py").write_text("TWO = 3\n")
    template.write_text(BUILT)
    deployment.prepare(template)
    with zipfile.ZipFile(template.parents[1] / "packages" / "OneFunction-Shared.zip") as archive:
        assert archive.read("code.py") == b"TWO = 3\n"


def test_layers_are_kept_once_each_of_them_has_its_zip_file(template: Path) -> None:
    assert not deployment.layers_are_kept(template)
    names = deployment._LAYER.findall(
        (Path(deployment.__file__).parents[1] / "template.yaml").read_text()
    )
    assert len(names) >= 4
    for name in names:
        path = deployment._layer_zip(template, name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert deployment.layers_are_kept(template)
    path.unlink()
    assert not deployment.layers_are_kept(template)
