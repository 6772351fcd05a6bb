"""CloudFormation types and properties that the emulator rejects or ignores.

Each is provisioned for real, by the service's own API call in the stack's account, so that what
a template says is what a client reads back.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services.cloudformation import provisioners, stacks

from local.seams import calls
from local.seams.assertions import require, require_parameters

Properties = dict[str, Any]

_ADDED = (
    "AWS::Events::EventBusPolicy",
    "AWS::Events::Archive",
    "AWS::SageMaker::ModelPackageGroup",
)
_COMPLETED = ("AWS::S3::Bucket", "AWS::DynamoDB::Table")


def install() -> None:
    """Register the missing types and complete the incomplete ones."""
    handlers = provisioners._RESOURCE_HANDLERS
    for missing in _ADDED:
        require(missing not in handlers, "provisioning", f"no handler for {missing}")
    for known in _COMPLETED:
        require(
            {"create", "update", "delete"} <= handlers.get(known, {}).keys(),
            "provisioning",
            f"a handler for {known}",
        )
        require_parameters(
            "provisioning", handlers[known]["create"], "logical_id", "props", "stack_name"
        )
        require_parameters("provisioning", handlers[known]["delete"], "physical_id", "props")
    handlers["AWS::Events::EventBusPolicy"] = _type(
        _put_bus_policy, lambda _, old, new: _put_bus_policy(new), _remove_bus_policy
    )
    handlers["AWS::Events::Archive"] = _type(_create_archive, _update_archive, _delete_archive)
    handlers["AWS::SageMaker::ModelPackageGroup"] = _type(
        _create_group, _update_group, _delete_group
    )
    _complete("AWS::S3::Bucket", _finish_bucket, _delete_bucket)
    _complete("AWS::DynamoDB::Table", _finish_table, _delete_table)
    _leave_the_loop()


def _leave_the_loop() -> None:
    """Provision our types on a thread: they call the gateway, whose loop would wait for itself."""
    require_parameters("provisioning", stacks._runs_on_worker_thread, "resource_type")
    original = stacks._runs_on_worker_thread

    def runs_on_worker_thread(resource_type: str) -> bool:
        return resource_type in (*_ADDED, *_COMPLETED) or bool(original(resource_type))

    stacks._runs_on_worker_thread = runs_on_worker_thread


def _client(service: str) -> Any:
    return calls.client(calls.as_root(get_account_id()), service)


def _type(create: Any, update: Any, delete: Any) -> dict[str, Any]:
    return {
        "create": lambda logical_id, props, stack_name: create(props),
        "update": lambda physical_id, old, new, stack_name: update(physical_id, old, new),
        "delete": lambda physical_id, props: delete(physical_id, props),
    }


def _complete(resource_type: str, finish: Any, remove: Any) -> None:
    """Apply, after the emulator's own create and update, the properties it ignores.

    `remove` deletes as a client would, so that what is protected is refused: the emulator's own
    delete forgets the resource with all that is in it.
    """
    handler = provisioners._RESOURCE_HANDLERS[resource_type]
    create, update, delete = handler["create"], handler["update"], handler["delete"]

    def created(logical_id: str, props: Properties, stack_name: str) -> Any:
        result = create(logical_id, props, stack_name)
        finish(result[0], {}, props)
        return result

    def updated(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Any:
        result = update(physical_id, old, new, *rest)
        finish(result[0], old, new)
        return result

    def deleted(physical_id: str, props: Properties) -> None:
        remove(physical_id)
        delete(physical_id, props)

    handler["create"], handler["update"], handler["delete"] = created, updated, deleted


def _put_bus_policy(props: Properties) -> tuple[str, Properties]:
    bus, statement = props.get("EventBusName", "default"), props["Statement"]
    policy = json.loads(_client("events").describe_event_bus(Name=bus).get("Policy") or "{}")
    kept = [s for s in policy.get("Statement", []) if s.get("Sid") != props["StatementId"]]
    document = {
        "Version": "2012-10-17",
        "Statement": [*kept, {**statement, "Sid": props["StatementId"]}],
    }
    _client("events").put_permission(EventBusName=bus, Policy=json.dumps(document))
    return f"{bus}|{props['StatementId']}", {}


def _remove_bus_policy(physical_id: str, props: Properties) -> None:
    bus, _, statement = physical_id.partition("|")
    _client("events").remove_permission(EventBusName=bus, StatementId=statement)


def _create_archive(props: Properties) -> tuple[str, Properties]:
    pattern = props.get("EventPattern")
    answer = _client("events").create_archive(
        ArchiveName=props["ArchiveName"],
        EventSourceArn=props["SourceArn"],
        RetentionDays=int(props.get("RetentionDays", 0)),
        **({"Description": props["Description"]} if "Description" in props else {}),
        **({"EventPattern": _text(pattern)} if pattern else {}),
        **({"KmsKeyIdentifier": props["KmsKeyIdentifier"]} if "KmsKeyIdentifier" in props else {}),
    )
    return props["ArchiveName"], {"Arn": answer["ArchiveArn"]}


def _update_archive(physical_id: str, old: Properties, new: Properties) -> tuple[str, Properties]:
    if new["ArchiveName"] != physical_id:
        return _create_archive(new)  # the stack then deletes the old one
    _refuse_replacement("AWS::Events::Archive", physical_id, old, new, "SourceArn")
    answer = _client("events").update_archive(
        ArchiveName=physical_id,
        Description=new.get("Description", ""),
        EventPattern=_text(new.get("EventPattern", "")),
        RetentionDays=int(new.get("RetentionDays", 0)),
        KmsKeyIdentifier=new.get("KmsKeyIdentifier", ""),
    )
    return physical_id, {"Arn": answer["ArchiveArn"]}


def _delete_archive(physical_id: str, props: Properties) -> None:
    _client("events").delete_archive(ArchiveName=physical_id)


def _create_group(props: Properties) -> tuple[str, Properties]:
    name = props["ModelPackageGroupName"]
    client = _client("sagemaker")
    description = props.get("ModelPackageGroupDescription")
    answer = client.create_model_package_group(
        ModelPackageGroupName=name,
        Tags=props.get("Tags", []),
        **({"ModelPackageGroupDescription": description} if description else {}),
    )
    if props.get("ModelPackageGroupPolicy"):
        client.put_model_package_group_policy(
            ModelPackageGroupName=name, ResourcePolicy=_text(props["ModelPackageGroupPolicy"])
        )
    return _group(answer["ModelPackageGroupArn"])


def _group(arn: str) -> tuple[str, Properties]:
    return arn, {"ModelPackageGroupArn": arn, "ModelPackageGroupStatus": "Completed"}


def _update_group(physical_id: str, old: Properties, new: Properties) -> tuple[str, Properties]:
    name, client = new["ModelPackageGroupName"], _client("sagemaker")
    if name != old["ModelPackageGroupName"]:
        return _create_group(new)  # the stack then deletes the old one
    _refuse_replacement(
        "AWS::SageMaker::ModelPackageGroup", name, old, new, "ModelPackageGroupDescription"
    )
    if new.get("ModelPackageGroupPolicy"):
        client.put_model_package_group_policy(
            ModelPackageGroupName=name, ResourcePolicy=_text(new["ModelPackageGroupPolicy"])
        )
    elif old.get("ModelPackageGroupPolicy"):
        client.delete_model_package_group_policy(ModelPackageGroupName=name)
    tags = new.get("Tags", [])
    dropped = {tag["Key"] for tag in old.get("Tags", [])} - {tag["Key"] for tag in tags}
    if dropped:
        client.delete_tags(ResourceArn=physical_id, TagKeys=sorted(dropped))
    if tags:
        client.add_tags(ResourceArn=physical_id, Tags=tags)
    return _group(physical_id)


def _delete_group(physical_id: str, props: Properties) -> None:
    _client("sagemaker").delete_model_package_group(ModelPackageGroupName=physical_id)


def _refuse_replacement(
    resource_type: str, name: str, old: Properties, new: Properties, member: str
) -> None:
    """ValueError in CloudFormation's words: the name of the replacement is taken."""
    if old.get(member) != new.get(member):
        raise ValueError(
            f"CloudFormation cannot update a stack when a custom-named resource requires "
            f"replacing. Rename {name} and update the stack again. ({resource_type}: {member})"
        )


