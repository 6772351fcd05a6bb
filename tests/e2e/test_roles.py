"""Least privilege as deployed: what each role may do, and what it may not.

Roles that people take are tried out. Roles of functions, workflows and endpoints trust a service
alone, so their deployed policies are put before the evaluator that the embedded AWS decides with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import boto3
import pytest
from ministack.core import iam_evaluator

from cli.target import observer_session
from tests.e2e.organisation import (
    ARTIFACTS_BUCKET,
    CENTRAL,
    DEV,
    EVIDENCE_BUCKET,
    LEDGER_BUCKET,
    PROD,
    PROJECT_BUCKET,
    REGION,
    TEST,
    Organisation,
    denied,
    role_arn,
)
from tests.e2e.scenarios import MODEL, WORKFLOWS, DemoPath

GROUP = f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package-group/{MODEL}"
VERSION = f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package/{MODEL}/1"
DEV_VERSION = f"arn:aws:sagemaker:{REGION}:{DEV}:model-package/{MODEL}/1"
MODELS = f"arn:aws:s3:::{ARTIFACTS_BUCKET}/models/{MODEL}/candidate/model-data/model.tar.gz"
MANIFEST = f"arn:aws:s3:::{EVIDENCE_BUCKET}/manifests/{MODEL}/candidate.json"
DEFINITION = f"arn:aws:s3:::{EVIDENCE_BUCKET}/deployments/{MODEL}/definition.json"
MODELS_OF = f"arn:aws:s3:::{ARTIFACTS_BUCKET}/models/{MODEL}/candidate"
IMAGES = f"arn:aws:ecr:{REGION}:{CENTRAL}:repository/governed-path/images"
COPY_PLAN = f"arn:aws:s3:::{EVIDENCE_BUCKET}/copies/{MODEL}/candidate/plan.jsonl"
RECEIPT = f"arn:aws:s3:::{EVIDENCE_BUCKET}/receipts/{MODEL}/candidate/receipt.jsonl"
PREDICTIONS = f"arn:aws:s3:::{EVIDENCE_BUCKET}/predictions/{MODEL}/candidate/shard.json"
REPORT = f"arn:aws:s3:::{EVIDENCE_BUCKET}/reports/{MODEL}/candidate/report.json"
POLICY = f"arn:aws:s3:::{EVIDENCE_BUCKET}/policies/tiers/high.json"
ARCHIVED = f"arn:aws:s3:::{LEDGER_BUCKET}/entries/model={MODEL}/000000001.json"
HUB_BUS = f"arn:aws:events:{REGION}:{CENTRAL}:event-bus/governed-path"
ARTIFACT = "artifact/" + "0" * 32
STAGE = "sagemaker:modellifecycle:stage"
STAGE_STATUS = "sagemaker:modellifecycle:stagestatus"
APPROVAL = "sagemaker:modelapprovalstatus"


def _table(name: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{CENTRAL}:table/governed-path-{name}"


def _lineage(account: str, entity: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{account}:{entity}"


def _config(account: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{account}:endpoint-config/{MODEL}"


def _endpoint(account: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{account}:endpoint/{MODEL}"


def _captured(key: str) -> str:
    return f"arn:aws:s3:::governed-path-capture-{PROD}-{REGION}/{key}"


def _alarm(name: str) -> str:
    return f"arn:aws:cloudwatch:{REGION}:{PROD}:alarm:{name}"


# ---------------------------------------------------------------- roles that people take

Call = Callable[[boto3.Session], tuple[Callable[..., Any], dict[str, Any]]]


def _call(service: str, operation: str, **arguments: Any) -> Call:
    return lambda session: (getattr(session.client(service), operation), arguments)


_OWN_SUITE = "governed-path-suite-"
_LEDGER_KEY = {"model": {"S": MODEL}, "sequence": {"N": "1"}}
_PART = {"part": {"S": "library:numpy==2.4.6"}, "holder": {"S": "recalled"}}
_UPDATE = {
    "ModelPackageArn": VERSION,
    "ModelLifeCycle": {"Stage": "Prod", "StageStatus": "Approved"},
}
_START = {
    "stateMachineArn": f"arn:aws:states:{REGION}:{CENTRAL}:stateMachine:"
    "governed-path-release-to-prod",
    "input": "{}",
}
# Role -> an allowed call and denied ones.
PEOPLE: dict[str, tuple[Call, list[Call]]] = {
    "data-scientist": (
        _call("sagemaker", "list_model_packages", ModelPackageGroupName=MODEL),
        [
            _call("sagemaker", "create_model_package", ModelPackageGroupName=MODEL),
            _call("sagemaker", "create_model_package_group", ModelPackageGroupName="mine"),
            _call("s3", "put_object", Bucket=PROJECT_BUCKET, Key="models/mine", Body=b""),
        ],
    ),
    "training": (
        _call("sagemaker", "describe_model_package_group", ModelPackageGroupName=MODEL),
        [
            _call("s3", "put_object", Bucket=PROJECT_BUCKET, Key="elsewhere/mine", Body=b""),
            _call("s3", "delete_object", Bucket=PROJECT_BUCKET, Key="models/mine"),
            _call("sts", "assume_role", RoleArn=role_arn(CENTRAL, "reader"), RoleSessionName="me"),
        ],
    ),
    "ai-engineer": (
        _call("sagemaker", "describe_model_package", ModelPackageName=VERSION),
        [
            _call("sagemaker", "create_model_package_group", ModelPackageGroupName="mine"),
            _call("sagemaker", "delete_model_package", ModelPackageName=VERSION),
            _call("stepfunctions", "start_execution", **_START),
        ],
    ),
    "governance-engineer": (
        _call("sagemaker", "list_model_packages", ModelPackageGroupName=MODEL),
        [
            _call("dynamodb", "get_item", TableName="governed-path-ledger", Key=_LEDGER_KEY),
            _call("sagemaker", "delete_model_package", ModelPackageName=VERSION),
            _call("stepfunctions", "start_execution", **_START),
        ],
    ),
    "observer": (
        _call("sagemaker", "list_endpoints"),
        [
            _call("sagemaker", "delete_endpoint", EndpointName=f"{MODEL}-endpoint"),
            _call("sagemaker", "list_models"),
            _call(
                *("sagemaker-runtime", "invoke_endpoint"),
                **{"EndpointName": f"{MODEL}-endpoint", "Body": b"{}"},
            ),
            _call(
                "sagemaker",
                "add_tags",
                ResourceArn=f"arn:aws:sagemaker:{REGION}:{PROD}:endpoint/{MODEL}-endpoint",
                Tags=[{"Key": "a", "Value": "b"}],
            ),
            _call("cloudwatch", "set_alarm_state", AlarmName="a", StateValue="OK", StateReason="x"),
            _call("s3", "list_objects_v2", Bucket=ARTIFACTS_BUCKET),
        ],
    ),
    "admin": (
        _call(
            "dynamodb",
            "get_item",
            TableName="governed-path-project-directory",
            Key={"model": {"S": MODEL}},
        ),
        [
            _call("sagemaker", "update_model_package", **_UPDATE),
            _call("dynamodb", "delete_item", TableName="governed-path-ledger", Key=_LEDGER_KEY),
            _call("s3", "put_object", Bucket=EVIDENCE_BUCKET, Key="reports/mine", Body=b""),
        ],
    ),
    "reader": (
        _call("dynamodb", "get_item", TableName="governed-path-ledger", Key=_LEDGER_KEY),
        [
            _call("dynamodb", "put_item", TableName="governed-path-ledger", Item=_LEDGER_KEY),
            _call("dynamodb", "delete_item", TableName="governed-path-ledger", Key=_LEDGER_KEY),
            _call("sagemaker", "update_model_package", **_UPDATE),
            _call("stepfunctions", "start_execution", **_START),
            _call("s3", "put_object", Bucket=EVIDENCE_BUCKET, Key="reports/mine", Body=b""),
            _call("dynamodb", "put_item", TableName="governed-path-parts", Item=_PART),
            _call("sts", "assume_role", RoleArn=role_arn(PROD, "hub"), RoleSessionName="me"),
            _call("sts", "assume_role", RoleArn=role_arn(DEV, "training"), RoleSessionName="me"),
        ],
    ),
}


def _session(organisation: Organisation, role: str) -> boto3.Session:
    if role == "reader":
        return organisation.reader
    if role == "observer":
        return observer_session(organisation.reader, PROD)
    if role == "training":
        return organisation.assume(DEV, "training")
    return organisation.persona(role).session


@pytest.mark.parametrize("role", PEOPLE)
def test_person_may_do_their_work_and_no_more(
    organisation: Organisation, demo_path: DemoPath, role: str
) -> None:
    session = _session(organisation, role)
    allowed, others = PEOPLE[role]
    call, arguments = allowed(session)
    assert call(**arguments)
    for other in others:
        call, arguments = other(session)
        assert denied(call, **arguments), f"{role}: {call.__name__}"


# ---------------------------------------------------------------- roles that services take


class Deployed:
    """The roles of one account, with their deployed documents."""

    def __init__(self, organisation: Organisation, account: str) -> None:
        self._iam = organisation.root(account, "iam")
        self._account = account
        self._documents: dict[str, list[Any]] = {}

    def allows(
        self, role: str, action: str, resource: str, keys: Mapping[str, str] | None = None
    ) -> bool:
        """True if the role's own policies allow the action; `keys` are condition keys."""
        context = iam_evaluator.EvalContext(
            principal_arn=role_arn(self._account, role),
            principal_type="AssumedRole",
            principal_account=self._account,
            action=action,
            resource_arn=resource,
            region=REGION,
            service_context=dict(keys or {}),
        )
        return bool(iam_evaluator.evaluate(context, self._policies(role)).decision == "Allow")

    def trust(self, role: str) -> list[dict[str, Any]]:
        """The statements of the role's trust policy."""
        found = self._iam.get_role(RoleName=f"governed-path-{role}")["Role"]
        statements: list[dict[str, Any]] = _document(found["AssumeRolePolicyDocument"])["Statement"]
        return statements

    def _policies(self, role: str) -> list[Any]:
        if role not in self._documents:
            self._documents[role] = [
                iam_evaluator.parse_policy_document(document) for document in self._read(role)
            ]
        return self._documents[role]

    def _read(self, role: str) -> list[dict[str, Any]]:
        name = {"RoleName": f"governed-path-{role}"}
        inline = [
            self._iam.get_role_policy(**name, PolicyName=policy)["PolicyDocument"]
            for policy in self._iam.list_role_policies(**name)["PolicyNames"]
        ]
        managed = []
        for attached in self._iam.list_attached_role_policies(**name)["AttachedPolicies"]:
            policy = self._iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
            version = self._iam.get_policy_version(
                PolicyArn=attached["PolicyArn"], VersionId=policy["DefaultVersionId"]
            )
            managed.append(version["PolicyVersion"]["Document"])
        return [_document(policy) for policy in (*inline, *managed)]


