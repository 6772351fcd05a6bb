"""A new version is tried beside the one that serves, on Prod's own requests, from its approval on:
A/B trials and shadow trials, each won once and lost once; a shadow loses without a client noticing.

Then people come in: one rejects what is tried, a trial that tells nothing asks one, and releases of
the same endpoint are approved while others go on.
"""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from governance.domain import definitions
from tests.contracts import samples
from tests.e2e.organisation import CENTRAL, DEV, PROD, Organisation, Outcome, eventually
from tests.e2e.scenarios import Trained

TRIED = "tried-model"
BY_HAND = "by-hand"
BAKE = 1200  # seconds; on the embedded AWS twenty
ENDPOINT = f"{TRIED}-endpoint"
AB = {
    "type": "a-b",
    "challenger_percent": 50,
    "look_seconds": 300,
    "looks": 20,
    "alpha": 0.2,
    "undecided": "ask",
}
# Too few looks, and too little allowance, for what a second's requests can tell.
UNTOLD = {**AB, "look_seconds": 60, "looks": 2, "alpha": 0.001}
SHADOW = {"type": "shadow", "sample_percent": 100, "seconds": 900, "max_disagreement": 0.5}
UNFIT = "Its risks of patients over 80 are too low, whatever the trial says. Incident 4713."
RARE = 33.987654  # a value that no holdout and no suite has, and some of Prod's patients do
# Good at whatever Test asks; what it cannot do only shows in Prod.
STUMBLES = f"""

_predict_fn = predict_fn

def predict_fn(rows, model):
    if any({RARE} in row for row in rows):
        raise MemoryError("out of memory")
    return _predict_fn(rows, model)
"""


@dataclass
class Clients:
    """What Prod's clients got while a trial went on."""

    answered: int = 0
    refused: list[str] = field(default_factory=list)
    variants: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Tried:
    """Trials of one endpoint, one after the other, and how the endpoint was after each.

    `swapped` is the first release of it, whose config somebody replaced while it baked; `shown` is
    what its version was shown as then.
    """

    swapped: Outcome
    shown: dict[str, Any]
    first: Outcome
    won: Outcome
    by_a_b: Clients
    after_winning: dict[str, Any]
    lost: Outcome
    by_shadow: Clients
    after_losing: dict[str, Any]
    won_as_shadow: Outcome
    by_good_shadow: Clients
    after_shadow: dict[str, Any]
    lost_by_a_b: Outcome
    by_lost_a_b: Clients
    at_last: dict[str, Any]


def _publish(organisation: Organisation, strategy: dict[str, Any], bake: int) -> str:
    """The digest of a definition with that strategy; no alarm disturbs."""
    endpoint = {**samples.definition()["endpoint"], "environment": {}}
    release = {"strategy": strategy, "bake_seconds": bake, "alarms": []}
    published = organisation.publish(TRIED, endpoint=endpoint, release=release)
    return definitions.digest(published)


def _tested(
    organisation: Organisation, origin: str, strategy: dict[str, Any], bake: int = 0
) -> str:
    """A Dev version as it was promoted, tested under that strategy's definition and reviewed."""
    central = str(organisation.approve("dev", origin).entry["model_package_arn"])
    _test(organisation, central, strategy, bake)
    return central


def _test(organisation: Organisation, arn: str, strategy: dict[str, Any], bake: int = 0) -> None:
    """A Central version is tested under that strategy's definition, and reviewed."""
    definition = _publish(organisation, strategy, bake)
    tested = organisation.approve("test", arn, definition=definition)
    assert tested.entry["kind"] == "ValidationPassed", tested.entry
    organisation.review(arn, "technical")


