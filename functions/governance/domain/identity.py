"""Who decided: the person behind a session, and the persona of the role they used.

Unified Studio users share project roles, so separation of duties compares persons and never
role ARNs (DESIGN.md, rule 5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PERSONA_ROLES = {
    "governed-path-data-scientist": "data-scientist",
    "governed-path-ai-engineer": "ai-engineer",
    "governed-path-governance-engineer": "governance-engineer",
    "governed-path-admin": "admin",
    "governed-path-training": "training-pipeline",
}
# Session names that SDKs, the CLI and SageMaker make up: they say nothing of who it was.
# Numbers are clocks (the SDKs of Go and PHP), i-... are instances.
_MADE_UP = re.compile(
    r"((botocore-session|AWSCLI-Session|aws-(go-)?sdk(-\w+)?|SageMaker)(-.*)?|[\d.]+|i-[0-9a-f]+)",
    re.IGNORECASE,
)
_ASSUMED_ROLE = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):sts::(?P<account>\d{12}):assumed-role/"
    r"(?P<role>[^/]+)/(?P<session>.+)"
)


def identity_of(user: Mapping[str, Any] | None) -> dict[str, Any]:
    """The identity of a SageMaker UserContext (LastModifiedBy, CreatedBy).

    {person, persona, role_arn, session_arn, source_identity}; `person` is "" when nothing in the
    context tells who it was, which no gate accepts. `persona` is None for a role that is no
    persona's.
    """
    context = user or {}
    iam = context.get("IamIdentity") or {}
    arn = str(iam.get("Arn") or "")
    session = _ASSUMED_ROLE.fullmatch(arn)
    role_arn = (
        f"arn:{session['partition']}:iam::{session['account']}:role/{session['role']}"
        if session
        else arn
    )
    return {
        "person": _person(context, iam, session["session"] if session else arn),
        "persona": PERSONA_ROLES.get(session["role"]) if session else None,
        "role_arn": role_arn,
        "session_arn": arn,
        "source_identity": iam.get("SourceIdentity") or None,
    }


def same_person(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """True if both are known to be, or could be, the same person.

    An unknown person could be anybody, so it counts as the same: separation of duties is proven
    or it is not there.
    """
    first, second = _name(one), _name(other)
    return not first or not second or first == second


def account_of(arn: str) -> str:
    """The account id in an ARN, or "" if it has none."""
    parts = arn.split(":")
    return parts[4] if len(parts) > 4 else ""


def _person(context: Mapping[str, Any], iam: Mapping[str, Any], session: str) -> str:
    known = iam.get("SourceIdentity") or context.get("UserProfileName")
    return str(known or ("" if _MADE_UP.fullmatch(session) else session))


def _name(identity: Mapping[str, Any] | None) -> str:
    return str((identity or {}).get("person") or "").strip().casefold()
