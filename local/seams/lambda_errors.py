"""A function's error keeps its class, so that Retry and Catch can name it.

The emulator reports every exception as Runtime.HandlerError. Its worker sends text only, so the
class travels in front of the message between two control characters. A process that ended without
an answer is Runtime.ExitError.
"""

from __future__ import annotations

from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.seams.assertions import require, require_parameters, require_source

_MARK = "\x01"
_DIED = "Worker process died"
_FOUND = '"error": str(e), "trace": traceback.format_exc()}'
_WANTED = '"error": "\\x01" + type(e).__name__ + "\\x01" + str(e), "trace": traceback.format_exc()}'


def install() -> None:
    """Make errorType the class name, with the message and the stack as AWS reports them."""
    script: str = lambda_runtime._PYTHON_WORKER_SCRIPT
    require(script.count(_FOUND) == 1, "lambda_errors", "one error report in the Python worker")
    require_parameters(
        "lambda_errors", lambda_svc._execute_function_warm, "func", "event", "request_id"
    )
    require_source("lambda_errors", lambda_runtime.Worker.invoke, _DIED)
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(_FOUND, _WANTED)
    original = lambda_svc._execute_function_warm

    def execute(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        result: dict[str, Any] = original(func, event, request_id)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict):
            result["body"] = _with_class(body, str(result.get("log", "")))
        return result

    lambda_svc._execute_function_warm = execute


def _with_class(body: dict[str, Any], log: str) -> dict[str, Any]:
    if body.get("errorMessage") == _DIED:
        said = "RequestId: Error: Runtime exited without providing a reason"
        return {"errorMessage": said, "errorType": "Runtime.ExitError"}
    parts = str(body.get("errorMessage", "")).split(_MARK, 2)
    if len(parts) != 3:
        return body
    _, kind, message = parts
    start = log.rfind("Traceback (most recent call last):")
    stack = log[start:].splitlines() if start >= 0 else []
    return {"errorMessage": message, "errorType": kind, "stackTrace": stack}
