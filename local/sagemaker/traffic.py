"""How a deployment moves traffic to its new fleet: the steps, and what AWS accepts as a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local.sagemaker.errors import invalid
from local.sagemaker.store import Record

# (least, most) per cent of a variant's capacity, as AWS documents them.
_CANARY, _LINEAR, _ROLLING = (0, 50), (10, 50), (5, 50)
_SIZES = {"CANARY": ("CanarySize", _CANARY), "LINEAR": ("LinearStepSize", _LINEAR)}


@dataclass(frozen=True, slots=True)
class Step:
    """From now on the new fleet has `share` of the traffic; alarms are watched for `bake` s."""

    share: float
    bake: int


def steps(config: Record | None, instances: int) -> list[Step]:
    """The steps of a DeploymentConfig for a new fleet of so many instances; the last moves all."""
    config = config or {}
    if "RollingUpdatePolicy" in config:
        policy = config["RollingUpdatePolicy"]
        wait = policy["WaitIntervalInSeconds"]
        return _in_batches(_share(policy["MaximumBatchSize"], instances), wait, wait)
    policy = config.get("BlueGreenUpdatePolicy") or {}
    routing = policy.get("TrafficRoutingConfiguration") or {"Type": "ALL_AT_ONCE"}
    wait, last = routing.get("WaitIntervalInSeconds", 0), policy.get("TerminationWaitInSeconds", 0)
    if routing["Type"] == "CANARY":
        return [Step(_share(routing["CanarySize"], instances), wait), Step(1.0, last)]
    if routing["Type"] == "LINEAR":
        return _in_batches(_share(routing["LinearStepSize"], instances), wait, last)
    return [Step(1.0, last)]


def alarm_names(config: Record | None) -> list[str]:
    """The alarms that roll a deployment back."""
    rollback = (config or {}).get("AutoRollbackConfiguration") or {}
    return [alarm["AlarmName"] for alarm in rollback.get("Alarms", []) if alarm.get("AlarmName")]


def check(config: Record | None, variants: list[Record]) -> None:
    """ValidationException for a DeploymentConfig that SageMaker could not carry out.

    `variants` are the new fleet's, as DescribeEndpoint will show them.
    """
    if not config:
        return
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise invalid("Provide either BlueGreenUpdatePolicy or RollingUpdatePolicy, not both")
    if rolling:
        _check_rolling(rolling, variants)
    if blue_green:
        _check_blue_green(blue_green, variants)


def check_names(old: list[Record], new: list[Record]) -> None:
    """ValidationException unless both configs have variants of the same names.

    AWS documents that a deployment with a policy needs that.
    """
    before, after = (sorted(variant["VariantName"] for variant in side) for side in (old, new))
    if before != after:
        raise invalid(
            "A deployment with a DeploymentConfig needs the same variant names in the old and the "
            f"new endpoint configuration; old: {', '.join(before)}; new: {', '.join(after)}"
        )


def _in_batches(share: float, wait: int, last: int) -> list[Step]:
    found, reached = [], share
    while reached < 1.0 - 1e-9:
        found.append(Step(reached, wait))
        reached += share
    return [*found, Step(1.0, last)]


def _share(size: Record, instances: int) -> float:
    whole = max(1, instances) if size["Type"] == "INSTANCE_COUNT" else 100
    return min(1.0, float(size["Value"]) / whole)


def _check_blue_green(policy: Record, variants: list[Record]) -> None:
    routing = policy["TrafficRoutingConfiguration"]
    kind = routing["Type"]
    for wanted, (member, bounds) in _SIZES.items():
        if (kind == wanted) != (member in routing):
            raise invalid(f"{member} is required for {wanted} traffic routing and only for it")
        if member in routing:
            _check_size(member, routing[member], bounds, variants)
    moves = len(steps({"BlueGreenUpdatePolicy": policy}, _instances(variants))) - 1
    waits = moves * routing["WaitIntervalInSeconds"] + policy.get("TerminationWaitInSeconds", 0)
    _check_timeout(policy, waits)


def _check_rolling(policy: Record, variants: list[Record]) -> None:
    # What AWS lists as excluded from rolling deployments.
    if len(variants) > 1 or any("DesiredServerlessConfig" in variant for variant in variants):
        raise invalid("RollingUpdatePolicy needs one variant, and one that is not serverless")
    _check_size("MaximumBatchSize", policy["MaximumBatchSize"], _ROLLING, variants)
    moves = len(steps({"RollingUpdatePolicy": policy}, _instances(variants)))
    _check_timeout(policy, moves * policy["WaitIntervalInSeconds"])


def _check_size(member: str, size: Record, bounds: tuple[int, int], variants: list[Record]) -> None:
    least, most = bounds
    for variant in variants:
        instances = variant.get("DesiredInstanceCount", 1)
        percent = size["Value"]
        if size["Type"] == "INSTANCE_COUNT":
            percent = 100 * size["Value"] / max(1, instances)
        if not least <= percent <= most:
            expected = f"{least}-{most}%" if least else f"less than or equal to {most}%"
            raise invalid(
                f"{member} must be {expected} of the variant's total instance count; "
                f"{size['Value']} ({size['Type']}) of the {instances} of variant "
                f"{variant['VariantName']} is {percent:g}%"
            )


def _check_timeout(policy: Record, waits: int) -> None:
    timeout = policy.get("MaximumExecutionTimeoutInSeconds")
    if timeout is not None and timeout <= waits:
        raise invalid(
            f"MaximumExecutionTimeoutInSeconds ({timeout}) must be larger than the total waiting "
            f"time of the deployment ({waits} s)"
        )


def _instances(variants: list[Record]) -> int:
    counts: list[Any] = [variant.get("DesiredInstanceCount", 1) for variant in variants]
    return int(max(1, min(counts, default=1)))
