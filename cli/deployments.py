"""Deployment definitions: read from YAML, checked line by line, published under their digest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cli import evidence, policies, projects
from cli.errors import GovernError
from governance import contracts
from governance.adapters import definitions as stored
from governance.adapters.artifacts import Artifacts
from governance.adapters.policies import tier_of
from governance.domain import definitions
from governance.domain.errors import (
    AccessError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
)

if TYPE_CHECKING:
    import boto3

KEY = "alias/governed-path"
LARGEST = 64 * 1024  # bytes; a definition is a page of text
_ITEM = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    path: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {place}{self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """{file, line, column, path, reason}"""
        return asdict(self)


class _Loader(yaml.SafeLoader):
    """YAML of JSON's types alone: a date is the text that it is written as."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def check(
    file: Path, tier: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[Problem]]:
    """(definition, problems) of a file; {} if there are problems.

    `tier` is the tier policy that it is held against, none without one. GovernError `not_found` if
    the file cannot be read.
    """
    text = _text(file)
    try:
        root = yaml.compose(text, _Loader)
    except yaml.YAMLError as error:
        return {}, [_unreadable(file, error)]
    if root is None:
        return {}, [Problem(str(file), 1, 1, "", "is empty; expected a deployment definition")]
    found = [_at(file, node, "", reason) for node, reason in _no_json(root)]
    if found:
        return {}, found
    loader = _Loader(text)
    try:
        document = loader.construct_document(root)
    except yaml.YAMLError as error:
        return {}, [_unreadable(file, error)]
    problems = contracts.definition_problems(document, tier)
    if not problems:
        try:
            definitions.canonical(document)
        except InvalidInputError as error:
            problems = [{"path": [], "reason": str(error)}]
    if problems:
        return {}, sorted((_located(file, root, one) for one in problems), key=_place)
    return dict(document), []


def read(file: Path, tier: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The definition in a file; GovernError `invalid` names everything that is wrong with it."""
    definition, found = check(file, tier)
    if found:
        raise GovernError(
            "invalid",
            "\n".join(str(problem) for problem in found),
            f"govern deployment check {file}",
            details={"problems": [problem.to_dict() for problem in found]},
        )
    return definition


def tier_policy(name: str, directory: Path = policies.DIRECTORY) -> dict[str, Any]:
    """The tier policy of that name in a directory of policies."""
    body = policies.bodies(directory, name)["tier"]
    tier: dict[str, Any] = json.loads(body)
    return tier


def tier_in_force(reader: boto3.Session, model: str) -> dict[str, Any] | None:
    """The tier policy that gates hold the model against; None for a model that has none yet."""
    project = projects.find_project(reader, model)
    if project is None:
        return None
    return tier_of(project, Artifacts(reader))


def publish(
    session: boto3.Session, central: str, model: str, definition: Mapping[str, Any]
) -> dict[str, str]:
    """Store a definition for a model as the session's persona; its {digest, uri}.

    What is published stays: the same definition again changes nothing.
    """
    bucket = evidence.bucket(session, central)
    try:
        return stored.store(Artifacts(session), bucket, model, definition, KEY)
    except AccessError as error:
        raise GovernError(
            "access_denied",
            str(error),
            "that is for: ai-engineer; govern deployment publish ... --as ai-engineer",
        ) from error
    except (IntegrityError, NotFoundError) as error:
        raise GovernError("integrity", str(error), "treat it as an incident") from error


def seen(
    reader: boto3.Session, reference: Mapping[str, str] | None, tier: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """({digest, uri, problems}, definition) as a gate would see it; None for what is not there."""
    if reference is None:
        return None, None
    looked = stored.look(reference, tier, Artifacts(reader))
    return looked, evidence.definition(reader, reference)


def published(reader: boto3.Session, central: str, model: str, digest: str) -> dict[str, str]:
    """The reference of a definition that an AI Engineer has published for the model."""
    reference = definitions.reference(evidence.bucket(reader, central), model, digest)
    try:
        stored.read(reference, Artifacts(reader))
    except NotFoundError as error:
        raise GovernError(
            "not_found",
            f"deployment definition {digest} is not published for model {model}",
            f"an AI Engineer does that: govern deployment publish FILE --model {model} "
            "--as ai-engineer",
        ) from error
    return reference


def _text(file: Path) -> str:
    try:
        body = file.read_bytes()
        text = body.decode()
    except OSError as error:
        raise GovernError(
            "not_found", f"{file}: {error.strerror or error}", "name the project's deployment.yaml"
        ) from error
    except UnicodeDecodeError as error:
        raise GovernError("invalid", f"{file} is not UTF-8: {error}", "save it as UTF-8") from error
    if len(body) > LARGEST:
        raise GovernError(
            "invalid", f"{file} has {len(body)} bytes; at most {LARGEST} are read", "shorten it"
        )
    return text


def _no_json(
    node: yaml.Node, outside: frozenset[int] = frozenset()
) -> Iterator[tuple[yaml.Node, str]]:
    """(node, reason) of what YAML knows and JSON does not, or what it would silently overwrite."""
    if id(node) in outside:
        yield node, "refers to itself"
        return
    inside = outside | {id(node)}
    if isinstance(node, yaml.MappingNode):
        yield from _no_names(node)
        for _, value in node.value:
            yield from _no_json(value, inside)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _no_json(value, inside)
    elif node.tag.removeprefix(_ITEM) not in {"str", "int", "float", "bool", "null"}:
        yield node, f"{_shown(node)} has tag {node.tag}, which is not JSON's"


def _no_names(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, str]]:
    names: set[str] = set()
    for name, _ in node.value:
        if name.tag != f"{_ITEM}str":
            yield name, f"{_shown(name)} is no text; quote it"
        elif name.value in names:
            yield name, f"{name.value} is said a second time"
        else:
            names.add(name.value)


def _shown(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "a key"


def _located(file: Path, root: yaml.Node, problem: Mapping[str, Any]) -> Problem:
    path: Sequence[str | int] = problem["path"]
    said = definitions.describe(problem).partition(": ")[0] if path else ""
    return _at(file, _node(root, path), said, str(problem["reason"]))


def _node(root: yaml.Node, path: Sequence[str | int]) -> yaml.Node:
    """The node at the path, or the innermost one on the way to it."""
    found: yaml.Node = root
    for step in path:
        if isinstance(found, yaml.MappingNode):
            inner = [(name, value) for name, value in found.value if name.value == step]
            if not inner:
                return found
            name: yaml.Node = inner[0][0]
            found = inner[0][1]
            if step == path[-1] and not isinstance(found, yaml.ScalarNode):
                return name
        elif isinstance(found, yaml.SequenceNode) and isinstance(step, int):
            found = found.value[step]
        else:
            return found
    return found


def _at(file: Path, node: yaml.Node, path: str, reason: str) -> Problem:
    mark = node.start_mark
    return Problem(str(file), mark.line + 1, mark.column + 1, path, reason)


def _unreadable(file: Path, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Problem(str(file), line, column, "", f"is not YAML: {said}")


def _place(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column
