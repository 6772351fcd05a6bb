"""Every seam stops the start when the emulator is not the one it was written for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import botocore.session
import pytest
from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, router
from ministack.services import (
    cloudwatch,
    dynamodb,
    ecr,
    eventbridge,
    iam,
    kms,
    lambda_svc,
    s3,
    sqs,
    stepfunctions,
    sts,
)
from ministack.services.cloudformation import provisioners, stacks

from local import server
from local.seams import (
    assertions,
    calls,
    concurrency,
    environments,
    event_targets,
    images,
    lambda_errors,
    large_objects,
    metrics,
    object_copies,
    permissions,
    provisioning,
    table_policies,
    workflow_tasks,
)

MODULES = (
    *(app, iam_actions, iam_evaluator, lambda_runtime, router),
    *(cloudwatch, dynamodb, ecr, eventbridge, iam, kms, lambda_svc, s3, sqs, stepfunctions, sts),
    *(provisioners, stacks),
)
# What a seam changes in place.
TABLES: tuple[dict[str, Any], ...] = (
    iam_actions.SERVICE_TO_IAM_NAMESPACE,
    iam_evaluator._RESOURCE_POLICY_LOOKUPS,
    provisioners._RESOURCE_HANDLERS,
    *(provisioners._RESOURCE_HANDLERS[name] for name in provisioning._COMPLETED),
    app.SERVICE_HANDLERS,
    router.SERVICE_PATTERNS,
    sys.modules,
)


@pytest.fixture(autouse=True)
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a seam has changed before it found a fault is as before, for the other tests."""
    before = [(vars(module), dict(vars(module))) for module in MODULES]
    before += [(table, dict(table)) for table in TABLES]
    yield
    for table, entries in before:
        for key in table.keys() - entries.keys():
            del table[key]
        table.update(entries)


def _differs(*_: Any, another_parameter: Any = None) -> None:
    """Takes the place of a function whose parameters or source have changed."""


class _Unpacks:
    """Takes the place of a worker that unpacks its packages in another way."""

    _spawn = _differs


class _Dies:
    """Takes the place of a worker that reports its end in other words."""

    invoke = _differs


def _missing(*names: str) -> list[tuple[str, Any]]:
    return [(name, None) for name in names]


