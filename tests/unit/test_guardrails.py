"""Guardrails: what a deployment definition says becomes what SageMaker and CloudWatch take."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import deployments, guardrails
from tests.contracts import samples

NAME = "clinical-risk"


def _deployment(stage: str = "Prod", **release: Any) -> dict[str, Any]:
    definition = samples.definition()
    definition["release"] |= release
    return deployments.plan(
        samples.promotion(stage),
        samples.candidate(),
        samples.project(),
        samples.description(),
        "governed-path-endpoint-execution",
        samples.definition_reference(),
        definition,
    )


CANARY = {"type": "canary", "percent": 10, "wait_seconds": 300}


@pytest.mark.parametrize(
    ("strategy", "routing", "longest"),
    [
        (
            CANARY,
            {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 300,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
            },
            300 + 600 + 1800,
        ),
        (
            {"type": "linear", "step_percent": 25, "wait_seconds": 60},
            {
                "Type": "LINEAR",
                "WaitIntervalInSeconds": 60,
                "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
            },
            3 * 60 + 600 + 1800,
        ),
        (
            {"type": "all-at-once"},
            {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            600 + 1800,
        ),
    ],
)
def test_a_strategy_is_sagemakers_traffic_routing(
    strategy: dict[str, Any], routing: dict[str, Any], longest: int
) -> None:
    found = guardrails.deployment_config(_deployment(strategy=strategy))
    assert found == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": 600,
            "MaximumExecutionTimeoutInSeconds": longest,
        },
        "AutoRollbackConfiguration": {
            "Alarms": [
                {"AlarmName": f"governed-path-{NAME}-server-errors"},
                {"AlarmName": f"governed-path-{NAME}-slow"},
                {"AlarmName": f"governed-path-{NAME}-stop"},
            ]
        },
    }


def test_a_bake_longer_than_an_hour_is_waited_for_by_ourselves() -> None:
    deployment = _deployment(bake_seconds=10_000)
    policy = (guardrails.deployment_config(deployment) or {})["BlueGreenUpdatePolicy"]
    assert policy["TerminationWaitInSeconds"] == 3600
    assert (
        guardrails.bake_left(
            deployment, {"LastDeploymentConfig": {"BlueGreenUpdatePolicy": policy}}
        )
        == 6400
    )
    # A first release has no old instances: SageMaker has waited for nothing.
    assert guardrails.bake_left(deployment, {"EndpointStatus": "InService"}) == 10_000
    assert guardrails.bake_left(_deployment("Test"), {}) == 0


def test_sagemaker_never_waits_longer_than_it_can() -> None:
    slow = {"type": "linear", "step_percent": 34, "wait_seconds": 3600}
    config = guardrails.deployment_config(_deployment(strategy=slow, bake_seconds=86_400))
    assert config is not None
    longest = config["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"]
    assert 2 * 3600 + 3600 < longest <= 28_800


def test_while_traffic_moves_the_alarms_look_at_the_new_instances_alone() -> None:
    deployment = _deployment()
    new, *_ = guardrails.alarms(deployment, of_config_alone=True)
    whole, *_ = guardrails.alarms(deployment, of_config_alone=False)
    assert new["Dimensions"] == [
        {"Name": "EndpointName", "Value": NAME},
        {"Name": "VariantName", "Value": "AllTraffic"},
        {"Name": "EndpointConfigName", "Value": deployment["config_name"]},
    ]
    assert whole == {**new, "Dimensions": new["Dimensions"][:2]}


def test_an_alarm_is_what_the_definition_says() -> None:
    errors, slow, _ = guardrails.alarms(_deployment(), of_config_alone=False)
    assert {key: errors[key] for key in ("AlarmName", "Namespace", "MetricName", "Statistic")} == {
        "AlarmName": f"governed-path-{NAME}-server-errors",
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation5XXErrors",
        "Statistic": "Sum",
    }
    assert (errors["Threshold"], errors["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert (errors["Period"], errors["EvaluationPeriods"]) == (60, 1)
    assert errors["TreatMissingData"] == "notBreaching"
    assert errors["AlarmActions"] == [
        f"arn:aws:sns:{samples.REGION}:{samples.PROD}:governed-path-alarms"
    ]
    assert slow["ExtendedStatistic"] == "p95"
    assert "Statistic" not in slow


def test_the_alarm_that_stops_a_release_keeps_the_state_that_somebody_gave_it() -> None:
    *_, stop = guardrails.alarms(_deployment(), of_config_alone=True)
    assert stop["AlarmName"] == f"governed-path-{NAME}-stop"
    assert stop["TreatMissingData"] == "ignore"
    assert stop["Namespace"] != "AWS/SageMaker"


@pytest.mark.parametrize(("bake", "beyond"), [(600, False), (60, False), (59, True), (0, True)])
def test_an_alarm_may_look_back_further_than_a_release_has_baked(bake: int, beyond: bool) -> None:
    minute = {**samples.definition()["release"]["alarms"][0], "period_seconds": 60}
    deployment = _deployment(alarms=[{**minute, "evaluation_periods": 1}], bake_seconds=bake)
    assert guardrails.look_back_beyond_bake(deployment) is beyond
    assert not guardrails.look_back_beyond_bake(_deployment(alarms=[], bake_seconds=0))


def test_what_serves_has_the_alarms_and_the_scaling_of_its_own_definition() -> None:
    planned = _deployment(alarms=[])
    own = samples.definition()
    reference = {"digest": "e" * 64, "uri": "s3://evidence/deployments/m/e.json"}
    serving = guardrails.as_it_serves(planned, "config-old", reference, own)
    assert guardrails.alarm_names(serving) == guardrails.alarm_names(_deployment())
    assert serving["autoscaling"] == own["endpoint"]["autoscaling"]
    assert (serving["config_name"], serving["definition"]) == ("config-old", reference)
    assert planned["release"]["alarms"] == [], "the plan stays what it was"
    own["endpoint"].pop("autoscaling")
    unscaled = guardrails.as_it_serves(planned, "config-old", reference, own)
    assert unscaled["autoscaling"] is None


def test_a_test_deployment_has_no_guardrails_and_keeps_nothing() -> None:
    deployment = _deployment("Test")
    assert guardrails.alarms(deployment, of_config_alone=True) == []
    assert guardrails.deployment_config(deployment) is None
    assert guardrails.data_capture(deployment) is None


def _counts(initial: int | None, current: int) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The config that serves, and the endpoint."""
    before = {"ProductionVariants": [{"InitialInstanceCount": initial}]}
    served = {"VariantName": "AllTraffic", "CurrentInstanceCount": current}
    return before if initial is not None else None, {"ProductionVariants": [served]}


