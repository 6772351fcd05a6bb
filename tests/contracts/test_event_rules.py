"""Which rules an event matches, by the patterns that are deployed and EventBridge's own logic.

An event happens in an account; that account's forwarding rule may bring it to the hub bus, where
the hub's rules look at it. The matcher is the emulator's TestEventPattern, which compiles
patterns as EventBridge does.
"""

from __future__ import annotations

import asyncio
import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ministack.services import eventbridge
from samcli.yamlhelper import yaml_parse

from governance.domain import approval_events, clearance, executions, phases
from tests.contracts import events, samples

ROOT = Path(__file__).parents[2]
CENTRAL_TEMPLATE, MEMBER_TEMPLATE = "template.yaml", "stacks/member.yaml"
MEMBERS = {"Dev": samples.DEV, "Test": samples.TEST, "Prod": samples.PROD}
# The event of each machine's rule.
WORKFLOWS = {
    **dict.fromkeys(("PromoteToCentral", "ValidateInTest", "ReleaseToProd"), "Approved"),
    **dict.fromkeys(("RollbackModel", "DrillRollback"), "Requested"),
}
LAMBDA_AND_TOPIC_RULES = (
    "Decision",
    "EndpointFailed",
    "EndpointState",
    "Notifications",
    "ReviewOverdue",
    "Clearance",
    "Confirmation",
    "Denials",
    "PolicyChanges",
)
FORWARDED = "Forwarding"
PARAMETERS = {"TrustedAccountIds": list(MEMBERS.values()), "AWS::AccountId": samples.CENTRAL}

# ------------------------------------------------------------------ the deployed patterns


@cache
def _template(name: str) -> Any:
    return yaml_parse((ROOT / name).read_text("utf-8"))


def _properties(template: str, resource: str, kind: str) -> Any:
    found = _template(template).get("Resources", {}).get(resource)
    assert found is not None, f"{template} has no resource {resource}"
    assert found["Type"] == kind, f"{resource} of {template} is {found['Type']}; expected {kind}"
    return found["Properties"]


