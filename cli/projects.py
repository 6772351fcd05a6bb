"""The project directory as the command line reads it, through the reader role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.aws import calling
from cli.errors import GovernError
from governance.adapters import items

if TYPE_CHECKING:
    import boto3

TABLE = "governed-path-project-directory"


def find_project(session: boto3.Session, model: str) -> dict[str, Any] | None:
    """The model's directory entry, or None.

    {model, project, risk_tier, accounts: {dev, test, prod}, endpoint_name, definition:
    {digest, uri}, policy: {uri, sha256, version_id}}. GovernError if AWS refuses.
    """
    with calling(f"read the directory entry of model {model}"):
        item = (
            session.client("dynamodb")
            .get_item(TableName=TABLE, Key={"model": {"S": model}}, ConsistentRead=True)
            .get("Item")
        )
    return None if item is None else items.from_item(item)


def project_of(session: boto3.Session, model: str) -> dict[str, Any]:
    """The model's directory entry; GovernError `not_found` names the models that there are."""
    project = find_project(session, model)
    if project is None:
        known = ", ".join(entry["model"] for entry in all_projects(session))
        raise GovernError(
            "not_found",
            f"no model {model!r} is provisioned; there is {known or 'none yet'}",
            "an admin adds it: govern provision --help",
        )
    return project


def all_projects(session: boto3.Session) -> list[dict[str, Any]]:
    """Every directory entry, by model. It reads the whole table."""
    with calling("read the project directory"):
        pages = session.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
        found = [items.from_item(item) for page in pages for item in page["Items"]]
    return sorted(found, key=lambda entry: str(entry["model"]))
