"""What the artifacts bucket and Central's key let members read, as the template writes it."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import clearance
from tests.architecture.test_templates import parsed

RESOURCES = parsed("template.yaml")["Resources"]
STATEMENTS = RESOURCES["ArtifactsBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
CLEARING = {"governed-path-grant-clearance", "governed-path-revoke-clearance"}


def _statement(sid: str) -> dict[str, Any]:
    (found,) = [one for one in STATEMENTS if one["Sid"] == sid]
    return dict(found)


def _roles(values: list[dict[str, str]]) -> set[str]:
    return {one["Fn::Sub"].rpartition("role/")[2] for one in values}


@pytest.mark.parametrize("stage", clearance.STAGES)
def test_a_member_reads_what_the_tags_of_a_grant_open(stage: str) -> None:
    statement = _statement(f"{stage}ReadsWhatIsClearedForIt")
    asked = statement["Condition"]["StringEquals"]
    account = "${aws:PrincipalAccount}"
    tags = clearance.tags("m", "c", {stage: account})
    assert asked == {
        f"s3:ExistingObjectTag/{key}": tags[key]
        for key in (f"cleared-{stage.lower()}", f"{stage.lower()}-account")
    }
    assert set(statement["Action"]) == {"s3:GetObject", "s3:GetObjectVersion"}


def test_nothing_else_lets_anybody_read() -> None:
    allowing = {one["Sid"] for one in STATEMENTS if one["Effect"] == "Allow"}
    names = "EndpointsListModels"
    assert allowing == {names, *(f"{stage}ReadsWhatIsClearedForIt" for stage in clearance.STAGES)}
    # Names of objects, which an endpoint that loads a prefix has to ask for; no bytes.
    assert [one["Action"] for one in STATEMENTS if one["Sid"] == names] == ["s3:ListBucket"]


def test_only_the_functions_that_clear_tag_a_version() -> None:
    statement = _statement("OnlyClearanceTags")
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    named = statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert _roles(named) == CLEARING
    assert statement["Action"] == "s3:PutObjectVersionTagging"
    assert "Condition" not in _statement("NoTagIsTakenAway")


@pytest.mark.parametrize("stage", clearance.STAGES)
def test_a_copy_cannot_arrive_cleared(stage: str) -> None:
    statement = _statement(f"NothingArrivesClearedFor{stage}")
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {
        "StringEquals": {f"s3:RequestObjectTag/cleared-{stage.lower()}": "yes"}
    }
    assert set(statement["Action"]) == {"s3:PutObject", "s3:PutObjectTagging"}


def test_the_rule_that_revokes_hears_of_every_end() -> None:
    pattern = RESOURCES["ClearanceRule"]["Properties"]["EventPattern"]
    assert set(pattern["detail-type"]) == set(clearance.ENDS)
    assert pattern["source"] == ["governed-path"]


def test_the_key_opens_this_bucket_alone_to_members() -> None:
    policy = RESOURCES["Key"]["Properties"]["KeyPolicy"]["Statement"]
    (statement,) = [one for one in policy if one.get("Sid") == "EndpointsReadArtifacts"]
    context = statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:s3:arn"]
    assert "governed-path-artifacts-" in context["Fn::Sub"]
    assert statement["Action"] == "kms:Decrypt"


def test_names_of_candidates_and_their_images_are_for_accounts_that_host_endpoints() -> None:
    """A Dev account could make a role of the endpoints' name; its account id is not in the list."""
    serving = {
        "Fn::If": [
            "ServingAccountsAreNamed",
            {"Ref": "ServingAccountIds"},
            {"Ref": "TrustedAccountIds"},
        ]
    }
    images = RESOURCES["ImagesRepository"]["Properties"]["RepositoryPolicyText"]["Statement"]
    key = RESOURCES["Key"]["Properties"]["KeyPolicy"]["Statement"]
    (pulling,) = images
    (reading,) = [one for one in key if one["Sid"] == "EndpointsReadArtifacts"]
    for statement in (_statement("EndpointsListModels"), pulling, reading):
        assert statement["Principal"] == {"AWS": serving}
