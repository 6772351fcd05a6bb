"""The hub's functions in front of clients that answer from memory and keep every request.

The clients are boto3's own, so botocore checks and serialises each request as it would for AWS;
only the network is not there.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import importlib.util
import io
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from governance.adapters import items
from tests.contracts import samples

HANDLERS = Path(__file__).parents[2] / "functions" / "governance" / "handlers"
KEY = f"arn:aws:kms:{samples.REGION}:{samples.CENTRAL}:key/5f0b9a3e-0000-4a5b-9c6d-7e8f90a1b2c3"
ENVIRONMENT = {
    "CLAIMS_TABLE": "governed-path-claims",
    "PROJECT_DIRECTORY_TABLE": "governed-path-project-directory",
    "CANDIDATES_TABLE": "governed-path-candidates",
    "PARTS_TABLE": "governed-path-parts",
    "LEDGER_TABLE": "governed-path-ledger",
    "LEDGER_HEADS_TABLE": "governed-path-ledger-heads",
    "ENDPOINT_WAITS_TABLE": "governed-path-endpoint-waits",
    "ENDPOINT_LOCKS_TABLE": "governed-path-endpoint-locks",
    "CONFIRMATIONS_TABLE": "governed-path-confirmations",
    "ARTIFACTS_BUCKET": samples.CENTRAL_BUCKET,
    "EVIDENCE_BUCKET": samples.EVIDENCE_BUCKET,
    "LEDGER_BUCKET": samples.LEDGER_BUCKET,
    "IMAGES_REPOSITORY_URI": samples.IMAGES_REPOSITORY,
    "KMS_KEY_ARN": KEY,
    "LEDGER_KEY_ARN": KEY,
    "EVENT_BUS_NAME": "governed-path",
    "REGISTRY_ACCOUNT_ID": samples.CENTRAL,
    "REGISTRY_ROLE_NAME": "governed-path-registry",
    "LINEAGE_ROLE_NAME": "governed-path-lineage",
    "HUB_ROLE_NAME": "governed-path-hub",
    "HUB_EXTERNAL_ID": "governed-path",
    "ENDPOINT_EXECUTION_ROLE_NAME": "governed-path-endpoint-execution",
    "AWS_REGION": samples.REGION,
    "AWS_DEFAULT_REGION": samples.REGION,
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "example",
    # The cheapest way to a client: nothing is looked up.
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as the adapter made it."""

    service: str
    operation: str
    request: dict[str, Any]


