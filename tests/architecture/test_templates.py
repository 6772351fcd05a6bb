"""What every resource of the templates owes: a dead-letter queue, an alarm, a key, a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
TEMPLATES = ("template.yaml", "stacks/member.yaml")
Template = dict[str, Any]
# Of a lifecycle rule: what removes objects or versions of them.
_EXPIRES = {
    *("ExpirationDate", "ExpirationInDays", "NoncurrentVersionExpiration"),
    *("NoncurrentVersionExpirationInDays", "ExpiredObjectDeleteMarker"),
}


@cache
def parsed(name: str) -> Template:
    return yaml_parse((ROOT / name).read_text())


def of_type(template: Template, kind: str) -> dict[str, Any]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def rules(template: Template) -> dict[str, list[dict[str, Any]]]:
    """Each rule's targets, by its name: rules of their own, and those of state machines."""
    found = {p["Name"]: p["Targets"] for p in of_type(template, "AWS::Events::Rule").values()}
    for machine in of_type(template, "AWS::Serverless::StateMachine").values():
        for event in machine.get("Events", {}).values():
            found[event["Properties"]["RuleName"]] = [event["Properties"]]
    return found


def undelivered_events_are_kept_and_told(template: Template) -> Iterator[str]:
    alarms = list(of_type(template, "AWS::CloudWatch::Alarm").values())
    watched = str([a["Dimensions"] for a in alarms if a["MetricName"] == "FailedInvocations"])
    logical = {p["Name"]: n for n, p in of_type(template, "AWS::Events::Rule").items()}
    for name, targets in rules(template).items():
        for target in targets:
            if "Arn" not in target.get("DeadLetterConfig", {}):
                yield f"rule {name} has a target without a dead-letter queue"
            if "RetryPolicy" not in target:
                yield f"rule {name} has a target without a retry policy"
        if f"'{name}'" not in watched and f"'{logical.get(name)}'" not in watched:
            yield f"rule {name} has no alarm"


def failed_workflows_alarm(template: Template) -> Iterator[str]:
    alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
    for name in of_type(template, "AWS::Serverless::StateMachine"):
        for metric in ("ExecutionsFailed", "ExecutionsTimedOut"):
            dimensions = [a["Dimensions"] for a in alarms if a["MetricName"] == metric]
            if f"'{name}'" not in str(dimensions):
                yield f"{name} has no alarm on {metric}"


def queues_are_watched(template: Template) -> Iterator[str]:
    alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
    depth = "ApproximateNumberOfMessagesVisible"
    watched = str([a["Dimensions"] for a in alarms if a["MetricName"] == depth])
    for name in of_type(template, "AWS::SQS::Queue"):
        if f"'{name}'" not in watched:
            yield f"{name} has no alarm on its depth"


def alarms_reach_somebody(template: Template) -> Iterator[str]:
    for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
        if alarm.get("AlarmActions") != [{"Ref": "AlarmsTopic"}]:
            yield f"{name} tells nobody"


_KEYS = {
    "AWS::SQS::Queue": "KmsMasterKeyId",
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::DynamoDB::Table": "SSESpecification",
    "AWS::S3::Bucket": "BucketEncryption",
    "AWS::Events::EventBus": "KmsKeyIdentifier",
    "AWS::Events::Archive": "KmsKeyIdentifier",
}


def data_at_rest_is_encrypted(template: Template) -> Iterator[str]:
    for kind, member in _KEYS.items():
        for name, properties in of_type(template, kind).items():
            # S3 cannot deliver access logs into a bucket with a KMS key.
            if "Key" not in str(properties.get(member, "")) and name != "AccessLogsBucket":
                yield f"{name} is not encrypted with the stack's key"


