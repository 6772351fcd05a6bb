"""Nobody changes the ledger: each denial, tried with real calls by every role that is deployed.

Roles of functions and services are lent for the purpose (`Organisation.borrow`): what is tried is
what the role could do if its function had been taken over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from cli.errors import GovernError
from governance.adapters import items
from governance.domain import attestations
from tests.contracts import samples
from tests.e2e.organisation import (
    CENTRAL,
    DEV,
    LEDGER_BUCKET,
    PROD,
    REGION,
    TEST,
    Organisation,
    denied,
    eventually,
)

LEDGER, HEADS = (
    f"arn:aws:dynamodb:{REGION}:{CENTRAL}:table/governed-path-{name}"
    for name in ("ledger", "ledger-heads")
)
WRITERS = {
    f"governed-path-{name}"
    for name in (
        *("record", "record-decision", "record-policy-change", "record-registration"),
        *("check-review-deadlines", "detect-tampering", "grant-clearance", "revoke-clearance"),
        "record-unfinished-run",
    )
}
ARCHIVER = "governed-path-archive-entry"


@dataclass(frozen=True)
class Recorded:
    """A model with two entries, as table and archive have them."""

    model: str
    rows: list[dict[str, Any]]
    head: dict[str, Any]
    version_id: str

    @property
    def key(self) -> str:
        """The first entry in the archive."""
        return attestations.archive_key(self.model, 1)


def _record(organisation: Organisation, model: str, number: int) -> None:
    """The root of Central invokes the function that records, as a state machine does."""
    claim = hashlib.sha256(f"{model} {number}".encode()).hexdigest()
    promotion = {**samples.promotion("Test"), "model": model, "claim_id": claim}
    request = {
        "kind": "ValidationErrored",
        "promotion": promotion,
        "stage": "Test",
        "stage_status": "Errored",
        "failure": {"Error": "States.Timeout", "Cause": "a test of the ledger"},
    }
    answer = organisation.root(CENTRAL, "lambda").invoke(
        FunctionName="governed-path-record", Payload=json.dumps(request)
    )
    assert json.loads(answer["Payload"].read())["sequence"] == number


def _rows(organisation: Organisation, model: str) -> list[dict[str, Any]]:
    found = organisation.reader.client("dynamodb").query(
        TableName="governed-path-ledger",
        KeyConditionExpression="model = :model",
        ExpressionAttributeValues={":model": {"S": model}},
    )
    return [items.from_item(item) for item in found["Items"]]


def _head(organisation: Organisation, model: str) -> dict[str, Any]:
    found = organisation.reader.client("dynamodb").get_item(
        TableName="governed-path-ledger-heads", Key={"model": {"S": model}}
    )
    return items.from_item(found["Item"])


def _archived(organisation: Organisation, key: str) -> dict[str, Any]:
    """The object, as soon as the stream has brought it."""
    s3 = organisation.reader.client("s3")

    def look() -> Any:
        try:
            return s3.get_object(Bucket=LEDGER_BUCKET, Key=key)
        except s3.exceptions.NoSuchKey:
            return None

    return dict(eventually(look, f"{key} in the archive"))


def _recorded(organisation: Organisation, model: str) -> Recorded:
    for number in (1, 2):
        _record(organisation, model, number)
    version = _archived(organisation, attestations.archive_key(model, 1))["VersionId"]
    return Recorded(model, _rows(organisation, model), _head(organisation, model), version)


@pytest.fixture(scope="module")
def recorded(organisation: Organisation) -> Recorded:
    return _recorded(organisation, "append-only-model")


def _roles(organisation: Organisation) -> list[tuple[str, str]]:
    """(account, name) of every role of ours."""
    return [
        (account, role["RoleName"])
        for account in (CENTRAL, DEV, TEST, PROD)
        for page in organisation.root(account, "iam").get_paginator("list_roles").paginate()
        for role in page["Roles"]
        if role["RoleName"].startswith("governed-path-")
    ]


Attempt = tuple[str, Callable[..., Any], dict[str, Any]]


def _entry_attempts(session: boto3.Session, recorded: Recorded) -> list[Attempt]:
    """Every way to change or remove an entry, its marker or a head."""
    dynamodb = session.client("dynamodb")
    first, model = items.to_item(recorded.rows[0]), recorded.model
    key = {"model": first["model"], "sequence": first["sequence"]}
    marker = {"model": {"S": f"entry#{recorded.rows[0]['entry_id']}"}, "sequence": {"N": "0"}}
    head = {"model": {"S": model}}
    change = {
        "UpdateExpression": "SET kind = :kind",
        "ExpressionAttributeValues": {":kind": {"S": "ValidationPassed"}},
    }
    where = f"WHERE model = '{model}' AND sequence = 1"
    write = dynamodb.transact_write_items
    batch = dynamodb.batch_write_item
    partiql = dynamodb.execute_statement
    of_heads = f"\"governed-path-ledger-heads\" WHERE model = '{model}'"
    return [
        ("update", dynamodb.update_item, {"TableName": LEDGER, "Key": key, **change}),
        ("delete", dynamodb.delete_item, {"TableName": LEDGER, "Key": key}),
        ("delete marker", dynamodb.delete_item, {"TableName": LEDGER, "Key": marker}),
        ("batch put", batch, {"RequestItems": {LEDGER: [{"PutRequest": {"Item": first}}]}}),
        ("batch delete", batch, {"RequestItems": {LEDGER: [{"DeleteRequest": {"Key": key}}]}}),
        *(
            (f"transact {verb}", write, {"TransactItems": [{verb: {"TableName": LEDGER, **what}}]})
            for verb, what in (("Update", {"Key": key, **change}), ("Delete", {"Key": key}))
        ),
        *(
            (f"PartiQL {statement[:6]}", partiql, {"Statement": statement})
            for statement in (
                f"UPDATE \"governed-path-ledger\" SET kind = 'X' {where}",
                f'DELETE FROM "governed-path-ledger" {where}',
                f"INSERT INTO \"governed-path-ledger\" VALUE {{'model': '{model}', 'sequence': 9}}",
                f"UPDATE {of_heads.replace(' WHERE', ' SET head = 1 WHERE')}",
                f"DELETE FROM {of_heads}",
            )
        ),
        (
            "batch PartiQL",
            dynamodb.batch_execute_statement,
            {"Statements": [{"Statement": f'DELETE FROM "governed-path-ledger" {where}'}]},
        ),
        ("put head", dynamodb.put_item, {"TableName": HEADS, "Item": head}),
        ("delete head", dynamodb.delete_item, {"TableName": HEADS, "Key": head}),
        (
            "expire",
            dynamodb.update_time_to_live,
            {
                "TableName": LEDGER,
                "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "recorded_at"},
            },
        ),
        ("drop", dynamodb.delete_table, {"TableName": LEDGER}),
        ("open", dynamodb.delete_resource_policy, {"ResourceArn": LEDGER}),
    ]


def _writing_attempts(session: boto3.Session, recorded: Recorded) -> list[Attempt]:
    """What only the roles that append may do."""
    dynamodb, kms = session.client("dynamodb"), session.client("kms")
    first = items.to_item(recorded.rows[0])
    key_arn = f"arn:aws:kms:{REGION}:{CENTRAL}:alias/governed-path-ledger"
    return [
        ("put", dynamodb.put_item, {"TableName": LEDGER, "Item": first}),
        (
            "transact Put",
            dynamodb.transact_write_items,
            {"TransactItems": [{"Put": {"TableName": LEDGER, "Item": first}}]},
        ),
        (
            "move head",
            dynamodb.update_item,
            {
                "TableName": HEADS,
                "Key": {"model": first["model"]},
                "UpdateExpression": "SET head = :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            },
        ),
        (
            "sign",
            kms.sign,
            {
                "KeyId": key_arn,
                "Message": b"d" * 32,
                "MessageType": "DIGEST",
                "SigningAlgorithm": "ECDSA_SHA_256",
            },
        ),
    ]


def _archive_attempts(session: boto3.Session, recorded: Recorded) -> list[Attempt]:
    """Every way to remove, replace, hide or release an archived entry."""
    s3 = session.client("s3")
    place = {"Bucket": LEDGER_BUCKET, "Key": recorded.key}
    version = {**place, "VersionId": recorded.version_id}
    sooner = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime(2030, 1, 1, tzinfo=UTC)}
    return [
        ("hide", s3.delete_object, place),
        ("delete", s3.delete_object, version),
        ("bypass", s3.delete_object, {**version, "BypassGovernanceRetention": True}),
        ("overwrite", s3.put_object, {**place, "Body": b"{}"}),
        ("copy over", s3.copy_object, {**place, "CopySource": dict(place)}),
        ("upload over", s3.create_multipart_upload, place),
        ("release", s3.put_object_retention, {**version, "Retention": sooner}),
        ("hold", s3.put_object_legal_hold, {**version, "LegalHold": {"Status": "OFF"}}),
        (
            "unlock",
            s3.put_object_lock_configuration,
            {
                "Bucket": LEDGER_BUCKET,
                "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"},
            },
        ),
        ("open", s3.delete_bucket_policy, {"Bucket": LEDGER_BUCKET}),
        ("drop", s3.delete_bucket, {"Bucket": LEDGER_BUCKET}),
    ]


def test_no_role_can_change_or_remove_anything(
    organisation: Organisation, recorded: Recorded
) -> None:
    """Functions, workflows, registry, people and hub, of all four accounts."""
    roles = _roles(organisation)
    assert len(roles) > 40
    assert {name for _, name in roles} >= {*WRITERS, ARCHIVER, "governed-path-admin"}
    went_through = []
    for account, name in roles:
        session = organisation.borrow(account, name)
        attempts = _entry_attempts(session, recorded) + _archive_attempts(session, recorded)
        if name not in WRITERS:
            attempts += _writing_attempts(session, recorded)
        for what, call, arguments in attempts:
            if not denied(call, **arguments):
                went_through.append((account, name, what))
    assert went_through == []
    assert _rows(organisation, recorded.model) == recorded.rows
    assert _head(organisation, recorded.model) == recorded.head
    found = _archived(organisation, recorded.key)
    assert found["VersionId"] == recorded.version_id
    assert found["Body"].read().decode() == recorded.rows[0]["envelope"]


def test_nor_can_a_role_that_may_do_everything(
    organisation: Organisation, recorded: Recorded
) -> None:
    """An administrator's, or one that somebody adds: table, key and bucket deny by themselves.

    It can take the policies away, which the trail of the account shows, and drop an unprotected
    table; what was archived stays.
    """
    iam, name = organisation.root(CENTRAL, "iam"), "somebody-with-all-permissions"
    documents = {
        "trust": {"Principal": {"AWS": f"arn:aws:iam::{CENTRAL}:root"}, "Action": "sts:AssumeRole"},
        "all": {"Action": "*", "Resource": "*"},
    }
    trust, everything = (
        json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
        for statement in documents.values()
    )
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=everything)
    session = organisation.borrow(CENTRAL, name)
    attempts = [
        attempt
        for attempts in (_entry_attempts, _writing_attempts, _archive_attempts)
        for attempt in attempts(session, recorded)
        if attempt[0] not in {"open", "unlock"} and attempt[1].__name__ != "delete_table"
    ]
    assert [what for what, call, arguments in attempts if not denied(call, **arguments)] == []
    assert _rows(organisation, recorded.model) == recorded.rows


def test_not_even_the_archiver_replaces_what_it_archived(
    organisation: Organisation, recorded: Recorded
) -> None:
    s3 = organisation.borrow(CENTRAL, ARCHIVER).client("s3")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=LEDGER_BUCKET, Key=recorded.key, Body=b"{}", IfNoneMatch="*")


def test_not_even_root_deletes_an_archived_version(
    organisation: Organisation, recorded: Recorded
) -> None:
    """Object Lock in compliance mode asks nobody who they are."""
    s3 = organisation.root(CENTRAL, "s3")
    version = {"Bucket": LEDGER_BUCKET, "Key": recorded.key, "VersionId": recorded.version_id}
    lock = s3.get_object_retention(**version)["Retention"]
    assert lock["Mode"] == "COMPLIANCE"
    assert lock["RetainUntilDate"] > datetime.now(UTC)
    assert denied(s3.delete_object, **version, BypassGovernanceRetention=True)
    sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC)}
    with pytest.raises(ClientError, match=r"AccessDenied|InvalidArgument|InvalidRequest"):
        s3.put_object_retention(**version, Retention=sooner, BypassGovernanceRetention=True)


def test_table_and_archive_hold_the_same_signed_chain(
    organisation: Organisation, recorded: Recorded
) -> None:
    """With nothing but the public key."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    kms = organisation.reader.client("kms")
    der = kms.get_public_key(KeyId="alias/governed-path-ledger")["PublicKey"]
    key = SSlibKey.from_crypto(
        load_der_public_key(der), hashlib.sha256(der).hexdigest(), "ecdsa-sha2-nistp256"
    )
    previous = "0" * 64
    for number, row in enumerate(recorded.rows, start=1):
        archived = _archived(organisation, attestations.archive_key(recorded.model, number))
        assert archived["Body"].read().decode() == row["envelope"]
        Envelope.from_dict(json.loads(row["envelope"])).verify([key], threshold=1)
        assert attestations.entry_of(row["envelope"])["previous"] == previous
        previous = row["digest"]
        checkpoint = attestations.archive_key(recorded.model, number, checkpoint=True)
        text = _archived(organisation, checkpoint)["Body"].read().decode()
        Envelope.from_dict(json.loads(text)).verify([key], threshold=1)
        said = attestations.statement_in(text)["predicate"]
        assert (said["entries"], said["digest"]) == (number, previous)
    assert recorded.head["digest"] == previous