def _document(policy: Any) -> dict[str, Any]:
    parsed = json.loads(unquote(policy)) if isinstance(policy, str) else policy
    return dict(parsed)


@pytest.fixture(scope="module")
def deployed(organisation: Organisation) -> dict[str, Deployed]:
    """Account -> its roles."""
    return {account: Deployed(organisation, account) for account in (CENTRAL, DEV, TEST, PROD)}


_TAKE_HUB = ("sts:AssumeRole", role_arn(TEST, "hub"))
_TAKE_REGISTRY = ("sts:AssumeRole", role_arn(CENTRAL, "registry"))
_TAKE_LINEAGE = ("sts:AssumeRole", role_arn(CENTRAL, "lineage"))
# Function -> one thing that it must be able to do.
FUNCTIONS = {
    "claim-approval": ("dynamodb:PutItem", _table("claims")),
    "check-access": _TAKE_HUB,
    "resolve-approver": ("dynamodb:GetItem", _table("candidates")),
    "build-candidate": ("s3:PutObject", MANIFEST),
    "verify-candidate": ("s3:GetObject", MODELS),
    "evaluate-gate": ("dynamodb:Query", f"{_table('ledger')}/index/by-version"),
    "plan-copy": ("s3:PutObject", COPY_PLAN),
    "copy-batch": ("s3:PutObject", MODELS),
    "verify-copy": ("s3:ListMultipartUploadParts", MODELS),
    "abandon-copy": ("s3:AbortMultipartUpload", MODELS),
    "copy-images": ("ecr:PutImage", IMAGES),
    "recreate-lineage": ("s3:GetObject", MANIFEST),
    "register-version": ("dynamodb:PutItem", _table("candidates")),
    "link-lineage": _TAKE_LINEAGE,
    "set-stage": ("dynamodb:Query", f"{_table('ledger')}/index/by-version"),
    "claim-rollback": ("dynamodb:PutItem", _table("claims")),
    "stop-release": (
        "states:StopExecution",
        f"arn:aws:states:{REGION}:{CENTRAL}:execution:governed-path-release-to-prod:one",
    ),
    "prove-rollback-target": ("sts:AssumeRole", role_arn(PROD, "endpoint-execution")),
    "lock-endpoint": ("dynamodb:PutItem", _table("endpoint-locks")),
    "release-endpoint-lock": ("dynamodb:DeleteItem", _table("endpoint-locks")),
    "plan-deployment": ("dynamodb:GetItem", _table("project-directory")),
    "grant-clearance": ("s3:PutObjectVersionTagging", MODELS),
    "revoke-clearance": ("s3:PutObjectVersionTagging", MODELS),
    "create-model": _TAKE_HUB,
    "create-endpoint-config": _TAKE_HUB,
    "deploy-endpoint": ("dynamodb:PutItem", _table("endpoint-waits")),
    "resolve-endpoint-wait": ("dynamodb:DeleteItem", _table("endpoint-waits")),
    "check-served-config": _TAKE_HUB,
    "plan-suites": ("dynamodb:Query", f"{_table('ledger')}/index/by-kind"),
    "run-suite": ("s3:PutObject", PREDICTIONS),
    "aggregate-results": ("s3:PutObject", REPORT),
    "write-results": _TAKE_REGISTRY,
    "remove-endpoint": _TAKE_HUB,
    "remove-abandoned-endpoint": ("dynamodb:GetItem", _table("project-directory")),
    "smoke-test": ("s3:GetObject", MODELS),
    "watch-endpoint": ("s3:GetObject", DEFINITION),
    "check-alarms": _TAKE_HUB,
    "plan-trial": ("s3:GetObject", DEFINITION),
    "compare-variants": _TAKE_HUB,
    "tag-endpoint": _TAKE_HUB,
    "supersede-version": ("dynamodb:Query", f"{_table('ledger')}/index/by-kind"),
    "confirm-approver": ("dynamodb:PutItem", _table("confirmations")),
    "record-confirmation": ("dynamodb:PutItem", _table("confirmations")),
    "record-registration": ("s3:PutObject", MANIFEST),
    "record-unfinished-run": ("dynamodb:GetItem", _table("claims")),
    "record-decision": ("dynamodb:PutItem", _table("parts")),
    "check-review-deadlines": ("dynamodb:Scan", _table("project-directory")),
    "detect-tampering": ("s3:GetObject", MODELS),
    "record": ("dynamodb:PutItem", _table("ledger")),
    "publish-entry": ("events:PutEvents", HUB_BUS),
    "archive-entry": ("s3:PutObject", ARCHIVED),
    "record-policy-change": (
        "sagemaker:DescribeAction",
        f"arn:aws:sagemaker:{REGION}:{CENTRAL}:action/policy-{MODEL}-0",
    ),
}
_KEYS = {"publish-entry": {"events:source": "governed-path"}}
# What no function may do by itself.
FOREIGN = [
    ("sagemaker:UpdateModelPackage", VERSION),
    ("sagemaker:CreateModelPackage", GROUP),
    ("sagemaker:CreateEndpoint", _endpoint(PROD)),
    ("sagemaker:CreateArtifact", _lineage(CENTRAL, ARTIFACT)),
    ("sagemaker:AddAssociation", _lineage(CENTRAL, ARTIFACT)),
    ("sagemaker:CreateAction", _lineage(CENTRAL, "action/governed-path-1")),
    ("dynamodb:UpdateItem", _table("ledger")),
    ("dynamodb:DeleteItem", _table("ledger")),
    ("dynamodb:BatchWriteItem", _table("ledger")),
    ("dynamodb:DeleteItem", _table("ledger-heads")),
    ("s3:DeleteObjectVersion", ARCHIVED),
    ("s3:PutObjectRetention", ARCHIVED),
    ("dynamodb:DeleteItem", _table("claims")),
    ("dynamodb:DeleteItem", _table("parts")),
    ("dynamodb:UpdateItem", _table("parts")),
    ("dynamodb:PutItem", _table("project-directory")),
    ("s3:DeleteObject", REPORT),
    ("s3:DeleteObject", MODELS),
    ("s3:PutObject", POLICY),
    ("s3:PutObject", DEFINITION),
    ("cloudwatch:PutMetricAlarm", _alarm("governed-path-x")),
    ("s3:DeleteObjectVersionTagging", MODELS),
    ("s3:BypassGovernanceRetention", REPORT),
    ("iam:PassRole", role_arn(PROD, "endpoint-execution")),
    ("sts:AssumeRole", role_arn(CENTRAL, "governance-engineer")),
    ("sts:AssumeRole", "arn:aws:iam::999900001111:role/governed-path-hub"),
    ("states:StartExecution", _START["stateMachineArn"]),
    ("kms:ScheduleKeyDeletion", f"arn:aws:kms:{REGION}:{CENTRAL}:key/any"),
]


