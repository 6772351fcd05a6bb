"""Tries the calls of domain/preflight.py, all of them harmless, as the roles that make them.

Roles are assumed side by side, then everything else is tried side by side: what takes longest is
one call after the other to the same service, and there are no two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from governance.adapters import errors, sessions
from governance.adapters.sessions import Sessions
from governance.domain import guardrails, images
from governance.domain.errors import (
    AccessError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    TransientError,
)
from governance.domain.preflight import (
    FAILED,
    NOT_TRIED,
    PASSED,
    UNCLEAR,
    Check,
    Outcome,
    trusts,
)

_PROBE = "models/governed-path-doctor"  # a key that nobody writes: its absence is the answer
_AT_ONCE = 12
_LISTED = 200  # objects of Dev's bucket among which one is looked for that can be read
_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_ERRORS = (AccessError, IntegrityError, InvalidInputError, NotFoundError, TransientError)

Attempt = Callable[[Any, Check], str]


class Refused(Exception):
    """The call went through, and what it answered is not what a promotion needs."""


class Preflight:
    """The checks of one invocation. `provisioned` says whether the directory has the model."""

    def __init__(self, taken: Sessions, provisioned: bool) -> None:
        self._sessions, self._provisioned = taken, provisioned

    def run(self, checks: Sequence[Check]) -> list[Outcome]:
        """The outcome of every check, in their order."""
        roles = [check for check in checks if check.call == "sts:AssumeRole"]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            taken = dict(zip((c.name for c in roles), pool.map(self._assume, roles), strict=True))
            outcomes = {name: found for name, found in taken.items() if isinstance(found, Outcome)}
            ready = {n: s for n, s in taken.items() if not isinstance(s, Outcome)}
            outcomes |= {c.name: Outcome(c, PASSED) for c in roles if c.name in ready}
            # boto3 makes clients one after the other, and they are used side by side.
            made: dict[tuple[str, str], Any] = {}
            tried = [(c, self._client(c, ready, made)) for c in checks if c.name not in outcomes]
            jobs = [pool.submit(self._try, check, client) for check, client in tried]
            outcomes |= {job.result().check.name: job.result() for job in jobs}
        return [self._settled(outcomes[check.name], outcomes) for check in checks]

    def _assume(self, check: Check) -> boto3.Session | Outcome:
        try:
            if check.name == "registry-role":
                return self._sessions.registry()
            if check.name == "central-lineage-role":
                return self._sessions.lineage()
            return self._sessions.hub(check.target)
        except _ERRORS as error:
            return _outcome_of(check, error)

    def _client(
        self, check: Check, ready: Mapping[str, boto3.Session], made: dict[tuple[str, str], Any]
    ) -> Any:
        """The client, or two, that the check is made with; None if its role cannot be had.

        `made` keeps one for each role and service: making one costs as much as a call.
        """

        def client(role: str, service: str) -> Any:
            if (role, service) not in made:
                made[role, service] = sessions.client(ready[role], service)
            return made[role, service]

        service = check.call.partition(":")[0]
        if not check.needs:
            return sessions.own_client(service)
        role = "dev-role" if check.name == "dev-copies" else check.needs
        if role not in ready:
            return None
        if check.name == "dev-copies":
            return client(role, "s3"), sessions.own_client("s3")
        if check.name == "dev-images":
            return client(role, "sagemaker"), client(role, "ecr")
        return client(role, service)

    def _try(self, check: Check, client: Any) -> Outcome:
        if client is None:
            return Outcome(check, NOT_TRIED, f"needs {check.needs}")
        if check.name == "project-directory":
            found = Outcome(check, PASSED)
            return found if self._provisioned else Outcome(check, FAILED, "no entry of the model")
        try:
            return Outcome(check, PASSED, _attempt_of(check)(client, check))
        except Refused as refused:
            return Outcome(check, FAILED, str(refused))
        except (ClientError, BotoCoreError) as error:
            return _outcome_of(check, errors.translate(error, check.call), error)

    @staticmethod
    def _settled(outcome: Outcome, outcomes: Mapping[str, Outcome]) -> Outcome:
        """A check whose role failed is not tried; its own failure would only repeat that."""
        needed = outcomes.get(outcome.check.needs)
        if needed is not None and needed.status != PASSED and outcome.status != PASSED:
            return Outcome(outcome.check, NOT_TRIED, f"needs {outcome.check.needs}")
        return outcome


def _outcome_of(check: Check, error: Exception, cause: Exception | None = None) -> Outcome:
    status = UNCLEAR if isinstance(error, TransientError) else FAILED
    if isinstance(cause, ClientError):
        said = cause.response.get("Error", {}).get("Message", "")
        return Outcome(check, status, f"{errors.code_of(cause)}: {said}".strip())
    return Outcome(check, status, str(error))


def _attempt_of(check: Check) -> Attempt:
    return _BY_NAME.get(check.name) or _BY_CALL[check.call]


def _key(kms: Any, check: Check) -> str:
    try:
        kms.generate_data_key(KeyId=check.target, KeySpec="AES_256", DryRun=True)
    except ClientError as error:
        # How KMS says that it would have done it.
        if errors.code_of(error) != "DryRunOperationException":
            raise
    return ""


def _absent_object(s3: Any, check: Check) -> str:
    try:
        s3.get_object(Bucket=check.target, Key=_PROBE)["Body"].close()
    except ClientError as error:
        if errors.code_of(error) != "NoSuchKey":
            raise
    return ""


def _copies(clients: Any, check: Check) -> str:
    """One byte of some object, with our own role: both policies and the key must agree.

    An object that nobody's version refers to may be encrypted with a key of its own, or be archived
    by now, so one that can be read is enough; if none can, the first refusal is the answer.
    """
    lister, s3 = clients
    found = lister.list_objects_v2(Bucket=check.target, MaxKeys=_LISTED).get("Contents") or []
    refused: list[ClientError] = []
    for key in _spread([one["Key"] for one in found if _has_a_byte(one)]):
        try:
            answer = s3.get_object(Bucket=check.target, Key=key, Range="bytes=0-0")
        except ClientError as error:
            # Neither says anything of what we may do: archived by its own tiering, or gone by now.
            if errors.code_of(error) != "InvalidObjectState" and not errors.is_absent(error):
                refused.append(error)
        else:
            answer["Body"].close()
            return ""
    if refused:
        raise refused[0]
    return "the bucket has no object yet that can be read, so no copy could be tried"


def _has_a_byte(listed: Mapping[str, Any]) -> bool:
    """False for a folder that the console made, and for what must be restored before it is read."""
    return bool(listed["Size"]) and listed.get("StorageClass") not in _ARCHIVED


def _spread(keys: Sequence[str]) -> list[str]:
    """The first, the last and the middle one: neighbours are often of one folder and one key."""
    return list(dict.fromkeys(keys[at] for at in (0, -1, len(keys) // 2))) if keys else []


def _object_versions(s3: Any, check: Check) -> str:
    s3.list_object_versions(Bucket=check.target, Prefix=_PROBE, MaxKeys=1)
    return ""


def _pull(clients: Any, check: Check) -> str:
    """Each image of the version and, where it is copied from, a layer; else a repository of none.

    A version or an image that is not there is for BuildCandidate to say.
    """
    sagemaker, ecr = clients
    if not check.target.startswith("arn:"):
        absent = {"registryId": check.target, "repositoryName": _PROBE}
        nothing = f"sha256:{'0' * 64}"
        _or_absent(ecr.batch_get_image, **absent, imageIds=[{"imageDigest": nothing}])
        return _or_absent(ecr.get_download_url_for_layer, **absent, layerDigest=nothing)
    try:
        description = sagemaker.describe_model_package(ModelPackageName=check.target)
    except ClientError as error:
        if not errors.is_absent(error):
            raise
        return ""
    parsed = (images.parse(uri, digest) for uri, digest in images.named_by(description).items())
    for image in parsed:
        if image is not None and image.region == ecr.meta.region_name:
            _pull_image(ecr, image, check.account)
    return ""


def _pull_image(ecr: Any, image: images.Image, account: str) -> None:
    place = {"registryId": image.registry, "repositoryName": image.repository}
    which = {"imageDigest": image.digest} if image.digest else {"imageTag": image.tag}
    try:
        found = ecr.batch_get_image(
            **place, imageIds=[which], acceptedMediaTypes=list(images.IMAGE_TYPES)
        )["images"]
    except ClientError as error:
        if not errors.is_absent(error):
            raise
        return
    # Of a registry of others only policy says whether anything is copied.
    if found and image.registry == account:
        manifest = images.Manifest(found[0]["imageManifest"], found[0]["imageManifestMediaType"])
        ecr.get_download_url_for_layer(**place, layerDigest=manifest.layers()[0])


def _push(ecr: Any, check: Check) -> str:
    """A part for an upload that nobody began, so none can be left behind."""
    absent = "00000000-0000-0000-0000-000000000000"
    try:
        ecr.upload_layer_part(
            repositoryName=check.target,
            uploadId=absent,
            partFirstByte=0,
            partLastByte=0,
            layerPartBlob=b"0",
        )
    except ClientError as error:
        if errors.code_of(error) != "UploadNotFoundException":
            raise
    return ""


def _lineage(sagemaker: Any, check: Check) -> str:
    sagemaker.query_lineage(Filters={"LineageTypes": ["Artifact"]}, MaxResults=1)
    return ""


def _artifacts(sagemaker: Any, check: Check) -> str:
    sagemaker.list_artifacts(SourceUri=f"s3://{_PROBE}", MaxResults=1)
    return ""


def _group(sagemaker: Any, check: Check) -> str:
    sagemaker.describe_model_package_group(ModelPackageGroupName=check.target)
    return ""


def _endpoint(sagemaker: Any, check: Check) -> str:
    return _or_absent(sagemaker.describe_endpoint, EndpointName=check.target)


def _version(sagemaker: Any, check: Check) -> str:
    return _or_absent(sagemaker.describe_model_package, ModelPackageName=check.target)


def _or_absent(call: Callable[..., Any], **request: Any) -> str:
    """Being told that there is none means having been allowed to ask."""
    try:
        call(**request)
    except ClientError as error:
        if not errors.is_absent(error):
            raise
    return ""


def _repositories(ecr: Any, check: Check) -> str:
    ecr.describe_repositories(registryId=check.target, maxResults=1)
    return ""


def _alarm(cloudwatch: Any, check: Check) -> str:
    request = {"AlarmName": check.target, "StateValue": "OK", "StateReason": "pre-flight"}
    return _or_absent(cloudwatch.set_alarm_state, **request)


def _alarm_states(cloudwatch: Any, check: Check) -> str:
    cloudwatch.describe_alarms(AlarmNames=[check.target])
    return ""


def _scaling(autoscaling: Any, check: Check) -> str:
    resource = guardrails.scalable({"endpoint_name": check.target, "variant_name": "none"})
    try:
        autoscaling.deregister_scalable_target(**resource)
    except ClientError as error:
        if errors.code_of(error) != "ObjectNotFoundException":
            raise
    return ""


def _forwarding(events: Any, check: Check) -> str:
    name = "governed-path-forwarding"
    state = events.describe_rule(Name=name)["State"]
    if state != "ENABLED":
        raise Refused(f"rule {name} is {state}")
    targets = [target["Arn"] for target in events.list_targets_by_rule(Rule=name)["Targets"]]
    if check.target not in targets:
        raise Refused(f"rule {name} has the targets {', '.join(targets) or 'none'}")
    return ""


def _on_the_bus(events: Any, check: Check) -> str:
    bus = events.describe_event_bus(Name=str(check.statement["Resource"]).rpartition("/")[2])
    if not trusts(bus.get("Policy"), check.target):
        raise Refused(f"the policy of {bus.get('Name')} does not name account {check.target}")
    return ""


_BY_NAME: Mapping[str, Attempt] = {"dev-copies": _copies}
_BY_CALL: Mapping[str, Attempt] = {
    "kms:GenerateDataKey": _key,
    "s3:GetObject": _absent_object,
    "s3:ListObjectVersions": _object_versions,
    "sagemaker:DescribeModelPackageGroup": _group,
    "sagemaker:DescribeEndpoint": _endpoint,
    "sagemaker:DescribeModelPackage": _version,
    "sagemaker:QueryLineage": _lineage,
    "sagemaker:ListArtifacts": _artifacts,
    "ecr:DescribeRepositories": _repositories,
    "ecr:BatchGetImage": _pull,
    "ecr:UploadLayerPart": _push,
    "cloudwatch:SetAlarmState": _alarm,
    "cloudwatch:DescribeAlarms": _alarm_states,
    "application-autoscaling:DeregisterScalableTarget": _scaling,
    "events:ListTargetsByRule": _forwarding,
    "events:DescribeEventBus": _on_the_bus,
}
