"""What happens in the organisation: each scenario is played once and looked at by many tests.

Scenarios wait for workflows most of their time, so they are played side by side. Each has models
of its own; a ledger, a Central version and an endpoint belong to one model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

from botocore.exceptions import ClientError

from cli import rollbacks
from governance.domain import definitions
from governance.domain.candidate import is_our_evaluation
from governance.domain.reviews import KINDS as REVIEWS
from tests.e2e.organisation import (
    CENTRAL,
    DEV,
    PROD,
    PROJECT_BUCKET,
    TEST,
    Organisation,
    Outcome,
    archive,
    eventually,
    spoiled,
)

MODEL = "clinical-risk-classifier"
UNTESTED = "untested-model"
OWN_WORK = "own-work-model"
CRASHING = "crashing-model"
BROKEN = "broken-model"
REJECTED = "rejected-model"
REPLACED = "replaced-model"
OVERWRITTEN = "overwritten-model"
UNPROVEN = "unproven-model"
TAMPERED = "tampered-model"
PRAISED = "praised-model"
UNKNOWN = "unknown-model"
REVIEWED = "reviewed-model"
ROLLED_BACK = "rolled-back-model"
STOPPED = "stopped-model"
GUARDED = "guarded-model"
WATCHED = "watched-model"
PROVISIONED = (
    *(MODEL, UNTESTED, OWN_WORK, CRASHING, BROKEN, REJECTED, REPLACED, UNPROVEN, TAMPERED),
    PRAISED,
    *(REVIEWED, OVERWRITTEN, GUARDED, ROLLED_BACK, STOPPED, WATCHED),
)
WORKFLOWS = ("promote_to_central", "validate_in_test", "release_to_prod")
NO_REASON = "Looks good."
EMIL = "emil"
DRILL = "Drill of the quarter."
WRONG_RISKS = "Risks of patients over 80 are far too low since noon. Incident 4712."
EMERGENCY = "Version 1 gives wrong risks for patients over 80; version 2 repairs it. Incident 4711."


@dataclass(frozen=True)
class Trained:
    """ARNs in Dev of two versions of MODEL that theo trained; the second is the newer."""

    first: str
    second: str


@dataclass(frozen=True)
class DemoPath:
    """The first version's way from Dev to Prod, decided by three people."""

    promoted: Outcome
    validated: Outcome
    released: Outcome
    runs: dict[str, list[dict[str, Any]]]  # every execution about the model, by workflow

    @property
    def stages(self) -> dict[str, Outcome]:
        """The outcomes by the workflow that they are of."""
        return dict(zip(WORKFLOWS, (self.promoted, self.validated, self.released), strict=True))


def demo_path(organisation: Organisation, trained: Trained) -> DemoPath:
    """Dana, Alex and Grace approve the first version, although there is a second by then.

    Before Grace does, four others review it, as tier high asks for.
    """
    promoted = organisation.approve("dev", trained.first)
    central = promoted.entry["model_package_arn"]
    validated = organisation.approve("test", central)
    for kind in REVIEWS:
        organisation.review(central, kind)
    released = organisation.approve("prod", central)
    # The notification of the release comes over the same bus as the events of our own last writes.
    eventually(
        lambda: any("CandidateReleased" in text for text in organisation.heard(CENTRAL, _NEWS)),
        "the notification of the release",
    )
    runs = {workflow: organisation.executions(workflow, MODEL) for workflow in WORKFLOWS}
    return DemoPath(promoted, validated, released, runs)


@dataclass(frozen=True)
class Replayed:
    """What a replay of the demo path's approvals left."""

    entries: list[str]
    version: dict[str, Any]
    runs: dict[str, list[dict[str, Any]]]


def replayed(organisation: Organisation, path: DemoPath) -> Replayed:
    """An operator replays the three approvals from the hub bus's archive."""
    events = organisation.root(CENTRAL, "events")
    archived = events.describe_archive(ArchiveName="governed-path-archive")
    for workflow, outcome in path.stages.items():
        decided = datetime.fromisoformat(outcome.event["time"]).astimezone(UTC)
        name = f"e2e-{workflow}".replace("_", "-")
        events.start_replay(
            ReplayName=name,
            EventSourceArn=archived["ArchiveArn"],
            EventStartTime=decided,
            EventEndTime=decided + timedelta(seconds=2),
            Destination={"Arn": archived["EventSourceArn"]},
        )
    runs = {}
    for workflow in WORKFLOWS:
        twice = eventually(
            lambda w=workflow: len(organisation.executions(w, MODEL)) > 1, f"a replayed {workflow}"
        )
        assert twice
        found = organisation.executions(workflow, MODEL)
        runs[workflow] = [organisation.ended(e["executionArn"]) for e in found]
    central = path.released.entry["model_package_arn"]
    return Replayed(organisation.kinds(MODEL), organisation.central(central), runs)