def test_every_deployed_function_is_looked_at(organisation: Organisation) -> None:
    functions = organisation.root(CENTRAL, "lambda").get_paginator("list_functions").paginate()
    found = {f["FunctionName"]: f["Role"] for page in functions for f in page["Functions"]}
    # Suites of the teams' own are not of our stack.
    found = {name: role for name, role in found.items() if not name.startswith(_OWN_SUITE)}
    assert found == {f"governed-path-{name}": role_arn(CENTRAL, name) for name in FUNCTIONS}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_may_do_its_work_and_no_more(deployed: dict[str, Deployed], function: str) -> None:
    roles = deployed[CENTRAL]
    assert roles.allows(function, *FUNCTIONS[function], _KEYS.get(function))
    others = [what for what in FOREIGN if roles.allows(function, *what)]
    assert others == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_shares_its_role_with_nobody(deployed: dict[str, Deployed], function: str) -> None:
    (statement,) = deployed[CENTRAL].trust(function)
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_who_names_candidates_reads_registrations_and_writes_no_ledger(
    deployed: dict[str, Deployed],
) -> None:
    roles = deployed[CENTRAL]
    assert roles.allows("build-candidate", "dynamodb:Query", f"{_table('ledger')}/index/by-version")
    assert not roles.allows("build-candidate", "dynamodb:Query", _table("ledger"))
    assert not roles.allows("build-candidate", "dynamodb:PutItem", _table("ledger"))


