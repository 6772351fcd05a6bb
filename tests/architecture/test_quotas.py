"""What the stacks make stays within AWS's default quotas, in an organisation of many accounts.

The embedded AWS has no quotas; a deployment into AWS that meets one fails half-way. Sources: the
quota pages of CloudFormation, IAM, Lambda, EventBridge, Step Functions, S3, KMS, DynamoDB and SQS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import boto3
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tests.architecture.test_templates import TEMPLATES, Template, of_type, parsed

# Ten projects with a Dev, a Test and a Prod account each.
_ACCOUNTS = [f"{number:012d}" for number in range(30)]
_REGION, _ACCOUNT, _PARTITION = "ap-southeast-1", "111122223333", "aws-us-gov"
_RESOURCES, _PARAMETERS, _OUTPUTS, _TEMPLATE_BYTES = 500, 200, 200, 1_000_000
_TRUST_POLICY, _INLINE_POLICIES, _MANAGED_POLICY, _MANAGED_OF_A_ROLE = 2048, 10_240, 6144, 10
_ENVIRONMENT_BYTES, _LAYERS, _LAMBDA_SECONDS = 4096, 5, 900
_PATTERN, _TARGETS = 2048, 5
_NAMES = {"AWS::IAM::Role": 64, "AWS::Lambda::Function": 64, "AWS::Events::Rule": 64}
_NAMES |= {"AWS::StepFunctions::StateMachine": 80, "AWS::S3::Bucket": 63, "AWS::SQS::Queue": 80}
_NAME_MEMBERS = ("RoleName", "FunctionName", "Name", "StateMachineName", "BucketName", "QueueName")
# Bytes of a resource's policy: {type: (member, most)}.
_POLICIES = {
    "AWS::KMS::Key": ("KeyPolicy", 32_768),
    "AWS::S3::BucketPolicy": ("PolicyDocument", 20_480),
    "AWS::DynamoDB::Table": ("ResourcePolicy", 20_480),
    "AWS::Events::EventBusPolicy": ("Statement", 10_240),
    "AWS::SNS::TopicPolicy": ("PolicyDocument", 30_720),
    "AWS::SQS::QueuePolicy": ("PolicyDocument", 20_480),
    "AWS::ECR::Repository": ("RepositoryPolicyText", 10_240),
}


@cache
def deployed(name: str) -> Template:
    """The template as CloudFormation sees it, with its values filled in."""
    template = _packaged(parsed(name))
    parameters = {
        parameter: _ACCOUNTS
        if parameter.endswith("AccountIds")
        else declared.get("Default") or _ACCOUNT
        for parameter, declared in template["Parameters"].items()
    }
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=_REGION))
    plain = translator.translate(template, parameters)
    names = {
        logical: _physical(logical, resource) for logical, resource in plain["Resources"].items()
    }
    return {**plain, "Resources": _resolved(plain["Resources"], {**names, **parameters})}


def _packaged(value: Any) -> Any:
    """What `sam package` puts in place of paths."""
    if isinstance(value, list):
        return [_packaged(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: "s3://bucket/key"
        if key in ("CodeUri", "ContentUri", "DefinitionUri") and isinstance(one, str)
        else _packaged(one)
        for key, one in value.items()
    }


def _physical(logical: str, resource: dict[str, Any]) -> str:
    """Its name: the one it was given, or as long a one as CloudFormation makes."""
    properties = resource.get("Properties", {})
    named = next((properties[m] for m in _NAME_MEMBERS if m in properties), None)
    return named if isinstance(named, str) else f"governed-path-central-{logical}-0123456789AB"


def _resolved(value: Any, names: dict[str, Any]) -> Any:
    """Intrinsic functions as what they stand for; of two branches the longer one."""
    if isinstance(value, list):
        flat = [_resolved(one, names) for one in value]
        return [one for one in flat if one is not None]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((function, argument),) = value.items()
        if function in _INTRINSICS:
            return _INTRINSICS[function](argument, names)
    return {key: _resolved(one, names) for key, one in value.items()}


def _ref(name: str, names: dict[str, Any]) -> Any:
    pseudo = {
        "AWS::Region": _REGION,
        "AWS::AccountId": _ACCOUNT,
        "AWS::Partition": _PARTITION,
        "AWS::StackName": "governed-path-central",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::NoValue": None,
    }
    return pseudo[name] if name in pseudo else names[name]


def _attribute(path: str | list[str], names: dict[str, Any]) -> str:
    logical, _, attribute = (path if isinstance(path, str) else ".".join(path)).partition(".")
    name = str(names[logical])
    return (
        f"arn:{_PARTITION}:lambda:{_REGION}:{_ACCOUNT}:function:{name}"
        if (attribute.endswith(("Arn", "Uri")))
        else name
    )


def _substituted(text: str | list[Any], names: dict[str, Any]) -> str:
    text, own = (text, {}) if isinstance(text, str) else (text[0], _resolved(text[1], names))
    known = {**names, **own}

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return str(_attribute(name, known) if "." in name else _ref(name, known))

    return re.sub(r"\$\{([^!}]+)\}", value, text)


def _longer(branches: list[Any], names: dict[str, Any]) -> Any:
    return max((_resolved(one, names) for one in branches[1:]), key=lambda one: len(str(one)))


_INTRINSICS = {
    "Ref": _ref,
    "Fn::GetAtt": _attribute,
    "Fn::Sub": _substituted,
    "Fn::If": _longer,
    "Fn::Join": lambda parts, names: parts[0].join(_resolved(parts[1], names)),
}


def _size(value: Any) -> int:
    """Characters; IAM does not count white space. A principal's account id is kept as an ARN."""
    return len(json.dumps(_principals(value), separators=(",", ":")))


