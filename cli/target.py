"""Sessions: where a command acts and with whose credentials.

Locally, the persona's own role is assumed in the embedded AWS with the person as source identity;
in AWS, the profile does that. Reads go through the role governed-path-reader, taken from the
persona's session; what endpoints of the member accounts serve is seen through
governed-path-observer of their account, taken from the reader's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from cli.aws import calling
from cli.errors import NOT_RUNNING, GovernError, usage
from cli.options import Options
from governance.adapters import errors

READER_ROLE = "governed-path-reader"
OBSERVER_ROLE = "governed-path-observer"
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=5,
    user_agent_extra="governed-path-cli",
)
_DEPLOY = "deploy the stacks first: `make demo`"


@dataclass(frozen=True)
class Target:
    """The persona's session, and where Central is. `local` says that it is the embedded AWS."""

    session: boto3.Session
    persona: str
    central_account: str
    local: bool

    @cached_property
    def reader(self) -> boto3.Session:
        """A session of the role that may read ledger, directory and Central registry."""
        return reader_session(self.session, self.central_account)

    @cached_property
    def own_account(self) -> str:
        """The account of the persona's session (12 digits)."""
        return account_of(self.session)


class _EndpointSession(boto3.Session):
    """A session whose clients talk to one endpoint."""

    def __init__(self, endpoint_url: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.endpoint_url = endpoint_url

    def client(self, *arguments: Any, **options: Any) -> Any:
        options.setdefault("endpoint_url", self.endpoint_url)
        return super().client(*arguments, **options)


def open_target(options: Options) -> Target:
    """The target that the options name.

    GovernError `not_running` (exit 3) if there is no embedded AWS, `usage` if the options do not
    fit the target.
    """
    return _local(options) if options.target == "local" else _aws(options)


def local_target(persona: str, endpoint_url: str, person: str | None = None) -> Target:
    """The persona in the embedded AWS at `endpoint_url`, played by `person`.

    GovernError `not_deployed` (exit 3) if the persona's role is not there. KeyError for an unknown
    persona.
    """
    from local import organisation

    try:
        session = organisation.persona_session(persona, endpoint_url, person)
    except ClientError as error:
        if errors.code_of(error) not in ("NoSuchEntity", "AccessDenied", "AccessDeniedException"):
            raise
        role = organisation.PERSONAS[persona][1]
        raise GovernError(
            "not_deployed",
            f"the embedded AWS does not let anybody be {persona} (role {role}): "
            f"{errors.code_of(error)}",
            _DEPLOY,
            NOT_RUNNING,
        ) from error
    return Target(
        at_endpoint(session, endpoint_url), persona, organisation.ACCOUNTS["central"], local=True
    )


def at_endpoint(session: boto3.Session, endpoint_url: str) -> boto3.Session:
    """A session with the same credentials and region whose clients talk to `endpoint_url`."""
    credentials = session.get_credentials()
    if credentials is None:
        raise ValueError("the session has no credentials")
    frozen = credentials.get_frozen_credentials()
    return _EndpointSession(
        endpoint_url,
        aws_access_key_id=frozen.access_key,
        aws_secret_access_key=frozen.secret_key,
        aws_session_token=frozen.token,
        region_name=session.region_name,
        botocore_session=core(),
    )


def reader_session(session: boto3.Session, central_account: str) -> boto3.Session:
    """The role governed-path-reader of Central, taken from a persona's session.

    It talks to the endpoint that `session` talks to. GovernError `access_denied` if the role does
    not trust the session's.
    """
    return _assumed(
        session,
        central_account,
        READER_ROLE,
        "check that the Central stack is deployed and the persona's role may assume its reader",
    )


def observer_session(reader: boto3.Session, account: str) -> boto3.Session:
    """The role governed-path-observer of a member account, taken from the reader's session.

    GovernError `access_denied` if there is no such role, or if it does not trust the reader.
    """
    return _assumed(
        reader,
        account,
        OBSERVER_ROLE,
        f"check that the member stack of account {account} is deployed, and that TrustedAccountIds "
        "of the Central stack has the account",
    )


def _assumed(session: boto3.Session, account: str, role: str, hint: str) -> boto3.Session:
    partition = session.get_partition_for_region(session.region_name)
    role_arn = f"arn:{partition}:iam::{account}:role/{role}"
    with calling(f"assume {role_arn}", hint):
        credentials = session.client("sts").assume_role(
            RoleArn=role_arn, RoleSessionName="govern", DurationSeconds=3600
        )["Credentials"]
    arguments: dict[str, Any] = {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
        "region_name": session.region_name,
        "botocore_session": core(),
    }
    if isinstance(session, _EndpointSession):
        return _EndpointSession(session.endpoint_url, **arguments)
    return boto3.Session(**arguments)


def account_of(session: boto3.Session) -> str:
    """The account of the session (12 digits)."""
    with calling("ask AWS who we are"):
        return str(session.client("sts").get_caller_identity()["Account"])


def _local(options: Options) -> Target:
    from local import launcher, organisation

    if options.profile:
        raise usage("--profile is for --target aws", "choose the person with --user")
    if options.region not in (None, organisation.REGION):
        raise usage(
            f"the embedded AWS has no region {options.region!r}; expected {organisation.REGION}"
        )
    server = launcher.status()
    if server is None:
        raise GovernError(
            "not_running",
            "the embedded AWS is not running",
            "`make demo` starts and fills it; `govern local up` only starts it; "
            "for real accounts --target aws",
            NOT_RUNNING,
        )
    return local_target(options.persona, server.endpoint_url, options.user)


def _aws(options: Options) -> Target:
    if options.user:
        raise usage(
            "--user is for --target local",
            "in AWS the profile says who you are: its session name or source identity",
        )
    profile = options.profile or f"governed-path-{options.persona}"
    own = core(profile)
    with calling(f"use profile {profile}"):
        session = boto3.Session(
            profile_name=profile, region_name=options.region, botocore_session=own
        )
    if session.region_name is None:
        raise usage(f"profile {profile} has no region", "name it: --region")
    return Target(session, options.persona, _central(options, session), local=False)


def _central(options: Options, session: boto3.Session) -> str:
    if options.central_account:
        return options.central_account
    if options.persona == "data-scientist":
        raise usage(
            "a data scientist's session is in Dev and does not know the Central account",
            "--central-account ID, or set GOVERNED_PATH_CENTRAL_ACCOUNT",
        )
    return account_of(session)


def core(profile: str | None = None) -> Any:
    """A botocore session with our retry policy, which parses no service model twice."""
    made = botocore.session.Session(profile=profile)
    made.register_component("data_loader", _loader())
    made.set_default_client_config(_CONFIG)
    return made


@cache
def _loader() -> Any:
    """One loader for all sessions: parsing SageMaker's service model takes longest of all."""
    return botocore.session.Session().get_component("data_loader")
