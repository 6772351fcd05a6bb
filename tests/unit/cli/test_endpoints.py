"""What endpoints serve, as SageMaker says it, and how the board shows that beside the ledger."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from cli import board, commands, endpoints, present, releases
from cli.errors import GovernError
from governance.domain import definitions
from tests.contracts import samples
from tests.unit.cli.conftest import (
    CANDIDATE,
    MODEL,
    PROD,
    TEST,
    Stubbed,
    arn,
    directory,
    entry,
    knows,
    provisioned,
    summary,
)
from tests.unit.cli.test_read import PROMOTED, RELEASED, lists

Govern = Callable[..., Result]
SINCE = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
NAME = "clinical-risk"
ENDPOINT = f"arn:aws:sagemaker:us-east-1:{PROD}:endpoint/{NAME}"
BUCKET = "s3://governed-path-artifacts-111122223333-us-east-1"
OTHER = "d" * 64


def variant(name: str = "AllTraffic", weight: float = 1.0) -> dict[str, Any]:
    return {"VariantName": name, "CurrentWeight": weight, "CurrentInstanceCount": 1}


def described(name: str = NAME, **more: Any) -> dict[str, Any]:
    return {
        "EndpointName": name,
        "EndpointArn": ENDPOINT.replace(NAME, name),
        "EndpointStatus": "InService",
        "EndpointConfigName": "config-1",
        "CreationTime": SINCE,
        "LastModifiedTime": SINCE,
        "ProductionVariants": [variant()],
        **more,
    }


class Account:
    """What an account answers, in the order in which it is asked."""

    def __init__(self) -> None:
        self.session = Stubbed()
        self._sagemaker = self.session.stub("sagemaker")

    def lists(self, *names: str) -> None:
        listed = [
            {
                "EndpointName": name,
                "EndpointArn": ENDPOINT.replace(NAME, name),
                "CreationTime": SINCE,
                "LastModifiedTime": SINCE,
                "EndpointStatus": "InService",
            }
            for name in names
        ]
        self._sagemaker.add_response("list_endpoints", {"Endpoints": listed})

    def alarms(self, *names: str) -> None:
        found = [
            {"AlarmName": name, "StateValue": "ALARM", "StateTransitionedTimestamp": at}
            for name, at in zip(names, (SINCE, SINCE.replace(hour=13)), strict=False)
        ]
        self.session.stub("cloudwatch").add_response("describe_alarms", {"MetricAlarms": found})

    def endpoint(self, tags: dict[str, str] | None = None, **more: Any) -> None:
        found = {key: value for key, value in described(**more).items() if value is not None}
        self._sagemaker.add_response("describe_endpoint", found)
        told = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        self._sagemaker.add_response("list_tags", {"Tags": told})

    def config(self, name: str, **variants: dict[str, Any]) -> None:
        """A config with a model for each of its variants; `shadow` is the one that is."""
        made = [{"VariantName": v, "ModelName": f"model-{name}-{v}"} for v in variants]
        shadows = [one for one in made if one["VariantName"] == "shadow"]
        self._sagemaker.add_response(
            "describe_endpoint_config",
            {
                "EndpointConfigName": name,
                "EndpointConfigArn": f"arn:aws:sagemaker:us-east-1:{PROD}:endpoint-config/{name}",
                "ProductionVariants": [one for one in made if one not in shadows],
                **({"ShadowProductionVariants": shadows} if shadows else {}),
                "CreationTime": SINCE,
            },
        )
        for v, container in variants.items():
            self._sagemaker.add_response(
                "describe_model",
                {
                    "ModelName": f"model-{name}-{v}",
                    "ModelArn": f"arn:aws:sagemaker:us-east-1:{PROD}:model/{name}",
                    "PrimaryContainer": container,
                    "CreationTime": SINCE,
                },
            )

    def gone(self, operation: str) -> None:
        self._sagemaker.add_client_error(
            operation, "ValidationException", 'Could not find "config-1".', http_status_code=400
        )

    def seen(self) -> list[dict[str, Any]]:
        found = endpoints.of_account(self.session, PROD)
        for _, stubber in self.session.made.values():
            stubber.assert_no_pending_responses()
        return found


@pytest.fixture
def account() -> Account:
    return Account()


def package(version: int = 1) -> dict[str, Any]:
    return {"ModelPackageName": arn(version)}


def bytes_of(candidate_id: str = CANDIDATE) -> dict[str, Any]:
    return {"ModelDataUrl": f"{BUCKET}/models/{MODEL}/{candidate_id}/model-data/model.tar.gz"}


TAGS = {"model-package-arn": arn(1), "candidate-id": CANDIDATE, "execution": "arn:execution"}


def test_a_package_says_the_version_and_the_tags_its_candidate(account: Account) -> None:
    account.lists(NAME)
    account.alarms()
    account.endpoint(TAGS)
    account.config("config-1", AllTraffic=package())
    (row,) = account.seen()
    (served,) = row["variants"]
    assert (served["model"], served["version"], served["candidate_id"]) == (MODEL, 1, CANDIDATE)
    assert (served["share"], row["status"], row["execution"]) == (1.0, "InService", "arn:execution")
    assert (row["deployment"], row["alarm"]) == (None, None)


def test_tags_of_another_version_are_not_believed(account: Account) -> None:
    """A deployment by hand leaves the tags of the release before."""
    account.lists(NAME)
    account.alarms()
    account.endpoint(TAGS)
    account.config("config-1", AllTraffic=package(7))
    (row,) = account.seen()
    assert (row["variants"][0]["version"], row["variants"][0]["candidate_id"]) == (7, None)
    assert endpoints.serves(row, [], [arn(7)])
    assert not endpoints.serves(row, [CANDIDATE], [arn(1)])


@pytest.mark.parametrize("prefix", [False, True])
def test_bytes_say_the_candidate_also_of_a_model_that_somebody_made(
    account: Account, prefix: bool
) -> None:
    container = bytes_of(OTHER)
    if prefix:
        uri = container["ModelDataUrl"].rpartition("/")[0] + "/"
        source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
        container = {"ModelDataSource": {"S3DataSource": source}}
    account.lists(NAME)
    account.alarms()
    account.endpoint(TAGS)
    account.config("config-1", AllTraffic=container)
    (row,) = account.seen()
    assert row["variants"][0]["candidate_id"] == OTHER
    assert row["variants"][0]["version"] is None
    assert endpoints.serves(row, [OTHER], [])


def test_variants_share_the_traffic_and_a_shadow_has_none(account: Account) -> None:
    account.lists(NAME)
    account.alarms()
    account.endpoint(
        TAGS,
        ProductionVariants=[variant("champion", 3.0), variant("challenger", 1.0)],
        ShadowProductionVariants=[variant("shadow", 1.0)],
    )
    account.config("config-1", champion=package(), challenger=package(2), shadow=bytes_of(OTHER))
    (row,) = account.seen()
    assert [(one["variant"], one["share"], one["shadow"]) for one in row["variants"]] == [
        ("champion", 0.75, False),
        ("challenger", 0.25, False),
        ("shadow", None, True),
    ]
    assert endpoints.serves(row, [OTHER], [])
    assert [one["variant"] for one in endpoints.served_now(row)] == ["champion", "challenger"]


def test_a_deployment_under_way_shows_what_comes_in(account: Account) -> None:
    account.lists(NAME)
    account.alarms()
    account.endpoint(
        TAGS,
        EndpointStatus="Updating",
        PendingDeploymentSummary={
            "EndpointConfigName": "config-2",
            "ProductionVariants": [
                {**variant(weight=0.1), "VariantStatus": [{"Status": "Baking", "StartTime": SINCE}]}
            ],
            "StartTime": SINCE,
        },
        ProductionVariants=[variant(weight=0.9)],
    )
    account.config("config-1", AllTraffic=package())
    account.config("config-2", AllTraffic=package(2))
    (row,) = account.seen()
    assert [(one["version"], one["incoming"]) for one in row["variants"]] == [(1, False), (2, True)]
    assert [one["share"] for one in row["variants"]] == [pytest.approx(0.9), pytest.approx(0.1)]
    assert row["deployment"] == {
        **{"config": "config-2", "since": "2026-01-31T12:30:00Z"},
        **{"shifted": pytest.approx(0.1), "doing": "Baking"},
    }
    assert [one["version"] for one in endpoints.served_now(row)] == [1]


def test_a_first_deployment_has_no_version_beside_it(account: Account) -> None:
    account.lists(NAME)
    account.alarms()
    account.endpoint(
        {"model-package-arn": arn(1), "candidate-id": CANDIDATE},
        EndpointStatus="Creating",
        ProductionVariants=None,
        PendingDeploymentSummary={
            "EndpointConfigName": "config-1",
            "ProductionVariants": [variant()],
            "StartTime": SINCE,
        },
    )
    account.config("config-1", AllTraffic=bytes_of())
    (row,) = account.seen()
    assert [(one["version"], one["incoming"]) for one in row["variants"]] == [(1, False)]


def test_the_last_alarm_is_the_endpoints_own(account: Account) -> None:
    """One endpoint's name may begin another's."""
    account.lists(NAME, f"{NAME}-2")
    account.alarms(f"governed-path-{NAME}-stop", f"governed-path-{NAME}-2-server-errors")
    for name in (NAME, f"{NAME}-2"):
        account.endpoint({}, name=name)
        if name == NAME:
            account.config("config-1", AllTraffic=package())
    first, second = account.seen()
    assert first["alarm"] == {"name": "stop", "since": "2026-01-31T12:30:00Z"}
    assert second["alarm"] == {"name": "server-errors", "since": "2026-01-31T13:30:00Z"}


def test_what_is_gone_meanwhile_is_no_error(account: Account) -> None:
    account.lists(NAME, "other")
    account.alarms()
    account.gone("describe_endpoint")
    account.endpoint({}, name="other")
    account.gone("describe_endpoint_config")
    (row,) = account.seen()
    assert row["endpoint_name"] == "other"
    assert row["variants"][0]["candidate_id"] is None


def test_an_account_without_endpoints_is_asked_nothing_else(account: Account) -> None:
    account.lists()
    assert account.seen() == []


def test_an_account_that_cannot_be_looked_at_is_named_and_the_others_are_seen() -> None:
    good = Account()
    good.lists(NAME)
    good.alarms()
    good.endpoint(TAGS)
    good.config("config-1", AllTraffic=package())

    def observe(account: str) -> Any:
        if account == TEST:
            raise GovernError("access_denied", "no such role")
        return good.session

    found, problems = endpoints.in_accounts(observe, [PROD, TEST, PROD])
    assert [row["account"] for row in found] == [PROD]
    assert problems == [{"account": TEST, "problem": "no such role"}]


# ---------------------------------------------------------------- the board


def live(**more: Any) -> dict[str, Any]:
    served = {
        **{"variant": "AllTraffic", "share": 1.0, "instances": 1, "shadow": False},
        **{"incoming": False, "model_package_arn": arn(1), "model": MODEL, "version": 1},
        "candidate_id": CANDIDATE,
    }
    return {
        **{"endpoint_name": NAME, "endpoint_arn": ENDPOINT, "account": PROD},
        **{"status": "InService", "changed_at": "2026-01-31T12:30:00Z", "config": "config-1"},
        **{"reason": None, "execution": "arn:execution", "variants": [served]},
        **{"deployment": None, "alarm": None},
        **more,
    }


RELEASES = board.serving([RELEASED])


def _as_seen(*rows: dict[str, Any], blind: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    problems = [{"account": one, "problem": "denied"} for one in blind]
    return board.as_seen(RELEASES, rows, problems, [directory()])


def test_what_is_seen_stands_beside_what_was_released() -> None:
    (row,) = _as_seen(live())
    assert (row["stage"], row["status"], row["differs"]) == ("Prod", "InService", False)
    assert (row["approver"], row["since"]) == ("grace", RELEASED["recorded_at"])


def test_an_endpoint_that_serves_something_else_differs() -> None:
    served = {**live()["variants"][0], "model_package_arn": arn(9), "candidate_id": OTHER}
    (row,) = _as_seen(live(variants=[served]))
    assert row["differs"]


def test_an_endpoint_that_serves_something_else_beside_the_released_version_differs() -> None:
    """Somebody has given most of the traffic to another one by hand."""
    released = {**live()["variants"][0], "share": 0.05}
    other = {**released, "variant": "ByHand", "share": 0.95}
    other |= {"model_package_arn": arn(9), "version": 9, "candidate_id": OTHER}
    (row,) = _as_seen(live(variants=[released, other]))
    assert row["differs"]
    (row,) = _as_seen(live(variants=[released, {**other, "incoming": True}]))
    assert not row["differs"]


def test_an_endpoint_at_which_nothing_answers_differs() -> None:
    (row,) = _as_seen(live(status="Failed", variants=[]))
    assert row["differs"]


def test_an_endpoint_that_has_failed_says_so_and_where_to_read_what_to_do() -> None:
    text = _shown(120, _board(endpoints=_as_seen(live(status="Failed", variants=[]))))
    assert f"{NAME}: answers nobody; see EndpointFailed in docs/runbook.md" in text
    assert "Failed" in text.replace("EndpointFailed", "")
    runbook = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text("utf-8")
    assert "| `EndpointFailed` |" in runbook


def test_a_first_release_whose_endpoint_failed_is_seen_although_it_serves_nothing() -> None:
    first = live(endpoint_name=directory()["endpoint_name"], endpoint_arn="arn:first")
    failed = {**first, "status": "Failed", "variants": []}
    (_, row) = sorted(_as_seen(live(), failed), key=lambda row: row["status"] == "Failed")
    assert (row["model"], row["version"], row["status"]) == (MODEL, None, "Failed")
    text = _shown(120, _board(endpoints=[row]))
    assert "answers nobody" in text
    assert "nothing" in text
    assert "not ours" not in text
    # Somebody else's is no news.
    stranger = {**failed, "endpoint_name": "x", "endpoint_arn": "arn:x"}
    assert len(_as_seen(live(), stranger)) == 1


def test_a_shadow_of_the_released_version_does_not_make_up_for_it() -> None:
    other = {**live()["variants"][0], "model_package_arn": arn(9), "candidate_id": OTHER}
    shadow = {**live()["variants"][0], "shadow": True, "share": None}
    (row,) = _as_seen(live(variants=[other, shadow]))
    assert row["differs"]


@pytest.mark.parametrize(("blind", "status"), [((), "Missing"), ((PROD,), None)])
def test_an_endpoint_that_is_not_there_is_told_from_one_that_nobody_saw(
    blind: tuple[str, ...], status: str | None
) -> None:
    (row,) = _as_seen(blind=blind)
    assert (row["status"], row["differs"]) == (status, status is not None)


def test_an_endpoint_of_a_running_test_is_listed_and_a_strangers_is_not() -> None:
    test = live(endpoint_name="in-test", endpoint_arn="arn:test", account=TEST)
    stranger = live(endpoint_name="x", endpoint_arn="arn:x", variants=[])
    rows = _as_seen(live(), test, stranger)
    assert [(row["stage"], row["endpoint_name"]) for row in rows] == [
        ("Prod", NAME),
        ("Test", "in-test"),
    ]
    assert (rows[1]["version"], rows[1]["approver"]) == (1, None)


def test_a_stage_shows_its_newest_version_and_the_deployed_one_first() -> None:
    def row(version: int, stage: str, status: str) -> dict[str, Any]:
        found = {"model": MODEL, "version": version, "stage": stage, "stage_status": status}
        return {**found, "since": None}

    found = [row(1, "Prod", "Superseded"), row(2, "Prod", "Deployed"), row(3, "Prod", "Rejected")]
    (model,) = board.by_stage([*found, row(4, "Test", "Passed")], [directory()])
    assert [one["version"] for one in model["prod"]] == [2, 3]
    assert [one["version"] for one in model["test"]] == [4]
    assert model["dev"] == []


def _shown(width: int, found: dict[str, Any]) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(present.board(found))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    return text


def _board(**more: Any) -> dict[str, Any]:
    versions = [
        {
            **{"model": MODEL, "version": 1, "stage": "Prod", "stage_status": "Deployed"},
            **{"since": None, "registry": "Central", "candidate_id": None, "approver": None},
        }
    ]
    return {
        "models": board.by_stage(versions, [directory()]),
        "versions": versions,
        "endpoints": _as_seen(live()),
        "reviews": [],
        "not_looked_at": [],
        **more,
    }


@pytest.mark.parametrize("width", [80, 120])
def test_the_board_fits_and_cuts_nothing(width: int) -> None:
    text = _shown(width, _board())
    whole = "".join(text.split())
    for told in (NAME, CANDIDATE[:12], "100%", "grace", "InService", "Deployed"):
        assert told in whole
    assert f"Endpoints in Prod {PROD}" in text


def test_the_board_says_what_a_row_cannot() -> None:
    pending = {"config": "config-2", "since": "2026-01-31T12:31:00Z", "shifted": 0.25}
    pending["doing"] = None
    alarm = {"name": "server-errors", "since": "2026-01-31T12:32:00Z"}
    served = {**live()["variants"][0], "model_package_arn": arn(9), "version": 9}
    served["candidate_id"] = OTHER
    rows = _as_seen(live(status="Updating", deployment=pending, alarm=alarm, variants=[served]))
    text = _shown(120, _board(endpoints=rows, not_looked_at=[{"account": TEST, "problem": "no"}]))
    said = f"{NAME}: Updating since 2026-01-31 12:31:00: config-2: 25% of the traffic shifted"
    assert said in text
    assert f"{NAME}: alarm server-errors since 2026-01-31 12:32:00" in text
    assert f"{NAME}: the ledger says that it serves {MODEL}/1" in text
    assert f"Account {TEST} could not be looked at: no" in text


def test_status_shows_the_board(
    govern: Govern, where: list[Any], reader: Stubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.endpoints.in_accounts", lambda observe, accounts: ([live()], []))
    provisioned(reader, directory())
    knows(reader, PROMOTED, RELEASED)
    lists(reader, summary(1, "Prod/Deployed"))
    found = json.loads(govern("status", MODEL, "--json").output)
    (row,) = found["endpoints"]
    assert (row["status"], row["variants"][0]["share"]) == ("InService", 1.0)


# ---------------------------------------------------------------- what goes on


CLAIM = "0123456789" + "f" * 54
DEFINED = samples.definition_reference()


def started(kind: str = "ReleaseStarted", **more: Any) -> dict[str, Any]:
    """The release of version 2 over version 1, or what is said of it."""
    about = {"claim_id": CLAIM, "definition": DEFINED, "endpoint": RELEASED["endpoint"]}
    about |= {"stage": "Prod", "stage_status": "Releasing"}
    return entry(more.pop("sequence", 6), kind, **{"version": 2, **about, **more})


def going_on(*entries: dict[str, Any], strategy: dict[str, Any], **seen: Any) -> dict[str, Any]:
    """The endpoint's row of the board."""
    found = [RELEASED, *entries]
    definition = samples.definition()
    definition["release"]["strategy"] = strategy
    row = live(**seen)
    (shown,) = board.as_seen(
        *(board.serving(found), [row], [], [directory()], releases.runs(found)),
        lambda reference: definition if reference == DEFINED else None,
    )
    return shown