def _resolved(value: Any, values: dict[str, Any], conditions: dict[str, bool]) -> Any:
    """The value with its intrinsic functions evaluated; KeyError for one that is not known here."""
    if isinstance(value, list):
        return [_resolved(entry, values, conditions) for entry in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Ref"}:
        return values[value["Ref"]]
    if value.keys() == {"Fn::If"}:
        condition, yes, no = value["Fn::If"]
        return _resolved(yes if conditions[condition] else no, values, conditions)
    unknown = [key for key in value if key.startswith("Fn::")]
    assert not unknown, f"teach this test to evaluate {unknown}"
    return {key: _resolved(entry, values, conditions) for key, entry in value.items()}


def _workflow_rule(workflow: str, name: str = "") -> Any:
    resource = f"{workflow}StateMachine"
    machine = _properties(CENTRAL_TEMPLATE, resource, "AWS::Serverless::StateMachine")
    event = machine.get("Events", {}).get(name or WORKFLOWS[workflow])
    assert event is not None, f"{resource} of {CENTRAL_TEMPLATE} has no event {name or workflow}"
    assert event["Type"] == "EventBridgeRule"
    return event["Properties"]


def _rule(template: str, resource: str) -> Any:
    return _properties(template, resource, "AWS::Events::Rule")


@cache
def _hub_patterns() -> dict[str, str]:
    """The patterns on the hub bus, as JSON, by the name of their rule."""
    rules = {workflow: _workflow_rule(workflow)["Pattern"] for workflow in WORKFLOWS}
    for name in ("Alarm", "FoundAlarm"):
        rules[f"RollbackModel{name}"] = _workflow_rule("RollbackModel", name)["Pattern"]
    for name in LAMBDA_AND_TOPIC_RULES:
        rules[name] = _rule(CENTRAL_TEMPLATE, f"{name}Rule")["EventPattern"]
    return {name: json.dumps(_resolved(rule, PARAMETERS, {})) for name, rule in rules.items()}


def _stage_conditions(stage: str) -> dict[str, bool]:
    return {"IsDev": stage == "Dev", "HasEndpoints": stage != "Dev"}


@cache
def _forwarding_pattern(account: str) -> str | None:
    """What the account's default bus sends to the hub; None for an account that is none of ours."""
    if account == samples.CENTRAL:
        rule = _rule(CENTRAL_TEMPLATE, "ForwardingRule")["EventPattern"]
        return json.dumps(_resolved(rule, PARAMETERS, {}))
    for stage, member in MEMBERS.items():
        if account == member:
            rule = _rule(MEMBER_TEMPLATE, "ForwardingRule")["EventPattern"]
            values = {"Stage": stage, "AWS::AccountId": member}
            return json.dumps(_resolved(rule, values, _stage_conditions(stage)))
    return None


@cache
def _matches(pattern: str, event: str) -> bool:
    request = {"EventPattern": pattern, "Event": event}
    headers = {"x-amz-target": "AWSEvents.TestEventPattern"}
    status, _, body = asyncio.run(
        eventbridge.handle_request("POST", "/", headers, json.dumps(request).encode(), {})
    )
    assert status == 200, f"EventBridge refuses the pattern {pattern}: {body!r}"
    return bool(json.loads(body)["Result"])


def _on_hub(event: dict[str, Any]) -> set[str]:
    text = json.dumps(event)
    return {name for name, pattern in _hub_patterns().items() if _matches(pattern, text)}


def _rules_of(event: dict[str, Any]) -> set[str]:
    """The hub's rules that match, and Forwarding if the event leaves its account's own bus."""
    patterns = [_forwarding_pattern(event["account"])]
    if event["account"] in (samples.TEST, samples.PROD):
        alarms = _rule(MEMBER_TEMPLATE, "AlarmForwardingRule")["EventPattern"]
        patterns.append(json.dumps(_resolved(alarms, {}, {})))
    forwarded = any(p is not None and _matches(p, json.dumps(event)) for p in patterns)
    return _on_hub(event) | ({FORWARDED} if forwarded else set())


# ------------------------------------------------------------------ the matcher itself


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ({"detail": {"a": ["x"]}}, True),
        ({"detail": {"a": ["z"]}}, False),
        ({"detail": {"n": [{"numeric": [">", 1, "<=", 2]}]}}, True),
        ({"detail": {"n": [{"numeric": [">", 2]}]}}, False),
        ({"detail": {"a": [{"anything-but": ["z"]}]}}, True),
        ({"detail": {"s": [{"anything-but": ["y"]}]}}, False),
        ({"detail": {"absent": [{"exists": False}]}}, True),
        ({"detail": {"a": [{"exists": False}]}}, False),
        ({"detail": {"$or": [{"s": ["z"]}, {"n": [2]}]}}, True),
        ({"detail": {"$or": [{"s": ["z"]}, {"n": [3]}]}}, False),
        ({"detail": {"null": [None]}}, True),
        ({"detail": {"null": {"inner": ["x"]}}}, False),
    ],
    ids=json.dumps,
)
def test_the_matcher_knows_the_operators(pattern: dict[str, Any], matches: bool) -> None:
    """A list matches if one of its elements does."""
    event = {"source": "test", "detail": {"a": ["x", "y"], "s": "y", "n": 2, "null": None}}
    assert _matches(json.dumps(pattern), json.dumps(event)) is matches


def test_the_matcher_refuses_what_is_no_pattern() -> None:
    with pytest.raises(AssertionError, match="EventBridge refuses the pattern"):
        _matches('{"source": "not a list"}', "{}")


# ------------------------------------------------------------------ example -> rules

