"""Credentials: the function's own, and those of roles elsewhere. The only sts:AssumeRole.

A `Sessions` lives as long as one invocation. Assumed credentials expire while a warm function
does not, so they are never kept longer; the function's own role is renewed by Lambda itself, so
its session and clients are made once per process.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import boto3
import botocore.session
from botocore.config import Config

from governance.adapters import errors, parallel
from governance.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

# Adaptive retries slow us down before the service has to: a few calls per second are all that
# the SageMaker control plane allows, and many promotions run at once.
CONFIG = Config(
    retries={"mode": "adaptive", "total_max_attempts": 5},
    connect_timeout=5,
    read_timeout=25,
    user_agent_extra="governed-path",
)
# S3 answers a server-side copy when it is done: some seconds for each GiB, of which there are five.
_PATIENT = CONFIG.merge(Config(read_timeout=600, max_pool_connections=parallel.REQUESTS))
_SECONDS = 900  # the longest a function runs; also the shortest session that STS gives


class Sessions:
    """The sessions of one invocation; each role elsewhere is assumed at most once."""

    def __init__(self, settings: Settings, claim_id: str) -> None:
        self._settings = settings
        # Shows in the other account's CloudTrail which promotion acted.
        self._name = f"gp-{claim_id[:32]}" if claim_id else "gp-unclaimed"
        self._assumed: dict[str, boto3.Session] = {}

    def registry(self) -> boto3.Session:
        """The role that may set the system's statuses in the Central registry."""
        settings = self._settings
        return self._role(settings.registry_account_id, settings.registry_role_name)

    def lineage(self) -> boto3.Session:
        """The role that may add to the registry account's lineage, and nothing else."""
        settings = self._settings
        return self._role(settings.registry_account_id, settings.lineage_role_name)

    def hub(self, account: str) -> boto3.Session:
        """The hub's role in a member account (12 digits)."""
        return self._role(account, self._settings.hub_role_name)

    def endpoint(self, account: str) -> boto3.Session:
        """The role of the account's endpoints, to read what is cleared for them and nothing else.

        Whatever more the role may do, the session may not.
        """
        settings = self._settings
        models = f"arn:{self._partition()}:s3:::{settings.artifacts_bucket}/models/*"
        reads = {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion", "kms:Decrypt"],
            "Resource": [models, settings.kms_key_arn],
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [reads]})
        return self._role(account, settings.endpoint_execution_role_name, policy)

    def _role(self, account: str, role_name: str, policy: str | None = None) -> boto3.Session:
        role_arn = f"arn:{self._partition()}:iam::{account}:role/{role_name}"
        if role_arn not in self._assumed:
            self._assumed[role_arn] = assume(
                role_arn, self._name, self._settings.hub_external_id, policy
            )
        return self._assumed[role_arn]

    def _partition(self) -> str:
        return self._settings.kms_key_arn.split(":")[1]


def assume(
    role_arn: str, session_name: str, external_id: str, policy: str | None = None
) -> boto3.Session:
    """A session as the role, with no more than `policy` (JSON) of what the role may do.

    AccessError if its trust policy or our own policy says no.
    """
    sts: STSClient = own_client("sts")
    narrowed: Any = {"Policy": policy} if policy else {}
    with errors.translated(
        f"assume {role_arn}",
        "check that its stack is deployed, that it trusts this function's role, and the ExternalId",
    ):
        credentials = sts.assume_role(
            RoleArn=role_arn,
            RoleSessionName=session_name,
            ExternalId=external_id,
            DurationSeconds=_SECONDS,
            **narrowed,
        )["Credentials"]
    core = botocore.session.Session()
    core.register_component("data_loader", _loader())
    return boto3.Session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        region_name=_own_session().region_name,
        botocore_session=core,
    )


@cache
def own_client(service: str) -> Any:
    """A client with the function's own role, made on first use and kept with the process."""
    return client(_own_session(), service)


def own_client_with(service: str, config: Config) -> Any:
    """A client with the function's own role and a retry policy of its own."""
    return client(_own_session(), service, config)


def client(session: boto3.Session, service: str, config: Config | None = None) -> Any:
    """A client of that session with our retry policy. Callers annotate its type."""
    config = config or (_PATIENT if service == "s3" else CONFIG)
    # boto3's overloads want the service as a literal; the callers know which one they ask for.
    return cast(Any, session).client(service, config=config)


def client_in(region: str, service: str, session: boto3.Session | None = None) -> Any:
    """A client for a region, of that session or with the function's own role."""
    if session is None and region == _own_session().region_name:
        return own_client(service)
    return client(session or _own_session(), service, CONFIG.merge(Config(region_name=region)))


@cache
def _own_session() -> boto3.Session:
    core = botocore.session.Session()
    core.register_component("data_loader", _loader())
    return boto3.Session(botocore_session=core)


@cache
def _loader() -> Any:
    """One loader for all sessions: SageMaker's service model alone takes 0.15 s to parse."""
    return botocore.session.Session().get_component("data_loader")
