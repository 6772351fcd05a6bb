"""The deployed state machines and what their tests feed them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEFINITIONS = ROOT / "statemachines"
MANY = 600  # batches; that many causes in full would be 300 KB, and a state's output is 256
NAMES = (
    *("promote_to_central", "validate_in_test", "release_to_prod", "rollback_model"),
    *("drill_rollback", "deploy_endpoint"),
)
_SUBSTITUTION = re.compile(r"\$\{(\w+)\}")
_HERE = Path(__file__).parent


def physical_name(machine: str) -> str:
    """The name that the template gives the machine, and mock configurations use."""
    return f"governed-path-{machine.replace('_', '-')}"


def source(machine: str) -> dict[str, Any]:
    """The definition as it is in the repository, substitutions unfilled."""
    return json.loads((DEFINITIONS / f"{machine}.asl.json").read_text())


def substitutions(machine: str) -> set[str]:
    """The names that the template must define for the machine."""
    return set(_SUBSTITUTION.findall((DEFINITIONS / f"{machine}.asl.json").read_text()))


def definition(machine: str) -> str:
    """The definition with every substitution filled, as CloudFormation would do it."""
    text = (DEFINITIONS / f"{machine}.asl.json").read_text()
    return _SUBSTITUTION.sub(lambda found: _fake(found[1]), text)


def _fake(name: str) -> str:
    place = "us-east-1:111122223333"
    if name.endswith("FunctionArn"):
        return f"arn:aws:lambda:{place}:function:{name.removesuffix('FunctionArn')}"
    if name.endswith("StateMachineArn"):
        return f"arn:aws:states:{place}:stateMachine:{name.removesuffix('StateMachineArn')}"
    return f"https://sqs.us-east-1.amazonaws.com/111122223333/{name.removesuffix('Url')}"


def start_input(machine: str) -> dict[str, Any]:
    """What starts the machine: the event of its rule, or the plan from its parent."""
    return json.loads((_HERE / "inputs" / f"{machine}.json").read_text())


def mocks(machine: str) -> dict[str, Any]:
    """The machine's mock configuration, in the format of Step Functions Local."""
    found: dict[str, Any] = json.loads((_HERE / "mocks" / f"{machine}.json").read_text())
    if machine == "promote_to_central":
        _add_many_batches(found)
        _add_killed(found)
    return found


def _add_killed(found: dict[str, Any]) -> None:
    """For each function of a promotion the case in which it is killed twice, and then answers.

    They differ from the cases that they are made of in nothing else, so nobody writes them out.
    """
    cases = found["StateMachines"][physical_name("promote_to_central")]["TestCases"]
    of = {"AbandonCopy": "VerifyCopyFails", "RecordRejection": "Rejected"}
    of["RecordErrored"] = "RegisterVersionFails"
    killed = [
        {"Throw": {"Error": "Sandbox.Timedout", "Cause": "killed after 900 s"}},
        {"Throw": {"Error": "Runtime.ExitError", "Cause": "killed"}},
    ]
    states = [name for name, state in _lambda_states("promote_to_central") if name != "CopyBatch"]
    for state in states:
        case = cases[of.get(state, "HappyPath")]
        answer = found["MockedResponses"][case[state]]["0"]
        name = f"{state}KilledTwice"
        found["MockedResponses"][name] = dict(zip("012", [*killed, answer], strict=True))
        cases[f"{state}Killed"] = case | {state: name}


def _lambda_states(machine: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, state)
        for name, state in source(machine)["States"].items()
        if "lambda:invoke" in str(state.get("Resource"))
    ]


def _add_many_batches(found: dict[str, Any]) -> None:
    """The case of a copy whose batches all fail, too many and too long to be written out."""
    plan = {"batches": MANY, "bucket": "evidence", "key": "copies/plan.jsonl"}
    cause = json.dumps({"errorMessage": f"no key for s3://b/runs/1/model.tar.gz: {'x' * 3000}"})
    found["MockedResponses"] |= {
        "ManyPlanned": {"0": {"Return": {"StatusCode": 200, "Payload": {"plan": plan}}}},
        "ManyBatches": {"0": {"Return": [{"objects": [], "parts": []}] * MANY}},
        "ManyDenied": {f"0-{MANY}": {"Throw": {"Error": "AccessError", "Cause": cause}}},
    }
    cases = found["StateMachines"][physical_name("promote_to_central")]["TestCases"]
    cases["EveryBatchFails"] = cases["CopyBatchDenied"] | {
        "PlanCopy": "ManyPlanned",
        "CopyObjects": "ManyBatches",
        "CopyBatch": "ManyDenied",
    }


def test_cases(machine: str) -> dict[str, dict[str, str]]:
    """The machine's test cases: {case: {state: name of a response}}."""
    return mocks(machine)["StateMachines"][physical_name(machine)]["TestCases"]


test_cases.__test__ = False  # type: ignore[attr-defined]  # a helper, whatever its name says


def merged_mocks() -> dict[str, Any]:
    """All machines' mock configurations as one: an engine reads one file when it starts.

    Response names are the machine's own, so here they get its name in front.
    """
    merged: dict[str, Any] = {"StateMachines": {}, "MockedResponses": {}}
    for machine in NAMES:
        merged["StateMachines"][physical_name(machine)] = {
            "TestCases": {
                case: {state: f"{machine}.{response}" for state, response in states.items()}
                for case, states in test_cases(machine).items()
            }
        }
        merged["MockedResponses"] |= {
            f"{machine}.{name}": response
            for name, response in mocks(machine)["MockedResponses"].items()
        }
    return merged
