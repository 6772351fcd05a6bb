"""What every state machine must have. The rules are in statemachines/README.md.

Each check tells of every breach that it finds, so it is tried on a broken machine as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from jsonata.jexception import JException
from jsonata.jsonata import Jsonata

from governance.adapters import waits
from governance.domain import clearance, definitions, errors, guardrails, locks

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "statemachines").glob("*.asl.json"))
HANDLERS = {
    path.stem
    for path in (ROOT / "functions" / "governance" / "handlers").glob("*.py")
    if path.stem != "__init__"
}
ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type)}
# Whose errors a task may meet, by the service that it calls.
PREFIXES: dict[str, tuple[str, ...]] = {
    # The last two are what a function that was killed, or ended by itself, comes back as.
    "lambda": ("Lambda.", "Sandbox.", "Runtime."),
    "sqs": ("SQS.",),
    "states": ("StepFunctions.",),
}
_SUBSTITUTION = re.compile(r"\$\{(\w+)\}")
_TEXT = re.compile(r"'[^']*'|\"[^\"]*\"")
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)\b(?!\s*\()")
_GUARDED = re.compile(r"\$exists\(\s*\$([A-Za-z_]\w*)")
_FUNCTION = re.compile(r"\$([A-Za-z_]\w*)\s*\(")
# JSONata's own, except the one that Step Functions leaves out, and those that it adds.
FUNCTIONS = (set(Jsonata.static_frame.bindings) - {"eval"}) | {
    *("hash", "parse", "partition", "random", "range", "uuid")
}

Machine = dict[str, Any]
Check = Callable[[Machine], Iterator[str]]


def pascal(snake: str) -> str:
    return "".join(word.capitalize() for word in snake.split("_"))


def scopes(machine: Machine) -> Iterator[Machine]:
    """The machine, and the ones within its Maps and Parallels."""
    yield machine
    for state in machine["States"].values():
        for inner in [state.get("ItemProcessor"), *state.get("Branches", [])]:
            if inner:
                yield from scopes(inner)


def states(machine: Machine) -> list[tuple[str, dict[str, Any]]]:
    return [pair for scope in scopes(machine) for pair in scope["States"].items()]


def tasks(machine: Machine) -> list[tuple[str, dict[str, Any]]]:
    return [(name, state) for name, state in states(machine) if state["Type"] == "Task"]


def service(task: dict[str, Any]) -> str:
    """The service of an optimised integration: arn:aws:states:::<service>:<call>."""
    return str(task["Resource"]).split(":")[5]


def texts(value: Any) -> Iterator[str]:
    """Every string within a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def expressions(value: Any) -> Iterator[str]:
    """Every JSONata expression within a value, without its {% %}."""
    for text in texts(value):
        if text.startswith("{%") and text.endswith("%}"):
            yield text[2:-2].strip()


