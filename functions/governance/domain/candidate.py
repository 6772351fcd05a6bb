"""The candidate: one model package version as an immutable manifest of digests.

The candidate id is the SHA-256 of the manifest's RFC 8785 canonical JSON. The manifest names the
origin locations for ever; where the bytes are in Central is kept beside it, and a gate compares
by role and digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import rfc8785

from governance.domain import images as container_images
from governance.domain import locations, parts
from governance.domain.errors import InvalidInputError

SCHEMA = "governed-path/candidate/v1"
# The card's evaluation that `write_results` adds: bound by the report that it is made of
# (domain/our_evaluation.py), not by the candidate. Every other one is the card's authors'.
_OUR_EVALUATION = re.compile(r"governed-path test of candidate [0-9a-f]{12}")

# What SageMaker says of an object where it is; the digests say what it is.
OF_THE_PLACE = {"ModelDataETag", "ETag", "ManifestEtag"}
_REQUIRED_ROLES = ("model-data", "evaluation", "holdout")
_MODEL_DATA = re.compile(r"model-data(-url)?(-\d+)?")
# A validation profile's payloads, and the manifest file that names them one by one.
_SELECTED, _SELECTING = "validation/", "validation-manifest/"
_DATA_SETS = ("datasets", "training_datasets")  # fields of the card, as SageMaker's schema has them
# What an entry, an event and a state of a workflow can hold of differences, whoever made them many.
_MOST_DIFFERENCES = 25
_LONGEST_TEXT = 400  # characters of a name or a value, escaped as JSON may have them
_S3_URI = re.compile(r"s3://[^/\s]+/\S+")


def references(description: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every S3 object and prefix that a version refers to, before anything is read from S3.

    `description` is DescribeModelPackage's answer. Returns [{role, uri, version_id, sha256}] with
    "" where the registration declared none, sorted by role; a prefix ends with "/", and no role
    lies under another. What several fields name has the role of the first. InvalidInputError if
    the version has no container, or lacks model data, an evaluation report or a holdout. Of an
    inference pipeline, one container with model data is enough.
    """
    metadata = description.get("CustomerMetadataProperties", {})
    found: dict[str, str] = {}
    taken: set[str] = set()
    for role, uri in _named(description, metadata):
        if uri not in taken:
            found[role] = uri
            taken.add(uri)
    # Which container of a pipeline has the model data does not matter.
    there = found.keys() | {"model-data" for role in found if is_model_data(role)}
    missing = [role for role in _REQUIRED_ROLES if role not in there]
    if missing:
        raise InvalidInputError(
            f"{description.get('ModelPackageArn')} has no {', '.join(missing)}; the training "
            "pipeline must register ModelDataUrl, ModelMetrics.ModelQuality.Statistics and the "
            "metadata holdout-uri"
        )
    return [
        {
            "role": role,
            "uri": uri,
            "version_id": str(metadata.get(f"{role}-version-id", "")),
            "sha256": str(metadata.get(f"{role}-sha256", "")),
        }
        for role, uri in sorted(found.items())
    ]


def is_model_data(role: str) -> bool:
    """True for the model data of the inference specification's containers: "-2" is the second's."""
    return _MODEL_DATA.fullmatch(role) is not None


