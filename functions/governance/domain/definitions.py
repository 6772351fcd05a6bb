"""Deployment definitions: what a schema cannot say of one, and which one it is.

A definition is the parsed `deployment.yaml` of a project. Its digest is the SHA-256 of its RFC 8785
form, so neither comments nor the order of keys make another one of it. A reference to it is
{digest, uri}.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import rfc8785

from governance.domain import suite_plans
from governance.domain.errors import InvalidInputError

# The version's metadata that binds a definition to its approval.
METADATA_KEY = "deployment-definition"
# Raised by hand, it stops a release that runs; no project can declare it.
STOP = "stop"
# They say which of the candidate's code runs; the candidate's own values are what was approved.
_THE_CANDIDATES = frozenset({"SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY"})
LONGEST_SHIFT = 21_600  # seconds; SageMaker gives a deployment eight hours, and instances start too

LONGEST_TRIAL = 604_800  # seconds; what a week has not shown, a person decides

Definition = Mapping[str, Any]
Problem = dict[str, Any]  # {path: [keys and indices], reason}


def canonical(definition: Definition) -> bytes:
    """The RFC 8785 form. InvalidInputError for what is no JSON."""
    try:
        return rfc8785.dumps(dict(definition))
    except rfc8785.CanonicalizationError as error:
        raise InvalidInputError(f"the deployment definition is not JSON: {error}") from error


def digest(definition: Definition) -> str:
    """SHA-256 (hex) of the RFC 8785 form."""
    return hashlib.sha256(canonical(definition)).hexdigest()


def key(model: str, digest_: str) -> str:
    """Where in the evidence bucket a model's definition is."""
    return f"deployments/{model}/{digest_}.json"


def reference(bucket: str, model: str, digest_: str) -> dict[str, str]:
    """{digest, uri} of a model's definition."""
    return {"digest": digest_, "uri": f"s3://{bucket}/{key(model, digest_)}"}


def bound(description: Mapping[str, Any]) -> str | None:
    """The digest that a version's approval names (DescribeModelPackage), None if it names none."""
    found: str | None = (description.get("CustomerMetadataProperties") or {}).get(METADATA_KEY)
    return found


def chosen(named: str | None, project: Mapping[str, Any], bucket: str) -> dict[str, str] | None:
    """The reference of the definition that counts: the approval's, else the project's default.

    `project` is the directory's entry, `bucket` that of the evidence; None if there is neither.
    """
    if named:
        return reference(bucket, project["model"], named)
    default = project.get("definition")
    return {"digest": default["digest"], "uri": default["uri"]} if default else None


def describe(problem: Mapping[str, Any]) -> str:
    """A problem as "path: reason"."""
    place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in problem["path"])
    return f"{place.lstrip('.') or 'the definition'}: {problem['reason']}"


def problems(definition: Definition, tier: Mapping[str, Any] | None = None) -> list[Problem]:
    """[{path, reason}] of what the schema lets pass: contradictions, and what the tier forbids.

    `definition` keeps its schema. Without `tier` (a tier policy) it is held against none.
    """
    return [
        *_endpoint(definition["endpoint"]),
        *_release(definition["release"], definition["endpoint"]),
        *_twice(definition.get("suites", []), ["suites"]),
        *_suites(definition.get("suites", [])),
        *(_against_tier(definition, tier) if tier is not None else ()),
    ]


