"""A version is registered with everything the contract of governance asks for."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pipeline import register, run, storage
from pipeline.errors import PipelineError

from governance.domain import candidate
from tests.unit.templates.aws import Aws, Refused
from tests.unit.templates.card_schema import MODEL_PACKAGE_CARD
from tests.unit.templates.shapes import problems

Run = dict[str, Any]
METADATA = {
    *("model-data-version-id", "model-data-sha256", "evaluation-version-id", "evaluation-sha256"),
    *("holdout-uri", "holdout-version-id", "holdout-sha256"),
    *("libraries-uri", "libraries-version-id", "libraries-sha256"),
    *("dataset-uri", "dataset-version-id", "dataset-sha256", "code-commit", "algorithm"),
}


@pytest.fixture
def request_(trained: Run) -> dict[str, Any]:
    """The CreateModelPackage request of the run."""
    (request,) = trained["aws"].packages
    return dict(request)


def test_the_request_satisfies_every_limit_and_pattern_of_sagemaker(
    request_: dict[str, Any],
) -> None:
    assert not problems("CreateModelPackage", request_)


def test_the_metadata_are_exactly_those_of_the_contract(
    trained: Run, request_: dict[str, Any]
) -> None:
    metadata, result = request_["CustomerMetadataProperties"], trained["result"]
    assert metadata.keys() == METADATA
    for part, prefix in (("dataset", "dataset"), ("holdout", "holdout")):
        for member, key in (("uri", "uri"), ("version_id", "version-id"), ("sha256", "sha256")):
            assert metadata[f"{prefix}-{key}"] == result[part][member]
    assert metadata["model-data-sha256"] == result["model_data"]["sha256"]
    assert metadata["evaluation-version-id"] == result["evaluation"]["version_id"]
    assert metadata["code-commit"] == "0" * 40


def test_a_version_starts_unapproved(request_: dict[str, Any]) -> None:
    assert request_["ModelApprovalStatus"] == "PendingManualApproval"
    life_cycle = request_["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Dev", "Registered")


def test_governance_finds_every_object_of_the_candidate(
    trained: Run, request_: dict[str, Any]
) -> None:
    found = candidate.references({**request_, "ModelPackageArn": "arn"})
    assert [reference["role"] for reference in found] == [
        "baseline/modeldataquality-constraints",
        "baseline/modeldataquality-statistics",
        "evaluation",
        "holdout",
        "libraries",
        "model-data",
        "sample-payload",
    ]
    for reference in found:
        key = reference["uri"].removeprefix(f"s3://{trained['aws'].bucket}/")
        (stored,) = trained["aws"].objects[key]
        sha256 = hashlib.sha256(stored["Body"]).hexdigest()
        # The key names the content, so that what a version refers to is never replaced.
        assert sha256 in key
        assert reference["sha256"] in ("", sha256)


def test_content_digests_of_the_reports_are_right(trained: Run, request_: dict[str, Any]) -> None:
    sources = [
        request_["ModelMetrics"]["ModelQuality"]["Statistics"],
        *request_["DriftCheckBaselines"]["ModelDataQuality"].values(),
    ]
    for source in sources:
        key = source["S3Uri"].removeprefix(f"s3://{trained['aws'].bucket}/")
        body = trained["aws"].objects[key][0]["Body"]
        assert source["ContentDigest"] == f"sha256:{hashlib.sha256(body).hexdigest()}"


def test_the_model_card_fits_the_schema_of_model_packages(request_: dict[str, Any]) -> None:
    content = request_["ModelCard"]["ModelCardContent"]
    assert len(content) < 100_000
    card = json.loads(content)
    Draft202012Validator.check_schema(MODEL_PACKAGE_CARD)
    assert not list(Draft202012Validator(MODEL_PACKAGE_CARD).iter_errors(card))
    assert card["intended_uses"]["risk_rating"] == "High"
    assert card["additional_information"]["caveats_and_recommendations"]


def test_the_model_card_shows_the_metrics_of_the_report(
    trained: Run, request_: dict[str, Any]
) -> None:
    card = json.loads(request_["ModelCard"]["ModelCardContent"])
    (evaluation,) = card["evaluation_details"]
    groups = {
        group["name"]: {entry["name"]: entry["value"] for entry in group["metric_data"]}
        for group in evaluation["metric_groups"]
    }
    assert groups["Holdout"] == trained["result"]["metrics"]
    assert set(groups) == {
        *("Holdout", "sex 1", "sex 2"),
        *("age_band under 45", "age_band 45 to 59", "age_band 60 and over"),
    }


def test_lineage_leads_from_the_dataset_to_the_version(trained: Run) -> None:
    aws, arns = trained["aws"], trained["result"]["lineage"]
    edges = {
        (one["SourceArn"], one["DestinationArn"], one["AssociationType"])
        for one in aws.associations
    }
    assert edges == {
        (arns["study"], arns["preparation"], "ContributedTo"),
        (arns["preparation"], arns["dataset"], "Produced"),
        (arns["preparation"], arns["holdout"], "Produced"),
        (arns["dataset"], arns["training"], "ContributedTo"),
        (arns["training"], arns["model"], "Produced"),
        (arns["model"], arns["evaluation"], "ContributedTo"),
        (arns["holdout"], arns["evaluation"], "ContributedTo"),
        (arns["evaluation"], arns["report"], "Produced"),
        (arns["model"], arns["model_package"], "ContributedTo"),
        (arns["report"], arns["model_package"], "ContributedTo"),
    }
    commit = aws.packages[0]["MetadataProperties"]["CommitId"]
    assert {one["Properties"]["code-commit"] for one in aws.actions} == {commit}
    dataset = next(one for one in aws.artifacts if one["arn"] == arns["dataset"])
    assert dataset["Source"] == {
        "SourceUri": trained["result"]["dataset"]["uri"],
        "SourceTypes": [
            {"SourceIdType": "S3Version", "Value": trained["result"]["dataset"]["version_id"]}
        ],
    }
    for name, entities in (("CreateArtifact", aws.artifacts), ("CreateAction", aws.actions)):
        for entity in entities:
            assert not problems(name, {k: v for k, v in entity.items() if k != "arn"})


def once_more(trained: Run, aws: Aws, group: str = "", **changed: Any) -> dict[str, Any]:
    """Register the run's files again."""
    work = trained["work"]
    arguments = {
        "artifacts": register.Artifacts(
            work / "model.tar.gz", work / "evaluation.json", work / "reference"
        ),
        "provenance": register.Provenance("1" * 40),
        "serving": register.Serving(),
        **changed,
    }
    store = register.Store(aws.session.client("s3"), aws.bucket)
    return register.register(aws.session, store, group or aws.group, **arguments)


