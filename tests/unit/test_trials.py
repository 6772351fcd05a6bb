"""Trials: what is deployed beside the champion, and what a look at both decides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.adapters import proportions
from governance.domain import trials
from governance.domain.errors import InvalidInputError

AB = {
    "type": "a-b",
    "challenger_percent": 20,
    "look_seconds": 600,
    "looks": 4,
    "alpha": 0.05,
    "undecided": "ask",
}
SHADOW = {"type": "shadow", "sample_percent": 50, "seconds": 3600, "max_disagreement": 0.1}
ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/clinical-risk"
CONFIG = {
    "EndpointConfigName": "clinical-risk-prod-1",
    "ProductionVariants": [
        {
            "VariantName": "AllTraffic",
            "ModelName": "old-model",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 2,
            "InitialVariantWeight": 1.0,
        }
    ],
}
ENDPOINT = {
    "ProductionVariants": [
        {"VariantName": "AllTraffic", "DesiredWeight": 4.0, "DesiredInstanceCount": 7}
    ]
}

TAGS = {"model-package-arn": "arn:m/2", "aws:cloudformation:stack-name": "by-hand"}


def deployment(strategy: dict[str, Any]) -> dict[str, Any]:
    return {
        "endpoint_name": "clinical-risk",
        "endpoint_arn": ARN,
        "variant_name": "AllTraffic",
        "config_name": "clinical-risk-prod-2",
        "model_name": "new-model",
        "instance_type": "ml.m5.xlarge",
        "instance_count": 3,
        "claim_id": "a" * 64,
        "release": {"strategy": strategy, "alarms": [], "bake_seconds": 0},
        "autoscaling": {"min": 1, "max": 2, "invocations_per_instance": 10},
        "data_capture": {"percent": 5, "uri": "s3://elsewhere", "kms_key": "alias/k"},
    }


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [(AB, True), (SHADOW, True), ({"type": "canary"}, False), ({"type": "all-at-once"}, False)],
)
def test_two_strategies_try_first(strategy: dict[str, Any], expected: bool) -> None:
    assert trials.is_trial(strategy) is expected


def test_a_challenger_has_its_share_of_what_the_champion_weighs() -> None:
    plan = trials.plan(deployment(AB), ENDPOINT, CONFIG, TAGS)
    trial = plan["deployment"]
    assert plan["look_seconds"] == 600
    assert trial["config_name"] == f"clinical-risk-trial-{'a' * 10}"
    old, new = trials.variants(trial["trial"])["ProductionVariants"]
    assert (old["VariantName"], old["ModelName"], old["InitialVariantWeight"]) == (
        "AllTraffic",
        "old-model",
        4.0,
    )
    assert (new["VariantName"], new["ModelName"]) == ("Challenger", "new-model")
    assert (new["InstanceType"], new["InitialInstanceCount"]) == ("ml.m5.xlarge", 3)
    assert new["InitialVariantWeight"] / (new["InitialVariantWeight"] + 4.0) == pytest.approx(0.2)
    assert trial["data_capture"] == deployment(AB)["data_capture"]


def test_a_trial_moves_no_capacity_and_watches_no_alarm_of_the_release() -> None:
    """Autoscaling has made seven instances of the config's two: equal counts keep them."""
    plan = trials.plan(deployment(AB), ENDPOINT, CONFIG, TAGS)
    for planned in (plan["deployment"], plan["champion"]):
        assert (planned["release"], planned["autoscaling"]) == (None, None)
        assert planned["instance_count"] == 2


@pytest.mark.parametrize(
    ("look_seconds", "looks", "polls", "seconds"),
    [(60, 1, 1, 60), (600, 4, 10, 60), (100, 3, 1, 100), (86_400, 1, 499, 174)],
)
def test_alarms_of_a_challenger_are_asked_for_between_looks(
    look_seconds: int, looks: int, polls: int, seconds: int
) -> None:
    strategy = {**AB, "look_seconds": look_seconds, "looks": looks}
    plan = trials.plan(deployment(strategy), ENDPOINT, CONFIG, TAGS)
    assert (plan["polls"], plan["poll_seconds"]) == (polls, seconds)
    found = [trials.look_of(poll, polls) for poll in range(1, polls * looks + 1)]
    assert [look for look in found if look] == list(range(1, looks + 1))
    assert found[-1] == looks


@given(st.integers(60, 86_400), st.integers(1, 20))
def test_a_look_is_neither_early_nor_much_later_and_polls_stay_within_the_history(
    look_seconds: int, looks: int
) -> None:
    strategy = {**AB, "look_seconds": look_seconds, "looks": looks}
    plan = trials.plan(deployment(strategy), ENDPOINT, CONFIG, TAGS)
    assert plan["polls"] * looks <= 500
    assert 0 <= plan["polls"] * plan["poll_seconds"] - look_seconds < plan["polls"]
    assert plan["poll_seconds"] >= 60


