"""Handlers, state machines and the template call the same things by the same names.

The rules are read off the template as CloudFormation gets it. Each check tells of every breach
that it finds, so it is tried on a broken template as well.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"
MACHINES = sorted(path.name.partition(".")[0] for path in ROOT.glob("statemachines/*.asl.json"))
HANDLERS = sorted(
    path.stem
    for path in (ROOT / "functions" / "governance" / "handlers").glob("*.py")
    if path.stem != "__init__"
)
FUNCTION, MACHINE = "AWS::Serverless::Function", "AWS::Serverless::StateMachine"
_SUBSTITUTION = re.compile(r"\$\{(\w+)\}")

Template = dict[str, Any]
Check = Callable[[Template], Iterator[str]]


@cache
def template() -> Template:
    """template.yaml; a short form such as !GetAtt is its long form."""
    return yaml_parse(TEMPLATE.read_text())


def pascal(snake: str) -> str:
    return "".join(word.capitalize() for word in snake.split("_"))


def physical(snake: str) -> str:
    return f"governed-path-{snake.replace('_', '-')}"


def definition(machine: str) -> str:
    return (ROOT / "statemachines" / f"{machine}.asl.json").read_text()


def of_type(found: Template, kind: str) -> dict[str, dict[str, Any]]:
    """The properties of the resources of a type, by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in found["Resources"].items()
        if resource["Type"] == kind
    }


def properties(found: Template, name: str) -> dict[str, Any]:
    return found["Resources"].get(name, {}).get("Properties", {})


def attribute(name: str, of: str = "Arn") -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, of]}


def every_handler_is_one_function(found: Template) -> Iterator[str]:
    deployed = Counter(p.get("Handler") for p in of_type(found, FUNCTION).values())
    for handler in HANDLERS:
        path = f"governance.handlers.{handler}.handler"
        if deployed.pop(path, 0) != 1:
            yield f"{handler} is not deployed exactly once"
        function = properties(found, f"{pascal(handler)}Function")
        if function.get("Handler") != path:
            yield f"{pascal(handler)}Function is not {path}"
        if function.get("FunctionName") != physical(handler):
            yield f"{pascal(handler)}Function is not named {physical(handler)}"
    yield from (f"there is no handler {path}" for path in deployed)


def every_function_has_its_own(found: Template) -> Iterator[str]:
    """Role and log group: least privilege, and an answer to who said what."""
    for handler in HANDLERS:
        name = pascal(handler)
        function = properties(found, f"{name}Function")
        if function.get("Role") != attribute(f"{name}Role"):
            yield f"{name}Function does not have {name}Role"
        role = properties(found, f"{name}Role")
        if role.get("RoleName") != physical(handler) or trusted(role) != {"lambda.amazonaws.com"}:
            yield f"{name}Role is not {physical(handler)}, for Lambda alone"
        if function.get("LoggingConfig", {}).get("LogGroup") != {"Ref": f"{name}LogGroup"}:
            yield f"{name}Function does not log to {name}LogGroup"
        group = properties(found, f"{name}LogGroup").get("LogGroupName")
        if group != f"/aws/lambda/{physical(handler)}":
            yield f"{name}LogGroup is {group}"


def every_role_is_of_one(found: Template) -> Iterator[str]:
    used = [json.dumps(p.get("Role")) for p in of_type(found, FUNCTION).values()]
    used += [json.dumps(p.get("Role")) for p in of_type(found, MACHINE).values()]
    yield from (f"{role} is the role of {n}" for role, n in Counter(used).items() if n > 1)
    names = [json.dumps(p.get("RoleName")) for p in of_type(found, "AWS::IAM::Role").values()]
    yield from (f"{name} is the name of {n} roles" for name, n in Counter(names).items() if n > 1)


def trusted(role: dict[str, Any]) -> set[str]:
    statements = role.get("AssumeRolePolicyDocument", {}).get("Statement", [])
    return {str(statement["Principal"].get("Service")) for statement in statements}