_NEWS = "notifications"
_WAITS = "governed-path-endpoint-waits"


@dataclass(frozen=True)
class Untested:
    """A Central version that goes to Prod without a test."""

    promoted: Outcome
    released: Outcome


def untested(organisation: Organisation, trained: Trained) -> Untested:
    """Grace signs a version off that never passed Test."""
    origin = organisation.register_again(trained.first, UNTESTED)
    promoted = organisation.approve("dev", origin)
    central = promoted.entry["model_package_arn"]
    return Untested(promoted, organisation.approve("prod", central))


@dataclass(frozen=True)
class Replaced:
    """A version that is released at the second try, and the one that replaces it at once."""

    refused: Outcome
    first: Outcome
    second: Outcome
    emergency: dict[str, Any]  # the entry of the request


def replaced(organisation: Organisation, trained: Trained) -> Replaced:
    """Both versions go to Prod, one after the other.

    The first is signed without a reason and without reviews, then with both. The second must go at
    once: Emil asks for it, Grace signs.
    """
    first = _tested(organisation, organisation.register_again(trained.first, REPLACED))
    refused = organisation.approve("prod", first, because=NO_REASON)
    for kind in REVIEWS:
        organisation.review(first, kind)
    released = organisation.approve("prod", first)
    second = _tested(organisation, organisation.register_again(trained.second, REPLACED))
    emergency = organisation.break_glass(second, EMIL, EMERGENCY)
    return Replaced(refused, released, organisation.approve("prod", second), emergency)


def _tested(organisation: Organisation, origin: str) -> str:
    """A Dev version as Dana promoted and Alex tested it: its Central ARN."""
    central = str(organisation.approve("dev", origin).entry["model_package_arn"])
    organisation.approve("test", central)
    return central


@dataclass(frozen=True)
class Guarded:
    """A version that serves, and one that an alarm took back while traffic moved to it.

    `definition` is the second's own; `meanwhile` is Prod's endpoint when the alarm was raised.
    """

    first: Outcome
    second: Outcome
    definition: dict[str, Any]
    meanwhile: dict[str, Any]


def guarded(organisation: Organisation, trained: Trained) -> Guarded:
    """The second version's own definition moves traffic slowly, to instances of another type."""
    first = _tested(organisation, organisation.register_again(trained.first, GUARDED))
    for kind in REVIEWS:
        organisation.review(first, kind)
    released = organisation.approve("prod", first)
    slowly = {"type": "linear", "step_percent": 25, "wait_seconds": 600}
    project = organisation.publish(GUARDED)
    definition = organisation.publish(
        GUARDED,
        release={**project["release"], "strategy": slowly},
        endpoint={**project["endpoint"], "instance_type": "ml.m5.xlarge"},
    )
    origin = organisation.register_again(trained.second, GUARDED)
    second = str(organisation.approve("dev", origin).entry["model_package_arn"])
    organisation.approve("test", second, definition=definitions.digest(definition))
    for kind in REVIEWS:
        organisation.review(second, kind)
    decision, after = organisation.decide("prod", second)
    endpoint = f"{GUARDED}-endpoint"
    sagemaker = organisation.root(PROD, "sagemaker")

    def moving() -> dict[str, Any] | None:
        found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=endpoint)
        return found if found["EndpointStatus"] == "Updating" else None

    meanwhile = eventually(moving, "the second release moves traffic")
    organisation.root(PROD, "cloudwatch").set_alarm_state(
        AlarmName=f"governed-path-{endpoint}-server-errors",
        StateValue="ALARM",
        StateReason="7 patients got no answer",
    )
    return Guarded(released, organisation.follow(decision, after), definition, meanwhile)


@dataclass(frozen=True)
class Tampered:
    """A Central version that an administrator changed after it was promoted."""

    promoted: Outcome
    voided: dict[str, Any]
    refused: Outcome


