"""Every request that a function sends is one that AWS's own service model allows.

The whole path is walked once, each function with what the one before it returned; then each
request is checked against botocore's model and, for SageMaker, against its patterns and limits,
which botocore itself does not check.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from governance.adapters import items, sessions, signing
from governance.domain import attestations, definitions, policy_changes, registration, rollbacks
from governance.domain.policies import PARTS
from local.sagemaker import validation
from tests.contracts import events, policies, samples
from tests.contracts.aws import ENVIRONMENT, Aws, Call

OPERATIONS = {
    "sts": ["AssumeRole"],
    "s3": [
        *("HeadObject", "GetObject", "PutObject", "CopyObject", "GetObjectAttributes"),
        *("ListObjectsV2", "ListObjectVersions", "ListMultipartUploads", "ListParts"),
        *("CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload"),
        *("AbortMultipartUpload", "PutObjectTagging"),
    ],
    "dynamodb": [
        "BatchGetItem",
        "GetItem",
        "PutItem",
        "DeleteItem",
        "Query",
        "Scan",
        "TransactWriteItems",
    ],
    "kms": ["GetPublicKey", "Sign", "GenerateDataKey"],
    "cloudwatch": [
        *("PutMetricData", "PutMetricAlarm", "SetAlarmState", "DeleteAlarms"),
        *("DescribeAlarms", "DescribeAlarmHistory", "GetMetricData"),
    ],
    "application-autoscaling": [
        *("RegisterScalableTarget", "PutScalingPolicy", "DeregisterScalableTarget"),
    ],
    "ecr": [
        *("BatchGetImage", "DescribeImageScanFindings", "DescribeRepositories"),
        *("GetDownloadUrlForLayer", "UploadLayerPart"),
    ],
    "events": ["PutEvents", "DescribeEventBus", "DescribeRule", "ListTargetsByRule"],
    "stepfunctions": ["SendTaskSuccess", "DescribeExecution", "StopExecution"],
    "sagemaker-runtime": ["InvokeEndpoint"],
    "sagemaker": [
        *("DescribeModelPackage", "CreateModelPackage", "UpdateModelPackage"),
        "DescribeModelPackageGroup",
        *("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint"),
        *("DescribeEndpoint", "DescribeEndpointConfig", "DescribeModel", "AddTags"),
        *("ListTags", "DescribeAction"),
        *("ListArtifacts", "QueryLineage", "DescribeArtifact", "DescribeContext"),
        *("DescribeTrialComponent", "CreateArtifact", "CreateAction", "CreateContext"),
        *("UpdateArtifact", "AddAssociation", "ListAssociations"),
        *("DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"),
    ],
}
EACH = [(service, name) for service, names in OPERATIONS.items() for name in names]


@pytest.fixture(scope="module")
def calls() -> Iterator[dict[tuple[str, str], list[dict[str, Any]]]]:
    """Every request of the path from the Dev approval to Prod, by service and operation."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        aws = Aws()
        signing._signer.cache_clear()
        patch.setattr(sessions, "own_client", aws.client)
        patch.setattr(sessions, "client", lambda session, service, config=None: aws.client(service))
        _provision(aws)
        assert aws.handler("check_access")({"promotion": samples.promotion("Dev")})["passed"]
        candidate = _promote(aws)
        _validate(aws, candidate)
        _release(aws, candidate)
        _record(aws, candidate)
        looked = aws.handler("check_access")({"model": samples.MODEL})["checks"]
        assert {check["status"] for check in looked} == {"passed"}, looked
        found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for call in aws.calls:
            found[call.service, call.operation].append(call.request)
        yield dict(found)
        signing._signer.cache_clear()


PART = 5 * 1024**2
IN_PARTS = {"large/0.bin": [PART, 100]}  # key: the sizes that it was uploaded in


