"""The event schemas and examples under events/, and how to check one against the other."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

EVENTS = Path(__file__).parents[2] / "events"
SCHEMAS = {
    path.name.removesuffix(".schema.json"): path
    for path in sorted((EVENTS / "schemas").glob("*.schema.json"))
}
EXAMPLES = {
    path.name.removesuffix(".json"): path for path in sorted((EVENTS / "examples").glob("*.json"))
}


def load(path: Path) -> Any:
    """The JSON value in a file."""
    return json.loads(path.read_text("utf-8"))


def example(name: str) -> dict[str, Any]:
    """An example by name: <event>.<case>."""
    event: dict[str, Any] = load(EXAMPLES[name])
    return event


def event_of(name: str) -> str:
    """The event that an example is of."""
    return name.partition(".")[0]


@cache
def schemas() -> Registry[Any]:
    """All schemas, also the shared ones, by their $id."""
    paths = (EVENTS / "schemas").rglob("*.schema.json")
    resources = [Resource.from_contents(load(path)) for path in paths]
    return Registry().with_resources([(resource.id() or "", resource) for resource in resources])


@cache
def validator(event: str) -> Draft202012Validator:
    """The validator of an event's schema."""
    return Draft202012Validator(load(SCHEMAS[event]), registry=schemas())


def problems(event: str, document: Any) -> list[str]:
    """Where the document breaks the event's schema; empty if it is valid."""
    return [
        f"{error.json_path}: {error.message}" for error in validator(event).iter_errors(document)
    ]


@cache
def expanded(event: str) -> Any:
    """The event's schema with what it refers to in place of the references."""
    root = Resource.from_contents(load(SCHEMAS[event]))
    return _expand(root.contents, schemas().resolver_with_root(root))


def _expand(schema: Any, resolver: Any) -> Any:
    if isinstance(schema, list):
        return [_expand(entry, resolver) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _expand(value, resolver) for key, value in schema.items() if key != "$ref"}
    if "$ref" in schema:
        target = resolver.lookup(schema["$ref"])
        found["allOf"] = [*found.get("allOf", []), _expand(target.contents, target.resolver)]
    return found


def parts(schema: Any) -> list[Any]:
    """An expanded schema and all that it is composed of."""
    return [schema, *(part for inner in schema.get("allOf", ()) for part in parts(inner))]


def members(schema: Any) -> dict[str, list[Any]]:
    """What an expanded schema says of each member of an object; a member may be said twice."""
    found: dict[str, list[Any]] = {}
    for part in parts(schema):
        for name, inner in part.get("properties", {}).items():
            found.setdefault(name, []).append(inner)
    return found
