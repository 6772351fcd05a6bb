"""What a handler is given is what it must be given: anything else is refused by field."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from governance import contracts
from governance.contracts.requests import REQUESTS
from governance.domain import deployments, phases, suites
from governance.domain.errors import InvalidInputError
from tests.contracts import samples

HANDLERS = Path(__file__).parents[2] / "functions" / "governance" / "handlers"
# They read AWS's own events, whose shape is checked where it is read.
EVENT_HANDLERS = {
    *("archive_entry", "publish_entry", "record_decision", "resolve_endpoint_wait"),
    *("check_review_deadlines", "detect_tampering", "record_confirmation", "record_registration"),
    *("record_policy_change", "release_endpoint_lock", "revoke_clearance"),
    *("remove_abandoned_endpoint", "record_unfinished_run"),
}

Path_ = tuple[str | int, ...]


def _deployment() -> dict[str, Any]:
    return deployments.plan(
        samples.promotion("Test"),
        samples.candidate(),
        samples.project(),
        samples.description(),
        "governed-path-endpoint-execution",
        samples.definition_reference(),
        samples.definition(),
    )


def _requests() -> dict[str, dict[str, Any]]:
    """A right request of every handler, with all its optional parts."""
    promotion, deployment = samples.promotion("Test"), _deployment()
    candidate, objects = samples.candidate(), samples.central_objects()
    approver = samples.identity("ai-engineer", "alex", samples.CENTRAL)
    trainer = samples.identity("training", "theo")
    outcome = suites.aggregate(samples.results(), {"outcome": "in_service"}, samples.suite_plan())
    report = {"uri": "s3://e/r.json", "version_id": "v", "sha256": samples.digest("r")}
    only_promotion, only_deployment = {"promotion": promotion}, {"deployment": deployment}
    return copy.deepcopy(
        {
            "claim_approval": {
                "workflow": "validate_in_test",
                "stage": "Test",
                "execution_arn": "arn:execution",
                "event": {},
            },
            "check_access": only_promotion,
            "resolve_approver": only_promotion,
            "build_candidate": only_promotion,
            "verify_candidate": only_promotion,
            "evaluate_gate": {
                **only_promotion,
                "approver": approver,
                "trainer": trainer,
                "decision_current": True,
                "approval": {},
                "candidate": candidate,
                "declared_mismatches": [],
                "differences": [],
                "evaluation": {},
            },
            "plan_copy": {**only_promotion, "candidate": candidate},
            "copy_batch": {
                **only_promotion,
                "candidate_id": samples.CANDIDATE,
                "batch": samples.batch(),
                "attempt": 0,
            },
            "verify_copy": {**only_promotion, "candidate": candidate},
            "copy_images": {**only_promotion, "candidate": {"images": candidate["images"]}},
            "abandon_copy": {**only_promotion, "candidate_id": samples.CANDIDATE},
            "register_version": {
                **only_promotion,
                "candidate": candidate,
                "objects": objects,
                "images": samples.images(),
                "approver": approver,
                "trainer": trainer,
            },
            "recreate_lineage": {
                **only_promotion,
                "candidate": candidate,
                "objects": objects,
            },
            "link_lineage": {
                **only_promotion,
                "model_package_arn": samples.version_arn(),
                "lineage": {
                    "version_arn": "arn:aws:sagemaker:us-east-1:111122223333:artifact/1",
                    "model_data_arn": "arn:aws:sagemaker:us-east-1:111122223333:artifact/2",
                    "properties": {"candidate_id": candidate["candidate_id"]},
                },
            },
            "set_stage": {
                **only_promotion,
                "model_package_arn": samples.version_arn(),
                "stage": "Test",
                "stage_status": "Validating",
                "description": "",
                "only_from": {"stage": "Test", "stage_status": "Approved"},
                "not_from": {"stage": "Prod", "stage_status": "Rejected"},
            },
            "lock_endpoint": {**only_promotion, "attempt": 0},
            "prove_rollback_target": {**only_promotion, "trigger": "person"},
            "claim_rollback": {
                "workflow": "rollback_model",
                "execution_arn": "arn:execution",
                "event": {},
            },
            "stop_release": {
                **only_promotion,
                "endpoint_arn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/m",
                "release": {
                    "execution_arn": "arn:execution",
                    "claim_id": "a" * 64,
                    "model_package_arn": samples.version_arn(),
                },
            },
            "plan_deployment": {
                **only_promotion,
                "candidate": candidate,
                "definition": samples.definition_reference()["digest"],
            },
            "grant_clearance": {**only_promotion, "candidate": candidate, **only_deployment},
            "create_model": only_deployment,
            "create_endpoint_config": only_deployment,
            "confirm_approver": {**only_promotion, "task_token": "token"},
            "deploy_endpoint": {**only_deployment, "task_token": "token"},
            "check_served_config": {
                **only_deployment,
                **only_promotion,
                "after_bake": True,
                "at_rest": True,
                "since": None,
            },
            "watch_endpoint": {**only_deployment, "unrecorded": True, "take_back": True},
            "check_alarms": {**only_deployment, "since": "2026-11-21T09:00:00.000000Z"},
            "plan_trial": only_deployment,
            "compare_variants": {
                **only_promotion,
                **only_deployment,
                "trial": only_deployment["deployment"],
                "poll": 1,
                "polls": 3,
                "alarms": ["governed-path-risk-challenger.server-errors"],
                "since": "2026-11-21T09:00:00.000000Z",
            },
            "plan_suites": {**only_deployment, "candidate": candidate, **only_promotion},
            "run_suite": {
                "suites": samples.suite_plan()["holdout_suites"],
                "shards": samples.shards(),
                "champion": {
                    "model_package_arn": samples.version_arn(),
                    "candidate_id": samples.CANDIDATE,
                    "shards": samples.shards(),
                },
                **only_deployment,
                "candidate": candidate,
                **only_promotion,
                "thresholds": {"auc_min": 0.7},
            },
            "aggregate_results": {
                **only_promotion,
                "candidate": candidate,
                **only_deployment,
                "plan": samples.suite_plan(),
                "thresholds": {"auc_min": 0.7},
                "results": samples.results(),
                "shards": samples.shards(),
                "deployment_outcome": {"outcome": "in_service"},
            },
            "write_results": {**only_promotion, "report": report},
            "remove_endpoint": only_deployment,
            "smoke_test": {**only_deployment, "candidate": candidate},
            "tag_endpoint": {**only_deployment, **only_promotion},
            "supersede_version": {**only_promotion, **only_deployment},
            "record": {
                "kind": "ValidationPassed",
                **only_promotion,
                "stage": "Test",
                "stage_status": "Passed",
                "model_package_arn": samples.version_arn(),
                "candidate_id": samples.CANDIDATE,
                "origin_arn": samples.version_arn(samples.DEV, 1),
                "superseded": None,
                "approver": approver,
                "trainer": trainer,
                "verdict": {"allowed": True},
                "report": report,
                "summary": outcome["summary"],
                "deployment": deployment,
                "failure": None,
            },
        }
    )


NAMES = sorted(_requests())


def _required(schema: Any, value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The place of every required field, at every depth that the value has."""
    if isinstance(value, dict):
        for name in schema.get("required", ()):
            yield (*path, name)
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from _required(inner, value[name], (*path, name))
    elif isinstance(value, list) and value and "items" in schema:
        yield from _required(schema["items"], value[0], (*path, 0))


