"""The training template is a project of its own: its package is found by path, as a copy's is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.templates.aws import Aws

PROJECT = Path(__file__).parents[3] / "templates" / "classical-regression" / "build"
sys.path.insert(0, str(PROJECT))


@pytest.fixture(scope="session")
def project() -> Path:
    """Where the template is."""
    return PROJECT


@pytest.fixture
def aws() -> Iterator[Aws]:
    """S3 and SageMaker behind real boto3 clients, without a network."""
    return Aws()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One complete run: {aws, work, result}."""
    from pipeline.register import Provenance
    from pipeline.run import run_pipeline

    aws, work = Aws(), tmp_path_factory.mktemp("run")
    result = run_pipeline(
        aws.session,
        aws.bucket,
        aws.group,
        provenance=Provenance("0" * 40, "https://git.example.org/clinical-risk.git"),
        work=work,
        progress=lambda _: None,
    )
    return {"aws": aws, "work": work, "result": result}
