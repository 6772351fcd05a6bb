"""A recall through the deployed system: what is shown, what is closed, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.organisation import DEV, PROD, REGION, Organisation, archive, eventually
from tests.e2e.scenarios import REPLACED, Replaced, Trained
from tests.e2e.test_command_line import Govern, govern

__all__ = ["govern"]  # a fixture
RECALLED, COPIED, WITHDRAWN = "recalled-model", "copied-model", "withdrawn-model"
IN_DEV = "tried-in-dev"
BECAUSE = "The labels of two hospitals were swapped. Incident 4712."
DATASET, OTHER_DATASET = "swapped-labels-1", "swapped-labels-2"
_SWAPPED = {"CandidateRolledBack", "CandidateRestored", "VersionRecalled"}
_DIGEST = hashlib.sha256(DATASET.encode()).hexdigest()


@dataclass(frozen=True)
class Taken:
    """Two versions in Central that were trained on DATASET, a third only in Dev; its recall."""

    versions: tuple[str, str]
    only_in_dev: str
    shown: dict[str, Any]
    answer: dict[str, Any]
    report: bytes


def _register(organisation: Organisation, trained: Trained, model: str, body: str) -> str:
    return organisation.register_again(
        trained.first,
        model,
        replace={"model-data": archive({"model.joblib": body})},
        metadata={"dataset-version-id": DATASET, "dataset-sha256": _DIGEST},
    )


@pytest.fixture(scope="module")
def taken(
    organisation: Organisation,
    trained: Trained,
    govern: Govern,
    tmp_path_factory: pytest.TempPathFactory,
) -> Taken:
    organisation.provision(RECALLED, COPIED, tier="low")
    promoted = [
        organisation.approve("dev", _register(organisation, trained, model, body)).entry
        for model, body in ((RECALLED, "first"), (COPIED, "second"))
    ]
    versions = tuple(str(entry["model_package_arn"]) for entry in promoted)
    dev = _register(organisation, trained, RECALLED, "only in Dev")
    asked = ("recall", "--dataset-version", DATASET, "--as", "governance-engineer", "--json")

    def shown() -> dict[str, Any] | None:
        answer = govern(*asked, "--dry-run")
        assert answer.returncode == 0, answer.stdout
        found: dict[str, Any] = json.loads(answer.stdout)
        return found if len(found["blast_radius"]["versions"]) == 5 else None

    # A version in Dev is known once its registration's event was answered.
    before = eventually(shown, "the third version in Dev")
    file: Path = tmp_path_factory.mktemp("recall") / "radius.json"
    answer = govern(*asked, "--because", BECAUSE, "--yes", "--report", str(file))
    assert answer.returncode == 0, answer.stdout
    return Taken(
        (versions[0], versions[1]), dev, before, json.loads(answer.stdout), file.read_bytes()
    )


def test_the_blast_radius_is_every_version_of_every_model(taken: Taken) -> None:
    rows = taken.shown["blast_radius"]["versions"]
    central = {row["model_package_arn"] for row in rows if row["registry"] == "Central"}
    dev = {row["model_package_arn"] for row in rows if row["registry"] == "Dev"}
    assert central == set(taken.versions)
    assert taken.only_in_dev in dev
    assert len(dev) == 3
    assert {row["phase"] for row in rows if row["registry"] == "Central"} == {
        "Test/PendingApproval"
    }
    assert {row["part"] for row in rows} == {f"dataset-version:{DATASET}"}
    assert taken.shown["blast_radius"]["not_looked_at"] == []


def test_every_version_of_central_is_recalled_with_who_why_and_what_was_shown(
    organisation: Organisation, taken: Taken
) -> None:
    assert [one["outcome"] for one in taken.answer["recalled"]] == ["recalled", "recalled"]
    digest = hashlib.sha256(taken.report).hexdigest()
    assert taken.answer["blast_radius_sha256"] == digest
    for arn in taken.versions:
        version = organisation.central(arn)
        life_cycle = version["ModelLifeCycle"]
        assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "Recalled")
        assert version["ModelApprovalStatus"] == "Rejected"
        model = arn.rpartition(":model-package/")[2].partition("/")[0]
        (entry,) = (e for e in organisation.entries(model) if e["kind"] == "VersionRecalled")
        assert (entry["approver"]["person"], entry["reason"]) == ("grace", BECAUSE)
        assert entry["recall"] == {"of": f"dataset-version:{DATASET}", "blast_radius": digest}
        assert "objections" not in entry


def test_what_is_only_in_dev_is_refused_by_the_gate(
    organisation: Organisation, taken: Taken
) -> None:
    refused = organisation.approve("dev", taken.only_in_dev).entry
    (reason,) = refused["verdict"]["reasons"]
    assert reason["rule"] == "nothing_in_it_is_recalled"
    assert f"dataset-version:{DATASET} was recalled by grace" in reason["fact"]
    assert BECAUSE in reason["fact"]


def test_a_recalled_version_goes_nowhere(organisation: Organisation, taken: Taken) -> None:
    refused = organisation.approve("test", taken.versions[0]).entry
    assert refused["kind"] == "ValidationRejected"
    rules = {reason["rule"] for reason in refused["verdict"]["reasons"]}
    assert rules >= {"nothing_in_it_is_recalled", "follows_the_stage_machine"}


def test_the_bytes_of_a_recalled_version_are_refused_in_another_model(
    organisation: Organisation, trained: Trained, govern: Govern, taken: Taken
) -> None:
    """Recalled as a version, without saying what of it is bad."""
    body = archive({"model.joblib": "bad weights"})
    first = organisation.register_again(trained.first, RECALLED, replace={"model-data": body})
    arn = organisation.approve("dev", first).entry["model_package_arn"]
    reference = arn.rpartition(":model-package/")[2]
    answer = govern(
        *("recall", reference, "--because", "Weights of another model", "--yes"),
        *("--as", "governance-engineer", "--json"),
    )
    assert answer.returncode == 0, answer.stdout
    again = organisation.register_again(trained.first, COPIED, replace={"model-data": body})
    refused = organisation.approve("dev", again).entry
    (reason,) = refused["verdict"]["reasons"]
    assert reason["rule"] == "nothing_in_it_is_recalled"
    assert "model-data:" in reason["fact"]


def test_a_second_recall_has_nothing_left_to_do(govern: Govern, taken: Taken) -> None:
    answer = govern(
        *("recall", "--dataset-version", DATASET, "--because", BECAUSE, "--yes", "--json"),
        *("--as", "governance-engineer"),
    )
    assert answer.returncode == 0, answer.stdout
    assert json.loads(answer.stdout)["recalled"] == []


def test_sagemaker_itself_makes_no_model_of_it(organisation: Organisation, taken: Taken) -> None:
    sagemaker = organisation.borrow(PROD, "governed-path-hub").client("sagemaker")
    with pytest.raises(ClientError, match=r"(?i)approv"):
        sagemaker.create_model(
            ModelName="by-hand-recalled",
            ExecutionRoleArn=f"arn:aws:iam::{PROD}:role/governed-path-endpoint-execution",
            PrimaryContainer={"ModelPackageName": taken.versions[0]},
        )


def test_who_is_no_governance_engineer_recalls_nothing(govern: Govern, replaced: Replaced) -> None:
    reference = f"{REPLACED}/2"
    answer = govern(
        *("recall", reference, "--because", "Because I can", "--yes", "--json"),
        *("--as", "ai-engineer"),
    )
    assert answer.returncode == 1
    # One or more: other scenarios may have registered the same bytes.
    tried = json.loads(answer.stdout)["recalled"]
    assert {one["outcome"] for one in tried} == {"failed"}
    assert all("AccessDenied" in one["problem"] for one in tried)


def test_the_blast_radius_names_the_endpoints_that_serve_it(
    organisation: Organisation, govern: Govern, replaced: Replaced
) -> None:
    """And no other: the version before has the same data and serves no more."""
    version = organisation.central(replaced.second.entry["model_package_arn"])
    image = version["InferenceSpecification"]["Containers"][0]["ImageDigest"]
    answer = govern(
        *("recall", "--image", image, "--dry-run", "--json", "--as", "governance-engineer")
    )
    assert answer.returncode == 0, answer.stdout
    radius = json.loads(answer.stdout)["blast_radius"]
    served = {row["endpoint_name"]: row for row in radius["endpoints"]}
    row = served[f"{REPLACED}-endpoint"]
    assert row["account"] == PROD
    (variant,) = row["variants"]
    assert (variant["model"], variant["version"], variant["share"]) == (REPLACED, 2, 1.0)
    assert variant["candidate_id"] == replaced.second.entry["candidate_id"]
    held = {(one["model"], one["version"], one["registry"]) for one in radius["versions"]}
    assert {(REPLACED, 1, "Central"), (REPLACED, 2, "Central")} <= held


def test_with_roll_back_prod_goes_back_first_and_what_serves_in_dev_is_named(
    organisation: Organisation, trained: Trained, govern: Govern
) -> None:
    """Nothing of ours deployed it in Dev, so nothing of ours takes it away."""
    organisation.provision(WITHDRAWN, tier="low")
    good, bad = (
        organisation.register_again(
            trained.first,
            WITHDRAWN,
            metadata={
                "dataset-version-id": data,
                "dataset-sha256": hashlib.sha256(data.encode()).hexdigest(),
            },
        )
        for data in ("right-labels", OTHER_DATASET)
    )
    released = [_released(organisation, origin) for origin in (good, bad)]
    sagemaker = organisation.root(DEV, "sagemaker")
    sagemaker.create_model(
        ModelName=IN_DEV,
        ExecutionRoleArn=f"arn:aws:iam::{DEV}:role/governed-path-training",
        PrimaryContainer={"ModelPackageName": bad},
    )
    variant = {"VariantName": "AllTraffic", "ModelName": IN_DEV, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=IN_DEV, ProductionVariants=[variant | {"InitialInstanceCount": 1}]
    )
    sagemaker.create_endpoint(EndpointName=IN_DEV, EndpointConfigName=IN_DEV)
    try:
        answer = govern(
            *("recall", "--dataset-version", OTHER_DATASET, "--because", BECAUSE, "--yes"),
            *("--roll-back", "--as", "governance-engineer", "--json"),
        )
    finally:
        sagemaker.delete_endpoint(EndpointName=IN_DEV)
    found = json.loads(answer.stdout)
    (swap,) = found["rolled_back"]
    assert (swap["outcome"], swap["to"]) == ("rolled back", released[0])
    assert [one["outcome"] for one in found["recalled"]] == ["recalled"]
    assert [(one["account"], one["endpoint_name"]) for one in found["still_serving"]] == [
        (DEV, IN_DEV)
    ]
    assert answer.returncode == 1
    entries = [e for e in organisation.entries(WITHDRAWN) if e["kind"] in _SWAPPED]
    # What served went before it was recalled.
    assert [(e["kind"], e["model_package_arn"]) for e in entries[-3:]] == [
        ("CandidateRolledBack", released[1]),
        ("CandidateRestored", released[0]),
        ("VersionRecalled", released[1]),
    ]
    tags = organisation.root(PROD, "sagemaker").list_tags(
        ResourceArn=f"arn:aws:sagemaker:{REGION}:{PROD}:endpoint/{WITHDRAWN}-endpoint"
    )["Tags"]
    assert {"Key": "model-package-arn", "Value": released[0]} in tags


def _released(organisation: Organisation, origin: str) -> str:
    central = str(organisation.approve("dev", origin).entry["model_package_arn"])
    organisation.approve("test", central)
    organisation.review(central, "technical")
    released = organisation.approve("prod", central).entry
    assert released["kind"] == "CandidateReleased", released
    return central


def test_a_library_is_found_by_its_name_and_by_its_version(
    organisation: Organisation, govern: Govern, replaced: Replaced
) -> None:
    def holders(library: str) -> set[tuple[str, str]]:
        answer = govern(
            *("recall", "--library", library, "--dry-run", "--json", "--as", "governance-engineer")
        )
        assert answer.returncode == 0, answer.stdout
        rows = json.loads(answer.stdout)["blast_radius"]["versions"]
        return {(row["model_package_arn"], row["part"]) for row in rows}

    named = holders("Scikit_Learn")
    (part,) = {part for arn, part in named if arn == replaced.first.entry["model_package_arn"]}
    assert holders(part.removeprefix("library:")) == named
    assert part.startswith("library:scikit-learn==")