@pytest.mark.parametrize(
    ("initial", "current", "changes"),
    [(None, 2, False), (2, 2, False), (2, 7, False), (3, 3, True)],
)
def test_a_fixed_count_stays_unless_the_definition_changes_it(
    initial: int | None, current: int, changes: bool
) -> None:
    fixed = {**_deployment(), "autoscaling": None}
    found = guardrails.not_retained(fixed, *_counts(initial, current))
    excluded = ["DataCaptureConfig", *["DesiredInstanceCount"][: int(changes)]]
    assert found == [{"VariantPropertyType": name} for name in excluded]


@pytest.mark.parametrize(
    ("initial", "current", "changes"),
    [(None, 2, False), (3, 8, False), (3, 2, False), (2, 12, False), (2, 1, True)],
)
def test_what_autoscaling_has_made_of_the_count_stays_within_the_bounds(
    initial: int | None, current: int, changes: bool
) -> None:
    """Also on the way back to a definition that began with another count: 2 to 8 instances here."""
    found = guardrails.not_retained(_deployment(), *_counts(initial, current))
    assert ({"VariantPropertyType": "DesiredInstanceCount"} in found) is changes


def test_instances_are_scaled_as_the_definition_says() -> None:
    target, policy = guardrails.scaling(_deployment())
    assert target == {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{NAME}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "MinCapacity": 2,
        "MaxCapacity": 8,
    }
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 200


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        (None, False),
        ({"ProductionVariants": [{"InstanceType": "ml.m5.large"}]}, False),
        ({"ProductionVariants": [{"InstanceType": "ml.c5.large"}]}, True),
    ],
)
def test_another_instance_type_is_noticed(before: dict[str, Any] | None, changes: bool) -> None:
    assert guardrails.changes_instances(_deployment(), before) is changes


def test_what_is_captured_stays_in_prods_account() -> None:
    found = guardrails.data_capture(_deployment())
    assert found is not None
    place = f"s3://governed-path-capture-{samples.PROD}-{samples.REGION}/{NAME}"
    assert (found["DestinationS3Uri"], found["InitialSamplingPercentage"]) == (place, 100)


def test_what_was_taken_back_names_its_alarms_in_one_line() -> None:
    raised = [
        {"name": "governed-path-x-server-errors", "reason": "Threshold\nCrossed"},
        {"name": "governed-path-x-stop", "reason": "y" * 2000},
    ]
    said = guardrails.taken_back(raised, "old-config")
    assert said.startswith(
        "SageMaker took the release back to old-config: alarms governed-path-x-server-errors "
        "(Threshold Crossed); governed-path-x-stop (yyy"
    )
    assert len(said) <= 1024
    assert "no alarm of it was raised" in guardrails.taken_back([], "old-config")


def test_what_was_taken_back_after_the_bake_is_not_said_to_be_sagemakers_doing() -> None:
    raised = [{"name": "governed-path-x-slow", "reason": "y" * 2000}]
    said = guardrails.taken_back(raised, "by-hand", after_bake=True)
    assert said.startswith("the endpoint was taken back to by-hand after the release had come into")
    assert "governed-path-x-slow (yyy" in said
    assert said.endswith("CloudTrail says who called UpdateEndpoint")
    assert len(said) <= 1024
    quiet = guardrails.taken_back([], "by-hand", after_bake=True)
    assert "no alarm of it was raised" in quiet
    assert "SageMaker" not in quiet + said


@pytest.mark.parametrize(
    ("names", "same"), [(["AllTraffic"], True), (["AllTraffic", "Challenger"], False), ([], False)]
)
def test_a_trial_that_was_stopped_is_left_without_steps(names: list[str], same: bool) -> None:
    before = {"ProductionVariants": [{"VariantName": name} for name in names]}
    assert guardrails.has_same_variants({"variant_name": "AllTraffic"}, before) is same
    assert guardrails.has_same_variants({"variant_name": "AllTraffic"}, None)


def test_the_challenger_of_a_trial_says_nothing_about_the_champions_capacity() -> None:
    champion = {"variant_name": "AllTraffic", "instance_count": 2}
    served = {"VariantName": "AllTraffic", "InitialInstanceCount": 2}
    trial = {"VariantName": "Challenger", "InitialInstanceCount": 3}
    kept = guardrails.not_retained(champion, {"ProductionVariants": [served, trial]}, {})
    assert kept == [{"VariantPropertyType": "DataCaptureConfig"}]
    other = guardrails.not_retained(
        champion, {"ProductionVariants": [trial | served | {"InitialInstanceCount": 4}]}, {}
    )
    assert {"VariantPropertyType": "DesiredInstanceCount"} in other
