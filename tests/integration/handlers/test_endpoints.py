"""Hosting calls can be repeated, and each meets SageMaker's own definition of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from governance.adapters import sessions
from governance.adapters.endpoints import Endpoints
from governance.domain.errors import InvalidInputError, TransientError

from .conftest import DEV, REGION

NAME, OLD, NEW = "clinical-risk", "config-old", "config-new"
ARN = f"arn:aws:sagemaker:{REGION}:{DEV}:endpoint/{NAME}"


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
    endpoints.deploy(None, NAME, NEW, {"model": "m"})


def test_a_serving_endpoint_is_updated_and_keeps_its_capacity(
    hosting: tuple[Endpoints, Stubber],
) -> None:
    endpoints, stub = hosting
    stub.add_response(
        "update_endpoint",
        {"EndpointArn": ARN},
        {"EndpointName": NAME, "EndpointConfigName": NEW, "RetainAllVariantProperties": True},
    )
    endpoints.deploy({"EndpointStatus": "InService", "EndpointConfigName": OLD}, NAME, NEW, {})


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
    endpoints.deploy(found, NAME, NEW, {})


def test_a_failed_endpoint_of_before_makes_room(hosting: tuple[Endpoints, Stubber]) -> None:
    """SageMaker lets a failed endpoint only be deleted; the state machine's retry creates it."""
    endpoints, stub = hosting
    stub.add_response("delete_endpoint", {}, {"EndpointName": NAME})
    with pytest.raises(TransientError, match="created anew"):
        endpoints.deploy({"EndpointStatus": "Failed", "EndpointConfigName": OLD}, NAME, NEW, {})


def test_an_endpoint_that_somebody_is_updating_is_waited_for(
    hosting: tuple[Endpoints, Stubber],
) -> None:
    endpoints, stub = hosting
    _refuse(stub, "update_endpoint", f'Cannot update in-progress endpoint "{ARN}".')
    with pytest.raises(TransientError, match="in-progress"):
        endpoints.deploy({"EndpointStatus": "Updating", "EndpointConfigName": OLD}, NAME, NEW, {})