PACKAGE = "sagemaker-model-package-state-change."
ENDPOINT = "sagemaker-endpoint-state-change."
DEPLOYMENT = "sagemaker-endpoint-deployment-state-change."
ONLY_FORWARDED = {FORWARDED}
AWS_EVENTS: dict[str, set[str]] = {
    # A decision starts one workflow.
    PACKAGE + "dev-approved": {FORWARDED, "PromoteToCentral"},
    PACKAGE + "dev-approved-as-others-saw-it": {FORWARDED, "PromoteToCentral"},
    PACKAGE + "dev-approved-by-status": {FORWARDED, "PromoteToCentral"},
    PACKAGE + "dev-approved-by-status-of-registered": {FORWARDED, "PromoteToCentral"},
    PACKAGE + "test-approved": {FORWARDED, "ValidateInTest"},
    PACKAGE + "prod-approved": {FORWARDED, "ReleaseToProd"},
    # A person's no is recorded; who it was, the function asks.
    PACKAGE + "dev-rejected": {FORWARDED, "Decision"},
    PACKAGE + "dev-rejected-by-status": {FORWARDED, "Decision"},
    PACKAGE + "dev-rejected-by-status-of-registered": {FORWARDED, "Decision"},
    PACKAGE + "test-rejected": {FORWARDED, "Decision"},
    # The gate's own no as well; the function ignores it, since the workflow has recorded it.
    PACKAGE + "test-rejected-by-gate": {FORWARDED, "Decision"},
    PACKAGE + "prod-technical-approved": {FORWARDED, "Decision"},
    PACKAGE + "prod-business-revoked": {FORWARDED, "Decision"},
    PACKAGE + "prod-break-glass-requested": {FORWARDED, "Decision"},
    PACKAGE + "prod-recalled": {FORWARDED, "Decision"},
    PACKAGE + "prod-rollback-requested": {FORWARDED, "RollbackModel"},
    PACKAGE + "prod-drill-requested": {FORWARDED, "DrillRollback"},
    PACKAGE + "retired": {FORWARDED, "Decision"},
    # Anything else that happens to a version starts nothing.
    PACKAGE + "dev-registered": ONLY_FORWARDED,
    PACKAGE + "dev-metadata-while-approved": ONLY_FORWARDED,
    PACKAGE + "test-metadata-while-approved": ONLY_FORWARDED,
    PACKAGE + "prod-status-without-stage": ONLY_FORWARDED,
    PACKAGE + "prod-changed-after-approval": ONLY_FORWARDED,
    # Our own writes: no loop (DESIGN.md, rule 4).
    PACKAGE + "test-pending-approval": ONLY_FORWARDED,
    PACKAGE + "test-validating": ONLY_FORWARDED,
    PACKAGE + "test-passed": ONLY_FORWARDED,
    PACKAGE + "prod-deployed": ONLY_FORWARDED,
    # Accounts that are none of ours.
    PACKAGE + "unknown-account-approved": set(),
    ENDPOINT + "unknown-account": set(),
    # Endpoints answer who waits for them; the function ignores what is not final.
    ENDPOINT + "in-service": {FORWARDED, "EndpointState"},
    ENDPOINT + "test-in-service": {FORWARDED, "EndpointState"},
    ENDPOINT + "failed": {FORWARDED, "EndpointState"},
    ENDPOINT + "updating": {FORWARDED, "EndpointState"},
    # In the archive, for who wants to see a deployment's course; no rule of ours reads them.
    DEPLOYMENT + "activating-traffic": ONLY_FORWARDED,
    DEPLOYMENT + "creating": ONLY_FORWARDED,
    # Who decided, as CloudTrail saw it. Central's records come by a rule of their own.
    "cloudtrail-update-model-package.prod-approved": {"Confirmation"},
    "cloudtrail-update-model-package.dev-approved": {"Confirmation", FORWARDED},
    "cloudtrail-update-model-package.dev-approved-by-status": {"Confirmation", FORWARDED},
    "cloudtrail-update-model-package.denied": set(),
    # An alarm of an endpoint takes it back after its release.
    "cloudwatch-alarm-state-change.endpoint-alarm": {FORWARDED, "RollbackModelAlarm"},
    "cloudwatch-alarm-state-change.endpoint-ok": set(),
    "cloudwatch-alarm-state-change.stop": set(),
    "cloudwatch-alarm-state-change.unknown-account": set(),
    # Central's default bus: nothing of it goes to the hub's.
    "step-functions-execution-status-change.release-aborted": set(),
    "step-functions-execution-status-change.release-succeeded": set(),
    "step-functions-execution-status-change.validation-aborted": set(),
    "step-functions-execution-status-change.drill-aborted": set(),
    "step-functions-execution-status-change.validation-succeeded": set(),
}


def _told_by(name: str) -> str:
    """People hear of every entry once, and of a denial with all its reasons."""
    detail = events.example(name)["detail"]
    if detail["kind"] == "PolicyChanged":
        return "PolicyChanges"
    return "Notifications" if (detail.get("verdict") or {}).get("allowed", True) else "Denials"