def _provision(aws: Aws) -> None:
    bodies = {
        "evaluation": json.dumps(samples.evaluation_report()).encode(),
        "sample-payload": b'{"instances": [{"bmi": 0.1, "sex": "female"}]}',
    }
    for entry in samples.origin_objects():
        body = bodies.get(entry["role"], entry["key"].encode())
        aws.objects[entry["bucket"], entry["key"]] = body
    for key, sizes in IN_PARTS.items():
        aws.objects[samples.DEV_BUCKET, key] = bytes(sum(sizes))
        aws.parts[samples.DEV_BUCKET, key] = sizes
    aws.objects[samples.DEV_BUCKET, "large/1.bin"] = b""
    project = samples.project()
    for part, body in policies.files().items():
        _, _, bucket, key = project["policy"][part]["uri"].split("/", 3)
        aws.objects[bucket, key] = body
        project["policy"][part]["sha256"] = hashlib.sha256(body).hexdigest()
    key = project["definition"]["uri"].removeprefix(f"s3://{samples.EVIDENCE_BUCKET}/")
    aws.objects[samples.EVIDENCE_BUCKET, key] = definitions.canonical(samples.definition())
    place = json.dumps({"model": {"S": samples.MODEL}})
    aws.tables["governed-path-project-directory", place] = items.to_item(project)
    description = samples.description()
    for role in ("model-data", "evaluation", "holdout"):
        (found,) = [entry for entry in samples.origin_objects() if entry["role"] == role]
        body = aws.objects[found["bucket"], found["key"]]
        declared = {f"{role}-version-id": "v1", f"{role}-sha256": hashlib.sha256(body).hexdigest()}
        description["CustomerMetadataProperties"].update(declared)
    description["InferenceSpecification"]["Containers"][0]["AdditionalModelDataSources"] = [
        {
            "ChannelName": "draft",
            "S3DataSource": {
                "S3Uri": f"s3://{samples.DEV_BUCKET}/large/",
                "S3DataType": "S3Prefix",
                "CompressionType": "None",
            },
        }
    ]
    # An inference pipeline: its second container has no model data, and a name of its own.
    containers = description["InferenceSpecification"]["Containers"]
    containers[0]["ContainerHostname"] = "model"
    containers.append({"Image": samples.IMAGE, "ContainerHostname": "calibration"})
    aws.versions[samples.version_arn(samples.DEV, 1)] = description
    _publish_policy(aws, project)


def _publish_policy(aws: Aws, project: dict[str, Any]) -> None:
    digests = {part: project["policy"][part]["sha256"] for part in PARTS}
    aws.actions[project["policy"]["change"]] = {
        "ActionType": policy_changes.ACTION_TYPE,
        "CreatedBy": samples.user("admin", "adam", samples.CENTRAL),
        "CreationTime": datetime(2026, 11, 21, 5, tzinfo=UTC),
        "Properties": policy_changes.action_properties(samples.MODEL, digests),
    }
    record = {"eventName": "INSERT", "dynamodb": {"NewImage": items.to_item(project)}}
    answer = aws.handler("record_policy_change")({"Records": [record]})
    assert answer == {"outcomes": ["recorded"]}
    put = [call for call in aws.calls if call.operation == "TransactWriteItems"][-1]
    (envelope,) = [
        item["Put"]["Item"]["envelope"]["S"]
        for item in put.request["TransactItems"]
        if "envelope" in item.get("Put", {}).get("Item", {})
    ]
    aws.policy_changes = [attestations.entry_of(envelope)]


def _promote(aws: Aws) -> dict[str, Any]:
    claimed = aws.handler("claim_approval")(
        {
            "workflow": "promote_to_central",
            "stage": "Dev",
            "execution_arn": samples.promotion()["execution_arn"],
            "event": events.example("sagemaker-model-package-state-change.dev-approved"),
        }
    )
    promotion = claimed["promotion"]
    who = aws.handler("resolve_approver")({"promotion": promotion})
    built = aws.handler("build_candidate")({"promotion": promotion})
    verdict = aws.handler("evaluate_gate")({"promotion": promotion, **who, **built})["verdict"]
    assert verdict["allowed"], verdict
    candidate: dict[str, Any] = built["candidate"]
    copies = _copy(aws, promotion, candidate)
    images = aws.handler("copy_images")({"promotion": promotion, "candidate": candidate})["images"]
    assert images == samples.images()
    made = aws.handler("recreate_lineage")(
        {"promotion": promotion, "candidate": candidate, "objects": copies}
    )["lineage"]
    assert made["missing"] == []
    registered = aws.handler("register_version")(
        {
            "promotion": promotion,
            "candidate": candidate,
            "objects": copies,
            "images": images,
            "approver": who["approver"],
            "trainer": who["trainer"],
        }
    )
    assert registered == {"model_package_arn": samples.version_arn(), "already_registered": False}
    promoted = events.example("governed-path-candidate-promoted.complete")["detail"]
    aws.promoted = [
        {
            **promoted,
            "model_package_arn": samples.version_arn(),
            "candidate_id": candidate["candidate_id"],
        }
    ]
    linked = aws.handler("link_lineage")(
        {
            "promotion": promotion,
            "model_package_arn": registered["model_package_arn"],
            "lineage": made,
        }
    )
    assert linked == {"lineage_arn": aws.lineage_arn(samples.version_arn())}
    return {**candidate, "objects": copies}