def test_registering_twice_shares_objects_and_lineage_of_the_data(trained: Run, aws: Aws) -> None:
    first, second = once_more(trained, aws), once_more(trained, aws)
    assert (first["version"], second["version"]) == (1, 2)
    assert all(len(versions) == 1 for versions in aws.objects.values())
    assert first["lineage"]["dataset"] == second["lineage"]["dataset"]
    assert first["lineage"]["training"] != second["lineage"]["training"]


def test_what_sagemaker_tracks_by_itself_is_used_and_told_the_digest(
    trained: Run, aws: Aws
) -> None:
    model = trained["result"]["model_data"]
    tracked = aws.session.client("sagemaker").create_artifact(
        Source={"SourceUri": model["uri"]}, ArtifactType="Model", Properties={"by": "sagemaker"}
    )["ArtifactArn"]
    assert once_more(trained, aws)["lineage"]["model"] == tracked
    (artifact,) = (one for one in aws.artifacts if one["arn"] == tracked)
    assert artifact["Properties"] == {
        "by": "sagemaker",
        "sha256": model["sha256"],
        "version_id": artifact["Properties"]["version_id"],
    }


def test_image_digest_and_instances_can_be_chosen(trained: Run, aws: Aws) -> None:
    digest = "sha256:" + "a" * 64
    once_more(trained, aws, serving=register.Serving("repo/image:1", digest, ("ml.c5.large",)))
    specification = aws.packages[0]["InferenceSpecification"]
    assert specification["Containers"][0]["ImageDigest"] == digest
    assert specification["SupportedRealtimeInferenceInstanceTypes"] == ["ml.c5.large"]