# (seam, where) -> [(name, what is there instead; None: nothing)]
CHANGES: dict[tuple[ModuleType, ModuleType], list[tuple[str, Any]]] = {
    (calls, iam): [("_roles", None), ("_roles", {})],
    (calls, botocore.session): [("create_loader", None)],
    (calls, sts): [
        ("_sessions", None),
        ("register_session", _differs),
        ("handle_request", _differs),
    ],
    (concurrency, lambda_svc): [
        ("_execute_function", _differs),
        ("_execute_function", lambda func, event: None),
        ("_invoke_depth", None),
        ("_invoke", _differs),
    ],
    (concurrency, lambda_runtime): [
        ("acquire_worker", _differs),
        ("kill_workers", _differs),
        *_missing("_workers", "_lock"),
    ],
    (environments, lambda_runtime): [
        ("Worker", _Unpacks),
        ("acquire_worker", _differs),
        *_missing("Worker", "zipfile", "subprocess", "ensure_spawned", "release_worker"),
    ],
    (environments, lambda_svc): [("_functions", None)],
    (environments, provisioners): [
        ("_RESOURCE_HANDLERS", {}),
        ("_RESOURCE_HANDLERS", {"AWS::Lambda::Function": {"create": _differs}}),
    ],
    (lambda_errors, lambda_runtime): [
        ("_PYTHON_WORKER_SCRIPT", "another script"),
        ("Worker", _Dies),
    ],
    (lambda_errors, lambda_svc): [("_execute_function_warm", _differs)],
    (permissions, iam_actions): [
        ("SERVICE_TO_IAM_NAMESPACE", {"sagemaker": "sagemaker"}),
        ("extract_iam_action", _differs),
        ("extract_resource_arn", _differs),
        ("request_tag_context", _differs),
        ("s3_service_context", _differs),
    ],
    (permissions, iam_evaluator): [
        ("_RESOURCE_POLICY_LOOKUPS", {}),
        ("_conditions_met", _differs),
        ("_resolve_condition_key", _differs),
        ("evaluate_trust_policy", _differs),
    ],
    (permissions, s3): [("_bucket_owner_account", _differs)],
    (permissions, kms): [("_resolve_key", _differs)],
    (permissions, sts): [
        ("handle_request", _differs),
        *_missing("_sessions", "_caller_identity", "_error", "extract_access_key_id"),
    ],
    (table_policies, iam_evaluator): [("_RESOURCE_POLICY_LOOKUPS", {})],
    (table_policies, iam_actions): [
        ("extract_iam_action", _differs),
        ("extract_resource_arn", _differs),
    ],
    (table_policies, dynamodb): [("_resource_policies", None), ("_resource_policies", {})],
    (event_targets, eventbridge): [
        ("_invoke_target", _differs),
        ("_invoke_target", lambda target, event, rule, view: None),
        ("_dispatch_to_event_bus", _differs),
        ("_dispatch_to_stepfunctions", _differs),
        ("_dispatch_to_lambda", _differs),
        ("_put_permission", _differs),
        ("_put_events", _differs),
        *_missing("_event_buses", "_event_bus_policies", "_pattern_event_view"),
    ],
    (event_targets, lambda_svc): [
        ("_get_func_record_for_ref", _differs),
        ("_execution_record_for_config", _differs),
        ("invoke_async_with_retry", _differs),
    ],
    (event_targets, iam_evaluator): [
        ("_gather_role_policies", _differs),
        *_missing("EvalContext", "evaluate", "evaluate_resource_policy"),
    ],
    (workflow_tasks, stepfunctions): [
        ("_invoke_resource", _differs),
        ("_invoke_with_callback", _differs),
        ("_invoke_with_callback", lambda resource, input_data, token, state_def: None),
        ("_invoke_resource_with_timeout", _differs),
        ("_execute_task", _differs),
        ("_run_distributed_map", _differs),
        (
            "_run_distributed_map",
            lambda state_def, raw_input, effective, iterator, execution, ctx: None,
        ),
        ("_scaled_sleep", _differs),
        ("_execute_wait", _differs),
        ("_execute_wait", lambda state_def, raw_input, ctx=None: None),
        *_missing("_ExecutionError", "_state_machines", "_executions", "_task_tokens"),
        *_missing("_map_runs", "_parse_reader_items", "_next_or_end"),
        *_missing("_apply_jsonata_template", "_apply_jsonata_output", "_apply_state_assign"),
    ],
    (provisioning, provisioners): [
        *(
            ("_RESOURCE_HANDLERS", {**provisioners._RESOURCE_HANDLERS, name: {}})
            for name in (*provisioning._ADDED, *provisioning._COMPLETED)
        ),
        *(
            (
                "_RESOURCE_HANDLERS",
                {
                    **provisioners._RESOURCE_HANDLERS,
                    name: {**provisioners._RESOURCE_HANDLERS[name], verb: _differs},
                },
            )
            for name in provisioning._COMPLETED
            for verb in ("create", "delete")
        ),
    ],
    (provisioning, stacks): [("_runs_on_worker_thread", _differs)],
    (object_copies, s3): [
        ("_copy_object", _differs),
        ("_upload_part_copy", _differs),
        ("_copy_source_denied", _differs),
        ("_foreign_bucket_allows", _differs),
        ("_bucket_owner_account", _differs),
        ("_object_versions", {}),
        ("_create_multipart_upload", _differs),
        ("_complete_multipart_upload", _differs),
        ("_apply_object_lock_from_headers", _differs),
        ("_compute_s3_checksum", _differs),
        ("_upload_part_copy", lambda bucket_name, dest_key, query_params, headers: None),
        *_missing("_multipart_uploads", "_object_tags"),
    ],
    (large_objects, s3): [
        *(
            (name, _differs)
            for name in (
                *("_put_object", "_upload_part", "_upload_part_copy", "_get_object"),
                *("_complete_multipart_upload", "_get_object_data", "_read_body", "_version_body"),
            )
        ),
        ("S3_PERSIST", True),
        ("hashlib", object()),
        *_missing("_multipart_uploads", "_object_versions", "_buckets"),
    ],
    (object_copies, router): [("extract_access_key_id", _differs)],
    (object_copies, iam_evaluator): _missing("resolve_principal", "AuthError"),
    (images, ecr): [
        *((name, {}) for name in images._STORES),
        *((name, _differs) for name in images._OPERATIONS),
        ("handle_request", _differs),
        *_missing("_find_image", "_image_digest"),
    ],
    (images, iam_actions): [("extract_resource_arn", _differs)],
    (images, iam_evaluator): [("_RESOURCE_POLICY_LOOKUPS", {})],
    (metrics, stepfunctions): [("_emit_execution_status_event", _differs)],
    (metrics, sqs): [("_queues", {})],
    (metrics, cloudwatch): [
        ("_evaluate_all_alarms", _differs),
        ("_evaluate_alarm", _differs),
        ("_evaluate_alarm", lambda alarm: None),
        ("_dims_key", _differs),
        ("_record_history", _differs),
        ("_alarms", {}),
        *_missing("record_metric", "_metrics", "_calc_stats", "_dispatch_alarm_actions"),
        *_missing("_composite_alarms"),
    ],
    (server, app): [
        ("AUTH", False),
        ("SERVICE_HANDLERS", {"sagemaker": _differs}),
        ("SERVICE_HANDLERS", {"application-autoscaling": _differs}),
    ],
    (server, iam_evaluator): _missing("resolve_caller_identity", "validate_policy_document"),
}
CASES = [
    pytest.param(
        seam, where, name, instead, id=f"{seam.__name__.rpartition('.')[2]}-{name}-{number}"
    )
    for (seam, where), changes in CHANGES.items()
    for number, (name, instead) in enumerate(changes)
]


