"""Who may do what: buckets and buses of other accounts, SageMaker's keys, source identities."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local import organisation
from tests.integration.local.support import (
    CENTRAL,
    DEV,
    REGION,
    TEST,
    Aws,
    allow,
    denied,
    document,
    root_of,
)

# ---------------------------------------------------------------- buckets of another account

OURS, THEIRS = "central-artifacts", "dev-project"


@pytest.fixture(scope="module")
def buckets(aws: Aws) -> None:
    """A versioned bucket in Central, and one in Dev with a model in two versions."""
    for account, name in ((CENTRAL, OURS), (DEV, THEIRS)):
        s3 = aws.client("s3", account)
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"first", b"second"):
        aws.client("s3", DEV).put_object(Bucket=THEIRS, Key="model", Body=body)


@pytest.fixture(scope="module")
def sessions(aws: Aws, buckets: None) -> Callable[[str], Any]:
    """sessions(name): S3 for a role of Central that may do everything its own policy can give."""
    everything = allow("s3:*")
    made = {
        name: aws.assume(aws.role(CENTRAL, name, everything)) for name in ("promoter", "stranger")
    }
    made["powerless"] = aws.assume(aws.role(CENTRAL, "powerless", allow("s3:GetObject")))
    return lambda name: aws.client("s3", made[name])


def share(aws: Aws, *statements: dict[str, Any]) -> None:
    """Set what Dev's bucket lets Central do."""
    given = [
        {
            "Principal": {"AWS": root_of(CENTRAL)},
            "Resource": [f"arn:aws:s3:::{THEIRS}", f"arn:aws:s3:::{THEIRS}/*"],
            **statement,
        }
        for statement in statements
    ]
    aws.client("s3", DEV).put_bucket_policy(Bucket=THEIRS, Policy=document(*given))


def only(role: str) -> dict[str, Any]:
    """The condition that the caller is this role of Central."""
    return {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{CENTRAL}:role/{role}"}}


def read(s3: Any) -> bytes:
    return bytes(s3.get_object(Bucket=THEIRS, Key="model")["Body"].read())


def copy(s3: Any, **source: str) -> bytes:
    """Copy the model from Dev's to Central's bucket, server-side; what has arrived."""
    s3.copy_object(Bucket=OURS, Key="copy", CopySource={"Bucket": THEIRS, "Key": "model", **source})
    return bytes(s3.get_object(Bucket=OURS, Key="copy")["Body"].read())


def test_a_bucket_policy_sees_the_callers_role(aws: Aws, sessions: Callable[[str], Any]) -> None:
    share(aws, {"Effect": "Allow", "Action": "s3:GetObject", "Condition": only("promoter")})
    assert read(sessions("promoter")) == b"second"
    with denied():
        read(sessions("stranger"))


def test_a_bucket_policy_can_deny_one_role(aws: Aws, sessions: Callable[[str], Any]) -> None:
    share(
        aws,
        {"Effect": "Allow", "Action": "s3:*"},
        {"Effect": "Deny", "Action": "s3:GetObject", "Condition": only("promoter")},
    )
    with denied():
        read(sessions("promoter"))
    assert read(sessions("stranger")) == b"second"


def test_a_bucket_policy_asks_the_objects_tags_about_the_callers_account(
    aws: Aws, sessions: Callable[[str], Any]
) -> None:
    """The tags of the version that is read, and ${aws:PrincipalAccount} in a condition."""
    s3 = aws.client("s3", DEV)
    share(
        aws,
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Condition": {
                "StringEquals": {
                    "s3:ExistingObjectTag/cleared": "yes",
                    "s3:ExistingObjectTag/account": "${aws:PrincipalAccount}",
                }
            },
        },
    )
    versions = s3.list_object_versions(Bucket=THEIRS, Prefix="model")["Versions"]
    newest = next(version["VersionId"] for version in versions if version["IsLatest"])

    def tag(**tags: str) -> None:
        tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
        s3.put_object_tagging(
            Bucket=THEIRS, Key="model", VersionId=newest, Tagging={"TagSet": tag_set}
        )

    with denied():
        read(sessions("promoter"))
    for tags in ({"cleared": "no", "account": CENTRAL}, {"cleared": "yes", "account": TEST}):
        tag(**tags)
        with denied():
            read(sessions("promoter"))
    tag(cleared="yes", account=CENTRAL)
    assert read(sessions("promoter")) == b"second"
    for version in versions:
        if not version["IsLatest"]:
            with denied():
                sessions("promoter").get_object(
                    Bucket=THEIRS, Key="model", VersionId=version["VersionId"]
                )
    tag(cleared="no")
    with denied():
        read(sessions("promoter"))


