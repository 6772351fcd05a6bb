"""provision: what is missing is made, what differs is changed, the rest is left alone."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY
from click.testing import Result

from cli import provisioning
from cli.errors import GovernError
from cli.policies import DIRECTORY, files
from governance.adapters import items
from governance.contracts.documents import TIER_POLICY
from governance.domain import definitions
from governance.domain.policies import combined
from tests.contracts import samples
from tests.unit.cli.conftest import CENTRAL, DEV, MODEL, PROD, REGION, TEST, Stubbed, directory

Govern = Callable[..., Result]
BUCKET = f"governed-path-evidence-{CENTRAL}-{REGION}"
TEXT = "text/plain; charset=utf-8"
KEYS = {
    "cedar": "policies/approvals.cedar",
    "schema": "policies/approvals.cedarschema",
    "tier": "policies/tiers/high.json",
}
GROUP = f"arn:aws:sagemaker:{REGION}:{CENTRAL}:model-package-group/{MODEL}"
BODIES = {part: path.read_bytes() for part, path in files(DIRECTORY, "high").items()}
DIGESTS = {part: hashlib.sha256(body).hexdigest() for part, body in BODIES.items()}
CHECKSUMS = {part: base64.b64encode(bytes.fromhex(d)).decode() for part, d in DIGESTS.items()}
ACTION = f"arn:aws:sagemaker:{REGION}:{CENTRAL}:action/policy-{MODEL}-0"
PINS = {
    part: {"uri": f"s3://{BUCKET}/{key}", "sha256": DIGESTS[part], "version_id": "v7"}
    for part, key in KEYS.items()
}
DEFINITION = samples.definition()
FILE = samples.ROOT / "templates/classical-regression/deploy/deployment.yaml"
REFERENCE = definitions.reference(BUCKET, MODEL, definitions.digest(DEFINITION))
ENTRY = directory(policy={**PINS, "change": ACTION}, definition=REFERENCE)
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


def published(session: Stubbed, checksums: dict[str, str] | None) -> None:
    """What is there, looked at by us and again before it would be written; it is all there."""
    for part in KEYS:
        for _ in range(2):
            looked_at(session, part, checksums)


def looked_at(session: Stubbed, part: str, checksums: dict[str, str] | None) -> None:
    if checksums is None:
        session.stub("s3").add_client_error("head_object", "404", http_status_code=404)
        return
    body = BODIES[part]
    head = {"ContentLength": len(body), "VersionId": "v7", "ChecksumSHA256": checksums[part]}
    session.stub("s3").add_response("head_object", head)


def publishes(session: Stubbed, checksums: dict[str, str] | None) -> None:
    """What is there is something else, so that all three files are written."""
    for part, key in KEYS.items():
        looked_at(session, part, checksums)
        looked_at(session, part, checksums)
        session.stub("s3").add_response(
            "put_object",
            {"VersionId": "v7"},
            {
                "Bucket": BUCKET,
                "Key": key,
                "Body": BODIES[part],
                "ContentType": "application/json" if part == "tier" else TEXT,
                "ChecksumSHA256": CHECKSUMS[part],
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": "alias/governed-path",
                "BucketKeyEnabled": True,
            },
        )


def announces(session: Stubbed) -> None:
    """The Admin says which policy it is, in a place where SageMaker notes who said so."""
    session.stub("sagemaker").add_response(
        "create_action",
        {"ActionArn": ACTION},
        {
            "ActionName": ANY,
            "Source": {"SourceUri": PINS["tier"]["uri"]},
            "ActionType": "GovernedPathPolicyChange",
            "Status": "Completed",
            "Properties": {
                "model": MODEL,
                "policy-digest": combined(DIGESTS),
                **{f"{part}-sha256": digest for part, digest in DIGESTS.items()},
            },
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


def defined(session: Stubbed) -> None:
    """An AI engineer has published the definition."""
    body = definitions.canonical(DEFINITION)
    answer = {"Body": StreamingBody(io.BytesIO(body), len(body)), "ContentLength": len(body)}
    key = REFERENCE["uri"].removeprefix(f"s3://{BUCKET}/")
    session.stub("s3").add_response("get_object", answer, {"Bucket": BUCKET, "Key": key})


def test_a_new_model_gets_everything(govern: Govern, where: list[Any], session: Stubbed) -> None:
    defined(session)
    group(session, exists=False)
    sharing(session, None)
    shares(session, SHARING)
    publishes(session, None)
    entered(session, None)
    announces(session)
    enters(session)
    result = govern(*PROVISION, "--deployment", str(FILE), "--json")
    assert result.exit_code == 0, result.output
    assert where[0].persona == "admin"
    done = json.loads(result.output)
    assert done["project"] == ENTRY
    assert [change["change"] for change in done["changes"]] == ["created"] * 7


def test_a_definition_that_nobody_published_is_not_the_projects(
    govern: Govern, where: list[Any], session: Stubbed
) -> None:
    session.stub("s3").add_client_error("get_object", "NoSuchKey", "no", http_status_code=404)
    result = govern(*PROVISION, "--deployment", str(FILE), "--json")
    error = json.loads(result.output)["error"]
    assert (result.exit_code, error["code"]) == (1, "not_found")
    assert REFERENCE["digest"] in error["message"]
    assert "govern deployment publish" in error["hint"]


def test_the_same_again_changes_nothing(govern: Govern, where: list[Any], session: Stubbed) -> None:
    group(session, exists=True)
    sharing(session, [SHARING])
    published(session, CHECKSUMS)
    entered(session, ENTRY)
    result = govern(*PROVISION)
    assert result.exit_code == 0, result.output
    assert result.output.count("unchanged") == 7
    for what in ("model package group", "ProdMayDeploy", PINS["cedar"]["uri"], "directory entry"):
        assert what in result.output


def test_what_differs_is_updated_and_what_others_allowed_stays(
    govern: Govern, where: list[Any], session: Stubbed
) -> None:
    theirs = {**SHARING, "Sid": "AuditMayRead"}
    old = {**SHARING, "Principal": {"AWS": f"arn:aws:iam::{TEST}:root"}}
    group(session, exists=True)
    sharing(session, [old, theirs])
    shares(session, theirs, SHARING)
    publishes(session, dict.fromkeys(KEYS, base64.b64encode(bytes(32)).decode()))
    older = {part: {**pin, "version_id": "v6"} for part, pin in PINS.items()}
    entered(session, {**ENTRY, "policy": {**older, "change": f"{ACTION}-older"}})
    announces(session)
    enters(session)
    result = govern(*PROVISION, "--json")
    changes = json.loads(result.output)["changes"]
    assert [change["change"] for change in changes] == [
        "unchanged",
        *["updated"] * 4,
        "created",
        "updated",
    ]


def test_another_project_of_the_same_policy_announces_nothing(
    govern: Govern, where: list[Any], session: Stubbed
) -> None:
    group(session, exists=True)
    sharing(session, [SHARING])
    published(session, CHECKSUMS)
    entered(session, {**ENTRY, "project": "another"})
    enters(session)
    result = govern(*PROVISION, "--json")
    changes = {change["what"]: change["change"] for change in json.loads(result.output)["changes"]}
    assert changes["policy change"] == "unchanged"
    assert changes["directory entry"] == "updated"


def test_a_missing_bucket_says_that_central_is_not_deployed(
    govern: Govern, where: list[Any], session: Stubbed
) -> None:
    group(session, exists=True)
    sharing(session, [SHARING])
    looked_at(session, "cedar", None)
    looked_at(session, "cedar", None)
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
    ("name", "content", "said"),
    [
        ("tiers/high.json", None, "no policy of tier high"),
        ("tiers/high.json", "{", "high.json:1: not JSON"),
        ("tiers/high.json", '{"tier": "high"}', "'thresholds' is a required property"),
        (
            "tiers/high.json",
            BODIES["tier"].decode().replace('"high"', '"low"', 1),
            "high.json:2: a policy of tier low",
        ),
        ("approvals.cedar", None, "no policy of tier high"),
        ("approvals.cedar", "permit (principal, action, resource);", "policy0 has no @id"),
        ("approvals.cedarschema", "entity {", "Schema parse error"),
    ],
)
def test_a_bad_policy_stops_before_anything_is_written(
    session: Stubbed, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    shutil.copytree(DIRECTORY, tmp_path / "policies")
    (tmp_path / "policies" / name).unlink()
    if content is not None:
        (tmp_path / "policies" / name).write_text(content)
    with pytest.raises(GovernError) as refused:
        provisioning.provision(session, PROJECT, directory=tmp_path / "policies")
    assert said in refused.value.message
    assert session.made == {}


def test_the_published_schema_is_the_one_that_decides() -> None:
    assert json.loads((DIRECTORY / "tier.schema.json").read_text()) == TIER_POLICY
