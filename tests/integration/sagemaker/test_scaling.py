"""Application Auto Scaling of variants: checked, kept, shown, and in the way of some updates."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.support import CENTRAL, PROD, Client, Server

VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/risk/variant/v",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
TRACKING = {
    "TargetValue": 200.0,
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    },
}


@pytest.fixture
def scaling(prod: Server, client: Client) -> Any:
    """The client in Prod, where endpoint risk serves one variant v."""
    prod.model("a")
    for name, kind in (("small", "ml.m5.large"), ("large", "ml.m5.xlarge")):
        prod.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "v",
                    "ModelName": "a",
                    "InitialInstanceCount": 1,
                    "InstanceType": kind,
                }
            ],
        )
    prod.endpoint("risk", "small")
    return client(PROD, "application-autoscaling")


def test_a_target_is_registered_changed_and_shown(scaling: Any, client: Client) -> None:
    arn = scaling.register_scalable_target(**VARIANT, MinCapacity=1, MaxCapacity=4)
    scaling.register_scalable_target(**VARIANT, MaxCapacity=6)
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 6)
    assert target["ScalableTargetARN"] == arn["ScalableTargetARN"]
    assert target["SuspendedState"]["DynamicScalingInSuspended"] is False
    assert target["RoleARN"].endswith("_SageMakerEndpoint")
    other = {"ServiceNamespace": "sagemaker", "ResourceIds": ["endpoint/other/variant/v"]}
    assert scaling.describe_scalable_targets(**other)["ScalableTargets"] == []
    elsewhere = client(CENTRAL, "application-autoscaling")
    answer = elsewhere.describe_scalable_targets(ServiceNamespace="sagemaker")
    assert answer["ScalableTargets"] == []
    suspended = {"DynamicScalingInSuspended": True}
    scaling.register_scalable_target(**VARIANT, SuspendedState=suspended)
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert target["SuspendedState"]["DynamicScalingInSuspended"] is True
    assert target["SuspendedState"]["DynamicScalingOutSuspended"] is False
    assert target["MaxCapacity"] == 6


def test_a_policy_belongs_to_a_target(scaling: Any) -> None:
    policy = {
        **VARIANT,
        "PolicyName": "invocations",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": TRACKING,
    }
    with pytest.raises(ClientError, match=r"ObjectNotFoundException.*No scalable target"):
        scaling.put_scaling_policy(**policy)
    scaling.register_scalable_target(**VARIANT, MinCapacity=1, MaxCapacity=4)
    arn = scaling.put_scaling_policy(**policy)["PolicyARN"]
    assert arn.endswith("resource/sagemaker/endpoint/risk/variant/v:policyName/invocations")
    (found,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert found["TargetTrackingScalingPolicyConfiguration"] == TRACKING
    scaling.delete_scaling_policy(**VARIANT, PolicyName="invocations")
    with pytest.raises(ClientError, match="No scaling policy found named invocations"):
        scaling.delete_scaling_policy(**VARIANT, PolicyName="invocations")
    scaling.put_scaling_policy(**policy)
    scaling.deregister_scalable_target(**VARIANT)
    answer = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")
    assert answer["ScalingPolicies"] == []
    with pytest.raises(ClientError, match="ObjectNotFoundException"):
        scaling.deregister_scalable_target(**VARIANT)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"MaxCapacity": None}, "Both MinCapacity and MaxCapacity"),
        ({"MinCapacity": 5}, "Maximum capacity cannot be less"),
        ({"ResourceId": "endpoint/none/variant/v"}, "Could not find endpoint"),
        ({"ResourceId": "endpoint/risk/variant/w"}, 'Could not find variant "w"'),
        ({"ResourceId": "service/x"}, "Unsupported service namespace"),
        ({"ScalableDimension": "ecs:service:DesiredCount"}, "keeps scalable targets of sagemaker"),
        ({"ServiceNamespace": "none"}, "enum value set"),
    ],
)
def test_targets_are_checked(scaling: Any, change: dict[str, Any], reason: str) -> None:
    request = {**VARIANT, "MinCapacity": 1, "MaxCapacity": 4, **change}
    given = {name: value for name, value in request.items() if value is not None}
    with pytest.raises(ClientError, match=f"ValidationException.*{reason}"):
        scaling.register_scalable_target(**given)


def test_a_policy_has_the_configuration_of_its_type(scaling: Any) -> None:
    scaling.register_scalable_target(**VARIANT, MinCapacity=1, MaxCapacity=4)
    with pytest.raises(ClientError, match="StepScaling has a StepScalingPolicyConfiguration"):
        scaling.put_scaling_policy(
            **VARIANT, PolicyName="p", TargetTrackingScalingPolicyConfiguration=TRACKING
        )


def test_other_operations_are_unknown(scaling: Any) -> None:
    with pytest.raises(ClientError, match=r"UnknownOperation.*DescribeScalingActivities"):
        scaling.describe_scaling_activities(ServiceNamespace="sagemaker")


def test_a_scaled_variant_keeps_its_place_and_its_instances(prod: Server, scaling: Any) -> None:
    scaling.register_scalable_target(**VARIANT, MinCapacity=1, MaxCapacity=4)
    prod.model("other")
    prod.config("others", other=1.0)
    for config in ("large", "others"):
        with pytest.raises(ClientError, match=r'"\[v\]" must be deregistered as scalable targets'):
            prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName=config)
    prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName="small")
    prod.settled("risk")
    scaling.deregister_scalable_target(**VARIANT)
    prod.sagemaker.update_endpoint(EndpointName="risk", EndpointConfigName="large")
    assert prod.settled("risk")["EndpointConfigName"] == "large"
