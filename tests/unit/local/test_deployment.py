"""Built layers reach SAM as zip files that are made once."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from local import deployment

BUILT = """\
Resources:
  NumbersLayer:
    Properties:
      ContentUri: NumbersLayer
  Function:
    Properties:
      CodeUri: Function
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A built template with one layer of one module."""
    build = tmp_path / "build"
    (build / "NumbersLayer" / "python").mkdir(parents=True)
    (build / "NumbersLayer" / "python" / "numbers_.py").write_text("ONE = 1\n")
    (build / "template.yaml").write_text(BUILT)
    return build / "template.yaml"


def _zips(template: Path) -> list[Path]:
    return sorted((template.parents[1] / "layers").iterdir())


def test_the_layer_is_a_zip_file_of_the_whole_build(template: Path) -> None:
    deployment.zip_layers(template)
    [made] = _zips(template)
    assert template.read_text() == BUILT.replace(
        "ContentUri: NumbersLayer", f"ContentUri: ../layers/{made.name}"
    )
    with zipfile.ZipFile(made) as archive:
        assert archive.testzip() is None
        assert archive.read("python/numbers_.py") == b"ONE = 1\n"


def test_it_is_made_once_while_the_locks_stay(template: Path) -> None:
    deployment.zip_layers(template)
    [made] = _zips(template)
    before = made.stat().st_mtime_ns
    template.write_text(BUILT)
    deployment.zip_layers(template)
    assert [path.stat().st_mtime_ns for path in _zips(template)] == [before]


def test_another_lock_makes_another_and_removes_the_first(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.zip_layers(template)
    [first] = _zips(template)
    monkeypatch.setattr(deployment, "_layers_digest", lambda: "another")
    template.write_text(BUILT)
    deployment.zip_layers(template)
    assert [path.name for path in _zips(template)] == ["NumbersLayer-another.zip"]
    assert first.name != "NumbersLayer-another.zip"


def test_every_layer_of_the_template_is_found() -> None:
    """SAM writes a layer's directory under the name of its resource; the pattern relies on it."""
    template = Path(deployment.__file__).parents[1] / "template.yaml"
    names = re.findall(r"^  (\w+Layer):$", template.read_text(), re.MULTILINE)
    assert len(names) >= 4
    for name in names:
        assert deployment._LAYER.search(f"      ContentUri: {name}") is not None
