"""provision: what is missing is made, what differs is changed, the rest is left alone."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import ANY
from click.testing import Result

from cli import provisioning
from cli.errors import GovernError
from governance.adapters import items
from governance.contracts.documents import TIER_POLICY
from tests.unit.cli.conftest import CENTRAL, DEV, MODEL, PROD, REGION, TEST, Stubbed, directory

Govern = Callable[..., Result]
BUCKET = f"governed-path-evidence-{CENTRAL}-{REGION}"
KEY = "policies/tiers/high.json"
GROUP = f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package-group/{MODEL}"
BODY = (provisioning.POLICIES / "high.json").read_bytes()
DIGEST = hashlib.sha256(BODY)
CHECKSUM = base64.b64encode(DIGEST.digest()).decode()
POLICY = {"uri": f"s3://{BUCKET}/{KEY}", "sha256": DIGEST.hexdigest(), "version_id": "v7"}
ENTRY = directory(policy=POLICY)
SHARING = {
    "Sid": "ProdMayDeploy",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{PROD}:root"},
    "Action": ["sagemaker:DescribeModelPackage", "sagemaker:CreateModel"],
    "Resource": f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package/{MODEL}/*",
}
PROVISION = (
    *("provision", MODEL, "--project", "clinical-risk", "--tier", "high"),
    *("--dev", DEV, "--test", TEST, "--prod", PROD, "--endpoint-name", "clinical-risk"),
)


def group(session: Stubbed, exists: bool) -> None:
    sagemaker = session.stub("sagemaker")
    if exists:
        answer = {
            "ModelPackageGroupName": MODEL,
            "ModelPackageGroupArn": GROUP,
            "CreationTime": 0,
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
        }
        sagemaker.add_response("describe_model_package_group", answer)
        return
    sagemaker.add_client_error(
        "describe_model_package_group", "ValidationException", "Model Package Group does not exist."
    )
    sagemaker.add_response(
        "create_model_package_group",
        {"ModelPackageGroupArn": GROUP},
        {"ModelPackageGroupName": MODEL, "ModelPackageGroupDescription": ANY},
    )


def sharing(session: Stubbed, present: list[dict[str, Any]] | None) -> None:
    sagemaker = session.stub("sagemaker")
    if present is None:
        sagemaker.add_client_error(
            "get_model_package_group_policy",
            "ValidationException",
            "Cannot find resource policy for: arn",
        )
        return
    policy = json.dumps({"Version": "2012-10-17", "Statement": present})
    sagemaker.add_response("get_model_package_group_policy", {"ResourcePolicy": policy})


def shares(session: Stubbed, *statements: dict[str, Any]) -> None:
    session.stub("sagemaker").add_response(
        "put_model_package_group_policy",
        {"ModelPackageGroupArn": GROUP},
        {
            "ModelPackageGroupName": MODEL,
            "ResourcePolicy": json.dumps({"Version": "2012-10-17", "Statement": list(statements)}),
        },
    )


def published(session: Stubbed, checksum: str | None) -> None:
    """What is there, looked at by us and again before it would be written."""
    for _ in range(2):
        if checksum is None:
            session.stub("s3").add_client_error("head_object", "404", http_status_code=404)
            continue
        head = {"ContentLength": len(BODY), "VersionId": "v7", "ChecksumSHA256": checksum}
        session.stub("s3").add_response("head_object", head)


def publishes(session: Stubbed) -> None:
    session.stub("s3").add_response(
        "put_object",
        {"VersionId": "v7"},
        {
            "Bucket": BUCKET,
            "Key": KEY,
            "Body": BODY,
            "ContentType": "application/json",
            "ChecksumSHA256": CHECKSUM,
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": "alias/governed-path",
            "BucketKeyEnabled": True,
        },
    )


def entered(session: Stubbed, present: dict[str, Any] | None) -> None:
    answer = {} if present is None else {"Item": items.to_item(present)}
    session.stub("dynamodb").add_response("get_item", answer)


def enters(session: Stubbed) -> None:
    session.stub("dynamodb").add_response(
        "put_item",
        {},
        {"TableName": "governed-path-project-directory", "Item": items.to_item(ENTRY)},
    )


def test_a_new_model_gets_everything(govern: Govern, where: list[Any], session: Stubbed) -> None:
    group(session, exists=False)
    sharing(session, None)
    shares(session, SHARING)
    published(session, None)
    publishes(session)
    entered(session, None)
    enters(session)
    result = govern(*PROVISION, "--json")
    assert result.exit_code == 0, result.output
    assert where[0].persona == "admin"
    done = json.loads(result.output)
    assert done["project"] == ENTRY
    assert [change["change"] for change in done["changes"]] == ["created"] * 4


def test_the_same_again_changes_nothing(govern: Govern, where: list[Any], session: Stubbed) -> None:
    group(session, exists=True)
    sharing(session, [SHARING])
    published(session, CHECKSUM)
    entered(session, ENTRY)
    result = govern(*PROVISION)
    assert result.exit_code == 0, result.output
    assert result.output.count("unchanged") == 4
    for what in ("model package group", "ProdMayDeploy", POLICY["uri"], "directory entry"):
        assert what in result.output


def test_what_differs_is_updated_and_what_others_allowed_stays(
    govern: Govern, where: list[Any], session: Stubbed
) -> None:
    theirs = {**SHARING, "Sid": "AuditMayRead"}
    old = {**SHARING, "Principal": {"AWS": f"arn:aws:iam::{TEST}:root"}}
    group(session, exists=True)
    sharing(session, [old, theirs])
    shares(session, theirs, SHARING)
    published(session, base64.b64encode(bytes(32)).decode())
    publishes(session)
    entered(session, {**ENTRY, "risk_tier": "low"})
    enters(session)
    result = govern(*PROVISION, "--json")
    changes = json.loads(result.output)["changes"]
    assert [change["change"] for change in changes] == ["unchanged", *["updated"] * 3]


def test_a_missing_bucket_says_that_central_is_not_deployed(
    govern: Govern, where: list[Any], session: Stubbed
) -> None:
    group(session, exists=True)
    sharing(session, [SHARING])
    published(session, None)
    session.stub("s3").add_client_error("put_object", "NoSuchBucket", "no", http_status_code=404)
    result = govern(*PROVISION)
    assert result.exit_code == 1
    assert BUCKET in result.output
    assert "deploy it first" in result.output


def test_only_an_admin_may(govern: Govern, where: list[Any], session: Stubbed) -> None:
    session.stub("sagemaker").add_client_error(
        "describe_model_package_group", "AccessDeniedException", "User: alex is not authorized"
    )
    result = govern(*PROVISION, "--as", "ai-engineer", "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "access_denied")
    assert "User: alex is not authorized" in error["message"]
    assert "--as admin" in error["hint"]


PROJECT = provisioning.Project(
    MODEL, "clinical-risk", "high", {"dev": DEV, "test": TEST, "prod": PROD}, "clinical-risk"
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no policy of tier high"),
        ("{", "high.json: "),
        ('{"tier": "high"}', "'thresholds' is a required property"),
        (json.dumps({**json.loads(BODY), "tier": "low"}), "is a policy of tier low; expected high"),
    ],
)
def test_a_bad_policy_stops_before_anything_is_written(
    session: Stubbed, tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "high.json").write_text(content)
    with pytest.raises(GovernError) as refused:
        provisioning.provision(session, PROJECT, policies=tmp_path)
    assert said in refused.value.message
    assert session.made == {}


@pytest.mark.parametrize("tier", ["low", "medium", "high"])
def test_every_tier_has_a_policy_that_the_gates_accept(tier: str) -> None:
    assert json.loads(provisioning._policy_body(tier, provisioning.POLICIES))["tier"] == tier


def test_the_published_schema_is_the_one_that_decides() -> None:
    assert (
        json.loads((provisioning.POLICIES.parent / "tier.schema.json").read_text()) == TIER_POLICY
    )
