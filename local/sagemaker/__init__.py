"""The SageMaker service of the embedded AWS: registry, hosting, lineage, tags, runtime.

How the server process mounts it:

    from local import sagemaker

    handler = sagemaker.install(emit)      # async (method, path, headers, body, query)
                                           #   -> (status, headers, bytes)
    SERVICE_HANDLERS["sagemaker"] = handler

- `emit(account, region, source, detail_type, detail, resources)` puts an event on the default bus
  of the account where it happened. It is called on one thread of the service, in order, never on
  the event loop and never while the service's lock is held; what it raises is logged.
- The handler serves the control plane (X-Amz-Target "SageMaker.<Operation>") and the runtime
  (POST /endpoints/{name}/invocations). It reads account, region and client address from the
  emulator's request scope and the caller from the request's access key, and works in worker
  threads, so that the loop never waits for a model.
- `reset()` forgets everything and ends every model server; `shutdown()` ends the model servers
  and removes their directories. Model servers are children in the server's own process group and
  end by themselves when the server is gone.
- `local.sagemaker.iam` is what the gateway needs to decide permissions before the handler runs:
  `resource_arn(operation, request, account, region)`, `condition_keys(operation, request)` and
  `package_group_policy_for_arn(arn) -> (policy | None, owner account) | None`.
- Model artefacts are downloaded through the gateway (GATEWAY_PORT) in a session of the model's
  execution role, made by `local.seams.calls.as_role`.

Environment: GOVERNED_PATH_ENDPOINT_START_SECONDS (30) is what a model may take to answer /ping,
GOVERNED_PATH_TRAFFIC_SEED makes the choice of variants repeatable.

What it accepts is what botocore's service model accepts; what it answers has AWS's codes. The
package imports nothing by itself, because every model server starts by importing it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

# (account, region, source, detail-type, detail, resources)
Emit = Callable[[str, str, str, str, dict[str, Any], list[str]], None]
Handler = Callable[
    [str, str, dict[str, str], bytes, dict[str, Any]],
    Awaitable[tuple[int, dict[str, str], bytes]],
]


def install(emit: Emit) -> Handler:
    """Start the service with `emit` as its way to the event buses; the handler to mount."""
    from local.sagemaker import service

    return service.install(emit)


def reset() -> None:
    """Forget every resource, end every model server."""
    from local.sagemaker import service

    service.reset()


def shutdown() -> None:
    """End every model server and remove what it was unpacked to."""
    from local.sagemaker import service

    service.shutdown()


__all__ = ["Emit", "Handler", "install", "reset", "shutdown"]