def tampered(organisation: Organisation, trained: Trained) -> Tampered:
    """Somebody with every right replaces the program of an approved version; Alex approves it."""
    origin = organisation.register_again(trained.first, TAMPERED)
    promoted = organisation.approve("dev", origin)
    central = promoted.entry["model_package_arn"]
    specification = organisation.central(central)["InferenceSpecification"]
    specification["Containers"][0]["Environment"]["SAGEMAKER_PROGRAM"] = "other.py"
    specification["Containers"][0].pop("ModelDataETag", None)
    organisation.root(CENTRAL, "sagemaker").update_model_package(
        ModelPackageArn=central, InferenceSpecification=specification
    )
    (voided,) = eventually(
        lambda: [e for e in organisation.story(TAMPERED) if e["kind"] == "ApprovalsVoided"],
        "the entry of the tampering",
    )
    return Tampered(promoted, voided, organisation.approve("test", central))


@dataclass(frozen=True)
class Praised:
    """A tested version whose card an administrator gave a better number than was measured.

    `measured` is the number of the tests, `again` the tests after which it stands there again.
    """

    arn: str
    measured: float
    voided: dict[str, Any]
    refused: Outcome
    again: Outcome


def praised(organisation: Organisation, trained: Trained) -> Praised:
    """Grace is to sign what reads better than it is; then Alex has it tested again."""
    arn = _tested(organisation, organisation.register_again(trained.first, PRAISED))
    card = json.loads(organisation.central(arn)["ModelCard"]["ModelCardContent"])
    (ours,) = [one for one in card["evaluation_details"] if is_our_evaluation(one)]
    (number,) = [n for n in ours["metric_groups"][0]["metric_data"] if n["name"] == "auc"]
    measured, number["value"] = number["value"], 0.99
    organisation.root(CENTRAL, "sagemaker").update_model_package(
        ModelPackageArn=arn, ModelCard={"ModelCardContent": json.dumps(card)}
    )
    (voided,) = eventually(
        lambda: [e for e in organisation.story(PRAISED) if e["kind"] == "ApprovalsVoided"],
        "the entry of the better number",
    )
    refused = organisation.approve("prod", arn)
    return Praised(arn, measured, voided, refused, organisation.approve("test", arn))


@dataclass(frozen=True)
class Reviewed:
    """A version with reviews of several people, one taken back, released after them."""

    arn: str
    given: list[dict[str, Any]]  # their entries: technical, business, compliance, deployment
    revoked: dict[str, Any]
    again: dict[str, Any]
    in_review: dict[str, Any]  # the version, as the registry shows it then
    released: Outcome
    late: dict[str, Any]  # a review after the release


def reviewed(organisation: Organisation, trained: Trained) -> Reviewed:
    """Four people review, Bruno takes his review back, Bella gives it, Grace signs."""
    arn = _tested(organisation, organisation.register_again(trained.first, REVIEWED))
    given = [organisation.review(arn, kind) for kind in REVIEWS]
    revoked = organisation.review(arn, "business", revoke=True)
    again = organisation.review(arn, "business", "bella")
    in_review = organisation.central(arn)
    released = organisation.approve("prod", arn)
    return Reviewed(
        *(arn, given, revoked, again, in_review, released),
        organisation.review(arn, "technical", "tom"),
    )


@dataclass(frozen=True)
class RolledBack:
    """Two releases, the way back from the second, and what else was asked for there.

    `tried` is what was there in Test while the drill went on.
    """

    first: Outcome
    second: Outcome
    drilled: Outcome
    tried: list[str]
    served_meanwhile: dict[str, Any]  # Prod's endpoint after the drill, before the way back
    nothing_to_drill: Outcome
    went_back: Outcome
    nothing_left: Outcome  # the rollback of what is the only good one then
    stopped: dict[str, Any]  # the execution of a release that a rollback stopped
    stopped_by: Outcome