def _object(organisation: Organisation, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    answer = organisation.root(DEV, "s3").get_object(Bucket=bucket, Key=key)
    return bytes(answer["Body"].read())


def _patients(organisation: Organisation, dev_arn: str) -> list[dict[str, float]]:
    """Patients whom every version can answer."""
    found = organisation.root(DEV, "sagemaker").describe_model_package(ModelPackageName=dev_arn)
    patient = json.loads(_object(organisation, found["SamplePayloadUrl"]))["instances"][0]
    return [{**patient, "bmi": bmi} for bmi in range(20, 30)]


def _model_data(organisation: Organisation, dev_arn: str) -> bytes:
    found = organisation.root(DEV, "sagemaker").describe_model_package(ModelPackageName=dev_arn)
    (container,) = found["InferenceSpecification"]["Containers"]
    return _object(organisation, container["ModelDataUrl"])


def _with(body: bytes, added: str) -> bytes:
    """The model.tar.gz with something added to its program."""
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(body)) as packed,
        tarfile.open(fileobj=buffer, mode="w:gz") as spoiled,
    ):
        for member in packed.getmembers():
            file = packed.extractfile(member)
            content = file.read() if file else b""
            if member.name.endswith("code/inference.py"):
                content += added.encode()
            member.size = len(content)
            spoiled.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@contextmanager
def _asked(organisation: Organisation, patients: list[dict[str, float]]) -> Iterator[Clients]:
    """Clients ask Prod's endpoint about one patient after the other, all the time."""
    runtime = organisation.root(PROD, "sagemaker-runtime")
    clients, ended = Clients(), threading.Event()

    def ask() -> None:
        for patient in itertools.cycle(patients):
            if ended.is_set():
                return
            try:
                answer = runtime.invoke_endpoint(
                    EndpointName=ENDPOINT,
                    ContentType="application/json",
                    Body=json.dumps({"instances": [patient]}),
                )
            except ClientError as error:
                clients.refused.append(str(error))
                continue
            clients.answered += 1
            clients.variants.add(answer["InvokedProductionVariant"])
            time.sleep(0.01)  # clients are not what is tested

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _endpoint(organisation: Organisation) -> dict[str, Any]:
    found: dict[str, Any] = organisation.root(PROD, "sagemaker").describe_endpoint(
        EndpointName=ENDPOINT
    )
    return found


def _in_trial(organisation: Organisation) -> bool:
    found = _endpoint(organisation)
    variants = [one["VariantName"] for one in found["ProductionVariants"]]
    return (found["EndpointStatus"], variants) == ("InService", ["AllTraffic", "Challenger"])


def _swapped(organisation: Organisation, arn: str) -> Outcome:
    """A release during whose bake somebody has another model of his own answer Prod's clients."""
    decision, after = organisation.decide("prod", arn)
    (serves,) = eventually(
        lambda: [e for e in organisation.story(TRIED) if e["kind"] == "CandidateInService"],
        "the release in service",
    )
    assert serves["model_package_arn"] == arn
    sagemaker = organisation.root(PROD, "sagemaker")
    config = sagemaker.describe_endpoint_config(
        EndpointConfigName=_endpoint(organisation)["EndpointConfigName"]
    )
    (variant,) = config["ProductionVariants"]
    role = sagemaker.describe_model(ModelName=variant["ModelName"])["ExecutionRoleArn"]
    (container,) = organisation.central(arn)["InferenceSpecification"]["Containers"]
    kept = {k: container[k] for k in ("Image", "ModelDataUrl", "Environment") if k in container}
    sagemaker.create_model(ModelName=BY_HAND, PrimaryContainer=kept, ExecutionRoleArn=role)
    sagemaker.create_endpoint_config(
        EndpointConfigName=BY_HAND, ProductionVariants=[{**variant, "ModelName": BY_HAND}]
    )
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=BY_HAND)
    return organisation.follow(decision, after)


