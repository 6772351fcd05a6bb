"""What each handler must be given. A state machine that passes anything else is a fault of ours."""

from __future__ import annotations

from typing import Any

from governance.contracts.validation import problems
from governance.domain.errors import InvalidInputError

_TEXT = {"type": "string", "minLength": 1}
# The lengths are said again because Python's "$" also matches before a final line break.
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$", "maxLength": 64}
_IMAGE_DIGEST = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$", "maxLength": 71}
_ACCOUNT = {"type": "string", "pattern": "^[0-9]{12}$", "maxLength": 12}
_STAGE = {"enum": ["Dev", "Test", "Prod"]}
_OPTIONAL_TEXT = {"type": ["string", "null"]}
_OPTIONAL_OBJECT = {"type": ["object", "null"]}
_OPTIONAL_LIST = {"type": ["array", "null"]}
_ANY_OBJECT = {"type": "object"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": sorted(required),
        "properties": {**required, **(optional or {})},
    }


def _closed(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {**_object(required, optional), "additionalProperties": False}


_PROMOTION = _closed(
    {
        "claim_id": _SHA256,
        "workflow": _TEXT,
        "stage": _STAGE,
        "model": _TEXT,
        "model_package_arn": _TEXT,
        "account": _ACCOUNT,
        "decided_at": _TEXT,
        "event_id": _TEXT,
        "execution_arn": _TEXT,
    }
)
_IDENTITY = _object({"person": {"type": "string"}})
# Of an object in parts, the composite digest has their number; a prefix has no version of its own.
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}(-[0-9]{1,5})?$", "maxLength": 70}
_BYTES = {"type": "integer", "minimum": 0}
_PART_SIZES = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2},
}
_PLACE: dict[str, Any] = {"bucket": _TEXT, "key": _TEXT, "size": _BYTES, "sha256": _DIGEST}
_LOCATION = _object(
    {"role": _TEXT, **_PLACE, "version_id": {"type": "string"}},
    {
        "part_sizes": _PART_SIZES,
        "objects": _BYTES,
        "listing_uri": _TEXT,
        "selected": {"const": True},
    },
)
_SOURCE = _object({**_PLACE, "version_id": _TEXT}, {"part_sizes": _PART_SIZES})
_BATCH = _closed(
    {
        "objects": {"type": "array", "items": _closed({"source": _SOURCE, "key": _TEXT})},
        "parts": {
            "type": "array",
            "items": _closed(
                {"source": _SOURCE, "key": _TEXT, "upload_id": _TEXT, "numbers": _PART_SIZES}
            ),
        },
    }
)
_IMAGE = _object({"uri": _TEXT, "digest": _IMAGE_DIGEST}, {"central_uri": _TEXT, "handoff": _TEXT})
_IMAGES = {"type": "array", "items": _IMAGE}
_OBJECTS = {"type": "array", "items": _LOCATION, "minItems": 1}
_PARTS = {"type": "array", "items": _TEXT}
_CANDIDATE = _object(
    {"candidate_id": _SHA256, "manifest_uri": _TEXT, "objects": _OBJECTS}, {"parts": _PARTS}
)
_DEPLOYMENT = _object(
    {
        "stage": {"enum": ["Test", "Prod"]},
        "account": _ACCOUNT,
        "region": _TEXT,
        "endpoint_name": _TEXT,
        "endpoint_arn": _TEXT,
        "config_name": _TEXT,
        "model_name": _TEXT,
        "variant_name": _TEXT,
        "model_package_arn": _TEXT,
        "candidate_id": _SHA256,
        "source": {"enum": ["containers", "model-package"]},
        "containers": _OPTIONAL_LIST,
        "instance_type": _TEXT,
        "instance_count": {"type": "integer", "minimum": 1},
        "environment": {"type": "object"},
        "definition": _closed({"digest": _SHA256, "uri": _TEXT}),
        "release": _OPTIONAL_OBJECT,
        "autoscaling": _OPTIONAL_OBJECT,
        "data_capture": _OPTIONAL_OBJECT,
        "execution_role_arn": _TEXT,
        "claim_id": _SHA256,
        "tags": {"type": "object"},
    },
    {"content_types": {"type": "array", "items": _TEXT}},
)
_RESULT = _object(
    {
        "suite": _TEXT,
        "status": {"enum": ["passed", "failed"]},
        "checks": {"type": "array"},
        "metrics": {"type": "object"},
    }
)
_ITEM = _closed({"suite": _TEXT, "parameters": {"type": "object"}}, {"entry_point": _TEXT})
_ITEMS = {"type": "array", "items": _ITEM}
_ROWS = {"from": _BYTES, "to": _BYTES}
_EVIDENCE = {"uri": _TEXT, "version_id": _TEXT, "sha256": _SHA256}
# Rows that were not answered have no evidence, only what was wrong with them.
_SHARD = {
    **_closed(_ROWS, {**_EVIDENCE, "problems": _TEXT}),
    "oneOf": [{"required": ["problems"]}, {"required": sorted(_EVIDENCE)}],
}
_SHARDS = {"type": "array", "items": _SHARD}
_CHAMPION = {
    **_closed({"model_package_arn": _TEXT, "candidate_id": _SHA256, "shards": _SHARDS}),
    "type": ["object", "null"],
}
_THRESHOLDS = {"type": "object", "additionalProperties": {"type": "number"}}
_PLAN = _closed(
    {
        "suites": _ITEMS,
        "holdout_suites": _ITEMS,
        "shards": {"type": "array", "items": _closed(_ROWS)},
        "champion": _CHAMPION,
        "omitted": {"type": "array", "items": _closed({"suite": _TEXT, "reason": _TEXT})},
    }
)
_SHOWN = _closed({"stage": _TEXT, "stage_status": _TEXT})
_DETAILS = ("approver", "trainer", "verdict", "report", "summary", "deployment", "failure")
_ONLY_PROMOTION = _closed({"promotion": _PROMOTION})
_ONLY_DEPLOYMENT = _closed({"deployment": _DEPLOYMENT})