def rolled_back(organisation: Organisation, trained: Trained) -> RolledBack:
    """Grace drills the way back from version 2 to 1, and goes it; then, while 2 is released once
    more, back again.
    """
    first = _tested(organisation, organisation.register_again(trained.first, ROLLED_BACK))
    for kind in REVIEWS:
        organisation.review(first, kind)
    one = organisation.approve("prod", first)
    second = _tested(organisation, organisation.register_again(trained.second, ROLLED_BACK))
    for kind in REVIEWS:
        organisation.review(second, kind)
    two = organisation.approve("prod", second)
    endpoint = f"{ROLLED_BACK}-endpoint"
    tried: list[str] = []

    def look() -> None:
        tried.extend(
            eventually(lambda: organisation.endpoints(TEST, ROLLED_BACK), "an endpoint in Test")
        )

    drilled = organisation.roll_back(endpoint, DRILL, meanwhile=look, phase=rollbacks.DRILL)
    served = organisation.root(PROD, "sagemaker").describe_endpoint(EndpointName=endpoint)
    back = organisation.roll_back(endpoint, WRONG_RISKS)
    undrilled = organisation.roll_back(endpoint, DRILL, phase=rollbacks.DRILL)
    nothing = organisation.roll_back(endpoint, WRONG_RISKS)
    # A release that waits for SageMaker, as one does that shifts traffic for half an hour.
    waits = organisation.root(CENTRAL, "dynamodb")
    arn = one.entry["endpoint"]["endpoint_arn"]
    key = {"endpoint_arn": {"S": arn}}
    busy = {"claim_id": {"S": "another"}, "expires_at": {"S": "2999-01-01T00:00:00Z"}}
    waits.put_item(TableName=_WAITS, Item=key | busy)
    _, after = organisation.decide("prod", second)

    def recorded(kind: str) -> list[dict[str, Any]]:
        found = organisation.story(ROLLED_BACK)
        return [e for e in found if e["kind"] == kind and int(e["sequence"]) > after]

    running = eventually(lambda: recorded("ReleaseStarted"), "the second release of version 2")

    def let_go() -> None:
        eventually(lambda: recorded("ReleaseStopped"), "the end of the release")
        waits.delete_item(TableName=_WAITS, Key=key)

    stopping = organisation.roll_back(endpoint, WRONG_RISKS, meanwhile=let_go)
    return RolledBack(
        *(one, two, drilled, tried, served, undrilled, back, nothing),
        *(organisation.ended(running[0]["execution_arn"]), stopping),
    )


@dataclass(frozen=True)
class Watched:
    """A release that a person stopped while traffic moved, and one that an alarm took back.

    `shifting` is Prod's endpoint when the rollback was asked for.
    """

    first: Outcome
    shifting: dict[str, Any]
    stopped: dict[str, Any]  # the execution of the release
    went_back: Outcome
    served_again: dict[str, Any]  # Prod's endpoint after that
    second: Outcome
    errors: int  # requests that got no answer while the second version served
    by_alarm: Outcome


# No suite asks for exactly this patient; with that one the container runs out of memory.
FATAL_BMI = 41.73
_FATAL = f"""

_predict_fn = predict_fn


def predict_fn(rows, model):
    if any(row[2] == {FATAL_BMI} for row in rows):
        raise MemoryError("out of memory")
    return _predict_fn(rows, model)
"""


def watched(organisation: Organisation, trained: Trained) -> Watched:
    """Version 2 answers no request about one patient, which shows when it has been released."""
    first = _tested(organisation, organisation.register_again(trained.first, WATCHED))
    for kind in REVIEWS:
        organisation.review(first, kind)
    one = organisation.approve("prod", first)
    slowly = {"type": "canary", "percent": 10, "wait_seconds": 1200}
    release = {**organisation.publish(WATCHED)["release"], "strategy": slowly}
    definition = organisation.publish(WATCHED, release=release)
    key, version = _model_data(organisation, trained.second)
    packed = organisation.root(DEV, "s3").get_object(
        Bucket=PROJECT_BUCKET, Key=key, VersionId=version
    )["Body"]
    origin = organisation.register_again(
        trained.second, WATCHED, replace={"model-data": spoiled(packed.read(), _FATAL)}
    )
    second = str(organisation.approve("dev", origin).entry["model_package_arn"])
    organisation.approve("test", second, definition=definitions.digest(definition))
    for kind in REVIEWS:
        organisation.review(second, kind)
    shifting, back, running = _stopped_in_mid_shift(organisation, second)
    endpoint = f"{WATCHED}-endpoint"
    again = organisation.root(PROD, "sagemaker").describe_endpoint(EndpointName=endpoint)
    two = organisation.approve("prod", second)
    with _calling(organisation, endpoint) as errors:
        (taken,) = eventually(
            lambda: [
                e
                for e in organisation.story(WATCHED)
                if e["kind"] == "CandidateRolledBack" and e["rollback"]["trigger"] == "alarm"
            ],
            "the rollback by an alarm",
        )
        ended = organisation.ended(taken["execution_arn"])
    return Watched(one, shifting, running, back, again, two, len(errors), Outcome(taken, ended))


