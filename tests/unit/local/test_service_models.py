"""What boto3 reads is read once in a process, whoever makes the client."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: sharing changes botocore for everybody who comes later.
_TWO_SESSIONS = """
import boto3
from botocore.loaders import JSONFileLoader
from local import service_models

read, load = [], JSONFileLoader.load_file
JSONFileLoader.load_file = lambda self, path: read.append(path) or load(self, path)
if {shared}:
    service_models.share()
for name in ("one", "other"):
    session = boto3.Session(name, "secret", region_name="us-east-1")
    session.client("sts", region_name="us-east-1")
found = [path for path in read if path.endswith("endpoints")]
print(len(found))
"""


def _endpoints_read(shared: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _TWO_SESSIONS.format(shared=shared)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_two_sessions_share_what_was_read() -> None:
    assert _endpoints_read(shared=False) == 2 * _endpoints_read(shared=True) > 0