def _copy(aws: Aws, promotion: dict[str, Any], candidate: dict[str, Any]) -> list[dict[str, Any]]:
    given = {"promotion": promotion, "candidate": candidate}
    named = {"promotion": promotion, "candidate_id": candidate["candidate_id"]}
    plan = aws.handler("plan_copy")(given)["plan"]
    for line in aws.objects[plan["bucket"], plan["key"]].splitlines():
        aws.handler("copy_batch")({**named, "batch": json.loads(line), "attempt": 1})
    objects: list[dict[str, Any]] = aws.handler("verify_copy")(given)["objects"]
    # Another run left one behind.
    bucket = ENVIRONMENT["ARTIFACTS_BUCKET"]
    aws.uploads["left"] = {"Bucket": bucket, "Key": objects[0]["key"], "parts": {}}
    assert aws.handler("abandon_copy")(named) == {"abandoned": 1}
    assert aws.uploads == {}
    return objects


def _validate(aws: Aws, candidate: dict[str, Any]) -> None:
    promotion = samples.promotion("Test")
    who = aws.handler("resolve_approver")({"promotion": promotion})
    verified = aws.handler("verify_candidate")({"promotion": promotion})
    assert (verified.pop("tampering"), verified.pop("voided")) == ([], [])
    assert verified["differences"] == []
    verdict = aws.handler("evaluate_gate")({"promotion": promotion, **who, **verified})["verdict"]
    assert verdict["allowed"], verdict
    _set_stage(aws, promotion, "Validating", verdict["description"])
    deployment = _deploy(aws, promotion, candidate)
    result = aws.handler("run_suite")(
        {
            "suite": {"suite": "contract", "parameters": {}},
            "deployment": deployment,
            "candidate": candidate,
            "promotion": promotion,
            "thresholds": {},
        }
    )["result"]
    results = [result, *samples.results()[1:]]
    tests = aws.handler("aggregate_results")(
        {
            "promotion": promotion,
            "candidate": candidate,
            "deployment": deployment,
            "plan": samples.suite_plan(),
            "thresholds": {},
            "results": results,
            "shards": samples.shards(),
            "deployment_outcome": {"outcome": "in_service"},
        }
    )
    aws.handler("remove_endpoint")({"deployment": deployment})
    aws.endpoint = None
    bucket, _, key = tests["report"]["uri"].removeprefix("s3://").partition("/")
    report = json.loads(aws.objects[bucket, key])
    for status in ("Passed", "Failed"):
        said = {"status": status, "reasons": report["reasons"] + ["Line one\n line two"] * 100}
        body = json.dumps(report | said).encode()
        aws.objects[bucket, key] = body
        reference = tests["report"] | {"sha256": hashlib.sha256(body).hexdigest()}
        aws.handler("write_results")({"promotion": promotion, "report": reference})