def _stopped_in_mid_shift(
    organisation: Organisation, arn: str
) -> tuple[dict[str, Any], Outcome, dict[str, Any]]:
    """Grace asks for the rollback of a release when it has moved a part of the traffic."""
    endpoint = f"{WATCHED}-endpoint"
    sagemaker = organisation.root(PROD, "sagemaker")
    _, after = organisation.decide("prod", arn)

    def moving() -> dict[str, Any] | None:
        found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=endpoint)
        pending = found.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
        return found if any(one.get("CurrentWeight", 0) > 0 for one in pending) else None

    shifting = eventually(moving, "the release moves traffic")
    back = organisation.roll_back(endpoint, WRONG_RISKS)
    (started,) = [
        e
        for e in organisation.story(WATCHED)
        if e["kind"] == "ReleaseStarted" and int(e["sequence"]) > after
    ]
    return shifting, back, organisation.ended(started["execution_arn"])


@contextmanager
def _calling(organisation: Organisation, endpoint: str) -> Iterator[list[str]]:
    """Somebody asks about the one patient all the while; the errors that they get."""
    runtime, errors, enough = organisation.root(PROD, "sagemaker-runtime"), [], Event()
    patient = {
        **{"age": 61, "sex": 2, "bmi": FATAL_BMI, "blood_pressure": 97, "total_cholesterol": 198},
        **{"ldl": 118, "hdl": 44, "cholesterol_ratio": 4.5, "log_triglycerides": 4.9},
        "glucose": 102,
    }
    body = json.dumps({"instances": [patient]})

    def call() -> None:
        while not enough.wait(0.2):
            try:
                runtime.invoke_endpoint(
                    EndpointName=endpoint, ContentType="application/json", Body=body
                )
            except ClientError as error:
                errors.append(str(error))

    caller = Thread(target=call)
    caller.start()
    try:
        yield errors
    finally:
        enough.set()
        caller.join()


def own_work(organisation: Organisation, trained: Trained) -> Outcome:
    """Theo approves, as a data scientist, the version that he trained."""
    origin = organisation.register_again(trained.first, OWN_WORK)
    return organisation.approve("dev", origin, person="theo")


@dataclass(frozen=True)
class Crashing:
    """A model whose container cannot load it."""

    promoted: Outcome
    validated: Outcome


def crashing(organisation: Organisation, trained: Trained) -> Crashing:
    """The artefact is whole, its code is not: it fails when the endpoint starts."""
    code = "def model_fn(model_dir):\n    raise RuntimeError('the weights are of another model')\n"
    origin = organisation.register_again(
        trained.first, CRASHING, replace={"model-data": archive({"code/inference.py": code})}
    )
    promoted = organisation.approve("dev", origin)
    validated = organisation.approve("test", promoted.entry["model_package_arn"])
    return Crashing(promoted, validated)


@dataclass(frozen=True)
class Stopped:
    """A validation that an operator stopped while its endpoint served."""

    endpoint: str
    config: str
    execution: dict[str, Any]


def stopped(organisation: Organisation, trained: Trained) -> Stopped:
    """Alex approves for Test; when the endpoint is there and is tested, somebody stops the run."""
    origin = organisation.register_again(trained.first, STOPPED)
    central = organisation.approve("dev", origin).entry["model_package_arn"]
    organisation.decide("test", central)
    sagemaker = organisation.root(TEST, "sagemaker")

    def serves() -> dict[str, Any] | None:
        for name in organisation.endpoints(TEST, STOPPED):
            found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
            if found["EndpointStatus"] == "InService":
                return found
        return None

    endpoint = eventually(serves, "the Test endpoint of the validation")
    (execution,) = organisation.executions("validate_in_test", STOPPED)
    organisation.root(CENTRAL, "stepfunctions").stop_execution(
        executionArn=execution["executionArn"], error="Operator", cause="an operator stopped it"
    )
    return Stopped(
        endpoint["EndpointName"],
        endpoint["EndpointConfigName"],
        organisation.ended(execution["executionArn"]),
    )