def test_a_variable_that_nothing_is_known_for_matches_nothing(
    aws: Aws, sessions: Callable[[str], Any]
) -> None:
    unknown = {"StringLike": {"aws:PrincipalArn": "${aws:PrincipalTag/team}"}}
    share(aws, {"Effect": "Allow", "Action": "s3:GetObject", "Condition": unknown})
    with denied():
        read(sessions("promoter"))


def test_a_bucket_policy_says_what_tags_a_write_may_bring(
    aws: Aws, sessions: Callable[[str], Any]
) -> None:
    bucket = f"arn:aws:s3:::{OURS}/*"
    policy = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": bucket,
        "Condition": {"StringEquals": {"s3:RequestObjectTag/cleared": "yes"}},
    }
    aws.client("s3").put_bucket_policy(Bucket=OURS, Policy=document(policy))
    s3 = sessions("promoter")
    s3.put_object(Bucket=OURS, Key="tagged", Body=b"", Tagging="cleared=no")
    s3.put_object(Bucket=OURS, Key="tagged", Body=b"")
    with denied():
        s3.put_object(Bucket=OURS, Key="tagged", Body=b"", Tagging="model=m&cleared=yes")
    aws.client("s3").delete_bucket_policy(Bucket=OURS)


def test_copies_are_made_of_what_is_shared(aws: Aws, sessions: Callable[[str], Any]) -> None:
    actions = ["s3:GetObject", "s3:GetObjectVersion"]
    share(aws, {"Effect": "Allow", "Action": actions, "Condition": only("promoter")})
    assert copy(sessions("promoter")) == b"second"
    versions = aws.client("s3", DEV).list_object_versions(Bucket=THEIRS, Prefix="model")["Versions"]
    first = next(version["VersionId"] for version in versions if not version["IsLatest"])
    assert copy(sessions("promoter"), VersionId=first) == b"first"
    with denied():
        copy(sessions("stranger"))


def test_copies_need_both_sides(aws: Aws, sessions: Callable[[str], Any]) -> None:
    aws.client("s3", DEV).delete_bucket_policy(Bucket=THEIRS)
    with denied():
        copy(sessions("promoter"))
    share(aws, {"Effect": "Allow", "Action": "s3:GetObject"})
    with denied():  # it may read there, but not write here
        copy(sessions("powerless"))
    with pytest.raises(ClientError, match="NoSuchKey"):
        sessions("promoter").copy_object(
            Bucket=OURS, Key="copy", CopySource={"Bucket": THEIRS, "Key": "missing"}
        )
    with pytest.raises(ClientError, match="NoSuchBucket"):
        sessions("promoter").copy_object(
            Bucket=OURS, Key="copy", CopySource={"Bucket": "no-bucket", "Key": "model"}
        )


def test_parts_are_copied_too(aws: Aws, sessions: Callable[[str], Any]) -> None:
    s3 = sessions("promoter")
    upload = s3.create_multipart_upload(Bucket=OURS, Key="parts")["UploadId"]
    request = {
        "Bucket": OURS,
        "Key": "parts",
        "UploadId": upload,
        "PartNumber": 1,
        "CopySource": {"Bucket": THEIRS, "Key": "model"},
    }
    aws.client("s3", DEV).delete_bucket_policy(Bucket=THEIRS)
    with denied():
        s3.upload_part_copy(**request)
    share(aws, {"Effect": "Allow", "Action": "s3:GetObject"})
    part = s3.upload_part_copy(**request)["CopyPartResult"]["ETag"]
    s3.complete_multipart_upload(
        Bucket=OURS,
        Key="parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]},
    )
    assert s3.get_object(Bucket=OURS, Key="parts")["Body"].read() == b"second"


