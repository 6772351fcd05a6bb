"""What the image built here runs: the embedded engine, serving the Step Functions API alone.

It is not AWS's Step Functions Local. It listens to the same variable, SFN_MOCK_CONFIG, and to
BIND_HOST and PORT, because a container on the host's network must not take a port that is in use.
"""

from __future__ import annotations

import asyncio
import os

PORT = os.environ.get("PORT", "8083")
SETTINGS = {
    "SERVICES": "stepfunctions",
    # Like Step Functions Local, it takes any credentials and any role.
    "AUTH": "false",
    "GATEWAY_PORT": PORT,
    "MINISTACK_REGION": os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
    "MINISTACK_ACCOUNT_ID": os.environ.get("AWS_ACCOUNT_ID", "123456789012"),
    # It must not look for a Docker engine from within a container.
    "DOCKER_HOST": "unix:///nonexistent.sock",
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
}


def main() -> None:
    """Serve until the container is stopped."""
    os.environ |= SETTINGS
    # The emulator reads its environment when it is imported.
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app as ministack

    from local.seams import workflow_tasks
    from local.seams.assertions import require_version

    require_version()
    # This seam reads the mock configuration, attempt by attempt.
    workflow_tasks.install()
    config = Config()
    config.bind = [f"{os.environ.get('BIND_HOST', '0.0.0.0')}:{PORT}"]
    config.loglevel = "WARNING"
    asyncio.run(serve(ministack.app, config))


if __name__ == "__main__":
    main()
