"""Serves one model as SageMaker's scikit-learn container does: GET /ping, POST /invocations.

Run as `python -m local.sagemaker.model_server --socket FD --model-dir DIR`. The model's own code
is DIR/code/inference.py (or SAGEMAKER_PROGRAM) with model_fn, and optionally input_fn, predict_fn
and output_fn or transform_fn; code/requirements.txt is not installed, the host's packages are
used. The process ends when its standard input does, so it never outlives its parent.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

_TEXT = ("application/json", "text/csv")
_LARGEST = 25 << 20  # bytes; SageMaker's limit for a payload
_Result = tuple[int, str, bytes]


class UnsupportedFormatError(Exception):
    """The default functions know JSON, CSV and NPY."""


@dataclass
class Model:
    """The loaded model and the functions that serve it; one request at a time, as a worker."""

    model: Any
    input_fn: Callable[[Any, str], Any]
    predict_fn: Callable[[Any, Any], Any]
    output_fn: Callable[[Any, str], Any]
    transform_fn: Callable[[Any, Any, str, str], Any] | None

    def __post_init__(self) -> None:
        self._turn = threading.Lock()

    def answer(self, body: bytes, content_type: str, accept: str) -> _Result:
        """(status, content type, body) for one request."""
        with self._turn:
            try:
                return self._answer(body, content_type, accept)
            except Exception as error:
                # The model's own code can raise anything; the client gets a 500, the log the rest.
                traceback.print_exc()
                return _error(500, error)

    def _answer(self, body: bytes, content_type: str, accept: str) -> _Result:
        content: str | bytes = body
        if content_type.partition(";")[0].strip().lower() in _TEXT:
            content = body.decode("utf-8", "replace")
        if self.transform_fn is not None:
            return _response(self.transform_fn(self.model, content, content_type, accept), accept)
        try:
            data = self.input_fn(content, content_type)
        except UnsupportedFormatError as error:
            return _error(415, error)
        except ValueError as error:
            return _error(400, error)
        prediction = self.predict_fn(data, self.model)
        try:
            return _response(self.output_fn(prediction, accept), accept)
        except (UnsupportedFormatError, ValueError) as error:
            return _error(406, error)


def load(model_dir: Path) -> Model:
    """The model in the directory; whatever its code raises while loading ends the process."""
    module = _user_module(model_dir)
    if not hasattr(module, "model_fn"):
        raise NotImplementedError(f"{module.__file__} has no model_fn")
    os.environ.update({"SM_MODEL_DIR": str(model_dir)})
    return Model(
        model=module.model_fn(str(model_dir)),
        input_fn=getattr(module, "input_fn", default_input_fn),
        predict_fn=getattr(module, "predict_fn", lambda data, model: model.predict(data)),
        output_fn=getattr(module, "output_fn", default_output_fn),
        transform_fn=getattr(module, "transform_fn", None),
    )


def default_input_fn(content: str | bytes, content_type: str) -> Any:
    """The container's default: an array from JSON, CSV or NPY."""
    import numpy

    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return numpy.array(json.loads(content), dtype=numpy.float32)
    if kind == "text/csv":
        text = content if isinstance(content, str) else content.decode()
        return numpy.genfromtxt(io.StringIO(text), dtype=numpy.float32, delimiter=",", ndmin=2)
    if kind == "application/x-npy" and isinstance(content, bytes):
        return numpy.load(io.BytesIO(content), allow_pickle=False)
    raise UnsupportedFormatError(f"Content type {content_type} is not supported by this framework.")


def default_output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """The container's default: JSON, CSV or NPY, as the client accepts."""
    import numpy

    array = numpy.asarray(prediction)
    if accept == "application/json":
        return json.dumps(array.tolist()).encode(), accept
    buffer = io.BytesIO()
    if accept == "text/csv":
        numpy.savetxt(buffer, numpy.atleast_2d(array.T).T, delimiter=",", fmt="%s")
        return buffer.getvalue(), accept
    if accept == "application/x-npy":
        numpy.save(buffer, array, allow_pickle=False)
        return buffer.getvalue(), accept
    raise UnsupportedFormatError(f"Accept type {accept} is not supported by this framework.")


def serve(listener: socket.socket, model: Model) -> None:
    """Answer on the socket until the process is ended."""
    address = listener.getsockname()
    server = ThreadingHTTPServer(address, _handler(model), bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.server_name, server.server_port = address[:2]
    server.daemon_threads = True
    server.serve_forever()


def main() -> None:
    """Entry point."""
    arguments = argparse.ArgumentParser(prog="python -m local.sagemaker.model_server")
    arguments.add_argument("--socket", type=int, required=True, help="a listening socket")
    arguments.add_argument("--model-dir", type=Path, required=True)
    options = arguments.parse_args()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _hide_our_own_code()
    model = load(options.model_dir)
    serve(socket.socket(fileno=options.socket), model)


def _user_module(model_dir: Path) -> ModuleType:
    code = model_dir / "code"
    path = code / os.environ.get("SAGEMAKER_PROGRAM", "inference.py")
    if not path.is_file():
        raise FileNotFoundError(f"model.tar.gz has no code/{path.name}")
    sys.path.insert(0, str(code))
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"code/{path.name} is not a Python module")
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    return module


def _hide_our_own_code() -> None:
    """A model must not find this project's packages: in AWS they are not there."""
    root = Path(__file__).parents[2]
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != root]


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _response(result: Any, accept: str) -> _Result:
    """What output_fn returned: a body, (body, content type), or an object with .response."""
    kind = accept
    if isinstance(result, tuple):
        result, kind = result[0], result[1]
    if isinstance(result, str):
        return 200, kind, result.encode()
    if isinstance(result, bytes | bytearray):
        return 200, kind, bytes(result)
    body, kind = default_output_fn(result, kind)
    return 200, kind, body


def _error(status: int, error: Exception) -> _Result:
    # A KeyError's text alone is only the key.
    text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return status, "text/plain; charset=utf-8", text.encode()


def _handler(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one segment for an answer; two would wait for each other's acknowledgement
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            known = self.path == "/ping"
            self._send(200 if known else 404, "application/json", b"{}" if known else b"")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.path != "/invocations" or length > _LARGEST:
                self.close_connection = True
                self._send(413 if length > _LARGEST else 404, "text/plain", b"")
                return
            body = self.rfile.read(length)
            accept = self.headers.get("Accept") or "*/*"
            if accept == "*/*":
                accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")
            content_type = self.headers.get("Content-Type") or "application/json"
            self._send(*model.answer(body, content_type, accept))

        def _send(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Not every request: the log is for what the model has to say."""

    return Handler


if __name__ == "__main__":
    main()