def test_a_copy_tells_the_digest_of_what_arrived(aws: Aws, sessions: Callable[[str], Any]) -> None:
    share(aws, {"Effect": "Allow", "Action": "s3:GetObject"})
    source = {"Bucket": THEIRS, "Key": "model"}
    copied = sessions("promoter").copy_object(
        Bucket=OURS, Key="digest", CopySource=source, ChecksumAlgorithm="SHA256"
    )["CopyObjectResult"]
    assert base64.b64decode(copied["ChecksumSHA256"]) == hashlib.sha256(b"second").digest()


def test_copied_parts_have_digests_and_their_object_a_composite_tags_and_retention(
    aws: Aws, sessions: Callable[[str], Any]
) -> None:
    share(aws, {"Effect": "Allow", "Action": "s3:GetObject"})
    s3, where = sessions("promoter"), {"Bucket": "locked", "Key": "parts"}
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    retention = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket="locked",
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": retention},
    )
    upload = s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256", Tagging="a=b&c=no")
    parts: list[dict[str, Any]] = []
    for number, (first, last) in enumerate(((0, 2), (3, 5)), 1):
        copied = s3.upload_part_copy(
            **where,
            UploadId=upload["UploadId"],
            PartNumber=number,
            CopySource={"Bucket": THEIRS, "Key": "model"},
            CopySourceRange=f"bytes={first}-{last}",
        )["CopyPartResult"]
        kept = {key: copied[key] for key in ("ETag", "ChecksumSHA256")}
        parts.append({"PartNumber": number, **kept})
    listed = s3.list_parts(**where, UploadId=upload["UploadId"])["Parts"]
    assert [part["ChecksumSHA256"] for part in listed] == [part["ChecksumSHA256"] for part in parts]
    s3.complete_multipart_upload(
        **where, UploadId=upload["UploadId"], MultipartUpload={"Parts": parts}
    )
    raw = b"".join(hashlib.sha256(body).digest() for body in (b"sec", b"ond"))
    composite = base64.b64encode(hashlib.sha256(raw).digest()).decode()
    head = s3.head_object(**where, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == f"{composite}-2"
    attributes = s3.get_object_attributes(**where, ObjectAttributes=["ObjectParts"])
    assert [part["Size"] for part in attributes["ObjectParts"]["Parts"]] == [3, 3]
    tags = s3.get_object_tagging(**where)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "b", "c": "no"}
    with denied():
        s3.delete_object(**where, VersionId=head["VersionId"])


def test_a_copy_leaves_no_trace_in_the_callers_account(
    aws: Aws, sessions: Callable[[str], Any]
) -> None:
    share(aws, {"Effect": "Allow", "Action": "s3:GetObject"})
    copy(sessions("promoter"))
    names = [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]
    assert names == [OURS, "locked"]
    assert read(aws.client("s3", DEV)) == b"second"


def test_a_roles_policy_can_name_the_owner_of_a_bucket(aws: Aws, buckets: None) -> None:
    share(aws, {"Effect": "Allow", "Action": "s3:GetObject"})

    def reader(name: str, owner: str) -> Any:
        condition = {"StringEquals": {"s3:ResourceAccount": owner}}
        role = aws.role(CENTRAL, name, allow("s3:GetObject", Condition=condition))
        return aws.client("s3", aws.assume(role))

    assert read(reader("reads-dev", DEV)) == b"second"
    with denied():
        read(reader("reads-test", TEST))