def test_an_overwrite_by_a_role_that_appends_is_found(organisation: Organisation) -> None:
    """IAM cannot demand a condition of PutItem: what one of them could do does not stay unseen.

    It would have to sign, which the taken function can, and still: chain, archive and alarm.
    """
    recorded = _recorded(organisation, "replaced-row-model")
    forged = attestations.entry_of(recorded.rows[0]["envelope"]) | {"kind": "ValidationPassed"}
    row = samples.row({**forged, "summary": {"metrics": {}}})
    dynamodb = organisation.borrow(CENTRAL, "governed-path-record").client("dynamodb")
    dynamodb.put_item(TableName=LEDGER, Item=items.to_item(row))
    eventually(lambda: organisation.alarmed(CENTRAL, "ledger-tampering"), "alarm ledger-tampering")
    archived = _archived(organisation, recorded.key)["Body"].read().decode()
    assert archived == recorded.rows[0]["envelope"]
    first, second = _rows(organisation, recorded.model)
    assert attestations.entry_of(second["envelope"])["previous"] != first["digest"]


def test_an_item_that_was_changed_is_not_read_as_an_entry(organisation: Organisation) -> None:
    """By the root of Central, whom the embedded AWS lets through; AWS would not."""
    recorded = _recorded(organisation, "changed-model")
    organisation.root(CENTRAL, "dynamodb").update_item(
        TableName=LEDGER,
        Key=items.to_item({"model": recorded.model, "sequence": 2}),
        UpdateExpression="SET kind = :kind",
        ExpressionAttributeValues={":kind": {"S": "ValidationPassed"}},
    )
    with pytest.raises(GovernError, match=f"item 2 of model {recorded.model} differs"):
        organisation.entries(recorded.model)
