"""Policies of DynamoDB tables: the emulator stores them and asks nobody; PartiQL is one action.

AWS evaluates a table's own policy with the caller's, and a PartiQL statement as the action that
it performs on its table (PartiQLSelect, PartiQLInsert, PartiQLUpdate, PartiQLDelete).
"""

from __future__ import annotations

import json
import re
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.services import dynamodb

from local.seams.assertions import require, require_attributes, require_parameters

_VERBS = {"select": "Select", "insert": "Insert", "update": "Update", "delete": "Delete"}
# Operation -> the member that holds its statements.
_REQUESTS = {
    "ExecuteStatement": "Statement",
    "BatchExecuteStatement": "Statements",
    "ExecuteTransaction": "TransactStatements",
}
_STATEMENT = re.compile(
    r"""^\s*(?:(select)\b.*?\bfrom|(insert)\s+into|(update)|(delete)\s+from)\s+["']?([\w.-]+)""",
    re.IGNORECASE | re.DOTALL,
)


def install() -> None:
    """Ask the tables' policies, and take PartiQL statements for what they do."""
    lookups = iam_evaluator._RESOURCE_POLICY_LOOKUPS
    require("sqs" in lookups and "dynamodb" not in lookups, "table_policies", "policy look-ups")
    require_attributes("table_policies", dynamodb, "_resource_policies")
    require(
        hasattr(dynamodb._resource_policies, "get_scoped"),
        "table_policies",
        "policies by account and region",
    )
    request = ("service", "method", "path", "headers", "body", "query_params")
    require_parameters("table_policies", iam_actions.extract_iam_action, *request)
    require_parameters(
        "table_policies", iam_actions.extract_resource_arn, *request, "region", "account_id"
    )
    # The look-up table names a function of the service's module.
    dynamodb.table_policy_for_arn = _policy
    lookups["dynamodb"] = ("dynamodb", "table_policy_for_arn")
    iam_actions.extract_iam_action = _with_partiql_actions(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _with_partiql_tables(iam_actions.extract_resource_arn)


def _policy(arn: str) -> tuple[str, str] | None:
    """(policy, owner) of a table; a stream has a policy of its own, which we have none of."""
    kind, region, account, resource = (arn.split(":", 5) + [""] * 6)[2:6]
    table = resource.partition("/index/")[0]
    if kind != "dynamodb" or not table.startswith("table/") or "/stream/" in table:
        return None
    partition = arn.split(":")[1]
    found = dynamodb._resource_policies.get_scoped(
        account, region, f"arn:{partition}:dynamodb:{region}:{account}:{table}"
    )
    return (found["Policy"], account) if found else None


def _with_partiql_actions(original: Any) -> Any:
    def extract_iam_action(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: Any,
    ) -> Any:
        statement = _partiql(service, headers, body)
        if statement:
            return f"dynamodb:PartiQL{statement[0]}"
        return original(service, method, path, headers, body, query_params)

    return extract_iam_action


def _with_partiql_tables(original: Any) -> Any:
    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: Any,
        region: str,
        account_id: str,
    ) -> Any:
        statement = _partiql(service, headers, body)
        if statement:
            return f"arn:aws:dynamodb:{region}:{account_id}:table/{statement[1]}"
        return original(service, method, path, headers, body, query_params, region, account_id)

    return extract_resource_arn


def _partiql(service: str, headers: dict[str, str], body: bytes) -> tuple[str, str] | None:
    """(what it does, table) of a PartiQL request; of several statements the first that writes."""
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    member = _REQUESTS.get(operation)
    if service != "dynamodb" or member is None:
        return None
    try:
        request = json.loads(body)
        several = request[member] if operation != "ExecuteStatement" else [request]
        found = [_what(str(one["Statement"])) for one in several]
    except (ValueError, KeyError, TypeError):
        return None
    known = [one for one in found if one]
    return next((one for one in known if one[0] != "Select"), known[0] if known else None)


def _what(statement: str) -> tuple[str, str] | None:
    found = _STATEMENT.match(statement)
    if not found:
        return None
    verb = next(word for word in found.groups()[:4] if word)
    return _VERBS[verb.lower()], found[5]