def test_nobody_waits_for_a_shadow_so_it_is_only_looked_at() -> None:
    plan = trials.plan(deployment(SHADOW), ENDPOINT, CONFIG, TAGS)
    assert (plan["polls"], plan["poll_seconds"]) == (1, 3600)


def test_the_way_back_is_what_serves() -> None:
    champion = trials.plan(deployment(AB), ENDPOINT, CONFIG, TAGS)["champion"]
    assert champion["config_name"] == "clinical-risk-prod-1"
    assert champion["model_name"] == "old-model"
    assert champion["exists"] is True
    # An endpoint that has to be made anew says what it says now; AWS's own tags nobody can set.
    assert champion["tags"] == {"model-package-arn": "arn:m/2"}


def test_a_shadow_gets_copies_and_all_of_it_is_kept() -> None:
    plan = trials.plan(deployment(SHADOW), ENDPOINT, CONFIG, TAGS)
    trial = plan["deployment"]
    made = trials.variants(trial["trial"])
    assert [one["VariantName"] for one in made["ProductionVariants"]] == ["AllTraffic"]
    (shadow,) = made["ShadowProductionVariants"]
    assert shadow["InitialVariantWeight"] == 2.0
    assert plan["look_seconds"] == 3600
    assert trial["data_capture"] == {
        "percent": 100,
        "uri": "s3://governed-path-capture-123456789012-us-east-1/trials/" + trial["config_name"],
        "kms_key": "alias/governed-path",
    }


def test_an_endpoint_in_another_trial_is_left_alone() -> None:
    variants = [{**CONFIG["ProductionVariants"][0], "VariantName": name} for name in ("a", "b")]  # type: ignore[dict-item]
    with pytest.raises(InvalidInputError, match=r"serves the variants a, b; a trial expects"):
        trials.plan(deployment(AB), ENDPOINT, {**CONFIG, "ProductionVariants": variants}, TAGS)


# ---------------------------------------------------------------------------------- A/B


def look(
    number: int, champion: tuple[int, int], challenger: tuple[int, int], **more: Any
) -> dict[str, Any]:
    """The decision of a look at (requests, errors) of both."""
    strategy = {**AB, **more}
    old, new = (
        trials.counts({"requests": requests, "errors": errors})
        for requests, errors in (champion, challenger)
    )
    allowed = proportions.allowed(strategy["alpha"], number, strategy["looks"])
    found = {
        "worse": proportions.worse(new, old),
        "as_good": proportions.as_good(new, old, trials.MARGIN, allowed),
        "allowed": allowed,
    }
    return trials.judge_errors(strategy, number, old, new, found)


@pytest.mark.parametrize(
    ("number", "champion", "challenger", "decision"),
    [
        (1, (1000, 1), (250, 60), "roll-back"),
        (1, (20_000, 2), (5000, 0), "promote"),
        # The same difference is proof at the end and chance at the beginning.
        (1, (1000, 2), (250, 4), "continue"),
        (4, (1000, 2), (250, 4), "roll-back"),
        (1, (40, 0), (10, 0), "continue"),
        (4, (40, 0), (10, 0), "ask"),
        (4, (0, 0), (0, 0), "ask"),
        # Errors that both have are not the challenger's; more requests tell.
        (4, (10_000, 500), (2500, 120), "ask"),
        (4, (40_000, 2000), (10_000, 480), "promote"),
        # Without a request to the champion there is nothing to be as good as.
        (4, (0, 0), (10_000, 0), "ask"),
    ],
)
def test_a_look_decides(
    number: int, champion: tuple[int, int], challenger: tuple[int, int], decision: str
) -> None:
    found = look(number, champion, challenger)
    assert found["decision"] == decision, found["said"]
    assert found["look"] == number
    assert f"look {number} of 4" in found["said"]
    assert f"{challenger[1]} of {challenger[0]}" in found["said"]


def test_undecided_may_mean_that_the_champion_stays() -> None:
    found = look(4, (40, 0), (10, 0), undecided="roll-back")
    assert found["decision"] == "roll-back"
    assert found["said"].startswith("undecided, so the champion stays")


def test_all_looks_together_use_alpha_and_the_first_hardly_any() -> None:
    parts = [proportions.allowed(0.05, number, 5) for number in range(1, 6)]
    assert sum(parts) == pytest.approx(0.05)
    assert parts == sorted(parts)
    assert parts[0] < 0.0001
    assert proportions.allowed(0.05, 1, 1) == pytest.approx(0.05)