def every_machine_is_deployed(found: Template) -> Iterator[str]:
    deployed = Counter(p.get("DefinitionUri") for p in of_type(found, MACHINE).values())
    for machine in MACHINES:
        name, uri = pascal(machine), f"statemachines/{machine}.asl.json"
        if deployed.pop(uri, 0) != 1:
            yield f"{uri} is not deployed exactly once"
        deployment = properties(found, f"{name}StateMachine")
        if (deployment.get("DefinitionUri"), deployment.get("Name")) != (uri, physical(machine)):
            yield f"{name}StateMachine is not {uri} named {physical(machine)}"
        # Not <Machine>Role: deploy_endpoint is a machine, and the handler of one of its states.
        if deployment.get("Role") != attribute(f"{name}WorkflowRole"):
            yield f"{name}StateMachine does not have {name}WorkflowRole"
        if trusted(properties(found, f"{name}WorkflowRole")) != {"states.amazonaws.com"}:
            yield f"{name}WorkflowRole is not for Step Functions alone"
    yield from (f"there is no {uri}" for uri in deployed)


def substitutions_agree(found: Template) -> Iterator[str]:
    for machine in MACHINES:
        used = set(_SUBSTITUTION.findall(definition(machine)))
        given = properties(found, f"{pascal(machine)}StateMachine").get(
            "DefinitionSubstitutions", {}
        )
        yield from (f"{machine}: {name} is not provided" for name in sorted(used - set(given)))
        yield from (f"{machine}: {name} is not used" for name in sorted(set(given) - used))
        for name, value in given.items():
            if value != meant(name):
                yield f"{machine}: {name} is {value}"
            target = next(iter(value.values()))
            if (target if isinstance(target, str) else target[0]) not in found["Resources"]:
                yield f"{machine}: {name} is of nothing that is there"


def meant(substitution: str) -> dict[str, Any]:
    """What a substitution's name says: ${RecordFunctionArn} is the Arn of RecordFunction."""
    if substitution.endswith("FunctionArn"):
        return attribute(substitution.removesuffix("Arn"))
    # Ref is the ARN of a state machine, and the URL of a queue.
    return {"Ref": re.sub("(Arn|Url)$", "", substitution)}


def machines_may_invoke_what_they_invoke(found: Template) -> Iterator[str]:
    """And nothing else."""
    for machine in MACHINES:
        role = properties(found, f"{pascal(machine)}WorkflowRole")
        used = set(_SUBSTITUTION.findall(definition(machine)))
        calls = {json.dumps(meant(name)) for name in used if name.endswith("FunctionArn")}
        may = {json.dumps(resource) for resource in allowed(role, "lambda:InvokeFunction")}
        yield from (f"{machine} may not invoke {name}" for name in sorted(calls - may))
        yield from (f"{machine} invokes no {name}" for name in sorted(may - calls))


def allowed(role: dict[str, Any], action: str) -> Iterator[Any]:
    """The resources on which a role's own policies allow an action that they spell out."""
    for policy in role.get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            actions, resources = statement["Action"], statement["Resource"]
            if action in (actions if isinstance(actions, list) else [actions]):
                yield from resources if isinstance(resources, list) else [resources]


def functions_end_before_their_tasks(found: Template) -> Iterator[str]:
    """A task that gives up first is tried again while the function still works."""
    default = found["Globals"]["Function"]["Timeout"]
    for machine in MACHINES:
        for name, task in lambda_tasks(json.loads(definition(machine))):
            function = _SUBSTITUTION.findall(task["Arguments"]["FunctionName"])[0]
            timeout = properties(found, function.removesuffix("Arn")).get("Timeout", default)
            if timeout > task["TimeoutSeconds"]:
                yield f"{machine}: {name} gives up before its function does"