def test_loopback_counts_as_secure_transport(aws: Aws, buckets: None) -> None:
    """Templates refuse plain HTTP; the gateway has nothing else, and nobody can listen."""
    policy = document(
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::secured", "arn:aws:s3:::secured/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="secured")
    s3.put_bucket_policy(Bucket="secured", Policy=policy)
    s3.put_object(Bucket="secured", Key="k", Body=b"v")
    assert s3.get_object(Bucket="secured", Key="k")["Body"].read() == b"v"
    # The statement as such is evaluated:
    s3.put_bucket_policy(Bucket="secured", Policy=policy.replace('"false"', '"true"'))
    with denied():
        aws.client("s3", aws.assume(aws.role(CENTRAL, "secure", allow("s3:*")))).get_object(
            Bucket="secured", Key="k"
        )


# ---------------------------------------------------------------- PutEvents


def entry(source: str, kind: str = "Decided") -> dict[str, str]:
    return {"Source": source, "DetailType": kind, "Detail": "{}"}


def test_put_events_tells_its_source(aws: Aws) -> None:
    conditions = {"events:source": "governed.path", "events:detail-type": "Decided"}
    role = aws.role(
        CENTRAL, "publisher", allow("events:PutEvents", Condition={"StringEquals": conditions})
    )
    events = aws.client("events", aws.assume(role))
    assert events.put_events(Entries=[entry("governed.path")] * 2)["FailedEntryCount"] == 0
    for entries in (
        [entry("somebody.else")],
        [entry("governed.path", "Something else")],
        [entry("governed.path"), entry("somebody.else")],
    ):
        with denied():
            events.put_events(Entries=entries)


# ---------------------------------------------------------------- conditional writes, metrics