@pytest.mark.parametrize("function", ["watch-endpoint", "plan-trial"])
def test_who_turns_alarms_reads_definitions_alone(
    deployed: dict[str, Deployed], function: str
) -> None:
    roles = deployed[CENTRAL]
    assert roles.allows(function, *_TAKE_HUB)
    assert not roles.allows(function, "s3:GetObject", MANIFEST)


def test_who_removes_an_endpoint_stops_deployments_alone(deployed: dict[str, Deployed]) -> None:
    roles, function = deployed[CENTRAL], "remove-abandoned-endpoint"
    queue = f"arn:aws:sqs:{REGION}:{CENTRAL}:governed-path"
    assert roles.allows(function, "sqs:DeleteMessage", f"{queue}-abandoned-endpoints")
    assert not roles.allows(function, "sqs:DeleteMessage", f"{queue}-rules-dlq")
    assert not roles.allows(function, "sqs:SendMessage", f"{queue}-rules-dlq")
    execution = f"arn:aws:states:{REGION}:{CENTRAL}:execution:governed-path"
    for machine, stops in (
        *(("deploy-endpoint", True), ("validate-in-test", False)),
        *(("release-to-prod", False), ("rollback-model", False)),
    ):
        allowed = roles.allows(function, "states:StopExecution", f"{execution}-{machine}:x")
        assert allowed is stops


def test_who_tries_a_push_can_push_nothing(deployed: dict[str, Deployed]) -> None:
    roles = deployed[CENTRAL]
    assert roles.allows("check-access", "ecr:UploadLayerPart", IMAGES)
    for action in ("InitiateLayerUpload", "CompleteLayerUpload", "PutImage"):
        assert not roles.allows("check-access", f"ecr:{action}", IMAGES)


def test_who_is_told_of_an_endpoint_alone_may_look_whose_it_is(
    deployed: dict[str, Deployed],
) -> None:
    for function in ("claim-rollback", "record-unfinished-run"):
        assert deployed[CENTRAL].allows(function, "dynamodb:Scan", _table("project-directory"))
        assert not deployed[CENTRAL].allows(function, "dynamodb:Scan", _table("claims"))


def test_ledger_has_few_writers(deployed: dict[str, Deployed]) -> None:
    for action, resource in (
        ("dynamodb:PutItem", _table("ledger")),
        ("dynamodb:UpdateItem", _table("ledger-heads")),
    ):
        writers = {f for f in FUNCTIONS if deployed[CENTRAL].allows(f, action, resource)}
        assert writers == {
            *("record", "record-decision", "record-policy-change", "record-registration"),
            *("check-review-deadlines", "detect-tampering", "grant-clearance", "revoke-clearance"),
            "record-unfinished-run",
        }
    archivers = [f for f in FUNCTIONS if deployed[CENTRAL].allows(f, "s3:PutObject", ARCHIVED)]
    assert archivers == ["archive-entry"]


def test_only_functions_that_say_so_are_suites(deployed: dict[str, Deployed]) -> None:
    function = f"arn:aws:lambda:{REGION}:{CENTRAL}:function:governed-path"
    callers = {
        name
        for name in FUNCTIONS
        if deployed[CENTRAL].allows(name, "lambda:InvokeFunction", f"{function}-suite-drift")
    }
    assert callers == {"run-suite"}
    for other in ("record", "run-suite", "suites"):
        resource = f"{function}-{other}"
        assert not deployed[CENTRAL].allows("run-suite", "lambda:InvokeFunction", resource)