def _release(aws: Aws, candidate: dict[str, Any]) -> None:
    promotion = samples.promotion("Prod")
    registry = f"{samples.CENTRAL}.dkr.ecr.{samples.REGION}.amazonaws.com"
    ours = {"uri": f"{registry}/risk/serving:1.4", "digest": "sha256:" + "c" * 64}
    denied = aws.handler("evaluate_gate")(
        {
            "promotion": promotion,
            "approver": {"person": "x" * 2000, "persona": None},
            "trainer": {"person": ""},
            "decision_current": False,
            "approval": {},
            "candidate": {**candidate, "described": {"image": ours}},
            "differences": [{"name": "a\nb", "expected": "c", "actual": "d\u2028"}] * 50,
        }
    )["verdict"]
    assert not denied["allowed"]
    _set_stage(aws, promotion, "Rejected", denied["description"])
    _lock(aws, promotion)
    _prove(aws, promotion)
    deployment = _deploy(aws, promotion, candidate)
    again = {**deployment, "config_name": "clinical-risk-prod-another"}
    aws.handler("deploy_endpoint")({"deployment": again, "task_token": "t" * 64})
    # The endpoint still serves the first config: taken back, by the alarm that has calmed down.
    served = aws.handler("check_served_config")({"deployment": again})["served"]
    assert served["alarms"] == ["governed-path-clinical-risk-slow"]
    assert "p95 was greater" in served["taken_back"]
    assert served["versions"] == [samples.version_arn(version=2)]
    assert served["candidate_id"] == "c" * 64
    # It names that config still, and answers nobody.
    before, aws.endpoint = aws.endpoint, {**(aws.endpoint or {}), "EndpointStatus": "Failed"}
    failed = aws.handler("check_served_config")({"deployment": again})["served"]
    assert (failed["versions"], failed["candidate_id"]) == ([], None)
    aws.endpoint = before
    # A config of another model of this account: its own ledger is not this one.
    elsewhere = {**again, "tags": {**again["tags"], "model": "another"}}
    assert aws.handler("check_served_config")({"deployment": elsewhere})["served"] == {
        **served,
        "candidate_id": None,
    }
    watched = aws.handler("watch_endpoint")({"deployment": {**again, "autoscaling": None}})
    assert watched["scaled"], "as the definition of what serves says"
    assert watched["forgotten"] == ["governed-path-clinical-risk-of-an-earlier-definition"]
    put = [call.request for call in aws.calls if call.operation == "PutMetricAlarm"][-3:]
    (looked_at,) = {
        one["Value"]
        for request in put
        for one in request["Dimensions"]
        if one["Name"] == "EndpointConfigName"
    }
    assert looked_at == deployment["config_name"], "what serves stays watched"
    assert aws.handler("watch_endpoint")({"deployment": deployment})["scaled"]
    unscaled = {**deployment, "autoscaling": None}
    assert not aws.handler("watch_endpoint")({"deployment": unscaled})["scaled"]
    assert aws.handler("check_alarms")({"deployment": deployment})["alarms"] == served["alarms"]
    _try(aws, promotion, deployment)
    aws.handler("smoke_test")({"deployment": deployment, "candidate": candidate})
    asked = {"deployment": deployment, "promotion": promotion, "after_bake": True}
    assert aws.handler("check_served_config")(asked)["served"]["withdrawn"] == []
    voided = events.example("governed-path-approvals-voided.by-event")["detail"]
    after = {"model_package_arn": promotion["model_package_arn"], "decided_at": "9999"}
    aws.entries = [*(before := aws.entries), {**voided, **after}]
    (withdrawn,) = aws.handler("check_served_config")(asked)["served"]["withdrawn"]
    assert withdrawn == f"entry {voided['sequence']} (ApprovalsVoided)"
    aws.entries = before
    aws.handler("tag_endpoint")({"deployment": deployment, "promotion": promotion})
    previous = samples.version_arn(version=2)
    aws.versions[previous] = {"ModelLifeCycle": {"Stage": "Prod", "StageStatus": "Deployed"}}
    released = events.example("governed-path-candidate-released.first-release")["detail"]
    aws.entries = [{**released, "model_package_arn": previous}]
    superseded = aws.handler("supersede_version")(
        {"promotion": promotion, "deployment": deployment}
    )
    assert superseded == {"superseded": previous}