CANARY = {"type": "canary", "percent": 10, "wait_seconds": 300}
ARRIVING = {
    **{"variant": "AllTraffic", "share": 0.1, "instances": 1, "shadow": False, "incoming": True},
    **{"model_package_arn": arn(2), "model": MODEL, "version": 2, "candidate_id": OTHER},
}


def test_a_running_release_names_its_strategy_and_how_far_it_is() -> None:
    pending = {"config": f"{NAME}-prod-{CLAIM[:10]}", "since": "2026-01-31T12:31:00Z"}
    pending |= {"shifted": 0.1, "doing": "Baking"}
    served = {**live()["variants"][0], "share": 0.9}
    row = going_on(
        started(),
        strategy=CANARY,
        status="Updating",
        deployment=pending,
        variants=[served, ARRIVING],
    )
    assert row["deployment"] == {**pending, "what": "release", "version": 2, "strategy": CANARY}
    text = _shown(200, _board(endpoints=[row]))
    said = "canary (10% first, the others 300 s later): 10% of the traffic shifted, Baking"
    assert f"{NAME}: Updating since 2026-01-31 12:31:00: release of {MODEL}/2, {said}" in text
    assert "90%" in text
    assert f"bake of {MODEL}/1 ended quiet at 2026-01-31 12:00:05" in text