def ways(state: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(next state, what is assigned on the way). A Catch does not run the state's own Assign."""
    assigned = state.get("Assign", {})
    for name in ("Next", "Default"):
        if name in state:
            yield state[name], assigned
    for choice in state.get("Choices", []):
        # A rule that has an Assign of its own takes the place of the state's, which is Default's.
        yield choice["Next"], choice.get("Assign", {})
    for catch in state.get("Catch", []):
        yield catch["Next"], catch.get("Assign", {})


def uses_jsonata(machine: Machine) -> Iterator[str]:
    if machine.get("QueryLanguage") != "JSONata":
        yield "the machine is not JSONata"
    for name, state in states(machine):
        if "QueryLanguage" in state:
            yield f"{name} chooses a query language of its own"


def says_why(machine: Machine) -> Iterator[str]:
    if not machine.get("Comment"):
        yield "the machine has no Comment"
    yield from (
        f"{name} has no Comment" for name, state in states(machine) if not state.get("Comment")
    )


def comes_to_an_end(machine: Machine) -> Iterator[str]:
    longest = machine.get("TimeoutSeconds", 0)
    if not longest:
        yield "the machine has no TimeoutSeconds"
    for name, task in tasks(machine):
        if not 0 < task.get("TimeoutSeconds", 0) <= longest:
            yield f"{name} has no TimeoutSeconds within the machine's"


def retries_only_what_may_pass(machine: Machine) -> Iterator[str]:
    for name, task in tasks(machine):
        retries = [retry["ErrorEquals"] for retry in task.get("Retry", [])]
        if not retries:
            yield f"{name} has no Retry"
        if any("States.ALL" in names for names in retries):
            yield f"{name} retries States.ALL"
        # Every other error of ours is the same the second time.
        own = [error for names in retries for error in names if error in ERRORS]
        if set(own) - {"TransientError"}:
            yield f"{name} retries {own}"
        if service(task) == "lambda" and retries[-1:] != [["TransientError"]]:
            yield f"{name} does not retry the service's errors first and TransientError after them"


def catches_everything(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        if state["Type"] not in {"Task", "Map", "Parallel"}:
            continue
        catches = [catch["ErrorEquals"] for catch in state.get("Catch", [])]
        if catches[-1:] != [["States.ALL"]]:
            yield f"{name} does not end its Catch with States.ALL"


def knows_its_errors(machine: Machine) -> Iterator[str]:
    for name, task in tasks(machine):
        handled = [*task.get("Retry", []), *task.get("Catch", [])]
        for error in [error for handler in handled for error in handler["ErrorEquals"]]:
            if error not in ERRORS and not error.startswith(("States.", *PREFIXES[service(task)])):
                yield f"{name} knows an error that cannot come: {error}"


def compiles(machine: Machine) -> Iterator[str]:
    for text in texts(machine):
        marks = text.count("{%") + text.count("%}")
        whole = text.startswith("{%") and text.endswith("%}")
        # AWS takes anything else for a plain string.
        if marks and not (marks == 2 and whole):
            yield f"half an expression: {text}"
    for expression in expressions(machine):
        try:
            Jsonata(expression)
        except JException as error:
            yield f"{expression}: {error}"
        for name in _FUNCTION.findall(_TEXT.sub("", expression)):
            # An unknown function compiles, and fails when it is called.
            if name not in FUNCTIONS:
                yield f"{expression}: ${name} is no function of JSONata in Step Functions"


def can_be_reached(machine: Machine) -> Iterator[str]:
    names = [name for name, _ in states(machine)]
    yield from (f"{name} is there twice" for name in set(names) if names.count(name) > 1)
    for scope in scopes(machine):
        reached, todo = set(), [scope["StartAt"]]
        while todo:
            name = todo.pop()
            if name not in scope["States"]:
                yield f"{name} is led to, and is not there"
            elif name not in reached:
                reached.add(name)
                todo += [target for target, _ in ways(scope["States"][name])]
        yield from (f"{name} cannot be reached" for name in scope["States"] if name not in reached)


def assigns_before_use(machine: Machine) -> Iterator[str]:
    yield from _unassigned(machine, frozenset({"states"}))


def _unassigned(scope: Machine, given: frozenset[str]) -> Iterator[str]:
    """A variable that is not assigned on every way to its use must be guarded by $exists."""
    assigned = _assigned(scope, given)
    for name, state in scope["States"].items():
        if name not in assigned:
            continue
        own = {key: value for key, value in state.items() if key not in {"ItemProcessor"}}
        for expression in expressions(own):
            bare = _TEXT.sub("", expression)
            missing = set(_VARIABLE.findall(bare)) - assigned[name] - set(_GUARDED.findall(bare))
            yield from (f"{name} uses ${variable}" for variable in sorted(missing))
        if inner := state.get("ItemProcessor"):
            # An execution of a Distributed Map sees nothing of the one that began it.
            own_execution = inner.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"
            seen = frozenset({"states"}) if own_execution else assigned[name]
            yield from _unassigned(inner, seen)


def _assigned(scope: Machine, given: frozenset[str]) -> dict[str, frozenset[str]]:
    """What is assigned when a state is entered, whichever way led there."""
    found = {scope["StartAt"]: given}
    todo = [scope["StartAt"]]
    while todo:
        name = todo.pop()
        for target, assigned in ways(scope["States"].get(name, {})):
            here = found[name] | set(assigned)
            both = found[target] & here if target in found else here
            if found.get(target) != both:
                found[target] = both
                todo.append(target)
    return found


def calls_what_is_there(machine: Machine) -> Iterator[str]:
    for name, task in tasks(machine):
        arguments = task.get("Arguments", {})
        if service(task) == "lambda":
            called = _SUBSTITUTION.fullmatch(arguments.get("FunctionName", ""))
            handler = called and next(
                (known for known in HANDLERS if called[1] == f"{pascal(known)}FunctionArn"), None
            )
            if not handler:
                yield f"{name} calls no handler: {arguments.get('FunctionName')}"
            elif not name.startswith(pascal(handler)):
                yield f"{name} is not named as its handler {handler}"
        elif service(task) == "states":
            called = _SUBSTITUTION.fullmatch(arguments.get("StateMachineArn", ""))
            machines = {f"{pascal(file.name.partition('.')[0])}StateMachineArn" for file in FILES}
            if not called or called[1] not in machines:
                yield f"{name} starts no machine: {arguments.get('StateMachineArn')}"


def ends_as_it_says(machine: Machine) -> Iterator[str]:
    """Rule 7: what broke alarms, and says so; nothing else does."""
    for name, state in states(machine):
        if state["Type"] == "Fail" and not (state.get("Error") and state.get("Cause")):
            yield f"{name} fails without Error or Cause"
    for name, state in machine["States"].items():
        if state["Type"] in {"Succeed", "Fail"}:
            errored = name.endswith("Errored")
            if errored != (state["Type"] == "Fail"):
                yield f"{name} is a {state['Type']}"


CHECKS: list[Check] = [
    uses_jsonata,
    says_why,
    comes_to_an_end,
    retries_only_what_may_pass,
    catches_everything,
    knows_its_errors,
    compiles,
    can_be_reached,
    assigns_before_use,
    calls_what_is_there,
    ends_as_it_says,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_machine_keeps_the_rules(file: Path, check: Check) -> None:
    assert list(check(json.loads(file.read_text()))) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_substitutions_stand_within_strings(file: Path) -> None:
    """So the file is JSON before CloudFormation fills it, and after."""
    text = file.read_text()
    within = [name for string in texts(json.loads(text)) for name in _SUBSTITUTION.findall(string)]
    assert within == _SUBSTITUTION.findall(text)
    assert within


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_rule_that_a_comment_names_is_explained(file: Path) -> None:
    explained = re.findall(r"\*\*Rule (\d+)\*\*", file.with_name("README.md").read_text())
    named = re.findall(r"\b[Rr]ules? (\d+)(?: and (\d+))?", file.read_text())
    assert {number for numbers in named for number in numbers if number} - set(explained) == set()


def test_there_are_machines_to_check() -> None:
    assert len(FILES) == 6


# The smallest machine that keeps every rule; each case below breaks one of them.
GOOD: Machine = {
    "Comment": "Why",
    "QueryLanguage": "JSONata",
    "StartAt": "ClaimApproval",
    "TimeoutSeconds": 600,
    "States": {
        "ClaimApproval": {
            "Comment": "Why",
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {
                "FunctionName": "${ClaimApprovalFunctionArn}",
                "Payload": "{% $exists($later) ? $later : 'not $yet' %}",
            },
            "Assign": {"claim": "{% $states.result.Payload %}"},
            "TimeoutSeconds": 60,
            "Retry": [
                {"ErrorEquals": ["Lambda.ServiceException"]},
                {"ErrorEquals": ["TransientError"]},
            ],
            "Catch": [
                {
                    "ErrorEquals": ["States.ALL"],
                    "Assign": {"failure": "{% $states.errorOutput %}"},
                    "Next": "Errored",
                }
            ],
            "Next": "Each",
        },
        "Each": {
            "Comment": "Why",
            "Type": "Map",
            "Items": "{% $claim.items %}",
            "ItemProcessor": {
                "StartAt": "Look",
                "States": {
                    "Look": {
                        "Comment": "Why",
                        "Type": "Pass",
                        "Output": "{% $claim %}",
                        "End": True,
                    }
                },
            },
            "Catch": [
                {
                    "ErrorEquals": ["States.ALL"],
                    "Assign": {"failure": "{% $states.errorOutput %}"},
                    "Next": "Errored",
                }
            ],
            "Next": "Good?",
        },
        "Good?": {
            "Comment": "Why",
            "Type": "Choice",
            "Choices": [{"Condition": "{% $claim.good = true %}", "Next": "Done"}],
            "Assign": {"failure": {"Error": "NotGood"}},
            "Default": "Errored",
        },
        "Done": {"Comment": "Why", "Type": "Succeed"},
        "Errored": {
            "Comment": "Why",
            "Type": "Fail",
            "Error": "{% $failure.Error %}",
            "Cause": "{% $failure.Cause %}",
        },
    },
}
_TASK = "States.ClaimApproval"
_LAMBDA = {"ErrorEquals": ["Lambda.ServiceException"]}
_TRANSIENT = {"ErrorEquals": ["TransientError"]}
# What breaks it, (where, what is there instead), and what is found. None takes it away.
BROKEN: list[tuple[Check, str, Any, str]] = [
    (uses_jsonata, "QueryLanguage", None, "the machine is not JSONata"),
    (uses_jsonata, f"{_TASK}.QueryLanguage", "JSONPath", "ClaimApproval chooses"),
    (says_why, "Comment", None, "the machine has no Comment"),
    (says_why, f"{_TASK}.Comment", "", "ClaimApproval has no Comment"),
    (says_why, "States.Each.ItemProcessor.States.Look.Comment", None, "Look has no Comment"),
    (comes_to_an_end, "TimeoutSeconds", None, "the machine has no TimeoutSeconds"),
    (comes_to_an_end, f"{_TASK}.TimeoutSeconds", None, "ClaimApproval has no TimeoutSeconds"),
    (comes_to_an_end, f"{_TASK}.TimeoutSeconds", 601, "within the machine's"),
    (retries_only_what_may_pass, f"{_TASK}.Retry", None, "ClaimApproval has no Retry"),
    (
        retries_only_what_may_pass,
        f"{_TASK}.Retry",
        [{"ErrorEquals": ["States.ALL"]}, _TRANSIENT],
        "retries States.ALL",
    ),
    (
        retries_only_what_may_pass,
        f"{_TASK}.Retry",
        [{"ErrorEquals": ["IntegrityError"]}, _TRANSIENT],
        "retries ['IntegrityError', 'TransientError']",
    ),
    (retries_only_what_may_pass, f"{_TASK}.Retry", [_TRANSIENT, _LAMBDA], "errors first"),
    (catches_everything, f"{_TASK}.Catch", None, "ClaimApproval does not end its Catch"),
    (catches_everything, "States.Each.Catch", [], "Each does not end its Catch"),
    (
        catches_everything,
        f"{_TASK}.Catch",
        [{"ErrorEquals": ["AccessError"], "Next": "Errored"}],
        "ClaimApproval does not end its Catch",
    ),
    (knows_its_errors, f"{_TASK}.Retry", [{"ErrorEquals": ["TransientEror"]}], "TransientEror"),
    (knows_its_errors, f"{_TASK}.Retry", [{"ErrorEquals": ["SQS.Any"]}], "SQS.Any"),
    (compiles, "States.Each.Items", "{% $claim.( %}", "$claim.("),
    (compiles, "States.Each.Items", "{% $clam($claim) %}", "$clam is no function"),
    (compiles, "States.Each.Items", "{% $eval($claim) %}", "$eval is no function"),
    (compiles, "States.Each.Items", "{% $claim", "half an expression"),
    (compiles, "States.Each.Items", "all of {% $claim %}", "half an expression"),
    (can_be_reached, f"{_TASK}.Next", "Gone", "Gone is led to"),
    (can_be_reached, f"{_TASK}.Next", "Good?", "Each cannot be reached"),
    (can_be_reached, "States.Look", {"Type": "Succeed"}, "Look is there twice"),
    (assigns_before_use, f"{_TASK}.Assign", None, "Look uses $claim"),
    (
        assigns_before_use,
        "States.Each.ItemProcessor.ProcessorConfig",
        {"Mode": "DISTRIBUTED"},
        "Look uses $claim",
    ),
    (assigns_before_use, f"{_TASK}.Catch.0.Assign", None, "Errored uses $failure"),
    (assigns_before_use, "States.Good?.Assign", None, "Errored uses $failure"),
    (calls_what_is_there, f"{_TASK}.Arguments.FunctionName", "${GoneFunctionArn}", "no handler"),
    (calls_what_is_there, f"{_TASK}.Arguments.FunctionName", "claim_approval", "no handler"),
    (
        calls_what_is_there,
        f"{_TASK}.Arguments.FunctionName",
        "${RecordFunctionArn}",
        "ClaimApproval is not named as its handler record",
    ),
    (calls_what_is_there, f"{_TASK}.Resource", "arn:aws:states:::states:start", "no machine"),
    (ends_as_it_says, "States.Errored.Cause", None, "Errored fails without Error or Cause"),
    (ends_as_it_says, "States.Done.Type", "Fail", "Done is a Fail"),
    (ends_as_it_says, "States.Errored.Type", "Succeed", "Errored is a Succeed"),
]


def changed(machine: Machine, where: str, what: Any) -> Machine:
    """A copy with something else, or nothing, at a dotted place."""
    copy = deepcopy(machine)
    *path, last = where.split(".")
    place: Any = copy
    for key in path:
        place = place[int(key) if isinstance(place, list) else key]
    if what is None:
        del place[last]
    else:
        place[last] = what
    return copy


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_good_machine_passes(check: Check) -> None:
    assert list(check(GOOD)) == []


@pytest.mark.parametrize(("check", "where", "what", "found"), BROKEN)
def test_a_broken_machine_is_found(check: Check, where: str, what: Any, found: str) -> None:
    assert any(found in problem for problem in check(changed(GOOD, where, what)))


def test_every_check_is_known_to_fail() -> None:
    assert {check.__name__ for check, *_ in BROKEN} == {check.__name__ for check in CHECKS}


def test_a_release_may_take_as_long_as_its_longest_trial() -> None:
    """A machine that times out runs no Catch: the challenger would stay in service."""
    machine = json.loads((ROOT / "statemachines" / "release_to_prod.asl.json").read_text())
    states_ = machine["States"]
    at_most = sum(
        states_[name]["TimeoutSeconds"]
        for name in ("DeployTrial", "RestoreChampion", "DeployToProd")
    )
    assert (
        machine["TimeoutSeconds"] >= definitions.LONGEST_TRIAL + definitions.LONGEST_SHIFT + at_most
    )


def waited(state: dict[str, Any]) -> float:
    """Seconds for which a state is tried again after a TransientError."""
    (retry,) = (one for one in state["Retry"] if one["ErrorEquals"] == ["TransientError"])
    waits_ = (retry["IntervalSeconds"] * retry["BackoffRate"] ** n for n in range(99))
    longest = retry["MaxDelaySeconds"]
    short = list(takewhile(lambda seconds: seconds < longest, waits_))
    return sum(short) + longest * (retry["MaxAttempts"] - len(short))


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("deploy_endpoint", "WatchEndpointAfterError"),
        ("release_to_prod", "CheckServedConfigAfterError"),
        ("rollback_model", "CheckServedConfigAfterError"),
    ],
)
def test_an_endpoint_is_looked_at_until_no_deployment_of_a_broken_run_can_go_on(
    machine: str, name: str
) -> None:
    """What comes to serve later would do so without an entry, or with nobody's alarms."""
    state = json.loads((ROOT / "statemachines" / f"{machine}.asl.json").read_text())["States"][name]
    assert waited(state) >= guardrails.LONGEST
    asked = state["Arguments"]["Payload"]
    assert name == "WatchEndpointAfterError" or asked["at_rest"] is True


def test_a_rollback_has_the_time_to_see_what_comes_up_after_it_broke() -> None:
    """A machine that times out records nothing."""
    machine = json.loads((ROOT / "statemachines" / "rollback_model.asl.json").read_text())
    found = machine["States"]
    at_most = (
        waited(found["LockEndpoint"])
        + found["DeployToProd"]["TimeoutSeconds"]
        + waited(found["CheckServedConfigAfterError"])
    )
    assert machine["TimeoutSeconds"] >= at_most + 3600  # for all the functions


def test_a_wait_lives_as_long_as_the_task_that_waits() -> None:
    """A record that expires first can be replaced by another's: nobody would answer any more."""
    waiting = {
        state["Arguments"]["FunctionName"]: state["TimeoutSeconds"]
        for path in FILES
        for _, state in tasks(json.loads(path.read_text()))
        if state["Resource"].endswith(".waitForTaskToken")
    }
    # Those of confirmations are removed when they are answered, and do not expire.
    never = {"${ConfirmApproverFunctionArn}"}
    lives = {"${DeployEndpointFunctionArn}": waits.SECONDS}
    assert waiting.keys() == never | lives.keys()
    assert {name: waiting[name] for name in lives if waiting[name] >= lives[name]} == {}


@pytest.mark.parametrize("machine", ["validate_in_test", "drill_rollback"])
def test_no_run_of_test_outlives_its_clearance(machine: str) -> None:
    """Another run's end takes back what was granted longer ago than a run can last."""
    seconds = json.loads((ROOT / "statemachines" / f"{machine}.asl.json").read_text())[
        "TimeoutSeconds"
    ]
    assert timedelta(seconds=seconds) <= clearance.LONGEST_RUN


def test_whoever_wants_a_busy_endpoint_is_told_so_at_the_last_of_the_retries() -> None:
    """Otherwise the waiting would end as an error, and not with who holds the endpoint."""
    locking = [
        state
        for path in FILES
        for name, state in states(json.loads(path.read_text()))
        if name == "LockEndpoint"
    ]
    assert len(locking) == 3
    assert {state["Retry"][-1]["MaxAttempts"] for state in locking} == {locks.ATTEMPTS}


def test_a_grant_that_was_killed_is_tried_again() -> None:
    """It may have written yes after a recall had written no; tried again, it writes what counts."""
    granting = {
        f"{path.name}: {name}": {
            error for retry in state["Retry"] for error in retry["ErrorEquals"]
        }
        for path in FILES
        for name, state in tasks(json.loads(path.read_text()))
        if state["Arguments"].get("FunctionName") == "${GrantClearanceFunctionArn}"
    }
    killed = {"Lambda.Unknown", "Sandbox.Timedout", "Runtime.ExitError"}
    assert len(granting) >= 4
    assert {name for name, retried in granting.items() if not killed <= retried} == set()