EXPECTED = AWS_EVENTS | {
    name: {_told_by(name)} for name in events.EXAMPLES if name.startswith("governed-path-")
}
EXPECTED["governed-path-mandatory-review-overdue.complete"] |= {"ReviewOverdue"}
# What a release has found when its bake was over is taken back as by the alarm itself.
EXPECTED["governed-path-release-errored.alarm-after-release"] |= {"RollbackModelFoundAlarm"}
# So is an endpoint that a release has left failed, and who is on call hears of it.
EXPECTED["governed-path-release-errored.endpoint-failed"] |= {
    *("RollbackModelFoundAlarm", "EndpointFailed"),
}
# What ends a clearance takes it back.
for name in events.EXAMPLES:
    if name.startswith("governed-path-") and events.example(name)["detail-type"] in clearance.ENDS:
        EXPECTED[name] |= {"Clearance"}


def test_the_table_says_something_of_every_example() -> None:
    assert EXPECTED.keys() == events.EXAMPLES.keys()


@pytest.mark.parametrize(("name", "rules"), EXPECTED.items(), ids=EXPECTED)
def test_an_event_matches_exactly_its_rules(name: str, rules: set[str]) -> None:
    assert _rules_of(events.example(name)) == rules


@pytest.mark.parametrize(("name", "rules"), EXPECTED.items(), ids=EXPECTED)
def test_at_most_one_workflow_is_started(name: str, rules: set[str]) -> None:
    assert len(_on_hub(events.example(name)) & WORKFLOWS.keys()) <= 1
    assert len(rules & WORKFLOWS.keys()) <= 1


@pytest.mark.parametrize("rule", [*_hub_patterns(), FORWARDED])
def test_every_rule_is_matched_by_some_example(rule: str) -> None:
    assert any(rule in rules for rules in EXPECTED.values())


def _moved(name: str, account: str) -> dict[str, Any]:
    """The same event as if it had happened in another account."""
    text = json.dumps(events.example(name))
    moved: dict[str, Any] = json.loads(text.replace(events.example(name)["account"], account))
    return moved


@pytest.mark.parametrize(
    "case", ["test-approved", "prod-approved", "prod-rollback-requested", "prod-drill-requested"]
)
@pytest.mark.parametrize("account", MEMBERS.values(), ids=MEMBERS)
def test_a_member_account_cannot_approve_for_test_or_prod(case: str, account: str) -> None:
    """A version called Prod / Approved in somebody's own registry releases nothing."""
    starting = {"ValidateInTest", "ReleaseToProd", "RollbackModel", "DrillRollback"}
    assert _on_hub(_moved(PACKAGE + case, account)) & starting == set()


@pytest.mark.parametrize("case", ["dev-approved", "dev-approved-by-status"])
def test_a_dev_approval_in_the_central_registry_promotes_nothing(case: str) -> None:
    assert _on_hub(_moved(PACKAGE + case, samples.CENTRAL)) == set()


@pytest.mark.parametrize("source", ["governed-path", "aws.sagemaker.imitation"])
@pytest.mark.parametrize("case", ["dev-approved", "test-approved", "prod-approved"])
def test_only_sagemaker_says_that_a_version_was_approved(case: str, source: str) -> None:
    event = {**events.example(PACKAGE + case), "source": source}
    assert _on_hub(event) & WORKFLOWS.keys() == set()


@pytest.mark.parametrize("phase", phases.PHASES, ids=lambda phase: phase.name)
def test_a_decision_is_recorded_by_its_workflow_or_by_the_one_function(phase: phases.Phase) -> None:
    """What persons set is recorded by exactly one of both, what only the system sets by neither."""
    dev = phase.registry is phases.Registry.DEV
    event = events.example(PACKAGE + ("dev-approved" if dev else "test-approved"))
    life_cycle = {"Stage": phase.stage, "StageStatus": phase.status}
    matched = _on_hub({**event, "detail": {**event["detail"], "ModelLifeCycle": life_cycle}})
    recorded = phase.name in approval_events.DECISIONS
    assert ("Decision" in matched) is recorded
    assert bool(matched & WORKFLOWS.keys()) is (phase.causes is not None)
    people = phase.set_by - {phases.Setter.SYSTEM, phases.Setter.TRAINING_PIPELINE}
    assert bool(people) is (recorded or phase.causes is not None)


