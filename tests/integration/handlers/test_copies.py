"""Bytes arrive in Central as they were registered, or not at all; and a copy can stop anywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from governance.adapters import receipts, sessions
from governance.adapters.artifacts import Artifacts
from governance.adapters.copies import Copies
from governance.domain import locations
from governance.domain.errors import (
    AccessError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    TransientError,
)

from .conftest import ARTIFACTS, CENTRAL, DEV, EVIDENCE, PROJECT, REGION

BYTES = b"a model" * 1000
PART = 64 * 1024  # bytes; S3 itself takes none below 5 MiB, except the last
MODEL = "clinical-risk-classifier"
PROMOTION = {
    "claim_id": "c" * 64,
    "workflow": "promote_to_central",
    "stage": "Dev",
    "model": MODEL,
    "model_package_arn": f"arn:aws:sagemaker:{REGION}:{DEV}:model-package/m/1",
    "account": DEV,
    "decided_at": "2026-01-31T12:00:00Z",
    "event_id": "e",
    "execution_arn": f"arn:aws:states:{REGION}:{CENTRAL}:execution:promote:run",
}


class Promotion:
    """The copy of one candidate, function by function, as the state machine calls them."""

    def __init__(self, aws: Callable[..., Any], lambdas: Callable[..., Any]) -> None:
        self.candidate_id = hashlib.sha256(uuid4().bytes).hexdigest()
        self.home = f"runs/{uuid4().hex}/"
        self.s3, self.dev = aws("s3"), aws("s3", DEV)
        self._lambdas = lambdas
        self.objects: list[dict[str, Any]] = []

    # ------------------------------------------------------------------ Dev

    def put(self, name: str, body: bytes = BYTES) -> dict[str, Any]:
        """An object in Dev that has its digest."""
        key = self.home + name
        self.dev.put_object(Bucket=PROJECT, Key=key, Body=body, ChecksumAlgorithm="SHA256")
        return {"bucket": PROJECT, "key": key}

    def put_in_parts(self, name: str, *parts: bytes) -> dict[str, Any]:
        """An object in Dev that was uploaded in parts."""
        where = {"Bucket": PROJECT, "Key": self.home + name}
        _upload(self.dev, where, *parts)
        return {"bucket": PROJECT, "key": where["Key"]}

    def refer(self, role: str, place: dict[str, Any]) -> dict[str, Any]:
        """Make it an object of the candidate, as BuildCandidate does; its location."""
        origin = Artifacts()
        origin._s3 = self.dev
        bucket, key = place["bucket"], place["key"]

        def with_parts(one: dict[str, Any]) -> dict[str, Any]:
            in_parts = locations.is_in_parts(one)
            return {**one, "part_sizes": origin.part_sizes(one)} if in_parts else one

        if key.endswith("/"):
            objects = [with_parts(one) for one in origin.locate_under(bucket, key)]
            body = locations.listing(objects)
            name = f"listings/{MODEL}/{hashlib.sha256(body).hexdigest()}.jsonl"
            self.s3.put_object(Bucket=EVIDENCE, Key=name, Body=body, ChecksumAlgorithm="SHA256")
            found = locations.prefix_of(bucket, key, objects, f"s3://{EVIDENCE}/{name}")
        else:
            found = with_parts(origin.locate(bucket, key))
        self.objects.append({"role": role, **found})
        return self.objects[-1]

    # ------------------------------------------------------------------ the functions

    def plan(self) -> list[dict[str, Any]]:
        """The batches that PlanCopy leaves."""
        plan = self._call("plan_copy", candidate=self._candidate())["plan"]
        if not plan["batches"]:
            return []
        body = self.s3.get_object(Bucket=plan["bucket"], Key=plan["key"])["Body"].read()
        batches = [json.loads(line) for line in body.splitlines()]
        assert len(batches) == plan["batches"]
        return batches

    def copy(self, batch: dict[str, Any], attempt: int = 0) -> int:
        """How many requests CopyBatch made."""
        return int(
            self._call("copy_batch", candidate_id=self.candidate_id, batch=batch, attempt=attempt)[
                "copied"
            ]
        )

    def verify(self) -> dict[str, dict[str, Any]]:
        """Role -> what VerifyCopy found in Central."""
        objects = self._call("verify_copy", candidate=self._candidate())["objects"]
        return {one["role"]: one for one in objects}

    def abandon(self) -> int:
        return int(self._call("abandon_copy", candidate_id=self.candidate_id)["abandoned"])

    def run(self) -> dict[str, dict[str, Any]]:
        """All of it."""
        for batch in self.plan():
            self.copy(batch)
        return self.verify()

    def _candidate(self) -> dict[str, Any]:
        return {
            "candidate_id": self.candidate_id,
            "manifest_uri": "s3://evidence/manifest",
            "objects": self.objects,
        }

    def _call(self, name: str, **event: Any) -> dict[str, Any]:
        given = json.loads(json.dumps({"promotion": PROMOTION, **event}))
        result: dict[str, Any] = self._lambdas(name)(given)
        return result

    # ------------------------------------------------------------------ Central

    def body(self, location: dict[str, Any]) -> bytes:
        where = {"Bucket": location["bucket"], "Key": location["key"]}
        return bytes(self.s3.get_object(**where)["Body"].read())

    def versions(self) -> int:
        """How many versions of objects there are in Central of this candidate."""
        prefix = f"models/{MODEL}/{self.candidate_id}/"
        return len(
            self.s3.list_object_versions(Bucket=ARTIFACTS, Prefix=prefix).get("Versions", [])
        )

    def unfinished(self) -> list[str]:
        found = self.s3.list_multipart_uploads(Bucket=ARTIFACTS)
        return [one["UploadId"] for one in found.get("Uploads", [])]


def _upload(s3: Any, where: dict[str, str], *parts: bytes) -> None:
    upload = s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
    sent = []
    for number, body in enumerate(parts, 1):
        answer = s3.upload_part(
            **where, UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256"
        )
        kept = {key: answer[key] for key in ("ETag", "ChecksumSHA256")}
        sent.append({"PartNumber": number, **kept})
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": sent})


@pytest.fixture
def promotion(aws: Callable[..., Any], lambdas: Callable[..., Any]) -> Promotion:
    dev = aws("s3", DEV)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{CENTRAL}:root"},
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{PROJECT}", f"arn:aws:s3:::{PROJECT}/*"],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    dev.put_bucket_policy(Bucket=PROJECT, Policy=json.dumps(policy))
    return Promotion(aws, lambdas)


@pytest.fixture
def large(promotion: Promotion) -> tuple[Promotion, list[bytes]]:
    """A promotion of one object in three parts, and those."""
    parts = [bytes([n]) * PART for n in (1, 2)] + [b"the end"]
    promotion.refer("model-data", promotion.put_in_parts("model.tar.gz", *parts))
    return promotion, parts


# ------------------------------------------------------------------ what arrives


def test_an_object_arrives_encrypted_tagged_and_locked(promotion: Promotion, key_arn: str) -> None:
    source = promotion.refer("model-data", promotion.put("model.tar.gz"))
    arrived = promotion.run()["model-data"]
    assert locations.same_bytes(arrived, source)
    assert promotion.body(arrived) == BYTES
    where = {"Bucket": arrived["bucket"], "Key": arrived["key"]}
    head = promotion.s3.head_object(**where)
    assert (head["SSEKMSKeyId"], head["VersionId"]) == (key_arn, arrived["version_id"])
    _tagged_and_locked(promotion, arrived)


def _tagged_and_locked(promotion: Promotion, arrived: dict[str, Any]) -> None:
    where = {"Bucket": arrived["bucket"], "Key": arrived["key"]}
    tags = promotion.s3.get_object_tagging(**where)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        "candidate-id": promotion.candidate_id,
        "model": MODEL,
        "cleared-test": "no",
        "cleared-prod": "no",
    }
    with pytest.raises(ClientError, match="AccessDenied"):
        promotion.s3.delete_object(**where, VersionId=arrived["version_id"])


def test_an_object_in_parts_arrives_with_the_same_composite(
    large: tuple[Promotion, list[bytes]],
) -> None:
    promotion, parts = large
    (source,) = promotion.objects
    assert source["part_sizes"] == [[2, PART], [1, len(b"the end")]]
    arrived = promotion.run()["model-data"]
    assert locations.same_bytes(arrived, source)
    assert arrived["sha256"] == locations.composite(
        [hashlib.sha256(part).hexdigest() for part in parts]
    )
    assert promotion.body(arrived) == b"".join(parts)
    _tagged_and_locked(promotion, arrived)
    # And it is read as what it is.
    whole = Artifacts().read(arrived, limit=20 * 1024**2)
    assert whole == b"".join(parts)


def test_a_prefix_arrives_with_everything_under_it(promotion: Promotion) -> None:
    names = [f"model/weights/{n:02}.bin" for n in range(30)]
    for name in names:
        promotion.put(name, name.encode())
    promotion.put("model/__init__.py", b"")
    promotion.put("model-of-somebody-else", b"not under it")
    promotion.put_in_parts("model/large.bin", b"l" * PART, b"end")
    source = promotion.refer("model-data", {"bucket": PROJECT, "key": f"{promotion.home}model/"})
    assert source["objects"] == 32
    arrived = promotion.run()["model-data"]
    assert locations.same_bytes(arrived, source)
    assert arrived["key"] == f"models/{MODEL}/{promotion.candidate_id}/model-data/"
    found = list(Artifacts().expand(arrived))
    assert sorted(one["key"].removeprefix(arrived["key"]) for one in found) == sorted(
        ["__init__.py", "large.bin", *(name.removeprefix("model/") for name in names)]
    )
    assert promotion.body(found[-1]) == names[-1].encode()
    assert promotion.unfinished() == []


def test_copying_again_copies_nothing(large: tuple[Promotion, list[bytes]]) -> None:
    promotion, _ = large
    promotion.refer("evaluation", promotion.put("evaluation.json"))
    first = promotion.run()
    assert promotion.plan() == []
    assert promotion.verify() == first
    assert promotion.versions() == 2


def test_two_runs_that_began_at_once_leave_one_object_and_no_upload(
    large: tuple[Promotion, list[bytes]],
) -> None:
    """Each has an upload of its own; the one that is whole counts, whichever began first."""
    promotion, parts = large
    with pytest.MonkeyPatch.context() as nothing_yet:
        nothing_yet.setattr(Copies, "unfinished", lambda self: {})
        (slow,), (fast,) = promotion.plan(), promotion.plan()
    assert len(promotion.unfinished()) == 2
    promotion.copy(fast)
    assert promotion.body(promotion.verify()["model-data"]) == b"".join(parts)
    assert promotion.unfinished() == []
    # The other one is tried again, as the state machine does, and finds that all is done.
    assert promotion.copy(slow, attempt=1) == 0
    assert promotion.versions() == 1


def test_two_runs_that_complete_at_once_make_one_version(
    large: tuple[Promotion, list[bytes]],
) -> None:
    """A second one would be the present one, and open to nobody: the first is registered."""
    promotion, parts = large
    with pytest.MonkeyPatch.context() as nothing_yet:
        nothing_yet.setattr(Copies, "unfinished", lambda self: {})
        for batch in (*promotion.plan(), *promotion.plan()):
            promotion.copy(batch)
    unfinished, first = Copies.unfinished, list[dict[str, Any]]()

    def overtaken(**_: Any) -> None:
        """The other run, which sees its own upload alone, is done before this one's request."""
        if not first:
            first.append({})
            with pytest.MonkeyPatch.context() as its_own:
                its_own.setattr(
                    Copies,
                    "unfinished",
                    lambda self: {key: ids[-1:] for key, ids in unfinished(self).items()},
                )
                first[0] = promotion.verify()["model-data"]

    with _before("CompleteMultipartUpload", overtaken):
        assert promotion.verify()["model-data"] == first[0]
    assert promotion.body(first[0]) == b"".join(parts)
    assert (promotion.versions(), promotion.unfinished()) == (1, [])