@pytest.fixture
def no_other_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the server itself relies on."""
    for seam in {seam for seam, _ in CHANGES} - {server}:
        monkeypatch.setattr(seam, "install", lambda *_: None)
    monkeypatch.setattr(app, "AUTH", True)
    monkeypatch.setenv("MINISTACK_REGION", "us-east-1")


def start(seam: ModuleType) -> None:
    install: Callable[..., None] = seam.install
    if seam is metrics:
        install("us-east-1")
    else:
        install()


@pytest.mark.parametrize(("seam", "where", "name", "instead"), CASES)
def test_a_difference_stops_the_start(
    seam: ModuleType,
    where: ModuleType,
    name: str,
    instead: Any,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if seam is server:
        request.getfixturevalue("no_other_seam")
    if instead is None:
        monkeypatch.delattr(where, name)
    else:
        monkeypatch.setattr(where, name, instead)
    with pytest.raises((assertions.SeamError, AttributeError)) as raised:
        start(seam)
    assert isinstance(raised.value, assertions.SeamError), raised.value
    label = seam.__name__.rpartition(".")[2]
    assert str(raised.value).startswith(f"seam {label}: expected ")
    assert f"in ministack {assertions.EMULATOR_VERSION}; found ministack" in str(raised.value)


def test_another_version_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINISTACK_REGION", "us-east-1")
    monkeypatch.setattr(assertions, "version", lambda _: "1.6.0")
    with pytest.raises(assertions.SeamError, match=r"expected version 1\.5\.33.*found.* 1\.6\.0"):
        server.install()


def test_every_seam_is_installed_by_the_server() -> None:
    """One that is forgotten would change nothing, and nobody would know."""
    seams = {
        name
        for name, module in vars(server).items()
        if isinstance(module, ModuleType) and hasattr(module, "install")
    }
    package = {path.stem for path in Path(calls.__file__).parent.glob("[a-z]*.py")}
    assert package - {"assertions"} <= seams
