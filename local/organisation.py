"""The accounts of the embedded organisation, and the sessions of the people in it."""

from __future__ import annotations

import os
from typing import Any

import boto3

REGION = "us-east-1"
ACCOUNTS = {
    "central": "111122223333",
    "dev": "444455556666",
    "test": "777788889999",
    "prod": "123456789012",
}
# Persona -> (account, role, the person who plays it unless another is named).
PERSONAS = {
    "data-scientist": ("dev", "governed-path-data-scientist", "dana"),
    "ai-engineer": ("central", "governed-path-ai-engineer", "alex"),
    "governance-engineer": ("central", "governed-path-governance-engineer", "grace"),
    "admin": ("central", "governed-path-admin", "adam"),
}
# Review -> (persona, the person who gives it unless another is named). A high-tier model needs
# four people, none of whom approves for a stage.
REVIEWERS = {
    "technical": ("ai-engineer", "tess"),
    "business": ("governance-engineer", "bruno"),
    "compliance": ("governance-engineer", "chloe"),
    "deployment": ("governance-engineer", "remy"),
}


def root_session(account: str) -> boto3.Session:
    """The root of an account; the emulator takes its id as access key."""
    return boto3.Session(account, "local", region_name=REGION)


def own_environment() -> dict[str, str]:
    """This process's environment without any AWS settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def environment(session: boto3.Session, endpoint_url: str) -> dict[str, str]:
    """This process's environment for a tool that acts with the session's credentials.

    None of the user's own AWS settings are in it: a profile of theirs must not decide anything.
    """
    credentials = session.get_credentials()
    assert credentials is not None, "every session here is made with credentials"
    frozen = credentials.get_frozen_credentials()
    return own_environment() | {
        "AWS_ACCESS_KEY_ID": str(frozen.access_key),
        "AWS_SECRET_ACCESS_KEY": str(frozen.secret_key),
        "AWS_SESSION_TOKEN": str(frozen.token or ""),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def persona_session(persona: str, endpoint_url: str, person: str | None = None) -> boto3.Session:
    """A session of the persona's own role in its own account, with the person as source identity.

    KeyError for an unknown persona.
    """
    place, role, player = PERSONAS[persona]
    return assume(
        root_session(ACCOUNTS[place]),
        f"arn:aws:iam::{ACCOUNTS[place]}:role/{role}",
        endpoint_url,
        person or player,
        source_identity=True,
    )


def assume(
    session: boto3.Session,
    role_arn: str,
    endpoint_url: str | None,
    session_name: str,
    source_identity: bool = False,
) -> boto3.Session:
    """A session of the role, assumed by `session`."""
    identity: dict[str, Any] = {"SourceIdentity": session_name} if source_identity else {}
    credentials = session.client("sts", endpoint_url=endpoint_url).assume_role(
        RoleArn=role_arn, RoleSessionName=session_name, **identity
    )["Credentials"]
    return boto3.Session(
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["SessionToken"],
        region_name=REGION,
    )