def logs_are_kept_as_long_as_the_parameter_says(template: Template) -> Iterator[str]:
    for name, group in of_type(template, "AWS::Logs::LogGroup").items():
        if group.get("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            yield f"{name} has no retention"


CHECKS = (
    undelivered_events_are_kept_and_told,
    failed_workflows_alarm,
    queues_are_watched,
    alarms_reach_somebody,
    data_at_rest_is_encrypted,
    logs_are_kept_as_long_as_the_parameter_says,
)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_template(check: Any, name: str) -> None:
    assert list(check(parsed(name))) == []


_BREAKS = {
    undelivered_events_are_kept_and_told: ("ForwardingRule", "Targets", [{"Id": "t"}]),
    failed_workflows_alarm: ("ValidateInTestFailedAlarm", "Dimensions", []),
    queues_are_watched: ("RulesDeadLetterQueueAlarm", "Dimensions", []),
    alarms_reach_somebody: ("RulesDeadLetterQueueAlarm", "AlarmActions", []),
    data_at_rest_is_encrypted: ("LedgerTable", "SSESpecification", {}),
    logs_are_kept_as_long_as_the_parameter_says: ("RecordLogGroup", "RetentionInDays", None),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_broken_template_is_found(check: Any) -> None:
    resource, member, value = _BREAKS[check]
    broken = deepcopy(parsed("template.yaml"))
    broken["Resources"][resource]["Properties"][member] = value
    assert list(check(broken))


_WILDCARD = re.compile(r'^\s+Resource: "\*"')
_STATEMENT = re.compile(r"^\s+- (Effect|Sid):")
_POLICY_OF_A_KEY = re.compile(r"^\s+Action: (kms:\*|\[?kms:)")


def unexplained_wildcards(text: str) -> Iterator[str]:
    """Allow statements on every resource without a comment directly before or inside them."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not _WILDCARD.match(line):
            continue
        start = next(n for n in range(number, -1, -1) if _STATEMENT.match(lines[n]))
        statement = lines[start : number + 1]
        in_key_policy = any(_POLICY_OF_A_KEY.match(one) for one in statement)
        denies = any("Effect: Deny" in one for one in statement)
        explained = "#" in lines[start - 1] or _explained_above(lines, start)
        # A key's policy is about that key, whatever it says; a Deny cannot be too wide by a star.
        if not (in_key_policy or denies or explained):
            yield f"line {number + 1}: {line.strip()}"


def _explained_above(lines: list[str], start: int) -> bool:
    """A comment on the statement before covers this one: "GetX and PutY know no resource"."""
    action = next((one for one in lines[start : start + 4] if "Action:" in one), "")
    verb = action.rpartition(":")[2].strip(" ]")
    above = [line for line in lines[max(0, start - 6) : start] if line.lstrip().startswith("#")]
    return any(verb in line for line in above)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_wildcard_has_a_written_reason(name: str) -> None:
    assert list(unexplained_wildcards((ROOT / name).read_text())) == []


def test_a_wildcard_without_a_reason_is_found() -> None:
    statement = """
              - Effect: Allow
                Action: s3:GetObject
                Resource: "*"
"""
    assert list(unexplained_wildcards(statement))


def test_every_suppression_of_checkov_has_a_reason() -> None:
    lines = (ROOT / ".checkov.yaml").read_text().splitlines()
    skipped = [line.removeprefix("  - ") for line in lines if line.startswith("  - CKV")]
    assert skipped
    for check in skipped:
        assert any(line.startswith(f"  # {check}, ") and ": " in line for line in lines)
    for name in TEMPLATES:
        for resource in parsed(name)["Resources"].values():
            for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
                assert len(skip["comment"]) > 20


def test_the_layers_are_built_for_the_templates_runtime_and_architecture() -> None:
    makefile = (ROOT / "layers" / "Makefile").read_text()
    parameters = parsed("template.yaml")["Parameters"]
    version = parameters["PythonRuntime"]["Default"].removeprefix("python")
    assert f"PYTHON_VERSION ?= {version}\n" in makefile
    assert parameters["Architecture"]["Default"] == "arm64"
    assert "PLATFORM ?= aarch64-" in makefile


@pytest.mark.parametrize("layer", ["dependencies", "statistics"])
def test_a_layer_holds_the_versions_of_the_lock(layer: str) -> None:
    locked = re.compile(r"^([\w.-]+)==(\S+)", re.M)
    lock = set(locked.findall((ROOT / "requirements.lock").read_text()))
    found = locked.findall((ROOT / "layers" / f"{layer}.txt").read_text())
    assert found
    assert set(found) <= lock


# How a handler asks for each object of a prefix: itself, or by what does it in the adapters.
_EACH_OBJECT = re.compile(
    r"\.expand\(|locate_under|write_what_is_held|manifests\.build|Proof\("
    r"|comparison\.differences|compare(_if_possible)?\("
)


def test_what_was_copied_stays_and_what_was_not_finished_goes() -> None:
    """Candidates' bytes are versioned and locked; uploads that nobody takes up again are ended."""
    bucket = of_type(parsed("template.yaml"), "AWS::S3::Bucket")["ArtifactsBucket"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["ObjectLockEnabled"] is True
    lock = bucket["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"
    assert lock["Rule"]["DefaultRetention"].keys() == {"Mode", "Days"}
    rules_ = bucket["LifecycleConfiguration"]["Rules"]
    ended = [one for one in rules_ if "AbortIncompleteMultipartUpload" in one]
    # No prefix, no filter: every upload. A copy takes hours, not days.
    (rule,) = (one for one in ended if not one.keys() & {"Prefix", "Filter", "TagFilters"})
    assert rule["Status"] == "Enabled"
    assert 1 <= rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] <= 7
    # Nothing else may take what is there.
    assert not [one for one in rules_ if set(one) & _EXPIRES]


def test_whoever_holds_each_object_of_a_prefix_has_memory_for_the_largest() -> None:
    """A listing names 200,000 objects; a function holds up to 4 KB for each of them."""
    of_handlers = {
        properties["Handler"].split(".")[-2]: properties
        for properties in of_type(parsed("template.yaml"), "AWS::Serverless::Function").values()
    }
    holding = {
        path.stem
        for path in (ROOT / "functions/governance/handlers").glob("*.py")
        if _EACH_OBJECT.search(path.read_text())
    }
    assert {"build_candidate", "plan_copy", "verify_copy"} < holding
    small = {n for n in holding if of_handlers[n].get("MemorySize", 0) < 2048}
    hasty = {n for n in holding if of_handlers[n].get("Timeout", 0) < 600}
    assert (small, hasty) == (set(), set())
