"""Back to what served before: tried in Test, by a person, by an alarm, and in mid-release."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from cli import rollbacks
from governance.adapters import items
from governance.domain import attestations, clearance, locks
from tests.contracts import events
from tests.e2e.organisation import (
    ARTIFACTS_BUCKET,
    CENTRAL,
    PROD,
    REGION,
    TEST,
    Organisation,
    eventually,
    machine_arn,
)
from tests.e2e.scenarios import DRILL, ROLLED_BACK, WATCHED, WRONG_RISKS, RolledBack, Watched

ENDPOINT = f"{ROLLED_BACK}-endpoint"
FASTEST = 3.0  # seconds from the request to the new config, on the embedded AWS and an idle machine


def _govern(state_dir: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"GOVERNED_PATH_LOCAL_DIR": state_dir, "COLUMNS": "200"}
    return subprocess.run(
        [Path(sys.executable).parent / "govern", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _entries(organisation: Organisation, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in organisation.story(ROLLED_BACK) if entry["kind"] == kind]


def _about(organisation: Organisation, arn: str) -> list[dict[str, Any]]:
    """The entries about a version, the newest first."""
    found = organisation.entries(ROLLED_BACK)
    return [entry for entry in reversed(found) if entry.get("model_package_arn") == arn]


def test_the_endpoint_serves_the_version_before(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    first = rolled_back.first.entry
    sagemaker = organisation.root(PROD, "sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    tags = {
        tag["Key"]: tag["Value"]
        for tag in sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]
    }
    assert endpoint["EndpointStatus"] == "InService"
    assert tags["model-package-arn"] == first["model_package_arn"]
    assert tags["candidate-id"] == first["candidate_id"]


def test_a_drill_goes_the_way_back_in_test_and_says_what_that_proved(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    entry = rolled_back.drilled.entry
    bad = rolled_back.second.entry["model_package_arn"]
    good = rolled_back.first.entry["model_package_arn"]
    assert (entry["kind"], entry["model_package_arn"]) == ("RollbackDrilled", good)
    assert (entry["approver"]["person"], entry["reason"]) == ("grace", DRILL)
    drill = entry["drill"]
    assert (drill["from"], drill["to"], drill["proven"]) == (bad, good, True)
    assert drill["said"] == "the sample got HTTP 200"
    assert 0 <= drill["in_service_seconds"] <= drill["seconds"] < 240
    assert entry["endpoint"]["account"] == TEST
    # What a rollback would have gone by, as the release of that version did.
    assert entry["definition"] == rolled_back.first.entry["definition"]
    assert all(check["proven"] for check in entry["rollback_target"]["checks"])
    # And so it went, a minute later.
    assert rolled_back.went_back.entry["rollback"]["to"] == drill["to"]


def test_a_drill_changes_nothing_in_prod_and_leaves_nothing_in_test(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    claim = rolled_back.drilled.entry["claim_id"][:10]
    assert rolled_back.tried == [f"{ENDPOINT}-drill-{claim}"]
    assert organisation.endpoints(TEST, ROLLED_BACK) == []
    sagemaker = organisation.root(TEST, "sagemaker")
    assert sagemaker.list_endpoint_configs(NameContains=claim)["EndpointConfigs"] == []
    assert sagemaker.list_models(NameContains=claim)["Models"] == []
    served = rolled_back.served_meanwhile
    assert served["EndpointStatus"] == "InService"
    assert rolled_back.second.entry["claim_id"][:10] in served["EndpointConfigName"]
    assert claim not in json.dumps(served, default=str)


def test_test_reads_a_drilled_version_no_longer_than_the_drill(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    entry = rolled_back.drilled.entry

    def revoked() -> list[dict[str, Any]]:
        return [
            one
            for one in organisation.entries(ROLLED_BACK)
            if one["kind"] == "ClearanceRevoked"
            and one["reason"] == f"entry {entry['sequence']} (RollbackDrilled)"
        ]

    ended = eventually(revoked, "the end of Test's clearance")[0]
    assert ended["model_package_arn"] == entry["model_package_arn"]
    assert ended["clearance"]["stages"] == ["Test"]


def test_a_drill_with_nothing_to_go_back_to_is_refused_and_deploys_nothing(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    refused = rolled_back.nothing_to_drill
    assert refused.entry["kind"] == "DrillRejected"
    (reason,) = refused.entry["verdict"]["reasons"]
    assert reason["rule"] == "rollback_target_has_served"
    assert organisation.last_state(refused.execution["executionArn"]) == "DrillRejected"


def test_the_swap_is_recorded_from_what_to_what_by_whom_why_and_how_long(
    rolled_back: RolledBack, organisation: Organisation
) -> None:
    entry = rolled_back.went_back.entry
    bad = rolled_back.second.entry["model_package_arn"]
    good = rolled_back.first.entry["model_package_arn"]
    assert entry["kind"] == "CandidateRolledBack"
    assert (entry["model_package_arn"], entry["reason"]) == (bad, WRONG_RISKS)
    assert entry["approver"]["person"] == "grace"
    swap = entry["rollback"]
    assert (swap["from"], swap["to"], swap["trigger"]) == (bad, good, "person")
    assert 0 <= swap["seconds"] < 240
    restored = _entries(organisation, "CandidateRestored")[0]
    assert (restored["model_package_arn"], restored["rollback"]) == (good, swap)
    assert restored["claim_id"] == entry["claim_id"]


def test_both_versions_are_shown_as_what_they_are(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    phases = {
        arn.rpartition("/")[2]: organisation.central(arn)["ModelLifeCycle"]["StageStatus"]
        for arn in organisation.central_versions(ROLLED_BACK)
    }
    assert phases == {"1": "Deployed", "2": "RolledBack"}


def test_prod_cannot_read_any_more_what_was_taken_back(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    def revoked() -> list[dict[str, Any]]:
        return [
            entry
            for entry in organisation.entries(ROLLED_BACK)
            if entry["kind"] == "ClearanceRevoked"
            and entry["reason"].endswith("(CandidateRolledBack)")
        ]

    found = eventually(revoked, "the end of the clearance")
    assert found[0]["model_package_arn"] == rolled_back.second.entry["model_package_arn"]
    assert found[0]["clearance"]["stages"] == ["Prod"]


def test_without_a_good_version_the_rollback_is_refused_and_nothing_changes(
    rolled_back: RolledBack,
) -> None:
    refused = rolled_back.nothing_left.entry
    assert refused["kind"] == "RollbackRejected"
    (reason,) = refused["verdict"]["reasons"]
    assert reason["rule"] == "rollback_target_has_served"
    assert rolled_back.nothing_left.execution["status"] == "SUCCEEDED"


def test_a_release_that_goes_on_is_stopped_first(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    assert rolled_back.stopped["status"] == "ABORTED"
    stopped = _entries(organisation, "ReleaseStopped")
    assert [e["model_package_arn"] for e in stopped] == [
        rolled_back.second.entry["model_package_arn"]
    ]
    back = rolled_back.stopped_by.entry
    assert (back["kind"], back["rollback"]["to"]) == (
        "CandidateRolledBack",
        rolled_back.first.entry["model_package_arn"],
    )
    child = rolled_back.stopped["executionArn"].partition(":execution:")[0]
    assert child in rolled_back.stopped["executionArn"]
    # The rollback has told it: nobody has to look what became of that run.
    told = [entry["execution_arn"] for entry in _entries(organisation, "RunUnfinished")]
    assert rolled_back.stopped["executionArn"] not in told


def test_no_lock_outlives_its_execution_not_even_a_stopped_ones(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    dynamodb = organisation.root(CENTRAL, "dynamodb")

    def left() -> bool:
        found = dynamodb.scan(TableName="governed-path-endpoint-locks", ConsistentRead=True)
        return any(ENDPOINT in json.dumps(item) for item in found["Items"])

    eventually(lambda: not left(), "the release of the lock")


def test_a_lock_that_was_left_behind_is_taken_by_the_next(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    """The event of its end was lost: its execution ran no more, so the next one has taken it."""
    execution = rolled_back.stopped["executionArn"]
    endpoint_arn = f"arn:aws:sagemaker:us-east-1:{PROD}:endpoint/{ENDPOINT}"
    left = locks.lock_of(
        rolled_back.second.entry | {"execution_arn": execution, "workflow": "release_to_prod"},
        endpoint_arn,
        "2026-01-01T00:00:00Z",
    )
    organisation.root(CENTRAL, "dynamodb").put_item(
        TableName="governed-path-endpoint-locks",
        Item=items.to_item({**left, "resource_arn": endpoint_arn}),
    )
    again = organisation.approve("prod", rolled_back.second.entry["model_package_arn"])
    assert again.entry["kind"] == "CandidateReleased"
    assert (
        again.entry["rollback_target"]["model_package_arn"]
        == (rolled_back.first.entry["model_package_arn"])
    )


def test_an_ai_engineer_drills_from_the_command_line_what_was_just_released(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    """After the release above, version 2 serves again."""
    state = organisation.server.state_dir
    answer = _govern(
        *(state, "rollback", ENDPOINT, "--drill", "--because", DRILL),
        *("--to", "1", "--as", "ai-engineer", "--json"),
    )
    assert answer.returncode == 0, answer.stderr + answer.stdout
    entry = json.loads(answer.stdout)["entry"]
    assert (entry["kind"], entry["approver"]["persona"]) == ("RollbackDrilled", "ai-engineer")
    (serves,) = [
        arn
        for arn in organisation.central_versions(ROLLED_BACK)
        if organisation.central(arn)["ModelLifeCycle"]["StageStatus"] == "Deployed"
    ]
    assert serves == entry["drill"]["from"] == rolled_back.second.entry["model_package_arn"]
    told = _govern(state, "history", f"{ROLLED_BACK}/1").stdout
    assert f"{entry['drill']['seconds']} s; the sample got HTTP 200" in " ".join(told.split())
    assert organisation.endpoints(TEST, ROLLED_BACK) == []


def test_a_drill_of_a_version_that_cannot_start_fails_and_says_so(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    """All pieces of the way back are there; only starting it tells that it cannot be gone."""
    iam = organisation.root(TEST, "iam")
    closed = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}
    policy = {"RoleName": "governed-path-endpoint-execution", "PolicyName": "closed-for-a-test"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [closed]})
    iam.put_role_policy(**policy, PolicyDocument=document)
    try:
        failed = organisation.roll_back(ENDPOINT, DRILL, to=1, phase=rollbacks.DRILL)
    finally:
        iam.delete_role_policy(**policy)
    entry = failed.entry
    assert (entry["kind"], failed.execution["status"]) == ("DrillFailed", "SUCCEEDED")
    assert entry["verdict"]["allowed"]
    assert entry["drill"]["proven"] is False
    assert "failed: Failed to download model data" in entry["drill"]["said"]
    assert organisation.endpoints(TEST, ROLLED_BACK) == []
    life_cycle = organisation.central(entry["drill"]["from"])["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "Deployed")


def test_a_way_back_that_prod_cannot_read_is_a_no(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    """Its tags say yes and its bytes are there; the role that would load them is kept from it."""
    iam = organisation.root(PROD, "iam")
    bytes_ = f"arn:aws:s3:::{ARTIFACTS_BUCKET}/models/{ROLLED_BACK}/*"
    closed = {"Effect": "Deny", "Action": "s3:GetObjectVersion", "Resource": bytes_}
    policy = {"RoleName": "governed-path-endpoint-execution", "PolicyName": "closed-for-a-test"}
    iam.put_role_policy(
        **policy, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [closed]})
    )
    try:
        refused = organisation.roll_back(ENDPOINT, DRILL, to=1, phase=rollbacks.DRILL).entry
    finally:
        iam.delete_role_policy(**policy)
    assert refused["kind"] == "DrillRejected"
    (reason,) = refused["verdict"]["reasons"]
    assert reason["rule"] == "rollback_target_holds"
    assert f"endpoints of {PROD} cannot read s3://{ARTIFACTS_BUCKET}/models/" in reason["fact"]
    assert organisation.endpoints(TEST, ROLLED_BACK) == []


def test_a_drill_that_is_stopped_leaves_neither_endpoint_nor_lock_nor_status(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    """Version 2 still serves; the next drill does not wait for what runs no more."""
    where = organisation.persona("governance-engineer")
    asked = rollbacks.ask(where, ENDPOINT, DRILL, None, rollbacks.DRILL)
    eventually(lambda: organisation.endpoints(TEST, ROLLED_BACK), "the endpoint of the drill")
    states = organisation.root(CENTRAL, "stepfunctions")
    (running,) = states.list_executions(
        stateMachineArn=machine_arn("drill_rollback"), statusFilter="RUNNING"
    )["executions"]
    states.stop_execution(executionArn=running["executionArn"], cause="a test")
    (told,) = eventually(
        lambda: [
            entry
            for entry in _entries(organisation, "RunUnfinished")
            if entry["execution_arn"] == running["executionArn"]
        ],
        "the entry of a run that was stopped",
    )
    assert told["failure"]["Error"] == "RunAborted"
    assert "a test" in told["failure"]["Cause"]
    assert "ask for the drill again" in told["reason"]
    # About what was drilled: nothing in Test may read that any more.
    assert told["model_package_arn"] == rolled_back.first.entry["model_package_arn"]
    eventually(
        lambda: "Test" not in clearance.held(_about(organisation, told["model_package_arn"])),
        "the end of Test's clearance",
    )
    eventually(
        lambda: not organisation.endpoints(TEST, ROLLED_BACK), "the end of the Test endpoint"
    )
    life_cycle = organisation.central(asked.model_package_arn)["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "Deployed")
    again = organisation.roll_back(ENDPOINT, DRILL, phase=rollbacks.DRILL)
    assert again.entry["kind"] == "RollbackDrilled"
    assert organisation.endpoints(TEST, ROLLED_BACK) == []


def test_the_new_config_is_there_soon_after_the_request(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    entry = rolled_back.went_back.entry
    config = organisation.root(PROD, "sagemaker").list_endpoint_configs(
        NameContains=entry["claim_id"][:10]
    )["EndpointConfigs"][0]
    decided = datetime.fromisoformat(entry["decided_at"])
    print(f"rollback: request to config {(config['CreationTime'] - decided).total_seconds():.1f} s")
    assert (config["CreationTime"] - decided).total_seconds() < 10 * FASTEST


def test_an_endpoint_that_a_release_leaves_failed_is_made_anew_with_what_served_before(
    organisation: Organisation, rolled_back: RolledBack
) -> None:
    """Version 2 serves, until somebody deletes the endpoint; version 1 cannot start in Prod."""
    first, second = rolled_back.first.entry, rolled_back.second.entry
    sagemaker, iam = organisation.root(PROD, "sagemaker"), organisation.root(PROD, "iam")
    sagemaker.delete_endpoint(EndpointName=ENDPOINT)
    eventually(lambda: not organisation.endpoints(PROD, ROLLED_BACK), "the end of the endpoint")
    bytes_ = f"arn:aws:s3:::{ARTIFACTS_BUCKET}/models/{ROLLED_BACK}/{first['candidate_id']}/*"
    closed = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": bytes_}
    policy = {"RoleName": "governed-path-endpoint-execution", "PolicyName": "closed-for-a-test"}
    iam.put_role_policy(
        **policy, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [closed]})
    )
    try:
        failed = organisation.approve("prod", first["model_package_arn"])
    finally:
        iam.delete_role_policy(**policy)
    assert (failed.entry["kind"], failed.entry["failure"]["Error"]) == (
        "ReleaseErrored",
        "EndpointFailed",
    )
    assert f"made anew with {second['model_package_arn']}" in failed.entry["failure"]["Cause"]
    (back,) = eventually(
        lambda: [
            entry
            for entry in _entries(organisation, "CandidateRolledBack")
            if entry["approver"]["person"] == f"endpoint {ENDPOINT}"
        ],
        "the rollback of the endpoint that had failed",
    )
    assert organisation.ended(back["execution_arn"])["status"] == "SUCCEEDED"
    assert (back["rollback"]["from"], back["rollback"]["to"]) == (
        first["model_package_arn"],
        second["model_package_arn"],
    )
    endpoint = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    assert endpoint["EndpointStatus"] == "InService"
    assert back["claim_id"][:10] in _config(endpoint)
    told = [text for text in organisation.heard(CENTRAL, "alarms") if "has failed in the" in text]
    assert len(told) == 1
    assert f"Endpoint {ENDPOINT} of Prod has failed" in told[0]
    assert f"To go back to: {second['model_package_arn']}" in told[0]
    # Of version 1 nothing says that it served.
    said = [e["kind"] for e in _about(organisation, first["model_package_arn"])]
    assert "CandidateInService" not in said[: said.index("ReleaseStarted")]
    phases = {
        arn: organisation.central(arn)["ModelLifeCycle"]["StageStatus"]
        for arn in (first["model_package_arn"], second["model_package_arn"])
    }
    assert list(phases.values()) == ["RolledBack", "Deployed"]


# ---------------------------------------------------------------- in mid-shift, and by an alarm


def _config(endpoint: dict[str, Any]) -> str:
    return str(endpoint["EndpointConfigName"])


def test_a_rollback_in_mid_shift_stops_the_release_and_its_traffic(
    organisation: Organisation, watched: Watched
) -> None:
    """A tenth of the patients got version 2 already: SageMaker itself takes that back."""
    first = watched.first.entry
    assert watched.shifting["EndpointStatus"] == "Updating"
    (pending,) = watched.shifting["PendingDeploymentSummary"]["ProductionVariants"]
    assert 0 < pending["CurrentWeight"] < pending["DesiredWeight"]
    assert watched.stopped["status"] == "ABORTED"
    entry = watched.went_back.entry
    assert (entry["kind"], entry["rollback"]["trigger"]) == ("CandidateRolledBack", "person")
    assert entry["rollback"]["to"] == first["model_package_arn"]
    assert watched.served_again["EndpointStatus"] == "InService"
    assert entry["claim_id"][:10] in _config(watched.served_again)
    model = organisation.root(PROD, "sagemaker").describe_endpoint_config(
        EndpointConfigName=_config(watched.served_again)
    )["ProductionVariants"][0]["ModelName"]
    named = organisation.root(PROD, "sagemaker").describe_model(ModelName=model)
    assert named["PrimaryContainer"]["ModelPackageName"] == first["model_package_arn"]


def test_the_stopped_release_and_the_rollback_are_told_in_order(
    organisation: Organisation, watched: Watched
) -> None:
    second = watched.second.entry["model_package_arn"]
    back = watched.went_back.entry
    about = [
        e
        for e in organisation.story(WATCHED)
        if e["claim_id"] == back["claim_id"] and e["sequence"] <= back["sequence"]
    ]
    kinds = ["ReleaseStopped", "RollbackStarted", "CandidateRolledBack"]
    assert [(e["kind"], e["model_package_arn"]) for e in about] == [(k, second) for k in kinds]
    assert {e["approver"]["person"] for e in about} == {"grace"}


def test_an_alarm_after_the_bake_takes_the_release_back_by_itself(
    organisation: Organisation, watched: Watched
) -> None:
    """Real requests that got no answer, a real alarm, its event forwarded from Prod."""
    assert watched.second.entry["kind"] == "CandidateReleased"
    assert watched.errors > 0
    entry = watched.by_alarm.entry
    assert watched.by_alarm.execution["status"] == "SUCCEEDED"
    assert entry["approver"]["person"] == f"alarm governed-path-{WATCHED}-endpoint-server-errors"
    assert "went off" in entry["reason"]
    first = watched.first.entry["model_package_arn"]
    assert (entry["rollback"]["from"], entry["rollback"]["to"]) == (
        watched.second.entry["model_package_arn"],
        first,
    )
    sagemaker = organisation.root(PROD, "sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=f"{WATCHED}-endpoint")
    assert entry["claim_id"][:10] in _config(endpoint)
    phases = {
        arn.rpartition("/")[2]: organisation.central(arn)["ModelLifeCycle"]["StageStatus"]
        for arn in organisation.central_versions(WATCHED)
    }
    assert phases == {"1": "Deployed", "2": "RolledBack"}


def test_an_alarm_goes_back_once_however_often_it_goes_off(
    organisation: Organisation, watched: Watched
) -> None:
    """What serves by then is no fresh release: that it alarms is for a person to look at."""
    organisation.root(PROD, "cloudwatch").set_alarm_state(
        AlarmName=f"governed-path-{WATCHED}-endpoint-server-errors",
        StateValue="OK",
        StateReason="before it goes off again",
    )
    states = organisation.root(CENTRAL, "stepfunctions")
    machine = watched.by_alarm.execution["stateMachineArn"]

    def about_the_endpoint() -> list[str]:
        """The executions that an alarm of the endpoint has started, with how they ended."""
        found = [
            states.describe_execution(executionArn=one["executionArn"])
            for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine)
            for one in page["executions"]
        ]
        name = f"governed-path-{WATCHED}-endpoint-server-errors"
        return [str(one["executionArn"]) for one in found if name in one["input"]]

    before = len(about_the_endpoint())
    organisation.root(PROD, "cloudwatch").set_alarm_state(
        AlarmName=f"governed-path-{WATCHED}-endpoint-server-errors",
        StateValue="ALARM",
        StateReason="again",
    )
    started = eventually(
        lambda: found if len(found := about_the_endpoint()) > before else None,
        "what the alarm starts when it goes off again",
    )
    ends = {organisation.last_state(organisation.ended(arn)["executionArn"]) for arn in started}
    assert ends == {"RollbackSucceeded", "RollbackAlreadyHandled"}
    back = [e for e in organisation.story(WATCHED) if e["kind"] == "CandidateRolledBack"]
    assert [e["rollback"]["trigger"] for e in back] == ["person", "alarm"]


def test_every_entry_is_the_event_that_its_schema_promises(
    organisation: Organisation, rolled_back: RolledBack, watched: Watched
) -> None:
    """Of all that happened here: what subscribers were sent is what they can rely on."""
    by_kind = {
        events.load(path)["properties"]["detail-type"]["const"]: name
        for name, path in events.SCHEMAS.items()
        if name.startswith("governed-path-")
    }
    wrong = {}
    for entry in (*organisation.entries(ROLLED_BACK), *organisation.entries(WATCHED)):
        digest = attestations.digest_of(attestations.canonical(attestations.statement_of(entry)))
        sent = {
            **{"version": "0", "id": "d5e4f5a6-0000-4a5b-9c6d-000000000019"},
            **{"source": "governed-path", "detail-type": entry["kind"], "account": CENTRAL},
            **{"time": entry["recorded_at"], "region": REGION},
            "resources": [entry["model_package_arn"]],
            "detail": {**entry, "digest": digest},
        }
        found = events.problems(by_kind[entry["kind"]], sent)
        if found:
            wrong[f"{entry['sequence']} {entry['kind']} by {entry['workflow']}"] = found
    assert wrong == {}
