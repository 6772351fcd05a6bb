"""The candidate: the same bytes have the same id, other bytes have another one."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import candidate
from governance.domain.errors import InvalidInputError
from tests.contracts import samples

Description = dict[str, Any]
Change = Callable[[Description], None]


def _id(description: Description, objects: list[dict[str, Any]] | None = None) -> str:
    objects = samples.origin_objects() if objects is None else objects
    return candidate.candidate_id(candidate.manifest(description, objects))


def _set(*path: str | int, to: Any) -> Change:
    def change(description: Description) -> None:
        holder: Any = description
        for key in path[:-1]:
            holder = holder[key]
        if to is None:
            del holder[path[-1]]
        else:
            holder[path[-1]] = to

    return change


def _changed(change: Change) -> Description:
    description = samples.description()
    change(description)
    return description


def _shuffled(value: Any, dice: random.Random) -> Any:
    """The same value with its keys in another order."""
    if isinstance(value, dict):
        keys = list(value)
        dice.shuffle(keys)
        return {key: _shuffled(value[key], dice) for key in keys}
    return [_shuffled(entry, dice) for entry in value] if isinstance(value, list) else value


CONTAINER = ("InferenceSpecification", "Containers", 0)
BYTES_AND_BEHAVIOUR: dict[str, Change] = {
    "model": _set("ModelPackageGroupName", to="other-model"),
    "image": _set(*CONTAINER, "Image", to="other:latest"),
    "image digest": _set(*CONTAINER, "ImageDigest", to="sha256:" + "d" * 64),
    "no image digest": _set(*CONTAINER, "ImageDigest", to=None),
    "environment value": _set(*CONTAINER, "Environment", "SAGEMAKER_PROGRAM", to="evil.py"),
    "environment variable": _set(*CONTAINER, "Environment", "PYTHONPATH", to="/tmp"),
    "no environment": _set(*CONTAINER, "Environment", to=None),
    "content types": _set("InferenceSpecification", "SupportedContentTypes", to=["text/csv"]),
    "response types": _set("InferenceSpecification", "SupportedResponseMIMETypes", to=["text/csv"]),
    "instance types": _set(
        "InferenceSpecification", "SupportedRealtimeInferenceInstanceTypes", to=["ml.p5.48xlarge"]
    ),
    "source": _set("SourceUri", to="https://mlflow.example/runs/2"),
    "model card": _set("ModelCard", "ModelCardContent", to='{"model_overview": {}}'),
    "no model card": _set("ModelCard", to=None),
    "training data": _set("CustomerMetadataProperties", "dataset-sha256", to="e" * 64),
    "training data version": _set("CustomerMetadataProperties", "dataset-version-id", to="v9"),
    "code": _set("MetadataProperties", "CommitId", to="1" * 40),
}
NEITHER: dict[str, Change] = {
    "stage": _set("ModelLifeCycle", to={"Stage": "Test", "StageStatus": "Passed"}),
    "approval": _set("ModelApprovalStatus", to="Approved"),
    "description": _set("ModelPackageDescription", to="other words"),
    "who changed it": _set("LastModifiedBy", to=samples.user("ai-engineer", "alex")),
    "when": _set("LastModifiedTime", to="2027-01-01T00:00:00Z"),
    "version": _set("ModelPackageArn", to=samples.version_arn(samples.CENTRAL, 3)),
    "test results": _set("CustomerMetadataProperties", "test-auc", to="0.82"),
    "state of the card": _set("ModelCard", "ModelCardStatus", to="Approved"),
}


# ------------------------------------------------------------------ manifest and id


def test_the_manifest_is_canonical_json_and_the_id_its_digest() -> None:
    manifest = candidate.manifest(samples.description(), samples.origin_objects())
    body = candidate.canonical(manifest)
    assert json.loads(body) == manifest
    assert body == json.dumps(
        manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode("utf-8")
    assert candidate.candidate_id(manifest) == hashlib.sha256(body).hexdigest()


def test_the_manifest_has_the_agreed_form() -> None:
    manifest = candidate.manifest(
        samples.description(), samples.origin_objects(), samples.candidate()["images"]
    )
    assert {key: value for key, value in manifest.items() if key != "artifacts"} == {
        "schema": "governed-path/candidate/v1",
        "model": samples.MODEL,
        "images": samples.candidate()["images"],
        "inference_specification": {
            "Containers": [
                {
                    "Image": f"image:{samples.IMAGE_DIGEST}",
                    "ModelDataUrl": "artifact:model-data",
                    "Environment": {
                        "SAGEMAKER_PROGRAM": "inference.py",
                        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                    },
                }
            ],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
            "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large", "ml.m5.xlarge"],
        },
        "additional_inference_specifications": [],
        "source_uri": None,
        "model_card_sha256": candidate.card_digest(samples.description()),
        "training_data": [
            {
                "uri": f"s3://{samples.DEV_BUCKET}/datasets/diabetes.csv",
                "version_id": "v-diabetes.csv",
                "sha256": samples.digest("diabetes.csv"),
            }
        ],
        "code_commit": "0" * 40,
    }
    assert manifest["artifacts"] == samples.origin_objects()


@given(st.randoms(use_true_random=False))
def test_order_of_keys_and_of_objects_does_not_matter(dice: random.Random) -> None:
    objects = samples.origin_objects()
    dice.shuffle(objects)
    shuffled = _shuffled(samples.description(), dice)
    assert _id(shuffled, objects) == _id(samples.description())


@pytest.mark.parametrize("change", BYTES_AND_BEHAVIOUR.values(), ids=BYTES_AND_BEHAVIOUR)
def test_another_byte_or_behaviour_is_another_candidate(change: Change) -> None:
    assert _id(_changed(change)) != _id(samples.description())


@pytest.mark.parametrize("field", ["role", "bucket", "key", "version_id", "size", "sha256"])
@pytest.mark.parametrize("index", range(len(samples.origin_objects())))
def test_every_field_of_every_object_counts(index: int, field: str) -> None:
    objects = samples.origin_objects()
    objects[index][field] = 7 if field == "size" else "f" * 64
    assert _id(samples.description(), objects) != _id(samples.description())


def test_an_object_more_or_less_is_another_candidate() -> None:
    objects = samples.origin_objects()
    ids = {
        _id(samples.description(), objects),
        _id(samples.description(), objects[1:]),
        _id(samples.description(), [*objects, {**objects[0], "role": "baseline/other"}]),
    }
    assert len(ids) == 3


def test_what_else_is_known_of_an_object_is_left_out() -> None:
    objects = [{**entry, "etag": "x", "last_modified": "y"} for entry in samples.origin_objects()]
    assert _id(samples.description(), objects) == _id(samples.description())


@pytest.mark.parametrize("change", NEITHER.values(), ids=NEITHER)
def test_decisions_and_results_are_not_the_candidate(change: Change) -> None:
    assert _id(_changed(change)) == _id(samples.description())


def test_the_commit_may_be_in_the_metadata_alone() -> None:
    without = _changed(_set("MetadataProperties", to=None))
    assert _id(without) == _id(samples.description())


def test_a_version_without_containers_is_none() -> None:
    description = samples.description()
    description["InferenceSpecification"]["Containers"] = []
    with pytest.raises(InvalidInputError, match=r"model-package/.*/1 has no containers"):
        candidate.manifest(description, [])


def _pipeline(description: Description) -> None:
    """Two more containers: one without model data, and one with its own."""
    description["InferenceSpecification"]["Containers"] += [
        {"Image": "repo/features:1"},
        {"Image": "repo/calibration:1", "ModelDataUrl": "s3://b/calibration.tar.gz"},
    ]


def test_every_container_of_a_pipeline_is_part_of_the_candidate() -> None:
    description = _changed(_pipeline)
    roles = _roles(description)
    assert roles["model-data-3"] == "s3://b/calibration.tar.gz"
    assert "model-data-2" not in roles
    objects = [*samples.origin_objects(), _object("model-data-3", "calibration.tar.gz")]
    manifest = candidate.manifest(description, objects)
    images = [one["Image"] for one in manifest["inference_specification"]["Containers"]]
    assert images[1:] == ["repo/features:1", "repo/calibration:1"]
    third = manifest["inference_specification"]["Containers"][2]
    assert third["ModelDataUrl"] == "artifact:model-data-3"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_set(*CONTAINER[:2], 2, "Image", to="repo/other:1"), "Containers.2.Image"),
        (_set(*CONTAINER[:2], 1, "Environment", to={"A": "1"}), "Containers.1.Environment.A"),
        (lambda d: d["InferenceSpecification"]["Containers"].pop(), "Containers.2.Image"),
        (lambda d: d["InferenceSpecification"]["Containers"].reverse(), "Containers.0.Image"),
    ],
    ids=["image", "environment", "one less", "order"],
)
def test_a_change_of_any_container_is_found(change: Change, named: str) -> None:
    description = _changed(_pipeline)
    objects = [*samples.origin_objects(), _object("model-data-3", "calibration.tar.gz")]
    approved = candidate.manifest(description, objects)
    assert candidate.differences(approved, description, objects) == []
    change(description)
    found = candidate.differences(approved, description, objects)
    assert f"inference_specification.{named}" in {one["name"] for one in found}


def test_model_data_may_be_in_any_container() -> None:
    description = _changed(_pipeline)
    description["InferenceSpecification"]["Containers"].pop(0)
    assert _roles(description)["model-data-2"] == "s3://b/calibration.tar.gz"
    description["InferenceSpecification"]["Containers"].pop()
    with pytest.raises(InvalidInputError, match="has no model-data"):
        candidate.references(description)


def _object(role: str, name: str) -> dict[str, Any]:
    return {
        "role": role,
        "bucket": "b",
        "key": name,
        "version_id": "v",
        "size": 3,
        "sha256": samples.digest(name),
    }


# ------------------------------------------------------------------ model card


def _with_card(content: Any) -> Description:
    text = content if isinstance(content, str) else json.dumps(content)
    return samples.description(ModelCard={"ModelCardContent": text})


THEIRS = {"name": "holdout", "evaluation_observation": "good"}
OURS = {"name": "governed-path test of candidate dda18a0e21ae", "metric_groups": []}


def test_our_own_evaluations_are_not_the_card() -> None:
    card = {"model_overview": {"model_description": "x"}, "evaluation_details": [THEIRS]}
    tested = {**card, "evaluation_details": [THEIRS, OURS]}
    assert candidate.card_digest(_with_card(tested)) == candidate.card_digest(_with_card(card))


@pytest.mark.parametrize(
    "card", [{}, {"evaluation_details": None}, {"evaluation_details": []}], ids=repr
)
def test_a_card_without_evaluations_may_get_ours(card: dict[str, Any]) -> None:
    tested = {"evaluation_details": [OURS]}
    assert candidate.card_digest(_with_card(tested)) == candidate.card_digest(_with_card(card))


@pytest.mark.parametrize(
    "details",
    [
        [{**THEIRS, "evaluation_observation": "bad"}],
        [],
        [THEIRS, {"name": "another"}],
        [THEIRS, {"evaluation_observation": "governed-path"}],
        [THEIRS, {"name": "governed-pathological claims: approved by the FDA"}],
        [THEIRS, {**OURS, "name": f"{OURS['name']} and more"}],
    ],
    ids=repr,
)
def test_evaluations_of_others_are_the_card(details: list[dict[str, Any]]) -> None:
    card = {"evaluation_details": [THEIRS]}
    other = candidate.card_digest(_with_card({"evaluation_details": details}))
    assert other != candidate.card_digest(_with_card(card))


def test_white_space_and_order_of_a_card_do_not_matter() -> None:
    one = '{"a": 1, "b": {"c": 2.0}}'
    other = '{"b":{"c":2},\n  "a":1}'
    assert candidate.card_digest(_with_card(one)) == candidate.card_digest(_with_card(other))


def test_a_card_is_the_same_wherever_its_attachments_are() -> None:
    def card(place: str) -> dict[str, Any]:
        return {
            "evaluation_details": [{"name": "a", "metadata": {"plot": f"s3://{place}/roc.png"}}],
            "training_details": {"training_datasets": ["s3://dev/roc.png"]},
        }

    dev, central = ([{**_object("card/1", "roc.png"), "bucket": b}] for b in ("dev", "central"))
    digest = candidate.card_digest(_with_card(card("dev")), dev)
    assert candidate.card_digest(_with_card(card("central")), central) == digest
    assert candidate.card_digest(_with_card(card("elsewhere")), central) != digest
    assert candidate.card_digest(_with_card(card("dev")), central) != digest
    content = candidate.with_attachments(
        json.dumps(card("dev")), {"s3://dev/roc.png": "s3://central/roc.png"}
    )
    assert json.loads(content) == card("central")


def test_a_card_that_names_nothing_else_is_left_as_it_was_written() -> None:
    content = '{"b":  1, "a": "see s3://dev/roc.png"}'
    assert candidate.with_attachments(content, {"s3://dev/roc.png": "s3://c/roc.png"}) == content


@pytest.mark.parametrize("card", [{}, {"ModelCardContent": ""}, None], ids=repr)
def test_no_card_has_no_digest(card: Any) -> None:
    assert candidate.card_digest(samples.description(ModelCard=card)) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('"text"', "is not a JSON object"),
        ('{"evaluation_details": "none"}', "evaluation_details .* is not a list"),
        ('{"auc": NaN}', "is not JSON"),
        ('{"rows": 12345678901234567890}', "is not JSON"),
    ],
)
def test_a_broken_card_is_refused_by_the_version_it_belongs_to(content: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem) as refused:
        candidate.card_digest(_with_card(content))
    assert samples.version_arn(samples.DEV, 1) in str(refused.value)


# ------------------------------------------------------------------ replaced since


def test_what_another_version_has_taken_the_place_of_is_named() -> None:
    one = _object("model-data", "model.tar.gz")
    pairs = [(one, "v"), (one, "w"), (one, None)]
    name = "model-data present version of s3://b/model.tar.gz"
    assert candidate.superseded(pairs) == [
        {"name": name, "declared": "v", "actual": "w"},
        {"name": name, "declared": "v", "actual": "deleted"},
    ]


def test_other_bytes_at_the_same_place_are_a_replacement_and_another_place_is_not() -> None:
    before = _object("baseline/a", "one.json")
    after = {**before, "sha256": samples.digest("two.json")}
    registered = {"artifacts": [before]}
    assert candidate.replaced([before, _object("card/1", "new.png")], registered) == []
    assert candidate.replaced([after], None) == []
    (found,) = candidate.replaced([{**after, "role": "baseline/b"}], registered)
    assert found == {
        "name": "baseline/b sha256 of s3://b/one.json",
        "declared": before["sha256"],
        "actual": after["sha256"],
    }


# ------------------------------------------------------------------ references


def test_every_object_of_a_version_is_referred_to_once() -> None:
    found = candidate.references(samples.description())
    assert [(entry["role"], entry["uri"]) for entry in found] == [
        (entry["role"], f"s3://{entry['bucket']}/{entry['key']}")
        for entry in samples.origin_objects()
    ]


def test_what_the_pipeline_declared_comes_with_the_reference() -> None:
    declared = {
        entry["role"]: (entry["version_id"], entry["sha256"])
        for entry in candidate.references(samples.description())
    }
    assert declared["model-data"] == ("v-model.tar.gz", samples.digest("model.tar.gz"))
    assert declared["evaluation"] == ("v-evaluation.json", samples.digest("evaluation.json"))
    assert declared["holdout"] == ("v-holdout.csv", samples.digest("holdout.csv"))
    assert declared["sample-payload"] == ("", "")


def test_model_data_may_be_a_single_object_of_a_data_source() -> None:
    description = samples.description()
    (container,) = description["InferenceSpecification"]["Containers"]
    uri = container.pop("ModelDataUrl")
    container["ModelDataSource"] = {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Object"}}
    assert candidate.references(description) == candidate.references(samples.description())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_set("ModelMetrics", to=None), "evaluation"),
        (_set("CustomerMetadataProperties", "holdout-uri", to=None), "holdout"),
        (_set("CustomerMetadataProperties", to={}), "holdout"),
    ],
)
def test_a_version_that_lacks_evidence_is_refused(change: Change, named: str) -> None:
    with pytest.raises(InvalidInputError, match=f"model-package/.*/1 has no {named}"):
        candidate.references(_changed(change))


def _data_source(**source: str) -> Description:
    description = samples.description()
    (container,) = description["InferenceSpecification"]["Containers"]
    del container["ModelDataUrl"]
    container["ModelDataSource"] = {"S3DataSource": source}
    return description


def _validated(uri: str, kind: str) -> Description:
    description = samples.description()
    source = {"S3DataSource": {"S3Uri": uri, "S3DataType": kind}}
    job = {"TransformJobDefinition": {"TransformInput": {"DataSource": source}}}
    profile = {"ProfileName": "smoke", **job}
    description["ValidationSpecification"] = {"ValidationProfiles": [profile]}
    return description


def test_what_a_validation_sends_may_be_named_one_by_one() -> None:
    description = _validated("s3://b/payloads.manifest", "ManifestFile")
    role = "validation-manifest/smoke"
    assert {role: "s3://b/payloads.manifest"}.items() <= _roles(description).items()
    assert candidate.selected_role(role) == "validation/smoke"
    assert [role for role in _roles(_everywhere()) if candidate.selected_role(role)] == []


def test_model_data_may_be_all_objects_under_a_prefix() -> None:
    description = _data_source(S3Uri="s3://bucket/model/", S3DataType="S3Prefix")
    assert {"model-data": "s3://bucket/model/"}.items() <= _roles(description).items()


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        (_changed(_set(*CONTAINER, "ModelDataUrl", to="s3://b/prefix/")), "s3://b/prefix/ as S3O"),
        (_changed(_set(*CONTAINER, "ModelDataUrl", to=None)), "has no model-data"),
        (_data_source(S3Uri="s3://b/model", S3DataType="S3Prefix"), "ends with '/'"),
        (_data_source(S3Uri="s3://b/model/", S3DataType="S3Object"), "does not"),
        (
            _data_source(
                S3Uri="s3://b/model/", S3DataType="S3Prefix", ManifestS3Uri="s3://b/manifest"
            ),
            "by a manifest.*S3DataType is S3Prefix",
        ),
        (_data_source(S3Uri="s3://b/manifest", S3DataType="ManifestFile"), "or as ManifestFile"),
        (_validated("s3://b/lines", "AugmentedManifestFile"), "or as AugmentedManifestFile"),
        (_validated("s3://b/talk", "Converse"), "or as Converse"),
        (_validated("s3://b/payloads/", "ManifestFile"), "the URI of an S3Prefix ends with"),
    ],
)
def test_model_data_that_does_not_say_what_it_is_is_refused(
    description: Description, problem: str
) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        candidate.references(description)


def _roles(description: Description) -> dict[str, str]:
    return {entry["role"]: entry["uri"] for entry in candidate.references(description)}


def _everywhere() -> Description:
    """A version that names something in S3 wherever CreateModelPackage lets it."""

    def container(name: str) -> dict[str, Any]:
        return {
            "Image": samples.IMAGE,
            "ModelDataUrl": f"s3://b/{name}.tar.gz",
            "AdditionalModelDataSources": [
                {
                    "ChannelName": channel,
                    "S3DataSource": {
                        "S3Uri": f"s3://b/{name}-{channel}/",
                        "S3DataType": "S3Prefix",
                    },
                }
                for channel in ("draft", "adapter")
            ],
            "AdditionalS3DataSource": {"S3Uri": f"s3://b/{name}-x", "S3DataType": "S3Object"},
        }

    description = samples.description()
    description["InferenceSpecification"]["Containers"] = [container("main")]
    description["AdditionalInferenceSpecifications"] = [
        {"Name": "gpu", "Containers": [container("gpu"), {**container("gpu2")}]}
    ]
    description["SourceAlgorithmSpecification"] = {
        "SourceAlgorithms": [{"ModelDataUrl": "s3://b/algorithm.tar.gz"}]
    }
    source = {"S3DataSource": {"S3Uri": "s3://b/payloads/", "S3DataType": "S3Prefix"}}
    description["ValidationSpecification"] = {
        "ValidationProfiles": [
            {
                "ProfileName": "smoke",
                "TransformJobDefinition": {"TransformInput": {"DataSource": source}},
            }
        ]
    }
    description["ModelMetrics"]["Bias"] = {"Report": {"S3Uri": "s3://b/bias/"}}
    description["ModelCard"]["ModelCardContent"] = json.dumps(
        {
            "model_overview": {"model_artifact": ["s3://b/main.tar.gz"]},
            "training_details": {"training_datasets": ["s3://b/patients.csv"]},
            "evaluation_details": [
                {
                    "name": "holdout",
                    "datasets": ["s3://b/h"],
                    "metadata": {"plot": "s3://b/roc.png"},
                }
            ],
            "additional_information": {
                "custom_details": {"review": "s3://b/review.pdf", "why": "see s3://b/text"}
            },
        }
    )
    return description


def test_everything_that_a_version_names_has_a_role_of_its_own() -> None:
    found = _roles(_everywhere())
    own = {entry["role"] for entry in samples.origin_objects()} - {"model-data"}
    assert {role: uri for role, uri in found.items() if role not in own} == {
        "model-data": "s3://b/main.tar.gz",
        "channel/draft": "s3://b/main-draft/",
        "channel/adapter": "s3://b/main-adapter/",
        "additional-data": "s3://b/main-x",
        "specification/gpu/model-data": "s3://b/gpu.tar.gz",
        "specification/gpu/model-data-2": "s3://b/gpu2.tar.gz",
        "specification/gpu/channel/draft": "s3://b/gpu-draft/",
        "specification/gpu/channel/adapter": "s3://b/gpu-adapter/",
        "specification/gpu/channel-2/draft": "s3://b/gpu2-draft/",
        "specification/gpu/channel-2/adapter": "s3://b/gpu2-adapter/",
        "specification/gpu/additional-data": "s3://b/gpu-x",
        "specification/gpu/additional-data-2": "s3://b/gpu2-x",
        "algorithm/model-data": "s3://b/algorithm.tar.gz",
        "validation/smoke": "s3://b/payloads/",
        "metrics/bias-report": "s3://b/bias/",
        "card/2": "s3://b/review.pdf",
        "card/3": "s3://b/roc.png",
    }


def test_no_role_lies_under_another_so_that_no_prefix_holds_what_is_not_its_own() -> None:
    roles = list(_roles(_everywhere()))
    assert [(one, other) for one in roles for other in roles if other.startswith(f"{one}/")] == []


def test_what_was_declared_and_is_not_so_is_named() -> None:
    references = candidate.references(samples.description())
    objects = samples.origin_objects()
    assert candidate.declared_mismatches(references, objects) == []
    (model,) = [entry for entry in objects if entry["role"] == "model-data"]
    model["sha256"] = "f" * 64
    assert candidate.declared_mismatches(references, objects) == [
        {
            "name": "model-data sha256",
            "declared": samples.digest("model.tar.gz"),
            "actual": "f" * 64,
        }
    ]


def test_an_object_for_which_nothing_was_declared_cannot_differ() -> None:
    objects = samples.origin_objects()
    (payload,) = [entry for entry in objects if entry["role"] == "sample-payload"]
    payload["sha256"] = payload["version_id"] = "f" * 64
    assert candidate.declared_mismatches(candidate.references(samples.description()), objects) == []


# ------------------------------------------------------------------ differences


def _central(**more: Any) -> Description:
    """The Central version as it was registered."""
    description = samples.description(
        ModelPackageArn=samples.version_arn(),
        ModelPackageVersion=3,
        ModelLifeCycle={"Stage": "Test", "StageStatus": "Approved"},
        **more,
    )
    moved = {
        f"s3://{origin['bucket']}/{origin['key']}": f"s3://{central['bucket']}/{central['key']}"
        for origin, central in zip(samples.origin_objects(), samples.central_objects(), strict=True)
    }
    text = json.dumps(description)
    for origin, central in sorted(moved.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(json.dumps(origin), json.dumps(central))
    found: Description = json.loads(text)
    metadata = samples.description()["CustomerMetadataProperties"]
    found["CustomerMetadataProperties"] = {**metadata, "candidate-id": samples.CANDIDATE}
    return found


def _approved() -> dict[str, Any]:
    return candidate.manifest(samples.description(), samples.origin_objects())


def _differences(description: Description, **more: Any) -> dict[str, tuple[str, str]]:
    found = candidate.differences(
        more.get("approved", _approved()),
        description,
        more.get("objects", samples.central_objects()),
    )
    return {entry["name"]: (entry["expected"], entry["actual"]) for entry in found}


def test_what_was_promoted_does_not_differ() -> None:
    assert _differences(_central()) == {}


@pytest.mark.parametrize(
    "change",
    [change for name, change in BYTES_AND_BEHAVIOUR.items()],
    ids=BYTES_AND_BEHAVIOUR,
)
def test_every_change_after_the_registration_is_a_difference(change: Change) -> None:
    description = _central()
    change(description)
    assert _differences(description)


@pytest.mark.parametrize("change", NEITHER.values(), ids=NEITHER)
def test_decisions_and_results_are_no_difference(change: Change) -> None:
    description = _central()
    change(description)
    assert _differences(description) == {}


def test_other_bytes_in_central_are_a_difference() -> None:
    objects = samples.central_objects()
    objects[0]["sha256"] = "f" * 64
    name = f"{objects[0]['role']} sha256"
    assert _differences(_central(), objects=objects) == {
        name: (samples.digest("constraints.json"), "f" * 64)
    }


def test_an_object_that_is_gone_or_new_is_a_difference() -> None:
    objects = samples.central_objects()
    extra = {**objects[0], "role": "baseline/new"}
    assert set(_differences(_central(), objects=[*objects[1:], extra])) == {
        f"{objects[0]['role']} sha256",
        "baseline/new sha256",
    }


def test_another_model_archive_is_a_difference() -> None:
    description = _central()
    elsewhere = "s3://elsewhere/model.tar.gz"
    _set(*CONTAINER, "ModelDataUrl", to=elsewhere)(description)
    assert _differences(description) == {
        "inference_specification.Containers.0.ModelDataUrl": ("artifact:model-data", elsewhere)
    }


@pytest.mark.parametrize(
    "change",
    [
        _set(
            *CONTAINER,
            "AdditionalS3DataSource",
            to={"S3DataType": "S3Prefix", "S3Uri": "s3://elsewhere/code/"},
        ),
        _set(
            *CONTAINER,
            "AdditionalModelDataSources",
            to=[{"ChannelName": "a", "S3DataSource": {"S3Uri": "s3://elsewhere/code/"}}],
        ),
        _set(
            "AdditionalInferenceSpecifications",
            to=[{"Name": "a", "Containers": [{"ModelDataUrl": "s3://elsewhere/code/"}]}],
        ),
    ],
    ids=["additional data", "additional model data", "additional specification"],
)
def test_data_that_was_added_to_a_container_is_a_difference(change: Change) -> None:
    description = _central()
    change(description)
    assert ("null", "s3://elsewhere/code/") in _differences(description).values()


def test_etags_are_of_the_place_and_not_of_the_bytes() -> None:
    """SageMaker adds them when it answers; the same bytes in parts have another one."""
    description = _central()
    _set(*CONTAINER, "ModelDataETag", to="0123-2")(description)
    assert _differences(description) == {}


def test_a_difference_names_the_field_and_both_values() -> None:
    description = _central()
    _set(*CONTAINER, "Environment", "SAGEMAKER_PROGRAM", to="evil.py")(description)
    assert _differences(description) == {
        "inference_specification.Containers.0.Environment.SAGEMAKER_PROGRAM": (
            "inference.py",
            "evil.py",
        )
    }


def test_the_environment_may_name_the_model_archive() -> None:
    """As the SageMaker SDK does; the registration moved that reference to Central too."""
    directory = (*CONTAINER, "Environment", "SAGEMAKER_SUBMIT_DIRECTORY")
    dev, central = samples.description(), _central()
    for description in (dev, central):
        (container,) = description["InferenceSpecification"]["Containers"]
        _set(*directory, to=container["ModelDataUrl"])(description)
    approved = candidate.manifest(dev, samples.origin_objects())
    assert _differences(central, approved=approved) == {}
    _set(*directory, to="s3://elsewhere/code.tar.gz")(central)
    assert _differences(central, approved=approved) == {
        "inference_specification.Containers.0.Environment.SAGEMAKER_SUBMIT_DIRECTORY": (
            "artifact:model-data",
            "s3://elsewhere/code.tar.gz",
        )
    }


def test_differences_are_as_they_are_as_long_as_they_fit() -> None:
    found = [{"name": "image", "expected": "a", "actual": "b" * 400}] * 25
    assert candidate.in_short(found) == found


def test_many_and_long_differences_are_cut_and_still_told_apart() -> None:
    long = [
        {"name": f"{n}" * 500, "expected": "x" * 9999 + "a", "actual": "x" * 9999} for n in "12"
    ]
    first, second = candidate.in_short(long)
    assert first["expected"] != first["actual"]
    assert first["name"] != second["name"]
    many = [{"name": str(number), "expected": "", "actual": "\ud800"} for number in range(20_000)]
    *told, more = candidate.in_short(many)
    assert [one["name"] for one in told] == [str(number) for number in range(25)]
    assert told[0]["actual"] == "\\ud800"
    assert more["name"] == "19975 more"
    worst = [{"name": "\U0001f600" * 999, "expected": "\x00" * 999, "actual": "\\" * 999}] * 999
    assert len(json.dumps(candidate.in_short(worst))) < 80_000
    assert more != candidate.in_short([*many[:-1], {**many[-1], "actual": "y"}])[-1]


def test_no_two_candidates_share_a_place_in_central() -> None:
    places = {
        candidate.central_key(model, candidate_id, role, key)
        for model in ("m", "n")
        for candidate_id in ("a" * 64, "b" * 64)
        for role in ("model-data", "holdout")
        for key in ("run/1/x.bin", "run/1/y.bin")
    }
    assert len(places) == 16
    assert candidate.central_key("m", "c", "model-data", "a/b/model.tar.gz") == (
        "models/m/c/model-data/model.tar.gz"
    )


def test_nothing_that_was_given_is_changed() -> None:
    description, objects, approved = _central(), samples.central_objects(), _approved()
    before = copy.deepcopy((description, objects, approved))
    candidate.differences(approved, description, objects)
    candidate.card_digest(description)
    assert (description, objects, approved) == before