def test_few_say_what_a_version_is_made_of_and_one_looks(deployed: dict[str, Deployed]) -> None:
    roles, table = deployed[CENTRAL], _table("parts")
    writers = {f for f in FUNCTIONS if roles.allows(f, "dynamodb:PutItem", table)}
    assert writers == {"register-version", "record-registration", "record-decision"}
    looking = {f for f in FUNCTIONS if roles.allows(f, "dynamodb:BatchGetItem", table)}
    assert looking == {"evaluate-gate"}


def test_few_compare_what_a_version_says_with_its_report(deployed: dict[str, Deployed]) -> None:
    roles, index = deployed[CENTRAL], f"{_table('ledger')}/index/by-version"
    readers = {f for f in FUNCTIONS if roles.allows(f, "s3:GetObjectVersion", REPORT)}
    compares = {"verify-candidate", "detect-tampering", "record-decision", "prove-rollback-target"}
    assert readers == {*compares, "write-results", "plan-suites"}
    assert all(roles.allows(f, "dynamodb:Query", index) for f in compares)
    for function in ("verify-candidate", "write-results"):
        assert not roles.allows(function, "s3:PutObject", REPORT)
        assert not roles.allows(function, "s3:GetObject", POLICY)
        assert not roles.allows(function, "dynamodb:PutItem", _table("ledger"))


def test_who_records_decisions_asks_what_serves_and_changes_nothing_recorded(
    deployed: dict[str, Deployed],
) -> None:
    roles, table, function = deployed[CENTRAL], _table("ledger"), "record-decision"
    for index in ("by-kind", "by-version"):
        assert roles.allows(function, "dynamodb:Query", f"{table}/index/{index}")
    assert not roles.allows(function, "dynamodb:Query", table)
    assert not roles.allows(function, "dynamodb:UpdateItem", table)


def test_what_looks_at_an_endpoint_asks_the_ledger_for_its_version_alone(
    deployed: dict[str, Deployed],
) -> None:
    roles, table, function = deployed[CENTRAL], _table("ledger"), "check-served-config"
    assert roles.allows(function, "dynamodb:Query", f"{table}/index/by-version")
    assert not roles.allows(function, "dynamodb:Query", f"{table}/index/by-kind")
    assert not roles.allows(function, "dynamodb:Query", table)
    assert not roles.allows(function, "dynamodb:PutItem", table)


@pytest.mark.parametrize("account", [DEV, TEST, PROD])
def test_only_the_reader_of_central_becomes_an_observer(
    organisation: Organisation, deployed: dict[str, Deployed], account: str
) -> None:
    (statement,) = deployed[account].trust("observer")
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{CENTRAL}:root"}
    persona = organisation.persona("governance-engineer").session
    observer = role_arn(account, "observer")
    assume = persona.client("sts").assume_role
    assert denied(assume, RoleArn=observer, RoleSessionName="me")
    assert observer_session(organisation.reader, account)


def test_publisher_speaks_only_in_our_name(deployed: dict[str, Deployed]) -> None:
    assert not deployed[CENTRAL].allows(
        "publish-entry", "events:PutEvents", HUB_BUS, {"events:source": "aws.sagemaker"}
    )


def test_copying_reads_project_buckets_and_writes_models(deployed: dict[str, Deployed]) -> None:
    roles = deployed[CENTRAL]
    for function in ("plan-copy", "copy-batch", "verify-copy", "abandon-copy"):
        assert not roles.allows(function, "s3:PutObject", f"arn:aws:s3:::{PROJECT_BUCKET}/x")
        assert not roles.allows(function, "s3:PutObject", f"arn:aws:s3:::{ARTIFACTS_BUCKET}/x")
        assert not roles.allows(function, "s3:GetObject", "arn:aws:s3:::another-bucket/x")
        assert not roles.allows(function, "s3:PutObjectRetention", MODELS)
        ends = roles.allows(function, "s3:AbortMultipartUpload", MODELS)
        # Verifying ends what another run began for an object that is there.
        assert ends == (function in ("verify-copy", "abandon-copy"))
        # What S3 answered to a copy is kept by the one that copies, and believed by two.
        writes = roles.allows(function, "s3:PutObject", RECEIPT)
        assert writes == (function == "copy-batch")
        assert roles.allows(function, "s3:GetObject", RECEIPT) == (function != "abandon-copy")
        assert not roles.allows(function, "s3:DeleteObjectVersion", RECEIPT)
        # What is registered is not copied again; who registers it is another.
        asks = roles.allows(function, "dynamodb:GetItem", _table("candidates"))
        assert asks == (function in ("plan-copy", "verify-copy"))
        assert not roles.allows(function, "dynamodb:PutItem", _table("candidates"))
    for function in ("plan-copy", "verify-copy", "abandon-copy"):
        assert not roles.allows(function, "s3:GetObject", f"arn:aws:s3:::{PROJECT_BUCKET}/x")
    for function in ("copy-batch", "verify-copy", "abandon-copy"):
        assert not roles.allows(function, "s3:PutObject", COPY_PLAN)
    # A receipt counts for the present version alone, so who believes it lists versions.
    for function in ("plan-copy", "verify-copy"):
        assert roles.allows(function, "s3:ListBucket", f"arn:aws:s3:::{EVIDENCE_BUCKET}")
        assert roles.allows(function, "s3:ListBucketVersions", f"arn:aws:s3:::{ARTIFACTS_BUCKET}")


