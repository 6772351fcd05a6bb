"""The SageMaker Pipeline runs the very scripts that run locally, encrypted and isolated."""

from __future__ import annotations

import argparse
import importlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from pipeline import definition

from tests.unit.templates.aws import Aws
from tests.unit.templates.shapes import problems

KEY = "arn:aws:kms:us-east-1:444455556666:key/11111111-2222-3333-4444-555555555555"
SETTINGS = definition.Settings(
    name="clinical-risk-training",
    role_arn="arn:aws:iam::444455556666:role/governed-path-training",
    bucket="project-bucket",
    model_package_group="clinical-risk-classifier",
    kms_key=KEY,
    code_commit="0" * 40,
    repository="https://git.example.org/clinical-risk.git",
)


@pytest.fixture
def document() -> dict[str, Any]:
    return definition.definition(SETTINGS)


def resolve(value: Any, document: dict[str, Any]) -> Any:
    """What SageMaker puts in the place of references when it runs the pipeline."""
    if isinstance(value, list):
        return [resolve(entry, document) for entry in value]
    if not isinstance(value, dict):
        return value
    if "Std:Join" in value:
        join = value["Std:Join"]
        return join["On"].join(resolve(join["Values"], document))
    if "Get" not in value:
        return {key: resolve(entry, document) for key, entry in value.items()}
    kind, _, rest = value["Get"].partition(".")
    if kind == "Parameters":
        return {one["Name"]: one["DefaultValue"] for one in document["Parameters"]}[rest]
    if kind == "Execution":
        assert rest in {"PipelineName", "PipelineExecutionId", "PipelineExecutionArn"}
        return f"execution-{rest}"
    assert kind == "Steps"
    return f"s3://project-bucket/{rest.partition('.')[0].lower()}"


