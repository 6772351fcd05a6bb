"""Each example is an event of its schema, each schema has an example, and schemas refuse."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from governance.domain import approval_events, outcomes
from governance.domain.errors import InvalidInputError
from tests.contracts import events, samples

Place = tuple[str, ...]
PACKAGE = "sagemaker-model-package-state-change"
ENVELOPE = (
    *("version", "id", "detail-type", "source", "account"),
    *("time", "region", "resources", "detail"),
)


def _required(schema: Any, document: Any, path: Place = ()) -> Iterator[Place]:
    """Every required place that the document has."""
    if isinstance(document, dict):
        for part in events.parts(schema):
            yield from ((*path, name) for name in part.get("required", ()) if name in document)
        for name, rules in events.members(schema).items():
            for rule in rules:
                yield from _required(rule, document.get(name), (*path, name))


def _mutations() -> list[Any]:
    return [
        pytest.param(name, place, id=f"{name}: {'.'.join(place)}")
        for name in events.EXAMPLES
        for place in sorted(
            set(_required(events.expanded(events.event_of(name)), events.example(name)))
        )
    ]


@pytest.mark.parametrize("path", sorted((events.EVENTS / "schemas").rglob("*.json")), ids=str)
def test_every_schema_is_json_schema_and_named_after_its_file(path: Any) -> None:
    schema = events.load(path)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == str(path.relative_to(events.EVENTS / "schemas"))
    assert schema["title"]
    assert schema["description"]


@pytest.mark.parametrize("name", events.EXAMPLES)
def test_every_example_is_valid(name: str) -> None:
    assert events.problems(events.event_of(name), events.example(name)) == []


def test_every_schema_has_an_example_and_every_example_a_schema() -> None:
    assert {events.event_of(name) for name in events.EXAMPLES} == events.SCHEMAS.keys()


@pytest.mark.parametrize("name", events.EXAMPLES)
def test_an_example_of_one_event_is_no_event_of_another(name: str) -> None:
    matching = [
        event for event in events.SCHEMAS if not events.problems(event, events.example(name))
    ]
    assert matching == [events.event_of(name)]


@pytest.mark.parametrize(("name", "place"), _mutations())
def test_without_a_required_field_an_example_is_refused_by_that_field(
    name: str, place: Place
) -> None:
    mutant = copy.deepcopy(events.example(name))
    holder = mutant
    for key in place[:-1]:
        holder = holder[key]
    del holder[place[-1]]
    found = events.problems(events.event_of(name), mutant)
    assert any(f"'{place[-1]}' is a required property" in problem for problem in found), found


@pytest.mark.parametrize("name", events.EXAMPLES)
def test_the_whole_envelope_is_required(name: str) -> None:
    places = set(_required(events.expanded(events.event_of(name)), events.example(name)))
    assert {(field,) for field in ENVELOPE} <= places
    assert events.example(name).keys() == set(ENVELOPE)


@pytest.mark.parametrize("name", events.EXAMPLES)
def test_an_example_has_no_field_that_its_schema_does_not_describe(name: str) -> None:
    """AWS may add fields and its schemas let them pass; our examples invent none."""
    assert list(_undescribed([events.expanded(events.event_of(name))], events.example(name))) == []


def _undescribed(rules: list[Any], document: Any, path: str = "$") -> Iterator[str]:
    if isinstance(document, list):
        items = [part["items"] for rule in rules for part in events.parts(rule) if "items" in part]
        for number, entry in enumerate(document):
            yield from _undescribed(items, entry, f"{path}[{number}]")
    described: dict[str, list[Any]] = {}
    for rule in rules:
        for name, inner in events.members(rule).items():
            described.setdefault(name, []).extend(inner)
    if isinstance(document, dict) and described:
        for name, value in document.items():
            if name in described:
                yield from _undescribed(described[name], value, f"{path}.{name}")
            else:
                yield f"{path}.{name}"


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (("source",), "aws.s3", "$.source"),
        (("source",), [], "$.source"),
        (("account",), "11112222333", "$.account"),
        (("time",), "yesterday", "$.time"),
        (("detail-type",), "SageMaker Model State Change", "$['detail-type']"),
        (("resources",), [], "$.resources"),
        (("detail", "ModelPackageArn"), samples.version_arn().rpartition("/")[0], "$.detail.Model"),
        (("detail", "ModelPackageVersion"), "3", "$.detail.ModelPackageVersion"),
        (("detail", "ModelApprovalStatus"), "APPROVED", "$.detail.ModelApprovalStatus"),
        (("detail", "LastModifiedTime"), "2026-11-21 06:00", "$.detail.LastModifiedTime"),
        (("detail", "UpdatedModelPackageFields"), "ModelLifeCycle", "$.detail.Updated"),
        (("detail", "UpdatedModelPackageFields"), [], "$.detail.Updated"),
        (("detail", "ModelLifeCycle"), {"Stage": "Dev"}, "$.detail.ModelLifeCycle"),
        (
            ("detail", "ModelLifeCycle"),
            {"Stage": "Dev", "StageStatus": "Really Approved"},
            "$.detail.ModelLifeCycle.StageStatus",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_its_place(place: Place, value: Any, problem: str) -> None:
    mutant = events.example(f"{PACKAGE}.dev-approved")
    holder = mutant
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    found = events.problems(PACKAGE, mutant)
    assert any(entry.startswith(problem) for entry in found), found


# ------------------------------------------------------------------ what we make of them

PACKAGE_EXAMPLES = [name for name in events.EXAMPLES if name.startswith(PACKAGE)]
STARTS = {
    "dev-approved": "Dev",
    "dev-approved-as-others-saw-it": "Dev",
    "dev-approved-by-status": "Dev",
    "dev-approved-by-status-of-registered": "Dev",
    "unknown-account-approved": "Dev",
    "test-approved": "Test",
    "prod-approved": "Prod",
}


@pytest.mark.parametrize("name", PACKAGE_EXAMPLES)
def test_the_code_reads_from_an_example_what_the_example_is_called(name: str) -> None:
    event, stage = events.example(name), STARTS.get(name.partition(".")[2])
    assert approval_events.approved_stage(event["detail"]) == stage
    if stage:
        promotion = approval_events.promotion(event, "workflow", stage, "arn:execution")
        assert promotion["model_package_arn"] == event["resources"][0]
        assert promotion["model"] == event["detail"]["ModelPackageGroupName"]
        assert promotion["decided_at"] == event["detail"]["LastModifiedTime"]
    else:
        with pytest.raises(InvalidInputError):
            approval_events.promotion(event, "workflow", "Dev", "arn:execution")


ENDPOINTS = "sagemaker-endpoint-state-change"


@pytest.mark.parametrize(
    ("case", "final"),
    [
        ("in-service", True),
        ("test-in-service", True),
        ("failed", True),
        ("updating", False),
    ],
)
def test_the_code_reads_endpoint_events(case: str, final: bool) -> None:
    event = events.example(f"{ENDPOINTS}.{case}")
    arn, status = outcomes.endpoint_change(event)
    assert arn == event["resources"][0]
    assert outcomes.may_be_final(status) is final


def test_every_status_of_an_endpoint_event_is_one_of_the_api() -> None:
    """Events write IN_SERVICE where the API writes InService."""
    properties = events.load(events.SCHEMAS[ENDPOINTS])["properties"]["detail"]["properties"]
    for status in properties["EndpointStatus"]["enum"]:
        assert re.fullmatch("[A-Z]+(_[A-Z]+)*", status)
        assert outcomes.pascal_status(status) != status