# ------------------------------------------------------------------ around the patterns


def test_the_hub_takes_from_members_what_they_forward_and_nothing_else() -> None:
    policy = _properties(CENTRAL_TEMPLATE, "HubBusPolicy", "AWS::Events::EventBusPolicy")
    allowed = policy["Statement"]["Condition"]["StringEquals"]
    patterns = [json.loads(_forwarding_pattern(account) or "{}") for account in MEMBERS.values()]
    forwarded = {
        detail_type
        for pattern in patterns
        for branch in pattern.get("$or", [pattern])
        for detail_type in branch["detail-type"]
    }
    alarms = _rule(MEMBER_TEMPLATE, "AlarmForwardingRule")["EventPattern"]
    assert set(allowed["events:detail-type"]) == forwarded | set(alarms["detail-type"])
    assert set(allowed["events:source"]) == {"aws.sagemaker", *alarms["source"]}
    assert policy["Statement"]["Principal"] == {"AWS": {"Ref": "TrustedAccountIds"}}


@pytest.mark.parametrize(
    ("stage", "case", "forwarded"),
    [
        ("Dev", PACKAGE + "dev-approved", True),
        ("Dev", "cloudtrail-update-model-package.dev-approved", True),
        ("Test", "cloudtrail-update-model-package.dev-approved", False),
        ("Dev", ENDPOINT + "in-service", False),
        ("Test", PACKAGE + "dev-approved", False),
        ("Test", ENDPOINT + "in-service", True),
        ("Prod", DEPLOYMENT + "activating-traffic", True),
        ("Prod", PACKAGE + "prod-approved", False),
    ],
)
def test_a_member_forwards_what_belongs_to_its_stage(
    stage: str, case: str, forwarded: bool
) -> None:
    event = _moved(case, MEMBERS[stage])
    assert (FORWARDED in _rules_of(event)) is forwarded


def test_every_rule_of_the_hub_is_on_the_hub_bus_and_loses_nothing() -> None:
    rules = [_workflow_rule(workflow) for workflow in WORKFLOWS]
    targets = [(rule["DeadLetterConfig"], rule["RetryPolicy"]) for rule in rules]
    for name in LAMBDA_AND_TOPIC_RULES:
        rule = _rule(CENTRAL_TEMPLATE, f"{name}Rule")
        rules.append(rule)
        targets += [
            (target["DeadLetterConfig"], target["RetryPolicy"]) for target in rule["Targets"]
        ]
    assert all(rule["EventBusName"] == {"Ref": "HubBus"} for rule in rules)
    for queue, retry in targets:
        assert queue == {"Arn": {"Fn::GetAtt": ["RulesDeadLetterQueue", "Arn"]}}
        assert retry == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


ENDED = "step-functions-execution-status-change."


@pytest.mark.parametrize(
    ("case", "rules"),
    [
        ("release-aborted", {"EndpointLock", "Unfinished"}),
        ("release-succeeded", {"EndpointLock"}),
        ("validation-aborted", {"AbandonedEndpoint", "Unfinished"}),
        ("validation-succeeded", set()),
        ("drill-aborted", {"EndpointLock", "AbandonedEndpoint", "Unfinished"}),
    ],
)
def test_the_end_of_a_run_leaves_no_lock_and_no_test_endpoint_behind(
    case: str, rules: set[str]
) -> None:
    start = f"arn:aws:states:{samples.REGION}:{samples.CENTRAL}:stateMachine:"
    kind = "AWS::Serverless::StateMachine"
    machines = {
        f"{name}StateMachine": start
        + _properties(CENTRAL_TEMPLATE, f"{name}StateMachine", kind)["Name"]
        for name in WORKFLOWS
    }
    found = set()
    for name in ("EndpointLock", "AbandonedEndpoint", "Unfinished"):
        rule = _rule(CENTRAL_TEMPLATE, f"{name}Rule")
        assert "EventBusName" not in rule, "AWS tells of executions on the default bus"
        pattern = json.dumps(_resolved(rule["EventPattern"], machines, {}))
        if _matches(pattern, json.dumps(events.example(ENDED + case))):
            found.add(name)
    assert found == rules


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"])
def test_a_validation_that_could_not_clean_up_itself_leaves_that_to_the_queue(status: str) -> None:
    """Also one that failed: its last state before that may have been the one that removes."""
    event = copy.deepcopy(events.example(ENDED + "validation-aborted"))
    event["detail"]["status"] = status
    arn = event["detail"]["stateMachineArn"]
    machine = {"ValidateInTestStateMachine": arn, "DrillRollbackStateMachine": arn}
    rule = _rule(CENTRAL_TEMPLATE, "AbandonedEndpointRule")
    pattern = json.dumps(_resolved(rule["EventPattern"], machine, {}))
    assert _matches(pattern, json.dumps(event)) is (status != "SUCCEEDED")
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["AbandonedEndpointsQueue", "Arn"]}


