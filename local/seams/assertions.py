"""What a seam relies on, checked when the emulator starts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import version
from types import ModuleType
from typing import Any

EMULATOR_VERSION = "1.5.33"


class SeamError(RuntimeError):
    """The emulator is not shaped as a seam expects; the pin or the seam must change."""


def require(condition: bool, seam: str, expected: str) -> None:
    """SeamError unless `condition`: `seam` relied on `expected`, which is not so."""
    if not condition:
        raise SeamError(
            f"seam {seam}: expected {expected} in ministack {EMULATOR_VERSION}; "
            f"found ministack {version('ministack')} without it"
        )


def require_version() -> None:
    """SeamError unless the emulator is the pinned version."""
    require(version("ministack") == EMULATOR_VERSION, "version", f"version {EMULATOR_VERSION}")


def require_source(seam: str, function: Callable[..., Any], *fragments: str) -> None:
    """SeamError unless the function's source has every fragment."""
    source = inspect.getsource(function)
    for fragment in fragments:
        require(fragment in source, seam, f"{fragment!r} in {function.__name__}")


def require_attributes(seam: str, module: ModuleType, *names: str) -> None:
    """SeamError unless the module has every one of these names."""
    for name in names:
        require(hasattr(module, name), seam, f"{name} in {module.__name__}")


def require_parameters(seam: str, function: Callable[..., Any], *names: str) -> None:
    """SeamError unless the function takes exactly these parameters."""
    found = tuple(inspect.signature(function).parameters)
    require(found == names, seam, f"{function.__name__}{names}, not {found}")
