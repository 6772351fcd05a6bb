"""Waits for endpoints: which execution waits, by task token, for which endpoint to come to rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import clock, errors, items, sessions, workflows
from governance.domain import outcomes
from governance.domain.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Longer than the task that waits (30,600 s in deploy_endpoint), so only a dead wait can expire.
SECONDS = 30_900


class Waits:
    """The endpoint waits table, keyed by endpoint ARN: at most one execution waits for one."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb: DynamoDBClient = sessions.own_client("dynamodb")

    def start(self, wait: Mapping[str, Any]) -> None:
        """Store the wait {endpoint_arn, task_token, claim_id, config_name, modified_before, began,
        ...}; `began` is when the alarms were set back for it, None if there are none.

        Takes the place of an earlier wait of the same claim (a retried task has a new token) and
        of one that has expired; TransientError while another promotion waits for the endpoint.
        """
        what = f"store the wait for {wait['endpoint_arn']}"
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=items.to_item({**wait, "expires_at": clock.now(later_by=SECONDS)}),
                ConditionExpression=(
                    "attribute_not_exists(endpoint_arn) OR claim_id = :claim OR expires_at < :now"
                ),
                ExpressionAttributeValues={
                    ":claim": {"S": str(wait["claim_id"])},
                    ":now": {"S": clock.now()},
                },
            )
        except ClientError as error:
            if errors.code_of(error) == "ConditionalCheckFailedException":
                raise TransientError(
                    f"could not {what}: another promotion is deploying to this endpoint; "
                    "this one goes on when that one has finished"
                ) from error
            raise errors.translate(error, what) from error

    @contextmanager
    def held(self, wait: Mapping[str, Any]) -> Iterator[None]:
        """Store the wait, then run the block that causes what is waited for.

        If the block raises, nobody will ever answer: the wait is removed again.
        """
        self.start(wait)
        try:
            yield
        except BaseException:
            self.end(wait)
            raise

    def settle(self, wait: Mapping[str, Any], endpoint: Mapping[str, Any]) -> bool:
        """Answer the waiting execution if its endpoint (DescribeEndpoint) has come to rest.

        Answered first, removed second: a crash in between costs a second answer, which Step
        Functions refuses, and never an answer that nobody gives. True if this call answered. The
        answer also says when the deployment `began`.
        """
        outcome = outcomes.outcome_of(endpoint, wait["config_name"], wait["modified_before"])
        if outcome is None:
            return False
        answered = workflows.succeed(wait["task_token"], {**outcome, "began": wait.get("began")})
        self.end(wait)
        return answered

    def find(self, endpoint_arn: str) -> dict[str, Any] | None:
        """The wait for this endpoint, or None if nobody of ours waits for it."""
        with errors.translated(f"read the wait for {endpoint_arn}"):
            item = self._dynamodb.get_item(
                TableName=self._table,
                Key={"endpoint_arn": {"S": endpoint_arn}},
                ConsistentRead=True,
            ).get("Item")
        return None if item is None else items.from_item(item)

    def end(self, wait: Mapping[str, Any]) -> bool:
        """Remove the wait if it still holds this token; True for the one caller who did."""
        endpoint_arn = str(wait["endpoint_arn"])
        try:
            self._dynamodb.delete_item(
                TableName=self._table,
                Key={"endpoint_arn": {"S": endpoint_arn}},
                ConditionExpression="task_token = :token",
                ExpressionAttributeValues={":token": {"S": str(wait["task_token"])}},
            )
        except ClientError as error:
            if errors.code_of(error) == "ConditionalCheckFailedException":
                return False
            raise errors.translate(error, f"remove the wait for {endpoint_arn}") from error
        return True
