"""Hosting calls can be repeated, and each meets SageMaker's own definition of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from governance.adapters import sessions
from governance.adapters.endpoints import Endpoints
from governance.domain import guardrails
from governance.domain.errors import InvalidInputError, TransientError
from tests.contracts import samples

from .conftest import DEV, REGION

NAME, OLD, NEW = "clinical-risk", "config-old", "config-new"
ARN = f"arn:aws:sagemaker:{REGION}:{DEV}:endpoint/{NAME}"
DEPLOYMENT = {
    "endpoint_name": NAME,
    "config_name": NEW,
    "instance_count": 2,
    "variant_name": "AllTraffic",
    "tags": {"model": "m"},
    "release": None,
}
FOUND = {"EndpointStatus": "InService", "EndpointConfigName": OLD}


@pytest.fixture
def hosting(lambdas: Callable[..., Any]) -> Iterator[tuple[Endpoints, Stubber]]:
    """(endpoints, stub): what SageMaker is scripted to answer, in order; all of it is asked."""
    endpoints = Endpoints(sessions._own_session())
    with Stubber(endpoints._sagemaker) as stub:
        yield endpoints, stub
        stub.assert_no_pending_responses()


def _refuse(stub: Stubber, operation: str, message: str, code: str = "ValidationException") -> None:
    stub.add_client_error(operation, code, message, 400)


def test_what_exists_is_not_made_again(hosting: tuple[Endpoints, Stubber]) -> None:
    endpoints, stub = hosting
    _refuse(stub, "create_model", "Cannot create already existing model")
    _refuse(stub, "create_endpoint_config", "Cannot create already existing endpoint configuration")
    endpoints.create_model(
        {
            "ModelName": "m",
            "PrimaryContainer": {"ModelPackageName": f"arn:aws:sagemaker:{REGION}:{DEV}:x"},
            "ExecutionRoleArn": f"arn:aws:iam::{DEV}:role/governed-path-endpoint-execution",
        }
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "m",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    endpoints.create_config({"EndpointConfigName": NEW, "ProductionVariants": [variant]})


def test_what_sagemaker_refuses_is_raised(hosting: tuple[Endpoints, Stubber]) -> None:
    endpoints, stub = hosting
    _refuse(stub, "create_model", "Model package must be Approved")
    with pytest.raises(InvalidInputError, match=r"create model m.*must be Approved"):
        endpoints.create_model({"ModelName": "m"})


def test_what_is_gone_is_removed(hosting: tuple[Endpoints, Stubber]) -> None:
    endpoints, stub = hosting
    _refuse(stub, "delete_endpoint", f'Could not find endpoint "{ARN}".')
    stub.add_response("delete_endpoint_config", {}, {"EndpointConfigName": NEW})
    _refuse(stub, "delete_model", 'Could not find model "m".')
    assert endpoints.remove_endpoint(NAME) is False
    assert endpoints.remove_config(NEW) is True
    assert endpoints.remove_model("m") is False


def test_an_endpoint_that_is_still_being_made_is_removed_later(
    hosting: tuple[Endpoints, Stubber],
) -> None:
    endpoints, stub = hosting
    _refuse(stub, "delete_endpoint", f'Cannot update in-progress endpoint "{ARN}".')
    with pytest.raises(TransientError, match=NAME):
        endpoints.remove_endpoint(NAME)


def test_no_endpoint_is_no_error(hosting: tuple[Endpoints, Stubber]) -> None:
    endpoints, stub = hosting
    _refuse(stub, "describe_endpoint", f'Could not find endpoint "{ARN}".')
    assert endpoints.find(NAME) is None


def test_a_new_endpoint_is_created(hosting: tuple[Endpoints, Stubber]) -> None:
    endpoints, stub = hosting
    stub.add_response(
        "create_endpoint",
        {"EndpointArn": ARN},
        {
            "EndpointName": NAME,
            "EndpointConfigName": NEW,
            "Tags": [{"Key": "model", "Value": "m"}],
        },
    )
    endpoints.deploy(None, DEPLOYMENT)


def _served(stub: Stubber, count: int) -> None:
    """The config that serves now has so many instances."""
    variant = {"VariantName": "AllTraffic", "InitialInstanceCount": count}
    answer = {
        "EndpointConfigName": OLD,
        "EndpointConfigArn": ARN,
        "ProductionVariants": [variant],
        "CreationTime": 0,
    }
    stub.add_response("describe_endpoint_config", answer, {"EndpointConfigName": OLD})


@pytest.mark.parametrize(
    ("count", "changed"), [(2, []), (3, [{"VariantPropertyType": "DesiredInstanceCount"}])]
)
def test_a_serving_endpoint_is_updated_and_keeps_its_capacity(
    hosting: tuple[Endpoints, Stubber], count: int, changed: list[dict[str, str]]
) -> None:
    endpoints, stub = hosting
    _served(stub, count)
    stub.add_response(
        "update_endpoint",
        {"EndpointArn": ARN},
        {
            "EndpointName": NAME,
            "EndpointConfigName": NEW,
            "RetainAllVariantProperties": True,
            "ExcludeRetainedVariantProperties": [
                {"VariantPropertyType": "DataCaptureConfig"},
                *changed,
            ],
        },
    )
    endpoints.deploy(FOUND, DEPLOYMENT)


def test_guardrails_go_with_the_update(hosting: tuple[Endpoints, Stubber]) -> None:
    endpoints, stub = hosting
    guarded = {**DEPLOYMENT, "release": samples.definition()["release"]}
    _served(stub, 2)
    stub.add_response(
        "update_endpoint",
        {"EndpointArn": ARN},
        {
            "EndpointName": NAME,
            "EndpointConfigName": NEW,
            "RetainAllVariantProperties": True,
            "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DataCaptureConfig"}],
            "DeploymentConfig": guardrails.deployment_config(guarded),
        },
    )
    endpoints.deploy(FOUND, guarded)


@pytest.mark.parametrize(
    "found",
    [
        {"EndpointStatus": "InService", "EndpointConfigName": NEW},
        {"EndpointStatus": "Failed", "EndpointConfigName": NEW},
        {
            "EndpointStatus": "Updating",
            "EndpointConfigName": OLD,
            "PendingDeploymentSummary": {"EndpointConfigName": NEW},
        },
    ],
)
def test_a_repeated_deployment_asks_for_nothing(
    hosting: tuple[Endpoints, Stubber], found: dict[str, Any]
) -> None:
    endpoints, _ = hosting
    endpoints.deploy(found, DEPLOYMENT)


def test_a_failed_endpoint_of_before_makes_room(hosting: tuple[Endpoints, Stubber]) -> None:
    """SageMaker lets a failed endpoint only be deleted; the state machine's retry creates it."""
    endpoints, stub = hosting
    stub.add_response("delete_endpoint", {}, {"EndpointName": NAME})
    with pytest.raises(TransientError, match="created anew"):
        endpoints.deploy({**FOUND, "EndpointStatus": "Failed"}, DEPLOYMENT)


def test_a_champion_whose_endpoint_failed_in_a_trial_is_made_anew(
    hosting: tuple[Endpoints, Stubber],
) -> None:
    endpoints, stub = hosting
    stub.add_response("delete_endpoint", {}, {"EndpointName": NAME})
    champion = {**DEPLOYMENT, "config_name": OLD, "exists": True}
    with pytest.raises(TransientError, match="created anew"):
        endpoints.deploy({**FOUND, "EndpointStatus": "Failed"}, champion)
    created = {
        "EndpointName": NAME,
        "EndpointConfigName": OLD,
        "Tags": [{"Key": "model", "Value": "m"}],
    }
    stub.add_response("create_endpoint", {"EndpointArn": ARN}, created)
    endpoints.deploy(None, champion)


def test_an_endpoint_that_somebody_is_updating_is_waited_for(
    hosting: tuple[Endpoints, Stubber],
) -> None:
    endpoints, stub = hosting
    _served(stub, 2)
    _refuse(stub, "update_endpoint", f'Cannot update in-progress endpoint "{ARN}".')
    with pytest.raises(TransientError, match="in-progress"):
        endpoints.deploy({**FOUND, "EndpointStatus": "Updating"}, DEPLOYMENT)
