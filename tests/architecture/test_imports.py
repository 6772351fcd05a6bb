"""Who may import what. The rules are in CONTRIBUTING.md; this keeps them true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from governance.settings import Settings

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"
PACKAGE = FUNCTIONS / "governance"
MODULES = sorted(PACKAGE.rglob("*.py"))
HANDLERS = sorted(path for path in (PACKAGE / "handlers").glob("*.py") if path.stem != "__init__")
AWS = {"boto3", "botocore", "mypy_boto3"}
# The only ones that may talk to AWS, and read the environment.
ADAPTERS = PACKAGE / "adapters"
SETTINGS = PACKAGE / "settings.py"
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
# What a layer may import besides itself. `entry` is how every function begins.
MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "contracts": {"domain"},
    "adapters": {"domain", "contracts", "settings"},
    "handlers": {"domain", "contracts", "adapters", "settings", "entry"},
    "cli": {"domain", "contracts", "adapters", "local"},
    "local": set(),
}
LAYERED = [
    (layer, path)
    for layer in MAY_IMPORT
    for path in sorted(
        (ROOT if layer in ("cli", "local") else PACKAGE).joinpath(layer).rglob("*.py")
    )
]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions, as an absolute dotted name."""
    top = FUNCTIONS if path.is_relative_to(FUNCTIONS) else ROOT
    package = ".".join(path.relative_to(top).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _root(module: str) -> str:
    return module.partition(".")[0].split("_boto3")[0]


def _layer(module: str) -> str | None:
    """The layer of a module of ours, by its name; None for one of others."""
    root, *rest = module.split(".")
    if root == "governance":
        return rest[0] if rest else root
    return root if root in ("cli", "local", "tests", "benchmarks") else None


def _attributes(path: Path) -> Iterator[str]:
    """Every dotted expression in a file, for example `os.environ` or `datetime.now`."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def _in(folder: str) -> list[Path]:
    return [path for path in MODULES if path.is_relative_to(PACKAGE / folder)]


@pytest.mark.parametrize(("layer", "path"), LAYERED, ids=[_name(path) for _, path in LAYERED])
def test_each_layer_imports_what_the_table_says(layer: str, path: Path) -> None:
    others = {name for name in map(_layer, _imports(path)) if name not in (None, layer)}
    assert others - MAY_IMPORT[layer] == set()


def test_the_table_of_contributing_is_this_one() -> None:
    rows = re.findall(r"^\| `([\w/]+)` \| (.+?) \|", CONTRIBUTING, re.MULTILINE)
    said = {Path(folder).name: set(re.findall(r"[a-z]+", may)) for folder, may in rows}
    said["handlers"] = MAY_IMPORT["handlers"]  # "all of the above"
    assert {layer: said[layer] - {layer, "itself"} for layer in MAY_IMPORT} == MAY_IMPORT


@pytest.mark.parametrize("path", _in("domain"), ids=_name)
def test_the_domain_is_pure(path: Path) -> None:
    """No AWS, no environment, no clock, no chance, no files: the same facts, the same verdict."""
    impure = {*AWS, "mypy", "os", "time", "random", "secrets", "socket", "urllib", "pathlib"}
    assert {_root(module) for module in _imports(path)} & impure == set()
    calls = {attribute.rpartition(".")[2] for attribute in _attributes(path)}
    assert calls & {"now", "utcnow", "today", "environ", "uuid4"} == set()


@pytest.mark.parametrize(
    "path", [path for path in MODULES if not path.is_relative_to(ADAPTERS)], ids=_name
)
def test_only_adapters_talk_to_aws(path: Path) -> None:
    assert {_root(module) for module in _imports(path)} & {*AWS, "mypy"} == set()


@pytest.mark.parametrize("path", [path for path in MODULES if path != SETTINGS], ids=_name)
def test_only_settings_reads_the_environment(path: Path) -> None:
    assert "os" not in {_root(module) for module in _imports(path)}


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_nothing_deployed_imports_the_command_line_or_the_emulator(path: Path) -> None:
    assert {_root(module) for module in _imports(path)} & {"cli", "local", "tests"} == set()


@pytest.mark.parametrize("path", HANDLERS, ids=_name)
def test_handlers_do_not_import_each_other(path: Path) -> None:
    assert [name for name in _imports(path) if name.startswith("governance.handlers")] == []


@pytest.mark.parametrize("path", HANDLERS, ids=_name)
def test_each_handler_says_what_it_does(path: Path) -> None:
    tree = ast.parse(path.read_text(), str(path))
    handlers = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "handler"
    ]
    assert len(handlers) == 1, "a handler module exposes one function `handler`"
    assert ast.get_docstring(tree)
    assert ast.get_docstring(handlers[0])
    assert [ast.unparse(node) for node in handlers[0].decorator_list] == ["entry_point"]


@pytest.mark.parametrize("path", HANDLERS, ids=_name)
def test_handlers_do_not_wait_and_do_not_catch(path: Path) -> None:
    """Retries, waits and what happens after an error belong into the state machine."""
    tree = ast.parse(path.read_text(), str(path))
    assert not any(isinstance(node, ast.Try | ast.While) for node in ast.walk(tree))
    assert "time" not in {_root(module) for module in _imports(path)}


def test_only_one_place_assumes_roles() -> None:
    callers = [
        _name(path)
        for path in MODULES
        if any(name.endswith(".assume_role") for name in _attributes(path))
    ]
    assert callers == [_name(ADAPTERS / "sessions.py")]


def test_importing_the_handlers_loads_no_heavy_library() -> None:
    """scikit-learn, jsonschema, signing: for the functions that use them, when they use them."""
    modules = ", ".join(f"governance.handlers.{path.stem}" for path in HANDLERS)
    code = (
        f"import sys, {modules}\n"
        "heavy = {'sklearn', 'numpy', 'scipy', 'jsonschema'}\n"
        "heavy |= {'securesystemslib', 'in_toto_attestation', 'google.protobuf'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={field.name.upper(): "x" for field in fields(Settings)}
        | {"PYTHONPATH": str(FUNCTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
