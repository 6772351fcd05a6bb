"""The container contract: which of the model's functions is called with what, and what is said."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy
import pytest

from local.sagemaker import model_server


def load(tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> model_server.Model:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(code)
    monkeypatch.setattr("sys.path", list(model_server.sys.path))
    monkeypatch.delitem(model_server.sys.modules, "inference", raising=False)
    model = model_server.load(tmp_path)
    monkeypatch.delitem(model_server.sys.modules, "inference", raising=False)
    return model


DEFAULTS = """
class Sum:
    def predict(self, rows):
        return rows.sum(axis=1)

def model_fn(model_dir):
    return Sum()
"""


@pytest.mark.parametrize(
    ("content_type", "body", "accept", "expected"),
    [
        ("application/json", b"[[1, 2], [3, 4]]", "application/json", b"[3.0, 7.0]"),
        ("application/json; charset=utf-8", b"[[1, 2]]", "application/json", b"[3.0]"),
        ("text/csv", b"1,2\n3,4", "application/json", b"[3.0, 7.0]"),
        ("text/csv", b"1,2", "text/csv", b"3.0\n"),
    ],
)
def test_default_functions(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content_type: str,
    body: bytes,
    accept: str,
    expected: bytes,
) -> None:
    model = load(tmp_path, DEFAULTS, monkeypatch)
    assert model.answer(body, content_type, accept) == (200, accept, expected)


def test_default_functions_take_and_give_npy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tmp_path, DEFAULTS, monkeypatch)
    buffer = io.BytesIO()
    numpy.save(buffer, numpy.array([[1.0, 2.0]]))
    status, kind, body = model.answer(buffer.getvalue(), "application/x-npy", "application/x-npy")
    assert (status, kind) == (200, "application/x-npy")
    assert numpy.load(io.BytesIO(body)).tolist() == [3.0]


@pytest.mark.parametrize(
    ("content_type", "body", "accept", "status"),
    [
        ("image/png", b"x", "application/json", 415),
        ("application/json", b"{", "application/json", 400),
        ("application/json", b"[[1]]", "image/png", 406),
        ("application/json", b'{"a": 1}', "application/json", 500),
    ],
)
def test_default_functions_refuse(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content_type: str,
    body: bytes,
    accept: str,
    status: int,
) -> None:
    model = load(tmp_path, DEFAULTS, monkeypatch)
    assert model.answer(body, content_type, accept)[0] == status


@pytest.mark.parametrize(
    ("where", "error", "status"),
    [
        ("input_fn", "ValueError('bad')", 400),
        ("input_fn", "KeyError('bad')", 500),
        ("predict_fn", "ValueError('bad')", 500),
        ("output_fn", "ValueError('bad')", 406),
        ("output_fn", "RuntimeError('bad')", 500),
    ],
)
def test_errors_of_the_models_functions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: str, status: int
) -> None:
    functions = {
        "model_fn": "def model_fn(directory):\n    return None\n",
        "input_fn": "def input_fn(body, content_type):\n    return body\n",
        "predict_fn": "def predict_fn(data, model):\n    return data\n",
        "output_fn": "def output_fn(prediction, accept):\n    return prediction, 'text/plain'\n",
    }
    functions[where] = functions[where].partition("    ")[0] + f"    raise {error}\n"
    model = load(tmp_path, "".join(functions.values()), monkeypatch)
    answered, kind, body = model.answer(b"{}", "application/json", "*/*")
    assert answered == status
    assert kind.startswith("text/plain")
    assert b"bad" in body


def test_transform_fn_replaces_the_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "def model_fn(directory):\n    return 'm'\n"
        "def transform_fn(model, body, content_type, accept):\n"
        "    return repr((model, body, content_type, accept))\n"
    )
    model = load(tmp_path, code, monkeypatch)
    answer: Any = model.answer(b"1", "text/csv", "text/csv")
    assert answer == (200, "text/csv", b"('m', '1', 'text/csv', 'text/csv')")


def test_code_can_import_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "neighbour_of_inference.py").write_text("VALUE = 5")
    (tmp_path / "code" / "inference.py").write_text(
        "import json, neighbour_of_inference\n"
        "def model_fn(directory):\n    return neighbour_of_inference.VALUE\n"
        "def input_fn(body, content_type):\n    return body\n"
        "def predict_fn(data, model):\n    return model\n"
    )
    monkeypatch.setattr("sys.path", list(model_server.sys.path))
    model = model_server.load(tmp_path)
    for module in ("inference", "neighbour_of_inference"):
        monkeypatch.delitem(model_server.sys.modules, module, raising=False)
    assert json.loads(model.answer(b"", "text/csv", "application/json")[2]) == 5


def test_missing_code_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no code/inference\.py"):
        model_server.load(tmp_path)
