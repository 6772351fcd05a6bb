"""The exact versions of the libraries that the model was made with and is loaded with.

A version that names them can be found, and recalled, when one of them turns out to be broken. They
are those of the environment that registers, which is that of the serving image when the pipeline
runs in SageMaker (README.md).
"""

from __future__ import annotations

import json
import re
from importlib import metadata
from typing import Any

SCHEMA = "governed-path/libraries/v1"
ROOTS = ("joblib", "numpy", "scikit-learn")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SEPARATORS = re.compile(r"[-_.]+")


def installed(roots: tuple[str, ...] = ROOTS) -> dict[str, str]:
    """{name: version} of these libraries and of all that they require, sorted by name.

    What is not installed is not listed: a requirement of another platform, above all.
    """
    found: dict[str, str] = {}
    wanted = list(roots)
    while wanted:
        name = _SEPARATORS.sub("-", wanted.pop()).lower()
        if name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found[name] = distribution.version
        wanted += _required_by(distribution)
    return dict(sorted(found.items()))


def document() -> bytes:
    """The list as libraries.json; the same libraries give the same bytes."""
    listed: dict[str, Any] = {"schema": SCHEMA, "libraries": installed()}
    return json.dumps(listed, indent=2, sort_keys=True).encode()


def _required_by(distribution: metadata.Distribution) -> list[str]:
    """The names that it requires by itself; what an extra would add is not needed."""
    wanted = [one for one in distribution.requires or [] if "extra ==" not in one]
    return [name[0] for one in wanted if (name := _NAME.match(one.strip()))]