def test_an_upload_takes_the_place_of_something_else(
    large: tuple[Promotion, list[bytes]],
) -> None:
    promotion, parts = large
    (batch,) = promotion.plan()
    promotion.copy(batch)
    key = batch["parts"][0]["key"]
    promotion.s3.put_object(Bucket=ARTIFACTS, Key=key, Body=b"?", ChecksumAlgorithm="SHA256")
    assert promotion.body(promotion.verify()["model-data"]) == b"".join(parts)
    assert promotion.unfinished() == []


def test_a_part_that_another_run_wrote_again_is_listed_again(
    large: tuple[Promotion, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a key of KMS the same bytes have another ETag; what was listed before is no part."""
    promotion, parts = large
    for batch in promotion.plan():
        promotion.copy(batch)
    listed = Copies._parts

    def before_it_was_written_again(self: Copies, *arguments: str) -> dict[int, dict[str, Any]]:
        found = listed(self, *arguments)
        return {**found, 2: {**found[2], "ETag": f'"{"0" * 32}"'}}

    with monkeypatch.context() as patch:
        patch.setattr(Copies, "_parts", before_it_was_written_again)
        with pytest.raises(TransientError, match="InvalidPart"):
            promotion.verify()
    assert len(promotion.unfinished()) == 1
    assert promotion.body(promotion.verify()["model-data"]) == b"".join(parts)


def test_what_is_just_being_written_is_waited_for(promotion: Promotion) -> None:
    """What is there in the end, nobody knows yet: a copy without condition might be the second."""
    promotion.refer("model-data", promotion.put("model.tar.gz"))
    (batch,) = promotion.plan()
    asked: list[object] = []

    def conflict(params: dict[str, Any], **_: Any) -> None:
        asked.append(params.get("IfNoneMatch"))
        if len(asked) == 1:
            answer: Any = {
                "Error": {"Code": "ConditionalRequestConflict"},
                "ResponseMetadata": {"HTTPStatusCode": 409},
            }
            raise ClientError(answer, "CopyObject")

    with _before("CopyObject", conflict):
        with pytest.raises(TransientError, match="ConditionalRequestConflict"):
            promotion.copy(batch)
        assert promotion.versions() == 0
        assert promotion.copy(batch, attempt=1) == 1
    assert asked == ["*", "*"]


@contextmanager
def _before(operation: str, do: Callable[..., None]) -> Iterator[None]:
    """Do something before each such request of the functions."""
    events = sessions.own_client("s3").meta.events
    events.register(f"provide-client-params.s3.{operation}", do)
    try:
        yield
    finally:
        events.unregister(f"provide-client-params.s3.{operation}", do)


def test_an_object_that_another_run_has_copied_is_not_written_again(
    promotion: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second version of it would be open to nobody: what is cleared is the registered one."""
    promotion.refer("model-data", promotion.put("model.tar.gz"))
    (batch,) = promotion.plan()
    promotion.copy(batch)
    refused = ClientError({"Error": {"Code": "PreconditionFailed"}}, "CopyObject")

    def conditional(self: Copies, transfer: object, **condition: str) -> None:
        assert condition == {"IfNoneMatch": "*"}
        raise refused

    monkeypatch.setattr(Copies, "_ask_to_copy", conditional)
    assert promotion.copy(batch) == 0
    assert promotion.versions() == 1


def test_the_version_that_was_approved_is_copied_even_if_it_was_replaced(
    promotion: Promotion,
) -> None:
    promotion.refer("model-data", promotion.put("model.tar.gz"))
    promotion.put("model.tar.gz", b"another model")
    (batch,) = promotion.plan()
    promotion.copy(batch)
    key = batch["objects"][0]["key"]
    assert promotion.body({"bucket": ARTIFACTS, "key": key}) == BYTES


# ------------------------------------------------------------------ what stops it


@pytest.mark.parametrize("name", ["model.tar.gz", "model/one.bin"])
def test_a_source_that_is_replaced_in_mid_copy_ends_the_promotion(
    promotion: Promotion, name: str
) -> None:
    place = promotion.put(name)
    if "/" in name:
        place = {"bucket": PROJECT, "key": f"{promotion.home}model/"}
    promotion.refer("model-data", place)
    for batch in promotion.plan():
        promotion.copy(batch)
    promotion.put(name, b"another model")
    with pytest.raises(IntegrityError, match=f"{name} is version .* by now; approved was version"):
        promotion.verify()


def test_an_object_that_is_added_to_a_prefix_ends_the_promotion(promotion: Promotion) -> None:
    promotion.put("model/one.bin")
    promotion.refer("model-data", {"bucket": PROJECT, "key": f"{promotion.home}model/"})
    for batch in promotion.plan():
        promotion.copy(batch)
    promotion.put("model/two.bin")
    with pytest.raises(IntegrityError, match=r"two\.bin is .* approved was a prefix without it"):
        promotion.verify()


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_source_that_is_deleted_is_named(promotion: Promotion, where: str) -> None:
    source = promotion.refer("model-data", promotion.put("model.tar.gz"))
    if where == "after":
        for batch in promotion.plan():
            promotion.copy(batch)
    version = {"VersionId": source["version_id"]} if where == "before" else {}
    promotion.dev.delete_object(Bucket=PROJECT, Key=source["key"], **version)
    with pytest.raises(NotFoundError, match=r"runs/.*/model\.tar\.gz"):
        promotion.run()
    assert promotion.unfinished() == []


def test_a_wrong_checksum_stops_the_copy(promotion: Promotion) -> None:
    source = promotion.refer("model-data", promotion.put("model.tar.gz"))
    source["sha256"] = hashlib.sha256(b"what was registered").hexdigest()
    with pytest.raises(IntegrityError, match=source["sha256"]):
        promotion.run()


def test_a_part_with_other_bytes_never_becomes_an_object(
    large: tuple[Promotion, list[bytes]],
) -> None:
    promotion, _ = large
    (batch,) = promotion.plan()
    promotion.copy(batch)
    (upload,) = promotion.unfinished()
    key = batch["parts"][0]["key"]
    promotion.s3.upload_part(
        Bucket=ARTIFACTS, Key=key, UploadId=upload, PartNumber=2, Body=b"?" * PART
    )
    with pytest.raises(IntegrityError, match=r"the parts of .* arrived with sha256"):
        promotion.verify()
    assert promotion.versions() == 0
    assert promotion.abandon() == 1
    assert (promotion.unfinished(), promotion.abandon()) == ([], 0)


def test_an_object_of_central_that_was_replaced_is_found(promotion: Promotion) -> None:
    promotion.refer("model-data", promotion.put("model.tar.gz"))
    arrived = promotion.run()["model-data"]
    promotion.s3.put_object(
        Bucket=ARTIFACTS,
        Key=arrived["key"],
        Body=b"b" * arrived["size"],
        ChecksumAlgorithm="SHA256",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=promotion.s3.head_object(Bucket=ARTIFACTS, Key=arrived["key"])["SSEKMSKeyId"],
    )
    with pytest.raises(IntegrityError, match="what is in Central is not what was registered"):
        promotion.verify()
    assert len(promotion.plan()) == 1


@pytest.mark.parametrize("in_parts", [False, True])
def test_an_object_under_another_key_is_copied_again(promotion: Promotion, in_parts: bool) -> None:
    """Such as that of a stack whose key was replaced before the candidate was registered."""
    put = (BYTES[:PART], b"end") if in_parts else (BYTES,)
    place = promotion.put_in_parts("m", *put) if in_parts else promotion.put("m", *put)
    promotion.refer("model-data", place)
    arrived = promotion.run()["model-data"]
    _put_under_no_key(promotion, arrived, *put)
    # In parts, what never was copied again is not there; a whole object is another's.
    error, said = (TransientError, "lacks") if in_parts else (IntegrityError, "is encrypted with")
    with pytest.raises(error, match=said):
        promotion.verify()
    again = promotion.run()["model-data"]
    assert locations.same_bytes(again, arrived)
    assert again["version_id"] != arrived["version_id"]
    assert promotion.plan() == []
    _tagged_and_locked(promotion, again)


def test_what_is_registered_is_not_copied_again_whatever_key_it_has(
    promotion: Promotion, aws: Callable[..., Any]
) -> None:
    """A version on top of the registered one would be cleared for no stage."""
    promotion.refer("model-data", promotion.put("m"))
    promotion.refer("channel/draft", promotion.put_in_parts("draft", b"d" * PART, b"end"))
    arrived = promotion.run()
    _put_under_no_key(promotion, arrived["model-data"], BYTES)
    _put_under_no_key(promotion, arrived["channel/draft"], b"d" * PART, b"end")
    before = promotion.versions()
    item = {"candidate_id": {"S": promotion.candidate_id}, "model": {"S": MODEL}}
    aws("dynamodb").put_item(TableName="governed-path-candidates", Item=item)
    assert promotion.plan() == []
    found = promotion.verify()
    assert all(locations.same_bytes(found[role], one) for role, one in arrived.items())
    assert promotion.versions() == before
    # But other bytes are other bytes.
    _put_under_no_key(promotion, arrived["model-data"], b"b" * len(BYTES))
    assert promotion.plan() == []
    with pytest.raises(IntegrityError, match="what is in Central is not what was registered"):
        promotion.verify()


def _put_under_no_key(promotion: Promotion, arrived: dict[str, Any], *parts: bytes) -> None:
    """The same bytes on top of what was copied, encrypted with another key."""
    where = {"Bucket": ARTIFACTS, "Key": arrived["key"]}
    if len(parts) == 1:
        promotion.s3.put_object(**where, Body=parts[0], ChecksumAlgorithm="SHA256")
    else:
        _upload(promotion.s3, where, *parts)


# ------------------------------------------------------------------ receipts of many objects


MANY = receipts.WORTH + 10


@pytest.fixture
def many(promotion: Promotion) -> Promotion:
    """A promotion of a prefix with so many objects that their copies have a receipt."""
    for n in range(MANY):
        promotion.put(f"model/{n:03}.bin", b"%d" % n)
    promotion.refer("model-data", {"bucket": PROJECT, "key": f"{promotion.home}model/"})
    return promotion


@contextmanager
def _looks() -> Iterator[list[str]]:
    """The keys in Central that are looked at meanwhile."""
    found: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        if params["Bucket"] == ARTIFACTS:
            found.append(params["Key"])

    with _before("HeadObject", note):
        yield found


def test_what_s3_answered_to_a_copy_is_not_asked_again(many: Promotion) -> None:
    with _looks() as looks:
        arrived = many.run()["model-data"]
        assert many.plan() == []
        assert many.verify()["model-data"] == arrived
    assert looks == []
    assert locations.same_bytes(arrived, many.objects[0])
    # What the receipts say is what a look would have found.
    found = {one["key"]: one for one in Artifacts().expand(arrived)}
    assert len(found) == MANY
    assert all(Artifacts().find(ARTIFACTS, key) == one for key, one in found.items())


def test_without_a_receipt_every_object_is_looked_at(
    many: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that was killed after the copies and before their receipt."""

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(receipts.Receipts, "keep", killed)
        (batch,) = many.plan()
        with pytest.raises(KeyboardInterrupt):
            many.copy(batch)
    with _looks() as looks:
        assert many.copy(batch, attempt=1) == 0
        arrived = many.verify()["model-data"]
    assert len(looks) == 2 * MANY
    assert locations.same_bytes(arrived, many.objects[0])
    assert many.versions() == MANY


@pytest.mark.parametrize(
    ("key", "body", "encrypted", "error"),
    [
        ("007.bin", b"8", True, "what is in Central is not what was registered"),
        ("007.bin", b"7", False, "is encrypted with"),
        ("more.bin", b"more", True, "what is in Central is not what was registered"),
        ("007.bin", None, True, "what is in Central is not what was registered"),
    ],
    ids=["replaced", "encrypted by another key", "added", "deleted"],
)
def test_a_receipt_says_nothing_of_what_came_after_it(
    many: Promotion, key_arn: str, key: str, body: bytes | None, encrypted: bool, error: str
) -> None:
    for batch in many.plan():
        many.copy(batch)
    where = {
        "Bucket": ARTIFACTS,
        "Key": f"models/{MODEL}/{many.candidate_id}/model-data/{key}",
    }
    if body is None:
        many.s3.delete_object(**where)
    else:
        key_of = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn} if encrypted else {}
        many.s3.put_object(**where, Body=body, ChecksumAlgorithm="SHA256", **key_of)
    with pytest.raises(IntegrityError, match=error):
        many.verify()


def test_a_receipt_of_a_copy_under_another_key_is_none(many: Promotion, key_arn: str) -> None:
    many.run()
    of_candidate = (EVIDENCE, MODEL, many.candidate_id)
    assert len(receipts.Receipts(*of_candidate, key_arn).of(MANY)) == MANY
    assert receipts.Receipts(*of_candidate, f"{key_arn}-before").of(MANY) == {}


def test_a_receipt_of_other_bytes_makes_the_object_missing(many: Promotion) -> None:
    """The candidate says what must be there; a receipt only says what is."""
    for batch in many.plan():
        many.copy(batch)
    (source,) = many.objects
    objects = [
        {**one, "sha256": "0" * 64} if one["key"].endswith("007.bin") else one
        for one in Artifacts().expand(source)
    ]
    body = locations.listing(objects)
    name = f"listings/{MODEL}/{hashlib.sha256(body).hexdigest()}.jsonl"
    many.s3.put_object(Bucket=EVIDENCE, Key=name, Body=body, ChecksumAlgorithm="SHA256")
    uri = f"s3://{EVIDENCE}/{name}"
    source.update(locations.prefix_of(source["bucket"], source["key"], objects, uri))
    (batch,) = many.plan()
    assert [one["key"].rpartition("/")[2] for one in batch["objects"]] == ["007.bin"]
    with pytest.raises(IntegrityError, match="what is in Central is not what was registered"):
        many.verify()


def test_a_receipt_that_was_changed_is_found(many: Promotion) -> None:
    many.run()
    prefix = f"receipts/{MODEL}/{many.candidate_id}/"
    listed = many.s3.list_objects_v2(Bucket=EVIDENCE, Prefix=prefix)["Contents"]
    assert len(listed) == 1
    many.s3.put_object(Bucket=EVIDENCE, Key=listed[0]["Key"], Body=b"")
    for again in (many.plan, many.verify):
        with pytest.raises(IntegrityError, match="receipts/"):
            again()


# ------------------------------------------------------------------ a copy that was interrupted


def _interrupted(promotion: Promotion, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Run the batch as a function that is killed after that many requests for a part."""
    copy_part = Copies._copy_part
    made = []

    def killed(self: Copies, *arguments: Any) -> int:
        if len(made) == after:
            raise KeyboardInterrupt
        made.append(arguments)
        return copy_part(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Copies, "_copy_part", killed)
        patch.setattr("governance.adapters.parallel.REQUESTS", 1)
        (batch,) = promotion.plan()
        with pytest.raises(KeyboardInterrupt):
            promotion.copy(batch)


def test_a_killed_copy_goes_on_with_the_parts_that_are_missing(
    large: tuple[Promotion, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    promotion, parts = large
    _interrupted(promotion, monkeypatch, after=2)
    upload = promotion.unfinished()
    # The next run: it takes up the same upload, and plans the one part that is missing.
    (batch,) = promotion.plan()
    assert [part["numbers"] for part in batch["parts"]] == [[[3, 3]]]
    assert promotion.unfinished() == upload
    assert promotion.copy(batch) == 1
    assert promotion.body(promotion.verify()["model-data"]) == b"".join(parts)
    assert (promotion.unfinished(), promotion.versions()) == ([], 1)


def test_a_batch_that_is_tried_again_looks_first_what_it_has_copied(
    large: tuple[Promotion, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    promotion, _ = large
    promotion.refer("evaluation", promotion.put("evaluation.json"))
    (batch,) = promotion.plan()
    assert promotion.copy(batch) == 4
    assert promotion.copy(batch, attempt=1) == 0
    promotion.verify()
    assert promotion.versions() == 2
    # The upload is an object by now; a late retry of the batch finds that as well.
    assert promotion.copy(batch, attempt=2) == 0


def test_an_arrival_without_every_part_is_not_registered_and_keeps_what_it_has(
    large: tuple[Promotion, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    promotion, _ = large
    _interrupted(promotion, monkeypatch, after=1)
    with pytest.raises(TransientError, match="lacks 2 of 3 parts, the first is 2"):
        promotion.verify()
    assert promotion.versions() == 0
    assert len(promotion.unfinished()) == 1
    promotion.abandon()


def test_a_verification_that_was_killed_goes_on(
    large: tuple[Promotion, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    promotion, parts = large
    promotion.refer("channel/draft", promotion.put_in_parts("draft.bin", *reversed(parts)))
    for batch in promotion.plan():
        promotion.copy(batch)
    complete = Copies._complete
    made = []

    def killed(self: Copies, *arguments: Any) -> None:
        if made:
            raise KeyboardInterrupt
        made.append(arguments)
        complete(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Copies, "_complete", killed)
        patch.setattr("governance.adapters.parallel.REQUESTS", 1)
        with pytest.raises(KeyboardInterrupt):
            promotion.verify()
    assert (promotion.versions(), len(promotion.unfinished())) == (1, 1)
    assert set(promotion.verify()) == {"model-data", "channel/draft"}
    assert (promotion.versions(), promotion.unfinished()) == (2, [])


def test_a_planner_that_was_killed_leaves_an_upload_that_is_taken_up(
    large: tuple[Promotion, list[bytes]],
) -> None:
    promotion, parts = large
    promotion.plan()
    first = promotion.unfinished()
    (batch,) = promotion.plan()
    assert promotion.unfinished() == first
    assert [part["numbers"] for part in batch["parts"]] == [[[1, 3]]]
    promotion.copy(batch)
    assert promotion.body(promotion.verify()["model-data"]) == b"".join(parts)


def test_an_abandonment_that_was_killed_goes_on(
    large: tuple[Promotion, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    promotion, parts = large
    promotion.refer("channel/draft", promotion.put_in_parts("draft.bin", *reversed(parts)))
    promotion.plan()
    abort, made = Copies._abort, list[Any]()

    def killed(self: Copies, *arguments: Any) -> None:
        if made:
            raise KeyboardInterrupt
        made.append(arguments)
        abort(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Copies, "_abort", killed)
        patch.setattr("governance.adapters.parallel.REQUESTS", 1)
        with pytest.raises(KeyboardInterrupt):
            promotion.abandon()
    assert len(promotion.unfinished()) == 1
    assert promotion.abandon() == 1
    assert (promotion.unfinished(), promotion.abandon()) == ([], 0)


# ------------------------------------------------------------------ what AWS refuses


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("SlowDown", 503, TransientError),
        ("ServiceUnavailable", 503, TransientError),
        ("InternalError", 500, TransientError),
        ("AccessDenied", 403, AccessError),
        ("KMS.DisabledException", 400, AccessError),
        ("KMS.KMSInvalidStateException", 400, AccessError),
        ("NoSuchVersion", 404, NotFoundError),
        ("BadDigest", 400, IntegrityError),
        ("PreconditionFailed", 412, IntegrityError),
        ("ConditionalRequestConflict", 409, TransientError),
    ],
)
@pytest.mark.parametrize("operation", ["CopyObject", "UploadPartCopy", "CompleteMultipartUpload"])
def test_what_s3_refuses_has_its_reason_and_leaves_nothing_that_looks_whole(
    large: tuple[Promotion, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    code: str,
    status: int,
    error: type[Exception],
) -> None:
    promotion, _ = large
    promotion.refer("evaluation", promotion.put("evaluation.json"))
    client = sessions.own_client("s3")
    refused = {"Error": {"Code": code, "Message": "because"}}
    refused["ResponseMetadata"] = {"HTTPStatusCode": status}  # type: ignore[dict-item]

    def refuse(**_: Any) -> Any:
        raise ClientError(refused, operation)  # type: ignore[arg-type]

    client.meta.events.register(f"before-parameter-build.s3.{operation}", refuse)
    try:
        with pytest.raises(error, match=f"{code}: because"):
            promotion.run()
    finally:
        client.meta.events.unregister(f"before-parameter-build.s3.{operation}", refuse)
    # The large object is there only if all its parts were.
    assert promotion.versions() <= 1
    # Whatever it was, the next run does the rest.
    assert set(promotion.run()) == {"model-data", "evaluation"}
    assert (promotion.unfinished(), promotion.versions()) == ([], 2)


# ------------------------------------------------------------------ what is no candidate


def test_an_empty_object_is_refused(promotion: Promotion) -> None:
    empty = promotion.put("empty", b"")
    with pytest.raises(InvalidInputError, match=f"{empty['key']}.*empty"):
        promotion.refer("model-data", empty)


def test_an_object_whose_digest_nothing_proves_is_refused(
    aws: Callable[..., Any], lambdas: Callable[..., Any]
) -> None:
    key = f"origin/{uuid4().hex}"
    aws("s3").put_object(Bucket=ARTIFACTS, Key=key, Body=BYTES)
    with pytest.raises(InvalidInputError, match="checksum algorithm SHA256"):
        Artifacts().locate(ARTIFACTS, key)
    declared = hashlib.sha256(BYTES).hexdigest()
    with pytest.raises(InvalidInputError, match=declared):
        Artifacts().locate(ARTIFACTS, key, None, declared)


def test_an_empty_prefix_is_refused(promotion: Promotion) -> None:
    with pytest.raises(NotFoundError, match="nothing is under"):
        promotion.refer("model-data", {"bucket": PROJECT, "key": f"{promotion.home}none/"})


def test_a_listing_that_was_changed_is_found(promotion: Promotion) -> None:
    promotion.put("model/one.bin")
    source = promotion.refer("model-data", {"bucket": PROJECT, "key": f"{promotion.home}model/"})
    key = source["listing_uri"].partition(f"{EVIDENCE}/")[2]
    promotion.s3.put_object(Bucket=EVIDENCE, Key=key, Body=b"")
    with pytest.raises(IntegrityError, match="listings/"):
        promotion.plan()


def test_a_bucket_of_somebody_else_is_denied(
    aws: Callable[..., Any], lambdas: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function's role may read Dev's bucket only if Dev's bucket policy says so."""
    s3 = aws("s3", DEV)
    s3.put_object(Bucket=PROJECT, Key="secret", Body=BYTES, ChecksumAlgorithm="SHA256")
    keys = _user_without_rights(aws("iam"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    sessions.own_client.cache_clear()
    sessions._own_session.cache_clear()
    with pytest.raises((AccessError, NotFoundError), match="secret"):
        Artifacts().locate(PROJECT, "secret")


def _user_without_rights(iam: Any) -> dict[str, str]:
    name = f"nobody-{uuid4().hex}"
    iam.create_user(UserName=name)
    keys: dict[str, str] = iam.create_access_key(UserName=name)["AccessKey"]
    return keys
