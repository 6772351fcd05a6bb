"""A release moves traffic step by step; what an alarm takes back is told, recorded and closed."""

from __future__ import annotations

from typing import Any

from governance.domain import definitions
from tests.e2e.organisation import CENTRAL, PROD, Organisation, denied, eventually
from tests.e2e.scenarios import GUARDED, Guarded

ENDPOINT = f"{GUARDED}-endpoint"
ALARM = f"governed-path-{ENDPOINT}-server-errors"


def _endpoint(organisation: Organisation) -> dict[str, Any]:
    found: dict[str, Any] = organisation.root(PROD, "sagemaker").describe_endpoint(
        EndpointName=ENDPOINT
    )
    return found


def test_first_release_is_made_as_its_definition_says(
    organisation: Organisation, guarded: Guarded
) -> None:
    assert guarded.first.entry["kind"] == "CandidateReleased"
    sagemaker = organisation.root(PROD, "sagemaker")
    endpoint = _endpoint(organisation)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    (variant,) = config["ProductionVariants"]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 2)
    assert config["DataCaptureConfig"]["DestinationS3Uri"].endswith(f"-us-east-1/{ENDPOINT}")
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    assert model["PrimaryContainer"]["Environment"]["OMP_NUM_THREADS"] == "1"


def test_endpoint_is_watched_and_scaled_also_after_what_was_taken_back(
    organisation: Organisation, guarded: Guarded
) -> None:
    """Autoscaling was off meanwhile: SageMaker changes no type of instances that are scaled."""
    assert guarded.definition["endpoint"]["instance_type"] == "ml.m5.xlarge"
    found = organisation.root(PROD, "cloudwatch").describe_alarms(
        AlarmNamePrefix=f"governed-path-{ENDPOINT}-"
    )["MetricAlarms"]
    names = {alarm["AlarmName"].rpartition("-endpoint-")[2] for alarm in found}
    assert names == {"server-errors", "slow", "stop"}
    scaling = organisation.root(PROD, "application-autoscaling")
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    (ours,) = [one for one in targets if f"endpoint/{ENDPOINT}/" in one["ResourceId"]]
    assert (ours["MinCapacity"], ours["MaxCapacity"]) == (2, 8)


def test_traffic_moves_as_the_approved_definition_says(guarded: Guarded) -> None:
    pending = guarded.meanwhile["PendingDeploymentSummary"]["EndpointConfigName"]
    assert guarded.second.entry["claim_id"][:10] in pending
    digest = definitions.digest(guarded.definition)
    assert guarded.second.entry["definition"]["digest"] == digest
    facts = guarded.second.entry["verdict"]["facts"]
    assert facts["definition"]["digest"] == facts["tested_definition"] == digest


def test_what_an_alarm_took_back_is_no_fault_and_says_which(
    organisation: Organisation, guarded: Guarded
) -> None:
    entry = guarded.second.entry
    assert (entry["kind"], entry["stage_status"]) == ("ReleaseRolledBack", "RolledBack")
    assert entry["alarms"] == [ALARM]
    assert guarded.second.execution["status"] == "SUCCEEDED"
    life_cycle = organisation.central(entry["model_package_arn"])["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "RolledBack")
    assert f"alarm {ALARM} (7 patients got no answer)" in life_cycle["StageDescription"]


def test_prod_serves_what_it_served(organisation: Organisation, guarded: Guarded) -> None:
    endpoint = _endpoint(organisation)
    assert endpoint["EndpointStatus"] == "InService"
    assert guarded.first.entry["claim_id"][:10] in endpoint["EndpointConfigName"]
    deployed = organisation.central(guarded.first.entry["model_package_arn"])["ModelLifeCycle"]
    assert deployed["StageStatus"] == "Deployed"


def test_what_serves_is_watched_as_its_own_definition_says(
    organisation: Organisation, guarded: Guarded
) -> None:
    found = organisation.root(PROD, "cloudwatch").describe_alarms(
        AlarmNamePrefix=f"governed-path-{ENDPOINT}-"
    )["MetricAlarms"]
    watched = [alarm for alarm in found if not alarm["AlarmName"].endswith("-stop")]
    assert watched
    own, other = (one.entry["definition"]["digest"] for one in (guarded.first, guarded.second))
    assert own != other
    for alarm in watched:
        assert own in alarm["AlarmDescription"]
        dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
        # Not at the endpoint: what the other did a minute ago must not take this one back too.
        assert guarded.first.entry["claim_id"][:10] in dimensions["EndpointConfigName"]


def test_everybody_is_told(organisation: Organisation, guarded: Guarded) -> None:
    def told() -> list[str] | None:
        news = f"ReleaseRolledBack: {GUARDED} is Prod / RolledBack"
        heard = organisation.heard(CENTRAL, "notifications")
        return [said for said in heard if news in said] or None

    assert eventually(told, "the notification of the rollback")


def test_prod_may_read_the_candidate_no_more(organisation: Organisation, guarded: Guarded) -> None:
    def revoked() -> dict[str, Any] | None:
        arn = guarded.second.entry["model_package_arn"]
        ended = [
            entry
            for entry in organisation.entries(GUARDED)
            if entry["kind"] == "ClearanceRevoked" and entry["model_package_arn"] == arn
        ]
        return next((e for e in ended if e["clearance"]["stages"] == ["Prod"]), None)

    assert "ReleaseRolledBack" in eventually(revoked, "the end of the clearance")["reason"]


def test_only_an_ai_engineer_defines_a_deployment_and_nobody_overwrites_one(
    organisation: Organisation, guarded: Guarded
) -> None:
    bucket, _, key = guarded.second.entry["definition"]["uri"][5:].partition("/")
    another = f"{key.rpartition('/')[0]}/{'0' * 64}.json"
    for persona in ("governance-engineer", "admin"):
        s3 = organisation.persona(persona).session.client("s3")
        assert denied(s3.put_object, Bucket=bucket, Key=another, Body=b"{}", IfNoneMatch="*")
    engineer = organisation.persona("ai-engineer").session.client("s3")
    assert denied(engineer.put_object, Bucket=bucket, Key=key, Body=b"{}")
    assert organisation.publish(GUARDED, release=guarded.definition["release"])
