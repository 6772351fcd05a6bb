"""Deploy the stacks into the embedded AWS, with SAM, as into AWS.

What differs from AWS is in samconfig.toml (the `local-` environments), and here: functions run on
this machine's Python, so the runtime and the architecture must be this machine's.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from local.launcher import Server
from local.organisation import ACCOUNTS, environment, own_environment, root_session

Progress = Callable[[str], None]

_ROOT = Path(__file__).parents[1]
_LAYER = re.compile(r"^  (\w+Layer):$", re.MULTILINE)


class _Loader(yaml.CSafeLoader):
    """What SAM builds has intrinsic functions by their long names; its dates are words."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: str(node.value))

_ARCHITECTURES = {
    # machine: (Lambda's name, uv's platform for wheels)
    "x86_64": ("x86_64", "x86_64-manylinux_2_28"),
    "amd64": ("x86_64", "x86_64-manylinux_2_28"),
    "aarch64": ("arm64", "aarch64-manylinux_2_28"),
    "arm64": ("arm64", "aarch64-manylinux_2_28"),
}


class DeploymentError(RuntimeError):
    """SAM did not build or deploy; the message ends with what it said last."""


def deploy(server: Server, progress: Progress) -> None:
    """Build the templates and deploy every stack, each as the root of its account.

    Central takes as long as the members together, so it has one lane and they have another; the
    members share one build. `progress` is told of every step that ends. DeploymentError if one
    fails.
    """
    _make_bucket(server)
    members = [place for place in ACCOUNTS if place != "central"]

    def lane(places: Sequence[str]) -> None:
        _build(f"local-{places[0]}", progress)
        prepare(_built_template(f"local-{places[0]}"))
        for place in places:
            _deploy(server, place, progress)

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(lane, places) for places in (["central"], members)]:
            done.result()


def _make_bucket(server: Server) -> None:
    """The bucket for SAM's uploads; SAM's own way to one waits 15 s for a stack that is there."""
    s3 = root_session(ACCOUNTS["central"]).client("s3", endpoint_url=server.endpoint_url)
    s3.create_bucket(Bucket=_config("local-central")["deploy"]["parameters"]["s3_bucket"])


def build(name: str, directory: Path | None = None) -> None:
    """Build the template of an environment of samconfig.toml, into its directory or another.

    A `local-` environment is built for this machine, any other for Lambda as the template says.
    DeploymentError if SAM fails.
    """
    where = ["--build-dir", str(directory)] if directory else []
    local = name.startswith("local-")
    variables = {"PYTHON_VERSION": _version(), "PLATFORM": _host()[1]} if local else {}
    if local and directory is None and layers_are_kept(_built_template(name)):
        variables["KEPT_LAYERS"] = "1"
    overrides = _overrides(name) if local else []
    _sam(["build", "--config-env", name, *where, *overrides], variables)


def _build(name: str, progress: Progress) -> None:
    started = time.monotonic()
    build(name)
    progress(f"sam build   --config-env {name:14} {time.monotonic() - started:5.1f} s")


def prepare(template: Path) -> None:
    """Give SAM the layers and the code of a built template as zip files, and the template as JSON.

    SAM itself compresses every layer at every deployment, and the code once for every function
    that shares it: a fourth of the time of `make demo`. Layers change only with their locks, so
    their zip files are kept until then, in `packages` beside the directory of the build. JSON is
    YAML, and read a hundred times as fast by SAM, which reads a template more than once.
    """
    built = yaml.load(template.read_text(), Loader=_Loader)
    packages: dict[str, Path] = {}
    for resource in built["Resources"].values():
        properties = resource.get("Properties", {})
        for name, zipped in (("ContentUri", _zipped_layer), ("CodeUri", _zipped_code)):
            directory = properties.get(name)
            if directory is not None:
                if directory not in packages:
                    packages[directory] = zipped(template, directory)
                properties[name] = os.path.relpath(packages[directory], template.parent)
    template.write_text(json.dumps(built))


def _zipped_layer(template: Path, layer: str) -> Path:
    path = _layer_zip(template, layer)
    if not path.exists():
        for old in _packages(template).glob(f"{layer}-*.zip"):
            old.unlink()
        _zip(template.parent / layer, path)
    return path


def _zipped_code(template: Path, directory: str) -> Path:
    path = _packages(template) / f"{directory}.zip"
    _zip(template.parent / directory, path)
    return path


def layers_are_kept(template: Path) -> bool:
    """True if there is a zip file of every layer; then `layers/Makefile` need not build any."""
    names = _LAYER.findall((_ROOT / "template.yaml").read_text())
    return all(_layer_zip(template, name).exists() for name in names)


def _layer_zip(template: Path, layer: str) -> Path:
    return _packages(template) / f"{layer}-{_layers_digest()}.zip"


def _packages(template: Path) -> Path:
    return template.parents[1] / "packages"


def _built_template(name: str) -> Path:
    return _ROOT / str(_config(name)["deploy"]["parameters"]["template_file"])


def _layers_digest() -> str:
    """What the built layers depend on: their sources, this machine's Python and its platform."""
    digest = hashlib.sha256(f"{_version()} {_host()[1]}".encode())
    for path in sorted((_ROOT / "layers").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _zip(directory: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for entry in sorted(directory.rglob("*")):
            archive.write(entry, entry.relative_to(directory))
    partial.rename(path)


def _deploy(server: Server, place: str, progress: Progress) -> None:
    started = time.monotonic()
    name = f"local-{place}"
    _sam(
        ["deploy", "--config-env", name, *_overrides(name)],
        environment(root_session(ACCOUNTS[place]), server.endpoint_url),
    )
    progress(f"sam deploy  --config-env {name:14} {time.monotonic() - started:5.1f} s")


def _overrides(name: str) -> list[str]:
    """The environment's own parameters, and this machine's Python and architecture."""
    config = _config(name)
    parameters: list[str] = config["deploy"]["parameters"]["parameter_overrides"]
    if "PythonRuntime" in (_ROOT / config["build"]["parameters"]["template_file"]).read_text():
        architecture = _host()[0]
        parameters = [
            *parameters,
            f"PythonRuntime=python{_version()}",
            f"Architecture={architecture}",
        ]
    return ["--parameter-overrides", *parameters]


def _config(name: str) -> dict[str, Any]:
    """An environment of samconfig.toml."""
    config: dict[str, Any] = tomllib.loads((_ROOT / "samconfig.toml").read_text())[name]
    return config


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _host() -> tuple[str, str]:
    machine = platform.machine().lower()
    if machine not in _ARCHITECTURES:
        raise DeploymentError(
            f"Lambda has no architecture for this machine ({machine}); "
            f"one of {', '.join(sorted(_ARCHITECTURES))} is needed"
        )
    return _ARCHITECTURES[machine]


def _sam(arguments: list[str], variables: dict[str, str]) -> None:
    bin_directory = Path(sys.executable).parent
    outcome = subprocess.run(
        [bin_directory / "sam", *arguments],
        cwd=_ROOT,
        env=own_environment()
        | variables
        | {
            "PATH": f"{bin_directory}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.5",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if outcome.returncode:
        said = "\n".join(outcome.stdout.splitlines()[-30:])
        raise DeploymentError(f"sam {' '.join(arguments)} ended with {outcome.returncode}:\n{said}")