def _try(aws: Aws, promotion: dict[str, Any], deployment: dict[str, Any]) -> None:
    """Both trials, as far as a function calls AWS for them."""
    line = {
        "captureData": {"endpointInput": {"data": "1"}, "endpointOutput": {"data": "[0.5]"}},
        "eventMetadata": {"eventId": "e", "inferenceTime": "2026-11-21T09:00:00Z"},
        "eventVersion": "0",
    }
    for strategy, decision in (
        (
            {
                "type": "a-b",
                "challenger_percent": 10,
                "look_seconds": 60,
                "looks": 1,
                "alpha": 0.05,
                "undecided": "ask",
            },
            "promote",
        ),
        ({"type": "shadow", "sample_percent": 50, "seconds": 60, "max_disagreement": 0.5}, "ask"),
    ):
        tried = {**deployment, "release": {**deployment["release"], "strategy": strategy}}
        plan = aws.handler("plan_trial")({"deployment": tried})["trial"]
        trial = plan["deployment"]
        aws.handler("create_endpoint_config")({"deployment": trial})
        for variant in ("AllTraffic", "Challenger"):
            key = f"trials/{trial['config_name']}/{trial['endpoint_name']}/{variant}/a.jsonl"
            bucket = f"governed-path-capture-{trial['account']}-{trial['region']}"
            aws.objects[bucket, key] = f"{json.dumps(line)}\n".encode()
        compared = {
            "promotion": promotion,
            "deployment": tried,
            "trial": trial,
            "poll": plan["polls"],
            **{key: plan[key] for key in ("polls", "alarms", "since")},
        }
        assert aws.handler("compare_variants")(compared)["decision"] == decision
        # What somebody has taken back is not tried on, however well it does.
        rejected = events.example("governed-path-version-rejected.by-ai-engineer")["detail"]
        about = {"model_package_arn": promotion["model_package_arn"], "decided_at": "9999"}
        aws.entries = [*(before := aws.entries), {**rejected, **about}]
        withdrawn = aws.handler("compare_variants")(compared)
        aws.entries = before
        assert withdrawn["decision"] == "roll-back"
        assert f"entry {rejected['sequence']} (VersionRejected)" in withdrawn["said"]
        made = len(aws.calls)
        for name in ("create_model", "create_endpoint_config"):
            aws.handler(name)({"deployment": plan["champion"]})
        assert len(aws.calls) == made  # what serves already is there


def _lock(aws: Aws, promotion: dict[str, Any]) -> None:
    """Another execution has left its lock behind; then the end of this one releases it."""
    aws.entries = []
    left = {**promotion, "execution_arn": f"{promotion['execution_arn']}-before"}
    for asking in (left, promotion):
        locked = aws.handler("lock_endpoint")({"promotion": asking, "attempt": 0})
        assert locked["refusal"] is None
    event = events.example("step-functions-execution-status-change.release-aborted")
    event["detail"]["executionArn"] = promotion["execution_arn"]
    assert aws.handler("release_endpoint_lock")(event) == {
        "outcome": "released",
        "endpoint_arn": locked["endpoint_arn"],
    }


def _prove(aws: Aws, promotion: dict[str, Any]) -> None:
    """The way back of another release is the version that was promoted here."""
    released = events.example("governed-path-candidate-released.first-release")["detail"]
    arn = f"arn:aws:sagemaker:{samples.REGION}:{samples.PROD}:endpoint/clinical-risk"
    aws.entries = [{**released, "endpoint": {**released["endpoint"], "endpoint_arn": arn}}]
    aws.versions[samples.version_arn()]["ModelApprovalStatus"] = "Approved"
    another = {**promotion, "model_package_arn": samples.version_arn(version=4)}
    found = aws.handler("prove_rollback_target")({"promotion": another})
    assert found["refusal"] is None, found
    names = [check["name"] for check in found["rollback_target"]["checks"]]
    assert sorted(set(names)) == ["approval", "bytes", "definition", "image", "readable"]
    _go_back(aws, another, released)


