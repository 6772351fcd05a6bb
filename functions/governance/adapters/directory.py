"""The project directory: which project, accounts, tier and policy a model belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from governance.adapters import errors, items, sessions
from governance.domain.errors import NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Directory:
    """The project directory table, keyed by model."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb: DynamoDBClient = sessions.own_client("dynamodb")

    def find(self, model: str) -> dict[str, Any] | None:
        """The model's entry, or None if nobody has provisioned a project for the model."""
        with errors.translated(f"read the directory entry of model {model}"):
            item = self._dynamodb.get_item(
                TableName=self._table, Key={"model": {"S": model}}, ConsistentRead=True
            ).get("Item")
        return None if item is None else items.from_item(item)

    def of_endpoint(self, account: str, endpoint_name: str) -> dict[str, Any] | None:
        """The entry of the model whose Prod endpoint that is, None if it is none of ours.

        It reads the whole table: for what happens seldom.
        """
        with errors.translated(f"look for the model of endpoint {endpoint_name} of {account}"):
            pages = self._dynamodb.get_paginator("scan").paginate(
                TableName=self._table,
                FilterExpression="endpoint_name = :endpoint AND accounts.prod = :account",
                ExpressionAttributeValues={
                    ":endpoint": {"S": endpoint_name},
                    ":account": {"S": account},
                },
            )
            return next((items.from_item(item) for page in pages for item in page["Items"]), None)

    def models(self) -> list[str]:
        """Every model that is provisioned. It reads the whole table."""
        with errors.translated(f"list the models of {self._table}"):
            pages = self._dynamodb.get_paginator("scan").paginate(
                TableName=self._table,
                ProjectionExpression="model",
            )
            return sorted(item["model"]["S"] for page in pages for item in page["Items"])

    def project_of(self, model: str) -> dict[str, Any]:
        """The model's entry: {model, project, risk_tier, accounts, endpoint_name, policy, ...}.

        NotFoundError if nobody has provisioned a project for the model.
        """
        project = self.find(model)
        if project is None:
            raise NotFoundError(
                f"model {model} is not in the project directory {self._table}; "
                "an Admin adds it with `govern provision`"
            )
        return project