def test_an_unknown_group_is_named_before_anything_is_registered(trained: Run, aws: Aws) -> None:
    with pytest.raises(PipelineError, match="model package group nobody cannot be described"):
        once_more(trained, aws, group="nobody")
    assert aws.calls == ["DescribeModelPackageGroup"]


def test_metadata_that_the_registry_refuses_are_named(trained: Run, aws: Aws) -> None:
    with pytest.raises(PipelineError, match=r"code-commit '\{\}'"):
        once_more(trained, aws, provenance=register.Provenance("{}"))
    assert not aws.packages


def test_reports_that_do_not_belong_together_are_refused(
    trained: Run, aws: Aws, tmp_path: Path
) -> None:
    report = json.loads((trained["work"] / "evaluation.json").read_text())
    report["holdout"]["sha256"] = "b" * 64
    (tmp_path / "evaluation.json").write_text(json.dumps(report))
    artifacts = register.Artifacts(
        trained["work"] / "model.tar.gz",
        tmp_path / "evaluation.json",
        trained["work"] / "reference",
    )
    with pytest.raises(PipelineError, match="another holdout"):
        once_more(trained, aws, artifacts=artifacts)


def test_broken_lineage_is_told_with_the_version_that_exists(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise Refused("ResourceLimitExceeded")

    monkeypatch.setattr(Aws, "_action", lambda self, request: refuse(request))
    with pytest.raises(PipelineError, match=r"registered arn:\S+/1, but its lineage is incomplete"):
        once_more(trained, Aws())


def test_the_commit_is_marked_dirty_if_the_code_is_not_as_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, timeout=30)

    monkeypatch.setattr(register, "_PROJECT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert register.code_commit().startswith("uncommitted-")
    git("init", "--quiet")
    (tmp_path / "code.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    commit = register.code_commit()
    assert len(commit) == 40
    (tmp_path / "code.py").write_text("x = 2\n")
    assert register.code_commit() == f"{commit}-dirty"
    git("remote", "add", "origin", "https://user:secret@git.example.org/code.git")
    assert register.repository() == "https://git.example.org/code.git"


def test_an_error_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PipelineError("the bucket is not versioned")

    monkeypatch.setattr(run, "run_pipeline", refuse)
    monkeypatch.setattr(
        "sys.argv", ["run", "--bucket", "b", "--model-package-group", "g", "--code-commit", "c"]
    )
    assert run.main() == 1
    assert capsys.readouterr().err == "error: the bucket is not versioned\n"


def test_a_large_model_is_registered_with_the_digest_that_s3_keeps_of_its_parts(
    trained: Run, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (trained["work"] / "model.tar.gz").read_bytes()
    half = len(body) // 2 + 1
    monkeypatch.setattr(storage, "_SMALLEST_PART", half)
    once_more(trained, aws)
    once_more(trained, aws)
    digests = [hashlib.sha256(part).digest() for part in (body[:half], body[half:])]
    composite = f"{hashlib.sha256(b''.join(digests)).hexdigest()}-2"
    for package in aws.packages:
        (container,) = package["InferenceSpecification"]["Containers"]
        (stored,) = aws.objects[container["ModelDataUrl"].removeprefix(f"s3://{aws.bucket}/")]
        assert stored["Body"] == body
        assert package["CustomerMetadataProperties"]["model-data-sha256"] == composite
        # Reports are compared by the digest of the whole file, however large they are.
        digest = package["CustomerMetadataProperties"]["evaluation-sha256"]
        assert "-" not in digest
    assert aws.calls.count("CompleteMultipartUpload") == 1


def test_a_part_that_s3_does_not_take_is_an_error(
    trained: Run, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_SMALLEST_PART", 1000)
    aws.breaks_at = 2
    with pytest.raises(PipelineError, match=r"cannot store s3://.*SlowDown"):
        once_more(trained, aws)
    assert not aws.packages