@pytest.fixture(scope="module")
def tried(organisation: Organisation, trained: Trained) -> Tried:
    organisation.provision(TRIED, tier="low")
    first = _tested(
        organisation,
        organisation.register_again(trained.first, TRIED),
        {"type": "all-at-once"},
        BAKE,
    )
    swapped = _swapped(organisation, first)
    shown = organisation.central(first)["ModelLifeCycle"]
    released = organisation.approve("prod", first)
    patients = _patients(organisation, trained.second)
    second = _tested(organisation, organisation.register_again(trained.second, TRIED), AB)
    with _asked(organisation, patients) as by_a_b:
        won = organisation.approve("prod", second)
    after_winning = _endpoint(organisation)
    served = _model_data(organisation, trained.second)
    stumbles = {"model-data": _with(served, STUMBLES)}
    third = _tested(
        organisation,
        organisation.register_again(trained.second, TRIED, replace=stumbles),
        SHADOW,
    )
    rare = [*patients[:2], {**patients[0], "bmi": RARE}]
    with _asked(organisation, rare) as by_shadow:
        lost = organisation.approve("prod", third)
    after_losing = _endpoint(organisation)
    tidied = {"model-data": _with(served, "\n# The same answers, told anew.\n")}
    fourth = _tested(
        organisation, organisation.register_again(trained.second, TRIED, replace=tidied), SHADOW
    )
    with _asked(organisation, patients) as by_good_shadow:
        won_as_shadow = organisation.approve("prod", fourth)
    after_shadow = _endpoint(organisation)
    again = {"model-data": _with(served, f"{STUMBLES}\n# Told anew as well.\n")}
    fifth = _tested(
        organisation, organisation.register_again(trained.second, TRIED, replace=again), AB
    )
    with _asked(organisation, rare) as by_lost_a_b:
        lost_by_a_b = organisation.approve("prod", fifth)
    return Tried(
        *(swapped, shown),
        *(released, won, by_a_b, after_winning, lost, by_shadow, after_losing),
        *(won_as_shadow, by_good_shadow, after_shadow),
        *(lost_by_a_b, by_lost_a_b, _endpoint(organisation)),
    )


def _states(organisation: Organisation, outcome: Outcome) -> list[str]:
    pages = (
        organisation.root(CENTRAL, "stepfunctions")
        .get_paginator("get_execution_history")
        .paginate(executionArn=outcome.execution["executionArn"])
    )
    return [
        event["stateEnteredEventDetails"]["name"]
        for page in pages
        for event in page["events"]
        if "stateEnteredEventDetails" in event
    ]


def test_a_release_that_somebody_has_replaced_while_it_baked_was_not_released(
    organisation: Organisation, tried: Tried
) -> None:
    entry = tried.swapped.entry
    assert (entry["kind"], entry["alarms"]) == ("ReleaseRolledBack", [])
    assert f"taken back to {BY_HAND} after the release had come into service" in entry["reason"]
    assert tried.swapped.execution["status"] == "SUCCEEDED"
    states = _states(organisation, tried.swapped)
    assert states[-4:] == [
        *("WatchEndpointTakenBack", "SetStageRolledBack", "RecordRolledBack"),
        "ReleaseRolledBack",
    ]
    assert "SupersedeVersion" not in states
    assert (tried.shown["Stage"], tried.shown["StageStatus"]) == ("Prod", "RolledBack")
    assert BY_HAND in tried.shown["StageDescription"]
    closed = [
        one
        for one in organisation.entries(TRIED)
        if one["kind"] == "ClearanceRevoked" and one["clearance"]["stages"] == ["Prod"]
    ]
    assert f"entry {entry['sequence']} (ReleaseRolledBack)" in [one["reason"] for one in closed]
    # Approved again, it came to serve, for the second time.
    assert tried.first.entry["kind"] == "CandidateReleased"


TRIAL = ["PlanTrial", "ChampionServes?", "DeployTrial", "TrialInService?", "ObserveTrial"]


def test_a_challenger_that_is_as_good_wins_its_trial_and_is_released(
    organisation: Organisation, tried: Tried
) -> None:
    assert tried.won.entry["kind"] == "CandidateReleased"
    states = _states(organisation, tried.won)
    start = states.index("PlanTrial")
    assert states[start : start + len(TRIAL)] == TRIAL
    end = states.index("RestoreChampion")
    assert states[end : end + 4] == [
        *("RestoreChampion", "TrialPassed?", "GrantClearanceAfterTrial", "DeployToProd")
    ]