def test_a_running_rollback_goes_all_at_once_to_the_version_that_served_before() -> None:
    pending = {"config": f"{NAME}-prod-{CLAIM[:10]}", "since": None, "shifted": 0.0, "doing": None}
    back = started("RollbackStarted", rollback_target={"model_package_arn": arn(1)})
    row = going_on(back, strategy=CANARY, status="Updating", deployment=pending)
    assert (row["deployment"]["what"], row["deployment"]["version"]) == ("rollback", 1)
    assert row["deployment"]["strategy"] == {"type": "all-at-once"}


def test_a_deployment_that_no_run_of_ours_has_started_is_named_by_its_config() -> None:
    pending = {"config": "by-hand", "since": None, "shifted": 0.5, "doing": None}
    row = going_on(started(), strategy=CANARY, status="Updating", deployment=pending)
    assert (row["deployment"]["what"], row["deployment"]["strategy"]) == (None, None)
    assert "by-hand: 50% of the traffic shifted" in _shown(120, _board(endpoints=[row]))


A_B = {
    **{"type": "a-b", "challenger_percent": 20, "look_seconds": 1800, "looks": 5},
    **{"alpha": 0.05, "undecided": "ask"},
}


@pytest.mark.parametrize(
    ("strategy", "variant", "said"),
    [
        (A_B, {"share": 0.2}, "a-b (20% for up to 5 looks of 1800 s): {0}/2 has 20% of"),
        (
            {"type": "shadow", "seconds": 3600, "undecided": "ask"},
            {"share": None, "shadow": True},
            "shadow (for 3600 s): {0}/2 has copies of",
        ),
    ],
)
def test_a_running_trial_names_its_challenger(
    strategy: dict[str, Any], variant: dict[str, Any], said: str
) -> None:
    challenger = {**ARRIVING, "incoming": False, "variant": "Challenger", **variant}
    row = going_on(
        started(),
        strategy=strategy,
        config=f"{NAME}-trial-{CLAIM[:10]}",
        variants=[live()["variants"][0], challenger],
    )
    assert (row["trial"]["version"], row["trial"]["share"]) == (2, variant["share"])
    assert not row["differs"]
    text = _shown(200, _board(endpoints=[row]))
    assert f"trial since 2026-01-31 12:30:00, {said.format(MODEL)} the traffic" in text


