"""Guardrails: how traffic comes to a release, what takes it back, and what that looks like.

All of it is the deployment definition's; here it becomes what SageMaker and CloudWatch take.
`deployment` is a plan of domain/deployments.py, whose `release` a Test deployment does not have: a
Test endpoint is always a new one, and nobody's traffic is on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from governance.domain.definitions import STOP, shift_seconds
from governance.domain.gates import one_line
from governance.domain.trials import CHALLENGER, is_trial

Deployment = Mapping[str, Any]

METRICS = "AWS/SageMaker"
# Nobody publishes it: the alarm on it has the state that somebody gives it.
_STOP_NAMESPACE, _STOP_METRIC = "GovernedPath", "StopRequested"
_LONGEST_TERMINATION = 3600  # seconds; SageMaker keeps the old instances no longer
# Seconds of a whole deployment; SageMaker gives none more.
_SHORTEST, LONGEST, _TO_START = 600, 28_800, 1800
_LONGEST_REASON = 300  # characters of what CloudWatch says of one alarm


def alarm_name(endpoint_name: str, name: str) -> str:
    """What CloudWatch calls the alarm of a deployment definition."""
    return f"governed-path-{endpoint_name}-{name}"


def alarm_names(deployment: Deployment) -> list[str]:
    """Every alarm that takes the release back, the one that people raise among them."""
    release = deployment.get("release") or {"alarms": []}
    names = [alarm["name"] for alarm in release["alarms"]]
    return [alarm_name(deployment["endpoint_name"], name) for name in [*names, STOP]]


def alarms(deployment: Deployment, of_config_alone: bool) -> list[dict[str, Any]]:
    """PutMetricAlarm's requests for the alarms of a release.

    While traffic moves they look at the instances of the new config alone (`of_config_alone`):
    errors of what is to be replaced must not keep its repair out. Afterwards they look at the
    endpoint, unless somebody else's requests would still count: then at what serves alone.
    """
    release = deployment.get("release")
    if release is None:
        return []
    dimensions = {
        "EndpointName": deployment["endpoint_name"],
        "VariantName": deployment["variant_name"],
    }
    if of_config_alone:
        dimensions["EndpointConfigName"] = deployment["config_name"]
    return [_alarm(deployment, alarm, dimensions) for alarm in release["alarms"]] + [
        _stop(deployment)
    ]


def challenger_alarms(deployment: Deployment, trial: Deployment) -> list[dict[str, Any]]:
    """PutMetricAlarm's requests for a challenger that answers clients in an A/B trial.

    They are the definition's, each beside the one of what serves, and look at the challenger in
    the config of its trial alone: so nothing but the trial is ended by them.
    """
    release = deployment["release"]
    if release["strategy"]["type"] != "a-b":
        return []
    dimensions = {
        "EndpointName": deployment["endpoint_name"],
        "VariantName": CHALLENGER,
        "EndpointConfigName": trial["config_name"],
    }
    return [
        {
            **_alarm(deployment, {**alarm, "name": f"challenger.{alarm['name']}"}, dimensions),
            "AlarmDescription": f"Deployment definition {deployment['definition']['digest']} of "
            f"{deployment['endpoint_name']}. It ends the trial of the challenger.",
        }
        for alarm in release["alarms"]
    ]


def as_it_serves(
    deployment: Deployment,
    config_name: str,
    reference: Mapping[str, str],
    definition: Mapping[str, Any],
) -> dict[str, Any]:
    """The plan of what serves instead of what was planned: with its own alarms and autoscaling.

    `definition` is what the config that serves was deployed by, `reference` stands for it.
    """
    return {
        **deployment,
        "config_name": config_name,
        "definition": dict(reference),
        "release": definition["release"],
        "autoscaling": definition["endpoint"].get("autoscaling"),
    }


def deployment_config(deployment: Deployment) -> dict[str, Any] | None:
    """UpdateEndpoint's DeploymentConfig, None for a deployment without a release.

    SageMaker keeps the old instances through the bake, or its first hour, so that an alarm takes
    traffic back to them at once.
    """
    release = deployment.get("release")
    if release is None:
        return None
    strategy = release["strategy"]
    wait = termination_wait(release)
    total = shift_seconds(strategy) + wait
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": _routing(strategy),
            "TerminationWaitInSeconds": wait,
            "MaximumExecutionTimeoutInSeconds": min(LONGEST, max(_SHORTEST, total + _TO_START)),
        },
        "AutoRollbackConfiguration": {
            "Alarms": [{"AlarmName": name} for name in alarm_names(deployment)]
        },
    }


def look_back_beyond_bake(deployment: Deployment) -> bool:
    """True if an alarm looks back to when the instances of before still had requests.

    SageMaker has baked for `termination_wait` when the endpoint is in service.
    """
    release = deployment["release"]
    seconds = [one["period_seconds"] * one["evaluation_periods"] for one in release["alarms"]]
    return max(seconds, default=0) > termination_wait(release)


def termination_wait(release: Mapping[str, Any]) -> int:
    """Seconds of the bake in which SageMaker keeps the old instances."""
    return min(int(release["bake_seconds"]), _LONGEST_TERMINATION)


def bake_left(deployment: Deployment, endpoint: Mapping[str, Any]) -> int:
    """Seconds of the bake that SageMaker has not waited itself (DescribeEndpoint)."""
    release = deployment.get("release")
    if release is None:
        return 0
    last = (endpoint.get("LastDeploymentConfig") or {}).get("BlueGreenUpdatePolicy") or {}
    return max(0, int(release["bake_seconds"]) - int(last.get("TerminationWaitInSeconds", 0)))


def not_retained(
    deployment: Deployment, before: Mapping[str, Any] | None, found: Mapping[str, Any]
) -> list[dict[str, str]]:
    """ExcludeRetainedVariantProperties: what the definition changes on purpose.

    `before` is the config that the endpoint serves (DescribeEndpointConfig), None if it is gone;
    `found` the endpoint (DescribeEndpoint). Where instances scale by load the count stays, unless
    fewer serve than the definition wants at least: what is under load now would not stand fewer,
    and Application Auto Scaling takes away what is above the bounds. Otherwise it stays unless the
    definition names another than the last one did.
    """
    excluded = ["DataCaptureConfig"]
    if bounds := deployment.get("autoscaling"):
        changes = any(
            count < bounds["min"]
            for count in _of_variant(deployment, found, "CurrentInstanceCount")
        )
    else:
        counts = _of_variant(deployment, before or {}, "InitialInstanceCount")
        changes = bool(counts) and counts != {deployment["instance_count"]}
    if changes:
        excluded.append("DesiredInstanceCount")
    return [{"VariantPropertyType": name} for name in excluded]


def _of_variant(deployment: Deployment, of: Mapping[str, Any], field: str) -> set[int]:
    """The field of the deployment's variant; a trial's challenger beside it is another."""
    variant = deployment["variant_name"]
    return {
        int(one[field])
        for one in of.get("ProductionVariants", [])
        if one.get("VariantName", variant) == variant and field in one
    }


def scalable(deployment: Deployment) -> dict[str, Any]:
    """What Application Auto Scaling calls the instances of the variant."""
    name, variant = deployment["endpoint_name"], deployment["variant_name"]
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{variant}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def scaling(deployment: Deployment) -> tuple[dict[str, Any], dict[str, Any]]:
    """(RegisterScalableTarget's request, PutScalingPolicy's) of a definition with autoscaling."""
    bounds = deployment["autoscaling"]
    tracked = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    return (
        {
            **scalable(deployment),
            "MinCapacity": bounds["min"],
            "MaxCapacity": bounds["max"],
        },
        {
            **scalable(deployment),
            "PolicyName": f"governed-path-{deployment['endpoint_name']}",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": float(bounds["invocations_per_instance"]),
                "PredefinedMetricSpecification": tracked,
            },
        },
    )


def changes_instances(deployment: Deployment, before: Mapping[str, Any] | None) -> bool:
    """True if the instances get another type; SageMaker wants that they are not scaled meanwhile.

    `before` is the config that the endpoint serves (DescribeEndpointConfig), None if it is gone.
    """
    types = {
        variant.get("InstanceType") for variant in (before or {}).get("ProductionVariants", [])
    }
    return bool(types) and types != {deployment["instance_type"]}


def has_same_variants(deployment: Deployment, before: Mapping[str, Any] | None) -> bool:
    """False if what serves has other variants, as in a trial that was stopped.

    SageMaker takes a deployment with steps and alarms between variants of the same names alone;
    without one it moves all traffic at once.
    """
    names = [variant["VariantName"] for variant in (before or {}).get("ProductionVariants", [])]
    return before is None or names == [deployment["variant_name"]]


def data_capture(deployment: Deployment) -> dict[str, Any] | None:
    """CreateEndpointConfig's DataCaptureConfig, None if nothing is to be kept."""
    capture = deployment.get("data_capture")
    if capture is None:
        return None
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": capture["percent"],
        "DestinationS3Uri": capture["uri"],
        "KmsKeyId": capture["kms_key"],
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "JsonContentTypes": ["application/json"],
            "CsvContentTypes": ["text/csv"],
        },
    }