def deleted(organisation: Organisation, trained: Trained) -> Outcome:
    """The model's bytes are deleted for good before Dana approves."""
    origin = organisation.register_again(
        trained.first, BROKEN, replace={"model-data": archive({"model.joblib": "deleted later"})}
    )
    key, version = _model_data(organisation, origin)
    organisation.root(DEV, "s3").delete_object(Bucket=PROJECT_BUCKET, Key=key, VersionId=version)
    return organisation.approve("dev", origin)


def empty(organisation: Organisation, trained: Trained) -> Outcome:
    """The model.tar.gz has no bytes."""
    origin = organisation.register_again(trained.first, BROKEN, replace={"model-data": b""})
    return organisation.approve("dev", origin)


def other_bytes(organisation: Organisation, trained: Trained) -> Outcome:
    """The model's bytes are not the ones whose digest was registered."""
    origin = organisation.register_again(
        trained.first, BROKEN, metadata={"model-data-sha256": "0" * 64}
    )
    return organisation.approve("dev", origin)


def overwritten(organisation: Organisation, trained: Trained) -> Outcome:
    """Another model takes the place of the registered one before Dana approves."""
    body = archive({"model.joblib": "as it was registered"})
    origin = organisation.register_again(trained.first, OVERWRITTEN, replace={"model-data": body})
    key, _ = _model_data(organisation, origin)
    organisation.root(DEV, "s3").put_object(
        Bucket=PROJECT_BUCKET,
        Key=key,
        Body=archive({"model.joblib": "uploaded over it"}),
        ChecksumAlgorithm="SHA256",
    )
    return organisation.approve("dev", origin)


def unproven(organisation: Organisation, trained: Trained) -> Outcome:
    """S3 keeps no SHA-256 of the model's bytes, so nothing proves the one that was declared."""
    origin = organisation.register_again(
        trained.first,
        UNPROVEN,
        replace={"model-data": archive({"model.joblib": "uploaded without a digest"})},
        checksum_algorithm="CRC32",
        metadata={"model-data-sha256": "1" * 64},
    )
    return organisation.approve("dev", origin)


def bad_report(organisation: Organisation, trained: Trained) -> Outcome:
    """evaluation.json says nothing of calibration and gives the AUC as text."""
    report = {
        "schema": "governed-path/evaluation/v1",
        "model": BROKEN,
        "metrics": {"auc": "0.9", "brier": 0.1},
    }
    origin = organisation.register_again(
        trained.first, BROKEN, replace={"evaluation": json.dumps(report).encode()}
    )
    return organisation.approve("dev", origin)


def unknown_model(organisation: Organisation, trained: Trained) -> dict[str, Any]:
    """Dana approves a version of a model that no admin has provisioned; the execution."""
    organisation.root(DEV, "sagemaker").create_model_package_group(ModelPackageGroupName=UNKNOWN)
    origin = organisation.register_again(trained.first, UNKNOWN)
    organisation.decide("dev", origin)
    started = eventually(
        lambda: organisation.executions("promote_to_central", UNKNOWN), "an execution"
    )
    return organisation.ended(started[0]["executionArn"])


def unknown_shape(organisation: Organisation, trained: Trained) -> dict[str, Any]:
    """Somebody starts a workflow with what is no event of SageMaker; the execution."""
    return organisation.start_again("promote_to_central", {"detail-type": "Greeting", "detail": 1})


def _model_data(organisation: Organisation, arn: str) -> tuple[str, str]:
    """(key, version id) of a Dev version's model.tar.gz."""
    sagemaker = organisation.root(DEV, "sagemaker")
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    uri = found["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    key = uri.removeprefix(f"s3://{PROJECT_BUCKET}/")
    return key, found["CustomerMetadataProperties"]["model-data-version-id"]


# Played side by side in this order: what deploys an endpoint finds its functions started already.
SCENARIOS = (
    demo_path,
    own_work,
    deleted,
    empty,
    other_bytes,
    overwritten,
    bad_report,
    unproven,
    unknown_model,
    unknown_shape,
    untested,
    replaced,
    tampered,
    praised,
    reviewed,
    rolled_back,
    guarded,
    watched,
    crashing,
    stopped,
)
