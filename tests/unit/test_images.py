"""Scans of images: asked only where the registry is ours, and never made up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from governance.adapters import sessions
from governance.adapters.images import Images
from governance.domain import images
from governance.domain.errors import TransientError
from tests.contracts import samples

OURS = {samples.CENTRAL, samples.DEV}
DIGEST = "sha256:" + "c" * 64
REPOSITORY = f"{samples.DEV}.dkr.ecr.us-east-1.amazonaws.com/risk/serving"


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client(
        "ecr", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    monkeypatch.setattr(sessions, "client_in", lambda region, service, session: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def _answer(status: str, **counts: int) -> dict[str, Any]:
    return {
        "imageScanStatus": {"status": status},
        "imageScanFindings": {"findingSeverityCounts": counts},
    }


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        ({"uri": f"{REPOSITORY}:1.4", "digest": DIGEST}, {"imageDigest": DIGEST}),
        ({"uri": f"{REPOSITORY}@{DIGEST}", "digest": None}, {"imageDigest": DIGEST}),
        ({"uri": f"{REPOSITORY}:1.4@{DIGEST}"}, {"imageDigest": DIGEST}),
        ({"uri": f"{REPOSITORY}:1.4"}, {"imageTag": "1.4"}),
        ({"uri": REPOSITORY}, {"imageTag": "latest"}),
    ],
)
def test_the_very_image_is_asked_about(
    ecr: Stubber, image: dict[str, Any], asked: dict[str, str]
) -> None:
    ecr.add_response(
        "describe_image_scan_findings",
        _answer("COMPLETE", CRITICAL=2, HIGH=7),
        {"registryId": samples.DEV, "repositoryName": "risk/serving", "imageId": asked},
    )
    found = Images().scan(image, OURS)
    assert (found["registry"], found["critical"]) == (samples.DEV, 2)
    assert found["findings"] == {"CRITICAL": 2, "HIGH": 7}


@pytest.mark.parametrize(("status", "critical"), [("COMPLETE", 0), ("ACTIVE", 0)])
def test_a_finished_scan_without_findings_has_none(
    ecr: Stubber, status: str, critical: int
) -> None:
    ecr.add_response("describe_image_scan_findings", {"imageScanStatus": {"status": status}})
    found = Images().scan({"uri": REPOSITORY}, OURS)
    assert (found["critical"], found["findings"]) == (critical, {})


@pytest.mark.parametrize("status", ["IN_PROGRESS", "FAILED", "UNSUPPORTED_IMAGE", "PENDING"])
def test_a_scan_that_has_not_finished_has_found_nothing_and_says_so(
    ecr: Stubber, status: str
) -> None:
    ecr.add_response("describe_image_scan_findings", _answer(status))
    found = Images().scan({"uri": REPOSITORY}, OURS)
    assert (found["critical"], found["scan"]) == (None, f"its scan is {status}")
    assert found["findings"] == {}


@pytest.mark.parametrize(
    "code", ["ScanNotFoundException", "ImageNotFoundException", "RepositoryNotFoundException"]
)
def test_a_scan_that_is_not_there_is_missing(ecr: Stubber, code: str) -> None:
    ecr.add_client_error("describe_image_scan_findings", code)
    found = Images().scan({"uri": REPOSITORY}, OURS)
    assert found["critical"] is None
    assert code in str(found["scan"])


def test_a_scan_that_passes_by_itself_is_asked_for_again(ecr: Stubber) -> None:
    ecr.add_client_error("describe_image_scan_findings", "ThrottlingException")
    with pytest.raises(TransientError, match="risk/serving"):
        Images().scan({"uri": REPOSITORY}, OURS)


def test_a_scan_that_is_not_shown_to_us_is_unknown_and_says_what_to_do(ecr: Stubber) -> None:
    """The tier decides what that means; a run that breaks would tell the team nothing."""
    ecr.add_client_error("describe_image_scan_findings", "AccessDeniedException")
    found = Images().scan({"uri": REPOSITORY}, OURS)
    assert found["critical"] is None
    assert "the repository's policy does not show us its scans" in str(found["scan"])
    assert "risk/serving" in str(found["scan"])


@pytest.mark.parametrize(
    ("uri", "registry", "said"),
    [
        (samples.IMAGE, "683313688378", "registry 683313688378 is not one of ours"),
        ("docker.io/library/python:3.13", None, "in no ECR registry"),
        ("", None, "in no ECR registry"),
    ],
)
def test_nobody_elses_registry_is_asked(
    ecr: Stubber, uri: str, registry: str | None, said: str
) -> None:
    found = Images().scan({"uri": uri}, OURS)
    assert (found["registry"], found["critical"]) == (registry, None)
    assert said in str(found["scan"])


def test_a_registry_is_asked_in_the_region_that_the_image_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    sessions._own_session.cache_clear()
    sessions.own_client.cache_clear()
    named = images.parse(f"{samples.DEV}.dkr.ecr.eu-west-1.amazonaws.com/risk/serving:1")
    assert named is not None
    seen = Images()
    assert seen._ecr(named).meta.region_name == "eu-west-1"
    assert seen._ecr(named) is seen._ecr(named)
    here = images.parse(f"{REPOSITORY}:1")
    assert here is not None
    assert seen._ecr(here) is sessions.own_client("ecr")
    sessions._own_session.cache_clear()
    sessions.own_client.cache_clear()