class Refused(Exception):
    """What AWS answers instead."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def _checksum(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def _composite(body: bytes, sizes: list[int]) -> str:
    digests, first = b"", 0
    for size in sizes:
        digests += hashlib.sha256(body[first : first + size]).digest()
        first += size
    return f"{_checksum(digests)}-{len(sizes)}"


@dataclass
class Aws:
    """What AWS holds; each of its answers is as small as the functions allow."""

    calls: list[Call] = field(default_factory=list)
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    # The sizes of the parts of what was uploaded in parts, and the uploads that are not completed.
    parts: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    _thread: threading.local = field(default_factory=threading.local)
    tables: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoint: dict[str, Any] | None = None
    running: bool = False  # every execution
    entries: list[dict[str, Any]] = field(default_factory=list)
    signing_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    policy_changes: list[dict[str, Any]] = field(default_factory=list)
    promoted: list[dict[str, Any]] = field(default_factory=list)  # by version, behind `entries`
    actions: dict[str, dict[str, Any]] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict)
    _asked: threading.local = field(default_factory=threading.local)

    def client(self, service: str) -> Any:
        """A boto3 client of the service."""
        if service not in self._clients:
            client = boto3.client(
                service,
                region_name=samples.REGION,
                aws_access_key_id="AKIAEXAMPLE",
                aws_secret_access_key="example",
            )
            client.meta.events.register("before-parameter-build", self._keep)
            client.meta.events.register("before-call", self._answer)
            self._clients[service] = client
        return self._clients[service]

    def handler(self, name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """The function, loaded apart from the module that other tests may have imported."""
        spec = importlib.util.spec_from_file_location(f"contract_{name}", HANDLERS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return lambda event: module.handler(json.loads(json.dumps(event)), None)

    def _keep(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        request = {key: value for key, value in params.items() if key != "Body"}
        kept = copy.deepcopy(request)
        if "Body" in params:
            body = params["Body"]
            kept["Body"] = body if isinstance(body, bytes) else body.getvalue()
        call = Call(model.service_model.service_name, model.name, kept)
        self._thread.call = call
        self.calls.append(call)

    def _answer(self, model: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
        request = self._thread.call.request
        try:
            parsed = getattr(self, f"_on_{model.name}", lambda request: {})(request)
            status = 200
        except Refused as refused:
            parsed = {"Error": {"Code": refused.code, "Message": refused.message}}
            status = refused.status
        parsed["ResponseMetadata"] = {"HTTPStatusCode": status}
        return SimpleNamespace(status_code=status, headers={}), parsed

    # -------------------------------------------------------------- STS, S3

    def _on_AssumeRole(self, request: dict[str, Any]) -> dict[str, Any]:
        keys = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        return {"Credentials": dict.fromkeys(keys, "example")}

    def _on_HeadObject(self, request: dict[str, Any]) -> dict[str, Any]:
        body = self._object(request)
        sizes = self.parts.get((request["Bucket"], request["Key"]))
        return {
            "ContentLength": len(body),
            "VersionId": "v1",
            "ChecksumSHA256": _checksum(body) if sizes is None else _composite(body, sizes),
            "SSEKMSKeyId": KEY,
        }

    def _on_GetObjectAttributes(self, request: dict[str, Any]) -> dict[str, Any]:
        sizes = self.parts[request["Bucket"], request["Key"]]
        parts = [{"PartNumber": n, "Size": size} for n, size in enumerate(sizes, 1)]
        return {"ObjectParts": {"Parts": parts, "IsTruncated": False}}

    def _on_ListObjectsV2(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self._under(request["Bucket"], request.get("Prefix", ""))
        return {"Contents": [{"Key": key, "Size": size} for key, size in found]}

    def _on_ListObjectVersions(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self._under(request["Bucket"], request.get("Prefix", ""))
        return {
            "Versions": [
                {"Key": key, "Size": size, "VersionId": "v1", "IsLatest": True}
                for key, size in found
            ]
        }

    def _under(self, bucket: str, prefix: str) -> list[tuple[str, int]]:
        return [
            (key, len(body))
            for (where, key), body in sorted(self.objects.items())
            if where == bucket and key.startswith(prefix)
        ]

    def _on_CreateMultipartUpload(self, request: dict[str, Any]) -> dict[str, Any]:
        upload_id = f"upload-{len(self.uploads)}"
        place = {key: request[key] for key in ("Bucket", "Key")}
        self.uploads[upload_id] = {**place, "parts": {}}
        return {"UploadId": upload_id}

    def _on_UploadPartCopy(self, request: dict[str, Any]) -> dict[str, Any]:
        first, last = request["CopySourceRange"].removeprefix("bytes=").split("-")
        bucket, _, key = request["CopySource"].partition("?")[0].partition("/")
        part = self.objects[bucket, key][int(first) : int(last) + 1]
        self.uploads[request["UploadId"]]["parts"][request["PartNumber"]] = part
        return {"CopyPartResult": {"ETag": "etag", "ChecksumSHA256": _checksum(part)}}

    def _on_ListMultipartUploads(self, request: dict[str, Any]) -> dict[str, Any]:
        begun = datetime(2026, 11, 21, tzinfo=UTC)
        return {
            "Uploads": [
                {"Key": upload["Key"], "UploadId": upload_id, "Initiated": begun}
                for upload_id, upload in self.uploads.items()
            ]
        }

    def _on_ListParts(self, request: dict[str, Any]) -> dict[str, Any]:
        parts = self.uploads[request["UploadId"]]["parts"]
        return {
            "Parts": [
                {"PartNumber": n, "ETag": "etag", "Size": len(b), "ChecksumSHA256": _checksum(b)}
                for n, b in sorted(parts.items())
            ]
        }

    def _on_CompleteMultipartUpload(self, request: dict[str, Any]) -> dict[str, Any]:
        upload = self.uploads.pop(request["UploadId"])
        bodies = [
            upload["parts"][part["PartNumber"]] for part in request["MultipartUpload"]["Parts"]
        ]
        self.objects[request["Bucket"], request["Key"]] = b"".join(bodies)
        self.parts[request["Bucket"], request["Key"]] = [len(body) for body in bodies]
        return {"VersionId": "v1"}

    def _on_AbortMultipartUpload(self, request: dict[str, Any]) -> dict[str, Any]:
        del self.uploads[request["UploadId"]]
        return {}

    def _on_GetObject(self, request: dict[str, Any]) -> dict[str, Any]:
        body = self._object(request)
        return {"ContentLength": len(body), "Body": io.BytesIO(body)}

    def _on_PutObject(self, request: dict[str, Any]) -> dict[str, Any]:
        self.objects[request["Bucket"], request["Key"]] = request["Body"]
        return {"VersionId": "v1"}

    def _on_CopyObject(self, request: dict[str, Any]) -> dict[str, Any]:
        # By now botocore has made "bucket/key?versionId=..." of the source.
        bucket, _, key = request["CopySource"].partition("?")[0].partition("/")
        body = self.objects[bucket, key]
        self.objects[request["Bucket"], request["Key"]] = body
        result = {"ChecksumSHA256": _checksum(body)}
        return {"CopyObjectResult": result, "VersionId": "v1", "SSEKMSKeyId": KEY}

    def _object(self, request: dict[str, Any]) -> bytes:
        place = request["Bucket"], request["Key"]
        if place not in self.objects:
            raise Refused("NoSuchKey", "Not Found", 404)
        return self.objects[place]

    # -------------------------------------------------------------- DynamoDB

    def _on_GetItem(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self.tables.get((request["TableName"], json.dumps(request["Key"], sort_keys=True)))
        return {"Item": found} if found else {}

    def _on_PutItem(self, request: dict[str, Any]) -> dict[str, Any]:
        keys = {
            "governed-path-candidates": ("candidate_id", "model"),
            "governed-path-claims": ("claim_id",),
            "governed-path-endpoint-waits": ("endpoint_arn",),
            "governed-path-parts": ("part", "holder"),
            "governed-path-endpoint-locks": ("resource_arn",),
            "governed-path-project-directory": ("model",),
        }[request["TableName"]]
        key = {name: request["Item"][name] for name in keys}
        place = (request["TableName"], json.dumps(key, sort_keys=True))
        held = self.tables.get(place, {}).get("execution_arn")
        if held and held != request.get("ExpressionAttributeValues", {}).get(":execution"):
            raise Refused("ConditionalCheckFailedException", "The conditional request failed")
        self.tables[place] = request["Item"]
        return {}

    def _on_BatchGetItem(self, request: dict[str, Any]) -> dict[str, Any]:
        found = {
            table: [
                self.tables[place]
                for key in asked["Keys"]
                if (place := (table, json.dumps(key, sort_keys=True))) in self.tables
            ]
            for table, asked in request["RequestItems"].items()
        }
        return {"Responses": found, "UnprocessedKeys": {}}

    def _on_Query(self, request: dict[str, Any]) -> dict[str, Any]:
        if "PolicyChanged" in json.dumps(request):
            return {"Items": [items.to_item(samples.row(entry)) for entry in self.policy_changes]}
        if request["TableName"] == ENVIRONMENT["CONFIRMATIONS_TABLE"]:
            return {"Items": []}
        about = self.promoted if request.get("IndexName") == "by-version" else []
        return {"Items": [items.to_item(samples.row(one)) for one in [*self.entries, *about]]}

    def _on_Scan(self, request: dict[str, Any]) -> dict[str, Any]:
        table = request["TableName"]
        return {"Items": [item for (name, _), item in self.tables.items() if name == table]}

    def _on_DescribeExecution(self, request: dict[str, Any]) -> dict[str, Any]:
        status = "RUNNING" if self.running else "ABORTED"
        return {"executionArn": request["executionArn"], "status": status}

    # -------------------------------------------------------------- KMS

    def _on_GetPublicKey(self, request: dict[str, Any]) -> dict[str, Any]:
        key = self.signing_key.public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return {"PublicKey": key.public_bytes(serialization.Encoding.DER, form)}

    def _on_Sign(self, request: dict[str, Any]) -> dict[str, Any]:
        digest = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
        return {"Signature": self.signing_key.sign(request["Message"], digest)}

    def _on_GenerateDataKey(self, request: dict[str, Any]) -> dict[str, Any]:
        assert request["DryRun"]
        raise Refused("DryRunOperationException", "it would have succeeded", 412)

    # -------------------------------------------------------------- events

    def _on_DescribeEventBus(self, request: dict[str, Any]) -> dict[str, Any]:
        members = [samples.DEV, samples.TEST, samples.PROD]
        allow = {"Effect": "Allow", "Action": "events:PutEvents", "Principal": {"AWS": members}}
        return {"Name": "governed-path", "Policy": json.dumps({"Statement": [allow]})}

    def _on_DescribeRule(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"State": "ENABLED"}

    def _on_ListTargetsByRule(self, request: dict[str, Any]) -> dict[str, Any]:
        bus = f"arn:aws:events:{samples.REGION}:{samples.CENTRAL}:event-bus/governed-path"
        return {"Targets": [{"Id": "hub-bus", "Arn": bus}]}

    # -------------------------------------------------------------- SageMaker

    def _on_BatchGetImage(self, request: dict[str, Any]) -> dict[str, Any]:
        manifest, media_type = samples.IMAGE_MANIFEST, samples.IMAGE_TYPE
        image = {"imageManifest": manifest, "imageManifestMediaType": media_type}
        return {"images": [image], "failures": []}

    def _on_UploadLayerPart(self, request: dict[str, Any]) -> dict[str, Any]:
        raise Refused("UploadNotFoundException", "nobody began it", 400)

    def _on_DescribeImageScanFindings(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": {}}

    def _on_DescribeModelPackage(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["ModelPackageName"] not in self.versions:
            raise Refused("ValidationException", "ModelPackage does not exist.")
        return copy.deepcopy(self.versions[request["ModelPackageName"]])

    def _on_DescribeAction(self, request: dict[str, Any]) -> dict[str, Any]:
        known = self.actions.get(request["ActionName"])
        return known or self._entity("Action", request["ActionName"])

    def _on_CreateModelPackage(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = samples.version_arn()
        version = {key: value for key, value in request.items() if key != "ClientToken"}
        self.versions[arn] = {
            "ModelPackageArn": arn,
            "LastModifiedTime": samples.DECIDED,
            "LastModifiedBy": samples.user("ai-engineer", "alex", samples.CENTRAL),
            **version,
        }
        return {"ModelPackageArn": arn}

    # -------------------------------------------------------------- lineage

    def lineage_arn(self, uri: str, kind: str = "artifact") -> str:
        """The ARN of the entity with that source."""
        name = hashlib.sha256(uri.encode()).hexdigest()[:32]
        return f"arn:aws:sagemaker:{samples.REGION}:{samples.DEV}:{kind}/{name}"

    def _dev_lineage(self) -> list[tuple[str, str, str]]:
        """(kind, type, source) of what led to the Dev version: one of each kind of entity."""
        model = next(one for one in samples.origin_objects() if one["role"] == "model-data")
        return [
            ("Artifact", "ModelPackage", samples.version_arn(samples.DEV, 1)),
            ("Artifact", "Model", f"s3://{model['bucket']}/{model['key']}"),
            ("Action", "ModelEvaluation", "arn:evaluation"),
            ("TrialComponent", "TrainingJob", f"arn:aws:sagemaker:{samples.REGION}::training"),
            ("Context", "Pipeline", "arn:pipeline"),
            *(("Artifact", "DataSet", uri) for uri in self._datasets()),
        ]

    def _datasets(self) -> list[str]:
        version = self.versions[samples.version_arn(samples.DEV, 1)]
        metadata = version["CustomerMetadataProperties"]
        rest = [one for one in samples.origin_objects() if one["role"] in ("evaluation", "holdout")]
        return [
            metadata["dataset-uri"],
            *(f"s3://{one['bucket']}/{one['key']}" for one in rest),
        ]

    def _on_ListArtifacts(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = self.lineage_arn(request["SourceUri"])
        return {"ArtifactSummaries": [{"ArtifactArn": arn}]}

    def _on_QueryLineage(self, request: dict[str, Any]) -> dict[str, Any]:
        """Two pages: the second is there only for who asks with the token."""
        told = self._dev_lineage()
        vertices = [
            {"Arn": self._arn_of(kind, uri), "LineageType": kind, "Type": type_}
            for kind, type_, uri in told
        ]
        if "NextToken" not in request:
            return {"Vertices": vertices[:3], "Edges": [], "NextToken": "more"}
        version, model, evaluation, training, pipeline, *data = (one["Arn"] for one in vertices)
        pairs = [
            *((one, training) for one in data),
            *((training, model), (pipeline, training), (model, version), (evaluation, version)),
        ]
        edges = [
            {"SourceArn": a, "DestinationArn": b, "AssociationType": "ContributedTo"}
            for a, b in pairs
        ]
        return {"Vertices": vertices[3:], "Edges": edges}

    def _arn_of(self, kind: str, uri: str) -> str:
        named = "experiment-trial-component" if kind == "TrialComponent" else kind.lower()
        return self.lineage_arn(uri, named)

    def _on_DescribeArtifact(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._entity("Artifact", request["ArtifactArn"])

    def _on_DescribeContext(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._entity("Context", request["ContextName"])

    def _on_DescribeTrialComponent(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["TrialComponentName"]
        source = {"SourceArn": "arn:aws:sagemaker:job", "SourceType": "SageMakerTrainingJob"}
        parameters = {"c": {"NumberValue": 1.0}, "instance": {"StringValue": "ml.m5.large"}}
        return {"TrialComponentArn": arn, "Source": source, "Parameters": parameters}

    def _entity(self, kind: str, arn: str) -> dict[str, Any]:
        uris = [uri for known, _, uri in self._dev_lineage() if self._arn_of(known, uri) == arn]
        return {
            f"{kind}Arn": arn,
            f"{kind}Name": "name",
            "Source": {"SourceUri": uris[0] if uris else samples.version_arn()},
            "Properties": {"from": "Dev\nover two lines"},
        }

    def _on_CreateArtifact(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["Source"]["SourceUri"] == samples.version_arn():
            # SageMaker was first: it tracks what it registers.
            raise Refused("ValidationException", "Artifact already exists")
        return {"ArtifactArn": self.lineage_arn(request["Source"]["SourceUri"])}

    def _on_CreateAction(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"ActionArn": self.lineage_arn(request["ActionName"], "action")}

    def _on_CreateContext(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"ContextArn": self.lineage_arn(request["ContextName"], "context")}

    def _on_AddAssociation(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["DestinationArn"] == self.lineage_arn(samples.version_arn()):
            raise Refused("ValidationException", "Association already exists")
        return {}

    def _on_ListAssociations(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"AssociationSummaries": [dict(request)]}

    def _on_DescribeEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.endpoint is None:
            raise Refused("ValidationException", f'Could not find endpoint "{request}".')
        return dict(self.endpoint)

    def _on_CreateEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        self.endpoint = {
            "EndpointName": request["EndpointName"],
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointStatus": "InService",
            "LastModifiedTime": "2026-11-21T09:00:00.000000Z",
            "ProductionVariants": [{"VariantName": "AllTraffic", "DesiredWeight": 1.0}],
        }
        return {"EndpointArn": f"arn:aws:sagemaker:us-east-1:1:endpoint/{request['EndpointName']}"}

    def _on_DescribeModel(self, request: dict[str, Any]) -> dict[str, Any]:
        package = samples.version_arn(version=2)
        return {**request, "PrimaryContainer": {"ModelPackageName": package}}

    def _on_ListTags(self, request: dict[str, Any]) -> dict[str, Any]:
        tags = {
            "deployment-definition": samples.definition_reference()["digest"],
            "model": samples.MODEL,
            "model-package-arn": samples.version_arn(version=2),
            "candidate-id": "c" * 64,
        }
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _on_DescribeEndpointConfig(self, request: dict[str, Any]) -> dict[str, Any]:
        place = f"arn:aws:sagemaker:{samples.REGION}:{samples.PROD}:endpoint-config"
        return {
            **request,
            "EndpointConfigArn": f"{place}/{request['EndpointConfigName']}",
            "CreationTime": "2026-11-21T08:00:00.000000Z",
            "ProductionVariants": [
                {"VariantName": "AllTraffic", "ModelName": "old", "InitialInstanceCount": 1}
            ],
        }

    def _on_GetMetricData(self, request: dict[str, Any]) -> dict[str, Any]:
        values = {"requests": [4000.0, 1000.0], "errors": [0.0, 1.0]}
        return {
            "MetricDataResults": [
                {"Id": query["Id"], "Values": values[query["Id"]]}
                for query in request["MetricDataQueries"]
            ]
        }

    def _on_PutScalingPolicy(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"PolicyARN": "arn:aws:autoscaling:policy"}

    def _on_DescribeAlarms(self, request: dict[str, Any]) -> dict[str, Any]:
        prefix = request.get("AlarmNamePrefix")
        if prefix:
            looks_at = [{"Name": "EndpointName", "Value": prefix[len("governed-path-") : -1]}]
            earlier = {"AlarmName": f"{prefix}of-an-earlier-definition", "Dimensions": looks_at}
            return {"MetricAlarms": [earlier]}
        states = dict.fromkeys(request["AlarmNames"], "OK")
        if not any(call.operation == "SetAlarmState" for call in self.calls):
            states[request["AlarmNames"][-1]] = "ALARM"  # somebody stopped the release before
        return {
            "MetricAlarms": [
                {"AlarmName": name, "StateValue": state} for name, state in states.items()
            ]
        }

    def _on_DescribeAlarmHistory(self, request: dict[str, Any]) -> dict[str, Any]:
        was = "ALARM" if request["AlarmName"].endswith("-slow") else "OK"
        state = {"newState": {"stateValue": was, "stateReason": "p95 was greater"}}
        return {"AlarmHistoryItems": [{"HistoryData": json.dumps(state)}]}

    def _on_InvokeEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = {"predictions": [{"probability": 0.3, "high_risk": False}]}
        return {"ContentType": "application/json", "Body": io.BytesIO(json.dumps(answer).encode())}

    def _on_PutEvents(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in request["Entries"]]}