def lambda_tasks(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        if "FunctionName" in state.get("Arguments", {}):
            yield name, state
        if "ItemProcessor" in state:
            yield from lambda_tasks(state["ItemProcessor"])


CHECKS: list[Check] = [
    every_handler_is_one_function,
    every_function_has_its_own,
    every_role_is_of_one,
    every_machine_is_deployed,
    substitutions_agree,
    machines_may_invoke_what_they_invoke,
    functions_end_before_their_tasks,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_template_agrees(check: Check) -> None:
    assert list(check(template())) == []


def test_there_is_something_to_agree_on() -> None:
    assert len(MACHINES) == 6
    assert len(HANDLERS) > 20


_FUNCTION = "RecordFunction.Properties"
_MACHINE = "ReleaseToProdStateMachine.Properties"
_GIVEN = f"{_MACHINE}.DefinitionSubstitutions"
_MAY = "DeployEndpointWorkflowRole.Properties.Policies"
# (check, where in the template's resources, what is there instead, what is found)
BROKEN: list[tuple[Check, str, Any, str]] = [
    (every_handler_is_one_function, "RecordFunction", None, "record is not deployed exactly once"),
    (
        every_handler_is_one_function,
        f"{_FUNCTION}.Handler",
        "governance.handlers.set_stage.handler",
        "set_stage is not deployed exactly once",
    ),
    (
        every_handler_is_one_function,
        f"{_FUNCTION}.Handler",
        "governance.handlers.gone.handler",
        "there is no handler governance.handlers.gone.handler",
    ),
    (
        every_handler_is_one_function,
        f"{_FUNCTION}.FunctionName",
        "record",
        "RecordFunction is not named governed-path-record",
    ),
    (
        every_function_has_its_own,
        f"{_FUNCTION}.Role",
        attribute("SetStageRole"),
        "RecordFunction does not have RecordRole",
    ),
    (every_function_has_its_own, "RecordRole", None, "RecordRole is not governed-path-record"),
    (
        every_function_has_its_own,
        "RecordRole.Properties.AssumeRolePolicyDocument.Statement.0.Principal",
        {"Service": "states.amazonaws.com"},
        "for Lambda alone",
    ),
    (
        every_function_has_its_own,
        f"{_FUNCTION}.LoggingConfig",
        None,
        "RecordFunction does not log to RecordLogGroup",
    ),
    (every_function_has_its_own, "RecordLogGroup", None, "RecordLogGroup is None"),
    (every_role_is_of_one, f"{_FUNCTION}.Role", attribute("SetStageRole"), "the role of 2"),
    (
        every_role_is_of_one,
        "RecordRole.Properties.RoleName",
        "governed-path-set-stage",
        "the name of 2",
    ),
    (every_machine_is_deployed, "ReleaseToProdStateMachine", None, "not deployed exactly once"),
    (
        every_machine_is_deployed,
        f"{_MACHINE}.DefinitionUri",
        "statemachines/gone.asl.json",
        "there is no statemachines/gone.asl.json",
    ),
    (every_machine_is_deployed, f"{_MACHINE}.Name", "release", "named governed-path-release"),
    (
        every_machine_is_deployed,
        f"{_MACHINE}.Role",
        attribute("RecordRole"),
        "does not have ReleaseToProdWorkflowRole",
    ),
    (every_machine_is_deployed, "ReleaseToProdWorkflowRole", None, "for Step Functions alone"),
    (
        substitutions_agree,
        f"{_GIVEN}.SmokeTestFunctionArn",
        None,
        "release_to_prod: SmokeTestFunctionArn is not provided",
    ),
    (
        substitutions_agree,
        f"{_GIVEN}.RunSuiteFunctionArn",
        attribute("RunSuiteFunction"),
        "release_to_prod: RunSuiteFunctionArn is not used",
    ),
    (
        substitutions_agree,
        f"{_GIVEN}.SmokeTestFunctionArn",
        attribute("RunSuiteFunction"),
        "release_to_prod: SmokeTestFunctionArn is {",
    ),
    (substitutions_agree, "SmokeTestFunction", None, "is of nothing that is there"),
    (machines_may_invoke_what_they_invoke, _MAY, [], "deploy_endpoint may not invoke"),
    (
        machines_may_invoke_what_they_invoke,
        _MAY,
        [{"PolicyDocument": {"Statement": [{"Action": "lambda:InvokeFunction", "Resource": "*"}]}}],
        'deploy_endpoint invokes no "*"',
    ),
    (
        functions_end_before_their_tasks,
        f"{_FUNCTION}.Timeout",
        900,
        "RecordRelease gives up before its function does",
    ),
]


def changed(found: Template, where: str, what: Any) -> Template:
    """A copy with something else, or nothing, at a dotted place among the resources."""
    copy = deepcopy(found)
    place: Any = copy["Resources"]
    *path, last = where.split(".")
    for key in path:
        place = place[int(key) if isinstance(place, list) else key]
    if what is None:
        del place[last]
    else:
        place[last] = what
    return copy


@pytest.mark.parametrize(("check", "where", "what", "found"), BROKEN)
def test_a_disagreement_is_found(check: Check, where: str, what: Any, found: str) -> None:
    problems = list(check(changed(template(), where, what)))
    assert any(found in problem for problem in problems), problems


def test_every_check_is_known_to_fail() -> None:
    assert {check.__name__ for check, *_ in BROKEN} == {check.__name__ for check in CHECKS}
