"""What is written into the Central registry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from governance.domain import candidate, registration
from governance.domain.errors import InvalidInputError

CANDIDATE = "a" * 64
ORIGIN = {"role": "model-data", "bucket": "dev", "key": "run/model.tar.gz"}
CENTRAL = {"role": "model-data", "bucket": "central", "key": "models/m/model.tar.gz"}
REPORT = {"uri": "s3://evidence/reports/r.json", "version_id": "v", "sha256": "b" * 64}


def _description(**more: Any) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": "m",
        "ModelPackageArn": "arn:dev/1",
        "InferenceSpecification": {
            "Containers": [
                {"Image": "i", "ModelDataUrl": "s3://dev/run/model.tar.gz", "ModelDataETag": "e"}
            ]
        },
        **more,
    }


IMAGE = {"uri": "i", "digest": "sha256:d", "central_uri": "central@sha256:d"}


def _candidate(*objects: dict[str, str]) -> dict[str, Any]:
    return {"candidate_id": CANDIDATE, "manifest_uri": "s3://e/m.json", "objects": list(objects)}


def test_references_point_to_central_and_etags_of_dev_are_dropped() -> None:
    request = registration.central_version(_description(), _candidate(ORIGIN), [CENTRAL], [IMAGE])
    (container,) = request["InferenceSpecification"]["Containers"]
    assert container == {
        "Image": "central@sha256:d",
        "ImageDigest": "sha256:d",
        "ModelDataUrl": "s3://central/models/m/model.tar.gz",
    }
    assert request["CustomerMetadataProperties"]["origin-arn"] == "arn:dev/1"


def test_every_container_of_every_specification_is_relocated_and_pinned() -> None:
    description = _description()
    features = {"Image": "f", "ModelDataUrl": "s3://dev/run/features.tar.gz"}
    description["InferenceSpecification"]["Containers"].append(features)
    description["AdditionalInferenceSpecifications"] = [{"Name": "gpu", "Containers": [features]}]
    origin = {"role": "model-data-2", "bucket": "dev", "key": "run/features.tar.gz"}
    central = {**origin, "bucket": "central", "key": "models/m/features.tar.gz"}
    image = {"uri": "f", "digest": "sha256:f", "central_uri": "central@sha256:f"}
    request = registration.central_version(
        description, _candidate(ORIGIN, origin), [CENTRAL, central], [IMAGE, image]
    )
    expected = {
        "Image": "central@sha256:f",
        "ImageDigest": "sha256:f",
        "ModelDataUrl": "s3://central/models/m/features.tar.gz",
    }
    assert request["InferenceSpecification"]["Containers"][1] == expected
    assert request["AdditionalInferenceSpecifications"][0]["Containers"] == [expected]


def test_the_card_names_central_and_says_so_if_there_is_no_room() -> None:
    def request(**more: str) -> dict[str, Any]:
        card = {"model_overview": {"model_artifact": ["s3://dev/run/model.tar.gz"]}, **more}
        card["training_details"] = {"training_datasets": ["s3://dev/run/model.tar.gz"]}
        described = {"ModelCardContent": json.dumps(card), "ModelCardStatus": "Draft"}
        description = _description(ModelCard={**described, "ModelCardArn": "arn"})
        return registration.central_version(description, _candidate(ORIGIN), [CENTRAL], [IMAGE])[
            "ModelCard"
        ]

    moved = request()
    assert moved["ModelCardStatus"] == "Draft"
    assert json.loads(moved["ModelCardContent"]) == {
        "model_overview": {"model_artifact": ["s3://central/models/m/model.tar.gz"]},
        "training_details": {"training_datasets": ["s3://dev/run/model.tar.gz"]},
    }
    with pytest.raises(InvalidInputError, match="at most 100000"):
        request(text="x" * 99_900)


def test_metadata_names_the_copies_and_only_the_dataset_stays_where_it_was() -> None:
    holdout = {"role": "holdout", "bucket": "dev", "key": "h.csv", "version_id": "dev-h"}
    copied = {**holdout, "bucket": "central", "key": "models/h.csv", "version_id": "central-h"}
    said = {
        "holdout-uri": "s3://dev/h.csv",
        "holdout-version-id": "dev-h",
        "holdout-sha256": "a" * 64,
        "model-data-version-id": "dev-m",
        "told-elsewhere": "s3://dev/run/model.tar.gz",
        "dataset-uri": "s3://dev/h.csv",
        "dataset-version-id": "dev-h",
        "notes": "s3://wiki/page",
    }
    request = registration.central_version(
        _description(CustomerMetadataProperties=said),
        _candidate({**ORIGIN, "version_id": "dev-m"}, holdout),
        [{**CENTRAL, "version_id": "central-m"}, copied],
        [IMAGE],
    )
    found = request["CustomerMetadataProperties"]
    assert {key: found[key] for key in said} == said | {
        "holdout-uri": "s3://central/models/h.csv",
        "holdout-version-id": "central-h",
        "model-data-version-id": "central-m",
        "told-elsewhere": "s3://central/models/m/model.tar.gz",
    }


def test_metadata_that_gets_too_long_in_central_is_known_before_anything_is_copied() -> None:
    name = f"{'n' * 200}.csv"
    holdout = {"role": "holdout", "bucket": "dev", "key": name, "version_id": "v"}
    said = {"holdout-uri": f"s3://dev/{name}"}
    with pytest.raises(
        InvalidInputError, match=r"metadata holdout-uri of arn:dev/1 has 2\d\d char"
    ):
        _check(_description(CustomerMetadataProperties=said), holdout)


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("s3://dev/run/model.tar.gz", "s3://central/models/m/model.tar.gz"),
        ("s3://dev/run/notebook.ipynb", "s3://dev/run/notebook.ipynb"),
        ("arn:aws:sagemaker:us-east-1:1:model/m", "arn:aws:sagemaker:us-east-1:1:model/m"),
    ],
)
def test_a_source_that_was_copied_is_named_where_it_is_in_central(source: str, named: str) -> None:
    description = _description(SourceUri=source)
    origin = {**ORIGIN, "version_id": "v", "size": 1, "sha256": "a" * 64}
    central = {**CENTRAL, "version_id": "w", "size": 1, "sha256": "a" * 64}
    request = registration.central_version(description, _candidate(origin), [central], [IMAGE])
    assert request["SourceUri"] == named
    # Of which every gate says that it is what was approved.
    approved = candidate.manifest(description, [origin])
    there = {**description, **request, "InferenceSpecification": {"Containers": [{"Image": "i"}]}}
    found = candidate.differences(approved, there, [central])
    assert "source_uri" not in {one["name"] for one in found}


def test_how_it_is_deployed_is_not_said_in_dev() -> None:
    said = {"deployment-definition": "d" * 64, "algorithm": "logistic regression"}
    request = registration.central_version(
        _description(CustomerMetadataProperties=said), _candidate(ORIGIN), [CENTRAL], [IMAGE]
    )
    assert "deployment-definition" not in request["CustomerMetadataProperties"]
    assert request["CustomerMetadataProperties"]["algorithm"] == "logistic regression"


def test_a_reference_outside_the_candidate_is_refused() -> None:
    description = _description(SamplePayloadUrl="s3://dev/elsewhere.json")
    with pytest.raises(InvalidInputError, match=r"s3://dev/elsewhere\.json"):
        registration.central_version(description, _candidate(ORIGIN), [CENTRAL], [IMAGE])


def _check(description: dict[str, Any], *objects: dict[str, str]) -> None:
    known = _candidate(ORIGIN, *objects)
    registration.check_registrable(description, known, [{"uri": "i", "digest": "d"}], "central")


def test_what_cannot_be_registered_in_central_is_known_before_it_is_copied() -> None:
    code = {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://dev/run/model.tar.gz"}
    description = _description()
    (container,) = description["InferenceSpecification"]["Containers"]
    container["Environment"] = code
    weights = {"role": "channel/weights", "bucket": "dev", "key": "run/weights/"}
    _check(description, weights)
    code["SAGEMAKER_SUBMIT_DIRECTORY"] = "s3://dev/run/code.tar.gz"
    with pytest.raises(InvalidInputError, match=r"s3://dev/run/code\.tar\.gz, which is not part"):
        _check(description)


def test_a_card_that_will_be_too_long_is_known_before_anything_is_copied() -> None:
    """It names what is copied by its place in Central, which is longer."""
    card = {"a": "s3://dev/run/model.tar.gz", "b": "x" * 99_900}
    description = _description(ModelCard={"ModelCardContent": json.dumps(card)})
    assert len(description["ModelCard"]["ModelCardContent"]) < 100_000
    with pytest.raises(InvalidInputError, match="at most 100000"):
        _check(description)


def test_metadata_that_leaves_no_room_for_ours_is_known_before_anything_is_copied() -> None:
    mine = {f"key-{n}": "value" for n in range(42)}
    # What Dev says under our names does not go to Central.
    ours = {"deployment-definition": "d" * 64, "test-status": "Passed"}
    _check(_description(CustomerMetadataProperties=mine | ours))
    with pytest.raises(InvalidInputError, match="has 43 entries of metadata; at most 42 leave"):
        _check(_description(CustomerMetadataProperties=mine | {"one": "more"}))


def test_an_object_that_was_not_copied_is_named() -> None:
    with pytest.raises(InvalidInputError, match="model-data"):
        registration.central_version(_description(), _candidate(ORIGIN), [], [IMAGE])


def _report(**more: Any) -> dict[str, Any]:
    return {
        "candidate_id": CANDIDATE,
        "status": "Passed",
        "summary": {"metrics": {"auc": 0.8123456789, "brier": None}},
        "reasons": [],
        **more,
    }


def _update(description: dict[str, Any], **more: Any) -> dict[str, Any]:
    return registration.results_update(description, _report(**more), REPORT)


def test_results_replace_older_ones_and_keep_the_rest() -> None:
    present = {"code-commit": "c", "test-auc": "0.7", "test-latency-p95-ms": "9"}
    fields = _update(_description(CustomerMetadataProperties=present))
    assert fields["CustomerMetadataProperties"] == {
        "code-commit": "c",
        "test-status": "Passed",
        "test-candidate-id": CANDIDATE,
        "test-report-uri": REPORT["uri"],
        "test-report-sha256": REPORT["sha256"],
        "test-auc": "0.812346",
    }
    assert fields["CustomerMetadataPropertiesToRemove"] == ["test-latency-p95-ms"]


def test_a_version_without_a_card_gets_none() -> None:
    assert "ModelCard" not in _update(_description())


def test_the_card_keeps_what_its_authors_wrote() -> None:
    theirs = {"name": "holdout", "evaluation_observation": "good"}
    content = json.dumps({"model_overview": {}, "evaluation_details": [theirs]})
    card: dict[str, Any] = {"ModelCardContent": content}
    for status in ("Failed", "Passed"):
        card = _update(_description(ModelCard=card), status=status)["ModelCard"]
    details = json.loads(card["ModelCardContent"])["evaluation_details"]
    assert details[0] == theirs
    assert [detail["name"] for detail in details[1:]] == [
        f"governed-path test of candidate {CANDIDATE[:12]}"
    ]


def test_a_full_card_is_left_alone_and_says_nothing_of_older_tests() -> None:
    card = {"additional_information": {"notes": "n" * 99_800}, "evaluation_details": []}
    content = json.dumps(card)
    assert "ModelCard" not in _update(_description(ModelCard={"ModelCardContent": content}))
    card["evaluation_details"] = [{"name": f"governed-path test of candidate {CANDIDATE[:12]}"}]
    fields = _update(_description(ModelCard={"ModelCardContent": json.dumps(card)}))
    assert fields["ModelCard"] == {"ModelCardContent": content}


def test_what_is_there_already_is_not_written_again() -> None:
    card = {"ModelCardContent": json.dumps({"model_overview": {}})}
    written = _update(_description(ModelCard=card))["ModelCard"]
    assert "ModelCard" not in _update(_description(ModelCard=written))


def test_what_dev_says_under_our_name_does_not_go_to_central() -> None:
    theirs = {"name": "holdout", "evaluation_observation": "good"}
    ours = {"name": f"governed-path test of candidate {CANDIDATE[:12]}"}
    card = {"ModelCardContent": json.dumps({"evaluation_details": [ours, theirs]})}
    said = {"test-status": "Passed", "tests": "theirs"}
    request = registration.central_version(
        _description(ModelCard=card, CustomerMetadataProperties=said),
        _candidate(ORIGIN),
        [CENTRAL],
        [IMAGE],
    )
    assert json.loads(request["ModelCard"]["ModelCardContent"]) == {"evaluation_details": [theirs]}
    assert request["CustomerMetadataProperties"].keys() & said.keys() == {"tests"}


def test_reasons_fit_into_the_stage_description() -> None:
    fields = _update(_description(), status="Failed", reasons=["slow"] * 1000)
    assert fields["ModelLifeCycle"]["StageStatus"] == "Failed"
    assert len(fields["ModelLifeCycle"]["StageDescription"]) == 1024


def test_reasons_are_one_line_since_a_stage_description_has_no_line_breaks() -> None:
    reasons = ["the endpoint did not serve: Traceback\n  File x\r\n", "slow\u2028er"]
    fields = _update(_description(), status="Failed", reasons=reasons)
    assert fields["ModelLifeCycle"]["StageDescription"] == (
        "the endpoint did not serve: Traceback File x ; slow er"
    )


def test_a_card_whose_evaluations_are_null_gets_ours() -> None:
    card = {"ModelCardContent": '{"evaluation_details": null}'}
    content = _update(_description(ModelCard=card))["ModelCard"]["ModelCardContent"]
    (entry,) = json.loads(content)["evaluation_details"]
    assert entry["name"].startswith("governed-path test")


def test_the_card_says_which_suites_ran_and_how_they_ended() -> None:
    ran = [("quality", "passed"), ("fairness", "failed"), ("comparison", "omitted")]
    suites = [{"suite": suite, "status": status} for suite, status in ran]
    card = {"ModelCardContent": json.dumps({"model_overview": {"model_name": "m"}})}
    fields = _update(
        _description(ModelCard=card), status="Failed", summary={"metrics": {}, "suites": suites}
    )
    (entry,) = json.loads(fields["ModelCard"]["ModelCardContent"])["evaluation_details"]
    assert entry["evaluation_observation"] == (
        f"Test Failed. Candidate {CANDIDATE}. failed: fairness. omitted: comparison. "
        "passed: quality."
    )


def test_numbers_give_way_where_the_registry_has_no_room_and_the_verdict_does_not() -> None:
    present = {f"own-{number}": "x" for number in range(44)}
    metrics = {f"drift.m{number}": 0.5 for number in range(10)}
    fields = _update(_description(CustomerMetadataProperties=present), summary={"metrics": metrics})
    kept = fields["CustomerMetadataProperties"]
    assert len(kept) == 50
    assert {"test-status", "test-candidate-id", "test-report-uri", "test-report-sha256"} < set(kept)
    assert kept["test-drift.m0"] == "0.5"
    assert kept["test-left-out"] == "9 entries for want of room"
