"""What is written into the Central registry: the version itself, later its test results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from governance.domain import our_evaluation, phases
from governance.domain.candidate import (
    OF_THE_PLACE,
    central_key,
    difference,
    with_attachments,
)
from governance.domain.definitions import METADATA_KEY
from governance.domain.errors import InvalidInputError
from governance.domain.gates import one_line

# What CreateModelPackage takes over from the Dev version as it is, and what with new locations.
_TAKEN_OVER = ("ModelPackageDescription", "MetadataProperties", "Domain", "Task")
_RELOCATED = (
    "InferenceSpecification",
    "AdditionalInferenceSpecifications",
    "SourceAlgorithmSpecification",
    "ModelMetrics",
    "DriftCheckBaselines",
    "SamplePayloadUrl",
)

# Metadata that is about the past wherever the version is: the candidate holds it as it was said.
_OF_THE_PAST = "dataset-"

# Metadata by which a Central version says what it is -> the field of the candidate's item.
_NAMES_THE_CANDIDATE = {
    "candidate-id": "candidate_id",
    "origin-arn": "origin_arn",
    "manifest-uri": "manifest_uri",
}


def check_registrable(
    description: Mapping[str, Any],
    candidate: Mapping[str, Any],
    images: Sequence[Mapping[str, str]],
    bucket: str,
) -> None:
    """InvalidInputError if Central could not be told of the candidate once it is copied.

    The arguments are as `central_version` takes them, before anything is in Central; `bucket` is
    where the objects will be. What was copied is locked, so it is too late to find out after that.
    """
    model, candidate_id = description["ModelPackageGroupName"], candidate["candidate_id"]
    objects = [
        {
            **one,
            "bucket": bucket,
            "key": central_key(model, candidate_id, one["role"], one["key"]),
        }
        for one in candidate["objects"]
    ]
    pinned = [{**image, "central_uri": image["uri"]} for image in images]
    request = central_version(description, candidate, objects, pinned)
    entries = len(request["CustomerMetadataProperties"])
    # The definition comes with the approval for Test; what the tests found, after them.
    room = our_evaluation.MOST_METADATA - our_evaluation.AT_LEAST - 1
    if entries > room:
        raise InvalidInputError(
            f"{description['ModelPackageArn']} has {entries - len(_NAMES_THE_CANDIDATE)} entries "
            f"of metadata; at most {room - len(_NAMES_THE_CANDIDATE)} leave room in Central for "
            "where it came from, how it is deployed and what its tests found: register a version "
            "with fewer"
        )


def central_version(
    description: Mapping[str, Any],
    candidate: Mapping[str, Any],
    objects: Sequence[Mapping[str, Any]],
    images: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """The CreateModelPackage request for a candidate whose bytes are in Central.

    `description` is the Dev version (DescribeModelPackage); `candidate` {candidate_id,
    manifest_uri, objects} holds the origin locations and `objects` the Central ones, both with
    roles; `images` [{uri, digest, central_uri}] those of its containers. InvalidInputError if the
    version refers to an object that the candidate does not hold: Central must not depend on a
    bucket of Dev.
    """
    moved = _moves(candidate["objects"], objects)
    pinned = {image["uri"]: image for image in images}
    request: dict[str, Any] = {
        "ModelPackageGroupName": description["ModelPackageGroupName"],
        "ModelApprovalStatus": "PendingManualApproval",
        "ModelLifeCycle": {
            "Stage": "Test",
            # SageMaker gives it its ARN now, and what names that comes after it.
            "StageStatus": "Registering",
            "StageDescription": f"Candidate {candidate['candidate_id']} is promoted from Dev",
        },
        "CustomerMetadataProperties": {
            **_relocated_metadata(description, objects, moved),
            "candidate-id": candidate["candidate_id"],
            "origin-arn": description["ModelPackageArn"],
            "manifest-uri": candidate["manifest_uri"],
        },
        # What a validation job of SageMaker would try is tried in Test, on a real endpoint.
        "SkipModelValidation": "All",
        # Registering the same candidate twice gives the same version.
        "ClientToken": str(candidate["candidate_id"])[:36],
    }
    request.update({key: description[key] for key in _TAKEN_OVER if description.get(key)})
    if source := description.get("SourceUri"):
        request["SourceUri"] = moved.get(source, source)
    for key in _RELOCATED:
        if description.get(key):
            request[key] = _pin(_relocate(description[key], moved), pinned)
    card = description.get("ModelCard")
    if card:
        request["ModelCard"] = _relocated_card(description, card, moved)
    return request


def other_version(known: Mapping[str, Any], description: Mapping[str, Any]) -> list[dict[str, str]]:
    """How a version is not the one that its candidate was registered as, as differences.

    `known` is the candidate's item. The metadata that names the candidate and where it came from
    can be edited; what was recorded at the registration cannot.
    """
    said = description.get("CustomerMetadataProperties") or {}
    found = [
        difference("version of the candidate", known["central_arn"], description["ModelPackageArn"])
    ]
    found += [
        difference(f"metadata.{key}", known[field], said.get(key))
        for key, field in _NAMES_THE_CANDIDATE.items()
    ]
    return [one for one in found if one]


def test_report(request: Mapping[str, Any], outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The full report of a validation: what ran where on which candidate, and how it ended.

    `request` is AggregateResults', `outcome` what the suites add up to. It holds no time of its
    own, so that writing it again gives the same bytes.
    """
    promotion, deployment = request["promotion"], request["deployment"]
    return {
        "schema": "governed-path/test-report/v1",
        "model": promotion["model"],
        "model_package_arn": promotion["model_package_arn"],
        "candidate_id": request["candidate"]["candidate_id"],
        "claim_id": promotion["claim_id"],
        "decided_at": promotion["decided_at"],
        "execution_arn": promotion["execution_arn"],
        "endpoint": {
            key: deployment[key]
            for key in ("account", "endpoint_arn", "config_name", "instance_type", "instance_count")
        },
        "deployment_outcome": request["deployment_outcome"],
        "plan": request["plan"],
        "thresholds": request["thresholds"],
        "predictions": _predictions(request),
        "results": request["results"],
        **outcome,
    }