def _named(
    description: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """(role, uri) of every field of CreateModelPackage that names bytes in S3.

    tests/contracts/test_references.py compares this with botocore's service model.
    """
    yield from _of_containers(_containers(description))
    if evaluation := _at(description, "ModelMetrics", "ModelQuality", "Statistics", "S3Uri"):
        yield "evaluation", evaluation
    if holdout := metadata.get("holdout-uri"):
        yield "holdout", holdout
    if libraries := metadata.get(f"{parts.LIBRARIES}-uri"):
        yield parts.LIBRARIES, libraries
    if payload := description.get("SamplePayloadUrl"):
        yield "sample-payload", payload
    yield from _reports(description)
    for specification in description.get("AdditionalInferenceSpecifications") or []:
        within = f"specification/{specification['Name']}/"
        yield from _of_containers(specification.get("Containers") or [], within)
    algorithms = _at(description, "SourceAlgorithmSpecification", "SourceAlgorithms") or []
    yield from _of_containers(algorithms, "algorithm/")
    profiles = _at(description, "ValidationSpecification", "ValidationProfiles") or []
    for profile in profiles:
        source = _at(
            profile, "TransformJobDefinition", "TransformInput", "DataSource", "S3DataSource"
        )
        yield _payloads(profile["ProfileName"], source or {})
    for number, uri in enumerate(_attachments(description), 1):
        yield f"card/{number}", uri


def _payloads(profile: str, source: Mapping[str, Any]) -> tuple[str, str]:
    """(role, URI) of what a validation profile sends, or of the manifest file that names it."""
    if source.get("S3DataType") == "ManifestFile":
        return f"{_SELECTING}{profile}", _source_uri({**source, "S3DataType": "S3Object"})
    return f"{_SELECTED}{profile}", _source_uri(source)


def selected_role(role: str) -> str:
    """The role of the objects that the artefact with this role names; "" if it names none."""
    return f"{_SELECTED}{role.removeprefix(_SELECTING)}" if role.startswith(_SELECTING) else ""


def _of_containers(
    containers: Sequence[Mapping[str, Any]], within: str = ""
) -> Iterator[tuple[str, str]]:
    for number, container in enumerate(containers, 1):
        which = "" if number == 1 else f"-{number}"
        data, url = _at(container, "ModelDataSource", "S3DataSource"), container.get("ModelDataUrl")
        if data:
            yield f"{within}model-data{which}", _source_uri(data)
        if url and url != (data or {}).get("S3Uri"):
            # As SageMaker takes it: a prefix is named by a ModelDataSource.
            role = f"{within}model-data-url{which}" if data else f"{within}model-data{which}"
            yield role, _source_uri({"S3Uri": url})
        for channel in container.get("AdditionalModelDataSources") or []:
            role = f"{within}channel{which}/{channel['ChannelName']}"
            yield role, _source_uri(channel["S3DataSource"])
        if more := container.get("AdditionalS3DataSource"):
            yield f"{within}additional-data{which}", _source_uri(more)


def _source_uri(source: Mapping[str, Any]) -> str:
    """The URI of a data source. InvalidInputError if it does not say by itself what is meant."""
    uri, kind = str(source.get("S3Uri", "")), source.get("S3DataType", "S3Object")
    if source.get("ManifestS3Uri") or kind not in ("S3Object", "S3Prefix"):
        raise InvalidInputError(
            f"the version names the data {uri} by a manifest (ManifestS3Uri) or as {kind}: AWS "
            "does not document what that holds, so it cannot be known which objects are meant, "
            "nor be written for Central; put the objects under one prefix and register a version "
            "whose S3DataType is S3Prefix"
        )
    if uri.endswith("/") != (kind == "S3Prefix"):
        raise InvalidInputError(
            f"the version refers to {uri} as {kind}; the URI of an S3Prefix ends with '/', "
            "and that of an S3Object does not"
        )
    return uri


def _attachments(description: Mapping[str, Any]) -> list[str]:
    """The S3 URIs in the model card that are no data sets, each once, sorted.

    Data sets stay where they are: training_data names them, lineage leads to them.
    """
    body = canonical_card(description)
    found: set[str] = set()

    def seen(uri: str) -> str:
        found.add(uri)
        return uri

    _with_attachments(json.loads(body or b"{}"), seen)
    return sorted(found)


def with_attachments(content: str, places: Mapping[str, str]) -> str:
    """A model card's content that names its attachments by other URIs: {URI: URI}.

    The text is left as it is if it names none of them.
    """
    card = json.loads(content)
    moved = _with_attachments(card, lambda uri: places.get(uri, uri))
    return content if moved == card else json.dumps(moved, ensure_ascii=False)


def _with_attachments(value: Any, place: Callable[[str], str], key: str = "") -> Any:
    """The JSON value with `place` asked for each text that is an attachment's URI."""
    if isinstance(value, str):
        # `key` is the nearest one. Whatever has a URI for its whole text means that object.
        return place(value) if key not in _DATA_SETS and _S3_URI.fullmatch(value) else value
    if isinstance(value, Mapping):
        return {name: _with_attachments(entry, place, name) for name, entry in value.items()}
    if isinstance(value, list):
        return [_with_attachments(entry, place, key) for entry in value]
    return value


def manifest(
    description: Mapping[str, Any],
    artifacts: Sequence[Mapping[str, Any]],
    images: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """The manifest of a version whose objects were located and whose images were looked up.

    `artifacts` are the origin locations, with role, of what `references` listed; `images`
    [{uri, digest}] those of the version's containers that are in ECR. InvalidInputError if the
    version has no container.
    """
    _containers(description)
    return {
        "schema": SCHEMA,
        "model": description["ModelPackageGroupName"],
        "artifacts": sorted(
            (
                {
                    key: artifact[key]
                    for key in ("role", *locations.OBJECT_KEYS, *locations.KIND_KEYS)
                    if key in artifact
                }
                for artifact in artifacts
            ),
            key=lambda artifact: (artifact["role"], artifact["key"]),
        ),
        "images": sorted(
            ({"uri": image["uri"], "digest": image["digest"]} for image in images),
            key=lambda image: (image["uri"], image["digest"]),
        ),
        **_contents(description, artifacts, images),
    }


def _contents(
    description: Mapping[str, Any],
    artifacts: Sequence[Mapping[str, Any]],
    images: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """What a version says besides the bytes of its artefacts and images, wherever these are."""
    looked_up = {image["uri"]: image["digest"] for image in images}
    metadata = description.get("CustomerMetadataProperties", {})
    roles = {_uri(artifact): f"artifact:{artifact['role']}" for artifact in artifacts}
    return {
        "inference_specification": _placeless(
            description["InferenceSpecification"], roles, looked_up
        ),
        "additional_inference_specifications": _placeless(
            description.get("AdditionalInferenceSpecifications") or [], roles, looked_up
        ),
        "source_uri": _placeless(description.get("SourceUri"), roles, {}),
        "model_card_sha256": card_digest(description, artifacts),
        "training_data": training_data(description),
        "code_commit": _at(description, "MetadataProperties", "CommitId")
        or metadata.get("code-commit"),
    }


def training_data(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """[{uri, version_id, sha256}] that the registration names; None for what it does not say."""
    metadata = description.get("CustomerMetadataProperties", {})
    return [
        {
            "uri": metadata.get("dataset-uri"),
            "version_id": metadata.get("dataset-version-id"),
            "sha256": metadata.get("dataset-sha256"),
        }
    ]


def canonical(manifest_: Mapping[str, Any]) -> bytes:
    """The manifest as RFC 8785 canonical JSON, the bytes that the candidate id digests."""
    return rfc8785.dumps(dict(manifest_))


def candidate_id(manifest_: Mapping[str, Any]) -> str:
    """64 hex digits: SHA-256 of the canonical manifest."""
    return hashlib.sha256(canonical(manifest_)).hexdigest()


def card_digest(
    description: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]] = ()
) -> str | None:
    """SHA-256 of the model card without the evaluations that we added; None without a card.

    InvalidInputError if the card's content is not a JSON object.
    """
    card = canonical_card(description, artifacts)
    return None if card is None else hashlib.sha256(card).hexdigest()


def canonical_card(
    description: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]] = ()
) -> bytes | None:
    """The bytes that `card_digest` digests: the card as its authors wrote it, RFC 8785.

    Attachments among the `artifacts`, locations with roles, are named by role: what the card says
    is the same in Dev and in Central, where they are is not.
    """
    roles = {_uri(artifact): f"artifact:{artifact['role']}" for artifact in artifacts}
    content = _at(description, "ModelCard", "ModelCardContent")
    if not content:
        return None
    what = f"the model card of {description.get('ModelPackageArn')}"
    try:
        card = json.loads(content)
        if not isinstance(card, dict):
            raise InvalidInputError(f"{what} is not a JSON object")
        details = card.pop("evaluation_details", None) or []
        if not isinstance(details, list):
            raise InvalidInputError(f"evaluation_details of {what} is not a list")
        theirs = [entry for entry in details if not is_our_evaluation(entry)]
        said = {**card, "evaluation_details": theirs}
        return rfc8785.dumps(_with_attachments(said, lambda uri: roles.get(uri, uri)))
    # No JSON at all, or numbers that canonical JSON does not know.
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{what} is not JSON: {error}") from error


