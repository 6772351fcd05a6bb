"""What an endpoint's variants did: their requests and errors, and what was captured of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3

from governance.adapters import errors, sessions
from governance.adapters.artifacts import parse_any_uri

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_s3 import S3Client

_METRICS = {"requests": "Invocations", "errors": "Invocation5XXErrors"}
_PERIOD = 60  # seconds
_MOST = 64 * 1024**2  # bytes of captured lines; some 100,000 requests tell as much as more would


class Observations:
    """CloudWatch and S3 in the account of the session."""

    def __init__(self, session: boto3.Session) -> None:
        self._cloudwatch: CloudWatchClient = sessions.client(session, "cloudwatch")
        self._s3: S3Client = sessions.client(session, "s3")

    def counts(self, endpoint: str, variant: str, config: str, since: str) -> dict[str, float]:
        """{requests, errors} of a variant while the endpoint served the config (ISO-8601 since)."""
        start = datetime.fromisoformat(since.replace("Z", "+00:00")).replace(second=0)
        dimensions = {
            "EndpointName": endpoint,
            "VariantName": variant,
            "EndpointConfigName": config,
        }
        queries: list[Any] = [
            {
                "Id": name,
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/SageMaker",
                        "MetricName": metric,
                        "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
                    },
                    "Period": _PERIOD,
                    "Stat": "Sum",
                },
            }
            for name, metric in _METRICS.items()
        ]
        found = dict.fromkeys(_METRICS, 0.0)
        with errors.translated(f"read the metrics of variant {variant} of endpoint {endpoint}"):
            pages = self._cloudwatch.get_paginator("get_metric_data").paginate(
                MetricDataQueries=queries,
                StartTime=start.replace(microsecond=0),
                EndTime=datetime.now(UTC) + timedelta(seconds=_PERIOD),
            )
            for page in pages:
                for result in page["MetricDataResults"]:
                    found[str(result["Id"])] += sum(result["Values"])
        return found

    def captured(self, uri: str, endpoint: str, variant: str) -> list[Mapping[str, Any]]:
        """What was captured of a variant, in the order of the requests."""
        bucket, prefix = parse_any_uri(uri)
        prefix = f"{prefix.rstrip('/')}/{endpoint}/{variant}/"
        lines: list[Mapping[str, Any]] = []
        size = 0
        with errors.translated(f"read what was captured at s3://{bucket}/{prefix}"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for entry in (entry for page in pages for entry in page.get("Contents", [])):
                size += entry["Size"]
                if size > _MOST:
                    break
                body = self._s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                lines += [json.loads(line) for line in body.splitlines() if line]
        return lines
