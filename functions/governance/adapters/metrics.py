"""Our own metrics; alarms look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.adapters import errors, sessions

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

NAMESPACE = "GovernedPath"


def count(name: str, value: int) -> None:
    """Add to a metric that counts."""
    cloudwatch: CloudWatchClient = sessions.own_client("cloudwatch")
    with errors.translated(f"count {value} for metric {NAMESPACE}/{name}"):
        cloudwatch.put_metric_data(
            Namespace=NAMESPACE,
            MetricData=[{"MetricName": name, "Value": value, "Unit": "Count"}],
        )