def our_evaluation_name(candidate_id: str) -> str:
    """The name of the evaluation that we add to a candidate's card."""
    return f"governed-path test of candidate {candidate_id[:12]}"


def is_our_evaluation(evaluation: Any) -> bool:
    """True for the evaluation of a card that we added, by its name."""
    name = evaluation.get("name") if isinstance(evaluation, Mapping) else None
    return isinstance(name, str) and _OUR_EVALUATION.fullmatch(name) is not None


def declared_mismatches(
    references_: Sequence[Mapping[str, str]], artifacts: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """What the registration declared about its objects and S3 says otherwise.

    [{name, declared, actual}]; an object for which nothing was declared cannot differ.
    """
    actual = {artifact["role"]: artifact for artifact in artifacts}
    return [
        {
            "name": f"{reference['role']} {field}",
            "declared": reference[field],
            "actual": str(actual[reference["role"]][field]),
        }
        for reference in references_
        for field in ("version_id", "sha256")
        if reference[field] and reference[field] != actual[reference["role"]][field]
    ]


def superseded(
    artifacts: Iterable[tuple[Mapping[str, Any], str | None]],
) -> list[dict[str, str]]:
    """What was registered as one version of an object whose present version is another.

    `artifacts` are (location, id of the present version, None if it was deleted); the rest is as
    `declared_mismatches` says. An endpoint, a person and the next training see the present one.
    """
    return [
        {
            "name": f"{location['role']} present version of {_uri(location)}",
            "declared": str(location["version_id"]),
            "actual": present or "deleted",
        }
        for location, present in artifacts
        if present != location["version_id"]
    ]


def replaced(
    artifacts: Sequence[Mapping[str, Any]], registered: Mapping[str, Any] | None
) -> list[dict[str, str]]:
    """What had other bytes when the version was registered, as `declared_mismatches` says it.

    `registered` is the manifest that was recorded then, None if none was. A version may be
    completed until it is approved: what names something else by now is no replacement.
    """
    then = {_uri(one): one["sha256"] for one in (registered or {}).get("artifacts", ())}
    return [
        {
            "name": f"{location['role']} sha256 of {_uri(location)}",
            "declared": then[_uri(location)],
            "actual": str(location["sha256"]),
        }
        for location in artifacts
        if then.get(_uri(location), location["sha256"]) != location["sha256"]
    ]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, str]]:
    """How one candidate's manifest differs from another's: [{name, expected, actual}].

    `expected` is what `before` has. Where the bytes are does not count, their digests do.
    """
    digests = [{one["role"]: one["sha256"] for one in m["artifacts"]} for m in (before, after)]
    values = [dict(leaves({**m, "artifacts": [], "schema": None})) for m in (before, after)]
    return [
        found
        for suffix, (old, new) in ((" sha256", digests), ("", values))
        for name in sorted(old.keys() | new.keys())
        if (found := difference(f"{name}{suffix}", old.get(name), new.get(name)))
    ]