def _go_back(aws: Aws, promotion: dict[str, Any], released: dict[str, Any]) -> None:
    """The request of a rollback is claimed, its way back found, a running release stopped."""
    asked = events.example("sagemaker-model-package-state-change.prod-rollback-requested")
    claimed = aws.handler("claim_rollback")(
        {
            "workflow": "rollback_model",
            "execution_arn": promotion["execution_arn"].replace(
                "release-to-prod", "rollback-model"
            ),
            "event": asked,
        }
    )
    assert claimed["outcome"] == "claimed"
    alarm = events.example("cloudwatch-alarm-state-change.endpoint-alarm")
    by_alarm = aws.handler("claim_rollback")(
        {"workflow": "rollback_model", "execution_arn": "arn:execution:alarm", "event": alarm}
    )
    assert (by_alarm["outcome"], by_alarm["trigger"]) == ("claimed", "alarm")
    gone = samples.version_arn(version=4)
    found = aws.versions[samples.version_arn()]
    # As an earlier drill, or a rollback that was refused, has left it behind.
    metadata = {**found["CustomerMetadataProperties"], rollbacks.WANTED: "2"}
    aws.versions[gone] = {**found, "CustomerMetadataProperties": metadata}
    back = {**claimed["promotion"], "model_package_arn": gone}
    prove = aws.handler("prove_rollback_target")
    named = prove({"promotion": back, "trigger": claimed["trigger"]})["rollback"]
    assert (named["wanted"], named["to"]) == ("2", None)
    found = prove({"promotion": back, "trigger": by_alarm["trigger"]})
    assert found["rollback"]["wanted"] is None
    assert found["rollback"]["to"] == samples.version_arn()
    assert found["rollback"]["unproven"] == []
    assert found["definition"] == released["definition"]["digest"]
    stop = {
        "promotion": back,
        "endpoint_arn": f"arn:aws:sagemaker:{samples.REGION}:{samples.PROD}:endpoint/m",
        "release": promotion,
    }
    aws.endpoint, aws.running = {"EndpointName": "m", "EndpointStatus": "Updating"}, True
    stopped = aws.handler("stop_release")(stop)
    aws.endpoint, aws.running = None, False
    assert (len(stopped["stopped"]), stopped["shift_taken_back"]) == (4, True)


def _set_stage(aws: Aws, promotion: dict[str, Any], status: str, description: str) -> None:
    aws.handler("set_stage")(
        {
            "promotion": promotion,
            "model_package_arn": promotion["model_package_arn"],
            "stage": promotion["stage"],
            "stage_status": status,
            "description": description,
        }
    )


def _deploy(aws: Aws, promotion: dict[str, Any], candidate: dict[str, Any]) -> dict[str, Any]:
    definition = samples.definition_reference()["digest"]
    planned = {"promotion": promotion, "candidate": candidate, "definition": definition}
    deployment: dict[str, Any] = aws.handler("plan_deployment")(planned)["deployment"]
    granted = events.example(f"governed-path-clearance-granted.for-{promotion['stage'].lower()}")
    aws.entries = [granted["detail"]]
    clear = {"promotion": promotion, "candidate": candidate, "deployment": deployment}
    assert aws.handler("grant_clearance")(clear)["stage"] == promotion["stage"]
    aws.handler("create_model")({"deployment": deployment})
    aws.handler("create_endpoint_config")({"deployment": deployment})
    settled = aws.handler("deploy_endpoint")({"deployment": deployment, "task_token": "t" * 64})
    assert settled["settled"]
    served = aws.handler("check_served_config")({"deployment": deployment})["served"]
    assert served["intended"]
    detail = {"EndpointArn": deployment["endpoint_arn"], "EndpointStatus": "IN_SERVICE"}
    aws.handler("resolve_endpoint_wait")({"id": "e", "detail": detail})
    return deployment


def _record(aws: Aws, candidate: dict[str, Any]) -> None:
    aws.entries = []
    aws.handler("record")(
        {
            "kind": "ValidationPassed",
            "promotion": samples.promotion("Test"),
            "stage": "Test",
            "stage_status": "Passed",
            "summary": {"metrics": {"auc": 0.82, "brier": None}},
        }
    )
    rejected = events.example("sagemaker-model-package-state-change.test-rejected")
    decided = {"LastModifiedTime": rejected["detail"]["LastModifiedTime"]}
    aws.versions[samples.version_arn()].update(decided)
    assert aws.handler("record_decision")(rejected)["outcome"] == "recorded"
    entry = events.example("governed-path-validation-passed.complete")["detail"]
    image = {"SequenceNumber": "1", "NewImage": items.to_item(samples.row(entry))}
    aws.handler("publish_entry")({"Records": [{"eventName": "INSERT", "dynamodb": image}]})
    granted = events.example("governed-path-clearance-granted.for-test")["detail"]
    aws.entries = [entry, {**granted, "candidate_id": candidate["candidate_id"]}]
    ended = aws.handler("revoke_clearance")({"id": "e", "detail": entry})
    assert ended["stages"] == ["Test"]
    changed = {**image, "OldImage": image["NewImage"]}
    aws.handler("archive_entry")(
        {
            "Records": [
                {"eventName": "INSERT", "dynamodb": image},
                {"eventName": "MODIFY", "dynamodb": changed},
            ]
        }
    )


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def _problems(service: str, operation: str, request: dict[str, Any]) -> list[str]:
    report = ParamValidator().validate(
        request, _model(service).operation_model(operation).input_shape
    )
    return [report.generate_report()] if report.has_errors() else []


