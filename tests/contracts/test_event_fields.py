"""Fields of AWS's events that mirror an API have the API's names; and the emulator's events fit.

The events are documented by examples only. What botocore knows of the same thing is the best
check there is on names and values; where the documentation differs from the API is listed here.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from jsonschema import Draft202012Validator

from governance.contracts.documents import EVALUATION_REPORT
from local.sagemaker import events as emulated
from local.sagemaker.callers import Caller
from tests.contracts import events, samples

PACKAGE = "sagemaker-model-package-state-change"
ENDPOINT = "sagemaker-endpoint-state-change"
DEPLOYMENT = "sagemaker-endpoint-deployment-state-change"
TRAIL = "cloudtrail-update-model-package"
# In an event's detail and not in the API's answer, as documented.
ONLY_IN_EVENTS = {
    PACKAGE: {"UpdatedModelPackageFields", "previousModelApprovalStatus", "Tags"},
    ENDPOINT: {"Tags"},
    DEPLOYMENT: {"Tags"},
}
DESCRIBED_BY = {
    PACKAGE: "DescribeModelPackage",
    ENDPOINT: "DescribeEndpoint",
    DEPLOYMENT: "DescribeEndpoint",
}


@cache
def _sagemaker() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")


def _detail(event: str) -> Any:
    (detail,) = [
        rule for rule in events.members(events.expanded(event))["detail"] if "properties" in rule
    ]
    return detail


def _misnamed(schema: Any, shape: Any, path: str = "") -> list[str]:
    """Members of a schema that the API's shape does not have, at every depth."""
    found = []
    for name, rules in events.members(schema).items():
        if shape.type_name != "structure" or name not in shape.members:
            found.append(f"{path}{name}")
            continue
        for rule in rules:
            found += _misnamed_inside(rule, shape.members[name], f"{path}{name}.")
    return found


def _misnamed_inside(rule: Any, shape: Any, path: str) -> list[str]:
    if shape.type_name == "list" and "items" in rule:
        return _misnamed(rule["items"], shape.member, path)
    return _misnamed(rule, shape, path) if shape.type_name == "structure" else []


@pytest.mark.parametrize("event", DESCRIBED_BY)
def test_every_field_of_an_event_is_one_of_the_api_but_for_the_documented_ones(event: str) -> None:
    output = _sagemaker().operation_model(DESCRIBED_BY[event]).output_shape
    assert set(_misnamed(_detail(event), output)) == ONLY_IN_EVENTS[event]


@pytest.mark.parametrize(
    ("field", "shape"),
    [
        ("ModelPackageStatus", "ModelPackageStatus"),
        ("ModelApprovalStatus", "ModelApprovalStatus"),
    ],
)
def test_the_values_of_a_version_are_the_apis(field: str, shape: str) -> None:
    enum = _detail(PACKAGE)["properties"][field]["enum"]
    assert set(enum) == set(_sagemaker().shape_for(shape).enum)


@pytest.mark.parametrize("event", [ENDPOINT, DEPLOYMENT])
def test_the_statuses_of_an_endpoint_are_the_apis_in_upper_snake_case(event: str) -> None:
    enum = _detail(event)["properties"]["EndpointStatus"]["enum"]
    assert set(enum) == {
        emulated.upper_snake(status) for status in _sagemaker().shape_for("EndpointStatus").enum
    }


def test_the_statuses_of_a_variant_are_the_apis() -> None:
    variants = _detail(DEPLOYMENT)["properties"]["ProductionVariants"]
    text = json.dumps(variants)
    for status in _sagemaker().shape_for("VariantStatus").enum:
        assert f'"{status}"' in text


def test_the_life_cycle_takes_the_words_that_the_api_takes() -> None:
    pattern = _sagemaker().shape_for("ModelLifeCycle").members["StageStatus"].metadata["pattern"]
    life_cycle = json.dumps(_detail(PACKAGE)["properties"]["ModelLifeCycle"])
    assert json.dumps(f"^{pattern}$") in life_cycle


def test_the_updated_fields_of_the_examples_can_be_updated() -> None:
    """`sourceUri` is documented with a small s."""
    members = _sagemaker().operation_model("UpdateModelPackage").input_shape.members
    for name in events.EXAMPLES:
        if events.event_of(name) == PACKAGE:
            updated = events.example(name)["detail"].get("UpdatedModelPackageFields", [])
            assert set(updated) <= members.keys()


@pytest.mark.parametrize(
    "name", [name for name in events.EXAMPLES if events.event_of(name) == TRAIL]
)
def test_cloudtrail_writes_the_request_in_lower_camel_case(name: str) -> None:
    members = _sagemaker().operation_model("UpdateModelPackage").input_shape.members
    known = {member[:1].lower() + member[1:] for member in members}
    assert events.example(name)["detail"]["requestParameters"].keys() <= known


# ------------------------------------------------------------------ the emulator's events

