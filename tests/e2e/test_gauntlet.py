"""Bad models end at the suite that looks for them; suites of a team's own count.

Each bad model is approved for Test as every other, and is caught by its tier's own limits. Which
suite catches what else, tests/integration/sagemaker/test_bad_models.py says.
"""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from governance.domain import definitions
from governance.domain.reviews import KINDS as REVIEWS
from tests import bad_models
from tests.contracts import samples
from tests.e2e.organisation import (
    CENTRAL,
    DEV,
    TEST,
    Organisation,
    Outcome,
    eventually,
    said,
)
from tests.e2e.scenarios import Trained

CAUGHT_BY = {
    "slow": "latency",
    "biased": "fairness",
    "crashing": "latency",
    "silently-worse": "comparison",
}
OWN = "own-suites"
HIGHEST = "governed-path-suite-highest"
THROWING = "governed-path-suite-throwing"
# It tries the endpoint as its own role, which the role for suites in Test trusts.
ASKS = """
import json

import boto3


def handler(event, context):
    endpoint, parameters = event["endpoint"], event["parameters"]
    role = f"arn:aws:iam::{endpoint['account']}:role/governed-path-suite"
    lent = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="suite")["Credentials"]
    runtime = boto3.client(
        "sagemaker-runtime",
        region_name=endpoint["region"],
        aws_access_key_id=lent["AccessKeyId"],
        aws_secret_access_key=lent["SecretAccessKey"],
        aws_session_token=lent["SessionToken"],
    )
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint["endpoint_name"],
        ContentType="application/json",
        Body=json.dumps({"instances": [parameters["patient"]]}),
    )
    found = json.loads(answer["Body"].read())["predictions"][0]["probability"]
    passed = found <= parameters["highest"]
    check = {"name": "nobody is sure", "passed": passed, "observed": found, "expected": "less"}
    return {
        "status": "passed" if passed else "failed",
        "checks": [check],
        "metrics": {"probability": found},
    }
"""
THROWS = """
def handler(event, context):
    raise KeyError("holdout of 2019")
"""
PATIENT = {
    **{"age": 61, "sex": 2, "bmi": 30.1, "blood_pressure": 97, "total_cholesterol": 198},
    **{"ldl": 118, "hdl": 44, "cholesterol_ratio": 4.5, "log_triglycerides": 4.9, "glucose": 102},
}