def differences(
    approved: Mapping[str, Any],
    description: Mapping[str, Any],
    objects: Sequence[Mapping[str, Any]],
    images: Sequence[Mapping[str, str]] = (),
) -> list[dict[str, str]]:
    """How a version differs from the candidate's manifest: [{name, expected, actual}].

    `approved` is the manifest, `description` the version now, `objects` its locations as S3
    reports them now, `images` as `manifest` takes them: Central names every image by digest, so
    there are none to look up. Places may differ from the manifest's, bytes may not.
    """
    digests = {artifact["role"]: artifact["sha256"] for artifact in approved["artifacts"]}
    present = {location["role"]: location["sha256"] for location in objects}
    found = [
        difference(f"{role} sha256", digests.get(role), present.get(role))
        for role in sorted(digests.keys() | present.keys())
    ]
    expected = {**approved, "artifacts": [], "images": [], "schema": None}
    now = {
        "model": description["ModelPackageGroupName"],
        **_contents(description, objects, images),
    }
    before, after = dict(leaves(expected)), dict(leaves(now))
    found += [
        difference(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
    ]
    return [difference for difference in found if difference]


def differences_as_set(
    approved: Mapping[str, Any],
    specification: Mapping[str, Any],
    objects: Sequence[Mapping[str, Any]],
) -> list[dict[str, str]]:
    """How an inference specification that an event tells of differs from the manifest's.

    What the event leaves out does not count: AWS does not document that it tells everything.
    """
    roles = {_uri(location): f"artifact:{location['role']}" for location in objects}
    name = "inference_specification"
    before = dict(leaves(approved[name], name))
    now = dict(leaves(_placeless(specification, roles, {}), name))
    found = [difference(leaf, before.get(leaf), now[leaf]) for leaf in sorted(now)]
    return [one for one in found if one]


def in_short(differences_: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """The differences as they are recorded: the first ones, and of a long text its beginning.

    Nobody shall keep a change out of the ledger by making it too large for an entry, or by half a
    character. A text that is cut has its digest, so two that begin alike are still told apart.
    """
    told = [
        {key: _in_short(text) for key, text in one.items()}
        for one in differences_[:_MOST_DIFFERENCES]
    ]
    left = len(differences_) - len(told)
    if left:
        everything = json.dumps([dict(one) for one in differences_], sort_keys=True)
        digest = hashlib.sha256(everything.encode()).hexdigest()
        told.append({"name": f"{left} more", "expected": "", "actual": f"sha256 of all: {digest}"})
    return told


def _in_short(text: str) -> str:
    whole = text.encode("utf-8", "backslashreplace")
    escaped = json.dumps(text)[1:-1]
    if len(escaped) <= _LONGEST_TEXT:
        return whole.decode()
    return f"{escaped[:_LONGEST_TEXT]}... (sha256 {hashlib.sha256(whole).hexdigest()})"


def central_prefix(model: str, candidate: str) -> str:
    """Where the objects of a candidate are in the artifacts bucket: no two candidates share it."""
    return f"models/{model}/{candidate}/"


def central_key(model: str, candidate: str, role: str, key: str) -> str:
    """Where an object of a candidate is there; where a prefix is, if `key` is one's."""
    return f"{central_prefix(model, candidate)}{role}/{key.rpartition('/')[2]}"


def difference(name: str, expected: Any, actual: Any) -> dict[str, str]:
    """{name, expected, actual} as text; {} if there is none."""
    if expected == actual:
        return {}
    return {"name": name, "expected": _text(expected), "actual": _text(actual)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _uri(location: Mapping[str, Any]) -> str:
    return f"s3://{location['bucket']}/{location['key']}"


def _containers(description: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The containers, several of an inference pipeline; InvalidInputError if there are none."""
    containers: Sequence[Mapping[str, Any]]
    containers = _at(description, "InferenceSpecification", "Containers") or []
    if not containers:
        raise InvalidInputError(
            f"{description.get('ModelPackageArn')} has no containers; register a version whose "
            "InferenceSpecification has at least one"
        )
    return containers


def _placeless(value: Any, roles: Mapping[str, str], looked_up: Mapping[str, str]) -> Any:
    """The value as Dev and Central agree on it: artefacts by role, images by digest."""
    if isinstance(value, str):
        return roles.get(value, value)
    if isinstance(value, Mapping):
        said = {
            key: _placeless(entry, roles, looked_up)
            for key, entry in value.items()
            if key not in OF_THE_PLACE
        }
        return container_images.placeless(said, looked_up) if "Image" in said else said
    if isinstance(value, list):
        return [_placeless(entry, roles, looked_up) for entry in value]
    return value


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of everything in a JSON value that holds nothing itself."""
    if isinstance(value, Mapping | list) and value:
        entries = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, entry in entries:
            yield from leaves(entry, f"{path}.{key}" if path else str(key))
    elif value not in (None, [], {}):
        yield path, value


def _reports(description: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(role, uri) of every report under ModelMetrics and DriftCheckBaselines."""
    return [
        (f"{kind}/{'-'.join(path)}".lower(), uri)
        for kind, field in (("metrics", "ModelMetrics"), ("baseline", "DriftCheckBaselines"))
        for path, uri in _uris(description.get(field, {}))
    ]


def _uris(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """(path, uri) of every S3Uri under a value; the path is that of what it belongs to."""
    if not isinstance(value, Mapping):
        return []
    own = [(path, str(value["S3Uri"]))] if value.get("S3Uri") else []
    return own + [
        found for key, entry in sorted(value.items()) for found in _uris(entry, (*path, key))
    ]


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