def _predictions(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where the endpoint's answers to the holdout are; None unless every row was answered."""
    shards = request["shards"]
    if not shards or any(shard.get("problems") for shard in shards):
        return None
    holdout = next(one for one in request["candidate"]["objects"] if one["role"] == "holdout")
    return {
        "holdout": {
            "uri": _uri(holdout),
            "version_id": holdout["version_id"],
            "sha256": holdout["sha256"],
        },
        "rows": max(shard["to"] for shard in shards),
        "shards": [dict(shard) for shard in shards],
    }


def candidate_item(
    request: Mapping[str, Any], central_arn: str, registered_at: str
) -> dict[str, Any]:
    """What the candidates table keeps of a registration.

    `request` is RegisterVersion's {promotion, candidate, objects (Central), approver, trainer};
    the candidate's parts (domain/parts.py) are what a recall asks for;
    approver and trainer are identities. The manifest's digest is the candidate id itself.
    """
    promotion, candidate = request["promotion"], request["candidate"]
    return {
        "candidate_id": candidate["candidate_id"],
        "model": promotion["model"],
        "origin_arn": promotion["model_package_arn"],
        "central_arn": central_arn,
        "manifest_uri": candidate["manifest_uri"],
        "manifest_sha256": candidate["candidate_id"],
        "objects": list(request["objects"]),
        "parts": list(candidate.get("parts") or ()),
        "trainer": request["trainer"],
        "dev_approver": request["approver"],
        "registered_at": registered_at,
    }


def results_update(
    description: Mapping[str, Any], report: Mapping[str, Any], reference: Mapping[str, Any]
) -> dict[str, Any]:
    """The UpdateModelPackage fields that record a test: stage, metadata and model card at once.

    `report` is as `test_report` made it, `reference` {uri, version_id, sha256} where it is. A
    version without a model card does not get one: a card that was not approved would void the
    approval. One that was recalled while it was tested stays recalled.
    """
    why = "; ".join(report["reasons"])
    present = description.get("CustomerMetadataProperties", {})
    prefix = our_evaluation.PREFIX
    others = {key: value for key, value in present.items() if not key.startswith(prefix)}
    results = our_evaluation.in_metadata(report, reference, len(others))
    stale = sorted(present.keys() - others.keys() - results.keys())
    fields: dict[str, Any] = {
        "ModelLifeCycle": {
            "Stage": "Test",
            "StageStatus": report["status"],
            "StageDescription": one_line(
                why or f"All suites passed for candidate {report['candidate_id']}"
            ),
        },
        # The whole map: AWS does not say whether an update merges it or replaces it.
        "CustomerMetadataProperties": {**others, **results},
    }
    if stale:
        fields["CustomerMetadataPropertiesToRemove"] = stale
    if phases.is_taken_back(description):
        del fields["ModelLifeCycle"]
    content = (description.get("ModelCard") or {}).get("ModelCardContent")
    if content:
        said = our_evaluation.on_card(content, report, reference)
        if said != content:
            fields["ModelCard"] = {"ModelCardContent": said}
    return fields


def _moves(
    origins: Sequence[Mapping[str, Any]], centrals: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    by_role = {central["role"]: _uri(central) for central in centrals}
    missing = sorted(str(origin["role"]) for origin in origins if origin["role"] not in by_role)
    if missing:
        raise InvalidInputError(f"not copied to Central: {', '.join(missing)}; copy them first")
    return {_uri(origin): by_role[origin["role"]] for origin in origins}


def _uri(location: Mapping[str, Any]) -> str:
    return f"s3://{location['bucket']}/{location['key']}"


def _pin(value: Any, images: Mapping[str, Mapping[str, str]]) -> Any:
    """The value with every container's image named by digest, where Central uses it."""
    if isinstance(value, list):
        return [_pin(entry, images) for entry in value]
    if not isinstance(value, Mapping):
        return value
    said = {key: _pin(entry, images) for key, entry in value.items()}
    image = images.get(str(value.get("Image")))
    if image:
        said |= {"Image": image["central_uri"], "ImageDigest": image["digest"]}
    return said


def _relocate(value: Any, moved: Mapping[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("s3://"):
        if value not in moved:
            raise InvalidInputError(
                f"the version refers to {value}, which is not part of the candidate, and Central "
                "must not depend on another account's bucket: put it into the model's archive or "
                "name it in AdditionalModelDataSources, and register a new version"
            )
        return moved[value]
    if isinstance(value, Mapping):
        # The ETag belongs to the origin object; the digest in the manifest replaces it.
        return {
            key: _relocate(entry, moved) for key, entry in value.items() if key not in OF_THE_PLACE
        }
    return [_relocate(entry, moved) for entry in value] if isinstance(value, list) else value


def _relocated_metadata(
    description: Mapping[str, Any],
    objects: Sequence[Mapping[str, Any]],
    moved: Mapping[str, str],
) -> dict[str, str]:
    """The metadata that Central takes over: URI and version id of what was copied are Central's."""
    ids = {f"{one['role']}-version-id": one.get("version_id") for one in objects}
    said: dict[str, str] = {}
    for key, value in description.get("CustomerMetadataProperties", {}).items():
        # How it is deployed is said with the approval for Test, by who gives that; what the tests
        # there found, by them.
        if key == METADATA_KEY or key.startswith(our_evaluation.PREFIX):
            continue
        past = key.startswith(_OF_THE_PAST)
        said[key] = value if past else str(ids.get(key) or moved.get(value, value))
        longest = our_evaluation.LONGEST_VALUE
        if len(said[key]) > longest:
            raise InvalidInputError(
                f"the metadata {key} of {description['ModelPackageArn']} has {len(said[key])} "
                f"characters once it names the copy in Central, {said[key]}; at most "
                f"{longest} are taken: register a version whose object has a shorter name"
            )
    return said


def _relocated_card(
    description: Mapping[str, Any], card: Mapping[str, Any], moved: Mapping[str, str]
) -> dict[str, Any]:
    """The card with its attachments where they are in Central; data sets stay where they are."""
    said = {key: card[key] for key in ("ModelCardContent", "ModelCardStatus") if card.get(key)}
    if "ModelCardContent" in said:
        # An evaluation under our name is of other tests than those that this version will have.
        theirs = our_evaluation.without(said["ModelCardContent"])
        said["ModelCardContent"] = with_attachments(theirs, moved)
        size = len(said["ModelCardContent"])
        longest = our_evaluation.LONGEST_CARD
        if size > longest:
            raise InvalidInputError(
                f"the model card of {description['ModelPackageArn']} has {size} characters once "
                f"its attachments are named in Central; at most {longest} are taken: "
                "register a version with a shorter one"
            )
    return said