def test_a_copy_runs_as_executions_of_its_own_machine_only(deployed: dict[str, Deployed]) -> None:
    role, start = "promote-to-central-workflow", "states:StartExecution"
    machine = f"arn:aws:states:{REGION}:{CENTRAL}:stateMachine:governed-path"
    assert deployed[CENTRAL].allows(role, start, f"{machine}-promote-to-central")
    assert not deployed[CENTRAL].allows(role, start, f"{machine}-release-to-prod")
    assert deployed[CENTRAL].allows(role, "s3:GetObject", COPY_PLAN)
    assert not deployed[CENTRAL].allows(role, "s3:GetObject", MANIFEST)


@pytest.mark.parametrize("workflow", [*WORKFLOWS, "rollback_model"])
def test_who_changes_an_endpoint_of_prod_may_ask_what_it_serves(
    deployed: dict[str, Deployed], workflow: str
) -> None:
    """A release and a rollback that broke; the others leave that to deploy_endpoint."""
    role = f"{workflow.replace('_', '-')}-workflow"
    function = f"arn:aws:lambda:{REGION}:{CENTRAL}:function:governed-path-check-served-config"
    may = workflow in ("release_to_prod", "rollback_model")
    assert deployed[CENTRAL].allows(role, "lambda:InvokeFunction", function) is may


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_workflow_calls_functions_and_nothing_else(
    deployed: dict[str, Deployed], workflow: str
) -> None:
    role = f"{workflow.replace('_', '-')}-workflow"
    function = f"arn:aws:lambda:{REGION}:{CENTRAL}:function:governed-path"
    assert deployed[CENTRAL].allows(role, "lambda:InvokeFunction", f"{function}-claim-approval")
    for action, resource in (
        *FOREIGN[:-2],
        ("lambda:InvokeFunction", f"{function}-publish-entry"),
        ("lambda:UpdateFunctionCode", f"{function}-claim-approval"),
        ("s3:GetObject", MODELS),
    ):
        assert not deployed[CENTRAL].allows(role, action, resource), action
    (statement,) = deployed[CENTRAL].trust(role)
    assert statement["Principal"] == {"Service": "states.amazonaws.com"}


CAPTURED = f"arn:aws:s3:::governed-path-capture-{PROD}-{REGION}"
SCALED = f"arn:aws:application-autoscaling:{REGION}:{PROD}:scalable-target/any"


def _scaling(service: str) -> dict[str, str]:
    return {"application-autoscaling:service-namespace": service}


def _update(stage: str, status: str, approval: str = "") -> dict[str, str]:
    keys = {STAGE: stage, STAGE_STATUS: status}
    return keys | ({APPROVAL: approval} if approval else {})


