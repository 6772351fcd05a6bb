"""Who decided: a person, never a role."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain.identity import PERSONA_ROLES, account_of, identity_of, same_person

ACCOUNT = "444455556666"


def _session(role: str, name: str) -> str:
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"


def _user(arn: str, source: str = "", profile: str = "") -> dict[str, Any]:
    iam = {"Arn": arn, "PrincipalId": "AROA:x"} | ({"SourceIdentity": source} if source else {})
    return {"IamIdentity": iam} | ({"UserProfileName": profile} if profile else {})


def test_a_session_of_a_persona_role_is_read_whole() -> None:
    arn = _session("governed-path-data-scientist", "session-1")
    assert identity_of(_user(arn, source="dana")) == {
        "person": "dana",
        "persona": "data-scientist",
        "role_arn": f"arn:aws:iam::{ACCOUNT}:role/governed-path-data-scientist",
        "session_arn": arn,
        "source_identity": "dana",
    }


@pytest.mark.parametrize(
    ("source", "profile", "person"),
    [
        ("dana", "profile-of-dana", "dana"),
        ("", "profile-of-dana", "profile-of-dana"),
        ("", "", "session-of-dana"),
    ],
    ids=["source identity", "user profile", "session name"],
)
def test_the_most_certain_name_wins(source: str, profile: str, person: str) -> None:
    user = _user(_session("datazone_usr_role_p_e", "session-of-dana"), source, profile)
    assert identity_of(user)["person"] == person


@pytest.mark.parametrize(
    "session",
    [
        "botocore-session-1763712000",
        "AWSCLI-Session",
        "aws-sdk-js-1763712000",
        "aws-go-sdk-17637120",
        "1700000000",
        "17.5",
        "i-0123abc",
        "SageMaker",
    ],
)
def test_a_name_that_a_tool_made_up_is_nobody(session: str) -> None:
    assert identity_of(_user(_session("governed-path-ai-engineer", session)))["person"] == ""


@pytest.mark.parametrize("session", ["ida", "i-0123abc@bank.example", "4711-ida"])
def test_a_name_that_only_looks_like_one_is_somebody(session: str) -> None:
    assert identity_of(_user(_session("governed-path-ai-engineer", session)))["person"] == session


@pytest.mark.parametrize(("role", "persona"), PERSONA_ROLES.items())
def test_each_persona_is_known_by_its_role(role: str, persona: str) -> None:
    assert identity_of(_user(_session(role, "s")))["persona"] == persona


@pytest.mark.parametrize(
    "arn",
    [
        _session("datazone_usr_role_p_e", "dana"),
        _session("governed-path-data-scientist-x", "dana"),
        _session("x-governed-path-data-scientist", "dana"),
        f"arn:aws:iam::{ACCOUNT}:user/governed-path-data-scientist",
        f"arn:aws:iam::{ACCOUNT}:role/governed-path-data-scientist",
        f"arn:aws:iam::{ACCOUNT}:root",
        "governed-path-data-scientist",
    ],
)
def test_what_is_no_session_of_a_persona_role_is_no_persona(arn: str) -> None:
    assert identity_of(_user(arn))["persona"] is None


def test_other_partitions_are_kept() -> None:
    arn = _session("governed-path-admin", "adam").replace("arn:aws:", "arn:aws-us-gov:")
    found = identity_of(_user(arn))
    assert found["role_arn"] == f"arn:aws-us-gov:iam::{ACCOUNT}:role/governed-path-admin"
    assert found["persona"] == "admin"


def test_an_iam_user_is_the_person_its_arn_names() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:user/dana"
    assert (identity_of(_user(arn))["person"], identity_of(_user(arn))["role_arn"]) == (arn, arn)


@pytest.mark.parametrize("user", [None, {}, {"IamIdentity": None}, {"IamIdentity": {}}], ids=repr)
def test_nobody_is_an_unknown_person(user: Any) -> None:
    found = identity_of(user)
    assert (found["person"], found["persona"], found["source_identity"]) == ("", None, None)


def test_one_person_in_two_roles_is_one_person() -> None:
    trainer = identity_of(_user(_session("governed-path-training", "run-7"), source="theo"))
    approver = identity_of(_user(_session("governed-path-data-scientist", "s"), source="Theo "))
    assert trainer["role_arn"] != approver["role_arn"]
    assert same_person(trainer, approver)


def test_two_people_in_one_role_are_two_people() -> None:
    """Unified Studio users share project roles."""
    role = "datazone_usr_role_p_e"
    one, other = (identity_of(_user(_session(role, name))) for name in ("theo", "dana"))
    assert one["role_arn"] == other["role_arn"]
    assert not same_person(one, other)


@pytest.mark.parametrize("unknown", [None, {}, {"person": ""}, {"person": " "}], ids=repr)
def test_an_unknown_person_could_be_anybody(unknown: Any) -> None:
    dana = {"person": "dana"}
    assert same_person(unknown, dana)
    assert same_person(dana, unknown)
    assert same_person(unknown, unknown)


@pytest.mark.parametrize(
    ("arn", "account"),
    [
        (_session("r", "s"), ACCOUNT),
        ("arn:aws:s3:::bucket", ""),
        ("not an arn", ""),
        ("", ""),
    ],
)
def test_the_account_of_an_arn(arn: str, account: str) -> None:
    assert account_of(arn) == account

    known = {"IamIdentity": {"Arn": arn, "SourceIdentity": "alex"}}
    assert identity_of(known)["person"] == "alex"
