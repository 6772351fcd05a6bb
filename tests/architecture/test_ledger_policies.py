"""The ledger's denials, as the template writes them: who is named, and what nobody may."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.test_templates import of_type, parsed

FUNCTIONS = Path(__file__).parents[2] / "functions" / "governance"
# Adapters without a class of their own, whose functions read the ledger for a handler.
WHOLE = ("governance.adapters.champions", "governance.adapters.clearances")
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


READ_BY = {"story": "by-version", "newest_first": "by-kind"}


def _queried(handler: str) -> set[str]:
    """The indexes of the ledger that a handler reads, or an adapter that it uses."""
    found, seen, todo = set(), set(), [f"handlers.{handler}"]
    while todo:
        module = todo.pop()
        seen.add(module)
        tree = ast.parse((FUNCTIONS / f"{module.replace('.', '/')}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in READ_BY:
                found.add(READ_BY[node.attr])
            # An adapter with a class is used in parts: what of it is called is not seen here.
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(WHOLE):
                todo += {str(node.module).removeprefix("governance.")} - seen
    return found


def _statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    documents = [one["PolicyDocument"] for one in role.get("Policies", [])]
    managed = [one["Ref"] for one in role.get("ManagedPolicyArns", []) if "Ref" in one]
    documents += [_document(name) for name in managed]
    return [one for document in documents for one in document["Statement"]]


@pytest.mark.parametrize(
    "function", of_type(TEMPLATE, "AWS::Serverless::Function").values(), ids=lambda f: f["Handler"]
)
def test_a_function_may_read_the_index_that_its_code_reads(function: dict[str, Any]) -> None:
    """One that may not ends as an error only on the rare way that reads it."""
    role = RESOURCES[function["Role"]["Fn::GetAtt"][0]]["Properties"]
    read = [one for one in _statements(role) if "dynamodb:Query" in _actions(one)]
    missing = {
        index
        for index in _queried(function["Handler"].split(".")[2])
        if f"/index/{index}" not in str([one["Resource"] for one in read])
    }
    assert missing == set()


def test_the_indexes_that_code_reads_are_seen() -> None:
    assert _queried("evaluate_gate") >= {"by-version"}
    assert _queried("lock_endpoint") == {"by-kind"}
    assert _queried("grant_clearance") == {"by-version"}
