"""The embedded AWS with a Dev account that has what a project is given: bucket, key, group.

The training template is a project of its own: its package is found by path, as a copy's is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local import launcher, organisation

GROUP = "clinical-risk-classifier"
DEV = organisation.ACCOUNTS["dev"]
sys.path.insert(0, str(Path(__file__).parents[3] / "templates" / "classical-regression" / "build"))


@dataclass(frozen=True)
class Dev:
    """A project's Dev account: its endpoint, bucket, key and model package group."""

    endpoint_url: str
    bucket: str
    kms_key: str
    group: str

    def client(self, service: str) -> Any:
        """A client of the account's root."""
        return organisation.root_session(DEV).client(service, endpoint_url=self.endpoint_url)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that point a program of its own at the account."""
        return organisation.environment(organisation.root_session(DEV), self.endpoint_url)


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """The embedded AWS, stopped and removed afterwards."""
    directory: Path = tmp_path_factory.mktemp("aws") / "state"
    server = launcher.up(directory)
    try:
        account = Dev(server.endpoint_url, f"project-{DEV}-{organisation.REGION}", "", GROUP)
        key = account.client("kms").create_key()["KeyMetadata"]["Arn"]
        s3 = account.client("s3")
        s3.create_bucket(Bucket=account.bucket)
        s3.put_bucket_versioning(
            Bucket=account.bucket, VersioningConfiguration={"Status": "Enabled"}
        )
        account.client("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
        yield Dev(account.endpoint_url, account.bucket, key, GROUP)
    finally:
        launcher.down(directory)
