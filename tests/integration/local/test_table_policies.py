"""A table's own policy counts, also against roles whose policies allow everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.local.support import CENTRAL, DEV, REGION, Aws, allow, denied, document

ARN = f"arn:aws:dynamodb:{REGION}:{CENTRAL}:table/entries"
KEY = {"id": {"S": "1"}}


@pytest.fixture(scope="module")
def roles(aws: Aws) -> Callable[[str], Any]:
    """roles(name): DynamoDB for a role of Central that may do everything by its own policy."""
    aws.client("dynamodb").create_table(
        TableName="entries",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    everything = allow("dynamodb:*")
    made = {name: aws.assume(aws.role(CENTRAL, name, everything)) for name in ("writer", "other")}
    reads = allow("dynamodb:PartiQLSelect", "dynamodb:GetItem")
    made["reader"] = aws.assume(aws.role(CENTRAL, "reads-entries", reads))
    made["foreign"] = aws.assume(aws.role(DEV, "foreign", everything))
    return lambda name: aws.client("dynamodb", made[name])


@pytest.fixture(autouse=True)
def policy(aws: Aws, roles: Callable[[str], Any]) -> Iterator[Callable[..., None]]:
    """policy(statement, ...): what the table says for this test."""

    def put(*statements: dict[str, Any]) -> None:
        given = [{"Principal": "*", "Resource": ARN, **statement} for statement in statements]
        aws.client("dynamodb").put_resource_policy(ResourceArn=ARN, Policy=document(*given))

    yield put
    aws.client("dynamodb").delete_resource_policy(ResourceArn=ARN)


def _deny(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), **more}


def _update(client: Any) -> None:
    client.update_item(
        TableName="entries",
        Key=KEY,
        UpdateExpression="SET a = :a",
        ExpressionAttributeValues={":a": {"S": "b"}},
    )


def test_a_denial_of_the_table_wins(policy: Callable[..., None], roles: Any) -> None:
    roles("writer").put_item(TableName="entries", Item=KEY)
    policy(_deny("dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"))
    client = roles("writer")
    client.put_item(TableName="entries", Item=KEY)
    with denied():
        _update(client)
    with denied():
        client.delete_item(TableName="entries", Key=KEY)
    with denied():
        client.delete_item(TableName=ARN, Key=KEY)
    with denied():
        client.batch_write_item(RequestItems={"entries": [{"DeleteRequest": {"Key": KEY}}]})
    with denied():
        client.transact_write_items(
            TransactItems=[{"Delete": {"TableName": "entries", "Key": KEY}}]
        )
    client.transact_write_items(TransactItems=[{"Put": {"TableName": "entries", "Item": KEY}}])


def test_a_condition_names_the_role(policy: Callable[..., None], roles: Any) -> None:
    writer = {"aws:PrincipalArn": f"arn:aws:iam::{CENTRAL}:role/writer"}
    policy(_deny("dynamodb:PutItem", Condition={"ArnNotEquals": writer}))
    roles("writer").put_item(TableName="entries", Item=KEY)
    with denied():
        roles("other").put_item(TableName="entries", Item=KEY)


def test_another_account_needs_the_tables_word(policy: Callable[..., None], roles: Any) -> None:
    policy(_deny("dynamodb:DeleteItem"))
    with denied():
        roles("foreign").get_item(TableName=ARN, Key=KEY)


@pytest.mark.parametrize(
    ("action", "statement"),
    [
        ("Insert", "INSERT INTO \"entries\" VALUE {'id': '9'}"),
        ("Update", "UPDATE entries SET a = 'c' WHERE id = '1'"),
        ("Delete", "delete from \"entries\" where id = '1'"),
    ],
)
def test_a_partiql_statement_is_what_it_does(
    policy: Callable[..., None], roles: Any, action: str, statement: str
) -> None:
    roles("writer").put_item(TableName="entries", Item=KEY)
    with denied():  # a role that may only read
        roles("reader").execute_statement(Statement=statement)
    policy(_deny(f"dynamodb:PartiQL{action}"))
    with denied():
        roles("writer").execute_statement(Statement=statement)
    several = [{"Statement": "SELECT * FROM entries WHERE id = '2'"}, {"Statement": statement}]
    with denied():
        roles("writer").batch_execute_statement(Statements=several)
    with denied():
        roles("writer").execute_transaction(TransactStatements=several[1:])
    read = "SELECT * FROM \"entries\" WHERE id = '1'"
    assert roles("reader").execute_statement(Statement=read)["Items"]
