"""Real boto3 clients whose requests are answered in memory: botocore still checks every one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import boto3

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Refused(Exception):
    """What the service answers instead: an error code and an HTTP status."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


class Aws:
    """A versioned bucket and a registry with one group, as far as the pipeline uses them."""

    def __init__(self) -> None:
        self.bucket, self.group = "project-bucket", "clinical-risk-classifier"
        self.versioned = True
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.breaks_at = 0  # the number of the part that S3 does not take
        self.packages: list[dict[str, Any]] = []
        self.artifacts: list[dict[str, Any]] = []
        self.actions: list[dict[str, Any]] = []
        self.associations: list[dict[str, Any]] = []
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        session = boto3.Session("key", "secret", region_name="us-east-1")
        answers: dict[str, Answer] = {
            "PutObject": self._put,
            "HeadObject": self._head,
            "CreateMultipartUpload": self._begin,
            "UploadPart": self._part,
            "CompleteMultipartUpload": self._complete,
            "DescribeModelPackageGroup": self._group,
            "CreateModelPackage": self._package,
            "ListArtifacts": self._list_artifacts,
            "CreateArtifact": self._artifact,
            "UpdateArtifact": self._update_artifact,
            "CreateAction": self._action,
            "ListAssociations": self._list_associations,
            "AddAssociation": self._associate,
            "DescribePipeline": self._describe_pipeline,
            "CreatePipeline": self._pipeline,
            "UpdatePipeline": self._pipeline,
        }
        clients = {name: session.client(name) for name in ("s3", "sagemaker")}
        for client in clients.values():
            self._answer(client, answers)
        self.session: Any = SimpleNamespace(client=clients.__getitem__)

    def _answer(self, client: Any, answers: dict[str, Answer]) -> None:
        given: dict[str, Any] = {}

        def remember(params: dict[str, Any], model: Any, **_: Any) -> None:
            given[model.name] = dict(params)

        def respond(model: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
            self.calls.append(model.name)
            try:
                parsed, status = answers[model.name](given[model.name]), 200
            except Refused as refused:
                parsed = {"Error": {"Code": refused.code, "Message": "refused by the test"}}
                status = refused.status
            parsed["ResponseMetadata"] = {"HTTPStatusCode": status}
            return SimpleNamespace(status_code=status, headers={}), parsed

        client.meta.events.register("before-parameter-build", remember)
        client.meta.events.register("before-call", respond)

    def _put(self, request: dict[str, Any]) -> dict[str, Any]:
        versions = self.objects.setdefault(request["Key"], [])
        # botocore has made a stream of it by now.
        request["Body"] = request["Body"].getvalue()
        digest = hashlib.sha256(request["Body"]).digest()
        checksum = base64.b64encode(digest).decode()
        assert request["ChecksumAlgorithm"] == "SHA256"
        assert request.get("ChecksumSHA256", checksum) == checksum
        versions.append({**request, "VersionId": f"v{len(versions) + 1}", "checksum": checksum})
        version = {"VersionId": versions[-1]["VersionId"]} if self.versioned else {}
        return version

    def _begin(self, request: dict[str, Any]) -> dict[str, Any]:
        assert request["ChecksumAlgorithm"] == "SHA256"
        self.uploads[request["Key"]] = {**request, "parts": {}}
        return {"UploadId": "upload"}

    def _part(self, request: dict[str, Any]) -> dict[str, Any]:
        body = request["Body"].getvalue()
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        assert request["ChecksumSHA256"] == checksum
        if request["PartNumber"] == self.breaks_at:
            raise Refused("SlowDown", 503)
        self.uploads[request["Key"]]["parts"][request["PartNumber"]] = body
        return {"ETag": f"etag-{request['PartNumber']}"}

    def _complete(self, request: dict[str, Any]) -> dict[str, Any]:
        upload = self.uploads.pop(request["Key"])
        numbers = [part["PartNumber"] for part in request["MultipartUpload"]["Parts"]]
        assert numbers == sorted(upload["parts"])
        bodies = [upload["parts"][number] for number in numbers]
        digests = b"".join(hashlib.sha256(body).digest() for body in bodies)
        checksum = base64.b64encode(hashlib.sha256(digests).digest()).decode()
        versions = self.objects.setdefault(request["Key"], [])
        whole = {"Body": b"".join(bodies), "checksum": f"{checksum}-{len(bodies)}"}
        versions.append({**upload, **whole, "VersionId": f"v{len(versions) + 1}"})
        return {"VersionId": versions[-1]["VersionId"]} if self.versioned else {}

    def _head(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["Key"] not in self.objects:
            raise Refused("404", 404)
        wanted = request.get("VersionId")
        last = [one for one in self.objects[request["Key"]] if wanted in (None, one["VersionId"])][
            -1
        ]
        return {
            "ChecksumSHA256": last["checksum"],
            "VersionId": last["VersionId"],
            "ContentLength": len(last["Body"]),
        }

    def _group(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["ModelPackageGroupName"] != self.group:
            raise Refused("ValidationException")
        return {"ModelPackageGroupName": self.group}

    def _package(self, request: dict[str, Any]) -> dict[str, Any]:
        self.packages.append(request)
        return {"ModelPackageArn": _arn("model-package", f"{self.group}/{len(self.packages)}")}

    def _list_artifacts(self, request: dict[str, Any]) -> dict[str, Any]:
        found = [
            {"ArtifactArn": artifact["arn"]}
            for artifact in self.artifacts
            if artifact["Source"]["SourceUri"] == request["SourceUri"]
        ]
        return {"ArtifactSummaries": found}

    def _artifact(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = _arn("artifact", f"{len(self.artifacts):032x}")
        self.artifacts.append({**request, "arn": arn})
        return {"ArtifactArn": arn}

    def _update_artifact(self, request: dict[str, Any]) -> dict[str, Any]:
        (known,) = (one for one in self.artifacts if one["arn"] == request["ArtifactArn"])
        known["Properties"] = {**known["Properties"], **request["Properties"]}
        return {"ArtifactArn": known["arn"]}

    def _action(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = _arn("action", request["ActionName"])
        self.actions.append({**request, "arn": arn})
        return {"ActionArn": arn}

    def _list_associations(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = (request["SourceArn"], request["DestinationArn"])
        pairs = [(one["SourceArn"], one["DestinationArn"]) for one in self.associations]
        return {"AssociationSummaries": [{"SourceArn": one} for one, _ in pairs if wanted in pairs]}

    def _associate(self, request: dict[str, Any]) -> dict[str, Any]:
        self.associations.append(request)
        return {}

    def _describe_pipeline(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["PipelineName"] not in self.pipelines:
            raise Refused("ResourceNotFound")
        return {}

    def _pipeline(self, request: dict[str, Any]) -> dict[str, Any]:
        self.pipelines[request["PipelineName"]] = request
        return {"PipelineArn": _arn("pipeline", request["PipelineName"])}


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:444455556666:{kind}/{name}"