def test_an_endpoint_is_tried_to_be_removed_for_as_long_as_one_may_be_creating() -> None:
    queue = _properties(CENTRAL_TEMPLATE, "AbandonedEndpointsQueue", "AWS::SQS::Queue")
    tries = queue["RedrivePolicy"]["maxReceiveCount"]
    # SageMaker gives the download of a model an hour, and the start of its container another.
    assert tries * queue["VisibilityTimeout"] >= 3 * 3600
    function = _properties(
        CENTRAL_TEMPLATE, "RemoveAbandonedEndpointFunction", "AWS::Serverless::Function"
    )
    assert queue["VisibilityTimeout"] >= function.get("Timeout", 60)
    (source,) = function["Events"].values()
    assert source["Properties"]["Queue"] == {"Fn::GetAtt": ["AbandonedEndpointsQueue", "Arn"]}
    assert source["Properties"]["BatchSize"] == 1, "one endpoint must not wait for another"


@pytest.mark.parametrize(
    ("error", "unfinished"),
    [
        ("States.DataLimitExceeded", True),
        ("States.Runtime", True),
        ("AccessError", False),
        (None, False),
    ],
)
def test_a_failure_that_no_state_could_record_waits_in_the_queue(
    error: str | None, unfinished: bool
) -> None:
    """Every other failure was recorded before the run failed, and is not told twice."""
    event = copy.deepcopy(events.example(ENDED + "release-aborted"))
    event["detail"] |= {"status": "FAILED", "error": error}
    arn = event["detail"]["stateMachineArn"]
    machines = {f"{name}StateMachine": arn for name in WORKFLOWS}
    pattern = _rule(CENTRAL_TEMPLATE, "UnfinishedRule")["EventPattern"]
    matched = _matches(json.dumps(_resolved(pattern, machines, {})), json.dumps(event))
    assert matched is unfinished


@pytest.mark.parametrize("status", sorted(executions.ENDED))
def test_the_lock_rule_knows_every_way_in_which_a_run_ends(status: str) -> None:
    pattern = _rule(CENTRAL_TEMPLATE, "EndpointLockRule")["EventPattern"]
    assert status in pattern["detail"]["status"]


OURS = [name for name in events.EXAMPLES if name.startswith("governed-path-")]


@pytest.mark.parametrize("name", OURS)
def test_a_notification_says_what_the_event_says(name: str) -> None:
    """Each path of the input transformer leads to text or a list, in every event of ours."""
    (target,) = _rule(CENTRAL_TEMPLATE, f"{_told_by(name)}Rule")["Targets"]
    transformer = target["InputTransformer"]
    text = transformer["InputTemplate"]
    event = events.example(name)
    for variable, path in transformer["InputPathsMap"].items():
        value: Any = event
        for key in path.removeprefix("$.").split("."):
            value = value[key]
        # As EventBridge does: a text goes in as it is, a list as JSON.
        assert isinstance(value, str | list)
        said = value if isinstance(value, str) else json.dumps(value)
        assert variable == "reasons" or '"' not in said, "nothing escapes what goes in"
        text = text.replace(f"<{variable}>", said)
    assert "<" not in text
    told = json.loads(text)
    assert isinstance(told, str) or told["reasons"] == event["detail"]["verdict"]["reasons"]