def test_a_bucket_policy_can_demand_conditional_writes(aws: Aws) -> None:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::written-once/*",
        "Condition": {"Null": {"s3:if-none-match": "true"}},
    }
    aws.client("s3").create_bucket(Bucket="written-once")
    aws.client("s3").put_bucket_policy(Bucket="written-once", Policy=document(statement))
    s3 = aws.client("s3", aws.assume(aws.role(CENTRAL, "archiver", allow("s3:*"))))
    with denied():
        s3.put_object(Bucket="written-once", Key="k", Body=b"1")
    s3.put_object(Bucket="written-once", Key="k", Body=b"1", IfNoneMatch="*")
    with denied("PreconditionFailed"):
        s3.put_object(Bucket="written-once", Key="k", Body=b"2", IfNoneMatch="*")
    with denied():
        s3.copy_object(
            Bucket="written-once", Key="l", CopySource={"Bucket": "written-once", "Key": "k"}
        )
    with denied():
        s3.create_multipart_upload(Bucket="written-once", Key="l")


def test_a_metric_is_put_into_the_namespace_that_is_allowed(aws: Aws) -> None:
    condition = {"StringEquals": {"cloudwatch:namespace": "Ours"}}
    role = aws.role(CENTRAL, "metrics", allow("cloudwatch:PutMetricData", Condition=condition))
    cloudwatch = aws.client("cloudwatch", aws.assume(role))
    cloudwatch.put_metric_data(Namespace="Ours", MetricData=[{"MetricName": "m", "Value": 1}])
    with denied():
        cloudwatch.put_metric_data(Namespace="Others", MetricData=[{"MetricName": "m", "Value": 1}])


def test_who_deletes_an_alarm_is_asked_about_that_alarm(aws: Aws) -> None:
    ours = f"arn:aws:cloudwatch:{REGION}:{CENTRAL}:alarm:ours-*"
    role = aws.role(CENTRAL, "alarms", allow("cloudwatch:DeleteAlarms", resource=ours))
    cloudwatch = aws.client("cloudwatch", aws.assume(role))
    cloudwatch.delete_alarms(AlarmNames=["ours-1"])
    for names in (["others-1"], ["ours-1", "others-1"]):
        with denied():
            cloudwatch.delete_alarms(AlarmNames=names)


def test_who_names_an_alias_is_asked_about_its_key(aws: Aws) -> None:
    keys = aws.client("kms")
    allowed, other = (
        keys.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
        for _ in range(2)
    )
    for name, key in (("allowed", allowed), ("other", other)):
        keys.create_alias(AliasName=f"alias/{name}", TargetKeyId=key["KeyId"])
    role = aws.role(CENTRAL, "verifier", allow("kms:GetPublicKey", resource=allowed["Arn"]))
    kms = aws.client("kms", aws.assume(role))
    assert kms.get_public_key(KeyId="alias/allowed")["KeyId"] == allowed["Arn"]
    with denied():
        kms.get_public_key(KeyId="alias/other")


# ---------------------------------------------------------------- SageMaker


def test_sagemaker_has_an_iam_namespace(aws: Aws) -> None:
    """Without one the emulator would let everybody do everything."""
    nobody = aws.client("sagemaker", aws.assume(aws.role(CENTRAL, "nobody", allow("s3:*"))))
    with denied(r"AccessDenied.*sagemaker:ListModels"):
        nobody.list_models()
    arn = f"arn:aws:sagemaker:{REGION}:{CENTRAL}:endpoint/allowed"
    role = aws.role(CENTRAL, "invoker", allow("sagemaker:InvokeEndpoint", resource=arn))
    runtime = aws.client("sagemaker-runtime", aws.assume(role))
    with denied(r"AccessDenied.*sagemaker:InvokeEndpoint"):
        runtime.invoke_endpoint(EndpointName="other", Body=b"1")
    with pytest.raises(ClientError, match=r"Endpoint allowed of account .* not found"):
        runtime.invoke_endpoint(EndpointName="allowed", Body=b"1")


# ---------------------------------------------------------------- source identity


def person(actions: list[str], **more: Any) -> dict[str, Any]:
    """A trust policy's statement for the root of Central."""
    return {"Effect": "Allow", "Principal": {"AWS": root_of(CENTRAL)}, "Action": actions, **more}


def assume(aws: Aws, who: boto3.Session | str, role: str, identity: str = "") -> boto3.Session:
    named = {"SourceIdentity": identity} if identity else {}
    credentials = aws.client("sts", who).assume_role(
        RoleArn=role, RoleSessionName="session", **named
    )["Credentials"]
    return boto3.Session(
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["SessionToken"],
        region_name=organisation.REGION,
    )


def seen(aws: Aws, session: boto3.Session) -> str | None:
    """The source identity that SageMaker sees in a call of this session."""
    sagemaker = aws.client("sagemaker", session)
    name = f"by-{session.get_credentials().access_key.lower()}"[:60]
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    created = sagemaker.describe_model_package_group(ModelPackageGroupName=name)["CreatedBy"]
    found: str | None = created["IamIdentity"].get("SourceIdentity")
    return found


def test_the_trust_policy_decides_who_sets_a_source_identity(aws: Aws) -> None:
    plain = aws.role(CENTRAL, "plain", allow("sagemaker:*"), trusts=person(["sts:AssumeRole"]))
    with denied(r"AccessDenied.*sts:SetSourceIdentity"):
        assume(aws, CENTRAL, plain, "grace")
    assert seen(aws, assume(aws, CENTRAL, plain)) is None
    condition = {"StringEquals": {"sts:SourceIdentity": "grace"}}
    named = aws.role(
        CENTRAL,
        "named",
        allow("sagemaker:*"),
        trusts=person(["sts:AssumeRole", "sts:SetSourceIdentity"], Condition=condition),
    )
    assert seen(aws, assume(aws, CENTRAL, named, "grace")) == "grace"
    with denied():
        assume(aws, CENTRAL, named, "mallory")
    with pytest.raises(ClientError, match="ole"):
        assume(aws, CENTRAL, "a role that is no ARN", "grace")


def test_a_source_identity_stays_through_a_chain_of_roles(aws: Aws) -> None:
    both = ["sts:AssumeRole", "sts:SetSourceIdentity"]
    first = aws.role(CENTRAL, "first", allow("sts:*"), trusts=person(both))
    second = aws.role(DEV, "second", allow("sagemaker:*"), allow("sts:*"), trusts=person(both))
    grace = assume(aws, CENTRAL, first, "grace")
    assert seen(aws, assume(aws, grace, second)) == "grace"
    assert seen(aws, assume(aws, grace, second, "grace")) == "grace"
    with denied("cannot change"):
        assume(aws, grace, second, "mallory")
    closed = aws.role(DEV, "closed", trusts=person(["sts:AssumeRole"]))
    with denied(r"AccessDenied.*sts:SetSourceIdentity"):
        assume(aws, grace, closed)
    assume(aws, CENTRAL, closed)  # who brings none along is not asked


def test_cloudtrail_sees_the_source_identity(aws: Aws) -> None:
    queue = aws.queue(CENTRAL, "trail")
    events = aws.client("events")
    pattern = {"detail-type": ["AWS API Call via CloudTrail"], "detail": {"eventName": ["AddTags"]}}
    events.put_rule(Name="trail", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="trail", Targets=[{"Id": "q", "Arn": queue.arn}])
    trust = person(["sts:AssumeRole", "sts:SetSourceIdentity"])
    role = aws.role(CENTRAL, "tagger", allow("sagemaker:*"), trusts=trust)
    sagemaker = aws.client("sagemaker", assume(aws, CENTRAL, role, "grace"))
    group = sagemaker.create_model_package_group(ModelPackageGroupName="tagged")
    sagemaker.add_tags(ResourceArn=group["ModelPackageGroupArn"], Tags=[{"Key": "a", "Value": "b"}])
    identity = queue.body()["detail"]["userIdentity"]
    assert identity["arn"] == f"arn:aws:sts::{CENTRAL}:assumed-role/tagger/session"
    assert identity["sessionContext"]["sourceIdentity"] == "grace"


def test_personas_are_sessions_of_their_own_roles(aws: Aws) -> None:
    account, role, _ = organisation.PERSONAS["data-scientist"]
    trust = {**person(["sts:AssumeRole", "sts:SetSourceIdentity"])}
    trust["Principal"] = {"AWS": root_of(organisation.ACCOUNTS[account])}
    aws.role(organisation.ACCOUNTS[account], role, allow("sagemaker:*"), trusts=trust)
    session = organisation.persona_session("data-scientist", aws.endpoint_url)
    arn = aws.client("sts", session).get_caller_identity()["Arn"]
    assert arn == f"arn:aws:sts::{organisation.ACCOUNTS[account]}:assumed-role/{role}/dana"
    assert seen(aws, session) == "dana"
    with pytest.raises(KeyError):
        organisation.persona_session("janitor", aws.endpoint_url)


# ---------------------------------------------------------------- what a pre-flight looks at


def test_buses_rules_and_repositories_are_named_as_aws_names_them(aws: Aws) -> None:
    place = f"{REGION}:{TEST}"
    aws.client("events", TEST).create_event_bus(Name="looked-at")
    aws.client("events", TEST).put_rule(Name="looked-at", EventPattern='{"source": ["x"]}')
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": f"arn:aws:{resource}"}
        for action, resource in (
            ("events:DescribeEventBus", f"events:{place}:event-bus/looked-at"),
            ("events:DescribeRule", f"events:{place}:rule/looked-at"),
            ("events:ListTargetsByRule", f"events:{place}:rule/looked-at"),
            ("ecr:DescribeRepositories", f"ecr:{place}:repository/*"),
        )
    ]
    session = aws.assume(aws.role(TEST, "looking", *statements))
    events = aws.client("events", session)
    assert events.describe_event_bus(Name="looked-at")["Name"] == "looked-at"
    assert events.describe_rule(Name="looked-at")["Name"] == "looked-at"
    assert events.list_targets_by_rule(Rule="looked-at")["Targets"] == []
    answer = aws.client("ecr", session).describe_repositories(registryId=TEST, maxResults=1)
    assert answer["repositories"] == []
    for call, arguments in (
        (events.describe_event_bus, {"Name": "default"}),
        (events.describe_rule, {"Name": "another"}),
        (events.list_targets_by_rule, {"Rule": "another"}),
    ):
        with denied():
            call(**arguments)