def _closed(schema: Any, value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The place of every object that takes no field which is not listed."""
    if isinstance(value, dict):
        if schema.get("additionalProperties") is False:
            yield path
        for name, inner in schema.get("properties", {}).items():
            yield from _closed(inner, value.get(name), (*path, name))


def _constrained(schema: Any, value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The place of every field, in objects at every depth, that 0.5 cannot be the value of."""
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name in value and inner:
                yield (*path, name)
                yield from _constrained(inner, value[name], (*path, name))


def _holder(request: Any, path: Path_) -> Any:
    for key in path:
        request = request[key]
    return request


def _place(path: Path_) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.lstrip(".") or "the document"


def _cases(find: Any) -> list[Any]:
    return [
        pytest.param(name, path, id=f"{name}: {_place(path)}")
        for name, request in sorted(_requests().items())
        for path in find(REQUESTS[name], request)
    ]


def test_every_handler_has_its_request() -> None:
    handlers = {path.stem for path in HANDLERS.glob("*.py")} - {"__init__"}
    assert handlers == REQUESTS.keys() | EVENT_HANDLERS
    assert sorted(REQUESTS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_handler_asks_for_its_own_request(name: str) -> None:
    assert f'contracts.request("{name}"' in (HANDLERS / f"{name}.py").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_right_request_is_handed_on_as_it_is(name: str) -> None:
    request = _requests()[name]
    assert contracts.request(name, request) is request


@pytest.mark.parametrize(("name", "path"), _cases(_required))
def test_a_missing_field_is_named(name: str, path: Path_) -> None:
    request = _requests()[name]
    del _holder(request, path[:-1])[path[-1]]
    problem = re.escape(f"{_place(path[:-1])}: '{path[-1]}' is a required property")
    with pytest.raises(InvalidInputError, match=rf"^{name} was called .*{problem}"):
        contracts.request(name, request)


@pytest.mark.parametrize(("name", "path"), _cases(_closed))
def test_an_unknown_field_is_named(name: str, path: Path_) -> None:
    request = _requests()[name]
    _holder(request, path)["surprise"] = 1
    with pytest.raises(InvalidInputError, match=rf"^{name} was called .*'surprise' was unexpected"):
        contracts.request(name, request)


@pytest.mark.parametrize(("name", "path"), _cases(_constrained))
def test_a_field_of_another_type_is_named(name: str, path: Path_) -> None:
    request = _requests()[name]
    _holder(request, path[:-1])[path[-1]] = 0.5
    place = re.escape(_place(path))
    with pytest.raises(InvalidInputError, match=rf"{place}: is 0\.5; expected (type|enum) "):
        contracts.request(name, request)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("event", [None, [], "text", 1], ids=repr)
def test_what_is_no_object_is_refused(name: str, event: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"{name} was called .*the document: is "):
        contracts.request(name, event)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("resolve_approver", ("promotion", "claim_id"), "ABC"),
        ("resolve_approver", ("promotion", "claim_id"), samples.CLAIM + "\n"),
        ("resolve_approver", ("promotion", "account"), "11112222333"),
        ("resolve_approver", ("promotion", "account"), samples.DEV + "\n"),
        ("resolve_approver", ("promotion", "stage"), "Retired"),
        ("resolve_approver", ("promotion", "model"), ""),
        ("create_model", ("deployment", "stage"), "Dev"),
        ("create_model", ("deployment", "instance_count"), 0),
        ("create_model", ("deployment", "source"), "bucket"),
        ("copy_batch", ("batch", "objects", 0, "source", "sha256"), "G" * 64),
        ("copy_batch", ("batch", "objects", 0, "source", "sha256"), "a" * 64 + "-x"),
        ("copy_batch", ("batch", "objects", 0, "source", "size"), -1),
        ("copy_batch", ("batch", "objects", 0, "source", "version_id"), ""),
        ("copy_batch", ("batch", "parts", 0, "numbers", 0), [1]),
        ("copy_batch", ("batch", "parts", 0, "upload_id"), None),
        ("copy_batch", ("attempt",), -1),
        ("register_version", ("objects",), []),
        ("run_suite", ("suites", 0, "suite"), ""),
        ("run_suite", ("shards", 0, "from"), -1),
        ("aggregate_results", ("plan", "suites", 0, "entry_point"), ""),
        ("write_results", ("report", "sha256"), "x"),
    ],
)
def test_a_value_out_of_bounds_is_named(name: str, path: Path_, value: Any) -> None:
    request = _requests()[name]
    _holder(request, path[:-1])[path[-1]] = value
    with pytest.raises(InvalidInputError, match=re.escape(f"{_place(path)}: is {value!r}")):
        contracts.request(name, request)


def test_all_that_is_wrong_is_said_at_once() -> None:
    request = _requests()["resolve_approver"]
    del request["promotion"]["model"]
    request["promotion"]["stage"] = "Moon"
    with pytest.raises(InvalidInputError, match=r"'model' is a required .*stage: is 'Moon'"):
        contracts.request("resolve_approver", request)


def test_a_long_value_is_not_quoted_whole() -> None:
    request = _requests()["resolve_approver"]
    request["promotion"]["account"] = "9" * 10_000
    with pytest.raises(InvalidInputError) as refused:
        contracts.request("resolve_approver", request)
    assert len(str(refused.value)) < 400


def test_the_words_are_the_domains() -> None:
    properties = {name: schema["properties"] for name, schema in REQUESTS.items()}
    assert properties["claim_approval"]["stage"]["enum"] == list(phases.APPROVALS)