def shift_seconds(strategy: Mapping[str, Any]) -> int:
    """How long a strategy waits until all traffic has moved, the instances' own time aside."""
    if strategy["type"] == "canary":
        return int(strategy["wait_seconds"])
    if strategy["type"] == "linear":
        steps: int = -(-100 // strategy["step_percent"])
        return int(strategy["wait_seconds"]) * (steps - 1)
    return 0


def trial_seconds(strategy: Mapping[str, Any]) -> int:
    """How long a strategy tries the new version beside the one that serves, before any shift."""
    if strategy["type"] == "a-b":
        return int(strategy["look_seconds"]) * int(strategy["looks"])
    return int(strategy["seconds"]) if strategy["type"] == "shadow" else 0


def _endpoint(endpoint: Mapping[str, Any]) -> Iterator[Problem]:
    for variable in sorted(_THE_CANDIDATES & set(endpoint.get("environment", {}))):
        yield _problem(
            ["endpoint", "environment", variable],
            "says which code runs, and that is the candidate's: register a version with another",
        )
    scaling, count = endpoint.get("autoscaling"), endpoint["instance_count"]
    if scaling is None:
        return
    if scaling["min"] > scaling["max"]:
        yield _problem(
            ["endpoint", "autoscaling", "max"],
            f"is {scaling['max']}; expected at least min, {scaling['min']}",
        )
    elif not scaling["min"] <= count <= scaling["max"]:
        yield _problem(
            ["endpoint", "instance_count"],
            f"is {count}; expected {scaling['min']} to {scaling['max']}, as autoscaling says",
        )


def _release(release: Mapping[str, Any], endpoint: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _twice(release["alarms"], ["release", "alarms"])
    for index, alarm in enumerate(release["alarms"]):
        if alarm["name"] == STOP:
            yield _problem(
                ["release", "alarms", index, "name"], f"is {STOP!r}, which every endpoint has"
            )
        if alarm["period_seconds"] * alarm["evaluation_periods"] > 86_400:
            yield _problem(
                ["release", "alarms", index, "evaluation_periods"],
                "looks back more than a day; CloudWatch looks at one day at most",
            )
    strategy = release["strategy"]
    steps = strategy["type"] in ("canary", "linear")
    if steps and not release["alarms"]:
        yield _problem(
            ["release", "alarms"],
            f"is empty; {strategy['type']} moves traffic step by step so that an alarm can stop it",
        )
    if steps and endpoint["instance_count"] < 2:
        yield _problem(
            ["endpoint", "instance_count"],
            f"is {endpoint['instance_count']}; expected 2 or more: a step of {strategy['type']} is "
            "at most half of the instances",
        )
    if trial_seconds(strategy) > LONGEST_TRIAL:
        yield _problem(
            ["release", "strategy", "looks"],
            f"adds up to {trial_seconds(strategy)} s with all looks; expected at most "
            f"{LONGEST_TRIAL} s",
        )
    seconds = shift_seconds(strategy)
    if seconds > LONGEST_SHIFT:
        yield _problem(
            ["release", "strategy", "wait_seconds"],
            f"adds up to {seconds} s with all steps; expected at most {LONGEST_SHIFT} s",
        )


def _against_tier(definition: Definition, tier: Mapping[str, Any]) -> Iterator[Problem]:
    name, bounds, release = tier["tier"], tier["release"], definition["release"]
    kind = release["strategy"]["type"]
    if kind not in bounds["strategies"]:
        yield _problem(
            ["release", "strategy", "type"],
            f"is {kind}; tier {name} allows {', '.join(bounds['strategies'])}",
        )
    if release["bake_seconds"] < bounds["bake_seconds_min"]:
        yield _problem(
            ["release", "bake_seconds"],
            f"is {release['bake_seconds']}; tier {name} asks for at least "
            f"{bounds['bake_seconds_min']}",
        )
    watched = {alarm["metric"] for alarm in release["alarms"]}
    for metric in bounds["alarms"]:
        if metric not in watched:
            yield _problem(
                ["release", "alarms"], f"watches no {metric}; tier {name} asks for an alarm on it"
            )
    yield from _looser(definition.get("thresholds", {}), tier)


def _looser(thresholds: Mapping[str, float], tier: Mapping[str, Any]) -> Iterator[Problem]:
    for limit, value in sorted(thresholds.items()):
        theirs = tier["thresholds"].get(limit)
        if theirs is None:
            continue
        if value < theirs if limit.endswith("_min") else value > theirs:
            bound = "at least" if limit.endswith("_min") else "at most"
            yield _problem(
                ["thresholds", limit],
                f"is {value}, looser than tier {tier['tier']}; expected {bound} {theirs}",
            )


def _suites(chosen: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    for index, suite in enumerate(chosen):
        try:
            suite_plans.item(suite)
        except InvalidInputError as error:
            yield _problem(["suites", index], str(error))


def _twice(named: Iterable[Mapping[str, Any]], path: Sequence[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, entry in enumerate(named):
        if entry["name"] in seen:
            yield _problem([*path, index, "name"], f"is {entry['name']!r} a second time")
        seen.add(entry["name"])


def _problem(path: Sequence[str | int], reason: str) -> Problem:
    return {"path": list(path), "reason": reason}