def _finish_bucket(name: str, old: Properties, props: Properties) -> None:
    s3 = _client("s3")
    encryption = props.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration")
    if encryption:
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
                "BucketKeyEnabled": _boolean(rule.get("BucketKeyEnabled", False)),
            }
            for rule in encryption
        ]
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    elif old.get("BucketEncryption"):
        s3.delete_bucket_encryption(Bucket=name)
    if props.get("OwnershipControls"):
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=props["OwnershipControls"])
    elif old.get("OwnershipControls"):
        s3.delete_bucket_ownership_controls(Bucket=name)
    if _boolean(props.get("ObjectLockEnabled", False)):
        _lock(s3, name, props.get("ObjectLockConfiguration", {}))


def _delete_bucket(name: str) -> None:
    s3 = _client("s3")
    with suppress(s3.exceptions.NoSuchBucket):
        s3.delete_bucket(Bucket=name)


def _lock(s3: Any, name: str, configuration: Properties) -> None:
    retention = configuration.get("Rule", {}).get("DefaultRetention")
    rule = (
        {
            "Rule": {
                "DefaultRetention": {
                    "Mode": retention["Mode"],
                    **{k: int(retention[k]) for k in ("Days", "Years") if k in retention},
                }
            }
        }
        if retention
        else {}
    )
    # Object Lock needs it, and a bucket that is made with the one has the other.
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(
        Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", **rule}
    )


def _finish_table(name: str, old: Properties, props: Properties) -> None:
    dynamodb = _client("dynamodb")
    changes: Properties = {}
    sse = props.get("SSESpecification")
    if sse:
        changes["SSESpecification"] = {
            "Enabled": _boolean(sse.get("SSEEnabled", True)),
            "SSEType": sse.get("SSEType", "KMS"),
            **({"KMSMasterKeyId": sse["KMSMasterKeyId"]} if "KMSMasterKeyId" in sse else {}),
        }
    if "DeletionProtectionEnabled" in props:
        changes["DeletionProtectionEnabled"] = _boolean(props["DeletionProtectionEnabled"])
    if changes:
        dynamodb.update_table(TableName=name, **changes)
    arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
    if props.get("ResourcePolicy"):
        policy = _text(props["ResourcePolicy"]["PolicyDocument"])
        dynamodb.put_resource_policy(ResourceArn=arn, Policy=policy)
    elif old.get("ResourcePolicy"):
        dynamodb.delete_resource_policy(ResourceArn=arn)
    recovery = props.get("PointInTimeRecoverySpecification", {})
    if recovery or old.get("PointInTimeRecoverySpecification"):
        enabled = _boolean(recovery.get("PointInTimeRecoveryEnabled", False))
        dynamodb.update_continuous_backups(
            TableName=name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled},
        )


def _delete_table(name: str) -> None:
    dynamodb = _client("dynamodb")
    with suppress(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.delete_table(TableName=name)


def _boolean(value: Any) -> bool:
    # Parameters reach a resource as text.
    return str(value).lower() == "true"


def _text(value: Any) -> str:
    """A document of a template as the API takes it."""
    return value if isinstance(value, str) else json.dumps(value)
