"""Execution environments of functions: one unpacked package for all, one made before its first use.

The emulator unpacks the code and the layers anew for each worker, gives each a new interpreter, and
starts the first worker of a function when it is first invoked. Here workers share one directory for
each package, which no function can write to in AWS either, and with it Python's compiled modules;
they are forked off a process that has boto3 loaded. As Lambda may, one environment of a new
function is initialised before anybody invokes it.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

from local.fork_server import ForkedProcess, ForkServer
from local.seams.assertions import (
    require,
    require_attributes,
    require_parameters,
    require_source,
)

logger = logging.getLogger("governed-path")

_FUNCTION = "AWS::Lambda::Function"
_AT_ONCE = 2  # functions; a start is nearly all computing, and laptops have few processors
_UNPACKING = threading.Lock()
_FORK_SERVER = ForkServer()


class _SharedPackage(zipfile.ZipFile):
    """A package that is unpacked by its digest and linked to where it is wanted."""

    def namelist(self) -> list[str]:
        """What is to be looked at before it is unpacked: nothing that was unpacked before."""
        return [] if (_directory() / self._digest()).exists() else super().namelist()

    def extractall(self, path: object = None, members: object = None, pwd: object = None) -> None:
        """Make the empty directory `path` a link to the unpacked package."""
        wanted = Path(str(path))
        with _UNPACKING:
            unpacked = _directory() / self._digest()
            if not unpacked.exists():
                partial = unpacked.with_suffix(".partial")
                shutil.rmtree(partial, ignore_errors=True)
                super().extractall(partial)
                partial.rename(unpacked)
        wanted.rmdir()
        wanted.symlink_to(unpacked, target_is_directory=True)

    def _digest(self) -> str:
        with open(str(self.filename), "rb") as package:
            return hashlib.file_digest(package, "sha256").hexdigest()


def install() -> None:
    """Share what is unpacked, and initialise new functions in the background."""
    require_attributes(
        "environments",
        lambda_runtime,
        *("Worker", "zipfile", "subprocess", "ensure_spawned", "release_worker"),
    )
    require_source(
        "environments",
        lambda_runtime.Worker._spawn,
        *("zf.extractall(code_dir)", "lzf.extractall(layer_dir)"),
        "in lzf.namelist():",
        *("[binary, worker_path],", "cwd=code_dir,", "env=spawn_env,"),
    )
    require_parameters(
        "environments",
        lambda_runtime.acquire_worker,
        *("func_name", "config", "code_zip", "qualifier", "max_concurrency"),
    )
    handlers = provisioners._RESOURCE_HANDLERS.get(_FUNCTION, {})
    require(callable(handlers.get("create")), "environments", f"a create handler of {_FUNCTION}")
    require_parameters("environments", handlers["create"], "logical_id", "props", "stack_name")
    require(
        hasattr(getattr(lambda_svc, "_functions", None), "get"),
        "environments",
        "functions by name",
    )
    shared = SimpleNamespace(**{**vars(zipfile), "ZipFile": _SharedPackage})
    vars(lambda_runtime)["zipfile"] = shared
    forking = SimpleNamespace(**{**vars(subprocess), "Popen": _start_process})
    vars(lambda_runtime)["subprocess"] = forking
    _initialise_new(handlers)


def _start_process(
    arguments: list[str], **options: Any
) -> ForkedProcess | subprocess.Popen[str] | subprocess.Popen[bytes]:
    """`subprocess.Popen`, but a Python script that the emulator runs as a worker is forked."""
    if len(arguments) == 2 and arguments[0] == sys.executable:
        return _FORK_SERVER.start(arguments[1], str(options["cwd"]), options["env"])
    process: subprocess.Popen[Any] = subprocess.Popen(arguments, **options)
    return process


def _initialise_new(handlers: dict[str, Any]) -> None:
    create, created = handlers["create"], queue.SimpleQueue[tuple[str, str, str]]()

    def create_function(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        result = create(logical_id, props, stack_name)
        created.put((get_account_id(), get_region(), result[0]))
        return result

    def initialise() -> None:
        while True:
            account, region, name = created.get()
            try:
                with request_scope(account, region):
                    _initialise(name)
            except Exception:  # the first invocation meets the same error and reports it
                logger.exception("function %s of %s could not be initialised", name, account)

    handlers["create"] = create_function
    for number in range(_AT_ONCE):
        threading.Thread(
            target=initialise, name=f"function-initialisation-{number}", daemon=True
        ).start()


def _initialise(name: str) -> None:
    function = lambda_svc._functions.get(name)
    if function is None or not function.get("code_zip"):
        return
    worker, _ = lambda_runtime.acquire_worker(name, function["config"], function["code_zip"])
    try:
        lambda_runtime.ensure_spawned(worker)
    finally:
        lambda_runtime.release_worker(worker)


def _directory() -> Path:
    packages = Path(tempfile.gettempdir(), "packages")
    packages.mkdir(exist_ok=True)
    return packages