# (account, role, action, resource, condition keys, allowed)
OTHERS = [
    (CENTRAL, "registry", "sagemaker:UpdateModelPackage", VERSION, _update("Test", "Passed"), True),
    (CENTRAL, "registry", "sagemaker:UpdateModelPackage", VERSION, {APPROVAL: "Approved"}, False),
    (CENTRAL, "registry", "sagemaker:CreateModelPackage", GROUP, {APPROVAL: "Approved"}, False),
    (CENTRAL, "registry", "sagemaker:DeleteModelPackage", VERSION, {}, False),
    (CENTRAL, "registry", "dynamodb:PutItem", _table("ledger"), {}, False),
    (CENTRAL, "registry", "sagemaker:AddAssociation", _lineage(CENTRAL, ARTIFACT), {}, False),
    *(
        (CENTRAL, "lineage", f"sagemaker:{action}", _lineage(account, entity), {}, allowed)
        for action, account, entity, allowed in (
            ("CreateArtifact", CENTRAL, ARTIFACT, True),
            ("AddAssociation", CENTRAL, ARTIFACT, True),
            ("CreateAction", CENTRAL, "action/governed-path-1", True),
            ("AddAssociation", CENTRAL, "action/governed-path-1", True),
            ("CreateContext", CENTRAL, "context/governed-path-1", True),
            # Who published a policy is an action too, and nobody may make one up.
            ("CreateAction", CENTRAL, f"action/policy-{MODEL}-0", False),
            ("AddAssociation", CENTRAL, f"action/policy-{MODEL}-0", False),
            ("CreateContext", CENTRAL, "context/mine", False),
            ("DeleteArtifact", CENTRAL, ARTIFACT, False),
            ("DeleteAssociation", CENTRAL, ARTIFACT, False),
            ("DeleteAction", CENTRAL, "action/governed-path-1", False),
            ("CreateArtifact", DEV, ARTIFACT, False),
            ("CreateAction", DEV, "action/governed-path-1", False),
            ("UpdateModelPackage", CENTRAL, f"model-package/{MODEL}/1", False),
            ("CreateModelPackage", CENTRAL, f"model-package-group/{MODEL}", False),
        )
    ),
    (CENTRAL, "reader", "sagemaker:QueryLineage", "*", {}, True),
    (CENTRAL, "reader", "sagemaker:DescribeAction", _lineage(CENTRAL, "action/x"), {}, True),
    (CENTRAL, "reader", "sagemaker:CreateArtifact", _lineage(CENTRAL, ARTIFACT), {}, False),
    (CENTRAL, "reader", "sagemaker:UpdateArtifact", _lineage(CENTRAL, ARTIFACT), {}, False),
    (CENTRAL, "event-forwarding", "events:PutEvents", HUB_BUS, {}, True),
    (CENTRAL, "event-forwarding", "states:StartExecution", _START["stateMachineArn"], {}, False),
    (CENTRAL, "reader", "s3:GetObject", f"{MODELS_OF}/evaluation/evaluation.json", {}, True),
    (CENTRAL, "reader", "s3:GetObject", f"{MODELS_OF}/holdout/holdout.csv", {}, False),
    (CENTRAL, "reader", "s3:GetObject", f"{MODELS_OF}/model-data/model.tar.gz", {}, False),
    (DEV, "hub", "sagemaker:DescribeModelPackage", DEV_VERSION, {}, True),
    (DEV, "hub", "s3:GetObjectVersion", f"arn:aws:s3:::{PROJECT_BUCKET}/models/x", {}, True),
    (DEV, "hub", "s3:PutObject", f"arn:aws:s3:::{PROJECT_BUCKET}/models/x", {}, False),
    (DEV, "hub", "s3:DeleteObject", f"arn:aws:s3:::{PROJECT_BUCKET}/models/x", {}, False),
    (DEV, "hub", "sagemaker:UpdateModelPackage", DEV_VERSION, {}, False),
    (DEV, "hub", "sagemaker:CreateEndpoint", _endpoint(DEV), {}, False),
    # Central reads Dev's lineage and cannot write there; Dev cannot write in Central.
    (DEV, "hub", "sagemaker:QueryLineage", "*", {}, True),
    (DEV, "hub", "sagemaker:DescribeArtifact", _lineage(DEV, ARTIFACT), {}, True),
    *(
        (DEV, role, f"sagemaker:{action}", _lineage(account, entity), {}, False)
        for role, account in (("hub", DEV), ("training", CENTRAL), ("data-scientist", CENTRAL))
        for action, entity in (
            ("CreateArtifact", ARTIFACT),
            ("UpdateArtifact", ARTIFACT),
            ("DeleteArtifact", ARTIFACT),
            ("AddAssociation", ARTIFACT),
            ("CreateAction", "action/governed-path-1"),
            ("CreateContext", "context/governed-path-1"),
        )
    ),
    (DEV, "training", "sagemaker:UpdateArtifact", _lineage(DEV, ARTIFACT), {}, True),
    (DEV, "training", "sagemaker:DeleteArtifact", _lineage(DEV, ARTIFACT), {}, False),
    (DEV, "event-forwarding", "events:PutEvents", HUB_BUS, {}, True),
    (DEV, "event-forwarding", "events:PutEvents", HUB_BUS.replace(CENTRAL, DEV), {}, False),
    (TEST, "hub", "sagemaker:CreateEndpoint", _endpoint(TEST), {}, True),
    (TEST, "hub", "sagemaker:DeleteEndpoint", _endpoint(TEST), {}, True),
    (TEST, "hub", "sagemaker:CreateEndpoint", _endpoint(PROD), {}, False),
    (TEST, "hub", "s3:GetObject", MODELS, {}, False),
    (TEST, "hub", "iam:PassRole", role_arn(TEST, "event-forwarding"), {}, False),
    (TEST, "suite", "sagemaker:InvokeEndpoint", _endpoint(TEST), {}, True),
    (TEST, "suite", "sagemaker:DeleteEndpoint", _endpoint(TEST), {}, False),
    (TEST, "suite", "s3:GetObject", MODELS, {}, False),
    (TEST, "endpoint-execution", "s3:GetObject", MODELS, {}, True),
    (TEST, "endpoint-execution", "s3:GetObject", f"arn:aws:s3:::{ARTIFACTS_BUCKET}/x", {}, False),
    (TEST, "endpoint-execution", "s3:GetObject", REPORT, {}, False),
    (TEST, "endpoint-execution", "s3:PutObject", MODELS, {}, False),
    (TEST, "endpoint-execution", "sagemaker:CreateEndpoint", _endpoint(TEST), {}, False),
    (PROD, "hub", "sagemaker:UpdateEndpoint", _endpoint(PROD), {}, True),
    # A trial's metrics, and what its shadow answered; not what else is captured.
    (PROD, "hub", "cloudwatch:GetMetricData", "*", {}, True),
    (TEST, "hub", "cloudwatch:GetMetricData", "*", {}, False),
    (PROD, "hub", "s3:GetObject", _captured("trials/x/a.jsonl"), {}, True),
    (PROD, "hub", "s3:GetObject", _captured("endpoint/a.jsonl"), {}, False),
    (PROD, "hub", "s3:PutObject", _captured("trials/x/a.jsonl"), {}, False),
    (PROD, "hub", "sagemaker:UpdateModelPackage", VERSION, {}, False),
    *(
        (PROD, "hub", f"cloudwatch:{action}", _alarm(name), {}, name == "governed-path-x")
        for action in ("PutMetricAlarm", "SetAlarmState", "DescribeAlarmHistory", "DeleteAlarms")
        for name in ("governed-path-x", "another")
    ),
    # Alarms of endpoints go with their definitions; those of the stack itself stay.
    *(
        (PROD, "hub", f"cloudwatch:{action}", _alarm(f"governed-path-{name}"), {}, False)
        for action in ("PutMetricAlarm", "SetAlarmState", "DeleteAlarms")
        for name in (
            *("forwarding-dlq-not-empty", "forwarding-undelivered"),
            "alarm-forwarding-undelivered",
        )
    ),
    (PROD, "hub", "sagemaker:ListTags", _config(PROD), {}, True),
    (PROD, "hub", "sagemaker:DeleteTags", _config(PROD), {}, False),
    *(
        (PROD, "hub", f"application-autoscaling:{action}", SCALED, _scaling(service), allowed)
        for action, service, allowed in (
            ("RegisterScalableTarget", "sagemaker", True),
            ("PutScalingPolicy", "sagemaker", True),
            ("RegisterScalableTarget", "dynamodb", False),
            ("DeleteScalingPolicy", "sagemaker", False),
        )
    ),
    (PROD, "hub", "s3:GetObject", f"{CAPTURED}/x", {}, False),
    (PROD, "endpoint-execution", "s3:PutObject", f"{CAPTURED}/x", {}, True),
    (PROD, "endpoint-execution", "s3:GetObject", f"{CAPTURED}/x", {}, False),
    (CENTRAL, "reader", "s3:GetObject", DEFINITION, {}, True),
    (CENTRAL, "reader", "s3:PutObject", DEFINITION, {}, False),
    (CENTRAL, "ai-engineer", "s3:PutObject", DEFINITION, {}, True),
    (CENTRAL, "ai-engineer", "s3:DeleteObject", DEFINITION, {}, False),
    (CENTRAL, "ai-engineer", "s3:PutObject", POLICY, {}, False),
    (CENTRAL, "admin", "s3:GetObject", DEFINITION, {}, True),
    (CENTRAL, "admin", "s3:PutObject", DEFINITION, {}, False),
    (PROD, "hub", "sagemaker:StopTrainingJob", _endpoint(PROD), {}, False),
    (PROD, "endpoint-execution", "s3:GetObject", MODELS, {}, True),
    (PROD, "endpoint-execution", "s3:DeleteObject", MODELS, {}, False),
    (PROD, "endpoint-execution", "cloudwatch:DescribeAlarms", _alarm("governed-path-x"), {}, True),
    (PROD, "endpoint-execution", "cloudwatch:DescribeAlarms", _alarm("another"), {}, False),
    (PROD, "endpoint-execution", "cloudwatch:SetAlarmState", _alarm("governed-path-x"), {}, False),
]


