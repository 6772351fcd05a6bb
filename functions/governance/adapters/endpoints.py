"""Models, endpoint configs and endpoints in a member account. Every call can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from governance.adapters import errors, sessions
from governance.adapters.registry import plain
from governance.domain import guardrails, outcomes
from governance.domain.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


class Endpoints:
    """SageMaker hosting in the account of the session."""

    def __init__(self, session: boto3.Session) -> None:
        self._sagemaker: SageMakerClient = sessions.client(session, "sagemaker")

    def create_model(self, request: dict[str, Any]) -> None:
        """Create the model unless it is there already (its name is derived from the claim)."""
        with errors.translated(f"create model {request['ModelName']}"):
            _unless_existing(lambda: self._sagemaker.create_model(**request))

    def create_config(self, request: dict[str, Any]) -> None:
        """Create the endpoint config unless it is there already."""
        with errors.translated(f"create endpoint config {request['EndpointConfigName']}"):
            _unless_existing(lambda: self._sagemaker.create_endpoint_config(**request))

    def find(self, name: str) -> dict[str, Any] | None:
        """The endpoint as DescribeEndpoint returns it, times as text; None if there is none."""
        with errors.translated(f"describe endpoint {name}"):
            try:
                answer = self._sagemaker.describe_endpoint(EndpointName=name)
            except ClientError as error:
                if errors.is_absent(error):
                    return None
                raise
        endpoint: dict[str, Any] = plain(answer)
        return endpoint

    def deploy(self, found: Mapping[str, Any] | None, deployment: Mapping[str, Any]) -> None:
        """Start to create the endpoint, or to move it to the config; it comes to rest later.

        `found` is what `find` returned, `deployment` the plan. An endpoint that has been asked for
        this already is left alone. A failed one can only be deleted: that is done, and
        TransientError asks to come again.
        """
        name, config_name = deployment["endpoint_name"], deployment["config_name"]
        if found is None:
            tags = tag_list(deployment["tags"])
            with errors.translated(f"create endpoint {name}"):
                self._sagemaker.create_endpoint(
                    EndpointName=name, EndpointConfigName=config_name, Tags=tags
                )
        elif outcomes.was_asked_for(found, deployment):
            return
        elif found["EndpointStatus"] in {"Failed", "Deleting"}:
            self.remove_endpoint(name)
            raise TransientError(
                f"endpoint {name} had failed in an earlier deployment and is being deleted; "
                "it is created anew when the state machine retries"
            )
        else:
            self._update(found, deployment)

    def find_config(self, name: str) -> dict[str, Any] | None:
        """The endpoint config as DescribeEndpointConfig returns it; None if there is none."""
        with errors.translated(f"describe endpoint config {name}"):
            try:
                answer = self._sagemaker.describe_endpoint_config(EndpointConfigName=name)
            except ClientError as error:
                if errors.is_absent(error):
                    return None
                raise
        config: dict[str, Any] = plain(answer)
        return config

    def made_at(self, config_name: str) -> str | None:
        """When the config was made: for one deployment, just before that began; None if gone."""
        return (self.find_config(config_name) or {}).get("CreationTime")

    def versions(self, config: Mapping[str, Any]) -> list[str]:
        """The ARNs of the registered versions that a config (DescribeEndpointConfig) serves.

        A model that was made otherwise than from a version, or is gone, is none of them.
        """
        found: list[str] = []
        for variant in config["ProductionVariants"]:
            name = variant["ModelName"]
            with errors.translated(f"describe model {name}"):
                try:
                    model = self._sagemaker.describe_model(ModelName=name)
                except ClientError as error:
                    if errors.is_absent(error):
                        continue
                    raise
            containers = model.get("Containers") or [model.get("PrimaryContainer") or {}]
            found += [one["ModelPackageName"] for one in containers if one.get("ModelPackageName")]
        return found

    def _update(self, found: Mapping[str, Any], deployment: Mapping[str, Any]) -> None:
        name, config_name = deployment["endpoint_name"], deployment["config_name"]
        before = self.find_config(str(found.get("EndpointConfigName")))
        request: dict[str, Any] = {
            "EndpointName": name,
            "EndpointConfigName": config_name,
            # Autoscaling has set the instance count since; the config's would throw that away.
            "RetainAllVariantProperties": True,
            "ExcludeRetainedVariantProperties": guardrails.not_retained(deployment, before, found),
        }
        steps = guardrails.deployment_config(deployment)
        if steps is not None and guardrails.has_same_variants(deployment, before):
            request["DeploymentConfig"] = steps
        with errors.translated(f"update endpoint {name} to config {config_name}"):
            self._sagemaker.update_endpoint(**request)

    def tags_of(self, arn: str) -> dict[str, str]:
        """The tags of an endpoint, or of a config."""
        with errors.translated(f"list the tags of {arn}"):
            pages = self._sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
            return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    def tag(self, endpoint_arn: str, tags: Mapping[str, str]) -> None:
        """Set these tags on the endpoint; others stay."""
        with errors.translated(f"tag endpoint {endpoint_arn}"):
            self._sagemaker.add_tags(ResourceArn=endpoint_arn, Tags=tag_list(tags))

    def remove_all(self, deployment: Mapping[str, Any]) -> list[str]:
        """Delete endpoint, config and model of a deployment; the names of what was there."""
        # Pairs: the three may well have the same name.
        removals = [
            (deployment["endpoint_name"], self.remove_endpoint),
            (deployment["config_name"], self.remove_config),
            (deployment["model_name"], self.remove_model),
        ]
        return [name for name, remove in removals if remove(name)]

    def remove_endpoint(self, name: str) -> bool:
        """Delete the endpoint; False if there was none."""
        with errors.translated(f"delete endpoint {name}"):
            return _unless_absent(lambda: self._sagemaker.delete_endpoint(EndpointName=name))

    def remove_config(self, name: str) -> bool:
        """Delete the endpoint config; False if there was none."""
        with errors.translated(f"delete endpoint config {name}"):
            return _unless_absent(
                lambda: self._sagemaker.delete_endpoint_config(EndpointConfigName=name)
            )

    def remove_model(self, name: str) -> bool:
        """Delete the model; False if there was none."""
        with errors.translated(f"delete model {name}"):
            return _unless_absent(lambda: self._sagemaker.delete_model(ModelName=name))


def tag_list(tags: Mapping[str, str]) -> list[Any]:
    """Tags as the API wants them: [{Key, Value}]."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _unless_existing(create: Callable[[], Any]) -> None:
    try:
        create()
    except ClientError as error:
        message = str(error.response.get("Error", {}).get("Message", "")).lower()
        if errors.code_of(error) != "ValidationException" or "already exist" not in message:
            raise


def _unless_absent(remove: Callable[[], Any]) -> bool:
    try:
        remove()
    except ClientError as error:
        if errors.is_absent(error):
            return False
        raise
    return True