def taken_back(
    raised: Sequence[Mapping[str, str]], served: str | None, after_bake: bool = False
) -> str:
    """Why the endpoint does not serve the release, as one line for StageDescription.

    `raised` [{name, reason}] are the alarms that were raised meanwhile, `served` the config that
    serves now. SageMaker goes back by itself until a release is in service; `after_bake`, when it
    had been, somebody else may have done it as well.
    """
    said = "; ".join(f"{one['name']} ({one['reason'][:_LONGEST_REASON]})" for one in raised)
    alarms_ = f"{plural(raised)} {said}" if raised else "no alarm of it was raised"
    if after_bake:
        return one_line(
            f"the endpoint was taken back to {served} after the release had come into service: "
            f"{alarms_}; CloudTrail says who called UpdateEndpoint"
        )
    if not raised:
        return one_line(
            f"SageMaker took the release back to {served} and {alarms_}: the new instances did not "
            "come up, or somebody changed the endpoint"
        )
    return one_line(f"SageMaker took the release back to {served}: {alarms_}")


def plural(raised: Iterable[Any]) -> str:
    """ "alarm" or "alarms"."""
    return "alarm" if len(list(raised)) == 1 else "alarms"


def _routing(strategy: Mapping[str, Any]) -> dict[str, Any]:
    # After a trial, all of it is moved at once: the challenger has had real requests already.
    if strategy["type"] == "all-at-once" or is_trial(strategy):
        return {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    kind, size, share = {
        "canary": ("CANARY", "CanarySize", "percent"),
        "linear": ("LINEAR", "LinearStepSize", "step_percent"),
    }[strategy["type"]]
    return {
        "Type": kind,
        "WaitIntervalInSeconds": strategy["wait_seconds"],
        size: {"Type": "CAPACITY_PERCENT", "Value": strategy[share]},
    }


def _alarm(
    deployment: Deployment, alarm: Mapping[str, Any], dimensions: Mapping[str, str]
) -> dict[str, Any]:
    statistic = "ExtendedStatistic" if alarm["statistic"].startswith("p") else "Statistic"
    return {
        "AlarmName": alarm_name(deployment["endpoint_name"], alarm["name"]),
        "AlarmDescription": f"Deployment definition {deployment['definition']['digest']} of "
        f"{deployment['endpoint_name']}. It takes back what serves, once for a release.",
        "Namespace": METRICS,
        "MetricName": alarm["metric"],
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        statistic: alarm["statistic"],
        "Period": alarm["period_seconds"],
        "EvaluationPeriods": alarm["evaluation_periods"],
        "ComparisonOperator": alarm["comparison"],
        "Threshold": alarm["threshold"],
        # Nobody called: that is not a fault of the release.
        "TreatMissingData": "notBreaching",
        "AlarmActions": [_topic(deployment)],
    }


def _stop(deployment: Deployment) -> dict[str, Any]:
    name = deployment["endpoint_name"]
    return {
        "AlarmName": alarm_name(name, STOP),
        "AlarmDescription": f"Raised by hand, it stops a release to {name} that is going on.",
        "Namespace": _STOP_NAMESPACE,
        "MetricName": _STOP_METRIC,
        "Dimensions": [{"Name": "EndpointName", "Value": name}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 0,
        "TreatMissingData": "ignore",
        "ActionsEnabled": False,
    }


def _topic(deployment: Deployment) -> str:
    partition = deployment["endpoint_arn"].split(":")[1]
    place = f"{deployment['region']}:{deployment['account']}"
    return f"arn:{partition}:sns:{place}:governed-path-alarms"