def test_the_path_uses_these_operations_and_no_others(
    calls: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    assert set(calls) == set(EACH)


@pytest.mark.parametrize(("service", "operation"), EACH)
def test_every_request_is_one_of_botocores_service_model(
    calls: dict[tuple[str, str], list[dict[str, Any]]], service: str, operation: str
) -> None:
    requests = calls.get((service, operation), [])
    assert requests, f"{operation} was not called"
    assert [problem for r in requests for problem in _problems(service, operation, r)] == []


@pytest.mark.parametrize("operation", OPERATIONS["sagemaker"])
def test_every_sagemaker_request_keeps_to_patterns_enums_and_limits(
    calls: dict[tuple[str, str], list[dict[str, Any]]], operation: str
) -> None:
    requests = calls.get(("sagemaker", operation), [])
    assert requests, f"{operation} was not called"
    for request in requests:
        validation.validate(operation, json.loads(json.dumps(request)))


@pytest.mark.parametrize(
    ("operation", "broken"),
    [
        ("CreateModelPackage", {"ModelApprovalStatus": "Perhaps"}),
        ("UpdateModelPackage", {"ModelLifeCycle": {"Stage": "Test", "StageStatus": "Not valid"}}),
        ("CreateModel", {"ModelName": "a_b"}),
    ],
)
def test_the_check_finds_what_botocore_lets_pass(
    calls: dict[tuple[str, str], list[dict[str, Any]]], operation: str, broken: dict[str, Any]
) -> None:
    request = {**calls["sagemaker", operation][0], **broken}
    assert _problems("sagemaker", operation, request) == []
    with pytest.raises(Exception, match="failed to satisfy constraint"):
        validation.validate(operation, request)


def test_central_gets_every_field_of_the_dev_version_that_it_may_have(
    calls: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    (request,) = calls["sagemaker", "CreateModelPackage"]
    described = samples.description().keys()
    given = {"ClientToken", *request}
    not_taken = {
        # SageMaker's own, or of the Dev version alone.
        *("ModelPackageVersion", "ModelPackageArn", "CreationTime", "CreatedBy"),
        *("LastModifiedBy", "LastModifiedTime", "ModelPackageStatus"),
        *("ModelPackageStatusDetails", "CertifyForMarketplace"),
    }
    assert described - given == not_taken
    assert "Tags" not in request, "a version of a group takes no tags"
    assert samples.DEV_BUCKET not in json.dumps(request["InferenceSpecification"])


# What CreateModelPackage accepts and Central does not take over, and why.
NOT_CARRIED = {
    "ModelPackageName": "an unversioned package; ours are versions of a group",
    "ModelPackageRegistrationType": "what was only logged in Dev is registered in Central",
    "ValidationSpecification": "a job with a role and an output of Dev; Test tries the version",
    "CertifyForMarketplace": "of packages that are sold",
    "Tags": "a version of a group takes none",
    "SecurityConfig": "a key of Dev; what the registry says of a version is under AWS's (ADR 0013)",
    "ManagedStorageType": "where SageMaker keeps bytes of Dev; ours are in the artifacts bucket",
}


def test_every_field_that_create_model_package_accepts_is_carried_or_has_a_reason() -> None:
    accepted = _model("sagemaker").operation_model("CreateModelPackage").input_shape.members
    texts = {"SourceUri": "value"}
    described = {**{key: {"a": "value"} for key in accepted}, **texts, **samples.description()}
    built = registration.central_version(
        described, samples.candidate(), samples.central_objects(), samples.images()
    )
    assert set(accepted) - built.keys() == NOT_CARRIED.keys()


def test_a_result_goes_onto_the_version_in_one_update(
    calls: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    written = [r for r in calls["sagemaker", "UpdateModelPackage"] if "ModelCard" in r]
    assert len(written) == 2
    for request in written:
        assert {"ModelLifeCycle", "CustomerMetadataProperties"} <= request.keys()


def test_test_spells_its_containers_out_and_prod_names_the_version(
    calls: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    test, prod = calls["sagemaker", "CreateModel"]
    environment = samples.definition()["endpoint"]["environment"]
    named = {"ModelPackageName": samples.version_arn(), "Environment": environment}
    assert prod["PrimaryContainer"] == named
    first, second = test["Containers"]
    assert first["Environment"].items() > environment.items()
    assert "ModelPackageName" not in first
    assert first["ModelDataUrl"].startswith(f"s3://{samples.CENTRAL_BUCKET}/")
    assert (first["ContainerHostname"], second["ContainerHostname"]) == ("model", "calibration")


def test_everything_that_a_validation_made_is_removed_again(
    calls: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    """Endpoint, config and model of a Test deployment have one and the same name."""
    for kind, name in (
        ("Endpoint", "EndpointName"),
        ("EndpointConfig", "EndpointConfigName"),
        ("Model", "ModelName"),
    ):
        made = calls["sagemaker", f"Create{kind}"][0][name]
        removed = [request[name] for request in calls.get(("sagemaker", f"Delete{kind}"), [])]
        assert removed == [made], f"Delete{kind} was called for {removed}; expected {made}"


def test_copies_are_pinned_encrypted_and_checksummed(
    calls: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    for operation in ("CopyObject", "UploadPartCopy"):
        for request in calls["s3", operation]:
            assert request["CopySource"].endswith("?versionId=v1")
    for operation in ("CopyObject", "CreateMultipartUpload"):
        for request in calls["s3", operation]:
            assert request["ChecksumAlgorithm"] == "SHA256"
            assert request["ServerSideEncryption"] == "aws:kms"
            assert request["SSEKMSKeyId"] == ENVIRONMENT["KMS_KEY_ARN"]
            assert "cleared-test=no&cleared-prod=no" in request["Tagging"]


def test_parts_are_copied_at_the_boundaries_of_the_source(
    calls: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    ranges = sorted(request["CopySourceRange"] for request in calls["s3", "UploadPartCopy"])
    last = sum(IN_PARTS["large/0.bin"])
    assert ranges == [f"bytes=0-{PART - 1}", f"bytes={PART}-{last - 1}"]


def test_roles_elsewhere_are_assumed_with_the_external_id(
    calls: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    requests = calls["sts", "AssumeRole"]
    assert {request["ExternalId"] for request in requests} == {"governed-path"}
    assert {request["RoleArn"] for request in requests} == {
        f"arn:aws:iam::{samples.CENTRAL}:role/governed-path-registry",
        f"arn:aws:iam::{samples.CENTRAL}:role/governed-path-lineage",
        f"arn:aws:iam::{samples.DEV}:role/governed-path-hub",
        f"arn:aws:iam::{samples.TEST}:role/governed-path-hub",
        f"arn:aws:iam::{samples.PROD}:role/governed-path-hub",
        f"arn:aws:iam::{samples.PROD}:role/governed-path-endpoint-execution",
    }


def test_of_the_role_of_endpoints_we_take_reading_what_is_cleared_and_no_more(
    calls: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    narrowed = [request for request in calls["sts", "AssumeRole"] if "Policy" in request]
    role = f"arn:aws:iam::{samples.PROD}:role/governed-path-endpoint-execution"
    assert {request["RoleArn"] for request in narrowed} == {role}
    (statement,) = json.loads(narrowed[0]["Policy"])["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:GetObjectVersion", "kms:Decrypt"],
        "Resource": [
            f"arn:aws:s3:::{ENVIRONMENT['ARTIFACTS_BUCKET']}/models/*",
            ENVIRONMENT["KMS_KEY_ARN"],
        ],
    }


def test_the_client_token_of_a_registration_is_the_candidates(
    calls: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    (request,) = calls["sagemaker", "CreateModelPackage"]
    candidate_id = request["CustomerMetadataProperties"]["candidate-id"]
    assert request["ClientToken"] == candidate_id[:36]


def test_a_call_is_kept_as_it_was_made() -> None:
    aws = Aws()
    aws.client("sagemaker").delete_model(ModelName="m")
    assert aws.calls == [Call("sagemaker", "DeleteModel", {"ModelName": "m"})]
