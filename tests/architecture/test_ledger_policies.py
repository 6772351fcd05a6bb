"""The ledger's denials, as the template writes them: who is named, and what nobody may."""

from __future__ import annotations

from typing import Any

import pytest

from tests.architecture.test_templates import of_type, parsed

TEMPLATE = parsed("template.yaml")
RESOURCES = TEMPLATE["Resources"]
CHANGES = {
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
    "dynamodb:UpdateTimeToLive",
}
RELEASES = {
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutObjectRetention",
    "s3:PutObjectLegalHold",
    "s3:BypassGovernanceRetention",
}


def _writers() -> set[str]:
    """The names of the roles that append."""
    return {
        role["RoleName"]
        for role in of_type(TEMPLATE, "AWS::IAM::Role").values()
        if {"Ref": "AppendPolicy"} in role.get("ManagedPolicyArns", [])
    }


def _document(resource: str) -> Any:
    properties = RESOURCES[resource]["Properties"]
    return (
        properties.get("KeyPolicy")
        or properties.get("PolicyDocument")
        or properties["ResourcePolicy"]["PolicyDocument"]
    )


def _statement(resource: str, sid: str) -> dict[str, Any]:
    (found,) = [one for one in _document(resource)["Statement"] if one.get("Sid") == sid]
    assert found["Effect"] == "Deny"
    return dict(found)


def _actions(statement: dict[str, Any]) -> set[str]:
    actions = statement["Action"]
    return {actions} if isinstance(actions, str) else set(actions)


@pytest.mark.parametrize(
    ("resource", "sid", "action"),
    [
        ("SigningKey", "OnlyTheWritersSign", "kms:Sign"),
        ("LedgerTable", "OnlyTheWritersPut", "dynamodb:PutItem"),
        ("LedgerHeadsTable", "OnlyTheWritersUpdate", "dynamodb:UpdateItem"),
    ],
)
def test_only_the_roles_that_append_may_sign_put_and_move(
    resource: str, sid: str, action: str
) -> None:
    statement = _statement(resource, sid)
    assert _actions(statement) == {action}
    assert statement["Principal"] == "*"
    named = statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert {one["Fn::Sub"].rpartition("role/")[2] for one in named} == _writers() != set()


def test_nobody_may_change_an_entry() -> None:
    statement = _statement("LedgerTable", "EntriesStay")
    assert (statement["Principal"], statement.get("Condition")) == ("*", None)
    assert _actions(statement) == CHANGES


def test_nobody_may_put_or_delete_a_head() -> None:
    statement = _statement("LedgerHeadsTable", "HeadsStay")
    assert (statement["Principal"], statement.get("Condition")) == ("*", None)
    assert _actions(statement) == CHANGES - {"dynamodb:UpdateItem"} | {"dynamodb:PutItem"}


def test_nobody_may_release_what_is_archived() -> None:
    statement = _statement("LedgerBucketPolicy", "NothingIsDeletedOrReleased")
    assert (statement["Principal"], statement.get("Condition")) == ("*", None)
    assert _actions(statement) == RELEASES
    lock = RESOURCES["LedgerBucket"]["Properties"]["ObjectLockConfiguration"]["Rule"]
    assert lock["DefaultRetention"]["Mode"] == "COMPLIANCE"


@pytest.mark.parametrize("policy", ["FunctionPolicy", "PersonPolicy"])
def test_functions_and_people_are_denied_by_their_own_policies_too(policy: str) -> None:
    assert _actions(_statement(policy, "LedgerStays")) == CHANGES | {"dynamodb:DeleteTable"}
    assert _actions(_statement(policy, "ArchiveStays")) == RELEASES


def test_what_is_signed_and_archived_outlives_the_stack() -> None:
    for name in ("SigningKey", "LedgerTable", "LedgerHeadsTable", "LedgerBucket"):
        assert RESOURCES[name]["DeletionPolicy"] == "Retain"