@pytest.mark.parametrize(
    ("account", "role", "action", "resource", "keys", "allowed"),
    OTHERS,
    ids=[
        f"{role}-{account}-{action}-{number}"
        for number, (account, role, action, *_) in enumerate(OTHERS)
    ],
)
def test_role_of_the_system(
    deployed: dict[str, Deployed],
    account: str,
    role: str,
    action: str,
    resource: str,
    keys: dict[str, str],
    allowed: bool,
) -> None:
    assert deployed[account].allows(role, action, resource, keys) is allowed


@pytest.mark.parametrize("stage", [TEST, PROD])
def test_hub_passes_endpoints_their_own_role_only_to_sagemaker(
    deployed: dict[str, Deployed], stage: str
) -> None:
    role = role_arn(stage, "endpoint-execution")
    to_sagemaker = {"iam:passedtoservice": "sagemaker.amazonaws.com"}
    to_lambda = {"iam:passedtoservice": "lambda.amazonaws.com"}
    assert deployed[stage].allows("hub", "iam:PassRole", role, to_sagemaker)
    assert not deployed[stage].allows("hub", "iam:PassRole", role, to_lambda)


@pytest.mark.parametrize("account", [DEV, TEST, PROD])
def test_hub_role_is_for_the_functions_that_need_it(
    deployed: dict[str, Deployed], organisation: Organisation, account: str
) -> None:
    (statement,) = deployed[account].trust("hub")
    assert statement["Condition"]["StringEquals"] == {"sts:ExternalId": "governed-path"}
    trusted = statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]
    names = {arn.rpartition(":role/governed-path-")[2] for arn in trusted}
    assert names < FUNCTIONS.keys()
    for name in names:
        assert deployed[CENTRAL].allows(name, "sts:AssumeRole", role_arn(account, "hub"))
    take = {"RoleArn": role_arn(account, "hub"), "RoleSessionName": "anybody"}
    for root in (CENTRAL, account):
        sts = organisation.root(root, "sts")
        assert denied(sts.assume_role, **take, ExternalId="governed-path")


@pytest.mark.parametrize("role", ["registry", "lineage"])
def test_a_role_of_the_registry_is_for_the_functions_that_need_it(
    deployed: dict[str, Deployed], organisation: Organisation, role: str
) -> None:
    (statement,) = deployed[CENTRAL].trust(role)
    trusted = statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]
    taking = ("sts:AssumeRole", role_arn(CENTRAL, role))
    for arn in trusted:
        name = arn.rpartition(":role/governed-path-")[2]
        assert deployed[CENTRAL].allows(name, *taking)
    takers = [f for f in FUNCTIONS if deployed[CENTRAL].allows(f, *taking)]
    assert sorted(trusted) == sorted(role_arn(CENTRAL, name) for name in takers)
    sts = organisation.root(CENTRAL, "sts")
    take = {"RoleArn": role_arn(CENTRAL, role), "RoleSessionName": "anybody"}
    assert denied(sts.assume_role, **take, ExternalId="governed-path")


def test_only_who_proves_a_way_back_reads_as_an_endpoint_of_prod(
    deployed: dict[str, Deployed], organisation: Organisation
) -> None:
    """Nobody of ours is an endpoint of Test; and of Prod's role the session has reading alone."""
    assert len(deployed[TEST].trust("endpoint-execution")) == 1
    (_, ours) = deployed[PROD].trust("endpoint-execution")
    assert ours["Condition"] == {
        "StringEquals": {"sts:ExternalId": "governed-path"},
        "ArnEquals": {"aws:PrincipalArn": role_arn(CENTRAL, "prove-rollback-target")},
    }
    taking = ("sts:AssumeRole", role_arn(PROD, "endpoint-execution"))
    takers = [f for f in FUNCTIONS if deployed[CENTRAL].allows(f, *taking)]
    assert takers == ["prove-rollback-target"]
    take = {"RoleArn": role_arn(PROD, "endpoint-execution"), "RoleSessionName": "anybody"}
    for root in (CENTRAL, PROD):
        sts = organisation.root(root, "sts")
        assert denied(sts.assume_role, **take, ExternalId="governed-path")