def in_trial(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The endpoint with what its A/B trial has beside the champion."""
    challenger = {**ARRIVING, "incoming": False, "variant": "Challenger", "share": 0.2}
    variants = [live()["variants"][0], challenger]
    seen = {"config": f"{NAME}-trial-{CLAIM[:10]}", "variants": variants, **more}
    return going_on(started(), *entries, strategy=A_B, **seen)


def test_a_trial_lets_nothing_else_answer_and_no_longer_than_it_goes_on() -> None:
    champion, challenger = in_trial()["variants"]
    # While its config is being replaced at its end, it is no fault that the challenger answers.
    ending = {"config": "config-1", "since": None, "shifted": 0.0, "doing": None}
    row = in_trial(status="Updating", deployment=ending)
    assert (row["trial"], row["differs"]) == (None, False)
    stranger = {**challenger, "model_package_arn": arn(9), "version": 9, "candidate_id": OTHER}
    assert in_trial(variants=[champion, stranger])["differs"]
    assert in_trial(variants=[challenger])["differs"]
    assert in_trial(config="by-hand")["differs"]


@pytest.mark.parametrize("kind", ["RunUnfinished", "ReleaseErrored"])
def test_a_trial_whose_run_has_ended_goes_on_no_more(kind: str) -> None:
    """A run that was stopped has left the challenger beside the champion."""
    row = in_trial(started(kind, sequence=7))
    assert (row["trial"], row["differs"]) == (None, True)


ALARMED = {"Error": "AlarmAfterRelease", "Cause": "raised while the release baked: slow"}


@pytest.mark.parametrize(
    ("entries", "outcome", "version", "said"),
    [
        ([], "quiet", 1, None),
        ([started("CandidateReleased", sequence=7)], "quiet", 2, None),
        ([started("ReleaseErrored", failure=ALARMED, endpoint=None)], "alarm", 2, "baked: slow"),
        (
            [started("ReleaseRolledBack", alarms=["a-slow"], reason="taken back: slow")],
            "alarm",
            2,
            "taken back: slow",
        ),
        (
            [
                started(
                    "ReleaseStopped",
                    approver={"person": "alarm slow"},
                    reason="alarm slow went off",
                )
            ],
            "alarm",
            2,
            "alarm slow went off",
        ),
        ([started("ReleaseStopped", reason="wrong for patients over 80")], "quiet", 1, None),
        # A trial that was lost, and a fault of ours, are no result of a bake.
        ([started("ReleaseRolledBack", reason="after a trial: worse")], "quiet", 1, None),
        ([started("ReleaseErrored", failure={"Error": "X", "Cause": "y"})], "quiet", 1, None),
        # Another endpoint's.
        (
            [started("CandidateReleased", endpoint={**RELEASED["endpoint"], "endpoint_arn": "x"})],
            "quiet",
            1,
            None,
        ),
    ],
)
def test_the_last_bake_says_how_it_ended(
    entries: list[dict[str, Any]], outcome: str, version: int, said: str | None
) -> None:
    found = [RELEASED, *({k: v for k, v in e.items() if v is not None} for e in entries)]
    bake = releases.last_bake(found, ENDPOINT)
    assert bake is not None
    assert (bake["outcome"], bake["version"]) == (outcome, version)
    assert (said or "") in (bake["said"] or "")
    assert (bake["said"] is None) is (said is None)


def test_a_bake_that_goes_on_is_told_from_the_last_one() -> None:
    served = {**ARRIVING, "incoming": False, "share": 1.0}
    seen = {"config": f"{NAME}-prod-{CLAIM[:10]}", "variants": [served]}
    row = going_on(started(), strategy=CANARY, **seen)
    assert (row["bake"]["outcome"], row["bake"]["version"]) == ("running", 2)
    assert f"bake of {MODEL}/2 goes on since 2026-01-31 12:30" in _shown(
        200, _board(endpoints=[row])
    )
    ended = going_on(started(), started("CandidateReleased", sequence=7), strategy=CANARY, **seen)
    assert (ended["bake"]["outcome"], ended["bake"]["version"]) == ("quiet", 2)


def test_a_bake_whose_run_was_stopped_goes_on_no_more() -> None:
    """Nobody comes to say how it ended; the last bake that did is the champion's."""
    served = {**ARRIVING, "incoming": False, "share": 1.0}
    seen = {"config": f"{NAME}-prod-{CLAIM[:10]}", "variants": [served]}
    row = going_on(started(), started("RunUnfinished", sequence=7), strategy=CANARY, **seen)
    assert (row["bake"]["outcome"], row["bake"]["version"]) == ("quiet", 1)


@pytest.mark.parametrize("kind", ["RollbackRejected", "RollbackErrored", "RunUnfinished"])
def test_what_becomes_of_a_rollback_of_the_version_that_bakes_does_not_end_the_bake(
    kind: str,
) -> None:
    served = {**ARRIVING, "incoming": False, "share": 1.0}
    seen = {"config": f"{NAME}-prod-{CLAIM[:10]}", "variants": [served]}
    refused = started(kind, sequence=7, claim_id="9" * 64, workflow="rollback_model")
    row = going_on(started(), refused, strategy=CANARY, **seen)
    assert (row["bake"]["outcome"], row["bake"]["version"]) == ("running", 2)


def test_a_rollback_ends_by_its_own_claim_and_not_by_the_release_that_it_stops() -> None:
    back = started(
        "RollbackStarted", claim_id="9" * 64, rollback_target={"model_package_arn": arn(1)}
    )
    stopped = started("ReleaseStopped", sequence=7, claim_id="9" * 64)
    (run,) = releases.runs([back, stopped])
    assert not run["ended"]
    unfinished = started("RunUnfinished", sequence=8, claim_id="9" * 64, version=1)
    (run,) = releases.runs([back, stopped, unfinished])
    assert run["ended"]


def test_a_release_that_was_stopped_has_ended() -> None:
    """By another's claim: the rollback's."""
    stopped = started("ReleaseStopped", sequence=7, claim_id="9" * 64)
    (run,) = releases.runs([started(), stopped])
    assert run["ended"]
    (other,) = releases.runs([started(), {**stopped, "model_package_arn": arn(5)}])
    assert not other["ended"]


def test_status_reads_the_strategy_of_what_is_under_way(
    govern: Govern, where: list[Any], reader: Stubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = {"config": f"{NAME}-prod-{CLAIM[:10]}", "since": None, "shifted": 0.1, "doing": None}
    seen = live(status="Updating", deployment=pending, variants=[live()["variants"][0], ARRIVING])
    monkeypatch.setattr("cli.endpoints.in_accounts", lambda observe, accounts: ([seen], []))
    provisioned(reader, directory())
    knows(reader, PROMOTED, RELEASED, started())
    lists(reader, summary(1, "Prod/Deployed"))
    body = definitions.canonical(samples.definition())
    reader.stub("s3").add_response(
        "get_object", {"Body": io.BytesIO(body), "ContentLength": len(body)}
    )
    result = govern("status", MODEL, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    found = json.loads(result.output)
    assert "runs" not in found
    (row,) = found["endpoints"]
    assert row["deployment"]["strategy"] == CANARY


@pytest.mark.parametrize("more", ["--json", "--at=2026-01-31"])
def test_watching_is_for_people_and_for_now(govern: Govern, where: list[Any], more: str) -> None:
    assert govern("status", "--watch", more).exit_code == 2


def test_watching_looks_again_until_somebody_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []
    looks: list[int] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            raise KeyboardInterrupt

    def look() -> Any:
        looks.append(len(looks))
        if len(looks) == 2:
            raise GovernError("aws", "slow down")
        return present.board(_board(endpoints=[]))

    monkeypatch.setattr("time.sleep", sleep)
    commands._watch(7.0, look)
    assert (waited, len(looks)) == ([7.0, 7.0, 7.0], 3)
    shown = capsys.readouterr().out
    assert MODEL in shown