NOW = 1_795_251_600.25


def _envelope(detail_type: str, detail: dict[str, Any], resource: str) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "e",
        "detail-type": detail_type,
        "source": "aws.sagemaker",
        "account": samples.DEV,
        "time": emulated.iso(NOW),
        "region": samples.REGION,
        "resources": [resource],
        "detail": json.loads(json.dumps(detail)),
    }


@pytest.mark.parametrize("updated", [[], ["ModelLifeCycle"]], ids=["registered", "updated"])
def test_the_emulators_package_event_is_aws_event(updated: list[str]) -> None:
    record = samples.description(CreationTime=NOW, LastModifiedTime=NOW)
    detail = emulated.package_state_change(record, updated)
    event = _envelope(emulated.PACKAGE_CHANGE, detail, record["ModelPackageArn"])
    assert events.problems(PACKAGE, event) == []
    assert detail["LastModifiedTime"] == "2026-11-21T09:00:00Z"


def _endpoint() -> dict[str, Any]:
    variant = {
        "VariantName": "AllTraffic",
        "CurrentWeight": 1.0,
        "DesiredWeight": 1.0,
        "CurrentInstanceCount": 1,
        "DesiredInstanceCount": 1,
        "VariantStatus": [
            {"Status": "Baking", "StatusMessage": "waits for alarms", "StartTime": NOW}
        ],
    }
    return {
        "EndpointName": "clinical-risk",
        "EndpointArn": f"arn:aws:sagemaker:{samples.REGION}:{samples.PROD}:endpoint/clinical-risk",
        "EndpointConfigName": "clinical-risk-prod-1",
        "EndpointStatus": "Updating",
        "ProductionVariants": [variant],
        "PendingDeploymentSummary": {
            "EndpointConfigName": "clinical-risk-prod-2",
            "StartTime": NOW,
            "ProductionVariants": [variant],
        },
        "CreationTime": NOW,
        "LastModifiedTime": NOW,
    }


def test_the_emulators_endpoint_events_are_aws_events() -> None:
    endpoint = _endpoint()
    for event, kind, detail in (
        (ENDPOINT, emulated.ENDPOINT_CHANGE, emulated.endpoint_state_change(endpoint, {"a": "b"})),
        (
            DEPLOYMENT,
            emulated.DEPLOYMENT_CHANGE,
            emulated.endpoint_deployment_change(endpoint, {}),
        ),
    ):
        assert events.problems(event, _envelope(kind, detail, endpoint["EndpointArn"])) == []


@pytest.mark.parametrize("error", [None, ("AccessDeniedException", "no")], ids=["done", "denied"])
def test_the_emulators_cloudtrail_record_is_aws_record(error: tuple[str, str] | None) -> None:
    operation = _sagemaker().operation_model("UpdateModelPackage")
    arn = samples.version_arn(samples.DEV, 1)
    caller = Caller(
        arn=f"arn:aws:sts::{samples.DEV}:assumed-role/governed-path-data-scientist/dana",
        principal_id="AROAEXAMPLE:dana",
        account=samples.DEV,
        access_key="ASIAEXAMPLE",
        source_identity="dana",
        issued_at=NOW,
        address="192.0.2.10",
        user_agent="aws-cli",
    )
    detail = emulated.api_call(
        "UpdateModelPackage",
        (operation.input_shape, operation.output_shape),
        {"ModelPackageArn": arn, "ModelLifeCycle": {"Stage": "Dev", "StageStatus": "Approved"}},
        None if error else {"ModelPackageArn": arn},
        caller,
        samples.REGION,
        error,
    )
    assert events.problems(TRAIL, _envelope(emulated.API_CALL, detail, arn)) == []


# ------------------------------------------------------------------ the training pipeline's report


def test_the_pipelines_own_report_schema_lets_nothing_pass_that_the_gate_refuses() -> None:
    """The template is a project of its own and has a copy, which may be stricter."""
    root = Path(__file__).parents[2]
    path = root / "templates/classical-regression/build/pipeline/evaluation.schema.json"
    theirs = Draft202012Validator(json.loads(path.read_text("utf-8")))
    ours = Draft202012Validator(dict(EVALUATION_REPORT))
    report = samples.evaluation_report()
    assert list(theirs.iter_errors(report)) == []
    for path_, value in _mutations(report):
        mutant = samples.evaluation_report()
        holder: Any = mutant
        for key in path_[:-1]:
            holder = holder[key]
        holder[path_[-1]] = value
        assert ours.is_valid(mutant) or not theirs.is_valid(mutant), (path_, value)


def _mutations(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[tuple[Any, ...], Any]] = []
    for key, entry in entries:
        found += [((*path, key), other) for other in (None, -1, 2.5, "", "x", [], {}, True)]
        if isinstance(entry, dict | list):
            found += _mutations(entry, (*path, key))
    if isinstance(value, dict):
        found.append(((*path, "surprise"), 1))
    return found