def _report(organisation: Organisation, trained: Trained, name: str) -> bytes:
    """What is true of the bad model, on the holdout that the version names."""
    found = organisation.root(DEV, "sagemaker").describe_model_package(
        ModelPackageName=trained.first
    )
    uri = found["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    theirs = json.loads(
        organisation.root(DEV, "s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    )
    ours = json.loads(bad_models.build(name).evaluation)
    assert ours["holdout"]["sha256"] == theirs["holdout"]["sha256"]
    return json.dumps({**ours, "holdout": theirs["holdout"]}).encode()


def _model(name: str) -> str:
    return f"{name}-model"


def _tried(organisation: Organisation, trained: Trained, name: str) -> Outcome:
    """The bad model, approved for Test; a good one serves Prod where there must be a champion."""
    model = _model(name)
    # What the silently worse one says of itself, its report included, passes in the tier below.
    champion = CAUGHT_BY[name] == "comparison"
    organisation.provision(model, tier="medium" if champion else "high")
    # Its tier's limits alone: the template's are stricter.
    definition = definitions.digest(organisation.publish(model, thresholds={}))
    if champion:
        good = organisation.register_again(trained.first, model)
        central = str(organisation.approve("dev", good).entry["model_package_arn"])
        tested = organisation.approve("test", central)
        assert tested.entry["kind"] == "ValidationPassed", tested.entry["summary"]
        for kind in REVIEWS:
            organisation.review(central, kind)
        served = organisation.approve("prod", central)
        assert served.entry["kind"] == "CandidateReleased", served.entry
    replaced = {
        "model-data": bad_models.build(name).archive,
        "evaluation": _report(organisation, trained, name),
    }
    origin = organisation.register_again(trained.first, model, replace=replaced)
    promoted = organisation.approve("dev", origin).entry
    assert promoted["kind"] == "CandidatePromoted", said(promoted)
    return organisation.approve("test", promoted["model_package_arn"], definition=definition)


@pytest.fixture(scope="module")
def trying(organisation: Organisation, trained: Trained) -> dict[str, Future[Outcome]]:
    """All of them, two at a time: the endpoints of more would be slow for want of a processor."""
    for name in CAUGHT_BY:
        bad_models.build(name)  # by one thread
    pool = ThreadPoolExecutor(2)
    found = {name: pool.submit(_tried, organisation, trained, name) for name in CAUGHT_BY}
    pool.shutdown(wait=False)
    return found


@pytest.mark.parametrize(("name", "suite"), CAUGHT_BY.items())
def test_a_bad_model_fails_its_test_and_the_suite_is_named_everywhere(
    organisation: Organisation, trying: dict[str, Future[Outcome]], name: str, suite: str
) -> None:
    validated = trying[name].result()
    entry = validated.entry
    assert (entry["kind"], entry["stage_status"]) == ("ValidationFailed", "Failed")
    assert validated.execution["status"] == "SUCCEEDED"
    assert {"suite": suite, "status": "failed"} in entry["summary"]["suites"]
    assert any(reason.startswith(f"{suite}: ") for reason in entry["summary"]["reasons"])
    version = organisation.central(entry["model_package_arn"])
    life_cycle = version["ModelLifeCycle"]
    assert (life_cycle["Stage"], life_cycle["StageStatus"]) == ("Test", "Failed")
    assert f"{suite}: " in life_cycle["StageDescription"]
    metadata = version["CustomerMetadataProperties"]
    assert metadata["test-status"] == "Failed"
    assert metadata["test-report-sha256"] == entry["report"]["sha256"]
    report = json.loads(organisation.evidence(entry["report"]["uri"]))
    failed = {one["suite"] for one in report["results"] if one["status"] == "failed"}
    assert suite in failed


@pytest.mark.parametrize("name", CAUGHT_BY)
def test_a_bad_model_leaves_no_endpoint_in_test(
    organisation: Organisation, trying: dict[str, Future[Outcome]], name: str
) -> None:
    trying[name].result()
    eventually(lambda: not organisation.endpoints(TEST, _model(name)), "the end of its endpoint")


def _function(organisation: Organisation, name: str, code: str) -> None:
    """A team deploys a suite of its own in Central, with a role of the same name."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.py", code)
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    may = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Resource": f"arn:aws:iam::{TEST}:role/governed-path-suite",
    }
    iam = organisation.root(CENTRAL, "iam")
    policy = {"Version": "2012-10-17"}
    role = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({**policy, "Statement": [trust]})
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName=name,
        PolicyName="try-endpoints",
        PolicyDocument=json.dumps({**policy, "Statement": [may]}),
    )
    organisation.root(CENTRAL, "lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": archive.getvalue()},
        Timeout=60,
    )


@pytest.fixture(scope="module")
def own(organisation: Organisation, trained: Trained) -> dict[str, Outcome]:
    """One version, tested three times: by a suite that is content, by one that is not, by none."""
    _function(organisation, HIGHEST, ASKS)
    _function(organisation, THROWING, THROWS)
    organisation.provision(OWN, tier="low")
    origin = organisation.register_again(trained.first, OWN)
    central = str(organisation.approve("dev", origin).entry["model_package_arn"])
    asked: dict[str, dict[str, Any]] = {
        "content": {
            "name": "highest",
            "entry_point": HIGHEST,
            "parameters": {"patient": PATIENT, "highest": 1.0},
        },
        "discontent": {
            "name": "highest",
            "entry_point": HIGHEST,
            "parameters": {"patient": PATIENT, "highest": 1e-9},
        },
        "throwing": {"name": "throwing", "entry_point": THROWING},
    }
    release = {**samples.definition()["release"], "bake_seconds": 0}
    return {
        name: organisation.approve(
            "test",
            central,
            definition=definitions.digest(
                organisation.publish(OWN, suites=[suite], thresholds={}, release=release)
            ),
        )
        for name, suite in asked.items()
    }


def test_a_suite_of_a_teams_own_tries_the_endpoint_and_counts(
    organisation: Organisation, own: dict[str, Outcome]
) -> None:
    entry = own["content"].entry
    assert entry["kind"] == "ValidationPassed", entry["summary"]
    assert {"suite": "highest", "status": "passed"} in entry["summary"]["suites"]
    assert 0 < entry["summary"]["metrics"]["highest.probability"] < 1


def test_what_a_teams_suite_does_not_let_pass_has_failed(own: dict[str, Outcome]) -> None:
    entry = own["discontent"].entry
    assert (entry["kind"], entry["stage_status"]) == ("ValidationFailed", "Failed")
    (reason,) = entry["summary"]["reasons"]
    assert reason.startswith("highest: nobody is sure: ")


def test_a_teams_suite_that_throws_is_errored_and_never_passed(
    organisation: Organisation, own: dict[str, Outcome]
) -> None:
    outcome = own["throwing"]
    assert (outcome.entry["kind"], outcome.entry["stage_status"]) == (
        "ValidationErrored",
        "Errored",
    )
    assert outcome.execution["status"] == "FAILED"
    assert outcome.execution["error"] == "InvalidInputError"
    assert "suite throwing did not run" in outcome.execution["cause"]
    assert "holdout of 2019" in outcome.execution["cause"]
    version = organisation.central(outcome.entry["model_package_arn"])
    assert version["ModelLifeCycle"]["StageStatus"] == "Errored"
    kinds = organisation.kinds(OWN)
    assert kinds[-1] == "ValidationErrored"
    eventually(lambda: not organisation.endpoints(TEST, OWN), "the end of the Test endpoint")