def arguments_of(step: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = step["Arguments"]
    return arguments


def test_it_is_valid_json_of_the_documented_version(document: dict[str, Any]) -> None:
    assert json.loads(json.dumps(document)) == document
    assert document["Version"] == "2020-12-01"
    assert [step["Name"] for step in document["Steps"]] == [
        *("Prepare", "Train", "Evaluate", "Register")
    ]
    assert [step["Type"] for step in document["Steps"]] == [
        *("Processing", "Training", "Processing", "Processing")
    ]


@pytest.mark.parametrize("vpc", [False, True])
def test_every_step_satisfies_the_operation_that_sagemaker_calls(vpc: bool) -> None:
    settings = (
        replace(SETTINGS, subnets=("subnet-1",), security_groups=("sg-1",)) if vpc else SETTINGS
    )
    document = definition.definition(settings)
    for step in document["Steps"]:
        kind = step["Type"]
        # SageMaker Pipelines names the jobs itself.
        request = {**resolve(step["Arguments"], document), f"{kind}JobName": "job"}
        assert not problems(f"Create{kind}Job", request)


def test_every_reference_is_to_an_earlier_step_and_an_output_that_it_has(
    document: dict[str, Any],
) -> None:
    outputs: dict[str, set[str]] = {}
    for step in document["Steps"]:
        for name, rest in re.findall(r'"Get": "Steps\.(\w+)\.([^"]+)"', json.dumps(step)):
            assert name in outputs, f"{step['Name']} needs {name} first"
            assert rest in outputs[name]
        declared = arguments_of(step).get("ProcessingOutputConfig", {}).get("Outputs", [])
        outputs[step["Name"]] = {
            f"ProcessingOutputConfig.Outputs['{one['OutputName']}'].S3Output.S3Uri"
            for one in declared
        } or {"ModelArtifacts.S3ModelArtifacts"}


def test_every_parameter_that_is_used_is_declared_and_the_other_way_round(
    document: dict[str, Any],
) -> None:
    used = set(re.findall(r'"Get": "Parameters\.(\w+)"', json.dumps(document["Steps"])))
    assert used == {parameter["Name"] for parameter in document["Parameters"]}


@pytest.mark.parametrize("position", range(4))
def test_the_command_line_of_every_step_is_accepted_by_its_script(
    document: dict[str, Any], position: int
) -> None:
    step = document["Steps"][position]
    arguments = arguments_of(step)
    command = arguments.get("AppSpecification") or arguments["AlgorithmSpecification"]
    entrypoint = " ".join(command["ContainerEntrypoint"])
    found = re.search(r"python3 -m (pipeline\.\w+)", entrypoint)
    assert found
    parser: argparse.ArgumentParser = importlib.import_module(found.group(1)).parser()
    given = resolve(command["ContainerArguments"], document)
    assert all(isinstance(argument, str) and len(argument) <= 256 for argument in given)
    parser.parse_args(given)


def test_every_local_path_that_a_step_reads_is_one_of_its_inputs(document: dict[str, Any]) -> None:
    for step in document["Steps"]:
        arguments = arguments_of(step)
        if step["Type"] == "Training":
            places = [f"/opt/ml/input/data/{one['ChannelName']}" for one in channels(arguments)]
        else:
            places = [one["S3Input"]["LocalPath"] for one in arguments["ProcessingInputs"]]
        read = re.findall(r'"(/opt/ml/(?:processing/)?input/[^"]+)"', json.dumps(command(step)))
        assert all(path.startswith(tuple(places)) for path in read)
        (python_path,) = [
            path for key, path in arguments["Environment"].items() if key == "PYTHONPATH"
        ]
        assert python_path in places


def channels(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = arguments["InputDataConfig"]
    return found


def command(step: dict[str, Any]) -> Any:
    arguments = arguments_of(step)
    specification = arguments.get("AppSpecification") or arguments["AlgorithmSpecification"]
    return specification["ContainerArguments"]


def test_everything_is_encrypted_with_the_projects_key(document: dict[str, Any]) -> None:
    for step in document["Steps"]:
        arguments = resolve(arguments_of(step), document)
        if step["Type"] == "Training":
            cluster, outputs = arguments["ResourceConfig"], arguments["OutputDataConfig"]
        else:
            cluster = arguments["ProcessingResources"]["ClusterConfig"]
            outputs = arguments.get("ProcessingOutputConfig", {"KmsKeyId": KEY})
        assert cluster["VolumeKmsKeyId"] == outputs["KmsKeyId"] == KEY


def test_the_steps_that_touch_the_model_have_no_network(document: dict[str, Any]) -> None:
    isolated = {
        step["Name"]: arguments_of(step).get("EnableNetworkIsolation")
        or arguments_of(step).get("NetworkConfig", {}).get("EnableNetworkIsolation")
        for step in document["Steps"]
    }
    assert isolated == {"Prepare": False, "Train": True, "Evaluate": True, "Register": False}


def test_the_code_lies_under_its_own_digest(aws: Aws) -> None:
    definition.upload_code(aws.session.client("s3"), SETTINGS)
    prefix = f"{SETTINGS.code_prefix}/pipeline/"
    assert all(key.startswith(prefix) for key in aws.objects)
    names = {key.removeprefix(prefix) for key in aws.objects}
    assert {"__init__.py", "train.py", "inference.py", "features.json"} <= names
    assert SETTINGS.code_prefix in json.dumps(definition.definition(SETTINGS))


def test_upsert_creates_and_then_updates(aws: Aws) -> None:
    sagemaker = aws.session.client("sagemaker")
    arn = definition.upsert(sagemaker, SETTINGS)
    assert definition.upsert(sagemaker, SETTINGS) == arn
    assert aws.calls == [
        *("DescribePipeline", "CreatePipeline", "DescribePipeline", "UpdatePipeline")
    ]
    stored = aws.pipelines[SETTINGS.name]
    assert json.loads(stored["PipelineDefinition"]) == definition.definition(SETTINGS)
    assert not problems("UpdatePipeline", stored)


def test_the_register_step_installs_the_pinned_boto3(document: dict[str, Any]) -> None:
    entrypoint = arguments_of(document["Steps"][3])["AppSpecification"]["ContainerEntrypoint"]
    assert re.search(r"pip install --quiet boto3==\d+\.\d+\.\d+ &&", entrypoint[2])
    assert all(len(part) <= 256 for part in entrypoint)
