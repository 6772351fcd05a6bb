"""Called wrongly, every command says what was wrong and what would be right."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import Result

from cli import options
from cli.main import cli
from governance.domain import phases
from governance.domain.identity import PERSONA_ROLES

Govern = Callable[..., Result]
APPROVE = ("approve", "clinical-risk-classifier/1")
PROVISION = (
    *("provision", "m", "--project", "p", "--endpoint-name", "e"),
    *("--dev", "444455556666", "--test", "777788889999"),
)


def _commands(command: click.Command, *path: str) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [path]
    below = [found for n, c in command.commands.items() for found in _commands(c, *path, n)]
    return [path, *below]


@pytest.mark.parametrize("path", _commands(cli), ids=" ".join)
def test_help_of_every_command_shows_examples_of_it(govern: Govern, path: tuple[str, ...]) -> None:
    result = govern(*path, "--help")
    assert result.exit_code == 0
    _, _, examples = result.output.partition("Examples:\n")
    called = " ".join(("govern", *path))
    assert called in examples.partition("\n\n")[0]


@pytest.mark.parametrize(
    "path",
    [path for path in _commands(cli) if path not in ((), ("local",), ("policy",), ("deployment",))],
    ids=" ".join,
)
def test_every_command_speaks_json(govern: Govern, path: tuple[str, ...]) -> None:
    assert "--json" in govern(*path, "--help").output


def test_the_choices_are_those_of_the_domain() -> None:
    people = [persona for persona in PERSONA_ROLES.values() if persona != "training-pipeline"]
    assert sorted(options.PERSONAS) == sorted(people)
    assert [stage.capitalize() for stage in options.STAGES] == list(phases.APPROVALS)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((*APPROVE, "--stage", "test", "--as", "boss"), ["'boss'", "governance-engineer"]),
        ((*APPROVE, "--stage", "qa", "--as", "admin"), ["'qa'", "'dev', 'test', 'prod'"]),
        ((*APPROVE, "--stage", "test"), ["--as"]),
        (("approve", "--stage", "test", "--as", "ai-engineer"), ["MODEL/VERSION"]),
        ((*APPROVE, "--stage", "test", "--as", "ai-engineer", "--user", "a b"), ["'a b'"]),
        (("approve", "a/b/c", "--stage", "dev", "--as", "data-scientist"), ["'a/b/c'"]),
        (("approve", "m/0", "--stage", "dev", "--as", "data-scientist"), ["'m/0'"]),
        ((*APPROVE, "--stage", "prod", "--as", "governance-engineer"), ["reason", "--because"]),
        (
            (*APPROVE, "--stage", "prod", "--as", "governance-engineer", "--because", " "),
            ["reason"],
        ),
        (
            (*APPROVE, "--stage", "test", "--as", "ai-engineer", "--because", "x" * 1025),
            ["1025 characters", "1024"],
        ),
        (("reject", "m/1", "--stage", "test", "--as", "ai-engineer"), ["--because"]),
        (("reject", "m/1", "--stage", "test", "--as", "admin", "--because", ""), ["reason"]),
        ((*PROVISION, "--prod", "123456789012", "--tier", "extreme"), ["'extreme'", "medium"]),
        ((*PROVISION, "--prod", "12345678901", "--tier", "low"), ["'12345678901'", "12 digits"]),
        ((*PROVISION, "--prod", "444455556666", "--tier", "low"), ["share an account"]),
        (
            (*PROVISION, "--prod", "123456789012", "--tier", "low", "--deployment", "none.yaml"),
            ["'none.yaml'", "does not exist"],
        ),
        (
            (*APPROVE, "--stage", "dev", "--as", "data-scientist", "--deployment", "Makefile"),
            ["--deployment is not for dev", "approval for test"],
        ),
        (("deployment", "check", "none.yaml"), ["'none.yaml'", "does not exist"]),
        (("deployment", "publish", "Makefile", "--as", "ai-engineer"), ["--model"]),
        (("status", "--central-account", "42"), ["'42'", "12 digits"]),
        (("history", "a model"), ["'a model'"]),
        (("promote",), ["'promote'"]),
        (("local", "restart"), ["'restart'"]),
    ],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_wrong_calls_name_the_thing(
    govern: Govern, arguments: tuple[str, ...], named: list[str], as_json: bool
) -> None:
    result = govern(*arguments, *(["--json"] if as_json else []))
    assert result.exit_code == 2, result.output
    if as_json:
        error = json.loads(result.output)["error"]
        assert error.keys() == {"code", "message", "hint"}
        assert error["code"] == "usage"
        said = error["message"] + error["hint"]
    else:
        assert result.output.startswith("Error: ")
        said = result.output
    assert [part for part in named if part not in said] == []


def test_help_does_not_load_what_only_commands_need() -> None:
    """--help and usage errors are immediate: AWS's library alone takes a third of a second."""
    code = (
        "import sys, cli.main\n"
        "print(sorted({'boto3', 'botocore', 'rich', 'local', 'jsonschema'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
