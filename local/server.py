"""The process of the embedded AWS: the emulator, its seams and the SageMaker service.

Started by `local.launcher`, which sets the environment; run as `python -m local.server`.
"""

from __future__ import annotations

import asyncio
import logging
import os

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as ministack
from ministack.core import iam_evaluator, router

from local import sagemaker
from local.sagemaker import scaling
from local.seams import (
    calls,
    concurrency,
    environments,
    event_targets,
    expressions,
    images,
    lambda_errors,
    large_objects,
    metrics,
    object_copies,
    permissions,
    provisioning,
    table_policies,
    workflow_tasks,
)
from local.seams.assertions import require, require_attributes, require_version


def install() -> None:
    """Install every seam; SeamError if the emulator is not the one they were written for."""
    region = os.environ["MINISTACK_REGION"]
    require_version()
    require(ministack.AUTH, "server", "AUTH=true in the environment")
    calls.install()
    environments.install()
    concurrency.install()
    lambda_errors.install()
    permissions.install()
    table_policies.install()
    expressions.install()
    event_targets.install()
    workflow_tasks.install()
    provisioning.install()
    large_objects.install()
    object_copies.install()
    images.install()
    metrics.install(region)
    require("sagemaker" not in ministack.SERVICE_HANDLERS, "server", "no service sagemaker")
    require_attributes(
        "server",
        iam_evaluator,
        *("resolve_caller_identity", "resolve_principal", "validate_policy_document"),
    )
    ministack.SERVICE_HANDLERS["sagemaker"] = sagemaker.install(event_targets.emit)
    router.SERVICE_PATTERNS["sagemaker"] = {
        "target_prefixes": ["SageMaker."],
        "host_patterns": [r"sagemaker\."],
        "credential_scope": "sagemaker",
    }
    require(scaling.SERVICE not in ministack.SERVICE_HANDLERS, "server", "no auto scaling")
    ministack.SERVICE_HANDLERS[scaling.SERVICE] = scaling.handle
    router.SERVICE_PATTERNS[scaling.SERVICE] = {
        "target_prefixes": [scaling.TARGET_PREFIX],
        "host_patterns": [r"application-autoscaling\."],
        "credential_scope": scaling.SERVICE,
    }


def main() -> None:
    """Serve on loopback until killed; state is in memory and goes with the process."""
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"))
    install()
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    asyncio.run(serve(ministack.app, config))


if __name__ == "__main__":
    main()