def test_both_answered_while_it_was_tried_and_no_client_was_refused(tried: Tried) -> None:
    assert tried.by_a_b.variants == {"AllTraffic", "Challenger"}
    assert tried.by_a_b.refused == []


def test_who_won_serves_alone(organisation: Organisation, tried: Tried) -> None:
    endpoint = tried.after_winning
    assert tried.won.entry["claim_id"][:10] in endpoint["EndpointConfigName"]
    assert [one["VariantName"] for one in endpoint["ProductionVariants"]] == ["AllTraffic"]
    assert tried.won.entry["superseded"] == tried.first.entry["model_package_arn"]


def test_a_shadow_that_fails_more_often_is_taken_back_with_the_numbers(
    organisation: Organisation, tried: Tried
) -> None:
    entry = tried.lost.entry
    assert (entry["kind"], entry["stage_status"]) == ("ReleaseRolledBack", "RolledBack")
    assert "after a trial: the shadow failed" in entry["reason"]
    assert tried.lost.execution["status"] == "SUCCEEDED"
    assert "DeployToProd" not in _states(organisation, tried.lost)
    life_cycle = organisation.central(entry["model_package_arn"])["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "RolledBack")


def test_nobody_was_answered_by_the_shadow(tried: Tried) -> None:
    assert tried.by_shadow.answered
    assert tried.by_shadow.refused == []
    assert tried.by_shadow.variants == {"AllTraffic"}


def test_who_served_before_the_shadow_serves_alone_again(tried: Tried) -> None:
    endpoint = tried.after_losing
    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["EndpointConfigName"] == tried.after_winning["EndpointConfigName"]
    assert not endpoint.get("ShadowProductionVariants")


def test_a_shadow_that_answers_alike_is_released_and_was_heard_by_nobody(
    organisation: Organisation, tried: Tried
) -> None:
    assert tried.won_as_shadow.entry["kind"] == "CandidateReleased"
    states = _states(organisation, tried.won_as_shadow)
    end = states.index("RestoreChampion")
    assert states[end : end + 4] == [
        *("RestoreChampion", "TrialPassed?", "GrantClearanceAfterTrial", "DeployToProd")
    ]
    assert tried.by_good_shadow.refused == []
    assert tried.by_good_shadow.variants == {"AllTraffic"}
    assert tried.won_as_shadow.entry["claim_id"][:10] in tried.after_shadow["EndpointConfigName"]
    assert not tried.after_shadow.get("ShadowProductionVariants")


def test_a_challenger_that_fails_more_often_loses_its_trial_and_says_the_numbers(
    organisation: Organisation, tried: Tried
) -> None:
    entry = tried.lost_by_a_b.entry
    assert (entry["kind"], entry["stage_status"]) == ("ReleaseRolledBack", "RolledBack")
    assert "after a trial: the challenger is worse; look " in entry["reason"]
    assert tried.lost_by_a_b.execution["status"] == "SUCCEEDED"
    assert "DeployToProd" not in _states(organisation, tried.lost_by_a_b)
    # What it cost is what such a trial costs: some of the challenger's clients got no answer.
    assert tried.by_lost_a_b.variants == {"AllTraffic", "Challenger"}
    assert tried.by_lost_a_b.refused


def test_the_champion_serves_alone_again_after_the_challenger_has_lost(tried: Tried) -> None:
    assert tried.at_last["EndpointStatus"] == "InService"
    assert tried.at_last["EndpointConfigName"] == tried.after_shadow["EndpointConfigName"]
    assert [one["VariantName"] for one in tried.at_last["ProductionVariants"]] == ["AllTraffic"]


# ---------------------------------------------------------------- a person rejects the challenger


@dataclass(frozen=True)
class Rejected:
    """A version that Grace rejected while it was tried; the version and Prod's endpoint then."""

    outcome: Outcome
    shown: dict[str, Any]
    endpoint: dict[str, Any]

    @property
    def arn(self) -> str:
        return str(self.outcome.entry["model_package_arn"])


@pytest.fixture(scope="module")
def rejected(organisation: Organisation, trained: Trained, tried: Tried) -> Rejected:
    """Nobody asks for a prediction, so the trial itself would go on for all of its looks."""
    anew = _with(_model_data(organisation, trained.second), "\n# The same once more.\n")
    origin = organisation.register_again(trained.second, TRIED, replace={"model-data": anew})
    arn = _tested(organisation, origin, AB)
    begun = organisation.decide("prod", arn)
    eventually(lambda: _in_trial(organisation), "the trial")
    organisation.reject("prod", arn, UNFIT)
    outcome = organisation.follow(*begun)
    return Rejected(outcome, organisation.central(arn), _endpoint(organisation))


def test_a_person_who_rejects_the_challenger_ends_its_trial_at_the_next_look(
    organisation: Organisation, rejected: Rejected
) -> None:
    entry = rejected.outcome.entry
    (no,) = (one for one in organisation.story(TRIED) if one["kind"] == "VersionRejected")
    assert (no["model_package_arn"], no["approver"]["person"]) == (rejected.arn, "grace")
    assert no["summary"]["reasons"] == [f"grace: {UNFIT}"]
    assert entry["kind"] == "ReleaseRolledBack"
    assert f"does not stand any more: entry {no['sequence']} (VersionRejected)" in entry["reason"]
    # A person's no is no fault: nothing alarms, and nothing waits in the dead-letter queue.
    assert rejected.outcome.execution["status"] == "SUCCEEDED"
    states = _states(organisation, rejected.outcome)
    assert states[-5:] == [
        *("RestoreChampion", "TrialPassed?", "SetStageRolledBack", "RecordRolledBack"),
        "ReleaseRolledBack",
    ]
    assert "DeployToProd" not in states


def test_the_registry_keeps_the_word_of_who_rejected_the_challenger(rejected: Rejected) -> None:
    life_cycle = rejected.shown["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "Rejected")
    assert life_cycle["StageDescription"] == UNFIT
    assert rejected.shown["ModelApprovalStatus"] == "Rejected"


def test_the_champion_serves_alone_after_the_challenger_was_rejected(
    tried: Tried, rejected: Rejected
) -> None:
    assert rejected.endpoint["EndpointStatus"] == "InService"
    assert rejected.endpoint["EndpointConfigName"] == tried.at_last["EndpointConfigName"]
    assert [one["VariantName"] for one in rejected.endpoint["ProductionVariants"]] == ["AllTraffic"]


def test_prod_reads_a_rejected_challenger_no_more(
    organisation: Organisation, rejected: Rejected
) -> None:
    because = f"entry {rejected.outcome.entry['sequence']} (ReleaseRolledBack)"
    (ended,) = eventually(
        lambda: [
            entry
            for entry in organisation.entries(TRIED)
            if (entry["kind"], entry.get("reason")) == ("ClearanceRevoked", because)
        ],
        "the end of Prod's clearance",
    )
    assert (ended["model_package_arn"], ended["clearance"]["stages"]) == (rejected.arn, ["Prod"])


# ---------------------------------------------------------------- a trial asks a person


@dataclass(frozen=True)
class Undecided:
    """A trial that told nothing: how it ended, what was there then, what `govern` said of it."""

    outcome: Outcome
    shown: dict[str, Any]
    endpoint: dict[str, Any]
    status: dict[str, Any]
    brief: dict[str, Any]
    history: str

    @property
    def arn(self) -> str:
        return str(self.outcome.entry["model_package_arn"])


@pytest.fixture(scope="module")
def undecided(organisation: Organisation, trained: Trained, rejected: Rejected) -> Undecided:
    """What was rejected is tested and reviewed anew, and tried for two short looks."""
    arn, version = rejected.arn, rejected.arn.rpartition("/")[2]
    _test(organisation, arn, UNTOLD)
    with _asked(organisation, _patients(organisation, trained.second)):
        outcome = organisation.approve("prod", arn)
    status, brief, history = (
        organisation.govern(*command)
        for command in (
            ("status", TRIED, "--json"),
            ("brief", f"{TRIED}/{version}", "--as", "governance-engineer", "--json"),
            ("history", f"{TRIED}/{version}"),
        )
    )
    return Undecided(
        *(outcome, organisation.central(arn), _endpoint(organisation)),
        *(json.loads(status.stdout), json.loads(brief.stdout), " ".join(history.stdout.split())),
    )


ASKS = "undecided: to release it without this trial, publish a deployment definition with another"


def test_a_trial_that_tells_nothing_asks_a_person_and_leaves_prod_as_it_was(
    organisation: Organisation, tried: Tried, undecided: Undecided
) -> None:
    entry = undecided.outcome.entry
    assert (entry["kind"], entry["stage_status"]) == ("ReleaseRolledBack", "RolledBack")
    assert ASKS in entry["reason"]
    assert "look 2 of 2: the challenger failed 0 of " in entry["reason"]
    assert undecided.outcome.execution["status"] == "SUCCEEDED"
    states = _states(organisation, undecided.outcome)
    assert states.count("CompareVariants") == UNTOLD["looks"]
    assert "DeployToProd" not in states
    life_cycle = undecided.shown["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "RolledBack")
    assert ASKS in life_cycle["StageDescription"]
    assert undecided.endpoint["EndpointConfigName"] == tried.at_last["EndpointConfigName"]
    assert [one["VariantName"] for one in undecided.endpoint["ProductionVariants"]] == [
        "AllTraffic"
    ]


def test_who_is_asked_hears_of_it_and_is_told_what_there_is_to_decide(
    organisation: Organisation, undecided: Undecided
) -> None:
    entry = undecided.outcome.entry
    since = f"{TRIED} is Prod / RolledBack since {entry['recorded_at']}. Version: {undecided.arn}"
    eventually(
        lambda: any(since in text for text in organisation.heard(CENTRAL, "notifications")),
        "the notification",
    )
    assert ASKS in undecided.history
    what = f"A release was taken back before (entry {entry['sequence']})"
    (risk,) = (one for one in undecided.brief["risks"] if one["what"] == what)
    assert ASKS in risk["detail"]
    (row,) = (
        one
        for one in undecided.status["versions"]
        if one["model_package_arn"] == undecided.arn and one["registry"] == "Central"
    )
    assert (row["stage"], row["stage_status"]) == ("Prod", "RolledBack")


# ---------------------------------------------------------------- releases of one endpoint at once


@dataclass(frozen=True)
class AtOnce:
    """Three releases of one endpoint: an operator stops the first, and the others wait in turn.

    `stopped` is the first's execution; `waited` and `waited_too` are what the second and the third
    were told when they asked for the endpoint.
    """

    stopped: dict[str, Any]
    waited: str
    second: Outcome
    waited_too: str
    third: Outcome
    endpoint: dict[str, Any]


@pytest.fixture(scope="module")
def at_once(organisation: Organisation, tried: Tried, undecided: Undecided) -> AtOnce:
    """The second is what the trial asked about: Alex and Grace have answered."""
    _test(organisation, undecided.arn, {"type": "all-at-once"}, BAKE // 2)
    earlier = [str(one.entry["model_package_arn"]) for one in (tried.won, tried.first)]
    organisation.decide("prod", earlier[0])
    eventually(lambda: _in_trial(organisation), "the trial")
    running = _running(organisation, earlier[0])
    second = organisation.decide("prod", undecided.arn)
    waited = eventually(lambda: _waits(organisation, undecided.arn), "the second release waits")
    organisation.root(CENTRAL, "stepfunctions").stop_execution(
        executionArn=running[0], error="Operator", cause="stopped by hand"
    )
    _recorded(organisation, "ReleaseStarted", undecided.arn, second[1])
    third = organisation.decide("prod", earlier[1])
    waited_too = eventually(lambda: _waits(organisation, earlier[1]), "the third release waits")
    return AtOnce(
        *(organisation.ended(running[0]), waited, organisation.follow(*second)),
        *(waited_too, organisation.follow(*third), _endpoint(organisation)),
    )


def _recorded(organisation: Organisation, kind: str, arn: str, after: int) -> None:
    """Wait for an entry of that kind about the version that comes after that number."""

    def found() -> bool:
        return any(
            (entry["kind"], entry["model_package_arn"]) == (kind, arn)
            and int(entry["sequence"]) > after
            for entry in organisation.story(TRIED)
        )

    eventually(found, f"{kind} of {arn}")


def _running(organisation: Organisation, arn: str) -> list[str]:
    """The ARNs of the executions that release the version now."""
    return [
        str(one["executionArn"])
        for one in organisation.executions("release_to_prod", TRIED)
        if one["status"] == "RUNNING" and f'"{arn}"' in one["input"]
    ]


def _waits(organisation: Organisation, arn: str) -> str:
    """What the release of the version was told last when it asked for the endpoint, if it waits."""
    states = organisation.root(CENTRAL, "stepfunctions")
    told = [
        str(event["taskFailedEventDetails"])
        for execution in _running(organisation, arn)
        for event in states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        if event["type"] == "TaskFailed"
    ]
    return next((one for one in reversed(told) if "is not free" in one), "")


def _entry(organisation: Organisation, kind: str, claim_id: str) -> dict[str, Any]:
    (found,) = (
        entry
        for entry in organisation.story(TRIED)
        if (entry["kind"], entry["claim_id"]) == (kind, claim_id)
    )
    return found


def test_a_release_waits_for_the_one_that_goes_on_and_is_told_which(
    tried: Tried, at_once: AtOnce
) -> None:
    for said, arn, execution in (
        (at_once.waited, tried.won.entry["model_package_arn"], at_once.stopped),
        (at_once.waited_too, at_once.second.entry["model_package_arn"], at_once.second.execution),
    ):
        assert f"endpoint/{ENDPOINT} is not free: release_to_prod of {arn} has held it" in said
        assert f"in execution {execution['executionArn']}" in said


def test_a_lock_does_not_outlive_the_execution_that_an_operator_has_stopped(
    organisation: Organisation, undecided: Undecided, at_once: AtOnce
) -> None:
    """It was stopped in the middle of a trial; the next release ends that as well."""
    assert at_once.stopped["status"] == "ABORTED"
    (told,) = eventually(
        lambda: [
            entry
            for entry in organisation.story(TRIED)
            if entry["kind"] == "RunUnfinished"
            and entry["execution_arn"] == at_once.stopped["executionArn"]
        ],
        "the entry of the run that was stopped",
    )
    assert "stopped by hand" in told["failure"]["Cause"]
    entry = at_once.second.entry
    assert (entry["kind"], entry["model_package_arn"]) == ("CandidateReleased", undecided.arn)
    assert _states(organisation, at_once.second).count("LockEndpoint") == 1
    # What the registry shows of the first is what the runbook says of a run that was stopped.
    life_cycle = organisation.central(told["model_package_arn"])["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "Releasing")


def test_what_a_trial_could_not_tell_is_released_by_another_strategy(
    organisation: Organisation, undecided: Undecided, at_once: AtOnce
) -> None:
    assert at_once.second.entry["candidate_id"] == undecided.outcome.entry["candidate_id"]
    states = _states(organisation, at_once.second)
    assert "DeployToProd" in states
    assert "PlanTrial" not in states


def test_the_next_release_begins_after_the_end_of_the_one_before(
    organisation: Organisation, at_once: AtOnce
) -> None:
    second, third = at_once.second.entry, at_once.third.entry
    assert third["kind"] == "CandidateReleased"
    assert third["superseded"] == second["model_package_arn"]
    began = _entry(organisation, "ReleaseStarted", third["claim_id"])
    assert int(began["sequence"]) > int(second["sequence"])
    shown = organisation.central(second["model_package_arn"])["ModelLifeCycle"]
    assert (shown["Stage"], shown["StageStatus"]) == ("Prod", "Superseded")


def test_what_was_approved_last_serves_alone_and_nobody_holds_the_endpoint(
    organisation: Organisation, at_once: AtOnce
) -> None:
    entry, endpoint = at_once.third.entry, at_once.endpoint
    assert endpoint["EndpointStatus"] == "InService"
    assert entry["claim_id"][:10] in endpoint["EndpointConfigName"]
    assert [one["VariantName"] for one in endpoint["ProductionVariants"]] == ["AllTraffic"]
    shown = organisation.central(entry["model_package_arn"])["ModelLifeCycle"]
    assert (shown["Stage"], shown["StageStatus"]) == ("Prod", "Deployed")
    dynamodb = organisation.root(CENTRAL, "dynamodb")

    def held() -> bool:
        found = dynamodb.scan(TableName="governed-path-endpoint-locks", ConsistentRead=True)
        return any(ENDPOINT in json.dumps(item) for item in found["Items"])

    eventually(lambda: not held(), "the end of the last lock")


@dataclass(frozen=True)
class Overtaken:
    """A release that waited for one which somebody took back; what it was told, how both ended.

    `shown` is its version afterwards.
    """

    waited: str
    went_back: Outcome
    outcome: Outcome
    shown: dict[str, Any]


@pytest.fixture(scope="module")
def overtaken(
    organisation: Organisation, tried: Tried, undecided: Undecided, at_once: AtOnce
) -> Overtaken:
    """The release that goes on waits for SageMaker, as one does that shifts traffic for hours."""
    waits, table = organisation.root(CENTRAL, "dynamodb"), "governed-path-endpoint-waits"
    key = {"endpoint_arn": {"S": at_once.third.entry["endpoint"]["endpoint_arn"]}}
    busy = {"claim_id": {"S": "another"}, "expires_at": {"S": "2999-01-01T00:00:00Z"}}
    waits.put_item(TableName=table, Item=key | busy)
    _, after = organisation.decide("prod", undecided.arn)
    _recorded(organisation, "ReleaseStarted", undecided.arn, after)
    earlier = str(tried.won.entry["model_package_arn"])
    begun = organisation.decide("prod", earlier)
    waited = eventually(lambda: _waits(organisation, earlier), "the other release waits")

    def let_go() -> None:
        _recorded(organisation, "ReleaseStopped", undecided.arn, after)
        waits.delete_item(TableName=table, Key=key)

    back = organisation.roll_back(ENDPOINT, UNFIT, meanwhile=let_go)
    outcome = organisation.follow(*begun)
    return Overtaken(waited, back, outcome, organisation.central(earlier))


def test_a_release_that_a_later_decision_has_overtaken_is_rejected_with_the_reason(
    at_once: AtOnce, undecided: Undecided, overtaken: Overtaken
) -> None:
    assert f"release_to_prod of {undecided.arn} has held it" in overtaken.waited
    back = overtaken.went_back.entry
    assert (back["kind"], back["rollback"]["to"]) == (
        "CandidateRolledBack",
        at_once.third.entry["model_package_arn"],
    )
    entry = overtaken.outcome.entry
    assert (entry["kind"], overtaken.outcome.execution["status"]) == (
        "ReleaseRejected",
        "SUCCEEDED",
    )
    (reason,) = entry["verdict"]["reasons"]
    assert reason["rule"] == "one_active_release"
    assert f"decision of {entry['decided_at']}" in reason["fact"]
    # While the rollback goes on, its execution; afterwards the entry, with when it was asked for.
    told = (overtaken.went_back.execution["executionArn"], f"at {back['decided_at']}, after this")
    assert any(one in reason["fact"] for one in told)
    life_cycle = overtaken.shown["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Prod", "Rejected")
    assert "[one_active_release]" in life_cycle["StageDescription"]
