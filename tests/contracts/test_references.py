"""No field of CreateModelPackage that names bytes in S3 is forgotten by `candidate.references`.

botocore's service model says which fields there are; each of them gets a URI of its own here, so a
field that AWS adds fails this test until the copy knows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from governance.domain import candidate, registration
from governance.domain.errors import InvalidInputError
from tests.contracts import samples

# Named, and not copied: where a validation job would write to, and where the package came from.
NOT_BYTES = {
    "ValidationSpecification.ValidationProfiles.[].TransformJobDefinition.TransformOutput."
    "S3OutputPath",
    "SourceUri",
}
# A manifest names objects of Dev by itself: refused, with advice.
REFUSED = "ManifestS3Uri"
# Central does not validate again and is told of no payloads for that; they are copied still.
NOT_REGISTERED = "ValidationSpecification"
SHAPES = {"S3Uri", "S3ModelUri", "Url", "ModelPackageSourceUri"}


def _shape(name: str) -> Shape:
    model = botocore.session.get_session().get_service_model("sagemaker")
    return model.shape_for(name)


def _fields(shape: Shape, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted path of every field under a shape that holds an S3 URI."""
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            yield from _fields(member, (*path, name))
    elif isinstance(shape, ListShape):
        yield from _fields(shape.member, (*path, "[]"))
    elif isinstance(shape, MapShape):
        yield from _fields(shape.value, (*path, "{}"))
    elif shape.name in SHAPES:
        yield ".".join(path)


FIELDS = sorted(_fields(_shape("CreateModelPackageInput")))
COPIED = [field for field in FIELDS if field not in NOT_BYTES and REFUSED not in field]


def _kinds(shape: Shape, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(dotted path of a data source, kind) for every kind of data that its S3DataType knows."""
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            if name == "S3DataType":
                yield from ((".".join(path), kind) for kind in member.enum)
            yield from _kinds(member, (*path, name))
    elif isinstance(shape, ListShape):
        yield from _kinds(shape.member, (*path, "[]"))
    elif isinstance(shape, MapShape):
        yield from _kinds(shape.value, (*path, "{}"))


KINDS = sorted(_kinds(_shape("CreateModelPackageInput")))
# Of the payloads of a validation; SageMaker itself takes no other kind there than the first two.
READ = {"S3Object": "", "S3Prefix": "/", "ManifestFile": ""}


def _put(holder: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value at a path, making what is not there; "[]" is the first of a list."""
    key, *rest = path
    if not rest:
        holder[key] = value
    elif rest[0] == "[]":
        _put(holder.setdefault(key, [{}])[0], rest[1:], value)
    else:
        _put(holder.setdefault(key, {}), rest, value)


def _with(field: str, uri: str) -> dict[str, Any]:
    """The sample version, naming `uri` at that field."""
    description = samples.description()
    path = field.split(".")
    names = {
        "AdditionalInferenceSpecifications": ("Name", "other"),
        "ValidationSpecification": ("ValidationProfiles", [{"ProfileName": "p"}]),
    }
    if path[0] in names:
        name, value = names[path[0]]
        description[path[0]] = [{name: value}] if path[1] == "[]" else {name: value}
    _put(description, path, uri)
    _named(description)
    return description


def _named(value: Any) -> None:
    """Channels have names; the other required fields say nothing of S3."""
    if isinstance(value, dict):
        for channel in value.get("AdditionalModelDataSources", []):
            channel["ChannelName"] = "channel"
        for entry in value.values():
            _named(entry)
    elif isinstance(value, list):
        for entry in value:
            _named(entry)


def test_the_model_has_the_fields_that_this_was_written_for() -> None:
    assert len(FIELDS) >= 30
    assert set(FIELDS) >= NOT_BYTES


@pytest.mark.parametrize("field", COPIED)
def test_every_field_that_names_bytes_is_a_reference(field: str) -> None:
    uri = "s3://somewhere/else.bin"
    found = [entry["uri"] for entry in candidate.references(_with(field, uri))]
    assert uri in found


@pytest.mark.parametrize(("source", "kind"), KINDS)
def test_every_kind_of_data_is_read_or_refused(source: str, kind: str) -> None:
    uri = f"s3://somewhere/else{READ.get(kind, '')}"
    description = _with(f"{source}.S3Uri", uri)
    _put(description, f"{source}.S3DataType".split("."), kind)
    if kind in READ:
        (role,) = (one["role"] for one in candidate.references(description) if one["uri"] == uri)
        assert (candidate.selected_role(role) != "") == (kind == "ManifestFile")
    else:
        with pytest.raises(InvalidInputError, match=f"as {kind}.*S3Prefix"):
            candidate.references(description)


@pytest.mark.parametrize("field", [field for field in FIELDS if REFUSED in field])
def test_a_manifest_is_refused_with_advice(field: str) -> None:
    description = _with(field, "s3://somewhere/manifest")
    with pytest.raises(InvalidInputError, match=r"by a manifest.*S3Prefix"):
        candidate.references(description)


@pytest.mark.parametrize(
    "field", [field for field in COPIED if not field.startswith(NOT_REGISTERED)]
)
def test_the_central_version_names_nothing_outside_central(field: str) -> None:
    description = _with(field, "s3://somewhere/else.bin")
    references = candidate.references(description)

    def located(bucket: str) -> list[dict[str, Any]]:
        return [
            {
                "role": entry["role"],
                "bucket": bucket,
                "key": candidate.central_key("m", "c", entry["role"], entry["uri"])
                if bucket == samples.CENTRAL_BUCKET
                else entry["uri"].split("/", 3)[3],
                "version_id": "v1",
                "size": 1,
                "sha256": samples.digest(entry["uri"]),
            }
            for entry in references
        ]

    origin = [
        {**one, "bucket": entry["uri"].split("/")[2]}
        for one, entry in zip(located("origin"), references, strict=True)
    ]
    known = {"candidate_id": samples.CANDIDATE, "manifest_uri": "s3://e/m", "objects": origin}
    request = registration.central_version(description, known, located(samples.CENTRAL_BUCKET), [])
    uris = [text for text in _texts(request) if text.startswith("s3://")]
    outside = {uri for uri in uris if not uri.startswith(f"s3://{samples.CENTRAL_BUCKET}/")}
    # Where the data were that it was trained on, and where Central says everything.
    assert outside == {description["CustomerMetadataProperties"]["dataset-uri"], "s3://e/m"}
    assert any("else.bin" in uri for uri in uris)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _texts(entry)