REQUESTS: dict[str, dict[str, Any]] = {
    # The event is AWS's: its shape is checked where it is read, so that the error can say more.
    "claim_approval": _closed(
        {"workflow": _TEXT, "stage": _STAGE, "execution_arn": _TEXT, "event": {"type": "object"}}
    ),
    # The model alone: `govern doctor`, which is about no promotion.
    "check_access": {
        **_closed({}, {"promotion": _PROMOTION, "model": _TEXT}),
        "oneOf": [{"required": ["promotion"]}, {"required": ["model"]}],
    },
    "resolve_approver": _ONLY_PROMOTION,
    "build_candidate": _ONLY_PROMOTION,
    "verify_candidate": _ONLY_PROMOTION,
    "evaluate_gate": _closed(
        {
            "promotion": _PROMOTION,
            "approver": _IDENTITY,
            "trainer": _IDENTITY,
            "decision_current": {"type": "boolean"},
            "approval": {"type": "object"},
            "candidate": _object({"candidate_id": _SHA256}, {"parts": _PARTS}),
        },
        {
            "declared_mismatches": _OPTIONAL_LIST,
            "differences": _OPTIONAL_LIST,
            "confirmation": _OPTIONAL_OBJECT,
            "evaluation": _OPTIONAL_OBJECT,
            "rollback": _OPTIONAL_OBJECT,
        },
    ),
    "plan_copy": _closed({"promotion": _PROMOTION, "candidate": _CANDIDATE}),
    "copy_batch": _closed(
        {
            "promotion": _PROMOTION,
            "candidate_id": _SHA256,
            "batch": _BATCH,
            "attempt": {"type": "integer", "minimum": 0},
        }
    ),
    "copy_images": _closed({"promotion": _PROMOTION, "candidate": _object({"images": _IMAGES})}),
    "verify_copy": _closed({"promotion": _PROMOTION, "candidate": _CANDIDATE}),
    "abandon_copy": _closed({"promotion": _PROMOTION, "candidate_id": _SHA256}),
    "register_version": _closed(
        {
            "promotion": _PROMOTION,
            "candidate": _CANDIDATE,
            "objects": _OBJECTS,
            "images": _IMAGES,
            "approver": _IDENTITY,
            "trainer": _IDENTITY,
        }
    ),
    "recreate_lineage": _closed(
        {"promotion": _PROMOTION, "candidate": _CANDIDATE, "objects": _OBJECTS}
    ),
    "link_lineage": _closed(
        {
            "promotion": _PROMOTION,
            "model_package_arn": _TEXT,
            "lineage": _object(
                {
                    "version_arn": _TEXT,
                    "model_data_arn": _TEXT,
                    "properties": _object({"candidate_id": _SHA256}),
                }
            ),
        }
    ),
    # What to set, or that it is what the ledger says.
    "set_stage": {
        **_closed(
            {
                "promotion": _PROMOTION,
                "model_package_arn": _TEXT,
                "description": {"type": "string"},
            },
            {
                "stage": _TEXT,
                "stage_status": _TEXT,
                "as_recorded": {"const": True},
                "only_from": _SHOWN,
                "not_from": _SHOWN,
            },
        ),
        "oneOf": [{"required": ["stage", "stage_status"]}, {"required": ["as_recorded"]}],
    },
    "lock_endpoint": _closed(
        {"promotion": _PROMOTION, "attempt": {"type": "integer", "minimum": 0}}
    ),
    # A release has no trigger: nobody has asked for the way back yet.
    "prove_rollback_target": _closed(
        {"promotion": _PROMOTION}, {"trigger": {"enum": ["person", "alarm"]}}
    ),
    "claim_rollback": _closed({"workflow": _TEXT, "execution_arn": _TEXT, "event": _ANY_OBJECT}),
    "stop_release": _closed(
        {
            "promotion": _PROMOTION,
            "endpoint_arn": _TEXT,
            "release": _object(
                {"execution_arn": _TEXT, "claim_id": _SHA256, "model_package_arn": _TEXT}
            ),
        }
    ),
    "plan_deployment": _closed(
        {"promotion": _PROMOTION, "candidate": _CANDIDATE, "definition": _SHA256}
    ),
    "grant_clearance": _closed(
        {"promotion": _PROMOTION, "candidate": _CANDIDATE, "deployment": _DEPLOYMENT}
    ),
    "create_model": _ONLY_DEPLOYMENT,
    "create_endpoint_config": _ONLY_DEPLOYMENT,
    "confirm_approver": _closed({"promotion": _PROMOTION, "task_token": _TEXT}),
    "deploy_endpoint": _closed({"deployment": _DEPLOYMENT, "task_token": _TEXT}),
    # Only the second look of a release comes after its bake, and asks for its approval too.
    "check_served_config": _closed(
        {"deployment": _DEPLOYMENT},
        {
            "after_bake": {"type": "boolean"},
            "at_rest": {"type": "boolean"},
            "since": _OPTIONAL_TEXT,
            "promotion": _PROMOTION,
        },
    ),
    "watch_endpoint": _closed(
        {"deployment": _DEPLOYMENT},
        {"unrecorded": {"type": "boolean"}, "take_back": {"type": "boolean"}},
    ),
    "check_alarms": _closed({"deployment": _DEPLOYMENT}, {"since": _OPTIONAL_TEXT}),
    "plan_trial": _ONLY_DEPLOYMENT,
    "compare_variants": _closed(
        {
            "promotion": _PROMOTION,
            "deployment": _DEPLOYMENT,
            "trial": _DEPLOYMENT,
            "poll": {"type": "integer", "minimum": 1},
            "polls": {"type": "integer", "minimum": 1},
            "alarms": {"type": "array", "items": _TEXT},
            "since": _TEXT,
        }
    ),
    "plan_suites": _closed(
        {"deployment": _DEPLOYMENT, "candidate": _CANDIDATE, "promotion": _PROMOTION}
    ),
    # One suite, one shard of the holdout, or all suites that judge its shards.
    "run_suite": {
        **_closed(
            {
                "deployment": _DEPLOYMENT,
                "candidate": _CANDIDATE,
                "promotion": _PROMOTION,
                "thresholds": _THRESHOLDS,
            },
            {
                "suite": _ITEM,
                "shard": _closed(_ROWS),
                "shards": _SHARDS,
                "suites": _ITEMS,
                "champion": _CHAMPION,
            },
        ),
        "oneOf": [
            {"required": ["suite"]},
            {"required": ["shard"]},
            {"required": ["shards", "suites"]},
        ],
    },
    "aggregate_results": _closed(
        {
            "promotion": _PROMOTION,
            "candidate": _CANDIDATE,
            "deployment": _DEPLOYMENT,
            "plan": _PLAN,
            "thresholds": _THRESHOLDS,
            "results": {"type": "array", "items": _RESULT},
            "shards": _SHARDS,
            "deployment_outcome": _object({"outcome": _TEXT}),
        }
    ),
    "write_results": _closed({"promotion": _PROMOTION, "report": _closed(_EVIDENCE)}),
    "remove_endpoint": _ONLY_DEPLOYMENT,
    "smoke_test": _closed({"deployment": _DEPLOYMENT, "candidate": _CANDIDATE}),
    "tag_endpoint": _closed({"deployment": _DEPLOYMENT, "promotion": _PROMOTION}),
    "supersede_version": _closed({"promotion": _PROMOTION, "deployment": _DEPLOYMENT}),
    "record": _closed(
        {"kind": _TEXT, "promotion": _PROMOTION, "stage": _TEXT, "stage_status": _TEXT},
        {
            "model_package_arn": {"type": ["string", "null"]},
            "candidate_id": {"type": ["string", "null"]},
            "origin_arn": {"type": ["string", "null"]},
            "superseded": {"type": ["string", "null"]},
            "differences": _OPTIONAL_LIST,
            "confirmation": _OPTIONAL_OBJECT,
            "reason": {"type": ["string", "null"]},
            "due_at": {"type": ["string", "null"]},
            "waived": _OPTIONAL_LIST,
            "rollback": _OPTIONAL_OBJECT,
            "rollback_target": _OPTIONAL_OBJECT,
            "drill": _OPTIONAL_OBJECT,
            "alarms": _OPTIONAL_LIST,
            **dict.fromkeys(_DETAILS, _OPTIONAL_OBJECT),
        },
    ),
}


def request(handler: str, event: Any) -> dict[str, Any]:
    """The event, if it is what the handler must be given; InvalidInputError says what is not."""
    found = problems(REQUESTS[handler], event)
    if found:
        raise InvalidInputError(f"{handler} was called with a wrong request: {'; '.join(found)}")
    validated: dict[str, Any] = event
    return validated