def test_equal_versions_are_seldom_called_worse() -> None:
    """What alpha promises, over all looks together, on simulated trials of equal versions."""
    import random

    draws, wrong, runs = random.Random(11), 0, 300
    for _ in range(runs):
        old, new = [0, 0], [0, 0]
        for number in range(1, 5):
            for counted, requests in ((old, 400), (new, 100)):
                counted[0] += requests
                counted[1] += sum(draws.random() < 0.05 for _ in range(requests))
            p = proportions.worse(
                {"requests": new[0], "errors": new[1]}, {"requests": old[0], "errors": old[1]}
            )
            if p <= proportions.allowed(0.05, number, 4):
                wrong += 1
                break
    assert wrong / runs <= 0.05


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_versions_that_are_worse_by_the_margin_are_seldom_called_as_good(share: float) -> None:
    """What alpha promises, over all looks together, where a wrong promotion is likeliest."""
    import random

    draws, wrong, runs, alpha, looks = random.Random(7), 0, 300, 0.05, 5
    for _ in range(runs):
        old, new = {"requests": 0, "errors": 0}, {"requests": 0, "errors": 0}
        for number in range(1, looks + 1):
            for counted, failing in ((old, share), (new, share + trials.MARGIN)):
                counted["requests"] += 400
                counted["errors"] += sum(draws.random() < failing for _ in range(400))
            allowed = proportions.allowed(alpha, number, looks)
            if proportions.as_good(new, old, trials.MARGIN, allowed) <= allowed:
                wrong += 1
                break
    assert wrong / runs <= alpha


def test_what_is_known_of_the_champion_from_few_requests_proves_less() -> None:
    challenger = {"requests": 10_000, "errors": 480}
    few, many = (
        proportions.as_good(challenger, {"requests": n, "errors": n // 20}, trials.MARGIN, 0.02)
        for n in (200, 40_000)
    )
    assert many <= 0.02 < few


def test_half_of_what_a_look_is_allowed_is_spent_on_the_champion() -> None:
    """However much speaks for the challenger, and however little the look is allowed."""
    nothing = {"requests": 10**6, "errors": 0}
    for allowed in (0.05, 1e-12, 1e-40):
        found = proportions.as_good(nothing, nothing, trials.MARGIN, allowed)
        assert found == pytest.approx(allowed / 2)


# ---------------------------------------------------------------------------------- shadow


def line(request: str, answer: str, identity: str = "") -> dict[str, Any]:
    metadata = {"eventId": request + answer, **({"inferenceId": identity} if identity else {})}
    return {
        "captureData": {"endpointInput": {"data": request}, "endpointOutput": {"data": answer}},
        "eventMetadata": metadata,
        "eventVersion": "0",
    }


def test_answers_to_the_same_request_belong_together() -> None:
    champion = [line("1", "a"), line("2", "b"), line("1", "c"), line("9", "d", "id")]
    challenger = [line("1", "x"), line("3", "y"), line("1", "z"), line("8", "w", "id")]
    assert trials.pairs(champion, challenger) == [("a", "x"), ("c", "z"), ("d", "w")]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("[0.50]", "[0.51]", True),
        ("[0.50]", "[0.60]", False),
        ('{"label": "a", "p": 1}', '{"p": 1.0, "label": "a"}', True),
        ('{"label": "a"}', '{"label": "b"}', False),
        ("[1, 2]", "[1]", False),
        ("true", "1", False),
        ("0.5,1\n", "0.5,1", True),
        ("0.5", "[0.5]", False),
    ],
)
def test_answers_that_say_the_same(one: str, other: str, same: bool) -> None:
    assert trials.same_answer(one, other) is same


@pytest.mark.parametrize(
    ("pairs", "errors", "decision"),
    [
        ((2, 100), 0, "promote"),
        ((30, 100), 0, "roll-back"),
        ((9, 100), 0, "ask"),
        ((0, 0), 0, "ask"),
        ((0, 100), 20, "roll-back"),
    ],
)
def test_a_shadow_is_judged_by_its_answers_and_errors(
    pairs: tuple[int, int], errors: int, decision: str
) -> None:
    champion = {"requests": 200, "errors": 0}
    challenger = {"requests": 100, "errors": errors}
    most = SHADOW["max_disagreement"]
    assert isinstance(most, float)
    found = {
        "worse": proportions.worse(challenger, champion),
        "fewer": proportions.below(*pairs, most),
        "more": proportions.above(*pairs, most),
    }
    judged = trials.judge_answers(SHADOW, pairs, champion, challenger, found)
    assert judged["decision"] == decision, judged["said"]


def test_differing_counts_pairs() -> None:
    assert trials.differing([("1", "1"), ("1", "2"), ("x", "x")]) == (1, 3)