def _principals(value: Any) -> Any:
    if isinstance(value, list):
        return [_principals(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: [f"arn:{_PARTITION}:iam::{account}:root" for account in one]
        if key == "AWS" and one == _ACCOUNTS
        else _principals(one)
        for key, one in value.items()
    }


# ---------------------------------------------------------------- the checks


def the_stack(template: Template) -> Iterator[str]:
    for what, most in (
        ("Resources", _RESOURCES),
        ("Parameters", _PARAMETERS),
        ("Outputs", _OUTPUTS),
    ):
        if len(template.get(what, {})) > most:
            yield f"{len(template[what])} {what}, {most} at the most"
    if _size(template) > _TEMPLATE_BYTES:
        yield f"{_size(template)} bytes of template, {_TEMPLATE_BYTES} at the most"


def roles(template: Template) -> Iterator[str]:
    for name, role in of_type(template, "AWS::IAM::Role").items():
        inline = sum(_size(policy["PolicyDocument"]) for policy in role.get("Policies", []))
        managed = len(role.get("ManagedPolicyArns", []))
        found = {
            "trust policy": (_size(role["AssumeRolePolicyDocument"]), _TRUST_POLICY),
            "inline policies": (inline, _INLINE_POLICIES),
            "managed policies": (managed, _MANAGED_OF_A_ROLE),
        }
        yield from _over(name, found)
    for name, policy in of_type(template, "AWS::IAM::ManagedPolicy").items():
        yield from _over(name, {"policy": (_size(policy["PolicyDocument"]), _MANAGED_POLICY)})


def functions(template: Template) -> Iterator[str]:
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        found = {
            "environment": (_size(function["Environment"]["Variables"]), _ENVIRONMENT_BYTES),
            "layers": (len(function["Layers"]), _LAYERS),
            "timeout": (function["Timeout"], _LAMBDA_SECONDS),
        }
        yield from _over(name, found)


def rules(template: Template) -> Iterator[str]:
    for name, rule in of_type(template, "AWS::Events::Rule").items():
        found = {
            "pattern": (_size(rule.get("EventPattern", {})), _PATTERN),
            "targets": (len(rule["Targets"]), _TARGETS),
        }
        yield from _over(name, found)


def resource_policies(template: Template) -> Iterator[str]:
    for kind, (member, most) in _POLICIES.items():
        for name, properties in of_type(template, kind).items():
            yield from _over(name, {"policy": (_size(properties.get(member, {})), most)})


def names(template: Template) -> Iterator[str]:
    for kind, most in _NAMES.items():
        for name, properties in of_type(template, kind).items():
            given = next((properties[m] for m in _NAME_MEMBERS if m in properties), "")
            yield from _over(name, {"name": (len(given), most)})


def _over(name: str, found: dict[str, tuple[int, int]]) -> Iterator[str]:
    for what, (size, most) in found.items():
        if size > most:
            yield f"{name}: {what} is {size}, {most} at the most"


CHECKS = (the_stack, roles, functions, rules, resource_policies, names)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_within(check: Any, name: str) -> None:
    assert list(check(deployed(name))) == []


_BREAKS = {
    the_stack: ("Outputs", {f"Output{number}": {} for number in range(201)}),
    roles: ("ReaderRole", "AssumeRolePolicyDocument", {"Statement": ["x" * 2048]}),
    functions: ("RecordFunction", "Environment", {"Variables": {"NAME": "x" * 4096}}),
    rules: ("EndpointStateRule", "EventPattern", {"source": ["x" * 2048]}),
    resource_policies: ("LedgerTable", "ResourcePolicy", {"PolicyDocument": "x" * 20_480}),
    names: ("RecordFunction", "FunctionName", "x" * 65),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_is_too_large_is_found(check: Any) -> None:
    *path, member, value = _BREAKS[check]
    broken = deepcopy(deployed("template.yaml"))
    (broken["Resources"][path[0]]["Properties"] if path else broken)[member] = value
    assert list(check(broken))
